/*  generate - the coding family's built-in set: every composition filter x map x reduce.
 *
 *  "Return the sum of the squares of the even numbers in xs." The expected values are computed here
 *  in C, from the numbers of the parts, never from the Python text.
 */
#include <stdio.h>
#include <string.h>

#include "task/coding/coding.h"

#define CODING_TESTS 8

const coding_part_t coding_filters[CODING_FILTERS] = {
    {"", {"numbers", "values", "elements"}},
    {"x % 2 == 0", {"even numbers", "even values", "numbers divisible by two"}},
    {"x % 2 == 1", {"odd numbers", "odd values", "numbers that are not even"}},
    {"x > 0", {"positive numbers", "positive values", "numbers above zero"}},
    {"x < 0", {"negative numbers", "negative values", "numbers below zero"}},
    {"x % 3 == 0", {"multiples of three", "numbers divisible by three", "multiples of 3"}},
    {"x > 5", {"numbers above five", "numbers greater than 5", "values above five"}},
    {"x < 5", {"numbers below five", "numbers less than 5", "values below five"}},
    {"x != 0", {"nonzero numbers", "numbers other than zero", "nonzero values"}},
    {"x % 5 == 0", {"multiples of five", "numbers divisible by five", "multiples of 5"}},
};

const coding_part_t coding_maps[CODING_MAPS] = {
    {"x", {"", "", ""}},
    {"x * x", {"the squares of", "the second powers of", "the squared"}},
    {"x * x * x", {"the cubes of", "the third powers of", "the cubed"}},
    {"x * 2", {"twice", "the doubles of", "the doubled"}},
    {"x * 3", {"three times", "the triples of", "the tripled"}},
    {"-x", {"the negations of", "the opposites of", "the negated"}},
    {"abs(x)", {"the absolute values of", "the magnitudes of", "the sizes of"}},
    {"x + 1", {"one more than", "the successors of", "the increments of"}},
    {"x - 1", {"one less than", "the predecessors of", "the decrements of"}},
    {"x % 10", {"the remainders by ten of", "the last digits of", "the values modulo 10 of"}},
};

/*  Reductions over a list expression; each gives 0 or [] for an empty list. */
const coding_part_t coding_reduces[CODING_REDUCES] = {
    {"sum(%s)", {"the sum of", "the total of", "the added up"}},
    {"len(%s)", {"the number of", "the count of", "how many there are of"}},
    {"max(%s, default=0)", {"the largest of", "the maximum of", "the greatest of"}},
    {"min(%s, default=0)", {"the smallest of", "the minimum of", "the least of"}},
    {"sorted(%s)", {"in order", "sorted", "in ascending order"}},
    {"list(%s)", {"the list of", "a list of", "all of"}},
    {"len(set(%s))", {"the number of different", "the count of distinct", "how many different"}},
    {"sum(%s) %% 10",
     {"the last digit of the sum of", "the sum modulo 10 of",
      "the remainder by ten of the sum of"}},
};

size_t coding_builtin (const char *style)
{
    (void) style;
    return CODING_FILTERS * CODING_MAPS * CODING_REDUCES;
}

/*  ---- the generator's own idea of the functions, for the expected values --------------------- */

/*  Python's: the sign is the divisor's. */
static long coding_modulo (long x, long n)
{
    return ((x % n) + n) % n;
}

/*  In the order of coding_filters. */
static bool coding_keeps (size_t filter, long x)
{
    switch (filter) {
    case 1:
        return coding_modulo (x, 2) == 0;
    case 2:
        return coding_modulo (x, 2) == 1;
    case 3:
        return x > 0;
    case 4:
        return x < 0;
    case 5:
        return coding_modulo (x, 3) == 0;
    case 6:
        return x > 5;
    case 7:
        return x < 5;
    case 8:
        return x != 0;
    case 9:
        return coding_modulo (x, 5) == 0;
    default:
        return true;
    }
}

/*  In the order of coding_maps. */
static long coding_mapped (size_t map, long x)
{
    switch (map) {
    case 1:
        return x * x;
    case 2:
        return x * x * x;
    case 3:
        return x * 2;
    case 4:
        return x * 3;
    case 5:
        return -x;
    case 6:
        return x < 0 ? -x : x;
    case 7:
        return x + 1;
    case 8:
        return x - 1;
    case 9:
        return coding_modulo (x, 10);
    default:
        return x;
    }
}

/*  Python's len (set (...)). Every value is compared with those before it: there are nine at
 *  most. */
static size_t coding_distinct (const long *values, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        size_t j = 0;
        while (j < i && values[j] != values[i])
            j++;
        count += j == i;
    }
    return count;
}

/*  Sorted by insertion: there are nine numbers at most. */
static json_t *coding_as_list (const long *values, size_t n, bool sorted)
{
    json_t *list = json_array ();
    for (size_t i = 0; i < n; i++) {
        size_t at = json_array_size (list);
        while (sorted && at > 0 && json_integer_value (json_array_get (list, at - 1)) > values[i])
            at--;
        json_array_insert_new (list, at, json_integer (values[i]));
    }
    return list;
}

/*  In the order of coding_reduces. */
static json_t *coding_reduced (size_t reduce, const long *values, size_t n)
{
    long sum = 0, most = n ? values[0] : 0, least = most;
    for (size_t i = 0; i < n; i++) {
        sum += values[i];
        most = values[i] > most ? values[i] : most;
        least = values[i] < least ? values[i] : least;
    }
    switch (reduce) {
    case 0:
        return json_integer (sum);
    case 1:
        return json_integer ((json_int_t) n);
    case 2:
        return json_integer (most);
    case 3:
        return json_integer (least);
    case 4:
    case 5:
        return coding_as_list (values, n, reduce == 4);
    case 6:
        return json_integer ((json_int_t) coding_distinct (values, n));
    default:
        return json_integer (coding_modulo (sum, 10));
    }
}

/*  Test 0 is the empty list, the others have 3 to 9 numbers from -12 to 20. */
static json_t *coding_make_test (size_t f, size_t m, size_t r, rng_t *rng, size_t number)
{
    /* Nine are needed at most. */
    long values[16];
    size_t n = number ? 3 + rng_below (rng, 7) : 0, kept = 0;
    json_t *input = json_array ();
    for (size_t i = 0; i < n; i++) {
        long x = (long) rng_below (rng, 33) - 12;
        json_array_append_new (input, json_integer (x));
        if (coding_keeps (f, x))
            values[kept++] = coding_mapped (m, x);
    }
    return json_pack ("{s:[o], s:o}", "args", input, "result", coding_reduced (r, values, kept));
}

/*  Three ways to say it. "the squared" and "the added up" fit where "of" would not. */
void coding_say (size_t f, size_t m, size_t r, rng_t *rng, buf_t *brief)
{
    /* The order of the draws is part of the set: another order gives other briefs for the same
     * seed. */
    static const char *const openings[] = {"Return", "Compute", "Give"};
    const char *filter = coding_filters[f].words[rng_below (rng, CODING_SYNONYMS)];
    const char *map = coding_maps[m].words[rng_below (rng, CODING_SYNONYMS)];
    const char *reduce = coding_reduces[r].words[rng_below (rng, CODING_SYNONYMS)];
    const char *opening = openings[rng_below (rng, 3)];
    if (r == 4) /* "Return the squares of the even numbers in xs sorted." */
        buf_printf (brief, "%s %s%sthe %s in xs %s.", opening, map, *map ? " " : "", filter,
                    reduce);
    else
        buf_printf (brief, "%s %s %s%sthe %s in xs.", opening, reduce, map, *map ? " " : "",
                    filter);
}

/*  The numbers of the parts stay in the task, as "parts": the corpus words it anew from them, and
 *  the scorer sees by them that the task is one of ours. */
json_t *coding_generate (const char *style, uint64_t seed, size_t i)
{
    (void) style;
    size_t r = i % CODING_REDUCES, m = i / CODING_REDUCES % CODING_MAPS,
           f = i / CODING_REDUCES / CODING_MAPS % CODING_FILTERS;
    rng_t rng = {.key = rng_key ((uint64_t[]){seed, 0xc0d1, i}, 3)};
    buf_t brief = {0};
    char id[64];
    snprintf (id, sizeof id, "coding/%zu-%zu-%zu", f, m, r);
    coding_say (f, m, r, &rng, &brief);
    json_t *tests = json_array ();
    for (size_t t = 0; t < CODING_TESTS; t++)
        json_array_append_new (tests, coding_make_test (f, m, r, &rng, t));
    json_t *task = json_pack ("{s:s, s:s, s:s, s:s, s:o}", "id", id, "family", "coding", "brief",
                              brief.data, "entry_point", "main", "tests", tests);
    json_object_set_new (task, "parts",
                         json_pack ("[I,I,I]", (json_int_t) f, (json_int_t) m, (json_int_t) r));
    buf_free (&brief);
    return task;
}

/*  generate - the coding family's built-in set: every function that a composition of filter, map
 *  and reduction computes.
 *
 *  "Return the sum of the squares of the even numbers in xs." The expected values are computed here
 *  in C, from the numbers of the parts, never from the Python text.
 */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "task/coding/coding.h"

#define CODING_TESTS 8
/*  Numbers in a list, and a place for the number that an empty one is reduced to. */
#define CODING_LIST_MAX 10
/*  Lists on which functions are compared: they tell the 586 functions apart that the 800
 *  compositions are; half as many take some of them for the same. */
#define CODING_PROBES 256

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

/*  By insertion: there are nine numbers at most. */
static void coding_sort (long *values, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && values[j - 1] > values[j]; j--) {
            long value = values[j];
            values[j] = values[j - 1];
            values[j - 1] = value;
        }
}

/*  Two of the reductions give a list, the others a number. */
static bool coding_gives_list (size_t reduce)
{
    return reduce == 4 || reduce == 5;
}

/*  In the order of coding_reduces; in place. */
static size_t coding_reduced (size_t reduce, long *values, size_t n)
{
    long sum = 0, most = n ? values[0] : 0, least = most;
    for (size_t i = 0; i < n; i++) {
        sum += values[i];
        most = values[i] > most ? values[i] : most;
        least = values[i] < least ? values[i] : least;
    }
    if (reduce == 4)
        coding_sort (values, n);
    if (coding_gives_list (reduce))
        return n;
    values[0] = reduce == 0   ? sum
                : reduce == 1 ? (long) n
                : reduce == 2 ? most
                : reduce == 3 ? least
                : reduce == 6 ? (long) coding_distinct (values, n)
                              : coding_modulo (sum, 10);
    return 1;
}

/*  A list as the tests have them: number 0 is empty, the others have 3 to 9 numbers from -12 to
 *  20. */
static size_t coding_draw_list (rng_t *rng, size_t number, long xs[CODING_LIST_MAX])
{
    size_t n = number ? 3 + rng_below (rng, 7) : 0;
    for (size_t i = 0; i < n; i++)
        xs[i] = (long) rng_below (rng, 33) - 12;
    return n;
}

/*  What a composition gives for xs: one number, or a list. */
static size_t coding_compute (const size_t parts[3], const long *xs, size_t n,
                              long result[CODING_LIST_MAX])
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (coding_keeps (parts[0], xs[i]))
            result[kept++] = coding_mapped (parts[1], xs[i]);
    return coding_reduced (parts[2], result, kept);
}

static json_t *coding_as_list (const long *values, size_t n)
{
    json_t *list = json_array ();
    for (size_t i = 0; i < n; i++)
        json_array_append_new (list, json_integer (values[i]));
    return list;
}

static json_t *coding_make_test (const size_t parts[3], rng_t *rng, size_t number)
{
    long xs[CODING_LIST_MAX], result[CODING_LIST_MAX];
    size_t n = coding_draw_list (rng, number, xs), given = coding_compute (parts, xs, n, result);
    return json_pack ("{s:[o], s:o}", "args", coding_as_list (xs, n), "result",
                      coding_gives_list (parts[2]) ? coding_as_list (result, given)
                                                   : json_integer (result[0]));
}

/*  An id for the function that a composition computes: what it gives for the same lists. Many
 *  compositions are one function (the number of the squares of the even numbers is the number of
 *  the even numbers), and whoever has learnt one of them has seen them all. */
static void coding_name_function (const size_t parts[3], char *id, size_t size)
{
    rng_t rng = {.key = rng_key ((uint64_t[]){0xf0c7}, 1)};
    long xs[CODING_LIST_MAX], results[CODING_PROBES * CODING_LIST_MAX];
    size_t n = 0;
    for (size_t i = 0; i < CODING_PROBES; i++) {
        size_t drawn = coding_draw_list (&rng, i, xs);
        size_t given = coding_compute (parts, xs, drawn, results + n + 1);
        results[n] = coding_gives_list (parts[2]) ? (long) given : -1;
        n += 1 + given;
    }
    char hex[HASH_HEX_SIZE];
    hash_t hash = hash_of (results, n * sizeof *results);
    snprintf (id, size, "coding/%.8s", hash_hex (&hash, hex));
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

void coding_get_parts (const json_t *task, size_t parts[3])
{
    for (size_t i = 0; i < 3; i++)
        parts[i] =
            (size_t) json_integer_value (json_array_get (json_object_get (task, "parts"), i));
}

/*  The numbers of the parts stay in the task, as "parts": the corpus words it anew from them, and
 *  the scorer sees by them that the task is one of ours. */
void coding_set_parts (json_t *task, const size_t parts[3])
{
    char id[32];
    coding_name_function (parts, id, sizeof id);
    json_object_set_new (
        task, "parts",
        json_pack ("[I,I,I]", (json_int_t) parts[0], (json_int_t) parts[1], (json_int_t) parts[2]));
    json_object_set_new (task, "id", json_string (id));
}

json_t *coding_generate (const char *style, uint64_t seed, size_t i)
{
    (void) style;
    size_t r = i % CODING_REDUCES, m = i / CODING_REDUCES % CODING_MAPS,
           f = i / CODING_REDUCES / CODING_MAPS % CODING_FILTERS;
    const size_t parts[] = {f, m, r};
    rng_t rng = {.key = rng_key ((uint64_t[]){seed, 0xc0d1, i}, 3)};
    buf_t brief = {0};
    coding_say (f, m, r, &rng, &brief);
    json_t *tests = json_array ();
    for (size_t t = 0; t < CODING_TESTS; t++)
        json_array_append_new (tests, coding_make_test (parts, &rng, t));
    json_t *task = json_pack ("{s:s, s:s, s:s, s:s, s:o}", "id", "", "family", "coding", "brief",
                              brief.data, "entry_point", "main", "tests", tests);
    coding_set_parts (task, parts);
    buf_free (&brief);
    return task;
}

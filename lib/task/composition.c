/*  composition - see composition.h
 *
 *  The expected values are computed here in C, from the numbers of the parts, never from the Python
 *  text.
 */
#include "task/composition.h"

#include <pthread.h>
#include <stdio.h>

#include "base/hash.h"

/*  Lists on which functions are compared: they tell the 586 functions apart that the 800
 *  compositions are; half as many take some of them for the same. */
#define COMPOSITION_PROBES    256
#define COMPOSITION_NAME_SIZE 9 /* eight hexadecimal digits of a hash */

const composition_part_t composition_filters[COMPOSITION_FILTERS] = {
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

const composition_part_t composition_maps[COMPOSITION_MAPS] = {
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
const composition_part_t composition_reduces[COMPOSITION_REDUCES] = {
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

/*  ---- the generator's own idea of the functions, for the expected values --------------------- */

/*  Python's: the sign is the divisor's. */
static long composition_modulo (long x, long n)
{
    return ((x % n) + n) % n;
}

/*  In the order of composition_filters. */
static bool composition_keeps (size_t filter, long x)
{
    switch (filter) {
    case 1:
        return composition_modulo (x, 2) == 0;
    case 2:
        return composition_modulo (x, 2) == 1;
    case 3:
        return x > 0;
    case 4:
        return x < 0;
    case 5:
        return composition_modulo (x, 3) == 0;
    case 6:
        return x > 5;
    case 7:
        return x < 5;
    case 8:
        return x != 0;
    case 9:
        return composition_modulo (x, 5) == 0;
    default:
        return true;
    }
}

/*  In the order of composition_maps. */
static long composition_mapped (size_t map, long x)
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
        return composition_modulo (x, 10);
    default:
        return x;
    }
}

/*  Python's len (set (...)). Every value is compared with those before it: there are nine at
 *  most. */
static size_t composition_distinct (const long *values, size_t n)
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
static void composition_sort (long *values, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && values[j - 1] > values[j]; j--) {
            long value = values[j];
            values[j] = values[j - 1];
            values[j - 1] = value;
        }
}

/*  Two of the reductions give a list, the others a number. */
static bool composition_gives_list (size_t reduce)
{
    return reduce == 4 || reduce == 5;
}

/*  In the order of composition_reduces; in place. */
static size_t composition_reduced (size_t reduce, long *values, size_t n)
{
    long sum = 0, most = n ? values[0] : 0, least = most;
    for (size_t i = 0; i < n; i++) {
        sum += values[i];
        most = values[i] > most ? values[i] : most;
        least = values[i] < least ? values[i] : least;
    }
    if (reduce == 4)
        composition_sort (values, n);
    if (composition_gives_list (reduce))
        return n;
    values[0] = reduce == 0   ? sum
                : reduce == 1 ? (long) n
                : reduce == 2 ? most
                : reduce == 3 ? least
                : reduce == 6 ? (long) composition_distinct (values, n)
                              : composition_modulo (sum, 10);
    return 1;
}

composition_list_t composition_draw (rng_t *rng, size_t number)
{
    composition_list_t list = {.n = number ? 3 + rng_below (rng, 7) : 0};
    for (size_t i = 0; i < list.n; i++)
        list.x[i] = (long) rng_below (rng, 33) - 12;
    return list;
}

/*  What a composition gives for xs: one number, or a list. */
static size_t composition_compute (const size_t parts[3], const composition_list_t *xs,
                                   long result[COMPOSITION_LIST_MAX])
{
    size_t kept = 0;
    for (size_t i = 0; i < xs->n; i++)
        if (composition_keeps (parts[0], xs->x[i]))
            result[kept++] = composition_mapped (parts[1], xs->x[i]);
    return composition_reduced (parts[2], result, kept);
}

static json_t *composition_as_list (const long *values, size_t n)
{
    json_t *list = json_array ();
    for (size_t i = 0; i < n; i++)
        json_array_append_new (list, json_integer (values[i]));
    return list;
}

json_t *composition_numbers (const composition_list_t *xs)
{
    return composition_as_list (xs->x, xs->n);
}

json_t *composition_result (const size_t parts[3], const composition_list_t *xs)
{
    long result[COMPOSITION_LIST_MAX];
    size_t n = composition_compute (parts, xs, result);
    return composition_gives_list (parts[2]) ? composition_as_list (result, n)
                                             : json_integer (result[0]);
}

/*  ---- names ---------------------------------------------------------------------------------- */

/*  Written once, and then only read. */
static char composition_names[COMPOSITIONS][COMPOSITION_NAME_SIZE];
static pthread_once_t composition_named = PTHREAD_ONCE_INIT;

static void composition_name_one (size_t i, const composition_list_t *probes)
{
    size_t parts[3], n = 0;
    long results[COMPOSITION_PROBES * COMPOSITION_LIST_MAX];
    composition_at (i, parts);
    for (size_t p = 0; p < COMPOSITION_PROBES; p++) {
        size_t given = composition_compute (parts, &probes[p], results + n + 1);
        results[n] = composition_gives_list (parts[2]) ? (long) given : -1;
        n += 1 + given;
    }
    char hex[HASH_HEX_SIZE];
    hash_t hash = hash_of (results, n * sizeof *results);
    snprintf (composition_names[i], COMPOSITION_NAME_SIZE, "%s", hash_hex (&hash, hex));
}

static void composition_name_all (void)
{
    rng_t rng = {.key = rng_key ((uint64_t[]){0xf0c7}, 1)};
    composition_list_t probes[COMPOSITION_PROBES];
    for (size_t p = 0; p < COMPOSITION_PROBES; p++)
        probes[p] = composition_draw (&rng, p);
    for (size_t i = 0; i < COMPOSITIONS; i++)
        composition_name_one (i, probes);
}

/*  A set asks for some ten thousand names, which are 800. */
const char *composition_name (const size_t parts[3])
{
    pthread_once (&composition_named, composition_name_all);
    size_t i = (parts[0] * COMPOSITION_MAPS + parts[1]) * COMPOSITION_REDUCES + parts[2];
    return composition_names[i];
}

void composition_at (size_t i, size_t parts[3])
{
    parts[2] = i % COMPOSITION_REDUCES;
    parts[1] = i / COMPOSITION_REDUCES % COMPOSITION_MAPS;
    parts[0] = i / COMPOSITION_REDUCES / COMPOSITION_MAPS % COMPOSITION_FILTERS;
}

/*  "the squared" and "the added up" fit where "of" would not. */
void composition_say (const size_t parts[3], rng_t *rng, buf_t *brief)
{
    /* The order of the draws is part of the set: another order gives other briefs for the same
     * seed. */
    static const char *const openings[] = {"Return", "Compute", "Give"};
    const char *filter = composition_filters[parts[0]].words[rng_below (rng, COMPOSITION_SYNONYMS)];
    const char *map = composition_maps[parts[1]].words[rng_below (rng, COMPOSITION_SYNONYMS)];
    const char *reduce = composition_reduces[parts[2]].words[rng_below (rng, COMPOSITION_SYNONYMS)];
    const char *opening = openings[rng_below (rng, 3)];
    if (parts[2] == 4) /* "Return the squares of the even numbers in xs sorted." */
        buf_printf (brief, "%s %s%sthe %s in xs %s.", opening, map, *map ? " " : "", filter,
                    reduce);
    else
        buf_printf (brief, "%s %s %s%sthe %s in xs.", opening, reduce, map, *map ? " " : "",
                    filter);
}

void composition_mistake (size_t parts[3], rng_t *rng)
{
    static const size_t choices[] = {COMPOSITION_FILTERS, COMPOSITION_MAPS, COMPOSITION_REDUCES};
    size_t which = rng_below (rng, 3);
    parts[which] = rng_below (rng, choices[which]);
}

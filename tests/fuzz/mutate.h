/*  mutate - the loop of a fuzzer: damaged copies of a few seeds, for some seconds, deterministic
 *  in the seed.
 *
 *      int main (int argc, char **argv)
 *      {
 *          return fuzz_main (argc, argv, seeds, sizes, n, try_one);
 *      }
 *
 *  A crash or a sanitizer's word is the failure; try_one only has to survive.
 */
#ifndef QUINTET_TESTS_FUZZ_MUTATE_H
#define QUINTET_TESTS_FUZZ_MUTATE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"

#define FUZZ_SIZE_MAX 65536

typedef void (*fuzz_fn) (const char *data, size_t size);

/*  Changes bytes, cuts, repeats a run, or puts in a word that often matters. */
static inline size_t fuzz_mutate (rng_t *rng, char *data, size_t size)
{
    static const char *const words[] = {"\xff\xff\xff\xff",
                                        "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
                                        "-1",
                                        "1e999",
                                        "{",
                                        "[[",
                                        "null",
                                        "\"",
                                        "\\u0000",
                                        ": ",
                                        "\n"};
    for (uint64_t n = 1 + rng_below (rng, 4); n-- > 0 && size;) {
        size_t at = (size_t) rng_below (rng, size);
        uint64_t what = rng_below (rng, 8);
        if (what == 0) {
            size = at;
        } else if (what == 1) {
            const char *word = words[rng_below (rng, sizeof words / sizeof *words)];
            size_t m = strlen (word) < size - at ? strlen (word) : size - at;
            memcpy (data + at, word, m);
        } else if (what == 2 && size < FUZZ_SIZE_MAX / 2) {
            size_t m = (size - at) / 2;
            memmove (data + at + m, data + at, size - at);
            size += m;
        } else {
            data[at] =
                (char) (what == 3 ? data[at] ^ 1 << rng_below (rng, 8) : (int) rng_next (rng));
        }
    }
    return size;
}

static inline int fuzz_main (int argc, char **argv, const char *const *seeds, const size_t *sizes,
                             size_t n, fuzz_fn try_one)
{
    double seconds = argc > 1 ? strtod (argv[1], NULL) : 2;
    rng_t rng = {.key = argc > 2 ? strtoull (argv[2], NULL, 10) : 1};
    static char data[FUZZ_SIZE_MAX];
    unsigned long tries = 0;
    for (double end = clock_s () + seconds; clock_s () < end; tries++) {
        size_t which = (size_t) rng_below (&rng, n);
        size_t size = sizes[which] < FUZZ_SIZE_MAX / 2 ? sizes[which] : FUZZ_SIZE_MAX / 2;
        memcpy (data, seeds[which], size);
        size = tries < n ? size : fuzz_mutate (&rng, data, size);
        char *copy = malloc (size + 1); /* exact, so that reading beyond it is seen */
        if (!copy)
            return 1;
        memcpy (copy, data, size);
        copy[size] = 0;
        try_one (copy, size);
        free (copy);
    }
    printf ("%lu inputs\n", tries);
    return 0;
}

#endif

/*  bootstrap - see bootstrap.h */
#include "learn/bootstrap.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/rng.h"

#define KEY 0x626F6F7473747261u /* "bootstra" */

static int bootstrap_ascending (const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

/*  Between the two neighbours of the place share (n - 1), as numpy.percentile does by default. */
static double bootstrap_percentile (const double *sorted, size_t n, double share)
{
    double place = share * (double) (n - 1);
    size_t below = (size_t) place;
    size_t above = below + 1 < n ? below + 1 : below;
    return sorted[below] + (place - (double) below) * (sorted[above] - sorted[below]);
}

/*  bottoms NULL: 1 for each task. A draw takes the upper half of 64 random bits: n is far below
 *  2^32, so the bias of the product is below n / 2^32. */
static double bootstrap_resample (const double *tops, const double *bottoms, size_t n,
                                  uint64_t resample)
{
    double top = 0, bottom = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = rng_bits (KEY, resample * n + i) >> 32;
        size_t drawn = (size_t) (bits * n >> 32);
        top += tops[drawn];
        bottom += bottoms ? bottoms[drawn] : 1;
    }
    return top / bottom;
}

static bootstrap_t bootstrap_of (const double *tops, const double *bottoms, size_t n)
{
    bootstrap_t b = {NAN, NAN, NAN};
    double top = 0, bottom = 0, *sorted = malloc (BOOTSTRAP_RESAMPLES * sizeof *sorted);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        top += tops[i];
        bottom += bottoms ? bottoms[i] : 1;
    }
    b.value = top / bottom; /* of no task: 0 / 0 */
    for (uint64_t r = 0; sorted && isfinite (b.value) && r < BOOTSTRAP_RESAMPLES; r++) {
        double value = bootstrap_resample (tops, bottoms, n, r);
        if (isfinite (value))
            sorted[kept++] = value;
    }
    if (kept) {
        qsort (sorted, kept, sizeof *sorted, bootstrap_ascending);
        b.low = bootstrap_percentile (sorted, kept, 0.025);
        b.high = bootstrap_percentile (sorted, kept, 0.975);
    }
    free (sorted);
    return b;
}

bootstrap_t bootstrap_mean (const double *values, size_t n)
{
    return bootstrap_of (values, NULL, n);
}

bootstrap_t bootstrap_ratio (const double *tops, const double *bottoms, size_t n)
{
    return bootstrap_of (tops, bottoms, n);
}

/*  bootstrap - how far a figure of an evaluation could lie elsewhere, had other tasks been drawn;
 *  pure.
 *
 *      bootstrap_t pass = bootstrap_mean (solved, tasks);
 *      printf ("%.3f [%.3f, %.3f]\n", pass.value, pass.low, pass.high);
 *
 *  The percentile interval (Efron 1979; Efron and Tibshirani 1993, "An Introduction to the
 *  Bootstrap", section 13.3): as many tasks as there are, drawn with replacement, give one figure;
 *  the interval goes from the 2.5th to the 97.5th percentile of BOOTSTRAP_RESAMPLES of them, with
 *  linear interpolation between neighbours. What is drawn is one value per task, since samples of
 *  one task are alike. The same draws are made for the same number of tasks, so equal values give
 *  equal bits.
 */
#ifndef QUINTET_LEARN_BOOTSTRAP_H
#define QUINTET_LEARN_BOOTSTRAP_H

#include <stddef.h>

#define BOOTSTRAP_RESAMPLES 10000

typedef struct {
    double value;     /* of the tasks themselves; NAN: of nothing */
    double low, high; /* 95%; NAN without memory */
} bootstrap_t;

/*  values: one per task. */
bootstrap_t bootstrap_mean (const double *values, size_t n);
/*  Sum of tops / sum of bottoms, both of the same tasks: a task is drawn with both. A resample of
 *  which the bottoms sum to 0 is left out. */
bootstrap_t bootstrap_ratio (const double *tops, const double *bottoms, size_t n);

#endif

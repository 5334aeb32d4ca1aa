/*  advantage - what advantages are made of, pure; credit assignment (assign.h) puts it together.
 *
 *      advantage_spread_t s = advantage_spread (rewards, n);
 *      advantage_run (&running, rewards, n);
 *      advantage_gae (values, turns, reward, lambda, advantages);
 *      advantage_normalise (advantages, n);
 */
#ifndef QUINTET_LEARN_ADVANTAGE_H
#define QUINTET_LEARN_ADVANTAGE_H

#include <stddef.h>
#include <stdint.h>

/*  Keeps a division by a standard deviation finite (DeepSeekMath's implementations). */
#define ADVANTAGE_STD_EPSILON 1e-4
/*  Values that spread less than this are equal: they teach nothing. */
#define ADVANTAGE_SPREAD_MIN 1e-8

typedef struct {
    double mean, std; /* std with n - 1; 0 for fewer than two values */
    double spread;    /* largest - smallest */
} advantage_spread_t;

/*  Of n values; all 0 when there is none. */
advantage_spread_t advantage_spread (const double *x, size_t n);

/*  How far the rewards of a step lie apart, as a running mean over the steps; begins with zeros. */
typedef struct {
    double variance; /* of all rewards of a step; of the last about 8 steps */
    uint64_t steps;  /* so far */
} advantage_running_t;

/*  Takes the n rewards of one more step in: V += (v - V) / min (steps, 8). */
void advantage_run (advantage_running_t *running, const double *rewards, size_t n);
/*  What rewards are divided by: sqrt (V) + 1e-4. */
double advantage_divisor (const advantage_running_t *running);

/*  What the reward of a completion loses by its length (soft overlong punishment, DAPO: Yu et al.
 *  2025, eq. 13): 0 up to longest - cache tokens, then in a line down to -1 at longest. cache 0:
 *  nothing. */
double advantage_overlong (size_t tokens, size_t longest, size_t cache);

/*  Generalised advantage estimation over the turns of one episode (Schulman et al. 2016, eq. 16),
 *  gamma 1, reward at the end: values[t] is V before turn t. */
void advantage_gae (const double *values, size_t turns, double reward, double lambda,
                    double *advantages);

/*  In place: mean 0, standard deviation 1 (n - 1) over the batch; zeros when it does not vary. */
void advantage_normalise (double *advantages, size_t n);

/*  1 - Var (returns - values) / Var (returns); 0 when returns do not vary. */
double advantage_explained_variance (const double *returns, const double *values, size_t n);

#endif

/*  advantage - see advantage.h */
#include "learn/advantage.h"

#include <math.h>
#include <stdbool.h>

#define SPREAD_MIN  1e-8 /* rewards closer than this are equal: the group teaches nothing */
#define STD_EPSILON 1e-4 /* DeepSeekMath's formula as its implementations have it */

typedef struct {
    double mean, std; /* std with n - 1; 0 for fewer than two values */
    double spread;    /* largest - smallest */
} spread_t;

/*  Two passes: squares of differences from the mean stay exact where rewards are large and close
 *  together. */
static spread_t advantage_spread_of (const double *x, size_t n)
{
    spread_t s = {0};
    if (n == 0)
        return s;
    double low = x[0], high = x[0];
    for (size_t i = 0; i < n; i++) {
        s.mean += x[i];
        low = fmin (low, x[i]);
        high = fmax (high, x[i]);
    }
    s.mean /= (double) n;
    s.spread = high - low;
    if (n < 2)
        return s;
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += (x[i] - s.mean) * (x[i] - s.mean);
    s.std = sqrt (squares / (double) (n - 1));
    return s;
}

/*  Mean and deviation over all rewards of the batch, for metrics and for the scale "batch". */
static void advantage_stats_open (const double *rewards, const size_t *first, size_t groups,
                                  advantage_stats_t *stats)
{
    size_t begin = groups ? first[0] : 0, end = groups ? first[groups] : 0;
    spread_t all = advantage_spread_of (rewards + begin, end - begin);
    *stats = (advantage_stats_t){.mean = all.mean, .std = all.std};
}

/*  A group whose rewards are all equal says nothing about which completion was better: zeros, and
 *  not noise divided by epsilon. */
void advantage_group (const double *rewards, const size_t *first, size_t groups,
                      advantage_scale_t scale, double *advantages, advantage_stats_t *stats)
{
    advantage_stats_open (rewards, first, groups, stats);
    for (size_t g = 0; g < groups; g++) {
        size_t n = first[g + 1] - first[g];
        spread_t group = advantage_spread_of (rewards + first[g], n);
        double divisor = scale == ADVANTAGE_SCALE_GROUP   ? group.std + STD_EPSILON
                         : scale == ADVANTAGE_SCALE_BATCH ? stats->std + STD_EPSILON
                                                          : 1;
        double keep = group.spread < SPREAD_MIN ? 0 : 1;
        stats->zero_spread += keep == 0 && n > 0;
        for (size_t i = first[g]; i < first[g + 1]; i++)
            advantages[i] = keep * (rewards[i] - group.mean) / divisor;
    }
}

/*  Leave-one-out (Ahmadian et al. 2024, "Back to Basics"): each reward against the mean of the
 *  others of its group. */
void advantage_rloo (const double *rewards, const size_t *first, size_t groups, double *advantages,
                     advantage_stats_t *stats)
{
    advantage_stats_open (rewards, first, groups, stats);
    for (size_t g = 0; g < groups; g++) {
        size_t n = first[g + 1] - first[g];
        spread_t group = advantage_spread_of (rewards + first[g], n);
        double keep = group.spread < SPREAD_MIN ? 0 : 1;
        stats->zero_spread += keep == 0 && n > 0;
        /* R_i - (sum - R_i) / (n - 1) = (R_i - mean) n / (n - 1) */
        for (size_t i = first[g]; i < first[g + 1]; i++)
            advantages[i] =
                keep == 0 ? 0 : (rewards[i] - group.mean) * (double) n / (double) (n - 1);
    }
}

/*  DAPO's soft punishment (Yu et al. 2025, section 3.4): none up to `longest - cache` tokens,
 *  then linear down to -1. */
double advantage_overlong (size_t tokens, size_t longest, size_t cache)
{
    double into = (double) tokens + (double) cache - (double) longest;
    return cache && into > 0 ? -fmin (into / (double) cache, 1) : 0;
}

/*  Backwards over the turns, gamma 1: delta_t = V_t+1 - V_t, where behind the last turn stands the
 *  reward itself. */
void advantage_gae (const double *values, size_t turns, double reward, double lambda,
                    double *advantages)
{
    double next_advantage = 0;
    for (size_t t = turns; t-- > 0;) {
        double next = t + 1 < turns ? values[t + 1] : reward;
        double delta = next - values[t];
        advantages[t] = next_advantage = delta + lambda * next_advantage;
    }
}

/*  Equal values become zeros, for the same reason as in a group. */
void advantage_normalise (double *advantages, size_t n)
{
    spread_t s = advantage_spread_of (advantages, n);
    bool flat = s.spread < SPREAD_MIN;
    for (size_t i = 0; i < n; i++)
        advantages[i] = flat ? 0 : (advantages[i] - s.mean) / s.std;
}

/*  1: values predict returns; 0: no better than their mean; below: worse. A constant error does not
 *  count against values. */
double advantage_explained_variance (const double *returns, const double *values, size_t n)
{
    double mean = 0, mean_left = 0;
    for (size_t i = 0; i < n; i++) {
        mean += returns[i] / (double) n;
        mean_left += (returns[i] - values[i]) / (double) n;
    }
    double variance = 0, left = 0;
    for (size_t i = 0; i < n; i++) {
        double r = returns[i] - mean, e = returns[i] - values[i] - mean_left;
        variance += r * r;
        left += e * e;
    }
    return variance < SPREAD_MIN * SPREAD_MIN ? 0 : 1 - left / variance;
}

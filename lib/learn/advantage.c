/*  advantage - see advantage.h */
#include "learn/advantage.h"

#include <math.h>
#include <stdbool.h>

#define RUNNING_STEPS 8 /* over which spreads are averaged */

/*  Two passes: squares of differences from the mean stay exact where rewards are large and close
 *  together. */
advantage_spread_t advantage_spread (const double *x, size_t n)
{
    advantage_spread_t s = {0};
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

/*  The first steps count alike: an estimate of one step's spread should not outlive that of others
 *  which are as good. */
void advantage_run (advantage_running_t *running, const double *rewards, size_t n)
{
    double std = advantage_spread (rewards, n).std;
    running->steps++;
    running->variance += (std * std - running->variance) /
                         (double) (running->steps < RUNNING_STEPS ? running->steps : RUNNING_STEPS);
}

double advantage_divisor (const advantage_running_t *running)
{
    return sqrt (running->variance) + ADVANTAGE_STD_EPSILON;
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
    advantage_spread_t s = advantage_spread (advantages, n);
    bool flat = s.spread < ADVANTAGE_SPREAD_MIN;
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
    return variance < ADVANTAGE_SPREAD_MIN * ADVANTAGE_SPREAD_MIN ? 0 : 1 - left / variance;
}

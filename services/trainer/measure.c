/*  measure - see measure.h */
#include "measure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define Z95 1.959963984540054 /* quantile of the normal distribution at 0.975 */

/*  Until measure_close_spread, mean and std hold the sums of x and of x^2. */
static void measure_add (spread_t *sums, double x)
{
    sums->mean += x;
    sums->std += x * x;
}

/*  Sums of x and x^2 to mean and deviation. Rewards are of the order of 1: nothing cancels
 *  badly. */
static void measure_close_spread (spread_t *s, size_t n)
{
    double count = (double) n;
    s->mean = n ? s->mean / count : 0;
    s->std = n > 1 ? sqrt (fmax (0, (s->std - count * s->mean * s->mean) / (count - 1))) : 0;
}

/*  A task family names its parts, and not every episode has each: they are collected by name, with
 *  a count of their own. Beyond MEASURE_PARTS_MAX they are left out. */
static void measure_add_part (measure_t *m, const wire_part_t *part)
{
    size_t i = 0;
    while (i < m->parts_n && strcmp (m->parts[i].name, part->name) != 0)
        i++;
    if (i == MEASURE_PARTS_MAX)
        return;
    if (i == m->parts_n) {
        m->parts[m->parts_n++] = (measure_part_t){0};
        snprintf (m->parts[i].name, MEASURE_NAME_MAX, "%s", part->name);
    }
    m->parts[i].sum += part->value;
    m->parts[i].n++;
}

/*  agreed: episodes whose agreement is known. */
static void measure_add_episode (measure_t *m, const wire_episode_t *episode, size_t *agreed)
{
    const wire_reward_t *reward = &episode->reward;
    measure_add (&m->reward, reward->reward);
    measure_add (&m->quality, reward->quality);
    measure_add (&m->speed, reward->speed);
    measure_add (&m->cost, reward->cost);
    m->successes += reward->success && !reward->success_unknown;
    m->judged += !reward->success_unknown;
    m->agreement += reward->agreement_unknown ? 0 : reward->agreement;
    *agreed += !reward->agreement_unknown;
    m->critical_path += (double) rollout_critical_path (episode);
    for (size_t c = 0; c < episode->completions_n; c++) {
        const wire_completion_t *completion = &episode->completions[c];
        m->completions++;
        m->tokens += completion->ids.n;
        /* What did not stop by itself was cut by the length limit. */
        m->truncated += !completion->stopped;
        m->longest = completion->ids.n > m->longest ? completion->ids.n : m->longest;
    }
    for (size_t p = 0; p < reward->parts_n; p++)
        measure_add_part (m, &reward->parts[p]);
}

/*  A walk in the order of the flat numbers, so that equal rollouts give equal bits, whoever played
 *  them. */
void measure_rollout (const rollout_t *rollout, measure_t *m)
{
    size_t agreed = 0;
    *m = (measure_t){.groups = rollout->groups, .n = rollout->episodes};
    for (size_t g = 0; g < rollout->groups; g++)
        m->dead += !rollout->group[g];
    for (size_t e = 0; e < rollout->episodes; e++)
        measure_add_episode (m, rollout->episode[e], &agreed);
    measure_close_spread (&m->reward, m->n);
    measure_close_spread (&m->quality, m->n);
    measure_close_spread (&m->speed, m->n);
    measure_close_spread (&m->cost, m->n);
    /* At least 1: where no episode was played the means are 0, and not NaN. */
    double episodes = fmax ((double) m->n, 1);
    /* Known for some: the mean of those. Known for none that was played: NaN, and not 0, which
       would be disagreement. */
    m->agreement = agreed || !m->n ? m->agreement / fmax ((double) agreed, 1) : NAN;
    m->critical_path /= episodes;
    m->episode_tokens = (double) m->tokens / episodes;
    m->completion_tokens = (double) m->tokens / fmax ((double) m->completions, 1);
}

/*  With groups as the whole, those that died count as failed: else a version whose tasks crash
 *  would look better than one whose tasks are finished. */
double measure_pass_rate (const measure_t *m, size_t whole)
{
    if (m->n && !m->judged)
        return NAN;
    return whole ? (double) m->successes / (double) whole : 0;
}

/*  Wilson's interval, since the usual one has no width at rates of 0 and 1, which a few held-out
 *  tasks often give. */
interval_t measure_wilson (size_t successes, size_t n)
{
    if (n == 0)
        return (interval_t){0, 1};
    double count = (double) n, p = (double) successes / count, z2 = Z95 * Z95;
    double middle = (p + z2 / (2 * count)) / (1 + z2 / count);
    double half = Z95 * sqrt (p * (1 - p) / count + z2 / (4 * count * count)) / (1 + z2 / count);
    return (interval_t){fmax (0, middle - half), fmin (1, middle + half)};
}

/*  measure - see measure.h */
#include "measure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "learn/pass.h"

#define Z95 1.959963984540054 /* quantile of the normal distribution at 0.975 */

/*  The n-th value. Until measure_close_spread, std holds the sum of squares of differences from the
 *  mean, kept up with it (Welford 1962): of equal values it is exactly 0. */
static void measure_add (spread_t *s, double x, size_t n)
{
    double off = x - s->mean;
    s->mean += off / (double) n;
    s->std += off * (x - s->mean);
}

static void measure_close_spread (spread_t *s, size_t n)
{
    s->std = n > 1 ? sqrt (s->std / (double) (n - 1)) : 0;
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

/*  The n-th of those that were scored; agreed: those whose agreement is known. */
static void measure_add_reward (measure_t *m, const wire_reward_t *reward, size_t n, size_t *agreed)
{
    measure_add (&m->reward, reward->reward, n);
    measure_add (&m->quality, reward->quality, n);
    measure_add (&m->speed, reward->speed, n);
    measure_add (&m->cost, reward->cost, n);
    m->successes += reward->success && !reward->success_unknown;
    m->judged += !reward->success_unknown;
    m->agreement += reward->agreement_unknown ? 0 : reward->agreement;
    *agreed += !reward->agreement_unknown;
    for (size_t p = 0; p < reward->parts_n; p++)
        measure_add_part (m, &reward->parts[p]);
}

static void measure_add_episode (measure_t *m, const wire_episode_t *episode)
{
    m->critical_path += (double) episode->critical_path;
    m->episode_tokens += (double) episode->tokens;
    for (size_t c = 0; c < episode->completions_n; c++) {
        const wire_completion_t *completion = &episode->completions[c];
        m->completions++;
        m->tokens += completion->ids.n;
        /* What did not stop by itself was cut by the length limit. */
        m->truncated += !completion->stopped;
        m->longest = completion->ids.n > m->longest ? completion->ids.n : m->longest;
    }
}

/*  A walk in the order of the flat numbers, so that equal rollouts give equal bits, whoever played
 *  them. */
void measure_rollout (const rollout_t *rollout, measure_t *m)
{
    size_t agreed = 0;
    *m = (measure_t){.groups = rollout->groups, .n = rollout->episodes};
    for (size_t g = 0; g < rollout->groups; g++)
        m->dead += !rollout->group[g];
    for (size_t e = 0; e < rollout->episodes; e++) {
        const wire_episode_t *episode = rollout->episode[e];
        m->unscored += episode->reward.unscored;
        if (!episode->reward.unscored)
            measure_add_reward (m, &episode->reward, e + 1 - m->unscored, &agreed);
        measure_add_episode (m, episode);
    }
    measure_close_spread (&m->reward, m->n - m->unscored);
    measure_close_spread (&m->quality, m->n - m->unscored);
    measure_close_spread (&m->speed, m->n - m->unscored);
    measure_close_spread (&m->cost, m->n - m->unscored);
    /* At least 1: where no episode was played the means are 0, and not NaN. */
    double episodes = fmax ((double) m->n, 1);
    /* Known for some: the mean of those. Known for none that was played: NaN, and not 0, which
       would be disagreement. */
    m->agreement = agreed || !m->n ? m->agreement / fmax ((double) agreed, 1) : NAN;
    m->critical_path /= episodes;
    m->episode_tokens /= episodes;
    /* Where servers played alone, nobody has sampled here. */
    m->completion_tokens =
        m->completions || !m->n ? (double) m->tokens / fmax ((double) m->completions, 1) : NAN;
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
interval_t measure_wilson (double p, double n)
{
    if (!(n > 0))
        return (interval_t){0, 1};
    double z2 = Z95 * Z95;
    double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
    double half = Z95 * sqrt (p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n);
    return (interval_t){fmax (0, middle - half), fmin (1, middle + half)};
}

/*  Of a task's episodes, how many passed. */
static size_t measure_passes (const rollout_t *rollout, size_t group)
{
    size_t passes = 0;
    for (size_t e = rollout->first_episode[group]; e < rollout->first_episode[group + 1]; e++)
        passes +=
            rollout->episode[e]->reward.success && !rollout->episode[e]->reward.success_unknown;
    return passes;
}

/*  Samples of one task are alike, so k of them tell less than k tasks would: the interval is
 *  Wilson's for the number of independent episodes that would vary as much as the means of the
 *  tasks do (Kish 1965, "effective sample size"), which lies between tasks and tasks x k. Where all
 *  pass or none does, nothing shows how alike they are: then the tasks count, the smallest. */
static double measure_effective (const rollout_t *rollout, double p, size_t samples)
{
    double tasks = (double) rollout->groups, squares = 0;
    if (samples == 1 || p <= 0 || p >= 1)
        return tasks;
    for (size_t g = 0; g < rollout->groups; g++) {
        double off = (double) measure_passes (rollout, g) / (double) samples - p;
        squares += off * off;
    }
    double variance = squares / (tasks * fmax (tasks - 1, 1)); /* of the mean of the tasks */
    return fmin (fmax (p * (1 - p) / variance, tasks), tasks * (double) samples);
}

measure_rate_t measure_tasks (const rollout_t *rollout, const measure_t *measure, size_t samples)
{
    double p = measure_pass_rate (measure, rollout->groups * samples);
    interval_t none = {NAN, NAN};
    /* Where no scorer tells of success there is no interval either. */
    return (measure_rate_t){
        .rate = p,
        .wide = isfinite (p) ? measure_wilson (p, measure_effective (rollout, p, samples)) : none};
}

double measure_tasks_pass_at (const rollout_t *rollout, const measure_t *measure, size_t samples,
                              size_t k)
{
    double sum = 0;
    if (!isfinite (measure_pass_rate (measure, rollout->groups)) || rollout->groups == 0)
        return NAN;
    for (size_t g = 0; g < rollout->groups; g++)
        sum += pass_at (samples, measure_passes (rollout, g), k);
    return sum / (double) rollout->groups;
}

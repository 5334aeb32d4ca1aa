/*  measure - what a step's or an evaluation's episodes were like; pure.
 *
 *      measure_t measure;
 *      measure_rollout (rollout, &measure);
 *      measure_rate_t pass = measure_tasks (rollout, &measure, samples);     interval included
 */
#ifndef QUINTET_TRAINER_MEASURE_H
#define QUINTET_TRAINER_MEASURE_H

#include <stddef.h>

#include "rollout.h"

#define MEASURE_PARTS_MAX 48
#define MEASURE_NAME_MAX  48

typedef struct {
    double mean, std; /* std with n - 1 */
} spread_t;

typedef struct {
    char name[MEASURE_NAME_MAX];
    double sum;
    size_t n; /* episodes that have this part */
} measure_part_t;

typedef struct {
    size_t groups, dead;      /* dead groups count nowhere else */
    size_t n, unscored;       /* episodes; of these, those that a judge named no number for */
    size_t successes, judged; /* episodes that had success, and those of which anybody says so */
    spread_t reward, quality, speed, cost;
    double agreement;         /* mean; NAN: nobody measured it */
    double critical_path;     /* mean, tokens */
    double episode_tokens;    /* mean, with what engines wrote */
    double completion_tokens; /* mean */
    size_t longest;           /* completion */
    size_t completions, tokens, truncated;
    measure_part_t parts[MEASURE_PARTS_MAX];
    size_t parts_n;
} measure_t;

void measure_rollout (const rollout_t *rollout, measure_t *measure);

/*  successes / whole, which is episodes or groups; NAN when a scorer told of no success. */
double measure_pass_rate (const measure_t *measure, size_t whole);

/*  95% interval of a rate among n (Wilson 1927, score interval). n = 0: [0, 1]. */
typedef struct {
    double low, high;
} interval_t;
interval_t measure_wilson (double rate, double n);

/*  An evaluation of `samples` episodes of each task; tasks whose group died have passed in none. */
typedef struct {
    double rate;     /* share of all episodes that passed (avg@k); NAN as with measure_pass_rate */
    interval_t wide; /* its 95% interval */
} measure_rate_t;
measure_rate_t measure_tasks (const rollout_t *rollout, const measure_t *measure, size_t samples);
/*  Mean over the tasks of pass@k. */
double measure_tasks_pass_at (const rollout_t *rollout, const measure_t *measure, size_t samples,
                              size_t k);

#endif

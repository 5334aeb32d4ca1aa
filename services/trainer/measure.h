/*  measure - what a step's or an evaluation's episodes were like; pure.
 *
 *      measure_t measure;
 *      measure_rollout (rollout, &measure);
 *      interval_t interval = measure_wilson (measure.successes, measure.n);
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
    size_t n;                 /* episodes */
    size_t successes, judged; /* episodes that had success, and those of which anybody says so */
    spread_t reward, quality, speed, cost;
    double agreement;         /* mean; NAN: nobody measured it */
    double critical_path;     /* mean, tokens */
    double episode_tokens;    /* mean */
    double completion_tokens; /* mean */
    size_t longest;           /* completion */
    size_t completions, tokens, truncated;
    measure_part_t parts[MEASURE_PARTS_MAX];
    size_t parts_n;
} measure_t;

void measure_rollout (const rollout_t *rollout, measure_t *measure);

/*  successes / whole, which is episodes or groups; NAN when a scorer told of no success. */
double measure_pass_rate (const measure_t *measure, size_t whole);

/*  95% interval of a rate (Wilson 1927, score interval). n = 0: [0, 1]. */
typedef struct {
    double low, high;
} interval_t;
interval_t measure_wilson (size_t successes, size_t n);

#endif

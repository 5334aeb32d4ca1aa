/*  schedule - the learning rate of a step; pure.
 *
 *      schedule_t schedule = {SCHEDULE_LINEAR, .lr = 1e-3, .end = 0.1, .warmup = 5, .steps = 100};
 *      double lr = schedule_lr (&schedule, step);              step = steps done before it
 */
#ifndef QUINTET_TRAINER_SCHEDULE_H
#define QUINTET_TRAINER_SCHEDULE_H

#include <stdint.h>

typedef enum { SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_COSINE } schedule_kind_t;

typedef struct {
    schedule_kind_t kind;
    double lr;       /* at its highest */
    double end;      /* share of lr that the last step would reach */
    uint64_t warmup; /* steps of linear rise, the first one at lr / warmup */
    uint64_t steps;  /* of the whole run */
} schedule_t;

/*  "constant", "linear", "cosine"; anything else is constant (the configuration checks choices). */
schedule_kind_t schedule_kind (const char *name);
double schedule_lr (const schedule_t *schedule, uint64_t step);

#endif

/*  arm - one arm of an experiment under one seed: an ordinary run's folder, OUT/ARM/seed-N.
 *
 *      arm_t arm = {.plan = plan, .arm = &plan->arms[0], .seed = 1, .out = "runs/coding-arms"};
 *      if (arm_find (&arm, &err) == 0 && !arm.finished) arm_run (&arm, on_line, context, &err);
 *      if (!arm.timed) arm_clock (&arm, &err);
 */
#ifndef QUINTET_CLI_ARM_H
#define QUINTET_CLI_ARM_H

#include "base/fs.h"
#include "plan.h"

#define ARM_CLOCK "clock.json"

typedef struct {
    const plan_t *plan;
    const plan_arm_t *arm;
    uint64_t seed;
    const char *out; /* of the experiment */
    /* found */
    char dir[FS_PATH_MAX];
    size_t steps; /* that it will make, or until its budget is used up */
    bool begun, finished, timed;
} arm_t;

/*  dir alone. */
int arm_place (arm_t *arm, err_t *err);
/*  What is there already. ERR_CONFIG: it was made under another configuration. */
int arm_find (arm_t *arm, err_t *err);
/*  `quintet run` of it, from its start or from where it was stopped. */
int arm_run (arm_t *arm, void (*on_line) (void *context, const json_t *line), void *context,
             err_t *err);
/*  `quintet play` of its held-out tasks with what it has learnt, one after the other: seconds by
 *  task into clock.json. */
int arm_clock (arm_t *arm, err_t *err);

#endif

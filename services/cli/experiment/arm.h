/*  arm - one arm of an experiment under one seed: an ordinary run's folder, OUT/ARM/seed-N.
 *
 *      arm_t arm = {.plan = plan, .arm = &plan->arms[0], .seed = 1, .out = "runs/coding-arms"};
 *      if (arm_find (&arm, &err) == 0 && !arm.finished) arm_run (&arm, on_line, context, &err);
 *      if (arm.rounds < ARM_ROUNDS) arm_clock (&arm, &err);
 */
#ifndef QUINTET_CLI_ARM_H
#define QUINTET_CLI_ARM_H

#include "base/fs.h"
#include "plan.h"

#define ARM_CLOCK  "clock.json"
#define ARM_ROUNDS 3

typedef struct {
    const plan_t *plan;
    const plan_arm_t *arm;
    uint64_t seed;
    const char *out; /* of the experiment */
    /* found */
    char dir[FS_PATH_MAX];
    size_t steps; /* that it will make, or until its budget is used up */
    bool begun, finished;
    size_t rounds; /* that it was timed for, of ARM_ROUNDS */
} arm_t;

/*  dir alone. */
int arm_place (arm_t *arm, err_t *err);
/*  What is there already. ERR_CONFIG: it was made under another configuration. */
int arm_find (arm_t *arm, err_t *err);
/*  `quintet run` of it, from its start or from where it was stopped. */
int arm_run (arm_t *arm, void (*on_line) (void *context, const json_t *line), void *context,
             err_t *err);
/*  One more round of `quintet play` of its held-out tasks with what it has learnt, one after the
 *  other: into clock.json goes the shortest time of each so far, {"rounds", "tasks": {ID: [write_s,
 *  score_s]}}. What else happens on the machine only ever adds time. */
int arm_clock (arm_t *arm, err_t *err);

#endif

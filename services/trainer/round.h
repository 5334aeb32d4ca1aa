/*  round - one step's groups on their way: written, opened in the store, waited for, read back.
 *
 *      round_t *round = round_open (&source, WIRE_TRAIN, step, &err);
 *      while ((rc = round_poll (round, &err)) == 0) ...                 at most four times a second
 *      rollout_t *rollout = round_take (round, &err);
 *      round_commit (round, &err);
 *      round_destroy (&round);
 *
 *  In the store, step s is what happens under version s - 1: the groups from which version s is
 *  made, and the evaluation of version s - 1. So everything after the checkpoint of version v has
 *  a number above v.
 */
#ifndef QUINTET_TRAINER_ROUND_H
#define QUINTET_TRAINER_ROUND_H

#include "rollout.h"
#include "store/store.h"
#include "task/task.h"
#include "team.h"
#include "wire/wire.h"

/*  Where rounds come from; borrowed by the round. */
typedef struct {
    store_t *store;
    const char *run;
    uint64_t epoch;
    const team_t *team;
    const task_set_t *tasks;
} round_source_t;

typedef struct round round_t;

/*  Training: trainer.groups groups of trainer.group_size episodes. Evaluation: the first
 *  evaluation.tasks held-out tasks, one greedy episode each, or evaluation.samples of them sampled
 *  as the configuration's evaluation section says. */
round_t *round_open (const round_source_t *source, wire_phase_t phase, uint64_t step, err_t *err);
void round_destroy (round_t **round);
/*  Further groups of a training round that is finished so far, on other tasks; they are numbered
 *  on. At most CONF_RESAMPLE_MAX times. After a failure the round is as it was. */
int round_grow (round_t *round, size_t groups, err_t *err);
/*  How many times groups were opened. */
size_t round_draws (const round_t *round);

/*  1: every group is committed or dead; 0: not yet; -1. */
int round_poll (round_t *round, err_t *err);
/*  Sets a timeout error that says what is missing, and what was in its way ("": not known);
 *  returns -1. */
int round_late (const round_t *round, double waited_s, const char *trouble, err_t *err);
/*  The finished groups; the caller destroys them. */
rollout_t *round_take (round_t *round, err_t *err);
/*  Tells the store that they are used. */
int round_commit (round_t *round, err_t *err);

/*  Of all, and of those that were opened last. */
size_t round_groups (const round_t *round);
size_t round_waited (const round_t *round);
size_t round_group_size (const round_t *round);

#endif

/*  update - one optimiser update of a policy from one minibatch.
 *
 *      update_options_t options = {.loss = loss, .adamw = adamw};
 *      update_run (policy, batch, &options, &stats, &err);
 *
 *  A pure function of weights, optimiser state, batch and options: losses are computed per
 *  completion on any thread, their sums taken afterwards in the order of the batch. A gradient
 *  that is not finite is an error, and nothing is applied.
 */
#ifndef QUINTET_TRAINER_UPDATE_H
#define QUINTET_TRAINER_UPDATE_H

#include "batch.h"
#include "learn/loss.h"
#include "model/adamw.h"
#include "policy.h"

#define UPDATE_ROLES_MAX 8 /* as many as a team may have */

typedef struct {
    loss_config_t loss;
    adamw_options_t adamw;
} update_options_t;

/*  Of one step: update_run adds to it. {0} is empty. */
typedef struct {
    size_t updates;
    loss_sums_t sums;
    double entropy;       /* summed over tokens */
    double logp_diff_max; /* |training - sampling| of the first update, before any weight moved */
    double gradient_norm; /* before clipping, largest of the updates */
    size_t tokens;        /* computed */
    double role_entropy[UPDATE_ROLES_MAX]; /* the same of each role alone */
    size_t role_tokens[UPDATE_ROLES_MAX];
} update_stats_t;

/*  Fills batch->old: before the first update of a step, when its losses correct for the sampler's
 *  numerics. */
int update_start (policy_t *policy, batch_t *batch, err_t *err);

int update_run (policy_t *policy, const batch_t *batch, const update_options_t *options,
                update_stats_t *stats, err_t *err);

/*  A step's updates, one from each of n minibatches: whole groups of the source in order, n at most
 *  as many as there are. stats begin anew. */
int update_step (policy_t *policy, const batch_source_t *source, size_t n,
                 const update_options_t *options, update_stats_t *stats, err_t *err);

#endif

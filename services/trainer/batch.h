/*  batch - the completions of one policy in one minibatch, as training wants them; pure.
 *
 *      batch_t *batch = batch_new (&source, first_group, end_group, &err);
 *      train_run (train, batch->groups, batch->groups_n, loss, batch, gradient, &err);
 *      batch_destroy (&batch);
 *
 *  A train group is a prompt, which is of one role, with all completions that share it, inside one
 *  group of the step; groups and completions keep their order. Completions that cannot change the
 *  weights are left out: masked ones, and groups whose advantages are all zero (unless a KL term
 *  reads them). The normaliser counts them all the same, as if they had been computed.
 */
#ifndef QUINTET_TRAINER_BATCH_H
#define QUINTET_TRAINER_BATCH_H

#include <stdbool.h>

#include "learn/loss.h"
#include "model/train.h"
#include "rollout.h"

typedef struct {
    const rollout_t *rollout;
    const double *advantages;  /* by flat number of the completion */
    const size_t *policies;    /* of each role */
    size_t policy;             /* the one whose batch this is */
    const float *temperatures; /* that each role draws at; NULL: 1 */
    bool mask_truncated;       /* leave completions out that the length limit cut */
    bool keep_flat;            /* compute groups without advantages, too */
} batch_source_t;

typedef struct {
    size_t number; /* flat number in the rollout */
    const wire_completion_t *completion;
    size_t first_token; /* in the batch */
    double advantage;
} batch_item_t;

typedef struct {
    train_group_t *groups;
    size_t groups_n;
    size_t *first_item; /* groups_n + 1 */
    train_tokens_t *completions;
    batch_item_t *items; /* one per completion, in the same order */
    size_t items_n, tokens;
    /* [tokens] under the weights of the step's start; NULL: as the sampler reported them */
    float *old;
    loss_norm_t norm;
} batch_t;

/*  Groups first..end-1 of the step. ERR_LIMIT when memory runs out. */
batch_t *batch_new (const batch_source_t *source, size_t first, size_t end, err_t *err);
void batch_destroy (batch_t **batch);

#endif

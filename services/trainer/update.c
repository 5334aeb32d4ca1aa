/*  update - see update.h
 *
 *  Threads work on groups side by side. What they add up lies apart for each completion (work_t's
 *  parts) and is summed afterwards in the order of the batch, so no sum depends on which thread
 *  was first.
 */
#include "update.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MINIBATCHES_MAX 64 /* keys.h */

/*  What one completion adds to the sums. */
typedef struct {
    loss_sums_t loss;
    double entropy, logp_diff_max;
} part_t;

typedef struct {
    const batch_t *batch;
    const loss_config_t *loss;
    const float *reference; /* log-probabilities of the batch's tokens; NULL without a KL term */
    double *logp, *old, *ref, *sampler,
        *dlogp;    /* by token of the batch: each completion has its own place */
    part_t *parts; /* by item of the batch */
} work_t;

static void update_work_close (work_t *work)
{
    free (work->logp);
    free (work->old);
    free (work->ref);
    free (work->sampler);
    free (work->dlogp);
    free (work->parts);
}

static int update_work_open (work_t *work, const batch_t *batch, const loss_config_t *loss,
                             err_t *err)
{
    size_t n = batch->tokens + 1;
    *work = (work_t){.batch = batch,
                     .loss = loss,
                     .logp = calloc (n, sizeof (double)),
                     .old = calloc (n, sizeof (double)),
                     .ref = calloc (n, sizeof (double)),
                     .sampler = calloc (n, sizeof (double)),
                     .dlogp = calloc (n, sizeof (double)),
                     .parts = calloc (batch->items_n + 1, sizeof (part_t))};
    if (work->logp && work->old && work->ref && work->sampler && work->dlogp && work->parts)
        return 0;
    update_work_close (work);
    return err_set (err, ERR_LIMIT, "no memory for the losses of %zu tokens", batch->tokens);
}

/*  Loss and gradient of one completion; logp, entropy and dlogp are its own tokens'. */
static void update_one_completion (work_t *work, size_t item, const float *logp,
                                   const float *entropy, float *dlogp)
{
    const batch_item_t *it = &work->batch->items[item];
    part_t *part = &work->parts[item];
    size_t n = it->completion->ids.n, at = it->first_token;
    for (size_t t = 0; t < n; t++) {
        work->logp[at + t] = logp[t];
        work->sampler[at + t] = it->completion->logps[t];
        /* "old" is what the ratio of the loss is taken against: the log-probabilities before the
           first update of the step, or, when nobody asked for those, the ones that the agent
           recorded while sampling. */
        work->old[at + t] = work->batch->old ? work->batch->old[at + t] : it->completion->logps[t];
        work->ref[at + t] = work->reference ? work->reference[at + t] : 0;
        part->entropy += entropy[t];
        /* How far sampling and training are apart on the same weights. It should be 0 up to
           rounding; a greater one means that two programs compute differently, and is told in
           the metrics. */
        part->logp_diff_max =
            fmax (part->logp_diff_max, fabs ((double) logp[t] - it->completion->logps[t]));
    }
    /* The formula is in lib/learn/loss.c; here its inputs are only laid out by token. */
    loss_sequence_t sequence = {.n = n,
                                .logp = work->logp + at,
                                .old = work->old + at,
                                .ref = work->reference ? work->ref + at : NULL,
                                .sampler = work->sampler + at,
                                .advantage = it->advantage};
    loss_sequence (work->loss, &work->batch->norm, &sequence, work->dlogp + at, &part->loss);
    for (size_t t = 0; t < n; t++)
        dlogp[t] = (float) work->dlogp[at + t];
}

/*  Called by the threads of train_run, each with groups of its own. What is written belongs to
 *  the items of this group alone, so no lock is needed. */
static void update_on_group (void *context, size_t group, size_t first, const float *logp,
                             const float *entropy, float *dlogp)
{
    work_t *work = context;
    const batch_t *batch = work->batch;
    for (size_t i = batch->first_item[group]; i < batch->first_item[group + 1]; i++) {
        size_t at = batch->items[i].first_token - first;
        update_one_completion (work, i, logp + at, entropy + at, dlogp + at);
    }
}

static void update_add_up (const work_t *work, update_stats_t *stats)
{
    for (size_t i = 0; i < work->batch->items_n; i++) {
        const part_t *part = &work->parts[i];
        loss_add (&stats->sums, &part->loss);
        stats->entropy += part->entropy;
        const wire_completion_t *completion = work->batch->items[i].completion;
        if (completion->role < UPDATE_ROLES_MAX) {
            stats->role_entropy[completion->role] += part->entropy;
            stats->role_tokens[completion->role] += completion->ids.n;
        }
        /* After the first update the weights are others, and the difference is no longer an
           error. */
        if (stats->updates == 0)
            stats->logp_diff_max = fmax (stats->logp_diff_max, part->logp_diff_max);
    }
    stats->tokens += work->batch->tokens;
}

/*  Only for losses that correct for off-policy sampling: they need the log-probabilities of the
 *  whole step under the weights with which it begins. */
int update_start (policy_t *policy, batch_t *batch, err_t *err)
{
    batch->old = calloc (batch->tokens + 1, sizeof *batch->old);
    if (!batch->old)
        return err_set (err, ERR_LIMIT, "no memory for %zu log-probabilities", batch->tokens);
    return train_score (policy->train, batch->groups, batch->groups_n, batch->old, NULL, err);
}

/*  The reference's log-probabilities are computed before the gradient: both use the same threads,
 *  and the KL term needs them token by token. */
static int update_gradient_of (policy_t *policy, const batch_t *batch,
                               const update_options_t *options, update_stats_t *stats, err_t *err)
{
    work_t work;
    if (update_work_open (&work, batch, &options->loss, err) != 0)
        return -1;
    float *reference = NULL;
    int rc = 0;
    if (options->loss.kl > 0) {
        reference = calloc (batch->tokens + 1, sizeof *reference);
        rc = reference ? train_score (policy->reference_train, batch->groups, batch->groups_n,
                                      reference, NULL, err)
                       : err_set (err, ERR_LIMIT, "no memory for reference log-probabilities");
    }
    work.reference = reference;
    if (rc == 0)
        rc = train_run (policy->train, batch->groups, batch->groups_n, update_on_group, &work,
                        policy->gradient, err);
    if (rc == 0)
        update_add_up (&work, stats);
    free (reference);
    update_work_close (&work);
    return rc;
}

/*  A minibatch in which nothing was played still makes an update with a gradient of 0: the number
 *  of updates, and with it AdamW's bias correction, must not depend on what happened to be
 *  played. */
int update_run (policy_t *policy, const batch_t *batch, const update_options_t *options,
                update_stats_t *stats, err_t *err)
{
    if (batch->groups_n == 0)
        memset (policy->gradient, 0, policy->n * sizeof *policy->gradient);
    else if (update_gradient_of (policy, batch, options, stats, err) != 0)
        return -1;
    double norm = 0;
    if (adamw_step (&policy->optimiser, &options->adamw, policy->model, policy->params,
                    policy->gradient, policy->pool, &norm) != 0)
        return err_set (err, ERR_CONFIG,
                        "policy %s: the gradient of update %zu is not finite (norm %g), nothing of "
                        "it was applied: lower trainer.lr or set trainer.clip_norm",
                        policy->name, stats->updates + 1, norm);
    /* A finite gradient may still make a weight that is none. Such weights must not go anywhere:
     * neither to agents nor to a checkpoint from which the run would go on. */
    if (adamw_check (policy->model, policy->params, policy->n, policy->pool, err) != 0)
        return err_wrap (
            err, "policy %s: update %zu made weights that are not finite (lower trainer.lr)",
            policy->name, stats->updates + 1);
    model_set (policy->model, policy->params, policy->pool);
    stats->gradient_norm = fmax (stats->gradient_norm, norm);
    stats->updates++;
    return 0;
}

/*  With a correction for off-policy sampling the log-probabilities before the first update are
 *  needed for all minibatches, so all batches are made first. */
int update_step (policy_t *policy, const batch_source_t *source, size_t n,
                 const update_options_t *options, update_stats_t *stats, err_t *err)
{
    batch_t *batches[MINIBATCHES_MAX] = {0};
    size_t groups = source->rollout->groups;
    int rc = 0;
    /* A step of fewer groups than minibatches has one group in each. */
    n = n > groups ? groups : n;
    *stats = (update_stats_t){0};
    for (size_t m = 0; rc == 0 && m < n; m++) {
        batches[m] = batch_new (source, groups * m / n, groups * (m + 1) / n, err);
        rc = batches[m] ? 0 : -1;
        if (rc == 0 && options->loss.correction != LOSS_CORRECT_NONE)
            rc = update_start (policy, batches[m], err);
    }
    for (size_t m = 0; rc == 0 && m < n; m++)
        rc = update_run (policy, batches[m], options, stats, err);
    for (size_t m = 0; m < n; m++)
        batch_destroy (&batches[m]);
    return rc;
}

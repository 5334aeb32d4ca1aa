/*  train - forward and backward over a batch of completions.
 *
 *      train_t *train = train_new (model, pool, &err);
 *      train_run (train, groups, n, loss, context, gradient, &err);
 *      train_destroy (&train);
 *
 *  A batch is a list of groups; the completions of a group share its prompt, which is computed
 *  once, forward and backward. Only positions that emitted a completion token meet the head, and
 *  logits are never stored for the whole batch.
 *
 *  The batch is cut into a fixed number of pieces by group, whatever the number of threads; each
 *  piece has its own gradient, and the pieces are summed in a fixed tree: same bits on 1 and 8
 *  threads.
 */
#ifndef QUINTET_MODEL_TRAIN_H
#define QUINTET_MODEL_TRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "model/model.h"

typedef struct {
    const int32_t *ids;
    size_t n;
} train_tokens_t;

typedef struct {
    train_tokens_t prompt;             /* at least one id */
    const train_tokens_t *completions; /* each at least one id */
    size_t completions_n;
    float temperature; /* that they were drawn at; 0: 1 */
} train_group_t;

/*  Called once per group from any thread, for disjoint groups at a time. The tokens of the group's
 *  completions lie one completion after the other; first is the index of the group's first token
 *  in the batch (all completions of all groups in order). logp: log softmax (logits / temperature)
 *  of each token; entropy: of that distribution. Sets dlogp = d loss / d logp, the caller's minus
 *  sign and normalisation included. With a value head, logp holds the value at the position before
 *  each token (V of the state in which it was chosen) and entropy is 0. */
typedef void (*train_loss_fn) (void *context, size_t group, size_t first, const float *logp,
                               const float *entropy, float *dlogp);

typedef struct train train_t;

/*  The model is borrowed; model_set on it between runs is fine. */
train_t *train_new (const model_t *model, pool_t *pool, err_t *err);
void train_destroy (train_t **train);

/*  Bytes of activations, and of logits, that one group may take before they are thrown away and
 *  computed a second time on the way back (a third more work, a fraction of the memory). 0 leaves
 *  a limit as it is; by default they grow with the model. */
void train_limit (train_t *train, size_t activations, size_t logits);

/*  Between steps others need the memory that large groups took: gives it back; the next run gets
 *  it anew, which costs it the time of touching new pages. */
void train_rest (train_t *train);

/*  gradient: model_params floats, overwritten. Works through the batch with memory for one group
 *  per thread, and keeps that for the next run. */
int train_run (train_t *train, const train_group_t *groups, size_t n, train_loss_fn loss,
               void *context, float *gradient, err_t *err);

/*  Forward only: logp and entropy of every token of the batch, in batch order (entropy may be
 *  NULL); with a value head logp holds values. */
int train_score (train_t *train, const train_group_t *groups, size_t n, float *logp, float *entropy,
                 err_t *err);

/*  Bytes that train_run needs for such groups, besides the model and the gradient that it is
 *  given. */
size_t train_bytes (const train_t *train, const train_group_t *groups, size_t n);

#endif

/*  forward - the forward pass in pieces that sampler and trainer share, so that the log-probability
 *  of a token has the same bits in both.
 *
 *      forward_embed (model, ids, n, x);
 *      for (size_t l = 0; l < model->config.layers; l++) {
 *          forward_norm (model, &layer->norm_attention, x, n, h, NULL);
 *          forward_matmul (model, &layer->qkv, h, n, NULL, qkv, scratch, pool);   adds its bias
 *          forward_heads (model, l, qkv_row, position, q_row, k_row, v_row);      per row
 *          kv_put (model, own, l, position, k_row, v_row);                        per row
 *          forward_attention (model, l, q_row, position, prefix, own, att_row, scores, NULL, NULL);
 *          forward_matmul (model, &layer->out, att, n, x, x, scratch, pool);      x += att W
 *          forward_norm (model, &layer->norm_mlp, x, n, h, NULL);
 *          forward_matmul (model, &layer->gate_up, h, n, NULL, gate_up, scratch, pool);
 *          forward_swiglu (model, gate_up, n, act);
 *          forward_matmul (model, &layer->down, act, n, x, x, scratch, pool);
 *      }
 *      forward_norm (model, &model->norm, x, n, h, NULL);
 *      forward_matmul (model, &model->head, h, n, NULL, logits, scratch, pool);
 *      forward_head_logp (model, logits_row, temperature, id, &logp, &entropy, NULL, NULL);
 *
 *  Arrays are row-major float32 without gaps: x, h [n, width]; qkv [n, q_dim + 2 kv_dim]; q, att
 *  [n, q_dim]; k, v [n, kv_dim]; gate_up [n, 2 ff]; act [n, ff]; logits [n, vocab]. A pool may be
 *  NULL; it only makes a call faster. Nothing here allocates, apart from *_new.
 */
#ifndef QUINTET_MODEL_FORWARD_H
#define QUINTET_MODEL_FORWARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "model/weights.h"

/*  ---- keys and values ---- Those of positions first * 16 .. (first + blocks) * 16 - 1 of one
 *  sequence, all layers. A shared prefix of P positions ends at block P / 16 (rounded down); what
 *  sticks out beyond is copied into each continuation's own blocks (kv_branch), so that every
 *  block has one owner and position j is always in the same lane: attention over prefix + own
 *  gives the bits of attention over one run. */
typedef struct {
    float *data; /* [layers][kv_heads][blocks][kernels_block_floats] */
    size_t first, blocks;
} kv_t;

/*  Floats that the data of a kv_t takes. */
size_t kv_floats (const model_t *model, size_t blocks);
/*  Blocks that a continuation at positions from .. to - 1 needs of its own: first = from / 16. */
static inline size_t kv_blocks (size_t from, size_t to)
{
    return (to + KERNELS_BLOCK - 1) / KERNELS_BLOCK - from / KERNELS_BLOCK;
}
/*  First block of one kv head; the others follow. */
float *kv_head (const model_t *model, const kv_t *kv, size_t layer, size_t head);
/*  Writes the key and value rows (kv_dim floats each, after norm and rope) of a position. */
void kv_put (const model_t *model, kv_t *kv, size_t layer, size_t position, const float *k,
             const float *v);
/*  Prefetches the memory that kv_put will write. */
void kv_prefetch (const model_t *model, const kv_t *kv, size_t layer, size_t position);
/*  Copies blocks first .. first + blocks - 1 of the sequence (all layers), which both have. */
void kv_copy (const model_t *model, const kv_t *from, kv_t *to, size_t first, size_t blocks);
/*  Copies positions own->first * 16 .. length - 1 from the prefix into own (all layers). */
void kv_branch (const model_t *model, const kv_t *prefix, size_t length, kv_t *own);

/*  ---- rows ---- */
void forward_embed (const model_t *model, const int32_t *ids, size_t n, float *x);
/*  RMSNorm. scale: [n] gets 1 / rms of every row, or NULL. */
void forward_norm (const model_t *model, const weights_vector_t *gain, const float *x, size_t n,
                   float *y, float *scale);

/*  y [n, outputs] = x [n, k] W^T + bias + add (both as far as they are given; not both at once),
 *  and what adapters add. add may be y, x may not. scratch: forward_scratch (model, n) bytes (0 of
 *  them for f32 without adapters; NULL then). */
void forward_matmul (const model_t *model, const weights_matrix_t *w, const float *x, size_t n,
                     const float *add, float *y, void *scratch, pool_t *pool);
/*  What adapters add alone: y [n, outputs] += that. */
void forward_adapt (const model_t *model, const weights_matrix_t *w, const float *x, size_t n,
                    float *y, void *scratch, pool_t *pool);
size_t forward_scratch (const model_t *model, size_t n);

/*  From one row of the qkv product: q, k after QK-norm (when the model has it) and rope at
 *  position, and v. */
void forward_heads (const model_t *model, size_t layer, const float *qkv, size_t position, float *q,
                    float *k, float *v);

/*  One row: all heads of q [q_dim] over positions 0 .. position; out [q_dim]. own holds the blocks
 *  from own->first on, prefix those before (NULL when own->first is 0). scores: position + 16
 *  floats of scratch. max, sum: [heads] of the softmax, or both NULL; key j has the probability
 *  exp (q . k_j / sqrt (head_dim) - max) / sum. */
void forward_attention (const model_t *model, size_t layer, const float *q, size_t position,
                        const kv_t *prefix, const kv_t *own, float *out, float *scores, float *max,
                        float *sum);
/*  The same; meanwhile the blocks of `next`, whose turn comes next in that layer, are
 *  prefetched. */
void forward_attention_ahead (const model_t *model, size_t layer, const float *q, size_t position,
                              const kv_t *prefix, const kv_t *own, float *out, float *scores,
                              float *max, float *sum, const kv_t *next);
void forward_swiglu (const model_t *model, const float *gate_up, size_t n, float *act);

/*  ---- the head ---- logp of id under softmax (logits / temperature) and the entropy (may be
 *  NULL) of that; temperature 0 counts as 1. exps: [vocab] gets exp (logits / temperature - max)
 *  when not NULL (may be logits); the probabilities are exps / (*sum). sum may be NULL. */
void forward_head_logp (const model_t *model, const float *logits, float temperature, int32_t id,
                        float *logp, float *entropy, float *exps, float *sum);
/*  Draws an id with a uniform u in [0, 1) (inverse of the cumulative sum over ids), or the
 *  likeliest (lowest id on ties) at temperature 0, and gives the logp that forward_head_logp gives
 *  for it. exps: [vocab] of scratch. */
int32_t forward_head_sample (const model_t *model, const float *logits, float temperature, float u,
                             float *exps, float *logp);

/*  ---- the whole pass over rows, for sampling and for model_logits ---- */
typedef struct {
    int32_t id;
    size_t position;
    const kv_t *prefix;   /* NULL: none */
    kv_t *own;            /* gets the row's key and value */
    const model_t *model; /* whose adapters; on the base of forward_use's model. NULL: that model */
} forward_row_t;

typedef struct forward forward_t;

/*  Buffers for `rows` rows at once, sequences up to `context`, and pools of up to `threads`. */
forward_t *forward_new (const model_t *model, size_t rows, size_t context, size_t threads,
                        err_t *err);
void forward_destroy (forward_t **forward);
/*  What comes next reads another model of the same shape. Adapted models of one base may come
 *  together: the base is read once for all rows, adapters for each run of rows that have them. */
void forward_use (forward_t *forward, const model_t *model);
size_t forward_bytes (const forward_t *forward);
/*  All layers and the last norm, n <= rows. Rows of one sequence may come together, in any order.
 *  Returns [n, width], valid until the next call. */
const float *forward_run (forward_t *forward, const forward_row_t *rows, size_t n, pool_t *pool);
/*  How many rows forward_head takes at once (logits are large); at least 1. */
size_t forward_head_rows (const forward_t *forward);
/*  The head on m of the rows that forward_run has just computed, picked by index. Returns [m,
 *  outputs of the head], valid until the next call; the caller may overwrite it. */
float *forward_head (forward_t *forward, const size_t *picked, size_t m, pool_t *pool);

#endif

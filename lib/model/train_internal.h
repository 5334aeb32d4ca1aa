/*  train_internal - one group on its way through the network. Private to train*.c.
 *
 *      train.c           batches, pieces, the sum of the gradients
 *      train_work.c      memory for a group, and where its rows lie
 *      train_forward.c   the rows forwards, activations kept
 *      train_backward.c  and backwards
 *
 *  The rows of a group: the prompt's at positions 0 .. P - 1, then of each completion all tokens
 *  but the last, at positions P and on. Row P - 1 and the rows after it meet the head ("head
 *  rows"): token j of a completion is chosen at row P - 1 (j = 0) or at the completion's row j -
 *  1.
 */
#ifndef QUINTET_MODEL_TRAIN_INTERNAL_H
#define QUINTET_MODEL_TRAIN_INTERNAL_H

#include <stdbool.h>

#include "kernels/backward.h"
#include "model/forward.h"
#include "model/products.h"
#include "model/train.h"

/*  Activations of one layer, all [rows, ...]. All layers share one act, and one qkv without
 *  QK-norm; the normed rows before a product are computed again (w->h). */
typedef struct {
    float *x;               /* [width] before the layer */
    float *scale1;          /* 1 / rms of x */
    float *qkv;             /* as the product gave it */
    float *q, *k, *v;       /* after norm and rope */
    float *att, *max, *sum; /* [q_dim]; [heads] each */
    float *middle, *scale2; /* [width] after attention; 1 / rms */
    float *gate_up, *act;   /* [2 ff], [ff] */
} train_layer_t;

/*  A run of rows with keys of its own: the prompt, or a completion. */
typedef struct {
    size_t first, n; /* rows */
    kv_t kv;         /* as forward.h has it, of the layer at work alone: its layer 0 */
    size_t keys_at;  /* backward: where its blocks lie among those of all runs */
} train_run_t;

/*  The most of a group that memory is made for. */
typedef struct {
    size_t rows, head_rows, tokens, completions, positions;
} train_size_t;

/*  Bytes that a group may take before it is computed twice. */
typedef struct {
    size_t activations, logits;
} train_limits_t;

typedef struct {
    const model_t *model;
    const backward_t *b;
    pool_t *pool; /* the threads that work on this group; NULL: the caller alone */
    train_size_t most;
    bool learns; /* has the memory for going backwards */
    bool whole;  /* keeps activations; otherwise layers share all but x, and are computed again */
    size_t head_tile; /* head rows whose logits are kept at a time */
    char *memory;
    size_t bytes;
    products_t products;

    train_layer_t *layers;
    float *x;              /* after the last layer: [width] */
    float *h;              /* normed, as a layer's next product reads it; in the place of x */
    float *hidden, *scale; /* of head rows: x normed, and 1 / rms */
    float *exps, *sums;    /* [head_tile, outputs]: exp (logit / T - max), or values; [head_tile] */
    float *logp, *entropy, *dlogp; /* [tokens] */
    float *dx, *dh, *dqkv, *dq, *dk, *dv, *datt, *dgate_up, *dact;
    float *low, *dlow; /* [rows, rank]: between the two matrices of an adapter */
    float *keys, *values, *dkeys, *dvalues; /* [threads][key_floats], blocks (backward.h) */
    size_t key_floats;
    float *scratch; /* [threads][scratch_floats]: of attention, forwards and backwards */
    size_t scratch_floats;
    float *kv_memory;
    void *rounded;     /* of forward_matmul */
    train_run_t *runs; /* [0] the prompt, [1 + c] completion c */
    int32_t *ids;      /* [rows] */
    size_t *position;  /* [rows] */
    size_t *run;       /* [rows]: index into runs */
    size_t *token; /* [head rows]: which of the group's tokens is chosen there (row 0: the first of
                          every completion) */
    /* of the group under way */
    const train_group_t *group;
    float temperature;
    size_t rows, head_rows, prompt_n;
    size_t layer, head_first; /* the layer, or the tile of head rows, at work */
} train_work_t;

/*  ---- train_work.c ---- */
int train_work_new (train_work_t *work, const model_t *model, pool_t *pool,
                    const train_limits_t *limits, bool learns, const train_group_t *groups,
                    size_t n, err_t *err);
/*  Whether memory made for other groups is enough for these. */
bool train_work_fits (const train_work_t *work, bool learns, const train_group_t *groups, size_t n);
void train_work_free (train_work_t *work);
size_t train_work_bytes (const model_t *model, pool_t *pool, const train_limits_t *limits,
                         bool learns, const train_group_t *groups, size_t n);
/*  Places the rows of a group. */
void train_lay_out (train_work_t *work, const train_group_t *group);
size_t train_tokens (const train_group_t *group);
/*  Id chosen by the group's token. */
int32_t train_id (const train_work_t *work, size_t token);

typedef void (*train_rows_fn) (train_work_t *work, size_t first, size_t end, size_t thread);
/*  Calls fn for runs of 0 .. n - 1, by all threads of the work. */
void train_each (train_work_t *work, size_t n, train_rows_fn fn);

/*  ---- train_forward.c ---- */

/*  Fills activations, logp and entropy. */
void train_forward (train_work_t *work);
/*  Computes a layer's activations again, from its x. */
void train_forward_layer (train_work_t *work, size_t layer);
/*  Computes a layer's act again, from its gate_up. */
void train_forward_act (train_work_t *work, size_t layer);
/*  Logits of head rows `first` and on, at most head_tile of them: exps and sums. Returns how
 *  many. */
size_t train_forward_head (train_work_t *work, size_t first);

/*  ---- train_backward.c ---- */

/*  From dlogp; adds to gradient. */
void train_backward (train_work_t *work, float *gradient);

#endif

/*  train_internal - one group on its way through the network. Private to train*.c.
 *
 *      train.c           batches, pieces, the sum of the gradients
 *      train_forward.c   rows of a group forwards, activations kept
 *      train_backward.c  and backwards
 *
 *  The rows of a group: the prompt's at positions 0 .. P - 1, then of each completion all tokens but the last,
 *  at positions P and on. Row P - 1 and the rows after it meet the head: token j of a completion is chosen at
 *  row P - 1 (j = 0) or at the completion's row j - 1.
 */
#ifndef QUINTET_MODEL_TRAIN_INTERNAL_H
#define QUINTET_MODEL_TRAIN_INTERNAL_H

#include <stdbool.h>

#include "model/backward.h"
#include "model/forward.h"
#include "model/train.h"

/*  Activations of one layer, all [rows, ...]. */
typedef struct {
    float *x;               /* [width] before the layer */
    float *h1, *scale1;     /* [width] normed, 1 / rms */
    float *qkv;             /* as the product gave it */
    float *q, *k, *v;       /* after norm and rope */
    float *att, *max, *sum; /* [q_dim]; [heads] each */
    float *middle;          /* [width] after attention */
    float *h2, *scale2;     /* [width] */
    float *gate_up, *act;   /* [2 ff], [ff] */
} train_layer_t;

/*  What one thread needs for one group at a time. */
typedef struct {
    const model_t *model;
    const backward_t *b;
    size_t rows_max, tokens_max, completions_max, positions_max;
    char *memory;
    size_t bytes;
    train_layer_t *layers;
    float *x, *hidden, *scale; /* after the last layer: [width], normed */
    float *exps; /* [head rows, outputs of the head]: exp (logit / T - max), or values */
    float *sums; /* [head rows] */
    float *logp, *entropy, *dlogp; /* [tokens] */
    float *dx, *dh, *dqkv, *dq, *dk, *dv, *datt, *dgate_up, *dact;
    float *scores;
    kv_t prompt_kv, *own_kv; /* one per completion */
    int32_t *ids;            /* [rows] */
    size_t *position;        /* [rows] */
    size_t *first;           /* [completions]: first row */
    float *kv_memory;
    void *rounded;
    /* of the group under way */
    const train_group_t *group;
    size_t rows, head_rows, prompt_n;
} train_work_t;

int train_work_new (train_work_t *work, const model_t *model, const train_group_t *groups, size_t n,
                    err_t *err);
/*  Whether memory made for other groups is enough for these. */
bool train_work_fits (const train_work_t *work, const train_group_t *groups, size_t n);
void train_work_free (train_work_t *work);
size_t train_work_bytes (const model_t *model, const train_group_t *groups, size_t n);

/*  Fills activations, logp and entropy. */
void train_forward (train_work_t *work, const train_group_t *group, float temperature);
/*  From dlogp; adds to gradient. params: the flat weights. */
void train_backward (train_work_t *work, float temperature, const float *params, float *gradient);

#endif

/*  weights - the inside of model_t, for the forward pass, the sampler and the trainer.
 *
 *      const weights_layer_t *l = &model->layers[i];
 *      forward_matmul (model, &l->qkv, x, n, NULL, y, scratch, pool);    reads packed panels
 *      weights_unpack (&l->down, panels, i, rows);        a panel back to float32 rows
 *      float *d = gradient + l->down.at;                  its place in the flat vector
 *
 *  The model holds every matrix once, in panels (kernels.h); no flat copy. Tensors lie in the flat
 *  vector such that q, k and v (also their biases), and gate and up, are one matrix each.
 */
#ifndef QUINTET_MODEL_WEIGHTS_H
#define QUINTET_MODEL_WEIGHTS_H

#include "kernels/kernels.h"
#include "kernels/panels.h"
#include "model/lora.h"

/*  Place of what is no part of the flat vector: the base of an adapted model, which does not
 *  learn. */
#define WEIGHTS_FROZEN SIZE_MAX

struct weights_adapter;

typedef struct {
    size_t outputs, k;
    model_compute_t type;
    void *panels;      /* float or uint16_t; kernels.h has the layout */
    const float *bias; /* [outputs] inside the model, NULL: none */
    size_t at;         /* of the [outputs, k] matrix in the flat vector, or WEIGHTS_FROZEN */
    const struct weights_adapter *adapters; /* add to the product; each to outputs of its own */
    size_t adapters_n;
} weights_matrix_t;

/*  y += scale B (A x), always in float32 (Hu et al. 2021, section 4.1). */
typedef struct weights_adapter {
    weights_matrix_t a; /* [rank, k] */
    weights_matrix_t b; /* [outputs of one projection, rank] */
    size_t first;       /* of the joined matrix' outputs */
    float scale;
} weights_adapter_t;

/*  A vector of float32 (rounded when compute is bf16). */
typedef struct {
    float *data; /* NULL: the model has no such vector */
    size_t n;
    size_t at;
} weights_vector_t;

typedef struct {
    weights_vector_t norm_attention; /* [width] */
    weights_matrix_t qkv;            /* [q_dim + 2 kv_dim, width]: q rows, k rows, v rows */
    weights_vector_t qkv_bias;       /* [q_dim + 2 kv_dim], when qkv_bias */
    weights_vector_t q_norm, k_norm; /* [head_dim], when qk_norm */
    weights_matrix_t out;            /* [width, q_dim] */
    weights_vector_t norm_mlp;       /* [width] */
    weights_matrix_t gate_up;        /* [2 ff, width]: gate rows, up rows */
    weights_matrix_t down;           /* [width, ff] */
} weights_layer_t;

struct model {
    model_config_t config;
    model_compute_t compute;
    const kernels_t *kernels;
    size_t q_dim, kv_dim; /* heads * head_dim, kv_heads * head_dim */
    weights_layer_t *layers;
    weights_vector_t norm; /* the last one */
    size_t embedding;      /* where [vocab, width] lies in the flat vector */
    void *embedding_rows;  /* untied: [vocab][width], float or uint16_t; tied: NULL, see head */
    weights_matrix_t head; /* [vocab or 1, width] */
    model_tensor_t *tensors;
    size_t tensors_n, params;
    float *inverse_frequency; /* [head_dim / 2] */
    float *rope; /* positions 0 .. rope_n - 1: [rope_n][2][head_dim / 2], cos and sin */
    size_t rope_n;
    char *memory; /* panels, vectors and rows: one piece */
    size_t bytes; /* of it */
    /*  Of an adapted model (lora.h): all of the above but tensors and memory is the base's or
     *  points into it, and the flat vector holds the adapters alone. */
    const model_t *base; /* NULL: a model of its own */
    lora_config_t lora;
    weights_adapter_t *adapters; /* of all matrices, in the order of tensors */
    size_t adapters_n;
};

/*  The model whose weights an adapted model's adapters go on; a model of its own is that itself. */
static inline const model_t *weights_root (const model_t *model)
{
    return model->base ? model->base : model;
}

/*  A model without memory for its weights: model_bytes says what they would take, nothing can be
 *  computed. */
model_t *weights_shape (const model_config_t *config, model_compute_t compute, err_t *err);

/*  What a weight becomes in that type. */
float weights_round (float x, model_compute_t type);

/*  Calls back for every matrix and every vector that the model has of its own, in the order of
 *  their places in the flat vector. */
void weights_visit (model_t *model, void (*matrix) (model_t *, weights_matrix_t *, void *),
                    void (*vector) (model_t *, weights_vector_t *, void *), void *context);

/*  Outputs that a panel has. */
size_t weights_outputs (const weights_matrix_t *matrix, size_t panel);
/*  Fills one panel from its outputs' rows [.., k]; and back to float32, exact. */
void weights_pack (weights_matrix_t *matrix, const panels_t *panels, size_t panel,
                   const float *rows);
void weights_unpack (const weights_matrix_t *matrix, const panels_t *panels, size_t panel,
                     float *rows);
/*  The same of a bfloat16 matrix from and to bfloat16 rows, aligned or not. */
void weights_pack_halves (weights_matrix_t *matrix, const panels_t *panels, size_t panel,
                          const char *rows);
void weights_unpack_halves (const weights_matrix_t *matrix, const panels_t *panels, size_t panel,
                            char *rows);
size_t weights_panel_bytes (const weights_matrix_t *matrix);
/*  One output alone, into w [k]. */
void weights_unpack_row (const weights_matrix_t *matrix, size_t output, float *w);

#endif

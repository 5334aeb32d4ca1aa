/*  model - a decoder-only transformer of the Llama family: its shape, its weights, its forward
 *  pass.
 *
 *      model_t *model = model_new (&config, COMPUTE_F32, &err);
 *      model_set (model, params, pool);               params: model_params (model) floats, flat
 *      model_logits (model, ids, n, logits, pool, &err);
 *      model_destroy (&model);
 *
 *  The weights are one flat vector of float32 ("params"): the tensors of model_tensor (), one
 *  after the other. Optimiser, gradients, checkpoints and policy transfer all use that order. A
 *  model keeps the vector rounded to what it computes with, and packed into panels for the
 *  kernels.
 *
 *  Every result of the forward pass for a row (one token at one position) depends on that row's
 *  past alone: not on other rows, batch sizes, thread counts, or whether the past was prefilled or
 *  decoded. Sampler and training share the code, so their log-probabilities are the same bits.
 *
 *  A model is immutable between two model_set calls, and may then be read by any number of
 *  threads.
 */
#ifndef QUINTET_MODEL_MODEL_H
#define QUINTET_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"

typedef enum { ARCH_LLAMA, ARCH_MISTRAL, ARCH_QWEN2, ARCH_QWEN3, ARCH_COUNT } model_arch_t;
typedef enum { ROPE_PLAIN, ROPE_LINEAR, ROPE_LLAMA3 } model_rope_t;

/*  What the matrix products read: float32, or bfloat16 pairs accumulated in float32. */
typedef enum { COMPUTE_F32, COMPUTE_BF16 } model_compute_t;

typedef struct {
    model_arch_t arch;
    size_t width;    /* hidden_size */
    size_t layers;   /* num_hidden_layers */
    size_t heads;    /* num_attention_heads */
    size_t kv_heads; /* num_key_value_heads; divides heads */
    size_t head_dim; /* even; need not be width / heads */
    size_t ff;       /* intermediate_size */
    size_t vocab;    /* vocab_size */
    size_t context;  /* max_position_embeddings */
    double norm_eps; /* rms_norm_eps */
    model_rope_t rope;
    double rope_theta;
    double rope_factor;           /* LINEAR, LLAMA3 */
    double rope_low, rope_high;   /* LLAMA3: low_freq_factor, high_freq_factor */
    size_t rope_original_context; /* LLAMA3 */
    bool tied;                    /* the head is the embedding */
    bool qkv_bias;                /* Qwen2 */
    bool qk_norm;                 /* Qwen3 */
    bool value_head; /* one scalar per position instead of logits: a critic (never tied) */
} model_config_t;

/*  0, or what cannot be run and why. */
int model_config_check (const model_config_t *config, err_t *err);

#define MODEL_NAME_MAX 96

typedef struct {
    char name[MODEL_NAME_MAX]; /* Hugging Face's: "model.layers.0.self_attn.q_proj.weight" */
    size_t rows, columns;      /* a vector has rows = 1 and rank 1 */
    int rank;
    size_t offset; /* of its first element in params */
    bool decay;    /* matrices are decayed by AdamW, vectors are not */
} model_tensor_t;

typedef struct model model_t;

/*  All weights zero. */
model_t *model_new (const model_config_t *config, model_compute_t compute, err_t *err);
void model_destroy (model_t **model);

const model_config_t *model_config (const model_t *model);
model_compute_t model_compute (const model_t *model);
/*  What model_set rounds params to: adapters (lora.h) stay float32 whatever the base computes
 *  with. */
model_compute_t model_params_type (const model_t *model);
size_t model_params (const model_t *model);  /* number of floats in params */
size_t model_tensors (const model_t *model); /* number of tensors */
const model_tensor_t *model_tensor (const model_t *model, size_t index);

/*  Params for training from scratch: normal (0, 0.02), the two projections into the residual
 *  stream divided by sqrt (2 layers) (GPT-2, section 2.3), norms 1, biases 0. Pure in seed. */
void model_init_params (const model_t *model, uint64_t seed, float *params);

/*  Takes params over (copied), rounds them when compute is bf16, packs them. pool may be NULL. */
void model_set (model_t *model, const float *params, pool_t *pool);
/*  The params that the model computes with. */
void model_get (const model_t *model, float *params);

/*  The same piece by piece, without the whole vector in memory. A source fills out with params at
 *  .. at + n - 1, a sink gets them; either is called from any thread of the pool, for pieces
 *  apart. model_fill: -1 and a source's error, the model then is undefined. Both: ERR_LIMIT
 *  without memory for a piece per thread. */
typedef int (*model_source_fn) (void *context, size_t at, size_t n, float *out, err_t *err);
typedef void (*model_sink_fn) (void *context, size_t at, size_t n, const float *values);
int model_fill (model_t *model, model_source_fn source, void *context, pool_t *pool, err_t *err);
int model_pour (const model_t *model, model_sink_fn sink, void *context, pool_t *pool, err_t *err);

/*  From and to the bytes in which weights travel: little-endian floats (width 4), or the upper
 *  half of each (width 2), which is all that there is to a bfloat16 model's. model_params * width
 *  of them, aligned or not. */
int model_fill_bytes (model_t *model, const void *bytes, size_t width, pool_t *pool, err_t *err);
int model_pour_bytes (const model_t *model, void *bytes, size_t width, pool_t *pool, err_t *err);
/*  Fills a model with the weights of one of its shape (and on its base), which pass through change
 *  as they travel: the next n weights in the order of params, at bytes, to be left as they shall
 *  be. In the calling thread. -1 and its error, or ERR_LIMIT; the model then is undefined. */
typedef int (*model_change_fn) (void *context, size_t n, char *bytes, err_t *err);
int model_change (model_t *model, const model_t *before, size_t width, model_change_fn change,
                  void *context, err_t *err);

/*  Logits [n, vocab] of one sequence from its beginning (value head: [n, 1]). For looking at a
 *  model and for tests; sampling and training have their own passes. */
int model_logits (const model_t *model, const int32_t *ids, size_t n, float *logits, pool_t *pool,
                  err_t *err);

/*  The name of the kernels in use (kernels.h), picked once from CPU features; the environment
 *  variable QUINTET_ISA names others. Part of a run's numeric path. */
const char *model_isa (void);

/*  Bytes that the model itself takes (weights as kept and packed), a base not counted. */
size_t model_bytes (const model_t *model);

#endif

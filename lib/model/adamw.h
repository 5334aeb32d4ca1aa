/*  adamw - AdamW with gradient-norm clipping (Loshchilov and Hutter, "Decoupled weight decay
 *  regularization", algorithm 2; bias correction as in Kingma and Ba).
 *
 *      adamw_t state = {.m = m, .v = v, .n = n};          caller's float vectors, zeroed
 *      adamw_step (&state, &options, model, params, gradient, pool, &norm);
 *      adamw_check (model, params, n, pool, &err);
 */
#ifndef QUINTET_MODEL_ADAMW_H
#define QUINTET_MODEL_ADAMW_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "model/model.h"

typedef struct {
    double lr, beta1, beta2, eps, decay;
    double clip_norm; /* 0: no clipping */
} adamw_options_t;

typedef struct {
    float *m, *v; /* n floats each; the caller's */
    size_t n;
    uint64_t step; /* steps done */
} adamw_t;

/*  Global 2-norm of the gradient, accumulated in double in a fixed order. */
double adamw_norm (const float *gradient, size_t n, pool_t *pool);

/*  Whether all params are finite after a step: one norm, in which one number that is not would
 *  show. Else -1 and ERR_CONFIG with the tensor's name: what diverges does so again from the same
 *  state. */
int adamw_check (const model_t *model, const float *params, size_t n, pool_t *pool, err_t *err);

/*  One step; params are float32 masters. The tensors of model say what is decayed. Returns 0, or
 *  -1 and changes nothing when the norm is not finite. *norm: before clipping. */
int adamw_step (adamw_t *state, const adamw_options_t *options, const model_t *model, float *params,
                const float *gradient, pool_t *pool, double *norm);

#endif

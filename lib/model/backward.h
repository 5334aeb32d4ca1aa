/*  backward - gradients of the pieces of a forward pass; pure functions on rows, compiled per instruction
 *  set (backward.isa.c).
 *
 *      const backward_t *b = backward_for (model->kernels);
 *      b->norm (dx, dgain, dy, x, gain, scale, n);
 *
 *  d-prefixed names are gradients of the loss by what they name; "+=" means that it is added.
 */
#ifndef QUINTET_MODEL_BACKWARD_H
#define QUINTET_MODEL_BACKWARD_H

#include <stddef.h>

#include "model/kernels.h"

/*  Keys of one run of positions, row-major with a stride: rows 0..n-1. */
typedef struct {
    const float *k, *v;
    float *dk, *dv;
    size_t n, stride;
} backward_keys_t;

/*  One query row of one head over the keys of up to two runs (prompt, completion). */
typedef struct {
    const float *q, *out, *dout; /* [dim] */
    float *dq;                   /* [dim], += */
    backward_keys_t keys[2];
    size_t dim;
    float scale, max, sum; /* of the forward pass: p_j = exp (scale q k_j - max) / sum */
} backward_attention_t;

typedef struct {
    /*  y = x r gain: dx +=, dgain += (NULL: not wanted), from dy and r = 1 / rms. */
    void (*norm) (float *dx, float *dgain, const float *dy, const float *x, const float *gain,
                  float scale, size_t n);
    /*  act = silu (gate) up: dgate and dup from dact. */
    void (*swiglu) (float *dgate, float *dup, const float *dact, const float *gate, const float *up,
                    size_t n);
    /*  dq +=, dk +=, dv += (Vaswani et al. 2017, section 3.2.1, differentiated). */
    void (*attention) (const backward_attention_t *a);
    /*  x *= factor; y += x; y += a x */
    void (*scale) (float *x, float factor, size_t n);
    void (*add) (float *y, const float *x, size_t n);
} backward_t;

/*  Those compiled for the same instruction set as the kernels. */
const backward_t *backward_for (const kernels_t *kernels);

#endif

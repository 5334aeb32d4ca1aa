/*  backward - gradients of the pieces of a forward pass; pure functions on rows, compiled per
 *  instruction set (backward.isa.c).
 *
 *      const backward_t *b = model->kernels->backward;
 *      b->norm (dx, dgain, dy, x, gain, scale, n);
 *
 *  d-prefixed names are gradients of the loss by what they name; "+=" means that it is added.
 */
#ifndef QUINTET_KERNELS_BACKWARD_H
#define QUINTET_KERNELS_BACKWARD_H

#include <stddef.h>

#include "kernels/kernels.h"

/*  The keys 0 .. n-1 of one run of positions, of one kv head. Besides their rows, they and their
 *  values are given in blocks of sixteen keys, [block][dim][16], zeros where there is no key. */
typedef struct {
    const float *rows; /* key j at rows + j * stride */
    size_t stride, n;
    const float *keys, *values; /* blocks */
    float *dkeys, *dvalues;     /* blocks, += */
} backward_keys_t;

/*  A run of query rows, and the `group` query heads that share a kv head. Every row sees all
 *  `shared` keys (the prompt's), and row i the `own` keys 0 .. i. */
typedef struct {
    const float *q, *out, *dout; /* row i, head g, dimension d: [i * stride + g * dim + d] */
    float *dq;                   /* likewise */
    const float *max, *sum; /* of the forward pass: [i * heads + g]; p = exp (score - max) / sum */
    size_t rows, stride, heads, group, dim;
    float scale; /* of the scores */
    backward_keys_t shared, own;
    float *scratch; /* backward_scratch (dim) floats */
} backward_attention_t;

#define BACKWARD_TILE 12 /* query rows at a time */

static inline size_t backward_scratch (size_t dim)
{
    return BACKWARD_TILE * (3 * dim + KERNELS_BLOCK);
}

/*  Floats of n keys of one kv head in blocks. */
static inline size_t backward_key_floats (size_t n, size_t dim)
{
    return (n + KERNELS_BLOCK - 1) / KERNELS_BLOCK * KERNELS_BLOCK * dim;
}

typedef struct backward {
    /*  y = x r gain: dx +=, dgain += (unless NULL), from dy and r = 1 / rms. */
    void (*norm) (float *dx, float *dgain, const float *dy, const float *x, const float *gain,
                  float scale, size_t n);
    /*  act = silu (gate) up: dgate and dup from dact. */
    void (*swiglu) (float *dgate, float *dup, const float *dact, const float *gate, const float *up,
                    size_t n);
    /*  dq, dkeys, dvalues (Vaswani et al. 2017, section 3.2.1, differentiated; the probabilities
     *  are computed again, as Dao et al. 2022, algorithm 4, does). */
    void (*attention) (const backward_attention_t *a);
    void (*scale) (float *x, float factor, size_t n); /* x *= factor */
    void (*add) (float *y, const float *x, size_t n); /* y += x */
} backward_t;

#endif

/*  kernels - the arithmetic of the forward pass, compiled for several instruction sets.
 *
 *      const kernels_t *k = kernels_get (&err);        by CPU features, or what QUINTET_ISA names
 *      k->matmul_f32 (&matmul);
 *      k->norm (y, x, gain, width, eps);
 *
 *  Every output of every kernel is computed in one order that depends on nothing but its own row:
 *  not on how many rows are given, nor on how a caller cuts the columns. A product's output is one
 *  chain of multiply-adds over k in order (amx, of bfloat16: of runs of 32; blas: OpenBLAS's own
 *  order, the same for every row).
 *
 *  Kernels differ between instruction sets in the last bits; each is checked against a plain twin.
 */
#ifndef QUINTET_KERNELS_KERNELS_H
#define QUINTET_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*  A weight matrix W [outputs, k] is packed into panels of 32 outputs: panel p holds, for every k,
 *  the weights of outputs 32 p .. 32 p + 31, zeros where there is none. float32: [k][32].
 *  bfloat16: [(k + 1) / 2][32][2], two values of k side by side, the missing one 0. */
#define KERNELS_PANEL ((size_t) 32)

/*  Keys and values are kept in blocks of 16 positions, aligned to multiples of 16: position j of a
 *  sequence is always in lane j % 16 of block j / 16. A block of one kv head is
 *  keys [head_dim][16], then values [16][head_dim rounded up to 16]. */
#define KERNELS_BLOCK ((size_t) 16)

/*  y[i][c] = add[i][c] + sum over k of x[i][k] W[c][k] for rows i < n and the outputs of panels
 *  first .. last - 1. */
typedef struct {
    const void *panels; /* float, or uint16_t for matmul_bf16: of the whole matrix */
    const void *x;      /* float rows; for matmul_bf16 what round_bf16 made of them */
    size_t x_stride;    /* elements from row to row; for matmul_bf16 even, with 0 up to even k */
    float *y;
    size_t y_stride;
    const float *add;  /* NULL: nothing; may be y itself */
    size_t add_stride; /* 0: one row for all (a bias) */
    size_t n, k, outputs;
    size_t first, last; /* panels */
} kernels_matmul_t;

/*  One query row against the keys 0 .. keys - 1 of one kv head, for the `group` query heads that
 *  share it. */
typedef struct {
    const float *q;      /* [group][head_dim] */
    float *out;          /* [group][head_dim] */
    const float *prefix; /* blocks 0 .. own_first - 1 of this kv head (NULL when own_first is 0) */
    const float *own;    /* blocks own_first and on */
    size_t own_first;
    size_t keys, group, head_dim;
    float scale;        /* 1 / sqrt (head_dim) */
    float *scores;      /* scratch: keys rounded up to 16 floats */
    const float *ahead; /* blocks that will be attended next, prefetched meanwhile; NULL: none */
    float *max, *sum; /* [group], or both NULL: probability of key j is exp (score_j - max) / sum */
} kernels_attention_t;

/*  What a row of logits z / temperature amounts to. */
typedef struct {
    float max; /* of z / temperature */
    float sum; /* of e_j = exp (z_j / temperature - max) */
    float dot; /* sum of e_j * (z_j / temperature - max): entropy = log (sum) - dot / sum */
} kernels_softmax_t;

typedef struct {
    const char *name; /* "amx", "avx512", "avx512-widen", "avx2", "blas:...", "plain" */

    /*  Bytes of an element of x of matmul_bf16: 2 where the CPU multiplies bfloat16, else 4 (a
     *  float rounded to bfloat16). */
    size_t rounded_bytes;
    void (*round_bf16) (void *y, const float *x, size_t n);

    void (*matmul_f32) (const kernels_matmul_t *m);
    void (*matmul_bf16) (const kernels_matmul_t *m);
    void (*attention) (const kernels_attention_t *a);

    /*  y = x * r * gain with r = 1 / sqrt (mean (x^2) + eps); returns r. y may be x. */
    float (*norm) (float *y, const float *x, const float *gain, size_t n, float eps);
    /*  In place: rotates the pairs (x[i], x[i + half]) by the angle whose cos[i], sin[i] are
     *  given. */
    void (*rope) (float *x, const float *cos, const float *sin, size_t half);
    /*  y = silu (gate) * up. */
    void (*swiglu) (float *y, const float *gate, const float *up, size_t n);
    /*  exps: e_j are written there when not NULL (may be logits itself). */
    kernels_softmax_t (*softmax) (const float *logits, size_t n, float inverse_temperature,
                                  float *exps);
    /*  Least i with e_0 + .. + e_i > target, summed in a fixed order; the last i with e_i > 0 when
     *  rounding leaves none. */
    size_t (*search) (const float *exps, size_t n, float target);
    /*  Least i with the highest x_i. */
    size_t (*argmax) (const float *x, size_t n);
    void (*to_bf16) (uint16_t *y, const float *x, size_t n);
    void (*from_bf16) (float *y, const uint16_t *x, size_t n);

    const struct panels *panels;     /* panels.h, */
    const struct backward *backward; /* backward.h: those of the same instruction set */
} kernels_t;

/*  The kernels in use, the same during the life of the process. ERR_CONFIG when QUINTET_ISA names
 *  none, or one that this CPU cannot run. */
const kernels_t *kernels_get (err_t *err);
/*  By name: NULL when not built in or when the CPU lacks what they need. "blas" names whatever
 *  OpenBLAS has for this CPU, "blas:0.3.21-Nehalem" that and nothing else. */
const kernels_t *kernels_named (const char *name);

/*  Panels of an [outputs, k] matrix. */
static inline size_t kernels_panels (size_t outputs)
{
    return (outputs + KERNELS_PANEL - 1) / KERNELS_PANEL;
}

/*  Floats of one block of keys and values of one kv head. */
static inline size_t kernels_block_floats (size_t head_dim)
{
    return KERNELS_BLOCK *
           (head_dim + (head_dim + KERNELS_BLOCK - 1) / KERNELS_BLOCK * KERNELS_BLOCK);
}

#endif

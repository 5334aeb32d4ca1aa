/*  attention - one query row against the keys and values of a sequence: kernels.h, `attention`.
 */
#include <math.h>

#include "kernels/kernels.h"
#include "kernels/vector.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_ (a, b)

V16_INLINE void attention_prefetch (const float *p, size_t lines)
{
    for (size_t i = 0; i < lines; i++)
        __builtin_prefetch (p + i * V16);
}

/*  Scores of the 16 keys of a block: four chains over the dimensions d % 4, then their sum. Here
 *  and below, every line that is read prefetches the same place of the block that comes next. */
V16_INLINE void attention_block_scores (const float *q, const float *keys, const float *ahead,
                                        size_t head_dim, float scale, float *scores)
{
    for (size_t part = 0; part < KERNELS_BLOCK; part += LANES) {
        const float *k = keys + part;
        reg_t a0 = {0}, a1 = {0}, a2 = {0}, a3 = {0};
        size_t d = 0;
        for (; d + 4 <= head_dim; d += 4, k += 4 * KERNELS_BLOCK) {
            if (part == 0)
                attention_prefetch (ahead + d * KERNELS_BLOCK, 4);
            a0 += q[d] * reg_load (k);
            a1 += q[d + 1] * reg_load (k + KERNELS_BLOCK);
            a2 += q[d + 2] * reg_load (k + 2 * KERNELS_BLOCK);
            a3 += q[d + 3] * reg_load (k + 3 * KERNELS_BLOCK);
        }
        for (; d < head_dim; d++, k += KERNELS_BLOCK)
            a0 += q[d] * reg_load (k);
        reg_store (scores + part, ((a0 + a1) + (a2 + a3)) * scale);
    }
}

typedef struct {
    reg_t chain[4][2];
} values_t;

/*  Adds the values of `keys` keys of a block, weighted, for two registers of dimensions: four
 *  chains over the keys j % 4. A block begins at a multiple of 16, so a chain goes on from block
 *  to block. */
V16_INLINE void attention_block_values (values_t *sum, const float *values, const float *ahead,
                                        size_t stride, const float *weights, size_t keys,
                                        size_t second)
{
    values_t s = *sum;
    size_t j = 0;
#define VALUES_STEP(i)                                                                             \
    s.chain[i][0] += weights[j + (i)] * reg_load (values + (i) *stride);                           \
    s.chain[i][1] += weights[j + (i)] * reg_load (values + (i) *stride + second);
    for (; j + 4 <= keys; j += 4, values += 4 * stride) {
        for (size_t i = 0; i < 4; i++)
            attention_prefetch (ahead + (j + i) * stride, 2 * LANES > V16 ? 2 : 1);
        VALUES_STEP (0)
        VALUES_STEP (1)
        VALUES_STEP (2)
        VALUES_STEP (3)
    }
    if (j < keys) {
        VALUES_STEP (0)
    }
    if (j + 1 < keys) {
        VALUES_STEP (1)
    }
    if (j + 2 < keys) {
        VALUES_STEP (2)
    }
#undef VALUES_STEP
    *sum = s;
}

V16_INLINE const float *attention_block (const kernels_attention_t *a, size_t block)
{
    size_t floats = kernels_block_floats (a->head_dim);
    return block < a->own_first ? a->prefix + block * floats
                                : a->own + (block - a->own_first) * floats;
}

/*  Where the block ahead lies for the block at work; the block itself when there is none. */
V16_INLINE const float *attention_block_ahead (const kernels_attention_t *a, size_t block)
{
    if (block < a->own_first || !a->ahead)
        return attention_block (a, block);
    return a->ahead + (block - a->own_first) * kernels_block_floats (a->head_dim);
}

/*  scores become exp (score - max), and their sum is returned: the softmax without its division,
 *  which the caller does once per output instead of once per key. Lanes beyond the last key hold
 *  -infinity: they neither raise the maximum nor add to the sum. */
static float attention_softmax (float *scores, size_t keys, float *highest)
{
    v16f max = v16_set (-INFINITY), sum = v16_zero ();
    size_t whole = keys / V16 * V16;
    for (size_t j = 0; j < whole; j += V16)
        max = v16_max (max, v16_load (scores + j));
    if (whole < keys)
        max = v16_max (max, v16_load_n (scores + whole, keys - whole, -INFINITY));
    float m = *highest = v16_highest (max);
    max = v16_set (m);
    for (size_t j = 0; j < whole; j += V16) {
        v16f e = v16_exp (v16_sub (v16_load (scores + j), max));
        v16_store (scores + j, e);
        sum = v16_add (sum, e);
    }
    if (whole < keys) {
        v16f e = v16_exp (v16_sub (v16_load_n (scores + whole, keys - whole, -INFINITY), max));
        v16_store (scores + whole, e);
        sum = v16_add (sum, e);
    }
    return v16_sum (sum);
}

/*  out = sum of weights * values / sum, for two registers of dimensions at a time (one at the end).
 *  The loop over the dimensions is the outer one, so that the chains stay in registers over all
 *  blocks; the weights are few and stay in the first cache. */
static void attention_values (const kernels_attention_t *a, const float *weights, float sum,
                              float *out)
{
    size_t stride = (a->head_dim + KERNELS_BLOCK - 1) / KERNELS_BLOCK * KERNELS_BLOCK;
    size_t blocks = (a->keys + KERNELS_BLOCK - 1) / KERNELS_BLOCK;
    float inverse = 1.0f / sum;
    for (size_t d = 0; d < a->head_dim; d += 2 * LANES) {
        values_t s = {0};
        size_t second = d + LANES < stride ? LANES : 0;
        for (size_t b = 0; b < blocks; b++) {
            size_t left = a->keys - b * KERNELS_BLOCK;
            size_t at = KERNELS_BLOCK * a->head_dim + d;
            attention_block_values (
                &s, attention_block (a, b) + at, attention_block_ahead (a, b) + at, stride,
                weights + b * KERNELS_BLOCK, left < KERNELS_BLOCK ? left : KERNELS_BLOCK, second);
        }
        /* The four chains are joined in a fixed tree: ((0 + 1) + (2 + 3)). */
        float both[2 * LANES];
        for (size_t i = 0; i < 2; i++)
            reg_store (both + i * LANES,
                       ((s.chain[0][i] + s.chain[1][i]) + (s.chain[2][i] + s.chain[3][i])) *
                           inverse);
        size_t n = a->head_dim - d < 2 * LANES ? a->head_dim - d : 2 * LANES;
        memcpy (out + d, both, n * sizeof *out);
    }
}

extern void JOIN (attention_, ISA) (const kernels_attention_t *a);
void JOIN (attention_, ISA) (const kernels_attention_t *a)
{
    size_t blocks = (a->keys + KERNELS_BLOCK - 1) / KERNELS_BLOCK;
    for (size_t g = 0; g < a->group; g++) {
        /* The query heads of a group share keys and values, which are in the cache after the first
         * of them. */
        const float *q = a->q + g * a->head_dim;
        for (size_t b = 0; b < blocks; b++)
            attention_block_scores (q, attention_block (a, b), attention_block_ahead (a, b),
                                    a->head_dim, a->scale, a->scores + b * KERNELS_BLOCK);
        float max, sum = attention_softmax (a->scores, a->keys, &max);
        attention_values (a, a->scores, sum, a->out + g * a->head_dim);
        if (a->max) {
            a->max[g] = max;
            a->sum[g] = sum;
        }
    }
}

/*  panels - see panels.h. Compiled once per instruction set, with -DISA=name. */
#include "kernels/panels.h"

#include "kernels/vector.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_ (a, b)

/*  A transpose of 16 x 16 in registers, r [row] with a lane per column. Row and lane numbers have
 *  four bits each, and a transpose exchanges them bit by bit: one step swaps, for one bit, the half
 *  of the lanes in which it is set in row i with the half in which it is not in row i + width. Four
 *  steps of sixteen two-register shuffles replace 256 loads of single floats. */
#define EXCHANGE(width)                                                                            \
    for (size_t i = 0; i < V16; i++)                                                               \
        if (!(i & (width))) {                                                                      \
            v16i low, high;                                                                        \
            for (int l = 0; l < V16; l++) {                                                        \
                low[l] = l & (width) ? l - (width) + V16 : l;                                      \
                high[l] = l & (width) ? l + V16 : l + (width);                                     \
            }                                                                                      \
            v16f a = r[i], b = r[i + (width)];                                                     \
            r[i] = v16_shuffle (a, b, low);                                                        \
            r[i + (width)] = v16_shuffle (a, b, high);                                             \
        }

#define TRANSPOSE                                                                                  \
    EXCHANGE (1)                                                                                   \
    EXCHANGE (2)                                                                                   \
    EXCHANGE (4)                                                                                   \
    EXCHANGE (8)

static void panels_transpose_sixteen (float *y, size_t y_stride, const float *x, size_t x_stride)
{
    v16f r[V16];
    for (size_t i = 0; i < V16; i++)
        r[i] = v16_load (x + i * x_stride);
    TRANSPOSE
    for (size_t i = 0; i < V16; i++)
        v16_store (y + i * y_stride, r[i]);
}

/*  The rest at the edges, up to 16 x 16: what is missing is loaded as zero and not stored. */
static void panels_transpose_some (float *y, size_t y_stride, const float *x, size_t x_stride,
                                   size_t rows, size_t columns)
{
    v16f r[V16];
    for (size_t i = 0; i < V16; i++)
        r[i] = i < rows ? v16_load_n (x + i * x_stride, columns, 0) : v16_zero ();
    TRANSPOSE
    for (size_t i = 0; i < V16; i++)
        if (i < columns)
            v16_store_n (y + i * y_stride, r[i], rows);
}

static void panels_transpose (float *y, size_t y_stride, const float *x, size_t x_stride,
                              size_t rows, size_t columns)
{
    for (size_t i = 0; i < rows; i += V16)
        for (size_t j = 0; j < columns; j += V16) {
            float *to = y + j * y_stride + i;
            const float *from = x + i * x_stride + j;
            size_t m = rows - i, n = columns - j;
            if (m >= V16 && n >= V16)
                panels_transpose_sixteen (to, y_stride, from, x_stride);
            else
                panels_transpose_some (to, y_stride, from, x_stride, m < V16 ? m : V16,
                                       n < V16 ? n : V16);
        }
}

/*  Sixteen bfloat16 values of each of two rows, side by side in 32 bits: low in the lower half,
 *  which comes first in memory. v16_round leaves the rounded value in the upper half of each lane.
 *  high may be NULL: zeros. */
V16_INLINE v16u panels_pair_rows (const float *low, const float *high, size_t n)
{
    v16u zero = {0}, l = n ? v16_round (v16_load_n (low, n, 0)) : zero;
    v16u h = n && high ? v16_round (v16_load_n (high, n, 0)) : zero;
    return l >> 16 | (h & 0xffff0000u);
}

/*  Up to 32 rows of up to 16 columns. Pairs of rows are rounded into one register first; then the
 *  float transpose moves pairs as if they were floats. */
static void panels_transpose_bf16_some (uint16_t *y, size_t y_stride, const float *x,
                                        size_t x_stride, size_t rows, size_t columns)
{
    v16f r[V16];
    for (size_t i = 0; i < V16; i++, x += 2 * x_stride)
        r[i] = 2 * i < rows
                   ? (v16f) panels_pair_rows (x, 2 * i + 1 < rows ? x + x_stride : NULL, columns)
                   : v16_zero ();
    TRANSPOSE
    for (size_t i = 0; i < columns; i++, y += y_stride)
        v16_store_n ((float *) (void *) y, r[i], (rows + 1) / 2);
}

static void panels_transpose_bf16 (uint16_t *y, size_t y_stride, const float *x, size_t x_stride,
                                   size_t rows, size_t columns)
{
    for (size_t i = 0; i < rows; i += 2 * V16)
        for (size_t j = 0; j < columns; j += V16)
            panels_transpose_bf16_some (y + j * y_stride + i, y_stride, x + i * x_stride + j,
                                        x_stride, rows - i < 2 * V16 ? rows - i : 2 * V16,
                                        columns - j < V16 ? columns - j : V16);
}

/*  The rows are those of a transposed matrix already (k outside, outputs inside), so nothing is to
 *  be turned here: two rows of k are rounded and interleaved. */
static void panels_pair (uint16_t *y, const float *x, size_t stride, size_t k, size_t columns)
{
    for (size_t i = 0; i < k; i += 2, x += 2 * stride, y += 2 * KERNELS_PANEL)
        for (size_t c = 0; c < KERNELS_PANEL; c += V16) {
            size_t n = columns < c ? 0 : columns - c < V16 ? columns - c : V16;
            v16u both = panels_pair_rows (x + c, i + 1 < k ? x + stride + c : NULL, n);
            memcpy (y + 2 * c, &both, sizeof both);
        }
}

/*  Of two outputs with their values of k in pairs, the pairs of outputs for every k: the halves of
 *  a and b change places, then the registers of even and odd k are interleaved into the order of
 *  k. */
V16_INLINE void panels_turn_two (uint16_t *y, v16u a, v16u b)
{
    const v16i first = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
    v16u even = (a & 0xffffu) | b << 16, odd = a >> 16 | (b & 0xffff0000u);
    v16u low = v16_shuffle (even, odd, first);
    v16u high = v16_shuffle (even, odd, first + 8);
    memcpy (y, &low, sizeof low);
    memcpy (y + KERNELS_PANEL, &high, sizeof high);
}

/*  The weights' panel for dx = dy W (products.h): there k and outputs change their parts, so the
 *  pairs that lie side by side must be pairs of outputs. Rows are already rounded, so no value
 *  changes, only its place. */
static void panels_turn_pairs (uint16_t *y, const uint16_t *x, size_t k, size_t outputs)
{
    for (size_t half = 0; half < outputs; half += V16) {
        v16f r[V16];
        for (size_t i = 0; i < V16; i++) {
            r[i] = v16_zero ();
            if (2 * i < k)
                memcpy (&r[i], x + 2 * (i * KERNELS_PANEL + half), sizeof r[i]);
        }
        TRANSPOSE
        for (size_t j = 0; j < V16 && half + j < outputs; j += 2)
            panels_turn_two (y + (half + j) * KERNELS_PANEL, (v16u) r[j], (v16u) r[j + 1]);
    }
}

static void panels_unpair (float *y, const uint16_t *x, size_t k)
{
    for (size_t i = 0; i < k; i += 2, x += 2 * KERNELS_PANEL, y += 2 * KERNELS_PANEL)
        for (size_t c = 0; c < KERNELS_PANEL; c += V16) {
            v16u both;
            memcpy (&both, x + 2 * c, sizeof both);
            v16_store (y + c, (v16f) (both << 16));
            if (i + 1 < k)
                v16_store (y + KERNELS_PANEL + c, (v16f) (both & 0xffff0000u));
        }
}

/*  ---- whole panels ---- */

V16_INLINE v16f panels_load (const float *p, size_t n)
{
    return n >= V16 ? v16_load (p) : v16_load_n (p, n, 0);
}

V16_INLINE void panels_store (float *p, v16f v, size_t n)
{
    if (n >= V16)
        v16_store (p, v);
    else
        v16_store_n (p, v, n);
}

static size_t panels_beyond (size_t n, size_t at)
{
    return n > at ? n - at : 0;
}

/*  32 values of a row, rounded, in pairs: the even ones of k in the lower halves, the odd ones in
 *  the upper. */
V16_INLINE v16f panels_pairs_of (const float *row, size_t n)
{
    const v16i even = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
    v16f a = panels_load (row, n), b = panels_load (row + V16, panels_beyond (n, V16));
    v16u low = v16_round (v16_shuffle (a, b, even));
    v16u high = v16_round (v16_shuffle (a, b, even + 1));
    return (v16f) (low >> 16 | (high & 0xffff0000u));
}

/*  w is read by rows (outputs), the panel wants k outside: blocks of 16 outputs by 32 values of k,
 *  rounded to pairs, turned, and stored as rows of the panel. Outputs beyond the last are zeros, so
 *  that products need no special case for them. */
static void panels_pack_bf16 (uint16_t *panel, const float *w, size_t k, size_t outputs)
{
    for (size_t half = 0; half < KERNELS_PANEL; half += V16)
        for (size_t from = 0; from < k; from += 2 * V16) {
            v16f r[V16];
            for (size_t o = 0; o < V16; o++)
                r[o] = half + o < outputs ? panels_pairs_of (w + (half + o) * k + from, k - from)
                                          : v16_zero ();
            TRANSPOSE
            uint16_t *y = panel + from * KERNELS_PANEL + 2 * half;
            for (size_t p = 0; p < V16 && from + 2 * p < k; p++)
                memcpy (y + 2 * p * KERNELS_PANEL, &r[p], sizeof r[p]);
        }
}

/*  16 pairs to 32 values of a row. */
V16_INLINE void panels_unpair_row (float *row, v16u pairs, size_t n)
{
    const v16i first = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
    v16f even = (v16f) (pairs << 16), odd = (v16f) (pairs & 0xffff0000u);
    panels_store (row, v16_shuffle (even, odd, first), n);
    if (n > V16)
        panels_store (row + V16, v16_shuffle (even, odd, first + 8), n - V16);
}

/*  The reverse, step by step. A bfloat16 is exact in a float, so packing what comes out gives the
 *  same panel. */
static void panels_unpack_bf16 (float *w, const uint16_t *panel, size_t k, size_t outputs)
{
    for (size_t half = 0; half < outputs; half += V16)
        for (size_t from = 0; from < k; from += 2 * V16) {
            v16f r[V16];
            const uint16_t *x = panel + from * KERNELS_PANEL + 2 * half;
            for (size_t p = 0; p < V16; p++) {
                r[p] = v16_zero ();
                if (from + 2 * p < k)
                    memcpy (&r[p], x + 2 * p * KERNELS_PANEL, sizeof r[p]);
            }
            TRANSPOSE
            for (size_t o = 0; o < V16 && half + o < outputs; o++)
                panels_unpair_row (w + (half + o) * k + from, (v16u) r[o], k - from);
        }
}

extern const panels_t JOIN (panels_, ISA);
const panels_t JOIN (panels_, ISA) = {.transpose = panels_transpose,
                                      .transpose_bf16 = panels_transpose_bf16,
                                      .pair = panels_pair,
                                      .turn_pairs = panels_turn_pairs,
                                      .unpair = panels_unpair,
                                      .pack_bf16 = panels_pack_bf16,
                                      .unpack_bf16 = panels_unpack_bf16};

/*  panels - see panels.h. Compiled once per instruction set, with -DISA=name. */
#include "kernels/panels.h"

#include "kernels/register.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_ (a, b)

/*  A transpose of LANES x LANES in registers, r [row] with a lane per column. Row and lane numbers
 *  have as many bits (four with AVX-512), and a transpose exchanges them bit by bit: one step
 *  swaps, for one bit, the half of the lanes in which it is set in row i with the half in which it
 *  is not in row i + width. Four steps of sixteen two-register shuffles replace 256 loads of single
 *  floats. */
#define EXCHANGE(width)                                                                            \
    for (size_t i = 0; i < LANES; i++)                                                             \
        if (!(i & (width))) {                                                                      \
            reg_int_t low, high;                                                                   \
            for (int l = 0; l < LANES; l++) {                                                      \
                low[l] = l & (width) ? l - (width) + LANES : l;                                    \
                high[l] = l & (width) ? l + LANES : l + (width);                                   \
            }                                                                                      \
            reg_t a = r[i], b = r[i + (width)];                                                    \
            r[i] = reg_shuffle (a, b, low);                                                        \
            r[i + (width)] = reg_shuffle (a, b, high);                                             \
        }

#if LANES == 16
#define TRANSPOSE EXCHANGE (1) EXCHANGE (2) EXCHANGE (4) EXCHANGE (8)
#elif LANES == 8
#define TRANSPOSE EXCHANGE (1) EXCHANGE (2) EXCHANGE (4)
#else
#define TRANSPOSE EXCHANGE (1) EXCHANGE (2)
#endif

static void panels_transpose_whole (float *y, size_t y_stride, const float *x, size_t x_stride)
{
    reg_t r[LANES];
    for (size_t i = 0; i < LANES; i++)
        r[i] = reg_load (x + i * x_stride);
    TRANSPOSE
    for (size_t i = 0; i < LANES; i++)
        reg_store (y + i * y_stride, r[i]);
}

/*  The rest at the edges, up to LANES x LANES: what is missing is loaded as zero and not stored. */
static void panels_transpose_some (float *y, size_t y_stride, const float *x, size_t x_stride,
                                   size_t rows, size_t columns)
{
    reg_t r[LANES];
    for (size_t i = 0; i < LANES; i++)
        r[i] = i < rows ? reg_load_n (x + i * x_stride, columns) : reg_set (0);
    TRANSPOSE
    for (size_t i = 0; i < LANES; i++)
        if (i < columns)
            reg_store_n (y + i * y_stride, r[i], rows);
}

static void panels_transpose (float *y, size_t y_stride, const float *x, size_t x_stride,
                              size_t rows, size_t columns)
{
    for (size_t i = 0; i < rows; i += LANES)
        for (size_t j = 0; j < columns; j += LANES) {
            float *to = y + j * y_stride + i;
            const float *from = x + i * x_stride + j;
            size_t m = rows - i, n = columns - j;
            if (m >= LANES && n >= LANES)
                panels_transpose_whole (to, y_stride, from, x_stride);
            else
                panels_transpose_some (to, y_stride, from, x_stride, m < LANES ? m : LANES,
                                       n < LANES ? n : LANES);
        }
}

/*  LANES bfloat16 values of each of two rows, side by side in 32 bits: low in the lower half, which
 *  comes first in memory. reg_round leaves the rounded value in the upper half of each lane. high
 *  may be NULL: zeros. */
V16_INLINE reg_bits_t panels_pair_rows (const float *low, const float *high, size_t n)
{
    reg_bits_t zero = {0}, l = n ? reg_round (reg_load_n (low, n)) : zero;
    reg_bits_t h = n && high ? reg_round (reg_load_n (high, n)) : zero;
    return l >> 16 | (h & 0xffff0000u);
}

/*  Up to 2 LANES rows of up to LANES columns. Pairs of rows are rounded into one register first;
 *  then the float transpose moves pairs as if they were floats. */
static void panels_transpose_bf16_some (uint16_t *y, size_t y_stride, const float *x,
                                        size_t x_stride, size_t rows, size_t columns)
{
    reg_t r[LANES];
    for (size_t i = 0; i < LANES; i++, x += 2 * x_stride)
        r[i] = 2 * i < rows
                   ? (reg_t) panels_pair_rows (x, 2 * i + 1 < rows ? x + x_stride : NULL, columns)
                   : reg_set (0);
    TRANSPOSE
    for (size_t i = 0; i < columns; i++, y += y_stride)
        reg_store_n ((float *) (void *) y, r[i], (rows + 1) / 2);
}

static void panels_transpose_bf16 (uint16_t *y, size_t y_stride, const float *x, size_t x_stride,
                                   size_t rows, size_t columns)
{
    for (size_t i = 0; i < rows; i += 2 * LANES)
        for (size_t j = 0; j < columns; j += LANES)
            panels_transpose_bf16_some (y + j * y_stride + i, y_stride, x + i * x_stride + j,
                                        x_stride, rows - i < 2 * LANES ? rows - i : 2 * LANES,
                                        columns - j < LANES ? columns - j : LANES);
}

/*  The rows are those of a transposed matrix already (k outside, outputs inside), so nothing is to
 *  be turned here: two rows of k are rounded and interleaved. */
static void panels_pair (uint16_t *y, const float *x, size_t stride, size_t k, size_t columns)
{
    for (size_t i = 0; i < k; i += 2, x += 2 * stride, y += 2 * KERNELS_PANEL)
        for (size_t c = 0; c < KERNELS_PANEL; c += LANES) {
            size_t n = columns < c ? 0 : columns - c < LANES ? columns - c : LANES;
            reg_bits_t both = panels_pair_rows (x + c, i + 1 < k ? x + stride + c : NULL, n);
            memcpy (y + 2 * c, &both, sizeof both);
        }
}

/*  Which lanes make two registers' first lanes alternate: 0 of a, 0 of b, 1 of a ...; more by half
 *  the lanes are those of their second halves. */
V16_INLINE reg_int_t panels_alternate (void)
{
    reg_int_t of;
    for (int l = 0; l < LANES; l++)
        of[l] = l / 2 + l % 2 * LANES;
    return of;
}

/*  Of two outputs with their values of k in pairs, the pairs of outputs for every k: the halves of
 *  a and b change places, then the registers of even and odd k are interleaved into the order of
 *  k. */
V16_INLINE void panels_turn_two (uint16_t *y, reg_bits_t a, reg_bits_t b)
{
    reg_bits_t even = (a & 0xffffu) | b << 16, odd = a >> 16 | (b & 0xffff0000u);
    reg_bits_t low = reg_shuffle (even, odd, panels_alternate ());
    reg_bits_t high = reg_shuffle (even, odd, panels_alternate () + LANES / 2);
    memcpy (y, &low, sizeof low);
    memcpy (y + 2 * LANES, &high, sizeof high);
}

/*  LANES outputs, and of them 2 LANES values of k from `from` on. */
V16_INLINE void panels_turn_some (uint16_t *y, const uint16_t *x, size_t from, size_t k,
                                  size_t outputs)
{
    reg_t r[LANES];
    for (size_t i = 0; i < LANES; i++) {
        r[i] = reg_set (0);
        if (from + 2 * i < k)
            memcpy (&r[i], x + (from + 2 * i) * KERNELS_PANEL, sizeof r[i]);
    }
    TRANSPOSE
    for (size_t j = 0; j < LANES; j += 2)
        if (j < outputs)
            panels_turn_two (y + j * KERNELS_PANEL + 2 * from, (reg_bits_t) r[j],
                             (reg_bits_t) r[j + 1]);
}

/*  The weights' panel for dx = dy W (products.h): there k and outputs change their parts, so the
 *  pairs that lie side by side must be pairs of outputs. Rows are already rounded, so no value
 *  changes, only its place. */
static void panels_turn_pairs (uint16_t *y, const uint16_t *x, size_t k, size_t outputs)
{
    for (size_t first = 0; first < outputs; first += LANES)
        for (size_t from = 0; from < KERNELS_PANEL; from += 2 * LANES)
            panels_turn_some (y + first * KERNELS_PANEL, x + 2 * first, from, k, outputs - first);
}

static void panels_unpair (float *y, const uint16_t *x, size_t k)
{
    for (size_t i = 0; i < k; i += 2, x += 2 * KERNELS_PANEL, y += 2 * KERNELS_PANEL)
        for (size_t c = 0; c < KERNELS_PANEL; c += LANES) {
            reg_bits_t both;
            memcpy (&both, x + 2 * c, sizeof both);
            reg_store (y + c, (reg_t) (both << 16));
            if (i + 1 < k)
                reg_store (y + KERNELS_PANEL + c, (reg_t) (both & 0xffff0000u));
        }
}

/*  ---- whole panels ---- */

V16_INLINE reg_t panels_load (const float *p, size_t n)
{
    return n >= LANES ? reg_load (p) : reg_load_n (p, n);
}

V16_INLINE void panels_store (float *p, reg_t v, size_t n)
{
    if (n >= LANES)
        reg_store (p, v);
    else
        reg_store_n (p, v, n);
}

static size_t panels_beyond (size_t n, size_t at)
{
    return n > at ? n - at : 0;
}

/*  2 LANES values of a row, rounded, in pairs: the even ones of k in the lower halves, the odd ones
 *  in the upper. */
V16_INLINE reg_t panels_pairs_of (const float *row, size_t n)
{
    reg_int_t even;
    for (int l = 0; l < LANES; l++)
        even[l] = 2 * l;
    reg_t a = panels_load (row, n), b = panels_load (row + LANES, panels_beyond (n, LANES));
    reg_bits_t low = reg_round (reg_shuffle (a, b, even));
    reg_bits_t high = reg_round (reg_shuffle (a, b, even + 1));
    return (reg_t) (low >> 16 | (high & 0xffff0000u));
}

/*  2 LANES values of a row that are bfloat16 already: in pairs as they lie, at any address. */
V16_INLINE reg_t panels_pairs_at (const char *row, size_t n)
{
    reg_t pairs = reg_set (0);
    if (n >= 2 * LANES)
        memcpy (&pairs, row, sizeof pairs);
    else
        memcpy (&pairs, row, n * sizeof (uint16_t));
    return pairs;
}

/*  w is read by rows (outputs), the panel wants k outside: blocks of LANES outputs by 2 LANES
 *  values of k, in pairs, turned, and stored as rows of the panel. Outputs beyond the last are
 *  zeros, so that products need no special case for them. */
#define PACK(pairs_of)                                                                             \
    for (size_t first = 0; first < KERNELS_PANEL; first += LANES)                                  \
        for (size_t from = 0; from < k; from += 2 * LANES) {                                       \
            reg_t r[LANES];                                                                        \
            for (size_t o = 0; o < LANES; o++)                                                     \
                r[o] = first + o < outputs ? pairs_of ((first + o) * k + from, k - from)           \
                                           : reg_set (0);                                          \
            TRANSPOSE                                                                              \
            uint16_t *y = panel + from * KERNELS_PANEL + 2 * first;                                \
            for (size_t p = 0; p < LANES && from + 2 * p < k; p++)                                 \
                memcpy (y + 2 * p * KERNELS_PANEL, &r[p], sizeof r[p]);                            \
        }

#define ROUNDED(at, n) panels_pairs_of (w + (at), n)
static void panels_pack_bf16 (uint16_t *panel, const float *w, size_t k, size_t outputs)
{
    PACK (ROUNDED);
}

#define AS_THEY_LIE(at, n) panels_pairs_at (w + (at) * sizeof (uint16_t), n)
static void panels_pack_halves (uint16_t *panel, const char *w, size_t k, size_t outputs)
{
    PACK (AS_THEY_LIE);
}

/*  LANES pairs to 2 LANES values of a row. */
V16_INLINE void panels_unpair_row (float *row, reg_bits_t pairs, size_t n)
{
    reg_t even = (reg_t) (pairs << 16), odd = (reg_t) (pairs & 0xffff0000u);
    panels_store (row, reg_shuffle (even, odd, panels_alternate ()), n);
    if (n > LANES)
        panels_store (row + LANES, reg_shuffle (even, odd, panels_alternate () + LANES / 2),
                      n - LANES);
}

/*  The same, left as they are. */
V16_INLINE void panels_store_pairs (char *row, reg_bits_t pairs, size_t n)
{
    if (n >= 2 * LANES)
        memcpy (row, &pairs, sizeof pairs);
    else
        memcpy (row, &pairs, n * sizeof (uint16_t));
}

/*  The reverse, step by step. A bfloat16 is exact in a float, so packing what comes out gives the
 *  same panel. */
#define UNPACK(store)                                                                              \
    for (size_t first = 0; first < KERNELS_PANEL; first += LANES)                                  \
        for (size_t from = 0; from < k; from += 2 * LANES) {                                       \
            reg_t r[LANES];                                                                        \
            const uint16_t *x = panel + from * KERNELS_PANEL + 2 * first;                          \
            for (size_t p = 0; p < LANES; p++) {                                                   \
                r[p] = reg_set (0);                                                                \
                if (from + 2 * p < k)                                                              \
                    memcpy (&r[p], x + 2 * p * KERNELS_PANEL, sizeof r[p]);                        \
            }                                                                                      \
            TRANSPOSE                                                                              \
            for (size_t o = 0; o < LANES && first + o < outputs; o++)                              \
                store ((first + o) * k + from, (reg_bits_t) r[o], k - from);                       \
        }

#define WIDENED(at, pairs, n) panels_unpair_row (w + (at), pairs, n)
static void panels_unpack_bf16 (float *w, const uint16_t *panel, size_t k, size_t outputs)
{
    UNPACK (WIDENED);
}

#define UNCHANGED(at, pairs, n) panels_store_pairs (w + (at) * sizeof (uint16_t), pairs, n)
static void panels_unpack_halves (char *w, const uint16_t *panel, size_t k, size_t outputs)
{
    UNPACK (UNCHANGED);
}

extern const panels_t JOIN (panels_, ISA);
const panels_t JOIN (panels_, ISA) = {.transpose = panels_transpose,
                                      .transpose_bf16 = panels_transpose_bf16,
                                      .pair = panels_pair,
                                      .turn_pairs = panels_turn_pairs,
                                      .unpair = panels_unpair,
                                      .pack_bf16 = panels_pack_bf16,
                                      .unpack_bf16 = panels_unpack_bf16,
                                      .pack_halves = panels_pack_halves,
                                      .unpack_halves = panels_unpack_halves};

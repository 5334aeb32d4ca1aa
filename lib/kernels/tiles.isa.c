/*  tiles - products of bfloat16 in the tile registers of AMX; see kernels.h
 *
 *  AMX has eight registers of 16 rows by 64 bytes. A block of up to 32 rows by a panel of 32
 *  outputs has its sums in four of them (two heights, two halves of the panel), the others hold 32
 *  values of k of x and of W; panels lie as the instruction wants them, two values of k side by
 *  side. It adds 32 products to a sum at a time, in an order of its own; runs of 32 begin at
 *  multiples of 32, so that a sum depends on nothing but its row. (Intel, Intrinsics Guide,
 *  _tile_dpbf16ps.)
 */
#include "kernels/kernels.h"

#if defined(__AMX_BF16__) || defined(__AMXBF16__) /* as GCC and as clang 14 call it */
#include <immintrin.h>
#include <string.h>

#include "kernels/register.h"

extern void tiles_matmul_bf16 (const kernels_matmul_t *m); /* of kernels.isa.c's table */

#define TILES_ROWS ((size_t) 16) /* of a register */
#define TILES_RUN  ((size_t) 32) /* values of k in one */

typedef struct {
    uint8_t palette, start, none[14];
    uint16_t bytes[16]; /* of a row, by register */
    uint8_t rows[16];
} tiles_shape_t;

/*  Registers 0 and 1 are the sums of the first 16 rows, 2 and 3 of the others; 4 and 5 their x; 6
 *  and 7 the two halves of a panel. Fewer rows are neither read nor written. */
static void tiles_shape (size_t height)
{
    tiles_shape_t shape = {.palette = 1};
    size_t upper = height < TILES_ROWS ? height : TILES_ROWS, lower = height - upper;
    const size_t rows[8] = {upper, upper, lower, lower, upper, lower, TILES_ROWS, TILES_ROWS};
    for (size_t i = 0; i < 8; i++) {
        shape.rows[i] = (uint8_t) (rows[i] ? rows[i] : 1);
        shape.bytes[i] = 64;
    }
    _tile_loadconfig (&shape);
}

/*  One run of k. x: rows of `stride` values; b: the run's part of the panel. */
V16_INLINE void tiles_step (const uint16_t *x, size_t stride, const uint16_t *b, bool lower)
{
    _tile_loadd (6, b, 4 * KERNELS_PANEL);
    _tile_loadd (7, b + KERNELS_PANEL, 4 * KERNELS_PANEL);
    _tile_loadd (4, x, stride * sizeof *x);
    _tile_dpbf16ps (0, 4, 6);
    _tile_dpbf16ps (1, 4, 7);
    if (lower) {
        _tile_loadd (5, x + TILES_ROWS * stride, stride * sizeof *x);
        _tile_dpbf16ps (2, 5, 6);
        _tile_dpbf16ps (3, 5, 7);
    }
}

/*  The last run where k is no multiple of 32: filled up with zeros, which add nothing. */
static void tiles_last_step (const uint16_t *x, size_t stride, size_t height, const uint16_t *b,
                             size_t k)
{
    uint16_t rows[2 * TILES_ROWS * TILES_RUN] = {0}, panel[TILES_RUN * KERNELS_PANEL] = {0};
    for (size_t r = 0; r < height; r++)
        memcpy (rows + r * TILES_RUN, x + r * stride, k * sizeof *x);
    memcpy (panel, b, (k + 1) / 2 * 2 * KERNELS_PANEL * sizeof *b);
    /* The compiler does not know that loading a tile reads memory. */
    __asm__ volatile("" : : : "memory");
    tiles_step (rows, TILES_RUN, panel, height > TILES_ROWS);
}

/*  out [height][32] = x [height][k] times a panel. ahead: the panel that comes next, which is asked
 *  for meanwhile; NULL: none is. */
static void tiles_block (float *out, size_t out_stride, const uint16_t *x, size_t stride,
                         size_t height, const uint16_t *b, size_t k, const char *ahead)
{
    bool lower = height > TILES_ROWS;
    size_t i = 0, bytes = out_stride * sizeof *out;
    _tile_zero (0);
    _tile_zero (1);
    _tile_zero (2);
    _tile_zero (3);
    for (; i + TILES_RUN <= k; i += TILES_RUN, b += TILES_RUN * KERNELS_PANEL) {
        for (size_t line = 0; ahead && line < TILES_RUN; line++, ahead += 64)
            __builtin_prefetch (ahead);
        tiles_step (x + i, stride, b, lower);
    }
    if (i < k)
        tiles_last_step (x + i, stride, height, b, k - i);
    _tile_stored (0, out, bytes);
    _tile_stored (1, out + TILES_ROWS, bytes);
    if (lower) {
        _tile_stored (2, out + TILES_ROWS * out_stride, bytes);
        _tile_stored (3, out + TILES_ROWS * out_stride + TILES_ROWS, bytes);
    }
}

/*  From a block's sums to y: adds what is to be added, leaves out the padding of the last panel. */
static void tiles_finish (const kernels_matmul_t *m, const float *out, size_t row, size_t height,
                          size_t column, size_t columns)
{
    for (size_t r = 0; r < height; r++, out += KERNELS_PANEL) {
        float *y = m->y + (row + r) * m->y_stride + column;
        const float *add = m->add ? m->add + (row + r) * m->add_stride + column : NULL;
        for (size_t i = 0; i < columns; i++)
            y[i] = add ? out[i] + add[i] : out[i];
    }
}

/*  All rows of one panel, 32 at a time. */
static void tiles_panel (const kernels_matmul_t *m, size_t p, size_t *shaped)
{
    size_t panel_values = (m->k + 1) / 2 * 2 * KERNELS_PANEL, column = p * KERNELS_PANEL;
    size_t columns = m->outputs - column < KERNELS_PANEL ? m->outputs - column : KERNELS_PANEL;
    const uint16_t *b = (const uint16_t *) m->panels + p * panel_values;
    bool direct = columns == KERNELS_PANEL && !m->add;
    for (size_t row = 0; row < m->n; row += 2 * TILES_ROWS) {
        float out[2 * TILES_ROWS * KERNELS_PANEL];
        size_t height = m->n - row < 2 * TILES_ROWS ? m->n - row : 2 * TILES_ROWS;
        bool next = row == 0 && p + 1 < m->last;
        if (height != *shaped)
            tiles_shape (height);
        *shaped = height;
        tiles_block (direct ? m->y + row * m->y_stride + column : out,
                     direct ? m->y_stride : KERNELS_PANEL,
                     (const uint16_t *) m->x + row * m->x_stride, m->x_stride, height, b, m->k,
                     next ? (const char *) (b + panel_values) : NULL);
        if (!direct)
            tiles_finish (m, out, row, height, column, columns);
    }
}

/*  The shape is a thread's state, and saved with it while there is one: it is given up at the
 *  end. */
void tiles_matmul_bf16 (const kernels_matmul_t *m)
{
    size_t shaped = 0;
    __asm__ volatile("" : : : "memory");
    for (size_t p = m->first; p < m->last; p++)
        tiles_panel (m, p, &shaped);
    _tile_release ();
}
#endif

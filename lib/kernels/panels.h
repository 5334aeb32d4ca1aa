/*  panels - brings matrices into the shape in which the products read them (kernels.h), and back;
 *  compiled per instruction set (panels.isa.c).
 *
 *      const panels_t *p = model->kernels->panels;
 *      p->pack_bf16 (panel, w, k, outputs);
 *
 *  Values of bfloat16 are rounded to nearest, ties to even.
 */
#ifndef QUINTET_KERNELS_PANELS_H
#define QUINTET_KERNELS_PANELS_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

typedef struct panels {
    /*  y [columns, rows] = x [rows, columns]^T; strides are floats from row to row. */
    void (*transpose) (float *y, size_t y_stride, const float *x, size_t x_stride, size_t rows,
                       size_t columns);
    /*  The same, rounded to bfloat16: y [columns, rows], with a zero after an odd number of
     *  rows. */
    void (*transpose_bf16) (uint16_t *y, size_t y_stride, const float *x, size_t x_stride,
                            size_t rows, size_t columns);
    /*  A bfloat16 panel [(k + 1) / 2][32][2] of float rows [k][columns], stride floats from row to
     *  row; zeros where there is no row or column. */
    void (*pair) (uint16_t *y, const float *x, size_t stride, size_t k, size_t columns);
    /*  Of a bfloat16 panel of 32 outputs, x [(k + 1) / 2][32][2] with k <= 32, its transpose:
     *  outputs in pairs, y [(outputs + 1) / 2][32 k][2]. */
    void (*turn_pairs) (uint16_t *y, const uint16_t *x, size_t k, size_t outputs);
    /*  A bfloat16 panel [(k + 1) / 2][32][2] to float [k][32]. */
    void (*unpair) (float *y, const uint16_t *x, size_t k);
    /*  A bfloat16 panel of up to 32 outputs [(k + 1) / 2][32][2], of rows w [outputs][k]; and
     *  back. */
    void (*pack_bf16) (uint16_t *panel, const float *w, size_t k, size_t outputs);
    void (*unpack_bf16) (float *w, const uint16_t *panel, size_t k, size_t outputs);
    /*  The same of rows that are bfloat16 themselves, aligned or not. */
    void (*pack_halves) (uint16_t *panel, const char *w, size_t k, size_t outputs);
    void (*unpack_halves) (char *w, const uint16_t *panel, size_t k, size_t outputs);
} panels_t;

#endif

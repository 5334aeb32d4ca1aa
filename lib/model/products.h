/*  products - the two matrix products of the backward pass, on the kernels of the forward pass.
 *
 *      products_t p = {0};
 *      products_open (&p, model, rows_max, pool, &err);
 *      products_input (&p, rows, n, &layer->down, false, dx);        dx = dy W
 *      products_weight (&p, rows, x, n, &layer->down, gradient);     dW += dy^T x
 *      products_close (&p);
 *
 *  Both walk over what they sum in runs of PRODUCTS_DEPTH, in order, so their bits follow from the
 *  shapes alone and not from threads. The weights are turned around while they are packed, from
 *  the panels that the model holds: there is no second copy of them. Models that compute in
 *  bfloat16 multiply in bfloat16 here as well (dy and x rounded, sums in float32), as PyTorch
 *  does, where the CPU can.
 */
#ifndef QUINTET_MODEL_PRODUCTS_H
#define QUINTET_MODEL_PRODUCTS_H

#include "model/weights.h"

#define PRODUCTS_DEPTH ((size_t) 1024)

typedef struct {
    const model_t *model;
    const panels_t *panels;
    pool_t *pool;
    bool narrow; /* multiply bfloat16 matrices in bfloat16 */
    size_t rows_max;
    char *turned; /* rows of the left operand, as the kernel wants them */
    float *space; /* [threads][PRODUCTS_DEPTH + 32][32]: a panel, scratch */
} products_t;

int products_open (products_t *p, const model_t *model, size_t rows_max, pool_t *pool, err_t *err);
void products_close (products_t *p);
size_t products_bytes (const model_t *model, size_t rows_max, size_t threads);

/*  dy: rows of a matrix' outputs, which may be some columns of wider rows. */
typedef struct {
    const float *data;
    size_t stride; /* floats from row to row */
} products_rows_t;

/*  dx [n, k] (+= with more) from dy [n, outputs]; n <= rows_max. */
void products_input (products_t *p, products_rows_t dy, size_t n, const weights_matrix_t *w,
                     bool more, float *dx);
/*  gradient: the flat vector; dy [n, outputs], x [n, k]. Nothing for a frozen matrix. */
void products_weight (products_t *p, products_rows_t dy, const float *x, size_t n,
                      const weights_matrix_t *w, float *gradient);

#endif

/*  products - see products.h
 *
 *  A product is cut into blocks of at most PRODUCTS_DEPTH summands (and, for weights, HEIGHT
 *  outputs). Of a block, the left operand is brought into the kernel's shape first, by all
 *  threads; then every thread packs one panel of 32 columns of the right operand after the other
 *  and multiplies.
 *
 *  Why runs of PRODUCTS_DEPTH: a panel of 32 columns is packed and then multiplied with all rows,
 *  and must stay in the second cache in between. With all of the summands it would not, so a long
 *  sum is cut. A cut changes the bits (each run's sum starts at 0 and is added to y), therefore it
 *  is made at fixed places and never by what threads or cache sizes suggest.
 *
 *  Why packing at all: the kernels of the forward pass read panels [k][32]. dx = dy W sums over the
 *  outputs of W, so W has to be turned; dW = dy^T x sums over rows, so dy has to be turned and x
 *  already is what is wanted. Turned copies are small and thrown away.
 */
#include "model/products.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"

#define HEIGHT ((size_t) 512) /* outputs of a block of dW */
#define STRIP                                                                                      \
    ((size_t) 64) /* outputs that a thread turns at a time: whole lines of memory, side by side */
#define ROWS ((size_t) 16) /* rows that a thread rounds at a time */

static size_t products_least (size_t a, size_t b)
{
    return a < b ? a : b;
}

/*  Only where the CPU multiplies bfloat16: elsewhere the rounding would cost time and give
 *  nothing. */
static bool products_multiplies_narrow (const model_t *model)
{
    return model->compute == COMPUTE_BF16 && model->kernels->rounded_bytes == sizeof (uint16_t);
}

/*  dW needs a block of outputs by rows, as floats at most; dx a block of rounded rows, where
 *  products are narrow. */
static size_t products_turned_bytes (const model_t *model, size_t rows_max)
{
    size_t weight = HEIGHT * products_least (rows_max + 1, PRODUCTS_DEPTH) * sizeof (float);
    size_t input =
        products_multiplies_narrow (model) ? rows_max * PRODUCTS_DEPTH * sizeof (uint16_t) : 0;
    return ((weight > input ? weight : input) + 63) / 64 * 64;
}

/*  A panel of PRODUCTS_DEPTH values of k, and 32 rows of scratch to widen bfloat16 weights in. */
static size_t products_panel_floats (void)
{
    return (PRODUCTS_DEPTH + KERNELS_PANEL) * KERNELS_PANEL;
}

size_t products_bytes (const model_t *model, size_t rows_max, size_t threads)
{
    return products_turned_bytes (model, rows_max) +
           threads * products_panel_floats () * sizeof (float);
}

int products_open (products_t *p, const model_t *model, size_t rows_max, pool_t *pool, err_t *err)
{
    *p = (products_t){.model = model,
                      .panels = model->kernels->panels,
                      .pool = pool,
                      .narrow = products_multiplies_narrow (model),
                      .rows_max = rows_max};
    p->turned = pages_alloc (products_turned_bytes (model, rows_max));
    p->space = aligned_alloc (64, pool_threads (pool) * products_panel_floats () * sizeof (float));
    if (p->turned && p->space)
        return 0;
    products_close (p);
    return err_set (err, ERR_LIMIT, "no memory for the products of %zu rows", rows_max);
}

void products_close (products_t *p)
{
    free (p->turned);
    free (p->space);
    *p = (products_t){0};
}

/*  One block: y [n, columns] = (or +=) left [n, depth] right [depth, columns]. */
typedef struct {
    products_t *p;
    const weights_matrix_t *w;
    products_rows_t dy;
    const float *x;
    bool narrow;
    size_t rows;          /* of dy and x */
    size_t first, height; /* dW: outputs */
    size_t from, depth;   /* what is summed: outputs (dx) or rows (dW) */
    const void *left;
    size_t left_stride;
    float *y; /* where column 0 of the block's first row lies */
    size_t n, columns;
    bool more; /* += */
    /*  One panel of the right operand: columns from `column` on, as the kernel wants them. */
    void (*pack) (const void *block, size_t column, size_t columns, void *panel, float *scratch);
} block_t;

/*  One panel of the right operand: packed into the thread's own space, then multiplied with all
 *  rows of the left one. A panel of PRODUCTS_DEPTH x 32 floats is 128 kB and stays in the second
 *  cache between the two; with all of k at once it would not. That is the reason for walking in
 *  runs: their length is fixed, so the order of a sum is. */
static void products_multiply_panel (void *context, size_t i, size_t thread)
{
    const block_t *c = context;
    const products_t *p = c->p;
    float *panel = p->space + thread * products_panel_floats ();
    size_t column = i * KERNELS_PANEL,
           columns = products_least (KERNELS_PANEL, c->columns - column);
    c->pack (c, column, columns, panel, panel + PRODUCTS_DEPTH * KERNELS_PANEL);
    kernels_matmul_t m = {.panels = panel,
                          .x = c->left,
                          .x_stride = c->left_stride,
                          .y = c->y + column,
                          .y_stride = c->columns,
                          .add = c->more ? c->y + column : NULL,
                          .add_stride = c->columns,
                          .n = c->n,
                          .k = c->depth,
                          .outputs = columns,
                          .last = 1};
    if (c->narrow)
        p->model->kernels->matmul_bf16 (&m);
    else
        p->model->kernels->matmul_f32 (&m);
}

/*  Panels are columns of y: each is written by one thread, over the whole depth of the block. */
static void products_multiply_block (block_t *c)
{
    pool_run (c->p->pool, products_multiply_panel, c, kernels_panels (c->columns));
}

/*  ---- dx = dy W ---- */

/*  The model's panels hold W as [k][32 outputs], while dx = dy W sums over outputs and wants
 *  [outputs][32 k]. Turning 32 x 32 blocks while packing saves keeping W a second time,
 *  transposed. */
static void products_pack_weights (const void *block, size_t column, size_t columns, void *panel,
                                   float *scratch)
{
    const block_t *c = block;
    const weights_matrix_t *w = c->w;
    float *to = panel;
    size_t panel_bytes = weights_panel_bytes (w);
    if (columns < KERNELS_PANEL)
        memset (to, 0, c->depth * KERNELS_PANEL * sizeof *to);
    for (size_t o = 0; o < c->depth; o += KERNELS_PANEL) {
        /* Panel o of W holds 32 outputs for all k; of them the rows k = column .. column + 31. */
        const char *from = (const char *) w->panels + (c->from + o) / KERNELS_PANEL * panel_bytes;
        const float *rows = (const float *) from + column * KERNELS_PANEL;
        if (w->type == COMPUTE_BF16) {
            c->p->panels->unpair (scratch, (const uint16_t *) from + column * KERNELS_PANEL,
                                  columns);
            rows = scratch;
        }
        c->p->panels->transpose (to + o * KERNELS_PANEL, KERNELS_PANEL, rows, KERNELS_PANEL,
                                 columns, products_least (KERNELS_PANEL, c->depth - o));
    }
}

/*  The same for bfloat16 panels, whose pairs of k become pairs of outputs (panels.h,
 *  turn_pairs). */
static void products_pack_weights_narrow (const void *block, size_t column, size_t columns,
                                          void *panel, float *scratch)
{
    (void) scratch;
    const block_t *c = block;
    size_t panel_values = weights_panel_bytes (c->w) / sizeof (uint16_t);
    const uint16_t *from = c->w->panels;
    from += c->from / KERNELS_PANEL * panel_values + column * KERNELS_PANEL;
    for (size_t o = 0; o < c->depth; o += KERNELS_PANEL, from += panel_values)
        c->p->panels->turn_pairs ((uint16_t *) panel + o * KERNELS_PANEL, from, columns,
                                  products_least (KERNELS_PANEL, c->depth - o));
}

/*  dy rounded to bfloat16 row by row; an odd depth is filled up with a zero, since values are
 *  multiplied in pairs. */
static void products_round_rows (void *context, size_t i, size_t thread)
{
    (void) thread;
    const block_t *c = context;
    size_t end = products_least ((i + 1) * ROWS, c->rows);
    for (size_t row = i * ROWS; row < end; row++) {
        uint16_t *y = (uint16_t *) c->p->turned + row * c->left_stride;
        c->p->model->kernels->to_bf16 (y, c->dy.data + row * c->dy.stride + c->from, c->depth);
        if (c->depth % 2 == 1)
            y[c->depth] = 0;
    }
}

/*  Adapters are float32 in any model, so not every matrix of a narrow model is narrow. */
static bool products_is_narrow (const products_t *p, const weights_matrix_t *w)
{
    return p->narrow && w->type == COMPUTE_BF16;
}

/*  dx [n, k] = dy [n, outputs] W [outputs, k], in runs of outputs: the first run writes (or adds,
 *  with `more`), all others add. Every run is a chain of its own that begins at 0 and is then
 *  added. */
void products_input (products_t *p, products_rows_t dy, size_t n, const weights_matrix_t *w,
                     bool more, float *dx)
{
    assert (n <= p->rows_max);
    for (size_t from = 0; from < w->outputs; from += PRODUCTS_DEPTH) {
        block_t c = {.p = p,
                     .w = w,
                     .dy = dy,
                     .narrow = products_is_narrow (p, w),
                     .rows = n,
                     .from = from,
                     .depth = products_least (PRODUCTS_DEPTH, w->outputs - from),
                     .left = dy.data + from,
                     .left_stride = dy.stride,
                     .y = dx,
                     .n = n,
                     .columns = w->k,
                     .more = more || from > 0,
                     .pack = products_pack_weights};
        /* The left operand dy must be bfloat16 as well; it is rounded once per run and shared by
         * all threads. */
        if (c.narrow) {
            c.pack = products_pack_weights_narrow;
            c.left = p->turned;
            c.left_stride = c.depth + c.depth % 2;
            pool_run (p->pool, products_round_rows, &c, (n + ROWS - 1) / ROWS);
        }
        products_multiply_block (&c);
    }
}

/*  ---- dW += dy^T x ---- */

/*  x [depth, columns] as a panel [depth][32]: rows are copied, for k (the rows of the batch) is
 *  outside already. The constant size in the usual case lets the compiler copy by registers. */
static void products_pack_rows (const void *block, size_t column, size_t columns, void *panel,
                                float *scratch)
{
    (void) scratch;
    const block_t *c = block;
    const float *x = c->x + c->from * c->columns + column;
    float *to = panel;
    if (columns < KERNELS_PANEL)
        memset (to, 0, c->depth * KERNELS_PANEL * sizeof *to);
    for (size_t i = 0; i < c->depth; i++, x += c->columns, to += KERNELS_PANEL)
        if (columns == KERNELS_PANEL)
            memcpy (to, x, KERNELS_PANEL * sizeof *to);
        else
            memcpy (to, x, columns * sizeof *to);
}

static void products_pack_rows_narrow (const void *block, size_t column, size_t columns,
                                       void *panel, float *scratch)
{
    (void) scratch;
    const block_t *c = block;
    c->p->panels->pair (panel, c->x + c->from * c->columns + column, c->columns, c->depth, columns);
}

/*  dW = dy^T x sums over rows, so outputs become the rows of the left operand: a strip of dy is
 *  transposed to [outputs][depth]. Strips begin at whole cache lines of dy. */
static void products_turn_strip (void *context, size_t i, size_t thread)
{
    (void) thread;
    const block_t *c = context;
    const products_t *p = c->p;
    size_t first = i * STRIP, outputs = products_least (STRIP, c->height - first);
    size_t to = first * c->left_stride;
    const float *dy = c->dy.data + c->from * c->dy.stride + c->first + first;
    if (c->narrow)
        p->panels->transpose_bf16 ((uint16_t *) p->turned + to, c->left_stride, dy, c->dy.stride,
                                   c->depth, outputs);
    else
        p->panels->transpose ((float *) p->turned + to, c->left_stride, dy, c->dy.stride, c->depth,
                              outputs);
}

/*  dW [outputs, k] += dy^T [outputs, n] x [n, k], in runs of rows, and within them in blocks of
 *  HEIGHT outputs, whose transposed dy fits the cache. Runs are the outer loop: each output gets
 *  its runs in order. */
void products_weight (products_t *p, products_rows_t dy, const float *x, size_t n,
                      const weights_matrix_t *w, float *gradient)
{
    /* Below adapters the base's matrices only pass the gradient on. */
    if (w->at == WEIGHTS_FROZEN)
        return;
    for (size_t from = 0; from < n; from += PRODUCTS_DEPTH)
        for (size_t first = 0; first < w->outputs; first += HEIGHT) {
            size_t depth = products_least (PRODUCTS_DEPTH, n - from);
            size_t height = products_least (HEIGHT, w->outputs - first);
            block_t c = {.p = p,
                         .w = w,
                         .dy = dy,
                         .x = x,
                         .narrow = products_is_narrow (p, w),
                         .rows = n,
                         .first = first,
                         .height = height,
                         .from = from,
                         .depth = depth,
                         .left = p->turned,
                         .left_stride = depth + depth % 2,
                         .y = gradient + w->at + first * w->k,
                         .n = height,
                         .columns = w->k,
                         .more = true,
                         .pack = products_is_narrow (p, w) ? products_pack_rows_narrow
                                                           : products_pack_rows};
            pool_run (p->pool, products_turn_strip, &c, (height + STRIP - 1) / STRIP);
            products_multiply_block (&c);
        }
}

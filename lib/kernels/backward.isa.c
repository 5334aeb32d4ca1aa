/*  backward - see backward.h. Compiled once per instruction set, with -DISA=name. */
#include "kernels/backward.h"

#include "kernels/vector.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_ (a, b)

/*  Query rows of a tile: their sums fill the register file of AVX2, with a register for keys and
 *  one for the row's value, and half of that of AVX-512. */
#define ROWS   BACKWARD_TILE
#define UNROLL _Pragma ("GCC unroll 12")

/*  ---- rows ---- */

/*  y_i = x_i r g_i with r = (mean (x^2) + eps)^-1/2, so dr/dx_i = -r^3 x_i / n, and
 *  dx_i = r g_i dy_i - x_i (r^3 / n) sum_j dy_j g_j x_j
 *  dg_i = dy_i x_i r */
static void backward_norm (float *dx, float *dgain, const float *dy, const float *x,
                           const float *gain, float r, size_t n)
{
    v16f sums = v16_zero ();
    size_t i = 0;
    for (; i + V16 <= n; i += V16)
        sums =
            v16_mul_add (v16_mul (v16_load (dy + i), v16_load (gain + i)), v16_load (x + i), sums);
    float sum = v16_sum (sums);
    /* The tail is added one by one: its order is fixed, too. */
    for (; i < n; i++)
        sum += dy[i] * gain[i] * x[i];
    float pull = r * r * r * sum / (float) n;
    for (i = 0; i < n; i++)
        dx[i] += r * gain[i] * dy[i] - pull * x[i];
    for (i = 0; dgain && i < n; i++)
        dgain[i] += dy[i] * x[i] * r;
}

/*  act = g s (g) u with the logistic function s; d silu / dg = s (1 + g (1 - s)). The sigmoid is
 *  computed again: reading a stored one would cost more. */
V16_INLINE void backward_swiglu_sixteen (v16f *dgate, v16f *dup, v16f dact, v16f gates, v16f up)
{
    V16_PARTS
    {
        reg_t d = dact.part[i], gate = gates.part[i], s = reg_sigmoid (gate);
        dgate->part[i] = d * up.part[i] * s * (1.0f + gate * (1.0f - s));
        dup->part[i] = d * gate * s;
    }
}

static void backward_swiglu (float *dgate, float *dup, const float *dact, const float *gate,
                             const float *up, size_t n)
{
    v16f dg, du;
    size_t i = 0;
    for (; i + V16 <= n; i += V16) {
        backward_swiglu_sixteen (&dg, &du, v16_load (dact + i), v16_load (gate + i),
                                 v16_load (up + i));
        v16_store (dgate + i, dg);
        v16_store (dup + i, du);
    }
    if (i == n)
        return;
    backward_swiglu_sixteen (&dg, &du, v16_load_n (dact + i, n - i, 0),
                             v16_load_n (gate + i, n - i, 0), v16_load_n (up + i, n - i, 0));
    v16_store_n (dgate + i, dg, n - i);
    v16_store_n (dup + i, du, n - i);
}

static void backward_scale (float *x, float factor, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] *= factor;
}

static void backward_add (float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

/*  ---- attention ---- */

/*  Query rows of one tile: an item is one query head of one row, so that the heads that share keys
 *  and values go over them together. The keys of a tile are read once for all its items, which is
 *  where the time goes. Items beyond the last are zeros, which add nothing to any gradient. */
typedef struct {
    const backward_attention_t *a;
    size_t first, items;                         /* item i is head i % group of row i / group */
    size_t dim, padded;                          /* dim, and it rounded up to 16 */
    float *q, *dout, *dq;                        /* [dim][ROWS] twice, [ROWS][padded] */
    float max[ROWS], inverse[ROWS], delta[ROWS]; /* delta = out . dout */
} tile_t;

/*  Brings q and dout into [dim][ROWS]: the innermost loops take one dimension of all items at a
 *  time.
 *
 *  delta = sum_j p_j dp_j = out . dout (Dao et al. 2022, appendix B.2): what the softmax's backward
 *  subtracts from every dp_j. It needs no second pass over the keys, since out is known. */
static void backward_tile_load (tile_t *t)
{
    const backward_attention_t *a = t->a;
    memset (t->q, 0, 2 * ROWS * t->dim * sizeof *t->q);
    memset (t->dq, 0, ROWS * t->padded * sizeof *t->dq);
    for (size_t r = 0; r < ROWS; r++) {
        size_t row = (t->first + r) / a->group, head = (t->first + r) % a->group;
        size_t at = row * a->stride + head * t->dim;
        t->max[r] = t->inverse[r] = t->delta[r] = 0;
        if (r >= t->items)
            continue;
        t->max[r] = a->max[row * a->heads + head];
        t->inverse[r] = 1 / a->sum[row * a->heads + head];
        float delta = 0;
        for (size_t d = 0; d < t->dim; d++) {
            t->q[d * ROWS + r] = a->q[at + d];
            t->dout[d * ROWS + r] = a->dout[at + d];
            delta += a->out[at + d] * a->dout[at + d];
        }
        t->delta[r] = delta;
    }
}

/*  dq was collected in the tile, [ROWS][padded]; every item belongs to one tile only, so it is
 *  stored, not added. */
static void backward_tile_save (const tile_t *t)
{
    const backward_attention_t *a = t->a;
    for (size_t r = 0; r < t->items; r++) {
        size_t row = (t->first + r) / a->group, head = (t->first + r) % a->group;
        memcpy (a->dq + row * a->stride + head * t->dim, t->dq + r * t->padded,
                t->dim * sizeof *a->dq);
    }
}

/*  sums[r] = rows[r] . key, for as many keys as a register has lanes: one multiply-add chain over
 *  the dimensions for each item and key. UNROLL keeps the ROWS sums in registers. */
V16_INLINE void backward_scores (reg_t sums[ROWS], const float *rows, const float *keys, size_t dim)
{
    reg_t s[ROWS];
    UNROLL for (size_t r = 0; r < ROWS; r++) s[r] = reg_set (0);
    for (size_t d = 0; d < dim; d++, rows += ROWS, keys += KERNELS_BLOCK) {
        reg_t key = reg_load (keys);
        UNROLL for (size_t r = 0; r < ROWS; r++) s[r] += rows[r] * key;
    }
    UNROLL for (size_t r = 0; r < ROWS; r++) sums[r] = s[r];
}

/*  out [dim][16] += sum over items of rows[dim][r] weights[r], where out is a register's lanes of a
 *  block of dkeys or dvalues, one per key. Two chains, since a single one would wait for each
 *  multiply-add of the one before. */
V16_INLINE void backward_spread (float *out, const reg_t weights[ROWS], const float *rows,
                                 size_t dim)
{
    reg_t w[ROWS];
    UNROLL for (size_t r = 0; r < ROWS; r++) w[r] = weights[r];
    for (size_t d = 0; d < dim; d++, rows += ROWS, out += KERNELS_BLOCK) {
        reg_t even = reg_load (out), odd = reg_set (0);
        UNROLL for (size_t r = 0; r < ROWS; r += 2)
        {
            even += rows[r] * w[r];
            odd += rows[r + 1] * w[r + 1];
        }
        reg_store (out, even + odd);
    }
}

/*  dq[r] += sum over the block's keys of weights[r][key] key. It takes the keys as rows: lanes are
 *  dimensions here, so that the sum over keys is a chain and not a sum across lanes. */
V16_INLINE void backward_collect (float *dq, size_t padded, float weights[ROWS][KERNELS_BLOCK],
                                  const float *rows, size_t stride, size_t keys, size_t dim)
{
    for (size_t d = 0; d < dim; d += LANES) {
        reg_t s[ROWS];
        size_t lanes = dim - d < LANES ? dim - d : LANES;
        UNROLL for (size_t r = 0; r < ROWS; r++) s[r] = reg_load (dq + r * padded + d);
        for (size_t j = 0; j < keys; j++) {
            const float *row = rows + j * stride + d;
            reg_t key = lanes == LANES ? reg_load (row) : reg_load_n (row, lanes);
            UNROLL for (size_t r = 0; r < ROWS; r++) s[r] += weights[r][j] * key;
        }
        UNROLL for (size_t r = 0; r < ROWS; r++) reg_store (dq + r * padded + d, s[r]);
    }
}

/*  For the causal mask: key j of a block is visible when j < seen. */
static const int32_t lane_numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/*  One block of sixteen keys, from key `first` on. Item r sees the first seen[r] of its keys. With
 *  s = q . k:
 *  p       = exp (s scale - max) / sum         of the forward pass, computed again
 *  dvalues += p dout,  dp = dout . v
 *  ds      = p (dp - delta) scale               softmax's backward
 *  dkeys   += ds q,    dq += ds k
 *  Masked pairs get p = 0, and then ds = 0. */
static void backward_tile_block (tile_t *t, const backward_keys_t *k, size_t first,
                                 const int32_t *seen)
{
    size_t keys = k->n - first < KERNELS_BLOCK ? k->n - first : KERNELS_BLOCK;
    float weights[ROWS][KERNELS_BLOCK];
    for (size_t part = 0; part < KERNELS_BLOCK; part += LANES) {
        size_t at = first * t->dim + part;
        reg_t p[ROWS], ds[ROWS];
        reg_int_t number;
        memcpy (&number, lane_numbers + part, sizeof number);
        backward_scores (p, t->q, k->keys + at, t->dim);
        backward_scores (ds, t->dout, k->values + at, t->dim);
        for (size_t r = 0; r < ROWS; r++) {
            reg_t e = reg_exp (p[r] * t->a->scale - t->max[r]) * t->inverse[r];
            p[r] = reg_pick (number < seen[r], e, reg_set (0));
            ds[r] = p[r] * (ds[r] - t->delta[r]) * t->a->scale;
            reg_store (weights[r] + part, ds[r]);
        }
        backward_spread (k->dvalues + at, p, t->dout, t->dim);
        backward_spread (k->dkeys + at, ds, t->q, t->dim);
    }
    backward_collect (t->dq, t->padded, weights, k->rows + first * k->stride, k->stride, keys,
                      t->dim);
}

/*  Blocks in order of their keys, the shared ones first: dq is a sum over keys in one fixed order.
 *  A row sees all of the shared keys, and of its own run those up to itself. */
static void backward_tile_run (tile_t *t)
{
    const backward_attention_t *a = t->a;
    size_t last = (t->first + t->items - 1) / a->group; /* row */
    int32_t seen[ROWS];
    for (size_t first = 0; first < a->shared.n; first += KERNELS_BLOCK) {
        size_t keys = a->shared.n - first < KERNELS_BLOCK ? a->shared.n - first : KERNELS_BLOCK;
        for (size_t r = 0; r < ROWS; r++)
            seen[r] = (int32_t) keys;
        backward_tile_block (t, &a->shared, first, seen);
    }
    for (size_t first = 0; first <= last; first += KERNELS_BLOCK) {
        for (size_t r = 0; r < ROWS; r++) {
            /* Items that do not exist count as the tile's first, only to have a mask; their q and
             * dout are zeros. */
            size_t row = (t->first + (r < t->items ? r : 0)) / a->group;
            size_t keys = row + 1 > first ? row + 1 - first : 0;
            seen[r] = (int32_t) (keys < KERNELS_BLOCK ? keys : KERNELS_BLOCK);
        }
        backward_tile_block (t, &a->own, first, seen);
    }
}

/*  Tiles in order of their rows: dkeys and dvalues are sums over rows in one fixed order. Whoever
 *  calls from several threads gives each its own kv heads. */
static void backward_attention (const backward_attention_t *a)
{
    size_t total = a->rows * a->group, padded = (a->dim + V16 - 1) / V16 * V16;
    tile_t t = {.a = a,
                .dim = a->dim,
                .padded = padded,
                .q = a->scratch,
                .dout = a->scratch + ROWS * a->dim,
                .dq = a->scratch + 2 * ROWS * a->dim};
    for (t.first = 0; t.first < total; t.first += ROWS) {
        t.items = total - t.first < ROWS ? total - t.first : ROWS;
        backward_tile_load (&t);
        backward_tile_run (&t);
        backward_tile_save (&t);
    }
}

extern const backward_t JOIN (backward_, ISA);
const backward_t JOIN (backward_, ISA) = {.norm = backward_norm,
                                          .swiglu = backward_swiglu,
                                          .attention = backward_attention,
                                          .scale = backward_scale,
                                          .add = backward_add};

/*  train_backward - a group backwards; see train_internal.h
 *
 *  Gradients of vectors (norms, biases) are sums over rows and are added by one thread, in order;
 *  what goes through all threads writes rows, columns or heads of its own.
 *
 *  The walk is the reverse of train_forward.c. dx [rows, width] is the gradient by the residual
 *  stream: the head starts it, each layer adds to it what goes through its mlp and its attention,
 *  and the embedding takes what is left. Where a layer's activations were not kept they are
 *  computed again first, from x.
 *
 *  Attention is the one place where rows meet. A completion's queries look at the prompt's keys, so
 *  the prompt's dk and dv are sums over the prompt and all completions; each kv head is one
 *  thread's, which adds them in the order of the runs (back_attention_head).
 */
#include <math.h>
#include <string.h>

#include "model/rope.h"
#include "model/train_internal.h"

#define HEAD_DIM_MAX 4096 /* model_config_check */

/*  Where a tensor's gradient goes, in the flat vector; NULL when it does not learn (the base below
 *  adapters). */
static float *back_gradient_at (float *gradient, size_t at)
{
    return at == WEIGHTS_FROZEN ? NULL : gradient + at;
}

/*  scale [n]: 1 / rms of each row, as the forward pass kept it. */
static void back_norm (const train_work_t *w, const weights_vector_t *gain, const float *dy,
                       const float *x, const float *scale, size_t n, float *gradient, float *dx)
{
    size_t width = gain->n;
    for (size_t i = 0; i < n; i++)
        w->b->norm (dx + i * width, back_gradient_at (gradient, gain->at), dy + i * width,
                    x + i * width, gain->data, scale[i], width);
}

/*  y += s B u with u = A x, where A is [rank, k], B [outputs, rank] and s the adapter's scale (Hu
 *  et al. 2021, section 4.1). Then dB += s dy^T u, du = s dy B, dA += du^T x and dx += du A. The
 *  scale goes onto u and onto du, which are [rows, rank], and so never onto a large matrix. u is
 *  computed again: it is small. */
static void back_adapter (train_work_t *w, const weights_adapter_t *adapter, products_rows_t dy,
                          const float *x, size_t n, float *gradient, float *dx)
{
    products_t *p = &w->products;
    size_t rank = adapter->a.outputs;
    products_rows_t du = {w->dlow, rank};
    forward_matmul (w->model, &adapter->a, x, n, NULL, w->low, w->rounded, w->pool);
    w->b->scale (w->low, adapter->scale, n * rank);
    products_weight (p, dy, w->low, n, &adapter->b, gradient);
    products_input (p, dy, n, &adapter->b, false, w->dlow);
    w->b->scale (w->dlow, adapter->scale, n * rank);
    products_weight (p, du, x, n, &adapter->a, gradient);
    products_input (p, du, n, &adapter->a, true, dx);
}

/*  y [n, outputs] = x [n, k] W^T: dW += dy^T x and dx = dy W, then what the adapters of W add to
 *  both. */
static void back_product (train_work_t *w, const weights_matrix_t *m, const float *dy,
                          const float *x, size_t n, float *gradient, float *dx)
{
    products_rows_t rows = {dy, m->outputs};
    products_weight (&w->products, rows, x, n, m, gradient);
    products_input (&w->products, rows, n, m, false, dx);
    for (size_t i = 0; i < m->adapters_n; i++) {
        rows.data = dy + m->adapters[i].first;
        back_adapter (w, &m->adapters[i], rows, x, n, gradient, dx);
    }
}

/*  ---- the head ---- */

/*  Sum of dlogp over the tokens that are chosen at a head row: one, or at row 0 the first of every
 *  completion. */
static float back_dlogp_of (const train_work_t *w, size_t row)
{
    const train_group_t *g = w->group;
    size_t token = 0;
    float pull = 0;
    if (row > 0)
        return w->dlogp[w->token[row]];
    for (size_t c = 0; c < g->completions_n; token += g->completions[c++].n)
        pull += w->dlogp[token];
    return pull;
}

/*  exps [n, outputs] become the gradient by the logits. For logp = z_id / T - log sum_v exp (z_v /
 *  T),
 *  d logp / dz_v = (1[v = id] - p_v) / T,
 *  and p_v = exp / sum. Row 0 has several tokens: their -p_v terms are one product with the sum of
 *  their dlogp, and each adds at its own id. */
static void back_logits (train_work_t *w, size_t first, size_t end, size_t thread)
{
    (void) thread;
    const train_group_t *g = w->group;
    size_t outputs = w->model->head.outputs;
    float inverse = 1 / (w->temperature > 0 ? w->temperature : 1);
    for (size_t i = first; i < end; i++) {
        size_t row = w->head_first + i, token = 0;
        float *d = w->exps + i * outputs, pull = back_dlogp_of (w, row);
        if (w->model->config.value_head) {
            *d = pull;
            continue;
        }
        /* -p_v for all v at once: exp / sum, times the sum of the row's dlogp. */
        w->b->scale (d, -pull * inverse / w->sums[i], outputs);
        if (row > 0)
            d[train_id (w, w->token[row])] += pull * inverse;
        for (size_t c = 0; row == 0 && c < g->completions_n; token += g->completions[c++].n)
            d[g->completions[c].ids[0]] += w->dlogp[token] * inverse;
    }
}

/*  From dlogp to dx [rows, width] of the last layer. Prompt rows before the last have no token:
 *  their dx is zero here and gets its part through attention. */
static void back_head (train_work_t *w, float *gradient)
{
    const model_t *m = w->model;
    size_t width = m->config.width, from = w->prompt_n - 1, n = w->head_rows;
    for (size_t first = 0; first < w->head_rows; first += n) {
        /* The way here has left the logits of the last tile. */
        if (w->head_tile < w->head_rows)
            n = train_forward_head (w, first);
        train_each (w, n, back_logits);
        back_product (w, &m->head, w->exps, w->hidden + first * width, n, gradient,
                      w->dh + first * width);
    }
    memset (w->dx, 0, w->rows * width * sizeof *w->dx);
    back_norm (w, &m->norm, w->dh, w->x + from * width, w->scale, w->head_rows, gradient,
               w->dx + from * width);
}

/*  ---- mlp ---- */

/*  dgate_up [row][2 ff] has the gate's half first, as gate_up does. */
static void back_swiglu (train_work_t *w, size_t first, size_t end, size_t thread)
{
    (void) thread;
    const train_layer_t *l = &w->layers[w->layer];
    size_t ff = w->model->config.ff;
    for (size_t i = first; i < end; i++) {
        float *d = w->dgate_up + i * 2 * ff;
        const float *gate = l->gate_up + i * 2 * ff;
        w->b->swiglu (d, d + ff, w->dact + i * ff, gate, gate + ff, ff);
    }
}

/*  down, SwiGLU, gate_up, norm, in reverse. The residual path needs nothing: dx stays what it is,
 *  and the norm's backward adds to it. The normed rows h are computed again from middle, which
 *  costs little and saves an array per layer. */
static void back_mlp (train_work_t *w, float *gradient)
{
    const weights_layer_t *lw = &w->model->layers[w->layer];
    const train_layer_t *l = &w->layers[w->layer];
    size_t n = w->rows;
    /* dx is the gradient of the layer's output, and so of what down adds to the residual stream. */
    back_product (w, &lw->down, w->dx, l->act, n, gradient, w->dact);
    train_each (w, n, back_swiglu);
    forward_norm (w->model, &lw->norm_mlp, l->middle, n, w->h, NULL);
    back_product (w, &lw->gate_up, w->dgate_up, w->h, n, gradient, w->dh);
    back_norm (w, &lw->norm_mlp, w->dh, l->middle, l->scale2, n, gradient, w->dx);
}

/*  ---- attention ---- */

/*  One kv head of a run's rows [n, kv_dim] in blocks of sixteen rows [dim][16], zeros at the end,
 *  for one thread. Rows of all runs stand behind each other at keys_at. The kernels take sixteen
 *  keys at a time, one per lane. */
static void back_to_blocks (const train_work_t *w, const train_run_t *run, size_t head,
                            const float *rows, float *blocks)
{
    size_t dim = w->model->config.head_dim, stride = w->model->kv_dim;
    rows += run->first * stride + head * dim;
    blocks += run->keys_at;
    for (size_t i = 0; i < run->n; i += KERNELS_BLOCK, blocks += dim * KERNELS_BLOCK) {
        size_t n = run->n - i < KERNELS_BLOCK ? run->n - i : KERNELS_BLOCK;
        if (n < KERNELS_BLOCK)
            memset (blocks, 0, dim * KERNELS_BLOCK * sizeof *blocks);
        w->products.panels->transpose (blocks, KERNELS_BLOCK, rows + i * stride, stride, n, dim);
    }
}

/*  The gradients back from blocks into rows, for the products that follow. */
static void back_from_blocks (const train_work_t *w, const train_run_t *run, size_t head,
                              const float *blocks, float *rows)
{
    size_t dim = w->model->config.head_dim, stride = w->model->kv_dim;
    rows += run->first * stride + head * dim;
    blocks += run->keys_at;
    for (size_t i = 0; i < run->n; i += KERNELS_BLOCK, blocks += dim * KERNELS_BLOCK) {
        size_t n = run->n - i < KERNELS_BLOCK ? run->n - i : KERNELS_BLOCK;
        w->products.panels->transpose (rows + i * stride, stride, blocks, KERNELS_BLOCK, dim, n);
    }
}

/*  The keys of one run for one kv head: as rows in the layer's k, and as this thread's blocks. */
static backward_keys_t back_keys_of (const train_work_t *w, const train_run_t *run, size_t head,
                                     size_t thread)
{
    const model_t *m = w->model;
    const train_layer_t *l = &w->layers[w->layer];
    size_t at = thread * w->key_floats + run->keys_at;
    return (backward_keys_t){.rows = l->k + run->first * m->kv_dim + head * m->config.head_dim,
                             .stride = m->kv_dim,
                             .n = run->n,
                             .keys = w->keys + at,
                             .values = w->values + at,
                             .dkeys = w->dkeys + at,
                             .dvalues = w->dvalues + at};
}

/*  The query rows of one run. Those of a completion see all of the prompt's keys (shared) and their
 *  own up to themselves; the prompt's rows see only their own. */
static void back_attention_run (const train_work_t *w, size_t index, size_t head, size_t thread)
{
    const model_t *m = w->model;
    const model_config_t *c = &m->config;
    const train_layer_t *l = &w->layers[w->layer];
    const train_run_t *run = &w->runs[index];
    /* Query heads that share a kv head (grouped-query attention). */
    size_t group = c->heads / c->kv_heads;
    size_t at = run->first * m->q_dim + head * group * c->head_dim;
    backward_attention_t a = {.q = l->q + at,
                              .out = l->att + at,
                              .dout = w->datt + at,
                              .dq = w->dq + at,
                              .max = l->max + run->first * c->heads + head * group,
                              .sum = l->sum + run->first * c->heads + head * group,
                              .rows = run->n,
                              .stride = m->q_dim,
                              .heads = c->heads,
                              .group = group,
                              .dim = c->head_dim,
                              .scale = (float) (1.0 / sqrt ((double) c->head_dim)),
                              .own = back_keys_of (w, run, head, thread),
                              .scratch = w->scratch + thread * w->scratch_floats};
    if (index > 0)
        a.shared = back_keys_of (w, &w->runs[0], head, thread);
    w->b->attention (&a);
}

/*  All rows of one kv head, by one thread: the prompt's dkeys and dvalues gather what the prompt
 *  and all completions add, in the order of the runs. Heads write to places of their own, so they
 *  may go to any thread. */
static void back_attention_head (void *context, size_t head, size_t thread)
{
    train_work_t *w = context;
    const train_layer_t *l = &w->layers[w->layer];
    size_t runs = w->group->completions_n + 1, at = thread * w->key_floats;
    for (size_t i = 0; i < runs; i++) {
        back_to_blocks (w, &w->runs[i], head, l->k, w->keys + at);
        back_to_blocks (w, &w->runs[i], head, l->v, w->values + at);
    }
    memset (w->dkeys + at, 0, w->key_floats * sizeof *w->dkeys);
    memset (w->dvalues + at, 0, w->key_floats * sizeof *w->dvalues);
    for (size_t i = 0; i < runs; i++)
        back_attention_run (w, i, head, thread);
    for (size_t i = 0; i < runs; i++) {
        back_from_blocks (w, &w->runs[i], head, w->dkeys + at, w->dk);
        back_from_blocks (w, &w->runs[i], head, w->dvalues + at, w->dv);
    }
}

/*  Undoes rope, and QK-norm when the model has it, for the heads of one row. A rotation's transpose
 *  is the rotation by the opposite angle, hence the minus before the sine. */
static void back_rope (const train_work_t *w, const weights_vector_t *gain, const float *pre,
                       size_t position, size_t heads, float *dy, float *gradient, float *dpre)
{
    const model_t *m = w->model;
    size_t dim = m->config.head_dim, half = dim / 2;
    float buffer[HEAD_DIM_MAX], minus[HEAD_DIM_MAX / 2];
    const float *sine, *cosine = rope_at (m, position, buffer, &sine);
    for (size_t i = 0; i < half; i++)
        minus[i] = -sine[i];
    for (size_t h = 0; h < heads; h++, dy += dim, pre += dim, dpre += dim) {
        m->kernels->rope (dy, cosine, minus, half);
        if (!gain->data) {
            memcpy (dpre, dy, dim * sizeof *dy);
            continue;
        }
        /* QK-norm's 1 / rms is computed again: one per head and row was not worth keeping. */
        float squares = 0;
        for (size_t d = 0; d < dim; d++)
            squares += pre[d] * pre[d];
        float scale = 1 / sqrtf (squares / (float) dim + (float) m->config.norm_eps);
        memset (dpre, 0, dim * sizeof *dpre);
        w->b->norm (dpre, back_gradient_at (gradient, gain->at), dy, pre, gain->data, scale, dim);
    }
}

/*  From dq, dk, dv [rows, ...] to dqkv [rows, q_dim + 2 kv_dim]. One thread, in order of rows,
 *  since the gains of QK-norm and the bias are sums over all rows. */
static void back_heads (train_work_t *w, float *gradient)
{
    const model_t *m = w->model;
    const weights_layer_t *lw = &m->layers[w->layer];
    const train_layer_t *l = &w->layers[w->layer];
    size_t wide = m->q_dim + 2 * m->kv_dim;
    for (size_t row = 0; row < w->rows; row++) {
        const float *pre = l->qkv + row * wide;
        float *d = w->dqkv + row * wide;
        back_rope (w, &lw->q_norm, pre, w->position[row], m->config.heads, w->dq + row * m->q_dim,
                   gradient, d);
        back_rope (w, &lw->k_norm, pre + m->q_dim, w->position[row], m->config.kv_heads,
                   w->dk + row * m->kv_dim, gradient, d + m->q_dim);
        memcpy (d + m->q_dim + m->kv_dim, w->dv + row * m->kv_dim, m->kv_dim * sizeof *d);
        if (lw->qkv_bias.data && lw->qkv_bias.at != WEIGHTS_FROZEN)
            w->b->add (gradient + lw->qkv_bias.at, d, wide);
    }
}

/*  out, attention, rope, qkv, norm, in reverse; dx gathers as in back_mlp. */
static void back_attention (train_work_t *w, float *gradient)
{
    const model_t *m = w->model;
    const weights_layer_t *lw = &m->layers[w->layer];
    const train_layer_t *l = &w->layers[w->layer];
    size_t n = w->rows;
    back_product (w, &lw->out, w->dx, l->att, n, gradient, w->datt);
    pool_run (w->pool, back_attention_head, w, m->config.kv_heads);
    back_heads (w, gradient);
    forward_norm (m, &lw->norm_attention, l->x, n, w->h, NULL);
    back_product (w, &lw->qkv, w->dqkv, w->h, n, gradient, w->dh);
    back_norm (w, &lw->norm_attention, w->dh, l->x, l->scale1, n, gradient, w->dx);
}

/*  The head, then the layers from the last to the first, then the embedding: its rows get dx, one
 *  by one, as an id may stand in several rows. A tied embedding has got the head's gradient before,
 *  at the same place. */
void train_backward (train_work_t *w, float *gradient)
{
    const model_t *m = w->model;
    size_t width = m->config.width;
    back_head (w, gradient);
    for (size_t l = m->config.layers; l-- > 0;) {
        w->layer = l;
        /* Without kept activations all layers share one struct, which holds the last layer's:
         * compute this one's. */
        if (!w->whole)
            train_forward_layer (w, l);
        else
            train_forward_act (w, l);
        back_mlp (w, gradient);
        back_attention (w, gradient);
    }
    for (size_t row = 0; m->embedding != WEIGHTS_FROZEN && row < w->rows; row++)
        w->b->add (gradient + m->embedding + (size_t) w->ids[row] * width, w->dx + row * width,
                   width);
}

/*  forward - see forward.h: the row functions; forward_run.c strings them together */
#include "model/forward.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "model/rope.h"

/*  A product below this many multiply-adds is not worth waking other threads for. */
#define ALONE_MAX ((size_t) 1 << 17)
/*  Pieces per thread that a product is cut into, so that a slow thread delays the others little: by
 *  panels, and where these are few also by rows, of which a piece then has at least ROWS_LEAST. */
#define PIECES_PER_THREAD ((size_t) 8)
#define ROWS_LEAST        ((size_t) 12)

/*  ---- embedding and norm ---- */

/*  A tied embedding is read from the head's panels, as there is no second copy: row id is one lane
 *  of one panel, a value from a cache line each. */
static void forward_embed_from_head (const model_t *model, size_t id, float *x)
{
    weights_unpack_row (&model->head, id, x);
}

void forward_embed (const model_t *model, const int32_t *ids, size_t n, float *x)
{
    size_t width = model->config.width;
    for (size_t i = 0; i < n; i++, x += width) {
        size_t id = (size_t) ids[i];
        assert (id < model->config.vocab);
        if (!model->embedding_rows)
            forward_embed_from_head (model, id, x);
        else if (model->compute == COMPUTE_BF16)
            model->kernels->from_bf16 (x, (uint16_t *) model->embedding_rows + id * width, width);
        else
            memcpy (x, (float *) model->embedding_rows + id * width, width * sizeof *x);
    }
}

void forward_norm (const model_t *model, const weights_vector_t *gain, const float *x, size_t n,
                   float *y, float *scale)
{
    for (size_t i = 0; i < n; i++) {
        float r = model->kernels->norm (y + i * gain->n, x + i * gain->n, gain->data, gain->n,
                                        (float) model->config.norm_eps);
        if (scale)
            scale[i] = r;
    }
}

/*  ---- products ---- */

typedef struct {
    kernels_matmul_t product;
    const kernels_t *kernels;
    model_compute_t type;
    size_t across, down; /* pieces by panels, pieces by rows */
} product_t;

static void forward_multiply (const product_t *p, const kernels_matmul_t *m)
{
    if (p->type == COMPUTE_BF16)
        p->kernels->matmul_bf16 (m);
    else
        p->kernels->matmul_f32 (m);
}

/*  Piece i is a block of panels by a block of rows. Each output belongs to one piece, and kernels.h
 *  promises the same bits wherever a matrix is cut. */
static void forward_multiply_piece (void *context, size_t i, size_t thread)
{
    (void) thread;
    const product_t *p = context;
    kernels_matmul_t m = p->product;
    /* Pieces of one column follow each other, so threads that are near in time share the panels in
     * the cache. */
    size_t panels = kernels_panels (m.outputs), column = i / p->down;
    size_t row = i % p->down * m.n / p->down, end = (i % p->down + 1) * m.n / p->down;
    m.first = column * panels / p->across;
    m.last = (column + 1) * panels / p->across;
    m.x = (const char *) m.x +
          row * m.x_stride * (p->type == COMPUTE_BF16 ? p->kernels->rounded_bytes : sizeof (float));
    m.y += row * m.y_stride;
    m.add = m.add ? m.add + row * m.add_stride : NULL;
    m.n = end - row;
    forward_multiply (p, &m);
}

/*  Cuts by panels first, as then every weight is read by one thread only. Matrices with few panels
 *  are cut by rows as well. */
static void forward_multiply_all (product_t *p, pool_t *pool)
{
    const kernels_matmul_t *m = &p->product;
    size_t panels = kernels_panels (m->outputs), threads = pool_threads (pool);
    size_t most = threads * PIECES_PER_THREAD;
    if (threads == 1 || m->n * m->k * m->outputs < ALONE_MAX) {
        forward_multiply (p, m);
        return;
    }
    /* A piece is at least one panel wide and, when rows are cut as well, ROWS_LEAST rows high: one
     * tile of the kernels. */
    p->across = panels < most ? panels : most;
    p->down = panels < most ? m->n / ROWS_LEAST : 1;
    p->down = p->down > 1 ? p->down : 1;
    p->down = p->down < threads ? p->down : threads;
    pool_run (pool, forward_multiply_piece, p, p->across * p->down);
}

/*  Elements of a row of x rounded to bfloat16: even. */
static size_t forward_rounded_stride (size_t k)
{
    return k + k % 2;
}

/*  To bfloat16, as the kernels want it: an odd k is filled up with a zero, since values are
 *  multiplied in pairs. */
static void forward_round_rows (const model_t *model, const float *x, size_t n, size_t k, char *y)
{
    size_t bytes = model->kernels->rounded_bytes, stride = forward_rounded_stride (k) * bytes;
    for (size_t i = 0; i < n; i++, x += k, y += stride) {
        model->kernels->round_bf16 (y, x, k);
        memset (y + k * bytes, 0, stride - k * bytes);
    }
}

/*  Either rounded rows or an adapter's low [n, rank]: never both at once, as adapters come after
 *  the base's product. */
size_t forward_scratch (const model_t *model, size_t n)
{
    size_t low = n * model->lora.rank * sizeof (float);
    if (model->compute == COMPUTE_F32)
        return low;
    const model_config_t *c = &model->config;
    size_t widest = c->width;
    if (widest < c->ff)
        widest = c->ff;
    if (widest < model->q_dim)
        widest = model->q_dim;
    size_t rounded = n * forward_rounded_stride (widest) * model->kernels->rounded_bytes;
    return rounded > low ? rounded : low;
}

/*  y [n, outputs] += s B (A x): low = A x [n, rank], scaled, then y += B low. Both products run
 *  over k in order, as all products do, so an adapter's rows are as independent of each other as
 *  the base's. */
static void forward_add_adapter (const model_t *model, const weights_adapter_t *adapter,
                                 const float *x, size_t n, float *y, size_t stride, float *low,
                                 pool_t *pool)
{
    size_t rank = adapter->a.outputs;
    product_t up = {.kernels = model->kernels, .type = COMPUTE_F32};
    up.product = (kernels_matmul_t){.panels = adapter->b.panels,
                                    .x = low,
                                    .x_stride = rank,
                                    .y = y + adapter->first,
                                    .y_stride = stride,
                                    .add = y + adapter->first,
                                    .add_stride = stride,
                                    .n = n,
                                    .k = rank,
                                    .outputs = adapter->b.outputs,
                                    .last = kernels_panels (adapter->b.outputs)};
    forward_matmul (model, &adapter->a, x, n, NULL, low, NULL, pool);
    for (size_t i = 0; i < n * rank; i++)
        low[i] *= adapter->scale;
    forward_multiply_all (&up, pool);
}

void forward_matmul (const model_t *model, const weights_matrix_t *w, const float *x, size_t n,
                     const float *add, float *y, void *scratch, pool_t *pool)
{
    /* kernels_matmul_t has one `add`; no matrix with a bias is followed by a residual. */
    assert (!add || !w->bias);
    if (n == 0)
        return;
    product_t p = {.kernels = model->kernels, .type = w->type};
    p.product = (kernels_matmul_t){.panels = w->panels,
                                   .x = x,
                                   .x_stride = w->k,
                                   .y = y,
                                   .y_stride = w->outputs,
                                   .add = add ? add : w->bias,
                                   .add_stride = add ? w->outputs : 0,
                                   .n = n,
                                   .k = w->k,
                                   .outputs = w->outputs,
                                   .last = kernels_panels (w->outputs)};
    if (w->type == COMPUTE_BF16) {
        forward_round_rows (model, x, n, w->k, scratch);
        p.product.x = scratch;
        p.product.x_stride = forward_rounded_stride (w->k);
    }
    forward_multiply_all (&p, pool);
    forward_adapt (model, w, x, n, y, scratch, pool);
}

void forward_adapt (const model_t *model, const weights_matrix_t *w, const float *x, size_t n,
                    float *y, void *scratch, pool_t *pool)
{
    for (size_t i = 0; i < w->adapters_n; i++)
        forward_add_adapter (model, &w->adapters[i], x, n, y, w->outputs, scratch, pool);
}

/*  ---- attention ---- */

static void forward_head_norms (const model_t *model, const weights_vector_t *gain, float *x,
                                size_t heads)
{
    if (gain->data)
        forward_norm (model, gain, x, heads, x, NULL);
}

#define HEAD_DIM_MAX 4096 /* model_config_check */

/*  The three parts of qkv are joined in one product; here they go their ways. QK-norm (Qwen3) comes
 *  before rope. */
void forward_heads (const model_t *model, size_t layer, const float *qkv, size_t position, float *q,
                    float *k, float *v)
{
    const model_config_t *c = &model->config;
    const weights_layer_t *l = &model->layers[layer];
    float buffer[HEAD_DIM_MAX];
    const float *sin, *cos = rope_at (model, position, buffer, &sin);
    memcpy (q, qkv, model->q_dim * sizeof *q);
    memcpy (k, qkv + model->q_dim, model->kv_dim * sizeof *k);
    memcpy (v, qkv + model->q_dim + model->kv_dim, model->kv_dim * sizeof *v);
    forward_head_norms (model, &l->q_norm, q, c->heads);
    forward_head_norms (model, &l->k_norm, k, c->kv_heads);
    for (size_t h = 0; h < c->heads; h++)
        model->kernels->rope (q + h * c->head_dim, cos, sin, c->head_dim / 2);
    for (size_t h = 0; h < c->kv_heads; h++)
        model->kernels->rope (k + h * c->head_dim, cos, sin, c->head_dim / 2);
}

void forward_attention (const model_t *model, size_t layer, const float *q, size_t position,
                        const kv_t *prefix, const kv_t *own, float *out, float *scores, float *max,
                        float *sum)
{
    forward_attention_ahead (model, layer, q, position, prefix, own, out, scores, max, sum, NULL);
}

/*  Heads of one kv head together, since they read the same keys. Meanwhile the next kv head's
 *  blocks of this row are prefetched, or the next row's first ones. */
void forward_attention_ahead (const model_t *model, size_t layer, const float *q, size_t position,
                              const kv_t *prefix, const kv_t *own, float *out, float *scores,
                              float *max, float *sum, const kv_t *next)
{
    const model_config_t *c = &model->config;
    size_t group = c->heads / c->kv_heads, step = group * c->head_dim;
    for (size_t h = 0; h < c->kv_heads; h++) {
        kernels_attention_t a = {.q = q + h * step,
                                 .out = out + h * step,
                                 .prefix = own->first ? kv_head (model, prefix, layer, h) : NULL,
                                 .own = kv_head (model, own, layer, h),
                                 .own_first = own->first,
                                 .keys = position + 1,
                                 .group = group,
                                 .head_dim = c->head_dim,
                                 .scale = (float) (1.0 / sqrt ((double) c->head_dim)),
                                 .scores = scores,
                                 .max = max ? max + h * group : NULL,
                                 .sum = sum ? sum + h * group : NULL};
        if (h + 1 < c->kv_heads)
            a.ahead = kv_head (model, own, layer, h + 1);
        else if (next)
            a.ahead = kv_head (model, next, layer, 0);
        model->kernels->attention (&a);
    }
}

void forward_swiglu (const model_t *model, const float *gate_up, size_t n, float *act)
{
    size_t ff = model->config.ff;
    for (size_t i = 0; i < n; i++)
        model->kernels->swiglu (act + i * ff, gate_up + 2 * i * ff, gate_up + (2 * i + 1) * ff, ff);
}

/*  ---- the head ---- */

/*  Greedy decoding (temperature 0) has no distribution of its own: log-probabilities are then those
 *  at 1. */
static float forward_inverse_of (float temperature)
{
    return temperature > 0 ? 1.0f / temperature : 1.0f;
}

/*  In double: the difference of large numbers would lose the digits that PPO's ratio lives on. */
static float forward_logp_of (float logit, float inverse_temperature, const kernels_softmax_t *s)
{
    return (float) ((double) (logit * inverse_temperature) - (double) s->max -
                    log ((double) s->sum));
}

void forward_head_logp (const model_t *model, const float *logits, float temperature, int32_t id,
                        float *logp, float *entropy, float *exps, float *sum)
{
    float inverse = forward_inverse_of (temperature), logit = logits[id];
    kernels_softmax_t s = model->kernels->softmax (logits, model->config.vocab, inverse, exps);
    *logp = forward_logp_of (logit, inverse, &s);
    if (entropy)
        *entropy = (float) (log ((double) s.sum) - (double) s.dot / (double) s.sum);
    if (sum)
        *sum = s.sum;
}

/*  u * sum instead of u, so that the exponentials need no division. At temperature 0 the draw u is
 *  not used. */
int32_t forward_head_sample (const model_t *model, const float *logits, float temperature, float u,
                             float *exps, float *logp)
{
    const kernels_t *kernels = model->kernels;
    size_t vocab = model->config.vocab, id = 0;
    float inverse = forward_inverse_of (temperature);
    if (!(temperature > 0))
        id = kernels->argmax (logits, vocab);
    kernels_softmax_t s = kernels->softmax (logits, vocab, inverse, temperature > 0 ? exps : NULL);
    if (temperature > 0)
        id = kernels->search (exps, vocab, u * s.sum);
    *logp = forward_logp_of (logits[id], inverse, &s);
    return (int32_t) id;
}

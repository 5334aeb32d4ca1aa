/*  train_backward - a group backwards; see train_internal.h
 *
 *  Products go through OpenBLAS on one thread: their shapes follow from the group alone, so their order of
 *  summation does as well.
 */
#include <cblas.h>
#include <math.h>
#include <string.h>

#include "model/rope.h"
#include "model/train_internal.h"

/*  dx [n, k] = (or +=) dy [n, outputs] W [outputs, k] */
static void back_input (const float *dy, const weights_matrix_t *w, const float *params, size_t n,
                        float beta, float *dx)
{
    cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, (int) n, (int) w->k, (int) w->outputs,
                 1, dy, (int) w->outputs, params + w->at, (int) w->k, beta, dx, (int) w->k);
}

/*  dW [outputs, k] += dy [n, outputs]^T x [n, k] */
static void back_weight (const float *dy, const float *x, const weights_matrix_t *w, size_t n,
                         float *gradient)
{
    cblas_sgemm (CblasRowMajor, CblasTrans, CblasNoTrans, (int) w->outputs, (int) w->k, (int) n, 1,
                 dy, (int) w->outputs, x, (int) w->k, 1, gradient + w->at, (int) w->k);
}

static void back_norm (const train_work_t *w, const weights_vector_t *gain, const float *dy,
                       const float *x, const float *scale, size_t n, float *gradient, float *dx)
{
    size_t width = gain->n;
    for (size_t i = 0; i < n; i++)
        w->b->norm (dx + i * width, gradient + gain->at, dy + i * width, x + i * width, gain->data,
                    scale[i], width);
}

/*  exps become the gradient by the logits: sum over the row's tokens of dlogp (1[v = id] - p_v) / T. */
static void back_logits (train_work_t *w, float temperature)
{
    const train_group_t *g = w->group;
    size_t vocab = w->model->head.outputs, from = w->prompt_n - 1, token = 0;
    bool value = w->model->config.value_head;
    float inverse = 1 / (temperature > 0 ? temperature : 1);
    float *pull = w->dact; /* sums of dlogp per row; dact is free until the layers */
    memset (pull, 0, w->head_rows * sizeof *pull);
    for (size_t c = 0; c < g->completions_n; c++)
        for (size_t j = 0; j < g->completions[c].n; j++, token++)
            pull[j ? w->first[c] + j - 1 - from : 0] += w->dlogp[token];
    for (size_t row = 0; row < w->head_rows; row++)
        if (value)
            w->exps[row] = pull[row];
        else
            w->b->scale (w->exps + row * vocab, -pull[row] * inverse / w->sums[row], vocab);
    token = 0;
    for (size_t c = 0; !value && c < g->completions_n; c++)
        for (size_t j = 0; j < g->completions[c].n; j++, token++) {
            size_t row = j ? w->first[c] + j - 1 - from : 0;
            w->exps[row * vocab + (size_t) g->completions[c].ids[j]] += w->dlogp[token] * inverse;
        }
}

static void back_head (train_work_t *w, float temperature, const float *params, float *gradient)
{
    const model_t *m = w->model;
    size_t width = m->config.width, from = w->prompt_n - 1;
    back_logits (w, temperature);
    back_weight (w->exps, w->hidden, &m->head, w->head_rows, gradient);
    back_input (w->exps, &m->head, params, w->head_rows, 0, w->dh);
    memset (w->dx, 0, w->rows * width * sizeof *w->dx);
    back_norm (w, &m->norm, w->dh, w->x + from * width, w->scale, w->head_rows, gradient,
               w->dx + from * width);
}

static void back_mlp (train_work_t *w, size_t layer, const float *params, float *gradient)
{
    const model_t *m = w->model;
    const weights_layer_t *lw = &m->layers[layer];
    const train_layer_t *l = &w->layers[layer];
    size_t n = w->rows, ff = m->config.ff;
    back_weight (w->dx, l->act, &lw->down, n, gradient);
    back_input (w->dx, &lw->down, params, n, 0, w->dact);
    for (size_t i = 0; i < n; i++)
        w->b->swiglu (w->dgate_up + i * 2 * ff, w->dgate_up + i * 2 * ff + ff, w->dact + i * ff,
                      l->gate_up + i * 2 * ff, l->gate_up + i * 2 * ff + ff, ff);
    back_weight (w->dgate_up, l->h2, &lw->gate_up, n, gradient);
    back_input (w->dgate_up, &lw->gate_up, params, n, 0, w->dh);
    back_norm (w, &lw->norm_mlp, w->dh, l->middle, l->scale2, n, gradient, w->dx);
}

/*  One row, all heads: over the prompt's rows (as far as its position) and its completion's own. */
static void back_attention_row (train_work_t *w, const train_layer_t *l, size_t row, size_t first)
{
    const model_t *m = w->model;
    const model_config_t *c = &m->config;
    size_t dim = c->head_dim, share = c->heads / c->kv_heads, kv_dim = m->kv_dim;
    bool prompt = row < w->prompt_n;
    for (size_t h = 0; h < c->heads; h++) {
        size_t at = row * m->q_dim + h * dim, kv = h / share * dim;
        backward_attention_t a = {.q = l->q + at,
                                  .out = l->att + at,
                                  .dout = w->datt + at,
                                  .dq = w->dq + at,
                                  .dim = dim,
                                  .scale = 1 / sqrtf ((float) dim),
                                  .max = l->max[row * c->heads + h],
                                  .sum = l->sum[row * c->heads + h]};
        a.keys[0] = (backward_keys_t){.k = l->k + kv,
                                      .v = l->v + kv,
                                      .dk = w->dk + kv,
                                      .dv = w->dv + kv,
                                      .n = prompt ? row + 1 : w->prompt_n,
                                      .stride = kv_dim};
        if (!prompt) {
            size_t own = first * kv_dim + kv;
            a.keys[1] = (backward_keys_t){.k = l->k + own,
                                          .v = l->v + own,
                                          .dk = w->dk + own,
                                          .dv = w->dv + own,
                                          .n = row - first + 1,
                                          .stride = kv_dim};
        }
        w->b->attention (&a);
    }
}

/*  Undoes rope, and QK-norm when the model has it, for the heads of one row. */
static void back_rope (const train_work_t *w, const weights_vector_t *gain, const float *pre,
                       size_t position, size_t heads, float *dy, float *gradient, float *dpre)
{
    const model_t *m = w->model;
    size_t dim = m->config.head_dim, half = dim / 2;
    float buffer[2 * 1024], minus[1024];
    const float *sine, *cosine = rope_at (m, position, buffer, &sine);
    for (size_t i = 0; i < half; i++)
        minus[i] = -sine[i];
    for (size_t h = 0; h < heads; h++, dy += dim, pre += dim, dpre += dim) {
        m->kernels->rope (dy, cosine, minus, half);
        if (!gain->data) {
            memcpy (dpre, dy, dim * sizeof *dy);
            continue;
        }
        float squares = 0;
        for (size_t d = 0; d < dim; d++)
            squares += pre[d] * pre[d];
        float scale = 1 / sqrtf (squares / (float) dim + (float) m->config.norm_eps);
        memset (dpre, 0, dim * sizeof *dpre);
        w->b->norm (dpre, gradient + gain->at, dy, pre, gain->data, scale, dim);
    }
}

static void back_heads (train_work_t *w, size_t layer, float *gradient)
{
    const model_t *m = w->model;
    const weights_layer_t *lw = &m->layers[layer];
    const train_layer_t *l = &w->layers[layer];
    size_t wide = m->q_dim + 2 * m->kv_dim;
    for (size_t row = 0; row < w->rows; row++) {
        const float *pre = l->qkv + row * wide;
        float *d = w->dqkv + row * wide;
        back_rope (w, &lw->q_norm, pre, w->position[row], m->config.heads, w->dq + row * m->q_dim,
                   gradient, d);
        back_rope (w, &lw->k_norm, pre + m->q_dim, w->position[row], m->config.kv_heads,
                   w->dk + row * m->kv_dim, gradient, d + m->q_dim);
        memcpy (d + m->q_dim + m->kv_dim, w->dv + row * m->kv_dim, m->kv_dim * sizeof *d);
        if (lw->qkv_bias.data)
            w->b->add (gradient + lw->qkv_bias.at, d, wide);
    }
}

static void back_attention (train_work_t *w, size_t layer, const float *params, float *gradient)
{
    const model_t *m = w->model;
    const weights_layer_t *lw = &m->layers[layer];
    const train_layer_t *l = &w->layers[layer];
    size_t n = w->rows;
    back_weight (w->dx, l->att, &lw->out, n, gradient);
    back_input (w->dx, &lw->out, params, n, 0, w->datt);
    memset (w->dq, 0, n * m->q_dim * sizeof *w->dq);
    memset (w->dk, 0, n * m->kv_dim * sizeof *w->dk);
    memset (w->dv, 0, n * m->kv_dim * sizeof *w->dv);
    for (size_t row = 0; row < w->prompt_n; row++)
        back_attention_row (w, l, row, 0);
    for (size_t c = 0; c < w->group->completions_n; c++) {
        size_t end = w->first[c] + w->group->completions[c].n - 1;
        for (size_t row = w->first[c]; row < end; row++)
            back_attention_row (w, l, row, w->first[c]);
    }
    back_heads (w, layer, gradient);
    back_weight (w->dqkv, l->h1, &lw->qkv, n, gradient);
    back_input (w->dqkv, &lw->qkv, params, n, 0, w->dh);
    back_norm (w, &lw->norm_attention, w->dh, l->x, l->scale1, n, gradient, w->dx);
}

void train_backward (train_work_t *w, float temperature, const float *params, float *gradient)
{
    const model_t *m = w->model;
    size_t width = m->config.width;
    back_head (w, temperature, params, gradient);
    for (size_t l = m->config.layers; l-- > 0;) {
        back_mlp (w, l, params, gradient);
        back_attention (w, l, params, gradient);
    }
    for (size_t row = 0; row < w->rows; row++)
        w->b->add (gradient + m->embedding + (size_t) w->ids[row] * width, w->dx + row * width,
                   width);
}

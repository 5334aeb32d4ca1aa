/*  model_twin - a whole transformer in double precision, as plainly as it can be written. */
#ifndef QUINTET_TESTS_MODEL_TWIN_H
#define QUINTET_TESTS_MODEL_TWIN_H

#include <math.h>

#include "model_fixture.h"

typedef struct {
    const model_t *model;
    const model_config_t *c;
    const float *params;
} twin_t;

/*  A tensor by its name, or by its name within a layer; NULL: the model has none. */
static inline const float *twin_tensor (const twin_t *t, const char *part, size_t layer)
{
    char name[MODEL_NAME_MAX];
    snprintf (name, sizeof name, "model.layers.%zu.%s", layer, part);
    for (size_t i = 0; i < model_tensors (t->model); i++) {
        const model_tensor_t *tensor = model_tensor (t->model, i);
        if (strcmp (tensor->name, name) == 0 || strcmp (tensor->name, part) == 0)
            return t->params + tensor->offset;
    }
    return NULL;
}

static inline void twin_norm (const twin_t *t, const float *gain, const double *x, size_t n,
                              double *y)
{
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += x[i] * x[i];
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] / sqrt (squares / (double) n + t->c->norm_eps) * (double) gain[i];
}

static inline void twin_product (const float *w, const float *bias, const double *x, size_t k,
                                 size_t outputs, double *y)
{
    for (size_t i = 0; i < outputs; i++) {
        y[i] = bias ? (double) bias[i] : 0;
        for (size_t j = 0; j < k; j++)
            y[i] += (double) w[i * k + j] * x[j];
    }
}

static inline double twin_frequency (const model_config_t *c, size_t i)
{
    double f = pow (c->rope_theta, -(double) (2 * i) / (double) c->head_dim);
    if (c->rope == ROPE_LINEAR)
        return f / c->rope_factor;
    if (c->rope != ROPE_LLAMA3)
        return f;
    double wave = 2 * M_PI / f, original = (double) c->rope_original_context;
    if (wave < original / c->rope_high)
        return f;
    if (wave > original / c->rope_low)
        return f / c->rope_factor;
    double smooth = (original / wave - c->rope_low) / (c->rope_high - c->rope_low);
    return (1 - smooth) * f / c->rope_factor + smooth * f;
}

/*  QK-norm and rotation of the heads of one position, in place. */
static inline void twin_heads (const twin_t *t, const float *gain, double *x, size_t heads,
                               size_t position)
{
    size_t dim = t->c->head_dim;
    for (size_t h = 0; h < heads; h++, x += dim) {
        if (gain)
            twin_norm (t, gain, x, dim, x);
        for (size_t i = 0; i < dim / 2; i++) {
            double angle = (double) position * twin_frequency (t->c, i);
            double a = x[i], b = x[i + dim / 2];
            x[i] = a * cos (angle) - b * sin (angle);
            x[i + dim / 2] = b * cos (angle) + a * sin (angle);
        }
    }
}

static inline void twin_attend (const twin_t *t, const double *q, const double *k, const double *v,
                                size_t keys, double *out)
{
    const model_config_t *c = t->c;
    double p[256];
    for (size_t h = 0; h < c->heads; h++) {
        size_t shared = h / (c->heads / c->kv_heads) * c->head_dim,
               step = c->kv_heads * c->head_dim;
        double sum = 0;
        for (size_t j = 0; j < keys; j++) {
            double score = 0;
            for (size_t d = 0; d < c->head_dim; d++)
                score += q[h * c->head_dim + d] * k[j * step + shared + d];
            sum += p[j] = exp (score / sqrt ((double) c->head_dim));
        }
        for (size_t d = 0; d < c->head_dim; d++) {
            out[h * c->head_dim + d] = 0;
            for (size_t j = 0; j < keys; j++)
                out[h * c->head_dim + d] += p[j] / sum * v[j * step + shared + d];
        }
    }
}

#define TWIN_ROW 512

/*  One layer over x [n, width]. */
static inline void twin_layer (const twin_t *t, size_t l, double *x, size_t n)
{
    const model_config_t *c = t->c;
    size_t q_dim = c->heads * c->head_dim, kv_dim = c->kv_heads * c->head_dim;
    double *q = calloc (n * q_dim, sizeof *q), h[TWIN_ROW], att[TWIN_ROW];
    double *k = calloc (n * kv_dim, sizeof *k), *v = calloc (n * kv_dim, sizeof *v);
    for (size_t i = 0; i < n; i++) {
        twin_norm (t, twin_tensor (t, "input_layernorm.weight", l), x + i * c->width, c->width, h);
        twin_product (twin_tensor (t, "self_attn.q_proj.weight", l),
                      twin_tensor (t, "self_attn.q_proj.bias", l), h, c->width, q_dim,
                      q + i * q_dim);
        twin_product (twin_tensor (t, "self_attn.k_proj.weight", l),
                      twin_tensor (t, "self_attn.k_proj.bias", l), h, c->width, kv_dim,
                      k + i * kv_dim);
        twin_product (twin_tensor (t, "self_attn.v_proj.weight", l),
                      twin_tensor (t, "self_attn.v_proj.bias", l), h, c->width, kv_dim,
                      v + i * kv_dim);
        twin_heads (t, twin_tensor (t, "self_attn.q_norm.weight", l), q + i * q_dim, c->heads, i);
        twin_heads (t, twin_tensor (t, "self_attn.k_norm.weight", l), k + i * kv_dim, c->kv_heads,
                    i);
    }
    for (size_t i = 0; i < n; i++) {
        double up[TWIN_ROW], *row = x + i * c->width;
        twin_attend (t, q + i * q_dim, k, v, i + 1, att);
        twin_product (twin_tensor (t, "self_attn.o_proj.weight", l), NULL, att, q_dim, c->width, h);
        for (size_t j = 0; j < c->width; j++)
            row[j] += h[j];
        twin_norm (t, twin_tensor (t, "post_attention_layernorm.weight", l), row, c->width, h);
        twin_product (twin_tensor (t, "mlp.gate_proj.weight", l), NULL, h, c->width, c->ff, att);
        twin_product (twin_tensor (t, "mlp.up_proj.weight", l), NULL, h, c->width, c->ff, up);
        for (size_t j = 0; j < c->ff; j++)
            att[j] = att[j] / (1 + exp (-att[j])) * up[j];
        twin_product (twin_tensor (t, "mlp.down_proj.weight", l), NULL, att, c->ff, c->width, h);
        for (size_t j = 0; j < c->width; j++)
            row[j] += h[j];
    }
    free (q);
    free (k);
    free (v);
}

/*  Logits [n, outputs of the head] of the params, for rows of at most TWIN_ROW and 256 tokens. */
static inline void twin_logits (const model_t *model, const float *params, const int32_t *ids,
                                size_t n, double *logits)
{
    twin_t t = {model, model_config (model), params};
    size_t width = t.c->width, outputs = t.c->value_head ? 1 : t.c->vocab;
    const float *embedding = twin_tensor (&t, "model.embed_tokens.weight", 0);
    const float *head = embedding;
    if (!t.c->tied)
        head = twin_tensor (&t, t.c->value_head ? "score.weight" : "lm_head.weight", 0);
    double *x = calloc (n * width, sizeof *x), h[TWIN_ROW];
    for (size_t i = 0; i < n * width; i++)
        x[i] = (double) embedding[(size_t) ids[i / width] * width + i % width];
    for (size_t l = 0; l < t.c->layers; l++)
        twin_layer (&t, l, x, n);
    for (size_t i = 0; i < n; i++) {
        twin_norm (&t, twin_tensor (&t, "model.norm.weight", 0), x + i * width, width, h);
        twin_product (head, NULL, h, width, outputs, logits + i * outputs);
    }
    free (x);
}

#endif

/*  train_forward - a group forwards; see train_internal.h. The row functions are the sampler's own, so the
 *  log-probabilities have the same bits. */
#include <stdlib.h>
#include <string.h>

#include "model/train_internal.h"

static size_t tokens_of (const train_group_t *g)
{
    size_t n = 0;
    for (size_t c = 0; c < g->completions_n; c++)
        n += g->completions[c].n;
    return n;
}

static size_t rows_of (const train_group_t *g)
{
    return g->prompt.n + tokens_of (g) - g->completions_n;
}

/*  ---- memory ------------------------------------------------------------------------------------------- */

static void *cut (train_work_t *w, size_t n, size_t size)
{
    char *p = w->memory ? w->memory + w->bytes : NULL;
    w->bytes += (n * size + 63) / 64 * 64;
    return p;
}

static float *floats (train_work_t *w, size_t rows, size_t columns)
{
    return cut (w, rows * columns + KERNELS_BLOCK, sizeof (float));
}

static void place_layer (train_work_t *w, train_layer_t *l)
{
    const model_t *m = w->model;
    const model_config_t *c = &m->config;
    size_t r = w->rows_max;
    l->x = floats (w, r, c->width);
    l->h1 = floats (w, r, c->width);
    l->scale1 = floats (w, r, 1);
    l->qkv = floats (w, r, m->q_dim + 2 * m->kv_dim);
    l->q = floats (w, r, m->q_dim);
    l->k = floats (w, r, m->kv_dim);
    l->v = floats (w, r, m->kv_dim);
    l->att = floats (w, r, m->q_dim);
    l->max = floats (w, r, c->heads);
    l->sum = floats (w, r, c->heads);
    l->middle = floats (w, r, c->width);
    l->h2 = floats (w, r, c->width);
    l->scale2 = floats (w, r, 1);
    l->gate_up = floats (w, r, 2 * c->ff);
    l->act = floats (w, r, c->ff);
}

static void place (train_work_t *w)
{
    const model_t *m = w->model;
    const model_config_t *c = &m->config;
    size_t r = w->rows_max, blocks = w->positions_max / KERNELS_BLOCK + 2;
    w->bytes = 0;
    w->layers = cut (w, c->layers, sizeof *w->layers);
    train_layer_t none;
    for (size_t l = 0; l < c->layers; l++)
        place_layer (w, w->memory ? &w->layers[l] : &none);
    w->x = floats (w, r, c->width);
    w->hidden = floats (w, r, c->width);
    w->scale = floats (w, r, 1);
    w->exps = floats (w, r, m->head.outputs);
    w->sums = floats (w, r, 1);
    w->logp = floats (w, w->tokens_max, 1);
    w->entropy = floats (w, w->tokens_max, 1);
    w->dlogp = floats (w, w->tokens_max, 1);
    w->dx = floats (w, r, c->width);
    w->dh = floats (w, r, c->width);
    w->dqkv = floats (w, r, m->q_dim + 2 * m->kv_dim);
    w->dq = floats (w, r, m->q_dim);
    w->dk = floats (w, r, m->kv_dim);
    w->dv = floats (w, r, m->kv_dim);
    w->datt = floats (w, r, m->q_dim);
    w->dgate_up = floats (w, r, 2 * c->ff);
    w->dact = floats (w, r, c->ff);
    w->scores = floats (w, w->positions_max + 2 * KERNELS_BLOCK, 1);
    w->ids = cut (w, r, sizeof *w->ids);
    w->position = cut (w, r, sizeof *w->position);
    w->first = cut (w, w->completions_max, sizeof *w->first);
    w->own_kv = cut (w, w->completions_max, sizeof *w->own_kv);
    /* Keys and values: the prompt's, and each completion's own blocks; all completions together have at most
       as many positions as rows, and a block more each. */
    w->kv_memory =
        floats (w, kv_floats (m, blocks + r / KERNELS_BLOCK + 2 * w->completions_max), 1);
    w->rounded = cut (w, forward_scratch (m, r), 1);
}

static void measure (train_work_t *w, const model_t *model, const train_group_t *groups, size_t n)
{
    *w = (train_work_t){.model = model, .b = backward_for (model->kernels)};
    for (size_t g = 0; g < n; g++) {
        size_t rows = rows_of (&groups[g]), tokens = tokens_of (&groups[g]);
        w->rows_max = rows > w->rows_max ? rows : w->rows_max;
        w->tokens_max = tokens > w->tokens_max ? tokens : w->tokens_max;
        if (groups[g].completions_n > w->completions_max)
            w->completions_max = groups[g].completions_n;
        for (size_t c = 0; c < groups[g].completions_n; c++) {
            size_t positions = groups[g].prompt.n + groups[g].completions[c].n;
            w->positions_max = positions > w->positions_max ? positions : w->positions_max;
        }
    }
}

size_t train_work_bytes (const model_t *model, const train_group_t *groups, size_t n)
{
    train_work_t w;
    measure (&w, model, groups, n);
    place (&w);
    return w.bytes;
}

bool train_work_fits (const train_work_t *w, const train_group_t *groups, size_t n)
{
    train_work_t wanted;
    if (!w->memory)
        return false;
    measure (&wanted, w->model, groups, n);
    return w->rows_max >= wanted.rows_max && w->tokens_max >= wanted.tokens_max &&
           w->completions_max >= wanted.completions_max && w->positions_max >= wanted.positions_max;
}

int train_work_new (train_work_t *w, const model_t *model, const train_group_t *groups, size_t n,
                    err_t *err)
{
    measure (w, model, groups, n);
    place (w);
    w->memory = aligned_alloc (64, w->bytes);
    if (!w->memory)
        return err_set (
            err, ERR_LIMIT,
            "no memory for the activations of %zu rows (%zu MB): fewer episodes per group or "
            "shorter completions need less",
            w->rows_max, w->bytes >> 20);
    memset (w->memory, 0, w->bytes); /* padding of keys and values must be finite */
    place (w);
    return 0;
}

void train_work_free (train_work_t *w)
{
    free (w->memory);
    *w = (train_work_t){0};
}

/*  ---- forward -------------------------------------------------------------------------------------------- */

static void lay_out (train_work_t *w, const train_group_t *g)
{
    const model_t *m = w->model;
    size_t row = 0, p = g->prompt.n;
    float *kv = w->kv_memory;
    w->group = g;
    w->prompt_n = p;
    for (size_t i = 0; i < p; i++, row++) {
        w->ids[row] = g->prompt.ids[i];
        w->position[row] = i;
    }
    w->prompt_kv = (kv_t){.data = kv, .first = 0, .blocks = kv_blocks (0, p)};
    kv += kv_floats (m, w->prompt_kv.blocks);
    for (size_t c = 0; c < g->completions_n; c++) {
        const train_tokens_t *t = &g->completions[c];
        w->first[c] = row;
        for (size_t j = 0; j + 1 < t->n; j++, row++) {
            w->ids[row] = t->ids[j];
            w->position[row] = p + j;
        }
        w->own_kv[c] =
            (kv_t){.data = kv, .first = p / KERNELS_BLOCK, .blocks = kv_blocks (p, p + t->n)};
        kv += kv_floats (m, w->own_kv[c].blocks);
    }
    w->rows = row;
    w->head_rows = row - p + 1;
}

static void put_keys (train_work_t *w, size_t layer, const train_layer_t *l)
{
    const model_t *m = w->model;
    size_t kv_dim = m->kv_dim, p = w->prompt_n, aligned = p / KERNELS_BLOCK * KERNELS_BLOCK;
    for (size_t i = 0; i < p; i++)
        kv_put (m, &w->prompt_kv, layer, i, l->k + i * kv_dim, l->v + i * kv_dim);
    for (size_t c = 0; c < w->group->completions_n; c++) {
        for (size_t i = aligned; i < p; i++)
            kv_put (m, &w->own_kv[c], layer, i, l->k + i * kv_dim, l->v + i * kv_dim);
        size_t end = w->first[c] + w->group->completions[c].n - 1;
        for (size_t row = w->first[c]; row < end; row++)
            kv_put (m, &w->own_kv[c], layer, w->position[row], l->k + row * kv_dim,
                    l->v + row * kv_dim);
    }
}

static void attend_rows (train_work_t *w, size_t layer, const train_layer_t *l, size_t first,
                         size_t end, const kv_t *prefix, const kv_t *own)
{
    const model_t *m = w->model;
    size_t heads = m->config.heads;
    for (size_t row = first; row < end; row++)
        forward_attention (m, layer, l->q + row * m->q_dim, w->position[row], prefix, own,
                           l->att + row * m->q_dim, w->scores, l->max + row * heads,
                           l->sum + row * heads);
}

static void attend (train_work_t *w, size_t layer, const train_layer_t *l)
{
    attend_rows (w, layer, l, 0, w->prompt_n, NULL, &w->prompt_kv);
    for (size_t c = 0; c < w->group->completions_n; c++)
        attend_rows (w, layer, l, w->first[c], w->first[c] + w->group->completions[c].n - 1,
                     w->own_kv[c].first ? &w->prompt_kv : NULL, &w->own_kv[c]);
}

static void run_layer (train_work_t *w, size_t layer, float *next)
{
    const model_t *m = w->model;
    const weights_layer_t *lw = &m->layers[layer];
    train_layer_t *l = &w->layers[layer];
    size_t n = w->rows, wide = m->q_dim + 2 * m->kv_dim;
    forward_norm (m, &lw->norm_attention, l->x, n, l->h1, l->scale1);
    forward_matmul (m, &lw->qkv, l->h1, n, NULL, l->qkv, w->rounded, NULL);
    for (size_t row = 0; row < n; row++)
        forward_heads (m, layer, l->qkv + row * wide, w->position[row], l->q + row * m->q_dim,
                       l->k + row * m->kv_dim, l->v + row * m->kv_dim);
    put_keys (w, layer, l);
    attend (w, layer, l);
    forward_matmul (m, &lw->out, l->att, n, l->x, l->middle, w->rounded, NULL);
    forward_norm (m, &lw->norm_mlp, l->middle, n, l->h2, l->scale2);
    forward_matmul (m, &lw->gate_up, l->h2, n, NULL, l->gate_up, w->rounded, NULL);
    forward_swiglu (m, l->gate_up, n, l->act);
    forward_matmul (m, &lw->down, l->act, n, l->middle, next, w->rounded, NULL);
}

static void head (train_work_t *w, float temperature)
{
    const model_t *m = w->model;
    size_t vocab = m->head.outputs, from = w->prompt_n - 1, token = 0;
    const train_group_t *g = w->group;
    forward_norm (m, &m->norm, w->x + from * m->config.width, w->head_rows, w->hidden, w->scale);
    forward_matmul (m, &m->head, w->hidden, w->head_rows, NULL, w->exps, w->rounded, NULL);
    /* The prompt's last row is asked for every completion's first token: its logits stay until then. */
    for (size_t pass = 0; pass < 2; pass++, token = 0)
        for (size_t c = 0; c < g->completions_n; c++)
            for (size_t j = 0; j < g->completions[c].n; j++, token++) {
                if ((j == 0) != (pass == 1))
                    continue;
                size_t row = j ? w->first[c] + j - 1 - from : 0;
                float *logits = w->exps + row * vocab;
                if (m->config.value_head) {
                    w->logp[token] = logits[0];
                    w->entropy[token] = 0;
                } else {
                    bool last = j > 0 || c + 1 == g->completions_n;
                    forward_head_logp (m, logits, temperature, g->completions[c].ids[j],
                                       &w->logp[token], &w->entropy[token], last ? logits : NULL,
                                       last ? &w->sums[row] : NULL);
                }
            }
}

void train_forward (train_work_t *w, const train_group_t *group, float temperature)
{
    size_t layers = w->model->config.layers;
    lay_out (w, group);
    forward_embed (w->model, w->ids, w->rows, layers ? w->layers[0].x : w->x);
    for (size_t l = 0; l < layers; l++)
        run_layer (w, l, l + 1 < layers ? w->layers[l + 1].x : w->x);
    head (w, temperature);
}

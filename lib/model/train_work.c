/*  train_work - memory for a group, and where its rows lie; see train_internal.h
 *
 *  DESIGN All memory of a group is one piece that is cut into buffers, planned for the
 *  largest group. Three things keep it small:
 *
 *      shared layers     when kept activations would be above the limit, all layers share one
 *                        struct, and the way back computes each layer again from its x
 *      stages            buffers that are never in use together lie over each other
 *                        (work_place_stages)
 *      head tiles        logits exist for head_tile rows at a time, never for all
 *
 *  work_place is the only list of buffers. It runs without memory to count, and again with memory
 *  to place, so that what memory.h predicts and what is allocated cannot differ.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"
#include "model/train_internal.h"

#define TILE_LEAST ((size_t) 16) /* head rows */
#define ROWS_EACH  ((size_t) 16)

size_t train_tokens (const train_group_t *g)
{
    size_t n = 0;
    for (size_t c = 0; c < g->completions_n; c++)
        n += g->completions[c].n;
    return n;
}

static size_t work_larger (size_t a, size_t b)
{
    return a > b ? a : b;
}

/*  The largest of everything, over all groups. No single group may need all of it, but whichever
 *  group a thread is given fits. */
static train_size_t work_size_of (const train_group_t *groups, size_t n)
{
    train_size_t most = {0};
    for (size_t g = 0; g < n; g++) {
        /* Rows of completions: all tokens but the last of each. */
        size_t tokens = train_tokens (&groups[g]), own = tokens - groups[g].completions_n;
        most.rows = work_larger (most.rows, groups[g].prompt.n + own);
        most.head_rows = work_larger (most.head_rows, own + 1);
        most.tokens = work_larger (most.tokens, tokens);
        most.completions = work_larger (most.completions, groups[g].completions_n);
        for (size_t c = 0; c < groups[g].completions_n; c++)
            most.positions =
                work_larger (most.positions, groups[g].prompt.n + groups[g].completions[c].n);
    }
    return most;
}

/*  ---- memory ---- */

/*  Without memory this only counts: work_place runs once to learn the size, then again to hand out
 *  addresses. So there is one list of buffers, and no second one that could disagree with it. Each
 *  begins on a cache line. */
static void *work_cut (train_work_t *w, size_t n, size_t size)
{
    char *p = w->memory ? w->memory + w->bytes : NULL;
    w->bytes += (n * size + 63) / 64 * 64;
    return p;
}

/*  Kernels read whole registers: a block more than asked for may be read behind the last row. */
static float *work_floats (train_work_t *w, size_t rows, size_t columns)
{
    return work_cut (w, rows * columns + KERNELS_BLOCK, sizeof (float));
}

/*  What the way back reads of a layer. `whole` keeps this for every layer; else one such struct
 *  serves all layers in turn, and the way back computes it again from the layer's x
 *  (train_forward_layer): a third more work. */
static void work_place_layer (train_work_t *w, train_layer_t *l)
{
    const model_t *m = w->model;
    const model_config_t *c = &m->config;
    size_t r = w->most.rows;
    l->scale1 = work_floats (w, r, 1);
    /* The gradient of QK-norm needs its input, which is qkv; without it qkv is only passed
     * through. */
    if (m->config.qk_norm)
        l->qkv = work_floats (w, r, m->q_dim + 2 * m->kv_dim);
    l->q = work_floats (w, r, m->q_dim);
    l->k = work_floats (w, r, m->kv_dim);
    l->v = work_floats (w, r, m->kv_dim);
    l->att = work_floats (w, r, m->q_dim);
    l->max = work_floats (w, r, c->heads);
    l->sum = work_floats (w, r, c->heads);
    l->middle = work_floats (w, r, c->width);
    l->scale2 = work_floats (w, r, 1);
    l->gate_up = work_floats (w, r, 2 * c->ff);
}

/*  shared: what layers have in common even when all else is kept. */
static void work_place_layers (train_work_t *w, train_layer_t shared)
{
    size_t layers = w->model->config.layers;
    w->layers = work_cut (w, layers, sizeof *w->layers);
    /* One layer's struct for all; only x, from which a layer is computed again, is kept for
     * each. */
    if (!w->whole)
        work_place_layer (w, &shared);
    for (size_t i = 0; i < layers; i++) {
        train_layer_t layer = shared;
        if (w->whole)
            work_place_layer (w, &layer);
        layer.x = work_floats (w, w->most.rows, w->model->config.width);
        if (w->memory)
            w->layers[i] = layer;
    }
}

/*  Blocks of keys and values, at most, of a group: those of the prompt, and for every completion
 *  its own, which begin with the prompt's last, unfinished block and may end with one that is
 *  nearly empty. */
static size_t work_kv_blocks_most (const train_work_t *w)
{
    return w->most.positions / KERNELS_BLOCK + 2 + w->most.rows / KERNELS_BLOCK +
           2 * w->most.completions;
}

/*  Of one layer: backwards reads k and v. */
static size_t work_kv_layer_floats (const train_work_t *w, size_t blocks)
{
    const model_config_t *c = &w->model->config;
    return c->kv_heads * blocks * kernels_block_floats (c->head_dim);
}

/*  ---- memory of one stage, which the next has for itself ---- */

/*  A layer forwards. act comes first, and qkv may lie over it: the heads are taken from qkv before
 *  act is computed, and nothing reads qkv afterwards (unless the model has QK-norm, whose backward
 *  reads it). */
static void work_place_layer_stage (train_work_t *w, train_layer_t *shared)
{
    const model_t *m = w->model;
    size_t r = w->most.rows, from = w->bytes;
    shared->act = work_floats (w, r, m->config.ff);
    size_t end = w->bytes;
    if (!m->config.qk_norm) {
        w->bytes = from; /* the heads take it apart before there is act */
        shared->qkv = work_floats (w, r, m->q_dim + 2 * m->kv_dim);
        w->bytes = work_larger (w->bytes, end);
    }
    w->kv_memory = work_floats (w, work_kv_layer_floats (w, work_kv_blocks_most (w)), 1);
}

/*  exps [head_tile, outputs] is where logits are computed, turned into exponentials, and then into
 *  their gradient. */
static void work_place_head_stage (train_work_t *w)
{
    const model_t *m = w->model;
    w->hidden = work_floats (w, w->most.head_rows, m->config.width);
    w->scale = work_floats (w, w->most.head_rows, 1);
    w->exps = work_floats (w, w->head_tile, m->head.outputs);
    w->sums = work_floats (w, w->head_tile, 1);
}

/*  An mlp backwards: dgate_up takes the place of act, from which dact was made. */
static void work_place_mlp_stage (train_work_t *w)
{
    size_t ff = w->model->config.ff;
    w->dgate_up = work_floats (w, w->most.rows, 2 * ff);
    w->dact = work_floats (w, w->most.rows, ff);
}

/*  Gradients of one layer's attention. keys .. dvalues [threads][key_floats]: a thread works on one
 *  kv head at a time. */
static void work_place_attention_stage (train_work_t *w)
{
    const model_t *m = w->model;
    size_t r = w->most.rows, threads = pool_threads (w->pool);
    w->dqkv = work_floats (w, r, m->q_dim + 2 * m->kv_dim);
    w->dq = work_floats (w, r, m->q_dim);
    w->dk = work_floats (w, r, m->kv_dim);
    w->dv = work_floats (w, r, m->kv_dim);
    w->datt = work_floats (w, r, m->q_dim);
    /* Every run may end with a block that is nearly empty. */
    w->key_floats = (r + (w->most.completions + 1) * KERNELS_BLOCK) * m->config.head_dim;
    w->keys = work_floats (w, threads, w->key_floats);
    w->values = work_floats (w, threads, w->key_floats);
    w->dkeys = work_floats (w, threads, w->key_floats);
    w->dvalues = work_floats (w, threads, w->key_floats);
}

/*  The head, a layer forwards, an mlp backwards and an attention backwards never need their buffers
 *  at the same time, so the four stages lie over each other and the largest decides. `shared` gets
 *  what layers have in common. */
static void work_place_stages (train_work_t *w, train_layer_t *shared)
{
    /* Each stage begins at `from`; the largest end is where the next buffer may begin. */
    size_t from = w->bytes, end;
    work_place_layer_stage (w, shared);
    end = w->bytes;
    w->bytes = from;
    work_place_head_stage (w);
    end = work_larger (end, w->bytes);
    if (w->learns) {
        w->bytes = from;
        work_place_mlp_stage (w);
        end = work_larger (end, w->bytes);
        w->bytes = from;
        work_place_attention_stage (w);
        end = work_larger (end, w->bytes);
    }
    w->bytes = end;
}

/*  What lives through the whole way back: dx goes from layer to layer. */
static void work_place_backward (train_work_t *w)
{
    const model_t *m = w->model;
    size_t r = w->most.rows;
    w->dlogp = work_floats (w, w->most.tokens, 1);
    w->dx = work_floats (w, r, m->config.width);
    w->dh = work_floats (w, r, m->config.width);
    w->low = work_floats (w, r, m->lora.rank);
    w->dlow = work_floats (w, r, m->lora.rank);
}

static void work_place (train_work_t *w)
{
    const model_t *m = w->model;
    const model_config_t *c = &m->config;
    size_t r = w->most.rows;
    train_layer_t shared = {0};
    w->bytes = 0;
    work_place_stages (w, &shared);
    work_place_layers (w, shared);
    /* The normed rows h are needed while a layer runs, x only after the last one. */
    w->x = w->h = work_floats (w, r, c->width);
    w->logp = work_floats (w, w->most.tokens, 1);
    w->entropy = work_floats (w, w->most.tokens, 1);
    if (w->learns)
        work_place_backward (w);
    w->scratch_floats = w->most.positions + 2 * KERNELS_BLOCK + backward_scratch (c->head_dim);
    w->scratch = work_floats (w, pool_threads (w->pool), w->scratch_floats);
    w->rounded = work_cut (w, forward_scratch (m, r), 1);
    w->runs = work_cut (w, w->most.completions + 1, sizeof *w->runs);
    w->ids = work_cut (w, r, sizeof *w->ids);
    w->position = work_cut (w, r, sizeof *w->position);
    w->run = work_cut (w, r, sizeof *w->run);
    w->token = work_cut (w, w->most.head_rows, sizeof *w->token);
}

/*  Prefers to keep all activations; if that is more than the limit, plans again without. head_tile:
 *  as many head rows as their logits fit the limit, since [head_rows, vocab] would be the largest
 *  array of all. */
static void work_plan (train_work_t *w, const model_t *model, pool_t *pool,
                       const train_limits_t *limits, bool learns, train_size_t most)
{
    size_t rows = limits->logits / (model->head.outputs * sizeof (float));
    *w = (train_work_t){.model = model,
                        .b = model->kernels->backward,
                        .pool = pool,
                        .most = most,
                        .learns = learns,
                        .whole = learns,
                        .head_tile = work_larger (rows, TILE_LEAST)};
    if (w->head_tile > most.head_rows)
        w->head_tile = most.head_rows;
    work_place (w);
    if (w->whole && w->bytes > limits->activations) {
        w->whole = false;
        work_place (w);
    }
}

size_t train_work_bytes (const model_t *model, pool_t *pool, const train_limits_t *limits,
                         bool learns, const train_group_t *groups, size_t n)
{
    train_work_t w;
    work_plan (&w, model, pool, limits, learns, work_size_of (groups, n));
    return w.bytes + (learns ? products_bytes (model, w.most.rows, pool_threads (pool)) : 0);
}

/*  Memory that can go backwards serves for scoring as well, but not the other way round. */
bool train_work_fits (const train_work_t *w, bool learns, const train_group_t *groups, size_t n)
{
    train_size_t most = work_size_of (groups, n);
    return w->memory && (w->learns || !learns) && w->most.rows >= most.rows &&
           w->most.head_rows >= most.head_rows && w->most.tokens >= most.tokens &&
           w->most.completions >= most.completions && w->most.positions >= most.positions;
}

/*  work_plan counted the bytes; now that there is memory, work_place runs once more and hands out
 *  the places. */
int train_work_new (train_work_t *w, const model_t *model, pool_t *pool,
                    const train_limits_t *limits, bool learns, const train_group_t *groups,
                    size_t n, err_t *err)
{
    work_plan (w, model, pool, limits, learns, work_size_of (groups, n));
    w->memory = pages_alloc (w->bytes);
    if (!w->memory ||
        (learns && products_open (&w->products, model, w->most.rows, pool, err) != 0)) {
        err_set (err, ERR_LIMIT,
                 "no memory for the activations of %zu rows (%zu MB): fewer episodes per group or "
                 "shorter completions need less",
                 w->most.rows, w->bytes >> 20);
        train_work_free (w);
        return -1;
    }
    size_t counted = w->bytes;
    work_place (w);
    assert (w->bytes == counted);
    return 0;
}

void train_work_free (train_work_t *w)
{
    products_close (&w->products);
    free (w->memory);
    *w = (train_work_t){0};
}

/*  ---- rows ---- */

/*  Sets where a run's keys go; returns how far the kv memory is used. position: of its first row;
 *  end: where its keys end. A completion's own blocks begin with the block in which the prompt ends
 *  (forward.h). */
static float *work_lay_run (train_work_t *w, size_t index, size_t first_row, size_t n,
                            size_t position, size_t end, float *kv)
{
    train_run_t *run = &w->runs[index];
    const train_run_t *last = index ? run - 1 : NULL;
    *run = (train_run_t){.first = first_row, .n = n};
    run->kv =
        (kv_t){.data = kv, .first = position / KERNELS_BLOCK, .blocks = kv_blocks (position, end)};
    run->keys_at =
        last ? last->keys_at + backward_key_floats (last->n, w->model->config.head_dim) : 0;
    for (size_t i = 0; i < n; i++) {
        w->position[first_row + i] = position + i;
        w->run[first_row + i] = index;
    }
    return kv + work_kv_layer_floats (w, run->kv.blocks);
}

/*  A completion of t tokens has t - 1 rows: its last token is chosen but never read. Row p - 1, the
 *  prompt's last, chooses the first token of every completion. */
void train_lay_out (train_work_t *w, const train_group_t *g)
{
    size_t p = g->prompt.n, row = p, token = 0;
    w->group = g;
    w->temperature = g->temperature > 0 ? g->temperature : 1;
    w->prompt_n = p;
    memcpy (w->ids, g->prompt.ids, p * sizeof *w->ids);
    float *kv = work_lay_run (w, 0, 0, p, 0, p, w->kv_memory);
    for (size_t c = 0; c < g->completions_n; c++) {
        const train_tokens_t *t = &g->completions[c];
        memcpy (w->ids + row, t->ids, (t->n - 1) * sizeof *w->ids);
        kv = work_lay_run (w, 1 + c, row, t->n - 1, p, p + t->n, kv);
        for (size_t j = 1; j < t->n; j++)
            w->token[row + j - p] = token + j;
        row += t->n - 1;
        token += t->n;
    }
    w->rows = row;
    w->head_rows = row - p + 1;
    assert (w->rows <= w->most.rows && w->head_rows <= w->most.head_rows &&
            token <= w->most.tokens);
}

/*  A token's number counts through all completions of the group; there are few of them, so a search
 *  is fine. */
int32_t train_id (const train_work_t *w, size_t token)
{
    for (size_t c = 0;; token -= w->group->completions[c++].n)
        if (token < w->group->completions[c].n)
            return w->group->completions[c].ids[token];
}

typedef struct {
    train_work_t *work;
    size_t n;
    train_rows_fn fn;
} each_t;

/*  Pieces of a fixed number of rows. Each row is computed by one thread, and no row reads another's
 *  result here. */
static void work_each_piece (void *context, size_t i, size_t thread)
{
    const each_t *e = context;
    size_t end = (i + 1) * ROWS_EACH;
    e->fn (e->work, i * ROWS_EACH, end < e->n ? end : e->n, thread);
}

void train_each (train_work_t *w, size_t n, train_rows_fn fn)
{
    each_t e = {.work = w, .n = n, .fn = fn};
    if (w->pool)
        pool_run (w->pool, work_each_piece, &e, (n + ROWS_EACH - 1) / ROWS_EACH);
    else
        fn (w, 0, n, 0);
}

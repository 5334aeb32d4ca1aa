/*  forward_run - the whole pass over rows: see forward.h
 *
 *  Every stage of a layer is either a product, cut into panels, or work per row, cut into rows.
 *  Cuts only decide who computes what; results do not depend on them.
 *
 *  DESIGN A pass takes rows: one token each, at a position of a sequence, with the blocks that hold
 *  that sequence's keys and values. Prefill gives many rows of one sequence, decoding one row of
 *  each; the pass does not tell them apart. Per layer:
 *
 *      x [n, width] -> norm -> h -> qkv product -> heads: q kept, k and v into the row's own blocks
 *      attention: q against prefix and own blocks -> att [n, q_dim] -> out product, added to x
 *      norm -> h -> gate_up product -> swiglu -> act [n, ff] -> down product, added to x
 *
 *  Three things make a row independent of its company. Products promise it (kernels.h); norms,
 *  heads and SwiGLU touch one row; attention reads the row's own sequence only, whose blocks are
 *  cut at multiples of 16 positions wherever the prefix ends (kv.c).
 *
 *  Rows of several adapted models may come together when they share a base: the base's products run
 *  once over all rows, then each span of rows with the same adapters gets its addition.
 */
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"
#include "model/forward.h"

#define LOGITS_BYTES_MAX  ((size_t) 16 << 20)
#define LOGITS_ROWS_MIN   ((size_t) 64) /* the head's weights are read once for as many */
#define PIECES_PER_THREAD ((size_t) 4)
/*  Floats touched per stage below which other threads are not woken: waking costs some
 *  microseconds. */
#define ALONE_MAX  ((size_t) 1 << 15)
#define EMBED_COST ((size_t) 8) /* a tied embedding is gathered, a value from a cache line each */

/*  Rows one after the other that have the same adapters. All rows read the same base; a span is
 *  what forward_adapt is called for. Without adapters there is one span. */
typedef struct {
    const model_t *model;
    size_t first, n;
} span_t;

struct forward {
    const model_t *model; /* of rows that name none */
    const model_t *root;  /* whose weights all rows read */
    size_t rows, context, threads, head_rows;
    char *memory; /* all that follows */
    size_t bytes;
    float *x, *h;   /* [rows, width] */
    float *qkv;     /* [rows, q_dim + 2 kv_dim] */
    float *q, *att; /* [rows, q_dim] */
    float *gate_up; /* [rows, 2 ff] */
    float *act;     /* [rows, ff] */
    float *k, *v;   /* [threads, kv_dim] */
    float *scores;  /* [threads, context + 16] */
    float *picked;  /* [head_rows, width] */
    float *logits;  /* [head_rows, outputs of the head] */
    int32_t *ids;   /* [rows] */
    span_t *spans;  /* [rows] */
    span_t *heads;  /* [head_rows]: those of the picked rows */
    void *rounded;  /* scratch of the products */
    /* of the run under way */
    const forward_row_t *row;
    size_t n, layer, pieces, spans_n;
};

/*  Counts without memory, hands out addresses with it (train_work.c does likewise). */
static void *run_cut (forward_t *f, size_t bytes)
{
    char *p = f->memory ? f->memory + f->bytes : NULL;
    f->bytes += (bytes + 63) / 64 * 64;
    return p;
}

/*  All buffers of a pass, for `rows` rows: one layer's, which all layers share. */
static void run_place (forward_t *f)
{
    const model_t *m = f->root;
    const model_config_t *c = &m->config;
    size_t rows = f->rows * sizeof (float), threads = f->threads * sizeof (float);
    f->bytes = 0;
    f->x = run_cut (f, rows * c->width);
    f->h = run_cut (f, rows * c->width);
    f->qkv = run_cut (f, rows * (m->q_dim + 2 * m->kv_dim));
    f->q = run_cut (f, rows * m->q_dim);
    f->att = run_cut (f, rows * m->q_dim);
    f->gate_up = run_cut (f, rows * 2 * c->ff);
    f->act = run_cut (f, rows * c->ff);
    f->k = run_cut (f, threads * m->kv_dim);
    f->v = run_cut (f, threads * m->kv_dim);
    f->scores = run_cut (f, threads * (f->context + KERNELS_BLOCK));
    f->picked = run_cut (f, f->head_rows * c->width * sizeof (float));
    f->logits = run_cut (f, f->head_rows * m->head.outputs * sizeof (float));
    f->ids = run_cut (f, f->rows * sizeof (int32_t));
    f->spans = run_cut (f, f->rows * sizeof (span_t));
    f->heads = run_cut (f, f->head_rows * sizeof (span_t));
    f->rounded =
        run_cut (f, forward_scratch (f->model, f->rows > f->head_rows ? f->rows : f->head_rows));
}

/*  Logits are [rows, vocab]: as many rows at once as take 16 MB, but enough of them that reading
 *  the head's weights pays. */
static size_t run_head_rows (const model_t *model, size_t rows)
{
    size_t fit = LOGITS_BYTES_MAX / (model->head.outputs * sizeof (float));
    fit = fit < LOGITS_ROWS_MIN ? LOGITS_ROWS_MIN : fit;
    return rows < fit ? rows : fit;
}

forward_t *forward_new (const model_t *model, size_t rows, size_t context, size_t threads,
                        err_t *err)
{
    forward_t *f = calloc (1, sizeof *f);
    if (f) {
        *f = (forward_t){.model = model,
                         .root = weights_root (model),
                         .rows = rows,
                         .context = context,
                         .threads = threads};
        f->head_rows = run_head_rows (model, rows);
        run_place (f);
        f->memory = pages_alloc (f->bytes);
        if (f->memory) {
            size_t counted = f->bytes;
            run_place (f);
            assert (f->bytes == counted);
            return f;
        }
    }
    err_set (err, ERR_LIMIT, "no memory for the buffers of %zu rows (%zu MB)", rows,
             f ? f->bytes >> 20 : 0);
    free (f);
    return NULL;
}

void forward_destroy (forward_t **self)
{
    if (*self)
        free ((*self)->memory);
    free (*self);
    *self = NULL;
}

/*  Buffers are sized by the shape alone, so one set serves every model that has it. */
void forward_use (forward_t *f, const model_t *model)
{
    f->model = model;
    f->root = weights_root (model);
}

size_t forward_bytes (const forward_t *f)
{
    return f->bytes;
}

size_t forward_head_rows (const forward_t *f)
{
    return f->head_rows;
}

/*  ---- work per row ---- */

/*  Runs fn over pieces of the rows; per_row: floats that a row touches, from which follows whether
 *  other threads are worth waking. Several pieces per thread, so that one that is held up does not
 *  hold up all. */
static void run_each_piece (forward_t *f, pool_fn fn, size_t per_row, pool_t *pool)
{
    size_t most = pool_threads (pool) * PIECES_PER_THREAD;
    f->pieces = f->n < most ? f->n : most;
    if (pool_threads (pool) == 1 || f->n * per_row < ALONE_MAX)
        f->pieces = 1;
    pool_run (pool, fn, f, f->pieces);
}

/*  Piece i has rows run_piece_begin (i) .. run_piece_begin (i + 1) - 1: nearly equal, in order. */
static size_t run_piece_begin (const forward_t *f, size_t i)
{
    return i * f->n / f->pieces;
}

static void run_embed (void *context, size_t i, size_t thread)
{
    (void) thread;
    forward_t *f = context;
    size_t first = run_piece_begin (f, i), last = run_piece_begin (f, i + 1);
    forward_embed (f->root, f->ids + first, last - first, f->x + first * f->root->config.width);
}

static void run_norm_piece (forward_t *f, const weights_vector_t *gain, size_t i)
{
    size_t first = run_piece_begin (f, i), last = run_piece_begin (f, i + 1),
           width = f->root->config.width;
    forward_norm (f->root, gain, f->x + first * width, last - first, f->h + first * width, NULL);
}

static void run_norm_attention (void *context, size_t i, size_t thread)
{
    (void) thread;
    forward_t *f = context;
    run_norm_piece (f, &f->root->layers[f->layer].norm_attention, i);
}

static void run_norm_mlp (void *context, size_t i, size_t thread)
{
    (void) thread;
    forward_t *f = context;
    run_norm_piece (f, &f->root->layers[f->layer].norm_mlp, i);
}

static void run_norm_last (void *context, size_t i, size_t thread)
{
    (void) thread;
    forward_t *f = context;
    run_norm_piece (f, &f->root->norm, i);
}

/*  Splits each row of qkv into heads, turns them to their positions and stores keys and values. The
 *  row after is prefetched: rows belong to different sequences, whose blocks lie anywhere in
 *  memory. */
static void run_heads (void *context, size_t i, size_t thread)
{
    forward_t *f = context;
    const model_t *m = f->root;
    float *k = f->k + thread * m->kv_dim, *v = f->v + thread * m->kv_dim;
    for (size_t r = run_piece_begin (f, i); r < run_piece_begin (f, i + 1); r++) {
        const forward_row_t *row = &f->row[r];
        if (r + 1 < f->n)
            kv_prefetch (m, row[1].own, f->layer, row[1].position);
        forward_heads (m, f->layer, f->qkv + r * (m->q_dim + 2 * m->kv_dim), row->position,
                       f->q + r * m->q_dim, k, v);
        kv_put (m, row->own, f->layer, row->position, k, v);
    }
}

/*  Keys of all rows of this call are stored by now, so rows of one sequence may come together
 *  (prefill): each looks no further than its own position. */
static void run_attention (void *context, size_t i, size_t thread)
{
    forward_t *f = context;
    const model_t *m = f->root;
    float *scores = f->scores + thread * (f->context + KERNELS_BLOCK);
    for (size_t r = run_piece_begin (f, i); r < run_piece_begin (f, i + 1); r++) {
        const forward_row_t *row = &f->row[r];
        forward_attention_ahead (m, f->layer, f->q + r * m->q_dim, row->position, row->prefix,
                                 row->own, f->att + r * m->q_dim, scores, NULL, NULL,
                                 r + 1 < f->n ? row[1].own : NULL);
    }
}

static void run_swiglu (void *context, size_t i, size_t thread)
{
    (void) thread;
    forward_t *f = context;
    size_t first = run_piece_begin (f, i), last = run_piece_begin (f, i + 1),
           ff = f->root->config.ff;
    forward_swiglu (f->root, f->gate_up + 2 * first * ff, last - first, f->act + first * ff);
}

/*  ---- the pass ---- */

/*  The longest past of any row, from which follows what attention costs. */
static size_t run_most_keys (const forward_t *f)
{
    size_t most = 0;
    for (size_t i = 0; i < f->n; i++)
        most = f->row[i].position > most ? f->row[i].position : most;
    return most + 1;
}

static const model_t *run_model_of (const forward_t *f, size_t row)
{
    return f->row[row].model ? f->row[row].model : f->model;
}

/*  Puts a row after those that are there: into the last span when it has the same adapters, else
 *  into a new one. */
static size_t run_add_to_spans (span_t *spans, size_t n, const model_t *model, size_t row)
{
    if (n == 0 || spans[n - 1].model != model)
        spans[n++] = (span_t){.model = model, .first = row};
    spans[n - 1].n++;
    return n;
}

/*  A product of the layer: the base's matrix for all rows, then every span's adapters on its rows.
 *  `place` is the matrix' offset in weights_layer_t, since the base and each adapted model have
 *  such a struct for the layer. */
static void run_product (forward_t *f, size_t place, const float *x, const float *add, float *y,
                         pool_t *pool)
{
    const weights_matrix_t *w = (const void *) ((const char *) &f->root->layers[f->layer] + place);
    forward_matmul (f->root, w, x, f->n, add, y, f->rounded, pool);
    for (size_t i = 0; i < f->spans_n; i++) {
        const span_t *s = &f->spans[i];
        const weights_matrix_t *adapted =
            (const void *) ((const char *) &s->model->layers[f->layer] + place);
        forward_adapt (s->model, adapted, x + s->first * w->k, s->n, y + s->first * w->outputs,
                       f->rounded, pool);
    }
}

/*  One layer for all rows: x += attention (norm (x)), x += mlp (norm (x)). Products are cut by
 *  panels, the rest by rows. */
static void run_layer (forward_t *f, size_t keys, pool_t *pool)
{
    const model_t *m = f->root;
    const model_config_t *c = &m->config;
    run_each_piece (f, run_norm_attention, c->width, pool);
    run_product (f, offsetof (weights_layer_t, qkv), f->h, NULL, f->qkv, pool);
    run_each_piece (f, run_heads, m->q_dim, pool);
    run_each_piece (f, run_attention, 2 * keys * m->q_dim, pool);
    run_product (f, offsetof (weights_layer_t, out), f->att, f->x, f->x, pool);
    run_each_piece (f, run_norm_mlp, c->width, pool);
    run_product (f, offsetof (weights_layer_t, gate_up), f->h, NULL, f->gate_up, pool);
    run_each_piece (f, run_swiglu, 4 * c->ff, pool);
    run_product (f, offsetof (weights_layer_t, down), f->act, f->x, f->x, pool);
}

/*  The rows' sequences may be of any lengths and at any positions. Each layer stores the keys of
 *  all rows before any of them attends. */
const float *forward_run (forward_t *f, const forward_row_t *rows, size_t n, pool_t *pool)
{
    assert (n <= f->rows && pool_threads (pool) <= f->threads);
    f->row = rows;
    f->n = n;
    size_t keys = run_most_keys (f);
    assert (keys <= f->context);
    f->spans_n = 0;
    for (size_t i = 0; i < n; i++) {
        /* Adapters of several models, but one base: it is read once for all rows. */
        assert (weights_root (run_model_of (f, i)) == f->root);
        f->ids[i] = rows[i].id;
        f->spans_n = run_add_to_spans (f->spans, f->spans_n, run_model_of (f, i), i);
    }
    run_each_piece (f, run_embed, f->root->config.width * EMBED_COST, pool);
    for (f->layer = 0; f->layer < f->root->config.layers; f->layer++)
        run_layer (f, keys, pool);
    run_each_piece (f, run_norm_last, f->root->config.width, pool);
    return f->h;
}

/*  The picked rows are gathered first: only the last position of a prompt, or rows that decode,
 *  need logits. */
float *forward_head (forward_t *f, const size_t *picked, size_t m, pool_t *pool)
{
    assert (m <= f->head_rows);
    size_t width = f->root->config.width, outputs = f->root->head.outputs, n = 0;
    for (size_t i = 0; i < m; i++) {
        memcpy (f->picked + i * width, f->h + picked[i] * width, width * sizeof (float));
        n = run_add_to_spans (f->heads, n, run_model_of (f, picked[i]), i);
    }
    forward_matmul (f->root, &f->root->head, f->picked, m, NULL, f->logits, f->rounded, pool);
    for (const span_t *s = f->heads; s < f->heads + n; s++)
        forward_adapt (s->model, &s->model->head, f->picked + s->first * width, s->n,
                       f->logits + s->first * outputs, f->rounded, pool);
    return f->logits;
}

/*  ---- one sequence from its beginning ---- */

#define CHUNK ((size_t) 64)

/*  Logits of every position of the chunk, a few rows at a time. */
static void run_head_of_chunk (forward_t *f, size_t n, float *logits, pool_t *pool)
{
    size_t outputs = f->root->head.outputs;
    for (size_t first = 0; first < n; first += f->head_rows) {
        size_t picked[CHUNK], m = n - first < f->head_rows ? n - first : f->head_rows;
        for (size_t i = 0; i < m; i++)
            picked[i] = first + i;
        memcpy (logits + first * outputs, forward_head (f, picked, m, pool),
                m * outputs * sizeof *logits);
    }
}

int model_logits (const model_t *model, const int32_t *ids, size_t n, float *logits, pool_t *pool,
                  err_t *err)
{
    if (n < 1 || n > model->config.context)
        return err_set (err, ERR_INPUT, "%zu tokens; the model takes 1 to %zu", n,
                        model->config.context);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (size_t) ids[i] >= model->config.vocab)
            return err_set (err, ERR_INPUT,
                            "token %d at place %zu lies outside the vocabulary (%zu)", (int) ids[i],
                            i, model->config.vocab);
    forward_t *f = forward_new (model, CHUNK, n, pool_threads (pool), err);
    kv_t kv = {.blocks = kv_blocks (0, n)};
    if (f && !(kv.data = calloc (kv_floats (model, kv.blocks), sizeof (float))))
        err_set (err, ERR_LIMIT, "no memory for the keys and values of %zu tokens", n);
    for (size_t first = 0; f && kv.data && first < n; first += CHUNK) {
        forward_row_t rows[CHUNK];
        size_t m = n - first < CHUNK ? n - first : CHUNK;
        for (size_t i = 0; i < m; i++)
            rows[i] = (forward_row_t){.id = ids[first + i], .position = first + i, .own = &kv};
        forward_run (f, rows, m, pool);
        run_head_of_chunk (f, m, logits + first * model->head.outputs, pool);
    }
    int rc = f && kv.data ? 0 : -1;
    free (kv.data);
    forward_destroy (&f);
    return rc;
}

/*  params - the flat vector of a model's weights, in and out; see model.h
 *
 *  Matrices go panel by panel, vectors whole, the rows of an untied embedding in pieces of a
 *  panel's height. A piece is worked on by one thread, in a space of its own.
 *
 *  Three pairs of functions are one walk (params_move_all): model_set and model_get with the whole
 *  vector in memory, model_fill and model_pour piece by piece, model_fill_bytes and
 *  model_pour_bytes with the bytes that travel. In all of them a piece is at the same place of the
 *  flat vector, so that whoever reads weights from a file, a message or an optimiser sees the same
 *  order.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "model/weights.h"

typedef struct {
    model_t *model;
    const panels_t *panels;
    pool_t *pool;
    weights_matrix_t *matrix; /* at work */
    bool out;                 /* of the model */
    float *flat;              /* the whole vector, or NULL: */
    float *space;             /* [threads][piece] */
    size_t piece;             /* floats of the largest */
    model_source_fn source;   /* one of the two */
    model_sink_fn sink;
    void *context;
    pthread_mutex_t lock;
    atomic_bool failed;
    err_t *err; /* of the first that failed */
} transfer_t;

/*  Where params from `at` on are worked on: in the whole vector, or in the thread's piece. */
static float *params_place (const transfer_t *t, size_t at, size_t thread)
{
    return t->flat ? t->flat + at : t->space + thread * t->piece;
}

static void params_larger (transfer_t *t, size_t floats)
{
    t->piece = floats > t->piece ? floats : t->piece;
}

static void params_size_matrix (model_t *m, weights_matrix_t *w, void *context)
{
    (void) m;
    params_larger (context, KERNELS_PANEL * w->k);
}

static void params_size_vector (model_t *m, weights_vector_t *v, void *context)
{
    (void) m;
    params_larger (context, v->n);
}

/*  Asks the source for a piece, before it goes into the model. After a failure the rest is skipped;
 *  the error is the first one that came, and the model is undefined anyway. */
static void params_read_piece (transfer_t *t, size_t at, size_t n, float *place)
{
    err_t err = {0};
    if (!t->source || atomic_load (&t->failed) || t->source (t->context, at, n, place, &err) == 0)
        return;
    pthread_mutex_lock (&t->lock);
    if (!atomic_exchange (&t->failed, true) && t->err)
        *t->err = err;
    pthread_mutex_unlock (&t->lock);
}

/*  Gives the sink a piece that came out of the model. */
static void params_write_piece (const transfer_t *t, size_t at, size_t n, const float *place)
{
    if (t->sink)
        t->sink (t->context, at, n, place);
}

/*  A panel is 32 outputs: n floats of the flat vector, at 32 k floats from panel to panel. */
static void params_move_panel (void *context, size_t panel, size_t thread)
{
    transfer_t *t = context;
    weights_matrix_t *w = t->matrix;
    size_t at = w->at + panel * KERNELS_PANEL * w->k, n = weights_outputs (w, panel) * w->k;
    float *rows = params_place (t, at, thread);
    if (t->out) {
        weights_unpack (w, t->panels, panel, rows);
        params_write_piece (t, at, n, rows);
    } else {
        params_read_piece (t, at, n, rows);
        weights_pack (w, t->panels, panel, rows);
    }
}

static void params_move_matrix (model_t *m, weights_matrix_t *w, void *context)
{
    (void) m;
    transfer_t *t = context;
    t->matrix = w;
    pool_run (t->pool, params_move_panel, t, kernels_panels (w->outputs));
}

/*  Vectors are small: one thread. In a bfloat16 model they are rounded as well, so that the flat
 *  vector that comes out is the one that went in, rounded. */
static void params_move_vector (model_t *m, weights_vector_t *v, void *context)
{
    transfer_t *t = context;
    float *values = params_place (t, v->at, 0);
    if (t->out) {
        memcpy (values, v->data, v->n * sizeof *values);
        params_write_piece (t, v->at, v->n, values);
        return;
    }
    params_read_piece (t, v->at, v->n, values);
    for (size_t i = 0; i < v->n; i++)
        v->data[i] = weights_round (values[i], m->compute);
}

/*  Rows of an embedding that the head does not hold. */
static void params_move_rows (void *context, size_t piece, size_t thread)
{
    transfer_t *t = context;
    const model_t *m = t->model;
    size_t width = m->config.width, first = piece * KERNELS_PANEL, left = m->config.vocab - first;
    size_t from = first * width, n = (left < KERNELS_PANEL ? left : KERNELS_PANEL) * width;
    float *rows = params_place (t, m->embedding + from, thread), *floats = m->embedding_rows;
    uint16_t *halves = m->embedding_rows;
    if (!t->out)
        params_read_piece (t, m->embedding + from, n, rows);
    if (!t->out && m->compute == COMPUTE_BF16)
        m->kernels->to_bf16 (halves + from, rows, n);
    else if (!t->out)
        memcpy (floats + from, rows, n * sizeof *rows);
    else if (m->compute == COMPUTE_BF16)
        m->kernels->from_bf16 (rows, halves + from, n);
    else
        memcpy (rows, floats + from, n * sizeof *rows);
    if (t->out)
        params_write_piece (t, m->embedding + from, n, rows);
}

static void params_move_all (transfer_t *t)
{
    model_t *m = t->model;
    t->panels = m->kernels->panels;
    weights_visit (m, params_move_matrix, params_move_vector, t);
    if (!m->base && m->embedding_rows)
        pool_run (t->pool, params_move_rows, t, kernels_panels (m->config.vocab));
}

void model_set (model_t *model, const float *params, pool_t *pool)
{
    float *flat = (float *) (uintptr_t) params; /* only read */
    params_move_all (&(transfer_t){.model = model, .pool = pool, .flat = flat});
}

void model_get (const model_t *model, float *params)
{
    /* Only params are written; the visitor hands out the model for the sake of model_set. */
    model_t *m = (model_t *) (uintptr_t) model;
    params_move_all (&(transfer_t){.model = m, .out = true, .flat = params});
}

/*  Memory for one piece per thread is all that is needed: a folder of 60 GB can be read into a
 *  model of 30. */
static int params_move_pieces (transfer_t *t, err_t *err)
{
    params_larger (t, KERNELS_PANEL * t->model->config.width);
    weights_visit (t->model, params_size_matrix, params_size_vector, t);
    t->space = malloc (pool_threads (t->pool) * t->piece * sizeof *t->space);
    if (!t->space)
        return err_set (err, ERR_LIMIT, "no memory to move weights");
    t->err = err;
    pthread_mutex_init (&t->lock, NULL);
    params_move_all (t);
    pthread_mutex_destroy (&t->lock);
    free (t->space);
    return atomic_load (&t->failed) ? -1 : 0;
}

int model_fill (model_t *model, model_source_fn source, void *context, pool_t *pool, err_t *err)
{
    transfer_t t = {.model = model, .pool = pool, .source = source, .context = context};
    return params_move_pieces (&t, err);
}

int model_pour (const model_t *model, model_sink_fn sink, void *context, pool_t *pool, err_t *err)
{
    model_t *m = (model_t *) (uintptr_t) model;
    transfer_t t = {.model = m, .pool = pool, .out = true, .sink = sink, .context = context};
    return params_move_pieces (&t, err);
}

/*  ---- the bytes in which weights travel ------------------------------------------------------ */

typedef struct {
    const char *from;
    char *to;
    size_t width;
} travel_t;

/*  A bfloat16 is the upper half of a float32; copied, since the bytes need not be aligned. */
static int params_read_bytes (void *context, size_t at, size_t n, float *out, err_t *err)
{
    (void) err;
    const travel_t *t = context;
    const char *from = t->from + at * t->width;
    if (t->width == sizeof *out)
        memcpy (out, from, n * sizeof *out);
    for (size_t i = 0; t->width < sizeof *out && i < n; i++) {
        uint16_t half;
        memcpy (&half, from + i * sizeof half, sizeof half);
        uint32_t word = (uint32_t) half << 16;
        memcpy (&out[i], &word, sizeof word);
    }
    return 0;
}

/*  The lower half is dropped without rounding: a bfloat16 model's values have zeros there. */
static void params_write_bytes (void *context, size_t at, size_t n, const float *values)
{
    const travel_t *t = context;
    char *to = t->to + at * t->width;
    if (t->width == sizeof *values)
        memcpy (to, values, n * sizeof *values);
    for (size_t i = 0; t->width < sizeof *values && i < n; i++) {
        uint32_t word;
        memcpy (&word, &values[i], sizeof word);
        uint16_t half = (uint16_t) (word >> 16);
        memcpy (to + i * sizeof half, &half, sizeof half);
    }
}

int model_fill_bytes (model_t *model, const void *bytes, size_t width, pool_t *pool, err_t *err)
{
    return model_fill (model, params_read_bytes, &(travel_t){.from = bytes, .width = width}, pool,
                       err);
}

int model_pour_bytes (const model_t *model, void *bytes, size_t width, pool_t *pool, err_t *err)
{
    return model_pour (model, params_write_bytes, &(travel_t){.to = bytes, .width = width}, pool,
                       err);
}

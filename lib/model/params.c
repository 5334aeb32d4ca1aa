/*  params - the flat vector of a model's weights, in and out; see model.h
 *
 *  Matrices go panel by panel, vectors whole, the rows of an untied embedding in pieces of a
 *  panel's height. A piece is worked on by one thread, in a space of its own.
 *
 *  All functions are one walk (params_move_all): model_set and model_get with the whole vector in
 *  memory, model_fill and model_pour piece by piece, model_fill_bytes, model_pour_bytes and
 *  model_change with the bytes that travel. In all of them a piece is at the same place of the flat
 *  vector, so that whoever reads weights from a file, a message or an optimiser sees the same
 *  order.
 */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "model/weights.h"

typedef struct {
    model_t *model;
    const model_t *from; /* of the same shape, whose weights are read instead of the model's */
    const panels_t *panels;
    pool_t *pool;
    weights_matrix_t *matrix; /* at work */
    bool out;                 /* of the model */
    float *flat;              /* the whole vector, or NULL: */
    float *space;             /* [threads + 1][piece] */
    size_t piece;             /* floats of the largest */
    model_source_fn source;   /* one of the two */
    model_sink_fn sink;
    size_t width;         /* of a weight that travels; 0: floats go in and out */
    char *bytes;          /* all that travel, or NULL: */
    model_change_fn edit; /* gets them piece by piece */
    size_t edited;
    void *context;
    pthread_mutex_t lock;
    atomic_bool failed;
    err_t *err; /* of the first that failed */
} transfer_t;

/*  What moves at once: a panel of a matrix, a vector, or else rows of the embedding. */
typedef struct {
    weights_matrix_t *matrix;
    size_t panel;
    weights_vector_t *vector;
    size_t at, n; /* in the flat vector */
} piece_t;

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

/*  The error is the first one that came; after it the rest is skipped, and the model is undefined
 *  anyway. */
static void params_fail (transfer_t *t, const err_t *err)
{
    pthread_mutex_lock (&t->lock);
    if (!atomic_exchange (&t->failed, true) && t->err)
        *t->err = *err;
    pthread_mutex_unlock (&t->lock);
}

/*  ---- a piece, out of a model and into one ---- */

/*  Where lies what lies at `place` of the model: in a model of one shape everything has the same
 *  place from the beginning of its memory. */
static void *params_source_of (const transfer_t *t, void *place)
{
    return t->from ? t->from->memory + ((char *) place - t->model->memory) : place;
}

static weights_matrix_t params_source_matrix (const transfer_t *t, const piece_t *p)
{
    weights_matrix_t theirs = *p->matrix;
    theirs.panels = params_source_of (t, theirs.panels);
    return theirs;
}

/*  Rows of an embedding that the head does not hold. */
static char *params_rows (const transfer_t *t, const piece_t *p)
{
    const model_t *m = t->model;
    size_t width = m->compute == COMPUTE_BF16 ? sizeof (uint16_t) : sizeof (float);
    return (char *) m->embedding_rows + (p->at - m->embedding) * width;
}

static void params_get (const transfer_t *t, const piece_t *p, float *values)
{
    const model_t *m = t->model;
    if (p->matrix) {
        weights_matrix_t theirs = params_source_matrix (t, p);
        weights_unpack (&theirs, t->panels, p->panel, values);
    } else if (p->vector) {
        memcpy (values, params_source_of (t, p->vector->data), p->n * sizeof *values);
    } else if (m->compute == COMPUTE_BF16) {
        m->kernels->from_bf16 (values, params_source_of (t, params_rows (t, p)), p->n);
    } else {
        memcpy (values, params_source_of (t, params_rows (t, p)), p->n * sizeof *values);
    }
}

/*  In a bfloat16 model vectors are rounded as well, so that the flat vector that comes out is the
 *  one that went in, rounded. */
static void params_put (const transfer_t *t, const piece_t *p, const float *values)
{
    const model_t *m = t->model;
    if (p->matrix)
        weights_pack (p->matrix, t->panels, p->panel, values);
    else if (p->vector)
        for (size_t i = 0; i < p->n; i++)
            p->vector->data[i] = weights_round (values[i], m->compute);
    else if (m->compute == COMPUTE_BF16)
        m->kernels->to_bf16 ((uint16_t *) (void *) params_rows (t, p), values, p->n);
    else
        memcpy (params_rows (t, p), values, p->n * sizeof *values);
}

/*  ---- the same in the bytes in which weights travel ---- */

/*  Whether a piece lies in the model as bfloat16 and travels so: then no float is made of it. */
static bool params_is_halves (const transfer_t *t, const piece_t *p)
{
    model_compute_t type = p->matrix ? p->matrix->type : t->model->compute;
    return t->width == sizeof (uint16_t) && type == COMPUTE_BF16 && !p->vector;
}

/*  Bytes need not be aligned. Of a float that becomes a half the lower half is dropped without
 *  rounding: a bfloat16 model's values have zeros there. */
static void params_get_bytes (const transfer_t *t, const piece_t *p, char *bytes, float *space)
{
    if (params_is_halves (t, p) && p->matrix) {
        weights_matrix_t theirs = params_source_matrix (t, p);
        weights_unpack_halves (&theirs, t->panels, p->panel, bytes);
    } else if (params_is_halves (t, p)) {
        memcpy (bytes, params_source_of (t, params_rows (t, p)), p->n * t->width);
    } else {
        params_get (t, p, space);
        if (t->width == sizeof *space)
            memcpy (bytes, space, p->n * t->width);
        else
            for (size_t i = 0; i < p->n; i++)
                memcpy (bytes + i * t->width, (char *) &space[i] + t->width, t->width);
    }
}

static void params_put_bytes (const transfer_t *t, const piece_t *p, const char *bytes,
                              float *space)
{
    if (params_is_halves (t, p) && p->matrix) {
        weights_pack_halves (p->matrix, t->panels, p->panel, bytes);
    } else if (params_is_halves (t, p)) {
        memcpy (params_rows (t, p), bytes, p->n * t->width);
    } else {
        if (t->width == sizeof *space)
            memcpy (space, bytes, p->n * t->width);
        else
            for (size_t i = 0; i < p->n; i++) {
                space[i] = 0;
                memcpy ((char *) &space[i] + t->width, bytes + i * t->width, t->width);
            }
        params_put (t, p, space);
    }
}

/*  ---- the walk ---- */

static void params_edit (transfer_t *t, const piece_t *p, char *bytes)
{
    err_t err = {0};
    assert (p->at == t->edited); /* weights_visit promises it */
    t->edited += p->n;
    if (!atomic_load (&t->failed) && t->edit (t->context, p->n, bytes, &err) != 0)
        params_fail (t, &err);
}

static void params_move_bytes (transfer_t *t, const piece_t *p, float *space)
{
    char *bytes = t->bytes ? t->bytes + p->at * t->width : (char *) (space + t->piece);
    if (t->out || t->edit)
        params_get_bytes (t, p, bytes, space);
    if (t->edit)
        params_edit (t, p, bytes);
    if (!t->out)
        params_put_bytes (t, p, bytes, space);
}

/*  Asks the source for a piece before it goes into the model, or gives the sink one that came out
 *  of it. */
static void params_move_floats (transfer_t *t, const piece_t *p, float *values)
{
    err_t err = {0};
    if (t->out) {
        params_get (t, p, values);
        if (t->sink)
            t->sink (t->context, p->at, p->n, values);
        return;
    }
    if (t->source && !atomic_load (&t->failed) &&
        t->source (t->context, p->at, p->n, values, &err) != 0)
        params_fail (t, &err);
    params_put (t, p, values);
}

/*  In the whole vector, or in the thread's piece. */
static void params_move (transfer_t *t, const piece_t *p, size_t thread)
{
    float *place = t->flat ? t->flat + p->at : t->space + thread * t->piece;
    if (t->width)
        params_move_bytes (t, p, place);
    else
        params_move_floats (t, p, place);
}

/*  A panel is 32 outputs: n floats of the flat vector, at 32 k floats from panel to panel. */
static void params_move_panel (void *context, size_t panel, size_t thread)
{
    transfer_t *t = context;
    weights_matrix_t *w = t->matrix;
    params_move (t,
                 &(piece_t){.matrix = w,
                            .panel = panel,
                            .at = w->at + panel * KERNELS_PANEL * w->k,
                            .n = weights_outputs (w, panel) * w->k},
                 thread);
}

static void params_move_matrix (model_t *m, weights_matrix_t *w, void *context)
{
    (void) m;
    transfer_t *t = context;
    t->matrix = w;
    pool_run (t->pool, params_move_panel, t, kernels_panels (w->outputs));
}

/*  Vectors are small: one thread. */
static void params_move_vector (model_t *m, weights_vector_t *v, void *context)
{
    (void) m;
    params_move (context, &(piece_t){.vector = v, .at = v->at, .n = v->n}, 0);
}

static void params_move_rows (void *context, size_t piece, size_t thread)
{
    transfer_t *t = context;
    const model_t *m = t->model;
    size_t width = m->config.width, first = piece * KERNELS_PANEL, left = m->config.vocab - first;
    params_move (t,
                 &(piece_t){.at = m->embedding + first * width,
                            .n = (left < KERNELS_PANEL ? left : KERNELS_PANEL) * width},
                 thread);
}

/*  In the order of the flat vector, which an embedding begins. */
static void params_move_all (transfer_t *t)
{
    model_t *m = t->model;
    t->panels = m->kernels->panels;
    if (!m->base && m->embedding_rows)
        pool_run (t->pool, params_move_rows, t, kernels_panels (m->config.vocab));
    weights_visit (m, params_move_matrix, params_move_vector, t);
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
    t->space = malloc ((pool_threads (t->pool) + 1) * t->piece * sizeof *t->space);
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

int model_fill_bytes (model_t *model, const void *bytes, size_t width, pool_t *pool, err_t *err)
{
    char *from = (char *) (uintptr_t) bytes; /* only read */
    transfer_t t = {.model = model, .pool = pool, .bytes = from, .width = width};
    return params_move_pieces (&t, err);
}

int model_pour_bytes (const model_t *model, void *bytes, size_t width, pool_t *pool, err_t *err)
{
    model_t *m = (model_t *) (uintptr_t) model;
    transfer_t t = {.model = m, .pool = pool, .out = true, .bytes = bytes, .width = width};
    return params_move_pieces (&t, err);
}

/*  Without a pool: pieces come in order, and the threads of a pool have other work meanwhile. */
int model_change (model_t *model, const model_t *before, size_t width, model_change_fn change,
                  void *context, err_t *err)
{
    assert (model->params == before->params && model->bytes == before->bytes);
    transfer_t t = {
        .model = model, .from = before, .width = width, .edit = change, .context = context};
    return params_move_pieces (&t, err);
}

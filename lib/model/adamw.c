/*  adamw - see adamw.h. Works on pieces of fixed size, so results do not depend on threads.
 *
 *  Loshchilov and Hutter, "Decoupled weight decay regularization", algorithm 2. The order of a
 *  step: the norm of the whole gradient (double, summed by pieces in order); the factor that brings
 *  it below clip_norm; then every weight by itself. Only the norm needs more than one weight, so
 *  threads may take pieces in any order.
 */
#include "model/adamw.h"

#include <math.h>
#include <stdlib.h>

/*  Pieces have a fixed size, so that the norm is summed in the same order on any number of
 *  threads. */
#define PIECE ((size_t) 1 << 15)

typedef struct {
    const float *gradient;
    size_t n;
    double *sums;
} norm_t;

static void adamw_norm_piece (void *context, size_t piece, size_t thread)
{
    (void) thread;
    const norm_t *c = context;
    size_t from = piece * PIECE, to = from + PIECE < c->n ? from + PIECE : c->n;
    double sum = 0;
    for (size_t i = from; i < to; i++)
        sum += (double) c->gradient[i] * (double) c->gradient[i];
    c->sums[piece] = sum;
}

/*  In double: a float sum of a billion squares would lose the small ones. NAN says that there was
 *  no memory, which stops the step as a gradient that is not finite does. */
double adamw_norm (const float *gradient, size_t n, pool_t *pool)
{
    size_t pieces = (n + PIECE - 1) / PIECE;
    norm_t c = {.gradient = gradient, .n = n, .sums = calloc (pieces + 1, sizeof (double))};
    if (!c.sums)
        return NAN;
    pool_run (pool, adamw_norm_piece, &c, pieces);
    double sum = 0;
    for (size_t i = 0; i < pieces; i++)
        sum += c.sums[i];
    free (c.sums);
    return sqrt (sum);
}

typedef struct {
    adamw_t *state;
    const adamw_options_t *options;
    const model_t *model;
    float *params;
    const float *gradient;
    float clip, step_size, correction; /* correction: 1 / sqrt (1 - beta2^t) */
} step_t;

/*  For each weight, with g the clipped gradient and t the step:
 *      m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
 *      p = p (1 - lr decay) - lr / (1 - b1^t) * m / (sqrt (v) / sqrt (1 - b2^t) + eps)
 *  m is computed as m + (g - m) (1 - b1), as PyTorch does it: the results agree to rounding. The
 *  decay is decoupled: it goes onto the weight and never into m and v. */
static void adamw_step_range (const step_t *c, size_t from, size_t to, bool decay)
{
    const adamw_options_t *o = c->options;
    float rest1 = (float) (1 - o->beta1), rest2 = (float) (1 - o->beta2), b2 = (float) o->beta2;
    float eps = (float) o->eps, keep = decay ? (float) (1 - o->lr * o->decay) : 1.0f;
    float *m = c->state->m, *v = c->state->v, *p = c->params;
    for (size_t i = from; i < to; i++) {
        float g = c->gradient[i] * c->clip;
        m[i] += (g - m[i]) * rest1;
        v[i] = v[i] * b2 + rest2 * g * g;
        p[i] = p[i] * keep - c->step_size * m[i] / (sqrtf (v[i]) * c->correction + eps);
    }
}

/*  A piece may hold the end of one tensor and the beginning of another, which may differ in
 *  decay. */
static void adamw_step_piece (void *context, size_t piece, size_t thread)
{
    (void) thread;
    const step_t *c = context;
    size_t from = piece * PIECE, to = from + PIECE < c->state->n ? from + PIECE : c->state->n;
    for (size_t i = 0; i < model_tensors (c->model); i++) {
        const model_tensor_t *t = model_tensor (c->model, i);
        size_t end = t->offset + t->rows * t->columns;
        if (t->offset < to && end > from)
            adamw_step_range (c, t->offset > from ? t->offset : from, end < to ? end : to,
                              t->decay);
    }
}

/*  Nothing is touched before the norm is known to be finite: one bad gradient would stay in m and v
 *  for ever. The 1e-6 is torch's clip_grad_norm_. */
int adamw_step (adamw_t *state, const adamw_options_t *options, const model_t *model, float *params,
                const float *gradient, pool_t *pool, double *norm)
{
    *norm = adamw_norm (gradient, state->n, pool);
    if (!isfinite (*norm))
        return -1;
    double t = (double) ++state->step;
    double clip = options->clip_norm > 0 ? options->clip_norm / (*norm + 1e-6) : 1;
    step_t c = {.state = state,
                .options = options,
                .model = model,
                .params = params,
                .gradient = gradient,
                .clip = (float) (clip < 1 ? clip : 1),
                .step_size = (float) (options->lr / (1 - pow (options->beta1, t))),
                .correction = (float) (1 / sqrt (1 - pow (options->beta2, t)))};
    pool_run (pool, adamw_step_piece, &c, (state->n + PIECE - 1) / PIECE);
    return 0;
}

/*  One norm over all weights is cheap; only when it is not finite is the tensor looked for. */
int adamw_check (const model_t *model, const float *params, size_t n, pool_t *pool, err_t *err)
{
    if (isfinite (adamw_norm (params, n, pool)))
        return 0;
    for (size_t i = 0; i < model_tensors (model); i++) {
        const model_tensor_t *t = model_tensor (model, i);
        for (size_t at = t->offset; at < t->offset + t->rows * t->columns; at++)
            if (!isfinite (params[at]))
                return err_set (err, ERR_CONFIG, "weight %zu of tensor '%s' is %g", at - t->offset,
                                t->name, (double) params[at]);
    }
    return err_set (err, ERR_LIMIT, "no memory to check %zu weights", n);
}

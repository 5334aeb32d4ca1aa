/*  The backward kernels of every instruction set, and the products made of them, against plain
 *  twins in double. */
#include <math.h>

#include "kernels/backward.h"
#include "model/products.h"
#include "model_fixture.h"

/*  ---- rows ---- */

/*  y_i = x_i gain_i / rms: dx by the quotient rule, element by element. */
static void check_norm_of (const backward_t *b, size_t n)
{
    float *x = fixture_filled (n, 2, 1), *gain = fixture_filled (n, 1, 2),
          *dy = fixture_filled (n, 1, 3);
    float *dx = fixture_filled (n, 1, 4), *before = fixture_filled (n, 1, 4),
          *dgain = fixture_filled (n, 1, 5);
    float *dgain_before = fixture_filled (n, 1, 5);
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += (double) x[i] * (double) x[i];
    double r = 1 / sqrt (squares / (double) n + 1e-5);
    b->norm (dx, dgain, dy, x, gain, (float) r, n);
    for (size_t j = 0; j < n; j++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            double slope =
                (i == j ? r : 0) - (double) x[i] * (double) x[j] * r * r * r / (double) n;
            sum += (double) dy[i] * (double) gain[i] * slope;
        }
        fixture_near ("dx", j, (double) dx[j], (double) before[j] + sum, 1e-5);
        fixture_near ("dgain", j, (double) dgain[j],
                      (double) dgain_before[j] + (double) dy[j] * (double) x[j] * r, 1e-5);
    }
    float *all[] = {x, gain, dy, dx, before, dgain, dgain_before};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free (all[i]);
}

static void check_norm (const kernels_t *kernels)
{
    const backward_t *b = kernels->backward;
    for (size_t n = 1; n <= 50; n += 7)
        check_norm_of (b, n);
}

static double silu (double x)
{
    return x / (1 + exp (-x));
}

static void check_swiglu (const kernels_t *kernels)
{
    const backward_t *b = kernels->backward;
    enum { N = 45 };
    const double h = 1e-5;
    float *gate = fixture_filled (N, 5, 1), *up = fixture_filled (N, 2, 2),
          *dact = fixture_filled (N, 1, 3);
    for (size_t n = 1; n <= N; n += 11) {
        float *dgate = fixture_filled (N, 1, 4), *dup = fixture_filled (N, 1, 4),
              *before = fixture_filled (N, 1, 4);
        b->swiglu (dgate, dup, dact, gate, up, n);
        for (size_t i = 0; i < n; i++) {
            double g = (double) gate[i], d = (double) dact[i];
            double slope = (silu (g + h) - silu (g - h)) / (2 * h);
            fixture_near ("dgate", i, (double) dgate[i], d * (double) up[i] * slope, 1e-5);
            fixture_near ("dup", i, (double) dup[i], d * silu (g), 1e-5);
        }
        fixture_same ("dgate beyond the end", dgate + n, before + n, N - n);
        fixture_same ("dup beyond the end", dup + n, before + n, N - n);
        free (dgate);
        free (dup);
        free (before);
    }
    free (gate);
    free (up);
    free (dact);
}

static void check_sums (const kernels_t *kernels)
{
    const backward_t *b = kernels->backward;
    enum { N = 37 };
    float *x = fixture_filled (N, 1, 1), *y = fixture_filled (N, 1, 2),
          *before = fixture_filled (N, 1, 2);
    b->add (y, x, N);
    for (size_t i = 0; i < N; i++)
        fixture_near ("add", i, (double) y[i], (double) before[i] + (double) x[i], 1e-6);
    b->scale (x, 0, N);
    for (size_t i = 0; i < N; i++)
        assert_true (x[i] >= 0 && x[i] <= 0);
    free (x);
    free (y);
    free (before);
}

/*  ---- turning around ---- */

/*  ---- attention ---- */

typedef struct {
    size_t n, dim, stride; /* keys; rows are wider than a head */
    float *k, *v;          /* rows */
    float *keys, *values, *dkeys, *dvalues;
} keys_t;

static keys_t keys_new (size_t n, size_t dim, uint64_t seed)
{
    size_t floats = backward_key_floats (n, dim), stride = dim + 5;
    keys_t s = {.n = n,
                .dim = dim,
                .stride = stride,
                .k = fixture_filled (n * stride, 1.5, seed),
                .v = fixture_filled (n * stride, 1, seed + 1),
                .keys = fixture_room (floats),
                .values = fixture_room (floats),
                .dkeys = fixture_room (floats),
                .dvalues = fixture_room (floats)};
    for (size_t j = 0; j < n; j++)
        for (size_t d = 0; d < dim; d++) {
            size_t at = (j / 16 * dim + d) * 16 + j % 16;
            s.keys[at] = s.k[j * stride + d];
            s.values[at] = s.v[j * stride + d];
        }
    return s;
}

static void keys_free (keys_t *s)
{
    float *all[] = {s->k, s->v, s->keys, s->values, s->dkeys, s->dvalues};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free (all[i]);
}

static backward_keys_t keys_view (const keys_t *s)
{
    return (backward_keys_t){.rows = s->k,
                             .stride = s->stride,
                             .n = s->n,
                             .keys = s->keys,
                             .values = s->values,
                             .dkeys = s->dkeys,
                             .dvalues = s->dvalues};
}

typedef struct {
    size_t rows, heads, group, dim, shared_n;
    float *q, *out, *dout, *dq, *max, *sum;
    keys_t shared, own;
    double *dk, *dv; /* the twin's, [shared_n + rows][dim] */
} attention_t;

/*  Key or value row j of the shared run and then the own one. */
static const float *row_of (const attention_t *a, const float *shared, const float *own, size_t j)
{
    return j < a->shared_n ? shared + j * a->shared.stride
                           : own + (j - a->shared_n) * a->own.stride;
}

static double dot (const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double) a[i] * (double) b[i];
    return sum;
}

/*  Softmax of one query's scores: p [keys], and what the kernel gets told. */
static void twin_forward (attention_t *a, size_t row, size_t head, double scale, double *p)
{
    size_t at = (row * a->group + head) * a->dim, keys = a->shared_n + row + 1;
    double max = -INFINITY, sum = 0;
    for (size_t j = 0; j < keys; j++) {
        p[j] = scale * dot (a->q + at, row_of (a, a->shared.k, a->own.k, j), a->dim);
        max = fmax (max, p[j]);
    }
    for (size_t j = 0; j < keys; j++)
        sum += p[j] = exp (p[j] - max);
    a->max[row * a->heads + head] = (float) max;
    a->sum[row * a->heads + head] = (float) sum;
    for (size_t d = 0; d < a->dim; d++) {
        double out = 0;
        for (size_t j = 0; j < keys; j++)
            out += p[j] / sum * (double) row_of (a, a->shared.v, a->own.v, j)[d];
        a->out[at + d] = (float) out;
    }
    for (size_t j = 0; j < keys; j++)
        p[j] /= sum;
}

/*  dp_j = dout . v_j; ds_j = p_j (dp_j - sum p dp). Adds to dk and dv; gives dq. */
static void twin_backward (attention_t *a, size_t row, size_t head, double scale, const double *p,
                           double *dq)
{
    size_t at = (row * a->group + head) * a->dim, keys = a->shared_n + row + 1;
    double mean = 0;
    for (size_t j = 0; j < keys; j++)
        mean += p[j] * dot (a->dout + at, row_of (a, a->shared.v, a->own.v, j), a->dim);
    memset (dq, 0, a->dim * sizeof *dq);
    for (size_t j = 0; j < keys; j++) {
        const float *k = row_of (a, a->shared.k, a->own.k, j);
        const float *v = row_of (a, a->shared.v, a->own.v, j);
        double ds = scale * p[j] * (dot (a->dout + at, v, a->dim) - mean);
        for (size_t d = 0; d < a->dim; d++) {
            dq[d] += ds * (double) k[d];
            a->dk[j * a->dim + d] += ds * (double) a->q[at + d];
            a->dv[j * a->dim + d] += p[j] * (double) a->dout[at + d];
        }
    }
}

static void compare_keys (const attention_t *a, const keys_t *keys, size_t from)
{
    for (size_t j = 0; j < keys->n; j++)
        for (size_t d = 0; d < a->dim; d++) {
            size_t at = (j / 16 * a->dim + d) * 16 + j % 16, i = (from + j) * a->dim + d;
            fixture_near ("dkeys", i, (double) keys->dkeys[at], a->dk[i], 2e-5);
            fixture_near ("dvalues", i, (double) keys->dvalues[at], a->dv[i], 2e-5);
        }
}

static void attention_free (attention_t *a)
{
    float *all[] = {a->q, a->out, a->dout, a->dq, a->max, a->sum};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free (all[i]);
    free (a->dk);
    free (a->dv);
    keys_free (&a->shared);
    keys_free (&a->own);
}

static void check_attention_of (const backward_t *b, size_t rows, size_t group, size_t dim,
                                size_t shared_n)
{
    size_t stride = group * dim, keys = shared_n + rows;
    attention_t a = {.rows = rows,
                     .heads = group + 1,
                     .group = group,
                     .dim = dim,
                     .shared_n = shared_n,
                     .q = fixture_filled (rows * stride, 1.5, 1),
                     .out = fixture_room (rows * stride),
                     .dout = fixture_filled (rows * stride, 1, 2),
                     .dq = fixture_room (rows * stride),
                     .max = fixture_room (rows * (group + 1)),
                     .sum = fixture_room (rows * (group + 1)),
                     .shared = keys_new (shared_n, dim, 3),
                     .own = keys_new (rows, dim, 5),
                     .dk = calloc (keys * dim, sizeof (double)),
                     .dv = calloc (keys * dim, sizeof (double))};
    double scale = 1 / sqrt ((double) dim), p[128];
    double *dq = calloc (rows * stride, sizeof *dq);
    float *scratch = fixture_room (backward_scratch (dim));
    for (size_t row = 0; row < rows; row++)
        for (size_t head = 0; head < group; head++) {
            twin_forward (&a, row, head, scale, p);
            twin_backward (&a, row, head, scale, p, dq + (row * group + head) * dim);
        }
    backward_attention_t job = {.q = a.q,
                                .out = a.out,
                                .dout = a.dout,
                                .dq = a.dq,
                                .max = a.max,
                                .sum = a.sum,
                                .rows = rows,
                                .stride = stride,
                                .heads = group + 1,
                                .group = group,
                                .dim = dim,
                                .scale = (float) scale,
                                .shared = keys_view (&a.shared),
                                .own = keys_view (&a.own),
                                .scratch = scratch};
    b->attention (&job);
    for (size_t i = 0; i < rows * stride; i++)
        fixture_near ("dq", i, (double) a.dq[i], dq[i], 2e-5);
    compare_keys (&a, &a.shared, 0);
    compare_keys (&a, &a.own, shared_n);
    free (dq);
    free (scratch);
    attention_free (&a);
}

static void check_attention (const kernels_t *kernels)
{
    const backward_t *b = kernels->backward;
    static const size_t rows[] = {1, 12, 13, 33}, groups[] = {1, 3}, dims[] = {2, 10, 16, 24};
    static const size_t shared[] = {0, 1, 16, 41};
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 2; j++)
            for (size_t k = 0; k < 4; k++)
                for (size_t l = 0; l < 4; l++)
                    check_attention_of (b, rows[i], groups[j], dims[k], shared[l]);
}

/*  ---- products ---- */

/*  Outputs beyond one block of depth and of height, and sizes that nothing divides. */
static model_t *products_model (model_compute_t compute)
{
    model_config_t config = fixture_config ();
    config.width = 47;
    config.layers = 1;
    config.vocab = 1301;
    config.tied = false;
    return fixture_model (&config, compute);
}

/*  What a product reads of x. */
static double read_as (float x, bool narrow)
{
    return (double) (narrow ? weights_round (x, COMPUTE_BF16) : x);
}

static void compare_input (const float *dy, const float *params, const weights_matrix_t *w,
                           size_t n, bool narrow, const float *dx)
{
    for (size_t i = 0; i<n; i += n> 20 ? 97 : 1)
        for (size_t k = 0; k < w->k; k++) {
            double sum = 0, size = 0;
            for (size_t o = 0; o < w->outputs; o++) {
                double term = read_as (dy[i * w->outputs + o], narrow) *
                              (double) params[w->at + o * w->k + k];
                sum += term;
                size += fabs (term);
            }
            fixture_near ("dx", i * w->k + k, (double) dx[i * w->k + k], sum, 1e-6 * size + 1e-9);
        }
}

static void compare_weight (const float *dy, const float *x, const weights_matrix_t *w, size_t n,
                            bool narrow, float before, const float *gradient)
{
    for (size_t o = 0; o<w->outputs; o += w->outputs> 100 ? 13 : 1)
        for (size_t k = 0; k < w->k; k++) {
            double sum = (double) before, size = fabs (sum);
            for (size_t i = 0; i < n; i++) {
                double term =
                    read_as (dy[i * w->outputs + o], narrow) * read_as (x[i * w->k + k], narrow);
                sum += term;
                size += fabs (term);
            }
            fixture_near ("dW", o * w->k + k, (double) gradient[w->at + o * w->k + k], sum,
                          1e-6 * size);
        }
}

static void check_products (const weights_matrix_t *w, const model_t *model, size_t n)
{
    size_t params_n = model_params (model);
    bool narrow =
        model->compute == COMPUTE_BF16 && model->kernels->rounded_bytes == sizeof (uint16_t);
    float *params = fixture_room (params_n), *dy = fixture_filled (n * w->outputs, 1, 1);
    float *x = fixture_filled (n * w->k, 1, 2), *dx = fixture_filled (n * w->k, 1, 3),
          *first = NULL;
    model_get (model, params);
    for (size_t threads = 1; threads <= 3; threads++) {
        err_t err = {0};
        products_t p;
        pool_t *pool = pool_new (threads);
        assert_int_equal (products_open (&p, model, n, pool, &err), 0);
        float *gradient = fixture_room (params_n);
        for (size_t i = 0; i < params_n; i++)
            gradient[i] = 0.25f;
        products_input (&p, (products_rows_t){dy, w->outputs}, n, w, false, dx);
        products_weight (&p, (products_rows_t){dy, w->outputs}, x, n, w, gradient);
        if (!first) {
            compare_input (dy, params, w, n, narrow, dx);
            compare_weight (dy, x, w, n, narrow, 0.25f, gradient);
            for (size_t i = 0; i < params_n; i++)
                if (i < w->at || i >= w->at + w->outputs * w->k)
                    fixture_near ("a neighbour", i, (double) gradient[i], 0.25, 0);
            first = gradient;
        } else {
            fixture_same ("dW", gradient, first, params_n);
            free (gradient);
        }
        products_close (&p);
        pool_destroy (&pool);
    }
    free (first);
    free (params);
    free (dy);
    free (x);
    free (dx);
}

static void check_all_products (model_compute_t compute)
{
    model_t *model = products_model (compute);
    const weights_layer_t *l = &model->layers[0];
    const weights_matrix_t *matrices[] = {&l->qkv, &l->out, &l->gate_up, &l->down, &model->head};
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) {
        check_products (matrices[i], model, 1);
        check_products (matrices[i], model, 19);
    }
    check_products (&l->down, model, 1100);
    model_destroy (&model);
}

/*  ---- */

#define WITH_ALL(what)                                                                             \
    static void what (void **state)                                                                \
    {                                                                                              \
        (void) state;                                                                              \
        fixture_with_all (check_##what);                                                           \
    }
WITH_ALL (norm)
WITH_ALL (swiglu)
WITH_ALL (sums)
WITH_ALL (attention)

static void products_in_f32 (void **state)
{
    (void) state;
    check_all_products (COMPUTE_F32);
}

static void products_in_bf16 (void **state)
{
    (void) state;
    check_all_products (COMPUTE_BF16);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (norm),
        cmocka_unit_test (swiglu),
        cmocka_unit_test (sums),
        cmocka_unit_test (attention),
        cmocka_unit_test (products_in_f32),
        cmocka_unit_test (products_in_bf16),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

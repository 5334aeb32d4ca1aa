/*  AdamW against the paper in double precision, over clipping, decay and threads. */
#include <math.h>

#include "model/adamw.h"
#include "model_fixture.h"

/*  Large enough for several pieces, whose borders cut tensors. */
static model_config_t wide_config (void)
{
    model_config_t config = fixture_config ();
    config.width = 120;
    config.ff = 200;
    return config;
}

typedef struct {
    model_t *model;
    adamw_t state;
    float *params, *gradient;
    double *p, *m, *v; /* the twin's */
    double norm;       /* of the gradient under way */
} twin_t;

static void twin_open (twin_t *t)
{
    model_config_t config = wide_config ();
    *t = (twin_t){.model = fixture_model (&config, COMPUTE_F32)};
    size_t n = model_params (t->model);
    t->state = (adamw_t){.m = calloc (n, 4), .v = calloc (n, 4), .n = n};
    t->params = calloc (n, 4);
    t->gradient = calloc (n, 4);
    t->p = calloc (n, 8);
    t->m = calloc (n, 8);
    t->v = calloc (n, 8);
    assert_true (t->state.m && t->state.v && t->params && t->gradient && t->p && t->m && t->v);
    model_get (t->model, t->params);
    for (size_t i = 0; i < n; i++)
        t->p[i] = (double) t->params[i];
}

static void twin_close (twin_t *t)
{
    model_destroy (&t->model);
    free (t->state.m);
    free (t->state.v);
    free (t->params);
    free (t->gradient);
    free (t->p);
    free (t->m);
    free (t->v);
}

/*  A gradient of that size per weight, some of it exactly 0. */
static void draw_gradient (twin_t *t, uint64_t seed, double size)
{
    fixture_fill (t->gradient, t->state.n, size, seed);
    t->norm = 0;
    for (size_t i = 0; i < t->state.n; i++) {
        if (i % 7 == 0)
            t->gradient[i] = 0;
        t->norm += (double) t->gradient[i] * (double) t->gradient[i];
    }
    t->norm = sqrt (t->norm);
}

static void twin_step (twin_t *t, const adamw_options_t *o, double step)
{
    double clip = o->clip_norm > 0 ? fmin (1, o->clip_norm / (t->norm + 1e-6)) : 1;
    for (size_t k = 0; k < model_tensors (t->model); k++) {
        const model_tensor_t *tensor = model_tensor (t->model, k);
        size_t end = tensor->offset + tensor->rows * tensor->columns;
        for (size_t i = tensor->offset; i < end; i++) {
            double g = (double) t->gradient[i] * clip;
            t->m[i] = o->beta1 * t->m[i] + (1 - o->beta1) * g;
            t->v[i] = o->beta2 * t->v[i] + (1 - o->beta2) * g * g;
            t->p[i] -= tensor->decay ? o->lr * o->decay * t->p[i] : 0;
            t->p[i] -= o->lr * (t->m[i] / (1 - pow (o->beta1, step))) /
                       (sqrt (t->v[i] / (1 - pow (o->beta2, step))) + o->eps);
        }
    }
}

static void check_steps (const adamw_options_t *o, double size)
{
    twin_t t;
    twin_open (&t);
    for (uint64_t step = 1; step <= 5; step++) {
        double norm;
        draw_gradient (&t, step, size);
        assert_int_equal (adamw_step (&t.state, o, t.model, t.params, t.gradient, NULL, &norm), 0);
        fixture_near ("norm", step, norm, t.norm, 1e-9 * t.norm);
        twin_step (&t, o, (double) step);
        for (size_t i = 0; i < t.state.n; i++)
            fixture_near ("weight", i, (double) t.params[i], t.p[i], 1e-6);
    }
    assert_int_equal (t.state.step, 5);
    twin_close (&t);
}

static const adamw_options_t usual = {
    .lr = 0.01, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .decay = 0.1, .clip_norm = 0.5};

static void clipped_steps (void **state)
{
    (void) state;
    check_steps (&usual, 1);
}

static void small_gradients_are_not_clipped (void **state)
{
    (void) state;
    check_steps (&usual, 1e-4);
}

static void clipping_can_be_off (void **state)
{
    (void) state;
    adamw_options_t o = usual;
    o.clip_norm = 0;
    check_steps (&o, 1);
}

static void large_eps_and_no_decay (void **state)
{
    (void) state;
    adamw_options_t o = usual;
    o.eps = 1e-2;
    o.decay = 0;
    check_steps (&o, 1);
}

static void norms_and_biases_are_not_decayed (void **state)
{
    (void) state;
    twin_t t;
    twin_open (&t);
    double norm;
    assert_int_equal (adamw_step (&t.state, &usual, t.model, t.params, t.gradient, NULL, &norm), 0);
    for (size_t k = 0; k < model_tensors (t.model); k++) {
        const model_tensor_t *tensor = model_tensor (t.model, k);
        double keep = tensor->rank == 2 ? 1 - usual.lr * usual.decay : 1;
        size_t i = tensor->offset;
        fixture_near (tensor->name, 0, (double) t.params[i], t.p[i] * keep, 1e-7);
    }
    twin_close (&t);
}

static void threads_change_no_bit (void **state)
{
    (void) state;
    twin_t one, other;
    twin_open (&one);
    for (size_t threads = 2; threads <= 3; threads++) {
        pool_t *pool = pool_new (threads);
        assert_non_null (pool);
        twin_open (&other);
        draw_gradient (&one, 1, 1);
        draw_gradient (&other, 1, 1);
        one.state.step = 0;
        memset (one.state.m, 0, one.state.n * 4);
        memset (one.state.v, 0, one.state.n * 4);
        model_get (one.model, one.params);
        double a, b;
        adamw_step (&one.state, &usual, one.model, one.params, one.gradient, NULL, &a);
        adamw_step (&other.state, &usual, other.model, other.params, other.gradient, pool, &b);
        assert_memory_equal (&a, &b, sizeof a);
        fixture_same ("weight", other.params, one.params, one.state.n);
        twin_close (&other);
        pool_destroy (&pool);
    }
    twin_close (&one);
}

static void a_gradient_that_is_not_finite_changes_nothing (void **state)
{
    (void) state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    twin_t t;
    twin_open (&t);
    float *before = malloc (t.state.n * sizeof *before);
    assert_non_null (before);
    memcpy (before, t.params, t.state.n * sizeof *before);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double norm;
        draw_gradient (&t, 1, 1);
        t.gradient[t.state.n - 1] = bad[i];
        assert_int_equal (adamw_step (&t.state, &usual, t.model, t.params, t.gradient, NULL, &norm),
                          -1);
        assert_true (isfinite (norm) == 0);
        assert_int_equal (t.state.step, 0);
        fixture_same ("weight", t.params, before, t.state.n);
    }
    free (before);
    twin_close (&t);
}

/*  What is not finite after a step is found, by the name of its tensor. */
static void weights_that_are_not_finite_are_named (void **state)
{
    (void) state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    twin_t t;
    twin_open (&t);
    assert_int_equal (adamw_check (t.model, t.params, t.state.n, NULL, NULL), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err_t err = {0};
        const model_tensor_t *tensor = model_tensor (t.model, model_tensors (t.model) - 1 - i);
        float was = t.params[tensor->offset + 1];
        t.params[tensor->offset + 1] = bad[i];
        assert_int_equal (adamw_check (t.model, t.params, t.state.n, NULL, &err), -1);
        assert_int_equal (err.code, ERR_CONFIG);
        if (!strstr (err.text, tensor->name) || !strstr (err.text, "weight 1 of"))
            fail_msg ("%s", err.text);
        t.params[tensor->offset + 1] = was;
    }
    twin_close (&t);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (clipped_steps),
        cmocka_unit_test (small_gradients_are_not_clipped),
        cmocka_unit_test (clipping_can_be_off),
        cmocka_unit_test (large_eps_and_no_decay),
        cmocka_unit_test (norms_and_biases_are_not_decayed),
        cmocka_unit_test (threads_change_no_bit),
        cmocka_unit_test (a_gradient_that_is_not_finite_changes_nothing),
        cmocka_unit_test (weights_that_are_not_finite_are_named),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

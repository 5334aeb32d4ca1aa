/*  Every kernel of every instruction set that this CPU has, against a plain twin in double. */
#include "model_fixture.h"

#include <math.h>

#include "model/weights.h"

static void *room (size_t n)
{
    void *p = aligned_alloc (64, (n * sizeof (float) + 64) / 64 * 64);
    assert_non_null (p);
    return p;
}

static float rounded (float x, model_compute_t type)
{
    return weights_round (x, type);
}

/*  ---- products ---- */

typedef struct {
    size_t n, k, outputs;
    model_compute_t type;
    float *x, *w, *add;
    char *rounded;
    weights_matrix_t matrix;
} product_t;

static product_t product_new (const kernels_t *kernels, size_t n, size_t k, size_t outputs,
                              model_compute_t type)
{
    product_t p = {.n = n, .k = k, .outputs = outputs, .type = type};
    p.x = room (n * k);
    p.w = room (outputs * k);
    p.add = room (n * outputs);
    p.rounded = room (n * (k + 1));
    fixture_fill (p.x, n * k, 1, n);
    fixture_fill (p.w, outputs * k, 1, k);
    fixture_fill (p.add, n * outputs, 1, outputs);
    for (size_t i = 0; i < n; i++) {
        size_t bytes = kernels->rounded_bytes;
        kernels->round_bf16 (p.rounded + i * (k + k % 2) * bytes, p.x + i * k, k);
        if (k % 2)
            memset (p.rounded + (i * (k + 1) + k) * bytes, 0, bytes);
    }
    p.matrix = (weights_matrix_t){.outputs = outputs, .k = k, .type = type};
    p.matrix.panels = room (kernels_panels (outputs) * (k + 1) * KERNELS_PANEL);
    for (size_t i = 0; i < kernels_panels (outputs); i++)
        weights_pack (&p.matrix, kernels->panels, i, p.w + i * KERNELS_PANEL * k);
    return p;
}

static void product_free (product_t *p)
{
    free (p->x);
    free (p->w);
    free (p->add);
    free (p->rounded);
    free (p->matrix.panels);
}

static void multiply (const kernels_t *kernels, const product_t *p, size_t row, size_t n,
                      const float *add, size_t add_stride, float *y)
{
    size_t stride = p->k + (p->type == COMPUTE_BF16 ? p->k % 2 : 0);
    kernels_matmul_t m = {.panels = p->matrix.panels,
                          .x = p->x + row * stride,
                          .x_stride = stride,
                          .y = y,
                          .y_stride = p->outputs,
                          .add = add,
                          .add_stride = add_stride,
                          .n = n,
                          .k = p->k,
                          .outputs = p->outputs,
                          .last = kernels_panels (p->outputs)};
    if (p->type == COMPUTE_BF16) {
        m.x = p->rounded + row * stride * kernels->rounded_bytes;
        kernels->matmul_bf16 (&m);
    } else
        kernels->matmul_f32 (&m);
}

static void twin (const product_t *p, size_t row, size_t column, double *value, double *size)
{
    *value = *size = 0;
    for (size_t i = 0; i < p->k; i++) {
        double term = (double) rounded (p->x[row * p->k + i], p->type) *
                      (double) rounded (p->w[column * p->k + i], p->type);
        *value += term;
        *size += fabs (term);
    }
}

static void check_product (const kernels_t *kernels, const product_t *p, bool bias)
{
    size_t all = p->n * p->outputs;
    float *y = room (all);
    if (!bias)
        memcpy (y, p->add, all * sizeof *y); /* added to itself: a residual */
    multiply (kernels, p, 0, p->n, bias ? p->add : y, bias ? 0 : p->outputs, y);
    for (size_t r = 0; r < p->n; r++)
        for (size_t c = 0; c < p->outputs; c++) {
            double value, size, add = (double) p->add[bias ? c : r * p->outputs + c];
            twin (p, r, c, &value, &size);
            fixture_near (kernels->name, r * p->outputs + c, (double) y[r * p->outputs + c],
                          value + add, 1e-6 * (1 + size));
        }
    float *one = room (p->outputs), *many = room (all);
    multiply (kernels, p, 0, p->n, NULL, 0, many);
    for (size_t r = 0; r < p->n; r++) {
        multiply (kernels, p, r, 1, NULL, 0, one);
        fixture_same (kernels->name, one, many + r * p->outputs, p->outputs);
    }
    free (one);
    free (many);
    free (y);
}

static void check_products (const kernels_t *kernels)
{
    static const size_t ks[] = {1, 7, 96, 131}, outputs[] = {1, 31, 64, 77};
    for (size_t n = 1; n <= 64; n += n < 26 ? 1 : 19)
        for (size_t i = 0; i < 4; i++)
            for (int type = COMPUTE_F32; type <= COMPUTE_BF16; type++) {
                product_t p =
                    product_new (kernels, n, ks[i], outputs[(i + n) % 4], (model_compute_t) type);
                check_product (kernels, &p, n % 2);
                product_free (&p);
            }
    /* More rows than the largest tile or block, and sums that are cut. */
    for (int type = COMPUTE_F32; type <= COMPUTE_BF16; type++) {
        product_t p = product_new (kernels, 231, 597, 45, (model_compute_t) type);
        check_product (kernels, &p, true);
        product_free (&p);
    }
}

static void products (void **state)
{
    (void) state;
    fixture_with_all (check_products);
}

/*  A checker that could not see a wrong weight would be worth nothing. */
static void a_wrong_weight_shows (void **state)
{
    (void) state;
    const kernels_t *kernels = kernels_named ("plain");
    product_t p = product_new (kernels, 3, 16, 40, COMPUTE_F32);
    float y[3 * 40], wrong[3 * 40];
    multiply (kernels, &p, 0, 3, NULL, 0, y);
    ((float *) p.matrix.panels)[5 * KERNELS_PANEL + 7] += 0.01f;
    multiply (kernels, &p, 0, 3, NULL, 0, wrong);
    for (size_t i = 0; i < 3 * 40; i++)
        assert_int_equal (memcmp (&y[i], &wrong[i], sizeof *y) != 0, i % 40 == 7);
    product_free (&p);
}

/*  ---- attention ---- */

#define KEYS 90

typedef struct {
    size_t dim, stride, group;
    float k[KEYS * 64], v[KEYS * 64], q[4 * 64], *prefix, *own;
    size_t floats;
} scene_t;

static void put (const scene_t *s, float *blocks, size_t first, size_t j)
{
    float *block = blocks + (j / KERNELS_BLOCK - first) * s->floats;
    for (size_t d = 0; d < s->dim; d++) {
        block[d * KERNELS_BLOCK + j % KERNELS_BLOCK] = s->k[j * s->dim + d];
        block[KERNELS_BLOCK * s->dim + j % KERNELS_BLOCK * s->stride + d] = s->v[j * s->dim + d];
    }
}

static scene_t *scene_new (size_t dim, size_t group)
{
    scene_t *s = calloc (1, sizeof *s);
    assert_non_null (s);
    s->dim = dim;
    s->group = group;
    s->stride = (dim + 15) / 16 * 16;
    s->floats = kernels_block_floats (dim);
    fixture_fill (s->k, KEYS * dim, 1, 1);
    fixture_fill (s->v, KEYS * dim, 1, 2);
    fixture_fill (s->q, group * dim, 3, 3);
    size_t blocks = (KEYS + 15) / 16;
    s->prefix = room (blocks * s->floats);
    s->own = room (blocks * s->floats);
    /* What nobody wrote must not matter. */
    for (size_t i = 0; i < blocks * s->floats; i++)
        s->prefix[i] = s->own[i] = NAN;
    return s;
}

static void attend (const kernels_t *kernels, const scene_t *s, size_t own_first, size_t keys,
                    float *out, float *max, float *sum)
{
    float scores[KEYS + 16];
    kernels_attention_t a = {.q = s->q,
                             .out = out,
                             .prefix = s->prefix,
                             .own = s->own,
                             .own_first = own_first,
                             .keys = keys,
                             .group = s->group,
                             .head_dim = s->dim,
                             .scale = 0.3f,
                             .scores = scores,
                             .max = max,
                             .sum = sum};
    kernels->attention (&a);
}

static void attention_twin (const scene_t *s, size_t g, size_t keys, double *out)
{
    double score[KEYS], max = -INFINITY, sum = 0;
    for (size_t j = 0; j < keys; j++) {
        score[j] = 0;
        for (size_t d = 0; d < s->dim; d++)
            score[j] += (double) s->q[g * s->dim + d] * (double) s->k[j * s->dim + d];
        score[j] *= 0.3f;
        max = score[j] > max ? score[j] : max;
    }
    for (size_t j = 0; j < keys; j++)
        sum += exp (score[j] - max);
    for (size_t d = 0; d < s->dim; d++) {
        out[d] = 0;
        for (size_t j = 0; j < keys; j++)
            out[d] += exp (score[j] - max) / sum * (double) s->v[j * s->dim + d];
    }
}

static void check_scene (const kernels_t *kernels, size_t dim, size_t group)
{
    scene_t *s = scene_new (dim, group);
    float out[4 * 64], again[4 * 64], max[4], sum[4];
    for (size_t keys = 1; keys <= KEYS; keys++) {
        put (s, s->own, 0, keys - 1);
        put (s, s->prefix, 0, keys - 1);
        attend (kernels, s, 0, keys, out, max, sum);
        for (size_t g = 0; g < group; g++) {
            double expected[64];
            attention_twin (s, g, keys, expected);
            for (size_t d = 0; d < dim; d++)
                fixture_near (kernels->name, d, (double) out[g * dim + d], expected[d], 2e-6);
            assert_true (sum[g] >= 1 && sum[g] <= (float) keys * 1.001f);
        }
    }
    /* The blocks of a prefix and own ones from any block on: the same bits. */
    for (size_t first = 1; first <= KEYS / KERNELS_BLOCK; first++) {
        for (size_t j = first * KERNELS_BLOCK; j < KEYS; j++)
            put (s, s->own, first, j);
        attend (kernels, s, first, KEYS, again, NULL, NULL);
        fixture_same (kernels->name, again, out, group * dim);
    }
    free (s->prefix);
    free (s->own);
    free (s);
}

static void check_attention (const kernels_t *kernels)
{
    check_scene (kernels, 2, 1);
    check_scene (kernels, 10, 3);
    check_scene (kernels, 24, 1);
    check_scene (kernels, 48, 2);
    check_scene (kernels, 64, 4);
}

static void attention (void **state)
{
    (void) state;
    fixture_with_all (check_attention);
}

/*  ---- rows ---- */

#define ROW_MAX 300

static void check_norm (const kernels_t *kernels)
{
    float x[ROW_MAX], gain[ROW_MAX], y[ROW_MAX];
    fixture_fill (x, ROW_MAX, 5, 1);
    fixture_fill (gain, ROW_MAX, 2, 2);
    for (size_t n = 1; n <= ROW_MAX; n += 13) {
        double squares = 0;
        for (size_t i = 0; i < n; i++)
            squares += (double) x[i] * (double) x[i];
        double r = 1 / sqrt (squares / (double) n + 1e-5);
        fixture_near ("1 / rms", n, (double) kernels->norm (y, x, gain, n, 1e-5f), r, r * 1e-6);
        for (size_t i = 0; i < n; i++)
            fixture_near (kernels->name, i, (double) y[i], (double) x[i] * r * (double) gain[i],
                          1e-6 * (1 + fabs ((double) y[i])));
    }
}

static void check_rope (const kernels_t *kernels)
{
    float x[64], was[64], c[32], s[32];
    fixture_fill (was, 64, 2, 1);
    for (size_t half = 1; half <= 32; half++) {
        memcpy (x, was, sizeof x);
        for (size_t i = 0; i < half; i++) {
            c[i] = (float) cos ((double) i);
            s[i] = (float) sin ((double) i);
        }
        kernels->rope (x, c, s, half);
        for (size_t i = 0; i < half; i++) {
            double a = (double) was[i], b = (double) was[i + half];
            double cosine = (double) c[i], sine = (double) s[i];
            fixture_near (kernels->name, i, (double) x[i], a * cosine - b * sine, 1e-6);
            fixture_near (kernels->name, i, (double) x[i + half], b * cosine + a * sine, 1e-6);
        }
    }
}

static void check_swiglu (const kernels_t *kernels)
{
    float gate[ROW_MAX], up[ROW_MAX], y[ROW_MAX + 1];
    fixture_fill (gate, ROW_MAX, 100, 1);
    fixture_fill (up, ROW_MAX, 2, 2);
    gate[0] = 0;
    for (size_t n = 1; n <= ROW_MAX; n += 23) {
        y[n] = 77;
        kernels->swiglu (y, gate, up, n);
        for (size_t i = 0; i < n; i++) {
            double g = (double) gate[i], expected = g / (1 + exp (-g)) * (double) up[i];
            fixture_near (kernels->name, i, (double) y[i], expected,
                          1e-6 * (fabs (expected) + 1e-6));
        }
        assert_true (y[n] == 77);
    }
}

static void check_bf16 (const kernels_t *kernels)
{
    static const float values[] = {0,           -0.0f,       1,      1.00390625f,
                                   1.01171875f, 3.14159265f, -1e30f, 1e-30f};
    static const uint16_t expected[] = {0, 0x8000, 0x3f80, 0x3f80, 0x3f82, 0x4049, 0xf14a, 0x0da2};
    uint16_t y[8];
    float back[8];
    kernels->to_bf16 (y, values, 8);
    kernels->from_bf16 (back, y, 8);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal (y[i], expected[i]);
        fixture_near (kernels->name, i, (double) back[i], (double) values[i],
                      fabs ((double) values[i]) / 256);
    }
}

static void norm (void **state)
{
    (void) state;
    fixture_with_all (check_norm);
}

static void rope (void **state)
{
    (void) state;
    fixture_with_all (check_rope);
}

static void swiglu (void **state)
{
    (void) state;
    fixture_with_all (check_swiglu);
}

static void bf16 (void **state)
{
    (void) state;
    fixture_with_all (check_bf16);
}

/*  ---- the head ---- */

/*  With a highest logit of 0, e_j is exp of the logit itself. */
static void check_exp (const kernels_t *kernels)
{
    float x[1024], e[1024];
    for (int round = 0; round < 50; round++) {
        fixture_fill (x, 1024, 43, (uint64_t) round);
        x[0] = 0;
        for (size_t i = 1; i < 1024; i++)
            x[i] = (x[i] - 43.0f) * (round % 2 ? 1.0f : 0.02f);
        kernels->softmax (x, 1024, 1, e);
        for (size_t i = 0; i < 1024; i++) {
            double expected = exp ((double) x[i]);
            fixture_near ("exp", i, (double) e[i], expected, expected * 1.5e-7);
        }
    }
}

static void check_softmax (const kernels_t *kernels)
{
    float x[ROW_MAX], e[ROW_MAX];
    fixture_fill (x, ROW_MAX, 9, 4);
    for (size_t n = 1; n <= ROW_MAX; n += 7) {
        double max = -INFINITY, sum = 0, dot = 0, t = 1 / (double) 1.3f;
        for (size_t i = 0; i < n; i++)
            max = fmax (max, (double) x[i] * t);
        for (size_t i = 0; i < n; i++) {
            double z = (double) x[i] * t - max;
            sum += exp (z);
            dot += exp (z) * z;
        }
        kernels_softmax_t s = kernels->softmax (x, n, 1 / 1.3f, NULL);
        fixture_near ("max", n, (double) s.max, max, 1e-6 * fabs (max));
        fixture_near ("sum", n, (double) s.sum, sum, 2e-6 * sum);
        fixture_near ("dot", n, (double) s.dot, dot, 2e-6 * (1 + fabs (dot)));
        kernels_softmax_t kept = kernels->softmax (x, n, 1 / 1.3f, e);
        fixture_same ("softmax with exps kept", &kept.max, &s.max, 3);
        double kept_sum = 0;
        for (size_t i = 0; i < n; i++)
            kept_sum += (double) e[i];
        fixture_near ("sum of exps", n, kept_sum, sum, 2e-6 * sum);
    }
}

static void check_search (const kernels_t *kernels)
{
    float e[ROW_MAX];
    for (size_t n = 1; n <= ROW_MAX; n += 11) {
        float total = 0;
        for (size_t i = 0; i < n; i++) {
            e[i] = i % 3 == 1 ? 0 : (float) (1 + i % 5); /* whole numbers: sums are exact */
            total += e[i];
        }
        size_t expected = 0;
        float below = e[0];
        for (float target = 0; target < total; target += 0.5f) {
            while (below <= target)
                below += e[++expected];
            assert_int_equal (kernels->search (e, n, target), expected);
        }
        size_t last = n - 1;
        while (e[last] <= 0)
            last--;
        assert_int_equal (kernels->search (e, n, total * 2), last);
    }
}

static void check_argmax (const kernels_t *kernels)
{
    float x[ROW_MAX];
    for (size_t n = 1; n <= ROW_MAX; n += 5)
        for (size_t at = 0; at < n; at += 3) {
            fixture_fill (x, n, 1, at);
            x[at] = 2;
            x[n - 1] = at == n - 1 ? 2 : x[n - 1];
            if (at + 1 < n)
                x[n - 1] = 2; /* a tie: the first one wins */
            assert_int_equal (kernels->argmax (x, n), at);
        }
}

static void exponential (void **state)
{
    (void) state;
    fixture_with_all (check_exp);
}

static void softmax (void **state)
{
    (void) state;
    fixture_with_all (check_softmax);
}

static void search (void **state)
{
    (void) state;
    fixture_with_all (check_search);
}

static void argmax (void **state)
{
    (void) state;
    fixture_with_all (check_argmax);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (products),  cmocka_unit_test (a_wrong_weight_shows),
        cmocka_unit_test (attention), cmocka_unit_test (norm),
        cmocka_unit_test (rope),      cmocka_unit_test (swiglu),
        cmocka_unit_test (bf16),      cmocka_unit_test (exponential),
        cmocka_unit_test (softmax),   cmocka_unit_test (search),
        cmocka_unit_test (argmax)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}

/*  backward - see backward.h. Compiled once per instruction set, with -DISA=name. */
#include "model/backward.h"

#include "model/vector.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_ (a, b)

static float dot (const float *a, const float *b, size_t n)
{
    v16f sum = v16_zero ();
    size_t i = 0;
    for (; i + V16 <= n; i += V16)
        sum += v16_load (a + i) * v16_load (b + i);
    float s = v16_sum (sum);
    for (; i < n; i++)
        s += a[i] * b[i];
    return s;
}

static void norm (float *dx, float *dgain, const float *dy, const float *x, const float *gain,
                  float r, size_t n)
{
    float sum = 0;
    v16f sums = v16_zero ();
    size_t i = 0;
    for (; i + V16 <= n; i += V16)
        sums += v16_load (dy + i) * v16_load (gain + i) * v16_load (x + i);
    sum = v16_sum (sums);
    for (; i < n; i++)
        sum += dy[i] * gain[i] * x[i];
    float pull = r * r * r * sum / (float) n;
    for (i = 0; i < n; i++)
        dx[i] += r * gain[i] * dy[i] - pull * x[i];
    if (dgain)
        for (i = 0; i < n; i++)
            dgain[i] += dy[i] * x[i] * r;
}

static void swiglu (float *dgate, float *dup, const float *dact, const float *gate, const float *up,
                    size_t n)
{
    for (size_t i = 0; i < n; i += V16) {
        size_t m = n - i < V16 ? n - i : V16;
        v16f g = v16_load_n (gate + i, m, 0), u = v16_load_n (up + i, m, 0);
        v16f d = v16_load_n (dact + i, m, 0), s = v16_sigmoid (g), one = v16_set (1);
        v16_store_n (dgate + i, d * u * s * (one + g * (one - s)), m);
        v16_store_n (dup + i, d * g * s, m);
    }
}

/*  Scores and the products with dout of up to sixteen keys at once. */
static void attention_run (const backward_attention_t *a, const backward_keys_t *keys, float delta)
{
    size_t dim = a->dim;
    for (size_t first = 0; first < keys->n; first += V16) {
        size_t m = keys->n - first < V16 ? keys->n - first : V16;
        float score[V16] = {0}, product[V16] = {0}, p[V16], ds[V16];
        for (size_t j = 0; j < m; j++) {
            score[j] = dot (a->q, keys->k + (first + j) * keys->stride, dim);
            product[j] = dot (a->dout, keys->v + (first + j) * keys->stride, dim);
        }
        v16f weight = v16_exp (v16_load (score) * v16_set (a->scale) - v16_set (a->max)) *
                      v16_set (1 / a->sum);
        v16_store (p, weight);
        v16_store (ds, weight * (v16_load (product) - v16_set (delta)) * v16_set (a->scale));
        for (size_t j = 0; j < m; j++) {
            const float *k = keys->k + (first + j) * keys->stride;
            float *dk = keys->dk + (first + j) * keys->stride;
            float *dv = keys->dv + (first + j) * keys->stride;
            float pj = p[j], dsj = ds[j];
            for (size_t d = 0; d < dim; d++)
                a->dq[d] += dsj * k[d];
            for (size_t d = 0; d < dim; d++)
                dk[d] += dsj * a->q[d];
            for (size_t d = 0; d < dim; d++)
                dv[d] += pj * a->dout[d];
        }
    }
}

static void attention (const backward_attention_t *a)
{
    float delta = dot (a->dout, a->out, a->dim);
    attention_run (a, &a->keys[0], delta);
    attention_run (a, &a->keys[1], delta);
}

static void scale (float *x, float factor, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] *= factor;
}

static void add (float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

extern const backward_t JOIN (backward_, ISA);
const backward_t JOIN (backward_, ISA) = {
    .norm = norm, .swiglu = swiglu, .attention = attention, .scale = scale, .add = add};

/*  model_fixture - small models with random weights for tests. */
#ifndef QUINTET_TESTS_MODEL_FIXTURE_H
#define QUINTET_TESTS_MODEL_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "kernels/kernels.h"
#include "model/model.h"

/*  Fills x with numbers from -scale to scale. */
static inline void fixture_fill (float *x, size_t n, double scale, uint64_t seed)
{
    rng_t rng = {.key = rng_key (&seed, 1)};
    for (size_t i = 0; i < n; i++)
        x[i] = (float) ((2 * rng_unit (&rng) - 1) * scale);
}

/*  Zeros, with one float more than asked for; the caller frees. */
static inline float *fixture_room (size_t n)
{
    float *p = calloc (n + 1, sizeof *p);
    assert_non_null (p);
    return p;
}

static inline float *fixture_filled (size_t n, double scale, uint64_t seed)
{
    float *p = fixture_room (n);
    fixture_fill (p, n, scale, seed);
    return p;
}

/*  Runs a check with the kernels of every instruction set there is; plain ones are always there. */
static inline void fixture_with_all (void (*check) (const kernels_t *))
{
    static const char *const names[] = {"amx", "avx512", "avx512-widen", "avx2", "blas", "plain"};
    size_t ran = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const kernels_t *kernels = kernels_named (names[i]);
        if (!kernels)
            continue;
        assert_int_equal (strncmp (kernels->name, names[i], strlen (names[i])), 0);
        check (kernels);
        ran++;
    }
    assert_true (ran >= 1);
}

/*  A shape in which nothing divides anything: odd sizes find what even ones hide. */
static inline model_config_t fixture_config (void)
{
    return (model_config_t){.arch = ARCH_LLAMA,
                            .width = 44,
                            .layers = 2,
                            .heads = 6,
                            .kv_heads = 2,
                            .head_dim = 10,
                            .ff = 70,
                            .vocab = 83,
                            .context = 160,
                            .norm_eps = 1e-5,
                            .rope_theta = 10000,
                            .tied = true};
}

/*  Weights large enough for distributions that are far from flat. */
static inline model_t *fixture_model (const model_config_t *config, model_compute_t compute)
{
    err_t err = {0};
    model_t *model = model_new (config, compute, &err);
    if (!model)
        fail_msg ("model_new: %s", err.text);
    float *params = calloc (model_params (model), sizeof *params);
    assert_non_null (params);
    for (size_t i = 0; i < model_tensors (model); i++) {
        const model_tensor_t *t = model_tensor (model, i);
        fixture_fill (params + t->offset, t->rows * t->columns, t->rank == 2 ? 0.4 : 0.3, i + 1);
        for (size_t j = 0; t->rank == 1 && j < t->columns && !strstr (t->name, "bias"); j++)
            params[t->offset + j] += 1.0f;
    }
    model_set (model, params, NULL);
    free (params);
    return model;
}

/*  Both values and the place when they differ by more than allowed. */
static inline void fixture_near (const char *what, size_t i, double got, double expected,
                                 double allowed)
{
    double difference = got > expected ? got - expected : expected - got;
    if (!(difference <= allowed))
        fail_msg ("%s [%zu]: got %.9g, expected %.9g, differ by %.3g, allowed %.3g", what, i, got,
                  expected, difference, allowed);
}

/*  The same bits. */
static inline void fixture_same (const char *what, const float *got, const float *expected,
                                 size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp (got + i, expected + i, sizeof *got) != 0)
            fail_msg ("%s [%zu]: got %.9g, expected the same bits as %.9g", what, i,
                      (double) got[i], (double) expected[i]);
}

#endif

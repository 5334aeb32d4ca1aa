/*  Sampling speed of four shapes of model, beside what the machine could do.
 *
 *  The limit of a decode step is the larger of two times, both measured here: its multiply-adds at
 *  the product kernel's speed, and its weights, keys and values read once, at the speed at which
 *  as much memory is read.
 *
 *      bench_model [SHAPE] [SECONDS]   one shape alone (0.4M, 15M, 135M, 0.5B); seconds per figure
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "bench.h"
#include "kernels/kernels.h"
#include "model/sampler.h"

#define REPEATS     3
#define PROMPT      ((size_t) 16)
#define STREAMS_MAX ((size_t) 64)
#define GROUP       ((size_t) 8)
#define STEPS_MAX   64
#define CONTEXT     ((size_t) 512)

static double seconds = 0.25;

typedef struct {
    const char *name;
    size_t width, layers, heads, kv_heads, ff, vocab;
    bool f32; /* also in float32 by default */
} shape_t;

static const shape_t shapes[] = {{"0.4M", 96, 3, 4, 4, 256, 512, true},
                                 {"15M", 288, 6, 6, 6, 768, 32000, true},
                                 {"135M", 576, 30, 9, 3, 1536, 49152, true},
                                 {"0.5B", 896, 24, 14, 2, 4864, 151936, false}};

static void *room (size_t bytes)
{
    void *p = aligned_alloc (64, (bytes + 63) / 64 * 64);
    if (!p) {
        fprintf (stderr, "bench_model: no memory for %zu MB\n", bytes >> 20);
        exit (1);
    }
    memset (p, 0, bytes);
    return p;
}

/*  ---- the machine ---- */

#define GEMM_ROWS    ((size_t) 60)
#define GEMM_K       ((size_t) 512)
#define GEMM_OUTPUTS ((size_t) 512)
#define GEMM_ROUNDS  40

typedef struct {
    kernels_matmul_t product;
    void (*multiply) (const kernels_matmul_t *);
    float *y[16];
} gemm_t;

static void gemm_piece (void *context, size_t i, size_t thread)
{
    (void) i;
    gemm_t *g = context;
    kernels_matmul_t m = g->product;
    m.y = g->y[thread];
    for (int r = 0; r < GEMM_ROUNDS; r++)
        g->multiply (&m);
}

/*  Multiply-adds per second of a product kernel on data in the cache, all threads. */
static double gemm_speed_of (const kernels_t *kernels, model_compute_t type, pool_t *pool)
{
    size_t threads = pool_threads (pool);
    gemm_t g = {.multiply = type == COMPUTE_BF16 ? kernels->matmul_bf16 : kernels->matmul_f32};
    g.product = (kernels_matmul_t){.panels = room (GEMM_K * GEMM_OUTPUTS * sizeof (float)),
                                   .x = room (GEMM_ROWS * GEMM_K * sizeof (float)),
                                   .x_stride = GEMM_K,
                                   .y_stride = GEMM_OUTPUTS,
                                   .n = GEMM_ROWS,
                                   .k = GEMM_K,
                                   .outputs = GEMM_OUTPUTS,
                                   .last = GEMM_OUTPUTS / KERNELS_PANEL};
    for (size_t i = 0; i < threads; i++)
        g.y[i] = room (GEMM_ROWS * GEMM_OUTPUTS * sizeof (float));
    double best = INFINITY;
    for (int r = 0; r < 3 * REPEATS; r++) {
        double start = clock_s ();
        pool_run (pool, gemm_piece, &g, threads);
        best = fmin (best, clock_s () - start);
    }
    for (size_t i = 0; i < threads; i++)
        free (g.y[i]);
    free ((void *) (uintptr_t) g.product.panels);
    free ((void *) (uintptr_t) g.product.x);
    return (double) (threads * GEMM_ROUNDS * GEMM_ROWS * GEMM_K * GEMM_OUTPUTS) / best;
}

static double gemm_speed (model_compute_t type, pool_t *pool)
{
    return gemm_speed_of (kernels_get (NULL), type, pool);
}

/*  Every set of kernels that runs here, beside the fastest. */
static void bench_kernels (pool_t *pool)
{
    static const char *const names[] = {"amx", "avx512", "avx512-widen", "avx2", "blas", "plain"};
    double fastest = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const kernels_t *kernels = kernels_named (names[i]);
        if (!kernels)
            continue;
        double speed = 2e-9 * gemm_speed_of (kernels, COMPUTE_F32, pool);
        char name[96];
        fastest = fmax (fastest, speed);
        snprintf (name, sizeof name, "products.%s.f32", kernels->name);
        bench_tell (name, speed, "GFLOP/s", fastest);
    }
}

typedef struct {
    const uint64_t *data;
    size_t words, pieces;
    uint64_t sums[256];
} reading_t;

static void read_piece (void *context, size_t i, size_t thread)
{
    (void) thread;
    reading_t *r = context;
    const uint64_t *p = r->data + i * r->words / r->pieces;
    const uint64_t *end = r->data + (i + 1) * r->words / r->pieces;
    uint64_t a[32] = {0};
    for (; p + 32 <= end; p += 32)
        for (size_t j = 0; j < 32; j++)
            a[j] += p[j];
    for (size_t j = 1; j < 32; j++)
        a[0] += a[j];
    r->sums[i] = a[0];
}

/*  Bytes per second at which a piece of memory of that size is read again and again. */
static double read_speed (size_t bytes, pool_t *pool)
{
    reading_t r = {.data = room (bytes), .words = bytes / 8, .pieces = 8 * pool_threads (pool)};
    size_t rounds = 1 + ((size_t) 64 << 20) / bytes;
    double best = INFINITY;
    for (int i = 0; i < REPEATS; i++) {
        double start = clock_s ();
        for (size_t j = 0; j < rounds; j++)
            pool_run (pool, read_piece, &r, r.pieces);
        best = fmin (best, clock_s () - start);
    }
    free ((void *) (uintptr_t) r.data);
    return (double) (bytes * rounds) / best;
}

/*  ---- decoding ---- */

static model_t *make_model (const shape_t *s, model_compute_t compute, pool_t *pool)
{
    model_config_t config = {.width = s->width,
                             .layers = s->layers,
                             .heads = s->heads,
                             .kv_heads = s->kv_heads,
                             .head_dim = s->width / s->heads,
                             .ff = s->ff,
                             .vocab = s->vocab,
                             .context = CONTEXT,
                             .norm_eps = 1e-5,
                             .rope_theta = 10000,
                             .tied = true};
    err_t err = {0};
    model_t *model = model_new (&config, compute, &err);
    if (!model) {
        fprintf (stderr, "bench_model: %s\n", err.text);
        exit (1);
    }
    size_t n = model_params (model);
    float *params = room (n * sizeof *params);
    uint32_t x = 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        params[i] = ((float) (x >> 8) / 16777216.0f - 0.5f) * 0.1f;
    }
    model_set (model, params, pool);
    free (params);
    return model;
}

static void add_jobs (sampler_t *sampler, size_t jobs, size_t samples, size_t prompt, size_t tokens)
{
    int32_t ids[CONTEXT];
    uint64_t keys[STREAMS_MAX];
    for (size_t j = 0; j < jobs; j++) {
        for (size_t i = 0; i < prompt; i++)
            ids[i] = (int32_t) ((j * 31 + i * 7) % 500);
        for (size_t i = 0; i < samples; i++)
            keys[i] = rng_key ((uint64_t[]){j, i}, 2);
        sampler_job_t job = {.prompt = ids,
                             .prompt_n = prompt,
                             .samples = samples,
                             .keys = keys,
                             .temperature = 1,
                             .max_tokens = tokens};
        err_t err = {0};
        if (sampler_add (sampler, &job, &err) != 0) {
            fprintf (stderr, "bench_model: %s\n", err.text);
            exit (1);
        }
    }
}

/*  Tokens that every stream decodes: a stated time's worth of the limit, within reason. */
static size_t steps_of (size_t streams, double limit)
{
    double wanted = seconds * limit / (double) streams / REPEATS;
    return wanted < 4 ? 4 : wanted > STEPS_MAX ? STEPS_MAX : (size_t) wanted;
}

/*  Tokens per second of as many streams, eight to a prompt, after the prompts. */
static double decode_speed (const model_t *model, size_t streams, pool_t *pool, double limit)
{
    sampler_t *sampler = sampler_new (model, streams, pool, NULL);
    size_t steps = steps_of (streams, limit);
    double best = 0;
    for (int r = 0; r < REPEATS; r++) {
        size_t samples = streams < GROUP ? streams : GROUP;
        add_jobs (sampler, streams / samples, samples, PROMPT, steps + 2);
        sampler_step (sampler); /* the prompts, and the first two tokens */
        double start = clock_s ();
        while (sampler_step (sampler) > 0)
            ;
        best = fmax (best, (double) (steps * streams) / (clock_s () - start));
        sampler_result_t result;
        while (sampler_take (sampler, &result))
            ;
    }
    sampler_destroy (&sampler);
    return best;
}

static void bench_shape (const shape_t *s, model_compute_t type, pool_t *pool)
{
    static const size_t streams[] = {1, 8, STREAMS_MAX};
    model_t *model = make_model (s, type, pool);
    double gemm = gemm_speed (type, pool), weights = (double) model_bytes (model);
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        double n = (double) streams[i], compute = n * (double) model_params (model) / gemm;
        double keys = (double) (PROMPT + steps_of (streams[i], n / compute) / 2);
        double position = (double) (2 * s->layers * s->kv_heads * (s->width / s->heads)) * 4;
        double bytes = weights + n * keys * position;
        double limit = n / fmax (compute, bytes / read_speed ((size_t) bytes, pool));
        char name[96];
        snprintf (name, sizeof name, "decode.%s.%s.%zu_threads.%zu_streams", s->name,
                  type == COMPUTE_BF16 ? "bf16" : "f32", pool_threads (pool), streams[i]);
        bench_tell (name, decode_speed (model, streams[i], pool, limit), "tokens/s", limit);
    }
    model_destroy (&model);
}

/*  The sampling of one GRPO step: 16 prompts of 40, 8 samples each, 32 tokens, prompts included. */
static void bench_step (pool_t *pool)
{
    model_t *model = make_model (&shapes[0], COMPUTE_F32, pool);
    sampler_t *sampler = sampler_new (model, 128, pool, NULL);
    double best = 0;
    for (int r = 0; r < 5; r++) {
        add_jobs (sampler, 16, GROUP, 40, 32);
        double start = clock_s ();
        while (sampler_step (sampler) > 0)
            ;
        best = fmax (best, 128 * 32 / (clock_s () - start));
        sampler_result_t result;
        while (sampler_take (sampler, &result))
            ;
    }
    double limit = gemm_speed (COMPUTE_F32, pool) / (double) model_params (model);
    bench_tell ("sample.0.4M.f32.16_prompts_x_8_x_32_tokens", best, "tokens/s", limit);
    sampler_destroy (&sampler);
    model_destroy (&model);
}

int main (int argc, char **argv)
{
    const char *only = argc > 1 ? argv[1] : NULL;
    if (argc > 2)
        seconds = strtod (argv[2], NULL);
    if (!kernels_get (NULL)) {
        fprintf (stderr, "bench_model: QUINTET_ISA names no kernels of this machine\n");
        return 1;
    }
    printf ("kernels: %s\n", model_isa ());
    for (size_t threads = 1; threads <= 2; threads++) {
        pool_t *pool = pool_new (threads);
        for (int type = COMPUTE_F32; type <= COMPUTE_BF16; type++) {
            char name[64];
            snprintf (name, sizeof name, "products.%s.%zu_threads",
                      type == COMPUTE_BF16 ? "bf16" : "f32", threads);
            bench_tell (name, 2e-9 * gemm_speed ((model_compute_t) type, pool), "GFLOP/s", NAN);
        }
        char name[64];
        snprintf (name, sizeof name, "memory.read.%zu_threads", threads);
        bench_tell (name, 1e-9 * read_speed ((size_t) 256 << 20, pool), "GB/s", NAN);
        if (threads == 1)
            bench_kernels (pool);
        if (threads == 2 && (!only || strcmp (only, shapes[0].name) == 0))
            bench_step (pool);
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            if (only && strcmp (only, shapes[i].name) != 0)
                continue;
            if (shapes[i].f32 || only)
                bench_shape (&shapes[i], COMPUTE_F32, pool);
            bench_shape (&shapes[i], COMPUTE_BF16, pool);
        }
        pool_destroy (&pool);
    }
    return 0;
}

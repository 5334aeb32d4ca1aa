/*  Speed of the training pass (forward and backward) of four shapes of model, on batches shaped
 *  like a GRPO step: groups of completions that share a prompt.
 *
 *  The limit is the pass's multiply-adds in matrix products alone, at the speed that the product
 *  kernel reaches on data in the cache, measured here by as many threads.
 *
 *      bench_train [SHAPE [f32|bf16 [THREADS]]]     one shape alone (0.4M, 15M, 135M, 0.5B)
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench.h"
#include "kernels/kernels.h"
#include "model/adamw.h"
#include "model/train.h"

typedef struct {
    const char *name;
    size_t width, layers, heads, kv_heads, ff, vocab;
    size_t groups, completions, tokens, prompt;
    int repeats;
    bool f32, one_thread; /* by default also in float32, also on one thread */
} shape_t;

static const shape_t shapes[] = {
    {"0.4M", 96, 3, 4, 4, 256, 512, 16, 8, 32, 40, 15, true, true},
    {"15M", 288, 6, 6, 6, 768, 32000, 4, 8, 64, 40, 3, true, false},
    {"135M", 576, 30, 9, 3, 1536, 49152, 1, 8, 64, 40, 2, true, false},
    {"0.5B", 896, 24, 14, 2, 4864, 151936, 1, 8, 64, 40, 1, false, false}};

static void *room (size_t bytes)
{
    void *p = aligned_alloc (64, (bytes + 63) / 64 * 64);
    if (!p) {
        fprintf (stderr, "bench_train: no memory for %zu MB\n", bytes >> 20);
        exit (1);
    }
    memset (p, 0, bytes);
    return p;
}

static void must (int rc, const err_t *err)
{
    if (rc == 0)
        return;
    fprintf (stderr, "bench_train: %s\n", err->text);
    exit (1);
}

/*  ---- the machine ---- */

#define GEMM_SIZE   ((size_t) 512)
#define GEMM_ROWS   ((size_t) 60)
#define GEMM_ROUNDS 40

typedef struct {
    kernels_matmul_t product;
    void (*multiply) (const kernels_matmul_t *);
} gemm_t;

static void gemm_piece (void *context, size_t i, size_t thread)
{
    (void) thread;
    gemm_t *g = context;
    kernels_matmul_t m = g->product;
    m.y += i * GEMM_ROWS * GEMM_SIZE;
    for (int r = 0; r < GEMM_ROUNDS; r++)
        g->multiply (&m);
}

/*  Multiply-adds per second. */
static double gemm_speed (model_compute_t type, pool_t *pool)
{
    const kernels_t *kernels = kernels_get (NULL);
    size_t threads = pool_threads (pool);
    float *panels = room (GEMM_SIZE * GEMM_SIZE * sizeof (float));
    float *x = room (GEMM_ROWS * GEMM_SIZE * sizeof (float));
    float *y = room (threads * GEMM_ROWS * GEMM_SIZE * sizeof (float));
    gemm_t g = {.product = {.panels = panels,
                            .x = x,
                            .x_stride = GEMM_SIZE,
                            .y = y,
                            .y_stride = GEMM_SIZE,
                            .n = GEMM_ROWS,
                            .k = GEMM_SIZE,
                            .outputs = GEMM_SIZE,
                            .last = kernels_panels (GEMM_SIZE)},
                .multiply = type == COMPUTE_BF16 ? kernels->matmul_bf16 : kernels->matmul_f32};
    double best = INFINITY;
    for (int r = 0; r < 10; r++) {
        double start = clock_s ();
        pool_run (pool, gemm_piece, &g, threads);
        best = fmin (best, clock_s () - start);
    }
    free (panels);
    free (x);
    free (y);
    return (double) (threads * GEMM_ROUNDS * GEMM_ROWS * GEMM_SIZE * GEMM_SIZE) / best;
}

/*  ---- one batch ---- */

typedef struct {
    const shape_t *shape;
    model_t *model;
    train_t *train;
    pool_t *pool;
    float *params, *gradient;
    int32_t *ids;
    train_group_t *groups;
    train_tokens_t *completions;
} pass_t;

static void fill_params (const model_t *model, float *params)
{
    uint32_t x = 1;
    for (size_t i = 0; i < model_params (model); i++) {
        x = x * 1664525u + 1013904223u;
        params[i] = ((float) (x >> 8) / 16777216.0f - 0.5f) * 0.1f;
    }
}

static void make_batch (pass_t *p)
{
    const shape_t *s = p->shape;
    size_t each = s->prompt + s->completions * s->tokens;
    p->ids = room (s->groups * each * sizeof *p->ids);
    p->groups = room (s->groups * sizeof *p->groups);
    p->completions = room (s->groups * s->completions * sizeof *p->completions);
    for (size_t i = 0; i < s->groups * each; i++)
        p->ids[i] = (int32_t) (i * 2654435761u % s->vocab);
    for (size_t g = 0; g < s->groups; g++) {
        int32_t *at = p->ids + g * each;
        train_tokens_t *completions = p->completions + g * s->completions;
        for (size_t c = 0; c < s->completions; c++)
            completions[c] = (train_tokens_t){at + s->prompt + c * s->tokens, s->tokens};
        p->groups[g] = (train_group_t){
            .prompt = {at, s->prompt}, .completions = completions, .completions_n = s->completions};
    }
}

static void pass_open (pass_t *p, const shape_t *s, model_compute_t type, pool_t *pool)
{
    model_config_t config = {.width = s->width,
                             .layers = s->layers,
                             .heads = s->heads,
                             .kv_heads = s->kv_heads,
                             .head_dim = s->width / s->heads,
                             .ff = s->ff,
                             .vocab = s->vocab,
                             .context = 512,
                             .norm_eps = 1e-5,
                             .rope_theta = 10000,
                             .tied = true};
    err_t err = {0};
    *p = (pass_t){.shape = s, .pool = pool, .model = model_new (&config, type, &err)};
    must (p->model ? 0 : -1, &err);
    size_t bytes = model_params (p->model) * sizeof (float);
    p->params = room (bytes);
    p->gradient = room (bytes);
    fill_params (p->model, p->params);
    model_set (p->model, p->params, pool);
    p->train = train_new (p->model, pool, &err);
    must (p->train ? 0 : -1, &err);
    make_batch (p);
}

static void pass_close (pass_t *p)
{
    train_destroy (&p->train);
    model_destroy (&p->model);
    free (p->params);
    free (p->gradient);
    free (p->ids);
    free (p->groups);
    free (p->completions);
}

static void policy_gradient (void *context, size_t group, size_t first, const float *logp,
                             const float *entropy, float *dlogp)
{
    const pass_t *p = context;
    size_t n = p->shape->completions * p->shape->tokens;
    (void) group;
    (void) entropy;
    for (size_t i = 0; i < n; i++)
        dlogp[i] = ((first + i) % 3 ? -1e-3f : 1e-3f) * expf (logp[i] * 0.01f);
}

static void run_pass (pass_t *p)
{
    err_t err = {0};
    must (train_run (p->train, p->groups, p->shape->groups, policy_gradient, p, p->gradient, &err),
          &err);
}

/*  Multiply-adds of the products, forward and backward, and rows. */
static double products_of (const pass_t *p, double *rows)
{
    const shape_t *s = p->shape;
    double head = (double) (s->width * s->vocab);
    double inner = (double) model_params (p->model) - head;
    double own = (double) (s->completions * (s->tokens - 1));
    *rows = (double) s->groups * (own + (double) s->prompt);
    return 3 * (*rows * inner + (double) s->groups * (own + 1) * head);
}

static const char *label (const pass_t *p, const char *what)
{
    static char name[96];
    snprintf (name, sizeof name, "%s.%s.%s.%zu_threads", what, p->shape->name,
              model_compute (p->model) == COMPUTE_BF16 ? "bf16" : "f32", pool_threads (p->pool));
    return name;
}

/*  What follows a training pass: clipping, AdamW, weights packed again. */
static void bench_update (pass_t *p)
{
    size_t n = model_params (p->model);
    adamw_t adamw = {.m = room (n * sizeof (float)), .v = room (n * sizeof (float)), .n = n};
    adamw_options_t options = {
        .lr = 1e-6, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .clip_norm = 1};
    double best = INFINITY, norm;
    for (int r = 0; r < p->shape->repeats; r++) {
        double start = clock_s ();
        adamw_step (&adamw, &options, p->model, p->params, p->gradient, p->pool, &norm);
        model_set (p->model, p->params, p->pool);
        best = fmin (best, clock_s () - start);
    }
    bench_tell (label (p, "train.update"), 1e3 * best, "ms", NAN);
    free (adamw.m);
    free (adamw.v);
}

static void bench_shape (const shape_t *s, model_compute_t type, size_t threads)
{
    pool_t *pool = pool_new (threads);
    pass_t p;
    pass_open (&p, s, type, pool);
    double rows, products = products_of (&p, &rows), best = INFINITY, gemm = 0;
    double tokens = (double) (s->groups * s->completions * s->tokens);
    run_pass (&p); /* memory is got and touched */
    for (int r = 0; r < s->repeats; r++) {
        gemm = fmax (gemm, gemm_speed (type, pool));
        double start = clock_s ();
        run_pass (&p);
        best = fmin (best, clock_s () - start);
    }
    double limit = products / gemm;
    bench_tell (label (&p, "train"), tokens / best, "tokens/s", tokens / limit);
    bench_tell (label (&p, "train.rows"), rows / best, "rows/s", rows / limit);
    bench_tell (label (&p, "train.pass"), 1e3 * best, "ms", 1e3 * limit);
    bench_tell (label (&p, "train.memory"),
                1e-6 * (double) train_bytes (p.train, p.groups, s->groups), "MB", NAN);
    bench_update (&p);
    pass_close (&p);
    pool_destroy (&pool);
}

int main (int argc, char **argv)
{
    const char *only = argc > 1 ? argv[1] : NULL, *type = argc > 2 ? argv[2] : NULL;
    size_t threads = argc > 3 ? strtoul (argv[3], NULL, 10) : 0;
    if (!kernels_get (NULL)) {
        fprintf (stderr, "bench_train: QUINTET_ISA names no kernels of this machine\n");
        return 1;
    }
    printf ("kernels: %s\n", model_isa ());
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int t = COMPUTE_F32; t <= COMPUTE_BF16; t++) {
            const shape_t *s = &shapes[i];
            bool wanted = type ? strcmp (type, t == COMPUTE_F32 ? "f32" : "bf16") == 0
                               : only || t == COMPUTE_BF16 || s->f32;
            if ((only && strcmp (only, s->name) != 0) || !wanted)
                continue;
            if (!threads && s->one_thread)
                bench_shape (s, (model_compute_t) t, 1);
            bench_shape (s, (model_compute_t) t, threads ? threads : 2);
        }
    return 0;
}

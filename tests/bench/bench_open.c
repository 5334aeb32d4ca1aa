/*  How long a model folder of one gigabyte takes to open: 0.5B weights in bfloat16.
 *
 *      open.mapped...    configuration, tokenizer, and the header of the weights (limit: a second)
 *      open.ready...     until it can compute (limit: as many bytes copied, by as many threads)
 */
#include <stdint.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/pages.h"
#include "bench.h"
#include "formats/hf.h"

#define REPEATS 3
#define THREADS 2

static char dir[] = "/tmp/quintet-bench-XXXXXX";

static void must (bool well, const char *what, const err_t *err)
{
    if (well)
        return;
    fprintf (stderr, "bench_open: %s: %s\n", what, err->text);
    exit (1);
}

static void write_folder (size_t *bytes)
{
    err_t err = {0};
    hf_config_t config = {.model = {.width = 896,
                                    .layers = 24,
                                    .heads = 14,
                                    .kv_heads = 2,
                                    .head_dim = 64,
                                    .ff = 4864,
                                    .vocab = 151936,
                                    .context = 512,
                                    .norm_eps = 1e-6,
                                    .rope_theta = 1e6,
                                    .tied = true},
                          .dtype = HF_BF16,
                          .eos = {0},
                          .eos_n = 1,
                          .bos = -1};
    buf_t tokenizer = {0};
    model_t *model = model_new (&config.model, COMPUTE_BF16, &err);
    must (model, "the model", &err);
    float *params = pages_alloc (model_params (model) * sizeof *params);
    must (params, "the weights", &(err_t){.text = "no memory"});
    uint32_t x = 1;
    for (size_t i = 0; i < model_params (model); i++) {
        x = x * 1664525u + 1013904223u;
        params[i] = ((float) (x >> 8) / 16777216.0f - 0.5f) * 0.1f;
    }
    *bytes = 2 * model_params (model);
    must (fs_read ("deploy/models/writing/tokenizer.json", 16 << 20, &tokenizer, &err) == 0 &&
              hf_save (dir, &config, model, params, tokenizer.data, &err) == 0,
          dir, &err);
    buf_free (&tokenizer);
    free (params);
    model_destroy (&model);
}

typedef struct {
    const char *from;
    char *to;
    size_t size, pieces;
} copy_t;

static void copy_piece (void *context, size_t i, size_t thread)
{
    (void) thread;
    const copy_t *c = context;
    size_t at = i * c->size / c->pieces, end = (i + 1) * c->size / c->pieces;
    memcpy (c->to + at, c->from + at, end - at);
}

/*  Seconds to copy as much into new memory. */
static double copying (size_t size, pool_t *pool)
{
    double best = INFINITY;
    char *from = pages_alloc (size);
    must (from, "copying", &(err_t){.text = "no memory"});
    memset (from, 1, size);
    for (int r = 0; r < REPEATS; r++) {
        copy_t c = {.from = from, .to = pages_alloc (size), .size = size, .pieces = 64};
        must (c.to, "copying", &(err_t){.text = "no memory"});
        double start = clock_s ();
        pool_run (pool, copy_piece, &c, c.pieces);
        best = fmin (best, clock_s () - start);
        free (c.to);
    }
    free (from);
    return best;
}

int main (void)
{
    err_t err = {0};
    size_t bytes;
    double mapped = INFINITY, ready = INFINITY;
    must (mkdtemp (dir), dir, &(err_t){.text = "cannot be made"});
    pool_t *pool = pool_new (THREADS);
    write_folder (&bytes);
    for (int r = 0; r < REPEATS; r++) {
        double start = clock_s ();
        hf_t *hf = hf_open (dir, &err);
        must (hf, dir, &err);
        mapped = fmin (mapped, clock_s () - start);
        model_t *model = model_new (&hf_config (hf)->model, COMPUTE_BF16, &err);
        must (model && hf_fill (hf, model, pool, &err) == 0, dir, &err);
        ready = fmin (ready, clock_s () - start);
        model_destroy (&model);
        hf_destroy (&hf);
    }
    bench_tell ("open.mapped.0.5B.bf16", mapped, "s", 1);
    bench_tell ("open.ready.0.5B.bf16.2_threads", ready, "s", copying (bytes, pool));
    pool_destroy (&pool);
    fs_remove (dir, &err);
    return 0;
}

/*  What adapters cost and save: training them against training all, and decoding for several of
 *  them on one base against the base alone. Each figure's limit is the one of the whole model.
 *
 *      bench_lora [SHAPE]     15M or 135M
 */
#include <stdint.h>

#include "base/clock.h"
#include "base/pool.h"
#include "bench.h"
#include "model/lora.h"
#include "model/sampler.h"
#include "model/train.h"

#define RANK        16
#define THREADS     2
#define PROMPT      40
#define TOKENS      64
#define COMPLETIONS 8
#define STREAMS     16
#define STEPS       24
#define REPEATS     3

typedef struct {
    const char *name;
    size_t width, layers, heads, kv_heads, ff, vocab;
} shape_t;

static const shape_t shapes[] = {{"15M", 288, 6, 6, 6, 768, 32000},
                                 {"135M", 576, 30, 9, 3, 1536, 49152}};

static void must (bool well, const err_t *err)
{
    if (well)
        return;
    fprintf (stderr, "bench_lora: %s\n", err->text);
    exit (1);
}

static void fill (model_t *model)
{
    size_t n = model_params (model);
    float *params = malloc (n * sizeof *params);
    uint32_t x = 1;
    must (params, &(err_t){.text = "no memory"});
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        params[i] = ((float) (x >> 8) / 16777216.0f - 0.5f) * 0.1f;
    }
    model_set (model, params, NULL);
    free (params);
}

static model_t *make_base (const shape_t *s)
{
    model_config_t config = {.width = s->width,
                             .layers = s->layers,
                             .heads = s->heads,
                             .kv_heads = s->kv_heads,
                             .head_dim = s->width / s->heads,
                             .ff = s->ff,
                             .vocab = s->vocab,
                             .context = 256,
                             .norm_eps = 1e-5,
                             .rope_theta = 10000,
                             .tied = true};
    err_t err = {0};
    model_t *model = model_new (&config, COMPUTE_BF16, &err);
    must (model, &err);
    fill (model);
    return model;
}

static model_t *make_adapted (const model_t *base)
{
    err_t err = {0};
    lora_config_t lora = {.rank = RANK, .alpha = 2 * RANK, .targets = LORA_ALL_LINEAR};
    model_t *model = lora_new (base, &lora, &err);
    must (model, &err);
    fill (model);
    return model;
}

/*  ---- training ---- */

static void policy_gradient (void *context, size_t group, size_t first, const float *logp,
                             const float *entropy, float *dlogp)
{
    (void) context;
    (void) group;
    (void) logp;
    (void) entropy;
    for (size_t i = 0; i < COMPLETIONS * TOKENS; i++)
        dlogp[i] = (first + i) % 3 ? -1e-3f : 1e-3f;
}

/*  Tokens per second of a group's pass, forward and backward. */
static double train_speed (const model_t *model, pool_t *pool, double *megabytes)
{
    err_t err = {0};
    int32_t ids[PROMPT + COMPLETIONS * TOKENS];
    train_tokens_t completions[COMPLETIONS];
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        ids[i] = (int32_t) (i * 2654435761u % model_config (model)->vocab);
    for (size_t c = 0; c < COMPLETIONS; c++)
        completions[c] = (train_tokens_t){ids + PROMPT + c * TOKENS, TOKENS};
    train_group_t group = {
        .prompt = {ids, PROMPT}, .completions = completions, .completions_n = COMPLETIONS};
    float *gradient = malloc (model_params (model) * sizeof *gradient);
    train_t *train = train_new (model, pool, &err);
    must (train && gradient, &err);
    double best = INFINITY;
    for (int r = 0; r <= REPEATS; r++) {
        double start = clock_s ();
        must (train_run (train, &group, 1, policy_gradient, NULL, gradient, &err) == 0, &err);
        best = r ? fmin (best, clock_s () - start) : best;
    }
    /* gradient, masters and AdamW's two vectors beside what the pass itself takes */
    *megabytes = 1e-6 * (double) (train_bytes (train, &group, 1) +
                                  4 * sizeof (float) * model_params (model));
    train_destroy (&train);
    free (gradient);
    return COMPLETIONS * TOKENS / best;
}

static void bench_train (const shape_t *s, const model_t *base, const model_t *adapted,
                         pool_t *pool)
{
    char name[96];
    double all, few;
    double full = train_speed (base, pool, &all), lora = train_speed (adapted, pool, &few);
    snprintf (name, sizeof name, "lora.train.%s.bf16.rank_%d", s->name, RANK);
    bench_tell (name, lora, "tokens/s", full);
    snprintf (name, sizeof name, "lora.train.memory.%s.bf16.rank_%d", s->name, RANK);
    bench_tell (name, few, "MB", all);
}

/*  ---- decoding ---- */

/*  Tokens per second of STREAMS completions, shared out among the models. */
static double decode_speed (const model_t *const *models, size_t n, pool_t *pool)
{
    err_t err = {0};
    int32_t prompt[PROMPT];
    uint64_t keys[STREAMS];
    double best = 0;
    sampler_t *sampler = sampler_new (models[0], STREAMS, pool, &err);
    must (sampler, &err);
    for (size_t i = 0; i < PROMPT; i++)
        prompt[i] = (int32_t) (i * 7 % 500);
    for (size_t i = 0; i < STREAMS; i++)
        keys[i] = i;
    for (int r = 0; r < REPEATS; r++) {
        for (size_t m = 0; m < n; m++) {
            sampler_job_t job = {.model = models[m],
                                 .prompt = prompt,
                                 .prompt_n = PROMPT,
                                 .samples = STREAMS / n,
                                 .keys = keys,
                                 .temperature = 1,
                                 .max_tokens = STEPS + 2};
            must (sampler_add (sampler, &job, &err) == 0, &err);
        }
        sampler_step (sampler); /* the prompts, and the first two tokens */
        double start = clock_s ();
        while (sampler_step (sampler) > 0)
            ;
        best = fmax (best, STEPS * STREAMS / (clock_s () - start));
        sampler_result_t result;
        while (sampler_take (sampler, &result))
            ;
    }
    sampler_destroy (&sampler);
    return best;
}

static void bench_decode (const shape_t *s, const model_t *base, pool_t *pool)
{
    model_t *adapted[4];
    for (size_t i = 0; i < 4; i++)
        adapted[i] = make_adapted (base);
    double alone = decode_speed (&base, 1, pool);
    for (size_t n = 1; n <= 4; n *= 2) {
        char name[96];
        snprintf (name, sizeof name, "lora.decode.%s.bf16.%zu_adapters.%d_streams", s->name, n,
                  STREAMS);
        bench_tell (name, decode_speed ((const model_t *const *) adapted, n, pool), "tokens/s",
                    alone);
    }
    for (size_t i = 0; i < 4; i++)
        model_destroy (&adapted[i]);
}

int main (int argc, char **argv)
{
    pool_t *pool = pool_new (THREADS);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        if (argc > 1 && strcmp (argv[1], shapes[i].name) != 0)
            continue;
        model_t *base = make_base (&shapes[i]), *adapted = make_adapted (base);
        bench_train (&shapes[i], base, adapted, pool);
        bench_decode (&shapes[i], base, pool);
        model_destroy (&adapted);
        model_destroy (&base);
    }
    pool_destroy (&pool);
    return 0;
}

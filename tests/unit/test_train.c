/*  The training pass: its gradients against finite differences, its bits against threads and the
 *  sampler. */
#include <math.h>

#include "model/sampler.h"
#include "model/train.h"
#include "model_fixture.h"

static model_config_t small_config (void)
{
    return (model_config_t){.arch = ARCH_LLAMA,
                            .width = 24,
                            .layers = 2,
                            .heads = 4,
                            .kv_heads = 2,
                            .head_dim = 8,
                            .ff = 40,
                            .vocab = 37,
                            .context = 128,
                            .norm_eps = 1e-5,
                            .rope = ROPE_PLAIN,
                            .rope_theta = 10000,
                            .tied = true};
}

#define GROUPS      5
#define COMPLETIONS 3

typedef struct {
    int32_t ids[4096];
    train_tokens_t completions[GROUPS][COMPLETIONS];
    train_group_t groups[GROUPS];
    size_t tokens;
} batch_t;

/*  Prompts of 1 to 40 tokens, completions of 1 to 20. */
static void make_batch (batch_t *batch, size_t vocab)
{
    rng_t rng = {.key = 7};
    size_t at = 0;
    batch->tokens = 0;
    for (size_t i = 0; i < 4096; i++)
        batch->ids[i] = (int32_t) rng_below (&rng, vocab);
    static const size_t prompts[GROUPS] = {1, 5, 16, 17, 40};
    for (size_t g = 0; g < GROUPS; g++) {
        batch->groups[g] = (train_group_t){.prompt = {batch->ids + at, prompts[g]}};
        at += prompts[g];
        for (size_t c = 0; c < COMPLETIONS; c++) {
            size_t n = 1 + (g * 7 + c * 5) % 20;
            batch->completions[g][c] = (train_tokens_t){batch->ids + at, n};
            at += n;
            batch->tokens += n;
        }
        batch->groups[g].completions = batch->completions[g];
        batch->groups[g].completions_n = COMPLETIONS;
    }
}

/*  loss = sum over tokens of w_t logp_t, w_t fixed. */
static float weight_of (size_t token)
{
    return (float) (rng_uniform_d (99, token) - 0.5);
}

typedef struct {
    const batch_t *batch;
    float *logp;
} probe_t;

static void weighted (void *context, size_t group, size_t first, const float *logp,
                      const float *entropy, float *dlogp)
{
    probe_t *probe = context;
    size_t n = 0;
    for (size_t c = 0; c < COMPLETIONS; c++)
        n += probe->batch->groups[group].completions[c].n;
    for (size_t i = 0; i < n; i++) {
        assert_true (entropy[i] > -1e-4f);
        dlogp[i] = weight_of (first + i);
        probe->logp[first + i] = logp[i];
    }
}

/*  The same for groups of one completion. */
typedef struct {
    const train_group_t *groups;
    float *logp;
} alone_t;

static void weighted_alone (void *context, size_t group, size_t first, const float *logp,
                            const float *entropy, float *dlogp)
{
    const alone_t *alone = context;
    (void) entropy;
    for (size_t i = 0; i < alone->groups[group].completions[0].n; i++) {
        dlogp[i] = weight_of (first + i);
        alone->logp[first + i] = logp[i];
    }
}

static double loss_of (train_t *train, const batch_t *batch, float *logp)
{
    err_t err = {0};
    assert_int_equal (train_score (train, batch->groups, GROUPS, logp, NULL, &err), 0);
    double loss = 0;
    for (size_t i = 0; i < batch->tokens; i++)
        loss += (double) weight_of (i) * (double) logp[i];
    return loss;
}

typedef struct {
    model_t *model;
    train_t *train;
    float *params, *gradient, *logp;
    size_t n;
    batch_t batch;
} bench_t;

static void bench_open_as (bench_t *b, const model_config_t *config, model_compute_t compute,
                           pool_t *pool)
{
    err_t err = {0};
    b->model = model_new (config, compute, &err);
    if (!b->model)
        fail_msg ("%s", err.text);
    b->train = train_new (b->model, pool, &err);
    assert_non_null (b->train);
    b->n = model_params (b->model);
    b->params = calloc (b->n, sizeof (float));
    b->gradient = calloc (b->n, sizeof (float));
    b->logp = calloc (4096, sizeof (float));
    model_init_params (b->model, 3, b->params);
    /* Larger than at the start of a training, and norms and biases away from 1 and 0. */
    for (size_t i = 0; i < b->n; i++)
        b->params[i] = b->params[i] * 6 + 0.2f * (float) (rng_uniform_d (5, i) - 0.5);
    model_set (b->model, b->params, NULL);
    make_batch (&b->batch, config->vocab);
}

static void bench_open (bench_t *b, const model_config_t *config, pool_t *pool)
{
    bench_open_as (b, config, COMPUTE_F32, pool);
}

static void bench_close (bench_t *b)
{
    train_destroy (&b->train);
    model_destroy (&b->model);
    free (b->params);
    free (b->gradient);
    free (b->logp);
}

/*  Of every second group; the others are at 1. */
static void heat (batch_t *batch, float temperature)
{
    for (size_t g = 0; g < GROUPS; g += 2)
        batch->groups[g].temperature = temperature;
}

static void run (bench_t *b)
{
    err_t err = {0};
    probe_t probe = {.batch = &b->batch, .logp = b->logp};
    if (train_run (b->train, b->batch.groups, GROUPS, weighted, &probe, b->gradient, &err) != 0)
        fail_msg ("%s", err.text);
}

/*  For each tensor, the derivative along its own gradient: (L (p + h u) - L (p - h u)) / 2 h =
 *  |g|. */
static void check_gradients (const model_config_t *config, float temperature)
{
    bench_t b;
    bench_open (&b, config, NULL);
    heat (&b.batch, temperature);
    run (&b);
    float *moved = calloc (b.n, sizeof *moved), *logp = calloc (4096, sizeof *logp);
    for (size_t t = 0; t < model_tensors (b.model); t++) {
        const model_tensor_t *tensor = model_tensor (b.model, t);
        size_t size = tensor->rows * tensor->columns;
        const float *g = b.gradient + tensor->offset;
        double norm = 0;
        for (size_t i = 0; i < size; i++)
            norm += (double) g[i] * (double) g[i];
        norm = sqrt (norm);
        assert_true (norm > 1e-6);
        double sides[2], h = 0.03 / norm < 4e-3 ? 0.03 / norm : 4e-3;
        for (int side = 0; side < 2; side++) {
            memcpy (moved, b.params, b.n * sizeof *moved);
            for (size_t i = 0; i < size; i++)
                moved[tensor->offset + i] += (float) ((side ? h : -h) * (double) g[i] / norm);
            model_set (b.model, moved, NULL);
            sides[side] = loss_of (b.train, &b.batch, logp);
        }
        double slope = (sides[1] - sides[0]) / (2 * h);
        if (fabs (slope - norm) > 0.01 * norm + 2e-3)
            fail_msg ("%s: slope %g, gradient %g", tensor->name, slope, norm);
        model_set (b.model, b.params, NULL);
    }
    free (moved);
    free (logp);
    bench_close (&b);
}

static void gradients_of_llama (void **state)
{
    (void) state;
    model_config_t config = small_config ();
    check_gradients (&config, 1);
    config.tied = false;
    check_gradients (&config, 0.7f);
}

static void gradients_of_llama3 (void **state)
{
    (void) state;
    model_config_t config = small_config ();
    config.rope = ROPE_LLAMA3;
    config.rope_factor = 8;
    config.rope_low = 1;
    config.rope_high = 4;
    config.rope_original_context = 32;
    config.kv_heads = 1;
    check_gradients (&config, 1);
}

static void gradients_of_qwen (void **state)
{
    (void) state;
    model_config_t config = small_config ();
    config.arch = ARCH_QWEN2;
    config.qkv_bias = true;
    check_gradients (&config, 1);
    config = small_config ();
    config.arch = ARCH_QWEN3;
    config.qk_norm = true;
    config.head_dim = 12;
    check_gradients (&config, 1);
}

static void gradients_of_a_value_head (void **state)
{
    (void) state;
    model_config_t config = small_config ();
    config.tied = false;
    config.value_head = true;
    check_gradients (&config, 1);
}

/*  More weights than a batch is cut into pieces for: threads share every group. */
static model_config_t large_config (void)
{
    model_config_t config = small_config ();
    config.width = 264;
    config.head_dim = 64;
    config.ff = 2100;
    config.vocab = 900;
    return config;
}

static void check_threads (const model_config_t *config, model_compute_t compute)
{
    bench_t one, other;
    bench_open_as (&one, config, compute, NULL);
    run (&one);
    for (size_t threads = 2; threads <= 3; threads++) {
        pool_t *pool = pool_new (threads);
        bench_open_as (&other, config, compute, pool);
        run (&other);
        fixture_same ("gradient", other.gradient, one.gradient, one.n);
        fixture_same ("logp", other.logp, one.logp, one.batch.tokens);
        bench_close (&other);
        pool_destroy (&pool);
    }
    bench_close (&one);
}

static void threads_change_no_bit (void **state)
{
    (void) state;
    model_config_t small = small_config (), large = large_config ();
    check_threads (&small, COMPUTE_F32);
    check_threads (&small, COMPUTE_BF16);
    check_threads (&large, COMPUTE_F32);
    check_threads (&large, COMPUTE_BF16);
}

/*  |a - b| over |b|, both as vectors. */
static double distance (const float *a, const float *b, size_t n)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        difference += pow ((double) a[i] - (double) b[i], 2);
        size += pow ((double) b[i], 2);
    }
    return sqrt (difference / size);
}

/*  Throwing activations away changes no bit; logits in tiles are summed in another order. */
static void check_limits (const model_config_t *config)
{
    bench_t free_one, bound;
    bench_open (&free_one, config, NULL);
    bench_open (&bound, config, NULL);
    run (&free_one);
    size_t before = train_bytes (bound.train, bound.batch.groups, GROUPS);
    train_limit (bound.train, 1, 0);
    run (&bound);
    assert_true (train_bytes (bound.train, bound.batch.groups, GROUPS) < before);
    fixture_same ("gradient", bound.gradient, free_one.gradient, bound.n);
    train_limit (bound.train, 0, 1);
    run (&bound);
    fixture_same ("logp", bound.logp, free_one.logp, bound.batch.tokens);
    fixture_near ("gradient", 0, distance (bound.gradient, free_one.gradient, bound.n), 0, 1e-6);
    bench_close (&free_one);
    bench_close (&bound);
}

static void memory_limits_change_no_result (void **state)
{
    (void) state;
    model_config_t small = small_config (), large = large_config ();
    check_limits (&small);
    check_limits (&large);
}

/*  Memory that an earlier, larger batch left behind is not felt. */
static void earlier_batches_are_forgotten (void **state)
{
    (void) state;
    model_config_t config = small_config ();
    bench_t fresh, used;
    bench_open (&fresh, &config, NULL);
    bench_open (&used, &config, NULL);
    run (&used);
    probe_t probe = {.batch = &fresh.batch, .logp = fresh.logp};
    err_t err = {0};
    assert_int_equal (
        train_run (fresh.train, fresh.batch.groups, 2, weighted, &probe, fresh.gradient, &err), 0);
    probe.logp = used.logp;
    assert_int_equal (
        train_run (used.train, used.batch.groups, 2, weighted, &probe, used.gradient, &err), 0);
    fixture_same ("gradient", used.gradient, fresh.gradient, fresh.n);
    train_rest (used.train);
    assert_int_equal (
        train_run (used.train, used.batch.groups, 2, weighted, &probe, used.gradient, &err), 0);
    fixture_same ("gradient after a rest", used.gradient, fresh.gradient, fresh.n);
    bench_close (&fresh);
    bench_close (&used);
}

/*  A prompt of its own for every completion. */
static void shared_prompts_are_only_faster (void **state)
{
    (void) state;
    enum { N = GROUPS * COMPLETIONS };
    model_config_t config = small_config ();
    bench_t shared;
    bench_open (&shared, &config, NULL);
    run (&shared);
    train_group_t alone[N];
    for (size_t i = 0; i < N; i++)
        alone[i] = (train_group_t){.prompt = shared.batch.groups[i / COMPLETIONS].prompt,
                                   .completions =
                                       &shared.batch.completions[i / COMPLETIONS][i % COMPLETIONS],
                                   .completions_n = 1};
    float *gradient = calloc (shared.n, sizeof *gradient), *logp = calloc (4096, sizeof *logp);
    alone_t context = {.groups = alone, .logp = logp};
    err_t err = {0};
    assert_int_equal (train_run (shared.train, alone, N, weighted_alone, &context, gradient, &err),
                      0);
    fixture_same ("logp", logp, shared.logp, shared.batch.tokens);
    fixture_near ("gradient", 0, distance (gradient, shared.gradient, shared.n), 0, 1e-6);
    free (gradient);
    free (logp);
    bench_close (&shared);
}

/*  Products in bfloat16 leave two digits, where the weights are like those at a training's
 *  start. */
static void bf16_follows_f32 (void **state)
{
    (void) state;
    model_config_t config = large_config ();
    bench_t narrow, wide;
    bench_open_as (&narrow, &config, COMPUTE_BF16, NULL);
    bench_open (&wide, &config, NULL);
    model_init_params (wide.model, 3, wide.params);
    model_set (narrow.model, wide.params, NULL);
    model_get (narrow.model, wide.params);
    model_set (wide.model, wide.params, NULL);
    run (&narrow);
    run (&wide);
    for (size_t t = 0; t < model_tensors (wide.model); t++) {
        const model_tensor_t *tensor = model_tensor (wide.model, t);
        fixture_near (tensor->name, 0,
                      distance (narrow.gradient + tensor->offset, wide.gradient + tensor->offset,
                                tensor->rows * tensor->columns),
                      0, 0.02);
    }
    bench_close (&narrow);
    bench_close (&wide);
}

/*  Log-probability and entropy written out over the logits of the whole sequence. */
static void check_tokens_of (const bench_t *b, const train_group_t *g, size_t c, double temperature,
                             const float *logp, const float *entropy)
{
    size_t vocab = model_config (b->model)->vocab, p = g->prompt.n, n = g->completions[c].n;
    int32_t ids[128];
    float *logits = calloc ((p + n) * vocab, sizeof *logits);
    err_t err = {0};
    memcpy (ids, g->prompt.ids, p * sizeof *ids);
    memcpy (ids + p, g->completions[c].ids, n * sizeof *ids);
    assert_int_equal (model_logits (b->model, ids, p + n, logits, NULL, &err), 0);
    for (size_t j = 0; j < n; j++) {
        const float *z = logits + (p + j - 1) * vocab;
        double max = -INFINITY, sum = 0, mean = 0;
        for (size_t v = 0; v < vocab; v++)
            max = fmax (max, (double) z[v] / temperature);
        for (size_t v = 0; v < vocab; v++) {
            double e = exp ((double) z[v] / temperature - max);
            sum += e;
            mean += e * ((double) z[v] / temperature - max);
        }
        fixture_near ("logp", j, (double) logp[j],
                      (double) z[ids[p + j]] / temperature - max - log (sum), 2e-5);
        fixture_near ("entropy", j, (double) entropy[j], log (sum) - mean / sum, 2e-5);
    }
    free (logits);
}

static void tokens_have_their_logp_and_entropy (void **state)
{
    (void) state;
    model_config_t config = small_config ();
    bench_t b;
    bench_open (&b, &config, NULL);
    float logp[4096], entropy[4096];
    err_t err = {0};
    heat (&b.batch, 0.6f);
    assert_int_equal (train_score (b.train, b.batch.groups, GROUPS, logp, entropy, &err), 0);
    size_t at = 0;
    for (size_t g = 0; g < GROUPS; g++)
        for (size_t c = 0; c < COMPLETIONS; c++) {
            check_tokens_of (&b, &b.batch.groups[g], c, g % 2 ? 1 : 0.6, logp + at, entropy + at);
            at += b.batch.groups[g].completions[c].n;
        }
    /* A pass with gradients says the same, bit by bit. */
    run (&b);
    fixture_same ("logp", b.logp, logp, b.batch.tokens);
    bench_close (&b);
}

/*  What the sampler drew has, in training, the very log-probabilities under which it was drawn. */
static void check_sampler (const model_config_t *config, model_compute_t compute)
{
    enum { N = 6, MOST = 30 };
    bench_t b;
    bench_open_as (&b, config, compute, NULL);
    err_t err = {0};
    static int32_t prompt[21] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4, 6};
    uint64_t keys[N] = {1, 2, 3, 4, 5, 6};
    for (size_t prompt_n = 1; prompt_n <= 21; prompt_n += 5) {
        sampler_t *sampler = sampler_new (b.model, 64, NULL, &err);
        sampler_job_t job = {.prompt = prompt,
                             .prompt_n = prompt_n,
                             .samples = N,
                             .keys = keys,
                             .temperature = 1,
                             .max_tokens = MOST,
                             .stops = {0},
                             .stops_n = 1};
        assert_int_equal (sampler_add (sampler, &job, &err), 0);
        static int32_t ids[N][MOST];
        static float logps[N][MOST];
        train_tokens_t completions[N];
        sampler_result_t result;
        size_t taken = 0;
        while (taken < N) {
            sampler_step (sampler);
            while (sampler_take (sampler, &result)) {
                memcpy (ids[result.sample], result.ids, result.n * sizeof **ids);
                memcpy (logps[result.sample], result.logps, result.n * sizeof **logps);
                completions[result.sample] = (train_tokens_t){ids[result.sample], result.n};
                taken++;
            }
        }
        train_group_t group = {
            .prompt = {prompt, prompt_n}, .completions = completions, .completions_n = N};
        float logp[N * MOST];
        assert_int_equal (train_score (b.train, &group, 1, logp, NULL, &err), 0);
        for (size_t c = 0, at = 0; c < N; c++)
            for (size_t j = 0; j < completions[c].n; j++, at++)
                if (memcmp (&logp[at], &logps[c][j], sizeof (float)) != 0)
                    fail_msg ("prompt %zu, completion %zu, token %zu: %.9g and %.9g", prompt_n, c,
                              j, (double) logps[c][j], (double) logp[at]);
        sampler_destroy (&sampler);
    }
    bench_close (&b);
}

static void sampler_and_training_agree (void **state)
{
    (void) state;
    model_config_t config = small_config (), large = large_config ();
    check_sampler (&config, COMPUTE_F32);
    check_sampler (&config, COMPUTE_BF16);
    check_sampler (&large, COMPUTE_BF16);
}

static void bad_batches_are_refused (void **state)
{
    (void) state;
    model_config_t config = small_config ();
    bench_t b;
    bench_open (&b, &config, NULL);
    err_t err = {0};
    int32_t ids[2] = {1, 37};
    train_tokens_t completion = {ids, 2};
    train_group_t group = {.prompt = {ids, 1}, .completions = &completion, .completions_n = 1};
    assert_int_equal (train_score (b.train, &group, 1, b.logp, NULL, &err), -1);
    assert_non_null (strstr (err.text, "37"));
    group.prompt.n = 0;
    assert_int_equal (train_score (b.train, &group, 1, b.logp, NULL, &err), -1);
    bench_close (&b);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (gradients_of_llama),
        cmocka_unit_test (gradients_of_llama3),
        cmocka_unit_test (gradients_of_qwen),
        cmocka_unit_test (gradients_of_a_value_head),
        cmocka_unit_test (tokens_have_their_logp_and_entropy),
        cmocka_unit_test (threads_change_no_bit),
        cmocka_unit_test (memory_limits_change_no_result),
        cmocka_unit_test (earlier_batches_are_forgotten),
        cmocka_unit_test (shared_prompts_are_only_faster),
        cmocka_unit_test (bf16_follows_f32),
        cmocka_unit_test (sampler_and_training_agree),
        cmocka_unit_test (bad_batches_are_refused),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

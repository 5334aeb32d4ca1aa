/*  Adapters on a frozen base: gradients against finite differences, bits against the sampler,
 *  threads and neighbours, the base itself; PEFT folders in, out and refused. */
#include <math.h>
#include <unistd.h>

#include "base/fs.h"
#include "formats/peft.h"
#include "formats/safetensors.h"
#include "model/lora.h"
#include "model/sampler.h"
#include "model/train.h"
#include "model/weights.h"
#include "model_fixture.h"

#define EVERY ((1u << LORA_TARGET_COUNT) - 1)

typedef struct {
    model_t *base, *model;
    float *params;
    size_t n;
} adapted_t;

static adapted_t adapted (const model_config_t *config, model_compute_t compute, size_t rank,
                          unsigned targets)
{
    err_t err = {0};
    adapted_t a = {.base = fixture_model (config, compute)};
    lora_config_t lora = {.rank = rank, .alpha = 2.0 * (double) rank, .targets = targets};
    a.model = lora_new (a.base, &lora, &err);
    if (!a.model)
        fail_msg ("%s", err.text);
    a.n = model_params (a.model);
    a.params = calloc (a.n, sizeof *a.params);
    fixture_fill (a.params, a.n, 0.15, 77);
    model_set (a.model, a.params, NULL);
    return a;
}

static void drop (adapted_t *a)
{
    model_destroy (&a->model);
    model_destroy (&a->base);
    free (a->params);
}

/*  ---- forwards ---- */

#define TOKENS 23

static const int32_t *ids_of (size_t vocab)
{
    static int32_t ids[TOKENS];
    rng_t rng = {.key = 5};
    for (size_t i = 0; i < TOKENS; i++)
        ids[i] = (int32_t) rng_below (&rng, vocab);
    return ids;
}

static float *logits_of (const model_t *model, pool_t *pool)
{
    err_t err = {0};
    size_t vocab = model_config (model)->vocab;
    float *logits = calloc (TOKENS * vocab, sizeof *logits);
    if (model_logits (model, ids_of (vocab), TOKENS, logits, pool, &err) != 0)
        fail_msg ("%s", err.text);
    return logits;
}

static void fresh_adapters_leave_the_base_as_it_is (void **state)
{
    (void) state;
    model_config_t config = fixture_config ();
    adapted_t a = adapted (&config, COMPUTE_F32, 3, EVERY);
    float *wanted = logits_of (a.base, NULL), *other = logits_of (a.model, NULL);
    model_init_params (a.model, 9, a.params);
    model_set (a.model, a.params, NULL);
    float *got = logits_of (a.model, NULL);
    fixture_same ("logits", got, wanted, TOKENS * config.vocab);
    assert_true (memcmp (other, wanted, TOKENS * config.vocab * sizeof *other) != 0);
    free (wanted);
    free (other);
    free (got);
    drop (&a);
}

/*  W + scale B A, tensor by tensor, in a model of its own. */
static void merge (const adapted_t *a, double scale, float *params)
{
    for (size_t i = 0; i < model_tensors (a->model); i += 2) {
        const model_tensor_t *A = model_tensor (a->model, i), *B = model_tensor (a->model, i + 1);
        const char *module = A->name + strlen ("base_model.model.");
        size_t size = (size_t) (strstr (module, "lora_A") - module);
        const model_tensor_t *w = NULL;
        for (size_t t = 0; t < model_tensors (a->base); t++)
            if (strncmp (model_tensor (a->base, t)->name, module, size) == 0 &&
                strcmp (model_tensor (a->base, t)->name + size, "weight") == 0)
                w = model_tensor (a->base, t);
        assert_non_null (w);
        assert_int_equal (w->rows, B->rows);
        assert_int_equal (w->columns, A->columns);
        for (size_t o = 0; o < w->rows; o++)
            for (size_t k = 0; k < w->columns; k++) {
                double sum = 0;
                for (size_t r = 0; r < A->rows; r++)
                    sum += (double) a->params[B->offset + o * A->rows + r] *
                           (double) a->params[A->offset + r * A->columns + k];
                params[w->offset + o * w->columns + k] += (float) (scale * sum);
            }
    }
}

static void check_merged (model_config_t config)
{
    config.tied = false; /* a tied head would change the embedding with it */
    adapted_t a = adapted (&config, COMPUTE_F32, 3, EVERY);
    float *params = calloc (model_params (a.base), sizeof *params);
    model_get (a.base, params);
    merge (&a, 2, params);
    float *got = logits_of (a.model, NULL);
    model_set (a.base, params, NULL);
    float *wanted = logits_of (a.base, NULL);
    for (size_t i = 0; i < TOKENS * config.vocab; i++)
        fixture_near ("logits", i, (double) got[i], (double) wanted[i], 2e-3);
    free (params);
    free (got);
    free (wanted);
    drop (&a);
}

static void adapters_are_what_they_merge_to (void **state)
{
    (void) state;
    model_config_t config = fixture_config ();
    check_merged (config);
    config.qkv_bias = true;
    check_merged (config);
    config.qkv_bias = false;
    config.qk_norm = true;
    check_merged (config);
}

static void threads_change_no_bit (void **state)
{
    (void) state;
    model_config_t config = fixture_config ();
    config.width = 96;
    config.ff = 700;
    config.vocab = 1000;
    for (model_compute_t compute = COMPUTE_F32; compute <= COMPUTE_BF16; compute++) {
        adapted_t a = adapted (&config, compute, 9, EVERY);
        pool_t *pool = pool_new (3);
        float *wanted = logits_of (a.model, NULL), *got = logits_of (a.model, pool);
        fixture_same ("logits", got, wanted, TOKENS * config.vocab);
        free (wanted);
        free (got);
        pool_destroy (&pool);
        drop (&a);
    }
}

/*  ---- training ---- */

#define GROUPS      3
#define COMPLETIONS 2
#define LENGTH      7

typedef struct {
    int32_t ids[256];
    train_tokens_t completions[GROUPS][COMPLETIONS];
    train_group_t groups[GROUPS];
    float logp[GROUPS * COMPLETIONS * LENGTH];
} batch_t;

static void make_batch (batch_t *batch, size_t vocab)
{
    rng_t rng = {.key = 11};
    int32_t *at = batch->ids;
    for (size_t i = 0; i < sizeof batch->ids / sizeof *batch->ids; i++)
        batch->ids[i] = (int32_t) rng_below (&rng, vocab);
    for (size_t g = 0; g < GROUPS; g++) {
        batch->groups[g] = (train_group_t){.prompt = {at, 3 + 8 * g},
                                           .completions = batch->completions[g],
                                           .completions_n = COMPLETIONS};
        at += 3 + 8 * g;
        for (size_t c = 0; c < COMPLETIONS; c++, at += LENGTH)
            batch->completions[g][c] = (train_tokens_t){at, LENGTH};
    }
}

static float weight_of (size_t token)
{
    return (float) (rng_uniform_d (99, token) - 0.5);
}

static void weighted (void *context, size_t group, size_t first, const float *logp,
                      const float *entropy, float *dlogp)
{
    (void) group;
    (void) entropy;
    batch_t *batch = context;
    for (size_t i = 0; i < COMPLETIONS * LENGTH; i++) {
        batch->logp[first + i] = logp[i];
        dlogp[i] = weight_of (first + i);
    }
}

static double loss_of (train_t *train, batch_t *batch)
{
    err_t err = {0};
    double loss = 0;
    if (train_score (train, batch->groups, GROUPS, batch->logp, NULL, &err) != 0)
        fail_msg ("%s", err.text);
    for (size_t i = 0; i < GROUPS * COMPLETIONS * LENGTH; i++)
        loss += (double) weight_of (i) * (double) batch->logp[i];
    return loss;
}

static float *gradient_of (const adapted_t *a, pool_t *pool, size_t memory)
{
    err_t err = {0};
    batch_t batch;
    make_batch (&batch, model_config (a->model)->vocab);
    float *gradient = calloc (a->n, sizeof *gradient);
    train_t *train = train_new (a->model, pool, &err);
    train_limit (train, memory, memory);
    if (train_run (train, batch.groups, GROUPS, weighted, &batch, gradient, &err) != 0)
        fail_msg ("%s", err.text);
    train_destroy (&train);
    return gradient;
}

/*  For each tensor, the derivative along its own gradient: (L (p + h u) - L (p - h u)) / 2 h =
 *  |g|. */
static void check_gradients (const model_config_t *config)
{
    err_t err = {0};
    adapted_t a = adapted (config, COMPUTE_F32, 3, EVERY);
    batch_t batch;
    make_batch (&batch, config->vocab);
    float *gradient = gradient_of (&a, NULL, 0), *moved = calloc (a.n, sizeof *moved);
    train_t *train = train_new (a.model, NULL, &err);
    for (size_t t = 0; t < model_tensors (a.model); t++) {
        const model_tensor_t *tensor = model_tensor (a.model, t);
        size_t size = tensor->rows * tensor->columns;
        const float *g = gradient + tensor->offset;
        double norm = 0, side[2];
        for (size_t i = 0; i < size; i++)
            norm += (double) g[i] * (double) g[i];
        norm = sqrt (norm);
        assert_true (norm > 1e-6);
        double h = 0.03 / norm < 4e-3 ? 0.03 / norm : 4e-3;
        for (int s = 0; s < 2; s++) {
            memcpy (moved, a.params, a.n * sizeof *moved);
            for (size_t i = 0; i < size; i++)
                moved[tensor->offset + i] += (float) ((s ? h : -h) * (double) g[i] / norm);
            model_set (a.model, moved, NULL);
            side[s] = loss_of (train, &batch);
        }
        double slope = (side[1] - side[0]) / (2 * h);
        if (fabs (slope - norm) > 0.01 * norm + 2e-3)
            fail_msg ("%s: slope %g, gradient %g", tensor->name, slope, norm);
    }
    train_destroy (&train);
    free (gradient);
    free (moved);
    drop (&a);
}

static void gradients_are_slopes (void **state)
{
    (void) state;
    model_config_t config = fixture_config ();
    check_gradients (&config);
    config.qkv_bias = true;
    config.tied = false;
    check_gradients (&config);
    config.qkv_bias = false;
    config.qk_norm = true;
    check_gradients (&config);
}

static void threads_and_memory_change_no_gradient (void **state)
{
    (void) state;
    model_config_t config = fixture_config ();
    for (model_compute_t compute = COMPUTE_F32; compute <= COMPUTE_BF16; compute++) {
        adapted_t a = adapted (&config, compute, 3, EVERY);
        pool_t *pool = pool_new (3);
        float *wanted = gradient_of (&a, NULL, 0), *threads = gradient_of (&a, pool, 0);
        float *tight = gradient_of (&a, NULL, 1);
        fixture_same ("three threads", threads, wanted, a.n);
        for (size_t i = 0; i < a.n; i++) /* tiles of logits: sums of B's gradient are cut */
            fixture_near ("little memory", i, (double) tight[i], (double) wanted[i], 2e-4);
        free (wanted);
        free (threads);
        free (tight);
        pool_destroy (&pool);
        drop (&a);
    }
}

static void nothing_is_kept_for_the_base (void **state)
{
    (void) state;
    model_config_t config = fixture_config ();
    err_t err = {0};
    adapted_t a = adapted (&config, COMPUTE_F32, 2, LORA_ALL_LINEAR);
    size_t n = 0;
    for (size_t i = 0; i < model_tensors (a.model); i++) {
        const model_tensor_t *t = model_tensor (a.model, i);
        assert_non_null (strstr (t->name, ".lora_"));
        assert_int_equal (t->offset, n);
        n += t->rows * t->columns;
    }
    assert_int_equal (model_params (a.model), n);
    float *before = calloc (model_params (a.base), sizeof *before);
    float *after = calloc (model_params (a.base), sizeof *after);
    model_get (a.base, before);
    free (gradient_of (&a, NULL, 0));
    model_get (a.base, after);
    fixture_same ("the base", after, before, model_params (a.base));
    batch_t batch;
    make_batch (&batch, config.vocab);
    train_t *small = train_new (a.model, NULL, &err), *large = train_new (a.base, NULL, &err);
    size_t adapters = train_bytes (small, batch.groups, GROUPS);
    size_t full = train_bytes (large, batch.groups, GROUPS);
    if (adapters + 4 * model_params (a.base) * sizeof (float) > full)
        fail_msg ("%zu bytes to train adapters, %zu to train all", adapters, full);
    train_destroy (&small);
    train_destroy (&large);
    free (before);
    free (after);
    drop (&a);
}

/*  ---- sampling ---- */

/*  Two adapters and their base in one sampler; each completion has the bits that it has alone, and
 *  that training computes. */
static void check_sampler (const model_config_t *config, pool_t *pool)
{
    enum { MODELS = 3, SAMPLES = 4, MOST = 20 };
    for (model_compute_t compute = COMPUTE_F32; compute <= COMPUTE_BF16; compute++) {
        err_t err = {0};
        adapted_t a = adapted (config, compute, 5, EVERY);
        lora_config_t lora = {.rank = 4, .alpha = 4, .rslora = true, .targets = LORA_ALL_LINEAR};
        model_t *second = lora_new (a.base, &lora, &err);
        model_set (second, a.params, NULL);
        const model_t *models[MODELS] = {a.model, second, a.base};
        sampler_t *sampler = sampler_new (a.model, 7, pool, &err);
        uint64_t keys[SAMPLES] = {1, 2, 3, 4};
        for (size_t m = 0; m < MODELS; m++) {
            sampler_job_t job = {.model = models[m],
                                 .prompt = ids_of (config->vocab),
                                 .prompt_n = 19,
                                 .samples = SAMPLES,
                                 .keys = keys,
                                 .temperature = 1,
                                 .max_tokens = MOST,
                                 .tag = m};
            if (sampler_add (sampler, &job, &err) != 0)
                fail_msg ("%s", err.text);
        }
        for (size_t taken = 0; taken < MODELS * SAMPLES;) {
            sampler_result_t result;
            sampler_step (sampler);
            for (; sampler_take (sampler, &result); taken++) {
                float logp[MOST];
                train_tokens_t completion = {result.ids, result.n};
                train_group_t group = {.prompt = {ids_of (config->vocab), 19},
                                       .completions = &completion,
                                       .completions_n = 1};
                train_t *train = train_new (models[result.tag], NULL, &err);
                assert_int_equal (train_score (train, &group, 1, logp, NULL, &err), 0);
                fixture_same ("log-probabilities", result.logps, logp, result.n);
                train_destroy (&train);
            }
        }
        sampler_destroy (&sampler);
        model_destroy (&second);
        drop (&a);
    }
}

/*  Rows cut, and, of a model that is too large for that, products. */
static void sampler_and_training_agree (void **state)
{
    (void) state;
    model_config_t config = fixture_config ();
    pool_t *pool = pool_new (2);
    check_sampler (&config, NULL);
    check_sampler (&config, pool);
    config.vocab = 40000;
    config.width = 120;
    check_sampler (&config, pool);
    pool_destroy (&pool);
}

/*  ---- folders ---- */

static void make_folder (char dir[FS_PATH_MAX])
{
    snprintf (dir, FS_PATH_MAX, "/tmp/quintet-lora-XXXXXX");
    assert_non_null (mkdtemp (dir));
}

static void a_written_adapter_reads_back (void **state)
{
    (void) state;
    char dir[FS_PATH_MAX];
    err_t err = {0};
    model_config_t config = fixture_config ();
    adapted_t a = adapted (&config, COMPUTE_F32, 3, EVERY & ~(1u << LORA_GATE));
    make_folder (dir);
    if (peft_save (dir, a.model, a.params, "some/base \"quoted\"", &err) != 0)
        fail_msg ("%s", err.text);
    lora_config_t lora;
    if (peft_read_config (dir, &lora, &err) != 0)
        fail_msg ("%s", err.text);
    assert_int_equal (lora.rank, 3);
    assert_int_equal (lora.targets, lora_config (a.model)->targets);
    fixture_near ("alpha", 0, lora.alpha, 6, 0);
    assert_false (lora.rslora);
    float *params = calloc (a.n, sizeof *params);
    if (peft_read_params (dir, a.model, params, &err) != 0)
        fail_msg ("%s", err.text);
    fixture_same ("params", params, a.params, a.n);
    free (params);
    drop (&a);
    fs_remove (dir, NULL);
}

static void options_are_refused_by_name (void **state)
{
    (void) state;
    static const struct {
        const char *more, *word;
    } cases[] = {{"\"peft_type\": \"LOHA\"", "peft_type"},
                 {"\"peft_type\": null", "peft_type"},
                 {"\"use_dora\": true", "use_dora"},
                 {"\"bias\": \"all\"", "bias"},
                 {"\"task_type\": \"SEQ_CLS\"", "task_type"},
                 {"\"modules_to_save\": [\"lm_head\"]", "modules_to_save"},
                 {"\"rank_pattern\": {\"q_proj\": 2}", "rank_pattern"},
                 {"\"alpha_pattern\": {\"q_proj\": 2}", "alpha_pattern"},
                 {"\"layers_to_transform\": [0]", "layers_to_transform"},
                 {"\"layers_to_transform\": 0", "layers_to_transform"},
                 {"\"kasa_config\": {}", "kasa_config"},
                 {"\"use_rslora\": 1", "use_rslora is neither true nor false"},
                 {"\"fan_in_fan_out\": true", "fan_in_fan_out"},
                 {"\"lora_bias\": true", "lora_bias"},
                 {"\"an_option_of_tomorrow\": {\"x\": 1}", "an_option_of_tomorrow"},
                 {"\"init_lora_weights\": \"pissa\"", "pissa"},
                 {"\"target_modules\": [\"embed_tokens\"]", "embed_tokens"},
                 {"\"target_modules\": \".*\"", "model.embed_tokens"},
                 {"\"target_modules\": \"q_proj\"", "means no module"},
                 {"\"target_modules\": [\"mlp\"]", "means model.layers.0.mlp"},
                 {"\"target_modules\": [\"n.q_proj\"]", "means no module"},
                 {"\"target_modules\": \"(\"", "no pattern"},
                 {"\"target_modules\": []", "target_modules"},
                 {"\"target_modules\": [3]", "target_modules"},
                 {"\"r\": 0", "r is 0"},
                 {"\"r\": 4000000000", "r is 4000000000"},
                 {"\"lora_alpha\": -1", "lora_alpha"},
                 {"\"lora_alpha\": \"8\"", "lora_alpha"}};
    const char *plain =
        "\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8, \"lora_dropout\": 0.1,"
        "\"target_modules\": [\"q_proj\"], \"loftq_config\": {}, \"bias\": \"none\"";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        err_t err = {0};
        lora_config_t lora;
        snprintf (text, sizeof text, "{%s}", plain);
        if (peft_parse (text, &lora, &err) != 0)
            fail_msg ("%s", err.text);
        snprintf (text, sizeof text, "{%s, %s}", plain, cases[i].more);
        if (peft_parse (text, &lora, &err) == 0 || !strstr (err.text, cases[i].word))
            fail_msg ("%s: '%s' is wanted, got: %s", cases[i].more, cases[i].word,
                      err.text[0] ? err.text : "(taken)");
    }
    err_t err = {0};
    lora_config_t lora;
    assert_int_equal (peft_parse ("[1, 2]", &lora, &err), -1);
    assert_int_equal (peft_parse ("{\"peft_type\":", &lora, &err), -1);
}

/*  A file of tensors "a", "b" ... that are those of the model but for what `spoil` does. */
static void check_tensors (void (*spoil) (safetensors_tensor_t *tensors, size_t *n),
                           const char *word)
{
    char dir[FS_PATH_MAX], path[FS_PATH_MAX];
    err_t err = {0};
    model_config_t config = fixture_config ();
    adapted_t a = adapted (&config, COMPUTE_F32, 4, LORA_ALL_LINEAR);
    safetensors_tensor_t tensors[64];
    size_t n = model_tensors (a.model);
    for (size_t i = 0; i < n; i++) {
        const model_tensor_t *t = model_tensor (a.model, i);
        tensors[i] = (safetensors_tensor_t){
            .name = t->name, .data = a.params, .shape = {t->rows, t->columns}, .rank = 2};
    }
    spoil (tensors, &n);
    make_folder (dir);
    assert_int_equal (fs_join (path, dir, "adapter_model.safetensors", &err), 0);
    assert_int_equal (safetensors_write (path, tensors, n, SAFETENSORS_F32, &err), 0);
    char *text = peft_json (lora_config (a.model), "base");
    assert_int_equal (fs_join (path, dir, "adapter_config.json", &err), 0);
    assert_int_equal (fs_write (path, text, strlen (text), &err), 0);
    free (text);
    int rc = peft_read_params (dir, a.model, a.params, &err);
    if (rc != (*word ? -1 : 0) || !strstr (err.text, word))
        fail_msg ("'%s' is wanted, got: %s", word, err.text);
    fs_remove (dir, NULL);
    drop (&a);
}

static void spoil_nothing (safetensors_tensor_t *tensors, size_t *n)
{
    (void) tensors;
    (void) n;
}

static void spoil_last (safetensors_tensor_t *tensors, size_t *n)
{
    (void) tensors;
    --*n;
}

static void spoil_shape (safetensors_tensor_t *tensors, size_t *n)
{
    (void) n;
    tensors[2].shape[0] = 2;
}

static void spoil_rank (safetensors_tensor_t *tensors, size_t *n)
{
    (void) n;
    tensors[2].shape[0] *= tensors[2].shape[1];
    tensors[2].rank = 1;
}

static void spoil_more (safetensors_tensor_t *tensors, size_t *n)
{
    tensors[*n] = tensors[0];
    tensors[(*n)++].name = "base_model.model.lm_head.base_layer.weight";
}

static void tensors_are_refused_by_name (void **state)
{
    (void) state;
    check_tensors (spoil_nothing, "");
    check_tensors (spoil_last, "layers.1.mlp.down_proj.lora_B.weight is missing");
    check_tensors (spoil_shape, "layers.0.self_attn.k_proj.lora_A.weight has the shape [2, 44]");
    check_tensors (spoil_rank, "layers.0.self_attn.k_proj.lora_A.weight has the shape [176, 1]");
    check_tensors (spoil_more, "lm_head.base_layer.weight belongs to no adapter");
}

static void bases_without_room_are_refused (void **state)
{
    (void) state;
    model_config_t config = fixture_config ();
    err_t err = {0};
    adapted_t a = adapted (&config, COMPUTE_F32, 4, LORA_ALL_LINEAR);
    lora_config_t lora = *lora_config (a.model);
    assert_null (lora_config (a.base));
    assert_null (lora_new (a.model, &lora, &err));
    lora.targets = 0;
    assert_null (lora_new (a.base, &lora, &err));
    lora = (lora_config_t){.rank = LORA_RANK_MAX + 1, .alpha = 1, .targets = EVERY};
    assert_null (lora_new (a.base, &lora, &err));
    drop (&a);
}

static void a_role_without_adapters_is_named (void **state)
{
    (void) state;
    char dir[] = "/tmp/quintet-lora-XXXXXX", found[FS_PATH_MAX];
    err_t err = {0};
    assert_non_null (mkdtemp (dir));
    assert_int_equal (peft_find (dir, "main", found, &err), -1);
    assert_non_null (strstr (err.text, "neither adapter_config.json nor a folder 'main' in it"));
    assert_int_equal (fs_remove (dir, &err), 0);
}

int main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (fresh_adapters_leave_the_base_as_it_is),
                                       cmocka_unit_test (adapters_are_what_they_merge_to),
                                       cmocka_unit_test (threads_change_no_bit),
                                       cmocka_unit_test (gradients_are_slopes),
                                       cmocka_unit_test (threads_and_memory_change_no_gradient),
                                       cmocka_unit_test (nothing_is_kept_for_the_base),
                                       cmocka_unit_test (sampler_and_training_agree),
                                       cmocka_unit_test (a_written_adapter_reads_back),
                                       cmocka_unit_test (options_are_refused_by_name),
                                       cmocka_unit_test (tensors_are_refused_by_name),
                                       cmocka_unit_test (a_role_without_adapters_is_named),
                                       cmocka_unit_test (bases_without_room_are_refused)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}

/*  Models against what the field's standard library computes: logits, log-probabilities,
 *  gradients, greedy continuations; and folders that must be refused. One line per case with its
 *  largest error. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "formats/hf.h"
#include "formats/peft.h"
#include "formats/safetensors.h"
#include "model/lora.h"
#include "model/sampler.h"
#include "model/train.h"

#define LOGITS_LIMIT   2e-5 /* of the largest logit */
#define LOGPROB_LIMIT  1e-4
#define GRADIENT_LIMIT 1e-4 /* of a tensor's largest gradient */
#define GREEDY_PROMPT  10

static const char *reference (void)
{
    const char *path = getenv ("QUINTET_REF");
    return path ? path : "../shared/reference";
}

typedef struct {
    char name[128];
    hf_t *hf;
    model_t *base; /* of an adapted model, else NULL */
    model_t *model;
    safetensors_t *file;
    int32_t *ids;
    size_t batch, length; /* ids [batch, length] */
} case_t;

static float *read_floats (const safetensors_t *file, const char *name, size_t *n)
{
    err_t err = {0};
    const safetensors_entry_t *e = safetensors_find (file, name);
    if (!e)
        return NULL;
    float *values = malloc ((e->n + 1) * sizeof *values);
    if (safetensors_read (file, e, 0, e->n, values, &err) != 0)
        fail_msg ("%s", err.text);
    if (n)
        *n = e->n;
    return values;
}

static int32_t read_int (const safetensors_entry_t *e, size_t i)
{
    int64_t wide = 0;
    int32_t narrow;
    if (e->type == SAFETENSORS_I64) {
        memcpy (&wide, (const char *) e->data + 8 * i, 8);
        return (int32_t) wide;
    }
    memcpy (&narrow, (const char *) e->data + 4 * i, 4);
    return narrow;
}

/*  The model becomes the base of a PEFT folder's adapters. */
static void adapt (case_t *c, const char *folder)
{
    err_t err = {0};
    lora_config_t lora;
    c->base = c->model;
    if (peft_read_config (folder, &lora, &err) != 0 ||
        !(c->model = lora_new (c->base, &lora, &err)))
        fail_msg ("%s", err.text);
    float *params = malloc (model_params (c->model) * sizeof *params);
    if (peft_read_params (folder, c->model, params, &err) != 0)
        fail_msg ("%s", err.text);
    model_set (c->model, params, NULL);
    free (params);
}

static void open_case (case_t *c, const char *folder, const char *adapter,
                       const char *reference_path)
{
    err_t err = {0};
    c->hf = hf_open (folder, &err);
    if (!c->hf)
        fail_msg ("%s", err.text);
    c->model = model_new (&hf_config (c->hf)->model, COMPUTE_F32, &err);
    if (!c->model)
        fail_msg ("%s", err.text);
    float *params = malloc (model_params (c->model) * sizeof *params);
    if (hf_params (c->hf, c->model, params, &err) != 0)
        fail_msg ("%s", err.text);
    model_set (c->model, params, NULL);
    free (params);
    if (adapter)
        adapt (c, adapter);
    c->file = safetensors_open (reference_path, &err);
    if (!c->file)
        fail_msg ("%s", err.text);
    const safetensors_entry_t *ids = safetensors_find (c->file, "ids");
    assert_non_null (ids);
    c->batch = ids->shape[0];
    c->length = ids->shape[1];
    c->ids = malloc (ids->n * sizeof *c->ids);
    for (size_t i = 0; i < ids->n; i++)
        c->ids[i] = read_int (ids, i);
}

static void close_case (case_t *c)
{
    safetensors_close (&c->file);
    model_destroy (&c->model);
    model_destroy (&c->base);
    hf_destroy (&c->hf);
    free (c->ids);
}

static double logits_error (const case_t *c)
{
    size_t n, vocab = model_config (c->model)->vocab;
    float *wanted = read_floats (c->file, "logits", &n);
    float *got = malloc (c->length * vocab * sizeof *got);
    double most = 0, error = 0;
    err_t err = {0};
    if (!wanted) {
        free (got);
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        most = fmax (most, fabs ((double) wanted[i]));
    for (size_t b = 0; b < c->batch; b++) {
        assert_int_equal (
            model_logits (c->model, c->ids + b * c->length, c->length, got, NULL, &err), 0);
        for (size_t i = 0; i < c->length * vocab; i++)
            error =
                fmax (error, fabs ((double) got[i] - (double) wanted[b * c->length * vocab + i]));
    }
    free (wanted);
    free (got);
    return error / most;
}

typedef struct {
    const float *weights;
    double count;
    float *logp;
    size_t length;
} loss_t;

static void weighted (void *context, size_t group, size_t first, const float *logp,
                      const float *entropy, float *dlogp)
{
    (void) group;
    (void) entropy;
    const loss_t *loss = context;
    for (size_t i = 0; i < loss->length; i++) {
        loss->logp[first + i] = logp[i];
        dlogp[i] = (float) (-(double) (loss->weights ? loss->weights[first + i] : 1) / loss->count);
    }
}

/*  "grad." and a tensor's name as the reference has it: PEFT names the adapter ("default") in
 *  it. */
static void gradient_name (char name[160], const char *tensor)
{
    const char *end = strstr (tensor, ".lora_") ? strrchr (tensor, '.') : NULL;
    if (end)
        snprintf (name, 160, "grad.%.*s.default%s", (int) (end - tensor), tensor, end);
    else
        snprintf (name, 160, "grad.%s", tensor);
}

/*  Each row of ids is a prompt of one token and a completion of the rest. */
static void gradient_errors (const case_t *c, double *logprob_error, double *gradient_error,
                             char *worst)
{
    size_t n = c->length - 1, total = c->batch * n;
    err_t err = {0};
    train_tokens_t *completions = calloc (c->batch, sizeof *completions);
    train_group_t *groups = calloc (c->batch, sizeof *groups);
    float *gradient = calloc (model_params (c->model), sizeof *gradient);
    float *wanted = read_floats (c->file, "logprobs", NULL);
    loss_t loss = {.weights = read_floats (c->file, "loss_weights", NULL),
                   .logp = calloc (total, sizeof (float)),
                   .length = n};
    for (size_t i = 0; i < total; i++)
        loss.count += !loss.weights || loss.weights[i] < 0 || loss.weights[i] > 0;
    for (size_t b = 0; b < c->batch; b++) {
        completions[b] = (train_tokens_t){c->ids + b * c->length + 1, n};
        groups[b] = (train_group_t){.prompt = {c->ids + b * c->length, 1},
                                    .completions = &completions[b],
                                    .completions_n = 1};
    }
    train_t *train = train_new (c->model, NULL, &err);
    if (train_run (train, groups, c->batch, weighted, &loss, gradient, &err) != 0)
        fail_msg ("%s", err.text);
    *logprob_error = *gradient_error = 0;
    for (size_t i = 0; wanted && i < total; i++)
        *logprob_error = fmax (*logprob_error, fabs ((double) wanted[i] - (double) loss.logp[i]));
    for (size_t t = 0; t < model_tensors (c->model); t++) {
        const model_tensor_t *tensor = model_tensor (c->model, t);
        char name[160];
        size_t m;
        gradient_name (name, tensor->name);
        float *g = read_floats (c->file, name, &m);
        if (!g && c->base)
            fail_msg ("the reference has no %s", name);
        if (!g)
            continue;
        assert_int_equal (m, tensor->rows * tensor->columns);
        double most = 0, error = 0;
        for (size_t i = 0; i < m; i++) {
            most = fmax (most, fabs ((double) g[i]));
            error = fmax (error, fabs ((double) g[i] - (double) gradient[tensor->offset + i]));
        }
        if (error / most > *gradient_error) {
            *gradient_error = error / most;
            snprintf (worst, 160, "%s", tensor->name);
        }
        free (g);
    }
    train_destroy (&train);
    free (completions);
    free (groups);
    free (gradient);
    free (wanted);
    free (loss.logp);
    free ((void *) (uintptr_t) loss.weights);
}

/*  Tokens after the first ten of each row, the likeliest each time. */
static size_t greedy_differences (const case_t *c)
{
    const safetensors_entry_t *wanted = safetensors_find (c->file, "greedy");
    size_t differences = 0;
    err_t err = {0};
    for (size_t b = 0; wanted && b < c->batch; b++) {
        size_t more = wanted->shape[1] - GREEDY_PROMPT;
        sampler_t *sampler = sampler_new (c->model, 1, NULL, &err);
        uint64_t key = 0;
        sampler_job_t job = {.prompt = c->ids + b * c->length,
                             .prompt_n = GREEDY_PROMPT,
                             .samples = 1,
                             .keys = &key,
                             .max_tokens = more};
        if (!sampler || sampler_add (sampler, &job, &err) != 0)
            fail_msg ("%s", err.text);
        sampler_result_t result;
        while (!sampler_take (sampler, &result))
            sampler_step (sampler);
        for (size_t i = 0; i < more; i++)
            differences +=
                result.ids[i] != read_int (wanted, b * wanted->shape[1] + GREEDY_PROMPT + i);
        sampler_destroy (&sampler);
    }
    return differences;
}

static void check_model (const char *name)
{
    char folder[FS_PATH_MAX], path[FS_PATH_MAX], adapter[FS_PATH_MAX], worst[160] = "";
    case_t c = {0};
    bool stories = strcmp (name, "stories260k") == 0;
    const char *lora = strstr (name, "-lora");
    int base_size = (int) (lora ? lora - name : (long) strlen (name));
    snprintf (folder, sizeof folder, stories ? "%s/../models/%.*s" : "%s/models/%.*s", reference (),
              base_size, name);
    snprintf (adapter, sizeof adapter, "%s/models/%s", reference (), name);
    snprintf (path, sizeof path, "%s/models/%s/reference.safetensors", reference (), name);
    if (!fs_exists (folder) || !fs_exists (path))
        skip ();
    open_case (&c, folder, lora ? adapter : NULL, path);
    double logits = logits_error (&c), logprobs, gradients;
    gradient_errors (&c, &logprobs, &gradients, worst);
    size_t greedy = greedy_differences (&c);
    printf ("# %s: logits %.1e, log-probabilities %.1e, gradients %.1e (%s), %zu greedy tokens "
            "differ\n",
            name, logits, logprobs, gradients, worst, greedy);
    assert_true (logits <= LOGITS_LIMIT);
    assert_true (logprobs <= LOGPROB_LIMIT);
    assert_true (gradients <= GRADIENT_LIMIT);
    assert_int_equal (greedy, 0);
    close_case (&c);
}

#define MODELS(X)                                                                                  \
    X (llama_f16_v4, "llama-f16-v4-config")                                                        \
    X (llama_gqa_untied, "llama-gqa-untied")                                                       \
    X (llama_mha_tied, "llama-mha-tied")                                                           \
    X (llama3_rope, "llama3-rope-scaled")                                                          \
    X (llama3_rope_v4, "llama3-rope-scaled-v4-config")                                             \
    X (mistral, "mistral")                                                                         \
    X (qwen2_tied, "qwen2-bias-tied")                                                              \
    X (qwen2_lora, "qwen2-bias-tied-lora")                                                         \
    X (qwen2_sharded, "qwen2-sharded-bf16")                                                        \
    X (qwen3, "qwen3-qknorm")                                                                      \
    X (qwen3_wide, "qwen3-untied-wide-heads")                                                      \
    X (stories260k, "stories260k")

#define MODEL_TEST(name, folder)                                                                   \
    static void name (void **state)                                                                \
    {                                                                                              \
        (void) state;                                                                              \
        check_model (folder);                                                                      \
    }
MODELS (MODEL_TEST)

/*  The error must name what the folder's WHY says: its last word, and the one before. */
static void refused_folders (void **state)
{
    (void) state;
    char path[FS_PATH_MAX];
    snprintf (path, sizeof path, "%s/refuse", reference ());
    DIR *dir = opendir (path);
    if (!dir)
        skip ();
    size_t n = 0, wrong = 0;
    for (struct dirent *entry; (entry = readdir (dir));) {
        if (entry->d_name[0] == '.')
            continue;
        char folder[FS_PATH_MAX], file[FS_PATH_MAX + 8];
        buf_t why = {0}, config = {0};
        err_t err = {0};
        snprintf (folder, sizeof folder, "%.2000s/%.255s", path, entry->d_name);
        snprintf (file, sizeof file, "%s/WHY", folder);
        assert_int_equal (fs_read (file, 1 << 16, &why, &err), 0);
        hf_t *hf = hf_open (folder, &err);
        why.data[strcspn (why.data, "\n ")] = 0;
        bool size = strcmp (entry->d_name, "huge-size") == 0;
        const char *key = size ? "hidden_size" : why.data;
        bool refused = !hf && strstr (err.text, key);
        if (!refused)
            printf ("# %s: '%s' is wanted, got: %s\n", entry->d_name, key,
                    hf ? "(opened)" : err.text);
        wrong += !refused;
        n++;
        hf_destroy (&hf);
        buf_free (&why);
        buf_free (&config);
    }
    closedir (dir);
    printf ("# refuse: %zu of %zu folders refused by name\n", n - wrong, n);
    assert_int_equal (wrong, 0);
}

int main (void)
{
#define MODEL_ROW(name, folder) cmocka_unit_test (name),
    const struct CMUnitTest tests[] = {MODELS (MODEL_ROW) cmocka_unit_test (refused_folders)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}

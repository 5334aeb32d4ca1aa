/* with: services/cli/check/fit.c */
/*  What a model is said to take, against what the modules take when they work. */
#include "model/memory.h"

#include <sys/stat.h>

#include "../../services/cli/check/fit.h"
#include "base/fs.h"
#include "conf/table.h"
#include "model/sampler.h"
#include "model/train.h"
#include "model_fixture.h"

#define ROWS   ((size_t) 12)
#define PROMPT ((size_t) 20)
#define TOKENS ((size_t) 100)

static void within (const char *what, size_t got, size_t said, double allowed)
{
    double ratio = (double) got / (double) said;
    if (ratio > 1 + allowed || ratio < 1 - allowed)
        fail_msg ("%s: %zu bytes in use, %zu said", what, got, said);
}

static memory_need_t needed (const model_config_t *config, const lora_config_t *lora)
{
    memory_plan_t plan = {.compute = COMPUTE_F32,
                          .rows = ROWS,
                          .prompt = PROMPT,
                          .tokens = TOKENS,
                          .group = 4,
                          .threads = 1,
                          .lora = lora};
    memory_need_t need;
    err_t err = {0};
    if (memory_need (config, &plan, &need, &err) != 0)
        fail_msg ("memory_need: %s", err.text);
    return need;
}

/*  All rows busy to their last token. */
static void sampling_takes_what_is_said (void **state)
{
    (void) state;
    model_config_t config = fixture_config ();
    model_t *model = fixture_model (&config, COMPUTE_F32);
    memory_need_t need = needed (&config, NULL);
    sampler_t *sampler = sampler_new (model, ROWS, NULL, NULL);
    int32_t prompt[PROMPT] = {0};
    uint64_t keys[ROWS] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    sampler_job_t job = {.prompt = prompt,
                         .prompt_n = PROMPT,
                         .samples = ROWS,
                         .keys = keys,
                         .temperature = 1,
                         .max_tokens = TOKENS};
    size_t most = 0;
    assert_non_null (sampler);
    assert_int_equal (sampler_add (sampler, &job, NULL), 0);
    do
        most = sampler_bytes (sampler) > most ? sampler_bytes (sampler) : most;
    while (sampler_step (sampler) > 0);
    within ("sampling", most, need.cache + need.decoding, 0.2);
    assert_int_equal (need.weights, model_bytes (model));
    assert_int_equal (need.sample, need.weights + need.cache + need.decoding);
    sampler_destroy (&sampler);
    model_destroy (&model);
}

static void adapters_learn_with_less (void **state)
{
    (void) state;
    model_config_t config = fixture_config ();
    lora_config_t lora = {.rank = 2, .alpha = 4, .targets = LORA_ALL_LINEAR};
    memory_need_t all = needed (&config, NULL), adapters = needed (&config, &lora);
    assert_int_equal (all.trained, all.params);
    assert_int_equal (all.masters, 16 * all.params);
    assert_int_equal (all.train, all.weights + all.masters + all.activations);
    assert_int_equal (adapters.params, all.params);
    assert_true (adapters.trained < all.trained / 4);
    assert_true (adapters.train < all.train);
    assert_true (adapters.weights > all.weights);
}

/*  A bound on what is kept is honoured, and bf16 weights travel as a copy of their own. */
static void a_plan_says_how_much_is_kept (void **state)
{
    (void) state;
    model_config_t config = fixture_config ();
    memory_plan_t plan = {.compute = COMPUTE_BF16,
                          .rows = ROWS,
                          .prompt = PROMPT,
                          .tokens = 64,
                          .group = 8,
                          .threads = 1};
    memory_need_t free_of, bound;
    config.layers = 8;
    assert_int_equal (memory_need (&config, &plan, &free_of, NULL), 0);
    plan.activations = 1;
    assert_int_equal (memory_need (&config, &plan, &bound, NULL), 0);
    assert_true (bound.activations < free_of.activations);
    assert_int_equal (bound.published, 2 * bound.params);
    assert_int_equal (bound.train,
                      bound.weights + bound.masters + bound.activations + bound.published);
}

static void a_run_that_does_not_fit_is_refused (void **state)
{
    (void) state;
    static const char text[] = "{model: {path: m}, team: {roles: [main]}, task: {family: coding}}";
    err_t err = {0};
    conf_t *conf = conf_parse (text, strlen (text), "test.yml", NULL, 0, &err);
    hf_config_t config = {.model = fixture_config ()};
    const hf_config_t *const models[] = {&config};
    fit_t fit;
    assert_non_null (conf);
    if (fit_check (conf, models, &fit, &err) != 0)
        fail_msg ("a small model: %s", err.text);
    assert_int_equal (fit.sum, fit.trainer + fit.agents + fit.bus + fit.others);
    assert_true (fit.sum > 0 && fit.sum < (size_t) 1 << 30);
    config.model.width = 16384; /* 400 billion weights */
    config.model.ff = 53248;
    config.model.layers = 126;
    config.model.head_dim = 128;
    config.model.heads = config.model.kv_heads = 128;
    assert_int_equal (fit_check (conf, models, &fit, &err), -1);
    if (!strstr (err.text, "take a smaller") || !strstr (err.text, "trainer"))
        fail_msg ("the error does not say the sum and what to do: %s", err.text);
    err = (err_t){0};
    config.model = fixture_config ();
    conf->task.max_tokens = 400;
    assert_int_equal (fit_check (conf, models, &fit, &err), -1);
    assert_non_null (strstr (err.text, "task.max_tokens is 400"));
    conf_destroy (&conf);
}

/*  A policy that does not learn takes what it is, one that does several times as much; adapters on
 *  one model share it. */
static void each_policy_takes_its_own (void **state)
{
    (void) state;
    static const char text[] = "{policies: {aux: {}, main: {}}, model: {path: m}, "
                               "team: {roles: [aux, main]}, task: {family: coding}}";
    const char *const sets[][3] = {{"policies.aux.train=false", "policies.main.train=true"},
                                   {"policies.aux.train=true", "policies.main.train=true"},
                                   {"model.adapter=lora", "policies.main.train=true"},
                                   {"policies.aux.path=other", "model.adapter=lora"}};
    hf_config_t config = {.model = fixture_config ()};
    const hf_config_t *const models[] = {&config, &config};
    fit_t fit[4];
    err_t err = {0};
    config.model.width = 1024;
    config.model.layers = 8;
    config.model.vocab = 32000;
    for (size_t i = 0; i < 4; i++) {
        conf_t *conf = conf_parse (text, strlen (text), "test.yml", sets[i], 2, &err);
        assert_non_null (conf);
        assert_int_equal (fit_check (conf, models, &fit[i], &err), 0);
        conf_destroy (&conf);
    }
    size_t params;
    memory_plan_t plan = {.rows = 1, .prompt = 8, .tokens = 8, .group = 1, .threads = 1};
    memory_need_t need;
    assert_int_equal (memory_need (&config.model, &plan, &need, &err), 0);
    params = need.params;
    assert_true (fit[1].trainer >= fit[0].trainer + 2 * params * sizeof (float));
    assert_true (fit[1].trainer >= fit[2].trainer + 4 * params * sizeof (float));
    assert_true (fit[3].trainer >= fit[2].trainer + params * sizeof (float));
    assert_true (fit[3].agents >= fit[2].agents + params * sizeof (float));
    assert_int_equal (fit[0].agents, fit[1].agents);
}

static void put (const char *dir, const char *name, const char *text)
{
    char path[FS_PATH_MAX];
    assert_int_equal (fs_join (path, dir, name, NULL), 0);
    assert_int_equal (fs_write (path, text, strlen (text), NULL), 0);
}

/*  The tightest of a group and those above it counts. */
static void control_groups_have_a_say (void **state)
{
    (void) state;
    char root[] = "/tmp/quintet-memory-XXXXXX", inner[64];
    assert_non_null (mkdtemp (root));
    snprintf (inner, sizeof inner, "%s/inner", root);
    assert_int_equal (mkdir (inner, 0700), 0);
    assert_true (memory_group_leaves (root, "/inner", 2) == SIZE_MAX);
    put (inner, "memory.max", "max\n");
    put (inner, "memory.current", "1000\n");
    assert_true (memory_group_leaves (root, "/inner", 2) == SIZE_MAX);
    put (root, "memory.max", "5000\n");
    put (root, "memory.current", "3000\n");
    assert_int_equal (memory_group_leaves (root, "/inner", 2), 2000);
    put (root, "memory.stat", "anon 2000\ninactive_file 400\n");
    assert_int_equal (memory_group_leaves (root, "/inner", 2), 2400);
    put (inner, "memory.max", "1500\n");
    assert_int_equal (memory_group_leaves (root, "/inner", 2), 500);
    put (inner, "memory.current", "2000\n");
    assert_int_equal (memory_group_leaves (root, "/inner", 2), 0);
    put (root, "memory.limit_in_bytes", "900\n");
    put (root, "memory.usage_in_bytes", "800\n");
    put (root, "memory.stat", "total_inactive_file 50\n");
    assert_int_equal (memory_group_leaves (root, "/elsewhere", 1), 150);
    assert_true (memory_available () > 0);
    fs_remove (root, NULL);
}

int main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (sampling_takes_what_is_said),
                                       cmocka_unit_test (adapters_learn_with_less),
                                       cmocka_unit_test (a_plan_says_how_much_is_kept),
                                       cmocka_unit_test (a_run_that_does_not_fit_is_refused),
                                       cmocka_unit_test (each_policy_takes_its_own),
                                       cmocka_unit_test (control_groups_have_a_say)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}

/* with: services/trainer/checkpoint.c services/trainer/policy.c services/trainer/update.c
 * services/trainer/batch.c services/trainer/rollout.c */
/*  Policies in training: updates that do not feel threads, checkpoints that are whole or left. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../services/trainer/checkpoint.h"
#include "../../services/trainer/update.h"
#include "base/fs.h"
#include "base/rng.h"
#include "formats/peft.h"

#define GROUPS   3
#define EPISODES 4
#define LONGEST  12

static char dir[FS_PATH_MAX], model_dir[FS_PATH_MAX];

static void in_dir (char path[FS_PATH_MAX], const char *name)
{
    assert_int_equal (fs_join (path, dir, name, NULL), 0);
}

/*  What other tools put beside a model. */
static int write_extras (void)
{
    char path[FS_PATH_MAX];
    err_t err = {0};
    return fs_join (path, model_dir, "chat_template.jinja", &err) == 0 &&
                   fs_write (path, "{{ x }}", 7, &err) == 0 &&
                   fs_join (path, model_dir, "generation_config.json", &err) == 0
               ? fs_write (path, "{\"eos_token_id\":0,\"top_k\":20}", 30, &err)
               : -1;
}

static void same_file (const char *a_dir, const char *b_dir, const char *name)
{
    char path[FS_PATH_MAX];
    err_t err = {0};
    buf_t a = {0}, b = {0};
    assert_int_equal (fs_join (path, a_dir, name, &err), 0);
    assert_int_equal (fs_read (path, 1 << 20, &a, &err), 0);
    assert_int_equal (fs_join (path, b_dir, name, &err), 0);
    if (fs_read (path, 1 << 20, &b, &err) != 0)
        fail_msg ("%s", err.text);
    assert_string_equal (a.data, b.data);
    buf_free (&a);
    buf_free (&b);
}

/*  A folder with a tiny random model and a tokenizer made from two texts. */
static int make_model (void **state)
{
    (void) state;
    err_t err = {0};
    snprintf (dir, sizeof dir, "/tmp/quintet-test-checkpoint-XXXXXX");
    if (!mkdtemp (dir))
        return -1;
    in_dir (model_dir, "model");
    hf_config_t config = {.model = {.arch = ARCH_LLAMA,
                                    .width = 16,
                                    .layers = 2,
                                    .heads = 2,
                                    .kv_heads = 2,
                                    .head_dim = 8,
                                    .ff = 32,
                                    .vocab = 264,
                                    .context = 64,
                                    .norm_eps = 1e-5,
                                    .rope_theta = 10000,
                                    .tied = true},
                          .dtype = HF_F32,
                          .eos = {0},
                          .eos_n = 1,
                          .bos = -1};
    const char *texts[] = {"the cat and the dog", "def f (x): return x"};
    const char *specials[] = {"<|end|>"};
    char *tokenizer = tokenizer_train (texts, 2, 264, specials, 1, &err);
    model_t *model = model_new (&config.model, COMPUTE_F32, &err);
    float *params = model ? calloc (model_params (model), sizeof *params) : NULL;
    int rc = tokenizer && params && fs_mkdirs (model_dir, &err) == 0 ? 0 : -1;
    if (rc == 0) {
        model_init_params (model, 7, params);
        rc = hf_save (model_dir, &config, model, params, tokenizer, &err);
        if (rc == 0)
            rc = write_extras ();
    }
    if (rc != 0)
        fprintf (stderr, "%s\n", err.text);
    free (params);
    free (tokenizer);
    model_destroy (&model);
    return rc;
}

static int remove_dir (void **state)
{
    (void) state;
    return fs_remove (dir, NULL);
}

static policy_t *load (const char *name, const char *compute, bool learns, pool_t *pool)
{
    err_t err = {0};
    policy_t *policy =
        policy_load (name, &(policy_source_t){model_dir, compute, "none", ""}, learns, pool, &err);
    if (!policy)
        fail_msg ("%s", err.text);
    return policy;
}

/*  ---- a batch with what this policy itself says of random completions ------------------------ */

typedef struct {
    int32_t ids[GROUPS * EPISODES][LONGEST];
    float logps[GROUPS * EPISODES][LONGEST];
    wire_completion_t completions[GROUPS * EPISODES];
    wire_episode_t episodes[GROUPS * EPISODES];
    wire_ids_t prompts[GROUPS];
    wire_episodes_t groups[GROUPS];
    double advantages[GROUPS * EPISODES];
    rollout_t *rollout;
    batch_t *batch;
} world_t;

static void world_open (world_t *w, const policy_t *policy, uint64_t seed)
{
    static const int32_t prompt[] = {5, 9, 40, 41, 42};
    err_t err = {0};
    rng_t rng = {.key = seed};
    w->rollout = rollout_new (GROUPS, &err);
    assert_non_null (w->rollout);
    for (size_t e = 0; e < GROUPS * EPISODES; e++) {
        size_t n = 3 + (size_t) rng_below (&rng, LONGEST - 3);
        for (size_t t = 0; t < n; t++)
            w->ids[e][t] = (int32_t) rng_below (&rng, 264);
        w->completions[e] = (wire_completion_t){
            .ids = {.data = w->ids[e], .n = n}, .logps = w->logps[e], .stopped = true};
        w->episodes[e] = (wire_episode_t){
            .history = "{\"turns\":[]}", .completions = &w->completions[e], .completions_n = 1};
        w->advantages[e] = rng_normal (&rng);
    }
    for (size_t g = 0; g < GROUPS; g++) {
        w->prompts[g] = (wire_ids_t){.data = prompt, .n = 3 + g};
        w->groups[g] = (wire_episodes_t){.group = g,
                                         .prompts = &w->prompts[g],
                                         .prompts_n = 1,
                                         .episodes = w->episodes + EPISODES * g,
                                         .episodes_n = EPISODES};
        w->rollout->group[g] = &w->groups[g];
    }
    assert_int_equal (rollout_index (w->rollout, &err), 0);
    size_t policies[] = {0};
    batch_source_t source = {
        .rollout = w->rollout, .advantages = w->advantages, .policies = policies};
    w->batch = batch_new (&source, 0, GROUPS, &err);
    assert_non_null (w->batch);
    float *logp = calloc (w->batch->tokens, sizeof *logp);
    assert_int_equal (
        train_score (policy->train, w->batch->groups, w->batch->groups_n, logp, NULL, &err), 0);
    for (size_t i = 0; i < w->batch->items_n; i++)
        memcpy (w->logps[w->batch->items[i].number], logp + w->batch->items[i].first_token,
                w->batch->items[i].completion->ids.n * sizeof *logp);
    free (logp);
}

static void world_close (world_t *w)
{
    batch_destroy (&w->batch);
    rollout_destroy (&w->rollout);
}

static update_options_t options (void)
{
    return (update_options_t){
        .loss = {.type = LOSS_DAPO, .clip_low = 0.2, .clip_high = 0.2},
        .adamw = {.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .clip_norm = 1}};
}

static update_stats_t train (policy_t *policy, uint64_t seed)
{
    world_t w;
    err_t err = {0};
    update_stats_t stats = {0};
    update_options_t o = options ();
    world_open (&w, policy, seed);
    if (update_run (policy, w.batch, &o, &stats, &err) != 0)
        fail_msg ("%s", err.text);
    world_close (&w);
    return stats;
}

static void updates_do_not_feel_threads (void **state)
{
    (void) state;
    pool_t *pool = pool_new (3);
    policy_t *one = load ("one", "f32", true, NULL), *three = load ("one", "f32", true, pool);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        update_stats_t a = train (one, seed), b = train (three, seed);
        assert_true (a.sums.loss == b.sums.loss && a.entropy == b.entropy);
        assert_true (a.gradient_norm == b.gradient_norm && a.gradient_norm > 0);
        assert_true (a.logp_diff_max == 0); /* the weights that sampled */
        assert_true (a.sums.ratio_min == 1 && a.sums.ratio_max == 1);
        assert_int_equal (a.updates, 1);
    }
    assert_int_equal (policy_advance (one, NULL), 0);
    assert_int_equal (policy_advance (three, NULL), 0);
    assert_int_equal (one->version.number, 1);
    assert_true (hash_equal (&one->version.hash, &three->version.hash));
    policy_destroy (&one);
    policy_destroy (&three);
    pool_destroy (&pool);
}

/*  Good completions become likelier, bad ones less likely. */
static void updates_follow_the_advantages (void **state)
{
    (void) state;
    policy_t *policy = load ("one", "f32", true, NULL);
    world_t before, after;
    world_open (&before, policy, 5);
    for (int i = 0; i < 5; i++)
        train (policy, 5);
    world_open (&after, policy, 5);
    double gain = 0;
    for (size_t e = 0; e < GROUPS * EPISODES; e++)
        for (size_t t = 0; t < before.completions[e].ids.n; t++)
            gain += before.advantages[e] * (double) (after.logps[e][t] - before.logps[e][t]);
    if (gain <= 0)
        fail_msg ("sum of advantage x change of log-probability is %g", gain);
    world_close (&before);
    world_close (&after);
    policy_destroy (&policy);
}

/*  One completion's sampler found its tokens e^-1 times as likely: within the cap it counts more,
 *  beyond it not at all, and without correction its ratio is clipped. */
static double loss_with (policy_t *policy, loss_correction_t correction, double cap)
{
    world_t w;
    err_t err = {0};
    update_stats_t stats = {0};
    update_options_t o = options ();
    o.adamw.lr = 0;
    o.loss.correction = correction;
    o.loss.correction_cap = cap;
    world_open (&w, policy, 7);
    for (size_t e = 0; e < GROUPS * EPISODES; e++)
        w.advantages[e] = w.batch->items[e].advantage = e == 0;
    for (size_t t = 0; t < w.completions[0].ids.n; t++)
        w.logps[0][t] -= 1;
    if (correction != LOSS_CORRECT_NONE)
        assert_int_equal (update_start (policy, w.batch, &err), 0);
    assert_int_equal (update_run (policy, w.batch, &o, &stats, &err), 0);
    double share =
        stats.sums.loss * (double) w.batch->norm.tokens / (double) w.completions[0].ids.n;
    world_close (&w);
    return share;
}

static void samplers_of_other_numerics_are_corrected_for (void **state)
{
    (void) state;
    policy_t *policy = load ("one", "f32", true, NULL);
    const double e = exp (1);
    const struct {
        loss_correction_t correction;
        double cap, expected;
    } cases[] = {{LOSS_CORRECT_NONE, 0, -1.2},
                 {LOSS_CORRECT_TOKEN_TRUNCATE, 2, -2},
                 {LOSS_CORRECT_TOKEN_TRUNCATE, 3, -e},
                 {LOSS_CORRECT_TOKEN_MASK, 2, 0},
                 {LOSS_CORRECT_SEQUENCE_TRUNCATE, 2.5, -2.5},
                 {LOSS_CORRECT_SEQUENCE_MASK, 3, -e}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double got = loss_with (policy, cases[i].correction, cases[i].cap);
        if (!(fabs (got - cases[i].expected) < 1e-4))
            fail_msg ("correction %d, cap %g: loss %.7g, expected %.7g", cases[i].correction,
                      cases[i].cap, got, cases[i].expected);
    }
    policy_destroy (&policy);
}

static void what_is_not_finite_ends_the_update (void **state)
{
    (void) state;
    policy_t *policy = load ("one", "f32", true, NULL);
    world_t w;
    world_open (&w, policy, 9);
    w.batch->items[0].advantage = INFINITY;
    float *before = malloc (policy->n * sizeof *before);
    memcpy (before, policy->params, policy->n * sizeof *before);
    err_t err = {0};
    update_stats_t stats = {0};
    update_options_t o = options ();
    assert_int_equal (update_run (policy, w.batch, &o, &stats, &err), -1);
    assert_non_null (strstr (err.text, "not finite"));
    assert_memory_equal (before, policy->params, policy->n * sizeof *before);
    free (before);
    /* A finite gradient, and a step so large that a weight overflows. */
    w.batch->items[0].advantage = 1;
    o.adamw.lr = 1e39;
    assert_int_equal (update_run (policy, w.batch, &o, &stats, &err), -1);
    if (!strstr (err.text, "policy one: update 1 made weights that are not finite") ||
        !strstr (err.text, "of tensor '"))
        fail_msg ("%s", err.text);
    world_close (&w);
    policy_destroy (&policy);
}

/*  ---- checkpoints ---------------------------------------------------------------------------- */

static void save (uint64_t step, policy_t *const *policies, size_t n, const buf_t *critic)
{
    err_t err = {0};
    checkpoint_t c = {.step = step,
                      .seed = 3,
                      .wall_s = 12.5,
                      .first_step_s = 2.25,
                      .metrics_offset = 100 * step,
                      .config = hash_of ("config", 6),
                      .critic = critic ? hash_of (critic->data, critic->size) : (hash_t){{0}},
                      .critic_trusted = critic != NULL,
                      .critic_mean = 1 / 3.0,
                      .running = {1 / 7.0, 9}};
    if (checkpoint_save (dir, &c, policies, n, critic, &err) != 0)
        fail_msg ("%s", err.text);
}

static void same_policy (const policy_t *a, const policy_t *b)
{
    assert_int_equal (a->version.number, b->version.number);
    assert_true (hash_equal (&a->version.hash, &b->version.hash));
    assert_int_equal (a->optimiser.step, b->optimiser.step);
    assert_memory_equal (a->params, b->params, a->n * sizeof (float));
    assert_memory_equal (a->optimiser.m, b->optimiser.m, a->n * sizeof (float));
    assert_memory_equal (a->optimiser.v, b->optimiser.v, a->n * sizeof (float));
}

static void clear_checkpoints (void)
{
    char path[FS_PATH_MAX];
    in_dir (path, "checkpoints");
    assert_int_equal (fs_remove (path, NULL), 0);
}

/*  What is loaded is what was saved, and learns on to the same bits. */
static void round_trip (const char *compute)
{
    clear_checkpoints ();
    err_t err = {0};
    char path[FS_PATH_MAX];
    policy_t *policy = load ("one", compute, true, NULL),
             *again = load ("one", compute, true, NULL);
    train (policy, 1);
    assert_int_equal (policy_advance (policy, NULL), 0);
    buf_t critic = {0}, back = {0};
    buf_text (&critic, "state of the critic");
    save (1, &policy, 1, &critic);

    checkpoint_t c;
    assert_int_equal (checkpoint_newest (dir, path, &c, &err), 1);
    assert_true (c.step == 1 && c.seed == 3 && c.metrics_offset == 100 && c.wall_s == 12.5);
    assert_true (c.first_step_s == 2.25 && c.critic_trusted && c.critic_mean == 1 / 3.0);
    assert_true (c.running.variance == 1 / 7.0 && c.running.steps == 9);
    if (checkpoint_load (path, &c, &again, 1, &back, &err) != 0)
        fail_msg ("%s", err.text);
    assert_string_equal (back.data, "state of the critic");
    same_policy (policy, again);
    train (policy, 2);
    train (again, 2);
    assert_int_equal (policy_advance (policy, NULL), 0);
    assert_int_equal (policy_advance (again, NULL), 0);
    same_policy (policy, again);

    hf_t *hf = hf_open (path, &err); /* an ordinary folder for everybody else */
    assert_non_null (hf);
    assert_int_equal (hf_config (hf)->dtype, HF_F32); /* as the model's folder */
    hf_destroy (&hf);
    static const char *const files[] = {"config.json", "generation_config.json", "tokenizer.json",
                                        "chat_template.jinja"};
    for (size_t i = 0; i < 4; i++)
        same_file (model_dir, path, files[i]);
    buf_free (&critic);
    buf_free (&back);
    policy_destroy (&policy);
    policy_destroy (&again);
}

static void f32_comes_back (void **state)
{
    (void) state;
    round_trip ("f32");
}

static void bf16_comes_back (void **state)
{
    (void) state;
    round_trip ("bf16");
}

static policy_t *adapt (const char *name, const policy_t *base, uint64_t seed)
{
    err_t err = {0};
    lora_config_t lora = {.rank = 4, .alpha = 8, .targets = LORA_ALL_LINEAR};
    policy_t *policy = policy_adapt (name, base, &lora, seed, true, &err);
    if (!policy)
        fail_msg ("%s", err.text);
    return policy;
}

/*  Adapters of two roles on one base: a PEFT folder each, that learns on to the same bits. */
static void adapters_come_back (void **state)
{
    (void) state;
    clear_checkpoints ();
    err_t err = {0};
    char path[FS_PATH_MAX], folder[FS_PATH_MAX];
    policy_t *base = load ("base", "bf16", false, NULL);
    assert_true (!base->params && !base->gradient && !base->optimiser.m && !base->train);
    policy_t *policies[] = {adapt ("aux", base, 1), adapt ("main", base, 2)};
    policy_t *again[] = {adapt ("aux", base, 3), adapt ("main", base, 4)};
    assert_true (policies[0]->n < base->n / 2);
    assert_string_equal (policy_dtype (policies[0]), "f32");
    assert_string_equal (policy_compute (policies[0]), "bf16");
    for (size_t p = 0; p < 2; p++) {
        update_stats_t stats = train (policies[p], 1 + p);
        assert_true (stats.gradient_norm > 0 && stats.logp_diff_max == 0);
        assert_int_equal (policy_advance (policies[p], NULL), 0);
    }
    assert_false (hash_equal (&policies[0]->version.hash, &policies[1]->version.hash));
    save (1, policies, 2, NULL);
    checkpoint_t c;
    buf_t none = {0};
    assert_int_equal (checkpoint_newest (dir, path, &c, &err), 1);
    if (checkpoint_load (path, &c, again, 2, &none, &err) != 0)
        fail_msg ("%s", err.text);
    for (size_t p = 0; p < 2; p++) {
        same_policy (policies[p], again[p]);
        train (policies[p], 3);
        train (again[p], 3);
        assert_int_equal (policy_advance (policies[p], NULL), 0);
        assert_int_equal (policy_advance (again[p], NULL), 0);
        same_policy (policies[p], again[p]);
    }
    lora_config_t lora; /* an ordinary folder for PEFT */
    assert_int_equal (fs_join (folder, path, "main", &err), 0);
    assert_int_equal (peft_read_config (folder, &lora, &err), 0);
    assert_int_equal (lora.rank, 4);
    same_file (model_dir, folder, "tokenizer.json");
    same_file (model_dir, folder, "chat_template.jinja");
    lora.rank = 2;
    policy_t *other = policy_adapt ("main", base, &lora, 1, true, &err);
    assert_non_null (other);
    assert_int_equal (policy_restore (other, folder, 1, &err), -1);
    assert_non_null (strstr (err.text, "other settings"));
    policy_destroy (&other);
    for (size_t p = 0; p < 2; p++) {
        policy_destroy (&policies[p]);
        policy_destroy (&again[p]);
    }
    policy_destroy (&base);
}

static void several_policies_come_back (void **state)
{
    (void) state;
    clear_checkpoints ();
    err_t err = {0};
    char path[FS_PATH_MAX];
    policy_t *policies[] = {load ("aux", "f32", true, NULL), load ("main", "f32", true, NULL)};
    policy_t *again[] = {load ("aux", "f32", true, NULL), load ("main", "f32", true, NULL)};
    checkpoint_t c;
    train (policies[0], 1);
    train (policies[1], 2);
    assert_int_equal (policy_advance (policies[0], NULL), 0);
    assert_int_equal (policy_advance (policies[1], NULL), 0);
    save (1, policies, 2, NULL);
    assert_int_equal (checkpoint_newest (dir, path, &c, &err), 1);
    assert_int_equal (checkpoint_load (path, &c, again, 2, NULL, &err), 0);
    same_policy (policies[0], again[0]);
    same_policy (policies[1], again[1]);
    assert_false (hash_equal (&again[0]->version.hash, &again[1]->version.hash));
    for (size_t i = 0; i < 2; i++) {
        policy_destroy (&policies[i]);
        policy_destroy (&again[i]);
    }
}

static uint64_t newest (void)
{
    err_t err = {0};
    char path[FS_PATH_MAX];
    checkpoint_t c;
    return checkpoint_newest (dir, path, &c, &err) == 1 ? c.step : 0;
}

static void torn_ones_are_passed_over (void **state)
{
    (void) state;
    clear_checkpoints ();
    err_t err = {0};
    char path[FS_PATH_MAX];
    policy_t *policy = load ("one", "f32", true, NULL);
    assert_int_equal (newest (), 0);
    for (uint64_t step = 1; step <= 4; step++)
        save (step, &policy, 1, NULL);
    assert_int_equal (newest (), 4);
    in_dir (path, "checkpoints/step-4/optimizer.state");
    assert_int_equal (truncate (path, 200), 0);
    assert_int_equal (newest (), 3);
    in_dir (path, "checkpoints/step-3/trainer.json");
    assert_int_equal (truncate (path, 20), 0);
    assert_int_equal (newest (), 2);
    in_dir (path, "checkpoints/step-2/model.safetensors");
    assert_int_equal (unlink (path), 0);
    assert_int_equal (newest (), 1);
    in_dir (path, "checkpoints/step-9.writing"); /* what a killed save leaves */
    assert_int_equal (fs_mkdirs (path, &err), 0);
    assert_int_equal (newest (), 1);
    assert_false (fs_exists (path));
    policy_destroy (&policy);
}

/*  Bytes that changed without the size changing are noticed, in every file that is loaded. */
static void changed_content_is_refused (void **state)
{
    (void) state;
    static const char *const files[] = {"model.safetensors", "optimizer.state", "critic.state"};
    policy_t *policy = load ("one", "f32", true, NULL);
    buf_t critic = {0}, back = {0};
    buf_text (&critic, "state of the critic");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        err_t err = {0};
        char path[FS_PATH_MAX], file[FS_PATH_MAX], name[64];
        clear_checkpoints ();
        save (1, &policy, 1, &critic);
        snprintf (name, sizeof name, "checkpoints/step-1/%s", files[i]);
        in_dir (file, name);
        int fd = open (file, O_WRONLY);
        assert_int_equal (pwrite (fd, "\1\2\3", 3, lseek (fd, 0, SEEK_END) - 4), 3);
        close (fd);
        checkpoint_t c;
        assert_int_equal (checkpoint_newest (dir, path, &c, &err), 1);
        assert_int_equal (checkpoint_load (path, &c, &policy, 1, &back, &err), -1);
        if (!strstr (err.text, i ? "is not what was saved" : "not those that were saved"))
            fail_msg ("%s: %s", files[i], err.text);
        buf_free (&back);
    }
    buf_free (&critic);
    policy_destroy (&policy);
}

static void old_ones_are_pruned (void **state)
{
    (void) state;
    clear_checkpoints ();
    err_t err = {0};
    char path[FS_PATH_MAX];
    policy_t *policy = load ("one", "f32", true, NULL);
    for (uint64_t step = 8; step <= 12; step++)
        save (step, &policy, 1, NULL);
    save (12, &policy, 1, NULL); /* again: replaces */
    assert_int_equal (checkpoint_prune (dir, 2, &err), 0);
    for (int step = 8; step <= 12; step++) {
        char name[64];
        snprintf (name, sizeof name, "checkpoints/step-%d", step);
        in_dir (path, name);
        assert_int_equal (fs_exists (path), step > 10);
    }
    policy_destroy (&policy);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (samplers_of_other_numerics_are_corrected_for),
        cmocka_unit_test (updates_do_not_feel_threads),
        cmocka_unit_test (updates_follow_the_advantages),
        cmocka_unit_test (what_is_not_finite_ends_the_update),
        cmocka_unit_test (f32_comes_back),
        cmocka_unit_test (bf16_comes_back),
        cmocka_unit_test (adapters_come_back),
        cmocka_unit_test (several_policies_come_back),
        cmocka_unit_test (torn_ones_are_passed_over),
        cmocka_unit_test (changed_content_is_refused),
        cmocka_unit_test (old_ones_are_pruned),
    };
    return cmocka_run_group_tests_name ("trainer_checkpoint", tests, make_model, remove_dir);
}

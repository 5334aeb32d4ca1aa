/* with: services/cli/experiment/results.c services/cli/experiment/table.c
 *       services/cli/experiment/figure.c services/cli/experiment/arm.c
 *       services/cli/experiment/plan.c services/cli/experiment/child.c services/cli/check/
 *       services/cli/suite/ services/cli/report/ services/cli/play/judge.c
 *       services/cli/play/stream.c services/cli/play/opened.c
 *       services/cli/view/style.c services/cli/view/services.c */
/*  What an experiment's file says, and how its results are worked out and shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../services/cli/experiment/figure.h"
#include "../../services/cli/experiment/results.h"
#include "../../services/cli/experiment/table.h"
#include "base/fs.h"

typedef struct {
    char dir[64];
} fixture_t;

static int setup (void **state)
{
    fixture_t *f = calloc (1, sizeof *f);
    assert_non_null (f);
    snprintf (f->dir, sizeof f->dir, "/tmp/quintet-experiment-XXXXXX");
    assert_non_null (mkdtemp (f->dir));
    *state = f;
    return 0;
}

static int teardown (void **state)
{
    fixture_t *f = *state;
    fs_remove (f->dir, NULL);
    free (f);
    return 0;
}

static void put (const fixture_t *f, const char *name, const char *text)
{
    char path[FS_PATH_MAX];
    err_t err = {0};
    assert_int_equal (fs_join (path, f->dir, name, &err), 0);
    *strrchr (path, '/') = 0;
    assert_int_equal (fs_mkdirs (path, &err), 0);
    path[strlen (path)] = '/';
    if (fs_write (path, text, strlen (text), &err) != 0)
        fail_msg ("%s", err.text);
}

static plan_t *plan_of (const fixture_t *f, const char *text)
{
    char path[FS_PATH_MAX];
    err_t err = {0};
    put (f, "base.yml",
         "run:\n  seed: 7\nmodel:\n  path: x\nteam:\n  roles: [aux, main]\ntask:\n  family: "
         "coding\n");
    put (f, "file.yml", text);
    assert_int_equal (fs_join (path, f->dir, "file.yml", &err), 0);
    plan_t *plan = plan_load (path, &err);
    if (!plan)
        fail_msg ("%s", err.text);
    return plan;
}

#define PLAN                                                                                       \
    "base: base.yml\nset: [trainer.lr=0.25, trainer.steps=9]\nbudget_tokens: 50\nseeds: [4]\n"     \
    "clock_tasks: 2\narms:\n  a: {train: false, title: \"First | <b>\"}\n"                         \
    "  b: {compare_to: a, set: [trainer.lr=0.5], published: {quality: 0.9, speed: 3}}\n"           \
    "  c: {compare_to: b}\n  d: {compare_to: b, set: [reward.cost=0.5]}\n"

static void an_arm_is_its_words (void **state)
{
    plan_t *plan = plan_of (*state, PLAN);
    static const char *const wanted[2][7] = {
        {"trainer.lr=0.25", "trainer.steps=9", "run.baseline=none", "run.name=file-a-s4",
         "run.seed=4", "trainer.steps=0"},
        {"trainer.lr=0.25", "trainer.steps=9", "trainer.lr=0.5", "run.baseline=none",
         "run.name=file-b-s4", "run.seed=4", "trainer.budget_tokens=50"}};
    for (size_t a = 0; a < 2; a++) {
        size_t n;
        char **words = plan_words (plan, &plan->arms[a], 4, &n);
        assert_int_equal (n, a == 0 ? 6 : 7);
        for (size_t i = 0; i < n; i++) {
            assert_string_equal (words[i], wanted[a][i]);
            free (words[i]);
        }
        free (words);
    }
    /* From the command line: after what the file sets for all, before what an arm sets. */
    err_t err = {0};
    size_t n;
    assert_int_equal (plan_set (plan, (const char *const[]){"trainer.lr=1"}, 1, &err), 0);
    char **words = plan_words (plan, &plan->arms[1], 4, &n);
    assert_string_equal (words[1], "trainer.steps=9");
    assert_string_equal (words[2], "trainer.lr=1");
    assert_string_equal (words[3], "trainer.lr=0.5");
    for (size_t i = 0; i < n; i++)
        free (words[i]);
    free (words);
    plan_count_seeds (plan, 3);
    assert_true (plan->seeds_n == 3 && plan->seeds[0] == 4 && plan->seeds[2] == 6);
    plan_count_seeds (plan, 1);
    assert_int_equal (plan->seeds_n, 1);
    plan_destroy (&plan);
}

/*  Windows of at most five steps: means 0, .5, 1, .75, .6 ... */
static void the_best_is_a_mean_of_steps (void **state)
{
    (void) state;
    assert_int_equal (results_steps_to_best ((double[]){0, 1, 2, 0, 0}, 5), 3);
    assert_int_equal (results_steps_to_best ((double[]){1, 1, 1}, 3), 1);
    assert_int_equal (results_steps_to_best ((double[]){0, 0, 0}, 3), 0);
    assert_int_equal (results_steps_to_best ((double[]){-1, -1}, 2), 0);
    assert_int_equal (results_steps_to_best (NULL, 0), 0);
    assert_float_equal (results_final ((double[]){9, 1, 1, 1, 1, 6}, 6), 2, 1e-12);
    assert_int_equal (results_steps_to ((double[]){0, 2, 4}, 3, 1), 2);
    assert_int_equal (results_steps_to ((double[]){0, 2, 4}, 3, 2.5), 0);
    double rising[100];
    for (size_t i = 0; i < 100; i++)
        rising[i] = (double) (i + 1);
    /* The last mean is 98, that of step s is s - 2: 88.2 is passed at step 91. */
    assert_int_equal (results_steps_to_best (rising, 100), 91);
}

#define LINE(phase, id, success, tokens, path)                                                     \
    "{\"phase\":\"" phase "\",\"task\":\"" id "\",\"success\":" success ",\"reward\":" success     \
    ",\"cost\":[0,0],\"tokens\":" tokens ",\"critical_path_tokens\":" path "}\n"

/*  Three tasks, two samples each; in the other order for b, where the third one was lost. */
static void put_arms (const fixture_t *f)
{
    put (f, "a/seed-4/result.json", "{\"steps\":0,\"wall_s\":1}");
    put (f, "a/seed-4/evaluations/step-0.jsonl",
         LINE ("eval-sampled", "x", "[0,0]", "[10,20]", "[10,10]")
             LINE ("eval-sampled", "y", "[1,0]", "[30,30]", "[20,20]")
                 LINE ("eval-sampled", "z", "[0,0]", "[40,40]", "[30,30]")
                     LINE ("eval-greedy", "x", "[1]", "[1]", "[1]"));
    put (f, "a/seed-4/metrics.jsonl", "{\"event\":\"eval\",\"step\":0}\n");
    put (f, "a/seed-4/clock.json", "{\"rounds\":3,\"tasks\":{\"x\":[1,1],\"y\":[2,0]}}");
    put (f, "b/seed-4/result.json", "{\"steps\":2,\"sampled_tokens\":64,\"wall_s\":3}");
    put (f, "b/seed-4/evaluations/step-2.jsonl",
         LINE ("eval-sampled", "y", "[1,1]", "[20,20]", "[10,10]")
             LINE ("eval-sampled", "x", "[1,1]", "[10,10]", "[5,5]")
                 LINE ("eval-sampled", "z", "[]", "[]", "[]"));
    put (f, "b/seed-4/metrics.jsonl",
         "{\"event\":\"step\",\"step\":1,\"reward_mean\":0.25,\"zero_spread\":0.5}\n"
         "{\"event\":\"step\",\"step\":2,\"reward_mean\":1,\"zero_spread\":0}\n");
    for (int arm = 'c'; arm <= 'd'; arm++) {
        char name[64];
        snprintf (name, sizeof name, "%c/seed-4/result.json", arm);
        put (f, name, "{\"steps\":2,\"sampled_tokens\":90,\"wall_s\":3}");
        snprintf (name, sizeof name, "%c/seed-4/evaluations/step-2.jsonl", arm);
        put (f, name, LINE ("eval-sampled", "x", "[1,0]", "[10,10]", "[5,5]"));
        snprintf (name, sizeof name, "%c/seed-4/metrics.jsonl", arm);
        put (f, name,
             "{\"event\":\"step\",\"step\":1,\"reward_mean\":1,\"zero_spread\":0,\"tokens\":16}\n"
             "{\"event\":\"step\",\"step\":2,\"reward_mean\":1,\"zero_spread\":0,\"tokens\":74}\n");
    }
    put (f, "b/seed-4/clock.json", "{\"rounds\":3,\"tasks\":{\"x\":[0.5,0.5],\"y\":[0.5,0.5]}}");
}

static double value (const json_t *arm, const char *key, const char *which)
{
    const json_t *number = json_object_get (results_cell (arm, key), which);
    if (!json_is_number (number))
        fail_msg ("no %s of %s", which, key);
    return json_number_value (number);
}

static json_t *results_of (const fixture_t *f, plan_t **plan)
{
    err_t err = {0};
    *plan = plan_of (f, PLAN);
    put_arms (f);
    json_t *results = results_read (*plan, f->dir, &err);
    if (!results)
        fail_msg ("%s", err.text);
    return results;
}

static void results_are_means_over_tasks (void **state)
{
    plan_t *plan;
    json_t *results = results_of (*state, &plan);
    const json_t *a = results_arm (results, "a"), *b = results_arm (results, "b");
    assert_float_equal (value (a, "quality", "value"), 0.5 / 3, 1e-12);
    assert_float_equal (value (a, "pass@2", "value"), 1.0 / 3, 1e-12);
    assert_float_equal (value (a, "greedy", "value"), 1, 0);
    assert_float_equal (value (a, "tokens", "value"), 85.0 / 3, 1e-12);
    assert_float_equal (value (a, "tasks_per_s", "value"), 0.5, 1e-12);
    assert_null (results_cell (a, "steps_to_best"));
    /* The lost task failed, and wrote nothing that counts. */
    assert_float_equal (value (b, "quality", "value"), 2.0 / 3, 1e-12);
    assert_float_equal (value (b, "tokens", "value"), 15, 0);
    assert_float_equal (value (b, "shorter_path", "value"), 2, 1e-12);
    assert_float_equal (value (b, "speed", "value"), 2, 1e-12);
    assert_float_equal (value (b, "speed_writing", "value"), 3, 1e-12);
    assert_float_equal (value (b, "steps_to_best", "value"), 2, 0);
    assert_float_equal (value (b, "zero_spread", "value"), 0.25, 0);
    assert_float_equal (value (b, "sampled_tokens", "value"), 64, 0);
    /* Task by task: y up by .5, x by 1, z not at all. */
    const json_t *differs = json_object_get (b, "differs");
    assert_float_equal (value (differs, "quality", "value"), 0.5, 1e-12);
    assert_float_equal (value (differs, "tokens", "value"), -7.5, 1e-12);
    /* b ended at .625, where c is after its first step: 16 tokens of b's 64. */
    differs = json_object_get (results_arm (results, "c"), "differs");
    assert_float_equal (value (differs, "tokens_to_reach", "value"), 0.25, 1e-12);
    assert_float_equal (value (differs, "reward", "value"), -0.5, 1e-12);
    /* With other weights a reward is another measure. */
    differs = json_object_get (results_arm (results, "d"), "differs");
    assert_true (results_cell (differs, "tokens") && !results_cell (differs, "reward") &&
                 !results_cell (differs, "tokens_to_reach"));
    json_decref (results);
    plan_destroy (&plan);
}

static void holds (const buf_t *text, const char *what, bool wanted)
{
    if ((strstr (text->data, what) != NULL) != wanted)
        fail_msg ("'%s' in:\n%s", what, text->data);
}

static void tables_keep_text_as_text (void **state)
{
    plan_t *plan;
    json_t *results = results_of (*state, &plan);
    buf_t text = {0};
    table_write (results, TABLE_MARKDOWN, &text);
    holds (&text, "| First \\| <b> | 0.167 [0.000, 0.500] |", true);
    holds (&text, "| b | First \\| <b> |", true);
    holds (&text, "critical path, tokens down", true);
    holds (&text, "| b | times faster | 3.00 | 2.00 [", true);
    holds (&text, "a budget of 50 sampled tokens", true);
    buf_clear (&text);
    table_write (results, TABLE_HTML, &text);
    holds (&text, "<td>First | &lt;b&gt;</td>", true);
    holds (&text, "<b>", false);
    buf_clear (&text);
    figure_draw (results, &text);
    holds (&text, "First | &lt;b&gt;", true);
    holds (&text, "published: 0.900", true);
    buf_free (&text);
    json_decref (results);
    plan_destroy (&plan);
}

static void an_arm_without_an_evaluation_is_named (void **state)
{
    const fixture_t *f = *state;
    err_t err = {0};
    plan_t *plan = plan_of (f, PLAN);
    put_arms (f);
    put (f, "b/seed-4/evaluations/step-2.jsonl", "");
    assert_null (results_read (plan, f->dir, &err));
    assert_non_null (strstr (err.text, "b/seed-4/evaluations/step-2.jsonl"));
    plan_destroy (&plan);
}

static void a_quality_that_nothing_has_is_told (void **state)
{
    const fixture_t *f = *state;
    err_t err = {0};
    plan_t *plan = plan_of (f, "quality: part/none\n" PLAN);
    put_arms (f);
    assert_null (results_read (plan, f->dir, &err));
    assert_non_null (strstr (err.text, "quality: no held-out task of arm a has a value of"));
    plan_destroy (&plan);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)

int main (void)
{
    const struct CMUnitTest tests[] = {
        TEST (an_arm_is_its_words),
        TEST (the_best_is_a_mean_of_steps),
        TEST (results_are_means_over_tasks),
        TEST (tables_keep_text_as_text),
        TEST (an_arm_without_an_evaluation_is_named),
        TEST (a_quality_that_nothing_has_is_told),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

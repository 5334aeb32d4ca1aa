/* with: services/trainer/ */
/*  A run that ends with its budget of tokens, and what it keeps of each held-out task. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "trainer_fixture.h"

static bool is_there (const fixture_t *f, const char *name)
{
    char path[FS_PATH_MAX];
    assert_int_equal (fs_join (path, f->dir, name, &(err_t){0}), 0);
    return fs_exists (path);
}

/*  A step samples 2 groups of 2 episodes of 4 + 3 tokens. */
static void the_step_that_reaches_the_budget_is_the_last (void **state)
{
    fixture_t *f = *state;
    settings[0] = "--set=trainer.steps=20";
    begin (f, "--set=trainer.budget_tokens=57");
    finish (f);
    assert_int_equal (count (f, "metrics.jsonl", "\"event\":\"step\""), 3);
    assert_int_equal (count (f, "metrics.jsonl", "\"event\":\"eval\""), 2); /* the end's */
    assert_int_equal (count (f, "result.json", "\"steps\": 3"), 1);
    assert_int_equal (count (f, "result.json", "\"sampled_tokens\": 84"), 1);
    assert_true (is_there (f, "checkpoints/step-3"));
    assert_int_equal (told ("run.note 84 tokens are sampled, which uses up"), 1);
    /* What is finished stays so. */
    close_trainer (f);
    err_t err = {0};
    settings[0] = "--set=trainer.steps=20";
    settings[1] = "--set=trainer.budget_tokens=57";
    assert_int_equal (open_trainer (f, "--resume", &err), 0);
    memset (settings, 0, sizeof settings);
    finish (f);
    assert_int_equal (count (f, "metrics.jsonl", "\"event\":\"step\""), 3);
    assert_int_equal (count (f, "result.json", "\"sampled_tokens\": 84"), 1);
}

/*  Killed behind the first of three steps: what that one sampled counts. */
static void a_resume_goes_on_counting (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    settings[0] = "--set=trainer.steps=20";
    begin (f, "--set=trainer.budget_tokens=57");
    int64_t deadline = clock_ms () + WAIT_MS;
    while (trainer (f)->done == 0 || trainer (f)->stage != STAGE_SAMPLE) {
        play_all (f);
        turn (f);
        assert_true (!f->run.stopped && clock_ms () < deadline);
    }
    trainer (f)->failed = true;
    close_trainer (f);
    settings[0] = "--set=trainer.steps=20";
    settings[1] = "--set=trainer.budget_tokens=57";
    assert_int_equal (open_trainer (f, "--resume", &err), 0);
    memset (settings, 0, sizeof settings);
    assert_int_equal (trainer (f)->done, 1);
    finish (f);
    assert_int_equal (count (f, "metrics.jsonl", "\"event\":\"step\""), 3);
    assert_int_equal (count (f, "result.json", "\"sampled_tokens\": 84"), 1);
}

/*  Of two samples of each of two tasks the second passes. */
static void each_task_of_the_first_and_newest_evaluation_is_kept (void **state)
{
    fixture_t *f = *state;
    settings[0] = "--set=evaluation.every=1";
    begin (f, "--set=evaluation.samples=2");
    samples = 2;
    finish (f);
    samples = 1;
    assert_true (is_there (f, "evaluations/step-0.jsonl"));
    assert_false (is_there (f, "evaluations/step-1.jsonl"));
    const char *last = "evaluations/step-2.jsonl";
    assert_int_equal (count (f, last, "\n"), 4);
    assert_int_equal (count (f, last, "\"phase\":\"eval-sampled\",\"task\":\"coding/"), 2);
    assert_int_equal (count (f, last, "\"success\":[0.0,1.0],"), 2);
    assert_int_equal (count (f, last, "\"reward\":[0.0,0.5],"), 2);
    assert_int_equal (count (f, last, "\"tokens\":[7.0,7.0],"), 2);
    assert_int_equal (count (f, last, "\"critical_path_tokens\":[4.0,4.0]"), 2);
    assert_int_equal (count (f, last, "\"phase\":\"eval-greedy\""), 2);
    assert_int_equal (count (f, last, "\"success\":[0.0],"), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)

int main (void)
{
    const struct CMUnitTest tests[] = {
        TEST (the_step_that_reaches_the_budget_is_the_last),
        TEST (a_resume_goes_on_counting),
        TEST (each_task_of_the_first_and_newest_evaluation_is_kept),
    };
    return cmocka_run_group_tests (tests, open_all, close_all);
}

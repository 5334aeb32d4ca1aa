/* with: services/trainer/ */
/*  What a trainer writes down and tells of its steps. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "trainer_fixture.h"

static void what_is_logged_belongs_to_the_loss (void **state)
{
    fixture_t *f = *state;
    begin_with (f, "--set=loss.type=cispo");
    assert_int_equal (count (f, "metrics.jsonl", "\"clip_cispo\":"), 2);
    assert_int_equal (count (f, "metrics.jsonl", "\"clip_low\":"), 0);
    assert_int_equal (count (f, "metrics.jsonl", "\"kl\":"), 0); /* to what? */
    begin_with (f, "--set=loss.type=vespo");
    assert_int_equal (count (f, "metrics.jsonl", "\"phi\":"), 2);
    assert_int_equal (count (f, "metrics.jsonl", "\"clip\":"), 0);
    begin_with (f, "--set=loss.kl=0.1");
    assert_int_equal (count (f, "metrics.jsonl", "\"clip_low\":"), 2);
    assert_int_equal (count (f, "metrics.jsonl", "\"kl\":"), 2);
}

static void what_was_not_measured_is_not_logged (void **state)
{
    fixture_t *f = *state;
    static const char *const trained[] = {
        "\"loss\":", "\"entropy\":",    "\"gradient_norm\":",
        "\"clip\":", "\"ratio_mean\":", "\"trained_tokens_per_s\":"};
    gap = 0;
    finish (f);
    gap = 0.5;
    for (size_t i = 0; i < sizeof trained / sizeof *trained; i++)
        assert_int_equal (count (f, "metrics.jsonl", trained[i]), 0);
    assert_int_equal (count (f, "metrics.jsonl", "\"trained_tokens\":0.0"), 2);
    assert_int_equal (count (f, "metrics.jsonl", "\"sampled_tokens_per_s\":"), 2);
    begin_with (f, "--set=run.seed=3");
    for (size_t i = 0; i < sizeof trained / sizeof *trained; i++)
        assert_int_equal (count (f, "metrics.jsonl", trained[i]), 2);
}

/*  Said when it begins and at the end, not at every step. */
static void steps_that_teach_nothing_are_told (void **state)
{
    fixture_t *f = *state;
    gap = 0;
    finish (f);
    gap = 0.5;
    assert_int_equal (count (f, "metrics.jsonl", "\"zero_spread\":1.0"), 2);
    assert_int_equal (told ("run.note"), 2);
    assert_int_equal (
        told ("run.note all 2 groups of step 1 have one reward each: nothing to learn from"), 1);
    assert_int_equal (told ("run.note in 2 of 2 steps all groups had one reward each"), 1);
    assert_int_equal (count (f, "result.json", "\"steps_without_spread\": 2"), 1);
    begin_with (f, "--set=run.seed=3");
    assert_int_equal (told ("run.note"), 0);
}

/*  Of two samples of each task the second passes; greedy, one episode, none. */
static void samples_of_held_out_tasks_are_told (void **state)
{
    fixture_t *f = *state;
    assert_int_equal (count (f, "metrics.jsonl", "\"samples\""), 0);
    assert_int_equal (count (f, "metrics.jsonl", "pass@"), 0);
    begin (f, "--set=evaluation.samples=2");
    samples = 2;
    finish (f);
    samples = 1;
    assert_int_equal (count (f, "metrics.jsonl", "\"samples\":2.0"), 2);
    assert_int_equal (count (f, "metrics.jsonl", "\"sampled\":0.5"), 2);
    assert_int_equal (count (f, "metrics.jsonl", "\"pass@2\":1.0"), 2);
    assert_int_equal (count (f, "metrics.jsonl", "\"greedy\":0.0"), 2);
    assert_int_equal (count (f, "result.json", "\"pass@2\": 1.0"), 2);
    /* The first sample of each of the two tasks, before and after; greedy as well. */
    assert_int_equal (count (f, "episodes.jsonl", "\"phase\":\"eval-sampled\""), 4);
    assert_int_equal (count (f, "episodes.jsonl", "\"phase\":\"eval-greedy\""), 4);
}

static void a_single_agent_agrees_with_nobody (void **state)
{
    fixture_t *f = *state;
    begin (f, "--set=team.roles=solo");
    roles = 1;
    finish (f);
    roles = 2;
    assert_int_equal (count (f, "metrics.jsonl", "\"agreement\":null"), 4);
    assert_int_equal (count (f, "metrics.jsonl", "\"greedy_agreement\":null"), 2);
    assert_int_equal (count (f, "metrics.jsonl", "agreement\":0"), 0);
}

static void groups_that_differ_again_are_told (void **state)
{
    fixture_t *f = *state;
    finish (f);
    begin (f, "--set=trainer.steps=5");
    int64_t deadline = clock_ms () + WAIT_MS;
    while (!f->run.stopped && clock_ms () < deadline) {
        gap = trainer (f)->done < 3 ? 0 : 0.5;
        play_all (f);
        turn (f);
    }
    gap = 0.5;
    assert_int_equal (told ("run.note groups of step 4 differ in their rewards again; 3 steps"), 1);
    assert_int_equal (told ("run.note"), 3);
}

/*  What a trainer before has sampled, agents answer out of what they kept: at any speed. */
static void steps_that_were_played_before_have_no_rate (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    begin (f, "--set=trainer.checkpoint_every=100");
    int64_t deadline = clock_ms () + WAIT_MS;
    while (trainer (f)->done == 0 || trainer (f)->stage != STAGE_SAMPLE) {
        play_all (f);
        turn (f);
        assert_true (!f->run.stopped && clock_ms () < deadline);
    }
    until (f, STAGE_SAMPLE); /* step 2 is open */
    assert_int_equal (count (f, "metrics.jsonl", "\"sampled_tokens_per_s\":"), 1);
    trainer (f)->failed = true; /* it ends as if it were killed: without a checkpoint */
    close_trainer (f);
    assert_int_equal (open_trainer (f, "--resume", &err), 0);
    assert_int_equal (trainer (f)->done, 0);
    finish (f);
    assert_int_equal (count (f, "metrics.jsonl", "\"event\":\"step\""), 2);
    assert_int_equal (count (f, "metrics.jsonl", "tokens_per_s\":"), 2); /* trained ones */
}

static double number (const fixture_t *f, const char *file, const char *name)
{
    char path[FS_PATH_MAX];
    err_t err = {0};
    buf_t text = {0};
    assert_int_equal (fs_join (path, f->dir, file, &err), 0);
    assert_int_equal (fs_read (path, 1 << 20, &text, &err), 0);
    const char *at = strstr (text.data, name);
    assert_non_null (at);
    double value = strtod (at + strlen (name), NULL);
    buf_free (&text);
    return value;
}

static void again (fixture_t *f)
{
    err_t err = {0};
    close_trainer (f);
    if (open_trainer (f, "--resume", &err) != 0)
        fail_msg ("%s", err.text);
}

/*  The times of a run are those of all its parts; a finished one that is resumed had them all. */
static void a_resume_keeps_the_times (void **state)
{
    fixture_t *f = *state;
    until (f, STAGE_EVALUATE);
    trainer (f)->wall_before += 1000; /* as if it had taken so long until here */
    while (trainer (f)->done == 0 || trainer (f)->stage != STAGE_SAMPLE) {
        play_all (f);
        turn (f);
        assert_false (f->run.stopped);
    }
    trainer (f)->failed = true; /* killed */
    again (f);
    assert_true (trainer (f)->done == 1 && trainer_wall_s (trainer (f)) >= 1000);
    assert_true (trainer (f)->first_step_s >= 1000);
    finish (f);
    double wall = number (f, "result.json", "\"wall_s\": ");
    double first = number (f, "result.json", "\"first_step_s\": ");
    assert_true (wall >= first && first >= 1000);
    again (f);
    finish (f);
    assert_true (number (f, "result.json", "\"wall_s\": ") == wall);
    assert_true (number (f, "result.json", "\"first_step_s\": ") == first);
}

static void what_a_run_does_is_told (void **state)
{
    fixture_t *f = *state;
    static const struct {
        const char *line;
        size_t times;
    } wanted[] = {{"run.state publishing, stage publish train\n", 3},
                  {"run.state evaluating, stage evaluate eval-sampled\n", 2},
                  {"run.state sampling, stage sample train\n", 2},
                  {"run.state training, stage train train\n", 2},
                  {"run.state saving, stage save train\n", 2},
                  {"run.state done, stage done train\n", 1},
                  {"policy.published shared train\n", 3},
                  {"run.opened {\"config\":\"deploy/config/coding.yml\",", 1},
                  {"\"roles\":[\"aux\",\"main\"]", 1},
                  {"step.done eta_s > 0\n", 2}, /* an evaluation follows the last one */
                  {"eval.done eta_s 0\n", 1},
                  {"run.stopped", 0},
                  {"run.failed", 0}};
    finish (f);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (told (wanted[i].line) != wanted[i].times)
            fail_msg ("%zu times '%s' in:\n%s", told (wanted[i].line), wanted[i].line,
                      bus.events.data);
}

static void each_role_has_its_own_numbers (void **state)
{
    fixture_t *f = *state;
    finish (f);
    assert_int_equal (count (f, "metrics.jsonl", "\"role/aux/completion_tokens\":4.0,"), 2);
    assert_int_equal (count (f, "metrics.jsonl", "\"role/main/completion_tokens\":3.0,"), 2);
    assert_int_equal (count (f, "metrics.jsonl", "\"role/main/truncated\":0.0,"), 2);
    assert_int_equal (count (f, "metrics.jsonl", "\"role/main/advantage_abs\":0.7"), 2);
    assert_int_equal (count (f, "metrics.jsonl", "\"role/aux/entropy\":"), 2);
}

/*  Until a step is open that nobody has played. */
static void until_a_step_is_open (fixture_t *f)
{
    while (trainer (f)->stage != STAGE_SAMPLE && !f->run.stopped) {
        play_all (f);
        turn (f);
    }
    until (f, STAGE_SAMPLE);
}

static void the_end_of_a_run_is_told_with_its_reason (void **state)
{
    fixture_t *f = *state;
    until_a_step_is_open (f);
    trainer (f)->stage_since -= 700; /* beyond run.timeout_s */
    trainer (f)->poll_at_ms = 0;
    turn (f);
    assert_true (f->run.failed);
    if (told ("run.failed step 1 (train): 2 of 2 groups are missing") != 1)
        fail_msg ("%s", bus.events.data);
    close_trainer (f);
    err_t err = {0};
    assert_int_equal (open_trainer (f, "--resume", &err), 0);
    until (f, STAGE_EVALUATE);
    trainer_on_item (&f->run, &(bus_item_t){.kind = BUS_PEER});
    buf_clear (&bus.events);
    until_a_step_is_open (f); /* another bus hears anew what runs */
    assert_int_equal (told ("run.opened"), 1);
    f->run.stopped = true;
    trainer_close (&f->run, &f->run.state);
    assert_int_equal (told ("run.stopped asked to stop"), 1);
    assert_int_equal (told ("run.failed"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)

int main (void)
{
    const struct CMUnitTest tests[] = {
        TEST (what_is_logged_belongs_to_the_loss),
        TEST (what_was_not_measured_is_not_logged),
        TEST (steps_that_teach_nothing_are_told),
        TEST (samples_of_held_out_tasks_are_told),
        TEST (a_single_agent_agrees_with_nobody),
        TEST (groups_that_differ_again_are_told),
        TEST (steps_that_were_played_before_have_no_rate),
        TEST (a_resume_keeps_the_times),
        TEST (what_a_run_does_is_told),
        TEST (each_role_has_its_own_numbers),
        TEST (the_end_of_a_run_is_told_with_its_reason),
    };
    return cmocka_run_group_tests (tests, open_all, close_all);
}

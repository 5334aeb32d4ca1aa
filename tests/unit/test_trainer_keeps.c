/* with: services/trainer/ */
/*  What a run keeps in its folder: completions, and the names of checkpoints. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>

#include "../../services/trainer/completions.h"
#include "trainer_fixture.h"

#define STEPS 2500 /* of completions, in a file of half a megabyte and another one */

/*  The whole of a file; the caller frees it. Empty: there is none. */
static buf_t content (const fixture_t *f, const char *name)
{
    char path[FS_PATH_MAX];
    buf_t text = {.max = SIZE_MAX};
    assert_int_equal (fs_join (path, f->dir, name, NULL), 0);
    buf_text (&text, "");
    if (fs_exists (path))
        assert_int_equal (fs_read (path, 1 << 30, &text, NULL), 0);
    return text;
}

static void every_completion_is_kept_with_its_advantage (void **state)
{
    fixture_t *f = *state;
    finish (f);
    buf_t text = content (f, "completions.jsonl");
    static const char first[] = "{\"step\":1,\"task\":\"",
                      second[] = "\"policy\":\"shared\",\"version\":0,\"tokens\":4,"
                                 "\"truncated\":false,\"advantage\":-0.70";
    static const char third[] = "\"reward\":0.0,\"quality\":0.0,\"speed\":0.0,\"cost\":0.0,"
                                "\"success\":false,\"parts\":{},\"text\":\"one\"}\n";
    assert_int_equal (strncmp (text.data, first, strlen (first)), 0);
    if (!strstr (text.data, second) || !strstr (text.data, third))
        fail_msg ("%.1000s", text.data);
    buf_free (&text);
    /* two steps of two groups of two episodes of two roles */
    assert_int_equal (count (f, "completions.jsonl", "\n"), 16);
    assert_int_equal (count (f, "completions.jsonl", "\"role\":\"main\""), 8);
    assert_int_equal (count (f, "completions.jsonl", "\"text\":\"two\""), 8);
    assert_int_equal (count (f, "completions.jsonl", "{\"step\":2,"), 8);
}

static void completions_may_be_left_out (void **state)
{
    fixture_t *f = *state;
    settings[0] = "--set=run.completions_mb=0";
    begin (f, NULL);
    finish (f);
    buf_t text = content (f, "completions.jsonl");
    assert_int_equal (text.size, 0);
    buf_free (&text);
}

/*  Lines stand there once, whatever was cut and done again; the newest ones are kept. */
static void completions_are_bounded_and_follow_from_the_steps (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    settings[0] = "--set=run.completions_mb=1";
    begin (f, NULL);
    while (trainer (f)->stage != STAGE_SAVE) {
        play_all (f);
        turn (f);
        assert_false (f->run.stopped);
    }
    trainer_t *t = trainer (f);
    uint64_t before = 0; /* the last step of the file that is not current, at the end */
    for (t->done = 1; t->done <= STEPS; t->done++)
        assert_int_equal (completions_add (t, &err), 0);
    buf_t current = content (f, "completions.jsonl"), old = content (f, "completions.1.jsonl");
    assert_in_range (current.size, 1000, 500000);
    assert_in_range (old.size, 400000, 500000);
    unsigned long long first = 0, last = 0;
    assert_int_equal (sscanf (current.data, "{\"step\":%llu", &first), 1);
    assert_int_equal (
        sscanf (strstr (current.data + current.size - 3000, "{\"step\":"), "{\"step\":%llu", &last),
        1);
    assert_in_range (last, STEPS - 3, STEPS);
    before = first - 1;
    for (uint64_t back = before - 5; back <= before + 5; back += 5) {
        t->done = back;
        assert_int_equal (completions_cut (t, &err), 0);
        for (t->done++; t->done <= STEPS; t->done++)
            assert_int_equal (completions_add (t, &err), 0);
        buf_t again = content (f, "completions.jsonl"), older = content (f, "completions.1.jsonl");
        assert_int_equal (again.size, current.size);
        assert_int_equal (older.size, old.size);
        assert_memory_equal (again.data, current.data, current.size);
        assert_memory_equal (older.data, old.data, old.size);
        buf_free (&again);
        buf_free (&older);
    }
    buf_free (&current);
    buf_free (&old);
    t->done = 1;
}

static void expect_link (const fixture_t *f, const char *name, const char *wanted)
{
    char path[FS_PATH_MAX], target[64] = "";
    assert_int_equal (fs_join (path, f->dir, name, NULL), 0);
    assert_true (readlink (path, target, sizeof target - 1) > 0);
    assert_string_equal (target, wanted);
}

static bool there (const fixture_t *f, const char *name)
{
    char path[FS_PATH_MAX];
    return fs_join (path, f->dir, name, NULL) == 0 && fs_exists (path);
}

/*  The best evaluation is that of step 2, long before the newest checkpoint. */
static void the_latest_and_the_best_have_names (void **state)
{
    fixture_t *f = *state;
    static const double levels[] = {0.9, 0.2, 0.7, 0.5, 0.1};
    settings[0] = "--set=trainer.steps=4";
    settings[1] = "--set=evaluation.every=1";
    settings[2] = "--set=trainer.checkpoint_every=100";
    settings[3] = "--set=trainer.checkpoints_kept=1";
    begin (f, NULL);
    int64_t deadline = clock_ms () + WAIT_MS;
    while (!f->run.stopped) {
        level = levels[trainer (f)->done];
        play_all (f);
        turn (f);
        assert_true (clock_ms () < deadline);
    }
    level = 0;
    expect_link (f, "checkpoints/latest", "step-4");
    expect_link (f, "checkpoints/best", "step-2");
    assert_true (there (f, "checkpoints/step-2/config.json"));
    assert_true (there (f, "checkpoints/best/config.json"));
    assert_true (there (f, "checkpoints/step-4"));
    assert_false (there (f, "checkpoints/step-1") || there (f, "checkpoints/step-3"));
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (every_completion_is_kept_with_its_advantage),
        TEST (completions_may_be_left_out),
        TEST (completions_are_bounded_and_follow_from_the_steps),
        TEST (the_latest_and_the_best_have_names),
    };
    return cmocka_run_group_tests (tests, open_all, close_all);
}

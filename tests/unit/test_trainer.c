/* with: services/trainer/schedule.c services/trainer/measure.c services/trainer/metrics.c
 * services/trainer/curves.c services/trainer/eta.c
 * services/trainer/tensorboard.c services/trainer/rollout.c
 * services/trainer/rundir.c */
/*  The trainer's pure parts: schedule, intervals, curves, metrics, rollouts, files. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../services/trainer/measure.h"
#include "../../services/trainer/metrics.h"
#include "../../services/trainer/rundir.h"
#include "../../services/trainer/schedule.h"
#include "../../services/trainer/curves.h"
#include "../../services/trainer/eta.h"
#include "../../services/trainer/tensorboard.h"
#include "base/fs.h"
#include "learn/pass.h"
#include "rollout_fixture.h"

#define assert_near(got, want, tolerance)                                                          \
    do {                                                                                           \
        double got_ = (got), want_ = (want);                                                       \
        if (!(fabs (got_ - want_) <= (tolerance)))                                                 \
            fail_msg ("%s = %.17g, want %.17g", #got, got_, want_);                                \
    } while (0)

static char dir[FS_PATH_MAX];

static const char *in_dir (const char *name)
{
    static char path[FS_PATH_MAX];
    assert_int_equal (fs_join (path, dir, name, NULL), 0);
    return path;
}

static int make_dir (void **state)
{
    (void) state;
    snprintf (dir, sizeof dir, "/tmp/quintet-test-trainer-XXXXXX");
    return mkdtemp (dir) ? 0 : -1;
}

static int remove_dir (void **state)
{
    (void) state;
    return fs_remove (dir, NULL);
}

/*  ---- schedule ------------------------------------------------------------------------------- */

static void schedule_rises_and_falls (void **state)
{
    (void) state;
    schedule_t s = {SCHEDULE_LINEAR, .lr = 2, .end = 0.1, .warmup = 4, .steps = 104};
    assert_near (schedule_lr (&s, 0), 0.5, 1e-15);
    assert_near (schedule_lr (&s, 3), 2, 1e-15);
    assert_near (schedule_lr (&s, 4), 2, 1e-15);
    assert_near (schedule_lr (&s, 54), 2 * 0.55, 1e-15);
    assert_near (schedule_lr (&s, 104), 0.2, 1e-15);
    assert_near (schedule_lr (&s, 999), 0.2, 1e-15);
    s.kind = SCHEDULE_COSINE;
    assert_near (schedule_lr (&s, 4), 2, 1e-15);
    assert_near (schedule_lr (&s, 54), 2 * 0.55, 1e-12);
    assert_near (schedule_lr (&s, 29), 2 * (0.1 + 0.9 * (1 + sqrt (0.5)) / 2), 1e-12);
    s.kind = SCHEDULE_CONSTANT;
    assert_near (schedule_lr (&s, 80), 2, 0);
    assert_int_equal (schedule_kind ("cosine"), SCHEDULE_COSINE);
    assert_int_equal (schedule_kind ("linear"), SCHEDULE_LINEAR);
    assert_int_equal (schedule_kind ("constant"), SCHEDULE_CONSTANT);
}

/*  ---- intervals ------------------------------------------------------------------------------ */

/*  8 of 10 worked out by hand; none of n: [0, z^2 / (n + z^2)]. */
static void wilson_interval (void **state)
{
    (void) state;
    interval_t i = measure_wilson (0.8, 10);
    assert_near (i.low, 0.4901625, 1e-6);
    assert_near (i.high, 0.9433178, 1e-6);
    i = measure_wilson (0, 20);
    assert_near (i.low, 0, 0);
    assert_near (i.high, 3.841458820694124 / (20 + 3.841458820694124), 1e-12);
    i = measure_wilson (1, 20);
    assert_near (i.high, 1, 1e-15);
    i = measure_wilson (0, 0);
    assert_near (i.low, 0, 0);
    assert_near (i.high, 1, 0);
}

/*  5 samples of which 2 passed. Of the 10 pairs, 3 have no pass in them; of the 10 triples 1; four
 *  of five always hold one that passed. */
static void passes_among_k_samples (void **state)
{
    (void) state;
    assert_near (pass_at (5, 2, 1), 0.4, 1e-15);
    assert_near (pass_at (5, 2, 2), 0.7, 1e-15);
    assert_near (pass_at (5, 2, 3), 0.9, 1e-15);
    assert_near (pass_at (5, 2, 4), 1, 0);
    assert_near (pass_at (5, 0, 5), 0, 0);
    assert_near (pass_at (5, 5, 1), 1, 0);
    /* C(1000, 100) is far beyond a double's range: 1 - C(999, 100) / C(1000, 100). */
    assert_near (pass_at (1000, 1, 100), 0.1, 1e-12);
}

/*  ---- curves --------------------------------------------------------------------------------- */

static uint64_t little (const char *data, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t) (uint8_t) data[i] << 8 * i;
    return value;
}

static void crc_of_known_texts (void **state)
{
    (void) state;
    uint8_t zeros[32] = {0};
    assert_int_equal (tensorboard_crc ("123456789", 9), 0xE3069283);
    assert_int_equal (tensorboard_crc (zeros, 32), 0x8A9136AA); /* RFC 3720, B.4 */
}

static void curves_are_framed_events (void **state)
{
    (void) state;
    buf_t bytes = {0};
    const char *names[] = {"a", "step/loss"};
    tensorboard_scalars (&bytes, 1.5, 300, names, (double[]){1, -2.5}, 2);
    size_t n = little (bytes.data, 8);
    assert_int_equal (bytes.size, n + 16);
    assert_int_equal (little (bytes.data + 8, 4), tensorboard_masked_crc (bytes.data, 8));
    assert_int_equal (little (bytes.data + 12 + n, 4), tensorboard_masked_crc (bytes.data + 12, n));
    const unsigned char want[] = {0x09, 0,    0,    0,    0,   0,    0,    0xF8, 0x3F, /* 1.5 */
                                  0x10, 0xAC, 2,                                       /* 300 */
                                  0x2A, 28,                                            /* summary */
                                  0x0A, 8,    0x0A, 1,    'a', 0x15, 0,    0,    0x80, 0x3F,
                                  0x0A, 16,   0x0A, 9,    's', 't',  'e',  'p',  '/',  'l',
                                  'o',  's',  's',  0x15, 0,   0,    0x20, 0xC0};
    assert_int_equal (n, sizeof want);
    assert_memory_equal (bytes.data + 12, want, sizeof want);
    buf_free (&bytes);
}

/*  ---- metrics -------------------------------------------------------------------------------- */

static void write_line (metrics_t *metrics, uint64_t step, double value)
{
    err_t err = {0};
    metrics_begin (metrics, "step", step);
    metrics_add (metrics, "reward_mean", value);
    metrics_addf (metrics, NAN, "odd/%d", 1);
    if (metrics_end (metrics, &err) != 0)
        fail_msg ("%s", err.text);
}

static void keep (void *context, const char *name, double value)
{
    if (strcmp (name, "reward_mean") == 0)
        *(double *) context = value;
}

static double found (const metrics_t *metrics, uint64_t step)
{
    double value = -1;
    metrics_find (metrics, "step", step, keep, &value);
    return value;
}

static size_t size_of (const char *name)
{
    buf_t text = {0};
    err_t err = {0};
    if (fs_read (in_dir (name), 1 << 20, &text, &err) != 0)
        fail_msg ("%s", err.text);
    size_t size = text.size;
    buf_free (&text);
    return size;
}

/*  Walks over the records of the curves' file, which must be whole: how many hold the word. */
static size_t records_with (const char *word)
{
    char path[FS_PATH_MAX];
    err_t err = {0};
    buf_t file = {0};
    size_t found = 0;
    assert_int_equal (fs_join (path, dir, "events.out.tfevents.quintet", &err), 0);
    assert_int_equal (fs_read (path, 1 << 20, &file, &err), 0);
    for (size_t at = 0; at < file.size;) {
        size_t n = (size_t) little (file.data + at, 8);
        assert_int_equal (little (file.data + at + 8, 4),
                          tensorboard_masked_crc (file.data + at, 8));
        assert_true (at + 12 + n + 4 <= file.size);
        assert_int_equal (little (file.data + at + 12 + n, 4),
                          tensorboard_masked_crc (file.data + at + 12, n));
        found += memmem (file.data + at + 12, n, word, strlen (word)) != NULL;
        at += 12 + n + 4;
    }
    buf_free (&file);
    return found;
}

static void texts_and_settings_stand_beside_the_curves (void **state)
{
    (void) state;
    err_t err = {0};
    metrics_t *metrics = metrics_open (dir, 0, &err);
    assert_non_null (metrics);
    assert_int_equal (metrics_settings (metrics, "trainer.lr: 0.5\nloss.type: \"dapo\"\n", &err),
                      0);
    assert_int_equal (metrics_text (metrics, 3, "completions/aux", "    return 1\n", &err), 0);
    metrics_close (&metrics);
    assert_int_equal (records_with ("brain.Event:2"), 1);
    assert_int_equal (records_with ("_hparams_/session_start_info"), 1);
    /* number_value 0.5, and string_value without its quotes */
    assert_int_equal (records_with ("trainer.lr\x12\x09\x11"), 1);
    assert_int_equal (records_with ("loss.type\x12\x06\x1a\x04"
                                    "dapo"),
                      1);
    assert_int_equal (records_with ("completions/aux"), 1);
    assert_int_equal (records_with ("    return 1\n"), 1);
}

/*  As TRL's GRPOTrainer writes them. */
static void curves_have_the_names_that_are_known (void **state)
{
    (void) state;
    static const char *const names[][3] = {
        {"step", "reward_mean", "train/reward"},
        {"step", "reward_std", "train/reward_std"},
        {"step", "zero_spread", "train/frac_reward_zero_std"},
        {"step", "completion_tokens", "train/completions/mean_length"},
        {"step", "truncated", "train/completions/clipped_ratio"},
        {"step", "gradient_norm", "train/grad_norm"},
        {"step", "gradient_norm/main", "train/grad_norm/main"},
        {"step", "lr", "train/learning_rate"},
        {"step", "entropy", "train/entropy"},
        {"step", "kl", "train/kl"},
        {"step", "loss", "train/loss"},
        {"step", "clip", "train/clip_ratio/region_mean"},
        {"step", "clip_low", "train/clip_ratio/low_mean"},
        {"step", "part/tests", "train/part/tests"},
        {"eval", "truncated", "eval/completions/clipped_ratio"},
        {"eval", "sampled", "eval/sampled"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char tag[CURVES_TAG_MAX];
        curves_tag (names[i][0], names[i][1], tag);
        assert_string_equal (tag, names[i][2]);
    }
}

static void what_is_left_follows_from_the_last_steps (void **state)
{
    (void) state;
    eta_t eta = {0};
    assert_true (isnan (eta_left (&eta, 10, 1)));
    eta_evaluation (&eta, 5);
    eta_step (&eta, 100); /* loading, and agents that had to start */
    assert_true (eta_left (&eta, 2, 1) == 205);
    for (int i = 0; i < 7; i++)
        eta_step (&eta, 2);
    assert_true (eta_left (&eta, 10, 2) == 30);
    for (int i = 0; i < 4; i++)
        eta_step (&eta, 4);
    assert_true (eta_left (&eta, 10, 0) == 30); /* four of 2 s, four of 4 s */
    eta_step (&eta, 4);
    assert_true (eta_left (&eta, 10, 0) == 40);
}

static void metrics_are_cut_to_a_checkpoint (void **state)
{
    (void) state;
    err_t err = {0};
    metrics_t *metrics = metrics_open (dir, 0, &err);
    assert_non_null (metrics);
    write_line (metrics, 1, 0.25);
    uint64_t offset = metrics_offset (metrics);
    size_t curves = size_of ("events.out.tfevents.quintet");
    write_line (metrics, 2, 0.5);
    size_t n;
    const wire_part_t *parts = metrics_parts (metrics, &n);
    assert_int_equal (n, 1); /* what is not finite is null in the line, and not told */
    assert_string_equal (parts[0].name, "reward_mean");
    metrics_close (&metrics);

    metrics = metrics_open (dir, offset, &err);
    assert_non_null (metrics);
    assert_int_equal (size_of ("metrics.jsonl"), offset);
    assert_int_equal (size_of ("events.out.tfevents.quintet"), curves);
    assert_near (found (metrics, 1), 0.25, 0);
    assert_near (found (metrics, 2), -1, 0);
    write_line (metrics, 2, 0.75);
    assert_near (found (metrics, 2), 0.75, 0);
    metrics_close (&metrics);

    metrics = metrics_open (dir, 1 << 20, &err);
    assert_null (metrics);
    assert_int_equal (err.code, ERR_INPUT);
}

/*  ---- folder --------------------------------------------------------------------------------- */

static void a_folder_has_one_trainer (void **state)
{
    (void) state;
    err_t err = {0};
    char path[FS_PATH_MAX];
    snprintf (path, sizeof path, "%s", in_dir ("run"));
    int lock = rundir_open (path, false, &err);
    assert_true (lock >= 0);
    assert_int_equal (rundir_open (path, true, &err), -1);
    assert_int_equal (err.code, ERR_CONFIG);
    assert_non_null (strstr (err.text, "another trainer"));
    close (lock);
    assert_int_equal (fs_write (in_dir ("run/metrics.jsonl"), "{}", 2, &err), 0);
    assert_int_equal (rundir_open (path, false, &err), -1);
    assert_non_null (strstr (err.text, "--resume"));
    lock = rundir_open (path, true, &err);
    assert_true (lock >= 0);
    close (lock);
}

/*  ---- rollouts ------------------------------------------------------------------------------- */

/*  It is counted, and neither better nor worse than the others of its group. */
static void what_was_not_scored_moves_nothing (void **state)
{
    (void) state;
    world_t w;
    measure_t m;
    world_open (&w, (double[]){0.25, NAN, 0.5, 0.75});
    assert_true (fabs (w.rollout->rewards[1] - 0.25) < 1e-12);
    measure_rollout (w.rollout, &m);
    assert_int_equal (m.n, 4);
    assert_int_equal (m.unscored, 1);
    assert_true (fabs (m.reward.mean - 0.5) < 1e-12);
    assert_true (fabs (m.quality.std - 0.25) < 1e-12);
    assert_int_equal (m.tokens, 6 + 7 + 5 + 7);
    rollout_destroy (&w.rollout);
}

static void rollout_numbers_episodes_and_completions (void **state)
{
    (void) state;
    world_t w;
    world_open (&w, (double[]){1, 0, 0.5, 0.5});
    const rollout_t *r = w.rollout;
    assert_int_equal (r->episodes, 4);
    assert_int_equal (r->completions, 10);
    assert_int_equal (r->first_episode[1], 2);
    assert_int_equal (r->first_episode[2], 2);
    assert_int_equal (r->first_completion[2], 6);
    assert_string_equal (r->reason[1], "why");
    assert_int_equal (rollout_tokens_all (r), 6 + 7 + 5 + 7);
    measure_t m;
    measure_rollout (r, &m);
    assert_int_equal (m.dead, 1);
    assert_int_equal (m.successes, 1);
    assert_int_equal (m.truncated, 1);
    assert_int_equal (m.longest, 6);
    assert_near (m.reward.mean, 0.5, 1e-15);
    assert_near (m.reward.std, sqrt (0.5 / 3), 1e-15);
    assert_near (m.episode_tokens, (6 + 7 + 5 + 7) / 4.0, 1e-15);
    rollout_destroy (&w.rollout);
}

/*  Three tasks of two samples: one passed in one, one is dead, one passed in both. */
static void samples_of_a_task_are_counted_together (void **state)
{
    (void) state;
    world_t w;
    world_open (&w, (double[]){1, 0, 1, 1});
    measure_t m;
    measure_rollout (w.rollout, &m);
    measure_rate_t rate = measure_tasks (w.rollout, &m, 2);
    assert_near (rate.rate, 3 / 6.0, 1e-15);
    assert_near (measure_tasks_pass_at (w.rollout, &m, 2, 1), 3 / 6.0, 1e-15);
    assert_near (measure_tasks_pass_at (w.rollout, &m, 2, 2), 2 / 3.0, 1e-15);
    /* The tasks' means 0.5, 0, 1 have the variance 1/4, their mean 1/12: as 3 episodes. */
    interval_t three = measure_wilson (0.5, 3);
    assert_near (rate.wide.low, three.low, 1e-12);
    assert_near (rate.wide.high, three.high, 1e-12);
    rollout_destroy (&w.rollout);
    /* Equal tasks: four independent episodes could not differ less. */
    world_open (&w, (double[]){1, 0, 1, 0});
    w.rollout->groups = 2;
    w.rollout->group[1] = w.rollout->group[2];
    err_t err = {0};
    free (w.rollout->episode);
    free (w.rollout->first_completion);
    free (w.rollout->rewards);
    assert_int_equal (rollout_index (w.rollout, &err), 0);
    measure_rollout (w.rollout, &m);
    rate = measure_tasks (w.rollout, &m, 2);
    assert_near (rate.wide.low, measure_wilson (0.5, 4).low, 1e-12);
    rollout_destroy (&w.rollout);
}

/*  0.1 has no exact double, nor has any sum of it. */
static void equal_rewards_have_no_spread (void **state)
{
    (void) state;
    world_t w;
    measure_t m;
    world_open (&w, (double[]){0.1, 0.1, 0.1, 0.1});
    measure_rollout (w.rollout, &m);
    assert_near (m.reward.mean, 0.1, 0);
    assert_near (m.reward.std, 0, 0);
    rollout_destroy (&w.rollout);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (schedule_rises_and_falls),
        cmocka_unit_test (wilson_interval),
        cmocka_unit_test (passes_among_k_samples),
        cmocka_unit_test (crc_of_known_texts),
        cmocka_unit_test (curves_are_framed_events),
        cmocka_unit_test (texts_and_settings_stand_beside_the_curves),
        cmocka_unit_test (curves_have_the_names_that_are_known),
        cmocka_unit_test (what_is_left_follows_from_the_last_steps),
        cmocka_unit_test (metrics_are_cut_to_a_checkpoint),
        cmocka_unit_test (a_folder_has_one_trainer),
        cmocka_unit_test (what_was_not_scored_moves_nothing),
        cmocka_unit_test (rollout_numbers_episodes_and_completions),
        cmocka_unit_test (samples_of_a_task_are_counted_together),
        cmocka_unit_test (samples_of_a_task_are_counted_together),
        cmocka_unit_test (equal_rewards_have_no_spread),
    };
    return cmocka_run_group_tests_name ("trainer", tests, make_dir, remove_dir);
}

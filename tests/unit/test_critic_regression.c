/* with: services/critic/regression.c services/critic/records.c */
/*  That the critic learns a simple return, explains what can be known and nothing else, and that
 *  its states are bounded and come back whole. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "critic_fixture.h"
#include "wire/wire.h"

static regression_t *new_regression (uint32_t replay)
{
    err_t err = {0};
    regression_t *r = regression_new (&(regression_shape_t){replay, shape.context}, &err);
    if (!r)
        fail_msg ("%s", err.text);
    return r;
}

static void learn_n (regression_t *regression, const records_t *records, const double *targets,
                     int n, regression_learnt_t *learnt)
{
    err_t err = {0};
    for (int i = 0; i < n; i++)
        if (regression_learn (regression, records, targets, learnt, &err) != 0)
            fail_msg ("%s", err.text);
}

static records_t *simple_records (const simple_t *simple, double *targets)
{
    err_t err = {0};
    records_t *records = records_new (simple->groups, EPISODES / 2, shape.context, &err);
    assert_non_null (records);
    assert_int_equal (records->n, 2 * EPISODES);
    for (size_t i = 0; i < records->n; i++)
        targets[i] = simple->returns[records->record[i].episode];
    return records;
}

static void values_learn_a_simple_return (void **state)
{
    (void) state;
    simple_t simple;
    double targets[2 * EPISODES], values[2 * EPISODES];
    simple_task (&simple);
    records_t *records = simple_records (&simple, targets);
    regression_t *regression = new_regression (shape.replay);
    regression_learnt_t first, last;
    err_t err = {0};
    learn_n (regression, records, targets, 1, &first);
    learn_n (regression, records, targets, 5, &last);
    assert_int_equal (regression_values (regression, records, values, &err), 0);
    for (size_t i = 0; i < records->n; i++) {
        const record_t *r = &records->record[i];
        double wanted =
            r->turn == 0 ? 0.5 : simple.returns[r->episode]; /* before: nobody can know */
        if (!(fabs (values[i] - wanted) < 0.1))
            fail_msg ("episode %u, turn %u: value %.3f, wanted %.1f", r->episode, r->turn,
                      values[i], wanted);
    }
    /* Half of the records have variance 1/4 that nothing explains: the least loss is 1/8. */
    assert_true (fabs (first.loss - 0.5) < 1e-12); /* of values 0 */
    assert_true (last.loss > 0.12 && last.loss < 0.14);
    assert_true (last.explained_variance > 0.45 && last.explained_variance < 0.51);
    regression_destroy (&regression);
    records_destroy (&records);
}

/*  Several times as many texts as it keeps, and more in one step than that. */
static void a_state_is_bounded (void **state)
{
    (void) state;
    simple_t simple;
    double targets[2 * EPISODES];
    simple_task (&simple);
    records_t *records = simple_records (&simple, targets);
    assert_int_equal (records->texts_n, 12); /* a first turn and two second ones, of each task */
    for (uint32_t replay = 1; replay <= 30; replay += 7) {
        regression_t *regression = new_regression (replay);
        regression_learnt_t learnt;
        buf_t full = {0}, later = {0};
        learn_n (regression, records, targets, 4, &learnt);
        regression_bytes (regression, &full);
        learn_n (regression, records, targets, 3, &learnt);
        regression_bytes (regression, &later);
        assert_true (isfinite (learnt.loss));
        assert_in_range (later.size, 56 + 48 * replay, 56 + 100 * replay);
        assert_in_range (later.size, full.size - 40, full.size + 40); /* others of its texts */
        regression_destroy (&regression);
        buf_free (&full);
        buf_free (&later);
    }
    records_destroy (&records);
}

static void expect_equal (const regression_t *a, const regression_t *b)
{
    buf_t x = {0}, y = {0};
    regression_bytes (a, &x);
    regression_bytes (b, &y);
    assert_int_equal (x.size, y.size);
    assert_memory_equal (x.data, y.data, x.size);
    buf_free (&x);
    buf_free (&y);
}

static void a_state_goes_on_where_it_was_kept (void **state)
{
    (void) state;
    simple_t simple;
    double targets[2 * EPISODES];
    simple_task (&simple);
    records_t *records = simple_records (&simple, targets);
    err_t err = {0};
    regression_learnt_t learnt;
    regression_t *regression = new_regression (20);
    learn_n (regression, records, targets, 3, &learnt);
    buf_t bytes = {0};
    regression_bytes (regression, &bytes);
    regression_t *copy = regression_copy (regression, &err);
    regression_t *parsed = regression_parse (bytes.data, bytes.size, &err);
    assert_true (copy && parsed);
    expect_equal (regression, copy);
    expect_equal (regression, parsed);
    learn_n (regression, records, targets, 3, &learnt);
    learn_n (copy, records, targets, 3, &learnt);
    learn_n (parsed, records, targets, 3, &learnt);
    expect_equal (regression, copy);
    expect_equal (regression, parsed);
    regression_destroy (&regression);
    regression_destroy (&copy);
    regression_destroy (&parsed);
    records_destroy (&records);
    buf_free (&bytes);
}

static void damaged_states_are_refused (void **state)
{
    (void) state;
    simple_t simple;
    double targets[2 * EPISODES];
    simple_task (&simple);
    records_t *records = simple_records (&simple, targets);
    regression_t *regression = new_regression (20);
    regression_learnt_t learnt;
    learn_n (regression, records, targets, 1, &learnt);
    buf_t bytes = {0};
    regression_bytes (regression, &bytes);
    regression_destroy (&regression);
    records_destroy (&records);
    size_t cuts[] = {0, 7, 55, 56, 100, bytes.size - 1};
    err_t err = {0};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++)
        assert_null (regression_parse (bytes.data, cuts[i], &err));
    /* Header: magic (0), the mean's upper half (20), replay (24), context (28), texts (32), rungs
     * (40 to 52). First entry, at 56: features of its brief (68) and of what was said (72), upper
     * halves of weight (84), target (92) and alpha (100). */
    static const struct {
        size_t at;
        uint32_t value;
    } lies[] = {{0, 0},           {20, 0x7ff80000}, {24, 0},          {24, 11},
                {24, 8193},       {24, UINT32_MAX}, {28, 0},          {28, UINT32_MAX},
                {32, 0},          {32, 11},         {32, 13},         {32, UINT32_MAX},
                {36, 1},          {40, 8},          {52, UINT32_MAX}, {68, 0},
                {68, 65537},      {68, UINT32_MAX}, {72, UINT32_MAX}, {84, 0x7ff00000},
                {84, 0x80000000}, {92, 0x7ff00000}, {100, 0xfff80000}};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        char *lying = malloc (bytes.size);
        assert_non_null (lying);
        memcpy (lying, bytes.data, bytes.size);
        memcpy (lying + lies[i].at, &lies[i].value, sizeof lies[i].value);
        regression_t *taken = regression_parse (lying, bytes.size, &err);
        if (taken)
            fail_msg ("byte %zu = %u is taken", lies[i].at, lies[i].value);
        assert_int_equal (err.code, ERR_INPUT);
        free (lying);
    }
    buf_free (&bytes);
}

/*  ---- how much it explains ------------------------------------------------------------------- */

static const char *const roles[] = {"aux", "main"};

#define FRESH_GROUPS 8
#define FRESH_SIZE   8
#define FRESH_TURNS  3
#define FRESH_STEPS  30

/*  A step of new episodes, each turn a few words by each of two seats. The first turn decides the
 *  reward: whether `aux` says a word of the good half of its words, and whether `main` says the one
 *  that the brief names. The other turns are noise. */
typedef struct {
    char brief[FRESH_GROUPS][32];
    char text[FRESH_GROUPS * FRESH_SIZE][FRESH_TURNS][2][64];
    wire_said_t said[FRESH_GROUPS * FRESH_SIZE][FRESH_TURNS][2];
    wire_turn_t turns[FRESH_GROUPS * FRESH_SIZE][FRESH_TURNS];
    wire_transcript_t transcripts[FRESH_GROUPS * FRESH_SIZE];
    wire_transcripts_t groups[FRESH_GROUPS];
    double returns[FRESH_GROUPS * FRESH_SIZE];
} fresh_t;

static uint32_t below (rng_t *rng, uint32_t n)
{
    return (uint32_t) rng_below (rng, n);
}

static void fresh_step (fresh_t *f, rng_t *rng)
{
    size_t e = 0;
    for (size_t g = 0; g < FRESH_GROUPS; g++) {
        uint32_t wanted = below (rng, 4);
        snprintf (f->brief[g], sizeof f->brief[g], "Say c%u.", wanted);
        f->groups[g] = (wire_transcripts_t){f->brief[g], roles, 2, &f->transcripts[e], FRESH_SIZE};
        for (size_t end = e + FRESH_SIZE; e < end; e++) {
            uint32_t word = below (rng, 8), colour = below (rng, 4);
            for (uint32_t t = 0; t < FRESH_TURNS; t++) {
                for (uint32_t role = 0; role < 2; role++) {
                    uint32_t noise = below (rng, 50), other = below (rng, 50);
                    snprintf (f->text[e][t][role], sizeof f->text[e][t][role], "n%u %c%u", noise,
                              t ? 'n' : "wc"[role],
                              t      ? other
                              : role ? colour
                                     : word);
                    f->said[e][t][role] = (wire_said_t){role, f->text[e][t][role]};
                }
                f->turns[e][t] = (wire_turn_t){.said = f->said[e][t], .said_n = 2};
            }
            f->transcripts[e] = (wire_transcript_t){f->turns[e], FRESH_TURNS};
            f->returns[e] = 0.7 * (word < 4) + 0.3 * (colour == wanted);
        }
    }
}

/*  The explained variance of fresh steps, each before it was learnt from. */
static void explain (bool decided, double *explained)
{
    static fresh_t fresh;
    rng_t rng = {.key = 5};
    err_t err = {0};
    regression_t *regression = new_regression (shape.replay);
    for (size_t step = 0; step < FRESH_STEPS; step++) {
        double targets[FRESH_GROUPS * FRESH_SIZE * FRESH_TURNS * 2];
        regression_learnt_t learnt;
        fresh_step (&fresh, &rng);
        for (size_t e = 0; !decided && e < FRESH_GROUPS * FRESH_SIZE; e++)
            fresh.returns[e] = rng_unit (&rng);
        records_t *records = records_new (fresh.groups, FRESH_GROUPS, shape.context, &err);
        assert_non_null (records);
        assert_int_equal (records->n, sizeof targets / sizeof *targets);
        for (size_t i = 0; i < records->n; i++)
            targets[i] = fresh.returns[records->record[i].episode];
        learn_n (regression, records, targets, 1, &learnt);
        explained[step] = learnt.explained_variance;
        records_destroy (&records);
    }
    regression_destroy (&regression);
}

static double mean_of (const double *explained, size_t first)
{
    double mean = 0;
    for (size_t i = first; i < FRESH_STEPS; i++)
        mean += explained[i] / (double) (FRESH_STEPS - first);
    return mean;
}

/*  Two thirds is all that can be known: before the first turn nobody knows anything. */
static void what_the_transcript_decides_is_explained (void **state)
{
    (void) state;
    double explained[FRESH_STEPS];
    explain (true, explained);
    double mean = mean_of (explained, 20);
    if (!(mean > 0.5 && mean < 0.667))
        fail_msg ("%.3f explained, wanted more than 0.5", mean);
}

/*  And what nothing decides is not: the values stay near the mean. */
static void chance_is_not_explained (void **state)
{
    (void) state;
    double explained[FRESH_STEPS];
    explain (false, explained);
    double mean = mean_of (explained, 10);
    if (!(fabs (mean) < 0.03))
        fail_msg ("%.3f of chance is explained", mean);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (values_learn_a_simple_return),
        cmocka_unit_test (what_the_transcript_decides_is_explained),
        cmocka_unit_test (chance_is_not_explained),
        cmocka_unit_test (a_state_is_bounded),
        cmocka_unit_test (a_state_goes_on_where_it_was_kept),
        cmocka_unit_test (damaged_states_are_refused),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

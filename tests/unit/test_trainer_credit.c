/* with: services/trainer/rollout.c services/trainer/batch.c services/trainer/credit.c */
/*  From rewards to what is trained: credit of completions, and the batches that hold them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../services/trainer/batch.h"
#include "../../services/trainer/credit.h"
#include "learn/advantage.h"
#include "rollout_fixture.h"

#define assert_near(got, want, tolerance)                                                          \
    do {                                                                                           \
        double got_ = (got), want_ = (want);                                                       \
        if (!(fabs (got_ - want_) <= (tolerance)))                                                 \
            fail_msg ("%s = %.17g, want %.17g", #got, got_, want_);                                \
    } while (0)

static credit_options_t credit_options (const char *credits)
{
    static const char *const roles[] = {"aux", "main"};
    credit_options_t options = {
        .assign.scale = ASSIGN_SCALE_GROUP, .roles = roles, .roles_n = 2, .team = 1};
    err_t err = {0};
    assert_int_equal (assign_parse (credits, &options.credits, &err), 0);
    return options;
}

static void batches_hold_what_teaches (void **state)
{
    (void) state;
    world_t w;
    world_open (&w, (double[]){1, 0, 0.5, 0.5});
    err_t err = {0};
    credit_t credit = {0};
    credit_options_t options = credit_options ("joint");
    assert_int_equal (credit_compute (&credit, w.rollout, &options, NULL, &err), 0);
    assert_int_equal (credit.zero_spread, 1); /* the dead one is counted elsewhere */
    size_t policies[] = {0, 0};
    batch_source_t source = {
        .rollout = w.rollout, .advantages = credit.advantages, .policies = policies, .policy = 0};
    batch_t *batch = batch_new (&source, 0, 3, &err);
    assert_int_equal (batch->groups_n, 3); /* the three prompts of group 0 */
    assert_int_equal (batch->items_n, 6);
    assert_int_equal (batch->tokens, 2 + 3 + 1 + 1 + 3 + 3);
    assert_int_equal (batch->norm.sequences, 10); /* counted though left out */
    assert_int_equal (batch->norm.tokens, 13 + 4 + 1 + 6 + 1);
    assert_int_equal (batch->items[2].number, 1);
    assert_int_equal (batch->items[3].number, 4);
    assert_int_equal (batch->items[3].first_token, 6);
    assert_true (batch->items[0].advantage > 0 && batch->items[1].advantage < 0);
    batch_destroy (&batch);

    source.keep_flat = source.mask_truncated = true;
    policies[1] = 1;
    batch = batch_new (&source, 2, 3, &err);
    assert_int_equal (batch->items_n, 1); /* role 0 of group 2, without the one that was cut */
    assert_int_equal (batch->norm.sequences, 2);
    assert_int_equal (batch->norm.tokens, 4);
    batch_destroy (&batch);
    credit_free (&credit);
    rollout_destroy (&w.rollout);
}

/*  Episode 0 plays role 0 at 0 and 2, role 1 at 1; the others are as the world says. Credit is told
 *  of each completion whose it is. */
static void credit_knows_whose_completions_are (void **state)
{
    (void) state;
    world_t w;
    world_open (&w, (double[]){1, 0, 0.5, 0.25});
    err_t err = {0};
    credit_t credit = {0};
    double values[10];
    for (size_t i = 0; i < 10; i++)
        values[i] = 0.1 * (double) i;
    credit_options_t options = credit_options ("critic");
    options.assign.lambda = 1;
    assert_int_equal (credit_compute (&credit, w.rollout, &options, values, &err), 0);
    /* lambda 1: reward minus value, normalised. */
    double want[10], rewards[] = {1, 1, 1, 0, 0, 0, 0.5, 0.5, 0.25, 0.25};
    for (size_t i = 0; i < 10; i++)
        want[i] = rewards[i] - values[i];
    advantage_normalise (want, 10);
    for (size_t i = 0; i < 10; i++)
        assert_near (credit.advantages[i], want[i], 1e-12);
    /* Each role in each turn against the other episode: of two, the difference. */
    options = credit_options ("role_turn");
    options.assign.scale = ASSIGN_SCALE_NONE;
    assert_int_equal (credit_compute (&credit, w.rollout, &options, values, &err), 0);
    for (size_t i = 0; i < 10; i++)
        assert_near (credit.advantages[i], i < 3 ? 1 : i < 6 ? -1 : i < 8 ? 0.25 : -0.25, 1e-12);
    credit_free (&credit);
    rollout_destroy (&w.rollout);
}

/*  Equal joint rewards, and main the better the later its episode. */
static void roles_may_be_rewarded_by_themselves (void **state)
{
    (void) state;
    world_t w;
    world_open (&w, (double[]){0.5, 0.5, 0.5, 0.5});
    wire_part_t local[4][2];
    for (size_t e = 0; e < 4; e++) {
        local[e][0] = (wire_part_t){"main", 0.1 * (double) e};
        local[e][1] = (wire_part_t){"aux", 1};
        w.episodes[e].reward.local = local[e];
        w.episodes[e].reward.local_n = 2;
    }
    err_t err = {0};
    credit_t credit = {0};
    credit_options_t options = credit_options ("role");
    options.assign.scale = ASSIGN_SCALE_NONE;
    assert_int_equal (credit_compute (&credit, w.rollout, &options, NULL, &err), 0);
    assert_int_equal (credit.zero_spread, 2);
    options.local = 2;
    assert_int_equal (credit_compute (&credit, w.rollout, &options, NULL, &err), 0);
    assert_int_equal (credit.zero_spread, 0);
    assert_near (credit.advantages[0], 0, 0);
    assert_near (credit.advantages[1], -0.1, 1e-15);
    assert_near (credit.advantages[4], 0.1, 1e-15);
    options.divisor = 4; /* of all that is rewarded */
    assert_int_equal (credit_compute (&credit, w.rollout, &options, NULL, &err), 0);
    assert_near (credit.advantages[1], -0.025, 1e-15);
    w.episodes[2].reward.local_n = 1;
    assert_int_equal (credit_compute (&credit, w.rollout, &options, NULL, &err), -1);
    assert_int_equal (err.code, ERR_INPUT);
    assert_non_null (strstr (err.text, "no local part of role aux"));
    credit_free (&credit);
    rollout_destroy (&w.rollout);
}

/*  Played R 1 0 | 0.5 0.5; of the samples i of aux and j of main, R_01 and R_10 were scored, and
 *  each episode without aux and without main. */
static void teams_that_were_not_played_count (void **state)
{
    (void) state;
    world_t w;
    world_open (&w, (double[]){1, 0, 0.5, 0.5});
    const double others[2][6] = {{0.6, 0.2, 0.1, 0.2, 0, 0.4}, {0.5, 0.5, 0, 0, 0, 0}};
    for (size_t g = 0; g < 2; g++) {
        w.groups[g].others = others[g];
        w.groups[g].others_n = 6;
    }
    err_t err = {0};
    credit_t credit = {0};
    credit_options_t options = credit_options ("cross");
    options.assign.scale = ASSIGN_SCALE_NONE;
    options.mates = (mates_t){.cross = true, .removal = true};
    assert_int_equal (credit_compute (&credit, w.rollout, &options, NULL, &err), 0);
    assert_int_equal (credit.zero_spread, 1);
    /* aux: means over mates 0.8 and 0.1; main: 0.6 and 0.3. */
    assert_near (credit.advantages[0], 0.35, 1e-15);
    assert_near (credit.advantages[1], 0.15, 1e-15);
    assert_near (credit.advantages[2], 0.35, 1e-15);
    assert_near (credit.advantages[3], -0.35, 1e-15);
    options = credit_options ("removal");
    options.assign.scale = ASSIGN_SCALE_NONE;
    options.mates = (mates_t){.cross = true, .removal = true};
    assert_int_equal (credit_compute (&credit, w.rollout, &options, NULL, &err), 0);
    /* aux: 1 - 0.1 and 0 - 0; main: 1 - 0.2 and 0 - 0.4. */
    assert_near (credit.advantages[0], 0.45, 1e-15);
    assert_near (credit.advantages[1], 0.6, 1e-15);
    assert_near (credit.advantages[4], -0.6, 1e-15);
    /* What overlong completions cost counts in teams as in episodes: here all the same. */
    options = credit_options ("cross");
    options.assign.scale = ASSIGN_SCALE_NONE;
    options.mates = (mates_t){.cross = true, .removal = true};
    options.max_tokens = 1;
    options.overlong_tokens = 1;
    assert_int_equal (credit_compute (&credit, w.rollout, &options, NULL, &err), 0);
    assert_near (credit.advantages[0], 0.35, 1e-14);
    assert_near (credit.overlong, -1, 1e-14);
    credit_free (&credit);
    rollout_destroy (&w.rollout);
}

/*  Lengths 2 1 3 | 3 1 3 and, past the limit of 3, 4 1 | 6 1: equal rewards differ by their
 *  lengths. */
static void overlong_completions_cost_reward (void **state)
{
    (void) state;
    world_t w;
    world_open (&w, (double[]){0.5, 0.5, 0.5, 0.5});
    err_t err = {0};
    credit_t credit = {0};
    credit_options_t options = credit_options ("joint");
    options.assign.scale = ASSIGN_SCALE_NONE;
    options.max_tokens = 3;
    options.overlong_tokens = 2;
    assert_int_equal (credit_compute (&credit, w.rollout, &options, NULL, &err), 0);
    assert_near (credit.overlong, -(0.5 + 2.0 / 3 + 0.5 + 0.5) / 4, 1e-15);
    assert_int_equal (credit.zero_spread, 1);
    assert_near (credit.advantages[0], (2.0 / 3 - 0.5) / 2, 1e-15);
    assert_near (credit.advantages[3], -(2.0 / 3 - 0.5) / 2, 1e-15);
    credit_free (&credit);
    rollout_destroy (&w.rollout);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (batches_hold_what_teaches),
        cmocka_unit_test (credit_knows_whose_completions_are),
        cmocka_unit_test (roles_may_be_rewarded_by_themselves),
        cmocka_unit_test (teams_that_were_not_played_count),
        cmocka_unit_test (overlong_completions_cost_reward),
    };
    return cmocka_run_group_tests_name ("trainer_credit", tests, NULL, NULL);
}

/*  credit assignment: values worked out by hand, and what must hold for any rewards. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "learn/advantage.h"
#include "learn/assign.h"

#define assert_near(got, want, tolerance)                                                          \
    do {                                                                                           \
        double got_ = (got), want_ = (want);                                                       \
        if (!(fabs (got_ - want_) <= (tolerance)))                                                 \
            fail_msg ("%s = %.17g, want %.17g", #got, got_, want_);                                \
    } while (0)

#define MOST 256 /* completions of a step here */

/*  A step that is built episode by episode; of is what assign_step is given. */
typedef struct {
    size_t first_episode[16], first_completion[MOST];
    uint32_t role[MOST], turn[MOST];
    double rewards[MOST], own[MOST], values[MOST], mates[MOST];
    double advantages[MOST];
    size_t flat;
    assign_step_t of;
} step_t;

static void open_step (step_t *s)
{
    memset (s, 0, sizeof *s);
    s->of = (assign_step_t){.first_episode = s->first_episode,
                            .first_completion = s->first_completion,
                            .role = s->role,
                            .turn = s->turn,
                            .rewards = s->rewards};
}

static void end_group (step_t *s)
{
    s->first_episode[++s->of.groups] = s->of.episodes;
}

/*  Every role acts in every turn. */
static void add_episode (step_t *s, double reward, size_t roles, size_t turns)
{
    s->rewards[s->of.episodes++] = reward;
    for (size_t t = 0; t < turns; t++)
        for (size_t r = 0; r < roles; r++) {
            size_t c = s->of.completions++;
            s->role[c] = (uint32_t) r;
            s->turn[c] = (uint32_t) t;
            s->own[c] = reward;
        }
    s->first_completion[s->of.episodes] = s->of.completions;
}

static void assign (step_t *s, const char *credits, assign_options_t options)
{
    assign_list_t list;
    err_t err = {0};
    assert_int_equal (assign_parse (credits, &list, &err), 0);
    assert_int_equal (assign_step (&s->of, &list, &options, s->advantages, &s->flat, &err), 0);
}

static const assign_options_t by_group = {.scale = ASSIGN_SCALE_GROUP},
                              by_batch = {.scale = ASSIGN_SCALE_BATCH},
                              plain = {.scale = ASSIGN_SCALE_NONE};

/*  Groups 1 2 3 6 | 5 5 5 | 0 1, one agent. */
static void open_singles (step_t *s)
{
    static const double rewards[] = {1, 2, 3, 6, 5, 5, 5, 0, 1};
    open_step (s);
    for (size_t i = 0; i < 9; i++) {
        add_episode (s, rewards[i], 1, 1);
        if (i == 3 || i == 6 || i == 8)
            end_group (s);
    }
}

static void joint_compares_within_the_group (void **state)
{
    (void) state;
    step_t s;
    open_singles (&s);
    assign (&s, "joint", by_group);
    double std = sqrt (14.0 / 3); /* deviations -2 -1 0 3 */
    assert_near (s.advantages[0], -2 / (std + 1e-4), 1e-15);
    assert_near (s.advantages[2], 0, 1e-15);
    assert_near (s.advantages[3], 3 / (std + 1e-4), 1e-15);
    assert_near (s.advantages[8], 0.5 / (sqrt (0.5) + 1e-4), 1e-15);
    double all = advantage_spread (s.rewards, 9).std;
    assign (&s, "group", plain); /* joint's other name */
    assert_near (s.advantages[0], -2, 1e-15);
    double none[9];
    memcpy (none, s.advantages, sizeof none);
    assign (&s, "joint", by_batch);
    for (int i = 0; i < 9; i++)
        assert_near (s.advantages[i] * (all + 1e-4), none[i], 1e-14);
}

/*  Rewards are the same, one after the other; and one episode alone. */
static void equal_rewards_teach_nothing (void **state)
{
    (void) state;
    static const char *const credits[] = {"joint", "role", "role_turn", "cross", "removal"};
    const assign_options_t scales[] = {by_group, by_batch, plain};
    for (size_t i = 0; i < 15; i++) {
        step_t s;
        open_singles (&s);
        assign (&s, credits[i % 5], scales[i / 5]);
        assert_int_equal (s.flat, 1);
        for (int e = 4; e < 7; e++)
            assert_near (s.advantages[e], 0, 0);
        open_step (&s);
        add_episode (&s, 3, 2, 2);
        end_group (&s);
        end_group (&s); /* a dead one, which is counted elsewhere */
        assign (&s, credits[i % 5], scales[i / 5]);
        assert_int_equal (s.flat, 1);
        assert_near (s.advantages[3], 0, 0);
    }
}

static void rloo_compares_with_the_others (void **state)
{
    (void) state;
    step_t s;
    open_singles (&s);
    assign (&s, "joint", (assign_options_t){.scale = ASSIGN_SCALE_NONE, .leave_one_out = true});
    assert_near (s.advantages[0], 1 - (2 + 3 + 6) / 3.0, 1e-14);
    assert_near (s.advantages[3], 6 - (1 + 2 + 3) / 3.0, 1e-14);
    assert_near (s.advantages[7], -1, 1e-14);
    assert_int_equal (s.flat, 1);
}

/*  Two roles whose own rewards differ: 1 0 | 3 0 | 2 6. */
static void role_compares_what_one_role_got (void **state)
{
    (void) state;
    static const double own[] = {1, 0, 3, 0, 2, 6};
    step_t s;
    open_step (&s);
    for (size_t e = 0; e < 3; e++)
        add_episode (&s, 7, 2, 1);
    end_group (&s);
    memcpy (s.own, own, sizeof own);
    s.of.own = s.own;
    assign (&s, "role", by_group);
    assert_near (s.advantages[0], -1 / (1 + 1e-4), 1e-15);
    assert_near (s.advantages[2], 1 / (1 + 1e-4), 1e-15);
    assert_near (s.advantages[4], 0, 1e-15);
    double std = sqrt ((4 + 4 + 16) / 2.0);
    assert_near (s.advantages[1], -2 / (std + 1e-4), 1e-15);
    assert_near (s.advantages[5], 4 / (std + 1e-4), 1e-15);
    assert_int_equal (s.flat, 0);
    assign (&s, "joint", by_group);
    assert_int_equal (s.flat, 1);
}

/*  Episodes of 1, 2 and 2 turns with rewards 1, 4 and 10: the first turn is compared among three,
 *  the second among those two that reach it. */
static void turns_are_compared_among_those_that_reach_them (void **state)
{
    (void) state;
    step_t s;
    open_step (&s);
    add_episode (&s, 1, 1, 1);
    add_episode (&s, 4, 1, 2);
    add_episode (&s, 10, 1, 2);
    end_group (&s);
    s.of.own = s.own;
    assign (&s, "role_turn", plain);
    assert_near (s.advantages[0], 1 - 7, 1e-14);
    assert_near (s.advantages[1], 4 - 5.5, 1e-14);
    assert_near (s.advantages[2], 4 - 10, 1e-14);
    assert_near (s.advantages[3], 10 - 2.5, 1e-14);
    assert_near (s.advantages[4], 10 - 4, 1e-14);
    /* With a third turn of its own, an episode has nothing to be compared with there. */
    open_step (&s);
    add_episode (&s, 1, 1, 3);
    add_episode (&s, 4, 1, 2);
    end_group (&s);
    assign (&s, "role_turn", plain);
    assert_near (s.advantages[0], -3, 1e-14);
    assert_near (s.advantages[2], 0, 0);
}

/*  Random groups of 2 roles; in some episodes of ragged ones a second turn is played. */
static void open_random (step_t *s, uint64_t seed, bool ragged)
{
    open_step (s);
    for (size_t g = 0; g < 5; g++) {
        for (size_t e = 0; e < 6; e++) {
            size_t before = s->of.completions;
            uint64_t at = 100 * g + e;
            add_episode (s, rng_uniform_d (seed, at), 2,
                         ragged && rng_uniform_d (seed + 1, at) > 0.5 ? 2 : 1);
            for (size_t c = before; c < s->of.completions; c++) {
                s->own[c] += s->role[c];
                s->values[c] = rng_uniform_d (seed + 2, c);
                s->mates[c] = rng_uniform_d (seed + 3, c);
            }
        }
        end_group (s);
    }
    s->of.own = s->own;
    s->of.values = s->values;
    s->of.mates = s->of.without = s->mates;
}

/*  Every block sums to 0; and roles that always act get what joint gives while nothing but the
 *  joint reward is theirs. */
static void advantages_of_a_block_sum_to_0 (void **state)
{
    (void) state;
    static const char *const credits[] = {"joint", "role", "role_turn", "cross", "removal"};
    for (size_t i = 0; i < 5; i++) {
        step_t s;
        open_random (&s, 7, false);
        assign (&s, credits[i], by_group);
        for (size_t g = 0; g < 5; g++)
            for (uint32_t r = 0; r < 2; r++) {
                double sum = 0;
                for (size_t c = 12 * g; c < 12 * g + 12; c++)
                    sum += s.role[c] == r ? s.advantages[c] : 0;
                assert_near (sum, 0, 1e-12);
            }
    }
    step_t joint, role;
    open_random (&joint, 8, false);
    open_random (&role, 8, false);
    role.of.own = NULL;
    assign (&joint, "joint", by_group);
    assign (&role, "role", by_group);
    for (size_t c = 0; c < joint.of.completions; c++)
        assert_near (role.advantages[c], joint.advantages[c], 0);
}

/*  The order of a group's episodes is nobody's doing. */
static void episodes_may_stand_in_any_order (void **state)
{
    (void) state;
    static const char *const credits[] = {"joint",  "role",         "role_turn",
                                          "critic", "joint+critic", "role_turn+role+joint",
                                          "cross",  "removal+cross"};
    for (size_t i = 0; i < sizeof credits / sizeof *credits; i++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            step_t s, turned;
            open_random (&s, 10 * seed, true);
            /* Each group's episodes backwards, as they are otherwise. */
            open_step (&turned);
            size_t to[MOST] = {0};
            for (size_t g = 0; g < 5; g++) {
                for (size_t e = s.first_episode[g + 1]; e-- > s.first_episode[g];) {
                    size_t from = s.first_completion[e], n = s.first_completion[e + 1] - from;
                    for (size_t c = 0; c < n; c++) {
                        size_t at = turned.of.completions++;
                        to[from + c] = at;
                        turned.role[at] = s.role[from + c];
                        turned.turn[at] = s.turn[from + c];
                        turned.own[at] = s.own[from + c];
                        turned.values[at] = s.values[from + c];
                        turned.mates[at] = s.mates[from + c];
                    }
                    turned.rewards[turned.of.episodes++] = s.rewards[e];
                    turned.first_completion[turned.of.episodes] = turned.of.completions;
                }
                end_group (&turned);
            }
            turned.of.own = turned.own;
            turned.of.values = turned.values;
            turned.of.mates = turned.of.without = turned.mates;
            assign (&s, credits[i], by_group);
            assign (&turned, credits[i], by_group);
            for (size_t c = 0; c < s.of.completions; c++)
                assert_near (turned.advantages[to[c]], s.advantages[c], 1e-12);
        }
}

/*  Rewards 1 0 of two roles whose samples are worth 0.8 0.1 and 0.6 0.3 with other mates, and
 *  without which 0.1 0 and 0.2 0.4 are left. */
static void samples_are_credited_with_their_own_worth (void **state)
{
    (void) state;
    const double mates[] = {0.8, 0.6, 0.1, 0.3}, without[] = {0.1, 0.2, 0, 0.4};
    step_t s;
    open_step (&s);
    add_episode (&s, 1, 2, 1);
    add_episode (&s, 0, 2, 1);
    end_group (&s);
    s.of.mates = mates;
    s.of.without = without;
    assign (&s, "cross", plain);
    assert_near (s.advantages[0], 0.35, 1e-15);
    assert_near (s.advantages[1], 0.15, 1e-15);
    assert_near (s.advantages[3], -0.15, 1e-15);
    assign (&s, "cross", by_group);
    assert_near (s.advantages[1], 0.15 / (0.3 / sqrt (2) + 1e-4), 1e-14);
    assign (&s, "removal", plain);
    assert_near (s.advantages[0], 0.45, 1e-15);
    assert_near (s.advantages[1], 0.6, 1e-15);
    assert_near (s.advantages[3], -0.6, 1e-15);
}

/*  Where rewards are sums of what the roles are worth, cross finds these, whoever the mates were;
 *  and its shares add up to those of the played episodes, as joint has them. */
static void cross_finds_the_parts_of_a_sum (void **state)
{
    (void) state;
    double worth[2][6], mean[2] = {0}, mates[12];
    for (size_t i = 0; i < 12; i++) {
        worth[i / 6][i % 6] = rng_uniform_d (11, i);
        mean[i / 6] += worth[i / 6][i % 6] / 6;
    }
    step_t s;
    open_step (&s);
    for (size_t e = 0; e < 6; e++) {
        add_episode (&s, worth[0][e] + worth[1][e], 2, 1);
        mates[2 * e] = worth[0][e] + mean[1];
        mates[2 * e + 1] = worth[1][e] + mean[0];
    }
    end_group (&s);
    s.of.mates = mates;
    assign (&s, "cross", plain);
    for (size_t e = 0; e < 6; e++) {
        assert_near (s.advantages[2 * e], worth[0][e] - mean[0], 1e-14);
        assert_near (s.advantages[2 * e] + s.advantages[2 * e + 1],
                     s.rewards[e] - mean[0] - mean[1], 1e-14);
    }
}

/*  lambda 1: reward minus value. Roles alternate within a turn, and each follows its own turns. */
static void critic_follows_the_turns_of_a_role (void **state)
{
    (void) state;
    step_t s;
    open_random (&s, 3, true);
    assign (&s, "critic", (assign_options_t){.lambda = 1});
    double want[MOST];
    for (size_t e = 0; e < s.of.episodes; e++)
        for (size_t c = s.first_completion[e]; c < s.first_completion[e + 1]; c++)
            want[c] = s.rewards[e] - s.values[c];
    advantage_normalise (want, s.of.completions);
    for (size_t c = 0; c < s.of.completions; c++)
        assert_near (s.advantages[c], want[c], 1e-12);
}

/*  A critic that nobody trusts has no values. */
static void mixtures_are_means_of_what_is_there (void **state)
{
    (void) state;
    step_t joint, critic, both;
    open_random (&joint, 4, true);
    open_random (&critic, 4, true);
    open_random (&both, 4, true);
    assign (&joint, "joint", by_group);
    assign (&critic, "critic", by_group);
    assign (&both, "group+critic", by_group);
    advantage_normalise (joint.advantages, joint.of.completions);
    for (size_t c = 0; c < both.of.completions; c++)
        assert_near (both.advantages[c], (joint.advantages[c] + critic.advantages[c]) / 2, 1e-12);
    assign (&joint, "joint", by_group);
    both.of.values = critic.of.values = NULL;
    assign (&both, "joint+critic", by_group);
    assign (&critic, "critic", by_group);
    for (size_t c = 0; c < both.of.completions; c++) {
        assert_near (both.advantages[c], joint.advantages[c], 0);
        assert_near (critic.advantages[c], joint.advantages[c], 0);
    }
}

static void names_are_checked (void **state)
{
    (void) state;
    static const struct {
        const char *names, *says;
    } wrong[] = {{"", "'' is no credit: joint, role"},
                 {"joint+", "'' is no credit"},
                 {"joint,role", "'joint,role' is no credit"},
                 {"joint+group", "names 'joint' twice"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assign_list_t list;
        err_t err = {0};
        assert_int_equal (assign_parse (wrong[i].names, &list, &err), -1);
        if (!strstr (err.text, wrong[i].says))
            fail_msg ("'%s', want '%s'", err.text, wrong[i].says);
    }
}

static void formulas_say_what_is_compared (void **state)
{
    (void) state;
    static const struct {
        const char *credit;
        assign_scale_t scale;
        const char *formula;
    } cases[] = {{"joint", ASSIGN_SCALE_GROUP, "(R - mean_group) / (std_group + 1e-4)"},
                 {"joint", ASSIGN_SCALE_BATCH, "(R - mean_group) / (std_batch + 1e-4)"},
                 {"role", ASSIGN_SCALE_NONE, "(R_role - mean_role)"},
                 {"role_turn", ASSIGN_SCALE_GROUP,
                  "(R_role - mean_others_of_role_turn) / (std_role_turn + 1e-4)"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_t text = {0};
        assign_formula (assign_find (cases[i].credit), &(assign_options_t){.scale = cases[i].scale},
                        &text);
        assert_string_equal (text.data, cases[i].formula);
        buf_free (&text);
    }
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (joint_compares_within_the_group),
        cmocka_unit_test (equal_rewards_teach_nothing),
        cmocka_unit_test (rloo_compares_with_the_others),
        cmocka_unit_test (role_compares_what_one_role_got),
        cmocka_unit_test (turns_are_compared_among_those_that_reach_them),
        cmocka_unit_test (advantages_of_a_block_sum_to_0),
        cmocka_unit_test (episodes_may_stand_in_any_order),
        cmocka_unit_test (samples_are_credited_with_their_own_worth),
        cmocka_unit_test (cross_finds_the_parts_of_a_sum),
        cmocka_unit_test (critic_follows_the_turns_of_a_role),
        cmocka_unit_test (mixtures_are_means_of_what_is_there),
        cmocka_unit_test (names_are_checked),
        cmocka_unit_test (formulas_say_what_is_compared),
    };
    return cmocka_run_group_tests_name ("assign", tests, NULL, NULL);
}

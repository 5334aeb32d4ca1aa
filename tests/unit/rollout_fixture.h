/*  rollout_fixture - a step that was played, small enough to be looked through.
 *
 *      world_t w;
 *      world_open (&w, (double[]){1, 0, 0.5, 0.5});                    rewards of its episodes
 *      rollout_destroy (&w.rollout);
 */
#ifndef QUINTET_TESTS_ROLLOUT_FIXTURE_H
#define QUINTET_TESTS_ROLLOUT_FIXTURE_H

#include "../../services/trainer/rollout.h"

/*  Two groups of two episodes and a dead one between them; two roles, two turns in group 0. */
static const int32_t world_ids[] = {1, 2, 3, 4, 5, 6};
static const float world_logps[] = {-1, -1, -1, -1, -1, -1};

static inline wire_completion_t world_completion (uint32_t role, uint32_t turn, uint32_t prompt,
                                                  size_t n)
{
    return (wire_completion_t){.role = role,
                               .turn = turn,
                               .prompt = prompt,
                               .ids = {.data = world_ids, .n = n},
                               .logps = world_logps,
                               .stopped = n < 6};
}

typedef struct {
    wire_ids_t prompts[3];
    wire_completion_t completions[6][4];
    wire_episode_t episodes[4];
    wire_episodes_t groups[2];
    rollout_t *rollout;
} world_t;

/*  A reward that is NAN: of an episode that was not scored. */
static inline void world_open (world_t *w, const double rewards[4])
{
    err_t err = {0};
    for (size_t i = 0; i < 3; i++)
        w->prompts[i] = (wire_ids_t){.data = world_ids, .n = i + 1};
    for (size_t e = 0; e < 4; e++) {
        wire_completion_t *c = w->completions[e];
        c[0] = world_completion (0, 0, 0, 2 + e);
        c[1] = world_completion (1, 0, 1, 1);
        c[2] = world_completion (0, 1, 2, 3);
        w->episodes[e] = (wire_episode_t){.history = "{\"turns\":[]}",
                                          .reward = {.reward = isnan (rewards[e]) ? 0 : rewards[e],
                                                     .quality = isnan (rewards[e]) ? 0 : rewards[e],
                                                     .success = rewards[e] > 0.5,
                                                     .unscored = isnan (rewards[e])},
                                          .completions = c,
                                          .completions_n = e < 2 ? 3 : 2,
                                          .tokens = (uint32_t[]){6, 7, 5, 7}[e],
                                          .critical_path = (uint32_t[]){5, 6, 4, 6}[e]};
    }
    w->completions[3][0] = world_completion (0, 0, 0, 6); /* cut by the length limit */
    for (size_t g = 0; g < 2; g++)
        w->groups[g] = (wire_episodes_t){.group = 2 * g,
                                         .prompts = w->prompts,
                                         .prompts_n = g ? 2 : 3,
                                         .episodes = w->episodes + 2 * g,
                                         .episodes_n = 2};
    w->rollout = rollout_new (3, &err);
    assert_non_null (w->rollout);
    w->rollout->group[0] = &w->groups[0];
    w->rollout->group[2] = &w->groups[1];
    assert_int_equal (rollout_add (w->rollout, 1, NULL, 0, "why", NULL, &err), 0);
    assert_int_equal (rollout_index (w->rollout, &err), 0);
}

#endif

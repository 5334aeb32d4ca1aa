/*  score_fixture - what the tests of families' scorers share. Include after cmocka.h. */
#ifndef QUINTET_TESTS_SCORE_FIXTURE_H
#define QUINTET_TESTS_SCORE_FIXTURE_H

#include <string.h>

#include "task/family.h"
#include "task/reward.h"

/*  A part of the quality. */
static inline double part_of (const reward_score_t *s, const char *name)
{
    for (size_t i = 0; i < s->parts_n; i++)
        if (strcmp (s->parts[i].name, name) == 0)
            return s->parts[i].value;
    fail_msg ("no part '%s'", name);
    return 0;
}

/*  Scores an episode of one turn, in which each role writes its text. */
static inline reward_score_t score_turn (const char *family, const char *task, size_t tokens,
                                         const char *const *roles, size_t n,
                                         const char *const *texts)
{
    err_t err = {0};
    episode_limits_t limits = {.tokens = tokens, .turns = 1};
    reward_score_t score;
    episode_t *e = episode_new (task, roles, n, &limits, &err);
    for (size_t r = 0; e && r < n; r++) {
        episode_action_t action = {.text = texts[r], .size = strlen (texts[r]), .tokens = 24};
        assert_int_equal (episode_act (e, r, &action, &err), 0);
    }
    if (!e || episode_step (e, &err) != 0 ||
        family_find (family)->score (e, &(task_capabilities_t){0}, &score, &err) != 0)
        fail_msg ("%s", err.text);
    episode_destroy (&e);
    return score;
}

#endif

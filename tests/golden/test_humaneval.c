/* with: services/reward/ */
/*  HumanEval's canonical solutions must pass, all of them, and a wrong one must not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../services/reward/sandbox.h"
#include "task/family.h"
#include "task/task.h"

static json_t *run (void *sandbox, const json_t *request, err_t *err)
{
    return sandbox_run (sandbox, request, err);
}

static int score_in (sandbox_t *sandbox, const episode_t *episode, reward_score_t *score,
                     err_t *err)
{
    const task_sandbox_t lent = {.self = sandbox, .run = run};
    return family_find ("coding")->score (episode, &(task_capabilities_t){.sandbox = &lent}, score,
                                          err);
}

/*  Plays one task with a fixed completion and scores it. */
static reward_score_t play (sandbox_t *sandbox, const char *task, const char *text)
{
    static const char *const seats[] = {"solo"};
    err_t err = {0};
    episode_limits_t limits = {.tokens = 1000};
    episode_t *episode = episode_new (task, seats, 1, &limits, &err);
    if (!episode)
        fail_msg ("%s", err.text);
    episode_action_t action = {.text = text, .size = strlen (text), .tokens = 100};
    assert_int_equal (episode_act (episode, 0, &action, &err), 0);
    assert_int_equal (episode_step (episode, &err), 0);
    reward_score_t score;
    if (score_in (sandbox, episode, &score, &err) != 0)
        fail_msg ("%s", err.text);
    episode_destroy (&episode);
    return score;
}

static void canonical_solutions_pass (void **state)
{
    (void) state;
    err_t err = {0};
    task_options_t options = {
        .family = "coding", .path = "deploy/data/HumanEval.jsonl.gz", .seed = 1};
    task_set_t *set = task_set_open (&options, &err);
    if (!set)
        fail_msg ("%s", err.text);
    sandbox_t *sandbox = sandbox_new ("", WALL_LANDLOCK, &err);
    if (!sandbox)
        fail_msg ("%s", err.text);
    size_t n = task_set_size (set, TASK_TRAIN), passed = 0, refused = 0;
    for (size_t i = 0; i < n; i++) {
        json_t *task = json_loads (task_set_get (set, TASK_TRAIN, i), 0, NULL);
        const char *solution = json_string_value (json_object_get (task, "canonical_solution"));
        reward_score_t score = play (sandbox, task_set_get (set, TASK_TRAIN, i), solution);
        passed += score.success;
        if (!score.success)
            printf ("# %s: %s\n", json_string_value (json_object_get (task, "id")), score.verdict);
        if (i < 10)
            refused +=
                !play (sandbox, task_set_get (set, TASK_TRAIN, i), "    return None\n").success;
        json_decref (task);
    }
    printf ("# HumanEval: %zu of %zu canonical solutions pass\n", passed, n);
    assert_int_equal (n, 164);
    assert_int_equal (passed, 164);
    assert_int_equal (refused, 10);
    sandbox_destroy (&sandbox);
    task_set_destroy (&set);
}

int main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (canonical_solutions_pass)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}

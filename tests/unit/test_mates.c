/*  Teams that were never played: which there are, and what they said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "task/episode.h"
#include "task/mates.h"

static void teams_are_counted (void **state)
{
    (void) state;
    const mates_t cross = {.cross = true}, removal = {.removal = true}, both = {true, true};
    assert_int_equal (mates_count (&cross, 2, 8), 8 * 7);
    assert_int_equal (mates_count (&removal, 2, 8), 8 * 2);
    assert_int_equal (mates_count (&both, 2, 8), 8 * 7 + 8 * 2);
    assert_int_equal (mates_count (&removal, 5, 4), 4 * 5);
    assert_int_equal (mates_count (&both, 1, 8), 0);
    assert_int_equal (mates_count (&(mates_t){0}, 3, 8), 0);
    for (size_t n = 1; n <= MATES_EPISODES_MAX; n++) /* with those that were played */
        assert_true (n + mates_count (&cross, 3, n) <= 4 * n * n);
    assert_int_equal (mates_count (&cross, 3, 2), 2 * 2 * 2 - 2); /* all there are */
}

/*  Of three roles: no team twice, none that was played; each pair of samples in as many teams as
 *  any other, but for those that were played. */
static void three_roles_meet_evenly (void **state)
{
    (void) state;
    enum { N = 7 };
    mates_teams_t teams;
    err_t err = {0};
    assert_int_equal (mates_teams (&(mates_t){.cross = true}, 3, N, &teams, &err), 0);
    static int met[3][N][N], seen[N][N][N];
    memset (met, 0, sizeof met);
    memset (seen, 0, sizeof seen);
    for (size_t k = 0; k < teams.n; k++) {
        const uint32_t *team = teams.of + 3 * k;
        assert_true (team[0] < N && team[1] < N && team[2] < N);
        assert_false (team[0] == team[1] && team[1] == team[2]);
        assert_int_equal (seen[team[0]][team[1]][team[2]]++, 0);
        for (size_t r = 0; r < 3; r++)
            met[r][team[r]][team[(r + 1) % 3]]++;
    }
    for (size_t r = 0; r < 3; r++)
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < N; j++)
                assert_true (met[r][i][j] == 3 || (i == j && met[r][i][j] == 2));
    mates_free (&teams);
}

static void what_is_too_much_is_refused (void **state)
{
    (void) state;
    mates_teams_t teams;
    err_t err = {0};
    assert_int_equal (mates_teams (&(mates_t){.cross = true}, 4, 8, &teams, &err), -1);
    assert_int_equal (err.code, ERR_INPUT);
    assert_int_equal (mates_teams (&(mates_t){.cross = true}, 2, 1 << 16, &teams, &err), -1);
    assert_int_equal (mates_count (&(mates_t){.cross = true}, 2, 1 << 16), 0);
}

static const char *const roles[] = {"aux", "main"};

/*  The history of an episode in which aux says a and main says m. */
static char *history (const char *a, const char *m, size_t turns)
{
    err_t err = {0};
    episode_limits_t limits = {.tokens = 72, .turns = turns};
    episode_t *e = episode_new ("{\"id\":\"t\",\"family\":\"coding\",\"brief\":\"b\"}", roles, 2,
                                &limits, &err);
    if (!e)
        fail_msg ("%s", err.text);
    for (size_t t = 0; t < turns; t++) {
        const char *const texts[] = {a, m};
        for (size_t r = 0; r < 2; r++)
            assert_int_equal (episode_act (e, r,
                                           &(episode_action_t){.text = texts[r],
                                                               .size = strlen (texts[r]),
                                                               .tokens = strlen (texts[r])},
                                           &err),
                              0);
        assert_int_equal (episode_step (e, &err), 0);
    }
    buf_t text = {0};
    assert_int_equal (episode_history (e, &text, &err), 0);
    episode_destroy (&e);
    return buf_take (&text);
}

/*  What the episode of a history says by role, and its tokens. */
static void expect (const char *text, const char *a, const char *m)
{
    err_t err = {0};
    episode_limits_t limits = {.tokens = 72, .turns = 1};
    episode_t *e = episode_new ("{\"id\":\"t\",\"family\":\"coding\",\"brief\":\"b\"}", roles, 2,
                                &limits, &err);
    if (!e || episode_replay (e, text, strlen (text), &err) != 0)
        fail_msg ("%s: %s", text, err.text);
    const json_t *actions = json_object_get (
        json_array_get (json_object_get (episode_json (e), "turns"), 0), "actions");
    assert_string_equal (json_string_value (json_object_get (json_array_get (actions, 0), "text")),
                         a);
    assert_string_equal (json_string_value (json_object_get (json_array_get (actions, 1), "text")),
                         m);
    assert_int_equal (episode_tokens (e), strlen (a) + strlen (m));
    assert_true (episode_done (e));
    episode_destroy (&e);
}

static void samples_stand_for_each_other (void **state)
{
    (void) state;
    err_t err = {0};
    mates_teams_t teams;
    char *played[] = {history ("a", "mm", 1), history ("aaa", "mmmm", 1)}, *texts[6];
    assert_int_equal (mates_teams (&(mates_t){true, true}, 2, 2, &teams, &err), 0);
    assert_int_equal (teams.n, 6);
    if (mates_write (&teams, roles, (const char *const *) played, 2, texts, &err) != 0)
        fail_msg ("%s", err.text);
    expect (texts[0], "a", "mmmm");
    expect (texts[1], "aaa", "mm");
    expect (texts[2], "", "mm");
    expect (texts[3], "a", "");
    expect (texts[4], "", "mmmm");
    expect (texts[5], "aaa", "");
    for (size_t k = 0; k < 6; k++)
        free (texts[k]);
    mates_free (&teams);
    free (played[0]);
    free (played[1]);
}

static void turns_after_the_first_do_not_cross (void **state)
{
    (void) state;
    err_t err = {0};
    mates_teams_t teams;
    char *played[] = {history ("a", "m", 2), history ("a", "m", 2)}, *texts[6];
    assert_int_equal (mates_teams (&(mates_t){.cross = true}, 2, 2, &teams, &err), 0);
    assert_int_equal (mates_write (&teams, roles, (const char *const *) played, 2, texts, &err),
                      -1);
    assert_int_equal (err.code, ERR_INPUT);
    assert_non_null (strstr (err.text, "one turn in which all roles act"));
    for (size_t k = 0; k < teams.n; k++)
        free (texts[k]);
    mates_free (&teams);
    free (played[0]);
    free (played[1]);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (teams_are_counted),
        cmocka_unit_test (three_roles_meet_evenly),
        cmocka_unit_test (what_is_too_much_is_refused),
        cmocka_unit_test (samples_stand_for_each_other),
        cmocka_unit_test (turns_after_the_first_do_not_cross),
    };
    return cmocka_run_group_tests_name ("mates", tests, NULL, NULL);
}

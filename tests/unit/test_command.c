/* with: services/reward/ */
/*  Scorer programs of a user's own that fail: what is said of them, and when they are given up. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../services/reward/command.h"

static episode_t *play (void)
{
    static const char *const roles[] = {"solo"};
    err_t err = {0};
    episode_limits_t limits = {.tokens = 72, .turns = 1};
    episode_t *episode = episode_new ("{\"id\":\"w\",\"family\":\"writing\",\"brief\":\"b\"}",
                                      roles, 1, &limits, &err);
    if (!episode)
        fail_msg ("%s", err.text);
    episode_action_t action = {.text = "words", .size = 5, .tokens = 2};
    assert_int_equal (episode_act (episode, 0, &action, &err), 0);
    assert_int_equal (episode_step (episode, &err), 0);
    return episode;
}

/*  Scores n episodes with the program; what is said of the last one. */
static int score (const char *program, double seconds, int n, reward_score_t *score, err_t *err)
{
    episode_t *episode = play ();
    command_t *command = command_new (program, err);
    int rc = 0;
    assert_non_null (command);
    for (int i = 0; i < n; i++)
        rc = command_score (command, episode, seconds, score, err);
    command_destroy (&command);
    episode_destroy (&episode);
    return rc;
}

static void expect_error (const char *program, double seconds, int n, err_code_t code,
                          const char *text)
{
    reward_score_t s;
    err_t err = {0};
    assert_int_equal (score (program, seconds, n, &s, &err), -1);
    if (err.code != code || !strstr (err.text, text))
        fail_msg ("'%s': %s: %s (and not %s: %s)", program, err_name (err.code), err.text,
                  err_name (code), text);
}

static void one_that_never_answers_is_given_up_with_its_last_words (void **state)
{
    (void) state;
    expect_error ("read line; echo first >&2; echo 'KeyError: x' >&2; exit 1", 20, 1, ERR_CONFIG,
                  "it ended without an answer (status 1); it said last: first | KeyError: x");
    expect_error ("exec /nonexistent/program", 20, 1, ERR_CONFIG, "command not found (127)");
    expect_error ("kill -9 $$", 20, 1, ERR_CONFIG, "was killed by signal 9");
    expect_error ("while read line; do echo no; done", 20, 1, ERR_CONFIG, "it answered 'no'");
}

/*  Marks under a line of a traceback, and blanks, push out nothing that tells more. */
static void last_words_are_those_that_tell_something (void **state)
{
    (void) state;
    expect_error ("read line; printf 'a\\nb\\n  ^^~~^^\\n\\nc\\n' >&2; exit 1", 20, 1, ERR_CONFIG,
                  "it said last: a | b | c");
    expect_error ("read line; printf 'not yet ended' >&2; exit 1", 20, 1, ERR_CONFIG,
                  "it said last: not yet ended");
}

static void one_that_is_too_slow_three_times_is_given_up (void **state)
{
    (void) state;
    static const char slow[] = "echo waits >&2; exec sleep 1000";
    expect_error (slow, 0.1, 1, ERR_TIMEOUT,
                  "within 0.1 s (reward.command_s); it said last: waits");
    expect_error (slow, 0.1, 2, ERR_TIMEOUT, "within 0.1 s");
    expect_error (slow, 0.1, 3, ERR_CONFIG, "within 0.1 s");
}

/*  It has answered before, so it is a scorer: what it cannot score is the episode. */
static void one_that_answered_before_fails_of_an_episode_alone (void **state)
{
    (void) state;
    char dir[] = "/tmp/quintet-command-XXXXXX";
    char program[200];
    assert_non_null (mkdtemp (dir));
    snprintf (program, sizeof program,
              "read line; [ -e %s/answered ] && exit 3; touch %s/answered; echo '{\"quality\": 1}'",
              dir, dir);
    expect_error (program, 20, 2, ERR_INPUT, "status 3");
    snprintf (program, sizeof program, "%s/answered", dir);
    assert_int_equal (unlink (program), 0);
    assert_int_equal (rmdir (dir), 0);
}

/*  More than a pipe holds, before the answer: it is read, or the program would never come to it. */
static void one_that_says_much_is_not_stopped_by_it (void **state)
{
    (void) state;
    reward_score_t s;
    err_t err = {0};
    if (score ("while read line; do head -c 300000 /dev/zero >&2; echo '{\"quality\": 0.5}'; done",
               20, 2, &s, &err) != 0)
        fail_msg ("%s", err.text);
}

static void what_an_answer_does_not_say_is_not_known (void **state)
{
    (void) state;
    reward_score_t s;
    err_t err = {0};
    assert_int_equal (score ("read line; echo '{\"quality\": 1}'", 20, 1, &s, &err), 0);
    assert_true (s.success_unknown && s.agreement_unknown);
    assert_int_equal (score ("read line; echo '{\"quality\": 0, \"success\": true, "
                             "\"agreement\": 0.5, \"local\": {\"solo\": 0.25}}'",
                             20, 1, &s, &err),
                      0);
    assert_int_equal (s.local_n, 1);
    assert_string_equal (s.local[0].name, "solo");
    assert_true (s.local[0].value > 0.24 && s.local[0].value < 0.26);
    assert_false (s.success_unknown || s.agreement_unknown);
    assert_true (s.success && s.agreement > 0.49 && s.agreement < 0.51);
}

/*  Left out they would vanish in silence: no pass rate, and no such part in any table. */
static void what_an_answer_says_wrongly_is_named (void **state)
{
    (void) state;
    static const struct {
        const char *members, *wanted;
    } wrong[] = {{"\"success\": 1", "\"success\": 1; true or false"},
                 {"\"success\": \"yes\"", "\"success\": \"yes\"; true or false"},
                 {"\"agreement\": true", "\"agreement\": true; a number from 0 to 1"},
                 {"\"agreement\": 2", "\"agreement\": 2; parts are"},
                 {"\"words\": 120", "\"words\": 120; parts are"},
                 {"\"depth\": -0.5", "\"depth\": -0.5; parts are"},
                 {"\"local\": 0.5", "\"local\" that is no object"},
                 {"\"local\": {\"main\": 0.5}", "\"local\": {\"main\": ...}; roles of the team"},
                 {"\"local\": {\"solo\": 2}", "\"local\": {\"solo\": ...}; roles of the team"}};
    char program[160];
    reward_score_t s;
    err_t err = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf (program, sizeof program,
                  "while read line; do echo '{\"quality\": 0.5, %s}'; done", wrong[i].members);
        assert_int_equal (score (program, 20, 1, &s, &err), -1);
        if (!strstr (err.text, wrong[i].wanted))
            fail_msg ("'%s' is wanted, got '%s'", wrong[i].wanted, err.text);
    }
    assert_int_equal (score ("read line; echo '{\"quality\": 1.0000000001, \"success\": null, "
                             "\"half\": 0.5, \"why\": \"text\", \"list\": [7]}'",
                             20, 1, &s, &err),
                      0);
    assert_true (s.success_unknown && s.parts_n == 1 && s.quality <= 1);
}

/*  The last line of a stream may lack its end; half an answer is none for that. */
static void an_answer_may_end_with_its_program (void **state)
{
    (void) state;
    reward_score_t s;
    err_t err = {0};
    assert_int_equal (score ("read line; printf '{\"quality\": 0.25}'", 20, 3, &s, &err), 0);
    assert_true (s.quality > 0.24 && s.quality < 0.26);
    expect_error ("read line; printf '{\"quality\": 0.25'", 20, 1, ERR_CONFIG,
                  "it answered '{\"quality\": 0.25'");
}

int main (void)
{
    signal (SIGPIPE, SIG_IGN); /* as every service does (lib/svc) */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (one_that_never_answers_is_given_up_with_its_last_words),
        cmocka_unit_test (last_words_are_those_that_tell_something),
        cmocka_unit_test (one_that_is_too_slow_three_times_is_given_up),
        cmocka_unit_test (one_that_answered_before_fails_of_an_episode_alone),
        cmocka_unit_test (one_that_says_much_is_not_stopped_by_it),
        cmocka_unit_test (what_an_answer_says_wrongly_is_named),
        cmocka_unit_test (what_an_answer_does_not_say_is_not_known),
        cmocka_unit_test (an_answer_may_end_with_its_program),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

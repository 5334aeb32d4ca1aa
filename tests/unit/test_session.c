/*  Environments of a user's own: what they are sent, what is made of their answers, and that
 *  neither a death nor a restart changes an episode. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "program/session.h"
#include "task/episode.h"

/*  Asks aux and main in turn, and ends behind the third turn. What it is sent goes to the standard
 *  error of the test, or into a file. %s: a statement before each answer. */
#define PROGRAM                                                                                    \
    "exec python3 -c '\nimport json, os, sys\nseen = {}\nlog = open(\"%s\", \"a\")\n"              \
    "for line in sys.stdin:\n  log.write(line); log.flush()\n  m = json.loads(line)\n"             \
    "  e = m[\"episode\"]\n  if m[\"op\"] == \"close\": del seen[e]; continue\n"                   \
    "  if m[\"op\"] == \"reset\": seen[e] = [str(m[\"seed\"])]\n"                                  \
    "  else: seen[e] += [r + a[\"text\"] for r, a in m[\"actions\"].items()]\n"                    \
    "  n = len(seen[e])\n  %s\n"                                                                   \
    "  out = {\"done\": True, \"quality\": 0.5, \"success\": True, \"parts\": {\"p\": 1}, "        \
    "\"local\": {\"aux\": 0.25}, \"verdict\": \"fine\"} if n == 4 else "                           \
    "{\"observe\": {[\"aux\", \"main\"][n %% 2]: \" \".join(seen[e])}}\n"                          \
    "  print(json.dumps(out), flush=True)\n'"

static char dir[64], log_path[96], once[96];
static err_t err;

static int open_dir (void **state)
{
    (void) state;
    snprintf (dir, sizeof dir, "/tmp/quintet-test-XXXXXX");
    assert_non_null (mkdtemp (dir));
    snprintf (log_path, sizeof log_path, "%s/log", dir);
    snprintf (once, sizeof once, "%s/once", dir);
    return 0;
}

static int close_dir (void **state)
{
    (void) state;
    unlink (log_path);
    unlink (once);
    return rmdir (dir);
}

static session_t *session_of (const char *statement)
{
    char command[4096];
    unlink (log_path);
    unlink (once);
    snprintf (command, sizeof command, PROGRAM, log_path, statement);
    session_t *session = session_new (command, &err);
    assert_non_null (session);
    return session;
}

static episode_t *begin (size_t turns)
{
    static const char *const roles[] = {"aux", "main"};
    episode_limits_t limits = {.tokens = 8, .turns = turns};
    episode_t *episode =
        episode_new ("{\"id\":\"seed/7\",\"seed\":7,\"family\":\"external\",\"level\":3}", roles, 2,
                     &limits, &err);
    if (!episode)
        fail_msg ("%s", err.text);
    return episode;
}

/*  One answer; -1 with err. */
static int tell (session_t *session, episode_t *episode, const char *id, double seconds)
{
    buf_t record = {0}, line = {0};
    err = (err_t){0};
    assert_true (episode_waits (episode));
    assert_int_equal (episode_so_far (episode, id, &record, &err), 0);
    int rc = session_play (session, record.data, record.size, seconds, &line, &err);
    if (rc == 0)
        assert_int_equal (err.code, ERR_NONE); /* its callers go by that */
    json_t *answer = rc == 0 ? json_loadb (line.data, line.size, 0, NULL) : NULL;
    if (rc == 0 && episode_told (episode, answer, &err) != 0)
        fail_msg ("%s", err.text);
    json_decref (answer);
    buf_free (&record);
    buf_free (&line);
    return rc;
}

/*  Those who were asked say a word. */
static void act (episode_t *episode)
{
    static const char *const words[] = {"a", "b"};
    for (size_t r = 0; r < 2; r++) {
        episode_action_t action = {.text = words[r], .size = 1, .tokens = 2};
        if (episode_acts (episode, r))
            assert_int_equal (episode_act (episode, r, &action, &err), 0);
    }
    if (episode_step (episode, &err) != 0)
        fail_msg ("%s", err.text);
}

static void finish (session_t *session, episode_t *episode, const char *id)
{
    while (!episode_done (episode)) {
        if (tell (session, episode, id, 20) != 0)
            fail_msg ("%s", err.text);
        if (!episode_done (episode))
            act (episode);
    }
}

static char *history_of (const episode_t *episode)
{
    buf_t text = {0};
    assert_int_equal (episode_history (episode, &text, &err), 0);
    return buf_take (&text);
}

/*  Lines of the log that hold a text. */
static int logged (const char *text)
{
    char line[4096];
    int n = 0;
    FILE *file = fopen (log_path, "r");
    assert_non_null (file);
    while (fgets (line, sizeof line, file))
        n += strstr (line, text) != NULL;
    fclose (file);
    return n;
}

static void an_episode_goes_as_its_program_says (void **state)
{
    (void) state;
    session_t *session = session_of ("pass");
    episode_t *episode = begin (8);
    buf_t prompt = {0};
    assert_int_equal (tell (session, episode, "e", 20), 0);
    assert_false (episode_acts (episode, 0));
    assert_true (episode_acts (episode, 1));
    assert_int_equal (episode_observe (episode, 1, &prompt, &err), 0);
    assert_int_equal (prompt.size, 1);
    assert_memory_equal (prompt.data, "7", 1);
    buf_free (&prompt);
    act (episode);
    finish (session, episode, "e");
    const json_t *outcome = json_object_get (episode_json (episode), "outcome");
    assert_true (json_number_value (json_object_get (outcome, "quality")) == 0.5);
    assert_null (json_object_get (outcome, "done"));
    assert_int_equal (episode_turn (episode), 3);
    /* One reset with the task and its own members, and one line for each turn. */
    assert_int_equal (logged ("\"op\":\"reset\",\"episode\":\"e\",\"seed\":7"), 1);
    assert_int_equal (logged ("\"level\":3"), 1);
    assert_int_equal (logged ("\"limits\":{\"tokens\":8,\"turns\":8}"), 1);
    assert_int_equal (logged ("\"op\":\"step\""), 3);
    assert_int_equal (logged ("{\"text\":\"b\",\"tokens\":2,\"truncated\":false}"), 2);
    episode_destroy (&episode);
    session_destroy (&session);
}

/*  A replay of the history is the same episode, with what it was worth. */
static void a_history_has_what_was_asked_and_what_it_was_worth (void **state)
{
    (void) state;
    session_t *session = session_of ("pass");
    episode_t *episode = begin (8), *again = begin (8);
    finish (session, episode, "e");
    char *history = history_of (episode);
    assert_non_null (strstr (history, "\"observed\":{\"main\":\"7\"}"));
    if (episode_replay (again, history, strlen (history), &err) != 0)
        fail_msg ("%s", err.text);
    assert_true (episode_done (again));
    assert_true (json_equal (episode_json (again), episode_json (episode)));
    free (history);
    episode_destroy (&again);
    again = begin (8);
    history = strdup ("{\"turns\":[{\"actions\":[]}]}");
    assert_int_equal (episode_replay (again, history, strlen (history), &err), -1);
    assert_non_null (strstr (err.text, "turn 0 has no \"observed\""));
    free (history);
    episode_destroy (&again);
    episode_destroy (&episode);
    session_destroy (&session);
}

static void many_are_open_at_once_and_those_that_are_left_are_closed (void **state)
{
    (void) state;
    session_t *session = session_of ("pass");
    episode_t *episodes[3];
    const char *const ids[] = {"r/1/0", "r/1/1", "r/2/0"};
    for (int e = 0; e < 3; e++) {
        episodes[e] = begin (8);
        assert_int_equal (tell (session, episodes[e], ids[e], 20), 0);
    }
    session_close (session, "r/1/");
    act (episodes[2]);
    finish (session, episodes[2], ids[2]);
    assert_int_equal (logged ("\"op\":\"reset\""), 3);
    assert_int_equal (logged ("\"op\":\"close\""), 2);
    assert_int_equal (logged ("{\"op\":\"close\",\"episode\":\"r/2/0\"}"), 0);
    for (int e = 0; e < 3; e++)
        episode_destroy (&episodes[e]);
    session_destroy (&session);
}

/*  Dies once, in the middle of the second of two episodes. */
static void a_death_loses_no_episode (void **state)
{
    (void) state;
    char dies[512];
    session_t *session = session_of ("pass");
    episode_t *plain[2], *killed[2];
    for (int e = 0; e < 2; e++) {
        plain[e] = begin (8);
        finish (session, plain[e], "e");
        killed[e] = begin (8);
    }
    session_destroy (&session);
    snprintf (dies, sizeof dies,
              "if n == 3 and e == \"y\" and not os.path.exists(\"%s\"): open(\"%s\", \"w\"); "
              "os._exit(3)",
              once, once);
    session = session_of (dies);
    assert_int_equal (tell (session, killed[0], "x", 20), 0);
    act (killed[0]);
    finish (session, killed[1], "y");
    finish (session, killed[0], "x");
    assert_int_equal (logged ("\"op\":\"reset\""), 4); /* each was begun again */
    for (int e = 0; e < 2; e++) {
        assert_true (json_equal (episode_json (killed[e]), episode_json (plain[e])));
        episode_destroy (&killed[e]);
        episode_destroy (&plain[e]);
    }
    session_destroy (&session);
}

/*  What was shown before and what is answered now must be the same. */
static void one_that_answers_otherwise_after_a_restart_is_begun_anew (void **state)
{
    (void) state;
    char dies[512];
    snprintf (dies, sizeof dies,
              "seen[e][0] = str(os.getpid())\n"
              "  if n == 2 and not os.path.exists(\"%s\"): open(\"%s\", \"w\"); os._exit(3)",
              once, once);
    session_t *session = session_of (dies);
    episode_t *episode = begin (8);
    assert_int_equal (tell (session, episode, "e", 20), 0);
    act (episode);
    assert_int_equal (tell (session, episode, "e", 20), -1);
    assert_int_equal (err.code, ERR_STALE);
    assert_non_null (strstr (err.text, "in turn 1 it answered otherwise"));
    episode_destroy (&episode);
    session_destroy (&session);
}

static void *stop_once_asked (void *session)
{
    while (access (log_path, R_OK) != 0 || logged ("\"op\":\"reset\"") == 0)
        usleep (1000);
    session_stop (session);
    return NULL;
}

/*  Whoever ends waits neither for an answer nor for more tries. */
static void what_hangs_can_be_stopped (void **state)
{
    (void) state;
    pthread_t thread;
    session_t *session = session_of ("import time; time.sleep(3600)");
    episode_t *episode = begin (8);
    assert_int_equal (pthread_create (&thread, NULL, stop_once_asked, session), 0);
    assert_int_equal (tell (session, episode, "e", 3600), -1);
    assert_int_equal (err.code, ERR_STALE);
    assert_non_null (strstr (err.text, "it was given up"));
    pthread_join (thread, NULL);
    assert_int_equal (logged ("\"op\":\"reset\""), 1);
    episode_destroy (&episode);
    session_destroy (&session);
}

/*  Each is started again, and then ends the run: with its name, what is wrong, and its last
 *  words. */
static void what_fails_every_time_is_told (void **state)
{
    (void) state;
    static const struct {
        const char *statement;
        double seconds;
        const char *text;
    } cases[] = {
        {"print(\"KeyError: x\", file=sys.stderr); os._exit(4)", 20,
         "it ended without an answer (status 4); it said last: KeyError: x"},
        {"import time; time.sleep(60)", 0.2, "it did not answer within 0.2 s (task.program_s)"},
        {"print(\"hello\", flush=True); continue", 20, "it answered 'hello'; a line like"},
        {"print(\"[1]\", flush=True); continue", 20, "it answered '[1]'"},
        {"print(\"{}\", flush=True); continue", 20, "neither \"observe\" nor \"done\""},
        {"print(json.dumps({\"observe\": {\"boss\": \"x\"}}), flush=True); continue", 20,
         "\"observe\": {\"boss\": ...}, and the team has no such role (team.roles)"},
        {"print(json.dumps({\"observe\": {\"aux\": \"\"}}), flush=True); continue", 20,
         "\"observe\": {\"aux\": ...} without a text"},
        {"print(json.dumps({\"observe\": {\"aux\": [{\"role\": \"user\"}]}}), flush=True); "
         "continue",
         20, "lists of messages are not supported"},
        {"print(json.dumps({\"observe\": {}}), flush=True); continue", 20, "without a role"},
        {"print(json.dumps({\"observe\": {\"aux\": \"x\"}, \"episode\": \"z\"}), flush=True); "
         "continue",
         20, "its answer has \"episode\": \"z\", asked was e"},
        {"print(json.dumps({\"done\": True, \"quality\": 1}), flush=True); continue", 20,
         "its answer to a reset is {\"done\": ...}: somebody has to act first"},
        {"print(json.dumps({\"done\": 1, \"quality\": 1}), flush=True); continue", 20,
         "\"done\" that is neither true nor false"},
        {"print(json.dumps({\"observe\": {\"aux\": \"x\"}}) * 2, flush=True); continue", 20,
         "it answered '"},
        {"print(\"{}\\n{}\", flush=True); continue", 20, "more than one line for each"},
        {"print(\"x\" * (17 << 20), flush=True); continue", 20, "its answer is too long"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        session_t *session = session_of (cases[i].statement);
        episode_t *episode = begin (8);
        int rc = tell (session, episode, "e", cases[i].seconds);
        if (rc == 0 || err.code != ERR_CONFIG || !strstr (err.text, cases[i].text) ||
            strncmp (err.text, "environment 'exec python3", 25) != 0)
            fail_msg ("case %zu: %s: %s", i, err_name (err.code), err.text);
        if (cases[i].seconds > 1) /* else it may have had no time to write anything */
            assert_int_equal (logged ("\"op\":\"reset\""), 3);
        episode_destroy (&episode);
        session_destroy (&session);
    }
}

static void what_an_outcome_says_wrongly_is_told (void **state)
{
    (void) state;
    static const char *const cases[][2] = {
        {"{\"done\": True}", "its answer needs \"quality\""},
        {"{\"done\": True, \"quality\": 1.5}", "a number from 0 to 1"},
        {"{\"done\": True, \"quality\": 1, \"turns\": 0.5}", "has a part 'turns'"},
        {"{\"done\": True, \"quality\": 1, \"parts\": {\"\": 1}}", "has a part ''"},
        {"{\"done\": True, \"quality\": 1, \"parts\": {\"p\": 2}}", "\"parts\": {\"p\": ...}"},
        {"{\"done\": True, \"quality\": 1, \"parts\": [1]}", "\"parts\" that is no object"},
        {"{\"done\": True, \"quality\": 1, \"local\": {\"boss\": 1}}", "\"local\": {\"boss\""},
        {"{\"done\": True, \"quality\": 1, \"success\": 1}", "\"success\": 1"},
        {"{\"done\": True, \"quality\": 1, \"observe\": {\"aux\": \"x\"}}",
         "\"observe\" beside \"done\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char statement[512];
        snprintf (statement, sizeof statement,
                  "if n == 2: print(json.dumps(%s), flush=True); continue", cases[i][0]);
        session_t *session = session_of (statement);
        episode_t *episode = begin (8);
        assert_int_equal (tell (session, episode, "e", 20), 0);
        act (episode);
        if (tell (session, episode, "e", 20) == 0 || !strstr (err.text, cases[i][1]))
            fail_msg ("case %zu: %s", i, err.text);
        episode_destroy (&episode);
        session_destroy (&session);
    }
}

static void an_episode_without_an_end_is_told (void **state)
{
    (void) state;
    session_t *session = session_of ("pass");
    episode_t *episode = begin (2); /* it wants three */
    for (int t = 0; t < 2; t++) {
        assert_int_equal (tell (session, episode, "e", 20), 0);
        act (episode);
    }
    assert_int_equal (tell (session, episode, "e", 20), -1);
    assert_int_equal (err.code, ERR_CONFIG);
    assert_non_null (strstr (err.text, "after 2 turns it has not answered {\"done\": true"));
    episode_destroy (&episode);
    session_destroy (&session);
}

static void one_that_is_not_there_is_not_tried_again (void **state)
{
    (void) state;
    session_t *session = session_new ("/no/such/program", &err);
    episode_t *episode = begin (8);
    assert_int_equal (tell (session, episode, "e", 20), -1);
    assert_int_equal (err.code, ERR_CONFIG);
    assert_non_null (strstr (err.text, "command not found (127)"));
    episode_destroy (&episode);
    session_destroy (&session);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (an_episode_goes_as_its_program_says),
        cmocka_unit_test (a_history_has_what_was_asked_and_what_it_was_worth),
        cmocka_unit_test (many_are_open_at_once_and_those_that_are_left_are_closed),
        cmocka_unit_test (a_death_loses_no_episode),
        cmocka_unit_test (one_that_answers_otherwise_after_a_restart_is_begun_anew),
        cmocka_unit_test (what_hangs_can_be_stopped),
        cmocka_unit_test (what_fails_every_time_is_told),
        cmocka_unit_test (what_an_outcome_says_wrongly_is_told),
        cmocka_unit_test (an_episode_without_an_end_is_told),
        cmocka_unit_test (one_that_is_not_there_is_not_tried_again),
    };
    return cmocka_run_group_tests (tests, open_dir, close_dir);
}

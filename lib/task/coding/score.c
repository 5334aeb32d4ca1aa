/*  score - a coding episode: the team's file is run against the task's hidden tests. See
 *  coding.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "task/coding/coding.h"

typedef struct {
    bool syntax, defined;
    json_int_t watched;
    size_t passed, tests;
    char why[256];
} coding_outcome_t;

/*  Whether the team has a helper whose work must be used: a seat that writes one; in the built-in
 *  set ("parts") also `solo`, which there writes both, so that one agent and two do the same work.
 *  In users' tasks nobody has told a single agent that a helper is wanted. */
static bool coding_has_helper (const json_t *state)
{
    const json_t *task = json_object_get (state, "task");
    const json_t *roles = json_object_get (state, "roles"), *role;
    bool ours = json_is_array (json_object_get (task, "parts")), found = false;
    size_t i;
    json_array_foreach (roles, i, role) {
        const char *name = json_string_value (role) ? json_string_value (role) : "";
        found = found || coding_is_helper (name) || (ours && strcmp (name, "solo") == 0);
    }
    return found;
}

/*  The run's limits on CPU time, or none: then the sandbox has its own. Takes the request over. */
static json_t *coding_ask (const task_sandbox_t *sandbox, const json_t *state, json_t *request,
                           err_t *err)
{
    static const char *const keys[] = {"cpu_s", "cpu_total_s"};
    const json_t *limits = json_object_get (state, "limits");
    json_t *answer = NULL;
    /* Who has no helper need not be asked for its use, which takes a second run. */
    if (request)
        json_object_set_new (request, "watch",
                             json_string (coding_has_helper (state) ? "aux" : ""));
    for (size_t i = 0; request && i < sizeof keys / sizeof *keys; i++)
        if (json_object_get (limits, keys[i]))
            json_object_set (request, keys[i], json_object_get (limits, keys[i]));
    if (request)
        answer = sandbox->run (sandbox->self, request, err);
    else
        err_set (err, ERR_LIMIT, "no memory for a program");
    json_decref (request);
    return answer;
}

/*  The first test that failed, for people: what was called, what came, what was wanted. */
static void coding_explain (coding_outcome_t *o, const json_t *test, const json_t *result,
                            const char *entry)
{
    const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII; /* so it can be cut */
    const char *kind = json_string_value (json_array_get (result, 0)),
               *raises = json_string_value (json_object_get (test, "raises"));
    char *args = json_dumps (json_object_get (test, "args"), flags);
    char *wanted = json_dumps (json_object_get (test, "result"), flags);
    char *got = json_dumps (json_array_get (result, 1), flags);
    size_t n = args ? strlen (args) : 0, got_n = got ? strlen (got) : 0;
    snprintf (o->why, sizeof o->why, "%s(%.*s) %s %.*s, not %.60s", entry,
              n > 2 && n < 80 ? (int) n - 2 : 0, n > 2 ? args + 1 : "",
              kind && strcmp (kind, "incomparable") == 0 ? "cannot be compared:" : "gave",
              got_n > 2 ? (int) (got_n - 2 < 100 ? got_n - 2 : 100) : 7,
              got_n > 2 ? got + 1 : "nothing",
              raises   ? raises
              : wanted ? wanted
                       : "");
    free (args);
    free (wanted);
    free (got);
}

/*  Neither what a call should give nor what is in it ever gets to where the program runs, so that
 *  no program can look its expected results up: another process compares. */
static int coding_run_tests (const task_sandbox_t *sandbox, const json_t *state,
                             coding_outcome_t *o, err_t *err)
{
    const json_t *task = json_object_get (state, "task");
    const char *entry = family_text (task, "entry_point");
    json_t *tests = json_object_get (task, "tests"), *test;
    json_t *calls = json_array ();
    size_t i;
    o->tests = json_array_size (tests);
    json_array_foreach (tests, i, test)
        json_array_append_new (calls, json_pack ("[s, O]", entry, json_object_get (test, "args")));
    json_t *answer =
        coding_ask (sandbox, state,
                    json_pack ("{s:s, s:o, s:O}", "program", family_text (state, "artifact"),
                               "calls", calls, "wanted", tests),
                    err);
    if (!answer)
        return -1;
    const json_t *results = json_object_get (answer, "results");
    json_array_foreach (tests, i, test) {
        const json_t *result = json_array_get (results, i);
        const char *kind = json_string_value (json_array_get (result, 0));
        bool right = kind && strcmp (kind, "right") == 0;
        o->passed += right;
        if (!right && !o->why[0] && result)
            coding_explain (o, test, result, entry);
    }
    o->syntax = json_is_true (json_object_get (answer, "syntax"));
    o->defined = json_is_true (json_object_get (answer, "defined"));
    o->watched = json_integer_value (json_object_get (answer, "watched"));
    const char *killed = family_text (answer, "killed");
    if (*killed)
        snprintf (o->why, sizeof o->why, "stopped: %s", killed);
    else if (*family_text (answer, "why"))
        reward_cut (o->why, sizeof o->why, family_text (answer, "why"));
    json_decref (answer);
    return 0;
}

/*  HumanEval: one test, `check (candidate)`, run in a process of its own. */
static int coding_run_check (const task_sandbox_t *sandbox, const json_t *state,
                             coding_outcome_t *o, err_t *err)
{
    const json_t *task = json_object_get (state, "task");
    json_t *answer =
        coding_ask (sandbox, state,
                    json_pack ("{s:s, s:s, s:s, s:s}", "program", family_text (state, "artifact"),
                               "entry", family_text (task, "entry_point"), "setup",
                               family_text (task, "prompt"), "test", family_text (task, "test")),
                    err);
    if (!answer)
        return -1;
    o->tests = 1;
    o->passed = json_is_true (json_object_get (answer, "passed"));
    o->syntax = json_is_true (json_object_get (answer, "syntax"));
    o->watched = json_integer_value (json_object_get (answer, "watched"));
    o->defined = json_is_true (json_object_get (answer, "defined"));
    const char *killed = family_text (answer, "killed");
    if (*killed)
        snprintf (o->why, sizeof o->why, "stopped: %s", killed);
    else
        reward_cut (o->why, sizeof o->why, family_text (answer, "why"));
    json_decref (answer);
    return 0;
}

static void coding_add_part (reward_score_t *score, const char *name, double value)
{
    reward_part_t *part = &score->parts[score->parts_n++];
    snprintf (part->name, sizeof part->name, "%s", name);
    part->value = value;
}

/*  Syntax and the use of the helper earn a little by themselves, since an untrained team passes no
 *  test at first and a reward that is always 0 teaches nothing. */
int coding_score (const episode_t *episode, const task_capabilities_t *capabilities,
                  reward_score_t *score, err_t *err)
{
    const task_sandbox_t *sandbox = capabilities->sandbox;
    if (!sandbox)
        return err_set (err, ERR_CONFIG,
                        "coding episodes are scored in a sandbox, and none is here");
    const json_t *state = episode_json (episode), *task = json_object_get (state, "task");
    bool human = json_is_string (json_object_get (task, "test"));
    coding_outcome_t o = {0};
    if ((human ? coding_run_check : coding_run_tests) (sandbox, state, &o, err) != 0)
        return -1;
    bool helper = coding_has_helper (state), used = !helper || o.watched > 0;
    double share = o.tests ? (double) o.passed / (double) o.tests : 0;
    bool all = o.tests && o.passed == o.tests;
    *score = (reward_score_t){.quality = 0.1 * o.syntax + 0.1 * (o.syntax && used) + 0.4 * share +
                                         0.4 * all,
                              .success = all && used,
                              .agreement = all && used,
                              .unused = helper ? !used : -1};
    coding_add_part (score, "syntax", o.syntax);
    coding_add_part (score, "helper_called", used);
    coding_add_part (score, "tests", share);
    coding_add_part (score, "all_tests", all);
    snprintf (score->verdict, sizeof score->verdict, "%zu of %zu tests%s%s%s", o.passed, o.tests,
              helper && !used ? ", helper not called" : "", o.why[0] && !all ? "; " : "",
              all ? "" : o.why);
    return 0;
}

/*  coding - see coding.h */
#include "coding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPU_S       0.4 /* an honest program of the built-in set takes a few milliseconds */
#define CPU_HUMAN_S 10.0

typedef struct {
    bool syntax, defined;
    json_int_t watched;
    size_t passed, tests;
    char why[256];
} outcome_t;

static const char *text_of (const json_t *object, const char *key)
{
    const char *text = json_string_value (json_object_get (object, key));
    return text ? text : "";
}

/*  Whether the team has a helper whose work must be used: the second seat, or both in one. */
static bool has_helper (const json_t *state, bool human)
{
    const json_t *roles = json_object_get (state, "roles"), *role;
    size_t i;
    json_array_foreach (roles, i, role)
    {
        const char *name = json_string_value (role);
        if (name && (strcmp (name, "aux") == 0 || strcmp (name, "helper") == 0))
            return true;
    }
    return !human; /* solo writes both in the built-in set */
}

static void explain (outcome_t *o, const json_t *test, const json_t *result, const char *entry)
{
    char *args = json_dumps (json_object_get (test, "args"), JSON_COMPACT | JSON_ENCODE_ANY);
    char *wanted = json_dumps (json_object_get (test, "result"), JSON_COMPACT | JSON_ENCODE_ANY);
    char *got = json_dumps (json_array_get (result, 1), JSON_COMPACT | JSON_ENCODE_ANY);
    size_t n = args ? strlen (args) : 0;
    snprintf (o->why, sizeof o->why, "%s(%.*s) gave %.80s, not %.60s", entry,
              n > 2 && n < 80 ? (int) n - 2 : 0, n > 2 ? args + 1 : "", got ? got : "nothing",
              wanted ? wanted : "");
    free (args);
    free (wanted);
    free (got);
}

static int run_tests (sandbox_t *sandbox, const json_t *task, const char *program, outcome_t *o,
                      err_t *err)
{
    const char *entry = text_of (task, "entry_point");
    const json_t *tests = json_object_get (task, "tests"), *test;
    json_t *calls = json_array ();
    size_t i;
    o->tests = json_array_size (tests);
    json_array_foreach (tests, i, test)
        json_array_append_new (calls, json_pack ("[s, O]", entry, json_object_get (test, "args")));
    json_t *request = json_pack ("{s:s, s:o, s:s, s:f}", "program", program, "calls", calls,
                                 "watch", "aux", "cpu_s", CPU_S);
    json_t *answer = request ? sandbox_run (sandbox, request, err) : NULL;
    json_decref (request);
    if (!answer)
        return -1;
    const json_t *results = json_object_get (answer, "results");
    json_array_foreach (tests, i, test)
    {
        const json_t *result = json_array_get (results, i);
        const char *kind = json_string_value (json_array_get (result, 0));
        bool same = kind && strcmp (kind, "value") == 0 &&
                    json_equal (json_array_get (result, 1), json_object_get (test, "result"));
        o->passed += same;
        if (!same && !o->why[0] && result)
            explain (o, test, result, entry);
    }
    o->syntax = json_is_true (json_object_get (answer, "syntax"));
    o->defined = json_is_true (json_object_get (answer, "defined"));
    o->watched = json_integer_value (json_object_get (answer, "watched"));
    const char *killed = text_of (answer, "killed");
    if (*killed)
        snprintf (o->why, sizeof o->why, "stopped: %s", killed);
    else if (*text_of (answer, "why"))
        snprintf (o->why, sizeof o->why, "%.250s", text_of (answer, "why"));
    bool starved = strcmp (killed, "wall") == 0;
    json_decref (answer);
    return starved ? err_set (err, ERR_TIMEOUT, "the program was given no CPU time") : 0;
}

/*  HumanEval: one test, `check (candidate)`, run in a process of its own. */
static int run_check (sandbox_t *sandbox, const json_t *task, const char *program, outcome_t *o,
                      err_t *err)
{
    json_t *request =
        json_pack ("{s:s, s:s, s:s, s:s, s:s, s:f}", "program", program, "entry",
                   text_of (task, "entry_point"), "setup", text_of (task, "prompt"), "test",
                   text_of (task, "test"), "watch", "aux", "cpu_s", CPU_HUMAN_S);
    json_t *answer = request ? sandbox_run (sandbox, request, err) : NULL;
    json_decref (request);
    if (!answer)
        return -1;
    o->tests = 1;
    o->passed = json_is_true (json_object_get (answer, "passed"));
    o->syntax = json_is_true (json_object_get (answer, "syntax"));
    o->watched = json_integer_value (json_object_get (answer, "watched"));
    o->defined = o->watched > 0;
    const char *killed = text_of (answer, "killed");
    snprintf (o->why, sizeof o->why, "%s%.240s", *killed ? "stopped: " : "",
              *killed ? killed : text_of (answer, "why"));
    bool starved = strcmp (killed, "wall") == 0;
    json_decref (answer);
    return starved ? err_set (err, ERR_TIMEOUT, "the program was given no CPU time") : 0;
}

static void add_part (reward_score_t *score, const char *name, double value)
{
    reward_part_t *part = &score->parts[score->parts_n++];
    snprintf (part->name, sizeof part->name, "%s", name);
    part->value = value;
}

int coding_score (sandbox_t *sandbox, const episode_t *episode, reward_score_t *score, err_t *err)
{
    const json_t *state = episode_json (episode), *task = json_object_get (state, "task");
    const char *program = text_of (state, "artifact");
    bool human = json_is_string (json_object_get (task, "test"));
    outcome_t o = {0};
    if ((human ? run_check : run_tests) (sandbox, task, program, &o, err) != 0)
        return -1;
    bool helper = has_helper (state, human), used = !helper || o.watched > 0;
    double share = o.tests ? (double) o.passed / (double) o.tests : 0;
    bool all = o.tests && o.passed == o.tests;
    *score = (reward_score_t){.quality = 0.1 * o.syntax + 0.1 * (o.syntax && used) + 0.4 * share +
                                         0.4 * all,
                              .success = all && used,
                              .agreement = all && used,
                              .unused = helper ? !used : -1};
    add_part (score, "syntax", o.syntax);
    add_part (score, "helper_called", used);
    add_part (score, "tests", share);
    add_part (score, "all_tests", all);
    snprintf (score->verdict, sizeof score->verdict, "%zu of %zu tests%s%s%s", o.passed, o.tests,
              helper && !used ? ", helper not called" : "", o.why[0] && !all ? "; " : "",
              all ? "" : o.why);
    return 0;
}

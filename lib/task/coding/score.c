/*  score - a coding episode: the team's file is run against the task's hidden tests. See
 *  coding.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "task/coding/coding.h"
#include "task/number.h"
#include "team/state.h"

typedef struct {
    double code, defined; /* shares of the seats whose text holds code, or defines its name */
    double own[EPISODE_ROLES_MAX]; /* of each seat, as the sandbox was given them */
    bool fits;                     /* the function takes the arguments that it is called with */
    bool constant;                 /* it gave one and the same answer to all calls */
    json_int_t watched;
    size_t passed, ran, tests; /* ran: tests in which the program gave an answer */
    bool helper_found;
    char why[384];
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
    if (request)
        json_object_set_new (request, "find", coding_seats (state));
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

/*  What was found in the seats' texts, before anything ran, and how the run ended. */
static void coding_read_facts (const json_t *answer, const json_t *state, coding_outcome_t *o)
{
    const json_t *seats = json_object_get (answer, "seats"), *seat;
    size_t n = json_array_size (seats), i;
    json_array_foreach (seats, i, seat) {
        o->code += json_is_true (json_array_get (seat, 0)) / (double) n;
        o->defined += json_is_true (json_array_get (seat, 1)) / (double) n;
        if (i < EPISODE_ROLES_MAX)
            o->own[i] = (json_is_true (json_array_get (seat, 0)) +
                         json_is_true (json_array_get (seat, 1))) /
                        2.0;
    }
    /* Helpers stand first; where there is only one seat, it has the helper in its own text. */
    o->helper_found = n < 2 || !coding_has_helper (state) ||
                      json_is_true (json_array_get (json_array_get (seats, 0), 1));
    o->fits = json_is_true (json_object_get (answer, "fits"));
    o->constant = json_is_true (json_object_get (answer, "constant"));
    o->watched = json_integer_value (json_object_get (answer, "watched"));
    const char *killed = family_text (answer, "killed");
    if (*killed)
        snprintf (o->why, sizeof o->why, "stopped: %s", killed);
    else if (*family_text (answer, "why"))
        reward_cut (o->why, sizeof o->why, family_text (answer, "why"));
}

#define SHOWN_MAX 80 /* columns of a value in a verdict */

/*  The JSON of a value, with numbers of any size as such, in at most SHOWN_MAX columns and without
 *  its first and last `bare` bytes. */
static void coding_show (buf_t *out, const json_t *value, size_t bare)
{
    char *json = json_dumps (value, JSON_COMPACT | JSON_ENCODE_ANY);
    buf_t shown = {0};
    number_restore (json ? json : "", &shown);
    if (shown.size >= 2 * bare && shown.size)
        printable_cut (out, shown.data + bare, shown.size - 2 * bare, SHOWN_MAX);
    free (json);
    buf_free (&shown);
}

/*  The first test that failed, for people: what was called, what came, what was wanted. */
static void coding_explain (coding_outcome_t *o, const json_t *test, const json_t *result,
                            const char *entry)
{
    const char *kind = json_string_value (json_array_get (result, 0)),
               *raises = json_string_value (json_object_get (test, "raises")),
               *got = json_string_value (json_array_get (result, 1));
    buf_t why = {0};
    buf_printf (&why, "%s(", entry);
    coding_show (&why, json_object_get (test, "args"), 1); /* without the list's brackets */
    buf_printf (&why, ") %s ",
                kind && strcmp (kind, "incomparable") == 0 ? "cannot be compared:" : "gave");
    /* Python's own words, of whatever length. */
    printable_cut (&why, got ? got : "nothing", got ? strlen (got) : strlen ("nothing"), SHOWN_MAX);
    buf_text (&why, ", not ");
    if (raises)
        buf_text (&why, raises);
    else
        coding_show (&why, json_object_get (test, "result"), 0);
    reward_cut (o->why, sizeof o->why, why.data ? why.data : "");
    buf_free (&why);
}

static json_t *coding_first_tests (const json_t *task, size_t n)
{
    const json_t *tests = json_object_get (task, "tests");
    json_t *first = json_array (), *test;
    size_t i;
    json_array_foreach (tests, i, test)
        if (i < n)
            json_array_append (first, test);
    return first;
}

/*  Runs the first n of a task's tests. Neither what a call should give nor what is in it ever gets
 *  to where the program runs, so that no program can look its expected results up: another process
 *  compares. */
static int coding_run_tests (const task_sandbox_t *sandbox, const json_t *state, size_t n,
                             coding_outcome_t *o, err_t *err)
{
    const json_t *task = json_object_get (state, "task");
    const char *entry = family_text (task, "entry_point");
    json_t *tests = coding_first_tests (task, n), *test;
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
    if (!answer) {
        json_decref (tests);
        return -1;
    }
    const json_t *results = json_object_get (answer, "results");
    json_array_foreach (tests, i, test) {
        const json_t *result = json_array_get (results, i);
        const char *kind = json_string_value (json_array_get (result, 0));
        bool right = kind && strcmp (kind, "right") == 0;
        o->passed += right;
        o->ran += kind && strcmp (kind, "error") != 0;
        if (!right && !o->why[0] && result)
            coding_explain (o, test, result, entry);
    }
    coding_read_facts (answer, state, o);
    json_decref (answer);
    json_decref (tests);
    return 0;
}

/*  How many tests a check counts as: its lines that assert something. The text alone decides, so
 *  that all programs of a task are measured by the same number, whether they run or not. */
static size_t coding_asserts (const char *test)
{
    size_t n = 0;
    for (const char *line = test; line; line = strchr (line, '\n')) {
        line += strspn (line, "\n \t");
        if (strncmp (line, "assert", 6) == 0 && strchr (" (", line[6]) && line[6]) {
            const char *what = line + 6 + strspn (line + 6, " (");
            n += strncmp (what, "True", 4) != 0 || strchr ("_=!<>", what[4]);
        }
    }
    return n ? n : 1;
}

/*  HumanEval: `check (candidate)`, run in a process of its own. */
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
    size_t right = (size_t) json_integer_value (json_object_get (answer, "right")),
           answered = (size_t) json_integer_value (json_object_get (answer, "answered"));
    /* Only the check as a whole passes. Asserts in loops are counted more often than they stand
     * there, so a failed check never counts as all tests. */
    bool all = json_is_true (json_object_get (answer, "passed"));
    o->tests = coding_asserts (family_text (task, "test"));
    o->passed = all ? o->tests : right < o->tests ? right : o->tests - 1;
    o->ran = all || answered > o->tests ? o->tests : answered;
    coding_read_facts (answer, state, o);
    json_decref (answer);
    return 0;
}

static void coding_add_part (reward_score_t *score, const char *name, double value)
{
    reward_part_t *part = &score->parts[score->parts_n++];
    snprintf (part->name, sizeof part->name, "%s", name);
    part->value = value;
}

/*  A text is that of who wrote it last; a slot that is empty, of who should have. */
static void coding_add_locals (const json_t *state, const coding_outcome_t *o,
                               reward_score_t *score)
{
    const char *slots[EPISODE_ROLES_MAX];
    size_t n = coding_slots (state, slots);
    for (size_t i = 0; i < n; i++) {
        const char *by = family_text (json_object_get (state_artifacts (state), slots[i]), "by");
        reward_add_local (score, *by ? by : slots[i], o->own[i]);
    }
}

/*  The built-in set's own: its seed models nearly always write code that runs. */
static double coding_builtin_quality (const coding_outcome_t *o, bool used, double share, bool all)
{
    bool syntax = o->code > 1 - 1e-9;
    return 0.1 * syntax + 0.1 * (syntax && used) + 0.4 * share + 0.4 * all;
}

/*  What a text earns that passes no test yet, so that the answers of a group differ from the first
 *  step on. All of it together is worth no more than one test: nobody gives a test up for it. A
 *  constant answer, which passes a test now and then by luck, earns neither tests nor "runs". */
static double coding_graded_quality (const coding_outcome_t *o, bool helper, bool used,
                                     double share, bool all)
{
    double tests = (double) o->tests, runs = o->tests ? (double) o->ran / tests : 0;
    double sum = o->code + o->defined + o->fits + (o->constant ? 0 : runs) + (helper && used);
    double weight = 0.6 / (tests + 1) < 0.1 ? 0.6 / (tests + 1) : 0.1;
    return weight * sum / (helper ? 5 : 4) + (0.6 - weight) * (o->constant && !all ? 0 : share) +
           0.4 * (all && used);
}

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
    if ((human ? coding_run_check (sandbox, state, &o, err)
               : coding_run_tests (sandbox, state, SIZE_MAX, &o, err)) != 0)
        return -1;
    bool helper = coding_has_helper (state), used = !helper || o.watched > 0;
    double share = o.tests ? (double) o.passed / (double) o.tests : 0;
    bool all = o.tests && o.passed == o.tests, builtin = json_object_get (task, "parts");
    /* Success is the tests and the helper's use; the quality also has what comes on the way
     * there. */
    *score =
        (reward_score_t){.quality = builtin ? coding_builtin_quality (&o, used, share, all)
                                            : coding_graded_quality (&o, helper, used, share, all),
                         .success = all && used,
                         .agreement = all && used,
                         .unused = helper ? !used : -1};
    coding_add_part (score, "syntax", o.code);
    coding_add_part (score, "defined", o.defined);
    coding_add_part (score, "signature", o.fits);
    coding_add_part (score, "runs", o.tests ? (double) o.ran / (double) o.tests : 0);
    coding_add_part (score, "helper_called", used);
    coding_add_part (score, "tests", share);
    coding_add_part (score, "all_tests", all);
    coding_add_locals (state, &o, score);
    snprintf (score->verdict, sizeof score->verdict, "%zu of %zu tests%s%s%s%s", o.passed, o.tests,
              !o.helper_found   ? ", helper left out: no code for it was found"
              : helper && !used ? ", helper not called"
                                : "",
              o.constant && !all ? ", one answer to all calls" : "", o.why[0] && !all ? "; " : "",
              all ? "" : o.why);
    return 0;
}

/*  ---- tools ---------------------------------------------------------------------------------- */

#define PUBLIC_BUILTIN 2 /* of the built-in set's eight */

size_t coding_public (const json_t *task)
{
    const json_t *given = json_object_get (task, "public");
    if (json_is_integer (given))
        return (size_t) json_integer_value (given);
    return json_object_get (task, "parts") ? PUBLIC_BUILTIN : 0;
}

static int coding_test (const task_sandbox_t *sandbox, const json_t *state, reward_score_t *found,
                        err_t *err)
{
    const json_t *task = json_object_get (state, "task");
    coding_outcome_t o = {0};
    if (coding_public (task) == 0)
        return err_set (err, ERR_INPUT,
                        "no test of task '%.80s' may be seen: \"public\": N in the task says that "
                        "the first N of its tests may",
                        family_text (task, "id"));
    if (coding_run_tests (sandbox, state, coding_public (task), &o, err) != 0)
        return -1;
    found->success = o.passed == o.tests;
    found->quality = (double) o.passed / (double) o.tests;
    snprintf (found->verdict, sizeof found->verdict, "%zu of %zu examples%s%s", o.passed, o.tests,
              o.why[0] && !found->success ? "; " : "", found->success ? "" : o.why);
    return 0;
}

/*  Nothing is called, so nothing runs: the texts are only read. */
static int coding_lint (const task_sandbox_t *sandbox, const json_t *state, reward_score_t *found,
                        err_t *err)
{
    json_t *wanted = coding_seats (state);
    json_t *answer = coding_ask (
        sandbox, state,
        json_pack ("{s:s, s:[]}", "program", family_text (state, "artifact"), "calls"), err);
    const json_t *seats = json_object_get (answer, "seats"), *seat;
    buf_t text = {0};
    size_t fine = 0, i;
    json_array_foreach (seats, i, seat) {
        const char *name = family_text (json_array_get (wanted, i), "name");
        bool code = json_is_true (json_array_get (seat, 0));
        bool defined = json_is_true (json_array_get (seat, 1));
        fine += code && defined;
        if (!code || !defined)
            buf_printf (&text, "%s%s: %s", text.size ? "; " : "", name,
                        code ? "is not defined" : "no code that Python can read");
    }
    size_t n = json_array_size (seats);
    found->success = n > 0 && fine == n;
    found->quality = n > 0 ? (double) fine / (double) n : 0;
    reward_set_verdict (found, text.size ? text.data : "no findings");
    buf_free (&text);
    json_decref (wanted);
    json_decref (answer);
    return answer ? 0 : -1;
}

int coding_tool (const char *name, const episode_t *episode,
                 const task_capabilities_t *capabilities, reward_score_t *found, err_t *err)
{
    const json_t *state = episode_json (episode);
    if (!capabilities->sandbox)
        return err_set (err, ERR_CONFIG, "a program's tools need a sandbox, and none is here");
    return (strcmp (name, "test") == 0 ? coding_test : coding_lint) (capabilities->sandbox, state,
                                                                     found, err);
}

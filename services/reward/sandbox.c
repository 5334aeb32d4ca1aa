/*  sandbox - see sandbox.h
 *
 *  Between the program and the checker stands this file: every question and every answer passes
 *  through it, so it knows whose turn it is, whom to blame, and what to ask again in the second
 *  run.
 */
#include "sandbox.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "judge.h"
#include "zygote.h"

#define SANDBOX_CPU_S    4.0
#define SANDBOX_TOTAL_S  20.0
#define SANDBOX_MEMORY   ((uint64_t) 512 << 20)
#define SANDBOX_CALLS    10000 /* questions of one test */
#define SANDBOX_WHY_SIZE 256

struct sandbox {
    const char *modules;
    wall_t wall;
    zygote_t *zygotes[ZYGOTE_KINDS]; /* each started by the first program that needs it */
    resident_t *finders[ZYGOTE_KINDS], *judges[ZYGOTE_KINDS];
    child_t *ended; /* the last program, killed and not waited for, or NULL */
};

/*  One program in its process, if it comes to that. */
typedef struct {
    child_t *child;
    json_t *facts; /* what can be said of it before it runs (zygote.py lists it), or NULL */
    bool ready;
    child_ending_t ending;
    char why[SANDBOX_WHY_SIZE];
    buf_t answer; /* the last one */
} sandbox_play_t;

/*  What was asked and answered in the first run. */
typedef struct {
    char **questions, **answers;
    size_t n;
} sandbox_record_t;

/*  ---- small things --------------------------------------------------------------------------- */

static const char *sandbox_text (const json_t *object, const char *key)
{
    const char *text = json_string_value (json_object_get (object, key));
    return text ? text : "";
}

/*  A family may ask for other limits; what it leaves out is ours to say. */
static child_limits_t sandbox_limits (const json_t *request)
{
    const json_t *cpu = json_object_get (request, "cpu_s"),
                 *total = json_object_get (request, "cpu_total_s"),
                 *memory = json_object_get (request, "memory");
    child_limits_t limits = {
        .cpu_s = json_is_number (cpu) ? json_number_value (cpu) : SANDBOX_CPU_S,
        .cpu_total_s = json_is_number (total) ? json_number_value (total) : SANDBOX_TOTAL_S,
        .memory =
            json_is_integer (memory) ? (uint64_t) json_integer_value (memory) : SANDBOX_MEMORY};
    return limits;
}

/*  Whether a program could want the library: it imports, or goes by names that are made while it
 *  runs, or names an encoding, of which Python has the rest in modules. Only the text decides, so
 *  a program is always run in the same kind of process. */
static bool sandbox_needs_library (const char *program)
{
    static const char *const words[] = {"import", "__", "code", "exec", "eval", "compile"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr (program, words[i]))
            return true;
    return false;
}

static zygote_kind_t sandbox_kind (const json_t *request)
{
    const json_t *seat;
    size_t i;
    bool full = json_object_get (request, "test") ||
                sandbox_needs_library (sandbox_text (request, "program"));
    json_array_foreach (json_object_get (request, "find"), i, seat)
        full = full || sandbox_needs_library (sandbox_text (seat, "text")) ||
               sandbox_needs_library (sandbox_text (seat, "before"));
    return full ? ZYGOTE_FULL : ZYGOTE_LIGHT;
}

/*  Its forks go first. All are made again when they are wanted. */
static void sandbox_give_up (sandbox_t *sandbox, zygote_kind_t kind)
{
    resident_destroy (&sandbox->finders[kind]);
    resident_destroy (&sandbox->judges[kind]);
    zygote_destroy (&sandbox->zygotes[kind]);
}

static zygote_t *sandbox_zygote (sandbox_t *sandbox, zygote_kind_t kind, err_t *err)
{
    zygote_t **zygote = &sandbox->zygotes[kind];
    if (!*zygote)
        *zygote = zygote_new (kind, sandbox->modules, sandbox->wall, err);
    return *zygote;
}

static child_t *sandbox_fork (sandbox_t *sandbox, const json_t *request, protocol_kind_t part,
                              const child_limits_t *limits, err_t *err)
{
    zygote_kind_t kind = sandbox_kind (request);
    zygote_t *zygote = sandbox_zygote (sandbox, kind, err);
    if (!zygote)
        return NULL;
    child_t *child = zygote_fork (zygote, part, limits, err);
    if (!child) /* it may be what fails; the next try has another one */
        sandbox_give_up (sandbox, kind);
    return child;
}

/*  Takes the question over. */
static int sandbox_send (child_t *child, json_t *question, err_t *err)
{
    char *text = question ? json_dumps (question, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    json_decref (question);
    if (!text)
        return err_set (err, ERR_LIMIT, "no memory for a question");
    child_send (child, text, strlen (text));
    free (text);
    return 0;
}

/*  The next answer as JSON; NULL without an error when the process ended instead. */
static json_t *sandbox_next (child_t *child, buf_t *answer, child_ending_t *ending, err_t *err)
{
    if (child_next (child, answer, ending, err) != 0 || *ending != CHILD_NONE)
        return NULL;
    json_t *value = json_loadb (answer->data, answer->size, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    if (!value) /* also a text with half a surrogate pair, which JSON has no word for */
        *ending = CHILD_OUTPUT;
    return value;
}

/*  ---- one run of a program ------------------------------------------------------------------- */

/*  The forms of an answer, as zygote.py lists them. Anything else was not written by our part of
 *  the process. */
static bool sandbox_is_answer (const json_t *value, bool load)
{
    const char *kind = json_string_value (json_array_get (value, 0));
    size_t n = json_array_size (value);
    if (!kind)
        return false;
    if (strcmp (kind, "error") == 0)
        return n >= 3 && json_is_string (json_array_get (value, 1));
    if (load)
        return n == 1 && strcmp (kind, "ready") == 0;
    if (strcmp (kind, "crossing") == 0)
        return n == 2 && json_is_string (json_array_get (value, 1));
    return n >= 2 && (strcmp (kind, "value") == 0 || strcmp (kind, "ask") == 0);
}

/*  NULL with an ending, or NULL with an error.
 *
 *  Python raises the limit of memory as an exception, so a program could go on after it, and a
 *  program that is out of CPU time could not. A loop that fills a list meets one limit or the
 *  other, as the machine's speed has it. Both end the program, or its score would depend on
 *  that. */
static json_t *sandbox_answer (sandbox_play_t *play, bool load, err_t *err)
{
    json_t *value = sandbox_next (play->child, &play->answer, &play->ending, err);
    if (!value)
        return NULL;
    if (!sandbox_is_answer (value, load))
        play->ending = CHILD_OUTPUT;
    else if (strcmp (json_string_value (json_array_get (value, 0)), "error") == 0 &&
             strncmp (json_string_value (json_array_get (value, 1)), "MemoryError", 11) == 0)
        play->ending = CHILD_MEMORY;
    if (play->ending == CHILD_NONE)
        return value;
    json_decref (value);
    return NULL;
}

/*  Waits until the program has run once; ready when it can be called. An error there is a fact
 *  about the program, and no error of ours. */
static int sandbox_begin (sandbox_play_t *play, err_t *err)
{
    if (!play->child)
        return 0;
    json_t *answer = sandbox_answer (play, true, err);
    if (!answer)
        return play->ending != CHILD_NONE ? 0 : -1;
    const char *why = json_string_value (json_array_get (answer, 1));
    play->ready = !why;
    if (why)
        snprintf (play->why, sizeof play->why, "%s", why);
    json_decref (answer);
    return 0;
}

/*  What can be said of the program before it runs, and its code; replace: with a helper that fails.
 *  0 with an ending: that is the program's, though nothing of it has run: the limits are for its
 *  text as well. */
static int sandbox_find (sandbox_t *sandbox, const json_t *request, const char *entry, bool replace,
                         sandbox_play_t *play, err_t *err)
{
    const child_limits_t limits = sandbox_limits (request);
    zygote_kind_t kind = sandbox_kind (request);
    zygote_t *zygote = sandbox_zygote (sandbox, kind, err);
    resident_t **finder = &sandbox->finders[kind];
    if (!zygote || (!*finder && !(*finder = resident_new (PROTOCOL_FINDER, err))))
        return -1;
    json_t *question = json_pack (
        "{s:s, s:O?, s:s, s:s, s:s, s:b}", "program", sandbox_text (request, "program"), "find",
        json_object_get (request, "find"), "test", sandbox_text (request, "test"), "entry", entry,
        "watch", sandbox_text (request, "watch"), "replace", replace);
    char *text = question ? json_dumps (question, JSON_COMPACT) : NULL;
    json_decref (question);
    if (!text)
        return err_set (err, ERR_LIMIT, "no memory for a program");
    play->facts = resident_ask (*finder, zygote, &limits, text, &play->ending, err);
    free (text);
    if (play->facts) {
        snprintf (play->why, sizeof play->why, "%s", sandbox_text (play->facts, "why"));
        return 0;
    }
    if (play->ending == CHILD_NONE)
        sandbox_give_up (sandbox, kind);
    return play->ending == CHILD_NONE ? -1 : 0;
}

/*  A program that has said all it can ends while its answers are judged, and after that; and the
 *  next one's process is made. Neither takes time from a program that runs. */
static void sandbox_end (sandbox_t *sandbox, const json_t *request, sandbox_play_t *play)
{
    const child_limits_t limits = sandbox_limits (request);
    zygote_t *zygote = sandbox->zygotes[sandbox_kind (request)];
    child_end (play->child);
    sandbox->ended = play->child;
    play->child = NULL;
    if (zygote)
        zygote_prepare (zygote, PROTOCOL_PROGRAM, &limits);
}

static bool sandbox_fact (const sandbox_play_t *play, const char *name)
{
    return json_is_true (json_object_get (play->facts, name));
}

/*  Finds the program and, where there is one, hands it to a fork. */
static int sandbox_open (sandbox_t *sandbox, const json_t *request, const char *entry, bool replace,
                         sandbox_play_t *play, err_t *err)
{
    const child_limits_t limits = sandbox_limits (request);
    int rc = sandbox_find (sandbox, request, entry, replace, play, err);
    if (rc != 0 || !sandbox_fact (play, "syntax"))
        return rc;
    if (!(play->child = sandbox_fork (sandbox, request, PROTOCOL_PROGRAM, &limits, err)))
        return -1;
    return sandbox_send (play->child,
                         json_pack ("{s:O, s:b}", "load", json_object_get (play->facts, "code"),
                                    "note", sandbox_fact (play, "noted")),
                         err);
}

/*  Also right for a play that never began. */
static void sandbox_close (sandbox_play_t *play)
{
    child_destroy (&play->child);
    json_decref (play->facts);
    buf_free (&play->answer);
}

/*  ---- the record of the first run ------------------------------------------------------------ */

static int sandbox_note (sandbox_record_t *record, const json_t *question, const buf_t *answer,
                         err_t *err)
{
    size_t n = record->n;
    if (n >= SANDBOX_CALLS) /* the second run compares the first ones alone */
        return 0;
    /* Full at each power of two, and then doubled; so the record needs no field for its room. */
    if ((n & (n - 1)) == 0) {
        size_t room = n ? 2 * n : 1;
        char **questions = realloc (record->questions, room * sizeof *questions);
        /* The old array is gone once realloc has succeeded, so each is put in place before the
         * other is tried. */
        if (questions)
            record->questions = questions;
        char **answers = realloc (record->answers, room * sizeof *answers);
        if (answers)
            record->answers = answers;
        if (!questions || !answers)
            return err_set (err, ERR_LIMIT, "no memory for a program's answers");
    }
    record->questions[n] = json_dumps (question, JSON_COMPACT);
    record->answers[n] = strndup (answer->data, answer->size);
    if (!record->questions[n] || !record->answers[n]) {
        free (record->questions[n]);
        free (record->answers[n]);
        return err_set (err, ERR_LIMIT, "no memory for a program's answers");
    }
    record->n++;
    return 0;
}

static void sandbox_forget (sandbox_record_t *record)
{
    for (size_t i = 0; i < record->n; i++) {
        free (record->questions[i]);
        free (record->answers[i]);
    }
    free (record->questions);
    free (record->answers);
}

/*  Whether the helper of a program was called that could not pretend it (use.py). */
static int sandbox_noted (sandbox_play_t *play, bool *called, err_t *err)
{
    int rc = sandbox_send (play->child, json_pack ("{s:b}", "called", 1), err);
    json_t *answer = rc == 0 ? sandbox_answer (play, false, err) : NULL;
    *called = json_is_true (json_array_get (answer, 1));
    json_decref (answer);
    return answer || play->ending != CHILD_NONE ? 0 : -1;
}

/*  Whether the program answers otherwise when its helper fails: asks again until one answer is
 *  another. */
static int sandbox_differs (sandbox_t *sandbox, const json_t *request, const char *entry,
                            const sandbox_record_t *record, bool *differs, err_t *err)
{
    sandbox_play_t play = {0};
    int rc = sandbox_open (sandbox, request, entry, true, &play, err);
    /* One by one: where the helper is used, the first answer is another already. */
    if (rc == 0)
        rc = sandbox_begin (&play, err);
    *differs = rc == 0 && !play.ready;
    for (size_t i = 0; rc == 0 && !*differs && i < record->n; i++) {
        rc = child_ask (play.child, record->questions[i], strlen (record->questions[i]),
                        &play.answer, &play.ending, err);
        *differs = rc == 0 &&
                   (play.ending != CHILD_NONE || play.answer.size != strlen (record->answers[i]) ||
                    memcmp (play.answer.data, record->answers[i], play.answer.size) != 0);
    }
    sandbox_close (&play);
    return rc;
}

/*  Whether a program gave one and the same answer to questions that differ. */
static bool sandbox_is_constant (const sandbox_record_t *record)
{
    bool differ = false;
    for (size_t i = 1; i < record->n; i++) {
        if (strcmp (record->answers[0], record->answers[i]) != 0)
            return false;
        differ = differ || strcmp (record->questions[0], record->questions[i]) != 0;
    }
    return differ;
}

/*  ---- tests as calls ------------------------------------------------------------------------- */

/*  An error of the program's, with the limit's name before it when it is a limit that it met. */
static json_t *sandbox_named (json_t *answer)
{
    const char *kind = json_string_value (json_array_get (answer, 0)),
               *text = json_string_value (json_array_get (answer, 1));
    if (strcmp (kind, "error") != 0)
        return answer;
    if (strncmp (text, "PermissionError: [Errno 1]", 26) == 0)
        json_array_set_new (answer, 1, json_sprintf ("forbidden: %s", text));
    return answer;
}

/*  Answers come in the order of the calls. Those after an ending are missing, which whoever scores
 *  counts as not passed. */
static int sandbox_read_calls (const json_t *calls, sandbox_play_t *play, sandbox_record_t *record,
                               json_t *results, err_t *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < json_array_size (calls); i++) {
        json_t *answer = sandbox_answer (play, false, err);
        if (!answer)
            return play->ending != CHILD_NONE ? 0 : -1;
        json_t *question = json_pack ("{s:O}", "call", json_array_get (calls, i));
        rc = sandbox_note (record, question, &play->answer, err);
        json_decref (question);
        json_array_append_new (results, sandbox_named (answer));
    }
    return rc;
}

/*  All calls are sent at once; a limit on CPU time counts from one answer to the next. */
static int sandbox_calls (const json_t *calls, sandbox_play_t *play, sandbox_record_t *record,
                          json_t *results, err_t *err)
{
    const json_t *call;
    size_t i;
    int rc = 0;
    json_array_foreach (calls, i, call) {
        if (rc == 0 && play->child)
            rc = sandbox_send (play->child, json_pack ("{s:O}", "call", call), err);
    }
    if (rc == 0)
        rc = sandbox_begin (play, err);
    return rc == 0 && play->ready ? sandbox_read_calls (calls, play, record, results, err) : rc;
}

/*  Puts verdicts in the place of answers where the request says what is wanted. */
static int sandbox_judge (sandbox_t *sandbox, const json_t *request, json_t **results, err_t *err)
{
    const json_t *wanted = json_object_get (request, "wanted");
    zygote_kind_t kind = sandbox_kind (request);
    resident_t **judge = &sandbox->judges[kind];
    if (!wanted || json_array_size (*results) == 0)
        return 0;
    if (!*judge && !(*judge = resident_new (PROTOCOL_JUDGE, err)))
        return -1;
    json_t *verdicts = judge_ask (*judge, sandbox->zygotes[kind], *results, wanted, err);
    if (!verdicts) {
        sandbox_give_up (sandbox, kind);
        return -1;
    }
    json_decref (*results);
    *results = verdicts;
    return 0;
}

/*  ---- HumanEval's test ----------------------------------------------------------------------- */

/*  What a test said of a program. */
typedef struct {
    bool passed;
    json_int_t right, answered; /* of its asserts */
} sandbox_verdict_t;

/*  One step of the checker: it has its verdict, or a word for the program: a question, or the
 *  answer to one. *word is what the checker is told next, NULL at the end. A program that has ended
 *  has no answer more; the checker says then what it has seen so far. */
static int sandbox_relay (child_t *checker, json_t **word, sandbox_play_t *play,
                          sandbox_record_t *record, sandbox_verdict_t *verdict, err_t *err)
{
    buf_t said = {0};
    child_ending_t ending = CHILD_NONE;
    json_t *next = NULL, *answer = NULL;
    int rc = sandbox_send (checker, *word, err);
    *word = NULL;
    if (rc == 0 && !(next = sandbox_next (checker, &said, &ending, err)) && ending == CHILD_NONE)
        rc = -1;
    if (ending != CHILD_NONE) { /* what the program answered was too much for it */
        snprintf (play->why, sizeof play->why, "the check ended: %s", child_ending_name (ending));
    } else if (rc == 0 && json_is_object (next)) {
        verdict->passed = json_is_true (json_object_get (next, "passed"));
        verdict->right = json_integer_value (json_object_get (next, "right"));
        verdict->answered = json_integer_value (json_object_get (next, "answered"));
        snprintf (play->why, sizeof play->why, "%s", sandbox_text (next, "why"));
    } else if (rc == 0 && (!sandbox_is_answer (next, false) || play->ending != CHILD_NONE)) {
        snprintf (play->why, sizeof play->why, "the check ended: %s",
                  child_ending_name (CHILD_OUTPUT));
    } else if (rc == 0) {
        rc = sandbox_send (play->child, json_incref (next), err);
        if (rc == 0 && !(answer = sandbox_answer (play, false, err)) && play->ending == CHILD_NONE)
            rc = -1;
        if (rc == 0 && answer)
            rc = sandbox_note (record, next, &play->answer, err);
        if (rc == 0 && !answer)
            answer = json_pack ("[s, s]", "crossing", "the program has ended");
    }
    json_decref (next);
    buf_free (&said);
    *word = answer;
    return rc;
}

static int sandbox_check (sandbox_t *sandbox, const json_t *request, sandbox_play_t *play,
                          sandbox_record_t *record, sandbox_verdict_t *verdict, err_t *err)
{
    child_limits_t limits = sandbox_limits (request);
    /* The program has run once before its test does: one that cannot be called needs no checker. */
    int rc = sandbox_begin (play, err);
    if (rc != 0 || !play->ready)
        return rc;
    limits.cpu_s = limits.cpu_total_s; /* the check as a whole is one test */
    child_t *checker = sandbox_fork (sandbox, request, PROTOCOL_CHECKER, &limits, err);
    if (!checker)
        return -1;
    json_t *word =
        json_pack ("{s:O, s:s, s:s, s:s}", "names", json_object_get (play->facts, "names"), "setup",
                   sandbox_text (request, "setup"), "test", sandbox_text (request, "test"), "entry",
                   sandbox_text (request, "entry"));
    do
        rc = sandbox_relay (checker, &word, play, record, verdict, err);
    while (rc == 0 && word);
    json_decref (word);
    child_destroy (&checker);
    return rc;
}

/*  ---- a whole request ------------------------------------------------------------------------ */

void sandbox_rest (sandbox_t *sandbox)
{
    child_destroy (&sandbox->ended);
}

sandbox_t *sandbox_new (const char *modules, wall_t wall, err_t *err)
{
    sandbox_t *sandbox = calloc (1, sizeof *sandbox);
    if (!sandbox) {
        err_set (err, ERR_LIMIT, "no memory for a sandbox");
        return NULL;
    }
    sandbox->modules = modules;
    sandbox->wall = wall;
    /* Modules that cannot be imported are known at once, everything else by either kind. */
    zygote_kind_t kind = *modules ? ZYGOTE_FULL : ZYGOTE_LIGHT;
    if (!(sandbox->zygotes[kind] = zygote_new (kind, modules, wall, err)))
        sandbox_destroy (&sandbox);
    return sandbox;
}

void sandbox_destroy (sandbox_t **sandbox)
{
    if (!*sandbox)
        return;
    sandbox_rest (*sandbox);
    for (zygote_kind_t kind = 0; kind < ZYGOTE_KINDS; kind++)
        sandbox_give_up (*sandbox, kind);
    free (*sandbox);
    *sandbox = NULL;
}

json_t *sandbox_run (sandbox_t *sandbox, const json_t *request, err_t *err)
{
    const json_t *calls = json_object_get (request, "calls");
    /* Tests as calls name the function in each call; a test as text names it in the request. */
    const char *first = json_string_value (json_array_get (json_array_get (calls, 0), 0)),
               *entry = calls ? (first ? first : "") : sandbox_text (request, "entry");
    sandbox_play_t play = {0};
    sandbox_record_t record = {0};
    json_t *results = json_array (), *answer = NULL;
    sandbox_verdict_t verdict = {0};
    bool used = false;
    sandbox_rest (sandbox);
    int rc = sandbox_open (sandbox, request, entry, false, &play, err);
    if (rc == 0)
        rc = calls ? sandbox_calls (calls, &play, &record, results, err)
                   : sandbox_check (sandbox, request, &play, &record, &verdict, err);
    /* A program that was ended has shown nothing that a second run could be compared with. */
    bool compare = sandbox_fact (&play, "reached") && play.ready && play.ending == CHILD_NONE;
    if (rc == 0 && compare)
        rc = sandbox_fact (&play, "noted")
                 ? sandbox_noted (&play, &used, err)
                 : sandbox_differs (sandbox, request, entry, &record, &used, err);
    sandbox_end (sandbox, request, &play);
    if (rc == 0)
        rc = sandbox_judge (sandbox, request, &results, err);
    if (rc == 0)
        answer = json_pack (
            "{s:b, s:b, s:i, s:b, s:I, s:I, s:b, s:O, s:s}", "syntax",
            sandbox_fact (&play, "syntax"), "defined", sandbox_fact (&play, "defined"), "watched",
            used, "passed", verdict.passed, "right", verdict.right, "answered", verdict.answered,
            "constant", sandbox_is_constant (&record), "results", results, "why", play.why);
    json_t *seats = json_object_get (play.facts, "seats");
    if (answer && seats) {
        json_object_set (answer, "seats", seats);
        json_object_set_new (answer, "fits", json_boolean (sandbox_fact (&play, "fits")));
    }
    if (answer && play.ending != CHILD_NONE)
        json_object_set_new (answer, "killed", json_string (child_ending_name (play.ending)));
    if (rc == 0 && !answer)
        err_set (err, ERR_LIMIT, "no memory for a program's results");
    json_decref (results);
    sandbox_close (&play);
    sandbox_forget (&record);
    return answer;
}

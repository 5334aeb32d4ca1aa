/*  session - see session.h */
#include "program/session.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "program/program.h"
#include "task/number.h"
#include "task/outcome.h"

#define SAID_MAX 120 /* columns of an answer that an error shows */
#define CLOSE_S  1   /* to take a line that has no answer */

struct session {
    program_t *program;
    json_t *open; /* by id: how many steps the process has played */
};

session_t *session_new (const char *command, err_t *err)
{
    session_t *s = calloc (1, sizeof *s);
    if (s)
        s->open = json_object ();
    if (!s || !s->open)
        err_set (err, ERR_LIMIT, "no memory for an environment");
    else
        s->program = program_new (command, "environment", "task.program_s", err);
    if (s && !s->program)
        session_destroy (&s);
    return s;
}

void session_destroy (session_t **session)
{
    if (!*session)
        return;
    program_destroy (&(*session)->program);
    json_decref ((*session)->open);
    free (*session);
    *session = NULL;
}

/*  A whole number in a task travels as an object (task/number.h); a program is given the number. */
static int session_write (json_t *question, buf_t *line, err_t *err)
{
    char *text = question ? json_dumps (question, JSON_COMPACT) : NULL;
    json_decref (question);
    if (!text)
        return err_set (err, ERR_LIMIT, "no memory for a question");
    number_restore (text, line);
    free (text);
    return buf_check (line, "a question", err);
}

/*  An answer that names an episode names this one. */
static int session_check (const json_t *answer, const buf_t *text, const char *id,
                          const json_t *roles, bool *done, err_t *err)
{
    const char *named = json_string_value (json_object_get (answer, "episode"));
    buf_t said = {0};
    if (!json_is_object (answer)) {
        printable_cut (&said, text->data ? text->data : "", text->size, SAID_MAX);
        err_set (err, ERR_INPUT,
                 "it answered '%s'; a line like {\"observe\": {\"ROLE\": \"text\"}} or {\"done\": "
                 "true, \"quality\": 0.7} is wanted, one for each reset and step",
                 said.data ? said.data : "");
        buf_free (&said);
        return -1;
    }
    if (named && strcmp (named, id) != 0)
        return err_set (err, ERR_INPUT, "its answer has \"episode\": \"%.100s\", asked was %.100s",
                        named, id);
    return outcome_check (answer, roles, done, err);
}

/*  Takes the question over. */
static json_t *session_ask (session_t *s, const char *id, json_t *question, const json_t *roles,
                            double seconds, bool *done, err_t *err)
{
    buf_t line = {0}, text = {0};
    json_t *answer = NULL;
    int rc = session_write (question, &line, err);
    if (rc == 0)
        rc = program_ask (s->program, line.data, line.size, seconds, &text, err);
    if (rc == 0) {
        answer = json_loadb (text.data ? text.data : "", text.size, JSON_REJECT_DUPLICATES, NULL);
        rc = session_check (answer, &text, id, roles, done, err);
    }
    if (rc != 0) {
        json_decref (answer);
        answer = NULL;
    }
    buf_free (&line);
    buf_free (&text);
    return answer;
}

static json_t *session_reset (const char *id, const json_t *record)
{
    return json_pack ("{s:s, s:s, s:O*, s:O*, s:O*, s:O*}", "op", "reset", "episode", id, "seed",
                      json_object_get (json_object_get (record, "task"), "seed"), "task",
                      json_object_get (record, "task"), "roles", json_object_get (record, "roles"),
                      "limits", json_object_get (record, "limits"));
}

/*  By role, as the program asked for them. */
static json_t *session_step (const char *id, const json_t *turn)
{
    json_t *actions = json_object ();
    const json_t *action;
    size_t i;
    json_array_foreach (json_object_get (turn, "actions"), i, action)
        json_object_set_new (actions, json_string_value (json_object_get (action, "role")),
                             json_pack ("{s:O*, s:O*, s:O*}", "text",
                                        json_object_get (action, "text"), "tokens",
                                        json_object_get (action, "tokens"), "truncated",
                                        json_object_get (action, "truncated")));
    return json_pack ("{s:s, s:s, s:o}", "op", "step", "episode", id, "actions", actions);
}

/*  What is answered the second time must be what was answered the first time, for the record goes
 *  on from that. */
static int session_check_again (const json_t *answer, const json_t *turn, size_t at, err_t *err)
{
    return json_equal (json_object_get (answer, "observe"), json_object_get (turn, "observed"))
               ? 0
               : err_set (err, ERR_STALE,
                          "it was started again, and in turn %zu it answered otherwise than before "
                          "to the same seed, task and actions: the episode is begun anew",
                          at + 1);
}

/*  An answer that asks for more is of no use where an episode has no more turns. */
static int session_check_turns (const json_t *record, bool done, err_t *err)
{
    json_int_t most =
        json_integer_value (json_object_get (json_object_get (record, "limits"), "turns"));
    return done || (json_int_t) json_array_size (json_object_get (record, "turns")) < most
               ? 0
               : err_set (err, ERR_INPUT,
                          "after %lld turns it has not answered {\"done\": true, ...}: an episode "
                          "has no more (task.max_turns)",
                          (long long) most);
}

/*  Once, from wherever the process is: NULL, or the last answer. */
static json_t *session_try (session_t *s, const char *id, const json_t *record, double seconds,
                            err_t *err)
{
    const json_t *turns = json_object_get (record, "turns"),
                 *roles = json_object_get (record, "roles"), *known = json_object_get (s->open, id);
    size_t steps = json_array_size (turns), at = (size_t) json_integer_value (known);
    bool done = false, resumes = known && at + 1 == steps;
    json_t *answer = NULL;
    int rc = 0;
    if (!resumes) {
        at = 0;
        answer = session_ask (s, id, session_reset (id, record), roles, seconds, &done, err);
        if (answer && done)
            rc = err_set (err, ERR_INPUT,
                          "its answer to a reset is {\"done\": ...}: somebody has to act first");
    }
    for (; rc == 0 && (answer || resumes) && at < steps; at++) {
        const json_t *turn = json_array_get (turns, at);
        if (answer && (rc = session_check_again (answer, turn, at, err)) != 0)
            break;
        json_decref (answer);
        answer = session_ask (s, id, session_step (id, turn), roles, seconds, &done, err);
        resumes = false;
    }
    if (rc == 0 && answer)
        rc = session_check_turns (record, done, err);
    if (rc != 0 || !answer) {
        json_decref (answer);
        return NULL;
    }
    if (done)
        json_object_del (s->open, id);
    else
        json_object_set_new (s->open, id, json_integer ((json_int_t) steps));
    return answer;
}

int session_play (session_t *s, const char *text, size_t size, double seconds, buf_t *line,
                  err_t *err)
{
    json_t *record = json_loadb (text, size, 0, NULL), *answer = NULL;
    const char *id = json_string_value (json_object_get (record, "episode"));
    if (!id) {
        json_decref (record);
        return err_set (err, ERR_INTERNAL, "the record of an episode is none");
    }
    for (int i = 0; i < PROGRAM_TRIES && !answer; i++) {
        answer = session_try (s, id, record, seconds, err);
        if (answer) {
            *err = (err_t){0}; /* of a try before it: that has been made good */
            break;
        }
        json_object_del (s->open, id);
        if (err->code == ERR_STALE || program_stopped (s->program)) {
            err->code = ERR_STALE;
            err_wrap (err, "environment");
            break;
        }
        program_end (s->program, err);
        json_object_clear (s->open);
        if (i + 1 == PROGRAM_TRIES || program_missing (s->program)) {
            err->code = ERR_CONFIG;
            break;
        }
    }
    char *said = answer ? json_dumps (answer, JSON_COMPACT) : NULL;
    if (said)
        buf_text (line, said);
    else if (answer)
        err_set (err, ERR_LIMIT, "no memory for an answer");
    free (said);
    json_decref (answer);
    json_decref (record);
    return said ? buf_check (line, "an answer", err) : -1;
}

void session_stop (session_t *s)
{
    program_stop (s->program);
}

/*  Best effort: a process that does not listen fails at its next question. */
void session_close (session_t *s, const char *prefix)
{
    const char *id;
    json_t *steps;
    void *next;
    err_t err = {0};
    json_object_foreach_safe (s->open, next, id, steps) {
        buf_t line = {0};
        if (strncmp (id, prefix, strlen (prefix)) != 0)
            continue;
        if (session_write (json_pack ("{s:s, s:s}", "op", "close", "episode", id), &line, &err) ==
            0)
            program_tell (s->program, line.data, line.size, CLOSE_S, &err);
        buf_free (&line);
        json_object_del (s->open, id);
    }
}

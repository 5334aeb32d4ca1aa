/*  command - see command.h
 *
 *  One line goes out, one line comes back, and nothing tells which question an answer belongs to.
 *  So whenever there is any doubt (a second line, an answer that cannot be read, one that comes too
 *  late) the process is ended and the next question goes to a new one: an answer must never be
 *  counted for another episode.
 */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/printable.h"
#include "line_process.h"
#include "task/number.h"

#define TRIES     3
#define ROUNDING  1e-9 /* a sum of parts may pass 1 by that much */
#define WORDS     4    /* last lines of standard error that an error names */
#define WORD_MAX  120  /* columns of each */
#define NOT_FOUND 127  /* a shell's status for a program that there is not */

struct command {
    char *text;
    line_process_t *process;
    size_t failures; /* while it has never answered */
    bool answered;
    buf_t words[WORDS]; /* what it said last, the oldest at words_n % WORDS */
    size_t words_n;
};

command_t *command_new (const char *text, err_t *err)
{
    command_t *command = calloc (1, sizeof *command);
    if (!command || !(command->text = strdup (text))) {
        free (command);
        err_set (err, ERR_LIMIT, "no memory for a scorer");
        return NULL;
    }
    return command;
}

void command_destroy (command_t **command)
{
    if (!*command)
        return;
    line_process_destroy (&(*command)->process);
    for (size_t i = 0; i < WORDS; i++)
        buf_free (&(*command)->words[i]);
    free ((*command)->text);
    free (*command);
    *command = NULL;
}

/*  Everything goes into the service's log. Lines of blanks and of Python's marks under a line tell
 *  nothing, so they do not push out those that do. */
static void command_on_word (void *context, const char *line, size_t n)
{
    command_t *c = context;
    log_info ("scorer.says", "text=\"%.*s\"", (int) n, line);
    while (n > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        n--;
    }
    size_t telling = 0;
    for (size_t i = 0; i < n; i++)
        telling += !strchr (" ^~\r", line[i]);
    if (!telling)
        return;
    buf_t *word = &c->words[c->words_n++ % WORDS];
    buf_clear (word);
    printable_cut (word, line, n, WORD_MAX);
}

/*  Adds its last words to what went wrong; a process that is started anew has said nothing yet. */
static void command_add_words (command_t *c, err_t *err)
{
    size_t used = strlen (err->text), first = c->words_n > WORDS ? c->words_n - WORDS : 0;
    for (size_t i = first; i < c->words_n && used < sizeof err->text; i++) {
        const buf_t *word = &c->words[i % WORDS];
        used += (size_t) snprintf (err->text + used, sizeof err->text - used, "%s%.*s",
                                   i == first ? "; it said last: " : " | ", (int) word->size,
                                   word->data ? word->data : "");
    }
    c->words_n = 0;
}

/*  Starts the process with the first question, and again with the first one after it was ended. A
 *  shell runs it, so that a command may have arguments and variables. */
static int command_ask (command_t *c, const buf_t *line, double seconds, buf_t *answer, err_t *err)
{
    char *argv[] = {(char *) "sh", (char *) "-c", c->text, NULL};
    if (!c->process && !(c->process = line_process_new (argv, command_on_word, c, err)))
        return -1;
    if (line_process_ask (c->process, line->data, line->size, (int64_t) (seconds * 1e3), answer,
                          err) == 0)
        return 0;
    if (err->code == ERR_TIMEOUT)
        err_set (err, ERR_TIMEOUT, "it did not answer within %g s (reward.command_s)", seconds);
    if (line_process_status (c->process) == NOT_FOUND)
        err_set (err, ERR_IO, "command not found (%d)", NOT_FOUND);
    return -1;
}

/*  What a part is called and worth; other members of an answer are not for us. */
static int command_add_part (const char *name, double value, reward_score_t *score, err_t *err)
{
    if (score->parts_n == REWARD_PARTS_MAX)
        return err_set (err, ERR_INPUT, "its answer has more than %d parts", REWARD_PARTS_MAX);
    if (strlen (name) >= REWARD_NAME_MAX)
        return err_set (err, ERR_INPUT, "the name '%.80s' in its answer has more than %d bytes",
                        name, REWARD_NAME_MAX - 1);
    reward_part_t *part = &score->parts[score->parts_n++];
    memcpy (part->name, name, strlen (name) + 1);
    part->value = value;
    return 0;
}

/*  What a sum of parts has too much or too little is none of the program's doing. */
static double command_part (double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

/*  Whether a member is there at all: null is as good as left out. */
static bool command_has (const json_t *value)
{
    return value && !json_is_null (value);
}

/*  Every number is a part, so what is none is refused by its name: left out, it would vanish
 *  without a word from everything that its owner looks at. Texts, lists and the like are none of
 *  ours. */
static int command_check_member (const char *name, const json_t *value, err_t *err)
{
    double x = json_number_value (value);
    char *text = json_dumps (value, JSON_COMPACT | JSON_ENCODE_ANY);
    int rc = 0;
    if (strcmp (name, "success") == 0 && command_has (value) && !json_is_boolean (value))
        rc = err_set (err, ERR_INPUT, "its answer has \"success\": %.80s; true or false is wanted",
                      text ? text : "");
    else if (strcmp (name, "agreement") == 0 && command_has (value) && !json_is_number (value))
        rc = err_set (err, ERR_INPUT,
                      "its answer has \"agreement\": %.80s; a number from 0 to 1 is wanted",
                      text ? text : "");
    else if (json_is_number (value) && !(x >= -ROUNDING && x <= 1 + ROUNDING))
        rc = err_set (
            err, ERR_INPUT,
            "its answer has \"%.80s\": %.40s; parts are numbers from 0 to 1 (say others as "
            "text, or in \"verdict\")",
            name, text ? text : "");
    free (text);
    return rc;
}

/*  "local": {"aux": 0.5}, of roles of this team; null is as good as left out. */
static int command_read_local (const json_t *local, const json_t *roles, reward_score_t *score,
                               err_t *err)
{
    const char *name;
    const json_t *value, *role;
    size_t i;
    if (command_has (local) && !json_is_object (local))
        return err_set (err, ERR_INPUT,
                        "its answer has \"local\" that is no object: {\"ROLE\": 0.5} is wanted");
    json_object_foreach ((json_t *) (uintptr_t) local, name, value) {
        bool known = false;
        double x = json_number_value (value);
        json_array_foreach (roles, i, role)
            known = known || strcmp (json_string_value (role), name) == 0;
        if (!known || !json_is_number (value) || !(x >= -ROUNDING && x <= 1 + ROUNDING))
            return err_set (err, ERR_INPUT,
                            "its answer has \"local\": {\"%.80s\": ...}; roles of the team with "
                            "numbers from 0 to 1 are wanted",
                            name);
        reward_add_local (score, name, x);
    }
    return 0;
}

/*  Only the quality is needed. */
static int command_read_answer (const buf_t *answer, const json_t *roles, reward_score_t *score,
                                err_t *err)
{
    json_t *root = json_loadb (answer->data ? answer->data : "", answer->size, 0, NULL), *value;
    const json_t *quality = json_object_get (root, "quality");
    const char *name;
    *score = (reward_score_t){.unused = -1};
    double worth = json_number_value (quality);
    if (!json_is_number (quality) || !(worth >= -ROUNDING && worth <= 1 + ROUNDING)) {
        buf_t said = {0};
        printable_cut (&said, answer->data ? answer->data : "", answer->size, WORD_MAX);
        json_decref (root);
        err_set (err, ERR_INPUT,
                 "it answered '%s'; a line like {\"quality\": 0.7} with a number from 0 "
                 "to 1 is wanted, and not more than one line per episode",
                 said.data ? said.data : "");
        buf_free (&said);
        return -1;
    }
    score->quality = command_part (worth);
    const json_t *success = json_object_get (root, "success");
    score->success = json_is_true (success);
    score->success_unknown = !json_is_boolean (success);
    const json_t *agreement = json_object_get (root, "agreement");
    score->agreement = command_part (json_number_value (agreement));
    score->agreement_unknown = !json_is_number (agreement);
    int rc = command_read_local (json_object_get (root, "local"), roles, score, err);
    json_object_foreach (root, name, value) {
        if (rc == 0)
            rc = command_check_member (name, value, err);
        if (rc == 0 && json_is_number (value) && value != quality)
            rc = command_add_part (name, command_part (json_number_value (value)), score, err);
    }
    const char *verdict = json_string_value (json_object_get (root, "verdict"));
    reward_set_verdict (score, verdict ? verdict : "");
    json_decref (root);
    return rc;
}

/*  What a failure means. A program that has never answered, and has failed often enough, will not
 *  answer the next episode either: the service ends with its words rather than asking for as long
 *  as the run waits. */
static void command_judge (command_t *c, bool missing, bool last_try, err_t *err)
{
    bool never = !c->answered && (++c->failures >= COMMAND_FAILURES || missing);
    if (err->code == ERR_LIMIT) /* so long an answer is the program's doing, and would come again */
        err->code = ERR_INPUT;
    if (err->code == ERR_IO && last_try && c->answered)
        err->code = ERR_INPUT;
    if (never)
        err->code = ERR_CONFIG;
}

/*  A program that dies loses no episode: it is started again and asked again. One that is too slow
 *  is not, since whoever asked has a deadline of its own and will ask again. */
int command_score (command_t *c, const episode_t *episode, double seconds, reward_score_t *score,
                   err_t *err)
{
    buf_t state = {0}, line = {0}, answer = {0};
    int rc = episode_state (episode, &state, err);
    if (rc == 0) { /* it has Python's numbers, and so may have the user's program */
        number_restore (state.data, &line);
        rc = buf_check (&line, "an episode", err);
    }
    buf_free (&state);
    for (int i = 0; rc == 0 && i < TRIES; i++) {
        buf_clear (&answer);
        rc = command_ask (c, &line, seconds, &answer, err);
        if (rc == 0)
            rc = command_read_answer (&answer, json_object_get (episode_json (episode), "roles"),
                                      score, err);
        if (rc == 0) {
            c->answered = true;
            break;
        }
        bool missing = c->process && line_process_status (c->process) == NOT_FOUND;
        /* Whatever else it has to say would be taken for the next episode's answer. */
        line_process_destroy (&c->process);
        command_add_words (c, err);
        err_wrap (err, "scorer '%.200s'", c->text);
        log_warn ("scorer.restart", "text=\"%s\"", err->text);
        command_judge (c, missing, i + 1 == TRIES, err);
        /* Whoever asked learns of a late answer before its own deadline. */
        if (err->code == ERR_TIMEOUT || err->code == ERR_CONFIG)
            break;
        if (i + 1 < TRIES)
            rc = 0;
    }
    buf_free (&line);
    buf_free (&answer);
    return rc;
}

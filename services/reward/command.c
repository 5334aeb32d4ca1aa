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
#include "line_process.h"
#include "task/number.h"

#define ANSWER_MS 20000
#define TRIES     3
#define ROUNDING  1e-9 /* a sum of parts may pass 1 by that much */

struct command {
    char *text;
    line_process_t *process;
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
    free ((*command)->text);
    free (*command);
    *command = NULL;
}

static int command_ask (command_t *c, const buf_t *line, buf_t *answer, err_t *err)
{
    char *argv[] = {(char *) "sh", (char *) "-c", c->text, NULL};
    if (!c->process && !(c->process = line_process_new (argv, NULL, -1, err)))
        return -1;
    return line_process_ask (c->process, line->data, line->size, ANSWER_MS, answer, err);
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

/*  Only the quality is needed. What is no number from 0 to 1 is left out rather than refused, since
 *  programs say other things there as well; but what is given as quality must be one, for the
 *  reward depends on it. */
static int command_read_answer (const buf_t *answer, reward_score_t *score, err_t *err)
{
    json_t *root = json_loadb (answer->data ? answer->data : "", answer->size, 0, NULL), *value;
    const json_t *quality = json_object_get (root, "quality");
    const char *name;
    *score = (reward_score_t){.unused = -1};
    double worth = json_number_value (quality);
    if (!json_is_number (quality) || !(worth >= -ROUNDING && worth <= 1 + ROUNDING)) {
        json_decref (root);
        return err_set (err, ERR_INPUT,
                        "it answered '%.120s'; a line like {\"quality\": 0.7} with a number from 0 "
                        "to 1 is wanted, and not more than one line per episode",
                        answer->data ? answer->data : "");
    }
    score->quality = worth < 0 ? 0 : worth > 1 ? 1 : worth;
    const json_t *success = json_object_get (root, "success");
    score->success = json_is_boolean (success) ? json_is_true (success) : score->quality >= 0.999;
    const json_t *agreement = json_object_get (root, "agreement");
    score->agreement = json_is_number (agreement) ? json_number_value (agreement) : score->quality;
    int rc = 0;
    json_object_foreach (root, name, value) {
        double x = json_number_value (value);
        if (rc == 0 && json_is_number (value) && value != quality && x >= 0 && x <= 1)
            rc = command_add_part (name, x, score, err);
    }
    const char *verdict = json_string_value (json_object_get (root, "verdict"));
    reward_set_verdict (score, verdict ? verdict : "");
    json_decref (root);
    return rc;
}

/*  A program that dies loses no episode: it is started again and asked again. One that is too slow
 *  is not, since whoever asked has a deadline of its own and will ask again. */
int command_score (command_t *c, const episode_t *episode, reward_score_t *score, err_t *err)
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
        rc = command_ask (c, &line, &answer, err);
        if (rc == 0)
            rc = command_read_answer (&answer, score, err);
        if (rc == 0)
            break;
        /* Whatever else it has to say would be taken for the next episode's answer. */
        line_process_destroy (&c->process);
        err_wrap (err, "scorer '%s'", c->text);
        log_warn ("scorer.restart", "text=\"%s\"", err->text);
        if (err->code ==
            ERR_LIMIT) /* so long an answer is the program's doing, and would come again */
            err->code = ERR_INPUT;
        if (err->code == ERR_TIMEOUT) /* whoever asked learns of it before its own deadline */
            break;
        if (i + 1 < TRIES)
            rc = 0;
    }
    buf_free (&line);
    buf_free (&answer);
    return rc;
}

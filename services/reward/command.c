/*  command - see command.h */
#include "command.h"

#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "program/program.h"
#include "task/number.h"
#include "task/outcome.h"

#define SAID_MAX 120 /* columns of an answer that an error shows */

struct command {
    program_t *program;
    size_t failures; /* while it has never answered */
    bool answered;
};

command_t *command_new (const char *text, err_t *err)
{
    command_t *command = calloc (1, sizeof *command);
    if (!command)
        err_set (err, ERR_LIMIT, "no memory for a scorer");
    else if (!(command->program = program_new (text, "scorer", "reward.command_s", err)))
        command_destroy (&command);
    return command;
}

void command_destroy (command_t **command)
{
    if (!*command)
        return;
    program_destroy (&(*command)->program);
    free (*command);
    *command = NULL;
}

void command_stop (command_t *command)
{
    program_stop (command->program);
}

static int command_read_answer (const buf_t *answer, const json_t *roles, reward_score_t *score,
                                err_t *err)
{
    json_t *root = json_loadb (answer->data ? answer->data : "", answer->size, 0, NULL);
    buf_t said = {0};
    int rc = outcome_is (root) ? outcome_read (root, roles, score, err) : -1;
    if (!outcome_is (root)) {
        printable_cut (&said, answer->data ? answer->data : "", answer->size, SAID_MAX);
        err_set (err, ERR_INPUT,
                 "it answered '%s'; a line like {\"quality\": 0.7} with a number from 0 "
                 "to 1 is wanted, and not more than one line per episode",
                 said.data ? said.data : "");
    }
    buf_free (&said);
    json_decref (root);
    return rc;
}

/*  What a failure means. A program that has never answered, and has failed often enough, will not
 *  answer the next episode either: the service ends with its words rather than asking for as long
 *  as the run waits. */
static void command_judge (command_t *c, bool last_try, err_t *err)
{
    bool never =
        !c->answered && (++c->failures >= COMMAND_FAILURES || program_missing (c->program));
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
    for (int i = 0; rc == 0 && i < PROGRAM_TRIES; i++) {
        buf_clear (&answer);
        rc = program_ask (c->program, line.data, line.size, seconds, &answer, err);
        if (rc == 0)
            rc = command_read_answer (&answer, json_object_get (episode_json (episode), "roles"),
                                      score, err);
        if (rc == 0) {
            c->answered = true;
            break;
        }
        if (program_stopped (c->program)) {
            err->code = ERR_STALE;
            break;
        }
        program_end (c->program, err);
        command_judge (c, i + 1 == PROGRAM_TRIES, err);
        /* Whoever asked learns of a late answer before its own deadline. */
        if (err->code == ERR_TIMEOUT || err->code == ERR_CONFIG)
            break;
        if (i + 1 < PROGRAM_TRIES)
            rc = 0;
    }
    buf_free (&line);
    buf_free (&answer);
    return rc;
}

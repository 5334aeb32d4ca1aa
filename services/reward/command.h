/*  command - a scorer of the user's own: any program that reads the finished episode as one JSON
 *  line and answers one line, {"quality": 0.7, ...}.
 *
 *      command_t *command = command_new ("python3 my_scorer.py", &err);
 *      command_score (command, episode, 20, &score, &err);
 *      command_destroy (&command);
 *
 *  Started once with sh -c, fed line by line. When it dies it is started again and asked again, so
 *  its death loses no episode. One that fails COMMAND_FAILURES times without having answered once
 *  is no scorer, which ERR_CONFIG says, with the last lines of its standard error; one that has
 *  answered before, and fails of an episode every time, is said to fail of that (ERR_INPUT).
 *  task/outcome.h says what an answer may have.
 */
#ifndef QUINTET_REWARD_COMMAND_H
#define QUINTET_REWARD_COMMAND_H

#include "task/reward.h"

#define COMMAND_FAILURES 3

typedef struct command command_t;

command_t *command_new (const char *text, err_t *err);
void command_destroy (command_t **command);
/*  From any thread: command_score fails within a moment, now and later, as ERR_STALE. */
void command_stop (command_t *command);
/*  seconds: for one answer. */
int command_score (command_t *command, const episode_t *episode, double seconds,
                   reward_score_t *score, err_t *err);

#endif

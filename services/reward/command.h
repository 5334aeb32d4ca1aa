/*  command - a scorer of the user's own: any program that reads the finished episode as one JSON
 *  line and answers one line, {"quality": 0.7, ...}.
 *
 *      command_t *command = command_new ("python3 my_scorer.py", &err);
 *      command_score (command, episode, &score, &err);
 *      command_destroy (&command);
 *
 *  Started once with sh -c, fed line by line. When it dies or is too slow it is started again and
 *  asked once more; so its death loses no episode. Other numbers in [0, 1] of its answer become
 *  parts of the quality; "success" (a boolean; else quality >= 0.999) and "verdict" (a text) are
 *  taken as they are.
 */
#ifndef QUINTET_REWARD_COMMAND_H
#define QUINTET_REWARD_COMMAND_H

#include "task/reward.h"

typedef struct command command_t;

command_t *command_new (const char *text, err_t *err);
void command_destroy (command_t **command);
int command_score (command_t *command, const episode_t *episode, reward_score_t *score, err_t *err);

#endif

/*  coding - quality of a coding episode: the team's file is run against the task's hidden tests.
 *
 *      coding_score (sandbox, episode, &score, &err);
 *
 *  quality = 0.1 syntax + 0.1 helper called + 0.4 share of tests passed + 0.4 all passed; a team without a
 *  helper has that part for free. Success: all tests pass and the helper was really called. Expected values
 *  never enter the process that runs the program; equal means equal in value and type.
 */
#ifndef QUINTET_REWARD_CODING_H
#define QUINTET_REWARD_CODING_H

#include "sandbox.h"
#include "task/reward.h"

int coding_score (sandbox_t *sandbox, const episode_t *episode, reward_score_t *score, err_t *err);

#endif

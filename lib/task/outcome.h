/*  outcome - what a program of the user's own says that an episode is worth.
 *
 *      outcome_read (answer, roles, &score, &err);
 *
 *  {"quality": 0.7, "success": true, "agreement": 0.5, "syntax": 1, "parts": {"length": 0.2},
 *   "local": {"aux": 0.5, "main": 1}, "verdict": "7 of 10"}
 *
 *  Only the quality is needed. Other numbers from 0 to 1, and those of "parts", become parts of the
 *  quality; "success" (a boolean), "agreement" (a number) and "verdict" (a text) are taken as they
 *  are, and are unknown when they are missing. "local" is what each role's own part is worth. Other
 *  members are none of ours.
 */
#ifndef QUINTET_TASK_OUTCOME_H
#define QUINTET_TASK_OUTCOME_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "task/reward.h"

/*  Whether it has a quality, and so is an outcome at all. */
bool outcome_is (const json_t *answer);
/*  roles: names of the team's. ERR_INPUT names the key. */
int outcome_read (const json_t *answer, const json_t *roles, reward_score_t *score, err_t *err);
/*  What an environment of the user's own answers to a reset or a step: {"observe": {ROLE: "text"}},
 *  of those who act next, or {"done": true, ...} with an outcome. ERR_INPUT names the key. */
int outcome_check (const json_t *answer, const json_t *roles, bool *done, err_t *err);

#endif

/*  judge - a reward service of one's own, to score what was played.
 *
 *      judge_t *judge = judge_new (conf, &seats, &err);
 *      const wire_reward_t *reward = judge_score (judge, NULL, &played, &interrupted, &err);
 *      judge_destroy (&judge);
 *
 *  A bus and a reward service run in a folder that goes away with them, so that a score is what
 *  `quintet run` would have given, by its scorer, limits and weights.
 */
#ifndef QUINTET_CLI_JUDGE_H
#define QUINTET_CLI_JUDGE_H

#include <signal.h>

#include "conf/conf.h"
#include "seats.h"
#include "task/episode.h"
#include "wire/wire.h"

typedef struct judge judge_t;

/*  A tool, and what it is asked (task/episode.h). */
typedef struct {
    const char *name, *query;
} judge_tool_t;

/*  An episode and its task; a policy that judges draws by the number of the task and the seed. */
typedef struct {
    const episode_t *episode;
    const char *task;
    uint64_t index, seed;
} judge_played_t;

/*  Starts the services, and does not wait for them. conf and seats are borrowed. */
judge_t *judge_new (const conf_t *conf, const seats_t *seats, err_t *err);
void judge_destroy (judge_t **judge);

/*  A finished episode's reward, or for a tool that is not NULL what it finds in one under way;
 *  valid until the next call. NULL with ERR_NONE: interrupted. */
const wire_reward_t *judge_score (judge_t *judge, const judge_tool_t *tool,
                                  const judge_played_t *played,
                                  const volatile sig_atomic_t *interrupted, err_t *err);

#endif

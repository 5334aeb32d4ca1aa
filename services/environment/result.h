/*  result - what came out of a group: every episode's completions, history and reward.
 *
 *      result_t *result = result_new (episodes);
 *      result_prompt (result, ids, n, &prompt);                  a distinct prompt
 *      result_completion (result, episode, &completion);        in the order of (turn, role)
 *      result_write (result, group, played, rewards, n, &bytes, &err);
 *      result_destroy (&result);
 *
 *  Ids and log-probabilities are borrowed: they lie where the replies were unpacked.
 */
#ifndef QUINTET_ENVIRONMENT_RESULT_H
#define QUINTET_ENVIRONMENT_RESULT_H

#include "wire/wire.h"

typedef struct result result_t;

result_t *result_new (size_t episodes);
void result_destroy (result_t **result);

/*  Copies the ids. 0, or -1 when memory ran out. */
int result_prompt (result_t *result, const int32_t *ids, size_t n, uint32_t *index);
const wire_ids_t *result_prompt_ids (const result_t *result, uint32_t index);
int result_completion (result_t *result, size_t episode, const wire_completion_t *completion);
/*  A role's last one in an episode, NULL: none yet. Until the next call of result_completion. */
const wire_completion_t *result_last (const result_t *result, size_t episode, size_t role);

/*  How an episode went, besides its completions. */
typedef struct {
    const char *history;
    size_t tokens, critical_path;
} result_played_t;

/*  Appends to bytes. played: one per episode; rewards: those of the episodes, and behind them those
 *  of others_n teams that were not played. ERR_INPUT: it is too large. */
int result_write (const result_t *result, uint64_t group, const result_played_t *played,
                  const wire_reward_t *rewards, size_t others_n, buf_t *bytes, err_t *err);

#endif

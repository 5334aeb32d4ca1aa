/*  result - see result.h */
#include "result.h"

#include <stdlib.h>
#include <string.h>

/*  The completions of one episode, in the order in which they were made. */
typedef struct {
    wire_completion_t *completion;
    size_t n, capacity;
} row_t;

struct result {
    row_t *rows; /* one per episode */
    size_t episodes;
    wire_ids_t *prompts;
    size_t prompts_n, prompts_capacity;
};

result_t *result_new (size_t episodes)
{
    result_t *result = calloc (1, sizeof *result);
    if (!result)
        return NULL;
    result->episodes = episodes;
    result->rows = calloc (episodes, sizeof *result->rows);
    if (!result->rows)
        result_destroy (&result);
    return result;
}

void result_destroy (result_t **result)
{
    if (!*result)
        return;
    for (size_t i = 0; (*result)->rows && i < (*result)->episodes; i++)
        free ((*result)->rows[i].completion);
    for (size_t i = 0; i < (*result)->prompts_n; i++)
        free ((void *) (uintptr_t) (*result)->prompts[i].data);
    free ((*result)->prompts);
    free ((*result)->rows);
    free (*result);
    *result = NULL;
}

/*  Copied, since prompts are made here, while completions lie in the arena of the replies as long
 *  as the group. */
int result_prompt (result_t *result, const int32_t *ids, size_t n, uint32_t *index)
{
    if (result->prompts_n == result->prompts_capacity) {
        size_t capacity = result->prompts_capacity ? 2 * result->prompts_capacity : 8;
        wire_ids_t *grown = realloc (result->prompts, capacity * sizeof *grown);
        if (!grown)
            return -1;
        result->prompts = grown;
        result->prompts_capacity = capacity;
    }
    int32_t *copy = malloc (n * sizeof *copy + 1);
    if (!copy)
        return -1;
    if (n)
        memcpy (copy, ids, n * sizeof *copy);
    *index = (uint32_t) result->prompts_n;
    result->prompts[result->prompts_n++] = (wire_ids_t){.data = copy, .n = n};
    return 0;
}

const wire_ids_t *result_prompt_ids (const result_t *result, uint32_t index)
{
    return &result->prompts[index];
}

int result_completion (result_t *result, size_t episode, const wire_completion_t *completion)
{
    row_t *row = &result->rows[episode];
    if (row->n == row->capacity) {
        size_t capacity = row->capacity ? 2 * row->capacity : 4;
        wire_completion_t *grown = realloc (row->completion, capacity * sizeof *grown);
        if (!grown)
            return -1;
        row->completion = grown;
        row->capacity = capacity;
    }
    row->completion[row->n++] = *completion;
    return 0;
}

const wire_completion_t *result_last (const result_t *result, size_t episode, size_t role)
{
    const row_t *row = &result->rows[episode];
    for (size_t i = row->n; i-- > 0;)
        if (row->completion[i].role == role)
            return &row->completion[i];
    return NULL;
}

/*  The order is fixed by how it was filled: completions by (turn, role) within each episode. Two
 *  environments that played the same group give the same bytes, so it does not matter whose commit
 *  comes first. */
int result_write (const result_t *result, uint64_t group, const result_played_t *played,
                  const wire_reward_t *rewards, size_t others_n, buf_t *bytes, err_t *err)
{
    wire_episode_t *episodes = calloc (result->episodes, sizeof *episodes);
    double *others = calloc (others_n + 1, sizeof *others);
    if (!episodes || !others) {
        free (episodes);
        free (others);
        return err_set (err, ERR_LIMIT, "no memory for a result");
    }
    double sum = 0;
    size_t scored = 0;
    for (size_t i = 0; i < result->episodes; i++) {
        sum += rewards[i].unscored ? 0 : rewards[i].reward;
        scored += !rewards[i].unscored;
    }
    /* Of these the reward alone counts, for nobody looks at what was never played. One that was not
     * scored says nothing for or against its team. */
    for (size_t k = 0; k < others_n; k++) {
        const wire_reward_t *reward = &rewards[result->episodes + k];
        others[k] = !reward->unscored ? reward->reward : scored ? sum / (double) scored : 0;
    }
    for (size_t i = 0; i < result->episodes; i++)
        episodes[i] = (wire_episode_t){.history = played[i].history,
                                       .tokens = (uint32_t) played[i].tokens,
                                       .critical_path = (uint32_t) played[i].critical_path,
                                       .reward = rewards[i],
                                       .completions = result->rows[i].completion,
                                       .completions_n = result->rows[i].n};
    wire_episodes_t message = {.group = group,
                               .prompts = result->prompts,
                               .prompts_n = result->prompts_n,
                               .episodes = episodes,
                               .episodes_n = result->episodes,
                               .others = others,
                               .others_n = others_n};
    wire_episodes_pack (&message, bytes);
    free (others);
    free (episodes);
    return buf_check (bytes, "the result", err);
}

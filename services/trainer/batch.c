/*  batch - see batch.h */
#include "batch.h"

#include <stdlib.h>

/*  Roles may share a policy: then all of them are ours. */
static bool batch_is_ours (const batch_source_t *source, const wire_completion_t *c)
{
    return source->policies[c->role] == source->policy;
}

static bool batch_is_masked (const batch_source_t *source, const wire_completion_t *c)
{
    return source->mask_truncated && !c->stopped;
}

/*  Whether some completion of the group would move the weights. A group whose rewards are all
 *  alike has advantages of 0: computing its gradient would cost as much as any other and add
 *  nothing, unless a KL term pulls as well. */
static bool batch_teaches (const batch_source_t *source, size_t group)
{
    const rollout_t *r = source->rollout;
    size_t begin = r->first_completion[r->first_episode[group]];
    size_t end = r->first_completion[r->first_episode[group + 1]];
    for (size_t c = begin; c < end; c++)
        if (source->advantages[c] != 0)
            return true;
    return source->keep_flat;
}

/*  Counts what the loss divides by, over all completions of the policy: also those that are left
 *  out of the computation below, or the learning rate would depend on how many rewards happened
 *  to be alike. */
static void batch_count (const batch_source_t *source, size_t first, size_t end, batch_t *batch)
{
    const rollout_t *r = source->rollout;
    for (size_t e = r->first_episode[first]; e < r->first_episode[end]; e++)
        for (size_t c = 0; c < r->episode[e]->completions_n; c++) {
            const wire_completion_t *completion = &r->episode[e]->completions[c];
            if (!batch_is_ours (source, completion))
                continue;
            batch->norm.sequences++;
            batch->norm.tokens += batch_is_masked (source, completion) ? 0 : completion->ids.n;
        }
}

/*  Appends the train group of one prompt; nothing when no completion of ours has it. Completions
 *  of one prompt stand together, since the trainer computes the prompt once for all of them.
 *  Their order is that of the rollout, which decides the order of every sum. */
static void batch_add_prompt (const batch_source_t *source, size_t group, size_t prompt,
                              batch_t *batch)
{
    const rollout_t *r = source->rollout;
    size_t begin = batch->items_n;
    for (size_t e = r->first_episode[group]; e < r->first_episode[group + 1]; e++)
        for (size_t c = 0; c < r->episode[e]->completions_n; c++) {
            const wire_completion_t *completion = &r->episode[e]->completions[c];
            if (completion->prompt != prompt || !batch_is_ours (source, completion) ||
                batch_is_masked (source, completion))
                continue;
            size_t number = r->first_completion[e] + c;
            batch->completions[batch->items_n] =
                (train_tokens_t){.ids = completion->ids.data, .n = completion->ids.n};
            batch->items[batch->items_n++] =
                (batch_item_t){.number = number,
                               .completion = completion,
                               .first_token = batch->tokens,
                               .advantage = source->advantages[number]};
            batch->tokens += completion->ids.n;
        }
    if (batch->items_n == begin)
        return;
    uint32_t role = batch->items[begin].completion->role;
    float temperature = source->temperatures ? source->temperatures[role] : 1;
    const wire_ids_t *ids = &r->group[group]->prompts[prompt];
    /* The next group's beginning is this one's end; it is written again when there is a next
       one. */
    batch->first_item[batch->groups_n] = begin;
    batch->groups[batch->groups_n++] = (train_group_t){.prompt = {.ids = ids->data, .n = ids->n},
                                                       .completions = batch->completions + begin,
                                                       .completions_n = batch->items_n - begin,
                                                       .temperature = temperature};
    batch->first_item[batch->groups_n] = batch->items_n;
}

/*  Allocated once at its largest: the train groups point into `completions`, so it must not
 *  move. */
static int batch_reserve (batch_t *batch, size_t prompts, size_t completions, err_t *err)
{
    batch->groups = calloc (prompts + 1, sizeof *batch->groups);
    batch->first_item = calloc (prompts + 2, sizeof *batch->first_item);
    batch->completions = calloc (completions + 1, sizeof *batch->completions);
    batch->items = calloc (completions + 1, sizeof *batch->items);
    if (!batch->groups || !batch->first_item || !batch->completions || !batch->items)
        return err_set (err, ERR_LIMIT, "no memory for a batch of %zu completions", completions);
    return 0;
}

batch_t *batch_new (const batch_source_t *source, size_t first, size_t end, err_t *err)
{
    const rollout_t *r = source->rollout;
    size_t prompts = 0;
    for (size_t g = first; g < end; g++)
        prompts += r->group[g] ? r->group[g]->prompts_n : 0;
    /* At most: those of other policies and masked ones leave their places empty. */
    size_t completions =
        r->first_completion[r->first_episode[end]] - r->first_completion[r->first_episode[first]];
    batch_t *batch = calloc (1, sizeof *batch);
    if (!batch || batch_reserve (batch, prompts, completions, err) != 0) {
        batch_destroy (&batch);
        return NULL;
    }
    batch_count (source, first, end, batch);
    for (size_t g = first; g < end; g++)
        for (size_t p = 0; r->group[g] && batch_teaches (source, g) && p < r->group[g]->prompts_n;
             p++)
            batch_add_prompt (source, g, p, batch);
    return batch;
}

/*  Ids and completions are the rollout's, which has to outlive the batch. */
void batch_destroy (batch_t **batch)
{
    if (!*batch)
        return;
    free ((*batch)->old);
    free ((*batch)->groups);
    free ((*batch)->first_item);
    free ((*batch)->completions);
    free ((*batch)->items);
    free (*batch);
    *batch = NULL;
}

/*  rollout - see rollout.h */
#include "rollout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*  Of all groups of a step together: two thousand episodes of a thousand tokens need a hundredth
 *  of it. */
#define ROLLOUT_BUDGET ((size_t) 2 << 30)

/*  One element more than there are: calloc may give NULL for none, which would look like a
 *  failure. */
rollout_t *rollout_new (size_t groups, err_t *err)
{
    rollout_t *rollout = calloc (1, sizeof *rollout);
    if (rollout) {
        rollout->groups = groups;
        rollout->group = calloc (groups + 1, sizeof *rollout->group);
        rollout->reason = calloc (groups + 1, sizeof *rollout->reason);
        rollout->task = calloc (groups + 1, sizeof *rollout->task);
        rollout->first_episode = calloc (groups + 1, sizeof *rollout->first_episode);
        rollout->arena = arena_new (ROLLOUT_BUDGET);
    }
    if (!rollout || !rollout->group || !rollout->reason || !rollout->task ||
        !rollout->first_episode || !rollout->arena) {
        rollout_destroy (&rollout);
        err_set (err, ERR_LIMIT, "no memory for the results of %zu groups", groups);
    }
    return rollout;
}

/*  Also of one that rollout_new could not finish. */
void rollout_destroy (rollout_t **rollout)
{
    rollout_t *r = *rollout;
    if (!r)
        return;
    for (size_t g = 0; r->reason && g < r->groups; g++)
        free (r->reason[g]);
    free (r->group);
    free (r->reason);
    free (r->task);
    free (r->first_episode);
    free (r->episode);
    free (r->first_completion);
    free (r->rewards);
    arena_destroy (&r->arena);
    free (r);
    *rollout = NULL;
}

/*  An id outside the vocabulary would be read beyond the embedding's end. Results come from
 *  other processes, through Redis: they are checked here, once, so that nothing behind has to. */
static int rollout_check_ids (const wire_ids_t *ids, size_t vocab, const char *what, err_t *err)
{
    /* Nothing can be sampled behind an empty prompt, and an empty completion has no token to learn
       from. */
    if (ids->n == 0)
        return err_set (err, ERR_INPUT, "%s has no tokens", what);
    for (size_t i = 0; i < ids->n; i++)
        if (ids->data[i] < 0 || (size_t) ids->data[i] >= vocab)
            return err_set (err, ERR_INPUT, "%s has token %d; the vocabulary has %zu", what,
                            ids->data[i], vocab);
    return 0;
}

/*  The role comes first: the limits behind it are looked up by role. */
static int rollout_check_completion (const wire_episodes_t *group, const wire_completion_t *c,
                                     const rollout_limits_t *limits, err_t *err)
{
    if (c->role >= limits->roles)
        return err_set (err, ERR_INPUT, "a completion of role %u; there are %zu roles", c->role,
                        limits->roles);
    if (c->prompt >= group->prompts_n)
        return err_set (err, ERR_INPUT, "a completion names prompt %u of %zu", c->prompt,
                        group->prompts_n);
    const wire_ids_t *prompt = &group->prompts[c->prompt];
    /* Each policy has a context of its own; positions beyond it were never trained. */
    if (prompt->n + c->ids.n > limits->context[c->role])
        return err_set (err, ERR_INPUT,
                        "a prompt of %zu tokens and a completion of %zu; "
                        "the model's context is %zu",
                        prompt->n, c->ids.n, limits->context[c->role]);
    if (rollout_check_ids (prompt, limits->vocab[c->role], "a prompt", err) != 0)
        return -1;
    return rollout_check_ids (&c->ids, limits->vocab[c->role], "a completion", err);
}

/*  The number of episodes is part of the step: a group with fewer would change the others' mean. */
static int rollout_check_group (const wire_episodes_t *group, const rollout_limits_t *limits,
                                err_t *err)
{
    if (group->episodes_n != limits->episodes)
        return err_set (err, ERR_INPUT, "it has %zu episodes, %zu were asked for",
                        group->episodes_n, limits->episodes);
    if (group->others_n != limits->others)
        return err_set (err, ERR_INPUT,
                        "it has rewards of %zu teams that were not played, "
                        "%zu were asked for",
                        group->others_n, limits->others);
    for (size_t e = 0; e < group->episodes_n; e++)
        for (size_t c = 0; c < group->episodes[e].completions_n; c++)
            if (rollout_check_completion (group, &group->episodes[e].completions[c], limits, err) !=
                0)
                return err_wrap (err, "episode %zu", e);
    return 0;
}

int rollout_add (rollout_t *rollout, uint64_t group, const void *data, size_t size,
                 const char *reason, const rollout_limits_t *limits, err_t *err)
{
    /* The number came from Redis, too. */
    if (group >= rollout->groups)
        return err_set (err, ERR_INPUT, "group %llu of a step of %zu groups",
                        (unsigned long long) group, rollout->groups);
    /* A dead group. It stays in the step with its reason, and counts for nothing. */
    if (!data) {
        free (rollout->reason[group]);
        rollout->reason[group] = strdup (reason ? reason : "no reason given");
        return 0;
    }
    /* In the rollout's arena: what its arrays point to goes with it, all at once. */
    const wire_episodes_t *episodes = wire_episodes_unpack (rollout->arena, data, size, err);
    if (!episodes || rollout_check_group (episodes, limits, err) != 0)
        return err_wrap (err, "group %llu", (unsigned long long) group);
    /* Only now: what is in the rollout has been checked. */
    rollout->group[group] = episodes;
    return 0;
}

/*  What was not scored has the mean of its group: it is neither better nor worse than the others,
 *  and moves nothing. */
static double rollout_reward (const wire_episodes_t *group, size_t episode)
{
    double sum = 0;
    size_t n = 0;
    if (!group->episodes[episode].reward.unscored)
        return group->episodes[episode].reward.reward;
    for (size_t e = 0; e < group->episodes_n; e++)
        if (!group->episodes[e].reward.unscored) {
            sum += group->episodes[e].reward.reward;
            n++;
        }
    return n ? sum / (double) n : 0;
}

/*  The flat numbers that everything behind uses: episodes and completions are counted on over
 *  all groups in the order of their ids, whatever the order in which the groups came. */
int rollout_index (rollout_t *r, err_t *err)
{
    r->episodes = 0;
    for (size_t g = 0; g < r->groups; g++) {
        r->first_episode[g] = r->episodes;
        r->episodes += r->group[g] ? r->group[g]->episodes_n : 0;
    }
    /* One more than there are, so that an end is always the next one's beginning. */
    r->first_episode[r->groups] = r->episodes;
    r->episode = calloc (r->episodes + 1, sizeof *r->episode);
    r->first_completion = calloc (r->episodes + 1, sizeof *r->first_completion);
    r->rewards = calloc (r->episodes + 1, sizeof *r->rewards);
    if (!r->episode || !r->first_completion || !r->rewards)
        return err_set (err, ERR_LIMIT, "no memory for %zu episodes", r->episodes);
    r->completions = 0;
    for (size_t g = 0, e = 0; g < r->groups; g++)
        for (size_t i = 0; r->group[g] && i < r->group[g]->episodes_n; i++, e++) {
            r->episode[e] = &r->group[g]->episodes[i];
            /* As one array beside the episodes, since lib/learn takes rewards as such. */
            r->rewards[e] = rollout_reward (r->group[g], i);
            r->first_completion[e] = r->completions;
            r->completions += r->episode[e]->completions_n;
        }
    r->first_completion[r->episodes] = r->completions;
    return 0;
}

double rollout_local_of (const rollout_t *r, size_t episode, const char *role)
{
    double sum = 0;
    size_t n = 0, g = 0;
    if (!r->episode[episode]->reward.unscored)
        return rollout_local (&r->episode[episode]->reward, role);
    while (r->first_episode[g + 1] <= episode)
        g++;
    for (size_t e = r->first_episode[g]; e < r->first_episode[g + 1]; e++)
        if (!r->episode[e]->reward.unscored) {
            sum += rollout_local (&r->episode[e]->reward, role);
            n++;
        }
    return sum / (double) n;
}

double rollout_local (const wire_reward_t *reward, const char *role)
{
    for (size_t p = 0; p < reward->local_n; p++)
        if (strcmp (reward->local[p].name, role) == 0)
            return reward->local[p].value;
    return NAN;
}

size_t rollout_tokens_all (const rollout_t *rollout)
{
    size_t tokens = 0;
    for (size_t e = 0; e < rollout->episodes; e++)
        for (size_t c = 0; c < rollout->episode[e]->completions_n; c++)
            tokens += rollout->episode[e]->completions[c].ids.n;
    return tokens;
}

/*  credit - see credit.h */
#include "credit.h"

#include <stdlib.h>

/*  Of one role in an episode; the arrays of credit_of_role lie on the stack. */
#define TURNS_MAX 256

/*  The joint rewards, less the mean punishment of each episode's overlong completions. */
static double *credit_shape (const rollout_t *r, const credit_options_t *options, double *overlong)
{
    double *rewards = calloc (r->episodes + 1, sizeof *rewards);
    for (size_t e = 0; rewards && e < r->episodes; e++) {
        const wire_episode_t *episode = r->episode[e];
        double sum = 0;
        for (size_t c = 0; c < episode->completions_n; c++)
            sum += advantage_overlong (episode->completions[c].ids.n, options->max_tokens,
                                       options->overlong_tokens);
        /* The mean, not the sum: an episode of many turns must not be punished more than one of
           few. */
        sum /= (double) (episode->completions_n ? episode->completions_n : 1);
        rewards[e] = r->rewards[e] + sum;
        *overlong += sum / (double) r->episodes;
    }
    return rewards;
}

/*  One joint reward for the whole team: every completion of an episode gets the same advantage. */
static int credit_from_groups (credit_t *credit, const rollout_t *r, const double *rewards,
                               const credit_options_t *options, err_t *err)
{
    advantage_stats_t stats;
    double *episodes = calloc (r->episodes + 1, sizeof *episodes);
    if (!episodes)
        return err_set (err, ERR_LIMIT, "no memory for %zu advantages", r->episodes);
    if (options->leave_one_out)
        advantage_rloo (rewards, r->first_episode, r->groups, episodes, &stats);
    else
        advantage_group (rewards, r->first_episode, r->groups, options->scale, episodes, &stats);
    credit->zero_spread = stats.zero_spread;
    for (size_t e = 0; e < r->episodes; e++)
        for (size_t c = r->first_completion[e]; c < r->first_completion[e + 1]; c++)
            credit->advantages[c] = episodes[e];
    free (episodes);
    return 0;
}

/*  GAE over the turns in which one role of an episode acted. */
static int credit_of_role (const rollout_t *r, size_t e, double reward, uint32_t role,
                           const double *values, double lambda, double *advantages, err_t *err)
{
    double value[TURNS_MAX] = {0}, advantage[TURNS_MAX];
    size_t at[TURNS_MAX], turns = 0;
    const wire_episode_t *episode = r->episode[e];
    for (size_t c = 0; c < episode->completions_n; c++) {
        if (episode->completions[c].role != role)
            continue;
        if (turns == TURNS_MAX)
            return err_set (err, ERR_LIMIT, "an episode of more than %d turns", TURNS_MAX);
        at[turns] = r->first_completion[e] + c;
        /* Completions stand in the order of their turns, which is the order that GAE runs along. */
        value[turns] = values[at[turns]];
        turns++;
    }
    advantage_gae (value, turns, reward, lambda, advantage);
    for (size_t t = 0; t < turns; t++)
        advantages[at[t]] = advantage[t];
    return 0;
}

static int credit_from_critic (const rollout_t *r, const double *rewards, const double *values,
                               double lambda, double *advantages, err_t *err)
{
    for (size_t e = 0; e < r->episodes; e++)
        for (size_t c = 0; c < r->episode[e]->completions_n; c++) {
            uint32_t role = r->episode[e]->completions[c].role;
            /* Each role once, at its first completion: credit_of_role takes all of its turns. */
            bool first = true; /* of this role in the episode */
            for (size_t b = 0; first && b < c; b++)
                first = r->episode[e]->completions[b].role != role;
            if (first &&
                credit_of_role (r, e, rewards[e], role, values, lambda, advantages, err) != 0)
                return -1;
        }
    /* Over the whole step, not by group: the critic is what makes episodes of different tasks
       comparable. */
    advantage_normalise (advantages, r->completions);
    return 0;
}

/*  The group baseline is computed in any case: the number of groups without spread comes from it,
 *  also where the critic alone decides. */
int credit_compute (credit_t *credit, const rollout_t *rollout, const credit_options_t *options,
                    const double *values, err_t *err)
{
    credit_free (credit);
    size_t n = rollout->completions;
    credit->advantages = calloc (n + 1, sizeof (double));
    double *critic = values && options->critic ? calloc (n + 1, sizeof *critic) : NULL;
    double *rewards = credit_shape (rollout, options, &credit->overlong);
    int rc = credit->advantages && rewards && (critic || !values || !options->critic)
                 ? credit_from_groups (credit, rollout, rewards, options, err)
                 : err_set (err, ERR_LIMIT, "no memory for %zu advantages", n);
    /* Without a trusted critic, what the groups gave stays as it is. */
    if (rc == 0 && critic)
        rc = credit_from_critic (rollout, rewards, values, options->lambda, critic, err);
    /* Both are brought to one scale before they are averaged; else the wider one would decide
       alone. */
    if (rc == 0 && critic && options->group)
        advantage_normalise (credit->advantages, n);
    for (size_t c = 0; rc == 0 && critic && c < n; c++)
        credit->advantages[c] =
            options->group ? (credit->advantages[c] + critic[c]) / 2 : critic[c];
    free (critic);
    free (rewards);
    return rc;
}

void credit_free (credit_t *credit)
{
    free (credit->advantages);
    *credit = (credit_t){0};
}

/*  credit - see credit.h */
#include "credit.h"

#include <math.h>
#include <stdlib.h>

#include "learn/advantage.h"

static double credit_divisor (const credit_options_t *options)
{
    return options->divisor > 0 ? options->divisor : 1;
}

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
        rewards[e] = (r->rewards[e] + sum) / credit_divisor (options);
        *overlong += sum / (double) r->episodes;
    }
    return rewards;
}

/*  Who acted when, by flat number of the completion. */
static void credit_read_seats (const rollout_t *r, uint32_t *role, uint32_t *turn)
{
    for (size_t e = 0; e < r->episodes; e++)
        for (size_t c = 0; c < r->episode[e]->completions_n; c++) {
            role[r->first_completion[e] + c] = r->episode[e]->completions[c].role;
            turn[r->first_completion[e] + c] = r->episode[e]->completions[c].turn;
        }
}

/*  R_(i,r) of the completion's role. A scorer that tells nothing of a role would have it learn
 *  something else than the configuration says. */
static int credit_own (const wire_episode_t *episode, const char *role, double joint,
                       const credit_options_t *options, double *own, err_t *err)
{
    double local = options->local > 0 ? rollout_local (&episode->reward, role) : 0;
    *own = options->team * joint + options->local * local / credit_divisor (options);
    return isfinite (local)
               ? 0
               : err_set (err, ERR_INPUT,
                          "the scorer told no local part of role %s, which reward.local wants: its "
                          "answer needs \"local\": {\"%s\": 0.5}",
                          role, role);
}

/*  rewards: of the episodes. */
static int credit_read_own (const rollout_t *r, const credit_options_t *options,
                            const double *rewards, double *own, err_t *err)
{
    for (size_t e = 0; e < r->episodes; e++)
        for (size_t c = 0; c < r->episode[e]->completions_n; c++) {
            const char *role =
                options->local > 0 ? options->roles[r->episode[e]->completions[c].role] : "";
            if (credit_own (r->episode[e], role, rewards[e], options,
                            &own[r->first_completion[e] + c], err) != 0)
                return -1;
        }
    return 0;
}

int credit_compute (credit_t *credit, const rollout_t *rollout, const credit_options_t *options,
                    const double *values, err_t *err)
{
    credit_free (credit);
    size_t n = rollout->completions;
    credit->advantages = calloc (n + 1, sizeof (double));
    double *rewards = credit_shape (rollout, options, &credit->overlong);
    double *own = calloc (n + 1, sizeof *own);
    uint32_t *role = calloc (n + 1, sizeof *role), *turn = calloc (n + 1, sizeof *turn);
    int rc = credit->advantages && rewards && own && role && turn
                 ? credit_read_own (rollout, options, rewards, own, err)
                 : err_set (err, ERR_LIMIT, "no memory for %zu advantages", n);
    if (rc == 0) {
        credit_read_seats (rollout, role, turn);
        assign_step_t step = {.groups = rollout->groups,
                              .episodes = rollout->episodes,
                              .completions = n,
                              .first_episode = rollout->first_episode,
                              .first_completion = rollout->first_completion,
                              .role = role,
                              .turn = turn,
                              .rewards = rewards,
                              .own = own,
                              .values = values};
        rc = assign_step (&step, &options->credits, &options->assign, credit->advantages,
                          &credit->zero_spread, err);
    }
    free (turn);
    free (role);
    free (own);
    free (rewards);
    return rc;
}

void credit_free (credit_t *credit)
{
    free (credit->advantages);
    *credit = (credit_t){0};
}

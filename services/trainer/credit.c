/*  credit - see credit.h */
#include "credit.h"

#include <math.h>
#include <stdlib.h>

#include "learn/advantage.h"

static double credit_divisor (const credit_options_t *options)
{
    return options->divisor > 0 ? options->divisor : 1;
}

/*  Of one role's completions in an episode, or of all (ROLE_ANY), what overlong ones cost; n counts
 *  them. */
#define ROLE_ANY UINT32_MAX
static double credit_overlong (const wire_episode_t *episode, uint32_t role,
                               const credit_options_t *options, size_t *n)
{
    double sum = 0;
    for (size_t c = 0; c < episode->completions_n; c++) {
        if (role != ROLE_ANY && episode->completions[c].role != role)
            continue;
        sum += advantage_overlong (episode->completions[c].ids.n, options->max_tokens,
                                   options->overlong_tokens);
        (*n)++;
    }
    return sum;
}

/*  A joint reward, less the mean punishment of the overlong completions. The mean, not the sum: an
 *  episode of many turns must not be punished more than one of few. */
static double credit_shape (double reward, double overlong, size_t n,
                            const credit_options_t *options)
{
    return (reward + overlong / (double) (n ? n : 1)) / credit_divisor (options);
}

static void credit_read_rewards (const rollout_t *r, const credit_options_t *options,
                                 double *rewards, double *overlong)
{
    for (size_t e = 0; e < r->episodes; e++) {
        size_t n = 0;
        double sum = credit_overlong (r->episode[e], ROLE_ANY, options, &n);
        rewards[e] = credit_shape (r->rewards[e], sum, n, options);
        *overlong += sum / (double) (n ? n : 1) / (double) r->episodes;
    }
}

/*  ---- teams that were not played ------------------------------------------------------------- */

/*  What the teams of one group tell of each sample (role, episode): arrays [roles * episodes]. */
typedef struct {
    double *sum, *n; /* rewards of the teams in which it stands, the played one among them */
    double *without; /* of the episode without the role */
} credit_samples_t;

static void credit_read_team (const rollout_t *r, size_t group, const uint32_t *team, double reward,
                              const credit_options_t *options, const credit_samples_t *samples)
{
    const wire_episodes_t *played = r->group[group];
    size_t n = 0, gone = options->roles_n;
    double overlong = 0;
    for (size_t role = 0; role < options->roles_n; role++)
        if (team[role] == MATES_NOBODY)
            gone = role;
        else
            overlong +=
                credit_overlong (&played->episodes[team[role]], (uint32_t) role, options, &n);
    double shaped = credit_shape (reward, overlong, n, options);
    if (gone < options->roles_n) /* all others are of one episode */
        samples->without[gone * played->episodes_n + team[gone == 0]] = shaped;
    for (size_t role = 0; gone == options->roles_n && role < options->roles_n; role++) {
        samples->sum[role * played->episodes_n + team[role]] += shaped;
        samples->n[role * played->episodes_n + team[role]]++;
    }
}

/*  Rewards are those of the played episodes. A single role has no teams but these. */
static void credit_read_samples (const rollout_t *r, size_t group, const mates_teams_t *teams,
                                 const double *rewards, const credit_options_t *options,
                                 const credit_samples_t *samples)
{
    size_t n = r->group[group]->episodes_n, first = r->first_episode[group];
    for (size_t i = 0; i < options->roles_n * n; i++) {
        samples->sum[i] = rewards[first + i % n];
        samples->n[i] = 1;
        samples->without[i] = 0;
    }
    for (size_t k = 0; k < teams->n; k++)
        credit_read_team (r, group, teams->of + k * teams->roles, r->group[group]->others[k],
                          options, samples);
}

static int credit_read_group (const rollout_t *r, size_t group, const double *rewards,
                              const credit_options_t *options, double *mates, double *without,
                              err_t *err)
{
    size_t n = r->group[group]->episodes_n, all = options->roles_n * n;
    mates_teams_t teams;
    if (mates_teams (&options->mates, options->roles_n, n, &teams, err) != 0)
        return -1;
    double *work = calloc (3 * all + 1, sizeof *work);
    const credit_samples_t samples = {work, work + all, work + 2 * all};
    if (work)
        credit_read_samples (r, group, &teams, rewards, options, &samples);
    for (size_t e = 0; work && e < n; e++)
        for (size_t c = 0; c < r->group[group]->episodes[e].completions_n; c++) {
            size_t at = r->group[group]->episodes[e].completions[c].role * n + e;
            size_t number = r->first_completion[r->first_episode[group] + e] + c;
            mates[number] = samples.sum[at] / samples.n[at];
            without[number] = samples.without[at];
        }
    free (work);
    mates_free (&teams);
    return work ? 0 : err_set (err, ERR_LIMIT, "no memory for %zu samples", all);
}

static int credit_read_mates (const rollout_t *r, const double *rewards,
                              const credit_options_t *options, double *mates, double *without,
                              err_t *err)
{
    bool any = options->mates.cross || options->mates.removal;
    for (size_t g = 0; any && g < r->groups; g++)
        if (r->group[g] && credit_read_group (r, g, rewards, options, mates, without, err) != 0)
            return -1;
    return 0;
}

/*  ---- episodes ------------------------------------------------------------------------------- */

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
static int credit_own (const rollout_t *r, size_t episode, const char *role, double joint,
                       const credit_options_t *options, double *own, err_t *err)
{
    double local = options->local > 0 ? rollout_local_of (r, episode, role) : 0;
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
            if (credit_own (r, e, role, rewards[e], options, &own[r->first_completion[e] + c],
                            err) != 0)
                return -1;
        }
    return 0;
}

/*  All of credit's input; work has room for three numbers a completion and one an episode. */
static int credit_assign (credit_t *credit, const rollout_t *r, const credit_options_t *options,
                          const double *values, double *work, uint32_t *seats, err_t *err)
{
    size_t n = r->completions;
    double *own = work, *mates = work + n, *without = work + 2 * n, *rewards = work + 3 * n;
    credit_read_rewards (r, options, rewards, &credit->overlong);
    credit_read_seats (r, seats, seats + n);
    if (credit_read_own (r, options, rewards, own, err) != 0 ||
        credit_read_mates (r, rewards, options, mates, without, err) != 0)
        return -1;
    assign_step_t step = {.groups = r->groups,
                          .episodes = r->episodes,
                          .completions = n,
                          .first_episode = r->first_episode,
                          .first_completion = r->first_completion,
                          .role = seats,
                          .turn = seats + n,
                          .rewards = rewards,
                          .own = own,
                          .mates = mates,
                          .without = without,
                          .values = values};
    return assign_step (&step, &options->credits, &options->assign, credit->advantages,
                        &credit->zero_spread, err);
}

int credit_compute (credit_t *credit, const rollout_t *rollout, const credit_options_t *options,
                    const double *values, err_t *err)
{
    credit_free (credit);
    size_t n = rollout->completions;
    credit->advantages = calloc (n + 1, sizeof (double));
    double *work = calloc (3 * n + rollout->episodes + 1, sizeof *work);
    uint32_t *seats = calloc (2 * n + 1, sizeof *seats);
    int rc = credit->advantages && work && seats
                 ? credit_assign (credit, rollout, options, values, work, seats, err)
                 : err_set (err, ERR_LIMIT, "no memory for %zu advantages", n);
    free (seats);
    free (work);
    return rc;
}

void credit_free (credit_t *credit)
{
    free (credit->advantages);
    *credit = (credit_t){0};
}

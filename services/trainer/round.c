/*  round - see round.h
 *
 *  What is in a group follows from the configuration, the step and the group's number, never from
 *  the time or from who plays it: opening the same step twice gives the same bytes, which the
 *  store takes for a success.
 */
#include "round.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "objective.h"

/*  Draws of further groups have store steps of their own, under phases that no other round has. */
#define ROUND_FIRST_DRAW 16
#define ROUND_DRAWS_MAX  (1 + CONF_RESAMPLE_MAX)

/*  Groups that were opened together. */
typedef struct {
    size_t first, groups; /* numbers in the round */
} round_draw_t;

struct round {
    round_source_t from;
    wire_phase_t phase;
    uint64_t step;
    size_t groups, group_size; /* of all draws together */
    round_draw_t draws[ROUND_DRAWS_MAX];
    size_t draws_n;
    store_status_t status; /* of the last draw, as of the last poll */
};

static size_t round_smaller (size_t a, size_t b)
{
    return a < b ? a : b;
}

/*  Training tasks follow from the seed and the number of groups before this one; each draw goes
 *  through the tasks in an order of its own. Evaluations always take the first held-out ones, so
 *  that two versions are compared on the same tasks. */
static const char *round_task_of (const round_t *round, size_t draw, size_t at)
{
    const task_set_t *tasks = round->from.tasks;
    const conf_t *conf = round->from.team->conf;
    if (round->phase != WIRE_TRAIN)
        return task_set_get (tasks, TASK_HELDOUT, at);
    uint64_t first = (round->step - 1) * (uint64_t) conf->trainer.groups;
    uint64_t seed = (uint64_t) conf->run.seed;
    if (draw > 0)
        seed = rng_key ((uint64_t[]){seed, 0xd7a3, draw}, 3);
    return task_set_get (tasks, TASK_TRAIN, task_set_pick (tasks, seed, first, at));
}

/*  The phase of a draw in the store. */
static unsigned round_place (const round_t *round, size_t draw)
{
    return draw ? ROUND_FIRST_DRAW + (unsigned) draw : (unsigned) round->phase;
}

/*  Training samples from the whole vocabulary, since what is learnt is how likely each token was
 *  among all. Evaluations may sample as the model will be used. A seat's own temperature and stop
 *  texts hold in both. */
static void round_fill_sampling (const round_t *round, const char *name, wire_role_t *role)
{
    const conf_t *conf = round->from.team->conf;
    bool trains = round->phase == WIRE_TRAIN;
    double usual = trains ? conf->trainer.temperature : conf->evaluation.temperature;
    const conf_list_t *stop = conf_stop (conf, name, trains ? NULL : &conf->evaluation.stop);
    if (round->phase != WIRE_EVAL_GREEDY)
        role->temperature = (float) conf_temperature (conf, name, usual);
    if (stop) {
        role->stop_texts = (const char *const *) stop->item;
        role->stop_texts_n = stop->n;
    }
}

static void round_fill_policy (const policy_t *policy, const chat_format_t *chat, wire_role_t *to)
{
    to->version = policy->version;
    to->tokenizer = policy->tokenizer_hash;
    to->stops = (wire_ids_t){.data = policy->stops, .n = policy->stops_n};
    to->prefix = (wire_ids_t){.data = policy->prefix, .n = policy->prefix_n};
    to->context = (uint32_t) policy->config.model.context;
    to->chat = chat->name;
}

/*  Its version is for good; what is behind the server's name, nobody here knows. */
static void round_fill_engine (const round_t *round, size_t role, wire_role_t *to)
{
    const team_t *team = round->from.team;
    to->engine = team->engine[role];
    to->system = conf_words (team->conf, to->name, CONF_SYSTEM);
    to->version = (wire_version_t){.policy = conf_policy (team->conf, role)->name,
                                   .hash = hash_of (to->engine, strlen (to->engine))};
}

/*  All that an environment and an agent need to play a role, so neither needs the run's
 *  configuration. Weights are named by version and hash: others cannot slip in. */
static void round_fill_roles (const round_t *round, wire_role_t *roles)
{
    const team_t *team = round->from.team;
    const conf_t *conf = team->conf;
    for (size_t r = 0; r < team->roles; r++) {
        const policy_t *policy = team_policy (team, r);
        const char *name = conf->team.roles.item[r];
        roles[r] = (wire_role_t){.name = name,
                                 .prompt = conf_words (conf, name, CONF_PROMPT),
                                 .sees = conf_words (conf, name, CONF_SEES),
                                 .max_tokens = (uint32_t) conf_max_tokens (conf, name)};
        if (policy)
            round_fill_policy (policy, &team->chat[r], &roles[r]);
        else
            round_fill_engine (round, r, &roles[r]);
        if (policy && conf_remembers (conf, name))
            roles[r].next = team->chat[r].next;
        round_fill_sampling (round, name, &roles[r]);
    }
}

/*  The likeliest token stays the likeliest under top_k, top_p and min_p, so greedy play goes
 *  without; a repetition penalty may make another one the likeliest, and stays. 0 is off. */
static void round_fill_filter (const round_t *round, wire_filter_t *filter)
{
    const conf_t *conf = round->from.team->conf;
    bool greedy = round->phase == WIRE_EVAL_GREEDY;
    if (round->phase == WIRE_TRAIN)
        return;
    *filter = (wire_filter_t){
        .top_k = greedy ? 0 : (uint32_t) conf->evaluation.top_k,
        .top_p = greedy || !(conf->evaluation.top_p < 1) ? 0 : (float) conf->evaluation.top_p,
        .min_p = greedy ? 0 : (float) conf->evaluation.min_p,
        .repetition_penalty = conf_changed (conf, "evaluation.repetition_penalty")
                                  ? (float) conf->evaluation.repetition_penalty
                                  : 0};
}

/*  The message borrows everything, and is packed before any of it is freed. */
static void round_write_group (const round_t *round, size_t draw, size_t at, buf_t *bytes)
{
    const team_t *team = round->from.team;
    const conf_t *conf = team->conf;
    wire_role_t roles[CONF_LIST_MAX];
    round_fill_roles (round, roles);
    wire_role_t judge = {.name = conf->judge.policy,
                         .max_tokens = (uint32_t) conf->judge.max_tokens,
                         .temperature = (float) conf->judge.temperature};
    if (team->judge)
        round_fill_policy (team->judge, &team->judge_chat, &judge);
    buf_t modules = {0};
    conf_join (&conf->reward.python_modules, ",", &modules);
    wire_group_t message = {
        .run = round->from.run,
        .phase = round->phase,
        .step = round->step,
        .group = round->draws[draw].first + at,
        .seed = (uint64_t) conf->run.seed,
        .task = round_task_of (round, draw, at),
        .episodes = (uint32_t) round->group_size,
        .roles = roles,
        .roles_n = team->roles,
        .max_tokens = (uint32_t) conf->task.max_tokens,
        .max_turns = (uint32_t) conf->task.max_turns,
        .weights = {conf->reward.quality, conf->reward.speed, conf->reward.cost},
        .command = conf->reward.command,
        .modules = modules.data ? modules.data : "",
        .cpu_s = conf->task.cpu_s,
        .cpu_total_s = conf->task.cpu_total_s,
        .command_s = conf->reward.command_s,
        .protocol = conf->protocol,
        .program = conf->task.program,
        .program_s = conf->task.program_s,
        .judge = conf->grade,
        .judged_by = team->judge ? &judge : NULL,
        .passages = conf->task.passages,
        .timeout_s = (uint32_t) conf->run.timeout_s};
    round_fill_filter (round, &message.filter);
    if (round->phase == WIRE_TRAIN) {
        const mates_t which = objective_mates (conf);
        message.cross = which.cross;
        message.removal = which.removal;
    }
    wire_group_pack (&message, bytes);
    buf_free (&modules);
}

/*  All groups in one call to the store: either the step is open with all of them, or it is not. To
 *  the store each draw is a step, for everybody else the round has grown. */
int round_grow (round_t *round, size_t groups, err_t *err)
{
    size_t draw = round->draws_n;
    store_bytes_t *list = calloc (groups, sizeof *list);
    buf_t *bytes = calloc (groups, sizeof *bytes);
    int rc = list && bytes ? 0 : err_set (err, ERR_LIMIT, "no memory for %zu groups", groups);
    round->draws[draw] = (round_draw_t){.first = round->groups, .groups = groups};
    for (size_t g = 0; rc == 0 && g < groups; g++) {
        round_write_group (round, draw, g, &bytes[g]);
        if (buf_failed (&bytes[g]))
            rc = err_set (err, ERR_LIMIT, "group %zu is too large to be written", g);
        list[g] = (store_bytes_t){.data = bytes[g].data, .size = bytes[g].size};
    }
    if (rc == 0)
        rc = store_step_open (round->from.store, round->from.run, round->from.epoch,
                              round_place (round, draw), round->step, list, groups, err);
    for (size_t g = 0; bytes && g < groups; g++)
        buf_free (&bytes[g]);
    free (bytes);
    free (list);
    if (rc != 0)
        return err_wrap (err, "opening step %llu (%s)", (unsigned long long) round->step,
                         wire_phase_name (round->phase));
    round->groups += groups;
    round->draws_n++;
    return 0;
}

/*  Without held-out tasks an evaluation has no groups: nothing is opened then, and the round is
 *  finished at once. */
round_t *round_open (const round_source_t *source, wire_phase_t phase, uint64_t step, err_t *err)
{
    const conf_t *conf = source->team->conf;
    round_t *round = calloc (1, sizeof *round);
    if (!round) {
        err_set (err, ERR_LIMIT, "no memory for a step");
        return NULL;
    }
    *round = (round_t){.from = *source, .phase = phase, .step = step, .group_size = 1};
    size_t groups = (size_t) conf->trainer.groups;
    if (phase == WIRE_TRAIN) {
        round->group_size = (size_t) conf->trainer.group_size;
    } else {
        /* Greedy episodes of one task would all be the same one. The number of an episode in its
           group is a coordinate of its random numbers: the first is the same however many. */
        if (phase == WIRE_EVAL_SAMPLED)
            round->group_size = (size_t) conf->evaluation.samples;
        groups = round_smaller ((size_t) conf->evaluation.tasks,
                                task_set_size (source->tasks, TASK_HELDOUT));
    }
    if (groups && round_grow (round, groups, err) != 0)
        round_destroy (&round);
    return round;
}

size_t round_draws (const round_t *round)
{
    return round->draws_n;
}

void round_destroy (round_t **round)
{
    free (*round);
    *round = NULL;
}

/*  Dead groups count: what nobody can play is not waited for. Earlier draws were finished when the
 *  last one was opened. */
int round_poll (round_t *round, err_t *err)
{
    if (round->groups == 0)
        return 1;
    size_t last = round->draws_n - 1;
    if (store_step_status (round->from.store, round->from.run, round_place (round, last),
                           round->step, &round->status, err) != 0)
        return -1;
    return round->status.committed + round->status.dead >= round->draws[last].groups;
}

size_t round_waited (const round_t *round)
{
    return round->draws_n ? round->draws[round->draws_n - 1].groups : 0;
}

/*  Of the last poll, which says whom to look for: groups that wait want an environment, those that
 *  are leased have one, which may wait for an agent or a scorer. */
int round_late (const round_t *round, double waited_s, const char *trouble, err_t *err)
{
    const store_status_t *s = &round->status;
    return err_set (err, ERR_TIMEOUT,
                    "step %llu (%s): %zu of %zu groups are missing after %.0f s (%zu waiting, %zu "
                    "in an environment's hands): %s",
                    (unsigned long long) round->step, wire_phase_name (round->phase),
                    s->pending + s->leased, round_waited (round), waited_s, s->pending, s->leased,
                    *trouble    ? trouble
                    : s->leased ? "look at the environments' logs for what they wait for"
                                : "is an environment running?");
}

typedef struct {
    rollout_t *rollout;
    rollout_limits_t limits;
    size_t first; /* of the draw that is read */
    err_t *err;
} taker_t;

/*  An error of rollout_add ends the walk; it stands in taker->err, which round_take looks at. */
static int round_take_group (void *context, uint64_t group, const void *data, size_t size,
                             const char *reason)
{
    const taker_t *taker = context;
    return rollout_add (taker->rollout, taker->first + group, data, size, reason, &taker->limits,
                        taker->err);
}

/*  May be called again after a failure: it begins with an empty rollout, and the store keeps the
 *  results until the commit. */
rollout_t *round_take (round_t *round, err_t *err)
{
    const team_t *team = round->from.team;
    const mates_t which = objective_mates (team->conf);
    taker_t taker = {.rollout = rollout_new (round->groups, err),
                     .limits = {.episodes = round->group_size,
                                .others = round->phase == WIRE_TRAIN
                                              ? mates_count (&which, team->roles, round->group_size)
                                              : 0,
                                .roles = team->roles,
                                .vocab = team->vocab,
                                .context = team->context},
                     .err = err};
    int rc = taker.rollout ? 0 : -1;
    for (size_t d = 0; rc == 0 && d < round->draws_n; d++) {
        taker.first = round->draws[d].first;
        for (size_t g = 0; g < round->draws[d].groups; g++)
            taker.rollout->task[taker.first + g] = round_task_of (round, d, g);
        err->code = ERR_NONE; /* set by take_group when that is what stops the walk */
        rc = store_step_groups (round->from.store, round->from.run, round_place (round, d),
                                round->step, round_take_group, &taker, err);
        if (err->code != ERR_NONE)
            rc = -1;
    }
    if (rc == 0)
        rc = rollout_index (taker.rollout, err);
    if (rc != 0) {
        err_wrap (err, "reading step %llu (%s)", (unsigned long long) round->step,
                  wire_phase_name (round->phase));
        rollout_destroy (&taker.rollout);
    }
    return taker.rollout;
}

/*  Only after everything that was made of the results is written down: the store may drop them
 *  now. */
int round_commit (round_t *round, err_t *err)
{
    int rc = 0;
    for (size_t d = 0; rc == 0 && d < round->draws_n; d++)
        rc = store_step_commit (round->from.store, round->from.run, round->from.epoch,
                                round_place (round, d), round->step, err);
    return rc;
}

size_t round_groups (const round_t *round)
{
    return round->groups;
}

size_t round_group_size (const round_t *round)
{
    return round->group_size;
}

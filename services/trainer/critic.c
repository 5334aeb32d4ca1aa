/*  critic - see critic.h */
#include "critic.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "learn/advantage.h"
#include "wire/wire.h"

#define REPLY_BUDGET ((size_t) 64 << 20)
#define STATE_MAX    ((size_t) 1 << 30)
#define ID_MAX       160

struct critic {
    bus_t *bus;
    const char *run;
    const conf_t *conf;
    arena_t *arena;           /* of one reply */
    const rollout_t *rollout; /* of the request under way */
    uint64_t value_call, learn_call, fetch_call;
    bool fetch;
    critic_status_t status;
    double *values; /* by flat number of the completion */
    buf_t bytes;
};

critic_t *critic_new (bus_t *bus, const char *run, const conf_t *conf, err_t *err)
{
    critic_t *critic = calloc (1, sizeof *critic);
    arena_t *arena = critic ? arena_new (REPLY_BUDGET) : NULL;
    if (!arena) {
        free (critic);
        err_set (err, ERR_LIMIT, "no memory for the critic's replies");
        return NULL;
    }
    *critic =
        (critic_t){.bus = bus, .run = run, .conf = conf, .arena = arena, .bytes.max = STATE_MAX};
    return critic;
}

void critic_destroy (critic_t **critic)
{
    if (!*critic)
        return;
    arena_destroy (&(*critic)->arena);
    free ((*critic)->values);
    buf_free (&(*critic)->bytes);
    free (*critic);
    *critic = NULL;
}

/*  Sends one request; the id is the same whenever this step is done again. */
static uint64_t call (critic_t *critic, const char *service, uint64_t step, const buf_t *payload)
{
    char id[ID_MAX];
    snprintf (id, sizeof id, "%s/%llu/%s", critic->run, (unsigned long long) step, service);
    return bus_call (critic->bus, service, id, payload->data, payload->size,
                     critic->conf->run.timeout_s * 1000);
}

int critic_ask (critic_t *critic, uint64_t step, const rollout_t *rollout, err_t *err)
{
    free (critic->values);
    critic->values = NULL;
    if (hash_is_zero (&critic->status.state))
        return 0;
    wire_episode_t *episodes = calloc (rollout->episodes + 1, sizeof *episodes);
    if (!episodes)
        return err_set (err, ERR_LIMIT, "no memory for %zu episodes", rollout->episodes);
    for (size_t e = 0; e < rollout->episodes; e++) {
        episodes[e] = *rollout->episode[e];
        episodes[e].completions_n = 0; /* the critic reads states only */
    }
    wire_value_request_t request = {.run = critic->run,
                                    .step = step,
                                    .state = critic->status.state,
                                    .episodes = episodes,
                                    .episodes_n = rollout->episodes};
    buf_t payload = {.max = WIRE_FRAME_MAX};
    wire_value_request_pack (&request, &payload);
    free (episodes);
    int rc = buf_failed (&payload)
                 ? err_set (err, ERR_LIMIT, "the states of a step's %zu episodes pass %d bytes",
                            rollout->episodes, WIRE_FRAME_MAX)
                 : 0;
    if (rc == 0) {
        critic->rollout = rollout;
        critic->value_call = call (critic, "value", step, &payload);
    }
    buf_free (&payload);
    return rc;
}

static void pack_learn (const critic_t *critic, uint64_t step, const rollout_t *rollout,
                        const char **states, buf_t *payload)
{
    for (size_t e = 0; e < rollout->episodes; e++)
        states[e] = rollout->episode[e]->state;
    const conf_t *conf = critic->conf;
    wire_learn_request_t request = {.run = critic->run,
                                    .step = step,
                                    .state = critic->status.state,
                                    .seed = (uint64_t) conf->run.seed,
                                    .width = (uint32_t) conf->critic.width,
                                    .layers = (uint32_t) conf->critic.layers,
                                    .heads = (uint32_t) conf->critic.heads,
                                    .context = (uint32_t) conf->critic.context,
                                    .lr = conf->critic.lr,
                                    .states = states,
                                    .returns = rollout->rewards,
                                    .states_n = rollout->episodes};
    wire_learn_request_pack (&request, payload);
}

int critic_learn (critic_t *critic, uint64_t step, const rollout_t *rollout, bool fetch, err_t *err)
{
    const char **states = calloc (rollout->episodes + 1, sizeof *states);
    if (!states)
        return err_set (err, ERR_LIMIT, "no memory for %zu episodes", rollout->episodes);
    buf_t payload = {.max = WIRE_FRAME_MAX};
    pack_learn (critic, step, rollout, states, &payload);
    free (states);
    int rc = buf_failed (&payload)
                 ? err_set (err, ERR_LIMIT, "the states of a step's %zu episodes pass %d bytes",
                            rollout->episodes, WIRE_FRAME_MAX)
                 : 0;
    if (rc == 0) {
        buf_clear (&critic->bytes);
        critic->fetch = fetch;
        critic->learn_call = call (critic, "learn", step, &payload);
    }
    buf_free (&payload);
    return rc;
}

/*  Whether the values say better than the mean which episodes end well; then they are used from now on. */
static void judge (critic_t *critic, const double *returns)
{
    const rollout_t *r = critic->rollout;
    critic->status.explained_variance =
        advantage_explained_variance (returns, critic->values, r->completions);
    if (critic->status.explained_variance > 0 && !critic->status.trusted) {
        critic->status.trusted = true;
        log_info ("critic.trusted", "run=%s explained_variance=%.3f", critic->run,
                  critic->status.explained_variance);
    }
}

static int take_values (critic_t *critic, const bus_item_t *item, err_t *err)
{
    const rollout_t *r = critic->rollout;
    const wire_value_reply_t *reply =
        wire_value_reply_unpack (critic->arena, item->payload, item->size, err);
    if (!reply)
        return -1;
    if (reply->values_n != r->completions)
        return err_set (err, ERR_INPUT, "the critic gave %zu values for %zu completions",
                        reply->values_n, r->completions);
    critic->values = calloc (r->completions + 1, sizeof (double));
    double *returns = calloc (r->completions + 1, sizeof (double));
    int rc = critic->values && returns ? 0 : err_set (err, ERR_LIMIT, "no memory for values");
    for (size_t e = 0; rc == 0 && e < r->episodes; e++)
        for (size_t c = 0; rc == 0 && c < r->episode[e]->completions_n; c++) {
            size_t number = r->first_completion[e] + c;
            const wire_value_t *value = &reply->values[number];
            const wire_completion_t *completion = &r->episode[e]->completions[c];
            if (value->episode != e || value->role != completion->role ||
                value->turn != completion->turn)
                rc = err_set (err, ERR_INPUT,
                              "the critic's value %zu is of episode %u, role %u, turn %u; wanted "
                              "%zu, %u, %u",
                              number, value->episode, value->role, value->turn, e, completion->role,
                              completion->turn);
            critic->values[number] = value->value;
            returns[number] = r->rewards[e];
        }
    if (rc == 0)
        judge (critic, returns);
    free (returns);
    return rc;
}

static int take_learnt (critic_t *critic, const bus_item_t *item, err_t *err)
{
    const wire_learn_reply_t *reply =
        wire_learn_reply_unpack (critic->arena, item->payload, item->size, err);
    if (!reply)
        return -1;
    critic->status.state = reply->state;
    critic->status.loss = reply->loss;
    if (critic->fetch)
        critic->fetch_call =
            bus_fetch (critic->bus, &reply->state, reply->size, critic->conf->run.timeout_s * 1000);
    return 0;
}

static int take_bytes (critic_t *critic, const bus_item_t *item, err_t *err)
{
    buf_append (&critic->bytes, item->payload, item->size);
    return buf_failed (&critic->bytes)
               ? err_set (err, ERR_LIMIT, "no memory for the critic's state of %zu bytes",
                          item->size)
               : 0;
}

int critic_item (critic_t *critic, const bus_item_t *item, err_t *err)
{
    int (*take) (critic_t *, const bus_item_t *, err_t *) = NULL;
    uint64_t *calls[] = {&critic->value_call, &critic->learn_call, &critic->fetch_call};
    int (*takes[]) (critic_t *, const bus_item_t *, err_t *) = {take_values, take_learnt,
                                                                take_bytes};
    if ((item->kind != BUS_REPLY && item->kind != BUS_OBJECT) || item->call == 0)
        return 0;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (*calls[i] == item->call) {
            *calls[i] = 0;
            take = takes[i];
        }
    if (!take)
        return 0;
    arena_reset (critic->arena);
    if (item->code != ERR_NONE)
        return err_set (err, item->code, "the critic: %s", item->text);
    return take (critic, item, err) == 0 ? 1 : -1;
}

bool critic_busy (const critic_t *critic)
{
    return critic->value_call || critic->learn_call || critic->fetch_call;
}

const double *critic_values (const critic_t *critic)
{
    return critic->status.trusted ? critic->values : NULL;
}

critic_status_t critic_status (const critic_t *critic)
{
    return critic->status;
}

const buf_t *critic_bytes (const critic_t *critic)
{
    return critic->bytes.size ? &critic->bytes : NULL;
}

void critic_restore (critic_t *critic, const hash_t *state, bool trusted)
{
    critic->status.state = *state;
    critic->status.trusted = trusted;
}

/*  critic_client - see critic_client.h */
#include "critic_client.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "learn/advantage.h"
#include "transcripts.h"
#include "wire/wire.h"

/*  Bounds on the memory that another process, the critic, can make this one take. */
#define REPLY_BUDGET ((size_t) 64 << 20)
#define STATE_MAX    ((size_t) 1 << 30)
#define ID_MAX       200
#define AGAIN_MS     200
/*  Of the running mean of explained variance: the newest step's weight, and the least that one step
 *  counts, since there is no lower bound and one bad step would be remembered for too long. */
#define MEAN_WEIGHT   0.125
#define EXPLAINED_MIN (-1.0)

/*  Steps of one conversation: learning may be followed by fetching the state that was learnt. */
typedef int take_fn (critic_client_t *critic, const bus_item_t *item, err_t *err);

/*  What is asked for: one thing at a time, since each depends on the one before. It stays here
 *  until it is answered, so asking again sends the same bytes under the same id, which the
 *  critic answers from memory when it has answered before. */
typedef struct {
    const char *service; /* NULL: the bytes of the state */
    uint64_t step;
    char id[ID_MAX];
    buf_t payload;
    uint64_t size; /* of the state's bytes */
    take_fn *take; /* its answer; NULL: nothing is asked for */
    uint64_t call; /* under way; 0: asked again at again_ms */
    int64_t again_ms;
    err_t trouble; /* why it is asked again */
} request_t;

struct critic_client {
    bus_t *bus;
    const char *run;
    uint64_t epoch;
    const conf_t *conf;
    arena_t *arena; /* of one reply */
    request_t request;
    const rollout_t *rollout; /* that values are asked for */
    bool fetch;
    critic_client_status_t status;
    double *values; /* by flat number of the completion */
    buf_t bytes;
};

critic_client_t *critic_client_new (bus_t *bus, const char *run, uint64_t epoch, const conf_t *conf,
                                    err_t *err)
{
    critic_client_t *critic = calloc (1, sizeof *critic);
    arena_t *arena = critic ? arena_new (REPLY_BUDGET) : NULL;
    if (!arena) {
        free (critic);
        err_set (err, ERR_LIMIT, "no memory for the critic's replies");
        return NULL;
    }
    *critic = (critic_client_t){.bus = bus,
                                .run = run,
                                .epoch = epoch,
                                .conf = conf,
                                .arena = arena,
                                .request.payload.max = WIRE_PAYLOAD_MAX,
                                .bytes.max = STATE_MAX};
    return critic;
}

void critic_client_destroy (critic_client_t **critic)
{
    if (!*critic)
        return;
    arena_destroy (&(*critic)->arena);
    free ((*critic)->values);
    buf_free (&(*critic)->request.payload);
    buf_free (&(*critic)->bytes);
    free (*critic);
    *critic = NULL;
}

/*  The bus sends it again by itself within that time (lib/bus/calls.c); the run's own patience
 *  ends what never comes. */
static int64_t critic_client_timeout_ms (const critic_client_t *critic)
{
    return critic->conf->run.timeout_s * 1000;
}

static int critic_client_send (critic_client_t *critic, err_t *err)
{
    request_t *r = &critic->request;
    r->call = r->service ? bus_call (critic->bus, r->service, r->id, r->payload.data,
                                     r->payload.size, critic_client_timeout_ms (critic))
                         : bus_fetch (critic->bus, &critic->status.state, r->size,
                                      critic_client_timeout_ms (critic));
    return r->call ? 0 : err_set (err, ERR_LIMIT, "no memory for a request to the critic");
}

/*  Empties the request for another one to the critic. */
static request_t *critic_client_new_request (critic_client_t *critic, const char *service,
                                             uint64_t step)
{
    request_t *r = &critic->request;
    buf_clear (&r->payload);
    r->payload.failed = false;
    r->service = service;
    r->step = step;
    /* Of the request before: it says nothing about this one. */
    r->trouble = (err_t){0};
    return r;
}

/*  Sends what was written into the request. The id is the same whenever this trainer asks this:
 *  the content's hash tells other content of the same step apart, the epoch another life of the
 *  run, whose states the bus may hold no more. */
static int critic_client_exchange (critic_client_t *critic, take_fn *take, err_t *err)
{
    request_t *r = &critic->request;
    if (buf_failed (&r->payload))
        return err_set (err, ERR_CONFIG,
                        "step %" PRIu64 ": the transcripts of its episodes pass the %d MiB of a "
                        "request to the critic: lower trainer.groups, trainer.group_size or "
                        "task.max_tokens, or set loss.credit to joint",
                        r->step, WIRE_PAYLOAD_MAX >> 20);
    hash_t hash = hash_of (r->payload.data, r->payload.size);
    char hex[HASH_HEX_SIZE];
    snprintf (r->id, sizeof r->id, "%s/%" PRIu64 "/%" PRIu64 "/%s/%.16s", critic->run,
              critic->epoch, r->step, r->service, hash_hex (&hash, hex));
    r->take = take;
    return critic_client_send (critic, err);
}

/*  The values are of episodes that the critic has not learnt from yet. One step says little: the
 *  mean begins at 0 and has to be earned. Two thresholds keep it from going back and forth. */
static void critic_client_judge (critic_client_t *critic, const double *returns)
{
    critic_client_status_t *s = &critic->status;
    bool trusted = s->trusted;
    s->explained_variance =
        advantage_explained_variance (returns, critic->values, critic->rollout->completions);
    s->mean += MEAN_WEIGHT * (fmax (s->explained_variance, EXPLAINED_MIN) - s->mean);
    s->trusted = s->mean >= (trusted ? critic->conf->critic.distrust : critic->conf->critic.trust);
    if (s->trusted != trusted)
        log_info (s->trusted ? "critic.trusted" : "critic.distrusted",
                  "run=%s step=%" PRIu64 " explained_variance=%.3f mean=%.3f", critic->run,
                  critic->request.step, s->explained_variance, s->mean);
}

static int critic_client_take_values (critic_client_t *critic, const bus_item_t *item, err_t *err)
{
    const rollout_t *r = critic->rollout;
    const wire_value_reply_t *reply =
        wire_value_reply_unpack (critic->arena, item->payload, item->size, err);
    if (!reply)
        return -1;
    /* Every value is looked up by its flat number below: fewer would be read over the end. */
    if (reply->values_n != r->completions)
        return err_set (err, ERR_INPUT, "the critic gave %zu values for %zu completions",
                        reply->values_n, r->completions);
    /* In the order of the request: group, episode, completion. The critic says for each value
       whose it is, and a value in another place would be credit given to the wrong role, so that
       is checked. */
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
        critic_client_judge (critic, returns);
    free (returns);
    return rc;
}

/*  For the checkpoint. critic_client_learn has emptied them, so a state is never mixed with the one
 *  before. */
static int critic_client_take_bytes (critic_client_t *critic, const bus_item_t *item, err_t *err)
{
    buf_append (&critic->bytes, item->payload, item->size);
    return buf_failed (&critic->bytes)
               ? err_set (err, ERR_LIMIT, "no memory for the critic's state of %zu bytes",
                          item->size)
               : 0;
}

static int critic_client_take_learnt (critic_client_t *critic, const bus_item_t *item, err_t *err)
{
    const wire_learn_reply_t *reply =
        wire_learn_reply_unpack (critic->arena, item->payload, item->size, err);
    if (!reply)
        return -1;
    /* From here on values are asked for under the new state. It is named by its hash, so a
       critic that was restarted cannot answer from another one. */
    critic->status.state = reply->state;
    critic->status.loss = reply->loss;
    /* The bytes are only needed for a checkpoint; the bus holds them meanwhile. */
    if (!critic->fetch)
        return 0;
    request_t *r = critic_client_new_request (critic, NULL, critic->request.step);
    r->size = reply->size;
    r->take = critic_client_take_bytes;
    return critic_client_send (critic, err);
}

/*  ---- asking --------------------------------------------------------------------------------- */

/*  Made for each request and freed when it is packed: the payload has all of it. */
static transcripts_t *critic_client_transcripts (const critic_client_t *critic,
                                                 const rollout_t *rollout, err_t *err)
{
    return transcripts_new (rollout, (const char *const *) critic->conf->team.roles.item,
                            critic->conf->team.roles.n, err);
}

int critic_client_ask (critic_client_t *critic, uint64_t step, const rollout_t *rollout, err_t *err)
{
    /* Of the step before. Without a state there is nothing to ask: the first step has no values. */
    free (critic->values);
    critic->values = NULL;
    if (hash_is_zero (&critic->status.state))
        return 0;
    transcripts_t *transcripts = critic_client_transcripts (critic, rollout, err);
    if (!transcripts)
        return -1;
    wire_value_request_t request = {.run = critic->run,
                                    .step = step,
                                    .state = critic->status.state,
                                    .groups = transcripts->groups,
                                    .groups_n = transcripts->n};
    /* Kept, since the answer is checked against it. The caller keeps it until the step is done. */
    critic->rollout = rollout;
    wire_value_request_pack (&request, &critic_client_new_request (critic, "value", step)->payload);
    transcripts_destroy (&transcripts);
    return critic_client_exchange (critic, critic_client_take_values, err);
}

/*  The state in the request is the one before: the critic learns on from that, whoever computed
 *  it. */
int critic_client_learn (critic_client_t *critic, uint64_t step, const rollout_t *rollout,
                         bool fetch, err_t *err)
{
    transcripts_t *transcripts = critic_client_transcripts (critic, rollout, err);
    if (!transcripts)
        return -1;
    const conf_t *conf = critic->conf;
    wire_learn_request_t request = {.run = critic->run,
                                    .step = step,
                                    .state = critic->status.state,
                                    .replay = (uint32_t) conf->critic.replay,
                                    .context = (uint32_t) conf->critic.context,
                                    .groups = transcripts->groups,
                                    .groups_n = transcripts->n,
                                    .returns = rollout->rewards,
                                    .returns_n = rollout->episodes};
    wire_learn_request_pack (&request, &critic_client_new_request (critic, "learn", step)->payload);
    transcripts_destroy (&transcripts);
    buf_clear (&critic->bytes);
    critic->fetch = fetch;
    return critic_client_exchange (critic, critic_client_take_learnt, err);
}

/*  Whether a refusal will pass by itself: the critic is busy or away, or the bus does not have
 *  the state yet that was just learnt. Every other refusal would be the same the next time. */
static bool critic_client_may_pass (const request_t *r, err_code_t code)
{
    return code == ERR_BUSY || code == ERR_NETWORK || code == ERR_TIMEOUT ||
           (code == ERR_MISSING && !r->service);
}

int critic_client_item (critic_client_t *critic, const bus_item_t *item, err_t *err)
{
    request_t *r = &critic->request;
    /* Everything that arrives comes through here; an answer to a call that was given up is
       nobody's. */
    if ((item->kind != BUS_REPLY && item->kind != BUS_OBJECT) || item->call == 0 ||
        item->call != r->call)
        return 0;
    r->call = 0;
    if (critic_client_may_pass (r, item->code)) {
        err_set (&r->trouble, item->code, "%s", item->text);
        r->again_ms = clock_ms () + AGAIN_MS;
        return 1;
    }
    if (item->code != ERR_NONE)
        return err_set (err, item->code, "the critic: %s", item->text);
    take_fn *take = r->take;
    r->take = NULL;
    /* The reply before it has been read: its memory is used again. */
    arena_reset (critic->arena);
    return take (critic, item, err) == 0 ? 1 : -1;
}

/*  Asks again by itself once the pause after a refusal is over. */
int critic_client_poll (critic_client_t *critic, err_t *err)
{
    const request_t *r = &critic->request;
    if (!r->take)
        return 1;
    return r->call || clock_left_ms (r->again_ms) > 0 ? 0 : critic_client_send (critic, err);
}

/*  Named are the step, what was asked for, and the last refusal, if there was one: "is one
 *  running?" is right only when nobody ever answered. */
int critic_client_late (const critic_client_t *critic, const char *bus, double waited_s, err_t *err)
{
    const request_t *r = &critic->request;
    return err_set (err, ERR_TIMEOUT,
                    "step %" PRIu64 ": no %s from a critic on the bus at %s in %.0f s: %s", r->step,
                    r->service ? r->service : "state", bus, waited_s,
                    r->trouble.code ? r->trouble.text : "is one running?");
}

const double *critic_client_values (const critic_client_t *critic)
{
    /* While the critic is not trusted its values are computed and measured, but not used. */
    return critic->status.trusted ? critic->values : NULL;
}

critic_client_status_t critic_client_status (const critic_client_t *critic)
{
    return critic->status;
}

const buf_t *critic_client_bytes (const critic_client_t *critic)
{
    return critic->bytes.size ? &critic->bytes : NULL;
}

/*  With the judgement on it: a resumed run must use its values in the same steps as one that was
 *  not. */
void critic_client_restore (critic_client_t *critic, const hash_t *state, bool trusted, double mean)
{
    critic->status = (critic_client_status_t){.state = *state, .trusted = trusted, .mean = mean};
}

/*  acts - see acts.h */
#include "acts.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"

#define ACT_BUDGET       ((size_t) 64 << 20) /* memory of one request and its reply */
#define ASK_MANIFESTS_MS 250                 /* pause between two questions for missing manifests */
#define WAITING_POLL_MS  50
#define SPARE_MS         1000 /* of a request's time, in which a server's failure is told */

/*  One request. Its tag in the sampler is (slot << 32 | prompt). */
typedef struct {
    uint64_t id; /* the bus's; 0: slot is free */
    arena_t *arena;
    const wire_act_request_t *request; /* in the arena */
    int64_t deadline_ms;               /* point of clock_ms */
    version_t *version;                /* NULL while waiting for it */
    bool asked;                        /* of a server, and without a version */
    wire_sample_t *samples;            /* one per episode named */
    size_t samples_n, done;
    int64_t started_us;
} act_t;

struct acts {
    bus_t *bus;
    versions_t *versions;
    engines_t *engines;
    act_t *slot; /* a request's slot does not move while it is in hand */
    size_t slots;
    int64_t asked_ms;
    int64_t decoded_us; /* when the last decode step ended; 0: nothing was left to decode */
    int64_t pause_us;   /* the longest since then */
    buf_t reply;
    acts_status_t status;
};

acts_t *acts_new (bus_t *bus, versions_t *versions, engines_t *engines, err_t *err)
{
    acts_t *acts = calloc (1, sizeof *acts);
    if (!acts) {
        err_set (err, ERR_LIMIT, "no memory for the table of requests");
        return NULL;
    }
    *acts = (acts_t){
        .bus = bus, .versions = versions, .engines = engines, .reply.max = WIRE_PAYLOAD_MAX};
    return acts;
}

/*  Leaves the slot free for the next request. The request and its samples lie in the arena, so they
 *  go with it. */
static void act_free (act_t *act)
{
    if (act->version)
        version_release (act->version);
    arena_destroy (&act->arena);
    *act = (act_t){0};
}

void acts_destroy (acts_t **acts)
{
    if (!*acts)
        return;
    for (size_t i = 0; i < (*acts)->slots; i++)
        act_free (&(*acts)->slot[i]);
    free ((*acts)->slot);
    buf_free (&(*acts)->reply);
    free (*acts);
    *acts = NULL;
}

/*  Growing moves the array, so nobody keeps a pointer to a slot from one item to the next: a
 *  sample's tag names its slot by index. The bus's credit (main.c) bounds how many requests there
 *  are. */
static act_t *acts_free_slot (acts_t *acts)
{
    for (size_t i = 0; i < acts->slots; i++)
        if (!acts->slot[i].id)
            return &acts->slot[i];
    size_t slots = acts->slots ? acts->slots * 2 : 64;
    act_t *grown = realloc (acts->slot, slots * sizeof *grown);
    if (!grown)
        return NULL;
    memset (grown + acts->slots, 0, (slots - acts->slots) * sizeof *grown);
    act_t *first = grown + acts->slots;
    acts->slot = grown;
    acts->slots = slots;
    return first;
}

static uint64_t acts_tag_of (const acts_t *acts, const act_t *act, size_t prompt)
{
    return (uint64_t) (act - acts->slot) << 32 | prompt;
}

/*  The sampler borrows the version's model, so its jobs are cancelled before the version is
 *  released. A tag that was never added is unknown there, which does no harm. */
static void act_forget (acts_t *acts, act_t *act)
{
    if (act->version)
        for (size_t p = 0; p < act->request->prompts_n; p++)
            sampler_cancel (version_sampler (act->version), acts_tag_of (acts, act, p));
    act_free (act);
}

/*  The slot is free afterwards: the caller must not touch the request again. */
static void act_refuse (acts_t *acts, act_t *act, const err_t *err)
{
    bus_refuse (acts->bus, act->id, err->code, "%s", err->text);
    act_forget (acts, act);
}

/*  More than a request may take is a property of the request, and nobody will ever answer it; a
 *  machine without memory is not, and the request is worth another try elsewhere. */
static int acts_no_room (const act_t *act, const char *what, err_t *err)
{
    return arena_starved (act->arena)
               ? err_set (err, ERR_LIMIT, "no memory for %s", what)
               : err_set (err, ERR_INPUT, "%s needs more than %zu bytes", what, ACT_BUDGET);
}

/*  The random numbers of a sample follow from these coordinates and the token's position alone. */
static uint64_t acts_sample_key (const wire_act_request_t *r, uint32_t episode)
{
    return rng_key ((uint64_t[]){r->seed, r->phase, r->step, r->group, episode, r->role, r->turn},
                    7);
}

/*  One prompt is one job of the sampler, whose samples share the prompt's computation. */
static int acts_start_prompt (acts_t *acts, act_t *act, size_t p, err_t *err)
{
    const wire_act_request_t *r = act->request;
    const wire_prompt_t *prompt = &r->prompts[p];
    uint64_t *keys = arena_alloc (act->arena, prompt->episodes_n * sizeof *keys);
    if (!keys)
        return acts_no_room (act, "the request", err);
    for (size_t e = 0; e < prompt->episodes_n; e++)
        keys[e] = acts_sample_key (r, prompt->episodes[e]);
    sampler_job_t job = {.model = version_model (act->version),
                         .prompt = prompt->ids.data,
                         .prompt_n = prompt->ids.n,
                         .samples = prompt->episodes_n,
                         .keys = keys,
                         .temperature = r->temperature,
                         .filter = {.top_k = r->filter.top_k,
                                    .top_p = r->filter.top_p,
                                    .min_p = r->filter.min_p,
                                    .repetition = r->filter.repetition_penalty},
                         .max_tokens = r->max_tokens,
                         .stops_n = r->stops.n,
                         .past = r->goes_on ? versions_past (acts->versions) : NULL,
                         .tag = acts_tag_of (acts, act, p)};
    /* A job has a fixed array for stop tokens, and a message may name more of them. */
    if (r->stops.n > SAMPLER_STOPS_MAX)
        return err_set (err, ERR_INPUT, "%zu stop tokens; at most %d", r->stops.n,
                        SAMPLER_STOPS_MAX);
    if (r->stops.n)
        memcpy (job.stops, r->stops.data, r->stops.n * sizeof *job.stops);
    return sampler_add (version_sampler (act->version), &job, err);
}

/*  Without a single sample nothing would ever finish, and so nothing would reply. */
static int act_make_samples (act_t *act, err_t *err)
{
    const wire_act_request_t *r = act->request;
    for (size_t p = 0; p < r->prompts_n; p++)
        act->samples_n += r->prompts[p].episodes_n;
    act->samples = arena_alloc (act->arena, act->samples_n * sizeof *act->samples);
    act->started_us = clock_us ();
    return act->samples && act->samples_n
               ? 0
               : err_set (err, ERR_INPUT, "the request names no episodes, or too many");
}

/*  All prompts start or none does: the first failure refuses the whole request, and what had
 *  started is cancelled with it. */
static void act_start (acts_t *acts, act_t *act, version_t *version)
{
    const wire_act_request_t *r = act->request;
    err_t err = {0};
    int rc = act_make_samples (act, &err);
    /* Held until the request ends. A newer version may retire this one meanwhile, and the samples
     * must still come from the one that was named. */
    act->version = version;
    version_hold (version);
    for (size_t p = 0; rc == 0 && p < r->prompts_n; p++)
        rc = acts_start_prompt (acts, act, p, &err);
    if (rc != 0)
        act_refuse (acts, act, &err);
}

/*  The server gets a question for each sample: not all of them give several answers to one. It has
 *  a little less time than the request, so that its reason is heard in time. */
static int acts_ask_engine (acts_t *acts, act_t *act, const wire_prompt_t *prompt, err_t *err)
{
    const wire_act_request_t *r = act->request;
    int64_t spare = clock_left_ms (act->deadline_ms) / 10;
    openai_chat_t chat = {.system = r->system,
                          .user = prompt->text,
                          .max_tokens = r->max_tokens,
                          .temperature = (double) r->temperature,
                          .top_p = (double) r->filter.top_p,
                          .stop = r->stop_texts,
                          .stop_n = r->stop_texts_n,
                          .deadline_ms = act->deadline_ms - (spare < SPARE_MS ? spare : SPARE_MS)};
    for (size_t e = 0; e < prompt->episodes_n; e++) {
        engines_tag_t tag = {act->id, prompt->episodes[e]};
        chat.seed = acts_sample_key (r, prompt->episodes[e]);
        if (engines_ask (acts->engines, r->engine, &chat, &tag, err) != 0)
            return -1;
    }
    return 0;
}

/*  Answers to what was asked before a failure find no request any more, and are dropped. */
static void act_ask (acts_t *acts, act_t *act)
{
    const wire_act_request_t *r = act->request;
    err_t err = {0};
    int rc = act_make_samples (act, &err);
    act->asked = true;
    for (size_t p = 0; rc == 0 && p < r->prompts_n; p++)
        rc = acts_ask_engine (acts, act, &r->prompts[p], &err);
    if (rc != 0) {
        err_wrap (&err, "policy %s", r->version.policy);
        act_refuse (acts, act, &err);
    }
}

/*  Asks the bus what versions there are; the answers come as events. */
static void acts_ask_manifests (acts_t *acts)
{
    /* This is called for every waiting request, in every step. */
    if (clock_ms () - acts->asked_ms < ASK_MANIFESTS_MS)
        return;
    acts->asked_ms = clock_ms ();
    bus_manifests (acts->bus);
}

/*  Starts a request whose version is here, refuses one whose version never will be; others wait. */
static void act_settle (acts_t *acts, act_t *act)
{
    const char *run = act->request->run;
    const wire_version_t *name = &act->request->version;
    version_t *v = versions_find (acts->versions, run, name);
    const err_t *refused = versions_refused (acts->versions, run, name);
    if (v)
        act_start (acts, act, v);
    else if (refused)
        act_refuse (acts, act, refused);
    else if (!versions_expected (acts->versions, run, name))
        acts_ask_manifests (acts);
}

void acts_request (acts_t *acts, const bus_item_t *item)
{
    err_t err = {0};
    act_t *act = acts_free_slot (acts);
    arena_t *arena = act ? arena_new (ACT_BUDGET) : NULL;
    if (!arena) {
        bus_refuse (acts->bus, item->id, ERR_BUSY, "no memory for another request");
        return;
    }
    acts->status.requests++;
    *act = (act_t){.id = item->id, .arena = arena, .deadline_ms = clock_ms () + item->left_ms};
    act->request = wire_act_request_unpack (arena, item->payload, item->size, &err);
    if (!act->request) {
        act_refuse (acts, act, &err);
        return;
    }
    if (*act->request->engine)
        act_ask (acts, act);
    else
        act_settle (acts, act);
}

/*  NULL: it was answered meanwhile, or given up. */
static act_t *acts_find (acts_t *acts, uint64_t id)
{
    for (size_t i = 0; i < acts->slots; i++)
        if (acts->slot[i].id == id)
            return &acts->slot[i];
    return NULL;
}

void acts_cancel (acts_t *acts, uint64_t id)
{
    act_t *act = acts_find (acts, id);
    if (act)
        act_forget (acts, act);
}

void acts_waiting (acts_t *acts)
{
    for (size_t i = 0; i < acts->slots; i++) {
        act_t *act = &acts->slot[i];
        if (!act->id || act->version || act->asked)
            continue;
        act_settle (acts, act);
        /* Settling may have refused it, which frees the slot, or started it. Only what still waits
         * can be late. */
        if (act->id && !act->version && clock_ms () >= act->deadline_ms) {
            const wire_version_t *name = &act->request->version;
            err_t err = {0};
            err_set (&err, ERR_MISSING, "this agent could not get policy %s version %llu in time",
                     name->policy, (unsigned long long) name->number);
            act_refuse (acts, act, &err);
        }
    }
}

/*  Episodes are unsigned: a difference of two would wrap, so they are compared. */
static int acts_by_episode (const void *a, const void *b)
{
    uint32_t x = ((const wire_sample_t *) a)->episode, y = ((const wire_sample_t *) b)->episode;
    return (x > y) - (x < y);
}

/*  Samples end in any order. The reply has them by ascending episode, as its reader requires
 *  (wire_act_reply_unpack). */
static void act_reply (acts_t *acts, act_t *act)
{
    qsort (act->samples, act->samples_n, sizeof *act->samples, acts_by_episode);
    wire_act_reply_t reply = {.version = act->request->version,
                              .samples = act->samples,
                              .samples_n = act->samples_n,
                              .decode_us = (uint64_t) (clock_us () - act->started_us)};
    buf_clear (&acts->reply);
    acts->reply.failed = false;
    wire_act_reply_pack (&reply, &acts->reply);
    err_t err = {0};
    if (buf_check (&acts->reply, "the reply", &err) != 0)
        bus_refuse (acts->bus, act->id, err.code, "%s", err.text);
    else
        bus_reply (acts->bus, act->id, acts->reply.data, acts->reply.size);
    act_free (act);
}

/*  The sampler lends a result until its next call only, so ids and log-probabilities are copied
 *  into the request's arena. The last sample of a request sends the reply. */
static void acts_take (acts_t *acts, const sampler_result_t *result)
{
    act_t *act = &acts->slot[result->tag >> 32];
    size_t prompt = result->tag & UINT32_MAX;
    int32_t *ids = arena_alloc (act->arena, result->n * sizeof *ids);
    float *logps = arena_alloc (act->arena, result->n * sizeof *logps);
    if (!ids || !logps) {
        err_t err = {0};
        acts_no_room (act, "the reply", &err);
        act_refuse (acts, act, &err);
        return;
    }
    memcpy (ids, result->ids, result->n * sizeof *ids);
    memcpy (logps, result->logps, result->n * sizeof *logps);
    act->samples[act->done++] =
        (wire_sample_t){.episode = act->request->prompts[prompt].episodes[result->sample],
                        .ids = {.data = ids, .n = result->n},
                        .logps = logps,
                        .stopped = result->stopped};
    if (act->done == act->samples_n)
        act_reply (acts, act);
}

/*  A server refused, or is not there. */
static void act_engine_failed (acts_t *acts, act_t *act, const err_t *why)
{
    const char *policy = act->request->version.policy;
    err_t err = {0};
    if (why->code == ERR_CONFIG)
        err_set (
            &err, why->code,
            "policy %.60s: %.600s; policies.%.60s.url, model and key_env say who is asked, and "
            "with which key",
            policy, why->text, policy);
    else
        err_set (&err, why->code, "policy %.60s: %.800s", policy, why->text);
    act_refuse (acts, act, &err);
}

static void acts_take_text (acts_t *acts, const engines_answer_t *answer)
{
    act_t *act = acts_find (acts, answer->tag.request);
    if (!act)
        return; /* given up meanwhile */
    if (answer->err.code != ERR_NONE) {
        act_engine_failed (acts, act, &answer->err);
        return;
    }
    size_t size = strlen (answer->text) + 1;
    char *text = arena_alloc (act->arena, size);
    if (!text) {
        err_t err = {0};
        acts_no_room (act, "the reply", &err);
        act_refuse (acts, act, &err);
        return;
    }
    memcpy (text, answer->text, size);
    act->samples[act->done++] = (wire_sample_t){.episode = answer->tag.episode,
                                                .stopped = !answer->truncated,
                                                .text = text,
                                                .tokens = (uint32_t) answer->tokens};
    acts->status.engine_tokens += answer->tokens;
    if (act->done == act->samples_n)
        act_reply (acts, act);
}

static void acts_decode (void *context, sampler_t *sampler)
{
    acts_t *acts = context;
    sampler_result_t result;
    /* One step may end several rows; all of them are taken now, so that their replies do not wait
     * for another token of the others. */
    uint64_t before = sampler_tokens (sampler);
    sampler_step (sampler);
    acts->status.tokens += sampler_tokens (sampler) - before;
    while (sampler_take (sampler, &result))
        acts_take (acts, &result);
}

int acts_step (acts_t *acts)
{
    int64_t start = clock_us ();
    /* Only time during which rows were in hand counts as a pause: decoded_us is 0 while there were
     * none. */
    if (acts->decoded_us && start - acts->decoded_us > acts->pause_us)
        acts->pause_us = start - acts->decoded_us;
    acts_waiting (acts);
    engines_answer_t answer;
    while (engines_take (acts->engines, &answer)) {
        acts_take_text (acts, &answer);
        free (answer.text);
    }
    versions_each_busy (acts->versions, acts_decode, acts);
    acts_status_t now = acts_status (acts);
    /* Counted again after the step, which has replied to what was complete. */
    acts->decoded_us = now.decoding ? clock_us () : 0;
    if (now.decoding)
        acts->status.busy_us += (uint64_t) (acts->decoded_us - start);
    /* A waiting request has a deadline, and no item need arrive before it passes: so it is looked
     * at now and then. With nothing in hand the loop sleeps until the next item. */
    return now.decoding ? 0 : now.waiting ? WAITING_POLL_MS : -1;
}

/*  Counts the slots anew each time: a counter could come apart from them on one of the many ways on
 *  which a request ends. */
acts_status_t acts_status (const acts_t *acts)
{
    acts_status_t status = acts->status;
    for (size_t i = 0; i < acts->slots; i++)
        if (acts->slot[i].id)
            ++*(acts->slot[i].version ? &status.decoding
                : acts->slot[i].asked ? &status.asked
                                      : &status.waiting);
    return status;
}

/*  Reading starts the measurement anew, so there is one reader: the status. */
uint64_t acts_pause_us (acts_t *acts)
{
    int64_t pause = acts->pause_us;
    acts->pause_us = 0;
    return (uint64_t) pause;
}

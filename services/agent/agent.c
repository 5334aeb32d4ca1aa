/*  agent - see agent.h */
#include "agent.h"

#include <stdio.h>
#include <stdlib.h>

#include "acts.h"
#include "base/clock.h"
#include "base/log.h"
#include "engines.h"
#include "versions.h"

typedef struct {
    versions_t *versions;
    engines_t *engines;
    acts_t *acts;
    arena_t *arena; /* of one item */
    /* At the last status: rates are of the time since then. */
    uint64_t told_tokens;
    int64_t told_us;
} agent_t;

/*  In this order: requests hold versions, and cancel their jobs in the versions' samplers. Also
 *  called for what agent_open left unfinished. */
void agent_close (svc_run_t *run, void **state)
{
    (void) run;
    agent_t *agent = *state;
    if (!agent)
        return;
    acts_destroy (&agent->acts);
    versions_destroy (&agent->versions);
    engines_destroy (&agent->engines);
    arena_destroy (&agent->arena);
    free (agent);
    *state = NULL;
}

/*  Called by the servers' threads; bus_wake is what any thread may call. */
static void agent_wake (void *bus)
{
    bus_wake (bus);
}

int agent_open (svc_run_t *run, void **state, err_t *err)
{
    long long rows, kept, past;
    if (args_number (svc_args (run), "--rows", 1, 65536, &rows, err) != 0 ||
        args_number (svc_args (run), "--kept", 1, 1024, &kept, err) != 0 ||
        args_number (svc_args (run), "--past", 0, 1 << 20, &past, err) != 0)
        return -1;
    agent_t *agent = calloc (1, sizeof *agent);
    if (!agent)
        return err_set (err, ERR_LIMIT, "no memory");
    /* From here on agent_close frees what there is, also when the rest of this function fails. */
    *state = agent;
    agent->told_us = clock_us ();
    agent->arena = arena_new (1 << 20);
    agent->versions = versions_new (svc_bus (run), svc_pool (run), (size_t) rows, (size_t) kept,
                                    (size_t) past << 20, err);
    if (agent->versions)
        agent->engines =
            engines_new (args_value (svc_args (run), "--engine"), agent_wake, svc_bus (run), err);
    if (agent->engines)
        agent->acts = acts_new (svc_bus (run), agent->versions, agent->engines, err);
    if (!agent->arena || !agent->acts)
        return -1;
    /* First the subscription, then the question what there is: a version that is published in
     * between is heard of twice, which does no harm, and not never. */
    if (bus_subscribe (svc_bus (run), "policy/", err) != 0)
        return -1;
    return bus_manifests (svc_bus (run));
}

/*  Only takes the request in; agent_work decodes, so a request joins while others are under way. */
void agent_on_act (svc_run_t *run, const bus_item_t *item)
{
    acts_request (((agent_t *) svc_state (run))->acts, item);
}

/*  A manifest that is not taken is logged and no more: other runs' versions are not touched by
 *  it. */
static void agent_on_manifest (agent_t *agent, const bus_item_t *item)
{
    err_t err = {0};
    /* What is kept of a manifest is copied out of it, so one small arena serves all of them. */
    arena_reset (agent->arena);
    const wire_manifest_t *manifest =
        wire_manifest_unpack (agent->arena, item->payload, item->size, &err);
    if (!manifest || versions_manifest (agent->versions, manifest, &err) != 0)
        log_err ("manifest.refused", &err);
}

void agent_on_item (svc_run_t *run, const bus_item_t *item)
{
    agent_t *agent = svc_state (run);
    if (item->kind == BUS_EVENT)
        agent_on_manifest (agent, item);
    else if (item->kind == BUS_OBJECT)
        versions_object (agent->versions, item);
    else if (item->kind == BUS_CANCELLED)
        acts_cancel (agent->acts, item->id);
    /* Another bus: what it holds was never announced to us. */
    else if (item->kind == BUS_PEER)
        bus_manifests (svc_bus (run));
}

/*  Versions first: a request that waits for one which is complete now starts in this very step. */
int agent_work (svc_run_t *run)
{
    agent_t *agent = svc_state (run);
    if (versions_tidy (agent->versions))
        svc_tell (run); /* who watches hears of a new version at once */
    return acts_step (agent->acts);
}

typedef struct {
    void (*metric) (void *to, const char *name, double value);
    void *to;
} teller_t;

/*  Policies are told apart by the metric's name; its value is the number of the newest version. */
static void agent_publish_version (void *context, const char *run, const wire_version_t *version)
{
    const teller_t *teller = context;
    char name[160];
    snprintf (name, sizeof name, "version/%s/%s", run, version->policy);
    teller->metric (teller->to, name, (double) version->number);
}

void agent_status (svc_run_t *run, void (*metric) (void *to, const char *name, double value),
                   void *to)
{
    agent_t *agent = svc_state (run);
    acts_status_t acts = acts_status (agent->acts);
    versions_status_t versions = versions_status (agent->versions);
    int64_t now = clock_us ();
    double seconds = (double) (now - agent->told_us) / 1e6;
    metric (to, "tokens_per_s", (double) (acts.tokens - agent->told_tokens) / seconds);
    metric (to, "requests_decoding", (double) acts.decoding);
    metric (to, "requests_waiting", (double) acts.waiting);
    metric (to, "requests_asked", (double) acts.asked);
    metric (to, "tokens", (double) acts.tokens);
    metric (to, "engine_tokens", (double) acts.engine_tokens);
    metric (to, "prompt_tokens", (double) versions.computed);
    metric (to, "busy_s", (double) acts.busy_us / 1e6);
    metric (to, "versions_held", (double) versions.held);
    metric (to, "bytes", (double) versions.bytes);
    metric (to, "deltas", (double) versions.deltas);
    metric (to, "pause_s", (double) acts_pause_us (agent->acts) / 1e6);
    agent->told_tokens = acts.tokens;
    agent->told_us = now;
    versions_newest (agent->versions, agent_publish_version,
                     &(teller_t){.metric = metric, .to = to});
}

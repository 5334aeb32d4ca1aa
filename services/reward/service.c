/*  service - see service.h */
#include "service.h"

#include <stdlib.h>

#include "workers.h"

#define REQUEST_BUDGET ((size_t) 256 << 20)

/*  Called by the workers' threads; bus_wake is what any thread may call. */
static void reward_wake (void *bus)
{
    bus_wake (bus);
}

int reward_open (svc_run_t *run, void **state, err_t *err)
{
    long long n;
    if (args_number (svc_args (run), "--workers", 1, 256, &n, err) != 0)
        return -1;
    workers_options_t options = {.n = (size_t) n,
                                 .command = args_value (svc_args (run), "--command"),
                                 .modules = args_value (svc_args (run), "--modules"),
                                 .judge = args_value (svc_args (run), "--judge"),
                                 .passages = args_value (svc_args (run), "--passages")};
    if (wall_read (args_value (svc_args (run), "--sandbox"), &options.wall, err) != 0)
        return -1;
    workers_t *workers = workers_new (&options, reward_wake, svc_bus (run), err);
    *state = workers;
    return workers ? 0 : -1;
}

/*  Waits for the threads, which read requests that would otherwise be freed under them. */
void reward_close (svc_run_t *run, void **state)
{
    (void) run;
    workers_t *workers = *state;
    workers_destroy (&workers);
    *state = NULL;
}

/*  The arena, and the request in it, go over to the workers when they take the request. */
void reward_on_score (svc_run_t *run, const bus_item_t *item)
{
    err_t err = {0};
    arena_t *arena = arena_new (REQUEST_BUDGET);
    const wire_score_request_t *request =
        arena ? wire_score_request_unpack (arena, item->payload, item->size, &err) : NULL;
    if (!arena)
        err_set (&err, ERR_LIMIT, "no memory for a score request");
    if (request && request->histories_n == 0)
        err_set (&err, ERR_INPUT, "a score request without episodes");
    /* Before anything is scored: a run that is configured otherwise is refused, and this service
       goes on for the others. */
    if (request && request->histories_n > 0 &&
        workers_check (svc_state (run), request, &err) == 0 &&
        workers_add (svc_state (run), item->id, arena, request, &err) == 0)
        return;
    bus_refuse (svc_bus (run), item->id, err.code, "%s", err.text);
    arena_destroy (&arena);
}

/*  Copies names and values; names are borrowed. Returns where they lie. */
static const wire_part_t *reward_parts (const reward_part_t *from, size_t n, wire_part_t *to)
{
    for (size_t p = 0; p < n; p++)
        to[p] = (wire_part_t){.name = from[p].name, .value = from[p].value};
    return to;
}

/*  Rewards in the order of the histories. */
static void reward_reply (svc_run_t *run, const scored_t *scored)
{
    size_t n = scored->request->histories_n;
    wire_reward_t *rewards = calloc (n, sizeof *rewards);
    /* Room for as many parts as each may have: one allocation for all of them. */
    const size_t most = REWARD_ALL_MAX + EPISODE_ROLES_MAX;
    wire_part_t *parts = calloc (n * most, sizeof *parts);
    buf_t bytes = {.max = WIRE_PAYLOAD_MAX};
    for (size_t i = 0; rewards && parts && i < n; i++) {
        const reward_t *r = &scored->rewards[i];
        wire_part_t *own = parts + i * most;
        rewards[i] =
            (wire_reward_t){.reward = r->reward,
                            .quality = r->quality,
                            .speed = r->speed,
                            .cost = r->cost,
                            .success = r->success,
                            .agreement = r->agreement,
                            .success_unknown = r->success_unknown,
                            .agreement_unknown = r->agreement_unknown,
                            .unscored = r->unscored,
                            .parts = reward_parts (r->parts, r->parts_n, own),
                            .parts_n = r->parts_n,
                            .local = reward_parts (r->local, r->local_n, own + REWARD_ALL_MAX),
                            .local_n = r->local_n,
                            .verdict = r->verdict};
    }
    if (rewards && parts)
        wire_score_reply_pack (&(wire_score_reply_t){.rewards = rewards, .rewards_n = n}, &bytes);
    err_t err = {0};
    /* Whatever happened, the request is answered, once: else it would wait for its deadline. */
    int rc = rewards && parts ? buf_check (&bytes, "the reply", &err)
                              : err_set (&err, ERR_LIMIT, "no memory for the reply");
    if (rc != 0)
        bus_refuse (svc_bus (run), scored->id, err.code, "%s", err.text);
    else
        bus_reply (svc_bus (run), scored->id, bytes.data, bytes.size);
    buf_free (&bytes);
    free (rewards);
    free (parts);
}

/*  A request of which one episode failed fails as a whole: half of a group is no group. One that a
 *  judge had no number for is an error of that episode alone, as long as others have theirs. */
int reward_work (svc_run_t *run)
{
    scored_t *scored;
    /* One wake may stand for several requests that were finished meanwhile. */
    while ((scored = workers_take (svc_state (run)))) {
        /* No sandbox can be had here: said and ended, since asking again would never end. */
        if (scored->failed && scored->err.code == ERR_CONFIG && !svc_stopping (run))
            svc_fail (run, &scored->err);
        if (scored->failed)
            bus_refuse (svc_bus (run), scored->id, scored->err.code, "%s", scored->err.text);
        else if (!scored->cancelled)
            reward_reply (run, scored);
        scored_free (&scored);
    }
    return -1;
}

/*  Other items do not concern this service, which calls nobody and fetches nothing. */
void reward_on_item (svc_run_t *run, const bus_item_t *item)
{
    if (item->kind == BUS_CANCELLED)
        workers_cancel (svc_state (run), item->id);
}

void reward_status (svc_run_t *run, void (*metric) (void *to, const char *name, double value),
                    void *to)
{
    workers_status_t s = workers_status (svc_state (run));
    metric (to, "episodes_scored", (double) s.scored);
    metric (to, "episodes_remembered", (double) s.remembered);
    metric (to, "requests_waiting", (double) s.waiting);
}

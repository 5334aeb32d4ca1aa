/*  critic - see critic.h
 *
 *  A state is named by the hash of its bytes. Two requests exist: learn (state k - 1 -> state k)
 *  and value (state, transcripts -> values). Both are pure functions of a state that is either
 *  held, or fetched from the bus as an object; the request waits meanwhile. The last states are
 *  kept, so a repeated request finds the state that it names and gives the same answer. A learn
 *  request is answered only when the bus holds the new state: so whoever reads the answer can
 *  fetch it.
 */
#include "critic.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "regression.h"
#include "wire/wire.h"

#define STATES_KEPT    4 /* k - 1 and k, of two runs */
#define WAITING_MAX    64
#define REQUEST_BUDGET ((size_t) 256 << 20)
#define FETCH_MS       60000
#define STATE_MAX      ((size_t) 1 << 30)

typedef struct {
    hash_t hash;
    regression_t *regression; /* NULL: free */
    int64_t used_us;
} held_t;

typedef struct critic critic_t;
typedef void serve_fn (critic_t *critic, uint64_t id, const void *payload, size_t size);

/*  A request that waits for the bus. */
typedef struct {
    uint64_t id; /* 0: free */
    uint64_t call;
    /* What goes on with payload when state is fetched. NULL: the state is uploaded, payload is the
     * reply. */
    serve_fn *serve;
    hash_t state;
    buf_t payload;
} waiting_t;

struct critic {
    svc_run_t *run;
    held_t held[STATES_KEPT];
    waiting_t waiting[WAITING_MAX];
    arena_t *arena; /* of one request */
    uint64_t learnt, valued;
};

int critic_open (svc_run_t *run, void **state, err_t *err)
{
    critic_t *critic = calloc (1, sizeof *critic);
    if (!critic || !(critic->arena = arena_new (REQUEST_BUDGET))) {
        free (critic);
        return err_set (err, ERR_LIMIT, "no memory");
    }
    critic->run = run;
    *state = critic;
    return 0;
}

void critic_close (svc_run_t *run, void **state)
{
    (void) run;
    critic_t *critic = *state;
    if (!critic)
        return;
    for (size_t i = 0; i < STATES_KEPT; i++)
        regression_destroy (&critic->held[i].regression);
    for (size_t i = 0; i < WAITING_MAX; i++)
        buf_free (&critic->waiting[i].payload);
    arena_destroy (&critic->arena);
    free (critic);
    *state = NULL;
}

/*  Finding a state counts as using it. */
static regression_t *critic_find (critic_t *critic, const hash_t *hash)
{
    for (size_t i = 0; i < STATES_KEPT; i++)
        if (critic->held[i].regression && hash_equal (&critic->held[i].hash, hash)) {
            critic->held[i].used_us = clock_us ();
            return critic->held[i].regression;
        }
    return NULL;
}

/*  Takes the regression over; the state that was used longest ago goes. */
static void critic_store_state (critic_t *critic, const hash_t *hash, regression_t **regression)
{
    held_t *slot = &critic->held[0];
    for (size_t i = 0; i < STATES_KEPT; i++) {
        held_t *h = &critic->held[i];
        /* The same bytes: whoever fetched or computed it first has stored it. */
        if (h->regression && hash_equal (&h->hash, hash)) {
            regression_destroy (regression);
            return;
        }
        /* A free place, or else the one that was used longest ago. */
        if (slot->regression && (!h->regression || h->used_us < slot->used_us))
            slot = h;
    }
    regression_destroy (&slot->regression);
    *slot = (held_t){.hash = *hash, .regression = *regression, .used_us = clock_us ()};
    *regression = NULL;
}

/*  Every record of an episode has the episode's joint reward as its target. */
static double *critic_returns_of (const records_t *records, const double *returns)
{
    double *targets = calloc (records->n + 1, sizeof *targets);
    for (size_t i = 0; targets && i < records->n; i++)
        targets[i] = returns[records->record[i].episode];
    return targets;
}

/*  A state that has learnt; the old one is untouched. */
static regression_t *critic_parent_of (const regression_t *old, const wire_learn_request_t *request,
                                       regression_learnt_t *learnt, err_t *err)
{
    regression_shape_t shape = {request->replay, request->context};
    /* Without a parent this is the first step of a run, which says what to begin with. */
    regression_t *regression = old ? regression_copy (old, err) : regression_new (&shape, err);
    if (!regression)
        return NULL;
    records_t *records =
        records_new (request->groups, request->groups_n, regression_context (regression), err);
    double *targets = records ? critic_returns_of (records, request->returns) : NULL;
    int rc = -1;
    if (records && !targets)
        err_set (err, ERR_LIMIT, "no memory for %zu returns", records->n);
    else if (records)
        rc = regression_learn (regression, records, targets, learnt, err);
    records_destroy (&records);
    free (targets);
    if (rc != 0)
        regression_destroy (&regression);
    return regression;
}

/*  Keeps payload until the bus has answered a call. */
static int critic_wait_for (critic_t *critic, const waiting_t *what, const void *payload,
                            size_t size, err_t *err)
{
    if (!what->call)
        return err_set (err, ERR_LIMIT, "no memory to exchange a state with the bus");
    for (size_t i = 0; i < WAITING_MAX; i++) {
        waiting_t *w = &critic->waiting[i];
        if (w->id)
            continue;
        *w = *what;
        w->payload = (buf_t){.max = WIRE_PAYLOAD_MAX};
        buf_append (&w->payload, payload, size);
        return 0;
    }
    /* What it was for is refused, so its answer would be nobody's. */
    bus_cancel (svc_bus (critic->run), what->call);
    return err_set (err, ERR_BUSY, "%d requests wait for the bus already", WAITING_MAX);
}

/*  The reply waits until the bus holds the new state. A trainer that learnt of a state which nobody
 *  has could neither put it into its checkpoint nor go on after this critic died. */
static int critic_learn_step (critic_t *critic, uint64_t id, const regression_t *old,
                              const wire_learn_request_t *request, err_t *err)
{
    regression_learnt_t learnt = {0};
    regression_t *regression = critic_parent_of (old, request, &learnt, err);
    if (!regression)
        return -1;
    buf_t state = {.max = STATE_MAX}, reply = {0};
    regression_bytes (regression, &state);
    if (buf_failed (&state)) {
        buf_free (&state);
        regression_destroy (&regression);
        return err_set (err, ERR_LIMIT, "no memory for the critic's state");
    }
    wire_learn_reply_t answer = {.state = hash_object (state.data, state.size),
                                 .size = state.size,
                                 .explained_variance = learnt.explained_variance,
                                 .loss = learnt.loss};
    critic_store_state (critic, &answer.state, &regression);
    wire_learn_reply_pack (&answer, &reply);
    waiting_t uploading = {.id = id,
                           /* Copied by the bus's library: the buffer is freed below. */
                           .call = bus_offer (svc_bus (critic->run), state.data, state.size)};
    int rc = critic_wait_for (critic, &uploading, reply.data, reply.size, err);
    /* Counted even when the reply has no place to wait in: the step is learnt, and asked again
       it is learnt again to the same state. */
    critic->learnt++;
    buf_free (&reply);
    buf_free (&state);
    return rc;
}

/*  Values of one state are the same from every critic: nothing that it has seen since changes
 *  them. */
static int critic_value (critic_t *critic, uint64_t id, regression_t *regression,
                         const wire_value_request_t *request, err_t *err)
{
    records_t *records =
        records_new (request->groups, request->groups_n, regression_context (regression), err);
    if (!records)
        return -1;
    double *values = calloc (records->n + 1, sizeof *values);
    wire_value_t *list = calloc (records->n + 1, sizeof *list);
    int rc = values && list ? regression_values (regression, records, values, err)
                            : err_set (err, ERR_LIMIT, "no memory for %zu values", records->n);
    if (rc == 0) {
        for (size_t i = 0; i < records->n; i++)
            list[i] = (wire_value_t){.episode = records->record[i].episode,
                                     .role = records->record[i].role,
                                     .turn = records->record[i].turn,
                                     .value = values[i]};
        wire_value_reply_t answer = {.values = list, .values_n = records->n};
        buf_t reply = {0};
        wire_value_reply_pack (&answer, &reply);
        rc = bus_reply (svc_bus (critic->run), id, reply.data, reply.size);
        buf_free (&reply);
        critic->valued += records->n;
    }
    records_destroy (&records);
    free (values);
    free (list);
    return rc;
}

/*  The request is served when its state has come. */
static int critic_fetch_first (critic_t *critic, uint64_t id, serve_fn *serve, const hash_t *state,
                               const void *payload, size_t size, err_t *err)
{
    waiting_t served = {.id = id,
                        .call = bus_fetch (svc_bus (critic->run), state, 0, FETCH_MS),
                        .serve = serve,
                        .state = *state};
    return critic_wait_for (critic, &served, payload, size, err);
}

/*  A request whose state is not held is kept whole and served anew when the state has come:
 *  unpacked structs would not outlive the arena. */
static void critic_serve_learn (critic_t *critic, uint64_t id, const void *payload, size_t size)
{
    err_t err = {0};
    arena_reset (critic->arena);
    const wire_learn_request_t *request =
        wire_learn_request_unpack (critic->arena, payload, size, &err);
    int rc = request ? 0 : -1;
    if (rc == 0) {
        bool first = hash_is_zero (&request->state);
        const regression_t *old = first ? NULL : critic_find (critic, &request->state);
        rc = first || old ? critic_learn_step (critic, id, old, request, &err)
                          : critic_fetch_first (critic, id, critic_serve_learn, &request->state,
                                                payload, size, &err);
    }
    if (rc != 0)
        bus_refuse (svc_bus (critic->run), id, err.code, "%s", err.text);
}

static void critic_serve_value (critic_t *critic, uint64_t id, const void *payload, size_t size)
{
    err_t err = {0};
    arena_reset (critic->arena);
    const wire_value_request_t *request =
        wire_value_request_unpack (critic->arena, payload, size, &err);
    int rc = request ? 0 : -1;
    if (rc == 0) {
        regression_t *regression = critic_find (critic, &request->state);
        rc = regression ? critic_value (critic, id, regression, request, &err)
                        : critic_fetch_first (critic, id, critic_serve_value, &request->state,
                                              payload, size, &err);
    }
    if (rc != 0)
        bus_refuse (svc_bus (critic->run), id, err.code, "%s", err.text);
}

void critic_on_learn (svc_run_t *run, const bus_item_t *item)
{
    critic_serve_learn (svc_state (run), item->id, item->payload, item->size);
}

void critic_on_value (svc_run_t *run, const bus_item_t *item)
{
    critic_serve_value (svc_state (run), item->id, item->payload, item->size);
}

/*  The bus holds what was learnt, or does not take it. */
static void critic_send_learnt (critic_t *critic, const waiting_t *w, const bus_item_t *item)
{
    if (item->code != ERR_NONE)
        bus_refuse (svc_bus (critic->run), w->id, item->code,
                    "the bus does not take the critic's state: %s", item->text);
    else
        bus_reply (svc_bus (critic->run), w->id, w->payload.data, w->payload.size);
}

/*  A state came, or cannot be had: the request that waited for it goes on. */
static void critic_continue (critic_t *critic, const waiting_t *w, const bus_item_t *item)
{
    err_t err = {0};
    regression_t *regression = NULL;
    if (item->code != ERR_NONE)
        err_set (&err, ERR_MISSING, "the critic's state cannot be had: %s", item->text);
    else
        regression = regression_parse (item->payload, item->size, &err);
    if (!regression) {
        bus_refuse (svc_bus (critic->run), w->id, err.code, "%s", err.text);
        return;
    }
    critic_store_state (critic, &w->state, &regression);
    w->serve (critic, w->id, w->payload.data, w->payload.size);
}

static void critic_on_object (critic_t *critic, const bus_item_t *item)
{
    for (size_t i = 0; i < WAITING_MAX; i++) {
        if (!critic->waiting[i].id || critic->waiting[i].call != item->call)
            continue;
        /* Taken out first: going on may have to wait again, and needs the place. */
        waiting_t found = critic->waiting[i];
        critic->waiting[i] = (waiting_t){0};
        (found.serve ? critic_continue : critic_send_learnt) (critic, &found, item);
        buf_free (&found.payload);
        return;
    }
}

/*  A new bus holds nothing yet of what the trainers may fetch. */
static void critic_upload_again (critic_t *critic)
{
    for (size_t i = 0; i < STATES_KEPT; i++) {
        buf_t state = {.max = STATE_MAX};
        if (critic->held[i].regression)
            regression_bytes (critic->held[i].regression, &state);
        if (state.size && !buf_failed (&state))
            bus_offer (svc_bus (critic->run), state.data, state.size);
        buf_free (&state);
    }
}

void critic_on_item (svc_run_t *run, const bus_item_t *item)
{
    critic_t *critic = svc_state (run);
    if (item->kind == BUS_OBJECT)
        critic_on_object (critic, item);
    else if (item->kind == BUS_PEER)
        critic_upload_again (critic);
    /* Its client has given up. What is under way at the bus goes on, and is of use to the next
       one that asks. */
    for (size_t i = 0; item->kind == BUS_CANCELLED && i < WAITING_MAX; i++)
        if (critic->waiting[i].id == item->id) {
            buf_free (&critic->waiting[i].payload);
            critic->waiting[i] = (waiting_t){0};
        }
}

void critic_status (svc_run_t *run, void (*metric) (void *to, const char *name, double value),
                    void *to)
{
    const critic_t *critic = svc_state (run);
    metric (to, "steps_learnt", (double) critic->learnt);
    metric (to, "values", (double) critic->valued);
}

/*  environment_service - the environment on a real store and a bus that the test plays.
 *
 *  Include in a test that is compiled with services/environment/, and that sets each_open and
 *  each_close around its cases, open_all and close_all around all of them.
 */
#ifndef QUINTET_TESTS_ENVIRONMENT_SERVICE_H
#define QUINTET_TESTS_ENVIRONMENT_SERVICE_H

#include "../../services/environment/call.h"
#include "environment_run.h"

#define CALLS_MAX 64
#define WAIT_MS   60000

/*  ---- the bus, as far as the environment sees it --------------------------------------------- */

typedef struct {
    uint64_t number; /* 0: answered or cancelled */
    char service[16], id[200], avoid[32];
    buf_t payload;
    int64_t deadline_ms;
} asked_t;

static struct {
    asked_t calls[CALLS_MAX];
    size_t calls_n;
    uint64_t numbers, fetch;
    size_t fetches, cancelled, published;
    char topic[100], subscribed[100], trace[64];
    size_t traced; /* how often something was to belong to a trace */
    buf_t event;
} bus;

uint64_t bus_call (bus_t *of, const char *service, const char *id, const void *payload, size_t size,
                   int64_t deadline_ms)
{
    (void) of;
    assert_true (bus.calls_n < CALLS_MAX);
    asked_t *call = &bus.calls[bus.calls_n++];
    *call = (asked_t){.number = ++bus.numbers, .deadline_ms = deadline_ms};
    snprintf (call->service, sizeof call->service, "%s", service);
    snprintf (call->id, sizeof call->id, "%s", id);
    buf_append (&call->payload, payload, size);
    return call->number;
}

uint64_t bus_call_avoiding (bus_t *of, const char *service, const char *id, const void *payload,
                            size_t size, int64_t deadline_ms, const char *avoid)
{
    uint64_t number = bus_call (of, service, id, payload, size, deadline_ms);
    snprintf (bus.calls[bus.calls_n - 1].avoid, sizeof bus.calls[0].avoid, "%s", avoid);
    return number;
}

void bus_wake (bus_t *of)
{
    (void) of;
}

void bus_cancel (bus_t *of, uint64_t number)
{
    (void) of;
    for (size_t i = 0; i < bus.calls_n; i++)
        if (bus.calls[i].number == number) {
            bus.calls[i].number = 0;
            bus.cancelled++;
        }
}

uint64_t bus_fetch (bus_t *of, const hash_t *hash, uint64_t size, int64_t deadline_ms)
{
    (void) of, (void) hash, (void) size, (void) deadline_ms;
    bus.fetches++;
    return bus.fetch = ++bus.numbers;
}

void bus_trace (bus_t *of, const char *trace)
{
    (void) of;
    snprintf (bus.trace, sizeof bus.trace, "%s", trace);
    if (*trace)
        bus.traced++;
}

int bus_subscribe (bus_t *of, const char *prefix, err_t *why)
{
    (void) of, (void) why;
    snprintf (bus.subscribed, sizeof bus.subscribed, "%s", prefix);
    return 0;
}

void bus_publish (bus_t *of, const char *topic, const void *payload, size_t size)
{
    (void) of;
    bus.published++;
    snprintf (bus.topic, sizeof bus.topic, "%s", topic);
    buf_clear (&bus.event);
    buf_append (&bus.event, payload, size);
}

/*  ---- what the tests do ---------------------------------------------------------------------- */

static inline int open_all (void **state)
{
    (void) state;
    run_open_all ();
    return 0;
}

static inline int close_all (void **state)
{
    (void) state;
    run_close_all ();
    return 0;
}

static inline void open_environment (void)
{
    fine (environment_open (&run, &run.state, &err));
}

static inline int each_open (void **state)
{
    (void) state;
    run_open ((bus_t *) &bus);
    open_environment ();
    return 0;
}

static inline void forget_bus (void)
{
    for (size_t i = 0; i < bus.calls_n; i++)
        buf_free (&bus.calls[i].payload);
    buf_free (&bus.event);
    memset (&bus, 0, sizeof bus);
}

static inline int each_close (void **state)
{
    (void) state;
    run_close ();
    forget_bus ();
    return 0;
}

static inline void open_step (uint64_t step, size_t n)
{
    fixture_group_t f;
    fixture_group (&f, tokenizer_text);
    store_bytes_t list[8];
    buf_t bytes[8] = {{0}};
    for (size_t g = 0; g < n; g++) {
        f.group.step = step;
        f.group.group = g;
        wire_group_pack (&f.group, &bytes[g]);
        list[g] = (store_bytes_t){bytes[g].data, bytes[g].size};
    }
    fine (store_step_open (store, "r", epoch, 0, step, list, n, &err));
    for (size_t g = 0; g < n; g++)
        buf_free (&bytes[g]);
}

static inline store_status_t status_of (uint64_t step)
{
    store_status_t status = {0};
    fine (store_step_status (store, "r", 0, step, &status, &err));
    return status;
}

static double metric_wanted;
static const char *metric_name;

static inline void find_metric (void *to, const char *name, double value)
{
    (void) to;
    if (strcmp (name, metric_name) == 0)
        metric_wanted = value;
}

static inline double metric (const char *name)
{
    metric_name = name;
    metric_wanted = -1;
    environment_status (&run, find_metric, NULL);
    return metric_wanted;
}

static inline void give_item (bus_item_t item)
{
    item.name = item.sender = item.name ? item.name : "peer-1";
    item.text = item.text ? item.text : "";
    environment_on_item (&run, &item);
}

static inline void give_tokenizer (void)
{
    environment_work (&run);
    assert_int_not_equal (bus.fetch, 0);
    give_item ((bus_item_t){.kind = BUS_OBJECT,
                            .call = bus.fetch,
                            .payload = tokenizer_text,
                            .size = strlen (tokenizer_text)});
    environment_work (&run);
}

static inline asked_t *open_call (const char *service)
{
    for (size_t i = 0; i < bus.calls_n; i++)
        if (bus.calls[i].number && strcmp (bus.calls[i].service, service) == 0)
            return &bus.calls[i];
    return NULL;
}

/*  The open call of this id. */
static inline asked_t *find_call (const char *id)
{
    for (size_t i = 0; i < bus.calls_n; i++)
        if (bus.calls[i].number && strcmp (bus.calls[i].id, id) == 0)
            return &bus.calls[i];
    return NULL;
}

/*  Lets the environment work until it asks this service for something. */
static inline asked_t *wait_call (const char *service)
{
    int64_t deadline = clock_ms () + WAIT_MS;
    while (!open_call (service)) {
        if (clock_left_ms (deadline) == 0)
            fail_msg ("no call to '%s' within %d ms", service, WAIT_MS);
        int wait = environment_work (&run);
        clock_sleep_ms (wait < 20 ? wait : 20);
    }
    return open_call (service);
}

/*  The same, for a request that is known by its id. */
static inline asked_t *wait_id (const char *id)
{
    int64_t deadline = clock_ms () + WAIT_MS;
    while (!find_call (id)) {
        if (clock_left_ms (deadline) == 0)
            fail_msg ("no call '%s' within %d ms", id, WAIT_MS);
        int wait = environment_work (&run);
        clock_sleep_ms (wait < 20 ? wait : 20);
    }
    return find_call (id);
}

static inline void answer (asked_t *call)
{
    buf_t bytes = {0};
    (strcmp (call->service, "act") == 0 ? fixture_act : fixture_score) (call->payload.data,
                                                                        call->payload.size, &bytes);
    uint64_t number = call->number;
    call->number = 0;
    give_item (
        (bus_item_t){.kind = BUS_REPLY, .call = number, .payload = bytes.data, .size = bytes.size});
    buf_free (&bytes);
}

static inline void refuse_as (asked_t *call, const char *peer, err_code_t code, const char *text)
{
    uint64_t number = call->number;
    call->number = 0;
    give_item (
        (bus_item_t){.kind = BUS_REPLY, .call = number, .code = code, .text = text, .name = peer});
}

static inline void refuse (asked_t *call, err_code_t code, const char *text)
{
    refuse_as (call, "peer-1", code, text);
}

/*  Answers everything until the step is finished. */
static inline void answer_all (uint64_t step, size_t groups)
{
    int64_t deadline = clock_ms () + WAIT_MS;
    for (store_status_t s = {0}; s.committed + s.dead < groups;) {
        assert_true (clock_left_ms (deadline) > 0);
        asked_t *call = open_call ("act") ? open_call ("act") : open_call ("score");
        if (call)
            answer (call);
        int wait = environment_work (&run);
        if (!call)
            clock_sleep_ms (wait < 20 ? wait : 20);
        s = status_of (step);
    }
}

typedef struct {
    size_t groups, episodes, dead;
    char reason[256];
} heard_t;

static inline int hear (void *context, uint64_t group, const void *data, size_t size,
                        const char *reason)
{
    heard_t *heard = context;
    if (!data) {
        heard->dead++;
        snprintf (heard->reason, sizeof heard->reason, "%s", reason);
        return 0;
    }
    arena_t *arena = arena_new (1 << 20);
    const wire_episodes_t *episodes = wire_episodes_unpack (arena, data, size, &err);
    if (!episodes || episodes->group != group)
        fail_msg ("result of group %llu: %s", (unsigned long long) group, err.text);
    heard->groups++;
    heard->episodes += episodes->episodes_n;
    arena_destroy (&arena);
    return 0;
}

static inline heard_t results (uint64_t step)
{
    heard_t heard = {0};
    fine (store_step_groups (store, "r", 0, step, hear, &heard, &err));
    return heard;
}

#define each(test) cmocka_unit_test_setup_teardown (test, each_open, each_close)

#endif

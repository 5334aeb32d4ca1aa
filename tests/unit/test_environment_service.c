/* with: services/environment/ */
/*  The environment's hands: a real store on a private Redis, a bus that the test plays. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../services/environment/environment.h"
#include "environment_fixture.h"
#include "redis_fixture.h"
#include "store/store.h"
#include "svc/args.h"

#define CALLS_MAX 64
#define WAIT_MS   8000

/*  ---- the bus and the run time, as far as the environment sees them -------------------------- */

typedef struct {
    uint64_t number; /* 0: answered or cancelled */
    char service[16], id[200];
    buf_t payload;
    int64_t deadline_ms;
} asked_t;

struct svc_run {
    void *state;
    args_t *args;
    const char *redis;
};

static struct {
    asked_t calls[CALLS_MAX];
    size_t calls_n;
    uint64_t numbers, fetch;
    size_t fetches, cancelled, published;
    char topic[100], subscribed[100];
    buf_t event;
} bus;

void *svc_state (const svc_run_t *run)
{
    return run->state;
}

bus_t *svc_bus (const svc_run_t *run)
{
    (void) run;
    return (bus_t *) &bus;
}

const char *svc_name (const svc_run_t *run)
{
    (void) run;
    return "environment-1";
}

const char *svc_redis (const svc_run_t *run)
{
    return run->redis;
}

const args_t *svc_args (const svc_run_t *run)
{
    return run->args;
}

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

int bus_subscribe (bus_t *of, const char *prefix, err_t *err)
{
    (void) of, (void) err;
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

static redis_fixture_t redis;
static char *tokenizer_text;
static store_t *store; /* the trainer's */
static uint64_t epoch;
static svc_run_t run;
static err_t err;

#define fine(call)                                                                                 \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            fail_msg ("%s: %s: %s", #call, err_name (err.code), err.text);                         \
    } while (0)

static int open_all (void **state)
{
    (void) state;
    redis_fixture_open (&redis);
    tokenizer_text = fixture_tokenizer_text ();
    return 0;
}

static int close_all (void **state)
{
    (void) state;
    redis_fixture_close (&redis);
    free (tokenizer_text);
    return 0;
}

static void open_environment (void)
{
    fine (environment_open (&run, &run.state, &err));
}

static int each_open (void **state)
{
    (void) state;
    static const args_option_t options[] = {
        {"--groups", "N", "32", ""}, {"--act-timeout", "S", "90", ""}, {0}};
    static const args_spec_t spec = {.program = "test", .about = "", .options = options};
    char *argv[] = {"test"};
    run = (svc_run_t){.args = args_parse (&spec, 1, argv, &err), .redis = redis.address};
    assert_non_null (run.args);
    store = store_new (redis.address, &err);
    if (!store)
        fail_msg ("%s", err.text);
    fine (store_run_acquire (store, "r", "trainer", 60000, "", 0, &epoch, &err));
    open_environment ();
    return 0;
}

static void forget_bus (void)
{
    for (size_t i = 0; i < bus.calls_n; i++)
        buf_free (&bus.calls[i].payload);
    buf_free (&bus.event);
    memset (&bus, 0, sizeof bus);
}

static int each_close (void **state)
{
    (void) state;
    environment_close (&run, &run.state);
    store_run_release (store, "r", epoch, &err);
    store_destroy (&store);
    args_destroy (&run.args);
    forget_bus ();
    return 0;
}

static void open_step (uint64_t step, size_t n)
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

static store_status_t status_of (uint64_t step)
{
    store_status_t status = {0};
    fine (store_step_status (store, "r", 0, step, &status, &err));
    return status;
}

static double metric_wanted;
static const char *metric_name;

static void find_metric (void *to, const char *name, double value)
{
    (void) to;
    if (strcmp (name, metric_name) == 0)
        metric_wanted = value;
}

static double metric (const char *name)
{
    metric_name = name;
    metric_wanted = -1;
    environment_status (&run, find_metric, NULL);
    return metric_wanted;
}

static void give_item (bus_item_t item)
{
    item.name = item.sender = item.name ? item.name : "peer-1";
    item.text = item.text ? item.text : "";
    environment_on_item (&run, &item);
}

static void give_tokenizer (void)
{
    environment_work (&run);
    assert_int_not_equal (bus.fetch, 0);
    give_item ((bus_item_t){.kind = BUS_OBJECT,
                            .call = bus.fetch,
                            .payload = tokenizer_text,
                            .size = strlen (tokenizer_text)});
    environment_work (&run);
}

static asked_t *open_call (const char *service)
{
    for (size_t i = 0; i < bus.calls_n; i++)
        if (bus.calls[i].number && strcmp (bus.calls[i].service, service) == 0)
            return &bus.calls[i];
    return NULL;
}

/*  Lets the environment work until it asks this service for something. */
static asked_t *wait_call (const char *service)
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

static void answer (asked_t *call)
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

static void refuse (asked_t *call, err_code_t code, const char *text)
{
    uint64_t number = call->number;
    call->number = 0;
    give_item ((bus_item_t){.kind = BUS_REPLY, .call = number, .code = code, .text = text});
}

/*  Answers everything until the step is finished. */
static void answer_all (uint64_t step, size_t groups)
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

static int hear (void *context, uint64_t group, const void *data, size_t size, const char *reason)
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

static heard_t results (uint64_t step)
{
    heard_t heard = {0};
    fine (store_step_groups (store, "r", 0, step, hear, &heard, &err));
    return heard;
}

static void a_step_is_played_to_the_end (void **state)
{
    (void) state;
    open_step (1, 4);
    give_tokenizer ();
    assert_int_equal (bus.fetches, 1); /* of all four groups and both roles */
    assert_string_equal (bus.subscribed, "r/step.opened");
    assert_int_equal (bus.calls_n, 8);
    assert_int_equal (status_of (1).leased, 4);
    answer_all (1, 4);
    heard_t heard = results (1);
    assert_int_equal (heard.groups, 4);
    assert_int_equal (heard.episodes, 12);
    assert_int_equal (bus.published, 4);
    assert_string_equal (bus.topic, "r/group.committed");
    arena_t *arena = arena_new (1 << 20);
    const wire_event_t *event = wire_event_unpack (arena, bus.event.data, bus.event.size, &err);
    assert_non_null (event);
    assert_int_equal (event->kind, WIRE_GROUP_COMMITTED);
    assert_int_equal (event->step, 1);
    assert_int_equal (event->metrics_n, 10);
    arena_destroy (&arena);
    /* The next step needs no tokenizer and hears of the step by event. */
    open_step (2, 1);
    give_item ((bus_item_t){.kind = BUS_EVENT, .name = "r/step.opened"});
    environment_work (&run);
    assert_non_null (open_call ("act"));
    assert_int_equal (bus.fetches, 1);
    answer_all (2, 1);
    assert_true (metric ("groups_committed") == 5);
    assert_true (metric ("groups_in_flight") == 0);
}

static void what_may_pass_is_asked_again (void **state)
{
    (void) state;
    static const err_code_t codes[] = {ERR_BUSY, ERR_TIMEOUT, ERR_MISSING, ERR_STALE, ERR_INTERNAL};
    open_step (1, 1);
    give_tokenizer ();
    char id[200];
    snprintf (id, sizeof id, "%s", bus.calls[0].id);
    assert_int_equal (bus.calls_n, 2);
    assert_int_equal (bus.calls[0].deadline_ms, 90000);
    answer (&bus.calls[1]); /* the other role's */
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        refuse (wait_call ("act"), codes[i], "not now");
        assert_string_equal (bus.topic, "r/group.trouble"); /* who watches hears of it */
        assert_null (open_call ("act"));                    /* not at once */
        assert_string_equal (wait_call ("act")->id, id);
    }
    assert_int_equal (wait_call ("act")->deadline_ms, 3600000); /* the time-out taught us */
    answer_all (1, 1);
    assert_int_equal (results (1).groups, 1);
}

/*  No agent will ever play it: the run hears of it, and the group stays as it is. */
static void a_refusal_for_good_is_told (void **state)
{
    (void) state;
    open_step (3, 1);
    give_tokenizer ();
    size_t before = bus.published;
    refuse (wait_call ("act"), ERR_CONFIG, "other kernels");
    assert_int_equal (bus.published, before + 1);
    assert_string_equal (bus.topic, "r/group.refused");
    arena_t *arena = arena_new (1 << 20);
    const wire_event_t *event = wire_event_unpack (arena, bus.event.data, bus.event.size, &err);
    assert_non_null (event);
    assert_int_equal (event->kind, WIRE_GROUP_REFUSED);
    assert_int_equal (event->step, 3);
    assert_non_null (strstr (event->text, "other kernels"));
    arena_destroy (&arena);
    answer_all (3, 1);
    assert_int_equal (results (3).groups, 1);
}

static void an_answer_that_does_not_fit_is_asked_again (void **state)
{
    (void) state;
    open_step (1, 1);
    give_tokenizer ();
    asked_t *call = wait_call ("act");
    uint64_t number = call->number;
    call->number = 0;
    give_item ((bus_item_t){.kind = BUS_REPLY, .call = number, .payload = "\xff\xff", .size = 2});
    answer_all (1, 1);
    assert_int_equal (results (1).groups, 1);
}

static void bad_input_makes_a_group_dead (void **state)
{
    (void) state;
    open_step (1, 2);
    give_tokenizer ();
    refuse (wait_call ("act"), ERR_INPUT, "the prompt is longer than the context");
    answer_all (1, 2);
    heard_t heard = results (1);
    assert_int_equal (heard.groups, 1);
    assert_int_equal (heard.dead, 1);
    assert_string_equal (heard.reason, "act: peer-1: the prompt is longer than the context");
    assert_int_equal (bus.cancelled, 1); /* what the dead group's other role had asked */
}

static void a_payload_that_is_no_group_is_dead (void **state)
{
    (void) state;
    store_bytes_t garbage = {"\xff\xff garbage", 10};
    fine (store_step_open (store, "r", epoch, 0, 1, &garbage, 1, &err));
    environment_work (&run);
    assert_int_equal (results (1).dead, 1);
    assert_true (metric ("groups_in_flight") == 0);
}

static void a_tokenizer_that_cannot_be_read_makes_groups_dead (void **state)
{
    (void) state;
    open_step (1, 1);
    environment_work (&run);
    give_item (
        (bus_item_t){.kind = BUS_OBJECT, .call = bus.fetch, .payload = "no JSON", .size = 7});
    environment_work (&run);
    heard_t heard = results (1);
    assert_int_equal (heard.dead, 1);
    assert_non_null (strstr (heard.reason, "tokenizer"));
}

static void a_tokenizer_that_is_not_there_yet_is_fetched_again (void **state)
{
    (void) state;
    open_step (1, 1);
    environment_work (&run);
    give_item ((bus_item_t){
        .kind = BUS_OBJECT, .call = bus.fetch, .code = ERR_MISSING, .text = "no such object"});
    int64_t deadline = clock_ms () + WAIT_MS;
    while (bus.fetches < 2 && clock_left_ms (deadline) > 0)
        clock_sleep_ms (environment_work (&run));
    assert_int_equal (bus.fetches, 2);
    give_tokenizer ();
    answer_all (1, 1);
}

static void a_lost_group_is_left (void **state)
{
    (void) state;
    open_step (1, 2);
    give_tokenizer ();
    fine (store_step_drop_after (store, "r", epoch, 0, &err));
    for (int i = 0; i < 4; i++)
        answer (wait_call ("act"));
    environment_work (&run);
    assert_true (metric ("groups_lost") == 2);
    assert_true (metric ("groups_in_flight") == 0);
    assert_null (open_call ("score"));
}

static void redis_may_die_while_groups_are_played (void **state)
{
    (void) state;
    open_step (1, 3);
    give_tokenizer ();
    answer (wait_call ("act"));
    redis_fixture_kill (&redis);
    for (int i = 0; i < 5; i++)
        answer (wait_call ("act")); /* the turns are over and cannot be stored */
    int64_t start = clock_ms ();
    environment_work (&run);
    assert_true (clock_ms () - start < 4000); /* the loop is not held up */
    redis_fixture_start (&redis);
    answer_all (1, 3);
    assert_int_equal (results (1).groups, 3);
}

static void redis_may_lose_everything (void **state)
{
    (void) state;
    open_step (1, 2);
    give_tokenizer ();
    redis_fixture_kill (&redis);
    fs_remove (redis.folder, &err);
    fine (fs_mkdirs (redis.folder, &err));
    redis_fixture_start (&redis);
    fine (store_run_acquire (store, "r", "trainer", 60000, "", 0, &epoch, &err));
    open_step (1, 2);
    /* The old claims do not fit the new groups, which are claimed and played anew. */
    answer_all (1, 2);
    assert_int_equal (results (1).groups, 2);
    assert_true (metric ("groups_lost") == 2);
}

static void closing_gives_back_what_is_under_way (void **state)
{
    (void) state;
    open_step (1, 3);
    give_tokenizer ();
    assert_int_equal (status_of (1).leased, 3);
    environment_close (&run, &run.state);
    assert_int_equal (status_of (1).pending, 3);
    assert_int_equal (bus.cancelled, 6);
    open_environment ();
    give_tokenizer ();
    answer_all (1, 3);
}

static void a_new_process_takes_over_at_once (void **state)
{
    (void) state;
    open_step (1, 2);
    environment_work (&run);
    assert_int_equal (status_of (1).leased, 2);
    svc_run_t first = run; /* dies without a word */
    open_environment ();
    assert_int_equal (status_of (1).pending, 2);
    give_tokenizer ();
    answer_all (1, 2);
    environment_close (&first, &first.state);
}

#define each(test) cmocka_unit_test_setup_teardown (test, each_open, each_close)

int main (void)
{
    const struct CMUnitTest tests[] = {
        each (a_step_is_played_to_the_end),
        each (what_may_pass_is_asked_again),
        each (a_refusal_for_good_is_told),
        each (an_answer_that_does_not_fit_is_asked_again),
        each (bad_input_makes_a_group_dead),
        each (a_payload_that_is_no_group_is_dead),
        each (a_tokenizer_that_cannot_be_read_makes_groups_dead),
        each (a_tokenizer_that_is_not_there_yet_is_fetched_again),
        each (a_lost_group_is_left),
        each (redis_may_die_while_groups_are_played),
        each (redis_may_lose_everything),
        each (closing_gives_back_what_is_under_way),
        each (a_new_process_takes_over_at_once),
    };
    return cmocka_run_group_tests (tests, open_all, close_all);
}

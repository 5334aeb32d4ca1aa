/* with: services/bus/ */
/*  What the bus and a bus_t do about what is too much: too large, too many, too slow, or no envelope at all. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "bus_fixture.h"

static void holds (const char *text, const char *wanted)
{
    if (!strstr (text, wanted))
        fail_msg ("'%s' holds no '%s'", text, wanted);
}

/*  ---- messages ------------------------------------------------------------------------------------------- */

static void messages_are_whole_or_refused (void **state)
{
    bus_t *client = join (*state, "client"), *worker = join (*state, "worker");
    size_t most = WIRE_PAYLOAD_MAX;
    char id[ENVELOPE_ID_MAX + 1], *payload = calloc (1, most + 1), number[32];
    memset (id, 'x', sizeof id - 1);
    id[sizeof id - 1] = 0;
    payload[most - 1] = 'z';
    bus_serve (worker, "echo", 4, NULL);
    uint64_t call = bus_call (client, "echo", id, payload, most, PATIENCE_MS);
    bus_item_t item = await (worker, BUS_REQUEST);
    assert_int_equal (item.size, most);
    assert_int_equal (((const char *) item.payload)[most - 1], 'z');
    assert_int_equal (bus_reply (worker, item.id, payload, most), 0);
    item = await (client, BUS_REPLY);
    assert_int_equal (item.call, call);
    assert_int_equal (item.size, most);
    snprintf (number, sizeof number, "%zu", most + 1);
    call = bus_call (client, "echo", NULL, payload, most + 1, PATIENCE_MS);
    item = await (client, BUS_REPLY);
    assert_int_equal (item.call, call);
    assert_int_equal (item.code, ERR_LIMIT);
    holds (item.text, number);
    call = bus_call (client, "echo", NULL, "", 0, PATIENCE_MS);
    bus_reply (worker, await (worker, BUS_REQUEST).id, payload, most + 1);
    item = await (client, BUS_REPLY);
    assert_int_equal (item.call, call);
    assert_int_equal (item.code, ERR_LIMIT);
    holds (item.text, number);
    free (payload);
    bus_destroy (&client);
    bus_destroy (&worker);
}

static void what_is_no_envelope_is_counted (void **state)
{
    fixture_t *f = *state;
    assert_true (metric (f, "frames_malformed") == 0);
    raw_t requests = raw_open (f, "requests", ZMQ_DEALER);
    raw_t policies = raw_open (f, "policies", ZMQ_DEALER);
    zmq_send (requests.socket, "\xff\xff", 2, 0);
    zmq_send (policies.socket, "\xff\xff", 2, 0);
    await_metric (f, "frames_malformed", 2);
    hash_t none = hash_of ("none", 4);
    raw_send (&policies, (envelope_t){.kind = ENVELOPE_MANIFEST,
                                      .service = slice_of ("main"),
                                      .text = slice_of ("r"),
                                      .objects = {(const char *) none.bytes, HASH_SIZE}});
    await_metric (f, "refused", 1);
    raw_close (&requests);
    raw_close (&policies);
}

/*  ---- events ---------------------------------------------------------------------------------------------- */

static void an_event_that_is_too_large_is_counted (void **state)
{
    bus_t *publisher = join (*state, "publisher");
    char *payload = calloc (1, ENVELOPE_EVENT_MAX + 1);
    bus_publish (publisher, "run/x", payload, ENVELOPE_EVENT_MAX);
    assert_int_equal (bus_counters (publisher).events_dropped, 0);
    bus_publish (publisher, "run/x", payload, ENVELOPE_EVENT_MAX + 1);
    assert_int_equal (bus_counters (publisher).events_dropped, 1);
    assert_int_equal (bus_counters (publisher).events_out, 1);
    free (payload);
    bus_destroy (&publisher);
}

/*  Two taps: while one reads every event, the other reads none, and takes next to nothing by itself. */
static void what_waits_for_a_slow_tap_is_bounded (void **state)
{
    enum { EVENTS = 9000, SIZE = 4 << 10 };
    bus_t *publisher = join (*state, "publisher"), *tap = join (*state, "tap");
    raw_t slow = raw_open (*state, "subscribe", ZMQ_SUB);
    char *payload = calloc (1, SIZE);
    bus_item_t item;
    int one = 1;
    size_t waited = 0;
    zmq_setsockopt (slow.socket, ZMQ_RCVHWM, &one, sizeof one);
    zmq_setsockopt (slow.socket, ZMQ_RCVBUF, &one, sizeof one);
    zmq_setsockopt (slow.socket, ZMQ_SUBSCRIBE, "run/", 4);
    bus_subscribe (tap, "run/", NULL);
    zmq_pollitem_t arrived = {.socket = slow.socket, .events = ZMQ_POLLIN};
    for (int i = 0; i < 500 && (bus_next (tap, &item, 10, NULL) == 0 || !zmq_poll (&arrived, 1, 0));
         i++)
        bus_publish (publisher, "run/first", "f", 1);
    while (!quiet (tap, 100))
        ;
    for (int i = 0; i < EVENTS; i++) {
        bus_publish (publisher, "run/x", payload, SIZE);
        assert_int_equal (bus_next (tap, &item, PATIENCE_MS, NULL), 1);
    }
    while (zmq_poll (&arrived, 1, 200) > 0) {
        zmq_msg_recv (&slow.frame, slow.socket, 0);
        waited++;
    }
    assert_true (waited < 5000);
    assert_true (waited > 1000); /* short stops lose nothing */
    free (payload);
    bus_destroy (&publisher);
    bus_destroy (&tap);
    raw_close (&slow);
}

/*  ---- objects, services, peers ---------------------------------------------------------------------------- */

/*  Without a manifest, as a critic's states are. */
static void loose_objects_are_bounded_in_bytes (void **state)
{
    bus_t *critic = join (*state, "critic");
    size_t size = (size_t) 4 << 20;
    char *content = calloc (1, size);
    hash_t hash = {{0}};
    for (int i = 0; i < 26; i++) {
        content[0] = (char) i;
        hash = hash_object (content, size);
        bus_lend (critic, &hash, content, size);
        assert_int_equal (await (critic, BUS_OBJECT).code, ERR_NONE);
    }
    assert_true (metric (*state, "object_bytes") <= 80 << 20);
    assert_true (metric (*state, "object_bytes") >= 64 << 20);
    bus_fetch (critic, &hash, size, PATIENCE_MS);
    assert_int_equal (await (critic, BUS_OBJECT).code, ERR_NONE);
    free (content);
    bus_destroy (&critic);
}

static void services_that_nobody_needs_are_forgotten (void **state)
{
    bus_t *client = join (*state, "client");
    char name[32];
    for (int i = 0; i < 80; i++) {
        snprintf (name, sizeof name, "service-%d", i);
        bus_call (client, name, NULL, "", 0, 100);
        if (i % 20 < 19)
            continue;
        for (int n = 0; n < 20; n++)
            assert_int_equal (await (client, BUS_REPLY).code, ERR_TIMEOUT);
        for (int64_t end = clock_ms () + PATIENCE_MS;
             clock_ms () < end && metric (*state, "services") > 0;)
            clock_sleep_ms (5);
    }
    bus_destroy (&client);
}

static void peers_are_bounded (void **state)
{
    raw_t raw = raw_open (*state, "requests", ZMQ_DEALER);
    for (int i = 0; i < 5000; i++, raw.boot += 256)
        raw_send (&raw, (envelope_t){.kind = ENVELOPE_CANCEL});
    raw_send (&raw, (envelope_t){.kind = ENVELOPE_REQUEST, .service = slice_of ("echo")});
    envelope_t e = raw_await (&raw, ENVELOPE_REPLY);
    assert_int_equal (e.code, ERR_LIMIT);
    assert_true (metric (*state, "peers") <= 4096);
    bus_t *client = join (*state, "client"); /* when the others are forgotten */
    err_code_t code = ERR_LIMIT;
    for (int64_t end = clock_ms () + PATIENCE_MS; clock_ms () < end && code != ERR_NONE;) {
        bus_call (client, BUS_ALIVE, NULL, "client", 6, PATIENCE_MS);
        code = await (client, BUS_REPLY).code;
    }
    assert_int_equal (code, ERR_NONE);
    bus_destroy (&client);
    raw_close (&raw);
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (messages_are_whole_or_refused),
        TEST (what_is_no_envelope_is_counted),
        TEST (an_event_that_is_too_large_is_counted),
        TEST (what_waits_for_a_slow_tap_is_bounded),
        TEST (loose_objects_are_bounded_in_bytes),
        TEST (services_that_nobody_needs_are_forgotten),
        TEST (peers_are_bounded),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

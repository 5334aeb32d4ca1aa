/* with: services/bus/ */
/*  What the bus and a bus_t do about what is too much: too large, too many, too slow, or no
 *  envelope at all. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "bus_fixture.h"

static void holds (const char *text, const char *wanted)
{
    if (!strstr (text, wanted))
        fail_msg ("'%s' holds no '%s'", text, wanted);
}

/*  ---- messages ------------------------------------------------------------------------------- */

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

/*  ---- events --------------------------------------------------------------------------------- */

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

/*  Two taps: while one reads every event, the other reads none, and takes next to nothing by
 *  itself. */
static void what_waits_for_a_slow_tap_is_bounded (void **state)
{
    enum { EVENTS = 9000, SIZE = 4 << 10 };
    bus_t *publisher = join (*state, "publisher"), *tap = join (*state, "tap");
    raw_t slow = raw_open (*state, "subscribe", ZMQ_DEALER);
    char *payload = calloc (1, SIZE);
    bus_item_t item;
    int one = 1;
    size_t waited = 0;
    zmq_setsockopt (slow.socket, ZMQ_RCVHWM, &one, sizeof one);
    zmq_setsockopt (slow.socket, ZMQ_RCVBUF, &one, sizeof one);
    raw_send (&slow, (envelope_t){.kind = ENVELOPE_SUBSCRIBE, .text = slice_of ("run/")});
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
    /* The bus may not have come to the last one yet: then that is lost as well. */
    for (int64_t end = clock_ms () + PATIENCE_MS;
         clock_ms () < end && waited < EVENTS - (size_t) metric (*state, "events_lost");) {
        if (zmq_poll (&arrived, 1, 20) <= 0)
            continue;
        zmq_msg_recv (&slow.frame, slow.socket, 0);
        waited += zmq_msg_size (&slow.frame) > SIZE; /* not the first small ones */
    }
    assert_int_equal (waited, EVENTS - (size_t) metric (*state, "events_lost"));
    assert_true (waited < 5000);
    assert_true (waited > 1000); /* short stops lose nothing */
    free (payload);
    bus_destroy (&publisher);
    bus_destroy (&tap);
    raw_close (&slow);
}

/*  ---- objects, services, peers --------------------------------------------------------------- */

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

/*  One connection is one peer, whatever boot ids it shows: it cannot take the places of others. */
static void one_connection_is_one_peer (void **state)
{
    raw_t raw = raw_open (*state, "requests", ZMQ_DEALER);
    for (int i = 0; i < 5000; i++, raw.boot += 256)
        raw_send (&raw, (envelope_t){.kind = ENVELOPE_CANCEL});
    await_metric (*state, "impostors", 4999);
    bus_t *client = join (*state, "client");
    bus_call (client, BUS_ALIVE, NULL, "client", 6, PATIENCE_MS);
    assert_int_equal (await (client, BUS_REPLY).code, ERR_NONE);
    assert_true (metric (*state, "peers") <= 2);
    bus_destroy (&client);
    raw_close (&raw);
}

/*  ---- subscriptions -------------------------------------------------------------------------- */

static double resident_mb (void)
{
    unsigned long total = 0, resident = 0;
    FILE *file = fopen ("/proc/self/statm", "re");
    assert_int_equal (fscanf (file, "%lu %lu", &total, &resident), 2);
    fclose (file);
    return (double) resident * (double) sysconf (_SC_PAGESIZE) / (1 << 20);
}

/*  As an outsider did: topics of 60 kB, again and again. The connection that sends one is ended. */
static void huge_subscriptions_leave_no_trace (void **state)
{
    bus_t *tap = join (*state, "tap"), *publisher = join (*state, "publisher");
    char *topic = malloc (60000);
    double before = resident_mb ();
    for (int round = 0; round < 3; round++) {
        raw_t raw = raw_open (*state, "subscribe", round == 0 ? ZMQ_SUB : ZMQ_DEALER);
        for (int i = 0; i < 200; i++) {
            for (int c = 0; c < 60000; c++)
                topic[c] = (char) ('a' + (c * 7 + i * 13 + c / 251) % 26);
            if (round == 0) {
                zmq_setsockopt (raw.socket, ZMQ_SUBSCRIBE, topic, 60000);
            } else { /* no envelope at all, but as large as one */
                zmq_send (raw.socket, topic, 60000, ZMQ_DONTWAIT);
            }
        }
        raw_close (&raw);
    }
    bus_subscribe (tap, "run/", NULL);
    bus_item_t item;
    int got = 0;
    for (int i = 0; i < 500 && !got; i++) {
        bus_publish (publisher, "run/x", "x", 1);
        got = bus_next (tap, &item, 10, NULL);
    }
    assert_int_equal (got, 1);
    assert_int_equal (metric (*state, "subscriptions"), 1);
    assert_true (resident_mb () - before <
                 100); /* the socket of round 0 keeps its own 12 MB for a moment */
    free (topic);
    bus_destroy (&tap);
    bus_destroy (&publisher);
}

static void subscriptions_are_bounded (void **state)
{
    raw_t raw = raw_open (*state, "subscribe", ZMQ_DEALER);
    char topic[BUS_TOPIC_MAX + 64];
    for (int i = 0; i < 1000; i++) {
        snprintf (topic, sizeof topic, "topic/%d", i);
        raw_send (&raw, (envelope_t){.kind = ENVELOPE_SUBSCRIBE, .text = slice_of (topic)});
    }
    memset (topic, 'x', sizeof topic - 1);
    topic[sizeof topic - 1] = 0;
    raw_send (&raw, (envelope_t){.kind = ENVELOPE_SUBSCRIBE, .text = slice_of (topic)});
    await_metric (*state, "subscriptions_refused", 1000 - 64 + 1);
    assert_int_equal (metric (*state, "subscriptions"), 64);
    raw_close (&raw);
    for (int64_t end = clock_ms () + PATIENCE_MS;
         clock_ms () < end && metric (*state, "subscriptions") > 0;)
        clock_sleep_ms (5);
    assert_int_equal (metric (*state, "subscriptions"), 0); /* gone with their connection */
    bus_t *tap = join (*state, "tap");
    err_t err = {0};
    assert_int_equal (bus_subscribe (tap, topic, &err), -1);
    assert_int_equal (err.code, ERR_LIMIT);
    holds (err.text, "at most 256");
    for (int i = 0; i < 64; i++)
        assert_int_equal (bus_subscribe (tap, "same/", &err), 0);
    assert_int_equal (bus_subscribe (tap, "same/", &err), -1);
    bus_destroy (&tap);
}

/*  What taps want is not handed on to publishers: they are asked for everything, once. */
static void publishers_hear_of_no_subscription (void **state)
{
    raw_t raw = raw_open (*state, "publish", ZMQ_XPUB);
    bus_t *tap = join (*state, "tap");
    zmq_msg_t frame;
    zmq_msg_init (&frame);
    zmq_pollitem_t item = {.socket = raw.socket, .events = ZMQ_POLLIN};
    assert_int_equal (zmq_poll (&item, 1, PATIENCE_MS), 1);
    assert_int_equal (zmq_msg_recv (&frame, raw.socket, 0), 1); /* "\1": to everything */
    bus_subscribe (tap, "run/", NULL);
    await_metric (*state, "subscriptions", 1);
    assert_int_equal (zmq_poll (&item, 1, 50), 0);
    zmq_msg_close (&frame);
    bus_destroy (&tap);
    raw_close (&raw);
}

/*  ---- file descriptors ----------------------------------------------------------------------- */

/*  The first needs no bus: there is none with so few. */
static void too_few_file_descriptors_are_said (void **state)
{
    const fixture_t *f = *state;
    struct rlimit all, few;
    err_t err = {0};
    getrlimit (RLIMIT_NOFILE, &all);
    few = (struct rlimit){48, all.rlim_max};
    setrlimit (RLIMIT_NOFILE, &few);
    actors_t *actors = actors_new (f->address, NULL, &err);
    setrlimit (RLIMIT_NOFILE, &all);
    assert_null (actors);
    assert_int_equal (err.code, ERR_CONFIG);
    holds (err.text, "48 open files are allowed, and the bus needs at least");
}

/*  A process of its own connects as often as it can; afterwards there is room again. */
static void a_flood_of_connections_leaves_room (void **state)
{
    fixture_t *f = *state;
    struct rlimit all, few;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int done[2];
    snprintf (address.sun_path, sizeof address.sun_path, "%s/bus.policies", f->dir);
    assert_int_equal (pipe (done), 0);
    getrlimit (RLIMIT_NOFILE, &all);
    few = (struct rlimit){ACTORS_FILES_MIN + 50, all.rlim_max};
    pid_t pid = fork ();
    if (pid == 0) {
        char start;
        prctl (PR_SET_PDEATHSIG, SIGKILL);
        if (read (done[0], &start, 1) != 1)
            _exit (1);
        for (int i = 0; i < 600; i++) {
            int fd = socket (AF_UNIX, SOCK_STREAM, 0);
            while (connect (fd, (struct sockaddr *) &address, sizeof address) != 0)
                if (errno != EAGAIN && errno != EINTR)
                    _exit (2);
        }
        _exit (0);
    }
    setrlimit (RLIMIT_NOFILE, &few);
    f->actors = actors_new (f->address, NULL, NULL);
    assert_non_null (f->actors);
    assert_int_equal (write (done[1], "x", 1), 1);
    int status = -1;
    assert_int_equal (waitpid (pid, &status, 0), pid);
    assert_int_equal (status, 0);
    bus_t *late = join (f, "late");
    bus_offer (late, "content", 7);
    assert_int_equal (await (late, BUS_OBJECT).code, ERR_NONE);
    bus_destroy (&late);
    setrlimit (RLIMIT_NOFILE, &all);
    close (done[0]);
    close (done[1]);
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
#define BARE(name) cmocka_unit_test_setup_teardown (name, setup_address, teardown)
    const struct CMUnitTest tests[] = {
        BARE (a_flood_of_connections_leaves_room), /* first of all: it forks */
        BARE (too_few_file_descriptors_are_said),
        TEST (messages_are_whole_or_refused),
        TEST (what_is_no_envelope_is_counted),
        TEST (an_event_that_is_too_large_is_counted),
        TEST (what_waits_for_a_slow_tap_is_bounded),
        TEST (loose_objects_are_bounded_in_bytes),
        TEST (services_that_nobody_needs_are_forgotten),
        TEST (one_connection_is_one_peer),
        TEST (huge_subscriptions_leave_no_trace),
        TEST (subscriptions_are_bounded),
        TEST (publishers_hear_of_no_subscription),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

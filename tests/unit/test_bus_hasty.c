/* with: services/bus/ */
/*  A bus with keys bounds what one connection may send in a second, and how many connections one
 *  kind of program may have. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "bus/endpoint.h"
#include "bus_keys_fixture.h"

#define FRAMES      40
#define CONNECTIONS 3
#define SILENT      60

static int setup_slow (void **state)
{
    return setup_keys_with (state, (guard_limits_t){.frames = FRAMES});
}

static struct rlimit files;

/*  With file descriptors for a few connections. */
static int setup_small (void **state)
{
    getrlimit (RLIMIT_NOFILE, &files);
    setrlimit (RLIMIT_NOFILE, &(struct rlimit){ACTORS_FILES_MIN + 50, files.rlim_max});
    return setup_keys (state);
}

static int teardown_small (void **state)
{
    setrlimit (RLIMIT_NOFILE, &files);
    return teardown (state);
}

static int setup_narrow (void **state)
{
    return setup_keys_with (state, (guard_limits_t){.connections = CONNECTIONS});
}

/*  Several hundred at once are more than so few in a second. */
static void hurry (bus_t *bus)
{
    for (int i = 0; i < 10 * FRAMES; i++)
        bus_call (bus, "act", NULL, "a", 1, PATIENCE_MS);
}

static void who_sends_too_much_is_told (void **state)
{
    const fixture_t *f = *state;
    bus_t *worker = join_as (f, "agent", "agent"),
          *client = join_as (f, "environment", "environment"),
          *hasty = join_as (f, "environment", "environment-hasty");
    bus_serve (worker, "act", 1, NULL);
    await_metric (f, "workers", 1);
    hurry (hasty);
    expect_failure (hasty, ERR_BUSY, "'environment' sends more than 40 frames in a second");
    await_metric (f, "frames_beyond", 1);
    bus_destroy (&hasty);
    /* Nobody else has to do with it, not even by the same certificate. */
    uint64_t call = bus_call (client, "act", "mine", "a", 1, PATIENCE_MS);
    for (bool answered = false; !answered;) {
        bus_item_t item;
        if (bus_next (worker, &item, 10, NULL) > 0 && item.kind == BUS_REQUEST)
            bus_reply (worker, item.id, "b", 1);
        answered = bus_next (client, &item, 10, NULL) > 0 && item.kind == BUS_REPLY;
        if (answered) {
            assert_int_equal (item.call, call);
            assert_int_equal (item.code, ERR_NONE);
        }
    }
    bus_destroy (&worker);
    bus_destroy (&client);
}

static void so_are_those_who_subscribe_and_fetch (void **state)
{
    const fixture_t *f = *state;
    char prefix[32];
    bus_t *tap = join_as (f, "tap", "tap"), *agent = join_as (f, "agent", "agent");
    for (int i = 0; i < FRAMES + 20; i++) {
        snprintf (prefix, sizeof prefix, "topic/%d", i);
        assert_int_equal (bus_subscribe (tap, prefix, NULL), 0);
    }
    expect_failure (tap, ERR_BUSY, "'tap' sends more than 40 frames in a second");
    for (int i = 0; i < 10 * FRAMES; i++) {
        hash_t hash = hash_of (&i, sizeof i);
        bus_fetch (agent, &hash, 7, PATIENCE_MS);
    }
    for (bool told = false; !told;) {
        bus_item_t item = await (agent, BUS_OBJECT);
        told = strstr (item.text, "'agent' sends more than 40 frames in a second");
    }
    bus_destroy (&tap);
    bus_destroy (&agent);
}

/*  Events have no way back: what is too much is dropped, and ends the connection if it goes on for
 *  so many seconds, which the clock makes short. */
static void who_goes_on_for_seconds_is_cut_off (void **state)
{
    const fixture_t *f = *state;
    keys_t keys = keys_of (f, "agent");
    char endpoint[128];
    void *context = zmq_ctx_new (), *socket = zmq_socket (context, ZMQ_PUB);
    void *monitor = endpoint_watch (context, socket, "inproc://cut", ZMQ_EVENT_DISCONNECTED);
    endpoint_options_t options = {.hwm = 1000, .payload_max = 100, .keys = &keys};
    snprintf (endpoint, sizeof endpoint, "%s.publish", f->address);
    assert_int_equal (endpoint_connect (socket, endpoint, &options, NULL), 0);
    int seconds = 0;
    bool cut = false;
    double beyond = 0;
    for (int64_t end = clock_ms () + 2 * PATIENCE_MS; !cut && clock_ms () < end;) {
        for (int i = 0; i < FRAMES; i++)
            zmq_send (socket, "x", 2, ZMQ_DONTWAIT);
        cut = endpoint_event (monitor, 1, NULL);
        if (cut || metric (f, "frames_beyond") == beyond)
            continue;
        beyond = metric (f, "frames_beyond");
        clock_forward (1000);
        seconds++;
    }
    assert_true (cut);
    assert_true (seconds >= GUARD_HASTY_MAX);
    endpoint_unwatch (socket, &monitor);
    zmq_close (socket);
    zmq_ctx_term (context);
}

static void one_kind_leaves_room_for_others (void **state)
{
    const fixture_t *f = *state;
    bus_t *agent[CONNECTIONS], *other;
    keys_t keys = keys_of (f, "agent");
    char name[32];
    err_t err = {0};
    for (int i = 0; i < CONNECTIONS; i++) {
        snprintf (name, sizeof name, "agent-%d", i);
        agent[i] = join_as (f, "agent", name); /* which is heard by its heartbeats */
    }
    bus_t *late = come (f, &keys, "agent-late");
    assert_int_equal (bus_ready (late, PATIENCE_MS, &err), -1);
    assert_int_equal (err.code, ERR_BUSY);
    if (!strstr (err.text, "there are 3 connections of the kind 'agent' already"))
        fail_msg ("'%s'", err.text);
    bus_destroy (&late);
    assert_true (metric (f, "frames_denied") > 0);
    other = join_as (f, "trainer", "trainer");
    bus_destroy (&other);
    /* One goes, and another may come. */
    bus_destroy (&agent[0]);
    int rc = -1;
    for (int64_t end = clock_ms () + PATIENCE_MS; rc != 0 && clock_ms () < end;) {
        late = come (f, &keys, "agent-late");
        rc = bus_ready (late, PATIENCE_MS, &err);
        bus_destroy (&late);
    }
    assert_int_equal (rc, 0);
    for (int i = 1; i < CONNECTIONS; i++)
        bus_destroy (&agent[i]);
}

static bool is_connected (int fd)
{
    char greeting[64];
    ssize_t n = 1;
    while (n > 0)
        n = recv (fd, greeting, sizeof greeting, MSG_DONTWAIT);
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/*  Strangers that greet nobody: as many as there is room for, and more. */
static void the_silent_give_way (void **state)
{
    const fixture_t *f = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int stranger[SILENT];
    snprintf (address.sun_path, sizeof address.sun_path, "%s/bus.requests", f->dir);
    bus_t *before = join_as (f, "agent", "agent-before");
    for (int i = 0; i < SILENT; i++) {
        stranger[i] = socket (AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal (connect (stranger[i], (struct sockaddr *) &address, sizeof address), 0);
    }
    bus_t *late = join_as (f, "environment", "environment");
    /* Not since the bus has lost its patience with all of them. */
    size_t there = 0;
    for (int i = 0; i < SILENT; i++)
        there += is_connected (stranger[i]);
    assert_true (there > 0 && there < SILENT);
    bus_serve (before, "act", 1, NULL);
    await_metric (f, "workers", 1);
    bus_call (late, "act", NULL, "a", 1, PATIENCE_MS);
    bus_reply (before, await (before, BUS_REQUEST).id, "b", 1);
    assert_int_equal (await (late, BUS_REPLY).code, ERR_NONE);
    bus_destroy (&before);
    bus_destroy (&late);
    for (int i = 0; i < SILENT; i++)
        close (stranger[i]);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (who_sends_too_much_is_told, setup_slow, teardown),
        cmocka_unit_test_setup_teardown (so_are_those_who_subscribe_and_fetch, setup_slow,
                                         teardown),
        cmocka_unit_test_setup_teardown (who_goes_on_for_seconds_is_cut_off, setup_slow, teardown),
        cmocka_unit_test_setup_teardown (one_kind_leaves_room_for_others, setup_narrow, teardown),
        cmocka_unit_test_setup_teardown (the_silent_give_way, setup_small, teardown_small),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

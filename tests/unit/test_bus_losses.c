/* with: services/bus/ */
/*  What the bus and a bus_t do about what was lost: frames, connections, peers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "../../services/bus/kept.h"
#include "bus_fixture.h"

static void ready (raw_t *worker, uint32_t credit)
{
    raw_send (worker, (envelope_t){.kind = ENVELOPE_READY,
                                   .service = slice_of ("echo"),
                                   .credit = credit,
                                   .text = slice_of ("same")});
}

/*  Asks through raw until the worker has it: then it is registered. */
static void await_worker (const fixture_t *f, raw_t *worker)
{
    bus_t *client = join (f, "first");
    bus_call (client, "echo", NULL, "", 0, PATIENCE_MS);
    envelope_t e = raw_await (worker, ENVELOPE_REQUEST);
    raw_send (worker,
              (envelope_t){.kind = ENVELOPE_REPLY, .ticket = e.ticket, .sequence = e.sequence});
    await (client, BUS_REPLY);
    bus_destroy (&client);
}

/*  ---- requests ------------------------------------------------------------------------------- */

static void a_request_lost_on_its_way_comes_again (void **state)
{
    bus_t *client = join (*state, "client");
    raw_t worker = raw_open (*state, "requests", ZMQ_DEALER);
    ready (&worker, 4);
    uint64_t call = bus_call (client, "echo", NULL, "a", 1, 6000);
    uint64_t ticket = raw_await (&worker, ENVELOPE_REQUEST).ticket;
    envelope_t e;
    bool again = false;
    while (!again && quiet (client, 20)) { /* before the call is given up */
        raw_send (&worker, (envelope_t){.kind = ENVELOPE_HEARTBEAT});
        again = raw_take (&worker, &e, 20) && e.kind == ENVELOPE_REQUEST;
    }
    assert_true (again);
    assert_int_equal (e.ticket, ticket);
    raw_send (&worker,
              (envelope_t){.kind = ENVELOPE_REPLY, .ticket = e.ticket, .sequence = e.sequence});
    bus_item_t item = await (client, BUS_REPLY);
    assert_int_equal (item.call, call);
    assert_int_equal (item.code, ERR_NONE);
    bus_destroy (&client);
    raw_close (&worker);
}

/*  The bus takes a worker that sends no heartbeats for alive for two seconds. */
static void a_worker_that_cannot_be_reached_is_passed_over (void **state)
{
    bus_t *client = join (*state, "client"), *second = join (*state, "second");
    raw_t first = raw_open (*state, "requests", ZMQ_DEALER);
    ready (&first, 9);
    await_worker (*state, &first);
    await_connections (*state, 1 + 2 + 2 + 1); /* the vault's, two of each bus_t, the worker's */
    raw_close (&first);
    await_connections (*state, 1 + 2 + 2);
    bus_serve (second, "echo", 4, NULL);
    bus_call (client, "echo", NULL, "a", 1, 60000);
    await (second, BUS_REQUEST);
    assert_int_equal (bus_counters (client).resent, 0); /* the bus did it by itself */
    bus_destroy (&client);
    bus_destroy (&second);
}

/*  A worker on a broken machine, or behind a broken link: the client sees the whole reply alone. */
static void a_damaged_reply_is_asked_for_again (void **state)
{
    bus_t *client = join (*state, "client");
    raw_t worker = raw_open (*state, "requests", ZMQ_DEALER);
    ready (&worker, 4);
    uint64_t call = bus_call (client, "echo", NULL, "a", 1, 60000);
    envelope_t e = raw_await (&worker, ENVELOPE_REQUEST);
    envelope_t reply = {.kind = ENVELOPE_REPLY,
                        .ticket = e.ticket,
                        .sequence = e.sequence,
                        .payload = slice_of ("tokens")};
    raw_send_as (&worker, reply, true);
    bus_item_t item = {0};
    for (int64_t end = clock_ms () + PATIENCE_MS; clock_ms () < end && item.kind != BUS_REPLY;) {
        if (raw_take (&worker, &e, 10) && e.kind == ENVELOPE_REQUEST) {
            reply.ticket = e.ticket;
            raw_send (&worker, reply);
        }
        bus_next (client, &item, 5, NULL);
    }
    assert_int_equal (item.call, call);
    assert_int_equal (item.size, 6);
    assert_memory_equal (item.payload, "tokens", 6);
    assert_int_equal (metric (*state, "frames_damaged"), 1);
    bus_destroy (&client);
    raw_close (&worker);
}

/*  Damage on the last hop, from the bus to the client, by a bus that is played here. */
static void damage_behind_the_bus_is_noticed_too (void **state)
{
    raw_t bus = raw_open (*state, "requests", ZMQ_ROUTER);
    bus_t *client = join_played (*state);
    envelope_t e, reply = {.kind = ENVELOPE_REPLY, .payload = slice_of ("tokens")};
    bus_item_t item = {0};
    bus_call (client, "echo", NULL, "a", 1, 60000);
    int tries = 0;
    for (int64_t end = clock_ms () + PATIENCE_MS; clock_ms () < end && item.kind != BUS_REPLY;) {
        if (raw_take (&bus, &e, 10) && e.kind == ENVELOPE_REQUEST) {
            reply.sequence = e.sequence;
            raw_send_as (&bus, reply, tries++ < 2);
        }
        bus_next (client, &item, 5, NULL);
    }
    assert_int_equal (item.kind, BUS_REPLY);
    assert_memory_equal (item.payload, "tokens", 6);
    assert_int_equal (tries, 3);
    assert_int_equal (bus_counters (client).damaged, 2);
    bus_destroy (&client);
    raw_close (&bus);
}

static void a_damaged_chunk_is_asked_for_again (void **state)
{
    size_t size = 2 * HASH_CHUNK;
    char *content = calloc (1, size);
    content[HASH_CHUNK] = 'x';
    hash_t hash = hash_object (content, size);
    raw_t uploader = raw_open (*state, "policies", ZMQ_DEALER);
    envelope_t put = {.kind = ENVELOPE_PUT,
                      .hash = {(const char *) hash.bytes, HASH_SIZE},
                      .size = size,
                      .payload = {content, HASH_CHUNK}};
    raw_send_as (&uploader, put, true);
    assert_int_equal (raw_await (&uploader, ENVELOPE_WANT).index, 0);
    raw_send (&uploader, put);
    assert_int_equal (raw_await (&uploader, ENVELOPE_WANT).index, 1);
    put.index = 1;
    put.payload.data = content + HASH_CHUNK;
    raw_send_as (&uploader, put, true);
    assert_int_equal (raw_await (&uploader, ENVELOPE_WANT).index, 1);
    raw_send (&uploader, put);
    assert_int_equal (raw_await (&uploader, ENVELOPE_HELD).code, ERR_NONE);
    assert_int_equal (metric (*state, "frames_damaged"), 2);
    raw_close (&uploader);
    free (content);
}

static void a_cancelled_request_is_not_handed_out (void **state)
{
    bus_t *client = join (*state, "client"), *worker = join (*state, "worker");
    bus_cancel (client, bus_call (client, "echo", NULL, "first", 5, PATIENCE_MS));
    bus_call (client, "echo", NULL, "second", 6, PATIENCE_MS);
    await_metric (*state, "requests", 2); /* the cancel came in between */
    bus_serve (worker, "echo", 4, NULL);
    assert_int_equal (await (worker, BUS_REQUEST).size, 6);
    assert_true (quiet (worker, 200));
    bus_destroy (&client);
    bus_destroy (&worker);
}

static void a_worker_hears_that_nobody_waits (void **state)
{
    bus_t *client = join (*state, "client"), *worker = join (*state, "worker");
    bus_serve (worker, "echo", 4, NULL);
    bus_call (client, "echo", NULL, "", 0, 300); /* the client does not look at its clock */
    uint64_t id = await (worker, BUS_REQUEST).id;
    assert_int_equal (await (worker, BUS_CANCELLED).id, id);
    bus_call (client, "echo", NULL, "", 0, 60000);
    id = await (worker, BUS_REQUEST).id;
    bus_destroy (&client); /* says nothing, as a killed process would */
    assert_int_equal (await (worker, BUS_CANCELLED).id, id);
    bus_destroy (&worker);
}

/*  Who comes, and who goes, stands in the bus's log by name. */
static void peers_are_logged_by_name (void **state)
{
    const fixture_t *f = *state;
    char path[FS_PATH_MAX];
    buf_t log = {0};
    snprintf (path, sizeof path, "%s/log", f->dir);
    int fd = open (path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600), all = dup (STDERR_FILENO);
    dup2 (fd, STDERR_FILENO);
    bus_t *alice = join (f, "alice"), *worker = join (f, "bob");
    bus_serve (worker, "echo", 1, NULL);
    static const char *const lines[] = {"peer.joined peer=alice",
                                        "peer.joined peer=bob",
                                        "worker.ready service=echo worker=bob",
                                        "peer.disconnected peer=alice",
                                        "peer.left peer=alice",
                                        "worker.lost worker=bob"};
    size_t found = 0, n = sizeof lines / sizeof *lines;
    for (int64_t end = clock_ms () + PATIENCE_MS; clock_ms () < end && found < n;) {
        buf_clear (&log);
        if (fs_read (path, 1 << 20, &log, NULL) == 0 && strstr (log.data, lines[found]))
            found++;
        else
            clock_sleep_ms (5);
        if (found == 3) { /* both are there: now both go */
            bus_destroy (&alice);
            bus_destroy (&worker);
        }
    }
    dup2 (all, STDERR_FILENO);
    close (all);
    close (fd);
    if (found < n)
        fail_msg ("no '%s' in\n%s", lines[found], log.data ? log.data : "");
    buf_free (&log);
}

/*  ---- what a bus_t does, at a bus that is played here ---------------------------------------- */

typedef struct {
    raw_t bus;
    uint64_t epoch;
    unsigned readies, requests;
    unsigned lose; /* so many requests are answered with LOST */
} played_t;

/*  Takes one frame, if there is one, and answers as the bus would. */
static void play (played_t *p)
{
    envelope_t e;
    if (!raw_take (&p->bus, &e, 10))
        return;
    p->readies += e.kind == ENVELOPE_READY;
    p->requests += e.kind == ENVELOPE_REQUEST;
    if (e.kind == ENVELOPE_HEARTBEAT)
        raw_send (&p->bus, (envelope_t){.kind = ENVELOPE_HEARTBEAT, .epoch = p->epoch});
    if (e.kind == ENVELOPE_REQUEST && p->lose) {
        p->lose--;
        raw_send (&p->bus, (envelope_t){.kind = ENVELOPE_LOST, .sequence = e.sequence});
    }
}

static void who_was_forgotten_registers_and_sends_again (void **state)
{
    played_t p = {.bus = raw_open (*state, "requests", ZMQ_ROUTER), .epoch = 7};
    bus_t *peer = join_played (*state);
    bus_serve (peer, "echo", 4, NULL);
    bus_call (peer, "other", NULL, "", 0, 60000);
    for (int64_t end = clock_ms () + 1300; clock_ms () < end;) { /* two heartbeats and more */
        play (&p);
        quiet (peer, 5);
    }
    assert_int_equal (p.readies, 2); /* and once more when the bus first answers */
    assert_int_equal (p.requests, 1);
    p.epoch = 8;
    for (int64_t end = clock_ms () + PATIENCE_MS;
         clock_ms () < end && (p.readies < 3 || p.requests < 2);) {
        play (&p);
        quiet (peer, 5);
    }
    assert_int_equal (p.readies, 3);
    assert_int_equal (p.requests, 2);
    bus_destroy (&peer);
    raw_close (&p.bus);
}

/*  The bus that answers first need not be the one that took the registration. */
static void who_hears_the_bus_first_registers_again (void **state)
{
    played_t p = {.bus = raw_open (*state, "requests", ZMQ_ROUTER), .epoch = 7};
    bus_t *peer = join_played (*state);
    bus_serve (peer, "echo", 4, NULL);
    for (int64_t end = clock_ms () + PATIENCE_MS; clock_ms () < end && p.readies < 2;) {
        play (&p);
        quiet (peer, 5);
    }
    assert_int_equal (p.readies, 2);
    bus_destroy (&peer);
    raw_close (&p.bus);
}

static void losses_leave_the_timed_tries (void **state)
{
    played_t p = {.bus = raw_open (*state, "requests", ZMQ_ROUTER), .epoch = 7, .lose = 2};
    bus_t *peer = join_played (*state);
    bus_item_t item = {0};
    bus_call (peer, "other", NULL, "", 0, 900);
    for (int64_t end = clock_ms () + PATIENCE_MS; clock_ms () < end && item.kind != BUS_REPLY;) {
        play (&p);
        bus_next (peer, &item, 5, NULL);
    }
    assert_int_equal (item.code, ERR_TIMEOUT);
    assert_int_equal (p.requests, 5); /* the first, two for the losses, at one and two thirds */
    bus_destroy (&peer);
    raw_close (&p.bus);
}

static void a_huge_heartbeat_is_not_taken (void **state)
{
    raw_t bus = raw_open (*state, "requests", ZMQ_ROUTER);
    bus_t *peer = join_played (*state);
    size_t size = 1 << 20;
    char *payload = calloc (1, size);
    raw_await (&bus, ENVELOPE_HEARTBEAT);
    raw_send (&bus,
              (envelope_t){.kind = ENVELOPE_HEARTBEAT, .epoch = 1, .payload = {payload, size}});
    assert_int_equal (bus_ready (peer, 300, NULL), -1);
    free (payload);
    bus_destroy (&peer);
    raw_close (&bus);
}

/*  A frozen bus keeps its connections; another takes its place. First of all tests: it forks. */
static void a_frozen_bus_is_left_for_another (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    char path[128];
    pid_t pid = fork ();
    if (pid == 0) {
        prctl (PR_SET_PDEATHSIG, SIGKILL);
        actors_new (f->address, NULL, &err);
        for (;;)
            pause ();
    }
    bus_t *peer = join (f, "peer");
    kill (pid, SIGSTOP);
    snprintf (path, sizeof path, "%s/bus.requests", f->dir);
    unlink (path);
    f->actors = NULL;
    raw_t other = raw_open (f, "requests", ZMQ_ROUTER);
    raw_await (&other, ENVELOPE_HEARTBEAT);
    assert_int_equal (bus_ready (peer, 0, &err), -1);
    assert_int_equal (err.code, ERR_TIMEOUT);
    kill (pid, SIGKILL);
    waitpid (pid, NULL, 0);
    bus_destroy (&peer);
    raw_close (&other);
}

/*  ---- objects -------------------------------------------------------------------------------- */

static void an_upload_that_stopped_is_taken_over (void **state)
{
    size_t size = 3 * HASH_CHUNK;
    char *content = calloc (1, size);
    hash_t hash = hash_object (content, size);
    raw_t first = raw_open (*state, "policies", ZMQ_DEALER);
    raw_send (&first, (envelope_t){.kind = ENVELOPE_PUT,
                                   .hash = {(const char *) hash.bytes, HASH_SIZE},
                                   .size = size,
                                   .payload = {content, HASH_CHUNK}});
    raw_await (&first, ENVELOPE_WANT);
    raw_close (&first);
    bus_t *second = join (*state, "second");
    uint64_t offer = bus_lend (second, &hash, content, size);
    bus_item_t item = await (second, BUS_OBJECT);
    assert_int_equal (item.call, offer);
    assert_int_equal (item.code, ERR_NONE);
    bus_destroy (&second);
    free (content);
}

/*  ---- how runs stand ------------------------------------------------------------------------- */

/*  Publishes until the tap hears it: a subscription takes a moment to come into force. */
static void publish_until_heard (bus_t *publisher, bus_t *tap, const char *topic)
{
    bus_item_t item;
    int got = 0;
    for (int i = 0; i < 500 && !got; i++) {
        bus_publish (publisher, topic, "x", 1);
        got = bus_next (tap, &item, 10, NULL);
    }
    assert_int_equal (got, 1);
    assert_string_equal (item.name, topic);
    while (!quiet (tap, 50))
        ;
}

static void expect_event (bus_t *tap, const char *topic)
{
    bus_item_t item = await (tap, BUS_EVENT);
    assert_string_equal (item.name, topic);
    assert_int_equal (item.missed, 0);
    assert_true (item.sequence > 0 && item.boot != 0);
}

static void late_taps_learn_how_a_run_stands (void **state)
{
    bus_t *trainer = join (*state, "trainer"), *early = join (*state, "early");
    err_t err = {0};
    assert_int_equal (bus_subscribe (early, "r/run.", &err), 0);
    publish_until_heard (trainer, early, "r/run.opened");
    bus_publish (trainer, "r/step.done", "1", 1);
    bus_publish (trainer, "r/run.state", "1", 1);
    bus_publish (trainer, "r/run.failed", "1", 1);
    expect_event (early, "r/run.state");
    expect_event (early, "r/run.failed");
    bus_t *late = join (*state, "late");
    assert_int_equal (bus_subscribe (late, "r/", &err), 0);
    expect_event (late, "r/run.opened");
    expect_event (late, "r/run.state");
    expect_event (late, "r/run.failed");
    /* Who had them does not get them twice. */
    assert_int_equal (bus_subscribe (early, "r/", &err), 0);
    assert_true (quiet (early, 100));
    /* A run that is opened anew has not failed. */
    bus_publish (trainer, "r/run.opened", "2", 1);
    expect_event (late, "r/run.opened");
    bus_t *later = join (*state, "later");
    assert_int_equal (bus_subscribe (later, "", &err), 0);
    expect_event (later, "r/run.opened");
    assert_true (quiet (later, 100));
    bus_destroy (&later);
    bus_destroy (&late);
    bus_destroy (&early);
    bus_destroy (&trainer);
}

static void a_late_tap_gets_the_last_events_it_asks_for (void **state)
{
    bus_t *trainer = join (*state, "trainer"), *early = join (*state, "early");
    err_t err = {0};
    assert_int_equal (bus_subscribe (early, "", &err), 0);
    publish_until_heard (trainer, early, "r/run.opened");
    for (int i = 0; i < 3; i++) {
        bus_publish (trainer, "r/step.done", "x", 1);
        bus_publish (trainer, "service/trainer", "x", 1);
        expect_event (early, "r/step.done");
        expect_event (early, "service/trainer");
    }
    bus_t *late = join (*state, "late");
    assert_int_equal (bus_subscribe_last (late, "r/", 2, &err), 0);
    expect_event (late, "r/run.opened");
    expect_event (late, "r/step.done");
    expect_event (late, "r/step.done");
    /* Of a wider prefix only what it has not had yet; the numbers go on without a gap. */
    assert_int_equal (bus_subscribe_last (late, "", 1, &err), 0);
    expect_event (late, "service/trainer");
    bus_publish (trainer, "r/step.done", "x", 1);
    bus_publish (trainer, "service/trainer", "x", 1);
    expect_event (late, "r/step.done");
    expect_event (late, "service/trainer");
    assert_true (quiet (late, 100));
    bus_destroy (&late);
    bus_destroy (&early);
    bus_destroy (&trainer);
}

static void what_is_kept_of_runs_is_bounded (void **state)
{
    bus_t *trainer = join (*state, "trainer"), *early = join (*state, "early");
    err_t err = {0};
    char topic[32];
    assert_int_equal (bus_subscribe (early, "", &err), 0);
    publish_until_heard (trainer, early, "first/run.state");
    for (int i = 0; i < KEPT_TOPICS + 36; i++) {
        snprintf (topic, sizeof topic, "r%d/run.state", i);
        bus_publish (trainer, topic, "x", 1);
        expect_event (early, topic);
    }
    bus_t *late = join (*state, "late");
    assert_int_equal (bus_subscribe (late, "", &err), 0);
    for (int i = 36; i < KEPT_TOPICS + 36; i++) { /* the youngest ones, in their order */
        snprintf (topic, sizeof topic, "r%d/run.state", i);
        expect_event (late, topic);
    }
    assert_true (quiet (late, 100));
    bus_destroy (&late);
    bus_destroy (&early);
    bus_destroy (&trainer);
}

/*  The ticket is right, and so is the client's number; only the worker is another one. */
static void a_reply_counts_only_from_its_worker (void **state)
{
    bus_t *client = join (*state, "client");
    raw_t asked = raw_open (*state, "requests", ZMQ_DEALER),
          other = raw_open (*state, "requests", ZMQ_DEALER);
    const envelope_t ready = {.kind = ENVELOPE_READY,
                              .service = slice_of ("echo"),
                              .credit = 1,
                              .text = slice_of ("same")};
    raw_send (&asked, ready);
    await_metric (*state, "workers", 1);
    bus_call (client, "echo", "the-id", "a", 1, 600000);
    envelope_t e = raw_await (&asked, ENVELOPE_REQUEST);
    envelope_t reply = {.kind = ENVELOPE_REPLY,
                        .id = slice_of ("the-id"),
                        .ticket = e.ticket,
                        .sequence = e.sequence,
                        .payload = slice_of ("evil")};
    raw_send (&other, ready);
    await_metric (*state, "workers", 2);
    raw_send (&other, reply);
    raw_send (&other, ready); /* after the reply: when it counts, the reply was looked at */
    raw_send (&other, (envelope_t){.kind = ENVELOPE_HEARTBEAT, .sequence = 1});
    raw_await (&other, ENVELOPE_HEARTBEAT);
    assert_int_equal (metric (*state, "replies"), 0);
    reply.payload = slice_of ("good");
    raw_send (&asked, reply);
    bus_item_t item = await (client, BUS_REPLY);
    assert_int_equal (item.code, ERR_NONE);
    assert_memory_equal (item.payload, "good", 4);
    bus_destroy (&client);
    raw_close (&asked);
    raw_close (&other);
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
#define BARE(name) cmocka_unit_test_setup_teardown (name, setup_address, teardown)
    const struct CMUnitTest tests[] = {
        BARE (a_frozen_bus_is_left_for_another),
        BARE (who_was_forgotten_registers_and_sends_again),
        BARE (who_hears_the_bus_first_registers_again),
        BARE (losses_leave_the_timed_tries),
        BARE (a_huge_heartbeat_is_not_taken),
        TEST (a_request_lost_on_its_way_comes_again),
        TEST (a_worker_that_cannot_be_reached_is_passed_over),
        TEST (a_damaged_reply_is_asked_for_again),
        BARE (damage_behind_the_bus_is_noticed_too),
        TEST (a_damaged_chunk_is_asked_for_again),
        TEST (a_reply_counts_only_from_its_worker),
        TEST (a_cancelled_request_is_not_handed_out),
        TEST (a_worker_hears_that_nobody_waits),
        TEST (peers_are_logged_by_name),
        TEST (an_upload_that_stopped_is_taken_over),
        TEST (late_taps_learn_how_a_run_stands),
        TEST (a_late_tap_gets_the_last_events_it_asks_for),
        TEST (what_is_kept_of_runs_is_bounded),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

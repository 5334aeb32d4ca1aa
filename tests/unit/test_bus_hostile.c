/* with: services/bus/ */
/*  What nobody may do to others, at a real bus: starve them, keep their requests, take their
 *  replies, fill its memory; and what a slow link does to nobody. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "bus_fixture.h"

static void raw_ready (raw_t *worker, const char *service, uint32_t credit)
{
    raw_send (worker, (envelope_t){.kind = ENVELOPE_READY,
                                   .service = slice_of (service),
                                   .credit = credit,
                                   .text = slice_of ("same")});
}

/*  A request of service, asked and answered within a round of both. */
static void expect_service (bus_t *client, bus_t *worker, const char *service)
{
    uint64_t call = bus_call (client, service, NULL, "a", 1, 60000);
    for (int64_t end = clock_ms () + PATIENCE_MS; clock_ms () < end;) {
        bus_item_t item;
        if (bus_next (worker, &item, 5, NULL) == 1 && item.kind == BUS_REQUEST)
            bus_reply (worker, item.id, "b", 1);
        if (bus_next (client, &item, 5, NULL) == 1 && item.kind == BUS_REPLY && item.call == call) {
            assert_int_equal (item.code, ERR_NONE);
            return;
        }
    }
    fail_msg ("'%s' is not served", service);
}

/*  ---- requests ------------------------------------------------------------------------------- */

/*  It asks a worker of its own, which says it can hold any number and answers nothing. */
static void a_flood_of_requests_starves_nobody (void **state)
{
    bus_t *client = join (*state, "client"), *worker = join (*state, "worker");
    raw_t flood = raw_open (*state, "requests", ZMQ_DEALER);
    raw_t hole = raw_open (*state, "requests", ZMQ_DEALER);
    bus_serve (worker, "echo", 4, NULL);
    raw_ready (&hole, "own", 1000000);
    await_metric (*state, "workers", 2);
    for (uint64_t i = 1; i <= 100000; i++) {
        raw_send (&flood, (envelope_t){.kind = ENVELOPE_REQUEST,
                                       .id = slice_of ("flood"),
                                       .service = slice_of (i % 2 ? "own" : "echo"),
                                       .sequence = i,
                                       .ticket = UINT64_MAX,
                                       .left_ms = 600000});
        if (i % 1000 == 0) /* it is not taken for dead, however long this takes */
            raw_send (&hole, (envelope_t){.kind = ENVELOPE_HEARTBEAT});
    }
    await_metric (*state, "requests", 100000);
    assert_true (metric (*state, "in_flight") <= 4096);
    assert_true (metric (*state, "queued") <= 4096);
    assert_true (metric (*state, "busy") > 90000);
    expect_service (client, worker, "echo");
    expect_service (client, worker, "echo");
    bus_destroy (&client);
    bus_destroy (&worker);
    raw_close (&flood);
    raw_close (&hole);
}

/*  Names that nobody serves must not keep out a service that is there. */
static void made_up_services_give_way (void **state)
{
    bus_t *client = join (*state, "client"), *worker = join (*state, "worker");
    raw_t flood = raw_open (*state, "requests", ZMQ_DEALER);
    char name[32];
    for (uint64_t i = 1; i <= 200; i++) {
        snprintf (name, sizeof name, "made-up-%d", (int) i);
        raw_send (&flood, (envelope_t){.kind = ENVELOPE_REQUEST,
                                       .service = slice_of (name),
                                       .sequence = i,
                                       .ticket = UINT64_MAX,
                                       .left_ms = 600000});
    }
    await_metric (*state, "requests", 200);
    bus_serve (worker, "echo", 4, NULL);
    await_metric (*state, "workers", 1);
    expect_service (client, worker, "echo");
    bus_destroy (&client);
    bus_destroy (&worker);
    raw_close (&flood);
}

/*  The one that answers nothing has the request; when a third of its time has passed the other has
 *  it too. */
static void what_one_worker_sits_on_another_gets (void **state)
{
    bus_t *client = join (*state, "client"), *good = join (*state, "good");
    raw_t hole = raw_open (*state, "requests", ZMQ_DEALER);
    raw_ready (&hole, "echo", 1000);
    uint64_t call = bus_call (client, "echo", NULL, "a", 1, 6000);
    envelope_t e = raw_await (&hole, ENVELOPE_REQUEST);
    uint64_t ticket = e.ticket;
    bus_serve (good, "echo", 4, NULL);
    await_metric (*state, "workers", 2);
    bus_item_t item = {0};
    int steps = 0;
    for (int64_t end = clock_ms () + PATIENCE_MS; clock_ms () < end && item.kind != BUS_REPLY;) {
        if (steps++ < 5)
            clock_forward (400); /* two seconds of the six, in steps that are no death */
        raw_take (&hole, &e, 50);
        raw_send (&hole, (envelope_t){.kind = ENVELOPE_HEARTBEAT});
        bus_item_t asked;
        if (bus_next (good, &asked, 50, NULL) == 1 && asked.kind == BUS_REQUEST)
            bus_reply (good, asked.id, "b", 1);
        bus_next (client, &item, 50, NULL);
    }
    assert_int_equal (item.kind, BUS_REPLY);
    assert_int_equal (item.call, call);
    assert_int_equal (item.code, ERR_NONE);
    assert_string_equal (item.name, "good");
    assert_int_equal (metric (*state, "handed_on"), 1);
    assert_int_equal (raw_await (&hole, ENVELOPE_CANCEL).ticket, ticket);
    bus_destroy (&client);
    bus_destroy (&good);
    raw_close (&hole);
}

/*  It says that its machine failed, at once, and so would always be the one with the most room. */
static void a_worker_that_fails_at_once_is_left_alone (void **state)
{
    bus_t *client = join (*state, "client"),
          *workers[] = {join (*state, "good"), join (*state, "bad")};
    bus_serve (workers[0], "echo", 4, NULL);
    bus_serve (workers[1], "echo", 1000, NULL);
    await_metric (*state, "workers", 2);
    int failed = 0, answered = 0;
    for (int i = 0; i < 40; i++) {
        uint64_t call = bus_call (client, "echo", NULL, "a", 1, 60000);
        bus_item_t item = {0};
        for (int64_t end = clock_ms () + PATIENCE_MS;
             clock_ms () < end && !(item.kind == BUS_REPLY && item.call == call);) {
            bus_item_t asked;
            if (bus_next (workers[0], &asked, 1, NULL) == 1 && asked.kind == BUS_REQUEST)
                bus_reply (workers[0], asked.id, "b", 1);
            if (bus_next (workers[1], &asked, 1, NULL) == 1 && asked.kind == BUS_REQUEST)
                bus_refuse (workers[1], asked.id, ERR_INTERNAL, "broken");
            bus_next (client, &item, 1, NULL);
        }
        assert_int_equal (item.kind, BUS_REPLY);
        failed += item.code != ERR_NONE;
        answered += item.code == ERR_NONE;
    }
    assert_true (failed <= 4);
    assert_int_equal (failed + answered, 40);
    for (size_t i = 0; i < 2; i++)
        bus_destroy (&workers[i]);
    bus_destroy (&client);
}

/*  Its answers look well to the bus; but each time its client asks another. */
static void a_worker_whose_answers_are_none_is_left_alone (void **state)
{
    bus_t *client = join (*state, "client");
    bus_t *workers[] = {join (*state, "good"), join (*state, "garbage")};
    bus_serve (workers[0], "echo", 4, NULL);
    bus_serve (workers[1], "echo", 1000, NULL);
    await_metric (*state, "workers", 2);
    int garbage = 0;
    for (int i = 0; i < 40; i++) {
        char id[32];
        bool again = true;
        snprintf (id, sizeof id, "run/%d", i);
        for (const char *avoid = NULL; again; avoid = "garbage") {
            uint64_t call = bus_call_avoiding (client, "echo", id, "a", 1, 60000, avoid);
            bus_item_t item = {0};
            for (int64_t end = clock_ms () + PATIENCE_MS;
                 clock_ms () < end && !(item.kind == BUS_REPLY && item.call == call);) {
                bus_item_t asked;
                for (size_t w = 0; w < 2; w++)
                    if (bus_next (workers[w], &asked, 1, NULL) == 1 && asked.kind == BUS_REQUEST)
                        bus_reply (workers[w], asked.id, w ? "?" : "b", 1);
                bus_next (client, &item, 1, NULL);
            }
            assert_int_equal (item.kind, BUS_REPLY);
            again = *(const char *) item.payload == '?';
            garbage += again;
        }
    }
    assert_true (garbage <= 4);
    for (size_t i = 0; i < 2; i++)
        bus_destroy (&workers[i]);
    bus_destroy (&client);
}

/*  Every message shows the boot id of who sent it; to use it is not enough to get what is
 *  another's. */
static void a_borrowed_boot_id_gets_no_replies (void **state)
{
    bus_t *client = join (*state, "client");
    raw_t worker = raw_open (*state, "requests", ZMQ_DEALER);
    raw_ready (&worker, "echo", 4);
    uint64_t call = bus_call (client, "echo", NULL, "a", 1, 60000);
    envelope_t e = raw_await (&worker, ENVELOPE_REQUEST);
    raw_t thief = raw_open (*state, "requests", ZMQ_DEALER);
    thief.boot = e.boot;
    uint64_t ticket = e.ticket, sequence = e.sequence;
    raw_send (&thief, (envelope_t){.kind = ENVELOPE_HEARTBEAT});
    raw_send (&thief, (envelope_t){.kind = ENVELOPE_CANCEL, .sequence = sequence});
    raw_send (&thief, (envelope_t){.kind = ENVELOPE_REQUEST,
                                   .id = slice_of ("x"),
                                   .service = slice_of ("echo"),
                                   .sequence = sequence,
                                   .index = 1,
                                   .ticket = UINT64_MAX,
                                   .left_ms = 60000});
    await_metric (*state, "impostors", 3);
    raw_send (&worker, (envelope_t){.kind = ENVELOPE_REPLY,
                                    .ticket = ticket,
                                    .sequence = sequence,
                                    .payload = slice_of ("secret")});
    bus_item_t item = await (client, BUS_REPLY);
    assert_int_equal (item.call, call);
    assert_memory_equal (item.payload, "secret", 6);
    assert_false (raw_take (&thief, &e, 50));
    bus_destroy (&client);
    raw_close (&worker);
    raw_close (&thief);
}

/*  The owner may come again over another connection: its secret is the same, and the newest one is
 *  asked, also when the older one still says something. */
static void the_owner_of_a_boot_id_may_reconnect (void **state)
{
    raw_t first = raw_open_as (*state, "requests", "\1a secret of 15. made at");
    raw_ready (&first, "echo", 4);
    await_metric (*state, "workers", 1);
    raw_t again = raw_open_as (*state, "requests", "\1a secret of 15. made_by");
    again.boot = first.boot;
    raw_ready (&again, "echo", 4);
    raw_ready (&again, "other", 4);
    await_metric (*state, "services", 2);
    raw_ready (&first, "third", 4);
    await_metric (*state, "services", 3);
    bus_t *client = join (*state, "client");
    bus_call (client, "echo", NULL, "a", 1, 60000);
    envelope_t e = {0};
    for (int64_t end = clock_ms () + PATIENCE_MS;
         clock_ms () < end && e.kind != ENVELOPE_REQUEST;) {
        quiet (client, 5); /* which sends again when the old connection was asked */
        raw_take (&again, &e, 5);
    }
    assert_int_equal (e.kind, ENVELOPE_REQUEST);
    assert_int_equal (metric (*state, "impostors"), 0);
    bus_destroy (&client);
    raw_close (&first);
    raw_close (&again);
}

/*  ---- policies ------------------------------------------------------------------------------- */

static int setup_small (void **state)
{
    if (setup_address (state) != 0)
        return -1;
    fixture_t *f = *state;
    actors_options_t options = {.address = f->address, .memory = 64 << 20};
    f->actors = actors_new_with (&options, NULL);
    return f->actors ? 0 : -1;
}

/*  As an outsider did: chunk 0 of 600 MB and no more. It ends, and meanwhile it is not let in
 *  further. */
static void half_finished_uploads_end (void **state)
{
    static char chunk[HASH_CHUNK];
    raw_t raw = raw_open (*state, "policies", ZMQ_DEALER);
    envelope_t put = {.kind = ENVELOPE_PUT, .size = 20 << 20, .payload = {chunk, sizeof chunk}};
    hash_t hashes[2];
    for (char i = 0; i < 2; i++) {
        hashes[(size_t) i] = hash_of (&i, 1);
        put.hash = (slice_t){(const char *) hashes[(size_t) i].bytes, HASH_SIZE};
        raw_send (&raw, put);
    }
    assert_int_equal (raw_await (&raw, ENVELOPE_WANT).index, 1);
    envelope_t e = raw_await (&raw, ENVELOPE_HELD);
    assert_int_equal (e.code, ERR_LIMIT);
    await_metric (*state, "unfinished_bytes", 20 << 20);
    assert_int_equal (metric (*state, "unfinished_bytes"), 20 << 20);
    clock_forward (61000);
    for (int64_t end = clock_ms () + PATIENCE_MS;
         clock_ms () < end && metric (*state, "object_bytes") > 0;)
        clock_sleep_ms (5);
    assert_int_equal (metric (*state, "object_bytes"), 0);
    put.index = 5; /* it comes back, and begins again */
    raw_send (&raw, put);
    assert_int_equal (raw_await (&raw, ENVELOPE_WANT).index, 0);
    raw_close (&raw);
}

/*  A trainer takes "missing" for a bus that was restarted, and uploads again; "full" it must not.
 */
static void a_full_bus_says_so (void **state)
{
    bus_t *trainer = join (*state, "trainer");
    size_t size = 12 << 20;
    char *content = calloc (1, size);
    err_code_t code = ERR_NONE;
    char text[256] = "";
    for (char i = 0; i < 7 && code == ERR_NONE; i++) {
        char name[16];
        content[0] = i;
        hash_t hash = hash_object (content, size);
        bus_lend (trainer, &hash, content, size);
        bus_item_t item = await (trainer, BUS_OBJECT);
        code = item.code;
        slice_text (slice_of (item.text), text, sizeof text);
        snprintf (name, sizeof name, "policy-%d", i);
        if (code == ERR_NONE) {
            bus_manifest (trainer, "r", 1, name, "m", 1, &hash, 1);
            assert_int_equal (await (trainer, BUS_OBJECT).code, ERR_NONE);
        }
    }
    assert_int_equal (code, ERR_LIMIT);
    assert_non_null (strstr (text, "the bus is full: 60 of 64 MB are in use"));
    free (content);
    bus_destroy (&trainer);
}

/*  Two policies in turn: no event is missed, so none must be told as missed. */
static void events_of_two_policies_are_counted_apart (void **state)
{
    bus_t *trainer = join (*state, "trainer"), *agent = join (*state, "agent");
    bus_subscribe (agent, "policy/", NULL);
    await_metric (*state, "subscriptions", 1);
    for (int i = 0; i < 6; i++) {
        bus_manifest (trainer, "r", 1, i % 2 ? "main" : "aux", "m", 1, NULL, 0);
        assert_int_equal (await (trainer, BUS_OBJECT).code, ERR_NONE);
        bus_item_t item = await (agent, BUS_EVENT);
        assert_string_equal (item.name, i % 2 ? "policy/r/main" : "policy/r/aux");
        assert_int_equal (item.missed, 0);
    }
    assert_int_equal (bus_counters (agent).events_missed, 0);
    bus_destroy (&trainer);
    bus_destroy (&agent);
}

/*  ---- what does not fit ---------------------------------------------------------------------- */

static void ids_are_whole_or_refused (void **state)
{
    bus_t *client = join (*state, "client"), *worker = join (*state, "worker");
    char id[300], name[300];
    err_t err = {0};
    bus_serve (worker, "echo", 4, NULL);
    memset (id, 'x', sizeof id - 1);
    id[sizeof id - 1] = 0;
    memcpy (name, id, sizeof name);
    uint64_t call = bus_call (client, "echo", id, "a", 1, 60000);
    bus_item_t item = await (client, BUS_REPLY);
    assert_int_equal (item.call, call);
    assert_int_equal (item.code, ERR_LIMIT);
    assert_non_null (strstr (item.text, "id of 299 bytes"));
    bus_call (client, name, NULL, "a", 1, 60000);
    assert_int_equal (await (client, BUS_REPLY).code, ERR_LIMIT);
    assert_int_equal (bus_serve (worker, name, 1, &err), -1);
    bus_options_t options = {.address = ((fixture_t *) *state)->address, .name = name};
    assert_null (bus_new (&options, &err));
    assert_int_equal (err.code, ERR_CONFIG);
    assert_true (quiet (worker, 50));
    bus_destroy (&client);
    bus_destroy (&worker);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NO_LIMITS 1 /* sanitizers reserve more address space than any limit */
#else
#define NO_LIMITS 0
#endif

#if !NO_LIMITS
/*  The memory for a reply of 15 MB is not there: that is said, and no empty success. */
static void a_reply_without_memory_is_an_error (void **state)
{
    bus_t *client = join (*state, "client"), *worker = join (*state, "worker");
    size_t size = 15 << 20;
    char *payload = calloc (1, size);
    struct rlimit all, few;
    malloc_trim (0);
    bus_serve (worker, "echo", 4, NULL);
    bus_call (client, "echo", NULL, "a", 1, 60000);
    uint64_t id = await (worker, BUS_REQUEST).id;
    unsigned long pages = 0;
    FILE *file = fopen ("/proc/self/statm", "re");
    assert_int_equal (fscanf (file, "%lu", &pages), 1);
    fclose (file);
    getrlimit (RLIMIT_AS, &all);
    few = (struct rlimit){pages * (rlim_t) sysconf (_SC_PAGESIZE) + (4 << 20), all.rlim_max};
    setrlimit (RLIMIT_AS, &few);
    int rc = bus_reply (worker, id, payload, size);
    setrlimit (RLIMIT_AS, &all);
    assert_int_equal (rc, 0);
    bus_item_t item = await (client, BUS_REPLY);
    assert_int_equal (item.code, ERR_LIMIT);
    assert_non_null (strstr (item.text, "memory"));
    free (payload);
    bus_destroy (&client);
    bus_destroy (&worker);
}

#endif

/*  ---- a slow link ---------------------------------------------------------------------------- */

#define LINK_RATE (250 << 10) /* bytes per second, each way: a chunk takes four seconds */

/*  A relay of connections to the bus's policies, one at a time, at that rate. */
typedef struct {
    int listener;
    struct sockaddr_un bus;
    pthread_t thread;
    atomic_bool stop;
    atomic_int connections;
} link_t;

/*  Moves what one tick of 10 ms allows. False: the connection is over. */
static bool link_move (int from, int to)
{
    char bytes[LINK_RATE / 100];
    ssize_t n = recv (from, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN;
    for (ssize_t done = 0, sent; done < n; done += sent)
        if ((sent = send (to, bytes + done, (size_t) (n - done), MSG_NOSIGNAL)) <= 0)
            return false;
    return n > 0;
}

static void *link_run (void *context)
{
    link_t *link = context;
    while (!atomic_load (&link->stop)) {
        struct pollfd waiting = {.fd = link->listener, .events = POLLIN};
        if (poll (&waiting, 1, 20) <= 0)
            continue;
        int near = accept (link->listener, NULL, NULL), far = socket (AF_UNIX, SOCK_STREAM, 0);
        bool open = connect (far, (struct sockaddr *) &link->bus, sizeof link->bus) == 0;
        atomic_fetch_add (&link->connections, 1);
        while (open && !atomic_load (&link->stop)) {
            open = link_move (near, far) && link_move (far, near);
            poll (NULL, 0, 10);
        }
        close (near);
        close (far);
    }
    return NULL;
}

/*  The bus under another name, where only the policies go by the link. */
static void link_open (link_t *link, const fixture_t *f, char address[96])
{
    static const char *const others[] = {"requests", "publish", "subscribe"};
    char from[128], to[128];
    for (size_t i = 0; i < 3; i++) {
        snprintf (to, sizeof to, "%s/bus.%s", f->dir, others[i]);
        snprintf (from, sizeof from, "%s/slow.%s", f->dir, others[i]);
        assert_int_equal (symlink (to, from), 0);
    }
    struct sockaddr_un own = {.sun_family = AF_UNIX};
    *link = (link_t){.listener = socket (AF_UNIX, SOCK_STREAM, 0), .bus = {.sun_family = AF_UNIX}};
    snprintf (own.sun_path, sizeof own.sun_path, "%s/slow.policies", f->dir);
    snprintf (link->bus.sun_path, sizeof link->bus.sun_path, "%s/bus.policies", f->dir);
    assert_int_equal (bind (link->listener, (struct sockaddr *) &own, sizeof own), 0);
    assert_int_equal (listen (link->listener, 8), 0);
    assert_int_equal (pthread_create (&link->thread, NULL, link_run, link), 0);
    snprintf (address, 96, "ipc://%s/slow", f->dir);
}

/*  Nothing may end a connection because a chunk on it takes its time, nor ask for that chunk again.
 */
static void a_slow_link_carries_objects (void **state)
{
    fixture_t slow = *(fixture_t *) *state;
    link_t link;
    link_open (&link, *state, slow.address);
    bus_t *trainer = join (&slow, "trainer");
    size_t size = HASH_CHUNK;
    char *content = calloc (1, size);
    hash_t hash = hash_object (content, size);
    bus_lend (trainer, &hash, content, size);
    assert_int_equal (await_for (trainer, BUS_OBJECT, 60000).code, ERR_NONE);
    bus_fetch (trainer, &hash, size, 60000);
    bus_item_t item = await_for (trainer, BUS_OBJECT, 60000);
    assert_int_equal (item.code, ERR_NONE);
    assert_memory_equal (item.payload, content, size);
    assert_int_equal (atomic_load (&link.connections), 1);
    assert_int_equal (metric (*state, "chunks_in"), 1);
    assert_int_equal (metric (*state, "chunks_out"), 1);
    bus_destroy (&trainer);
    free (content);
    atomic_store (&link.stop, true);
    pthread_join (link.thread, NULL);
    close (link.listener);
}

/*  A bus that is played here gives a chunk every eight seconds; the caller's patience is ten. */
static void what_progresses_does_not_time_out (void **state)
{
    enum { CHUNKS = 5 };
    static char content[CHUNKS * HASH_CHUNK];
    hash_t hash = hash_object (content, sizeof content);
    raw_t bus = raw_open (*state, "policies", ZMQ_ROUTER);
    bus_t *agent = join_played (*state);
    uint64_t call = bus_fetch (agent, &hash, sizeof content, 10000);
    for (int i = 0; i < CHUNKS; i++) {
        envelope_t e = raw_await (&bus, ENVELOPE_GET);
        clock_forward (8000);
        raw_send (&bus, (envelope_t){.kind = ENVELOPE_CHUNK,
                                     .sequence = e.sequence,
                                     .index = e.index,
                                     .size = sizeof content,
                                     .payload = {content, HASH_CHUNK}});
    }
    bus_item_t item = await (agent, BUS_OBJECT);
    assert_int_equal (item.call, call);
    assert_int_equal (item.code, ERR_NONE);
    assert_int_equal (item.size, sizeof content);
    bus_fetch (agent, &hash, sizeof content, 10000); /* and what does not, does */
    raw_await (&bus, ENVELOPE_GET);
    clock_forward (10000);
    assert_int_equal (await (agent, BUS_OBJECT).code, ERR_TIMEOUT);
    bus_destroy (&agent);
    raw_close (&bus);
}

int main (void)
{
    /* So that a limit of memory holds: no room that was freed before, nor any that another thread
       has in reserve. */
    mallopt (M_MMAP_THRESHOLD, 128 << 10);
    mallopt (M_ARENA_MAX, 1);
#define TEST(name)  cmocka_unit_test_setup_teardown (name, setup, teardown)
#define BARE(name)  cmocka_unit_test_setup_teardown (name, setup_address, teardown)
#define SMALL(name) cmocka_unit_test_setup_teardown (name, setup_small, teardown)
    const struct CMUnitTest tests[] = {
        TEST (a_flood_of_requests_starves_nobody),
        TEST (made_up_services_give_way),
        TEST (what_one_worker_sits_on_another_gets),
        TEST (a_worker_that_fails_at_once_is_left_alone),
        TEST (a_worker_whose_answers_are_none_is_left_alone),
        TEST (a_borrowed_boot_id_gets_no_replies),
        TEST (the_owner_of_a_boot_id_may_reconnect),
        SMALL (half_finished_uploads_end),
        SMALL (a_full_bus_says_so),
        TEST (events_of_two_policies_are_counted_apart),
        TEST (ids_are_whole_or_refused),
#if !NO_LIMITS
        TEST (a_reply_without_memory_is_an_error),
#endif
        TEST (a_slow_link_carries_objects),
        BARE (what_progresses_does_not_time_out),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

/* with: services/bus/ */
/*  The bus as services use it: real sockets, the real broker on its threads. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "bus/envelope.h"
#include "bus_fixture.h"
#include "envelope.pb-c.h"

static void envelope_is_protobuf (void **state)
{
    (void) state;
    char hash[HASH_SIZE];
    memset (hash, 7, sizeof hash);
    envelope_t e = {.kind = ENVELOPE_CHUNK,
                    .id = slice_of ("run/1"),
                    .trace = slice_of ("t"),
                    .sender = slice_of ("agent-1"),
                    .boot = 0x0123456789abcdef,
                    .sequence = 300,
                    .left_ms = 70000,
                    .service = slice_of ("act"),
                    .code = 3,
                    .text = slice_of ("why"),
                    .credit = 200,
                    .ticket = UINT64_MAX,
                    .hash = {hash, sizeof hash},
                    .size = 1u << 31,
                    .index = 5,
                    .epoch = 9,
                    .objects = {hash, sizeof hash},
                    .avoid = slice_of ("agent-2"),
                    .payload = slice_of ("payload")};
    zmq_msg_t frame;
    assert_int_equal (envelope_pack (&e, (slice_t){"", 0}, &frame), 0);
    Quintet__Envelope *pb =
        quintet__envelope__unpack (NULL, zmq_msg_size (&frame), zmq_msg_data (&frame));
    assert_non_null (pb);
    assert_int_equal (pb->kind, QUINTET__KIND__CHUNK);
    assert_string_equal (pb->service, "act");
    uint8_t bytes[1024];
    size_t size = quintet__envelope__pack (pb, bytes);
    assert_int_not_equal (pb->checksum, 0);
    assert_int_equal (size, zmq_msg_size (&frame));
    assert_memory_equal (bytes, zmq_msg_data (&frame), size);
    quintet__envelope__free_unpacked (pb, NULL);
    envelope_t back;
    assert_int_equal (envelope_patch (&frame, 77, 12), 0);
    assert_int_equal (envelope_parse (zmq_msg_data (&frame), size, &back), 0);
    assert_int_equal (back.ticket, 77);
    assert_int_equal (back.left_ms, 12);
    assert_int_equal (back.size, 1u << 31);
    assert_true (slice_equal (back.payload, e.payload));
    assert_true (slice_equal (back.avoid, e.avoid));
    for (size_t cut = 0; cut < size;
         cut++) /* a cut frame is refused, or lacks fields; it never reads on */
        envelope_parse (zmq_msg_data (&frame), cut, &back);
    zmq_msg_close (&frame);
}

/*  The reply to a call, while the workers refuse whatever they are asked as content that is
 *  wrong. */
static bus_item_t await_answered (bus_t *client, bus_t **workers, size_t n, uint64_t call)
{
    for (int64_t end = clock_ms () + PATIENCE_MS; clock_ms () < end;) {
        bus_item_t item;
        for (size_t i = 0; i < n; i++)
            if (bus_next (workers[i], &item, 5, NULL) == 1 && item.kind == BUS_REQUEST)
                bus_refuse (workers[i], item.id, ERR_INPUT, "wrong");
        if (bus_next (client, &item, 5, NULL) == 1 && item.kind == BUS_REPLY && item.call == call)
            return item;
    }
    fail_msg ("no reply within %d ms", PATIENCE_MS);
    return (bus_item_t){0};
}

/*  A frame with one bit flipped is never taken for a whole one: not one bit of all. */
static void a_flipped_bit_is_noticed (void **state)
{
    (void) state;
    envelope_t e = {.kind = ENVELOPE_REPLY,
                    .id = slice_of ("run/1"),
                    .sender = slice_of ("agent-1"),
                    .boot = 77,
                    .sequence = 300,
                    .left_ms = 70000,
                    .ticket = 5,
                    .payload = slice_of ("the payload of a reply, some bytes long")};
    zmq_msg_t frame;
    envelope_t back;
    assert_int_equal (envelope_pack (&e, (slice_t){"", 0}, &frame), 0);
    uint8_t *data = zmq_msg_data (&frame);
    size_t size = zmq_msg_size (&frame), unnoticed = 0;
    assert_int_equal (envelope_patch (&frame, 7, 8), 0); /* as a bus does on the way */
    assert_int_equal (envelope_parse (data, size, &back), ENVELOPE_WHOLE);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        data[bit / 8] ^= (uint8_t) (1u << bit % 8);
        unnoticed += envelope_parse (data, size, &back) == ENVELOPE_WHOLE;
        data[bit / 8] ^= (uint8_t) (1u << bit % 8);
    }
    assert_int_equal (unnoticed,
                      8 * (8 + 4)); /* ticket and time left, which the bus itself writes */
    zmq_msg_close (&frame);
}

static void a_call_is_answered (void **state)
{
    bus_t *client = join (*state, "client"), *worker = join (*state, "worker");
    err_t err = {0};
    assert_int_equal (bus_serve (worker, "echo", 4, &err), 0);
    uint64_t call = bus_call (client, "echo", NULL, "hello", 5, PATIENCE_MS);
    bus_item_t item = await (worker, BUS_REQUEST);
    assert_string_equal (item.name, "echo");
    assert_string_equal (item.sender, "client");
    assert_int_equal (item.size, 5);
    assert_true (item.left_ms > 0 && item.left_ms <= PATIENCE_MS);
    assert_int_equal (bus_reply (worker, item.id, "HELLO", 5), 0);
    item = await (client, BUS_REPLY);
    assert_int_equal (item.call, call);
    assert_int_equal (item.code, ERR_NONE);
    assert_memory_equal (item.payload, "HELLO", 5);
    call = bus_call (client, "echo", NULL, "x", 1, PATIENCE_MS);
    item = await (worker, BUS_REQUEST);
    bus_refuse (worker, item.id, ERR_INPUT, "no %s", "x");
    item = await (client, BUS_REPLY);
    assert_int_equal (item.code, ERR_INPUT);
    assert_string_equal (item.text, "no x");
    bus_destroy (&client);
    bus_destroy (&worker);
}

/*  As far as a clock of milliseconds tells: in the bus's queue as long as nobody serves, and then
 *  in the worker's hands. */
static void a_reply_says_how_long_it_waited_and_took (void **state)
{
    bus_t *worker = join (*state, "worker"), *client = join (*state, "client");
    err_t err = {0};
    bus_trace (client, "0123");
    bus_call (client, "echo", NULL, "x", 1, PATIENCE_MS);
    bus_trace (client, "");
    await_metric (*state, "queued", 1);
    clock_sleep_ms (30);
    assert_int_equal (bus_serve (worker, "echo", 1, &err), 0);
    bus_item_t item = await (worker, BUS_REQUEST);
    assert_string_equal (item.trace, "0123");
    clock_sleep_ms (20);
    bus_reply (worker, item.id, "y", 1);
    item = await (client, BUS_REPLY);
    assert_int_equal (item.code, ERR_NONE);
    assert_string_equal (item.trace, "0123");
    assert_true (item.waited_us >= 29000 && item.waited_us < 5000000);
    assert_true (item.took_us >= 20000 && item.took_us < 5000000);
    bus_destroy (&client);
    bus_destroy (&worker);
}

static void a_call_that_nobody_serves_times_out (void **state)
{
    bus_t *client = join (*state, "client");
    bus_call (client, "nobody", NULL, "", 0, 200);
    bus_item_t item = await (client, BUS_REPLY);
    assert_int_equal (item.code, ERR_TIMEOUT);
    assert_non_null (strstr (item.text, "'nobody'"));
    assert_int_equal (bus_counters (client).timeouts, 1);
    bus_destroy (&client);
}

static void credit_bounds_what_a_worker_has (void **state)
{
    bus_t *client = join (*state, "client"), *worker = join (*state, "worker");
    err_t err = {0};
    bus_serve (worker, "echo", 2, &err);
    for (int i = 0; i < 5; i++)
        bus_call (client, "echo", NULL, "", 0, PATIENCE_MS);
    bus_item_t first = await (worker, BUS_REQUEST);
    uint64_t id = first.id;
    await (worker, BUS_REQUEST);
    assert_true (quiet (worker, 200));
    bus_reply (worker, id, "", 0);
    await (worker, BUS_REQUEST);
    assert_true (quiet (worker, 200));
    bus_destroy (&client);
    bus_destroy (&worker);
}

static void the_same_id_gets_the_same_answer (void **state)
{
    bus_t *client = join (*state, "client"), *worker = join (*state, "worker");
    err_t err = {0};
    bus_serve (worker, "echo", 4, &err);
    bus_call (client, "echo", "run/1", "a", 1, PATIENCE_MS);
    bus_item_t item = await (worker, BUS_REQUEST);
    bus_reply (worker, item.id, "once", 4);
    await (client, BUS_REPLY);
    bus_call (client, "echo", "run/1", "a", 1, PATIENCE_MS);
    for (int i = 0; i < 100 && bus_counters (worker).repeated == 0; i++)
        assert_true (quiet (worker, 20)); /* the worker's service never sees it */
    item = await (client, BUS_REPLY);
    assert_memory_equal (item.payload, "once", 4);
    assert_int_equal (bus_counters (worker).repeated, 1);
    bus_destroy (&client);
    bus_destroy (&worker);
}

/*  Two clients that ask the same wait for one computation; each has its answer, and each its credit
 *  back. */
static void the_same_id_of_two_clients_is_answered_to_both (void **state)
{
    bus_t *clients[] = {join (*state, "client-0"), join (*state, "client-1")};
    bus_t *worker = join (*state, "worker");
    bus_serve (worker, "echo", 2, NULL);
    for (int round = 0; round < 3; round++) { /* credit that leaked would end this */
        char id[32];
        snprintf (id, sizeof id, "run/%d", round);
        for (size_t i = 0; i < 2; i++)
            bus_call (clients[i], "echo", id, "a", 1, 60000);
        uint64_t handle = await (worker, BUS_REQUEST).id;
        await_metric (*state, "in_flight", 2);
        assert_true (quiet (worker, 20)); /* the second is the first again */
        bus_reply (worker, handle, "b", 1);
        for (size_t i = 0; i < 2; i++)
            assert_memory_equal (await (clients[i], BUS_REPLY).payload, "b", 1);
        while (metric (*state, "in_flight") > 0)
            assert_true (quiet (worker, 5));
    }
    bus_call (clients[0], "echo", "run/x", "a", 1, 60000);
    uint64_t number = bus_call (clients[1], "echo", "run/x", "a", 1, 60000);
    await (worker, BUS_REQUEST);
    await_metric (*state, "in_flight", 2);
    assert_true (quiet (worker, 20));
    bus_cancel (clients[1], number); /* the other still waits */
    while (metric (*state, "in_flight") > 1)
        assert_true (quiet (worker, 5));
    assert_true (quiet (worker, 50));
    for (size_t i = 0; i < 2; i++)
        bus_destroy (&clients[i]);
    bus_destroy (&worker);
}

/*  Whoever answered first, the second opinion is the other's; of the only one left, its own
 *  again. */
static void another_worker_gives_a_second_opinion (void **state)
{
    bus_t *client = join (*state, "client");
    bus_t *workers[] = {join (*state, "worker-0"), join (*state, "worker-1")};
    err_t err = {0};
    for (size_t i = 0; i < 2; i++)
        bus_serve (workers[i], "echo", 4, &err);
    char first[32];
    uint64_t call = bus_call (client, "echo", "run/1", "a", 1, PATIENCE_MS);
    bus_item_t item = await_answered (client, workers, 2, call);
    snprintf (first, sizeof first, "%s", item.name);
    for (int i = 0; i < 5; i++) {
        call = bus_call_avoiding (client, "echo", "run/1", "a", 1, PATIENCE_MS, first);
        item = await_answered (client, workers, 2, call);
        assert_string_not_equal (item.name, first);
    }
    bus_destroy (&workers[strcmp (first, "worker-0") == 0]);
    bus_t **left = &workers[strcmp (first, "worker-0") != 0];
    call = bus_call_avoiding (client, "echo", "run/1", "a", 1, 60000, first);
    item = await_answered (client, left, 1, call);
    assert_string_equal (item.name, first);
    bus_destroy (left);
    bus_destroy (&client);
}

static void a_dead_worker_is_replaced (void **state)
{
    bus_t *client = join (*state, "client"), *worker = join (*state, "worker");
    err_t err = {0};
    bus_serve (worker, "echo", 4, &err);
    bus_call (client, "echo", "run/2", "a", 1, 60000);
    await (worker, BUS_REQUEST);
    bus_destroy (&worker); /* says nothing, as a killed process would */
    bus_t *second = join (*state, "second");
    bus_serve (second, "echo", 4, &err);
    int64_t deadline = clock_ms () + PATIENCE_MS;
    bus_item_t item = {0};
    while (clock_ms () < deadline && item.kind != BUS_REPLY) {
        bus_item_t got;
        if (bus_next (second, &got, 20, &err) == 1 && got.kind == BUS_REQUEST)
            bus_reply (second, got.id, "second", 6);
        if (bus_next (client, &got, 20, &err) == 1)
            item = got;
    }
    assert_int_equal (item.kind, BUS_REPLY);
    assert_memory_equal (item.payload, "second", 6);
    bus_destroy (&client);
    bus_destroy (&second);
}

static void a_restarted_bus_is_joined_again (void **state)
{
    fixture_t *f = *state;
    bus_t *client = join (f, "client"), *worker = join (f, "worker");
    err_t err = {0};
    bus_serve (worker, "echo", 4, &err);
    quiet (worker, 10);
    quiet (client, 10);
    actors_destroy (&f->actors);
    bus_call (client, "echo", "run/3", "a", 1, 60000);
    f->actors = actors_new (f->address, NULL, &err);
    assert_non_null (f->actors);
    bool client_knows = false, worker_knows = false, answered = false;
    for (int64_t deadline = clock_ms () + PATIENCE_MS;
         clock_ms () < deadline && !(client_knows && worker_knows && answered);) {
        bus_item_t item;
        if (bus_next (worker, &item, 20, &err) == 1) {
            worker_knows |= item.kind == BUS_PEER;
            if (item.kind == BUS_REQUEST)
                bus_reply (worker, item.id, "", 0);
        }
        if (bus_next (client, &item, 20, &err) == 1) {
            client_knows |= item.kind == BUS_PEER;
            answered |= item.kind == BUS_REPLY;
        }
    }
    assert_true (client_knows);
    assert_true (worker_knows);
    assert_true (answered);
    bus_destroy (&client);
    bus_destroy (&worker);
}

/*  Again and again, while objects are on their way: each time everything goes on, or the wait below
 *  ends it. */
static void a_bus_may_be_restarted_often (void **state)
{
    fixture_t *f = *state;
    bus_t *trainer = join (f, "trainer");
    size_t size = 4 * HASH_CHUNK;
    char *content = calloc (1, size);
    for (int round = 0; round < 8; round++) {
        actors_destroy (&f->actors);
        f->actors = actors_new (f->address, NULL, NULL);
        assert_non_null (f->actors);
        content[0] = (char) round;
        bus_offer (trainer, content, size);
        bool found = false, held = false;
        for (int64_t end = clock_ms () + 60000; clock_ms () < end && !(found && held);) {
            bus_item_t item;
            if (bus_next (trainer, &item, 100, NULL) != 1)
                continue;
            found = found || item.kind == BUS_PEER;
            held = held || (item.kind == BUS_OBJECT && item.code == ERR_NONE);
        }
        assert_true (found);
        assert_true (held);
    }
    free (content);
    bus_destroy (&trainer);
}

static void other_numerics_are_refused (void **state)
{
    fixture_t *f = *state;
    bus_t *worker = join (f, "worker"), *client = join (f, "client");
    err_t err = {0};
    bus_serve (worker, "act", 1, &err);
    bus_call (client, "act", NULL, "x", 1, PATIENCE_MS);
    await (worker, BUS_REQUEST); /* the bus knows its numerics: it was first */
    bus_options_t options = {.address = f->address, .name = "other", .numerics = "different"};
    bus_t *other = bus_new (&options, &err);
    bus_serve (other, "act", 1, &err);
    bus_item_t item;
    int rc = 0;
    for (int i = 0; i < 100 && rc == 0; i++)
        rc = bus_next (other, &item, 50, &err);
    assert_int_equal (rc, -1);
    assert_non_null (strstr (err.text, "different"));
    bus_destroy (&client);
    bus_destroy (&worker);
    bus_destroy (&other);
}

/*  A subscription takes a moment to reach the publisher: publish until the first event comes. */
static void events_arrive_in_order (void **state)
{
    bus_t *publisher = join (*state, "publisher"), *tap = join (*state, "tap");
    err_t err = {0};
    assert_int_equal (bus_subscribe (tap, "run/", &err), 0);
    bus_item_t item;
    int got = 0;
    for (int i = 0; i < 500 && !got; i++) {
        bus_publish (publisher, "run/first", "f", 1);
        got = bus_next (tap, &item, 10, &err);
    }
    assert_int_equal (got, 1);
    bus_publish (publisher, "other/x", "x", 1);
    for (int i = 0; i < 10; i++)
        bus_publish (publisher, "run/second", &(char){(char) i}, 1);
    for (int next = 0; next < 10;) {
        item = await (tap, BUS_EVENT);
        assert_string_not_equal (item.name, "other/x");
        if (strcmp (item.name, "run/second") != 0)
            continue;
        assert_int_equal (((const char *) item.payload)[0], next++);
        assert_int_equal (item.missed, 0);
    }
    bus_destroy (&publisher);
    bus_destroy (&tap);
}

static char *big (size_t size)
{
    char *data = malloc (size);
    for (size_t i = 0; i < size; i++)
        data[i] = (char) (i * 2654435761u >> 13);
    return data;
}

static void objects_travel_whole (void **state)
{
    bus_t *trainer = join (*state, "trainer"), *agent = join (*state, "agent");
    size_t sizes[] = {0, 1, HASH_CHUNK, HASH_CHUNK + 1, 21 * HASH_CHUNK / 2};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *data = big (sizes[i] + 1);
        hash_t hash = hash_object (data, sizes[i]);
        uint64_t offer = bus_offer (trainer, data, sizes[i]);
        bus_item_t item = await (trainer, BUS_OBJECT);
        assert_int_equal (item.call, offer);
        assert_int_equal (item.code, ERR_NONE);
        uint64_t fetch = bus_fetch (agent, &hash, sizes[i], PATIENCE_MS);
        item = await (agent, BUS_OBJECT);
        assert_int_equal (item.call, fetch);
        assert_int_equal (item.code, ERR_NONE);
        assert_int_equal (item.size, sizes[i]);
        assert_memory_equal (item.payload, data, sizes[i]);
        free (data);
    }
    hash_t unknown = hash_of ("unknown", 7);
    bus_fetch (agent, &unknown, 0, PATIENCE_MS);
    assert_int_equal (await (agent, BUS_OBJECT).code, ERR_MISSING);
    bus_destroy (&trainer);
    bus_destroy (&agent);
}

/*  What was lent may go at once, however far its upload is. */
static void a_cancelled_transfer_is_forgotten (void **state)
{
    bus_t *trainer = join (*state, "trainer"), *agent = join (*state, "agent");
    size_t size = 24 * HASH_CHUNK; /* more than the rounds below */
    char *held = big (size);
    hash_t held_hash = hash_object (held, size);
    bus_lend (trainer, &held_hash, held, size);
    assert_int_equal (await (trainer, BUS_OBJECT).code, ERR_NONE);
    for (int i = 0; i < 20; i++) {
        char *lent = malloc (size);
        memcpy (lent, held, size);
        lent[0] = (char) (i + 1);
        hash_t hash = hash_object (lent, size);
        uint64_t upload = bus_lend (trainer, &hash, lent, size);
        double before = metric (*state, "chunks_in");
        uint64_t download = bus_fetch (agent, &held_hash, size, PATIENCE_MS);
        await_metric (*state, "chunks_in", before + i); /* it is that far */
        bus_cancel (trainer, upload);
        bus_cancel (agent, download);
        free (lent);
    }
    uint64_t offer = bus_offer (trainer, "small", 5);
    assert_int_equal (await (trainer, BUS_OBJECT).call, offer);
    hash_t small = hash_of ("small", 5);
    bus_fetch (agent, &small, 6, PATIENCE_MS); /* has another size */
    assert_int_equal (await (agent, BUS_OBJECT).code, ERR_INPUT);
    uint64_t fetch = bus_fetch (agent, &small, 5, PATIENCE_MS);
    bus_item_t item = await (agent, BUS_OBJECT);
    assert_int_equal (item.call, fetch);
    assert_int_equal (item.size, 5);
    bus_destroy (&trainer);
    bus_destroy (&agent);
    free (held);
}

static void manifests_need_their_objects (void **state)
{
    bus_t *trainer = join (*state, "trainer"), *agent = join (*state, "agent");
    err_t err = {0};
    bus_subscribe (agent, "policy/", &err);
    hash_t hash = hash_of ("weights", 7);
    bus_manifest (trainer, "r", 2, "main", "m0", 2, &hash, 1);
    assert_int_equal (await (trainer, BUS_OBJECT).code, ERR_MISSING);
    bus_offer (trainer, "weights", 7);
    await (trainer, BUS_OBJECT);
    bus_manifest (trainer, "r", 2, "main", "m1", 2, &hash, 1);
    assert_int_equal (await (trainer, BUS_OBJECT).code, ERR_NONE);
    bus_manifest (trainer, "r", 1, "main", "m2", 2, &hash, 1);
    assert_int_equal (await (trainer, BUS_OBJECT).code, ERR_STALE);
    bus_manifests (agent);
    bus_item_t item = await (agent, BUS_EVENT);
    assert_string_equal (item.name, "policy/r/main");
    assert_memory_equal (item.payload, "m1", 2);
    for (int i = 0; i < 80; i++) { /* enough others to push out what nobody needs */
        bus_offer (trainer, &i, sizeof i);
        await (trainer, BUS_OBJECT);
    }
    bus_fetch (agent, &hash, 7, PATIENCE_MS);
    assert_int_equal (await (agent, BUS_OBJECT).code, ERR_NONE);
    bus_retire (trainer, "r", 2, "main");
    await (trainer, BUS_OBJECT);
    bus_fetch (agent, &hash, 7, PATIENCE_MS); /* for a while it stays: somebody may be at it */
    assert_int_equal (await (agent, BUS_OBJECT).code, ERR_NONE);
    size_t large = (size_t) 5 << 20;
    char *others = calloc (1, large);
    assert_non_null (others);
    for (int i = 1; i < 4; i++) {
        others[0] = (char) i;
        hash_t other = hash_object (others, large);
        bus_offer (trainer, others, large);
        await (trainer, BUS_OBJECT);
        bus_manifest (trainer, "r", 2, "main", "m", 1, &other, 1);
        assert_int_equal (await (trainer, BUS_OBJECT).code, ERR_NONE);
    }
    free (others);
    bus_fetch (agent, &hash, 7, PATIENCE_MS);
    assert_int_equal (await (agent, BUS_OBJECT).code, ERR_MISSING);
    bus_destroy (&trainer);
    bus_destroy (&agent);
}

static void an_occupied_socket_is_refused (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    assert_null (actors_new (f->address, NULL, &err));
    assert_int_equal (err.code, ERR_CONFIG);
    assert_non_null (strstr (err.text, "bus.requests"));
    assert_null (actors_new ("tcp://nonsense", NULL, &err));
    bus_options_t options = {.address = "http://x", .name = "x"};
    assert_null (bus_new (&options, &err));
    assert_non_null (strstr (err.text, "http://x"));
}

static void a_wake_ends_the_wait (void **state)
{
    bus_t *bus = join (*state, "waiter");
    bus_item_t item;
    while (bus_next (bus, &item, 10, NULL) != 0)
        ;
    bus_wake (bus);
    int64_t start = clock_ms ();
    assert_int_equal (bus_next (bus, &item, 60000, NULL), 0);
    assert_true (clock_ms () - start < 60000); /* before its time */
    bus_destroy (&bus);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (envelope_is_protobuf),
        cmocka_unit_test (a_flipped_bit_is_noticed),
        cmocka_unit_test_setup_teardown (a_call_is_answered, setup, teardown),
        cmocka_unit_test_setup_teardown (a_reply_says_how_long_it_waited_and_took, setup, teardown),
        cmocka_unit_test_setup_teardown (a_call_that_nobody_serves_times_out, setup, teardown),
        cmocka_unit_test_setup_teardown (credit_bounds_what_a_worker_has, setup, teardown),
        cmocka_unit_test_setup_teardown (the_same_id_gets_the_same_answer, setup, teardown),
        cmocka_unit_test_setup_teardown (the_same_id_of_two_clients_is_answered_to_both, setup,
                                         teardown),
        cmocka_unit_test_setup_teardown (another_worker_gives_a_second_opinion, setup, teardown),
        cmocka_unit_test_setup_teardown (a_dead_worker_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown (a_restarted_bus_is_joined_again, setup, teardown),
        cmocka_unit_test_setup_teardown (a_bus_may_be_restarted_often, setup, teardown),
        cmocka_unit_test_setup_teardown (other_numerics_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown (events_arrive_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown (objects_travel_whole, setup, teardown),
        cmocka_unit_test_setup_teardown (a_cancelled_transfer_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown (manifests_need_their_objects, setup, teardown),
        cmocka_unit_test_setup_teardown (an_occupied_socket_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown (a_wake_ends_the_wait, setup, teardown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

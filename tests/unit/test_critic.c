/* with: services/critic/ */
/*  What the critic reads, that it learns a simple return, and that its states come back whole. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "../../services/critic/critic.h"
#include "critic_fixture.h"
#include "wire/wire.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true /* its shadow counts as memory */
#else
#define SANITIZED false
#endif

/*  ---- records -------------------------------------------------------------------------------- */

static records_t *read_groups (const wire_transcripts_t *groups, size_t n, size_t context)
{
    err_t err = {0};
    records_t *records = records_new (groups, n, context, &err);
    if (!records)
        fail_msg ("%s", err.text);
    return records;
}

/*  The text of a record, without its begin token. */
static void expect_text (const records_t *records, size_t i, const char *wanted)
{
    const record_text_t *text = &records->texts[records->record[i].text];
    char read[512];
    assert_in_range (text->n, 1, sizeof read - 1);
    assert_int_equal (text->ids[0], 256);
    for (size_t t = 1; t < text->n; t++)
        read[t - 1] = (char) text->ids[t];
    read[text->n - 1] = 0;
    assert_string_equal (read, wanted);
}

static const char *const roles[] = {"aux", "main"};

/*  An episode of two turns and one of one, of one task. */
static const wire_said_t said[][2] = {
    {{1, "b"}, {0, "a"}}, {{1, "c"}, {0, NULL}}, {{0, "z"}, {1, "y"}}};
static const wire_turn_t turns[] = {{said[0], 2}, {said[1], 1}, {said[2], 2}};
static const wire_transcript_t transcripts[] = {{turns, 2}, {turns + 2, 1}};
static const wire_transcripts_t group = {"Do it.", roles, 2, transcripts, 2};

static void a_record_reads_what_was_there_before_its_turn (void **state)
{
    (void) state;
    records_t *r = read_groups (&group, 1, 200);
    assert_int_equal (r->n, 5);
    static const uint32_t wanted[5][3] = {{0, 0, 0}, {0, 0, 1}, {0, 1, 1}, {1, 0, 0}, {1, 0, 1}};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal (r->record[i].episode, wanted[i][0]);
        assert_int_equal (r->record[i].turn, wanted[i][1]);
        assert_int_equal (r->record[i].role, wanted[i][2]);
    }
    expect_text (r, 0, "Do it.\n@aux");
    expect_text (r, 1, "Do it.\n@main");
    expect_text (r, 2, "Do it.\nmain: b\naux: a\n@main");
    assert_int_equal (r->texts_n, 3); /* the first turns of both episodes read the same */
    assert_int_equal (r->record[3].text, r->record[0].text);
    records_destroy (&r);
    r = read_groups (&group, 1, 8); /* the last 7 bytes */
    expect_text (r, 2, "a\n@main");
    records_destroy (&r);
}

/*  Two groups in one request: the second one's episodes go on counting. */
static void episodes_are_counted_over_all_groups (void **state)
{
    (void) state;
    const wire_transcripts_t groups[] = {group, {"Other.", roles, 2, transcripts, 2}};
    records_t *r = read_groups (groups, 2, 200);
    assert_int_equal (r->n, 10);
    assert_int_equal (r->record[5].episode, 2);
    assert_int_equal (r->record[9].episode, 3);
    expect_text (r, 5, "Other.\n@aux");
    records_destroy (&r);
}

/*  ---- network -------------------------------------------------------------------------------- */

static network_t *new_network (uint64_t seed)
{
    err_t err = {0};
    network_t *network = network_new (&shape, seed, NULL, &err);
    if (!network)
        fail_msg ("%s", err.text);
    return network;
}

static void learn_n (network_t *network, const records_t *records, const double *targets, int n,
                     network_learnt_t *learnt)
{
    err_t err = {0};
    for (int i = 0; i < n; i++)
        if (network_learn (network, records, targets, 3e-3, learnt, &err) != 0)
            fail_msg ("%s", err.text);
}

static void values_learn_a_simple_return (void **state)
{
    (void) state;
    simple_t simple;
    double targets[2 * EPISODES], values[2 * EPISODES];
    simple_task (&simple);
    records_t *records = read_groups (simple.groups, EPISODES / 2, shape.context);
    assert_int_equal (records->n, 2 * EPISODES);
    for (size_t i = 0; i < records->n; i++)
        targets[i] = simple.returns[records->record[i].episode];
    network_t *network = new_network (1);
    network_learnt_t first, last;
    err_t err = {0};
    learn_n (network, records, targets, 1, &first);
    learn_n (network, records, targets, 200, &last);
    assert_int_equal (network_values (network, records, values, &err), 0);
    for (size_t i = 0; i < records->n; i++) {
        const record_t *r = &records->record[i];
        double wanted =
            r->turn == 0 ? 0.5 : simple.returns[r->episode]; /* before: nobody can know */
        if (!(fabs (values[i] - wanted) < 0.1))
            fail_msg ("episode %u, turn %u: value %.3f, wanted %.1f", r->episode, r->turn,
                      values[i], wanted);
    }
    /* Half of the records have variance 1/4 that nothing explains: the least loss is 1/8. */
    assert_true (first.loss > last.loss);
    assert_true (last.loss > 0.12 && last.loss < 0.14);
    assert_true (last.explained_variance > 0.45 && last.explained_variance < 0.51);
    network_destroy (&network);
    records_destroy (&records);
}

static void expect_equal (const network_t *a, const network_t *b)
{
    buf_t x = {0}, y = {0};
    network_bytes (a, &x);
    network_bytes (b, &y);
    assert_int_equal (x.size, y.size);
    assert_memory_equal (x.data, y.data, x.size);
    buf_free (&x);
    buf_free (&y);
}

static void a_state_goes_on_where_it_was_kept (void **state)
{
    (void) state;
    simple_t simple;
    double targets[2 * EPISODES];
    simple_task (&simple);
    records_t *records = read_groups (simple.groups, EPISODES / 2, shape.context);
    for (size_t i = 0; i < records->n; i++)
        targets[i] = simple.returns[records->record[i].episode];
    err_t err = {0};
    network_learnt_t learnt;
    network_t *network = new_network (1);
    learn_n (network, records, targets, 3, &learnt);
    buf_t bytes = {0};
    network_bytes (network, &bytes);
    network_t *copy = network_copy (network, NULL, &err);
    network_t *parsed = network_parse (bytes.data, bytes.size, NULL, &err);
    assert_true (copy && parsed);
    learn_n (network, records, targets, 3, &learnt);
    learn_n (copy, records, targets, 3, &learnt);
    learn_n (parsed, records, targets, 3, &learnt);
    expect_equal (network, copy);
    expect_equal (network, parsed);
    network_t *other = new_network (2);
    buf_t different = {0};
    network_bytes (other, &different);
    assert_int_equal (different.size, bytes.size);
    assert_true (memcmp (different.data, bytes.data, bytes.size) != 0);
    network_destroy (&network);
    network_destroy (&copy);
    network_destroy (&parsed);
    network_destroy (&other);
    records_destroy (&records);
    buf_free (&bytes);
    buf_free (&different);
}

static void damaged_states_are_refused (void **state)
{
    (void) state;
    network_t *network = new_network (1);
    buf_t bytes = {0};
    network_bytes (network, &bytes);
    network_destroy (&network);
    size_t cuts[] = {0, 7, 30, bytes.size - 1};
    err_t err = {0};
    for (size_t i = 0; i < 4; i++)
        assert_null (network_parse (bytes.data, cuts[i], NULL, &err));
    /* Every field of the header: magic (0), width (8), layers (12), heads (16), context (20),
     * weights (32). The memory that a large shape would need is not there. */
    struct rlimit all;
    getrlimit (RLIMIT_DATA, &all);
    const struct rlimit little = {(rlim_t) 256 << 20, all.rlim_max};
    bool limited = !SANITIZED && setrlimit (RLIMIT_DATA, &little) == 0;
    static const struct {
        size_t at;
        uint32_t value;
    } lies[] = {{0, 0},           {8, 0},  {8, 8192},       {8, UINT32_MAX}, {12, 0},
                {12, 128},        {16, 0}, {16, 3},         {16, 70000},     {20, 0},
                {20, UINT32_MAX}, {32, 1}, {32, UINT32_MAX}};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        char *lying = malloc (bytes.size);
        assert_non_null (lying);
        memcpy (lying, bytes.data, bytes.size);
        memcpy (lying + lies[i].at, &lies[i].value, sizeof lies[i].value);
        network_t *taken = network_parse (lying, bytes.size, NULL, &err);
        if (taken)
            fail_msg ("byte %zu = %u is taken", lies[i].at, lies[i].value);
        assert_int_equal (err.code, ERR_INPUT);
        free (lying);
    }
    if (limited)
        setrlimit (RLIMIT_DATA, &all);
    buf_free (&bytes);
}

/*  ---- the service, on a bus that the test plays ---------------------------------------------- */

struct svc_run {
    void *state;
};

static struct {
    uint64_t replied, refused, fetch, offer; /* the last ones */
    err_code_t code;
    buf_t reply, offered;
    hash_t wanted;
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

pool_t *svc_pool (svc_run_t *run)
{
    (void) run;
    return NULL;
}

int bus_reply (bus_t *of, uint64_t id, const void *payload, size_t size)
{
    (void) of;
    bus.replied = id;
    buf_clear (&bus.reply);
    buf_append (&bus.reply, payload, size);
    return 0;
}

int bus_refuse (bus_t *of, uint64_t id, err_code_t code, const char *fmt, ...)
{
    (void) of, (void) fmt;
    bus.refused = id;
    bus.code = code;
    return 0;
}

uint64_t bus_offer (bus_t *of, const void *content, size_t size)
{
    (void) of;
    buf_clear (&bus.offered);
    buf_append (&bus.offered, content, size);
    return bus.offer += 2;
}

void bus_cancel (bus_t *of, uint64_t call)
{
    (void) of, (void) call;
}

uint64_t bus_fetch (bus_t *of, const hash_t *hash, uint64_t size, int64_t deadline_ms)
{
    (void) of, (void) size, (void) deadline_ms;
    bus.wanted = *hash;
    return bus.fetch += 2;
}

typedef struct {
    svc_run_t run;
    arena_t *arena;
    simple_t simple;
    uint64_t id;
} fixture_t;

static int setup (void **state)
{
    fixture_t *f = calloc (1, sizeof *f);
    err_t err = {0};
    memset (&bus, 0, sizeof bus);
    bus.fetch = 1; /* odd numbers are fetches, even ones offers */
    f->arena = arena_new (16 << 20);
    simple_task (&f->simple);
    *state = f;
    return f->arena ? critic_open (&f->run, &f->run.state, &err) : -1;
}

static int teardown (void **state)
{
    fixture_t *f = *state;
    critic_close (&f->run, &f->run.state);
    arena_destroy (&f->arena);
    buf_free (&bus.reply);
    buf_free (&bus.offered);
    free (f);
    return 0;
}

static void send_learn (fixture_t *f, const hash_t *from)
{
    wire_learn_request_t request = simple_learn (&f->simple, from);
    buf_t bytes = {0};
    wire_learn_request_pack (&request, &bytes);
    critic_on_learn (&f->run,
                     &(bus_item_t){.id = ++f->id, .payload = bytes.data, .size = bytes.size});
    buf_free (&bytes);
}

/*  The bus's answer to an offer or a fetch: done, or a code. */
static void answer (fixture_t *f, uint64_t call, err_code_t code)
{
    critic_on_item (&f->run, &(bus_item_t){.kind = BUS_OBJECT,
                                           .call = call,
                                           .code = code,
                                           .text = code ? "not here" : "",
                                           .payload = ""});
}

/*  The state that is made from another; zero: from nothing. */
static hash_t learn_from (fixture_t *f, const hash_t *from)
{
    err_t err = {0};
    send_learn (f, from);
    answer (f, bus.offer, ERR_NONE);
    assert_int_equal (bus.replied, f->id);
    const wire_learn_reply_t *reply =
        wire_learn_reply_unpack (f->arena, bus.reply.data, bus.reply.size, &err);
    assert_non_null (reply);
    assert_int_equal (reply->size, bus.offered.size);
    hash_t offered = hash_object (bus.offered.data, bus.offered.size);
    assert_true (hash_equal (&reply->state, &offered));
    return reply->state;
}

static void send_value (fixture_t *f, const hash_t *state)
{
    wire_value_request_t request = {
        .run = "r", .state = *state, .groups = f->simple.groups, .groups_n = EPISODES / 2};
    buf_t bytes = {0};
    wire_value_request_pack (&request, &bytes);
    critic_on_value (&f->run,
                     &(bus_item_t){.id = ++f->id, .payload = bytes.data, .size = bytes.size});
    buf_free (&bytes);
}

static void the_same_learning_gives_the_same_state (void **state)
{
    fixture_t *f = *state;
    hash_t none = {{0}}, first = learn_from (f, &none), second = learn_from (f, &first);
    hash_t again = learn_from (f, &first); /* asked for once more, as after a lost reply */
    assert_true (hash_equal (&second, &again));
    assert_false (hash_equal (&first, &second));
    hash_t anew = learn_from (f, &none);
    assert_true (hash_equal (&first, &anew));
}

/*  Who hears of a state fetches it: it is told when the bus holds it, and not at all when it does
 *  not. */
static void what_was_learnt_is_told_when_the_bus_holds_it (void **state)
{
    fixture_t *f = *state;
    hash_t none = {{0}};
    send_learn (f, &none);
    assert_int_not_equal (bus.replied, f->id);
    answer (f, bus.offer + 2, ERR_NONE); /* another object's */
    assert_int_not_equal (bus.replied, f->id);
    answer (f, bus.offer, ERR_NONE);
    assert_int_equal (bus.replied, f->id);
    send_learn (f, &none);
    answer (f, bus.offer, ERR_TIMEOUT);
    assert_int_equal (bus.refused, f->id);
    assert_int_equal (bus.code, ERR_TIMEOUT);
    assert_int_not_equal (bus.replied, f->id);
}

/*  It has nothing of what a trainer was told of. */
static void a_new_bus_is_given_the_states (void **state)
{
    fixture_t *f = *state;
    hash_t none = {{0}}, kept = learn_from (f, &none);
    uint64_t before = bus.offer;
    buf_clear (&bus.offered);
    critic_on_item (&f->run, &(bus_item_t){.kind = BUS_PEER});
    assert_int_equal (bus.offer, before + 2);
    hash_t offered = hash_object (bus.offered.data, bus.offered.size);
    assert_true (hash_equal (&kept, &offered));
}

/*  A critic that was killed: the next one fetches the state that a request names. */
static void a_new_critic_restores_the_state_that_it_is_asked_for (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    hash_t none = {{0}}, kept = learn_from (f, &none);
    buf_t object = {0}, before = {0};
    buf_append (&object, bus.offered.data, bus.offered.size);
    send_value (f, &kept);
    assert_int_equal (bus.replied, f->id);
    buf_append (&before, bus.reply.data, bus.reply.size);
    hash_t next = learn_from (f, &kept);

    critic_close (&f->run, &f->run.state);
    assert_int_equal (critic_open (&f->run, &f->run.state, &err), 0);
    send_value (f, &kept);
    assert_int_not_equal (bus.replied, f->id);
    assert_true (hash_equal (&bus.wanted, &kept));
    critic_on_item (&f->run, &(bus_item_t){.kind = BUS_OBJECT,
                                           .call = bus.fetch,
                                           .payload = object.data,
                                           .size = object.size});
    assert_int_equal (bus.replied, f->id);
    assert_int_equal (bus.reply.size, before.size);
    assert_memory_equal (bus.reply.data, before.data, before.size);
    hash_t after = learn_from (f, &kept);
    assert_true (hash_equal (&after, &next));
    buf_free (&object);
    buf_free (&before);
}

static void what_cannot_be_had_is_refused (void **state)
{
    fixture_t *f = *state;
    hash_t unknown = hash_of ("unknown", 7), none = {{0}};
    send_learn (f, &unknown);
    answer (f, bus.fetch, ERR_MISSING);
    assert_int_equal (bus.refused, f->id);
    assert_int_equal (bus.code, ERR_MISSING);
    send_value (f, &unknown);
    critic_on_item (
        &f->run,
        &(bus_item_t){.kind = BUS_OBJECT, .call = bus.fetch, .payload = "nonsense", .size = 8});
    assert_int_equal (bus.refused, f->id);
    assert_int_equal (bus.code, ERR_INPUT);
    f->simple.said[3][0].role = 1; /* of one */
    send_learn (f, &none);
    assert_int_equal (bus.refused, f->id);
    assert_int_equal (bus.code, ERR_INPUT);
    f->simple.said[3][0].role = 0;
    send_learn (f, &unknown); /* one that is cancelled while it waits */
    critic_on_item (&f->run, &(bus_item_t){.kind = BUS_CANCELLED, .id = f->id});
    answer (f, bus.fetch, ERR_MISSING);
    assert_int_not_equal (bus.refused, f->id);
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (a_record_reads_what_was_there_before_its_turn),
        cmocka_unit_test (episodes_are_counted_over_all_groups),
        cmocka_unit_test (values_learn_a_simple_return),
        cmocka_unit_test (a_state_goes_on_where_it_was_kept),
        cmocka_unit_test (damaged_states_are_refused),
        TEST (the_same_learning_gives_the_same_state),
        TEST (what_was_learnt_is_told_when_the_bus_holds_it),
        TEST (a_new_bus_is_given_the_states),
        TEST (a_new_critic_restores_the_state_that_it_is_asked_for),
        TEST (what_cannot_be_had_is_refused),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

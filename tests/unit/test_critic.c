/* with: services/critic/ */
/*  What the critic reads, and that its states are found, learnt and told of in the right order. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../services/critic/critic.h"
#include "critic_fixture.h"
#include "wire/wire.h"

/*  ---- records -------------------------------------------------------------------------------- */

static records_t *read_groups (const wire_transcripts_t *groups, size_t n, size_t context)
{
    err_t err = {0};
    records_t *records = records_new (groups, n, context, &err);
    if (!records)
        fail_msg ("%s", err.text);
    return records;
}

static const char *const roles[] = {"aux", "main"};

/*  An episode of two turns and one of one, of one task. */
static const wire_said_t said[][2] = {
    {{1, "b"}, {0, "a"}}, {{1, "c"}, {0, NULL}}, {{0, "z"}, {1, "y"}}};
static const wire_turn_t turns[] = {
    {.said = said[0], .said_n = 2}, {.said = said[1], .said_n = 1}, {.said = said[2], .said_n = 2}};
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
    /* The first turns of both episodes read the same, and so do both roles of a turn. */
    assert_int_equal (r->texts_n, 2);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal (r->record[i].text, i == 2);
    assert_int_equal (r->texts[0].said.n, 0);
    assert_true (r->texts[0].brief.n == 5 && r->texts[1].brief.n == 5); /* Do it . Do-it it-. */
    /* Two words, each of its role: said, said just before, and one word long. */
    assert_int_equal (r->texts[1].said.n, 6);
    records_destroy (&r);
}

static size_t said_features (const char *first, uint32_t by, size_t context, set_t *out)
{
    const wire_said_t all[] = {{by, first}, {0, ""}};
    const wire_turn_t two[] = {{.said = all, .said_n = 1}, {.said = all + 1, .said_n = 1}};
    const wire_transcript_t episode = {two, 2};
    const wire_transcripts_t one = {"", roles, 2, &episode, 1};
    records_t *r = read_groups (&one, 1, context);
    assert_int_equal (r->texts_n, 2);
    *out = r->texts[1].said;
    r->texts[1].said = (set_t){0};
    records_destroy (&r);
    return out->n;
}

/*  How many features two texts share. */
static size_t shared (const char *a, uint32_t by_a, const char *b, uint32_t by_b, size_t context)
{
    set_t x, y;
    size_t n = 0;
    said_features (a, by_a, context, &x);
    said_features (b, by_b, context, &y);
    for (size_t i = 0; i < x.n; i++)
        for (size_t j = 0; j < y.n; j++)
            n += x.at[i] == y.at[j];
    free (x.at);
    free (y.at);
    return n;
}

static void what_was_said_is_told_apart (void **state)
{
    (void) state;
    /* x, +, y, x+, +y: each said and said last; lengths 1 and 2. */
    assert_int_equal (shared ("x+y", 0, "x + y", 0, 100), 12);
    assert_int_equal (shared ("x+y", 0, "x+y", 1, 100), 0);  /* somebody else */
    assert_int_equal (shared ("x+y", 0, "y+x", 0, 100), 8);  /* another order: no pairs */
    assert_int_equal (shared ("xy", 0, "x y", 0, 100), 1);   /* the first length alone */
    assert_int_equal (shared ("x y", 0, "x\ny", 0, 100), 6); /* the end of a line is a word */
    /* The last words alone. */
    assert_int_equal (shared ("a b c y", 0, "y", 0, 1), 3);
}

/*  By a program: it is there before its turn, the first one included, and is nobody's own words. */
static void what_a_program_tells_is_read (void **state)
{
    (void) state;
    static const wire_said_t told[] = {{0, "left"}, {0, "right"}, {1, "left"}};
    static const wire_said_t silence = {0, ""}, own = {0, "left"};
    const wire_turn_t all[] = {{&silence, 1, &told[0], 1},
                               {&silence, 1, &told[1], 1},
                               {&silence, 1, &told[2], 1},
                               {&own, 1, NULL, 0},
                               {&silence, 1, NULL, 0}};
    const wire_transcript_t each[] = {
        {&all[0], 1}, {&all[0], 1}, {&all[1], 1}, {&all[2], 1}, {&all[3], 2}};
    const wire_transcripts_t one = {"", roles, 2, each, 5};
    records_t *r = read_groups (&one, 1, 200);
    assert_int_equal (r->n, 6);
    assert_int_equal (r->record[0].text, r->record[1].text);
    for (size_t i = 1; i < 6; i++) /* other words, another role, nothing, one's own: all differ */
        for (size_t j = i + 1; j < 6; j++)
            assert_int_not_equal (r->record[i].text, r->record[j].text);
    assert_true (r->texts[0].said.n > 0);
    assert_int_equal (r->texts[r->record[4].text].said.n, 0);
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
    assert_int_equal (r->texts_n, 4);
    assert_int_equal (r->texts[r->record[5].text].group, 1);
    assert_true (r->texts[2].brief.n == 3); /* Other . Other-. */
    records_destroy (&r);
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
        cmocka_unit_test (what_was_said_is_told_apart),
        cmocka_unit_test (what_a_program_tells_is_read),
        cmocka_unit_test (episodes_are_counted_over_all_groups),
        TEST (the_same_learning_gives_the_same_state),
        TEST (what_was_learnt_is_told_when_the_bus_holds_it),
        TEST (a_new_bus_is_given_the_states),
        TEST (a_new_critic_restores_the_state_that_it_is_asked_for),
        TEST (what_cannot_be_had_is_refused),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

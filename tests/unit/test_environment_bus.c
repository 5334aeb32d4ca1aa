/* with: services/environment/ services/bus/ */
/*  The environment on a real bus and a real Redis, with agents and scorers of several kinds beside
 *  it: whoever answers, and whatever a broken one says, the same groups come out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "bus_fixture.h"
#include "environment_run.h"

#define GROUPS    3
#define PEERS_MAX 4

/*  ---- everybody ------------------------------------------------------------------------------ */

typedef enum { HONEST, REFUSES, BABBLES } nature_t;

typedef struct {
    bus_t *bus;
    nature_t nature;
    size_t asked;
} peer_t;

static fixture_t *bus_of; /* the bus's own side */
static bus_t *trainer;
static peer_t peers[PEERS_MAX];
static size_t peers_n;

static int open_all (void **state)
{
    run_open_all ();
    return setup (state);
}

static int close_all (void **state)
{
    run_close_all ();
    return teardown (state);
}

static int each_open (void **state)
{
    bus_of = *state;
    trainer = join (bus_of, "trainer");
    run_open (join (bus_of, "environment-1"));
    bus_offer (trainer, tokenizer_text, strlen (tokenizer_text));
    await (trainer, BUS_OBJECT);
    return environment_open (&run, &run.state, &err);
}

static int each_close (void **state)
{
    (void) state;
    bus_t *own = run.bus;
    run_close ();
    bus_destroy (&own);
    bus_destroy (&trainer);
    for (size_t i = 0; i < peers_n; i++)
        bus_destroy (&peers[i].bus);
    peers_n = 0;
    return 0;
}

static peer_t *add_peer (const char *name, const char *service, nature_t nature, size_t credit)
{
    peer_t *peer = &peers[peers_n++];
    *peer = (peer_t){.bus = join (bus_of, name), .nature = nature};
    fine (bus_serve (peer->bus, service, credit, &err));
    return peer;
}

static void peer_answer (peer_t *peer, const bus_item_t *item)
{
    buf_t bytes = {0};
    peer->asked++;
    if (peer->nature == REFUSES) {
        bus_refuse (peer->bus, item->id, ERR_INPUT, "nobody can do that");
    } else if (peer->nature == BABBLES) {
        bus_reply (peer->bus, item->id, "\xff\xff", 2);
    } else {
        bool act = strcmp (item->name, "act") == 0;
        assert_int_equal ((act ? fixture_act : fixture_score) (item->payload, item->size, &bytes),
                          0);
        bus_reply (peer->bus, item->id, bytes.data, bytes.size);
    }
    buf_free (&bytes);
}

/*  Lets everybody do what there is to do. */
static void turn (void)
{
    bus_item_t item;
    for (size_t i = 0; i < peers_n; i++)
        while (bus_next (peers[i].bus, &item, 0, &err) == 1)
            if (item.kind == BUS_REQUEST)
                peer_answer (&peers[i], &item);
    for (int wait = 5; bus_next (run.bus, &item, wait, &err) == 1; wait = 0)
        environment_on_item (&run, &item);
    environment_work (&run);
}

/*  Opens a step, whose groups differ from another step's in nothing but its number, and plays
 *  it. */
static store_status_t play (uint64_t step)
{
    fixture_group_t f;
    fixture_group (&f, tokenizer_text);
    f.group.max_turns = 2;
    store_bytes_t list[GROUPS];
    buf_t bytes[GROUPS] = {{0}};
    for (size_t g = 0; g < GROUPS; g++) {
        f.group.step = step;
        f.group.group = g;
        wire_group_pack (&f.group, &bytes[g]);
        list[g] = (store_bytes_t){bytes[g].data, bytes[g].size};
    }
    fine (store_step_open (store, "r", epoch, 0, step, list, GROUPS, &err));
    for (size_t g = 0; g < GROUPS; g++)
        buf_free (&bytes[g]);
    store_status_t status = {0};
    for (int64_t end = clock_ms () + 3 * PATIENCE_MS; status.committed + status.dead < GROUPS;) {
        if (clock_ms () > end)
            fail_msg ("step %llu: %zu of %d groups", (unsigned long long) step, status.committed,
                      GROUPS);
        turn ();
        fine (store_step_status (store, "r", 0, step, &status, &err));
    }
    return status;
}

static int collect (void *context, uint64_t group, const void *data, size_t size,
                    const char *reason)
{
    (void) group;
    buf_t *all = context;
    if (data)
        buf_append (all, data, size);
    else
        buf_printf (all, "%s\n", reason);
    return 0;
}

static buf_t results (uint64_t step)
{
    buf_t all = {0};
    fine (store_step_groups (store, "r", 0, step, collect, &all, &err));
    return all;
}

static void groups_are_played_over_the_bus (void **state)
{
    (void) state;
    peer_t *one = add_peer ("agent-1", "act", HONEST, 16);
    add_peer ("reward-1", "score", HONEST, 16);
    assert_int_equal (play (1).committed, GROUPS);
    assert_int_equal (one->asked, GROUPS * 4); /* two roles, two turns */
}

/*  Of each kind one honest worker is there: what a broken one says, or babbles, changes nothing. */
static void a_broken_worker_changes_nothing (void **state)
{
    (void) state;
    peer_t *agent = add_peer ("agent-1", "act", HONEST, 16);
    peer_t *reward = add_peer ("reward-1", "score", HONEST, 16);
    play (1);
    /* The bus prefers workers that it knows to answer. With little credit they leave the rest. */
    fine (bus_serve (agent->bus, "act", 1, &err));
    fine (bus_serve (reward->bus, "score", 1, &err));
    peer_t *refuses = add_peer ("agent-2", "act", REFUSES, 16);
    peer_t *babbles = add_peer ("reward-2", "score", BABBLES, 16);
    size_t before = reward->asked;
    for (uint64_t step = 2; refuses->asked == 0 || babbles->asked == 0; step++) {
        assert_true (step < 100);
        assert_int_equal (play (step).committed, GROUPS);
        buf_t undisturbed = results (1), disturbed = results (step);
        assert_int_equal (undisturbed.size, disturbed.size);
        assert_memory_equal (undisturbed.data, disturbed.data, undisturbed.size);
        buf_free (&undisturbed);
        buf_free (&disturbed);
    }
    assert_true (reward->asked > before);
}

static void two_that_agree_end_a_group (void **state)
{
    (void) state;
    peer_t *one = add_peer ("agent-1", "act", HONEST, 16);
    add_peer ("reward-1", "score", HONEST, 16);
    play (1); /* both are known to the bus, and work */
    one->nature = REFUSES;
    peer_t *two = add_peer ("agent-2", "act", REFUSES, 16);
    assert_int_equal (play (2).dead, GROUPS);
    assert_true (one->asked > GROUPS * 4 && two->asked > 0);
    buf_t reasons = results (2);
    assert_non_null (strstr (reasons.data, "nobody can do that"));
    buf_free (&reasons);
}

#define each(test) cmocka_unit_test_setup_teardown (test, each_open, each_close)

int main (void)
{
    const struct CMUnitTest tests[] = {
        each (groups_are_played_over_the_bus),
        each (a_broken_worker_changes_nothing),
        each (two_that_agree_end_a_group),
    };
    return cmocka_run_group_tests (tests, open_all, close_all);
}

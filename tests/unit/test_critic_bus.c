/* with: services/critic/ services/bus/ */
/*  The critic on a real bus: a trainer lets it learn, fetches the state from the bus, and a critic
 *  that knows nothing goes on from there. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../services/critic/critic.h"
#include "bus_fixture.h"
#include "critic_fixture.h"

struct svc_run {
    void *state;
    bus_t *bus;
};

void *svc_state (const svc_run_t *run)
{
    return run->state;
}

bus_t *svc_bus (const svc_run_t *run)
{
    return run->bus;
}

pool_t *svc_pool (svc_run_t *run)
{
    (void) run;
    return NULL;
}

static void open_critic (const fixture_t *f, svc_run_t *run, const char *name)
{
    err_t err = {0};
    *run = (svc_run_t){.bus = join (f, name)};
    assert_int_equal (critic_open (run, &run->state, &err), 0);
    assert_int_equal (bus_serve (run->bus, "learn", 4, &err), 0);
    assert_int_equal (bus_serve (run->bus, "value", 4, &err), 0);
}

static void close_critic (svc_run_t *run)
{
    critic_close (run, &run->state);
    bus_destroy (&run->bus);
}

static void critic_turn (svc_run_t *run)
{
    bus_item_t item;
    while (bus_next (run->bus, &item, 0, NULL) == 1) {
        if (item.kind == BUS_REQUEST && strcmp (item.name, "learn") == 0)
            critic_on_learn (run, &item);
        else if (item.kind == BUS_REQUEST)
            critic_on_value (run, &item);
        else
            critic_on_item (run, &item);
    }
}

/*  Lets the critic work until the trainer's call is answered. */
static void ask (svc_run_t *run, bus_t *trainer, const char *service, const buf_t *request,
                 buf_t *reply)
{
    uint64_t call = bus_call (trainer, service, NULL, request->data, request->size, PATIENCE_MS);
    for (int64_t end = clock_ms () + PATIENCE_MS; clock_ms () < end;) {
        bus_item_t item;
        critic_turn (run);
        if (bus_next (trainer, &item, 5, NULL) != 1 || item.kind != BUS_REPLY || item.call != call)
            continue;
        if (item.code != ERR_NONE)
            fail_msg ("%s: %s", service, item.text);
        buf_append (reply, item.payload, item.size);
        return;
    }
    fail_msg ("no answer to '%s'", service);
}

static hash_t learn (svc_run_t *run, bus_t *trainer, const hash_t *from)
{
    simple_t simple;
    buf_t request = {0}, reply = {0};
    err_t err = {0};
    arena_t *arena = arena_new (1 << 20);
    simple_task (&simple);
    wire_learn_request_t message = simple_learn (&simple, from);
    wire_learn_request_pack (&message, &request);
    ask (run, trainer, "learn", &request, &reply);
    const wire_learn_reply_t *learnt =
        wire_learn_reply_unpack (arena, reply.data, reply.size, &err);
    if (!learnt)
        fail_msg ("%s", err.text);
    hash_t state = learnt->state;
    arena_destroy (&arena);
    buf_free (&request);
    buf_free (&reply);
    return state;
}

static buf_t values (svc_run_t *run, bus_t *trainer, const hash_t *state)
{
    simple_t simple;
    buf_t request = {0}, reply = {0};
    simple_task (&simple);
    wire_value_request_t message = {
        .run = "r", .state = *state, .groups = simple.groups, .groups_n = EPISODES / 2};
    wire_value_request_pack (&message, &request);
    ask (run, trainer, "value", &request, &reply);
    buf_free (&request);
    return reply;
}

static void a_critic_that_knows_nothing_goes_on_from_the_bus (void **state)
{
    const fixture_t *f = *state;
    const hash_t none = {{0}};
    svc_run_t run;
    bus_t *trainer = join (f, "trainer");
    open_critic (f, &run, "critic-1");
    hash_t first = learn (&run, trainer, &none), second = learn (&run, trainer, &first);
    buf_t said = values (&run, trainer, &second);
    assert_true (said.size > 0);
    bus_fetch (trainer, &second, 0, PATIENCE_MS); /* as a trainer does for its checkpoint */
    bus_item_t object = await (trainer, BUS_OBJECT);
    assert_int_equal (object.code, ERR_NONE);
    assert_true (object.size > 1000);
    close_critic (&run);
    open_critic (f, &run, "critic-2");
    buf_t again = values (&run, trainer, &second);
    assert_int_equal (again.size, said.size);
    assert_memory_equal (again.data, said.data, said.size);
    hash_t same = learn (&run, trainer, &first);
    assert_true (hash_equal (&same, &second));
    close_critic (&run);
    bus_destroy (&trainer);
    buf_free (&said);
    buf_free (&again);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown (a_critic_that_knows_nothing_goes_on_from_the_bus, setup,
                                         teardown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

/* with: services/environment/ */
/*  The environment's hands: groups claimed, played, stored, given back; Redis may fail
 *  meanwhile. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "environment_service.h"

static void a_step_is_played_to_the_end (void **state)
{
    (void) state;
    open_step (1, 4);
    give_tokenizer ();
    assert_int_equal (bus.fetches, 1); /* of all four groups and both roles */
    assert_string_equal (bus.subscribed, "r/step.opened");
    assert_int_equal (bus.calls_n, 8);
    assert_int_equal (status_of (1).leased, 4);
    answer_all (1, 4);
    heard_t heard = results (1);
    assert_int_equal (heard.groups, 4);
    assert_int_equal (heard.episodes, 12);
    assert_true (bus.traced > 4 && !*bus.trace);
    assert_int_equal (bus.published, 8); /* that it is committed, and where its time went */
    assert_string_equal (bus.topic, "r/group.committed");
    arena_t *arena = arena_new (1 << 20);
    const wire_event_t *event = wire_event_unpack (arena, bus.event.data, bus.event.size, &err);
    assert_non_null (event);
    assert_int_equal (event->kind, WIRE_GROUP_COMMITTED);
    assert_int_equal (event->step, 1);
    assert_int_equal (event->metrics_n, 10);
    arena_destroy (&arena);
    /* The next step needs no tokenizer and hears of the step by event. */
    open_step (2, 1);
    give_item ((bus_item_t){.kind = BUS_EVENT, .name = "r/step.opened"});
    environment_work (&run);
    assert_non_null (open_call ("act"));
    assert_int_equal (bus.fetches, 1);
    answer_all (2, 1);
    assert_true (metric ("groups_committed") == 5);
    assert_true (metric ("groups_in_flight") == 0);
}

static void a_payload_that_is_no_group_is_dead (void **state)
{
    (void) state;
    store_bytes_t garbage = {"\xff\xff garbage", 10};
    fine (store_step_open (store, "r", epoch, 0, 1, &garbage, 1, &err));
    environment_work (&run);
    assert_int_equal (results (1).dead, 1);
    assert_true (metric ("groups_in_flight") == 0);
}

static void a_tokenizer_that_cannot_be_read_makes_groups_dead (void **state)
{
    (void) state;
    open_step (1, 1);
    environment_work (&run);
    give_item (
        (bus_item_t){.kind = BUS_OBJECT, .call = bus.fetch, .payload = "no JSON", .size = 7});
    environment_work (&run);
    heard_t heard = results (1);
    assert_int_equal (heard.dead, 1);
    assert_non_null (strstr (heard.reason, "tokenizer"));
}

static void a_tokenizer_that_is_not_there_yet_is_fetched_again (void **state)
{
    (void) state;
    open_step (1, 1);
    environment_work (&run);
    give_item ((bus_item_t){
        .kind = BUS_OBJECT, .call = bus.fetch, .code = ERR_MISSING, .text = "no such object"});
    int64_t deadline = clock_ms () + WAIT_MS;
    while (bus.fetches < 2 && clock_left_ms (deadline) > 0)
        clock_sleep_ms (environment_work (&run));
    assert_int_equal (bus.fetches, 2);
    give_tokenizer ();
    answer_all (1, 1);
}

static void a_lost_group_is_left (void **state)
{
    (void) state;
    open_step (1, 2);
    give_tokenizer ();
    fine (store_step_drop_after (store, "r", epoch, 0, &err));
    for (int i = 0; i < 4; i++)
        answer (wait_call ("act"));
    environment_work (&run);
    assert_true (metric ("groups_lost") == 2);
    assert_true (metric ("groups_in_flight") == 0);
    assert_null (open_call ("score"));
}

static void redis_may_die_while_groups_are_played (void **state)
{
    (void) state;
    open_step (1, 3);
    give_tokenizer ();
    answer (wait_call ("act"));
    redis_fixture_kill (&redis);
    for (int i = 0; i < 5; i++)
        answer (wait_call ("act")); /* the turns are over and cannot be stored */
    environment_work (&run);        /* the loop is not held up: this returns */
    redis_fixture_start (&redis);
    answer_all (1, 3);
    assert_int_equal (results (1).groups, 3);
}

static void redis_may_lose_everything (void **state)
{
    (void) state;
    open_step (1, 2);
    give_tokenizer ();
    redis_fixture_kill (&redis);
    fs_remove (redis.folder, &err);
    fine (fs_mkdirs (redis.folder, &err));
    redis_fixture_start (&redis);
    fine (store_run_acquire (store, "r", "trainer", 60000, "", 0, &epoch, &err));
    open_step (1, 2);
    /* The old claims do not fit the new groups, which are claimed and played anew. */
    answer_all (1, 2);
    assert_int_equal (results (1).groups, 2);
    assert_true (metric ("groups_lost") == 2);
}

static void closing_gives_back_what_is_under_way (void **state)
{
    (void) state;
    open_step (1, 3);
    give_tokenizer ();
    assert_int_equal (status_of (1).leased, 3);
    environment_close (&run, &run.state);
    assert_int_equal (status_of (1).pending, 3);
    assert_int_equal (bus.cancelled, 6);
    open_environment ();
    give_tokenizer ();
    answer_all (1, 3);
}

static void a_new_process_takes_over_at_once (void **state)
{
    (void) state;
    open_step (1, 2);
    environment_work (&run);
    assert_int_equal (status_of (1).leased, 2);
    svc_run_t first = run; /* dies without a word */
    open_environment ();
    assert_int_equal (status_of (1).pending, 2);
    give_tokenizer ();
    answer_all (1, 2);
    environment_close (&first, &first.state);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        each (a_step_is_played_to_the_end),
        each (a_payload_that_is_no_group_is_dead),
        each (a_tokenizer_that_cannot_be_read_makes_groups_dead),
        each (a_tokenizer_that_is_not_there_yet_is_fetched_again),
        each (a_lost_group_is_left),
        each (redis_may_die_while_groups_are_played),
        each (redis_may_lose_everything),
        each (closing_gives_back_what_is_under_way),
        each (a_new_process_takes_over_at_once),
    };
    return cmocka_run_group_tests (tests, open_all, close_all);
}

/* with: services/environment/ */
/*  What the environment makes of refusals: what is asked again, of whom, for how long, and what
 *  ends a group. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "environment_service.h"

static void what_may_pass_is_asked_again (void **state)
{
    (void) state;
    static const err_code_t codes[] = {ERR_BUSY, ERR_TIMEOUT, ERR_MISSING, ERR_STALE, ERR_INTERNAL};
    open_step (1, 1);
    give_tokenizer ();
    char id[200];
    snprintf (id, sizeof id, "%s", bus.calls[0].id);
    assert_int_equal (bus.calls_n, 2);
    assert_int_equal (bus.calls[0].deadline_ms, 90000);
    answer (&bus.calls[1]); /* the other role's */
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        refuse (wait_call ("act"), codes[i], "not now");
        assert_string_equal (bus.topic, "r/group.trouble"); /* who watches hears of it */
        assert_null (open_call ("act"));                    /* not at once */
        assert_string_equal (wait_call ("act")->id, id);
    }
    assert_int_equal (wait_call ("act")->deadline_ms, 3600000); /* the time-out taught us */
    answer_all (1, 1);
    assert_int_equal (results (1).groups, 1);
}

/*  No agent will ever play it: the run hears of it, and the group stays as it is. */
static void a_refusal_for_good_is_told (void **state)
{
    (void) state;
    open_step (3, 1);
    give_tokenizer ();
    asked_t *call = wait_call ("act");
    char id[200];
    snprintf (id, sizeof id, "%s", call->id);
    refuse (call, ERR_CONFIG, "other kernels");
    assert_string_equal (bus.topic, "r/group.trouble"); /* one alone may be wrong */
    size_t before = bus.published;
    refuse_as (wait_id (id), "peer-2", ERR_CONFIG, "other kernels");
    assert_int_equal (bus.published, before + 1);
    assert_string_equal (bus.topic, "r/group.refused");
    arena_t *arena = arena_new (1 << 20);
    const wire_event_t *event = wire_event_unpack (arena, bus.event.data, bus.event.size, &err);
    assert_non_null (event);
    assert_int_equal (event->kind, WIRE_GROUP_REFUSED);
    assert_int_equal (event->step, 3);
    assert_non_null (strstr (event->text, "other kernels"));
    arena_destroy (&arena);
    answer_all (3, 1);
    assert_int_equal (results (3).groups, 1);
}

/*  So is a scorer that is configured otherwise than the run: its groups stay whole. */
static void scorers_configured_otherwise_are_told (void **state)
{
    (void) state;
    open_step (1, 1);
    give_tokenizer ();
    answer (wait_call ("act"));
    answer (wait_call ("act"));
    refuse_as (wait_call ("score"), "reward-1", ERR_CONFIG, "reward.command");
    refuse_as (wait_call ("score"), "reward-2", ERR_CONFIG, "reward.command");
    assert_string_equal (bus.topic, "r/group.refused");
    answer_all (1, 1);
    assert_int_equal (results (1).groups, 1);
}

static void an_answer_that_does_not_fit_is_asked_again (void **state)
{
    (void) state;
    open_step (1, 1);
    give_tokenizer ();
    asked_t *call = wait_call ("act");
    uint64_t number = call->number;
    call->number = 0;
    give_item ((bus_item_t){.kind = BUS_REPLY, .call = number, .payload = "\xff\xff", .size = 2});
    answer_all (1, 1);
    assert_int_equal (results (1).groups, 1);
}

/*  One worker's word is not enough: a second one is asked, and it is the same request. */
static void bad_input_that_two_agree_on_makes_a_group_dead (void **state)
{
    (void) state;
    char id[200];
    open_step (1, 2);
    give_tokenizer ();
    asked_t *call = wait_call ("act");
    snprintf (id, sizeof id, "%s", call->id);
    refuse_as (call, "peer-1", ERR_INPUT, "the prompt is longer than the context");
    call = wait_id (id);
    assert_string_equal (call->avoid, "peer-1");
    refuse_as (call, "peer-2", ERR_INPUT, "the prompt is longer than the context");
    answer_all (1, 2);
    heard_t heard = results (1);
    assert_int_equal (heard.groups, 1);
    assert_int_equal (heard.dead, 1);
    assert_string_equal (heard.reason,
                         "turn 1, role aux: act: peer-2: the prompt is longer than the context");
    assert_int_equal (bus.cancelled, 1); /* what the dead group's other role had asked */
}

/*  A broken worker calls anything bad input. Trouble of another kind in between decides nothing,
 *  and the judge stays the one that is not asked. */
static void one_worker_s_bad_input_costs_no_group (void **state)
{
    (void) state;
    char id[200];
    open_step (1, 1);
    give_tokenizer ();
    asked_t *call = wait_call ("act");
    snprintf (id, sizeof id, "%s", call->id);
    refuse_as (call, "broken", ERR_INPUT, "no such thing");
    call = wait_id (id);
    assert_string_equal (call->avoid, "broken");
    refuse_as (call, "peer-2", ERR_LIMIT, "no memory");
    call = wait_id (id);
    assert_string_equal (call->avoid, "broken");
    answer_all (1, 1);
    assert_int_equal (results (1).groups, 1);
}

/*  Two that say different things agree on nothing; each is then given time. */
static void different_verdicts_decide_nothing (void **state)
{
    (void) state;
    char id[200];
    open_step (1, 1);
    give_tokenizer ();
    asked_t *call = wait_call ("act");
    snprintf (id, sizeof id, "%s", call->id);
    refuse_as (call, "peer-1", ERR_INPUT, "no such thing");
    refuse_as (wait_id (id), "peer-2", ERR_CONFIG, "other kernels");
    assert_null (find_call (id)); /* not at once */
    assert_string_equal (wait_id (id)->avoid, "peer-2");
    assert_int_equal (status_of (1).dead, 0);
    answer_all (1, 1);
    assert_int_equal (results (1).groups, 1);
}

/*  Where there is nobody else, its word counts the second time. */
static void the_only_worker_decides_alone (void **state)
{
    (void) state;
    open_step (1, 1);
    give_tokenizer ();
    answer (wait_call ("act"));
    answer (wait_call ("act"));
    refuse_as (wait_call ("score"), "reward-1", ERR_INPUT, "no such file");
    refuse_as (wait_call ("score"), "reward-1", ERR_INPUT, "no such file");
    environment_work (&run);
    heard_t heard = results (1);
    assert_int_equal (heard.dead, 1);
    assert_string_equal (heard.reason, "score: reward-1: no such file");
}

/*  A scorer that needs longer than anybody thought: the next time it has all that the run has, and
 *  later groups four times what was seen. */
static void deadlines_follow_what_was_seen (void **state)
{
    (void) state;
    open_step (1, 1);
    give_tokenizer ();
    answer (wait_call ("act"));
    answer (wait_call ("act"));
    assert_int_equal (wait_call ("score")->deadline_ms, 120000);
    refuse (wait_call ("score"), ERR_TIMEOUT, "no answer in time");
    assert_int_equal (wait_call ("score")->deadline_ms, 3600000);
    answer_all (1, 1);
    deadlines_t deadlines = {.act_ms = 1000, .score_ms = 2000};
    deadlines_answered (&deadlines, "act", 100);
    assert_int_equal (deadlines_ms (&deadlines, "act", 60000), 1000);
    deadlines_answered (&deadlines, "act", 5000);
    assert_int_equal (deadlines_ms (&deadlines, "act", 60000), 20000);
    assert_int_equal (deadlines_ms (&deadlines, "score", 60000), 2000);
    deadlines_answered (&deadlines, "score", 50000);
    assert_int_equal (deadlines_ms (&deadlines, "score", 60000),
                      60000); /* the run waits no longer */
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        each (what_may_pass_is_asked_again),
        each (a_refusal_for_good_is_told),
        each (scorers_configured_otherwise_are_told),
        each (an_answer_that_does_not_fit_is_asked_again),
        each (bad_input_that_two_agree_on_makes_a_group_dead),
        each (one_worker_s_bad_input_costs_no_group),
        each (different_verdicts_decide_nothing),
        each (the_only_worker_decides_alone),
        each (deadlines_follow_what_was_seen),
    };
    return cmocka_run_group_tests (tests, open_all, close_all);
}

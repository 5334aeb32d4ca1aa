/*  The store against a private Redis: every transition, its repetition and its refusal. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_fixture.h"

/*  ---- the trainer's side --------------------------------------------------------------------- */

static void epochs_grow_and_older_ones_are_refused (void **state)
{
    (void) state;
    uint64_t second = 0;
    refused (store_run_acquire (store, "r", "other", LEASE, "", 0, &second, &err), ERR_BUSY);
    assert_non_null (strstr (err.text, "'trainer'"));
    fine (store_run_acquire (store, "r", "trainer", 1, "", 0, &second, &err));
    assert_true (second > epoch);
    refused (store_run_renew (store, "r", epoch, LEASE, &err), ERR_STALE);
    refused (store_step_open (store, "r", epoch, TRAIN, 1, NULL, 0, &err), ERR_STALE);
    refused (store_step_commit (store, "r", epoch, TRAIN, 1, &err), ERR_STALE);
    refused (store_step_drop_after (store, "r", epoch, 0, &err), ERR_STALE);
    refused (store_run_release (store, "r", epoch, &err), ERR_STALE);
    fine (store_run_renew (store, "r", second, LEASE, &err));
    refused (store_run_acquire (store, "r", "other", LEASE, "", 0, &epoch, &err), ERR_BUSY);
}

static void another_holder_gets_the_run_when_the_lease_ended (void **state)
{
    (void) state;
    uint64_t second = 0;
    fine (store_run_renew (store, "r", epoch, 1, &err));
    int64_t deadline = clock_ms () + 5000;
    while (store_run_acquire (store, "r", "other", LEASE, "", 0, &second, &err) != 0) {
        assert_int_equal (err.code, ERR_BUSY);
        assert_true (clock_left_ms (deadline) > 0);
    }
    assert_true (second > epoch);
}

static void epochs_grow_even_over_a_flush (void **state)
{
    (void) state;
    uint64_t second = 0;
    freeReplyObject (ask ("FLUSHALL"));
    refused (store_run_renew (store, "r", epoch, LEASE, &err), ERR_MISSING);
    fine (store_run_acquire (store, "r", "trainer", LEASE, "", 0, &second, &err));
    assert_true (second > epoch);
}

static void opening_twice_is_opening_once (void **state)
{
    (void) state;
    open_step (TRAIN, 1, 3);
    store_claim_t claim = claim_one ();
    open_step (TRAIN, 1, 3);
    counts (TRAIN, 1, 2, 1, 0, 0);
    buf_free (&claim.payload);
    store_bytes_t other[3] = {{"a", 1}, {"b", 1}, {"c", 1}};
    refused (store_step_open (store, "r", epoch, TRAIN, 1, other, 3, &err), ERR_INPUT);
    refused (store_step_open (store, "r", epoch, TRAIN, 1, other, 2, &err), ERR_INPUT);
}

static void a_step_lives_from_open_to_commit (void **state)
{
    (void) state;
    open_step (TRAIN, 7, 3);
    refused (store_step_commit (store, "r", epoch, TRAIN, 7, &err), ERR_INPUT);
    store_claim_t claim[3];
    for (int i = 0; i < 3; i++)
        claim[i] = claim_one ();
    fine (store_commit (store, &claim[2], "zw\0ei", 5, &err));
    fine (store_commit (store, &claim[0], "null", 4, &err));
    fine (store_dead (store, &claim[1], "no such role", &err));
    counts (TRAIN, 7, 0, 0, 2, 1);
    heard_t heard = {0};
    fine (store_step_groups (store, "r", TRAIN, 7, hear, &heard, &err));
    assert_string_equal (heard.text, "0=null(4);1!no such role(0);2=zw(5);");
    fine (store_step_commit (store, "r", epoch, TRAIN, 7, &err));
    fine (store_step_commit (store, "r", epoch, TRAIN, 7, &err));
    store_bytes_t again = {"7", 1};
    refused (store_step_open (store, "r", epoch, TRAIN, 7, &again, 1, &err), ERR_STALE);
    for (int i = 0; i < 3; i++)
        buf_free (&claim[i].payload);
}

static void old_steps_are_dropped (void **state)
{
    (void) state;
    for (uint64_t step = 1; step <= 5; step++) {
        open_step (TRAIN, step, 2);
        open_step (EVAL, step, 1);
        for (int i = 0; i < 3; i++) {
            store_claim_t claim = claim_one ();
            fine (store_turn (store, &claim, 0, "state", 5, &err));
            fine (store_commit (store, &claim, "x", 1, &err));
            buf_free (&claim.payload);
        }
        fine (store_step_commit (store, "r", epoch, TRAIN, step, &err));
        fine (store_step_commit (store, "r", epoch, EVAL, step, &err));
    }
    assert_int_equal (count_keys ("q:r:s:*"), 2 * STORE_KEPT);
    assert_int_equal (count_keys ("q:r:g:*"), 3 * STORE_KEPT);
    store_status_t status;
    refused (store_step_status (store, "r", TRAIN, 3, &status, &err), ERR_MISSING);
    counts (TRAIN, 4, 0, 0, 2, 0);
    fine (store_step_drop_after (store, "r", epoch, 4, &err));
    refused (store_step_status (store, "r", TRAIN, 5, &status, &err), ERR_MISSING);
    refused (store_step_status (store, "r", EVAL, 5, &status, &err), ERR_MISSING);
    counts (EVAL, 4, 0, 0, 1, 0);
}

static void releasing_leaves_nothing (void **state)
{
    (void) state;
    open_step (TRAIN, 1, 4);
    store_claim_t claim = claim_one ();
    fine (store_log (store, "r", "opened", "text", &err));
    assert_true (count_keys ("q:*") > 4);
    fine (store_run_release (store, "r", epoch, &err));
    assert_int_equal (count_keys ("*"), 0);
    fine (store_run_release (store, "r", epoch, &err));
    refused (store_commit (store, &claim, "x", 1, &err), ERR_STALE);
    refused (store_log (store, "r", "opened", "text", &err), ERR_MISSING);
    assert_int_equal (count_keys ("*"), 0);
    buf_free (&claim.payload);
}

static void a_run_that_nobody_owned_for_a_week_is_dropped (void **state)
{
    (void) state;
    open_step (TRAIN, 1, 2);
    freeReplyObject (ask ("HSET q:r:run until 1000"));
    uint64_t other;
    fine (store_run_acquire (store, "s", "trainer", LEASE, "", 0, &other, &err));
    assert_int_equal (count_keys ("q:r:*"), 0);
    assert_int_equal (count_keys ("q:s:*"), 1);
}

static void a_run_name_cannot_reach_into_another_run (void **state)
{
    (void) state;
    const char *bad[] = {"", "a:b", "a b", "a*", "r\n", "r/s"};
    uint64_t e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused (store_run_acquire (store, bad[i], "t", LEASE, "", 0, &e, &err), ERR_INPUT);
    char longest[STORE_RUN_MAX + 2];
    memset (longest, 'a', sizeof longest - 1);
    longest[STORE_RUN_MAX + 1] = 0;
    refused (store_run_acquire (store, longest, "t", LEASE, "", 0, &e, &err), ERR_INPUT);
    fine (store_run_acquire (store, longest + 1, "t", LEASE, "", 0, &e, &err));
}

/*  ---- the environment's side ----------------------------------------------------------------- */

static void claims_come_in_order (void **state)
{
    (void) state;
    open_step (TRAIN, 10, 2);
    open_step (TRAIN, 9, 2);
    open_step (EVAL, 9, 1);
    const char *expected[] = {"0-9-0", "0-9-1", "1-9-0", "0-10-0", "0-10-1"};
    uint64_t counter = 0;
    for (size_t i = 0; i < 5; i++) {
        store_claim_t claim = claim_one ();
        assert_string_equal (claim.payload.data, expected[i]);
        assert_string_equal (claim.run, "r");
        assert_true (claim.fence_counter > counter);
        counter = claim.fence_counter;
        buf_free (&claim.payload);
    }
    none_to_claim ();
    counts (TRAIN, 10, 0, 2, 0, 0);
}

static void claims_are_fair_over_runs (void **state)
{
    (void) state;
    uint64_t other;
    open_step (TRAIN, 1, 3);
    fine (store_run_acquire (store, "s", "trainer", LEASE, "", 0, &other, &err));
    open_run_step ("s", other, TRAIN, 50, 3);
    char order[16] = "";
    for (int i = 0; i < 6; i++) {
        store_claim_t claim = claim_one ();
        order[i] = claim.run[0];
        buf_free (&claim.payload);
    }
    assert_true (strcmp (order, "rsrsrs") == 0 || strcmp (order, "srsrsr") == 0);
}

static void a_run_without_a_trainer_waits (void **state)
{
    (void) state;
    open_step (TRAIN, 1, 1);
    freeReplyObject (ask ("HSET q:r:run until 1000"));
    none_to_claim ();
    fine (store_run_renew (store, "r", epoch, LEASE, &err));
    store_claim_t claim = claim_one ();
    buf_free (&claim.payload);
}

/*  Ends every lease of run r now, instead of waiting for it. */
static void end_leases (void)
{
    redisReply *all = ask ("ZRANGE q:r:leased 0 -1");
    for (size_t i = 0; i < all->elements; i++)
        freeReplyObject (ask ("ZADD q:r:leased 1 %s", all->element[i]->str));
    freeReplyObject (all);
}

static void a_reclaimed_group_starts_again_and_its_old_holder_is_refused (void **state)
{
    (void) state;
    open_step (TRAIN, 1, 1);
    store_claim_t old = claim_one ();
    fine (store_turn (store, &old, 0, "t", 1, &err));
    fine (store_turn (store, &old, 1, "t", 1, &err));
    end_leases ();
    fine (store_turn (store, &old, 2, "t", 1, &err)); /* nobody else has it yet */
    store_claim_t new = claim_as (store, "environment-2", LEASE);
    assert_true (new.fence_counter > old.fence_counter);
    redisReply *turns = ask ("HEXISTS q:r:g:%s t0", "000000000001/0/000000");
    assert_int_equal (turns->integer, 0);
    freeReplyObject (turns);
    uint64_t tries;
    refused (store_renew (store, &old, LEASE, &err), ERR_STALE);
    assert_non_null (strstr (err.text, "environment-2"));
    refused (store_turn (store, &old, 1, "t", 1, &err), ERR_STALE);
    refused (store_commit (store, &old, "old", 3, &err), ERR_STALE);
    refused (store_dead (store, &old, "old", &err), ERR_STALE);
    refused (store_giveup (store, &old, "old", &tries, &err), ERR_STALE);
    fine (store_commit (store, &new, "new", 3, &err));
    refused (store_commit (store, &old, "old", 3, &err), ERR_STALE);
    heard_t heard = {0};
    fine (store_step_groups (store, "r", TRAIN, 1, hear, &heard, &err));
    assert_string_equal (heard.text, "0=new(3);");
    buf_free (&old.payload);
    buf_free (&new.payload);
}

/*  Whatever becomes of the entries in Redis's sorted sets: a finished group is never played again,
 *  and a step never counts as finished without all of its groups. */
static void a_finished_group_stays_finished_whatever_its_entries_say (void **state)
{
    (void) state;
    open_step (TRAIN, 1, 2);
    store_claim_t first = claim_one ();
    fine (store_commit (store, &first, "first", 5, &err));
    freeReplyObject (ask ("ZADD q:r:leased 1 000000000001/0/000000"));
    freeReplyObject (ask ("ZADD q:r:pending 0 000000000001/0/000000"));
    store_claim_t second = claim_one ();
    assert_int_equal (second.group, 1);
    counts (TRAIN, 1, 0, 1, 1, 0);
    freeReplyObject (ask ("ZADD q:r:leased 60000000000000 000000000001/0/000000"));
    uint64_t n;
    fine (store_orphans (store, "environment-1", &n, &err));
    assert_int_equal (n, 1);
    counts (TRAIN, 1, 1, 0, 1, 0);
    buf_free (&first.payload);
    buf_free (&second.payload);
}

/*  Its environment died, and Redis has lost the entry that would say when its lease ends. */
static void a_group_without_an_entry_is_found (void **state)
{
    (void) state;
    open_step (TRAIN, 1, 2);
    store_claim_t first = claim_one ();
    freeReplyObject (ask ("DEL q:r:leased q:r:pending"));
    store_claim_t second = claim_as (store, "environment-2", LEASE); /* it was pending */
    assert_int_equal (second.group, 1);
    none_to_claim (); /* the first may live: it has a lease again, which it could renew */
    counts (TRAIN, 1, 0, 2, 0, 0);
    end_leases ();
    store_claim_t again = claim_as (store, "environment-2", LEASE);
    assert_int_equal (again.group, 0);
    refused (store_renew (store, &first, LEASE, &err), ERR_STALE);
    fine (store_commit (store, &again, "x", 1, &err));
    buf_free (&first.payload);
    buf_free (&second.payload);
    buf_free (&again.payload);
}

static void a_group_that_is_not_finished_is_not_left_out (void **state)
{
    (void) state;
    open_step (TRAIN, 1, 2);
    store_claim_t claim = claim_one ();
    fine (store_commit (store, &claim, "x", 1, &err));
    heard_t heard = {0};
    refused (store_step_groups (store, "r", TRAIN, 1, hear, &heard, &err), ERR_BUSY);
    assert_non_null (strstr (err.text, "group 1 of step 1 is still pending"));
    buf_free (&claim.payload);
}

static void renewing_keeps_the_lease (void **state)
{
    (void) state;
    open_step (TRAIN, 1, 1);
    store_claim_t claim = claim_one ();
    end_leases ();
    fine (store_renew (store, &claim, LEASE, &err));
    none_to_claim ();
    buf_free (&claim.payload);
}

static void committing_twice_is_committing_once (void **state)
{
    (void) state;
    open_step (TRAIN, 1, 2);
    store_claim_t claim = claim_one ();
    fine (store_commit (store, &claim, "first", 5, &err));
    fine (store_commit (store, &claim, "second", 6, &err));
    refused (store_dead (store, &claim, "late", &err), ERR_STALE);
    refused (store_renew (store, &claim, LEASE, &err), ERR_STALE);
    counts (TRAIN, 1, 1, 0, 1, 0);
    buf_free (&claim.payload);
    claim = claim_one ();
    fine (store_dead (store, &claim, "why", &err));
    fine (store_dead (store, &claim, "why", &err));
    refused (store_commit (store, &claim, "late", 4, &err), ERR_STALE);
    counts (TRAIN, 1, 0, 0, 1, 1);
    heard_t heard = {0};
    fine (store_step_groups (store, "r", TRAIN, 1, hear, &heard, &err));
    assert_string_equal (heard.text, "0=first(5);1!why(0);");
    buf_free (&claim.payload);
}

static void giving_up_makes_it_pending_and_counts (void **state)
{
    (void) state;
    open_step (TRAIN, 1, 1);
    uint64_t tries = 0;
    for (uint64_t i = 1; i <= 3; i++) {
        store_claim_t claim = claim_one ();
        fine (store_giveup (store, &claim, "no agent", &tries, &err));
        assert_int_equal (tries, i);
        fine (store_giveup (store, &claim, "no agent", &tries, &err));
        assert_int_equal (tries, i);
        counts (TRAIN, 1, 1, 0, 0, 0);
        buf_free (&claim.payload);
    }
}

static void nothing_creates_a_missing_group (void **state)
{
    (void) state;
    open_step (TRAIN, 2, 1);
    store_claim_t claim = claim_one ();
    fine (store_step_drop_after (store, "r", epoch, 1, &err));
    size_t keys = count_keys ("*");
    uint64_t tries;
    refused (store_commit (store, &claim, "x", 1, &err), ERR_STALE);
    refused (store_turn (store, &claim, 0, "x", 1, &err), ERR_STALE);
    refused (store_renew (store, &claim, LEASE, &err), ERR_STALE);
    refused (store_dead (store, &claim, "x", &err), ERR_STALE);
    refused (store_giveup (store, &claim, "x", &tries, &err), ERR_STALE);
    assert_int_equal (count_keys ("*"), keys);
    /* Nor does an old claim fit the group that was opened anew under the same id. */
    open_step (TRAIN, 2, 1);
    refused (store_commit (store, &claim, "x", 1, &err), ERR_STALE);
    store_claim_t again = claim_one ();
    refused (store_commit (store, &claim, "x", 1, &err), ERR_STALE);
    fine (store_commit (store, &again, "y", 1, &err));
    buf_free (&claim.payload);
    buf_free (&again.payload);
}

static void a_new_process_gives_back_what_its_predecessor_held (void **state)
{
    (void) state;
    open_step (TRAIN, 1, 3);
    store_claim_t a = claim_as (store, "environment-1", LEASE);
    store_claim_t b = claim_as (store, "environment-2", LEASE);
    store_claim_t c = claim_as (store, "environment-1", LEASE);
    uint64_t n = 0;
    fine (store_orphans (store, "environment-1", &n, &err));
    assert_int_equal (n, 2);
    counts (TRAIN, 1, 2, 1, 0, 0);
    refused (store_renew (store, &a, LEASE, &err), ERR_STALE);
    fine (store_renew (store, &b, LEASE, &err));
    buf_free (&a.payload);
    buf_free (&b.payload);
    buf_free (&c.payload);
}

static void the_log_is_bounded (void **state)
{
    (void) state;
    for (int i = 0; i < 1010; i++)
        fine (store_log (store, "r", "event", "text", &err));
    redisReply *reply = ask ("XLEN q:r:log");
    assert_int_equal (reply->integer, 1000);
    freeReplyObject (reply);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        each (epochs_grow_and_older_ones_are_refused),
        each (another_holder_gets_the_run_when_the_lease_ended),
        each (epochs_grow_even_over_a_flush),
        each (opening_twice_is_opening_once),
        each (a_step_lives_from_open_to_commit),
        each (old_steps_are_dropped),
        each (releasing_leaves_nothing),
        each (a_run_that_nobody_owned_for_a_week_is_dropped),
        each (a_run_name_cannot_reach_into_another_run),
        each (claims_come_in_order),
        each (claims_are_fair_over_runs),
        each (a_run_without_a_trainer_waits),
        each (a_reclaimed_group_starts_again_and_its_old_holder_is_refused),
        each (a_finished_group_stays_finished_whatever_its_entries_say),
        each (a_group_without_an_entry_is_found),
        each (a_group_that_is_not_finished_is_not_left_out),
        each (renewing_keeps_the_lease),
        each (committing_twice_is_committing_once),
        each (giving_up_makes_it_pending_and_counts),
        each (nothing_creates_a_missing_group),
        each (a_new_process_gives_back_what_its_predecessor_held),
        each (the_log_is_bounded),
    };
    return cmocka_run_group_tests (tests, whole_open, whole_close);
}

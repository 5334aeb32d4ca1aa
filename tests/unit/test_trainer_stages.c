/* with: services/trainer/ */
/*  A trainer's walk through a run. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "trainer_fixture.h"

/*  ---- tests ---------------------------------------------------------------------------------- */

/*  Redis is killed once a step is written down and not yet committed: it is committed later, and
 *  written down once. */
static void redis_may_be_away_for_a_while (void **state)
{
    fixture_t *f = *state;
    bus.until = "/step.done";
    finish (f);
    assert_null (bus.until);
    assert_int_equal (count (f, "metrics.jsonl", "\"event\":\"step\""), 2);
    assert_int_equal (count (f, "metrics.jsonl", "\"event\":\"eval\""), 2);
}

static void redis_may_be_away_when_a_step_is_opened (void **state)
{
    fixture_t *f = *state;
    bus.until = "/policy.published";
    finish (f);
    assert_null (bus.until);
    assert_int_equal (count (f, "metrics.jsonl", "\"event\":\"eval\""), 2);
}

static void redis_that_stays_away_ends_the_run (void **state)
{
    fixture_t *f = *state;
    until (f, STAGE_EVALUATE);
    redis_fixture_kill (&redis);
    trainer (f)->poll_at_ms = 0;
    turn (f);
    assert_true (trainer (f)->troubled && !f->run.failed);
    trainer (f)->troubled_since -= 700; /* beyond run.timeout_s */
    turn (f);
    redis_fixture_start (&redis);
    assert_true (f->run.failed);
    assert_int_equal (f->run.why.code, ERR_TIMEOUT);
    assert_non_null (strstr (f->run.why.text, redis.socket));
}

/*  The same folder name on another machine is another holder: its run is not taken from it while
 *  its lease lasts. */
static void the_same_path_on_another_host_is_another_holder (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    uint64_t epoch;
    store_run_release (trainer (f)->store, "r", trainer (f)->epoch, &err);
    close_trainer (f);
    assert_int_equal (store_run_acquire (f->store, "r", f->dir, 1000, "", 0, &epoch, &err), 0);
    int64_t start = clock_ms ();
    assert_int_equal (open_trainer (f, NULL, &err), 0);
    assert_true (clock_ms () - start >= 500);
}

/*  A run of one step whose groups are as `pattern` says. */
static void resample (fixture_t *f, char *times, const char *pattern)
{
    settings[0] = "--set=trainer.steps=1";
    begin (f, times);
    flat = pattern;
    finish (f);
    assert_string_equal (flat, "");
}

/*  As many groups as have no spread are played in addition, until there are enough or it was done
 *  often enough. */
static void groups_without_spread_are_replaced (void **state)
{
    fixture_t *f = *state;
    finish (f);
    resample (f, "--set=trainer.resample=0", "fs");
    assert_int_equal (count (f, "metrics.jsonl", "\"groups\":2.0"), 1);
    assert_int_equal (count (f, "metrics.jsonl", "\"zero_spread\":0.5"), 1);
    resample (f, "--set=trainer.resample=2", "fsfs");
    assert_int_equal (count (f, "metrics.jsonl", "\"groups\":4.0"), 1);
    assert_int_equal (count (f, "metrics.jsonl", "\"zero_spread\":0.5"), 1);
    assert_int_equal (count (f, "completions.jsonl", "\"group\":3,"), 4);
    resample (f, "--set=trainer.resample=2", "ffffff");
    assert_int_equal (count (f, "metrics.jsonl", "\"groups\":6.0"), 1);
    resample (f, "--set=trainer.resample=2", "ss");
    assert_int_equal (count (f, "metrics.jsonl", "\"groups\":2.0"), 1);
}

/*  A version has as long as a step has; then the error names the bus. */
static void a_bus_that_takes_nothing_is_named (void **state)
{
    fixture_t *f = *state;
    bus.silent = true;
    until (f, STAGE_PUBLISH);
    trainer (f)->stage_since -= 500; /* less than run.timeout_s */
    turn (f);
    assert_false (f->run.stopped);
    trainer (f)->stage_since -= 200;
    turn (f);
    assert_true (f->run.failed);
    assert_non_null (strstr (f->run.why.text, "the bus at ipc:///x/bus"));
}

/*  A bus that was restarted after it had the objects says that it misses them: they are sent
 *  again. */
static void objects_that_the_bus_lost_are_sent_again (void **state)
{
    fixture_t *f = *state;
    bus.refuses = ERR_MISSING;
    until (f, STAGE_EVALUATE);
    assert_int_equal (bus.manifests, 2);
    assert_int_equal (bus.offers, 6); /* twice config.json, tokenizer.json, weights */
    bus.refuses = ERR_LIMIT; /* a full bus: the run ends instead of sending them for ever */
    trainer_on_item (&f->run, &(bus_item_t){.kind = BUS_PEER});
    turn (f);
    turn (f);
    assert_int_equal (f->run.why.code, ERR_CONFIG);
}

/*  One that learns goes out again with every step, one that does not once; but a new bus gets
 *  both. */
static void what_does_not_learn_is_published_once (void **state)
{
    fixture_t *f = *state;
    settings[0] = "--set=policies.aux.train=false";
    begin (f, "--set=policies.main.lr=1e-4");
    hash_t before[] = {trainer (f)->team.policies[0]->version.hash,
                       trainer (f)->team.policies[1]->version.hash};
    finish (f);
    /* aux once, main as it was and after each of two steps; both when they are retired. */
    assert_int_equal (bus.manifests, 4 + 2);
    for (size_t p = 0; p < 2; p++) {
        const policy_t *policy = trainer (f)->team.policies[p];
        assert_int_equal (policy_learns (policy), p == 1);
        assert_int_equal (policy->version.number, p == 1 ? 2 : 0);
        assert_int_equal (hash_equal (&policy->version.hash, &before[p]), p == 0);
    }
    settings[0] = "--set=policies.aux.train=false";
    begin (f, "--set=policies.main.train=true");
    until (f, STAGE_EVALUATE);
    assert_int_equal (bus.manifests, 2);
    trainer_on_item (&f->run, &(bus_item_t){.kind = BUS_PEER});
    finish (f);
    assert_int_equal (bus.manifests, 2 + 2 + 2 + 2);
}

/*  The last thing that agents hear of a run is that they may forget it. */
static void a_run_that_is_over_is_retired (void **state)
{
    fixture_t *f = *state;
    until (f, STAGE_EVALUATE);
    finish (f);
    err_t err = {0};
    arena_t *arena = arena_new (1 << 20);
    const wire_manifest_t *manifest =
        wire_manifest_unpack (arena, bus.manifest.data, bus.manifest.size, &err);
    assert_non_null (manifest);
    assert_true (manifest->retired);
    assert_int_equal (manifest->version.number, 2);
    assert_int_equal (bus.manifest_objects, 0); /* it keeps nothing on the bus */
    assert_int_equal (bus.retired, 1);
    arena_destroy (&arena);
    assert_int_equal (count (f, "result.json", "\"reproducible\": true"), 1);
}

static void hear (fixture_t *f, const char *run, wire_event_kind_t kind, const char *text)
{
    buf_t bytes = {0};
    wire_event_t event = {.kind = kind, .run = run, .version = {.policy = ""}, .text = text};
    wire_event_pack (&event, &bytes);
    bus_item_t item = {.kind = BUS_EVENT, .name = "", .payload = bytes.data, .size = bytes.size};
    trainer_on_item (&f->run, &item);
    buf_free (&bytes);
}

static void agents_that_refuse_the_run_end_it (void **state)
{
    fixture_t *f = *state;
    until (f, STAGE_EVALUATE);
    hear (f, "other", WIRE_GROUP_REFUSED, "agent-1: other kernels");
    assert_false (f->run.stopped);
    hear (f, "r", WIRE_GROUP_REFUSED, "agent-1: other kernels");
    assert_true (f->run.failed);
    assert_int_equal (f->run.why.code, ERR_CONFIG);
    assert_non_null (strstr (f->run.why.text, "agent-1: other kernels"));
}

static void a_bus_that_is_gone_is_named_before_all_else (void **state)
{
    fixture_t *f = *state;
    until (f, STAGE_EVALUATE);
    hear (f, "r", WIRE_GROUP_TROUBLE, "reward-1: scorer 'x': it ended");
    bus.gone = true;
    trainer (f)->stage_since -= 700; /* beyond run.timeout_s */
    turn (f);
    bus.gone = false;
    assert_true (f->run.failed);
    assert_non_null (strstr (f->run.why.text, "2 of 2 groups are missing"));
    assert_non_null (strstr (f->run.why.text, "no bus answers"));
}

static void what_was_waited_for_is_said_at_the_end (void **state)
{
    fixture_t *f = *state;
    until (f, STAGE_EVALUATE);
    hear (f, "r", WIRE_GROUP_TROUBLE, "reward-1: scorer 'x': it ended");
    assert_false (f->run.stopped);
    trainer (f)->stage_since -= 700; /* beyond run.timeout_s */
    turn (f);
    assert_true (f->run.failed);
    assert_int_equal (f->run.why.code, ERR_TIMEOUT);
    assert_non_null (strstr (f->run.why.text, "2 of 2 groups are missing"));
    assert_non_null (strstr (f->run.why.text, "reward-1: scorer 'x': it ended"));
}

static void an_evaluation_that_nobody_could_play_is_no_result (void **state)
{
    fixture_t *f = *state;
    store_claim_t claim = {0};
    err_t err = {0};
    until (f, STAGE_EVALUATE);
    while (store_claim (f->store, "environment-1", 60000, &claim, &err) == 1) {
        assert_int_equal (store_dead (f->store, &claim, "no such role", &err), 0);
        buf_free (&claim.payload);
    }
    int64_t deadline = clock_ms () + WAIT_MS;
    while (!f->run.stopped && clock_ms () < deadline)
        turn (f);
    assert_true (f->run.failed);
    assert_int_equal (f->run.why.code, ERR_INPUT);
    assert_non_null (strstr (f->run.why.text, "all 2 groups failed; the first one: no such role"));
    assert_int_equal (count (f, "metrics.jsonl", "event"), 0);
}

/*  As after a signal: what was done is kept, be the step's end written down already or not. */
static void a_trainer_that_is_asked_to_stop_keeps_the_last_whole_step (void **state)
{
    fixture_t *f = *state;
    static const stage_t stages[] = {STAGE_SAVE, STAGE_PUBLISH};
    for (size_t i = 0; i < 2; i++) {
        err_t err = {0};
        close_trainer (f);
        fs_remove (f->dir, NULL);
        assert_int_equal (open_trainer (f, "--set=trainer.checkpoint_every=100", &err), 0);
        int64_t deadline = clock_ms () + WAIT_MS;
        while (trainer (f)->done == 0 || trainer (f)->stage != stages[i]) {
            play_all (f);
            turn (f);
            assert_true (!f->run.stopped && clock_ms () < deadline);
        }
        assert_int_equal (count (f, "metrics.jsonl", "\"event\":\"step\""), i);
        store_run_release (trainer (f)->store, "r", trainer (f)->epoch, &err);
        close_trainer (f);
        assert_int_equal (open_trainer (f, "--resume", &err), 0);
        assert_int_equal (trainer (f)->done, 1);
        assert_int_equal (count (f, "metrics.jsonl", "\"event\":\"step\""), 1);
    }
}

/*  Whose path it was is written with every checkpoint and with the run; another one is refused by
 *  name. */
static void a_run_stays_on_its_numeric_path (void **state)
{
    fixture_t *f = *state;
    char path[FS_PATH_MAX], *at;
    err_t err = {0};
    buf_t record = {0};
    finish (f);
    close_trainer (f);
    assert_int_equal (fs_join (path, f->dir, "checkpoints/step-2/trainer.json", &err), 0);
    assert_int_equal (fs_read (path, 1 << 20, &record, &err), 0);
    at = strstr (record.data, "\"numerics\": \"");
    assert_non_null (at);
    at += strlen ("\"numerics\": \"");
    assert_int_equal (strncmp (at, model_isa (), strlen (model_isa ())), 0);
    *at = 'X';
    assert_int_equal (fs_write (path, record.data, record.size, &err), 0);
    buf_free (&record);
    assert_int_equal (open_trainer (f, "--resume", &err), -1);
    assert_int_equal (err.code, ERR_CONFIG);
    if (!strstr (err.text, "kernels 'X") || !strstr (err.text, model_isa ()))
        fail_msg ("%s", err.text);
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (redis_may_be_away_for_a_while),
        TEST (redis_may_be_away_when_a_step_is_opened),
        TEST (redis_that_stays_away_ends_the_run),
        TEST (groups_without_spread_are_replaced),
        TEST (the_same_path_on_another_host_is_another_holder),
        TEST (a_bus_that_takes_nothing_is_named),
        TEST (objects_that_the_bus_lost_are_sent_again),
        TEST (what_does_not_learn_is_published_once),
        TEST (a_run_that_is_over_is_retired),
        TEST (agents_that_refuse_the_run_end_it),
        TEST (a_bus_that_is_gone_is_named_before_all_else),
        TEST (what_was_waited_for_is_said_at_the_end),
        TEST (an_evaluation_that_nobody_could_play_is_no_result),
        TEST (a_trainer_that_is_asked_to_stop_keeps_the_last_whole_step),
        TEST (a_run_stays_on_its_numeric_path),
    };
    return cmocka_run_group_tests (tests, open_all, close_all);
}

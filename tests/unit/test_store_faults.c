/*  The store when Redis is killed, stopped, flushed, full or contended. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "store_fixture.h"

static void a_restart_brings_greater_fences_and_keeps_the_work (void **state)
{
    (void) state;
    char before[41], after[41];
    open_step (TRAIN, 1, 2);
    store_claim_t old = claim_one ();
    fine (store_boot (store, before, &err));
    redis_fixture_kill (&redis);
    redis_fixture_start (&redis);
    fine (store_boot (store, after, &err));
    assert_string_not_equal (before, after);
    store_claim_t new = claim_one ();
    if (new.fence_epoch <= old.fence_epoch)
        fail_msg ("fence epoch %llu after the restart, %llu before",
                  (unsigned long long) new.fence_epoch, (unsigned long long) old.fence_epoch);
    fine (store_commit (store, &old, "old", 3, &err)); /* its lease came back with the data */
    fine (store_commit (store, &new, "new", 3, &err));
    counts (TRAIN, 1, 0, 0, 2, 0);
    buf_free (&old.payload);
    buf_free (&new.payload);
}

static void functions_are_loaded_again (void **state)
{
    (void) state;
    freeReplyObject (ask ("FUNCTION FLUSH"));
    open_step (TRAIN, 1, 1);
    counts (TRAIN, 1, 1, 0, 0, 0);
}

/*  Redis is away when the call starts, and comes back while it waits. */
static void *ask_status (void *context)
{
    err_t *why = context;
    store_status_t status;
    if (store_step_status (store, "r", TRAIN, 1, &status, why) != 0)
        return why;
    return NULL;
}

static void a_call_waits_for_redis_to_come_back (void **state)
{
    (void) state;
    open_step (TRAIN, 1, 1);
    for (int i = 0; i < 2; i++) {
        err_t why = {0};
        pthread_t thread;
        void *failed;
        if (i == 0)
            redis_fixture_kill (&redis);
        else
            redis_fixture_signal (&redis, SIGSTOP);
        pthread_create (&thread, NULL, ask_status, &why);
        clock_sleep_ms (50); /* so that the call really meets the outage; it passes either way */
        if (i == 0)
            redis_fixture_start (&redis);
        else
            redis_fixture_signal (&redis, SIGCONT);
        pthread_join (thread, &failed);
        if (failed)
            fail_msg ("outage %d: %s", i, why.text);
    }
}

static void a_deadline_names_the_address (void **state)
{
    (void) state;
    open_step (TRAIN, 1, 1);
    store_deadline (store, 150);
    store_status_t status;
    redis_fixture_signal (&redis, SIGSTOP);
    refused (store_step_status (store, "r", TRAIN, 1, &status, &err), ERR_NETWORK);
    assert_non_null (strstr (err.text, redis.address));
    redis_fixture_signal (&redis, SIGCONT);
    redis_fixture_kill (&redis);
    refused (store_step_status (store, "r", TRAIN, 1, &status, &err), ERR_NETWORK);
    assert_non_null (strstr (err.text, redis.address));
    redis_fixture_start (&redis);
    counts (TRAIN, 1, 1, 0, 0, 0);
}

/*  The answer of a claim is lost: the next claim gives the same group, not a second one. */
static void a_claim_whose_answer_was_lost_is_found_again (void **state)
{
    (void) state;
    open_step (TRAIN, 1, 2);
    store_deadline (store, 100);
    redis_fixture_signal (&redis, SIGSTOP);
    store_claim_t claim = {0};
    refused (store_claim (store, "environment-1", LEASE, &claim, &err), ERR_NETWORK);
    redis_fixture_signal (&redis, SIGCONT); /* carries out what lies in its socket */
    store_deadline (store, 5000);
    int64_t deadline = clock_ms () + 5000;
    store_status_t status = {0};
    while (status.leased == 0 && clock_left_ms (deadline) > 0)
        fine (store_step_status (store, "r", TRAIN, 1, &status, &err));
    assert_int_equal (status.leased, 1);
    claim = claim_one ();
    assert_string_equal (claim.payload.data, "0-1-0");
    counts (TRAIN, 1, 1, 1, 0, 0);
    fine (store_commit (store, &claim, "x", 1, &err));
    buf_free (&claim.payload);
    claim = claim_one ();
    assert_string_equal (claim.payload.data, "0-1-1");
    buf_free (&claim.payload);
}

static void bad_addresses_and_servers_are_named (void **state)
{
    (void) state;
    const char *bad[] = {"",           "unix:",     "tcp:",          "tcp:host",       "tcp:host:0",
                         "tcp:host:x", "tcp::6379", "http://host:1", "/run/redis.sock"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (err_t){0};
        assert_null (store_new (bad[i], "", &err));
        if (err.code != ERR_CONFIG)
            fail_msg ("'%s': %s: %s", bad[i], err_name (err.code), err.text);
        assert_non_null (strstr (err.text, bad[i]));
    }
}

/*  With a short deadline, and a longer one where the machine is too busy for Redis to answer at
 *  all. */
static int open_soon (uint64_t step, const store_bytes_t *group)
{
    int rc = -1;
    for (int64_t ms = 400; ms < 60000; ms *= 2) {
        store_deadline (store, ms);
        rc = store_step_open (store, "r", epoch, TRAIN, step, group, 1, &err);
        if (rc == 0 || err.code != ERR_NETWORK)
            break;
    }
    return rc;
}

/*  States that Redis may leave again: a call waits for that, and says at its deadline what it
 *  waited for. Nobody is there who could end the state while it waits, so the deadline is short. */
static void a_redis_that_refuses_for_now_is_waited_for (void **state)
{
    (void) state;
    static const struct {
        const char *on, *off, *text;
    } states[] = {
        {"CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "maxmemory"},
        {"REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "takes no writes"},
        {"CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0", "NOREPLICAS"},
    };
    store_bytes_t group = {"x", 1};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        freeReplyObject (ask (states[i].on));
        refused (open_soon (i + 1, &group), ERR_BUSY);
        if (!strstr (err.text, states[i].text) || !strstr (err.text, redis.address))
            fail_msg ("%s", err.text);
        freeReplyObject (ask (states[i].off));
        store_deadline (store, 5000);
        fine (store_step_open (store, "r", epoch, TRAIN, i + 1, &group, 1, &err));
    }
}

/*  A password that comes while a program is connected may go again; one that was there before is
 *  missing from the configuration. */
static void a_password_is_waited_for_only_where_there_was_none (void **state)
{
    (void) state;
    store_bytes_t group = {"x", 1};
    store_deadline (store, 400);
    freeReplyObject (ask ("CONFIG SET requirepass secret"));
    freeReplyObject (ask ("CLIENT KILL TYPE normal SKIPME yes")); /* it refuses us, too: harmless */
    redisContext *raw = redisConnectUnix (redis.socket);
    freeReplyObject (redisCommand (raw, "AUTH secret"));
    freeReplyObject (redisCommand (raw, "CLIENT KILL TYPE normal SKIPME yes"));
    refused (store_step_open (store, "r", epoch, TRAIN, 1, &group, 1, &err), ERR_BUSY);
    assert_non_null (strstr (err.text, "password"));
    err = (err_t){0};
    assert_null (store_new (redis.address, "", &err));
    assert_int_equal (err.code, ERR_CONFIG);
    freeReplyObject (redisCommand (raw, "CONFIG SET requirepass %s", ""));
    redisFree (raw);
    store_deadline (store, 5000);
    fine (store_step_open (store, "r", epoch, TRAIN, 1, &group, 1, &err));
}

static size_t libraries (void)
{
    redisReply *reply = ask ("FUNCTION LIST LIBRARYNAME quintet_*");
    size_t n = reply->elements;
    freeReplyObject (reply);
    return n;
}

/*  Another build's functions are beside ours, under other names. */
static void another_builds_functions_stay_as_they_are (void **state)
{
    (void) state;
    const char *other = "#!lua name=quintet_0123456789abcdef\n"
                        "redis.register_function ('quintet_status_0123456789abcdef', function () "
                        "return {'none', 'theirs'} end)";
    freeReplyObject (ask ("FUNCTION LOAD %s", other));
    store_t *second = store_new (redis.address, "", &err);
    assert_non_null (second);
    store_destroy (&second);
    assert_int_equal (libraries (), 2);
    redisReply *theirs = ask ("FCALL quintet_status_0123456789abcdef 0");
    assert_string_equal (theirs->element[1]->str, "theirs");
    freeReplyObject (theirs);
    open_step (TRAIN, 1, 1);
    counts (TRAIN, 1, 1, 0, 0, 0);
    freeReplyObject (ask ("FUNCTION DELETE quintet_0123456789abcdef"));
}

/*  A peer that is gone raises SIGPIPE: it must not end the process, nor may the store change what
 *  the process does about it. */
static void sigpipe_is_left_to_the_process (void **state)
{
    (void) state;
    struct sigaction before, after;
    signal (SIGPIPE, SIG_DFL);
    sigaction (SIGPIPE, NULL, &before);
    open_step (TRAIN, 1, 1);
    redis_fixture_kill (&redis);
    redis_fixture_start (&redis);
    counts (TRAIN, 1, 1, 0, 0, 0);
    sigaction (SIGPIPE, NULL, &after);
    assert_true (after.sa_handler == SIG_DFL && before.sa_handler == SIG_DFL);
    sigset_t waiting;
    sigpending (&waiting);
    assert_false (sigismember (&waiting, SIGPIPE));
}

/*  Many claimants, every group played once: no two get the same, none is lost. */
typedef struct {
    char name[24];
    size_t committed, stale;
} player_t;

static void *play (void *context)
{
    player_t *player = context;
    err_t why = {0};
    store_t *own = store_new (redis.address, "", &why);
    store_claim_t claim = {0};
    int rc;
    while (own && (rc = store_claim (own, player->name, 1, &claim, &why)) == 1) {
        if (store_commit (own, &claim, player->name, strlen (player->name), &why) == 0)
            player->committed++;
        else if (why.code == ERR_STALE)
            player->stale++;
        buf_free (&claim.payload);
    }
    store_destroy (&own);
    return NULL;
}

static void every_group_is_committed_once_by_many_claimants (void **state)
{
    (void) state;
    enum { PLAYERS = 4, STEPS = 20 };
    for (uint64_t step = 1; step <= STEPS; step++)
        open_step (TRAIN, step, 8);
    player_t players[PLAYERS];
    pthread_t threads[PLAYERS];
    for (int i = 0; i < PLAYERS; i++) {
        players[i] = (player_t){0};
        snprintf (players[i].name, sizeof players[i].name, "environment-%d", i);
        pthread_create (&threads[i], NULL, play, &players[i]);
    }
    size_t committed = 0;
    for (int i = 0; i < PLAYERS; i++) {
        pthread_join (threads[i], NULL);
        committed += players[i].committed;
    }
    /* A player ends when nothing was pending just then; a lease of 1 ms may have ended after
     * that. */
    player_t last = {.name = "environment-9"};
    play (&last);
    assert_int_equal (committed + last.committed, 8 * STEPS);
    for (uint64_t step = 1; step <= STEPS; step++)
        counts (TRAIN, step, 0, 0, 8, 0);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        each (a_restart_brings_greater_fences_and_keeps_the_work),
        each (functions_are_loaded_again),
        each (a_call_waits_for_redis_to_come_back),
        each (a_deadline_names_the_address),
        each (a_claim_whose_answer_was_lost_is_found_again),
        each (bad_addresses_and_servers_are_named),
        each (a_redis_that_refuses_for_now_is_waited_for),
        each (a_password_is_waited_for_only_where_there_was_none),
        each (another_builds_functions_stay_as_they_are),
        each (sigpipe_is_left_to_the_process),
        each (every_group_is_committed_once_by_many_claimants),
    };
    return cmocka_run_group_tests (tests, whole_open, whole_close);
}

/* with: services/trainer/lease.c */
/*  The trainer's lease on its run, against a private Redis. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../services/trainer/lease.h"
#include "store_fixture.h"

#define WAIT_MS 60000

/*  The end of the run's lease, as Redis has it. */
static long long lease_until (void)
{
    redisReply *reply = ask ("HGET q:r:run until");
    long long until = strtoll (reply->str, NULL, 10);
    freeReplyObject (reply);
    return until;
}

static void it_is_renewed_while_its_owner_does_something_else (void **state)
{
    (void) state;
    lease_t *lease = lease_start (redis.address, "", "r", epoch, &err);
    assert_non_null (lease);
    freeReplyObject (ask ("HSET q:r:run until 5"));
    int64_t deadline = clock_ms () + WAIT_MS;
    while (lease_until () == 5 && clock_left_ms (deadline) > 0)
        clock_sleep_ms (20);
    assert_true (lease_until () > 5);
    assert_false (lease_lost (lease));
    lease_end (&lease);
    assert_null (lease);
}

static void another_trainers_run_is_lost (void **state)
{
    (void) state;
    lease_t *lease = lease_start (redis.address, "", "r", epoch, &err);
    assert_non_null (lease);
    freeReplyObject (ask ("HSET q:r:run epoch 99999999999999999"));
    int64_t deadline = clock_ms () + WAIT_MS;
    while (!lease_lost (lease) && clock_left_ms (deadline) > 0)
        clock_sleep_ms (20);
    assert_true (lease_lost (lease));
    lease_end (&lease);
}

/*  Neither a Redis that is gone nor one that does not answer takes the run away, or keeps the
 *  lease from ending. */
static void a_redis_that_is_away_takes_nothing_away (void **state)
{
    (void) state;
    lease_t *lease = lease_start (redis.address, "", "r", epoch, &err);
    assert_non_null (lease);
    redis_fixture_kill (&redis);
    redis_fixture_start (&redis);
    freeReplyObject (ask ("HSET q:r:run until 5"));
    int64_t deadline = clock_ms () + WAIT_MS;
    while (lease_until () == 5 && clock_left_ms (deadline) > 0)
        clock_sleep_ms (20);
    assert_false (lease_lost (lease));
    redis_fixture_signal (&redis, SIGSTOP);
    lease_end (&lease);
    redis_fixture_signal (&redis, SIGCONT);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        each (it_is_renewed_while_its_owner_does_something_else),
        each (another_trainers_run_is_lost),
        each (a_redis_that_is_away_takes_nothing_away),
    };
    return cmocka_run_group_tests (tests, whole_open, whole_close);
}

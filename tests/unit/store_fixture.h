/*  store_fixture - a private Redis, a store on it, and a run "r" that it owns: for tests of the
 *  store. */
#ifndef QUINTET_TESTS_STORE_FIXTURE_H
#define QUINTET_TESTS_STORE_FIXTURE_H

#include <hiredis/hiredis.h>

#include "redis_fixture.h"
#include "store/store.h"

#define LEASE 60000
#define TRAIN 0
#define EVAL  1

static redis_fixture_t redis;
static store_t *store;
static uint64_t epoch; /* of run "r" */
static err_t err;

/*  A raw look at Redis, beside the store. */
static inline redisReply *ask (const char *command, ...)
{
    redisContext *raw = redisConnectUnix (redis.socket);
    assert_non_null (raw);
    va_list args;
    va_start (args, command);
    redisReply *reply = redisvCommand (raw, command, args);
    va_end (args);
    redisFree (raw);
    assert_non_null (reply);
    return reply;
}

static inline size_t count_keys (const char *pattern)
{
    redisReply *reply = ask ("KEYS %s", pattern);
    size_t n = reply->elements;
    freeReplyObject (reply);
    return n;
}

#define fine(call)                                                                                 \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            fail_msg ("%s: %s: %s", #call, err_name (err.code), err.text);                         \
    } while (0)

#define refused(call, expected)                                                                    \
    do {                                                                                           \
        err = (err_t){0};                                                                          \
        assert_int_equal (call, -1);                                                               \
        if (err.code != (expected))                                                                \
            fail_msg ("%s: got %s (%s), expected %s", #call, err_name (err.code), err.text,        \
                      err_name (expected));                                                        \
        assert_true (err.text[0] != 0);                                                            \
    } while (0)

static inline int whole_open (void **state)
{
    (void) state;
    redis_fixture_open (&redis);
    return 0;
}

static inline int whole_close (void **state)
{
    (void) state;
    redis_fixture_close (&redis);
    return 0;
}

static inline int each_open (void **state)
{
    (void) state;
    freeReplyObject (ask ("FLUSHALL"));
    store = store_new (redis.address, "", &err);
    if (!store)
        fail_msg ("%s", err.text);
    fine (store_run_acquire (store, "r", "trainer", LEASE, "record", 6, &epoch, &err));
    return 0;
}

static inline int each_close (void **state)
{
    (void) state;
    store_destroy (&store);
    return 0;
}

static inline void open_run_step (const char *run, uint64_t of, unsigned phase, uint64_t step,
                                  size_t n)
{
    char text[8][16];
    store_bytes_t groups[8];
    for (size_t g = 0; g < n; g++) {
        int size =
            snprintf (text[g], sizeof text[g], "%u-%llu-%zu", phase, (unsigned long long) step, g);
        groups[g] = (store_bytes_t){text[g], (size_t) size};
    }
    fine (store_step_open (store, run, of, phase, step, groups, n, &err));
}

static inline void open_step (unsigned phase, uint64_t step, size_t n)
{
    open_run_step ("r", epoch, phase, step, n);
}

static inline store_claim_t claim_as (store_t *from, const char *holder, int64_t lease_ms)
{
    store_claim_t claim = {0};
    int rc = store_claim (from, holder, lease_ms, &claim, &err);
    if (rc != 1)
        fail_msg ("claim: %d, expected 1: %s", rc, err.text);
    return claim;
}

static inline store_claim_t claim_one (void)
{
    return claim_as (store, "environment-1", LEASE);
}

static inline void none_to_claim (void)
{
    store_claim_t claim = {0};
    assert_int_equal (store_claim (store, "environment-1", LEASE, &claim, &err), 0);
}

static inline void counts (unsigned phase, uint64_t step, size_t pending, size_t leased,
                           size_t committed, size_t dead)
{
    store_status_t s;
    fine (store_step_status (store, "r", phase, step, &s, &err));
    if (s.pending != pending || s.leased != leased || s.committed != committed || s.dead != dead)
        fail_msg ("%zu pending, %zu leased, %zu committed, %zu dead; expected %zu %zu %zu %zu",
                  s.pending, s.leased, s.committed, s.dead, pending, leased, committed, dead);
}

typedef struct {
    char text[256];
} heard_t;

static inline int hear (void *context, uint64_t group, const void *data, size_t size,
                        const char *reason)
{
    heard_t *heard = context;
    size_t n = strlen (heard->text);
    snprintf (heard->text + n, sizeof heard->text - n, "%llu%s%s(%zu);", (unsigned long long) group,
              data ? "=" : "!", data ? (const char *) data : reason, size);
    return 0;
}

#define each(test) cmocka_unit_test_setup_teardown (test, each_open, each_close)

#endif

/*  The store beside bare Redis: a group's whole life (claim, one turn, commit), with results of
 *  the size that 8 episodes of two roles have, against three plain SETs and GETs of the same
 *  bytes. */
#include <hiredis/hiredis.h>

#include "../unit/redis_fixture.h"
#include "bench.h"
#include "store/store.h"

#define GROUPS       16
#define STEPS        60
#define PAYLOAD      1500
#define TURN_BYTES   8000
#define RESULT_BYTES 20000

static char bytes[RESULT_BYTES];

static void die (const err_t *err)
{
    fprintf (stderr, "bench_store: %s\n", err->text);
    exit (1);
}

static void play_step (store_t *store, uint64_t epoch, uint64_t step, double *play_s)
{
    err_t err = {0};
    store_bytes_t groups[GROUPS];
    for (int g = 0; g < GROUPS; g++)
        groups[g] = (store_bytes_t){bytes, PAYLOAD};
    if (store_step_open (store, "bench", epoch, 0, step, groups, GROUPS, &err) != 0)
        die (&err);
    double start = clock_s ();
    for (int g = 0; g < GROUPS; g++) {
        store_claim_t claim;
        if (store_claim (store, "bench", 10000, &claim, &err) != 1 ||
            store_turn (store, &claim, 0, bytes, TURN_BYTES, &err) != 0 ||
            store_commit (store, &claim, bytes, RESULT_BYTES, &err) != 0)
            die (&err);
        buf_free (&claim.payload);
    }
    *play_s += clock_s () - start;
    if (store_step_commit (store, "bench", epoch, 0, step, &err) != 0)
        die (&err);
}

/*  Groups a second. */
static double measure_store (const redis_fixture_t *redis)
{
    err_t err = {0};
    uint64_t epoch;
    double seconds = 0;
    store_t *store = store_new (redis->address, "", &err);
    if (!store || store_run_acquire (store, "bench", "bench", 600000, "", 0, &epoch, &err) != 0)
        die (&err);
    for (uint64_t step = 1; step <= STEPS; step++)
        play_step (store, epoch, step, &seconds);
    store_run_release (store, "bench", epoch, &err);
    store_destroy (&store);
    return GROUPS * STEPS / seconds;
}

static double measure_bare (const redis_fixture_t *redis)
{
    redisContext *raw = redisConnectUnix (redis->socket);
    double start = clock_s ();
    freeReplyObject (redisCommand (raw, "SET payload %b", bytes, (size_t) PAYLOAD));
    for (int i = 0; i < GROUPS * STEPS; i++) {
        freeReplyObject (redisCommand (raw, "GET payload"));
        freeReplyObject (redisCommand (raw, "SET turn%d %b", i % 64, bytes, (size_t) TURN_BYTES));
        freeReplyObject (
            redisCommand (raw, "SET result%d %b", i % 64, bytes, (size_t) RESULT_BYTES));
    }
    double seconds = clock_s () - start;
    redisFree (raw);
    return GROUPS * STEPS / seconds;
}

int main (void)
{
    redis_fixture_t redis;
    memset (bytes, 'x', sizeof bytes);
    redis_fixture_open (&redis);
    redisContext *raw = redisConnectUnix (redis.socket);
    freeReplyObject (redisCommand (raw, "CONFIG SET appendfsync everysec"));
    redisFree (raw);
    double bare = measure_bare (&redis), store = measure_store (&redis);
    bench_tell ("store.group", 1e6 / store, "us", 1e6 / bare);
    redis_fixture_close (&redis);
    return 0;
}

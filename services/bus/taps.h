/*  taps - the events actor: everything that is published goes to whoever subscribed to it.
 *
 *      taps_t *taps = taps_new (publish, subscribe, 1000, NULL, &err);
 *      zactor_t *actor = zactor_new (taps_actor, taps);
 *      taps_status (taps, &status);                   from any thread
 *      zactor_destroy (&actor);
 *      taps_destroy (&taps);
 *
 *  ZeroMQ's own subscriptions are not for strangers: a publisher keeps whatever it is sent, as a
 *  tree of one node per byte, and hands it on to every publisher there is. So subscriptions are
 *  ordinary messages here, kept in a table whose every size is bounded, and publishers are asked
 *  for everything, once. A tap that is slow loses events, and sees from their numbers how many; it
 *  never slows anybody down. The last events of each topic are kept, within bounds (kept.h): who
 *  subscribes gets as many of them as it asks for, and in any case the last of each topic
 *  "RUN/run.NAME".
 */
#ifndef QUINTET_BUS_TAPS_H
#define QUINTET_BUS_TAPS_H

#include "base/err.h"
#include "bus/czmq_clean.h"
#include "guard.h"

#define TAPS_MAX          1024
#define TAPS_PREFIXES     64   /* of one tap */
#define TAPS_PREFIXES_MAX 8192 /* of all */

typedef struct taps taps_t;

/*  Binds. publish: where publishers connect to; subscribe: where taps do; peers_max: how many of
 *  each. */
taps_t *taps_new (const char *publish, const char *subscribe, size_t peers_max, guard_t *guard,
                  err_t *err);
/*  A zactor_fn: runs until the pipe says $TERM. */
void taps_actor (zsock_t *pipe, void *taps);
void taps_destroy (taps_t **taps);

typedef struct {
    uint64_t events; /* that came */
    uint64_t lost;   /* that a slow tap did not get */
    uint64_t kept_bytes;
    uint64_t connections, taps, prefixes;
    uint64_t refused; /* subscriptions */
    uint64_t malformed;
} taps_status_t;
void taps_status (const taps_t *taps, taps_status_t *status);

#endif

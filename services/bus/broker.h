/*  broker - the requests actor: hands requests to workers that have credit, and answers back.
 *
 *      broker_t *broker = broker_new (endpoint, boot, peers_max, NULL, &err);
 *      zactor_t *actor = zactor_new (broker_actor, broker);
 *      broker_status (broker, &status);             from any thread
 *      zactor_destroy (&actor);
 *      broker_destroy (&broker);
 *
 *  Nothing here is durable: after a restart everyone registers again, and clients send again what
 *  is still unanswered. Every queue is bounded; what does not fit is answered with busy, what
 *  expires is cancelled.
 */
#ifndef QUINTET_BUS_BROKER_H
#define QUINTET_BUS_BROKER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "bus/czmq_clean.h"
#include "dispatch.h"
#include "guard.h"

typedef struct broker broker_t;

/*  Binds. boot: of this bus, told in its heartbeats. */
broker_t *broker_new (const char *endpoint, uint64_t boot, size_t peers_max, guard_t *guard,
                      err_t *err);
/*  A zactor_fn: runs until the pipe says $TERM. */
void broker_actor (zsock_t *pipe, void *broker);
void broker_destroy (broker_t **broker);

typedef struct {
    dispatch_status_t dispatch;
    uint64_t connections, busy, unroutable, malformed, damaged, peers;
    uint64_t impostors; /* frames under a boot id that is another's */
} broker_status_t;
void broker_status (const broker_t *broker, broker_status_t *status);

#endif

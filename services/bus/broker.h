/*  broker - the requests actor: hands requests to workers that have credit, and answers back.
 *
 *      broker_t *broker = broker_new (context, endpoint, boot, &err);
 *      broker_run (broker);                         returns when the context is shut down
 *      broker_status (broker, &status);             from any thread
 *      broker_destroy (&broker);
 *
 *  Nothing here is durable: after a restart everyone registers again, and clients send again what is still
 *  unanswered. Every queue is bounded; what does not fit is answered with busy, what expires is cancelled.
 */
#ifndef QUINTET_BUS_BROKER_H
#define QUINTET_BUS_BROKER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct broker broker_t;

/*  Binds. boot: of this bus, told in its heartbeats. */
broker_t *broker_new (void *context, const char *endpoint, uint64_t boot, err_t *err);
void broker_run (broker_t *broker);
void broker_destroy (broker_t **broker);

typedef struct {
    uint64_t requests, replies, busy, expired, deaths, unroutable, malformed, damaged;
    uint64_t peers, services, workers, queued, in_flight;
} broker_status_t;
void broker_status (const broker_t *broker, broker_status_t *status);

#endif

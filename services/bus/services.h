/*  services - what the requests actor hands out: each service's workers, and the requests that wait for one.
 *
 *      service_t *service = services_of (&services, name);
 *      worker_t *worker = service_free_worker (service, "");
 *      service_push (service, &pending);                      when there is none
 *      services_sweep (&services);                            now and then
 *
 *  A service is there as long as it has a worker or a request that waits.
 */
#ifndef QUINTET_BUS_SERVICES_H
#define QUINTET_BUS_SERVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "peers.h"

#define SERVICES_MAX 32
#define WORKERS_MAX  256 /* of one service */

/*  A request that waits. */
typedef struct {
    peer_t *client; /* NULL: nobody wants it any more */
    uint64_t sequence;
    int64_t deadline_ms;
    char avoid[ENVELOPE_NAME_MAX + 1]; /* worker that shall not have it while there is another */
    zmq_msg_t frame;
} pending_t;

typedef struct {
    peer_t *peer;
    uint32_t credit, used;
} worker_t;

typedef struct {
    char name[ENVELOPE_NAME_MAX + 1];
    char numerics[ENVELOPE_NAME_MAX + 1]; /* of its workers, while there are any */
    worker_t worker[WORKERS_MAX];
    size_t workers, turn;
    pending_t *queue; /* a ring, made at first use */
    size_t head, queued, queued_bytes;
} service_t;

typedef struct {
    service_t *service[SERVICES_MAX];
    size_t n;
} services_t;

/*  The service of this name, made when it is new; NULL when there are too many. */
service_t *services_of (services_t *services, slice_t name);
/*  Forgets those without worker and request. */
void services_sweep (services_t *services);
void services_free (services_t *services);

worker_t *service_worker (service_t *service, const peer_t *peer);
/*  NULL when there are too many. */
worker_t *service_add_worker (service_t *service, peer_t *peer);
void service_drop_worker (service_t *service, worker_t *worker);
/*  The worker with the most free credit, not the one to avoid (a name, or "") unless it is the only one; ties go
 *  round. NULL: none has any. */
worker_t *service_free_worker (service_t *service, const char *avoid);

/*  -1: the queue is full; the request is still the caller's. */
int service_push (service_t *service, pending_t *pending);
/*  The oldest; there must be one. Its frame is the caller's. */
pending_t service_pop (service_t *service);
const pending_t *service_first (const service_t *service);
pending_t *service_pending (const service_t *service, const peer_t *client, uint64_t sequence);
/*  It keeps its place in the queue, but nothing else. */
void service_forget (service_t *service, pending_t *pending);
/*  Forgets all that this client waits for. */
void service_orphan (service_t *service, const peer_t *client);

#endif

/*  routes - where the requests for each service go: its workers, and the queue of those that wait
 *  for one.
 *
 *      route_t *route = routes_of (&routes, envelope.service);
 *      routes_sweep (&routes);                            now and then
 *
 *  A route is there as long as it has a worker or a request that waits.
 */
#ifndef QUINTET_BUS_ROUTES_H
#define QUINTET_BUS_ROUTES_H

#include "queue.h"
#include "workers.h"

#define ROUTES_MAX 64

typedef struct {
    char name[ENVELOPE_NAME_MAX + 1];
    char numerics[ENVELOPE_NAME_MAX + 1]; /* of its workers, while there are any */
    workers_t workers;
    queue_t queue;
    size_t flights; /* requests that its workers have */
} route_t;

typedef struct {
    route_t *route[ROUTES_MAX];
    size_t n;
} routes_t;

/*  The route of this name, made when it is new; NULL when there are too many. */
route_t *routes_of (routes_t *routes, slice_t name);
/*  One that has no worker, only requests that wait for one, which must give way to a service that
 *  is there; NULL: each has. */
route_t *routes_unserved (const routes_t *routes);
/*  Forgets those without worker and request. */
void routes_sweep (routes_t *routes);
void routes_free (routes_t *routes);

#endif

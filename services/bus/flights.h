/*  flights - the requests that workers have in hand, each under a ticket.
 *
 *      flight_t *flight = flights_add (flights, client, worker, route);     NULL: too many
 *      flight = flights_find (flights, ticket);
 *      flights_end (flights, flight);
 *
 *  A ticket is generation << 20 | slot, so a late reply to a ticket whose slot is used again is
 *  told apart. Each flight hangs in two lists, its client's and its worker's, so that nobody looks
 *  through those of all others: not when a request comes again, nor when a peer dies. One request
 *  may have several flights, at different workers.
 */
#ifndef QUINTET_BUS_FLIGHTS_H
#define QUINTET_BUS_FLIGHTS_H

#include "routes.h"

#define FLIGHTS_MAX        65536
#define FLIGHTS_CLIENT_MAX 4096 /* of one client */

typedef struct flight {
    uint64_t ticket; /* 0: free */
    peer_t *client, *worker;
    route_t *route;
    uint64_t sequence; /* the client's number */
    int64_t given_ms, deadline_ms;
    struct flight *client_next, **client_at; /* in the client's list */
    struct flight *worker_next, **worker_at; /* in the worker's */
    uint32_t next_free;
} flight_t;

typedef struct flights flights_t;

/*  seed: where tickets begin, so that those of a bus before mean nothing here. */
flights_t *flights_new (uint64_t seed);
void flights_destroy (flights_t **flights);

/*  NULL: too many are in flight, in all or of this client. The other fields are the caller's to
 *  fill. */
flight_t *flights_add (flights_t *flights, peer_t *client, peer_t *worker, route_t *route);
flight_t *flights_find (const flights_t *flights, uint64_t ticket);
/*  Gives the worker its credit back. */
void flights_end (flights_t *flights, flight_t *flight);
/*  The next one, in no order; flight NULL: the first. It may be ended before the next is asked
 *  for. */
flight_t *flights_next (const flights_t *flights, const flight_t *flight);
size_t flights_count (const flights_t *flights);

/*  The client's flights of one request: the first, or the one after. */
flight_t *flights_of_request (const peer_t *client, uint64_t sequence, const flight_t *after);

#endif

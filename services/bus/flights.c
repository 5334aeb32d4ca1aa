/*  flights - see flights.h */
#include "flights.h"

#include <assert.h>
#include <stdlib.h>

/*  The ticket's low bits name the slot, so that a reply finds its flight without a search; the
 *  bits above count up with every flight, so that an old ticket for the same slot does not
 *  match. */
#define FLIGHTS_SLOT_BITS 20
#define FLIGHTS_SLOT_MASK (((uint64_t) 1 << FLIGHTS_SLOT_BITS) - 1)
#define FLIGHTS_NONE      UINT32_MAX

/*  Slots are used again, the last one freed first, so a table for 65536 touches little memory
 *  while few are in flight. */
struct flights {
    flight_t *slot;
    uint32_t used;       /* slots that were ever in use */
    uint32_t first_free; /* of these */
    size_t n;
    uint64_t generation;
};

flights_t *flights_new (uint64_t seed)
{
    flights_t *flights = calloc (1, sizeof *flights);
    if (!flights)
        return NULL;
    flights->slot = calloc (FLIGHTS_MAX, sizeof *flights->slot);
    flights->first_free = FLIGHTS_NONE;
    /* Two buses in a row share no tickets, or a reply to the old bus could end a flight of the
       new one. */
    flights->generation = seed >> 2 * FLIGHTS_SLOT_BITS;
    if (!flights->slot)
        flights_destroy (&flights);
    return flights;
}

void flights_destroy (flights_t **self)
{
    if (!*self)
        return;
    free ((*self)->slot);
    free (*self);
    *self = NULL;
}

/*  The client's bound is looked at first: one that has 4096 in flight waits, even if the table is
 *  empty, or it could fill it. */
flight_t *flights_add (flights_t *flights, peer_t *client, peer_t *worker, route_t *route)
{
    /* See dispatch_give_waiting: such a client waits, the others do not. */
    if (client->in_flight >= FLIGHTS_CLIENT_MAX)
        return NULL;
    uint32_t at = flights->first_free;
    if (at != FLIGHTS_NONE)
        flights->first_free = flights->slot[at].next_free;
    else if (flights->used < FLIGHTS_MAX)
        at = flights->used++;
    else
        return NULL;
    flight_t *f = &flights->slot[at];
    *f = (flight_t){.ticket = ++flights->generation << FLIGHTS_SLOT_BITS | at,
                    .client = client,
                    .worker = worker,
                    .route = route,
                    /* Both lists are entered at their heads: what was asked last is what is
                       cancelled or answered next, more often than not. `at` points to whoever
                       points here, so leaving a list needs no walk. */
                    .client_next = client->asked,
                    .client_at = &client->asked,
                    .worker_next = worker->given,
                    .worker_at = &worker->given};
    if (client->asked)
        client->asked->client_at = &f->client_next;
    if (worker->given)
        worker->given->worker_at = &f->worker_next;
    client->asked = worker->given = f;
    client->in_flight++;
    /* The route must stay as long as a flight points to it, even when its last worker has gone. */
    route->flights++;
    /* Credit is counted where it is handed out. The worker is there: workers_pick has just named
       it. */
    worker_t *w = workers_find (&route->workers, worker);
    assert (w);
    w->used++;
    flights->n++;
    return f;
}

flight_t *flights_find (const flights_t *flights, uint64_t ticket)
{
    uint64_t at = ticket & FLIGHTS_SLOT_MASK;
    return ticket && at < flights->used && flights->slot[at].ticket == ticket ? &flights->slot[at]
                                                                              : NULL;
}

/*  The one place where credit comes back. Every end of a flight goes through here, so a worker's
 *  count cannot leak, whoever died or cancelled first. */
void flights_end (flights_t *flights, flight_t *f)
{
    *f->client_at = f->client_next;
    if (f->client_next)
        f->client_next->client_at = f->client_at;
    *f->worker_at = f->worker_next;
    if (f->worker_next)
        f->worker_next->worker_at = f->worker_at;
    /* The worker may have been removed from the service before its flights end. */
    worker_t *w = workers_find (&f->route->workers, f->worker);
    if (w) {
        assert (w->used > 0);
        w->used--;
    }
    f->client->in_flight--;
    f->route->flights--;
    /* Free from here on: a reply that still comes under this ticket finds nothing. */
    f->ticket = 0;
    f->next_free = flights->first_free;
    flights->first_free = (uint32_t) (f - flights->slot);
    flights->n--;
}

/*  The table is walked in order of slots, up to the highest that was ever in use. */
flight_t *flights_next (const flights_t *flights, const flight_t *flight)
{
    for (size_t i = flight ? (size_t) (flight - flights->slot) + 1 : 0; i < flights->used; i++)
        if (flights->slot[i].ticket)
            return &flights->slot[i];
    return NULL;
}

size_t flights_count (const flights_t *flights)
{
    return flights->n;
}

/*  A client has few flights at a time, mostly: a walk over its own list costs less than an
 *  index. */
flight_t *flights_of_request (const peer_t *client, uint64_t sequence, const flight_t *after)
{
    flight_t *f = after ? after->client_next : client->asked;
    while (f && f->sequence != sequence)
        f = f->client_next;
    return f;
}

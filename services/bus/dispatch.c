/*  dispatch - see dispatch.h
 *
 *  A request frame is forwarded as it came, with two fields patched in place: the ticket, under
 *  which flights.c remembers who asked, and the time left. So forwarding allocates nothing and
 *  copies nothing.
 *
 *  Credit. A worker says how many requests it holds at once; flights_add counts one up, flights_end
 *  counts it down, whatever ended the flight: its reply, its deadline, a cancel, a death on either
 *  side. What may be handed out is what workers.c allows, which is less for workers that do not
 *  answer.
 *
 *  Handing on. Clients send a request again at one and two thirds of its deadline. The worker that
 *  has it may be slow, or take everything and never answer: so the request goes to another worker
 *  as well, when one is idle, and the first reply wins. That needs no copy of the frame here, and
 *  no clock but the client's.
 */
#include "dispatch.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "flights.h"
#include "routes.h"

#define DISPATCH_SERVICES_MAX 16 /* that one worker may serve */
#define DISPATCH_HOLDERS_MAX  3  /* workers that have one request at a time */
#define DISPATCH_LATE         4  /* a request is late after this part of its time */
#define DISPATCH_COMPLAINT    2  /* doubt that a client adds who asks for another worker */

/*  Counters, in the order of dispatch_status_t. */
enum {
    REQUESTS,
    REPLIES,
    EXPIRED,
    DEATHS,
    HANDED_ON,
    WORKERS,
    SERVICES,
    QUEUED,
    IN_FLIGHT,
    COUNTERS
};

const char *const dispatch_known[DISPATCH_KNOWN] = {"act", "score", "value", "learn"};

/*  Three tables and no more: who serves what and who waits for it (routes), who has what in hand
 *  (flights), and the way out (outbox, the broker's). */
struct dispatch {
    outbox_t *outbox;
    routes_t routes;
    flights_t *flights;
    _Atomic uint64_t count[COUNTERS], queued_for[DISPATCH_KNOWN];
};

/*  The counters are written by the actor's thread alone and read by whoever asks for the status:
 *  relaxed atomics are enough, since no counter says anything about other memory. */
static void dispatch_set (dispatch_t *d, int what, uint64_t n)
{
    atomic_store_explicit (&d->count[what], n, memory_order_relaxed);
}

static void dispatch_add (dispatch_t *d, int what, uint64_t n)
{
    /* One writer: a plain load and store is enough. */
    dispatch_set (d, what, atomic_load_explicit (&d->count[what], memory_order_relaxed) + n);
}

dispatch_t *dispatch_new (outbox_t *outbox)
{
    dispatch_t *d = calloc (1, sizeof *d);
    if (!d)
        return NULL;
    d->outbox = outbox;
    d->flights = flights_new (outbox->boot);
    if (!d->flights)
        dispatch_destroy (&d);
    return d;
}

void dispatch_destroy (dispatch_t **self)
{
    dispatch_t *d = *self;
    if (!d)
        return;
    routes_free (&d->routes);
    flights_destroy (&d->flights);
    free (d);
    *self = NULL;
}

/*  ---- deaths --------------------------------------------------------------------------------- */

/*  Ends a flight that nobody waits for any more, and tells its worker. */
static void dispatch_cancel_flight (dispatch_t *d, flight_t *f)
{
    outbox_send (d->outbox, f->worker, &(envelope_t){.kind = ENVELOPE_CANCEL, .ticket = f->ticket});
    flights_end (d->flights, f);
}

/*  A peer is gone: as a worker, as a client, or both. Clients whose request it had are told, and
 *  send again, so another worker gets it at once and not when a third of the deadline is over.
 *  What it had asked for itself is cancelled at the workers, which otherwise would compute for
 *  nobody. */
void dispatch_remove_peer (dispatch_t *d, peer_t *peer)
{
    bool worked = false;
    peer->dead = true;
    /* Ending a flight unlinks it, so the head of the list is a different one each time round. */
    while (peer->given) {
        peer_t *client = peer->given->client;
        uint64_t sequence = peer->given->sequence;
        flights_end (d->flights, peer->given);
        /* Not as long as another worker has the same request: that one may still answer. And not
           when a peer asked itself: it is gone. */
        if (client != peer && !flights_of_request (client, sequence, NULL))
            outbox_lost (d->outbox, client, sequence);
    }
    while (peer->asked)
        dispatch_cancel_flight (d, peer->asked);
    for (size_t i = 0; i < d->routes.n; i++) {
        /* It may wait for services, and serve some, without having anything in flight. */
        route_t *route = d->routes.route[i];
        queue_remove_client (&route->queue, peer);
        worker_t *w = workers_find (&route->workers, peer);
        if (!w)
            continue;
        workers_remove (&route->workers, w);
        worked = true;
        dispatch_add (d, WORKERS, (uint64_t) -1);
    }
    if (worked) {
        dispatch_add (d, DEATHS, 1);
        log_warn ("worker.lost", "worker=%s", peer->name);
    }
}

/*  ---- handing out ---------------------------------------------------------------------------- */

/*  Gives a request to one of the workers that may have it. 0: it is dealt with, and the frame gone.
 *  -1: nobody has room for it now, and it is still the caller's. */
static int dispatch_give (dispatch_t *d, route_t *route, peer_t *client, request_t *r,
                          const workers_wish_t *wish)
{
    worker_t *w;
    while (!client->dead && (w = workers_pick (&route->workers, wish, clock_ms ()))) {
        /* The flight comes first, for the frame that is sent bears its ticket. */
        peer_t *worker = w->peer;
        flight_t *f = flights_add (d->flights, client, worker, route);
        if (!f)
            return -1;
        /* The time left is measured here, not where the client sent it: what it spent in the
           queue is gone. */
        int64_t left = clock_left_ms (r->deadline_ms);
        /* The client's own number, by which a resent request and a reply find this flight. */
        f->sequence = r->sequence;
        f->given_ms = clock_ms ();
        f->deadline_ms = r->deadline_ms;
        /* A frame that leaves no room for its ticket was not made by a client of ours. */
        if (envelope_patch (&r->frame, f->ticket, left > 0 ? (uint32_t) left : 1) != 0) {
            flights_end (d->flights, f);
            outbox_reply (d->outbox, client, r->sequence, ERR_INPUT,
                          "a request without room for a ticket");
            zmq_msg_close (&r->frame);
            return 0;
        }
        if (outbox_send_frame (d->outbox, worker, &r->frame) == 0)
            return 0;
        /* It can not be reached; it may be the client itself. */
        flights_end (d->flights, f);
        dispatch_remove_peer (d, worker);
    }
    /* Nobody waits for what a dead client asked; else the caller puts the request into the
       queue. */
    if (!client->dead)
        return -1;
    zmq_msg_close (&r->frame);
    return 0;
}

/*  A full queue is said at once: the client knows what else it could do meanwhile, and a request
 *  that waits until its deadline would tell it nothing. */
static void dispatch_wait (dispatch_t *d, route_t *route, peer_t *client, request_t *r)
{
    if (queue_push (&route->queue, client, r) == 0)
        return;
    zmq_msg_close (&r->frame);
    outbox_reply (d->outbox, client, r->sequence, ERR_BUSY,
                  "too much waits for this service already");
}

/*  Gives the first request that a worker may have: of the client whose turn it is, else of the
 *  next. False: none can be given now. */
static bool dispatch_give_waiting (dispatch_t *d, route_t *route)
{
    int64_t now = clock_ms ();
    for (line_t *line = queue_next (&route->queue, NULL), *next; line; line = next) {
        /* Taken now, since popping the last request of a line frees the line. */
        next = queue_next (&route->queue, line);
        const request_t *first = queue_first (line);
        peer_t *client = queue_client (line);
        workers_wish_t wish = {.avoid = first->avoid};
        bool late = now >= first->deadline_ms;
        /* A client with all its flights in use waits without holding up the lines behind it; so
           does a request whose wish nobody can meet now. One that is late is always taken out. */
        if (!late && (client->in_flight >= FLIGHTS_CLIENT_MAX ||
                      !workers_pick (&route->workers, &wish, now)))
            continue;
        request_t r;
        queue_pop (&route->queue, line, &r);
        wish.avoid = r.avoid;
        dispatch_add (d, EXPIRED, late);
        if (late)
            zmq_msg_close (&r.frame);
        else if (dispatch_give (d, route, client, &r, &wish) != 0)
            dispatch_wait (d, route, client, &r); /* all whom it could go to have died */
        return true;
    }
    return false;
}

/*  Called wherever credit came back or a worker came: nothing else makes room, so nothing else
 *  needs to look at the queue. workers_free is asked first, for walking the lines costs more. */
static void dispatch_drain (dispatch_t *d, route_t *route)
{
    while (route->queue.n && workers_free (&route->workers, clock_ms ()) &&
           dispatch_give_waiting (d, route))
        ;
}

/*  ---- requests ------------------------------------------------------------------------------- */

/*  A worker that answered nothing at all since it got this request, for a quarter of the time that
 *  the request had, is doubted. One that answers others meanwhile is only busy. */
static void dispatch_doubt_holder (flight_t *f, int64_t now)
{
    worker_t *w = workers_find (&f->route->workers, f->worker);
    if (w && w->answered_ms < f->given_ms &&
        now - f->given_ms >= (f->deadline_ms - f->given_ms) / DISPATCH_LATE)
        workers_failed (w, 1, now);
}

/*  A request that comes again while a worker has it. When time has passed, another worker that is
 *  idle gets it as well; else the one that has it gets it once more, for the first may have been
 *  lost on the way there. */
static void dispatch_hand_on (dispatch_t *d, route_t *route, peer_t *client, flight_t *holder,
                              const envelope_t *e, request_t *r)
{
    /* Those that have the request already must not get it again as if they were others. */
    workers_wish_t wish = {.avoid = r->avoid};
    int64_t now = clock_ms ();
    bool late = false;
    for (flight_t *f = holder; f; f = flights_of_request (client, e->sequence, f)) {
        dispatch_doubt_holder (f, now);
        late = late || now - f->given_ms >= (f->deadline_ms - f->given_ms) / DISPATCH_LATE;
        if (wish.not_n < WORKERS_WISH_MAX)
            wish.not [wish.not_n++] = f->worker;
    }
    /* Only an idle worker: while others wait in the queue, a second copy of this request would
       take the place of a first copy of theirs. */
    if (late && wish.not_n < DISPATCH_HOLDERS_MAX && route->queue.n == 0 &&
        dispatch_give (d, route, client, r, &wish) == 0) {
        dispatch_add (d, HANDED_ON, 1);
        return;
    }
    /* Giving may have removed peers: look again. */
    flight_t *f = client->dead ? NULL : flights_of_request (client, e->sequence, NULL);
    if (f && envelope_patch (&r->frame, f->ticket, e->left_ms) == 0) {
        peer_t *worker = f->worker;
        if (outbox_send_frame (d->outbox, worker, &r->frame) == 0)
            return;
        dispatch_remove_peer (d, worker); /* which tells the client */
    }
    zmq_msg_close (&r->frame);
}

/*  A client asks for another worker than the one that answered it: that answer was none to it. Only
 *  who really had an answer to this request is believed. */
static void dispatch_complain (route_t *route, const peer_t *client, const envelope_t *e)
{
    for (size_t i = 0; e->avoid.size && i < route->workers.n; i++) {
        worker_t *w = &route->workers.worker[i];
        if (slice_equal (slice_of (w->peer->name), e->avoid) &&
            peer_had_answer (client, e->id, w->peer))
            workers_failed (w, DISPATCH_COMPLAINT, clock_ms ());
    }
}

/*  index counts how often the client has sent this request; 0 is the first time. A later one
 *  finds a worker that has it, or its place in the queue, or neither: then the first was lost on
 *  the way to the bus, or with a worker, and this one is as good as the first. */
void dispatch_request (dispatch_t *d, peer_t *client, const envelope_t *e, zmq_msg_t *frame)
{
    dispatch_add (d, REQUESTS, 1);
    route_t *route = routes_of (&d->routes, e->service);
    if (!route) {
        outbox_reply (d->outbox, client, e->sequence, ERR_LIMIT,
                      "too many different services on this bus");
        return;
    }
    request_t r = {.sequence = e->sequence, .deadline_ms = clock_ms () + (int64_t) e->left_ms};
    slice_text (e->avoid, r.avoid, sizeof r.avoid);
    flight_t *holder = e->index > 0 ? flights_of_request (client, e->sequence, NULL) : NULL;
    /* It waits already. Its place in the line is worth more than this copy. */
    if (!holder && e->index > 0 && queue_holds (&route->queue, client, e->sequence))
        return;
    /* Said once, with the first try: a resent one repeats the wish, and must not be counted
       again. */
    if (e->index == 0)
        dispatch_complain (route, client, e);
    /* What is still needed of the envelope after the frame has moved. */
    envelope_t again = {.sequence = e->sequence, .left_ms = e->left_ms};
    zmq_msg_init (&r.frame);
    zmq_msg_move (&r.frame, frame); /* from here on e points nowhere */
    workers_wish_t wish = {.avoid = r.avoid};
    if (holder)
        dispatch_hand_on (d, route, client, holder, &again, &r);
    /* Who waits goes first: a request that is given at once would overtake them. */
    else if (route->queue.n || dispatch_give (d, route, client, &r, &wish) != 0)
        dispatch_wait (d, route, client, &r);
}

/*  ---- replies -------------------------------------------------------------------------------- */

/*  Whether a refusal is about the machine that refuses, not about what was asked. */
static bool dispatch_machine_failed (uint32_t code)
{
    return code == ERR_INTERNAL || code == ERR_IO || code == ERR_NETWORK || code == ERR_FULL ||
           code >= ERR_COUNT;
}

/*  A failure of the worker's machine counts against it. Any other reply is an answer, even one that
 *  calls the input bad: about the input it may be right. The worker may be gone from the service by
 *  now; then there is nobody to judge. */
static void dispatch_judge (const flight_t *f, uint32_t code)
{
    worker_t *w = workers_find (&f->route->workers, f->worker);
    if (w && dispatch_machine_failed (code))
        workers_failed (w, 1, clock_ms ());
    else if (w)
        workers_answered (w, clock_ms ());
}

/*  A reply counts only from the worker that holds the ticket, under the number that it was
 *  given. So a late reply, or one that is made up, ends nothing: its ticket is another flight's
 *  by then, or none. */
void dispatch_reply (dispatch_t *d, const peer_t *worker, const envelope_t *e, zmq_msg_t *frame)
{
    flight_t *f = flights_find (d->flights, e->ticket);
    if (!f || f->worker != worker || f->sequence != e->sequence)
        return;
    peer_t *client = f->client;
    route_t *route = f->route;
    uint64_t sequence = e->sequence;
    dispatch_judge (f, e->code);
    flights_end (d->flights, f);
    flight_t *other = flights_of_request (client, sequence, NULL);
    if (!other || !dispatch_machine_failed (e->code)) {
        /* The first good reply wins. The others stop, and whoever was silent all the while is
           doubted. */
        while ((other = flights_of_request (client, sequence, NULL))) {
            dispatch_doubt_holder (other, clock_ms ());
            dispatch_cancel_flight (d, other);
        }
        /* For dispatch_complain: only who got an answer may complain about it. */
        peer_remember_answer (client, e->id, worker);
        dispatch_add (d, REPLIES, 1);
        outbox_send_frame (d->outbox, client, frame);
    } /* else another worker still has it, and may do better */
    dispatch_drain (d, route);
}

/*  The ticket and who sent it are enough to know whose reply this would have been. */
void dispatch_damaged_reply (dispatch_t *d, const void *identity, size_t identity_n,
                             const envelope_t *e)
{
    flight_t *f = flights_find (d->flights, e->ticket);
    if (!f || f->worker->identity_n != identity_n ||
        memcmp (f->worker->identity, identity, identity_n) != 0)
        return;
    peer_t *client = f->client;
    route_t *route = f->route;
    uint64_t sequence = f->sequence;
    dispatch_judge (f, ERR_NETWORK);
    flights_end (d->flights, f);
    if (!flights_of_request (client, sequence, NULL))
        outbox_lost (d->outbox, client, sequence);
    dispatch_drain (d, route);
}

/*  The sender names its own number, so nobody can cancel what another asked. A request may be in
 *  flight, in a queue, or at several workers at once. */
void dispatch_cancel (dispatch_t *d, const peer_t *client, const envelope_t *e)
{
    flight_t *f;
    while ((f = flights_of_request (client, e->sequence, NULL))) {
        route_t *route = f->route;
        dispatch_cancel_flight (d, f);
        dispatch_drain (d, route);
    }
    for (size_t i = 0; i < d->routes.n; i++)
        queue_cancel (&d->routes.route[i]->queue, client, e->sequence);
}

/*  ---- workers -------------------------------------------------------------------------------- */

/*  The route of a service that somebody serves. When there are too many, one gives way that nobody
 *  serves: made-up names must not keep services out. */
static route_t *dispatch_route_for_worker (dispatch_t *d, slice_t name)
{
    route_t *route = routes_of (&d->routes, name), *unserved;
    if (route || !(unserved = routes_unserved (&d->routes)))
        return route;
    /* Those that wait there are answered, not dropped: they may ask again when somebody serves
       it. */
    for (line_t *line; (line = queue_next (&unserved->queue, NULL));) {
        peer_t *client = queue_client (line);
        request_t r;
        queue_pop (&unserved->queue, line, &r);
        zmq_msg_close (&r.frame);
        outbox_reply (d->outbox, client, r.sequence, ERR_BUSY, "nobody serves this");
    }
    routes_sweep (&d->routes);
    return routes_of (&d->routes, name);
}

/*  NULL: the peer is refused, and was told. */
static worker_t *dispatch_register (dispatch_t *d, route_t *route, peer_t *peer,
                                    const envelope_t *e)
{
    char numerics[ENVELOPE_NAME_MAX + 1], text[ENVELOPE_TEXT_MAX];
    slice_text (e->text, numerics, sizeof numerics);
    /* All workers of a service must give the same bits for the same weights. The first one sets
       what they compute with; a different one is refused while any of them is there. */
    if (route->workers.n && strcmp (route->numerics, numerics) != 0) {
        snprintf (
            text, sizeof text,
            "this '%s' computes with '%s', the others on this bus with '%s': the same weights "
            "could not be promised (QUINTET_ISA picks one)",
            route->name, numerics, route->numerics);
        outbox_refuse (d->outbox, peer, ERR_CONFIG, text);
        return NULL;
    }
    worker_t *w = peer->serves < DISPATCH_SERVICES_MAX ? workers_add (&route->workers, peer) : NULL;
    if (!w) {
        outbox_refuse (d->outbox, peer, ERR_BUSY, "too many services or workers on this bus");
        return NULL;
    }
    peer->serves++;
    memcpy (route->numerics, numerics, sizeof numerics);
    dispatch_add (d, WORKERS, 1);
    log_info ("worker.ready", "service=%s worker=%s credit=%u", route->name, peer->name, e->credit);
    return w;
}

/*  Also how a worker changes its credit, and how it registers again after the bus forgot it:
 *  READY may come any number of times. */
void dispatch_ready (dispatch_t *d, peer_t *peer, const envelope_t *e)
{
    route_t *route = dispatch_route_for_worker (d, e->service);
    if (!route) {
        outbox_refuse (d->outbox, peer, ERR_BUSY, "too many services or workers on this bus");
        return;
    }
    worker_t *w = workers_find (&route->workers, peer);
    if (!w && !(w = dispatch_register (d, route, peer, e)))
        return;
    w->credit = e->credit;
    dispatch_drain (d, route);
}

/*  ---- time ----------------------------------------------------------------------------------- */

/*  Deadlines first, since they free credit, which the queues behind then get. */
void dispatch_tick (dispatch_t *d, int64_t now)
{
    for (flight_t *f = flights_next (d->flights, NULL); f; f = flights_next (d->flights, f))
        /* The client gives up by itself at its deadline, so it is not told; the worker is, so
           that it stops. */
        if (now >= f->deadline_ms) {
            dispatch_add (d, EXPIRED, 1);
            dispatch_doubt_holder (f, now);
            dispatch_cancel_flight (d, f);
        }
    for (size_t i = 0; i < d->routes.n; i++) {
        dispatch_add (d, EXPIRED, queue_expire (&d->routes.route[i]->queue, now));
        dispatch_drain (d, d->routes.route[i]);
    }
    routes_sweep (&d->routes);
    /* Gauges, unlike the counters above: set anew each time. */
    size_t queued = 0, queued_for[DISPATCH_KNOWN] = {0};
    for (size_t i = 0; i < d->routes.n; i++) {
        const route_t *route = d->routes.route[i];
        queued += route->queue.n;
        for (size_t k = 0; k < DISPATCH_KNOWN; k++)
            if (strcmp (route->name, dispatch_known[k]) == 0)
                queued_for[k] = route->queue.n;
    }
    for (size_t k = 0; k < DISPATCH_KNOWN; k++)
        atomic_store_explicit (&d->queued_for[k], queued_for[k], memory_order_relaxed);
    dispatch_set (d, QUEUED, queued);
    dispatch_set (d, IN_FLIGHT, flights_count (d->flights));
    dispatch_set (d, SERVICES, d->routes.n);
}

void dispatch_status (const dispatch_t *d, dispatch_status_t *status)
{
    uint64_t *const to[] = {&status->requests, &status->replies,   &status->expired,
                            &status->deaths,   &status->handed_on, &status->workers,
                            &status->services, &status->queued,    &status->in_flight};
    for (size_t i = 0; i < COUNTERS; i++)
        *to[i] = atomic_load_explicit (&d->count[i], memory_order_relaxed);
    for (size_t k = 0; k < DISPATCH_KNOWN; k++)
        status->queued_for[k] = atomic_load_explicit (&d->queued_for[k], memory_order_relaxed);
}

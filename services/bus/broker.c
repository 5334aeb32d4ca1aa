/*  broker - see broker.h
 *
 *  A request frame is forwarded as it came, with two fields patched in place: the ticket, under which the
 *  broker remembers who asked, and the time left. So forwarding allocates nothing and copies nothing. A
 *  ticket is generation << 20 | slot of the flight table.
 */
#include "broker.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/bus.h"
#include "bus/endpoint.h"
#include "bus/envelope.h"
#include "peers.h"
#include "services.h"

#define FLIGHTS_MAX 65536
#define TICK_MS     50
#define SLOT_BITS   20
#define SLOT_MASK   (((uint64_t) 1 << SLOT_BITS) - 1)
#define BATCH       64    /* frames taken before clocks and monitors are looked at again */
#define HWM         20000 /* messages that wait for one peer */

typedef struct {
    uint64_t ticket; /* 0: free */
    peer_t *client, *worker;
    service_t *service;
    uint64_t sequence; /* the client's number */
    int64_t deadline_ms;
    uint32_t next_free;
} flight_t;

struct broker {
    void *socket, *monitor;
    uint64_t boot, generation;
    peers_t *peers;
    services_t services;
    flight_t *flight;
    uint32_t first_free, flights;
    _Atomic uint64_t count[13]; /* in the order of broker_status_t */
};

enum {
    REQUESTS,
    REPLIES,
    BUSY,
    EXPIRED,
    DEATHS,
    UNROUTABLE,
    MALFORMED,
    DAMAGED,
    PEERS,
    SERVICES,
    WORKERS,
    QUEUED,
    IN_FLIGHT
};

static void add (broker_t *b, int what, uint64_t n)
{
    /* One writer: a plain load and store is enough. */
    atomic_store_explicit (&b->count[what],
                           atomic_load_explicit (&b->count[what], memory_order_relaxed) + n,
                           memory_order_relaxed);
}

broker_t *broker_new (void *context, const char *endpoint, uint64_t boot, err_t *err)
{
    broker_t *b = calloc (1, sizeof *b);
    if (!b) {
        err_set (err, ERR_LIMIT, "no memory for the requests actor");
        return NULL;
    }
    b->boot = boot;
    b->peers = peers_new ();
    b->flight = calloc (FLIGHTS_MAX, sizeof *b->flight);
    b->first_free = UINT32_MAX;
    b->socket = zmq_socket (context, ZMQ_ROUTER);
    endpoint_options_t options = {.hwm = HWM, .payload_max = WIRE_PAYLOAD_MAX};
    int rc = b->peers && b->flight && b->socket
                 ? endpoint_bind (b->socket, endpoint, &options, err)
                 : err_set (err, ERR_LIMIT, "no memory for the requests actor");
    if (rc == 0)
        b->monitor = peers_monitor (context, b->socket);
    if (rc != 0)
        broker_destroy (&b);
    return b;
}

/*  ---- sending ----------------------------------------------------------------------------------------- */

/*  On failure the frame is still the caller's, and the peer is told that something for it was lost. */
static int send_frame (broker_t *b, peer_t *to, zmq_msg_t *frame)
{
    if (zmq_send (b->socket, to->identity, to->identity_n, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
        zmq_msg_send (frame, b->socket, ZMQ_DONTWAIT) >= 0)
        return 0;
    peers_lost (b->peers, to);
    add (b, UNROUTABLE, 1);
    return -1;
}

static void send_envelope (broker_t *b, peer_t *to, const envelope_t *envelope)
{
    envelope_t e = *envelope;
    e.sender = slice_of ("bus");
    e.boot = b->boot;
    zmq_msg_t frame;
    if (envelope_pack (&e, (slice_t){"", 0}, &frame) == 0 && send_frame (b, to, &frame) != 0)
        zmq_msg_close (&frame);
}

/*  The bus's own reply: nothing but a code. */
static void answer (broker_t *b, peer_t *client, uint64_t sequence, err_code_t code,
                    const char *text)
{
    envelope_t e = {
        .kind = ENVELOPE_REPLY, .sequence = sequence, .code = code, .text = slice_of (text)};
    send_envelope (b, client, &e);
}

/*  ---- flights ------------------------------------------------------------------------------------------ */

static flight_t *flight_new (broker_t *b)
{
    flight_t *f;
    uint32_t slot;
    if (b->first_free != UINT32_MAX) {
        slot = b->first_free;
        f = &b->flight[slot];
        b->first_free = f->next_free;
    } else if (b->flights < FLIGHTS_MAX) {
        slot = b->flights++;
        f = &b->flight[slot];
    } else {
        return NULL;
    }
    f->ticket = ++b->generation << SLOT_BITS | slot;
    add (b, IN_FLIGHT, 1);
    return f;
}

static flight_t *flight_find (broker_t *b, uint64_t ticket)
{
    uint64_t slot = ticket & SLOT_MASK;
    return ticket && slot < b->flights && b->flight[slot].ticket == ticket ? &b->flight[slot]
                                                                           : NULL;
}

/*  The flight of a client's request. */
static flight_t *flight_of (broker_t *b, const peer_t *client, uint64_t sequence)
{
    for (uint32_t i = 0; i < b->flights; i++) {
        flight_t *f = &b->flight[i];
        if (f->ticket && f->client == client && f->sequence == sequence)
            return f;
    }
    return NULL;
}

static void flight_end (broker_t *b, flight_t *f)
{
    worker_t *w = service_worker (f->service, f->worker);
    if (w && w->used)
        w->used--;
    f->ticket = 0;
    f->next_free = b->first_free;
    b->first_free = (uint32_t) (f - b->flight);
    add (b, IN_FLIGHT, (uint64_t) -1);
}

/*  Ends a flight that nobody waits for, and tells its worker. */
static void flight_cancel (broker_t *b, flight_t *f)
{
    envelope_t e = {.kind = ENVELOPE_CANCEL, .ticket = f->ticket};
    send_envelope (b, f->worker, &e);
    flight_end (b, f);
}

/*  ---- deaths --------------------------------------------------------------------------------------------- */

/*  Nothing points to the peer afterwards. Who waited for it is told, and sends again; who works for it is told,
 *  and stops. */
static void bury (broker_t *b, peer_t *peer)
{
    bool worked = false;
    peer->dead = true;
    for (size_t i = 0; i < b->services.n; i++) {
        service_t *s = b->services.service[i];
        service_orphan (s, peer);
        worker_t *w = service_worker (s, peer);
        if (!w)
            continue;
        service_drop_worker (s, w);
        worked = true;
        add (b, WORKERS, (uint64_t) -1);
    }
    for (uint32_t i = 0; i < b->flights; i++) {
        flight_t *f = &b->flight[i];
        if (f->ticket && f->worker == peer) {
            envelope_t lost = {.kind = ENVELOPE_LOST, .sequence = f->sequence};
            flight_end (b, f);
            if (f->client != peer)
                send_envelope (b, f->client, &lost);
        } else if (f->ticket && f->client == peer) {
            flight_cancel (b, f);
        }
    }
    if (worked) {
        add (b, DEATHS, 1);
        log_warn ("worker.lost", "worker=%s", peer->name);
    }
}

/*  ---- handing out ---------------------------------------------------------------------------------------- */

static void give_up (broker_t *b, pending_t *p, err_code_t code, const char *text)
{
    zmq_msg_close (&p->frame);
    answer (b, p->client, p->sequence, code, text);
    add (b, BUSY, code == ERR_BUSY);
}

/*  False: the worker cannot be reached. It is buried, and the request still to be handed out. */
static bool assign (broker_t *b, service_t *s, worker_t *w, pending_t *p)
{
    flight_t *f = flight_new (b);
    if (!f) {
        give_up (b, p, ERR_BUSY, "too many requests are in flight");
        return true;
    }
    int64_t left = clock_left_ms (p->deadline_ms);
    w->used++;
    f->client = p->client;
    f->worker = w->peer;
    f->service = s;
    f->sequence = p->sequence;
    f->deadline_ms = p->deadline_ms;
    bool fits = envelope_patch (&p->frame, f->ticket, left > 0 ? (uint32_t) left : 1) == 0;
    if (fits && send_frame (b, w->peer, &p->frame) == 0)
        return true;
    flight_end (b, f);
    if (fits)
        bury (b, w->peer);
    else
        give_up (b, p, ERR_INPUT, "a request without room for a ticket");
    return !fits;
}

/*  Hands a request to the worker, or to another that can be reached; without one it waits. */
static void place (broker_t *b, service_t *s, worker_t *w, pending_t *p)
{
    while (w && !assign (b, s, w, p))
        w = service_free_worker (s, p->avoid);
    if (w)
        return;
    if (p->client->dead)
        zmq_msg_close (&p->frame); /* it was its own worker */
    else if (service_push (s, p) == 0)
        add (b, QUEUED, 1);
    else
        give_up (b, p, ERR_BUSY, "the queue of this service is full");
}

static void drain (broker_t *b, service_t *s)
{
    worker_t *w;
    while (s->queued && (w = service_free_worker (s, service_first (s)->avoid))) {
        pending_t p = service_pop (s);
        add (b, QUEUED, (uint64_t) -1);
        if (p.client && clock_ms () < p.deadline_ms) {
            place (b, s, w, &p);
        } else {
            zmq_msg_close (&p.frame);
            add (b, EXPIRED, p.client != NULL);
        }
    }
}

/*  ---- what arrives ---------------------------------------------------------------------------------------- */

/*  A client that sends again (tries > 0) is answered by the first try when that is still under way. Its worker
 *  gets it once more: the first may have been lost on the way there. */
static bool is_known (broker_t *b, const service_t *s, peer_t *client, const envelope_t *e,
                      zmq_msg_t *frame)
{
    flight_t *f = flight_of (b, client, e->sequence);
    if (!f)
        return service_pending (s, client, e->sequence) != NULL;
    if (envelope_patch (frame, f->ticket, e->left_ms) == 0 && send_frame (b, f->worker, frame) != 0)
        bury (b, f->worker); /* which tells the client */
    return true;
}

static void on_request (broker_t *b, peer_t *client, const envelope_t *e, zmq_msg_t *frame)
{
    add (b, REQUESTS, 1);
    if (slice_equal (e->service, slice_of (BUS_ALIVE))) {
        bool alive = peers_alive (b->peers, e->payload);
        answer (b, client, e->sequence, alive ? ERR_NONE : ERR_MISSING,
                alive ? "" : "nobody of this name is there");
        return;
    }
    service_t *s = services_of (&b->services, e->service);
    if (!s) {
        answer (b, client, e->sequence, ERR_LIMIT, "too many different services on this bus");
        return;
    }
    if (e->index > 0 && is_known (b, s, client, e, frame))
        return;
    pending_t p = {.client = client,
                   .sequence = e->sequence,
                   .deadline_ms = clock_ms () + (int64_t) e->left_ms};
    slice_text (e->avoid, p.avoid, sizeof p.avoid);
    zmq_msg_init (&p.frame);
    zmq_msg_move (&p.frame, frame);
    place (b, s, s->queued ? NULL : service_free_worker (s, p.avoid), &p);
}

static void on_reply (broker_t *b, const peer_t *worker, const envelope_t *e, zmq_msg_t *frame)
{
    flight_t *f = flight_find (b, e->ticket);
    if (!f || f->worker != worker)
        return;
    flight_end (b, f);
    add (b, REPLIES, 1);
    send_frame (b, f->client, frame);
    drain (b, f->service);
}

/*  The ticket and who sent it are enough to know whose reply this would have been: its client asks again. */
static void on_damaged_reply (broker_t *b, const void *identity, size_t identity_n,
                              const envelope_t *e)
{
    flight_t *f = flight_find (b, e->ticket);
    if (!f || f->worker->identity_n != identity_n ||
        memcmp (f->worker->identity, identity, identity_n) != 0)
        return;
    peer_t *client = f->client;
    envelope_t lost = {.kind = ENVELOPE_LOST, .sequence = f->sequence};
    flight_end (b, f);
    send_envelope (b, client, &lost);
    drain (b, f->service);
}

static void on_cancel (broker_t *b, const peer_t *client, const envelope_t *e)
{
    flight_t *f = flight_of (b, client, e->sequence);
    if (f) {
        flight_cancel (b, f);
        drain (b, f->service);
        return;
    }
    for (size_t i = 0; i < b->services.n; i++) {
        service_t *s = b->services.service[i];
        pending_t *p = service_pending (s, client, e->sequence);
        if (p)
            service_forget (s, p);
    }
}

static void refuse_worker (broker_t *b, peer_t *peer, const char *text)
{
    send_envelope (b, peer, &(envelope_t){.kind = ENVELOPE_REFUSED, .text = slice_of (text)});
}

static void on_ready (broker_t *b, peer_t *peer, const envelope_t *e)
{
    service_t *s = services_of (&b->services, e->service);
    char numerics[ENVELOPE_NAME_MAX + 1], text[ENVELOPE_TEXT_MAX];
    slice_text (e->text, numerics, sizeof numerics);
    worker_t *w = s ? service_worker (s, peer) : NULL;
    if (s && !w) {
        if (s->workers && strcmp (s->numerics, numerics) != 0) {
            snprintf (text, sizeof text,
                      "this '%s' computes with '%s', the others on this bus with '%s': the same "
                      "weights could not be promised (QUINTET_ISA picks one)",
                      s->name, numerics, s->numerics);
            refuse_worker (b, peer, text);
            return;
        }
        if ((w = service_add_worker (s, peer))) {
            memcpy (s->numerics, numerics, sizeof numerics);
            add (b, WORKERS, 1);
            log_info ("worker.ready", "service=%s worker=%s credit=%u", s->name, peer->name,
                      e->credit);
        }
    }
    if (!w) {
        refuse_worker (b, peer, "too many services or workers on this bus");
        return;
    }
    w->credit = e->credit;
    drain (b, s);
}

/*  Who finds no room among the peers is told, where it waits for an answer. */
static void turn_away (broker_t *b, peer_t *stranger, const envelope_t *e)
{
    const char *text = "too many peers on this bus";
    if (e->kind == ENVELOPE_REQUEST)
        answer (b, stranger, e->sequence, ERR_LIMIT, text);
    else if (e->kind == ENVELOPE_READY)
        refuse_worker (b, stranger, text);
}

static void on_frame (broker_t *b, const void *identity, size_t identity_n, zmq_msg_t *frame)
{
    envelope_t e;
    peer_t sender = {.identity_n = identity_n};
    memcpy (sender.identity, identity, identity_n);
    envelope_state_t state = envelope_parse (zmq_msg_data (frame), zmq_msg_size (frame), &e);
    if (state != ENVELOPE_WHOLE) {
        add (b, state == ENVELOPE_DAMAGED ? DAMAGED : MALFORMED, 1);
        if (state == ENVELOPE_DAMAGED && e.kind == ENVELOPE_REPLY)
            on_damaged_reply (b, identity, identity_n, &e);
        return;
    }
    if (e.kind == ENVELOPE_HEARTBEAT) {
        const peer_t *peer = peers_heartbeat (b->peers, &e, zmq_msg_get (frame, ZMQ_SRCFD));
        envelope_t heard = {
            .kind = ENVELOPE_HEARTBEAT, .sequence = e.sequence, .epoch = peer ? peer->life : 0};
        send_envelope (b, &sender, &heard);
        return;
    }
    peer_t *peer = peers_of (b->peers, identity, identity_n, &e);
    if (!peer)
        turn_away (b, &sender, &e);
    else if (e.kind == ENVELOPE_REQUEST)
        on_request (b, peer, &e, frame);
    else if (e.kind == ENVELOPE_REPLY)
        on_reply (b, peer, &e, frame);
    else if (e.kind == ENVELOPE_READY)
        on_ready (b, peer, &e);
    else if (e.kind == ENVELOPE_CANCEL)
        on_cancel (b, peer, &e);
}

/*  ---- the loop --------------------------------------------------------------------------------------------- */

static void expire (broker_t *b, int64_t now)
{
    for (uint32_t i = 0; i < b->flights; i++)
        if (b->flight[i].ticket && now >= b->flight[i].deadline_ms) {
            add (b, EXPIRED, 1);
            flight_cancel (b, &b->flight[i]);
        }
    peer_t *dead;
    while ((dead = peers_next_dead (b->peers, now)))
        bury (b, dead);
    for (size_t i = 0; i < b->services.n; i++) {
        service_t *s = b->services.service[i];
        const pending_t *first;
        while ((first = service_first (s)) && (!first->client || now >= first->deadline_ms)) {
            pending_t p = service_pop (s);
            zmq_msg_close (&p.frame);
            add (b, QUEUED, (uint64_t) -1);
            add (b, EXPIRED, p.client != NULL);
        }
        drain (b, s);
    }
    services_sweep (&b->services);
    atomic_store_explicit (&b->count[PEERS], peers_count (b->peers), memory_order_relaxed);
    atomic_store_explicit (&b->count[SERVICES], b->services.n, memory_order_relaxed);
}

/*  Takes what is there, at most BATCH frames. -1: the context is shut down. */
static int take (broker_t *b)
{
    for (int i = 0; i < BATCH; i++) {
        char identity[PEER_IDENTITY_MAX + 1];
        int n = zmq_recv (b->socket, identity, sizeof identity, ZMQ_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        int more = 0;
        size_t size = sizeof more;
        zmq_getsockopt (b->socket, ZMQ_RCVMORE, &more, &size);
        while (more) {
            zmq_msg_t frame;
            zmq_msg_init (&frame);
            if (zmq_msg_recv (&frame, b->socket, ZMQ_DONTWAIT) >= 0 && n <= PEER_IDENTITY_MAX)
                on_frame (b, identity, (size_t) n, &frame);
            zmq_msg_close (&frame);
            zmq_getsockopt (b->socket, ZMQ_RCVMORE, &more, &size);
            n = PEER_IDENTITY_MAX + 1; /* further frames of a message are not looked at */
        }
    }
    return 0;
}

void broker_run (broker_t *b)
{
    int64_t ticked = 0;
    for (;;) {
        zmq_pollitem_t items[2] = {{.socket = b->socket, .events = ZMQ_POLLIN},
                                   {.socket = b->monitor, .events = ZMQ_POLLIN}};
        if (zmq_poll (items, b->monitor ? 2 : 1, TICK_MS) < 0 && errno != EINTR)
            return;
        if (take (b) != 0)
            return;
        if (items[1].revents & ZMQ_POLLIN)
            peers_disconnected (b->peers, b->monitor);
        int64_t now = clock_ms ();
        if (now - ticked >= TICK_MS) {
            ticked = now;
            expire (b, now);
        }
    }
}

void broker_destroy (broker_t **self)
{
    broker_t *b = *self;
    if (!b)
        return;
    services_free (&b->services);
    if (b->monitor)
        zmq_close (b->monitor);
    if (b->socket)
        zmq_close (b->socket);
    peers_destroy (&b->peers);
    free (b->flight);
    free (b);
    *self = NULL;
}

void broker_status (const broker_t *b, broker_status_t *status)
{
    uint64_t *to[] = {&status->requests, &status->replies,    &status->busy,      &status->expired,
                      &status->deaths,   &status->unroutable, &status->malformed, &status->damaged,
                      &status->peers,    &status->services,   &status->workers,   &status->queued,
                      &status->in_flight};
    for (size_t i = 0; i < sizeof to / sizeof *to; i++)
        *to[i] = atomic_load_explicit (&b->count[i], memory_order_relaxed);
}

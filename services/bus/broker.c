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
#include "bus/envelope.h"
#include "peers.h"

#define SERVICES_MAX 32
#define WORKERS_MAX  256 /* of one service */
#define FLIGHTS_MAX  65536
#define QUEUE_MAX    16384 /* requests of one service */
#define QUEUE_BYTES  ((size_t) 256 << 20)
#define TICK_MS      50
#define SLOT_BITS    20
#define SLOT_MASK    (((uint64_t) 1 << SLOT_BITS) - 1)
#define BATCH        64 /* frames taken before clocks and monitors are looked at again */

typedef struct {
    uint64_t ticket; /* 0: free */
    peer_t *client, *worker;
    size_t service;
    uint64_t sequence; /* the client's number */
    int64_t deadline_ms;
    uint32_t next_free;
} flight_t;

typedef struct {
    peer_t *client;
    uint64_t sequence;
    int64_t deadline_ms;
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
    pending_t *queue; /* a ring of QUEUE_MAX, made at first use */
    size_t head, queued, queued_bytes;
} service_t;

struct broker {
    void *socket, *monitor;
    uint64_t boot, generation;
    peers_t *peers;
    service_t *service[SERVICES_MAX];
    size_t services;
    flight_t *flight;
    uint32_t first_free, flights;
    _Atomic uint64_t count[9]; /* in the order of broker_status_t */
};

enum { REQUESTS, REPLIES, BUSY, EXPIRED, DEATHS, UNROUTABLE, WORKERS, QUEUED, IN_FLIGHT };

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
    int rc = b->peers && b->flight && b->socket
                 ? peers_bind (b->socket, endpoint, err)
                 : err_set (err, ERR_LIMIT, "no memory for the requests actor");
    if (rc == 0)
        b->monitor = peers_monitor (context, b->socket);
    if (rc != 0)
        broker_destroy (&b);
    return b;
}

/*  ---- sending ----------------------------------------------------------------------------------------- */

static int send_frame (broker_t *b, const peer_t *to, zmq_msg_t *frame)
{
    if (zmq_send (b->socket, to->identity, to->identity_n, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
        zmq_msg_send (frame, b->socket, ZMQ_DONTWAIT) >= 0)
        return 0;
    zmq_msg_close (frame);
    add (b, UNROUTABLE, 1);
    return -1;
}

static void send_envelope (broker_t *b, const peer_t *to, const envelope_t *envelope)
{
    envelope_t e = *envelope;
    e.sender = slice_of ("bus");
    e.boot = b->boot;
    zmq_msg_t frame;
    if (envelope_pack (&e, (slice_t){"", 0}, &frame) == 0)
        send_frame (b, to, &frame);
}

static void refuse (broker_t *b, const peer_t *client, uint64_t sequence, err_code_t code,
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

static worker_t *worker_of (service_t *s, const peer_t *peer)
{
    for (size_t i = 0; i < s->workers; i++)
        if (s->worker[i].peer == peer)
            return &s->worker[i];
    return NULL;
}

static void flight_end (broker_t *b, flight_t *f)
{
    worker_t *w = worker_of (b->service[f->service], f->worker);
    if (w && w->used)
        w->used--;
    f->ticket = 0;
    f->next_free = b->first_free;
    b->first_free = (uint32_t) (f - b->flight);
    add (b, IN_FLIGHT, (uint64_t) -1);
}

/*  ---- services ------------------------------------------------------------------------------------------ */

static service_t *service_find (broker_t *b, slice_t name, bool make, size_t *index)
{
    for (size_t i = 0; i < b->services; i++)
        if (slice_equal (slice_of (b->service[i]->name), name)) {
            *index = i;
            return b->service[i];
        }
    if (!make || b->services == SERVICES_MAX || name.size == 0 || name.size > ENVELOPE_NAME_MAX)
        return NULL;
    service_t *s = calloc (1, sizeof *s);
    if (!s)
        return NULL;
    slice_text (name, s->name, sizeof s->name);
    *index = b->services;
    return b->service[b->services++] = s;
}

/*  The worker with the most free credit; ties go round. */
static worker_t *worker_free (service_t *s)
{
    worker_t *best = NULL;
    for (size_t i = 0; i < s->workers; i++) {
        worker_t *w = &s->worker[(s->turn + i) % s->workers];
        if (w->used < w->credit && (!best || w->credit - w->used > best->credit - best->used))
            best = w;
    }
    if (best)
        s->turn = (size_t) (best - s->worker) + 1;
    return best;
}

static int assign (broker_t *b, size_t service, worker_t *w, pending_t *p)
{
    flight_t *f = flight_new (b);
    int64_t left = clock_left_ms (p->deadline_ms);
    if (!f || envelope_patch (&p->frame, f->ticket, left > 0 ? (uint32_t) left : 1) != 0) {
        if (f) {
            f->worker = NULL;
            flight_end (b, f);
        }
        zmq_msg_close (&p->frame);
        refuse (b, p->client, p->sequence, f ? ERR_INPUT : ERR_BUSY,
                f ? "a request without room for a ticket" : "too many requests are in flight");
        return -1;
    }
    f->client = p->client;
    f->worker = w->peer;
    f->service = service;
    f->sequence = p->sequence;
    f->deadline_ms = p->deadline_ms;
    w->used++;
    return send_frame (b, w->peer, &p->frame);
}

static pending_t dequeue (broker_t *b, service_t *s)
{
    pending_t p = s->queue[s->head];
    s->head = (s->head + 1) % QUEUE_MAX;
    s->queued--;
    s->queued_bytes -= zmq_msg_size (&p.frame);
    add (b, QUEUED, (uint64_t) -1);
    return p;
}

static void drain (broker_t *b, size_t service)
{
    service_t *s = b->service[service];
    worker_t *w;
    while (s->queued && (w = worker_free (s))) {
        pending_t p = dequeue (b, s);
        if (!p.client || clock_ms () >= p.deadline_ms) {
            zmq_msg_close (&p.frame);
            add (b, EXPIRED, 1);
        } else {
            assign (b, service, w, &p);
        }
    }
}

static void enqueue (broker_t *b, service_t *s, pending_t *p)
{
    if (!s->queue)
        s->queue = calloc (QUEUE_MAX, sizeof *s->queue);
    size_t size = zmq_msg_size (&p->frame);
    if (!s->queue || s->queued == QUEUE_MAX || s->queued_bytes + size > QUEUE_BYTES) {
        zmq_msg_close (&p->frame);
        refuse (b, p->client, p->sequence, ERR_BUSY, "the queue of this service is full");
        add (b, BUSY, 1);
        return;
    }
    s->queue[(s->head + s->queued++) % QUEUE_MAX] = *p;
    s->queued_bytes += size;
    add (b, QUEUED, 1);
}

/*  ---- what arrives ---------------------------------------------------------------------------------------- */

/*  A client that sends again (tries > 0) is answered by the first try when that is still under way. */
static bool is_known (broker_t *b, const peer_t *client, uint64_t sequence)
{
    for (uint32_t i = 0; i < b->flights; i++)
        if (b->flight[i].ticket && b->flight[i].client == client &&
            b->flight[i].sequence == sequence)
            return true;
    for (size_t s = 0; s < b->services; s++)
        for (size_t i = 0; i < b->service[s]->queued; i++) {
            const pending_t *p = &b->service[s]->queue[(b->service[s]->head + i) % QUEUE_MAX];
            if (p->client == client && p->sequence == sequence)
                return true;
        }
    return false;
}

static void on_request (broker_t *b, peer_t *client, const envelope_t *e, zmq_msg_t *frame)
{
    size_t index;
    service_t *s = service_find (b, e->service, true, &index);
    add (b, REQUESTS, 1);
    if (!s) {
        refuse (b, client, e->sequence, ERR_LIMIT, "too many different services on this bus");
        return;
    }
    if (e->index > 0 && is_known (b, client, e->sequence))
        return;
    pending_t p = {.client = client,
                   .sequence = e->sequence,
                   .deadline_ms = clock_ms () + (int64_t) e->left_ms};
    zmq_msg_init (&p.frame);
    zmq_msg_move (&p.frame, frame);
    worker_t *w = s->queued ? NULL : worker_free (s);
    if (w)
        assign (b, index, w, &p);
    else
        enqueue (b, s, &p);
}

static void on_reply (broker_t *b, const peer_t *worker, const envelope_t *e, zmq_msg_t *frame)
{
    flight_t *f = flight_find (b, e->ticket);
    if (!f || f->worker != worker)
        return;
    peer_t *client = f->client;
    size_t service = f->service;
    flight_end (b, f);
    add (b, REPLIES, 1);
    if (!client->dead) {
        zmq_msg_t out;
        zmq_msg_init (&out);
        zmq_msg_move (&out, frame);
        send_frame (b, client, &out);
    }
    if (b->service[service]->queued)
        drain (b, service);
}

static void cancel (broker_t *b, flight_t *f, slice_t id)
{
    envelope_t e = {.kind = ENVELOPE_CANCEL, .id = id, .ticket = f->ticket};
    send_envelope (b, f->worker, &e);
    size_t service = f->service;
    flight_end (b, f);
    drain (b, service);
}

static void on_cancel (broker_t *b, const peer_t *client, const envelope_t *e)
{
    for (uint32_t i = 0; i < b->flights; i++) {
        flight_t *f = &b->flight[i];
        if (f->ticket && f->client == client && f->sequence == e->sequence) {
            cancel (b, f, e->id);
            return;
        }
    }
}

static void on_ready (broker_t *b, peer_t *peer, const envelope_t *e)
{
    size_t index;
    service_t *s = service_find (b, e->service, true, &index);
    envelope_t no = {.kind = ENVELOPE_REFUSED};
    char numerics[ENVELOPE_NAME_MAX + 1], text[ENVELOPE_TEXT_MAX];
    slice_text (e->text, numerics, sizeof numerics);
    worker_t *w = s ? worker_of (s, peer) : NULL;
    if (s && !w && s->workers < WORKERS_MAX) {
        if (s->workers && strcmp (s->numerics, numerics) != 0) {
            snprintf (text, sizeof text,
                      "this '%s' computes with '%s', the others on this bus with '%s': the same "
                      "weights could not be promised (QUINTET_ISA picks one)",
                      s->name, numerics, s->numerics);
            no.text = slice_of (text);
            send_envelope (b, peer, &no);
            return;
        }
        memcpy (s->numerics, numerics, sizeof numerics);
        w = &s->worker[s->workers++];
        *w = (worker_t){.peer = peer};
        add (b, WORKERS, 1);
        log_info ("worker.ready", "service=%s worker=%s credit=%u", s->name, peer->name, e->credit);
    }
    if (!w) {
        no.text = slice_of ("too many services or workers on this bus");
        send_envelope (b, peer, &no);
        return;
    }
    w->credit = e->credit;
    drain (b, index);
}

/*  What a dead client has queued goes nowhere. */
static void orphan (broker_t *b, const peer_t *client)
{
    for (size_t s = 0; s < b->services; s++)
        for (size_t i = 0; i < b->service[s]->queued; i++) {
            pending_t *p = &b->service[s]->queue[(b->service[s]->head + i) % QUEUE_MAX];
            if (p->client == client)
                p->client = NULL;
        }
}

/*  Who waited for a dead worker is told, and sends again. */
static void bury (broker_t *b, peer_t *peer)
{
    orphan (b, peer);
    bool worked = false;
    for (size_t s = 0; s < b->services; s++) {
        worker_t *w = worker_of (b->service[s], peer);
        if (!w)
            continue;
        *w = b->service[s]->worker[--b->service[s]->workers];
        worked = true;
        add (b, WORKERS, (uint64_t) -1);
    }
    for (uint32_t i = 0; i < b->flights; i++) {
        flight_t *f = &b->flight[i];
        if (!f->ticket)
            continue;
        if (f->worker == peer) {
            envelope_t lost = {.kind = ENVELOPE_LOST, .sequence = f->sequence};
            peer_t *client = f->client;
            flight_end (b, f);
            if (!client->dead)
                send_envelope (b, client, &lost);
        } else if (f->client == peer) {
            flight_end (b, f);
        }
    }
    if (worked) {
        add (b, DEATHS, 1);
        log_warn ("worker.lost", "worker=%s", peer->name);
    }
}

static void on_frame (broker_t *b, const void *identity, size_t identity_n, zmq_msg_t *frame)
{
    envelope_t e;
    if (envelope_parse (zmq_msg_data (frame), zmq_msg_size (frame), &e) != 0)
        return;
    if (e.kind == ENVELOPE_HEARTBEAT) {
        peers_heartbeat (b->peers, &e, zmq_msg_get (frame, ZMQ_SRCFD));
        peer_t pulse = {.identity_n = identity_n};
        memcpy (pulse.identity, identity, identity_n);
        send_envelope (b, &pulse, &(envelope_t){.kind = ENVELOPE_HEARTBEAT});
        return;
    }
    peer_t *peer = peers_of (b->peers, identity, identity_n, &e);
    if (!peer)
        return;
    if (e.kind == ENVELOPE_REQUEST)
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
            cancel (b, &b->flight[i], (slice_t){"", 0});
        }
    for (size_t s = 0; s < b->services; s++)
        while (b->service[s]->queued &&
               now >= b->service[s]->queue[b->service[s]->head].deadline_ms) {
            pending_t p = dequeue (b, b->service[s]);
            zmq_msg_close (&p.frame);
            add (b, EXPIRED, 1);
        }
    peer_t *dead;
    while ((dead = peers_next_dead (b->peers, now)))
        bury (b, dead);
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
    for (size_t s = 0; s < b->services; s++) {
        while (b->service[s]->queued) {
            pending_t p = dequeue (b, b->service[s]);
            zmq_msg_close (&p.frame);
        }
        free (b->service[s]->queue);
        free (b->service[s]);
    }
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
    uint64_t *to[] = {&status->requests, &status->replies, &status->busy,
                      &status->expired,  &status->deaths,  &status->unroutable,
                      &status->workers,  &status->queued,  &status->in_flight};
    for (size_t i = 0; i < sizeof to / sizeof *to; i++)
        *to[i] = atomic_load_explicit (&b->count[i], memory_order_relaxed);
}

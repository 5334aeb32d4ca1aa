/*  broker - see broker.h
 *
 *  One thread, one loop: frames in, of connections that peers.c knows; what to do with requests
 *  says dispatch.c.
 */
#include "broker.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/bus.h"
#include "bus/endpoint.h"
#include "bus/envelope.h"
#include "connections.h"
#include "dispatch.h"
#include "peers.h"

#define BROKER_TICK_MS          50
#define BROKER_BATCH            64 /* frames taken before clocks and monitors are looked at again */
#define BROKER_HWM              20000 /* messages that wait for one peer */
#define BROKER_PEER_CONNECTIONS 2     /* messages and heartbeats */
/* Who sent so many is worth a line in the log; a health check is not. */
#define BROKER_JOINED_BEATS 2

struct broker {
    zsock_t *socket;
    connections_t *connections;
    guard_t *guard; /* borrowed */
    outbox_t outbox;
    peers_t *peers;
    dispatch_t *dispatch;
    int64_t ticked_ms;
    atomic_bool ended; /* whoever destroys it sees all that its thread wrote */
    _Atomic uint64_t malformed, damaged, impostors, peers_n;
};

static void broker_add (_Atomic uint64_t *count)
{
    atomic_fetch_add_explicit (count, 1, memory_order_relaxed);
}

/*  Everything is made on the caller's thread, where failing can still be told; from the moment
 *  the actor starts it is that thread's alone, but for the counters. */
broker_t *broker_new (const char *endpoint, uint64_t boot, size_t peers_max, guard_t *guard,
                      err_t *err)
{
    broker_t *b = calloc (1, sizeof *b);
    if (!b) {
        err_set (err, ERR_LIMIT, "no memory for the requests actor");
        return NULL;
    }
    /* What fails here is found below: nothing is used before all of it is there. */
    b->peers = peers_new (peers_max);
    b->socket = zsock_new (ZMQ_ROUTER);
    b->guard = guard;
    b->outbox.socket = zsock_resolve (b->socket);
    b->outbox.boot = boot;
    b->outbox.peers = b->peers;
    b->dispatch = dispatch_new (&b->outbox);
    endpoint_options_t options = {
        .hwm = BROKER_HWM, .payload_max = WIRE_PAYLOAD_MAX, .keys = guard_keys (guard)};
    if (b->peers && b->dispatch)
        b->connections = connections_new (b->socket, endpoint, &options,
                                          BROKER_PEER_CONNECTIONS * peers_max, err);
    else
        err_set (err, ERR_LIMIT, "no memory for the requests actor");
    if (!b->connections)
        broker_destroy (&b);
    return b;
}

void broker_destroy (broker_t **self)
{
    broker_t *b = *self;
    if (!b)
        return;
    (void) atomic_load (&b->ended);
    connections_destroy (&b->connections);
    zsock_destroy (&b->socket);
    dispatch_destroy (&b->dispatch);
    peers_destroy (&b->peers);
    free (b);
    *self = NULL;
}

/*  ---- frames --------------------------------------------------------------------------------- */

/*  Who finds no room among the peers is told where it waits for an answer. An impostor is not. */
static void broker_refuse (broker_t *b, peer_t *stranger, const envelope_t *e,
                           peers_refusal_t refusal)
{
    const char *text = "too many peers on this bus";
    char name[ENVELOPE_NAME_MAX + 1];
    if (refusal == PEERS_IMPOSTOR) {
        uint64_t n = atomic_fetch_add_explicit (&b->impostors, 1, memory_order_relaxed);
        if ((n & (n - 1)) == 0) /* the first, the second, the fourth ... */
            log_warn ("peer.impostor", "peer=%s frames=%llu",
                      slice_text (e->sender, name, sizeof name), (unsigned long long) n + 1);
    } else if (e->kind == ENVELOPE_REQUEST) {
        outbox_reply (&b->outbox, stranger, e->sequence, ERR_LIMIT, text);
    } else if (e->kind == ENVELOPE_READY) {
        outbox_refuse (&b->outbox, stranger, ERR_BUSY, text);
    }
}

/*  The answer carries the number of the peer's life. When it is another one than before, the
 *  peer registers again and sends again what it waits for: that is how a restart of the bus is
 *  healed, and whatever the bus could not deliver. */
static void broker_on_heartbeat (broker_t *b, peer_t *peer, peer_t *connection, const envelope_t *e,
                                 int fd)
{
    peers_heartbeat (peer, e, fd);
    if (peer->beats == BROKER_JOINED_BEATS)
        log_info ("peer.joined", "peer=%s", peer->name);
    outbox_send (
        &b->outbox, connection,
        &(envelope_t){.kind = ENVELOPE_HEARTBEAT, .sequence = e->sequence, .epoch = peer->life});
}

/*  One service is the bus's own: whether a peer of some name is there. Health checks ask it
 *  (svc/health.c). */
static void broker_on_request (broker_t *b, peer_t *client, const envelope_t *e, zmq_msg_t *frame)
{
    if (!slice_equal (e->service, slice_of (BUS_ALIVE))) {
        dispatch_request (b->dispatch, client, e, frame);
        return;
    }
    /* Answered here and at once, so that it also works when every queue is full. */
    bool alive = peers_alive (b->peers, e->payload);
    outbox_reply (&b->outbox, client, e->sequence, alive ? ERR_NONE : ERR_MISSING,
                  alive ? "" : "nobody of this name is there");
}

/*  Whether the holder of the certificate that a frame came by may say it. Who may not is told what
 *  it may, which ends it, unless it means harm. */
static bool broker_allow (broker_t *b, peer_t *connection, const guard_holder_t *who,
                          const envelope_t *e, zmq_msg_t *frame)
{
    char why[GUARD_WHY_SIZE];
    rights_act_t act = e->kind == ENVELOPE_REQUEST ? RIGHTS_ASK
                       : e->kind == ENVELOPE_READY ? RIGHTS_SERVE
                                                   : RIGHTS_BE;
    if (guard_allow (b->guard, who, frame, act, e->service, e->sender, why))
        return true;
    outbox_refuse (&b->outbox, connection, ERR_CONFIG, why);
    return false;
}

static void broker_on_frame (broker_t *b, const void *identity, size_t identity_n, zmq_msg_t *frame)
{
    envelope_t e;
    peers_refusal_t refusal;
    guard_holder_t who;
    char why[GUARD_WHY_SIZE];
    /* Where an answer goes to when the sender is no peer yet, or will be none. */
    peer_t connection = {.identity_n = identity_n};
    memcpy (connection.identity, identity, identity_n);
    if (!guard_admit (b->guard, b->connections, frame, &who, why)) {
        if (*why)
            outbox_refuse (&b->outbox, &connection, ERR_BUSY, why);
        return;
    }
    envelope_state_t state = envelope_parse (zmq_msg_data (frame), zmq_msg_size (frame), &e);
    if (state != ENVELOPE_WHOLE) {
        broker_add (state == ENVELOPE_DAMAGED ? &b->damaged : &b->malformed);
        /* A damaged request is sent again by its client in time. A damaged reply would only be
           missed at the end of a third of its deadline; the bus knows whose it was, and says so
           at once. */
        if (state == ENVELOPE_DAMAGED && e.kind == ENVELOPE_REPLY)
            dispatch_damaged_reply (b->dispatch, identity, identity_n, &e);
        return;
    }
    if (!broker_allow (b, &connection, &who, &e, frame))
        return;
    peer_t *peer = peers_of (b->peers, identity, identity_n, &e, &refusal);
    if (!peer) {
        broker_refuse (b, &connection, &e, refusal);
        return;
    }
    if (e.kind == ENVELOPE_HEARTBEAT) {
        broker_on_heartbeat (b, peer, &connection, &e, zmq_msg_get (frame, ZMQ_SRCFD));
        return;
    }
    /* Reading it costs, so it is read once for each connection, not for each message. */
    if (peer->requests_fd < 0)
        peer->requests_fd = zmq_msg_get (frame, ZMQ_SRCFD);
    if (e.kind == ENVELOPE_REQUEST)
        broker_on_request (b, peer, &e, frame);
    else if (e.kind == ENVELOPE_REPLY)
        dispatch_reply (b->dispatch, peer, &e, frame);
    else if (e.kind == ENVELOPE_READY)
        dispatch_ready (b->dispatch, peer, &e);
    else if (e.kind == ENVELOPE_CANCEL)
        dispatch_cancel (b->dispatch, peer, &e);
}

/*  ---- the loop ------------------------------------------------------------------------------- */

/*  First the dead: what they held is free again for what the dispatch hands out after that. */
static void broker_tick (broker_t *b, int64_t now)
{
    peer_t *dead;
    while ((dead = peers_next_dead (b->peers, now))) {
        if (dead->beats >= BROKER_JOINED_BEATS)
            log_info ("peer.left", "peer=%s", dead->name);
        dispatch_remove_peer (b->dispatch, dead);
    }
    dispatch_tick (b->dispatch, now);
    atomic_store_explicit (&b->peers_n, peers_count (b->peers), memory_order_relaxed);
}

/*  Takes what is there, at most BROKER_BATCH frames. A batch, not all that is there: deadlines
 *  and deaths must be looked at even while frames keep coming. */
static void broker_take (broker_t *b)
{
    for (int i = 0; i < BROKER_BATCH; i++) {
        char identity[PEER_IDENTITY_MAX + 1];
        int n = zmq_recv (b->outbox.socket, identity, sizeof identity, ZMQ_DONTWAIT);
        if (n < 0)
            return;
        while (zsock_rcvmore (b->socket)) {
            zmq_msg_t frame;
            zmq_msg_init (&frame);
            if (zmq_msg_recv (&frame, b->outbox.socket, ZMQ_DONTWAIT) >= 0 &&
                n <= PEER_IDENTITY_MAX)
                broker_on_frame (b, identity, (size_t) n, &frame);
            zmq_msg_close (&frame);
            n = PEER_IDENTITY_MAX + 1; /* further frames of a message are not looked at */
        }
    }
}

/*  Who has hardly been here is not worth a line: a health check comes and goes every two seconds.
 */
static void broker_check_connections (broker_t *b)
{
    int fd;
    while (connections_next_broken (b->connections, &fd)) {
        const peer_t *peer = peers_disconnected (b->peers, fd);
        if (peer && peer->beats >= BROKER_JOINED_BEATS)
            log_info ("peer.disconnected", "peer=%s", peer->name);
    }
}

void broker_actor (zsock_t *pipe, void *broker)
{
    broker_t *b = broker;
    zpoller_t *poller = zpoller_new (pipe, connections_monitor (b->connections), b->socket, NULL);
    zsock_signal (pipe, 0);
    while (poller) {
        /* Of several that are ready the first is named: a flood of frames must not hide the other
           two. */
        const void *ready = zpoller_wait (poller, BROKER_TICK_MS);
        if (ready == pipe || (!ready && zpoller_terminated (poller)))
            break; /* $TERM is all that is ever sent */
        broker_check_connections (b);
        broker_take (b);
        int64_t now = clock_ms ();
        if (now - b->ticked_ms >= BROKER_TICK_MS) {
            /* By the clock, not by the poller's timeout: under load the poller never times out. */
            b->ticked_ms = now;
            broker_tick (b, now);
        }
    }
    zpoller_destroy (&poller);
    atomic_store (&b->ended, true);
}

void broker_status (const broker_t *b, broker_status_t *status)
{
    *status = (broker_status_t){.connections = connections_count (b->connections),
                                .busy = atomic_load (&b->outbox.busy),
                                .unroutable = atomic_load (&b->outbox.unroutable),
                                .malformed = atomic_load (&b->malformed),
                                .damaged = atomic_load (&b->damaged),
                                .impostors = atomic_load (&b->impostors),
                                .peers = atomic_load (&b->peers_n)};
    dispatch_status (b->dispatch, &status->dispatch);
}

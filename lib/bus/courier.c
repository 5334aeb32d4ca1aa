/*  courier - see courier.h
 *
 *  An upload sends chunk 0; the bus answers with the chunks that it wants next, then that it holds
 *  the whole. A download asks for chunk 0, learns the size, and keeps a few chunks asked for. Each
 *  chunk is hashed once, and the hashes of all give the name (base/hash.h).
 *
 *  Within one connection nothing gets lost, so a transfer is begun again when the connection is a
 *  new one. A link may be slow: at 50 KB/s a chunk takes 20 s, and whoever asks again after one
 *  second makes the link carry everything many times over. So what is sent at once grows with what
 *  was measured, and time without progress only makes a transfer begin again when a slow link could
 *  have carried what is under way, then after twice that time and so on; and only such time ends
 *  it.
 */
#include "bus/courier.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/pages.h"
#include "bus/endpoint.h"

#define COURIER_TICK_MS 50
#define COURIER_WINDOW  8 /* chunks asked for at once, at most */
/* A chunk that comes within this time lets twice as many be asked for. */
#define COURIER_FAST_MS    250
#define COURIER_STALL_MS   10000
#define COURIER_STALLS_MAX 8          /* times COURIER_STALL_MS: the longest */
#define COURIER_SLOWEST    (32 << 10) /* bytes a second of a link that is not measured yet */
#define COURIER_SPARE      4          /* times what the last chunk took, until one counts as lost */
#define COURIER_OBJECT_MAX ((uint64_t) 64 << 30)
#define COURIER_MONITOR    "inproc://courier"

struct courier {
    const node_t *node;
    const pulse_t *pulse;
    transfers_t *transfers;
    pthread_t thread;
    bool runs;
    /* the thread's */
    void *socket;
    void *monitor;     /* tells of new connections; NULL: there is none, and stalls must do */
    uint64_t bus_boot; /* of the bus that the socket was made for; 0: none has answered yet */
};

static uint32_t courier_chunks_of (uint64_t size)
{
    return size ? (uint32_t) ((size + HASH_CHUNK - 1) / HASH_CHUNK) : 1;
}

static slice_t courier_hash_slice (const hash_t *hash)
{
    return (slice_t){.data = (const char *) hash->bytes, .size = HASH_SIZE};
}

/*  ---- what is sent --------------------------------------------------------------------------- */

/*  Lent content is read here and nowhere else, and only while the transfer is claimed. An index
 *  beyond the end is asked for by a bus that believes in another size; it learns better from the
 *  size in every frame. */
static void courier_put (const courier_t *c, const transfer_t *t, uint32_t index)
{
    uint64_t at = (uint64_t) index * HASH_CHUNK;
    if (at >= t->size && index > 0)
        return;
    envelope_t e = {.kind = ENVELOPE_PUT,
                    .sequence = t->number,
                    .hash = courier_hash_slice (&t->hash),
                    .size = t->size,
                    .index = index,
                    .payload = {.data = t->data + at,
                                .size = t->size - at < HASH_CHUNK ? t->size - at : HASH_CHUNK}};
    node_send (c->node, c->socket, &e);
}

static void courier_get (const courier_t *c, const transfer_t *t, uint32_t index)
{
    envelope_t e = {.kind = ENVELOPE_GET,
                    .sequence = t->number,
                    .hash = courier_hash_slice (&t->hash),
                    .index = index};
    node_send (c->node, c->socket, &e);
}

/*  The message was packed when it was added, on the caller's thread; a copy goes out, for it may
 *  have to go again. */
static void courier_send_message (const courier_t *c, const transfer_t *t)
{
    zmq_msg_t frame;
    if (zmq_msg_init_size (&frame, t->size) != 0)
        return; /* the next stall sends it again */
    memcpy (zmq_msg_data (&frame), t->data, t->size);
    if (zmq_msg_send (&frame, c->socket, ZMQ_DONTWAIT) < 0)
        zmq_msg_close (&frame);
}

/*  Sends what a transfer begins with, or begins again with: the message, chunk 0 of an upload, or a
 *  download's question for what is missing. */
static void courier_begin (const courier_t *c, transfer_t *t, int64_t now)
{
    /* What has waited in the list has not been without progress: its patience begins now. */
    if (!t->begun)
        t->progress_ms = now;
    t->begun = true;
    t->sent_ms = now;
    if (t->kind == TRANSFER_MESSAGE)
        courier_send_message (c, t);
    else if (t->kind == TRANSFER_UPLOAD)
        courier_put (c, t, 0);
    else if (!t->data)
        courier_get (c, t, 0);
    /* At most a window of them, the first missing ones: after a lost connection nothing is under
       way. */
    for (uint32_t i = 0, n = 0; t->kind == TRANSFER_DOWNLOAD && i < t->asked && n < t->window; i++)
        if (!t->got[i]) {
            courier_get (c, t, i);
            n++;
        }
}

/*  ---- what arrives --------------------------------------------------------------------------- */

/*  Also the start of the next stall: a transfer that goes on slowly is never begun again. */
static void courier_progress (transfer_t *t, int64_t now)
{
    t->stall_ms = COURIER_STALL_MS + COURIER_SPARE * (now - t->sent_ms);
    if (t->stall_ms > COURIER_STALLS_MAX * COURIER_STALL_MS)
        t->stall_ms = COURIER_STALLS_MAX * COURIER_STALL_MS;
    t->progress_ms = now;
    t->sent_ms = now;
}

/*  t->size: what the caller knows of it, or 0. */
static int courier_begin_download (transfer_t *t, uint64_t size)
{
    if (size > COURIER_OBJECT_MAX || (t->size && size != t->size)) {
        transfer_fail (t, ERR_INPUT, "the object does not have the size that it should");
        return -1;
    }
    t->size = size;
    t->chunks = courier_chunks_of (size);
    /* Weights are large: pages of their own go back to the system as a whole when they are
       freed. */
    t->data = pages_alloc (size + 1);
    t->chunk_hash = calloc (t->chunks, sizeof *t->chunk_hash);
    t->got = calloc (t->chunks, 1);
    t->asked = 1;
    t->window = 1;
    if (t->data && t->chunk_hash && t->got)
        return 0;
    transfer_fail (t, ERR_LIMIT, "no memory for the object");
    return -1;
}

static void courier_on_chunk (const courier_t *c, transfer_t *t, const envelope_t *e)
{
    if (!t->data && courier_begin_download (t, e->size) != 0)
        return;
    uint64_t at = (uint64_t) e->index * HASH_CHUNK;
    uint64_t wanted = t->size - at < HASH_CHUNK ? t->size - at : HASH_CHUNK;
    /* What does not fit is dropped without a word: it is late, doubled or broken, and what is
       missing is asked for again. */
    if (e->size != t->size || e->index >= t->chunks || e->payload.size != wanted ||
        t->got[e->index])
        return;
    memcpy (t->data + at, e->payload.data, wanted);
    t->chunk_hash[e->index] = hash_of (e->payload.data, wanted);
    t->got[e->index] = 1;
    t->have++;
    int64_t now = clock_ms ();
    if (now - t->progress_ms <= COURIER_FAST_MS && t->window < COURIER_WINDOW)
        t->window *= 2;
    courier_progress (t, now);
    /* The window slides with what came, so the link is kept full and the bus's memory is not. */
    while (t->asked < t->chunks && t->asked < t->have + t->window)
        courier_get (c, t, t->asked++);
    if (t->have < t->chunks)
        return;
    /* Only now is the content known to be what was asked for; before that nobody else sees it. */
    hash_t root = hash_root (t->chunk_hash, t->chunks);
    /* Finished does not mean well: the caller is given the object or the error, once. */
    t->finished = true;
    if (!hash_equal (&root, &t->hash))
        transfer_fail (t, ERR_INPUT, "the object's content does not have the hash that names it");
}

/*  A manifest that was asked for comes as the event that announced it. */
static void courier_on_manifest (courier_t *c, const envelope_t *e)
{
    char topic[BUS_TOPIC_MAX + 1];
    int n = snprintf (topic, sizeof topic, "policy/%.*s/%.*s", (int) e->text.size, e->text.data,
                      (int) e->service.size, e->service.data);
    transfer_t *t = n >= 0 && (size_t) n < sizeof topic ? calloc (1, sizeof *t) : NULL;
    if (!t)
        return;
    *t = (transfer_t){.kind = TRANSFER_NOTICE,
                      .data = malloc (e->payload.size + 1),
                      .size = e->payload.size,
                      .topic = strdup (topic),
                      .finished = true};
    if (t->data && e->payload.size)
        memcpy (t->data, e->payload.data, e->payload.size);
    if (!t->data || !t->topic || !transfers_notice (c->transfers, t))
        transfer_free (t);
}

static void courier_on_answer (const courier_t *c, transfer_t *t, const envelope_t *e)
{
    char text[ENVELOPE_TEXT_MAX + 1];
    if (e->kind == ENVELOPE_WANT && t->kind == TRANSFER_UPLOAD) {
        courier_progress (t, clock_ms ());
        courier_put (c, t, e->index);
    } else if (e->kind == ENVELOPE_CHUNK && t->kind == TRANSFER_DOWNLOAD) {
        courier_on_chunk (c, t, e);
    } else if (e->code) { /* refused, whatever the answer would have been */
        transfer_fail (t, e->code < ERR_COUNT ? (err_code_t) e->code : ERR_INTERNAL,
                       slice_text (e->text, text, sizeof text));
    } else if (e->kind == ENVELOPE_HELD || e->kind == ENVELOPE_DONE) {
        t->finished = true;
    } else if (e->kind == ENVELOPE_MISSING) {
        transfer_fail (t, ERR_MISSING, "the bus does not hold the object");
    }
}

/*  Asks for the chunk again that a damaged frame says it is. If that, too, is wrong, the stall
 *  asks. */
static void courier_on_damaged (courier_t *c, const envelope_t *e)
{
    transfer_t *t = transfers_claim (c->transfers, e->sequence);
    if (!t)
        return;
    if (t->kind == TRANSFER_DOWNLOAD && t->data && e->index < t->chunks && !t->got[e->index])
        courier_get (c, t, e->index);
    else if (t->kind == TRANSFER_DOWNLOAD && !t->data)
        courier_get (c, t, 0);
    transfers_release (c->transfers, t);
}

/*  Takes a few frames, so that what was added meanwhile does not wait for the end of a long
 *  transfer. */
static void courier_receive (courier_t *c)
{
    zmq_msg_t frame;
    zmq_msg_init (&frame);
    for (int n = 0; n < COURIER_WINDOW && zmq_msg_recv (&frame, c->socket, ZMQ_DONTWAIT) >= 0;
         n++) {
        envelope_t e;
        envelope_state_t state = envelope_parse (zmq_msg_data (&frame), zmq_msg_size (&frame), &e);
        if (state == ENVELOPE_DAMAGED && e.kind == ENVELOPE_CHUNK)
            courier_on_damaged (c, &e);
        if (state != ENVELOPE_WHOLE)
            continue;
        if (e.kind == ENVELOPE_MANIFEST) {
            courier_on_manifest (c, &e);
            continue;
        }
        /* Claimed: from here to the release the caller's thread cannot free it under our hands. */
        transfer_t *t = transfers_claim (c->transfers, e.sequence);
        if (!t)
            continue; /* cancelled meanwhile */
        courier_on_answer (c, t, &e);
        transfers_release (c->transfers, t);
    }
    zmq_msg_close (&frame);
}

/*  ---- the thread ----------------------------------------------------------------------------- */

/*  How long to wait for the first sign of a transfer: its first chunk, or its message, is on the
 *  way for that long where the link is slow. Sent again before that it would only stand behind
 *  itself. */
static int64_t courier_first_stall_ms (const transfer_t *t)
{
    bool unknown = t->kind == TRANSFER_DOWNLOAD && !t->size;
    uint64_t bytes = unknown || t->size > HASH_CHUNK ? HASH_CHUNK : t->size;
    return COURIER_STALL_MS + (int64_t) (bytes * 1000 / COURIER_SLOWEST);
}

/*  Begins what was added, begins again what stalled, gives up what has gone without progress for
 *  too long. again: the connection is a new one, so whatever was under way is lost. */
static void courier_tick (courier_t *c, bool again)
{
    int64_t now = clock_ms ();
    if (transfers_manifests_asked (c->transfers) &&
        node_send (c->node, c->socket, &(envelope_t){.kind = ENVELOPE_MANIFESTS}) != 0)
        transfers_ask_manifests (c->transfers);
    for (transfer_t *t = NULL; (t = transfers_next (c->transfers, t));) {
        if (t->begun && now - t->progress_ms >= t->patience_ms) {
            transfer_fail (t, ERR_TIMEOUT, "the bus did not answer in time");
        } else if (!t->begun || again) {
            courier_begin (c, t, now);
            t->stall_ms = courier_first_stall_ms (t);
        } else if (now - t->sent_ms >= t->stall_ms) {
            courier_begin (c, t, now);
            if (t->stall_ms < COURIER_STALLS_MAX * COURIER_STALL_MS)
                t->stall_ms *= 2;
        }
    }
}

static void courier_close (courier_t *c)
{
    endpoint_unwatch (c->socket, &c->monitor);
    if (c->socket)
        zmq_close (c->socket);
    c->socket = NULL;
}

static int courier_open (courier_t *c, err_t *err)
{
    c->socket = node_connect (c->node, ZMQ_DEALER, ADDRESS_POLICIES, NODE_POLICIES, err);
    if (!c->socket)
        return -1;
    c->monitor = endpoint_watch (c->node->context, c->socket, COURIER_MONITOR,
                                 ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    return 0;
}

/*  Whether the monitor told of a connection since it was last asked. */
static bool courier_reconnected (courier_t *c)
{
    bool connected = false;
    while (endpoint_event (c->monitor, 0, NULL))
        connected = true;
    return connected;
}

/*  A bus that is stopped keeps its connections, and another may take its place; the pulse has
 *  found it. Only the pulse has heartbeats. Without it the courier could wait for a bus that is
 *  gone as long as the connection stands. */
static void courier_follow (courier_t *c)
{
    uint64_t boot = pulse_bus (c->pulse);
    err_t err = {0};
    if (!c->socket || (c->bus_boot && boot != c->bus_boot)) {
        courier_close (c);
        if (courier_open (c, &err) != 0 && c->bus_boot != boot)
            log_err ("bus.policies", &err);
    }
    c->bus_boot = boot;
}

static void *courier_run (void *context)
{
    courier_t *c = context;
    bool first = true;
    while (!transfers_stopped (c->transfers)) {
        /* The list's eventfd wakes the thread when the caller adds something; the monitor, when
           the connection is a new one; the tick does the rest. */
        zmq_pollitem_t items[3] = {{.fd = transfers_fd (c->transfers), .events = ZMQ_POLLIN}};
        int n = 1;
        if (c->socket)
            items[n++] = (zmq_pollitem_t){.socket = c->socket, .events = ZMQ_POLLIN};
        if (c->monitor)
            items[n++] = (zmq_pollitem_t){.socket = c->monitor, .events = ZMQ_POLLIN};
        zmq_poll (items, n, COURIER_TICK_MS);
        transfers_seen (c->transfers);
        courier_follow (c);
        if (!c->socket)
            continue;
        /* What was sent before the first connection waits in the socket: it is not lost. */
        bool connected = courier_reconnected (c), again = connected && !first;
        first = first && !connected;
        courier_tick (c, again);
        courier_receive (c);
    }
    if (c->socket)
        courier_tick (c, false); /* what was added last is still sent */
    courier_close (c);
    return NULL;
}

courier_t *courier_new (const node_t *node, const pulse_t *pulse, transfers_t *transfers,
                        err_t *err)
{
    courier_t *c = calloc (1, sizeof *c);
    if (!c) {
        err_set (err, ERR_LIMIT, "no memory for policy objects");
        return NULL;
    }
    c->node = node;
    c->pulse = pulse;
    c->transfers = transfers;
    /* What it is now; when it changes before the thread runs, the connection is made anew, which
       costs little. */
    c->bus_boot = pulse_bus (pulse);
    int rc = courier_open (c, err);
    if (rc == 0 && (rc = pthread_create (&c->thread, NULL, courier_run, c)) != 0)
        err_set (err, ERR_LIMIT, "no thread for policy objects: %s", strerror (rc));
    c->runs = rc == 0;
    if (rc != 0)
        courier_free (&c);
    return c;
}

void courier_free (courier_t **self)
{
    courier_t *c = *self;
    if (!c)
        return;
    /* The thread owns the sockets until it has ended: they are closed by it, or here when it
       never ran. */
    if (c->runs) {
        transfers_stop (c->transfers);
        pthread_join (c->thread, NULL);
    }
    courier_close (c);
    free (c);
    *self = NULL;
}

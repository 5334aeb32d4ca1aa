/*  courier - see courier.h
 *
 *  An upload sends chunk 0; the bus answers with the chunks that it wants next, then that it holds the whole.
 *  A download asks for chunk 0, learns the size, and keeps a few chunks asked for. Each chunk is hashed
 *  once, and the hashes of all give the name (base/hash.h). Whatever stalls for a while is asked for again.
 */
#include "bus/courier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pages.h"

#define WINDOW      8    /* chunks asked for at once */
#define STALL_MS    1000 /* without progress: ask again */
#define OBJECT_MAX  ((uint64_t) 64 << 30)
#define NOTICES_MAX 4096 /* manifests that wait to be taken */

void transfer_free (transfer_t *t)
{
    if (!t->lent)
        free (t->data);
    free (t->chunk_hash);
    free (t->got);
    free (t->topic);
    free (t);
}

void transfer_fail (transfer_t *t, err_code_t code, const char *text)
{
    err_set (&t->err, code, "%s", text);
    t->finished = true;
}

char *transfer_copy (slice_t bytes)
{
    char *copy = malloc (bytes.size + 1);
    if (copy && bytes.size)
        memcpy (copy, bytes.data, bytes.size);
    return copy;
}

void courier_append (courier_t *c, transfer_t *t)
{
    t->next = NULL;
    *c->end = t;
    c->end = &t->next;
}

static uint32_t chunks_of (uint64_t size)
{
    return size ? (uint32_t) ((size + HASH_CHUNK - 1) / HASH_CHUNK) : 1;
}

static slice_t hash_slice (const hash_t *hash)
{
    return (slice_t){.data = (const char *) hash->bytes, .size = HASH_SIZE};
}

/*  The transfer of that number, for the thread to work on; NULL: there is none, or it is done. */
static transfer_t *claim (courier_t *c, uint64_t number)
{
    pthread_mutex_lock (&c->lock);
    transfer_t *t = c->first;
    while (t && (t->number != number || t->kind == TRANSFER_NOTICE))
        t = t->next;
    t = t && !t->finished ? t : NULL;
    c->claimed = t;
    pthread_mutex_unlock (&c->lock);
    return t;
}

static void release (courier_t *c)
{
    pthread_mutex_lock (&c->lock);
    bool done = c->claimed->finished;
    c->claimed = NULL;
    if (done)
        atomic_fetch_add (&c->done, 1);
    pthread_cond_broadcast (&c->released);
    pthread_mutex_unlock (&c->lock);
    if (done)
        bus_wake (c->bus);
}

/*  ---- what is sent -------------------------------------------------------------------------------------- */

static void put (const courier_t *c, const transfer_t *t, uint32_t index)
{
    uint64_t at = (uint64_t) index * HASH_CHUNK;
    if (at >= t->size && index > 0)
        return;
    envelope_t e = {.kind = ENVELOPE_PUT,
                    .sequence = t->number,
                    .hash = hash_slice (&t->hash),
                    .size = t->size,
                    .index = index,
                    .payload = {.data = t->data + at,
                                .size = t->size - at < HASH_CHUNK ? t->size - at : HASH_CHUNK}};
    bus_send (c->bus, c->socket, &e);
}

static void get (const courier_t *c, const transfer_t *t, uint32_t index)
{
    envelope_t e = {
        .kind = ENVELOPE_GET, .sequence = t->number, .hash = hash_slice (&t->hash), .index = index};
    bus_send (c->bus, c->socket, &e);
}

static void send_message (const courier_t *c, const transfer_t *t)
{
    zmq_msg_t frame;
    if (zmq_msg_init_size (&frame, t->size) != 0)
        return;
    memcpy (zmq_msg_data (&frame), t->data, t->size);
    if (zmq_msg_send (&frame, c->socket, ZMQ_DONTWAIT) < 0)
        zmq_msg_close (&frame);
}

/*  Sends what a transfer begins with, or what stalled: the message, chunk 0 of an upload, the missing chunks of a
 *  download. */
static void push (const courier_t *c, transfer_t *t)
{
    t->begun = true;
    t->moved_ms = clock_ms ();
    if (t->kind == TRANSFER_MESSAGE)
        send_message (c, t);
    else if (t->kind == TRANSFER_UPLOAD)
        put (c, t, 0);
    else if (!t->data)
        get (c, t, 0);
    for (uint32_t i = 0, n = 0; t->kind == TRANSFER_DOWNLOAD && i < t->asked && n < WINDOW; i++)
        if (!t->got[i]) {
            get (c, t, i);
            n++;
        }
}

/*  ---- what arrives ------------------------------------------------------------------------------------ */

/*  t->size: what the caller knows of it, or 0. */
static int begin_download (transfer_t *t, uint64_t size)
{
    if (size > OBJECT_MAX || (t->size && size != t->size)) {
        transfer_fail (t, ERR_INPUT, "the object does not have the size that it should");
        return -1;
    }
    t->size = size;
    t->chunks = chunks_of (size);
    t->data = pages_alloc (size + 1);
    t->chunk_hash = calloc (t->chunks, sizeof *t->chunk_hash);
    t->got = calloc (t->chunks, 1);
    t->asked = 1;
    if (t->data && t->chunk_hash && t->got)
        return 0;
    transfer_fail (t, ERR_LIMIT, "no memory for the object");
    return -1;
}

static void on_chunk (const courier_t *c, transfer_t *t, const envelope_t *e)
{
    if (!t->data && begin_download (t, e->size) != 0)
        return;
    uint64_t at = (uint64_t) e->index * HASH_CHUNK;
    uint64_t wanted = t->size - at < HASH_CHUNK ? t->size - at : HASH_CHUNK;
    if (e->size != t->size || e->index >= t->chunks || e->payload.size != wanted ||
        t->got[e->index])
        return;
    memcpy (t->data + at, e->payload.data, wanted);
    t->chunk_hash[e->index] = hash_of (e->payload.data, wanted);
    t->got[e->index] = 1;
    t->have++;
    t->moved_ms = clock_ms ();
    while (t->asked < t->chunks && t->asked < t->have + WINDOW)
        get (c, t, t->asked++);
    if (t->have < t->chunks)
        return;
    hash_t root = hash_root (t->chunk_hash, t->chunks);
    t->finished = true;
    if (!hash_equal (&root, &t->hash))
        transfer_fail (t, ERR_INPUT, "the object's content does not have the hash that names it");
}

/*  A manifest that was asked for comes as the event that announced it. */
static void on_manifest (courier_t *c, const envelope_t *e)
{
    char topic[2 * ENVELOPE_NAME_MAX + 1];
    int n = snprintf (topic, sizeof topic, "policy/%.*s/%.*s", (int) e->text.size, e->text.data,
                      (int) e->service.size, e->service.data);
    transfer_t *t = n >= 0 && (size_t) n < sizeof topic ? calloc (1, sizeof *t) : NULL;
    if (!t)
        return;
    *t = (transfer_t){.kind = TRANSFER_NOTICE,
                      .data = transfer_copy (e->payload),
                      .size = e->payload.size,
                      .topic = strdup (topic),
                      .finished = true};
    pthread_mutex_lock (&c->lock);
    bool taken = t->data && t->topic && c->notices < NOTICES_MAX;
    if (taken) {
        courier_append (c, t);
        c->notices++;
        atomic_fetch_add (&c->done, 1);
    }
    pthread_mutex_unlock (&c->lock);
    if (taken)
        bus_wake (c->bus);
    else
        transfer_free (t);
}

static void on_answer (const courier_t *c, transfer_t *t, const envelope_t *e)
{
    char text[ENVELOPE_TEXT_MAX + 1];
    if (e->kind == ENVELOPE_WANT && t->kind == TRANSFER_UPLOAD) {
        t->moved_ms = clock_ms ();
        put (c, t, e->index);
    } else if (e->kind == ENVELOPE_CHUNK && t->kind == TRANSFER_DOWNLOAD) {
        on_chunk (c, t, e);
    } else if (e->kind == ENVELOPE_HELD || e->kind == ENVELOPE_DONE) {
        t->finished = true;
        if (e->code)
            transfer_fail (t, e->code < ERR_COUNT ? (err_code_t) e->code : ERR_INTERNAL,
                           slice_text (e->text, text, sizeof text));
    } else if (e->kind == ENVELOPE_MISSING) {
        transfer_fail (t, ERR_MISSING, "the bus does not hold the object");
    }
}

/*  A few frames: what is new in the list does not wait for the end of a long transfer. */
static void hear (courier_t *c)
{
    zmq_msg_t frame;
    zmq_msg_init (&frame);
    for (int n = 0; n < WINDOW && zmq_msg_recv (&frame, c->socket, ZMQ_DONTWAIT) >= 0; n++) {
        envelope_t e;
        if (envelope_parse (zmq_msg_data (&frame), zmq_msg_size (&frame), &e) != 0)
            continue;
        if (e.kind == ENVELOPE_MANIFEST) {
            on_manifest (c, &e);
            continue;
        }
        transfer_t *t = claim (c, e.sequence);
        if (!t)
            continue;
        on_answer (c, t, &e);
        release (c);
    }
    zmq_msg_close (&frame);
}

/*  Begins what is new, sends again what stalled, gives up what is late. */
static void tend (courier_t *c)
{
    int64_t now = clock_ms ();
    size_t late = 0;
    pthread_mutex_lock (&c->lock);
    if (c->ask_manifests)
        c->ask_manifests =
            bus_send (c->bus, c->socket, &(envelope_t){.kind = ENVELOPE_MANIFESTS}) != 0;
    for (transfer_t *t = c->first; t; t = t->next) {
        if (t->finished)
            continue;
        if (now >= t->deadline_ms) {
            transfer_fail (t, ERR_TIMEOUT, "the bus did not answer in time");
            late++;
        } else if (!t->begun || now - t->moved_ms >= STALL_MS) {
            push (c, t);
        }
    }
    atomic_fetch_add (&c->done, late);
    pthread_mutex_unlock (&c->lock);
    if (late)
        bus_wake (c->bus);
}

void *courier_run (void *context)
{
    courier_t *c = context;
    while (!atomic_load (&c->stop)) {
        zmq_pollitem_t items[] = {{.socket = c->socket, .events = ZMQ_POLLIN},
                                  {.fd = c->stir, .events = ZMQ_POLLIN}};
        uint64_t count;
        zmq_poll (items, 2, BUS_TICK_MS);
        if (items[1].revents && read (c->stir, &count, sizeof count) < 0)
            continue;
        tend (c);
        hear (c);
    }
    tend (c); /* what was given last is still sent */
    zmq_close (c->socket);
    return NULL;
}

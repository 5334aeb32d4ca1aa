/*  objects - uploads and downloads of content-addressed objects, and manifests. See bus.h
 *
 *  An upload sends chunk 0; the bus answers with the chunks that it wants next, then that it holds the whole.
 *  A download asks for chunk 0, learns the size, and keeps a few chunks asked for. Each chunk is hashed
 *  once, and the hashes of all give the name (base/hash.h). Whatever stalls for a while is asked for again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/pages.h"
#include "bus/internal.h"

#define WINDOW     8    /* chunks asked for at once */
#define STALL_MS   1000 /* without progress: ask again */
#define OBJECT_MAX ((uint64_t) 64 << 30)
#define OFFER_MS   600000

static void *policies (bus_t *bus)
{
    err_t err = {0};
    void *socket = bus_socket (bus, &bus->policies, ZMQ_DEALER, ADDRESS_POLICIES, &err);
    if (!socket)
        log_err ("bus.policies", &err);
    return socket;
}

static void transfer_free (bus_transfer_t *t)
{
    if (!t->lent)
        free (t->data);
    free (t->chunk_hash);
    free (t->got);
    free (t);
}

static bus_transfer_t *transfer_new (bus_t *bus, bool upload, const hash_t *hash, int64_t deadline)
{
    bus_transfer_t *t = calloc (1, sizeof *t);
    if (!t)
        return NULL;
    *t = (bus_transfer_t){.upload = upload,
                          .number = ++bus->transfer_number << 1 | 1,
                          .hash = *hash,
                          .moved_ms = clock_ms (),
                          .deadline_ms = clock_ms () + deadline};
    t->next = bus->transfers;
    bus->transfers = t;
    return t;
}

static void fail (bus_transfer_t *t, err_code_t code, const char *text)
{
    err_set (&t->err, code, "%s", text);
    t->finished = t->failed = true;
}

static uint32_t chunks_of (uint64_t size)
{
    return size ? (uint32_t) ((size + HASH_CHUNK - 1) / HASH_CHUNK) : 1;
}

static slice_t hash_slice (const hash_t *hash)
{
    return (slice_t){.data = (const char *) hash->bytes, .size = HASH_SIZE};
}

static void put (bus_t *bus, const bus_transfer_t *t, uint32_t index)
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
    bus_send (bus, policies (bus), &e);
}

static void get (bus_t *bus, const bus_transfer_t *t, uint32_t index)
{
    envelope_t e = {
        .kind = ENVELOPE_GET, .sequence = t->number, .hash = hash_slice (&t->hash), .index = index};
    bus_send (bus, policies (bus), &e);
}

uint64_t bus_offer (bus_t *bus, const char *run, const void *content, size_t size)
{
    (void) run;
    hash_t hash = hash_object (content, size);
    char *copy = malloc (size + 1);
    if (copy && size)
        memcpy (copy, content, size);
    uint64_t number = bus_lend (bus, &hash, copy, size);
    if (number)
        bus->transfers->lent = false; /* the newest */
    else
        free (copy);
    return number;
}

uint64_t bus_lend (bus_t *bus, const hash_t *hash, const void *content, size_t size)
{
    bus_transfer_t *t = policies (bus) ? transfer_new (bus, true, hash, OFFER_MS) : NULL;
    if (!t)
        return 0;
    t->size = size;
    t->data = (char *) content; /* only read */
    t->lent = true;
    if (content)
        put (bus, t, 0);
    else
        fail (t, ERR_LIMIT, "no memory for the object");
    return t->number;
}

uint64_t bus_fetch (bus_t *bus, const hash_t *hash, uint64_t size, int64_t deadline_ms)
{
    (void) size;
    bus_transfer_t *t = policies (bus) ? transfer_new (bus, false, hash, deadline_ms) : NULL;
    if (!t)
        return 0;
    get (bus, t, 0);
    return t->number;
}

static uint64_t ask (bus_t *bus, envelope_t *e)
{
    static const hash_t none = {{0}};
    bus_transfer_t *t = policies (bus) ? transfer_new (bus, true, &none, OFFER_MS) : NULL;
    if (!t)
        return 0;
    /* The message is kept packed, to be sent again when it stalls. */
    e->sequence = t->number;
    e->sender = slice_of (bus->name);
    e->boot = bus->boot;
    zmq_msg_t frame;
    if (envelope_pack (e, (slice_t){"", 0}, &frame) == 0) {
        t->size = zmq_msg_size (&frame);
        t->data = malloc (t->size);
        if (t->data)
            memcpy (t->data, zmq_msg_data (&frame), t->size);
        t->chunks = UINT32_MAX; /* marks it as a message, not an object */
        if (zmq_msg_send (&frame, bus->policies, ZMQ_DONTWAIT) < 0)
            zmq_msg_close (&frame);
    }
    return t->number;
}

uint64_t bus_manifest (bus_t *bus, const char *run, uint64_t epoch, const char *name,
                       const void *manifest, size_t size, const hash_t *objects, size_t objects_n)
{
    envelope_t e = {.kind = ENVELOPE_MANIFEST,
                    .service = slice_of (name),
                    .text = slice_of (run),
                    .epoch = epoch,
                    .objects = {.data = (const char *) objects, .size = objects_n * HASH_SIZE},
                    .payload = {.data = manifest, .size = size}};
    return ask (bus, &e);
}

uint64_t bus_retire (bus_t *bus, const char *run, uint64_t epoch, const char *name)
{
    envelope_t e = {.kind = ENVELOPE_RETIRE,
                    .service = slice_of (name),
                    .text = slice_of (run),
                    .epoch = epoch};
    return ask (bus, &e);
}

int bus_manifests (bus_t *bus)
{
    envelope_t e = {.kind = ENVELOPE_MANIFESTS};
    return policies (bus) ? bus_send (bus, bus->policies, &e) : -1;
}

/*  ---- what arrives ------------------------------------------------------------------------------------ */

static bus_transfer_t *find (bus_t *bus, uint64_t number)
{
    bus_transfer_t *t = bus->transfers;
    while (t && t->number != number)
        t = t->next;
    return t;
}

static int begin_download (bus_transfer_t *t, uint64_t size)
{
    if (size > OBJECT_MAX)
        return -1;
    t->size = size;
    t->chunks = chunks_of (size);
    t->data = pages_alloc (size + 1);
    t->chunk_hash = calloc (t->chunks, sizeof *t->chunk_hash);
    t->got = calloc (t->chunks, 1);
    t->asked = 1;
    return t->data && t->chunk_hash && t->got ? 0 : -1;
}

static void on_chunk (bus_t *bus, bus_transfer_t *t, const envelope_t *e)
{
    if (!t->data && begin_download (t, e->size) != 0) {
        fail (t, ERR_LIMIT, "no memory for the object");
        return;
    }
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
    bus->counters.bytes_fetched += wanted;
    while (t->asked < t->chunks && t->asked < t->have + WINDOW)
        get (bus, t, t->asked++);
    if (t->have < t->chunks)
        return;
    hash_t root = hash_root (t->chunk_hash, t->chunks);
    t->finished = true;
    if (!hash_equal (&root, &t->hash))
        fail (t, ERR_INPUT, "the object's content does not have the hash that names it");
}

static void unlink_transfer (bus_t *bus, bus_transfer_t *t)
{
    bus_transfer_t **at = &bus->transfers;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
}

void objects_cancel (bus_t *bus, uint64_t number)
{
    bus_transfer_t *t = find (bus, number);
    if (!t)
        return;
    unlink_transfer (bus, t);
    transfer_free (t);
}

static int deliver (bus_t *bus, bus_transfer_t *t, bus_item_t *item)
{
    unlink_transfer (bus, t);
    bus->delivered = t;
    *item = (bus_item_t){.kind = BUS_OBJECT,
                         .call = t->number,
                         .name = "",
                         .sender = "",
                         .trace = "",
                         .code = t->failed ? t->err.code : ERR_NONE,
                         .text = t->failed ? t->err.text : "",
                         .payload = t->upload || t->failed ? "" : t->data,
                         .size = t->upload || t->failed ? 0 : t->size};
    return 1;
}

/*  A manifest that was asked for comes as the event that announced it. */
static int on_manifest (bus_t *bus, const envelope_t *e, bus_item_t *item)
{
    int n = snprintf (bus->item_name, sizeof bus->item_name, "policy/%.*s/%.*s", (int) e->text.size,
                      e->text.data, (int) e->service.size, e->service.data);
    if (n < 0 || (size_t) n >= sizeof bus->item_name)
        return 0;
    item->kind = BUS_EVENT;
    item->name = bus->item_name;
    return 1;
}

int objects_frame (bus_t *bus, const envelope_t *e, bus_item_t *item)
{
    if (e->kind == ENVELOPE_MANIFEST)
        return on_manifest (bus, e, item);
    bus_transfer_t *t = find (bus, e->sequence);
    if (!t)
        return 0;
    if (e->kind == ENVELOPE_WANT && t->upload) {
        t->moved_ms = clock_ms ();
        put (bus, t, e->index);
    } else if (e->kind == ENVELOPE_CHUNK && !t->upload) {
        on_chunk (bus, t, e);
    } else if (e->kind == ENVELOPE_HELD || e->kind == ENVELOPE_DONE) {
        t->finished = true;
        if (e->code)
            fail (t, e->code < ERR_COUNT ? (err_code_t) e->code : ERR_INTERNAL, bus->item_text);
    } else if (e->kind == ENVELOPE_MISSING) {
        fail (t, ERR_MISSING, "the bus does not hold the object");
    }
    return t->finished ? deliver (bus, t, item) : 0;
}

/*  Sends again what stalled: the message, chunk 0 of an upload, the missing chunks of a download. */
static void again (bus_t *bus, bus_transfer_t *t)
{
    t->moved_ms = clock_ms ();
    if (t->upload && t->chunks == UINT32_MAX) {
        zmq_msg_t frame;
        if (!t->data || zmq_msg_init_size (&frame, t->size) != 0)
            return;
        memcpy (zmq_msg_data (&frame), t->data, t->size);
        if (zmq_msg_send (&frame, bus->policies, ZMQ_DONTWAIT) < 0)
            zmq_msg_close (&frame);
    } else if (t->upload || !t->data) {
        t->upload ? put (bus, t, 0) : get (bus, t, 0);
    } else {
        for (uint32_t i = 0, n = 0; i < t->asked && n < WINDOW; i++)
            if (!t->got[i]) {
                get (bus, t, i);
                n++;
            }
    }
}

int objects_tick (bus_t *bus, int64_t now, bus_item_t *item)
{
    for (bus_transfer_t *t = bus->transfers; t; t = t->next) {
        if (!t->finished && now >= t->deadline_ms)
            fail (t, ERR_TIMEOUT, "the bus did not answer in time");
        if (t->finished)
            return deliver (bus, t, item);
        if (now - t->moved_ms >= STALL_MS)
            again (bus, t);
    }
    return 0;
}

void *bus_keep (bus_t *bus)
{
    void *content = bus->delivered ? bus->delivered->data : NULL;
    if (content)
        bus->delivered->data = NULL;
    return content;
}

void objects_delivered (bus_t *bus)
{
    if (bus->delivered)
        transfer_free (bus->delivered);
    bus->delivered = NULL;
}

void objects_free (bus_t *bus)
{
    objects_delivered (bus);
    for (bus_transfer_t *t = bus->transfers, *next; t; t = next) {
        next = t->next;
        transfer_free (t);
    }
    bus->transfers = NULL;
}

/*  objects - policy objects as a bus_t's own thread sees them: what it gives the courier to carry, and what it
 *  takes from it when it is done. See bus.h, courier.h */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/courier.h"

#define OFFER_MS     600000
#define FIRST_NUMBER ((uint64_t) 1 << 63) /* no call (calls.c) comes this far */

static void stir (courier_t *c)
{
    uint64_t one = 1;
    ssize_t n = write (c->stir, &one, sizeof one);
    (void) n; /* full means that it is stirred already */
}

/*  Under the lock. */
static void unlink_transfer (courier_t *c, const transfer_t *t)
{
    transfer_t **at = &c->first;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    if (!*at)
        c->end = at;
}

/*  The courier starts with the first that it is asked. */
static courier_t *courier_of (bus_t *bus)
{
    if (bus->courier)
        return bus->courier;
    err_t err = {0};
    courier_t *c = calloc (1, sizeof *c);
    if (!c)
        return NULL;
    c->bus = bus;
    c->numbers = FIRST_NUMBER;
    c->end = &c->first;
    c->stir = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init (&c->lock, NULL);
    pthread_cond_init (&c->released, NULL);
    bool well = c->stir >= 0 && bus_socket (bus, &c->socket, ZMQ_DEALER, ADDRESS_POLICIES, &err);
    if (well && pthread_create (&c->thread, NULL, courier_run, c) == 0)
        return bus->courier = c;
    log_warn ("bus.policies", "text=\"%s\"", err.code ? err.text : "no thread for policy objects");
    if (c->socket)
        zmq_close (c->socket);
    if (c->stir >= 0)
        close (c->stir);
    pthread_cond_destroy (&c->released);
    pthread_mutex_destroy (&c->lock);
    free (c);
    return NULL;
}

/*  Hands a transfer to the thread. data and size as the kind has them. */
static uint64_t start (bus_t *bus, const transfer_t *wanted, int64_t deadline_ms)
{
    courier_t *c = courier_of (bus);
    transfer_t *t = c ? calloc (1, sizeof *t) : NULL;
    if (!t) {
        if (!wanted->lent)
            free (wanted->data);
        return 0;
    }
    *t = *wanted;
    t->number = ++c->numbers;
    t->deadline_ms = clock_ms () + deadline_ms;
    if (t->kind != TRANSFER_DOWNLOAD && !t->data)
        transfer_fail (t, ERR_LIMIT, "no memory for the object");
    uint64_t number = t->number;
    pthread_mutex_lock (&c->lock);
    courier_append (c, t);
    if (t->finished)
        atomic_fetch_add (&c->done, 1);
    pthread_mutex_unlock (&c->lock);
    stir (c);
    return number;
}

uint64_t bus_offer (bus_t *bus, const void *content, size_t size)
{
    return start (bus,
                  &(transfer_t){.kind = TRANSFER_UPLOAD,
                                .hash = hash_object (content, size),
                                .data = transfer_copy ((slice_t){content, size}),
                                .size = size},
                  OFFER_MS);
}

uint64_t bus_lend (bus_t *bus, const hash_t *hash, const void *content, size_t size)
{
    return start (bus,
                  &(transfer_t){.kind = TRANSFER_UPLOAD,
                                .hash = *hash,
                                .data = (char *) content, /* only read */
                                .lent = true,
                                .size = size},
                  OFFER_MS);
}

uint64_t bus_fetch (bus_t *bus, const hash_t *hash, uint64_t size, int64_t deadline_ms)
{
    return start (bus, &(transfer_t){.kind = TRANSFER_DOWNLOAD, .hash = *hash, .size = size},
                  deadline_ms);
}

/*  Sent until it is answered. */
static uint64_t ask (bus_t *bus, envelope_t *e)
{
    courier_t *c = courier_of (bus);
    transfer_t t = {.kind = TRANSFER_MESSAGE};
    if (!c)
        return 0;
    e->sequence = c->numbers + 1; /* as start will number it */
    e->sender = slice_of (bus->name);
    e->boot = bus->boot;
    zmq_msg_t frame;
    if (envelope_pack (e, (slice_t){"", 0}, &frame) == 0) {
        t.size = zmq_msg_size (&frame);
        t.data = transfer_copy ((slice_t){zmq_msg_data (&frame), t.size});
        zmq_msg_close (&frame);
    }
    return start (bus, &t, OFFER_MS);
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
    courier_t *c = courier_of (bus);
    if (!c)
        return -1;
    pthread_mutex_lock (&c->lock);
    c->ask_manifests = true;
    pthread_mutex_unlock (&c->lock);
    stir (c);
    return 0;
}

void objects_cancel (bus_t *bus, uint64_t number)
{
    courier_t *c = bus->courier;
    if (!c)
        return;
    pthread_mutex_lock (&c->lock);
    transfer_t *t = c->first;
    while (t && t->number != number)
        t = t->next;
    while (t && c->claimed == t) /* for as long as a chunk takes */
        pthread_cond_wait (&c->released, &c->lock);
    if (t) {
        unlink_transfer (c, t);
        if (t->finished)
            atomic_fetch_sub (&c->done, 1);
    }
    pthread_mutex_unlock (&c->lock);
    if (t)
        transfer_free (t);
}

/*  The first that is done, out of the list. */
static transfer_t *take (courier_t *c)
{
    pthread_mutex_lock (&c->lock);
    transfer_t *t = c->first;
    while (t && (t == c->claimed || !t->finished))
        t = t->next;
    if (t) {
        unlink_transfer (c, t);
        c->notices -= t->kind == TRANSFER_NOTICE;
        atomic_fetch_sub (&c->done, 1);
    }
    pthread_mutex_unlock (&c->lock);
    return t;
}

int objects_take (bus_t *bus, bus_item_t *item)
{
    courier_t *c = bus->courier;
    transfer_t *t = c && atomic_load (&c->done) > 0 ? take (c) : NULL;
    if (!t)
        return 0;
    bool filled =
        t->kind == TRANSFER_NOTICE || (t->kind == TRANSFER_DOWNLOAD && t->err.code == ERR_NONE);
    c->delivered = t;
    *item = (bus_item_t){.kind = t->kind == TRANSFER_NOTICE ? BUS_EVENT : BUS_OBJECT,
                         .call = t->number,
                         .name = t->kind == TRANSFER_NOTICE ? t->topic : "",
                         .sender = "",
                         .trace = "",
                         .code = t->err.code,
                         .text = t->err.text,
                         .payload = filled ? t->data : "",
                         .size = filled ? t->size : 0};
    bus->counters.bytes_fetched += t->kind == TRANSFER_DOWNLOAD ? item->size : 0;
    return 1;
}

void *bus_keep (bus_t *bus)
{
    transfer_t *t = bus->courier ? bus->courier->delivered : NULL;
    void *content = t && t->kind == TRANSFER_DOWNLOAD ? t->data : NULL;
    if (content)
        t->data = NULL;
    return content;
}

void objects_delivered (bus_t *bus)
{
    courier_t *c = bus->courier;
    if (c && c->delivered)
        transfer_free (c->delivered);
    if (c)
        c->delivered = NULL;
}

void objects_free (bus_t *bus)
{
    courier_t *c = bus->courier;
    if (!c)
        return;
    atomic_store (&c->stop, true);
    stir (c);
    pthread_join (c->thread, NULL);
    objects_delivered (bus);
    for (transfer_t *t = c->first, *next; t; t = next) {
        next = t->next;
        transfer_free (t);
    }
    close (c->stir);
    pthread_cond_destroy (&c->released);
    pthread_mutex_destroy (&c->lock);
    free (c);
    bus->courier = NULL;
}

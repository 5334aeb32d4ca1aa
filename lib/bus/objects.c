/*  objects - see objects.h */
#include "bus/objects.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/courier.h"

#define OBJECTS_PATIENCE_MS  600000               /* of an upload or a message, without progress */
#define OBJECTS_FIRST_NUMBER ((uint64_t) 1 << 63) /* no call (calls.c) comes this far */

/*  All of this is the caller's thread's. What the courier touches is in the list of transfers. */
struct objects {
    const node_t *node;
    const pulse_t *pulse;
    transfers_t *transfers; /* both made at first use */
    courier_t *courier;
    uint64_t numbers;
    transfer_t *delivered; /* what the last item points into */
    uint64_t bytes_fetched;
};

objects_t *objects_new (const node_t *node, const pulse_t *pulse)
{
    objects_t *objects = calloc (1, sizeof *objects);
    if (!objects)
        return NULL;
    objects->node = node;
    objects->pulse = pulse;
    /* One space of numbers for calls and transfers, in two halves: bus_cancel need not be told
       which it is. */
    objects->numbers = OBJECTS_FIRST_NUMBER;
    return objects;
}

void objects_free (objects_t **self)
{
    objects_t *objects = *self;
    if (!objects)
        return;
    /* In this order: the courier uses the list until its thread has ended. */
    objects_delivered (objects);
    courier_free (&objects->courier);
    transfers_free (&objects->transfers);
    free (objects);
    *self = NULL;
}

/*  Most connections never ask for an object; they have one thread fewer. */
static int objects_start_courier (objects_t *objects)
{
    err_t err = {0};
    if (objects->courier)
        return 0;
    if (!objects->transfers && !(objects->transfers = transfers_new (objects->node)))
        return -1;
    objects->courier = courier_new (objects->node, objects->pulse, objects->transfers, &err);
    if (!objects->courier)
        log_err ("bus.policies", &err);
    return objects->courier ? 0 : -1;
}

/*  Hands a transfer over, with data and size as its kind has them. Consumes data. Without memory
 *  nothing is handed over, and the caller is told so by number 0. Where only the content could
 *  not be copied there is a number, and an answer that says why. */
static uint64_t objects_start (objects_t *objects, const transfer_t *wanted)
{
    transfer_t *t = objects_start_courier (objects) == 0 ? calloc (1, sizeof *t) : NULL;
    if (!t) {
        if (!wanted->lent)
            free (wanted->data);
        return 0;
    }
    *t = *wanted;
    uint64_t number = t->number = ++objects->numbers;
    if (t->kind != TRANSFER_DOWNLOAD && !t->data)
        transfer_fail (t, ERR_LIMIT, "no memory for the object");
    transfers_add (objects->transfers, t);
    return number;
}

/*  NULL: no memory. */
static char *objects_copy (const void *data, size_t size)
{
    char *copy = malloc (size + 1);
    if (copy && size)
        memcpy (copy, data, size);
    return copy;
}

uint64_t objects_offer (objects_t *objects, const hash_t *hash, const void *content, size_t size)
{
    transfer_t t = {.kind = TRANSFER_UPLOAD,
                    /* Weights are named by their owner, who has hashed them already: hashing a
                       gigabyte twice would double the time of a step. */
                    .hash = hash ? *hash : hash_object (content, size),
                    .lent = hash != NULL,
                    .size = size,
                    .patience_ms = OBJECTS_PATIENCE_MS};
    if (hash)
        t.data = (char *) (uintptr_t) content; /* an upload is only read */
    else
        t.data = objects_copy (content, size);
    return objects_start (objects, &t);
}

uint64_t objects_fetch (objects_t *objects, const hash_t *hash, uint64_t size, int64_t patience_ms)
{
    return objects_start (objects, &(transfer_t){.kind = TRANSFER_DOWNLOAD,
                                                 .hash = *hash,
                                                 .size = size,
                                                 .patience_ms = patience_ms});
}

/*  Packed here, on the caller's thread: its parts are the caller's and may be gone when the
 *  courier comes to it. */
uint64_t objects_send (objects_t *objects, envelope_t *message)
{
    transfer_t t = {.kind = TRANSFER_MESSAGE, .patience_ms = OBJECTS_PATIENCE_MS};
    zmq_msg_t frame;
    message->sequence = objects->numbers + 1; /* as objects_start will number it */
    message->sender = slice_of (objects->node->name);
    message->boot = objects->node->boot;
    if (envelope_pack (message, (slice_t){"", 0}, &frame) == 0) {
        t.size = zmq_msg_size (&frame);
        t.data = objects_copy (zmq_msg_data (&frame), t.size);
        zmq_msg_close (&frame);
    }
    return objects_start (objects, &t);
}

int objects_ask_manifests (objects_t *objects)
{
    if (objects_start_courier (objects) != 0)
        return -1;
    transfers_ask_manifests (objects->transfers);
    return 0;
}

void objects_cancel (objects_t *objects, uint64_t number)
{
    if (objects->transfers)
        transfer_free (transfers_remove (objects->transfers, number));
}

/*  The transfer stays until objects_delivered, since the item points into it. */
int objects_take (objects_t *objects, bus_item_t *item)
{
    transfer_t *t = objects->transfers ? transfers_take (objects->transfers) : NULL;
    if (!t)
        return 0;
    bool notice = t->kind == TRANSFER_NOTICE;
    /* An upload's item says only how it ended; a failed download has no content. */
    bool filled = notice || (t->kind == TRANSFER_DOWNLOAD && t->err.code == ERR_NONE);
    /* Freed with the caller's next bus_next, unless it keeps the content. */
    objects->delivered = t;
    *item = (bus_item_t){.kind = notice ? BUS_EVENT : BUS_OBJECT,
                         .call = t->number,
                         .name = notice ? t->topic : "",
                         .sender = "",
                         .trace = "",
                         .code = t->err.code,
                         .text = t->err.text,
                         .payload = filled ? t->data : "",
                         .size = filled ? t->size : 0};
    objects->bytes_fetched += t->kind == TRANSFER_DOWNLOAD ? item->size : 0;
    return 1;
}

void objects_delivered (objects_t *objects)
{
    transfer_free (objects->delivered);
    objects->delivered = NULL;
}

/*  The item's pointer stays the same; only who frees it changes. */
void *objects_keep (objects_t *objects)
{
    transfer_t *t = objects->delivered;
    void *content = t && t->kind == TRANSFER_DOWNLOAD ? t->data : NULL;
    /* The transfer no longer owns it; the rest is freed as ever. */
    if (content)
        t->data = NULL;
    return content;
}

void objects_count (const objects_t *objects, bus_counters_t *counters)
{
    counters->bytes_fetched = objects->bytes_fetched;
}

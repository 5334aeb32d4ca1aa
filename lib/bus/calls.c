/*  calls - requests and replies of a bus_t, as client and as worker. See bus.h
 *
 *  A call has a number (generation << 20 | slot) that travels as the envelope's sequence and comes back in
 *  its reply, so a late reply to an earlier call is told apart. A worker knows requests by id: one that it
 *  has in hand is not started twice, one that it answered is answered again from the kept reply.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/internal.h"

#define SLOT_BITS 20
#define SLOT_MASK (((uint64_t) 1 << SLOT_BITS) - 1)

/*  ---- client ------------------------------------------------------------------------------------------ */

static bus_call_t *call_slot (bus_t *bus)
{
    for (size_t i = 0; i < bus->calls_n; i++) {
        size_t at = (bus->calls_next + i) % bus->calls_n;
        if (!bus->calls[at].number) {
            bus->calls_next = at + 1;
            return &bus->calls[at];
        }
    }
    size_t n = bus->calls_n ? 2 * bus->calls_n : 64;
    bus_call_t *grown = n > SLOT_MASK ? NULL : realloc (bus->calls, n * sizeof *grown);
    if (!grown)
        return NULL;
    memset (grown + bus->calls_n, 0, (n - bus->calls_n) * sizeof *grown);
    bus->calls = grown;
    bus_call_t *first = grown + bus->calls_n;
    bus->calls_n = n;
    return first;
}

static bus_call_t *call_find (bus_t *bus, uint64_t number)
{
    size_t slot = number & SLOT_MASK;
    return number && slot < bus->calls_n && bus->calls[slot].number == number ? &bus->calls[slot]
                                                                              : NULL;
}

static void call_free (bus_call_t *call)
{
    free (call->id);
    free (call->service);
    free (call->avoid);
    free (call->payload);
    *call = (bus_call_t){0};
}

static void call_send (bus_t *bus, bus_call_t *call)
{
    if (!call->payload)
        return; /* calls_tick says why */
    int64_t left = clock_left_ms (call->deadline_ms);
    envelope_t e = {.kind = ENVELOPE_REQUEST,
                    .id = slice_of (call->id),
                    .service = slice_of (call->service),
                    .avoid = slice_of (call->avoid),
                    .sequence = call->number,
                    .ticket = UINT64_MAX, /* room for the bus to write in */
                    .left_ms = left > 0 ? (uint32_t) left : 1,
                    .index = call->tries++,
                    .payload = {.data = call->payload, .size = call->size}};
    bus_send (bus, bus->requests, &e);
    bus->counters.resent += call->tries > 1;
}

uint64_t bus_call (bus_t *bus, const char *service, const char *id, const void *payload,
                   size_t size, int64_t deadline_ms)
{
    return bus_call_avoiding (bus, service, id, payload, size, deadline_ms, NULL);
}

uint64_t bus_call_avoiding (bus_t *bus, const char *service, const char *id, const void *payload,
                            size_t size, int64_t deadline_ms, const char *avoid)
{
    bus_call_t *call = call_slot (bus);
    if (!call)
        return 0;
    uint64_t number = ++bus->generation << SLOT_BITS | (uint64_t) (call - bus->calls);
    char made[ENVELOPE_ID_MAX + 1];
    if (!id)
        snprintf (made, sizeof made, "%s#%llx.%llx", bus->name, (unsigned long long) bus->boot,
                  (unsigned long long) number);
    int64_t now = clock_ms ();
    bool fits = size <= WIRE_PAYLOAD_MAX;
    *call = (bus_call_t){.number = number,
                         .id = strndup (id ? id : made, ENVELOPE_ID_MAX),
                         .service = strndup (service, ENVELOPE_NAME_MAX),
                         .avoid = avoid ? strndup (avoid, ENVELOPE_NAME_MAX) : NULL,
                         .payload = fits ? malloc (size + 1) : NULL,
                         .size = size,
                         .start_ms = now,
                         .deadline_ms = now + deadline_ms};
    if (!call->id || !call->service || (avoid && !call->avoid) || (fits && !call->payload)) {
        call_free (call);
        return 0;
    }
    if (fits && size)
        memcpy (call->payload, payload, size);
    call_send (bus, call);
    bus->counters.calls++;
    return number;
}

void bus_cancel (bus_t *bus, uint64_t number)
{
    bus_call_t *call = call_find (bus, number);
    if (!call) {
        objects_cancel (bus, number);
        return;
    }
    envelope_t e = {.kind = ENVELOPE_CANCEL, .sequence = call->number};
    bus_send (bus, bus->requests, &e);
    call_free (call);
}

static int on_reply (bus_t *bus, const envelope_t *e, bus_item_t *item)
{
    bus_call_t *call = call_find (bus, e->sequence);
    if (!call)
        return 0;
    item->kind = BUS_REPLY;
    item->call = call->number;
    item->name = item->sender;
    call_free (call);
    bus->counters.replies++;
    return 1;
}

/*  Its end without an answer from anybody; why stands in item_text. */
static int call_fail (bus_t *bus, bus_call_t *call, err_code_t code, bus_item_t *item)
{
    *item = (bus_item_t){.kind = BUS_REPLY,
                         .call = call->number,
                         .name = "",
                         .sender = "",
                         .trace = "",
                         .code = code,
                         .text = bus->item_text};
    bus_cancel (bus, call->number);
    return 1;
}

static int call_timeout (bus_t *bus, bus_call_t *call, bus_item_t *item)
{
    snprintf (bus->item_text, sizeof bus->item_text,
              "no answer from any '%s' within %lld ms (request %s, bus %s)", call->service,
              (long long) (call->deadline_ms - call->start_ms), call->id,
              bus->address.endpoint[ADDRESS_REQUESTS]);
    bus->counters.timeouts++;
    return call_fail (bus, call, ERR_TIMEOUT, item);
}

static int call_too_large (bus_t *bus, bus_call_t *call, bus_item_t *item)
{
    snprintf (bus->item_text, sizeof bus->item_text,
              "a request to '%s' of %zu bytes; a message has at most %d (request %s)",
              call->service, call->size, WIRE_PAYLOAD_MAX, call->id);
    return call_fail (bus, call, ERR_LIMIT, item);
}

/*  Sends again at one and two thirds of the deadline, gives up at its end. */
int calls_tick (bus_t *bus, int64_t now, bus_item_t *item)
{
    for (size_t i = 0; i < bus->calls_n; i++) {
        bus_call_t *call = &bus->calls[i];
        if (!call->number)
            continue;
        int64_t third = (call->deadline_ms - call->start_ms) / 3;
        if (!call->payload)
            return call_too_large (bus, call, item);
        if (now >= call->deadline_ms)
            return call_timeout (bus, call, item);
        if (call->timed < 2 && now >= call->start_ms + third * (call->timed + 1)) {
            call->timed++;
            call_send (bus, call);
        }
    }
    return 0;
}

/*  ---- worker ------------------------------------------------------------------------------------------ */

static size_t bucket_of (const char *id)
{
    uint64_t hash = 1469598103934665603u; /* FNV-1a */
    for (; *id; id++)
        hash = (hash ^ (unsigned char) *id) * 1099511628211u;
    return (hash ^ hash >> 32) % BUS_WORK_TABLE;
}

static bus_work_t *work_find (bus_t *bus, const char *id)
{
    bus_work_t *work = bus->table[bucket_of (id)];
    while (work && strcmp (work->id, id) != 0)
        work = work->chain;
    return work;
}

static void work_unchain (bus_t *bus, bus_work_t *work)
{
    bus_work_t **at = &bus->table[bucket_of (work->id)];
    while (*at != work)
        at = &(*at)->chain;
    *at = work->chain;
}

static void work_free (bus_work_t *work)
{
    free (work->id);
    free (work->reply);
    free (work);
}

static bus_work_t *work_of (bus_t *bus, uint64_t handle)
{
    size_t slot = handle & SLOT_MASK;
    bus_work_t *work = handle && slot < bus->hands_n ? bus->hands[slot] : NULL;
    return work && work->handle == handle ? work : NULL;
}

static int take_hand (bus_t *bus, bus_work_t *work)
{
    size_t slot = 0;
    while (slot < bus->hands_n && bus->hands[slot])
        slot++;
    if (slot == bus->hands_n) {
        size_t n = bus->hands_n ? 2 * bus->hands_n : 64;
        bus_work_t **grown = n > SLOT_MASK ? NULL : realloc (bus->hands, n * sizeof *grown);
        if (!grown)
            return -1;
        memset (grown + bus->hands_n, 0, (n - bus->hands_n) * sizeof (bus_work_t *));
        bus->hands = grown;
        bus->hands_n = n;
    }
    bus->hands[slot] = work;
    work->handle = ++bus->generation << SLOT_BITS | slot;
    return 0;
}

static void send_reply (bus_t *bus, const bus_work_t *work)
{
    slice_t reply = {.data = work->reply, .size = work->size};
    slice_t none = {"", 0};
    envelope_t e = {.kind = ENVELOPE_REPLY,
                    .id = slice_of (work->id),
                    .ticket = work->ticket,
                    .sequence = work->sequence,
                    .code = work->code,
                    .text = work->code ? reply : none,
                    .payload = work->code ? none : reply};
    bus_send (bus, bus->requests, &e);
}

static int on_request (bus_t *bus, const envelope_t *e, bus_item_t *item)
{
    char id[ENVELOPE_ID_MAX + 1];
    slice_text (e->id, id, sizeof id);
    bus_work_t *work = work_find (bus, id);
    if (work) {
        work->ticket = e->ticket;
        work->sequence = e->sequence;
        if (work->replied) {
            send_reply (bus, work);
            bus->counters.repeated++;
        }
        return 0;
    }
    work = calloc (1, sizeof *work);
    if (!work || !(work->id = strdup (id)) || take_hand (bus, work) != 0) {
        if (work)
            work_free (work);
        return 0; /* the client sends it again */
    }
    work->ticket = e->ticket;
    work->sequence = e->sequence;
    bus_work_t **chain = &bus->table[bucket_of (id)];
    work->chain = *chain;
    *chain = work;
    item->kind = BUS_REQUEST;
    item->id = work->handle;
    return 1;
}

/*  The ticket tells a request apart from another try, or another client's request, with the same id. */
static int on_cancel (bus_t *bus, const envelope_t *e, bus_item_t *item)
{
    size_t slot = 0;
    while (slot < bus->hands_n && !(bus->hands[slot] && bus->hands[slot]->ticket == e->ticket))
        slot++;
    if (slot == bus->hands_n)
        return 0;
    bus_work_t *work = bus->hands[slot];
    item->kind = BUS_CANCELLED;
    item->id = work->handle;
    bus->hands[slot] = NULL;
    work_unchain (bus, work);
    work_free (work);
    return 1;
}

static void drop_oldest (bus_t *bus)
{
    bus_work_t *work = bus->oldest;
    bus->oldest = work->newer;
    *(work->newer ? &work->newer->older : &bus->newest) = NULL;
    bus->reply_bytes -= work->size + sizeof *work;
    work_unchain (bus, work);
    work_free (work);
}

/*  Sends an answer and keeps it for repeating. */
static int answer (bus_t *bus, uint64_t handle, uint32_t code, const void *data, size_t size)
{
    bus_work_t *work = work_of (bus, handle);
    if (!work)
        return -1;
    bus->hands[handle & SLOT_MASK] = NULL;
    work->handle = 0;
    work->code = code;
    work->reply = malloc (size + 1);
    work->size = work->reply ? size : 0;
    if (work->size)
        memcpy (work->reply, data, size);
    work->replied = true;
    send_reply (bus, work);
    bus->counters.served++;
    work->older = bus->newest;
    *(bus->newest ? &bus->newest->newer : &bus->oldest) = work;
    bus->newest = work;
    bus->reply_bytes += work->size + sizeof *work;
    while (bus->reply_bytes > BUS_REPLY_BYTES && bus->oldest != work)
        drop_oldest (bus);
    return 0;
}

int bus_reply (bus_t *bus, uint64_t handle, const void *payload, size_t size)
{
    if (size > WIRE_PAYLOAD_MAX)
        return bus_refuse (bus, handle, ERR_LIMIT, "a reply of %zu bytes; a message has at most %d",
                           size, WIRE_PAYLOAD_MAX);
    return answer (bus, handle, 0, payload, size);
}

int bus_refuse (bus_t *bus, uint64_t handle, err_code_t code, const char *fmt, ...)
{
    char text[ENVELOPE_TEXT_MAX];
    va_list args;
    va_start (args, fmt);
    vsnprintf (text, sizeof text, fmt, args);
    va_end (args);
    bus_work_t *work = work_of (bus, handle);
    int rc = answer (bus, handle, code ? code : ERR_INTERNAL, text, strlen (text));
    /* What failed for a reason that may pass is computed again when it is asked again. */
    if (rc == 0 && code != ERR_INPUT && work == bus->newest) {
        bus->newest = work->older;
        *(work->older ? &work->older->newer : &bus->oldest) = NULL;
        bus->reply_bytes -= work->size + sizeof *work;
        work_unchain (bus, work);
        work_free (work);
    }
    return rc;
}

static void register_service (bus_t *bus, const bus_served_t *served)
{
    envelope_t e = {.kind = ENVELOPE_READY,
                    .service = slice_of (served->service),
                    .credit = served->credit,
                    .text = slice_of (bus->numerics)};
    bus_send (bus, bus->requests, &e);
}

int bus_serve (bus_t *bus, const char *service, size_t credit, err_t *err)
{
    size_t i = 0;
    while (i < bus->served_n && strcmp (bus->served[i].service, service) != 0)
        i++;
    if (i == BUS_SERVED_MAX)
        return err_set (err, ERR_LIMIT, "more than %d services", BUS_SERVED_MAX);
    snprintf (bus->served[i].service, sizeof bus->served[i].service, "%s", service);
    bus->served[i].credit = (uint32_t) credit;
    if (i == bus->served_n)
        bus->served_n++;
    register_service (bus, &bus->served[i]);
    return 0;
}

/*  ---- both -------------------------------------------------------------------------------------------- */

int calls_frame (bus_t *bus, const envelope_t *e, bus_item_t *item)
{
    bus_call_t *call;
    switch (e->kind) {
    case ENVELOPE_REPLY:
        return on_reply (bus, e, item);
    case ENVELOPE_REQUEST:
        return on_request (bus, e, item);
    case ENVELOPE_CANCEL:
        return on_cancel (bus, e, item);
    case ENVELOPE_LOST:
        if ((call = call_find (bus, e->sequence)))
            call_send (bus, call);
        return 0;
    case ENVELOPE_REFUSED:
        slice_text (e->text, bus->refused, sizeof bus->refused);
        return 0;
    default:
        return 0;
    }
}

void calls_again (bus_t *bus)
{
    for (size_t i = 0; i < bus->served_n; i++)
        register_service (bus, &bus->served[i]);
    for (size_t i = 0; i < bus->calls_n; i++)
        if (bus->calls[i].number)
            call_send (bus, &bus->calls[i]);
}

void calls_free (bus_t *bus)
{
    for (size_t i = 0; i < bus->calls_n; i++)
        call_free (&bus->calls[i]);
    free (bus->calls);
    for (size_t i = 0; i < BUS_WORK_TABLE; i++)
        for (bus_work_t *work = bus->table[i], *next; work; work = next) {
            next = work->chain;
            work_free (work);
        }
    free (bus->hands);
}

/*  calls - see calls.h
 *
 *  A request can get lost in four ways: on its way to the bus, with the bus, with the worker, and
 *  on the way back. The bus says so where it can (LOST, or another epoch in its heartbeats), and
 *  then the call is sent again at once. Where nobody can say so, time does: a call is sent again at
 *  one and two thirds of its deadline, with the same id. Workers answer an id that they know from
 *  memory, so sending once more than needed costs little, and the first reply wins.
 */
#include "bus/calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/*  As in the bus's own tickets: the low bits find the slot, the bits above tell an old number
 *  from a later one of the same slot. */
#define CALLS_SLOT_BITS   20
#define CALLS_SLOT_MASK   (((uint64_t) 1 << CALLS_SLOT_BITS) - 1)
#define CALLS_DAMAGED_MAX 3  /* replies that are asked for again at once */
#define CALLS_FIRST       64 /* slots; doubled when they are all in use */

typedef struct {
    uint64_t number; /* generation << 20 | slot; 0: free */
    char *id;
    char *service;
    char *trace;
    char *avoid;   /* a worker that shall not answer, or NULL */
    char *problem; /* why it can not be sent, or NULL */
    void *payload;
    size_t size;
    int64_t start_ms, deadline_ms;
    uint32_t tries; /* how often it was sent */
    /* how often of these because time had passed: losses must not use up these tries */
    uint32_t timed;
    uint32_t damaged; /* replies that came damaged */
} calls_call_t;

struct calls {
    const node_t *node;
    calls_call_t *slots;
    size_t slots_n, next; /* where to look for a free one first */
    uint64_t generation;
    char text[ENVELOPE_TEXT_MAX + 1]; /* of the item that was filled last */
    uint64_t started, replies, resent, timeouts;
};

calls_t *calls_new (const node_t *node)
{
    calls_t *calls = calloc (1, sizeof *calls);
    if (calls)
        calls->node = node;
    return calls;
}

static void calls_clear (calls_call_t *call)
{
    free (call->id);
    free (call->service);
    free (call->trace);
    free (call->avoid);
    free (call->problem);
    free (call->payload);
    *call = (calls_call_t){0};
}

void calls_free (calls_t **self)
{
    calls_t *calls = *self;
    if (!calls)
        return;
    for (size_t i = 0; i < calls->slots_n; i++)
        calls_clear (&calls->slots[i]);
    free (calls->slots);
    free (calls);
    *self = NULL;
}

/*  The search goes on where the last one ended, so the table fills evenly and a number is not
 *  used again soon. */
static calls_call_t *calls_free_slot (calls_t *calls)
{
    for (size_t i = 0; i < calls->slots_n; i++) {
        size_t at = (calls->next + i) % calls->slots_n;
        if (!calls->slots[at].number) {
            calls->next = at + 1;
            return &calls->slots[at];
        }
    }
    size_t n = calls->slots_n ? 2 * calls->slots_n : CALLS_FIRST;
    calls_call_t *grown = n > CALLS_SLOT_MASK ? NULL : realloc (calls->slots, n * sizeof *grown);
    if (!grown)
        return NULL;
    memset (grown + calls->slots_n, 0, (n - calls->slots_n) * sizeof *grown);
    calls->slots = grown;
    /* The other new slots are found by the next search. */
    calls_call_t *first = grown + calls->slots_n;
    calls->slots_n = n;
    return first;
}

static calls_call_t *calls_find (const calls_t *calls, uint64_t number)
{
    size_t slot = number & CALLS_SLOT_MASK;
    return number && slot < calls->slots_n && calls->slots[slot].number == number
               ? &calls->slots[slot]
               : NULL;
}

/*  The deadline travels as what is left of it: clocks of two machines need not agree. */
static void calls_send (calls_t *calls, void *socket, calls_call_t *call)
{
    if (call->problem)
        return; /* the next tick says so */
    int64_t left = clock_left_ms (call->deadline_ms);
    envelope_t e = {.kind = ENVELOPE_REQUEST,
                    .id = slice_of (call->id),
                    .trace = slice_of (call->trace),
                    .service = slice_of (call->service),
                    .avoid = slice_of (call->avoid),
                    .sequence = call->number,
                    .ticket = UINT64_MAX, /* room for the bus to write its own in */
                    .left_ms = left > 0 ? (uint32_t) left : 1,
                    .index = call->tries++,
                    .payload = {.data = call->payload, .size = call->size}};
    node_send (calls->node, socket, &e);
    calls->resent += call->tries > 1;
}

/*  Why a request can never be sent, in words; NULL: nothing is in the way. An id that was cut to
 *  fit would be taken for another request's, so it is refused as it is. */
static char *calls_problem (const calls_request_t *request)
{
    char text[ENVELOPE_TEXT_MAX];
    if (request->size > WIRE_PAYLOAD_MAX)
        snprintf (text, sizeof text,
                  "a request to '%.*s' of %zu bytes; a message has at most %d (request %.*s)",
                  ENVELOPE_NAME_MAX, request->service, request->size, WIRE_PAYLOAD_MAX,
                  ENVELOPE_ID_MAX, request->id ? request->id : "");
    else if (request->id && strlen (request->id) > ENVELOPE_ID_MAX)
        snprintf (text, sizeof text, "a request's id of %zu bytes; it has at most %d (%.*s...)",
                  strlen (request->id), ENVELOPE_ID_MAX, ENVELOPE_ID_MAX, request->id);
    else if (strlen (request->service) > ENVELOPE_NAME_MAX)
        snprintf (text, sizeof text, "a service's name of %zu bytes; it has at most %d (%.*s...)",
                  strlen (request->service), ENVELOPE_NAME_MAX, ENVELOPE_NAME_MAX,
                  request->service);
    else
        return NULL;
    return strdup (text);
}

/*  Copies what must outlive the caller's. -1: no memory. */
static int calls_fill (calls_t *calls, calls_call_t *call, const calls_request_t *request)
{
    char made[ENVELOPE_ID_MAX + 1];
    /* An id of our own making is unique by our boot id; one from the caller is the same over
       restarts, which is what lets a worker answer from memory. */
    if (!request->id)
        snprintf (made, sizeof made, "%s#%llx.%llx", calls->node->name,
                  (unsigned long long) calls->node->boot, (unsigned long long) call->number);
    /* Not an error here: the caller gets the number of a call that fails, as it would with any
       other failure, and needs one way of handling them. */
    call->problem = calls_problem (request);
    call->id = strdup (request->id ? request->id : made);
    call->trace = strdup (request->trace);
    call->service = strdup (request->service);
    /* A name that is too long is nobody's. */
    bool avoids = request->avoid && strlen (request->avoid) <= ENVELOPE_NAME_MAX;
    call->avoid = avoids ? strdup (request->avoid) : NULL;
    if (!call->id || !call->trace || !call->service || (avoids && !call->avoid))
        return -1;
    if (call->problem)
        return 0;
    call->size = request->size;
    call->payload = malloc (request->size + 1);
    if (!call->payload)
        return -1;
    if (request->size)
        memcpy (call->payload, request->payload, request->size);
    return 0;
}

uint64_t calls_start (calls_t *calls, void *socket, const calls_request_t *request)
{
    calls_call_t *call = calls_free_slot (calls);
    if (!call)
        return 0;
    int64_t now = clock_ms ();
    call->number = ++calls->generation << CALLS_SLOT_BITS | (uint64_t) (call - calls->slots);
    call->start_ms = now;
    call->deadline_ms = now + request->deadline_ms;
    if (calls_fill (calls, call, request) != 0) {
        calls_clear (call);
        return 0;
    }
    calls_send (calls, socket, call);
    calls->started++;
    return call->number;
}

bool calls_cancel (calls_t *calls, void *socket, uint64_t number)
{
    calls_call_t *call = calls_find (calls, number);
    if (!call)
        return false;
    node_send (calls->node, socket,
               &(envelope_t){.kind = ENVELOPE_CANCEL, .sequence = call->number});
    calls_clear (call);
    return true;
}

/*  The first reply ends the call. A second one, of a worker that had the request as well, finds
 *  no slot with its number. */
int calls_reply (calls_t *calls, const envelope_t *e, bus_item_t *item)
{
    calls_call_t *call = calls_find (calls, e->sequence);
    if (!call)
        return 0; /* answered before, given up, or cancelled */
    item->kind = BUS_REPLY;
    item->call = call->number;
    item->name = item->sender;
    item->took_us = e->size;
    /* The deadline is the one clock that client, bus and worker share. */
    int64_t all = call->deadline_ms - call->start_ms;
    item->waited_us = e->index && (int64_t) e->index < all ? 1000 * (uint64_t) (all - e->index) : 0;
    calls_clear (call);
    calls->replies++;
    return 1;
}

/*  Ends a call that nobody answered; why stands in calls->text. */
static int calls_fail (calls_t *calls, void *socket, const calls_call_t *call, err_code_t code,
                       bus_item_t *item)
{
    *item = (bus_item_t){.kind = BUS_REPLY,
                         .call = call->number,
                         .name = "",
                         .sender = "",
                         .trace = "",
                         .code = code,
                         .text = calls->text};
    calls_cancel (calls, socket, call->number);
    return 1;
}

static int calls_timeout (calls_t *calls, void *socket, const calls_call_t *call, bus_item_t *item)
{
    snprintf (calls->text, sizeof calls->text,
              "no answer from any '%s' within %lld ms (request %s, bus %s)", call->service,
              (long long) (call->deadline_ms - call->start_ms), call->id,
              calls->node->address.endpoint[ADDRESS_REQUESTS]);
    calls->timeouts++;
    return calls_fail (calls, socket, call, ERR_TIMEOUT, item);
}

int calls_tick (calls_t *calls, void *socket, int64_t now, bus_item_t *item)
{
    for (size_t i = 0; i < calls->slots_n; i++) {
        calls_call_t *call = &calls->slots[i];
        if (!call->number)
            continue;
        if (call->problem) {
            snprintf (calls->text, sizeof calls->text, "%s", call->problem);
            return calls_fail (calls, socket, call, ERR_LIMIT, item);
        }
        if (now >= call->deadline_ms)
            return calls_timeout (calls, socket, call, item);
        /* Time alone sends twice, at one third and at two thirds; losses that the bus told of
           come on top. */
        int64_t third = (call->deadline_ms - call->start_ms) / 3;
        if (call->timed < 2 && now >= call->start_ms + third * (call->timed + 1)) {
            call->timed++;
            calls_send (calls, socket, call);
        }
    }
    return 0;
}

/*  The bus says so when a worker died with this request in hand. */
void calls_lost (calls_t *calls, void *socket, uint64_t number)
{
    calls_call_t *call = calls_find (calls, number);
    if (call)
        calls_send (calls, socket, call);
}

/*  A few times at once, then by the clock: a line that damages everything would be kept busy by
 *  us. */
void calls_damaged (calls_t *calls, void *socket, uint64_t number)
{
    calls_call_t *call = calls_find (calls, number);
    if (call && call->damaged++ < CALLS_DAMAGED_MAX)
        calls_send (calls, socket, call);
}

/*  After a restart of the bus, or when it could not deliver something: it does not say what, so
 *  all are sent. Workers recognise those that they have. */
void calls_again (calls_t *calls, void *socket)
{
    for (size_t i = 0; i < calls->slots_n; i++)
        if (calls->slots[i].number)
            calls_send (calls, socket, &calls->slots[i]);
}

bool calls_any (const calls_t *calls)
{
    return calls->slots_n > 0;
}

void calls_count (const calls_t *calls, bus_counters_t *counters)
{
    counters->calls = calls->started;
    counters->replies = calls->replies;
    counters->resent = calls->resent;
    counters->timeouts = calls->timeouts;
}

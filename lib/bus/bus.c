/*  bus - see bus.h
 *
 *  Three threads, each with sockets of its own, since a ZeroMQ socket belongs to one thread:
 *
 *      the caller's   everything in bus.h; it owns calls.c (what a client waits for), work.c (what
 *                     a worker has in hand), events.c, and objects.c (its end of the transfers),
 *                     and the sockets of requests and events
 *      the pulse      pulse.c: heartbeats, on a connection of their own, so that neither a long
 *                     computation of the caller nor a large message on the way is taken for a death
 *      the courier    courier.c: policy objects, started when the first of them is asked for
 *
 *  Nothing but these crosses between them: node.h, set before any thread starts and only read
 *  afterwards; the list of transfers (transfers.h), under its lock; the flags of the pulse
 *  (pulse.h), which are atomic; and the eventfd of node_wake, by which pulse and courier end the
 *  wait of bus_next when they have something for it.
 */
#include "bus/bus.h"

#include <stdarg.h>
#include <stdio.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "bus/calls.h"
#include "bus/events.h"
#include "bus/node.h"
#include "bus/objects.h"
#include "bus/pulse.h"
#include "bus/work.h"

#define BUS_TICK_MS 50 /* how often deadlines are looked at */
#define BUS_RUN_MAX 64 /* items from one inbox before the others are asked */

typedef enum { BUS_FROM_REQUESTS, BUS_FROM_OBJECTS, BUS_FROM_EVENTS, BUS_INBOXES } bus_inbox_t;

struct bus {
    node_t node;
    pulse_t *pulse;
    calls_t *calls;
    work_t *work;
    events_t *events;
    objects_t *objects;
    void *requests;
    char tracing[ENVELOPE_ID_MAX + 1]; /* bus_trace */
    int64_t ticked_ms;
    uint64_t malformed, damaged; /* frames */
    /* Why the bus does not want this worker, until bus_next has returned it. */
    err_t refused;
    bus_inbox_t preferred; /* the inbox of the last item */
    size_t run;            /* how many in a row came from it */
    /* what the item points into that bus_next returned last */
    zmq_msg_t frame;
    char name[2 * ENVELOPE_NAME_MAX + 1], sender[ENVELOPE_NAME_MAX + 1], trace[ENVELOPE_ID_MAX + 1],
        text[ENVELOPE_TEXT_MAX + 1];
};

/*  ---- life ----------------------------------------------------------------------------------- */

/*  Also called when the bus is replaced: a fresh connection carries the same identity, so the
 *  bus knows it as the same peer. */
static void *bus_connect_requests (const bus_t *bus, err_t *err)
{
    return node_connect (&bus->node, ZMQ_DEALER, ADDRESS_REQUESTS, NODE_REQUESTS, err);
}

static int bus_open (bus_t *bus, const bus_options_t *options, err_t *err)
{
    if (node_open (&bus->node, options, err) != 0)
        return -1;
    /* What needs no thread comes first: as long as the pulse has not started, the bus has not
       heard of us, and failing is only a matter of freeing. */
    bus->calls = calls_new (&bus->node);
    bus->work = work_new (&bus->node);
    bus->events = events_new (&bus->node);
    if (!bus->calls || !bus->work || !bus->events)
        return err_set (err, ERR_LIMIT, "no memory for a bus connection");
    bus->requests = bus_connect_requests (bus, err);
    bus->pulse = bus->requests ? pulse_new (&bus->node, err) : NULL;
    if (!bus->pulse)
        return -1;
    bus->objects = objects_new (&bus->node, bus->pulse);
    return bus->objects ? 0 : err_set (err, ERR_LIMIT, "no memory for a bus connection");
}

bus_t *bus_new (const bus_options_t *options, err_t *err)
{
    bus_t *bus = calloc (1, sizeof *bus);
    if (!bus) {
        err_set (err, ERR_LIMIT, "no memory for a bus connection");
        return NULL;
    }
    zmq_msg_init (&bus->frame);
    if (bus_open (bus, options, err) != 0)
        bus_destroy (&bus);
    return bus;
}

void bus_destroy (bus_t **self)
{
    bus_t *bus = *self;
    if (!bus)
        return;
    objects_free (&bus->objects); /* before the pulse, which the courier reads */
    pulse_free (&bus->pulse);
    calls_free (&bus->calls);
    work_free (&bus->work);
    events_free (&bus->events);
    zmq_msg_close (&bus->frame);
    if (bus->requests)
        zmq_close (bus->requests);
    node_close (&bus->node);
    free (bus);
    *self = NULL;
}

void bus_quiet (bus_t *bus)
{
    if (bus)
        pulse_stop (bus->pulse);
}

void bus_wake (bus_t *bus)
{
    node_wake (&bus->node);
}

/*  ERR_BUSY: there may be room later; else ERR_CONFIG, since trying again changes nothing. */
static int bus_refused (const bus_t *bus, const err_t *why, err_t *err)
{
    return err_set (err, why->code, "the bus at %s does not let us in%s%s: %s",
                    bus->node.address.endpoint[ADDRESS_REQUESTS],
                    *bus->node.keys.name ? " by " : "", bus->node.keys.dir, why->text);
}

/*  The address as it was given, and what can be found out about it. */
static int bus_no_answer (const bus_t *bus, err_t *err)
{
    if (pulse_refused (bus->pulse))
        return bus_refused (bus, pulse_refused (bus->pulse), err);
    const char *endpoint = bus->node.address.endpoint[ADDRESS_REQUESTS];
    const char *host = endpoint + strlen ("tcp://"), *colon = strrchr (endpoint, ':');
    const char *end = strrchr (endpoint, '.');
    /* A bus does not answer who greets it by another's key, and no more does what is no bus. */
    if (*bus->node.keys.name && pulse_hung_up (bus->pulse))
        return err_set (err, ERR_TIMEOUT,
                        "what listens at %s does not answer to the key of the bus in %s: it is "
                        "another bus, or that one has new keys (copy the folder again), or none",
                        endpoint, bus->node.keys.dir);
    char name[ADDRESS_MAX];
    struct addrinfo *found = NULL;
    if (strncmp (endpoint, "ipc://", 6) == 0)
        return err_set (err, ERR_TIMEOUT, "no bus answers at %.*s: %s", (int) (end - endpoint),
                        endpoint,
                        fs_exists (endpoint + 6) ? "what made this socket is gone, or hangs"
                                                 : "there is no such socket");
    snprintf (name, sizeof name, "%.*s", (int) (colon - host), host);
    bool known = getaddrinfo (name, NULL, NULL, &found) == 0;
    if (known)
        freeaddrinfo (found);
    return err_set (err, ERR_TIMEOUT, "no bus answers at %s: %s", endpoint,
                    known ? "is one running there, and is this the first of its four ports?"
                          : "nobody knows a host of that name");
}

/*  Polled, since nothing but the pulse knows, and it wakes only bus_next. */
int bus_ready (bus_t *bus, int64_t timeout_ms, err_t *err)
{
    int64_t deadline = clock_ms () + timeout_ms;
    while (pulse_bus (bus->pulse) == 0 || pulse_lost (bus->pulse)) {
        if (clock_ms () >= deadline || pulse_refused (bus->pulse))
            return bus_no_answer (bus, err);
        clock_sleep_ms (2);
    }
    return 0;
}

bus_counters_t bus_counters (const bus_t *bus)
{
    bus_counters_t counters = {.malformed = bus->malformed, .damaged = bus->damaged};
    calls_count (bus->calls, &counters);
    work_count (bus->work, &counters);
    events_count (bus->events, &counters);
    objects_count (bus->objects, &counters);
    return counters;
}

/*  ---- the inboxes ---------------------------------------------------------------------------- */

/*  What a frame on the requests socket is about. item has the parts that all kinds share. Kinds
 *  that no bus sends here are passed over: a later bus may know more of them. */
static int bus_dispatch (bus_t *bus, const envelope_t *e, bus_item_t *item)
{
    switch (e->kind) {
    case ENVELOPE_REPLY:
        return calls_reply (bus->calls, e, item);
    case ENVELOPE_REQUEST:
        return work_request (bus->work, bus->requests, e, item);
    case ENVELOPE_CANCEL:
        return work_cancelled (bus->work, e, item);
    case ENVELOPE_LOST:
        calls_lost (bus->calls, bus->requests, e->sequence);
        return 0;
    case ENVELOPE_REFUSED:
        err_set (&bus->refused, e->code == ERR_BUSY ? ERR_BUSY : ERR_CONFIG, "%.*s",
                 (int) e->text.size, e->text.data);
        return 0;
    default:
        return 0;
    }
}

/*  Takes frames until one of them is an item for the caller: 1, or 0 when there are no more. */
static int bus_take_request (bus_t *bus, bus_item_t *item)
{
    /* What comes behind a refusal waits until that is told. */
    while (!bus->refused.code && zmq_msg_recv (&bus->frame, bus->requests, ZMQ_DONTWAIT) >= 0) {
        envelope_t e;
        envelope_state_t state =
            envelope_parse (zmq_msg_data (&bus->frame), zmq_msg_size (&bus->frame), &e);
        if (state != ENVELOPE_WHOLE) {
            bus->malformed += state == ENVELOPE_MALFORMED;
            bus->damaged += state == ENVELOPE_DAMAGED;
            /* Whoever it was for asks again; what it says it is may be wrong, which costs one try
               more. */
            if (state == ENVELOPE_DAMAGED && e.kind == ENVELOPE_REPLY)
                calls_damaged (bus->calls, bus->requests, e.sequence);
            continue;
        }
        /* Texts are copied into the connection, so that the item may be read until the next call
           although the frame does not end them with a 0. */
        *item = (bus_item_t){.name = slice_text (e.service, bus->name, sizeof bus->name),
                             .sender = slice_text (e.sender, bus->sender, sizeof bus->sender),
                             .trace = slice_text (e.trace, bus->trace, sizeof bus->trace),
                             .text = slice_text (e.text, bus->text, sizeof bus->text),
                             .code = e.code < ERR_COUNT ? (err_code_t) e.code : ERR_INTERNAL,
                             .payload = e.payload.data,
                             .size = e.payload.size,
                             .left_ms = e.left_ms};
        /* Most frames of a kind that nobody waits for any more end here: late replies, for
           example. */
        if (bus_dispatch (bus, &e, item))
            return 1;
    }
    return 0;
}

static int bus_take_from (bus_t *bus, bus_inbox_t inbox, bus_item_t *item)
{
    return inbox == BUS_FROM_REQUESTS  ? bus_take_request (bus, item)
           : inbox == BUS_FROM_OBJECTS ? objects_take (bus->objects, item)
                                       : events_take (bus->events, item);
}

/*  One item that is there already: 1, or 0. Items come in runs, so the inbox of the last one is
 *  asked first; but after BUS_RUN_MAX in a row the others are, for a flood of events must not keep
 *  replies waiting. */
static int bus_take (bus_t *bus, bus_item_t *item)
{
    if (bus->run++ < BUS_RUN_MAX && bus_take_from (bus, bus->preferred, item))
        return 1;
    bus->run = 0;
    for (unsigned i = 1; i <= BUS_INBOXES; i++) {
        bus_inbox_t inbox = (bus->preferred + i) % BUS_INBOXES;
        if (bus_take_from (bus, inbox, item)) {
            bus->preferred = inbox;
            return 1;
        }
    }
    return 0;
}

/*  ---- what time brings ----------------------------------------------------------------------- */

/*  The old connections may still stand, at a bus that was stopped: they are left for ones to the
 *  bus that the pulse found. What was under way on them is sent again. */
static void bus_follow (bus_t *bus)
{
    err_t err = {0};
    void *socket = bus_connect_requests (bus, &err);
    if (socket) {
        zmq_close (bus->requests);
        bus->requests = socket;
    } else {
        log_err ("bus.requests", &err);
    }
    events_again (bus->events);
}

/*  Deadlines, resending, and a bus that is another one. */
static int bus_tick (bus_t *bus, int64_t now, bus_item_t *item)
{
    /* The connection first, then what is sent over it: else everything would be sent again to
       the bus that is gone. */
    bool replaced = pulse_replaced (bus->pulse);
    if (replaced)
        bus_follow (bus);
    bool forgotten = pulse_forgotten (bus->pulse);
    if (pulse_met (bus->pulse) || forgotten)
        work_again (bus->work, bus->requests);
    if (forgotten)
        calls_again (bus->calls, bus->requests);
    if (replaced) {
        *item = (bus_item_t){.kind = BUS_PEER, .name = "", .sender = "", .trace = "", .text = ""};
        return 1;
    }
    /* Everything below walks over all calls; twenty times a second is often enough for
       deadlines. */
    if (now - bus->ticked_ms < BUS_TICK_MS)
        return 0;
    events_tick (bus->events, now);
    int rc = calls_tick (bus->calls, bus->requests, now, item);
    if (rc == 0)
        bus->ticked_ms = now; /* else there may be more that is due */
    return rc;
}

/*  Sleeps until a socket or the eventfd is readable. True when somebody called node_wake. */
static bool bus_sleep (bus_t *bus, int64_t ms)
{
    /* The eventfd stands beside the sockets: with it another thread, or a signal handler, can
       end the wait, which no ZeroMQ socket could be used for from there. */
    zmq_pollitem_t items[3] = {{.fd = bus->node.wake, .events = ZMQ_POLLIN},
                               {.socket = bus->requests, .events = ZMQ_POLLIN}};
    int n = 2;
    if (events_socket (bus->events))
        items[n++] = (zmq_pollitem_t){.socket = events_socket (bus->events), .events = ZMQ_POLLIN};
    zmq_poll (items, n, (long) ms);
    uint64_t count;
    return (items[0].revents & ZMQ_POLLIN) && read (bus->node.wake, &count, sizeof count) > 0;
}

int bus_next (bus_t *bus, bus_item_t *item, int timeout_ms, err_t *err)
{
    /* The caller has had its item; a download that it did not keep is freed now. */
    objects_delivered (bus->objects);
    int64_t now = clock_ms (), until = now + timeout_ms;
    for (bool woken = false;;) {
        if (pulse_refused (bus->pulse))
            return bus_refused (bus, pulse_refused (bus->pulse), err);
        const err_t *denied = events_denied (bus->events);
        if (denied)
            return err_set (err, denied->code, "%s", denied->text);
        if (bus->refused.code) {
            err_set (err, bus->refused.code, "%s", bus->refused.text);
            bus->refused.code = ERR_NONE;
            return -1;
        }
        if (bus_tick (bus, now, item) || bus_take (bus, item))
            return 1;
        if (bus->refused.code)
            continue;
        if (woken || now >= until)
            return 0;
        int64_t left = until - now;
        /* While calls are open their deadlines may come up at any tick; else only the caller's
           own time counts. */
        woken = bus_sleep (bus, calls_any (bus->calls) && left > BUS_TICK_MS ? BUS_TICK_MS : left);
        now = clock_ms ();
        /* What the pulse wakes for is done here, by bus_tick; any other wake is the caller's, and
           ends the wait. */
        if (woken && (pulse_pending (bus->pulse) || pulse_refused (bus->pulse)))
            woken = false;
    }
}

/*  ---- each part's own ------------------------------------------------------------------------ */

uint64_t bus_call (bus_t *bus, const char *service, const char *id, const void *payload,
                   size_t size, int64_t deadline_ms)
{
    return bus_call_avoiding (bus, service, id, payload, size, deadline_ms, NULL);
}

uint64_t bus_call_avoiding (bus_t *bus, const char *service, const char *id, const void *payload,
                            size_t size, int64_t deadline_ms, const char *avoid)
{
    return calls_start (bus->calls, bus->requests,
                        &(calls_request_t){.service = service,
                                           .trace = bus->tracing,
                                           .id = id,
                                           .avoid = avoid,
                                           .payload = payload,
                                           .size = size,
                                           .deadline_ms = deadline_ms});
}

void bus_trace (bus_t *bus, const char *trace)
{
    slice_text (slice_of (trace), bus->tracing, sizeof bus->tracing);
}

void bus_cancel (bus_t *bus, uint64_t number)
{
    if (!calls_cancel (bus->calls, bus->requests, number))
        objects_cancel (bus->objects, number);
}

int bus_serve (bus_t *bus, const char *service, size_t credit, err_t *err)
{
    return work_serve (bus->work, bus->requests, service, credit, err);
}

int bus_reply (bus_t *bus, uint64_t id, const void *payload, size_t size)
{
    /* The client is told, instead of waiting for a frame that the bus would cut the connection
       for. */
    if (size > WIRE_PAYLOAD_MAX)
        return bus_refuse (bus, id, ERR_LIMIT, "a reply of %zu bytes; a message has at most %d",
                           size, WIRE_PAYLOAD_MAX);
    return work_answer (bus->work, bus->requests, id, ERR_NONE, payload, size);
}

int bus_refuse (bus_t *bus, uint64_t id, err_code_t code, const char *fmt, ...)
{
    char text[ENVELOPE_TEXT_MAX];
    va_list args;
    va_start (args, fmt);
    vsnprintf (text, sizeof text, fmt, args);
    va_end (args);
    return work_answer (bus->work, bus->requests, id, code ? code : ERR_INTERNAL, text,
                        strlen (text));
}

int bus_subscribe (bus_t *bus, const char *prefix, err_t *err)
{
    return bus_subscribe_last (bus, prefix, 0, err);
}

int bus_subscribe_last (bus_t *bus, const char *prefix, uint32_t last, err_t *err)
{
    return events_subscribe (bus->events, prefix, last, err);
}

void bus_publish (bus_t *bus, const char *topic, const void *payload, size_t size)
{
    events_publish (bus->events, topic, bus->tracing, payload, size);
}

uint64_t bus_offer (bus_t *bus, const void *content, size_t size)
{
    return objects_offer (bus->objects, NULL, content, size);
}

uint64_t bus_lend (bus_t *bus, const hash_t *hash, const void *content, size_t size)
{
    return objects_offer (bus->objects, hash, content, size);
}

uint64_t bus_fetch (bus_t *bus, const hash_t *hash, uint64_t size, int64_t deadline_ms)
{
    return objects_fetch (bus->objects, hash, size, deadline_ms);
}

void *bus_keep (bus_t *bus)
{
    return objects_keep (bus->objects);
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
    return objects_send (bus->objects, &e);
}

uint64_t bus_retire (bus_t *bus, const char *run, uint64_t epoch, const char *name)
{
    envelope_t e = {.kind = ENVELOPE_RETIRE,
                    .service = slice_of (name),
                    .text = slice_of (run),
                    .epoch = epoch};
    return objects_send (bus->objects, &e);
}

int bus_manifests (bus_t *bus)
{
    return objects_ask_manifests (bus->objects);
}

/*  bus - see bus.h. The life of a connection, the one inbox, events. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/internal.h"

#define EVENT_HWM  10000 /* events */
#define FAVOUR_MAX 64    /* items from one inbox before the others are asked */

static void common_options (void *socket)
{
    int linger = 100, soon = 20, later = 500, hwm = EVENT_HWM, beat = 1000, timeout = 3000;
    int64_t most = (int64_t) ENVELOPE_FRAME_MAX + 4096;
    zmq_setsockopt (socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt (socket, ZMQ_RECONNECT_IVL, &soon, sizeof soon);
    zmq_setsockopt (socket, ZMQ_RECONNECT_IVL_MAX, &later, sizeof later);
    zmq_setsockopt (socket, ZMQ_SNDHWM, &hwm, sizeof hwm);
    zmq_setsockopt (socket, ZMQ_RCVHWM, &hwm, sizeof hwm);
    zmq_setsockopt (socket, ZMQ_MAXMSGSIZE, &most, sizeof most);
    zmq_setsockopt (socket, ZMQ_HEARTBEAT_IVL, &beat, sizeof beat);
    zmq_setsockopt (socket, ZMQ_HEARTBEAT_TIMEOUT, &timeout, sizeof timeout);
}

void *bus_socket (bus_t *bus, void **slot, int type, address_actor_t actor, err_t *err)
{
    if (*slot)
        return *slot;
    void *socket = zmq_socket (bus->context, type);
    if (!socket) {
        err_set (err, ERR_LIMIT, "no socket: %s", zmq_strerror (errno));
        return NULL;
    }
    common_options (socket);
    if (type == ZMQ_DEALER) {
        /* The same identity after a reconnect, so that answers still find us. */
        char identity[40];
        int n = snprintf (identity, sizeof identity, "%016llx", (unsigned long long) bus->boot);
        zmq_setsockopt (socket, ZMQ_ROUTING_ID, identity, (size_t) n);
    }
    if (zmq_connect (socket, bus->address.endpoint[actor]) != 0) {
        err_set (err, ERR_CONFIG, "%s: %s", bus->address.endpoint[actor], zmq_strerror (errno));
        zmq_close (socket);
        return NULL;
    }
    return *slot = socket;
}

bus_t *bus_new (const bus_options_t *options, err_t *err)
{
    bus_t *bus = calloc (1, sizeof *bus);
    if (!bus) {
        err_set (err, ERR_LIMIT, "no memory for a bus connection");
        return NULL;
    }
    bus->wake = -1;
    snprintf (bus->name, sizeof bus->name, "%s", options->name);
    snprintf (bus->numerics, sizeof bus->numerics, "%s",
              options->numerics ? options->numerics : "");
    randombytes_buf (&bus->boot, sizeof bus->boot);
    bus->boot |= 1;
    bus->pulse = options->pulse;
    bus->pulse_context = options->context;
    zmq_msg_init (&bus->frame);
    bus->published = calloc (BUS_SEEN_MAX, sizeof *bus->published);
    bus->seen = calloc (BUS_SEEN_MAX, sizeof *bus->seen);
    bus->context = zmq_ctx_new ();
    bus->wake = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
    int rc = bus->published && bus->seen && bus->context && bus->wake >= 0
                 ? address_parse (options->address, false, &bus->address, err)
                 : err_set (err, ERR_LIMIT, "no memory for a bus connection");
    if (rc == 0 && !bus_socket (bus, &bus->requests, ZMQ_DEALER, ADDRESS_REQUESTS, err))
        rc = -1;
    if (rc == 0)
        rc = pulse_start (bus, err);
    if (rc != 0)
        bus_destroy (&bus);
    return bus;
}

void bus_destroy (bus_t **self)
{
    bus_t *bus = *self;
    if (!bus)
        return;
    bus_quiet (bus);
    calls_free (bus);
    objects_free (bus);
    zmq_msg_close (&bus->frame);
    void *sockets[] = {bus->requests, bus->publish, bus->subscribe};
    for (size_t i = 0; i < sizeof sockets / sizeof *sockets; i++)
        if (sockets[i])
            zmq_close (sockets[i]);
    if (bus->context)
        zmq_ctx_term (bus->context);
    if (bus->wake >= 0)
        close (bus->wake);
    free (bus->published);
    free (bus->seen);
    free (bus);
    *self = NULL;
}

void bus_wake (bus_t *bus)
{
    uint64_t one = 1;
    ssize_t n = write (bus->wake, &one, sizeof one);
    (void) n; /* full means that it is awake already */
}

bus_counters_t bus_counters (const bus_t *bus)
{
    return bus->counters;
}

int bus_send (bus_t *bus, void *socket, const envelope_t *envelope)
{
    envelope_t e = *envelope;
    e.sender = slice_of (bus->name);
    e.boot = bus->boot;
    zmq_msg_t frame;
    if (envelope_pack (&e, (slice_t){"", 0}, &frame) != 0)
        return -1;
    if (zmq_msg_send (&frame, socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close (&frame);
        return -1;
    }
    return 0;
}

const char *bus_hold (bus_t *bus, zmq_msg_t *frame)
{
    zmq_msg_move (&bus->frame, frame);
    return zmq_msg_data (&bus->frame);
}

/*  ---- events ------------------------------------------------------------------------------------------ */

/*  The entry of a name in a table of BUS_SEEN_MAX; a full neighbourhood gives up its first entry. last: the
 *  entry that was asked for before. */
static bus_seen_t *seen_entry (bus_seen_t *table, bus_seen_t **last, const char *name)
{
    if (*last && strcmp ((*last)->name, name) == 0)
        return *last;
    uint64_t hash = 1469598103934665603u; /* FNV-1a */
    for (const char *c = name; *c; c++)
        hash = (hash ^ (unsigned char) *c) * 1099511628211u;
    bus_seen_t *first = &table[hash % BUS_SEEN_MAX];
    for (size_t i = 0; i < 8; i++) {
        bus_seen_t *entry = &table[(hash + i) % BUS_SEEN_MAX];
        if (strcmp (entry->name, name) == 0)
            return *last = entry;
        if (!entry->name[0]) {
            first = entry;
            break;
        }
    }
    *first = (bus_seen_t){0};
    snprintf (first->name, sizeof first->name, "%s", name);
    return *last = first;
}

int bus_subscribe (bus_t *bus, const char *prefix, err_t *err)
{
    void *socket = bus_socket (bus, &bus->subscribe, ZMQ_SUB, ADDRESS_SUBSCRIBE, err);
    if (!socket)
        return -1;
    if (zmq_setsockopt (socket, ZMQ_SUBSCRIBE, prefix, strlen (prefix)) != 0)
        return err_set (err, ERR_INTERNAL, "subscribe to '%s': %s", prefix, zmq_strerror (errno));
    return 0;
}

void bus_publish (bus_t *bus, const char *topic, const void *payload, size_t size)
{
    err_t err = {0};
    void *socket = bus_socket (bus, &bus->publish, ZMQ_PUB, ADDRESS_PUBLISH, &err);
    envelope_t e = {.kind = ENVELOPE_EVENT,
                    .sender = slice_of (bus->name),
                    .boot = bus->boot,
                    .sequence =
                        ++seen_entry (bus->published, &bus->last_published, topic)->sequence,
                    .payload = {.data = payload, .size = size}};
    zmq_msg_t frame;
    if (!socket || size > ENVELOPE_EVENT_MAX ||
        envelope_pack (&e, (slice_t){topic, strlen (topic) + 1}, &frame) != 0) {
        if (bus->counters.events_dropped++ == 0)
            log_warn ("event.dropped", "topic=%s bytes=%zu most=%zu", topic, size,
                      ENVELOPE_EVENT_MAX);
        return;
    }
    if (zmq_msg_send (&frame, socket, ZMQ_DONTWAIT) < 0)
        zmq_msg_close (&frame);
    bus->counters.events_out++;
}

/*  How many events of this publisher and topic were lost before this one. */
static uint64_t count_missed (bus_t *bus, const char *topic, const envelope_t *e)
{
    char name[sizeof bus->seen->name];
    slice_text (e->sender, name, ENVELOPE_NAME_MAX);
    size_t n = strlen (name);
    name[n++] = '|';
    slice_text (slice_of (topic), name + n, sizeof name - n);
    bus_seen_t *entry = seen_entry (bus->seen, &bus->last_seen, name);
    uint64_t missed = entry->boot == e->boot && e->sequence > entry->sequence + 1
                          ? e->sequence - entry->sequence - 1
                          : 0;
    entry->boot = e->boot;
    entry->sequence = e->sequence;
    bus->counters.events_in++;
    bus->counters.events_missed += missed;
    return missed;
}

static int take_event (bus_t *bus, zmq_msg_t *frame, bus_item_t *item)
{
    const char *data = zmq_msg_data (frame);
    size_t size = zmq_msg_size (frame);
    const char *end = memchr (data, 0, size);
    envelope_t e;
    if (!end || (size_t) (end - data) >= sizeof bus->item_name ||
        envelope_parse (end + 1, size - (size_t) (end + 1 - data), &e) != 0) {
        bus->counters.malformed++;
        return 0;
    }
    size_t at = (size_t) (e.payload.data - data);
    memcpy (bus->item_name, data, (size_t) (end + 1 - data));
    *item = (bus_item_t){.kind = BUS_EVENT,
                         .name = bus->item_name,
                         .sender = slice_text (e.sender, bus->item_sender, sizeof bus->item_sender),
                         .trace = slice_text (e.trace, bus->item_trace, sizeof bus->item_trace),
                         .text = "",
                         .size = e.payload.size,
                         .missed = count_missed (bus, bus->item_name, &e)};
    bool empty = e.payload.size == 0;
    const char *held = bus_hold (bus, frame);
    item->payload = empty ? "" : held + at;
    return 1;
}

/*  ---- the inbox --------------------------------------------------------------------------------------- */

/*  Parses before the frame moves into bus->frame; slices point into it, so it moves first. */
static int take_frame (bus_t *bus, zmq_msg_t *frame, bus_item_t *item)
{
    bus_hold (bus, frame);
    envelope_t e;
    if (envelope_parse (zmq_msg_data (&bus->frame), zmq_msg_size (&bus->frame), &e) != 0) {
        bus->counters.malformed++;
        return 0;
    }
    *item = (bus_item_t){.name = slice_text (e.service, bus->item_name, sizeof bus->item_name),
                         .sender = slice_text (e.sender, bus->item_sender, sizeof bus->item_sender),
                         .trace = slice_text (e.trace, bus->item_trace, sizeof bus->item_trace),
                         .text = slice_text (e.text, bus->item_text, sizeof bus->item_text),
                         .code = e.code < ERR_COUNT ? (err_code_t) e.code : ERR_INTERNAL,
                         .payload = e.payload.data,
                         .size = e.payload.size,
                         .left_ms = e.left_ms};
    return calls_frame (bus, &e, item);
}

/*  An item of one inbox, if it has one. */
static int take_from (bus_t *bus, size_t inbox, bus_item_t *item)
{
    if (inbox == 1)
        return objects_take (bus, item);
    void *socket = inbox == 0 ? bus->requests : bus->subscribe;
    while (socket) {
        zmq_msg_t frame;
        zmq_msg_init (&frame);
        if (zmq_msg_recv (&frame, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close (&frame);
            return 0;
        }
        int rc = inbox == 0 ? take_frame (bus, &frame, item) : take_event (bus, &frame, item);
        zmq_msg_close (&frame);
        if (rc)
            return 1;
    }
    return 0;
}

/*  One item that is there already: 1, or 0. Items come in runs, so the inbox of the last one is asked
 *  first; after FAVOUR_MAX in a row the others are. */
static int take_any (bus_t *bus, bus_item_t *item)
{
    if (bus->favoured++ < FAVOUR_MAX && take_from (bus, bus->favourite, item))
        return 1;
    bus->favoured = 0;
    for (size_t i = 1; i <= 3; i++)
        if (take_from (bus, (bus->favourite + i) % 3, item)) {
            bus->favourite = (bus->favourite + i) % 3;
            return 1;
        }
    return 0;
}

/*  Deadlines, resending, and a bus that is a new one. */
static int tick (bus_t *bus, int64_t now, bus_item_t *item)
{
    if (atomic_load (&bus->forgotten)) {
        atomic_store (&bus->forgotten, false);
        calls_again (bus);
    }
    if (atomic_load (&bus->replaced)) {
        atomic_store (&bus->replaced, false);
        *item = (bus_item_t){.kind = BUS_PEER, .name = "", .sender = "", .trace = "", .text = ""};
        return 1;
    }
    if (now - bus->ticked_ms < BUS_TICK_MS)
        return 0;
    int rc = calls_tick (bus, now, item);
    if (rc == 0)
        bus->ticked_ms = now;
    return rc;
}

/*  Sleeps until a socket or the eventfd is readable. True when somebody called bus_wake. */
static bool sleep_until (bus_t *bus, int64_t ms)
{
    zmq_pollitem_t items[3] = {{.fd = bus->wake, .events = ZMQ_POLLIN},
                               {.socket = bus->requests, .events = ZMQ_POLLIN}};
    int n = 2;
    if (bus->subscribe)
        items[n++] = (zmq_pollitem_t){.socket = bus->subscribe, .events = ZMQ_POLLIN};
    zmq_poll (items, n, (long) ms);
    uint64_t count;
    return (items[0].revents & ZMQ_POLLIN) && read (bus->wake, &count, sizeof count) > 0;
}

int bus_next (bus_t *bus, bus_item_t *item, int timeout_ms, err_t *err)
{
    objects_delivered (bus);
    int64_t now = clock_ms (), until = now + timeout_ms;
    for (bool woken = false;;) {
        if (bus->refused[0]) {
            err_set (err, ERR_CONFIG, "%s", bus->refused);
            bus->refused[0] = 0;
            return -1;
        }
        if (tick (bus, now, item) || take_any (bus, item))
            return 1;
        if (woken || now >= until)
            return 0;
        int64_t left = until - now;
        woken = sleep_until (bus, bus->calls_n && left > BUS_TICK_MS ? BUS_TICK_MS : left);
        now = clock_ms ();
        /* A wake by the pulse is ours; tick looks. Any other ends the wait. */
        if (woken && (atomic_load (&bus->forgotten) || atomic_load (&bus->replaced)))
            woken = false;
    }
}

int bus_ready (bus_t *bus, int64_t timeout_ms, err_t *err)
{
    int64_t deadline = clock_ms () + timeout_ms;
    while (atomic_load (&bus->bus_boot) == 0) {
        if (clock_ms () >= deadline)
            return err_set (err, ERR_TIMEOUT, "no bus answers at %s",
                            bus->address.endpoint[ADDRESS_REQUESTS]);
        clock_sleep_ms (2);
    }
    return 0;
}

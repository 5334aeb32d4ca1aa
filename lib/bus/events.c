/*  events - see events.h */
#include "bus/events.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/*  Numbers are per sender and topic, so that whoever taps a part of the topics can still tell
 *  what it missed of them. */
#define EVENTS_COUNTED_MAX 1024 /* topics of ours, and of others by sender, that are counted */
#define EVENTS_PROBES      8    /* entries of the table where a name may stand */
/* The bus may have lost the subscriptions: they are sent again so often. */
#define EVENTS_SUBSCRIBE_MS 1000
#define EVENTS_PREFIXES_MAX 64

/*  What is subscribed to, and how many of its last events are wanted first. */
typedef struct {
    char *text;
    uint32_t last;
} events_prefix_t;

/*  How far a topic, or a sender's topic, has been counted. */
typedef struct {
    char name[2 * ENVELOPE_NAME_MAX + 256]; /* topic, or sender and topic */
    uint64_t boot, sequence;
} events_counted_t;

typedef struct {
    events_counted_t entries[EVENTS_COUNTED_MAX]; /* hashed by name */
    events_counted_t *last; /* the entry that was asked for before: most events come in runs */
} events_table_t;

struct events {
    const node_t *node;
    void *publish, *subscribe; /* made at first use */
    events_prefix_t prefixes[EVENTS_PREFIXES_MAX];
    size_t prefixes_n;
    bool catches_up;       /* some last events are wanted */
    int64_t subscribed_ms; /* when they were last sent */
    bool refused;          /* the bus has them for too many; logged once */
    err_t denied;          /* why we may not subscribe so, or not now; code NONE: nothing said */
    events_table_t sent, seen;
    zmq_msg_t frame; /* of the event that was taken last */
    char topic[2 * ENVELOPE_NAME_MAX + 1], sender[ENVELOPE_NAME_MAX + 1],
        trace[ENVELOPE_ID_MAX + 1];
    uint64_t out, in, missed, dropped, malformed, damaged;
};

events_t *events_new (const node_t *node)
{
    events_t *events = calloc (1, sizeof *events);
    if (!events)
        return NULL;
    events->node = node;
    zmq_msg_init (&events->frame);
    return events;
}

/*  What waited to be sent is given its linger time and then dropped. */
static void events_close (events_t *events)
{
    if (events->publish)
        zmq_close (events->publish);
    if (events->subscribe)
        zmq_close (events->subscribe);
    events->publish = events->subscribe = NULL;
}

void events_free (events_t **self)
{
    events_t *events = *self;
    if (!events)
        return;
    zmq_msg_close (&events->frame);
    events_close (events);
    for (size_t i = 0; i < events->prefixes_n; i++)
        free (events->prefixes[i].text);
    free (events);
    *self = NULL;
}

/*  The entry of a name. The table never grows: where no entry is free near the place that the hash
 *  gives, the first there is forgotten. Then its count starts again at 1, which nobody takes for a
 *  loss. */
static events_counted_t *events_entry (events_table_t *table, const char *name)
{
    if (table->last && strcmp (table->last->name, name) == 0)
        return table->last;
    uint64_t hash = 1469598103934665603u; /* FNV-1a */
    for (const char *c = name; *c; c++)
        hash = (hash ^ (unsigned char) *c) * 1099511628211u;
    events_counted_t *use = &table->entries[hash % EVENTS_COUNTED_MAX];
    for (size_t i = 0; i < EVENTS_PROBES; i++) {
        events_counted_t *entry = &table->entries[(hash + i) % EVENTS_COUNTED_MAX];
        if (strcmp (entry->name, name) == 0)
            return table->last = entry;
        if (!entry->name[0]) {
            use = entry;
            break;
        }
    }
    *use = (events_counted_t){0};
    slice_text (slice_of (name), use->name, sizeof use->name);
    return table->last = use;
}

/*  Numbers are given to what is really packed: an event that was too large is no loss on the way,
 *  and must not look like one. */
void events_publish (events_t *events, const char *topic, const char *trace, const void *payload,
                     size_t size)
{
    err_t err = {0};
    /* Most programs publish; those that do not have one connection fewer. */
    if (!events->publish)
        events->publish = node_connect (events->node, ZMQ_PUB, ADDRESS_PUBLISH, NODE_EVENTS, &err);
    bool fits = size <= ENVELOPE_EVENT_MAX && strlen (topic) <= BUS_TOPIC_MAX;
    zmq_msg_t frame;
    if (events->publish && fits) {
        envelope_t e = {.kind = ENVELOPE_EVENT,
                        .trace = slice_of (trace),
                        .sender = slice_of (events->node->name),
                        .boot = events->node->boot,
                        .sequence = ++events_entry (&events->sent, topic)->sequence,
                        .payload = {.data = payload, .size = size}};
        /* The topic stands before the envelope and ends in a 0: that is what the bus filters by,
           without reading the rest. */
        fits = envelope_pack (&e, (slice_t){topic, strlen (topic) + 1}, &frame) == 0;
    }
    if (!events->publish || !fits) {
        /* Once: whoever publishes what is too large does it again and again. */
        if (events->dropped++ == 0)
            log_warn ("event.dropped", "topic=%.*s bytes=%zu most=%zu", BUS_TOPIC_MAX, topic, size,
                      ENVELOPE_EVENT_MAX);
        return;
    }
    /* A publisher never waits for those who listen. */
    if (zmq_msg_send (&frame, events->publish, ZMQ_DONTWAIT) < 0)
        zmq_msg_close (&frame);
    events->out++;
}

static void *events_tap (events_t *events, err_t *err)
{
    if (!events->subscribe)
        events->subscribe =
            node_connect (events->node, ZMQ_DEALER, ADDRESS_SUBSCRIBE, NODE_EVENTS, err);
    return events->subscribe;
}

static void events_send_subscriptions (events_t *events)
{
    for (size_t i = 0; i < events->prefixes_n; i++)
        node_send (events->node, events->subscribe,
                   &(envelope_t){.kind = ENVELOPE_SUBSCRIBE,
                                 .text = slice_of (events->prefixes[i].text),
                                 .credit = events->prefixes[i].last});
}

int events_subscribe (events_t *events, const char *prefix, uint32_t last, err_t *err)
{
    if (strlen (prefix) > BUS_TOPIC_MAX)
        return err_set (err, ERR_LIMIT, "a topic of %zu bytes; it has at most %d (%.*s...)",
                        strlen (prefix), BUS_TOPIC_MAX, BUS_TOPIC_MAX, prefix);
    if (events->prefixes_n == EVENTS_PREFIXES_MAX)
        return err_set (err, ERR_LIMIT, "more than %d subscriptions", EVENTS_PREFIXES_MAX);
    /* Kept, since it is sent again every second. */
    char *kept = strdup (prefix);
    if (!kept)
        return err_set (err, ERR_LIMIT, "no memory for a subscription");
    if (!events_tap (events, err)) {
        free (kept);
        return -1;
    }
    /* Never taken back: no service wants to. */
    events->prefixes[events->prefixes_n++] = (events_prefix_t){kept, last};
    events->catches_up = events->catches_up || last > 0;
    events_send_subscriptions (events);
    return 0;
}

/*  The bus is another one: both connections are made anew, and what it should filter by is said
 *  first. */
void events_again (events_t *events)
{
    err_t err = {0};
    events_close (events);
    if (events->prefixes_n && !events_tap (events, &err))
        log_err ("bus.events", &err);
    else if (events->prefixes_n)
        events_send_subscriptions (events);
}

/*  The bus keeps subscriptions in memory, and may be another one since the last time. Saying them
 *  again is cheaper than finding out. */
void events_tick (events_t *events, int64_t now)
{
    if (!events->prefixes_n || now - events->subscribed_ms < EVENTS_SUBSCRIBE_MS)
        return;
    events->subscribed_ms = now;
    if (events->subscribe)
        events_send_subscriptions (events);
    else
        events_again (events);
}

/*  How many events of this sender and topic were lost before this one; false: it was here before,
 *  and the bus says again what it keeps (services/bus/kept.h). A sender that started anew counts
 *  from 1 again. */
static bool events_count_in (events_t *events, const char *topic, const envelope_t *e,
                             uint64_t *missed)
{
    char name[sizeof events->seen.entries->name];
    slice_text (e->sender, name, ENVELOPE_NAME_MAX + 1);
    size_t n = strlen (name);
    name[n++] = '|';
    slice_text (slice_of (topic), name + n, sizeof name - n);
    events_counted_t *entry = events_entry (&events->seen, name);
    /* A sender with another boot id is another process, whose numbers begin anew. */
    bool known = entry->boot == e->boot && entry->sequence;
    if (known && e->sequence <= entry->sequence && (events->catches_up || strstr (topic, "/run.")))
        return false;
    *missed = known && e->sequence > entry->sequence ? e->sequence - entry->sequence - 1 : 0;
    entry->boot = e->boot;
    entry->sequence = e->sequence;
    events->missed += *missed;
    return true;
}

/*  Fills item from events->frame. */
static int events_fill (events_t *events, bus_item_t *item)
{
    const char *data = zmq_msg_data (&events->frame);
    size_t size = zmq_msg_size (&events->frame);
    const char *end = memchr (data, 0, size);
    envelope_t e;
    envelope_state_t state = end && end - data <= BUS_TOPIC_MAX
                                 ? envelope_parse (end + 1, size - (size_t) (end + 1 - data), &e)
                                 : ENVELOPE_MALFORMED;
    if (state != ENVELOPE_WHOLE) {
        events->malformed += state == ENVELOPE_MALFORMED;
        events->damaged += state == ENVELOPE_DAMAGED;
        return 0;
    }
    if (e.kind == ENVELOPE_REFUSED && (e.code == ERR_CONFIG || e.code == ERR_BUSY)) {
        err_set (&events->denied, e.code, "%.*s", (int) e.text.size, e.text.data);
    } else if (e.kind == ENVELOPE_REFUSED && !events->refused) {
        events->refused = true;
        log_warn ("subscription.refused", "text=\"%.*s\"", (int) e.text.size, e.text.data);
    }
    if (e.kind != ENVELOPE_EVENT)
        return 0;
    uint64_t missed;
    /* Into our own buffer, with its 0: the item outlives the frame's next use. */
    memcpy (events->topic, data, (size_t) (end + 1 - data));
    if (!events_count_in (events, events->topic, &e, &missed))
        return 0;
    events->in++;
    *item = (bus_item_t){.kind = BUS_EVENT,
                         .name = events->topic,
                         .sender = slice_text (e.sender, events->sender, sizeof events->sender),
                         .trace = slice_text (e.trace, events->trace, sizeof events->trace),
                         .text = "",
                         .payload = e.payload.data,
                         .size = e.payload.size,
                         .sequence = e.sequence,
                         .boot = e.boot,
                         .missed = missed,
                         .frame = data,
                         .frame_size = size};
    return 1;
}

/*  Damaged and malformed ones are counted and skipped; the next whole one is the item. */
int events_take (events_t *events, bus_item_t *item)
{
    while (events->subscribe && zmq_msg_recv (&events->frame, events->subscribe, ZMQ_DONTWAIT) >= 0)
        if (events_fill (events, item))
            return 1;
    return 0;
}

const err_t *events_denied (const events_t *events)
{
    return events->denied.code ? &events->denied : NULL;
}

void *events_socket (const events_t *events)
{
    return events->subscribe;
}

void events_count (const events_t *events, bus_counters_t *counters)
{
    counters->events_out = events->out;
    counters->events_in = events->in;
    counters->events_missed = events->missed;
    counters->events_dropped = events->dropped;
    counters->malformed += events->malformed;
    counters->damaged += events->damaged;
}

/*  taps - see taps.h */
#include "taps.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bus/bus.h"
#include "bus/endpoint.h"
#include "bus/envelope.h"
#include "connections.h"
#include "kept.h"
#include "peers.h"

/* That wait for one slow tap: with ENVELOPE_EVENT_MAX, 272 MiB at most. */
#define TAPS_EVENTS_HWM  4096
#define TAPS_BATCH       1000 /* events, */
#define TAPS_ASKED_BATCH 64   /* and messages of taps, before the other are looked at again */
#define TAPS_WAIT_MS     1000
#define TAPS_MESSAGE_MAX ENVELOPE_TEXT_MAX /* of a tap: a subscription */

/*  One connection that subscribed. */
typedef struct {
    char *text;
    size_t size;
} tap_prefix_t;

typedef struct {
    char identity[PEER_IDENTITY_MAX];
    size_t identity_n;
    int fd;
    bool gone;
    guard_holder_t holder;
    tap_prefix_t prefix[TAPS_PREFIXES];
    size_t n;
} tap_t;

struct taps {
    zsock_t *in, *out; /* SUB where publishers connect, ROUTER where taps do */
    void *raw_in, *raw_out;
    connections_t *publishers, *subscribers;
    guard_t *guard;    /* borrowed */
    uint64_t guarded;  /* as guard_changes said when the taps were last looked at */
    atomic_bool ended; /* whoever destroys it sees all that its thread wrote */
    tap_t *tap[TAPS_MAX];
    size_t n, prefixes;
    kept_t *kept; /* for whoever subscribes later */
    _Atomic uint64_t events, lost, taps_n, prefixes_n, refused, malformed;
};

static void taps_add (_Atomic uint64_t *count, uint64_t n)
{
    atomic_fetch_add_explicit (count, n, memory_order_relaxed);
}

/*  A tap's messages are subscriptions and nothing else, so what it may send is small: a larger
 *  frame ends its connection before it takes any memory here. */
taps_t *taps_new (const char *publish, const char *subscribe, size_t peers_max, guard_t *guard,
                  err_t *err)
{
    taps_t *t = calloc (1, sizeof *t);
    if (!t) {
        err_set (err, ERR_LIMIT, "no memory for the events actor");
        return NULL;
    }
    /* Subscriptions are kept here and not by an XPUB: that one keeps whatever anybody subscribes
       to, in memory without a bound. */
    t->in = zsock_new (ZMQ_SUB);
    t->out = zsock_new (ZMQ_ROUTER);
    t->raw_in = zsock_resolve (t->in);
    t->raw_out = zsock_resolve (t->out);
    t->guard = guard;
    const keys_t *keys = guard_keys (guard);
    endpoint_options_t in = {
        .hwm = TAPS_EVENTS_HWM, .payload_max = ENVELOPE_EVENT_MAX, .keys = keys};
    endpoint_options_t out = {
        .hwm = TAPS_EVENTS_HWM, .payload_max = TAPS_MESSAGE_MAX, .keys = keys};
    t->kept = kept_new ();
    t->publishers = connections_new (t->in, publish, &in, peers_max, err);
    t->subscribers =
        t->publishers ? connections_new (t->out, subscribe, &out, peers_max, err) : NULL;
    if (t->subscribers && !t->kept)
        err_set (err, ERR_LIMIT, "no memory for the events actor");
    if (!t->subscribers || !t->kept)
        taps_destroy (&t);
    else
        zsock_set_subscribe (t->in, ""); /* everything, whoever wants it */
    return t;
}

/*  The order of taps has no meaning, so the last one takes the place. */
static void taps_remove (taps_t *t, size_t at)
{
    tap_t *tap = t->tap[at];
    t->tap[at] = t->tap[--t->n];
    t->prefixes -= tap->n;
    for (size_t i = 0; i < tap->n; i++)
        free (tap->prefix[i].text);
    free (tap);
}

void taps_destroy (taps_t **self)
{
    taps_t *t = *self;
    if (!t)
        return;
    (void) atomic_load (&t->ended);
    while (t->n)
        taps_remove (t, 0);
    kept_destroy (&t->kept);
    connections_destroy (&t->publishers);
    connections_destroy (&t->subscribers);
    zsock_destroy (&t->in);
    zsock_destroy (&t->out);
    free (t);
    *self = NULL;
}

/*  ---- sending -------------------------------------------------------------------------------- */

/*  Consumes frame. False: the tap is gone, and to be removed. */
static bool taps_send (taps_t *t, tap_t *tap, zmq_msg_t *frame)
{
    if (zmq_send (t->raw_out, tap->identity, tap->identity_n, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
        zmq_msg_send (frame, t->raw_out, ZMQ_DONTWAIT) >= 0)
        return true;
    /* Unreachable, it is gone. When it comes back it says again what it wants. */
    tap->gone = errno == EHOSTUNREACH;
    zmq_msg_close (frame);
    /* The caller removes it, after its walk over the taps. */
    if (tap->gone)
        return false;
    taps_add (&t->lost, 1); /* too much waits for it already */
    return true;
}

typedef struct {
    taps_t *taps;
    tap_t *tap;
} taps_one_t;

/*  A kept_give. */
static bool taps_give (void *context, const void *data, size_t size)
{
    taps_one_t *one = context;
    zmq_msg_t frame;
    if (zmq_msg_init_size (&frame, size) != 0)
        return false;
    memcpy (zmq_msg_data (&frame), data, size);
    return taps_send (one->taps, one->tap, &frame);
}

/*  ---- subscriptions -------------------------------------------------------------------------- */

/*  The tap of this connection, made when it is new; NULL: there are too many. */
static tap_t *taps_of (taps_t *t, const char *identity, size_t n)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->tap[i]->identity_n == n && memcmp (t->tap[i]->identity, identity, n) == 0)
            return t->tap[i];
    tap_t *tap = t->n < TAPS_MAX ? calloc (1, sizeof *tap) : NULL;
    if (!tap)
        return NULL;
    memcpy (tap->identity, identity, n);
    tap->identity_n = n;
    return t->tap[t->n++] = tap;
}

/*  NULL: it has the prefix now; else why not. Taps say every second what they want, for the
 *  case that this bus is a new one, so it may have it already. */
static const char *taps_subscribe (taps_t *t, tap_t *tap, slice_t prefix, size_t last)
{
    if (prefix.size > BUS_TOPIC_MAX)
        return "the topic of a subscription is too long";
    for (size_t i = 0; i < tap->n; i++)
        if (slice_equal ((slice_t){tap->prefix[i].text, tap->prefix[i].size}, prefix))
            return NULL;
    /* Bounded for each tap and for all: every prefix costs a comparison with every event. */
    if (tap->n == TAPS_PREFIXES || t->prefixes == TAPS_PREFIXES_MAX)
        return "too many subscriptions";
    char *text = malloc (prefix.size + 1);
    if (!text)
        return "the bus has no memory for a subscription";
    if (prefix.size)
        memcpy (text, prefix.data, prefix.size);
    tap->prefix[tap->n++] = (tap_prefix_t){text, prefix.size};
    t->prefixes++;
    /* What it had already it passes over by its number. */
    kept_give (t->kept, prefix, last, taps_give, &(taps_one_t){t, tap});
    return NULL;
}

/*  Told as an event without a topic. */
static void taps_refuse (taps_t *t, const char *identity, size_t n, err_code_t code,
                         const char *text)
{
    envelope_t e = {.kind = ENVELOPE_REFUSED,
                    .sender = slice_of ("bus"),
                    .code = code,
                    .text = slice_of (text)};
    zmq_msg_t frame;
    taps_add (&t->refused, 1);
    if (envelope_pack (&e, (slice_t){"", 1}, &frame) != 0)
        return;
    if (zmq_send (t->raw_out, identity, n, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_msg_send (&frame, t->raw_out, ZMQ_DONTWAIT) < 0)
        zmq_msg_close (&frame);
}

static void taps_on_message (taps_t *t, const char *identity, size_t n, zmq_msg_t *frame)
{
    envelope_t e;
    guard_holder_t who;
    char why[GUARD_WHY_SIZE];
    if (!guard_admit (t->guard, t->subscribers, frame, &who, why)) {
        if (*why)
            taps_refuse (t, identity, n, ERR_BUSY, why);
        return;
    }
    if (envelope_parse (zmq_msg_data (frame), zmq_msg_size (frame), &e) != ENVELOPE_WHOLE ||
        e.kind != ENVELOPE_SUBSCRIBE) {
        taps_add (&t->malformed, 1);
        return;
    }
    if (!guard_allow (t->guard, &who, frame, RIGHTS_SUBSCRIBE, e.text, e.sender, why)) {
        taps_refuse (t, identity, n, ERR_CONFIG, why);
        return;
    }
    tap_t *tap = taps_of (t, identity, n);
    const char *problem =
        tap ? taps_subscribe (t, tap, e.text, e.credit) : "too many taps on this bus";
    if (tap) {
        /* By it a tap is found again when its connection breaks. */
        tap->fd = zmq_msg_get (frame, ZMQ_SRCFD);
        tap->holder = who;
    }
    if (problem)
        taps_refuse (t, identity, n, ERR_LIMIT, problem);
}

/*  Subscriptions before events: whoever subscribes wants what comes next. */
static void taps_take_messages (taps_t *t)
{
    for (int i = 0; i < TAPS_ASKED_BATCH; i++) {
        char identity[PEER_IDENTITY_MAX + 1];
        int n = zmq_recv (t->raw_out, identity, sizeof identity, ZMQ_DONTWAIT);
        if (n < 0)
            return;
        while (zsock_rcvmore (t->out)) {
            zmq_msg_t frame;
            zmq_msg_init (&frame);
            if (zmq_msg_recv (&frame, t->raw_out, ZMQ_DONTWAIT) >= 0 && n <= PEER_IDENTITY_MAX)
                taps_on_message (t, identity, (size_t) n, &frame);
            zmq_msg_close (&frame);
            n = PEER_IDENTITY_MAX + 1; /* further frames of a message are not looked at */
        }
    }
}

/*  ---- events --------------------------------------------------------------------------------- */

/*  At most 64 comparisons; a tap that wants everything has one, which is empty. */
static bool taps_wants (const tap_t *tap, const char *topic, size_t size)
{
    for (size_t i = 0; i < tap->n; i++) {
        const tap_prefix_t *p = &tap->prefix[i];
        if (p->size <= size && memcmp (p->text, topic, p->size) == 0)
            return true;
    }
    return false;
}

static void taps_remove_gone (taps_t *t)
{
    for (size_t i = 0; i < t->n;)
        if (t->tap[i]->gone)
            taps_remove (t, i);
        else
            i++;
}

/*  Consumes frame. What is slow here is slow for all taps: so nothing waits, and nothing is copied
 *  but a reference; with one tap not even that, since the last that wants the event gets the frame
 *  itself. */
static void taps_forward (taps_t *t, zmq_msg_t *frame)
{
    const char *topic = zmq_msg_data (frame);
    size_t size = zmq_msg_size (frame);
    const char *end = memchr (topic, 0, size < BUS_TOPIC_MAX + 1 ? size : BUS_TOPIC_MAX + 1);
    tap_t *last = NULL;
    bool gone = false;
    if (!end)
        taps_add (&t->malformed, 1);
    else
        kept_add (t->kept, topic, size, (size_t) (end - topic));
    for (size_t i = 0; end && i < t->n; i++) {
        if (!taps_wants (t->tap[i], topic, (size_t) (end - topic)))
            continue;
        zmq_msg_t copy;
        zmq_msg_init (&copy);
        /* Without memory for the reference this tap loses the event, as a slow one would. */
        if (last && zmq_msg_copy (&copy, frame) == 0)
            gone = !taps_send (t, last, &copy) || gone;
        last = t->tap[i];
    }
    if (last)
        gone = !taps_send (t, last, frame) || gone;
    else
        zmq_msg_close (frame);
    zmq_msg_init (frame);
    if (gone)
        taps_remove_gone (t);
}

/*  Whether the holder of the certificate that an event came by may publish it. Nothing leads back
 *  to a publisher, so who may not is only counted and logged. */
static bool taps_allow (taps_t *t, zmq_msg_t *frame)
{
    guard_holder_t who;
    char why[GUARD_WHY_SIZE];
    envelope_t e = {0};
    if (!t->guard)
        return true;
    const char *topic = zmq_msg_data (frame);
    size_t size = zmq_msg_size (frame);
    const char *end = memchr (topic, 0, size);
    if (!guard_admit (t->guard, t->publishers, frame, &who, why))
        return false;
    /* What is no event is counted where it would be forwarded. */
    return !end ||
           envelope_parse (end + 1, size - (size_t) (end + 1 - topic), &e) != ENVELOPE_WHOLE ||
           guard_allow (t->guard, &who, frame, RIGHTS_PUBLISH,
                        (slice_t){topic, (size_t) (end - topic)}, e.sender, why);
}

/*  Who was let in and is not any more hears nothing from now on. */
static void taps_check_guard (taps_t *t)
{
    if (guard_changes (t->guard) == t->guarded)
        return;
    t->guarded = guard_changes (t->guard);
    for (size_t i = 0; i < t->n; i++)
        if (!guard_knows (t->guard, &t->tap[i]->holder)) {
            t->tap[i]->gone = true;
            connections_end (t->tap[i]->fd);
        }
    taps_remove_gone (t);
}

/*  As many as ZeroMQ's own proxy takes in one go, so that a burst costs few rounds of polling. */
static void taps_take_events (taps_t *t)
{
    zmq_msg_t frame;
    uint64_t n = 0;
    zmq_msg_init (&frame);
    for (; n < TAPS_BATCH && zmq_msg_recv (&frame, t->raw_in, ZMQ_DONTWAIT) >= 0; n++)
        if (!zmq_msg_more (&frame) && taps_allow (t, &frame)) /* an event is one frame */
            taps_forward (t, &frame);
    zmq_msg_close (&frame);
    taps_add (&t->events, n);
}

/*  ---- the loop ------------------------------------------------------------------------------- */

/*  A tap that nothing is sent to would never be found gone; the table would fill with such. */
static void taps_check_connections (taps_t *t)
{
    int fd;
    while (connections_next_broken (t->publishers, &fd))
        ; /* only counted */
    while (connections_next_broken (t->subscribers, &fd))
        for (size_t i = 0; i < t->n; i++)
            t->tap[i]->gone = t->tap[i]->gone || t->tap[i]->fd == fd;
    taps_remove_gone (t);
}

void taps_actor (zsock_t *pipe, void *taps)
{
    taps_t *t = taps;
    zpoller_t *poller = zpoller_new (pipe, connections_monitor (t->subscribers),
                                     connections_monitor (t->publishers), t->out, t->in, NULL);
    zsock_signal (pipe, 0);
    while (poller) {
        const void *ready = zpoller_wait (poller, TAPS_WAIT_MS);
        if (ready == pipe || (!ready && zpoller_terminated (poller)))
            break; /* $TERM is all that is ever sent */
        taps_check_connections (t);
        taps_take_messages (t);
        taps_check_guard (t);
        taps_take_events (t);
        /* For taps_status, which another thread calls. */
        atomic_store_explicit (&t->taps_n, t->n, memory_order_relaxed);
        atomic_store_explicit (&t->prefixes_n, t->prefixes, memory_order_relaxed);
    }
    zpoller_destroy (&poller);
    atomic_store (&t->ended, true);
}

void taps_status (const taps_t *t, taps_status_t *status)
{
    *status = (taps_status_t){.connections = connections_count (t->publishers) +
                                             connections_count (t->subscribers),
                              .events = atomic_load (&t->events),
                              .lost = atomic_load (&t->lost),
                              .kept_bytes = kept_bytes (t->kept),
                              .taps = atomic_load (&t->taps_n),
                              .prefixes = atomic_load (&t->prefixes_n),
                              .refused = atomic_load (&t->refused),
                              .malformed = atomic_load (&t->malformed)};
}

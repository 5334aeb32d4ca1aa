/*  pulse - see pulse.h */
#include "bus/pulse.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/endpoint.h"

/*  Half a second: the bus takes a peer for dead after two (PEER_DEAD_MS in
 *  services/bus/peers.h), so three beats in a row may get lost. */
#define PULSE_BEAT_MS 500
#define PULSE_LOOK_MS 100 /* how often the end is looked for */
/* Without an answer for so long, and PULSE_ROUNDS round trips: connect anew. */
#define PULSE_SILENT_MS  3000
#define PULSE_ROUNDS     3
#define PULSE_SILENT_MAX 60000
#define PULSE_FLIGHTS    64 /* beats whose times are remembered */
#define PULSE_MONITOR    "inproc://pulse"

struct pulse {
    const node_t *node;
    pthread_t thread;
    bool runs;
    /* the thread's own */
    void *socket;
    void *monitor;            /* tells how its greetings end; NULL: there is none */
    uint64_t life;            /* the number that the bus gave this life of ours */
    uint64_t beats, answered; /* numbers of the last beat that was sent, and that was answered */
    int64_t sent_ms[PULSE_FLIGHTS]; /* by a beat's number */
    int64_t answered_ms, silent_ms; /* when the bus last answered; how long it may be silent now */
    int64_t round_ms; /* a round trip as measured; falls slowly when trips get faster */
    /* what crosses */
    atomic_bool stop;
    _Atomic uint64_t bus_boot; /* of the bus, as it last answered; 0: not yet */
    atomic_bool met, forgotten, replaced, hung_up, lost; /* lost: and logged */
    const err_t *_Atomic refused;
    err_t refusal; /* the first one's, written before it is pointed to */
};

/*  How long a beat and its answer take. One that is still unanswered has taken as long as it has
 *  been waiting. */
static int64_t pulse_round_ms (const pulse_t *pulse, int64_t now)
{
    if (pulse->answered == pulse->beats)
        return pulse->round_ms;
    uint64_t oldest = pulse->answered + 1;
    if (pulse->beats - pulse->answered > PULSE_FLIGHTS)
        oldest = pulse->beats - PULSE_FLIGHTS + 1;
    /* Else a link that got slow would look fast for as long as its first slow answer takes. */
    int64_t waiting = now - pulse->sent_ms[oldest % PULSE_FLIGHTS];
    return waiting > pulse->round_ms ? waiting : pulse->round_ms;
}

/*  A bus with another boot id, or for which this is another life of ours, wakes the other thread.
 *  So does the first answer: a bus that died since may have taken what was sent before it. */
static void pulse_learn (pulse_t *pulse, const envelope_t *e)
{
    uint64_t boot = atomic_load (&pulse->bus_boot), life = pulse->life;
    pulse->life = e->epoch;
    if (boot && boot != e->boot)
        atomic_store (&pulse->replaced, true);
    atomic_store (&pulse->bus_boot, e->boot);
    if (boot == e->boot && life == e->epoch)
        return;
    /* bus_next then registers again and sends again what it waits for, on its own thread. */
    atomic_store (boot ? &pulse->forgotten : &pulse->met, true);
    node_wake (pulse->node);
}

/*  An answer: how long it took says how patient to be from now on. */
static void pulse_measure (pulse_t *pulse, const envelope_t *e)
{
    int64_t now = clock_ms ();
    if (atomic_load (&pulse->lost))
        log_info ("bus.back", "away_ms=%lld same=%s", (long long) (now - pulse->answered_ms),
                  e->boot == atomic_load (&pulse->bus_boot) ? "yes" : "no");
    atomic_store (&pulse->lost, false);
    pulse->answered_ms = now;
    if (e->sequence > pulse->answered && e->sequence <= pulse->beats &&
        pulse->beats - e->sequence < PULSE_FLIGHTS) {
        int64_t round = now - pulse->sent_ms[e->sequence % PULSE_FLIGHTS];
        /* A maximum that fades by a thirtieth with every answer: patience follows a link that
           gets slow at once, and one that gets faster within a minute. */
        int64_t faded = pulse->round_ms - pulse->round_ms / 32;
        pulse->round_ms = round > faded ? round : faded;
        pulse->answered = e->sequence;
    }
    pulse->silent_ms = PULSE_SILENT_MS + PULSE_ROUNDS * pulse->round_ms;
}

static void pulse_refuse (pulse_t *pulse, err_code_t code, slice_t why)
{
    if (atomic_load (&pulse->refused))
        return;
    err_set (&pulse->refusal, code, "%.*s", (int) why.size, why.data);
    atomic_store (&pulse->refused, &pulse->refusal);
    node_wake (pulse->node);
}

/*  Whatever else comes here is no business of ours. */
static void pulse_take_answers (pulse_t *pulse)
{
    zmq_msg_t frame;
    zmq_msg_init (&frame);
    while (zmq_msg_recv (&frame, pulse->socket, ZMQ_DONTWAIT) >= 0) {
        envelope_t e;
        if (envelope_parse (zmq_msg_data (&frame), zmq_msg_size (&frame), &e) != ENVELOPE_WHOLE)
            continue;
        if (e.kind == ENVELOPE_HEARTBEAT && e.boot) {
            pulse_measure (pulse, &e);
            pulse_learn (pulse, &e);
        } else if (e.kind == ENVELOPE_REFUSED) {
            pulse_refuse (pulse, e.code == ERR_BUSY ? ERR_BUSY : ERR_CONFIG, e.text);
        }
    }
    zmq_msg_close (&frame);
}

/*  The bus is told how long a round trip takes, so that it is patient with who has a slow link. */
static void pulse_beat (pulse_t *pulse)
{
    int64_t now = clock_ms (), round = pulse_round_ms (pulse, now);
    pulse->sent_ms[++pulse->beats % PULSE_FLIGHTS] = now;
    envelope_t e = {.kind = ENVELOPE_HEARTBEAT,
                    .sequence = pulse->beats,
                    .left_ms = round < PULSE_SILENT_MAX ? (uint32_t) round : PULSE_SILENT_MAX};
    node_send (pulse->node, pulse->socket, &e);
}

/*  ---- whether it lets us in ------------------------------------------------------------------ */

static void pulse_disconnect (pulse_t *pulse)
{
    endpoint_unwatch (pulse->socket, &pulse->monitor);
    if (pulse->socket)
        zmq_close (pulse->socket);
    pulse->socket = NULL;
}

/*  Only the greeting is watched. Without a monitor a bus that does not let us in is one that does
 *  not answer. */
static int pulse_connect (pulse_t *pulse, err_t *err)
{
    pulse_disconnect (pulse);
    pulse->socket = node_connect (pulse->node, ZMQ_DEALER, ADDRESS_REQUESTS, NODE_BEATS, err);
    if (!pulse->socket)
        return -1;
    pulse->monitor =
        endpoint_watch (pulse->node->context, pulse->socket, PULSE_MONITOR,
                        ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                            ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    return 0;
}

static void pulse_take_greetings (pulse_t *pulse)
{
    bool keys = *pulse->node->keys.name;
    uint32_t value;
    for (int event; (event = endpoint_event (pulse->monitor, 0, &value));)
        if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
            pulse_refuse (pulse, ERR_CONFIG,
                          slice_of ("it does not know this certificate, which was revoked or "
                                    "renewed, or is for another bus (quintet keys list)"));
        else if (event != ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
            atomic_store (&pulse->hung_up, event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL);
        else if (value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
            pulse_refuse (pulse, ERR_CONFIG,
                          slice_of (keys ? "it has no keys: leave out --keys"
                                         : "it wants a certificate: --keys DIR"));
}

/*  A bus that was stopped keeps its connections, and a cut on the way need not break them: so after
 *  a while of silence a connection is made anew, each time after a longer while. */
static void pulse_check_silence (pulse_t *pulse)
{
    int64_t now = clock_ms ();
    if (now - pulse->answered_ms < pulse->silent_ms && pulse->socket)
        return;
    err_t err = {0};
    if (!atomic_load (&pulse->lost) && atomic_load (&pulse->bus_boot))
        log_warn ("bus.lost", "bus=%s silent_ms=%lld",
                  pulse->node->address.endpoint[ADDRESS_REQUESTS],
                  (long long) (now - pulse->answered_ms));
    atomic_store (&pulse->lost, atomic_load (&pulse->bus_boot) != 0);
    pulse_connect (pulse, &err);
    pulse->silent_ms = now - pulse->answered_ms + 2 * pulse->silent_ms;
    if (pulse->silent_ms > now - pulse->answered_ms + PULSE_SILENT_MAX)
        pulse->silent_ms = now - pulse->answered_ms + PULSE_SILENT_MAX;
}

static void *pulse_run (void *context)
{
    pulse_t *pulse = context;
    int64_t next = 0;
    while (!atomic_load (&pulse->stop)) {
        if (clock_ms () >= next) {
            next = clock_ms () + PULSE_BEAT_MS;
            pulse_check_silence (pulse);
            if (pulse->socket)
                pulse_beat (pulse);
        }
        int64_t left = clock_left_ms (next);
        /* The end is asked for by a flag, so the wait is cut into short pieces. */
        zmq_pollitem_t item = {.socket = pulse->socket, .events = ZMQ_POLLIN};
        zmq_poll (&item, pulse->socket ? 1 : 0, left < PULSE_LOOK_MS ? (long) left : PULSE_LOOK_MS);
        if (pulse->socket)
            pulse_take_answers (pulse);
        pulse_take_greetings (pulse);
    }
    return NULL;
}

pulse_t *pulse_new (const node_t *node, err_t *err)
{
    pulse_t *pulse = calloc (1, sizeof *pulse);
    if (!pulse) {
        err_set (err, ERR_LIMIT, "no memory for heartbeats");
        return NULL;
    }
    pulse->node = node;
    pulse->answered_ms = clock_ms ();
    pulse->silent_ms = PULSE_SILENT_MS;
    /* Made here, where its failure can still be told, and used by the thread alone: starting a
       thread is the barrier that ZeroMQ wants between the two. */
    bool connected = pulse_connect (pulse, err) == 0;
    int rc = connected ? pthread_create (&pulse->thread, NULL, pulse_run, pulse) : 0;
    if (rc != 0)
        err_set (err, ERR_LIMIT, "no thread for heartbeats: %s", strerror (rc));
    pulse->runs = connected && rc == 0;
    if (!pulse->runs)
        pulse_free (&pulse);
    return pulse;
}

/*  May be called twice; after it the thread's fields are the caller's. */
void pulse_stop (pulse_t *pulse)
{
    if (!pulse || !pulse->runs)
        return;
    atomic_store (&pulse->stop, true);
    pthread_join (pulse->thread, NULL);
    pulse->runs = false;
}

void pulse_free (pulse_t **self)
{
    pulse_t *pulse = *self;
    if (!pulse)
        return;
    pulse_stop (pulse);
    pulse_disconnect (pulse);
    free (pulse);
    *self = NULL;
}

bool pulse_met (pulse_t *pulse)
{
    return atomic_exchange (&pulse->met, false);
}

bool pulse_forgotten (pulse_t *pulse)
{
    return atomic_exchange (&pulse->forgotten, false);
}

bool pulse_replaced (pulse_t *pulse)
{
    return atomic_exchange (&pulse->replaced, false);
}

bool pulse_pending (const pulse_t *pulse)
{
    return atomic_load (&pulse->met) || atomic_load (&pulse->forgotten) ||
           atomic_load (&pulse->replaced);
}

const err_t *pulse_refused (const pulse_t *pulse)
{
    return atomic_load (&pulse->refused);
}

bool pulse_hung_up (const pulse_t *pulse)
{
    return atomic_load (&pulse->hung_up);
}

bool pulse_lost (const pulse_t *pulse)
{
    return atomic_load (&pulse->lost);
}

/*  Read by the courier too: an atomic is all that the three threads share of it. */
uint64_t pulse_bus (const pulse_t *pulse)
{
    return atomic_load (&pulse->bus_boot);
}

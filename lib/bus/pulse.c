/*  pulse - the heartbeat thread of a bus_t: it keeps a service alive for the bus while its main thread
 *  computes, notices when the bus is a new one or forgot us, and calls the service's own pulse. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "bus/internal.h"

#define ANSWER_MAX 4096 /* bytes of what the bus answers */

/*  A bus with another boot id, or for which this is another life of ours, wakes the main thread. So does a first
 *  answer that comes late: there may have been a life before. */
static void learn (bus_t *bus, const envelope_t *e)
{
    uint64_t boot = atomic_load (&bus->bus_boot), life = bus->life;
    bus->life = e->epoch;
    if (boot && boot != e->boot)
        atomic_store (&bus->replaced, true);
    bool first = boot == 0 && clock_left_ms (bus->pulse_start_ms + BUS_HEARTBEAT_MS) > 0;
    if (!first && (boot != e->boot || life != e->epoch)) {
        atomic_store (&bus->forgotten, true);
        bus_wake (bus);
    }
    atomic_store (&bus->bus_boot, e->boot);
}

/*  Takes what the bus answered. */
static void hear (bus_t *bus, void *socket)
{
    zmq_msg_t frame;
    zmq_msg_init (&frame);
    while (zmq_msg_recv (&frame, socket, ZMQ_DONTWAIT) >= 0) {
        envelope_t e;
        if (envelope_parse (zmq_msg_data (&frame), zmq_msg_size (&frame), &e) == 0 &&
            e.kind == ENVELOPE_HEARTBEAT && e.boot)
            learn (bus, &e);
    }
    zmq_msg_close (&frame);
}

static void beat (bus_t *bus, void *socket)
{
    envelope_t e = {.kind = ENVELOPE_HEARTBEAT, .sender = slice_of (bus->name), .boot = bus->boot};
    zmq_msg_t frame;
    if (envelope_pack (&e, (slice_t){"", 0}, &frame) == 0 &&
        zmq_msg_send (&frame, socket, ZMQ_DONTWAIT) < 0)
        zmq_msg_close (&frame);
}

static void *run (void *argument)
{
    bus_t *bus = argument;
    void *socket = zmq_socket (bus->context, ZMQ_DEALER);
    int zero = 0, few = 4, soon = 20, later = 500, ping = 1000, timeout = 3000;
    int64_t most = ANSWER_MAX;
    zmq_setsockopt (socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt (socket, ZMQ_SNDHWM, &few, sizeof few);
    zmq_setsockopt (socket, ZMQ_RECONNECT_IVL, &soon, sizeof soon);
    zmq_setsockopt (socket, ZMQ_RECONNECT_IVL_MAX, &later, sizeof later);
    zmq_setsockopt (socket, ZMQ_MAXMSGSIZE, &most, sizeof most);
    zmq_setsockopt (socket, ZMQ_HEARTBEAT_IVL, &ping, sizeof ping);
    zmq_setsockopt (socket, ZMQ_HEARTBEAT_TIMEOUT, &timeout, sizeof timeout);
    zmq_connect (socket, bus->address.endpoint[ADDRESS_REQUESTS]);
    int64_t next = 0;
    while (!atomic_load (&bus->pulse_stop)) {
        if (clock_ms () >= next) {
            next = clock_ms () + BUS_HEARTBEAT_MS;
            beat (bus, socket);
            if (bus->pulse)
                bus->pulse (bus->pulse_context);
        }
        zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
        zmq_poll (&item, 1, (long) clock_left_ms (next) < 100 ? (long) clock_left_ms (next) : 100);
        hear (bus, socket);
    }
    zmq_close (socket);
    return NULL;
}

int pulse_start (bus_t *bus, err_t *err)
{
    bus->pulse_start_ms = clock_ms ();
    int rc = pthread_create (&bus->pulse_thread, NULL, run, bus);
    if (rc != 0)
        return err_set (err, ERR_LIMIT, "no thread for heartbeats: %s", strerror (rc));
    bus->pulse_runs = true;
    return 0;
}

void bus_quiet (bus_t *bus)
{
    if (!bus || !bus->pulse_runs)
        return;
    atomic_store (&bus->pulse_stop, true);
    pthread_join (bus->pulse_thread, NULL);
    bus->pulse_runs = false;
}

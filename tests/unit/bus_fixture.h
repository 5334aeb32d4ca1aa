/*  bus_fixture - what the tests of the bus share: a bus on a socket of its own, those who join it,
 *  and bare sockets that say what no bus_t would, or leave out what it would say.
 *
 *  Include after cmocka.h, and compile services/bus/ except its main.c with it.
 */
#ifndef QUINTET_TESTS_BUS_FIXTURE_H
#define QUINTET_TESTS_BUS_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../services/bus/actors.h"
#include "base/clock.h"
#include "base/fs.h"
#include "bus/bus.h"
#include "bus/envelope.h"

#define PATIENCE_MS 60000

typedef struct {
    char dir[64], address[96];
    actors_t *actors;
} fixture_t;

/*  An address without a bus. */
static inline int setup_address (void **state)
{
    fixture_t *f = calloc (1, sizeof *f);
    snprintf (f->dir, sizeof f->dir, "/tmp/quintet-bus-XXXXXX");
    if (!mkdtemp (f->dir))
        return -1;
    snprintf (f->address, sizeof f->address, "ipc://%s/bus", f->dir);
    *state = f;
    return 0;
}

static inline int setup (void **state)
{
    if (setup_address (state) != 0)
        return -1;
    fixture_t *f = *state;
    f->actors = actors_new (f->address, NULL, NULL);
    return f->actors ? 0 : -1;
}

static inline int teardown (void **state)
{
    fixture_t *f = *state;
    actors_destroy (&f->actors);
    fs_remove (f->dir, NULL);
    free (f);
    return 0;
}

static inline bus_t *join (const fixture_t *f, const char *name)
{
    err_t err = {0};
    bus_options_t options = {.address = f->address, .name = name, .numerics = "same"};
    bus_t *bus = bus_new (&options, &err);
    assert_non_null (bus);
    assert_int_equal (bus_ready (bus, PATIENCE_MS, &err), 0);
    return bus;
}

/*  Waits for an item of a kind; others are dropped. */
static inline bus_item_t await_for (bus_t *bus, bus_kind_t kind, int64_t patience_ms)
{
    int64_t deadline = clock_ms () + patience_ms;
    while (clock_ms () < deadline) {
        bus_item_t item;
        err_t err = {0};
        int rc = bus_next (bus, &item, 100, &err);
        assert_true (rc >= 0);
        if (rc == 1 && item.kind == kind)
            return item;
    }
    fail_msg ("no item of kind %d within %d ms", (int) kind, (int) patience_ms);
    return (bus_item_t){0};
}

static inline bus_item_t await (bus_t *bus, bus_kind_t kind)
{
    return await_for (bus, kind, PATIENCE_MS);
}

/*  Joins a bus that the test plays, or none at all. */
static inline bus_t *join_played (const fixture_t *f)
{
    bus_options_t options = {.address = f->address, .name = "peer", .numerics = ""};
    bus_t *bus = bus_new (&options, NULL);
    assert_non_null (bus);
    return bus;
}

/*  Lets a bus_t do what it has to, until nothing comes for a moment. */
static inline bool quiet (bus_t *bus, int ms)
{
    bus_item_t item;
    return bus_next (bus, &item, ms, NULL) == 0;
}

/*  One of the bus's own metrics. */
typedef struct {
    const char *name;
    double value;
} asked_t;

static inline void take_metric (void *to, const char *name, double value)
{
    asked_t *asked = to;
    if (strcmp (name, asked->name) == 0)
        asked->value = value;
}

static inline double metric (const fixture_t *f, const char *name)
{
    asked_t asked = {.name = name, .value = -1};
    actors_status (f->actors, take_metric, &asked);
    assert_true (asked.value >= 0);
    return asked.value;
}

static inline void await_metric (const fixture_t *f, const char *name, double value)
{
    for (int64_t end = clock_ms () + PATIENCE_MS; clock_ms () < end && metric (f, name) < value;)
        clock_sleep_ms (5);
    assert_true (metric (f, name) >= value);
}

/*  Waits until there are so many connections: the bus has noticed who came, and who went. */
static inline void await_connections (const fixture_t *f, double wanted)
{
    for (int64_t end = clock_ms () + PATIENCE_MS;
         clock_ms () < end && metric (f, "connections") != wanted;)
        clock_sleep_ms (5);
    assert_int_equal (metric (f, "connections"), wanted);
}

/*  ---- bare sockets --------------------------------------------------------------------------- */

typedef struct {
    void *context, *socket;
    uint64_t boot;
    zmq_msg_t peer, frame; /* a ROUTER's last sender; the last frame */
} raw_t;

/*  actor: "requests", "policies", ...; a ROUTER binds, others connect. */
static inline raw_t raw_open_with (const fixture_t *f, const char *actor, int type,
                                   const char *identity)
{
    raw_t raw = {.context = zmq_ctx_new (), .boot = (uint64_t) clock_us () << 8 | 1};
    char endpoint[128];
    int linger = 100;
    snprintf (endpoint, sizeof endpoint, "%s.%s", f->address, actor);
    raw.socket = zmq_socket (raw.context, type);
    zmq_setsockopt (raw.socket, ZMQ_LINGER, &linger, sizeof linger);
    if (identity)
        zmq_setsockopt (raw.socket, ZMQ_ROUTING_ID, identity, strlen (identity));
    assert_int_equal (type == ZMQ_ROUTER ? zmq_bind (raw.socket, endpoint)
                                         : zmq_connect (raw.socket, endpoint),
                      0);
    zmq_msg_init (&raw.peer);
    zmq_msg_init (&raw.frame);
    return raw;
}

static inline raw_t raw_open (const fixture_t *f, const char *actor, int type)
{
    return raw_open_with (f, actor, type, NULL);
}

/*  A DEALER with an identity of its own choice. */
static inline raw_t raw_open_as (const fixture_t *f, const char *actor, const char *identity)
{
    return raw_open_with (f, actor, ZMQ_DEALER, identity);
}

static inline void raw_close (raw_t *raw)
{
    zmq_msg_close (&raw->peer);
    zmq_msg_close (&raw->frame);
    zmq_close (raw->socket);
    zmq_ctx_term (raw->context);
}

/*  A ROUTER's goes to the last sender. damaged: as a broken link would deliver it, a bit of the
 *  payload flipped. */
static inline void raw_send_as (raw_t *raw, envelope_t e, bool damaged)
{
    zmq_msg_t frame;
    e.sender = slice_of ("raw");
    e.boot = raw->boot;
    assert_int_equal (envelope_pack (&e, (slice_t){"", 0}, &frame), 0);
    if (damaged) {
        envelope_t packed;
        assert_int_equal (envelope_parse (zmq_msg_data (&frame), zmq_msg_size (&frame), &packed),
                          ENVELOPE_WHOLE);
        size_t at = (size_t) (packed.payload.data - (const char *) zmq_msg_data (&frame));
        ((char *) zmq_msg_data (&frame))[at + packed.payload.size / 2] ^= 4;
    }
    if (zmq_msg_size (&raw->peer))
        zmq_send (raw->socket, zmq_msg_data (&raw->peer), zmq_msg_size (&raw->peer), ZMQ_SNDMORE);
    assert_true (zmq_msg_send (&frame, raw->socket, 0) >= 0);
}

static inline void raw_send (raw_t *raw, envelope_t e)
{
    raw_send_as (raw, e, false);
}

/*  What comes within ms; its fields point into raw. False: nothing. */
static inline bool raw_take (raw_t *raw, envelope_t *e, int ms)
{
    zmq_pollitem_t item = {.socket = raw->socket, .events = ZMQ_POLLIN};
    int type = 0;
    size_t size = sizeof type;
    zmq_getsockopt (raw->socket, ZMQ_TYPE, &type, &size);
    if (zmq_poll (&item, 1, ms) <= 0)
        return false;
    if (type == ZMQ_ROUTER)
        zmq_msg_recv (&raw->peer, raw->socket, 0);
    zmq_msg_recv (&raw->frame, raw->socket, 0);
    assert_int_equal (envelope_parse (zmq_msg_data (&raw->frame), zmq_msg_size (&raw->frame), e),
                      0);
    return true;
}

/*  The next of a kind; others are dropped. */
static inline envelope_t raw_await (raw_t *raw, envelope_kind_t kind)
{
    envelope_t e;
    for (int64_t deadline = clock_ms () + PATIENCE_MS; clock_ms () < deadline;)
        if (raw_take (raw, &e, 100) && e.kind == kind)
            return e;
    fail_msg ("no message of kind %d within %d ms", (int) kind, PATIENCE_MS);
    return (envelope_t){0};
}

#endif

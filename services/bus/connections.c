/*  connections - see connections.h */
#include "connections.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "bus/address.h"

#define CONNECTIONS_ROOM 8 /* no longer full when this part of the most is free */

struct connections {
    void *socket;
    zactor_t *monitor;
    char endpoint[ADDRESS_MAX]; /* as ZeroMQ calls it */
    bool full;                  /* and logged */
    bool keyed;                 /* who is somebody says so, by a frame */
    uint64_t came;
    size_t max;
    atomic_size_t open;
    /* By file descriptor. Numbers are used again, the lowest first, so a connection whose end
       nobody told of is counted wrongly only until its number comes again. */
    connection_t *at;
    size_t at_n;
};

/*  Before the socket is bound: the first connection must be told of as well. */
static zactor_t *connections_start_monitor (zsock_t *socket)
{
    zactor_t *monitor = zactor_new (zmonitor, socket);
    if (!monitor)
        return NULL;
    zstr_sendx (monitor, "LISTEN", "ACCEPTED", "DISCONNECTED", NULL);
    zstr_sendx (monitor, "START", NULL);
    zsock_wait (monitor); /* what happens from here on is told */
    return monitor;
}

connections_t *connections_new (zsock_t *socket, const char *endpoint,
                                const endpoint_options_t *options, size_t max, err_t *err)
{
    connections_t *c = socket ? calloc (1, sizeof *c) : NULL;
    if (!c || !(c->monitor = connections_start_monitor (socket))) {
        free (c);
        err_set (err, ERR_LIMIT, "no memory for the socket at %s", endpoint);
        return NULL;
    }
    size_t size = sizeof c->endpoint;
    c->max = max;
    c->keyed = options->keys;
    c->socket = zsock_resolve (socket);
    if (endpoint_bind (c->socket, endpoint, options, err) != 0) {
        connections_destroy (&c);
        return NULL;
    }
    /* With a port of the system's choice the endpoint is known only now. */
    zmq_getsockopt (c->socket, ZMQ_LAST_ENDPOINT, c->endpoint, &size);
    return c;
}

void connections_destroy (connections_t **self)
{
    connections_t *c = *self;
    if (!c)
        return;
    /* The socket is still there: a monitor that outlives it would wait for ever. */
    zactor_destroy (&c->monitor);
    free (c->at);
    free (c);
    *self = NULL;
}

zactor_t *connections_monitor (const connections_t *c)
{
    return c->monitor;
}

connection_t *connections_at (connections_t *c, int fd)
{
    return fd >= 0 && (size_t) fd < c->at_n ? &c->at[fd] : NULL;
}

/*  Counted anew each time: there is no counter that could go wrong, and it is asked for once in the
 *  life of a connection. */
size_t connections_of (const connections_t *c, const void *kind)
{
    size_t n = 0;
    for (size_t i = 0; i < c->at_n; i++)
        n += c->at[i].open && c->at[i].kind == kind;
    return n;
}

size_t connections_max (const connections_t *c)
{
    return c->max;
}

size_t connections_count (const connections_t *c)
{
    return atomic_load (&c->open);
}

/*  ZeroMQ has no way to end one connection. It notices one that was shut down, and closes it. The
 *  number may stand for another connection by now; then that one has to connect again, which peers
 *  do by themselves. */
void connections_end (int fd)
{
    if (fd >= 0)
        shutdown (fd, SHUT_RDWR);
}

/*  One that gives way to a new one; -1: all have said something. */
static int connections_silent (const connections_t *c)
{
    int silent = -1;
    for (size_t i = 0; c->keyed && i < c->at_n; i++)
        if (c->at[i].open && !c->at[i].kind && !c->at[i].ending &&
            (silent < 0 || c->at[i].number < c->at[silent].number))
            silent = (int) i;
    return silent;
}

static void connections_note (connections_t *c, int fd, bool open)
{
    size_t at = fd < 0 ? SIZE_MAX : (size_t) fd;
    if (at != SIZE_MAX && at >= c->at_n) {
        size_t n = 2 * at + 64;
        connection_t *grown = realloc (c->at, n * sizeof *grown);
        if (grown) {
            memset (grown + c->at_n, 0, (n - c->at_n) * sizeof *grown);
            c->at = grown;
            c->at_n = n;
        }
    }
    /* Told twice, or without memory to note it: then it is not counted, which errs on the side
       of letting somebody in. */
    if (at >= c->at_n)
        return;
    bool same = c->at[at].open == open;
    c->at[at] = (connection_t){.open = open, .number = ++c->came};
    if (same)
        return;
    atomic_fetch_add (&c->open, open ? 1 : (size_t) -1);
    if (c->open <= c->max - c->max / CONNECTIONS_ROOM)
        c->full = false;
    if (!open || c->open <= c->max)
        return;
    int silent = connections_silent (c);
    if (silent >= 0)
        c->at[silent].ending = true;
    connections_end (silent >= 0 ? silent : fd);
    if (!c->full)
        log_warn ("bus.full", "endpoint=%s connections=%zu text=\"%s\"", c->endpoint, c->max,
                  silent >= 0 ? "who has said nothing gives way" : "nobody else can connect");
    c->full = true;
}

/*  An event is a message of three strings: its name, its value, the endpoint (zmonitor(3)). */
bool connections_next_broken (connections_t *c, int *fd)
{
    bool broken = false;
    while (!broken && (zsock_events (zactor_sock (c->monitor)) & ZMQ_POLLIN)) {
        /* Does not wait, since one is there. */
        zmsg_t *event = zmsg_recv (c->monitor);
        char *name = event ? zmsg_popstr (event) : NULL,
             *value = event ? zmsg_popstr (event) : NULL;
        broken = name && strcmp (name, "DISCONNECTED") == 0;
        *fd = value ? (int) strtol (value, NULL, 10) : -1;
        connections_note (c, *fd, !broken);
        zstr_free (&name);
        zstr_free (&value);
        zmsg_destroy (&event);
    }
    return broken;
}

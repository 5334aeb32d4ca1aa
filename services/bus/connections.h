/*  connections - a bound socket, who is connected to it, how many may be, and what each has sent.
 *
 *      connections_t *c = connections_new (router, "ipc:///x.requests", &options, 99, &err);
 *      if (which == connections_monitor (c)) {                as zpoller_wait says
 *          while (connections_next_broken (c, &fd)) ...
 *      }
 *      connections_destroy (&c);                              before the socket
 *
 *  ZeroMQ accepts whoever comes, and ends the process when no file descriptor is left for the next.
 *  So connections are counted here, as CZMQ's zmonitor tells of them, and for one too many another
 *  is ended at once: on a bus with keys the oldest that has said nothing, which may have no
 *  certificate; else the new one itself.
 */
#ifndef QUINTET_BUS_CONNECTIONS_H
#define QUINTET_BUS_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "bus/endpoint.h"
#include "bus/czmq_clean.h"

typedef struct connections connections_t;

/*  One of them, as who reads its frames sees it (guard.c); forgotten when it ends. */
typedef struct {
    bool open, ending; /* ending: it gave way to another */
    uint64_t number;   /* by which the oldest is known */
    const void *kind;  /* of program, by which it is counted; NULL: so far it has said nothing */
    int64_t second;    /* in which it has sent so many */
    size_t frames;
    unsigned hasty; /* seconds of late in which those were too many */
} connection_t;

/*  Binds. max: of connections; somewhat more may be there for a moment. */
connections_t *connections_new (zsock_t *socket, const char *endpoint,
                                const endpoint_options_t *options, size_t max, err_t *err);
void connections_destroy (connections_t **connections);

zactor_t *connections_monitor (const connections_t *connections);
/*  How many there are; any thread. */
size_t connections_count (const connections_t *connections);
/*  The file descriptor of the next connection that broke; messages tell theirs as ZMQ_SRCFD. False:
 *  no more. */
bool connections_next_broken (connections_t *connections, int *fd);

/*  For the thread that asks for the broken ones: the connection of that number; NULL: nothing is
 *  known of it yet. */
connection_t *connections_at (connections_t *connections, int fd);
/*  How many there are of a kind of program; and of all, how many there may be. */
size_t connections_of (const connections_t *connections, const void *kind);
size_t connections_max (const connections_t *connections);

/*  Ends the connection of that number; its end is told like any other's. */
void connections_end (int fd);

#endif

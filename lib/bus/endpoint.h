/*  endpoint - the one place where options of ZeroMQ sockets are set.
 *
 *      endpoint_options_t options = {.hwm = 1000, .payload_max = WIRE_PAYLOAD_MAX};
 *      endpoint_bind (socket, "ipc:///run/x/bus.requests", &options, &err);
 *
 *  ZeroMQ's own heartbeats are off: they wait behind whatever is being sent, so on a slow link they
 *  would end a connection in the middle of a large message. Who is alive is told by pulse.h; what
 *  is left of a host that vanished, TCP's keepalive finds.
 *
 *  A socket here is a libzmq one; of a zsock_t it is what zsock_resolve returns.
 */
#ifndef QUINTET_BUS_ENDPOINT_H
#define QUINTET_BUS_ENDPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "bus/keys.h"

typedef struct {
    int hwm; /* messages that wait for one peer, and from one */
    /* A larger frame (ENVELOPE_ROOM comes on top) ends the connection that sends it. */
    size_t payload_max;
    int linger_ms; /* how long closing may wait for what was sent */
    /* by which a ROUTER knows this socket, over reconnects too; NULL: made up */
    const void *identity;
    size_t identity_n;
    const keys_t *keys; /* whose they are; NULL: whoever comes is let in, unencrypted */
} endpoint_options_t;

/*  Of the bus's own certificates ZeroMQ asks under this name (ZAP, RFC 27). */
#define ENDPOINT_DOMAIN "quintet"

/*  ERR_CONFIG names the endpoint. A socket file that a living process serves is refused: ZeroMQ
 *  itself would take the file over. */
int endpoint_bind (void *socket, const char *endpoint, const endpoint_options_t *options,
                   err_t *err);
int endpoint_connect (void *socket, const char *endpoint, const endpoint_options_t *options,
                      err_t *err);

/*  Watches how a socket's connections come about, before it connects or afterwards: events are some
 *  of ZMQ_EVENT_..., name an inproc:// address of its own. NULL: it cannot be watched. */
void *endpoint_watch (void *context, void *socket, const char *name, int events);
/*  Before the socket is closed. *monitor, which may be NULL, becomes NULL. */
void endpoint_unwatch (void *socket, void **monitor);
/*  The next event, and what comes with it (value may be NULL), within wait_ms; 0: none. */
int endpoint_event (void *monitor, int wait_ms, uint32_t *value);

#endif

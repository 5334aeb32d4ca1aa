/*  node - see node.h */
#include "bus/node.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "bus/endpoint.h"

/*  Messages that wait in one socket. A client keeps what it sent until it is answered, so what
 *  does not fit is sent again later. */
#define NODE_HWM       10000
#define NODE_BEATS_HWM 4 /* older heartbeats are of no use */
#define NODE_LINGER_MS 100

/*  A name that was cut would be another's: two instances could not be told apart. */
static int node_set_name (char to[ENVELOPE_NAME_MAX + 1], const char *what, const char *text,
                          err_t *err)
{
    if (strlen (text) > ENVELOPE_NAME_MAX)
        return err_set (err, ERR_CONFIG, "%s '%s': at most %d bytes are wanted", what, text,
                        ENVELOPE_NAME_MAX);
    memcpy (to, text, strlen (text) + 1);
    return 0;
}

int node_open (node_t *node, const bus_options_t *options, err_t *err)
{
    *node = (node_t){.wake = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC), .context = zmq_ctx_new ()};
    if (node->wake < 0 || !node->context)
        return err_set (err, ERR_LIMIT, "no memory for a bus connection");
    /* Two random names: the boot id, which everybody sees in every message, and the secret,
       which only the bus sees and by which it knows that a frame is ours. */
    randombytes_buf (&node->boot, sizeof node->boot);
    randombytes_buf (node->secret, sizeof node->secret);
    node->boot |= 1; /* 0 would mean that there is none */
    const char *numerics = options->numerics ? options->numerics : "";
    if (options->keys)
        node->keys = *options->keys;
    if (*node->keys.name && !keys_admit (node->keys.name, options->name, strlen (options->name)))
        return err_set (
            err, ERR_CONFIG,
            "the name '%s' is not of the certificate %s: it must be '%s', or begin with "
            "'%s-'",
            options->name, node->keys.dir, node->keys.name, node->keys.name);
    if (node_set_name (node->name, "name", options->name, err) != 0 ||
        node_set_name (node->numerics, "numeric path", numerics, err) != 0)
        return -1;
    return address_parse (options->address, false, &node->address, err);
}

void node_close (node_t *node)
{
    if (node->context)
        zmq_ctx_term (node->context);
    if (node->wake >= 0)
        close (node->wake);
}

void *node_connect (const node_t *node, int type, address_actor_t actor, node_role_t role,
                    err_t *err)
{
    /* A socket that reconnects keeps its identity, so answers to what was asked before find it. */
    uint8_t identity[NODE_IDENTITY_SIZE] = {(uint8_t) role};
    uint64_t made_us = (uint64_t) clock_us ();
    memcpy (identity + 1, node->secret, NODE_SECRET_SIZE);
    for (size_t i = 0; i < NODE_TIME_SIZE; i++)
        identity[1 + NODE_SECRET_SIZE + i] = (uint8_t) (made_us >> (8 * (NODE_TIME_SIZE - 1 - i)));
    /* Heartbeats are small and only the newest matters; their socket holds nothing up when it
       closes. */
    bool beats = role == NODE_BEATS;
    endpoint_options_t options = {.hwm = beats ? NODE_BEATS_HWM : NODE_HWM,
                                  .payload_max = beats ? 0 : WIRE_PAYLOAD_MAX,
                                  .linger_ms = beats ? 0 : NODE_LINGER_MS,
                                  .identity = identity,
                                  .identity_n = sizeof identity,
                                  .keys = *node->keys.name ? &node->keys : NULL};
    /* One context for all threads of a connection: ZeroMQ's own thread is shared. */
    void *socket = zmq_socket (node->context, type);
    if (!socket) {
        err_set (err, ERR_LIMIT, "no socket: %s", zmq_strerror (errno));
        return NULL;
    }
    if (endpoint_connect (socket, node->address.endpoint[actor], &options, err) != 0) {
        zmq_close (socket);
        return NULL;
    }
    return socket;
}

/*  Never waits: a caller that computes must not stand still because the bus does. What does not
 *  fit is lost, as it is on a broken connection, and the same means repair it. */
int node_send (const node_t *node, void *socket, const envelope_t *envelope)
{
    envelope_t e = *envelope;
    e.sender = slice_of (node->name);
    e.boot = node->boot;
    zmq_msg_t frame;
    if (envelope_pack (&e, (slice_t){"", 0}, &frame) != 0)
        return -1;
    if (zmq_msg_send (&frame, socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close (&frame);
        return -1;
    }
    return 0;
}

/*  An eventfd and not a condition: the waiting thread waits for sockets as well, and a signal
 *  handler may write. */
void node_wake (const node_t *node)
{
    uint64_t one = 1;
    ssize_t n = write (node->wake, &one, sizeof one);
    (void) n; /* a full counter means that it is awake already */
}

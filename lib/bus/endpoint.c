/*  endpoint - see endpoint.h */
#include "bus/endpoint.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include "bus/envelope.h"

#define ENDPOINT_RECONNECT_MS     20 /* at first; doubled up to the most */
#define ENDPOINT_RECONNECT_MAX_MS 500
#define ENDPOINT_IDLE_S           10 /* TCP: asks a silent host, and asks again */
#define ENDPOINT_PROBES           5
#define ENDPOINT_UNANSWERED_MS    60000 /* TCP: nothing that was sent is confirmed for so long */

#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93 /* of the draft interface, and in every build */
#endif

/*  An option that this build of ZeroMQ does not know is left at its default. */
static void endpoint_set (void *socket, int option, int value)
{
    zmq_setsockopt (socket, option, &value, sizeof value);
}

static void endpoint_set_options (void *socket, const endpoint_options_t *options)
{
    /* Whoever sends more loses its connection, before the frame is in memory. */
    int64_t frame_max = (int64_t) (options->payload_max + ENVELOPE_ROOM);
    endpoint_set (socket, ZMQ_LINGER, options->linger_ms);
    endpoint_set (socket, ZMQ_SNDHWM, options->hwm);
    endpoint_set (socket, ZMQ_RCVHWM, options->hwm);
    zmq_setsockopt (socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max);
    endpoint_set (socket, ZMQ_TCP_KEEPALIVE, 1);
    endpoint_set (socket, ZMQ_TCP_KEEPALIVE_IDLE, ENDPOINT_IDLE_S);
    endpoint_set (socket, ZMQ_TCP_KEEPALIVE_INTVL, ENDPOINT_IDLE_S);
    endpoint_set (socket, ZMQ_TCP_KEEPALIVE_CNT, ENDPOINT_PROBES);
    endpoint_set (socket, ZMQ_TCP_MAXRT, ENDPOINT_UNANSWERED_MS);
    if (options->identity)
        zmq_setsockopt (socket, ZMQ_ROUTING_ID, options->identity, options->identity_n);
}

/*  CurveZMQ (RFC 26). Without a domain that is enforced, a socket whose context has nobody to ask
 *  would let in any key; so here an option that is not known is an error. */
static int endpoint_set_keys (void *socket, const keys_t *keys, bool server, err_t *err)
{
    const int on = 1;
    const struct {
        bool wanted;
        int option;
        const void *value;
        size_t size;
    } options[] = {
        {true, ZMQ_CURVE_SECRETKEY, keys->secret_key, KEYS_SIZE},
        {server, ZMQ_CURVE_SERVER, &on, sizeof on},
        {server, ZMQ_ZAP_DOMAIN, ENDPOINT_DOMAIN, strlen (ENDPOINT_DOMAIN)},
        {server, ZMQ_ZAP_ENFORCE_DOMAIN, &on, sizeof on},
        {!server, ZMQ_CURVE_PUBLICKEY, keys->public_key, KEYS_SIZE},
        {!server, ZMQ_CURVE_SERVERKEY, keys->bus_key, KEYS_SIZE},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (options[i].wanted &&
            zmq_setsockopt (socket, options[i].option, options[i].value, options[i].size) != 0)
            return err_set (err, ERR_CONFIG, "this build of ZeroMQ cannot use keys (option %d: %s)",
                            options[i].option, zmq_strerror (errno));
    return 0;
}

/*  Whether somebody answers at a socket file: ZeroMQ would take over a file of that name, served or
 *  not. */
static int endpoint_check_file (const char *path, err_t *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen (path) >= sizeof address.sun_path)
        return err_set (err, ERR_CONFIG, "%s: too long for a socket's path", path);
    memcpy (address.sun_path, path, strlen (path));
    /* Only a connection tells: a file that is left over from a bus that was killed looks the
       same. */
    int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0; /* binding says what is wrong */
    int rc = connect (fd, (struct sockaddr *) &address, sizeof address);
    close (fd);
    if (rc == 0)
        return err_set (err, ERR_CONFIG,
                        "%s: another bus serves this socket; give this one another --bus", path);
    return 0;
}

int endpoint_bind (void *socket, const char *endpoint, const endpoint_options_t *options,
                   err_t *err)
{
    if (strncmp (endpoint, "ipc://", 6) == 0 && endpoint_check_file (endpoint + 6, err) != 0)
        return -1;
    endpoint_set_options (socket, options);
    int type = 0;
    size_t size = sizeof type;
    zmq_getsockopt (socket, ZMQ_TYPE, &type, &size);
    if (type == ZMQ_ROUTER) {
        /* Sending to somebody who is not there is an error, not silence; and a peer that reconnects
           before its old connection was found dead gets its place, not a refusal. */
        endpoint_set (socket, ZMQ_ROUTER_MANDATORY, 1);
        endpoint_set (socket, ZMQ_ROUTER_HANDOVER, 1);
    }
    if (options->keys && endpoint_set_keys (socket, options->keys, true, err) != 0)
        return -1;
    /* After the options: they hold for connections that are made later. */
    if (zmq_bind (socket, endpoint) != 0)
        return err_set (err, ERR_CONFIG, "%s: %s%s", endpoint, zmq_strerror (errno),
                        errno == EADDRINUSE
                            ? "; another program listens there: give this bus another --bus"
                            : "");
    return 0;
}

int endpoint_connect (void *socket, const char *endpoint, const endpoint_options_t *options,
                      err_t *err)
{
    endpoint_set_options (socket, options);
    /* Quick at first, since most broken connections are a bus that is restarted. */
    endpoint_set (socket, ZMQ_RECONNECT_IVL, ENDPOINT_RECONNECT_MS);
    endpoint_set (socket, ZMQ_RECONNECT_IVL_MAX, ENDPOINT_RECONNECT_MAX_MS);
    if (options->keys && endpoint_set_keys (socket, options->keys, false, err) != 0)
        return -1;
    if (zmq_connect (socket, endpoint) != 0)
        return err_set (err, ERR_CONFIG, "%s: %s", endpoint, zmq_strerror (errno));
    return 0;
}

/*  ---- watching ------------------------------------------------------------------------------- */

void *endpoint_watch (void *context, void *socket, const char *name, int events)
{
    void *monitor = zmq_socket (context, ZMQ_PAIR);
    if (monitor &&
        (zmq_socket_monitor (socket, name, events) != 0 || zmq_connect (monitor, name) != 0))
        endpoint_unwatch (socket, &monitor);
    return monitor;
}

/*  In this order. ZeroMQ's own thread hands events to the monitor, and waits for as long as nobody
 *  takes them: with the monitor closed and the watching not yet ended, it would stand still for
 *  ever, and so would the end of the context. */
void endpoint_unwatch (void *socket, void **monitor)
{
    if (!*monitor)
        return;
    zmq_socket_monitor (socket, NULL, 0);
    zmq_close (*monitor);
    *monitor = NULL;
}

/*  An event is two frames: its number and its value, and the endpoint (zmq_socket_monitor(3)). */
int endpoint_event (void *monitor, int wait_ms, uint32_t *value)
{
    uint8_t event[6];
    uint16_t number;
    char endpoint[1];
    zmq_pollitem_t item = {.socket = monitor, .events = ZMQ_POLLIN};
    if (!monitor || (wait_ms > 0 && zmq_poll (&item, 1, wait_ms) <= 0) ||
        zmq_recv (monitor, event, sizeof event, ZMQ_DONTWAIT) != sizeof event ||
        zmq_recv (monitor, endpoint, sizeof endpoint, ZMQ_DONTWAIT) < 0)
        return 0;
    memcpy (&number, event, sizeof number);
    if (value)
        memcpy (value, event + sizeof number, sizeof *value);
    return number;
}

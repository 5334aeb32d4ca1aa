/*  feed - see feed.h */
#include "bus/feed.h"

#include <stdlib.h>
#include <string.h>

#include "bus/node.h"

struct feed {
    node_t node;
    void *socket; /* XPUB: it hears the bus's subscription, and does not drop what waits */
};

static int feed_open (feed_t *feed, const bus_options_t *options, err_t *err)
{
    int yes = 1;
    if (node_open (&feed->node, options, err) != 0)
        return -1;
    if (*feed->node.keys.name)
        return err_set (err, ERR_CONFIG,
                        "a recording has many senders, and a bus with keys lets each speak for "
                        "itself alone: replay into one without keys");
    feed->socket = node_connect (&feed->node, ZMQ_XPUB, ADDRESS_PUBLISH, NODE_EVENTS, err);
    if (!feed->socket)
        return -1;
    zmq_setsockopt (feed->socket, ZMQ_XPUB_NODROP, &yes, sizeof yes);
    return 0;
}

feed_t *feed_new (const bus_options_t *options, err_t *err)
{
    feed_t *feed = calloc (1, sizeof *feed);
    if (!feed)
        err_set (err, ERR_LIMIT, "no memory for a bus connection");
    else if (feed_open (feed, options, err) != 0)
        feed_destroy (&feed);
    return feed;
}

void feed_destroy (feed_t **self)
{
    feed_t *feed = *self;
    if (!feed)
        return;
    if (feed->socket)
        zmq_close (feed->socket);
    node_close (&feed->node);
    free (feed);
    *self = NULL;
}

/*  The bus subscribes to everything as soon as it has greeted a publisher. */
int feed_ready (feed_t *feed, int64_t timeout_ms, err_t *err)
{
    zmq_pollitem_t item = {.socket = feed->socket, .events = ZMQ_POLLIN};
    char subscription[1];
    if (zmq_poll (&item, 1, (long) timeout_ms) > 0 &&
        zmq_recv (feed->socket, subscription, sizeof subscription, ZMQ_DONTWAIT) > 0)
        return 0;
    return err_set (err, ERR_TIMEOUT, "the bus at %s takes no events (has it keys?)",
                    feed->node.address.endpoint[ADDRESS_PUBLISH]);
}

/*  What is no event would only be counted as damaged, by everybody who listens. */
static bool feed_is_event (const char *frame, size_t size)
{
    const char *end = memchr (frame, 0, size < BUS_TOPIC_MAX + 1 ? size : BUS_TOPIC_MAX + 1);
    envelope_t e;
    return end &&
           envelope_parse (end + 1, size - (size_t) (end + 1 - frame), &e) == ENVELOPE_WHOLE &&
           e.kind == ENVELOPE_EVENT && e.payload.size <= ENVELOPE_EVENT_MAX;
}

int feed_send (feed_t *feed, const void *frame, size_t size)
{
    if (!feed_is_event (frame, size))
        return -1;
    return zmq_send (feed->socket, frame, size, ZMQ_DONTWAIT) >= 0 ? 1 : 0;
}

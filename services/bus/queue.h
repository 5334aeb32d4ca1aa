/*  queue - the requests that wait for a worker of one service, fair between its clients.
 *
 *      if (queue_push (&queue, client, &request) != 0) ...                too many, or too much
 *      for (line_t *line = NULL; (line = queue_next (&queue, line)); )
 *          queue_first (line), queue_pop (&queue, line, &request);
 *
 *  Each client has a line of its own, first come first served; between the lines it goes round. So
 *  a client that asks 600,000 times makes itself wait, and nobody else. How much may wait is
 *  bounded by client (over all services, in peer_t) and by service.
 */
#ifndef QUINTET_BUS_QUEUE_H
#define QUINTET_BUS_QUEUE_H

#include "peers.h"

#define QUEUE_MAX          16384 /* requests of one service */
#define QUEUE_BYTES        ((size_t) 256 << 20)
#define QUEUE_CLIENT_MAX   4096 /* requests of one client, of all services */
#define QUEUE_CLIENT_BYTES ((size_t) 64 << 20)

typedef struct request {
    struct request *next;
    uint64_t sequence; /* the client's number */
    int64_t deadline_ms;
    char avoid[ENVELOPE_NAME_MAX + 1];
    zmq_msg_t frame;
} request_t;

typedef struct line line_t; /* what one client waits for */

typedef struct {
    line_t *first, *last; /* in the order in which it is their turn */
    size_t n, bytes;
} queue_t;

/*  Takes over the frame. -1: it does not fit, and is still the caller's. */
int queue_push (queue_t *queue, peer_t *client, request_t *request);
/*  The lines, beginning with the one whose turn it is; line NULL: the first. Take the next before
 *  popping. */
line_t *queue_next (const queue_t *queue, const line_t *line);
const request_t *queue_first (const line_t *line);
peer_t *queue_client (const line_t *line);
/*  Takes a line's first request out; its frame is the caller's. The line's next turn is after all
 *  others. */
void queue_pop (queue_t *queue, line_t *line, request_t *request);

bool queue_holds (const queue_t *queue, const peer_t *client, uint64_t sequence);
/*  Forgets one request. False: it is not there. */
bool queue_cancel (queue_t *queue, const peer_t *client, uint64_t sequence);
/*  Forgets all of a client's; returns how many. */
size_t queue_remove_client (queue_t *queue, const peer_t *client);
/*  Forgets those whose time is over; returns how many. */
size_t queue_expire (queue_t *queue, int64_t now);
void queue_clear (queue_t *queue);

#endif

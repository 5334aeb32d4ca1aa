/*  queue - see queue.h */
#include "queue.h"

#include <assert.h>
#include <stdlib.h>

/*  A line exists as long as something stands in it: a client that waits for nothing costs
 *  nothing, and is not visited on the way round. `end` is where the next request is hung, so
 *  joining a line of thousands takes no walk. */
struct line {
    struct line *next;
    peer_t *client;
    request_t *first, **end;
};

/*  ---- lines ---------------------------------------------------------------------------------- */

/*  Few clients wait at one service at a time, so a walk is as good as a table. */
static line_t *queue_line (const queue_t *queue, const peer_t *client)
{
    line_t *line = queue->first;
    while (line && line->client != client)
        line = line->next;
    return line;
}

/*  Behind all others: it is their turn first. */
static void queue_append_line (queue_t *queue, line_t *line)
{
    line->next = NULL;
    *(queue->last ? &queue->last->next : &queue->first) = line;
    queue->last = line;
}

/*  Singly linked, so the one before has to be found; there are as few lines as clients. */
static void queue_unlink_line (queue_t *queue, const line_t *line)
{
    line_t *before = NULL;
    for (line_t *l = queue->first; l != line; l = l->next)
        before = l;
    *(before ? &before->next : &queue->first) = line->next;
    if (queue->last == line)
        queue->last = before;
}

/*  ---- requests ------------------------------------------------------------------------------- */

/*  The four bounds are looked at before anything is allocated, so a client that is over its own
 *  pays nothing of anybody else's memory. What the client has in other services' queues counts as
 *  well: the counters are in the peer. */
int queue_push (queue_t *queue, peer_t *client, request_t *request)
{
    size_t size = zmq_msg_size (&request->frame);
    if (queue->n >= QUEUE_MAX || queue->bytes + size > QUEUE_BYTES ||
        client->queued >= QUEUE_CLIENT_MAX || client->queued_bytes + size > QUEUE_CLIENT_BYTES)
        return -1;
    /* The line is only made when there is a request to stand in it. */
    request_t *r = malloc (sizeof *r);
    line_t *line = queue_line (queue, client);
    if (r && !line && (line = calloc (1, sizeof *line))) {
        line->client = client;
        line->end = &line->first;
        queue_append_line (queue, line);
    }
    if (!r || !line) {
        free (r);
        return -1;
    }
    *r = *request;
    /* The struct was copied bit by bit; the message must not be, since two would then own its
       bytes. */
    zmq_msg_init (&r->frame);
    zmq_msg_move (&r->frame, &request->frame);
    r->next = NULL;
    /* Behind what the client asked before. */
    *line->end = r;
    line->end = &r->next;
    queue->n++;
    queue->bytes += size;
    client->queued++;
    client->queued_bytes += size;
    return 0;
}

line_t *queue_next (const queue_t *queue, const line_t *line)
{
    return line ? line->next : queue->first;
}

const request_t *queue_first (const line_t *line)
{
    return line->first;
}

peer_t *queue_client (const line_t *line)
{
    return line->client;
}

/*  Takes the request that stands at `at` out of its line; frees a line that is empty then. */
static request_t *queue_unlink (queue_t *queue, line_t *line, request_t **at)
{
    request_t *r = *at;
    size_t size = zmq_msg_size (&r->frame);
    *at = r->next;
    /* It was the last of its line: the next one is hung where it stood. */
    if (!r->next)
        line->end = at;
    assert (queue->n > 0 && line->client->queued > 0);
    queue->n--;
    queue->bytes -= size;
    line->client->queued--;
    line->client->queued_bytes -= size;
    return r;
}

static void queue_drop_if_empty (queue_t *queue, line_t *line)
{
    if (line->first)
        return;
    queue_unlink_line (queue, line);
    free (line);
}

/*  One request, and then the line goes behind all others, however many of its own still wait:
 *  that is what makes it fair. */
void queue_pop (queue_t *queue, line_t *line, request_t *request)
{
    request_t *r = queue_unlink (queue, line, &line->first);
    *request = *r;
    zmq_msg_init (&request->frame);
    zmq_msg_move (&request->frame, &r->frame);
    zmq_msg_close (&r->frame);
    free (r);
    queue_unlink_line (queue, line);
    if (line->first)
        queue_append_line (queue, line);
    else
        free (line);
}

/*  What points to it, so that it can be unlinked. NULL: it is not there. */
static request_t **queue_find (line_t *line, uint64_t sequence)
{
    for (request_t **at = &line->first; *at; at = &(*at)->next)
        if ((*at)->sequence == sequence)
            return at;
    return NULL;
}

/*  A walk over one client's line, for requests that come again, which are few. */
bool queue_holds (const queue_t *queue, const peer_t *client, uint64_t sequence)
{
    line_t *line = queue_line (queue, client);
    return line && queue_find (line, sequence);
}

static void queue_forget (queue_t *queue, line_t *line, request_t **at)
{
    request_t *r = queue_unlink (queue, line, at);
    zmq_msg_close (&r->frame);
    free (r);
}

bool queue_cancel (queue_t *queue, const peer_t *client, uint64_t sequence)
{
    line_t *line = queue_line (queue, client);
    request_t **at = line ? queue_find (line, sequence) : NULL;
    if (!at)
        return false;
    queue_forget (queue, line, at);
    queue_drop_if_empty (queue, line);
    return true;
}

/*  Its client is gone; nobody is told. */
size_t queue_remove_client (queue_t *queue, const peer_t *client)
{
    line_t *line = queue_line (queue, client);
    size_t n = 0;
    for (; line && line->first; n++)
        queue_forget (queue, line, &line->first);
    if (line)
        queue_drop_if_empty (queue, line);
    return n;
}

/*  Deadlines are the clients' own and in no order, so all are looked at; bounds on the queue
 *  bound this too. */
size_t queue_expire (queue_t *queue, int64_t now)
{
    size_t n = 0;
    for (line_t *line = queue->first, *next; line; line = next) {
        next = line->next;
        for (request_t **at = &line->first; *at;)
            if (now >= (*at)->deadline_ms) {
                queue_forget (queue, line, at);
                n++;
            } else {
                at = &(*at)->next;
            }
        queue_drop_if_empty (queue, line);
    }
    return n;
}

void queue_clear (queue_t *queue)
{
    while (queue->first)
        queue_remove_client (queue, queue->first->client);
}

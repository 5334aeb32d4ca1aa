/*  calls - the requests of a client that wait for their replies. Private to bus.
 *
 *      calls_t *calls = calls_new (&node);
 *      uint64_t number = calls_start (calls, socket, &request);
 *      calls_reply (calls, &envelope, &item);                 when a reply came
 *      calls_tick (calls, socket, clock_ms (), &item);        now and then: resends, deadlines
 *      calls_free (&calls);
 *
 *  Only the thread that calls bus_next touches this. A call has a number (generation << 20 | slot)
 *  that travels as the envelope's sequence and comes back in its reply, so that a late reply to an
 *  earlier call, whose slot is used again, is told apart.
 */
#ifndef QUINTET_BUS_CALLS_H
#define QUINTET_BUS_CALLS_H

#include "bus/node.h"

typedef struct calls calls_t;

typedef struct {
    const char *service, *id, *avoid; /* id, avoid: or NULL */
    const char *trace;                /* "": none */
    const void *payload;
    size_t size;
    int64_t deadline_ms; /* from now */
} calls_request_t;

calls_t *calls_new (const node_t *node);
void calls_free (calls_t **calls);

/*  Sends it and returns its number; 0: no memory. What can never be sent, such as an id that is too
 *  long, is answered at the next tick. */
uint64_t calls_start (calls_t *calls, void *socket, const calls_request_t *request);
/*  False: no call has this number. */
bool calls_cancel (calls_t *calls, void *socket, uint64_t number);

/*  Each returns 1 when item was filled. calls_reply takes the common parts of item as they are. */
int calls_reply (calls_t *calls, const envelope_t *e, bus_item_t *item);
int calls_tick (calls_t *calls, void *socket, int64_t now, bus_item_t *item);

/*  The bus says that the worker of this call is gone: sends it again. */
void calls_lost (calls_t *calls, void *socket, uint64_t number);
/*  Its reply came damaged: sends it again, a few times; then the timed tries must do. */
void calls_damaged (calls_t *calls, void *socket, uint64_t number);
/*  The bus knows nothing of us any more: sends everything again. */
void calls_again (calls_t *calls, void *socket);

/*  Whether there has been any call: then somebody must look at deadlines. */
bool calls_any (const calls_t *calls);
void calls_count (const calls_t *calls, bus_counters_t *counters);

#endif

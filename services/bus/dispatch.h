/*  dispatch - which worker gets which request, and what becomes of it.
 *
 *      dispatch_t *dispatch = dispatch_new (&outbox);
 *      dispatch_ready (dispatch, peer, &envelope);                   a worker
 *      dispatch_request (dispatch, peer, &envelope, &frame);         a client
 *      dispatch_reply (dispatch, peer, &envelope, &frame);
 *      dispatch_remove_peer (dispatch, peer);                        one died
 *      dispatch_tick (dispatch, clock_ms ());                        now and then
 *      dispatch_destroy (&dispatch);
 *
 *  It knows peers, but no connections: it says what is to be said through the outbox.
 */
#ifndef QUINTET_BUS_DISPATCH_H
#define QUINTET_BUS_DISPATCH_H

#include "outbox.h"

typedef struct dispatch dispatch_t;

dispatch_t *dispatch_new (outbox_t *outbox);
void dispatch_destroy (dispatch_t **dispatch);

/*  frame: of the envelope e; it is taken over where it is passed on. */
void dispatch_request (dispatch_t *dispatch, peer_t *client, const envelope_t *e, zmq_msg_t *frame);
void dispatch_reply (dispatch_t *dispatch, const peer_t *worker, const envelope_t *e,
                     zmq_msg_t *frame);
/*  One that came damaged, over the connection of that identity. */
void dispatch_damaged_reply (dispatch_t *dispatch, const void *identity, size_t identity_n,
                             const envelope_t *e);
void dispatch_cancel (dispatch_t *dispatch, const peer_t *client, const envelope_t *e);
void dispatch_ready (dispatch_t *dispatch, peer_t *worker, const envelope_t *e);

/*  Removes a peer everywhere, and marks it dead: nothing points to it afterwards. */
void dispatch_remove_peer (dispatch_t *dispatch, peer_t *peer);
/*  Deadlines. */
void dispatch_tick (dispatch_t *dispatch, int64_t now);

/*  The services of Quintet. Others may be asked for as well, and are counted together alone. */
#define DISPATCH_KNOWN 4
extern const char *const dispatch_known[DISPATCH_KNOWN];

typedef struct {
    uint64_t requests, replies, expired, deaths;
    uint64_t handed_on; /* requests that a second worker got, since the first took too long */
    uint64_t workers, services, queued, in_flight;
    uint64_t queued_for[DISPATCH_KNOWN]; /* of queued, those that wait for dispatch_known[i] */
} dispatch_status_t;
/*  From any thread: as it was at the last tick, or later. */
void dispatch_status (const dispatch_t *dispatch, dispatch_status_t *status);

#endif

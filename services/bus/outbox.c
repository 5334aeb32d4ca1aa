/*  outbox - see outbox.h */
#include "outbox.h"

#include <stdatomic.h>

/*  The ROUTER knows where a peer is by its identity. It says no in two cases: nobody is connected
 *  under it (the peer is gone, or about to come back), or more waits for it than it may. Either
 *  way something is lost, and the peer learns that from the number of its life. */
int outbox_send_frame (outbox_t *outbox, peer_t *to, zmq_msg_t *frame)
{
    if (zmq_send (outbox->socket, to->identity, to->identity_n, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
        zmq_msg_send (frame, outbox->socket, ZMQ_DONTWAIT) >= 0)
        return 0;
    peers_lost (outbox->peers, to);
    atomic_fetch_add_explicit (&outbox->unroutable, 1, memory_order_relaxed);
    return -1;
}

/*  The bus speaks under a name and a boot id of its own; a new boot id tells everybody that it
 *  is another bus, which knows nothing of before. */
void outbox_send (outbox_t *outbox, peer_t *to, const envelope_t *envelope)
{
    envelope_t e = *envelope;
    e.sender = slice_of ("bus");
    e.boot = outbox->boot;
    zmq_msg_t frame;
    if (envelope_pack (&e, (slice_t){"", 0}, &frame) == 0 &&
        outbox_send_frame (outbox, to, &frame) != 0)
        zmq_msg_close (&frame);
}

void outbox_reply (outbox_t *outbox, peer_t *client, uint64_t sequence, err_code_t code,
                   const char *text)
{
    if (code == ERR_BUSY)
        atomic_fetch_add_explicit (&outbox->busy, 1, memory_order_relaxed);
    outbox_send (
        outbox, client,
        &(envelope_t){
            .kind = ENVELOPE_REPLY, .sequence = sequence, .code = code, .text = slice_of (text)});
}

/*  Only the number goes back: the client has the request, and knows what to do. */
void outbox_lost (outbox_t *outbox, peer_t *client, uint64_t sequence)
{
    outbox_send (outbox, client, &(envelope_t){.kind = ENVELOPE_LOST, .sequence = sequence});
}

void outbox_refuse (outbox_t *outbox, peer_t *peer, err_code_t code, const char *text)
{
    outbox_send (outbox, peer,
                 &(envelope_t){.kind = ENVELOPE_REFUSED, .code = code, .text = slice_of (text)});
}

/*  outbox - what the requests actor says to its peers.
 *
 *      outbox_t outbox = {.socket = raw, .boot = boot, .peers = peers};
 *      outbox_send (&outbox, peer, &envelope);
 *
 *  Nothing waits: what cannot be sent is lost, and the peer learns so from its next heartbeat.
 */
#ifndef QUINTET_BUS_OUTBOX_H
#define QUINTET_BUS_OUTBOX_H

#include "base/err.h"
#include "peers.h"

typedef struct {
    void *socket; /* a ROUTER, of libzmq */
    uint64_t boot;
    peers_t *peers;
    _Atomic uint64_t unroutable, busy; /* counted for broker_status */
} outbox_t;

/*  -1: it cannot be reached; the frame is still the caller's. */
int outbox_send_frame (outbox_t *outbox, peer_t *to, zmq_msg_t *frame);
void outbox_send (outbox_t *outbox, peer_t *to, const envelope_t *envelope);
/*  The bus's own reply: nothing but a code. */
void outbox_reply (outbox_t *outbox, peer_t *client, uint64_t sequence, err_code_t code,
                   const char *text);
/*  The client sends the request again, and gets another worker. */
void outbox_lost (outbox_t *outbox, peer_t *client, uint64_t sequence);
/*  ERR_BUSY: there is no room just now; ERR_CONFIG: never. */
void outbox_refuse (outbox_t *outbox, peer_t *peer, err_code_t code, const char *text);

#endif

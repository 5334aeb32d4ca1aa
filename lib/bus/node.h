/*  node - who we are on the bus, and how any thread of ours speaks there. Private to bus.
 *
 *      node_t node;
 *      node_open (&node, &options, &err);
 *      void *socket = node_connect (&node, ZMQ_DEALER, ADDRESS_REQUESTS, NODE_REQUESTS, &err);
 *      node_send (&node, socket, &envelope);
 *      node_wake (&node);
 *
 *  Everything here is set once, before the first thread starts, and only read afterwards; so all
 *  threads share it without a lock. A socket belongs to the thread that made it.
 */
#ifndef QUINTET_BUS_NODE_H
#define QUINTET_BUS_NODE_H

#include "bus/address.h"
#include "bus/bus.h"
#include "bus/envelope.h"

#define NODE_SECRET_SIZE   15
#define NODE_TIME_SIZE     8
#define NODE_IDENTITY_SIZE (1 + NODE_SECRET_SIZE + NODE_TIME_SIZE)

/*  What a connection is for: the first byte of its identity. Then comes a secret that only we and
 *  the bus know, so nobody else can pass for us; the boot id is no secret, since every message
 *  shows it. Last is when its socket was made (big-endian, of our clock), so each has an identity
 *  of its own, and the greatest is the newest.
 *
 *  They must differ: of two connections with one identity a ROUTER keeps the one that was greeted
 *  last. A socket that is about to be closed reconnects on its own, and when it is greeted after
 *  its successor, the successor stays connected and is never read again. */
typedef enum { NODE_REQUESTS = 1, NODE_BEATS, NODE_POLICIES, NODE_EVENTS } node_role_t;

typedef struct {
    char name[ENVELOPE_NAME_MAX + 1];
    char numerics[ENVELOPE_NAME_MAX + 1];
    uint64_t boot; /* random, so another one after every start */
    uint8_t secret[NODE_SECRET_SIZE];
    address_t address;
    keys_t keys; /* name "": none */
    void *context;
    int wake; /* eventfd: ends the wait of the thread that calls bus_next */
} node_t;

int node_open (node_t *node, const bus_options_t *options, err_t *err);
/*  All its sockets must be closed. */
void node_close (node_t *node);

/*  A socket that connects to one of the bus's actors; NULL and err when there is none. */
void *node_connect (const node_t *node, int type, address_actor_t actor, node_role_t role,
                    err_t *err);
/*  Sends with our name and boot id; never waits. -1: no memory, too large, or too much waits
 *  already. */
int node_send (const node_t *node, void *socket, const envelope_t *envelope);
/*  From any thread, and from a signal handler. */
void node_wake (const node_t *node);

#endif

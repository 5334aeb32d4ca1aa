/*  peers - who is connected to the requests actor, and who of them is dead.
 *
 *      peer_t *peer = peers_of (peers, identity, n, &envelope, &refusal);
 *      peers_heartbeat (peer, &envelope, fd);
 *      peers_disconnected (peers, fd);
 *      while ((peer = peers_next_dead (peers, now))) ...
 *
 *  A peer has two connections, one for its messages and one for its heartbeats. The identities of
 *  both hold the same secret (bus/node.h), and its boot id belongs to whoever used it first with
 *  one: a frame under another's boot id, which every message shows, is refused, while the owner may
 *  reconnect at will. One connection is one peer.
 *
 *  A peer is dead after PEER_DEAD_MS and some round trips without a heartbeat, or PEER_SUSPECT_MS
 *  and some round trips after the connection of its heartbeats broke. Each of its lives has a
 *  number of its own, which the answers to its heartbeats carry: from another number than before it
 *  learns that the bus forgot it, or that something for it was lost.
 */
#ifndef QUINTET_BUS_PEERS_H
#define QUINTET_BUS_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/envelope.h"

#define PEERS_MAX         4096
#define PEER_IDENTITY_MAX 32
#define PEER_DEAD_MS      2000
#define PEER_SUSPECT_MS   700
#define PEER_ROUNDS       4     /* round trips that are waited for on top */
#define PEER_ROUND_MAX_MS 30000 /* of one: who says more is not believed */
#define PEER_ANSWERS      64    /* last replies that are remembered */

struct flight; /* flights.h */

/*  Who gave a client the reply to a request. */
typedef struct {
    uint32_t id_hash;
    uint64_t worker_boot;
} peer_answer_t;

typedef struct peer {
    struct peer *next;         /* of the bucket of its secret */
    struct peer *next_by_boot; /* of the bucket of its boot id */
    uint64_t boot, life;
    char secret[PEER_IDENTITY_MAX];
    size_t secret_n;
    char identity[PEER_IDENTITY_MAX]; /* of the connection of its messages */
    size_t identity_n;                /* 0: so far only its heartbeats came */
    char name[ENVELOPE_NAME_MAX + 1];
    int fd;          /* of its heartbeats' connection; -1: there is none */
    int requests_fd; /* of its messages'; -1: not known */
    uint64_t beats;
    int64_t round_ms; /* a round trip, as it measured it */
    int64_t deadline_ms;
    bool dead; /* nothing points to it any more */
    /* what it has at the broker, as a client: bounded, so that one cannot take the room of all */
    size_t queued, queued_bytes, in_flight;
    struct flight *asked; /* its flights as a client, */
    struct flight *given; /* and as a worker */
    size_t serves;        /* services that it registered for */
    peer_answer_t answers[PEER_ANSWERS];
    size_t answers_n; /* counted on */
} peer_t;

typedef struct peers peers_t;

typedef enum {
    PEERS_FULL, /* there are too many peers */
    /* the boot id belongs to another connection, or the connection to another boot id */
    PEERS_IMPOSTOR
} peers_refusal_t;

/*  max: how many there may be; at most PEERS_MAX. */
peers_t *peers_new (size_t max);
void peers_destroy (peers_t **peers);

/*  The peer of this connection, made when it is new; NULL and why. One that speaks again after its
 *  death begins another life. */
peer_t *peers_of (peers_t *peers, const void *identity, size_t n, const envelope_t *e,
                  peers_refusal_t *refusal);
void peers_heartbeat (peer_t *peer, const envelope_t *e, int fd);
/*  A connection broke. The peer whose it was, or NULL. */
peer_t *peers_disconnected (peers_t *peers, int fd);
/*  The peer is told, with its next heartbeat, that something for it was lost. */
void peers_lost (peers_t *peers, peer_t *peer);
/*  The next peer whose time is over, to be removed everywhere and marked dead; NULL: no more. Frees
 *  those that are dead. */
peer_t *peers_next_dead (peers_t *peers, int64_t now);
size_t peers_count (const peers_t *peers);
/*  Whether somebody of this name sends heartbeats, or of a name that goes on with "-". */
bool peers_alive (const peers_t *peers, slice_t name);

/*  That this worker gave the client the reply to the request of that id; and whether one of that
 *  name did. */
void peer_remember_answer (peer_t *client, slice_t id, const peer_t *worker);
bool peer_had_answer (const peer_t *client, slice_t id, const peer_t *worker);

#endif

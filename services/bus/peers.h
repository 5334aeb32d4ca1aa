/*  peers - who is connected to the requests actor, and who of them is dead.
 *
 *      peer_t *peer = peers_of (peers, identity, n, &envelope);
 *      peers_heartbeat (peers, &envelope, fd);
 *      while ((peer = peers_next_dead (peers, now))) ...
 *
 *  A peer sends its messages on one connection and its heartbeats on another; both carry its boot id. It is
 *  dead after PEER_DEAD_MS without a heartbeat, or PEER_SUSPECT_MS after its connection broke. Each of its
 *  lives has a number of its own, which the answers to its heartbeats carry: from another number than before
 *  it learns that the bus forgot it, or that something for it was lost.
 */
#ifndef QUINTET_BUS_PEERS_H
#define QUINTET_BUS_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "bus/envelope.h"

#define PEERS_MAX         4096
#define PEER_IDENTITY_MAX 32
#define PEER_DEAD_MS      2000
#define PEER_SUSPECT_MS   700

typedef struct peer {
    struct peer *next;
    uint64_t boot, life;
    char identity[PEER_IDENTITY_MAX];
    size_t identity_n; /* 0: so far only its heartbeats were seen */
    char name[ENVELOPE_NAME_MAX + 1];
    int fd; /* of its heartbeats' connection; -1: there is none */
    int64_t deadline_ms;
    bool dead; /* and buried: nothing points to it any more */
} peer_t;

typedef struct peers peers_t;

peers_t *peers_new (void);
void peers_destroy (peers_t **peers);

/*  The peer with this boot id, made when it is new; NULL when it has none, or there are too many peers. One
 *  that speaks again after its death begins another life. */
peer_t *peers_of (peers_t *peers, const void *identity, size_t n, const envelope_t *e);
/*  Returns the same. */
const peer_t *peers_heartbeat (peers_t *peers, const envelope_t *e, int fd);
/*  Reads what the socket's monitor saw: peers whose connection broke are suspects. */
void peers_disconnected (peers_t *peers, void *monitor);
/*  The peer is told, with its next heartbeat, that something for it was lost. */
void peers_lost (peers_t *peers, peer_t *peer);
/*  The next peer whose time is over, to be buried and marked dead; NULL: no more. Frees those that are dead. */
peer_t *peers_next_dead (peers_t *peers, int64_t now);
size_t peers_count (const peers_t *peers);
/*  Whether somebody of this name sends heartbeats, or of a name that goes on with "-". */
bool peers_alive (const peers_t *peers, slice_t name);

/*  A PAIR socket that tells of broken connections, or NULL. */
void *peers_monitor (void *context, void *socket);

#endif

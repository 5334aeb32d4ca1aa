/*  peers - who is connected to the requests actor, and who of them is dead.
 *
 *      peer_t *peer = peers_of (peers, identity, n, &envelope);
 *      peers_heartbeat (peers, &envelope, fd);
 *      while ((peer = peers_next_dead (peers, now))) ...
 *
 *  A peer sends its messages on one connection and its heartbeats on another; both carry its boot id. It is
 *  dead after PEER_DEAD_MS without a heartbeat, or PEER_SUSPECT_MS after its connection broke.
 */
#ifndef QUINTET_BUS_PEERS_H
#define QUINTET_BUS_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "bus/envelope.h"

#define PEER_IDENTITY_MAX 32
#define PEER_DEAD_MS      2000
#define PEER_SUSPECT_MS   700

typedef struct peer {
    struct peer *next;
    uint64_t boot;
    char identity[PEER_IDENTITY_MAX];
    size_t identity_n; /* 0: so far only its heartbeats were seen */
    char name[ENVELOPE_NAME_MAX + 1];
    int fd; /* of its heartbeats' connection */
    int64_t deadline_ms;
    int64_t buried_ms;
    bool dead;
} peer_t;

typedef struct peers peers_t;

peers_t *peers_new (void);
void peers_destroy (peers_t **peers);

/*  The peer with this boot id, made when it is new; NULL when it has none or memory ran out. A peer that
 *  speaks again after its death is alive again. */
peer_t *peers_of (peers_t *peers, const void *identity, size_t n, const envelope_t *e);
void peers_heartbeat (peers_t *peers, const envelope_t *e, int fd);
/*  Reads what the socket's monitor saw: peers whose connection broke are suspects. */
void peers_disconnected (peers_t *peers, void *monitor);
/*  The next peer that died; NULL: no more. Pointers to dead peers stay valid for a minute. */
peer_t *peers_next_dead (peers_t *peers, int64_t now);

/*  Binds a ROUTER with the bus's options; refuses a socket file that a living process serves. */
int peers_bind (void *socket, const char *endpoint, err_t *err);
/*  A PAIR socket that tells of broken connections, or NULL. */
void *peers_monitor (void *context, void *socket);

#endif

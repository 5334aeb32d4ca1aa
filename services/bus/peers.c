/*  peers - see peers.h */
#include "peers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bus/node.h"

#define PEERS_BUCKETS 256

/*  Found by the secret, which every frame brings; by the boot id only when a peer is new, to see
 *  that it is nobody else's. */
struct peers {
    peer_t *by_secret[PEERS_BUCKETS];
    peer_t *by_boot[PEERS_BUCKETS];
    /* A worker that answers a batch, a client that asks a batch: the lookup is saved for all but
       one. */
    peer_t *last; /* the peer of the last message: most come in runs */
    size_t n, max;
    uint64_t lives;
};

peers_t *peers_new (size_t max)
{
    peers_t *peers = calloc (1, sizeof *peers);
    if (peers)
        peers->max = max < PEERS_MAX ? max : PEERS_MAX;
    return peers;
}

void peers_destroy (peers_t **self)
{
    if (!*self)
        return;
    for (size_t i = 0; i < PEERS_BUCKETS; i++)
        for (peer_t *p = (*self)->by_secret[i], *next; p; p = next) {
            next = p->next;
            free (p);
        }
    free (*self);
    *self = NULL;
}

/*  Secrets are random, so any hash spreads them; this one is short. */
static uint32_t peers_hash (const char *data, size_t n)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char) data[i]) * 16777619u;
    return hash;
}

static peer_t **peers_secret_bucket (peers_t *peers, slice_t secret)
{
    return &peers->by_secret[peers_hash (secret.data, secret.size) % PEERS_BUCKETS];
}

static peer_t **peers_boot_bucket (peers_t *peers, uint64_t boot)
{
    return &peers->by_boot[(boot >> 8) % PEERS_BUCKETS];
}

/*  Whether it was made by node_connect, and not by ZeroMQ or a stranger. */
static bool peers_is_node (const char *identity, size_t n)
{
    return n == NODE_IDENTITY_SIZE && (identity[0] == NODE_REQUESTS || identity[0] == NODE_BEATS);
}

/*  What all connections of one peer share. One that ZeroMQ itself named is a peer of its own. */
static slice_t peers_secret (const char *identity, size_t n)
{
    return peers_is_node (identity, n) ? (slice_t){identity + 1, NODE_SECRET_SIZE}
                                       : (slice_t){identity, n};
}

static bool peers_is (const peer_t *p, slice_t secret)
{
    return p->secret_n == secret.size && memcmp (p->secret, secret.data, secret.size) == 0;
}

/*  Dead at first: peers_of brings it to life, as it does one that speaks again after its death,
 *  and gives that life a number. */
static peer_t *peers_add (peers_t *peers, slice_t secret, const envelope_t *e)
{
    peer_t *p = calloc (1, sizeof *p);
    if (!p)
        return NULL;
    /* From here on the boot id is this peer's, and nobody else can speak under it. */
    p->boot = e->boot;
    p->fd = p->requests_fd = -1;
    p->dead = true; /* its life begins below */
    memcpy (p->secret, secret.data, secret.size);
    p->secret_n = secret.size;
    slice_text (e->sender, p->name, sizeof p->name);
    peer_t **bucket = peers_secret_bucket (peers, secret);
    p->next = *bucket;
    *bucket = p;
    bucket = peers_boot_bucket (peers, p->boot);
    p->next_by_boot = *bucket;
    *bucket = p;
    peers->n++;
    return p;
}

/*  Where answers to requests go: not where heartbeats come from, and not to a socket that has a
 *  successor, whose last messages may come after those of the newer one. */
static void peers_keep_identity (peer_t *p, const char *identity, size_t n)
{
    const size_t at = 1 + NODE_SECRET_SIZE;
    if (peers_is_node (identity, n) &&
        (identity[0] != NODE_REQUESTS ||
         (p->identity_n == n && memcmp (identity + at, p->identity + at, NODE_TIME_SIZE) <= 0)))
        return;
    memcpy (p->identity, identity, n);
    p->identity_n = n;
}

peer_t *peers_of (peers_t *peers, const void *identity, size_t n, const envelope_t *e,
                  peers_refusal_t *refusal)
{
    assert (n <= PEER_IDENTITY_MAX);
    slice_t secret = peers_secret (identity, n);
    peer_t *p = peers->last;
    *refusal = PEERS_IMPOSTOR;
    if (!p || !peers_is (p, secret))
        for (p = *peers_secret_bucket (peers, secret); p && !peers_is (p, secret);)
            p = p->next;
    /* A connection that is known speaks under its own boot id, or not at all. A boot id of 0
       says "none": it cannot be told apart from others, so it is nobody's. */
    if (p ? p->boot != e->boot : !e->boot)
        return NULL;
    if (!p) {
        /* New by its secret, but with a boot id that somebody has: an impostor, or the same
           process under another secret, which does not happen. */
        for (p = *peers_boot_bucket (peers, e->boot); p; p = p->next_by_boot)
            if (p->boot == e->boot)
                return NULL;
        *refusal = PEERS_FULL;
        if (peers->n >= peers->max || !(p = peers_add (peers, secret, e)))
            return NULL;
    }
    if (p->dead) {
        p->dead = false;
        p->life = ++peers->lives;
        p->deadline_ms = clock_ms () + PEER_DEAD_MS;
    }
    peers_keep_identity (p, identity, n);
    return peers->last = p;
}

void peers_heartbeat (peer_t *p, const envelope_t *e, int fd)
{
    p->fd = fd;
    p->beats++;
    /* The peer says it itself, for it alone can measure it; so what it says is bounded. */
    p->round_ms = e->left_ms < PEER_ROUND_MAX_MS ? e->left_ms : PEER_ROUND_MAX_MS;
    p->deadline_ms = clock_ms () + PEER_DEAD_MS + PEER_ROUNDS * p->round_ms;
}

/*  Cheaper than to tell it what was lost: it sends everything again that it still waits for. */
void peers_lost (peers_t *peers, peer_t *peer)
{
    peer->life = ++peers->lives;
}

/*  A broken connection of messages is no death: its heartbeats go on, and the peer reconnects.
 *  What was under way is lost, though, and the new number of its life tells it so. A broken
 *  connection of heartbeats is how the death of a process looks from here, long before its
 *  silence does; but it may only be the network, so it gets a while to come back. */
peer_t *peers_disconnected (peers_t *peers, int fd)
{
    for (size_t i = 0; i < PEERS_BUCKETS; i++)
        for (peer_t *p = peers->by_secret[i]; p; p = p->next) {
            if (p->dead || (p->fd != fd && p->requests_fd != fd))
                continue;
            peers_lost (peers, p);
            if (p->requests_fd == fd)
                p->requests_fd = -1;
            if (p->fd == fd) {
                int64_t soon = clock_ms () + PEER_SUSPECT_MS + PEER_ROUNDS * p->round_ms;
                p->fd = -1;
                p->deadline_ms = p->deadline_ms < soon ? p->deadline_ms : soon;
            }
            return p;
        }
    return NULL;
}

static void peers_unlink_boot (peers_t *peers, peer_t *peer)
{
    /* It is in that list, for it was put there when it was made. */
    peer_t **at = peers_boot_bucket (peers, peer->boot);
    while (*at != peer)
        at = &(*at)->next_by_boot;
    *at = peer->next_by_boot;
}

/*  Freeing is done here, a round after the death, and not where a peer dies: there, callers up
 *  the stack may still hold it. */
peer_t *peers_next_dead (peers_t *peers, int64_t now)
{
    for (size_t i = 0; i < PEERS_BUCKETS; i++)
        for (peer_t **at = &peers->by_secret[i]; *at;) {
            peer_t *p = *at;
            /* Dead since the last round: the broker has taken it out of everything. */
            if (p->dead) {
                assert (!p->asked && !p->given && !p->queued);
                if (peers->last == p)
                    peers->last = NULL;
                peers_unlink_boot (peers, p);
                *at = p->next;
                peers->n--;
                free (p);
            } else if (now >= p->deadline_ms) {
                return p;
            } else {
                at = &p->next;
            }
        }
    return NULL;
}

size_t peers_count (const peers_t *peers)
{
    return peers->n;
}

/*  A peer that was never heard on a connection of heartbeats has sent a message and no more: it
 *  is nobody's service. */
bool peers_alive (const peers_t *peers, slice_t name)
{
    /* What no peer can be called. */
    if (name.size == 0 || name.size > ENVELOPE_NAME_MAX)
        return false;
    for (size_t i = 0; i < PEERS_BUCKETS; i++)
        for (const peer_t *p = peers->by_secret[i]; p; p = p->next)
            if (!p->dead && p->fd >= 0 && strncmp (p->name, name.data, name.size) == 0 &&
                (p->name[name.size] == 0 || p->name[name.size] == '-'))
                return true;
    return false;
}

/*  A ring: older answers are forgotten, and with them the right to complain about them. */
void peer_remember_answer (peer_t *client, slice_t id, const peer_t *worker)
{
    client->answers[client->answers_n++ % PEER_ANSWERS] =
        (peer_answer_t){.id_hash = peers_hash (id.data, id.size), .worker_boot = worker->boot};
}

bool peer_had_answer (const peer_t *client, slice_t id, const peer_t *worker)
{
    uint32_t hash = peers_hash (id.data, id.size);
    for (size_t i = 0; i < PEER_ANSWERS; i++)
        if (client->answers[i].id_hash == hash && client->answers[i].worker_boot == worker->boot)
            return true;
    return false;
}

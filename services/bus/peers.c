/*  peers - see peers.h */
#include "peers.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define BUCKETS 256

struct peers {
    peer_t *bucket[BUCKETS]; /* by boot id */
    peer_t *last;            /* the peer of the last message: most come in runs */
    size_t n;
    uint64_t lives;
};

peers_t *peers_new (void)
{
    return calloc (1, sizeof (peers_t));
}

void peers_destroy (peers_t **self)
{
    if (!*self)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        for (peer_t *p = (*self)->bucket[i], *next; p; p = next) {
            next = p->next;
            free (p);
        }
    free (*self);
    *self = NULL;
}

static peer_t *find (const peers_t *peers, uint64_t boot)
{
    if (peers->last && peers->last->boot == boot)
        return peers->last;
    peer_t *p = peers->bucket[(boot >> 8) % BUCKETS];
    while (p && p->boot != boot)
        p = p->next;
    return p;
}

static peer_t *add (peers_t *peers, const envelope_t *e)
{
    peer_t *p = peers->n < PEERS_MAX ? calloc (1, sizeof *p) : NULL;
    if (!p)
        return NULL;
    peer_t **bucket = &peers->bucket[(e->boot >> 8) % BUCKETS];
    *p = (peer_t){.next = *bucket, .boot = e->boot, .fd = -1, .dead = true};
    slice_text (e->sender, p->name, sizeof p->name);
    *bucket = p;
    peers->n++;
    return p;
}

static peer_t *by_boot (peers_t *peers, const envelope_t *e)
{
    if (!e->boot)
        return NULL;
    peer_t *p = find (peers, e->boot);
    if (!p && !(p = add (peers, e)))
        return NULL;
    if (p->dead) {
        p->dead = false;
        p->life = ++peers->lives;
        p->deadline_ms = clock_ms () + PEER_DEAD_MS;
    }
    return peers->last = p;
}

peer_t *peers_of (peers_t *peers, const void *identity, size_t n, const envelope_t *e)
{
    peer_t *p = by_boot (peers, e);
    if (p && (p->identity_n != n || memcmp (p->identity, identity, n) != 0)) {
        memcpy (p->identity, identity, n);
        p->identity_n = n;
    }
    return p;
}

const peer_t *peers_heartbeat (peers_t *peers, const envelope_t *e, int fd)
{
    peer_t *p = by_boot (peers, e);
    if (!p)
        return NULL;
    p->fd = fd;
    p->deadline_ms = clock_ms () + PEER_DEAD_MS;
    return p;
}

void peers_lost (peers_t *peers, peer_t *peer)
{
    peer->life = ++peers->lives;
}

peer_t *peers_next_dead (peers_t *peers, int64_t now)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (peer_t **at = &peers->bucket[i]; *at;) {
            peer_t *p = *at;
            if (p->dead) {
                if (peers->last == p)
                    peers->last = NULL;
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

bool peers_alive (const peers_t *peers, slice_t name)
{
    if (name.size == 0 || name.size > ENVELOPE_NAME_MAX)
        return false;
    for (size_t i = 0; i < BUCKETS; i++)
        for (const peer_t *p = peers->bucket[i]; p; p = p->next)
            if (!p->dead && p->fd >= 0 && strncmp (p->name, name.data, name.size) == 0 &&
                (p->name[name.size] == 0 || p->name[name.size] == '-'))
                return true;
    return false;
}

void *peers_monitor (void *context, void *socket)
{
    const char *endpoint = "inproc://monitor-requests";
    void *monitor = zmq_socket (context, ZMQ_PAIR);
    if (monitor && (zmq_socket_monitor (socket, endpoint, ZMQ_EVENT_DISCONNECTED) != 0 ||
                    zmq_connect (monitor, endpoint) != 0)) {
        zmq_close (monitor);
        monitor = NULL;
    }
    return monitor;
}

/*  A monitor's message: event (16 bits) and file descriptor (32 bits), then the address
 *  (zmq_socket_monitor(3)). */
void peers_disconnected (peers_t *peers, void *monitor)
{
    uint8_t event[6];
    char address[256];
    while (zmq_recv (monitor, event, sizeof event, ZMQ_DONTWAIT) == (int) sizeof event) {
        if (zmq_recv (monitor, address, sizeof address, ZMQ_DONTWAIT) < 0)
            return;
        int32_t fd;
        memcpy (&fd, event + 2, sizeof fd);
        int64_t soon = clock_ms () + PEER_SUSPECT_MS;
        for (size_t i = 0; i < BUCKETS; i++)
            for (peer_t *p = peers->bucket[i]; p; p = p->next)
                if (p->fd == fd && !p->dead) {
                    p->fd = -1;
                    peers_lost (peers, p);
                    if (p->deadline_ms > soon)
                        p->deadline_ms = soon;
                }
    }
}

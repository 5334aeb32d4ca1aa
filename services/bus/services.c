/*  services - see services.h */
#include "services.h"

#include <stdlib.h>
#include <string.h>

#define QUEUE_MAX   16384 /* requests of one service */
#define QUEUE_BYTES ((size_t) 256 << 20)

service_t *services_of (services_t *services, slice_t name)
{
    for (size_t i = 0; i < services->n; i++)
        if (slice_equal (slice_of (services->service[i]->name), name))
            return services->service[i];
    if (services->n == SERVICES_MAX || name.size == 0 || name.size > ENVELOPE_NAME_MAX)
        return NULL;
    service_t *s = calloc (1, sizeof *s);
    if (!s)
        return NULL;
    slice_text (name, s->name, sizeof s->name);
    return services->service[services->n++] = s;
}

static void service_free (service_t *s)
{
    while (s->queued) {
        pending_t p = service_pop (s);
        zmq_msg_close (&p.frame);
    }
    free (s->queue);
    free (s);
}

void services_sweep (services_t *services)
{
    for (size_t i = 0; i < services->n;) {
        service_t *s = services->service[i];
        if (s->workers || s->queued) {
            i++;
            continue;
        }
        services->service[i] = services->service[--services->n];
        service_free (s);
    }
}

void services_free (services_t *services)
{
    while (services->n)
        service_free (services->service[--services->n]);
}

/*  ---- workers ----------------------------------------------------------------------------------------- */

worker_t *service_worker (service_t *s, const peer_t *peer)
{
    for (size_t i = 0; i < s->workers; i++)
        if (s->worker[i].peer == peer)
            return &s->worker[i];
    return NULL;
}

worker_t *service_add_worker (service_t *s, peer_t *peer)
{
    if (s->workers == WORKERS_MAX)
        return NULL;
    worker_t *w = &s->worker[s->workers++];
    *w = (worker_t){.peer = peer};
    return w;
}

void service_drop_worker (service_t *s, worker_t *worker)
{
    *worker = s->worker[--s->workers];
}

worker_t *service_free_worker (service_t *s, const char *avoid)
{
    worker_t *best = NULL;
    bool others = false;
    for (size_t i = 0; i < s->workers; i++)
        others = others || strcmp (s->worker[i].peer->name, avoid) != 0;
    for (size_t i = 0; i < s->workers; i++) {
        worker_t *w = &s->worker[(s->turn + i) % s->workers];
        if (others && strcmp (w->peer->name, avoid) == 0)
            continue;
        if (w->used < w->credit && (!best || w->credit - w->used > best->credit - best->used))
            best = w;
    }
    if (best)
        s->turn = (size_t) (best - s->worker) + 1;
    return best;
}

/*  ---- requests that wait -------------------------------------------------------------------------------- */

int service_push (service_t *s, pending_t *p)
{
    if (!s->queue)
        s->queue = calloc (QUEUE_MAX, sizeof *s->queue);
    size_t size = zmq_msg_size (&p->frame);
    if (!s->queue || s->queued == QUEUE_MAX || s->queued_bytes + size > QUEUE_BYTES)
        return -1;
    s->queue[(s->head + s->queued++) % QUEUE_MAX] = *p;
    s->queued_bytes += size;
    return 0;
}

pending_t service_pop (service_t *s)
{
    pending_t p = s->queue[s->head];
    s->head = (s->head + 1) % QUEUE_MAX;
    s->queued--;
    s->queued_bytes -= zmq_msg_size (&p.frame);
    return p;
}

const pending_t *service_first (const service_t *s)
{
    return s->queued ? &s->queue[s->head] : NULL;
}

pending_t *service_pending (const service_t *s, const peer_t *client, uint64_t sequence)
{
    for (size_t i = 0; i < s->queued; i++) {
        pending_t *p = &s->queue[(s->head + i) % QUEUE_MAX];
        if (p->client == client && p->sequence == sequence)
            return p;
    }
    return NULL;
}

void service_forget (service_t *s, pending_t *p)
{
    s->queued_bytes -= zmq_msg_size (&p->frame);
    p->client = NULL;
    zmq_msg_close (&p->frame);
    zmq_msg_init (&p->frame);
}

void service_orphan (service_t *s, const peer_t *client)
{
    for (size_t i = 0; i < s->queued; i++) {
        pending_t *p = &s->queue[(s->head + i) % QUEUE_MAX];
        if (p->client == client)
            service_forget (s, p);
    }
}

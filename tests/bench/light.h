/*  light - clients of a bus without a thread or a context of their own, so that one process can
 *  be a thousand of them: stand-in agents and scorers that sleep and answer, and environments
 *  that play real groups (services/environment/group.h) from a real Redis.
 *
 *      light_t light;
 *      light_open (&light, context, address, "agent-1");
 *      light_serve (&light, &(light_work_t){.service = "act", .answer = fixture_act,
 *                                           .took_ms = 1000, .credit = 1});
 *      light_turn (&light, clock_ms ());                what is due, and what has come
 *      light_close (&light);
 */
#ifndef QUINTET_TESTS_LIGHT_H
#define QUINTET_TESTS_LIGHT_H

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bus/node.h"

#define LIGHT_BEAT_MS 500 /* as lib/bus/pulse.c */
#define LIGHT_HELD    16  /* requests, at most */

typedef struct {
    const char *service;
    int (*answer) (const void *request, size_t size, buf_t *reply);
    int64_t took_ms; /* a request, however many are in hand */
    uint32_t credit;
} light_work_t;

/*  A request in hand, which is answered when it is due. */
typedef struct {
    bool busy;
    int64_t due_ms;
    uint64_t ticket, sequence;
    char id[ENVELOPE_ID_MAX + 1];
    buf_t reply;
} light_held_t;

typedef struct {
    node_t node;
    void *requests, *beats;
    uint64_t beat;
    int64_t beat_ms; /* when the next one is due */
    light_work_t work;
    light_held_t held[LIGHT_HELD];
} light_t;

static inline void light_fail (const char *name, const char *why)
{
    fprintf (stderr, "light client %s: %s\n", name, why);
    exit (1);
}

/*  Everything of a node but its own ZeroMQ context and eventfd. */
static inline void light_open (light_t *l, void *context, const char *address, const char *name)
{
    err_t err = {0};
    *l = (light_t){.node = {.context = context, .wake = -1}};
    snprintf (l->node.name, sizeof l->node.name, "%s", name);
    randombytes_buf (&l->node.boot, sizeof l->node.boot);
    randombytes_buf (l->node.secret, sizeof l->node.secret);
    l->node.boot |= 1;
    if (address_parse (address, false, &l->node.address, &err) != 0)
        light_fail (name, err.text);
    l->requests = node_connect (&l->node, ZMQ_DEALER, ADDRESS_REQUESTS, NODE_REQUESTS, &err);
    l->beats = node_connect (&l->node, ZMQ_DEALER, ADDRESS_REQUESTS, NODE_BEATS, &err);
    if (!l->requests || !l->beats)
        light_fail (name, err.text);
    /* Spread over the time between two, as those of processes are. */
    l->beat_ms = clock_ms () + randombytes_uniform (LIGHT_BEAT_MS);
}

static inline void light_close (light_t *l)
{
    zmq_close (l->requests);
    zmq_close (l->beats);
    for (size_t i = 0; i < LIGHT_HELD; i++)
        buf_free (&l->held[i].reply);
}

static inline void light_serve (light_t *l, const light_work_t *work)
{
    l->work = *work;
    node_send (&l->node, l->requests,
               &(envelope_t){.kind = ENVELOPE_READY,
                             .service = slice_of (work->service),
                             .credit = work->credit,
                             .text = slice_of ("light")});
}

/*  The next frame; its envelope points into it. False: nothing is there. */
static inline bool light_take (void *socket, zmq_msg_t *frame, envelope_t *e)
{
    while (zmq_msg_recv (frame, socket, ZMQ_DONTWAIT) >= 0)
        if (envelope_parse (zmq_msg_data (frame), zmq_msg_size (frame), e) == ENVELOPE_WHOLE)
            return true;
    return false;
}

static inline void light_beat (light_t *l, int64_t now)
{
    if (now < l->beat_ms)
        return;
    zmq_msg_t frame;
    envelope_t e;
    zmq_msg_init (&frame);
    while (light_take (l->beats, &frame, &e))
        if (e.kind == ENVELOPE_REFUSED)
            light_fail (l->node.name, e.text.data);
    zmq_msg_close (&frame);
    node_send (&l->node, l->beats,
               &(envelope_t){.kind = ENVELOPE_HEARTBEAT, .sequence = ++l->beat});
    l->beat_ms = now + LIGHT_BEAT_MS;
}

/*  The answer is made at once and sent when it is due. */
static inline void light_hold (light_t *l, const envelope_t *e, int64_t now)
{
    light_held_t *h = l->held;
    while (h < l->held + LIGHT_HELD && h->busy)
        h++;
    if (h == l->held + LIGHT_HELD)
        light_fail (l->node.name, "more requests than its credit");
    h->busy = true;
    h->due_ms = now + l->work.took_ms;
    h->ticket = e->ticket;
    h->sequence = e->sequence;
    slice_text (e->id, h->id, sizeof h->id);
    buf_clear (&h->reply);
    if (l->work.answer (e->payload.data, e->payload.size, &h->reply) != 0)
        light_fail (l->node.name, "a request that it cannot read");
}

static inline void light_answer_due (light_t *l, int64_t now)
{
    for (light_held_t *h = l->held; h < l->held + l->work.credit; h++)
        if (h->busy && h->due_ms <= now) {
            node_send (&l->node, l->requests,
                       &(envelope_t){.kind = ENVELOPE_REPLY,
                                     .id = slice_of (h->id),
                                     .ticket = h->ticket,
                                     .sequence = h->sequence,
                                     .payload = {h->reply.data, h->reply.size}});
            h->busy = false;
        }
}

/*  A worker's turn: takes what has come, answers what is due. */
static inline void light_turn (light_t *l, int64_t now)
{
    zmq_msg_t frame;
    envelope_t e;
    light_beat (l, now);
    zmq_msg_init (&frame);
    while (light_take (l->requests, &frame, &e))
        if (e.kind == ENVELOPE_REQUEST)
            light_hold (l, &e, now);
        else if (e.kind == ENVELOPE_REFUSED)
            light_fail (l->node.name, e.text.data);
    zmq_msg_close (&frame);
    light_answer_due (l, now);
}

#endif

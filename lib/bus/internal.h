/*  internal - what the files of this module share. Private to bus.
 *
 *      bus.c      life, bus_next, events
 *      calls.c    client and worker: requests and replies
 *      objects.c  policies: uploads, downloads, manifests
 *      courier.c  the thread that carries them
 *      pulse.c    the heartbeat thread
 */
#ifndef QUINTET_BUS_INTERNAL_H
#define QUINTET_BUS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "bus/address.h"
#include "bus/bus.h"
#include "bus/envelope.h"

#define BUS_HEARTBEAT_MS 500
#define BUS_TICK_MS      50 /* how often deadlines are looked at */

/*  ---- calls.c: what this client waits for, what this worker has in hand ------------------------------ */

typedef struct {
    uint64_t number; /* generation << 20 | slot; 0: free */
    char *id;
    char *service;
    char *avoid;   /* a worker that shall not answer, or NULL */
    void *payload; /* NULL: too large to be sent */
    size_t size;
    int64_t start_ms, deadline_ms;
    uint32_t tries, timed; /* how often it was sent; how often of these because time had passed */
} bus_call_t;

typedef struct bus_work {
    struct bus_work *chain;         /* of the table by id */
    struct bus_work *older, *newer; /* replied ones, for dropping the oldest */
    char *id;
    uint64_t handle; /* what the service knows it by; 0 once replied */
    uint64_t ticket, sequence;
    uint32_t code;
    void *reply; /* payload, or text when code is set */
    size_t size;
    bool replied;
} bus_work_t;

typedef struct {
    char service[ENVELOPE_NAME_MAX + 1];
    uint32_t credit;
} bus_served_t;

#define BUS_SERVED_MAX  16
#define BUS_WORK_TABLE  16384
#define BUS_REPLY_BYTES ((size_t) 8 << 20) /* of replies kept for repeating */

/*  ---- objects.c ---------------------------------------------------------------------------------------- */

typedef struct courier courier_t; /* the thread that carries objects, and what it has in hand */

typedef struct {
    char name[2 * ENVELOPE_NAME_MAX + 256]; /* sender and topic */
    uint64_t boot, sequence;
} bus_seen_t;

#define BUS_SEEN_MAX 1024 /* publishers and topics whose losses are counted */

struct bus {
    char name[ENVELOPE_NAME_MAX + 1];
    char numerics[ENVELOPE_NAME_MAX + 1];
    uint64_t boot; /* ours */
    address_t address;
    void *context;
    void *requests, *publish, *subscribe; /* the last two made at first use */
    int wake;
    int64_t ticked_ms;
    bus_counters_t counters;
    /* the item that bus_next returned last */
    zmq_msg_t frame;
    char item_name[2 * ENVELOPE_NAME_MAX + 1], item_sender[ENVELOPE_NAME_MAX + 1],
        item_trace[ENVELOPE_ID_MAX + 1], item_text[ENVELOPE_TEXT_MAX + 1];
    /* client */
    bus_call_t *calls;
    size_t calls_n, calls_next;
    uint64_t generation;
    /* worker */
    bus_served_t served[BUS_SERVED_MAX];
    size_t served_n;
    bus_work_t *table[BUS_WORK_TABLE];
    bus_work_t *oldest, *newest; /* replied */
    size_t reply_bytes;
    bus_work_t **hands; /* by handle's slot */
    size_t hands_n;
    courier_t *courier; /* objects; made at first use */
    /* events */
    bus_seen_t *published, *seen;           /* BUS_SEEN_MAX each, hashed by name */
    bus_seen_t *last_published, *last_seen; /* most events come in runs */
    /* the inbox that gave the last item is asked first, for a while */
    size_t favourite, favoured;
    /* pulse thread */
    pthread_t pulse_thread;
    bool pulse_runs;
    int64_t pulse_start_ms;
    atomic_bool pulse_stop;
    void (*pulse) (void *context);
    void *pulse_context;
    _Atomic uint64_t bus_boot; /* of the bus, as last heard; 0: not yet */
    uint64_t life;             /* of ours there, as last heard; the pulse thread's own */
    atomic_bool replaced;      /* the bus is a new one */
    atomic_bool forgotten;     /* it does not know us any more, or something for us was lost */
    char refused[ENVELOPE_TEXT_MAX + 1];
};

/*  bus.c */
int bus_send (bus_t *bus, void *socket, const envelope_t *envelope);
void *bus_socket (bus_t *bus, void **slot, int type, address_actor_t actor, err_t *err);
const char *bus_hold (bus_t *bus, zmq_msg_t *frame); /* keeps a frame until the next bus_next */

/*  calls.c: each returns 1 when item was filled. */
int calls_frame (bus_t *bus, const envelope_t *e, bus_item_t *item);
int calls_tick (bus_t *bus, int64_t now, bus_item_t *item);
void calls_again (bus_t *bus); /* the bus forgot us: register, send everything again */
void calls_free (bus_t *bus);

/*  objects.c */
int objects_take (bus_t *bus, bus_item_t *item);
/*  The object that bus_next delivered last is not looked at any more. */
void objects_delivered (bus_t *bus);
void objects_cancel (bus_t *bus, uint64_t number);
void objects_free (bus_t *bus);

/*  pulse.c */
int pulse_start (bus_t *bus, err_t *err);

#endif

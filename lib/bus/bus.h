/*  bus - one service's connection to the bus: calls, serving, events, policy objects.
 *
 *      bus_t *bus = bus_new (&options, &err);
 *      bus_serve (bus, "act", 32, &err);
 *      while ((rc = bus_next (bus, &item, 1000, &err)) >= 0) ...    requests, replies ...
 *      bus_destroy (&bus);
 *
 *  One thread uses a bus_t; its sockets connect outward only. Everything that arrives comes through
 *  bus_next, one item at a time. Nothing here blocks longer than the time given. Lost connections
 *  are re-made; when the bus is a new one, or took this one for dead, workers register again, and
 *  calls in flight are sent again with the same id (at one and two thirds of their deadline as
 *  well); the first reply wins. A worker keeps its last replies by id (bounded in bytes) and
 *  repeats them. A small thread of its own sends heartbeats, so a long computation between two
 *  bus_next calls is no death.
 */
#ifndef QUINTET_BUS_BUS_H
#define QUINTET_BUS_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "bus/keys.h"

typedef struct {
    /*  Of the bus: "ipc:///run/x/bus" or "tcp://host:5550"; address.h tells the sockets of it. */
    const char *address;
    const char *name;     /* who we are, unique: "agent-1", in envelopes and logs */
    const char *numerics; /* numeric path, told in READY ("" where it does not matter) */
    const keys_t *keys;   /* for a bus that has keys; copied; NULL: it has none */
} bus_options_t;

typedef struct bus bus_t;

typedef enum {
    BUS_REQUEST,   /* serve it: bus_reply or bus_refuse with item.id, sooner or later */
    BUS_REPLY,     /* to bus_call number item.call: code ERR_NONE and payload, or code and text */
    BUS_EVENT,     /* of a subscribed topic, each once; item.missed: lost before it */
    BUS_OBJECT,    /* to bus_fetch number item.call: whole and verified, or code and text */
    BUS_CANCELLED, /* request item.id needs no answer any more (deadline passed, client gone) */
    BUS_PEER       /* bus (re)connected with another boot id: upload again what it should hold */
} bus_kind_t;

typedef struct {
    bus_kind_t kind;
    uint64_t id;        /* REQUEST, CANCELLED: handle of the request */
    uint64_t call;      /* REPLY, OBJECT: what bus_call or bus_fetch returned */
    const char *name;   /* REQUEST: service; EVENT: topic; REPLY, OBJECT: the peer that answered */
    const char *sender; /* REQUEST, EVENT: who sent it */
    const char *trace;
    err_code_t code;
    const char *text;
    const void *payload; /* valid until the next bus_ call */
    size_t size;
    int64_t left_ms; /* REQUEST: until its deadline */
    /*  REPLY: how long the request was on its way to the worker, in the bus's queue mostly, to a
        millisecond, and how long the worker had it; 0 where nobody said. */
    uint64_t waited_us, took_us;
    /*  EVENT: its number among those of sender and topic, the sender's start, and how many of this
        sender and topic were lost before it. */
    uint64_t sequence, boot, missed;
    const void *frame; /* EVENT: all of it, as it came: topic, zero byte, envelope */
    size_t frame_size;
} bus_item_t;

bus_t *bus_new (const bus_options_t *options, err_t *err);
/*  Lingers at most 100 ms for what was sent. */
void bus_destroy (bus_t **bus);
/*  Ends the heartbeats: the bus will give to others what this one still has in hand. */
void bus_quiet (bus_t *bus);

/*  1 and an item; 0 after timeout_ms (0: only what is there); -1: the bus does not want this
 *  worker, or does not let us in, and says why (ERR_BUSY: it has no room just now). */
int bus_next (bus_t *bus, bus_item_t *item, int timeout_ms, err_t *err);
/*  Makes a waiting bus_next return 0; the one call that any thread and a signal handler may
 *  make. */
void bus_wake (bus_t *bus);

/*  Waits until the bus answers, or does so again; ERR_TIMEOUT names its address. */
int bus_ready (bus_t *bus, int64_t timeout_ms, err_t *err);

/*  Client. A payload has at most WIRE_PAYLOAD_MAX bytes (wire/wire.h). id: names the request for
 *  idempotence, includes the run id ("r1/12/3/0/act/aux"); NULL: made up. Returns the call number >
 *  0, or 0 when there is no memory; every call gets exactly one BUS_REPLY, also one whose id or
 *  payload is too long. */
uint64_t bus_call (bus_t *bus, const char *service, const char *id, const void *payload,
                   size_t size, int64_t deadline_ms);
/*  Asks again, or asks another: as bus_call, but the worker of that name (BUS_REPLY's name) does
 *  not get it as long as another worker serves the service. When it is the only one it answers all
 *  the same, and the reply's name says so. The id may be the one of before: idempotence is each
 *  worker's own. */
uint64_t bus_call_avoiding (bus_t *bus, const char *service, const char *id, const void *payload,
                            size_t size, int64_t deadline_ms, const char *avoid);
/*  A service of the bus itself: answers ERR_NONE when a service of the name in the payload sends
 *  heartbeats, or one whose name goes on with "-", else ERR_MISSING. */
#define BUS_ALIVE "alive"
/*  What is asked and published from now on belongs to this trace ("": to none): its envelopes say
 *  so, and those of its answers. At most ENVELOPE_ID_MAX bytes. */
void bus_trace (bus_t *bus, const char *trace);
/*  Forgets a call, a fetch or an offer; nothing will come of it, and what was lent is not read any
 *  more. */
void bus_cancel (bus_t *bus, uint64_t call);

/*  Worker: credit = how many requests it holds at once. Serving a name again changes the credit. */
int bus_serve (bus_t *bus, const char *service, size_t credit, err_t *err);
/*  A reply that is too large becomes a refusal. */
int bus_reply (bus_t *bus, uint64_t id, const void *payload, size_t size);
int bus_refuse (bus_t *bus, uint64_t id, err_code_t code, const char *fmt, ...)
    __attribute__ ((format (printf, 4, 5)));

#define BUS_TOPIC_MAX 256 /* bytes of a topic, and of a prefix */
/*  Events. One of more than ENVELOPE_EVENT_MAX bytes is dropped, and counted. ERR_LIMIT: a prefix
 *  that is too long, or the 65th. */
int bus_subscribe (bus_t *bus, const char *prefix, err_t *err);
/*  The same, and first the last events of each such topic, so many (of those that the bus keeps:
 *  services/bus/kept.h); after a connection was lost, those that came in between. */
int bus_subscribe_last (bus_t *bus, const char *prefix, uint32_t last, err_t *err);
void bus_publish (bus_t *bus, const char *topic, const void *payload, size_t size);

/*  Policy objects: content-addressed bytes, carried by a thread of the connection's own. bus_offer
 *  uploads (content is copied) and answers with BUS_OBJECT when the bus holds it; bus_fetch
 *  downloads in hashed chunks and verifies; size: what it must have, 0 when that is not known;
 *  deadline_ms: how long it may go without any progress. A
 *  manifest is a small object that is also kept by name and published as event
 *  "policy/<run>/<policy>": bus_manifest sets it, bus_manifests asks for all that the bus holds
 *  (they come as BUS_EVENT with the same topics). epoch: stale ones are refused per run. Retiring
 *  drops an object that no manifest needs. */
uint64_t bus_offer (bus_t *bus, const void *content, size_t size);
/*  The same without a copy: content, whose hash is known, must stay as it is until the answer comes
 *  or the offer is cancelled. */
uint64_t bus_lend (bus_t *bus, const hash_t *hash, const void *content, size_t size);
uint64_t bus_fetch (bus_t *bus, const hash_t *hash, uint64_t size, int64_t deadline_ms);
/*  The content of the object that bus_next has just given: the caller's now (free). */
void *bus_keep (bus_t *bus);
uint64_t bus_manifest (bus_t *bus, const char *run, uint64_t epoch, const char *name,
                       const void *manifest, size_t size, const hash_t *objects, size_t objects_n);
uint64_t bus_retire (bus_t *bus, const char *run, uint64_t epoch, const char *name);
int bus_manifests (bus_t *bus);

/*  Requests by how long they took from coming to being answered: took[k] those of at most
 *  BUS_TOOK_MS (k), and more than those of k - 1; the last has all that took longer. took_us: all
 *  of them together. */
#define BUS_TOOK       17
#define BUS_TOOK_MS(k) (0.25 * (1 << (k)))

/*  Counters since the start: resent, refused, dropped ... for the status event. in_hand is of the
 *  moment. */
typedef struct {
    uint64_t in_hand, took[BUS_TOOK], took_us;
    uint64_t calls, replies, resent, timeouts, served, repeated, events_out, events_in,
        events_missed, events_dropped, malformed, damaged, bytes_fetched;
} bus_counters_t;
bus_counters_t bus_counters (const bus_t *bus);

#endif

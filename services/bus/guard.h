/*  guard - who is let in to a bus that has keys, and what for.
 *
 *      guard_t *guard = guard_new (keys, &limits, &err);          before any socket is bound
 *      if (guard_admit (guard, connections, &frame, &who, why) &&
 *          guard_allow (guard, &who, &frame, RIGHTS_ASK, slice_of ("act"), sender, why)) ...
 *      guard_destroy (&guard);                                    after the sockets
 *
 *  ZeroMQ asks CZMQ's zauth whether a certificate may connect at all. What its holder may do then
 *  is looked at with every frame (bus/rights.h): so a certificate that was revoked counts for
 *  nothing from the moment that its file is gone, within GUARD_LOOK_MS, whatever connection it
 *  still has.
 *
 *  A NULL guard is that of a bus without keys: it admits everybody to everything.
 */
#ifndef QUINTET_BUS_GUARD_H
#define QUINTET_BUS_GUARD_H

#include <stdbool.h>

#include "base/err.h"
#include "bus/authority.h"
#include "bus/envelope.h"
#include "bus/rights.h"
#include "connections.h"

#define GUARD_LOOK_MS  250 /* how often the folder of certificates is looked at */
#define GUARD_WHY_SIZE 512
/*  Frames in a minute that a certificate may not have sent; each one more ends its connection. */
#define GUARD_DENIED_MAX 100
/*  What a connection may send in a second. Beyond it frames are dropped; who goes on for so many
 *  seconds is cut off. */
#define GUARD_FRAMES    50000
#define GUARD_HASTY_MAX 10

typedef struct guard guard_t;

/*  Whose frame it is. */
typedef struct {
    const rights_t *rights; /* NULL: of a bus without keys */
    char name[KEYS_NAME_MAX + 1], key[AUTHORITY_KEY_TEXT];
} guard_holder_t;

typedef struct {
    size_t frames;      /* of one connection in a second; 0: GUARD_FRAMES */
    size_t connections; /* of one kind of program at each socket; 0: seven eighths of all */
} guard_limits_t;

/*  keys: the bus's, copied. ERR_CONFIG: they are not a bus's, or nobody can be asked about
 *  certificates. */
guard_t *guard_new (const keys_t *keys, const guard_limits_t *limits, err_t *err);
void guard_destroy (guard_t **guard);
/*  Of a bus without keys. ERR_CONFIG: there are limits that only a guard holds. */
int guard_none (const guard_limits_t *limits, err_t *err);

/*  What its sockets are bound with; NULL: no keys. */
const keys_t *guard_keys (const guard_t *guard);
/*  Whose certificate a frame came by; from: the connections of its socket, by their own thread.
 *  False: it is counted, and no more is to be done with it. Either the certificate is not known any
 *  more, and the connection is ended; or it sends too much, or there are too many of its kind, and
 *  why says so, or is "" where that has been said. */
bool guard_admit (guard_t *guard, connections_t *from, zmq_msg_t *frame, guard_holder_t *who,
                  char why[GUARD_WHY_SIZE]);
/*  Whether a holder of before is still let in. */
bool guard_knows (guard_t *guard, const guard_holder_t *who);
/*  Another number each time that the table changes. */
uint64_t guard_changes (const guard_t *guard);
/*  Whether he may do that to `what` as `sender`. False: why says so; it is counted, now and then
 *  logged, and ends the connection when it happens all the time. Any thread. */
bool guard_allow (guard_t *guard, const guard_holder_t *who, zmq_msg_t *frame, rights_act_t act,
                  slice_t what, slice_t sender, char why[GUARD_WHY_SIZE]);

/*  Shows that it lets nobody in whom it does not know: a made-up certificate and none at all are
 *  turned away at the endpoint. ERR_INTERNAL: they were not. */
int guard_test (const guard_t *guard, const char *endpoint, err_t *err);

typedef struct {
    uint64_t certificates, revoked, denied; /* that are let in; frames of those that are not any
                                               more; and of those that were not allowed */
    uint64_t beyond; /* frames that one connection sent beyond what it may in a second */
} guard_status_t;
void guard_status (const guard_t *guard, guard_status_t *status);

#endif

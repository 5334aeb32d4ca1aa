/*  pulse - the heartbeat thread. Private to bus.
 *
 *      pulse_t *pulse = pulse_new (&node, &err);
 *      pulse_forgotten (pulse);       the bus does not know us any more: register and send again
 *      pulse_stop (pulse);
 *      pulse_free (&pulse);
 *
 *  It keeps a service alive for the bus while its own thread computes, and notices when the bus is
 *  another one or forgot us. What it finds out crosses to the thread of bus_next as flags, each set
 *  here and taken there, and node_wake ends that thread's wait.
 */
#ifndef QUINTET_BUS_PULSE_H
#define QUINTET_BUS_PULSE_H

#include "bus/node.h"

typedef struct pulse pulse_t;

/*  Starts the thread; a beat every 500 ms. */
pulse_t *pulse_new (const node_t *node, err_t *err);
void pulse_stop (pulse_t *pulse);
void pulse_free (pulse_t **pulse);

/*  For the thread of bus_next. The first three are true once for each time that it happened. */
bool pulse_met (pulse_t *pulse);           /* the bus answered for the first time: register again */
bool pulse_forgotten (pulse_t *pulse);     /* the bus forgot us, or something for us got lost */
bool pulse_replaced (pulse_t *pulse);      /* the bus is another one than before */
bool pulse_pending (const pulse_t *pulse); /* one of them is true, and was not asked for yet */
/*  For any thread: why the bus does not let us in, ERR_BUSY: just now; NULL: nothing is known
 *  against us. */
const err_t *pulse_refused (const pulse_t *pulse);
/*  For any thread: whether whoever listens there hung up on our last greeting without a word. */
bool pulse_hung_up (const pulse_t *pulse);
/*  For any thread: whether it answered once, and is silent now. */
bool pulse_lost (const pulse_t *pulse);
/*  For any thread: the boot id of the bus, as last heard; 0: it has not answered yet. */
uint64_t pulse_bus (const pulse_t *pulse);

#endif

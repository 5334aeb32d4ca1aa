/*  courier - the thread that carries policy objects. Private to bus.
 *
 *      courier_t *courier = courier_new (&node, pulse, transfers, &err);
 *      courier_free (&courier);                    sends what was added last, and ends
 *
 *  It alone uses the socket of the policies actor, so that neither a decode step waits for chunks,
 *  nor an upload for a training step. All that it shares with the caller's thread is the list
 *  (transfers.h); of the pulse it reads which bus is there.
 */
#ifndef QUINTET_BUS_COURIER_H
#define QUINTET_BUS_COURIER_H

#include "bus/pulse.h"
#include "bus/transfers.h"

typedef struct courier courier_t;

courier_t *courier_new (const node_t *node, const pulse_t *pulse, transfers_t *transfers,
                        err_t *err);
void courier_free (courier_t **courier);

#endif

/*  feed - puts events on a bus as they were recorded, under the names of those who once sent them.
 *
 *      feed_t *feed = feed_new (&options, &err);
 *      if (feed_ready (feed, 3000, &err) == 0 && feed_send (feed, frame, size) > 0) ...
 *      feed_destroy (&feed);
 *
 *  Only a bus without keys takes them: on another, each may speak for itself alone.
 */
#ifndef QUINTET_BUS_FEED_H
#define QUINTET_BUS_FEED_H

#include "bus/bus.h"

typedef struct feed feed_t;

/*  options: the address and a name. ERR_CONFIG: with keys. */
feed_t *feed_new (const bus_options_t *options, err_t *err);
/*  Waits until the bus takes events; ERR_TIMEOUT names its address. */
int feed_ready (feed_t *feed, int64_t timeout_ms, err_t *err);
/*  A whole frame: topic, zero byte, envelope. 1: it is on its way; 0: too much waits already, try
 *  again; -1: it is no event. Nothing that is on its way is dropped on this side. */
int feed_send (feed_t *feed, const void *frame, size_t size);
/*  Lingers at most 100 ms for what was sent. */
void feed_destroy (feed_t **feed);

#endif

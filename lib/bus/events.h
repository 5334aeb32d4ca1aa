/*  events - what we publish, and what we subscribed to. Private to bus.
 *
 *      events_t *events = events_new (&node);
 *      events_publish (events, "run/step.done", "", payload, size);
 *      events_subscribe (events, "run/", 0, &err);
 *      events_take (events, &item);                     1: an event is there
 *      events_free (&events);
 *
 *  Only the thread that calls bus_next touches this. Events are best effort: each sender counts
 *  each topic's, and whoever subscribed sees from the gaps how many it missed.
 */
#ifndef QUINTET_BUS_EVENTS_H
#define QUINTET_BUS_EVENTS_H

#include "bus/node.h"

typedef struct events events_t;

events_t *events_new (const node_t *node);
void events_free (events_t **events);

void events_publish (events_t *events, const char *topic, const char *trace, const void *payload,
                     size_t size);
int events_subscribe (events_t *events, const char *prefix, uint32_t last, err_t *err);
/*  The bus is another one: connects again, with the same subscriptions. */
void events_again (events_t *events);
/*  Says again now and then what is subscribed to. */
void events_tick (events_t *events, int64_t now);
/*  An event that is there already: 1, or 0. What item points to is valid until the next call. */
int events_take (events_t *events, bus_item_t *item);
/*  Why the bus does not let us subscribe to what we did, ERR_BUSY: just now; NULL: it does. */
const err_t *events_denied (const events_t *events);
/*  Where events arrive, to wait for them; NULL: nothing was subscribed to. */
void *events_socket (const events_t *events);
void events_count (const events_t *events, bus_counters_t *counters);

#endif

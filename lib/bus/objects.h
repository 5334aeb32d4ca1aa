/*  objects - policy objects as the caller's thread sees them. Private to bus.
 *
 *      objects_t *objects = objects_new (&node, pulse);
 *      uint64_t number = objects_fetch (objects, &hash, size, 60000);
 *      objects_take (objects, &item);                       1: a transfer is finished
 *      objects_free (&objects);
 *
 *  It hands transfers to the courier, which is started with the first of them, and takes back what
 *  is finished.
 */
#ifndef QUINTET_BUS_OBJECTS_H
#define QUINTET_BUS_OBJECTS_H

#include "bus/node.h"
#include "bus/pulse.h"

typedef struct objects objects_t;

objects_t *objects_new (const node_t *node, const pulse_t *pulse);
void objects_free (objects_t **objects);

/*  Each returns a number, or 0 when there is no memory. hash NULL: content is copied, else it is
 *  lent. */
uint64_t objects_offer (objects_t *objects, const hash_t *hash, const void *content, size_t size);
uint64_t objects_fetch (objects_t *objects, const hash_t *hash, uint64_t size, int64_t patience_ms);
/*  Sent until it is answered. */
uint64_t objects_send (objects_t *objects, envelope_t *message);
int objects_ask_manifests (objects_t *objects);
void objects_cancel (objects_t *objects, uint64_t number);

/*  1: item was filled; what it points to stays until objects_delivered. */
int objects_take (objects_t *objects, bus_item_t *item);
void objects_delivered (objects_t *objects);
/*  The content of the download that was taken last, the caller's now. */
void *objects_keep (objects_t *objects);
void objects_count (const objects_t *objects, bus_counters_t *counters);

#endif

/*  kept - the last events of each topic, for whoever subscribes later.
 *
 *      kept_t *kept = kept_new ();
 *      kept_add (kept, frame, size, topic_n);                          every event
 *      kept_give (kept, prefix, last, taps_give, tap);                 to a new tap
 *      kept_destroy (&kept);
 *
 *  Bounded in topics, in events of each, and in bytes over all. Where there is no room, the topic
 *  that takes the most bytes loses its oldest event, so that what is said often does not push out
 *  what is said seldom; the last word of a lasting topic, which tells how a run stands
 *  ("RUN/run.state" and the like), goes when there is nothing else.
 */
#ifndef QUINTET_BUS_KEPT_H
#define QUINTET_BUS_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/envelope.h"

#define KEPT_TOPICS 256
#define KEPT_EACH   100                 /* events of a topic */
#define KEPT_BYTES  ((size_t) 16 << 20) /* of all, with what it takes to keep them */
#define KEPT_BURST  2048                /* events that kept_give gives at once */

typedef struct kept kept_t;

kept_t *kept_new (void);
void kept_destroy (kept_t **kept);

/*  Copies a frame, which begins with topic_n bytes of its topic. "RUN/run.opened" makes everything
 *  of that run forgotten first. Without memory it is not kept. */
void kept_add (kept_t *kept, const void *frame, size_t size, size_t topic_n);
/*  The `last` events of each topic that begins with the prefix, and of a lasting one at least one:
 *  oldest first, of more than KEPT_BURST the youngest. give: false ends it. */
void kept_give (const kept_t *kept, slice_t prefix, size_t last,
                bool (*give) (void *context, const void *frame, size_t size), void *context);
/*  For the status, from any thread. */
size_t kept_bytes (const kept_t *kept);

#endif

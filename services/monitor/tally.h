/*  tally - what services say of themselves, added up by their kind.
 *
 *      tally_t *tally = tally_new ();
 *      tally_note (tally, event);                         every status
 *      tally_print (tally, &out);                         in Prometheus' text format
 *      tally_destroy (&tally);
 *
 *  Instances come and go, and with them their counters; here a counter only grows: by what an
 *  instance has more than when it spoke last, or has at all when its process is another one. Gauges
 *  are the sum over those that speak. So there is one series per kind, however many instances.
 */
#ifndef QUINTET_MONITOR_TALLY_H
#define QUINTET_MONITOR_TALLY_H

#include "base/buf.h"
#include "wire/wire.h"

#define TALLY_INSTANCES 4096
#define TALLY_KINDS     16
#define TALLY_QUIET_MS  5000  /* without a status for so long it counts as silent */
#define TALLY_GONE_MS   60000 /* and for so long it is forgotten */

typedef struct tally tally_t;

tally_t *tally_new (void);
void tally_destroy (tally_t **tally);

/*  Any event; only statuses count. */
void tally_note (tally_t *tally, const wire_event_t *event);
void tally_print (tally_t *tally, buf_t *out);

#endif

/*  presence - which services are alive on a bus, by their status events.
 *
 *      presence_t presence = {0};
 *      presence_event (&presence, event);                         every event of the bus
 *      const char *text = presence_lacks (&presence, conf, bus, redis);
 */
#ifndef QUINTET_CLI_PRESENCE_H
#define QUINTET_CLI_PRESENCE_H

#include <stdbool.h>

#include "conf/conf.h"
#include "wire/wire.h"

#define PRESENCE_KINDS 4

typedef struct {
    int64_t heard_ms;                /* when any status came last; 0: none did */
    int64_t seen_ms[PRESENCE_KINDS]; /* one of that kind */
    char text[512];
} presence_t;

void presence_event (presence_t *presence, const wire_event_t *event);
/*  The first kind that the run needs and of which no status came, or none of late, with how to
 *  start one on somebody else's suite: a command to copy, with the programs of the run's own. Or
 *  that nothing is heard any more. NULL: all are there; or bus is NULL, for a suite of one's own,
 *  which starts again what ends. */
const char *presence_lacks (presence_t *presence, const conf_t *conf, const char *bus,
                            const char *redis);

#endif

/*  presence - which services are alive on a bus, by their status events.
 *
 *      presence_t presence = {0};
 *      presence_event (&presence, event);                         every event of the bus
 *      const char *text = presence_lacks (&presence, conf, bus, redis);
 */
#ifndef QUINTET_CLI_PRESENCE_H
#define QUINTET_CLI_PRESENCE_H

#include <stdbool.h>
#include <time.h>

#include "conf/conf.h"
#include "wire/wire.h"

#define PRESENCE_KINDS 4

typedef struct {
    int64_t heard_ms;                /* when any status came last; 0: none did */
    int64_t seen_ms[PRESENCE_KINDS]; /* one of that kind */
    time_t seen_at[PRESENCE_KINDS];  /* the same, for people */
    char text[512];
} presence_t;

void presence_event (presence_t *presence, const wire_event_t *event);
/*  The first kind that the run needs and of which no status came, or none of late: on somebody
 *  else's suite with how to start one, a command to copy, with the programs of the run's own. Or
 *  that nothing is heard any more. bus is NULL for a suite of one's own, which starts what is not
 *  there yet, and again what ends: there only who was heard and fell silent is named, and since
 *  when. NULL: all are there. The same text as long as nothing changes. */
const char *presence_lacks (presence_t *presence, const conf_t *conf, const char *bus,
                            const char *redis);

#endif

/*  presence - which services are alive on a bus, by their status events.
 *
 *      presence_t presence = {0};
 *      presence_event (&presence, event);                         every event of the bus
 *      const char *missing = presence_missing (&presence, false);     "agent", or NULL
 */
#ifndef QUINTET_CLI_PRESENCE_H
#define QUINTET_CLI_PRESENCE_H

#include <stdbool.h>

#include "conf/conf.h"
#include "wire/wire.h"

typedef struct {
    unsigned seen; /* 1 << kind */
} presence_t;

void presence_event (presence_t *presence, const wire_event_t *event);
/*  The first kind that a run needs and of which no status came yet; NULL: all are there. */
const char *presence_missing (const presence_t *presence, bool critic);
/*  How to start a service of that kind on somebody else's suite: a command to copy, with the
 *  programs of the run's own. */
void presence_advise (const char *kind, const conf_t *conf, const char *bus, const char *redis,
                      char *text, size_t size);

#endif

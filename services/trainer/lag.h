/*  lag - how far behind each agent is with the run's policies, as their status events say.
 *
 *      lag_event (&lag, run, &team, event);                  service.status events of everybody
 *      for (i = 0; i < lag.n; i++)  behind += number - lag.agents[i].version;
 */
#ifndef QUINTET_TRAINER_LAG_H
#define QUINTET_TRAINER_LAG_H

#include <stddef.h>
#include <stdint.h>

#include "team.h"
#include "wire/wire.h"

#define LAG_AGENTS_MAX 32
#define LAG_NAME_MAX   64

typedef struct {
    struct {
        char name[LAG_NAME_MAX];
        /* the oldest of the newest versions that it holds of the policies that learn */
        uint64_t version;
        int64_t heard_ms; /* clock_ms */
    } agents[LAG_AGENTS_MAX];
    size_t n;
} lag_t;

/*  An agent's status has metrics "version/RUN/POLICY"; events without one are passed over. Agents
 *  that were not heard of for 5 s are forgotten. */
void lag_event (lag_t *lag, const char *run, const team_t *team, const wire_event_t *event);

#endif

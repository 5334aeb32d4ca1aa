/*  lag - see lag.h */
#include "lag.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

/*  Ten status events: an agent that was silent for so long is gone, and its lag would stand in the
 *  metrics for ever. */
#define FORGET_MS 5000

/*  In place: those that are kept move up over those that are not. */
static void lag_forget (lag_t *lag, int64_t now)
{
    size_t kept = 0;
    for (size_t i = 0; i < lag->n; i++)
        if (now - lag->agents[i].heard_ms < FORGET_MS)
            lag->agents[kept++] = lag->agents[i];
    lag->n = kept;
}

/*  One that does not learn has one version for good. */
static bool lag_learns (const team_t *team, const char *policy)
{
    bool fixed = false;
    for (size_t p = 0; p < team->policies_n; p++)
        fixed = fixed || (!policy_learns (team->policies[p]) &&
                          strcmp (team->policies[p]->name, policy) == 0);
    return !fixed;
}

/*  Whether the event has versions of this run, and the oldest of them. */
static bool lag_oldest (const char *run, const team_t *team, const wire_event_t *event,
                        uint64_t *version)
{
    char prefix[160];
    bool found = false;
    int length = snprintf (prefix, sizeof prefix, "version/%s/", run);
    for (size_t i = 0; i < event->metrics_n; i++) {
        const wire_part_t *m = &event->metrics[i];
        if (strncmp (m->name, prefix, (size_t) length) != 0 || m->value < 0 ||
            !lag_learns (team, m->name + length))
            continue;
        uint64_t number = (uint64_t) m->value;
        /* Of several policies the one that is furthest behind counts. */
        *version = found && *version < number ? *version : number;
        found = true;
    }
    return found;
}

/*  Events are hints, and these are for people only: nothing waits for an agent because of what
 *  stands here. */
void lag_event (lag_t *lag, const char *run, const team_t *team, const wire_event_t *event)
{
    uint64_t version = 0;
    if (!lag_oldest (run, team, event, &version))
        return;
    int64_t now = clock_ms ();
    lag_forget (lag, now);
    size_t i = 0;
    while (i < lag->n && strcmp (lag->agents[i].name, event->text) != 0)
        i++;
    /* Further agents are not shown; they are served all the same. */
    if (i == LAG_AGENTS_MAX)
        return;
    lag->n = i == lag->n ? i + 1 : lag->n;
    snprintf (lag->agents[i].name, LAG_NAME_MAX, "%s", event->text);
    lag->agents[i].version = version;
    lag->agents[i].heard_ms = now;
}

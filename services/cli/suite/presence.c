/*  presence - see presence.h */
#include "presence.h"

#include <stdio.h>
#include <string.h>

/*  The critic is the last one, so that presence_missing can leave it out. */
static const char *const kinds[] = {"agent", "environment", "reward", "critic"};
#define KINDS (sizeof kinds / sizeof *kinds)

/*  Every service sends its status twice a second, with a metric "service/KIND". */
void presence_event (presence_t *p, const wire_event_t *event)
{
    static const char before[] = "service/"; /* svc.c */
    for (size_t m = 0; event->kind == WIRE_SERVICE_STATUS && m < event->metrics_n; m++)
        for (size_t k = 0; k < KINDS; k++)
            if (strncmp (event->metrics[m].name, before, sizeof before - 1) == 0 &&
                strcmp (event->metrics[m].name + sizeof before - 1, kinds[k]) == 0)
                p->seen |= 1u << k;
}

const char *presence_missing (const presence_t *p, bool critic)
{
    for (size_t k = 0; k < KINDS - !critic; k++)
        if (!(p->seen >> k & 1))
            return kinds[k];
    return NULL;
}

void presence_advise (const char *kind, const conf_t *conf, const char *bus, const char *redis,
                      char *text, size_t size)
{
    bool stores = strcmp (kind, "environment") == 0, scores = strcmp (kind, "reward") == 0;
    const char *program = scores ? conf->reward.command : stores ? conf->task.program : "";
    snprintf (text, size,
              "no quintet-%s on the bus at %s: start it with  quintet-%s --bus %s%s%s%s%s%s", kind,
              bus, kind, bus, stores ? " --redis " : "", stores ? redis : "",
              !*program ? ""
              : scores  ? " --command '"
                        : " --program '",
              program, *program ? "'" : "");
}

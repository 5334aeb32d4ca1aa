/*  presence - see presence.h */
#include "presence.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define PRESENCE_SILENT_MS 20000 /* a busy machine's services are silent for some seconds */
#define PRESENCE_HEARD_MS  5000  /* not all of them at once, unless it is the bus */

/*  The critic is the last one, so that presence_lacks can leave it out. */
static const char *const kinds[PRESENCE_KINDS] = {"agent", "environment", "reward", "critic"};

/*  Every service sends its status twice a second, with a metric "service/KIND". */
void presence_event (presence_t *p, const wire_event_t *event)
{
    static const char before[] = "service/"; /* svc.c */
    if (event->kind == WIRE_SERVICE_STATUS)
        p->heard_ms = clock_ms ();
    for (size_t m = 0; event->kind == WIRE_SERVICE_STATUS && m < event->metrics_n; m++)
        for (size_t k = 0; k < PRESENCE_KINDS; k++)
            if (strncmp (event->metrics[m].name, before, sizeof before - 1) == 0 &&
                strcmp (event->metrics[m].name + sizeof before - 1, kinds[k]) == 0) {
                p->seen_ms[k] = clock_ms ();
                p->seen_at[k] = time (NULL);
            }
}

/*  One that ended would have been started again: so it is there, and does nothing. */
static const char *presence_stands (presence_t *p, size_t k)
{
    char since[16] = "a while ago";
    struct tm parts;
    if (localtime_r (&p->seen_at[k], &parts))
        strftime (since, sizeof since, "%H:%M:%S", &parts);
    snprintf (p->text, sizeof p->text,
              "quintet-%s has said nothing since %s: it is in one long computation, or was stopped "
              "(then send it SIGCONT)",
              kinds[k], since);
    return p->text;
}

const char *presence_lacks (presence_t *p, const conf_t *conf, const char *bus, const char *redis)
{
    size_t k = 0, n = conf_credits (conf, "critic") ? PRESENCE_KINDS : PRESENCE_KINDS - 1;
    int64_t since = clock_ms () - PRESENCE_SILENT_MS;
    while (k < n && (p->seen_ms[k] ? p->seen_ms[k] > since : !bus))
        k++;
    if (k == n)
        return NULL;
    if (p->heard_ms && p->heard_ms <= clock_ms () - PRESENCE_HEARD_MS) {
        snprintf (p->text, sizeof p->text, "nothing is heard from the bus%s%s any more",
                  bus ? " at " : "", bus ? bus : "");
        return p->text;
    }
    if (!bus)
        return presence_stands (p, k);
    bool stores = strcmp (kinds[k], "environment") == 0, scores = strcmp (kinds[k], "reward") == 0;
    const char *program = scores ? conf->reward.command : stores ? conf->task.program : "";
    snprintf (p->text, sizeof p->text,
              "no quintet-%s on the bus at %s: start it with  quintet-%s --bus %s%s%s%s%s%s",
              kinds[k], bus, kinds[k], bus, stores ? " --redis " : "", stores ? redis : "",
              !*program ? ""
              : scores  ? " --command '"
                        : " --program '",
              program, *program ? "'" : "");
    return p->text;
}

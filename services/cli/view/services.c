/*  services - see services.h */
#include "services.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define ALIVE_MS 5000 /* since the last status, of two a second */

/*  The bound is a little below a million, so that nobody reads 1000.0k. */
void services_count (double value, buf_t *out)
{
    if (!isfinite (value))
        buf_text (out, "-");
    else if (value >= 999500)
        buf_printf (out, "%.1fM", value / 1e6);
    else if (value >= 1000)
        buf_printf (out, "%.1fk", value / 1e3);
    else
        buf_printf (out, "%.0f", value);
}

/*  Kept sorted by name, agent-10 after agent-9. NULL: there are too many. Then the service is
 *  missing from the view, and nothing else changes. */
static service_t *services_place (services_t *s, const char *name)
{
    size_t i = 0;
    while (i < s->n && strverscmp (s->service[i].name, name) < 0)
        i++;
    if (i < s->n && strcmp (s->service[i].name, name) == 0)
        return &s->service[i];
    if (s->n == SERVICES_MAX)
        return NULL;
    memmove (&s->service[i + 1], &s->service[i], (s->n++ - i) * sizeof *s->service);
    /* Most kinds say only some of these: -1 tells "never said" from 0. */
    s->service[i] = (service_t){.version = -1, .waiting = -1, .in_flight = -1, .busy = -1};
    snprintf (s->service[i].name, sizeof s->service[i].name, "%s", name);
    return &s->service[i];
}

/*  Busy for which share of the time between two statuses. A total that went down is of a process
 *  that was started again, and says nothing about this time. */
static void services_note_busy (service_t *s, double busy_s, int64_t now)
{
    double passed = (double) (now - s->seen_ms) / 1e3;
    if (s->seen_ms && passed > 0 && busy_s >= s->busy_s)
        s->busy = fmin ((busy_s - s->busy_s) / passed, 1); /* statuses come at uneven times */
    s->busy_s = busy_s;
}

/*  Agents, environments, rewards and the bus call what they have under way by names of their
 *  own. */
void services_status (services_t *services, const char *run, const wire_event_t *e)
{
    service_t *s = services_place (services, e->text);
    char version[96];
    int64_t now = clock_ms ();
    /* An agent may serve several runs of a shared bus; versions of the others are not ours to
       show. */
    size_t n = (size_t) snprintf (version, sizeof version, "version/%s/", run);
    double newest = -1; /* one that is not trained stays at its first version */
    if (!s)
        return;
    for (size_t m = 0; m < e->metrics_n; m++) {
        const char *name = e->metrics[m].name;
        double value = e->metrics[m].value;
        if (strncmp (name, "service/", 8) == 0)
            snprintf (s->kind, sizeof s->kind, "%s", name + 8);
        else if (strncmp (name, version, n) == 0)
            newest = fmax (newest, value);
        else if (strcmp (name, "tokens_per_s") == 0)
            s->tokens_per_s = value;
        else if (strcmp (name, "requests_waiting") == 0 || strcmp (name, "queued") == 0)
            s->waiting = value;
        else if (strcmp (name, "requests_decoding") == 0 || strcmp (name, "in_flight") == 0 ||
                 strcmp (name, "groups_in_flight") == 0)
            s->in_flight = value;
        else if (strcmp (name, "busy_s") == 0)
            services_note_busy (s, value, now);
        else if (strcmp (name, "rss_bytes") == 0)
            s->rss = value;
    }
    if (newest >= 0)
        s->version = newest;
    s->seen_ms = now;
}

/*  A service of this kind that is alive. One that fell silent stays in the list, in case it comes
 *  back, but counts nowhere. */
static bool services_is (const service_t *s, const char *kind)
{
    return strcmp (s->kind, kind) == 0 && clock_ms () - s->seen_ms <= ALIVE_MS;
}

/*  NAN without an agent: a rate of 0 would say that they stand still. */
double services_tokens_per_s (const services_t *s)
{
    double sum = NAN;
    for (size_t i = 0; i < s->n; i++)
        if (services_is (&s->service[i], "agent"))
            sum = (isfinite (sum) ? sum : 0) + s->service[i].tokens_per_s;
    return sum;
}

/*  The trainer cannot know it, as it waits for whole groups: agents with nothing to do while
 *  rewards have a queue mean that only scores are missing. */
bool services_are_scoring (const services_t *s)
{
    double sampled = 0, scored = 0;
    for (size_t i = 0; i < s->n; i++) {
        const service_t *one = &s->service[i];
        if (services_is (one, "agent"))
            sampled += fmax (one->waiting, 0) + fmax (one->in_flight, 0);
        else if (services_is (one, "reward"))
            scored += fmax (one->waiting, 0);
    }
    return sampled < 1 && scored >= 1;
}

/*  An agent that is behind samples with weights older than the step's, so the farthest one is
 *  named. */
void services_agents (const services_t *s, uint64_t step, buf_t *line)
{
    size_t n = 0, with = 0, behind = 0;
    double newest = -1, farthest = 0, busy = 0, measured = 0;
    for (size_t i = 0; i < s->n; i++) {
        const service_t *agent = &s->service[i];
        if (!services_is (agent, "agent"))
            continue;
        double lag = (double) step - agent->version;
        n++;
        with += agent->version >= 0;
        behind += agent->version >= 0 && lag > 0;
        newest = fmax (newest, agent->version);
        farthest = agent->version >= 0 ? fmax (farthest, lag) : farthest;
        busy += fmax (agent->busy, 0);
        measured += agent->busy >= 0;
    }
    if (!n)
        return;
    buf_printf (line, "%zu agent%s, ", n, n == 1 ? "" : "s");
    if (!with)
        buf_text (line, "no version yet");
    else if (!behind)
        buf_printf (line, "%s%s version %.0f", n > 1 && with == n ? "all " : "",
                    with == n ? "at" : "some at", newest);
    else
        buf_printf (line, "at version %.0f, %zu of them up to %.0f behind", newest, behind,
                    farthest);
    buf_text (line, ", ");
    services_count (services_tokens_per_s (s), line);
    buf_text (line, " tok/s");
    if (measured > 0)
        /* The mean of those of which two statuses are known. */
        buf_printf (line, ", busy %.0f%%", 100 * busy / measured);
}

/*  "2 rewards, 32 waiting": counts of one kind added up. */
static void services_kind (const services_t *s, const char *kind, const char *in_flight,
                           buf_t *line)
{
    double waiting = 0, flying = 0, rss = 0;
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (!services_is (&s->service[i], kind))
            continue;
        n++;
        waiting += fmax (s->service[i].waiting, 0);
        flying += fmax (s->service[i].in_flight, 0);
        rss += s->service[i].rss;
    }
    if (!n)
        return;
    buf_printf (line, "%s%zu %s: ", line->size ? "; " : "", n, kind);
    if (in_flight)
        buf_printf (line, "%.0f %s, ", flying, in_flight);
    /* The others of these kinds tell of no queue. */
    if (strcmp (kind, "reward") == 0 || strcmp (kind, "bus") == 0)
        buf_printf (line, "%.0f waiting, ", waiting);
    buf_printf (line, "%.0f MB", rss / 1e6);
}

void services_others (const services_t *s, buf_t *line)
{
    services_kind (s, "environment", "groups", line);
    services_kind (s, "reward", NULL, line);
    services_kind (s, "critic", NULL, line);
    services_kind (s, "bus", "in flight", line);
}

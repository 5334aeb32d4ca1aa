/*  tally - see tally.h */
#include "tally.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bus/bus.h"
#include "prom.h"

/*  What is told of which metric of a status. The first of a family's lines has its help. */
typedef struct {
    const char *kind; /* of the services that say it; NULL: all, and their kind is a label */
    const char *said, *name;
    prom_type_t type;
    const char *service; /* label, where one kind speaks of others; or NULL */
    const char *help;
} told_t;

#define SERVICE "quintet_service_"
#define BUS     "quintet_bus_"
#define AGENT   "quintet_agent_"
#define ENV     "quintet_environment_"

static const told_t told[] = {
    {NULL, "cpu_s", SERVICE "cpu_seconds_total", PROM_COUNTER, NULL, "Processor time."},
    {NULL, "rss_bytes", SERVICE "resident_memory_bytes", PROM_GAUGE, NULL, "Resident memory."},
    {NULL, "in_hand", SERVICE "requests_in_hand", PROM_GAUGE, NULL, "Requests being answered."},
    {NULL, "served", SERVICE "requests_served_total", PROM_COUNTER, NULL, "Requests answered."},
    {NULL, "repeated", SERVICE "replies_repeated_total", PROM_COUNTER, NULL,
     "Answers given again to a request that came again."},
    {NULL, "resent", SERVICE "requests_resent_total", PROM_COUNTER, NULL, "Requests sent again."},
    {NULL, "timeouts", SERVICE "timeouts_total", PROM_COUNTER, NULL,
     "Requests that nobody answered by their deadline."},
    {NULL, "events_missed", SERVICE "events_missed_total", PROM_COUNTER, NULL,
     "Events that did not come."},
    {NULL, "events_dropped", SERVICE "events_dropped_total", PROM_COUNTER, NULL,
     "Events that could not be sent."},
    {NULL, "malformed", SERVICE "frames_malformed_total", PROM_COUNTER, NULL,
     "Frames that are none."},
    {NULL, "damaged", SERVICE "frames_damaged_total", PROM_COUNTER, NULL,
     "Frames whose checksum is wrong."},
    {NULL, "bytes_fetched", SERVICE "fetched_bytes_total", PROM_COUNTER, NULL,
     "Bytes of policies fetched."},
    {"bus", "queued/act", BUS "waiting", PROM_GAUGE, "act",
     "Requests that wait for a worker of this service."},
    {"bus", "queued/score", BUS "waiting", PROM_GAUGE, "score", NULL},
    {"bus", "queued/value", BUS "waiting", PROM_GAUGE, "value", NULL},
    {"bus", "queued/learn", BUS "waiting", PROM_GAUGE, "learn", NULL},
    {"bus", "in_flight", BUS "in_flight", PROM_GAUGE, NULL, "Requests that a worker has."},
    {"bus", "workers", BUS "workers", PROM_GAUGE, NULL, "Workers that serve something."},
    {"bus", "connections", BUS "connections", PROM_GAUGE, NULL, "Connections."},
    {"bus", "taps", BUS "taps", PROM_GAUGE, NULL, "Listeners to events."},
    {"bus", "requests", BUS "requests_total", PROM_COUNTER, NULL, "Requests that came."},
    {"bus", "replies", BUS "replies_total", PROM_COUNTER, NULL, "Answers that were passed on."},
    {"bus", "busy", BUS "refused_busy_total", PROM_COUNTER, NULL,
     "Requests refused as a queue was full."},
    {"bus", "expired", BUS "expired_total", PROM_COUNTER, NULL, "Requests whose deadline passed."},
    {"bus", "handed_on", BUS "handed_on_total", PROM_COUNTER, NULL,
     "Requests that a second worker got."},
    {"bus", "worker_deaths", BUS "worker_deaths_total", PROM_COUNTER, NULL,
     "Workers that fell silent."},
    {"bus", "events", BUS "events_total", PROM_COUNTER, NULL, "Events that came."},
    {"bus", "events_lost", BUS "events_lost_total", PROM_COUNTER, NULL,
     "Events that a slow listener did not get."},
    {"bus", "frames_denied", BUS "frames_denied_total", PROM_COUNTER, NULL,
     "Frames refused as their sender may not send them."},
    {"bus", "frames_beyond", BUS "frames_beyond_total", PROM_COUNTER, NULL,
     "Frames dropped as one connection sent too many in a second."},
    {"bus", "object_bytes", BUS "object_bytes", PROM_GAUGE, NULL, "Bytes of policies held."},
    {"agent", "tokens", AGENT "tokens_total", PROM_COUNTER, NULL, "Tokens sampled."},
    {"agent", "prompt_tokens", AGENT "prompt_tokens_total", PROM_COUNTER, NULL,
     "Tokens of prompts computed."},
    {"agent", "busy_s", AGENT "busy_seconds_total", PROM_COUNTER, NULL, "Time spent decoding."},
    {"agent", "requests_decoding", AGENT "requests_decoding", PROM_GAUGE, NULL,
     "Act requests that are decoded."},
    {"agent", "requests_waiting", AGENT "requests_waiting", PROM_GAUGE, NULL,
     "Act requests that an agent has and does not decode yet."},
    {"environment", "groups_in_flight", ENV "groups_in_flight", PROM_GAUGE, NULL,
     "Groups being played."},
    {"environment", "groups_committed", ENV "groups_committed_total", PROM_COUNTER, NULL,
     "Groups played to their end."},
    {"environment", "groups_dead", ENV "groups_dead_total", PROM_COUNTER, NULL,
     "Groups that nobody could play or score."},
    {"environment", "groups_given_up", ENV "groups_given_up_total", PROM_COUNTER, NULL,
     "Groups left to another environment."},
    {"environment", "groups_lost", ENV "groups_lost_total", PROM_COUNTER, NULL,
     "Groups whose lease was lost."},
    {"environment", "busy_s", ENV "busy_seconds_total", PROM_COUNTER, NULL, "Time spent working."},
    {"reward", "episodes_scored", "quintet_reward_episodes_scored_total", PROM_COUNTER, NULL,
     "Episodes scored."},
    {"reward", "requests_waiting", "quintet_reward_requests_waiting", PROM_GAUGE, NULL,
     "Score requests that a scorer has and does not work on yet."}};
#define TOLD (sizeof told / sizeof *told)

/*  Of an instance as it said them last, of a kind since we began. */
typedef struct {
    double value[TOLD], took[BUS_TOOK], took_s;
} totals_t;

typedef struct {
    char name[96];
    uint64_t pid;
    size_t kind;
    int64_t seen_ms;
    totals_t said;
} instance_t;

typedef struct {
    char name[24];
    double restarts;
    totals_t total;
} kind_t;

struct tally {
    pthread_mutex_t lock;
    instance_t *instance[TALLY_INSTANCES]; /* by name */
    size_t instances, kinds;
    kind_t kind[TALLY_KINDS];
};

tally_t *tally_new (void)
{
    tally_t *t = calloc (1, sizeof *t);
    if (t)
        pthread_mutex_init (&t->lock, NULL);
    return t;
}

void tally_destroy (tally_t **self)
{
    tally_t *t = *self;
    if (!t)
        return;
    for (size_t i = 0; i < t->instances; i++)
        free (t->instance[i]);
    pthread_mutex_destroy (&t->lock);
    free (t);
    *self = NULL;
}

/*  ---- statuses ------------------------------------------------------------------------------- */

/*  TALLY_KINDS: there are too many. */
static size_t tally_kind (tally_t *t, const char *name)
{
    size_t k = 0;
    while (k < t->kinds && strcmp (t->kind[k].name, name) != 0)
        k++;
    if (k == t->kinds && k < TALLY_KINDS)
        snprintf (t->kind[t->kinds++].name, sizeof t->kind[k].name, "%s", name);
    return k;
}

static void tally_forget_gone (tally_t *t)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->instances; i++)
        if (clock_ms () - t->instance[i]->seen_ms < TALLY_GONE_MS)
            t->instance[kept++] = t->instance[i];
        else
            free (t->instance[i]);
    t->instances = kept;
}

/*  NULL: there is no room. */
static instance_t *tally_instance (tally_t *t, const char *name)
{
    size_t low = 0, high = t->instances;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp (t->instance[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < t->instances && strcmp (t->instance[low]->name, name) == 0)
        return t->instance[low];
    instance_t *made = t->instances < TALLY_INSTANCES ? calloc (1, sizeof *made) : NULL;
    if (!made)
        return NULL;
    snprintf (made->name, sizeof made->name, "%s", name);
    memmove (&t->instance[low + 1], &t->instance[low],
             (t->instances++ - low) * sizeof *t->instance);
    return t->instance[low] = made;
}

/*  A total that is less than before is of a process that began anew. */
static void tally_grow (double *total, double *said, double value)
{
    *total += value >= *said ? value - *said : value;
    *said = value;
}

static void tally_take (kind_t *kind, instance_t *in, const char *name, double value)
{
    if (!isfinite (value))
        return;
    if (strcmp (name, "took_s") == 0) {
        tally_grow (&kind->total.took_s, &in->said.took_s, value);
    } else if (strncmp (name, "took_ms/", 8) == 0) {
        for (int k = 0; k < BUS_TOOK; k++)
            if (fabs (strtod (name + 8, NULL) - BUS_TOOK_MS (k)) < 1e-6)
                tally_grow (&kind->total.took[k], &in->said.took[k], value);
    } else {
        for (size_t i = 0; i < TOLD; i++)
            if (strcmp (told[i].said, name) == 0 &&
                (!told[i].kind || strcmp (told[i].kind, kind->name) == 0))
                tally_grow (&kind->total.value[i], &in->said.value[i], value);
    }
}

void tally_note (tally_t *t, const wire_event_t *e)
{
    if (e->kind != WIRE_SERVICE_STATUS || !e->service || !*e->service)
        return;
    pthread_mutex_lock (&t->lock);
    size_t k = tally_kind (t, e->service);
    instance_t *in = k < TALLY_KINDS ? tally_instance (t, e->text) : NULL;
    if (in) {
        kind_t *kind = &t->kind[k];
        if (in->pid != e->pid) {
            kind->restarts += in->pid != 0;
            in->said = (totals_t){0};
        }
        in->pid = e->pid;
        in->kind = k;
        in->seen_ms = clock_ms ();
        for (size_t i = 0; i < e->metrics_n; i++)
            tally_take (kind, in, e->metrics[i].name, e->metrics[i].value);
    }
    pthread_mutex_unlock (&t->lock);
}

/*  ---- what is told --------------------------------------------------------------------------- */

static bool tally_speaks (const instance_t *in)
{
    return clock_ms () - in->seen_ms < TALLY_QUIET_MS;
}

static double tally_sum (const tally_t *t, size_t kind, size_t of)
{
    double sum = 0;
    for (size_t i = 0; i < t->instances; i++)
        if (t->instance[i]->kind == kind && tally_speaks (t->instance[i]))
            sum += t->instance[i]->said.value[of];
    return sum;
}

static void tally_print_told (const tally_t *t, size_t of, buf_t *out)
{
    const told_t *what = &told[of];
    if (what->help)
        prom_family (out, what->name, what->type, what->help);
    for (size_t k = 0; k < t->kinds; k++) {
        const kind_t *kind = &t->kind[k];
        if (what->kind && strcmp (what->kind, kind->name) != 0)
            continue;
        const char *service = what->kind ? what->service : kind->name;
        prom_sample (out, what->name, service ? (prom_label_t[]){{"service", service}, {0}} : NULL,
                     what->type == PROM_COUNTER ? kind->total.value[of] : tally_sum (t, k, of));
    }
}

static void tally_print_times (const kind_t *kind, buf_t *out)
{
    double n = 0;
    char le[32];
    for (int k = 0; k < BUS_TOOK; k++) {
        n += kind->total.took[k];
        snprintf (le, sizeof le, "%g", BUS_TOOK_MS (k) / 1e3);
        prom_sample (
            out, SERVICE "request_duration_seconds_bucket",
            (prom_label_t[]){{"service", kind->name}, {"le", k + 1 < BUS_TOOK ? le : "+Inf"}, {0}},
            n);
    }
    prom_label_t labels[] = {{"service", kind->name}, {0}};
    prom_sample (out, SERVICE "request_duration_seconds_sum", labels, kind->total.took_s);
    prom_sample (out, SERVICE "request_duration_seconds_count", labels, n);
}

static void tally_print_instances (const tally_t *t, bool silent, buf_t *out)
{
    for (size_t k = 0; k < t->kinds; k++) {
        double n = 0;
        for (size_t i = 0; i < t->instances; i++)
            n += t->instance[i]->kind == k && tally_speaks (t->instance[i]) != silent;
        prom_sample (out, silent ? SERVICE "silent" : SERVICE "instances",
                     (prom_label_t[]){{"service", t->kind[k].name}, {0}}, n);
    }
}

void tally_print (tally_t *t, buf_t *out)
{
    pthread_mutex_lock (&t->lock);
    tally_forget_gone (t);
    prom_family (out, SERVICE "instances", PROM_GAUGE, "Instances that tell their status.");
    tally_print_instances (t, false, out);
    prom_family (out, SERVICE "silent", PROM_GAUGE,
                 "Instances that told their status within a minute, and do not any more.");
    tally_print_instances (t, true, out);
    prom_family (out, SERVICE "restarts_total", PROM_COUNTER, "Starts again under the same name.");
    for (size_t k = 0; k < t->kinds; k++)
        prom_sample (out, SERVICE "restarts_total",
                     (prom_label_t[]){{"service", t->kind[k].name}, {0}}, t->kind[k].restarts);
    prom_family (out, SERVICE "request_duration_seconds", PROM_HISTOGRAM,
                 "From a request's coming to a service to its answer.");
    for (size_t k = 0; k < t->kinds; k++)
        tally_print_times (&t->kind[k], out);
    for (size_t i = 0; i < TOLD; i++)
        tally_print_told (t, i, out);
    pthread_mutex_unlock (&t->lock);
}

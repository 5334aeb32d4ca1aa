/*  actors - see actors.h */
#include "actors.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker.h"
#include "bus/address.h"
#include "bus/czmq_clean.h"
#include "taps.h"
#include "vault.h"

struct actors {
    address_t address, reached; /* to bind, and to connect to */
    guard_t *guard;             /* NULL: there are no keys */
    broker_t *broker;
    vault_t *vault;
    taps_t *taps;
    zactor_t *threads[3];
    size_t threads_n;
};

/*  ZeroMQ ends the process when it finds no descriptor where it cannot do without; so look before.
 *  *peers: how many there are enough for. */
static int actors_check_files (size_t *peers, err_t *err)
{
    long most = sysconf (_SC_OPEN_MAX);
    size_t files = most > 0 ? (size_t) most : SIZE_MAX / 2;
    const size_t least = ACTORS_FILES_MIN;
    if (files < least)
        return err_set (
            err, ERR_CONFIG,
            "%zu open files are allowed, and the bus needs at least %zu (%d for itself, "
            "%d for each service): raise the limit, as by ulimit -n %zu",
            files, least, ACTORS_OWN_FILES, ACTORS_PEER_FILES, 4 * least);
    /* Some more connections may come before the one too many is ended: a quarter is kept for
       those. */
    size_t spare = files / 4 < ACTORS_OWN_FILES ? ACTORS_OWN_FILES : files / 4;
    *peers = (files - spare) / ACTORS_PEER_FILES;
    *peers = *peers < PEERS_MAX ? *peers : PEERS_MAX;
    return 0;
}

/*  zactor_new returns when the actor has said that it is ready. */
static int actors_start (actors_t *a, zactor_fn *run, void *actor, err_t *err)
{
    zactor_t *thread = zactor_new (run, actor);
    if (!thread)
        return err_set (err, ERR_LIMIT, "no thread for an actor");
    a->threads[a->threads_n++] = thread;
    return 0;
}

/*  All sockets are bound before the first thread starts: a second bus on the same address fails
 *  here, without having answered anybody. */
static int actors_open (actors_t *a, uint64_t memory, size_t peers, err_t *err)
{
    uint64_t boot;
    randombytes_buf (&boot, sizeof boot);
    boot |= 1; /* 0 would mean that there is none */
    a->broker = broker_new (a->address.endpoint[ADDRESS_REQUESTS], boot, peers, a->guard, err);
    if (!a->broker)
        return -1;
    a->taps = taps_new (a->address.endpoint[ADDRESS_PUBLISH],
                        a->address.endpoint[ADDRESS_SUBSCRIBE], peers, a->guard, err);
    if (!a->taps)
        return -1;
    vault_options_t options = {.endpoint = a->address.endpoint[ADDRESS_POLICIES],
                               .publish = a->reached.endpoint[ADDRESS_PUBLISH],
                               .boot = boot,
                               .bytes_max = memory,
                               .peers_max = peers,
                               .guard = a->guard};
    a->vault = vault_new (&options, err);
    if (!a->vault)
        return -1;
    return actors_start (a, broker_actor, a->broker, err) == 0 &&
                   actors_start (a, taps_actor, a->taps, err) == 0 &&
                   actors_start (a, vault_actor, a->vault, err) == 0
               ? 0
               : -1;
}

/*  Each socket turns away who has no certificate, or nobody hears that the bus is ready. */
static int actors_test (const actors_t *a, err_t *err)
{
    for (int i = 0; i < ADDRESS_COUNT; i++)
        if (guard_test (a->guard, a->reached.endpoint[i], err) != 0)
            return -1;
    return 0;
}

actors_t *actors_new_with (const actors_options_t *options, err_t *err)
{
    size_t peers = 0;
    const keys_t *keys = options->keys;
    uint64_t pages = (uint64_t) sysconf (_SC_PHYS_PAGES), size = (uint64_t) sysconf (_SC_PAGESIZE);
    uint64_t memory = options->memory ? options->memory : pages / 4 * 3 * size;
    actors_t *a = calloc (1, sizeof *a);
    if (!a) {
        err_set (err, ERR_LIMIT, "no memory for the bus");
        return NULL;
    }
    zsys_handler_set (NULL); /* signals are the service's, not CZMQ's */
    if (actors_check_files (&peers, err) != 0 ||
        address_parse (options->address, true, &a->address, err) != 0 ||
        address_parse (options->address, false, &a->reached, err) != 0 ||
        (keys ? !(a->guard = guard_new (keys, &options->limits, err))
              : guard_none (&options->limits, err) != 0) ||
        actors_open (a, memory, peers, err) != 0 || actors_test (a, err) != 0)
        actors_destroy (&a);
    return a;
}

actors_t *actors_new (const char *address, const keys_t *keys, err_t *err)
{
    return actors_new_with (&(actors_options_t){.address = address, .keys = keys}, err);
}

/*  Socket files of ours are removed; ZeroMQ leaves them when the process ends early. */
static void actors_remove_files (const actors_t *a)
{
    for (int i = 0; i < ADDRESS_COUNT; i++)
        if (strncmp (a->address.endpoint[i], "ipc://", 6) == 0)
            unlink (a->address.endpoint[i] + 6);
}

/*  Threads first, the last started first: none may look at what is freed below. */
void actors_destroy (actors_t **self)
{
    actors_t *a = *self;
    if (!a)
        return;
    bool bound = a->threads_n > 0;
    while (a->threads_n)
        zactor_destroy (&a->threads[--a->threads_n]);
    broker_destroy (&a->broker);
    vault_destroy (&a->vault);
    taps_destroy (&a->taps);
    guard_destroy (&a->guard);
    if (bound)
        actors_remove_files (a);
    free (a);
    *self = NULL;
}

void actors_status (const actors_t *a, void (*metric) (void *to, const char *name, double value),
                    void *to)
{
    broker_status_t b;
    vault_status_t v;
    taps_status_t t;
    guard_status_t g;
    broker_status (a->broker, &b);
    vault_status (a->vault, &v);
    taps_status (a->taps, &t);
    guard_status (a->guard, &g);
    metric (to, "requests", (double) b.dispatch.requests);
    metric (to, "replies", (double) b.dispatch.replies);
    metric (to, "busy", (double) b.busy);
    metric (to, "expired", (double) b.dispatch.expired);
    metric (to, "handed_on", (double) b.dispatch.handed_on);
    metric (to, "worker_deaths", (double) b.dispatch.deaths);
    metric (to, "unroutable", (double) b.unroutable);
    metric (to, "impostors", (double) b.impostors);
    metric (to, "frames_malformed", (double) (b.malformed + v.malformed + t.malformed));
    metric (to, "frames_damaged", (double) (b.damaged + v.damaged));
    metric (to, "connections", (double) (b.connections + v.connections + t.connections));
    metric (to, "peers", (double) b.peers);
    metric (to, "services", (double) b.dispatch.services);
    metric (to, "workers", (double) b.dispatch.workers);
    metric (to, "queued", (double) b.dispatch.queued);
    for (size_t k = 0; k < DISPATCH_KNOWN; k++) {
        char name[32];
        snprintf (name, sizeof name, "queued/%s", dispatch_known[k]);
        metric (to, name, (double) b.dispatch.queued_for[k]);
    }
    metric (to, "in_flight", (double) b.dispatch.in_flight);
    metric (to, "events", (double) t.events);
    metric (to, "events_lost", (double) t.lost);
    metric (to, "events_kept_bytes", (double) t.kept_bytes);
    metric (to, "taps", (double) t.taps);
    metric (to, "subscriptions", (double) t.prefixes);
    metric (to, "subscriptions_refused", (double) t.refused);
    metric (to, "objects", (double) v.objects);
    metric (to, "object_bytes", (double) v.bytes);
    metric (to, "unfinished_bytes", (double) v.unfinished_bytes);
    metric (to, "manifests", (double) v.manifests);
    metric (to, "chunks_in", (double) v.chunks_in);
    metric (to, "chunks_out", (double) v.chunks_out);
    metric (to, "refused", (double) v.refused);
    metric (to, "certificates", (double) g.certificates);
    metric (to, "frames_revoked", (double) g.revoked);
    metric (to, "frames_denied", (double) g.denied);
    metric (to, "frames_beyond", (double) g.beyond);
}

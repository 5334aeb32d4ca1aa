/*  actors - see actors.h */
#include "actors.h"

#include <pthread.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "broker.h"
#include "bus/address.h"
#include "bus/endpoint.h"
#include "bus/envelope.h"
#include "vault.h"

#define EVENT_HWM                                                                                  \
    4096 /* events that wait for one slow tap: with ENVELOPE_EVENT_MAX, 272 MiB at most */

struct actors {
    void *context;
    address_t address;
    broker_t *broker;
    vault_t *vault;
    void *publish, *subscribe; /* XSUB where publishers connect, XPUB where taps do */
    pthread_t thread[3];
    size_t threads;
};

static void *run_broker (void *actors)
{
    broker_run (((actors_t *) actors)->broker);
    return NULL;
}

static void *run_vault (void *actors)
{
    vault_run (((actors_t *) actors)->vault);
    return NULL;
}

static void *run_events (void *actors)
{
    actors_t *a = actors;
    zmq_proxy (a->publish, a->subscribe, NULL);
    return NULL;
}

static int bind_events (actors_t *a, err_t *err)
{
    a->publish = zmq_socket (a->context, ZMQ_XSUB);
    a->subscribe = zmq_socket (a->context, ZMQ_XPUB);
    if (!a->publish || !a->subscribe)
        return err_set (err, ERR_LIMIT, "no memory for the events actor");
    endpoint_options_t options = {.hwm = EVENT_HWM, .payload_max = ENVELOPE_EVENT_MAX};
    if (endpoint_bind (a->publish, a->address.endpoint[ADDRESS_PUBLISH], &options, err) != 0 ||
        endpoint_bind (a->subscribe, a->address.endpoint[ADDRESS_SUBSCRIBE], &options, err) != 0)
        return -1;
    return zmq_bind (a->publish, "inproc://publish") == 0
               ? 0
               : err_set (err, ERR_INTERNAL, "inproc://publish: %s", zmq_strerror (zmq_errno ()));
}

static int start_threads (actors_t *a, err_t *err)
{
    void *(*const runs[]) (void *) = {run_broker, run_vault, run_events};
    for (size_t i = 0; i < 3; i++) {
        int rc = pthread_create (&a->thread[a->threads], NULL, runs[i], a);
        if (rc != 0)
            return err_set (err, ERR_LIMIT, "no thread for an actor: %s", strerror (rc));
        a->threads++;
    }
    return 0;
}

actors_t *actors_new (const char *address, err_t *err)
{
    actors_t *a = calloc (1, sizeof *a);
    if (!a || !(a->context = zmq_ctx_new ())) {
        free (a);
        err_set (err, ERR_LIMIT, "no memory for the bus");
        return NULL;
    }
    zmq_ctx_set (a->context, ZMQ_MAX_SOCKETS, 64);
    uint64_t boot;
    randombytes_buf (&boot, sizeof boot);
    boot |= 1;
    int rc = address_parse (address, true, &a->address, err);
    if (rc == 0)
        a->broker = broker_new (a->context, a->address.endpoint[ADDRESS_REQUESTS], boot, err);
    if (a->broker && bind_events (a, err) == 0)
        a->vault = vault_new (a->context, a->address.endpoint[ADDRESS_POLICIES], "inproc://publish",
                              boot, err);
    if (!a->vault || start_threads (a, err) != 0)
        actors_destroy (&a);
    return a;
}

/*  Socket files of ours are removed; ZeroMQ leaves them when the process ends early. */
static void remove_files (const actors_t *a)
{
    for (int i = 0; i < ADDRESS_COUNT; i++)
        if (strncmp (a->address.endpoint[i], "ipc://", 6) == 0)
            unlink (a->address.endpoint[i] + 6);
}

void actors_destroy (actors_t **self)
{
    actors_t *a = *self;
    if (!a)
        return;
    bool bound = a->threads > 0;
    zmq_ctx_shutdown (a->context);
    for (size_t i = 0; i < a->threads; i++)
        pthread_join (a->thread[i], NULL);
    broker_destroy (&a->broker);
    vault_destroy (&a->vault);
    if (a->publish)
        zmq_close (a->publish);
    if (a->subscribe)
        zmq_close (a->subscribe);
    zmq_ctx_term (a->context);
    if (bound)
        remove_files (a);
    free (a);
    *self = NULL;
}

void actors_status (const actors_t *a, void (*metric) (void *to, const char *name, double value),
                    void *to)
{
    broker_status_t b;
    vault_status_t v;
    broker_status (a->broker, &b);
    vault_status (a->vault, &v);
    metric (to, "requests", (double) b.requests);
    metric (to, "replies", (double) b.replies);
    metric (to, "busy", (double) b.busy);
    metric (to, "expired", (double) b.expired);
    metric (to, "worker_deaths", (double) b.deaths);
    metric (to, "unroutable", (double) b.unroutable);
    metric (to, "frames_malformed", (double) (b.malformed + v.malformed));
    metric (to, "frames_damaged", (double) (b.damaged + v.damaged));
    metric (to, "peers", (double) b.peers);
    metric (to, "services", (double) b.services);
    metric (to, "workers", (double) b.workers);
    metric (to, "queued", (double) b.queued);
    metric (to, "in_flight", (double) b.in_flight);
    metric (to, "objects", (double) v.objects);
    metric (to, "object_bytes", (double) v.bytes);
    metric (to, "manifests", (double) v.manifests);
    metric (to, "chunks_in", (double) v.chunks_in);
    metric (to, "chunks_out", (double) v.chunks_out);
    metric (to, "refused", (double) v.refused);
}

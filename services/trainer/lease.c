/*  lease - see lease.h */
#include "lease.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "store/store.h"

#define LEASE_RENEW_MS  2000 /* between renewals: five of them fit into the lease */
#define LEASE_ANSWER_MS 1500 /* for one renewal */

/*  Only `ends` is shared under the lock, and `lost` as an atomic; the store belongs to the thread
 *  as long as it runs. */
struct lease {
    store_t *store;
    char run[STORE_RUN_MAX + 1];
    uint64_t epoch;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool started, ends; /* ends: under the lock */
    atomic_bool lost;
};

/*  Waits for the next renewal. False: the lease is to end. */
static bool lease_wait (lease_t *lease)
{
    struct timespec until;
    clock_gettime (CLOCK_MONOTONIC, &until);
    until.tv_sec += LEASE_RENEW_MS / 1000;
    pthread_mutex_lock (&lease->lock);
    /* Woken for nothing it waits on for the same point in time, so that delays no renewal. */
    while (!lease->ends && pthread_cond_timedwait (&lease->wake, &lease->lock, &until) != ETIMEDOUT)
        continue;
    bool goes_on = !lease->ends;
    pthread_mutex_unlock (&lease->lock);
    return goes_on;
}

/*  Ends when the lease is lost: nothing can be renewed then. The loop asks lease_lost between its
 *  steps, and stops the run. */
static void *lease_run (void *context)
{
    lease_t *lease = context;
    while (!atomic_load (&lease->lost) && lease_wait (lease)) {
        err_t err = {0};
        if (store_run_renew (lease->store, lease->run, lease->epoch, LEASE_MS, &err) == 0)
            continue;
        /* The only answer that ends the lease: any other failure does not say who has the run. */
        if (err.code == ERR_STALE)
            atomic_store (&lease->lost, true);
        else
            log_err ("lease", &err); /* Redis decides at the next call that changes something */
    }
    return NULL;
}

lease_t *lease_start (const char *redis, const char *keys, const char *run, uint64_t epoch,
                      err_t *err)
{
    lease_t *lease = calloc (1, sizeof *lease);
    if (!lease) {
        err_set (err, ERR_LIMIT, "no memory for the lease on run %s", run);
        return NULL;
    }
    memcpy (lease->run, run, strlen (run) + 1);
    lease->epoch = epoch;
    /* A wall clock that is set would make a renewal come too late. */
    pthread_condattr_t monotonic;
    pthread_condattr_init (&monotonic);
    pthread_condattr_setclock (&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init (&lease->lock, NULL);
    pthread_cond_init (&lease->wake, &monotonic);
    pthread_condattr_destroy (&monotonic);
    lease->store = store_new (redis, keys, err);
    if (lease->store) {
        /* Shorter than the time between two renewals, so that a Redis that hangs costs one of them
           and not the lease. */
        store_deadline (lease->store, LEASE_ANSWER_MS);
        lease->started = pthread_create (&lease->thread, NULL, lease_run, lease) == 0;
        if (!lease->started)
            err_set (err, ERR_LIMIT, "no thread for the lease on run %s", run);
    }
    if (!lease->started)
        lease_end (&lease);
    return lease;
}

/*  Waits for a renewal under way, LEASE_ANSWER_MS at most, before its connection is closed. */
void lease_end (lease_t **self)
{
    lease_t *lease = *self;
    if (!lease)
        return;
    pthread_mutex_lock (&lease->lock);
    lease->ends = true;
    pthread_cond_signal (&lease->wake);
    pthread_mutex_unlock (&lease->lock);
    /* May be asked for before the thread ever ran: lease_start cleans up through here. */
    if (lease->started)
        pthread_join (lease->thread, NULL);
    store_destroy (&lease->store);
    pthread_cond_destroy (&lease->wake);
    pthread_mutex_destroy (&lease->lock);
    free (lease);
    *self = NULL;
}

bool lease_lost (const lease_t *lease)
{
    return atomic_load (&lease->lost);
}

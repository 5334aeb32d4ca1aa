/*  workers - threads that score episodes, so that the service's loop never waits for one.
 *
 *      workers_t *workers = workers_new (4, command, modules, wake, context, &err);
 *      workers_add (workers, request_id, arena, request);   takes the request over
 *      scored_t *done = workers_take (workers);             a finished request, or NULL
 *      scored_free (&done);
 *      workers_destroy (&workers);
 *
 *  The episodes of a request are spread over all threads. What a scorer said is remembered by a
 *  hash of all that it was said of: teams repeat themselves, and a request that was given up half
 *  done and comes again finds the answers that were there already.
 */
#ifndef QUINTET_REWARD_WORKERS_H
#define QUINTET_REWARD_WORKERS_H

#include "base/arena.h"
#include "base/err.h"
#include "task/reward.h"
#include "wire/wire.h"

typedef struct {
    uint64_t id;    /* the bus's */
    arena_t *arena; /* holds request */
    const wire_score_request_t *request;
    reward_t *rewards; /* one per episode */
    size_t next, done; /* episodes handed out, episodes scored */
    bool cancelled, failed;
    err_t err;
} scored_t;

typedef struct workers workers_t;

/*  command, modules: see scorer.h; borrowed. wake (context) is called from a worker when a request
 *  is finished. */
workers_t *workers_new (size_t n, const char *command, const char *modules,
                        void (*wake) (void *context), void *context, err_t *err);
/*  Waits for what is being scored. */
void workers_destroy (workers_t **workers);

/*  ERR_CONFIG: the request counts on a scorer that this service does not have. */
int workers_check (const workers_t *workers, const wire_score_request_t *request, err_t *err);
int workers_add (workers_t *workers, uint64_t id, arena_t *arena,
                 const wire_score_request_t *request);
void workers_cancel (workers_t *workers, uint64_t id);
/*  A finished request, or NULL. */
scored_t *workers_take (workers_t *workers);
void scored_free (scored_t **scored);

typedef struct {
    uint64_t scored, remembered;
    size_t waiting;
} workers_status_t;
workers_status_t workers_status (workers_t *workers);

#endif

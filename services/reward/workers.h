/*  workers - threads that score episodes, so that the service's loop never waits for one.
 *
 *      workers_options_t options = {.n = 4, .command = command, .modules = modules, .judge = "",
 *                                   .passages = ""};
 *      workers_t *workers = workers_new (&options, wake, context, &err);
 *      workers_add (workers, request_id, arena, request, &err);   takes the request over
 *      scored_t *done = workers_take (workers);             a finished request, or NULL
 *      scored_free (&done);
 *      workers_destroy (&workers);
 *
 *  The episodes of a request are spread over all threads. No thread waits for a judge: while it is
 *  asked about one episode the next ones are scored. What a scorer said is remembered by a
 *  hash of all that it was said of: teams repeat themselves, and a request that was given up half
 *  done and comes again finds the answers that were there already.
 */
#ifndef QUINTET_REWARD_WORKERS_H
#define QUINTET_REWARD_WORKERS_H

#include "base/arena.h"
#include "base/err.h"
#include "task/grade.h"
#include "task/reward.h"
#include "wall.h"
#include "wire/wire.h"

typedef struct {
    uint64_t id;    /* the bus's */
    arena_t *arena; /* holds request */
    const wire_score_request_t *request;
    grade_t *grade;    /* what a judge is asked besides, or NULL */
    reward_t *rewards; /* one per episode */
    size_t next, done; /* episodes handed out, episodes scored */
    size_t unscored;   /* of these, those that a judge named no number for */
    bool cancelled, failed;
    err_t err;
} scored_t;

typedef struct workers workers_t;

typedef struct {
    size_t n;                      /* threads */
    const char *command, *modules; /* see scorer.h; borrowed, as are the next two */
    wall_t wall;                   /* see wall.h */
    const char *judge;             /* see grader.h */
    const char *passages;          /* see library.h */
} workers_options_t;

/*  wake (context) is called from another thread when a request is finished. ERR_CONFIG: no such
 *  judge can be asked. */
workers_t *workers_new (const workers_options_t *options, void (*wake) (void *context),
                        void *context, err_t *err);
/*  Waits for the sandbox, and gives up what a program or a judge has not answered. */
void workers_destroy (workers_t **workers);

/*  ERR_CONFIG: the request counts on a scorer that this service does not have. */
int workers_check (const workers_t *workers, const wire_score_request_t *request, err_t *err);
/*  ERR_BUSY: too many wait already; ERR_INPUT: its judge is none. When it fails the arena is still
 *  the caller's. */
int workers_add (workers_t *workers, uint64_t id, arena_t *arena,
                 const wire_score_request_t *request, err_t *err);
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

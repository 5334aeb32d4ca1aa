/*  store - the shared episode state in Redis: runs, steps, groups, leases.
 *
 *      store_t *store = store_new ("unix:/run/x/redis.sock", "", &err);
 *      store_claim (store, "environment-1", 10000, &claim, &err);
 *      store_commit (store, &claim, result, size, &err);
 *      store_destroy (&store);
 *
 *  Every transition is one Redis function (functions.lua): atomic, idempotent, checked against a
 *  fence. Payloads are opaque bytes. A lost connection is re-made and the call repeated until its
 *  deadline; ERR_NETWORK names the address after that, ERR_STALE says that a fence or an epoch is
 *  no longer valid, ERR_MISSING that Redis knows no such run or step (it was released, dropped, or
 *  Redis lost its data). Run names are letters, digits and "._-". One thread uses a store_t.
 *  ERR_BUSY: Redis refuses for now (it starts, is full, read-only, locked). A deadline is stretched
 *  where Redis answers more slowly than that.
 */
#ifndef QUINTET_STORE_STORE_H
#define QUINTET_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define STORE_RUN_MAX 64
#define STORE_KEPT    2 /* committed steps whose groups are kept for looking at */

typedef struct store store_t;

/*  address: "unix:PATH" or "tcp:HOST:PORT" ("tcp://HOST:PORT" too). keys: the folder of a
 *  certificate with an account for Redis (accounts.h), or "". Loads the functions; waits until
 *  Redis answers, at most 5 s. */
store_t *store_new (const char *address, const char *keys, err_t *err);
void store_destroy (store_t **store);
/*  How long each call may take, reconnecting included; default 5000. */
void store_deadline (store_t *store, int64_t ms);
/*  Changes when Redis was restarted: part of every fence. */
int store_boot (store_t *store, char boot[41], err_t *err);

/*  ---- the trainer's side --------------------------------------------------------------------- */

/*  Takes the run: a new epoch, greater than all before; older trainers become stale. Fails with
 *  ERR_BUSY while another holder's lease lives. record: what the run is (opaque, kept). */
int store_run_acquire (store_t *store, const char *run, const char *holder, int64_t lease_ms,
                       const void *record, size_t size, uint64_t *epoch, err_t *err);
int store_run_renew (store_t *store, const char *run, uint64_t epoch, int64_t lease_ms, err_t *err);
/*  Deletes every key of the run; a run that is not there is fine. */
int store_run_release (store_t *store, const char *run, uint64_t epoch, err_t *err);

typedef struct {
    const void *data;
    size_t size;
} store_bytes_t;

/*  A step is (run, phase, step); phases are small numbers. Opening an open step with the same
 *  content is a success, with other content ERR_INPUT, opening a committed one ERR_STALE. Groups
 *  are numbered from 0 in the step. */
int store_step_open (store_t *store, const char *run, uint64_t epoch, unsigned phase, uint64_t step,
                     const store_bytes_t *groups, size_t n, err_t *err);

typedef struct {
    size_t pending, leased, committed, dead;
} store_status_t;
int store_step_status (store_t *store, const char *run, unsigned phase, uint64_t step,
                       store_status_t *status, err_t *err);

/*  Results of committed groups, in id order, one call each: each (context, group, data, size).
 *  Dead ones come with data NULL and the reason in reason. Stops when each returns non-zero.
 *  ERR_BUSY: a group is not finished. */
typedef int (*store_each_fn) (void *context, uint64_t group, const void *data, size_t size,
                              const char *reason);
int store_step_groups (store_t *store, const char *run, unsigned phase, uint64_t step,
                       store_each_fn each, void *context, err_t *err);
/*  The step is trained: its groups are dropped, except those of the last STORE_KEPT steps of its
 *  phase. ERR_INPUT while it has unfinished groups. */
int store_step_commit (store_t *store, const char *run, uint64_t epoch, unsigned phase,
                       uint64_t step, err_t *err);
/*  On resume: forgets every step > step of every phase. */
int store_step_drop_after (store_t *store, const char *run, uint64_t epoch, uint64_t step,
                           err_t *err);

/*  ---- the environment's side ----------------------------------------------------------------- */

typedef struct {
    char run[STORE_RUN_MAX + 1];
    unsigned phase;
    uint64_t step, group;
    uint64_t fence_epoch, fence_counter;
    buf_t payload; /* the group as opened; free with buf_free */
} store_claim_t;

/*  1: claimed one pending (or expired) group of any run, lowest (step, group) first, fairly over
 *  runs; 0: none. Runs whose trainer's lease ended are left alone. A lease ends for its holder
 *  when somebody else claims the group, not before. */
int store_claim (store_t *store, const char *holder, int64_t lease_ms, store_claim_t *claim,
                 err_t *err);
int store_renew (store_t *store, const store_claim_t *claim, int64_t lease_ms, err_t *err);
/*  Writes what a turn added to its episodes; checked against the fence. */
int store_turn (store_t *store, const store_claim_t *claim, unsigned turn, const void *data,
                size_t size, err_t *err);
/*  ERR_STALE: somebody else has it or the step is closed. */
int store_commit (store_t *store, const store_claim_t *claim, const void *data, size_t size,
                  err_t *err);
/*  A failure that is a function of content: the group is dead-lettered with the reason. */
int store_dead (store_t *store, const store_claim_t *claim, const char *reason, err_t *err);
/*  A failure of the machinery: pending again. tries: how often that happened so far. */
int store_giveup (store_t *store, const store_claim_t *claim, const char *reason, uint64_t *tries,
                  err_t *err);

/*  Gives back every group that a process of this name holds: for one that starts under the name of
 *  a dead one. n: how many. */
int store_orphans (store_t *store, const char *holder, uint64_t *n, err_t *err);

/*  ---- looking -------------------------------------------------------------------------------- */

/*  The event log has a maximum length. */
int store_log (store_t *store, const char *run, const char *event, const char *text, err_t *err);

#endif

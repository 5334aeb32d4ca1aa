/*  svc - the run time that every service shares: arguments, bus, signals, status, the one loop.
 *
 *      static const svc_t service = {.name = "reward", .open = open_it, .close = close_it,
 *                                    .routes = {{"score", on_score}}};
 *      int main (int argc, char **argv) { return svc_main (&service, argc, argv); }
 *
 *  quintet-NAME [--bus ADDRESS] [--redis ADDRESS] [--keys DIR] [--name NAME] [--threads N]
 *               [--KEY VALUE ...] [--health] [--version] [--help]
 *  Each option also comes from the environment: QUINTET_BUS, QUINTET_REDIS, QUINTET_KEYS,
 *  QUINTET_NAME, QUINTET_THREADS, QUINTET_<KEY>. The loop takes one item from the bus at a time,
 *  calls its route, and calls work () whenever there is nothing to take (or always, when work ()
 *  said it has more to do). SIGINT and SIGTERM end the loop within 100 ms; a second one ends the
 *  process. Exit status: 0 ended as asked, 1 failed (may be restarted), 78 (EX_CONFIG) wrong
 *  arguments, configuration or data, 74 (EX_IOERR) a full disk (never restarted), 75 (EX_TEMPFAIL)
 *  a deadline passed, or the bus has no room, for which a service without a CONFIG waits. Why it
 *  failed is logged, and written to the file descriptor QUINTET_LAST_WORDS where there is one: a
 *  supervisor can tell it even when no log can be written.
 */
#ifndef QUINTET_SVC_SVC_H
#define QUINTET_SVC_SVC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "bus/bus.h"
#include "svc/args.h"

#define SVC_EXIT_CONFIG 78
#define SVC_EXIT_FULL   74
#define SVC_EXIT_LATE   75
#define SVC_OPTIONS_MAX 12
#define SVC_ROUTES_MAX  8

typedef struct svc_run svc_run_t; /* a running service */

typedef struct {
    const char *service; /* request route: served on the bus with svc_t.credit; others: see kind */
    void (*handle) (svc_run_t *run, const bus_item_t *item);
} svc_route_t;

typedef struct {
    const char *name;       /* "reward" */
    const char *about;      /* a few lines for --help: what it does and an example */
    const char *positional; /* "CONFIG", or NULL; see args.h */
    bool redis;             /* needs --redis */
    size_t credit;          /* requests that it holds at once, per route */
    size_t files;           /* descriptors that it needs; 0: 64. Fewer are a wrong configuration */
    const char *(*numerics) (void); /* numeric path, told to the bus; NULL: does not matter */
    args_option_t options[SVC_OPTIONS_MAX]; /* besides the common ones */
    svc_route_t routes[SVC_ROUTES_MAX];
    /*  All may be NULL. open: sets *state; close frees it. on_item: replies, objects, events, peer.
        work: one bounded piece of work (at most ~10 ms where latency matters); returns how many ms
        may pass until it wants to be called again (0: at once; -1: only after the next item). */
    int (*open) (svc_run_t *run, void **state, err_t *err);
    void (*close) (svc_run_t *run, void **state);
    void (*on_item) (svc_run_t *run, const bus_item_t *item);
    int (*work) (svc_run_t *run);
    /*  Appends metrics for the service.status event, published twice a second. */
    void (*status) (svc_run_t *run, void (*metric) (void *to, const char *name, double value),
                    void *to);
    /*  What it is busy with, for the same event: one word, a constant. */
    const char *(*doing) (const svc_run_t *run);
    /*  There is a connection to a bus: after open, and whenever it is made anew. */
    int (*joined) (svc_run_t *run, err_t *err);
    /*  The bus does not let it in, and why: true, it goes on without one, by work () alone, with a
        svc_bus that is NULL, until the bus is asked again some seconds later; false or NULL, it
        ends. */
    bool (*refused) (svc_run_t *run, const err_t *why);
} svc_t;

int svc_main (const svc_t *service, int argc, char **argv);

/*  For handlers. */
void *svc_state (const svc_run_t *run);
bus_t *svc_bus (const svc_run_t *run);
pool_t *svc_pool (svc_run_t *run); /* of --threads threads, made at the first call */
const char *svc_redis (const svc_run_t *run);
const char *svc_name (const svc_run_t *run);     /* this instance: "agent-1" */
const keys_t *svc_keys (const svc_run_t *run);   /* of --keys; NULL: none */
const char *svc_keys_dir (const svc_run_t *run); /* the folder; "": none */
const args_t *svc_args (const svc_run_t *run);
void svc_stop (svc_run_t *run, int exit_status); /* ends the loop */
/*  Logs the error, leaves it as the last words, and ends the loop with the status that fits. */
void svc_fail (svc_run_t *run, const err_t *err);
void svc_tell (svc_run_t *run);           /* the next status goes out at once */
bool svc_stopping (const svc_run_t *run); /* any thread; for long computations */

#endif

/*  monitor - what the files of the service share.
 *
 *      monitor.c   hears the bus, looks at folders, tells browsers
 *      api.c       what a browser asks for
 *      scrape.c    what Prometheus asks for
 */
#ifndef QUINTET_MONITOR_MONITOR_H
#define QUINTET_MONITOR_MONITOR_H

#include <pthread.h>

#include "base/arena.h"
#include "base/fs.h"
#include "http/web.h"
#include "bodies.h"
#include "runs.h"
#include "svc/svc.h"
#include "tally.h"
#include "watch/rows.h"

typedef struct {
    web_t *web;
    runs_t *runs;
    tally_t *tally;
    arena_t *arena; /* of one event */
    bodies_t kept;  /* numbers of runs; of the web's thread */
    char folder[FS_PATH_MAX];
    int64_t looked_ms, told_ms;
    char refused[ERR_TEXT_MAX]; /* why the bus does not let us in; "": it does, or is not there */
    pthread_mutex_t lock;       /* of what follows */
    rows_t rows;
    uint64_t events, lost; /* that came, and that did not */
    int64_t heard_ms;      /* the last; 0: none */
} monitor_t;

/*  services/monitor/monitor.c */
int monitor_open (svc_run_t *run, void **state, err_t *err);
void monitor_close (svc_run_t *run, void **state);
void monitor_on_item (svc_run_t *run, const bus_item_t *item);
int monitor_work (svc_run_t *run);
int monitor_joined (svc_run_t *run, err_t *err);
bool monitor_refused (svc_run_t *run, const err_t *why);
void monitor_status (svc_run_t *run, void (*metric) (void *to, const char *name, double value),
                     void *to);

/*  services/monitor/api.c: a web_fn, of a monitor_t. */
void api_answer (void *monitor, const web_request_t *request, web_answer_t *answer);
/*  services/monitor/scrape.c */
void scrape_answer (monitor_t *monitor, const web_request_t *request, web_answer_t *answer);

/*  services/monitor/pages.c: the files of page/. */
extern const web_page_t pages[];

#endif

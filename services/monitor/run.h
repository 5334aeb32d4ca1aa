/*  run - one run: what its folder holds, or what it tells on the bus. Private to runs.c
 *
 *      run_t *run = run_new ("coding");
 *      run_look (run, "runs/coding");                     its folder
 *      run_note (run, event);                             what its trainer says
 *      run_destroy (&run);
 */
#ifndef QUINTET_MONITOR_RUN_H
#define QUINTET_MONITOR_RUN_H

#include <time.h>

#include "base/fs.h"
#include "tail.h"
#include "places.h"
#include "runs.h"
#include "watch/summary.h"

typedef struct {
    char name[RUNS_NAME], id[64]; /* id: on the bus, "": was not there */
    char dir[FS_PATH_MAX];        /* "": on the bus alone */
    char told[FS_PATH_MAX];       /* then: its folder, as its trainer calls it */
    summary_t summary;
    char doing[24];
    double eta_s;     /* NAN: not known */
    int64_t steps;    /* -1: not known */
    int64_t heard_ms; /* on the bus; 0: never */
    int64_t grew_ms; /* its numbers: where a copy is kept of another machine's run, no lock tells */
    uint64_t read, bytes[RUNS_FILES];
    size_t lines, unreadable, first_unreadable; /* of metrics.jsonl, up to `read` */
    places_t steps_at, evaluations_at;          /* there */
    time_t configured;                          /* when config.yml was written that was read */
    json_t *words;                              /* what the configuration says, or NULL */
    json_t *newest;                             /* line of a step, or NULL */
    char *note;                                 /* the last, or NULL */
    tail_t tail[2]; /* of RUNS_METRICS and RUNS_EPISODES, when dir is "" */
    bool found;     /* by this look */
} run_t;

run_t *run_new (const char *name);
void run_destroy (run_t **run);

/*  What is new in its folder, some windows of it at most. */
void run_look (run_t *run, const char *dir);
/*  An event of it. */
void run_note (run_t *run, const wire_event_t *event);
/*  Its trainer opened it, and begins behind this step. words: {"folder", "roles" ...}, or NULL. */
void run_open (run_t *run, json_t *words, uint64_t step);

/*  As runs_read, runs_sample. */
int run_read (const run_t *run, runs_file_t file, window_t *window);
int run_sample (run_t *run, runs_sample_t *sample);
void run_stamp (const run_t *run, buf_t *stamp);
/*  An element of runs_json, or without `full` of runs_now. */
json_t *run_json (const run_t *run, bool full);
/*  An element of runs_newest. */
json_t *run_newest (const run_t *run);
/*  Whether it may change. */
bool run_goes_on (const run_t *run);

#endif

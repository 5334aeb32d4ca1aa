/*  runs - what the monitor knows of runs: from their folders what was, from the bus what is.
 *
 *      runs_t *runs = runs_new ("runs");
 *      runs_look (runs);                                  now and then: the folders
 *      runs_note (runs, event);                           every event of the bus
 *      json_t *list = runs_json (runs);
 *      if (runs_read (runs, "coding", RUNS_METRICS, 0, &window) == 0) use (&window);
 *      runs_sample (runs, "coding", &sample);
 *      runs_destroy (&runs);
 *
 *  A run in a folder goes by its path there (with %0A for what cannot be shown), one that is only
 *  on the bus by its id. Of the former nothing is kept but its first and last numbers and where
 *  lines begin: files are read when somebody asks, a window at a time. Of the latter the last
 *  RUNS_KEPT bytes of lines are, as its trainer would write them. All of it may be called from any
 *  thread.
 */
#ifndef QUINTET_MONITOR_RUNS_H
#define QUINTET_MONITOR_RUNS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "window.h"
#include "wire/wire.h"

#define RUNS_MAX   512                /* in folders */
#define RUNS_BUS   16                 /* on the bus, at once */
#define RUNS_DEPTH 3                  /* folders in folders: EXPERIMENT/ARM/seed-N */
#define RUNS_KEPT  ((size_t) 4 << 20) /* bytes, of each of its two files */
#define RUNS_NAME  256

typedef struct runs runs_t;

typedef enum { RUNS_METRICS, RUNS_EPISODES, RUNS_COMPLETIONS, RUNS_FILES } runs_file_t;

/*  folder: of runs, or NULL. */
runs_t *runs_new (const char *folder);
void runs_destroy (runs_t **runs);

void runs_look (runs_t *runs);
void runs_note (runs_t *runs, const wire_event_t *event);

/*  [{"name", "state", "step", "steps", ...}], by the time of their start, with the configuration's
 *  words and the evaluations. What is not known has no key. */
json_t *runs_json (runs_t *runs);
/*  The same of those that go on, without words and evaluations. list: another number when the list
 *  of all has changed. */
json_t *runs_now (runs_t *runs, uint32_t *list);
/*  The newest numbers of every run that goes on: a line of metrics.jsonl each, with its "run". */
json_t *runs_newest (runs_t *runs);
/*  -1: there is no such run, or no such file of it. window: buf_free (&window->text). */
int runs_read (runs_t *runs, const char *name, runs_file_t file, uint64_t from, window_t *window);

/*  Lines that stand for all steps from `first` to `last`, and evaluations: those, or every k-th and
 *  the newest, where they are more than PLACES_MAX (places.h). The evaluations may come behind. */
typedef struct {
    int64_t first, last;
    void (*each) (void *context, json_t *line);
    void *context;
    /* told: k; where runs_read goes on; whether more of the file was not looked at yet, so that it
       has to be asked for again */
    uint64_t every, next;
    bool more;
} runs_sample_t;
/*  -1: there is no such run. */
int runs_sample (runs_t *runs, const char *name, runs_sample_t *sample);
/*  Appends what says whether a sample is still the same as before: another text when the file has
 *  changed. Nothing: there is no such run, or it has no folder. */
void runs_stamp (runs_t *runs, const char *name, buf_t *stamp);

#endif

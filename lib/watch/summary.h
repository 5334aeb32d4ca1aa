/*  summary - what a list of runs says of one: since when, how it stands, how it was evaluated.
 *
 *      summary_t summary = SUMMARY_NONE;
 *      summary_look (&summary, "runs/coding");            its state
 *      summary_line (&summary, line);                     every line of its metrics.jsonl
 *      summary_free (&summary);
 */
#ifndef QUINTET_WATCH_SUMMARY_H
#define QUINTET_WATCH_SUMMARY_H

#include <jansson.h>
#include <math.h>
#include <stdint.h>

/*  Of an evaluation only the first and the newest are kept, so that a long run takes no memory. */
typedef struct {
    double started_s, wall_s; /* NAN: not known */
    char state[24];
    int64_t step;           /* -1: not known */
    json_t *before, *after; /* lines, or NULL */
} summary_t;

#define SUMMARY_NONE ((summary_t){.started_s = NAN, .wall_s = NAN, .step = -1})

/*  state and started_s, as the folder's history and locks say. */
void summary_look (summary_t *summary, const char *dir);
void summary_line (summary_t *summary, json_t *line);
/*  What lines said of evaluations: they are read anew. */
void summary_free (summary_t *summary);

#endif

/*  metrics - what a run writes down: metrics.jsonl, one object per line, and the same as curves.
 *
 *      metrics_t *metrics = metrics_open (dir, offset, &err);      offset: what a checkpoint says
 *      metrics_begin (metrics, "step", 12);
 *      metrics_add (metrics, "reward_mean", 0.7);
 *      metrics_end (metrics, &err);
 *      metrics_close (&metrics);
 *
 *  A line is {"event": "step", "step": 12, "time_s": unix time, name: value ...}. The TensorBoard
 *  file beside it holds the same numbers; on resume the lines are cut to the offset, and the curves
 *  drawn again from them.
 */
#ifndef QUINTET_TRAINER_METRICS_H
#define QUINTET_TRAINER_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/wire.h"

#define METRICS_MAX      256
#define METRICS_NAME_MAX 80

typedef struct metrics metrics_t;

/*  How far the lines in a run's folder go, whether or not a checkpoint goes as far: the highest
 *  step and the latest wall_s; 0 where there is none. To be asked before metrics_open cuts lines
 *  off. */
typedef struct {
    uint64_t step;
    double wall_s;
} metrics_last_t;
metrics_last_t metrics_last (const char *dir);

/*  Cuts dir/metrics.jsonl to offset bytes (0: begins anew) and writes the curves again from it.
 *  ERR_INPUT when the file is shorter than offset. */
metrics_t *metrics_open (const char *dir, uint64_t offset, err_t *err);
void metrics_close (metrics_t **metrics);

void metrics_begin (metrics_t *metrics, const char *event, uint64_t step);
/*  Numbers that are not finite are written as null. Names beyond METRICS_MAX are left out. */
void metrics_add (metrics_t *metrics, const char *name, double value);
void metrics_addf (metrics_t *metrics, double value, const char *fmt, ...)
    __attribute__ ((format (printf, 3, 4)));
/*  Writes the line out. */
int metrics_end (metrics_t *metrics, err_t *err);
/*  What was written is on the disk afterwards: before a checkpoint names the offset. */
int metrics_sync (metrics_t *metrics, err_t *err);

/*  Beside the curves: a text in Markdown, and the configuration's lines "section.key: value", which
 *  the HParams tab shows. Neither is in metrics.jsonl. */
int metrics_text (metrics_t *metrics, uint64_t step, const char *tag, const char *text, err_t *err);
int metrics_settings (metrics_t *metrics, const char *lines, err_t *err);

/*  What was added since metrics_begin; valid until the next one. Finite numbers only. */
const wire_part_t *metrics_parts (const metrics_t *metrics, size_t *n);
/*  Bytes in metrics.jsonl now. */
uint64_t metrics_offset (const metrics_t *metrics);

/*  Calls each (context, name, value) for the numbers of the first line with this event and step, or
 *  with step UINT64_MAX of the first line with this event. Returns 1 when there is one, else 0. */
int metrics_find (const metrics_t *metrics, const char *event, uint64_t step,
                  void (*each) (void *context, const char *name, double value), void *context);

/*  The first step > 0 at which lines with this event have the highest number of that name; 0:
 *  there is none. */
uint64_t metrics_best (const metrics_t *metrics, const char *event, const char *name);
/*  How many lines with this event have a number of that name which is at least `least`. */
size_t metrics_count (const metrics_t *metrics, const char *event, const char *name, double least);
/*  Sum of a number over all lines with this event. */
double metrics_sum (const metrics_t *metrics, const char *event, const char *name);

#endif

/*  charts - curves of a run's metrics as SVG, with axes, and gaps where nothing was measured.
 *
 *      chart_t chart = {"step", "reward_mean", "joint reward", "R per episode", false};
 *      chart_lines_t lines[] = {{"solo", 0, solo}, {"team", 0, team}};
 *      if (!charts_draw (&chart, lines, 2, &out)) puts ("not measured");
 */
#ifndef QUINTET_CLI_CHARTS_H
#define QUINTET_CLI_CHARTS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"

typedef struct {
    const char *event; /* "step" or "eval": which lines of metrics.jsonl */
    const char *key;   /* of the value; "KEY/NAME" (a policy, a role) are curves beside it */
    const char *title;
    const char *unit; /* along the y axis */
    bool share;       /* from 0 to 1, whatever was measured */
} chart_t;

/*  Whether the chart shows the value of this key. */
bool charts_has_key (const chart_t *chart, const char *key);
/*  Lines of metrics.jsonl that are drawn in one look. */
typedef struct {
    const char *class;   /* of its curves: a colour of report.html */
    size_t dash;         /* of its first curve; further ones have the next */
    const json_t *lines; /* array */
} chart_lines_t;

/*  Appends a <figure> with all of them on the same axes, the last one on top. false: none has such
 *  a value, and nothing is drawn. */
bool charts_draw (const chart_t *chart, const chart_lines_t *lines, size_t n, buf_t *out);

#endif

/*  charts - curves of a run's metrics as SVG, with axes, and gaps where nothing was measured.
 *
 *      chart_t chart = {"step", "reward_mean", "joint reward", "R per episode", false};
 *      if (!charts_draw (&chart, team, solo, &out)) puts ("not measured");
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
/*  Appends a <figure>. team, solo: lines of metrics.jsonl, on the same axes. false: neither has
 *  such a value, and nothing is drawn. */
bool charts_draw (const chart_t *chart, const json_t *team, const json_t *solo, buf_t *out);

#endif

/*  charts - see charts.h
 *
 *  A chart is made in three passes: names are collected (a metric alone, or one for each policy),
 *  points are collected and the axes found, then everything is drawn. Long runs are thinned: where
 *  there are more steps than pixels, a point is the mean of its neighbours.
 */
#include "charts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "page.h"

#define CHARTS_W      360.0 /* in the drawing's own units: the page scales it */
#define CHARTS_H      200.0
#define CHARTS_LEFT   46.0
#define CHARTS_RIGHT  10.0
#define CHARTS_TOP    20.0
#define CHARTS_BOTTOM 34.0
#define CHARTS_TICKS  4.0 /* about so many steps of an axis */
#define POINTS_MAX    300 /* of a curve */
#define CURVES_MAX    96

typedef struct {
    double step, value;
    bool after_gap; /* no line to the point before: between them nothing was measured */
} point_t;

typedef struct {
    char key[96];
    const chart_lines_t *from;
    point_t *points;
    size_t n;
} curve_t;

typedef struct {
    double low, high, tick;
} axis_t;

typedef struct {
    const chart_t *chart;
    curve_t curves[CURVES_MAX];
    size_t n;
    axis_t x, y;
} drawing_t;

/*  The chart's own key, or one of its parts: "loss", "loss/aux". */
bool charts_has_key (const chart_t *chart, const char *key)
{
    size_t n = strlen (chart->key);
    return strncmp (key, chart->key, n) == 0 && (key[n] == 0 || key[n] == '/');
}

static bool charts_is_event (const json_t *line, const char *wanted)
{
    const char *event = json_string_value (json_object_get (line, "event"));
    return event && strcmp (event, wanted) == 0;
}

/*  Names a curve once. What is one too many, or has too long a name, is left out. */
static void charts_name_curve (drawing_t *d, const char *key, const chart_lines_t *from)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->curves[i].from == from && strcmp (d->curves[i].key, key) == 0)
            return;
    if (d->n == CURVES_MAX || strlen (key) >= sizeof d->curves->key)
        return;
    snprintf (d->curves[d->n].key, sizeof d->curves->key, "%s", key);
    d->curves[d->n++].from = from;
}

static void charts_name_curves (drawing_t *d, const chart_lines_t *from)
{
    const json_t *line;
    size_t i;
    json_array_foreach (from->lines, i, line) {
        const char *key;
        json_t *value;
        if (!charts_is_event (line, d->chart->event))
            continue;
        /* jansson's loop takes no const object; nothing is changed. */
        json_object_foreach ((json_t *) (uintptr_t) line, key, value) {
            if (json_is_number (value) && charts_has_key (d->chart, key))
                charts_name_curve (d, key, from);
        }
    }
}

/*  Means of as many neighbours as are needed. A gap stays one where a whole point begins with
 *  it. */
static void charts_thin (curve_t *c)
{
    size_t each = (c->n + POINTS_MAX - 1) / POINTS_MAX, kept = 0;
    if (each < 2)
        return;
    for (size_t i = 0; i < c->n; i += each, kept++) {
        size_t n = c->n - i < each ? c->n - i : each;
        point_t mean = {.after_gap = c->points[i].after_gap};
        for (size_t k = 0; k < n; k++) {
            mean.step += c->points[i + k].step / (double) n;
            mean.value += c->points[i + k].value / (double) n;
        }
        c->points[kept] = mean;
    }
    c->n = kept;
}

/*  Points of one curve. The first one has none to be joined to, and so counts as one after a
 *  gap. */
static void charts_collect (const chart_t *chart, curve_t *c)
{
    const json_t *line, *lines = c->from->lines;
    bool gap = true;
    size_t i;
    /* One more, as calloc of nothing may return NULL, which means no memory here. */
    c->points = calloc (json_array_size (lines) + 1, sizeof *c->points);
    if (!c->points)
        return;
    json_array_foreach (lines, i, line) {
        const json_t *value = json_object_get (line, c->key);
        if (!charts_is_event (line, chart->event))
            continue;
        if (json_is_number (value))
            c->points[c->n++] = (point_t){json_number_value (json_object_get (line, "step")),
                                          json_number_value (value), gap};
        gap = !json_is_number (value);
    }
    charts_thin (c);
}

/*  Ticks at 1, 2 or 5 times a power of ten, and ends that are ticks. A flat curve needs some height
 *  to be drawn in. */
static axis_t charts_axis (double low, double high, bool whole)
{
    if (high - low < 1e-12) {
        double pad = fabs (low) > 1e-12 ? fabs (low) / 2 : 0.5;
        high += pad;
        /* Not below 0 for what never is: such an axis would suggest that it could be. */
        low -= low < 0 || low - pad >= 0 ? pad : low;
    }
    double raw = (high - low) / CHARTS_TICKS, power = pow (10, floor (log10 (raw)));
    double tick = raw / power < 1.5 ? 1 : raw / power < 3.5 ? 2 : raw / power < 7.5 ? 5 : 10;
    tick *= power;
    tick = whole ? fmax (tick, 1) : tick;
    /* An end that misses a tick by rounding alone counts as that tick. */
    return (axis_t){.low = floor (low / tick + 1e-9) * tick,
                    .high = ceil (high / tick - 1e-9) * tick,
                    .tick = tick};
}

/*  The step axis ends at the last step itself, so that curves reach the edge. It is at least one
 *  step long: a run with an evaluation and nothing else has only step 0. */
static void charts_find_axes (drawing_t *d)
{
    double low = INFINITY, high = -INFINITY, last = 1;
    for (size_t c = 0; c < d->n; c++)
        for (size_t i = 0; i < d->curves[c].n; i++) {
            low = fmin (low, d->curves[c].points[i].value);
            high = fmax (high, d->curves[c].points[i].value);
            last = fmax (last, d->curves[c].points[i].step);
        }
    d->x = charts_axis (0, last, true);
    d->x.high = last;
    d->y = d->chart->share ? (axis_t){0, 1, 0.2} : charts_axis (low, high, false);
}

static double charts_x (const drawing_t *d, double step)
{
    return CHARTS_LEFT +
           (step - d->x.low) / (d->x.high - d->x.low) * (CHARTS_W - CHARTS_LEFT - CHARTS_RIGHT);
}

/*  Upside down, as SVG counts from above. */
static double charts_y (const drawing_t *d, double value)
{
    return CHARTS_H - CHARTS_BOTTOM -
           (value - d->y.low) / (d->y.high - d->y.low) * (CHARTS_H - CHARTS_BOTTOM - CHARTS_TOP);
}

/*  With as many digits as tell neighbours apart. */
static void charts_number (double value, double tick, char text[32])
{
    double digits = ceil (-log10 (tick) - 1e-9);
    /* Ticks are added up, so 0 comes out as something like 1e-17, or as -0. */
    value = fabs (value) < tick / 1e3 ? 0 : value;
    if (tick >= 1e3)
        snprintf (text, 32, "%.*f%s", fmod (tick, 1e3) > 0 ? 1 : 0, value / 1e3, "k");
    else if (digits > 4)
        snprintf (text, 32, "%.1e", value);
    else
        snprintf (text, 32, "%.*f", digits > 0 ? (int) digits : 0, value);
}

static void charts_draw_axes (const drawing_t *d, buf_t *out)
{
    char text[32];
    /* Half a tick of room, again because of the rounding. */
    for (double v = d->y.low; v < d->y.high + d->y.tick / 2; v += d->y.tick) {
        charts_number (v, d->y.tick, text);
        buf_printf (out,
                    "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                    "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>",
                    CHARTS_LEFT, CHARTS_W - CHARTS_RIGHT, charts_y (d, v), charts_y (d, v),
                    CHARTS_LEFT - 5, charts_y (d, v) + 4, text);
    }
    for (double v = d->x.low; v < d->x.high + d->x.tick / 1e3; v += d->x.tick) {
        charts_number (v, d->x.tick, text);
        buf_printf (out,
                    "<line class=\"tick\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                    "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>",
                    charts_x (d, v), charts_x (d, v), CHARTS_H - CHARTS_BOTTOM,
                    CHARTS_H - CHARTS_BOTTOM + 4, charts_x (d, v), CHARTS_H - CHARTS_BOTTOM + 16,
                    text);
    }
    buf_printf (out,
                "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">step</text>"
                "<text x=\"2\" y=\"11\">%s</text>",
                (CHARTS_LEFT + CHARTS_W - CHARTS_RIGHT) / 2, CHARTS_H - 4, d->chart->unit);
}

/*  Lines between neighbours. A point without any, and every evaluation, is a dot. */
static void charts_draw_curve (const drawing_t *d, const curve_t *c, size_t dash, buf_t *out)
{
    const char *class = c->from->class;
    bool dots = strcmp (d->chart->event, "eval") == 0;
    for (size_t from = 0, to; from < c->n; from = to) {
        for (to = from + 1; to < c->n && !c->points[to].after_gap;)
            to++;
        if (to - from > 1) {
            buf_printf (out, "<polyline class=\"%s dash%zu\" points=\"", class, dash);
            for (size_t i = from; i < to; i++)
                buf_printf (out, "%.1f,%.1f ", charts_x (d, c->points[i].step),
                            charts_y (d, c->points[i].value));
            buf_text (out, "\"/>");
        }
        for (size_t i = from; (dots || to - from == 1) && i < to; i++)
            buf_printf (out,
                        "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\">"
                        "<title>step %.0f: %.4g</title></circle>",
                        class, charts_x (d, c->points[i].step), charts_y (d, c->points[i].value),
                        c->points[i].step, c->points[i].value);
    }
}

/*  Which number of its kind a curve is: team's second curve looks otherwise than its first. There
 *  are four looks; what is more shares the last one. */
static size_t charts_dash (const drawing_t *d, size_t curve)
{
    size_t dash = d->curves[curve].from->dash;
    for (size_t i = 0; i < curve; i++)
        dash += d->curves[i].from == d->curves[curve].from;
    return dash < 3 ? dash : 3;
}

/*  Says which dash is which name, where there are several. */
static void charts_draw_names (const drawing_t *d, buf_t *out)
{
    static const char *const looks[] = {"solid", "dashed", "dotted", "thin"};
    const char *before = " (";
    bool any = false;
    for (size_t i = 0; i < d->n; i++) {
        const char *name = strchr (d->curves[i].key, '/');
        if (!name)
            continue;
        buf_text (out, before);
        page_escape (name + 1, out);
        buf_printf (out, " %s", looks[charts_dash (d, i)]);
        before = ", ";
        any = true;
    }
    buf_text (out, any ? ")" : "");
}

bool charts_draw (const chart_t *chart, const chart_lines_t *lines, size_t n, buf_t *out)
{
    drawing_t d = {.chart = chart};
    bool any = false;
    /* SVG paints in order: the last one's curves lie above the others'. */
    for (size_t i = 0; i < n; i++)
        charts_name_curves (&d, &lines[i]);
    for (size_t i = 0; i < d.n; i++) {
        charts_collect (chart, &d.curves[i]);
        any = any || d.curves[i].n > 0;
    }
    if (any) {
        charts_find_axes (&d);
        buf_printf (out, "<figure><figcaption>%s", chart->title);
        charts_draw_names (&d, out);
        buf_printf (out,
                    "</figcaption><svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" "
                    "aria-label=\"%s\">",
                    CHARTS_W, CHARTS_H, chart->title);
        charts_draw_axes (&d, out);
        for (size_t i = 0; i < d.n; i++)
            charts_draw_curve (&d, &d.curves[i], charts_dash (&d, i), out);
        buf_text (out, "</svg></figure>\n");
    }
    for (size_t i = 0; i < d.n; i++)
        free (d.curves[i].points);
    return any;
}

/*  figure - see figure.h */
#include "figure.h"

#include <math.h>
#include <string.h>

#include "../report/page.h"
#include "base/decimal.h"
#include "base/printable.h"
#include "results.h"

#define NAMES_W          230.0 /* in the drawing's own units */
#define PANEL_W          220.0
#define GAP_W            28.0
#define ROW_H            26.0
#define TOP_H            34.0
#define BOTTOM_H         44.0
#define BAR_H            12.0
#define NAME_MAX_COLUMNS 34

/*  high 0: as far as the values go. */
static const struct {
    const char *key, *title;
    double high;
    int digits;
} figure_panels[] = {{"quality", NULL, 1, 3},
                     {"critical_path_tokens", "critical path, tokens", 0, 1},
                     {"speed", "times faster, by the clock", 0, 2}};
#define PANELS (sizeof figure_panels / sizeof *figure_panels)

static const char figure_style[] =
    "<style>.fig text{font:12px system-ui,sans-serif;fill:#55555c}.fig .bar{fill:#0b6e99}"
    ".fig .plain{fill:#9db9c6}.fig .line{stroke:#55555c;stroke-width:1.3;fill:none}"
    ".fig .grid{stroke:#d9d9d4}.fig .told{fill:#b4541a}"
    "@media(prefers-color-scheme:dark){.fig text{fill:#b9b9c0}.fig .bar{fill:#5bb8e0}"
    ".fig .plain{fill:#4a6470}.fig .line{stroke:#d0d0d6}.fig .grid{stroke:#34353a}"
    ".fig .told{fill:#f09a5a}}</style>\n";

typedef struct {
    const json_t *arms;
    double left, high, bottom;
    size_t panel;
} panel_t;

static double figure_number (const json_t *object, const char *key)
{
    const json_t *value = json_object_get (object, key);
    return json_is_number (value) ? json_number_value (value) : NAN;
}

static double figure_published (const json_t *arm, const char *key)
{
    return figure_number (json_object_get (arm, "published"), key);
}

/*  The next of some round multiples of a power of ten, for the end of an axis. */
static double figure_round_up (double value)
{
    double power = pow (10, floor (log10 (value)));
    static const double steps[] = {1, 2, 3, 4, 5, 6, 8, 10};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (value <= steps[i] * power * (1 + 1e-9))
            return steps[i] * power;
    return 10 * power;
}

static bool figure_scale (panel_t *p)
{
    const char *key = figure_panels[p->panel].key;
    const json_t *arm;
    double high = 0;
    bool any = false;
    size_t i;
    json_array_foreach (p->arms, i, arm) {
        double value = figure_number (results_cell (arm, key), "value"),
               end = figure_number (results_cell (arm, key), "high"),
               told = figure_published (arm, key);
        any = any || isfinite (value);
        high = fmax (high, fmax (isfinite (end) ? end : 0, isfinite (told) ? told : 0));
    }
    p->high = figure_panels[p->panel].high > 0 ? figure_panels[p->panel].high
              : high > 0                       ? figure_round_up (high)
                                               : 1;
    return any;
}

static double figure_x (const panel_t *p, double value)
{
    return p->left + PANEL_W * fmin (fmax (value, 0), p->high) / p->high;
}

static void figure_axis (const panel_t *p, const char *title, buf_t *out)
{
    buf_printf (out, "<text x=\"%.1f\" y=\"16\" font-weight=\"600\">", p->left);
    page_escape (title, out);
    buf_text (out, "</text>\n");
    for (int i = 0; i <= 2; i++) {
        double at = p->high * i / 2;
        buf_printf (out,
                    "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                    "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%g</text>\n",
                    figure_x (p, at), figure_x (p, at), TOP_H - 8, p->bottom, figure_x (p, at),
                    p->bottom + 15, at);
    }
}

/*  The interval lies over the bar, and the published value over both. */
static void figure_bar (const panel_t *p, const json_t *arm, size_t row, buf_t *out)
{
    const char *key = figure_panels[p->panel].key;
    const json_t *cell = results_cell (arm, key);
    double value = figure_number (cell, "value"), told = figure_published (arm, key);
    double y = TOP_H + ROW_H * (double) row + ROW_H / 2;
    char text[RESULTS_TEXT];
    if (isfinite (value)) {
        double low = figure_x (p, figure_number (cell, "low")),
               high = figure_x (p, figure_number (cell, "high"));
        buf_printf (out,
                    "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\">"
                    "<title>%s</title></rect>",
                    json_is_true (json_object_get (arm, "trained")) ? "bar" : "plain", p->left,
                    y - BAR_H / 2, fmax (figure_x (p, value) - p->left, 0.5), BAR_H,
                    results_text (cell, figure_panels[p->panel].digits, text));
        buf_printf (out, "<path class=\"line\" d=\"M%.1f %.1fH%.1fM%.1f %.1fv6M%.1f %.1fv6\"/>",
                    low, y, high, low, y - 3, high, y - 3);
    }
    if (isfinite (told))
        buf_printf (out,
                    "<path class=\"told\" d=\"M%.1f %.1fl5 -5 -5 -5 -5 5z\"><title>published: %s"
                    "</title></path>",
                    figure_x (p, told), y + 5, DECIMAL (told, figure_panels[p->panel].digits));
    buf_char (out, '\n');
}

static void figure_names (const json_t *arms, buf_t *out)
{
    const json_t *arm;
    size_t i;
    json_array_foreach (arms, i, arm) {
        const char *title = json_string_value (json_object_get (arm, "title"));
        buf_t cut = {0};
        printable_cut (&cut, title ? title : "", title ? strlen (title) : 0, NAME_MAX_COLUMNS);
        buf_printf (out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", NAMES_W - 10,
                    TOP_H + ROW_H * (double) i + ROW_H / 2 + 4);
        page_escape (cut.data, out);
        buf_text (out, "</text>\n");
        buf_free (&cut);
    }
}

/*  What the colours and the mark mean. */
static void figure_legend (double y, buf_t *out)
{
    buf_printf (out,
                "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"12\"/>"
                "<text x=\"%.1f\" y=\"%.1f\">trained</text>"
                "<rect class=\"plain\" x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"12\"/>"
                "<text x=\"%.1f\" y=\"%.1f\">as it begins, or evaluated only</text>"
                "<path class=\"told\" d=\"M%.1f %.1fl5 -5 -5 -5 -5 5z\"/>"
                "<text x=\"%.1f\" y=\"%.1f\">published</text>\n",
                NAMES_W, y - 10, NAMES_W + 17, y, NAMES_W + 80, y - 10, NAMES_W + 97, y,
                NAMES_W + 310, y + 1, NAMES_W + 322, y);
}

void figure_draw (const json_t *results, buf_t *out)
{
    const json_t *arms = json_object_get (results, "arms");
    double bottom = TOP_H + ROW_H * (double) json_array_size (arms);
    panel_t panels[PANELS];
    size_t n = 0, row;
    for (size_t i = 0; i < PANELS; i++) {
        panel_t p = {.arms = arms,
                     .left = NAMES_W + (double) n * (PANEL_W + GAP_W),
                     .bottom = bottom,
                     .panel = i};
        if (figure_scale (&p))
            panels[n++] = p;
    }
    buf_printf (out,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"fig\" viewBox=\"0 0 %.0f %.0f\" "
                "role=\"img\" aria-label=\"results by arm\">\n%s",
                NAMES_W + (double) (n ? n : 1) * (PANEL_W + GAP_W), bottom + BOTTOM_H,
                figure_style);
    figure_names (arms, out);
    const char *quality = json_string_value (json_object_get (results, "quality"));
    for (size_t i = 0; i < n; i++) {
        const char *title = figure_panels[panels[i].panel].title;
        const json_t *arm;
        if (!title)
            title = quality && strcmp (quality, "success") != 0 ? quality : "pass rate, sampled";
        figure_axis (&panels[i], title, out);
        json_array_foreach (arms, row, arm)
            figure_bar (&panels[i], arm, row, out);
    }
    figure_legend (bottom + BOTTOM_H - 8, out);
    buf_text (out, "</svg>\n");
}

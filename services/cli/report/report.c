/*  report - OUT/report.html: curves, table and episodes of a run on one self-contained page. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/embed.h"
#include "base/fs.h"
#include "base/printable.h"
#include "examples.h"
#include "result.h"

EMBED (report_page, "services/cli/report/report.html")

#define EPISODES_SHOWN 6
#define PLOT_W         320.0
#define PLOT_H         150.0
#define PLOT_LEFT      38.0
#define PLOT_BOTTOM    20.0

/*  Text of a user, a task or a model, for HTML: what they write must stay text. */
static void report_escape (const char *text, buf_t *out)
{
    buf_t safe = {0};
    printable_text (&safe, text ? text : "", text ? strlen (text) : 0, PRINTABLE_LINES);
    for (size_t i = 0; i < safe.size; i++)
        if (safe.data[i] == '<')
            buf_text (out, "&lt;");
        else if (safe.data[i] == '>')
            buf_text (out, "&gt;");
        else if (safe.data[i] == '&')
            buf_text (out, "&amp;");
        else if (safe.data[i] == '"')
            buf_text (out, "&quot;");
        else
            buf_char (out, safe.data[i]);
    buf_free (&safe);
}

typedef struct {
    double least, most, last_step;
} range_t;

/*  Team and solo share the axes, so that their curves can be compared. */
static void report_widen (range_t *range, const json_t *lines, const char *kind, const char *key)
{
    const json_t *line;
    size_t i;
    json_array_foreach (lines, i, line) {
        const char *event = json_string_value (json_object_get (line, "event"));
        const json_t *value = json_object_get (line, key);
        if (!event || strcmp (event, kind) != 0 || !json_is_number (value))
            continue;
        range->least = fmin (range->least, json_number_value (value));
        range->most = fmax (range->most, json_number_value (value));
        range->last_step =
            fmax (range->last_step, json_number_value (json_object_get (line, "step")));
    }
}

/*  A polyline in SVG: x by step, y between the least and the most, upside down as SVG counts from
 *  above. */
static void report_curve (const range_t *range, const json_t *lines, const char *kind,
                          const char *key, const char *class, buf_t *out)
{
    const json_t *line;
    size_t i;
    buf_printf (out, "<polyline class=\"%s\" fill=\"none\" stroke-width=\"1.6\" points=\"", class);
    json_array_foreach (lines, i, line) {
        const char *event = json_string_value (json_object_get (line, "event"));
        const json_t *value = json_object_get (line, key);
        if (!event || strcmp (event, kind) != 0 || !json_is_number (value))
            continue;
        double x = json_number_value (json_object_get (line, "step")) / fmax (range->last_step, 1);
        double y = (json_number_value (value) - range->least) / (range->most - range->least);
        buf_printf (out, "%.1f,%.1f ", PLOT_LEFT + x * (PLOT_W - PLOT_LEFT - 6),
                    PLOT_H - PLOT_BOTTOM - y * (PLOT_H - PLOT_BOTTOM - 8));
    }
    buf_text (out, "\"/>");
}

static void report_plot (const json_t *team, const json_t *solo, const char *kind, const char *key,
                         const char *title, buf_t *out)
{
    range_t range = {.least = INFINITY, .most = -INFINITY};
    report_widen (&range, team, kind, key);
    report_widen (&range, solo, kind, key);
    if (!isfinite (range.least))
        return;
    /* A flat curve needs some height to be drawn in. */
    if (range.most - range.least < 1e-9)
        range.most = range.least + 1;
    buf_printf (out, "<figure><svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\">",
                PLOT_W, PLOT_H, title);
    buf_printf (
        out,
        "<text x=\"0\" y=\"14\">%.3g</text><text x=\"0\" y=\"%.0f\">%.3g</text><text x=\"%.0f\" "
        "y=\"%.0f\" text-anchor=\"end\">step %.0f</text>",
        range.most, PLOT_H - PLOT_BOTTOM, range.least, PLOT_W - 6, PLOT_H - 4, range.last_step);
    report_curve (&range, solo, kind, key, "solo", out);
    report_curve (&range, team, kind, key, "team", out);
    buf_printf (out, "</svg><figcaption>%s</figcaption></figure>\n", title);
}

static void report_plots (const result_t *r, buf_t *out)
{
    char solo_dir[FS_PATH_MAX];
    json_t *team = result_lines (r->out, "metrics.jsonl");
    fs_join (solo_dir, r->out, "solo", NULL);
    json_t *solo = r->solo ? result_lines (solo_dir, "metrics.jsonl") : json_array ();
    static const struct {
        const char *kind, *key, *title;
    } list[] = {{"step", "reward_mean", "joint reward"},
                {"step", "success", "pass rate in training"},
                {"step", "quality_mean", "quality"},
                {"step", "critical_path_tokens", "critical path, tokens"},
                {"step", "entropy", "entropy, nats per token"},
                {"step", "step_s", "seconds per step"}};
    buf_text (out, "<h2>Training</h2>\n<p class=\"key\"><span class=\"team\">&#9632; team</span>");
    buf_text (out, r->solo ? " <span class=\"solo\">&#9632; single agent</span></p>\n" : "</p>\n");
    buf_text (out, "<div class=\"plots\">\n");
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        report_plot (team, solo, list[i].kind, list[i].key, list[i].title, out);
    buf_text (out, "</div>\n");
    json_decref (team);
    json_decref (solo);
}

static void report_cell (const json_t *result, const char *when, const char *key,
                         const char *format, buf_t *out)
{
    const json_t *value = json_object_get (json_object_get (result, when), key);
    char interval[RESULT_INTERVAL];
    buf_text (out, "<td>");
    if (json_is_number (value))
        buf_printf (out, format, json_number_value (value));
    if (*result_interval (result, when, key, interval))
        buf_printf (out, " <span class=\"interval\">%s</span>", interval);
    buf_text (out, "</td>");
}

/*  The same rows as result_print, side by side for the single agent and the team. */
static void report_table (const result_t *r, buf_t *out)
{
    static const struct {
        const char *key, *label, *format;
    } rows[] = {{"sampled", "pass rate, sampled", "%.3f"},
                {"greedy", "pass rate, greedy", "%.3f"},
                {"quality", "quality", "%.3f"},
                {"agreement", "agreement of the roles", "%.3f"},
                {"completion_tokens", "tokens per completion", "%.1f"},
                {"tokens", "tokens per episode", "%.1f"},
                {"critical_path_tokens", "decode steps on the critical path", "%.1f"}};
    buf_text (out, "<h2>Held-out tasks</h2>\n<table><tr><th></th>");
    if (r->solo)
        buf_text (out, "<th>single agent before</th><th>after</th>");
    buf_text (out, "<th>team before</th><th>after</th></tr>\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_printf (out, "<tr><td>%s</td>", rows[i].label);
        if (r->solo) {
            report_cell (r->solo, "before", rows[i].key, rows[i].format, out);
            report_cell (r->solo, "after", rows[i].key, rows[i].format, out);
        }
        report_cell (r->team, "before", rows[i].key, rows[i].format, out);
        report_cell (r->team, "after", rows[i].key, rows[i].format, out);
        buf_text (out, "</tr>\n");
    }
    const json_t *n = json_object_get (json_object_get (r->team, "after"), "n");
    buf_printf (out,
                "</table>\n<p>%.0f tasks; in brackets the 95%% interval (Wilson).</p>\n"
                "<p>%.1f s in all, %.1f s to the first optimiser step.</p>\n",
                json_number_value (n), r->wall_s, r->first_step_s);
    if (!result_reproducible (r))
        buf_text (out, "<p>" RESULT_NOT_REPRODUCIBLE "</p>\n");
}

static void report_episode (const json_t *e, buf_t *out)
{
    const json_t *turns = json_object_get (e, "turns"), *turn, *action;
    const json_t *reward = json_object_get (e, "reward");
    size_t t, a;
    buf_printf (out, "<div><p class=\"role\">after step %lld, %s</p>",
                (long long) json_integer_value (json_object_get (e, "step")),
                json_string_value (json_object_get (e, "phase")));
    json_array_foreach (turns, t, turn)
        json_array_foreach (json_object_get (turn, "actions"), a, action) {
            buf_text (out, "<span class=\"role\">");
            report_escape (json_string_value (json_object_get (action, "role")), out);
            buf_text (out, "</span><pre>");
            report_escape (json_string_value (json_object_get (action, "text")), out);
            buf_text (out, "</pre>");
        }
    buf_printf (out, "<p>reward %.3f: ", json_number_value (json_object_get (reward, "reward")));
    report_escape (json_string_value (json_object_get (reward, "verdict")), out);
    buf_text (out, "</p></div>\n");
}

/*  Tasks that training solved come first, then the others, both in the order of the evaluation. */
static void report_episodes (const result_t *r, buf_t *out)
{
    json_t *pairs = examples_read (r->out), *pair;
    size_t i;
    buf_text (out, "<h2>Held-out tasks, before and after</h2>\n"
                   "<p>Of the first tasks of the evaluation; those that failed before and pass now "
                   "come first.</p>\n");
    json_array_foreach (pairs, i, pair) {
        const json_t *first = json_array_get (pair, 0);
        if (i == EPISODES_SHOWN)
            break;
        buf_text (out, "<h3>");
        report_escape (
            json_string_value (json_object_get (json_object_get (first, "task"), "brief")), out);
        buf_text (out, "</h3>\n<div class=\"pair\">");
        report_episode (first, out);
        report_episode (json_array_get (pair, 1), out);
        buf_text (out, "</div>\n");
    }
    json_decref (pairs);
}

/*  Replaces every mark in the page. */
static void report_fill (const char *mark, const char *value, buf_t *page)
{
    buf_t out = {0};
    const char *at = page->data, *found;
    while ((found = strstr (at, mark))) {
        buf_append (&out, at, (size_t) (found - at));
        buf_text (&out, value);
        at = found + strlen (mark);
    }
    buf_text (&out, at);
    buf_free (page);
    *page = out;
}

/*  One file without links to others, so that it can be sent and kept. */
int result_report (const result_t *r, const char *name, err_t *err)
{
    buf_t page = {0}, body = {0}, title = {0};
    char path[FS_PATH_MAX];
    buf_text (&page, report_page);
    report_escape (name, &title);
    buf_text (&title, " - Quintet");
    report_table (r, &body);
    report_plots (r, &body);
    report_episodes (r, &body);
    report_fill ("@TITLE@", title.data, &page);
    report_fill ("@BODY@", body.data, &page);
    int rc = fs_join (path, r->out, "report.html", err);
    if (rc == 0)
        rc = buf_failed (&page) || buf_failed (&body)
                 ? err_set (err, ERR_LIMIT, "no memory for %s", path)
                 : fs_write (path, page.data, page.size, err);
    buf_free (&page);
    buf_free (&body);
    buf_free (&title);
    return rc;
}

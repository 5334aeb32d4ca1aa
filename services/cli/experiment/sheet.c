/*  sheet - see sheet.h */
#include "sheet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../report/charts.h"
#include "../report/page.h"
#include "../report/report.h"
#include "../report/result.h"
#include "arm.h"
#include "base/fs.h"
#include "watch/lines.h"
#include "figure.h"
#include "table.h"

#define COLOURS     8 /* that report.html has; arms beyond them are dashed */
#define TASKS_SHOWN 4

/*  What arms are compared by while they learn; the page of each arm has all the others. */
static const chart_t sheet_charts[] = {
    {"eval", "sampled", "held-out pass rate, sampled", "share of tasks", true},
    {"step", "reward_mean", "joint reward", "R, mean of the episodes", false},
    {"step", "success", "pass rate in training", "share of episodes", true},
    {"step", "quality_mean", "quality", "mean of the episodes", false},
    {"step", "critical_path_tokens", "critical path", "tokens", false},
    {"step", "episode_tokens", "tokens per episode", "tokens", false},
    {"step", "zero_spread", "groups of one reward: nothing to learn", "share of groups", true},
    {"step", "step_s", "time of a step", "seconds", false}};

typedef struct {
    const plan_arm_t *arm;
    char dir[FS_PATH_MAX], class[32];
    json_t *lines;    /* of its metrics, that a chart shows */
    json_t *episodes; /* {task ID: its newest sampled episode} */
    json_t *tasks;    /* IDs in the order of the evaluation */
} shown_t;

/*  ---- reading -------------------------------------------------------------------------------- */

/*  A step has about a hundred numbers; those that no chart shows are not kept. */
static void sheet_keep_line (void *lines, json_t *line)
{
    json_t *kept = json_pack ("{s:O?, s:O?}", "event", json_object_get (line, "event"), "step",
                              json_object_get (line, "step"));
    for (size_t i = 0; i < sizeof sheet_charts / sizeof *sheet_charts; i++) {
        json_t *value = json_object_get (line, sheet_charts[i].key);
        if (value)
            json_object_set (kept, sheet_charts[i].key, value);
    }
    json_array_append_new (lines, kept);
}

static void sheet_keep_episode (void *context, json_t *episode)
{
    shown_t *shown = context;
    json_t *id = json_object_get (json_object_get (episode, "task"), "id");
    const char *phase = json_string_value (json_object_get (episode, "phase"));
    if (!phase || strcmp (phase, "eval-sampled") != 0 || !json_is_string (id))
        return;
    if (!json_object_get (shown->episodes, json_string_value (id)))
        json_array_append (shown->tasks, id);
    json_object_set (shown->episodes, json_string_value (id), episode);
}

static int sheet_read (shown_t *shown, const plan_t *plan, size_t number, const char *out,
                       err_t *err)
{
    arm_t place = {.plan = plan, .arm = &plan->arms[number], .seed = plan->seeds[0], .out = out};
    if (arm_place (&place, err) != 0)
        return -1;
    *shown = (shown_t){.arm = place.arm,
                       .lines = json_array (),
                       .episodes = json_object (),
                       .tasks = json_array ()};
    memcpy (shown->dir, place.dir, sizeof shown->dir);
    lines_each (place.dir, "metrics.jsonl", sheet_keep_line, shown->lines);
    lines_each (place.dir, "episodes.jsonl", sheet_keep_episode, shown);
    return 0;
}

/*  ---- writing -------------------------------------------------------------------------------- */

/*  Whoever is not trained has points and no curve, and is left out. */
static void sheet_curves (shown_t *shown, size_t n, buf_t *out)
{
    chart_lines_t lines[PLAN_ARMS_MAX];
    size_t drawn = 0;
    buf_text (out, "<h2>Training</h2>\n<p class=\"key\">");
    for (size_t i = 0; i < n; i++) {
        if (!shown[i].arm->train)
            continue;
        snprintf (shown[i].class, sizeof shown[i].class, "arm arm%zu", drawn % COLOURS);
        lines[drawn] = (chart_lines_t){shown[i].class, drawn / COLOURS, shown[i].lines};
        buf_printf (out, "<span class=\"%s\">&#9632; ", shown[i].class);
        page_escape (shown[i].arm->title, out);
        buf_printf (out, "%s</span> ", drawn >= COLOURS ? " (dashed)" : "");
        drawn++;
    }
    buf_text (out, "</p>\n<div class=\"plots\">\n");
    for (size_t i = 0; drawn && i < sizeof sheet_charts / sizeof *sheet_charts; i++)
        charts_draw (&sheet_charts[i], lines, drawn, out);
    buf_text (out, "</div>\n");
}

/*  The first tasks that any arm has, and each arm's answer to them side by side. */
static void sheet_episodes (const shown_t *shown, size_t n, buf_t *out)
{
    const json_t *task;
    size_t at;
    buf_text (out, "<h2>Held-out tasks, by every arm</h2>\n<p class=\"faint\">The first sample of "
                   "the newest evaluation.</p>\n");
    json_array_foreach (shown[0].tasks, at, task) {
        const char *id = json_string_value (task);
        if (at == TASKS_SHOWN)
            break;
        buf_text (out, "<h3>");
        page_escape (
            json_string_value (json_object_get (
                json_object_get (json_object_get (shown[0].episodes, id), "task"), "brief")),
            out);
        buf_text (out, "</h3>\n<div class=\"pair\">");
        for (size_t i = 0; i < n; i++) {
            json_t *episode = json_object_get (shown[i].episodes, id);
            if (!episode)
                continue;
            buf_text (out, "<div><b>");
            page_escape (shown[i].arm->title, out);
            buf_text (out, "</b>");
            report_episode (episode, out);
            buf_text (out, "</div>");
        }
        buf_text (out, "</div>\n");
    }
}

static void sheet_arms (const plan_t *plan, buf_t *out)
{
    buf_text (out, "<h2>Each arm by itself</h2>\n<ul>\n");
    for (size_t i = 0; i < plan->arms_n; i++) {
        buf_text (out, "<li>");
        page_escape (plan->arms[i].title, out);
        buf_text (out, ":");
        for (size_t s = 0; s < plan->seeds_n; s++)
            buf_printf (out, " <a href=\"%s/seed-%llu/report.html\">seed %llu</a>",
                        plan->arms[i].name, (unsigned long long) plan->seeds[s],
                        (unsigned long long) plan->seeds[s]);
        buf_text (out, "</li>\n");
    }
    buf_text (out, "</ul>\n<details><summary>The experiment's file</summary><pre>");
    page_escape (plan->text.data, out);
    buf_text (out, "</pre></details>\n");
}

int sheet_write (const plan_t *plan, const json_t *results, const char *out, err_t *err)
{
    shown_t *shown = calloc (plan->arms_n, sizeof *shown);
    char path[FS_PATH_MAX];
    buf_t body = {0}, page = {0};
    int rc = shown ? 0 : err_set (err, ERR_LIMIT, "no memory for a page");
    for (size_t i = 0; rc == 0 && i < plan->arms_n; i++)
        rc = sheet_read (&shown[i], plan, i, out, err);
    if (rc == 0) {
        table_write (results, TABLE_HTML, &body);
        buf_text (&body, "<h2>Figure</h2>\n");
        figure_draw (results, &body);
        sheet_curves (shown, plan->arms_n, &body);
        sheet_episodes (shown, plan->arms_n, &body);
        sheet_arms (plan, &body);
        report_fill (plan->title, &body, &page);
        rc = buf_check (&page, "report.html", err) == 0 &&
                     fs_join (path, out, "report.html", err) == 0
                 ? fs_write (path, page.data, page.size, err)
                 : -1;
    }
    for (size_t i = 0; shown && i < plan->arms_n; i++) {
        json_decref (shown[i].lines);
        json_decref (shown[i].episodes);
        json_decref (shown[i].tasks);
    }
    free (shown);
    buf_free (&body);
    buf_free (&page);
    return rc;
}

/*  report - see report.h
 *
 *  The page is filled from the folder's files: config.yml says what was asked for, history.jsonl
 *  when and how, metrics.jsonl has the numbers, episodes.jsonl the texts. What is not there yet is
 *  left out.
 */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/decimal.h"
#include "base/embed.h"
#include "base/fs.h"
#include "charts.h"
#include "conf/conf.h"
#include "watch/history.h"
#include "watch/lines.h"
#include "watch/prompts.h"
#include "examples.h"
#include "page.h"
#include "result.h"
#include "rows.h"

EMBED (report_page, "services/cli/report/report.html")

#define EPISODES_SHOWN 6
#define PROMPT_OPEN    1000               /* bytes; a longer one is opened by hand */
#define CONFIG_MAX     ((size_t) 1 << 20) /* as much as conf_load reads */

/*  In the order of the page: first what the team can do, then how it learns, last how fast. A pass
 *  rate is drawn from 0 to 1, so that two runs can be compared by eye. */
static const chart_t report_charts[] = {
    {"eval", "sampled", "held-out pass rate, sampled", "share of tasks", true},
    {"eval", "greedy", "held-out pass rate, greedy", "share of tasks", true},
    {"step", "reward_mean", "joint reward", "R, mean of the episodes", false},
    {"step", "success", "pass rate in training", "share of episodes", true},
    {"step", "quality_mean", "quality", "mean of the episodes", false},
    {"step", "critical_path_tokens", "critical path", "tokens", false},
    {"step", "zero_spread", "groups of one reward: nothing to learn", "share of groups", true},
    {"step", "entropy", "entropy", "nats per token", false},
    {"step", "loss", "loss", "as configured", false},
    {"step", "kl", "KL to the first policy", "nats per token", false},
    {"step", "gradient_norm", "gradient norm", "before it is clipped", false},
    {"step", "clip", "clipped ratios", "share of tokens", false},
    {"step", "clip_cispo", "clipped weights (CISPO)", "share of tokens", false},
    {"step", "truncated", "completions cut by the length limit", "share", false},
    {"step", "lr", "learning rate", "", false},
    {"step", "sampled_tokens_per_s", "tokens sampled", "per second", false},
    {"step", "trained_tokens_per_s", "tokens trained on", "per second", false},
    {"step", "step_s", "time of a step", "seconds", false}};
#define CHARTS (sizeof report_charts / sizeof *report_charts)

typedef struct {
    const char *out;
    json_t *team, *solo; /* lines of metrics.jsonl; solo is empty without a baseline */
    json_t *result;      /* result.json, NULL before the end */
    history_t history;
    conf_t *conf; /* NULL: none is there */
    buf_t config; /* its text */
    buf_t unread; /* of which lines nothing is shown; empty: none */
} report_t;

/*  A step has about a hundred numbers, and a run many steps: what no chart and no table shows is
 *  not kept. */
static void report_keep_line (void *lines, json_t *line)
{
    const char *event = json_string_value (json_object_get (line, "event"));
    if (!event || strcmp (event, "step") != 0) {
        json_array_append (lines, line);
        return;
    }
    json_t *kept = json_object (), *value;
    const char *key;
    json_object_foreach (line, key, value) {
        bool wanted = strcmp (key, "event") == 0 || strcmp (key, "step") == 0 ||
                      strcmp (key, "time_s") == 0 || strcmp (key, "wall_s") == 0;
        for (size_t i = 0; !wanted && i < CHARTS; i++)
            wanted = charts_has_key (&report_charts[i], key);
        if (wanted)
            json_object_set (kept, key, value);
    }
    json_array_append_new (lines, kept);
}

static void report_read_lines (report_t *r, const char *file, json_t *lines)
{
    lines_passed_t passed = lines_each (r->out, file, report_keep_line, lines);
    if (passed.n)
        buf_printf (&r->unread, "%s%s: %zu line%s cannot be read, the first is line %zu",
                    r->unread.size ? "; " : "", file, passed.n, passed.n == 1 ? "" : "s",
                    passed.first);
}

/*  Each file may be missing or half written, so none of them is an error here: what it would have
 *  said is left out of the page. */
static void report_read (report_t *r, const char *out)
{
    char path[FS_PATH_MAX];
    *r = (report_t){.out = out, .team = json_array (), .solo = json_array ()};
    report_read_lines (r, "metrics.jsonl", r->team);
    report_read_lines (r, "solo/metrics.jsonl", r->solo);
    history_read (&r->history, out);
    if (fs_join (path, out, "result.json", NULL) == 0)
        r->result = json_load_file (path, 0, NULL);
    if (fs_join (path, out, "config.yml", NULL) == 0 &&
        fs_read (path, CONFIG_MAX, &r->config, NULL) == 0)
        r->conf =
            conf_parse (r->config.data ? r->config.data : "", r->config.size, path, NULL, 0, NULL);
}

static void report_free (report_t *r)
{
    json_decref (r->team);
    json_decref (r->solo);
    json_decref (r->result);
    history_free (&r->history);
    conf_destroy (&r->conf);
    buf_free (&r->config);
    buf_free (&r->unread);
}

/*  ---- what was asked for, when, where -------------------------------------------------------- */

/*  A fact that is not known is no line. */
static void report_fact (buf_t *out, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    buf_printf (out, "<dt>%s</dt><dd>", name);
    page_escape (value, out);
    buf_text (out, "</dd>\n");
}

/*  The same of a text that was made for it, which is freed. */
static void report_fact_text (buf_t *out, const char *name, buf_t *value)
{
    report_fact (out, name, value->data);
    buf_free (value);
}

/*  "2026-03-01 14:05:09 UTC" of a number of seconds; "" of none. The page is sent to people
 *  elsewhere, hence no local time. */
static const char *report_date (const json_t *time_s, char text[32])
{
    time_t seconds = (time_t) json_number_value (time_s);
    struct tm parts;
    text[0] = 0;
    if (json_is_number (time_s) && gmtime_r (&seconds, &parts))
        strftime (text, 32, "%Y-%m-%d %H:%M:%S UTC", &parts);
    return text;
}

/*  The last line of a kind, or NULL. */
static const json_t *report_last (const json_t *lines, const char *event)
{
    for (size_t i = json_array_size (lines); i-- > 0;) {
        const char *kind = json_string_value (json_object_get (json_array_get (lines, i), "event"));
        if (kind && strcmp (kind, event) == 0)
            return json_array_get (lines, i);
    }
    return NULL;
}

/*  A run that was resumed goes on in its file, so the first of a kind is of the very beginning. */
static const json_t *report_first (const json_t *lines, const char *event)
{
    const json_t *line;
    size_t i;
    json_array_foreach (lines, i, line) {
        const char *kind = json_string_value (json_object_get (line, "event"));
        if (kind && strcmp (kind, event) == 0)
            return line;
    }
    return NULL;
}

static long long report_step_of (const json_t *line)
{
    return (long long) json_integer_value (json_object_get (line, "step"));
}

/*  How far it came, and why it came no further. A trainer that was started without `quintet run`
 *  leaves no history, and then its result says whether it came to its end. */
static void report_state (const report_t *r, buf_t *out)
{
    const char *text = json_string_value (json_object_get (r->history.ended, "text"));
    buf_t state = {0};
    buf_printf (&state, "%s: step %lld",
                r->history.started ? history_state (&r->history)
                : r->result        ? "finished"
                                   : "unfinished",
                report_step_of (report_last (r->team, "step")));
    if (r->conf)
        buf_printf (&state, " of %lld", (long long) r->conf->trainer.steps);
    if (json_array_size (r->solo))
        buf_printf (&state, ", single agent: step %lld",
                    report_step_of (report_last (r->solo, "step")));
    if (text && *text)
        buf_printf (&state, ". %s", text);
    report_fact_text (out, "State", &state);
}

/*  Without names of their own all policies say the same. */
static void report_policy_facts (const conf_t *c, const conf_policy_t *p, buf_t *out)
{
    buf_t text = {0};
    char label[96] = "Model";
    if (conf_names_policies (c))
        snprintf (label, sizeof label, "Policy %s", p->name);
    if (conf_is_remote (p)) {
        buf_printf (&text, "%s at %s, not trained", p->model, p->url);
        report_fact_text (out, label, &text);
        return;
    }
    report_fact (out, label, p->path);
    buf_printf (&text, "%s", p->compute);
    if (strcmp (p->adapter, "none") != 0)
        buf_printf (&text, ", %s of rank %lld", p->adapter, (long long) p->lora_rank);
    if (strcmp (p->chat, "none") != 0)
        buf_printf (&text, ", chat format %s", p->chat);
    if (!p->train)
        buf_text (&text, ", not trained");
    else if (conf_names_policies (c))
        buf_printf (&text, ", learning rate %g", p->lr);
    report_fact_text (out, "Computed in", &text);
}

/*  The keys that people compare runs by. */
static void report_conf_facts (const conf_t *c, buf_t *out)
{
    buf_t text = {0};
    for (size_t p = 0; p < (conf_names_policies (c) ? c->policies_n : 1); p++)
        report_policy_facts (c, &c->policies[p], out);
    for (size_t r = 0; r < c->team.roles.n; r++) {
        buf_printf (&text, "%s%s", r ? ", " : "", c->team.roles.item[r]);
        if (conf_names_policies (c))
            buf_printf (&text, " by %s", conf_policy (c, r)->name);
    }
    if (!conf_names_policies (c))
        buf_printf (&text, " (%s)", c->policies_n == 1 ? "one policy for all" : "a policy each");
    report_fact_text (out, "Team", &text);
    buf_printf (&text, "%s%s%s", c->task.family, *c->task.path ? ", " : ", built in: ",
                *c->task.path ? c->task.path : c->task.style);
    report_fact_text (out, "Tasks", &text);
    report_fact (out, "Environment", c->task.program);
    report_fact (out, "Scorer", c->reward.command);
    conf_judge (c, &text);
    report_fact_text (out, "Judge", &text);
    buf_printf (&text, "%lld steps of %lld groups of %lld episodes, temperature %g",
                (long long) c->trainer.steps, (long long) c->trainer.groups,
                (long long) c->trainer.group_size, c->trainer.temperature);
    report_fact_text (out, "Training", &text);
    buf_printf (&text, "%s per %s, credit %s, learning rate %g (%s)", c->loss.type, c->loss.level,
                c->loss.credit, c->trainer.lr, c->trainer.schedule);
    report_fact_text (out, "Loss", &text);
    buf_printf (&text, "R = %g quality + %g speed - %g cost", c->reward.quality, c->reward.speed,
                c->reward.cost);
    report_fact_text (out, "Reward", &text);
    buf_printf (&text, "%lld%s", (long long) c->run.seed,
                conf_reproducible (c) ? "" : "; " RESULT_NOT_REPRODUCIBLE);
    report_fact_text (out, "Seed", &text);
}

/*  Both trainers' wall-clock, from their own files: it goes on over stops and restarts. */
static void report_times (const report_t *r, buf_t *out)
{
    const json_t *team = report_last (r->team, "step"), *solo = report_last (r->solo, "step");
    const json_t *first = json_object_get (r->result, "first_step_s");
    const json_t *wall = json_object_get (r->result, "wall_s");
    buf_t text = {0};
    /* There is no result before the end: the newest step knows the time as well. */
    if (!json_is_number (wall))
        wall = json_object_get (team, "wall_s");
    if (!json_is_number (wall))
        return;
    buf_printf (&text, "team %.1f s", json_number_value (wall));
    if (json_is_number (first))
        buf_printf (&text, " (first optimiser step after %.1f s)", json_number_value (first));
    if (json_is_number (json_object_get (solo, "wall_s")))
        buf_printf (&text, ", single agent %.1f s",
                    json_number_value (json_object_get (solo, "wall_s")));
    report_fact_text (out, "Time", &text);
}

static void report_facts (const report_t *r, buf_t *out)
{
    const json_t *s = r->history.started;
    char date[32];
    buf_t text = {0};
    buf_text (out, "<dl>\n");
    report_state (r, out);
    /* Without a history, the first line of the metrics is nearest to the start. */
    buf_printf (
        &text, "%s",
        report_date (json_object_get (s ? s : json_array_get (r->team, 0), "time_s"), date));
    if (r->history.starts > 1)
        buf_printf (&text, ", start number %zu", r->history.starts);
    report_fact_text (out, "Started", &text);
    report_fact (
        out, "Last written",
        report_date (
            json_object_get (json_array_get (r->team, json_array_size (r->team) - 1), "time_s"),
            date));
    report_times (r, out);
    report_fact (out, "Not shown", r->unread.data);
    if (r->conf)
        report_conf_facts (r->conf, out);
    report_fact (out, "Host", json_string_value (json_object_get (s, "host")));
    report_fact (out, "Quintet", json_string_value (json_object_get (s, "version")));
    report_fact (out, "Command", json_string_value (json_object_get (s, "command")));
    buf_text (out, "</dl>\n");
    if (!r->config.size)
        return;
    buf_text (out, "<details><summary>The whole configuration</summary><pre>");
    /* A copy of the file, since the facts above are only a choice of its keys. */
    page_escape (r->config.data, out);
    buf_text (out, "</pre></details>\n");
}

/*  ---- tables --------------------------------------------------------------------------------- */

/*  The trainer writes an interval beside a rate and beside nothing else, so its two keys say
 *  whether there is one. */
static void report_cell (const json_t *line, const char *key, int digits, buf_t *out)
{
    char low[64], high[64];
    const json_t *value = json_object_get (line, key);
    snprintf (low, sizeof low, "%s_low", key);
    snprintf (high, sizeof high, "%s_high", key);
    const json_t *from = json_object_get (line, low), *to = json_object_get (line, high);
    buf_text (out, "<td>");
    if (json_is_number (value))
        buf_text (out, DECIMAL (json_number_value (value), digits));
    if (json_is_number (from) && json_is_number (to))
        buf_printf (out, " <span class=\"interval\">[%s, %s]</span>",
                    DECIMAL (json_number_value (from), 3), DECIMAL (json_number_value (to), 3));
    buf_text (out, "</td>");
}

/*  The first and the newest evaluation of one trainer. What neither measured is no row. */
static void report_table (const char *title, const json_t *lines, buf_t *out)
{
    row_t rows[ROWS_MAX];
    const json_t *before = report_first (lines, "eval"), *after = report_last (lines, "eval");
    if (!before)
        return;
    size_t n = rows_of (after, rows);
    double samples = json_number_value (json_object_get (after, "samples"));
    buf_printf (out, "<table><tr><th>%s, %.0f tasks", title,
                json_number_value (json_object_get (after, "n")));
    if (samples > 1)
        buf_printf (out, " x %.0f samples", samples);
    buf_printf (out, "</th><th>step %lld</th>", report_step_of (before));
    /* One evaluation alone is its own first and newest: one column. */
    if (after != before)
        buf_printf (out, "<th>step %lld</th>", report_step_of (after));
    buf_text (out, "</tr>\n");
    for (size_t i = 0; i < n; i++) {
        if (!json_is_number (json_object_get (before, rows[i].key)) &&
            !json_is_number (json_object_get (after, rows[i].key)))
            continue;
        buf_printf (out, "<tr><td>%s</td>", rows[i].label);
        report_cell (before, rows[i].key, rows[i].digits, out);
        if (after != before)
            report_cell (after, rows[i].key, rows[i].digits, out);
        buf_text (out, "</tr>\n");
    }
    buf_text (out, "</table>\n");
    char lost[ROWS_LOST];
    if (*rows_lost (after != before ? before : NULL, after, lost))
        buf_printf (out, "<p class=\"faint\">%s</p>\n", lost);
}

static void report_tables (const report_t *r, buf_t *out)
{
    buf_text (out, "<h2>Held-out tasks</h2>\n");
    if (!report_first (r->team, "eval")) {
        buf_text (out, "<p>No evaluation yet.</p>\n");
        return;
    }
    buf_text (out, "<div class=\"tables\">\n");
    report_table ("Team", r->team, out);
    report_table ("Single agent", r->solo, out);
    buf_text (out, "</div>\n<p class=\"faint\">In brackets: the 95% interval (Wilson).</p>\n");
}

/*  ---- curves --------------------------------------------------------------------------------- */

/*  A chart that nothing was measured for is named, so that nobody looks for it. */
static void report_curves (const report_t *r, buf_t *out)
{
    const chart_lines_t lines[] = {{"solo", 0, r->solo}, {"team", 0, r->team}};
    buf_t missing = {0};
    buf_text (out, "<h2>Training</h2>\n<p class=\"key\"><span class=\"team\">&#9632; team</span>");
    buf_text (out, json_array_size (r->solo)
                       ? " <span class=\"solo\">&#9632; single agent</span></p>\n"
                       : "</p>\n");
    buf_text (out, "<div class=\"plots\">\n");
    for (size_t i = 0; i < CHARTS; i++)
        if (!charts_draw (&report_charts[i], lines, 2, out))
            buf_printf (&missing, "%s%s", missing.size ? ", " : "", report_charts[i].title);
    buf_text (out, "</div>\n");
    if (missing.size)
        buf_printf (out, "<p class=\"faint\">Not measured: %s.</p>\n", missing.data);
    buf_free (&missing);
}

/*  ---- episodes ------------------------------------------------------------------------------- */

/*  The class is ours; label and text are words of others. */
static void report_words (const char *class, const char *label, const char *text, buf_t *out)
{
    buf_text (out, "<span class=\"role\">");
    page_escape (label, out);
    buf_printf (out, "</span><pre class=\"%s\">", class);
    page_escape (text, out);
    buf_text (out, "</pre>");
}

/*  A long prompt is folded, or the answer below it would be off the screen. */
static void report_action (const json_t *action, size_t turn, size_t turns, buf_t *out)
{
    const char *role = json_string_value (json_object_get (action, "role")),
               *prompt = json_string_value (json_object_get (action, "prompt"));
    buf_t label = {0};
    buf_text (&label, role ? role : "");
    if (turns > 1)
        buf_printf (&label, ", turn %zu of %zu", turn + 1, turns);
    if (json_is_true (json_object_get (action, "truncated")))
        buf_text (&label, ", cut by the length limit");
    if (prompt) {
        buf_printf (out, "<details%s><summary class=\"role\">what it was told</summary>",
                    strlen (prompt) <= PROMPT_OPEN ? " open" : "");
        report_words ("prompt", "", prompt, out);
        buf_text (out, "</details>");
    }
    report_words ("", label.data ? label.data : "",
                  json_string_value (json_object_get (action, "text")), out);
    buf_free (&label);
}

/*  What the tools of a turn found. */
static void report_findings (const json_t *turn, size_t t, size_t turns, buf_t *out)
{
    const char *role;
    json_t *found;
    json_object_foreach (json_object_get (turn, "tools"), role, found) {
        buf_t label = {0};
        buf_printf (&label, "%s, found in turn %zu of %zu", role, t + 1, turns);
        report_words ("", label.data ? label.data : "",
                      json_string_value (json_object_get (found, "verdict")), out);
        buf_free (&label);
    }
}

/*  Prompts are worked out here, for the few episodes that are shown: it takes a replay of each. */
void report_episode (json_t *e, buf_t *out)
{
    const json_t *turns = json_object_get (e, "turns"), *turn, *action;
    const json_t *reward = json_object_get (e, "reward");
    bool success = json_is_true (json_object_get (reward, "success"));
    size_t t, a;
    prompts_add (e);
    buf_printf (out, "<div><p class=\"role\">after step %lld, ", report_step_of (e));
    page_escape (json_string_value (json_object_get (e, "phase")), out);
    buf_text (out, "</p>");
    json_array_foreach (turns, t, turn) {
        json_array_foreach (json_object_get (turn, "actions"), a, action)
            report_action (action, t, json_array_size (turns), out);
        report_findings (turn, t, json_array_size (turns), out);
    }
    buf_printf (out, "<p class=\"%s\">reward %.3f: ", success ? "pass" : "fail",
                json_number_value (json_object_get (reward, "reward")));
    page_escape (json_string_value (json_object_get (reward, "verdict")), out);
    buf_text (out, "</p></div>\n");
}

/*  Tasks that training solved come first, then the others, both in the order of the evaluation.
 *  Before the second evaluation there are none, but there may be a step's episode. */
static void report_episodes (const report_t *r, buf_t *out)
{
    json_t *pairs = examples_read (r->out), *newest = examples_newest (r->out), *pair;
    size_t i;
    if (json_array_size (pairs))
        buf_text (out, "<h2>Held-out tasks, before and after</h2>\n"
                       "<p class=\"faint\">Of the first tasks of the evaluation; those that failed "
                       "before and pass now come first.</p>\n");
    json_array_foreach (pairs, i, pair) {
        if (i == EPISODES_SHOWN)
            break;
        buf_text (out, "<h3>");
        page_escape (json_string_value (json_object_get (
                         json_object_get (json_array_get (pair, 0), "task"), "brief")),
                     out);
        buf_text (out, "</h3>\n<div class=\"pair\">");
        report_episode (json_array_get (pair, 0), out);
        report_episode (json_array_get (pair, 1), out);
        buf_text (out, "</div>\n");
    }
    if (newest) {
        buf_text (out, "<h2>The newest episode of the training</h2>\n<h3>");
        page_escape (
            json_string_value (json_object_get (json_object_get (newest, "task"), "brief")), out);
        buf_text (out, "</h3>\n");
        report_episode (newest, out);
    }
    json_decref (newest);
    json_decref (pairs);
}

/*  The body comes last: its texts are other people's, and a mark in them must stay what it is. */
void report_fill (const char *title, const buf_t *body, buf_t *page)
{
    buf_t safe = {0};
    buf_text (&safe, "");
    page_escape (title, &safe);
    buf_text (page, report_page);
    page_fill ("@TITLE@", safe.data ? safe.data : "", page);
    page_fill ("@BODY@", body->data ? body->data : "", page);
    page->failed = page->failed || buf_failed (body);
    buf_free (&safe);
}

/*  One file without links to others, so that it can be sent and kept. */
static int report_put (const report_t *r, err_t *err)
{
    buf_t page = {0}, body = {0};
    char path[FS_PATH_MAX];
    const char *base = strrchr (r->out, '/');
    report_facts (r, &body);
    report_tables (r, &body);
    report_curves (r, &body);
    report_episodes (r, &body);
    /* Without a configuration the folder's name has to do. */
    report_fill (r->conf ? r->conf->run.name : base ? base + 1 : r->out, &body, &page);
    int rc = fs_join (path, r->out, "report.html", err);
    if (rc == 0)
        rc = buf_failed (&page) ? err_set (err, ERR_LIMIT, "no memory for %s", path)
                                : fs_write (path, page.data, page.size, err);
    buf_free (&page);
    buf_free (&body);
    return rc;
}

int report_write (const char *out, buf_t *unread, err_t *err)
{
    report_t report;
    report_read (&report, out);
    int rc = json_array_size (report.team)
                 ? report_put (&report, err)
                 : err_set (err, ERR_INPUT, "%s holds no run: there is no metrics.jsonl with lines",
                            out);
    if (rc == 0 && unread && report.unread.size)
        buf_text (unread, report.unread.data);
    report_free (&report);
    return rc;
}

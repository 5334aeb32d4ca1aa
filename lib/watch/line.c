/*  line - see line.h */
#include "watch/line.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/printable.h"

#define LINE_NUMBERS 6          /* at most, of an event's many */
#define KIND         "service/" /* metric that tells what kind of service it is */

/*  What matters of an event, in this order; "NAME/" stands for all metrics that begin so. */
static const struct {
    wire_event_kind_t kind;
    const char *names[16]; /* NULL ends them */
} line_wanted[] = {
    {WIRE_STEP_OPENED, {"groups", "group_size", "steps"}},
    {WIRE_GROUP_COMMITTED, {"reward", "quality", "success", "tokens", "seconds"}},
    {WIRE_STEP_DONE,
     {"reward_mean", "success", "critical_path_tokens", "zero_spread", "loss", "entropy"}},
    {WIRE_EVAL_DONE, {"n", "sampled", "greedy", "quality", "critical_path_tokens"}},
    {WIRE_SERVICE_STATUS,
     {"steps_done", "version/", "tokens_per_s", "requests_decoding", "requests_waiting",
      "groups_in_flight", "groups_committed", "episodes_scored", "queued", "in_flight", "taps",
      "events_lost", "uptime_s"}}};
#define LINE_WANTED (sizeof line_wanted / sizeof *line_wanted)

/*  "12.3k", "0.432", "17": short enough for six on a line. */
static void line_number (buf_t *out, double value)
{
    double size = fabs (value);
    if (size >= 1e6)
        buf_printf (out, "%.3gM", value / 1e6);
    else if (size >= 1e4)
        buf_printf (out, "%.1fk", value / 1e3);
    else if (size >= 1e3 || fabs (value - round (value)) < 1e-9)
        buf_printf (out, "%.0f", value);
    else
        buf_printf (out, "%.3g", value);
}

/*  Shorter names of the longest: all that is wanted shall fit a line. */
static const char *line_label (const char *name)
{
    static const char *const labels[][2] = {
        {"reward_mean", "reward"},         {"success", "pass"},
        {"critical_path_tokens", "path"},  {"zero_spread", "zero-spread"},
        {"tokens_per_s", "tok/s"},         {"requests_decoding", "decoding"},
        {"requests_waiting", "waiting"},   {"groups_in_flight", "groups"},
        {"groups_committed", "committed"}, {"episodes_scored", "scored"}};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (strcmp (labels[i][0], name) == 0)
            return labels[i][1];
    return name;
}

static void line_add (buf_t *out, const wire_part_t *metric)
{
    buf_printf (out, " %s=", line_label (metric->name));
    line_number (out, metric->value);
}

/*  The first metric of such a beginning stands for all of them. */
static bool line_is (const wire_part_t *metric, const char *wanted)
{
    size_t n = strlen (wanted);
    return wanted[n - 1] == '/' ? strncmp (metric->name, wanted, n) == 0
                                : strcmp (metric->name, wanted) == 0;
}

static void line_numbers (const wire_event_t *e, buf_t *out)
{
    size_t said = 0, kind = 0;
    while (kind < LINE_WANTED && line_wanted[kind].kind != e->kind)
        kind++;
    /* Nobody has said what matters of this kind: the first few, as they come. */
    if (kind == LINE_WANTED) {
        for (size_t i = 0; i < e->metrics_n && i < LINE_NUMBERS; i++)
            line_add (out, &e->metrics[i]);
        return;
    }
    for (const char *const *name = line_wanted[kind].names; *name; name++)
        for (size_t i = 0; i < e->metrics_n && said < LINE_NUMBERS; i++)
            if (line_is (&e->metrics[i], *name)) {
                line_add (out, &e->metrics[i]);
                said++;
                break;
            }
}

/*  Which kind of service sent it, "" when it does not say. */
static const char *line_service (const wire_event_t *e)
{
    if (e->service && *e->service)
        return e->service;
    for (size_t i = 0; e->kind == WIRE_SERVICE_STATUS && i < e->metrics_n; i++)
        if (strncmp (e->metrics[i].name, KIND, sizeof KIND - 1) == 0)
            return e->metrics[i].name + sizeof KIND - 1;
    return "";
}

/*  When it was sent, which is not when it came: one that waited behind a bus that was away is
 *  old. */
double line_sent_s (const wire_event_t *e, double seen_s)
{
    return e->time_us ? (double) e->time_us / 1e6 : seen_s;
}

/*  Of an episode, which is a page of JSON, its verdict. */
static void line_episode (const wire_event_t *e, buf_t *out)
{
    json_t *episode = json_loads (e->text, 0, NULL);
    const json_t *reward = json_object_get (episode, "reward");
    const char *verdict = json_string_value (json_object_get (reward, "verdict"));
    buf_printf (out, " reward=%.3g  %s", json_number_value (json_object_get (reward, "reward")),
                verdict ? verdict : "");
    json_decref (episode);
}

/*  Of a group's trace, whose text is a page of JSON too, what took longest. */
static void line_trace (const wire_event_t *e, buf_t *out)
{
    json_t *trace = json_loads (e->text, 0, NULL);
    const json_t *one, *longest = NULL;
    size_t i;
    json_array_foreach (json_object_get (trace, "spans"), i, one)
        if (json_integer_value (json_object_get (one, "us")) >
            json_integer_value (json_object_get (longest, "us")))
            longest = one;
    const char *name = json_string_value (json_object_get (longest, "name"));
    const char *role = json_string_value (json_object_get (longest, "role"));
    if (name)
        buf_printf (out, " longest: %s%s%s %.1f ms", name, role ? " " : "", role ? role : "",
                    (double) json_integer_value (json_object_get (longest, "us")) / 1e3);
    json_decref (trace);
}

void line_message (const wire_event_t *e, buf_t *out)
{
    if (e->kind != WIRE_SERVICE_STATUS) {
        buf_printf (out, " step %llu", (unsigned long long) e->step);
        /* Training is the usual case, and an evaluation's own event says it by its name. */
        if (e->phase != WIRE_TRAIN && e->kind != WIRE_EVAL_DONE)
            buf_printf (out, " %s", wire_phase_name (e->phase));
    }
    if (e->kind == WIRE_GROUP_COMMITTED || e->kind == WIRE_GROUP_REFUSED ||
        e->kind == WIRE_GROUP_TROUBLE || e->kind == WIRE_GROUP_TRACED)
        buf_printf (out, " group %llu", (unsigned long long) e->group);
    if (e->kind == WIRE_POLICY_PUBLISHED)
        buf_printf (out, " %s version %llu", e->version.policy ? e->version.policy : "",
                    (unsigned long long) e->version.number);
    if (e->kind == WIRE_EPISODE_SHOWN) {
        line_episode (e, out);
        return;
    }
    if (e->kind == WIRE_GROUP_TRACED) {
        line_trace (e, out);
        return;
    }
    if (e->kind == WIRE_SERVICE_STATUS && e->doing && *e->doing)
        buf_printf (out, " %s", e->doing);
    line_numbers (e, out);
    if (e->kind != WIRE_SERVICE_STATUS && e->text && *e->text)
        buf_printf (out, "  %s", e->text);
}

void line_text (const bus_item_t *item, const wire_event_t *e, double seen_s, buf_t *out)
{
    time_t seconds = (time_t) line_sent_s (e, seen_s);
    struct tm parts;
    char clock[16] = "";
    buf_t line = {0};
    /* A status is of no run: the instance stands in that column, and its kind in the next. */
    bool status = e->kind == WIRE_SERVICE_STATUS;
    if (localtime_r (&seconds, &parts))
        strftime (clock, sizeof clock, "%H:%M:%S", &parts);
    buf_printf (&line, "%s %-12.24s %-14s", clock, status ? e->text : e->run,
                status ? line_service (e) : wire_event_name (e->kind));
    if (item->missed)
        buf_printf (&line, " (%llu lost before)", (unsigned long long) item->missed);
    line_message (e, &line);
    printable_cut (out, line.data, line.size, LINE_COLUMNS);
    buf_free (&line);
}

/*  What was not said has no key. */
static void line_add_text (json_t *line, const char *key, const char *text)
{
    if (text && *text)
        json_object_set_new (line, key, json_string (text));
}

void line_json (const bus_item_t *item, const wire_event_t *e, double seen_s, buf_t *out)
{
    buf_t words = {0};
    char boot[24]; /* in letters: a reader of JSON may take numbers for doubles */
    const char *service = line_service (e);
    snprintf (boot, sizeof boot, "%016llx", (unsigned long long) item->boot);
    /* json_pack takes nothing but UTF-8, and a terminal may be what reads it. */
    printable_text (&words, e->text, strlen (e->text), PRINTABLE_LINES);
    json_t *metrics = json_object ();
    for (size_t i = 0; i < e->metrics_n; i++)
        /* JSON has no NAN: what was not measured has no key. */
        if (isfinite (e->metrics[i].value))
            json_object_set_new (metrics, e->metrics[i].name, json_real (e->metrics[i].value));
    json_t *line =
        json_pack ("{s:f, s:s, s:s, s:s, s:I, s:s, s:s, s:I, s:I, s:s, s:I, s:s, s:o}", "seen_s",
                   seen_s, "topic", item->name, "sender", item->sender, "boot", boot, "sequence",
                   (json_int_t) item->sequence, "event", wire_event_name (e->kind), "run", e->run,
                   "step", (json_int_t) e->step, "group", (json_int_t) e->group, "phase",
                   wire_phase_name (e->phase), "missed", (json_int_t) item->missed, "text",
                   words.data ? words.data : "", "metrics", metrics);
    line_add_text (line, "service", service);
    line_add_text (line, "trace", item->trace);
    line_add_text (line, "host", e->host);
    line_add_text (line, "program", e->program);
    line_add_text (line, "doing", e->doing);
    if (e->pid)
        json_object_set_new (line, "pid", json_integer ((json_int_t) e->pid));
    if (e->time_us)
        json_object_set_new (line, "time_s", json_real (line_sent_s (e, seen_s)));
    if (e->version.policy && *e->version.policy)
        json_object_set_new (line, "version",
                             json_pack ("{s:s, s:I}", "policy", e->version.policy, "number",
                                        (json_int_t) e->version.number));
    char *text = json_dumps (line, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION (14));
    buf_text (out, text ? text : "{}");
    free (text);
    buf_free (&words);
    json_decref (line);
}

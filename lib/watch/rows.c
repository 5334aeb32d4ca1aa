/*  rows - see rows.h */
#include "watch/rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/printable.h"

/*  Kept by name, agent-10 after agent-9. NULL: there are too many, or no memory. */
static row_t *rows_place (rows_t *rows, const char *name)
{
    size_t low = 0, high = rows->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strverscmp (rows->row[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < rows->n && strcmp (rows->row[low].name, name) == 0)
        return &rows->row[low];
    if (rows->n == rows->capacity && rows->n < ROWS_MAX) {
        size_t more = rows->n ? 2 * rows->n : 64;
        row_t *grown = realloc (rows->row, more * sizeof *grown);
        rows->row = grown ? grown : rows->row;
        rows->capacity = grown ? more : rows->capacity;
    }
    if (rows->n == rows->capacity) {
        rows->beyond++;
        return NULL;
    }
    memmove (&rows->row[low + 1], &rows->row[low], (rows->n++ - low) * sizeof *rows->row);
    rows->row[low] = (row_t){0};
    snprintf (rows->row[low].name, sizeof rows->row[low].name, "%s", name);
    return &rows->row[low];
}

/*  ---- events --------------------------------------------------------------------------------- */

static bool rows_is (const char *name, const char *one, const char *other)
{
    return strcmp (name, one) == 0 || strcmp (name, other) == 0;
}

static void rows_note_metric (row_t *r, const char *name, double value)
{
    if (strncmp (name, "service/", 8) == 0)
        snprintf (r->kind, sizeof r->kind, "%s", name + 8);
    else if (strncmp (name, "version/", 8) == 0)
        r->version = fmax (isnan (r->version) ? 0 : r->version, value);
    else if (strncmp (name, "took_ms/", 8) == 0)
        for (int k = 0; k < BUS_TOOK; k++)
            r->now.took[k] =
                fabs (strtod (name + 8, NULL) - BUS_TOOK_MS (k)) < 1e-6 ? value : r->now.took[k];
    else if (strcmp (name, "tokens_per_s") == 0)
        r->tokens_per_s = value;
    else if (rows_is (name, "requests_waiting", "queued"))
        r->queue = value;
    else if (rows_is (name, "in_flight", "groups_in_flight"))
        r->in_flight = value;
    else if (strcmp (name, "in_hand") == 0)
        r->in_flight = isnan (r->in_flight) ? value : r->in_flight;
    else if (strcmp (name, "rss_bytes") == 0)
        r->rss = value;
    else if (strcmp (name, "cpu_s") == 0)
        r->now.cpu_s = value;
    else if (strcmp (name, "uptime_s") == 0)
        r->uptime_s = value;
    else if (rows_is (name, "events_missed", "events_dropped") ||
             rows_is (name, "malformed", "damaged") ||
             rows_is (name, "events_lost", "frames_denied") || strcmp (name, "frames_beyond") == 0)
        r->drops += value;
    /* What each kind gets done. */
    else if (rows_is (name, "served", "replies") ||
             rows_is (name, "groups_committed", "steps_done"))
        r->now.done = fmax (r->now.done, value);
}

/*  Totals of a process that was started again say nothing about its rates. */
static void rows_begin_again (row_t *r, uint64_t pid)
{
    r->restarts += r->pid != 0;
    r->pid = pid;
    r->before = r->older = (rows_totals_t){0};
}

static void rows_note_status (rows_t *rows, const wire_event_t *e)
{
    row_t *r = rows_place (rows, e->text);
    if (!r)
        return;
    if (r->pid != e->pid)
        rows_begin_again (r, e->pid);
    else if (r->now.at_ms - r->older.at_ms >= ROWS_SPAN_MS) {
        r->before = r->older.at_ms ? r->older : r->now;
        r->older = r->now;
    }
    r->seen_ms = clock_ms ();
    r->now = (rows_totals_t){.at_ms = r->seen_ms, .cpu_s = NAN};
    r->in_flight = r->queue = r->tokens_per_s = r->version = r->rss = NAN;
    r->drops = 0;
    snprintf (r->host, sizeof r->host, "%s", e->host ? e->host : "");
    snprintf (r->doing, sizeof r->doing, "%s", e->doing && *e->doing ? e->doing : "ready");
    for (size_t i = 0; i < e->metrics_n; i++)
        rows_note_metric (r, e->metrics[i].name, e->metrics[i].value);
}

/*  Of too many runs the one that has ended, or else the first, is forgotten. */
static run_row_t *rows_run (rows_t *rows, const char *name)
{
    size_t i = 0, gone = 0;
    while (i < rows->runs && strcmp (rows->run[i].run, name) != 0)
        i++;
    if (i < rows->runs)
        return &rows->run[i];
    if (rows->runs == ROWS_RUNS_MAX) {
        while (gone < rows->runs && !rows->run[gone].ended)
            gone++;
        gone = gone < rows->runs ? gone : 0;
        memmove (&rows->run[gone], &rows->run[gone + 1], (--rows->runs - gone) * sizeof *rows->run);
    }
    run_row_t *run = &rows->run[rows->runs++];
    *run = (run_row_t){.reward = NAN,
                       .steps = NAN,
                       .steps_per_h = NAN,
                       .sampled_per_s = NAN,
                       .trained_per_s = NAN};
    snprintf (run->run, sizeof run->run, "%s", name);
    return run;
}

static double rows_metric (const wire_event_t *e, const char *name)
{
    for (size_t i = 0; i < e->metrics_n; i++)
        if (strcmp (e->metrics[i].name, name) == 0)
            return e->metrics[i].value;
    return NAN;
}

/*  Steps take about as long as the last few: half of it is the newest's. */
static void rows_note_step (run_row_t *run, const wire_event_t *e)
{
    int64_t now = clock_ms ();
    double per_h = run->step_ms && now > run->step_ms ? 3.6e6 / (double) (now - run->step_ms) : NAN;
    run->steps_per_h = isnan (run->steps_per_h) ? per_h : (run->steps_per_h + per_h) / 2;
    run->step_ms = now;
    run->step = (double) e->step;
    run->reward = rows_metric (e, "reward_mean");
    run->sampled_per_s = rows_metric (e, "sampled_tokens_per_s");
    run->trained_per_s = rows_metric (e, "trained_tokens_per_s");
}

static void rows_note_run (run_row_t *run, const wire_event_t *e)
{
    switch (e->kind) {
    case WIRE_RUN_OPENED:
        run->step = (double) e->step;
        run->steps = rows_metric (e, "steps");
        run->ended = false;
        run->step_ms = 0;
        break;
    case WIRE_STEP_DONE:
        rows_note_step (run, e);
        break;
    case WIRE_RUN_STATE:
        snprintf (run->state, sizeof run->state, "%s", e->text);
        run->ended = strcmp (e->text, "done") == 0;
        break;
    case WIRE_RUN_FAILED:
    case WIRE_RUN_STOPPED:
        snprintf (run->state, sizeof run->state, "%s: %s",
                  e->kind == WIRE_RUN_FAILED ? "failed" : "stopped", e->text);
        run->ended = true;
        break;
    default:
        break;
    }
}

void rows_note (rows_t *rows, const wire_event_t *e)
{
    if (e->kind == WIRE_SERVICE_STATUS)
        rows_note_status (rows, e);
    else if (e->run && *e->run)
        rows_note_run (rows_run (rows, e->run), e);
}

/*  ---- order ---------------------------------------------------------------------------------- */

/*  The upper end of the class that the q-th part of the requests since `before` ends in. */
static double rows_quantile (const row_t *r, double q)
{
    double n = 0, seen = 0;
    for (int k = 0; k < BUS_TOOK; k++)
        n += r->now.took[k] - r->before.took[k];
    for (int k = 0; n > 0 && k < BUS_TOOK; k++) {
        seen += r->now.took[k] - r->before.took[k];
        if (seen >= q * n)
            return BUS_TOOK_MS (k);
    }
    return NAN;
}

static void rows_measure (row_t *r, double newest, int64_t now)
{
    double seconds = (double) (r->now.at_ms - r->before.at_ms) / 1e3;
    bool known = r->before.at_ms && seconds > 0;
    r->done_per_s = known ? (r->now.done - r->before.done) / seconds : NAN;
    r->cpu = known               ? (r->now.cpu_s - r->before.cpu_s) / seconds
             : r->uptime_s > 0.1 ? r->now.cpu_s / r->uptime_s
                                 : NAN;
    r->p50_ms = rows_quantile (r, 0.5);
    r->p99_ms = rows_quantile (r, 0.99);
    r->lag = isnan (r->version) ? NAN : newest - r->version;
    r->silent = now - r->seen_ms > ROWS_QUIET_MS;
}

static double rows_key (const row_t *r, rows_order_t order)
{
    double key = order == ROWS_BY_CPU       ? r->cpu
                 : order == ROWS_BY_MEMORY  ? r->rss
                 : order == ROWS_BY_DONE    ? r->done_per_s
                 : order == ROWS_BY_SLOWEST ? r->p99_ms
                 : order == ROWS_BY_TOKENS  ? r->tokens_per_s
                                            : 0;
    return isnan (key) ? -1 : key;
}

/*  Stable, and rows stand by name: so equal ones do not change places. */
static void rows_insert (rows_t *rows, size_t row, rows_order_t order)
{
    size_t at = rows->shown++;
    double key = rows_key (&rows->row[row], order);
    for (; at > 0 && rows_key (&rows->row[rows->order[at - 1]], order) < key; at--)
        rows->order[at] = rows->order[at - 1];
    rows->order[at] = row;
}

void rows_sort (rows_t *rows, rows_order_t order, const char *filter)
{
    int64_t now = clock_ms ();
    double newest = NAN;
    for (size_t i = 0; i < rows->n; i++)
        newest = fmax (newest, rows->row[i].version);
    rows->shown = 0;
    for (size_t i = 0; i < rows->n; i++) {
        row_t *r = &rows->row[i];
        rows_measure (r, newest, now);
        if (now - r->seen_ms <= ROWS_GONE_MS &&
            (!*filter || strstr (r->name, filter) || strstr (r->kind, filter)))
            rows_insert (rows, i, order);
    }
}

/*  ---- what is shown -------------------------------------------------------------------------- */

static double rows_sum (const rows_t *rows, const char *kind, bool queue)
{
    double sum = 0;
    for (size_t i = 0; i < rows->n; i++) {
        const row_t *r = &rows->row[i];
        double value = queue ? r->queue : r->in_flight;
        if (!r->silent && strcmp (r->kind, kind) == 0 && !isnan (value))
            sum += value;
    }
    return sum;
}

const char *rows_waits (const rows_t *rows)
{
    double acts = rows_sum (rows, "agent", false),
           scores = rows_sum (rows, "reward", false) + rows_sum (rows, "reward", true);
    double groups = rows_sum (rows, "environment", false), queued = rows_sum (rows, "bus", true);
    size_t heard = 0;
    for (size_t i = 0; i < rows->n; i++)
        heard += !rows->row[i].silent;
    if (rows->n && !heard)
        return "nothing is heard: is the bus still there?";
    for (size_t i = 0; i < rows->n; i++)
        if (!rows->row[i].silent && strcmp (rows->row[i].kind, "trainer") == 0 &&
            strstr (rows->row[i].doing, "updat"))
            return "agents wait for the trainer's update";
    return queued > 0   ? "requests wait at the bus: more agents or rewards would help"
           : acts > 0   ? "the trainer waits for agents"
           : scores > 0 ? "the trainer waits for rewards"
           : groups > 0 ? "the trainer waits for environments"
           : rows->runs ? "nobody waits"
                        : "no run on this bus";
}

/*  A number in so many columns; "-" where there is none. */
static void rows_put (buf_t *out, int width, double value, const char *format)
{
    char text[32] = "-";
    if (!isnan (value))
        snprintf (text, sizeof text, format, value);
    buf_printf (out, " %*s", width, text);
}

static void rows_put_count (buf_t *out, int width, double value)
{
    rows_put (out, width,
              value >= 1e6   ? value / 1e6
              : value >= 1e4 ? value / 1e3
                             : value,
              value >= 1e6   ? "%.1fM"
              : value >= 1e4 ? "%.0fk"
              : value >= 100 ? "%.0f"
                             : "%.3g");
}

static void rows_put_time (buf_t *out, double seconds)
{
    char text[32];
    snprintf (text, sizeof text,
              seconds < 600     ? "%.0fs"
              : seconds < 36000 ? "%.0fm"
                                : "%.0fh",
              seconds < 600     ? seconds
              : seconds < 36000 ? seconds / 60
                                : seconds / 3600);
    buf_printf (out, " %7s", text);
}

/*  Names and words are a peer's. */
static void rows_put_text (buf_t *out, size_t width, const char *text)
{
    size_t used = printable_cut (out, text, strlen (text), width);
    buf_printf (out, "%*s", (int) (width - used) + 1, "");
}

static void rows_print_row (const row_t *r, buf_t *out)
{
    rows_put_text (out, 11, r->kind);
    rows_put_text (out, 24, r->name);
    rows_put_text (out, 12, r->host);
    rows_put_text (out, 9, r->silent ? "silent" : r->doing);
    rows_put_count (out, 5, r->in_flight);
    rows_put_count (out, 5, r->queue);
    rows_put_count (out, 6, r->done_per_s);
    rows_put (out, 6, r->p50_ms, "%g");
    rows_put (out, 6, r->p99_ms, "%g");
    rows_put_count (out, 6, r->tokens_per_s);
    rows_put (out, 5, r->version, "%.0f");
    rows_put (out, 3, r->lag, "%.0f");
    rows_put (out, 6, r->rss / 1e6, "%.0f");
    rows_put (out, 4, 100 * r->cpu, "%.0f");
    rows_put_count (out, 5, r->drops);
    rows_put (out, 3, (double) r->restarts, "%.0f");
    rows_put_time (out, r->uptime_s);
}

static void rows_print_run (const run_row_t *run, buf_t *out)
{
    rows_put_text (out, 24, run->run);
    buf_printf (out, "step %.0f", run->step);
    if (!isnan (run->steps))
        buf_printf (out, " of %.0f", run->steps);
    if (!isnan (run->reward))
        buf_printf (out, "  reward %.3f", run->reward);
    if (!isnan (run->steps_per_h) && !run->ended)
        buf_printf (out, "  %.0f steps/h", run->steps_per_h);
    if (!isnan (run->sampled_per_s) && !isnan (run->trained_per_s))
        buf_printf (out, "  tok/s %.0f sampled, %.0f trained", run->sampled_per_s,
                    run->trained_per_s);
    buf_text (out, "  ");
    rows_put_text (out, 40, run->state);
}

/*  Takes the line. Cut at the right, with its blanks. */
static void rows_end_line (buf_t *out, buf_t *line, size_t columns)
{
    while (line->size && line->data[line->size - 1] == ' ')
        line->size--;
    printable_cut (out, line->data, line->size, columns ? columns : SIZE_MAX);
    buf_text (out, "\n");
    buf_clear (line);
}

void rows_print (const rows_t *rows, size_t lines, size_t columns, buf_t *out)
{
    buf_t line = {0};
    for (size_t i = 0; i < rows->runs; i++) {
        rows_print_run (&rows->run[i], &line);
        rows_end_line (out, &line, columns);
    }
    buf_printf (&line, "%zu services; %s", rows->shown, rows_waits (rows));
    rows_end_line (out, &line, columns);
    buf_printf (&line, "%-11s %-24s %-12s %-9s %6s%6s%7s%7s%7s%7s%6s%4s%7s%5s%6s%4s%8s", "SERVICE",
                "NAME", "HOST", "STATE", "FLY", "QUEUE", "DONE/s", "P50ms", "P99ms", "TOK/s",
                "VERS", "LAG", "RSS-MB", "CPU%", "DROPS", "RE", "UPTIME");
    rows_end_line (out, &line, columns);
    size_t used = rows->runs + 2, most = !lines ? rows->shown : lines > used ? lines - used : 0;
    for (size_t i = 0; i < rows->shown && i < most; i++) {
        rows_print_row (&rows->row[rows->order[i]], &line);
        rows_end_line (out, &line, columns);
    }
    buf_free (&line);
}

static json_t *rows_number (double value)
{
    return isfinite (value) ? json_real (value) : json_null ();
}

json_t *rows_json (const rows_t *rows)
{
    json_t *services = json_array (), *runs = json_array ();
    for (size_t i = 0; i < rows->runs; i++) {
        const run_row_t *run = &rows->run[i];
        json_array_append_new (
            runs, json_pack ("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "run", run->run, "state",
                             run->state, "step", rows_number (run->step), "steps",
                             rows_number (run->steps), "reward", rows_number (run->reward),
                             "steps_per_h", rows_number (run->steps_per_h), "sampled_tokens_per_s",
                             rows_number (run->sampled_per_s), "trained_tokens_per_s",
                             rows_number (run->trained_per_s)));
    }
    for (size_t i = 0; i < rows->shown; i++) {
        const row_t *r = &rows->row[rows->order[i]];
        json_array_append_new (
            services,
            json_pack (
                "{s:s, s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
                "s:o, s:I, s:o}",
                "service", r->kind, "name", r->name, "host", r->host, "state",
                r->silent ? "silent" : r->doing, "pid", (json_int_t) r->pid, "in_flight",
                rows_number (r->in_flight), "queue", rows_number (r->queue), "done_per_s",
                rows_number (r->done_per_s), "p50_ms", rows_number (r->p50_ms), "p99_ms",
                rows_number (r->p99_ms), "tokens_per_s", rows_number (r->tokens_per_s), "version",
                rows_number (r->version), "lag", rows_number (r->lag), "rss_bytes",
                rows_number (r->rss), "cpu", rows_number (r->cpu), "drops", rows_number (r->drops),
                "restarts", (json_int_t) r->restarts, "uptime_s", rows_number (r->uptime_s)));
    }
    return json_pack ("{s:o, s:s, s:o}", "runs", runs, "waits", rows_waits (rows), "services",
                      services);
}

void rows_free (rows_t *rows)
{
    free (rows->row);
    *rows = (rows_t){0};
}

/*  show - a trace as a waterfall and as JSON; see trace.h */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "trace.h"

#define SHOW_NAME 36 /* columns of a name, with its indent */
#define SHOW_BAR  20 /* of a bar, at least */

static size_t trace_depth (const trace_t *t, size_t i)
{
    size_t depth = 0;
    for (; t->span[i].parent != TRACE_ROOT; i = t->span[i].parent)
        depth++;
    return depth;
}

static bool trace_is_parent (const trace_t *t, size_t i)
{
    for (size_t k = i + 1; k < t->n; k++)
        if (t->span[k].parent == i)
            return true;
    return false;
}

/*  A queue is empty time, and what has parts of its own stands in their lines. */
static const char *trace_bar (const trace_t *t, size_t i)
{
    bool waits =
        strcmp (t->span[i].name, "queue") == 0 || strncmp (t->span[i].name, "wait ", 5) == 0;
    return waits ? "·" : trace_is_parent (t, i) ? "─" : "█";
}

static void trace_put_name (const trace_t *t, size_t i, buf_t *out)
{
    const trace_span_t *span = &t->span[i];
    buf_t name = {0};
    buf_printf (&name, "%*s%s", (int) (2 * trace_depth (t, i)), "", span->name);
    if (span->turn >= 0)
        buf_printf (&name, ", turn %d", span->turn + 1);
    if (span->tokens >= 0)
        buf_printf (&name, ", %" PRId64 " tokens", span->tokens);
    if (span->refusals > 0)
        buf_printf (&name, ", try %" PRId64, span->refusals + 1);
    /* Names of peers and roles are others'. */
    size_t used = printable_cut (out, name.data, name.size, SHOW_NAME);
    buf_printf (out, "%*s", (int) (SHOW_NAME - used), "");
    buf_free (&name);
}

void trace_waterfall (const trace_t *t, size_t columns, buf_t *out)
{
    int64_t zero = t->span[0].begin_us, all = t->span[0].end_us - zero;
    size_t taken = SHOW_NAME + 24, width = columns > taken + SHOW_BAR ? columns - taken : SHOW_BAR;
    all = all > 0 ? all : 1;
    buf_printf (out, "step %" PRIu64 ", group %" PRIu64 ", episode %" PRIu64 " (%s), trace %s\n\n",
                t->step, t->group, t->episode, wire_phase_name (t->phase), t->id);
    buf_printf (out, "%-*s %10s %10s\n", SHOW_NAME, "", "at ms", "took ms");
    for (size_t i = 0; i < t->n; i++) {
        const trace_span_t *span = &t->span[i];
        int64_t at = span->begin_us - zero, us = span->end_us - span->begin_us;
        size_t from = (size_t) (at * (int64_t) width / all);
        size_t to = (size_t) ((at + us) * (int64_t) width / all);
        from = from < width ? from : width - 1;
        to = to > from ? to : from + 1;
        trace_put_name (t, i, out);
        buf_printf (out, " %10.2f %10.2f  %*s", (double) at / 1e3, (double) us / 1e3, (int) from,
                    "");
        for (size_t c = from; c < to; c++)
            buf_text (out, trace_bar (t, i));
        buf_text (out, "\n");
    }
}

static json_t *trace_span_json (const trace_t *t, size_t i)
{
    const trace_span_t *span = &t->span[i];
    json_t *one = json_pack ("{s:s, s:s, s:I, s:I}", "name", span->name, "service", span->service,
                             "at_us", (json_int_t) (span->begin_us - t->span[0].begin_us), "us",
                             (json_int_t) (span->end_us - span->begin_us));
    if (*span->instance)
        json_object_set_new (one, "instance", json_string (span->instance));
    if (span->parent != TRACE_ROOT)
        json_object_set_new (one, "parent", json_integer ((json_int_t) span->parent));
    if (span->turn >= 0)
        json_object_set_new (one, "turn", json_integer (span->turn));
    if (span->role)
        json_object_set_new (one, "role", json_string (span->role));
    if (span->tokens >= 0)
        json_object_set_new (one, "tokens", json_integer ((json_int_t) span->tokens));
    if (span->refusals > 0)
        json_object_set_new (one, "refusals", json_integer ((json_int_t) span->refusals));
    return one;
}

json_t *trace_json (const trace_t *t)
{
    json_t *spans = json_array ();
    for (size_t i = 0; i < t->n; i++)
        json_array_append_new (spans, trace_span_json (t, i));
    return json_pack ("{s:s, s:s, s:I, s:I, s:I, s:s, s:I, s:o}", "run", t->run, "phase",
                      wire_phase_name (t->phase), "step", (json_int_t) t->step, "group",
                      (json_int_t) t->group, "episode", (json_int_t) t->episode, "trace", t->id,
                      "time_us", (json_int_t) t->span[0].begin_us, "spans", spans);
}

/*  otlp - a trace as OpenTelemetry has it; see trace.h */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "trace.h"

#define OTLP_SPAN_SIZE 17 /* a span's id: 8 bytes in letters */

/*  Of opentelemetry/proto/trace/v1/trace.proto. */
enum { OTLP_INTERNAL = 1, OTLP_SERVER = 2, OTLP_CLIENT = 3 };

/*  A function of what it is, so that the same trace sent twice is one. */
static const char *otlp_span_id (const trace_t *t, size_t i, char id[OTLP_SPAN_SIZE])
{
    char name[128], hex[HASH_HEX_SIZE];
    int n = snprintf (name, sizeof name, "%s/%" PRIu64 "/%zu", t->id, t->episode, i);
    hash_t hash = hash_of (name, (size_t) n);
    snprintf (id, OTLP_SPAN_SIZE, "%.16s", hash_hex (&hash, hex));
    return id;
}

static void otlp_add_text (json_t *attributes, const char *key, const char *text)
{
    if (text && *text)
        json_array_append_new (
            attributes, json_pack ("{s:s, s:{s:s}}", "key", key, "value", "stringValue", text));
}

static void otlp_add_number (json_t *attributes, const char *key, int64_t value)
{
    char text[24];
    snprintf (text, sizeof text, "%" PRId64, value);
    if (value >= 0)
        json_array_append_new (attributes,
                               json_pack ("{s:s, s:{s:s}}", "key", key, "value", "intValue", text));
}

/*  What was asked of somebody is a client's, what that one did a server's. */
static int otlp_kind (const trace_t *t, size_t i)
{
    const trace_span_t *span = &t->span[i];
    if (strcmp (span->service, "environment") != 0) {
        bool answers = span->parent != TRACE_ROOT && *span->instance &&
                       strcmp (t->span[span->parent].service, "environment") == 0;
        return answers ? OTLP_SERVER : OTLP_INTERNAL;
    }
    for (size_t k = i + 1; k < t->n; k++)
        if (t->span[k].parent == i)
            return OTLP_CLIENT;
    return OTLP_INTERNAL;
}

static json_t *otlp_span (const trace_t *t, size_t i)
{
    const trace_span_t *span = &t->span[i];
    char id[OTLP_SPAN_SIZE], begin[24], end[24];
    json_t *attributes = json_array ();
    snprintf (begin, sizeof begin, "%" PRId64 "000", span->begin_us);
    snprintf (end, sizeof end, "%" PRId64 "000", span->end_us);
    otlp_add_number (attributes, "quintet.turn", span->turn);
    otlp_add_text (attributes, "quintet.role", span->role);
    otlp_add_number (attributes, "quintet.tokens", span->tokens);
    if (span->refusals > 0)
        otlp_add_number (attributes, "quintet.refusals", span->refusals);
    if (span->parent == TRACE_ROOT) {
        otlp_add_text (attributes, "quintet.run", t->run);
        otlp_add_text (attributes, "quintet.phase", wire_phase_name (t->phase));
        otlp_add_number (attributes, "quintet.step", (int64_t) t->step);
        otlp_add_number (attributes, "quintet.group", (int64_t) t->group);
        otlp_add_number (attributes, "quintet.episode", (int64_t) t->episode);
    }
    json_t *one = json_pack ("{s:s, s:s, s:s, s:i, s:s, s:s, s:o, s:{}}", "traceId", t->id,
                             "spanId", otlp_span_id (t, i, id), "name", span->name, "kind",
                             otlp_kind (t, i), "startTimeUnixNano", begin, "endTimeUnixNano", end,
                             "attributes", attributes, "status");
    if (span->parent != TRACE_ROOT)
        json_object_set_new (one, "parentSpanId", json_string (otlp_span_id (t, span->parent, id)));
    return one;
}

static bool otlp_same_resource (const trace_span_t *a, const trace_span_t *b)
{
    return strcmp (a->service, b->service) == 0 && strcmp (a->instance, b->instance) == 0;
}

/*  All spans of the service that the i-th is of. */
static json_t *otlp_resource (const trace_t *t, size_t i)
{
    json_t *spans = json_array (), *attributes = json_array ();
    otlp_add_text (attributes, "service.name", t->span[i].service);
    otlp_add_text (attributes, "service.namespace", "quintet");
    otlp_add_text (attributes, "service.instance.id", t->span[i].instance);
    otlp_add_text (attributes, "service.version", QUINTET_VERSION);
    for (size_t k = i; k < t->n; k++)
        if (otlp_same_resource (&t->span[i], &t->span[k]))
            json_array_append_new (spans, otlp_span (t, k));
    return json_pack ("{s:{s:o}, s:[{s:{s:s, s:s}, s:o}]}", "resource", "attributes", attributes,
                      "scopeSpans", "scope", "name", "quintet", "version", QUINTET_VERSION, "spans",
                      spans);
}

json_t *trace_otlp (const trace_t *t)
{
    json_t *resources = json_array ();
    for (size_t i = 0; i < t->n; i++) {
        size_t k = 0;
        while (k < i && !otlp_same_resource (&t->span[i], &t->span[k]))
            k++;
        if (k == i)
            json_array_append_new (resources, otlp_resource (t, i));
    }
    return json_pack ("{s:o}", "resourceSpans", resources);
}

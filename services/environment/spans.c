/*  spans - see spans.h */
#include "spans.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"

#define SPANS_FIRST 8

void spans_begin (spans_t *spans, int64_t now_us)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    spans->begin_us = now_us;
    spans->time_us = (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

void spans_add (spans_t *spans, span_t *span)
{
    if (spans->n == spans->capacity && spans->n < SPANS_MAX) {
        size_t capacity = spans->capacity ? 2 * spans->capacity : SPANS_FIRST;
        span_t *grown = realloc (spans->span, capacity * sizeof *grown);
        spans->span = grown ? grown : spans->span;
        spans->capacity = grown ? capacity : spans->capacity;
    }
    if (spans->n < spans->capacity) {
        spans->span[spans->n++] = *span;
    } else {
        spans->left_out++;
        free (span->episodes);
    }
    span->episodes = NULL;
}

const char *spans_trace (const wire_group_t *group, char trace[SPANS_TRACE_SIZE])
{
    char name[512], hex[HASH_HEX_SIZE];
    int n = snprintf (name, sizeof name, "%s/%s/%" PRIu64 "/%" PRIu64, group->run,
                      wire_phase_name (group->phase), group->step, group->group);
    hash_t hash = hash_of (name, (size_t) n < sizeof name ? (size_t) n : sizeof name - 1);
    snprintf (trace, SPANS_TRACE_SIZE, "%.32s", hash_hex (&hash, hex));
    return trace;
}

static void spans_set (json_t *object, const char *key, uint64_t value)
{
    if (value)
        json_object_set_new (object, key, json_integer ((json_int_t) value));
}

static json_t *spans_one (const spans_t *spans, const span_t *span)
{
    json_t *one = json_pack ("{s:s, s:I, s:I}", "name", span->name, "at_us",
                             (json_int_t) (span->begin_us - spans->begin_us), "us",
                             (json_int_t) (span->end_us - span->begin_us));
    if (*span->role)
        json_object_set_new (one, "role", json_string (span->role));
    if (*span->peer)
        json_object_set_new (one, "peer", json_string (span->peer));
    json_object_set_new (one, "turn", json_integer ((json_int_t) span->turn));
    spans_set (one, "waited_us", span->waited_us);
    spans_set (one, "took_us", span->took_us);
    spans_set (one, "decode_us", span->decode_us);
    spans_set (one, "refusals", span->refusals);
    if (span->episodes) {
        json_t *list = json_array ();
        for (size_t i = 0; i < span->episodes_n; i++)
            json_array_append_new (list, json_integer ((json_int_t) span->episodes[i]));
        json_object_set_new (one, "episodes", list);
    }
    return one;
}

void spans_json (const spans_t *spans, const wire_group_t *group, const char *service, buf_t *out)
{
    char trace[SPANS_TRACE_SIZE];
    json_t *roles = json_array ();
    size_t left_out = spans->left_out;
    for (size_t r = 0; r < group->roles_n; r++)
        json_array_append_new (roles, json_string (group->roles[r].name));
    json_t *head = json_pack ("{s:s, s:s, s:I, s:I, s:o}", "trace", spans_trace (group, trace),
                              "service", service, "time_us", (json_int_t) spans->time_us,
                              "episodes", (json_int_t) group->episodes, "roles", roles);
    char *text = json_dumps (head, JSON_COMPACT);
    /* Without its last bracket: the list follows. */
    buf_printf (out, "%.*s,\"spans\":[", text ? (int) strlen (text) - 1 : 0, text ? text : "");
    free (text);
    for (size_t i = 0; i < spans->n; i++) {
        json_t *one = spans_one (spans, &spans->span[i]);
        text = json_dumps (one, JSON_COMPACT);
        if (text && out->size + strlen (text) < SPANS_BYTES_MAX)
            buf_printf (out, "%s%s", i > 0 ? "," : "", text);
        else
            left_out++;
        free (text);
        json_decref (one);
    }
    buf_printf (out, "],\"left_out\":%zu}", left_out);
    json_decref (head);
}

void spans_free (spans_t *spans)
{
    for (size_t i = 0; i < spans->n; i++)
        free (spans->span[i].episodes);
    free (spans->span);
    *spans = (spans_t){0};
}

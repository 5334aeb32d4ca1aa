/*  spans - where the time of a group went: what was asked of whom, how long that waited and took.
 *
 *      spans_begin (&spans, clock_us ());                              the group was claimed
 *      span_t span = {.name = "act", .role = "main", .begin_us = sent_us, .end_us = clock_us ()};
 *      spans_add (&spans, &span);
 *      spans_json (&spans, &group, "environment-1", &out);
 *      spans_free (&spans);
 *
 *  For people alone: nothing of a group depends on it, and what there is no memory for is left out
 *  and counted. Times are of clock_us.
 */
#ifndef QUINTET_ENVIRONMENT_SPANS_H
#define QUINTET_ENVIRONMENT_SPANS_H

#include <stdint.h>

#include "base/buf.h"
#include "wire/wire.h"

#define SPANS_MAX        128
#define SPANS_BYTES_MAX  60000 /* of their JSON, which must fit an event */
#define SPANS_TRACE_SIZE 33    /* a trace's id: 16 bytes in letters */

typedef struct {
    const char *name; /* a constant: "act", "tool", "step", "score", "store", "commit" */
    char role[64];    /* or tool; "": none */
    unsigned turn;
    char peer[64]; /* who answered; "": nobody was asked */
    int64_t begin_us, end_us;
    uint64_t waited_us; /* on its way to the peer, */
    uint64_t took_us;   /* and there, */
    uint64_t decode_us; /* of it decoding */
    unsigned refusals;  /* by others, before */
    uint32_t *episodes; /* it was for; NULL: for all */
    size_t episodes_n;
} span_t;

typedef struct {
    span_t *span;
    size_t n, capacity, left_out;
    int64_t begin_us;
    uint64_t time_us; /* the same by the wall clock, since 1970 */
} spans_t;

void spans_begin (spans_t *spans, int64_t now_us);
/*  Takes span->episodes over. */
void spans_add (spans_t *spans, span_t *span);
/*  The id under which all of a group's spans are told: a function of its name alone. */
const char *spans_trace (const wire_group_t *group, char trace[SPANS_TRACE_SIZE]);
/*  {"trace", "service", "time_us", "episodes", "roles", "spans": [...]}; times of spans in
 *  microseconds since time_us. */
void spans_json (const spans_t *spans, const wire_group_t *group, const char *service, buf_t *out);
void spans_free (spans_t *spans);

#endif

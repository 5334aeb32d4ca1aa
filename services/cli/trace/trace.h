/*  trace - the way of one episode through the services, from what its run keeps of it.
 *
 *      trace_t *trace = trace_read ("runs/coding/12/3/0", WIRE_TRAIN, &err);
 *      for (size_t i = 0; i < trace->n; i++) show (&trace->span[i]);
 *      trace_destroy (&trace);
 *
 *  traces.jsonl (services/trainer/traces.h) has a line for each group, whose requests the episodes
 *  of it share; here they are what they were to one of these.
 */
#ifndef QUINTET_CLI_TRACE_H
#define QUINTET_CLI_TRACE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fs.h"
#include "wire/wire.h"

#define TRACE_ROOT SIZE_MAX /* the parent of the first */

/*  Something that took time. Times are microseconds since 1970, by the environment's clock. */
typedef struct {
    char name[96];
    const char *service; /* "environment", "agent", "bus" ... */
    char instance[64];   /* of it; "": not known */
    int64_t begin_us, end_us;
    size_t parent;            /* its number, or TRACE_ROOT */
    int turn;                 /* -1: of none */
    const char *role;         /* or NULL */
    int64_t tokens, refusals; /* -1: not known; 0: none */
} trace_span_t;

typedef struct {
    char run[FS_PATH_MAX]; /* folder */
    char id[33];           /* 16 bytes in letters */
    wire_phase_t phase;
    uint64_t step, group, episode;
    trace_span_t *span;
    size_t n;
    json_t *line; /* what was read, which roles point into */
} trace_t;

/*  place: FOLDER/STEP/GROUP/EPISODE, as in completions.jsonl. ERR_CONFIG: it names none; ERR_INPUT:
 *  the run has no such episode, and which ones it has. */
trace_t *trace_read (const char *place, wire_phase_t phase, err_t *err);
void trace_destroy (trace_t **trace);

/*  A line for each, with a bar; columns: of the whole line. */
void trace_waterfall (const trace_t *trace, size_t columns, buf_t *out);
/*  {"run", "phase", "step", "group", "episode", "trace", "spans": [...]}. */
json_t *trace_json (const trace_t *trace);
/*  OpenTelemetry's TracesData in the JSON mapping of OTLP 1.x (opentelemetry.io/docs/specs/otlp):
 *  ids in hexadecimal, 64-bit numbers as text, enumerators as numbers. */
json_t *trace_otlp (const trace_t *trace);

#endif

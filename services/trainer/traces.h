/*  traces - where the time of a run's groups went, as environments tell it: traces.jsonl.
 *
 *      traces_opened (&traces, WIRE_TRAIN, 12);                groups may be claimed from now on
 *      traces_keep (&traces, folder, event);                   of a group that was committed
 *
 *  A line is what services/environment/spans.h says, with "phase", "step", "group" and "opened_us"
 *  (microseconds since 1970; left out where it is not known) before it. Of a group that was played
 *  again, such as after a resume, the last line counts. Nothing of the run depends on the file, so
 *  what cannot be written is only logged; the newest TRACES_BYTES and the as many before are kept,
 *  those in traces.1.jsonl.
 */
#ifndef QUINTET_TRAINER_TRACES_H
#define QUINTET_TRAINER_TRACES_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

#define TRACES_FILE   "traces.jsonl"
#define TRACES_OLDER  "traces.1.jsonl"
#define TRACES_BYTES  ((long) 32 << 20)
#define TRACES_OPENED 16 /* steps and phases whose time is remembered */

typedef struct {
    struct {
        wire_phase_t phase;
        uint64_t step, time_us;
    } opened[TRACES_OPENED]; /* a ring */
    size_t next;
    bool failed; /* told once */
} traces_t;

void traces_opened (traces_t *traces, wire_phase_t phase, uint64_t step);
void traces_keep (traces_t *traces, const char *folder, const wire_event_t *event);

#endif

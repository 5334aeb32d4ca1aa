/*  live - what people see of a run while it goes: a screen that is drawn in place, lines, or JSON.
 *
 *      live_t *live = live_new (LIVE_SCREEN, &err);
 *      live_begin (live, "team", "coding", steps, 0);
 *      live_event (live, event);                       every event of the bus
 *      live_draw (live);                               a few times a second
 *      live_destroy (&live);                           the cursor is back
 */
#ifndef QUINTET_CLI_LIVE_H
#define QUINTET_CLI_LIVE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "wire/wire.h"

typedef enum {
    LIVE_SCREEN, /* a terminal: drawn in place */
    LIVE_LINES,  /* one line per step and evaluation */
    LIVE_JSON    /* one object per line */
} live_mode_t;

typedef struct live live_t;

live_t *live_new (live_mode_t mode, err_t *err);
void live_destroy (live_t **live);

/*  The next trainer is that part of so many: the team, then the single agent. */
void live_parts (live_t *live, size_t part, size_t parts);
/*  A trainer starts: who it trains ("team", "solo"), its run id, its steps, and the step that it
 *  goes on from. */
void live_begin (live_t *live, const char *who, const char *run, size_t steps, size_t from);
/*  A line of metrics.jsonl of what the trainer goes on from, in the file's order: the curve begins
 *  with it. Steps that will be done again are left out. */
void live_past (void *live, json_t *line); /* live_t *live; as result_each calls it */
/*  All services answer on the bus at this address. */
void live_ready (live_t *live, double seconds, const char *bus);
/*  A service, or with the step that it goes on from a trainer, is started again. */
void live_restart (live_t *live, const char *name, const char *why, const size_t *step);
/*  What is waited for; said again when it is another text. */
void live_waits (live_t *live, const char *text);
/*  Events of other runs are left out. */
void live_event (live_t *live, const wire_event_t *event);
void live_draw (live_t *live);
/*  Draws the view for the last time, without the episode, and goes below it, for what is printed
 *  next. */
void live_leave (live_t *live);

#endif

/*  history - OUT/history.jsonl: when, how and where a run was started, and how each start ended.
 *
 *      history_begin (out, command, &fd, &err);
 *      history_end (fd, HISTORY_STOPPED, "");
 *      history_read (&history, out);                        by whoever wants to know
 *
 *  One object per line: {"event": "started", "time_s", "command", "host", "pid", "version"} and
 *  {"event": "ended", "time_s", "how", "text"}. Who works there holds the file locked. It is for
 *  people: that it cannot be written ends no run.
 */
#ifndef QUINTET_WATCH_HISTORY_H
#define QUINTET_WATCH_HISTORY_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

typedef enum { HISTORY_FINISHED, HISTORY_STOPPED, HISTORY_FAILED } history_end_t;

typedef struct {
    json_t *started, *ended; /* the last start, and its end; NULL where there is none */
    size_t starts;
    bool locked; /* somebody works there */
} history_t;

/*  Refused where another process works in the folder. */
int history_check (const char *out, err_t *err);
/*  opened becomes what history_end closes, -1 where nothing can be written. Refused as
 *  above, with nothing written. */
int history_begin (const char *out, const char *command, int *opened, err_t *err);
void history_end (int fd, history_end_t how, const char *text);

void history_read (history_t *history, const char *out);
void history_free (history_t *history);

/*  "running", "finished", "stopped", "failed", or "killed": it never said how it ended, and nobody
 *  works there. */
const char *history_state (const history_t *history);

#endif

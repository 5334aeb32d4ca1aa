/*  traces - see traces.h */
#include "traces.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/fs.h"
#include "base/log.h"

static uint64_t traces_now_us (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

void traces_opened (traces_t *traces, wire_phase_t phase, uint64_t step)
{
    size_t at = traces->next++ % TRACES_OPENED;
    traces->opened[at].phase = phase;
    traces->opened[at].step = step;
    traces->opened[at].time_us = traces_now_us ();
}

/*  0: not known. The newest counts: a step may be opened again for groups that are resampled. */
static uint64_t traces_opened_us (const traces_t *traces, const wire_event_t *event)
{
    uint64_t found = 0;
    for (size_t i = 0; i < TRACES_OPENED; i++)
        if (traces->opened[i].time_us > found && traces->opened[i].phase == event->phase &&
            traces->opened[i].step == event->step)
            found = traces->opened[i].time_us;
    return found;
}

/*  NULL: what the event says is no JSON. */
static char *traces_line (const traces_t *traces, const wire_event_t *event)
{
    json_t *trace = json_loads (event->text, 0, NULL);
    json_t *line = json_pack ("{s:s, s:I, s:I}", "phase", wire_phase_name (event->phase), "step",
                              (json_int_t) event->step, "group", (json_int_t) event->group);
    uint64_t opened_us = traces_opened_us (traces, event);
    if (opened_us)
        json_object_set_new (line, "opened_us", json_integer ((json_int_t) opened_us));
    char *text = trace && json_object_update_missing (line, trace) == 0
                     ? json_dumps (line, JSON_COMPACT)
                     : NULL;
    json_decref (line);
    json_decref (trace);
    return text;
}

static int traces_append (const char *folder, const char *line, err_t *err)
{
    char path[FS_PATH_MAX], older[FS_PATH_MAX];
    if (fs_join (path, folder, TRACES_FILE, err) != 0 ||
        fs_join (older, folder, TRACES_OLDER, err) != 0)
        return -1;
    FILE *file = fopen (path, "ae");
    int rc = file && fprintf (file, "%s\n", line) > 0 ? 0 : -1;
    bool full = file && ftell (file) > TRACES_BYTES;
    if (file && fclose (file) != 0)
        rc = -1;
    if (rc == 0 && full)
        rc = rename (path, older);
    return rc == 0 ? 0 : err_errno (err, ERR_IO, "%s: cannot write", path);
}

void traces_keep (traces_t *traces, const char *folder, const wire_event_t *event)
{
    err_t err = {0};
    char *line = traces_line (traces, event);
    if (line && traces_append (folder, line, &err) != 0) {
        if (!traces->failed)
            log_err ("trace.not_kept", &err);
        traces->failed = true;
    }
    free (line);
}

/*  history - see history.h */
#include "watch/history.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "watch/folder.h"
#include "watch/lines.h"

#define HISTORY_LOCK_MS 500

/*  In the order of history_end_t. */
static const char *const history_names[] = {"finished", "stopped", "failed"};

static double history_now_s (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (double) now.tv_sec + (double) (now.tv_nsec / 1000000) / 1000;
}

/*  A line that a full disk does not take is lost, and nothing else. */
static void history_append (int fd, json_t *line)
{
    char *text = json_dumps (line, JSON_COMPACT);
    if (text)
        dprintf (fd, "%s\n", text);
    free (text);
    json_decref (line);
}

/*  Who works in the folder, as its last start says. */
static int history_refuse (const char *out, err_t *err)
{
    history_t history;
    history_read (&history, out);
    const char *host = json_string_value (json_object_get (history.started, "host"));
    err_set (err, ERR_CONFIG,
             "%.600s: another run (process %lld on %.100s) works in this folder: wait for it, stop "
             "it, or name another one with --out",
             out, (long long) json_integer_value (json_object_get (history.started, "pid")),
             host ? host : "an unknown host");
    history_free (&history);
    return -1;
}

int history_check (const char *out, err_t *err)
{
    if (folder_locked (out, FOLDER_HISTORY))
        return history_refuse (out, err);
    /* A trainer that was started by hand has no history, but a lock of its own
       (services/trainer/rundir.c). */
    if (folder_locked (out, FOLDER_TRAINER))
        return err_set (err, ERR_CONFIG,
                        "%s: a trainer works in this folder: wait for it, stop it, or name another "
                        "one with --out",
                        out);
    return 0;
}

int history_begin (const char *out, const char *command, int *opened, err_t *err)
{
    char path[FS_PATH_MAX], host[256] = "";
    *opened = -1;
    int fd = fs_join (path, out, FOLDER_HISTORY, NULL) == 0
                 ? open (path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644)
                 : -1;
    if (fd < 0)
        return 0;
    /* The services do not inherit the lock. A file system without locks is no reason not to run. */
    if (fs_lock (fd, HISTORY_LOCK_MS) == 0) {
        close (fd);
        return history_refuse (out, err);
    }
    if (gethostname (host, sizeof host - 1) != 0)
        host[0] = 0;
    history_append (fd, json_pack ("{s:s, s:f, s:o, s:o, s:I, s:s}", "event", "started", "time_s",
                                   history_now_s (), "command", lines_text (command), "host",
                                   lines_text (host), "pid", (json_int_t) getpid (), "version",
                                   QUINTET_VERSION));
    *opened = fd;
    return 0;
}

/*  Closing gives up the lock, after the line is there: whoever finds nobody at work finds the
 *  end. */
void history_end (int fd, history_end_t how, const char *text)
{
    if (fd < 0)
        return;
    history_append (fd,
                    json_pack ("{s:s, s:f, s:s, s:o}", "event", "ended", "time_s", history_now_s (),
                               "how", history_names[how], "text", lines_text (text)));
    close (fd);
}

void history_read (history_t *h, const char *out)
{
    json_t *lines = lines_all (out, FOLDER_HISTORY), *line;
    size_t i;
    *h = (history_t){.locked = folder_locked (out, FOLDER_HISTORY)};
    json_array_foreach (lines, i, line) {
        const char *event = json_string_value (json_object_get (line, "event"));
        if (!event)
            continue;
        bool start = strcmp (event, "started") == 0;
        /* An end belongs to the start before it, and the next start begins without one. */
        json_decref (h->ended);
        h->ended = start ? NULL : json_incref (line);
        if (start) {
            json_decref (h->started);
            h->started = json_incref (line);
            h->starts++;
        }
    }
    json_decref (lines);
}

void history_free (history_t *h)
{
    json_decref (h->started);
    json_decref (h->ended);
    *h = (history_t){0};
}

/*  A process that was killed writes no end and holds no lock: that is how it is told from one that
 *  works. */
const char *history_state (const history_t *h)
{
    const char *how = json_string_value (json_object_get (h->ended, "how"));
    if (h->locked)
        return "running";
    for (size_t i = 0; how && i < sizeof history_names / sizeof *history_names; i++)
        if (strcmp (history_names[i], how) == 0)
            return history_names[i];
    return "killed";
}

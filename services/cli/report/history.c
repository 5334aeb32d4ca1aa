/*  history - see history.h */
#include "history.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/printable.h"
#include "result.h"

#define HISTORY_FILE "history.jsonl"

/*  In the order of history_end_t. */
static const char *const history_names[] = {"finished", "stopped", "failed"};

static double history_now_s (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (double) now.tv_sec + (double) (now.tv_nsec / 1000000) / 1000;
}

/*  Text that JSON can carry: paths may hold any bytes. */
static json_t *history_text (const char *text)
{
    buf_t safe = {0};
    printable_text (&safe, text, strlen (text), PRINTABLE_LINES);
    json_t *string = json_string (safe.data ? safe.data : "");
    buf_free (&safe);
    return string;
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

/*  Writers share the lock, as it says no more than that somebody is there. They wait for it: a
 *  reader has it for a moment only. It is not inherited by the services, so it ends with this
 *  process, however that ends. */
int history_begin (const char *out, const char *command)
{
    char path[FS_PATH_MAX], host[256] = "";
    int fd = fs_join (path, out, HISTORY_FILE, NULL) == 0
                 ? open (path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644)
                 : -1;
    /* The run goes on without a history. */
    if (fd < 0)
        return -1;
    flock (fd, LOCK_SH);
    if (gethostname (host, sizeof host - 1) != 0)
        host[0] = 0;
    history_append (fd, json_pack ("{s:s, s:f, s:o, s:o, s:s}", "event", "started", "time_s",
                                   history_now_s (), "command", history_text (command), "host",
                                   history_text (host), "version", QUINTET_VERSION));
    return fd;
}

/*  Closing gives up the lock, after the line is there: whoever finds nobody at work finds the
 *  end. */
void history_end (int fd, history_end_t how, const char *text)
{
    if (fd < 0)
        return;
    history_append (fd,
                    json_pack ("{s:s, s:f, s:s, s:o}", "event", "ended", "time_s", history_now_s (),
                               "how", history_names[how], "text", history_text (text)));
    close (fd);
}

/*  Asked for exclusively, the lock is not to be had while a writer lives. */
static bool history_is_locked (const char *out)
{
    char path[FS_PATH_MAX];
    int fd = fs_join (path, out, HISTORY_FILE, NULL) == 0 ? open (path, O_RDONLY | O_CLOEXEC) : -1;
    bool locked = fd >= 0 && flock (fd, LOCK_EX | LOCK_NB) != 0;
    if (fd >= 0)
        close (fd);
    return locked;
}

void history_read (history_t *h, const char *out)
{
    json_t *lines = result_lines (out, HISTORY_FILE), *line;
    size_t i;
    *h = (history_t){.locked = history_is_locked (out)};
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

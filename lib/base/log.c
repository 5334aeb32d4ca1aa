/*  log - see log.h */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/printable.h"

#define LOG_LINE_MAX 4096

static char log_who[64] = "quintet";
static log_level_t log_lowest = LOG_INFO;

void log_open (const char *who, log_level_t lowest)
{
    snprintf (log_who, sizeof log_who, "%s", who);
    log_lowest = lowest;
}

/*  Builds the whole line first and writes it with one call, so lines of several processes and
 *  threads that share a file do not mix. */
static void log_line (log_level_t level, const char *event, const char *fmt, va_list args)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    if (level < log_lowest)
        return;
    struct timespec now;
    struct tm utc;
    clock_gettime (CLOCK_REALTIME, &now);
    gmtime_r (&now.tv_sec, &utc);
    char line[LOG_LINE_MAX];
    size_t used = strftime (line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    used += (size_t) snprintf (line + used, sizeof line - used, ".%03ldZ %s %s %s ",
                               now.tv_nsec / 1000000, names[level], log_who, event);
    int n = vsnprintf (line + used, sizeof line - used - 1, fmt, args);
    used = n < 0 ? used : used + (size_t) n;
    /* What is too long is cut; the newline must fit. */
    if (used > sizeof line - 2)
        used = sizeof line - 2;
    /* Names and texts in a line may come from peers and models: made harmless for terminals before
     * they are written. */
    char out[LOG_LINE_MAX + sizeof (printable_char_t)];
    size_t n_out = 0;
    for (size_t i = 0; i < used && n_out < LOG_LINE_MAX - 1;) {
        printable_char_t shown;
        i += printable_next (line + i, used - i, PRINTABLE_LINE, &shown);
        memcpy (out + n_out, shown.bytes, shown.size);
        n_out += shown.size;
    }
    out[n_out] = '\n';
    ssize_t written = write (STDERR_FILENO, out, n_out + 1);
    (void) written; /* a log that cannot be written has nowhere to say so */
}

#define LOG_FUNCTION(name, level)                                                                  \
    void name (const char *event, const char *fmt, ...)                                            \
    {                                                                                              \
        va_list args;                                                                              \
        va_start (args, fmt);                                                                      \
        log_line (level, event, fmt, args);                                                        \
        va_end (args);                                                                             \
    }

LOG_FUNCTION (log_debug, LOG_DEBUG)
LOG_FUNCTION (log_info, LOG_INFO)
LOG_FUNCTION (log_warn, LOG_WARN)
LOG_FUNCTION (log_error, LOG_ERROR)

void log_err (const char *event, const err_t *err)
{
    log_error (event, "code=%s text=\"%s\"", err_name (err->code), err->text);
}

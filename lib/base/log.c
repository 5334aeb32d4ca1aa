/*  log - see log.h */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/printable.h"

#define LOG_LINE_MAX 4096
#define LOG_END_MAX  16 /* of these for quotes, braces and the newline */
#define LOG_KEY      "abcdefghijklmnopqrstuvwxyz0123456789_"

typedef struct {
    char bytes[LOG_LINE_MAX];
    size_t size;
} log_text_t;

static char log_who[64] = "quintet";
static log_level_t log_lowest = LOG_INFO;
static bool log_json;

void log_open (const char *who, log_level_t lowest)
{
    snprintf (log_who, sizeof log_who, "%s", who);
    log_lowest = lowest;
}

void log_as_json (bool json)
{
    log_json = json;
}

/*  Names and texts in a line may come from peers and models: made harmless for terminals, and for
 *  readers of JSON, before they are written. What is too long is cut, with room for an end. */
static void log_add (log_text_t *to, const char *text, size_t size, bool quoted)
{
    for (size_t i = 0; i < size;) {
        printable_char_t shown;
        i += printable_next (text + i, size - i, PRINTABLE_LINE, &shown);
        bool escape = quoted && (*shown.bytes == '"' || *shown.bytes == '\\');
        if (to->size + shown.size + escape > LOG_LINE_MAX - LOG_END_MAX)
            return;
        if (escape)
            to->bytes[to->size++] = '\\';
        memcpy (to->bytes + to->size, shown.bytes, shown.size);
        to->size += shown.size;
    }
}

static void log_add_text (log_text_t *to, const char *text)
{
    size_t n = strlen (text);
    memcpy (to->bytes + to->size, text, n);
    to->size += n;
}

/*  The end of a value: the quote behind which nothing or another key=value stands, else a blank. */
static const char *log_value_end (const char *value)
{
    if (*value != '"')
        return value + strcspn (value, " ");
    const char *end = strchr (value + 1, '"');
    for (; end && end[1]; end = strchr (end + 1, '"')) {
        size_t word = end[1] == ' ' ? strspn (end + 2, LOG_KEY) : 0;
        if (word && end[2 + word] == '=')
            break;
    }
    return end ? end + 1 : value + strlen (value);
}

/*  key=value key="a text" ... as members of an object; what is no pair is left out of it. */
static void log_add_pairs (log_text_t *to, const char *text)
{
    const char *between = "";
    while (*text) {
        size_t key = strspn (text, LOG_KEY);
        if (!key || text[key] != '=') {
            text += strcspn (text, " ");
            text += strspn (text, " ");
            continue;
        }
        const char *value = text + key + 1, *end = log_value_end (value);
        bool quoted = *value == '"' && end > value + 1 && end[-1] == '"';
        if (to->size + key > LOG_LINE_MAX - 2 * LOG_END_MAX)
            return;
        log_add_text (to, between);
        log_add_text (to, "\"");
        log_add (to, text, key, true);
        log_add_text (to, "\":\"");
        log_add (to, value + quoted, (size_t) (end - value) - 2 * quoted, true);
        log_add_text (to, "\"");
        between = ",";
        text = end + strspn (end, " ");
    }
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
    char time[40], head[256], text[LOG_LINE_MAX];
    size_t n = strftime (time, sizeof time, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf (time + n, sizeof time - n, ".%03ldZ", now.tv_nsec / 1000000);
    if (vsnprintf (text, sizeof text, fmt, args) < 0)
        text[0] = 0;
    log_text_t line = {.size = 0};
    if (log_json) {
        snprintf (head, sizeof head, "{\"time\":\"%s\",\"level\":\"%s\",\"service\":\"", time,
                  names[level]);
        log_add_text (&line, head);
        log_add (&line, log_who, strlen (log_who), true);
        log_add_text (&line, "\",\"event\":\"");
        log_add (&line, event, strlen (event), true);
        log_add_text (&line, "\",\"fields\":{");
        log_add_pairs (&line, text);
        log_add_text (&line, "}}");
    } else {
        snprintf (head, sizeof head, "%s %s %s %s ", time, names[level], log_who, event);
        log_add (&line, head, strlen (head), false);
        log_add (&line, text, strlen (text), false);
    }
    line.bytes[line.size++] = '\n';
    ssize_t written = write (STDERR_FILENO, line.bytes, line.size);
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

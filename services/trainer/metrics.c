/*  metrics - see metrics.h */
#include "metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/fs.h"
#include "curves.h"
#include "tensorboard.h"

/*  More than METRICS_MAX numbers with the longest names take. FILE_MAX: the curves of a whole run,
 *  which are drawn in memory when it is opened. */
#define LINE_MAX ((size_t) 256 << 10)
#define FILE_MAX ((size_t) 1 << 30)
#define LINES    "metrics.jsonl"
#define CURVES   "events.out.tfevents.quintet"

/*  One line is under way at a time: metrics_begin empties it, metrics_end writes it. Names are
 *  copied, since callers make them on their stacks. */
struct metrics {
    char lines[FS_PATH_MAX], curves[FS_PATH_MAX];
    int lines_fd, curves_fd;
    uint64_t offset;
    char event[16];
    uint64_t step;
    double time_s;
    char name[METRICS_MAX][METRICS_NAME_MAX];
    wire_part_t part[METRICS_MAX]; /* names point into name */
    size_t n;
};

/*  Unix time, for people and for TensorBoard. Durations are measured elsewhere, with a clock that
 *  nobody sets. */
static double metrics_now_s (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (double) now.tv_sec + (double) (now.tv_nsec / 1000000) / 1000;
}

/*  Writes all of it or fails. A line that was half written is the last one of the file, and the
 *  next resume cuts it off: no checkpoint has counted it. */
static int metrics_write_out (int fd, const char *path, const buf_t *bytes, err_t *err)
{
    if (buf_failed (bytes))
        return err_set (err, ERR_LIMIT, "%s: a line of more than %zu bytes", path, bytes->max);
    for (size_t done = 0; done < bytes->size;) {
        ssize_t n = write (fd, bytes->data + done, bytes->size - done);
        /* A signal that ends the run must not cost the line that is being written. */
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno (err, ERR_IO, "%s: cannot write", path);
        done += (size_t) n;
    }
    return 0;
}

/*  Calls each with every line of the file; stops when it returns non-zero, and returns that. */
static int metrics_each_line (const char *path, int (*each) (void *context, const json_t *line),
                              void *context)
{
    FILE *file = fopen (path, "re");
    char *text = NULL;
    size_t capacity = 0;
    int rc = 0;
    while (file && rc == 0 && getline (&text, &capacity, file) > 0) {
        /* Lines that do not parse are passed over: a process that was killed may have left half of
           one. */
        json_t *line = json_loads (text, 0, NULL);
        if (line)
            rc = each (context, line);
        json_decref (line);
    }
    free (text);
    if (file)
        fclose (file);
    return rc;
}

static bool metrics_is_event (const json_t *line, const char *event)
{
    const char *is = json_string_value (json_object_get (line, "event"));
    return is && strcmp (is, event) == 0;
}

/*  The step is that of the last training line; the time is the latest of any line, since
 *  evaluations take time, too. */
static int metrics_take_last (void *context, const json_t *line)
{
    uint64_t step = (uint64_t) json_integer_value (json_object_get (line, "step"));
    metrics_last_t *last = context;
    if (metrics_is_event (line, "step") && step > last->step)
        last->step = step;
    last->wall_s = fmax (last->wall_s, json_number_value (json_object_get (line, "wall_s")));
    return 0;
}

/*  By the folder's name and not by an open metrics_t: what is asked for is what opening cuts off. A
 *  file that is not there gives zeros. */
metrics_last_t metrics_last (const char *dir)
{
    char path[FS_PATH_MAX];
    metrics_last_t last = {0};
    if (fs_join (path, dir, LINES, NULL) == 0)
        metrics_each_line (path, metrics_take_last, &last);
    return last;
}

/*  The curves hold nothing that the lines do not, apart from texts and settings. So they are drawn
 *  anew at every start, and no event file has to be cut. */
static int metrics_draw_line (void *context, const json_t *line)
{
    curves_line (context, line);
    return 0;
}

static int metrics_draw_all (metrics_t *metrics, err_t *err)
{
    buf_t bytes = {.max = FILE_MAX};
    tensorboard_header (&bytes, metrics_now_s ());
    metrics_each_line (metrics->lines, metrics_draw_line, &bytes);
    int rc = metrics_write_out (metrics->curves_fd, metrics->curves, &bytes, err);
    buf_free (&bytes);
    return rc;
}

/*  A file shorter than the checkpoint says has lost lines, and what is read back from it, the best
 *  evaluation above all, would be wrong: refused rather than gone on with. */
static int metrics_cut (metrics_t *metrics, err_t *err)
{
    off_t size = lseek (metrics->lines_fd, 0, SEEK_END);
    if (size < 0 || (uint64_t) size < metrics->offset)
        return err_set (err, ERR_INPUT,
                        "%s: has %lld bytes, the checkpoint was made at %llu: the file was changed "
                        "since; move it away and begin anew",
                        metrics->lines, (long long) size, (unsigned long long) metrics->offset);
    /* The next line goes to the new end: ftruncate does not move the place of writing. */
    if (ftruncate (metrics->lines_fd, (off_t) metrics->offset) != 0 ||
        lseek (metrics->lines_fd, 0, SEEK_END) < 0)
        return err_errno (err, ERR_IO, "%s: cannot cut to %llu bytes", metrics->lines,
                          (unsigned long long) metrics->offset);
    return 0;
}

/*  Cut first, drawn then: the curves show what is left of the lines. */
static int metrics_open_files (metrics_t *metrics, const char *dir, err_t *err)
{
    if (fs_join (metrics->lines, dir, LINES, err) != 0 ||
        fs_join (metrics->curves, dir, CURVES, err) != 0)
        return -1;
    /* Not O_TRUNC: what lies before the offset stays. */
    metrics->lines_fd = open (metrics->lines, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (metrics->lines_fd < 0)
        return err_errno (err, ERR_IO, "%s: cannot open", metrics->lines);
    /* O_TRUNC: it is written again from the lines. */
    metrics->curves_fd = open (metrics->curves, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (metrics->curves_fd < 0)
        return err_errno (err, ERR_IO, "%s: cannot open", metrics->curves);
    return metrics_cut (metrics, err) == 0 ? metrics_draw_all (metrics, err) : -1;
}

/*  What lies behind the offset is lost from here on: metrics_last has to be asked before. */
metrics_t *metrics_open (const char *dir, uint64_t offset, err_t *err)
{
    metrics_t *metrics = calloc (1, sizeof *metrics);
    if (!metrics) {
        err_set (err, ERR_LIMIT, "no memory for the metrics");
        return NULL;
    }
    /* Before anything can fail: metrics_close must not close descriptor 0. */
    metrics->lines_fd = metrics->curves_fd = -1;
    metrics->offset = offset;
    if (metrics_open_files (metrics, dir, err) != 0)
        metrics_close (&metrics);
    return metrics;
}

/*  Also of one that metrics_open could not finish. */
void metrics_close (metrics_t **metrics)
{
    if (!*metrics)
        return;
    if ((*metrics)->lines_fd >= 0)
        close ((*metrics)->lines_fd);
    if ((*metrics)->curves_fd >= 0)
        close ((*metrics)->curves_fd);
    free (*metrics);
    *metrics = NULL;
}

/*  The time is that of the beginning, and the same in the line and in the curves. */
void metrics_begin (metrics_t *metrics, const char *event, uint64_t step)
{
    snprintf (metrics->event, sizeof metrics->event, "%s", event);
    metrics->step = step;
    metrics->time_s = metrics_now_s ();
    metrics->n = 0;
}

void metrics_add (metrics_t *metrics, const char *name, double value)
{
    /* Dropped in silence: a measurement too many must not end a run. */
    if (metrics->n == METRICS_MAX)
        return;
    char *copy = metrics->name[metrics->n];
    snprintf (copy, METRICS_NAME_MAX, "%s", name);
    metrics->part[metrics->n++] = (wire_part_t){.name = copy, .value = value};
}

void metrics_addf (metrics_t *metrics, double value, const char *fmt, ...)
{
    char name[METRICS_NAME_MAX];
    va_list args;
    va_start (args, fmt);
    vsnprintf (name, sizeof name, fmt, args);
    va_end (args);
    metrics_add (metrics, name, value);
}

/*  The order of the numbers is the order of the calls. NaN becomes null, which JSON has: a number
 *  that was not measured is still named. */
static json_t *metrics_line_of (const metrics_t *metrics)
{
    json_t *line = json_pack ("{s:s, s:I, s:f}", "event", metrics->event, "step",
                              (json_int_t) metrics->step, "time_s", metrics->time_s);
    for (size_t i = 0; line && i < metrics->n; i++) {
        double value = metrics->part[i].value;
        json_object_set_new (line, metrics->part[i].name,
                             isfinite (value) ? json_real (value) : json_null ());
    }
    return line;
}

/*  Null in the line, left out of the event: the wire carries finite numbers only. */
static void metrics_drop_infinite (metrics_t *metrics)
{
    size_t kept = 0;
    for (size_t i = 0; i < metrics->n; i++)
        if (isfinite (metrics->part[i].value))
            metrics->part[kept++] = metrics->part[i];
    metrics->n = kept;
}

/*  The line is written before the curve, and the offset counts it as soon as it stands in the file:
 *  a curve that is missing comes back with the next start, a line would not. */
int metrics_end (metrics_t *metrics, err_t *err)
{
    buf_t text = {.max = LINE_MAX}, curves = {.max = LINE_MAX};
    json_t *line = metrics_line_of (metrics);
    char *json = line ? json_dumps (line, JSON_COMPACT | JSON_REAL_PRECISION (14)) : NULL;
    int rc = json ? 0 : err_set (err, ERR_LIMIT, "%s: no memory for a line", metrics->lines);
    if (json) {
        buf_text (&text, json);
        buf_char (&text, '\n');
        curves_line (&curves, line);
        rc = metrics_write_out (metrics->lines_fd, metrics->lines, &text, err);
    }
    if (rc == 0) {
        metrics->offset += text.size;
        rc = metrics_write_out (metrics->curves_fd, metrics->curves, &curves, err);
    }
    /* After the line: news_metrics sends what is left. */
    metrics_drop_infinite (metrics);
    free (json);
    json_decref (line);
    buf_free (&text);
    buf_free (&curves);
    return rc;
}

/*  The lines only: the curves can be drawn again from them. */
int metrics_sync (metrics_t *metrics, err_t *err)
{
    if (fdatasync (metrics->lines_fd) != 0)
        return err_errno (err, ERR_IO, "%s: cannot sync", metrics->lines);
    return 0;
}

/*  Frees the bytes in any case: its callers have nothing else to clean up. */
static int metrics_write_curves (metrics_t *metrics, buf_t *bytes, err_t *err)
{
    int rc = metrics_write_out (metrics->curves_fd, metrics->curves, bytes, err);
    buf_free (bytes);
    return rc;
}

/*  Not drawn again from the lines, which have no texts: callers write theirs once more at every
 *  start. */
int metrics_text (metrics_t *metrics, uint64_t step, const char *tag, const char *text, err_t *err)
{
    buf_t bytes = {.max = FILE_MAX};
    tensorboard_text (&bytes, metrics_now_s (), step, tag, text);
    return metrics_write_curves (metrics, &bytes, err);
}

int metrics_settings (metrics_t *metrics, const char *lines, err_t *err)
{
    tensorboard_setting_t settings[METRICS_MAX];
    size_t n = 0;
    buf_t bytes = {.max = FILE_MAX};
    /* Cut into pieces where it stands; the settings point into it until they are written. */
    char *copy = strdup (lines), *rest = copy, *line;
    while (n < METRICS_MAX && rest && (line = strsep (&rest, "\n"))) {
        char *value = strstr (line, ": ");
        /* The text ends with a new line, so the last piece is empty. */
        if (!value)
            continue;
        *value = 0;
        value += 2;
        size_t size = strlen (value);
        /* Texts are quoted in the configuration; in the HParams tab the quotes would be part of the
           value. */
        bool quoted = size > 1 && value[0] == '"' && value[size - 1] == '"';
        if (quoted)
            value[size - 1] = 0;
        settings[n++] = (tensorboard_setting_t){.name = line, .value = value + quoted};
    }
    tensorboard_settings (&bytes, metrics_now_s (), settings, n);
    free (copy);
    return metrics_write_curves (metrics, &bytes, err);
}

/*  Borrowed from the line that was written last. */
const wire_part_t *metrics_parts (const metrics_t *metrics, size_t *n)
{
    *n = metrics->n;
    return metrics->part;
}

uint64_t metrics_offset (const metrics_t *metrics)
{
    return metrics->offset;
}

typedef struct {
    const char *event;
    uint64_t step;
    void (*each) (void *context, const char *name, double value);
    void *context;
} search_t;

/*  Returns 1 at the first line that fits, which ends the walk; 0 lets it go on. */
static int metrics_print_line (void *context, const json_t *line)
{
    const search_t *search = context;
    json_int_t step = json_integer_value (json_object_get (line, "step"));
    if (!metrics_is_event (line, search->event) ||
        (search->step != UINT64_MAX && search->step != (uint64_t) step))
        return 0;
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *) line, key, value) {
        if (json_is_number (value))
            search->each (search->context, key, json_number_value (value));
    }
    return 1;
}

/*  The file is read again for every question. That happens at starts, evaluations and the end,
 *  never in a step, and nothing is kept in memory that a resume would have to restore. */
int metrics_find (const metrics_t *metrics, const char *event, uint64_t step,
                  void (*each) (void *context, const char *name, double value), void *context)
{
    return metrics_each_line (
        metrics->lines, metrics_print_line,
        &(search_t){.event = event, .step = step, .each = each, .context = context});
}

typedef struct {
    const char *event, *name;
    double least;
    size_t n;
} count_t;

/*  Null is no number: what was not measured is neither large nor small. */
static int metrics_count_line (void *context, const json_t *line)
{
    count_t *count = context;
    const json_t *value = json_object_get (line, count->name);
    count->n += metrics_is_event (line, count->event) && json_is_number (value) &&
                json_number_value (value) >= count->least;
    return 0;
}

typedef struct {
    const char *event, *name;
    double sum;
} sum_t;

static int metrics_sum_line (void *context, const json_t *line)
{
    sum_t *sum = context;
    if (metrics_is_event (line, sum->event))
        sum->sum += json_number_value (json_object_get (line, sum->name));
    return 0;
}

/*  null adds nothing: jansson reads it as 0. */
double metrics_sum (const metrics_t *metrics, const char *event, const char *name)
{
    sum_t sum = {.event = event, .name = name};
    metrics_each_line (metrics->lines, metrics_sum_line, &sum);
    return sum.sum;
}

size_t metrics_count (const metrics_t *metrics, const char *event, const char *name, double least)
{
    count_t count = {.event = event, .name = name, .least = least};
    metrics_each_line (metrics->lines, metrics_count_line, &count);
    return count.n;
}

typedef struct {
    const char *event, *name;
    uint64_t step;
    double value;
} best_t;

/*  Strictly greater, so that of equals the first wins. Step 0 is what the run began with and is
 *  passed over. */
static int metrics_take_best (void *context, const json_t *line)
{
    best_t *best = context;
    const json_t *value = json_object_get (line, best->name);
    uint64_t step = (uint64_t) json_integer_value (json_object_get (line, "step"));
    if (metrics_is_event (line, best->event) && step && json_is_number (value) &&
        (best->step == 0 || json_number_value (value) > best->value)) {
        best->step = step;
        best->value = json_number_value (value);
    }
    return 0;
}

uint64_t metrics_best (const metrics_t *metrics, const char *event, const char *name)
{
    best_t best = {.event = event, .name = name};
    metrics_each_line (metrics->lines, metrics_take_best, &best);
    return best.step;
}

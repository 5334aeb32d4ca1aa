/*  window - see window.h */
#include "window.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void window_read_file (int fd, uint64_t size, window_t *w)
{
    char before = '\n';
    w->again = w->from > size ||
               (w->from && (pread (fd, &before, 1, (off_t) w->from - 1) != 1 || before != '\n'));
    if (w->again)
        w->from = 0;
    w->next = w->from;
    uint64_t left = size - w->from;
    for (size_t want = WINDOW_MAX; left && w->next == w->from; want = WINDOW_LINE) {
        size_t n = left < want ? (size_t) left : want;
        char *data = malloc (n);
        ssize_t got = data ? pread (fd, data, n, (off_t) w->from) : -1;
        const char *end = got > 0 ? memrchr (data, '\n', (size_t) got) : NULL;
        if (end) {
            w->text.max = WINDOW_LINE + 1;
            buf_append (&w->text, data, (size_t) (end + 1 - data));
            w->next = w->from + w->text.size;
        } else if (want == WINDOW_LINE || left <= want) {
            /* Half a line, which is being written; or one that nobody could read. */
            w->next += n == WINDOW_LINE && got == (ssize_t) n ? n : 0;
            left = 0;
        }
        free (data);
    }
    w->more = w->next > w->from && w->next < size && size - w->next > 0;
}

void window_read_kept (const kept_t *kept, window_t *w)
{
    uint64_t end = kept->first + kept->size;
    w->again = w->from > end || w->from < kept->first;
    if (w->again)
        w->from = kept->first;
    size_t at = (size_t) (w->from - kept->first), n = kept->size - at;
    if (n > WINDOW_MAX) {
        const char *cut = memrchr (kept->data + at, '\n', WINDOW_MAX);
        n = cut ? (size_t) (cut + 1 - (kept->data + at)) : n;
    }
    if (n)
        buf_append (&w->text, kept->data + at, n);
    w->next = w->from + n;
    w->more = w->next < end;
}

void window_each (window_t *w, void (*each) (void *context, json_t *line, uint64_t at),
                  void *context)
{
    for (char *rest = w->text.data, *text; rest && (text = strsep (&rest, "\n"));) {
        json_t *line = *text ? json_loads (text, 0, NULL) : NULL;
        if (json_is_object (line))
            each (context, line, w->from + (uint64_t) (text - w->text.data));
        json_decref (line);
    }
}

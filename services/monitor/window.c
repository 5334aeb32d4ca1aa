/*  window - see window.h */
#include "window.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*  The first byte behind the end of a line that nobody could read; `from`: it has none yet. */
static uint64_t window_pass (int fd, uint64_t from, uint64_t at, char *room, size_t n)
{
    for (ssize_t got; (got = pread (fd, room, n, (off_t) at)) > 0; at += (uint64_t) got) {
        const char *end = memchr (room, '\n', (size_t) got);
        if (end)
            return at + (uint64_t) (end + 1 - room);
    }
    return from;
}

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
            /* Half a line, which is being written; or one that is too long. */
            if (data && n == WINDOW_LINE && got == (ssize_t) n)
                w->next = window_pass (fd, w->from, w->from + n, data, n);
            left = 0;
        }
        free (data);
    }
    w->more = w->next > w->from && w->next < size && size - w->next > 0;
}

void window_read_tail (const tail_t *tail, window_t *w)
{
    uint64_t end = tail->first + tail->size;
    w->again = w->from > end || w->from < tail->first;
    if (w->again)
        w->from = tail->first;
    size_t at = (size_t) (w->from - tail->first), n = tail->size - at;
    if (n > WINDOW_MAX) {
        const char *cut = memrchr (tail->data + at, '\n', WINDOW_MAX);
        n = cut ? (size_t) (cut + 1 - (tail->data + at)) : n;
    }
    if (n)
        buf_append (&w->text, tail->data + at, n);
    w->next = w->from + n;
    w->more = w->next < end;
}

bool window_line (const window_t *w, window_line_t *line)
{
    if (!w->text.size)
        return false;
    const char *end = w->text.data + w->text.size;
    const char *text = line->text ? line->text + line->n + 1 : w->text.data;
    if (text >= end)
        return false;
    const char *stop = memchr (text, '\n', (size_t) (end - text));
    *line = (window_line_t){.text = text,
                            .n = (size_t) ((stop ? stop : end) - text),
                            .number = line->number + 1,
                            .at = w->from + (uint64_t) (text - w->text.data)};
    return true;
}

json_t *window_object (const window_line_t *line)
{
    json_t *value = json_loadb (line->text, line->n, 0, NULL);
    if (json_is_object (value))
        return value;
    json_decref (value);
    return NULL;
}

/*  tail - see tail.h */
#include "tail.h"

#include <stdlib.h>
#include <string.h>

/*  Half of it goes at once, so that memory is not moved for every line. */
static void tail_forget (tail_t *t, size_t room)
{
    size_t gone = t->size / 2 > room ? t->size / 2 : room;
    const char *end = gone < t->size ? memchr (t->data + gone, '\n', t->size - gone) : NULL;
    gone = end ? (size_t) (end + 1 - t->data) : t->size;
    memmove (t->data, t->data + gone, t->size - gone);
    t->size -= gone;
    t->first += gone;
}

void tail_add (tail_t *t, const char *line)
{
    size_t n = strlen (line);
    if (n + 1 > t->max || memchr (line, '\n', n))
        return;
    if (t->size + n + 1 > t->max)
        tail_forget (t, t->size + n + 1 - t->max);
    char *grown = realloc (t->data, t->size + n + 1);
    if (!grown)
        return;
    t->data = grown;
    memcpy (t->data + t->size, line, n);
    t->data[t->size + n] = '\n';
    t->size += n + 1;
}

void tail_filter (tail_t *t, bool (*stays) (void *context, const char *line, size_t n),
                  void *context)
{
    size_t to = 0, had = t->size;
    for (size_t at = 0, n; at < had; at += n + 1) {
        n = (size_t) ((const char *) memchr (t->data + at, '\n', had - at) - (t->data + at));
        if (!stays (context, t->data + at, n))
            continue;
        memmove (t->data + to, t->data + at, n + 1);
        to += n + 1;
    }
    t->size = to;
    t->first += to < had ? had + 1 : 0;
}

void tail_free (tail_t *t)
{
    free (t->data);
    *t = (tail_t){.max = t->max};
}

/*  kept - see kept.h */
#include "kept.h"

#include <stdlib.h>
#include <string.h>

/*  Half of it goes at once, so that memory is not moved for every line. */
static void kept_forget (kept_t *k, size_t room)
{
    size_t gone = k->size / 2 > room ? k->size / 2 : room;
    const char *end = gone < k->size ? memchr (k->data + gone, '\n', k->size - gone) : NULL;
    gone = end ? (size_t) (end + 1 - k->data) : k->size;
    memmove (k->data, k->data + gone, k->size - gone);
    k->size -= gone;
    k->first += gone;
}

void kept_add (kept_t *k, const char *line)
{
    size_t n = strlen (line);
    if (n + 1 > k->max || memchr (line, '\n', n))
        return;
    if (k->size + n + 1 > k->max)
        kept_forget (k, k->size + n + 1 - k->max);
    char *grown = realloc (k->data, k->size + n + 1);
    if (!grown)
        return;
    k->data = grown;
    memcpy (k->data + k->size, line, n);
    k->data[k->size + n] = '\n';
    k->size += n + 1;
}

void kept_free (kept_t *k)
{
    free (k->data);
    *k = (kept_t){.max = k->max};
}

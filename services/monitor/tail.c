/*  tail - see tail.h */
#include "tail.h"

#include <stdlib.h>
#include <string.h>

/*  Half of it goes at once, so that memory is not moved for every line. */
static void tail_forget (tail_t *k, size_t room)
{
    size_t gone = k->size / 2 > room ? k->size / 2 : room;
    const char *end = gone < k->size ? memchr (k->data + gone, '\n', k->size - gone) : NULL;
    gone = end ? (size_t) (end + 1 - k->data) : k->size;
    memmove (k->data, k->data + gone, k->size - gone);
    k->size -= gone;
    k->first += gone;
}

void tail_add (tail_t *k, const char *line)
{
    size_t n = strlen (line);
    if (n + 1 > k->max || memchr (line, '\n', n))
        return;
    if (k->size + n + 1 > k->max)
        tail_forget (k, k->size + n + 1 - k->max);
    char *grown = realloc (k->data, k->size + n + 1);
    if (!grown)
        return;
    k->data = grown;
    memcpy (k->data + k->size, line, n);
    k->data[k->size + n] = '\n';
    k->size += n + 1;
}

void tail_free (tail_t *k)
{
    free (k->data);
    *k = (tail_t){.max = k->max};
}

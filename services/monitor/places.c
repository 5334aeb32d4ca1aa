/*  places - see places.h */
#include "places.h"

#include <stdlib.h>

/*  The first stays, as the third and so on do. */
static void places_halve (places_t *p)
{
    for (size_t i = 0; 2 * i < p->n; i++)
        p->place[i] = p->place[2 * i];
    p->n = (p->n + 1) / 2;
    p->every *= 2;
}

void places_add (places_t *p, const place_t *place)
{
    if (!p->every)
        p->every = 1;
    if (p->seen++ % p->every)
        return;
    if (p->n == PLACES_MAX)
        places_halve (p);
    if ((p->seen - 1) % p->every)
        return;
    /* A power of two is when what there was is full. */
    if ((p->n & (p->n - 1)) == 0) {
        place_t *grown = realloc (p->place, (p->n ? 2 * p->n : 1) * sizeof *grown);
        if (!grown)
            return;
        p->place = grown;
    }
    p->place[p->n++] = *place;
}

size_t places_find (const places_t *p, int64_t step)
{
    size_t low = 0, high = p->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (p->place[middle].step < step)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void places_free (places_t *p)
{
    free (p->place);
    *p = (places_t){0};
}

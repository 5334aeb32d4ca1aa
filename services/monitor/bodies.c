/*  bodies - see bodies.h */
#include "bodies.h"

#include <string.h>

bool bodies_give (const bodies_t *kept, const buf_t *key, buf_t *body)
{
    for (size_t i = 0; i < BODIES_N; i++) {
        const buf_t *k = &kept->at[i].key, *b = &kept->at[i].body;
        if (!key->size || k->size != key->size || memcmp (k->data, key->data, k->size) != 0)
            continue;
        buf_append (body, b->data, b->size);
        return true;
    }
    return false;
}

void bodies_add (bodies_t *kept, const buf_t *key, const buf_t *body)
{
    buf_t *k = &kept->at[kept->next].key, *b = &kept->at[kept->next].body;
    if (!key->size || !body->size || body->size > BODIES_MAX)
        return;
    buf_free (k);
    buf_free (b);
    buf_append (b, body->data, body->size);
    buf_append (k, key->data, key->size);
    if (buf_failed (k) || buf_failed (b)) /* without memory it is made again */
        buf_free (k);
    kept->next = (kept->next + 1) % BODIES_N;
}

void bodies_free (bodies_t *kept)
{
    for (size_t i = 0; i < BODIES_N; i++) {
        buf_free (&kept->at[i].key);
        buf_free (&kept->at[i].body);
    }
}

/*  shapes - see shapes.h */
#include "shapes.h"

#include <stdlib.h>

shape_t *shapes_find (shape_t *first, const shape_key_t *key)
{
    shape_t *shape = first;
    while (shape &&
           !(hash_equal (&shape->key.config, &key->config) &&
             hash_equal (&shape->key.adapter, &key->adapter) && shape->key.compute == key->compute))
        shape = shape->next;
    return shape;
}

/*  A sampler's memory is large and follows from the shape. */
shape_t *shapes_add (shape_t **first, const shape_key_t *key, const model_t *model, size_t rows,
                     pool_t *pool, err_t *err)
{
    shape_t *shape = calloc (1, sizeof *shape);
    sampler_t *sampler = sampler_new (model, rows, pool, err);
    if (!shape || !sampler) {
        if (sampler)
            err_set (err, ERR_LIMIT, "no memory for a sampler");
        sampler_destroy (&sampler);
        free (shape);
        return NULL;
    }
    *shape = (shape_t){.next = *first, .key = *key, .sampler = sampler};
    *first = shape;
    return shape;
}

void shape_destroy (shape_t *shape)
{
    sampler_destroy (&shape->sampler);
    model_destroy (&shape->room);
    free (shape);
}

void shape_leave_room (shape_t *shape, model_t **model)
{
    if (!shape || shape->room)
        return;
    shape->room = *model;
    *model = NULL;
}

model_t *shape_take_room (shape_t *shape)
{
    model_t *room = shape ? shape->room : NULL;
    if (room)
        shape->room = NULL;
    return room;
}

size_t shape_bytes (const shape_t *shape)
{
    return sampler_bytes (shape->sampler) + (shape->room ? model_bytes (shape->room) : 0);
}

/*  shapes - what policy versions of one shape share, as they come one after another: a sampler, and
 *  memory for the next.
 *
 *      shape_t *shape = shapes_find (first, &key);
 *      if (!shape)
 *          shape = shapes_add (&first, &key, model, rows, pool, &err);
 *      shape_leave_room (shape, &model);                   a version goes
 *      model_t *room = shape_take_room (shape);            the next is built in it
 */
#ifndef QUINTET_AGENT_SHAPES_H
#define QUINTET_AGENT_SHAPES_H

#include "base/hash.h"
#include "base/pool.h"
#include "model/sampler.h"

typedef struct {
    hash_t config, adapter; /* of config.json and adapter_config.json */
    model_compute_t compute;
} shape_key_t;

typedef struct shape {
    struct shape *next;
    shape_key_t key;
    sampler_t *sampler;
    model_t *room; /* of a version that is gone; NULL: none */
} shape_t;

/*  NULL: none has the key. */
shape_t *shapes_find (shape_t *first, const shape_key_t *key);
/*  A new first one. rows: completions at once. NULL without memory. */
shape_t *shapes_add (shape_t **first, const shape_key_t *key, const model_t *model, size_t rows,
                     pool_t *pool, err_t *err);
void shape_destroy (shape_t *shape);

/*  Takes a model over that nobody uses any more, unless there is one; shape may be NULL. */
void shape_leave_room (shape_t *shape, model_t **model);
/*  The caller's; NULL: none. shape may be NULL. */
model_t *shape_take_room (shape_t *shape);
size_t shape_bytes (const shape_t *shape);

#endif

/*  vectors - flat float vectors in one safetensors file: what an optimiser remembers.
 *
 *      vectors_t list[] = {{"m", m, n}, {"v", v, n}};
 *      vectors_write (path, list, 2, &err);
 *      vectors_read (path, list, 2, &err);            fills them; names and lengths must agree
 */
#ifndef QUINTET_TRAINER_VECTORS_H
#define QUINTET_TRAINER_VECTORS_H

#include <stddef.h>

#include "base/err.h"

typedef struct {
    const char *name;
    float *data;
    size_t n;
} vectors_t;

/*  Not synced: a checkpoint's folder is synced as a whole. */
int vectors_write (const char *path, const vectors_t *list, size_t n, err_t *err);
/*  Everything in the file is checked; values must be finite. */
int vectors_read (const char *path, const vectors_t *list, size_t n, err_t *err);

#endif

/*  safetensors - files of named tensors: an 8-byte header size, a JSON header, the data.
 *
 *      safetensors_t *file = safetensors_open (path, &err);     mapped; only the header is read
 *      const safetensors_entry_t *e = safetensors_find (file, "model.norm.weight");
 *      safetensors_read (file, e, 0, e->n, floats, &err);
 *      safetensors_close (&file);
 *
 *  Everything in a file is untrusted: sizes, offsets, overlaps, shapes and types are checked at
 *  opening.
 */
#ifndef QUINTET_FORMATS_SAFETENSORS_H
#define QUINTET_FORMATS_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SAFETENSORS_RANK_MAX 8

typedef enum {
    SAFETENSORS_F32,
    SAFETENSORS_BF16,
    SAFETENSORS_F16,
    SAFETENSORS_I64,
    SAFETENSORS_I32,
    SAFETENSORS_F64,
    SAFETENSORS_TYPES
} safetensors_type_t;

typedef struct {
    char *name;
    safetensors_type_t type;
    size_t shape[SAFETENSORS_RANK_MAX];
    int rank;
    size_t n;         /* elements */
    const void *data; /* in the mapping; not aligned */
} safetensors_entry_t;

typedef struct safetensors safetensors_t;

safetensors_t *safetensors_open (const char *path, err_t *err);
void safetensors_close (safetensors_t **file);
size_t safetensors_count (const safetensors_t *file);
const safetensors_entry_t *safetensors_entry (const safetensors_t *file, size_t index);
const safetensors_entry_t *safetensors_find (const safetensors_t *file, const char *name);
size_t safetensors_bytes (const safetensors_entry_t *entry); /* of its data */
/*  Elements first .. first + n - 1 as float32: of F32, BF16, F16 (F64 rounds). ERR_INPUT names the
 *  tensor and the first element that is not finite. */
int safetensors_read (const safetensors_t *file, const safetensors_entry_t *entry, size_t first,
                      size_t n, float *out, err_t *err);

/*  For writing: float32 content, stored as type F32, BF16 (nearest, ties to even) or F16. */
typedef struct {
    const char *name;
    const float *data;
    size_t shape[SAFETENSORS_RANK_MAX];
    int rank;
} safetensors_tensor_t;

/*  Atomic: a temporary name, fsync, rename. */
int safetensors_write (const char *path, const safetensors_tensor_t *tensors, size_t n,
                       safetensors_type_t type, err_t *err);

#endif

/*  delta - what changed between two versions of a policy's bytes, tensor by tensor.
 *
 *      buf_t delta = {.max = SIZE_MAX};
 *      delta_encode (&layout, old, new, &delta);            at the trainer
 *
 *      delta_t *d = delta_new (&layout, delta.data, delta.size, &err);  at an agent
 *      delta_change (d, n, bytes, &err);             again and again, in order: old becomes new
 *      delta_end (d, &err);
 *      delta_destroy (&d);
 *
 *  Each tensor takes the smallest of three forms: sparse (which elements changed, and their new
 *  values; small learning rates change few bf16 weights), XOR (old ^ new, byte by byte in planes,
 *  deflated: nearby floats share their upper bytes) or dense (the new bytes). Whoever applies a
 *  delta checks the hash of what comes out; a damaged one is refused, never read out of its
 *  bounds.
 *
 *    delta  = tensor*                   one for each of the layout, in order
 *    tensor = form (1 byte), then
 *             0 dense:  the bytes
 *             1 sparse: varint n; n varints, elements skipped since the last one; n elements
 *             2 XOR:    varint size; zlib stream of that size
 *
 *  Varints are little-endian groups of seven bits, as protobuf's.
 */
#ifndef QUINTET_MODEL_DELTA_H
#define QUINTET_MODEL_DELTA_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/model.h"

typedef struct {
    const model_t *model; /* its tensors */
    size_t width;         /* bytes of an element: 2 or 4 */
} delta_layout_t;

/*  Appends; buf_failed (out) when memory ran out. */
void delta_encode (const delta_layout_t *layout, const void *before, const void *after, buf_t *out);

typedef struct delta delta_t;

/*  bytes are borrowed. NULL: no memory. */
delta_t *delta_new (const delta_layout_t *layout, const void *bytes, size_t size, err_t *err);
void delta_destroy (delta_t **delta);
/*  The next n elements, in the order of params, are the old version's and become the new one's;
 *  undefined after ERR_INPUT, which names the tensor. */
int delta_change (delta_t *delta, size_t n, char *bytes, err_t *err);
/*  After the last element: ERR_INPUT when there is more. */
int delta_end (const delta_t *delta, err_t *err);

#endif

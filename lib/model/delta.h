/*  delta - what changed between two versions of a policy's bytes, tensor by tensor.
 *
 *      buf_t delta = {.max = SIZE_MAX};
 *      delta_encode (&layout, old, new, &delta);            at the trainer
 *      delta_apply (&layout, bytes, delta.data, delta.size, &err);     at an agent: old becomes new
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

/*  bytes [model_params * width] are the old version's and become the new one's; undefined after
 *  ERR_INPUT, which names the tensor. */
int delta_apply (const delta_layout_t *layout, void *bytes, const void *delta, size_t size,
                 err_t *err);

#endif

/*  delta - see delta.h
 *
 *  Which form is smallest depends on the step. At a learning rate of 1e-6 an update changes 2% of a
 *  bfloat16 model's weights, the rest are rounded back to what they were: sparse. At 1e-4 half of
 *  them change, by one or two units in the last place, so the upper byte of most stays: XOR. Early
 *  in a float32 run nearly all bits of the mantissa change: dense. Tensors of one model differ as
 *  well, so each chooses for itself.
 */
#include "delta.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/bytes.h"

enum { DENSE, SPARSE, XOR };

/*  The fastest: planes of zeros shrink at any level, and sampling waits for the weights. */
#define DEFLATE_LEVEL 1

/*  ---- encode --------------------------------------------------------------------------------- */

static bool delta_differs (const char *before, const char *after, size_t element, size_t width)
{
    return memcmp (before + element * width, after + element * width, width) != 0;
}

/*  What one pass over a tensor says about the forms: how large sparse would be, exactly, and how
 *  many bytes are the same, which tells whether XOR could be small. */
typedef struct {
    size_t changed, sparse_size;
    size_t same_bytes; /* of all n * width */
} survey_t;

static survey_t delta_survey (const char *before, const char *after, size_t n, size_t width)
{
    survey_t s = {0};
    size_t last = 0, gaps = 0;
    for (size_t i = 0; i < n; i++) {
        if (!delta_differs (before, after, i, width)) {
            s.same_bytes += width;
            continue;
        }
        for (size_t b = 0; b < width; b++)
            s.same_bytes += before[i * width + b] == after[i * width + b];
        /* A gap counts from the element after the last that changed: neighbours have gap 0. */
        gaps += bytes_varint_size (i - last);
        last = i + 1;
        s.changed++;
    }
    s.sparse_size = bytes_varint_size (s.changed) + gaps + s.changed * width;
    return s;
}

/*  Gaps first, values behind them: gaps of a byte or two are read in one go, and values stay
 *  together. */
static void delta_put_sparse (const char *before, const char *after, size_t n, size_t width,
                              size_t changed, buf_t *out)
{
    size_t last = 0;
    buf_char (out, SPARSE);
    buf_varint (out, changed);
    for (size_t i = 0; i < n; i++)
        if (delta_differs (before, after, i, width)) {
            buf_varint (out, i - last);
            last = i + 1;
        }
    for (size_t i = 0; i < n; i++)
        if (delta_differs (before, after, i, width))
            buf_append (out, after + i * width, width);
}

/*  Whether the deflated planes of before ^ after took fewer than `limit` bytes; only then are they
 *  put. Weights that moved a little share sign, exponent and upper mantissa, so those bytes of the
 *  XOR are mostly 0. Byte b of every element goes into plane b, which puts the zeros together,
 *  where deflate finds them. */
static bool delta_put_xor (const char *before, const char *after, size_t n, size_t width,
                           size_t limit, buf_t *out)
{
    uLongf size = compressBound ((uLong) (n * width));
    Bytef *planes = malloc (n * width), *packed = malloc (size);
    bool smaller = false;
    for (size_t b = 0; planes && b < width; b++)
        for (size_t i = 0; i < n; i++)
            planes[b * n + i] = (Bytef) (before[i * width + b] ^ after[i * width + b]);
    if (planes && packed &&
        compress2 (packed, &size, planes, (uLong) (n * width), DEFLATE_LEVEL) == Z_OK)
        smaller = bytes_varint_size (size) + size < limit;
    if (smaller) {
        buf_char (out, XOR);
        buf_varint (out, size);
        buf_append (out, packed, size);
    }
    free (planes);
    free (packed);
    return smaller;
}

/*  Dense has n * width bytes and no risk; sparse wins when few elements changed; XOR is tried where
 *  it could beat both: at least half of the bytes are the same, and there is something left to
 *  gain. */
static void delta_put_tensor (const char *before, const char *after, size_t n, size_t width,
                              buf_t *out)
{
    survey_t s = delta_survey (before, after, n, width);
    size_t best = s.sparse_size < n * width ? s.sparse_size : n * width;
    /* Deflate takes time, and makes little of planes that are mostly noise; nor is it worth it when
     * sparse is tiny. */
    bool worth = s.same_bytes * 2 > n * width && best > n * width / 16;
    if (worth && delta_put_xor (before, after, n, width, best, out))
        return;
    if (best == s.sparse_size && best < n * width) {
        delta_put_sparse (before, after, n, width, s.changed, out);
    } else {
        buf_char (out, DENSE);
        buf_append (out, after, n * width);
    }
}

/*  Tensor by tensor: norms may stay as they are while matrices change everywhere. */
void delta_encode (const delta_layout_t *layout, const void *before, const void *after, buf_t *out)
{
    for (size_t t = 0; t < model_tensors (layout->model); t++) {
        const model_tensor_t *tensor = model_tensor (layout->model, t);
        size_t at = tensor->offset * layout->width;
        delta_put_tensor ((const char *) before + at, (const char *) after + at,
                          tensor->rows * tensor->columns, layout->width, out);
    }
}

/*  ---- apply ---------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *at, *end;
} reader_t;

/*  Whoever sent a delta may be wrong: nothing here reads beyond `end`. */
static bool delta_take_varint (reader_t *r, uint64_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < BYTES_VARINT_MAX && r->at < r->end; i++) {
        uint8_t byte = *r->at++;
        *value |= (uint64_t) (byte & 0x7f) << (7 * i);
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static const uint8_t *delta_take_bytes (reader_t *r, uint64_t n)
{
    if ((uint64_t) (r->end - r->at) < n)
        return NULL;
    r->at += n;
    return r->at - n;
}

/*  Two readers: one walks over the gaps to find where the values begin, one follows while they are
 *  applied. A gap that leads beyond the tensor is damage. */
static bool delta_apply_sparse (reader_t *r, char *bytes, size_t n, size_t width)
{
    uint64_t changed, gap, element = 0;
    if (!delta_take_varint (r, &changed) || changed > n)
        return false;
    /* The gaps are walked over twice, so nothing has to be allocated for them. */
    reader_t gaps = *r;
    for (uint64_t i = 0; i < changed; i++)
        if (!delta_take_varint (r, &gap))
            return false;
    const uint8_t *values = delta_take_bytes (r, changed * width);
    if (!values)
        return false;
    for (uint64_t i = 0; i < changed; i++, element++) {
        /* element <= n holds here, so the difference does not wrap around. */
        if (!delta_take_varint (&gaps, &gap) || gap >= n - element)
            return false;
        element += gap;
        memcpy (bytes + element * width, values + i * width, width);
    }
    return true;
}

/*  The planes must have exactly the tensor's size: zlib writes no more than that, and less is
 *  damage. */
static bool delta_apply_xor (reader_t *r, char *bytes, size_t n, size_t width)
{
    uint64_t size;
    if (!delta_take_varint (r, &size))
        return false;
    const uint8_t *packed = delta_take_bytes (r, size);
    uLongf planes_n = (uLongf) (n * width);
    Bytef *planes = packed ? malloc (n * width) : NULL;
    bool good = planes && uncompress (planes, &planes_n, packed, (uLong) size) == Z_OK &&
                planes_n == n * width;
    for (size_t b = 0; good && b < width; b++)
        for (size_t i = 0; i < n; i++)
            bytes[i * width + b] = (char) (bytes[i * width + b] ^ (char) planes[b * n + i]);
    free (planes);
    return good;
}

static bool delta_apply_dense (reader_t *r, char *bytes, size_t n, size_t width)
{
    const uint8_t *from = delta_take_bytes (r, n * width);
    if (from)
        memcpy (bytes, from, n * width);
    return from != NULL;
}

/*  The first byte is the form; an unknown one is damage. */
static bool delta_apply_tensor (reader_t *r, char *bytes, size_t n, size_t width)
{
    const uint8_t *form = delta_take_bytes (r, 1);
    if (!form)
        return false;
    switch (*form) {
    case DENSE:
        return delta_apply_dense (r, bytes, n, width);
    case SPARSE:
        return delta_apply_sparse (r, bytes, n, width);
    case XOR:
        return delta_apply_xor (r, bytes, n, width);
    default:
        return false;
    }
}

/*  What is left over after the last tensor is damage, too. */
int delta_apply (const delta_layout_t *layout, void *bytes, const void *delta, size_t size,
                 err_t *err)
{
    reader_t r = {delta, (const uint8_t *) delta + size};
    for (size_t t = 0; t < model_tensors (layout->model); t++) {
        const model_tensor_t *tensor = model_tensor (layout->model, t);
        if (!delta_apply_tensor (&r, (char *) bytes + tensor->offset * layout->width,
                                 tensor->rows * tensor->columns, layout->width))
            return err_set (err, ERR_INPUT, "the delta is damaged at tensor %s", tensor->name);
    }
    return r.at == r.end ? 0
                         : err_set (err, ERR_INPUT, "the delta has %zu bytes too many",
                                    (size_t) (r.end - r.at));
}

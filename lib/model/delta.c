/*  delta - see delta.h
 *
 *  Which form is smallest depends on the step. At a learning rate of 1e-6 an update changes 2% of a
 *  bfloat16 model's weights, the rest are rounded back to what they were: sparse. At 1e-4 half of
 *  them change, by one or two units in the last place, so the upper byte of most stays: XOR. Early
 *  in a float32 run nearly all bits of the mantissa change: dense. Tensors of one model differ as
 *  well, so each chooses for itself.
 */
#include "delta.h"

#include <assert.h>
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

struct delta {
    delta_layout_t layout;
    reader_t r;     /* behind the tensor at work */
    size_t tensor;  /* the one at work, */
    size_t done, n; /* its elements that were changed, and all */
    uint8_t form;
    const uint8_t *values; /* dense and sparse: the next one */
    reader_t gaps;         /* sparse: behind that of `next` */
    uint64_t left, next;   /* elements that change still, and the next of them */
    Bytef *planes;         /* XOR: of the tensor, or NULL */
};

delta_t *delta_new (const delta_layout_t *layout, const void *bytes, size_t size, err_t *err)
{
    delta_t *d = calloc (1, sizeof *d);
    if (!d) {
        err_set (err, ERR_LIMIT, "no memory to read a delta");
        return NULL;
    }
    d->layout = *layout;
    d->r = (reader_t){bytes, (const uint8_t *) bytes + size};
    return d;
}

void delta_destroy (delta_t **delta)
{
    if (*delta)
        free ((*delta)->planes);
    free (*delta);
    *delta = NULL;
}

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

/*  The next element that changes lies a gap behind `from`, where no more elements than n are. A gap
 *  that leads beyond the tensor is damage. */
static bool delta_take_gap (delta_t *d, uint64_t from)
{
    uint64_t gap;
    if (d->left == 0)
        return true;
    if (!delta_take_varint (&d->gaps, &gap) || gap >= d->n - from)
        return false;
    d->next = from + gap;
    return true;
}

/*  Two readers: one walks over the gaps to find where the values begin, one follows while they are
 *  applied. So nothing has to be allocated for them. */
static bool delta_begin_sparse (delta_t *d)
{
    uint64_t gap;
    if (!delta_take_varint (&d->r, &d->left) || d->left > d->n)
        return false;
    d->gaps = d->r;
    for (uint64_t i = 0; i < d->left; i++)
        if (!delta_take_varint (&d->r, &gap))
            return false;
    d->values = delta_take_bytes (&d->r, d->left * d->layout.width);
    return d->values && delta_take_gap (d, 0);
}

/*  The planes must have exactly the tensor's size: zlib writes no more than that, and less is
 *  damage. */
static bool delta_begin_xor (delta_t *d)
{
    uint64_t size;
    if (!delta_take_varint (&d->r, &size))
        return false;
    uLongf wanted = (uLongf) (d->n * d->layout.width), planes_n = wanted;
    const uint8_t *packed = delta_take_bytes (&d->r, size);
    d->planes = packed ? malloc (wanted) : NULL;
    return d->planes && uncompress (d->planes, &planes_n, packed, (uLong) size) == Z_OK &&
           planes_n == wanted;
}

static bool delta_begin_dense (delta_t *d)
{
    d->values = delta_take_bytes (&d->r, d->n * d->layout.width);
    return d->values != NULL;
}

/*  The first byte is the form; an unknown one is damage. */
static bool delta_begin_tensor (delta_t *d)
{
    const model_tensor_t *tensor = model_tensor (d->layout.model, d->tensor);
    const uint8_t *form = delta_take_bytes (&d->r, 1);
    d->done = 0;
    d->n = tensor->rows * tensor->columns;
    d->form = form ? *form : UINT8_MAX;
    switch (d->form) {
    case DENSE:
        return delta_begin_dense (d);
    case SPARSE:
        return delta_begin_sparse (d);
    case XOR:
        return delta_begin_xor (d);
    default:
        return false;
    }
}

static void delta_end_tensor (delta_t *d)
{
    free (d->planes);
    d->planes = NULL;
    d->n = 0;
    d->tensor++;
}

/*  The tensor's elements done .. done + n - 1. */
static bool delta_change_sparse (delta_t *d, char *bytes, size_t n)
{
    size_t width = d->layout.width;
    for (; d->left > 0 && d->next < d->done + n; d->values += width) {
        memcpy (bytes + (d->next - d->done) * width, d->values, width);
        d->left--;
        if (!delta_take_gap (d, d->next + 1))
            return false;
    }
    return true;
}

static void delta_change_xor (const delta_t *d, char *bytes, size_t n)
{
    size_t width = d->layout.width;
    for (size_t b = 0; b < width; b++)
        for (size_t i = 0; i < n; i++)
            bytes[i * width + b] =
                (char) (bytes[i * width + b] ^ (char) d->planes[b * d->n + d->done + i]);
}

static bool delta_change_some (delta_t *d, char *bytes, size_t n)
{
    size_t size = n * d->layout.width;
    bool good = true;
    if (d->form == SPARSE) {
        good = delta_change_sparse (d, bytes, n);
    } else if (d->form == XOR) {
        delta_change_xor (d, bytes, n);
    } else {
        memcpy (bytes, d->values, size);
        d->values += size;
    }
    d->done += n;
    return good;
}

static int delta_damaged (const delta_t *d, err_t *err)
{
    return err_set (err, ERR_INPUT, "the delta is damaged at tensor %s",
                    model_tensor (d->layout.model, d->tensor)->name);
}

int delta_change (delta_t *d, size_t n, char *bytes, err_t *err)
{
    while (n > 0) {
        assert (d->tensor < model_tensors (d->layout.model));
        if (d->n == 0 && !delta_begin_tensor (d))
            return delta_damaged (d, err);
        size_t some = d->n - d->done < n ? d->n - d->done : n;
        if (!delta_change_some (d, bytes, some))
            return delta_damaged (d, err);
        bytes += some * d->layout.width;
        n -= some;
        if (d->done == d->n)
            delta_end_tensor (d);
    }
    return 0;
}

int delta_end (const delta_t *d, err_t *err)
{
    return d->r.at == d->r.end ? 0
                               : err_set (err, ERR_INPUT, "the delta has %zu bytes too many",
                                          (size_t) (d->r.end - d->r.at));
}

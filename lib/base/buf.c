/*  buf - see buf.h */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

/*  Room for `more` bytes and the closing 0. Failure is sticky: after the first call that fails
 *  nothing is appended any more, so a caller may check once, at the end, and never sees a text with
 *  a gap. */
static bool buf_reserve (buf_t *buf, size_t more)
{
    size_t max = buf->max ? buf->max : BUF_MAX_DEFAULT;
    if (!buf->failed && (more > max || buf->size > max - more))
        buf->failed = buf->full = true;
    if (buf->failed)
        return false;
    size_t need = buf->size + more + 1;
    if (need <= buf->capacity)
        return true;
    /* Doubled, so that appending n bytes one by one copies each of them twice at most. */
    size_t capacity = buf->capacity ? buf->capacity : 64;
    while (capacity < need)
        capacity *= 2;
    char *data = realloc (buf->data, capacity);
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void buf_append (buf_t *buf, const void *data, size_t size)
{
    if (!buf_reserve (buf, size))
        return;
    if (size)
        memcpy (buf->data + buf->size, data, size);
    buf->size += size;
    buf->data[buf->size] = 0;
}

void buf_text (buf_t *buf, const char *text)
{
    buf_append (buf, text, strlen (text));
}

void buf_char (buf_t *buf, char c)
{
    buf_append (buf, &c, 1);
}

/*  Protobuf's numbers: seven bits a byte (base/bytes.h). */
void buf_varint (buf_t *buf, uint64_t value)
{
    uint8_t bytes[BYTES_VARINT_MAX];
    buf_append (buf, bytes, (size_t) (bytes_varint (bytes, value) - bytes));
}

void buf_little (buf_t *buf, uint64_t value, size_t size)
{
    uint8_t bytes[sizeof value];
    assert (size <= sizeof bytes);
    buf_append (buf, bytes, (size_t) (bytes_little (bytes, value, size) - bytes));
}

void buf_printf (buf_t *buf, const char *fmt, ...)
{
    va_list args, again;
    va_start (args, fmt);
    va_copy (again, args);
    /* Measured first, since a maximum must be checked before anything is written. */
    int n = vsnprintf (NULL, 0, fmt, args);
    if (n >= 0 && buf_reserve (buf, (size_t) n)) {
        vsnprintf (buf->data + buf->size, (size_t) n + 1, fmt, again);
        buf->size += (size_t) n;
    }
    va_end (again);
    va_end (args);
}

bool buf_failed (const buf_t *buf)
{
    return buf->failed;
}

/*  A text that is too long is the sender's fault, missing memory is ours: other codes, since only
 *  the latter may pass. */
int buf_check (const buf_t *buf, const char *what, err_t *err)
{
    if (buf->full)
        return err_set (err, ERR_INPUT, "%s has more than %zu bytes", what,
                        buf->max ? buf->max : BUF_MAX_DEFAULT);
    return buf->failed ? err_set (err, ERR_LIMIT, "no memory for %s", what) : 0;
}

void buf_clear (buf_t *buf)
{
    buf->size = 0;
    buf->failed = buf->full = false;
    if (buf->data)
        buf->data[0] = 0;
}

/*  The maximum stays, so that the buf may be used again under the same rule. */
void buf_free (buf_t *buf)
{
    free (buf->data);
    *buf = (buf_t){.max = buf->max};
}

/*  A buf that failed may have data, too: callers check before. */
char *buf_take (buf_t *buf)
{
    if (!buf->data)
        buf_text (buf, "");
    char *data = buf->data;
    *buf = (buf_t){.max = buf->max};
    return data;
}

/*  clean - see clean.h */
#include "task/clean.h"

#include <utf8proc.h>

#include "base/buf.h"

json_t *clean_text (const char *text, size_t size)
{
    /* A replacement has three bytes, and may stand for one. */
    buf_t clean = {.max = 3 * size + 1};
    for (size_t at = 0; at < size;) {
        utf8proc_int32_t point;
        utf8proc_ssize_t n = utf8proc_iterate ((const utf8proc_uint8_t *) text + at,
                                               (utf8proc_ssize_t) (size - at), &point);
        if (n > 0 && point != 0)
            buf_append (&clean, text + at, (size_t) n);
        else
            buf_text (&clean, "\xef\xbf\xbd");
        /* Bytes that are no UTF-8 are replaced one by one, as decoders commonly do. */
        at += n > 0 ? (size_t) n : 1;
    }
    json_t *value =
        buf_failed (&clean) ? NULL : json_stringn (clean.data ? clean.data : "", clean.size);
    buf_free (&clean);
    return value;
}

/*  tokenizer_normal - the normaliser: its steps one after the other. See tokenizer_internal.h */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "text/tokenizer_internal.h"

/*  As Rust's char::is_whitespace, which Strip asks. Returns its bytes, or 0. */
static size_t normal_space (const char *text, size_t size)
{
    utf8proc_int32_t c = -1;
    utf8proc_ssize_t n =
        utf8proc_iterate ((const utf8proc_uint8_t *) text, (utf8proc_ssize_t) size, &c);
    utf8proc_category_t category = utf8proc_category (c);
    bool space = (c >= '\t' && c <= '\r') || c == 0x85 || category == UTF8PROC_CATEGORY_ZS ||
                 category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
    return space && n > 0 ? (size_t) n : 0;
}

/*  From the right, bytes that continue a character are stepped over to find where it begins. */
static size_t normal_strip (const tokenizer_normal_t *step, const char *text, size_t size,
                            buf_t *out)
{
    const char *begin = text;
    for (size_t n; step->left && size && (n = normal_space (text, size)) > 0; size -= n)
        text += n;
    for (size_t n = 1; step->right && size && n;) {
        size_t at = size - 1;
        while (at && ((unsigned char) text[at] & 0xc0) == 0x80)
            at--;
        n = normal_space (text + at, size - at);
        size = n ? at : size;
    }
    buf_append (out, text, size);
    return (size_t) (text - begin);
}

/*  How much of the beginning is replaced by nothing. */
static size_t normal_replaced (const tokenizer_normal_t *step, const char *text, size_t size)
{
    tokenizer_find_t find = {0};
    size_t at = 0, start, end;
    if (*step->text)
        return 0;
    tokenizer_find_begin (&find, step->regex, text, size);
    while (tokenizer_find (&find, &start, &end) && start == at)
        at = end;
    tokenizer_find_done (&find);
    return at;
}

/*  utf8proc fails for text that is no UTF-8, which then fails as a whole. */
static void normal_compose (const tokenizer_normal_t *step, const char *text, size_t size,
                            buf_t *out)
{
    utf8proc_uint8_t *composed = NULL;
    utf8proc_ssize_t n = utf8proc_map ((const utf8proc_uint8_t *) text, (utf8proc_ssize_t) size,
                                       &composed, (utf8proc_option_t) step->options);
    out->failed |= n < 0;
    if (n > 0)
        buf_append (out, composed, (size_t) n);
    free (composed);
}

/*  Returns how many bytes of the beginning are gone. */
static size_t normal_step (const tokenizer_normal_t *step, const char *text, size_t size,
                           buf_t *out)
{
    switch (step->kind) {
    case NORMAL_COMPOSE:
        normal_compose (step, text, size, out);
        return 0;
    case NORMAL_PREPEND:
        /* The library leaves an empty text empty. */
        if (size)
            buf_text (out, step->text);
        buf_append (out, text, size);
        return 0;
    case NORMAL_REPLACE:
        out->failed |= !tokenizer_replace (step->regex, step->text, text, size, out);
        return normal_replaced (step, text, size);
    case NORMAL_STRIP:
        return normal_strip (step, text, size, out);
    }
    return 0;
}

/*  Each step reads one buffer and writes another, since a step may make text longer. A failure of
 *  any of them shows in out. What a step has put first may go again. */
bool tokenizer_normalize (const tokenizer_t *t, const char *text, size_t size, buf_t *out)
{
    size_t put = 0;
    bool there = true;
    buf_t now = {.max = SIZE_MAX / 4};
    buf_append (&now, text, size);
    for (size_t i = 0; i < t->normals && !now.failed; i++) {
        buf_t next = {.max = SIZE_MAX / 4};
        size_t gone = normal_step (&t->normal[i], now.data ? now.data : "", now.size, &next);
        there = there && gone <= put;
        put = t->normal[i].kind == NORMAL_PREPEND ? put + strlen (t->normal[i].text)
              : gone < put                        ? put - gone
                                                  : 0;
        buf_free (&now);
        now = next;
    }
    if (now.size)
        buf_append (out, now.data, now.size);
    out->failed |= now.failed;
    buf_free (&now);
    return there;
}

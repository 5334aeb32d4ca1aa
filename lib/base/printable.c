/*  printable - see printable.h */
#include "base/printable.h"

#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/*  Marks and overrides of the direction of text: what follows one would be shown in another order
 *  than it has. */
static bool printable_reverses (utf8proc_int32_t c)
{
    return c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

/*  Neither control characters (CC) nor line and paragraph separators (ZL, ZP), which a terminal may
 *  obey. CS: halves of surrogate pairs, which are no characters. */
static bool printable_shows (utf8proc_int32_t c)
{
    switch (utf8proc_category (c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return false;
    default:
        return !printable_reverses (c);
    }
}

static void printable_show (printable_char_t *shown, const char *bytes, size_t size, size_t columns)
{
    memcpy (shown->bytes, bytes, size);
    shown->size = size;
    shown->columns = columns;
}

/*  Always takes at least one byte, so that callers' loops end. */
size_t printable_next (const char *text, size_t size, printable_t how, printable_char_t *shown)
{
    utf8proc_int32_t c;
    if (*text == '\n' || *text == '\t') {
        printable_show (shown, how == PRINTABLE_LINES ? text : " ", 1, 1);
        return 1;
    }
    utf8proc_ssize_t n = utf8proc_iterate ((const utf8proc_uint8_t *) text,
                                           size < 4 ? (utf8proc_ssize_t) size : 4, &c);
    if (n <= 0 || !printable_shows (c)) {
        printable_show (shown, REPLACEMENT, 3, 1);
        return n > 0 ? (size_t) n : 1;
    }
    printable_show (shown, text, (size_t) n, (size_t) utf8proc_charwidth (c));
    return (size_t) n;
}

void printable_text (buf_t *out, const char *text, size_t size, printable_t how)
{
    printable_char_t shown;
    for (size_t i = 0; i < size;) {
        i += printable_next (text + i, size - i, how, &shown);
        buf_append (out, shown.bytes, shown.size);
    }
}

/*  Measured first, since the ellipsis needs a column of its own where the text does not fit. */
size_t printable_cut (buf_t *out, const char *text, size_t size, size_t columns)
{
    printable_char_t shown;
    size_t whole = 0, used = 0;
    for (size_t i = 0; i < size && whole <= columns; whole += shown.columns)
        i += printable_next (text + i, size - i, PRINTABLE_LINE, &shown);
    bool fits = whole <= columns;
    if (columns == 0)
        return 0;
    for (size_t i = 0; i < size;) {
        i += printable_next (text + i, size - i, PRINTABLE_LINE, &shown);
        if (used + shown.columns > columns - !fits)
            break;
        used += shown.columns;
        buf_append (out, shown.bytes, shown.size);
    }
    if (fits)
        return used;
    buf_text (out, "…");
    return used + 1;
}

void printable_print (FILE *to, const char *text, size_t size, printable_t how)
{
    printable_char_t shown;
    for (size_t i = 0; i < size;) {
        i += printable_next (text + i, size - i, how, &shown);
        fwrite (shown.bytes, 1, shown.size, to);
    }
}

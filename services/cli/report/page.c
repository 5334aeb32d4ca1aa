/*  page - see page.h */
#include "page.h"

#include <string.h>

#include "base/printable.h"

/*  Control characters first, as HTML may not hold them; the quote, too, for attributes. */
void page_escape (const char *text, buf_t *out)
{
    buf_t safe = {0};
    printable_text (&safe, text ? text : "", text ? strlen (text) : 0, PRINTABLE_LINES);
    for (size_t i = 0; i < safe.size; i++)
        if (safe.data[i] == '<')
            buf_text (out, "&lt;");
        else if (safe.data[i] == '>')
            buf_text (out, "&gt;");
        else if (safe.data[i] == '&')
            buf_text (out, "&amp;");
        else if (safe.data[i] == '"')
            buf_text (out, "&quot;");
        else
            buf_char (out, safe.data[i]);
    buf_free (&safe);
}

/*  One pass: what was filled in is not searched again, so a mark in it does no harm. */
void page_fill (const char *mark, const char *value, buf_t *page)
{
    buf_t out = {0};
    const char *at = page->data, *found;
    while ((found = strstr (at, mark))) {
        buf_append (&out, at, (size_t) (found - at));
        buf_text (&out, value);
        at = found + strlen (mark);
    }
    buf_text (&out, at);
    buf_free (page);
    *page = out;
}

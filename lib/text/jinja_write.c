/*  jinja_write - values as text: Python's str () and repr (), and the tojson of transformers. See
 *  jinja_internal.h */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "text/jinja_internal.h"
#include "text/tokenizer_internal.h"

#define WRITE_DEPTH 48

/*  How a list or an object is written. */
typedef struct {
    jinja_t *j;
    buf_t *out;
    bool json, ascii, sorted;
    int indent;               /* below 0: all in one line */
    const char *item, *colon; /* between items, behind keys; NULL: as usual */
    size_t depth;
} writer_t;

static void write_value (writer_t *w, const json_t *value);

/*  The shortest text that reads back as the same number, as Python has it. */
static void write_real (double number, buf_t *out)
{
    char text[40];
    if (!isfinite (number)) {
        buf_text (out, isnan (number) ? "nan" : number < 0 ? "-inf" : "inf");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf (text, sizeof text, "%.*g", digits, number);
        if (!(strtod (text, NULL) < number) && !(strtod (text, NULL) > number))
            break;
    }
    if (fabs (number) >= 1e15 && fabs (number) < 1e16 && strchr (text, 'e'))
        snprintf (text, sizeof text, "%.0f", number);
    buf_text (out, text);
    /* Python writes 2.0 for the fraction and 2 for the whole number. */
    if (!strpbrk (text, ".e"))
        buf_text (out, ".0");
}

/*  What repr writes as an escape: characters that str.isprintable does not count. */
static bool write_escape (const char *text, size_t size, buf_t *out)
{
    utf8proc_int32_t c = -1;
    utf8proc_iterate ((const utf8proc_uint8_t *) text, (utf8proc_ssize_t) size, &c);
    utf8proc_category_t category = utf8proc_category (c);
    if (c < 0x80 || !(category == UTF8PROC_CATEGORY_CN || category >= UTF8PROC_CATEGORY_ZS))
        return false;
    buf_printf (out, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned) c);
    return true;
}

/*  As UTF-16, which takes two of its units for what lies above U+FFFF. */
static void write_ascii (const char *text, size_t size, buf_t *out)
{
    utf8proc_int32_t c = -1;
    utf8proc_iterate ((const utf8proc_uint8_t *) text, (utf8proc_ssize_t) size, &c);
    unsigned code = (unsigned) c;
    if (code > 0xffff)
        buf_printf (out, "\\u%04x", 0xd800 + ((code - 0x10000) >> 10));
    buf_printf (out, "\\u%04x", code > 0xffff ? 0xdc00 + ((code - 0x10000) & 0x3ff) : code);
}

/*  Python takes single quotes unless only those would have to be escaped. */
static void write_quoted (const writer_t *w, const char *text, size_t size)
{
    char quote = !w->json && !(memchr (text, '\'', size) && !memchr (text, '"', size)) ? '\'' : '"';
    buf_char (w->out, quote);
    for (size_t at = 0, skip; at < size;) {
        size_t n = tokenizer_utf8_length (text + at, size - at, &skip);
        unsigned char c = (unsigned char) text[at];
        static const char from[] = "\n\r\t\b\f", to[] = "nrtbf";
        const char *known = c ? strchr (from, c) : NULL;
        if (c == (unsigned char) quote || c == '\\')
            buf_printf (w->out, "\\%c", c);
        else if (known && (w->json || known - from < 3))
            buf_printf (w->out, "\\%c", to[known - from]);
        else if (c < ' ' || (c == 0x7f && !w->json))
            buf_printf (w->out, w->json ? "\\u%04x" : "\\x%02x", c);
        else if (n > 1 && !w->json && write_escape (text + at, n, w->out))
            ;
        else if (w->ascii && (n > 1 || c == 0x7f))
            write_ascii (text + at, n, w->out);
        else
            buf_append (w->out, text + at, n);
        at += n ? n : skip;
    }
    buf_char (w->out, quote);
}

/*  What stands before an item: the separator of the last one, and a line of its own where lines are
 *  indented. */
static void write_between (const writer_t *w, bool first, size_t depth)
{
    if (!first)
        buf_text (w->out, w->item ? w->item : w->indent < 0 ? ", " : ",");
    if (w->indent >= 0) {
        buf_char (w->out, '\n');
        for (size_t i = 0; i < depth * (size_t) w->indent; i++)
            buf_char (w->out, ' ');
    }
}

static int write_by_name (const void *a, const void *b)
{
    return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/*  Keys stay in the order in which they were given, as Python's do, unless they are to be
 *  sorted. */
static void write_object (writer_t *w, const json_t *object)
{
    const char *key, **keys = calloc (json_object_size (object) + 1, sizeof *keys);
    json_t *value;
    size_t n = 0;
    if (!keys) {
        jinja_fail (w->j, "no memory");
        return;
    }
    json_object_foreach ((json_t *) (uintptr_t) object, key, value)
        keys[n++] = key;
    if (w->sorted)
        qsort (keys, n, sizeof *keys, write_by_name);
    buf_char (w->out, '{');
    for (size_t i = 0; i < n; i++) {
        write_between (w, i == 0, w->depth);
        if (*keys[i] != JINJA_NUMBER)
            write_quoted (w, keys[i], strlen (keys[i]));
        else if (w->sorted)
            jinja_fail (w->j, "sort_keys of numbers is not known here");
        else
            buf_printf (w->out, w->json ? "\"%s\"" : "%s", keys[i] + 1);
        buf_text (w->out, w->colon ? w->colon : ": ");
        write_value (w, json_object_get (object, keys[i]));
    }
    if (n && w->indent >= 0)
        write_between (w, true, w->depth - 1);
    buf_char (w->out, '}');
    free (keys);
}

/*  Each value is charged, and the depth is bounded: what a template builds must not end in a stack
 *  that overflows. What Python writes and we cannot is an error, since other text would be another
 *  prompt. */
static void write_value (writer_t *w, const json_t *value)
{
    size_t i;
    const json_t *item;
    if (++w->depth > WRITE_DEPTH || !jinja_spend (w->j, 8)) {
        jinja_fail (w->j, "a value is nested too deep");
    } else if (jinja_is_marked (w->j, value) && !w->json) {
        jinja_fail (w->j, "what Python writes as Markup () is not known here");
    } else if (json_is_string (value)) {
        write_quoted (w, json_string_value (value), json_string_length (value));
    } else if (jinja_is_opaque (w->j, value)) {
        jinja_fail (w->j,
                    "a namespace, a range or what holds the undefined is written out, which is not "
                    "known here");
    } else if (json_is_array (value)) {
        bool tuple = !w->json && jinja_is_tuple (w->j, value);
        buf_char (w->out, tuple ? '(' : '[');
        json_array_foreach (value, i, item) {
            write_between (w, i == 0, w->depth);
            write_value (w, item);
        }
        if (json_array_size (value) && w->indent >= 0)
            write_between (w, true, w->depth - 1);
        buf_text (w->out, !tuple ? "]" : json_array_size (value) == 1 ? ",)" : ")");
    } else if (jinja_special (value)) {
        jinja_fail (w->j, json_object_get (value, JINJA_LAZY)
                              ? "what Python writes as <generator object> or dict_keys is not "
                                "known here; a filter list in front makes a list of it"
                              : "a function is written out");
    } else if (json_is_object (value)) {
        write_object (w, value);
    } else if (w->json && (json_is_boolean (value) || json_is_null (value))) {
        buf_text (w->out, json_is_null (value) ? "null" : json_is_true (value) ? "true" : "false");
    } else {
        jinja_write (w->j, value, w->out);
    }
    w->depth--;
}

/*  Python's str (): a text as it is, everything else as repr () has it. The undefined value writes
 *  nothing. */
void jinja_write (jinja_t *j, const json_t *value, buf_t *out)
{
    writer_t w = {.j = j, .out = out, .indent = -1};
    if (json_is_string (value))
        buf_append (out, json_string_value (value), json_string_length (value));
    else if (json_is_integer (value))
        buf_printf (out, "%lld", (long long) json_integer_value (value));
    else if (json_is_real (value))
        write_real (json_real_value (value), out);
    else if (json_is_boolean (value))
        buf_text (out, json_is_true (value) ? "True" : "False");
    else if (json_is_null (value))
        buf_text (out, "None");
    else if (value)
        write_value (&w, value);
}

/*  transformers' filter: json.dumps without escapes for HTML, letters as they are. */
json_t *jinja_to_json (jinja_t *j, const json_t *value, const jinja_args_t *args)
{
    buf_t text = {0};
    const json_t *indent = jinja_arg (args, 1, "indent"), *separators;
    writer_t w = {.j = j,
                  .out = &text,
                  .json = true,
                  .ascii = jinja_truth (jinja_arg (args, 0, "ensure_ascii")),
                  .indent = -1,
                  .sorted = jinja_truth (jinja_arg (args, 3, "sort_keys"))};
    separators = jinja_arg (args, 2, "separators");
    if (json_is_integer (indent) && json_integer_value (indent) >= 0 &&
        json_integer_value (indent) <= 16)
        w.indent = (int) json_integer_value (indent);
    else if (indent && !json_is_null (indent))
        return jinja_fail (j, "tojson with such an indent is not known here");
    w.item = json_string_value (json_array_get (separators, 0));
    w.colon = json_string_value (json_array_get (separators, 1));
    if (separators && !json_is_null (separators) && (!w.item || !w.colon))
        return jinja_fail (j, "tojson with such separators is not known here");
    if (!value)
        return jinja_fail (j, "tojson of what is undefined");
    write_value (&w, value);
    json_t *result = jinja_text (j, text.data ? text.data : "", text.size);
    buf_free (&text);
    return result;
}

/*  jinja_format - filters that make text or numbers of a wanted form, and Python's %. See
 *  jinja_internal.h
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "text/jinja_internal.h"

#define DIGITS_MAX 15 /* behind the point, and powers of ten that a double holds */
#define WIDTH_MAX  256

/*  ---- numbers -------------------------------------------------------------------------------- */

/*  round: to even where Python does, as printf does; "ceil" and "floor" always give a fraction. */
static json_t *format_round (jinja_t *j, const json_t *value, const jinja_args_t *args)
{
    const json_t *precision = jinja_arg (args, 0, "precision"),
                 *method = jinja_arg (args, 1, "method");
    json_int_t digits = precision ? json_integer_value (precision) : 0;
    const char *how = method ? json_string_value (method) : "common";
    char text[64 + 320];
    if (!json_is_number (value) || (precision && !json_is_integer (precision)) || digits < 0 ||
        digits > DIGITS_MAX || !how ||
        (strcmp (how, "common") && strcmp (how, "ceil") && strcmp (how, "floor")))
        return jinja_fail (j, "round of such a value, or to such a precision, is not known here");
    double number = json_number_value (value);
    if (*how == 'c' && how[1] == 'o') {
        if (json_is_integer (value))
            return (json_t *) (uintptr_t) value;
        snprintf (text, sizeof text, "%.*f", (int) digits, number);
        return jinja_keep (j, json_real (strtod (text, NULL)));
    }
    double power = pow (10, (double) digits), scaled = number * power;
    if (!(fabs (scaled) < 1e15))
        return jinja_fail (j, "a number of that size is not known here");
    return jinja_keep (j, json_real ((*how == 'c' ? ceil (scaled) : floor (scaled)) / power));
}

/*  ---- text ----------------------------------------------------------------------------------- */

/*  Runs of \w, which are letters and numbers of any script, and underscores. */
static json_t *format_count_words (jinja_t *j, const char *text)
{
    json_int_t words = 0;
    bool before = false;
    while (*text) {
        utf8proc_int32_t c = -1;
        utf8proc_ssize_t n = utf8proc_iterate ((const utf8proc_uint8_t *) text, -1, &c);
        utf8proc_category_t category = utf8proc_category (c);
        bool word = c == '_' ||
                    (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
                    (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
        words += word && !before;
        before = word;
        text += n > 0 ? n : 1;
    }
    return jinja_keep (j, json_integer (words));
}

/*  As markupsafe. */
static json_t *format_escape (jinja_t *j, const char *text)
{
    static const char from[] = "&<>'\"";
    static const char *const to[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    buf_t out = {.max = JINJA_WORK_MAX};
    for (; *text; text++) {
        const char *known = strchr (from, *text);
        if (known)
            buf_text (&out, to[known - from]);
        else
            buf_char (&out, *text);
    }
    json_t *value = jinja_text (j, out.data ? out.data : "", out.size);
    buf_free (&out);
    return value;
}

/*  Of a text; a marked one stays as it is. */
const json_t *jinja_escape (jinja_t *j, const json_t *text)
{
    return jinja_is_marked (j, text) ? text : format_escape (j, json_string_value (text));
}

/*  ---- % -------------------------------------------------------------------------------------- */

/*  What a % stands for: its flags, width and precision (-1: none), and its letter. */
typedef struct {
    bool left, zero;
    int width, precision;
    char letter;
} format_spec_t;

/*  Behind the % and its name; returns what comes behind the letter, or NULL. */
static const char *format_read_spec (const char *at, format_spec_t *spec)
{
    *spec = (format_spec_t){.precision = -1};
    for (; *at == '-' || *at == '0'; at++) {
        spec->left |= *at == '-';
        spec->zero |= *at == '0';
    }
    for (; *at >= '0' && *at <= '9' && spec->width <= WIDTH_MAX; at++)
        spec->width = 10 * spec->width + *at - '0';
    if (*at == '.')
        for (at++, spec->precision = 0; *at >= '0' && *at <= '9' && spec->precision <= WIDTH_MAX;
             at++)
            spec->precision = 10 * spec->precision + *at - '0';
    spec->letter = *at;
    return *at && strchr ("sdif", *at) && spec->width <= WIDTH_MAX && spec->precision <= DIGITS_MAX
               ? at + 1
               : NULL;
}

static void format_pad (buf_t *out, char with, int width, size_t size)
{
    for (size_t i = size; i < (size_t) width; i++)
        buf_char (out, with);
}

/*  One value as its letter wants it. Zeros go between the sign and the digits. */
static void format_value (jinja_t *j, const format_spec_t *spec, const json_t *value, buf_t *out)
{
    buf_t text = {0};
    char number[400];
    bool boolean = json_is_boolean (value), digits = spec->letter != 's';
    double real = boolean ? json_is_true (value) : json_number_value (value);
    if (!digits && spec->precision < 0) {
        jinja_write (j, value, &text);
    } else if (digits && (boolean || json_is_number (value)) && fabs (real) < 1e15) {
        if (spec->letter == 'f')
            snprintf (number, sizeof number, "%.*f", spec->precision < 0 ? 6 : spec->precision,
                      real);
        else
            snprintf (number, sizeof number, "%.0f", trunc (real) + 0.0);
        buf_text (&text, number);
    }
    if (!value || (digits && (!text.size || (spec->letter != 'f' && spec->precision >= 0))) ||
        (!digits && spec->precision >= 0)) {
        jinja_fail (j, "%%%c of such a value is not known here", spec->letter);
    } else {
        size_t n = 0; /* characters */
        for (size_t i = 0; i < text.size; i++)
            n += ((unsigned char) text.data[i] & 0xc0) != 0x80;
        bool zero = spec->zero && digits && !spec->left, minus = zero && *text.data == '-';
        if (minus)
            buf_char (out, '-');
        if (!spec->left)
            format_pad (out, zero ? '0' : ' ', spec->width, n);
        buf_append (out, (text.data ? text.data : "") + minus, text.size - minus);
        if (spec->left)
            format_pad (out, ' ', spec->width, n);
    }
    buf_free (&text);
}

/*  %(name)s takes an argument by its name, %s the next one; none may be left. */
json_t *jinja_percent (jinja_t *j, const char *text, const jinja_args_t *args)
{
    buf_t out = {.max = JINJA_WORK_MAX};
    size_t next = 0;
    while (!j->failed && *text) {
        char name[JINJA_WORD] = "";
        format_spec_t spec;
        size_t plain = strcspn (text, "%");
        buf_append (&out, text, plain);
        text += plain;
        if (!*text || *++text == '%') {
            buf_text (&out, *text ? "%" : "");
            text += *text != 0;
            continue;
        }
        size_t n = *text == '(' ? strcspn (text + 1, ")") : 0;
        if (n && n < sizeof name && text[n + 1]) {
            memcpy (name, text + 1, n);
            text += n + 2;
        }
        text = format_read_spec (text, &spec);
        if (!text || (!*name && next >= args->n))
            jinja_fail (j, "such a %% is not known here");
        else
            format_value (j, &spec,
                          *name ? json_object_get (args->named, name) : args->value[next++], &out);
    }
    if (!j->failed && next < args->n)
        jinja_fail (j, "a value has no %% in the text");
    json_t *value = j->failed ? NULL : jinja_text (j, out.data ? out.data : "", out.size);
    buf_free (&out);
    return value;
}

/*  Behind "{": a place, counted, numbered or named, and its end; returns what comes behind it. */
static const char *format_place (jinja_t *j, const char *text, const jinja_args_t *args,
                                 size_t *next, buf_t *out)
{
    size_t n = strcspn (text, "}"), digits = strspn (text, "0123456789");
    char name[JINJA_WORD] = "";
    const json_t *value = NULL;
    bool counted = n == 0, numbered = n > 0 && digits == n && n < 5;
    bool named = n > 0 && n < sizeof name && digits == 0;
    for (size_t i = 0; i < n && named; i++)
        named = isalnum ((unsigned char) text[i]) || text[i] == '_';
    size_t place = counted ? *next : numbered ? (size_t) strtoul (text, NULL, 10) : 0;
    memcpy (name, text, named ? n : 0);
    *next += counted;
    if (!text[n] || (!counted && !numbered && !named))
        jinja_fail (j, "format: a place like {%.20s is not known here", text);
    else if (named ? !(value = json_object_get (args->named, name)) : place >= args->n)
        jinja_fail (j, "format: nothing is given for {%.*s}", (int) n, text);
    else
        jinja_write (j, named ? value : args->value[place], out);
    return text + n + 1;
}

/*  Python's str.format: {}, {0}, {name}; {{ and }} are braces. What else may stand in them (a form,
 *  an attribute) is refused. */
json_t *jinja_braces (jinja_t *j, const char *text, const jinja_args_t *args)
{
    buf_t out = {.max = JINJA_WORK_MAX};
    size_t next = 0, counted = 0, numbered = 0;
    buf_text (&out, "");
    while (!j->failed && *text) {
        char c = *text++;
        if ((c == '{' || c == '}') && *text == c) {
            buf_char (&out, c);
            text++;
        } else if (c == '}') {
            jinja_fail (j, "format: a } without its {");
        } else if (c == '{') {
            counted += *text == '}';
            numbered += isdigit ((unsigned char) *text) != 0;
            text = format_place (j, text, args, &next, &out);
        } else {
            buf_char (&out, c);
        }
    }
    if (counted && numbered)
        jinja_fail (j, "format: places with and without numbers");
    json_t *value = j->failed ? NULL : jinja_text (j, out.data, out.size);
    buf_free (&out);
    return value;
}

/*  ---- lists of lists ------------------------------------------------------------------------- */

/*  batch: rows of so many. slice: so many columns, the first ones one longer. What is left empty is
 *  filled. */
static json_t *format_rows (jinja_t *j, json_t *value, const jinja_args_t *args, bool columns)
{
    const json_t *count = jinja_arg (args, 0, columns ? "slices" : "linecount");
    json_t *fill = jinja_arg (args, 1, "fill_with"), *list = jinja_list (j, value);
    json_t *rows = jinja_keep (j, json_array ());
    json_int_t wanted = json_integer_value (count);
    if (wanted < 1 || wanted > 4096)
        return jinja_fail (j, "rows of such a number are not known here");
    if (json_is_null (fill))
        fill = NULL;
    size_t n = json_array_size (list), per = (size_t) wanted, at = 0;
    size_t more = columns ? n % per : 0, lists = columns ? per : (n + per - 1) / per;
    for (size_t r = 0; r < lists && jinja_spend (j, 64); r++) {
        size_t size = columns ? n / per + (r < more) : per;
        json_t *row = jinja_keep (j, json_array ());
        for (size_t i = 0; i < size && at < n; i++)
            json_array_append (row, json_array_get (list, at++));
        if (fill && columns && r >= more)
            json_array_append (row, fill);
        while (fill && !columns && json_array_size (row) < per && jinja_spend (j, 8))
            json_array_append (row, fill);
        json_array_append (rows, row);
    }
    return jinja_lazy (j, rows, true);
}

json_t *jinja_format_filter (jinja_t *j, const char *name, json_t *value, const jinja_args_t *args,
                             bool *known)
{
    bool escapes = strcmp (name, "escape") == 0 || strcmp (name, "e") == 0;
    if (strcmp (name, "round") == 0)
        return format_round (j, value, args);
    if (strcmp (name, "batch") == 0 || strcmp (name, "slice") == 0)
        return format_rows (j, value, args, *name == 's');
    bool form = strcmp (name, "format") == 0, marks = escapes || strcmp (name, "safe") == 0;
    if (!form && !marks && strcmp (name, "wordcount") != 0) {
        *known = false;
        return NULL;
    }
    if (form && args->n && args->named)
        return jinja_fail (j, "format with both kinds of arguments");
    buf_t text = {0};
    jinja_write (j, value, &text);
    const char *written = text.data ? text.data : "";
    json_t *made = j->failed ? NULL
                   : form    ? jinja_percent (j, written, args)
                   : escapes ? format_escape (j, written)
                   : marks   ? jinja_text (j, written, text.size)
                             : format_count_words (j, written);
    buf_free (&text);
    if (made && marks)
        json_array_append (j->marked, made);
    return made;
}

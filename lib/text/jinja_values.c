/*  jinja_values - see jinja_internal.h */
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja_internal.h"
#include "text/tokenizer_internal.h"

#define VALUE 64 /* bytes that one takes, about */

/*  The first error counts. The line is counted only now, since templates are read once and fail
 *  rarely. */
json_t *jinja_fail (jinja_t *j, const char *fmt, ...)
{
    char text[256];
    size_t line = 1;
    if (j->failed)
        return NULL;
    va_list args;
    va_start (args, fmt);
    vsnprintf (text, sizeof text, fmt, args);
    va_end (args);
    for (const char *c = j->template; c < j->at && *c; c++)
        line += *c == '\n';
    j->failed = true;
    err_set (j->err, ERR_INPUT, "line %zu: %s", line, text);
    return NULL;
}

/*  What is not known here matters only where it would be evaluated. */
json_t *jinja_unless_dead (jinja_t *j, const char *what, const char *name)
{
    return j->dead ? NULL : jinja_fail (j, "%s %s is not known here", what, name);
}

/*  Work is counted in bytes, roughly; a template that loops or grows without end is stopped by its
 *  sum. */
bool jinja_spend (jinja_t *j, size_t work)
{
    j->work += work;
    if (j->work <= JINJA_WORK_MAX && j->depth <= JINJA_DEPTH_MAX)
        return true;
    jinja_fail (j, "it is nested too deep, or does too much");
    return false;
}

/*  The pool holds every value that a template makes until it is done: code that evaluates borrows,
 *  and frees nothing on the way out of an error. */
json_t *jinja_keep (jinja_t *j, json_t *value)
{
    jinja_spend (j, VALUE);
    if (!value || json_array_append_new (j->pool, value) != 0)
        return jinja_fail (j, "no memory, or text that is not UTF-8");
    return value;
}

json_t *jinja_text (jinja_t *j, const char *text, size_t size)
{
    return jinja_spend (j, size) ? jinja_keep (j, json_stringn (text, size)) : NULL;
}

/*  ---- texts in quotes ------------------------------------------------------------------------ */

/*  An escape behind its backslash, as Python has them; returns what comes behind it. */
static const char *values_escape (const char *at, buf_t *text)
{
    static const char from[] = "nrtabfv0\\'\"", to[] = "\n\r\t\a\b\f\v\0\\'\"";
    size_t digits = *at == 'x' ? 2 : *at == 'u' ? 4 : *at == 'U' ? 8 : 0;
    unsigned code = 0;
    char utf8[4];
    if (*at == '\n')
        return at + 1;
    for (size_t i = 1; i <= digits; i++) {
        if (!isxdigit ((unsigned char) at[i]))
            return NULL;
        code = code << 4 | (unsigned) (isdigit ((unsigned char) at[i])
                                           ? at[i] - '0'
                                           : tolower ((unsigned char) at[i]) - 'a' + 10);
    }
    if (digits) {
        if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
            return NULL;
        buf_append (text, utf8, tokenizer_utf8 (code, utf8));
        return at + 1 + digits;
    }
    const char *known = strchr (from, *at);
    if (isdigit ((unsigned char) *at))
        return NULL;
    if (!known) /* stays as it is */
        buf_char (text, '\\');
    buf_char (text, known ? to[known - from] : *at);
    return at + 1;
}

/*  A string in quotes, and others that follow: one text. */
json_t *jinja_read_string (jinja_t *j)
{
    buf_t text = {0};
    while (!j->failed && (*j->at == '"' || *j->at == '\'')) {
        char quote = *j->at++;
        while (*j->at && *j->at != quote) {
            if (j->at[0] != '\\' || !j->at[1]) {
                buf_char (&text, *j->at++);
                continue;
            }
            const char *behind = values_escape (j->at + 1, &text);
            if (!behind)
                jinja_fail (j, "the escape \\%c is not known here", j->at[1]);
            j->at = behind ? behind : j->at + 2;
        }
        if (!*j->at)
            jinja_fail (j, "a string has no end");
        else
            j->at++;
        jinja_space (j);
    }
    json_t *value = j->dead ? NULL : jinja_text (j, text.data ? text.data : "", text.size);
    buf_free (&text);
    return value;
}

/*  ---- what values are ------------------------------------------------------------------------ */

/*  As Python: empty is false. NULL, the undefined value, is false too. */
bool jinja_truth (const json_t *value)
{
    if (json_is_string (value))
        return json_string_length (value) > 0;
    if (json_is_integer (value))
        return json_integer_value (value) != 0;
    if (json_is_real (value))
        return fpclassify (json_real_value (value)) != FP_ZERO;
    if (json_is_array (value))
        return json_array_size (value) > 0;
    if (json_object_get (value, "view"))
        return json_array_size (json_object_get (value, JINJA_LAZY)) > 0;
    if (json_is_object (value))
        return json_object_size (value) > 0;
    return json_is_true (value);
}

/*  Names that are always there, unless a template gives them to something else. */
static json_t *values_global (const jinja_t *j, const char *name)
{
    static const char *const names[] = {"self",   "namespace",    "dict",
                                        "range",  "strftime_now", "lipsum",
                                        "cycler", "joiner",       "raise_exception"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp (name, names[i]) == 0) {
            json_t *value = json_pack ("{s:s}", JINJA_SPECIAL, name);
            return value && json_array_append_new (j->pool, value) == 0 ? value : NULL;
        }
    return NULL;
}

/*  From the innermost scope outwards. NULL: undefined, which is no error until it is used. */
json_t *jinja_lookup (const jinja_t *j, const char *name)
{
    for (size_t i = j->scopes; i-- > 0;) {
        json_t *value = json_object_get (j->scope[i], name);
        if (value)
            return value;
    }
    return values_global (j, name);
}

/*  ---- functions ------------------------------------------------------------------------------ */

/*  Characters of a text, items of a list, keys of an object: two of the three are 0 for any
 *  value. */
size_t jinja_length (const json_t *value)
{
    size_t n = 0;
    const char *text = json_string_value (value);
    for (; text && *text; text++)
        n += ((unsigned char) *text & 0xc0) != 0x80;
    return n + json_array_size (value) + json_object_size (value);
}

/*  An argument by its name, else by its place; NULL when it was not given. */
json_t *jinja_arg (const jinja_args_t *args, size_t place, const char *name)
{
    json_t *named = name ? json_object_get (args->named, name) : NULL;
    return named ? named : place < args->n ? args->value[place] : NULL;
}

bool jinja_special (const json_t *value)
{
    return json_object_get (value, JINJA_SPECIAL) != NULL;
}

/*  As Python, true is the key 1. */
const char *jinja_key_of (const json_t *value, char number[32])
{
    double real = json_real_value (value);
    if (json_is_string (value))
        return json_string_value (value);
    if (!json_is_number (value) && !json_is_boolean (value))
        return NULL;
    if (json_is_real (value) &&
        !(fabs (real) < 1e15 && fpclassify (real - trunc (real)) == FP_ZERO))
        return NULL;
    snprintf (number, 32, "%c%lld", JINJA_NUMBER,
              json_is_boolean (value) ? (long long) json_is_true (value)
              : json_is_real (value)  ? (long long) real
                                      : (long long) json_integer_value (value));
    return number;
}

json_t *jinja_key_value (const char *key)
{
    return *key == JINJA_NUMBER ? json_integer (strtoll (key + 1, NULL, 10)) : json_string (key);
}

json_t *jinja_lazy (jinja_t *j, json_t *items, bool once)
{
    return items ? jinja_keep (j, json_pack ("{s:s, s:b, s:O}", JINJA_SPECIAL, "lazy",
                                             once ? "once" : "view", 1, JINJA_LAZY, items))
                 : NULL;
}

/*  By address: which list is a tuple is no property of its content. */
static bool values_among (const json_t *list, const json_t *value)
{
    size_t i;
    const json_t *one;
    json_array_foreach (list, i, one)
        if (one == value)
            return true;
    return false;
}

bool jinja_is_tuple (const jinja_t *j, const json_t *value)
{
    return values_among (j->tuples, value);
}

bool jinja_is_opaque (const jinja_t *j, const json_t *value)
{
    return values_among (j->opaque, value);
}

bool jinja_is_marked (const jinja_t *j, const json_t *value)
{
    return json_is_string (value) && values_among (j->marked, value);
}

/*  Python's range, as a list. */
static json_t *values_range (jinja_t *j, const jinja_args_t *args)
{
    json_int_t bound[3] = {0, 0, 1};
    if (args->n < 1 || args->n > 3)
        return jinja_fail (j, "range takes one to three numbers");
    for (size_t i = 0; i < args->n; i++) {
        if (!json_is_integer (args->value[i]))
            return jinja_fail (j, "range of what is no whole number");
        bound[args->n == 1 ? 1 : i] = json_integer_value (args->value[i]);
    }
    json_t *list = jinja_keep (j, json_array ());
    json_array_append (j->opaque, list);
    if (bound[2] == 0)
        return jinja_fail (j, "range with a step of 0");
    for (json_int_t i = bound[0]; bound[2] > 0 ? i < bound[1] : i > bound[1]; i += bound[2]) {
        /* A range of billions is stopped here, before it takes the memory. */
        if (!jinja_spend (j, VALUE))
            return NULL;
        json_array_append_new (list, json_integer (i));
    }
    return list;
}

/*  transformers gives templates the clock. Here it is the day of the configuration, or nothing:
 *  prompts would change from day to day. */
static json_t *values_date (jinja_t *j, const jinja_args_t *args)
{
    const char *format = json_string_value (jinja_arg (args, 0, "format"));
    buf_t text = {.max = JINJA_WORK_MAX};
    err_t why = {0};
    if (!j->date)
        return jinja_fail (j, "it writes the date, and prompts would change from day to day: say "
                              "which (model.date, or --date)");
    if (!format)
        return jinja_fail (j, "strftime_now takes a format");
    json_t *made = NULL;
    if (date_write (j->date, format, &text, &why) != 0)
        jinja_fail (j, "%s", why.text);
    else if (jinja_spend (j, text.size))
        made = jinja_text (j, text.data ? text.data : "", text.size);
    buf_free (&text);
    return made;
}

json_t *jinja_function (jinja_t *j, const char *name, const jinja_args_t *args)
{
    if (j->dead)
        return NULL;
    if ((strcmp (name, "namespace") == 0 || strcmp (name, "dict") == 0) && args->n == 0) {
        if (args->blank && *name == 'd')
            return jinja_fail (j, "dict with what is undefined is not known here");
        json_t *made = jinja_keep (j, args->named ? json_copy (args->named) : json_object ());
        /* A namespace is an object that only templates know: nobody may write it out
         * (jinja_write.c). */
        if (*name == 'n')
            json_array_append (j->opaque, made);
        return made;
    }
    if (strcmp (name, "range") == 0)
        return values_range (j, args);
    if (strcmp (name, "strftime_now") == 0)
        return values_date (j, args);
    if (strcmp (name, "raise_exception") == 0)
        return jinja_fail (j, "it refuses a single message of the user: %.120s",
                           args->n && json_string_value (args->value[0])
                               ? json_string_value (args->value[0])
                               : "");
    return jinja_fail (j, "the function %s is not known here", name);
}

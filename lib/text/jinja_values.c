/*  jinja_values - see jinja_internal.h */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text/jinja_internal.h"

#define VALUE 64 /* bytes that one takes, about */
#define SPACE " \t\n\r\v\f\x1c\x1d\x1e\x1f"

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

/*  As Python: empty is false. NULL, the undefined value, is false too. */
bool jinja_truth (const json_t *value)
{
    if (json_is_string (value))
        return json_string_length (value) > 0;
    if (json_is_integer (value))
        return json_integer_value (value) != 0;
    if (json_is_array (value))
        return json_array_size (value) > 0;
    if (json_is_object (value))
        return json_object_size (value) > 0;
    return json_is_true (value);
}

/*  How Python's str () writes a value. Lists and objects would need its repr (), and no prompt
 *  should hold them. */
void jinja_write (jinja_t *j, const json_t *value, buf_t *out)
{
    if (json_is_string (value))
        buf_append (out, json_string_value (value), json_string_length (value));
    else if (json_is_integer (value))
        buf_printf (out, "%lld", (long long) json_integer_value (value));
    else if (json_is_boolean (value))
        buf_text (out, json_is_true (value) ? "True" : "False");
    else if (json_is_null (value))
        buf_text (out, "None");
    else if (value)
        jinja_fail (j, "a list or an object is written out, which is not known here");
}

/*  From the innermost scope outwards. */
json_t *jinja_lookup (const jinja_t *j, const char *name)
{
    for (size_t i = j->scopes; i-- > 0;) {
        json_t *value = json_object_get (j->scope[i], name);
        if (value)
            return value;
    }
    return NULL;
}

/*  ---- text ----------------------------------------------------------------------------------- */

/*  Python's strip: takes any of these characters away, at either end. Only ASCII ones: SPACE lists
 *  what str.strip () takes for white space below 128. */
static json_t *values_strip (jinja_t *j, const json_t *value, const char *characters, bool left,
                             bool right)
{
    const char *text = json_string_value (value);
    size_t size = json_string_length (value);
    while (left && size && strchr (characters, *text)) {
        text++;
        size--;
    }
    while (right && size && strchr (characters, text[size - 1]))
        size--;
    return jinja_text (j, text, size);
}

/*  startswith, and endswith with at_end. */
static bool values_begins (const json_t *value, const json_t *with, bool at_end)
{
    size_t n = json_string_length (value), m = json_string_length (with);
    return n >= m && memcmp (json_string_value (value) + (at_end ? n - m : 0),
                             json_string_value (with), m) == 0;
}

/*  ASCII: other letters are left to an error. */
static json_t *values_change_case (jinja_t *j, const json_t *value, bool upper)
{
    buf_t out = {0};
    const char *text = json_string_value (value);
    for (; *text; text++) {
        bool change = upper ? *text >= 'a' && *text <= 'z' : *text >= 'A' && *text <= 'Z';
        if ((unsigned char) *text >= 0x80)
            jinja_fail (j, "the case of letters beyond ASCII is not known here");
        buf_char (&out, change ? (char) (*text ^ 0x20) : *text);
    }
    json_t *result = jinja_text (j, out.data ? out.data : "", out.size);
    buf_free (&out);
    return result;
}

/*  ---- what templates call -------------------------------------------------------------------- */

/*  Characters of a text: bytes that do not continue one. */
size_t jinja_length (const json_t *value)
{
    size_t n = 0;
    const char *text = json_string_value (value);
    for (; text && *text; text++)
        n += ((unsigned char) *text & 0xc0) != 0x80;
    return n + json_array_size (value) + json_object_size (value);
}

/*  Names and arguments that are not listed are errors: leaving a filter out would give another
 *  prompt in silence. */
json_t *jinja_filter (jinja_t *j, const char *name, json_t *value, const jinja_args_t *args)
{
    if (j->dead)
        return NULL;
    bool text = json_is_string (value);
    if ((strcmp (name, "default") == 0 || strcmp (name, "d") == 0) && args->n >= 1)
        return !value || (args->n > 1 && jinja_truth (args->value[1]) && !jinja_truth (value))
                   ? args->value[0]
                   : value;
    /* trim with characters of one's own exists in Jinja, and in no template that we know. */
    if (strcmp (name, "trim") == 0 && text && args->n == 0)
        return values_strip (j, value, SPACE, true, true);
    if ((strcmp (name, "length") == 0 || strcmp (name, "count") == 0) &&
        (text || json_is_array (value) || json_is_object (value)))
        return jinja_keep (j, json_integer ((json_int_t) jinja_length (value)));
    if ((strcmp (name, "safe") == 0 || strcmp (name, "string") == 0) && text)
        return value;
    if ((strcmp (name, "upper") == 0 || strcmp (name, "lower") == 0) && text)
        return values_change_case (j, value, *name == 'u');
    if (strcmp (name, "first") == 0 && json_is_array (value))
        return json_array_get (value, 0);
    if (strcmp (name, "last") == 0 && json_array_size (value))
        return json_array_get (value, json_array_size (value) - 1);
    return jinja_fail (j, "the filter %s of such a value is not known here", name);
}

json_t *jinja_test (jinja_t *j, const char *name, const json_t *value)
{
    const struct {
        const char *name;
        bool is;
    } tests[] = {
        {"defined", value != NULL},
        {"undefined", value == NULL},
        {"none", json_is_null (value)},
        {"string", json_is_string (value)},
        {"mapping", json_is_object (value)},
        {"iterable", json_is_string (value) || json_is_array (value) || json_is_object (value)},
        {"sequence", json_is_string (value) || json_is_array (value) || json_is_object (value)},
        {"boolean", json_is_boolean (value)},
        {"true", json_is_true (value)},
        {"false", json_is_false (value)},
        {"integer", json_is_integer (value)},
        {"number", json_is_integer (value) || json_is_boolean (value)},
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (strcmp (tests[i].name, name) == 0)
            return jinja_keep (j, json_boolean (tests[i].is));
    return jinja_unless_dead (j, "the test", name);
}

/*  strftime_now and raise_exception are known so that the error says what the template wants. */
json_t *jinja_function (jinja_t *j, const char *name, const jinja_args_t *args)
{
    if (j->dead)
        return NULL;
    if (strcmp (name, "namespace") == 0 && args->n == 0)
        return jinja_keep (j, args->named ? json_copy (args->named) : json_object ());
    if (strcmp (name, "strftime_now") == 0)
        return jinja_fail (j, "it writes the date, and prompts would change from day to day");
    if (strcmp (name, "raise_exception") == 0)
        return jinja_fail (j, "it refuses a single message of the user: %.120s",
                           args->n && json_string_value (args->value[0])
                               ? json_string_value (args->value[0])
                               : "");
    return jinja_fail (j, "the function %s is not known here", name);
}

json_t *jinja_method (jinja_t *j, json_t *self, const char *name, const jinja_args_t *args)
{
    if (j->dead)
        return NULL;
    const json_t *first = args->n ? args->value[0] : NULL;
    bool text = json_is_string (self);
    /* Called as the method of Python is: without arguments, or with one text. */
    bool plain = args->n <= 1 && !args->named && (args->n == 0 || json_is_string (first));
    const char *characters = args->n ? json_string_value (first) : SPACE;
    if (strcmp (name, "strip") == 0 && text && plain)
        return values_strip (j, self, characters, true, true);
    if (strcmp (name, "lstrip") == 0 && text && plain)
        return values_strip (j, self, characters, true, false);
    if (strcmp (name, "rstrip") == 0 && text && plain)
        return values_strip (j, self, characters, false, true);
    if ((strcmp (name, "startswith") == 0 || strcmp (name, "endswith") == 0) && text && plain &&
        args->n)
        return jinja_keep (j, json_boolean (values_begins (self, first, *name == 'e')));
    if ((strcmp (name, "upper") == 0 || strcmp (name, "lower") == 0) && text && args->n == 0)
        return values_change_case (j, self, *name == 'u');
    if (strcmp (name, "get") == 0 && json_is_object (self) && json_is_string (first)) {
        json_t *value = json_object_get (self, json_string_value (first));
        return value ? value : args->n > 1 ? args->value[1] : jinja_keep (j, json_null ());
    }
    return jinja_fail (j, "the method %s of such a value is not known here", name);
}

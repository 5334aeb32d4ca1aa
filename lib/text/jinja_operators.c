/*  jinja_operators - values combined, as Python combines them. See jinja_internal.h */
#include <math.h>
#include <string.h>

#include "text/jinja_internal.h"

/*  ---- comparisons ---------------------------------------------------------------------------- */

/*  True and False are numbers in Python. */
static bool operators_is_number (const json_t *value)
{
    return json_is_number (value) || json_is_boolean (value);
}

static double operators_number (const json_t *value)
{
    return json_is_boolean (value) ? json_is_true (value) : json_number_value (value);
}

/*  1 equals 1.0 and True, also inside of lists, which jansson's own comparison does not know. */
bool jinja_equal (const json_t *a, const json_t *b)
{
    if (operators_is_number (a) && operators_is_number (b))
        return !(operators_number (a) < operators_number (b)) &&
               !(operators_number (a) > operators_number (b));
    if (json_is_array (a) && json_is_array (b)) {
        bool same = json_array_size (a) == json_array_size (b);
        for (size_t i = 0; same && i < json_array_size (a); i++)
            same = jinja_equal (json_array_get (a, i), json_array_get (b, i));
        return same;
    }
    return (!a && !b) || json_equal (a, b);
}

/*  Part of a text, key of an object, or item of a list. */
bool jinja_contains (jinja_t *j, const json_t *list, const json_t *item)
{
    size_t i;
    const json_t *one;
    char number[32];
    const char *key;
    if (!list)
        return false; /* an undefined value has no items */
    if (jinja_special (list))
        list = jinja_list (j, list);
    if (json_is_string (list) && json_is_string (item))
        return strstr (json_string_value (list), json_string_value (item)) != NULL;
    if (json_is_object (list) &&
        (jinja_is_opaque (j, list) || json_is_array (item) || json_is_object (item)))
        jinja_fail (j, "'in' of such values is not known here");
    if (json_is_object (list))
        return (key = jinja_key_of (item, number)) && json_object_get (list, key) != NULL;
    if (!json_is_array (list))
        jinja_fail (j, "'in' of such a value is not known here");
    json_array_foreach (list, i, one)
        if (jinja_equal (one, item))
            return true;
    return false;
}

/*  Undefined equals undefined and nothing else. */
bool jinja_compare (jinja_t *j, const char *symbol, const json_t *a, const json_t *b)
{
    if (strcmp (symbol, "in") == 0)
        return jinja_contains (j, b, a);
    if (strcmp (symbol, "not in") == 0)
        return !jinja_contains (j, b, a);
    if (symbol[0] == '=' || symbol[0] == '!')
        return jinja_equal (a, b) == (symbol[0] == '=');
    double order = 0;
    if (operators_is_number (a) && operators_is_number (b)) {
        order = operators_number (a) - operators_number (b);
    } else if (json_is_string (a) && json_is_string (b)) {
        order = strcmp (json_string_value (a), json_string_value (b));
    } else {
        jinja_fail (j, "'%s' of such values", symbol);
        return false;
    }
    bool less = order<0, more = order> 0;
    return symbol[0] == '<' ? less || (symbol[1] && !more) : more || (symbol[1] && !less);
}

/*  ---- arithmetic ----------------------------------------------------------------------------- */

/*  Jinja's ~, which writes both sides as texts; also + of two texts. */
json_t *jinja_join (jinja_t *j, const json_t *left, const json_t *right)
{
    buf_t text = {0};
    jinja_write (j, left, &text);
    jinja_write (j, right, &text);
    json_t *value = jinja_text (j, text.data ? text.data : "", text.size);
    buf_free (&text);
    return value;
}

/*  Booleans count as 0 and 1. */
static bool operators_whole (const json_t *value, json_int_t *whole)
{
    *whole = json_is_boolean (value) ? json_is_true (value) : json_integer_value (value);
    return json_is_integer (value) || json_is_boolean (value);
}

/*  Texts and lists are joined by +, numbers added with a check for overflow. Undefined values are
 *  an error, as in Jinja. */
json_t *jinja_add (jinja_t *j, const json_t *left, const json_t *right, bool minus)
{
    json_int_t a, b, sum;
    if (j->dead)
        return NULL;
    if ((jinja_is_marked (j, left) || jinja_is_marked (j, right)) && json_is_string (left) &&
        json_is_string (right) && !minus) {
        /* What is added to marked text is escaped, and the sum is marked again. */
        json_t *joined = jinja_join (j, jinja_escape (j, left), jinja_escape (j, right));
        json_array_append (j->marked, joined);
        return joined;
    }
    if (json_is_string (left) && json_is_string (right) && !minus)
        return jinja_join (j, left, right);
    if (json_is_array (left) && json_is_array (right) && !minus) {
        bool tuple = jinja_is_tuple (j, left);
        if (tuple != jinja_is_tuple (j, right) || jinja_is_opaque (j, left) ||
            jinja_is_opaque (j, right))
            return jinja_fail (j, "'+' of a list and a tuple, or of a range");
        json_t *list = jinja_keep (j, json_copy ((json_t *) (uintptr_t) left));
        if (tuple)
            json_array_append (j->tuples, list);
        jinja_spend (j, 8 * (jinja_length (left) + jinja_length (right)));
        json_array_extend (list, (json_t *) (uintptr_t) right);
        return list;
    }
    if (operators_whole (left, &a) && operators_whole (right, &b) &&
        !(minus ? __builtin_sub_overflow (a, b, &sum) : __builtin_add_overflow (a, b, &sum)))
        return jinja_keep (j, json_integer (sum));
    if (operators_is_number (left) && operators_is_number (right))
        return jinja_keep (
            j, json_real (operators_number (left) + (minus ? -1 : 1) * operators_number (right)));
    return jinja_fail (j, "'%c' of %s", minus ? '-' : '+',
                       left && right ? "such values is not known here" : "what is undefined");
}

/*  A text or a list, n times. */
static json_t *operators_repeat (jinja_t *j, json_t *value, json_int_t n)
{
    json_t *all = json_is_array (value) ? jinja_keep (j, json_array ()) : jinja_text (j, "", 0);
    if (jinja_is_tuple (j, value))
        json_array_append (j->tuples, all);
    for (json_int_t i = 0; i < n && !j->failed; i++)
        all = jinja_add (j, all, value, false);
    return all;
}

/*  text % value, or % (value, value), or % {name: value}. A list is one value. */
static json_t *operators_percent (jinja_t *j, const json_t *left, json_t *right)
{
    jinja_args_t args = {0};
    size_t i;
    json_t *item;
    if (json_is_object (right) && !jinja_special (right)) {
        args.named = right;
    } else if (json_is_array (right)) {
        if (!jinja_is_tuple (j, right) || json_array_size (right) > JINJA_ARGS_MAX)
            return jinja_fail (j, "'%%' of a list is not known here");
        json_array_foreach (right, i, item)
            args.value[args.n++] = item;
    } else {
        args.value[args.n++] = right;
    }
    return jinja_percent (j, json_string_value (left), &args);
}

/*  *, /, // and %: with Python's rounding down of negative numbers. */
json_t *jinja_multiply (jinja_t *j, const char *symbol, json_t *left, json_t *right)
{
    json_int_t a, b, product;
    if (j->dead)
        return NULL;
    if (jinja_is_marked (j, left) || jinja_is_marked (j, right))
        return jinja_fail (j, "'%s' of what escape or safe has made is not known here", symbol);
    if (*symbol == '%' && json_is_string (left))
        return operators_percent (j, left, right);
    bool whole = operators_whole (left, &a) & operators_whole (right, &b);
    bool times = *symbol == '*';
    if (times && (json_is_string (left) || json_is_array (left)) && operators_whole (right, &b))
        return operators_repeat (j, left, b);
    if (times && (json_is_string (right) || json_is_array (right)) && operators_whole (left, &a))
        return operators_repeat (j, right, a);
    if (times && whole && !__builtin_mul_overflow (a, b, &product))
        return jinja_keep (j, json_integer (product));
    if (!operators_is_number (left) || !operators_is_number (right))
        return jinja_fail (j, "'%s' of such values is not known here", symbol);
    double x = operators_number (left), y = operators_number (right);
    if (times)
        return jinja_keep (j, json_real (x * y));
    if (fpclassify (y) == FP_ZERO || (whole && a == INT64_MIN))
        return jinja_fail (j, "'%s' by zero", symbol);
    if (strcmp (symbol, "/") == 0)
        return jinja_keep (j, json_real (x / y));
    if (!whole)
        return jinja_fail (j, "'%s' of fractions is not known here", symbol);
    json_int_t down = a / b - (a % b != 0 && (a < 0) != (b < 0));
    return jinja_keep (j, json_integer (*symbol == '%' ? a - down * b : down));
}

/*  ---- indices -------------------------------------------------------------------------------- */

/*  Where character i of a text begins: Python counts characters, not bytes. */
static size_t operators_place (const char *text, size_t i)
{
    size_t at = 0;
    for (; text[at] && i; i--)
        do
            at++;
        while (((unsigned char) text[at] & 0xc0) == 0x80);
    return at;
}

/*  A bound of a slice as Python takes it: negative ones count from the end, those outside are moved
 *  to the nearest end, which is -1 or n - 1 when going backwards. */
static json_int_t operators_bound (const json_t *bound, json_int_t n, json_int_t fallback,
                                   bool back)
{
    json_int_t at = json_integer_value (bound);
    if (!json_is_integer (bound))
        return fallback;
    if (at < 0)
        at += n;
    return at < 0 ? (back ? -1 : 0) : at >= n ? (back ? n - 1 : n) : at;
}

/*  A text is cut in place where its step is 1; else it is taken apart into characters and joined
 *  again. */
json_t *jinja_slice (jinja_t *j, json_t *self, json_t *const bound[3])
{
    json_int_t by = json_is_integer (bound[2]) ? json_integer_value (bound[2]) : 1;
    if (j->dead)
        return NULL;
    if (!(json_is_string (self) || json_is_array (self)) || by == 0 || jinja_is_marked (j, self))
        return jinja_fail (j, "such a slice is not known here");
    const char *text = json_string_value (self);
    json_int_t n = (json_int_t) jinja_length (self);
    json_int_t first = operators_bound (bound[0], n, by < 0 ? n - 1 : 0, by < 0);
    json_int_t end = operators_bound (bound[1], n, by < 0 ? -1 : n, by < 0);
    jinja_spend (j, (size_t) n);
    if (text && by == 1) {
        size_t place = operators_place (text, (size_t) first);
        size_t size = end > first ? operators_place (text + place, (size_t) (end - first)) : 0;
        return jinja_text (j, text + place, size);
    }
    json_t *from = text ? jinja_list (j, self) : self, *list = jinja_keep (j, json_array ());
    for (json_int_t i = first; !j->failed && (by < 0 ? i > end : i < end); i += by)
        json_array_append (list, json_array_get (from, (size_t) i));
    /* A part of a tuple or of a range is one. */
    if (jinja_is_tuple (j, self))
        json_array_append (j->tuples, list);
    if (jinja_is_opaque (j, self))
        json_array_append (j->opaque, list);
    return text ? jinja_filter (j, "join", list, &(jinja_args_t){0}) : list;
}

/*  Outside of a list is undefined. */
json_t *jinja_index (jinja_t *j, json_t *self, const json_t *index)
{
    json_int_t at = json_integer_value (index), n = (json_int_t) jinja_length (self);
    char number[32];
    const char *key;
    if (!self)
        return jinja_fail (j, "an item of what is undefined");
    if (json_is_string (index) || json_is_object (self)) {
        json_t *value = jinja_special (self) || !(key = jinja_key_of (index, number))
                            ? NULL
                            : json_object_get (self, key);
        /* What is no key may be an attribute. */
        return value || !json_is_string (index)
                   ? value
                   : jinja_attribute (j, self, json_string_value (index));
    }
    if (!json_is_integer (index) || jinja_is_marked (j, self))
        return jinja_fail (j, "such an index is not known here");
    at += at < 0 ? n : 0;
    if (at < 0 || at >= n)
        return NULL;
    if (json_is_array (self))
        return json_array_get (self, (size_t) at);
    const char *text = json_string_value (self);
    size_t place = text ? operators_place (text, (size_t) at) : 0;
    return text ? jinja_text (j, text + place, operators_place (text + place, 1)) : NULL;
}

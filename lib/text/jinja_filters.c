/*  jinja_filters - what stands behind "|" and "is". See jinja_internal.h
 *
 *  A filter or an argument that is not listed is an error: leaving it out would give another prompt
 *  in silence.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "text/jinja_internal.h"

/*  ---- tests ---------------------------------------------------------------------------------- */

/*  Tests without an argument. False: there is none of that name. NULL is the undefined value, and
 *  may be tested like any other. */
static bool filters_plain (const char *name, const json_t *value, bool *is)
{
    bool text = json_is_string (value), object = json_is_object (value) && !jinja_special (value);
    bool many = text || object || json_is_array (value) || !value;
    bool lazy = jinja_special (value) && json_object_get (value, JINJA_LAZY);
    bool whole = json_is_integer (value);
    const struct {
        const char *name;
        bool is;
    } tests[] = {
        {"defined", value != NULL},
        {"undefined", value == NULL},
        {"none", json_is_null (value)},
        {"string", text},
        {"mapping", object},
        {"iterable", many || lazy},
        {"sequence", many},
        {"boolean", json_is_boolean (value)},
        {"true", json_is_true (value)},
        {"false", json_is_false (value)},
        {"integer", whole},
        {"float", json_is_real (value)},
        {"number", json_is_number (value) || json_is_boolean (value)},
        {"odd", whole && json_integer_value (value) % 2 != 0},
        {"even", whole && json_integer_value (value) % 2 == 0},
        {"callable", !value || (jinja_special (value) && !lazy)},
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (strcmp (tests[i].name, name) == 0) {
            *is = tests[i].is;
            return true;
        }
    return false;
}

/*  Tests with one argument; by the names that Jinja has for the signs. */
static const char *filters_sign (const char *name)
{
    static const char *const signs[][2] = {
        {"eq", "=="}, {"equalto", "=="}, {"==", "=="},         {"ne", "!="},
        {"!=", "!="}, {"gt", ">"},       {"greaterthan", ">"}, {">", ">"},
        {"ge", ">="}, {">=", ">="},      {"lt", "<"},          {"lessthan", "<"},
        {"<", "<"},   {"le", "<="},      {"<=", "<="},         {"in", "in"}};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (strcmp (signs[i][0], name) == 0)
            return signs[i][1];
    return NULL;
}

/*  An unknown test is an error and not false: false would choose a branch. */
bool jinja_test (jinja_t *j, const char *name, const json_t *value, const jinja_args_t *args)
{
    bool is = false;
    const char *sign = filters_sign (name);
    if (j->dead)
        return false;
    if (json_is_object (value) && jinja_is_opaque (j, value) &&
        strstr ("mapping iterable sequence", name) && strlen (name) > 6) {
        jinja_fail (j, "the test %s of a namespace is not known here", name);
        return false;
    }
    if (args->n == 0 && filters_plain (name, value, &is)) {
        if ((strcmp (name, "odd") == 0 || strcmp (name, "even") == 0) && !json_is_integer (value))
            jinja_fail (j, "the test %s of what is no whole number", name);
        return is;
    }
    if (sign && args->n == 1)
        return jinja_compare (j, sign, value, args->value[0]);
    if (strcmp (name, "divisibleby") == 0 && args->n == 1 && json_is_integer (value) &&
        json_integer_value (args->value[0]) != 0)
        return json_integer_value (value) % json_integer_value (args->value[0]) == 0;
    jinja_fail (j, "the test %s is not known here", name);
    return false;
}

/*  ---- lists ---------------------------------------------------------------------------------- */

/*  What iteration over a value gives: items, keys, or characters; nothing of what is undefined. */
json_t *jinja_list (jinja_t *j, const json_t *value)
{
    json_t *list = jinja_keep (j, json_array ());
    const char *key, *text = json_string_value (value);
    json_t *item;
    size_t i;
    jinja_spend (j, 16 * jinja_length (value));
    if (!list || j->failed)
        return NULL;
    if (jinja_special (value) && json_object_get (value, JINJA_LAZY)) {
        if (json_object_get (value, "gone"))
            return jinja_fail (j, "a generator is gone through twice, which is not known here; a "
                                  "filter list in front makes a list of it");
        if (json_object_get (value, "once"))
            json_object_set_new ((json_t *) (uintptr_t) value, "gone", json_true ());
        return json_object_get (value, JINJA_LAZY);
    }
    if (json_is_object (value) && jinja_is_opaque (j, value))
        return jinja_fail (j, "iteration over a namespace, or over what is undefined in part");
    if (json_is_object (value) && !jinja_special (value)) {
        json_object_foreach ((json_t *) (uintptr_t) value, key, item)
            json_array_append_new (list, jinja_key_value (key));
    } else if (text) {
        for (size_t n; *text; text += n) {
            for (n = 1; ((unsigned char) text[n] & 0xc0) == 0x80;)
                n++;
            json_array_append_new (list, json_stringn (text, n));
        }
    } else if (json_is_array (value)) {
        json_array_foreach (value, i, item)
            json_array_append (list, item);
    } else if (value) {
        return jinja_fail (j, "iteration over what is no list");
    }
    return list;
}

/*  "a.b" and "0" of attribute="...": by parts, as Jinja's make_attrgetter. */
static json_t *filters_attribute (jinja_t *j, const json_t *value, const char *path)
{
    char part[JINJA_WORD];
    json_t *at = (json_t *) (uintptr_t) value;
    while (at && *path) {
        size_t n = strcspn (path, ".");
        if (n >= sizeof part)
            return NULL;
        memcpy (part, path, n);
        part[n] = 0;
        char *end;
        long index = strtol (part, &end, 10);
        json_t *own = json_is_array (at) && n && !*end && index >= 0
                          ? json_array_get (at, (size_t) index)
                          : json_object_get (at, part);
        at = own ? own : jinja_attribute (j, at, part);
        path += n + (path[n] == '.');
    }
    return *path && !at ? jinja_fail (j, "the attribute %s of what is undefined", path) : at;
}

/*  Arguments from `from` on. */
static jinja_args_t filters_rest (const jinja_args_t *args, size_t from)
{
    jinja_args_t rest = {.named = args->named};
    for (size_t i = from; i < args->n; i++)
        rest.value[rest.n++] = args->value[i];
    return rest;
}

/*  select, map and their kind take anything false (none, 0) for a list without items. */
static json_t *filters_none_or_list (jinja_t *j, const json_t *value)
{
    return jinja_truth (value) ? jinja_list (j, value) : jinja_keep (j, json_array ());
}

/*  select, reject, selectattr, rejectattr: without a test, by truth. */
static json_t *filters_select (jinja_t *j, const char *name, const json_t *value,
                               const jinja_args_t *args)
{
    bool keep = *name == 's', attribute = strstr (name, "attr") != NULL;
    json_t *list = filters_none_or_list (j, value), *out = jinja_keep (j, json_array ()), *item;
    const char *path = attribute ? json_string_value (jinja_arg (args, 0, NULL)) : "";
    const json_t *test = jinja_arg (args, attribute, NULL);
    jinja_args_t rest = filters_rest (args, (size_t) attribute + 1);
    size_t i;
    if (!path || (test && !json_is_string (test)))
        return jinja_fail (j, "%s of such arguments is not known here", name);
    json_array_foreach (list, i, item) {
        const json_t *of = attribute ? filters_attribute (j, item, path) : item;
        bool is = test ? jinja_test (j, json_string_value (test), of, &rest) : jinja_truth (of);
        if (j->failed)
            return NULL;
        if (is == keep)
            json_array_append (out, item);
    }
    return jinja_lazy (j, out, true);
}

/*  An attribute of each item, or a filter's result for each. */
static json_t *filters_map (jinja_t *j, const json_t *value, const jinja_args_t *args)
{
    json_t *list = filters_none_or_list (j, value), *out = jinja_keep (j, json_array ()), *item;
    const char *path = json_string_value (json_object_get (args->named, "attribute"));
    const char *filter = json_string_value (jinja_arg (args, 0, NULL));
    json_t *missing = json_object_get (args->named, "default");
    jinja_args_t rest = filters_rest (args, 1);
    size_t i;
    json_array_foreach (list, i, item) {
        json_t *made = path     ? filters_attribute (j, item, path)
                       : filter ? jinja_filter (j, filter, item, &rest)
                                : jinja_fail (j, "map without a filter or an attribute");
        if (!made && path)
            made = missing ? missing : jinja_fail (j, "map: an item has no %s", path);
        if (j->failed)
            return NULL;
        json_array_append (out, made);
    }
    return jinja_lazy (j, out, true);
}

/*  Items are written as str () has them, so numbers may be joined too. */
static json_t *filters_join (jinja_t *j, const json_t *value, const jinja_args_t *args)
{
    buf_t text = {0};
    const json_t *between = jinja_arg (args, 0, "d");
    const char *path = json_string_value (jinja_arg (args, 1, "attribute"));
    json_t *list = jinja_list (j, value), *item;
    size_t i;
    json_array_foreach (list, i, item) {
        if (i && between)
            jinja_write (j, between, &text);
        jinja_write (j, path ? filters_attribute (j, item, path) : item, &text);
    }
    json_t *result = jinja_text (j, text.data ? text.data : "", text.size);
    buf_free (&text);
    return result;
}

/*  Pairs of key and value. */
json_t *jinja_items (jinja_t *j, const json_t *value)
{
    json_t *list = jinja_keep (j, json_array ()), *item;
    const char *key;
    if (jinja_is_opaque (j, value))
        return jinja_fail (j, "items of a namespace, or of what is undefined in part");
    jinja_spend (j, 64 * json_object_size (value));
    json_object_foreach ((json_t *) (uintptr_t) value, key, item) {
        json_t *pair = json_pack ("[o, O]", jinja_key_value (key), item);
        json_array_append (j->tuples, pair);
        json_array_append_new (list, pair);
    }
    return list;
}

/*  What sort compares: the item, an attribute of it, or a part of a pair; letters without their
 *  case unless asked for. */
typedef struct {
    jinja_t *j;
    const char *path;
    int part; /* of a pair, or -1 */
    bool sensitive;
} order_t;

static bool filters_before (const order_t *o, const json_t *a, const json_t *b)
{
    const json_t *x = o->path       ? filters_attribute (o->j, a, o->path)
                      : o->part < 0 ? a
                                    : json_array_get (a, (size_t) o->part);
    const json_t *y = o->path       ? filters_attribute (o->j, b, o->path)
                      : o->part < 0 ? b
                                    : json_array_get (b, (size_t) o->part);
    if (!o->sensitive && json_is_string (x) && json_is_string (y)) {
        x = jinja_change_case (o->j, x, 'l');
        y = jinja_change_case (o->j, y, 'l');
    }
    return jinja_compare (o->j, "<", x, y);
}

/*  By insertion: stable, as Python's, and lists in templates are short (their length is charged
 *  squared). */
static json_t *filters_sort (jinja_t *j, json_t *list, const order_t *order, bool reverse)
{
    size_t n = json_array_size (list);
    jinja_spend (j, n * n);
    for (size_t i = 1; i < n && !j->failed; i++) {
        json_t *item = json_incref (json_array_get (list, i));
        size_t at = i;
        while (at && (reverse ? filters_before (order, json_array_get (list, at - 1), item)
                              : filters_before (order, item, json_array_get (list, at - 1))))
            at--;
        json_array_remove (list, i);
        json_array_insert_new (list, at, item);
    }
    return list;
}

/*  Pairs, ordered by their key or by their value. */
static json_t *filters_dictsort (jinja_t *j, const json_t *value, const jinja_args_t *args)
{
    const char *by = json_string_value (jinja_arg (args, 1, "by"));
    order_t order = {.j = j,
                     .part = by && strcmp (by, "value") == 0,
                     .sensitive = jinja_truth (jinja_arg (args, 0, "case_sensitive"))};
    return filters_sort (j, jinja_items (j, value), &order,
                         jinja_truth (jinja_arg (args, 2, "reverse")));
}

static json_t *filters_sorted (jinja_t *j, const json_t *value, const jinja_args_t *args)
{
    order_t order = {.j = j,
                     .part = -1,
                     .path = json_string_value (jinja_arg (args, 2, "attribute")),
                     .sensitive = jinja_truth (jinja_arg (args, 1, "case_sensitive"))};
    return filters_sort (j, jinja_list (j, value), &order,
                         jinja_truth (jinja_arg (args, 0, "reverse")));
}

/*  ---- single values -------------------------------------------------------------------------- */

/*  A text is reversed by characters, and stays a text; what a generator gives is a list then. */
static json_t *filters_reverse (jinja_t *j, const json_t *value)
{
    bool list_after = json_object_get (value, "once") && jinja_special (value);
    json_t *list = jinja_list (j, value), *out = jinja_keep (j, json_array ());
    for (size_t i = json_array_size (list); i-- > 0;)
        json_array_append (out, json_array_get (list, i));
    if (!json_is_string (value))
        return list_after ? out : jinja_lazy (j, out, true);
    return filters_join (j, out, &(jinja_args_t){0});
}

/*  Lines but the first get `width` spaces in front; empty ones only when asked for. */
static json_t *filters_indent (jinja_t *j, const json_t *value, const jinja_args_t *args)
{
    buf_t text = {0};
    const json_t *width = jinja_arg (args, 0, "width");
    bool first = jinja_truth (jinja_arg (args, 1, "first"));
    bool blank = jinja_truth (jinja_arg (args, 2, "blank"));
    json_int_t n = width ? json_integer_value (width) : 4;
    if ((width && !json_is_integer (width)) || n < 0 || n > 256)
        return jinja_fail (j, "indent of such a width is not known here");
    for (json_int_t i = 0; first && !json_string_length (value) && i < n; i++)
        buf_char (&text, ' ');
    bool begin = first;
    for (const char *at = json_string_value (value); *at; at++) {
        for (json_int_t i = 0;
             begin && (blank || *at != '\n' || (first && at == json_string_value (value))) && i < n;
             i++)
            buf_char (&text, ' ');
        buf_char (&text, *at);
        begin = *at == '\n';
        if (begin && !at[1] && blank)
            for (json_int_t i = 0; i < n; i++)
                buf_char (&text, ' ');
    }
    json_t *result = jinja_text (j, text.data ? text.data : "", text.size);
    buf_free (&text);
    return result;
}

/*  What C and Python may read differently: 1_000, inf, nan, digits of other scripts. */
static bool filters_odd_number (const char *text)
{
    const char *word = text + strspn (text, " \t\n+-");
    bool digit = text[strcspn (text, "0123456789")] != 0, letter = false, wide = false;
    for (const char *at = text; *at; at++) {
        letter |= (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        wide |= (unsigned char) *at >= 0x80;
    }
    return (digit && strchr (text, '_')) || (wide && !letter) ||
           strncasecmp (word, "inf", 3) == 0 || strncasecmp (word, "nan", 3) == 0;
}

/*  int and float: what is no number becomes the default. */
static json_t *filters_number (jinja_t *j, const json_t *value, const jinja_args_t *args,
                               bool whole)
{
    const json_t *missing = jinja_arg (args, 0, "default");
    const char *text = json_string_value (value);
    char *end = NULL;
    if (args->n > 1 || json_object_get (args->named, "base"))
        return jinja_fail (j, "a number to another base is not known here");
    if (text && filters_odd_number (text))
        return jinja_fail (j, "a number like %.20s is not known here", text);
    if (text && text[strcspn (text, "xXpP")])
        text = "-";
    if (!value)
        return jinja_fail (j, "a number of what is undefined");
    double number = text ? strtod (text, &end) : json_number_value (value);
    if (json_is_integer (value) && whole)
        return (json_t *) (uintptr_t) value;
    if (json_is_boolean (value))
        number = json_is_true (value);
    else if (text ? end == text || end[strspn (end, " \t\n")] : !json_is_number (value))
        return missing ? (json_t *) (uintptr_t) missing
                       : jinja_keep (j, whole ? json_integer (0) : json_real (0));
    if (!(fabs (number) < 1e15))
        return jinja_fail (j, "a number of that size is not known here");
    return jinja_keep (j, whole ? json_integer ((json_int_t) number) : json_real (number));
}

/*  Of equals the first, as in Python. An empty list gives the undefined value. */
static json_t *filters_extreme (jinja_t *j, const json_t *value, bool most)
{
    json_t *list = jinja_list (j, value), *best = json_array_get (list, 0), *item;
    const order_t order = {.j = j, .part = -1};
    size_t i;
    json_array_foreach (list, i, item)
        if (i && (most ? filters_before (&order, best, item) : filters_before (&order, item, best)))
            best = item;
    return best;
}

/*  From 0 on, so that the sum of nothing is a number; texts cannot be summed in Jinja either. */
static json_t *filters_sum (jinja_t *j, const json_t *value)
{
    json_t *list = jinja_list (j, value), *sum = jinja_keep (j, json_integer (0)), *item;
    size_t i;
    json_array_foreach (list, i, item)
        sum = jinja_add (j, sum, item, false);
    return sum;
}

/*  The first of equals stays, in its place; letters without their case. */
static json_t *filters_unique (jinja_t *j, const json_t *value)
{
    json_t *list = jinja_list (j, value), *out = jinja_keep (j, json_array ()), *item;
    json_t *seen = jinja_keep (j, json_array ());
    size_t i;
    json_array_foreach (list, i, item) {
        json_t *as = json_is_string (item) ? jinja_change_case (j, item, 'l') : item;
        if (json_is_array (item) || json_is_object (item))
            return jinja_fail (j, "unique of lists or objects");
        if (as && !jinja_contains (j, seen, as)) {
            json_array_append (seen, as);
            json_array_append (out, item);
        }
    }
    return jinja_lazy (j, out, true);
}

/*  Filters of lists; the value may be anything that can be gone through. */
static json_t *filters_of_list (jinja_t *j, const char *name, json_t *value,
                                const jinja_args_t *args, bool *known)
{
    if (strstr ("select reject selectattr rejectattr", name) && strlen (name) >= 6)
        return filters_select (j, name, value, args);
    if (strcmp (name, "map") == 0)
        return filters_map (j, value, args);
    if (strcmp (name, "join") == 0)
        return filters_join (j, value, args);
    if (strcmp (name, "list") == 0)
        return jinja_list (j, value);
    if (strcmp (name, "first") == 0)
        return json_array_get (jinja_list (j, value), 0);
    if (strcmp (name, "last") == 0) {
        json_t *list = jinja_list (j, value);
        return json_array_size (list) ? json_array_get (list, json_array_size (list) - 1) : NULL;
    }
    if (strcmp (name, "reverse") == 0)
        return filters_reverse (j, value);
    if (strcmp (name, "sort") == 0)
        return filters_sorted (j, value, args);
    if (strcmp (name, "unique") == 0 && args->n == 0 && !args->named)
        return filters_unique (j, value);
    if (strcmp (name, "sum") == 0 && args->n == 0 && !args->named)
        return filters_sum (j, value);
    if ((strcmp (name, "min") == 0 || strcmp (name, "max") == 0) && args->n == 0 && !args->named)
        return filters_extreme (j, value, name[1] == 'a');
    *known = false;
    return NULL;
}

/*  The value is a text by now (jinja_filter). */
static json_t *filters_of_text (jinja_t *j, const char *name, const json_t *value,
                                const jinja_args_t *args, bool *known)
{
    if (strcmp (name, "trim") == 0) {
        const json_t *of = jinja_arg (args, 0, "chars");
        return jinja_strip (j, value, json_string_value (of), true, true);
    }
    if (strcmp (name, "upper") == 0 || strcmp (name, "lower") == 0)
        return jinja_change_case (j, value, *name);
    if (strcmp (name, "title") == 0)
        return jinja_change_case (j, value, 'w');
    if (strcmp (name, "capitalize") == 0 || strcmp (name, "replace") == 0)
        return jinja_method (j, (json_t *) (uintptr_t) value, name, args);
    if (strcmp (name, "indent") == 0)
        return filters_indent (j, value, args);
    *known = false;
    return NULL;
}

/*  In this order: filters that take any value, then those of lists, which must see the list itself,
 *  and last those of texts, for which the value is written out. */
json_t *jinja_filter (jinja_t *j, const char *name, json_t *value, const jinja_args_t *args)
{
    if (j->dead)
        return NULL;
    bool known = true;
    if (strcmp (name, "default") == 0 || strcmp (name, "d") == 0) {
        json_t *other = jinja_arg (args, 0, "default_value");
        bool use = !value || (jinja_truth (jinja_arg (args, 1, "boolean")) && !jinja_truth (value));
        return !use ? value : other || args->n ? other : jinja_text (j, "", 0);
    }
    if (strcmp (name, "length") == 0 || strcmp (name, "count") == 0) {
        if (json_object_get (value, "view") && jinja_special (value))
            value = json_object_get (value, JINJA_LAZY);
        if (jinja_special (value) || (json_is_object (value) && jinja_is_opaque (j, value)))
            return jinja_fail (j, "the length of a generator, a function or a namespace");
        if (value && !json_is_string (value) && !json_is_array (value) && !json_is_object (value))
            return jinja_fail (j, "the length of what has none");
        return jinja_keep (j, json_integer ((json_int_t) jinja_length (value)));
    }
    if (strcmp (name, "tojson") == 0)
        return jinja_to_json (j, value, args);
    if (jinja_is_marked (j, value))
        return strcmp (name, "e") == 0 || strcmp (name, "escape") == 0 || !strcmp (name, "safe")
                   ? value
                   : jinja_fail (j,
                                 "the filter %s of what escape or safe has made is not known "
                                 "here",
                                 name);
    if (strcmp (name, "int") == 0 || strcmp (name, "float") == 0)
        return filters_number (j, value, args, *name == 'i');
    if (strcmp (name, "abs") == 0 && json_is_integer (value))
        return jinja_keep (j, json_integer (llabs (json_integer_value (value))));
    if (strcmp (name, "abs") == 0 && json_is_real (value))
        return jinja_keep (j, json_real (fabs (json_real_value (value))));
    if (strcmp (name, "items") == 0 && (!value || json_is_object (value)) && !jinja_special (value))
        return jinja_lazy (j, jinja_items (j, value), true);
    if (strcmp (name, "dictsort") == 0 && json_is_object (value) && !jinja_special (value))
        return filters_dictsort (j, value, args);
    json_t *result = filters_of_list (j, name, value, args, &known);
    if (known)
        return result;
    known = true;
    result = jinja_format_filter (j, name, value, args, &known);
    if (known)
        return result;
    if (strcmp (name, "indent") == 0 && !json_is_string (value))
        return jinja_fail (j, "indent of what is no text");
    /* Filters of text take everything else as the text that it is written as. */
    buf_t text = {0};
    jinja_write (j, value, &text);
    json_t *written =
        json_is_string (value) ? value : jinja_text (j, text.data ? text.data : "", text.size);
    buf_free (&text);
    if (strcmp (name, "string") == 0 || j->failed)
        return written;
    known = true;
    result = filters_of_text (j, name, written, args, &known);
    return known ? result : jinja_fail (j, "the filter %s is not known here", name);
}

/*  jinja_methods - what texts, lists and objects can be asked for. See jinja_internal.h
 *
 *  Methods that change a value are refused, as the sandbox of transformers refuses them.
 */
#include <string.h>

#include "text/jinja_internal.h"

/*  ---- text ----------------------------------------------------------------------------------- */

/*  As str.isspace. Returns the bytes of the character, or 0. */
size_t jinja_white (const char *text)
{
    static const char *const wide[] = {
        "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81",
        "\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86",
        "\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8",
        "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};
    if (*text && strchr (" \t\n\r\v\f\x1c\x1d\x1e\x1f", *text))
        return 1;
    for (size_t i = 0; (unsigned char) *text >= 0x80 && i < sizeof wide / sizeof *wide; i++)
        if (strncmp (text, wide[i], strlen (wide[i])) == 0)
            return strlen (wide[i]);
    return 0;
}

/*  Bytes of the character that begins here: the first, and those that continue it. */
static size_t methods_character (const char *text)
{
    size_t n = 1;
    while (((unsigned char) text[n] & 0xc0) == 0x80)
        n++;
    return n;
}

/*  Bytes of the character at text if it is one of those, or white space for NULL. */
static size_t methods_among (const char *text, const char *characters)
{
    if (!characters)
        return jinja_white (text);
    size_t n = methods_character (text);
    for (const char *at = characters; *at; at += methods_character (at))
        if (strncmp (at, text, n) == 0)
            return n;
    return 0;
}

/*  How many bytes before `end` are white space, or are among the given characters; from the end,
 *  character by character. */
size_t jinja_white_before (const char *from, const char *end, const char *characters)
{
    const char *at = end;
    while (at > from) {
        const char *last = at - 1;
        while (last > from && ((unsigned char) *last & 0xc0) == 0x80)
            last--;
        if (methods_among (last, characters) != (size_t) (at - last))
            break;
        at = last;
    }
    return (size_t) (end - at);
}

json_t *jinja_strip (jinja_t *j, const json_t *value, const char *characters, bool left, bool right)
{
    const char *text = json_string_value (value);
    for (size_t n; left && *text && (n = methods_among (text, characters)) > 0;)
        text += n;
    size_t size = strlen (text);
    if (right)
        size -= jinja_white_before (text, text + size, characters);
    return jinja_text (j, text, size);
}

static bool methods_begins (const char *text, const char *with, bool at_end)
{
    size_t n = strlen (text), m = strlen (with);
    return n >= m && memcmp (text + (at_end ? n - m : 0), with, m) == 0;
}

/*  One text, or any of a list of them. */
static bool methods_begins_any (const char *text, const json_t *with, bool at_end)
{
    bool is = json_is_string (with) && methods_begins (text, json_string_value (with), at_end);
    size_t i;
    const json_t *one;
    json_array_foreach (with, i, one)
        is = is || (json_is_string (one) && methods_begins (text, json_string_value (one), at_end));
    return is;
}

/*  Letters of ASCII: the case of others is left to an error. `words`: 'u' all upper, 'l' all lower,
 *  't' the first of every word upper, 'c' the first of the text; 'w' as 't', but for the filter,
 *  words begin behind blanks and brackets alone: "it's" is one. */
static json_t *methods_case (jinja_t *j, const json_t *value, char words)
{
    buf_t out = {0};
    bool before = false; /* a letter, for title; any character, for capitalize */
    for (const char *text = json_string_value (value); *text; text++) {
        bool small = *text >= 'a' && *text <= 'z', large = *text >= 'A' && *text <= 'Z';
        bool up = words == 'u' || (words != 'l' && !before);
        if ((unsigned char) *text >= 0x80)
            jinja_fail (j, "the case of letters beyond ASCII is not known here");
        buf_char (&out, (up ? small : large) ? (char) (*text ^ 0x20) : *text);
        before =
            words == 'c' || (words == 'w' ? !strchr (" \t\n\r\v\f-({[<", *text) : small || large);
    }
    json_t *result = jinja_text (j, out.data ? out.data : "", out.size);
    buf_free (&out);
    return result;
}

json_t *jinja_change_case (jinja_t *j, const json_t *value, char how)
{
    return methods_case (j, value, how);
}

/*  split: by a text, or by runs of white space; at most `most` times. */
static json_t *methods_split (jinja_t *j, const char *text, const char *by, json_int_t most)
{
    json_t *list = jinja_keep (j, json_array ());
    size_t n = by ? strlen (by) : 0;
    if (by && !n)
        return jinja_fail (j, "split by nothing");
    jinja_spend (j, strlen (text) + 1);
    for (size_t w; !by && (w = jinja_white (text)) > 0;)
        text += w;
    /* Split by a text, the last part may be empty; by white space, no part is. */
    while (list && !j->failed && (by || *text)) {
        const char *end = by ? strstr (text, by) : text;
        while (!by && *end && !jinja_white (end))
            end++;
        if (!end || (most >= 0 && json_array_size (list) == (size_t) most)) {
            size_t size = strlen (text);
            if (!by)
                size -= jinja_white_before (text, text + size, NULL);
            json_array_append_new (list, json_stringn (text, size));
            break;
        }
        json_array_append_new (list, json_stringn (text, (size_t) (end - text)));
        jinja_spend (j, 64);
        text = end + n;
        for (size_t w; !by && (w = jinja_white (text)) > 0;)
            text += w;
    }
    return list;
}

/*  A text may grow with each replacement, so the result is bounded like all of a template's
 *  work. */
static json_t *methods_replace (jinja_t *j, const char *text, const char *from, const char *to,
                                json_int_t most)
{
    buf_t out = {.max = JINJA_WORK_MAX};
    const char *at = text, *found;
    size_t n = strlen (from);
    if (!n)
        return jinja_fail (j, "replace of nothing is not known here");
    while (most-- != 0 && (found = strstr (at, from)) != NULL) {
        buf_append (&out, at, (size_t) (found - at));
        buf_text (&out, to);
        at = found + n;
    }
    buf_text (&out, at);
    json_t *result = jinja_text (j, out.data ? out.data : "", out.size);
    buf_free (&out);
    return result;
}

/*  A break of "\r\n" is one, and one at the end begins no line. */
static json_t *methods_split_lines (jinja_t *j, const char *text)
{
    json_t *list = jinja_keep (j, json_array ());
    jinja_spend (j, 16 * strlen (text));
    while (list && *text) {
        size_t n = strcspn (text, "\r\n");
        json_array_append_new (list, json_stringn (text, n));
        text += n;
        text += text[0] == '\r' && text[1] == '\n' ? 2 : *text != 0;
    }
    return list;
}

/*  Characters before the place, or -1: what find gives. */
static json_int_t methods_find (const char *text, const char *what)
{
    const char *found = strstr (text, what);
    json_int_t n = 0;
    for (const char *at = text; found && at < found; at += methods_character (at))
        n++;
    return found ? n : -1;
}

/*  Other than the filter, Python's join takes texts alone. */
static bool methods_all_text (jinja_t *j, json_t *value)
{
    const json_t *lazy = json_object_get (value, JINJA_LAZY), *list = lazy ? lazy : value, *item;
    size_t i;
    json_array_foreach (list, i, item)
        if (!json_is_string (item) || jinja_is_marked (j, item))
            return false;
    return value != NULL;
}

static json_t *methods_of_text (jinja_t *j, const json_t *self, const char *name,
                                const jinja_args_t *args)
{
    const char *text = json_string_value (self);
    const json_t *first = args->n ? args->value[0] : NULL, *second = jinja_arg (args, 1, NULL);
    const char *one = json_string_value (first), *two = json_string_value (second);
    bool plain = !args->n || one || json_is_null (first);
    const json_t *most = jinja_arg (args, 1, "maxsplit");
    if (strcmp (name, "strip") == 0 && plain)
        return jinja_strip (j, self, one, true, true);
    if (strcmp (name, "lstrip") == 0 && plain)
        return jinja_strip (j, self, one, true, false);
    if (strcmp (name, "rstrip") == 0 && plain)
        return jinja_strip (j, self, one, false, true);
    if ((strcmp (name, "startswith") == 0 || strcmp (name, "endswith") == 0) && args->n == 1)
        return jinja_keep (j, json_boolean (methods_begins_any (text, first, *name == 'e')));
    if (strcmp (name, "split") == 0 && plain && (!most || json_is_integer (most)))
        return methods_split (j, text, one, most ? json_integer_value (most) : -1);
    if (strcmp (name, "splitlines") == 0 && args->n == 0)
        return methods_split_lines (j, text);
    if (strcmp (name, "replace") == 0 && one && two)
        return methods_replace (j, text, one, two,
                                args->n > 2 ? json_integer_value (args->value[2]) : -1);
    if (args->n == 0 && (strcmp (name, "upper") == 0 || strcmp (name, "lower") == 0 ||
                         strcmp (name, "title") == 0 || strcmp (name, "capitalize") == 0))
        return methods_case (j, self, *name);
    if (strcmp (name, "find") == 0 && args->n == 1 && one)
        return jinja_keep (j, json_integer (methods_find (text, one)));
    if (strcmp (name, "count") == 0 && args->n == 1 && one && *one)
        return jinja_keep (
            j, json_integer ((json_int_t) json_array_size (methods_split (j, text, one, -1)) - 1));
    if (strcmp (name, "isdigit") == 0 && args->n == 0)
        return jinja_keep (j, json_boolean (*text && !text[strspn (text, "0123456789")]));
    if (strcmp (name, "join") == 0 && args->n == 1 && methods_all_text (j, args->value[0]))
        return jinja_filter (j, "join", args->value[0],
                             &(jinja_args_t){.n = 1, .value = {(json_t *) (uintptr_t) self}});
    if (strcmp (name, "removeprefix") == 0 && one)
        return jinja_text (j, text + (methods_begins (text, one, false) ? strlen (one) : 0),
                           strlen (text) - (methods_begins (text, one, false) ? strlen (one) : 0));
    if (strcmp (name, "removesuffix") == 0 && one)
        return jinja_text (j, text,
                           strlen (text) - (methods_begins (text, one, true) ? strlen (one) : 0));
    if (strcmp (name, "format") == 0)
        return jinja_braces (j, text, args);
    return jinja_fail (j, "the method %s of such a value is not known here", name);
}

/*  ---- objects -------------------------------------------------------------------------------- */

/*  cycle is the loop variable's, which is an object like others here; it is known by its index0. */
static json_t *methods_of_object (jinja_t *j, const json_t *self, const char *name,
                                  const jinja_args_t *args)
{
    char number[32];
    const char *key = args->n ? jinja_key_of (args->value[0], number) : NULL;
    if (strcmp (name, "get") == 0 && args->n) {
        json_t *value = key ? json_object_get (self, key) : NULL;
        return value ? value : args->n > 1 ? args->value[1] : jinja_keep (j, json_null ());
    }
    if (strcmp (name, "items") == 0 && !args->n)
        return jinja_lazy (j, jinja_items (j, self), false);
    if (strcmp (name, "keys") == 0 && !args->n)
        return jinja_lazy (j, jinja_list (j, self), false);
    if (strcmp (name, "values") == 0 && !args->n && !jinja_is_opaque (j, self)) {
        json_t *list = jinja_keep (j, json_array ()), *value;
        const char *unused;
        json_object_foreach ((json_t *) (uintptr_t) self, unused, value)
            json_array_append (list, value);
        return jinja_lazy (j, list, false);
    }
    if (strcmp (name, "cycle") == 0 && args->n && json_object_get (self, "index0"))
        return args
            ->value[(size_t) json_integer_value (json_object_get (self, "index0")) % args->n];
    return jinja_fail (j, "the method %s of such a value is not known here", name);
}

static bool methods_listed (const char *name, const char *const *list)
{
    while (*list && strcmp (*list, name) != 0)
        list++;
    return *list != NULL;
}

/*  x.items is a method in Jinja even where x has a key of that name. The sandbox of transformers
 *  hides methods that would change the value. */
json_t *jinja_attribute (jinja_t *j, json_t *self, const char *name)
{
    static const char *const of_text[] = {
        "capitalize",   "casefold",    "center",    "count",      "encode",       "endswith",
        "expandtabs",   "find",        "format",    "format_map", "index",        "isalnum",
        "isalpha",      "isascii",     "isdecimal", "isdigit",    "isidentifier", "islower",
        "isnumeric",    "isprintable", "isspace",   "istitle",    "isupper",      "join",
        "ljust",        "lower",       "lstrip",    "maketrans",  "partition",    "removeprefix",
        "removesuffix", "replace",     "rfind",     "rindex",     "rjust",        "rpartition",
        "rsplit",       "rstrip",      "split",     "splitlines", "startswith",   "strip",
        "swapcase",     "title",       "translate", "upper",      "zfill",        NULL};
    static const char *const of_object[] = {"copy", "fromkeys", "get", "items",
                                            "keys", "values",   NULL};
    static const char *const of_list[] = {"copy", "count", "index", NULL};
    static const char *const of_number[] = {"real",      "imag", "numerator",  "denominator",
                                            "conjugate", "hex",  "is_integer", NULL};
    static const char *const hidden[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    bool plain = json_is_object (self) && !jinja_is_opaque (j, self);
    if (jinja_special (self) || (plain && methods_listed (name, hidden)))
        return NULL;
    if (json_is_number (self) && methods_listed (name, of_number))
        return jinja_fail (j, "the attribute %s of a number is not known here", name);
    bool method = plain && !json_object_get (self, "revindex0") && methods_listed (name, of_object);
    method |= json_is_string (self) && methods_listed (name, of_text);
    method |= json_is_array (self) && methods_listed (name, of_list);
    return method ? jinja_keep (j, json_pack ("{s:s}", JINJA_SPECIAL, name))
                  : json_object_get (self, name);
}

json_t *jinja_method (jinja_t *j, json_t *self, const char *name, const jinja_args_t *args)
{
    if (j->dead)
        return NULL;
    if (!self)
        return jinja_fail (j, "the method %s of what is undefined", name);
    if (json_is_string (self) && !jinja_is_marked (j, self))
        return methods_of_text (j, self, name, args);
    if (json_is_object (self) && !json_object_get (self, JINJA_SPECIAL))
        return methods_of_object (j, self, name, args);
    if (json_is_array (self) && strcmp (name, "index") == 0 && args->n == 1)
        for (size_t i = 0; i < json_array_size (self); i++)
            if (jinja_equal (json_array_get (self, i), args->value[0]))
                return jinja_keep (j, json_integer ((json_int_t) i));
    return jinja_fail (j, "the method %s of such a value is not known here", name);
}

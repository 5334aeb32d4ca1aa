/*  jinja_express - see jinja_internal.h. Precedence as in Jinja: x if y else z, or, and, not,
 *  comparisons, + -, ~, %, unary -, then attributes, indices, calls, filters and tests from left
 *  to right. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja_internal.h"

/*  ---- words and symbols ---------------------------------------------------------------------- */

void jinja_space (jinja_t *j)
{
    j->at += strspn (j->at, " \t\r\n");
}

bool jinja_take (jinja_t *j, const char *symbol)
{
    jinja_space (j);
    if (strncmp (j->at, symbol, strlen (symbol)) != 0)
        return false;
    j->at += strlen (symbol);
    return true;
}

static size_t express_word_length (const char *at)
{
    size_t n = 0;
    while (isalpha ((unsigned char) at[n]) || at[n] == '_' ||
           (n && isdigit ((unsigned char) at[n])))
        n++;
    return n;
}

bool jinja_word (jinja_t *j, char word[JINJA_WORD])
{
    jinja_space (j);
    size_t n = express_word_length (j->at);
    if (n == 0 || n >= JINJA_WORD)
        return false;
    memcpy (word, j->at, n);
    word[n] = 0;
    j->at += n;
    return true;
}

/*  The whole word must match: "in" is not the beginning of "index". */
bool jinja_key (jinja_t *j, const char *word)
{
    jinja_space (j);
    size_t n = express_word_length (j->at);
    if (n != strlen (word) || strncmp (j->at, word, n) != 0)
        return false;
    j->at += n;
    return true;
}

/*  ---- values --------------------------------------------------------------------------------- */

static json_t *express_boolean (jinja_t *j, bool value)
{
    return j->dead ? NULL : jinja_keep (j, json_boolean (value));
}

/*  A string in quotes, and others that follow, as Python joins them. A backslash before any other
 *  letter than those known stands for itself. */
static json_t *express_read_string (jinja_t *j)
{
    buf_t text = {0};
    while (*j->at == '"' || *j->at == '\'') {
        char quote = *j->at++;
        for (; *j->at && *j->at != quote; j->at++) {
            static const char from[] = "nrt\\'\"", to[] = "\n\r\t\\'\"";
            const char *known = j->at[0] == '\\' && j->at[1] ? strchr (from, j->at[1]) : NULL;
            if (j->at[0] == '\\' && (j->at[1] == 'x' || j->at[1] == 'u'))
                jinja_unless_dead (j, "the escape", (char[]){'\\', j->at[1], 0});
            buf_char (&text, known ? to[known - from] : *j->at);
            j->at += known != NULL;
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

static json_t *express_read_list (jinja_t *j, const char *end)
{
    json_t *list = jinja_keep (j, json_array ());
    while (!j->failed && !jinja_take (j, end)) {
        json_t *item = jinja_expression (j);
        if (!j->dead && item)
            json_array_append (list, item);
        if (!jinja_take (j, ",")) {
            if (!jinja_take (j, end))
                jinja_fail (j, "a list has no end");
            break;
        }
    }
    return list;
}

/*  Behind "(": values, and names before "=", which go to named. "a == b" is a value: hence the look
 *  at the second sign. */
static void express_read_args (jinja_t *j, jinja_args_t *args)
{
    *args = (jinja_args_t){0};
    while (!j->failed && !jinja_take (j, ")")) {
        char name[JINJA_WORD];
        const char *back = j->at;
        bool named = jinja_word (j, name) && jinja_take (j, "=") && *j->at != '=';
        if (!named)
            j->at = back;
        json_t *value = jinja_expression (j);
        if (named && !args->named)
            args->named = jinja_keep (j, json_object ());
        if (named && value)
            json_object_set (args->named, name, value);
        else if (!named && args->n == JINJA_ARGS_MAX)
            jinja_fail (j, "a call has more than %d arguments", JINJA_ARGS_MAX);
        else if (!named)
            args->value[args->n++] = value;
        if (!jinja_take (j, ",")) {
            if (!jinja_take (j, ")"))
                jinja_fail (j, "a call has no end");
            break;
        }
    }
}

/*  A constant, a call of a function, or a variable. */
static json_t *express_read_name (jinja_t *j, const char *word)
{
    static const struct {
        const char *word;
        int value;
    } constants[] = {{"true", 1},  {"True", 1},  {"false", 0},
                     {"False", 0}, {"none", -1}, {"None", -1}};
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (strcmp (word, constants[i].word) == 0)
            return constants[i].value < 0 ? json_null () : express_boolean (j, constants[i].value);
    if (!jinja_take (j, "("))
        return jinja_lookup (j, word);
    jinja_args_t args;
    express_read_args (j, &args);
    return j->failed ? NULL : jinja_function (j, word, &args);
}

static json_t *express_read_primary (jinja_t *j)
{
    char word[JINJA_WORD];
    jinja_space (j);
    if (*j->at == '"' || *j->at == '\'')
        return express_read_string (j);
    if (isdigit ((unsigned char) *j->at)) {
        char *end;
        long long number = strtoll (j->at, &end, 10);
        j->at = end;
        return *end == '.' ? jinja_fail (j, "fractions are not known here")
                           : jinja_keep (j, json_integer (number));
    }
    if (jinja_take (j, "["))
        return express_read_list (j, "]");
    if (jinja_take (j, "(")) {
        json_t *value = jinja_expression (j);
        return jinja_take (j, ")") ? value : jinja_fail (j, "')' is missing, or a tuple");
    }
    if (jinja_word (j, word))
        return express_read_name (j, word);
    return jinja_fail (j, "an expression is wanted at '%.20s'", j->at);
}

/*  ---- attributes, indices, calls, filters, tests --------------------------------------------- */

/*  A missing attribute is undefined; an attribute of what is undefined is an error, as in Jinja. */
static json_t *express_attribute (jinja_t *j, json_t *self, const char *name)
{
    if (j->dead)
        return NULL;
    if (!self)
        return jinja_fail (j, "the attribute %s of what is undefined", name);
    return json_object_get (self, name);
}

/*  Python's index: -1 is the last item. SIZE_MAX, which no list has: outside. */
static size_t express_place (json_int_t index, size_t n)
{
    return index >= 0 ? (size_t) index : (size_t) -index <= n ? n - (size_t) -index : SIZE_MAX;
}

/*  A bound of a slice as Python takes it: negative ones count from the end, those outside are moved
 *  to the nearest end. */
static size_t express_clamp (const json_t *bound, size_t n, size_t fallback)
{
    json_int_t at = json_integer_value (bound);
    if (!json_is_integer (bound))
        return fallback;
    if (at < 0)
        at = (size_t) -at <= n ? at + (json_int_t) n : 0;
    return (size_t) at < n ? (size_t) at : n;
}

/*  Where character i of a text begins: Python counts characters, not bytes. */
static size_t express_char_place (const char *text, size_t i)
{
    size_t at = 0;
    for (; text[at] && i; i--)
        do
            at++;
        while (((unsigned char) text[at] & 0xc0) == 0x80);
    return at;
}

/*  Known are [a:b] of texts and lists, and [::-1] of lists: what templates use. */
static json_t *express_slice (jinja_t *j, json_t *self, const json_t *from, const json_t *to,
                              const json_t *step)
{
    json_int_t by = step ? json_integer_value (step) : 1;
    const char *text = json_string_value (self);
    if (j->dead)
        return NULL;
    if (!(text || json_is_array (self)) || (by != 1 && (by != -1 || text || from || to)))
        return jinja_fail (j, "such a slice is not known here");
    size_t n = jinja_length (self), first = express_clamp (from, n, 0),
           end = express_clamp (to, n, n);
    end = end < first ? first : end;
    if (text) {
        size_t place = express_char_place (text, first);
        return jinja_text (j, text + place, express_char_place (text, end) - place);
    }
    json_t *list = jinja_keep (j, json_array ());
    jinja_spend (j, n);
    for (size_t i = first; i < end; i++)
        json_array_append (list, json_array_get (self, by == 1 ? i : n - 1 - i));
    return list;
}

/*  Behind "[": an index, or up to three bounds of a slice, any of which may be missing. */
static json_t *express_read_index (jinja_t *j, json_t *self)
{
    json_t *bound[3] = {0};
    bool colon = false;
    for (size_t i = 0; i < 3; i++) {
        jinja_space (j);
        if (*j->at != ':' && *j->at != ']')
            bound[i] = jinja_expression (j);
        if (!jinja_take (j, ":"))
            break;
        colon = true;
    }
    if (!jinja_take (j, "]"))
        return jinja_fail (j, "']' is missing");
    if (colon)
        return express_slice (j, self, bound[0], bound[1], bound[2]);
    if (j->dead)
        return NULL;
    /* x["name"] is x.name. */
    if (json_is_string (bound[0]))
        return express_attribute (j, self, json_string_value (bound[0]));
    if (json_is_array (self) && json_is_integer (bound[0]))
        return json_array_get (
            self, express_place (json_integer_value (bound[0]), json_array_size (self)));
    return jinja_fail (j, "such an index is not known here");
}

static json_t *express_read_attribute (jinja_t *j, json_t *self)
{
    char name[JINJA_WORD];
    jinja_args_t args;
    if (!jinja_word (j, name))
        return jinja_fail (j, "a name is wanted behind '.'");
    if (!jinja_take (j, "("))
        return express_attribute (j, self, name);
    express_read_args (j, &args);
    return j->failed ? NULL : jinja_method (j, self, name, &args);
}

/*  x | f (a): arguments are optional. */
static json_t *express_read_filter (jinja_t *j, json_t *self)
{
    char name[JINJA_WORD];
    jinja_args_t args = {0};
    if (!jinja_word (j, name))
        return jinja_fail (j, "a filter is wanted behind '|'");
    if (jinja_take (j, "("))
        express_read_args (j, &args);
    return j->failed ? NULL : jinja_filter (j, name, self, &args);
}

/*  The test's value decides; "is not" turns it around. Arguments are read so that the error names
 *  the test. */
static json_t *express_read_test (jinja_t *j, json_t *self)
{
    char name[JINJA_WORD];
    bool not = jinja_key (j, "not");
    if (!jinja_word (j, name))
        return jinja_fail (j, "a test is wanted behind 'is'");
    json_t *is = jinja_test (j, name, self);
    if (jinja_take (j, "(")) {
        jinja_args_t args;
        express_read_args (j, &args);
        return jinja_unless_dead (j, "with arguments the test", name);
    }
    return not &&is ? express_boolean (j, !json_is_true (is)) : is;
}

/*  Everything that follows a value binds from left to right: a.b[0] | trim is defined. */
static json_t *express_read_unary (jinja_t *j)
{
    if (jinja_take (j, "-")) {
        json_t *value = express_read_primary (j);
        if (j->dead)
            return NULL;
        return json_is_integer (value) ? jinja_keep (j, json_integer (-json_integer_value (value)))
                                       : jinja_fail (j, "'-' before what is no whole number");
    }
    json_t *value = express_read_primary (j);
    while (!j->failed) {
        if (jinja_take (j, "."))
            value = express_read_attribute (j, value);
        else if (jinja_take (j, "["))
            value = express_read_index (j, value);
        else if (jinja_take (j, "|"))
            value = express_read_filter (j, value);
        else if (jinja_key (j, "is"))
            value = express_read_test (j, value);
        else
            break;
    }
    return value;
}

/*  ---- operators ------------------------------------------------------------------------------ */

/*  Whether an operator is next, and not the end of a tag, which may begin with the same character
 *  ("-}}", "%}"). */
static bool express_operator_next (jinja_t *j, const char *symbol)
{
    jinja_space (j);
    size_t n = strlen (symbol);
    if (strncmp (j->at, symbol, n) != 0 || j->at[n] == '}' || strncmp (j->at + n, "%}", 2) == 0)
        return false;
    j->at += n;
    return true;
}

/*  Python's % of negative numbers differs from C's; templates only ask whether a counter is
 *  even. */
static json_t *express_read_modulo (jinja_t *j)
{
    json_t *left = express_read_unary (j);
    while (!j->failed && express_operator_next (j, "%")) {
        json_t *right = express_read_unary (j);
        json_int_t a = json_integer_value (left), b = json_integer_value (right);
        if (j->dead)
            continue;
        if (!json_is_integer (left) || a < 0 || b < 1)
            return jinja_fail (j, "'%%' of such values is not known here");
        left = jinja_keep (j, json_integer (a % b));
    }
    return left;
}

static json_t *express_join (jinja_t *j, const json_t *left, const json_t *right)
{
    buf_t text = {0};
    jinja_write (j, left, &text);
    jinja_write (j, right, &text);
    json_t *value = jinja_text (j, text.data ? text.data : "", text.size);
    buf_free (&text);
    return value;
}

/*  a ~ b joins what {{ a }}{{ b }} would write, numbers included. */
static json_t *express_read_concat (jinja_t *j)
{
    json_t *left = express_read_modulo (j);
    while (!j->failed && jinja_take (j, "~")) {
        json_t *right = express_read_modulo (j);
        left = j->dead ? NULL : express_join (j, left, right);
    }
    return left;
}

/*  Texts are joined by +, numbers added with a check for overflow. Undefined values are an error,
 *  as in Jinja. */
static json_t *express_add (jinja_t *j, const json_t *left, const json_t *right, bool minus)
{
    json_int_t a = json_integer_value (left), b = json_integer_value (right), sum;
    if (j->dead)
        return NULL;
    if (json_is_string (left) && json_is_string (right) && !minus)
        return express_join (j, left, right);
    if (json_is_integer (left) && json_is_integer (right) &&
        !(minus ? __builtin_sub_overflow (a, b, &sum) : __builtin_add_overflow (a, b, &sum)))
        return jinja_keep (j, json_integer (sum));
    return jinja_fail (j, "'%c' of %s", minus ? '-' : '+',
                       left && right ? "such values is not known here" : "what is undefined");
}

/*  + and - from left to right; a "-" before the end of the tag belongs to the tag. */
static json_t *express_read_sum (jinja_t *j)
{
    json_t *left = express_read_concat (j);
    while (!j->failed) {
        bool minus = express_operator_next (j, "-");
        if (!minus && !express_operator_next (j, "+"))
            break;
        json_t *right = express_read_concat (j);
        left = express_add (j, left, right, minus);
    }
    return left;
}

/*  Part of a text, key of an object, or item of a list. */
static bool express_contains (jinja_t *j, const json_t *list, const json_t *item)
{
    size_t i;
    const json_t *one;
    if (json_is_string (list) && json_is_string (item))
        return strstr (json_string_value (list), json_string_value (item)) != NULL;
    if (json_is_object (list) && json_is_string (item))
        return json_object_get (list, json_string_value (item)) != NULL;
    if (!json_is_array (list))
        jinja_fail (j, "'in' of such a value is not known here");
    json_array_foreach (list, i, one)
        if (json_equal (one, item))
            return true;
    return false;
}

/*  Undefined equals undefined and nothing else. */
static json_t *express_compare (jinja_t *j, const char *symbol, const json_t *a, const json_t *b)
{
    json_int_t x = json_integer_value (a), y = json_integer_value (b);
    if (j->dead)
        return NULL;
    if (strcmp (symbol, "in") == 0)
        return express_boolean (j, express_contains (j, b, a));
    if (strcmp (symbol, "not in") == 0)
        return express_boolean (j, !express_contains (j, b, a));
    if (symbol[0] == '=' || symbol[0] == '!')
        return express_boolean (j, ((!a && !b) || json_equal (a, b)) == (symbol[0] == '='));
    if (!json_is_integer (a) || !json_is_integer (b))
        return jinja_fail (j, "'%s' of what are no whole numbers", symbol);
    bool equal = symbol[1] == '=' && x == y;
    return express_boolean (j, equal || (symbol[0] == '<' ? x < y : x > y));
}

/*  "not" alone may belong to another expression: go back when no "in" follows. */
static const char *express_comparison_next (jinja_t *j)
{
    static const char *const symbols[] = {"==", "!=", "<=", ">=", "<", ">"};
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++)
        if (jinja_take (j, symbols[i]))
            return symbols[i];
    const char *back = j->at;
    if (jinja_key (j, "in"))
        return "in";
    if (jinja_key (j, "not") && jinja_key (j, "in"))
        return "not in";
    j->at = back;
    return NULL;
}

/*  not, or a comparison. Jinja's chains (a < b < c) are refused: no template has them. */
static json_t *express_read_not (jinja_t *j)
{
    if (jinja_key (j, "not")) {
        j->depth++;
        json_t *value = jinja_spend (j, 1) ? express_read_not (j) : NULL;
        j->depth--;
        return express_boolean (j, !jinja_truth (value));
    }
    json_t *left = express_read_sum (j);
    const char *symbol = j->failed ? NULL : express_comparison_next (j);
    if (!symbol)
        return left;
    json_t *right = express_read_sum (j);
    left = j->failed ? NULL : express_compare (j, symbol, left, right);
    return !j->failed && express_comparison_next (j) ? jinja_fail (j, "a chain of comparisons")
                                                     : left;
}

/*  The right side is not evaluated when the left one decides: it is still read, but `dead`, in
 *  which state errors of evaluation do not count. Templates rely on that ("x is defined and x.y").
 *  The value is that of an operand, not true or false, as in Python. */
static json_t *express_read_and (jinja_t *j)
{
    json_t *left = express_read_not (j);
    while (!j->failed && jinja_key (j, "and")) {
        bool skip = !jinja_truth (left);
        j->dead += skip;
        json_t *right = express_read_not (j);
        j->dead -= skip;
        left = skip ? left : right;
    }
    return left;
}

/*  An expression without x if y else z: what stands after "in" of a for, where an if would belong
 *  to the loop. */
json_t *jinja_operand (jinja_t *j)
{
    json_t *left = express_read_and (j);
    while (!j->failed && jinja_key (j, "or")) {
        bool skip = jinja_truth (left);
        j->dead += skip;
        json_t *right = express_read_and (j);
        j->dead -= skip;
        left = skip ? left : right;
    }
    return left;
}

/*  Whether an "if" belongs to the expression that begins here: looked for up to its end, brackets
 *  and strings passed over. Needed since x stands before its condition, and must not be evaluated
 *  when that is false. */
static bool express_choice_ahead (const char *at)
{
    size_t open = 0;
    while (*at && strncmp (at, "%}", 2) != 0 && strncmp (at, "}}", 2) != 0) {
        size_t n = express_word_length (at);
        /* The expression ends here. */
        if (open == 0 && ((n == 4 && strncmp (at, "else", 4) == 0) || strchr (",:)]", *at)))
            return false;
        if (open == 0 && n == 2 && strncmp (at, "if", 2) == 0)
            return true;
        if (*at == '"' || *at == '\'') {
            char quote = *at++;
            while (*at && *at != quote)
                at += at[0] == '\\' && at[1] ? 2 : 1;
        }
        open += *at == '(' || *at == '[';
        open -= *at == ')' || *at == ']';
        at += n ? n : *at != 0;
    }
    return false;
}

/*  x if y else z: x is read once dead, to get behind it, then y; only when y is true does the
 *  reader go back and evaluate x. What is not chosen is read dead. */
static json_t *express_read_choice (jinja_t *j)
{
    /* The usual case is read only once. */
    if (!express_choice_ahead (j->at))
        return jinja_operand (j);
    const char *start = j->at;
    j->dead++;
    jinja_operand (j);
    j->dead--;
    if (j->failed || !jinja_key (j, "if"))
        return jinja_fail (j, "'if' is wanted");
    bool first = jinja_truth (jinja_operand (j));
    const char *behind = j->at;
    json_t *value = NULL, *other = NULL;
    if (first && !j->failed) {
        j->at = start;
        value = jinja_operand (j);
        j->at = behind;
    }
    if (!j->failed && jinja_key (j, "else")) {
        j->dead += first;
        other = jinja_expression (j);
        j->dead -= first;
    }
    return first ? value : other;
}

/*  Depth and work are counted here: each nested expression passes through. */
json_t *jinja_expression (jinja_t *j)
{
    const char *start = j->at;
    json_t *value = NULL;
    j->depth++;
    if (jinja_spend (j, 1))
        value = express_read_choice (j);
    j->depth--;
    return jinja_spend (j, (size_t) (j->at - start)) && !j->failed ? value : NULL;
}

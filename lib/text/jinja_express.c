/*  jinja_express - see jinja_internal.h. Precedence as in Jinja: x if y else z, or, and, not,
 *  comparisons, + -, ~, %, unary -, then attributes, indices, calls, filters and tests from left
 *  to right. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja_internal.h"
#include "text/tokenizer_internal.h"

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

/*  Behind "{": keys are texts or whole numbers; what else Python allows is refused. */
static json_t *express_read_object (jinja_t *j)
{
    char number[32];
    json_t *object = jinja_keep (j, json_object ());
    while (!j->failed && !jinja_take (j, "}")) {
        const json_t *key = jinja_expression (j);
        if (!jinja_take (j, ":"))
            return jinja_fail (j, "':' is missing in an object");
        json_t *value = jinja_expression (j);
        if (!j->dead && !json_is_string (key) && !json_is_integer (key))
            return jinja_fail (j, "a key of such a kind is not known here");
        if (!j->dead && !value) /* has no such key here, and Python writes one */
            json_array_append (j->opaque, object);
        else if (!j->dead)
            json_object_set (object, jinja_key_of (key, number), value);
        if (!jinja_take (j, ",")) {
            if (!jinja_take (j, "}"))
                jinja_fail (j, "an object has no end");
            break;
        }
    }
    return object;
}

static json_t *express_read_list (jinja_t *j, const char *end)
{
    json_t *list = jinja_keep (j, json_array ());
    while (!j->failed && !jinja_take (j, end)) {
        json_t *item = jinja_expression (j);
        if (!j->dead && !item)
            return jinja_fail (j, "a list with what is undefined is not known here");
        if (!j->dead)
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
        args->blank |= named && !value && !j->dead;
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
    if (j->failed || j->dead)
        return NULL;
    bool found;
    json_t *written = jinja_call_macro (j, word, &args, &found);
    return found ? written : jinja_function (j, word, &args);
}

static json_t *express_read_number (jinja_t *j)
{
    const char *start = j->at;
    char *end;
    errno = 0;
    long long whole = strtoll (start, &end, 10);
    bool real = (*end == '.' && isdigit ((unsigned char) end[1])) || *end == 'e' || *end == 'E';
    double number = real ? strtod (start, &end) : 0;
    j->at = end;
    if ((errno && !real) || isalnum ((unsigned char) *end) || *end == '_')
        return jinja_fail (j, "a number like %.20s is not known here", start);
    return jinja_keep (j, real ? json_real (number) : json_integer (whole));
}

/*  Behind "(": a value in brackets, or several: a tuple. */
static json_t *express_read_brackets (jinja_t *j)
{
    if (jinja_take (j, ")")) {
        json_t *none = jinja_keep (j, json_array ());
        json_array_append (j->tuples, none);
        return none;
    }
    json_t *value = jinja_expression (j);
    if (jinja_take (j, ")"))
        return value;
    if (!jinja_take (j, ","))
        return jinja_fail (j, "')' is missing");
    json_t *rest = express_read_list (j, ")");
    if (j->failed || j->dead)
        return NULL;
    if (!value)
        return jinja_fail (j, "a tuple with what is undefined is not known here");
    json_array_insert (rest, 0, value);
    json_array_append (j->tuples, rest);
    return rest;
}

static json_t *express_read_primary (jinja_t *j)
{
    char word[JINJA_WORD];
    jinja_space (j);
    if (*j->at == '"' || *j->at == '\'')
        return jinja_read_string (j);
    if (isdigit ((unsigned char) *j->at))
        return express_read_number (j);
    if (jinja_take (j, "["))
        return express_read_list (j, "]");
    if (jinja_take (j, "("))
        return express_read_brackets (j);
    if (*j->at == '{' && j->at[1] != '{' && jinja_take (j, "{"))
        return express_read_object (j);
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
    if (json_object_get (self, "macro") && jinja_special (self))
        return jinja_fail (j, "the attribute %s of a macro is not known here", name);
    return jinja_attribute (j, self, name);
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
        return jinja_slice (j, self, bound);
    return j->dead ? NULL : jinja_index (j, self, bound[0]);
}

static json_t *express_read_attribute (jinja_t *j, json_t *self)
{
    char name[JINJA_WORD];
    jinja_args_t args;
    jinja_space (j);
    if (isdigit ((unsigned char) *j->at)) { /* list.0 is list[0] */
        char *end;
        json_t *index = jinja_keep (j, json_integer (strtoll (j->at, &end, 10)));
        j->at = end;
        return j->dead ? NULL : jinja_index (j, self, index);
    }
    if (!jinja_word (j, name))
        return jinja_fail (j, "a name is wanted behind '.'");
    if (!jinja_take (j, "("))
        return express_attribute (j, self, name);
    express_read_args (j, &args);
    return j->failed ? NULL : jinja_method (j, self, name, &args);
}

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

/*  Whether a value stands here: the argument of a test without brackets, as in "is equalto 1". */
static bool express_value_next (jinja_t *j)
{
    static const char *const others[] = {"else", "or", "and", "if", "in", "not", "is"};
    jinja_space (j);
    size_t n = express_word_length (j->at);
    for (size_t i = 0; n && i < sizeof others / sizeof *others; i++)
        if (strlen (others[i]) == n && strncmp (others[i], j->at, n) == 0)
            return false;
    return n || isdigit ((unsigned char) *j->at) || (*j->at && strchr ("\"'[(", *j->at)) ||
           (*j->at == '{' && j->at[1] != '{');
}

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

/*  Attributes and indices behind a value. */
static json_t *express_read_places (jinja_t *j, json_t *value)
{
    while (!j->failed) {
        if (jinja_take (j, "."))
            value = express_read_attribute (j, value);
        else if (jinja_take (j, "["))
            value = express_read_index (j, value);
        else
            break;
    }
    return value;
}

/*  The test's value decides; "is not" turns it around. */
static json_t *express_read_test (jinja_t *j, json_t *self)
{
    char name[JINJA_WORD];
    jinja_args_t args = {0};
    bool not = jinja_key (j, "not");
    if (!jinja_word (j, name))
        return jinja_fail (j, "a test is wanted behind 'is'");
    if (jinja_take (j, "(")) {
        express_read_args (j, &args);
    } else if (express_value_next (j)) {
        args.n = 1;
        args.value[0] = express_read_places (j, express_read_primary (j));
    }
    if (j->failed || j->dead)
        return NULL;
    bool is = jinja_test (j, name, self, &args);
    return express_boolean (j, is != not );
}

/*  Everything that follows a value binds from left to right: a.b[0] | trim is defined. */
static json_t *express_read_unary (jinja_t *j)
{
    json_t *value;
    if (express_operator_next (j, "-")) { /* of the value alone: -1 | abs is 1 */
        value = express_read_places (j, express_read_primary (j));
        json_t *zero = json_is_real (value) ? json_real (-0.0) : json_integer (0);
        jinja_keep (j, zero);
        value = jinja_add (j, zero, value, true);
    } else {
        value = express_read_primary (j);
    }
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

static json_t *express_read_product (jinja_t *j)
{
    static const char *const symbols[] = {"//", "*", "/", "%"};
    json_t *left = express_read_unary (j);
    for (size_t i = 0; !j->failed && i < 4;) {
        if (!express_operator_next (j, symbols[i])) {
            i++;
            continue;
        }
        json_t *right = express_read_unary (j);
        left = jinja_multiply (j, symbols[i], left, right);
        i = 0;
    }
    return left;
}

/*  a ~ b joins what {{ a }}{{ b }} would write, numbers included. */
static json_t *express_read_concat (jinja_t *j)
{
    json_t *left = express_read_product (j);
    while (!j->failed && jinja_take (j, "~")) {
        json_t *right = express_read_product (j);
        left = j->dead ? NULL : jinja_join (j, left, right);
    }
    return left;
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
        left = jinja_add (j, left, right, minus);
    }
    return left;
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

/*  not, or comparisons: a < b < c holds when both do. */
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
    bool holds = true;
    for (; symbol && !j->failed; symbol = express_comparison_next (j)) {
        json_t *right = express_read_sum (j);
        if (!j->dead && !j->failed)
            holds = holds && jinja_compare (j, symbol, left, right);
        left = right;
    }
    return j->failed ? NULL : express_boolean (j, holds);
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
    while (*at && strncmp (at, "%}", 2) != 0 && (open || strncmp (at, "}}", 2) != 0)) {
        size_t n = express_word_length (at);
        /* The expression ends here. */
        if (open == 0 && ((n == 4 && strncmp (at, "else", 4) == 0) || strchr (",:)]}", *at)))
            return false;
        if (open == 0 && n == 2 && strncmp (at, "if", 2) == 0)
            return true;
        if (*at == '"' || *at == '\'') {
            char quote = *at++;
            while (*at && *at != quote)
                at += at[0] == '\\' && at[1] ? 2 : 1;
        }
        open += *at == '(' || *at == '[' || *at == '{';
        open -= *at == ')' || *at == ']' || (*at == '}' && open);
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

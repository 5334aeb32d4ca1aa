/*  jinja_blocks - set, filter and macro: blocks whose text is a value. See jinja_internal.h */
#include <string.h>

#include "text/jinja_internal.h"

/*  ---- names ---------------------------------------------------------------------------------- */

/*  One name, or several with commas between them, in brackets or not. */
bool jinja_read_names (jinja_t *j, jinja_names_t *names)
{
    bool brackets = jinja_take (j, "(");
    do {
        if (names->n == JINJA_NAMES_MAX || !jinja_word (j, names->name[names->n]))
            return false;
        names->n++;
    } while (jinja_take (j, ","));
    return !brackets || jinja_take (j, ")");
}

/*  Gives the names of the innermost scope their values. */
void jinja_bind (jinja_t *j, const jinja_names_t *names, json_t *value)
{
    json_t *scope = j->scope[j->scopes - 1];
    if (names->n == 1) {
        json_object_set (scope, names->name[0], value);
        return;
    }
    const json_t *parts = jinja_list (j, value);
    if (json_array_size (parts) != names->n) {
        jinja_fail (j, "%zu names for %zu values", names->n, json_array_size (parts));
        return;
    }
    for (size_t i = 0; i < names->n; i++)
        json_object_set (scope, names->name[i], json_array_get (parts, i));
}

/*  ---- set and filter ------------------------------------------------------------------------- */

/*  Runs up to a tag that ends a block and gives what was written there as a value. */
static json_t *blocks_capture (jinja_t *j, bool live, jinja_end_t wanted, const char *what)
{
    buf_t own = {.max = JINJA_WORK_MAX}, *outside = j->out;
    /* What is written goes to the block's own text until its end, and then to where it went before,
     * also after an error. */
    j->out = &own;
    if (jinja_run (j, live) != wanted)
        jinja_fail (j, "a %s has no end", what);
    j->out = outside;
    json_t *text = live && !j->failed ? jinja_text (j, own.data ? own.data : "", own.size) : NULL;
    buf_free (&own);
    return text;
}

/*  Whether a value holds a namespace, which must not come to hold itself; or is nested so deep that
 *  nobody may go through it. Both are failures. */
static bool blocks_reaches (jinja_t *j, const json_t *value, const json_t *to, size_t depth)
{
    const char *key;
    const json_t *item;
    size_t i;
    if (value == to || depth > JINJA_DEPTH_MAX)
        jinja_fail (j,
                    value == to ? "a namespace is given to itself" : "a value is nested too deep");
    if (j->failed || !jinja_spend (j, 8))
        return true;
    json_object_foreach ((json_t *) (uintptr_t) value, key, item)
        if (blocks_reaches (j, item, to, depth + 1))
            return true;
    json_array_foreach (value, i, item)
        if (blocks_reaches (j, item, to, depth + 1))
            return true;
    return false;
}

/*  set NAME = x, or set NAMESPACE.NAME = x. A plain set goes to the innermost scope, so a loop
 *  cannot change what stands outside of it, as in Jinja; that is what namespaces are for. An
 *  undefined value removes the name. */
static void blocks_give (jinja_t *j, const jinja_names_t *names, const char *field, json_t *value)
{
    json_t *to = *field ? jinja_lookup (j, names->name[0]) : j->scope[j->scopes - 1];
    if (j->failed)
        return;
    if (!json_is_object (to) || jinja_special (to))
        jinja_fail (j, "set %s.%s: it is no namespace", names->name[0], field);
    else if (names->n > 1)
        jinja_bind (j, names, value);
    else if (value && *field) {
        if (!blocks_reaches (j, value, to, 0))
            json_object_set (to, field, value);
    } else if (value)
        json_object_set (to, names->name[0], value);
    else
        json_object_del (to, *field ? field : names->name[0]);
}

/*  "set a = x", "set a, b = x", "set n.a = x", and "set a" with a block behind it. Which of them is
 *  read also where nothing is run: only the last has an end. */
void jinja_run_set (jinja_t *j, bool live)
{
    jinja_names_t names = {0};
    char field[JINJA_WORD] = "", filter[JINJA_WORD] = "";
    json_t *value;
    bool right = jinja_read_names (j, &names);
    if (right && names.n == 1 && jinja_take (j, "."))
        right = jinja_word (j, field);
    if (right && jinja_take (j, "=") && !live) {
        jinja_skip_tag (j, "%}", true);
        return;
    }
    if (right && j->at[-1] == '=') {
        value = jinja_expression (j);
        if (!j->failed && jinja_take (j, ",")) { /* a tuple without brackets */
            json_t *list = jinja_keep (j, json_array ());
            do {
                json_array_append (list, value);
                value = jinja_expression (j);
            } while (!j->failed && value && jinja_take (j, ","));
            json_array_append (list, value);
            value = list;
        }
        blocks_give (j, &names, field, value);
        jinja_tag_ended (j, "%}", true);
        return;
    }
    if (right && jinja_take (j, "|"))
        right = jinja_word (j, filter);
    if (!right || names.n > 1) {
        jinja_fail (j, "such a set is not known here");
        return;
    }
    jinja_tag_ended (j, "%}", true);
    value = blocks_capture (j, live, AT_ENDSET, "set");
    jinja_tag_ended (j, "%}", true);
    if (live && !j->failed && *filter)
        value = jinja_filter (j, filter, value, &(jinja_args_t){0});
    if (live)
        blocks_give (j, &names, field, value);
}

/*  A tag ends at "%}", "-%}" or "+%}"; nothing that may follow here begins with such a sign. */
static bool blocks_tag_ends (jinja_t *j)
{
    jinja_space (j);
    return *j->at == '%' || *j->at == '-' || *j->at == '+';
}

/*  A filter with arguments is refused: only its name is read here. */
void jinja_run_filter (jinja_t *j, bool live)
{
    char filter[JINJA_WORD] = "";
    if (!jinja_word (j, filter) || !blocks_tag_ends (j)) {
        jinja_fail (j, "such a filter block is not known here");
        return;
    }
    jinja_tag_ended (j, "%}", true);
    json_t *value = blocks_capture (j, live, AT_ENDFILTER, "filter");
    jinja_tag_ended (j, "%}", true);
    if (live && !j->failed)
        value = jinja_filter (j, filter, value, &(jinja_args_t){0});
    if (live && !j->failed && !json_is_string (value))
        jinja_fail (j, "a filter block of what is no text");
    else if (live && !j->failed)
        jinja_write (j, value, j->out);
}

/*  with a = x, b = y: names that are gone behind the block. The values know none of the names. */
void jinja_run_with (jinja_t *j, bool live)
{
    json_t *scope = live ? jinja_keep (j, json_object ()) : NULL;
    while (live && !j->failed && !blocks_tag_ends (j)) {
        char name[JINJA_WORD];
        if (!jinja_word (j, name) || !jinja_take (j, "=")) {
            jinja_fail (j, "such a with is not known here");
            return;
        }
        json_t *value = jinja_expression (j);
        if (value)
            json_object_set (scope, name, value);
        jinja_take (j, ",");
    }
    if (live)
        jinja_tag_ended (j, "%}", true);
    else
        jinja_skip_tag (j, "%}", true);
    if (j->failed || (live && !jinja_open_scope (j)))
        return;
    if (live)
        j->scope[j->scopes - 1] = scope;
    if (jinja_run (j, live) != AT_ENDWITH)
        jinja_fail (j, "a with has no end");
    j->scopes -= live;
    jinja_tag_ended (j, "%}", true);
}

/*  A macro that writes what its caller has between two tags: known enough to be read over. */
void jinja_run_call (jinja_t *j, bool live)
{
    if (live) {
        jinja_fail (j, "the tag call is not known here");
        return;
    }
    jinja_skip_tag (j, "%}", true);
    if (jinja_run (j, false) != AT_ENDCALL)
        jinja_fail (j, "a call has no end");
    jinja_tag_ended (j, "%}", true);
}

/*  ---- macros --------------------------------------------------------------------------------- */

/*  Where a macro's parameters begin is all that is kept of it: a call reads them, and the body,
 *  from there. */
void jinja_run_macro (jinja_t *j, bool live)
{
    char name[JINJA_WORD];
    if (!jinja_word (j, name) || !jinja_take (j, "(")) {
        jinja_fail (j, "a macro without a name");
        return;
    }
    if (live && j->macros == JINJA_MACROS_MAX)
        jinja_fail (j, "it has more than %d macros", JINJA_MACROS_MAX);
    else if (live && j->scopes > 1) /* it would see what is around it */
        jinja_fail (j, "a macro inside of a loop is not known here");
    else if (live) {
        json_t *value =
            json_pack ("{s:s, s:I}", JINJA_SPECIAL, name, "macro", (json_int_t) j->macros);
        j->macro[j->macros].at = j->at;
        memcpy (j->macro[j->macros++].name, name, sizeof name);
        json_object_set (j->scope[j->scopes - 1], name, jinja_keep (j, value));
    }
    jinja_skip_tag (j, "%}", true);
    if (jinja_run (j, false) != AT_ENDMACRO)
        jinja_fail (j, "a macro has no end");
    jinja_tag_ended (j, "%}", true);
}

/*  One parameter after the other: what was given for it, or its default, or nothing. */
static void blocks_read_parameters (jinja_t *j, const jinja_args_t *args)
{
    json_t *scope = j->scope[j->scopes - 1];
    size_t n = 0;
    while (!j->failed && !jinja_take (j, ")")) {
        char name[JINJA_WORD];
        if (!jinja_word (j, name)) {
            jinja_fail (j, "a macro's parameter has no name");
            return;
        }
        json_t *value = jinja_arg (args, n, name);
        if (jinja_take (j, "=")) {
            /* A default that is not needed is read over without being evaluated, since it may be an
             * error. */
            bool given = value || n < args->n; /* undefined, too */
            j->dead += given;
            json_t *other = jinja_expression (j);
            j->dead -= given;
            value = given ? value : other;
        }
        if (value)
            json_object_set (scope, name, value);
        n++;
        if (!jinja_take (j, ",") && *j->at != ')')
            jinja_fail (j, "a macro's parameters have no end");
    }
    if (args->blank)
        jinja_fail (j, "a macro is given what is undefined by name, which is not known here");
    if (args->n > n)
        jinja_fail (j, "a macro takes %zu arguments, not %zu", n, args->n);
    jinja_tag_ended (j, "%}", true);
}

/*  A macro sees what the template has set outermost and its parameters, nothing of where it is
 *  called from. The reader goes to the macro and comes back. */
json_t *jinja_call_macro (jinja_t *j, const char *name, const jinja_args_t *args, bool *found)
{
    json_t *value = jinja_lookup (j, name), *scope[JINJA_SCOPES_MAX];
    const json_t *which = json_object_get (value, "macro");
    *found = jinja_special (value) && json_is_integer (which);
    if (!*found)
        return NULL;
    /* Only what the call must not change is put back below; work, the pool and an error stay. */
    jinja_t before = *j;
    memcpy (scope, j->scope, sizeof scope);
    j->scopes = 1;
    j->loops = 0;
    j->at = j->macro[json_integer_value (which)].at;
    json_t *text = NULL;
    j->depth++;
    if (jinja_spend (j, 64) && jinja_open_scope (j)) {
        /* Names that a macro has of its own; what is in them is not known here. */
        static const char *const own[] = {"varargs", "kwargs"};
        for (size_t i = 0; i < 2; i++)
            json_object_set_new (j->scope[j->scopes - 1], own[i],
                                 json_pack ("{s:s}", JINJA_SPECIAL, own[i]));
        blocks_read_parameters (j, args);
        text = j->failed ? NULL : blocks_capture (j, true, AT_ENDMACRO, "macro");
    }
    j->depth--;
    memcpy (j->scope, scope, sizeof scope);
    j->scopes = before.scopes;
    j->loops = before.loops;
    if (!j->failed)
        j->at = before.at;
    j->strip = before.strip;
    j->newline = before.newline;
    j->line_start = before.line_start;
    return text;
}

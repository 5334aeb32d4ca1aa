/*  jinja - see jinja.h. Tags and text; blocks that do not count are read over by their tags
 *  alone.
 *
 *  DESIGN There is no syntax tree. A template is read once, from left to right, and run as it is
 *  read: text goes to the output, an expression is evaluated while its operators are recognised, a
 *  loop sets the reader back to the beginning of its body. Two states say that something is read
 *  and has no effect:
 *
 *      live false   a block that is not run: text is dropped, tags are skipped to their end
 *      dead > 0     a part of an expression that must not be evaluated: the right side of `a and
 *                   b` where a is false, the branch of `x if y else z` that is not chosen
 *
 *  That is enough for chat templates, which are short and run a few times per process, and there is
 *  little that an untrusted one could attack: no recursion but through nested tags and brackets,
 *  which are counted, and no value that outlives the run.
 *
 *  jinja_expression and everything that it calls return borrowed values; NULL is "undefined", and
 *  also what comes after a failure, which j->failed tells apart.
 */
#include <assert.h>
#include <string.h>

#include "text/jinja_internal.h"

/*  What ended a run of text and tags. */
typedef enum { AT_END, AT_ELIF, AT_ELSE, AT_ENDIF, AT_ENDFOR, AT_ENDMACRO } at_t;

static at_t jinja_run (jinja_t *j, bool live);

/*  ---- text ----------------------------------------------------------------------------------- */

/*  White space at the end of a text, which "{%-" takes away. */
static size_t jinja_spaces_before (const char *from, const char *end)
{
    const char *at = end;
    while (at > from && strchr (" \t\r\n\v\f", at[-1]))
        at--;
    return (size_t) (end - at);
}

/*  Blanks between the beginning of a line and a block tag (lstrip_blocks): none when something else
 *  stands there. */
static size_t jinja_indent_before (const jinja_t *j, const char *from, const char *end)
{
    const char *at = end;
    while (at > from && (at[-1] == ' ' || at[-1] == '\t'))
        at--;
    return at > from ? (at[-1] == '\n' ? (size_t) (end - at) : 0)
                     : (j->line_start ? (size_t) (end - at) : 0);
}

/*  The text up to the next tag, at which j->at is then. White space around tags goes by Jinja's
 *  rules with trim_blocks and lstrip_blocks: "-" strips all of it on its side, a block tag also
 *  takes the newline behind it and the blanks before it at the beginning of a line, "+" keeps
 *  them. */
static void jinja_read_text (jinja_t *j, bool live)
{
    const char *from = j->at, *end = from;
    if (j->strip)
        from += strspn (from, " \t\r\n\v\f");
    else if (j->newline && *from == '\n')
        from++;
    /* Whether the text begins at the beginning of a line: only then are blanks alone an
     * indentation. */
    j->line_start = from > j->at ? from[-1] == '\n' : from == j->template && j->at == j->template;
    end = from;
    /* A single brace is text. */
    while (*end && !(end[0] == '{' && end[1] && strchr ("{%#", end[1])))
        end++;
    size_t cut = 0;
    if (*end && end[2] == '-')
        cut = jinja_spaces_before (from, end);
    /* Before a block or a comment, but not before an output. */
    else if (*end && end[1] != '{' && end[2] != '+')
        cut = jinja_indent_before (j, from, end);
    else if (!*end && end > from && end[-1] == '\n')
        cut = 1; /* of the file, not of the text */
    if (live)
        buf_append (j->out, from, (size_t) (end - from) - cut);
    j->at = end;
}

/*  Reads the end of a tag and notes what becomes of the text behind it. */
static void jinja_tag_ended (jinja_t *j, const char *end, bool block)
{
    j->strip = false;
    j->newline = block;
    if (jinja_take (j, end))
        return;
    j->strip = *j->at == '-';
    j->newline = false;
    if (*j->at == '-' || (block && *j->at == '+'))
        j->at++;
    if (!jinja_take (j, end))
        jinja_fail (j, "'%s' is wanted at '%.20s'", end, j->at);
}

/*  To the end of a tag that is not run; a string in it may hold what looks like the end. */
static void jinja_skip_tag (jinja_t *j, const char *end, bool block)
{
    while (*j->at && strncmp (j->at, end, 2) != 0) {
        char quote = *j->at == '"' || *j->at == '\'' ? *j->at : 0;
        j->at++;
        while (quote && *j->at && *j->at != quote)
            j->at += j->at[0] == '\\' && j->at[1] ? 2 : 1;
        j->at += quote && *j->at;
    }
    if (*j->at && (j->at[-1] == '-' || (block && j->at[-1] == '+')))
        j->at--;
    jinja_tag_ended (j, end, block);
}

static void jinja_skip_comment (jinja_t *j)
{
    const char *end = strstr (j->at, "#}");
    if (!end) {
        jinja_fail (j, "a comment has no end");
        return;
    }
    bool minus = end > j->at && end[-1] == '-';
    j->at = end + 2;
    j->strip = minus;
    j->newline = !minus;
}

/*  ---- blocks --------------------------------------------------------------------------------- */

/*  All branches are read, since only reading finds where they end; the text of those that are not
 *  taken goes nowhere. */
static void jinja_run_if (jinja_t *j, bool live)
{
    bool done = !live; /* a branch was taken, or none is to be */
    at_t end = AT_ELIF;
    while (!j->failed && (end == AT_ELIF || end == AT_ELSE)) {
        bool take = !done;
        /* The first round has AT_ELIF as well: if and elif are alike once their word is read. */
        if (end == AT_ELIF && !done) {
            take = jinja_truth (jinja_expression (j));
            jinja_tag_ended (j, "%}", true);
        } else if (end == AT_ELIF) {
            jinja_skip_tag (j, "%}", true);
        } else {
            jinja_tag_ended (j, "%}", true);
        }
        done = done || take;
        end = jinja_run (j, take);
    }
    if (!j->failed && end != AT_ENDIF)
        jinja_fail (j, "an if has no end");
    jinja_tag_ended (j, "%}", true);
}

/*  The variable `loop` inside a for. */
static json_t *jinja_loop_of (jinja_t *j, size_t i, size_t n)
{
    json_t *loop = json_pack ("{s:I, s:I, s:b, s:b, s:I, s:I, s:I}", "index0", (json_int_t) i,
                              "index", (json_int_t) i + 1, "first", i == 0, "last", i + 1 == n,
                              "length", (json_int_t) n, "revindex", (json_int_t) (n - i),
                              "revindex0", (json_int_t) (n - i - 1));
    jinja_spend (j, 1024); /* what these take */
    return jinja_keep (j, loop);
}

static bool jinja_open_scope (jinja_t *j)
{
    if (j->scopes == JINJA_SCOPES_MAX) {
        jinja_fail (j, "its loops are nested too deep");
        return false;
    }
    return (j->scope[j->scopes++] = jinja_keep (j, json_object ())) != NULL;
}

/*  The body is read once per round, from the same place with the same white-space state; an empty
 *  list (or a loop that is not run) reads it once without effect, to find its end. */
static void jinja_run_for (jinja_t *j, bool live)
{
    char name[JINJA_WORD] = "";
    json_t *list = NULL;
    if (live) {
        if (!jinja_word (j, name) || !jinja_key (j, "in"))
            jinja_fail (j, "a loop over pairs is not known here");
        list = j->failed ? NULL : jinja_operand (j);
        if (!j->failed && (!json_is_array (list) || jinja_key (j, "if")))
            jinja_fail (j, "a loop over what is no list, or over a part of it, is not known here");
        jinja_tag_ended (j, "%}", true);
    } else {
        jinja_skip_tag (j, "%}", true);
    }
    jinja_t start = *j;
    size_t n = json_array_size (list), rounds = n ? n : 1;
    at_t end = AT_ENDFOR;
    for (size_t i = 0; !j->failed && i < rounds; i++) {
        j->at = start.at;
        j->strip = start.strip;
        j->newline = start.newline;
        if (!jinja_open_scope (j))
            return;
        if (n) {
            /* Each round has a scope of its own, so that what one round sets is gone in the
             * next. */
            json_object_set (j->scope[j->scopes - 1], name, json_array_get (list, i));
            json_object_set (j->scope[j->scopes - 1], "loop", jinja_loop_of (j, i, n));
        }
        end = jinja_run (j, n > 0);
        j->scopes--;
    }
    /* for ... else: runs when the list is empty. */
    if (!j->failed && end == AT_ELSE) {
        jinja_tag_ended (j, "%}", true);
        end = jinja_run (j, live && n == 0);
    }
    if (!j->failed && end != AT_ENDFOR)
        jinja_fail (j, "a for has no end");
    jinja_tag_ended (j, "%}", true);
}

/*  set NAME = x, or set NAMESPACE.NAME = x. A plain set goes to the innermost scope, so a loop
 *  cannot change what stands outside of it, as in Jinja; that is what namespaces are for. An
 *  undefined value removes the name. */
static void jinja_run_set (jinja_t *j)
{
    char name[JINJA_WORD], field[JINJA_WORD] = "";
    bool right = jinja_word (j, name);
    if (right && jinja_take (j, "."))
        right = jinja_word (j, field);
    if (!right || !jinja_take (j, "=")) {
        jinja_fail (j, "such a set is not known here");
        return;
    }
    json_t *to = *field ? jinja_lookup (j, name) : j->scope[j->scopes - 1];
    json_t *value = jinja_expression (j);
    if (!json_is_object (to))
        jinja_fail (j, "set %s.%s: it is no namespace", name, field);
    else if (!j->failed && value && *field) /* a copy: nothing comes to hold itself */
        json_object_set_new (to, field, json_deep_copy (value));
    else if (!j->failed && value)
        json_object_set (to, name, value);
    else if (!j->failed)
        json_object_del (to, *field ? field : name);
    jinja_tag_ended (j, "%}", true);
}

/*  A tag that ends or divides a block, whoever opened it: jinja_run returns it to the one that
 *  waits for it. */
static bool jinja_divides (jinja_t *j, at_t *which)
{
    static const struct {
        const char *word;
        at_t which;
    } words[] = {{"elif", AT_ELIF},
                 {"else", AT_ELSE},
                 {"endif", AT_ENDIF},
                 {"endfor", AT_ENDFOR},
                 {"endmacro", AT_ENDMACRO}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (jinja_key (j, words[i].word)) {
            *which = words[i].which;
            return true;
        }
    return false;
}

static void jinja_run_block (jinja_t *j, bool live)
{
    char word[JINJA_WORD] = "";
    if (!jinja_word (j, word))
        jinja_fail (j, "a tag without a name");
    else if (strcmp (word, "if") == 0)
        jinja_run_if (j, live);
    else if (strcmp (word, "for") == 0)
        jinja_run_for (j, live);
    else if (strcmp (word, "macro") == 0) { /* known once it is called */
        jinja_skip_tag (j, "%}", true);
        if (jinja_run (j, false) != AT_ENDMACRO)
            jinja_fail (j, "a macro has no end");
        jinja_tag_ended (j, "%}", true);
    } else if (strcmp (word, "generation") == 0 || strcmp (word, "endgeneration") == 0)
        jinja_tag_ended (j, "%}", true); /* marks what is trained, for transformers */
    else if (!live)
        jinja_skip_tag (j, "%}", true);
    else if (strcmp (word, "set") == 0)
        jinja_run_set (j);
    else
        jinja_unless_dead (j, "the tag", word);
}

static void jinja_run_output (jinja_t *j, bool live)
{
    if (!live) {
        jinja_skip_tag (j, "}}", false);
        return;
    }
    const json_t *value = jinja_expression (j);
    if (!j->failed)
        jinja_write (j, value, j->out);
    jinja_tag_ended (j, "}}", false);
}

/*  Text and tags up to one that ends or divides the block around them, whose word is read by then.
 *  live false: everything is read over by its tags alone; nothing is written and no expression is
 *  evaluated. */
static at_t jinja_run (jinja_t *j, bool live)
{
    at_t which = AT_END;
    j->depth++;
    while (!j->failed) {
        const char *start = j->at;
        jinja_read_text (j, live);
        if (!jinja_spend (j, (size_t) (j->at - start) + 1))
            break;
        if (!*j->at)
            break;
        char kind = j->at[1];
        j->at += 2;
        if (kind == '#') {
            jinja_skip_comment (j);
            continue;
        }
        /* The sign was looked at in jinja_read_text, for the text before the tag. */
        j->at += *j->at == '-' || (kind == '%' && *j->at == '+');
        if (kind == '{')
            jinja_run_output (j, live);
        else if (jinja_divides (j, &which))
            break;
        else
            jinja_run_block (j, live);
    }
    j->depth--;
    return which;
}

/*  The pool holds every value that is made, and frees them all at the end: nothing in between
 *  counts references. */
int jinja_render (const char *template, const json_t *variables, buf_t *out, err_t *err)
{
    jinja_t j = {.template = template,
                 .at = template,
                 .pool = json_array (),
                 .out = out,
                 .err = err,
                 .line_start = true};
    /* A copy: a template may set its variables anew. */
    json_t *globals = jinja_keep (&j, json_deep_copy (variables));
    j.scope[j.scopes++] = globals;
    if (globals && jinja_run (&j, true) != AT_END)
        jinja_fail (&j, "an end without a beginning");
    json_decref (j.pool);
    assert (j.failed || (j.dead == 0 && j.depth == 0 && j.scopes == 1));
    if (!j.failed && buf_failed (out))
        return err_set (err, ERR_LIMIT, "it writes more than %zu bytes", out->max);
    return j.failed ? -1 : 0;
}

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
#include <stdlib.h>
#include <string.h>

#include "text/jinja_internal.h"

/*  ---- text ----------------------------------------------------------------------------------- */

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
    for (size_t n; j->strip && (n = jinja_white (from)) > 0;)
        from += n;
    if (j->strip)
        j->newline = false;
    if (j->newline && *from == '\n')
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
        cut = jinja_white_before (from, end, NULL);
    /* Before a block or a comment, but not before an output. */
    else if (*end && end[1] != '{' && end[2] != '+')
        cut = jinja_indent_before (j, from, end);
    if (live)
        buf_append (j->out, from, (size_t) (end - from) - cut);
    j->at = end;
}

/*  Reads the end of a tag and notes what becomes of the text behind it. */
void jinja_tag_ended (jinja_t *j, const char *end, bool block)
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
void jinja_skip_tag (jinja_t *j, const char *end, bool block)
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
    jinja_end_t end = AT_ELIF;
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

/*  The variable `loop` inside a for. Its depth counts the loops that call themselves, of which
 *  there are none here. */
static json_t *jinja_loop_of (jinja_t *j, const json_t *list, size_t i)
{
    size_t n = json_array_size (list);
    json_t *loop =
        json_pack ("{s:I, s:I, s:b, s:b, s:I, s:I, s:I, s:I, s:I}", "index0", (json_int_t) i,
                   "index", (json_int_t) i + 1, "first", i == 0, "last", i + 1 == n, "length",
                   (json_int_t) n, "revindex", (json_int_t) (n - i), "revindex0",
                   (json_int_t) (n - i - 1), "depth", (json_int_t) 1, "depth0", (json_int_t) 0);
    if (i > 0)
        json_object_set (loop, "previtem", json_array_get (list, i - 1));
    if (i + 1 < n)
        json_object_set (loop, "nextitem", json_array_get (list, i + 1));
    jinja_spend (j, 1024); /* what these take */
    return jinja_keep (j, loop);
}

bool jinja_open_scope (jinja_t *j)
{
    if (j->scopes == JINJA_SCOPES_MAX) {
        jinja_fail (j, "its loops are nested too deep");
        return false;
    }
    return (j->scope[j->scopes++] = jinja_keep (j, json_object ())) != NULL;
}

/*  "for x in list if ...": those for which the condition, read once for each, holds. */
static json_t *jinja_chosen (jinja_t *j, const jinja_names_t *names, const json_t *list)
{
    const char *condition = j->at;
    json_t *chosen = jinja_keep (j, json_array ()), *item;
    size_t i;
    if (json_array_size (list) == 0) {
        j->dead++;
        jinja_expression (j);
        j->dead--;
    }
    json_array_foreach (list, i, item) {
        if (j->failed || !jinja_open_scope (j))
            break;
        jinja_bind (j, names, item);
        j->at = condition;
        if (jinja_truth (jinja_expression (j)))
            json_array_append (chosen, item);
        j->scopes--;
    }
    return chosen;
}

/*  The head of a for, up to the end of its tag: the list that it goes through. */
static json_t *jinja_read_for (jinja_t *j, jinja_names_t *names)
{
    if (!jinja_read_names (j, names) || !jinja_key (j, "in"))
        return jinja_fail (j, "such a loop is not known here");
    json_t *list = jinja_operand (j);
    list = j->failed ? NULL : jinja_list (j, list);
    if (!j->failed && jinja_key (j, "if"))
        list = jinja_chosen (j, names, list);
    if (!j->failed && jinja_key (j, "recursive"))
        return jinja_fail (j, "a recursive loop is not known here");
    jinja_tag_ended (j, "%}", true);
    return list;
}

/*  The body is read once per round, from the same place with the same white-space state; an empty
 *  list (or a loop that is not run) reads it once without effect, to find its end. So does what
 *  stands behind a break or a continue. */
static void jinja_run_for (jinja_t *j, bool live)
{
    jinja_names_t names = {0};
    json_t *list = NULL;
    if (live)
        list = jinja_read_for (j, &names);
    else
        jinja_skip_tag (j, "%}", true);
    jinja_t start = *j;
    size_t n = json_array_size (list), rounds = n ? n : 1;
    jinja_end_t end = AT_ENDFOR;
    bool done = false; /* one round came to its end: Jinja then does without else */
    j->loops++;
    for (size_t i = 0; !j->failed && i < rounds; i++) {
        j->at = start.at;
        j->strip = start.strip;
        j->newline = start.newline;
        /* Each round has a scope of its own, so that what one round sets is gone in the next. */
        if (!jinja_open_scope (j))
            return;
        if (n) {
            jinja_bind (j, &names, json_array_get (list, i));
            json_object_set (j->scope[j->scopes - 1], "loop", jinja_loop_of (j, list, i));
        }
        end = jinja_run (j, n > 0);
        j->scopes--;
        bool left = n > 0 && j->jump == JUMP_BREAK;
        done = done || (n > 0 && j->jump == JUMP_NONE);
        if (n > 0)
            j->jump = JUMP_NONE;
        if (left)
            break;
    }
    j->loops--;
    if (!j->failed && end == AT_ELSE) {
        jinja_tag_ended (j, "%}", true);
        end = jinja_run (j, live && !done);
    }
    if (!j->failed && end != AT_ENDFOR)
        jinja_fail (j, "a for has no end");
    jinja_tag_ended (j, "%}", true);
}

/*  A tag that ends or divides a block, whoever opened it: jinja_run returns it to the one that
 *  waits for it. */
static bool jinja_divides (jinja_t *j, jinja_end_t *which)
{
    static const struct {
        const char *word;
        jinja_end_t which;
    } words[] = {{"elif", AT_ELIF},           {"else", AT_ELSE},         {"endif", AT_ENDIF},
                 {"endfor", AT_ENDFOR},       {"endmacro", AT_ENDMACRO}, {"endset", AT_ENDSET},
                 {"endfilter", AT_ENDFILTER}, {"endwith", AT_ENDWITH},   {"endcall", AT_ENDCALL}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (jinja_key (j, words[i].word)) {
            *which = words[i].which;
            return true;
        }
    return false;
}

/*  Text as it stands up to endraw, tags and all. */
static void jinja_run_raw (jinja_t *j, bool live)
{
    jinja_space (j);
    if (*j->at == '+')
        jinja_fail (j, "such a raw block is not known here");
    jinja_tag_ended (j, "%}", true);
    const char *from = j->at + (j->newline && *j->at == '\n'), *end = from;
    for (; (end = strstr (end, "{%")) != NULL; end += 2) {
        const char *word = end + 2 + (end[2] == '-');
        word += strspn (word, " \t\n");
        if (strncmp (word, "endraw", 6) == 0)
            break;
    }
    if (!end || j->strip || end[2] == '-') {
        jinja_fail (j, "a raw block without an end, or with its spaces taken, is not known here");
        return;
    }
    size_t cut = jinja_indent_before (j, from, end);
    if (live)
        buf_append (j->out, from, (size_t) (end - from) - cut);
    j->at = strstr (end, "endraw") + strlen ("endraw");
    jinja_tag_ended (j, "%}", true);
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
    else if (strcmp (word, "macro") == 0)
        jinja_run_macro (j, live);
    else if (strcmp (word, "set") == 0)
        jinja_run_set (j, live);
    else if (strcmp (word, "filter") == 0)
        jinja_run_filter (j, live);
    else if (strcmp (word, "raw") == 0)
        jinja_run_raw (j, live);
    else if (strcmp (word, "with") == 0)
        jinja_run_with (j, live);
    else if (strcmp (word, "call") == 0)
        jinja_run_call (j, live);
    else if (strcmp (word, "break") == 0 || strcmp (word, "continue") == 0) {
        if (live)
            j->jump = *word == 'b' ? JUMP_BREAK : JUMP_CONTINUE;
        if (live && j->loops == 0)
            jinja_fail (j, "%s outside of a loop", word);
        jinja_tag_ended (j, "%}", true);
    } else if (strcmp (word, "generation") == 0 || strcmp (word, "endgeneration") == 0)
        jinja_tag_ended (j, "%}", true); /* marks what is trained, for transformers */
    else if (!live)
        jinja_skip_tag (j, "%}", true);
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
jinja_end_t jinja_run (jinja_t *j, bool run)
{
    jinja_end_t which = AT_END;
    j->depth++;
    while (!j->failed) {
        const char *start = j->at;
        bool live = run && j->jump == JUMP_NONE;
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

/*  Every line end becomes \n, and the one at the end of the file is not of the text: so Jinja
 *  reads a template. */
static char *jinja_lines (const char *template)
{
    buf_t text = {.max = JINJA_WORK_MAX};
    buf_text (&text, "");
    for (const char *at = template; *at; at++) {
        buf_char (&text, *at == '\r' ? '\n' : *at);
        at += at[0] == '\r' && at[1] == '\n';
    }
    if (text.size && text.data[text.size - 1] == '\n')
        text.data[--text.size] = 0;
    return buf_take (&text);
}

/*  The pool holds every value that is made, and frees them all at the end: nothing in between
 *  counts references. */
int jinja_render (const char *template, const json_t *variables, const struct tm *date, buf_t *out,
                  err_t *err)
{
    char *lines = jinja_lines (template);
    if (!lines)
        return err_set (err, ERR_LIMIT, "no memory for a template");
    jinja_t j = {.template = lines,
                 .at = lines,
                 .pool = json_array (),
                 .tuples = json_array (),
                 .opaque = json_array (),
                 .marked = json_array (),
                 .date = date,
                 .out = out,
                 .err = err,
                 .line_start = true};
    /* A copy: a template may set its variables anew. */
    json_t *globals = jinja_keep (&j, json_deep_copy (variables));
    j.scope[j.scopes++] = globals;
    if (globals && jinja_run (&j, true) != AT_END)
        jinja_fail (&j, "an end without a beginning");
    json_decref (j.tuples);
    json_decref (j.opaque);
    json_decref (j.marked);
    json_decref (j.pool);
    free (lines);
    assert (j.failed || (j.dead == 0 && j.depth == 0 && j.scopes == 1));
    if (!j.failed && buf_failed (out))
        return err_set (err, ERR_LIMIT, "it writes more than %zu bytes", out->max);
    return j.failed ? -1 : 0;
}

/*  corpus - what an untrained coding team would write. See task/corpus.h
 *
 *  Neither agent sees the other, so what aux takes and gives is a convention that the team has to
 *  find; the corpus mixes five of them:
 *
 *      map         aux (x)  = the mapped element
 *      predicate   aux (x)  = whether the filter takes it
 *      elements    aux (xs) = the list, filtered and mapped
 *      filtered    aux (xs) = the list, filtered
 *      reducer     aux (xs) = the reduction of a list
 *
 *  The order of the draws is part of the format: the shipped seed model is rebuilt from these texts
 *  byte by byte.
 */
#include <string.h>

#include "task/coding/coding.h"

typedef enum {
    BY_MAP,
    BY_PREDICATE,
    BY_ELEMENTS,
    BY_FILTERED,
    BY_REDUCER,
    CONVENTIONS
} coding_by_t;

/*  How many of twenty texts follow each. Helpers alone are most often of one element, callers alone
 *  most often hand over the list: each role at its likeliest fails with the other. Of what both do
 *  often, elements leads and is the shortest, so a team finds it whatever its seed; with equal
 *  shares the first lucky steps decide, and no team leaves a worse one that it agreed on. */
static const uint64_t coding_helper_shares[CONVENTIONS] = {7, 3, 5, 3, 2};
static const uint64_t coding_caller_shares[CONVENTIONS] = {3, 3, 7, 4, 3};

typedef struct {
    const char *filter, *map, *reduce; /* code */
    rng_t *rng;
} coding_coder_t;

static bool coding_chance (rng_t *rng, double p)
{
    return rng_unit (rng) < p;
}

/*  [map for x in source if condition], as short as it can be said. */
static void coding_comprehension (const char *map, const char *condition, const char *source,
                                  bool bare, buf_t *out)
{
    bool same = strcmp (map, "x") == 0;
    if (same && !*condition)
        buf_text (out, source);
    else
        buf_printf (out, "%s%s for x in %s%s%s%s", bare ? "" : "[", map, source,
                    *condition ? " if " : "", condition, bare ? "" : "]");
}

/*  The reduction of a list expression, which is never a bare generator. */
static void coding_reduction (const char *reduce, const char *map, const char *condition,
                              const char *source, buf_t *out)
{
    buf_t list = {0};
    coding_comprehension (map, condition, source, false, &list);
    buf_printf (out, reduce, list.data);
    buf_free (&list);
}

/*  Three in ten functions have a docstring, three in ten a comment. */
static void coding_note (rng_t *rng, const char *what, buf_t *out)
{
    if (coding_chance (rng, 0.3))
        buf_printf (out, "    \"\"\"Return %s of the given input.\"\"\"\n", what);
    if (coding_chance (rng, 0.3))
        buf_printf (out, "    # now compute %s step by step\n", what);
}

/*  The same function as a loop: half of the texts, so that the model does not take one shape for
 *  the only one. */
static void coding_loop (const coding_coder_t *c, const char *name, const char *map,
                         const char *condition, const char *source, buf_t *out)
{
    buf_printf (out, "def %s(xs):\n", name);
    coding_note (c->rng, "the result for the list", out);
    buf_printf (out, "    out = []\n    for x in %s:\n", source);
    if (*condition)
        buf_printf (out, "        if %s:\n            out.append(%s)\n", condition, map);
    else
        buf_printf (out, "        out.append(%s)\n", map);
    buf_text (out, "    return ");
    if (c->reduce)
        buf_printf (out, c->reduce, "out");
    else
        buf_text (out, "out");
}

/*  What the helper is under a convention. */
static void coding_write_aux (const coding_coder_t *c, coding_by_t by, buf_t *out)
{
    rng_t *rng = c->rng;
    const char *condition = *c->filter ? c->filter : "True";
    coding_coder_t plain = {.filter = c->filter, .map = c->map, .reduce = NULL, .rng = rng};
    if ((by == BY_ELEMENTS || by == BY_FILTERED) && coding_chance (rng, 0.5)) {
        coding_loop (&plain, "aux", by == BY_FILTERED ? "x" : c->map, c->filter, "xs", out);
        return;
    }
    bool element = by == BY_MAP || by == BY_PREDICATE;
    buf_printf (out, "def aux(%s):\n", element ? "x" : "xs");
    coding_note (rng,
                 by == BY_MAP         ? "the mapped value"
                 : by == BY_PREDICATE ? "whether to keep the value"
                 : by == BY_REDUCER   ? "the reduced list"
                                      : "the list of values",
                 out);
    buf_text (out, "    return ");
    if (element)
        buf_text (out, by == BY_MAP ? c->map : condition);
    else if (by == BY_REDUCER)
        buf_printf (out, c->reduce, "xs");
    else
        coding_comprehension (by == BY_FILTERED ? "x" : c->map, c->filter, "xs", false, out);
}

/*  The same expression with x replaced by aux(x), for BY_MAP. */
static void coding_write_main (const coding_coder_t *c, coding_by_t by, buf_t *out)
{
    rng_t *rng = c->rng;
    const char *map = by == BY_MAP ? "aux(x)" : by == BY_ELEMENTS ? "x" : c->map;
    const char *condition = by == BY_PREDICATE                       ? "aux(x)"
                            : by == BY_ELEMENTS || by == BY_FILTERED ? ""
                                                                     : c->filter;
    const char *source = by == BY_ELEMENTS || by == BY_FILTERED ? "aux(xs)" : "xs";
    const char *reduce = by == BY_REDUCER ? "aux(%s)" : c->reduce;
    coding_coder_t mine = {.filter = c->filter, .map = c->map, .reduce = reduce, .rng = rng};
    if (by != BY_ELEMENTS && coding_chance (rng, 0.5)) {
        coding_loop (&mine, "main", map, condition, source, out);
        return;
    }
    buf_text (out, "def main(xs):\n");
    coding_note (rng, "the result for the list", out);
    buf_text (out, "    return ");
    coding_reduction (reduce, map, condition, source, out);
}

/*  Three in a hundred lose their last bracket. */
static void coding_break_bracket (rng_t *rng, buf_t *text)
{
    if (!coding_chance (rng, 0.03))
        return;
    for (size_t i = text->size; i-- > 0;)
        if (text->data[i] == ')' || text->data[i] == ']') {
            memmove (text->data + i, text->data + i + 1, text->size - i);
            text->size--;
            return;
        }
}

/*  Three in ten texts have other variables: ns for xs, n for x. Names of functions stay. */
static void coding_rename_variables (rng_t *rng, buf_t *text)
{
    if (!coding_chance (rng, 0.3))
        return;
    buf_t out = {0};
    for (size_t i = 0; i < text->size; i++) {
        char before = i ? text->data[i - 1] : ' ', c = text->data[i];
        const char *after = text->data + i + 1;
        bool starts = !((before >= 'a' && before <= 'z') || before == '_');
        bool word = (*after >= 'a' && *after <= 'z');
        if (c == 'x' && starts && !word)
            buf_char (&out, 'n');
        else if (c == 'x' && starts && *after == 's' && !(after[1] >= 'a' && after[1] <= 'z')) {
            buf_text (&out, "ns");
            i++;
        } else
            buf_char (&out, c);
    }
    buf_clear (text);
    buf_append (text, out.data, out.size);
    buf_free (&out);
}

/*  One of its parts is taken for another. */
void coding_mistake (json_t *task, rng_t *rng)
{
    static const size_t choices[] = {CODING_FILTERS, CODING_MAPS, CODING_REDUCES};
    size_t parts[3], which = rng_below (rng, 3);
    coding_get_parts (task, parts);
    parts[which] = rng_below (rng, choices[which]);
    coding_set_parts (task, parts);
}

/*  Only the words change: the parts, and with them the right answer, stay. */
void coding_reword (json_t *task, rng_t *rng)
{
    size_t parts[3];
    coding_get_parts (task, parts);
    buf_t brief = {0};
    coding_say (parts[0], parts[1], parts[2], rng, &brief);
    json_object_set_new (task, "brief", json_string (brief.data));
    buf_free (&brief);
}

static coding_by_t coding_convention (const char *role, rng_t *rng)
{
    const uint64_t *shares = coding_is_helper (role) ? coding_helper_shares : coding_caller_shares;
    uint64_t drawn = rng_below (rng, 20);
    size_t by = 0;
    while (drawn >= shares[by])
        drawn -= shares[by++];
    return (coding_by_t) by;
}

/*  The convention is drawn anew for each text and said nowhere in it: that is what makes an
 *  untrained team agree only by chance. Lost brackets and other names keep the model unsure enough
 *  to explore. */
void coding_imagine (const json_t *task, const char *role, rng_t *rng, buf_t *completion)
{
    size_t parts[3];
    coding_get_parts (task, parts);
    coding_coder_t coder = {.filter = coding_filters[parts[0]].code,
                            .map = coding_maps[parts[1]].code,
                            .reduce = coding_reduces[parts[2]].code,
                            .rng = rng};
    coding_by_t by = coding_convention (role, rng);
    buf_t text = {0};
    if (!coding_is_helper (role) && strcmp (role, "main") != 0) {
        coding_write_aux (&coder, by, &text);
        buf_text (&text, "\n");
        coding_write_main (&coder, by, &text);
    } else if (coding_is_helper (role)) {
        coding_write_aux (&coder, by, &text);
    } else {
        coding_write_main (&coder, by, &text);
    }
    coding_break_bracket (rng, &text);
    coding_rename_variables (rng, &text);
    buf_append (completion, text.data, text.size);
    buf_free (&text);
}

const char *const coding_corpus_roles[] = {"aux", "main", "solo", NULL};

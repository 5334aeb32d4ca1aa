/*  corpus - what an untrained coding team would write. See task/corpus.h
 *
 *  Of first drafts neither agent sees the other, so what aux takes and gives is a convention that
 *  the team has to find; the corpus mixes five of them:
 *
 *      map         aux (x)  = the mapped element
 *      predicate   aux (x)  = whether the filter takes it
 *      elements    aux (xs) = the list, filtered and mapped
 *      filtered    aux (xs) = the list, filtered
 *      reducer     aux (xs) = the reduction of a list
 *
 *  A seat that is shown a plan, a review or its mate's text follows it (task/turns.h).
 *
 *  The order of the draws is part of the format: the shipped seed model is rebuilt from these texts
 *  byte by byte.
 */
#include <stdlib.h>
#include <string.h>

#include "task/coding/coding.h"
#include "task/composition.h"
#include "task/python.h"
#include "task/turns.h"

typedef enum {
    BY_MAP,
    BY_PREDICATE,
    BY_ELEMENTS,
    BY_FILTERED,
    BY_REDUCER,
    CONVENTIONS
} coding_by_t;

static const char *const coding_calls[CONVENTIONS] = {"aux(x) maps x", "aux(x) tests x",
                                                      "aux(xs) filters and maps", "aux(xs) filters",
                                                      "aux(xs) reduces"};

/*  How many of twenty first drafts follow each. Helpers alone are most often of one element,
 *  callers alone most often hand over the list: each role at its likeliest fails with the other.
 *  Of what both do often, elements leads and is the shortest, so a team finds it whatever its seed;
 *  with equal shares the first lucky steps decide, and no team leaves a worse one that it agreed
 *  on. */
static const uint64_t coding_helper_shares[CONVENTIONS] = {7, 3, 5, 3, 2};
static const uint64_t coding_caller_shares[CONVENTIONS] = {3, 3, 7, 4, 3};
static const uint64_t coding_plan_shares[CONVENTIONS] = {4, 3, 6, 4, 3};

/*  What the helper is under a convention. */
static void coding_write_aux (const python_t *c, coding_by_t by, buf_t *out)
{
    rng_t *rng = c->rng;
    const char *condition = *c->filter ? c->filter : "True";
    python_t plain = {.filter = c->filter, .map = c->map, .reduce = NULL, .rng = rng};
    if ((by == BY_ELEMENTS || by == BY_FILTERED) && python_chance (rng, 0.5)) {
        python_loop (&plain, "aux(xs)", by == BY_FILTERED ? "x" : c->map, c->filter, "xs", out);
        return;
    }
    bool element = by == BY_MAP || by == BY_PREDICATE;
    buf_printf (out, "def aux(%s):\n", element ? "x" : "xs");
    python_note (rng,
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
        python_comprehension (by == BY_FILTERED ? "x" : c->map, c->filter, "xs", out);
}

/*  The same expression with x replaced by aux(x), for BY_MAP. */
static void coding_write_main (const python_t *c, coding_by_t by, buf_t *out)
{
    rng_t *rng = c->rng;
    const char *map = by == BY_MAP ? "aux(x)" : by == BY_ELEMENTS ? "x" : c->map;
    const char *condition = by == BY_PREDICATE                       ? "aux(x)"
                            : by == BY_ELEMENTS || by == BY_FILTERED ? ""
                                                                     : c->filter;
    const char *source = by == BY_ELEMENTS || by == BY_FILTERED ? "aux(xs)" : "xs";
    const char *reduce = by == BY_REDUCER ? "aux(%s)" : c->reduce;
    python_t mine = {.filter = c->filter, .map = c->map, .reduce = reduce, .rng = rng};
    if (by != BY_ELEMENTS && python_chance (rng, 0.5)) {
        python_loop (&mine, "main(xs)", map, condition, source, out);
        return;
    }
    buf_text (out, "def main(xs):\n");
    python_note (rng, "the result for the list", out);
    buf_text (out, "    return ");
    python_reduction (reduce, map, condition, source, out);
}

/*  Three in ten texts have other variables: ns for xs, n for x. Names of functions stay. */
static void coding_rename_variables (rng_t *rng, buf_t *text)
{
    if (!python_chance (rng, 0.3))
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

void coding_mistake (json_t *task, rng_t *rng)
{
    size_t parts[3];
    coding_get_parts (task, parts);
    composition_mistake (parts, rng);
    coding_set_parts (task, parts);
}

/*  Only the words change: the parts, and with them the right answer, stay. */
void coding_reword (json_t *task, rng_t *rng)
{
    size_t parts[3];
    coding_get_parts (task, parts);
    buf_t brief = {0};
    composition_say (parts, rng, &brief);
    json_object_set_new (task, "brief", json_string (brief.data));
    buf_free (&brief);
}

static size_t coding_draw (const char *role, rng_t *rng)
{
    const uint64_t *shares = strcmp (role, "planner") == 0 ? coding_plan_shares
                             : coding_is_helper (role)     ? coding_helper_shares
                                                           : coding_caller_shares;
    uint64_t drawn = rng_below (rng, 20);
    size_t by = 0;
    while (drawn >= shares[by])
        drawn -= shares[by++];
    return by;
}

/*  What aux, main or solo writes. Lost brackets and other names keep the model unsure enough to
 *  explore. */
static void coding_write (const json_t *task, const char *role, size_t by, rng_t *rng, buf_t *out)
{
    size_t parts[3];
    coding_get_parts (task, parts);
    python_t coder = {.filter = composition_filters[parts[0]].code,
                      .map = composition_maps[parts[1]].code,
                      .reduce = composition_reduces[parts[2]].code,
                      .rng = rng};
    buf_t text = {0};
    bool both = strcmp (role, "solo") == 0;
    if (both || coding_is_helper (role))
        coding_write_aux (&coder, (coding_by_t) by, &text);
    if (both)
        buf_text (&text, "\n");
    if (!coding_is_helper (role))
        coding_write_main (&coder, (coding_by_t) by, &text);
    python_break_bracket (rng, &text);
    coding_rename_variables (rng, &text);
    buf_append (out, text.data, text.size);
    buf_free (&text);
}

/*  Where nothing is mapped, a list that is filtered is also one that is filtered and mapped. */
static bool coding_fit (const json_t *task, size_t aux, size_t main)
{
    size_t parts[3];
    coding_get_parts (task, parts);
    bool plain = strcmp (composition_maps[parts[1]].code, "x") == 0;
    bool lists =
        (aux == BY_ELEMENTS || aux == BY_FILTERED) && (main == BY_ELEMENTS || main == BY_FILTERED);
    return aux == main || (plain && lists);
}

/*  In the words of score.c; which of the examples failed, and how, is left to chance. */
static void coding_fail (const json_t *task, rng_t *rng, buf_t *out)
{
    static const char *const gave[] = {
        "TypeError: 'int' object is not iterable",
        "TypeError: can only concatenate list (not \"int\") to list",
        "TypeError: unsupported operand type(s) for %: 'list' and 'int'",
        "TypeError: '>' not supported between instances of 'list' and 'int'",
        "0",
        "[]"};
    size_t passed = rng_below (rng, 2);
    const json_t *test = json_array_get (json_object_get (task, "tests"), passed);
    char *xs = json_dumps (json_array_get (json_object_get (test, "args"), 0), JSON_COMPACT);
    char *wanted = json_dumps (json_object_get (test, "result"), JSON_COMPACT | JSON_ENCODE_ANY);
    buf_printf (out, "%zu of 2 examples; main(%s) gave %s, not %s", passed, xs ? xs : "",
                gave[rng_below (rng, sizeof gave / sizeof *gave)], wanted ? wanted : "");
    free (xs);
    free (wanted);
}

static const char *const coding_authors[] = {"aux", "main", NULL};
static const turns_t coding_turns = {.authors = coding_authors,
                                     .conventions = CONVENTIONS,
                                     .names = coding_calls,
                                     .draw = coding_draw,
                                     .write = coding_write,
                                     .fit = coding_fit,
                                     .fail = coding_fail};

void coding_situate (json_t *task, const char *role, rng_t *rng, buf_t *prompt)
{
    turns_situate (&coding_turns, task, role, rng, prompt);
}

void coding_imagine (const json_t *task, const char *role, rng_t *rng, buf_t *completion)
{
    const char *said = turns_said (task);
    if (*said)
        buf_text (completion, said);
    else
        coding_write (task, role, turns_convention (task), rng, completion);
}

/*  How often a role stands here is its share of the texts: of what is harder there is more. */
const char *const coding_corpus_roles[] = {"aux",  "aux",     "aux",      "aux",      "main",
                                           "main", "main",    "main",     "solo",     "solo",
                                           "solo", "planner", "reviewer", "reviewer", NULL};

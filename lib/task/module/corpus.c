/*  corpus - what an untrained team would write of a module. See task/corpus.h
 *
 *  Nobody says whether a function takes the list or its numbers one by one; the corpus has both. A
 *  seat whose mates' texts, or whose plan, stand before it follows them, as models do.
 *
 *  The order of the draws is part of the format: the shipped seed model is rebuilt from these texts
 *  byte by byte.
 */
#include <string.h>

#include "task/module/module.h"
#include "task/python.h"

/*  How many of twenty first drafts take the list, by function. Each seat at its likeliest fails
 *  with the others. */
static const uint64_t module_list_shares[MODULE_FUNCTIONS] = {15, 5, 10};
#define MODULE_SOLO_SHARE 12

static const char *const module_heads[MODULE_WAYS] = {"%s(xs)", "%s(*xs)"};
static const char *const module_plans[MODULE_WAYS] = {"take (xs)", "take (*xs)"};

const char *const module_corpus_roles[] = {"f", "g", "h", "solo", "planner", NULL};

static module_way_t module_draw_way (rng_t *rng, uint64_t share)
{
    return rng_below (rng, 20) < share ? MODULE_LIST : MODULE_EACH;
}

/*  Half of the functions are loops, half an expression. */
static void module_write (const json_t *task, size_t k, module_way_t way, rng_t *rng, buf_t *out)
{
    size_t parts[3];
    buf_t head = {0};
    module_get_parts (task, k, parts);
    python_t code = {.filter = composition_filters[parts[0]].code,
                     .map = composition_maps[parts[1]].code,
                     .reduce = composition_reduces[parts[2]].code,
                     .rng = rng};
    buf_printf (&head, module_heads[way], module_names[k]);
    if (python_chance (rng, 0.5)) {
        python_loop (&code, head.data, code.map, code.filter, "xs", out);
    } else {
        buf_printf (out, "def %s:\n", head.data);
        python_note (rng, "the result for the list", out);
        buf_text (out, "    return ");
        python_reduction (code.reduce, code.map, code.filter, "xs", out);
    }
    buf_free (&head);
}

void module_reword (json_t *task, rng_t *rng)
{
    module_say (task, rng);
}

/*  Of one of the functions. */
void module_mistake (json_t *task, rng_t *rng)
{
    size_t parts[3], k = rng_below (rng, MODULE_FUNCTIONS);
    module_get_parts (task, k, parts);
    composition_mistake (parts, rng);
    module_set_parts (task, k, parts);
}

/*  Shows the drafts of the functions from the first one up to `until`, and returns the way in which
 *  most of them take their numbers; of equally many, the first one's. */
static module_way_t module_show (const json_t *task, size_t until, rng_t *rng, buf_t *prompt)
{
    size_t n[MODULE_WAYS] = {0};
    module_way_t first = MODULE_LIST;
    for (size_t k = 0; k < until; k++) {
        module_way_t way = module_draw_way (rng, 10);
        first = k ? first : way;
        n[way]++;
        buf_printf (prompt, "# %s:\n", module_names[k]);
        module_write (task, k, way, rng, prompt);
        buf_text (prompt, "\n\n");
    }
    return n[MODULE_LIST] == n[MODULE_EACH]  ? first
           : n[MODULE_LIST] > n[MODULE_EACH] ? MODULE_LIST
                                             : MODULE_EACH;
}

/*  Of twenty texts of a coder ten are first drafts, three follow a plan, three the functions before
 *  theirs, and four are written once all have drafted. In the words of task/prompt.h, of a seat
 *  that sees "plan f g h". */
void module_situate (json_t *task, const char *role, rng_t *rng, buf_t *prompt)
{
    size_t k = module_number (role);
    uint64_t drawn = rng_below (rng, 20);
    module_way_t way;
    if (k == MODULE_FUNCTIONS) {
        way = module_draw_way (rng, MODULE_SOLO_SHARE);
    } else if (drawn >= 10 && drawn < 13) {
        way = module_draw_way (rng, 10);
        buf_printf (prompt, "# plan:\n%s\n\n", module_plans[way]);
    } else if (drawn >= 13 && drawn < 16 && k > 0) {
        way = module_show (task, k, rng, prompt);
    } else if (drawn >= 16) {
        way = module_show (task, MODULE_FUNCTIONS, rng, prompt);
    } else {
        way = module_draw_way (rng, module_list_shares[k]);
    }
    json_object_set_new (task, "way", json_integer ((json_int_t) way));
}

void module_imagine (const json_t *task, const char *role, rng_t *rng, buf_t *completion)
{
    module_way_t way =
        json_integer_value (json_object_get (task, "way")) ? MODULE_EACH : MODULE_LIST;
    size_t own = module_number (role);
    buf_t text = {0};
    if (strcmp (role, "planner") == 0)
        buf_text (&text, module_plans[way]);
    else
        for (size_t k = 0; k < MODULE_FUNCTIONS; k++)
            if (own == k || own == MODULE_FUNCTIONS) {
                buf_text (&text, text.size ? "\n" : "");
                module_write (task, k, way, rng, &text);
            }
    python_break_bracket (rng, &text);
    buf_append (completion, text.data, text.size);
    buf_free (&text);
}

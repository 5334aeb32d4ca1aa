/*  generate - the module family's built-in set: of every composition of filter, map and reduction a
 *  module, with two more of the same side of the split.
 */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "task/module/module.h"

#define MODULE_ROUNDS 3 /* modules that have the same f */
#define MODULE_LISTS  8 /* that main is tested with, and so all three */
#define MODULE_ALONE  3 /* of them that each function is tested with by itself */
#define MODULE_PUBLIC 2 /* of them may be seen */
/*  Without a common divisor with COMPOSITIONS: neighbours in the set have little in common, so that
 *  a part of it is like the whole. */
#define MODULE_STRIDE 331

const char *const module_names[MODULE_FUNCTIONS + 1] = {"f", "g", "h", NULL};

static const char module_given[] = "def main(*xs):\n    return [f(*xs), g(*xs), h(*xs)]";

size_t module_number (const char *name)
{
    size_t k = 0;
    while (k < MODULE_FUNCTIONS && strcmp (module_names[k], name) != 0)
        k++;
    return k;
}

const json_t *module_function (const json_t *task, size_t k)
{
    return json_array_get (json_object_get (task, "functions"), k);
}

void module_get_parts (const json_t *task, size_t k, size_t parts[3])
{
    const json_t *numbers = json_object_get (module_function (task, k), "parts");
    for (size_t i = 0; i < 3; i++)
        parts[i] = (size_t) json_integer_value (json_array_get (numbers, i));
}

/*  A module is named by what its functions compute. */
static void module_name (json_t *task)
{
    buf_t ids = {0};
    char hex[HASH_HEX_SIZE];
    for (size_t k = 0; k < MODULE_FUNCTIONS; k++)
        buf_printf (&ids, "%s ", family_text (module_function (task, k), "id"));
    hash_t hash = hash_of (ids.data, ids.size);
    json_object_set_new (task, "id", json_sprintf ("module/%.8s", hash_hex (&hash, hex)));
    buf_free (&ids);
}

void module_set_parts (json_t *task, size_t k, const size_t parts[3])
{
    json_t *function = json_array_get (json_object_get (task, "functions"), k);
    json_object_set_new (function, "id", json_string (composition_name (parts)));
    json_object_set_new (
        function, "parts",
        json_pack ("[I,I,I]", (json_int_t) parts[0], (json_int_t) parts[1], (json_int_t) parts[2]));
    module_name (task);
}

void module_complete (json_t *task)
{
    buf_t all = {0};
    for (size_t k = 0; k < MODULE_FUNCTIONS; k++)
        buf_printf (&all, "%s%s: %s", k ? "\n" : "", module_names[k],
                    family_text (module_function (task, k), "brief"));
    json_object_set_new (task, "brief", json_string (all.data));
    json_object_set_new (task, "given", json_string (module_given));
    buf_free (&all);
}

void module_say (json_t *task, rng_t *rng)
{
    for (size_t k = 0; k < MODULE_FUNCTIONS; k++) {
        size_t parts[3];
        buf_t brief = {0};
        module_get_parts (task, k, parts);
        composition_say (parts, rng, &brief);
        json_object_set_new (json_array_get (json_object_get (task, "functions"), k), "brief",
                             json_string (brief.data));
        buf_free (&brief);
    }
    module_complete (task);
}

void module_add_tests (json_t *tests, json_t *xs, json_t *results, bool alone)
{
    for (size_t k = 0; alone && k < MODULE_FUNCTIONS; k++)
        json_array_append_new (tests,
                               json_pack ("{s:s, s:[O], s:O}", "call", module_names[k], "args", xs,
                                          "result", json_array_get (results, k)));
    json_array_append_new (
        tests, json_pack ("{s:s, s:[O], s:O}", "call", "main", "args", xs, "result", results));
}

/*  The first lists are for each function by itself, too: every call costs time, and main calls all
 *  three. */
static json_t *module_make_tests (const json_t *task, rng_t *rng)
{
    json_t *tests = json_array ();
    for (size_t t = 1; t <= MODULE_LISTS; t++) {
        /* The empty list comes last: it is no good example. */
        composition_list_t list = composition_draw (rng, t % MODULE_LISTS);
        json_t *xs = composition_numbers (&list), *results = json_array ();
        for (size_t k = 0; k < MODULE_FUNCTIONS; k++) {
            size_t parts[3];
            module_get_parts (task, k, parts);
            json_array_append_new (results, composition_result (parts, &list));
        }
        module_add_tests (tests, xs, results, t <= MODULE_ALONE);
        json_decref (xs);
        json_decref (results);
    }
    return tests;
}

/*  Draws function k until it is another one than those before, and on their side of the split: no
 *  module mixes what may be learnt with what is held out. */
static void module_draw (json_t *task, size_t k, const task_options_t *options, rng_t *rng)
{
    bool fits = false;
    bool heldout = task_is_heldout (options, task);
    json_t *functions = json_object_get (task, "functions");
    while (!fits) {
        size_t parts[3];
        composition_at (rng_below (rng, COMPOSITIONS), parts);
        json_array_append_new (functions, json_pack ("{s:s}", "name", module_names[k]));
        module_set_parts (task, k, parts);
        json_t *alone = json_pack ("{s:[O]}", "functions", module_function (task, k));
        fits = task_is_heldout (options, alone) == heldout;
        for (size_t before = 0; before < k; before++)
            fits = fits && strcmp (family_text (module_function (task, before), "id"),
                                   family_text (module_function (task, k), "id")) != 0;
        json_decref (alone);
        if (!fits)
            json_array_remove (functions, k);
    }
}

size_t module_builtin (const char *style)
{
    (void) style;
    return (size_t) MODULE_ROUNDS * COMPOSITIONS;
}

json_t *module_generate (const task_options_t *options, size_t i)
{
    rng_t rng = {.key = rng_key ((uint64_t[]){options->seed, 0x30d1, i}, 3)};
    size_t parts[3];
    composition_at (i * MODULE_STRIDE % COMPOSITIONS, parts);
    json_t *task = json_pack ("{s:s, s:s, s:s, s:s, s:I, s:[{s:s}]}", "id", "", "family", "module",
                              "brief", "", "given", module_given, "public",
                              (json_int_t) MODULE_PUBLIC * (MODULE_FUNCTIONS + 1), "functions",
                              "name", module_names[0]);
    module_set_parts (task, 0, parts);
    for (size_t k = 1; k < MODULE_FUNCTIONS; k++)
        module_draw (task, k, options, &rng);
    module_say (task, &rng);
    json_object_set_new (task, "tests", module_make_tests (task, &rng));
    return task;
}

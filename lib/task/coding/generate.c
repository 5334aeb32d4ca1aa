/*  generate - the coding family's built-in set: every function that a composition of filter, map
 *  and reduction computes.
 *
 *  "Return the sum of the squares of the even numbers in xs."
 */
#include <stdio.h>

#include "task/coding/coding.h"
#include "task/composition.h"

#define CODING_TESTS 8

size_t coding_builtin (const char *style)
{
    (void) style;
    return COMPOSITIONS;
}

static json_t *coding_make_test (const size_t parts[3], rng_t *rng, size_t number)
{
    composition_list_t xs = composition_draw (rng, number);
    return json_pack ("{s:[o], s:o}", "args", composition_numbers (&xs), "result",
                      composition_result (parts, &xs));
}

void coding_get_parts (const json_t *task, size_t parts[3])
{
    for (size_t i = 0; i < 3; i++)
        parts[i] =
            (size_t) json_integer_value (json_array_get (json_object_get (task, "parts"), i));
}

/*  The numbers of the parts stay in the task, as "parts": the corpus words it anew from them, and
 *  the scorer sees by them that the task is one of ours. */
void coding_set_parts (json_t *task, const size_t parts[3])
{
    json_object_set_new (
        task, "parts",
        json_pack ("[I,I,I]", (json_int_t) parts[0], (json_int_t) parts[1], (json_int_t) parts[2]));
    json_object_set_new (task, "id", json_sprintf ("coding/%s", composition_name (parts)));
}

json_t *coding_generate (const task_options_t *options, size_t i)
{
    size_t parts[3];
    composition_at (i, parts);
    rng_t rng = {.key = rng_key ((uint64_t[]){options->seed, 0xc0d1, i}, 3)};
    buf_t brief = {0};
    composition_say (parts, &rng, &brief);
    json_t *tests = json_array ();
    for (size_t t = 0; t < CODING_TESTS; t++)
        json_array_append_new (tests, coding_make_test (parts, &rng, t));
    json_t *task = json_pack ("{s:s, s:s, s:s, s:s, s:o}", "id", "", "family", "coding", "brief",
                              brief.data, "entry_point", "main", "tests", tests);
    coding_set_parts (task, parts);
    buf_free (&brief);
    return task;
}

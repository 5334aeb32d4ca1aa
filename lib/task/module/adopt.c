/*  adopt - modules from users' files. See family.h
 *
 *    {"id": "stats", "f": "Return the sum of xs.", "g": "Return the number of xs.", "h": "...",
 *     "tests": [{"xs": [1, 2], "f": 3, "g": 2, "h": 2}, ...], "public": how many may be seen}
 *
 *  Of each list the tests of the three functions and that of main are made, as the built-in set has
 *  them.
 */
#include <string.h>

#include "task/module/module.h"

static int module_check_test (const json_t *test, size_t i, err_t *err)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *) (uintptr_t) test, key, value)
        if (module_number (key) == MODULE_FUNCTIONS && strcmp (key, "xs") != 0)
            return err_set (
                err, ERR_INPUT,
                "tests[%zu].%.80s: no such key; a test has xs, and what f, g and h give "
                "for it",
                i, key);
    if (!json_is_array (json_object_get (test, "xs")) ||
        json_object_size (test) != MODULE_FUNCTIONS + 1)
        return err_set (
            err, ERR_INPUT,
            "tests[%zu] needs \"xs\": [...], and what \"f\", \"g\" and \"h\" give for it", i);
    return 0;
}

static int module_check (const json_t *task, err_t *err)
{
    const json_t *tests = json_object_get (task, "tests"), *test,
                 *seen = json_object_get (task, "public");
    size_t i;
    for (size_t k = 0; k < MODULE_FUNCTIONS; k++)
        if (!*family_text (task, module_names[k]))
            return err_set (err, ERR_INPUT, "needs \"%s\": what that function shall do",
                            module_names[k]);
    if (!json_is_array (tests) || json_array_size (tests) == 0)
        return err_set (
            err, ERR_INPUT,
            "needs \"tests\": [{\"xs\": [...], \"f\": ..., \"g\": ..., \"h\": ...}, ...]");
    json_array_foreach (tests, i, test)
        if (module_check_test (test, i, err) != 0)
            return -1;
    if (seen && (!json_is_integer (seen) || json_integer_value (seen) < 0 ||
                 (size_t) json_integer_value (seen) > json_array_size (tests)))
        return err_set (err, ERR_INPUT,
                        "\"public\" is how many of the %zu tests, the first ones, may be seen",
                        json_array_size (tests));
    return *family_text (task, "id") ? 0 : err_set (err, ERR_INPUT, "needs \"id\": a text");
}

int module_adopt (json_t *task, err_t *err)
{
    if (module_check (task, err) != 0)
        return -1;
    json_t *functions = json_array (), *tests = json_array (), *test;
    size_t i;
    for (size_t k = 0; k < MODULE_FUNCTIONS; k++)
        json_array_append_new (functions, json_pack ("{s:s, s:s}", "name", module_names[k], "brief",
                                                     family_text (task, module_names[k])));
    json_array_foreach (json_object_get (task, "tests"), i, test) {
        json_t *results = json_array ();
        for (size_t k = 0; k < MODULE_FUNCTIONS; k++)
            json_array_append (results, json_object_get (test, module_names[k]));
        module_add_tests (tests, json_object_get (test, "xs"), results, true);
        json_decref (results);
    }
    json_int_t seen = json_integer_value (json_object_get (task, "public"));
    json_object_set_new (task, "public", json_integer (seen * (MODULE_FUNCTIONS + 1)));
    json_object_set_new (task, "functions", functions);
    json_object_set_new (task, "tests", tests);
    module_complete (task);
    return 0;
}

/*  adopt - coding tasks from users' files. See family.h */
#include <stdlib.h>
#include <string.h>

#include "task/coding/coding.h"

/*  A name as Python allows it, of ASCII. */
static bool coding_is_identifier (const char *name)
{
    static const char bytes[] = "0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return *name && !strchr ("0123456789", *name) && strspn (name, bytes) == strlen (name);
}

/*  A test says what is wanted in one way: a result, or the name of an exception. Both, or neither,
 *  would leave open what passes. */
static int coding_adopt_tests (const json_t *task, err_t *err)
{
    const json_t *tests = json_object_get (task, "tests"), *test;
    size_t i;
    if (!json_is_array (tests) || json_array_size (tests) == 0)
        return err_set (
            err, ERR_INPUT,
            "needs \"tests\": [{\"args\": [...], \"result\": ...}, ...], or HumanEval's "
            "\"prompt\", \"entry_point\" and \"test\"");
    json_array_foreach (tests, i, test) {
        const json_t *raises = json_object_get (test, "raises");
        char *result =
            json_dumps (json_object_get (test, "result"), JSON_COMPACT | JSON_ENCODE_ANY);
        bool nan = result && strstr (result, "{\"$number\":\"NaN\"}");
        free (result);
        if (nan)
            return err_set (err, ERR_INPUT,
                            "tests[%zu].result has NaN in it, which equals nothing, not even NaN: "
                            "no program can pass",
                            i);
        if (!json_is_array (json_object_get (test, "args")) ||
            !json_object_get (test, "result") == !raises)
            return err_set (err, ERR_INPUT,
                            "tests[%zu] needs \"args\": [...] and \"result\", or \"raises\"", i);
        if (raises &&
            !coding_is_identifier (json_is_string (raises) ? json_string_value (raises) : ""))
            return err_set (err, ERR_INPUT, "tests[%zu].raises is the name of an exception", i);
    }
    return 0;
}

/*  HumanEval: {"task_id", "prompt", "entry_point", "test"}; own: {"id", "brief", "tests",
 *  "entry_point"}.
 *
 *  Everything that would otherwise fail at the first episode, an hour into the run, fails here, at
 *  the start. */
int coding_adopt (json_t *task, err_t *err)
{
    json_t *prompt = json_object_get (task, "prompt");
    if (json_is_string (prompt) && json_is_string (json_object_get (task, "test"))) {
        if (!*family_text (task, "entry_point"))
            return err_set (err, ERR_INPUT, "needs \"entry_point\": the name of the function");
        json_object_set (task, "brief", prompt);
        if (!*family_text (task, "id"))
            json_object_set (task, "id", json_object_get (task, "task_id"));
    } else {
        if (!*family_text (task, "brief"))
            return err_set (err, ERR_INPUT, "needs \"brief\": what the function shall do");
        if (coding_adopt_tests (task, err) != 0)
            return -1;
        if (!*family_text (task, "entry_point"))
            json_object_set_new (task, "entry_point", json_string ("main"));
    }
    if (!coding_is_identifier (family_text (task, "entry_point")))
        return err_set (err, ERR_INPUT, "\"entry_point\" '%.80s' is no name of a function",
                        family_text (task, "entry_point"));
    return *family_text (task, "id") ? 0 : err_set (err, ERR_INPUT, "needs \"id\": a text");
}

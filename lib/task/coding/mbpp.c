/*  mbpp - tasks in MBPP's format, brought into HumanEval's. See coding.h
 *
 *    {"task_id": 2, "text": "Write a function to ...", "code": "def similar (...): ...",
 *     "test_list": ["assert similar((3, 4), (4, 5)) == (4,)", ...], "test_setup_code": ""}
 *
 *  The function that is wanted is the one of the code that the first assert calls. A model is shown
 *  the text and that assert, as those who publish figures do: without it nobody knows the name.
 */
#include <string.h>

#include "task/coding/coding.h"

#define MBPP_LETTERS "0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

bool coding_is_mbpp (const json_t *task)
{
    return json_object_get (task, "test_list") ||
           (*family_text (task, "text") && *family_text (task, "code"));
}

static int mbpp_check (const json_t *task, err_t *err)
{
    const json_t *tests = json_object_get (task, "test_list"), *test;
    const json_t *setup = json_object_get (task, "test_setup_code");
    size_t i;
    if (!*family_text (task, "text") || !*family_text (task, "code"))
        return err_set (err, ERR_INPUT, "needs \"text\" and \"code\", as it has \"test_list\"");
    if (!json_is_array (tests) || json_array_size (tests) == 0)
        return err_set (err, ERR_INPUT, "needs a \"test_list\" of asserts");
    json_array_foreach (tests, i, test)
        if (!json_is_string (test) || strncmp (json_string_value (test), "assert", 6) != 0)
            return err_set (err, ERR_INPUT, "test_list[%zu] is no text that begins with assert", i);
    return setup && !json_is_string (setup)
               ? err_set (err, ERR_INPUT, "\"test_setup_code\" is a text")
               : 0;
}

/*  Whether a line begins to define a function of that name. */
static bool mbpp_begins (const char *line, const char *name, size_t size)
{
    if (strncmp (line, "def ", 4) != 0)
        return false;
    line += 4 + strspn (line + 4, " ");
    return strncmp (line, name, size) == 0 && line[size + strspn (line + size, " ")] == '(';
}

/*  Whether the code does so at its margin. */
static bool mbpp_defines (const char *code, const char *name, size_t size)
{
    bool found = false;
    while (*code && !found) {
        found = mbpp_begins (code, name, size);
        code += strcspn (code, "\n");
        code += *code == '\n';
    }
    return found;
}

/*  The first name in an assert that is called and that the code defines; NULL: there is none. */
static const char *mbpp_called (const char *test, const char *code, size_t *size)
{
    for (const char *at = test; *at; at += *size ? *size : 1) {
        *size = strspn (at, MBPP_LETTERS);
        if (*size && at[*size + strspn (at + *size, " ")] == '(' && mbpp_defines (code, at, *size))
            return at;
    }
    return NULL;
}

/*  The asserts call the function by its own name, which is the candidate's in there. */
static json_t *mbpp_test (const json_t *task, const char *name, size_t size)
{
    const json_t *tests = json_object_get (task, "test_list"), *test;
    size_t i;
    buf_t text = {0};
    buf_printf (&text, "%s\n\ndef check(candidate):\n    %.*s = candidate\n",
                family_text (task, "test_setup_code"), (int) size, name);
    json_array_foreach (tests, i, test) {
        const char *line = json_string_value (test);
        buf_text (&text, "    ");
        for (; *line; line++)
            buf_text (&text, *line == '\n' ? "\n    " : (char[]){*line, 0});
        buf_char (&text, '\n');
    }
    json_t *value = buf_failed (&text) ? NULL : json_string (text.data);
    buf_free (&text);
    return value;
}

int coding_adopt_mbpp (json_t *task, err_t *err)
{
    const char *code = family_text (task, "code");
    size_t size = 0;
    if (mbpp_check (task, err) != 0)
        return -1;
    const char *first = json_string_value (json_array_get (json_object_get (task, "test_list"), 0));
    const char *name = mbpp_called (first, code, &size);
    if (!name)
        return err_set (err, ERR_INPUT,
                        "test_list[0] calls no function that \"code\" defines: '%.80s'", first);
    json_object_set_new (task, "entry_point", json_stringn (name, size));
    json_object_set_new (
        task, "prompt",
        json_sprintf ("\"\"\"\n%s\n%s\n\"\"\"\n", family_text (task, "text"), first));
    json_object_set_new (task, "test", mbpp_test (task, name, size));
    json_object_set (task, "canonical_solution", json_object_get (task, "code"));
    if (json_is_integer (json_object_get (task, "task_id")))
        json_object_set_new (task, "task_id",
                             json_sprintf ("MBPP/%lld", (long long) json_integer_value (
                                                            json_object_get (task, "task_id"))));
    return json_object_get (task, "test") ? 0 : err_set (err, ERR_LIMIT, "no memory for a task");
}

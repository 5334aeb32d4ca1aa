/*  adopt - coding tasks from users' files. See family.h */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "task/coding/coding.h"

#define WORDS(list) (sizeof (list) / sizeof *(list))

static bool coding_is_one_of (const char *name, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp (name, words[i]) == 0)
            return true;
    return false;
}

/*  A name as Python allows it, of ASCII: no word of the language. */
static bool coding_is_identifier (const char *name)
{
    static const char bytes[] = "0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char *const keywords[] = {
        "False", "None",     "True",  "and",    "as",   "assert", "async",  "await",    "break",
        "class", "continue", "def",   "del",    "elif", "else",   "except", "finally",  "for",
        "from",  "global",   "if",    "import", "in",   "is",     "lambda", "nonlocal", "not",
        "or",    "pass",     "raise", "return", "try",  "while",  "with",   "yield"};
    return *name && !strchr ("0123456789", *name) && strspn (name, bytes) == strlen (name) &&
           !coding_is_one_of (name, keywords, WORDS (keywords));
}

/*  Python's own (its library reference, "Built-in Exceptions"), warnings included. */
static const char *const exceptions[] = {"ArithmeticError",
                                         "AssertionError",
                                         "AttributeError",
                                         "BaseException",
                                         "BaseExceptionGroup",
                                         "BlockingIOError",
                                         "BrokenPipeError",
                                         "BufferError",
                                         "BytesWarning",
                                         "ChildProcessError",
                                         "ConnectionAbortedError",
                                         "ConnectionError",
                                         "ConnectionRefusedError",
                                         "ConnectionResetError",
                                         "DeprecationWarning",
                                         "EOFError",
                                         "EncodingWarning",
                                         "EnvironmentError",
                                         "Exception",
                                         "ExceptionGroup",
                                         "FileExistsError",
                                         "FileNotFoundError",
                                         "FloatingPointError",
                                         "FutureWarning",
                                         "GeneratorExit",
                                         "IOError",
                                         "ImportError",
                                         "ImportWarning",
                                         "IndentationError",
                                         "IndexError",
                                         "InterruptedError",
                                         "IsADirectoryError",
                                         "KeyError",
                                         "KeyboardInterrupt",
                                         "LookupError",
                                         "MemoryError",
                                         "ModuleNotFoundError",
                                         "NameError",
                                         "NotADirectoryError",
                                         "NotImplementedError",
                                         "OSError",
                                         "OverflowError",
                                         "PendingDeprecationWarning",
                                         "PermissionError",
                                         "ProcessLookupError",
                                         "RecursionError",
                                         "ReferenceError",
                                         "ResourceWarning",
                                         "RuntimeError",
                                         "RuntimeWarning",
                                         "StopAsyncIteration",
                                         "StopIteration",
                                         "SyntaxError",
                                         "SyntaxWarning",
                                         "SystemError",
                                         "SystemExit",
                                         "TabError",
                                         "TimeoutError",
                                         "TypeError",
                                         "UnboundLocalError",
                                         "UnicodeDecodeError",
                                         "UnicodeEncodeError",
                                         "UnicodeError",
                                         "UnicodeTranslateError",
                                         "UnicodeWarning",
                                         "UserWarning",
                                         "ValueError",
                                         "Warning",
                                         "ZeroDivisionError"};

static bool coding_is_exception (const char *name)
{
    return coding_is_one_of (name, exceptions, WORDS (exceptions));
}

/*  A test says what is wanted in one way: a result, or the name of an exception. Both, or neither,
 *  would leave open what passes, and a key that nobody reads would not do what its owner thinks. */
static int coding_adopt_test (const json_t *task, const json_t *test, size_t i, err_t *err)
{
    static const char *const keys[] = {"args", "result", "raises"};
    const json_t *raises = json_object_get (test, "raises"), *value;
    const char *name = json_is_string (raises) ? json_string_value (raises) : "", *key;
    json_object_foreach ((json_t *) (uintptr_t) test, key, value)
        if (!coding_is_one_of (key, keys, WORDS (keys)))
            return err_set (err, ERR_INPUT,
                            "tests[%zu].%.80s: no such key; a test has args, and result or raises",
                            i, key);
    char *result = json_dumps (json_object_get (test, "result"), JSON_COMPACT | JSON_ENCODE_ANY);
    bool nan = result && strstr (result, "{\"$number\":\"NaN\"}");
    free (result);
    if (nan)
        return err_set (err, ERR_INPUT,
                        "tests[%zu].result has NaN in it, which equals nothing, not even NaN: no "
                        "program can pass",
                        i);
    if (!json_is_array (json_object_get (test, "args")) ||
        !json_object_get (test, "result") == !raises)
        return err_set (err, ERR_INPUT,
                        "tests[%zu] needs \"args\": [...] and \"result\", or \"raises\"", i);
    if (raises && !coding_is_identifier (name))
        return err_set (err, ERR_INPUT, "tests[%zu].raises is the name of an exception", i);
    if (strcmp (name, "MemoryError") == 0)
        return err_set (err, ERR_INPUT,
                        "tests[%zu].raises: MemoryError ends a program, whoever raises it: no "
                        "program can pass",
                        i);
    /* One of the program's own, or of its library, has to be asked for. */
    if (raises && !coding_is_exception (name) && !strstr (family_text (task, "brief"), name))
        return err_set (err, ERR_INPUT,
                        "tests[%zu].raises: %.80s is none of Python's own exceptions, and the "
                        "brief does not name it",
                        i, name);
    return 0;
}

static int coding_adopt_tests (const json_t *task, err_t *err)
{
    const json_t *tests = json_object_get (task, "tests"), *test;
    size_t i;
    if (!json_is_array (tests) || json_array_size (tests) == 0)
        return err_set (
            err, ERR_INPUT,
            "needs \"tests\": [{\"args\": [...], \"result\": ...}, ...], or HumanEval's "
            "\"prompt\", \"entry_point\" and \"test\", or MBPP's \"text\", \"code\" and "
            "\"test_list\"");
    json_array_foreach (tests, i, test)
        if (coding_adopt_test (task, test, i, err) != 0)
            return -1;
    const json_t *seen = json_object_get (task, "public");
    if (seen && (!json_is_integer (seen) || json_integer_value (seen) < 0 ||
                 (size_t) json_integer_value (seen) > json_array_size (tests)))
        return err_set (err, ERR_INPUT,
                        "\"public\" is how many of the %zu tests, the first ones, may be seen",
                        json_array_size (tests));
    return 0;
}

/*  HumanEval: {"task_id", "prompt", "entry_point", "test"}; MBPP: see mbpp.c; own: {"id", "brief",
 *  "tests", "entry_point"}.
 *
 *  Everything that would otherwise fail at the first episode, an hour into the run, fails here, at
 *  the start. */
int coding_adopt (json_t *task, err_t *err)
{
    /* By it the built-in set is known, which is scored by rules of its own. */
    if (json_object_get (task, "parts"))
        return err_set (err, ERR_INPUT,
                        "\"parts\" is a key of the built-in set: name it otherwise");
    if (coding_is_mbpp (task) && coding_adopt_mbpp (task, err) != 0)
        return -1;
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

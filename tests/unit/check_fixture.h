/*  check_fixture - a program, HumanEval's test of it, and what the sandbox says of the two.
 *
 *      assert_check_passes (state, &(check_t){"", "def f(x): return x", "assert f(1) == 1"});
 */
#ifndef QUINTET_TESTS_CHECK_FIXTURE_H
#define QUINTET_TESTS_CHECK_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdbool.h>
#include <string.h>
#include "sandbox_fixture.h"

/*  What stands before f (x), the program's f, and the body of check (f). */
typedef struct {
    const char *setup, *program, *check;
} check_t;

static inline json_t *ask (void **state, json_t *request)
{
    err_t err = {0};
    json_t *answer = sandbox_run (*state, request, &err);
    if (!answer)
        fail_msg ("%s", err.text);
    json_decref (request);
    return answer;
}

static inline json_t *run_check (void **state, const check_t *c)
{
    json_t *text = json_sprintf ("def check(f):\n    %s\n", c->check);
    json_t *program = json_sprintf ("%s\n%s\n", c->setup, c->program);
    if (strcmp (c->setup, "def f(n):\n") == 0)
        json_string_set (program, c->program);
    return ask (state, json_pack ("{s:o, s:s, s:s, s:o, s:s}", "program", program, "entry", "f",
                                  "setup", c->setup, "test", text, "watch", ""));
}

static inline void assert_check_passes (void **state, const check_t *c)
{
    json_t *answer = run_check (state, c);
    if (!json_is_true (json_object_get (answer, "passed")))
        fail_msg ("%s\n%s\n%s", c->program, c->check, json_dumps (answer, JSON_COMPACT));
    json_decref (answer);
}

/*  incomparable: for want of a value to compare. */
static inline void assert_check_fails (void **state, const check_t *c, bool incomparable)
{
    json_t *answer = run_check (state, c);
    const char *why = json_string_value (json_object_get (answer, "why"));
    bool said = strncmp (why, "cannot be compared: ", 20) == 0;
    if (json_is_true (json_object_get (answer, "passed")) || said != incomparable)
        fail_msg ("%s\n%s\n%s", c->program, c->check, json_dumps (answer, JSON_COMPACT));
    json_decref (answer);
}

#endif

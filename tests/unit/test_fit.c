/*  Which tasks a model can play at all. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <jansson.h>

#include "task/family.h"
#include "task/fit.h"
#include "task_fixture.h"

/*  A token is a byte here. */
static int count_bytes (void *context, size_t role, const char *text, size_t size, size_t *tokens,
                        err_t *err)
{
    (void) context, (void) role, (void) text, (void) err;
    *tokens = size;
    return 0;
}

static void tasks_that_are_too_long_are_left_out (void **state)
{
    (void) state;
    static const char *const roles[] = {"aux", "main"};
    task_set_t *set = open_set ("coding", "plain"), *all = open_set ("coding", "plain");
    static const size_t room[] = {90, 90};
    task_fit_t fit = {
        .roles = roles, .roles_n = 2, .limits.tokens = 20, .room = room, .count = count_bytes};
    task_fitted_t fitted;
    err_t err = {0};
    assert_int_equal (task_fit_count (set, &fit, &fitted, &err), 0);
    assert_int_equal (task_set_size (set, TASK_TRAIN), fitted.n[TASK_TRAIN]); /* counted alone */
    assert_int_equal (task_fit (set, &fit, &fitted, &err), 0);
    /* "BRIEF\n# main\n" of 70 bytes at most stays, in the order of before. */
    for (int split = 0; split < 2; split++) {
        size_t kept = 0;
        for (size_t i = 0; i < task_set_size (all, (task_split_t) split); i++) {
            const char *task = task_set_get (all, (task_split_t) split, i);
            json_t *json = json_loads (task, 0, NULL);
            bool fits = strlen (family_text (json, "brief")) + strlen ("\n# main\n") + 20 <= 90;
            json_decref (json);
            if (fits)
                assert_string_equal (task_set_get (set, (task_split_t) split, kept++), task);
        }
        assert_int_equal (kept, task_set_size (set, (task_split_t) split));
        assert_int_equal (kept + fitted.long_n[split], fitted.n[split]);
        assert_true (kept > 0 && fitted.long_n[split] > 0);
    }
    assert_true (fitted.most + 20 > 90 && *fitted.id);
    assert_string_equal (fitted.role, "main");
    task_set_destroy (&set);
    task_set_destroy (&all);
}

int main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (tasks_that_are_too_long_are_left_out)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}

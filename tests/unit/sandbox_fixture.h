/*  sandbox_fixture - a sandbox of Python's own library, which most tests of programs need.
 *
 *      cmocka_unit_test_setup_teardown (honest_programs_pass, sandbox_setup, sandbox_teardown)
 */
#ifndef QUINTET_TESTS_SANDBOX_FIXTURE_H
#define QUINTET_TESTS_SANDBOX_FIXTURE_H

#include "../../services/reward/sandbox.h"
#include "sandbox_wall.h"

static inline int sandbox_setup (void **state)
{
    err_t err = {0};
    *state = sandbox_new ("", sandbox_wall (), &err);
    if (!*state)
        print_error ("%s\n", err.text);
    return *state ? 0 : -1;
}

static inline int sandbox_teardown (void **state)
{
    sandbox_t *sandbox = *state;
    sandbox_destroy (&sandbox);
    return 0;
}

#endif

/*  Products by OpenBLAS: the check at first use lets no block pass whose rows feel where they
 *  stand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/blas.h"
#include "kernels/panels.h"
#include "model_fixture.h"

#define K       ((size_t) 300) /* more than OpenBLAS is given at once */
#define ROWS    ((size_t) 110)
#define OUTPUTS KERNELS_PANEL

static void multiply (const kernels_t *kernels, const float *panel, const float *x, size_t n,
                      float *y)
{
    kernels->matmul_f32 (&(kernels_matmul_t){.panels = panel,
                                             .x = x,
                                             .x_stride = K,
                                             .y = y,
                                             .y_stride = OUTPUTS,
                                             .n = n,
                                             .k = K,
                                             .outputs = OUTPUTS,
                                             .last = 1});
}

/*  One row among others, at every place of every number of rows. */
static void a_row_has_the_same_bits_wherever_it_stands (void **state)
{
    (void) state;
    const kernels_t *kernels = blas_kernels ();
    if (!kernels)
        skip ();
    float *panel = calloc (K * OUTPUTS, sizeof *panel), *x = calloc (ROWS * K, sizeof *x);
    float *y = calloc (ROWS * OUTPUTS, sizeof *y), alone[OUTPUTS], row[K];
    assert_true (panel && x && y);
    fixture_fill (panel, K * OUTPUTS, 1, 1);
    fixture_fill (row, K, 1, 2);
    multiply (kernels, panel, row, 1, alone);
    for (size_t n = 1; n <= ROWS; n += n < 14 ? 1 : 13)
        for (size_t at = 0; at < n; at++) {
            fixture_fill (x, n * K, 1, n);
            memcpy (x + at * K, row, sizeof row);
            multiply (kernels, panel, x, n, y);
            fixture_same (kernels->name, alone, y + at * OUTPUTS, OUTPUTS);
        }
    free (panel);
    free (x);
    free (y);
}

#if defined(__x86_64__)
/*  The rows of the blocks that pass on another of OpenBLAS's own kernels, in a process of its own:
 *  it picks them before main begins. */
static void rows_of (const char *core, const char *program, char *rows, size_t size)
{
    char command[512];
    snprintf (command, sizeof command, "OPENBLAS_CORETYPE=%s '%s' rows", core, program);
    FILE *pipe = popen (command, "re");
    assert_non_null (pipe);
    size_t n = fread (rows, 1, size - 1, pipe);
    rows[n] = 0;
    assert_int_equal (pclose (pipe), 0);
}
#endif

static const char *program;

/*  OpenBLAS 0.3.21 computes a row of 96 by Haswell's kernels in another order than its
 *  neighbour. */
static void blocks_whose_rows_differ_are_not_used (void **state)
{
    (void) state;
#if defined(__x86_64__)
    char haswell[256], nehalem[256];
    rows_of ("Haswell", program, haswell, sizeof haswell);
    rows_of ("Nehalem", program, nehalem, sizeof nehalem);
    if (!strstr (haswell, "0.3.21-Haswell") || !strstr (nehalem, "0.3.21-Nehalem"))
        skip (); /* another OpenBLAS, or one that does not let itself be told */
    assert_string_equal (haswell, "blas:0.3.21-Haswell 8 4\n");
    assert_string_equal (nehalem, "blas:0.3.21-Nehalem 96 32 8 4 1\n");
#else
    skip ();
#endif
}

static void a_name_can_ask_for_the_very_same_bits (void **state)
{
    (void) state;
    const kernels_t *kernels = kernels_named ("blas");
    if (!kernels)
        skip ();
    assert_ptr_equal (kernels_named (kernels->name), kernels);
    assert_null (kernels_named ("blas:0.0.0-Abacus"));
    assert_null (kernels_named ("bla"));
    assert_null (kernels_named ("plain:1"));
}

int main (int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test (a_row_has_the_same_bits_wherever_it_stands),
        cmocka_unit_test (blocks_whose_rows_differ_are_not_used),
        cmocka_unit_test (a_name_can_ask_for_the_very_same_bits),
    };
    program = argv[0];
    if (argc > 1) {
        const kernels_t *kernels = blas_kernels ();
        printf ("%s", kernels ? kernels->name : "none");
        for (const size_t *rows = blas_block_rows (); *rows; rows++)
            printf (" %zu", *rows);
        printf ("\n");
        return 0;
    }
    return cmocka_run_group_tests (tests, NULL, NULL);
}

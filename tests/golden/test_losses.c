/*  Losses against what the field's standard trainer computes: loss, gradient and metrics of every
 *  case in $QUINTET_REF/loss (default ../shared/reference), within 1e-9. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "learn/loss.h"
#include "loss_case.h"

#define TOLERANCE 1e-9

static int is_case (const struct dirent *entry)
{
    size_t n = strlen (entry->d_name);
    return n > 5 && strcmp (entry->d_name + n - 5, ".json") == 0;
}

static void losses_match (void **state)
{
    (void) state;
    const char *ref = getenv ("QUINTET_REF");
    char dir[4096];
    snprintf (dir, sizeof dir, "%s/loss", ref ? ref : "../shared/reference");
    struct dirent **entries;
    int n = scandir (dir, &entries, is_case, alphasort);
    if (n < 0) {
        printf ("losses: %s is not there, skipped\n", dir);
        skip ();
    }
    size_t failed = 0;
    for (int i = 0; i < n; i++) {
        char path[8192];
        snprintf (path, sizeof path, "%s/%s", dir, entries[i]->d_name);
        double error = loss_case_error (path);
        printf ("loss/%-42s %.2e %s\n", entries[i]->d_name, error,
                error <= TOLERANCE ? "ok" : "FAILED");
        failed += !(error <= TOLERANCE);
        free (entries[i]);
    }
    free (entries);
    printf ("%zu passed, %zu failed, 0 skipped\n", (size_t) n - failed, failed);
    assert_int_equal (failed, 0);
    assert_true (n > 0);
}

int main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (losses_match)};
    return cmocka_run_group_tests_name ("losses", tests, NULL, NULL);
}

/* with: services/monitor/ */
/*  Answers of the monitor that are kept, and how long they hold. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "../../services/monitor/bodies.h"
#include "../../services/monitor/runs.h"

static void add (bodies_t *kept, const char *key, const char *body)
{
    buf_t k = {0}, b = {0};
    buf_text (&k, key);
    buf_text (&b, body);
    bodies_add (kept, &k, &b);
    buf_free (&k);
    buf_free (&b);
}

/*  NULL body: it must not be there. */
static void gives (const bodies_t *kept, const char *key, const char *body)
{
    buf_t k = {0}, b = {0};
    buf_text (&k, key);
    assert_int_equal (bodies_give (kept, &k, &b), body != NULL);
    if (body)
        assert_string_equal (b.data, body);
    buf_free (&k);
    buf_free (&b);
}

static void the_last_ones_are_kept (void **state)
{
    bodies_t kept = {0};
    char key[32];
    (void) state;
    add (&kept, "one", "1");
    add (&kept, "", "nobody's");
    gives (&kept, "one", "1");
    gives (&kept, "on", NULL);
    gives (&kept, "", NULL);
    for (int i = 0; i < BODIES_N; i++) {
        snprintf (key, sizeof key, "key %d", i);
        add (&kept, key, key);
    }
    gives (&kept, "one", NULL);
    gives (&kept, "key 0", "key 0");
    char *large = malloc (BODIES_MAX + 2);
    assert_non_null (large);
    memset (large, 'x', BODIES_MAX + 1);
    large[BODIES_MAX + 1] = 0;
    add (&kept, "large", large);
    free (large);
    gives (&kept, "large", NULL);
    gives (&kept, "key 0", "key 0");
    bodies_free (&kept);
}

static void write_line (const char *path, const char *how)
{
    FILE *file = fopen (path, how);
    assert_non_null (file);
    fputs ("{\"event\":\"step\",\"step\":1}\n", file);
    fclose (file);
}

static void what_a_file_is_stamped_with_changes_with_it (void **state)
{
    char dir[] = "/tmp/quintet-test-XXXXXX", run[FS_PATH_MAX], path[FS_PATH_MAX];
    buf_t before = {0}, after = {0}, none = {0};
    (void) state;
    assert_non_null (mkdtemp (dir));
    assert_int_equal (fs_join (run, dir, "run", NULL), 0);
    assert_int_equal (fs_mkdirs (run, NULL), 0);
    assert_int_equal (fs_join (path, run, "metrics.jsonl", NULL), 0);
    write_line (path, "w");
    runs_t *runs = runs_new (dir);
    runs_look (runs);
    runs_stamp (runs, "run", &before);
    runs_stamp (runs, "run", &after);
    assert_true (before.size > 0);
    assert_string_equal (before.data, after.data);
    write_line (path, "a");
    buf_clear (&after);
    runs_stamp (runs, "run", &after);
    assert_string_not_equal (before.data, after.data);
    runs_stamp (runs, "another", &none);
    assert_int_equal (none.size, 0);
    buf_free (&before);
    buf_free (&after);
    runs_destroy (&runs);
    fs_remove (dir, NULL);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (the_last_ones_are_kept),
        cmocka_unit_test (what_a_file_is_stamped_with_changes_with_it),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

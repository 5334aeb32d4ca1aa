/* with: services/cli/report/ */
/*  The end of a run, from the files that a trainer leaves: the table, the last line of JSON, the
 *  page. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../services/cli/report/examples.h"
#include "../../services/cli/report/result.h"
#include "base/fs.h"

#define SIDE(sampled, path)                                                                        \
    "{\"sampled\":" sampled ",\"sampled_low\":0.125,\"sampled_high\":0.9921875,\"greedy\":0.5,"    \
    "\"quality\":0.25,\"agreement\":0.125,"                                                        \
    "\"completion_tokens\":20.5,\"tokens\":41,\"critical_path_tokens\":" path                      \
    ",\"reward\":0.1,\"n\":64}"
#define RESULT(before, after)                                                                      \
    "{\"steps\":9,\"reproducible\":false,\"wall_s\":12.5,\"before\":" before ",\"after\":" after "}"
#define EPISODE(phase, id, step, text, verdict, success)                                           \
    "{\"phase\":\"" phase "\",\"step\":" step ",\"task\":{\"id\":\"" id "\",\"brief\":\"Do " id    \
    ".\"},\"turns\":[{\"actions\":[{\"role\":\"main\",\"text\":\"" text                            \
    "\",\"tokens\":7}]}],\"reward\":{\"reward\":0.5,\"verdict\":\"" verdict                        \
    "\",\"success\":" success "}}\n"
#define EVIL "<script>alert(1)</script>\\u001b[2J\\u009b\\nlast"

typedef struct {
    char dir[64];
} fixture_t;

static void put (const fixture_t *f, const char *name, const char *text)
{
    char path[FS_PATH_MAX];
    err_t err = {0};
    assert_int_equal (fs_join (path, f->dir, name, &err), 0);
    if (fs_write (path, text, strlen (text), &err) != 0)
        fail_msg ("%s", err.text);
}

static int setup (void **state)
{
    fixture_t *f = calloc (1, sizeof *f);
    char solo[FS_PATH_MAX];
    snprintf (f->dir, sizeof f->dir, "/tmp/quintet-report-XXXXXX");
    if (!mkdtemp (f->dir) || fs_join (solo, f->dir, "solo", NULL) != 0 ||
        fs_mkdirs (solo, NULL) != 0)
        return -1;
    put (f, "result.json", RESULT (SIDE ("0.25", "40"), SIDE ("0.984375", "16")));
    put (f, "solo/result.json", RESULT (SIDE ("0.5", "48"), SIDE ("0.75", "24")));
    put (f, "metrics.jsonl",
         "{\"event\":\"step\",\"step\":1,\"reward_mean\":0.25,\"step_s\":0.5}\n"
         "{\"event\":\"step\",\"step\":2,\"reward_mean\":0.75,\"step_s\":0.5}\n"
         "{\"event\":\"step\",\"step\":3,\"reward_mean\":null}\n"
         "{\"event\":\"eval\",\"step\":2,\"sampled\":0.5}\n"
         "{\"event\":\"step\",\"ste");
    put (f, "episodes.jsonl",
         EPISODE ("eval-sampled", "known", "0", "a", "5 of 5", "true")
             EPISODE ("eval-sampled", "learnt", "0", "wrong", "1 of 5 <b>", "false")
                 EPISODE ("eval-greedy", "once", "0", "a", "0 of 5", "false")
                     EPISODE ("train", "learnt", "1", "between", "2 of 5", "false")
                         EPISODE ("eval-sampled", "learnt", "5", "half", "3 of 5", "false")
                             EPISODE ("eval-sampled", "known", "9", "b", "5 of 5", "true")
                                 EPISODE ("eval-sampled", "learnt", "9", EVIL, "5 of 5", "true"));
    *state = f;
    return 0;
}

static int teardown (void **state)
{
    fixture_t *f = *state;
    fs_remove (f->dir, NULL);
    free (f);
    return 0;
}

static void read_all (const fixture_t *f, result_t *result, bool solo)
{
    err_t err = {0};
    *result = (result_t){.first_step_s = 2.25, .wall_s = 65.5};
    if (result_read (result, f->dir, solo, &err) != 0)
        fail_msg ("%s", err.text);
}

static void holds (const char *text, const char *wanted)
{
    if (!strstr (text, wanted))
        fail_msg ("no '%s' in:\n%s", wanted, text);
}

/*  What print writes. */
static char *printed (const result_t *result, void (*print) (const result_t *result, FILE *to))
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream (&text, &size);
    assert_non_null (to);
    print (result, to);
    fclose (to);
    return text;
}

static void the_table_has_before_and_after (void **state)
{
    result_t result;
    read_all (*state, &result, true);
    char *text = printed (&result, result_print);
    holds (text, "Single agent (9 steps, 64 held-out tasks [95% interval], 12.5 s)");
    holds (text,
           "  pass rate, sampled                 0.500 [0.125, 0.992] -> 0.750 [0.125, 0.992]\n");
    holds (text,
           "  pass rate, sampled                 0.250 [0.125, 0.992] -> 0.984 [0.125, 0.992]\n");
    holds (text, "  decode steps on the critical path  40.0                 -> 16.0\n");
    holds (text, "\nreproducible: no");
    holds (text, "3.00 times shorter than the untrained single agent's and 1.50 times");
    holds (text, "65.5 s in all, 2.2 s to the first");
    holds (text, "A held-out task that training solved: Do learnt.");
    holds (text, "before: 1 of 5 <b>\n    [main, 7 tokens]\n    wrong\n");
    holds (text, "after: 5 of 5\n");
    holds (text, "\n    last\n"); /* a model's newlines stay */
    for (const char *c = text; *c; c++)
        assert_false ((*c < ' ' && *c > 0 && *c != '\n') || *c == 0x7f);
    assert_null (strstr (text, "\xc2\x9b"));
    assert_null (strstr (text, "half")); /* neither first nor last */
    free (text);
    result_free (&result);
}

static void the_json_line_has_both (void **state)
{
    result_t result;
    read_all (*state, &result, true);
    char *text = printed (&result, result_json);
    json_t *line = json_loads (text, 0, NULL);
    assert_non_null (line);
    const json_t *after = json_object_get (json_object_get (line, "team"), "after");
    assert_true (json_real_value (json_object_get (after, "sampled")) == 0.984375);
    assert_true (json_real_value (json_object_get (after, "critical_path_tokens")) == 16);
    assert_true (json_real_value (json_object_get (after, "sampled_low")) == 0.125);
    assert_true (json_real_value (json_object_get (after, "sampled_high")) == 0.9921875);
    assert_true (json_is_false (json_object_get (line, "reproducible")));
    assert_true (json_is_object (json_object_get (line, "solo")));
    assert_true (json_real_value (json_object_get (line, "first_step_s")) == 2.25);
    json_decref (line);
    free (text);
    result_free (&result);
    read_all (*state, &result, false);
    text = printed (&result, result_json);
    holds (text, "\"solo\":null");
    free (text);
    result_free (&result);
}

static void the_page_is_whole_and_harmless (void **state)
{
    const fixture_t *f = *state;
    err_t err = {0};
    result_t result;
    char path[FS_PATH_MAX];
    buf_t page = {0};
    read_all (f, &result, true);
    assert_int_equal (result_report (&result, "a <name>", &err), 0);
    assert_int_equal (fs_join (path, f->dir, "report.html", NULL), 0);
    assert_int_equal (fs_read (path, 1 << 20, &page, &err), 0);
    holds (page.data, "<title>a &lt;name&gt; - Quintet</title>");
    holds (page.data,
           "<td>0.250 <span class=\"interval\">[0.125, 0.992]</span></td><td>0.984 <span");
    holds (page.data, "64 tasks; in brackets the 95% interval");
    holds (page.data, "reproducible: no");
    holds (page.data, "<polyline class=\"team\"");
    /* Two points from the lower left to the upper right; null and the torn line are none. */
    holds (page.data, "points=\"176.0,130.0 314.0,8.0 \"");
    holds (page.data, "Do learnt.");
    holds (page.data, "&lt;script&gt;alert(1)&lt;/script&gt;");
    assert_null (strstr (page.data, "<script>"));
    assert_null (strstr (page.data, "1 of 5 <b>"));
    assert_null (strstr (page.data, "@TITLE@"));
    assert_null (strstr (page.data, "@BODY@"));
    assert_null (strstr (page.data, "http"));
    assert_null (strchr (page.data, 0x1b));
    assert_null (strstr (page.data, "\xc2\x9b"));
    buf_free (&page);
    result_free (&result);
}

static void what_was_learnt_comes_first (void **state)
{
    const fixture_t *f = *state;
    json_t *pairs = examples_read (f->dir);
    assert_int_equal (json_array_size (pairs), 2); /* "once" has no after */
    assert_true (examples_learned (json_array_get (pairs, 0)));
    assert_false (examples_learned (json_array_get (pairs, 1)));
    json_decref (pairs);
}

static void missing_and_damaged_results_are_named (void **state)
{
    const fixture_t *f = *state;
    result_t result = {0};
    err_t err = {0};
    put (f, "solo/result.json", "{\"steps\":");
    assert_int_equal (result_read (&result, f->dir, true, &err), -1);
    holds (err.text, "solo/result.json");
    result_free (&result);
    assert_int_equal (result_read (&result, "/nowhere", false, &err), -1);
    holds (err.text, "/nowhere/result.json");
    result_free (&result);
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (the_table_has_before_and_after), TEST (the_json_line_has_both),
        TEST (the_page_is_whole_and_harmless), TEST (what_was_learnt_comes_first),
        TEST (missing_and_damaged_results_are_named)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}

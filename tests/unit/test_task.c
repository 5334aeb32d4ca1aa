/*  Tasks, episodes, rewards and the corpus: pure functions of their inputs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "task/corpus.h"
#include "task/episode.h"
#include "task/family.h"
#include "task/number.h"
#include "task/reward.h"
#include "task/task.h"
#include "task_fixture.h"
#include "score_fixture.h"

static void the_split_is_a_partition (void **state)
{
    (void) state;
    static const struct {
        const char *family, *style;
        size_t n;
    } sets[] = {{"article", "plain", 429},
                {"coding", "plain", 586},
                {"writing", "plain", 144},
                {"writing", "story", 144},
                {"writing", "prose", 100}};
    for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
        task_set_t *set = open_set (sets[s].family, sets[s].style);
        size_t train = task_set_size (set, TASK_TRAIN), held = task_set_size (set, TASK_HELDOUT);
        assert_int_equal (train + held, sets[s].n);
        assert_true (held > sets[s].n / 8 && held < sets[s].n / 3);
        for (size_t i = 0; i < held; i++)
            for (size_t j = 0; j < train; j++)
                assert_string_not_equal (task_set_get (set, TASK_HELDOUT, i),
                                         task_set_get (set, TASK_TRAIN, j));
        task_set_destroy (&set);
    }
}

static void a_pass_takes_every_task_once (void **state)
{
    (void) state;
    task_set_t *set = open_set ("coding", "plain");
    size_t n = task_set_size (set, TASK_TRAIN), moved = 0;
    bool *seen = calloc (n, sizeof *seen);
    for (size_t i = 0; i < n; i++) {
        size_t at = task_set_pick (set, 5, 0, i);
        assert_true (at < n && !seen[at]);
        seen[at] = true;
        moved += at != i;
        assert_int_equal (at, task_set_pick (set, 5, i / 16 * 16, i % 16));
    }
    assert_true (moved > n / 2);
    free (seen);
    task_set_destroy (&set);
}

static void bad_files_are_named (void **state)
{
    (void) state;
    static const char *const lines[] = {"{\"id\": 1}", "[1]", "{", "{\"id\":\"a\",\"brief\":\"b\"}",
                                        "{\"id\":\"a\",\"brief\":\"b\",\"tests\":[{}]}"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char path[] = "/tmp/quintet-tasks-XXXXXX", wanted[64];
        int fd = mkstemp (path);
        dprintf (fd, "\n%s\n", lines[i]);
        close (fd);
        err_t err = {0};
        task_options_t options = {.family = "coding", .path = path, .seed = 1};
        assert_null (task_set_open (&options, &err));
        snprintf (wanted, sizeof wanted, "%s:2", path);
        assert_non_null (strstr (err.text, wanted));
        unlink (path);
    }
}

/*  Opens a set of these lines. */
static task_set_t *open_lines_of (const char *family, const char *lines, double heldout, err_t *err)
{
    char path[] = "/tmp/quintet-tasks-XXXXXX";
    int fd = mkstemp (path);
    assert_true (fd >= 0 && dprintf (fd, "%s", lines) > 0);
    close (fd);
    task_options_t options = {.family = family, .path = path, .seed = 1, .heldout = heldout};
    task_set_t *set = task_set_open (&options, err);
    unlink (path);
    return set;
}

static task_set_t *open_lines (const char *lines, double heldout, err_t *err)
{
    return open_lines_of ("coding", lines, heldout, err);
}

#define LINE(id, more)                                                                             \
    "{\"id\":\"" id "\",\"brief\":\"b\"," more "\"tests\":[{\"args\":[1],\"result\":1}]}\n"

static void a_key_that_is_misspelt_is_named (void **state)
{
    (void) state;
    static const char *const wrong[][3] = {
        {"coding", LINE ("a", "") LINE ("b", "\"test_lists\":[],"),
         ":2: \"test_lists\": no such key; did you mean \"test_list\""},
        {"coding", LINE ("a", "\"entrypoint\":\"f\","), "did you mean \"entry_point\""},
        {"coding", LINE ("a", "\"publci\":1,"), ":1: \"publci\": no such key; did you mean"},
        {"writing", "{\"id\":\"a\",\"breif\":\"b\"}\n",
         ":1: \"breif\": no such key; did you mean \"brief\""},
        {"writing", LINE ("a", "\"term\":[],"),
         ":1: \"term\": no such key; did you mean \"terms\""},
        {"article", "{\"id\":\"a\",\"sections\":[{\"brief\":\"b\",\"termss\":[]}]}\n",
         ":1: \"termss\": no such key"}};
    err_t err = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_null (open_lines_of (wrong[i][0], wrong[i][1], 0, &err));
        if (!strstr (err.text, wrong[i][2]))
            fail_msg ("'%s' holds no '%s'", err.text, wrong[i][2]);
    }
    /* The user's own: like no key, like one of another family, beside the one that it is like, and
     * in the values of tests. */
    task_set_t *set = open_lines (LINE ("a", "\"source\":\"x\",\"mode\":[{\"tag\":1}],\"term\":1,"
                                             "\"briefs\":2,\"best\":[[{\"brie\":1}]],"),
                                  0, &err);
    assert_non_null (set);
    task_set_destroy (&set);
}

static void an_id_stands_once_and_an_entry_point_is_a_name (void **state)
{
    (void) state;
    err_t err = {0};
    assert_null (open_lines (LINE ("a", "") LINE ("b", "") LINE ("a", ""), 0, &err));
    assert_non_null (strstr (err.text, ":3: id 'a' stands in line 1 already"));
    assert_null (open_lines (LINE ("a", "") LINE ("b", "\"entry_point\":\"f (x)\","), 0, &err));
    assert_non_null (strstr (err.text, ":2: \"entry_point\" 'f (x)' is no name"));
    assert_null (open_lines (LINE ("a", "\"entry_point\":\"2f\","), 0, &err));
}

/*  Spreadsheets write one before the first line. */
static void a_mark_of_utf_8_is_refused_by_name (void **state)
{
    (void) state;
    err_t err = {0};
    assert_null (open_lines ("\xef\xbb\xbf" LINE ("a", "") LINE ("b", ""), 0, &err));
    assert_non_null (strstr (err.text, ":1: begins with an invisible mark"));
    assert_null (open_lines (LINE ("a", "") "\xef\xbb\xbf" LINE ("b", ""), 0, &err));
    assert_non_null (strstr (err.text, ":2: begins with an invisible mark"));
}

/*  Numbers as Python writes them are read, and a scorer of one's own gets them back. */
static void numbers_are_python_s (void **state)
{
    (void) state;
    static const char *const values[] = {"354224848179261915075",
                                         "[-9223372036854775809]",
                                         "[9223372036854775807,-9223372036854775808]",
                                         "{\"a\":NaN,\"b\":[Infinity,-Infinity,1e400]}",
                                         "\"NaN 99999999999999999999 \\\" 99999999999999999999\"",
                                         "{\"NaN\":{\"$number\":\"x\"}}"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char line[300];
        err_t err = {0};
        buf_t text = {0};
        snprintf (line, sizeof line,
                  "{\"id\":\"a\",\"brief\":\"b\",\"tests\":[{\"args\":[%s],\"result\":1}]}\n",
                  values[i]);
        task_set_t *set = open_lines (line, 0, &err);
        if (!set)
            fail_msg ("%s: %s", values[i], err.text);
        number_restore (task_set_get (set, TASK_TRAIN, 0), &text);
        snprintf (line, sizeof line, "{\"args\":[%s],\"result\":1}", values[i]);
        if (!strstr (text.data, line))
            fail_msg ("%s: %s", values[i], text.data);
        buf_free (&text);
        task_set_destroy (&set);
    }
}

static void a_test_wants_a_result_or_an_error (void **state)
{
    (void) state;
    static const char *const tests[] = {"\"result\":1",
                                        "\"raises\":\"KeyError\"",
                                        "\"x\":1",
                                        "\"result\":1,\"raises\":\"KeyError\"",
                                        "\"raises\":\"a b\"",
                                        "\"result\":[NaN]"};
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        char line[200];
        err_t err = {0};
        snprintf (line, sizeof line,
                  "{\"id\":\"a\",\"brief\":\"b\",\"tests\":[{\"args\":[],%s}]}\n", tests[i]);
        task_set_t *set = open_lines (line, 0, &err);
        if (!set == (i < 2) || (!set && !strstr (err.text, "tests[0]")))
            fail_msg ("%s: %s", tests[i], err.text);
        task_set_destroy (&set);
    }
}

/*  What nobody would look at, or no program could do, is refused with file, line and key. */
static void a_mistake_in_a_task_is_named (void **state)
{
    (void) state;
    static const struct {
        const char *brief, *more, *tests, *wanted;
    } wrong[] = {{"b", "", "{\"args\":[],\"result\":1},{\"args\":[],\"kwargs\":{},\"result\":1}",
                  ":2: tests[1].kwargs: no such key; a test has args, and result or raises"},
                 {"b", "", "{\"args\":[],\"raises\":\"ValueErorr\"}",
                  ":2: tests[0].raises: ValueErorr is none of Python's own exceptions"},
                 {"b", "", "{\"args\":[],\"raises\":\"MemoryError\"}", ":2: tests[0].raises"},
                 {"b", ",\"entry_point\":\"lambda\"", "{\"args\":[],\"result\":1}",
                  ":2: \"entry_point\" 'lambda' is no name of a function"},
                 {"b\\u0000", "", "{\"args\":[],\"result\":1}", ":2: column 27: \\u0000 in it"},
                 {"Raise StackEmpty.", "", "{\"args\":[],\"raises\":\"StackEmpty\"}", NULL}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char lines[400];
        err_t err = {0};
        snprintf (lines, sizeof lines,
                  LINE ("first", "") "{\"id\":\"a\",\"brief\":\"%s\"%s,\"tests\":[%s]}\n",
                  wrong[i].brief, wrong[i].more, wrong[i].tests);
        task_set_t *set = open_lines (lines, 0, &err);
        if (!set != !!wrong[i].wanted || (!set && !strstr (err.text, wrong[i].wanted)))
            fail_msg ("'%s' is wanted, got '%s'", wrong[i].wanted, err.text);
        task_set_destroy (&set);
    }
}

/*  Nobody is told that what was trained on was held out. */
static void a_split_has_two_sides_or_none (void **state)
{
    (void) state;
    err_t err = {0};
    assert_null (open_lines (LINE ("a", ""), 0.2, &err));
    assert_non_null (strstr (err.text, "task.heldout 0.2 leaves none of its 1 tasks to"));
    task_set_t *set = open_lines (LINE ("a", "") LINE ("b", ""), 0, &err);
    assert_non_null (set);
    assert_true (task_set_shared (set));
    assert_int_equal (task_set_size (set, TASK_TRAIN), 2);
    assert_int_equal (task_set_size (set, TASK_HELDOUT), 2);
    task_set_destroy (&set);
    set = open_set ("coding", "plain");
    assert_false (task_set_shared (set));
    task_set_destroy (&set);
}

static episode_t *write_sized (const char *summary, size_t summary_n, const char *details)
{
    static const char *const roles[] = {"summary", "details"};
    err_t err = {0};
    episode_limits_t limits = {.tokens = 96};
    episode_t *e =
        episode_new ("{\"id\":\"w\",\"family\":\"writing\",\"brief\":\"Write about the garden in "
                     "winter.\",\"terms\":[\"garden\",\"winter\"]}",
                     roles, 2, &limits, &err);
    assert_non_null (e);
    const char *texts[] = {summary, details};
    size_t sizes[] = {summary_n, strlen (details)};
    for (size_t r = 0; r < 2; r++) {
        episode_action_t action = {.text = texts[r], .size = sizes[r], .tokens = 24 * (r + 1)};
        assert_int_equal (episode_act (e, r, &action, &err), 0);
    }
    assert_int_equal (episode_step (e, &err), 0);
    return e;
}

static episode_t *write_episode (const char *summary, const char *details)
{
    return write_sized (summary, strlen (summary), details);
}

static void styles_that_agree_score (void **state)
{
    (void) state;
    err_t err = {0};
    reward_score_t good, bad;
    episode_t *e = write_episode ("# Summary\nWe see the grey light of the garden in winter. "
                                  "Moreover, we admire the colours.",
                                  "# Details\nIn winter we see the grey light of the garden. "
                                  "Moreover, we find the old walls. However, "
                                  "we love the quiet paths. Therefore, we enjoy the colours. In "
                                  "conclusion, we notice the cold water.");
    assert_int_equal (family_find ("writing")->score (e, &(task_capabilities_t){0}, &good, &err),
                      0);
    assert_int_equal (good.parts_n, 12);
    assert_true (good.agreement > 0.999);
    assert_true (good.quality > 0.9);
    reward_t reward;
    reward_weights_t weights = {1, 0.3, 0.1};
    assert_int_equal (reward_join (e, &weights, &good, &reward, &err), 0);
    /* Critical path 48 of 96 tokens, nobody saw anybody: no cost. */
    assert_true (fabs (reward.speed - reward.quality * 0.5) < 1e-9);
    assert_true (fabs (reward.reward - (reward.quality + 0.3 * reward.speed)) < 1e-9);
    episode_destroy (&e);
    e = write_episode (
        "# Summary\nWe see the grey light.",
        "== Details ==\nYou see the colors. You see the colors. So, you see the colors.");
    assert_int_equal (family_find ("writing")->score (e, &(task_capabilities_t){0}, &bad, &err), 0);
    assert_true (bad.agreement < 0.001);
    assert_true (part_of (&bad, "no_repeats") < 0.5);
    assert_true (part_of (&bad, "terms") < 0.001);
    assert_true (bad.quality < good.quality);
    episode_destroy (&e);
}

static void a_state_goes_on_where_it_was (void **state)
{
    (void) state;
    err_t err = {0};
    episode_t *e = write_episode ("a\xff", "b");
    buf_t one = {0}, two = {0};
    assert_int_equal (episode_state (e, &one, &err), 0);
    episode_t *back = episode_parse (one.data, one.size, &err);
    if (!back)
        fail_msg ("%s", err.text);
    assert_int_equal (episode_state (back, &two, &err), 0);
    assert_string_equal (one.data, two.data);
    assert_true (episode_done (back));
    assert_int_equal (episode_critical_path (back), 48);
    assert_int_equal (episode_tokens (back), 72);
    assert_null (episode_parse ("{}", 2, &err));
    buf_free (&one);
    buf_free (&two);
    episode_destroy (&e);
    episode_destroy (&back);
}

/*  Models write any bytes: the state stays one that everybody can read. */
static void wild_bytes_become_text (void **state)
{
    (void) state;
    static const char wild[] = "caf\xc3\xa9 \0 \xff \xed\xa0\x80 \x1b \xe2\x82";
    err_t err = {0};
    buf_t text = {0};
    episode_t *e = write_sized (wild, sizeof wild - 1, "b");
    assert_int_equal (episode_state (e, &text, &err), 0);
    episode_t *back = episode_parse (text.data, text.size, &err);
    if (!back)
        fail_msg ("%s", err.text);
    const char *expected = "caf\xc3\xa9 \xef\xbf\xbd \xef\xbf\xbd "
                           "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \\u001B "
                           "\xef\xbf\xbd\xef\xbf\xbd";
    if (!strstr (text.data, expected))
        fail_msg ("'%s' is not in %s", expected, text.data);
    buf_free (&text);
    episode_destroy (&e);
    episode_destroy (&back);
}

/*  HumanEval: what a chatting model fences in is its code; a whole function comes after its prompt;
 *  a body ends where the model goes on with something else. */
static void answers_become_one_file (void **state)
{
    (void) state;
    static const char *const roles[] = {"aux", "main"};
    static const struct {
        const char *aux, *main, *file;
    } cases[] = {
        {"x):\n    return x", "    return aux(n)\n",
         "def aux(x):\n    return x\nimport os\ndef f(n):\n    return aux(n)\n\n"},
        {"Sure:\n```python\ndef aux(x):\n    return x\n```\nThat is it.",
         "```\ndef f(n):\n    return aux(n)\n```",
         "def aux(x):\n    return x\n\nimport os\ndef f(n):\n\ndef f(n):\n    return aux(n)\n\n"},
        {"\n    x,\n):\n\n    return x\n\nclass A:\n    pass",
         "    return aux(n)\n\ndef f(n):\n    return 0\nprint(f(1))",
         "def aux(\n    x,\n):\n\n    return x\n\n\nimport os\ndef f(n):\n    return aux(n)\n\n\n"},
        {"def aux(x):\n    return x\n\nK = 1\n", "\nimport re\ndef f(n):\n    return aux(n)",
         "def aux(x):\n    return x\n\nK = 1\n\nimport os\ndef f(n):\n\n\nimport re\ndef f(n):\n   "
         " "
         "return aux(n)\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_t err = {0};
        buf_t text = {0};
        episode_limits_t limits = {.tokens = 96};
        episode_t *e = episode_new (
            "{\"id\":\"h\",\"family\":\"coding\",\"prompt\":\"import os\\ndef f(n):\\n\","
            "\"brief\":\"import os\\ndef f(n):\\n\",\"entry_point\":\"f\",\"test\":\"\"}",
            roles, 2, &limits, &err);
        if (!e)
            fail_msg ("%s", err.text);
        const char *texts[] = {cases[i].aux, cases[i].main};
        for (size_t r = 0; r < 2; r++) {
            episode_action_t action = {.text = texts[r], .size = strlen (texts[r]), .tokens = 9};
            assert_int_equal (episode_act (e, r, &action, &err), 0);
        }
        assert_int_equal (episode_step (e, &err), 0);
        assert_int_equal (episode_state (e, &text, &err), 0);
        json_t *whole = json_loads (text.data, 0, NULL);
        assert_string_equal (json_string_value (json_object_get (whole, "artifact")),
                             cases[i].file);
        json_decref (whole);
        buf_free (&text);
        episode_destroy (&e);
    }
}

static void the_corpus_is_a_function_of_its_index (void **state)
{
    (void) state;
    static const char *const families[] = {"article", "coding", "writing"};
    for (size_t f = 0; f < 3; f++) {
        err_t err = {0};
        task_options_t options = builtin_options (families[f], "plain");
        corpus_t *corpus = corpus_new (&options, &err), *other = corpus_new (&options, &err);
        for (uint64_t i = 0; i < 300; i++) {
            buf_t p = {0}, c = {0}, p2 = {0}, c2 = {0};
            assert_int_equal (corpus_get (corpus, i, &p, &c, &err), 0);
            assert_int_equal (corpus_get (other, i, &p2, &c2, &err), 0);
            assert_true (p.size > 10 && c.size > 5);
            assert_string_equal (p.data, p2.data);
            assert_string_equal (c.data, c2.data);
            buf_free (&p);
            buf_free (&c);
            buf_free (&p2);
            buf_free (&c2);
        }
        corpus_destroy (&corpus);
        corpus_destroy (&other);
    }
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (a_key_that_is_misspelt_is_named),
        cmocka_unit_test (the_split_is_a_partition),
        cmocka_unit_test (a_pass_takes_every_task_once),
        cmocka_unit_test (bad_files_are_named),
        cmocka_unit_test (an_id_stands_once_and_an_entry_point_is_a_name),
        cmocka_unit_test (a_mark_of_utf_8_is_refused_by_name),
        cmocka_unit_test (numbers_are_python_s),
        cmocka_unit_test (a_mistake_in_a_task_is_named),
        cmocka_unit_test (a_test_wants_a_result_or_an_error),
        cmocka_unit_test (a_split_has_two_sides_or_none),
        cmocka_unit_test (styles_that_agree_score),
        cmocka_unit_test (a_state_goes_on_where_it_was),
        cmocka_unit_test (wild_bytes_become_text),
        cmocka_unit_test (answers_become_one_file),
        cmocka_unit_test (the_corpus_is_a_function_of_its_index),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

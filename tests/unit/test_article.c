/*  Articles: three sections with briefs of their own, and what a team of them is worth. */
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

#include "task/article/article.h"
#include "task/corpus.h"
#include "task/episode.h"
#include "task_fixture.h"
#include "score_fixture.h"

#define TASK                                                                                       \
    "{\"id\":\"a\",\"family\":\"article\",\"brief\":\"opening: A\\nmiddle: B\\nclosing: C\","      \
    "\"terms\":[\"mill\"],\"sections\":[{\"brief\":\"A\",\"terms\":[\"dawn\"]},"                   \
    "{\"brief\":\"B\",\"terms\":[\"winter\"]},{\"brief\":\"C\",\"terms\":[\"rain\"]}]}"

/*  One article, in one style. */
static const char *const whole[] = {
    "# The mill\nFirst, we see the grey of the mill at dawn. Moreover, the visitors see the roofs.",
    "# Winter\nSecond, we find the colours of the mill in winter. However, the visitors love it.",
    "# Rain\nThird, our neighbours go to the mill after rain. Therefore, the visitors go as well."};

static const char *const team[] = {"opening", "middle", "closing"};

static reward_score_t score_of (const char *const *roles, size_t n, const char *const *texts)
{
    return score_turn ("article", TASK, 240, roles, n, texts);
}

static bool near (double x, double wanted)
{
    return fabs (x - wanted) < 1e-9;
}

static void one_style_is_worth_all (void **state)
{
    (void) state;
    reward_score_t s = score_of (team, 3, whole);
    assert_int_equal (s.parts_n, 13);
    for (size_t i = 0; i < s.parts_n; i++)
        if (!near (s.parts[i].value, 1))
            fail_msg ("%s is %g", s.parts[i].name, s.parts[i].value);
    assert_true (near (s.quality, 1) && near (s.agreement, 1) && s.success);
    assert_int_equal (s.local_n, 3);
}

/*  One fault at a time: what it costs, and nothing else. */
static void each_fault_costs_its_check (void **state)
{
    (void) state;
    static const struct {
        size_t section;
        const char *text, *part;
        double value;
    } cases[] = {
        {1,
         "Winter:\nSecond, we find the colours of the mill in winter. However, the visitors love "
         "it.",
         "heading_style", 0.5},
        {1, "Second, we find the colours of the mill in winter. However, the visitors love it.",
         "headings", 2.0 / 3},
        {1,
         "# Winter\nSecond, we find the colors of the mill in winter. However, the visitors love "
         "it.",
         "spelling", 0.5},
        {1,
         "# Winter\nSecond, we find the colours of the mill in winter. But the visitors love it.",
         "register", 0.5},
        {1,
         "# Winter\nSecond, you find the colours of the mill in winter. However, the visitors love "
         "it.",
         "person", 0.5},
        {1,
         "# Winter\nSecond, we find the colours of the mill in winter. However, the guests love "
         "it.",
         "naming", 0.5},
        {1,
         "# Winter\nNext, we find the colours of the mill in winter. However, the visitors love "
         "it.",
         "joining", 0.5},
        {1,
         "# Winter\nThird, we find the colours of the mill in winter. However, the visitors love "
         "it.",
         "order", 2.0 / 3},
        {2,
         "# Rain\nThird, our neighbours go there after rain. Therefore, the visitors go as well.",
         "subject", 2.0 / 3},
        {2,
         "# Rain\nThird, our neighbours go to the mill late. Therefore, the visitors go as well.",
         "terms", 2.0 / 3},
        {2,
         "# Rain\nThird, our neighbours go to the mill after rain. Therefore, the visitors go as",
         "ending", 2.0 / 3},
        {2, "# Rain\nThird, our mill, grey rain.", "length", 2.0 * 5 / 16},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *texts[3] = {whole[0], whole[1], whole[2]};
        texts[cases[i].section] = cases[i].text;
        reward_score_t s = score_of (team, 3, texts);
        double value = part_of (&s, cases[i].part);
        if (!near (value, cases[i].value))
            fail_msg ("%zu: %s is %g, not %g", i, cases[i].part, value, cases[i].value);
    }
}

/*  What is missing, or in two styles at once, agrees with nobody; a sentence twice is no style. */
static void who_takes_no_side_agrees_with_nobody (void **state)
{
    (void) state;
    const char *const none[3] = {"", "", ""};
    reward_score_t s = score_of (team, 3, none);
    assert_true (near (s.agreement, 0) && s.quality < 0.1 && !s.success);
    const char *const two[3] = {whole[0], whole[1],
                                "# Rain\nThird, we and you see the mill, rain."};
    s = score_of (team, 3, two);
    assert_true (near (part_of (&s, "person"), 0.5));
    const char *const same[3] = {whole[0], whole[0], whole[0]};
    s = score_of (team, 3, same);
    assert_true (near (part_of (&s, "no_repeats"), 1.0 / 3));
    assert_true (near (s.agreement, 1) && !s.success);
}

static void a_single_writer_is_scored_alike (void **state)
{
    (void) state;
    static const char *const solo[] = {"solo"};
    buf_t text = {0};
    buf_printf (&text, "%s\n---\n%s\n---\n%s", whole[0], whole[1], whole[2]);
    const char *const texts[] = {text.data};
    reward_score_t s = score_of (solo, 1, texts);
    assert_true (near (s.quality, 1) && s.success);
    assert_int_equal (s.local_n, 1);
    assert_true (near (s.local[0].value, 1));
    s = score_of (solo, 1, whole); /* it never got beyond the first section */
    assert_true (near (s.agreement, 0) && near (part_of (&s, "headings"), 1.0 / 3));
    buf_free (&text);
}

static void a_writer_reads_its_own_brief (void **state)
{
    (void) state;
    json_t *task = json_loads (TASK, 0, NULL);
    static const char *const cases[][2] = {{"opening", "A\n@ opening\n"},
                                           {"closing", "C\n@ closing\n"},
                                           {"solo", "opening: A\nmiddle: B\nclosing: C\n@ solo\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_t prompt = {0};
        article_observe (task, cases[i][0], &prompt);
        assert_string_equal (prompt.data, cases[i][1]);
        buf_free (&prompt);
    }
    json_decref (task);
}

static void what_a_task_lacks_is_named (void **state)
{
    (void) state;
    static const char *const cases[][2] = {
        {"{\"id\":\"a\"}", "needs \"sections\": three"},
        {"{\"id\":\"a\",\"sections\":[{\"brief\":\"A\"},{},{\"brief\":\"C\"}]}",
         "section 2: needs a \"brief\""},
        {"{\"id\":\"a\",\"sections\":[{\"brief\":\"A\",\"terms\":[3]},{\"brief\":\"B\"},{\"brief\":"
         "\"C\"}]}",
         "section 1: \"terms\" is a list"},
        {"{\"sections\":[{\"brief\":\"A\"},{\"brief\":\"B\"},{\"brief\":\"C\"}]}",
         "needs an \"id\""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_t err = {0};
        json_t *task = json_loads (cases[i][0], 0, NULL);
        assert_int_equal (article_adopt (task, &err), -1);
        if (!strstr (err.text, cases[i][1]))
            fail_msg ("'%s' does not say '%s'", err.text, cases[i][1]);
        json_decref (task);
    }
    json_t *task = json_loads ("{\"id\":\"a\",\"sections\":[{\"brief\":\"A\"},{\"brief\":\"B\"},"
                               "{\"brief\":\"C\"}]}",
                               0, NULL);
    assert_int_equal (article_adopt (task, NULL), 0);
    assert_string_equal (family_text (task, "brief"), "opening: A\nmiddle: B\nclosing: C");
    json_decref (task);
}

/*  Of no held-out task, and in the words of the briefs that seats are asked with. */
static void no_text_is_about_a_held_out_task (void **state)
{
    (void) state;
    err_t err = {0};
    task_options_t options = builtin_options ("article", "plain");
    task_set_t *set = open_set ("article", "plain");
    corpus_t *corpus = corpus_new (&options, &err);
    size_t held = task_set_size (set, TASK_HELDOUT);
    assert_non_null (corpus);
    assert_true (held > 60 && task_set_size (set, TASK_TRAIN) > 250);
    for (uint64_t i = 0; i < 1000; i++) {
        buf_t prompt = {0}, text = {0};
        assert_int_equal (corpus_get (corpus, i, &prompt, &text, &err), 0);
        bool author = !strstr (prompt.data, "@ planner\n") && !strstr (prompt.data, "@ reviewer\n");
        assert_true (text.size > (author ? 20 : 5));
        for (size_t h = 0; h < held && strstr (prompt.data, "@ solo\n"); h++) {
            json_t *task = json_loads (task_set_get (set, TASK_HELDOUT, h), 0, NULL);
            assert_null (strstr (prompt.data, family_text (task, "brief")));
            json_decref (task);
        }
        buf_free (&prompt);
        buf_free (&text);
    }
    corpus_destroy (&corpus);
    task_set_destroy (&set);
}

int main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (one_style_is_worth_all),
                                       cmocka_unit_test (each_fault_costs_its_check),
                                       cmocka_unit_test (who_takes_no_side_agrees_with_nobody),
                                       cmocka_unit_test (a_single_writer_is_scored_alike),
                                       cmocka_unit_test (a_writer_reads_its_own_brief),
                                       cmocka_unit_test (what_a_task_lacks_is_named),
                                       cmocka_unit_test (no_text_is_about_a_held_out_task)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}

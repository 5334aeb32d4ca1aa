/*  The bytes that seats are asked with: seed models are trained on them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "task/asks.h"
#include "task/corpus.h"
#include "task/family.h"
#include "task/prompt.h"
#include "task_fixture.h"

#define MODULE                                                                                     \
    "{\"brief\":\"f: A\\ng: B\\nh: C\",\"functions\":[{\"brief\":\"A\"},{\"brief\":\"B\"},"        \
    "{\"brief\":\"C\"}]}"
#define ARTICLE                                                                                    \
    "{\"brief\":\"opening: A\",\"sections\":[{\"brief\":\"A\"},{\"brief\":\"B\"},"                 \
    "{\"brief\":\"C\"}]}"
#define HELPER                                                                                     \
    "# Write only one short helper function aux(...) that the function below may call.\n\n"        \
    "def f(x):\n\n# The helper:\ndef aux("

#define PLANNER                                                                                    \
    "def f(x):\n\n# Do not write the function yet. Say in one line each, as 'aux: ...' and "       \
    "'main: ...', what a short helper function aux(...) takes and returns, and how the function "  \
    "above calls it.\n"
#define REVIEWER                                                                                   \
    "def f(x):\n\n# Is that right, and do the function and its helper aux(...) fit each other? "   \
    "Begin with accept, or with return and why.\n"

static void every_seat_is_asked_in_the_same_bytes (void **state)
{
    (void) state;
    static const struct {
        const char *family, *task, *role, *asked;
    } cases[] = {
        {"article", ARTICLE, "middle", "B\n@ middle\n"},
        {"article", ARTICLE, "solo", "opening: A\n@ solo\n"},
        {"coding", "{\"brief\":\"Add {a}.\"}", "aux", "Add {a}.\n# aux\n"},
        {"coding", "{\"brief\":\"Add \\\\n {role}.\"}", "main", "Add \\n {role}.\n# main\n"},
        {"coding", "{\"brief\":\"def f(x):\",\"prompt\":\"\"}", "aux", HELPER},
        {"coding", "{\"brief\":\"def f(x):\",\"prompt\":\"\"}", "helper", HELPER},
        {"coding", "{\"brief\":\"def f(x):\",\"prompt\":\"\"}", "main",
         "# A helper function aux(...) is already defined and may be called.\n\ndef f(x):"},
        {"coding", "{\"brief\":\"def f(x):\",\"prompt\":\"\"}", "solo", "def f(x):"},
        {"coding", "{\"brief\":\"def f(x):\",\"prompt\":\"\"}", "planner", PLANNER},
        {"coding", "{\"brief\":\"def f(x):\",\"prompt\":\"\"}", "reviewer", REVIEWER},
        {"external", "{\"brief\":\"Go.\"}", "anybody", "Go."},
        {"external", "{}", "anybody", ""},
        {"module", MODULE, "g", "B\n# g\n"},
        {"module", MODULE, "planner", "f: A\ng: B\nh: C\n# planner\n"},
        {"writing", "{\"brief\":\"Write.\"}", "details", "Write.\n@ details\n"},
        {"writing", "{\"brief\":\"Once.\",\"style\":\"story\"}", "summary", "Once."},
        {"writing", "{\"brief\":\"Once.\",\"style\":\"story\"}", "details", "Once. One day,"},
        {"writing", "{\"brief\":\"Bees.\",\"style\":\"prose\"}", "summary",
         "Bees. Answer in one or two sentences.\n"},
        {"writing", "{\"brief\":\"Bees.\",\"style\":\"prose\"}", "details",
         "Bees. Answer in one paragraph of four to six sentences.\n"},
        {"writing", "{\"brief\":\"Bees.\",\"style\":\"prose\"}", "solo",
         "Bees. Answer in one paragraph of one or two sentences, then in a second one of four to "
         "six sentences.\n"},
        {"writing", "{\"brief\":\"Bees.\",\"style\":\"prose\"}", "reviewer",
         "The task: Bees.\nIs that a good answer? Begin with accept, or with return and why.\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *task = json_loads (cases[i].task, 0, NULL);
        buf_t asked = {0};
        buf_text (&asked, "");
        family_find (cases[i].family)->observe (task, cases[i].role, &asked);
        assert_string_equal (asked.data, cases[i].asked);
        buf_free (&asked);
        json_decref (task);
    }
}

/*  What was computed of all prompts of the built-in sets when the seed models were made. */
static void built_in_prompts_have_their_hash (void **state)
{
    (void) state;
    static const struct {
        const char *family, *style, *hash;
    } sets[] = {
        {"article", "plain", "01c859eda2c85a0d"}, {"coding", "plain", "10026db57e38928f"},
        {"module", "plain", "13ccd5e3a2386a49"},  {"writing", "plain", "e038dffafc330c8b"},
        {"writing", "story", "1bc7c2df203b789b"}, {"writing", "prose", "af06612feaab8e64"},
    };
    for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
        const family_t *family = family_find (sets[s].family);
        task_set_t *set = open_set (sets[s].family, sets[s].style);
        buf_t all = {.max = SIZE_MAX};
        char hex[HASH_HEX_SIZE];
        for (size_t i = 0; i < task_set_size (set, TASK_TRAIN); i++)
            for (size_t r = 0; family->roles[r]; r++) {
                json_t *task = json_loads (task_set_get (set, TASK_TRAIN, i), 0, NULL);
                family->observe (task, family->roles[r], &all);
                json_decref (task);
            }
        hash_t hash = hash_of (all.data, all.size);
        if (strncmp (hash_hex (&hash, hex), sets[s].hash, 16) != 0)
            fail_msg ("%s, %s: %.16s, not %s", sets[s].family, sets[s].style, hex, sets[s].hash);
        buf_free (&all);
        task_set_destroy (&set);
    }
}

static void a_family_s_templates_are_shown (void **state)
{
    (void) state;
    buf_t shown = {0};
    asks_show ("module", "# ", &shown);
    assert_string_equal (shown.data, "# module:\n#   others: \"{brief}\\n# {role}\\n\"\n");
    buf_free (&shown);
}

/*  Whoever changes the templates hears of a slip of the pen, with its place. */
static void what_is_wrong_is_named_with_its_line (void **state)
{
    (void) state;
    static const char *const cases[][2] = {
        {"# ours\ncoding:\n  main: \"{breif}\"\n",
         "a.yml:3: coding.main has {breif}; known there: {brief} and {role}"},
        {"seen:\n  turn: \"{brief}\"\n", "a.yml:2: seen.turn has {brief}; known there: {role}, "},
        {"judge:\n  others: \"{role}\"\n", "a.yml:2: judge.others has {role}; known there: "},
        {"coding:\n  main: '{brief}'\n", "a.yml:2: 'SET:' is wanted"},
        {"  main: \"{brief}\"\n", "a.yml:1: 'SET:' is wanted"},
        {"coding:\n  main: \"\\t\"\n", "a.yml:2: coding.main: of backslashes"},
        {"coding:\n\n  main: \"open\n", "a.yml:3: 'SET:' is wanted"}};
    err_t err = {0};
    if (asks_check (NULL, "lib/task/asks.yml", &err) != 0)
        fail_msg ("%s", err.text);
    assert_int_equal (asks_check ("a:\n  b: \"def f(x): return {} {x y} \\\"\\\\\"\n", "", &err),
                      0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal (asks_check (cases[i][0], "a.yml", &err), -1);
        if (!strstr (err.text, cases[i][1]))
            fail_msg ("'%s' does not say '%s'", err.text, cases[i][1]);
    }
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (every_seat_is_asked_in_the_same_bytes),
        cmocka_unit_test (built_in_prompts_have_their_hash),
        cmocka_unit_test (a_family_s_templates_are_shown),
        cmocka_unit_test (what_is_wrong_is_named_with_its_line),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

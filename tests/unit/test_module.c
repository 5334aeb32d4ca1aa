/* with: services/reward/ */
/*  Modules: three functions with briefs of their own, and what a team of them is worth. */
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

#include "../../services/reward/scorer.h"
#include "composition_fixture.h"
#include "sandbox_fixture.h"
#include "task/corpus.h"
#include "task/module/module.h"
#include "task/task.h"
#include "task_fixture.h"

/*  ---- the built-in set ----------------------------------------------------------------------- */

static json_t *task_of (const task_set_t *set, task_split_t split, size_t i)
{
    json_t *task = json_loads (task_set_get (set, split, i), 0, NULL);
    assert_non_null (task);
    return task;
}

static void a_module_has_three_functions_and_their_tests (void **state)
{
    (void) state;
    task_set_t *set = open_set ("module", "plain"), *again = open_set ("module", "plain");
    assert_true (task_set_size (set, TASK_HELDOUT) >= 119);
    for (size_t i = 0; i < 200; i++) {
        json_t *task = task_of (set, TASK_TRAIN, i);
        size_t n[MODULE_FUNCTIONS + 1] = {0}, t;
        const json_t *test;
        assert_string_equal (task_set_get (set, TASK_TRAIN, i),
                             task_set_get (again, TASK_TRAIN, i));
        json_array_foreach (json_object_get (task, "tests"), t, test) {
            size_t k = module_number (family_text (test, "call"));
            /* The public ones have all four alike. */
            if (t < module_public (task))
                assert_int_equal (k, t % (MODULE_FUNCTIONS + 1));
            n[k]++;
        }
        for (size_t k = 0; k < MODULE_FUNCTIONS; k++)
            assert_int_equal (n[k], 3);
        assert_int_equal (n[MODULE_FUNCTIONS], 8);
        assert_int_equal (module_public (task), 8);
        for (size_t k = 0; k < MODULE_FUNCTIONS; k++) {
            const json_t *one = module_function (task, k),
                         *other = module_function (task, (k + 1) % MODULE_FUNCTIONS);
            assert_string_not_equal (family_text (one, "id"), family_text (other, "id"));
            assert_non_null (strstr (family_text (task, "brief"), family_text (one, "brief")));
        }
        json_decref (task);
    }
    task_set_destroy (&set);
    task_set_destroy (&again);
}

/*  Each seat reads its own brief; who writes everything reads everything. */
static void a_coder_reads_its_own_brief (void **state)
{
    (void) state;
    json_t *task = json_loads ("{\"brief\":\"f: A\\ng: B\\nh: C\",\"functions\":[{\"brief\":\"A\"},"
                               "{\"brief\":\"B\"},{\"brief\":\"C\"}]}",
                               0, NULL);
    static const char *const cases[][2] = {{"f", "A\n# f\n"},
                                           {"h", "C\n# h\n"},
                                           {"solo", "f: A\ng: B\nh: C\n# solo\n"},
                                           {"planner", "f: A\ng: B\nh: C\n# planner\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_t prompt = {0};
        module_observe (task, cases[i][0], &prompt);
        assert_string_equal (prompt.data, cases[i][1]);
        buf_free (&prompt);
    }
    json_decref (task);
}

/*  Python is asked, not the generator: names functions by what they give for many lists, and ends
 *  with an error when a held-out one (H) is trained on (T) or stands in a text of the corpus
 *  (X). */
static const char functions_py[] =
    "import json, random, re\n"
    "random.seed (1)\n"
    "lists = [[random.randint (-12, 20) for _ in range (n % 10)] for n in range (1000)]\n"
    "seen = {'H': set (), 'T': set (), 'X': set ()}\n"
    "for kind, source in json.loads (DATA):\n"
    "    room = {}\n"
    "    try:\n"
    "        exec (source, room)\n"
    "    except SyntaxError:\n"
    "        assert kind == 'X', source\n"
    "    for name, star in re.findall (r'def ([fgh])\\((\\*?)', source) if room else ():\n"
    "        f = room.get (name)\n"
    "        if f:\n"
    "            seen[kind].add (repr ([f (*xs) if star else f (xs) for xs in lists]))\n"
    "assert len (seen['H'] | seen['T']) == 586, len (seen['H'] | seen['T'])\n"
    "assert len (seen['X']) > 300, len (seen['X'])\n"
    "assert not seen['H'] & (seen['T'] | seen['X'])\n";

static void functions_add_tasks (const task_set_t *set, task_split_t split, json_t *data)
{
    for (size_t i = 0; i < task_set_size (set, split); i++) {
        json_t *task = task_of (set, split, i);
        buf_t source = {0};
        for (size_t k = 0; k < MODULE_FUNCTIONS; k++) {
            size_t parts[3];
            module_get_parts (task, k, parts);
            buf_printf (&source, "def %s(xs): return ", module_names[k]);
            composition_body (parts, &source);
            buf_char (&source, '\n');
        }
        json_array_append_new (
            data, json_pack ("[s, s]", split == TASK_HELDOUT ? "H" : "T", source.data));
        buf_free (&source);
        json_decref (task);
    }
}

static void functions_add_texts (json_t *data)
{
    err_t err = {0};
    task_options_t options = builtin_options ("module", "plain");
    corpus_t *corpus = corpus_new (&options, &err);
    assert_non_null (corpus);
    for (uint64_t i = 0; i < 4000; i++) {
        buf_t prompt = {0}, text = {0};
        assert_int_equal (corpus_get (corpus, i, &prompt, &text, &err), 0);
        if (strncmp (text.data, "def ", 4) == 0)
            json_array_append_new (data, json_pack ("[s, s]", "X", text.data));
        /* The mates' texts before it. */
        for (const char *at = prompt.data; (at = strstr (at, ":\ndef ")); at++) {
            const char *end = strstr (at, "\n\n");
            json_array_append_new (data, json_pack ("[s, s%]", "X", at + 2, (int) (end - at - 2)));
        }
        buf_free (&prompt);
        buf_free (&text);
    }
    corpus_destroy (&corpus);
}

static void a_held_out_function_is_seen_nowhere_else (void **state)
{
    (void) state;
    task_set_t *set = open_set ("module", "plain");
    json_t *data = json_array ();
    functions_add_tasks (set, TASK_TRAIN, data);
    functions_add_tasks (set, TASK_HELDOUT, data);
    functions_add_texts (data);
    python_agrees (functions_py, data);
    json_decref (data);
    task_set_destroy (&set);
}

/*  ---- the score ------------------------------------------------------------------------------ */

/*  f: the sum, g: the number, h: the largest. */
static const char module[] =
    "{\"id\":\"m\",\"family\":\"module\",\"brief\":\"b\",\"public\":4,"
    "\"given\":\"def main(*xs):\\n    return [f(*xs), g(*xs), h(*xs)]\","
    "\"functions\":[{\"brief\":\"sum\"},{\"brief\":\"number\"},{\"brief\":\"largest\"}],"
    "\"tests\":[{\"call\":\"f\",\"args\":[[1,2]],\"result\":3},"
    "{\"call\":\"g\",\"args\":[[1,2]],\"result\":2},"
    "{\"call\":\"h\",\"args\":[[1,2]],\"result\":2},"
    "{\"call\":\"main\",\"args\":[[1,2]],\"result\":[3,2,2]},"
    "{\"call\":\"f\",\"args\":[[5,7,1]],\"result\":13},"
    "{\"call\":\"g\",\"args\":[[5,7,1]],\"result\":3},"
    "{\"call\":\"h\",\"args\":[[5,7,1]],\"result\":7},"
    "{\"call\":\"main\",\"args\":[[5,7,1]],\"result\":[13,3,7]}]}";

static episode_t *play (const char *const *roles, size_t n, const char *const *texts)
{
    err_t err = {0};
    episode_limits_t limits = {.tokens = 80};
    episode_t *e = episode_new (module, roles, n, &limits, &err);
    if (!e)
        fail_msg ("%s", err.text);
    for (size_t r = 0; r < n; r++) {
        episode_action_t action = {.text = texts[r], .size = strlen (texts[r]), .tokens = 20};
        assert_int_equal (episode_act (e, r, &action, &err), 0);
    }
    assert_int_equal (episode_step (e, &err), 0);
    return e;
}

static json_t *run (void *sandbox, const json_t *request, err_t *err)
{
    return sandbox_run (sandbox, request, err);
}

static const char *const team[] = {"f", "g", "h"}, *const solo[] = {"solo"};

#define F  "def f(xs):\n    return sum(xs)"
#define G  "def g(xs):\n    return len(xs)"
#define H  "def h(xs):\n    return max(xs, default=0)"
#define FS "def f(*xs):\n    return sum(xs)"
#define GS "def g(*xs):\n    return len(xs)"
#define HS "def h(*xs):\n    return max(xs, default=0)"

static void all_parts_and_their_agreement_count (void **state)
{
    static const struct {
        const char *texts[3];
        double quality;
        bool success, agreement;
        double local[3];
        const char *verdict;
    } cases[] = {
        {{F, G, H},
         1,
         true,
         true,
         {1, 1, 1},
         "f(xs) 2 of 2, g(xs) 2 of 2, h(xs) 2 of 2, main 2 of 2"},
        {{FS, GS, HS},
         1,
         true,
         true,
         {1, 1, 1},
         "f(*xs) 2 of 2, g(*xs) 2 of 2, h(*xs) 2 of 2, main 2 of 2"},
        /* Each is right, and they do not fit. */
        {{F, GS, H},
         0.1 + 0.5 * 3 / 4,
         false,
         false,
         {1, 1, 1},
         "f(xs) 2 of 2, g(*xs) 2 of 2, h(xs) 2 of 2, main 0 of 2"},
        /* One is wrong for one list of the two. */
        {{F, G, "def h(xs):\n    return 2"},
         0.1 + 0.5 * (1 + 1 + 0.5 + 0.5) / 4,
         false,
         true,
         {1, 1, 0.75},
         "f(xs) 2 of 2, g(xs) 2 of 2, h(xs) 1 of 2, main 1 of 2"},
        /* One is missing, or another one than was asked for. */
        {{F, G, "nothing"},
         0.1 * 2 / 3 + 0.5 * 2 / 4,
         false,
         false,
         {1, 1, 0},
         "f(xs) 2 of 2, g(xs) 2 of 2, h: no code that Python can read, main 0 of 2"},
        {{F, "def h(xs):\n    return 0", H},
         0.1 + 0.5 * 2 / 4,
         false,
         false,
         {1, 0.25, 1},
         "f(xs) 2 of 2, g: not defined, h(xs) 2 of 2, main 0 of 2"},
        {{"", "", ""},
         0,
         false,
         false,
         {0, 0, 0},
         "f: no code that Python can read, g: no code that Python can read, "
         "h: no code that Python can read, main 0 of 2"},
    };
    const task_sandbox_t lent = {.self = *state, .run = run};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_t err = {0};
        reward_score_t s;
        episode_t *e = play (team, 3, cases[i].texts);
        if (module_score (e, &(task_capabilities_t){.sandbox = &lent}, &s, &err) != 0)
            fail_msg ("%s", err.text);
        assert_string_equal (s.verdict, cases[i].verdict);
        if (fabs (s.quality - cases[i].quality) > 1e-9)
            fail_msg ("case %zu: quality %g, wanted %g", i, s.quality, cases[i].quality);
        assert_int_equal (s.success, cases[i].success);
        assert_true (fabs (s.agreement - cases[i].agreement) < 1e-9);
        if (s.local_n != 3)
            fail_msg ("case %zu: %zu local parts", i, s.local_n);
        for (size_t k = 0; k < 3; k++) {
            assert_string_equal (s.local[k].name, team[k]);
            if (fabs (s.local[k].value - cases[i].local[k]) > 1e-9)
                fail_msg ("case %zu: local %g of %s", i, s.local[k].value, team[k]);
        }
        assert_true (s.unused < 0);
        episode_destroy (&e);
    }
}

/*  One that does everything may write what it likes besides. */
static void a_single_agent_hands_in_all_of_it (void **state)
{
    static const struct {
        const char *text;
        bool success;
    } cases[] = {{F "\n" G "\n" H, true},
                 {FS "\n" GS "\n" HS, true},
                 {"def all_of(xs):\n    return xs\n" F "\n" G
                  "\ndef h(xs):\n    return max(all_of(xs), default=0)",
                  true},
                 {"f = sum\ng = len\n" H, true},
                 {F "\n" GS "\n" H, false},
                 {F "\n" G, false}};
    const task_sandbox_t lent = {.self = *state, .run = run};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_t err = {0};
        reward_score_t s;
        episode_t *e = play (solo, 1, &cases[i].text);
        if (module_score (e, &(task_capabilities_t){.sandbox = &lent}, &s, &err) != 0)
            fail_msg ("%s", err.text);
        if (s.success != cases[i].success)
            fail_msg ("case %zu: %s", i, s.verdict);
        assert_int_equal (s.local_n, 1);
        assert_string_equal (s.local[0].name, "solo");
        episode_destroy (&e);
    }
}

/*  What may be seen is the first list; h is wrong only for the second one. */
static void tools_show_the_public_examples (void **state)
{
    static const struct {
        const char *tool, *h, *verdict;
        bool success;
    } cases[] = {{"test", "def h(xs):\n    return 2",
                  "f(xs) 1 of 1, g(xs) 1 of 1, h(xs) 1 of 1, main 1 of 1", true},
                 {"test", HS, "f(xs) 1 of 1, g(xs) 1 of 1, h(*xs) 1 of 1, main 0 of 1", false},
                 {"lint", HS, "no findings", true},
                 {"lint", "def h(", "h: no code that Python can read", false}};
    const task_sandbox_t lent = {.self = *state, .run = run};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_t err = {0};
        reward_score_t found = {0};
        const char *texts[] = {F, G, cases[i].h};
        episode_t *e = play (team, 3, texts);
        if (module_tool (cases[i].tool, e, &(task_capabilities_t){.sandbox = &lent}, &found,
                         &err) != 0)
            fail_msg ("%s", err.text);
        assert_string_equal (found.verdict, cases[i].verdict);
        assert_int_equal (found.success, cases[i].success);
        episode_destroy (&e);
    }
}

/*  ---- users' own ----------------------------------------------------------------------------- */

#define OWN "\"id\":\"o\",\"f\":\"A\",\"g\":\"B\",\"h\":\"C\""

static void an_own_module_becomes_one_like_the_built_in_ones (void **state)
{
    (void) state;
    err_t err = {0};
    json_t *task = json_loads ("{" OWN ",\"public\":1,\"tests\":[{\"xs\":[1,2],\"f\":3,\"g\":2,"
                               "\"h\":2},{\"xs\":[],\"f\":0,\"g\":0,\"h\":[]}]}",
                               0, NULL);
    if (module_adopt (task, &err) != 0)
        fail_msg ("%s", err.text);
    assert_string_equal (family_text (task, "brief"), "f: A\ng: B\nh: C");
    assert_int_equal (module_public (task), 4);
    char *tests = json_dumps (json_object_get (task, "tests"), JSON_COMPACT);
    assert_string_equal (tests, "[{\"call\":\"f\",\"args\":[[1,2]],\"result\":3},"
                                "{\"call\":\"g\",\"args\":[[1,2]],\"result\":2},"
                                "{\"call\":\"h\",\"args\":[[1,2]],\"result\":2},"
                                "{\"call\":\"main\",\"args\":[[1,2]],\"result\":[3,2,2]},"
                                "{\"call\":\"f\",\"args\":[[]],\"result\":0},"
                                "{\"call\":\"g\",\"args\":[[]],\"result\":0},"
                                "{\"call\":\"h\",\"args\":[[]],\"result\":[]},"
                                "{\"call\":\"main\",\"args\":[[]],\"result\":[0,0,[]]}]");
    buf_t prompt = {0};
    module_observe (task, "g", &prompt);
    assert_string_equal (prompt.data, "B\n# g\n");
    buf_free (&prompt);
    free (tests);
    json_decref (task);
}

static void a_mistake_in_an_own_module_is_named (void **state)
{
    (void) state;
    static const char *const cases[][2] = {
        {"\"id\":\"o\",\"f\":\"A\",\"g\":\"B\"", "needs \"h\": what that function shall do"},
        {OWN, "needs \"tests\""},
        {OWN ",\"tests\":[]", "needs \"tests\""},
        {OWN ",\"tests\":[{\"xs\":[1],\"f\":1,\"g\":1}]", "tests[0] needs \"xs\""},
        {OWN ",\"tests\":[{\"xs\":1,\"f\":1,\"g\":1,\"h\":1}]", "tests[0] needs \"xs\""},
        {OWN ",\"tests\":[{\"xs\":[1],\"f\":1,\"g\":1,\"k\":1}]", "tests[0].k: no such key"},
        {OWN ",\"tests\":[7]", "tests[0] needs \"xs\""},
        {OWN ",\"public\":2,\"tests\":[{\"xs\":[1],\"f\":1,\"g\":1,\"h\":1}]",
         "\"public\" is how many of the 1 tests"},
        {"\"f\":\"A\",\"g\":\"B\",\"h\":\"C\",\"tests\":[{\"xs\":[1],\"f\":1,\"g\":1,\"h\":1}]",
         "needs \"id\""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_t err = {0};
        buf_t text = {0};
        buf_printf (&text, "{%s}", cases[i][0]);
        json_t *task = json_loads (text.data, 0, NULL);
        assert_non_null (task);
        assert_int_equal (module_adopt (task, &err), -1);
        if (!strstr (err.text, cases[i][1]))
            fail_msg ("'%s' is wanted, got '%s'", cases[i][1], err.text);
        json_decref (task);
        buf_free (&text);
    }
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (a_module_has_three_functions_and_their_tests),
        cmocka_unit_test (a_coder_reads_its_own_brief),
        cmocka_unit_test (a_held_out_function_is_seen_nowhere_else),
        cmocka_unit_test_setup_teardown (all_parts_and_their_agreement_count, sandbox_setup,
                                         sandbox_teardown),
        cmocka_unit_test_setup_teardown (a_single_agent_hands_in_all_of_it, sandbox_setup,
                                         sandbox_teardown),
        cmocka_unit_test_setup_teardown (tools_show_the_public_examples, sandbox_setup,
                                         sandbox_teardown),
        cmocka_unit_test (an_own_module_becomes_one_like_the_built_in_ones),
        cmocka_unit_test (a_mistake_in_an_own_module_is_named)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}

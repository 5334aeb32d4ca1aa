/*  How episodes are scored: by seats' names, in their last state, in any alphabet, at any
 *  length. */
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

#include "task/families.h"
#include "task/family.h"
#include "task/reward.h"
#include "task/words.h"
#include "score_fixture.h"

#define SUMMARY                                                                                    \
    "# Summary\nWe see the grey light of the garden in winter. Moreover, we admire the colours."
#define DETAILS                                                                                    \
    "# Details\nIn winter we see the grey light of the garden. Moreover, we find the old walls. "  \
    "However, we love the quiet paths. Therefore, we enjoy the colours. In conclusion, we notice " \
    "the cold water."
#define GARDEN                                                                                     \
    "{\"id\":\"w\",\"family\":\"writing\",\"brief\":\"Write about the garden in winter.\","        \
    "\"terms\":[\"garden\",\"winter\"]}"

/*  Plays turns of texts: text[t * roles_n + r] is what role r writes in turn t. */
static episode_t *play (const char *task, const char *const *roles, size_t roles_n,
                        const char *const *text, size_t turns)
{
    err_t err = {0};
    episode_limits_t limits = {.tokens = 96, .turns = turns};
    episode_t *e = episode_new (task, roles, roles_n, &limits, &err);
    if (!e)
        fail_msg ("%s", err.text);
    for (size_t t = 0; t < turns; t++) {
        for (size_t r = 0; r < roles_n; r++) {
            const char *said = text[t * roles_n + r];
            episode_action_t action = {.text = said, .size = strlen (said), .tokens = 24};
            assert_int_equal (episode_act (e, r, &action, &err), 0);
        }
        assert_int_equal (episode_step (e, &err), 0);
    }
    assert_true (episode_done (e));
    return e;
}

/*  Scores an episode and ends it. */
static reward_score_t score_of (const char *family, episode_t *e, const task_sandbox_t *sandbox)
{
    err_t err = {0};
    reward_score_t score;
    if (family_find (family)->score (e, &(task_capabilities_t){.sandbox = sandbox}, &score, &err))
        fail_msg ("%s", err.text);
    episode_destroy (&e);
    return score;
}

static double quality_of (const char *const *roles, size_t roles_n, const char *const *text,
                          size_t turns)
{
    return score_of ("writing", play (GARDEN, roles, roles_n, text, turns), NULL).quality;
}

/*  By itself a summary is as good as it was, whatever the details say twice. */
static void writers_have_local_parts (void **state)
{
    (void) state;
    static const char *const roles[] = {"summary", "details"};
    static const char *const good[] = {SUMMARY, DETAILS};
    static const char *const bad[] = {SUMMARY, "You see it all. You see it all. You see it all."};
    reward_score_t s = score_of ("writing", play (GARDEN, roles, 2, good, 1), NULL);
    assert_int_equal (s.local_n, 2);
    assert_string_equal (s.local[0].name, "summary");
    assert_string_equal (s.local[1].name, "details");
    assert_true (s.local[0].value > 0.999 && s.local[1].value > 0.999);
    double before = s.local[0].value;
    s = score_of ("writing", play (GARDEN, roles, 2, bad, 1), NULL);
    assert_true (fabs (s.local[0].value - before) < 1e-12);
    if (!(s.local[1].value < 0.5))
        fail_msg ("details: %g", s.local[1].value);
}

/*  The sandbox as tools see it: notes what it was asked, and answers as it was told. */
typedef struct {
    const char *answer;
    json_t *asked;
} sandbox_twin_t;

static json_t *twin_run (void *self, const json_t *request, err_t *err)
{
    sandbox_twin_t *twin = self;
    (void) err;
    json_decref (twin->asked);
    twin->asked = json_deep_copy (request);
    return json_loads (twin->answer, 0, NULL);
}

/*  A test shows what a task lets be seen, and the other tests go nowhere near it. */
static void tools_know_the_public_examples_alone (void **state)
{
    (void) state;
    static const char *const roles[] = {"aux", "main"};
    static const char *const text[] = {"def aux(x): return x", "def main(x): return aux(x)"};
#define TESTS "\"tests\":[{\"args\":[1],\"result\":1},{\"args\":[\"hidden\"],\"result\":2}]"
#define TASK  "{\"id\":\"c\",\"family\":\"coding\",\"brief\":\"b\",\"entry_point\":\"main\"," TESTS
    static const struct {
        const char *task, *tool, *answer, *verdict;
        bool success;
    } cases[] = {
        {TASK ",\"public\":1}", "test", "{\"results\":[[\"right\"]]}", "1 of 1 examples", true},
        {TASK ",\"public\":1}", "test", "{\"results\":[[\"wrong\",\"3\"]]}",
         "0 of 1 examples; main(1) gave 3, not 1", false},
        {TASK ",\"parts\":[0,0,0]}", "test", "{\"results\":[[\"right\"],[\"wrong\",\"3\"]]}",
         "1 of 2 examples; main(\"hidden\") gave 3, not 2", false},
        {TASK "}", "lint", "{\"seats\":[[true,true],[true,false]]}", "main: is not defined", false},
        {TASK "}", "lint", "{\"seats\":[[false,false],[true,true]]}",
         "aux: no code that Python can read", false},
        {TASK "}", "lint", "{\"seats\":[[true,true],[true,true]]}", "no findings", true},
    };
    const family_t *family = family_find ("coding");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sandbox_twin_t twin = {.answer = cases[i].answer};
        task_sandbox_t sandbox = {.self = &twin, .run = twin_run};
        episode_t *e = play (cases[i].task, roles, 2, text, 1);
        reward_score_t found = {0};
        err_t err = {0};
        if (family->tool (cases[i].tool, e, &(task_capabilities_t){.sandbox = &sandbox}, &found,
                          &err) != 0)
            fail_msg ("%s", err.text);
        assert_string_equal (found.verdict, cases[i].verdict);
        assert_int_equal (found.success, cases[i].success);
        char *asked = json_dumps (twin.asked, JSON_COMPACT);
        assert_int_equal (strstr (asked, "hidden") != NULL, i == 2);
        free (asked);
        json_decref (twin.asked);
        episode_destroy (&e);
    }
    sandbox_twin_t twin = {.answer = "{}"};
    task_sandbox_t sandbox = {.self = &twin, .run = twin_run};
    episode_t *e = play (TASK "}", roles, 2, text, 1);
    reward_score_t found = {0};
    err_t err = {0};
    assert_int_equal (
        family->tool ("test", e, &(task_capabilities_t){.sandbox = &sandbox}, &found, &err), -1);
    assert_int_equal (err.code, ERR_INPUT);
    assert_non_null (strstr (err.text, "no test of task 'c' may be seen: \"public\": N"));
    assert_null (twin.asked);
    episode_destroy (&e);
}

/*  An episode that ends early is faster, and has cost fewer turns and tools. */
static void turns_and_tools_cost (void **state)
{
    (void) state;
    static const char *const roles[] = {"main"};
    static const char protocol[] = "[{\"does\":{\"main\":[\"draft\"]}},"
                                   "{\"does\":{\"main\":[\"test\"]},\"until\":\"passed\"},"
                                   "{\"does\":{\"main\":[\"repair\"]}}]";
    static const struct {
        bool passes;
        const char *repair;
        double speed, turns, invalid, tools;
    } cases[] = {{true, NULL, 0.75, 0, 0, 1},
                 {false, "y", 0.5, 1, 0, 1},
                 {false, "x", 0.5, 1, 1 / 3.0, 1}}; /* a repair that changes nothing */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        episode_limits_t limits = {.tokens = 96, .protocol = protocol};
        err_t err = {0};
        episode_t *e = episode_new (TASK ",\"public\":1}", roles, 1, &limits, &err);
        episode_action_t action = {.text = "x", .size = 1, .tokens = 48};
        assert_int_equal (episode_act (e, 0, &action, &err), 0);
        assert_int_equal (episode_step (e, &err), 0);
        assert_int_equal (episode_found (e, 0, cases[i].passes, 1, "", &err), 0);
        assert_int_equal (episode_step (e, &err), 0);
        assert_int_equal (episode_done (e), cases[i].passes);
        if (!episode_done (e)) {
            action.text = cases[i].repair;
            assert_int_equal (episode_act (e, 0, &action, &err), 0);
            assert_int_equal (episode_step (e, &err), 0);
        }
        assert_true (episode_done (e));
        reward_score_t score = {.quality = 1, .unused = -1};
        reward_t reward;
        assert_int_equal (reward_join (e, &(reward_weights_t){1, 1, 1}, &score, &reward, &err), 0);
        const double wanted[] = {cases[i].turns, cases[i].invalid, cases[i].tools};
        static const char *const names[] = {"turns", "invalid", "tools"};
        assert_true (fabs (reward.speed - cases[i].speed) < 1e-12);
        assert_int_equal (reward.parts_n, 3);
        for (size_t p = 0; p < 3; p++) {
            assert_string_equal (reward.parts[p].name, names[p]);
            if (fabs (reward.parts[p].value - wanted[p]) > 1e-12)
                fail_msg ("case %zu: %s %g, wanted %g", i, names[p], reward.parts[p].value,
                          wanted[p]);
        }
        episode_destroy (&e);
    }
}

static void every_family_of_the_table_is_whole (void **state)
{
    (void) state;
#define NAME(name) #name,
    static const char *const names[] = {TASK_FAMILIES (NAME)};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const family_t *f = family_find (names[i]);
        assert_non_null (f);
        assert_string_equal (f->name, names[i]);
        assert_true (f->builtin && f->generate && f->adopt && f->observe && f->merge && f->score &&
                     f->turns > 0);
        /* Where a program says who observes what, seats and texts are its own. */
        assert_true (f->by_program || (f->imagine && f->corpus_roles && f->roles[0]));
        for (const char *const *style = f->styles; *style; style++)
            assert_true (f->builtin (*style) > 0);
        assert_string_equal (f->styles[0], "plain");
        for (const char *const *role = f->corpus_roles; role && *role; role++)
            assert_true (family_asks (f, "plain", *role));
    }
    assert_null (family_find ("no such family"));
}

static void the_last_turn_counts (void **state)
{
    (void) state;
    static const char *const roles[] = {"summary", "details"};
    static const char *const better[] = {"mumble", "jumble", SUMMARY, DETAILS};
    static const char *const worse[] = {SUMMARY, DETAILS, "mumble", "jumble"};
    double once = quality_of (roles, 2, better + 2, 1);
    assert_true (once > 0.9);
    assert_true (fabs (quality_of (roles, 2, better, 2) - once) < 1e-12);
    assert_true (quality_of (roles, 2, worse, 2) < 0.3);
}

static void seats_are_found_by_name (void **state)
{
    (void) state;
    static const char *const usual[] = {"summary", "details"}, *const other[] = {"details",
                                                                                 "summary"};
    static const char *const texts[] = {SUMMARY, DETAILS}, *const swapped[] = {DETAILS, SUMMARY};
    assert_true (fabs (quality_of (usual, 2, texts, 1) - quality_of (other, 2, swapped, 1)) <
                 1e-12);
    episode_t *e = play (GARDEN, other, 2, swapped, 1);
    assert_string_equal (json_string_value (json_object_get (episode_json (e), "artifact")),
                         SUMMARY "\n\n" DETAILS);
    episode_destroy (&e);
    /* A single seat's missing half is an empty one. */
    static const char *const alone[] = {"details"};
    assert_true (quality_of (alone, 1, swapped, 1) < quality_of (usual, 2, texts, 1));
}

/*  A text beyond what any fixed buffer would hold: the second half, behind the line, still
 *  counts. */
static void long_texts_are_read_to_their_end (void **state)
{
    (void) state;
    static const char *const roles[] = {"solo"};
    buf_t text = {0};
    buf_text (&text, SUMMARY);
    for (int i = 0; i < 3000; i++)
        buf_printf (&text, " Moreover, we find %d walls.", i);
    buf_text (&text, "\n---\n" DETAILS);
    assert_true (text.size > 65536);
    const char *texts[] = {text.data};
    reward_score_t s = score_of ("writing", play (GARDEN, roles, 1, texts, 1), NULL);
    assert_true (part_of (&s, "headings") > 0.99 && part_of (&s, "transitions") > 0.99);
    buf_free (&text);
}

static double terms_part (const char *term, const char *text)
{
    static const char *const roles[] = {"summary", "details"};
    char task[512];
    snprintf (task, sizeof task,
              "{\"id\":\"w\",\"family\":\"writing\",\"brief\":\"b\",\"terms\":[\"%s\"]}", term);
    const char *texts[] = {text, text};
    reward_score_t s = score_of ("writing", play (task, roles, 2, texts, 1), NULL);
    return part_of (&s, "terms");
}

static void terms_are_of_any_alphabet (void **state)
{
    (void) state;
    static const struct {
        const char *term, *in, *notin;
    } cases[] = {
        {"garden", "The GARDEN sleeps.", "The gardener sleeps."},
        {"Bäume", "Alte BÄUME stehen da.", "Ein Baum steht da."},
        {"straße", "Die STRASSE ist lang.", "Strassenbahnen fahren."},
        {"caf\xc3\xa9", "Un cafe\xcc\x81 noir.", "Une cafetière."},
        {"θάλασσα", "Η ΘΆΛΑΣΣΑ είναι γαλάζια.", "Το βουνό."},
        {"море", "Синее Море шумит.", "Моряк спит."},
        {"花园", "冬天的花园很安静。", "冬天的公园很安静。"},
        {"สวน", "ฉันรักสวนนี้", "ฉันรักบ้านนี้"},
        {"l'hiver", "Pendant l\xe2\x80\x99hiver on dort.", "Un hiver."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (fabs (terms_part (cases[i].term, cases[i].in) - 1) > 1e-12)
            fail_msg ("'%s' was not found in '%s'", cases[i].term, cases[i].in);
        if (terms_part (cases[i].term, cases[i].notin) > 1e-12)
            fail_msg ("'%s' was found in '%s'", cases[i].term, cases[i].notin);
    }
}

static void sentences_end_in_any_script (void **state)
{
    (void) state;
    static const char *const ends[] = {"So it is.", "So it is!\"", "是的。",
                                       "是吗？」",  "هل؟",         "ja …"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (!words_closed (ends[i]))
            fail_msg ("'%s' ends a sentence", ends[i]);
    assert_false (words_closed ("so it"));
    assert_false (words_closed (""));
    words_t sentences = {0};
    words_split_sentences ("Der Ärger ist groß. DER ÄRGER IST GROSS! 花园很安静。花园很安静。",
                           &sentences);
    assert_int_equal (sentences.n, 4);
    assert_int_equal (words_distinct (&sentences), 2);
    words_free (&sentences);
}

/*  Long texts of many turns: 60,000 words before an action, all of it seen. Comparing every 4-gram
 *  with every other one would take a minute. */
static void much_text_is_compared_whole (void **state)
{
    (void) state;
    words_t own = {0}, seen = {0};
    buf_t text = {0};
    for (int i = 0; i < 60000; i++)
        buf_printf (&text, "w%d ", i * 7919 % 60000);
    words_split (text.data, &own);
    buf_clear (&text);
    for (int i = 0; i < 60000; i++)
        buf_printf (&text, "w%d ", i < 30000 ? i * 7919 % 60000 : 60000 + i);
    words_split (text.data, &seen);
    assert_int_equal (own.n, 60000);
    double share = words_shared_grams (&own, &seen);
    if (fabs (share - 29997.0 / 59997.0) > 1e-9)
        fail_msg ("%.12g", share);
    assert_false (words_failed (&own) || words_failed (&seen));
    words_free (&own);
    words_free (&seen);
    buf_free (&text);
}

/*  A sandbox in which every program passes its tests, and in which nobody called a helper. */
static json_t *pass_all (void *self, const json_t *request, err_t *err)
{
    (void) err;
    json_t *results = json_array ();
    for (size_t i = 0; i < json_array_size (json_object_get (request, "calls")); i++)
        json_array_append_new (results, json_pack ("[s]", "right"));
    return json_pack ("{s:b, s:b, s:i, s:o}", "syntax", 1, "defined", 1, "watched",
                      self ? *(int *) self : 0, "results", results);
}

static bool coding_succeeds (const char *more, const char *const *roles, size_t roles_n,
                             int watched)
{
    char task[256];
    const char *const texts[] = {"a", "b"};
    const task_sandbox_t sandbox = {.self = &watched, .run = pass_all};
    snprintf (task, sizeof task,
              "{\"id\":\"c\",\"family\":\"coding\",\"brief\":\"b\",\"entry_point\":\"main\",%s"
              "\"tests\":[{\"args\":[1],\"result\":1}]}",
              more);
    return score_of ("coding", play (task, roles, roles_n, texts, 1), &sandbox).success;
}

static void a_single_agent_needs_no_helper_in_tasks_of_one_s_own (void **state)
{
    (void) state;
    static const char *const solo[] = {"solo"}, *const alone[] = {"main"},
                             *const two[] = {"main", "aux"};
    static const char ours[] = "\"parts\":[1,2,3],";
    assert_true (coding_succeeds ("", solo, 1, 0));
    assert_true (coding_succeeds ("", alone, 1, 0));
    assert_true (coding_succeeds (ours, alone, 1, 0));
    assert_false (coding_succeeds (ours, solo, 1, 0)); /* there it writes both */
    assert_true (coding_succeeds (ours, solo, 1, 1));
    assert_false (coding_succeeds ("", two, 2, 0)); /* a seat for a helper that nobody called */
    assert_true (coding_succeeds ("", two, 2, 1));
}

/*  What a program says when it fails is text of its own making, and any length of it. */
static json_t *complain (void *self, const json_t *request, err_t *err)
{
    (void) request, (void) err;
    return json_pack ("{s:b, s:s}", "syntax", 1, "why", (const char *) self);
}

static void a_program_s_own_words_stay_text (void **state)
{
    (void) state;
    static const char *const roles[] = {"solo"}, *const texts[] = {"a"};
    char why[1200];
    for (size_t shift = 0; shift < 3; shift++) {
        memset (why, 'x', sizeof why);
        why[sizeof why - 1] = 0;
        for (size_t i = shift; i + 3 < sizeof why; i += 3)
            memcpy (why + i, "花", 3);
        const task_sandbox_t sandbox = {.self = why, .run = complain};
        reward_score_t s = score_of (
            "coding",
            play ("{\"id\":\"c\",\"family\":\"coding\",\"brief\":\"b\",\"entry_point\":\"f\","
                  "\"tests\":[{\"args\":[],\"result\":1}]}",
                  roles, 1, texts, 1),
            &sandbox);
        json_t *whole = json_string (s.verdict); /* NULL where half a character stands */
        assert_non_null (whole);
        json_decref (whole);
    }
}

/*  One test of long arguments, answered with a long text of another alphabet. */
static json_t *fail_all (void *self, const json_t *request, err_t *err)
{
    (void) request, (void) err;
    return json_pack ("{s:b, s:b, s:[[s, s]]}", "syntax", 1, "defined", 1, "results", "wrong",
                      (const char *) self);
}

static void a_verdict_cuts_what_is_long_and_keeps_its_alphabet (void **state)
{
    (void) state;
    static const char *const roles[] = {"solo"}, *const texts[] = {"a"};
    char task[600];
    buf_t got = {0}, args = {0};
    buf_text (&got, "'");
    for (size_t i = 0; i < 100; i++) {
        buf_text (&got, "é");
        buf_text (&args, "7");
    }
    snprintf (task, sizeof task,
              "{\"id\":\"c\",\"family\":\"coding\",\"brief\":\"b\",\"entry_point\":\"f\",\"tests\":"
              "[{\"args\":[\"%s\"],\"result\":\"größer\"}]}",
              args.data);
    const task_sandbox_t sandbox = {.self = got.data, .run = fail_all};
    reward_score_t s = score_of ("coding", play (task, roles, 1, texts, 1), &sandbox);
    if (!strstr (s.verdict, "f(\"777") || !strstr (s.verdict, "777…) gave 'ééé") ||
        !strstr (s.verdict, "ééé…, not \"größer\""))
        fail_msg ("%s", s.verdict);
    buf_free (&got);
    buf_free (&args);
}

static void no_sandbox_no_score (void **state)
{
    (void) state;
    static const char *const roles[] = {"solo"}, *const texts[] = {"a"};
    err_t err = {0};
    reward_score_t score;
    episode_t *e = play ("{\"id\":\"c\",\"family\":\"coding\",\"brief\":\"b\",\"tests\":[]}", roles,
                         1, texts, 1);
    assert_int_equal (family_find ("coding")->score (e, &(task_capabilities_t){0}, &score, &err),
                      -1);
    assert_int_equal (err.code, ERR_CONFIG);
    episode_destroy (&e);
}

static void a_long_verdict_ends_in_an_ellipsis (void **state)
{
    (void) state;
    reward_score_t score;
    char text[REWARD_VERDICT_MAX + 200];
    for (size_t shift = 0; shift < 4; shift++) {
        memset (text, 'x', sizeof text);
        text[sizeof text - 1] = 0;
        for (size_t i = shift; i + 3 < sizeof text; i += 3)
            memcpy (text + i, "花", 3);
        reward_set_verdict (&score, text);
        size_t n = strlen (score.verdict);
        assert_true (n < sizeof score.verdict && n > sizeof score.verdict - 8);
        assert_string_equal (score.verdict + n - strlen ("…"), "…");
        json_t *whole = json_string (score.verdict); /* NULL where half a character stands */
        assert_non_null (whole);
        json_decref (whole);
    }
    reward_set_verdict (&score, "good");
    assert_string_equal (score.verdict, "good");
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (tools_know_the_public_examples_alone),
        cmocka_unit_test (turns_and_tools_cost),
        cmocka_unit_test (every_family_of_the_table_is_whole),
        cmocka_unit_test (the_last_turn_counts),
        cmocka_unit_test (seats_are_found_by_name),
        cmocka_unit_test (writers_have_local_parts),
        cmocka_unit_test (long_texts_are_read_to_their_end),
        cmocka_unit_test (terms_are_of_any_alphabet),
        cmocka_unit_test (sentences_end_in_any_script),
        cmocka_unit_test (much_text_is_compared_whole),
        cmocka_unit_test (a_single_agent_needs_no_helper_in_tasks_of_one_s_own),
        cmocka_unit_test (a_program_s_own_words_stay_text),
        cmocka_unit_test (a_verdict_cuts_what_is_long_and_keeps_its_alphabet),
        cmocka_unit_test (no_sandbox_no_score),
        cmocka_unit_test (a_long_verdict_ends_in_an_ellipsis),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

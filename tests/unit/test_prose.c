/*  How plain prose is scored: every check on texts made by hand, and what must earn nothing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "task/family.h"
#include "task/reward.h"
#include "task/writing/writing.h"
#include "score_fixture.h"

#define TASK                                                                                       \
    "{\"id\":\"w\",\"family\":\"writing\",\"style\":\"prose\",\"brief\":\"Explain how bees make "  \
    "honey.\",\"terms\":[\"bees\",\"honey\"]}"
#define SUMMARY                                                                                    \
    "Bees collect nectar from flowers and turn it into honey, which feeds the colony in winter."
#define FOUR                                                                                       \
    "First, the bees visit flowers near the hive and drink the sweet nectar. Then other workers "  \
    "chew it, because water has to leave before it keeps. However, the honey is only ready when "  \
    "the wings of many insects have dried it for days. In addition, a lid of wax closes each "     \
    "cell."
#define DETAILS FOUR " For example, one colony may store several pounds of honey in a summer."
#define LIST    "All bees make honey.\n\n1. They drink nectar from flowers.\n2. They dry it.\n"

static reward_score_t score_of (const char *task, const char *const *roles, size_t n,
                                const char *const *texts)
{
    return score_turn ("writing", task, 96, roles, n, texts);
}

static reward_score_t score_pair (const char *summary, const char *details)
{
    static const char *const roles[] = {"summary", "details"};
    const char *const texts[] = {summary, details};
    return score_of (TASK, roles, 2, texts);
}

static void good_prose_meets_every_check (void **state)
{
    (void) state;
    reward_score_t s = score_pair (SUMMARY, DETAILS);
    assert_int_equal (s.parts_n, 13); /* there is no heading, and no word of two spellings */
    for (size_t i = 0; i < s.parts_n; i++)
        if (fabs (s.parts[i].value - 1) > 1e-12)
            fail_msg ("%s: %g", s.parts[i].name, s.parts[i].value);
    assert_true (fabs (s.quality - 1) < 1e-12 && fabs (s.agreement - 1) < 1e-12 && s.success);
    assert_true (s.local_n == 2 && s.local[0].value > 0.999 && s.local[1].value > 0.999);
}

/*  Each formula at a text that misses it by a known amount. */
static void every_check_is_graded (void **state)
{
    (void) state;
    static const struct {
        const char *name, *summary, *details;
        double value;
    } cases[] = {
        {"summary_length", DETAILS, DETAILS, 4 / 25.0},
        {"details_length", SUMMARY, "The honey is made by bees. They keep it.", 1 / 16.0},
        {"sentence_length", "Bees make good honey.", "Bees make some honey. Flies make no honey.",
         1 / 4.0},
        {"length_ratio", SUMMARY, SUMMARY, 1 / 4.0},
        {"unique_words", SUMMARY,
         "The bees and the honey. The honey and the bees and the bees and the honey.",
         (1 + 4 / 16.0 / 0.6 * 4 / 16.0 / 0.6) / 2},
        {"register", SUMMARY, "It's a really sweet honey. Honey is made by bees.", 3 / 4.0},
        {"register", "Look at these bees!", "Don't they make honey? It's really good stuff.", 1},
        {"person", "I like all of this honey.", "You like all of this honey.", 1 / 2.0},
        {"person", "I like all of this honey.", "My bees make the honey. The honey is sweet.",
         3 / 4.0},
        {"spelling", "The colour of honey is gold.",
         "The color of the bees is grey. Honey is a favorite food.", 2 / 4.0},
        {"heading", "# Bees\n" SUMMARY, DETAILS, 0},
        {"heading", "# Bees\n" SUMMARY, "# Honey\n" DETAILS, 1},
        {"heading", "# Bees\n" SUMMARY, "# Honey\n**Details**\n" DETAILS, 2 / 3.0},
        {"heading", "Summary:\n" SUMMARY, "Details:\n" DETAILS, 1},
        {"transitions", SUMMARY, "The bees also make honey. However, they need flowers.", 2 / 4.0},
        {"overlap", "All nectar becomes honey.", "All water becomes ice. The nectar is sweet.", 1},
        {"overlap", SUMMARY, "Ducks swim on the lake.", 0},
        {"own_words", "Explain how bees make honey.", DETAILS, (0.3 * 0.3 + 1) / 2},
        {"own_words", "Here is how bees make honey.", DETAILS, (0.9 * 0.9 + 1) / 2},
        {"no_lists", SUMMARY, LIST, (1 + 1 / 3.0) / 2},
        {"no_lists", SUMMARY, "The bees make honey.\n- wax\n* wax\n| wax |", (1 + 1 / 4.0) / 4},
        {"closed", SUMMARY, DETAILS " However, this one was cut", 1 / 4.0},
        {"terms", SUMMARY, "The bees live in a hive.", 3 / 4.0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reward_score_t s = score_pair (cases[i].summary, cases[i].details);
        double value = part_of (&s, cases[i].name);
        if (fabs (value - cases[i].value) > 1e-9)
            fail_msg ("case %zu, %s: %.6g, wanted %.6g", i, cases[i].name, value, cases[i].value);
    }
}

/*  What would be an easy way to a reward. */
static void nothing_and_the_same_again_earn_little (void **state)
{
    (void) state;
    static const struct {
        const char *summary, *details;
        double most;
    } cases[] = {
        {"", "", 0},
        {SUMMARY, "", 0},
        {"", DETAILS, 0},
        {SUMMARY, "...", 0},
        {SUMMARY, "No. No. No. No. No.", 0},
        {SUMMARY, "1. First, bees make honey.\n2. Then bees make more honey.\n", 0},
        {SUMMARY, DETAILS " However, this one was", 0.5},
        {SUMMARY, "bees honey because however also first such as overall", 0},
        {SUMMARY,
         "Bees make honey. Bees make the honey. BEES make the honey! Bees make the honey. Bees "
         "make the honey.",
         0.25},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reward_score_t s = score_pair (cases[i].summary, cases[i].details);
        if (s.quality > cases[i].most || s.success)
            fail_msg ("case %zu: %g", i, s.quality);
    }
    /* Each sentence that stood there already costs its share of everything. */
    double once = score_pair (SUMMARY, DETAILS).quality;
    double again = score_pair (SUMMARY, DETAILS " " DETAILS).quality;
    if (fabs (again - once / 2) > 1e-9)
        fail_msg ("%g of %g", again, once);
}

/*  Numbers and short forms end no sentence; Markdown within a line does not hide words. */
static void sentences_are_those_of_a_reader (void **state)
{
    (void) state;
    reward_score_t s = score_pair (
        "Bees, i.e. the **honey** makers, fly 3.5 miles (i.e. far) to \"good flowers.\"", DETAILS);
    assert_true (part_of (&s, "summary_length") > 0.999 && part_of (&s, "terms") > 0.999);
    assert_true (part_of (&s, "closed") > 0.999);
}

static void a_single_agent_writes_both_parts (void **state)
{
    (void) state;
    static const char *const roles[] = {"solo"};
    const char *const paragraphs[] = {SUMMARY "\n\n" DETAILS};
    const char *const sentences[] = {SUMMARY " " DETAILS}, *const one[] = {SUMMARY};
    assert_true (score_of (TASK, roles, 1, paragraphs).quality > 0.999);
    assert_true (score_of (TASK, roles, 1, sentences).quality > 0.999);
    assert_true (score_of (TASK, roles, 1, one).quality < 1e-9);
}

static void topics_name_their_terms (void **state)
{
    (void) state;
    for (size_t i = 0; i < writing_topics (); i++) {
        json_t *task = writing_topic (i);
        assert_non_null (task);
        assert_int_equal (json_array_size (json_object_get (task, "terms")), 2);
        buf_t prompt = {0};
        json_object_set_new (task, "style", json_string ("prose"));
        writing_observe (task, "details", &prompt);
        assert_non_null (strstr (prompt.data, family_text (task, "brief")));
        assert_non_null (strstr (prompt.data, "four to six sentences"));
        buf_free (&prompt);
        json_decref (task);
    }
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (good_prose_meets_every_check),
        cmocka_unit_test (every_check_is_graded),
        cmocka_unit_test (nothing_and_the_same_again_earn_little),
        cmocka_unit_test (sentences_are_those_of_a_reader),
        cmocka_unit_test (a_single_agent_writes_both_parts),
        cmocka_unit_test (topics_name_their_terms),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

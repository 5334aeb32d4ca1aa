/*  What seats see of an episode, and how it travels. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "task/episode.h"
#include "task/prompt.h"
#include "task/reward.h"

/*  A role's own words take the place of what the family asks, in every turn and of every
 *  episode. */
static void a_prompt_of_ones_own_is_asked (void **state)
{
    (void) state;
    static const char *const roles[] = {"aux", "main"};
    static const char *const prompts[] = {"", "As {role}: {brief}|{ask}|{x y}{}"};
    static const char task[] = "{\"id\":\"c\",\"family\":\"coding\",\"brief\":\"Say {role}.\","
                               "\"tests\":[{\"args\":[1],\"result\":1}]}";
    err_t err = {0};
    episode_limits_t limits = {.tokens = 10, .turns = 2, .prompts = prompts};
    episode_t *first = episode_new (task, roles, 2, &limits, &err);
    if (!first)
        fail_msg ("%s", err.text);
    episode_t *e = episode_again (first, &err);
    buf_t prompt = {0}, json = {0};
    assert_int_equal (episode_observe (e, 0, &prompt, &err), 0);
    assert_string_equal (prompt.data, "Say {role}.\n# aux\n");
    buf_clear (&prompt);
    assert_int_equal (episode_observe (e, 1, &prompt, &err), 0);
    assert_string_equal (prompt.data, "As main: Say {role}.|Say {role}.\n# main\n|{x y}{}");
    for (size_t r = 0; r < 2; r++)
        assert_int_equal (episode_act (e, r, &(episode_action_t){.text = "y", .size = 1}, &err), 0);
    assert_int_equal (episode_step (e, &err), 0);
    buf_clear (&prompt);
    assert_int_equal (episode_observe (e, 1, &prompt, &err), 0);
    assert_non_null (strstr (prompt.data, "main wrote in turn 1:\ny\n\nAs main: Say {role}.|"));
    assert_int_equal (episode_state (e, &json, &err), 0);
    assert_non_null (strstr (json.data, "\"prompts\":[\"\",\"As {role}: {brief}|"));
    episode_destroy (&e);
    episode_destroy (&first);
    buf_clear (&json);
    limits.prompts = (const char *const[]){"", ""}; /* the same as none */
    e = episode_new (task, roles, 2, &limits, &err);
    assert_int_equal (episode_state (e, &json, &err), 0);
    assert_null (strstr (json.data, "prompts"));
    episode_destroy (&e);
    buf_free (&prompt);
    buf_free (&json);
}

/*  What a seat sees stands before its prompt, or where the prompt puts it. */
static void seats_see_parts_of_the_state (void **state)
{
    (void) state;
    static const char *const roles[] = {"planner", "aux", "main"};
    static const char task[] = "{\"id\":\"c\",\"family\":\"coding\",\"brief\":\"Add.\","
                               "\"tests\":[{\"args\":[1],\"result\":1}]}";
    static const char protocol[] =
        "[{\"does\":{\"planner\":[\"plan\"]}},{\"does\":{\"aux\":[\"draft\"]}},"
        "{\"does\":{\"planner\":[\"lint\"]}},"
        "{\"does\":{\"main\":[\"draft\",\"draft aux\"]}}]";
    static const struct {
        const char *prompt, *sees, *wanted;
        int read; /* of 5 tokens of the plan and 7 of aux */
    } cases[] = {
        {"", "brief",
         "# offers:\nBegin with a line that names one of: draft, draft aux\n\nAdd.\n# main\n", 0},
        {"{offers}|{lint}|{tests}|", "todo aux",
         "# todo:\nuse aux\n\n# aux:\ndef aux(): pass\n\nBegin with a line that names one of: "
         "draft, "
         "draft aux|no findings||",
         12},
        {"{plan}|{aux}|{main}|{offers}{changes}", "plan aux brief",
         "# brief:\nAdd.\n\n- main: use aux|def aux(): pass||Begin with a line that names one of: "
         "draft, draft auxturn 1: planner plan\nturn 2: aux draft aux\nturn 3: planner lint",
         12},
        {"{offers}", "",
         "# planner wrote in turn 1:\n- main: use aux\n\n# aux wrote in turn 2:\ndef aux(): "
         "pass\n\n"
         "# found in turn 3:\nno findings\n\nBegin with a line that names one of: draft, draft "
         "aux",
         12},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *prompts[] = {"x", "", cases[i].prompt}, *sees[] = {"", "", cases[i].sees},
                   *tool, *query;
        episode_limits_t limits = {
            .tokens = 10, .protocol = protocol, .prompts = prompts, .sees = sees};
        err_t err = {0};
        buf_t prompt = {0};
        episode_t *e = episode_new (task, roles, 3, &limits, &err);
        if (!e)
            fail_msg ("%s", err.text);
        static const char *const said[] = {"- main: use aux", "def aux(): pass"};
        for (size_t t = 0; t < 2; t++) {
            assert_true (episode_acts (e, t) && !episode_acts (e, 2));
            episode_action_t action = {
                .text = said[t], .size = strlen (said[t]), .tokens = 5 + 2 * t};
            assert_int_equal (episode_act (e, t, &action, &err), 0);
            assert_int_equal (episode_step (e, &err), 0);
        }
        assert_int_equal (episode_step (e, &err), -1);
        assert_non_null (strstr (err.text, "nobody has used the tool lint"));
        assert_int_equal (episode_tool (e, 0, &tool, &query), 0);
        assert_int_equal (episode_found (e, 0, true, 1, "no findings", &err), 0);
        assert_int_equal (episode_step (e, &err), 0);
        assert_int_equal (episode_observe (e, 2, &prompt, &err), 0);
        assert_string_equal (prompt.data, cases[i].wanted);
        buf_clear (&prompt);
        assert_int_equal (
            episode_act (e, 2, &(episode_action_t){.text = "draft\nx", .size = 7}, &err), 0);
        assert_int_equal (episode_step (e, &err), 0);
        assert_int_equal (episode_last_turn (e, &prompt, &err), 0);
        const char *read = strstr (prompt.data, "\"tokens_read\":");
        assert_int_equal (strtol (read + strlen ("\"tokens_read\":"), NULL, 10), cases[i].read);
        buf_free (&prompt);
        episode_destroy (&e);
    }
}

/*  Each turn of a reviewer is about one text, and only the turn says whose. */
static void a_reviewer_is_told_whose_text_it_judges (void **state)
{
    (void) state;
    static const char *const roles[] = {"summary", "details", "reviewer"};
    static const char protocol[] = "[{\"does\":{\"summary\":[\"draft\"],\"details\":[\"draft\"]}},"
                                   "{\"does\":{\"reviewer\":[\"review details\"]}}]";
    err_t err = {0};
    buf_t prompt = {0};
    episode_limits_t limits = {.tokens = 10, .protocol = protocol};
    episode_t *e = episode_new ("{\"id\":\"p\",\"family\":\"writing\",\"style\":\"prose\","
                                "\"brief\":\"Bees.\"}",
                                roles, 3, &limits, &err);
    if (!e)
        fail_msg ("%s", err.text);
    for (size_t r = 0; r < 2; r++)
        assert_int_equal (
            episode_act (e, r, &(episode_action_t){.text = "Buzz.", .size = 5, .tokens = 2}, &err),
            0);
    assert_int_equal (episode_step (e, &err), 0);
    assert_int_equal (episode_observe (e, 2, &prompt, &err), 0);
    assert_string_equal (
        prompt.data, "# summary wrote in turn 1:\nBuzz.\n\n# details wrote in turn 1:\nBuzz.\n\n"
                     "# offers:\nReview what details wrote.\n\nThe task: Bees.\nIs that a good "
                     "answer? Begin with accept, or with return and why.\n");
    buf_free (&prompt);
    episode_destroy (&e);
}

/*  What travels is a history: with the group's task it is the same state again, at any turn. */
static void a_history_makes_the_state_again (void **state)
{
    (void) state;
    static const char *const roles[] = {"aux", "main"};
    static const char task[] = "{\"id\":\"c\",\"family\":\"coding\",\"brief\":\"Write.\","
                               "\"tests\":[{\"args\":[1],\"result\":\"secret\"}]}";
    err_t err = {0};
    episode_limits_t limits = {.tokens = 10, .turns = 2};
    episode_t *first = episode_new (task, roles, 2, &limits, &err);
    episode_t *e = episode_again (first, &err); /* another one of its group */
    episode_destroy (&first);
    for (size_t t = 0; t < 2; t++) {
        for (size_t r = 0; r < 2; r++) {
            episode_action_t action = {.text = r ? "b\xff" : "a", .size = 1 + r, .tokens = 3};
            assert_int_equal (episode_act (e, r, &action, &err), 0);
        }
        assert_int_equal (episode_step (e, &err), 0);
        buf_t history = {0}, one = {0}, two = {0}, last = {0};
        assert_int_equal (episode_history (e, &history, &err), 0);
        assert_int_equal (episode_last_turn (e, &last, &err), 0);
        assert_int_equal (strncmp (last.data, "{\"actions\":[{\"role\":\"aux\"", 25), 0);
        assert_null (strstr (history.data, "secret"));
        episode_t *back = episode_new (task, roles, 2, &limits, &err);
        if (episode_replay (back, history.data, history.size, &err) != 0)
            fail_msg ("%s", err.text);
        assert_int_equal (episode_done (back), t == 1);
        assert_int_equal (episode_state (e, &one, &err), 0);
        assert_int_equal (episode_state (back, &two, &err), 0);
        assert_string_equal (one.data, two.data);
        episode_destroy (&back);
        buf_free (&history);
        buf_free (&last);
        buf_free (&one);
        buf_free (&two);
    }
    json_t *seen = episode_public (e);
    char *text = json_dumps (seen, JSON_COMPACT);
    assert_null (strstr (text, "secret"));
    assert_non_null (strstr (text, "\"brief\":\"Write.\""));
    assert_non_null (strstr (text, "\"artifact\":"));
    json_decref (seen);
    free (text);
    episode_destroy (&e);
}

static void a_history_that_is_none_is_refused (void **state)
{
    (void) state;
    static const char *const roles[] = {"aux", "main"};
#define ACT(role) "{\"actions\":[{\"role\":\"" role "\",\"text\":\"x\",\"tokens\":1}]}"
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"turns\":3}",
                                      "{\"turns\":[{}]}",
                                      "{\"turns\":[" ACT ("else") "]}",
                                      "{\"turns\":[" ACT ("aux") "," ACT ("aux") "]}",
                                      "{\"turns\":[" ACT ("aux") "],\"artifact\":3}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err_t err = {0};
        episode_limits_t limits = {.tokens = 10, .turns = 1};
        episode_t *e = episode_new ("{\"id\":\"c\",\"family\":\"coding\",\"brief\":\"b\"}", roles,
                                    2, &limits, &err);
        if (episode_replay (e, bad[i], strlen (bad[i]), &err) == 0)
            fail_msg ("taken: %s", bad[i]);
        assert_int_equal (err.code, ERR_INPUT);
        episode_destroy (&e);
    }
    /* What a program of the user's is tried on may have an artifact of its own. */
    err_t err = {0};
    episode_limits_t limits = {.tokens = 10, .turns = 1};
    static const char given[] = "{\"turns\":[" ACT ("aux") "],\"artifact\":\"mine\"}";
    episode_t *e = episode_new ("{\"id\":\"c\",\"family\":\"coding\",\"brief\":\"b\"}", roles, 2,
                                &limits, &err);
    assert_int_equal (episode_replay (e, given, sizeof given - 1, &err), 0);
    assert_string_equal (json_string_value (json_object_get (episode_json (e), "artifact")),
                         "mine");
    episode_destroy (&e);
}

/*  A second turn sees the first one's texts; what the team hands in is the second one's. */
static void later_turns_see_earlier_ones (void **state)
{
    (void) state;
    static const struct {
        const char *task, *roles[2], *artifact;
    } cases[] = {
        {"{\"id\":\"w\",\"family\":\"writing\",\"brief\":\"Write.\"}",
         {"summary", "details"},
         "three words again more\n\none two three four"},
        {"{\"id\":\"c\",\"family\":\"coding\",\"brief\":\"Write.\",\"tests\":[]}",
         {"aux", "main"},
         "three words again more\none two three four\n"},
    };
    static const char *const texts[2][2] = {{"one two three four", "five six seven eight"},
                                            {"three words again more", "one two three four"}};
    for (size_t i = 0; i < 2; i++) {
        err_t err = {0};
        buf_t first = {0}, second = {0}, wanted = {0};
        episode_limits_t limits = {.tokens = 10, .turns = 2};
        episode_t *e = episode_new (cases[i].task, cases[i].roles, 2, &limits, &err);
        if (!e)
            fail_msg ("%s", err.text);
        for (size_t t = 0; t < 2; t++) {
            assert_int_equal (episode_observe (e, 1, t ? &second : &first, &err), 0);
            for (size_t r = 0; r < 2; r++) {
                episode_action_t action = {
                    .text = texts[t][r], .size = strlen (texts[t][r]), .tokens = 8};
                assert_int_equal (episode_act (e, r, &action, &err), 0);
            }
            assert_int_equal (episode_step (e, &err), 0);
        }
        assert_true (episode_done (e));
        buf_printf (&wanted, "# %s wrote in turn 1:\n%s\n\n# %s wrote in turn 1:\n%s\n\n%s",
                    cases[i].roles[0], texts[0][0], cases[i].roles[1], texts[0][1], first.data);
        assert_string_equal (second.data, wanted.data);
        assert_string_equal (json_string_value (json_object_get (episode_json (e), "artifact")),
                             cases[i].artifact);
        reward_t reward;
        reward_score_t score = {.quality = 1, .unused = -1};
        assert_int_equal (reward_join (e, &(reward_weights_t){1, 0, 1}, &score, &reward, &err), 0);
        const double parts[] = {0.8, 0.5}; /* 8 of 10 tokens read, one text of two repeated */
        assert_int_equal (reward.parts_n, 2);
        for (size_t p = 0; p < 2; p++)
            if (fabs (reward.parts[p].value - parts[p]) > 1e-12)
                fail_msg ("%s %g, wanted %g", reward.parts[p].name, reward.parts[p].value,
                          parts[p]);
        buf_free (&first);
        buf_free (&second);
        buf_free (&wanted);
        episode_destroy (&e);
    }
}

/*  In a prompt. Other templates have blanks in their braces; code has too, around other words. */
static void a_place_with_blanks_is_unknown (void **state)
{
    (void) state;
    static const char *const roles[] = {"aux", "main"};
    static const char *const sound[] = {
        "{brief} {main}", "{ }", "{", "{ x }", "{ brief: 1 }", "if (a) { return; }", "{ brief"};
    static const char *const wrong[][2] = {{"a { brief } b", " brief "},
                                           {"{brief }", "brief "},
                                           {"{\tmain}", "\tmain"},
                                           {"{breif}", "breif"}};
    char unknown[PROMPT_NAME_MAX];
    for (size_t i = 0; i < sizeof sound / sizeof *sound; i++)
        assert_false (prompt_unknown (sound[i], roles, 2, unknown));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_true (prompt_unknown (wrong[i][0], roles, 2, unknown));
        assert_string_equal (unknown, wrong[i][1]);
    }
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (a_place_with_blanks_is_unknown),
        cmocka_unit_test (a_prompt_of_ones_own_is_asked),
        cmocka_unit_test (seats_see_parts_of_the_state),
        cmocka_unit_test (a_reviewer_is_told_whose_text_it_judges),
        cmocka_unit_test (a_history_makes_the_state_again),
        cmocka_unit_test (a_history_that_is_none_is_refused),
        cmocka_unit_test (later_turns_see_earlier_ones),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

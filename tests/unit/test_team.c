/*  Protocols, primitives, and the state that they make. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "team/primitive.h"
#include "team/protocol.h"
#include "team/state.h"

static const char *const all[] = {"planner", "aux", "main", "tester", "reviewer"};

static json_t *make (const char *name, size_t roles, size_t turns)
{
    err_t err = {0};
    json_t *protocol = protocol_make (
        name, &(protocol_team_t){.roles = all, .n = roles, .max_turns = turns}, &err);
    if (!protocol)
        fail_msg ("%s: %s", name, err.text);
    return protocol;
}

static void expect_json (const json_t *value, const char *wanted)
{
    char *text = json_dumps (value, JSON_COMPACT | JSON_ENCODE_ANY);
    assert_string_equal (text, wanted);
    free (text);
}

static void named_protocols_are_turns (void **state)
{
    (void) state;
#define BOTH(what) "{\"does\":{\"aux\":[\"" what "\"],\"main\":[\"" what "\"]}}"
#define TEST       "{\"does\":{\"tester\":[\"test\"]},\"until\":\"passed\"}"
    static const struct {
        const char *name;
        size_t roles, turns;
        const char *wanted;
    } cases[] = {
        {"parallel", 3, 0, "[" BOTH ("draft") "]"},
        {"parallel", 3, 2, "[" BOTH ("draft") "," BOTH ("draft") "]"},
        {"discussion", 3, 0, "[" BOTH ("draft") "," BOTH ("draft") "]"},
        {"pipeline", 3, 0, "[{\"does\":{\"aux\":[\"draft\"]}},{\"does\":{\"main\":[\"draft\"]}}]"},
        {"plan", 3, 0, "[{\"does\":{\"planner\":[\"plan\"]}}," BOTH ("draft") "]"},
        {"repair", 4, 4, "[" BOTH ("draft") "," TEST "," BOTH ("repair") "," TEST "]"},
        {"repair", 3, 2,
         "[" BOTH ("draft") ",{\"does\":{\"main\":[\"test\"]},\"until\":\"passed\"}]"},
        {"review", 5, 3,
         "[" BOTH ("draft") ",{\"does\":{\"reviewer\":[\"review aux\"]},\"until\":\"accepted\"},"
                            "{\"does\":{\"reviewer\":[\"review main\"]},\"until\":\"accepted\"}]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *protocol = make (cases[i].name, cases[i].roles, cases[i].turns);
        expect_json (protocol, cases[i].wanted);
        json_decref (protocol);
    }
}

static void protocols_answer_questions (void **state)
{
    (void) state;
    json_t *repair = make ("repair", 4, 0), *plain = make ("parallel", 3, 2);
    json_t *roles = json_pack ("[s, s, s]", "main", "aux", "tester");
    json_t *slots = protocol_slots (repair, roles);
    assert_int_equal (json_array_size (repair), 5);
    assert_int_equal (protocol_spoken_turns (repair), 3);
    assert_int_equal (protocol_least (repair), 2);
    assert_int_equal (protocol_tools (repair), 2);
    assert_true (protocol_varies (repair));
    assert_true (protocol_speaks (protocol_turn (repair, 0), "aux"));
    assert_false (protocol_speaks (protocol_turn (repair, 1), "tester"));
    assert_non_null (protocol_offers (protocol_turn (repair, 1), "tester"));
    assert_false (protocol_ever_speaks (repair, "tester"));
    assert_null (protocol_turn (repair, 5));
    expect_json (slots, "[\"main\",\"aux\"]");
    assert_int_equal (protocol_least (plain), 2);
    assert_false (protocol_varies (plain));
    json_decref (repair);
    json_decref (plain);
    json_decref (roles);
    json_decref (slots);
}

static json_t *own (const char *turns, err_t *err)
{
    return protocol_make ("turns", &(protocol_team_t){.roles = all, .n = 5, .turns = turns}, err);
}

static void turns_of_ones_own_are_checked (void **state)
{
    (void) state;
    static const struct {
        const char *turns, *wrong;
    } cases[] = {
        {"", "a list of turns is wanted"},
        {"{}", "a list of turns is wanted"},
        {"[]", "1 to 64 turns, not 0"},
        {"[{}]", "turn 1: no seat acts"},
        {"[{\"aux\":\"draft\"},{\"auks\":\"draft\"}]", "turn 2: the team has no role 'auks'"},
        {"[{\"aux\":\"write\"}]", "turn 1, aux: 'write' is none of plan, draft,"},
        {"[{\"aux\":[]}]", "turn 1, aux: what does it do?"},
        {"[{\"aux\":3}]", "turn 1, aux: what does it do?"},
        {"[{\"aux\":\"test main\"}]", "test works on no such slot"},
        {"[{\"aux\":\"draft \"}]", "draft works on no such slot"},
        {"[{\"aux\":\"draft\",\"until\":\"midnight\"}]", "turn 1, until: passed and accepted"},
        {"[{\"aux\":\"draft\",\"repeat\":0}]", "turn 1, repeat: a number from 1 to 64"},
        {"[{\"aux\":\"draft\",\"repeat\":\"2x\"}]", "turn 1, repeat: a number from 1 to 64"},
        {"[{\"aux\":\"draft\",\"repeat\":60},{\"aux\":\"draft\",\"repeat\":60}]",
         "1 to 64 turns, not 120"},
        {"[3]", "turn 1: no seat acts"},
        {"[{\"aux\":\"route\"}]", "turn 1, aux: 'route': whom to? route ROLE"},
        {"[{\"aux\":[\"route main\",\"note\"]},{\"main\":\"draft\"}]",
         "turn 1: route main, and the next turn is not"},
        {"[{\"aux\":[\"route main\",\"note\"]},{\"aux\":\"draft\",\"routed\":true}]",
         "turn 1: route main, and the next turn is not"},
        {"[{\"aux\":\"draft\",\"routed\":\"true\"}]", "turn 1, routed: nobody can choose 'aux'"},
        {"[{\"aux\":\"draft\",\"routed\":3}]", "turn 1, routed: true or false"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_t err = {0};
        assert_null (own (cases[i].turns, &err));
        if (!strstr (err.text, cases[i].wrong))
            fail_msg ("%s: '%s', wanted '%s'", cases[i].turns, err.text, cases[i].wrong);
    }
    err_t err = {0};
    json_t *protocol = own ("[{\"aux\":[\"draft main\",\"note\"],\"repeat\":\"2\"}]", &err);
    expect_json (protocol, "[{\"does\":{\"aux\":[\"draft main\",\"note\"]}},"
                           "{\"does\":{\"aux\":[\"draft main\",\"note\"]}}]");
    json_decref (protocol);
}

/*  An episode of the five roles by turns of one's own. */
typedef struct {
    json_t *protocol, *state;
    size_t turn;
} play_t;

static play_t begin (const char *turns)
{
    err_t err = {0};
    play_t play = {.protocol = own (turns, &err)};
    if (!play.protocol)
        fail_msg ("%s", err.text);
    play.state = json_pack ("{s:[s,s,s,s,s], s:s}", "roles", all[0], all[1], all[2], all[3], all[4],
                            "artifact", "def main(): pass");
    state_begin (play.state, play.protocol);
    return play;
}

static void end (play_t *play)
{
    json_decref (play->protocol);
    json_decref (play->state);
}

/*  A turn in which one role says something, or for said NULL uses a tool that finds this. */
static void act (play_t *play, const char *role, const char *said, bool success)
{
    json_t *record =
        said ? json_pack ("{s:[{s:s, s:s}]}", "actions", "role", role, "text", said)
             : json_pack ("{s:[], s:{s:{s:b, s:f, s:s}}}", "actions", "tools", role, "success",
                          success, "quality", 0.5, "verdict", success ? "fine" : "main(1) gave 2");
    state_apply (play->state, protocol_turn (play->protocol, play->turn), record, play->turn);
    play->turn++;
    json_decref (record);
}

static const char *last_why (const play_t *play)
{
    const json_t *audit = json_object_get (play->state, "audit");
    return state_text (json_array_get (audit, json_array_size (audit) - 1), "invalid");
}

static const char *status (const play_t *play, const char *slot)
{
    return state_text (json_object_get (state_artifacts (play->state), slot), "status");
}

static void a_team_plans_drafts_tests_and_repairs (void **state)
{
    (void) state;
    play_t p = begin ("[{\"planner\":\"plan\"},{\"main\":\"draft\"},{\"tester\":\"test\","
                      "\"until\":\"passed\"},{\"main\":\"repair\"},{\"tester\":\"test\","
                      "\"until\":\"passed\"}]");
    act (&p, "planner", "- Main: call aux\n\n* aux: square x\nboth: be brief", false);
    expect_json (json_object_get (p.state, "private"),
                 "{\"main\":{\"todo\":[\"call aux\"]},\"aux\":{\"todo\":[\"square x\"]}}");
    act (&p, "main", "one", false);
    const char *query;
    assert_string_equal (state_tool (p.state, protocol_turn (p.protocol, 2), "tester", "", &query),
                         "test");
    assert_string_equal (query, "");
    act (&p, "tester", NULL, false);
    assert_true (state_failed (p.state));
    assert_string_equal (state_text (p.state, "end"), "");
    act (&p, "main", "two", false);
    assert_string_equal (state_slot_text (p.state, "main"), "two");
    act (&p, "tester", NULL, true);
    assert_string_equal (state_text (p.state, "end"), "passed");
    assert_int_equal (state_invalid (p.state), 0);
    assert_int_equal (state_tools (p.state), 2);
    expect_json (json_object_get (state_shared (p.state), "changelog"),
                 "[\"turn 1: planner plan\",\"turn 2: main draft main\",\"turn 3: tester test\","
                 "\"turn 4: main repair main\",\"turn 5: tester test\"]");
    end (&p);
}

static void what_may_not_be_done_has_no_effect (void **state)
{
    (void) state;
    static const struct {
        const char *first, *said, *second, *then, *why;
    } cases[] = {
        {"plan", "x", "plan", "y", "there is a plan already"},
        {"note", "x", "plan", " \n", "the plan has no item"},
        {"note", "x", "draft", "\t", "the text is empty"},
        {"note", "\n", "note", "", "the note is empty"},
        {"note", "x", "finalize", "", "nobody has written anything"},
        {"note", "x", "test", "", "nobody has written anything"},
        {"draft", "x", "test", "", "the tool was not used"},
        {"draft", "x", "repair", "y", "the text was not returned, and no test has failed"},
        {"note", "x", "repair", "y", "the slot has no text"},
        {"note", "x", "review", "accept", "the slot has no proposed text"},
        {"draft", "x", "review", "good", "a review begins with accept or return"},
        {"draft", "x", "review", "acceptance denied", "a review begins with accept or return"},
        {"draft", "x", "review\",\"draft", "hm\nx", "the first line names nothing that is offered"},
        {"draft", "x", "review\",\"draft", "", "the first line names nothing that is offered"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char turns[200];
        snprintf (turns, sizeof turns, "[{\"main\":[\"%s\"]},{\"main\":[\"%s\"]}]", cases[i].first,
                  cases[i].second);
        play_t p = begin (turns);
        act (&p, "main", cases[i].said, false);
        json_t *before = json_deep_copy (state_shared (p.state));
        act (&p, "main", cases[i].then, false);
        if (strcmp (last_why (&p), cases[i].why) != 0)
            fail_msg ("%s: '%s', wanted '%s'", turns, last_why (&p), cases[i].why);
        assert_true (json_equal (before, state_shared (p.state)));
        assert_string_equal (state_text (p.state, "end"), "");
        json_decref (before);
        end (&p);
    }
}

static void seats_choose_by_their_first_line (void **state)
{
    (void) state;
    play_t p = begin ("[{\"main\":[\"draft\",\"draft aux\",\"hand_off\"],\"repeat\":3},"
                      "{\"reviewer\":\"review main\"},{\"main\":\"repair\"},"
                      "{\"reviewer\":\"review main\",\"until\":\"accepted\"}]");
    act (&p, "main", "Draft:\nmine", false);
    act (&p, "main", "\n draft aux \nhers", false);
    assert_string_equal (state_slot_text (p.state, "main"), "mine");
    assert_string_equal (state_slot_text (p.state, "aux"), "hers");
    act (&p, "main", "draft", false); /* nothing behind it */
    assert_string_equal (last_why (&p), "the text is empty");
    act (&p, "reviewer", "Returned: delete the loop", false);
    assert_string_equal (status (&p, "main"), "returned");
    assert_string_equal (state_text (json_object_get (state_artifacts (p.state), "main"), "reason"),
                         "delete the loop");
    act (&p, "main", "mine, longer", false);
    assert_string_equal (status (&p, "main"), "proposed");
    act (&p, "reviewer", "accept", false);
    assert_string_equal (status (&p, "main"), "accepted");
    assert_string_equal (state_text (p.state, "end"), ""); /* aux is not */
    end (&p);
    p = begin ("[{\"main\":[\"draft\",\"hand_off\"]}]");
    act (&p, "main", "HAND_OFF\nI cannot", false);
    assert_string_equal (state_text (p.state, "end"), "handed_off");
    assert_string_equal (state_text (state_shared (p.state), "handed_off"), "I cannot");
    end (&p);
}

static void apply (play_t *p, size_t turn, const char *role, const char *said, const char *found)
{
    json_t *record =
        json_pack ("{s:[{s:s, s:s}], s:{s:{s:b, s:s}}}", "actions", "role", role, "text", said,
                   "tools", role, "success", *found != 0, "verdict", found);
    state_apply (p->state, protocol_turn (p->protocol, turn), record, turn);
    json_decref (record);
}

/*  Lines become facts, each once; who asks nothing uses no tool. */
static void what_is_retrieved_becomes_facts (void **state)
{
    (void) state;
    play_t p =
        begin ("[{\"planner\":[\"retrieve\",\"finalize\"],\"repeat\":4},{\"main\":\"draft\"}]");
    const json_t *turn = protocol_turn (p.protocol, 0);
    const char *query = "";
    assert_string_equal (state_tool (p.state, turn, "planner", "Retrieve:\nsea level\n", &query),
                         "retrieve");
    assert_string_equal (query, "sea level\n");
    assert_null (state_tool (p.state, turn, "planner", "retrieve\n \n", &query));
    assert_null (state_tool (p.state, turn, "planner", "sea level", &query));
    apply (&p, 0, "planner", "retrieve\nsea level", "[a:1] high\n[b:2] low");
    apply (&p, 1, "planner", "retrieve\nlow", "[b:2] low\n[c:3] lower");
    apply (&p, 2, "planner", "retrieve\nnothing", "");
    apply (&p, 3, "planner", "retrieve\n", "");
    assert_string_equal (last_why (&p), "nothing is asked");
    expect_json (json_object_get (state_shared (p.state), "facts"),
                 "[\"[a:1] high\",\"[b:2] low\",\"[c:3] lower\"]");
    assert_int_equal (state_tools (p.state), 3);
    assert_int_equal (state_invalid (p.state), 1);
    const json_t *audit = json_object_get (p.state, "audit");
    assert_string_not_equal (state_text (json_array_get (audit, 0), "input"),
                             state_text (json_array_get (audit, 1), "input"));
    end (&p);
}

/*  A test says nothing of a text that came in its own turn. */
static void a_test_is_of_the_texts_before_it (void **state)
{
    (void) state;
    play_t p = begin ("[{\"main\":\"draft\"},{\"main\":\"draft\",\"tester\":\"test\","
                      "\"until\":\"passed\"}]");
    act (&p, "main", "x", false);
    json_t *record = json_pack ("{s:[{s:s, s:s}], s:{s:{s:b, s:s}}}", "actions", "role", "main",
                                "text", "y", "tools", "tester", "success", 1, "verdict", "");
    state_apply (p.state, protocol_turn (p.protocol, 1), record, 1);
    assert_string_equal (state_text (p.state, "end"), "");
    json_decref (record);
    end (&p);
}

/*  ---- choosing a seat ------------------------------------------------------------------------ */

/*  Everybody speaks in the second turn; who was chosen is heard. */
static void who_is_chosen_acts_and_nobody_else (void **state)
{
    (void) state;
    static const struct {
        const char *line, *aux, *main;
    } cases[] = {{"main", "", "y"},
                 {"route aux\nfor it is first", "x", ""},
                 {" MAIN: \nplease", "", "y"},
                 {"route", "", ""},
                 {"nobody", "", ""},
                 {"", "", ""},
                 {"reviewer", "", ""},
                 {"mainly", "", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        play_t p = begin ("[{\"reviewer\":[\"route aux\",\"route main\"]},"
                          "{\"aux\":\"draft\",\"main\":\"draft\",\"routed\":true}]");
        json_t *choice =
            json_pack ("{s:[{s:s, s:s}]}", "actions", "role", "reviewer", "text", cases[i].line);
        json_t *texts = json_pack ("{s:[{s:s, s:s}, {s:s, s:s}]}", "actions", "role", "aux", "text",
                                   "x", "role", "main", "text", "y");
        bool chosen = *cases[i].aux || *cases[i].main;
        state_apply (p.state, protocol_turn (p.protocol, 0), choice, 0);
        assert_int_equal (state_invalid (p.state), !chosen);
        assert_true ((state_offers (p.state, protocol_turn (p.protocol, 1), "main") != NULL) ==
                     (*cases[i].main != 0));
        state_apply (p.state, protocol_turn (p.protocol, 1), texts, 1);
        assert_string_equal (state_slot_text (p.state, "aux"), cases[i].aux);
        assert_string_equal (state_slot_text (p.state, "main"), cases[i].main);
        assert_int_equal (state_invalid (p.state), !chosen);
        assert_string_equal (state_text (state_shared (p.state), "next"), "");
        json_decref (choice);
        json_decref (texts);
        end (&p);
    }
}

static void a_router_has_all_others_to_choose_from (void **state)
{
    (void) state;
    static const char *const team[] = {"router", "aux", "main", "tester"};
    err_t err = {0};
    json_t *protocol =
        protocol_make ("route", &(protocol_team_t){.roles = team, .n = 4, .max_turns = 5}, &err);
    expect_json (
        protocol,
        "[{\"does\":{\"router\":[\"route aux\",\"route main\",\"route tester\"]}},"
        "{\"does\":{\"aux\":[\"draft\"],\"main\":[\"draft\"],\"tester\":[\"test\"]},\"routed\":"
        "true},"
        "{\"does\":{\"router\":[\"route aux\",\"route main\",\"route tester\",\"finalize\"]}},"
        "{\"does\":{\"aux\":[\"draft\"],\"main\":[\"draft\"],\"tester\":[\"test\"]},\"routed\":"
        "true}]");
    assert_int_equal (protocol_least (protocol), 3);
    json_t *roles = json_pack ("[s,s,s,s]", team[0], team[1], team[2], team[3]);
    json_t *slots = protocol_slots (protocol, roles);
    expect_json (slots, "[\"aux\",\"main\"]");
    json_decref (protocol);
    json_decref (roles);
    json_decref (slots);
    assert_null (protocol_make ("route", &(protocol_team_t){.roles = team + 1, .n = 3}, &err));
    assert_non_null (strstr (err.text, "route needs a role named router"));
}

/*  Who was not asked, since its prompt leaves no room, has done nothing, whatever it might have. */
static void a_full_memory_does_nothing (void **state)
{
    (void) state;
    play_t p = begin ("[{\"main\":\"hand_off\",\"aux\":\"draft\"}]");
    json_t *record = json_pack ("{s:[{s:s,s:s,s:b},{s:s,s:s}]}", "actions", "role", "main", "text",
                                "", "full", 1, "role", "aux", "text", "x");
    state_apply (p.state, protocol_turn (p.protocol, 0), record, 0);
    assert_string_equal (state_text (p.state, "end"), "");
    assert_int_equal (state_invalid (p.state), 1);
    assert_string_equal (state_slot_text (p.state, "aux"), "x");
    const json_t *entry = json_array_get (json_object_get (p.state, "audit"), 0);
    assert_non_null (strstr (state_text (entry, "invalid"), "no room"));
    json_decref (record);
    end (&p);
}

/*  What came from the network may have any shape: it is refused, or does nothing. */
static void wild_records_do_nothing (void **state)
{
    (void) state;
    static const char *const records[] = {
        "{}",
        "[]",
        "{\"actions\":3,\"tools\":[]}",
        "{\"actions\":[3,{\"role\":1}],\"tools\":{\"tester\":3}}",
        "{\"actions\":[{\"role\":\"main\"}],\"tools\":{\"main\":{}}}",
    };
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        play_t p = begin ("[{\"main\":\"draft\",\"tester\":\"test\"}]");
        json_t *record = json_loads (records[i], 0, NULL);
        state_apply (p.state, protocol_turn (p.protocol, 0), record, 0);
        assert_int_equal (json_object_size (state_artifacts (p.state)), 0);
        assert_int_equal (state_invalid (p.state), 2);
        json_decref (record);
        end (&p);
    }
    static const char *const protocols[] = {"3",
                                            "[]",
                                            "[[]]",
                                            "[{\"does\":[]}]",
                                            "[{\"does\":{\"main\":\"draft\"}}]",
                                            "[{\"does\":{\"main\":[3]}}]",
                                            "[{\"does\":{\"main\":[\"draft\"]},\"until\":3}]"};
    json_t *roles = json_pack ("[s]", "main");
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
        json_t *protocol = json_loads (protocols[i], JSON_DECODE_ANY, NULL);
        err_t err = {0};
        assert_int_equal (protocol_check (protocol, roles, &err), -1);
        assert_int_equal (err.code, ERR_INPUT);
        json_decref (protocol);
    }
    json_decref (roles);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (named_protocols_are_turns),
        cmocka_unit_test (protocols_answer_questions),
        cmocka_unit_test (turns_of_ones_own_are_checked),
        cmocka_unit_test (a_team_plans_drafts_tests_and_repairs),
        cmocka_unit_test (what_may_not_be_done_has_no_effect),
        cmocka_unit_test (seats_choose_by_their_first_line),
        cmocka_unit_test (what_is_retrieved_becomes_facts),
        cmocka_unit_test (a_test_is_of_the_texts_before_it),
        cmocka_unit_test (who_is_chosen_acts_and_nobody_else),
        cmocka_unit_test (a_router_has_all_others_to_choose_from),
        cmocka_unit_test (a_full_memory_does_nothing),
        cmocka_unit_test (wild_records_do_nothing),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

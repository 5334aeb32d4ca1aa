/*  Whatever seats are offered and say, the global state stays one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "team/primitive.h"
#include "team/protocol.h"
#include "team/state.h"

static const char *const all[] = {"planner", "aux", "main", "tester", "reviewer"};

static const char *const offers[] = {"plan",      "draft",      "integrate", "lint",     "test",
                                     "review",    "repair",     "note",      "finalize", "hand_off",
                                     "draft aux", "review aux", "retrieve"};
static const char *const words[] = {"",
                                    " ",
                                    "draft\nx",
                                    "plan\nmain: y",
                                    "accept",
                                    "return: z",
                                    "repair\nw",
                                    "test",
                                    "note\ntodo: t",
                                    "v",
                                    "retrieve\nq",
                                    "aux\nyou",
                                    "route main",
                                    "Tester:"};

static const char *any (rng_t *rng, const char *const *list, size_t n)
{
    return list[rng_below (rng, n)];
}
#define ANY(rng, list) any (rng, list, sizeof (list) / sizeof *(list))

static json_t *any_turn (rng_t *rng)
{
    json_t *does = json_object ();
    for (size_t r = 0; r < 5; r++) {
        json_t *list = json_array ();
        for (size_t n = rng_below (rng, 4); n > 0; n--)
            json_array_append_new (list, json_string (ANY (rng, offers)));
        if (json_array_size (list))
            json_object_set (does, all[r], list);
        json_decref (list);
    }
    if (json_object_size (does) == 0)
        json_object_set_new (does, "main", json_pack ("[s]", "draft"));
    return json_pack ("{s:o, s:s*}", "does", does, "until", rng_below (rng, 3) ? NULL : "accepted");
}

/*  A router's choice, and the turn of whom it chose. */
static void add_route (rng_t *rng, json_t *protocol)
{
    json_array_append_new (protocol, json_pack ("{s:{s:[s,s,s]}}", "does", all[rng_below (rng, 5)],
                                                "route aux", "route tester", "note"));
    json_array_append_new (protocol, json_pack ("{s:{s:[s],s:[s,s]}, s:b}", "does", "tester",
                                                "test", "aux", "draft", "note", "routed", 1));
}

/*  Drawn again until it is one. */
static json_t *any_protocol (rng_t *rng)
{
    json_t *roles = json_pack ("[s,s,s,s,s]", all[0], all[1], all[2], all[3], all[4]);
    json_t *protocol = NULL;
    do {
        json_decref (protocol);
        protocol = json_array ();
        while (json_array_size (protocol) < 6)
            if (json_array_size (protocol) < 5 && rng_below (rng, 3) == 0)
                add_route (rng, protocol);
            else
                json_array_append_new (protocol, any_turn (rng));
    } while (protocol_check (protocol, roles, NULL) != 0);
    json_decref (roles);
    return protocol;
}

static json_t *any_record (rng_t *rng, json_t *state, const json_t *turn)
{
    json_t *record = json_pack ("{s:[], s:{}}", "actions", "tools");
    for (size_t r = 0; r < 5; r++) {
        const char *said = protocol_speaks (turn, all[r]) ? ANY (rng, words) : "";
        /* Who is not chosen may stand there all the same: a record comes from outside. */
        if (protocol_speaks (turn, all[r]))
            json_array_append_new (json_object_get (record, "actions"),
                                   json_pack ("{s:s, s:s}", "role", all[r], "text", said));
        const char *query;
        if (state_offers (state, turn, all[r]) && state_tool (state, turn, all[r], said, &query))
            json_object_set_new (
                json_object_get (record, "tools"), all[r],
                json_pack ("{s:b, s:s}", "success", (int) rng_below (rng, 2), "verdict", "v"));
    }
    return record;
}

static void expect_valid (const json_t *state)
{
    const json_t *artifact, *entry;
    const char *slot;
    size_t i, acts = 0;
    json_object_foreach (state_artifacts (state), slot, artifact) {
        const char *is = state_text (artifact, "status");
        assert_true (*state_text (artifact, "text") && *state_text (artifact, "by"));
        assert_true (strcmp (is, "proposed") == 0 || strcmp (is, "accepted") == 0 ||
                     strcmp (is, "returned") == 0);
    }
    json_array_foreach (json_object_get (state, "audit"), i, entry) {
        bool tool = json_object_get (entry, "input") != NULL;
        assert_true (tool != (*state_text (entry, "invalid") != 0));
        acts += !tool;
    }
    assert_int_equal (acts, state_invalid (state));
}

/*  Whatever is offered and said, the state stays one; every action is in the changelog or, as
 *  invalid, in the audit; and the same turns make the same state again. */
static void any_sequence_of_actions_keeps_the_state (void **state)
{
    (void) state;
    rng_t rng = {.key = 7};
    size_t acts = 0, invalid = 0, routed = 0;
    for (size_t episode = 0; episode < 400; episode++) {
        json_t *protocol = any_protocol (&rng), *turns = json_array ();
        json_t *fresh = json_pack ("{s:[s,s,s,s,s], s:s}", "roles", all[0], all[1], all[2], all[3],
                                   all[4], "artifact", "text");
        json_t *one = json_deep_copy (fresh), *two = json_deep_copy (fresh);
        state_begin (one, protocol);
        state_begin (two, protocol);
        for (size_t t = 0; t < 6; t++) {
            const json_t *turn = protocol_turn (protocol, t);
            json_t *record = any_record (&rng, one, turn);
            for (size_t r = 0; r < 5; r++)
                acts += state_offers (one, turn, all[r]) != NULL;
            routed += protocol_routed (turn) && *state_text (state_shared (one), "next");
            state_apply (one, turn, record, t);
            expect_valid (one);
            json_array_append_new (turns, record);
        }
        for (size_t t = 0; t < 6; t++)
            state_apply (two, protocol_turn (protocol, t), json_array_get (turns, t), t);
        assert_true (json_equal (one, two));
        invalid += state_invalid (one);
        acts -= state_invalid (one) +
                json_array_size (json_object_get (state_shared (one), "changelog"));
        json_decref (protocol);
        json_decref (turns);
        json_decref (fresh);
        json_decref (one);
        json_decref (two);
    }
    assert_int_equal (acts, 0);
    assert_true (invalid > 100); /* the words do meet both cases */
    assert_true (routed > 20);
}

int main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (any_sequence_of_actions_keeps_the_state)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}

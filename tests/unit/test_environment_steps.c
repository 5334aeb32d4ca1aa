/* with: services/environment/group.c services/environment/asks.c services/environment/judging.c
 * services/environment/tools.c services/environment/answers.c services/environment/told.c
 * services/environment/prompt.c services/environment/result.c */
/*  A group whose episodes a program plays, with answers as it might give them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "environment_group.h"

/*  What a program might say to each line: episode e ends behind turn e + 1. */
static void answer_program (group_t *group, const char *bad)
{
    const group_ask_t *ask = group_ask (group, 0);
    buf_t lines = {0};
    const char *line = ask->payload.data, *end = line + ask->payload.size;
    for (const char *next; line < end; line = next) {
        next = (const char *) memchr (line, '\n', (size_t) (end - line)) + 1;
        json_t *record = json_loadb (line, (size_t) (next - line), 0, NULL);
        const char *id = json_string_value (json_object_get (record, "episode"));
        size_t turns = json_array_size (json_object_get (record, "turns"));
        assert_int_equal (strncmp (id, "r/train/12/5/", 13), 0);
        if (bad)
            buf_text (&lines, bad);
        else if (turns > (size_t) (id[13] - '0'))
            buf_printf (&lines, "{\"done\":true,\"quality\":0.%s}", id + 13);
        else
            buf_printf (&lines, "{\"observe\":{\"%s\":\"turn %zu\"}}", turns % 2 ? "main" : "aux",
                        turns);
        buf_char (&lines, '\n');
        json_decref (record);
    }
    if (group_answer (group, 0, lines.data, lines.size, &err) != 0)
        fail_msg ("%s", err.text);
    buf_free (&lines);
}

static void a_program_says_who_acts_and_when_it_ends (void **state)
{
    (void) state;
    fixture_group_t f;
    fixture_group (&f, tokenizer_text);
    f.group.task = "{\"id\":\"seed/1\",\"seed\":1,\"family\":\"external\"}";
    f.group.program = "my_env";
    f.group.program_s = 7.5;
    f.group.max_turns = 4;
    group_t *group = begun (&f);
    unsigned acts = 0, turn;
    assert_true (group_message (group)->program_s == 7.5);
    for (int round = 0; group_state (group) == GROUP_ASKING; round++) {
        expect_state (group, GROUP_ASKING);
        if (strcmp (group_ask (group, 0)->service, "step") == 0) {
            assert_int_equal (group_answer (group, 0, "{}\n{}\n{}\n{}\n", 12, &err), -1);
            answer_program (group, NULL);
            continue;
        }
        if (strcmp (group_ask (group, 0)->service, "act") == 0) {
            /* One seat at a time; of three episodes one less in each turn. */
            arena_t *arena = arena_new (1 << 20);
            const group_ask_t *ask = group_ask (group, 0);
            const wire_act_request_t *q =
                wire_act_request_unpack (arena, ask->payload.data, ask->payload.size, &err);
            assert_non_null (q);
            assert_int_equal (group_asks (group), 1);
            assert_int_equal (q->role, acts % 2);
            assert_int_equal (q->turn, acts);
            assert_int_equal (q->prompts_n, 1);
            assert_int_equal (q->prompts[0].episodes_n, 3 - acts);
            arena_destroy (&arena);
            acts++;
        }
        answer_one (group, 0);
        if (group_state (group) == GROUP_STORING) {
            group_turn (group, &turn);
            assert_int_equal (turn, acts - 1);
            group_stored (group);
        }
    }
    expect_state (group, GROUP_DONE);
    assert_int_equal (acts, 3);
    arena_t *arena = arena_new (1 << 20);
    const wire_episodes_t *result =
        wire_episodes_unpack (arena, group_result (group)->data, group_result (group)->size, &err);
    assert_non_null (result);
    for (size_t e = 0; e < 3; e++) {
        char outcome[64];
        snprintf (outcome, sizeof outcome, "\"outcome\":{\"quality\":0.%zu", e);
        assert_int_equal (result->episodes[e].completions_n, e + 1);
        assert_non_null (strstr (result->episodes[e].history, outcome));
    }
    arena_destroy (&arena);
    group_destroy (&group);
    group = begun (&f);
    answer_program (group, "{\"observe\":{\"boss\":\"x\"}}");
    expect_state (group, GROUP_FAILED);
    assert_int_equal (group_error (group)->code, ERR_INTERNAL); /* it may be played again */
    group_destroy (&group);
    f.group.program = "";
    group = begun (&f);
    expect_state (group, GROUP_FAILED);
    assert_int_equal (group_error (group)->code, ERR_INPUT);
    group_destroy (&group);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (a_program_says_who_acts_and_when_it_ends),
    };
    return cmocka_run_group_tests (tests, open_all, close_all);
}

/* with: services/environment/group.c services/environment/asks.c services/environment/judging.c
 * services/environment/tools.c services/environment/answers.c services/environment/told.c
 * services/environment/prompt.c services/environment/result.c */
/*  Roles that remember: their earlier prompts and answers stay before each turn, as far as their
 *  model's context goes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "environment_group.h"

/*  With a memory the ids of a turn begin with those of the turn before, prompt and completion as
 *  they were drawn, in every episode its own; what is new comes behind them. Without, turns begin
 *  anew. */
static void a_memory_keeps_what_was_said (void **state)
{
    (void) state;
    fixture_group_t f;
    fixture_group (&f, tokenizer_text);
    f.group.max_turns = 3;
    f.roles[0].next = "[{prompt}]";
    group_t *group = begun (&f);
    play (group, false);
    expect_state (group, GROUP_DONE);
    arena_t *arena = arena_new (1 << 20);
    const buf_t *result = group_result (group);
    const wire_episodes_t *out = wire_episodes_unpack (arena, result->data, result->size, &err);
    assert_non_null (out);
    for (size_t e = 0; e < out->episodes_n; e++) {
        const wire_episode_t *episode = &out->episodes[e];
        assert_int_equal (episode->completions_n, 6);
        for (size_t i = 2; i < 6; i++) {
            const wire_completion_t *now = &episode->completions[i], *then = now - 2;
            const wire_ids_t *p = &out->prompts[then->prompt], *q = &out->prompts[now->prompt];
            size_t n = p->n + then->ids.n;
            bool goes_on =
                q->n > n && memcmp (q->data, p->data, p->n * sizeof *p->data) == 0 &&
                memcmp (q->data + p->n, then->ids.data, then->ids.n * sizeof *p->data) == 0;
            assert_int_equal (now->role, then->role);
            assert_int_equal (goes_on, now->role == 0);
            if (!goes_on)
                continue;
            buf_t text = {0};
            tokenizer_decode (tokenizer, q->data + n, q->n - n, 0, &text);
            assert_true (text.data[0] == '[' && text.data[text.size - 1] == ']');
            buf_free (&text);
        }
    }
    arena_destroy (&arena);
    group_destroy (&group);
    f.roles[0].next = "[prompt]";
    f.roles[0].context = 0;
    group = begun (&f);
    play (group, false);
    expect_state (group, GROUP_FAILED);
    assert_non_null (strstr (group_error (group)->text, "has no place for a message"));
    group_destroy (&group);
}

/*  Once its prompt leaves no room for an answer, a role is not asked any more, whether it remembers
 *  or is shown what others said; its team plays on. */
static void a_full_memory_is_not_asked (void **state)
{
    (void) state;
    fixture_group_t f;
    fixture_group (&f, tokenizer_text);
    f.group.max_turns = 3;
    f.roles[0].next = "[{prompt}]";
    f.roles[0].context = 1;
    group_t *group = begun (&f);
    play (group, false);
    expect_state (group, GROUP_DONE);
    arena_t *arena = arena_new (1 << 20);
    const buf_t *result = group_result (group);
    const wire_episodes_t *out = wire_episodes_unpack (arena, result->data, result->size, &err);
    assert_non_null (out);
    for (size_t e = 0; e < out->episodes_n; e++) {
        const wire_episode_t *episode = &out->episodes[e];
        size_t n[2] = {0};
        for (size_t i = 0; i < episode->completions_n; i++)
            n[episode->completions[i].role]++;
        assert_int_equal (n[0], 1);
        assert_int_equal (n[1], 3);
        json_t *history = json_loads (episode->history, 0, NULL);
        const json_t *turn = json_array_get (json_object_get (history, "turns"), 2);
        const json_t *silent = json_array_get (json_object_get (turn, "actions"), 0);
        assert_true (json_is_true (json_object_get (silent, "full")));
        json_decref (history);
    }
    arena_destroy (&arena);
    group_destroy (&group);
    f.roles[1].context = 1; /* nobody is asked behind the first turn */
    group = begun (&f);
    play (group, false);
    expect_state (group, GROUP_DONE);
    group_destroy (&group);
}

int main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (a_memory_keeps_what_was_said),
                                       cmocka_unit_test (a_full_memory_is_not_asked)};
    return cmocka_run_group_tests (tests, open_all, close_all);
}

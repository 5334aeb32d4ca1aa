/* with: services/environment/ */
/*  Seats that an engine plays: texts go out and come in, and nothing of them is trained on. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "environment_group.h"

#define ENGINE "http://h/v1 wise"

/*  main is played by an engine; alone: aux, too. */
static group_t *group_with_engine (fixture_group_t *f, bool alone)
{
    static const char *const stops[] = {"END"};
    fixture_group (f, tokenizer_text);
    for (int r = alone ? 0 : 1; r < 2; r++) {
        f->roles[r].engine = ENGINE;
        f->roles[r].system = "You are wise.";
        f->roles[r].tokenizer = (hash_t){{0}};
        f->roles[r].stops = (wire_ids_t){0};
        f->roles[r].stop_texts = stops;
        f->roles[r].stop_texts_n = 1;
    }
    return group_of (f);
}

static void an_engine_gets_texts (void **state)
{
    (void) state;
    fixture_group_t f;
    group_t *group = group_with_engine (&f, false);
    arena_t *arena = arena_new (1 << 20);
    group_tokenizer (group, 1, NULL); /* it has its own */
    expect_state (group, GROUP_READING);
    group_tokenizer (group, 0, tokenizer);
    expect_state (group, GROUP_ASKING);
    for (size_t r = 0; r < 2; r++) {
        const group_ask_t *ask = group_ask (group, r);
        const wire_act_request_t *q =
            wire_act_request_unpack (arena, ask->payload.data, ask->payload.size, &err);
        assert_non_null (q);
        assert_string_equal (q->engine, r ? ENGINE : "");
        assert_string_equal (q->system, r ? "You are wise." : "");
        assert_int_equal (q->stop_texts_n, r); /* of others, the ids are cut here */
        assert_int_equal (q->stops.n, 1 - r);
        assert_int_equal (q->prompts_n, 1);
        assert_int_equal (q->prompts[0].episodes_n, 3);
        assert_true ((q->prompts[0].ids.n == 0) == (r == 1));
        assert_true ((strstr (q->prompts[0].text, "Return the sum of xs.") != NULL) == (r == 1));
    }
    arena_destroy (&arena);
    group_destroy (&group);
}

/*  What it wrote is part of the history, up to its stop, and of what the episode took; of its
 *  completions there is nothing. */
static void what_it_wrote_counts_and_is_not_trained_on (void **state)
{
    (void) state;
    fixture_group_t f;
    for (int alone = 0; alone < 2; alone++) {
        group_t *group = group_with_engine (&f, alone);
        arena_t *arena = arena_new (1 << 20);
        group_tokenizer (group, 0, alone ? NULL : tokenizer);
        group_tokenizer (group, 1, NULL);
        play (group, true);
        expect_state (group, GROUP_DONE);
        const buf_t *bytes = group_result (group);
        const wire_episodes_t *out = wire_episodes_unpack (arena, bytes->data, bytes->size, &err);
        assert_non_null (out);
        for (uint32_t e = 0; e < 3; e++) {
            const wire_episode_t *episode = &out->episodes[e];
            assert_int_equal (episode->completions_n, 1 - alone);
            for (size_t c = 0; c < episode->completions_n; c++)
                assert_int_equal (episode->completions[c].role, 0);
            assert_non_null (strstr (episode->history, "\"text\":\"return 1 \",\"tokens\":2"));
            assert_int_equal (episode->critical_path, 20 + e);
            assert_int_equal (episode->tokens, 20 + e + (alone ? 20 + e : 2 + e % 6));
        }
        arena_destroy (&arena);
        group_destroy (&group);
    }
}

/*  An agent that answers in kind of the other is asked again. */
static void ids_for_texts_are_refused (void **state)
{
    (void) state;
    static const int32_t ids[] = {40};
    static const float logps[] = {-1};
    fixture_group_t f;
    group_t *group = group_with_engine (&f, false);
    group_tokenizer (group, 1, NULL);
    group_tokenizer (group, 0, tokenizer);
    for (size_t ask = 0; ask < 2; ask++) {
        wire_sample_t samples[3];
        for (uint32_t e = 0; e < 3; e++)
            samples[e] = ask ? (wire_sample_t){.episode = e, .ids = {ids, 1}, .logps = logps}
                             : (wire_sample_t){.episode = e, .text = "said", .tokens = 1};
        wire_act_reply_t reply = {
            .version = f.roles[0].version, .samples = samples, .samples_n = 3};
        buf_t bytes = {0};
        wire_act_reply_pack (&reply, &bytes);
        assert_int_equal (group_answer (group, ask, bytes.data, bytes.size, &err), -1);
        assert_int_equal (err.code, ERR_INTERNAL);
        buf_free (&bytes);
        expect_state (group, GROUP_ASKING);
    }
    group_destroy (&group);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (an_engine_gets_texts),
        cmocka_unit_test (what_it_wrote_counts_and_is_not_trained_on),
        cmocka_unit_test (ids_for_texts_are_refused),
    };
    return cmocka_run_group_tests (tests, open_all, close_all);
}

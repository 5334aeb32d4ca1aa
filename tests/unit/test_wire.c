/*  What wire takes and what it refuses: every message comes back whole, every field has its bounds,
 *  and a refusal always says why. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "wire_fixture.h"

static void every_message_comes_back_whole (void **state)
{
    (void) state;
    for (int kind = 0; kind < FIXTURE_MESSAGES; kind++) {
        err_t err = {0};
        buf_t bytes = {0};
        arena_t *arena = arena_new (1 << 20);
        fixture_pack ((fixture_message_t) kind, &bytes);
        assert_true (bytes.size > 0 && !buf_failed (&bytes));
        if (!fixture_unpack ((fixture_message_t) kind, arena, bytes.data, bytes.size, &err))
            fail_msg ("message %d: %s", kind, err.text);
        arena_destroy (&arena);
        buf_free (&bytes);
    }
    arena_t *arena = arena_new (1 << 20);
    buf_t bytes = {0};
    fixture_pack (FIXTURE_learn_request, &bytes);
    const wire_learn_request_t *m = wire_learn_request_unpack (arena, bytes.data, bytes.size, NULL);
    assert_non_null (m);
    assert_int_equal (m->groups_n, 1);
    assert_int_equal (m->returns_n, 2);
    assert_string_equal (m->groups[0].brief, "Do it.");
    assert_string_equal (m->groups[0].roles[1], "main");
    assert_int_equal (m->groups[0].episodes[0].turns_n, 2);
    assert_string_equal (m->groups[0].episodes[0].turns[1].said[0].text, "def main");
    assert_int_equal (m->groups[0].episodes[0].turns[1].said[0].role, 1);
    arena_destroy (&arena);
    buf_free (&bytes);
}

/*  Memory that ends anywhere on the way is an error of its own, for each message. */
static void without_memory_there_is_an_error (void **state)
{
    (void) state;
    for (int kind = 0; kind < FIXTURE_MESSAGES; kind++) {
        buf_t bytes = {0};
        fixture_pack ((fixture_message_t) kind, &bytes);
        for (size_t budget = 16; budget < 4096; budget += 16) {
            err_t err = {0};
            arena_t *arena = arena_new (budget);
            bool taken =
                fixture_unpack ((fixture_message_t) kind, arena, bytes.data, bytes.size, &err);
            if (!taken && err.code == ERR_NONE)
                fail_msg ("message %d in %zu bytes: refused without a reason", kind, budget);
            arena_destroy (&arena);
        }
        buf_free (&bytes);
    }
}

/*  Packs what was changed in the example; it must be refused with these words. */
#define REFUSED(name, change, words)                                                               \
    do {                                                                                           \
        wire_##name##_t m = fixture_##name ();                                                     \
        err_t err = {0};                                                                           \
        buf_t bytes = {0};                                                                         \
        arena_t *arena = arena_new ((size_t) 1 << 30);                                             \
        change;                                                                                    \
        wire_##name##_pack (&m, &bytes);                                                           \
        assert_false (buf_failed (&bytes));                                                        \
        if (wire_##name##_unpack (arena, bytes.data, bytes.size, &err))                            \
            fail_msg ("%s is taken", #change);                                                     \
        if (!strstr (err.text, words))                                                             \
            fail_msg ("%s: '%s' has no '%s'", #change, err.text, words);                           \
        arena_destroy (&arena);                                                                    \
        buf_free (&bytes);                                                                         \
    } while (0)

static void numbers_have_bounds (void **state)
{
    (void) state;
    static const int32_t negative[] = {5, -1};
    wire_ids_t bad = {negative, 2};
    const wire_prompt_t prompt = {bad, fixture_indices, 2, ""};
    REFUSED (act_request, m.temperature = NAN, "temperature");
    REFUSED (act_request, m.temperature = -1, "temperature");
    REFUSED (act_request, m.filter.top_p = NAN, "filter");
    REFUSED (act_request, (m.phase = WIRE_EVAL_SAMPLED, m.filter.top_p = 1.5f), "filter.top_p");
    REFUSED (act_request, (m.phase = WIRE_EVAL_SAMPLED, m.filter.min_p = -1), "filter.min_p");
    REFUSED (act_request, m.filter.top_k = 40, "filter: training samples from the whole");
    REFUSED (act_request, m.filter.repetition_penalty = 1.1f, "filter: training samples from");
    REFUSED (act_request, m.max_tokens = 0, "max_tokens");
    REFUSED (act_request, m.max_tokens = UINT32_MAX, "max_tokens");
    REFUSED (act_request, m.role = 9, "role");
    REFUSED (act_request, m.turn = 1 << 20, "turn");
    REFUSED (act_request, m.stops = bad, "stops: -1 is no token");
    REFUSED (act_request, m.prompts = &prompt, "prompts.ids: -1");
    REFUSED (score_request, m.weights.speed = -1, "weights");
    REFUSED (score_request, m.weights.cost = INFINITY, "weights");
    REFUSED (score_request, m.roles_n = 0, "roles: there are none");
    REFUSED (score_request, m.max_tokens = 0, "max_tokens");
    REFUSED (score_request, m.graded_n = 1, "1 answers of a judge for 2 histories");
    REFUSED (group, ((wire_role_t *) (uintptr_t) m.judged_by)->max_tokens = 0,
             "judged_by.max_tokens");
    REFUSED (score_request, m.max_turns = 1 << 20, "max_turns");
    REFUSED (group, m.max_tokens = 0, "max_tokens");
    REFUSED (group, m.max_turns = 1 << 20, "max_turns");
    REFUSED (group, m.episodes = 0, "episodes");
    REFUSED (group, ((wire_role_t *) (uintptr_t) m.roles)[0].temperature = -0.5f,
             "roles.temperature");
    static const char *const stop_texts[] = {"END", ""};
    REFUSED (group, m.filter.min_p = 2, "filter.min_p");
    REFUSED (group, m.phase = WIRE_TRAIN, "filter: training samples from");
    REFUSED (group, ((wire_role_t *) (uintptr_t) m.roles)[1].stop_texts = stop_texts,
             "roles.stop_texts: an empty one");
    REFUSED (group, m.roles_n = 0, "roles: there are none");
    REFUSED (group, ((wire_role_t *) (uintptr_t) m.roles)[0].stops = bad, "roles.stops: -1");
    REFUSED (group, ((wire_role_t *) (uintptr_t) m.roles)[1].prefix = bad, "roles.prefix: -1");
    REFUSED (learn_request, m.replay = 0, "replay");
    REFUSED (learn_request, m.replay = 1 << 24, "replay");
    REFUSED (learn_request, m.context = UINT32_MAX, "context");
    REFUSED (learn_request, m.returns_n = 1, "2 episodes but 1 returns");
}

static void values_are_finite (void **state)
{
    (void) state;
    static const wire_part_t parts[] = {{"tests", NAN}};
    static const float logps[] = {-1, NAN, 0};
    static const double returns[] = {0, INFINITY};
    static const wire_value_t values[] = {{0, 0, 0, NAN}}, far[] = {{0, 9, 0, 0}};
    const wire_sample_t sample = {0, {fixture_ids, 3}, logps, true, "", 0};
    wire_reward_t reward = fixture_reward;
    reward.parts = parts;
    reward.parts_n = 1;
    REFUSED (score_reply, m.rewards = &reward, "reward 0: tests: not a finite number");
    reward = fixture_reward;
    reward.local = parts;
    REFUSED (score_reply, m.rewards = &reward, "reward 0: tests: not a finite number");
    reward = fixture_reward;
    reward.agreement = NAN;
    REFUSED (score_reply, m.rewards = &reward, "reward");
    REFUSED (act_reply, (m.samples = &sample, m.samples_n = 1), "samples.logps");
    REFUSED (value_reply, (m.values = values, m.values_n = 1), "values");
    REFUSED (value_reply, (m.values = far, m.values_n = 1), "values.role");
    REFUSED (episodes, m.others = returns, "others");
    REFUSED (learn_request, m.returns = returns, "returns");
    REFUSED (learn_reply, m.loss = NAN, "loss");
    REFUSED (learn_reply, m.explained_variance = -INFINITY, "explained_variance");
}

static void counts_and_orders_are_checked (void **state)
{
    (void) state;
    static const char *const nine[9] = {"a", "b", "c", "d", "e", "f", "g", "h", "i"};
    static const wire_sample_t twice[] = {{1, {fixture_ids, 1}, fixture_logps, true, "", 0},
                                          {1, {fixture_ids, 1}, fixture_logps, true, "", 0}};
    static const wire_sample_t nothing = {.text = "said"}, both = {.ids = {fixture_ids, 1},
                                                                   .logps = fixture_logps,
                                                                   .tokens = 1};
    static const char *const empty[] = {"END", ""};
    static const wire_said_t else_said[] = {{2, "who?"}};
    static const wire_turn_t else_turns[] = {{.said = else_said, .said_n = 1},
                                             {.told = else_said, .told_n = 1}};
    static const wire_transcript_t else_transcripts[] = {{else_turns, 1}, {else_turns + 1, 1}};
    static const wire_transcripts_t else_groups[] = {{"b", fixture_roles, 2, else_transcripts, 1}},
                                    told_else[] = {
                                        {"b", fixture_roles, 2, else_transcripts + 1, 1}};
    static wire_value_t many[(1 << 20) + 1];
    char name[200];
    memset (name, 'x', sizeof name);
    name[sizeof name - 1] = 0;
    const wire_part_t parts[] = {{name, 0.5}};
    wire_reward_t reward = fixture_reward;
    reward.parts = parts;
    reward.parts_n = 1;
    REFUSED (score_reply, m.rewards = &reward, "parts.name");
    REFUSED (score_request, (m.roles = nine, m.roles_n = 9), "roles: 9 items");
    REFUSED (act_reply, (m.samples = twice, m.samples_n = 2), "episode 1 comes after 1");
    REFUSED (act_reply, (m.samples = &nothing, m.samples_n = 1), "0 log-probabilities, 0 tokens");
    REFUSED (act_reply, (m.samples = &both, m.samples_n = 1), "1 log-probabilities, 1 tokens");
    REFUSED (act_request, m.stop_texts = empty, "stop_texts: an empty one would end everything");
    REFUSED (value_request, m.groups = else_groups,
             "group 0: episode 0: turn 0: said.role: 2 of 2");
    REFUSED (value_request, m.groups = told_else, "group 0: episode 0: turn 0: told.role: 2 of 2");
    REFUSED (value_reply, (m.values = many, m.values_n = sizeof many / sizeof *many), "values: ");
    REFUSED (manifest, m.numerics = name, "numerics");
    REFUSED (manifest, m.adapter = (hash_t){{0}}, "go together");
    REFUSED (event, m.run = name, "run");
}

/*  Of an event's metrics some are not known at times. */
static void a_metric_may_be_unknown (void **state)
{
    (void) state;
    static const wire_part_t metrics[] = {{"entropy", NAN}};
    wire_event_t event = fixture_event ();
    event.metrics = metrics;
    event.metrics_n = 1;
    buf_t bytes = {0};
    arena_t *arena = arena_new (1 << 20);
    wire_event_pack (&event, &bytes);
    assert_non_null (wire_event_unpack (arena, bytes.data, bytes.size, NULL));
    arena_destroy (&arena);
    buf_free (&bytes);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (every_message_comes_back_whole),
        cmocka_unit_test (without_memory_there_is_an_error),
        cmocka_unit_test (numbers_have_bounds),
        cmocka_unit_test (values_are_finite),
        cmocka_unit_test (counts_and_orders_are_checked),
        cmocka_unit_test (a_metric_may_be_unknown),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

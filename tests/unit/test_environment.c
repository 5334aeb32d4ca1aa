/* with: services/environment/group.c services/environment/asks.c services/environment/judging.c
 * services/environment/tools.c services/environment/answers.c services/environment/told.c
 * services/environment/prompt.c services/environment/result.c */
/*  The state machine of a group, with answers as peers would give them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "../../services/environment/prompt.h"
#include "environment_group.h"

static void a_turn_is_one_request_per_role (void **state)
{
    (void) state;
    fixture_group_t f;
    fixture_group (&f, tokenizer_text);
    group_t *group = begun (&f);
    expect_state (group, GROUP_ASKING);
    assert_int_equal (group_asks (group), 2);
    for (uint32_t r = 0; r < 2; r++) {
        const group_ask_t *ask = group_ask (group, r);
        char start[64];
        snprintf (start, sizeof start, "r/train/12/5/0/%s/act/", f.roles[r].name);
        assert_int_equal (strncmp (ask->id, start, strlen (start)), 0);
        assert_string_equal (ask->service, "act");
        arena_t *arena = arena_new (1 << 20);
        const wire_act_request_t *q =
            wire_act_request_unpack (arena, ask->payload.data, ask->payload.size, &err);
        assert_non_null (q);
        assert_string_equal (q->run, "r");
        assert_string_equal (q->version.policy, "team");
        assert_int_equal (q->version.number, 3);
        assert_true (hash_equal (&q->version.hash, &f.roles[r].version.hash));
        assert_int_equal (q->seed, 99);
        assert_int_equal (q->phase, WIRE_TRAIN);
        assert_int_equal (q->step, 12);
        assert_int_equal (q->group, 5);
        assert_int_equal (q->role, r);
        assert_int_equal (q->turn, 0);
        assert_true (q->temperature == 1.0f);
        assert_int_equal (q->max_tokens, 72);
        assert_int_equal (q->stops.n, 1);
        assert_int_equal (q->prompts_n, 1); /* equal for all three, so once */
        assert_int_equal (q->prompts[0].episodes_n, 3);
        for (uint32_t e = 0; e < 3; e++)
            assert_int_equal (q->prompts[0].episodes[e], e);
        assert_true (q->prompts[0].ids.n > 5);
        arena_destroy (&arena);
    }
    group_destroy (&group);
}

/*  Two evaluations of one version ask for the same samples, a step of training never for those of
 *  another step; both have ids of their own. */
static void evaluations_draw_the_same_numbers (void **state)
{
    (void) state;
    static const wire_phase_t phases[] = {WIRE_TRAIN, WIRE_EVAL_SAMPLED, WIRE_EVAL_GREEDY};
    for (size_t p = 0; p < 3; p++) {
        fixture_group_t f;
        fixture_group (&f, tokenizer_text);
        f.group.phase = phases[p];
        group_t *first = begun (&f);
        f.group.step++;
        group_t *second = begun (&f);
        const buf_t *a = &group_ask (first, 0)->payload, *b = &group_ask (second, 0)->payload;
        bool same = a->size == b->size && memcmp (a->data, b->data, a->size) == 0;
        assert_int_equal (same, phases[p] != WIRE_TRAIN);
        assert_string_not_equal (group_ask (first, 0)->id, group_ask (second, 0)->id);
        group_destroy (&second);
        group_destroy (&first);
    }
}

/*  A role's temperature goes to the agent, as in an evaluation the filter; its completion ends
 *  where a stop text of its own begins: in its text, its ids and its count, in training as well.
 *  Episode 2 of aux wrote ")*+". */
static void roles_end_at_their_stop_texts (void **state)
{
    (void) state;
    static const char *const stops[] = {"*+"};
    static const wire_phase_t phases[] = {WIRE_TRAIN, WIRE_EVAL_SAMPLED};
    for (int p = 0; p < 2; p++) {
        fixture_group_t f;
        fixture_group (&f, tokenizer_text);
        f.group.phase = phases[p];
        if (phases[p] != WIRE_TRAIN)
            f.group.filter = (wire_filter_t){.top_k = 40, .top_p = 0.5f};
        f.roles[0].temperature = 0.5f;
        f.roles[0].stop_texts = stops;
        f.roles[0].stop_texts_n = 1;
        group_t *group = begun (&f);
        arena_t *arena = arena_new (1 << 20);
        for (size_t r = 0; r < 2; r++) {
            const group_ask_t *ask = group_ask (group, r);
            const wire_act_request_t *q =
                wire_act_request_unpack (arena, ask->payload.data, ask->payload.size, &err);
            assert_non_null (q);
            assert_true (q->temperature == (r ? 1 : 0.5f));
            assert_int_equal (q->filter.top_k, p ? 40 : 0);
            assert_true (q->filter.top_p == (p ? 0.5f : 0));
        }
        play (group, false);
        expect_state (group, GROUP_DONE);
        const buf_t *result = group_result (group);
        const wire_episodes_t *out = wire_episodes_unpack (arena, result->data, result->size, &err);
        assert_non_null (out);
        assert_non_null (strstr (out->episodes[1].history, "\"text\":\"()\",\"tokens\":3,"));
        assert_non_null (strstr (out->episodes[2].history, "\"text\":\")\",\"tokens\":3,"));
        assert_int_equal (out->episodes[2].completions[0].ids.n, 3);
        assert_true (out->episodes[2].completions[0].stopped);
        arena_destroy (&arena);
        group_destroy (&group);
    }
}

static void ids_name_the_content (void **state)
{
    (void) state;
    fixture_group_t f;
    fixture_group (&f, tokenizer_text);
    group_t *one = begun (&f), *same = begun (&f);
    f.roles[0].version.hash.bytes[0]++;
    group_t *other = begun (&f);
    assert_string_equal (group_ask (one, 0)->id, group_ask (same, 0)->id);
    assert_string_not_equal (group_ask (one, 0)->id, group_ask (other, 0)->id);
    assert_string_equal (group_ask (one, 1)->id, group_ask (other, 1)->id);
    group_destroy (&one);
    group_destroy (&same);
    group_destroy (&other);
}

static void a_whole_group_gives_its_result (void **state)
{
    (void) state;
    fixture_group_t f;
    fixture_group (&f, tokenizer_text);
    group_t *group = begun (&f);
    answer_one (group, 0);
    expect_state (group, GROUP_ASKING);
    answer_one (group, 1);
    expect_state (group, GROUP_STORING);
    unsigned turn = 9;
    const buf_t *states = group_turn (group, &turn);
    assert_int_equal (turn, 0);
    size_t lines = 0;
    for (size_t i = 0; i < states->size; i++)
        lines += states->data[i] == '\n';
    assert_int_equal (lines, 3);
    group_stored (group);
    expect_state (group, GROUP_ASKING);
    assert_int_equal (group_asks (group), 1);
    assert_string_equal (group_ask (group, 0)->service, "score");
    answer_one (group, 0);
    expect_state (group, GROUP_DONE);
    arena_t *arena = arena_new (1 << 20);
    const buf_t *result = group_result (group);
    const wire_episodes_t *out = wire_episodes_unpack (arena, result->data, result->size, &err);
    if (!out)
        fail_msg ("%s", err.text);
    assert_int_equal (out->group, 5);
    assert_int_equal (out->prompts_n, 2);
    assert_int_equal (out->episodes_n, 3);
    for (size_t e = 0; e < 3; e++) {
        const wire_episode_t *episode = &out->episodes[e];
        assert_int_equal (episode->completions_n, 2);
        assert_true (episode->reward.reward == 0.25 * (double) (e + 1));
        assert_string_equal (episode->reward.verdict, "1 of 2 tests");
        assert_non_null (strstr (episode->history, "{\"turns\":[{\"actions\":["));
        assert_null (strstr (episode->history, "Return the sum"));
        for (uint32_t r = 0; r < 2; r++) {
            const wire_completion_t *c = &episode->completions[r];
            assert_int_equal (c->role, r);
            assert_int_equal (c->turn, 0);
            assert_int_equal (c->prompt, r);
            assert_int_equal (c->ids.n, 2 + (e + r) % 6);
            assert_int_equal (c->ids.data[0], 40 + e);
            assert_true (c->logps[1] == -0.25f * (float) (2 + e));
            assert_true (c->stopped);
        }
    }
    wire_part_t metrics[GROUP_METRICS];
    group_metrics (group, metrics);
    double reward = 0, tokens = 0, path = 0;
    for (size_t i = 0; i < GROUP_METRICS; i++) {
        reward = strcmp (metrics[i].name, "reward") == 0 ? metrics[i].value : reward;
        tokens = strcmp (metrics[i].name, "tokens") == 0 ? metrics[i].value : tokens;
        path = strcmp (metrics[i].name, "critical_path_tokens") == 0 ? metrics[i].value : path;
    }
    /* Lengths 2 3, 3 4, 4 5. */
    if (reward != 0.5 || tokens != 7 || path != 4)
        fail_msg ("reward %g, tokens %g, path %g; expected 0.5 7 4", reward, tokens, path);
    arena_destroy (&arena);
    group_destroy (&group);
}

static void the_order_of_answers_does_not_matter (void **state)
{
    (void) state;
    fixture_group_t f;
    fixture_group (&f, tokenizer_text);
    f.group.max_turns = 3;
    group_t *one = begun (&f), *two = begun (&f);
    play (one, false);
    play (two, true);
    expect_state (one, GROUP_DONE);
    expect_state (two, GROUP_DONE);
    const buf_t *a = group_result (one), *b = group_result (two);
    assert_int_equal (a->size, b->size);
    assert_memory_equal (a->data, b->data, a->size);
    group_destroy (&one);
    group_destroy (&two);
}

static void several_turns_are_stored_one_by_one (void **state)
{
    (void) state;
    fixture_group_t f;
    fixture_group (&f, tokenizer_text);
    f.group.max_turns = 2;
    group_t *group = begun (&f);
    for (unsigned t = 0; t < 2; t++) {
        char part[32];
        snprintf (part, sizeof part, "/5/%u/main/act/", t);
        assert_non_null (strstr (group_ask (group, 1)->id, part));
        answer_one (group, 0);
        answer_one (group, 1);
        expect_state (group, GROUP_STORING);
        unsigned turn;
        group_turn (group, &turn);
        assert_int_equal (turn, t);
        group_stored (group);
    }
    answer_one (group, 0);
    expect_state (group, GROUP_DONE);
    arena_t *arena = arena_new (1 << 20);
    const buf_t *result = group_result (group);
    const wire_episodes_t *out = wire_episodes_unpack (arena, result->data, result->size, &err);
    assert_non_null (out);
    const wire_completion_t *c = out->episodes[1].completions;
    assert_int_equal (out->episodes[1].completions_n, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal (c[i].turn, i / 2);
        assert_int_equal (c[i].role, i % 2);
    }
    arena_destroy (&arena);
    group_destroy (&group);
}

/*  A seat that has nothing to say is not asked; a tool's findings end the episodes that it says are
 *  right, and only the others go on. The fixture's scorer says so of the first history that it is
 *  given. */
static void tools_are_asked_of_the_reward_service (void **state)
{
    (void) state;
    static const char repair[] = "[{\"does\":{\"aux\":[\"draft\"],\"main\":[\"draft\"]}},"
                                 "{\"does\":{\"main\":[\"test\"]},\"until\":\"passed\"},"
                                 "{\"does\":{\"main\":[\"repair\"]}}]";
    fixture_group_t f;
    fixture_group (&f, tokenizer_text);
    f.group.protocol = repair;
    f.roles[1].sees = "tests aux";
    f.roles[1].max_tokens = 40;
    group_t *group = begun (&f);
    unsigned turn, round = group_round (group);
    answer_one (group, 1);
    answer_one (group, 0);
    expect_state (group, GROUP_STORING);
    group_stored (group);
    expect_state (group, GROUP_ASKING);
    assert_int_equal (group_asks (group), 1);
    assert_true (group_round (group) != round);
    const group_ask_t *ask = group_ask (group, 0);
    assert_string_equal (ask->service, "score");
    assert_non_null (strstr (ask->id, "r/train/12/5/1/test/score/"));
    arena_t *arena = arena_new (1 << 20);
    const wire_score_request_t *q =
        wire_score_request_unpack (arena, ask->payload.data, ask->payload.size, &err);
    assert_non_null (q);
    assert_string_equal (q->tool, "test");
    assert_string_equal (q->protocol, repair);
    assert_int_equal (q->histories_n, 3);
    assert_non_null (strstr (q->histories[2], "{\"turns\":[{\"actions\":["));
    wire_reward_t few[2] = {{.verdict = ""}, {.verdict = ""}};
    buf_t bytes = {0};
    wire_score_reply_pack (&(wire_score_reply_t){.rewards = few, .rewards_n = 2}, &bytes);
    assert_int_equal (group_answer (group, 0, bytes.data, bytes.size, &err), -1);
    assert_non_null (strstr (err.text, "2 findings for 3 episodes"));
    buf_free (&bytes);
    answer_one (group, 0);
    expect_state (group, GROUP_STORING);
    const char *lines = group_turn (group, &turn)->data;
    assert_int_equal (turn, 1);
    assert_ptr_equal (lines,
                      strstr (lines, "{\"actions\":[],\"tools\":{\"main\":{\"success\":true,"));
    group_stored (group);
    q = NULL;
    const wire_act_request_t *again = wire_act_request_unpack (
        arena, group_ask (group, 0)->payload.data, group_ask (group, 0)->payload.size, &err);
    assert_int_equal (group_asks (group), 1);
    assert_int_equal (again->role, 1);
    assert_int_equal (again->max_tokens, 40); /* its own; aux has the group's */
    assert_int_equal (again->prompts_n, 2);   /* its own words are not in it, aux's are */
    assert_int_equal (again->prompts[0].episodes[0], 1);
    assert_int_equal (again->prompts[1].episodes[0], 2);
    play (group, false);
    expect_state (group, GROUP_DONE);
    const wire_episodes_t *out =
        wire_episodes_unpack (arena, group_result (group)->data, group_result (group)->size, &err);
    assert_non_null (out);
    assert_int_equal (out->episodes[0].completions_n, 2);
    assert_int_equal (out->episodes[2].completions_n, 3);
    assert_int_equal (out->episodes[2].completions[2].turn, 2);
    /* It read what aux wrote, 4 tokens, and no word of the environment's counts. */
    assert_non_null (strstr (strstr (out->episodes[2].history, "\"tools\""), "\"tokens_read\":4}"));
    arena_destroy (&arena);
    group_destroy (&group);
}

typedef enum { NO_SAMPLE, ONE_MORE, EMPTY, LONG, VERSION, WEIGHTS, GARBAGE, FLAWS } flaw_t;

/*  An agent's answer with a flaw. */
static void flawed (const group_ask_t *ask, flaw_t flaw, buf_t *bytes)
{
    buf_t right = {0};
    arena_t *arena = arena_new (1 << 20);
    fixture_act (ask->payload.data, ask->payload.size, &right);
    const wire_act_reply_t *r = wire_act_reply_unpack (arena, right.data, right.size, &err);
    wire_act_reply_t reply = *r;
    wire_sample_t samples[4];
    memcpy (samples, r->samples, 3 * sizeof *samples);
    reply.samples = samples;
    static int32_t many[100];
    static float logps[100];
    switch (flaw) {
    case NO_SAMPLE:
        reply.samples_n = 2;
        break;
    case ONE_MORE:
        samples[3] = samples[2];
        samples[3].episode = 3;
        reply.samples_n = 4;
        break;
    case EMPTY:
        samples[1].ids.n = 0;
        break;
    case LONG:
        samples[1].ids = (wire_ids_t){.data = many, .n = 73};
        samples[1].logps = logps;
        break;
    case VERSION:
        reply.version.number++;
        break;
    case WEIGHTS:
        reply.version.hash.bytes[5] ^= 1;
        break;
    default:
        break;
    }
    if (flaw == GARBAGE)
        buf_text (bytes, "\xff\xff no reply");
    else
        wire_act_reply_pack (&reply, bytes);
    buf_free (&right);
    arena_destroy (&arena);
}

static void answers_that_do_not_fit_are_refused (void **state)
{
    (void) state;
    fixture_group_t f;
    fixture_group (&f, tokenizer_text);
    group_t *group = begun (&f);
    for (flaw_t flaw = 0; flaw < FLAWS; flaw++) {
        buf_t bytes = {0};
        flawed (group_ask (group, 0), flaw, &bytes);
        err = (err_t){0};
        if (group_answer (group, 0, bytes.data, bytes.size, &err) != -1)
            fail_msg ("flaw %d was taken", (int) flaw);
        bool version = flaw == VERSION || flaw == WEIGHTS;
        if ((err.code == ERR_STALE) != version || !err.text[0])
            fail_msg ("flaw %d: %s: %s", (int) flaw, err_name (err.code), err.text);
        expect_state (group, GROUP_ASKING);
        assert_false (group_ask (group, 0)->answered);
        buf_free (&bytes);
    }
    play (group, false);
    expect_state (group, GROUP_DONE);
    group_destroy (&group);
}

static void scores_must_be_one_per_episode (void **state)
{
    (void) state;
    fixture_group_t f;
    fixture_group (&f, tokenizer_text);
    group_t *group = begun (&f);
    answer_one (group, 0);
    answer_one (group, 1);
    group_stored (group);
    wire_reward_t rewards[2] = {{.verdict = ""}, {.verdict = ""}};
    wire_score_reply_t reply = {.rewards = rewards, .rewards_n = 2};
    buf_t bytes = {0};
    wire_score_reply_pack (&reply, &bytes);
    assert_int_equal (group_answer (group, 0, bytes.data, bytes.size, &err), -1);
    assert_non_null (strstr (err.text, "2 rewards for 3 episodes"));
    buf_free (&bytes);
    answer_one (group, 0);
    expect_state (group, GROUP_DONE);
    group_destroy (&group);
}

/*  Two roles of three episodes: six teams that were not played, and each episode without each. */
static void credit_has_other_teams_scored (void **state)
{
    (void) state;
    fixture_group_t f;
    fixture_group (&f, tokenizer_text);
    f.group.cross = f.group.removal = true;
    group_t *group = begun (&f);
    answer_one (group, 0);
    answer_one (group, 1);
    group_stored (group);
    const group_ask_t *ask = group_ask (group, 0);
    arena_t *arena = arena_new (1 << 20);
    const wire_score_request_t *request =
        wire_score_request_unpack (arena, ask->payload.data, ask->payload.size, &err);
    assert_non_null (request);
    assert_int_equal (request->histories_n, 3 + 6 + 6);
    answer_one (group, 0);
    expect_state (group, GROUP_DONE);
    const wire_episodes_t *out =
        wire_episodes_unpack (arena, group_result (group)->data, group_result (group)->size, &err);
    assert_non_null (out);
    assert_int_equal (out->episodes_n, 3);
    assert_int_equal (out->others_n, 12);
    assert_true (out->others[0] == 0.25 * 4 && out->others[11] == 0.25 * 15);
    arena_destroy (&arena);
    group_destroy (&group);
    /* Two turns have no samples that could stand for each other. */
    f.group.max_turns = 2;
    group = begun (&f);
    play (group, false);
    expect_state (group, GROUP_FAILED);
    assert_non_null (strstr (group_error (group)->text, "cross wants episodes of one turn"));
    group_destroy (&group);
}

static void expect_failed (const fixture_group_t *f, const char *says)
{
    group_t *group = begun (f);
    expect_state (group, GROUP_FAILED);
    assert_int_equal (group_error (group)->code, ERR_INPUT);
    if (!strstr (group_error (group)->text, says))
        fail_msg ("'%s' does not say '%s'", group_error (group)->text, says);
    group_destroy (&group);
}

static void what_cannot_be_played_says_why (void **state)
{
    (void) state;
    fixture_group_t f;
    fixture_group (&f, tokenizer_text);
    f.group.task = "{\"family\": ";
    expect_failed (&f, "JSON");
    f.group.task = "{\"brief\": \"x\"}";
    expect_failed (&f, "family");
    f.group.task = "{\"family\": \"cooking\"}";
    expect_failed (&f, "cooking");
    fixture_group (&f, tokenizer_text);
    f.roles[1].name = "cook";
    expect_failed (&f, "cook");
    fixture_group (&f, tokenizer_text);
    f.roles[0].chat = "telegram";
    expect_failed (&f, "telegram");
    assert_null (group_new ("garbage", 7, &err));
    assert_int_equal (err.code, ERR_INPUT);
}

static void a_prompt_has_prefix_and_chat_format (void **state)
{
    (void) state;
    static const int32_t begin[] = {5, 6};
    wire_role_t role = {.prefix = {.data = begin, .n = 2}, .chat = "[[{prompt}]]"};
    tokenizer_ids_t ids = {0};
    assert_int_equal (prompt_encode (tokenizer, &role, "hi", 2, &ids, &err), 0);
    assert_int_equal (ids.data[0], 5);
    assert_int_equal (ids.data[1], 6);
    buf_t text = {0};
    tokenizer_decode (tokenizer, ids.data + 2, ids.n - 2, 0, &text);
    assert_string_equal (text.data, "[[hi]]");
    tokenizer_ids_free (&ids);
    buf_clear (&text);
    role = (wire_role_t){.chat = "chatml"};
    assert_int_equal (prompt_encode (tokenizer, &role, "hi", 2, &ids, &err), 0);
    tokenizer_decode (tokenizer, ids.data, ids.n, 0, &text);
    assert_string_equal (text.data, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
    tokenizer_ids_free (&ids);
    buf_free (&text);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (a_turn_is_one_request_per_role),
        cmocka_unit_test (evaluations_draw_the_same_numbers),
        cmocka_unit_test (roles_end_at_their_stop_texts),
        cmocka_unit_test (ids_name_the_content),
        cmocka_unit_test (a_whole_group_gives_its_result),
        cmocka_unit_test (the_order_of_answers_does_not_matter),
        cmocka_unit_test (several_turns_are_stored_one_by_one),
        cmocka_unit_test (tools_are_asked_of_the_reward_service),
        cmocka_unit_test (answers_that_do_not_fit_are_refused),
        cmocka_unit_test (scores_must_be_one_per_episode),
        cmocka_unit_test (credit_has_other_teams_scored),
        cmocka_unit_test (what_cannot_be_played_says_why),
        cmocka_unit_test (a_prompt_has_prefix_and_chat_format),
    };
    return cmocka_run_group_tests (tests, open_all, close_all);
}

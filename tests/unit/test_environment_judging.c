/* with: services/environment/ */
/*  A policy that judges: asked once for a group whose episodes are over, before it is scored. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "environment_group.h"
#include "task/grade.h"

#define SAMPLES 2

static wire_role_t judge;
static buf_t grade;

/*  What a group of two roles, three episodes, and a judge with two answers each is told. */
static group_t *judged_group (fixture_group_t *f)
{
    static char critic[] = "critic", nothing[] = "", prompt[] = "{artifact}";
    const grade_t how = {.policy = critic,
                         .system = nothing,
                         .prompt = prompt,
                         .weight = 0.5,
                         .lowest = 0,
                         .highest = 10,
                         .samples = SAMPLES};
    fixture_group (f, tokenizer_text);
    judge = f->roles[0];
    judge.name = "critic";
    judge.version = (wire_version_t){.policy = "critic", .hash = {{4}}};
    judge.max_tokens = 80; /* more than any role's */
    buf_clear (&grade);
    grade_write (&how, &grade);
    buf_text (&grade, "");
    f->group.judge = grade.data;
    f->group.judged_by = &judge;
    return group_of (f);
}

/*  Up to what comes behind the episodes' turn. */
static group_t *finished (group_t *group)
{
    for (size_t seat = 0; seat < 3; seat++) {
        expect_state (group, GROUP_READING);
        assert_false (group_has_tokenizer (group, seat));
        group_tokenizer (group, seat, tokenizer);
    }
    for (size_t i = 0; i < 2; i++)
        answer_one (group, i);
    expect_state (group, GROUP_STORING);
    group_stored (group);
    expect_state (group, GROUP_ASKING);
    return group;
}

static const wire_act_request_t *act_of (arena_t *arena, const group_t *group)
{
    assert_int_equal (group_asks (group), 1);
    const group_ask_t *ask = group_ask (group, 0);
    assert_string_equal (ask->service, "act");
    assert_string_equal (ask->who, "critic");
    const wire_act_request_t *request =
        wire_act_request_unpack (arena, ask->payload.data, ask->payload.size, &err);
    assert_non_null (request);
    return request;
}

static void it_is_asked_for_each_episode_by_its_own_version (void **state)
{
    (void) state;
    fixture_group_t f;
    group_t *group = finished (judged_group (&f));
    arena_t *arena = arena_new (1 << 20);
    const wire_act_request_t *q = act_of (arena, group);
    assert_string_equal (q->version.policy, "critic");
    assert_int_equal (q->role, 2); /* behind the roles */
    assert_int_equal (q->max_tokens, 80);
    uint32_t seen[3 * SAMPLES] = {0};
    for (size_t p = 0; p < q->prompts_n; p++) {
        for (size_t o = 0; o < p; o++) /* equal ones stand once */
            assert_false (q->prompts[o].ids.n == q->prompts[p].ids.n &&
                          memcmp (q->prompts[o].ids.data, q->prompts[p].ids.data,
                                  q->prompts[p].ids.n * sizeof (int32_t)) == 0);
        for (size_t i = 0; i < q->prompts[p].episodes_n; i++)
            seen[q->prompts[p].episodes[i]]++;
    }
    for (size_t i = 0; i < 3 * SAMPLES; i++)
        assert_int_equal (seen[i], 1);
    arena_destroy (&arena);
    group_destroy (&group);
}

static void what_it_says_goes_on_to_the_scorer (void **state)
{
    (void) state;
    fixture_group_t f;
    group_t *group = finished (judged_group (&f));
    arena_t *arena = arena_new (1 << 20);
    answer_one (group, 0);
    expect_state (group, GROUP_ASKING);
    const group_ask_t *ask = group_ask (group, 0);
    assert_string_equal (ask->service, "score");
    const wire_score_request_t *q =
        wire_score_request_unpack (arena, ask->payload.data, ask->payload.size, &err);
    assert_non_null (q);
    assert_int_equal (q->histories_n, 3);
    assert_int_equal (q->graded_n, 3 * SAMPLES);
    for (size_t i = 0; i < q->graded_n; i++)
        assert_true (*q->graded[i]);
    assert_string_not_equal (q->graded[0], q->graded[1]); /* each has its own numbers */
    answer_one (group, 0);
    expect_state (group, GROUP_DONE);
    const buf_t *bytes = group_result (group);
    const wire_episodes_t *out = wire_episodes_unpack (arena, bytes->data, bytes->size, &err);
    assert_non_null (out);
    for (size_t e = 0; e < 3; e++) /* nothing of the judge's is trained on */
        assert_int_equal (out->episodes[e].completions_n, 2);
    arena_destroy (&arena);
    group_destroy (&group);
}

/*  Teams that are put together for credit are judged as well. */
static void teams_that_were_not_played_are_judged (void **state)
{
    (void) state;
    fixture_group_t f;
    group_t *plain = judged_group (&f);
    group_destroy (&plain);
    f.group.cross = true;
    group_t *group = finished (group_of (&f));
    arena_t *arena = arena_new (1 << 20);
    const wire_act_request_t *q = act_of (arena, group);
    size_t asked = 0;
    for (size_t p = 0; p < q->prompts_n; p++)
        asked += q->prompts[p].episodes_n;
    assert_int_equal (asked, 9 * SAMPLES); /* three times three teams */
    answer_one (group, 0);
    const group_ask_t *ask = group_ask (group, 0);
    const wire_score_request_t *s =
        wire_score_request_unpack (arena, ask->payload.data, ask->payload.size, &err);
    assert_non_null (s);
    assert_int_equal (s->histories_n, 9);
    assert_int_equal (s->graded_n, 9 * SAMPLES);
    arena_destroy (&arena);
    group_destroy (&group);
}

/*  None of them changes the group, which still waits for a right one. */
static void wrong_answers_are_refused (void **state)
{
    (void) state;
    fixture_group_t f;
    group_t *group = finished (judged_group (&f));
    const int32_t ids[] = {40, 0};
    const float logps[] = {-1, -1};
    wire_sample_t samples[3 * SAMPLES + 1];
    for (uint32_t i = 0; i <= 3 * SAMPLES; i++)
        samples[i] = (wire_sample_t){
            .episode = i, .ids = {.data = ids, .n = 2}, .logps = logps, .stopped = true};
    const struct {
        const char *policy;
        size_t n, empty; /* whose sample has no ids, from 1 on */
        err_code_t code;
    } cases[] = {{"team", 6, 0, ERR_STALE},
                 {"critic", 5, 0, ERR_INTERNAL},
                 {"critic", 7, 0, ERR_INTERNAL},
                 {"critic", 6, 3, ERR_INPUT}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        wire_sample_t own[3 * SAMPLES + 1];
        buf_t bytes = {0};
        memcpy (own, samples, sizeof own);
        if (cases[c].empty)
            own[cases[c].empty - 1].ids.n = 0;
        wire_act_reply_t reply = {
            .version = judge.version, .samples = own, .samples_n = cases[c].n};
        reply.version.policy = cases[c].policy;
        wire_act_reply_pack (&reply, &bytes);
        assert_int_equal (group_answer (group, 0, bytes.data, bytes.size, &err), -1);
        assert_string_equal (err_name (err.code), err_name (cases[c].code));
        buf_free (&bytes);
        expect_state (group, GROUP_ASKING);
    }
    answer_one (group, 0);
    assert_string_equal (group_ask (group, 0)->service, "score");
    group_destroy (&group);
}

/*  A text that leaves no room for an answer is not asked about, and no answer has no number. */
static void what_leaves_no_room_is_not_asked (void **state)
{
    (void) state;
    fixture_group_t f;
    group_t *plain = judged_group (&f);
    group_destroy (&plain);
    judge.context = 81;
    group_t *group = finished (group_of (&f));
    arena_t *arena = arena_new (1 << 20);
    const group_ask_t *ask = group_ask (group, 0);
    assert_string_equal (ask->service, "score");
    const wire_score_request_t *q =
        wire_score_request_unpack (arena, ask->payload.data, ask->payload.size, &err);
    assert_non_null (q);
    for (size_t i = 0; i < q->graded_n; i++)
        assert_string_equal (q->graded[i], GRADE_UNASKED);
    assert_int_equal (q->graded_n, 3 * SAMPLES);
    arena_destroy (&arena);
    group_destroy (&group);
}

static int close_grade (void **state)
{
    buf_free (&grade);
    return close_all (state);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (it_is_asked_for_each_episode_by_its_own_version),
        cmocka_unit_test (what_it_says_goes_on_to_the_scorer),
        cmocka_unit_test (teams_that_were_not_played_are_judged),
        cmocka_unit_test (wrong_answers_are_refused),
        cmocka_unit_test (what_leaves_no_room_is_not_asked),
    };
    return cmocka_run_group_tests (tests, open_all, close_grade);
}

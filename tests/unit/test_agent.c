/* with: services/agent/ services/bus/ */
/*  A whole agent at a real bus, turned by hand: requests wait for their version, answers depend on
 *  nothing but the request, what is wrong is refused. */
#include <math.h>

#include "agent_fixture.h"
#include "formats/hf.h"

#define TOKENS 12
#define STOP   5

static int setup (void **state)
{
    return setup_with (state, (char *) (uintptr_t) "");
}

static hash_t offer (fixture_t *f, const void *data, size_t size)
{
    bus_offer (f->trainer, data, size);
    assert_int_equal (await (f, BUS_OBJECT).code, ERR_NONE);
    return hash_object (data, size);
}

/*  The name of a version of random weights; seed: other weights. */
static wire_version_t version_of (uint64_t number, uint64_t seed, char **config, float **params,
                                  size_t *n)
{
    hf_config_t hf = {.model = fixture_config (), .bos = -1};
    model_t *model = fixture_model (&hf.model, COMPUTE_F32);
    *n = model_params (model);
    *params = calloc (*n, sizeof **params);
    *config = hf_config_json (&hf);
    assert_true (*params && *config);
    model_get (model, *params);
    fixture_fill (*params + 100, 1000, 0.4, seed);
    model_destroy (&model);
    return (wire_version_t){
        .policy = "main", .number = number, .hash = hash_object (*params, *n * sizeof **params)};
}

/*  announce: upload it, too. */
static wire_version_t make_version (fixture_t *f, uint64_t number, uint64_t seed, bool announce)
{
    char *config;
    float *params;
    size_t n;
    wire_version_t version = version_of (number, seed, &config, &params, &n);
    if (announce) {
        wire_manifest_t m = {.run = "r",
                             .version = version,
                             .dtype = "f32",
                             .compute = "f32",
                             .numerics = f->numerics ? f->numerics : model_isa (),
                             .retired = f->retired,
                             .size = n * sizeof *params};
        hash_t objects[] = {m.config = offer (f, config, strlen (config)),
                            offer (f, params, n * sizeof *params)};
        buf_t bytes = {0};
        wire_manifest_pack (&m, &bytes);
        bus_manifest (f->trainer, "r", 1, "main", bytes.data, bytes.size, objects, 2);
        assert_int_equal (await (f, BUS_OBJECT).code, ERR_NONE);
        buf_free (&bytes);
    }
    free (config);
    free (params);
    return version;
}

static const int32_t words[] = {3, 14, 15, 9, 26}, other_words[] = {27, 18, 28};
static const int32_t stop = STOP;

static wire_act_request_t request_of (const wire_version_t *version, const wire_prompt_t *prompts,
                                      size_t n)
{
    return (wire_act_request_t){.run = "r",
                                .version = *version,
                                .seed = 7,
                                .phase = WIRE_TRAIN,
                                .step = 3,
                                .group = 2,
                                .temperature = 1,
                                .max_tokens = TOKENS,
                                .stops = {.data = &stop, .n = 1},
                                .prompts = prompts,
                                .prompts_n = n};
}

static const wire_act_reply_t *ask (fixture_t *f, const char *id, const wire_act_request_t *request)
{
    call (f, id, request, PATIENCE_MS);
    return answer (f);
}

static const wire_sample_t *sample_of (const wire_act_reply_t *reply, uint32_t episode)
{
    for (size_t i = 0; i < reply->samples_n; i++)
        if (reply->samples[i].episode == episode)
            return &reply->samples[i];
    fail_msg ("no sample of episode %u", episode);
    return NULL;
}

static void expect_same (const wire_sample_t *a, const wire_sample_t *b)
{
    assert_int_equal (a->ids.n, b->ids.n);
    assert_int_equal (a->stopped, b->stopped);
    for (size_t t = 0; t < a->ids.n; t++)
        if (a->ids.data[t] != b->ids.data[t] ||
            memcmp (&a->logps[t], &b->logps[t], sizeof *a->logps) != 0)
            fail_msg ("episode %u, token %zu: %d (%.9g) and %d (%.9g)", a->episode, t,
                      a->ids.data[t], (double) a->logps[t], b->ids.data[t], (double) b->logps[t]);
}

/*  ---- tests ---------------------------------------------------------------------------------- */

static void an_answer_has_every_episode_in_order (void **state)
{
    fixture_t *f = *state;
    wire_version_t version = make_version (f, 1, 11, true);
    static const uint32_t some[] = {4, 0}, more[] = {3, 1, 2};
    const wire_prompt_t prompts[] = {{{words, 5}, some, 2, ""}, {{other_words, 3}, more, 3, ""}};
    wire_act_request_t request = request_of (&version, prompts, 2);
    const wire_act_reply_t *reply = ask (f, "r/a", &request);
    assert_int_equal (reply->samples_n, 5);
    assert_string_equal (reply->version.policy, "main");
    assert_int_equal (reply->version.number, 1);
    assert_true (hash_equal (&reply->version.hash, &version.hash));
    for (uint32_t e = 0; e < 5; e++) {
        const wire_sample_t *s = &reply->samples[e];
        assert_int_equal (s->episode, e);
        assert_in_range (s->ids.n, 1, TOKENS);
        assert_true (s->stopped == (s->ids.data[s->ids.n - 1] == STOP));
        assert_true (s->stopped || s->ids.n == TOKENS);
        for (size_t t = 0; t < s->ids.n; t++)
            assert_true (isfinite (s->logps[t]) && s->logps[t] <= 0 && s->ids.data[t] < 83);
    }
    assert_true (f->run.told > 0); /* that a version came is told at once */
}

/*  Whoever shares the batch, and however a group is cut into requests. */
static void a_sample_depends_on_its_coordinates_alone (void **state)
{
    fixture_t *f = *state;
    wire_version_t version = make_version (f, 1, 11, true);
    static const uint32_t all[] = {0, 1, 2, 3, 4, 5, 6}, one[] = {5};
    const wire_prompt_t whole = {{words, 5}, all, 7, ""}, alone = {{words, 5}, one, 1, ""};
    wire_act_request_t request = request_of (&version, &whole, 1);
    const wire_act_reply_t *first = ask (f, "r/whole", &request);
    request.prompts = &alone;
    const wire_act_reply_t *second = ask (f, "r/alone", &request);
    assert_int_equal (second->samples_n, 1);
    expect_same (sample_of (first, 5), sample_of (second, 5));
    request.step++; /* other coordinates, another sample */
    const wire_act_reply_t *third = ask (f, "r/later", &request);
    const wire_sample_t *a = sample_of (second, 5), *b = sample_of (third, 5);
    size_t n = a->ids.n < b->ids.n ? a->ids.n : b->ids.n;
    assert_true (memcmp (a->ids.data, b->ids.data, n * sizeof *a->ids.data) != 0);
}

static void greedy_samples_are_all_the_same (void **state)
{
    fixture_t *f = *state;
    wire_version_t version = make_version (f, 1, 11, true);
    static const uint32_t all[] = {0, 1, 2};
    const wire_prompt_t prompt = {{words, 5}, all, 3, ""};
    wire_act_request_t request = request_of (&version, &prompt, 1);
    request.temperature = 0;
    const wire_act_reply_t *reply = ask (f, "r/greedy", &request);
    expect_same (&reply->samples[0], &reply->samples[1]);
    expect_same (&reply->samples[0], &reply->samples[2]);
}

static void a_request_waits_for_its_version_and_no_other (void **state)
{
    fixture_t *f = *state;
    make_version (f, 1, 11, true);
    wire_version_t next = make_version (f, 2, 12, false); /* known by name only */
    static const uint32_t all[] = {0, 1};
    const wire_prompt_t prompt = {{words, 5}, all, 2, ""};
    wire_act_request_t request = request_of (&next, &prompt, 1);
    call (f, "r/early", &request, PATIENCE_MS);
    for (int i = 0; i < 50; i++) {
        bus_item_t item;
        turn (f);
        if (bus_next (f->trainer, &item, 0, NULL) == 1)
            assert_int_not_equal (item.kind, BUS_REPLY);
    }
    make_version (f, 2, 12, true);
    const wire_act_reply_t *reply = answer (f);
    assert_int_equal (reply->version.number, 2);
    assert_true (hash_equal (&reply->version.hash, &next.hash));
}

static void a_version_that_never_comes_is_refused (void **state)
{
    fixture_t *f = *state;
    make_version (f, 1, 11, true);
    wire_version_t never = make_version (f, 9, 13, false);
    static const uint32_t all[] = {0};
    const wire_prompt_t prompt = {{words, 5}, all, 1, ""};
    wire_act_request_t request = request_of (&never, &prompt, 1);
    call (f, "r/never", &request, 300);
    bus_item_t item = await (f, BUS_REPLY);
    assert_true (item.code == ERR_MISSING || item.code == ERR_TIMEOUT);
    wire_version_t version = make_version (f, 10, 14, true); /* and the agent goes on */
    request.version = version;
    assert_int_equal (ask (f, "r/after", &request)->version.number, 10);
}

static void is_refused (fixture_t *f, const char *id, const wire_act_request_t *request,
                        err_code_t code)
{
    call (f, id, request, PATIENCE_MS);
    bus_item_t item = await (f, BUS_REPLY);
    if (item.code != code)
        fail_msg ("%s: %s (%s), wanted %s", id, err_name (item.code), item.text, err_name (code));
}

static void what_is_wrong_is_refused (void **state)
{
    fixture_t *f = *state;
    wire_version_t version = make_version (f, 1, 11, true);
    static const uint32_t all[] = {0};
    static const int32_t beyond[] = {3, 83}, negative[] = {3, -1};
    static int32_t endless[200];
    const wire_prompt_t good = {{words, 5}, all, 1, ""}, bad[] = {{{beyond, 2}, all, 1, ""},
                                                                  {{negative, 2}, all, 1, ""},
                                                                  {{endless, 200}, all, 1, ""}};
    wire_act_request_t request = request_of (&version, bad, 1);
    is_refused (f, "r/beyond", &request, ERR_INPUT);
    request.prompts = bad + 1;
    is_refused (f, "r/negative", &request, ERR_INPUT);
    request.prompts = bad + 2; /* longer than the context */
    call (f, "r/endless", &request, PATIENCE_MS);
    assert_int_not_equal (await (f, BUS_REPLY).code, ERR_NONE);
    request.prompts = &good;
    request.temperature = NAN;
    is_refused (f, "r/nan", &request, ERR_INPUT);
    bus_call (f->trainer, "act", "r/noise", "\xff\xff\xff noise", 9, PATIENCE_MS);
    assert_int_equal (await (f, BUS_REPLY).code, ERR_INPUT);
    request.temperature = 1;
    request.filter.top_p = 0.9f; /* of training */
    is_refused (f, "r/filter", &request, ERR_INPUT);
    request.filter = (wire_filter_t){0};
    assert_int_equal (ask (f, "r/good", &request)->samples_n, 1);
}

/*  Other kernels give other bits: said at once, and why, to whoever asks. */
static void a_version_of_another_numeric_path_is_refused (void **state)
{
    fixture_t *f = *state;
    f->numerics = "abacus";
    wire_version_t version = make_version (f, 1, 11, true);
    static const uint32_t all[] = {0};
    const wire_prompt_t prompt = {{words, 5}, all, 1, ""};
    wire_act_request_t request = request_of (&version, &prompt, 1);
    for (int i = 0; i < 2; i++) {
        call (f, i ? "r/once more" : "r/once", &request, PATIENCE_MS);
        bus_item_t item = await (f, BUS_REPLY);
        assert_int_equal (item.code, ERR_CONFIG);
        if (!strstr (item.text, "'abacus'") || !strstr (item.text, model_isa ()))
            fail_msg ("%s", item.text);
    }
    f->numerics = NULL;
    make_version (f, 1, 11, true); /* the same weights, of a trainer that computes alike */
    /* A request may be faster than the event that tells of the version. */
    bus_item_t item = {.code = ERR_CONFIG};
    int64_t deadline = clock_ms () + PATIENCE_MS;
    for (int i = 0; item.code == ERR_CONFIG && clock_ms () < deadline; i++) {
        char id[32];
        snprintf (id, sizeof id, "r/after/%d", i);
        call (f, id, &request, PATIENCE_MS);
        item = await (f, BUS_REPLY);
    }
    assert_int_equal (item.code, ERR_NONE);
}

typedef struct {
    double decoding, waiting, version, held, prompts;
} seen_t;

static void see (void *to, const char *name, double value)
{
    seen_t *seen = to;
    if (strcmp (name, "requests_decoding") == 0)
        seen->decoding = value;
    if (strcmp (name, "requests_waiting") == 0)
        seen->waiting = value;
    if (strcmp (name, "version/r/main") == 0)
        seen->version = value;
    if (strcmp (name, "versions_held") == 0)
        seen->held = value;
    if (strcmp (name, "prompt_tokens") == 0)
        seen->prompts = value;
}

/*  The next turn of a role that remembers, as an environment asks it; said: what it said before. */
static const wire_act_reply_t *ask_again (fixture_t *f, const char *id, wire_act_request_t request,
                                          const wire_sample_t *said)
{
    int32_t ids[5 + TOKENS + 3];
    static const uint32_t one[] = {0};
    memcpy (ids, words, sizeof words);
    memcpy (ids + 5, said->ids.data, said->ids.n * sizeof *ids);
    memcpy (ids + 5 + said->ids.n, other_words, sizeof other_words);
    const wire_prompt_t prompt = {{ids, 5 + said->ids.n + 3}, one, 1, ""};
    request.prompts = &prompt;
    request.turn = 1;
    return ask (f, id, &request);
}

static double prompt_tokens (fixture_t *f)
{
    seen_t seen = {0};
    agent_status (&f->run, see, &seen);
    return seen.prompts;
}

/*  What was computed for the turn before is found, under its own version and no other; who does not
 *  find it answers the same. */
static void a_second_turn_computes_its_new_ids_alone (void **state)
{
    fixture_t *f = *state;
    wire_version_t version = make_version (f, 1, 11, true), next = make_version (f, 2, 12, true);
    static const uint32_t all[] = {0, 1, 2};
    const wire_prompt_t prompt = {{words, 5}, all, 3, ""};
    wire_act_request_t request = request_of (&version, &prompt, 1);
    request.goes_on = true;
    const wire_sample_t *said = sample_of (ask (f, "r/first", &request), 0);
    assert_true (prompt_tokens (f) == 5);
    const wire_act_reply_t *second = ask_again (f, "r/second", request, said);
    assert_true (prompt_tokens (f) == 5 + 1 + 3); /* the last id that was said, and what is new */
    request.goes_on = false;
    const wire_act_reply_t *afresh = ask_again (f, "r/afresh", request, said);
    double whole = (double) (5 + said->ids.n + 3);
    assert_true (prompt_tokens (f) == 5 + 1 + 3 + whole);
    expect_same (sample_of (second, 0), sample_of (afresh, 0));
    request.goes_on = true;
    request.version = next;
    ask_again (f, "r/other", request, said);
    assert_true (prompt_tokens (f) == 5 + 1 + 3 + 2 * whole);
}

/*  The run is over: nothing of it stays in memory. */
static void a_retired_version_is_forgotten (void **state)
{
    fixture_t *f = *state;
    seen_t seen = {0};
    int64_t deadline = clock_ms () + PATIENCE_MS;
    make_version (f, 1, 11, true);
    for (bool held = true;; agent_status (&f->run, see, &seen)) {
        bus_item_t item;
        assert_true (clock_ms () < deadline);
        bus_next (f->trainer, &item, 0, NULL);
        turn (f);
        if (held && seen.held == 1) {
            f->retired = true;
            make_version (f, 1, 11, true);
            held = false;
        } else if (!held && seen.held == 0) {
            return;
        }
    }
}

static void a_cancelled_request_is_forgotten (void **state)
{
    fixture_t *f = *state;
    wire_version_t never = make_version (f, 9, 13, false);
    make_version (f, 1, 11, true);
    static const uint32_t all[] = {0};
    const wire_prompt_t prompt = {{words, 5}, all, 1, ""};
    wire_act_request_t request = request_of (&never, &prompt, 1);
    buf_t bytes = {0};
    wire_act_request_pack (&request, &bytes);
    uint64_t number = bus_call (f->trainer, "act", "r/never", bytes.data, bytes.size, PATIENCE_MS);
    buf_free (&bytes);
    seen_t seen = {0};
    int64_t deadline = clock_ms () + PATIENCE_MS;
    for (; seen.waiting != 1 || seen.version != 1; agent_status (&f->run, see, &seen)) {
        bus_item_t item;
        assert_true (clock_ms () < deadline);
        bus_next (f->trainer, &item, 0, NULL);
        turn (f);
    }
    bus_cancel (f->trainer, number);
    for (; seen.waiting != 0; agent_status (&f->run, see, &seen)) {
        bus_item_t item;
        assert_true (clock_ms () < deadline);
        bus_next (f->trainer, &item, 0, NULL);
        turn (f);
    }
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (an_answer_has_every_episode_in_order),
        TEST (a_sample_depends_on_its_coordinates_alone),
        TEST (greedy_samples_are_all_the_same),
        TEST (a_request_waits_for_its_version_and_no_other),
        TEST (a_version_that_never_comes_is_refused),
        TEST (what_is_wrong_is_refused),
        TEST (a_version_of_another_numeric_path_is_refused),
        TEST (a_cancelled_request_is_forgotten),
        TEST (a_second_turn_computes_its_new_ids_alone),
        TEST (a_retired_version_is_forgotten),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

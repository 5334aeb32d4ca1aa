/* with: services/agent/ services/bus/ */
/*  An agent that asks servers of others (tests/openai_server.py): good ones, busy ones, broken
 *  ones. What each failure is worth to who asked: another try, or the end. */
#include "agent_fixture.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "../../services/agent/engines.h"
#include "server_fixture.h"

#define SOON_MS 900 /* for who will not answer anyway */

static server_t server;

static int start_server (void **state)
{
    (void) state;
    setenv ("TEST_KEY", "sk-very-secret", 1);
    return server_start (&server, NULL, NULL);
}

static int end_server (void **state)
{
    (void) state;
    server_end (&server);
    return 0;
}

static int setup (void **state)
{
    static const char *const models[] = {
        "echo TEST_KEY", "slow 4",  "later", "long", "locked TEST_KEY",
        "broken",        "garbage", "half",  "mute", "silent",
        "picky",         "zero",    "nul"};
    buf_t list = {0};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        buf_printf (&list, "%s%s %s", i ? "; " : "", server.url, models[i]);
    int rc = setup_with (state, list.data);
    buf_free (&list); /* the agent has read it */
    return rc;
}

/*  Two prompts of one seat, for three episodes, of a model of the stand-in. */
static wire_act_request_t request_of (const char *model, char engine[128])
{
    static const uint32_t some[] = {2, 0}, one[] = {1};
    static const char *const stops[] = {"\n\n", "END"};
    static const wire_prompt_t prompts[] = {
        {.text = "Say \"yes\".", .episodes = some, .episodes_n = 2},
        {.text = "Say no.", .episodes = one, .episodes_n = 1}};
    snprintf (engine, 128, "%s %s", server.url, model);
    return (wire_act_request_t){.run = "r",
                                .version = {.policy = "guide"},
                                .seed = 7,
                                .phase = WIRE_EVAL_SAMPLED,
                                .group = 2,
                                .temperature = 0.5F,
                                .filter.top_p = 0.75F,
                                .max_tokens = 9,
                                .prompts = prompts,
                                .prompts_n = 2,
                                .engine = engine,
                                .system = "You guide.",
                                .stop_texts = stops,
                                .stop_texts_n = 2};
}

static const wire_act_reply_t *ask (fixture_t *f, const char *id, const char *model)
{
    char engine[128];
    wire_act_request_t request = request_of (model, engine);
    call (f, id, &request, PATIENCE_MS);
    return answer (f);
}

/*  A number of the question that the echo saw. */
static double seen (const wire_sample_t *sample, const char *key)
{
    json_t *body = json_loads (sample->text, 0, NULL);
    double value = json_number_value (json_object_get (body, key));
    json_decref (body);
    return value;
}

static void holds (const char *text, const char *words)
{
    if (!strstr (text, words))
        fail_msg ("'%s' is not in '%s'", words, text);
}

static void a_server_gets_what_the_seat_is_told (void **state)
{
    const wire_act_reply_t *reply = ask (*state, "r/a", "echo");
    assert_string_equal (reply->version.policy, "guide");
    assert_int_equal (reply->samples_n, 3);
    for (uint32_t e = 0; e < 3; e++) {
        const wire_sample_t *s = &reply->samples[e];
        assert_int_equal (s->episode, e);
        assert_int_equal (s->ids.n, 0);
        assert_true (s->stopped && s->tokens > 10);
        holds (s->text, "{\"content\": \"You guide.\", \"role\": \"system\"}");
        holds (s->text, e == 1 ? "{\"content\": \"Say no.\", \"role\": \"user\"}"
                               : "{\"content\": \"Say \\\"yes\\\".\", \"role\": \"user\"}");
        holds (s->text, "\"stop\": [\"\\n\\n\", \"END\"]");
        holds (s->text, "\"key\": \"sk-very-secret\"");
        assert_true (fabs (seen (s, "temperature") - 0.5) < 1e-6);
        assert_true (fabs (seen (s, "top_p") - 0.75) < 1e-6);
        assert_int_equal ((int) seen (s, "max_tokens"), 9);
    }
    /* Each sample has a seed of its own, which follows from its coordinates alone. */
    assert_true (fabs (seen (&reply->samples[0], "seed") - seen (&reply->samples[2], "seed")) > 0);
    const wire_act_reply_t *again = ask (*state, "r/again", "echo");
    for (uint32_t e = 0; e < 3; e++)
        assert_true (fabs (seen (&reply->samples[e], "seed") - seen (&again->samples[e], "seed")) <
                     0.5);
}

/*  The busy one wants the same question three times. */
static void a_busy_server_is_asked_again (void **state)
{
    const wire_act_reply_t *reply = ask (*state, "r/later", "later");
    assert_int_equal (reply->samples_n, 3);
    assert_string_equal (reply->samples[0].text, "at last");
}

static void many_are_asked_at_once_and_a_cut_answer_says_so (void **state)
{
    const wire_act_reply_t *reply = ask (*state, "r/slow", "slow");
    int most = 0;
    for (size_t i = 0; i < 3; i++)
        most = strtol (reply->samples[i].text, NULL, 10) > most
                   ? (int) strtol (reply->samples[i].text, NULL, 10)
                   : most;
    assert_true (most > 1);
    reply = ask (*state, "r/long", "long");
    assert_false (reply->samples[0].stopped);
    assert_int_equal (reply->samples[0].tokens, 3);
    reply = ask (*state, "r/nul", "nul"); /* bytes 0, which no action can hold */
    assert_string_equal (reply->samples[0].text, "a\xef\xbf\xbd"
                                                 "b \xef\xbf\xbd");
}

static void each_failure_has_its_worth (void **state)
{
    fixture_t *f = *state;
    static const struct {
        const char *model;
        int64_t patience_ms;
        err_code_t code;
        const char *words;
    } cases[] = {
        {"locked", PATIENCE_MS, ERR_CONFIG,
         "status 401 (1 try): no such key: ***; policies.guide."},
        {"silent", PATIENCE_MS, ERR_CONFIG, "how many tokens"},
        {"zero", PATIENCE_MS, ERR_CONFIG, "how many tokens"},
        {"picky", PATIENCE_MS, ERR_INPUT, "status 400"},
        {"garbage", PATIENCE_MS, ERR_INTERNAL, "no choices[0].message.content"},
        {"broken", SOON_MS, ERR_TIMEOUT, "the last try: status 503"},
        {"half", SOON_MS, ERR_TIMEOUT, "no answer in time"},
        {"mute", SOON_MS, ERR_TIMEOUT, "no answer in time"},
        {"echo2", PATIENCE_MS, ERR_CONFIG, "quintet-agent --engine 'URL MODEL KEY_ENV'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char engine[128];
        wire_act_request_t request = request_of (cases[i].model, engine);
        call (f, cases[i].model, &request, cases[i].patience_ms);
        bus_item_t item = await (f, BUS_REPLY);
        if (item.code != cases[i].code)
            fail_msg ("%s: %s (%s)", cases[i].model, err_name (item.code), item.text);
        holds (item.text, cases[i].words);
        holds (item.text, "policy guide: ");
        holds (item.text, server.url);
        assert_null (strstr (item.text, "secret"));
    }
    assert_int_equal (ask (f, "r/after", "echo")->samples_n, 3); /* and it goes on */
}

typedef struct {
    double asked;
} status_t;

static void see (void *to, const char *name, double value)
{
    if (strcmp (name, "requests_asked") == 0)
        ((status_t *) to)->asked = value;
}

/*  What it answers later finds nobody. */
static void a_cancelled_question_is_forgotten (void **state)
{
    fixture_t *f = *state;
    char engine[128];
    wire_act_request_t request = request_of ("slow", engine);
    buf_t bytes = {0};
    status_t status = {0};
    wire_act_request_pack (&request, &bytes);
    uint64_t number = bus_call (f->trainer, "act", "r/gone", bytes.data, bytes.size, PATIENCE_MS);
    buf_free (&bytes);
    int64_t deadline = clock_ms () + PATIENCE_MS;
    for (int wanted = 1; wanted >= 0; wanted--) {
        do {
            bus_item_t item;
            assert_true (clock_ms () < deadline);
            bus_next (f->trainer, &item, 0, NULL);
            turn (f);
            agent_status (&f->run, see, &status);
        } while ((int) status.asked != wanted);
        bus_cancel (f->trainer, number);
    }
    assert_int_equal (ask (f, "r/next", "slow")->samples_n, 3);
}

/*  Said when the agent starts, not when it is asked. */
static void servers_that_are_none_are_refused (void **state)
{
    (void) state;
    static const struct {
        const char *servers, *words;
    } cases[] = {
        {"http://h/v1", "--engine: 'http://h/v1' is no server: its URL, its model"},
        {"http://h/v1 m KEY x", "is no server"},
        {"http://h/v1 m 0", "is no server"},
        {"ftp://h/v1 m", "'ftp://h/v1' is no URL of a server"},
        {"http://h/v1 m; http://h/v1 n NO_SUCH_KEY", "the environment has no NO_SUCH_KEY"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_t err = {0};
        assert_null (engines_new (cases[i].servers, NULL, NULL, &err));
        assert_int_equal (err.code, ERR_CONFIG);
        holds (err.text, cases[i].words);
    }
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (a_server_gets_what_the_seat_is_told),
        TEST (a_busy_server_is_asked_again),
        TEST (many_are_asked_at_once_and_a_cut_answer_says_so),
        TEST (each_failure_has_its_worth),
        TEST (a_cancelled_question_is_forgotten),
        cmocka_unit_test (servers_that_are_none_are_refused),
    };
    return cmocka_run_group_tests (tests, start_server, end_server);
}

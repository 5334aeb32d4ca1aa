/* with: services/reward/ */
/*  The judge: what it is asked, how its answer is read, and what comes of it in the reward
 *  service. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "../../services/reward/workers.h"
#include "base/clock.h"
#include "server_fixture.h"

#define EPISODES    12
#define PATIENCE_MS 60000
#define TASK                                                                                       \
    "{\"id\":\"w\",\"family\":\"writing\",\"brief\":\"the sea\","                                  \
    "\"terms\":[\"hidden\"]}"

static const char *const roles[] = {"solo"};
static server_t server;

static int setup (void **state)
{
    (void) state;
    setenv ("TEST_KEY", "sk-very-secret", 1);
    return server_start (&server, NULL, NULL);
}

static int teardown (void **state)
{
    (void) state;
    server_end (&server);
    return 0;
}

static grade_t example (char *model)
{
    static char nothing[] = "", prompt[] = "{brief} {artifact}";
    return (grade_t){.policy = nothing,
                     .url = server.url,
                     .model = model,
                     .system = nothing,
                     .prompt = prompt,
                     .weight = 0.25,
                     .lowest = 0,
                     .highest = 10,
                     .samples = 1,
                     .max_tokens = 9,
                     .seconds = 60};
}

/*  The caller frees it. */
static char *written (const grade_t *grade)
{
    buf_t json = {0};
    grade_write (grade, &json);
    assert_false (buf_failed (&json));
    return buf_take (&json);
}

static void is (double value, double wanted)
{
    if (!(fabs (value - wanted) < 1e-12))
        fail_msg ("%.17g is not %.17g", value, wanted);
}

static void a_number_is_the_first_of_the_last_line_with_one (void **state)
{
    (void) state;
    static const struct {
        const char *answer;
        double value; /* -1: none */
    } cases[] = {
        {"7", 0.6},
        {"It is 3 times too long.\n\n8/11", 0.7},
        {"Score: 8 out of 10", 0.7},
        {"**Rating: [[9]]**\n", 0.8},
        {"2.5\nThank you!\n", 0.15},
        {".5", -1},
        {"-3", -1},
        {"v2 is what I say: 11", 1},
        {"\xc3\xa4"
         "4 5",
         0.4},
        {"12", -1},
        {"seven", -1},
        {"", -1},
        {"1e999", -1},
    };
    grade_t grade = {.lowest = 1, .highest = 11};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double value = -1;
        bool found = grade_of (&grade, cases[i].answer, &value);
        if (found != (cases[i].value >= 0))
            fail_msg ("'%s': %s", cases[i].answer, found ? "a number" : "no number");
        is (value, cases[i].value);
    }
}

static void what_is_written_is_read_and_what_is_none_is_refused (void **state)
{
    (void) state;
    err_t err = {0};
    grade_t grade = example ((char[]){"words"});
    char *text = written (&grade);
    grade_t *read = grade_read (text, &err);
    assert_non_null (read);
    char *again = written (read);
    assert_string_equal (text, again);
    grade_destroy (&read);
    free (again);
    free (text);
    grade_t wrong[] = {grade, grade, grade, grade, grade, grade};
    wrong[0].weight = 0;
    wrong[1].weight = 1.5;
    wrong[2].highest = grade.lowest;
    wrong[3].samples = 0;
    wrong[4].seconds = 0;
    wrong[5].max_tokens = 0;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        text = written (&wrong[i]);
        assert_null (grade_read (text, &err));
        assert_int_equal (err.code, ERR_INPUT);
        free (text);
    }
    assert_null (grade_read ("[]", &err));
    assert_null (grade_read ("{\"url\": 1}", &err));
    assert_null (grade_read ("", &err));
}

/*  A policy has no server's keys, and needs none. */
static void a_policy_is_written_without_a_server (void **state)
{
    (void) state;
    err_t err = {0};
    grade_t grade = example (NULL);
    grade.policy = (char[]){"critic"};
    grade.url = NULL;
    char *text = written (&grade);
    assert_null (strstr (text, "url"));
    grade_t *read = grade_read (text, &err);
    assert_non_null (read);
    assert_string_equal (read->policy, "critic");
    grade_destroy (&read);
    free (text);
    static const char *const answers[] = {"2", "so: 4\n", "none", "6"};
    double value = -1;
    grade.samples = 2;
    assert_int_equal (grade_mean (&grade, answers, &value, &err), 0);
    is (value, 0.3);
    assert_int_equal (grade_mean (&grade, answers + 1, &value, &err), -1);
    assert_int_equal (err.code, ERR_INPUT);
    assert_non_null (strstr (err.text, "the judge critic said 'none' without a number from 0"));
}

/*  Whatever the prompt places, a judge sees brief and artifact; and never what is hidden. */
static void a_judge_sees_brief_and_artifact (void **state)
{
    (void) state;
    err_t err = {0};
    episode_limits_t limits = {.tokens = 9, .turns = 1};
    episode_t *episode = episode_new (TASK, roles, 1, &limits, &err);
    assert_non_null (episode);
    static const char said[] = "waves";
    assert_int_equal (
        episode_act (episode, 0, &(episode_action_t){.text = said, .size = 5, .tokens = 2}, &err),
        0);
    assert_int_equal (episode_step (episode, &err), 0);
    static char *const prompts[] = {"{brief}: {artifact} {unknown}", "How good?", "{solo}!"};
    static const char *const wanted[] = {"the sea: waves", "How good?", "waves!"};
    for (size_t i = 0; i < 3; i++) {
        buf_t prompt = {0};
        grade_t grade = {.prompt = prompts[i]};
        assert_int_equal (grade_ask (&grade, episode, &prompt, &err), 0);
        assert_non_null (strstr (prompt.data, wanted[i]));
        assert_non_null (strstr (prompt.data, "the sea"));
        assert_non_null (strstr (prompt.data, "waves"));
        assert_null (strstr (prompt.data, "hidden"));
        buf_free (&prompt);
    }
    episode_destroy (&episode);
}

static void a_grade_joins_the_quality (void **state)
{
    (void) state;
    grade_t grade = {.weight = 0.25};
    reward_score_t score = {.quality = 0.8};
    grade_join (&grade, 0.4, &score);
    is (score.quality, 0.7);
    assert_int_equal (score.parts_n, 1);
    assert_string_equal (score.parts[0].name, "judge");
    is (score.parts[0].value, 0.4);
}

/*  ---- in the service ------------------------------------------------------------------------- */

static void wake (void *context)
{
    (void) context;
}

static char histories[EPISODES][200];
static const char *list[EPISODES];

/*  Episode i says i + 1 different words. */
static void write_histories (void)
{
    for (size_t i = 0; i < EPISODES; i++) {
        char words[80] = "";
        for (size_t k = 0; k <= i; k++)
            snprintf (words + strlen (words), sizeof words - strlen (words), "w%zu ", k);
        snprintf (histories[i], sizeof histories[i],
                  "{\"turns\":[{\"actions\":[{\"role\":\"solo\",\"text\":\"%s\",\"tokens\":3,"
                  "\"truncated\":false,\"tokens_read\":0}]}]}",
                  words);
        list[i] = histories[i];
    }
}

static workers_t *workers_of (const char *model)
{
    err_t err = {0};
    static char judge[200];
    snprintf (judge, sizeof judge, "%s %s TEST_KEY", server.url, model);
    workers_options_t options = {.n = 1,
                                 .command = "while read line; do echo '{\"quality\": 0.4}'; done",
                                 .modules = "",
                                 .judge = judge,
                                 .passages = ""};
    workers_t *workers = workers_new (&options, wake, NULL, &err);
    if (!workers)
        fail_msg ("%s", err.text);
    return workers;
}

static wire_score_request_t request_of (const char *judge)
{
    return (wire_score_request_t){.run = "r",
                                  .command = "while read line; do echo '{\"quality\": 0.4}'; done",
                                  .weights = {1, 0, 0},
                                  .task = TASK,
                                  .roles = roles,
                                  .roles_n = 1,
                                  .max_tokens = 9,
                                  .max_turns = 1,
                                  .histories = list,
                                  .histories_n = EPISODES,
                                  .judge = judge};
}

static scored_t *score (workers_t *workers, const wire_score_request_t *request)
{
    err_t err = {0};
    scored_t *scored = NULL;
    write_histories ();
    assert_int_equal (workers_add (workers, 1, arena_new (1 << 20), request, &err), 0);
    for (int64_t end = clock_ms () + PATIENCE_MS; !scored && clock_ms () < end;)
        if (!(scored = workers_take (workers)))
            clock_sleep_ms (5);
    assert_non_null (scored);
    return scored;
}

/*  Each episode gets its own judge's number, and the scorer's beside it. */
static void a_judge_is_a_part_of_the_quality (void **state)
{
    (void) state;
    grade_t grade = example ((char[]){"words"});
    grade.samples = 3;
    char *judge = written (&grade);
    workers_t *workers = workers_of ("words");
    wire_score_request_t request = request_of (judge);
    for (int twice = 0; twice < 2; twice++) { /* the second time all is remembered */
        scored_t *scored = score (workers, &request);
        if (scored->failed)
            fail_msg ("%s", scored->err.text);
        for (size_t i = 0; i < EPISODES; i++) {
            double part = (double) (1 + (i + 3) % 10) / 10; /* the brief has two words */
            is (scored->rewards[i].quality, 0.75 * 0.4 + 0.25 * part);
            is (scored->rewards[i].reward, scored->rewards[i].quality);
        }
        scored_free (&scored);
        /* But for one that fell on another's slot: the server's port is part of their hashes. */
        size_t remembered = workers_status (workers).remembered;
        assert_in_range (remembered, twice ? EPISODES - 2 : 0, twice ? EPISODES : 0);
    }
    workers_destroy (&workers);
    free (judge);
}

/*  What a policy said comes with the request, and nobody is asked. Other answers to the same
 *  episode are another score. */
static void what_a_policy_said_is_read_here (void **state)
{
    (void) state;
    grade_t grade = example (NULL);
    grade.policy = (char[]){"critic"};
    grade.samples = 2;
    char *judge = written (&grade);
    static const char *answers[2 * EPISODES];
    workers_t *workers = workers_of ("words");
    wire_score_request_t request = request_of (judge);
    request.graded = answers;
    request.graded_n = 2 * EPISODES;
    for (int turn = 0; turn < 3; turn++) { /* in the last one, episode 1 has no number */
        for (size_t i = 0; i < 2 * EPISODES; i++)
            answers[i] = turn == 0 ? "3" : i == 3 && turn == 2 ? "what?" : i % 2 ? "9" : "10";
        scored_t *scored = score (workers, &request);
        if (scored->failed)
            fail_msg ("%s", scored->err.text);
        assert_int_equal (scored->unscored, turn == 2);
        for (size_t i = 0; i < EPISODES; i++)
            if (turn == 2 && i == 1)
                assert_non_null (strstr (scored->rewards[i].verdict, "critic said 'what?'"));
            else
                is (scored->rewards[i].quality, 0.75 * 0.4 + 0.25 * (turn ? 0.95 : 0.3));
        scored_free (&scored);
    }
    workers_destroy (&workers);
    free (judge);
}

static void other_answers_than_are_wanted_are_refused (void **state)
{
    (void) state;
    err_t err = {0};
    grade_t grade = example (NULL);
    grade.policy = (char[]){"critic"};
    char *judge = written (&grade);
    static const char *const answers[] = {"1", "2"};
    workers_t *workers = workers_of ("words");
    wire_score_request_t request = request_of (judge);
    request.histories_n = 1;
    arena_t *arena = arena_new (1 << 20);
    for (size_t n = 0; n <= 2; n += 2) {
        request.graded = answers;
        request.graded_n = n;
        assert_int_equal (workers_add (workers, 1, arena, &request, &err), -1);
        assert_int_equal (err.code, ERR_INPUT);
        assert_non_null (strstr (err.text, "answers of the judge critic, and 1 are wanted"));
    }
    arena_destroy (&arena);
    workers_destroy (&workers);
    free (judge);
}

/*  It is an error of that episode alone, and no grade of 0. */
static void one_episode_without_a_number_costs_no_other (void **state)
{
    (void) state;
    grade_t grade = example ((char[]){"moody"});
    char *judge = written (&grade);
    workers_t *workers = workers_of ("moody");
    wire_score_request_t request = request_of (judge);
    scored_t *scored = score (workers, &request);
    if (scored->failed)
        fail_msg ("%s", scored->err.text);
    assert_in_range (scored->unscored, 1, EPISODES - 1);
    size_t unscored = 0;
    for (size_t i = 0; i < EPISODES; i++) {
        const reward_t *reward = &scored->rewards[i];
        unscored += reward->unscored;
        assert_true (reward->unscored == (strstr (reward->verdict, "said 'no opinion'") != NULL));
        assert_true (reward->unscored || reward->quality > 0);
    }
    assert_int_equal (unscored, scored->unscored);
    scored_free (&scored);
    workers_destroy (&workers);
    free (judge);
}

/*  None of them is a grade of 0. */
static void what_a_judge_does_not_say_is_an_error (void **state)
{
    (void) state;
    static const struct {
        const char *model;
        double seconds;
        err_code_t code;
        const char *words;
    } cases[] = {
        {"shy", 60, ERR_INPUT, "'I would rather not say a number.', 3 times without a number"},
        {"picky", 60, ERR_INPUT, "status 400"},
        {"locked", 60, ERR_CONFIG, "no such key: ***"},
        {"mute", 1, ERR_TIMEOUT, "no answer in time"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char model[32];
        snprintf (model, sizeof model, "%s", cases[i].model);
        grade_t grade = example (model);
        grade.seconds = cases[i].seconds;
        char *judge = written (&grade);
        workers_t *workers = workers_of (model);
        wire_score_request_t request = request_of (judge);
        request.histories_n = 2;
        scored_t *scored = score (workers, &request);
        assert_true (scored->failed);
        assert_string_equal (err_name (scored->err.code), err_name (cases[i].code));
        if (!strstr (scored->err.text, cases[i].words))
            fail_msg ("'%s' holds no '%s'", scored->err.text, cases[i].words);
        assert_null (strstr (scored->err.text, "secret"));
        scored_free (&scored);
        workers_destroy (&workers);
        free (judge);
    }
}

/*  A request cannot send this service to a server of its own choice. */
static void only_the_service_s_own_judge_is_asked (void **state)
{
    (void) state;
    err_t err = {0};
    grade_t grade = example ((char[]){"echo"});
    char *judge = written (&grade);
    workers_t *workers = workers_of ("words");
    wire_score_request_t request = request_of (judge);
    arena_t *arena = arena_new (1 << 20);
    assert_int_equal (workers_add (workers, 1, arena, &request, &err), -1);
    assert_int_equal (err.code, ERR_CONFIG);
    assert_non_null (strstr (err.text, "start it with quintet-reward --judge"));
    request.judge = "{}";
    assert_int_equal (workers_add (workers, 1, arena, &request, &err), -1);
    assert_int_equal (err.code, ERR_INPUT);
    arena_destroy (&arena);
    workers_destroy (&workers);
    free (judge);
}

static void a_service_ends_while_its_judge_is_silent (void **state)
{
    (void) state;
    err_t err = {0};
    grade_t grade = example ((char[]){"mute"});
    char *judge = written (&grade);
    workers_t *workers = workers_of ("mute");
    wire_score_request_t request = request_of (judge);
    write_histories ();
    assert_int_equal (workers_add (workers, 1, arena_new (1 << 20), &request, &err), 0);
    workers_destroy (&workers); /* without waiting for the 60 s of an answer */
    free (judge);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (a_number_is_the_first_of_the_last_line_with_one),
        cmocka_unit_test (what_is_written_is_read_and_what_is_none_is_refused),
        cmocka_unit_test (a_policy_is_written_without_a_server),
        cmocka_unit_test (a_judge_sees_brief_and_artifact),
        cmocka_unit_test (a_grade_joins_the_quality),
        cmocka_unit_test (a_judge_is_a_part_of_the_quality),
        cmocka_unit_test (what_a_policy_said_is_read_here),
        cmocka_unit_test (other_answers_than_are_wanted_are_refused),
        cmocka_unit_test (one_episode_without_a_number_costs_no_other),
        cmocka_unit_test (what_a_judge_does_not_say_is_an_error),
        cmocka_unit_test (only_the_service_s_own_judge_is_asked),
        cmocka_unit_test (a_service_ends_while_its_judge_is_silent),
    };
    return cmocka_run_group_tests (tests, setup, teardown);
}

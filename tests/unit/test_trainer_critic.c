/* with: services/trainer/critic_client.c services/trainer/rollout.c
 * services/trainer/transcripts.c */
/*  The trainer's side of the critic, on a bus that the test plays: what is asked, and again, and
 *  how it ends. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../services/trainer/critic_client.h"
#include "base/clock.h"
#include "conf/table.h"

#define EPISODES 2
#define WAIT_MS  60000

/*  ---- the bus -------------------------------------------------------------------------------- */

static struct {
    uint64_t number; /* of the last call or fetch; 0: none is taken any more */
    size_t calls, fetches;
    char service[16], id[256];
    size_t size;
    buf_t payload;
    hash_t wanted;
    bool full;
} bus;

uint64_t bus_call (bus_t *of, const char *service, const char *id, const void *payload, size_t size,
                   int64_t deadline_ms)
{
    (void) of, (void) deadline_ms;
    buf_clear (&bus.payload);
    buf_append (&bus.payload, payload, size);
    bus.calls++;
    snprintf (bus.service, sizeof bus.service, "%s", service);
    snprintf (bus.id, sizeof bus.id, "%s", id);
    bus.size = size;
    return bus.full ? 0 : ++bus.number;
}

uint64_t bus_fetch (bus_t *of, const hash_t *hash, uint64_t size, int64_t deadline_ms)
{
    (void) of, (void) size, (void) deadline_ms;
    bus.fetches++;
    bus.wanted = *hash;
    return bus.full ? 0 : ++bus.number;
}

/*  ---- fixture -------------------------------------------------------------------------------- */

typedef struct {
    conf_t *conf;
    rollout_t *rollout;
    critic_client_t *critic;
    wire_episode_t episodes[EPISODES];
    wire_episodes_t group;
} fixture_t;

#define HISTORY                                                                                    \
    "{\"turns\":[{\"actions\":[{\"role\":\"aux\",\"text\":\"said\",\"tokens\":4,\"tokens_read\":"  \
    "0}]}]}"

static int setup (void **state)
{
    fixture_t *f = calloc (1, sizeof *f);
    err_t err = {0};
    memset (&bus, 0, sizeof bus);
    assert_non_null (f);
    f->conf = conf_defaults ();
    f->rollout = rollout_new (1, &err);
    f->critic = critic_client_new ((bus_t *) &bus, "r", 7, f->conf, &err);
    assert_true (f->conf && f->rollout && f->critic);
    for (size_t e = 0; e < EPISODES; e++)
        f->episodes[e] =
            (wire_episode_t){.history = HISTORY, .reward = {.reward = 0.5, .verdict = ""}};
    f->group = (wire_episodes_t){.episodes = f->episodes, .episodes_n = EPISODES};
    f->rollout->group[0] = &f->group;
    f->rollout->task[0] = "{\"brief\":\"Do it.\",\"tests\":[{\"args\":[\"a secret\"]}]}";
    f->conf->team.roles.item[0] = strdup ("aux");
    f->conf->team.roles.n = 1;
    assert_int_equal (rollout_index (f->rollout, &err), 0);
    *state = f;
    return 0;
}

static int teardown (void **state)
{
    fixture_t *f = *state;
    critic_client_destroy (&f->critic);
    rollout_destroy (&f->rollout);
    buf_free (&bus.payload);
    conf_destroy (&f->conf);
    free (f);
    return 0;
}

static void learn (fixture_t *f, uint64_t step)
{
    err_t err = {0};
    if (critic_client_learn (f->critic, step, f->rollout, true, &err) != 0)
        fail_msg ("%s", err.text);
}

static int give (fixture_t *f, bus_kind_t kind, err_code_t code, const buf_t *payload, err_t *err)
{
    bus_item_t item = {.kind = kind,
                       .call = bus.number,
                       .code = code,
                       .text = code ? "not now" : "",
                       .payload = payload ? payload->data : "",
                       .size = payload ? payload->size : 0};
    return critic_client_item (f->critic, &item, err);
}

static hash_t give_learnt (fixture_t *f)
{
    err_t err = {0};
    wire_learn_reply_t reply = {.state = hash_of ("state", 5), .size = 5};
    buf_t bytes = {0};
    wire_learn_reply_pack (&reply, &bytes);
    assert_int_equal (give (f, BUS_REPLY, ERR_NONE, &bytes, &err), 1);
    buf_free (&bytes);
    return reply.state;
}

/*  Polls until as many calls and fetches were made. */
static void wait_asked (fixture_t *f, size_t asked)
{
    err_t err = {0};
    int64_t deadline = clock_ms () + WAIT_MS;
    while (bus.calls + bus.fetches < asked) {
        assert_int_equal (critic_client_poll (f->critic, &err), 0);
        assert_true (clock_ms () < deadline);
        clock_sleep_ms (5);
    }
}

/*  ---- tests ---------------------------------------------------------------------------------- */

/*  A worker repeats its answer by id: only the same question of the same trainer has the same. */
static void an_id_stands_for_one_question (void **state)
{
    fixture_t *f = *state;
    char first[256];
    learn (f, 3);
    memcpy (first, bus.id, sizeof first);
    learn (f, 3);
    assert_string_equal (bus.id, first);
    f->rollout->rewards[1] = 0.25;
    learn (f, 3);
    assert_string_not_equal (bus.id, first);
    f->rollout->rewards[1] = 0.5;
    err_t err = {0};
    critic_client_t *other = critic_client_new ((bus_t *) &bus, "r", 8, f->conf, &err);
    assert_non_null (other);
    assert_int_equal (critic_client_learn (other, 3, f->rollout, true, &err), 0);
    assert_string_not_equal (bus.id, first);
    critic_client_destroy (&other);
}

static void a_busy_critic_is_asked_again (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    char id[256];
    learn (f, 1);
    memcpy (id, bus.id, sizeof id);
    assert_int_equal (give (f, BUS_REPLY, ERR_BUSY, NULL, &err), 1);
    assert_int_equal (critic_client_poll (f->critic, &err), 0);
    wait_asked (f, 2);
    assert_string_equal (bus.id, id);
    give_learnt (f);
    assert_int_equal (bus.fetches, 1);
}

static void a_state_that_the_bus_does_not_hold_yet_is_fetched_again (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    learn (f, 1);
    hash_t learnt = give_learnt (f);
    assert_int_equal (bus.fetches, 1);
    assert_int_equal (give (f, BUS_OBJECT, ERR_MISSING, NULL, &err), 1);
    wait_asked (f, 3);
    assert_int_equal (bus.fetches, 2);
    assert_true (hash_equal (&bus.wanted, &learnt));
    buf_t bytes = {0};
    buf_text (&bytes, "state");
    assert_int_equal (give (f, BUS_OBJECT, ERR_NONE, &bytes, &err), 1);
    buf_free (&bytes);
    assert_int_equal (critic_client_poll (f->critic, &err), 1);
    assert_int_equal (critic_client_bytes (f->critic)->size, 5);
}

static void what_was_put_off_too_long_is_named (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    learn (f, 9);
    assert_int_equal (critic_client_late (f->critic, "ipc:///x/bus", 600, &err), -1);
    assert_int_equal (err.code, ERR_TIMEOUT);
    assert_non_null (
        strstr (err.text, "step 9: no learn from a critic on the bus at ipc:///x/bus"));
    assert_int_equal (give (f, BUS_REPLY, ERR_BUSY, NULL, &err), 1);
    assert_int_equal (critic_client_late (f->critic, "ipc:///x/bus", 600, &err), -1);
    assert_non_null (strstr (err.text, "not now"));
}

static void other_refusals_end_it (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    learn (f, 1);
    assert_int_equal (give (f, BUS_REPLY, ERR_MISSING, NULL, &err), -1);
    assert_int_equal (err.code, ERR_MISSING);
    assert_non_null (strstr (err.text, "not now"));
}

/*  A request that was not sent is no answer. */
static void a_request_that_cannot_be_sent_is_an_error (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    bus.full = true;
    assert_int_equal (critic_client_learn (f->critic, 1, f->rollout, false, &err), -1);
    assert_int_equal (err.code, ERR_LIMIT);
    bus.full = false;
    learn (f, 1);
    bus.full = true;
    buf_t bytes = {0};
    wire_learn_reply_t reply = {.state = hash_of ("state", 5), .size = 5};
    wire_learn_reply_pack (&reply, &bytes);
    assert_int_equal (give (f, BUS_REPLY, ERR_NONE, &bytes, &err), -1);
    buf_free (&bytes);
}

/*  ---- trust ---------------------------------------------------------------------------------- */

/*  A step whose values explain this much: 1 all, 0 nothing. The rewards are 0 and 1, so values that
 *  are x apart leave (1 - x)^2 of the variance. */
static void foresee (fixture_t *f, critic_client_t *critic, uint64_t step, double apart)
{
    err_t err = {0};
    assert_int_equal (critic_client_ask (critic, step, f->rollout, &err), 0);
    wire_value_t values[EPISODES];
    for (uint32_t e = 0; e < EPISODES; e++)
        values[e] = (wire_value_t){.episode = e, .value = e ? apart : 0};
    wire_value_reply_t reply = {.values = values, .values_n = EPISODES};
    buf_t bytes = {0};
    wire_value_reply_pack (&reply, &bytes);
    bus_item_t item = {
        .kind = BUS_REPLY, .call = bus.number, .payload = bytes.data, .size = bytes.size};
    assert_int_equal (critic_client_item (critic, &item, &err), 1);
    buf_free (&bytes);
}

static void trust_is_earned_and_lost (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    static wire_completion_t completions[EPISODES];
    for (size_t e = 0; e < EPISODES; e++) {
        f->episodes[e].completions = &completions[e];
        f->episodes[e].completions_n = 1;
        f->episodes[e].reward.reward = (double) e;
    }
    rollout_t *rollout = rollout_new (1, &err);
    assert_non_null (rollout);
    rollout->group[0] = &f->group;
    rollout->task[0] = f->rollout->task[0];
    assert_int_equal (rollout_index (rollout, &err), 0);
    rollout_destroy (&f->rollout);
    f->rollout = rollout;
    learn (f, 1);
    give_learnt (f);
    foresee (f, f->critic, 2, 0.25); /* explains 7/16; the mean becomes an eighth of that */
    assert_null (critic_client_values (f->critic));
    foresee (f, f->critic, 3, 0.25);
    critic_client_status_t status = critic_client_status (f->critic);
    assert_true (fabs (status.mean - (1 - 49.0 / 64) * 0.4375) < 1e-12);
    assert_non_null (critic_client_values (f->critic)); /* 0.1025 */
    foresee (f, f->critic, 4, 0); /* 0.09: below what trusts, above what distrusts */
    assert_non_null (critic_client_values (f->critic));
    critic_client_t *resumed = critic_client_new ((bus_t *) &bus, "r", 8, f->conf, &err);
    assert_non_null (resumed);
    status = critic_client_status (f->critic);
    critic_client_restore (resumed, &status.state, status.trusted, status.mean);
    foresee (f, resumed, 5, 0); /* goes on as the one before it */
    assert_non_null (critic_client_values (resumed));
    critic_client_destroy (&resumed);
    foresee (f, f->critic, 5, 10); /* explains -80, which counts as -1 */
    assert_null (critic_client_values (f->critic));
    double mean = critic_client_status (f->critic).mean;
    assert_true (fabs (mean - (0.875 * status.mean - 0.125)) < 1e-12);
    foresee (f, f->critic, 6, 1); /* one good step does not make up for it */
    assert_null (critic_client_values (f->critic));
    foresee (f, f->critic, 7, 1);
    assert_non_null (critic_client_values (f->critic));
}

/*  The critic reads the brief and what was said; the hidden checks stay with the trainer. */
static void hidden_checks_are_not_told (void **state)
{
    fixture_t *f = *state;
    learn (f, 1);
    assert_non_null (memmem (bus.payload.data, bus.payload.size, "Do it.", 6));
    assert_non_null (memmem (bus.payload.data, bus.payload.size, "said", 4));
    assert_null (memmem (bus.payload.data, bus.payload.size, "secret", 6));
    assert_null (memmem (bus.payload.data, bus.payload.size, "tokens", 6));
    f->episodes[1].history = "{\"turns\":[{\"actions\":[{\"role\":\"else\",\"text\":\"\"}]}]}";
    err_t err = {0};
    assert_int_equal (critic_client_learn (f->critic, 2, f->rollout, false, &err), -1);
    assert_int_equal (err.code, ERR_INPUT);
    assert_non_null (strstr (err.text, "group 0: the history of episode 1"));
    f->episodes[1].history = HISTORY;
}

/*  It would be as large after every restart: what to change is said, and nobody tries again. */
static void transcripts_beyond_a_frame_are_refused (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    char *large = malloc ((size_t) 9 << 20);
    assert_non_null (large);
    static const char begin[] = "{\"turns\":[{\"actions\":[{\"role\":\"aux\",\"text\":\"";
    static const char end[] = "\"}]}]}";
    memset (large, 'x', (size_t) 9 << 20);
    memcpy (large, begin, sizeof begin - 1);
    memcpy (large + ((size_t) 9 << 20) - sizeof end, end, sizeof end);
    f->episodes[0].history = f->episodes[1].history = large;
    assert_int_equal (critic_client_learn (f->critic, 4, f->rollout, false, &err), -1);
    assert_int_equal (err.code, ERR_CONFIG);
    assert_non_null (strstr (err.text, "step 4"));
    assert_non_null (strstr (err.text, "trainer.groups"));
    assert_int_equal (bus.calls, 0);
    f->episodes[0].history = f->episodes[1].history = HISTORY;
    free (large);
    learn (f, 4);
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (an_id_stands_for_one_question),
        TEST (a_busy_critic_is_asked_again),
        TEST (a_state_that_the_bus_does_not_hold_yet_is_fetched_again),
        TEST (what_was_put_off_too_long_is_named),
        TEST (other_refusals_end_it),
        TEST (a_request_that_cannot_be_sent_is_an_error),
        TEST (trust_is_earned_and_lost),
        TEST (hidden_checks_are_not_told),
        TEST (transcripts_beyond_a_frame_are_refused),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

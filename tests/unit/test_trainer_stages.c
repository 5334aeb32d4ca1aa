/* with: services/trainer/ */
/*  A trainer's walk through a run: a real store on a private Redis, a bus and environments that
 *  the test plays. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../services/trainer/stages.h"
#include "base/clock.h"
#include "redis_fixture.h"
#include "svc/args.h"

#define ITEMS_MAX 64
#define WAIT_MS   30000
#define TOKENS    4

/*  ---- the bus and the run time, as far as the trainer sees them ------------------------------ */

struct svc_run {
    void *state;
    args_t *args;
    pool_t *pool;
    bool stopped, failed;
    err_t why;
};

static redis_fixture_t redis;

static struct {
    bus_item_t items[ITEMS_MAX]; /* answers that wait to be taken */
    size_t items_n;
    uint64_t numbers;
    bool silent;        /* nothing is answered */
    err_code_t refuses; /* the next manifest */
    size_t offers, manifests, retired;
    buf_t manifest; /* the last one */
    size_t manifest_objects;
    const char *until; /* Redis is killed at this event */
} bus;

void *svc_state (const svc_run_t *run)
{
    return run->state;
}

bus_t *svc_bus (const svc_run_t *run)
{
    (void) run;
    return (bus_t *) &bus;
}

pool_t *svc_pool (svc_run_t *run)
{
    return run->pool;
}

const char *svc_redis (const svc_run_t *run)
{
    (void) run;
    return redis.address;
}

const args_t *svc_args (const svc_run_t *run)
{
    return run->args;
}

bool svc_stopping (const svc_run_t *run)
{
    return run->stopped;
}

void svc_stop (svc_run_t *run, int exit_status)
{
    run->stopped = true;
    run->failed = exit_status != 0;
}

void svc_fail (svc_run_t *run, const err_t *err)
{
    run->why = *err;
    svc_stop (run, 1);
}

static uint64_t answer (err_code_t code)
{
    uint64_t number = ++bus.numbers;
    assert_true (bus.items_n < ITEMS_MAX);
    if (!bus.silent)
        bus.items[bus.items_n++] = (bus_item_t){
            .kind = BUS_OBJECT, .call = number, .code = code, .text = "", .payload = ""};
    return number;
}

uint64_t bus_offer (bus_t *of, const void *content, size_t size)
{
    (void) of, (void) content, (void) size;
    bus.offers++;
    return answer (ERR_NONE);
}

uint64_t bus_lend (bus_t *of, const hash_t *hash, const void *content, size_t size)
{
    (void) hash;
    return bus_offer (of, content, size);
}

uint64_t bus_manifest (bus_t *of, const char *name, uint64_t epoch, const char *policy,
                       const void *manifest, size_t size, const hash_t *objects, size_t objects_n)
{
    (void) of, (void) name, (void) epoch, (void) policy, (void) objects;
    bus.manifests++;
    bus.manifest_objects = objects_n;
    buf_clear (&bus.manifest);
    buf_append (&bus.manifest, manifest, size);
    err_code_t code = bus.refuses;
    bus.refuses = ERR_NONE;
    return answer (code);
}

uint64_t bus_retire (bus_t *of, const char *name, uint64_t epoch, const char *policy)
{
    (void) of, (void) name, (void) epoch, (void) policy;
    bus.retired++;
    return answer (ERR_NONE);
}

uint64_t bus_call (bus_t *of, const char *service, const char *id, const void *payload, size_t size,
                   int64_t deadline_ms)
{
    (void) of, (void) service, (void) id, (void) payload, (void) size, (void) deadline_ms;
    return 0;
}

uint64_t bus_fetch (bus_t *of, const hash_t *hash, uint64_t size, int64_t deadline_ms)
{
    (void) of, (void) hash, (void) size, (void) deadline_ms;
    return 0;
}

void bus_cancel (bus_t *of, uint64_t call)
{
    (void) of, (void) call;
}

int bus_subscribe (bus_t *of, const char *prefix, err_t *err)
{
    (void) of, (void) prefix, (void) err;
    return 0;
}

void bus_publish (bus_t *of, const char *topic, const void *payload, size_t size)
{
    (void) of, (void) payload, (void) size;
    if (bus.until && strstr (topic, bus.until)) {
        bus.until = NULL;
        redis_fixture_kill (&redis);
    }
}

/*  ---- fixture -------------------------------------------------------------------------------- */

typedef struct {
    char dir[64];
    svc_run_t run;
    store_t *store; /* the environments' */
} fixture_t;

static int open_all (void **state)
{
    (void) state;
    redis_fixture_open (&redis);
    return 0;
}

static int close_all (void **state)
{
    (void) state;
    redis_fixture_close (&redis);
    return 0;
}

/*  more: one more override, or --resume. */
static int open_trainer (fixture_t *f, char *more, err_t *err)
{
    static const args_option_t options[] = {{"--bus", "ADDRESS", "ipc:///x/bus", ""},
                                            {"--set", "KEY...", NULL, ""},
                                            {"--out", "DIR", NULL, ""},
                                            {"--run", "ID", "r", ""},
                                            {"--resume", NULL, NULL, ""},
                                            {0}};
    static const args_spec_t spec = {
        .program = "test", .about = "", .positional = "CONFIG", .options = options};
    char *argv[] = {"test",
                    "deploy/config/coding.yml",
                    "--out",
                    f->dir,
                    "--set=trainer.steps=2",
                    "--set=trainer.groups=2",
                    "--set=trainer.group_size=2",
                    "--set=trainer.checkpoint_every=1",
                    "--set=evaluation.tasks=2",
                    more};
    memset (&bus, 0, sizeof bus);
    f->run = (svc_run_t){.pool = pool_new (1)};
    f->run.args = args_parse (&spec, more ? 10 : 9, argv, err);
    assert_non_null (f->run.args);
    return trainer_open (&f->run, &f->run.state, err);
}

static void close_trainer (fixture_t *f)
{
    trainer_close (&f->run, &f->run.state);
    args_destroy (&f->run.args);
    pool_destroy (&f->run.pool);
    buf_free (&bus.manifest);
}

static int setup (void **state)
{
    fixture_t *f = calloc (1, sizeof *f);
    err_t err = {0};
    assert_non_null (f);
    snprintf (f->dir, sizeof f->dir, "/tmp/quintet-stages-XXXXXX");
    assert_non_null (mkdtemp (f->dir));
    if (!redis.pid) /* a test before failed */
        redis_fixture_start (&redis);
    f->store = store_new (redis.address, &err);
    if (!f->store || open_trainer (f, NULL, &err) != 0)
        fail_msg ("%s", err.text);
    *state = f;
    return 0;
}

static int teardown (void **state)
{
    fixture_t *f = *state;
    trainer_t *t = f->run.state;
    if (t && t->store)
        store_run_release (t->store, "r", t->epoch, &(err_t){0});
    close_trainer (f);
    store_destroy (&f->store);
    fs_remove (f->dir, NULL);
    free (f);
    return 0;
}

static trainer_t *trainer (const fixture_t *f)
{
    return f->run.state;
}

/*  Gives the trainer what the bus answered, and lets it work once. */
static void turn (fixture_t *f)
{
    bus_item_t items[ITEMS_MAX];
    size_t n = bus.items_n;
    memcpy (items, bus.items, sizeof items);
    bus.items_n = 0;
    for (size_t i = 0; i < n && !f->run.stopped; i++)
        trainer_on_item (&f->run, &items[i]);
    if (!f->run.stopped && trainer_work (&f->run) > 0)
        clock_sleep_ms (2);
}

static void until (fixture_t *f, stage_t stage)
{
    int64_t deadline = clock_ms () + WAIT_MS;
    while (trainer (f)->stage != stage || !trainer (f)->entered) {
        turn (f);
        if (f->run.stopped)
            fail_msg ("stopped on the way to stage %d: %s", stage, f->run.why.text);
        assert_true (clock_ms () < deadline);
    }
}

/*  Plays one group as an environment would: its episodes differ in their rewards. */
static void play (fixture_t *f, store_claim_t *claim)
{
    static const int32_t prompt[] = {5, 6, 7}, ids[TOKENS] = {8, 9, 10, 11};
    static const float logps[TOKENS] = {-1, -1, -1, -1};
    wire_ids_t prompts[] = {{.data = prompt, .n = 3}};
    wire_completion_t completions[2];
    wire_episode_t episodes[2];
    err_t err = {0};
    for (uint32_t r = 0; r < 2; r++)
        completions[r] = (wire_completion_t){
            .role = r, .ids = {.data = ids, .n = TOKENS - r}, .logps = logps, .stopped = true};
    for (size_t e = 0; e < 2; e++)
        episodes[e] = (wire_episode_t){.history = "{\"turns\":[]}",
                                       .reward = {.reward = 0.5 * (double) e, .verdict = ""},
                                       .completions = completions,
                                       .completions_n = 2};
    wire_episodes_t message = {.group = claim->group,
                               .prompts = prompts,
                               .prompts_n = 1,
                               .episodes = episodes,
                               .episodes_n = claim->phase == WIRE_TRAIN ? 2 : 1};
    buf_t bytes = {0};
    wire_episodes_pack (&message, &bytes);
    assert_int_equal (store_commit (f->store, claim, bytes.data, bytes.size, &err), 0);
    buf_free (&bytes);
    buf_free (&claim->payload);
}

static void play_all (fixture_t *f)
{
    store_claim_t claim = {0};
    err_t err = {0};
    while (store_claim (f->store, "environment-1", 60000, &claim, &err) == 1)
        play (f, &claim);
}

/*  To the end of the run. */
static void finish (fixture_t *f)
{
    int64_t deadline = clock_ms () + WAIT_MS;
    while (!f->run.stopped) {
        if (redis.pid == 0 && trainer (f)->troubled) /* it has noticed */
            redis_fixture_start (&redis);
        if (redis.pid)
            play_all (f);
        turn (f);
        assert_true (clock_ms () < deadline);
    }
    if (f->run.failed)
        fail_msg ("%s", f->run.why.text);
}

static size_t count (const fixture_t *f, const char *name, const char *what)
{
    char path[FS_PATH_MAX];
    err_t err = {0};
    buf_t text = {0};
    size_t n = 0;
    assert_int_equal (fs_join (path, f->dir, name, &err), 0);
    assert_int_equal (fs_read (path, 1 << 20, &text, &err), 0);
    for (const char *at = text.data; (at = strstr (at, what)); at++)
        n++;
    buf_free (&text);
    return n;
}

/*  ---- tests ---------------------------------------------------------------------------------- */

/*  Redis is killed once a step is written down and not yet committed: it is committed later, and
 *  written down once. */
static void redis_may_be_away_for_a_while (void **state)
{
    fixture_t *f = *state;
    bus.until = "/step.done";
    finish (f);
    assert_null (bus.until);
    assert_int_equal (count (f, "metrics.jsonl", "\"event\":\"step\""), 2);
    assert_int_equal (count (f, "metrics.jsonl", "\"event\":\"eval\""), 2);
}

static void redis_may_be_away_when_a_step_is_opened (void **state)
{
    fixture_t *f = *state;
    bus.until = "/policy.published";
    finish (f);
    assert_null (bus.until);
    assert_int_equal (count (f, "metrics.jsonl", "\"event\":\"eval\""), 2);
}

static void redis_that_stays_away_ends_the_run (void **state)
{
    fixture_t *f = *state;
    until (f, STAGE_EVALUATE);
    redis_fixture_kill (&redis);
    trainer (f)->poll_at_ms = 0;
    turn (f);
    assert_true (trainer (f)->troubled && !f->run.failed);
    trainer (f)->troubled_since -= 700; /* beyond run.timeout_s */
    turn (f);
    redis_fixture_start (&redis);
    assert_true (f->run.failed);
    assert_int_equal (f->run.why.code, ERR_TIMEOUT);
    assert_non_null (strstr (f->run.why.text, redis.socket));
}

/*  The same folder name on another machine is another holder: its run is not taken from it while
 *  its lease lasts. */
static void the_same_path_on_another_host_is_another_holder (void **state)
{
    fixture_t *f = *state;
    err_t err = {0};
    uint64_t epoch;
    store_run_release (trainer (f)->store, "r", trainer (f)->epoch, &err);
    close_trainer (f);
    assert_int_equal (store_run_acquire (f->store, "r", f->dir, 1000, "", 0, &epoch, &err), 0);
    int64_t start = clock_ms ();
    assert_int_equal (open_trainer (f, NULL, &err), 0);
    assert_true (clock_ms () - start >= 500);
}

/*  A version has as long as a step has; then the error names the bus. */
static void a_bus_that_takes_nothing_is_named (void **state)
{
    fixture_t *f = *state;
    bus.silent = true;
    until (f, STAGE_PUBLISH);
    trainer (f)->stage_since -= 500; /* less than run.timeout_s */
    turn (f);
    assert_false (f->run.stopped);
    trainer (f)->stage_since -= 200;
    turn (f);
    assert_true (f->run.failed);
    assert_non_null (strstr (f->run.why.text, "the bus at ipc:///x/bus"));
}

/*  A bus that was restarted after it had the objects says that it misses them: they are sent
 *  again. */
static void objects_that_the_bus_lost_are_sent_again (void **state)
{
    fixture_t *f = *state;
    bus.refuses = ERR_MISSING;
    until (f, STAGE_EVALUATE);
    assert_int_equal (bus.manifests, 2);
    assert_int_equal (bus.offers, 6); /* twice config.json, tokenizer.json, weights */
    bus.refuses = ERR_LIMIT; /* a full bus: the run ends instead of sending them for ever */
    trainer_on_item (&f->run, &(bus_item_t){.kind = BUS_PEER});
    turn (f);
    turn (f);
    assert_int_equal (f->run.why.code, ERR_CONFIG);
}

/*  The last thing that agents hear of a run is that they may forget it. */
static void a_run_that_is_over_is_retired (void **state)
{
    fixture_t *f = *state;
    until (f, STAGE_EVALUATE);
    finish (f);
    err_t err = {0};
    arena_t *arena = arena_new (1 << 20);
    const wire_manifest_t *manifest =
        wire_manifest_unpack (arena, bus.manifest.data, bus.manifest.size, &err);
    assert_non_null (manifest);
    assert_true (manifest->retired);
    assert_int_equal (manifest->version.number, 2);
    assert_int_equal (bus.manifest_objects, 0); /* it keeps nothing on the bus */
    assert_int_equal (bus.retired, 1);
    arena_destroy (&arena);
    assert_int_equal (count (f, "result.json", "\"reproducible\": true"), 1);
}

/*  A run of its own with another loss. */
static void begin_with (fixture_t *f, char *loss)
{
    err_t err = {0};
    finish (f);
    close_trainer (f);
    fs_remove (f->dir, &err);
    assert_int_equal (open_trainer (f, loss, &err), 0);
    finish (f);
}

static void what_is_logged_belongs_to_the_loss (void **state)
{
    fixture_t *f = *state;
    begin_with (f, "--set=loss.type=cispo");
    assert_int_equal (count (f, "metrics.jsonl", "\"clip_cispo\":"), 2);
    assert_int_equal (count (f, "metrics.jsonl", "\"clip_low\":"), 0);
    assert_int_equal (count (f, "metrics.jsonl", "\"kl\":"), 0); /* to what? */
    begin_with (f, "--set=loss.type=vespo");
    assert_int_equal (count (f, "metrics.jsonl", "\"phi\":"), 2);
    assert_int_equal (count (f, "metrics.jsonl", "\"clip\":"), 0);
    begin_with (f, "--set=loss.kl=0.1");
    assert_int_equal (count (f, "metrics.jsonl", "\"clip_low\":"), 2);
    assert_int_equal (count (f, "metrics.jsonl", "\"kl\":"), 2);
}

static void hear (fixture_t *f, const char *run, wire_event_kind_t kind, const char *text)
{
    buf_t bytes = {0};
    wire_event_t event = {.kind = kind, .run = run, .version = {.policy = ""}, .text = text};
    wire_event_pack (&event, &bytes);
    bus_item_t item = {.kind = BUS_EVENT, .name = "", .payload = bytes.data, .size = bytes.size};
    trainer_on_item (&f->run, &item);
    buf_free (&bytes);
}

static void agents_that_refuse_the_run_end_it (void **state)
{
    fixture_t *f = *state;
    until (f, STAGE_EVALUATE);
    hear (f, "other", WIRE_GROUP_REFUSED, "agent-1: other kernels");
    assert_false (f->run.stopped);
    hear (f, "r", WIRE_GROUP_REFUSED, "agent-1: other kernels");
    assert_true (f->run.failed);
    assert_int_equal (f->run.why.code, ERR_CONFIG);
    assert_non_null (strstr (f->run.why.text, "agent-1: other kernels"));
}

static void what_was_waited_for_is_said_at_the_end (void **state)
{
    fixture_t *f = *state;
    until (f, STAGE_EVALUATE);
    hear (f, "r", WIRE_GROUP_TROUBLE, "reward-1: scorer 'x': it ended");
    assert_false (f->run.stopped);
    trainer (f)->stage_since -= 700; /* beyond run.timeout_s */
    turn (f);
    assert_true (f->run.failed);
    assert_int_equal (f->run.why.code, ERR_TIMEOUT);
    assert_non_null (strstr (f->run.why.text, "2 of 2 groups are missing"));
    assert_non_null (strstr (f->run.why.text, "reward-1: scorer 'x': it ended"));
}

static void an_evaluation_that_nobody_could_play_is_no_result (void **state)
{
    fixture_t *f = *state;
    store_claim_t claim = {0};
    err_t err = {0};
    until (f, STAGE_EVALUATE);
    while (store_claim (f->store, "environment-1", 60000, &claim, &err) == 1) {
        assert_int_equal (store_dead (f->store, &claim, "no such role", &err), 0);
        buf_free (&claim.payload);
    }
    int64_t deadline = clock_ms () + WAIT_MS;
    while (!f->run.stopped && clock_ms () < deadline)
        turn (f);
    assert_true (f->run.failed);
    assert_int_equal (f->run.why.code, ERR_INPUT);
    assert_non_null (strstr (f->run.why.text, "all 2 groups failed; the first one: no such role"));
    assert_int_equal (count (f, "metrics.jsonl", "event"), 0);
}

/*  As after a signal: what was done is kept, be the step's end written down already or not. */
static void a_trainer_that_is_asked_to_stop_keeps_the_last_whole_step (void **state)
{
    fixture_t *f = *state;
    static const stage_t stages[] = {STAGE_SAVE, STAGE_PUBLISH};
    for (size_t i = 0; i < 2; i++) {
        err_t err = {0};
        close_trainer (f);
        fs_remove (f->dir, NULL);
        assert_int_equal (open_trainer (f, "--set=trainer.checkpoint_every=100", &err), 0);
        int64_t deadline = clock_ms () + WAIT_MS;
        while (trainer (f)->done == 0 || trainer (f)->stage != stages[i]) {
            play_all (f);
            turn (f);
            assert_true (!f->run.stopped && clock_ms () < deadline);
        }
        assert_int_equal (count (f, "metrics.jsonl", "\"event\":\"step\""), i);
        store_run_release (trainer (f)->store, "r", trainer (f)->epoch, &err);
        close_trainer (f);
        assert_int_equal (open_trainer (f, "--resume", &err), 0);
        assert_int_equal (trainer (f)->done, 1);
        assert_int_equal (count (f, "metrics.jsonl", "\"event\":\"step\""), 1);
    }
}

/*  Whose path it was is written with every checkpoint and with the run; another one is refused by
 *  name. */
static void a_run_stays_on_its_numeric_path (void **state)
{
    fixture_t *f = *state;
    char path[FS_PATH_MAX], *at;
    err_t err = {0};
    buf_t record = {0};
    finish (f);
    close_trainer (f);
    assert_int_equal (fs_join (path, f->dir, "checkpoints/step-2/trainer.json", &err), 0);
    assert_int_equal (fs_read (path, 1 << 20, &record, &err), 0);
    at = strstr (record.data, "\"numerics\": \"");
    assert_non_null (at);
    at += strlen ("\"numerics\": \"");
    assert_int_equal (strncmp (at, model_isa (), strlen (model_isa ())), 0);
    *at = 'X';
    assert_int_equal (fs_write (path, record.data, record.size, &err), 0);
    buf_free (&record);
    assert_int_equal (open_trainer (f, "--resume", &err), -1);
    assert_int_equal (err.code, ERR_CONFIG);
    if (!strstr (err.text, "kernels 'X") || !strstr (err.text, model_isa ()))
        fail_msg ("%s", err.text);
}

int main (void)
{
#define TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST (redis_may_be_away_for_a_while),
        TEST (redis_may_be_away_when_a_step_is_opened),
        TEST (redis_that_stays_away_ends_the_run),
        TEST (the_same_path_on_another_host_is_another_holder),
        TEST (a_bus_that_takes_nothing_is_named),
        TEST (objects_that_the_bus_lost_are_sent_again),
        TEST (a_run_that_is_over_is_retired),
        TEST (what_is_logged_belongs_to_the_loss),
        TEST (agents_that_refuse_the_run_end_it),
        TEST (what_was_waited_for_is_said_at_the_end),
        TEST (an_evaluation_that_nobody_could_play_is_no_result),
        TEST (a_trainer_that_is_asked_to_stop_keeps_the_last_whole_step),
        TEST (a_run_stays_on_its_numeric_path),
    };
    return cmocka_run_group_tests (tests, open_all, close_all);
}

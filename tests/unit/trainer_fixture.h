/*  trainer_fixture - a trainer at work: a real store on a private Redis; the test plays the bus and
 *  the environments.
 */
#ifndef QUINTET_TESTS_TRAINER_FIXTURE_H
#define QUINTET_TESTS_TRAINER_FIXTURE_H

#include "../../services/trainer/stages.h"
#include <unistd.h>

#include "base/clock.h"
#include "redis_fixture.h"
#include "svc/args.h"

#define ITEMS_MAX 64
#define WAIT_MS   60000
#define TOKENS    4
#define HISTORY                                                                                    \
    "{\"turns\":[{\"actions\":[{\"role\":\"aux\",\"text\":\"one\",\"tokens\":4,\"truncated\":"     \
    "false},"                                                                                      \
    "{\"role\":\"main\",\"text\":\"two\",\"tokens\":3,\"truncated\":false}]}]}"

#define HISTORY_SOLO                                                                               \
    "{\"turns\":[{\"actions\":[{\"role\":\"solo\",\"text\":\"one\",\"tokens\":4,\"truncated\":"    \
    "false}]}]}"

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
    bool gone;          /* it is not there any more */
    err_code_t refuses; /* the next manifest */
    size_t offers, manifests, retired;
    buf_t manifest; /* the last one */
    size_t manifest_objects;
    const char *until; /* Redis is killed at this event */
    buf_t events;      /* "run.note TEXT PHASE", a line each, of the events that have a text */
} bus;

static double gap = 0.5;      /* between the rewards of a group's episodes */
static const char *flat = ""; /* of the next groups of training, 'f': those with one reward */
static double level = 0;      /* of the first one's */
static size_t roles = 2;      /* of the team: 2, or 1 (solo) */
static size_t samples = 1; /* episodes of a sampled evaluation's group; those that are odd pass */
static char *settings[4];  /* more overrides, for the next trainer */

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

const char *svc_keys_dir (const svc_run_t *run)
{
    (void) run;
    return "";
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

static inline uint64_t answer (err_code_t code)
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

int bus_ready (bus_t *of, int64_t timeout_ms, err_t *err)
{
    (void) of, (void) timeout_ms;
    return bus.gone ? err_set (err, ERR_TIMEOUT, "no bus answers") : 0;
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
    (void) of;
    arena_t *arena = arena_new (1 << 20);
    const wire_event_t *event = wire_event_unpack (arena, payload, size, &(err_t){0});
    assert_non_null (event);
    assert_string_equal (event->service, "trainer");
    assert_true (event->pid == (uint64_t) getpid () && event->time_us && *event->program);
    if (event->kind != WIRE_EPISODE_SHOWN && *event->text)
        buf_printf (&bus.events, "%s %s%s%s %s\n", wire_event_name (event->kind), event->text,
                    *event->doing ? ", stage " : "", event->doing, wire_phase_name (event->phase));
    for (size_t i = 0; i < event->metrics_n; i++)
        if (strcmp (event->metrics[i].name, "eta_s") == 0)
            buf_printf (&bus.events, "%s eta_s %s\n", wire_event_name (event->kind),
                        event->metrics[i].value > 0 ? "> 0" : "0");
    arena_destroy (&arena);
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

static inline int open_all (void **state)
{
    (void) state;
    redis_fixture_open (&redis);
    return 0;
}

static inline int close_all (void **state)
{
    (void) state;
    redis_fixture_close (&redis);
    return 0;
}

/*  more: one more override, or --resume. */
static inline int open_trainer (fixture_t *f, char *more, err_t *err)
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
                    "--set=trainer.resample=0",
                    "--set=loss.scale=group",
                    NULL,
                    NULL,
                    NULL,
                    NULL,
                    NULL};
    int argc = 11;
    for (size_t i = 0; i < 4 && settings[i]; i++)
        argv[argc++] = settings[i];
    if (more)
        argv[argc++] = more;
    memset (&bus, 0, sizeof bus);
    f->run = (svc_run_t){.pool = pool_new (1)};
    f->run.args = args_parse (&spec, argc, argv, err);
    assert_non_null (f->run.args);
    return trainer_open (&f->run, &f->run.state, err);
}

static inline void close_trainer (fixture_t *f)
{
    trainer_close (&f->run, &f->run.state);
    args_destroy (&f->run.args);
    pool_destroy (&f->run.pool);
    buf_free (&bus.manifest);
    buf_free (&bus.events);
}

static inline int setup (void **state)
{
    fixture_t *f = calloc (1, sizeof *f);
    err_t err = {0};
    assert_non_null (f);
    snprintf (f->dir, sizeof f->dir, "/tmp/quintet-stages-XXXXXX");
    assert_non_null (mkdtemp (f->dir));
    if (!redis.pid) /* a test before failed */
        redis_fixture_start (&redis);
    f->store = store_new (redis.address, "", &err);
    if (!f->store || open_trainer (f, NULL, &err) != 0)
        fail_msg ("%s", err.text);
    *state = f;
    return 0;
}

static inline int teardown (void **state)
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

static inline trainer_t *trainer (const fixture_t *f)
{
    return f->run.state;
}

/*  Gives the trainer what the bus answered, and lets it work once. */
static inline void turn (fixture_t *f)
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

static inline void until (fixture_t *f, stage_t stage)
{
    int64_t deadline = clock_ms () + WAIT_MS;
    while (trainer (f)->stage != stage || !trainer (f)->entered) {
        turn (f);
        if (f->run.stopped)
            fail_msg ("stopped on the way to stage %d: %s", stage, f->run.why.text);
        assert_true (clock_ms () < deadline);
    }
}

/*  Plays one group as an environment would: its episodes differ in their rewards, unless the group
 *  is to be flat. */
static inline void play (fixture_t *f, store_claim_t *claim)
{
    bool eval = claim->phase == WIRE_EVAL_SAMPLED || claim->phase == WIRE_EVAL_GREEDY;
    double differs = !eval && *flat && *flat++ == 'f' ? 0 : gap;
    static const int32_t prompt[] = {5, 6, 7}, ids[TOKENS] = {8, 9, 10, 11};
    static const float logps[TOKENS] = {-1, -1, -1, -1};
    wire_ids_t prompts[] = {{.data = prompt, .n = 3}};
    wire_completion_t completions[2];
    wire_episode_t episodes[2];
    err_t err = {0};
    for (uint32_t r = 0; r < roles; r++)
        completions[r] = (wire_completion_t){
            .role = r, .ids = {.data = ids, .n = TOKENS - r}, .logps = logps, .stopped = true};
    for (size_t e = 0; e < 2; e++)
        episodes[e] = (wire_episode_t){.history = roles == 1 ? HISTORY_SOLO : HISTORY,
                                       .reward = {.reward = level + differs * (double) e,
                                                  .success = e % 2 == 1,
                                                  .verdict = ""},
                                       .completions = completions,
                                       .completions_n = roles,
                                       .tokens = roles == 1 ? TOKENS : 2 * TOKENS - 1,
                                       .critical_path = TOKENS};
    wire_episodes_t message = {.group = claim->group,
                               .prompts = prompts,
                               .prompts_n = 1,
                               .episodes = episodes,
                               .episodes_n = !eval                               ? 2
                                             : claim->phase == WIRE_EVAL_SAMPLED ? samples
                                                                                 : 1};
    buf_t bytes = {0};
    wire_episodes_pack (&message, &bytes);
    assert_int_equal (store_commit (f->store, claim, bytes.data, bytes.size, &err), 0);
    buf_free (&bytes);
    buf_free (&claim->payload);
}

static inline void play_all (fixture_t *f)
{
    store_claim_t claim = {0};
    err_t err = {0};
    while (store_claim (f->store, "environment-1", 60000, &claim, &err) == 1)
        play (f, &claim);
}

/*  To the end of the run. */
static inline void finish (fixture_t *f)
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

static inline size_t count (const fixture_t *f, const char *name, const char *what)
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

/*  How often the trainer told it. */
static inline size_t told (const char *what)
{
    size_t n = 0;
    for (const char *at = bus.events.data; at && (at = strstr (at, what)); at++)
        n++;
    return n;
}

/*  A run of its own with another setting, or NULL; and with `settings`, which it takes. */
static inline void begin (fixture_t *f, char *setting)
{
    err_t err = {0};
    close_trainer (f);
    fs_remove (f->dir, &err);
    if (open_trainer (f, setting, &err) != 0)
        fail_msg ("%s", err.text);
    memset (settings, 0, sizeof settings);
}

/*  The run before, and then another one, to their ends. */
static inline void begin_with (fixture_t *f, char *setting)
{
    finish (f);
    begin (f, setting);
    finish (f);
}

#endif

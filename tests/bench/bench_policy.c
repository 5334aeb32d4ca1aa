/*  What a new policy version costs an agent that decodes: a real bus and a real agent, whose
 *  trainer and client this program plays. 67M weights in bfloat16, eight completions at a time
 *  without a break.
 *
 *      policy...pause     the longest wait between two decode steps while versions come (10 ms)
 *      policy...ready     from the manifest to the version in use (limit: hashing its bytes)
 *      policy...tokens    decoded meanwhile (limit: decoded in peace)
 *
 *  A delta has 2% of the weights changed, as at a learning rate of 1e-6; without one the agent
 *  fetches all of them.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "bench.h"
#include "bus/bus.h"
#include "formats/hf.h"
#include "model/delta.h"
#include "wire/wire.h"

#define VERSIONS    5 /* of each kind */
#define PEACE_S     3
#define REST_S      1 /* between two versions */
#define PATIENCE_MS 60000
#define EPISODES    8
#define TOKENS      200
#define CHANGED     0.02

static char dir[] = "/tmp/quintet-bench-XXXXXX";

static void fail (const char *what, const char *why)
{
    fprintf (stderr, "bench_policy: %s: %s\n", what, why);
    exit (1);
}

static pid_t start (const char *program, const char *address)
{
    char log[128];
    snprintf (log, sizeof log, "%s/log", dir);
    pid_t pid = bench_fork ();
    if (pid != 0)
        return pid;
    int file = open (log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2 (file, 1);
    dup2 (file, 2);
    execl (program, program, "--bus", address, NULL);
    _exit (127);
}

/*  The trainer and the client of the one agent. */
typedef struct {
    bus_t *bus;
    arena_t *arena;
    model_t *model;
    uint16_t *halves, *before; /* the version's weights, the last one's */
    size_t bytes;
    buf_t delta;
    hash_t config;
    wire_version_t version;               /* the newest that was published */
    double held;                          /* the newest that the agent has; -1: none */
    uint64_t asked;                       /* call in flight */
    uint64_t waits[4];                    /* uploads in flight */
    double pause_s, tokens, first_tokens; /* of the agent, since the last reset */
    double tokens_s, first_s;             /* when they were told */
    uint64_t sequence;
} trainer_t;

/*  Eight completions from the newest version that the agent has. */
static void ask (trainer_t *t)
{
    static const int32_t ids[] = {1, 2, 3, 4, 5, 6, 7, 8};
    uint32_t episodes[EPISODES];
    for (uint32_t e = 0; e < EPISODES; e++)
        episodes[e] = e;
    wire_prompt_t prompt = {{ids, 8}, episodes, EPISODES, ""};
    wire_act_request_t request = {.run = "r",
                                  .version = t->version,
                                  .step = t->sequence++,
                                  .temperature = 1,
                                  .max_tokens = TOKENS,
                                  .prompts = &prompt,
                                  .prompts_n = 1};
    buf_t bytes = {0};
    wire_act_request_pack (&request, &bytes);
    t->asked = bus_call (t->bus, "act", NULL, bytes.data, bytes.size, PATIENCE_MS);
    buf_free (&bytes);
}

static void take_status (trainer_t *t, const bus_item_t *item)
{
    err_t err = {0};
    arena_reset (t->arena);
    const wire_event_t *event = wire_event_unpack (t->arena, item->payload, item->size, &err);
    if (!event)
        fail ("a status", err.text);
    for (size_t i = 0; i < event->metrics_n; i++) {
        const wire_part_t *m = &event->metrics[i];
        if (strcmp (m->name, "version/r/main") == 0)
            t->held = m->value;
        else if (strcmp (m->name, "pause_s") == 0)
            t->pause_s = fmax (t->pause_s, m->value);
        else if (strcmp (m->name, "tokens") == 0) {
            t->tokens = m->value;
            t->tokens_s = clock_s ();
            t->first_s = t->first_tokens < 0 ? t->tokens_s : t->first_s;
            t->first_tokens = t->first_tokens < 0 ? m->value : t->first_tokens;
        }
    }
}

static bool is_uploading (const trainer_t *t)
{
    uint64_t any = 0;
    for (size_t i = 0; i < sizeof t->waits / sizeof *t->waits; i++)
        any |= t->waits[i];
    return any != 0;
}

/*  Takes one item, if one comes; keeps the agent busy. */
static void turn (trainer_t *t)
{
    bus_item_t item;
    if (bus_next (t->bus, &item, 10, NULL) != 1)
        return;
    if (item.code != ERR_NONE)
        fail ("the bus", item.text);
    if (item.kind == BUS_EVENT && strncmp (item.name, "service/agent", 13) == 0)
        take_status (t, &item);
    for (size_t i = 0; i < sizeof t->waits / sizeof *t->waits; i++)
        if (item.kind == BUS_OBJECT && item.call == t->waits[i])
            t->waits[i] = 0;
    if (item.kind == BUS_REPLY && item.call == t->asked)
        ask (t);
}

static void watch (trainer_t *t, double seconds)
{
    for (double end = clock_s () + seconds; clock_s () < end;)
        turn (t);
}

static void reset (trainer_t *t)
{
    t->pause_s = 0;
    t->first_tokens = -1;
}

static double rate (const trainer_t *t)
{
    return (t->tokens - t->first_tokens) / (t->tokens_s - t->first_s);
}

static bool has_rate (const trainer_t *t)
{
    return t->first_tokens >= 0 && t->tokens > t->first_tokens;
}

/*  Publishes what is in halves and waits until the agent has it; returns seconds from the manifest
 *  on. */
static double publish (trainer_t *t, bool with_delta)
{
    wire_manifest_t m = {.run = "r",
                         .version = t->version,
                         .config = t->config,
                         .dtype = "bf16",
                         .compute = "bf16",
                         .numerics = model_isa (),
                         .size = t->bytes};
    hash_t objects[3] = {t->config};
    m.version.number++;
    objects[1] = m.version.hash = hash_object (t->halves, t->bytes);
    t->waits[0] = bus_lend (t->bus, &m.version.hash, t->halves, t->bytes);
    if (with_delta) {
        m.before = t->version.hash;
        objects[2] = m.delta = hash_object (t->delta.data, t->delta.size);
        m.delta_size = t->delta.size;
        t->waits[1] = bus_offer (t->bus, t->delta.data, t->delta.size);
    }
    while (is_uploading (t))
        turn (t);
    buf_t bytes = {0};
    wire_manifest_pack (&m, &bytes);
    double begun = clock_s ();
    t->waits[0] =
        bus_manifest (t->bus, "r", 1, "main", bytes.data, bytes.size, objects, with_delta ? 3 : 2);
    buf_free (&bytes);
    while (is_uploading (t) || t->held < (double) m.version.number) {
        turn (t);
        if (clock_s () - begun > PATIENCE_MS / 1e3)
            fail ("the agent", "it does not get the version");
    }
    t->version = m.version;
    return clock_s () - begun;
}

/*  Some weights move by one place of the last bit. */
static void change (trainer_t *t, uint32_t seed)
{
    size_t n = t->bytes / sizeof *t->halves;
    uint32_t x = seed;
    memcpy (t->before, t->halves, t->bytes);
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        if (x < (uint32_t) (CHANGED * 4294967296.0))
            t->halves[i] ^= 1;
    }
    buf_free (&t->delta);
    t->delta.max = t->bytes;
    delta_encode (&(delta_layout_t){t->model, sizeof *t->halves}, t->before, t->halves, &t->delta);
}

static int ascending (const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

static void bench_versions (trainer_t *t, bool with_delta, double peace, double hashing)
{
    const char *kind = with_delta ? "delta" : "whole";
    double ready[VERSIONS], size = 0;
    char name[64];
    reset (t);
    for (uint32_t v = 0; v < VERSIONS; v++) {
        change (t, 2 * v + with_delta + 1);
        ready[v] = publish (t, with_delta);
        size = (double) (with_delta ? t->delta.size : t->bytes);
        watch (t, REST_S);
    }
    qsort (ready, VERSIONS, sizeof *ready, ascending);
    snprintf (name, sizeof name, "policy.67M.bf16.%s.size", kind);
    bench_tell (name, size / 1e6, "MB", NAN);
    snprintf (name, sizeof name, "policy.67M.bf16.%s.pause", kind);
    bench_tell (name, 1e3 * t->pause_s, "ms", 10);
    snprintf (name, sizeof name, "policy.67M.bf16.%s.ready", kind);
    bench_tell (name, ready[VERSIONS / 2], "s", (double) t->bytes / hashing);
    snprintf (name, sizeof name, "policy.67M.bf16.%s.tokens", kind);
    bench_tell (name, rate (t), "tokens/s", peace);
}

static void open_model (trainer_t *t)
{
    err_t err = {0};
    hf_config_t config = {.model = {.width = 512,
                                    .layers = 12,
                                    .heads = 8,
                                    .kv_heads = 8,
                                    .head_dim = 64,
                                    .ff = 2048,
                                    .vocab = 32000,
                                    .context = 512,
                                    .norm_eps = 1e-5,
                                    .rope_theta = 10000,
                                    .tied = true},
                          .bos = -1};
    t->model = model_new (&config.model, COMPUTE_BF16, &err);
    if (!t->model)
        fail ("the model", err.text);
    size_t n = model_params (t->model);
    float *params = malloc (n * sizeof *params);
    t->bytes = n * sizeof *t->halves;
    t->halves = malloc (t->bytes);
    t->before = malloc (t->bytes);
    char *text = hf_config_json (&config);
    if (!params || !t->halves || !t->before || !text)
        fail ("the model", "no memory");
    model_init_params (t->model, 1, params);
    for (size_t i = 0; i < n; i++)
        memcpy (&t->halves[i], (char *) &params[i] + 2, 2);
    free (params);
    t->config = hash_object (text, strlen (text));
    t->waits[0] = bus_offer (t->bus, text, strlen (text));
    while (is_uploading (t))
        turn (t);
    free (text);
}

int main (void)
{
    err_t err = {0};
    char address[96];
    trainer_t t = {.held = -1, .version = {.policy = "main"}, .arena = arena_new (1 << 20)};
    log_open ("bench", LOG_ERROR); /* lines of the log would stand in the table */
    if (!mkdtemp (dir) || !t.arena)
        fail (dir, "cannot make it");
    snprintf (address, sizeof address, "ipc://%s/bus", dir);
    pid_t pids[] = {start ("build/bin/quintet-bus", address),
                    start ("build/bin/quintet-agent", address)};
    bus_options_t options = {.address = address, .name = "trainer", .numerics = ""};
    t.bus = bus_new (&options, &err);
    if (!t.bus || bus_ready (t.bus, PATIENCE_MS, &err) != 0 ||
        bus_subscribe (t.bus, "service/", &err) != 0)
        fail (address, err.text);
    open_model (&t);
    publish (&t, false);
    ask (&t);
    watch (&t, REST_S);
    reset (&t);
    watch (&t, PEACE_S);
    while (!has_rate (&t)) /* the agent tells now and then */
        turn (&t);
    double peace = rate (&t), begun = clock_s ();
    bench_tell ("policy.67M.bf16.peace.pause", 1e3 * t.pause_s, "ms", 10);
    bench_tell ("policy.67M.bf16.peace.tokens", peace, "tokens/s", NAN);
    hash_object (t.halves, t.bytes);
    double hashing = (double) t.bytes / (clock_s () - begun);
    bench_versions (&t, true, peace, hashing);
    bench_versions (&t, false, peace, hashing);
    for (size_t i = 0; i < 2; i++)
        kill (pids[i], SIGTERM);
    for (size_t i = 0; i < 2; i++)
        waitpid (pids[i], NULL, 0);
    bus_destroy (&t.bus);
    if (!getenv ("QUINTET_KEEP"))
        fs_remove (dir, &err);
    return 0;
}

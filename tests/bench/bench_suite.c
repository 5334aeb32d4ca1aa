/*  The whole suite with all its processes: idle, and in a GRPO step of a stated shape.
 *
 *      suite.idle...      redis and every service, no run: seconds until all answer, memory of each
 *      suite.0.4M...      128 completions of 32 tokens, model 96 wide, 3 layers, vocabulary 512
 *      suite.15M...       64 completions of 64 tokens, model 288 wide, 6 layers, vocabulary 32000
 *
 *  The limits are what the same step takes a usual Python stack on two cores of this kind (0.62 s
 *  and 640 MB; 21 s and 5.1 GB), for idle services a second and 15 MB. Weights are random and
 *  learn slowly, so completions run to their end.
 */
#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "bench.h"
#include "bus/bus.h"
#include "formats/hf.h"

#define STEPS       20
#define PATIENCE_MS 20000
#define PROCESSES   16

static char dir[] = "/tmp/quintet-bench-XXXXXX";

static void fail (const char *what, const char *why)
{
    fprintf (stderr, "bench_suite: %s: %s\n", what, why);
    exit (1);
}

/*  out: where its output goes instead of the log, or -1. */
static pid_t start (char *const argv[], int out)
{
    pid_t pid = bench_start (argv, dir, out);
    if (pid < 0)
        fail (argv[0], "cannot fork");
    return pid;
}

static pid_t parent_of (pid_t pid)
{
    char path[64], line[512];
    snprintf (path, sizeof path, "/proc/%d/stat", (int) pid);
    FILE *file = fopen (path, "re");
    const char *end = file && fgets (line, sizeof line, file) ? strrchr (line, ')') : NULL;
    if (file)
        fclose (file);
    return end ? (pid_t) strtol (end + 4, NULL, 10) : 0;
}

/*  Of a process and all that come from it. */
static double resident_family (pid_t pid)
{
    double sum = bench_resident (pid);
    DIR *proc = opendir ("/proc");
    for (struct dirent *e; proc && (e = readdir (proc));) {
        pid_t child = (pid_t) strtol (e->d_name, NULL, 10);
        if (child > 0 && parent_of (child) == pid)
            sum += resident_family (child);
    }
    if (proc)
        closedir (proc);
    return sum;
}

/*  ---- idle ----------------------------------------------------------------------------------- */

static const char *const services[] = {"bus", "agent", "environment", "reward", "critic"};
#define SERVICES (sizeof services / sizeof *services)

static void await_all (const char *address)
{
    err_t err = {0};
    bus_options_t options = {.address = address, .name = "bench", .numerics = ""};
    bus_t *bus = bus_new (&options, &err);
    bool heard[SERVICES] = {[0] = true}; /* the bus answers by itself */
    size_t missing = SERVICES - 1;
    int64_t deadline = clock_ms () + PATIENCE_MS;
    if (!bus || bus_subscribe (bus, "service/", &err) != 0 || bus_ready (bus, PATIENCE_MS, &err))
        fail ("idle suite", err.text);
    while (missing > 0) {
        bus_item_t item;
        if (clock_ms () > deadline)
            fail ("idle suite", "not all services are ready");
        if (bus_next (bus, &item, 100, NULL) != 1 || item.kind != BUS_EVENT)
            continue;
        for (size_t s = 0; s < SERVICES; s++)
            if (!heard[s] && strstr (item.name, services[s])) {
                heard[s] = true;
                missing--;
            }
    }
    bus_destroy (&bus);
}

static void bench_idle (void)
{
    char socket[128], bus[128], redis[160], program[SERVICES][64];
    pid_t pids[SERVICES + 1];
    snprintf (socket, sizeof socket, "%s/redis.sock", dir);
    snprintf (redis, sizeof redis, "unix:%s", socket);
    snprintf (bus, sizeof bus, "ipc://%s/bus", dir);
    char *server[] = {"redis-server", "--port", "0",     "--unixsocket", socket,
                      "--save",       "",       "--dir", (char *) dir,   NULL};
    double begun = clock_s ();
    pids[SERVICES] = start (server, -1);
    for (size_t s = 0; s < SERVICES; s++) {
        snprintf (program[s], sizeof program[s], "build/bin/quintet-%s", services[s]);
        char *argv[] = {program[s], "--bus", bus, NULL, NULL, NULL};
        if (strcmp (services[s], "environment") == 0) {
            argv[3] = "--redis";
            argv[4] = redis;
        }
        pids[s] = start (argv, -1);
    }
    await_all (bus);
    bench_tell ("suite.idle.ready", clock_s () - begun, "s", 1);
    for (size_t s = 0; s < SERVICES; s++) {
        char name[64];
        snprintf (name, sizeof name, "suite.idle.memory.%s", services[s]);
        bench_tell (name, bench_resident (pids[s]), "MB", 15);
    }
    for (size_t s = 0; s <= SERVICES; s++)
        kill (pids[s], SIGTERM);
    for (size_t s = 0; s <= SERVICES; s++)
        waitpid (pids[s], NULL, 0);
}

/*  ---- a step --------------------------------------------------------------------------------- */

typedef struct {
    const char *name;
    model_config_t model;
    const char *compute;
    const char *groups, *size, *tokens; /* groups of a step, episodes of two completions in each */
    double seconds, megabytes;          /* limits */
} shape_t;

static void write_model (const shape_t *s, const char *folder)
{
    err_t err = {0};
    buf_t tokenizer = {0};
    hf_config_t config = {.model = s->model, .dtype = HF_F32, .eos = {0}, .eos_n = 1, .bos = -1};
    model_t *model = model_new (&config.model, COMPUTE_F32, &err);
    float *params = model ? calloc (model_params (model), sizeof *params) : NULL;
    if (!params ||
        fs_read ("deploy/models/writing/tokenizer.json", 16 << 20, &tokenizer, &err) != 0)
        fail (s->name, err.text);
    model_init_params (model, 1, params);
    if (mkdir (folder, 0700) != 0 ||
        hf_save (folder, &config, model, params, tokenizer.data, &err) != 0)
        fail (folder, err.text);
    buf_free (&tokenizer);
    free (params);
    model_destroy (&model);
}

/*  Starts a run; its lines of JSON come from *lines. */
static pid_t start_run (const shape_t *s, const char *folder, FILE **lines)
{
    char model[160], compute[64], groups[64], size[64], tokens[64], steps[64], out[160];
    snprintf (model, sizeof model, "model.path=%s", folder);
    snprintf (compute, sizeof compute, "model.compute=%s", s->compute);
    snprintf (groups, sizeof groups, "trainer.groups=%s", s->groups);
    snprintf (size, sizeof size, "trainer.group_size=%s", s->size);
    snprintf (tokens, sizeof tokens, "task.max_tokens=%s", s->tokens);
    snprintf (steps, sizeof steps, "trainer.steps=%d", s->seconds > 2 ? STEPS / 4 : STEPS);
    snprintf (out, sizeof out, "%s/run-%s", dir, s->name);
    char *argv[] = {"build/bin/quintet",
                    "run",
                    "deploy/config/writing.yml",
                    "--json",
                    "--out",
                    out,
                    "--set",
                    model,
                    "--set",
                    compute,
                    "--set",
                    groups,
                    "--set",
                    size,
                    "--set",
                    tokens,
                    "--set",
                    steps,
                    "--set",
                    "trainer.minibatches=1",
                    "--set",
                    "trainer.lr=1e-5",
                    "--set",
                    "evaluation.tasks=1",
                    NULL};
    int ends[2];
    if (pipe2 (ends, O_CLOEXEC) != 0)
        fail (s->name, "no pipe");
    pid_t pid = start (argv, ends[1]);
    close (ends[1]);
    *lines = fdopen (ends[0], "re");
    if (!*lines)
        fail (s->name, "no pipe");
    return pid;
}

static int ascending (const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

static void tell (const shape_t *s, const char *what, double value, const char *unit, double limit)
{
    char name[96];
    snprintf (name, sizeof name, "suite.%s.%s", s->name, what);
    bench_tell (name, value, unit, limit);
}

typedef struct {
    pid_t pid;
    atomic_bool stop;
    double peak; /* MB */
} watch_t;

static void *watch (void *context)
{
    watch_t *w = context;
    while (!atomic_load (&w->stop)) {
        w->peak = fmax (w->peak, resident_family (w->pid));
        nanosleep (&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    return NULL;
}

static void bench_step (const shape_t *s)
{
    char folder[128], *text = NULL;
    size_t capacity = 0, n = 0;
    double step_s[STEPS], first_s = NAN, tokens = 0;
    FILE *lines;
    snprintf (folder, sizeof folder, "%s/%s", dir, s->name);
    write_model (s, folder);
    watch_t watched = {.pid = start_run (s, folder, &lines)};
    pthread_t watcher;
    if (pthread_create (&watcher, NULL, watch, &watched) != 0)
        fail (s->name, "no thread");
    while (getline (&text, &capacity, lines) > 0) {
        json_t *line = json_loads (text, 0, NULL);
        const char *event = json_string_value (json_object_get (line, "event"));
        if (event && strcmp (event, "step") == 0 && n < STEPS) {
            step_s[n++] = json_number_value (json_object_get (line, "step_s"));
            tokens = json_number_value (json_object_get (line, "tokens"));
        } else if (event && strcmp (event, "result") == 0) {
            first_s = json_number_value (json_object_get (line, "first_step_s"));
        }
        json_decref (line);
    }
    free (text);
    fclose (lines);
    int status = 0;
    atomic_store (&watched.stop, true);
    pthread_join (watcher, NULL);
    waitpid (watched.pid, &status, 0);
    if (status != 0 || n == 0)
        fail (s->name, "the run failed; see its logs");
    qsort (step_s, n, sizeof *step_s, ascending);
    tell (s, "step", step_s[n / 2], "s", s->seconds);
    tell (s, "first_step", first_s, "s", NAN);
    tell (s, "memory", watched.peak, "MB", s->megabytes);
    tell (s, "tokens", tokens, "tokens", NAN);
}

int main (void)
{
    const shape_t shapes[] = {{"0.4M",
                               {.width = 96,
                                .layers = 3,
                                .heads = 4,
                                .kv_heads = 4,
                                .head_dim = 24,
                                .ff = 256,
                                .vocab = 512},
                               "f32",
                               "8",
                               "8",
                               "32",
                               0.62,
                               640},
                              {"15M.f32",
                               {.width = 288,
                                .layers = 6,
                                .heads = 6,
                                .kv_heads = 6,
                                .head_dim = 48,
                                .ff = 768,
                                .vocab = 32000},
                               "f32",
                               "4",
                               "8",
                               "64",
                               21,
                               5100},
                              {"15M.bf16",
                               {.width = 288,
                                .layers = 6,
                                .heads = 6,
                                .kv_heads = 6,
                                .head_dim = 48,
                                .ff = 768,
                                .vocab = 32000},
                               "bf16",
                               "4",
                               "8",
                               "64",
                               21,
                               5100}};
    err_t err = {0};
    if (!mkdtemp (dir))
        fail (dir, "cannot make it");
    bench_idle ();
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        shape_t s = shapes[i];
        s.model.context = 512;
        s.model.norm_eps = 1e-5;
        s.model.rope_theta = 10000;
        s.model.tied = true;
        bench_step (&s);
    }
    if (!getenv ("QUINTET_KEEP"))
        fs_remove (dir, &err);
    return 0;
}

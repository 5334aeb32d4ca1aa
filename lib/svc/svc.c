/*  svc - see svc.h */
#include "svc/svc.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "svc/event.h"
#include "svc/health.h"
#include "wire/wire.h"

/*  Twice a second: a view of the run looks alive with it, and it costs nothing beside a step. */
#define STATUS_MS      500
#define STATUS_METRICS 96
#define METRIC_NAME    96
#define COMMON_OPTIONS 7
#define SVC_READY_MS   3000 /* until it is said that the bus does not answer */
#define SVC_FILES_MIN  64   /* of a small service, with its connections to bus and Redis */
#define SVC_ALONE_MS   100  /* longest sleep without a bus, which a signal would wake */
#define SVC_AGAIN_MS   5000 /* until a bus that had no place is asked again; doubles up to */
#define SVC_AGAIN_MAX  60000

/*  One per process, owned by the thread of the loop. `stopping` is atomic, for a signal handler
 *  sets it and other threads read it. */
struct svc_run {
    const svc_t *service;
    args_t *args;
    char name[128];
    keys_t keys; /* name "": none */
    bus_t *bus;
    pool_t *pool;
    void *state;
    int exit_status;
    uint64_t asked;   /* the call that asks whether the bus has us; 0: none */
    bool ready, told; /* it has; that it does not answer */
    atomic_bool stopping;
    int64_t started_ms, status_ms;
    /* one status event */
    wire_part_t metrics[STATUS_METRICS];
    char metric_names[STATUS_METRICS][METRIC_NAME];
    size_t metrics_n;
};

static svc_run_t *svc_running; /* for the signal handler alone */

/*  A handler may do next to nothing: it sets a flag and wakes the loop, which ends within its
 *  step. A second signal is from somebody who has lost patience. */
static void svc_on_signal (int number)
{
    (void) number;
    /* The handler may interrupt code that is about to read errno. */
    int saved = errno;
    if (svc_running) {
        if (atomic_exchange (&svc_running->stopping, true))
            /* Not exit, whose handlers are not safe here. 130 is what shells report of a program
               that SIGINT ended. */
            _exit (130);
        if (svc_running->bus)
            bus_wake (svc_running->bus);
    }
    errno = saved;
}

/*  SIGPIPE is ignored, since a broken connection is an error that is returned. SA_RESTART,
 *  because the code that computes does not look for EINTR. */
static void svc_handle_signals (svc_run_t *run)
{
    svc_running = run;
    struct sigaction action = {.sa_handler = svc_on_signal, .sa_flags = SA_RESTART};
    sigaction (SIGINT, &action, NULL);
    sigaction (SIGTERM, &action, NULL);
    signal (SIGPIPE, SIG_IGN);
    /* A supervised service ends with its supervisor, even when that was killed. */
    const char *supervisor = getenv ("QUINTET_SUPERVISOR");
    if (supervisor) {
        /* SIGKILL, since nobody is left who would kill what does not end by itself. */
        prctl (PR_SET_PDEATHSIG, SIGKILL);
        /* It may have died before prctl was called, and then the signal never comes. */
        if (getppid () != (pid_t) strtol (supervisor, NULL, 10))
            _exit (1);
    }
}

/*  Names are copied: those of a service's own are often made on its stack. */
static void svc_add_metric (void *to, const char *name, double value)
{
    svc_run_t *run = to;
    /* More than that are left out without a word: they are for people. */
    if (run->metrics_n == STATUS_METRICS)
        return;
    char *copy = run->metric_names[run->metrics_n];
    snprintf (copy, METRIC_NAME, "%s", name);
    run->metrics[run->metrics_n++] = (wire_part_t){.name = copy, .value = value};
}

/*  Resident memory, from /proc/self/statm. */
static double svc_resident_bytes (void)
{
    unsigned long total = 0, resident = 0;
    FILE *file = fopen ("/proc/self/statm", "re");
    /* What cannot be read is told as 0: a figure for people must not end a service. */
    if (file && fscanf (file, "%lu %lu", &total, &resident) != 2)
        resident = 0;
    if (file)
        fclose (file);
    return (double) resident * (double) sysconf (_SC_PAGESIZE);
}

/*  Of all its threads, in user and system mode. */
static double svc_cpu_s (void)
{
    struct rusage usage;
    getrusage (RUSAGE_SELF, &usage);
    return (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/*  "took_ms/0.25" and so on: what was never so slow is left out. */
static void svc_add_times (svc_run_t *run, const bus_counters_t *counters)
{
    char name[METRIC_NAME];
    for (int k = 0; k < BUS_TOOK; k++)
        if (counters->took[k]) {
            snprintf (name, sizeof name, "took_ms/%g", BUS_TOOK_MS (k));
            svc_add_metric (run, name, (double) counters->took[k]);
        }
    svc_add_metric (run, "took_s", (double) counters->took_us / 1e6);
}

/*  Twice a second, whatever the service does: who watches a run tells a slow service from a dead
 *  one by it. */
static void svc_publish_status (svc_run_t *run)
{
    run->status_ms = clock_ms ();
    run->metrics_n = 0;
    bus_counters_t counters = bus_counters (run->bus);
    char kind[METRIC_NAME];
    snprintf (kind, sizeof kind, "service/%s",
              run->service->name); /* instances have names of any form */
    svc_add_metric (run, kind, 1);
    svc_add_metric (run, "uptime_s", (double) (run->status_ms - run->started_ms) / 1e3);
    svc_add_metric (run, "rss_bytes", svc_resident_bytes ());
    svc_add_metric (run, "cpu_s", svc_cpu_s ());
    svc_add_metric (run, "in_hand", (double) counters.in_hand);
    svc_add_metric (run, "served", (double) counters.served);
    svc_add_metric (run, "repeated", (double) counters.repeated);
    svc_add_metric (run, "resent", (double) counters.resent);
    svc_add_metric (run, "timeouts", (double) counters.timeouts);
    svc_add_metric (run, "events_missed", (double) counters.events_missed);
    svc_add_metric (run, "events_dropped", (double) counters.events_dropped);
    svc_add_metric (run, "malformed", (double) counters.malformed);
    svc_add_metric (run, "damaged", (double) counters.damaged);
    svc_add_metric (run, "bytes_fetched", (double) counters.bytes_fetched);
    svc_add_times (run, &counters);
    /* Last, so that a service with too many metrics loses some of its own and none of the common
       ones. */
    if (run->service->status)
        run->service->status (run, svc_add_metric, run);
    wire_event_t event = {.kind = WIRE_SERVICE_STATUS,
                          .run = "",
                          .version = {.policy = ""},
                          .metrics = run->metrics,
                          .metrics_n = run->metrics_n,
                          .text = run->name,
                          .doing = run->service->doing ? run->service->doing (run) : ""};
    char topic[160];
    snprintf (topic, sizeof topic, "service/%s", run->name);
    event_publish (run->bus, run->service->name, topic, &event);
}

/*  A bus answers in the order of what it is sent: who may not serve what it registered for
 *  is refused before this is answered. */
static void svc_ask (svc_run_t *run)
{
    if (!run->ready && !run->asked)
        run->asked =
            bus_call (run->bus, BUS_ALIVE, NULL, run->name, strlen (run->name), SVC_READY_MS);
}

/*  The bus may come later: it is waited for, and that is said once. */
static void svc_on_answer (svc_run_t *run, const bus_item_t *item)
{
    err_t err = {0};
    run->asked = 0;
    run->ready = item->code != ERR_TIMEOUT;
    if (run->ready)
        log_info ("ready", "bus=%s", args_value (run->args, "--bus"));
    else if (!run->told && bus_ready (run->bus, 0, &err) != 0) {
        log_err ("waits", &err);
        run->told = true;
    }
}

/*  Requests by their route, everything else to the service itself. */
static void svc_dispatch (svc_run_t *run, const bus_item_t *item)
{
    const svc_t *service = run->service;
    if (item->kind == BUS_REPLY && item->call == run->asked) {
        svc_on_answer (run, item);
        return;
    }
    /* Other replies, objects and events belong to calls and topics that the service alone
       knows of. */
    if (item->kind != BUS_REQUEST) {
        if (service->on_item)
            service->on_item (run, item);
        return;
    }
    for (const svc_route_t *r = service->routes; r->service; r++)
        if (strcmp (r->service, item->name) == 0) {
            r->handle (run, item);
            return;
        }
    /* The bus asks only for what was registered, so this is a mistake; it is answered all the
       same, or the client would wait. */
    bus_refuse (run->bus, item->id, ERR_MISSING, "%s does not serve '%s'", run->name, item->name);
}

/*  ---- the connection ------------------------------------------------------------------------- */

static int svc_connect (svc_run_t *run, err_t *err)
{
    const svc_t *service = run->service;
    bus_options_t options = {.address = args_value (run->args, "--bus"),
                             .name = run->name,
                             .numerics = service->numerics ? service->numerics () : "",
                             .keys = &run->keys};
    run->asked = 0;
    run->ready = false;
    run->bus = bus_new (&options, err);
    return run->bus ? 0 : -1;
}

/*  In this order, for a signal wakes what it finds. */
static void svc_disconnect (svc_run_t *run)
{
    bus_t *bus = run->bus;
    run->bus = NULL;
    bus_destroy (&bus);
}

/*  After open: requests may come as soon as the bus knows of us. */
static int svc_join (svc_run_t *run, err_t *err)
{
    const svc_t *service = run->service;
    if (service->joined && service->joined (run, err) != 0)
        return -1;
    for (const svc_route_t *r = service->routes; r->service; r++)
        if (bus_serve (run->bus, r->service, service->credit ? service->credit : 1, err) != 0)
            return -1;
    return 0;
}

/*  For so long, with a service's work or without any. */
static void svc_pause (svc_run_t *run, int64_t ms, bool works)
{
    int64_t until = clock_ms () + ms;
    while (!atomic_load (&run->stopping) && clock_left_ms (until) > 0) {
        int wait = works && run->service->work ? run->service->work (run) : -1;
        clock_sleep_ms (wait < 0 || wait > SVC_ALONE_MS ? SVC_ALONE_MS : wait);
    }
}

/*  What is left of the loop where the bus has no place for the service, and that can do without:
 *  some seconds later it may have. */
static int svc_do_without (svc_run_t *run, err_t *err)
{
    svc_disconnect (run);
    svc_pause (run, SVC_AGAIN_MS, true);
    return svc_connect (run, err) == 0 ? svc_join (run, err) : -1;
}

/*  One thread, one item at a time. work () is called between items, so a service that computes in
 *  small steps answers in between; and it says how long the loop may sleep. */
static int svc_loop (svc_run_t *run, err_t *err)
{
    int wait = 0;
    while (!atomic_load (&run->stopping)) {
        /* The status does not wait for the service: it is published between two items, however
           many there are. */
        int64_t status_in = clock_left_ms (run->status_ms + STATUS_MS);
        if (status_in == 0) {
            svc_publish_status (run);
            status_in = STATUS_MS;
        }
        /* The service says when it wants to be called again; the status may be due earlier. */
        int timeout = wait < 0 || wait > status_in ? (int) status_in : wait;
        svc_ask (run);
        bus_item_t item;
        int rc = bus_next (run->bus, &item, timeout, err);
        /* The bus refuses this service; a connection that is lost is no failure, and made again. */
        if (rc < 0 && run->service->refused && run->service->refused (run, err))
            rc = svc_do_without (run, err);
        if (rc < 0)
            return -1;
        if (rc > 0)
            svc_dispatch (run, &item);
        /* After an item at once, whatever it asked for before: what arrived may have made work. */
        wait = run->service->work ? run->service->work (run) : -1;
    }
    return 0;
}

/*  As many file descriptors as the system allows; ZeroMQ, which has some for every socket, ends the
 *  process when it finds none, so too few are an error here, that says how many are needed. */
static int svc_check_files (const svc_t *service, err_t *err)
{
    struct rlimit files;
    size_t least = service->files ? service->files : SVC_FILES_MIN;
    if (getrlimit (RLIMIT_NOFILE, &files) != 0)
        return 0;
    /* The soft limit is often 1024 for the sake of programs that use select; nothing here does. */
    files.rlim_cur = files.rlim_max;
    setrlimit (RLIMIT_NOFILE, &files);
    if (getrlimit (RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < least)
        return err_set (err, ERR_CONFIG,
                        "%llu open files are allowed, and quintet-%s needs at least %zu: raise the "
                        "limit, as by ulimit -n %zu",
                        (unsigned long long) files.rlim_cur, service->name, least, 4 * least);
    return 0;
}

/*  Names must be unique on a bus: host and process make one where the user gives none. */
static void svc_name_instance (svc_run_t *run)
{
    const char *given = args_value (run->args, "--name");
    char host[64] = "localhost", name[128];
    gethostname (host, sizeof host - 1);
    if (*given)
        snprintf (name, sizeof name, "%s", given);
    else
        snprintf (name, sizeof name, "%s-%s-%ld",
                  *run->keys.name ? run->keys.name : run->service->name, host, (long) getpid ());
    keys_name (&run->keys, name, run->name, sizeof run->name);
}

/*  Returns when the loop has ended, or at the first error; svc_finish closes what was opened. */
static int svc_start (svc_run_t *run, err_t *err)
{
    const svc_t *service = run->service;
    if (svc_check_files (service, err) != 0 || svc_connect (run, err) != 0)
        return -1;
    if (service->open && service->open (run, &run->state, err) != 0)
        return -1;
    return svc_join (run, err) == 0 ? svc_loop (run, err) : -1;
}

static void svc_finish (svc_run_t *run)
{
    /* From now on the bus gives what we have in hand to others. The connection stays for a while:
       closing a state may cancel calls. */
    bus_quiet (run->bus);
    if (run->service->close)
        run->service->close (run, &run->state);
    /* Last, since whatever was closed may have said something on the way. */
    svc_disconnect (run);
    pool_destroy (&run->pool);
}

/*  A bus that has no room may have some later: who serves it waits, and begins anew. Who has a
 *  CONFIG to work on does not: whoever started it is told. */
static int svc_start_until_room (svc_run_t *run, err_t *err)
{
    int rc = svc_start (run, err);
    for (int64_t pause = SVC_AGAIN_MS; rc != 0 && err->code == ERR_BUSY; pause *= 2) {
        if (run->service->positional)
            break;
        if (pause > SVC_AGAIN_MAX)
            pause = SVC_AGAIN_MAX;
        log_warn ("waits", "again_s=%lld text=\"%s\"", (long long) (pause / 1000), err->text);
        svc_finish (run);
        svc_pause (run, pause, false);
        if (atomic_load (&run->stopping))
            return 0;
        *err = (err_t){0};
        rc = svc_start (run, err);
    }
    return rc;
}

/*  The supervisor reads it: what can never work is not started again. */
static int svc_exit_status (const err_t *err)
{
    bool wrong = err->code == ERR_CONFIG || err->code == ERR_INPUT;
    return wrong                      ? SVC_EXIT_CONFIG
           : err->code == ERR_TIMEOUT ? SVC_EXIT_LATE
           : err->code == ERR_BUSY    ? SVC_EXIT_LATE
           : err->code == ERR_FULL    ? SVC_EXIT_FULL
                                      : EXIT_FAILURE;
}

/*  Through the pipe as well: when the disk is full there is no log. */
static void svc_log_failure (const err_t *err)
{
    const char *number = getenv ("QUINTET_LAST_WORDS");
    log_err ("failed", err);
    /* The supervisor reads them back and shows them to the user
       (services/cli/suite/supervisor.c). */
    if (number && dprintf ((int) strtol (number, NULL, 10), "%s", err->text) < 0)
        log_warn ("last.words", "fd=%s", number);
}

/*  Closes in both cases: a start that failed half-way has opened things, too. */
static int svc_run_service (const svc_t *service, args_t *args)
{
    svc_run_t *run = calloc (1, sizeof *run);
    if (!run)
        return EXIT_FAILURE;
    run->service = service;
    run->args = args;
    run->started_ms = clock_ms ();
    err_t err = {0};
    int status, keys = keys_load (args_value (args, "--keys"), &run->keys, &err);
    svc_name_instance (run);
    /* Before the rest, all of which may log. */
    log_open (run->name, LOG_INFO);
    svc_handle_signals (run);
    /* Logged before anything is closed, which may take a while and log on its own. */
    if (keys != 0 || svc_start_until_room (run, &err) != 0) {
        svc_log_failure (&err);
        status = svc_exit_status (&err);
    } else {
        log_info ("stopped", "uptime_s=%.1f", (double) (clock_ms () - run->started_ms) / 1e3);
        status = run->exit_status;
    }
    /* From here on a signal has nothing to wake: the bus is about to go. */
    svc_running = NULL;
    svc_finish (run);
    free (run);
    return status;
}

/*  The common ones come first in --help too. */
static size_t svc_all_options (const svc_t *service, args_option_t *options)
{
    size_t n = 0;
    options[n++] = (args_option_t){"--bus", "ADDRESS", "tcp://127.0.0.1:5550",
                                   "the bus: tcp://HOST:PORT or ipc://PATH"};
    if (service->redis)
        options[n++] = (args_option_t){"--redis", "ADDRESS", "tcp://127.0.0.1:6379",
                                       "Redis: tcp://HOST:PORT or unix:PATH"};
    options[n++] = (args_option_t){"--keys", "DIR", "",
                                   "certificate for a bus that has keys (see: quintet keys)"};
    options[n++] = (args_option_t){"--name", "NAME", "", "of this instance; unique on its bus"};
    options[n++] = (args_option_t){"--threads", "N", "0", "threads that compute; 0: one per core"};
    options[n++] = (args_option_t){"--log", "FORMAT", "text", "of log lines: text or json"};
    for (const args_option_t *o = service->options; o->key; o++)
        options[n++] = *o;
    options[n++] = (args_option_t){"--health", NULL, NULL,
                                   "exit 0 when such a service is alive on the bus, else 1"};
    options[n] = (args_option_t){0};
    return n;
}

/*  glibc raises the size from which a block is a mapping of its own as such blocks are freed, and
 *  then keeps what weights, keys and activations took. Fixed, it gives them back. */
static void svc_give_memory_back (void)
{
    mallopt (M_MMAP_THRESHOLD, 128 << 10);
    /* Each arena keeps free memory of its own, and many threads would have many arenas. */
    mallopt (M_ARENA_MAX, 2);
}

/*  What can be refused at once. */
static int svc_check_arguments (const args_t *args, err_t *err)
{
    const char *format = args_value (args, "--log");
    bool json = strcmp (format, "json") == 0;
    if (!json && strcmp (format, "text") != 0)
        return err_set (err, ERR_CONFIG, "--log %s: text or json is wanted", format);
    log_as_json (json);
    /* svc_pool reads it again when threads are wanted. */
    long long threads;
    return args_number (args, "--threads", 0, 1024, &threads, err);
}

int svc_main (const svc_t *service, int argc, char **argv)
{
    args_option_t options[SVC_OPTIONS_MAX + COMMON_OPTIONS + 1];
    char program[64];
    svc_all_options (service, options);
    snprintf (program, sizeof program, "quintet-%s", service->name);
    args_spec_t spec = {.program = program,
                        .about = service->about,
                        .positional = service->positional,
                        .options = options,
                        .environment = true};
    svc_give_memory_back ();
    err_t err = {0};
    /* Before any log is open: mistakes on the command line go to standard error, without a time
       stamp. */
    args_t *args = args_parse (&spec, argc, argv, &err);
    if (!args || svc_check_arguments (args, &err) != 0) {
        fprintf (stderr, "%s: %s\n", program, err.text);
        args_destroy (&args);
        return SVC_EXIT_CONFIG;
    }
    int status = EXIT_SUCCESS;
    if (args_flag (args, "--help"))
        args_help (&spec, stdout);
    else if (args_flag (args, "--version"))
        printf ("%s %s\n", program, QUINTET_VERSION);
    /* The same program asks after itself, so that a container needs no other tool. */
    else if (args_flag (args, "--health"))
        status = health_check (service->name, args);
    else
        status = svc_run_service (service, args);
    args_destroy (&args);
    return status;
}

void *svc_state (const svc_run_t *run)
{
    return run->state;
}

bus_t *svc_bus (const svc_run_t *run)
{
    return run->bus;
}

pool_t *svc_pool (svc_run_t *run)
{
    /* Made when it is first asked for: a service that does not compute starts no threads. */
    if (!run->pool) {
        /* All cores unless told otherwise; --threads divides them where services share a
           machine. */
        long cores = sysconf (_SC_NPROCESSORS_ONLN);
        long asked = strtol (args_value (run->args, "--threads"), NULL, 10);
        size_t threads = asked > 0 ? (size_t) asked : cores > 0 ? (size_t) cores : 1;
        run->pool = pool_new (threads);
    }
    return run->pool;
}

const char *svc_redis (const svc_run_t *run)
{
    return args_value (run->args, "--redis");
}

const keys_t *svc_keys (const svc_run_t *run)
{
    return *run->keys.name ? &run->keys : NULL;
}

const char *svc_keys_dir (const svc_run_t *run)
{
    return run->keys.dir;
}

const char *svc_name (const svc_run_t *run)
{
    return run->name;
}

const args_t *svc_args (const svc_run_t *run)
{
    return run->args;
}

/*  The loop finds the status due, and publishes it after the present item. */
void svc_tell (svc_run_t *run)
{
    run->status_ms = clock_ms () - STATUS_MS;
}

/*  Handlers and work () call it, on the thread of the loop, so there is nothing to wake. */
void svc_stop (svc_run_t *run, int exit_status)
{
    run->exit_status = exit_status;
    atomic_store (&run->stopping, true);
}

/*  The loop ends after the present item: handlers need not unwind. */
void svc_fail (svc_run_t *run, const err_t *err)
{
    svc_log_failure (err);
    svc_stop (run, svc_exit_status (err));
}

/*  The loop sees the flag only between two items; a long computation has to ask by itself. */
bool svc_stopping (const svc_run_t *run)
{
    return atomic_load (&run->stopping);
}

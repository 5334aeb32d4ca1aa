/*  suite - see suite.h
 *
 *  A private suite lives in a folder of its own, in XDG_RUNTIME_DIR or /tmp: the sockets of bus and
 *  Redis, and a lock. Two runs on one machine so never meet, and no port is opened. With --bus and
 *  --redis nothing is started but the trainer: the services are somebody else's.
 */
#include "suite.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "bus/rights.h"
#include "store/store.h"
#include "task/family.h"

#define FOLDER "quintet-" /* and six characters, in the folder for sockets */

struct suite {
    char dir[SUITE_FOLDER_MAX];        /* "" when the suite is somebody else's */
    int lock;                          /* on dir/lock as long as this process lives; -1: none */
    char *bus_address, *redis_address; /* ours, also of somebody else's suite */
    supervisor_t *supervisor;
    bus_t *bus;       /* the view's connection */
    uint64_t trainer; /* its process, also when it has just ended: its last words are under way */
    char opened[96];  /* the run that it said it has; "": none */
};

/*  Whether PATH has a program. */
static bool suite_on_path (const char *name)
{
    char path[FS_PATH_MAX];
    const char *at = getenv ("PATH");
    while (at && *at) {
        size_t n = strcspn (at, ":");
        snprintf (path, sizeof path, "%.*s/%s", (int) n, at, name);
        /* An empty entry means the working directory, where nobody expects redis-server to come
           from. */
        if (n && access (path, X_OK) == 0)
            return true;
        at += n + (at[n] == ':');
    }
    return false;
}

/*  Said before anything starts: a service that finds no Redis would try again and again. */
static int suite_check_programs (const conf_t *conf, err_t *err)
{
    if (!suite_on_path ("redis-server"))
        return err_set (err, ERR_CONFIG,
                        "there is no redis-server on PATH: apt-get install redis-server, or name a "
                        "running one with --redis and --bus");
    const family_t *family = family_find (conf->task.family);
    if (family->runs_programs && !*conf->reward.command && !suite_on_path ("python3"))
        return err_set (err, ERR_CONFIG,
                        "there is no python3 on PATH, which runs the tests of the %s family: "
                        "apt-get install python3",
                        family->name);
    return 0;
}

/*  Locks a new folder, as long as this process lives. The file gets its name once it is locked, so
 *  that no sweep of another run finds it free. */
static int suite_lock_folder (suite_t *s, err_t *err)
{
    char made[128], lock[128];
    snprintf (made, sizeof made, "%s/lock.new", s->dir);
    snprintf (lock, sizeof lock, "%s/lock", s->dir);
    s->lock = open (made, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (s->lock < 0 || flock (s->lock, LOCK_EX | LOCK_NB) != 0 || rename (made, lock) != 0)
        return err_errno (err, ERR_IO, "%s: cannot be locked", s->dir);
    return 0;
}

/*  Removes the folders of runs that were killed before they could: the lock of a dead process is
 *  free. Only folders of this user, which nobody else can have put there. A folder without a lock
 *  is left alone, since its run may be about to make one. */
static void suite_sweep (const char *base)
{
    char pattern[96], path[160];
    glob_t found;
    snprintf (pattern, sizeof pattern, "%s/" FOLDER "??????", base);
    if (glob (pattern, GLOB_NOSORT, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        snprintf (path, sizeof path, "%.120s/lock", found.gl_pathv[i]);
        struct stat st;
        bool ours =
            lstat (found.gl_pathv[i], &st) == 0 && S_ISDIR (st.st_mode) && st.st_uid == geteuid ();
        /* /tmp is everybody's: no link is followed, and no folder of another user touched. */
        int lock = ours ? open (path, O_RDWR | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (lock >= 0 && flock (lock, LOCK_EX | LOCK_NB) == 0)
            fs_remove (found.gl_pathv[i], NULL);
        if (lock >= 0)
            close (lock);
    }
    globfree (&found);
}

static int suite_set_addresses (suite_t *s, const char *bus, const char *redis, err_t *err)
{
    s->bus_address = strdup (bus);
    s->redis_address = strdup (redis);
    return s->bus_address && s->redis_address ? 0
                                              : err_set (err, ERR_LIMIT, "no memory for a suite");
}

static const char *suite_base (void)
{
    const char *base = getenv ("XDG_RUNTIME_DIR");
    /* The longest socket's name must fit behind it. */
    return base && strlen (base) <= 50 && access (base, W_OK) == 0 ? base : "/tmp";
}

int suite_folder (char dir[SUITE_FOLDER_MAX], err_t *err)
{
    snprintf (dir, SUITE_FOLDER_MAX, "%s/" FOLDER "XXXXXX", suite_base ());
    if (mkdtemp (dir))
        return 0;
    dir[0] = 0;
    return err_errno (err, ERR_IO, "%s: no folder for sockets", suite_base ());
}

static int suite_make_folder (suite_t *s, err_t *err)
{
    char bus[128], redis[128];
    suite_sweep (suite_base ());
    if (suite_folder (s->dir, err) != 0)
        return -1;
    snprintf (bus, sizeof bus, "ipc://%s/bus", s->dir);
    snprintf (redis, sizeof redis, "unix:%s/redis.sock", s->dir);
    return suite_set_addresses (s, bus, redis, err) == 0 ? suite_lock_folder (s, err) : -1;
}

/*  Without persistence: the run's checkpoints are its memory, and the store is rebuilt from
 *  them. */
static int suite_start_redis (suite_t *s, err_t *err)
{
    char path[128];
    snprintf (path, sizeof path, "%s/redis.sock", s->dir);
    /* Port 0 is none: Redis listens at the socket alone, which only this user can reach. */
    const char *argv[] = {
        "redis-server", "--port", "0",           "--unixsocket", path,    "--save", "",
        "--appendonly", "no",     "--daemonize", "no",           "--dir", s->dir,   NULL};
    return supervisor_add (s->supervisor, "redis", argv, NULL, SUPERVISE_ALWAYS, err);
}

/*  Starts n instances of a service; extra: more arguments, NULL ends. Names (agent-1 ...) are those
 *  of logs and events. */
static int suite_start_service (suite_t *s, const char *service, int64_t n,
                                const char *const *extra, err_t *err)
{
    char program[64], path[FS_PATH_MAX], name[64];
    snprintf (program, sizeof program, "quintet-%s", service);
    for (int64_t i = 1; i <= n; i++) {
        snprintf (name, sizeof name, "%s-%lld", service, (long long) i);
        /* The supervisor copies all of them, so they may lie on the stack here and in the
           caller. */
        const char *argv[24] = {supervisor_program (program, path, sizeof path), "--bus",
                                s->bus_address, "--name", name};
        size_t at = 5;
        for (size_t e = 0; extra && extra[e] && at < 22; e++)
            argv[at++] = extra[e];
        if (supervisor_add (s->supervisor, name, argv, NULL, SUPERVISE_ALWAYS, err) != 0)
            return -1;
    }
    return 0;
}

/*  In the order in which they need each other, though none waits: each tries again until the bus
 *  answers. */
static int suite_start_services (suite_t *s, const conf_t *conf, err_t *err)
{
    char threads[24], workers[24];
    snprintf (threads, sizeof threads, "%lld", (long long) conf->run.threads);
    snprintf (workers, sizeof workers, "%lld", (long long) conf->reward.workers);
    const char *with_threads[] = {"--threads", threads, NULL};
    char players[24];
    snprintf (players, sizeof players, "%lld", (long long) conf->task.workers);
    const char *with_redis[] = {"--redis",   s->redis_address, "--program", conf->task.program,
                                "--workers", players,          NULL};
    buf_t modules = {0}, judge = {0}, engines = {0};
    conf_join (&conf->reward.python_modules, ",", &modules);
    conf_judge (conf, &judge);
    conf_engines (conf, &engines);
    const char *with_engines[] = {"--threads", threads, "--engine",
                                  engines.data ? engines.data : "", NULL};
    const char *with_scorer[] = {"--workers",  workers,
                                 "--command",  conf->reward.command,
                                 "--modules",  modules.data ? modules.data : "",
                                 "--judge",    judge.data ? judge.data : "",
                                 "--passages", conf->task.passages,
                                 NULL};
    /* A count, too: one critic, or none where nobody would ask it. */
    bool critic = conf_credits (conf, "critic");
    int rc =
        suite_start_redis (s, err) || suite_start_service (s, "bus", 1, NULL, err) ||
                suite_start_service (s, "agent", conf->run.agents, with_engines, err) ||
                suite_start_service (s, "environment", conf->run.environments, with_redis, err) ||
                suite_start_service (s, "reward", conf->run.rewards, with_scorer, err) ||
                suite_start_service (s, "critic", critic, with_threads, err)
            ? -1
            : 0;
    buf_free (&modules);
    buf_free (&judge);
    buf_free (&engines);
    return rc;
}

/*  The view's own connection; it taps everything. */
static int suite_join_bus (suite_t *s, const keys_t *keys, err_t *err)
{
    char name[64], own[128];
    snprintf (name, sizeof name, "view-%ld", (long) getpid ());
    bus_options_t options = {.address = s->bus_address,
                             .name = keys_name (keys, name, own, sizeof own),
                             .numerics = "",
                             .keys = keys};
    s->bus = bus_new (&options, err);
    return s->bus ? bus_subscribe (s->bus, "", err) : -1;
}

/*  Somebody else's Redis is asked first: a trainer that cannot reach it would only try again and
 *  again. */
static int suite_check_redis (const char *address, const keys_t *keys, err_t *err)
{
    store_t *store = store_new (address, keys->dir, err);
    if (!store)
        return err_wrap (err, "--redis");
    store_destroy (&store);
    return 0;
}

/*  What can fail without a trace comes first: programs, then the folder, and processes only when
 *  both are there. Whatever was made by then, suite_destroy takes back. */
suite_t *suite_new (const conf_t *conf, const suite_options_t *options, err_t *err)
{
    suite_t *s = calloc (1, sizeof *s);
    if (!s) {
        err_set (err, ERR_LIMIT, "no memory for a suite");
        return NULL;
    }
    int rc = 0;
    s->lock = -1;
    /* Somebody else's suite is used as it is; only the trainer is ours then. */
    bool own = !options->bus && !options->redis;
    if (!own && (!options->bus || !options->redis))
        rc = err_set (err, ERR_CONFIG, "--bus and --redis go together: both name a running suite");
    if (rc == 0 && own)
        rc = suite_check_programs (conf, err) == 0 ? suite_make_folder (s, err) : -1;
    if (rc == 0 && !own)
        rc = suite_set_addresses (s, options->bus, options->redis, err) == 0
                 ? suite_check_redis (s->redis_address, options->keys, err)
                 : -1;
    if (rc == 0)
        rc = options->take (options->context, err);
    if (rc == 0) {
        /* Somebody else's suite has one as well, for the trainer. */
        s->supervisor = supervisor_new (options->logs, err);
        rc = s->supervisor ? 0 : -1;
    }
    if (rc == 0 && own)
        rc = suite_start_services (s, conf, err);
    if (rc == 0)
        rc = suite_join_bus (s, options->keys, err);
    if (rc != 0)
        suite_destroy (&s);
    return s;
}

/*  Processes first, then our own connection, then the folder that their sockets are in. */
void suite_destroy (suite_t **self)
{
    suite_t *s = *self;
    if (!s)
        return;
    supervisor_destroy (&s->supervisor);
    bus_destroy (&s->bus);
    if (*s->dir)
        /* Before the lock is given up: until then no sweep of another run touches the folder. */
        fs_remove (s->dir, NULL);
    if (s->lock >= 0)
        close (s->lock);
    free (s->bus_address);
    free (s->redis_address);
    free (s);
    *self = NULL;
}

bus_t *suite_bus (suite_t *s)
{
    return s->bus;
}

supervisor_t *suite_supervisor (suite_t *s)
{
    return s->supervisor;
}

const char *suite_bus_address (const suite_t *s)
{
    return s->bus_address;
}

const char *suite_redis_address (const suite_t *s)
{
    return s->redis_address;
}

const char *suite_trainer (const char *name)
{
    const char *last = strrchr (name, '-') ? strrchr (name, '-') + 1 : name;
    return strcmp (last, "team") == 0 || strcmp (last, "solo") == 0 ? last : NULL;
}

/*  Of the others that speak of a run (its environments) nothing says for which trainer they work;
 *  but only one trainer has it at a time. */
bool suite_concerns (suite_t *s, const wire_event_t *event, const char *run, const char *who)
{
    if (event->kind == WIRE_SERVICE_STATUS || strcmp (event->run, run) != 0)
        return event->kind == WIRE_SERVICE_STATUS;
    if (strcmp (event->service, "trainer") != 0)
        return strcmp (s->opened, run) == 0;
    uint64_t now = supervisor_pid (s->supervisor, who);
    s->trainer = now ? now : s->trainer;
    bool ours = event->pid == s->trainer;
    if (ours && event->kind == WIRE_RUN_OPENED)
        snprintf (s->opened, sizeof s->opened, "%s", run);
    return ours;
}

int suite_read_keys (const char *bus, const char *dir, keys_t *keys, err_t *err)
{
    if (*dir && !bus)
        return err_set (
            err, ERR_CONFIG,
            "--keys (or QUINTET_KEYS) is for a bus that runs already: give --bus as well, "
            "or leave it out");
    if (keys_load (dir, keys, err) != 0)
        return -1;
    return !*dir || rights_allow (rights_of (keys->kind), RIGHTS_OBJECTS, slice_of ("manifest"),
                                  slice_of (keys->name))
               ? 0
               : err_set (err, ERR_CONFIG,
                          "%s is a certificate of kind %s, and one of kind operator or trainer is "
                          "wanted (quintet keys add DIR operator)",
                          dir, keys->kind);
}

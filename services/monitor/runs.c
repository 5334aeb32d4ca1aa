/*  runs - see runs.h
 *
 *  The service's thread looks at folders and hears events; the web's thread asks. One lock is over
 *  the list. It is held while a file is looked at, which is a window at most.
 */
#include "runs.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/fs.h"
#include "base/printable.h"
#include "conf/conf.h"
#include "kept.h"
#include "watch/folder.h"
#include "watch/summary.h"

#define RUNS_ALIVE_MS 60000 /* without an event for so long a run on the bus is not live */

static const char *const runs_files[RUNS_FILES] = {"metrics.jsonl", "episodes.jsonl",
                                                   "completions.jsonl"};

typedef struct {
    char name[RUNS_NAME], id[64]; /* id: on the bus, "": was not there */
    char dir[FS_PATH_MAX];        /* "": on the bus alone */
    char told[FS_PATH_MAX];       /* then: its folder, as its trainer calls it */
    summary_t summary;
    char doing[24];
    double eta_s;     /* NAN: not known */
    int64_t steps;    /* -1: not known */
    int64_t heard_ms; /* on the bus; 0: never */
    uint64_t read, bytes[RUNS_FILES];
    time_t configured; /* when config.yml was written that was read */
    json_t *words;     /* what the configuration says, or NULL */
    json_t *newest;    /* line of a step, or NULL */
    char *note;        /* the last, or NULL */
    kept_t kept[2];    /* of RUNS_METRICS and RUNS_EPISODES, when dir is "" */
    bool found;        /* by this look */
} run_t;

struct runs {
    char folder[FS_PATH_MAX]; /* "": none */
    pthread_mutex_t lock;
    run_t *run[RUNS_MAX + RUNS_BUS];
    size_t n;
};

runs_t *runs_new (const char *folder)
{
    runs_t *runs = calloc (1, sizeof *runs);
    if (!runs)
        return NULL;
    snprintf (runs->folder, sizeof runs->folder, "%s", folder ? folder : "");
    pthread_mutex_init (&runs->lock, NULL);
    return runs;
}

static void runs_forget (runs_t *runs, size_t i)
{
    run_t *run = runs->run[i];
    json_decref (run->words);
    summary_free (&run->summary);
    json_decref (run->newest);
    free (run->note);
    kept_free (&run->kept[RUNS_METRICS]);
    kept_free (&run->kept[RUNS_EPISODES]);
    free (run);
    memmove (&runs->run[i], &runs->run[i + 1], (--runs->n - i) * sizeof *runs->run);
}

void runs_destroy (runs_t **self)
{
    runs_t *runs = *self;
    if (!runs)
        return;
    while (runs->n)
        runs_forget (runs, runs->n - 1);
    pthread_mutex_destroy (&runs->lock);
    free (runs);
    *self = NULL;
}

/*  A folder goes before a run of the bus whose id is the same. */
static run_t *runs_named (runs_t *runs, const char *name)
{
    run_t *found = NULL;
    for (size_t i = 0; i < runs->n; i++)
        if (strcmp (runs->run[i]->name, name) == 0 && (!found || runs->run[i]->dir[0]))
            found = runs->run[i];
    return found;
}

/*  NULL: there is no room. of_folder: one that stands in a folder. */
static run_t *runs_add (runs_t *runs, const char *name, bool of_folder)
{
    size_t same = 0;
    for (size_t i = 0; i < runs->n; i++)
        same += (runs->run[i]->dir[0] != 0) == of_folder;
    run_t *run = same < (of_folder ? RUNS_MAX : RUNS_BUS) ? calloc (1, sizeof *run) : NULL;
    if (!run)
        return NULL;
    *run = (run_t){.summary = SUMMARY_NONE,
                   .eta_s = NAN,
                   .steps = -1,
                   .kept = {{.max = RUNS_KEPT}, {.max = RUNS_KEPT}}};
    snprintf (run->name, sizeof run->name, "%s", name);
    return runs->run[runs->n++] = run;
}

/*  ---- windows -------------------------------------------------------------------------------- */

static int runs_read_of (const run_t *run, runs_file_t file, window_t *w)
{
    char path[FS_PATH_MAX];
    struct stat st;
    if (!run->dir[0]) {
        if (file >= RUNS_COMPLETIONS)
            return -1;
        window_read_kept (&run->kept[file], w);
        return 0;
    }
    int fd = fs_join (path, run->dir, runs_files[file], NULL) == 0 ? fs_open (path, NULL) : -1;
    if (fd < 0)
        return -1;
    if (fstat (fd, &st) == 0)
        window_read_file (fd, (uint64_t) st.st_size, w);
    close (fd);
    return 0;
}

int runs_read (runs_t *runs, const char *name, runs_file_t file, uint64_t from, window_t *w)
{
    *w = (window_t){.from = from};
    pthread_mutex_lock (&runs->lock);
    const run_t *run = runs_named (runs, name);
    int rc = run ? runs_read_of (run, file, w) : -1;
    pthread_mutex_unlock (&runs->lock);
    return rc;
}

/*  ---- numbers -------------------------------------------------------------------------------- */

static void runs_take_line (void *context, json_t *line, uint64_t at)
{
    run_t *run = context;
    (void) at;
    const char *event = json_string_value (json_object_get (line, "event"));
    summary_line (&run->summary, line);
    if (event && strcmp (event, "step") == 0) {
        json_decref (run->newest);
        run->newest = json_incref (line);
    }
}

/*  A file that became shorter is of a run that went back: all is read anew. */
static void runs_take_new (run_t *run)
{
    window_t w = {.from = run->read};
    if (runs_read_of (run, RUNS_METRICS, &w) != 0)
        return;
    if (w.again)
        summary_free (&run->summary);
    run->read = w.next;
    window_each (&w, runs_take_line, run);
    buf_free (&w.text);
}

/*  Words that JSON can carry: names of folders and of peers may hold any bytes. */
static json_t *runs_text (const char *text)
{
    buf_t safe = {0};
    printable_text (&safe, text, strlen (text), PRINTABLE_LINES);
    json_t *string = json_string (safe.data ? safe.data : "");
    buf_free (&safe);
    return string;
}

/*  What a page shows of a configuration, by the names of the event run.opened. */
static json_t *runs_words (const conf_t *conf)
{
    json_t *roles = json_array ();
    buf_t objective = {0};
    for (size_t i = 0; i < conf->team.roles.n; i++)
        json_array_append_new (roles, runs_text (conf->team.roles.item[i]));
    conf_objective (conf, &objective);
    json_t *words = json_object ();
    json_object_set_new (words, "family", runs_text (conf->task.family));
    json_object_set_new (words, "model", runs_text (conf->model.path));
    json_object_set_new (words, "objective", runs_text (objective.data ? objective.data : ""));
    json_object_set_new (words, "roles", roles);
    json_object_set_new (words, "seed", json_integer ((json_int_t) conf->run.seed));
    buf_free (&objective);
    return words;
}

static void runs_take_conf (run_t *run)
{
    char path[FS_PATH_MAX];
    struct stat st;
    if (fs_join (path, run->dir, "config.yml", NULL) != 0 || stat (path, &st) != 0 ||
        st.st_mtime == run->configured)
        return;
    conf_t *conf = folder_conf (run->dir);
    run->configured = st.st_mtime;
    if (!conf)
        return;
    run->steps = (int64_t) conf->trainer.steps;
    json_decref (run->words);
    run->words = runs_words (conf);
    conf_destroy (&conf);
}

/*  ---- folders -------------------------------------------------------------------------------- */

static void runs_take_folder (runs_t *runs, const char *dir, const char *name)
{
    char path[FS_PATH_MAX];
    struct stat st;
    pthread_mutex_lock (&runs->lock);
    run_t *run = runs_named (runs, name);
    if (!run || !run->dir[0])
        run = runs_add (runs, name, true);
    if (run) {
        snprintf (run->dir, sizeof run->dir, "%s", dir);
        run->found = true;
        for (int f = 0; f < RUNS_FILES; f++)
            run->bytes[f] = fs_join (path, dir, runs_files[f], NULL) == 0 && stat (path, &st) == 0
                                ? (uint64_t) st.st_size
                                : 0;
        summary_look (&run->summary, run->dir);
        runs_take_conf (run);
        if (run->read != run->bytes[RUNS_METRICS])
            runs_take_new (run);
    }
    pthread_mutex_unlock (&runs->lock);
}

/*  name: of the folder below the one of all runs, "" for that itself. */
static void runs_look_into (runs_t *runs, const char *dir, const char *name, int depth)
{
    struct dirent **entries = NULL;
    if (folder_holds_run (dir))
        runs_take_folder (runs, dir, *name ? name : ".");
    int n = depth > 0 ? scandir (dir, &entries, NULL, alphasort) : 0;
    for (int i = 0; i < n; i++) {
        char path[FS_PATH_MAX], below[RUNS_NAME];
        const char *entry = entries[i]->d_name;
        int size = snprintf (below, sizeof below, "%s%s%s", name, *name ? "/" : "", entry);
        /* Links are not followed: they could lead around in a circle. */
        if (entry[0] != '.' && size > 0 && (size_t) size < sizeof below &&
            strcmp (entry, "checkpoints") != 0 && entries[i]->d_type != DT_LNK &&
            entries[i]->d_type != DT_REG && fs_join (path, dir, entry, NULL) == 0)
            runs_look_into (runs, path, below, depth - 1);
        free (entries[i]);
    }
    free (entries);
}

/*  Whether a run's folder, as its trainer calls it, is this one: the trainer may be on another
 *  machine, or in a container, so the paths agree at their ends. */
static bool runs_is_folder (const run_t *run, const char *folder)
{
    size_t n = strlen (folder), m = strlen (run->name);
    return run->dir[0] && n >= m && strcmp (folder + n - m, run->name) == 0 &&
           (n == m || folder[n - m - 1] == '/');
}

/*  The run of the bus whose trainer works in a folder that is here goes by that; of several folders
 *  that fit, the one whose path says most. NULL: none is here, or not yet. With the lock. */
static run_t *runs_settle (runs_t *runs, run_t *run)
{
    run_t *there = NULL;
    size_t at = 0;
    for (size_t i = 0; *run->told && i < runs->n; i++)
        if (runs_is_folder (runs->run[i], run->told) &&
            (!there || strlen (runs->run[i]->name) > strlen (there->name)))
            there = runs->run[i];
    if (!there)
        return NULL;
    snprintf (there->id, sizeof there->id, "%s", run->id);
    snprintf (there->doing, sizeof there->doing, "%s", run->doing);
    there->heard_ms = run->heard_ms;
    there->eta_s = run->eta_s;
    free (there->note);
    there->note = run->note;
    run->note = NULL;
    while (runs->run[at] != run)
        at++;
    runs_forget (runs, at);
    return there;
}

void runs_look (runs_t *runs)
{
    if (!runs->folder[0])
        return;
    pthread_mutex_lock (&runs->lock);
    for (size_t i = 0; i < runs->n; i++)
        runs->run[i]->found = !runs->run[i]->dir[0];
    pthread_mutex_unlock (&runs->lock);
    runs_look_into (runs, runs->folder, "", RUNS_DEPTH);
    pthread_mutex_lock (&runs->lock);
    for (size_t i = runs->n; i-- > 0;)
        if (!runs->run[i]->found)
            runs_forget (runs, i);
    for (size_t i = runs->n; i-- > 0;)
        if (!runs->run[i]->dir[0])
            runs_settle (runs, runs->run[i]);
    pthread_mutex_unlock (&runs->lock);
}

/*  ---- events --------------------------------------------------------------------------------- */

/*  Of too many the one that was not heard of for longest gives way. */
static run_t *runs_of_bus (runs_t *runs, const char *id)
{
    size_t oldest = runs->n, n = 0;
    for (size_t i = 0; i < runs->n; i++) {
        run_t *run = runs->run[i];
        if (strcmp (run->id, id) == 0)
            return run;
        if (run->dir[0])
            continue;
        n++;
        if (oldest == runs->n || run->heard_ms < runs->run[oldest]->heard_ms)
            oldest = i;
    }
    if (n == RUNS_BUS)
        runs_forget (runs, oldest);
    run_t *run = runs_add (runs, id, false);
    if (run)
        snprintf (run->id, sizeof run->id, "%s", id);
    return run;
}

/*  One that was opened again may work in another folder than before. */
static run_t *runs_open (runs_t *runs, run_t *run, const wire_event_t *e)
{
    json_t *words = json_loads (e->text ? e->text : "", 0, NULL);
    const char *folder = json_string_value (json_object_get (words, "folder"));
    if (run->dir[0] && folder && !runs_is_folder (run, folder)) {
        run->id[0] = 0;
        run->heard_ms = 0;
        run = runs_of_bus (runs, e->run);
    }
    if (run && !run->dir[0]) {
        snprintf (run->told, sizeof run->told, "%s", folder ? folder : "");
        run_t *there = runs_settle (runs, run);
        run = there ? there : run;
    }
    if (run && json_is_object (words)) {
        json_decref (run->words);
        run->words = json_incref (words);
    }
    json_decref (words);
    if (run)
        run->summary.step = (int64_t) e->step;
    return run;
}

/*  A line as the trainer writes it. */
static void runs_keep_metrics (run_t *run, const wire_event_t *e)
{
    json_t *line = json_object ();
    json_object_set_new (line, "event", json_string (e->kind == WIRE_EVAL_DONE ? "eval" : "step"));
    json_object_set_new (line, "step", json_integer ((json_int_t) e->step));
    json_object_set_new (line, "time_s", json_real ((double) e->time_us / 1e6));
    for (size_t i = 0; i < e->metrics_n; i++)
        if (isfinite (e->metrics[i].value) && strcmp (e->metrics[i].name, "eta_s") != 0)
            json_object_set_new (line, e->metrics[i].name, json_real (e->metrics[i].value));
    char *text = run->dir[0] ? NULL : json_dumps (line, JSON_COMPACT | JSON_REAL_PRECISION (9));
    if (text)
        kept_add (&run->kept[RUNS_METRICS], text);
    free (text);
    runs_take_line (run, line, 0);
    json_decref (line);
}

static void runs_take_event (run_t *run, const wire_event_t *e)
{
    const char *text = e->text ? e->text : "";
    switch (e->kind) {
    case WIRE_STEP_DONE:
    case WIRE_EVAL_DONE:
        for (size_t i = 0; i < e->metrics_n; i++)
            if (strcmp (e->metrics[i].name, "eta_s") == 0)
                run->eta_s = e->metrics[i].value;
        runs_keep_metrics (run, e);
        break;
    case WIRE_EPISODE_SHOWN:
        if (!run->dir[0])
            kept_add (&run->kept[RUNS_EPISODES], text);
        break;
    case WIRE_RUN_STATE:
        snprintf (run->doing, sizeof run->doing, "%s", e->doing ? e->doing : "");
        if (!run->dir[0])
            snprintf (run->summary.state, sizeof run->summary.state, "%s",
                      strcmp (text, "done") == 0 ? "finished" : "running");
        break;
    case WIRE_RUN_FAILED:
    case WIRE_RUN_STOPPED:
    case WIRE_RUN_NOTE:
        free (run->note);
        run->note = strdup (text);
        if (!run->dir[0] && e->kind != WIRE_RUN_NOTE)
            snprintf (run->summary.state, sizeof run->summary.state, "%s",
                      e->kind == WIRE_RUN_FAILED ? "failed" : "stopped");
        break;
    default:
        break;
    }
}

void runs_note (runs_t *runs, const wire_event_t *e)
{
    if (!e->run || !*e->run)
        return;
    pthread_mutex_lock (&runs->lock);
    run_t *run = runs_of_bus (runs, e->run);
    if (run && e->kind == WIRE_RUN_OPENED)
        run = runs_open (runs, run, e);
    if (run) {
        for (size_t i = 0; i < e->metrics_n; i++)
            if (strcmp (e->metrics[i].name, "steps") == 0)
                run->steps = (int64_t) e->metrics[i].value;
        run->heard_ms = clock_ms ();
        runs_take_event (run, e);
    }
    pthread_mutex_unlock (&runs->lock);
}

/*  ---- what is told --------------------------------------------------------------------------- */

static void runs_put (json_t *object, const char *key, double value)
{
    if (isfinite (value))
        json_object_set_new (object, key, json_real (value));
}

static bool runs_live (const run_t *run)
{
    return run->heard_ms && clock_ms () - run->heard_ms < RUNS_ALIVE_MS &&
           strcmp (run->summary.state, "finished") != 0;
}

static json_t *runs_one (const run_t *run, bool full)
{
    json_t *object = json_object ();
    json_object_set_new (object, "name", runs_text (run->name));
    json_object_set_new (object, "state",
                         json_string (*run->summary.state ? run->summary.state : "running"));
    json_object_set_new (object, "live", json_boolean (runs_live (run)));
    json_object_set_new (object, "folder", json_boolean (run->dir[0] != 0));
    if (run->summary.step >= 0)
        json_object_set_new (object, "step", json_integer (run->summary.step));
    if (run->steps >= 0)
        json_object_set_new (object, "steps", json_integer (run->steps));
    runs_put (object, "started_s", run->summary.started_s);
    runs_put (object, "wall_s", run->summary.wall_s);
    if (runs_live (run)) {
        runs_put (object, "eta_s", run->eta_s);
        json_object_set_new (object, "doing", runs_text (run->doing));
    }
    if (run->note)
        json_object_set_new (object, "note", runs_text (run->note));
    for (int f = 0; f < 2; f++)
        json_object_set_new (
            object, f == RUNS_METRICS ? "metrics" : "episodes",
            json_integer ((json_int_t) (run->dir[0] ? run->bytes[f]
                                                    : run->kept[f].first + run->kept[f].size)));
    const json_t *reward = json_object_get (run->newest, "reward_mean");
    if (reward)
        json_object_set (object, "reward", (json_t *) (uintptr_t) reward);
    if (!full)
        return object;
    if (run->words)
        json_object_set (object, "words", run->words);
    if (run->summary.before)
        json_object_set (object, "before", run->summary.before);
    if (run->summary.after)
        json_object_set (object, "after", run->summary.after);
    return object;
}

static int runs_by_start (const void *a, const void *b)
{
    const run_t *x = *(run_t *const *) a, *y = *(run_t *const *) b;
    double first = isnan (x->summary.started_s) ? 0 : x->summary.started_s;
    double second = isnan (y->summary.started_s) ? 0 : y->summary.started_s;
    return first != second ? (first > second ? 1 : -1) : strcmp (x->name, y->name);
}

/*  With the lock. */
static void runs_sort (runs_t *runs)
{
    if (runs->n)
        qsort (runs->run, runs->n, sizeof *runs->run, runs_by_start);
}

json_t *runs_json (runs_t *runs)
{
    json_t *list = json_array ();
    pthread_mutex_lock (&runs->lock);
    runs_sort (runs);
    for (size_t i = 0; i < runs->n; i++)
        json_array_append_new (list, runs_one (runs->run[i], true));
    pthread_mutex_unlock (&runs->lock);
    return list;
}

static bool runs_goes_on (const run_t *run)
{
    return runs_live (run) || strcmp (run->summary.state, "running") == 0;
}

json_t *runs_now (runs_t *runs, uint32_t *number)
{
    json_t *list = json_array ();
    *number = 0;
    pthread_mutex_lock (&runs->lock);
    runs_sort (runs);
    for (size_t i = 0; i < runs->n; i++) {
        const run_t *run = runs->run[i];
        *number = crc_of (*number, run->name, strlen (run->name));
        *number = crc_of (*number, run->summary.state, strlen (run->summary.state));
        if (runs_goes_on (run))
            json_array_append_new (list, runs_one (run, false));
    }
    pthread_mutex_unlock (&runs->lock);
    return list;
}

json_t *runs_newest (runs_t *runs)
{
    json_t *list = json_array ();
    pthread_mutex_lock (&runs->lock);
    for (size_t i = 0; i < runs->n; i++) {
        const run_t *run = runs->run[i];
        if (!runs_goes_on (run))
            continue;
        json_t *line = run->newest ? json_copy (run->newest) : json_object ();
        json_object_set_new (line, "run", runs_text (*run->id ? run->id : run->name));
        runs_put (line, "steps", run->steps >= 0 ? (double) run->steps : NAN);
        runs_put (line, "eta_s", run->eta_s);
        json_array_append_new (list, line);
    }
    pthread_mutex_unlock (&runs->lock);
    return list;
}

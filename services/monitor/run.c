/*  run - see run.h */
#include "run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/printable.h"
#include "conf/conf.h"
#include "watch/folder.h"

#define RUN_ALIVE_MS 60000 /* without an event for so long a run on the bus is not live */

static const char *const run_files[RUNS_FILES] = {"metrics.jsonl", "episodes.jsonl",
                                                  "completions.jsonl"};

run_t *run_new (const char *name)
{
    run_t *run = calloc (1, sizeof *run);
    if (!run)
        return NULL;
    *run = (run_t){.summary = SUMMARY_NONE,
                   .eta_s = NAN,
                   .steps = -1,
                   .kept = {{.max = RUNS_KEPT}, {.max = RUNS_KEPT}}};
    snprintf (run->name, sizeof run->name, "%s", name);
    return run;
}

void run_destroy (run_t **self)
{
    run_t *run = *self;
    json_decref (run->words);
    summary_free (&run->summary);
    json_decref (run->newest);
    free (run->note);
    kept_free (&run->kept[RUNS_METRICS]);
    kept_free (&run->kept[RUNS_EPISODES]);
    free (run);
    *self = NULL;
}

/*  ---- windows -------------------------------------------------------------------------------- */

int run_read (const run_t *run, runs_file_t file, window_t *w)
{
    char path[FS_PATH_MAX];
    struct stat st;
    if (!run->dir[0]) {
        if (file >= RUNS_COMPLETIONS)
            return -1;
        window_read_kept (&run->kept[file], w);
        return 0;
    }
    int fd = fs_join (path, run->dir, run_files[file], NULL) == 0 ? fs_open (path, NULL) : -1;
    if (fd < 0)
        return -1;
    if (fstat (fd, &st) == 0)
        window_read_file (fd, (uint64_t) st.st_size, w);
    close (fd);
    return 0;
}

/*  ---- numbers -------------------------------------------------------------------------------- */

static void run_take_line (run_t *run, json_t *line)
{
    const char *event = json_string_value (json_object_get (line, "event"));
    summary_line (&run->summary, line);
    if (event && strcmp (event, "step") == 0) {
        json_decref (run->newest);
        run->newest = json_incref (line);
    }
}

/*  The first one is logged: the page says how many there are. */
static void run_pass_over (run_t *run, size_t line)
{
    if (run->unreadable++)
        return;
    run->first_unreadable = line;
    log_warn ("line.unreadable", "file=\"%s/%s\" line=%zu shown=\"the other lines\"", run->dir,
              run_files[RUNS_METRICS], line);
}

/*  A file that became shorter is of a run that went back: all is read anew. */
static void run_take_new (run_t *run)
{
    window_t w = {.from = run->read};
    window_line_t line = {0};
    if (run_read (run, RUNS_METRICS, &w) != 0)
        return;
    if (w.again) {
        summary_free (&run->summary);
        run->lines = run->unreadable = 0;
    }
    run->read = w.next;
    while (window_line (&w, &line)) {
        json_t *object = window_object (&line);
        if (object)
            run_take_line (run, object);
        else if (line.n)
            run_pass_over (run, run->lines + line.number);
        json_decref (object);
    }
    run->lines += line.number;
    buf_free (&w.text);
}

/*  Words that JSON can carry: names of folders and of peers may hold any bytes. */
static json_t *run_text (const char *text)
{
    buf_t safe = {0};
    printable_text (&safe, text, strlen (text), PRINTABLE_LINES);
    json_t *string = json_string (safe.data ? safe.data : "");
    buf_free (&safe);
    return string;
}

/*  What a page shows of a configuration, by the names of the event run.opened. */
static json_t *run_words (const conf_t *conf)
{
    json_t *roles = json_array ();
    buf_t objective = {0};
    for (size_t i = 0; i < conf->team.roles.n; i++)
        json_array_append_new (roles, run_text (conf->team.roles.item[i]));
    conf_objective (conf, &objective);
    json_t *words = json_object ();
    json_object_set_new (words, "family", run_text (conf->task.family));
    json_object_set_new (words, "model", run_text (conf->model.path));
    json_object_set_new (words, "objective", run_text (objective.data ? objective.data : ""));
    json_object_set_new (words, "roles", roles);
    json_object_set_new (words, "seed", json_integer ((json_int_t) conf->run.seed));
    buf_free (&objective);
    return words;
}

static void run_take_conf (run_t *run)
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
    run->words = run_words (conf);
    conf_destroy (&conf);
}

void run_look (run_t *run, const char *dir)
{
    char path[FS_PATH_MAX];
    struct stat st;
    snprintf (run->dir, sizeof run->dir, "%s", dir);
    run->found = true;
    for (int f = 0; f < RUNS_FILES; f++)
        run->bytes[f] = fs_join (path, dir, run_files[f], NULL) == 0 && stat (path, &st) == 0
                            ? (uint64_t) st.st_size
                            : 0;
    summary_look (&run->summary, run->dir);
    run_take_conf (run);
    if (run->read != run->bytes[RUNS_METRICS])
        run_take_new (run);
}

/*  ---- events --------------------------------------------------------------------------------- */

void run_describe (run_t *run, json_t *words)
{
    json_decref (run->words);
    run->words = json_incref (words);
}

/*  A line as the trainer writes it. */
static void run_keep_metrics (run_t *run, const wire_event_t *e)
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
    run_take_line (run, line);
    json_decref (line);
}

static void run_take_event (run_t *run, const wire_event_t *e)
{
    const char *text = e->text ? e->text : "";
    switch (e->kind) {
    case WIRE_STEP_DONE:
    case WIRE_EVAL_DONE:
        for (size_t i = 0; i < e->metrics_n; i++)
            if (strcmp (e->metrics[i].name, "eta_s") == 0)
                run->eta_s = e->metrics[i].value;
        run_keep_metrics (run, e);
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

void run_note (run_t *run, const wire_event_t *e)
{
    for (size_t i = 0; i < e->metrics_n; i++)
        if (strcmp (e->metrics[i].name, "steps") == 0)
            run->steps = (int64_t) e->metrics[i].value;
    run->heard_ms = clock_ms ();
    run_take_event (run, e);
}

/*  ---- what is told --------------------------------------------------------------------------- */

static void run_put (json_t *object, const char *key, double value)
{
    if (isfinite (value))
        json_object_set_new (object, key, json_real (value));
}

static bool run_live (const run_t *run)
{
    return run->heard_ms && clock_ms () - run->heard_ms < RUN_ALIVE_MS &&
           strcmp (run->summary.state, "finished") != 0;
}

json_t *run_json (const run_t *run, bool full)
{
    json_t *object = json_object ();
    json_object_set_new (object, "name", run_text (run->name));
    json_object_set_new (object, "state",
                         json_string (*run->summary.state ? run->summary.state : "running"));
    json_object_set_new (object, "live", json_boolean (run_live (run)));
    json_object_set_new (object, "folder", json_boolean (run->dir[0] != 0));
    if (run->summary.step >= 0)
        json_object_set_new (object, "step", json_integer (run->summary.step));
    if (run->steps >= 0)
        json_object_set_new (object, "steps", json_integer (run->steps));
    run_put (object, "started_s", run->summary.started_s);
    run_put (object, "wall_s", run->summary.wall_s);
    if (run_live (run)) {
        run_put (object, "eta_s", run->eta_s);
        json_object_set_new (object, "doing", run_text (run->doing));
    }
    if (run->note)
        json_object_set_new (object, "note", run_text (run->note));
    for (int f = 0; f < 2; f++)
        json_object_set_new (
            object, f == RUNS_METRICS ? "metrics" : "episodes",
            json_integer ((json_int_t) (run->dir[0] ? run->bytes[f]
                                                    : run->kept[f].first + run->kept[f].size)));
    if (run->unreadable) {
        json_object_set_new (object, "unreadable", json_integer ((json_int_t) run->unreadable));
        json_object_set_new (object, "first_unreadable",
                             json_integer ((json_int_t) run->first_unreadable));
    }
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

bool run_goes_on (const run_t *run)
{
    return run_live (run) || strcmp (run->summary.state, "running") == 0;
}

json_t *run_newest (const run_t *run)
{
    json_t *line = run->newest ? json_copy (run->newest) : json_object ();
    json_object_set_new (line, "run", run_text (*run->id ? run->id : run->name));
    run_put (line, "steps", run->steps >= 0 ? (double) run->steps : NAN);
    run_put (line, "eta_s", run->eta_s);
    return line;
}

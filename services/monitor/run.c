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
#include "conf/conf.h"
#include "watch/folder.h"
#include "watch/lines.h"

#define RUN_ALIVE_MS 60000 /* without an event, or a byte more, for so long a run stands still */

#define RUN_LOOK    8  /* windows of its numbers, at most, for one look */
#define RUN_WINDOWS 64 /* of its numbers that are looked at when somebody asks for them */

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
                   .tail = {{.max = RUNS_KEPT}, {.max = RUNS_KEPT}}};
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
    places_free (&run->steps_at);
    places_free (&run->evaluations_at);
    tail_free (&run->tail[RUNS_METRICS]);
    tail_free (&run->tail[RUNS_EPISODES]);
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
        window_read_tail (&run->tail[file], w);
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

/*  Whether it is of a step, and which: as trainers begin such a line, so that most of them need not
 *  be parsed. */
static bool run_is_step (const window_line_t *line, int64_t *step)
{
    static const char begin[] = "{\"event\":\"step\",\"step\":";
    size_t n = sizeof begin - 1, digits = 0;
    if (line->n < n + 2 || memcmp (line->text, begin, n) != 0 || line->text[line->n - 1] != '}' ||
        memchr (line->text, 0, line->n))
        return false;
    *step = 0;
    for (const char *at = line->text + n; *at >= '0' && *at <= '9' && digits < 18; at++, digits++)
        *step = 10 * *step + (*at - '0');
    return digits && strchr (",}", line->text[n + digits]);
}

static void run_take_text (run_t *run, const window_line_t *line, bool placed)
{
    json_t *object = window_object (line);
    const char *event = json_string_value (json_object_get (object, "event"));
    place_t place = {.at = line->at,
                     .size = (uint32_t) line->n,
                     .step = json_integer_value (json_object_get (object, "step"))};
    if (object)
        run_take_line (run, object);
    else if (line->n)
        run_pass_over (run, run->lines + line->number);
    if (event && !placed && strcmp (event, "step") == 0)
        places_add (&run->steps_at, &place);
    if (event && strcmp (event, "eval") == 0)
        places_add (&run->evaluations_at, &place);
    json_decref (object);
}

/*  A file that became shorter is of a run that went back: all is read anew. Of steps only those are
 *  parsed behind which something else stands. Returns whether there is more. */
static bool run_take_new (run_t *run)
{
    window_t w = {.from = run->read};
    window_line_t line = {0}, last = {0};
    if (run_read (run, RUNS_METRICS, &w) != 0)
        return false;
    if (w.again) {
        summary_free (&run->summary);
        places_free (&run->steps_at);
        places_free (&run->evaluations_at);
        run->lines = run->unreadable = 0;
    }
    run->read = w.next;
    while (window_line (&w, &line)) {
        int64_t step;
        bool known = run_is_step (&line, &step);
        if (last.text && !known)
            run_take_text (run, &last, true);
        last = (window_line_t){0};
        if (known)
            places_add (&run->steps_at,
                        &(place_t){.at = line.at, .size = (uint32_t) line.n, .step = step});
        if (known && isfinite (run->summary.started_s))
            last = line;
        else
            run_take_text (run, &line, known);
    }
    if (last.text)
        run_take_text (run, &last, true);
    run->lines += line.number;
    buf_free (&w.text);
    return w.more;
}

/*  What a page shows of a configuration, by the names of the event run.opened. */
static json_t *run_words (const conf_t *conf)
{
    json_t *roles = json_array ();
    buf_t objective = {0};
    for (size_t i = 0; i < conf->team.roles.n; i++)
        json_array_append_new (roles, lines_text (conf->team.roles.item[i]));
    conf_objective (conf, &objective);
    json_t *words = json_object ();
    json_object_set_new (words, "family", lines_text (conf->task.family));
    json_object_set_new (words, "model", lines_text (conf->model.path));
    json_object_set_new (words, "objective", lines_text (objective.data ? objective.data : ""));
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
    uint64_t had = run->bytes[RUNS_METRICS];
    for (int f = 0; f < RUNS_FILES; f++)
        run->bytes[f] = fs_join (path, dir, run_files[f], NULL) == 0 && stat (path, &st) == 0
                            ? (uint64_t) st.st_size
                            : 0;
    if (had && had != run->bytes[RUNS_METRICS])
        run->grew_ms = clock_ms ();
    summary_look (&run->summary, run->dir);
    run_take_conf (run);
    if (run->read != run->bytes[RUNS_METRICS])
        for (int i = 0; i < RUN_LOOK && run_take_new (run); i++)
            ;
}

/*  ---- samples -------------------------------------------------------------------------------- */

static void run_give (const runs_sample_t *sample, json_t *line)
{
    int64_t step = json_integer_value (json_object_get (line, "step"));
    if (line && step >= sample->first && step <= sample->last)
        sample->each (sample->context, line);
}

static void run_give_window (const runs_sample_t *sample, window_t *w)
{
    for (window_line_t l = {0}; window_line (w, &l);) {
        json_t *line = window_object (&l);
        run_give (sample, line);
        json_decref (line);
    }
    buf_free (&w->text);
}

/*  The lines from one byte to another; that before which it ends may be given, too. */
static void run_give_between (const run_t *run, const runs_sample_t *sample, uint64_t from,
                              uint64_t to)
{
    window_t w = {.next = from};
    do {
        w = (window_t){.from = w.next};
        if (run_read (run, RUNS_METRICS, &w) != 0 || w.again)
            w.more = false;
        run_give_window (sample, &w);
    } while (w.more && w.next < to);
}

static void run_give_places (int fd, const runs_sample_t *sample, const places_t *places,
                             size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        size_t n = places->place[i].size;
        char *text = malloc (n + 1);
        json_t *line = text && pread (fd, text, n, (off_t) places->place[i].at) == (ssize_t) n
                           ? json_loadb (text, n, 0, NULL)
                           : NULL;
        run_give (sample, line);
        json_decref (line);
        free (text);
    }
}

/*  What is newest is given though no place may stand for it. */
static void run_give_sparse (const run_t *run, const runs_sample_t *sample, size_t from, size_t to)
{
    const places_t *e = &run->evaluations_at;
    char path[FS_PATH_MAX];
    int fd =
        fs_join (path, run->dir, run_files[RUNS_METRICS], NULL) == 0 ? fs_open (path, NULL) : -1;
    if (fd < 0)
        return;
    run_give_places (fd, sample, &run->steps_at, from, to);
    if (json_integer_value (json_object_get (run->newest, "step")) >
        (to ? run->steps_at.place[to - 1].step : -1))
        run_give (sample, run->newest);
    run_give_places (fd, sample, e, places_find (e, sample->first),
                     sample->last < INT64_MAX ? places_find (e, sample->last + 1) : e->n);
    close (fd);
}

int run_sample (run_t *run, runs_sample_t *sample)
{
    const places_t *p = &run->steps_at;
    sample->every = 1;
    sample->more = false;
    if (!run->dir[0]) {
        sample->next = run->tail[RUNS_METRICS].first + run->tail[RUNS_METRICS].size;
        run_give_between (run, sample, run->tail[RUNS_METRICS].first, sample->next);
        return 0;
    }
    for (int i = 0; (sample->more = run_take_new (run)) && i < RUN_WINDOWS; i++)
        ;
    sample->next = run->read;
    size_t from = places_find (p, sample->first),
           to = sample->last < INT64_MAX ? places_find (p, sample->last + 1) : p->n;
    if (p->every > 1 && from < to + 1 && (to - from + 2) * p->every <= PLACES_MAX) {
        run_give_between (run, sample, from ? p->place[from - 1].at : 0,
                          to < p->n ? p->place[to].at : run->read);
    } else {
        sample->every = p->every ? p->every : 1;
        run_give_sparse (run, sample, from, to);
    }
    return 0;
}

void run_stamp (const run_t *run, buf_t *stamp)
{
    char path[FS_PATH_MAX];
    struct stat st;
    if (!run->dir[0] || fs_join (path, run->dir, run_files[RUNS_METRICS], NULL) != 0 ||
        stat (path, &st) != 0)
        return;
    buf_printf (stamp, "%s %llu %lld %lld.%09ld", path, (unsigned long long) st.st_ino,
                (long long) st.st_size, (long long) st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

/*  ---- events --------------------------------------------------------------------------------- */

static bool run_stands (void *step, const char *text, size_t n)
{
    json_t *line = json_loadb (text, n, 0, NULL);
    json_int_t its = json_integer_value (json_object_get (line, "step"));
    json_decref (line);
    return its <= *(const int64_t *) step;
}

/*  What it told of later steps is told again: it was killed, and goes on from a checkpoint, or is
 *  another one of its name. */
void run_open (run_t *run, json_t *words, uint64_t step)
{
    run->summary.step = (int64_t) step;
    for (int f = 0; f < 2; f++)
        tail_filter (&run->tail[f], run_stands, &run->summary.step);
    if (!json_is_object (words))
        return;
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
        tail_add (&run->tail[RUNS_METRICS], text);
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
            tail_add (&run->tail[RUNS_EPISODES], text);
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

/*  Of one that is on the bus alone nobody knows why it says nothing. */
static const char *run_state (const run_t *run)
{
    const char *state = *run->summary.state ? run->summary.state : "running";
    return !run->dir[0] && strcmp (state, "running") == 0 && !run_live (run) ? "silent" : state;
}

json_t *run_json (const run_t *run, bool full)
{
    json_t *object = json_object ();
    json_object_set_new (object, "name", lines_text (run->name));
    json_object_set_new (object, "state", json_string (run_state (run)));
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
        json_object_set_new (object, "doing", lines_text (run->doing));
    }
    if (run->note)
        json_object_set_new (object, "note", lines_text (run->note));
    for (int f = 0; f < 2; f++)
        json_object_set_new (
            object, f == RUNS_METRICS ? "metrics" : "episodes",
            json_integer ((json_int_t) (run->dir[0] ? run->bytes[f]
                                                    : run->tail[f].first + run->tail[f].size)));
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

/*  A copy of another machine's run that is kept up to date grows, and nobody here locks it. */
bool run_goes_on (const run_t *run)
{
    const char *state = run->summary.state;
    bool held = strcmp (state, "running") == 0;
    bool ended = !held && strcmp (state, "killed") != 0 && strcmp (state, "unfinished") != 0;
    bool grows = run->grew_ms && clock_ms () - run->grew_ms < RUN_ALIVE_MS;
    return run_live (run) || held || (grows && !ended);
}

json_t *run_newest (const run_t *run)
{
    json_t *line = run->newest ? json_copy (run->newest) : json_object ();
    json_object_set_new (line, "run", lines_text (*run->id ? run->id : run->name));
    run_put (line, "steps", run->steps >= 0 ? (double) run->steps : NAN);
    run_put (line, "eta_s", run->eta_s);
    return line;
}

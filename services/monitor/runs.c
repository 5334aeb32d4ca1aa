/*  runs - see runs.h
 *
 *  The service's thread looks at folders and hears events; the web's thread asks. One lock is over
 *  the list. It is held while a file is looked at, which is a window at most.
 */
#include "runs.h"

#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/fs.h"
#include "base/printable.h"
#include "run.h"
#include "watch/folder.h"

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
    run_destroy (&runs->run[i]);
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
    run_t *run = same < (of_folder ? RUNS_MAX : RUNS_BUS) ? run_new (name) : NULL;
    if (run)
        runs->run[runs->n++] = run;
    return run;
}

int runs_read (runs_t *runs, const char *name, runs_file_t file, uint64_t from, window_t *w)
{
    *w = (window_t){.from = from};
    pthread_mutex_lock (&runs->lock);
    const run_t *run = runs_named (runs, name);
    int rc = run ? run_read (run, file, w) : -1;
    pthread_mutex_unlock (&runs->lock);
    return rc;
}

int runs_sample (runs_t *runs, const char *name, runs_sample_t *sample)
{
    pthread_mutex_lock (&runs->lock);
    run_t *run = runs_named (runs, name);
    int rc = run ? run_sample (run, sample) : -1;
    pthread_mutex_unlock (&runs->lock);
    return rc;
}

void runs_stamp (runs_t *runs, const char *name, buf_t *stamp)
{
    pthread_mutex_lock (&runs->lock);
    const run_t *run = runs_named (runs, name);
    if (run)
        run_stamp (run, stamp);
    pthread_mutex_unlock (&runs->lock);
}

/*  ---- folders -------------------------------------------------------------------------------- */

static run_t *runs_in (runs_t *runs, const char *dir)
{
    for (size_t i = 0; i < runs->n; i++)
        if (strcmp (runs->run[i]->dir, dir) == 0)
            return runs->run[i];
    return NULL;
}

static void runs_take_folder (runs_t *runs, const char *dir, const char *name)
{
    pthread_mutex_lock (&runs->lock);
    run_t *run = runs_in (runs, dir);
    if (!run)
        run = runs_add (runs, name, true);
    if (run)
        run_look (run, dir);
    pthread_mutex_unlock (&runs->lock);
}

/*  What a folder below another is called: ABOVE/NAME, where what is no character to be shown (a
 *  byte that is not UTF-8, a newline ...) stands as %0A, since addresses and JSON have to carry it.
 *  False: it is too long. */
static bool runs_call (char below[RUNS_NAME], const char *above, const char *name)
{
    buf_t called = {.max = RUNS_NAME - 1};
    buf_printf (&called, "%s%s", above, *above ? "/" : "");
    for (size_t n; *name; name += n) {
        printable_char_t shown;
        n = printable_next (name, strlen (name), PRINTABLE_LINE, &shown);
        if (n == shown.size && memcmp (name, shown.bytes, n) == 0)
            buf_append (&called, name, n);
        else
            for (size_t i = 0; i < n; i++)
                buf_printf (&called, "%%%02X", (unsigned char) name[i]);
    }
    bool fits = !buf_failed (&called);
    snprintf (below, RUNS_NAME, "%s", fits ? called.data : "");
    buf_free (&called);
    return fits;
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
        /* Links are not followed: they could lead around in a circle. */
        if (entry[0] != '.' && strcmp (entry, "checkpoints") != 0 && entries[i]->d_type != DT_LNK &&
            entries[i]->d_type != DT_REG && runs_call (below, name, entry) &&
            fs_join (path, dir, entry, NULL) == 0)
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
    if (run)
        run_open (run, words, e->step);
    json_decref (words);
    return run;
}

void runs_note (runs_t *runs, const wire_event_t *e)
{
    if (!e->run || !*e->run)
        return;
    pthread_mutex_lock (&runs->lock);
    run_t *run = runs_of_bus (runs, e->run);
    if (run && e->kind == WIRE_RUN_OPENED)
        run = runs_open (runs, run, e);
    if (run)
        run_note (run, e);
    pthread_mutex_unlock (&runs->lock);
}

/*  ---- what is told --------------------------------------------------------------------------- */

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
        json_array_append_new (list, run_json (runs->run[i], true));
    pthread_mutex_unlock (&runs->lock);
    return list;
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
        if (run_goes_on (run))
            json_array_append_new (list, run_json (run, false));
    }
    pthread_mutex_unlock (&runs->lock);
    return list;
}

json_t *runs_newest (runs_t *runs)
{
    json_t *list = json_array ();
    pthread_mutex_lock (&runs->lock);
    for (size_t i = 0; i < runs->n; i++)
        if (run_goes_on (runs->run[i]))
            json_array_append_new (list, run_newest (runs->run[i]));
    pthread_mutex_unlock (&runs->lock);
    return list;
}

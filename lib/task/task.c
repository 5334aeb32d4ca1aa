/*  task - see task.h
 *
 *  A set is read or generated once, at the start, into lines of JSON: from then on a task is a
 *  string that travels as it is, and who needs one of its members parses it.
 */
#include "task/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/hash.h"
#include "base/rng.h"
#include "task/families.h"
#include "task/family.h"
#include "task/keys.h"
#include "task/number.h"

#define BOM "\xef\xbb\xbf"
/*  A task stands in one line, with its tests. */
#define LINE_MAX_BYTES ((size_t) 4 << 20)
#define TASKS_MAX      ((size_t) 10 << 20)

struct task_set {
    const family_t *family;
    char **json[2]; /* by split */
    size_t n[2];
    bool shared;    /* both sides are the same tasks */
    json_t *number; /* of the line that has an id, of a file; or NULL */
};

/*  By a hash, not by its place: tasks that are added to a file leave the others on their side. */
static bool task_id_is_heldout (const task_options_t *options, const char *id)
{
    hash_t hash = hash_of (id, strlen (id));
    uint64_t words[2];
    memcpy (words, hash.bytes, sizeof words);
    uint64_t key = rng_key ((uint64_t[]){options->seed, words[0], words[1]}, 3);
    return rng_uniform_d (key, 0) < options->heldout;
}

/*  Of a built-in set, a task that is made of several functions counts by what they are: one that
 *  was learnt would give a part of the answer away. */
bool task_is_heldout (const task_options_t *options, const json_t *task)
{
    bool builtin = !options->path || !*options->path;
    const json_t *functions = builtin ? json_object_get (task, "functions") : NULL, *function;
    bool heldout = !functions && task_id_is_heldout (options, family_text (task, "id"));
    size_t i;
    json_array_foreach (functions, i, function)
        heldout = heldout || task_id_is_heldout (options, family_text (function, "id"));
    return heldout;
}

static const char *task_style (const task_set_t *set, const task_options_t *o)
{
    return o->style ? o->style : set->family->styles[0];
}

/*  The list doubles when its length is a power of two; family and style go with the task, so that
 *  whoever gets it needs nothing else. */
static int task_add (task_set_t *set, const task_options_t *o, json_t *task, err_t *err)
{
    int split = task_is_heldout (o, task) ? TASK_HELDOUT : TASK_TRAIN;
    size_t n = set->n[split];
    json_object_set_new (task, "family", json_string (set->family->name));
    json_object_set_new (task, "style", json_string (task_style (set, o)));
    char *line = json_dumps (task, JSON_COMPACT);
    if (line && (n & (n - 1)) == 0) {
        char **grown = realloc (set->json[split], (n ? 2 * n : 1) * sizeof *grown);
        if (!grown) {
            free (line);
            /* Told apart from a task that could not be written: both have no line. */
            line = NULL;
        } else {
            set->json[split] = grown;
        }
    }
    if (!line)
        return err_set (err, ERR_LIMIT, "no memory for the task set");
    set->json[split][set->n[split]++] = line;
    return 0;
}

/*  The built-in sets are generated from their number, not stored: a new one costs no data file.
 *  What has the id of an earlier task is that task in other words, and is left out. */
static int task_make_builtin (task_set_t *set, const task_options_t *given, err_t *err)
{
    task_options_t o = *given;
    o.style = task_style (set, given);
    if (!family_has_style (set->family, o.style))
        return err_set (err, ERR_CONFIG, "task family '%s' has no built-in set '%s'",
                        set->family->name, o.style);
    size_t n = set->family->by_program && o.seeds ? o.seeds : set->family->builtin (o.style);
    json_t *seen = json_object ();
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        json_t *task = set->family->generate (&o, i);
        const char *id = family_text (task, "id");
        if (!task || !seen)
            rc = err_set (err, ERR_INTERNAL, "%s task %zu cannot be made", set->family->name, i);
        else if (!json_object_get (seen, id))
            rc = task_add (set, &o, task, err);
        json_object_set_new (seen, id, json_true ());
        json_decref (task);
    }
    json_decref (seen);
    return rc;
}

/*  An id stands for a task in the split, in logs and in reports, so none may stand for two. */
static int task_check_id (const task_set_t *set, const json_t *task, size_t number, err_t *err)
{
    const char *id = family_text (task, "id");
    const json_t *other = json_object_get (set->number, id);
    if (other)
        return err_set (err, ERR_INPUT, "id '%.100s' stands in line %lld already", id,
                        (long long) json_integer_value (other));
    return json_object_set_new (set->number, id, json_integer ((json_int_t) number)) == 0
               ? 0
               : err_set (err, ERR_LIMIT, "no memory for its id");
}

/*  Errors name file and line: a mistake in line 700 of somebody's tasks should be found by reading
 *  the message. */
static int task_read_line (task_set_t *set, const task_options_t *o, const char *line,
                           size_t number, err_t *err)
{
    /* Whole numbers of any size, NaN and Infinity travel as objects (task/number.h). */
    json_t *task = number_parse (line, err);
    int rc = task ? 0 : -1;
    if (rc == 0 && !json_is_object (task))
        rc = err_set (err, ERR_INPUT, "a JSON object is wanted");
    else if (rc != 0 || task_keys_check (task, set->family->keys, err) != 0 ||
             set->family->adopt (task, err) != 0 || task_check_id (set, task, number, err) != 0)
        rc = -1;
    else
        rc = task_add (set, o, task, err);
    json_decref (task);
    return rc == 0 ? 0 : err_wrap (err, "%s:%zu", o->path, number);
}

/*  zlib reads plain files as they are, so nobody has to say whether a file is packed. Whatever goes
 *  wrong with one line ends the reading: a set of which some lines were left out silently would be
 *  another one than its owner believes. */
static int task_read_file (task_set_t *set, const task_options_t *o, err_t *err)
{
    gzFile file = gzopen (o->path, "rbe");
    char *line = malloc (LINE_MAX_BYTES);
    int rc = 0;
    set->number = json_object ();
    if (!file)
        rc = err_errno (err, ERR_INPUT, "%s", o->path);
    else if (!line || !set->number)
        rc = err_set (err, ERR_LIMIT, "no memory for %s", o->path);
    for (size_t number = 1; rc == 0 && gzgets (file, line, (int) LINE_MAX_BYTES); number++) {
        size_t size = strlen (line);
        /* Python's json refuses it, too, so no other reader of the file would agree with us. */
        if (strncmp (line, BOM, strlen (BOM)) == 0)
            rc = err_set (err, ERR_INPUT,
                          "%s:%zu: begins with an invisible mark (U+FEFF), as spreadsheets and "
                          "Windows write it: save the file as UTF-8 without one",
                          o->path, number);
        else if (size == LINE_MAX_BYTES - 1)
            rc = err_set (err, ERR_LIMIT, "%s:%zu: a line of more than %zu bytes", o->path, number,
                          LINE_MAX_BYTES);
        else if (set->n[0] + set->n[1] >= TASKS_MAX)
            rc = err_set (err, ERR_LIMIT, "%s: more than %zu tasks", o->path, TASKS_MAX);
        else if (strspn (line, " \t\r\n") < size)
            rc = task_read_line (set, o, line, number, err);
    }
    /* A packed file that was cut short ends like one that is whole, but for this. */
    int problem = 0;
    const char *text = file ? gzerror (file, &problem) : "";
    if (rc == 0 && problem != Z_OK && problem != Z_STREAM_END)
        rc = err_set (err, ERR_INPUT, "%s", text); /* which begins with the path */
    if (file)
        gzclose (file);
    free (line);
    return rc;
}

/*  Without a share to hold out, both sides are all of it. Else neither may be empty: what was
 *  trained on is no measure of what was learnt. */
static int task_settle (task_set_t *set, const task_options_t *o, err_t *err)
{
    const char *name = o->path ? o->path : "the built-in set";
    size_t n = set->n[TASK_TRAIN] + set->n[TASK_HELDOUT];
    if (n == 0)
        return err_set (err, ERR_INPUT, "%s: no task in it", name);
    if (o->heldout > 0 && (set->n[TASK_TRAIN] == 0 || set->n[TASK_HELDOUT] == 0))
        return err_set (err, ERR_INPUT,
                        "%s: task.heldout %g leaves none of its %zu tasks to %s: set another "
                        "task.seed or task.heldout, or 0 to evaluate on the tasks of training",
                        name, o->heldout, n, set->n[TASK_TRAIN] ? "evaluate on" : "train on");
    set->shared = set->n[TASK_HELDOUT] == 0;
    if (!set->shared)
        return 0;
    set->json[TASK_HELDOUT] = calloc (n, sizeof (char *));
    for (size_t i = 0; set->json[TASK_HELDOUT] && i < n; i++)
        if ((set->json[TASK_HELDOUT][i] = strdup (set->json[TASK_TRAIN][i])))
            set->n[TASK_HELDOUT]++;
    return set->n[TASK_HELDOUT] == n ? 0 : err_set (err, ERR_LIMIT, "no memory for the task set");
}

task_set_t *task_set_open (const task_options_t *options, err_t *err)
{
    task_set_t *set = calloc (1, sizeof *set);
    if (!set) {
        err_set (err, ERR_LIMIT, "no memory for the task set");
        return NULL;
    }
    set->family = family_find (options->family);
    int rc;
    if (!set->family)
        rc = err_set (err, ERR_CONFIG, "no task family '%s': %s", options->family,
                      TASK_FAMILY_CHOICES);
    else if (options->path && *options->path)
        rc = task_read_file (set, options, err);
    else
        rc = task_make_builtin (set, options, err);
    if (rc == 0)
        rc = task_settle (set, options, err);
    if (rc != 0)
        task_set_destroy (&set);
    return set;
}

/*  Also of a set that is half read. */
void task_set_destroy (task_set_t **self)
{
    task_set_t *set = *self;
    if (!set)
        return;
    for (int split = 0; split < 2; split++) {
        for (size_t i = 0; i < set->n[split]; i++)
            free (set->json[split][i]);
        free (set->json[split]);
    }
    json_decref (set->number);
    free (set);
    *self = NULL;
}

size_t task_set_line (const task_set_t *set, const char *id)
{
    return (size_t) json_integer_value (json_object_get (set->number, id));
}

size_t task_set_size (const task_set_t *set, task_split_t split)
{
    return set->n[split];
}

bool task_set_shared (const task_set_t *set)
{
    return set->shared;
}

/*  Borrowed as long as the set: the trainer hands the same text to the store, the critic and the
 *  report. */
const char *task_set_get (const task_set_t *set, task_split_t split, size_t index)
{
    return set->json[split][index];
}

void task_set_keep (task_set_t *set, task_split_t split, const bool *keep)
{
    size_t kept = 0;
    for (size_t i = 0; i < set->n[split]; i++) {
        if (keep[i])
            set->json[split][kept++] = set->json[split][i];
        else
            free (set->json[split][i]);
    }
    set->n[split] = kept;
}

/*  Position p of pass number q over n tasks: a permutation by a 4-round Feistel network on the
 *  smallest even number of bits that holds n, walked until it falls below n (Black and Rogaway
 *  2002, "cycle walking"). Needs no table. */
static size_t task_permuted (uint64_t key, size_t p, size_t n)
{
    /* The domain is at most four times as large as n, so that the walk ends after four rounds on
     * average. */
    unsigned half = 1;
    while ((size_t) 1 << (2 * half) < n)
        half++;
    uint64_t mask = ((uint64_t) 1 << half) - 1, x = p;
    do {
        uint64_t left = x >> half, right = x & mask;
        for (uint64_t round = 0; round < 4; round++) {
            uint64_t next = left ^ (rng_bits (key, round << 32 | right) & mask);
            left = right;
            right = next;
        }
        x = left << half | right;
    } while (x >= n);
    return x;
}

/*  Which task a group trains on follows from the run's seed and the group's number alone. So a step
 *  that is played again, after whatever happened, has the same tasks, and a pass takes every task
 *  once. */
size_t task_set_pick (const task_set_t *set, uint64_t seed, uint64_t first_group_of_step,
                      uint64_t group)
{
    uint64_t at = first_group_of_step + group, n = set->n[TASK_TRAIN];
    return task_permuted (rng_key ((uint64_t[]){seed, 0x7a5c, at / n}, 3), at % n, n);
}

/*  tasks - see tasks.h */
#include "tasks.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "task/family.h"
#include "task/number.h"

/*  What a path looks like and a brief does not: one word with a folder, or with the end of a task
 *  file's name. */
static bool tasks_is_path (const char *text)
{
    static const char *const ends[] = {".json", ".jsonl", ".gz"};
    size_t size = strlen (text);
    if (strpbrk (text, " \t\n{"))
        return false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (size > strlen (ends[i]) && strcmp (text + size - strlen (ends[i]), ends[i]) == 0)
            return true;
    return strchr (text, '/') != NULL;
}

/*  The held-out tasks in the order in which evaluations play them, or all of a file. Of a file that
 *  is named nothing is held out, so all of it is in the other split. */
static int tasks_open_set (tasks_t *tasks, const conf_t *conf, const char *path,
                           const task_fit_t *fit, err_t *err)
{
    task_options_t options = {.family = conf->task.family,
                              .path = *path              ? path
                                      : *conf->task.path ? conf->task.path
                                                         : NULL,
                              .seed = (uint64_t) conf->task.seed,
                              .heldout = *path ? 0 : conf->task.heldout,
                              .style = conf->task.style,
                              .seeds = (size_t) conf->task.seeds};
    task_fitted_t fitted;
    tasks->set = task_set_open (&options, err);
    tasks->split = *path ? TASK_TRAIN : TASK_HELDOUT;
    /* Evaluations leave out what is too long; of a file that is named every line is meant. */
    if (!tasks->set || (!*path && task_fit (tasks->set, fit, &fitted, err) != 0))
        return -1;
    tasks->n = task_set_size (tasks->set, tasks->split);
    return tasks->n ? 0
                    : err_set (err, ERR_CONFIG, "all %zu held-out tasks are too long for the model",
                               fitted.n[TASK_HELDOUT]);
}

/*  A task that its family takes can be scored. One with a brief and no more can be played all the
 *  same, under the name that tasks have which give none. */
static int tasks_type (tasks_t *tasks, const conf_t *conf, json_t *task, bool whole, err_t *err)
{
    const family_t *family = family_find (conf->task.family);
    if (!*family_text (task, "id"))
        json_object_set_new (task, "id", json_string ("typed"));
    json_object_set_new (task, "family", json_string (family->name));
    json_object_set_new (task, "style", json_string (conf->task.style));
    if (family->adopt (task, &tasks->unscored) != 0) {
        if (whole || !*family_text (task, "brief")) {
            *err = tasks->unscored;
            return err_wrap (err, "--task");
        }
        json_object_set_new (task, "entry_point", json_string ("main"));
    }
    tasks->typed = json_dumps (task, JSON_COMPACT);
    tasks->n = 1;
    return tasks->typed ? 0 : err_set (err, ERR_LIMIT, "no memory for a task");
}

int tasks_open (tasks_t *tasks, const conf_t *conf, const char *given, const task_fit_t *fit,
                err_t *err)
{
    bool whole = given[strspn (given, " \t\r\n")] == '{';
    if (!*given)
        return tasks_open_set (tasks, conf, "", fit, err);
    if (fs_exists (given))
        return tasks_open_set (tasks, conf, given, fit, err);
    /* A misspelt path must not be played as a brief. */
    if (tasks_is_path (given))
        return err_set (err, ERR_CONFIG, "--task %s: there is no such file", given);
    json_t *task = whole ? number_parse (given, err) : json_pack ("{s:s}", "brief", given);
    int rc = task ? tasks_type (tasks, conf, task, whole, err) : -1;
    if (!task && !whole)
        err_set (err, ERR_CONFIG, "--task: the text is not UTF-8");
    else if (!task)
        err_wrap (err, "--task");
    json_decref (task);
    return rc;
}

const char *tasks_get (const tasks_t *tasks, size_t index)
{
    return tasks->typed ? tasks->typed : task_set_get (tasks->set, tasks->split, index);
}

void tasks_close (tasks_t *tasks)
{
    task_set_destroy (&tasks->set);
    free (tasks->typed);
    *tasks = (tasks_t){0};
}

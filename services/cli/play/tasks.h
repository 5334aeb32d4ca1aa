/*  tasks - what a team is to play: tasks of a file, one that is typed, or the family's held-out
 *  ones.
 *
 *      tasks_t tasks = {0};
 *      tasks_open (&tasks, conf, "", &fit, &err);
 *      const char *json = tasks_get (&tasks, i);                i < tasks.n
 *      tasks_close (&tasks);
 */
#ifndef QUINTET_CLI_TASKS_H
#define QUINTET_CLI_TASKS_H

#include "conf/conf.h"
#include "task/fit.h"

typedef struct {
    size_t n;
    err_t unscored; /* why the typed task cannot be scored, or ERR_NONE */
    task_set_t *set;
    task_split_t split;
    char *typed;
} tasks_t;

/*  given: the path of a task file, a task as a line of JSON, a brief; "": the held-out tasks, those
 *  that fit. ERR_CONFIG or ERR_INPUT say what is wrong with it. */
int tasks_open (tasks_t *tasks, const conf_t *conf, const char *given, const task_fit_t *fit,
                err_t *err);
/*  One task as a line of JSON, as long as tasks is open. */
const char *tasks_get (const tasks_t *tasks, size_t index);
void tasks_close (tasks_t *tasks);

#endif

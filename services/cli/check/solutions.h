/*  solutions - whether the tasks of a file can be passed, by the solutions that the file gives.
 *
 *      if (solutions_wanted (conf) &&
 *          solutions_check (conf, tasks, &interrupted, &notes, &err) != 0) ...
 *
 *  A task whose own solution fails has a wrong test: it would give every answer the same reward,
 *  for ever. So each solution is scored once, by a reward service as `quintet run` would start it,
 *  before anything else starts. Only before there is a supervisor, who takes every child for one of
 *  its own.
 */
#ifndef QUINTET_CLI_SOLUTIONS_H
#define QUINTET_CLI_SOLUTIONS_H

#include <signal.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "task/task.h"

/*  Whether there may be any: a file of programs, whose scorer is the family's. */
bool solutions_wanted (const conf_t *conf);
/*  ERR_CONFIG: a task's "canonical_solution" (HumanEval's format) or "solution" (own tasks) does
 *  not pass; the text names the tasks. Adds a note where there was no time for all. ERR_NONE:
 *  interrupted. */
int solutions_check (const conf_t *conf, const task_set_t *tasks,
                     const volatile sig_atomic_t *interrupted, buf_t *notes, err_t *err);

#endif

/*  imports - whether the tests of a task file can be passed, as far as their text tells.
 *
 *      if (imports_check (conf, tasks, &err) != 0) ...
 *
 *  A test that imports what is not there fails for every program, and so does one that is no
 *  Python. So python3, which will run the tests, is asked before anything starts. Only before there
 *  is a supervisor, who takes every child for one of its own.
 */
#ifndef QUINTET_CLI_IMPORTS_H
#define QUINTET_CLI_IMPORTS_H

#include "conf/conf.h"
#include "task/task.h"

/*  ERR_CONFIG: a module of reward.python_modules or of a task's prompt or test cannot be imported,
 *  or is not Python's own and not listed; or a test has no check, or its prompt another function
 *  than the wanted one. The text names it, and the task. */
int imports_check (const conf_t *conf, const task_set_t *tasks, err_t *err);

#endif

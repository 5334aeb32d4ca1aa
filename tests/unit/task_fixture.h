/*  task_fixture - a built-in set of tasks, a fifth of it held out. */
#ifndef QUINTET_TEST_TASK_FIXTURE_H
#define QUINTET_TEST_TASK_FIXTURE_H

#include "task/task.h"

static inline task_options_t builtin_options (const char *family, const char *style)
{
    return (task_options_t){.family = family, .seed = 1, .heldout = 0.2, .style = style};
}

static inline task_set_t *open_set (const char *family, const char *style)
{
    err_t err = {0};
    task_options_t options = builtin_options (family, style);
    task_set_t *set = task_set_open (&options, &err);
    if (!set)
        fail_msg ("%s", err.text);
    return set;
}

#endif

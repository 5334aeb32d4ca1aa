/*  keys - the keys of tasks in users' files.
 *
 *      if (task_keys_check (task, &err) != 0) ...
 */
#ifndef QUINTET_TASK_KEYS_H
#define QUINTET_TASK_KEYS_H

#include <jansson.h>

#include "base/err.h"

/*  Tasks may say more than a family reads, but what is one letter away from a key that some family
 *  has, or has two of its letters swapped, is most likely misspelt, and would do nothing. Objects
 *  within the task too. ERR_INPUT names both. */
int task_keys_check (const json_t *task, err_t *err);

#endif

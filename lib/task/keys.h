/*  keys - the keys of tasks in users' files.
 *
 *      if (task_keys_check (task, known, &err) != 0) ...
 */
#ifndef QUINTET_TASK_KEYS_H
#define QUINTET_TASK_KEYS_H

#include <jansson.h>

#include "base/err.h"

/*  Tasks may say more than their family reads. But a key that is one letter away from one of known
 *  (NULL ends), or has two of its letters swapped, is most likely that one misspelt, and would do
 *  nothing: unless the object has that one as well. Objects within the task too. ERR_INPUT names
 *  both. */
int task_keys_check (const json_t *task, const char *const *known, err_t *err);

#endif

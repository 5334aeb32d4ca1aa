/*  record - the turns of an episode that was played elsewhere, checked.
 *
 *      record_check (turns, roles, false, &err);
 *
 *  What came from outside is checked here, once: the rest of the code, scorers included, reads
 *  role, text and counts of every action without looking.
 */
#ifndef QUINTET_TASK_RECORD_H
#define QUINTET_TASK_RECORD_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

/*  roles: names of the team's; observed: each turn says what was asked, as a program's do.
 *  ERR_INPUT names turn and action. */
int record_check (const json_t *turns, const json_t *roles, bool observed, err_t *err);

#endif

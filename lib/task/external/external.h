/*  external - what an external task family is made of. Private to lib/task/external.
 *
 *      external.c   all of it
 *
 *  A function's comment stands in family.h, at the member of family_t that it is.
 */
#ifndef QUINTET_TASK_EXTERNAL_EXTERNAL_H
#define QUINTET_TASK_EXTERNAL_EXTERNAL_H

#include "task/family.h"

int external_adopt (json_t *task, err_t *err);
size_t external_builtin (const char *style);
json_t *external_generate (const task_options_t *options, size_t i);
void external_observe (const json_t *task, const char *role, buf_t *prompt);
void external_merge (const json_t *task, const char *const *roles, const char *const *texts,
                     size_t n, buf_t *artifact);
int external_score (const episode_t *episode, const task_capabilities_t *capabilities,
                    reward_score_t *score, err_t *err);

#endif

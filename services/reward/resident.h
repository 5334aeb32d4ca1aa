/*  resident - a fork that answers many requests, since it never runs a program's text: the finder
 *  and the judge.
 *
 *      resident_t *resident = resident_new (PROTOCOL_JUDGE, &err);
 *      json_t *answer = resident_ask (resident, zygote, &limits, question, &ending, &err);
 *      resident_destroy (&resident);
 *
 *  What it reads was written by programs, or is one. So no answer may depend on what came before:
 *  when it ends over a question it is asked again in a fresh process, and none serves for long.
 */
#ifndef QUINTET_REWARD_RESIDENT_H
#define QUINTET_REWARD_RESIDENT_H

#include <jansson.h>

#include "base/err.h"
#include "zygote.h"

typedef struct resident resident_t;

resident_t *resident_new (protocol_kind_t part, err_t *err);
void resident_destroy (resident_t **resident);

/*  The answer, a new reference. NULL with an ending: a fresh process, too, ended over this
 *  question. NULL without one: a failure of the machinery. limits: cpu_s and memory, for one
 *  question; the zygote must be there until another one is given. */
json_t *resident_ask (resident_t *resident, zygote_t *zygote, const child_limits_t *limits,
                      const char *question, child_ending_t *ending, err_t *err);

#endif

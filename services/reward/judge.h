/*  judge - compares what programs' calls gave with what their tests want, as Python's == does.
 *
 *      judge_t *judge = judge_new (&err);
 *      json_t *verdicts = judge_ask (judge, zygote, answers, wanted, &err);
 *      judge_destroy (&judge);
 *
 *  A fork of its own, which never runs a program's text: so the wanted values are out of every
 *  program's reach, and one fork serves many requests.
 */
#ifndef QUINTET_REWARD_JUDGE_H
#define QUINTET_REWARD_JUDGE_H

#include <jansson.h>

#include "base/err.h"
#include "zygote.h"

typedef struct judge judge_t;

judge_t *judge_new (err_t *err);
void judge_destroy (judge_t **judge);

/*  For each of the answers its verdict, in a new array: ["right"], ["wrong", what it was],
 *  ["error", text], ["incomparable", why]. wanted has {"result": value} or {"raises": name} for
 *  each of them, and may have more. The zygote is that of the program. NULL: a failure of the
 *  machinery. */
json_t *judge_ask (judge_t *judge, zygote_t *zygote, const json_t *answers, const json_t *wanted,
                   err_t *err);

#endif

/*  judge - compares what programs' calls gave with what their tests want, as Python's == does.
 *
 *      resident_t *judge = resident_new (PROTOCOL_JUDGE, &err);
 *      json_t *verdicts = judge_ask (judge, zygote, answers, wanted, &err);
 *
 *  A process of its own, which never runs a program's text: so the wanted values are out of every
 *  program's reach, and one fork serves many requests.
 */
#ifndef QUINTET_REWARD_JUDGE_H
#define QUINTET_REWARD_JUDGE_H

#include <jansson.h>

#include "base/err.h"
#include "resident.h"

/*  For each of the answers its verdict, in a new array: ["right"], ["wrong", what it was],
 *  ["error", text], ["incomparable", why]. wanted has {"result": value} or {"raises": name} for
 *  each of them, and may have more. The zygote is that of the program: values of one that imports
 *  nothing need nothing that its own has not. NULL: a failure of the machinery. */
json_t *judge_ask (resident_t *judge, zygote_t *zygote, const json_t *answers, const json_t *wanted,
                   err_t *err);

#endif

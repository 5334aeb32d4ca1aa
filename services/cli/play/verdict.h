/*  verdict - what a reward service said of an episode, for people.
 *
 *      verdict_show (conf, reward, &show);
 */
#ifndef QUINTET_CLI_VERDICT_H
#define QUINTET_CLI_VERDICT_H

#include "conf/conf.h"
#include "stream.h"
#include "wire/wire.h"

void verdict_show (const conf_t *conf, const wire_reward_t *reward, const stream_show_t *show);

#endif

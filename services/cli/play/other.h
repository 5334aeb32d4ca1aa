/*  other - a configuration that is not that of the run whose weights are played.
 *
 *      other_say ("play", weights, conf);
 */
#ifndef QUINTET_CLI_OTHER_H
#define QUINTET_CLI_OTHER_H

#include "conf/conf.h"

/*  One line on standard error, for the command of that name, with the keys of the team, the tasks,
 *  the model and the reward that differ. Nothing where none does, or the weights are no run's. */
void other_say (const char *command, const char *weights, const conf_t *conf);

#endif

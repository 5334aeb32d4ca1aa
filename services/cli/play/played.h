/*  played - the configuration by which a model is played, beside that of the run which made it.
 *
 *      conf_t *conf = played_load ("play", &plays, sets, n, policies, &err);
 */
#ifndef QUINTET_CLI_PLAYED_H
#define QUINTET_CLI_PLAYED_H

#include "conf/conf.h"
#include "watch/folder.h"

/*  The configuration with these overrides (at most ARGS_REPEATED_MAX), or NULL. How many policies
 *  there are the weights' run says, as an override before the others, which is in policies; "": it
 *  says nothing. One line on standard error, for the command of that name, has the keys of the
 *  team, the tasks, the model and the reward that differ from the run's; another one says of a
 *  run's folder without a checkpoint that nothing which the run learnt plays. */
conf_t *played_load (const char *command, const folder_plays_t *plays, const char *const *sets,
                     size_t n, char policies[FOLDER_SET], err_t *err);

#endif

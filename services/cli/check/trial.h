/*  trial - whether a program of the user's can be started at all.
 *
 *      if (trial_start ("python3 my_scorer.py", &err) != 0) ...
 *
 *  Only before there is a supervisor, who takes every child for one of its own.
 */
#ifndef QUINTET_CLI_TRIAL_H
#define QUINTET_CLI_TRIAL_H

#include "base/err.h"

/*  Starts it through the shell and ends it half a second later. ERR_CONFIG: it had ended by
 *  itself, with what it said last. */
int trial_start (const char *command, err_t *err);

#endif

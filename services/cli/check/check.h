/*  check - what is wrong with a run, as far as that can be known before anything starts.
 *
 *      check_t check = {0};
 *      if (check_run (&check, conf, false, &err) == 0) fputs (check.notes.data, stdout);
 *      check_free (&check);
 */
#ifndef QUINTET_CLI_CHECK_H
#define QUINTET_CLI_CHECK_H

#include <signal.h>
#include <stdbool.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "fit.h"

typedef struct {
    fit_t fit;
    buf_t notes; /* lines: what is as asked, but not what one may think */
} check_t;

/*  Reads the model, all tasks and all prompts, and starts the scorer program once. ERR_CONFIG
 *  names file, line and key. elsewhere: the services run already, with memory and a scorer of
 *  their own. */
int check_run (check_t *check, const conf_t *conf, bool elsewhere, err_t *err);
/*  Then the solutions that a task file gives, by a scorer of their own. ERR_NONE: interrupted. */
int check_solutions (check_t *check, const conf_t *conf, const volatile sig_atomic_t *interrupted,
                     err_t *err);
void check_free (check_t *check);

#endif

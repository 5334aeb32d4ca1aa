/*  rundir - a run's folder: one trainer at a time, and never over an old run by accident.
 *
 *      int lock = rundir_open (dir, resume, &err);        close (lock) lets it go
 */
#ifndef QUINTET_TRAINER_RUNDIR_H
#define QUINTET_TRAINER_RUNDIR_H

#include <stdbool.h>

#include "base/err.h"

/*  Makes the folder, locks it. ERR_CONFIG while another trainer lives there, or when it holds a run
 *  already and resume is not given. */
int rundir_open (const char *dir, bool resume, err_t *err);

#endif

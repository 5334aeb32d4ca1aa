/*  stages - the walk: publish, evaluate, sample, value, train, learn, save, and again.
 *
 *      stages_start (trainer, &err);
 *      wait_ms = stages_work (trainer, &err);       -1: failed; one bounded piece of the walk
 *
 *  No stage waits inside: it says that it is not ready, and the loop comes back. Every stage that waits
 *  has a deadline, and its error names what it waited for.
 */
#ifndef QUINTET_TRAINER_STAGES_H
#define QUINTET_TRAINER_STAGES_H

#include "trainer.h"

int stages_start (trainer_t *trainer, err_t *err);
int stages_work (trainer_t *trainer, err_t *err);
const char *stages_name (stage_t stage);

#endif

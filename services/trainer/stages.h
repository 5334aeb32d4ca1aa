/*  stages - the walk: publish, evaluate, sample, value, train, learn, save, and again.
 *
 *      stages_start (trainer);
 *      wait_ms = stages_work (trainer, &err);       -1: failed; one bounded piece of the walk
 *
 *  No stage waits inside: it says that it is not ready, and the loop comes back. Every stage that
 *  waits has a deadline, and its error names what it waited for. A store or a peer that is away
 *  for a while is waited for likewise.
 */
#ifndef QUINTET_TRAINER_STAGES_H
#define QUINTET_TRAINER_STAGES_H

#include "trainer.h"

void stages_start (trainer_t *trainer);
int stages_work (trainer_t *trainer, err_t *err);
/*  At the end, wherever the walk is: a checkpoint of the last whole step, when there is none and
 *  it can be had. */
int stages_keep (trainer_t *trainer, err_t *err);
const char *stages_name (stage_t stage);

/*  Seconds that the run will still take, evaluations included; NAN: not known yet. */
double stages_left_s (const trainer_t *trainer);

#endif

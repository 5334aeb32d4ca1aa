/*  report - what the trainer writes down of steps, evaluations and the end, and tells on the bus.
 *
 *      report_step (trainer, &err);                         a line and an event per step
 *      report_evaluation (trainer, sampled, greedy, &err);
 *      report_result (trainer, &err);                       the run is done
 *
 *  metrics.jsonl (and curves) get one line per step and per evaluation; episodes.jsonl one episode
 *  of a step and the first few of an evaluation; result.json the end. The same goes out as events.
 */
#ifndef QUINTET_TRAINER_REPORT_H
#define QUINTET_TRAINER_REPORT_H

#include "measure.h"
#include "trainer.h"

/*  The step that was just trained; trainer->done counts it already. */
int report_step (trainer_t *trainer, err_t *err);
int report_evaluation (trainer_t *trainer, const rollout_t *sampled, const rollout_t *greedy,
                       err_t *err);
/*  Gives the best of the evaluated checkpoints its name, checkpoints/best. */
int report_best (const trainer_t *trainer, err_t *err);
/*  result.json, and the event that the run is done. */
int report_result (trainer_t *trainer, err_t *err);
/*  A run that is resumed at its end keeps the times of its result. */
void report_restore_times (trainer_t *trainer);

#endif

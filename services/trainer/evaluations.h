/*  evaluations - what each held-out task came to: OUT/evaluations/step-N.jsonl.
 *
 *      evaluations_write (trainer, sampled, greedy, &err);
 *
 *  A line is a task under one way of playing: {"phase": "eval-sampled", "task": ID, "success":
 *  [..], "quality": [..], "reward": .., "speed": .., "cost": .., "agreement": .., "tokens": ..,
 *  "critical_path_tokens": .., "part/NAME": ..}, each with one number per sample; null: not
 *  measured. A task that nobody could play has empty lists. The files of the first and of the
 *  newest evaluation are kept: they say what training did to each task.
 */
#ifndef QUINTET_TRAINER_EVALUATIONS_H
#define QUINTET_TRAINER_EVALUATIONS_H

#include "trainer.h"

/*  Of version trainer->done. A second call writes the same once more. */
int evaluations_write (const trainer_t *trainer, const rollout_t *sampled, const rollout_t *greedy,
                       err_t *err);

#endif

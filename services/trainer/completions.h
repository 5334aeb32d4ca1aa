/*  completions - every completion that was trained on, for people: completions.jsonl.
 *
 *      completions_cut (trainer, &err);             once, before the first step of this process
 *      completions_add (trainer, &err);             the step that was just trained
 *
 *  A line is one completion: step, task, group, episode, role, turn, version, its text and tokens,
 *  whether the length limit cut it, and what it was trained with: the episode's quality with its
 *  parts, the reward, the advantage. At most run.completions_mb are kept: a file that would have
 *  more than half of them becomes completions.1.jsonl, in place of the one before. What is in the
 *  files follows from the steps alone, so a run that was resumed has the same as one that was not.
 */
#ifndef QUINTET_TRAINER_COMPLETIONS_H
#define QUINTET_TRAINER_COMPLETIONS_H

#include "trainer.h"

/*  Removes lines of steps that are not done, or done again. */
int completions_cut (const trainer_t *trainer, err_t *err);
/*  Shows those that are kept beside the curves, each role's first one of a step. */
int completions_redraw (const trainer_t *trainer, err_t *err);
/*  Appends the completions of trainer->rollout, and shows the first ones beside the curves. */
int completions_add (const trainer_t *trainer, err_t *err);

#endif

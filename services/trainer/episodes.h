/*  episodes - what a run keeps of its episodes for people: episodes.jsonl.
 *
 *      episodes_cut (trainer, &err);                                    once, at a resume
 *      episodes_show (trainer, WIRE_TRAIN, rollout, 0, true, &err);
 *
 *  A line is an episode's global state with "step", "phase" and "reward" added, and to its actions
 *  what tokens.h says, and in training "advantage".
 */
#ifndef QUINTET_TRAINER_EPISODES_H
#define QUINTET_TRAINER_EPISODES_H

#include "trainer.h"

/*  Appends one episode, by its flat number. With `tell` its public part also goes to whoever
 *  listens: the bus's events are for everybody, hidden checks are not. */
int episodes_show (trainer_t *trainer, wire_phase_t phase, const rollout_t *rollout, size_t number,
                   bool tell, err_t *err);

/*  On resume: episodes of steps that are done again are removed. */
int episodes_cut (trainer_t *trainer, err_t *err);

#endif

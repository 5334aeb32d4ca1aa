/*  critic - the trainer's side of the centralised value function: asks for values, lets it learn.
 *
 *      critic_t *critic = critic_new (bus, run, epoch, conf, &err);
 *      critic_ask (critic, step, rollout, &err);       then critic_item until critic_poll is 1
 *      values = critic_values (critic);                  by flat number of the completion, or NULL
 *      critic_learn (critic, step, rollout, false, &err);     the same
 *      critic_destroy (&critic);
 *
 *  The state is named by its hash and belongs to the step: values of step k come from state k - 1,
 *  learning makes state k. Its values are used from the first step on whose episodes it explains
 *  better than their mean does (explained variance above 0): a cold critic ruins a run.
 *
 *  A critic that is busy, or a bus that does not hold the state yet, is asked again until the
 *  caller's patience ends; every other refusal is an error.
 */
#ifndef QUINTET_TRAINER_CRITIC_H
#define QUINTET_TRAINER_CRITIC_H

#include <stdbool.h>

#include "base/buf.h"
#include "bus/bus.h"
#include "conf/conf.h"
#include "rollout.h"

typedef struct critic critic_t;

/*  epoch: of the trainer's hold on the run. */
critic_t *critic_new (bus_t *bus, const char *run, uint64_t epoch, const conf_t *conf, err_t *err);
void critic_destroy (critic_t **critic);

/*  Values of all completions, when there is a state already (else nothing happens). */
int critic_ask (critic_t *critic, uint64_t step, const rollout_t *rollout, err_t *err);
/*  One step of learning from the rollout; with fetch the new state's bytes are then fetched,
 *  too. */
int critic_learn (critic_t *critic, uint64_t step, const rollout_t *rollout, bool fetch,
                  err_t *err);
/*  1: the item was the critic's; 0: not; -1: the critic failed. */
int critic_item (critic_t *critic, const bus_item_t *item, err_t *err);
/*  1: all is answered; 0: not yet; -1. Asks again what was put off. */
int critic_poll (critic_t *critic, err_t *err);
/*  Sets a timeout error that says what is missing, from a critic on the bus at this address;
 *  returns -1. */
int critic_late (const critic_t *critic, const char *bus, double waited_s, err_t *err);

/*  Of the last critic_ask; NULL while the critic is not trusted. */
const double *critic_values (const critic_t *critic);

typedef struct {
    hash_t state; /* zero: none yet */
    bool trusted;
    double explained_variance, loss; /* of the last rollout, before learning from it */
} critic_status_t;
critic_status_t critic_status (const critic_t *critic);
/*  Bytes of the state, after a critic_learn with fetch; else NULL. */
const buf_t *critic_bytes (const critic_t *critic);

/*  On resume: the state that a checkpoint has. The caller sees to it that the bus holds its
 *  bytes. */
void critic_restore (critic_t *critic, const hash_t *state, bool trusted);

#endif

/*  critic_client - the trainer's side of the critic, the centralised value function: asks it for
 *  values, and lets it learn.
 *
 *      critic_client_t *critic = critic_client_new (bus, run, epoch, conf, &err);
 *      critic_client_ask (critic, step, rollout, &err);
 *      critic_client_item (critic, &item, &err);            with all that comes, until
 *      critic_client_poll (critic, &err);                   is 1
 *      values = critic_client_values (critic);              by flat number of completion, or NULL
 *      critic_client_learn (critic, step, rollout, false, &err);     then item and poll again
 *      critic_client_destroy (&critic);
 *
 *  The state is named by its hash and belongs to the step: values of step k come from state k - 1,
 *  learning makes state k. Its values are used while it is trusted, since a critic that explains
 *  nothing ruins a run. With the explained variance E = 1 - Var (R - V) / Var (R) over the step's
 *  completions, V of state k - 1, the running mean is M = 7/8 M + 1/8 max (E, -1), at first 0: from
 *  M >= critic.trust on it is trusted, from M < critic.distrust on no more; both are logged.
 *
 *  A critic that is busy, or a bus that does not hold the state yet, is asked again until the
 *  caller's patience ends; every other refusal is an error.
 */
#ifndef QUINTET_TRAINER_CRITIC_CLIENT_H
#define QUINTET_TRAINER_CRITIC_CLIENT_H

#include <stdbool.h>

#include "base/buf.h"
#include "bus/bus.h"
#include "conf/conf.h"
#include "rollout.h"

typedef struct critic_client critic_client_t;

/*  epoch: of the trainer's hold on the run. */
critic_client_t *critic_client_new (bus_t *bus, const char *run, uint64_t epoch, const conf_t *conf,
                                    err_t *err);
void critic_client_destroy (critic_client_t **critic);

/*  Values of all completions, when there is a state already (else nothing happens). */
int critic_client_ask (critic_client_t *critic, uint64_t step, const rollout_t *rollout,
                       err_t *err);
/*  One step of learning from the rollout; with fetch the new state's bytes are then fetched,
 *  too. */
int critic_client_learn (critic_client_t *critic, uint64_t step, const rollout_t *rollout,
                         bool fetch, err_t *err);
/*  1: the item was the critic's; 0: not; -1: the critic failed. */
int critic_client_item (critic_client_t *critic, const bus_item_t *item, err_t *err);
/*  1: all is answered; 0: not yet; -1. Asks again what was put off. */
int critic_client_poll (critic_client_t *critic, err_t *err);
/*  Sets a timeout error that says what is missing, from a critic on the bus at this address;
 *  returns -1. */
int critic_client_late (const critic_client_t *critic, const char *bus, double waited_s,
                        err_t *err);

/*  Of the last critic_client_ask; NULL while the critic is not trusted. */
const double *critic_client_values (const critic_client_t *critic);

typedef struct {
    hash_t state; /* zero: none yet */
    bool trusted;
    double mean;                     /* running mean of explained variance */
    double explained_variance, loss; /* of the last rollout, before learning from it */
} critic_client_status_t;
critic_client_status_t critic_client_status (const critic_client_t *critic);
/*  Bytes of the state, after a critic_client_learn with fetch; else NULL. */
const buf_t *critic_client_bytes (const critic_client_t *critic);

/*  On resume: the state that a checkpoint has. The caller sees to it that the bus holds its
 *  bytes. */
void critic_client_restore (critic_client_t *critic, const hash_t *state, bool trusted,
                            double mean);

#endif

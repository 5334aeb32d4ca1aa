/*  loss - policy-gradient losses on log-probabilities, and their gradients; pure, double precision.
 *
 *      loss_norm (&config, batch, &norm);                     what the whole batch must know first
 *      loss_sequence (&config, &norm, &sequence, dlogp, &sums);      one completion; sums add up
 *      loss_metrics (&config, &norm, &sums, &metrics);
 *
 *  Losses: grpo, bnpo, dr_grpo, dapo, cispo, sapo, luspo, vespo; level sequence is GSPO. See
 *  loss.c for the formula and paper of each.
 */
#ifndef QUINTET_LEARN_LOSS_H
#define QUINTET_LEARN_LOSS_H

#include <stdbool.h>
#include <stddef.h>

/*  engineer of this module: fill in; conf/keys.h names what the configuration offers. */

#endif

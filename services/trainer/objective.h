/*  objective - what a configuration says of the objective, as updates and credit want it; pure.
 *
 *      update_options_t update = objective_update (conf, lr);
 *      credit_options_t credit = objective_credit (conf);
 */
#ifndef QUINTET_TRAINER_OBJECTIVE_H
#define QUINTET_TRAINER_OBJECTIVE_H

#include "conf/conf.h"
#include "credit.h"
#include "learn/advantage.h"
#include "task/mates.h"
#include "update.h"

/*  Of a policy in a step; they count from 0. */
double objective_lr (const conf_t *conf, const conf_policy_t *policy, uint64_t step);
/*  lr: of this step. */
update_options_t objective_update (const conf_t *conf, double lr);
credit_options_t objective_credit (const conf_t *conf);
/*  Which teams are scored for it besides those that are played. */
mates_t objective_mates (const conf_t *conf);
/*  The same for training on a step, by whose rewards the running spread has gone on. */
credit_options_t objective_credit_of (const conf_t *conf, advantage_running_t *running,
                                      const rollout_t *rollout);

#endif

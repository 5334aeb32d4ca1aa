/*  objective - see objective.h */
#include "objective.h"

#include <string.h>

#include "schedule.h"

/*  Falls through to the last one, which is then the only name left: the configuration has checked
 *  the choice. */
static loss_correction_t objective_correction (const char *name)
{
    static const char *const names[] = {"none", "token_truncate", "token_mask", "sequence_truncate",
                                        "sequence_mask"}; /* in the order of the type */
    size_t i = 0;
    while (i + 1 < sizeof names / sizeof *names && strcmp (names[i], name) != 0)
        i++;
    return (loss_correction_t) i;
}

/*  Keys that the loss in use does not read are passed on all the same: what each loss reads is said
 *  once, in lib/learn/loss.h. */
static loss_config_t objective_loss (const conf_t *conf)
{
    loss_type_t type = loss_type (conf->loss.type);
    /* CISPO's bound is of the ratio itself; the key says how far above 1. */
    double high = conf->loss.clip_high + (type == LOSS_CISPO ? 1 : 0);
    return (loss_config_t){.type = type,
                           .sequence_level = strcmp (conf->loss.level, "sequence") == 0,
                           .clip_low = conf->loss.clip_low,
                           .clip_high = high,
                           .delta = conf->loss.delta,
                           .kl = conf->loss.kl,
                           .kl_estimator = loss_kl (conf->loss.kl_estimator),
                           .kl_ratio = conf->loss.kl_ratio,
                           .off_policy_kl = conf->loss.off_policy_kl,
                           .correction = objective_correction (conf->loss.correction),
                           .correction_cap = conf->loss.correction_cap,
                           .sapo_positive = conf->loss.sapo_positive,
                           .sapo_negative = conf->loss.sapo_negative,
                           .max_tokens = (double) conf->task.max_tokens};
}

double objective_lr (const conf_t *conf, const conf_policy_t *policy, uint64_t step)
{
    schedule_t schedule = {.kind = schedule_kind (conf->trainer.schedule),
                           .lr = policy->lr,
                           .end = conf->trainer.lr_end,
                           .warmup = (uint64_t) conf->trainer.warmup,
                           .steps = (uint64_t) conf->trainer.steps};
    return schedule_lr (&schedule, step);
}

update_options_t objective_update (const conf_t *conf, double lr)
{
    return (update_options_t){.loss = objective_loss (conf),
                              .adamw = {.lr = lr,
                                        .beta1 = conf->trainer.beta1,
                                        .beta2 = conf->trainer.beta2,
                                        .eps = conf->trainer.eps,
                                        .decay = conf->trainer.decay,
                                        .clip_norm = conf->trainer.clip_norm}};
}

credit_options_t objective_credit_of (const conf_t *conf, advantage_running_t *running,
                                      const rollout_t *rollout)
{
    credit_options_t options = objective_credit (conf);
    if (strcmp (conf->reward.scale, "batch") == 0) {
        advantage_run (running, rollout->rewards, rollout->episodes);
        options.divisor = advantage_divisor (running);
    }
    return options;
}

mates_t objective_mates (const conf_t *conf)
{
    return (mates_t){.cross = conf_credits (conf, "cross"),
                     .removal = conf_credits (conf, "removal")};
}

/*  The configuration has checked the names (conf/check.c). */
credit_options_t objective_credit (const conf_t *conf)
{
    credit_options_t options = {.assign = conf_assign (conf),
                                .mates = objective_mates (conf),
                                .roles_n = conf->team.roles.n,
                                .roles = (const char *const *) conf->team.roles.item,
                                .team = conf->reward.team,
                                .local = conf->reward.local,
                                .max_tokens = (size_t) conf->task.max_tokens,
                                .overlong_tokens = (size_t) conf->loss.overlong_tokens};
    err_t err = {0};
    assign_parse (conf->loss.credit, &options.credits, &err);
    return options;
}

/*  team - the policies of a run and the roles that use them.
 *
 *      team_t team = {0};
 *      team_load (&team, conf, pool, &err);
 *      policy_t *policy = team_policy (&team, role);
 *      team_unload (&team);
 *
 *  Policies that are adapters on the same model share a base. A remote policy is none of them: no
 *  weights of it are known here, so nothing of it is published, trained, kept or measured.
 */
#ifndef QUINTET_TRAINER_TEAM_H
#define QUINTET_TRAINER_TEAM_H

#include "conf/conf.h"
#include "policy.h"
#include "task/fit.h"
#include "text/chat.h"

typedef struct {
    const conf_t *conf; /* borrowed */
    size_t roles;
    policy_t *bases[CONF_LIST_MAX]; /* of adapters */
    size_t bases_n;
    policy_t *policies[CONF_LIST_MAX]; /* in the configuration's order, without the remote ones */
    const conf_policy_t *rows[CONF_LIST_MAX]; /* of each, there */
    size_t policies_n;
    size_t policy_of[CONF_LIST_MAX];   /* by role; CONF_LIST_MAX of one that a server plays */
    char *engine[CONF_LIST_MAX];       /* by role: "URL MODEL" of that server, else NULL */
    chat_format_t chat[CONF_LIST_MAX]; /* by role: with a message of the system where it has one */
    size_t vocab[CONF_LIST_MAX], context[CONF_LIST_MAX]; /* of each role's model */
    const policy_t *judge;    /* that judges finished episodes; NULL: none of the run's does */
    chat_format_t judge_chat; /* as it is spoken to */
    /* that each role draws at in training: log-probabilities are taken under what was drawn from,
       else ratios would not begin at 1 */
    float temperature[CONF_LIST_MAX];
} team_t;

int team_load (team_t *team, const conf_t *conf, pool_t *pool, err_t *err);
/*  NULL: a server plays the role. */
policy_t *team_policy (const team_t *team, size_t role);
/*  Leaves out the tasks that are too long for a model that is to read them. */
int team_fit_tasks (const team_t *team, task_set_t *tasks, task_fitted_t *fitted, err_t *err);
void team_unload (team_t *team);

#endif

/*  team - see team.h */
#include "team.h"

#include <string.h>

int team_load (team_t *team, const conf_t *conf, pool_t *pool, err_t *err)
{
    bool shared = strcmp (conf->team.policies, "shared") == 0;
    *team = (team_t){.conf = conf, .roles = conf->team.roles.n};
    if (team->roles == 0)
        return err_set (err, ERR_CONFIG, "team.roles: no roles are named");
    for (size_t role = 0; role < team->roles; role++) {
        if (!shared || role == 0) {
            policy_t *policy =
                policy_load (shared ? TEAM_SHARED : conf->team.roles.item[role], conf->model.path,
                             conf->model.compute, conf->model.chat, pool, err);
            if (!policy)
                return -1;
            team->policies[team->policies_n++] = policy;
            if (conf->loss.kl > 0 && policy_keep_reference (policy, err) != 0)
                return -1;
        }
        team->policy_of[role] = team->policies_n - 1;
        team->vocab[role] = team->policies[team->policies_n - 1]->config.model.vocab;
        team->context[role] = team->policies[team->policies_n - 1]->config.model.context;
    }
    return 0;
}

void team_unload (team_t *team)
{
    for (size_t p = 0; p < team->policies_n; p++)
        policy_destroy (&team->policies[p]);
    team->policies_n = 0;
}

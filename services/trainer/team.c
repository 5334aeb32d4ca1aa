/*  team - see team.h */
#include "team.h"

#include <string.h>

#include "base/fs.h"
#include "base/rng.h"
#include "formats/peft.h"
#include "text/chat.h"

/*  Adapters that are gone on with say themselves what they look like; new ones follow the
 *  configuration. */
static int team_adapter_config (const conf_t *conf, const char *folder, lora_config_t *lora,
                                err_t *err)
{
    *lora = (lora_config_t){0};
    if (*conf->model.adapter_path)
        return peft_read_config (folder, lora, err) == 0 ? 0 : err_wrap (err, "model.adapter_path");
    lora->rank = (size_t) conf->model.lora_rank;
    lora->alpha = conf->model.lora_alpha;
    for (size_t i = 0; i < conf->model.lora_targets.n; i++)
        if (lora_add_target (lora, conf->model.lora_targets.item[i], err) != 0)
            return err_wrap (err, "model.lora_targets");
    return 0;
}

/*  All adapters share one base, which is loaded with the first of them and never changes. */
static policy_t *team_adapt (team_t *team, const char *name, pool_t *pool, err_t *err)
{
    const conf_t *conf = team->conf;
    char folder[FS_PATH_MAX] = "";
    lora_config_t lora;
    /* The adapters' first weights are a function of the seed and of their place in the team: two
       policies must not begin as the same one. */
    uint64_t coordinates[] = {(uint64_t) conf->run.seed, team->policies_n};
    if (!team->base &&
        !(team->base = policy_load_base (conf->model.path, conf->model.compute, conf->model.chat,
                                         conf->model.date, pool, err)))
        return NULL;
    if ((*conf->model.adapter_path &&
         peft_find (conf->model.adapter_path, name, folder, err) != 0) ||
        team_adapter_config (conf, folder, &lora, err) != 0)
        return NULL;
    policy_t *policy = policy_adapt (name, team->base, &lora, rng_key (coordinates, 2), err);
    /* As version 0, whatever they were before: the run's numbers begin with it. */
    if (policy && *folder && policy_restore (policy, folder, 0, err) != 0)
        policy_destroy (&policy);
    return policy;
}

/*  Added to the team before the rest can fail: team_unload then frees it. */
static int team_add_policy (team_t *team, const char *name, pool_t *pool, err_t *err)
{
    const conf_t *conf = team->conf;
    char folder[FS_PATH_MAX];
    policy_t *policy = NULL;
    if (strcmp (conf->model.adapter, "lora") == 0)
        policy = team_adapt (team, name, pool, err);
    else if (hf_find (conf->model.path, name, folder, err) == 0)
        policy = policy_load (name, folder, conf->model.compute, conf->model.chat, conf->model.date,
                              pool, err);
    if (!policy)
        return -1;
    team->policies[team->policies_n++] = policy;
    /* A bound on activations: what does not fit side by side is computed one after the other. */
    train_limit (policy->train, (size_t) conf->trainer.activations_mb * 1000000, 0);
    return conf->loss.kl > 0 ? policy_keep_reference (policy, (uint64_t) conf->loss.kl_refresh, err)
                             : 0;
}

/*  A message of the system belongs to the role and not to the policy, which others may share. */
static int team_speak (team_t *team, size_t role, err_t *err)
{
    const conf_t *conf = team->conf;
    const policy_t *policy = team->policies[team->policy_of[role]];
    const char *name = conf->team.roles.item[role];
    chat_given_t given = {conf_words (conf, name, CONF_SYSTEM), conf->model.date};
    if (chat_find_with (policy->path, conf->model.chat, &given, &team->chat[role], err) == 0)
        return 0;
    return *given.system ? conf_wrap_words (conf, name, CONF_SYSTEM, err)
                         : conf_wrap (conf, "model.chat", err);
}

/*  What is loaded when it fails stays in the team: the caller unloads it in any case. */
int team_load (team_t *team, const conf_t *conf, pool_t *pool, err_t *err)
{
    *team = (team_t){.conf = conf, .roles = conf->team.roles.n};
    if (team->roles == 0)
        return err_set (err, ERR_CONFIG, "team.roles: no roles are named");
    for (size_t role = 0; role < team->roles; role++) {
        /* With a shared policy the first role brings it, and the others point to the same one. */
        if ((!conf_shares (conf) || role == 0) &&
            team_add_policy (team, conf_policy (conf, role), pool, err) != 0)
            return -1;
        team->policy_of[role] = team->policies_n - 1;
        /* By role, since that is what a completion names. */
        team->vocab[role] = team->policies[team->policies_n - 1]->config.model.vocab;
        team->context[role] = team->policies[team->policies_n - 1]->config.model.context;
        if (team_speak (team, role, err) != 0)
            return -1;
    }
    return 0;
}

typedef struct {
    const team_t *team;
    tokenizer_t *tokenizer;
} team_count_t;

static int team_count (void *context, size_t role, const char *text, size_t size, size_t *tokens,
                       err_t *err)
{
    const team_count_t *c = context;
    tokenizer_ids_t ids = {0};
    int rc = chat_encode (c->tokenizer, &c->team->chat[role], text, size, &ids, err);
    *tokens = c->team->policies[0]->prefix_n + ids.n;
    tokenizer_ids_free (&ids);
    return rc;
}

/*  A policy keeps the text of its tokenizer alone, since training itself sees token ids. */
int team_fit_tasks (const team_t *team, task_set_t *tasks, task_fitted_t *fitted, err_t *err)
{
    const conf_t *conf = team->conf;
    team_count_t count = {.team = team};
    const char *const *roles = (const char *const *) conf->team.roles.item;
    conf_episode_t episode;
    conf_episode (conf, roles, team->roles, &episode);
    task_fit_t fit = {.roles = roles,
                      .roles_n = team->roles,
                      .limits = episode.limits,
                      .room = team->context[0],
                      .count = team_count,
                      .context = &count};
    const char *text = team->policies[0]->tokenizer_text;
    count.tokenizer = tokenizer_parse (text, strlen (text), err);
    int rc = count.tokenizer ? task_fit (tasks, &fit, fitted, err) : -1;
    tokenizer_destroy (&count.tokenizer);
    return rc;
}

void team_unload (team_t *team)
{
    for (size_t p = 0; p < team->policies_n; p++)
        policy_destroy (&team->policies[p]);
    for (size_t r = 0; r < team->roles; r++)
        chat_free (&team->chat[r]);
    team->policies_n = 0;
    /* After the adapters, whose models read it. */
    policy_destroy (&team->base);
}

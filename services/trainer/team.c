/*  team - see team.h */
#include "team.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/rng.h"
#include "formats/peft.h"
#include "text/chat.h"

/*  Adapters that are gone on with say themselves what they look like; new ones follow the
 *  configuration. */
static int team_adapter_config (const conf_t *conf, const conf_policy_t *row, const char *folder,
                                lora_config_t *lora, err_t *err)
{
    *lora = (lora_config_t){0};
    if (*row->adapter_path)
        return peft_read_config (folder, lora, err) == 0
                   ? 0
                   : conf_wrap_policy (conf, row, "adapter_path", err);
    lora->rank = (size_t) row->lora_rank;
    lora->alpha = row->lora_alpha;
    for (size_t i = 0; i < row->lora_targets.n; i++)
        if (lora_add_target (lora, row->lora_targets.item[i], err) != 0)
            return conf_wrap_policy (conf, row, "lora_targets", err);
    return 0;
}

/*  Adapters on the same model, spoken to alike, share one base, which is loaded with the first of
 *  them and never changes. */
static policy_t *team_base (team_t *team, const policy_source_t *from, pool_t *pool, err_t *err)
{
    for (size_t p = 0; p < team->policies_n; p++) {
        const policy_t *base = team->policies[p]->base;
        const conf_policy_t *row = team->rows[p];
        if (base && strcmp (base->path, from->dir) == 0 &&
            strcmp (row->compute, from->compute) == 0 && strcmp (row->chat, from->chat) == 0 &&
            strcmp (row->date, from->date) == 0)
            return (policy_t *) (uintptr_t) base;
    }
    policy_t *base = policy_load ("base", from, false, pool, err);
    if (base)
        team->bases[team->bases_n++] = base;
    return base;
}

static policy_t *team_adapt (team_t *team, size_t p, const policy_source_t *from, pool_t *pool,
                             err_t *err)
{
    const conf_t *conf = team->conf;
    const conf_policy_t *row = &conf->policies[p];
    char folder[FS_PATH_MAX] = "";
    lora_config_t lora;
    /* The adapters' first weights are a function of the seed and of their place in the table: two
       policies must not begin as the same one. */
    uint64_t coordinates[] = {(uint64_t) conf->run.seed, p};
    const policy_t *base = team_base (team, from, pool, err);
    if (!base ||
        (*row->adapter_path && peft_find (row->adapter_path, row->name, folder, err) != 0) ||
        team_adapter_config (conf, row, folder, &lora, err) != 0)
        return NULL;
    policy_t *policy =
        policy_adapt (row->name, base, &lora, rng_key (coordinates, 2), row->train, err);
    /* As version 0, whatever they were before: the run's numbers begin with it. */
    if (policy && *folder && policy_restore (policy, folder, 0, err) != 0)
        policy_destroy (&policy);
    return policy;
}

/*  Added to the team before the rest can fail: team_unload then frees it. */
static int team_add_policy (team_t *team, size_t p, pool_t *pool, err_t *err)
{
    const conf_t *conf = team->conf;
    const conf_policy_t *row = &conf->policies[p];
    char folder[FS_PATH_MAX];
    if (hf_find (row->path, row->name, folder, err) != 0)
        return -1;
    policy_source_t from = {folder, row->compute, row->chat, row->date};
    policy_t *policy = strcmp (row->adapter, "lora") == 0
                           ? team_adapt (team, p, &from, pool, err)
                           : policy_load (row->name, &from, row->train, pool, err);
    if (!policy)
        return -1;
    team->rows[team->policies_n] = row;
    team->policies[team->policies_n++] = policy;
    if (!row->train)
        return 0;
    /* A bound on activations: what does not fit side by side is computed one after the other. */
    train_limit (policy->train, (size_t) conf->trainer.activations_mb * 1000000, 0);
    return conf->loss.kl > 0 ? policy_keep_reference (policy, (uint64_t) conf->loss.kl_refresh, err)
                             : 0;
}

/*  A message of the system belongs to the role and not to the policy, which others may share. */
static int team_speak (team_t *team, size_t role, err_t *err)
{
    const conf_t *conf = team->conf;
    const policy_t *policy = team_policy (team, role);
    const conf_policy_t *row = conf_policy (conf, role);
    const char *name = conf->team.roles.item[role];
    chat_given_t given = {conf_words (conf, name, CONF_SYSTEM), row->date,
                          conf_remembers (conf, name)};
    if (chat_find_with (policy->path, row->chat, &given, &team->chat[role], err) == 0)
        return 0;
    return *given.system ? conf_wrap_words (conf, name, CONF_SYSTEM, err)
                         : conf_wrap_policy (conf, row, "chat", err);
}

policy_t *team_policy (const team_t *team, size_t role)
{
    return team->engine[role] ? NULL : team->policies[team->policy_of[role]];
}

/*  Which of those that are loaded a role plays by. Vocabulary and context are those of its model,
 *  by role, since that is what a completion names; a server has none that counts here. */
static int team_seat (team_t *team, size_t role, err_t *err)
{
    const conf_policy_t *row = conf_policy (team->conf, role);
    team->policy_of[role] = CONF_LIST_MAX;
    if (conf_is_remote (row)) {
        buf_t engine = {0};
        conf_engine (row, &engine);
        team->engine[role] = buf_take (&engine);
        buf_free (&engine);
        return team->engine[role] ? 0 : err_set (err, ERR_LIMIT, "no memory for a role");
    }
    for (size_t p = 0; p < team->policies_n; p++)
        if (team->rows[p] == row)
            team->policy_of[role] = p;
    const model_config_t *model = &team_policy (team, role)->config.model;
    team->vocab[role] = model->vocab;
    team->context[role] = model->context;
    return team_speak (team, role, err);
}

/*  Who judges may be no seat's policy, and is spoken to with words of its own. */
static int team_judge (team_t *team, err_t *err)
{
    const conf_t *conf = team->conf;
    const conf_policy_t *row = conf_judge_policy (conf);
    for (size_t p = 0; row && p < team->policies_n; p++)
        if (team->rows[p] == row)
            team->judge = team->policies[p];
    if (!team->judge)
        return 0;
    chat_given_t given = {conf->judge.system, row->date, false};
    if (chat_find_with (team->judge->path, row->chat, &given, &team->judge_chat, err) == 0)
        return 0;
    return *given.system ? conf_wrap (conf, "judge.system", err)
                         : conf_wrap_policy (conf, row, "chat", err);
}

/*  What is loaded when it fails stays in the team: the caller unloads it in any case. */
int team_load (team_t *team, const conf_t *conf, pool_t *pool, err_t *err)
{
    *team = (team_t){.conf = conf, .roles = conf->team.roles.n};
    if (team->roles == 0)
        return err_set (err, ERR_CONFIG, "team.roles: no roles are named");
    for (size_t p = 0; p < conf->policies_n; p++)
        if (!conf_is_remote (&conf->policies[p]) && team_add_policy (team, p, pool, err) != 0)
            return -1;
    for (size_t role = 0; role < team->roles; role++) {
        team->temperature[role] =
            (float) conf_temperature (conf, conf->team.roles.item[role], conf->trainer.temperature);
        if (team_seat (team, role, err) != 0)
            return -1;
    }
    return team_judge (team, err);
}

typedef struct {
    const team_t *team;
    tokenizer_t *tokenizer[CONF_LIST_MAX]; /* by policy */
} team_count_t;

static int team_count (void *context, size_t role, const char *text, size_t size, size_t *tokens,
                       err_t *err)
{
    const team_count_t *c = context;
    size_t p = c->team->policy_of[role];
    *tokens = 0;
    if (c->team->engine[role]) /* how long its prompts may be, it knows itself */
        return 0;
    tokenizer_ids_t ids = {0};
    int rc = chat_encode (c->tokenizer[p], &c->team->chat[role], text, size, &ids, err);
    *tokens = c->team->policies[p]->prefix_n + ids.n;
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
    size_t room[CONF_LIST_MAX];
    for (size_t r = 0; r < team->roles; r++)
        room[r] = team->engine[r] ? SIZE_MAX / 2 : team->context[r];
    task_fit_t fit = {.roles = roles,
                      .roles_n = team->roles,
                      .limits = episode.limits,
                      .room = room,
                      .count = team_count,
                      .context = &count};
    int rc = 0;
    for (size_t p = 0; rc == 0 && p < team->policies_n; p++) {
        const char *text = team->policies[p]->tokenizer_text;
        count.tokenizer[p] = tokenizer_parse (text, strlen (text), err);
        rc = count.tokenizer[p] ? 0 : -1;
    }
    if (rc == 0)
        rc = task_fit (tasks, &fit, fitted, err);
    for (size_t p = 0; p < team->policies_n; p++)
        tokenizer_destroy (&count.tokenizer[p]);
    return rc;
}

void team_unload (team_t *team)
{
    for (size_t p = 0; p < team->policies_n; p++)
        policy_destroy (&team->policies[p]);
    for (size_t r = 0; r < team->roles; r++) {
        chat_free (&team->chat[r]);
        free (team->engine[r]);
    }
    chat_free (&team->judge_chat);
    team->policies_n = 0;
    /* After the adapters, whose models read them. */
    for (size_t b = 0; b < team->bases_n; b++)
        policy_destroy (&team->bases[b]);
    team->bases_n = 0;
}

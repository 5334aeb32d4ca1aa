/*  seats - see seats.h */
#include "seats.h"

#include <stdio.h>
#include <string.h>

#include "model/lora.h"
#include "watch/folder.h"

#define ADAPTERS FOLDER_ADAPTERS
#define WEIGHTS  "config.json"

/*  What a policy was opened as. */
typedef struct {
    const opened_t *folder;
    const model_t *model;
} seat_t;

/*  The folder of a policy: one of its name in DIR, or DIR itself; kind: the file that such a folder
 *  has. False: neither has it. */
static bool seats_find_policy (const char *dir, const char *policy, const char *kind,
                               char found[FS_PATH_MAX])
{
    char file[FS_PATH_MAX];
    return fs_prefer (dir, policy, kind, found, NULL) == 0 &&
           fs_join (file, found, kind, NULL) == 0 && fs_exists (file);
}

/*  Opens a model folder to be spoken to, once for all policies that name it and speak alike. */
static const opened_t *seats_open_folder (seats_t *s, const conf_policy_t *policy, const char *dir,
                                          pool_t *pool, err_t *err)
{
    for (size_t i = 0; i < s->opened_n; i++)
        if (strcmp (s->dir[i], dir) == 0 && strcmp (s->as[i]->compute, policy->compute) == 0 &&
            strcmp (s->as[i]->chat, policy->chat) == 0 &&
            strcmp (s->as[i]->date, policy->date) == 0)
            return &s->opened[i];
    opened_t *folder = &s->opened[s->opened_n];
    snprintf (s->dir[s->opened_n], FS_PATH_MAX, "%s", dir);
    s->as[s->opened_n] = policy;
    const char *kept = s->dir[s->opened_n++];
    return opened_load (folder, kept, "", policy->compute, pool, err) == 0 &&
                   opened_speak (folder, policy->chat, &(chat_given_t){.date = policy->date},
                                 err) == 0
               ? folder
               : NULL;
}

/*  A policy's weights: adapters on the configuration's model, or a folder of their own. dir: where
 *  they are looked for; "": the configuration's own. */
static int seats_open_policy (seats_t *s, const conf_policy_t *policy, seat_t *to, const char *dir,
                              pool_t *pool, err_t *err)
{
    char found[FS_PATH_MAX];
    bool adapters = *dir && seats_find_policy (dir, policy->name, ADAPTERS, found);
    if (!adapters && *dir && !seats_find_policy (dir, policy->name, WEIGHTS, found))
        return err_set (err, ERR_CONFIG,
                        "%s: no model in it for policy %s: neither " WEIGHTS " nor " ADAPTERS
                        ", nor a folder of that name with one",
                        dir, policy->name);
    /* Adapters stand on the configuration's own model, and so does a team that names no folder. */
    char base[FS_PATH_MAX];
    if (hf_find (policy->path, policy->name, base, err) != 0)
        return -1;
    to->folder = seats_open_folder (s, policy, adapters || !*dir ? base : found, pool, err);
    if (!to->folder)
        return -1;
    to->model = to->folder->model;
    if (!adapters)
        return 0;
    to->model = s->adapted[s->adapted_n] = opened_adapt (to->folder, found, err);
    s->adapted_n += to->model != NULL;
    return to->model ? 0 : err_wrap (err, "policy %s", policy->name);
}

static int seats_speak (seats_t *s, const conf_t *conf, size_t role, err_t *err)
{
    const char *name = conf->team.roles.item[role];
    const conf_policy_t *policy = conf_policy (conf, role);
    chat_given_t given = {conf_words (conf, name, CONF_SYSTEM), policy->date,
                          conf_remembers (conf, name)};
    if (chat_find_with (s->folder[role]->dir, policy->chat, &given, &s->format[role], err) == 0)
        return 0;
    return *given.system ? conf_wrap_words (conf, name, CONF_SYSTEM, err)
                         : conf_wrap_policy (conf, policy, "chat", err);
}

static int seats_connect (seats_t *s, const conf_t *conf, size_t role, err_t *err)
{
    const conf_policy_t *policy = conf_policy (conf, role);
    openai_options_t options = {
        .url = policy->url, .model = policy->model, .key_env = policy->key_env};
    s->server[role] = openai_new (&options, err);
    return s->server[role] ? 0 : conf_wrap_policy (conf, policy, "url", err);
}

static size_t seats_rank (const model_t *model)
{
    const lora_config_t *lora = lora_config (model);
    return lora ? lora->rank : 0;
}

/*  One sampler decodes for all roles whose policies have one shape: it is made for the adapters of
 *  the highest rank. */
static int seats_make_samplers (seats_t *s, const conf_t *conf, pool_t *pool, err_t *err)
{
    size_t n = conf->team.roles.n;
    for (size_t r = 0; r < n; r++) {
        size_t like = 0;
        if (s->server[r])
            continue;
        while (like < r && s->folder[like] != s->folder[r])
            like++;
        s->sampler[r] = like < r ? s->sampler[like] : NULL;
        const model_t *widest = s->model[r];
        for (size_t o = r + 1; o < n; o++)
            if (s->folder[o] == s->folder[r] && seats_rank (s->model[o]) > seats_rank (widest))
                widest = s->model[o];
        if (s->sampler[r])
            continue;
        s->sampler[r] = s->samplers[s->samplers_n] = sampler_new (widest, n, pool, err);
        if (!s->sampler[r])
            return -1;
        s->samplers_n++;
    }
    return 0;
}

static int seats_open_judge (seats_t *s, const conf_t *conf, pool_t *pool, err_t *err)
{
    const conf_policy_t *policy = conf_judge_policy (conf);
    if (!s->judge)
        return 0;
    chat_given_t given = {conf->judge.system, policy->date, false};
    if (chat_find_with (s->judge->dir, policy->chat, &given, &s->judge_format, err) != 0)
        return *given.system ? conf_wrap (conf, "judge.system", err)
                             : conf_wrap_policy (conf, policy, "chat", err);
    s->judge_sampler = sampler_new (s->judge_model, (size_t) conf->judge.samples, pool, err);
    return s->judge_sampler ? 0 : -1;
}

/*  What the folder has is what was trained; a policy that is not has the weights of its own. */
static int seats_open_policies (seats_t *s, const conf_t *conf, const char *dir, pool_t *pool,
                                err_t *err)
{
    seat_t seat[CONF_LIST_MAX];
    for (size_t p = 0; p < conf->policies_n; p++) {
        const conf_policy_t *policy = &conf->policies[p];
        char found[FS_PATH_MAX] = "";
        seat[p] = (seat_t){0};
        if (conf_is_remote (policy))
            continue;
        const char *from = *dir && policy->train ? dir : policy->adapter_path;
        if ((*from && folder_weights (from, found, err) != 0) ||
            seats_open_policy (s, policy, &seat[p], found, pool, err) != 0)
            return -1;
        if (policy == conf_judge_policy (conf)) {
            s->judge = seat[p].folder;
            s->judge_model = seat[p].model;
        }
    }
    for (size_t r = 0; r < conf->team.roles.n; r++) {
        s->folder[r] = seat[conf->policy_of[r]].folder;
        s->model[r] = seat[conf->policy_of[r]].model;
    }
    return 0;
}

int seats_open (seats_t *s, const conf_t *conf, const char *dir, pool_t *pool, err_t *err)
{
    if (seats_open_policies (s, conf, dir, pool, err) != 0)
        return -1;
    for (size_t r = 0; r < conf->team.roles.n; r++)
        if (conf_is_remote (conf_policy (conf, r)) ? seats_connect (s, conf, r, err) != 0
                                                   : seats_speak (s, conf, r, err) != 0)
            return -1;
    return seats_make_samplers (s, conf, pool, err) == 0 ? seats_open_judge (s, conf, pool, err)
                                                         : -1;
}

/*  In this order: samplers use the models, and adapters stand on the folders' own. */
void seats_close (seats_t *s)
{
    for (size_t i = 0; i < s->samplers_n; i++)
        sampler_destroy (&s->samplers[i]);
    sampler_destroy (&s->judge_sampler);
    chat_free (&s->judge_format);
    for (size_t i = 0; i < s->adapted_n; i++)
        model_destroy (&s->adapted[i]);
    for (size_t i = 0; i < s->opened_n; i++)
        opened_close (&s->opened[i]);
    for (size_t r = 0; r < CONF_LIST_MAX; r++) {
        chat_free (&s->format[r]);
        openai_destroy (&s->server[r]);
    }
    *s = (seats_t){0};
}

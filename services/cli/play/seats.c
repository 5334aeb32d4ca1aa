/*  seats - see seats.h */
#include "seats.h"

#include <stdio.h>
#include <string.h>

#include "../report/folder.h"
#include "model/lora.h"

#define ADAPTERS "adapter_config.json"
#define WEIGHTS  "config.json"

/*  The folder of a policy: one of its name in DIR, or DIR itself; kind: the file that such a folder
 *  has. False: neither has it. */
static bool seats_find_policy (const char *dir, const char *policy, const char *kind,
                               char found[FS_PATH_MAX])
{
    char file[FS_PATH_MAX];
    return fs_prefer (dir, policy, kind, found, NULL) == 0 &&
           fs_join (file, found, kind, NULL) == 0 && fs_exists (file);
}

/*  Opens a model folder to be spoken to, once for all roles that name it. */
static const opened_t *seats_open_folder (seats_t *s, const conf_t *conf, const char *dir,
                                          pool_t *pool, err_t *err)
{
    for (size_t i = 0; i < s->opened_n; i++)
        if (strcmp (s->dir[i], dir) == 0)
            return &s->opened[i];
    opened_t *folder = &s->opened[s->opened_n];
    snprintf (s->dir[s->opened_n], FS_PATH_MAX, "%s", dir);
    const char *kept = s->dir[s->opened_n++];
    return opened_load (folder, kept, "", conf->model.compute, pool, err) == 0 &&
                   opened_speak (folder, conf->model.chat,
                                 &(chat_given_t){.date = conf->model.date}, err) == 0
               ? folder
               : NULL;
}

/*  A role's weights: adapters on the configuration's model, or a folder of their own. */
static int seats_open_role (seats_t *s, const conf_t *conf, size_t role, const char *dir,
                            pool_t *pool, err_t *err)
{
    const char *policy = conf_policy (conf, role);
    char found[FS_PATH_MAX];
    /* The first role has opened the policy of all. */
    bool shares = role > 0 && conf_shares (conf);
    if (shares) {
        s->folder[role] = s->folder[0];
        s->model[role] = s->model[0];
        return 0;
    }
    bool adapters = *dir && seats_find_policy (dir, policy, ADAPTERS, found);
    if (!adapters && *dir && !seats_find_policy (dir, policy, WEIGHTS, found))
        return err_set (err, ERR_CONFIG,
                        "%s: no model in it for role %s: neither " WEIGHTS " nor " ADAPTERS
                        ", nor a folder '%s' with one",
                        dir, conf->team.roles.item[role], policy);
    /* Adapters stand on the configuration's own model, and so does a team that names no folder. */
    char base[FS_PATH_MAX];
    if (hf_find (conf->model.path, policy, base, err) != 0)
        return -1;
    s->folder[role] = seats_open_folder (s, conf, adapters || !*dir ? base : found, pool, err);
    if (!s->folder[role])
        return -1;
    s->model[role] = s->folder[role]->model;
    if (!adapters)
        return 0;
    s->model[role] = s->adapted[s->adapted_n] = opened_adapt (s->folder[role], found, err);
    s->adapted_n += s->model[role] != NULL;
    return s->model[role] ? 0 : err_wrap (err, "role %s", conf->team.roles.item[role]);
}

static int seats_speak (seats_t *s, const conf_t *conf, size_t role, err_t *err)
{
    const char *name = conf->team.roles.item[role];
    chat_given_t given = {conf_words (conf, name, CONF_SYSTEM), conf->model.date};
    if (chat_find_with (s->folder[role]->dir, conf->model.chat, &given, &s->format[role], err) == 0)
        return 0;
    return *given.system ? conf_wrap_words (conf, name, CONF_SYSTEM, err)
                         : conf_wrap (conf, "model.chat", err);
}

static size_t seats_rank (const model_t *model)
{
    const lora_config_t *lora = lora_config (model);
    return lora ? lora->rank : 0;
}

/*  One sampler decodes for all roles together: it is made for the adapters of the highest rank. */
static int seats_make_sampler (seats_t *s, const conf_t *conf, pool_t *pool, err_t *err)
{
    const model_t *widest = s->model[0];
    for (size_t r = 1; r < conf->team.roles.n; r++)
        if (seats_rank (s->model[r]) > seats_rank (widest))
            widest = s->model[r];
    s->sampler = sampler_new (widest, conf->team.roles.n, pool, err);
    return s->sampler ? 0 : -1;
}

int seats_open (seats_t *s, const conf_t *conf, const char *dir, pool_t *pool, err_t *err)
{
    char found[FS_PATH_MAX] = "";
    if (!*dir)
        dir = conf->model.adapter_path;
    if (*dir && folder_weights (dir, found, err) != 0)
        return -1;
    for (size_t r = 0; r < conf->team.roles.n; r++)
        if (seats_open_role (s, conf, r, found, pool, err) != 0 ||
            seats_speak (s, conf, r, err) != 0)
            return -1;
    return seats_make_sampler (s, conf, pool, err);
}

/*  In this order: the sampler uses the models, and adapters stand on the folders' own. */
void seats_close (seats_t *s)
{
    sampler_destroy (&s->sampler);
    for (size_t i = 0; i < s->adapted_n; i++)
        model_destroy (&s->adapted[i]);
    for (size_t i = 0; i < s->opened_n; i++)
        opened_close (&s->opened[i]);
    for (size_t r = 0; r < CONF_LIST_MAX; r++)
        chat_free (&s->format[r]);
    *s = (seats_t){0};
}

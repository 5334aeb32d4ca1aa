/*  check - see check.h */
#include "conf/check.h"

#include <string.h>

#include "conf/table.h"

static bool is (const char *value, const char *word)
{
    return strcmp (value, word) == 0;
}

static bool differs (double a, double b)
{
    return a < b || a > b;
}

/*  The first key of the critic that differs from its default; every one is a number of 8 bytes. */
static const char *changed_critic_key (const conf_t *conf, const conf_t *fresh)
{
    const conf_section_t *section = conf_section ("critic");
    for (size_t k = 0; k < section->n; k++)
        if (memcmp ((const char *) &conf->critic + section->keys[k].offset,
                    (const char *) &fresh->critic + section->keys[k].offset, 8) != 0)
            return section->keys[k].name;
    return NULL;
}

static int check_critic (const conf_t *conf, const char *name, err_t *err)
{
    if (!is (conf->loss.advantage, "group"))
        return 0;
    conf_t *fresh = conf_defaults ();
    if (!fresh)
        return err_set (err, ERR_LIMIT, "no memory for a configuration");
    const char *key = changed_critic_key (conf, fresh);
    conf_destroy (&fresh);
    if (key)
        return err_set (
            err, ERR_CONFIG,
            "%s: critic.%s does nothing while loss.advantage is group: leave it out, or "
            "set loss.advantage to critic or group+critic",
            name, key);
    return 0;
}

static int check_chat (const conf_t *conf, const char *name, err_t *err)
{
    static const char *const names[] = {"none", "auto", "chatml", "llama3", "plain"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (is (conf->model.chat, names[i]))
            return 0;
    if (strstr (conf->model.chat, "{prompt}"))
        return 0;
    return err_set (err, ERR_CONFIG,
                    "%s: model.chat '%.80s' is not known: none, auto, chatml, llama3, plain or a "
                    "pattern with {prompt}",
                    name, conf->model.chat);
}

/*  Keys of the loss that some losses do not read. */
static int check_loss_keys (const conf_t *conf, const char *name, err_t *err)
{
    const char *type = conf->loss.type;
    bool clips = !is (type, "cispo") && !is (type, "sapo") && !is (type, "vespo");
    bool levels = !is (type, "vespo") && !is (type, "rloo");
    const char *key = NULL;
    conf_t *fresh = conf_defaults ();
    if (!fresh)
        return err_set (err, ERR_LIMIT, "no memory for a configuration");
    if (!clips && conf->loss.delta > 0)
        key = "delta";
    else if (!clips && differs (conf->loss.clip_low, fresh->loss.clip_low))
        key = "clip_low";
    else if (!clips && !is (type, "cispo") && differs (conf->loss.clip_high, fresh->loss.clip_high))
        key = "clip_high";
    else if (!levels && is (conf->loss.level, "sequence"))
        key = "level";
    else if (!is (type, "sapo") && differs (conf->loss.sapo_positive, fresh->loss.sapo_positive))
        key = "sapo_positive";
    else if (!is (type, "sapo") && differs (conf->loss.sapo_negative, fresh->loss.sapo_negative))
        key = "sapo_negative";
    conf_destroy (&fresh);
    if (key)
        return err_set (err, ERR_CONFIG, "%s: loss.%s does nothing with loss.type %s: leave it out",
                        name, key, type);
    if (conf->loss.kl_ratio && !(conf->loss.kl > 0))
        return err_set (err, ERR_CONFIG, "%s: loss.kl_ratio does nothing while loss.kl is 0", name);
    if (!is (conf->loss.kl_estimator, "k3") && !(conf->loss.kl > 0))
        return err_set (err, ERR_CONFIG, "%s: loss.kl_estimator does nothing while loss.kl is 0",
                        name);
    return 0;
}

static int check_loss (const conf_t *conf, const char *name, err_t *err)
{
    if (is (conf->loss.type, "rloo") && !is (conf->loss.scale, "none"))
        return err_set (err, ERR_CONFIG,
                        "%s: loss.scale is %s, but rloo does not divide: set loss.scale to none",
                        name, conf->loss.scale);
    if (conf->trainer.group_size < 2 && !is (conf->loss.advantage, "critic"))
        return err_set (err, ERR_CONFIG,
                        "%s: trainer.group_size 1 leaves nothing to compare an episode with: "
                        "at least 2 with loss.advantage %s",
                        name, conf->loss.advantage);
    if (conf->loss.overlong_tokens > conf->task.max_tokens)
        return err_set (
            err, ERR_CONFIG,
            "%s: loss.overlong_tokens %lld is more than task.max_tokens %lld, the longest "
            "completion",
            name, (long long) conf->loss.overlong_tokens, (long long) conf->task.max_tokens);
    if (conf->trainer.minibatches > conf->trainer.groups)
        return err_set (err, ERR_CONFIG,
                        "%s: trainer.minibatches %lld are whole groups each, but there are only "
                        "%lld groups",
                        name, (long long) conf->trainer.minibatches,
                        (long long) conf->trainer.groups);
    return 0;
}

static bool same_list (const conf_list_t *a, const conf_list_t *b)
{
    for (size_t i = 0; i < a->n && i < b->n; i++)
        if (!is (a->item[i], b->item[i]))
            return false;
    return a->n == b->n;
}

/*  Keys of adapters that say nothing, without adapters. */
static int check_adapter (const conf_t *conf, const char *name, err_t *err)
{
    if (!is (conf->model.adapter, "none"))
        return 0;
    conf_t *fresh = conf_defaults ();
    if (!fresh)
        return err_set (err, ERR_LIMIT, "no memory for a configuration");
    const char *key = *conf->model.adapter_path ? "adapter_path" : NULL;
    if (conf->model.lora_rank != fresh->model.lora_rank)
        key = "lora_rank";
    else if (differs (conf->model.lora_alpha, fresh->model.lora_alpha))
        key = "lora_alpha";
    else if (!same_list (&conf->model.lora_targets, &fresh->model.lora_targets))
        key = "lora_targets";
    conf_destroy (&fresh);
    if (key)
        return err_set (err, ERR_CONFIG,
                        "%s: model.%s does nothing while model.adapter is none: leave it out, or "
                        "set model.adapter to lora",
                        name, key);
    return 0;
}

int conf_check (const conf_t *conf, const char *name, err_t *err)
{
    if (!*conf->task.family)
        return err_set (err, ERR_CONFIG,
                        "%s: task.family is missing: coding or writing says what the team works at",
                        name);
    if (conf->team.roles.n == 0)
        return err_set (err, ERR_CONFIG,
                        "%s: team.roles is missing: name the seats, such as [aux, main] for coding",
                        name);
    for (size_t i = 0; i < conf->team.roles.n; i++)
        for (size_t j = 0; j < i; j++)
            if (is (conf->team.roles.item[i], conf->team.roles.item[j]))
                return err_set (err, ERR_CONFIG, "%s: team.roles names '%s' twice", name,
                                conf->team.roles.item[i]);
    if (!*conf->model.path)
        return err_set (err, ERR_CONFIG,
                        "%s: model.path is missing: the folder of the model to start from", name);
    if (strspn (conf->run.name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_.") != strlen (conf->run.name) ||
        !*conf->run.name || strlen (conf->run.name) > 48 || *conf->run.name == '.')
        return err_set (err, ERR_CONFIG,
                        "%s: run.name '%s': 1 to 48 letters, digits, '-', '_' or '.'", name,
                        conf->run.name);
    if (check_chat (conf, name, err) != 0 || check_loss (conf, name, err) != 0 ||
        check_loss_keys (conf, name, err) != 0)
        return -1;
    return check_adapter (conf, name, err) == 0 ? check_critic (conf, name, err) : -1;
}

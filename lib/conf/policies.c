/*  policies - the table of policies, a row each, and who plays by which. See conf.h
 *
 *  A run has nothing but this table: `model` and team.policies are its short form, in which every
 *  row says the same. A key that a row does not give has the value that `model` has, and lr that of
 *  the trainer.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/date.h"
#include "conf/check.h"
#include "conf/table.h"

#define NAME_MAX_BYTES 40 /* it is a folder of checkpoints, and a part of topics on the bus */

static conf_policy_t *policies_find (const conf_t *conf, const char *name)
{
    for (size_t p = 0; p < conf->policies_n; p++)
        if (strcmp (conf->policies[p].name, name) == 0)
            return (conf_policy_t *) (uintptr_t) &conf->policies[p];
    return NULL;
}

static size_t policies_index (const conf_key_t *key)
{
    return (size_t) (key - conf_policy_section ()->keys);
}

bool conf_is_remote (const conf_policy_t *policy)
{
    return policy->engine && strcmp (policy->engine, "own") != 0;
}

/*  Whether the policy has the key, by who computes it. */
static bool policies_has (const conf_policy_t *policy, const conf_key_t *key)
{
    static const char *const remote[] = {"url", "model", "key_env", "concurrency"};
    bool servers = false;
    for (size_t i = 0; i < sizeof remote / sizeof *remote; i++)
        servers = servers || strcmp (remote[i], key->name) == 0;
    return strcmp (key->name, "engine") == 0 || strcmp (key->name, "train") == 0 ||
           servers == conf_is_remote (policy);
}

/*  ---- as it is given ------------------------------------------------------------------------- */

/*  Texts and lists must be the row's own, as they are freed with it. */
static conf_policy_t *policies_add (conf_t *conf, const char *name, err_t *err)
{
    size_t length = strlen (name);
    if (length == 0 || length > NAME_MAX_BYTES || *name == '.' || *name == '-' ||
        strspn (name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
            length) {
        err_set (err, ERR_CONFIG, "'%.60s' is no name: 1 to %d letters, digits, '-', '_' or '.'",
                 name, NAME_MAX_BYTES);
        return NULL;
    }
    if (conf->policies_n == CONF_LIST_MAX) {
        err_set (err, ERR_CONFIG, "more than %d policies", CONF_LIST_MAX);
        return NULL;
    }
    conf_policy_t *policy = &conf->policies[conf->policies_n];
    if (!(policy->name = strdup (name))) {
        err_set (err, ERR_LIMIT, "no memory");
        return NULL;
    }
    conf->policies_n++;
    return policy;
}

int conf_set_policy (conf_t *conf, const char *name, const char *key, const char *text,
                     const char *where, err_t *err)
{
    conf_policy_t *policy = policies_find (conf, name);
    if (!policy && !(policy = policies_add (conf, name, err)))
        return err_wrap (err, "%s: policies", where);
    if (!policy->given && !(policy->given = strdup (where)))
        return err_set (err, ERR_LIMIT, "no memory");
    if (!key)
        return 0;
    const conf_key_t *found = conf_find (conf_policy_section (), key);
    if (!found) {
        buf_t known = {0};
        for (size_t k = 0; k < CONF_POLICY_KEYS; k++)
            buf_printf (&known, "%s%s", k ? ", " : "", conf_policy_section ()->keys[k].name);
        err_set (err, ERR_CONFIG, "%s: policies.%s.%.60s: no such key: a policy has %s", where,
                 name, key, known.data ? known.data : "");
        buf_free (&known);
        return -1;
    }
    if (conf_set_at (policy, found, text, err) != 0)
        return err_wrap (err, "%s: policies.%s.%s", where, name, key);
    char **given = &policy->where[policies_index (found)];
    free (*given);
    *given = strdup (where);
    return *given ? 0 : err_set (err, ERR_LIMIT, "no memory");
}

int conf_override_policy (conf_t *conf, char *name, const char *text, const char *where, err_t *err)
{
    char *dot = strrchr (name, '.');
    if (!dot || dot == name)
        return err_set (err, ERR_CONFIG, "%s: policies.NAME.KEY=VALUE is wanted", where);
    *dot = 0;
    return conf_set_policy (conf, name, dot + 1, text, where, err);
}

const char *conf_policy_given (const conf_t *conf, const char *name, const char *key)
{
    const conf_policy_t *policy = policies_find (conf, name);
    const conf_key_t *found = key ? conf_find (conf_policy_section (), key) : NULL;
    return !policy || (key && !found) ? NULL
           : key                      ? policy->where[policies_index (found)]
                                      : policy->given;
}

static void policies_free (conf_policy_t *policy)
{
    conf_free_at (policy, conf_policy_section ());
    for (size_t k = 0; k < CONF_POLICY_KEYS; k++)
        free (policy->where[k]);
    free (policy->given);
    free (policy->name);
    *policy = (conf_policy_t){0};
}

void conf_free_policies (conf_t *conf)
{
    for (size_t p = 0; p < conf->policies_n; p++)
        policies_free (&conf->policies[p]);
    conf->policies_n = 0;
}

void conf_clear_policies (conf_t *conf)
{
    const conf_policy_t *judge = conf_judge_policy (conf);
    conf_policy_t kept = {0};
    for (size_t p = 0; p < conf->policies_n; p++)
        if (&conf->policies[p] == judge) {
            kept = conf->policies[p];
            conf->policies[p] = (conf_policy_t){0};
        } else {
            policies_free (&conf->policies[p]);
        }
    conf->policies[0] = kept;
    conf->policies_n = judge != NULL;
}

/*  ---- made whole ----------------------------------------------------------------------------- */

/*  The key of all policies that a policy's key falls back on; NULL: it has a default of its own. */
static const char *policies_common (const conf_key_t *key, char name[64])
{
    bool models = conf_find (conf_section ("model"), key->name) != NULL;
    bool trainers = strcmp (key->name, "lr") == 0;
    snprintf (name, 64, "%s.%s", models ? "model" : "trainer", key->name);
    return models || trainers ? name : NULL;
}

/*  By way of the text that a file would have, which every kind of key can be read from. What
 *  `model` says is of policies that have a model. */
static int policies_fill (const conf_t *conf, conf_policy_t *policy, const conf_key_t *key,
                          err_t *err)
{
    char name[64];
    const conf_section_t *section = NULL;
    const conf_key_t *common = !conf_is_remote (policy) && policies_common (key, name)
                                   ? conf_look_up (name, &section)
                                   : NULL;
    buf_t text = {0};
    if (common && key->kind == CONF_TEXT)
        buf_text (&text, *(char *const *) conf_value (conf, section, common));
    else if (common)
        conf_print_value (conf, section, common, &text);
    else if (key->kind == CONF_BOOL)
        buf_text (&text, key->number > 0 && !conf_is_remote (policy) ? "true" : "false");
    else if (key->kind == CONF_TEXT || key->kind == CONF_LIST)
        buf_text (&text, key->text);
    else
        buf_printf (&text, "%.17g", key->number);
    buf_text (&text, "");
    int rc = buf_failed (&text) ? err_set (err, ERR_LIMIT, "no memory")
                                : conf_set_at (policy, key, text.data, err);
    buf_free (&text);
    return rc;
}

/*  The only row besides the judge's, or policies_n. */
static size_t policies_only (const conf_t *conf)
{
    const conf_policy_t *judge = conf_judge_policy (conf);
    size_t found = conf->policies_n, n = 0;
    for (size_t p = 0; p < conf->policies_n; p++)
        if (&conf->policies[p] != judge) {
            found = p;
            n++;
        }
    return n == 1 ? found : conf->policies_n;
}

/*  That of its own word, or of its own name, or the only one; what is not there is refused by
 *  conf_check_policies. */
static size_t policies_of_role (const conf_t *conf, const char *role)
{
    const char *word = conf_words (conf, role, CONF_POLICY);
    const conf_policy_t *policy = policies_find (conf, *word ? word : role);
    if (policy)
        return (size_t) (policy - conf->policies);
    return *word ? conf->policies_n : policies_only (conf);
}

int conf_make_policies (conf_t *conf, err_t *err)
{
    const conf_section_t *keys = conf_policy_section ();
    bool shared = strcmp (conf->team.policies, "shared") == 0;
    /* With the judge's row alone the team's are those of the short form. */
    if (conf->policies_n == (conf_judge_policy (conf) != NULL)) {
        if (shared && !policies_add (conf, "shared", err))
            return conf_wrap (conf, "team.policies", err);
        for (size_t r = 0; !shared && r < conf->team.roles.n; r++)
            if (!policies_find (conf, conf->team.roles.item[r]) &&
                !policies_add (conf, conf->team.roles.item[r], err))
                return conf_wrap (conf, "team.roles", err);
    }
    for (size_t p = 0; p < conf->policies_n; p++)
        for (size_t k = 0; k < keys->n; k++)
            if (!conf->policies[p].where[k] &&
                policies_fill (conf, &conf->policies[p], &keys->keys[k], err) != 0)
                return -1;
    for (size_t r = 0; r < conf->team.roles.n; r++)
        conf->policy_of[r] = policies_of_role (conf, conf->team.roles.item[r]);
    return 0;
}

const conf_policy_t *conf_judge_policy (const conf_t *conf)
{
    return *conf->judge.policy ? policies_find (conf, conf->judge.policy) : NULL;
}

const conf_policy_t *conf_policy (const conf_t *conf, size_t role)
{
    return &conf->policies[conf->policy_of[role]];
}

void conf_engine (const conf_policy_t *policy, buf_t *text)
{
    buf_printf (text, "%s %s", policy->url, policy->model);
}

void conf_engines (const conf_t *conf, buf_t *text)
{
    for (size_t p = 0; p < conf->policies_n; p++) {
        const conf_policy_t *policy = &conf->policies[p];
        if (!conf_is_remote (policy))
            continue;
        buf_text (text, text->size ? "; " : "");
        conf_engine (policy, text);
        buf_printf (text, " %s %lld", policy->key_env, (long long) policy->concurrency);
    }
}

bool conf_names_policies (const conf_t *conf)
{
    return conf->policies_n > 0 && conf->policies[0].given;
}

/*  ---- errors --------------------------------------------------------------------------------- */

const char *conf_policy_where (const conf_t *conf, const conf_policy_t *policy, const char *key)
{
    char name[64];
    const conf_key_t *found = conf_find (conf_policy_section (), key);
    const char *own = policy->where[policies_index (found)];
    return own ? own : policies_common (found, name) ? conf_where_of (conf, name) : policy->given;
}

/*  "coding.yml:12: policies.judge.path"; of what was given for all "coding.yml:3: model.path". */
static void policies_place (const conf_t *conf, const conf_policy_t *policy, const char *key,
                            buf_t *text)
{
    char name[64];
    const conf_key_t *found = conf_find (conf_policy_section (), key);
    const char *where = conf_policy_where (conf, policy, key);
    bool own = policy->where[policies_index (found)] || !policies_common (found, name);
    buf_printf (text, "%s: ", where ? where : conf->file);
    if (own)
        buf_printf (text, "policies.%s.%s", policy->name, key);
    else
        buf_text (text, name);
}

int conf_refuse_policy (const conf_t *conf, const conf_policy_t *policy, const char *key,
                        err_t *err, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    buf_t place = {0};
    va_list args;
    va_start (args, fmt);
    vsnprintf (text, sizeof text, fmt, args);
    va_end (args);
    policies_place (conf, policy, key, &place);
    err_set (err, ERR_CONFIG, "%s %s", place.data ? place.data : key, text);
    buf_free (&place);
    return -1;
}

int conf_wrap_policy (const conf_t *conf, const conf_policy_t *policy, const char *key, err_t *err)
{
    buf_t place = {0};
    policies_place (conf, policy, key, &place);
    err->code = ERR_CONFIG;
    err_wrap (err, "%s", place.data ? place.data : key);
    buf_free (&place);
    return -1;
}

/*  ---- checks --------------------------------------------------------------------------------- */

/*  A pattern without its place for the prompt would send every task to the model as the same
 *  text. Whether a template writes the date, only its folder can tell. */
static int policies_check_chat (const conf_t *conf, const conf_policy_t *p, err_t *err)
{
    static const char *const names[] = {"none", "auto", "chatml", "llama3", "plain"};
    bool known = strstr (p->chat, "{prompt}") || strstr (p->chat, "{prompt|trim}");
    struct tm day;
    if (*p->date && strcmp (p->chat, "auto") != 0)
        return conf_refuse_policy (conf, p, "date", err,
                                   "does nothing while model.chat is not auto: leave it out");
    if (*p->date && !date_parse (p->date, &day))
        return conf_refuse_policy (conf, p, "date", err, "'%.32s' is no day: " DATE_WANTED,
                                   p->date);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        known = known || strcmp (p->chat, names[i]) == 0;
    return known ? 0
                 : conf_refuse_policy (
                       conf, p, "chat", err,
                       "'%.80s' is not known: none, auto, chatml, llama3, plain or a pattern with "
                       "{prompt}",
                       p->chat);
}

static int policies_check_word (const conf_t *conf, const conf_policy_t *p, const char *key,
                                const char *word, bool wanted, err_t *err)
{
    if (wanted && !*word)
        return conf_refuse_policy (conf, p, key, err, "is missing");
    /* They separate what an agent is told. */
    return strpbrk (word, " \t\n;")
               ? conf_refuse_policy (conf, p, key, err,
                                     "'%.80s': neither a blank nor a ';' may be in it", word)
               : 0;
}

/*  Of two that are one, which key would be sent, and how many questions at once? */
static int policies_check_twin (const conf_t *conf, const conf_policy_t *p, err_t *err)
{
    for (const conf_policy_t *other = conf->policies; other < p; other++)
        if (conf_is_remote (other) && strcmp (other->url, p->url) == 0 &&
            strcmp (other->model, p->model) == 0)
            return conf_refuse_policy (conf, p, "model", err,
                                       "is that of policy %s at the same url: let the roles of "
                                       "both play by that one",
                                       other->name);
    return 0;
}

static int policies_check_remote (const conf_t *conf, const conf_policy_t *p, err_t *err)
{
    if (p->train)
        return conf_refuse_policy (conf, p, "train", err,
                                   "is true, and a server that only writes texts has nothing to "
                                   "train: leave it out");
    return policies_check_word (conf, p, "url", p->url, true, err) != 0 ||
                   policies_check_word (conf, p, "model", p->model, true, err) != 0 ||
                   policies_check_word (conf, p, "key_env", p->key_env, false, err) != 0
               ? -1
               : policies_check_twin (conf, p, err);
}

/*  A key of policies that are computed elsewhere than this one. */
static int policies_check_engine (const conf_t *conf, const conf_policy_t *p, err_t *err)
{
    const conf_section_t *keys = conf_policy_section ();
    for (size_t k = 0; k < keys->n; k++)
        if (p->where[k] && !policies_has (p, &keys->keys[k]))
            return conf_refuse_policy (conf, p, keys->keys[k].name, err,
                                       "does nothing while the policy's engine is %s: leave it out"
                                       "%s",
                                       p->engine,
                                       conf_is_remote (p) ? "" : ", or set engine to openai");
    return 0;
}

/*  What was given for this policy alone; for all of them, conf_check_idle looks. */
static int policies_check_idle (const conf_t *conf, const conf_policy_t *p, err_t *err)
{
    static const char *const adapters[] = {"adapter_path", "lora_rank", "lora_alpha",
                                           "lora_targets"};
    bool plain = strcmp (p->adapter, "none") == 0;
    for (size_t i = 0; plain && i < sizeof adapters / sizeof *adapters; i++)
        if (conf_policy_given (conf, p->name, adapters[i]) && (i > 0 || *p->adapter_path))
            return conf_refuse_policy (conf, p, adapters[i], err,
                                       "does nothing while the policy's adapter is none: leave it "
                                       "out, or set adapter to lora");
    if (!p->train && conf_policy_given (conf, p->name, "lr"))
        return conf_refuse_policy (conf, p, "lr", err,
                                   "does nothing while the policy's train is false: leave it out");
    if (!p->train && !plain && !*p->adapter_path)
        return conf_refuse_policy (conf, p, "train", err,
                                   "is false, and new adapters change nothing: name trained ones "
                                   "in adapter_path, or set adapter to none");
    return 0;
}

static int policies_check_roles (const conf_t *conf, err_t *err)
{
    bool played[CONF_LIST_MAX] = {false};
    buf_t names = {0};
    int rc = 0;
    for (size_t p = 0; p < conf->policies_n; p++)
        buf_printf (&names, "%s%s", p ? ", " : "", conf->policies[p].name);
    for (size_t r = 0; rc == 0 && r < conf->team.roles.n; r++) {
        const char *role = conf->team.roles.item[r], *word = conf_words (conf, role, CONF_POLICY);
        if (conf->policy_of[r] < conf->policies_n) {
            played[conf->policy_of[r]] = true;
            continue;
        }
        if (*word)
            err_set (err, ERR_CONFIG, "'%.60s' is no policy: there are %s", word, names.data);
        else
            err_set (err, ERR_CONFIG, "is missing: by which policy does it play, of %s?",
                     names.data);
        rc = conf_wrap_words (conf, role, CONF_POLICY, err);
    }
    for (size_t p = 0; rc == 0 && p < conf->policies_n; p++)
        if (!played[p] && &conf->policies[p] != conf_judge_policy (conf)) {
            const char *where = conf->policies[p].given;
            rc = err_set (err, ERR_CONFIG,
                          "%s: policies.%s: nobody plays by it (team.roles.ROLE.policy says who "
                          "does, and judge.policy who judges)",
                          where ? where : conf->file, conf->policies[p].name);
        }
    buf_free (&names);
    return rc;
}

/*  What all policies have keys of their own for would do nothing; but the single agent that a team
 *  is compared with has no other. */
static int policies_check_common (const conf_t *conf, err_t *err)
{
    const conf_section_t *keys = conf_policy_section ();
    for (size_t k = 0; k < keys->n && strcmp (conf->run.baseline, "solo") != 0; k++) {
        char name[64];
        bool all = policies_common (&keys->keys[k], name);
        for (size_t p = 0; p < conf->policies_n; p++)
            all = all && (conf->policies[p].where[k] || conf_is_remote (&conf->policies[p]));
        if (all && conf_changed (conf, name))
            return conf_refuse (conf, name, err,
                                "does nothing: each of the policies has its own %s",
                                keys->keys[k].name);
    }
    return 0;
}

/*  One that learns would judge otherwise in each step. */
static int policies_check_judge (const conf_t *conf, err_t *err)
{
    const conf_policy_t *policy = conf_judge_policy (conf);
    if (*conf->judge.policy && !policy)
        return conf_refuse (conf, "judge.policy", err,
                            "'%.60s' is no row of `policies`: say there what it is, such as "
                            "policies: {%.60s: {path: DIR, train: false}}",
                            conf->judge.policy, conf->judge.policy);
    if (policy && *conf->judge.system && !conf_is_remote (policy) &&
        strcmp (policy->chat, "auto") != 0)
        return conf_refuse (conf, "judge.system", err,
                            "needs chat: auto of policy %s, and a folder with a chat template",
                            policy->name);
    return policy && policy->train
               ? conf_refuse_policy (conf, policy, "train", err,
                                     "is true, and who judges (judge.policy) is not trained: set "
                                     "it to false")
               : 0;
}

int conf_check_policies (const conf_t *conf, err_t *err)
{
    size_t learn = 0;
    if (policies_check_judge (conf, err) != 0)
        return -1;
    if (policies_check_roles (conf, err) != 0 || policies_check_common (conf, err) != 0)
        return -1;
    for (size_t p = 0; p < conf->policies_n; p++)
        learn += conf->policies[p].train;
    if (learn == 0 && conf->trainer.steps > 0)
        return conf_refuse_policy (conf, &conf->policies[0], "train", err,
                                   "is false, as of all policies: nothing would be trained "
                                   "(trainer.steps: 0 evaluates them)");
    for (size_t p = 0; p < conf->policies_n; p++) {
        const conf_policy_t *policy = &conf->policies[p];
        if (policies_check_engine (conf, policy, err) != 0)
            return -1;
        if (conf_is_remote (policy)) {
            if (policies_check_remote (conf, policy, err) != 0)
                return -1;
            continue;
        }
        if (!*policy->path)
            return conf_refuse_policy (conf, policy, "path", err,
                                       "is missing: the folder of the model to start from");
        if (policies_check_chat (conf, policy, err) != 0 ||
            policies_check_idle (conf, policy, err) != 0)
            return -1;
    }
    if (conf_names_policies (conf) && strcmp (conf->run.baseline, "solo") == 0 &&
        !*conf->model.path)
        return conf_refuse (conf, "run.baseline", err,
                            "is solo, who plays by `model`, and there model.path is missing");
    return 0;
}

/*  ---- printed -------------------------------------------------------------------------------- */

/*  Where a server is, and how it is asked: its model is what answers. */
static bool policies_is_free (const conf_key_t *key)
{
    return strcmp (key->name, "url") == 0 || strcmp (key->name, "key_env") == 0 ||
           strcmp (key->name, "concurrency") == 0;
}

void conf_print_policies (const conf_t *conf, conf_rows_t rows, buf_t *text)
{
    const conf_section_t *keys = conf_policy_section ();
    bool whole = rows == CONF_ROWS_WHOLE;
    if (!whole && !conf_names_policies (conf))
        return;
    buf_text (text, "policies:\n");
    for (size_t p = 0; p < conf->policies_n; p++) {
        const conf_policy_t *policy = &conf->policies[p];
        const char *between = "";
        buf_printf (text, "  %s: {", policy->name);
        for (size_t k = 0; k < keys->n; k++) {
            if (whole ? !policies_has (policy, &keys->keys[k]) : !policy->where[k])
                continue;
            if (rows == CONF_ROWS_ESSENCE && policies_is_free (&keys->keys[k]))
                continue;
            buf_printf (text, "%s%s: ", between, keys->keys[k].name);
            conf_print_at (policy, &keys->keys[k], text);
            between = ", ";
        }
        buf_text (text, whole ? "}  by" : "}");
        for (size_t r = 0; whole && r < conf->team.roles.n; r++)
            if (conf->policy_of[r] == p)
                buf_printf (text, " %s", conf->team.roles.item[r]);
        if (whole && policy == conf_judge_policy (conf))
            buf_text (text, " the judge");
        buf_char (text, '\n');
    }
}

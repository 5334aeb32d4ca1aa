/*  check - see check.h */
#include "conf/check.h"

#include <stdio.h>
#include <string.h>

#include "conf/table.h"
#include "task/families.h"
#include "task/family.h"
#include "task/prompt.h"
#include "task/mates.h"

static bool conf_check_is (const char *value, const char *word)
{
    return strcmp (value, word) == 0;
}

/*  ---- keys that say something and do nothing ------------------------------------------------- */

/*  A key, or with "." at its end a section, has no effect while `idle`; why completes "KEY does
 *  nothing ...". */
typedef struct {
    bool idle;
    const char *key; /* "loss.delta", or "critic.": all of the section */
    const char *why;
} rule_t;

/*  Compared as text, which is the one form that all kinds of keys have. */
static bool conf_check_differs (const conf_t *conf, const conf_t *fresh,
                                const conf_section_t *section, const conf_key_t *key)
{
    buf_t value = {0}, usual = {0};
    conf_print_value (conf, section, key, &value);
    conf_print_value (fresh, section, key, &usual);
    bool same = value.data && usual.data && conf_check_is (value.data, usual.data);
    buf_free (&value);
    buf_free (&usual);
    return !same;
}

/*  Defaults are made anew for the question, which is asked a few times at the start of a
 *  program. */
bool conf_changed (const conf_t *conf, const char *name)
{
    const conf_section_t *section;
    const conf_key_t *key = conf_look_up (name, &section);
    conf_t *fresh = conf_defaults ();
    bool changed = key && fresh && conf_check_differs (conf, fresh, section, key);
    conf_destroy (&fresh);
    return changed;
}

/*  A rule for a section ("critic.") matches all of its keys. Otherwise the whole name must be the
 *  rule's, or "loss.kl" would take "loss.kl_ratio" along. */
static bool conf_check_matches (const rule_t *rule, const char *name)
{
    size_t n = strlen (rule->key);
    return rule->idle && strncmp (rule->key, name, n) == 0 && (!name[n] || rule->key[n - 1] == '.');
}

/*  Refuses the first key that is idle and not at its default: who sets a key counts on it. One that
 *  has its default is left alone, since printed configurations hold all keys. */
static int conf_check_rules (const conf_t *conf, const rule_t *rules, size_t rules_n, err_t *err)
{
    size_t n;
    const conf_section_t *sections = conf_sections (&n);
    for (size_t s = 0; s < n; s++)
        for (size_t k = 0; k < sections[s].n; k++) {
            char name[96];
            snprintf (name, sizeof name, "%s.%s", sections[s].name, sections[s].keys[k].name);
            for (size_t r = 0; r < rules_n; r++)
                if (conf_check_matches (&rules[r], name) && conf_changed (conf, name))
                    return conf_refuse (conf, name, err, "does nothing %s", rules[r].why);
        }
    return 0;
}

/*  Which keys of the loss its type, and its other keys, make nothing of. */
static int conf_check_idle_loss (const conf_t *conf, err_t *err)
{
    char by_type[96];
    const char *type = conf->loss.type;
    /* These weigh log-probabilities or bend the ratio; they do not clip as PPO does. */
    bool weighs = conf_check_is (type, "cispo") || conf_check_is (type, "sapo") ||
                  conf_check_is (type, "vespo");
    /* Their ratio is of the whole sequence, whatever loss.level says. */
    bool fixed = conf_check_is (type, "vespo") || conf_check_is (type, "rloo");
    snprintf (by_type, sizeof by_type, "with loss.type %s: leave it out", type);
    const rule_t rules[] = {
        {weighs, "loss.delta", by_type},
        {weighs, "loss.clip_low", by_type},
        {weighs && !conf_check_is (type, "cispo"), "loss.clip_high", by_type},
        {fixed, "loss.level", by_type},
        {!conf_check_is (type, "sapo"), "loss.sapo_positive", by_type},
        {!conf_check_is (type, "sapo"), "loss.sapo_negative", by_type},
        {!(conf->loss.kl > 0), "loss.kl_ratio", "while loss.kl is 0"},
        {!(conf->loss.kl > 0), "loss.kl_refresh", "while loss.kl is 0"},
        {!(conf->loss.kl > 0), "loss.kl_estimator", "while loss.kl is 0"},
        {conf_check_is (conf->loss.correction, "none"), "loss.correction_cap",
         "while loss.correction is none: leave it out, or choose a correction"},
    };
    return conf_check_rules (conf, rules, sizeof rules / sizeof *rules, err);
}

/*  Which keys of the other sections need which others. */
static int conf_check_idle (const conf_t *conf, err_t *err)
{
    static const char no_adapter[] = "while model.adapter is none: leave it out, or set "
                                     "model.adapter to lora";
    static const char greedy[] = "while evaluation.temperature is 0: leave it out";
    static const char no_programs[] =
        "where no programs are run, as by a family of texts or a scorer of your own: leave it out";
    static const char no_program[] = "without task.program: leave it out";
    static const char no_roles[] =
        "while loss.credit names no credit by role: leave it out, or set loss.credit to role";
    static const char divided[] =
        "while advantages are divided themselves: leave it out, or set loss.scale to none and "
        "loss.credit to one that is not the critic's";
    char by_family[96];
    const family_t *family = family_find (conf->task.family);
    bool plain = true;
    for (size_t p = 0; p < conf->policies_n; p++)
        plain = plain && conf_check_is (conf->policies[p].adapter, "none");
    bool named = false; /* more than who judges */
    for (size_t p = 0; p < conf->policies_n; p++)
        named =
            named || (conf->policies[p].given && &conf->policies[p] != conf_judge_policy (conf));
    bool programs = family->runs_programs && !*conf->reward.command;
    snprintf (by_family, sizeof by_family,
              "in the %s family, which has one built-in set: leave it out", family->name);
    const rule_t rules[] = {
        {conf_check_is (conf->trainer.schedule, "constant"), "trainer.lr_end",
         "while trainer.schedule is constant: leave it out, or set linear or cosine"},
        {!family->styles[1], "task.style", by_family},
        /* A scorer of one's own may keep to these limits, for each task tells it of them. */
        {!family->runs_programs, "task.cpu_s", no_programs},
        {!family->runs_programs, "task.cpu_total_s", no_programs},
        {!programs, "reward.python_modules", no_programs},
        {!*conf->reward.command, "reward.command_s", "without reward.command: leave it out"},
        {named, "team.policies", "beside policies of your own: leave it out"},
        {!family->by_program, "task.program_s", no_program},
        {!family->by_program, "task.workers", no_program},
        {!family->by_program, "task.seeds", no_program},
        {*conf->task.path, "task.seeds", "beside task.path, which has the tasks: leave it out"},
        {!conf_judged (conf), "judge.",
         "without judge.policy or judge.url: leave it out, or say who is asked"},
        {plain, "model.adapter_path", no_adapter},
        {plain, "model.lora_rank", no_adapter},
        {plain, "model.lora_alpha", no_adapter},
        {plain, "model.lora_targets", no_adapter},
        {!(conf->evaluation.temperature > 0), "evaluation.top_k", greedy},
        {!(conf->evaluation.temperature > 0), "evaluation.top_p", greedy},
        {!(conf->evaluation.temperature > 0), "evaluation.min_p", greedy},
        {!(conf->evaluation.temperature > 0), "evaluation.samples", greedy},
        {!conf_check_is (conf->loss.scale, "none") || conf_credits (conf, "critic") ||
             strchr (conf->loss.credit, '+'),
         "reward.scale", divided},
        {!conf_credits_roles (conf), "reward.team", no_roles},
        {!conf_credits_roles (conf), "reward.local", no_roles},
        {!conf_credits (conf, "critic"), "critic.",
         "while loss.credit does not name critic: leave it out, or set loss.credit to critic or "
         "joint+critic"},
    };
    return conf_check_rules (conf, rules, sizeof rules / sizeof *rules, err);
}

/*  What a protocol has by itself. */
static int conf_check_protocol (const conf_t *conf, err_t *err)
{
    static const char told[] = "with task.program, which says who acts when: leave it out";
    const rule_t rules[] = {
        {*conf->task.program, "team.protocol", told},
        {*conf->task.program, "team.turns", told},
        {*conf->team.turns, "team.protocol", "with turns of your own in team.turns: leave it out"},
        {*conf->team.turns, "task.max_turns", "with turns of your own in team.turns: leave it out"},
        {conf_check_is (conf->team.protocol, "pipeline") ||
             conf_check_is (conf->team.protocol, "plan"),
         "task.max_turns", "with a protocol that has its own turns: leave it out"},
    };
    return conf_check_rules (conf, rules, sizeof rules / sizeof *rules, err);
}

/*  ---- keys that do not go together ----------------------------------------------------------- */

/*  Samples can stand for each other where nobody has seen another one. */
static int conf_check_cross (const conf_t *conf, err_t *err)
{
    int64_t turns = conf->task.max_turns ? conf->task.max_turns
                                         : (int64_t) family_find (conf->task.family)->turns;
    if (conf->team.roles.n > MATES_ROLES_MAX)
        return conf_refuse (conf, "loss.credit", err,
                            "cross scores samples of at most %d roles together, and there are %zu: "
                            "take removal or role",
                            MATES_ROLES_MAX, conf->team.roles.n);
    if (conf->trainer.group_size > MATES_EPISODES_MAX)
        return conf_refuse (conf, "trainer.group_size", err,
                            "%lld squared would be scored with loss.credit cross: at most %d",
                            (long long) conf->trainer.group_size, MATES_EPISODES_MAX);
    if (!conf_check_is (conf->team.protocol, "parallel") || *conf->team.turns)
        return conf_refuse (conf, "loss.credit", err,
                            "cross wants team.protocol parallel, in which all roles act side by "
                            "side: take removal or role");
    if (turns > 1)
        return conf_refuse (conf, "loss.credit", err,
                            "cross wants one turn in which all roles act, and task.max_turns is "
                            "%lld: take removal or role",
                            (long long) turns);
    return 0;
}

/*  What loss and rewards must have among themselves; ranges of single keys stand in keys.h. Each
 *  refusal says what would do. */
static int conf_check_loss (const conf_t *conf, err_t *err)
{
    assign_list_t credits;
    err_t why = {0};
    if (assign_parse (conf->loss.credit, &credits, &why) != 0)
        return conf_refuse (conf, "loss.credit", err, "%s", why.text);
    if (*conf->task.program && (assign_has (&credits, "cross") || assign_has (&credits, "removal")))
        return conf_refuse (conf, "loss.credit", err,
                            "%s scores teams that were never played, which task.program has to: "
                            "take joint, role, role_turn or critic",
                            conf->loss.credit);
    if (assign_has (&credits, "cross") && conf_check_cross (conf, err) != 0)
        return -1;
    if (conf_check_is (conf->loss.type, "rloo") && !conf_check_is (conf->loss.scale, "none"))
        return conf_refuse (conf, "loss.scale", err,
                            "is %s, but rloo does not divide: set it to none", conf->loss.scale);
    /* A bound below the clip would take the place of the clip. */
    if (conf->loss.delta > 0 && conf->loss.delta <= 1 + conf->loss.clip_high)
        return conf_refuse (conf, "loss.delta", err,
                            "%g cuts below the clip at 1 + loss.clip_high = %g: above that, or 0",
                            conf->loss.delta, 1 + conf->loss.clip_high);
    if (conf->loss.overlong_tokens > conf->task.max_tokens)
        return conf_refuse (conf, "loss.overlong_tokens", err,
                            "%lld is more than task.max_tokens %lld, the longest completion",
                            (long long) conf->loss.overlong_tokens,
                            (long long) conf->task.max_tokens);
    if (conf->task.cpu_total_s < conf->task.cpu_s)
        return conf_refuse (conf, "task.cpu_total_s", err,
                            "%g for all tests is less than task.cpu_s %g for one",
                            conf->task.cpu_total_s, conf->task.cpu_s);
    if (!(conf->reward.team + conf->reward.local > 0))
        return conf_refuse (conf, "reward.team", err,
                            "0, as reward.local: no role would be credited with anything");
    if (!(conf->reward.quality + conf->reward.speed + conf->reward.cost > 0))
        return conf_refuse (conf, "reward.quality", err,
                            "0, as speed and cost: every reward would be 0, and nothing learnt");
    return 0;
}

static int conf_check_trainer (const conf_t *conf, err_t *err)
{
    /* A group's baseline is the mean of its episodes: one episode would always get an advantage of
     * 0. */
    if (conf->trainer.group_size < 2 && !conf_check_is (conf->loss.credit, "critic"))
        return conf_refuse (conf, "trainer.group_size", err,
                            "1 leaves nothing to compare an episode with: at least 2 with "
                            "loss.credit %s",
                            conf->loss.credit);
    /* A minibatch without a group would be an update of nothing. */
    if (conf->trainer.minibatches > conf->trainer.groups)
        return conf_refuse (conf, "trainer.minibatches", err,
                            "%lld are whole groups each, but there are only %lld groups",
                            (long long) conf->trainer.minibatches,
                            (long long) conf->trainer.groups);
    /* Trusted and distrusted at once: it would change every step. */
    if (conf->critic.distrust > conf->critic.trust)
        return conf_refuse (conf, "critic.distrust", err, "%g is more than critic.trust %g",
                            conf->critic.distrust, conf->critic.trust);
    return 0;
}

static void conf_check_name_all (const char *const *names, buf_t *text)
{
    for (size_t i = 0; names[i]; i++)
        buf_printf (text, "%s%s", i ? ", " : "", names[i]);
}

/*  Seats and sets are the family's own names, so only it can say which there are. The refusal lists
 *  them, since nothing in a configuration does. */
static int conf_check_seats (const conf_t *conf, const family_t *family, err_t *err)
{
    buf_t seats = {0}, styles = {0};
    int rc = 0;
    conf_check_name_all (family->roles, &seats);
    conf_check_name_all (family->styles, &styles);
    if (conf->team.roles.n == 0)
        rc = conf_refuse (conf, "team.roles", err, "is missing: name seats of the %s family%s%s",
                          family->name, seats.size ? ": " : ", as task.program calls them",
                          seats.size ? seats.data : "");
    /* Where there is one set only, naming another does nothing, as conf_check_idle says. */
    if (rc == 0 && family->styles[1] && !family_has_style (family, conf->task.style))
        rc =
            conf_refuse (conf, "task.style", err, "'%.60s' is no built-in set of the %s family: %s",
                         conf->task.style, family->name, styles.data);
    buf_free (&seats);
    buf_free (&styles);
    return rc;
}

/*  What the run is about comes first: the other checks count on a family that exists. */
static int conf_check_team (const conf_t *conf, err_t *err)
{
    if (!*conf->task.family)
        return conf_refuse (conf, "task.family", err,
                            "is missing: it says what the team works at, one of %s",
                            TASK_FAMILY_CHOICES);
    bool by_program = family_find (conf->task.family)->by_program;
    if (*conf->task.program && !by_program)
        return conf_refuse (conf, "task.family", err,
                            "is %s, whose episodes no program plays: leave it out, or task.program",
                            conf->task.family);
    if (by_program && !*conf->task.program)
        return conf_refuse (conf, "task.program", err,
                            "is missing: it plays the episodes of the %s family",
                            conf->task.family);
    if (conf_check_seats (conf, family_find (conf->task.family), err) != 0)
        return -1;
    /* Words of turns and of prompts. */
    for (size_t i = 0; i < conf->team.roles.n; i++)
        if (conf_check_is (conf->team.roles.item[i], "until") ||
            conf_check_is (conf->team.roles.item[i], "repeat") ||
            prompt_knows (conf->team.roles.item[i], strlen (conf->team.roles.item[i]), NULL, 0))
            return conf_refuse (conf, "team.roles", err,
                                "names '%s', which has a meaning of its own in turns and prompts",
                                conf->team.roles.item[i]);
    for (size_t i = 0; i < conf->team.roles.n; i++)
        for (size_t j = 0; j < i; j++)
            if (conf_check_is (conf->team.roles.item[i], conf->team.roles.item[j]))
                return conf_refuse (conf, "team.roles", err, "names '%s' twice",
                                    conf->team.roles.item[i]);
    /* The name becomes a folder, keys in Redis and topics on the bus. */
    if (strspn (conf->run.name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_.") != strlen (conf->run.name) ||
        !*conf->run.name || strlen (conf->run.name) > 48 || *conf->run.name == '.')
        return conf_refuse (conf, "run.name", err, "'%s': 1 to 48 letters, digits, '-', '_' or '.'",
                            conf->run.name);
    return 0;
}

/*  Checks that need nothing but the configuration; check/check.c looks at folders, tasks and
 *  memory. */
int conf_check (const conf_t *conf, err_t *err)
{
    int (*const checks[]) (const conf_t *, err_t *) = {
        conf_check_team,    conf_check_policies,  conf_check_words, conf_check_loss,
        conf_check_trainer, conf_check_idle_loss, conf_check_idle,  conf_check_protocol};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof checks / sizeof *checks; i++)
        rc = checks[i](conf, err);
    return rc;
}

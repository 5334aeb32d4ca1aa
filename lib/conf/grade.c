/*  grade - the judge section, as it travels with the groups. See table.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/table.h"
#include "task/asks.h"
#include "task/grade.h"
#include "task/mates.h"
#include "task/prompt.h"

#define ANSWERS_MAX 16384 /* of a policy to one request; an agent takes four times as many */

bool conf_judged (const conf_t *conf)
{
    return *conf->judge.url || *conf->judge.policy;
}

void conf_judge (const conf_t *conf, buf_t *text)
{
    const conf_policy_t *policy = conf_judge_policy (conf);
    if (policy && conf_is_remote (policy))
        buf_printf (text, "%s %s %s", policy->url, policy->model, policy->key_env);
    else if (*conf->judge.url)
        buf_printf (text, "%s %s %s", conf->judge.url, conf->judge.model, conf->judge.key_env);
}

/*  Blanks separate what a reward service is told. */
static int grade_check_word (const conf_t *conf, const char *key, const char *word, err_t *err)
{
    return strpbrk (word, " \t\n")
               ? conf_refuse (conf, key, err, "'%.80s': no blank may be in it", word)
               : 0;
}

static int grade_check_policy (const conf_t *conf, err_t *err)
{
    static const char *const servers[] = {"url", "model", "key_env", "seconds"};
    bool remote = conf_is_remote (conf_judge_policy (conf));
    for (size_t i = 0; i < sizeof servers / sizeof *servers; i++) {
        char name[32];
        snprintf (name, sizeof name, "judge.%s", servers[i]);
        if (conf_changed (conf, name) && !(remote && strcmp (servers[i], "seconds") == 0))
            return conf_refuse (conf, name, err, "does nothing beside judge.policy: leave it out");
    }
    const mates_t which = {.cross = conf_credits (conf, "cross"),
                           .removal = conf_credits (conf, "removal")};
    size_t group = (size_t) conf->trainer.group_size,
           teams = group + mates_count (&which, conf->team.roles.n, group);
    if (teams * (size_t) conf->judge.samples > ANSWERS_MAX)
        return conf_refuse (conf, "judge.samples", err,
                            "%lld answers for each of the %zu teams of a group that are scored: "
                            "more than %d together; fewer, or a smaller trainer.group_size",
                            (long long) conf->judge.samples, teams, ANSWERS_MAX);
    return 0;
}

static int grade_check_server (const conf_t *conf, err_t *err)
{
    if (!*conf->judge.model)
        return conf_refuse (conf, "judge.model", err, "is missing: as the server calls it");
    return grade_check_word (conf, "judge.url", conf->judge.url, err) != 0 ||
                   grade_check_word (conf, "judge.model", conf->judge.model, err) != 0 ||
                   grade_check_word (conf, "judge.key_env", conf->judge.key_env, err) != 0
               ? -1
               : 0;
}

static int grade_check (const conf_t *conf, err_t *err)
{
    char unknown[PROMPT_NAME_MAX];
    if ((*conf->judge.policy ? grade_check_policy (conf, err) : grade_check_server (conf, err)) !=
        0)
        return -1;
    if (!(conf->judge.lowest < conf->judge.highest))
        return conf_refuse (conf, "judge.highest", err, "must be above judge.lowest (%g)",
                            conf->judge.lowest);
    if (prompt_unknown (conf->judge.prompt, (const char *const *) conf->team.roles.item,
                        conf->team.roles.n, unknown))
        return conf_refuse (conf, "judge.prompt", err,
                            "has {%s}; what is known there, without blanks: " PROMPT_PARTS,
                            unknown);
    return 0;
}

/*  Ours, with the numbers that the judge is to give. */
static void grade_prompt (const conf_t *conf, buf_t *prompt)
{
    char lowest[32], highest[32];
    snprintf (lowest, sizeof lowest, "%g", conf->judge.lowest);
    snprintf (highest, sizeof highest, "%g", conf->judge.highest);
    const asks_place_t places[] = {{"lowest", lowest}, {"highest", highest}};
    asks_write ("judge", "others", places, 2, prompt);
}

int conf_make_grade (conf_t *conf, err_t *err)
{
    buf_t json = {0}, prompt = {0};
    const conf_policy_t *policy = conf_judge_policy (conf);
    bool judged = conf_judged (conf), own = policy && !conf_is_remote (policy);
    if (judged && grade_check (conf, err) != 0)
        return -1;
    if (*conf->judge.prompt)
        buf_text (&prompt, conf->judge.prompt);
    else
        grade_prompt (conf, &prompt);
    grade_t grade = {.policy = own ? conf->judge.policy : (char[]){""},
                     .url = policy ? policy->url : conf->judge.url,
                     .model = policy ? policy->model : conf->judge.model,
                     .system = conf->judge.system,
                     .prompt = prompt.data,
                     .weight = conf->judge.weight,
                     .lowest = conf->judge.lowest,
                     .highest = conf->judge.highest,
                     .samples = (size_t) conf->judge.samples,
                     .temperature = conf->judge.temperature,
                     .max_tokens = (size_t) conf->judge.max_tokens,
                     .seconds = conf->judge.seconds};
    buf_text (&json, "");
    if (judged && prompt.data)
        grade_write (&grade, &json);
    bool failed = buf_failed (&json) || buf_failed (&prompt);
    free (conf->grade);
    conf->grade = buf_take (&json);
    buf_free (&json);
    buf_free (&prompt);
    return failed || !conf->grade ? err_set (err, ERR_LIMIT, "no memory") : 0;
}

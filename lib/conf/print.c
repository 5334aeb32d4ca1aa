/*  print - a configuration as YAML, and the objective that it stands for. See conf.h */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "conf/table.h"
#include "task/asks.h"

/*  YAML's double quotes, which can hold any text. Control characters become \xHH, which YAML and
 *  table_read_item read back alike. */
void conf_print_quote (buf_t *text, const char *value)
{
    buf_char (text, '"');
    for (; *value; value++)
        if (*value == '"' || *value == '\\')
            buf_printf (text, "\\%c", *value);
        else if ((unsigned char) *value < ' ')
            buf_printf (text, "\\x%02x", (unsigned) (unsigned char) *value);
        else
            buf_char (text, *value);
    buf_char (text, '"');
}

/*  The shortest text that reads back to the same number: 0.1 and not 0.10000000000000001; and 20,
 *  not 2e+01. 17 digits are enough for any double. */
static void conf_print_real (buf_t *text, double value)
{
    char out[40];
    if (fabs (value) < 1e15 && floor (value) >= value) {
        buf_printf (text, "%.0f", value);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf (out, sizeof out, "%.*g", digits, value);
        double back = 0;
        if (sscanf (out, "%lf", &back) == 1 && back >= value && back <= value)
            break;
    }
    buf_text (text, out);
}

/*  Sections are structs of different types; their addresses, in the order of conf_sections, let one
 *  loop walk over all of them. */
#define SECTION_AT(section, KEYS, h) &conf->section,

const void *conf_value (const conf_t *conf, const conf_section_t *section, const conf_key_t *key)
{
    const void *base[] = {CONF_SECTIONS (SECTION_AT)};
    size_t n;
    return (const char *) base[section - conf_sections (&n)] + key->offset;
}

void conf_print_value (const conf_t *conf, const conf_section_t *section, const conf_key_t *key,
                       buf_t *text)
{
    const void *at = conf_value (conf, section, key);
    /* Of several levels: JSON, which YAML reads as it is. */
    if (at == &conf->team.turns && *conf->team.turns)
        buf_text (text, conf->team.turns);
    else if (at == &conf->team.roles && conf_has_words (conf))
        conf_print_roles (conf, text);
    else
        conf_print_at ((const char *) at - key->offset, key, text);
}

void conf_print_at (const void *base, const conf_key_t *key, buf_t *text)
{
    const void *at = (const char *) base + key->offset;
    const conf_list_t *list = at;
    switch (key->kind) {
    case CONF_TEXT:
        conf_print_quote (text, *(char *const *) at);
        break;
    case CONF_WHOLE:
        buf_printf (text, "%lld", (long long) *(const int64_t *) at);
        break;
    case CONF_REAL:
        conf_print_real (text, *(const double *) at);
        break;
    case CONF_BOOL:
        buf_text (text, *(const bool *) at ? "true" : "false");
        break;
    case CONF_LIST:
        buf_char (text, '[');
        for (size_t i = 0; i < list->n; i++) {
            buf_text (text, i ? ", " : "");
            conf_print_quote (text, list->item[i]);
        }
        buf_char (text, ']');
        break;
    }
}

static bool conf_print_is (const char *value, const char *word)
{
    return strcmp (value, word) == 0;
}

bool conf_credits (const conf_t *conf, const char *name)
{
    assign_list_t credits;
    err_t err = {0};
    return assign_parse (conf->loss.credit, &credits, &err) == 0 && assign_has (&credits, name);
}

bool conf_credits_roles (const conf_t *conf)
{
    assign_list_t credits;
    err_t err = {0};
    return assign_parse (conf->loss.credit, &credits, &err) == 0 && assign_has_own (&credits);
}

assign_options_t conf_assign (const conf_t *conf)
{
    const char *scale = conf->loss.scale;
    return (assign_options_t){.scale = conf_print_is (scale, "group")   ? ASSIGN_SCALE_GROUP
                                       : conf_print_is (scale, "batch") ? ASSIGN_SCALE_BATCH
                                                                        : ASSIGN_SCALE_NONE,
                              .leave_one_out = conf_print_is (conf->loss.type, "rloo"),
                              .lambda = conf->critic.lambda};
}

/*  Where the formulas come from is in lib/learn/assign.c. */
static void conf_print_credit_formula (const conf_t *conf, buf_t *text)
{
    assign_list_t credits;
    assign_options_t options = conf_assign (conf);
    err_t err = {0};
    if (assign_parse (conf->loss.credit, &credits, &err) != 0)
        return; /* conf_check has said so */
    buf_printf (text, "advantage = %s", credits.n > 1 ? "mean of, each normalised:\n" : "");
    for (size_t i = 0; i < credits.n; i++) {
        buf_text (text, credits.n > 1 ? "    " : "");
        if (credits.credit[i]->worth)
            assign_formula (credits.credit[i], &options, text);
        else
            buf_printf (text, "normalised GAE (R, V; gamma 1, lambda %g)", options.lambda);
        buf_printf (text, "  [%s]\n", credits.credit[i]->name);
    }
    if (assign_has (&credits, "cross"))
        buf_text (text,
                  "    mates: all samples of the other roles in the group, which are scored with "
                  "this one\n");
    if (assign_has (&credits, "removal"))
        buf_text (text, "    R_without_role: scored again with nothing in the role's place\n");
    if (assign_has (&credits, "critic"))
        buf_printf (
            text,
            "    V: Gaussian process over the words of brief and turns before, from the "
            "last %lld texts\n"
            "    V is used from M >= %g until M < %g, else the rest, or joint; M = 7/8 M + 1/8 "
            "max (E, -1),\n"
            "    E = 1 - var (R - V) / var (R) before V learns from the step\n",
            (long long) conf->critic.replay, conf->critic.trust, conf->critic.distrust);
}

/*  What the token losses are added up with. The types differ in whether a long completion weighs
 *  more than a short one. */
static const char *conf_print_reduction (const char *type)
{
    return conf_print_is (type, "grpo") || conf_print_is (type, "sapo") ||
                   conf_print_is (type, "rloo")
               ? "mean_sequences mean_tokens"
           : conf_print_is (type, "luspo")   ? "mean_sequences sum_tokens"
           : conf_print_is (type, "dr_grpo") ? "1 / (sequences max_tokens) sum_tokens"
                                             : "mean_tokens";
}

/*  The surrogate of one token, x being the name of its importance ratio. */
static void conf_print_surrogate_formula (const conf_t *conf, char x, buf_t *text)
{
    const char *type = conf->loss.type;
    if (conf_print_is (type, "cispo"))
        buf_printf (text, "stop (min (%c, %g)) A logp", x, 1 + conf->loss.clip_high);
    /* Always of the whole sequence, whatever the level: hence not x. */
    else if (conf_print_is (type, "vespo"))
        buf_text (text, "stop (phi (exp (sum_t (logp - logp_old)))) A logp");
    else if (conf_print_is (type, "sapo"))
        buf_printf (text, "4/tau sigmoid (tau (%c - 1)) A [tau %g, or %g where A < 0]", x,
                    conf->loss.sapo_positive, conf->loss.sapo_negative);
    else if (conf->loss.delta > 0)
        buf_printf (text, "min (min (%c, %g) A, clip (%c, %g, %g) A)", x, conf->loss.delta, x,
                    1 - conf->loss.clip_low, 1 + conf->loss.clip_high);
    else
        buf_printf (text, "min (%c A, clip (%c, %g, %g) A)", x, x, 1 - conf->loss.clip_low,
                    1 + conf->loss.clip_high);
}

/*  The same formulas as in loss.c, with the configuration's numbers in them. */
static void conf_print_loss_formula (const conf_t *conf, buf_t *text)
{
    const char *type = conf->loss.type;
    /* One ratio s for the sequence, or r for each token. */
    bool sequence = conf_print_is (conf->loss.level, "sequence") || conf_print_is (type, "rloo");
    char x = sequence ? 's' : 'r';
    buf_printf (text, "loss = -%s (", conf_print_reduction (type));
    conf_print_surrogate_formula (conf, x, text);
    buf_char (text, ')');
    if (conf->loss.kl > 0)
        buf_printf (text, " + %g %s%sKL_%s (policy, %s policy)", conf->loss.kl,
                    conf->loss.kl_ratio ? (char[]){x, 0} : "", conf->loss.kl_ratio ? " " : "",
                    conf->loss.kl_estimator, conf->loss.kl_refresh ? "reference" : "first");
    buf_printf (text, ", %s  [%s]\n",
                conf_print_is (type, "rloo") ? "s = exp (sum_t (logp - logp_old))"
                : sequence                   ? "s = exp (mean_t (logp - logp_old))"
                                             : "r = exp (logp - logp_old)",
                type);
    if (conf->loss.kl_refresh > 0)
        buf_printf (text,
                    "reference policy: the policy as it was after the last multiple of %lld "
                    "steps\n",
                    (long long) conf->loss.kl_refresh);
    if (!conf_print_is (conf->loss.correction, "none")) {
        bool whole = strncmp (conf->loss.correction, "sequence", 8) == 0;
        bool mask = strstr (conf->loss.correction, "mask") != NULL;
        buf_printf (text, "each %s weighs ", whole ? "completion" : "token");
        buf_printf (text, mask ? "c where c <= %g, else 0" : "min (c, %g)",
                    conf->loss.correction_cap);
        buf_printf (text, ", c = exp (%slogp_start - logp_sampled%s)\n", whole ? "mean_t (" : "",
                    whole ? ")" : "");
    }
    if (conf->loss.off_policy_kl > 0)
        buf_printf (text, "left out: completions with A < 0 and mean_t (logp_old - logp) > %g\n",
                    conf->loss.off_policy_kl);
    if (conf->loss.mask_truncated)
        buf_text (text, "left out: completions that the length limit cut\n");
}

/*  Who may look at the clock or ask another model, and what that means; NULL: nobody. */
static const char *conf_print_unlike (const conf_t *conf)
{
    bool remote = false;
    for (size_t p = 0; p < conf->policies_n; p++)
        remote = remote || conf_is_remote (&conf->policies[p]);
    return *conf->task.program     ? "task.program may play the same actions"
           : *conf->reward.command ? "reward.command may score the same episode"
           : *conf->judge.url      ? "the judge may score the same episode"
           : remote                ? "a server may answer the same prompt"
                                   : NULL;
}

bool conf_reproducible (const conf_t *conf)
{
    return !conf_print_unlike (conf);
}

/*  What the configuration maximises, in formulas: those who choose loss.type and its keys see what
 *  they chose. */
void conf_objective (const conf_t *conf, buf_t *text)
{
    buf_printf (text, "R = %g quality + %g speed - %g cost, each in [0, 1]\n", conf->reward.quality,
                conf->reward.speed, conf->reward.cost);
    if (conf_judged (conf))
        buf_printf (text,
                    "quality = %g of the scorer + %g judge; judge = mean of %lld (number - %g) / "
                    "%g\n",
                    1 - conf->judge.weight, conf->judge.weight, (long long) conf->judge.samples,
                    conf->judge.lowest, conf->judge.highest - conf->judge.lowest);
    if (conf->loss.overlong_tokens > 0)
        buf_printf (text, "    - mean_completions clip ((tokens - %lld) / %lld, 0, 1)\n",
                    (long long) (conf->task.max_tokens - conf->loss.overlong_tokens),
                    (long long) conf->loss.overlong_tokens);
    if (conf_print_is (conf->reward.scale, "batch"))
        buf_text (text,
                  "R / (sqrt (V) + 1e-4) counts for R; V = running mean of var_batch (R) over "
                  "about 8 steps\n");
    if (conf_credits_roles (conf))
        buf_printf (text, "R_role = %g R + %g local_role\n", conf->reward.team, conf->reward.local);
    conf_print_credit_formula (conf, text);
    conf_print_loss_formula (conf, text);
    if (!conf_reproducible (conf))
        buf_printf (text, "reproducible: no (%s differently)\n", conf_print_unlike (conf));
}

/*  As comments, so that what is printed can be used as a configuration. */
static void conf_print_objective (const conf_t *conf, buf_t *text)
{
    buf_t formulas = {0};
    conf_objective (conf, &formulas);
    buf_text (text, "\n# The objective:\n");
    for (char *rest = formulas.data, *line; rest && (line = strsep (&rest, "\n"));)
        if (*line)
            buf_printf (text, "#   %s\n", line);
    buf_free (&formulas);
}

/*  The whole table stands there as comments: what was given is what a file says. */
static void conf_print_policies_help (const conf_t *conf, buf_t *text)
{
    buf_t rows = {0};
    conf_print_policies (conf, CONF_ROWS_WHOLE, &rows);
    buf_text (text,
              "\n# policies: {NAME: {KEY: VALUE, ...}, ...} names policies of your own, by "
              "which roles play\n"
              "# (team.roles.ROLE.policy); each has the keys of model, train and lr, or those "
              "of a server\n"
              "# that plays it (README: seats of others). All together:\n");
    for (char *rest = rows.data, *line; rest && (line = strsep (&rest, "\n"));)
        if (*line)
            buf_printf (text, "# %s\n", line);
    buf_free (&rows);
}

/*  What the family asks of its seats, where team.roles.ROLE.prompt says nothing else. */
static void conf_print_asks (const conf_t *conf, buf_t *text)
{
    if (!*conf->task.family)
        return;
    buf_text (text,
              "\n# The prompts of the family ({ask} of team.roles.ROLE.prompt), and what stands "
              "before them:\n");
    asks_show (conf->task.family, "#   ", text);
    asks_show ("seen", "#   ", text);
}

/*  With help this is the reference of all keys; without, it is a file that conf_load reads back to
 *  the same values. */
void conf_print (const conf_t *conf, bool help, buf_t *text)
{
    size_t n;
    const conf_section_t *sections = conf_sections (&n);
    for (size_t s = 0; s < n; s++) {
        if (help)
            buf_printf (text, "%s# %s\n", s ? "\n" : "", sections[s].help);
        buf_printf (text, "%s:\n", sections[s].name);
        for (size_t k = 0; k < sections[s].n; k++) {
            const conf_key_t *key = &sections[s].keys[k];
            size_t from = text->size;
            buf_printf (text, "  %s: ", key->name);
            conf_print_value (conf, &sections[s], key, text);
            /* Help begins in one column where the value leaves room for it. */
            if (help) {
                size_t width = text->size - from;
                buf_printf (text, "%*s# %s%s%s%s", width < 34 ? (int) (34 - width) : 1, "",
                            key->help, key->choices ? " (" : "", key->choices ? key->choices : "",
                            key->choices ? ")" : "");
            }
            buf_char (text, '\n');
        }
    }
    if (help)
        conf_print_policies_help (conf, text);
    conf_print_policies (conf, CONF_ROWS_GIVEN, text);
    if (help) {
        conf_print_asks (conf, text);
        conf_print_objective (conf, text);
    }
}

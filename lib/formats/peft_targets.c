/*  peft_targets - which modules target_modules and the patterns of an adapter_config.json mean. See
 *  peft.h
 *
 *  PEFT walks over the modules of a model and asks of each full name, such as
 *  model.layers.0.self_attn.q_proj: does the pattern match all of it (a string), or is it one of
 *  the names, or does it end with a dot and one of them (a list)? The same is done here, with the
 *  names that models of our architectures have. Adapters here go on a projection in all layers:
 *  targets that leave a layer out are refused, since its tensors may be in the file all the same,
 *  and PEFT does not read them.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <math.h>
#include <pcre2.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "formats/peft_internal.h"
#include "text/parse.h"

#define LAYERS_TRIED 256
#define MODULE_MAX   96
#define KEYS_MAX     1024 /* of a pattern; PEFT's own has one per module at most */

#define TARGET_TEXT(name, text) text,
static const char *const projections[] = {LORA_TARGETS (TARGET_TEXT)};

/*  Modules that PEFT would adapt, or refuse, and that have no adapter here; %zu: the layer. */
static const char *const others[] = {"model.embed_tokens",
                                     "model.norm",
                                     "model.rotary_emb",
                                     "model.layers.%zu.self_attn.q_norm",
                                     "model.layers.%zu.self_attn.k_norm",
                                     "model.layers.%zu.mlp.act_fn",
                                     "model.layers.%zu.input_layernorm",
                                     "model.layers.%zu.post_attention_layernorm",
                                     "model.layers.%zu.self_attn",
                                     "model.layers.%zu.mlp",
                                     "model.layers.%zu",
                                     "model.layers",
                                     "model"};

static void targets_module (unsigned t, size_t layer, char name[MODULE_MAX])
{
    if (t == LORA_HEAD)
        snprintf (name, MODULE_MAX, "lm_head");
    else
        snprintf (name, MODULE_MAX, "model.layers.%zu.%s.%s", layer,
                  t <= LORA_O ? "self_attn" : "mlp", projections[t]);
}

/*  Where the entries together mean each projection. */
typedef struct {
    bool meant[LORA_TARGET_COUNT][LAYERS_TRIED];
} targets_seen_t;

/*  How one entry says which modules it means: a pattern, or a name. */
typedef struct {
    pcre2_code *regex;
    pcre2_match_data *match;
    const char *name;
} targets_rule_t;

static bool targets_match (const targets_rule_t *rule, const char *module)
{
    if (rule->regex)
        return pcre2_match (rule->regex, (PCRE2_SPTR) module, strlen (module), 0, 0, rule->match,
                            NULL) >= 0;
    size_t n = strlen (module), m = strlen (rule->name);
    return parse_ends_with (module, rule->name) && (n == m || module[n - m - 1] == '.');
}

static int targets_apply (const targets_rule_t *rule, targets_seen_t *seen, const char *shown,
                          err_t *err)
{
    char module[MODULE_MAX];
    for (size_t layer = 0; layer < LAYERS_TRIED; layer++) {
        for (unsigned t = 0; t < LORA_TARGET_COUNT; t++) {
            targets_module (t, layer, module);
            if (targets_match (rule, module))
                seen->meant[t][layer] = true;
        }
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
            const char *number = strstr (others[i], "%zu");
            if (number)
                snprintf (module, sizeof module, "%.*s%zu%s", (int) (number - others[i]), others[i],
                          layer, number + 3);
            else
                snprintf (module, sizeof module, "%s", others[i]);
            if (targets_match (rule, module))
                return err_set (err, ERR_INPUT,
                                "target_modules: '%.80s' means %s, too, which has no adapter here; "
                                "known: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, "
                                "down_proj, lm_head",
                                shown, module);
        }
    }
    return 0;
}

static void targets_free (targets_rule_t *rule)
{
    pcre2_match_data_free (rule->match);
    pcre2_code_free (rule->regex);
}

/*  A pattern of Python's, which has to match all of a name. key: whose it is, for the error. */
static int targets_compile (const char *key, const char *pattern, targets_rule_t *rule, err_t *err)
{
    int code;
    PCRE2_SIZE at;
    *rule = (targets_rule_t){.regex = pcre2_compile ((PCRE2_SPTR) pattern, PCRE2_ZERO_TERMINATED,
                                                     PCRE2_ANCHORED | PCRE2_ENDANCHORED, &code, &at,
                                                     NULL)};
    if (!rule->regex)
        return err_set (err, ERR_INPUT, "%s: '%.80s' is no pattern", key, pattern);
    rule->match = pcre2_match_data_create (32, NULL);
    return rule->match ? 0 : err_set (err, ERR_LIMIT, "no memory for a pattern");
}

static int targets_pattern (const char *pattern, targets_seen_t *seen, err_t *err)
{
    targets_rule_t rule;
    int rc = targets_compile ("target_modules", pattern, &rule, err);
    if (rc == 0)
        rc = targets_apply (&rule, seen, pattern, err);
    targets_free (&rule);
    return rc;
}

/*  A projection is adapted where any layer's is meant; of a model that is known, in all layers. */
static int targets_add (const targets_seen_t *seen, size_t layers, lora_config_t *config,
                        err_t *err)
{
    char module[MODULE_MAX];
    for (unsigned t = 0; t < LORA_TARGET_COUNT; t++)
        for (size_t layer = 0; layer < LAYERS_TRIED; layer++)
            if (seen->meant[t][layer])
                config->targets |= 1u << t;
    for (unsigned t = 0; t < LORA_TARGET_COUNT; t++)
        for (size_t layer = 0; layer < layers && layer < LAYERS_TRIED; layer++)
            if (config->targets >> t & 1u && !seen->meant[t][layer]) {
                targets_module (t, layer, module);
                return err_set (err, ERR_INPUT,
                                "target_modules leaves out %s; adapters on a projection in some "
                                "layers only are not supported",
                                module);
            }
    return 0;
}

int peft_read_targets (const json_t *targets, size_t layers, lora_config_t *config, err_t *err)
{
    targets_seen_t seen = {0};
    size_t i;
    const json_t *item;
    const char *text = json_string_value (targets);
    int rc = 0;
    if (text && strcasecmp (text, "all-linear") == 0)
        return lora_add_target (config, "all-linear", err);
    if (text)
        rc = targets_pattern (text, &seen, err);
    else if (!json_is_array (targets) || json_array_size (targets) == 0)
        rc = err_set (err, ERR_INPUT,
                      "target_modules is missing: a list of projections, or a pattern");
    json_array_foreach (targets, i, item) {
        const targets_rule_t rule = {.name = json_string_value (item)};
        if (rc == 0 && (!rule.name || !*rule.name))
            rc = err_set (err, ERR_INPUT, "target_modules holds what is no name");
        else if (rc == 0)
            rc = targets_apply (&rule, &seen, rule.name, err);
    }
    if (rc == 0)
        rc = targets_add (&seen, layers, config, err);
    /* PEFT takes names that no module has, as long as there are others. */
    if (rc == 0 && config->targets == 0)
        rc = err_set (err, ERR_INPUT, "target_modules: '%.80s' means no module of the model",
                      text ? text : json_string_value (json_array_get (targets, 0)));
    return rc;
}

/*  ---- ranks and alphas ---- */

/*  What a pattern says of each projection in each layer; NULL: nothing. Borrowed from it. */
typedef struct {
    const json_t *value[LORA_TARGET_COUNT][LAYERS_TRIED];
} targets_told_t;

/*  PEFT takes the first key for which (.*\.)?(KEY) matches all of a module's name. */
static int targets_ask (const json_t *pattern, const char *name, size_t layers,
                        const lora_config_t *config, targets_told_t *told, err_t *err)
{
    char module[MODULE_MAX];
    const char *key;
    json_t *value;
    int rc = 0;
    json_object_foreach ((json_t *) (uintptr_t) pattern, key, value) {
        buf_t regex = {0};
        targets_rule_t rule;
        buf_printf (&regex, "(.*\\.)?(%s)", key);
        rc = targets_compile (name, regex.data ? regex.data : "", &rule, err);
        for (unsigned t = 0; rc == 0 && t < LORA_TARGET_COUNT; t++)
            for (size_t layer = 0; config->targets >> t & 1u && layer < layers; layer++) {
                targets_module (t, layer, module);
                if (!told->value[t][layer] && targets_match (&rule, module))
                    told->value[t][layer] = value;
            }
        targets_free (&rule);
        buf_free (&regex);
        if (rc != 0)
            break;
    }
    return rc;
}

/*  One value for all layers of a projection; numbers are compared as they are written. */
static int targets_agree (const targets_told_t *told, const char *name, unsigned t, size_t layers,
                          err_t *err)
{
    char module[MODULE_MAX];
    const json_t *first = told->value[t][0];
    for (size_t layer = 1; layer < layers; layer++) {
        const json_t *here = told->value[t][layer];
        if (here == first || (here && first && json_equal (here, first)))
            continue;
        targets_module (t, layer, module);
        return err_set (err, ERR_INPUT,
                        "%s says of %s what it does not say of layer 0; a projection's adapters "
                        "have one rank and one lora_alpha in all layers here",
                        name, module);
    }
    return 0;
}

/*  Of a model that is not known yet the first layer counts: the others are asked when it is. */
static int targets_read_pattern (const json_t *root, const char *name, size_t layers,
                                 const lora_config_t *config, targets_told_t *told, err_t *err)
{
    const json_t *pattern = json_object_get (root, name);
    *told = (targets_told_t){0};
    if (!pattern || json_is_null (pattern))
        return 0;
    if (!json_is_object (pattern) || json_object_size (pattern) > KEYS_MAX)
        return err_set (err, ERR_INPUT, "%s is no object of at most %d patterns", name, KEYS_MAX);
    size_t asked = layers == 0 ? 1 : layers < LAYERS_TRIED ? layers : LAYERS_TRIED;
    int rc = targets_ask (pattern, name, asked, config, told, err);
    for (unsigned t = 0; rc == 0 && t < LORA_TARGET_COUNT; t++)
        rc = targets_agree (told, name, t, asked, err);
    return rc;
}

int peft_read_patterns (const json_t *root, size_t layers, lora_config_t *config, err_t *err)
{
    targets_told_t ranks, alphas;
    if (targets_read_pattern (root, "rank_pattern", layers, config, &ranks, err) != 0 ||
        targets_read_pattern (root, "alpha_pattern", layers, config, &alphas, err) != 0)
        return -1;
    for (unsigned t = 0; t < LORA_TARGET_COUNT; t++) {
        const json_t *rank = ranks.value[t][0], *alpha = alphas.value[t][0];
        json_int_t r = json_integer_value (rank);
        double a = json_number_value (alpha);
        if (rank && (r < 1 || r > LORA_RANK_MAX))
            return err_set (err, ERR_INPUT,
                            "rank_pattern gives %s the rank %lld; it must be a whole number from 1 "
                            "to %d",
                            projections[t], (long long) r, LORA_RANK_MAX);
        if (alpha && (!(a > 0) || !isfinite (a)))
            return err_set (err, ERR_INPUT,
                            "alpha_pattern gives %s %g; it must be a number above 0",
                            projections[t], a);
        config->own_rank[t] = rank ? (size_t) r : 0;
        config->own_alpha[t] = alpha ? a : 0;
    }
    return 0;
}

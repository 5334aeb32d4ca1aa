/*  peft_targets - which modules target_modules of an adapter_config.json means. See peft.h
 *
 *  PEFT walks over the modules of a model and asks of each full name, such as
 *  model.layers.0.self_attn.q_proj: does the pattern match all of it (a string), or is it one of
 *  the names, or does it end with a dot and one of them (a list)? The same is done here, with the
 *  names that models of our architectures have. Adapters here go on a projection in all layers:
 *  targets that leave a layer out are refused, since its tensors may be in the file all the same,
 *  and PEFT does not read them.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "formats/peft_internal.h"
#include "text/parse.h"

#define LAYERS_TRIED 256
#define MODULE_MAX   96

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

/*  A pattern of Python's, which has to match all of a name. */
static int targets_pattern (const char *pattern, targets_seen_t *seen, err_t *err)
{
    int code;
    PCRE2_SIZE at;
    targets_rule_t rule = {.regex = pcre2_compile ((PCRE2_SPTR) pattern, PCRE2_ZERO_TERMINATED,
                                                   PCRE2_ANCHORED | PCRE2_ENDANCHORED, &code, &at,
                                                   NULL)};
    if (!rule.regex)
        return err_set (err, ERR_INPUT, "target_modules: '%.80s' is no pattern", pattern);
    rule.match = pcre2_match_data_create (32, NULL);
    int rc = rule.match ? targets_apply (&rule, seen, pattern, err)
                        : err_set (err, ERR_LIMIT, "no memory for a pattern");
    pcre2_match_data_free (rule.match);
    pcre2_code_free (rule.regex);
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

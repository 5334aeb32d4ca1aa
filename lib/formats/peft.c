/*  peft - see peft.h
 *
 *  Which keys mean what: peft_type, task_type and bias must have the one value that fits; r,
 *  lora_alpha, use_rslora and target_modules are the adapters; lora_dropout is of training with
 *  dropout, which this is not; names and versions change nothing. All other keys (DoRA, rank
 *  patterns, modules to save ...) must be off: null, false or empty, but not 0, which is a layer in
 *  layers_to_transform. Tensors are "base_model.model.MODULE.lora_A.weight"
 *  and lora_B, as lora.c names them.
 */
#include "formats/peft.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/hf.h"
#include "formats/peft_internal.h"
#include "formats/safetensors.h"
#include "text/parse.h"

#define CONFIG     "adapter_config.json"
#define WEIGHTS    "adapter_model.safetensors"
#define CONFIG_MAX ((size_t) 1 << 20)

/*  ---- adapter_config.json ---- */

/*  Keys that change nothing here whatever they say; lora_dropout is of training and not used. */
static const char *const ignored[] = {
    "auto_mapping", "base_model_name_or_path", "inference_mode", "init_lora_weights",
    "lora_dropout", "megatron_core",           "peft_version",   "qalora_group_size",
    "revision",     "ensure_weight_tying",     "runtime_config"};
static const char *const known[] = {"peft_type",      "task_type",  "r",   "lora_alpha",
                                    "target_modules", "use_rslora", "bias"};

static bool peft_among (const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp (name, list[i]) == 0)
            return true;
    return false;
}

/*  Objects without a key switch nothing on here; elsewhere {} means "with its defaults". */
static const char *const emptied[] = {"rank_pattern", "alpha_pattern", "loftq_config"};

/*  Whether a value switches nothing on. */
static bool peft_is_off (const char *key, const json_t *value)
{
    if (json_is_string (value))
        return json_string_length (value) == 0;
    return json_is_null (value) || json_is_false (value) ||
           (json_is_array (value) && json_array_size (value) == 0) ||
           (json_is_object (value) && json_object_size (value) == 0 &&
            peft_among (key, emptied, sizeof emptied / sizeof *emptied));
}

/*  Options of today and of tomorrow: what is switched on and not known here is refused, as it may
 *  change the formula. */
static int peft_check_options (const json_t *root, err_t *err)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *) (uintptr_t) root, key, value) {
        if (!peft_among (key, ignored, sizeof ignored / sizeof *ignored) &&
            !peft_among (key, known, sizeof known / sizeof *known) && !peft_is_off (key, value))
            return err_set (err, ERR_INPUT,
                            "%.64s is set; plain LoRA adapters without it are supported", key);
    }
    /* "pissa", "olora" and their kind change the base. */
    const json_t *init = json_object_get (root, "init_lora_weights");
    if (json_is_string (init) && strcmp (json_string_value (init), "gaussian") != 0 &&
        strcmp (json_string_value (init), "orthogonal") != 0)
        return err_set (err, ERR_INPUT,
                        "init_lora_weights is '%.32s', which may change the base's weights; "
                        "convert it to a plain LoRA adapter first",
                        json_string_value (init));
    return 0;
}

static int peft_check_text (const json_t *root, const char *key, const char *wanted, bool needed,
                            err_t *err)
{
    const json_t *value = json_object_get (root, key);
    const char *text = json_string_value (value);
    if (text ? strcmp (text, wanted) == 0 : !needed && (!value || json_is_null (value)))
        return 0;
    return err_set (err, ERR_INPUT, "%s is '%.32s'; supported: %s", key, text ? text : "(none)",
                    wanted);
}

static int peft_parse_numbers (const json_t *root, lora_config_t *config, err_t *err)
{
    const json_t *rank = json_object_get (root, "r"), *alpha = json_object_get (root, "lora_alpha");
    const json_t *rslora = json_object_get (root, "use_rslora");
    json_int_t r = json_integer_value (rank);
    double a = json_number_value (alpha);
    if (r < 1 || r > LORA_RANK_MAX)
        return err_set (err, ERR_INPUT, "r is %lld; it must be a whole number from 1 to %d",
                        (long long) r, LORA_RANK_MAX);
    if (!(a > 0) || !isfinite (a))
        return err_set (err, ERR_INPUT, "lora_alpha is %g; it must be a number above 0", a);
    config->rank = (size_t) r;
    config->alpha = a;
    if (rslora && !json_is_boolean (rslora) && !json_is_null (rslora))
        return err_set (err, ERR_INPUT, "use_rslora is neither true nor false");
    config->rslora = json_is_true (rslora);
    return 0;
}

/*  Every key is accounted for: those that are understood, those that change nothing, and those that
 *  are off. Whatever else is there would mean another formula than model/lora.h's. */
static int peft_parse_for (const char *json, size_t layers, lora_config_t *config, err_t *err)
{
    json_error_t where;
    json_t *root = json_loads (json, 0, &where);
    *config = (lora_config_t){0};
    int rc = 0;
    if (parse_is_pointer (json, strlen (json)))
        rc = err_set (err, ERR_INPUT, PARSE_POINTER);
    else if (parse_has_mark (json, strlen (json)))
        rc = err_set (err, ERR_INPUT, PARSE_MARK);
    else if (!json_is_object (root))
        rc = err_set (err, ERR_INPUT, "line %d: no JSON object: %s", where.line, where.text);
    if (rc == 0)
        rc = peft_check_text (root, "peft_type", "LORA", true, err);
    if (rc == 0)
        rc = peft_check_text (root, "task_type", "CAUSAL_LM", false, err);
    if (rc == 0)
        rc = peft_check_text (root, "bias", "none", false, err);
    if (rc == 0)
        rc = peft_check_options (root, err);
    if (rc == 0)
        rc = peft_parse_numbers (root, config, err);
    if (rc == 0)
        rc = peft_read_targets (json_object_get (root, "target_modules"), layers, config, err);
    json_decref (root);
    return rc == 0 ? 0 : err_wrap (err, CONFIG);
}

int peft_parse (const char *json, lora_config_t *config, err_t *err)
{
    return peft_parse_for (json, 0, config, err);
}

#define TARGET_TEXT(name, text) text,

/*  inference_mode is what PEFT writes for finished adapters; fan_in_fan_out false: [outputs,
 *  inputs], as everywhere here. */
char *peft_json (const lora_config_t *config, const char *base)
{
    static const char *const names[] = {LORA_TARGETS (TARGET_TEXT)};
    json_t *targets = json_array ();
    for (unsigned t = 0; t < LORA_TARGET_COUNT; t++)
        if (config->targets >> t & 1u)
            json_array_append_new (targets, json_string (names[t]));
    json_t *root =
        json_pack ("{s:s, s:s, s:s, s:I, s:f, s:b, s:o, s:s, s:f, s:b, s:b, s:b}", "peft_type",
                   "LORA", "task_type", "CAUSAL_LM", "base_model_name_or_path", base, "r",
                   (json_int_t) config->rank, "lora_alpha", config->alpha, "use_rslora",
                   (int) config->rslora, "target_modules", targets, "bias", "none", "lora_dropout",
                   0.0, "fan_in_fan_out", 0, "inference_mode", 1, "init_lora_weights", 1);
    char *text = json_dumps (root, JSON_INDENT (2) | JSON_REAL_PRECISION (15));
    json_decref (root);
    return text;
}

/*  ---- folders ---- */

/*  A run of several policies has a folder per policy; a single adapter is the folder itself. */
int peft_find (const char *parent, const char *name, char dir[FS_PATH_MAX], err_t *err)
{
    char own[FS_PATH_MAX];
    if (fs_join (own, parent, CONFIG, err) != 0 || fs_join (dir, parent, name, err) != 0)
        return -1;
    if (fs_exists (dir))
        return 0;
    snprintf (dir, FS_PATH_MAX, "%s", parent);
    return fs_exists (own)
               ? 0
               : err_set (err, ERR_INPUT, "%s: neither " CONFIG " nor a folder '%s' in it", parent,
                          name);
}

static int peft_read_config_for (const char *dir, size_t layers, lora_config_t *config, err_t *err)
{
    char path[FS_PATH_MAX];
    buf_t text = {0};
    if (fs_join (path, dir, CONFIG, err) != 0)
        return -1;
    int rc = fs_read (path, CONFIG_MAX, &text, err);
    if (rc == 0 && (rc = peft_parse_for (text.data, layers, config, err)) != 0)
        err_wrap (err, "%s", dir);
    buf_free (&text);
    return rc;
}

int peft_read_config (const char *dir, lora_config_t *config, err_t *err)
{
    return peft_read_config_for (dir, 0, config, err);
}

static const model_tensor_t *peft_tensor_named (const model_t *model, const char *name)
{
    for (size_t i = 0; i < model_tensors (model); i++)
        if (strcmp (model_tensor (model, i)->name, name) == 0)
            return model_tensor (model, i);
    return NULL;
}

static int peft_read_tensor (const safetensors_t *file, const model_tensor_t *t, float *params,
                             err_t *err)
{
    const safetensors_entry_t *e = safetensors_find (file, t->name);
    if (!e)
        return err_set (err, ERR_INPUT, "tensor %s is missing", t->name);
    if (e->rank != 2 || e->shape[0] != t->rows || e->shape[1] != t->columns)
        return err_set (err, ERR_INPUT, "tensor %s has the shape [%zu, %zu], wanted is [%zu, %zu]",
                        t->name, e->rank > 0 ? e->shape[0] : 1, e->rank > 1 ? e->shape[1] : 1,
                        t->rows, t->columns);
    return safetensors_read (file, e, 0, e->n, params + t->offset, err);
}

/*  In both directions: every tensor of the model is in the file, and every tensor of the file is
 *  the model's. A tensor that nobody reads would be an adapter that has no effect. The
 *  configuration is read again, since it can be compared with the number of layers only here. */
int peft_read_params (const char *dir, const model_t *model, float *params, err_t *err)
{
    char path[FS_PATH_MAX];
    lora_config_t config;
    if (peft_read_config_for (dir, model_config (model)->layers, &config, err) != 0 ||
        fs_join (path, dir, WEIGHTS, err) != 0)
        return -1;
    char other[FS_PATH_MAX];
    if (!fs_exists (path) && fs_join (other, dir, "adapter_model.bin", NULL) == 0 &&
        fs_exists (other))
        return err_set (err, ERR_INPUT,
                        "%s: the adapter's weights are in adapter_model.bin only; load it with "
                        "PEFT and save it again, which writes " WEIGHTS,
                        dir);
    safetensors_t *file = safetensors_open (path, err);
    if (!file)
        return -1;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < model_tensors (model); i++)
        rc = peft_read_tensor (file, model_tensor (model, i), params, err);
    for (size_t i = 0; rc == 0 && i < safetensors_count (file); i++) {
        const char *name = safetensors_entry (file, i)->name;
        if (!peft_tensor_named (model, name))
            rc = err_set (err, ERR_INPUT,
                          "tensor %.128s belongs to no adapter that " CONFIG " names%s", name,
                          strstr (name, ".base_layer.")
                              ? ": save the adapter with save_embedding_layers=False"
                              : "");
    }
    safetensors_close (&file);
    return rc == 0 ? 0 : err_wrap (err, "%s", path);
}

int peft_save (const char *dir, const model_t *model, const float *params, const char *base,
               err_t *err)
{
    char path[FS_PATH_MAX];
    char *text = peft_json (lora_config (model), base);
    int rc = text ? fs_join (path, dir, CONFIG, err)
                  : err_set (err, ERR_LIMIT, "no memory to write %s", CONFIG);
    if (rc == 0)
        rc = fs_write (path, text, strlen (text), err);
    if (rc == 0)
        rc = hf_save_weights (dir, WEIGHTS, HF_F32, model, params, err);
    free (text);
    return rc;
}

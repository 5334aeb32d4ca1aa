/*  hf_config - config.json of Hugging Face, read and written. See hf.h
 *
 *  Two dialects: transformers 5 writes rope_parameters and dtype, older ones rope_theta,
 *  rope_scaling and torch_dtype. What changes the computation and is not supported is refused by
 *  name.
 *
 *  The rule: what changes the computation is read, or refused by name; what does not is ignored. A
 *  key that we overlooked would give wrong numbers in silence, so the options of the four
 *  architectures are all accounted for, in the dialects of transformers before and since version 5.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "formats/hf.h"
#include "text/parse.h"

#define SIZE_MAX_ALLOWED (1LL << 31)
#define DEFAULT_WINDOW   4096
/*  max_window_layers of Qwen: the first so many layers have no window. */
#define DEFAULT_FULL_LAYERS 28

static const struct {
    const char *type, *class, *base; /* without a head: what AutoModel saves */
} archs[ARCH_COUNT] = {{"llama", "LlamaForCausalLM", "LlamaModel"},
                       {"mistral", "MistralForCausalLM", "MistralModel"},
                       {"qwen2", "Qwen2ForCausalLM", "Qwen2Model"},
                       {"qwen3", "Qwen3ForCausalLM", "Qwen3Model"}};

static const char *hf_config_text_of (const json_t *object, const char *key)
{
    return json_string_value (json_object_get (object, key));
}

/*  null is as good as left out: transformers writes many keys so. */
static bool hf_config_is_set (const json_t *object, const char *key)
{
    const json_t *value = json_object_get (object, key);
    return value && !json_is_null (value);
}

/*  Names a key and its value as it stands in the file. */
static int hf_config_refuse_value (const json_t *object, const char *key, const char *why,
                                   err_t *err)
{
    char *text = json_dumps (json_object_get (object, key),
                             JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION (15));
    err_set (err, ERR_INPUT, "config.json: %s %.80s is %s", key, text ? text : "", why);
    free (text);
    return -1;
}

/*  A size, which must be a whole number from 1 on; fallback -1: it must be there. */
static int hf_config_read_size (const json_t *root, const char *key, json_int_t fallback,
                                size_t *to, err_t *err)
{
    int64_t size;
    if (!hf_config_is_set (root, key)) {
        if (fallback < 0)
            return err_set (err, ERR_INPUT, "config.json: %s is missing", key);
        *to = (size_t) fallback;
        return 0;
    }
    if (!parse_whole (json_object_get (root, key), &size) || size < 1 || size > SIZE_MAX_ALLOWED)
        return hf_config_refuse_value (root, key, "no sensible size", err);
    *to = (size_t) size;
    return 0;
}

/*  A number that may be left out. What is there and no number must not become the default, which
 *  is not what the file says. */
static int hf_config_read_number (const json_t *object, const char *key, double fallback,
                                  double *to, err_t *err)
{
    const json_t *value = json_object_get (object, key);
    if (value && !json_is_number (value))
        return hf_config_refuse_value (object, key, "no number", err);
    *to = value ? json_number_value (value) : fallback;
    return 0;
}

/*  The same for true and false; null was false before transformers 5. */
static int hf_config_read_flag (const json_t *root, const char *key, bool fallback, bool *to,
                                err_t *err)
{
    const json_t *value = json_object_get (root, key);
    if (hf_config_is_set (root, key) && !json_is_boolean (value))
        return hf_config_refuse_value (root, key, "neither true nor false", err);
    *to = value ? json_is_true (value) : fallback;
    return 0;
}

/*  "model_type" names the class that computes, for AutoModelForCausalLM; "architectures" the class
 *  that was saved, and alone it is enough. */
static int hf_config_read_arch (const json_t *root, model_config_t *model, err_t *err)
{
    const char *class =
        json_string_value (json_array_get (json_object_get (root, "architectures"), 0));
    const char *type = hf_config_text_of (root, "model_type");
    int named = ARCH_COUNT, typed = ARCH_COUNT;
    for (int a = 0; a < ARCH_COUNT; a++) {
        if (class && (strcmp (class, archs[a].class) == 0 || strcmp (class, archs[a].base) == 0))
            named = a;
        if (type && strcmp (type, archs[a].type) == 0)
            typed = a;
    }
    const char *unknown = class && named == ARCH_COUNT  ? class
                          : type && typed == ARCH_COUNT ? type
                          : !class && !type             ? "(none named)"
                                                        : NULL;
    if (unknown)
        return err_set (err, ERR_INPUT,
                        "config.json: architecture %.80s is not supported; llama, mistral, qwen2 "
                        "and qwen3 are",
                        unknown);
    if (class && type && named != typed)
        return err_set (err, ERR_INPUT,
                        "config.json: architectures says %s and model_type %s; one of them is "
                        "wrong",
                        class, type);
    model->arch = (model_arch_t) (type ? typed : named);
    return 0;
}

/*  Fallbacks are transformers', by architecture. A key that is null is not one that is missing: its
 *  value then follows from the others (every head has keys of its own, the width is divided by the
 *  heads). */
static int hf_config_read_sizes (const json_t *root, model_config_t *m, err_t *err)
{
    static const struct {
        json_int_t context, kv_heads, head_dim; /* 0: from the other sizes */
    } defaults[ARCH_COUNT] = {[ARCH_LLAMA] = {2048, 0, 0},
                              [ARCH_MISTRAL] = {131072, 8, 0},
                              [ARCH_QWEN2] = {32768, 32, 0},
                              [ARCH_QWEN3] = {32768, 32, 128}};
    const json_int_t kv = defaults[m->arch].kv_heads, dim = defaults[m->arch].head_dim;
    if (json_is_null (json_object_get (root, "max_position_embeddings")))
        return hf_config_refuse_value (root, "max_position_embeddings", "no sensible size", err);
    if (hf_config_read_size (root, "hidden_size", -1, &m->width, err) != 0 ||
        hf_config_read_size (root, "num_hidden_layers", -1, &m->layers, err) != 0 ||
        hf_config_read_size (root, "num_attention_heads", -1, &m->heads, err) != 0 ||
        hf_config_read_size (root, "intermediate_size", -1, &m->ff, err) != 0 ||
        hf_config_read_size (root, "vocab_size", -1, &m->vocab, err) != 0 ||
        hf_config_read_size (root, "max_position_embeddings", defaults[m->arch].context,
                             &m->context, err) != 0 ||
        hf_config_read_size (
            root, "num_key_value_heads",
            !kv || json_object_get (root, "num_key_value_heads") ? (json_int_t) m->heads : kv,
            &m->kv_heads, err) != 0)
        return -1;
    if (m->heads % m->kv_heads)
        return err_set (err, ERR_INPUT,
                        "config.json: %zu heads are no multiple of %zu key-value heads", m->heads,
                        m->kv_heads);
    return hf_config_read_size (
        root, "head_dim",
        !dim || json_object_get (root, "head_dim") ? (json_int_t) (m->width / m->heads) : dim,
        &m->head_dim, err);
}

static int hf_config_refuse_flag (const json_t *root, const char *key, err_t *err)
{
    bool on;
    if (hf_config_read_flag (root, key, false, &on, err) != 0)
        return -1;
    return on ? hf_config_refuse_value (root, key, "not supported", err) : 0;
}

/*  Whether a layer has a window, by layer_types, or else by max_window_layers of Qwen. Kinds of
 *  layers that nobody here computes are refused. */
static int hf_config_read_layer_types (const json_t *root, const model_config_t *m, bool *sliding,
                                       err_t *err)
{
    const json_t *types = json_object_get (root, "layer_types"), *value;
    size_t i, full = DEFAULT_FULL_LAYERS;
    *sliding = false;
    if (!hf_config_is_set (root, "layer_types")) {
        if (json_object_get (root, "max_window_layers")) {
            int64_t size;
            if (!parse_whole (json_object_get (root, "max_window_layers"), &size))
                return hf_config_refuse_value (root, "max_window_layers", "no sensible size", err);
            full = size < 0 ? 0 : (size_t) size;
        }
        *sliding = full < m->layers;
        return 0;
    }
    if (json_array_size (types) != m->layers)
        return hf_config_refuse_value (root, "layer_types", "no list of one kind per layer", err);
    json_array_foreach (types, i, value) {
        const char *type = json_string_value (value);
        bool window = type && strcmp (type, "sliding_attention") == 0;
        if (!window && (!type || (strcmp (type, "full_attention") && strcmp (type, "attention"))))
            return hf_config_refuse_value (root, "layer_types", "not supported", err);
        *sliding = *sliding || window;
    }
    return 0;
}

/*  As transformers reads it: Llama knows no window, Qwen uses one in some layers where
 *  use_sliding_window says so, and Mistral's is of 4096 tokens where the key is missing. A window
 *  as long as the context changes nothing. */
static int hf_config_refuse_window (const json_t *root, const model_config_t *m, err_t *err)
{
    const json_t *window = json_object_get (root, "sliding_window");
    bool qwen = m->arch == ARCH_QWEN2 || m->arch == ARCH_QWEN3, uses, sliding;
    int64_t size = DEFAULT_WINDOW;
    if (hf_config_read_layer_types (root, m, &sliding, err) != 0 ||
        hf_config_read_flag (root, "use_sliding_window", false, &uses, err) != 0)
        return -1;
    bool none = json_is_null (window) || !(m->arch == ARCH_MISTRAL || (qwen && uses));
    if (none && sliding && hf_config_is_set (root, "layer_types"))
        return err_set (err, ERR_INPUT,
                        "config.json: layer_types has sliding_attention, and there is no "
                        "sliding_window in use");
    if (none || (qwen && !sliding))
        return 0;
    if (window && !parse_whole (window, &size))
        return hf_config_refuse_value (root, "sliding_window", "no sensible size", err);
    if (size >= (int64_t) m->context)
        return 0;
    return err_set (
        err, ERR_INPUT,
        "config.json: sliding_window %lld%s shorter than max_position_embeddings %zu is "
        "not supported",
        (long long) size, window ? "" : " (it is not set, which means that)", m->context);
}

static int hf_config_refuse_quantization (const json_t *root, err_t *err)
{
    if (!hf_config_is_set (root, "quantization_config"))
        return 0;
    const char *method =
        hf_config_text_of (json_object_get (root, "quantization_config"), "quant_method");
    return err_set (err, ERR_INPUT,
                    "config.json: quantization_config %s is not supported; bring the folder with "
                    "F32, BF16 or F16 weights",
                    method ? method : "");
}

/*  Options of these architectures, and those that transformers reads for every one, that would
 *  change the computation; what is neither read nor refused here changes nothing. */
static int hf_config_refuse_options (const json_t *root, const model_config_t *m, err_t *err)
{
    static const char *const others[] = {"compression_config", "per_layer_config",
                                         "kv_sharing_modes", "fusion_config",
                                         "transformers_weights"};
    const json_t *act = json_object_get (root, "hidden_act");
    const char *name = json_string_value (act);
    bool causal;
    if (act && !(name && (strcmp (name, "silu") == 0 || strcmp (name, "swish") == 0)))
        return hf_config_refuse_value (root, "hidden_act", "not supported; silu is", err);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const json_t *value = json_object_get (root, others[i]);
        if (hf_config_is_set (root, others[i]) &&
            !(json_is_object (value) && json_object_size (value) == 0))
            return hf_config_refuse_value (root, others[i], "not supported", err);
    }
    if (hf_config_read_flag (root, "is_causal", true, &causal, err) != 0)
        return -1;
    if (!causal && hf_config_is_set (root, "is_causal"))
        return hf_config_refuse_value (root, "is_causal", "not supported", err);
    if (hf_config_refuse_quantization (root, err) != 0 ||
        hf_config_refuse_window (root, m, err) != 0)
        return -1;
    if (m->arch != ARCH_QWEN2 && hf_config_refuse_flag (root, "attention_bias", err) != 0)
        return -1;
    return hf_config_refuse_flag (root, "mlp_bias", err);
}

/*  Rotating a part of each head only. */
static int hf_config_refuse_partial (const json_t *object, err_t *err)
{
    double share = 1;
    if (hf_config_is_set (object, "partial_rotary_factor") &&
        hf_config_read_number (object, "partial_rotary_factor", 1, &share, err) != 0)
        return -1;
    return fabs (share - 1) > 1e-9
               ? hf_config_refuse_value (object, "partial_rotary_factor", "not supported", err)
               : 0;
}

/*  A number that the reference has no default for. */
static int hf_config_read_factor (const json_t *rope, const char *key, double *to, err_t *err)
{
    const json_t *value = json_object_get (rope, key);
    if (!json_is_number (value))
        return err_set (err, ERR_INPUT, "config.json: the rope has no %s", key);
    *to = json_number_value (value);
    return 0;
}

static int hf_config_read_scaling (const json_t *root, const json_t *rope, const char *type,
                                   model_config_t *m, err_t *err)
{
    m->rope_low = 1;
    m->rope_high = 4;
    if (strcmp (type, "linear") == 0)
        m->rope = ROPE_LINEAR;
    else if (strcmp (type, "llama3") == 0)
        m->rope = ROPE_LLAMA3;
    else
        return err_set (err, ERR_INPUT, "config.json: rope type %s is not supported", type);
    if (hf_config_read_factor (rope, "factor", &m->rope_factor, err) != 0)
        return -1;
    if (m->rope != ROPE_LLAMA3)
        return 0;
    /* Beside the rope it goes before what stands in it. */
    const char *original = "original_max_position_embeddings";
    const json_t *place = json_object_get (root, original) ? root : rope;
    return hf_config_read_size (place, original,
                                json_object_get (place, original) ? -1 : (json_int_t) m->context,
                                &m->rope_original_context, err) ||
                   hf_config_read_factor (rope, "low_freq_factor", &m->rope_low, err) ||
                   hf_config_read_factor (rope, "high_freq_factor", &m->rope_high, err)
               ? -1
               : 0;
}

/*  Two dialects: transformers 5 writes rope_parameters, with theta inside; older ones write
 *  rope_theta beside rope_scaling, and call the type "type" or "rope_type". Where both are there,
 *  transformers takes rope_scaling and forgets the other; a theta that would be forgotten with it
 *  is refused, since nobody means that. Ropes by kind of layer are
 *  those of models with kinds of layers. */
static int hf_config_read_rope (const json_t *root, model_config_t *m, err_t *err)
{
    const json_t *parameters = json_object_get (root, "rope_parameters");
    const json_t *scaling = json_object_get (root, "rope_scaling");
    bool scaled = json_object_size (scaling) > 0;
    const json_t *rope = scaled ? scaling : parameters, *value;
    const char *key;
    if ((scaling && !json_is_null (scaling) && !json_is_object (scaling)) ||
        (parameters && !json_is_null (parameters) && !json_is_object (parameters)))
        return err_set (err, ERR_INPUT, "config.json: rope_scaling is no object");
    json_object_foreach ((json_t *) (uintptr_t) rope, key, value)
        if (json_is_object (value) && (m->arch == ARCH_QWEN2 || m->arch == ARCH_QWEN3))
            return err_set (err, ERR_INPUT,
                            "config.json: a rope of its own for %.40s is not supported", key);
    double theta, forgotten;
    if (hf_config_refuse_partial (root, err) != 0 ||
        hf_config_refuse_partial (parameters, err) != 0 ||
        hf_config_refuse_partial (rope, err) != 0 ||
        hf_config_read_number (root, "rope_theta", 10000, &theta, err) != 0 ||
        hf_config_read_number (rope, "rope_theta", theta, &m->rope_theta, err) != 0 ||
        hf_config_read_number (parameters, "rope_theta", m->rope_theta, &forgotten, err) != 0)
        return -1;
    if (fabs (forgotten - m->rope_theta) > 0)
        return err_set (err, ERR_INPUT,
                        "config.json: rope_scaling stands beside rope_parameters without its "
                        "rope_theta of %g; put rope_scaling's keys into rope_parameters",
                        forgotten);
    key = json_object_get (rope, "rope_type") ? "rope_type" : "type";
    const char *type = hf_config_text_of (rope, key);
    if (!type && json_object_get (rope, key))
        return hf_config_refuse_value (rope, key, "no name of a rope", err);
    m->rope = ROPE_PLAIN;
    return !type || strcmp (type, "default") == 0
               ? 0
               : hf_config_read_scaling (root, rope, type, m, err);
}

/*  "dtype" since transformers 5, "torch_dtype" before. */
static int hf_config_read_dtype (const json_t *root, hf_config_t *config, err_t *err)
{
    const char *type = hf_config_text_of (root, "dtype");
    if (!type)
        type = hf_config_text_of (root, "torch_dtype");
    if (!type || strcmp (type, "float32") == 0)
        config->dtype = HF_F32;
    else if (strcmp (type, "bfloat16") == 0)
        config->dtype = HF_BF16;
    else if (strcmp (type, "float16") == 0)
        config->dtype = HF_F16;
    else
        return err_set (err, ERR_INPUT, "config.json: dtype %s is not supported", type);
    return 0;
}

static int hf_config_add_eos (const json_t *value, const char *file, hf_config_t *config,
                              err_t *err)
{
    int64_t id;
    if (!parse_whole (value, &id) || id < 0 || id > INT32_MAX)
        return err_set (err, ERR_INPUT, "%s: eos_token_id is no token id and no list of them",
                        file);
    if (config->eos_n == HF_EOS_MAX)
        return err_set (err, ERR_LIMIT, "%s: eos_token_id has more than %d ids", file, HF_EOS_MAX);
    config->eos[config->eos_n++] = (int32_t) id;
    return 0;
}

/*  eos_token_id is a number or a list. Called for generation_config.json first, as that is what
 *  generate () obeys. */
static int hf_config_read_ends (const json_t *root, const char *file, hf_config_t *config,
                                err_t *err)
{
    const json_t *eos = json_object_get (root, "eos_token_id"), *value;
    size_t i;
    int64_t bos;
    if (json_is_array (eos)) {
        json_array_foreach (eos, i, value)
            if (hf_config_add_eos (value, file, config, err) != 0)
                return -1;
    } else if (hf_config_is_set (root, "eos_token_id") &&
               hf_config_add_eos (eos, file, config, err) != 0)
        return -1;
    if (config->bos < 0 && parse_whole (json_object_get (root, "bos_token_id"), &bos) && bos >= 0 &&
        bos <= INT32_MAX)
        config->bos = (int32_t) bos;
    return 0;
}

/*  Reads everything before it judges the shape as a whole (model_config_check). */
int hf_config_parse (const char *config_json, const char *generation_json, hf_config_t *config,
                     err_t *err)
{
    *config = (hf_config_t){.bos = -1};
    model_config_t *m = &config->model;
    json_t *root = parse_json (config_json, strlen (config_json), "config.json", err),
           *generation = NULL;
    if (!root)
        return -1;
    int rc = 0;
    if (generation_json && !(generation = parse_json (generation_json, strlen (generation_json),
                                                      "generation_config.json", err)))
        rc = -1;
    if (rc == 0)
        rc = hf_config_read_arch (root, m, err) || hf_config_read_sizes (root, m, err) ||
                     hf_config_refuse_options (root, m, err) ||
                     hf_config_read_rope (root, m, err) ||
                     hf_config_read_number (root, "rms_norm_eps", 1e-6, &m->norm_eps, err) ||
                     hf_config_read_flag (root, "tie_word_embeddings", false, &m->tied, err) ||
                     hf_config_read_flag (root, "value_head", false, &m->value_head, err) ||
                     hf_config_read_dtype (root, config, err)
                 ? -1
                 : 0;
    /* What the architecture has and no key says. */
    m->qkv_bias = m->arch == ARCH_QWEN2;
    m->qk_norm = m->arch == ARCH_QWEN3;
    /* generation_config.json wins where both name an end token. */
    if (rc == 0 && generation)
        rc = hf_config_read_ends (generation, "generation_config.json", config, err);
    if (rc == 0 && config->eos_n == 0)
        rc = hf_config_read_ends (root, "config.json", config, err);
    json_decref (generation);
    json_decref (root);
    return rc == 0 ? model_config_check (m, err) : -1;
}

/*  ---- writing -------------------------------------------------------------------------------- */

/*  The dialect of transformers 5, where theta is among the parameters (with_theta); or what older
 *  ones call rope_scaling. */
static json_t *hf_config_rope_json (const model_config_t *m, bool with_theta)
{
    static const char *const names[] = {"default", "linear", "llama3"};
    json_t *rope = json_pack ("{s:s}", "rope_type", names[m->rope]);
    if (with_theta)
        json_object_set_new (rope, "rope_theta", json_real (m->rope_theta));
    if (m->rope != ROPE_PLAIN)
        json_object_set_new (rope, "factor", json_real (m->rope_factor));
    if (m->rope == ROPE_LLAMA3) {
        json_object_set_new (rope, "low_freq_factor", json_real (m->rope_low));
        json_object_set_new (rope, "high_freq_factor", json_real (m->rope_high));
        json_object_set_new (rope, "original_max_position_embeddings",
                             json_integer ((json_int_t) m->rope_original_context));
    }
    return rope;
}

static json_t *hf_config_eos_json (const hf_config_t *config)
{
    json_t *eos = json_array ();
    for (size_t i = 0; i < config->eos_n; i++)
        json_array_append_new (eos, json_integer (config->eos[i]));
    return eos;
}

/*  Both dialects at once, so that older and newer tools load the folder. */
char *hf_config_json (const hf_config_t *config)
{
    const char *dtype = hf_dtype_name (config->dtype);
    const model_config_t *m = &config->model;
    json_t *root = json_pack (
        "{s:[s], s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:b, s:s, s:s, s:s, "
        "s:b}",
        "architectures", archs[m->arch].class, "model_type", archs[m->arch].type, "hidden_size",
        (json_int_t) m->width, "num_hidden_layers", (json_int_t) m->layers, "num_attention_heads",
        (json_int_t) m->heads, "num_key_value_heads", (json_int_t) m->kv_heads, "head_dim",
        (json_int_t) m->head_dim, "intermediate_size", (json_int_t) m->ff, "vocab_size",
        (json_int_t) m->vocab, "max_position_embeddings", (json_int_t) m->context, "rms_norm_eps",
        m->norm_eps, "rope_theta", m->rope_theta, "rope_parameters", hf_config_rope_json (m, true),
        "tie_word_embeddings", m->tied, "hidden_act", "silu", "dtype", dtype, "torch_dtype", dtype,
        "attention_bias", m->qkv_bias);
    if (!root)
        return NULL;
    if (m->rope != ROPE_PLAIN)
        json_object_set_new (root, "rope_scaling", hf_config_rope_json (m, false));
    /* Left out it would mean a window of 4096 tokens. */
    if (m->arch == ARCH_MISTRAL)
        json_object_set_new (root, "sliding_window", json_null ());
    if (m->value_head)
        json_object_set_new (root, "value_head", json_true ());
    if (config->bos >= 0)
        json_object_set_new (root, "bos_token_id", json_integer (config->bos));
    if (config->eos_n == 1)
        json_object_set_new (root, "eos_token_id", json_integer (config->eos[0]));
    if (config->eos_n > 1)
        json_object_set_new (root, "eos_token_id", hf_config_eos_json (config));
    char *text = json_dumps (root, JSON_INDENT (2) | JSON_REAL_PRECISION (15));
    json_decref (root);
    return text;
}

/*  The place behind the string that begins at text, which is a quotation mark; a backslash hides
 *  the next one. */
static const char *hf_config_after_string (const char *text)
{
    for (text++; *text && *text != '"'; text++)
        if (*text == '\\' && text[1])
            text++;
    return *text ? text + 1 : text;
}

/*  The value of a key of the outermost object, if it is a string, in a text that is JSON. Text
 *  instead of a parsed tree, since the rest of the file is to stay as its author wrote it, keys
 *  that we do not know included. */
static const char *hf_config_find_string (const char *json, const char *key)
{
    size_t depth = 0;
    for (const char *at = json; *at;) {
        const char *end = at + 1;
        if (*at == '"') {
            end = hf_config_after_string (at);
            const char *next = end + strspn (end, " \t\r\n");
            /* A string followed by a colon at depth 1 is a key of the outermost object. */
            if (depth == 1 && *next == ':' && (size_t) (end - at) == strlen (key) + 2 &&
                memcmp (at + 1, key, strlen (key)) == 0) {
                next++;
                next += strspn (next, " \t\r\n");
                return *next == '"' ? next : NULL;
            }
        }
        depth += *at == '{' || *at == '[';
        depth -= *at == '}' || *at == ']';
        at = end;
    }
    return NULL;
}

/*  Only the type in which the weights are stored changes; everything else of a user's config.json
 *  stays byte by byte. */
char *hf_config_stored (const char *config_json, hf_dtype_t dtype)
{
    static const char *const keys[] = {"dtype", "torch_dtype"};
    char *text = strdup (config_json);
    for (size_t i = 0; text && i < 2; i++) {
        const char *value = hf_config_find_string (text, keys[i]);
        if (!value)
            continue;
        buf_t edited = {0};
        buf_append (&edited, text, (size_t) (value - text));
        buf_printf (&edited, "\"%s\"%s", hf_dtype_name (dtype), hf_config_after_string (value));
        bool failed = buf_failed (&edited);
        free (text);
        text = buf_take (&edited);
        if (failed) {
            free (text);
            text = NULL;
        }
    }
    return text;
}

/*  policy - see policy.h */
#include "policy.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "formats/peft.h"
#include "model/delta.h"
#include "text/chat.h"

static int policy_no_memory (const policy_t *policy, err_t *err)
{
    return err_set (err, ERR_LIMIT, "policy %s: no memory for %zu parameters and their optimiser",
                    policy->name, policy->n);
}

/*  Whether agents get bf16. The trainer then computes with bf16 as well, and keeps float32
 *  masters beside it: the rounding of a small update would swallow it otherwise. */
static bool policy_has_halves (const policy_t *policy)
{
    return model_params_type (policy->model) == COMPUTE_BF16;
}

/*  As the manifest tells agents, who read the bytes by it. */
const char *policy_dtype (const policy_t *policy)
{
    return policy_has_halves (policy) ? "bf16" : "f32";
}

/*  Not the same as the dtype: adapters are float32 on a base that may compute in bf16. */
const char *policy_compute (const policy_t *policy)
{
    return model_compute (policy->model) == COMPUTE_BF16 ? "bf16" : "f32";
}

/*  Bytes of a weight as it is published. */
static size_t policy_width_of (const policy_t *policy)
{
    return policy_has_halves (policy) ? sizeof (uint16_t) : sizeof (float);
}

/*  The version's bytes: what the model computes with, or the masters themselves. */
static int policy_fill_bytes (policy_t *policy, err_t *err)
{
    if (policy->bytes != policy->params &&
        model_pour_bytes (policy->model, policy->bytes, policy_width_of (policy), policy->pool,
                          err) != 0)
        return -1;
    /* The hash names the version to everybody: agents check what they fetched by it, and a
       group's requests name it. */
    policy->version.hash = hash_object_on (policy->pool, policy->bytes, policy->bytes_n);
    return 0;
}

/*  Only bf16 weights stay what they were often enough. */
static void policy_encode_delta (policy_t *policy, const void *before)
{
    delta_layout_t layout = {policy->model, policy->bytes_n / policy->n};
    policy->delta.max = policy->bytes_n / 2; /* longer ones are not worth it */
    delta_encode (&layout, before, policy->bytes, &policy->delta);
    if (buf_failed (&policy->delta))
        /* It was too long, or there was no memory: agents then fetch the whole weights. */
        buf_free (&policy->delta);
}

/*  The policy as it is becomes the reference. */
static void policy_refresh (policy_t *policy)
{
    if (policy->reference_params)
        memcpy (policy->reference_params, policy->params, policy->n * sizeof (float));
    model_set (policy->reference, policy->params, policy->pool);
}

/*  What an update leaves behind becomes the next version: its bytes, their hash, and the
 *  difference to the version before, by which agents get there faster. The order matters: the
 *  old bytes are copied before the new ones are poured over them. */
int policy_advance (policy_t *policy, err_t *err)
{
    /* Activations are not needed until the next step, and the copy below needs memory. */
    train_rest (policy->train);
    if (policy->reference_train)
        train_rest (policy->reference_train);
    /* Without memory for the copy there is no delta, which costs time and nothing else. */
    void *before = policy_has_halves (policy) ? malloc (policy->bytes_n) : NULL;
    if (before)
        memcpy (before, policy->bytes, policy->bytes_n);
    /* The delta leads from these weights to the new ones, whatever their numbers are. */
    policy->before = policy->version.hash;
    policy->version.number++;
    if (policy->refresh && policy->version.number % policy->refresh == 0)
        policy_refresh (policy);
    int rc = policy_fill_bytes (policy, err);
    buf_free (&policy->delta);
    if (rc == 0 && before)
        policy_encode_delta (policy, before);
    free (before);
    return rc;
}

/*  learns: has float32 masters, which are the bytes unless these are halves. The sizes come from
 *  the model, whose layout both the masters and the published bytes follow. */
static int policy_allocate (policy_t *policy, bool learns, err_t *err)
{
    policy->n = model_params (policy->model);
    policy->bytes_n = policy->n * policy_width_of (policy);
    policy->params = learns ? calloc (policy->n, sizeof (float)) : NULL;
    /* Without halves the masters are what is published, and stand in memory once. */
    bool apart = !learns || policy_has_halves (policy);
    policy->bytes = apart ? malloc (policy->bytes_n) : policy->params;
    return policy->bytes && (policy->params || !learns) ? 0 : policy_no_memory (policy, err);
}

/*  What only those have that learn. Gradient and AdamW's m and v: three times the size of the
 *  float32 weights, which a base does without. */
static int policy_allocate_learning (policy_t *policy, err_t *err)
{
    policy->gradient = calloc (policy->n, sizeof (float));
    policy->optimiser = (adamw_t){.m = calloc (policy->n, sizeof (float)),
                                  .v = calloc (policy->n, sizeof (float)),
                                  .n = policy->n};
    if (!policy->gradient || !policy->optimiser.m || !policy->optimiser.v)
        return policy_no_memory (policy, err);
    policy->train = train_new (policy->model, policy->pool, err);
    return policy->train ? 0 : -1;
}

/*  Models name their end tokens in several files; each counts once. */
static void policy_add_stop (policy_t *policy, int32_t id)
{
    for (size_t i = 0; i < policy->stops_n; i++)
        if (policy->stops[i] == id)
            return;
    if (id >= 0 && policy->stops_n < POLICY_STOPS_MAX)
        policy->stops[policy->stops_n++] = id;
}

/*  What the tokenizer puts before every text by itself. */
static int policy_find_prefix (policy_t *policy, const tokenizer_t *tokenizer, err_t *err)
{
    tokenizer_ids_t ids = {0};
    int rc = tokenizer_encode (tokenizer, "", 0, TOKENIZER_BOS, &ids, err);
    if (rc == 0 && ids.n > POLICY_PREFIX_MAX)
        rc = err_set (err, ERR_INPUT, "its tokenizer puts %zu tokens before a text; at most %d",
                      ids.n, POLICY_PREFIX_MAX);
    if (rc == 0 && ids.n) {
        memcpy (policy->prefix, ids.data, ids.n * sizeof *ids.data);
        policy->prefix_n = ids.n;
    }
    tokenizer_ids_free (&ids);
    return rc;
}

/*  What the format means for every role: how it is written is the team's, since a role may have a
 *  message of the system. */
static int policy_find_chat (policy_t *policy, const policy_source_t *from,
                             const tokenizer_t *tokenizer, err_t *err)
{
    chat_format_t format;
    chat_given_t given = {.date = from->date};
    if (chat_find_with (from->dir, from->chat, &given, &format, err) != 0)
        return -1;
    int32_t end = format.end ? tokenizer_id (tokenizer, format.end) : -1;
    int rc = format.end && end < 0
                 ? err_set (err, ERR_CONFIG,
                            "model.chat %.80s: its tokenizer has no %s, which ends a turn there",
                            format.name, format.end)
                 : 0;
    policy_add_stop (policy, end);
    /* The template writes the whole prompt, with the tokens that would stand before it. */
    if (format.whole)
        policy->prefix_n = 0;
    chat_free (&format);
    return rc;
}

/*  Its text is kept for agents and checkpoints. */
static int policy_read_tokenizer (policy_t *policy, const hf_t *hf, const policy_source_t *from,
                                  err_t *err)
{
    const char *text = hf_tokenizer_text (hf);
    if (!text)
        return err_set (err, ERR_CONFIG, "it has no tokenizer.json");
    tokenizer_t *tokenizer = policy->tokenizer = tokenizer_parse (text, strlen (text), err);
    if (!tokenizer)
        return err_wrap (err, "tokenizer.json");
    for (size_t i = 0; i < policy->config.eos_n; i++)
        policy_add_stop (policy, policy->config.eos[i]);
    int rc = policy_find_prefix (policy, tokenizer, err);
    if (rc == 0)
        rc = policy_find_chat (policy, from, tokenizer, err);
    if (rc == 0 && tokenizer_vocab (tokenizer) > policy->config.model.vocab)
        rc = err_set (err, ERR_CONFIG, "its tokenizer has %zu tokens, its model %zu",
                      tokenizer_vocab (tokenizer), policy->config.model.vocab);
    if (rc != 0)
        return rc;
    policy->tokenizer_text = strdup (text);
    policy->config_text = strdup (hf_config_text (hf));
    if (!policy->tokenizer_text || !policy->config_text)
        return policy_no_memory (policy, err);
    /* Of the texts as they are uploaded: the bus knows objects by these names. */
    policy->tokenizer_hash = hash_object (text, strlen (text));
    policy->config_hash = hash_object (policy->config_text, strlen (policy->config_text));
    return 0;
}

static int policy_read (policy_t *policy, const policy_source_t *from, bool learns, err_t *err)
{
    hf_t *hf = hf_open (from->dir, err);
    if (!hf)
        return -1;
    bool bf16 = strcmp (from->compute, "bf16") == 0;
    policy->path = strdup (from->dir);
    policy->config = *hf_config (hf);
    policy->config.dtype = hf_dtype_kept (policy->config.dtype, bf16 ? COMPUTE_BF16 : COMPUTE_F32);
    /* Small files before large ones: what is wrong with a tokenizer or a template is said before
       gigabytes of weights are read. */
    policy->files = hf_files_read (from->dir, err);
    int rc = policy->files ? policy_read_tokenizer (policy, hf, from, err) : -1;
    if (rc == 0) {
        policy->model = model_new (&policy->config.model, bf16 ? COMPUTE_BF16 : COMPUTE_F32, err);
        rc = policy->model && policy->path ? policy_allocate (policy, learns, err) : -1;
    }
    if (rc == 0 && learns)
        /* Into the masters, in float32; model_set below takes them over for computing. */
        rc = hf_params (hf, policy->model, policy->params, err);
    if (rc == 0 && learns)
        rc = policy_allocate_learning (policy, err);
    if (rc == 0 && learns)
        model_set (policy->model, policy->params, policy->pool);
    /* A base goes into the model straight from its file: without masters it stands in memory once
       less. */
    else if (rc == 0)
        rc = hf_fill (hf, policy->model, policy->pool, err);
    if (rc == 0)
        rc = policy_fill_bytes (policy, err);
    hf_destroy (&hf);
    return rc;
}

/*  The version points to the name inside, so a policy is never copied or moved. */
static policy_t *policy_new (const char *name, pool_t *pool, err_t *err)
{
    policy_t *policy = calloc (1, sizeof *policy);
    if (!policy || strlen (name) >= POLICY_NAME_MAX) {
        free (policy);
        err_set (err, ERR_LIMIT, "policy %s: no memory, or a name of more than %d bytes", name,
                 POLICY_NAME_MAX - 1);
        return NULL;
    }
    memcpy (policy->name, name, strlen (name));
    policy->version.policy = policy->name;
    policy->pool = pool;
    return policy;
}

policy_t *policy_load (const char *name, const policy_source_t *from, bool learns, pool_t *pool,
                       err_t *err)
{
    policy_t *policy = policy_new (name, pool, err);
    if (policy && policy_read (policy, from, learns, err) != 0) {
        err_wrap (err, "model %s", from->dir);
        policy_destroy (&policy);
    }
    return policy;
}

bool policy_learns (const policy_t *policy)
{
    return policy->gradient != NULL;
}

/*  All that an adapted policy has from its base. Texts are copied, so that every policy frees its
 *  own; the weights of the base are shared and stay its own. */
static int policy_take_base (policy_t *policy, const policy_t *base, err_t *err)
{
    policy->base = base;
    policy->config = base->config;
    policy->config_hash = base->config_hash;
    policy->tokenizer = base->tokenizer;
    policy->tokenizer_hash = base->tokenizer_hash;
    memcpy (policy->stops, base->stops, sizeof base->stops);
    memcpy (policy->prefix, base->prefix, sizeof base->prefix);
    policy->stops_n = base->stops_n;
    policy->prefix_n = base->prefix_n;
    policy->path = strdup (base->path);
    policy->config_text = strdup (base->config_text);
    policy->tokenizer_text = strdup (base->tokenizer_text);
    return policy->path && policy->config_text && policy->tokenizer_text
               ? 0
               : policy_no_memory (policy, err);
}

/*  The PEFT configuration is an object at the bus of its own: agents build the adapters from it. */
static int policy_add_adapters (policy_t *policy, const lora_config_t *lora, uint64_t seed,
                                bool learns, err_t *err)
{
    policy->model = lora_new (policy->base->model, lora, err);
    if (!policy->model || policy_allocate (policy, true, err) != 0 ||
        (learns && policy_allocate_learning (policy, err) != 0))
        return -1;
    policy->adapter_text = peft_json (lora, policy->path);
    if (!policy->adapter_text)
        return policy_no_memory (policy, err);
    policy->adapter_hash = hash_object (policy->adapter_text, strlen (policy->adapter_text));
    /* A adapters random, B adapters zero (Hu et al. 2021, section 4.1): the first version
       computes what the base computes. */
    model_init_params (policy->model, seed, policy->params);
    model_set (policy->model, policy->params, policy->pool);
    return policy_fill_bytes (policy, err);
}

policy_t *policy_adapt (const char *name, const policy_t *base, const lora_config_t *lora,
                        uint64_t seed, bool learns, err_t *err)
{
    policy_t *policy = policy_new (name, base->pool, err);
    if (policy && (policy_take_base (policy, base, err) != 0 ||
                   policy_add_adapters (policy, lora, seed, learns, err) != 0)) {
        err_wrap (err, "adapters of %s", name);
        policy_destroy (&policy);
    }
    return policy;
}

void policy_destroy (policy_t **policy)
{
    policy_t *p = *policy;
    if (!p)
        return;
    /* Before the models, which they point to. */
    train_destroy (&p->train);
    train_destroy (&p->reference_train);
    model_destroy (&p->model);
    model_destroy (&p->reference);
    hf_files_destroy (&p->files);
    free (p->path);
    free (p->adapter_text);
    free (p->config_text);
    free (p->tokenizer_text);
    if (!p->base)
        tokenizer_destroy (&p->tokenizer);
    /* Without halves both are the same memory. The base is the team's. */
    if (p->bytes != p->params)
        free (p->bytes);
    free (p->params);
    free (p->reference_params);
    free (p->gradient);
    free (p->optimiser.m);
    free (p->optimiser.v);
    buf_free (&p->delta);
    free (p);
    *policy = NULL;
}

void policy_set_reference (policy_t *policy)
{
    if (policy->reference_params)
        model_set (policy->reference, policy->reference_params, policy->pool);
}

/*  A model of its own in memory, of the weights as they are now; with adapters only those are
 *  doubled, since the base never changes. */
int policy_keep_reference (policy_t *policy, uint64_t refresh, err_t *err)
{
    const policy_t *base = policy->base;
    policy->reference = base
                            ? lora_new (base->model, lora_config (policy->model), err)
                            : model_new (&policy->config.model, model_compute (policy->model), err);
    if (!policy->reference)
        return -1;
    policy->refresh = refresh;
    if (refresh && !(policy->reference_params = calloc (policy->n, sizeof (float))))
        return policy_no_memory (policy, err);
    policy_refresh (policy);
    policy->reference_train = train_new (policy->reference, policy->pool, err);
    return policy->reference_train ? 0 : -1;
}

/*  With the tokenizer, so that the folder can be used by itself, beside the base that it names. */
static int policy_save_adapters (policy_t *policy, const char *dir, err_t *err)
{
    char path[FS_PATH_MAX];
    const char *tokenizer = policy->tokenizer_text;
    return peft_save (dir, policy->model, policy->params, policy->path, err) != 0 ||
                   fs_join (path, dir, "tokenizer.json", err) != 0 ||
                   fs_write (path, tokenizer, strlen (tokenizer), err) != 0 ||
                   hf_files_write (policy->base->files, dir, true, err) != 0
               ? -1
               : 0;
}

int policy_save (policy_t *policy, const char *dir, err_t *err)
{
    if (policy->base)
        return policy_save_adapters (policy, dir, err);
    float *params = policy->params;
    if (policy_has_halves (policy))
        /* The gradient's memory is free between updates, and as large as the weights. */
        model_get (policy->model, params = policy->gradient); /* what is computed with */
    hf_kept_t kept = {policy->config_text, policy->tokenizer_text, policy->files};
    return hf_save_like (dir, &kept, policy->config.dtype, policy->model, params, err);
}

/*  Other settings would make another vector of parameters, or give the same numbers another weight
 *  (alpha). */
static int policy_read_adapters (policy_t *policy, const char *dir, err_t *err)
{
    lora_config_t theirs;
    const lora_config_t *ours = lora_config (policy->model);
    if (peft_read_config (dir, &theirs, err) != 0)
        return -1;
    /* Compared twice instead of ==, which compilers warn of for floating point. */
    bool same = theirs.rank == ours->rank && theirs.targets == ours->targets &&
                theirs.rslora == ours->rslora && theirs.alpha >= ours->alpha &&
                theirs.alpha <= ours->alpha;
    return same ? peft_read_params (dir, policy->model, policy->params, err)
                : err_set (err, ERR_INPUT, "%s: its adapters have other settings", dir);
}

/*  Into the masters; policy_restore hands them on to the model. */
static int policy_read_weights (policy_t *policy, const char *dir, err_t *err)
{
    hf_t *hf = hf_open (dir, err);
    int rc = hf ? hf_params (hf, policy->model, policy->params, err) : -1;
    hf_destroy (&hf);
    return rc;
}

/*  Also the way back after a restart: the version's number is the checkpoint's step, and its
 *  hash is computed from the weights, so that it is the same version again. */
int policy_restore (policy_t *policy, const char *dir, uint64_t number, err_t *err)
{
    int rc = policy->base ? policy_read_adapters (policy, dir, err)
                          : policy_read_weights (policy, dir, err);
    if (rc != 0)
        return err_wrap (err, "policy %s", policy->name);
    model_set (policy->model, policy->params, policy->pool);
    policy->version.number = number;
    /* No delta leads to these weights: what agents have by now is not known. */
    buf_free (&policy->delta);
    return policy_fill_bytes (policy, err);
}

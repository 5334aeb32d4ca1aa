/*  opened - see opened.h */
#include "opened.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "formats/peft.h"
#include "model/lora.h"
#include "text/tokenizer_config.h"

#define OPENED_FILE_MAX ((size_t) 64 << 20) /* of a text */

pool_t *opened_pool (void)
{
    long cores = sysconf (_SC_NPROCESSORS_ONLN);
    return pool_new (cores > 0 ? (size_t) cores : 1);
}

int opened_load (opened_t *o, const char *dir, const char *adapter, const char *compute,
                 pool_t *pool, err_t *err)
{
    bool bf16 = strcmp (compute, "bf16") == 0;
    if (!*dir)
        return err_set (err, ERR_CONFIG, "--model DIR is missing: a Hugging Face model folder");
    if (!bf16 && strcmp (compute, "f32") != 0)
        return err_set (err, ERR_CONFIG, "--compute '%s' is neither f32 nor bf16", compute);
    if (!(o->hf = hf_open (dir, err)))
        return -1;
    o->dir = dir;
    o->pool = pool;
    o->model = model_new (&hf_config (o->hf)->model, bf16 ? COMPUTE_BF16 : COMPUTE_F32, err);
    if (!o->model || hf_fill (o->hf, o->model, pool, err) != 0)
        return -1;
    /* Adapters read the weights of the model below them, so that one stays open as well. */
    if (!*adapter)
        return 0;
    o->base = o->model;
    o->model = NULL;
    return (o->model = opened_adapt (o, adapter, err)) ? 0 : -1;
}

int opened_read_tokenizer (opened_t *o, const char *dir, err_t *err)
{
    char *text;
    if (!*dir)
        return err_set (err, ERR_CONFIG, "--model DIR is missing: a folder with a tokenizer.json");
    if (tokenizer_config_text (dir, &text, err) != 0)
        return -1;
    if (!text)
        return err_set (err, ERR_CONFIG, "%s: it has no tokenizer.json", dir);
    o->dir = dir;
    o->tokenizer = tokenizer_parse (text, strlen (text), err);
    free (text);
    return o->tokenizer ? 0 : err_wrap (err, "%s/tokenizer.json", dir);
}

/*  A model and its chat format may name the same token, and a negative id is none. */
static void opened_add_stop (opened_t *o, int32_t id)
{
    for (size_t i = 0; i < o->stops_n; i++)
        if (o->stops[i] == id)
            return;
    if (id >= 0 && o->stops_n < SAMPLER_STOPS_MAX)
        o->stops[o->stops_n++] = id;
}

int opened_speak (opened_t *o, const char *chat, const chat_given_t *given, err_t *err)
{
    const hf_config_t *config = hf_config (o->hf);
    if ((!o->tokenizer && opened_read_tokenizer (o, o->dir, err) != 0) ||
        chat_find_with (o->dir, chat, given, &o->format, err) != 0)
        return -1;
    for (size_t i = 0; i < config->eos_n; i++)
        opened_add_stop (o, config->eos[i]);
    if (o->format.end)
        opened_add_stop (o, tokenizer_id (o->tokenizer, o->format.end));
    /* What stands before a text is in a template's own words, or left out there. */
    return o->format.whole ? 0
                           : tokenizer_encode (o->tokenizer, "", 0, TOKENIZER_BOS, &o->prefix, err);
}

/*  The prefix is the same before every prompt, so it was encoded once. */
int opened_encode (const opened_t *o, const chat_format_t *format, const char *text, size_t size,
                   tokenizer_ids_t *ids, err_t *err)
{
    for (size_t i = 0; i < o->prefix.n; i++)
        if (tokenizer_push (ids, o->prefix.data[i]) != 0)
            return err_set (err, ERR_LIMIT, "no memory for a prompt");
    return chat_encode (o->tokenizer, format, text, size, ids, err);
}

model_t *opened_adapt (const opened_t *o, const char *adapter, err_t *err)
{
    lora_config_t lora;
    model_t *model = peft_read_config (adapter, &lora, err) == 0
                         ? lora_new (o->base ? o->base : o->model, &lora, err)
                         : NULL;
    if (!model)
        return NULL;
    float *params = malloc (model_params (model) * sizeof *params);
    int rc = params ? peft_read_params (adapter, model, params, err)
                    : err_set (err, ERR_LIMIT, "no memory for %zu weights", model_params (model));
    if (rc == 0)
        model_set (model, params, o->pool);
    else
        model_destroy (&model);
    free (params);
    return model;
}

int opened_read_text (const char *given, buf_t *text, err_t *err)
{
    char block[4096];
    size_t n;
    /* A standard input may have no end. */
    text->max = OPENED_FILE_MAX;
    if (given && strcmp (given, "-") != 0)
        buf_text (text, given);
    else if (!given && isatty (STDIN_FILENO))
        return err_set (err, ERR_CONFIG, "TEXT is missing (--help shows an example)");
    else
        while ((n = fread (block, 1, sizeof block, stdin)) > 0)
            buf_append (text, block, n);
    /* An empty text is one, too: data is never NULL for a caller. */
    if (!text->data)
        buf_text (text, "");
    return buf_failed (text)
               ? err_set (err, ERR_LIMIT, "the text is longer than %zu bytes", OPENED_FILE_MAX)
               : 0;
}

/*  Adapters go before the model that they stand on. */
void opened_close (opened_t *o)
{
    chat_free (&o->format);
    tokenizer_ids_free (&o->prefix);
    tokenizer_destroy (&o->tokenizer);
    model_destroy (&o->model);
    model_destroy (&o->base);
    hf_destroy (&o->hf);
    *o = (opened_t){0};
}

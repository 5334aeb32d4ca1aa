/*  opened - a model folder, opened to be spoken to: weights, tokenizer, chat format, what ends an
 *  answer.
 *
 *      opened_t folder = {0};
 *      opened_load (&folder, dir, "", "f32", pool, &err);
 *      opened_speak (&folder, "auto", &(chat_given_t){0}, &err);
 *      opened_encode (&folder, &folder.format, text, size, &ids, &err);
 *      opened_close (&folder);
 *
 *  Prompts and ends are those that a run gives its agents (services/trainer/policy.c,
 *  services/environment/prompt.c): what a team wrote in an evaluation is written here again.
 */
#ifndef QUINTET_CLI_OPENED_H
#define QUINTET_CLI_OPENED_H

#include "formats/hf.h"
#include "model/sampler.h"
#include "text/chat.h"
#include "text/tokenizer.h"

typedef struct {
    const char *dir; /* borrowed */
    hf_t *hf;
    model_t *base; /* of a model with adapters, else NULL */
    model_t *model;
    pool_t *pool; /* borrowed */
    tokenizer_t *tokenizer;
    chat_format_t format;
    tokenizer_ids_t prefix; /* before every prompt */
    int32_t stops[SAMPLER_STOPS_MAX];
    size_t stops_n;
} opened_t;

/*  Threads to compute with: one per core. */
pool_t *opened_pool (void);
/*  adapter: a PEFT folder, "" for none. ERR_CONFIG: no folder is named, or compute is neither f32
 *  nor bf16. */
int opened_load (opened_t *folder, const char *dir, const char *adapter, const char *compute,
                 pool_t *pool, err_t *err);
/*  The tokenizer alone, which needs no weights. */
int opened_read_tokenizer (opened_t *folder, const char *dir, err_t *err);
/*  chat: as model.chat, "none" leaves a prompt as it is. given: what a folder's own template alone
 *  can write. */
int opened_speak (opened_t *folder, const char *chat, const chat_given_t *given, err_t *err);
/*  format: the folder's own, or another one of its template. */
int opened_encode (const opened_t *folder, const chat_format_t *format, const char *text,
                   size_t size, tokenizer_ids_t *ids, err_t *err);
/*  Another model: the folder's with a PEFT folder's adapters on it. It must go before it. */
model_t *opened_adapt (const opened_t *folder, const char *adapter, err_t *err);
/*  The text that is given, or all of the standard input where it is left out or "-". At a terminal
 *  nobody would know that something is waited for, so there it is an error. */
int opened_read_text (const char *given, buf_t *text, err_t *err);
void opened_close (opened_t *folder);

#endif

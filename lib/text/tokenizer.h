/*  tokenizer - text to token ids and back, as tokenizer.json says.
 *
 *      tokenizer_t *tokenizer = tokenizer_parse (json, size, &err);
 *      tokenizer_encode (tokenizer, text, size, TOKENIZER_BOS, &ids, &err);
 *      tokenizer_decode (tokenizer, ids.data, ids.n, TOKENIZER_PLAIN, &out);
 *      tokenizer_destroy (&tokenizer);
 *
 *  Byte-level BPE (splitters of GPT-2, SmolLM2, Qwen2, Llama 3) and SentencePiece-style BPE with
 *  byte fallback, with normalisers, added and special tokens. What it does not know it refuses by
 *  name.
 */
#ifndef QUINTET_TEXT_TOKENIZER_H
#define QUINTET_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

typedef struct tokenizer tokenizer_t;

typedef struct {
    int32_t *data; /* free with tokenizer_ids_free; {0} is empty */
    size_t n, capacity;
} tokenizer_ids_t;

enum {
    TOKENIZER_BOS = 1,  /* encode: what the file's post-processor adds */
    TOKENIZER_PLAIN = 2 /* decode: leave special tokens out */
};

tokenizer_t *tokenizer_parse (const char *json, size_t size, err_t *err);
void tokenizer_destroy (tokenizer_t **tokenizer);

/*  Appends to ids. Text is UTF-8; invalid bytes become U+FFFD. */
int tokenizer_encode (const tokenizer_t *tokenizer, const char *text, size_t size, int flags,
                      tokenizer_ids_t *ids, err_t *err);
/*  The same of several texts as if they were one: tokens may reach over their edges. Special
 *  tokens are not found in literal parts. */
typedef struct {
    const char *text;
    size_t size;
    bool literal;
} tokenizer_part_t;
int tokenizer_encode_parts (const tokenizer_t *tokenizer, const tokenizer_part_t *parts, size_t n,
                            tokenizer_ids_t *ids, err_t *err);
/*  Appends text; ids out of range are left out. */
void tokenizer_decode (const tokenizer_t *tokenizer, const int32_t *ids, size_t n, int flags,
                       buf_t *text);
/*  Appends what ids add to the text of a prompt: the text of both without that of the prompt alone.
 *  A decoder of SentencePiece's kind takes the space from the beginning of a text, and a completion
 *  is none. */
void tokenizer_decode_after (const tokenizer_t *tokenizer, const int32_t *prompt, size_t prompt_n,
                             const int32_t *ids, size_t n, int flags, buf_t *text);
/*  Appends one. -1: no memory. */
int tokenizer_push (tokenizer_ids_t *ids, int32_t id);
void tokenizer_ids_free (tokenizer_ids_t *ids);

size_t tokenizer_vocab (const tokenizer_t *tokenizer);
/*  Id of a token by its exact content ("<|im_end|>"), or -1. */
int32_t tokenizer_id (const tokenizer_t *tokenizer, const char *content);

/*  Trains byte-level BPE (GPT-2 splitter) of `vocab` tokens on n texts: the given special tokens
 *  come first, then the 256 bytes, then merges by count, ties by the pair's bytes. Returns the
 *  text of a tokenizer.json (caller frees). Deterministic. */
char *tokenizer_train (const char *const *texts, size_t n, size_t vocab,
                       const char *const *specials, size_t specials_n, err_t *err);

#endif

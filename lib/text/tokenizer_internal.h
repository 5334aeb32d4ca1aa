/*  tokenizer_internal - the inside of a tokenizer. Private to tokenizer*.c.
 *
 *      tokenizer.c         reading tokenizer.json: vocabulary, merges
 *      tokenizer_steps.c   the same: normaliser, splitters, post-processor, decoder
 *      tokenizer_encode.c  text -> ids
 *      tokenizer_decode.c  ids -> text
 *      tokenizer_train.c   texts -> tokenizer.json
 */
#ifndef QUINTET_TEXT_TOKENIZER_INTERNAL_H
#define QUINTET_TEXT_TOKENIZER_INTERNAL_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdbool.h>

#include "text/parse.h"
#include "text/tokenizer.h"

#define TOKENIZER_SPLITS_MAX 8
#define TOKENIZER_PIECES_MAX 8
#define TOKENIZER_GPT2                                                                             \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

typedef struct {
    const char *data; /* bytes that the token stands for (byte-level), or its own text */
    uint32_t size;
    bool added, special;
    bool lstrip, rstrip, single_word;
    bool normalized; /* an added token that is looked for in the normalised text */
    int16_t byte;    /* value of a fallback token such as <0x0A>, else -1 */
} token_t;

/*  Open addressing from bytes to ids. */
typedef struct {
    int32_t *slot; /* -1: free */
    size_t mask;
} token_map_t;

typedef struct {
    uint64_t pair; /* left << 32 | right; UINT64_MAX: free */
    uint32_t rank;
    int32_t id;
} merge_t;

/*  An added token and what it is looked for as. */
typedef struct {
    int32_t id;
    char *text;
    size_t size;
} added_t;

struct tokenizer {
    token_t *tokens; /* by id; data NULL: no such id */
    size_t n;
    token_map_t map;
    merge_t *merges; /* open addressing */
    size_t merges_mask;
    int32_t
        byte_id[256]; /* byte-level: the token of each byte; else of its fallback token; -1: none */
    int32_t unknown;  /* -1: none */
    bool byte_level, byte_fallback, ignore_merges, fuse_unknown;
    /*  The normaliser, of all between two added tokens. */
    bool nfc, normal_replace;
    char normal_prepend[8], normal_space[8]; /* put first; stands for a space when normal_replace */
    /*  Metaspace, of every piece after that: stands for a space and is put first. */
    char space[8]; /* "": no Metaspace */
    enum { PREPEND_NEVER, PREPEND_FIRST, PREPEND_ALWAYS } prepend_scheme;
    bool strip_first; /* decoding drops one leading space */
    bool digits;      /* each digit alone, before the splitters */
    pcre2_code *split[TOKENIZER_SPLITS_MAX];
    size_t splits;
    int32_t before[TOKENIZER_PIECES_MAX], after[TOKENIZER_PIECES_MAX];
    size_t before_n, after_n;
    added_t *added; /* longest first */
    size_t added_n;
    bool added_normal; /* some are looked for in the normalised text */
};

int32_t tokenizer_lookup (const tokenizer_t *tokenizer, const char *data, size_t size);
const merge_t *tokenizer_merge (const tokenizer_t *tokenizer, int32_t left, int32_t right);

/*  GPT-2's mapping between bytes and printable characters. */
unsigned tokenizer_byte_char (unsigned char byte);
/*  UTF-8 of a character; returns its length. */
size_t tokenizer_utf8 (unsigned character, char out[4]);
/*  Length of the valid UTF-8 sequence at text, or 0 and *skip = how many bytes one U+FFFD stands
 *  for. */
size_t tokenizer_utf8_length (const char *text, size_t size, size_t *skip);
/*  Appends text with whatever is not UTF-8 replaced by U+FFFD (Unicode, section 3.9, "maximal
 *  subpart"). */
void tokenizer_lossy (const char *text, size_t size, buf_t *out);
/*  Appends text as the normaliser leaves it; an empty one stays empty. */
void tokenizer_normalize (const tokenizer_t *tokenizer, const char *text, size_t size, buf_t *out);
int tokenizer_read_steps (tokenizer_t *tokenizer, const json_t *root, err_t *err);
/*  "type" of a part of tokenizer.json, "" without one; refuses it by name. */
const char *tokenizer_type (const json_t *part);
int tokenizer_refuse (err_t *err, const char *what, const char *type);
int tokenizer_push (tokenizer_ids_t *ids, int32_t id);
pcre2_code *tokenizer_regex (const char *pattern, err_t *err);

#endif

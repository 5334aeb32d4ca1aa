/*  tokenizer_internal - the inside of a tokenizer. Private to tokenizer*.c.
 *
 *      tokenizer.c         reading tokenizer.json: vocabulary, merges
 *      tokenizer_steps.c   the same: normaliser, splitters, post-processor, decoder
 *      tokenizer_regex.c   Oniguruma's patterns for PCRE2
 *      tokenizer_normal.c  text -> normalised text
 *      tokenizer_split.c   normalised text -> pieces
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

#define TOKENIZER_STEPS_MAX  16
#define TOKENIZER_PIECES_MAX 8
#define TOKENIZER_GPT2                                                                             \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/*  An id may be a token of the vocabulary, an added token, or both: text that is merged finds the
 *  entry of the vocabulary, text that is searched the added token, whatever their contents. */
typedef struct {
    char *data;  /* as the file writes it, of the added token if there is one; NULL: no such id */
    char *entry; /* of the vocabulary, or NULL; may be data itself */
    uint32_t size, entry_size;
    bool added, special;
    bool lstrip, rstrip, single_word;
    bool normalized; /* an added token that is looked for in the normalised text */
    /* What such a token is written as, where the normaliser changes it; NULL: data. It is left out
     * with special tokens when that is the content of one. */
    char *written;
    uint32_t written_size;
    bool written_special;
} token_t;

/*  A step of the normaliser, before the splitters. */
typedef struct {
    enum { NORMAL_COMPOSE, NORMAL_PREPEND, NORMAL_REPLACE, NORMAL_STRIP } kind;
    int options;       /* of utf8proc: NORMAL_COMPOSE */
    char *text;        /* that is put first, or in place of a match */
    pcre2_code *regex; /* that is replaced */
    bool left, right;  /* ends that are stripped */
} tokenizer_normal_t;

/*  A step of the pre_tokenizer: pieces are cut at matches, or begin with something. */
typedef struct {
    enum { SPLIT_REGEX, SPLIT_METASPACE, SPLIT_PREFIX } kind;
    pcre2_code *regex;
    enum {
        SPLIT_ISOLATED,
        SPLIT_REMOVED,
        SPLIT_MERGED_BEFORE, /* matches go to the piece before them, or after them */
        SPLIT_MERGED_AFTER,
        SPLIT_CONTIGUOUS
    } behavior;
    bool invert;
    char space[8]; /* Metaspace: stands for a space, and is put first */
    enum { PREPEND_NEVER, PREPEND_FIRST, PREPEND_ALWAYS } prepend;
} tokenizer_split_t;

/*  A step of the decoder: from tokens to tokens, which are joined at the end. */
typedef struct {
    enum {
        DECODE_BYTES,
        DECODE_REPLACE,
        DECODE_FALLBACK,
        DECODE_FUSE,
        DECODE_STRIP,
        DECODE_METASPACE
    } kind;
    pcre2_code *regex;
    char *text; /* in place of a match; the character that is stripped; Metaspace's mark */
    size_t start, stop;
    bool prepends; /* Metaspace: the first token's marks are none of the text */
} tokenizer_decode_t;

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
    /* byte-level: the token of each byte; else of its fallback token; -1: none */
    int32_t byte_id[256];
    int32_t unknown; /* -1: none */
    bool byte_level, byte_fallback, ignore_merges, fuse_unknown;
    bool unknown_missing; /* the file names an unknown token that its vocabulary does not have */
    bool joins;           /* a decoder: without one, tokens are written with spaces in between */
    tokenizer_normal_t normal[TOKENIZER_STEPS_MAX];
    tokenizer_split_t split[TOKENIZER_STEPS_MAX];
    tokenizer_decode_t decode[TOKENIZER_STEPS_MAX];
    size_t normals, splits, decodes;
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
/*  Appends text as the normaliser leaves it; an empty one stays empty. A step that fails is noted
 *  in the buffer. Returns whether the beginning is still there: not where a step removed it. */
bool tokenizer_normalize (const tokenizer_t *tokenizer, const char *text, size_t size, buf_t *out);
int tokenizer_read_steps (tokenizer_t *tokenizer, const json_t *root, err_t *err);
void tokenizer_free_steps (tokenizer_t *tokenizer);
/*  "type" of a part of tokenizer.json, "" without one; refuses it by name. */
const char *tokenizer_type (const json_t *part);
int tokenizer_refuse (err_t *err, const char *what, const char *type);

/*  A pattern as Oniguruma, which the tokenizers library uses, understands it; or text that is
 *  looked for as it stands. Patterns that PCRE2 would understand otherwise are refused. */
pcre2_code *tokenizer_regex (const char *pattern, err_t *err);
pcre2_code *tokenizer_literal (const char *text, err_t *err);

/*  Finding matches, one after the other: {0}, then `regex`, `text`, `size`. */
typedef struct {
    const pcre2_code *regex;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    const char *text;
    size_t size, at, last; /* where to go on; where the last match ended */
    bool found, failed;
} tokenizer_find_t;

bool tokenizer_find (tokenizer_find_t *find, size_t *start, size_t *end);
void tokenizer_find_begin (tokenizer_find_t *find, const pcre2_code *regex, const char *text,
                           size_t size);
void tokenizer_find_done (tokenizer_find_t *find);
/*  Appends text with every match replaced; false: no memory, or a pattern that gave up. */
bool tokenizer_replace (const pcre2_code *regex, const char *with, const char *text, size_t size,
                        buf_t *out);

/*  Cuts text by all splitters and hands each piece over. first: the whole text begins with it,
 *  which is where "prepend_scheme: first" puts its mark. */
typedef struct {
    size_t start, end;
    bool match;
} tokenizer_segment_t;

typedef struct {
    const tokenizer_t *t;
    tokenizer_find_t find;
    tokenizer_segment_t *segments[TOKENIZER_STEPS_MAX];
    size_t capacity[TOKENIZER_STEPS_MAX];
    void (*piece) (void *context, const char *text, size_t size);
    void *context;
    bool failed;
} tokenizer_splitter_t;

void tokenizer_split (tokenizer_splitter_t *splitter, const char *text, size_t size, bool first);
void tokenizer_split_done (tokenizer_splitter_t *splitter);

#endif

/*  tokenizer - see tokenizer.h. Reads tokenizer.json: the vocabulary and its merges.
 *
 *  Two families of models are told apart by the steps of the file. Byte-level (GPT-2, Qwen2, Llama
 *  3): every token is a run of bytes, spelled in the file with one printable character per byte;
 *  any text can be encoded. SentencePiece (Llama 2, Mistral): tokens are text, spaces are a
 *  character of their own, and characters without a token fall back to the tokens of their bytes.
 *
 *  Inside, a token is the bytes that it stands for. Vocabulary, merges and added tokens are tables
 *  by bytes or by pairs of ids with open addressing, as encoding looks up millions of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_internal.h"

#define VOCAB_MAX ((size_t) 1 << 22)

/*  ---- bytes and characters ------------------------------------------------------------------- */

/*  tokenizer.json is text, so byte-level tokens are spelled with one printable character per byte:
 *  188 bytes stand for themselves, the other 68 get U+0100 and on, in their order (GPT-2's
 *  bytes_to_unicode). */
unsigned tokenizer_byte_char (unsigned char byte)
{
    bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    if (printable)
        return byte;
    /* The others get the characters from 256 on in the order of their values: 0 to 32, then 127 to
     * 160, then 173. */
    if (byte <= ' ')
        return 256u + byte;
    return byte == 0xad ? 256u + 67 : 256u + 33 + (byte - 127u);
}

/*  The first byte says the length by its leading ones; each that follows carries six bits. */
size_t tokenizer_utf8 (unsigned c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char) c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (char) (0x80 | (c & 0x3f));
    out[0] = (char) ((0xf00u >> n & 0xff) | c);
    return n;
}

/*  Not UTF-8 are also overlong forms, surrogates and what lies above U+10FFFF; the bounds of the
 *  second byte exclude them (Unicode, table 3-7). *skip is the "maximal subpart": what a decoder
 *  replaces by one U+FFFD. */
size_t tokenizer_utf8_length (const char *text, size_t size, size_t *skip)
{
    const unsigned char *s = (const unsigned char *) text;
    *skip = 1;
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xc2 && s[0] <= 0xdf   ? 2
               : s[0] >= 0xe0 && s[0] <= 0xef ? 3
               : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                              : 0;
    unsigned low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    for (size_t i = 1; i < n; i++, low = 0x80, high = 0xbf) {
        if (i >= size || s[i] < low || s[i] > high) {
            *skip = i;
            return 0;
        }
    }
    return n;
}

void tokenizer_lossy (const char *text, size_t size, buf_t *out)
{
    for (size_t at = 0; at < size;) {
        size_t skip, n = tokenizer_utf8_length (text + at, size - at, &skip);
        if (n)
            buf_append (out, text + at, n);
        else
            buf_text (out, "\xef\xbf\xbd");
        at += n ? n : skip;
    }
}

/*  ---- tables --------------------------------------------------------------------------------- */

/*  FNV-1a; its upper bits are folded in, as the mask takes the lower ones only. */
static size_t tokenizer_hash_bytes (const char *data, size_t size)
{
    uint64_t hash = 1469598103934665603u; /* FNV-1a */
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char) data[i]) * 1099511628211u;
    return (size_t) (hash ^ hash >> 29);
}

/*  Tables are at most half full, so a free slot ends every search. */
int32_t tokenizer_lookup (const tokenizer_t *t, const char *data, size_t size)
{
    for (size_t i = tokenizer_hash_bytes (data, size) & t->map.mask;; i = (i + 1) & t->map.mask) {
        int32_t id = t->map.slot[i];
        if (id < 0 || (t->tokens[id].size == size && memcmp (t->tokens[id].data, data, size) == 0))
            return id;
    }
}

/*  Tokens are hashed by their bytes, so that pieces of text are looked up as they stand. */
static void tokenizer_map_add (tokenizer_t *t, int32_t id)
{
    size_t i = tokenizer_hash_bytes (t->tokens[id].data, t->tokens[id].size) & t->map.mask;
    while (t->map.slot[i] >= 0)
        i = (i + 1) & t->map.mask;
    t->map.slot[i] = id;
}

/*  Multiplication spreads pairs of nearby ids over the table. */
static size_t tokenizer_hash_pair (uint64_t pair)
{
    pair *= 0x9e3779b97f4a7c15u;
    return (size_t) (pair ^ pair >> 32);
}

static merge_t *tokenizer_merge_slot (const tokenizer_t *t, uint64_t pair)
{
    size_t i = tokenizer_hash_pair (pair) & t->merges_mask;
    while (t->merges[i].pair != UINT64_MAX && t->merges[i].pair != pair)
        i = (i + 1) & t->merges_mask;
    return &t->merges[i];
}

const merge_t *tokenizer_merge (const tokenizer_t *t, int32_t left, int32_t right)
{
    uint64_t pair = (uint64_t) (uint32_t) left << 32 | (uint32_t) right;
    const merge_t *m = tokenizer_merge_slot (t, pair);
    return m->pair == pair ? m : NULL;
}

static size_t tokenizer_power_above (size_t n)
{
    size_t size = 64;
    while (size < 2 * n)
        size *= 2;
    return size;
}

/*  ---- reading -------------------------------------------------------------------------------- */

/*  The bytes that a byte-level token's printable characters stand for; other characters are taken
 *  as they are (added tokens). out has room for size bytes, since no character stands for more
 *  bytes than it has. 0: not UTF-8. */
static size_t tokenizer_unprint (const char *text, size_t size, char *out, const int16_t *byte_of)
{
    size_t n = 0;
    for (size_t at = 0; at < size;) {
        size_t skip, length = tokenizer_utf8_length (text + at, size - at, &skip);
        if (!length)
            return 0;
        unsigned c = (unsigned char) text[at];
        /* Printable characters for bytes lie below U+0200: one or two bytes of UTF-8. */
        if (length == 2)
            c = (c & 0x1f) << 6 | ((unsigned char) text[at + 1] & 0x3f);
        if (length > 2 || c >= 512 || byte_of[c] < 0) {
            memcpy (out + n, text + at, length);
            n += length;
        } else {
            out[n++] = (char) byte_of[c];
        }
        at += length;
    }
    return n;
}

/*  Ids come in any order and may have gaps: the table grows to the highest one. literal: an added
 *  token, whose content is text and not spelled in printable bytes. */
static int tokenizer_set_token (tokenizer_t *t, int64_t id, const char *text, bool literal,
                                const int16_t *byte_of, err_t *err)
{
    size_t size = strlen (text);
    if (id < 0 || (size_t) id >= VOCAB_MAX || size >= 65536)
        return err_set (err, ERR_INPUT, "tokenizer: token '%.40s' with id %lld", text,
                        (long long) id);
    if ((size_t) id >= t->n) {
        size_t n = (size_t) id + 1 > 2 * t->n ? (size_t) id + 1 : 2 * t->n;
        token_t *grown = realloc (t->tokens, n * sizeof *grown);
        if (!grown)
            return err_set (err, ERR_LIMIT, "no memory for a vocabulary");
        memset (grown + t->n, 0, (n - t->n) * sizeof *grown);
        t->tokens = grown;
        t->n = n;
    }
    char *data = malloc (size + 1);
    if (!data)
        return err_set (err, ERR_LIMIT, "no memory for a vocabulary");
    token_t *token = &t->tokens[id];
    /* An added token may take the place of one of the vocabulary. */
    free ((void *) (uintptr_t) token->data);
    token->size = (uint32_t) size;
    token->byte = -1;
    if (t->byte_level && !literal)
        token->size = (uint32_t) tokenizer_unprint (text, size, data, byte_of);
    else
        memcpy (data, text, size);
    token->data = data;
    unsigned byte;
    /* Fallback tokens of SentencePiece: one for each byte. */
    if (!literal && !t->byte_level && size == 6 && sscanf (text, "<0x%2X>", &byte) == 1)
        token->byte = (int16_t) byte;
    return 0;
}

/*  The vocabulary first, then the added tokens, which may give an id another content: the later one
 *  counts, as in the tokenizers library. */
static int tokenizer_read_vocab (tokenizer_t *t, const json_t *root, err_t *err)
{
    int16_t byte_of[512];
    const char *text;
    json_t *value;
    size_t i;
    int64_t id;
    memset (byte_of, -1, sizeof byte_of);
    for (unsigned b = 0; b < 256; b++)
        byte_of[tokenizer_byte_char ((unsigned char) b)] = (int16_t) b;
    json_t *vocab = json_object_get (json_object_get (root, "model"), "vocab");
    if (!json_is_object (vocab) || json_object_size (vocab) == 0)
        return err_set (err, ERR_INPUT, "tokenizer: model.vocab is missing");
    json_object_foreach (vocab, text, value) {
        if (!parse_whole (value, &id))
            return err_set (err, ERR_INPUT, "tokenizer: token '%.40s' has no id", text);
        if (tokenizer_set_token (t, id, text, false, byte_of, err) != 0)
            return -1;
    }
    json_array_foreach (json_object_get (root, "added_tokens"), i, value) {
        const char *content = json_string_value (json_object_get (value, "content"));
        if (!content || !*content || !parse_whole (json_object_get (value, "id"), &id))
            return err_set (err, ERR_INPUT, "tokenizer: added token %zu has no content or no id",
                            i);
        if (tokenizer_set_token (t, id, content, true, byte_of, err) != 0)
            return -1;
        token_t *token = &t->tokens[id];
        token->added = true;
        token->special = json_is_true (json_object_get (value, "special"));
        token->lstrip = json_is_true (json_object_get (value, "lstrip"));
        token->rstrip = json_is_true (json_object_get (value, "rstrip"));
        token->single_word = json_is_true (json_object_get (value, "single_word"));
        token->normalized = json_is_true (json_object_get (value, "normalized"));
    }
    /* Growing doubled the table: leave out what no token uses at its end. */
    while (t->n && !t->tokens[t->n - 1].data)
        t->n--;
    return 0;
}

/*  Where two added tokens begin at one place, the longer is meant. */
static int tokenizer_by_length (const void *a, const void *b)
{
    size_t x = ((const added_t *) a)->size, y = ((const added_t *) b)->size;
    return (x < y) - (x > y);
}

/*  What a token is looked for as: its content, or that as the normaliser would leave it for those
 *  that are looked for in the normalised text. */
static void tokenizer_add_added (tokenizer_t *t, int32_t id)
{
    const token_t *token = &t->tokens[id];
    buf_t text = {0};
    if (token->normalized)
        tokenizer_normalize (t, token->data, token->size, &text);
    else
        buf_append (&text, token->data, token->size);
    size_t size = text.size;
    t->added[t->added_n++] = (added_t){.id = id, .size = size, .text = buf_take (&text)};
    t->added_normal |= token->normalized;
}

/*  Everything that encoding looks up: bytes to ids, single bytes to ids, and the added tokens,
 *  longest first. */
static int tokenizer_make_tables (tokenizer_t *t, err_t *err)
{
    size_t slots = tokenizer_power_above (t->n);
    t->map.slot = malloc (slots * sizeof *t->map.slot);
    t->added = calloc (t->n + 1, sizeof *t->added);
    if (!t->map.slot || !t->added)
        return err_set (err, ERR_LIMIT, "no memory for a vocabulary");
    memset (t->map.slot, -1, slots * sizeof *t->map.slot);
    memset (t->byte_id, -1, sizeof t->byte_id);
    t->map.mask = slots - 1;
    for (size_t id = 0; id < t->n; id++) {
        const token_t *token = &t->tokens[id];
        if (!token->data)
            continue;
        if (token->added)
            tokenizer_add_added (t, (int32_t) id);
        /* An added token is found in the text before anything else, never as a piece. */
        if (!token->added || tokenizer_lookup (t, token->data, token->size) < 0)
            tokenizer_map_add (t, (int32_t) id);
        if (t->byte_level && token->size == 1 && !token->added)
            t->byte_id[(unsigned char) token->data[0]] = (int32_t) id;
        if (token->byte >= 0)
            t->byte_id[token->byte] = (int32_t) id;
    }
    qsort (t->added, t->added_n, sizeof *t->added, tokenizer_by_length);
    return 0;
}

/*  The id of a token as tokenizer.json spells it, which is not how it is hashed in a byte-level
 *  model. */
static int32_t tokenizer_id_of_text (const tokenizer_t *t, const char *text, size_t size)
{
    char out[4096];
    int16_t byte_of[512];
    if (!t->byte_level)
        return tokenizer_lookup (t, text, size);
    memset (byte_of, -1, sizeof byte_of);
    for (unsigned b = 0; b < 256; b++)
        byte_of[tokenizer_byte_char ((unsigned char) b)] = (int16_t) b;
    return size < sizeof out
               ? tokenizer_lookup (t, out, tokenizer_unprint (text, size, out, byte_of))
               : -1;
}

/*  A merge is a pair of tokens, written as two strings or as one with a space in between. The rank
 *  is its place in the list: a lower one goes first. Where a pair comes twice, the first counts. */
static int tokenizer_read_merge (tokenizer_t *t, const json_t *entry, uint32_t rank, err_t *err)
{
    const char *left = NULL, *right = NULL;
    size_t left_n = 0, right_n = 0;
    if (json_is_array (entry) && json_array_size (entry) == 2) {
        left = json_string_value (json_array_get (entry, 0));
        right = json_string_value (json_array_get (entry, 1));
        left_n = left ? strlen (left) : 0;
    } else if (json_is_string (entry)) {
        left = json_string_value (entry);
        const char *space = strchr (left, ' ');
        left_n = space ? (size_t) (space - left) : 0;
        right = space ? space + 1 : NULL;
    }
    if (!left || !right || !left_n)
        return err_set (err, ERR_INPUT, "tokenizer: merge %u is no pair", rank);
    right_n = strlen (right);
    char both[8192];
    if (left_n + right_n >= sizeof both)
        return err_set (err, ERR_INPUT, "tokenizer: merge %u is too long", rank);
    memcpy (both, left, left_n);
    memcpy (both + left_n, right, right_n);
    int32_t a = tokenizer_id_of_text (t, left, left_n),
            b = tokenizer_id_of_text (t, right, right_n);
    int32_t id = tokenizer_id_of_text (t, both, left_n + right_n);
    if (a < 0 || b < 0 || id < 0)
        return err_set (err, ERR_INPUT, "tokenizer: merge %u names a token that is not there",
                        rank);
    merge_t *slot = tokenizer_merge_slot (t, (uint64_t) (uint32_t) a << 32 | (uint32_t) b);
    if (slot->pair == UINT64_MAX)
        *slot =
            (merge_t){.pair = (uint64_t) (uint32_t) a << 32 | (uint32_t) b, .rank = rank, .id = id};
    return 0;
}

static int tokenizer_read_merges (tokenizer_t *t, const json_t *model, err_t *err)
{
    const json_t *merges = json_object_get (model, "merges"), *entry;
    size_t n = json_array_size (merges), slots = tokenizer_power_above (n), i;
    t->merges = malloc (slots * sizeof *t->merges);
    if (!t->merges)
        return err_set (err, ERR_LIMIT, "no memory for %zu merges", n);
    t->merges_mask = slots - 1;
    for (i = 0; i < slots; i++)
        t->merges[i].pair = UINT64_MAX;
    json_array_foreach (merges, i, entry)
        if (tokenizer_read_merge (t, entry, (uint32_t) i, err) != 0)
            return -1;
    return 0;
}

/*  Options that would change ids are refused; what is null or empty changes nothing. */
static int tokenizer_read_model (tokenizer_t *t, const json_t *root, err_t *err)
{
    const json_t *model = json_object_get (root, "model");
    const char *type = tokenizer_type (model);
    if (*type && strcmp (type, "BPE") != 0)
        return tokenizer_refuse (err, "model", type);
    static const char *const off[] = {"continuing_subword_prefix", "end_of_word_suffix", "dropout"};
    for (size_t i = 0; i < 3; i++) {
        const json_t *value = json_object_get (model, off[i]);
        const char *text = json_string_value (value);
        if (value && !json_is_null (value) && !(text && !*text))
            return tokenizer_refuse (err, "model option", off[i]);
    }
    t->byte_fallback = json_is_true (json_object_get (model, "byte_fallback"));
    t->ignore_merges = json_is_true (json_object_get (model, "ignore_merges"));
    t->fuse_unknown = json_is_true (json_object_get (model, "fuse_unk"));
    if (tokenizer_read_vocab (t, root, err) != 0 || tokenizer_make_tables (t, err) != 0 ||
        tokenizer_read_merges (t, model, err) != 0)
        return -1;
    const char *unknown = json_string_value (json_object_get (model, "unk_token"));
    t->unknown = unknown ? tokenizer_lookup (t, unknown, strlen (unknown)) : -1;
    return 0;
}

/*  The steps come first: whether the model is byte-level decides how its vocabulary is read. */
tokenizer_t *tokenizer_parse (const char *json, size_t size, err_t *err)
{
    json_t *root = parse_json (json, size, "tokenizer", err);
    tokenizer_t *t = root ? calloc (1, sizeof *t) : NULL;
    if (root && !t)
        err_set (err, ERR_LIMIT, "no memory for a tokenizer");
    if (t && (tokenizer_read_steps (t, root, err) != 0 || tokenizer_read_model (t, root, err) != 0))
        tokenizer_destroy (&t);
    json_decref (root);
    return t;
}

void tokenizer_destroy (tokenizer_t **self)
{
    tokenizer_t *t = *self;
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++)
        free ((void *) (uintptr_t) t->tokens[i].data);
    for (size_t i = 0; i < t->splits; i++)
        pcre2_code_free (t->split[i]);
    free (t->tokens);
    free (t->map.slot);
    free (t->merges);
    for (size_t i = 0; i < t->added_n; i++)
        free (t->added[i].text);
    free (t->added);
    free (t);
    *self = NULL;
}

size_t tokenizer_vocab (const tokenizer_t *t)
{
    return t->n;
}

/*  Added tokens first, as their content is text and not spelled in printable characters. */
int32_t tokenizer_id (const tokenizer_t *t, const char *content)
{
    size_t size = strlen (content);
    for (size_t i = 0; i < t->added_n; i++) {
        const token_t *token = &t->tokens[t->added[i].id];
        if (token->size == size && memcmp (token->data, content, size) == 0)
            return t->added[i].id;
    }
    return tokenizer_id_of_text (t, content, size);
}

void tokenizer_ids_free (tokenizer_ids_t *ids)
{
    free (ids->data);
    *ids = (tokenizer_ids_t){0};
}

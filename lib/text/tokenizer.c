/*  tokenizer - see tokenizer.h. Reads tokenizer.json: the vocabulary and its merges.
 *
 *  Two families of models are told apart by the steps of the file. Byte-level (GPT-2, Qwen2, Llama
 *  3): every token is a run of bytes, spelled in the file with one printable character per byte;
 *  any text can be encoded. SentencePiece (Llama 2, Mistral): tokens are text, spaces are a
 *  character of their own, and characters without a token fall back to the tokens of their bytes.
 *
 *  Inside, a token is what the file writes. Vocabulary and merges are tables by text or by pairs of
 *  ids with open addressing, as encoding looks up millions of them.
 */
#include <math.h>
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

/*  As Rust's String::from_utf8_lossy, which the tokenizers library decodes with. */
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
        if (id < 0 ||
            (t->tokens[id].entry_size == size && memcmp (t->tokens[id].entry, data, size) == 0))
            return id;
    }
}

/*  Tokens are hashed by their bytes, so that pieces of text are looked up as they stand. */
static void tokenizer_map_add (tokenizer_t *t, int32_t id)
{
    size_t i = tokenizer_hash_bytes (t->tokens[id].entry, t->tokens[id].entry_size) & t->map.mask;
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

/*  NULL: the two are never merged. */
const merge_t *tokenizer_merge (const tokenizer_t *t, int32_t left, int32_t right)
{
    uint64_t pair = (uint64_t) (uint32_t) left << 32 | (uint32_t) right;
    const merge_t *m = tokenizer_merge_slot (t, pair);
    return m->pair == pair ? m : NULL;
}

/*  A power of two, so that a mask takes the place of a division, and at least twice what goes
 *  in. */
static size_t tokenizer_power_above (size_t n)
{
    size_t size = 64;
    while (size < 2 * n)
        size *= 2;
    return size;
}

/*  ---- reading -------------------------------------------------------------------------------- */

/*  Ids come in any order and may have gaps: the table grows to the highest one. */
static token_t *tokenizer_place (tokenizer_t *t, int64_t id, const char *text, err_t *err)
{
    if (id < 0 || (size_t) id >= VOCAB_MAX || strlen (text) >= 65536) {
        err_set (err, ERR_INPUT, "tokenizer: token '%.40s' with id %lld", text, (long long) id);
        return NULL;
    }
    if ((size_t) id >= t->n) {
        size_t n = (size_t) id + 1 > 2 * t->n ? (size_t) id + 1 : 2 * t->n;
        token_t *grown = realloc (t->tokens, n * sizeof *grown);
        if (!grown) {
            err_set (err, ERR_LIMIT, "no memory for a vocabulary");
            return NULL;
        }
        /* What no id stands for stays zero: a token without data. */
        memset (grown + t->n, 0, (n - t->n) * sizeof *grown);
        t->tokens = grown;
        t->n = n;
    }
    return &t->tokens[id];
}

/*  Another content of a token: that of the vocabulary stays what it is merged as. */
static int tokenizer_set_text (token_t *token, const char *text, bool entry, err_t *err)
{
    char *copy = strdup (text);
    if (!copy)
        return err_set (err, ERR_LIMIT, "no memory for a vocabulary");
    if (token->data != token->entry)
        free (token->data);
    token->data = copy;
    token->size = (uint32_t) strlen (copy);
    if (entry) {
        free (token->entry);
        token->entry = copy;
        token->entry_size = token->size;
    }
    return 0;
}

/*  The id of an added token, which the tokenizers library finds by itself: that of its content
 *  where there is one, else the next one behind the vocabulary. What the file says is not asked.
 *  seen: by content, those before it. */
static int64_t tokenizer_added_id (const json_t *vocab, json_t *seen, const char *content,
                                   int64_t *last)
{
    int64_t id, size = (int64_t) json_object_size (vocab);
    const json_t *before = json_object_get (seen, content);
    if (before)
        return json_integer_value (before);
    if (!parse_whole (json_object_get (vocab, content), &id))
        id = *last >= size ? *last + 1 : size;
    *last = id > *last ? id : *last;
    json_object_set_new (seen, content, json_integer (id));
    return id;
}

static int tokenizer_read_added (tokenizer_t *t, const json_t *vocab, json_t *seen,
                                 const json_t *value, int64_t *last, err_t *err)
{
    const char *content = json_string_value (json_object_get (value, "content"));
    if (!content || !*content)
        return err_set (err, ERR_INPUT, "tokenizer: an added token has no content");
    int64_t id = tokenizer_added_id (vocab, seen, content, last);
    token_t *token = tokenizer_place (t, id, content, err);
    if (!token || tokenizer_set_text (token, content, false, err) != 0)
        return -1;
    token->added = true;
    token->special = json_is_true (json_object_get (value, "special"));
    token->lstrip = json_is_true (json_object_get (value, "lstrip"));
    token->rstrip = json_is_true (json_object_get (value, "rstrip"));
    token->single_word = json_is_true (json_object_get (value, "single_word"));
    token->normalized = json_is_true (json_object_get (value, "normalized"));
    return 0;
}

/*  The vocabulary first, then the added tokens. */
static int tokenizer_read_vocab (tokenizer_t *t, const json_t *root, err_t *err)
{
    const char *text;
    json_t *value;
    size_t i;
    int64_t id, last = -1;
    json_t *vocab = json_object_get (json_object_get (root, "model"), "vocab");
    if (!json_is_object (vocab) || json_object_size (vocab) == 0)
        return err_set (err, ERR_INPUT, "tokenizer: model.vocab is missing");
    json_object_foreach (vocab, text, value) {
        if (!parse_whole (value, &id))
            return err_set (err, ERR_INPUT, "tokenizer: token '%.40s' has no id", text);
        token_t *token = tokenizer_place (t, id, text, err);
        if (!token || tokenizer_set_text (token, text, true, err) != 0)
            return -1;
    }
    json_t *seen = json_object ();
    int rc = 0;
    json_array_foreach (json_object_get (root, "added_tokens"), i, value)
        if (rc == 0)
            rc = tokenizer_read_added (t, vocab, seen, value, &last, err);
    json_decref (seen);
    /* Growing doubled the table: leave out what no token uses at its end. */
    while (t->n && !t->tokens[t->n - 1].data)
        t->n--;
    return rc;
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

/*  The library writes an added token as what it was looked for as, and knows a special token by
 *  its content. */
static int tokenizer_set_written (tokenizer_t *t, err_t *err)
{
    for (size_t i = 0; i < t->added_n; i++) {
        const added_t *added = &t->added[i];
        token_t *token = &t->tokens[added->id];
        const char *text = added->text ? added->text : "";
        /* Which one is found would be chance, in the library too. They are in order of length. */
        for (size_t k = i + 1; added->size && k < t->added_n && t->added[k].size == added->size;
             k++)
            if (token->normalized && t->tokens[t->added[k].id].normalized &&
                memcmp (t->added[k].text, text, added->size) == 0)
                return err_set (err, ERR_INPUT,
                                "tokenizer: the added tokens '%.40s' and '%.40s' are one text once "
                                "they are normalized",
                                token->data, t->tokens[t->added[k].id].data);
        if (added->size == token->size && memcmp (text, token->data, added->size) == 0)
            continue;
        if (!(token->written = strdup (text)))
            return err_set (err, ERR_LIMIT, "no memory for a vocabulary");
        token->written_size = (uint32_t) added->size;
        for (size_t k = 0; k < t->added_n; k++) {
            const token_t *other = &t->tokens[t->added[k].id];
            token->written_special |= other->special && other->size == added->size &&
                                      memcmp (other->data, text, added->size) == 0;
        }
    }
    return 0;
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
        if (t->tokens[id].added)
            tokenizer_add_added (t, (int32_t) id);
        if (t->tokens[id].entry)
            tokenizer_map_add (t, (int32_t) id);
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[8];
        size_t size = t->byte_level
                          ? tokenizer_utf8 (tokenizer_byte_char ((unsigned char) byte), name)
                          : (size_t) snprintf (name, sizeof name, "<0x%02X>", byte);
        t->byte_id[byte] = tokenizer_lookup (t, name, size);
    }
    qsort (t->added, t->added_n, sizeof *t->added, tokenizer_by_length);
    return tokenizer_set_written (t, err);
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
    int32_t a = tokenizer_lookup (t, left, left_n), b = tokenizer_lookup (t, right, right_n);
    int32_t id = tokenizer_lookup (t, both, left_n + right_n);
    if (a < 0 || b < 0 || id < 0)
        return err_set (err, ERR_INPUT, "tokenizer: merge %u names a token that is not there",
                        rank);
    merge_t *slot = tokenizer_merge_slot (t, (uint64_t) (uint32_t) a << 32 | (uint32_t) b);
    if (slot->pair == UINT64_MAX)
        *slot =
            (merge_t){.pair = (uint64_t) (uint32_t) a << 32 | (uint32_t) b, .rank = rank, .id = id};
    return 0;
}

/*  No pair of ids has all bits set, so UINT64_MAX marks a free slot. */
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
        bool zero = json_is_number (value) && fpclassify (json_number_value (value)) == FP_ZERO;
        if (value && !json_is_null (value) && !(text && !*text) && !zero)
            return tokenizer_refuse (err, "model option", off[i]);
    }
    t->byte_fallback = json_is_true (json_object_get (model, "byte_fallback"));
    t->ignore_merges = json_is_true (json_object_get (model, "ignore_merges"));
    t->fuse_unknown = json_is_true (json_object_get (model, "fuse_unk"));
    /* In this order: merges name tokens, which are looked up in the tables. */
    if (tokenizer_read_vocab (t, root, err) != 0 || tokenizer_make_tables (t, err) != 0 ||
        tokenizer_read_merges (t, model, err) != 0)
        return -1;
    const char *unknown = json_string_value (json_object_get (model, "unk_token"));
    t->unknown = unknown ? tokenizer_lookup (t, unknown, strlen (unknown)) : -1;
    t->unknown_missing = unknown && t->unknown < 0;
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

/*  Both names of a token may be one and the same memory (tokenizer_set_text). */
static void tokenizer_free_token (token_t *token)
{
    if (token->data != token->entry)
        free (token->data);
    free (token->entry);
    free (token->written);
}

/*  Also of one that is half read. */
void tokenizer_destroy (tokenizer_t **self)
{
    tokenizer_t *t = *self;
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++)
        tokenizer_free_token (&t->tokens[i]);
    tokenizer_free_steps (t);
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
    return tokenizer_lookup (t, content, size);
}

void tokenizer_ids_free (tokenizer_ids_t *ids)
{
    free (ids->data);
    *ids = (tokenizer_ids_t){0};
}

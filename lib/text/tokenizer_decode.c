/*  tokenizer_decode - ids to text by the steps of the decoder: each makes a list of texts of the
 *  list before it. See tokenizer.h
 */
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_internal.h"

#define LOST "\xef\xbf\xbd" /* U+FFFD */

/*  A list of texts, one behind the other. */
typedef struct {
    buf_t text;
    size_t *ends;
    size_t n, capacity;
} pieces_t;

/*  Closes the piece that was written last. All pieces stand in one buffer, and only their ends are
 *  kept. */
static void decode_end (pieces_t *p)
{
    if (p->n == p->capacity) {
        size_t capacity = p->n ? 2 * p->n : 64;
        size_t *grown = realloc (p->ends, capacity * sizeof *grown);
        if (!grown) {
            p->text.failed = true;
            return;
        }
        p->ends = grown;
        p->capacity = capacity;
    }
    p->ends[p->n++] = p->text.size;
}

static const char *decode_piece (const pieces_t *p, size_t i, size_t *size)
{
    size_t from = i ? p->ends[i - 1] : 0;
    *size = p->ends[i] - from;
    return p->text.data ? p->text.data + from : "";
}

static void decode_free (pieces_t *p)
{
    buf_free (&p->text);
    free (p->ends);
}

/*  ---- steps ---------------------------------------------------------------------------------- */

/*  The byte that a printable character of a byte-level vocabulary stands for, or -1. */
static int decode_byte_of (unsigned character)
{
    static const unsigned first_moved = 256;
    if (character < first_moved)
        return tokenizer_byte_char ((unsigned char) character) == character ? (int) character : -1;
    for (unsigned byte = 0; byte < 256 && character < first_moved + 68; byte++)
        if (tokenizer_byte_char ((unsigned char) byte) == character)
            return (int) byte;
    return -1;
}

/*  A token of such characters alone is the bytes that they stand for; one with others (an added
 *  token) is text. */
static void decode_spelled (const char *text, size_t size, buf_t *out)
{
    size_t begin = out->size;
    for (size_t at = 0; at < size;) {
        size_t skip, n = tokenizer_utf8_length (text + at, size - at, &skip);
        unsigned c = (unsigned char) text[at];
        if (n == 2)
            c = (c & 0x1f) << 6 | ((unsigned char) text[at + 1] & 0x3f);
        int byte = n == 1 || n == 2 ? decode_byte_of (c) : -1;
        if (byte < 0) {
            out->size = begin;
            buf_append (out, text, size);
            return;
        }
        buf_char (out, (char) byte);
        at += n;
    }
}

/*  All tokens are joined first and made valid UTF-8 afterwards: a character may be spread over
 *  several of them. */
static void decode_bytes (const pieces_t *in, pieces_t *out)
{
    buf_t bytes = {.max = SIZE_MAX / 4};
    for (size_t i = 0; i < in->n; i++) {
        size_t size;
        const char *text = decode_piece (in, i, &size);
        decode_spelled (text, size, &bytes);
    }
    if (bytes.size)
        tokenizer_lossy (bytes.data, bytes.size, &out->text);
    out->text.failed |= bytes.failed;
    decode_end (out);
    buf_free (&bytes);
}

/*  Bytes from fallback tokens that follow each other: valid UTF-8 as it is, else one U+FFFD per
 *  byte. */
static void decode_flush (buf_t *bytes, pieces_t *out)
{
    bool valid = true;
    if (!bytes->size)
        return;
    for (size_t at = 0, skip; at < bytes->size && valid;) {
        size_t n = tokenizer_utf8_length (bytes->data + at, bytes->size - at, &skip);
        valid = n > 0;
        at += n;
    }
    for (size_t i = 0; !valid && i < bytes->size; i++) {
        buf_text (&out->text, LOST);
        decode_end (out);
    }
    if (valid) {
        buf_append (&out->text, bytes->data, bytes->size);
        decode_end (out);
    }
    buf_clear (bytes);
}

static int decode_hex (char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/*  A character that the vocabulary lacks was spelled as tokens like <0xE2>, one per byte. They are
 *  gathered until another token comes, since only together are they a character. */
static void decode_fallback (const pieces_t *in, pieces_t *out)
{
    buf_t bytes = {.max = SIZE_MAX / 4};
    for (size_t i = 0; i < in->n; i++) {
        size_t size;
        const char *text = decode_piece (in, i, &size);
        bool byte = size == 6 && memcmp (text, "<0x", 3) == 0 && text[5] == '>' &&
                    decode_hex (text[3]) >= 0 && decode_hex (text[4]) >= 0;
        if (byte) {
            buf_char (&bytes, (char) (decode_hex (text[3]) << 4 | decode_hex (text[4])));
            continue;
        }
        decode_flush (&bytes, out);
        buf_append (&out->text, text, size);
        decode_end (out);
    }
    decode_flush (&bytes, out);
    out->text.failed |= bytes.failed;
    buf_free (&bytes);
}

/*  Up to `start` of the character from the beginning of each token, up to `stop` from its end. */
static void decode_strip (const tokenizer_decode_t *step, const pieces_t *in, pieces_t *out)
{
    size_t length = strlen (step->text);
    for (size_t i = 0; i < in->n; i++) {
        size_t size;
        const char *text = decode_piece (in, i, &size);
        for (size_t k = 0;
             k < step->start && size >= length && memcmp (text, step->text, length) == 0; k++) {
            text += length;
            size -= length;
        }
        for (size_t k = 0; k < step->stop && size >= length &&
                           memcmp (text + size - length, step->text, length) == 0;
             k++)
            size -= length;
        buf_append (&out->text, text, size);
        decode_end (out);
    }
}

/*  Replaces in every token; Metaspace leaves its marks out of the first one. */
static void decode_replace (const tokenizer_decode_t *step, const pieces_t *in, pieces_t *out)
{
    for (size_t i = 0; i < in->n; i++) {
        size_t size;
        const char *text = decode_piece (in, i, &size);
        const char *with = step->kind == DECODE_REPLACE ? step->text
                           : step->prepends && i == 0   ? ""
                                                        : " ";
        out->text.failed |= !tokenizer_replace (step->regex, with, text, size, &out->text);
        decode_end (out);
    }
}

static void decode_step (const tokenizer_decode_t *step, const pieces_t *in, pieces_t *out)
{
    switch (step->kind) {
    case DECODE_BYTES:
        decode_bytes (in, out);
        return;
    case DECODE_FALLBACK:
        decode_fallback (in, out);
        return;
    case DECODE_STRIP:
        decode_strip (step, in, out);
        return;
    case DECODE_REPLACE:
    case DECODE_METASPACE:
        decode_replace (step, in, out);
        return;
    case DECODE_FUSE:
        buf_append (&out->text, in->text.data ? in->text.data : "", in->text.size);
        decode_end (out);
        return;
    }
}

/*  ---- the whole ------------------------------------------------------------------------------ */

/*  Ids without a token write nothing: a model's vocabulary may be padded beyond the tokenizer's. */
static void decode_tokens (const tokenizer_t *t, const int32_t *ids, size_t n, int flags,
                           pieces_t *out)
{
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || (size_t) ids[i] >= t->n)
            continue;
        const token_t *token = &t->tokens[ids[i]];
        bool special = token->written ? token->written_special : token->special;
        if (!token->data || (special && (flags & TOKENIZER_PLAIN)))
            continue;
        if (out->n && !t->joins)
            buf_char (&out->text, ' ');
        buf_append (&out->text, token->written ? token->written : token->data,
                    token->written ? token->written_size : token->size);
        decode_end (out);
    }
}

/*  Each step reads one list and makes another, of which only the last is kept. A failure of any of
 *  them shows in text. */
void tokenizer_decode (const tokenizer_t *t, const int32_t *ids, size_t n, int flags, buf_t *text)
{
    pieces_t now = {.text.max = SIZE_MAX / 4};
    decode_tokens (t, ids, n, flags, &now);
    for (size_t i = 0; i < t->decodes; i++) {
        pieces_t next = {.text.max = SIZE_MAX / 4};
        decode_step (&t->decode[i], &now, &next);
        decode_free (&now);
        now = next;
    }
    if (now.text.size)
        buf_append (text, now.text.data, now.text.size);
    text->failed |= now.text.failed;
    decode_free (&now);
}

/*  A prompt may end in the middle of a character, which its text has as U+FFFD: what both texts
 *  begin with, up to the beginning of a character, is the prompt's. */
void tokenizer_decode_after (const tokenizer_t *t, const int32_t *prompt, size_t prompt_n,
                             const int32_t *ids, size_t n, int flags, buf_t *text)
{
    buf_t before = {.max = SIZE_MAX / 4}, both = {.max = SIZE_MAX / 4};
    /* One more, so that malloc is never asked for nothing, which may be NULL. */
    int32_t *all = malloc ((prompt_n + n + 1) * sizeof *all);
    if (!all) {
        text->failed = true;
        return;
    }
    if (prompt_n)
        memcpy (all, prompt, prompt_n * sizeof *all);
    if (n)
        memcpy (all + prompt_n, ids, n * sizeof *all);
    tokenizer_decode (t, all, prompt_n, flags, &before);
    tokenizer_decode (t, all, prompt_n + n, flags, &both);
    size_t at = 0;
    while (at < before.size && at < both.size && before.data[at] == both.data[at])
        at++;
    while (at && at < both.size && ((unsigned char) both.data[at] & 0xc0) == 0x80)
        at--;
    if (at < both.size)
        buf_append (text, both.data + at, both.size - at);
    text->failed |= before.failed || both.failed;
    buf_free (&before);
    buf_free (&both);
    free (all);
}

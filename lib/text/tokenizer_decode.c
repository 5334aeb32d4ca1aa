/*  tokenizer_decode - ids to text. See tokenizer.h */
#include <string.h>

#include "text/tokenizer_internal.h"

/*  Writes the bytes of fallback tokens that followed each other: as they are when they are valid
 *  UTF-8, else one U+FFFD per byte, as the tokenizers library does it. */
static void decode_flush_bytes (buf_t *bytes, buf_t *out)
{
    bool valid = true;
    for (size_t at = 0, skip; at < bytes->size && valid;) {
        size_t n = tokenizer_utf8_length (bytes->data + at, bytes->size - at, &skip);
        valid = n > 0;
        at += n;
    }
    if (valid && bytes->size)
        buf_append (out, bytes->data, bytes->size);
    for (size_t i = 0; !valid && i < bytes->size; i++)
        buf_text (out, "\xef\xbf\xbd");
    buf_clear (bytes);
}

/*  SentencePiece: the mark stands for a space, fallback tokens for bytes. Bytes that follow each
 *  other are collected, as a character may be spread over several tokens. */
static void decode_pieces (const tokenizer_t *t, const int32_t *ids, size_t n, int flags,
                           buf_t *out)
{
    buf_t bytes = {0};
    const char *mark = *t->space ? t->space : t->normal_space;
    size_t space = strlen (mark);
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || (size_t) ids[i] >= t->n)
            continue;
        const token_t *token = &t->tokens[ids[i]];
        if (!token->data || (token->special && (flags & TOKENIZER_PLAIN)))
            continue;
        if (token->byte >= 0) {
            buf_char (&bytes, (char) token->byte);
            continue;
        }
        decode_flush_bytes (&bytes, out);
        for (size_t at = 0; at < token->size;) {
            if (space && token->size - at >= space && memcmp (token->data + at, mark, space) == 0) {
                buf_char (out, ' ');
                at += space;
            } else {
                buf_char (out, token->data[at++]);
            }
        }
    }
    decode_flush_bytes (&bytes, out);
    buf_free (&bytes);
}

/*  Byte-level tokens are joined first and made valid UTF-8 afterwards: a character may be spread
 *  over several of them. */
void tokenizer_decode (const tokenizer_t *t, const int32_t *ids, size_t n, int flags, buf_t *text)
{
    buf_t out = {.max = text->max};
    if (!t->byte_level) {
        decode_pieces (t, ids, n, flags, &out);
        bool strip = t->strip_first && out.size && out.data[0] == ' ';
        if (out.size)
            buf_append (text, out.data + strip, out.size - strip);
    } else {
        for (size_t i = 0; i < n; i++) {
            if (ids[i] < 0 || (size_t) ids[i] >= t->n)
                continue;
            const token_t *token = &t->tokens[ids[i]];
            if (token->data && !(token->special && (flags & TOKENIZER_PLAIN)))
                buf_append (&out, token->data, token->size);
        }
        tokenizer_lossy (out.data, out.size, text);
    }
    if (buf_failed (&out))
        text->failed = true;
    buf_free (&out);
}

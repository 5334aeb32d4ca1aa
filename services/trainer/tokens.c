/*  tokens - see tokens.h */
#include "tokens.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS_CONTEXT 8 /* ids before a token that are decoded with it: what it is may depend */

/*  Whether it may be the beginning of a character whose end the next token has. */
static bool tokens_is_cut (const buf_t *text)
{
    return text->size >= 3 && memcmp (text->data + text->size - 3, "\xef\xbf\xbd", 3) == 0;
}

/*  How many bytes each of the ids from `first` on is, in bytes[0 ...]; false: the text is another.
 *  It may end within the last one, where a stop text begins. */
static bool tokens_measure (const tokenizer_t *tokenizer, const int32_t *ids, size_t first,
                            size_t n, const char *text, size_t size, size_t *bytes)
{
    size_t at = 0, read = first;
    for (size_t k = first; k < n; k++) {
        buf_t piece = {0};
        size_t from = read > TOKENS_CONTEXT ? read - TOKENS_CONTEXT : 0;
        tokenizer_decode_after (tokenizer, ids + from, read - from, ids + read, k + 1 - read,
                                TOKENIZER_PLAIN, &piece);
        bool cut = k + 1 < n && tokens_is_cut (&piece), same = !buf_failed (&piece);
        size_t left = size - at, has = cut ? 0 : piece.size < left ? piece.size : left;
        if (has)
            same = same && memcmp (piece.data, text + at, has) == 0;
        buf_free (&piece);
        if (!same)
            return false;
        bytes[k - first] = has;
        at += has;
        read = cut ? read : k + 1;
    }
    return at == size;
}

void tokens_add (json_t *action, const tokenizer_t *tokenizer, const wire_ids_t *prompt,
                 const wire_completion_t *completion)
{
    const json_t *text = json_object_get (action, "text");
    size_t n = completion->ids.n, before = prompt->n < TOKENS_CONTEXT ? prompt->n : TOKENS_CONTEXT;
    if (n == 0 || n > TOKENS_MAX || !json_is_string (text))
        return;
    int32_t *ids = malloc ((before + n) * sizeof *ids);
    size_t *bytes = calloc (n, sizeof *bytes);
    if (ids && bytes) {
        if (before)
            memcpy (ids, prompt->data + prompt->n - before, before * sizeof *ids);
        memcpy (ids + before, completion->ids.data, n * sizeof *ids);
        if (tokens_measure (tokenizer, ids, before, before + n, json_string_value (text),
                            json_string_length (text), bytes)) {
            json_t *sizes = json_array (), *logps = json_array ();
            for (size_t k = 0; k < n; k++) {
                json_array_append_new (sizes, json_integer ((json_int_t) bytes[k]));
                /* 0 is added for -0, which would be written as such. */
                json_array_append_new (
                    logps, json_real (round ((double) completion->logps[k] * 1e3) / 1e3 + 0.0));
            }
            json_object_set_new (action, "token_bytes", sizes);
            json_object_set_new (action, "token_logps", logps);
        }
    }
    free (ids);
    free (bytes);
}

/*  stops - texts that end a completion where the first of them begins, whatever tokens spell it.
 *
 *      if (stops_find (&stops, text, size, &at)) ...              the text is text[0 .. at)
 *      size_t shown = size - stops_held (&stops, text, size);     the rest may become a stop yet
 *      stops_cut (&stops, tokenizer, prompt, prompt_n, ids, &ids_n, &out);
 */
#ifndef QUINTET_TEXT_STOPS_H
#define QUINTET_TEXT_STOPS_H

#include <stdbool.h>
#include <stddef.h>

#include "text/tokenizer.h"

/*  Borrowed; none of them is empty. */
typedef struct {
    const char *const *text;
    size_t n;
} stops_t;

/*  Where the first of them begins; false: none is in the text. */
bool stops_find (const stops_t *stops, const char *text, size_t size, size_t *at);
/*  How many bytes at the end of a text that goes on could be the beginning of one. */
size_t stops_held (const stops_t *stops, const char *text, size_t size);

/*  Decodes a completion into text (which must be empty) and cuts it. Where one of them is found,
 *  *ids_n falls to as many ids as were needed to spell it, and true is returned. */
bool stops_cut (const stops_t *stops, const tokenizer_t *tokenizer, const int32_t *prompt,
                size_t prompt_n, const int32_t *ids, size_t *ids_n, buf_t *text);

#endif

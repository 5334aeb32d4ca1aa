/*  stops - see stops.h */
#include "text/stops.h"

#include <string.h>

/*  The first place at which any stop begins: with several of them, the order of the list does not
 *  matter. */
bool stops_find (const stops_t *stops, const char *text, size_t size, size_t *at)
{
    bool found = false;
    for (size_t i = 0; i < stops->n && size; i++) {
        const char *begins = memmem (text, size, stops->text[i], strlen (stops->text[i]));
        if (!begins)
            continue;
        if (!found || (size_t) (begins - text) < *at)
            *at = (size_t) (begins - text);
        found = true;
    }
    return found;
}

/*  How many bytes at the end could be the beginning of a stop. Whoever shows text while it grows
 *  holds these back, since it could not take them back later. */
size_t stops_held (const stops_t *stops, const char *text, size_t size)
{
    size_t most = 0;
    for (size_t i = 0; i < stops->n; i++) {
        size_t n = strlen (stops->text[i]) - 1;
        for (n = n < size ? n : size; n > most; n--)
            if (memcmp (text + size - n, stops->text[i], n) == 0)
                most = n;
    }
    return most;
}

/*  Decoded behind the prompt, since the text of the first id may depend on what it follows. */
static bool stops_in (const stops_t *stops, const tokenizer_t *tokenizer, const int32_t *prompt,
                      size_t prompt_n, const int32_t *ids, size_t ids_n, buf_t *text, size_t *at)
{
    buf_clear (text);
    tokenizer_decode_after (tokenizer, prompt, prompt_n, ids, ids_n, TOKENIZER_PLAIN, text);
    return stops_find (stops, text->data, text->size, at);
}

/*  Ids only ever add to the text of those before them, so the fewest that spell a stop are found by
 *  halving. */
bool stops_cut (const stops_t *stops, const tokenizer_t *tokenizer, const int32_t *prompt,
                size_t prompt_n, const int32_t *ids, size_t *ids_n, buf_t *text)
{
    size_t at = 0, least = 1, enough = *ids_n;
    if (!stops_in (stops, tokenizer, prompt, prompt_n, ids, enough, text, &at))
        return false;
    while (least < enough) {
        size_t middle = least + (enough - least) / 2;
        if (stops_in (stops, tokenizer, prompt, prompt_n, ids, middle, text, &at))
            enough = middle;
        else
            least = middle + 1;
    }
    /* The last try need not have been this one, so the text is made again. */
    stops_in (stops, tokenizer, prompt, prompt_n, ids, enough, text, &at);
    text->size = at;
    if (text->data)
        text->data[at] = 0;
    *ids_n = enough;
    return true;
}

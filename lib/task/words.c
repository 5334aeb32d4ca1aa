/*  words - see words.h */
#include "task/words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define CONTENT_LETTERS 4
#define SENTENCES_MAX   256

static bool is_word (char c)
{
    return isalnum ((unsigned char) c) || c == '\'';
}

static char *new_word (words_t *words)
{
    if (words->n == words->capacity) {
        size_t n = words->capacity ? 2 * words->capacity : 64;
        char (*grown)[WORD_SIZE] = realloc (words->word, n * sizeof *grown);
        if (!grown)
            return NULL;
        words->word = grown;
        words->capacity = n;
    }
    return words->word[words->n++];
}

void words_split (const char *text, words_t *words)
{
    while (*text) {
        while (*text && !is_word (*text))
            text++;
        const char *start = text;
        while (is_word (*text))
            text++;
        size_t n = (size_t) (text - start);
        char *word = n ? new_word (words) : NULL;
        if (!word)
            continue;
        n = n < WORD_SIZE - 1 ? n : WORD_SIZE - 1;
        for (size_t i = 0; i < n; i++)
            word[i] = (char) tolower ((unsigned char) start[i]);
        word[n] = 0;
    }
}

void words_free (words_t *words)
{
    free (words->word);
    *words = (words_t){0};
}

static bool first_time (const words_t *words, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp (words->word[j], words->word[i]) == 0)
            return false;
    return true;
}

size_t words_distinct (const words_t *words)
{
    size_t n = 0;
    for (size_t i = 0; i < words->n; i++)
        n += first_time (words, i);
    return n;
}

size_t words_count (const words_t *words, const char *word)
{
    size_t n = 0;
    for (size_t i = 0; i < words->n; i++)
        n += strcmp (words->word[i], word) == 0;
    return n;
}

size_t words_count_any (const words_t *words, const char *const *list)
{
    size_t n = 0;
    for (; *list; list++)
        n += words_count (words, *list);
    return n;
}

static bool has_phrase (const words_t *words, const char *phrase)
{
    words_t wanted = {0};
    bool found = false;
    words_split (phrase, &wanted);
    for (size_t i = 0; !found && wanted.n && i + wanted.n <= words->n; i++) {
        size_t j = 0;
        while (j < wanted.n && strcmp (words->word[i + j], wanted.word[j]) == 0)
            j++;
        found = j == wanted.n;
    }
    words_free (&wanted);
    return found;
}

bool words_have_any (const words_t *words, const char *const *list)
{
    for (; *list; list++)
        if (has_phrase (words, *list))
            return true;
    return false;
}

double words_overlap (const words_t *a, const words_t *b)
{
    size_t all = 0, shared = 0;
    for (size_t i = 0; i < a->n; i++) {
        if (strlen (a->word[i]) < CONTENT_LETTERS || !first_time (a, i))
            continue;
        all++;
        shared += words_count (b, a->word[i]) > 0;
    }
    return all ? (double) shared / (double) all : 0;
}

double words_repeated_sentences (const char *text)
{
    const char *start[SENTENCES_MAX];
    size_t size[SENTENCES_MAX], n = 0, repeated = 0;
    while (*text && n < SENTENCES_MAX) {
        text += strspn (text, " \t\n.!?");
        size_t length = strcspn (text, ".!?\n");
        if (length > 8) { /* shorter ones may well come again */
            start[n] = text;
            size[n] = length;
            bool seen = false;
            for (size_t i = 0; i < n && !seen; i++)
                seen = size[i] == length && strncasecmp (start[i], text, length) == 0;
            repeated += seen;
            n++;
        }
        text += length;
    }
    return n ? (double) repeated / (double) n : 0;
}

/*  The share of a text's word 4-grams that occur in another's. */
static double shared_grams (const words_t *own, const words_t *seen)
{
    size_t shared = 0, all = own->n >= 4 ? own->n - 3 : 0;
    for (size_t i = 0; i < all; i++)
        for (size_t j = 0; j + 4 <= seen->n; j++)
            if (strcmp (own->word[i], seen->word[j]) == 0 &&
                strcmp (own->word[i + 1], seen->word[j + 1]) == 0 &&
                strcmp (own->word[i + 2], seen->word[j + 2]) == 0 &&
                strcmp (own->word[i + 3], seen->word[j + 3]) == 0) {
                shared++;
                break;
            }
    return all ? (double) shared / (double) all : 0;
}

/*  What the other roles wrote in the first n turns. */
static void words_of_others (const json_t *turns, size_t n, const char *role, words_t *words)
{
    const json_t *turn, *action;
    size_t t, a;
    json_array_foreach (turns, t, turn)
        json_array_foreach (json_object_get (turn, "actions"), a, action) {
            const char *text = json_string_value (json_object_get (action, "text"));
            const char *who = json_string_value (json_object_get (action, "role"));
            if (t < n && text && who && strcmp (who, role) != 0)
                words_split (text, words);
        }
}

void words_communication (const json_t *state, double *read, double *budget, double *repeated)
{
    const json_t *turns = json_object_get (state, "turns"), *turn, *action;
    double limit =
        (double) json_integer_value (json_object_get (json_object_get (state, "limits"), "tokens"));
    double others = (double) json_array_size (json_object_get (state, "roles")) - 1;
    size_t t, a, readers = 0;
    *read = *budget = *repeated = 0;
    json_array_foreach (turns, t, turn)
        json_array_foreach (json_object_get (turn, "actions"), a, action) {
            double tokens = (double) json_integer_value (json_object_get (action, "tokens_read"));
            const char *text = json_string_value (json_object_get (action, "text"));
            const char *role = json_string_value (json_object_get (action, "role"));
            if (!(tokens > 0) || !(others > 0))
                continue;
            words_t own = {0}, seen = {0};
            words_split (text ? text : "", &own);
            words_of_others (turns, t, role ? role : "", &seen);
            *read += tokens;
            *budget += limit * others * (double) t;
            *repeated += shared_grams (&own, &seen);
            readers++;
            words_free (&own);
            words_free (&seen);
        }
    if (readers)
        *repeated /= (double) readers;
}

/*  words - see words.h
 *
 *  Words are kept as one run of bytes and a table of where each begins; a text of a megabyte costs
 *  three allocations rather than 200,000. Memory that runs out sets a flag which stays: scorers ask
 *  for it once, at the end, and then throw their score away, since a count that is too small would
 *  be a wrong reward and nobody would know.
 */
#include "task/words.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define WORDS_CONTENT_LETTERS 4
#define WORDS_SENTENCE_BYTES  8
#define WORDS_GRAM            4

static const char *words_at (const words_t *words, size_t i)
{
    return words->text.data + words->start[i];
}

/*  One case and one encoding of accents, so that comparing bytes compares words. NULL: no memory.
 *  Texts come out of JSON, which is valid UTF-8; bytes that are not would end here as well. */
static char *words_fold (const char *text)
{
    utf8proc_uint8_t *folded = NULL;
    utf8proc_map ((const utf8proc_uint8_t *) text, 0, &folded,
                  (utf8proc_option_t) (UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE |
                                       UTF8PROC_CASEFOLD));
    return (char *) folded;
}

/*  Whoever adds makes the sorted order out of date. */
static void words_add (words_t *words, const char *word, size_t size)
{
    if (words->n == words->capacity) {
        size_t n = words->capacity ? 2 * words->capacity : 64;
        size_t *grown = realloc (words->start, n * sizeof *grown);
        if (!grown) {
            words->failed = true;
            return;
        }
        words->start = grown;
        words->capacity = n;
    }
    words->start[words->n++] = words->text.size;
    buf_append (&words->text, word, size);
    buf_append (&words->text, "", 1);
    words->failed = words->failed || buf_failed (&words->text);
    free (words->order);
    words->order = NULL;
}

/*  Thai, Lao, Myanmar and Khmer by their blocks; Chinese and Japanese are the wide letters. Korean
 *  is wide and has spaces, but its particles stick to the words, so that a term, too, is best found
 *  as a phrase. */
static bool words_is_unspaced (utf8proc_int32_t point)
{
    return utf8proc_category (point) == UTF8PROC_CATEGORY_LO &&
           (utf8proc_charwidth (point) == 2 || (point >= 0x0e00 && point <= 0x0eff) ||
            (point >= 0x1000 && point <= 0x109f) || (point >= 0x1780 && point <= 0x17ff));
}

/*  Letters, marks and numbers are the categories LU to NO. */
static bool words_is_part (utf8proc_int32_t point)
{
    utf8proc_category_t category = utf8proc_category (point);
    return point == '\'' || (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO);
}

static bool words_is_mark (utf8proc_int32_t point)
{
    utf8proc_category_t category = utf8proc_category (point);
    return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

/*  The typographic apostrophe, which keyboards do not have and models write. */
static void words_plain_apostrophes (char *text)
{
    char *to = text;
    for (const char *from = text; *from;)
        if (strncmp (from, "\xe2\x80\x99", 3) == 0) {
            *to++ = '\'';
            from += 3;
        } else {
            *to++ = *from++;
        }
    *to = 0;
}

/*  Walks over the characters and closes a word where one ends: at a character that is no part of
 *  words, or before and behind one that is a word of its own. Marks (accents, vowel signs) belong
 *  to what they stand on. */
void words_split (const char *text, words_t *words)
{
    char *folded = words_fold (text);
    if (!folded) {
        words->failed = true;
        return;
    }
    words_plain_apostrophes (folded);
    size_t size = strlen (folded), start = 0;
    bool inside = false, alone = false; /* in a word; in one that is a single character */
    for (size_t at = 0; at <= size;) {
        utf8proc_int32_t point = 0;
        utf8proc_ssize_t n = utf8proc_iterate ((const utf8proc_uint8_t *) folded + at,
                                               (utf8proc_ssize_t) (size - at), &point);
        bool part = n > 0 && words_is_part (point);
        bool unspaced = part && words_is_unspaced (point);
        bool ends = !part || unspaced || (alone && !words_is_mark (point));
        if (inside && ends)
            words_add (words, folded + start, at - start);
        if (part && (ends || !inside)) {
            start = at;
            alone = unspaced;
        }
        inside = part;
        at += n > 0 ? (size_t) n : 1;
    }
    free (folded);
}

/*  ---- sentences ------------------------------------------------------------------------------ */

static const char *const words_stops[] = {".", "!", "?", "\n", "。", "！", "？", "؟", "।", "…"};

/*  Bytes of what stands at the beginning of a text and ends a sentence, or 0. */
static size_t words_stop (const char *text)
{
    for (size_t i = 0; i < sizeof words_stops / sizeof *words_stops; i++)
        if (strncmp (text, words_stops[i], strlen (words_stops[i])) == 0)
            return strlen (words_stops[i]);
    return 0;
}

/*  A line ends a sentence as well: models often write lists and headings without a stop. */
void words_split_sentences (const char *text, words_t *words)
{
    char *folded = words_fold (text);
    if (!folded) {
        words->failed = true;
        return;
    }
    for (const char *at = folded; *at;) {
        size_t n = words_stop (at);
        if (n > 0 || *at == ' ' || *at == '\t') {
            at += n > 0 ? n : 1;
            continue;
        }
        const char *start = at;
        while (*at && words_stop (at) == 0)
            at++;
        /* What is as short as the number of a list's item is no sentence. */
        if (at - start > WORDS_SENTENCE_BYTES)
            words_add (words, start, (size_t) (at - start));
    }
    free (folded);
}

/*  Whether a text of n bytes ends with one of these; then n loses it. */
static bool words_strip (const char *text, size_t *n, const char *const *ends, size_t ends_n)
{
    for (size_t i = 0; i < ends_n; i++) {
        size_t size = strlen (ends[i]);
        if (*n >= size && memcmp (text + *n - size, ends[i], size) == 0) {
            *n -= size;
            return true;
        }
    }
    return false;
}

/*  Whether a text ends as a sentence does; quotes and blanks behind the stop do not matter. */
bool words_closed (const char *text)
{
    static const char *const around[] = {" ", "\n", "\"", "”", "»", "«", "“", "’", "」", "』"};
    static const char *const stops[] = {".", "!", "?", "。", "！", "？", "؟", "।", "…"};
    size_t n = strlen (text);
    while (words_strip (text, &n, around, sizeof around / sizeof *around))
        ;
    return words_strip (text, &n, stops, sizeof stops / sizeof *stops);
}

/*  ---- counting ------------------------------------------------------------------------------- */

bool words_failed (const words_t *words)
{
    return words->failed;
}

void words_free (words_t *words)
{
    buf_free (&words->text);
    free (words->start);
    free (words->order);
    *words = (words_t){0};
}

/*  By bytes, not by a locale: the order must be the same on every machine. */
static int words_compare (const void *a, const void *b, void *words)
{
    return strcmp (words_at (words, *(const size_t *) a), words_at (words, *(const size_t *) b));
}

/*  Texts are as long as models make them, so nothing here compares every word with every other. */
static bool words_sort (words_t *words)
{
    if (words->order || words->failed)
        return !words->failed;
    words->order = calloc (words->n + 1, sizeof *words->order);
    words->failed = !words->order;
    for (size_t i = 0; !words->failed && i < words->n; i++)
        words->order[i] = i;
    if (!words->failed)
        qsort_r (words->order, words->n, sizeof *words->order, words_compare, words);
    return !words->failed;
}

/*  The i-th of the sorted words, where that is another one than the one before it; else NULL. */
static const char *words_fresh (const words_t *words, size_t i)
{
    const char *word = words_at (words, words->order[i]);
    bool again = i > 0 && strcmp (word, words_at (words, words->order[i - 1])) == 0;
    return again ? NULL : word;
}

/*  Equal words stand side by side once they are sorted. */
size_t words_distinct (words_t *words)
{
    size_t n = 0;
    for (size_t i = 0; words_sort (words) && i < words->n; i++)
        n += words_fresh (words, i) != NULL;
    return n;
}

size_t words_count (const words_t *words, const char *word)
{
    size_t n = 0;
    for (size_t i = 0; !words->failed && i < words->n; i++)
        n += strcmp (words_at (words, i), word) == 0;
    return n;
}

size_t words_count_any (const words_t *words, const char *const *list)
{
    size_t n = 0;
    for (; *list; list++)
        n += words_count (words, *list);
    return n;
}

/*  The phrase is split by the same rules as the text, so that case, accents and apostrophes do not
 *  matter. */
static bool words_have_phrase (words_t *words, const char *phrase)
{
    words_t wanted = {0};
    bool found = false;
    words_split (phrase, &wanted);
    words->failed = words->failed || wanted.failed;
    for (size_t i = 0; !words->failed && !found && wanted.n && i + wanted.n <= words->n; i++) {
        size_t j = 0;
        while (j < wanted.n && strcmp (words_at (words, i + j), words_at (&wanted, j)) == 0)
            j++;
        found = j == wanted.n;
    }
    words_free (&wanted);
    return found;
}

bool words_have_any (words_t *words, const char *const *list)
{
    for (; *list; list++)
        if (words_have_phrase (words, *list))
            return true;
    return false;
}

/*  Whether a word says something: articles and the like are short. A character that is a word is
 *  not. */
static bool words_is_content (const char *word)
{
    utf8proc_int32_t point = 0;
    size_t letters = 0;
    utf8proc_iterate ((const utf8proc_uint8_t *) word, -1, &point);
    for (const char *at = word; *at; at++)
        letters += (*at & 0xc0) != 0x80; /* a byte that begins a character */
    return letters >= WORDS_CONTENT_LETTERS || words_is_unspaced (point);
}

/*  Both lists are sorted, so one walk over the two of them suffices. */
double words_overlap (words_t *a, words_t *b)
{
    size_t all = 0, shared = 0, j = 0;
    if (!words_sort (a) || !words_sort (b))
        return 0;
    for (size_t i = 0; i < a->n; i++) {
        const char *word = words_fresh (a, i);
        if (!word || !words_is_content (word))
            continue;
        while (j < b->n && strcmp (words_at (b, b->order[j]), word) < 0)
            j++;
        all++;
        shared += j < b->n && strcmp (words_at (b, b->order[j]), word) == 0;
    }
    return all ? (double) shared / (double) all : 0;
}

/*  Both places have four words from there on; the callers see to that. */
static int words_compare_grams (const words_t *a, size_t i, const words_t *b, size_t j)
{
    int sign = 0;
    for (size_t k = 0; sign == 0 && k < WORDS_GRAM; k++)
        sign = strcmp (words_at (a, i + k), words_at (b, j + k));
    return sign;
}

static int words_compare_places (const void *a, const void *b, void *words)
{
    return words_compare_grams (words, *(const size_t *) a, words, *(const size_t *) b);
}

/*  Whether the 4-gram at a place of own is among the sorted ones of seen. */
static bool words_have_gram (const words_t *own, size_t place, const words_t *seen,
                             const size_t *sorted, size_t n)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int sign = words_compare_grams (own, place, seen, sorted[middle]);
        if (sign == 0)
            return true;
        if (sign < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

/*  Sorts the places of seen by what stands there, then looks each of own's up: n log n, where the
 *  naive way took seconds for an episode of many turns, on the thread that should score the
 *  others. */
double words_shared_grams (const words_t *own, words_t *seen)
{
    size_t all = own->n >= WORDS_GRAM ? own->n - WORDS_GRAM + 1 : 0, shared = 0;
    size_t n = seen->n >= WORDS_GRAM ? seen->n - WORDS_GRAM + 1 : 0;
    size_t *sorted = calloc (n + 1, sizeof *sorted);
    seen->failed = seen->failed || own->failed || !sorted;
    for (size_t i = 0; !seen->failed && i < n; i++)
        sorted[i] = i;
    if (!seen->failed)
        qsort_r (sorted, n, sizeof *sorted, words_compare_places, seen);
    for (size_t i = 0; !seen->failed && i < all; i++)
        shared += words_have_gram (own, i, seen, sorted, n);
    free (sorted);
    return all ? (double) shared / (double) all : 0;
}

/*  words - what texts are made of: words, sentences, overlap; for scorers.
 *
 *      words_t words = {0};
 *      words_split ("The harbour, at dawn.", &words);      "the" "harbour" "at" "dawn"
 *      words_count (&words, "harbour");
 *      bool ok = !words_failed (&words);                   else memory ran out: no count is true
 *      words_free (&words);
 *
 *  A word is a run of letters, digits and apostrophes of any alphabet, compared without regard to
 *  case and to how its accents are encoded; so markers are matched as whole words, never inside
 *  others. Where a script puts no spaces between words (Chinese, Japanese, Thai ...) every
 *  character is a word of its own, and what readers call a word is a phrase of them.
 */
#ifndef QUINTET_TASK_WORDS_H
#define QUINTET_TASK_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

typedef struct {
    buf_t text;    /* the words, folded, each with a 0 byte behind it */
    size_t *start; /* of each word in text */
    size_t *order; /* the words sorted, once somebody needed that; NULL: not yet */
    size_t n, capacity;
    bool failed; /* sticky */
} words_t;

/*  Appends the words of a text in UTF-8. */
void words_split (const char *text, words_t *words);
/*  Appends the sentences of a text instead, each as one word; short ones (8 bytes or less) are left
 *  out, since they may well come again. */
void words_split_sentences (const char *text, words_t *words);
bool words_failed (const words_t *words);
void words_free (words_t *words);

size_t words_distinct (words_t *words);
size_t words_count (const words_t *words, const char *word);
/*  Occurrences of the words of a list that ends with NULL. */
size_t words_count_any (const words_t *words, const char *const *list);
/*  Whether any of a list's words or phrases ("in short") occurs, as whole words. */
bool words_have_any (words_t *words, const char *const *list);
/*  Share of the content words (4 letters or more, each once) of a that also occur in b. */
double words_overlap (words_t *a, words_t *b);
/*  Share of a text's word 4-grams that occur in another's. */
double words_shared_grams (const words_t *own, words_t *seen);

/*  Whether a text ends as a sentence does, quotation marks and spaces aside. */
bool words_closed (const char *text);

#endif

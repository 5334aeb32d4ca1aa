/*  words - what texts are made of: words, sentences, overlap; for scorers.
 *
 *      words_t words = {0};
 *      words_split ("The harbour, at dawn.", &words);      "the" "harbour" "at" "dawn"
 *      words_free (&words);
 *
 *  A word is a run of letters, digits and apostrophes, compared in lower case; so markers are matched as
 *  whole words, never inside others.
 */
#ifndef QUINTET_TASK_WORDS_H
#define QUINTET_TASK_WORDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define WORD_SIZE 32 /* longer words are cut */

typedef struct {
    char (*word)[WORD_SIZE];
    size_t n, capacity;
} words_t;

/*  Appends the words of a text. */
void words_split (const char *text, words_t *words);
void words_free (words_t *words);

size_t words_distinct (const words_t *words);
size_t words_count (const words_t *words, const char *word);
/*  Occurrences of the words of a list that ends with NULL. */
size_t words_count_any (const words_t *words, const char *const *list);
/*  Whether any of a list's words or phrases ("in short") occurs, as whole words. */
bool words_have_any (const words_t *words, const char *const *list);
/*  Share of the content words (4 letters or more, each once) of a that also occur in b. */
double words_overlap (const words_t *a, const words_t *b);
/*  Sentences that occur more than once, as a share of all. */
double words_repeated_sentences (const char *text);

/*  Of a global state: tokens read from other roles over all actions, the tokens that could have been read
 *  (0: nobody saw anybody), and the share of word 4-grams of a role that another had written where it could
 *  see it. Its own come again rightly: what a team hands in is what it wrote in the last turn. */
void words_communication (const json_t *state, double *read, double *budget, double *repeated);

#endif

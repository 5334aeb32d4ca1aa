/*  article - what the files of the article family share. Private to lib/task/article.
 *
 *      generate.c   the built-in set            seats.c      what each seat is asked, and hands in
 *      traits.c     what a house style is made of
 *      corpus.c     what an untrained team would write
 *      score.c      the checks of an article
 *
 *  A task has three sections, each with a brief of its own, which its writer alone reads:
 *
 *    {"id", "family", "brief": "opening: Open an article ...\nmiddle: ...\nclosing: ...",
 *     "terms": ["harbor"], what all sections have to name,
 *     "sections": [{"name": "opening", "brief": "Open ...", "when": "at dawn",
 *                   "terms": ["dawn"]}, ...]}
 *
 *  What no brief says is the style: headings, spelling, register, person, what those are called who
 *  come, and how the sections are joined. Any will do, but it has to be one.
 *
 *  A function's comment stands in family.h, at the member of family_t that it is.
 */
#ifndef QUINTET_TASK_ARTICLE_H
#define QUINTET_TASK_ARTICLE_H

#include "task/family.h"
#include "task/words.h"

#define ARTICLE_SECTIONS  3
#define ARTICLE_SIDES     4         /* of a trait, at most */
#define ARTICLE_WORDS_MAX 6         /* of a side, and the NULL that ends them */
#define ARTICLE_BETWEEN   "\n---\n" /* sections of who writes them all */

/*  What a style decides, apart from the heading. */
typedef enum {
    ARTICLE_SPELLING,
    ARTICLE_REGISTER,
    ARTICLE_PERSON,
    ARTICLE_NAMING,
    ARTICLE_JOINING,
    ARTICLE_TRAITS
} article_trait_t;

/*  The words that show on which side a text is; a side that is not there has none. */
typedef struct {
    const char *name;
    const char *sides[ARTICLE_SIDES][ARTICLE_WORDS_MAX];
} article_words_t;
extern const article_words_t article_traits[ARTICLE_TRAITS];

/*  Headings are told apart by what stands before and behind the title. */
typedef struct {
    const char *before, *behind;
} article_heading_t;
extern const article_heading_t article_headings[ARTICLE_SIDES];

/*  opening, middle, closing; NULL ends. */
extern const char *const article_names[ARTICLE_SECTIONS + 1];
extern const char *const article_corpus_roles[];

/*  The number of a section by its name; ARTICLE_SECTIONS: it is another. */
size_t article_number (const char *name);
/*  Section k of a task. */
const json_t *article_section (const json_t *task, size_t k);
/*  The n-th term of a task or a section, or NULL. */
const char *article_term (const json_t *object, size_t n);
/*  The side of a trait that the words are on; ARTICLE_SIDES: none, or more than one. */
size_t article_side_of (words_t *words, const article_words_t *trait);
/*  The heading that a first line of n bytes is; ARTICLE_SIDES: none. */
size_t article_heading_of (const char *line, size_t n);

size_t article_builtin (const char *style);
json_t *article_generate (const task_options_t *options, size_t i);
int article_adopt (json_t *task, err_t *err);
void article_observe (const json_t *task, const char *role, buf_t *prompt);
void article_merge (const json_t *task, const char *const *roles, const char *const *texts,
                    size_t n, buf_t *artifact);
/*  Thirteen checks, each graded in [0, 1]; quality is their mean. Six compare the sections: of
 *  headings and of each trait, 1 when all three are on one side, a half when two are; `agreement`
 *  is the mean of those. Success: all six whole, and quality at least 0.9. */
int article_score (const episode_t *episode, const task_capabilities_t *capabilities,
                   reward_score_t *score, err_t *err);
void article_situate (json_t *task, const char *role, rng_t *rng, buf_t *prompt);
void article_imagine (const json_t *task, const char *role, rng_t *rng, buf_t *completion);

#endif

/*  writing - what the files of the writing family share. Private to lib/task/writing.
 *
 *      generate.c   the built-in sets           observe.c   what each seat is asked
 *      adopt.c      tasks from users' files      merge.c     the text that the team hands in
 *      score.c      the checks of a text         corpus.c    what an untrained team would write
 *      prose.c      the checks of plain prose    topics.c    what to write it about
 *
 *  A function's comment stands in family.h, at the member of family_t that it is.
 */
#ifndef QUINTET_TASK_WRITING_H
#define QUINTET_TASK_WRITING_H

#include "task/family.h"
#include "task/words.h"

extern const char *const writing_corpus_roles[];

/*  Whether a style, of a set or of a task, is the stories'. */
bool writing_is_story (const char *style);
/*  Whether it is plain prose. */
bool writing_is_prose (const char *style);

size_t writing_builtin (const char *style);
json_t *writing_generate (const task_options_t *options, size_t i);
int writing_adopt (json_t *task, err_t *err);
void writing_observe (const json_t *task, const char *role, buf_t *prompt);
void writing_merge (const json_t *task, const char *const *roles, const char *const *texts,
                    size_t n, buf_t *artifact);
/*  Twelve checks, each graded in [0, 1]; quality is their mean. Four of them compare the two parts
 *  and can only be met together: heading style, spelling, register, person; `agreement` is the mean
 *  of those. Stories have no house style: eight checks, agreement the mean of the three that
 *  compare the parts. Prose has fifteen at most (prose.c), six of which compare the parts. */
int writing_score (const episode_t *episode, const task_capabilities_t *capabilities,
                   reward_score_t *score, err_t *err);
void writing_situate (json_t *task, const char *role, rng_t *rng, buf_t *prompt);
void writing_imagine (const json_t *task, const char *role, rng_t *rng, buf_t *completion);

/*  Topics of plain prose: how many, and what task i is. */
size_t writing_topics (void);
json_t *writing_topic (size_t i);

/*  ---- scoring -------------------------------------------------------------------------------- */

/*  Checks as they come: score's quality and agreement are sums until all are there. */
typedef struct {
    reward_score_t *score;
    size_t cross; /* of the checks, those that compare the parts */
} writing_sum_t;

/*  Adds a check. cross: it compares the two parts, and counts for the agreement as well. */
void writing_check (writing_sum_t *sum, const char *name, double value, bool cross);
/*  Share of the task's terms that occur, counted in both parts; 1 where it has none. */
double writing_terms_of (const json_t *task, words_t *a, words_t *b);
/*  Bytes of the summary that a text of prose begins with: its first paragraph, or of a single
 *  paragraph its first sentence; all of it where that has no end. */
size_t writing_prose_summary (const char *text);
/*  Adds the checks of prose for the texts of summary and details. own: what each is worth by
 *  itself, in [0, 1]: the mean of an end, no lists, and no sentence again. ERR_LIMIT: no memory. */
int writing_check_prose (const json_t *task, const char *const texts[2], writing_sum_t *sum,
                         double own[2], err_t *err);

#endif

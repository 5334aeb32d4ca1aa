/*  corpus - see corpus.h
 *
 *  Nothing is stored: text i is made from i whenever somebody asks. A seed model can therefore be
 *  trained on any number of texts, in any order, on any number of threads, and comes out the same.
 */
#include "task/corpus.h"

#include <stdlib.h>
#include <string.h>

#include "task/family.h"

#define CORPUS_MISTAKES 0.2

struct corpus {
    const family_t *family;
    task_set_t *set;
    task_options_t options;
    size_t roles;
};

/*  Texts are made of the training side alone (corpus_get), so what the options hold out stays out
 *  of the corpus as well. */
corpus_t *corpus_new (const task_options_t *options, err_t *err)
{
    corpus_t *corpus = calloc (1, sizeof *corpus);
    if (!corpus) {
        err_set (err, ERR_LIMIT, "no memory for a corpus");
        return NULL;
    }
    corpus->set = task_set_open (options, err);
    if (!corpus->set) {
        free (corpus);
        return NULL;
    }
    corpus->family = family_find (options->family);
    if (!corpus->family->imagine) {
        err_set (err, ERR_CONFIG, "the %s family writes no texts", options->family);
        corpus_destroy (&corpus);
        return NULL;
    }
    corpus->options = *options;
    while (corpus->family->corpus_roles[corpus->roles])
        corpus->roles++;
    return corpus;
}

void corpus_destroy (corpus_t **corpus)
{
    if (!*corpus)
        return;
    task_set_destroy (&(*corpus)->set);
    free (*corpus);
    *corpus = NULL;
}

/*  One text in five is the answer to another task than its prompt's: that keeps the model unsure
 *  enough to explore. It must not be the answer to a held-out one, which would be known from here
 *  then. */
static json_t *corpus_answered (const corpus_t *corpus, json_t *task, rng_t *rng)
{
    json_t *answered = json_incref (task);
    if (!corpus->family->mistake || rng_unit (rng) >= CORPUS_MISTAKES)
        return answered;
    for (bool known = false; !known;) {
        json_decref (answered);
        answered = json_deep_copy (task);
        if (answered)
            corpus->family->mistake (answered, rng);
        known = !answered || !task_is_heldout (&corpus->options, answered);
    }
    return answered;
}

/*  A task of the train split, worded anew: the wording follows from the text's own index. */
int corpus_get (const corpus_t *corpus, uint64_t index, buf_t *prompt, buf_t *completion,
                err_t *err)
{
    rng_t rng = {.key = rng_key ((uint64_t[]){corpus->options.seed, 0xc0495, index}, 3)};
    size_t n = task_set_size (corpus->set, TASK_TRAIN);
    const char *text = task_set_get (corpus->set, TASK_TRAIN, rng_below (&rng, n));
    const char *role = corpus->family->corpus_roles[rng_below (&rng, corpus->roles)];
    /* A copy of its own, which may be reworded: the set's text is shared by all threads. */
    json_t *task = json_loads (text, 0, NULL);
    if (!task)
        return err_set (err, ERR_LIMIT, "no memory for text %llu of the corpus",
                        (unsigned long long) index);
    if (corpus->family->reword)
        corpus->family->reword (task, &rng);
    if (corpus->family->situate)
        corpus->family->situate (task, role, &rng, prompt);
    corpus->family->observe (task, role, prompt);
    json_t *answered = corpus_answered (corpus, task, &rng);
    if (answered)
        corpus->family->imagine (answered, role, &rng, completion);
    json_decref (answered);
    json_decref (task);
    if (!answered)
        return err_set (err, ERR_LIMIT, "no memory for text %llu of the corpus",
                        (unsigned long long) index);
    return buf_failed (prompt) || buf_failed (completion)
               ? err_set (err, ERR_LIMIT, "text %llu of the corpus is too long",
                          (unsigned long long) index)
               : 0;
}

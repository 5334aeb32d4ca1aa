/*  corpus - texts to pretrain a seed model on: what an untrained team would write.
 *
 *      corpus_t *corpus = corpus_new (&options, &err);      lazily generated, pure in (seed, index)
 *      corpus_get (corpus, i, &prompt, &completion, &err);
 *      corpus_destroy (&corpus);
 *
 *  The corpus mixes several conventions of how the roles could share the work (coding: what `aux`
 *  does; writing: the house style), so an untrained team agrees only by chance: the coordination is
 *  what reinforcement learning must find. Held-out tasks never occur in it.
 */
#ifndef QUINTET_TASK_CORPUS_H
#define QUINTET_TASK_CORPUS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "task/task.h"

typedef struct corpus corpus_t;

corpus_t *corpus_new (const task_options_t *options, err_t *err);
void corpus_destroy (corpus_t **corpus);
/*  Appends the prompt exactly as episode_observe gives it for that role, and a completion. */
int corpus_get (const corpus_t *corpus, uint64_t index, buf_t *prompt, buf_t *completion,
                err_t *err);

#endif

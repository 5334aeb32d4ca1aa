/*  pretrain - a seed model from a task family's own corpus, or from a file of texts: tokenizer,
 *  weights, Hugging Face folder.
 *
 *      pretrain_options_t options = PRETRAIN_DEFAULTS;
 *      options.task.family = "coding";
 *      options.out = "my-seed";
 *      pretrain_run (&options, &err);
 *
 *  The same options on the same kind of CPU give the same bytes, whatever the number of threads.
 */
#ifndef QUINTET_CLI_PRETRAIN_H
#define QUINTET_CLI_PRETRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "task/task.h"

typedef struct {
    task_options_t task;
    const char *file; /* of texts (texts.h), in place of the family's corpus; NULL: none */
    const char *out;  /* folder to make; must not exist */
    uint64_t seed;
    size_t texts; /* of the corpus, that the tokenizer is made from: prompts and completions */
    size_t vocab, width, layers, heads, ff, context;
    size_t steps, batch; /* batch: texts per step */
    double lr;      /* at its highest: after a warm-up of 2% of the steps; falls linearly to 5% */
    size_t threads; /* 0: one per core */
} pretrain_options_t;

#define PRETRAIN_DEFAULTS                                                                          \
    (pretrain_options_t)                                                                           \
    {                                                                                              \
        .task = {.seed = 1, .heldout = 0.2, .style = "plain"}, .seed = 1, .texts = 8000,           \
        .vocab = 512, .width = 96, .layers = 3, .heads = 4, .ff = 256, .context = 512,             \
        .steps = 1200, .batch = 64, .lr = 3e-3                                                     \
    }

/*  Prints progress on stderr. Nothing is left behind on failure. */
int pretrain_run (const pretrain_options_t *options, err_t *err);

#endif

/*  sampler - continuous batching: many completions decoded together, each as if it were alone.
 *
 *      sampler_t *sampler = sampler_new (model, 256, pool, &err);
 *      sampler_add (sampler, &job, &err);                 n samples that share one prompt
 *      while (sampler_step (sampler) > 0) {               one token for every active row
 *          while (sampler_take (sampler, &done)) ...
 *      }
 *      sampler_destroy (&sampler);
 *
 *  A sample is a pure function of (weights, prompt ids, key, temperature, filter, limits): whatever
 *  else is decoded beside it, and whenever it was added, the tokens and log-probabilities are the
 *  same bits.
 */
#ifndef QUINTET_MODEL_SAMPLER_H
#define QUINTET_MODEL_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "model/model.h"
#include "model/sampler_filter.h"

#define SAMPLER_STOPS_MAX 8

typedef struct past past_t; /* past.h */

typedef struct {
    const model_t *model;  /* whose weights; of the sampler's shape. NULL: the sampler's own */
    const int32_t *prompt; /* at least one id */
    size_t prompt_n;
    size_t samples;          /* how many completions share the prompt */
    const uint64_t *keys;    /* one rng key per sample; position p draws rng_uniform (key, p) */
    float temperature;       /* 0: greedy (lowest id wins a tie); log-probabilities then at 1 */
    sampler_filter_t filter; /* greedy: only its penalty counts */
    size_t max_tokens;       /* per completion, the stop token included */
    int32_t stops[SAMPLER_STOPS_MAX];
    size_t stops_n;
    past_t *past; /* for those who go on from what they said: the prompt's beginning is taken from
                     it, and completions are kept in it; outlives the job. NULL: neither */
    uint64_t tag; /* the caller's; comes back with every result */
} sampler_job_t;

typedef struct {
    uint64_t tag;
    size_t sample;      /* 0..samples-1 */
    const int32_t *ids; /* valid until the next sampler_ call */
    const float *logps; /* log softmax (logits / temperature) over the whole vocabulary */
    size_t n;
    bool stopped; /* the last id is a stop token; otherwise cut by the length limit */
} sampler_result_t;

typedef struct sampler sampler_t;

/*  rows: how many completions are decoded at once (more wait inside, in order). One sampler serves
 *  all models of a shape: they share its memory. Models are borrowed: none may change (model_set)
 *  or go while jobs of it are pending, and the sampler's own may go when no job asks for it any
 *  more. */
sampler_t *sampler_new (const model_t *model, size_t rows, pool_t *pool, err_t *err);
void sampler_destroy (sampler_t **sampler);

/*  Copies what it needs. ERR_INPUT for ids outside the vocabulary, an empty prompt, or more tokens
 *  than the model's context; ERR_LIMIT when too much waits. */
int sampler_add (sampler_t *sampler, const sampler_job_t *job, err_t *err);
/*  Forgets all samples of a tag, running or waiting. */
void sampler_cancel (sampler_t *sampler, uint64_t tag);

/*  Prefills what was added, decodes one token for every active row. Returns how many rows are
 *  active or waiting afterwards. */
size_t sampler_step (sampler_t *sampler);
bool sampler_take (sampler_t *sampler, sampler_result_t *result);
/*  What a row has written so far (row 0 .. rows - 1), valid until the next step: for those who show
 *  it while it grows. False: no completion is in it. */
bool sampler_look (const sampler_t *sampler, size_t row, sampler_result_t *result);
/*  Ends the completion in a row as it is; it is taken like any other. */
void sampler_end (sampler_t *sampler, size_t row);

size_t sampler_pending (const sampler_t *sampler);  /* rows active or waiting */
uint64_t sampler_tokens (const sampler_t *sampler); /* decoded since sampler_new */
/*  Ids of prompts that were computed since then, and not taken from a past. */
uint64_t sampler_computed (const sampler_t *sampler);
size_t sampler_bytes (const sampler_t *sampler);

#endif

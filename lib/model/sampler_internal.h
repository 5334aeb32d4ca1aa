/*  sampler_internal - what sampler.c (jobs come and go) and sampler_run.c (a step) share. */
#ifndef QUINTET_MODEL_SAMPLER_INTERNAL_H
#define QUINTET_MODEL_SAMPLER_INTERNAL_H

#include "model/forward.h"
#include "model/past.h"
#include "model/sampler.h"

#define SAMPLER_BLOCK_ROWS ((size_t) 64)  /* of one thread at a time when rows are cut */
#define SAMPLER_CHUNK_ROWS ((size_t) 256) /* prompt positions at once when products are cut */

/*  A finished or growing completion. */
typedef struct output {
    struct output *next;
    uint64_t tag;
    size_t sample, n;
    bool stopped;
    float *logps; /* behind ids, in the same piece */
    int32_t ids[];
} output_t;

typedef struct job {
    struct job *next;
    const model_t *model;
    uint64_t tag;
    size_t prompt_n, samples, max_tokens, stops_n;
    int32_t stops[SAMPLER_STOPS_MAX];
    float temperature;
    sampler_filter_t filter;
    past_t *past;
    kv_t prefix;    /* data is NULL until the prompt is computed */
    size_t known;   /* positions of the prompt that somebody had computed before */
    size_t started; /* samples that got a row, in order */
    size_t live;    /* samples in a row */
    uint64_t *keys;
    int32_t *prompt, *first; /* the ids of the prompt; the first id of every sample */
    float *first_logps;
} job_t;

typedef struct {
    job_t *job; /* NULL: the row is free */
    output_t *output;
    uint64_t key;
    kv_t own;
    size_t floats; /* that own.data can hold */
} row_t;

struct sampler {
    const model_t *model; /* of jobs that name none */
    model_config_t shape;
    model_compute_t compute;
    size_t rank; /* of adapters, at most */
    pool_t *pool;
    bool apart; /* rows are cut, not products */
    size_t threads;
    forward_t **forward; /* one per thread when rows are cut, else one */
    float **exps;        /* per thread: scratch of drawing, [vocab] */
    uint32_t **order;    /* the same for filters; NULL before a job has one */
    row_t *rows;
    size_t rows_n, active, waiting;
    uint64_t tokens;   /* that were decoded */
    uint64_t computed; /* ids of prompts */
    job_t *jobs, **jobs_end;
    output_t *done, **done_end, *taken;
    /* of the step under way */
    forward_row_t *step; /* [rows_n] */
    row_t **step_row;    /* [rows_n] */
    size_t step_n;
    size_t part, part_n, blocks; /* rows on one base, in how many blocks they are cut */
    job_t **fresh;               /* [rows_n] jobs to compute the prompt of */
    size_t fresh_n;
};

/*  Takes a row's sample out of it; its output must have been moved or freed. */
void sampler_leave (sampler_t *sampler, row_t *row);
/*  Moves the completion out of its row to those that are done. */
void sampler_harvest (sampler_t *s, row_t *row);
/*  Frees jobs without samples that wait or run. */
void sampler_sweep (sampler_t *sampler);

#endif

/*  sampler - see sampler.h
 *
 *  DESIGN
 *  A job's prompt is computed once (prefill) into blocks of keys and values that all its samples read;
 *  the first token of every sample is drawn then and there. A sample then gets a row: blocks of its own
 *  for what it adds, and a place in every decode step until it stops.
 *  Small models cut a step into blocks of rows, one thread each from embedding to drawn token; large
 *  ones keep the rows together and cut every product, so that weights are read once.
 */
#include "model/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "model/forward.h"

#define ROWS_APART_BYTES ((size_t) 8 << 20) /* of weights: up to here rows are cut, not products */
#define BLOCK_ROWS       ((size_t) 64)      /* of one thread at a time when rows are cut */
#define CHUNK_ROWS       ((size_t) 256)     /* prompt positions at once when products are cut */
#define WAITING_MAX      ((size_t) 1 << 16) /* samples inside */

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
    uint64_t tag;
    size_t prompt_n, samples, max_tokens, stops_n;
    int32_t stops[SAMPLER_STOPS_MAX];
    float temperature;
    kv_t prefix;    /* data is NULL until the prompt is computed */
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
    const model_t *model;
    pool_t *pool;
    bool apart; /* rows are cut, not products */
    size_t threads;
    forward_t **forward; /* one per thread when rows are cut, else one */
    float **exps;        /* per thread: scratch of drawing, [vocab] */
    row_t *rows;
    size_t rows_n, active, waiting;
    job_t *jobs, **jobs_end;
    output_t *done, **done_end, *taken;
    /* of the step under way */
    forward_row_t *step; /* [rows_n] */
    row_t **step_row;    /* [rows_n] */
    size_t step_n, blocks;
    job_t **fresh; /* [rows_n] jobs to compute the prompt of */
    size_t fresh_n;
};

/*  ---- life ---- */

static void free_job (job_t **self)
{
    job_t *job = *self;
    if (job) {
        free (job->prefix.data);
        free (job->keys);
        free (job->prompt);
        free (job->first);
        free (job->first_logps);
    }
    free (job);
    *self = NULL;
}

static int make_buffers (sampler_t *s, err_t *err)
{
    const model_t *model = s->model;
    size_t forwards = s->apart ? s->threads : 1, rows = s->apart ? BLOCK_ROWS : s->rows_n;
    if (!s->apart && rows < CHUNK_ROWS)
        rows = CHUNK_ROWS;
    s->rows = calloc (s->rows_n, sizeof *s->rows);
    s->step = calloc (s->rows_n, sizeof *s->step);
    s->step_row = calloc (s->rows_n, sizeof *s->step_row);
    s->fresh = calloc (s->rows_n, sizeof (job_t *));
    s->forward = calloc (forwards, sizeof (forward_t *));
    s->exps = calloc (s->threads, sizeof (float *));
    if (!s->rows || !s->step || !s->step_row || !s->fresh || !s->forward || !s->exps)
        return err_set (err, ERR_LIMIT, "no memory for a sampler of %zu rows", s->rows_n);
    for (size_t i = 0; i < forwards; i++) {
        s->forward[i] =
            forward_new (model, rows, model->config.context, s->apart ? 1 : s->threads, err);
        if (!s->forward[i])
            return -1;
    }
    for (size_t i = 0; i < s->threads; i++) {
        s->exps[i] = calloc (model->config.vocab, sizeof (float));
        if (!s->exps[i])
            return err_set (err, ERR_LIMIT, "no memory for a sampler of %zu rows", s->rows_n);
    }
    return 0;
}

sampler_t *sampler_new (const model_t *model, size_t rows, pool_t *pool, err_t *err)
{
    if (model->config.value_head || rows < 1) {
        err_set (err, ERR_INPUT,
                 "a sampler needs a model that predicts tokens, and at least one row");
        return NULL;
    }
    sampler_t *s = calloc (1, sizeof *s);
    if (!s) {
        err_set (err, ERR_LIMIT, "no memory for a sampler");
        return NULL;
    }
    *s = (sampler_t){.model = model, .pool = pool, .rows_n = rows, .threads = pool_threads (pool)};
    s->apart = model_bytes (model) <= ROWS_APART_BYTES;
    s->jobs_end = &s->jobs;
    s->done_end = &s->done;
    if (make_buffers (s, err) != 0)
        sampler_destroy (&s);
    return s;
}

static void free_outputs (output_t **list)
{
    while (*list) {
        output_t *output = *list;
        *list = output->next;
        free (output);
    }
}

void sampler_destroy (sampler_t **self)
{
    sampler_t *s = *self;
    if (!s)
        return;
    while (s->jobs) {
        job_t *job = s->jobs;
        s->jobs = job->next;
        free_job (&job);
    }
    for (size_t i = 0; s->rows && i < s->rows_n; i++) {
        free (s->rows[i].own.data);
        free (s->rows[i].output);
    }
    for (size_t i = 0; s->forward && i < (s->apart ? s->threads : 1); i++)
        forward_destroy (&s->forward[i]);
    for (size_t i = 0; s->exps && i < s->threads; i++)
        free (s->exps[i]);
    free_outputs (&s->done);
    free (s->taken);
    free (s->forward);
    free (s->exps);
    free (s->rows);
    free (s->step);
    free (s->step_row);
    free (s->fresh);
    free (s);
    *self = NULL;
}

/*  ---- jobs come and go ---- */

static int check_job (const sampler_t *s, const sampler_job_t *job, err_t *err)
{
    const model_config_t *c = &s->model->config;
    if (job->prompt_n < 1 || job->samples < 1 || job->max_tokens < 1)
        return err_set (err, ERR_INPUT,
                        "a prompt of %zu ids, %zu samples, %zu tokens at most: each must "
                        "be at least 1",
                        job->prompt_n, job->samples, job->max_tokens);
    if (job->prompt_n > c->context || job->max_tokens > c->context - job->prompt_n)
        return err_set (err, ERR_INPUT,
                        "a prompt of %zu ids and completions of %zu do not fit into "
                        "the model's context of %zu",
                        job->prompt_n, job->max_tokens, c->context);
    if (!(job->temperature >= 0) || !isfinite (job->temperature))
        return err_set (err, ERR_INPUT, "temperature is %g; it must be a number from 0 on",
                        (double) job->temperature);
    if (job->stops_n > SAMPLER_STOPS_MAX)
        return err_set (err, ERR_INPUT, "%zu stop tokens; at most %d", job->stops_n,
                        SAMPLER_STOPS_MAX);
    for (size_t i = 0; i < job->prompt_n; i++)
        if (job->prompt[i] < 0 || (size_t) job->prompt[i] >= c->vocab)
            return err_set (err, ERR_INPUT,
                            "prompt id %d at place %zu lies outside the vocabulary (%zu)",
                            (int) job->prompt[i], i, c->vocab);
    if (job->samples > WAITING_MAX || sampler_pending (s) > WAITING_MAX - job->samples)
        return err_set (err, ERR_LIMIT, "%zu samples wait and %zu more would exceed %zu",
                        sampler_pending (s), job->samples, WAITING_MAX);
    return 0;
}

static job_t *make_job (const sampler_job_t *from)
{
    job_t *job = calloc (1, sizeof *job);
    if (!job)
        return NULL;
    *job = (job_t){.tag = from->tag,
                   .prompt_n = from->prompt_n,
                   .samples = from->samples,
                   .max_tokens = from->max_tokens,
                   .stops_n = from->stops_n,
                   .temperature = from->temperature};
    job->keys = calloc (from->samples, sizeof *job->keys);
    job->prompt = calloc (from->prompt_n, sizeof *job->prompt);
    job->first = calloc (from->samples, sizeof *job->first);
    job->first_logps = calloc (from->samples, sizeof *job->first_logps);
    if (!job->keys || !job->prompt || !job->first || !job->first_logps) {
        free_job (&job);
        return NULL;
    }
    memcpy (job->keys, from->keys, from->samples * sizeof *job->keys);
    memcpy (job->prompt, from->prompt, from->prompt_n * sizeof *job->prompt);
    memcpy (job->stops, from->stops, from->stops_n * sizeof *job->stops);
    return job;
}

static void forget_taken (sampler_t *s)
{
    free (s->taken);
    s->taken = NULL;
}

int sampler_add (sampler_t *s, const sampler_job_t *from, err_t *err)
{
    forget_taken (s);
    if (check_job (s, from, err) != 0)
        return -1;
    job_t *job = make_job (from);
    if (!job)
        return err_set (err, ERR_LIMIT, "no memory for %zu samples", from->samples);
    *s->jobs_end = job;
    s->jobs_end = &job->next;
    s->waiting += job->samples;
    return 0;
}

/*  Jobs without samples to start or running are gone. */
static void sweep (sampler_t *s)
{
    for (job_t **at = &s->jobs; *at;) {
        job_t *job = *at;
        if (job->started < job->samples || job->live > 0) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        free_job (&job);
    }
    s->jobs_end = &s->jobs;
    while (*s->jobs_end)
        s->jobs_end = &(*s->jobs_end)->next;
}

static void leave (sampler_t *s, row_t *row)
{
    row->job->live--;
    row->job = NULL;
    s->active--;
}

void sampler_cancel (sampler_t *s, uint64_t tag)
{
    forget_taken (s);
    for (size_t i = 0; i < s->rows_n; i++) {
        row_t *row = &s->rows[i];
        if (row->job && row->job->tag == tag) {
            free (row->output);
            row->output = NULL;
            leave (s, row);
        }
    }
    for (job_t *job = s->jobs; job; job = job->next)
        if (job->tag == tag) {
            s->waiting -= job->samples - job->started;
            job->started = job->samples;
        }
    for (output_t **at = &s->done; *at;) {
        output_t *output = *at;
        if (output->tag != tag) {
            at = &output->next;
            continue;
        }
        *at = output->next;
        free (output);
    }
    s->done_end = &s->done;
    while (*s->done_end)
        s->done_end = &(*s->done_end)->next;
    sweep (s);
}

size_t sampler_pending (const sampler_t *s)
{
    return s->active + s->waiting;
}

size_t sampler_bytes (const sampler_t *s)
{
    size_t bytes = s->threads * s->model->config.vocab * sizeof (float);
    for (size_t i = 0; i < (s->apart ? s->threads : 1); i++)
        bytes += forward_bytes (s->forward[i]);
    for (size_t i = 0; i < s->rows_n; i++)
        bytes += s->rows[i].floats * sizeof (float);
    for (const job_t *job = s->jobs; job; job = job->next)
        if (job->prefix.data)
            bytes += kv_floats (s->model, job->prefix.blocks) * sizeof (float);
    return bytes;
}

bool sampler_take (sampler_t *s, sampler_result_t *result)
{
    forget_taken (s);
    output_t *output = s->done;
    if (!output)
        return false;
    s->done = output->next;
    if (!s->done)
        s->done_end = &s->done;
    s->taken = output;
    *result = (sampler_result_t){.tag = output->tag,
                                 .sample = output->sample,
                                 .ids = output->ids,
                                 .logps = output->logps,
                                 .n = output->n,
                                 .stopped = output->stopped};
    return true;
}

/*  ---- prompts ---- */

/*  The first token of every sample, from the logits after the prompt. */
static void draw_first (sampler_t *s, job_t *job, const float *logits, size_t thread)
{
    for (size_t i = 0; i < job->samples; i++)
        job->first[i] =
            forward_head_sample (s->model, logits, job->temperature, rng_uniform (job->keys[i], 0),
                                 s->exps[thread], &job->first_logps[i]);
}

typedef struct {
    forward_row_t rows[CHUNK_ROWS];
    size_t n;
    job_t *ends[CHUNK_ROWS]; /* jobs whose last position is in the chunk, and in which row */
    size_t picked[CHUNK_ROWS];
    size_t ends_n;
} chunk_t;

static void run_chunk (sampler_t *s, forward_t *f, chunk_t *chunk, pool_t *pool, size_t thread)
{
    if (chunk->n == 0)
        return;
    forward_run (f, chunk->rows, chunk->n, pool);
    size_t most = forward_head_rows (f);
    for (size_t first = 0; first < chunk->ends_n; first += most) {
        size_t m = chunk->ends_n - first < most ? chunk->ends_n - first : most;
        const float *logits = forward_head (f, chunk->picked + first, m, pool);
        for (size_t i = 0; i < m; i++)
            draw_first (s, chunk->ends[first + i], logits + i * s->model->config.vocab, thread);
    }
    chunk->n = chunk->ends_n = 0;
}

/*  Computes the prompts of jobs, position after position, as many rows at once as fit. */
static void prefill (sampler_t *s, job_t *const *jobs, size_t n, forward_t *f, size_t rows,
                     pool_t *pool, size_t thread)
{
    chunk_t chunk = {.n = 0};
    for (size_t j = 0; j < n; j++)
        for (size_t p = 0; p < jobs[j]->prompt_n; p++) {
            chunk.rows[chunk.n] =
                (forward_row_t){.id = jobs[j]->prompt[p], .position = p, .own = &jobs[j]->prefix};
            if (p + 1 == jobs[j]->prompt_n) {
                chunk.ends[chunk.ends_n] = jobs[j];
                chunk.picked[chunk.ends_n++] = chunk.n;
            }
            if (++chunk.n == rows)
                run_chunk (s, f, &chunk, pool, thread);
        }
    run_chunk (s, f, &chunk, pool, thread);
}

static void prefill_one (void *context, size_t i, size_t thread)
{
    sampler_t *s = context;
    prefill (s, &s->fresh[i], 1, s->forward[thread], BLOCK_ROWS, NULL, thread);
}

/*  Notes the jobs that will get a row in this step and whose prompt is not computed yet. */
static void gather_fresh (sampler_t *s)
{
    size_t free_rows = s->rows_n - s->active;
    s->fresh_n = 0;
    for (job_t *job = s->jobs; job && free_rows > 0; job = job->next) {
        size_t left = job->samples - job->started;
        if (left == 0)
            continue;
        free_rows -= left < free_rows ? left : free_rows;
        if (job->prefix.data)
            continue;
        job->prefix.blocks = kv_blocks (0, job->prompt_n);
        job->prefix.data = calloc (kv_floats (s->model, job->prefix.blocks), sizeof (float));
        if (job->prefix.data)
            s->fresh[s->fresh_n++] = job;
    }
}

static void prefill_fresh (sampler_t *s)
{
    gather_fresh (s);
    if (s->apart)
        pool_run (s->pool, prefill_one, s, s->fresh_n);
    else
        prefill (s, s->fresh, s->fresh_n, s->forward[0], CHUNK_ROWS, s->pool, 0);
}

/*  ---- rows ---- */

static bool is_stop (const job_t *job, int32_t id)
{
    for (size_t i = 0; i < job->stops_n; i++)
        if (job->stops[i] == id)
            return true;
    return false;
}

static void append (row_t *row, int32_t id, float logp)
{
    output_t *output = row->output;
    output->ids[output->n] = id;
    output->logps[output->n++] = logp;
    output->stopped = is_stop (row->job, id);
}

/*  Moves the completion out of its row when it is at its end. */
static void finish (sampler_t *s, row_t *row)
{
    output_t *output = row->output;
    if (!output->stopped && output->n < row->job->max_tokens)
        return;
    *s->done_end = output;
    s->done_end = &output->next;
    row->output = NULL;
    leave (s, row);
}

static int make_room (const sampler_t *s, row_t *row, const job_t *job)
{
    size_t end = job->prompt_n + job->max_tokens;
    row->own.first = job->prompt_n / KERNELS_BLOCK;
    row->own.blocks = kv_blocks (job->prompt_n, end);
    size_t floats = kv_floats (s->model, row->own.blocks);
    if (floats > row->floats) {
        free (row->own.data);
        row->own.data = calloc (floats, sizeof (float));
        row->floats = row->own.data ? floats : 0;
    }
    size_t token = sizeof (int32_t) + sizeof (float);
    row->output = malloc (sizeof *row->output + job->max_tokens * token);
    if (row->own.data && row->output)
        return 0;
    free (row->output);
    row->output = NULL;
    return -1;
}

/*  Gives the next sample of the job a row. */
static int start (sampler_t *s, row_t *row, job_t *job)
{
    if (make_room (s, row, job) != 0)
        return -1;
    size_t sample = job->started++;
    *row->output = (output_t){.tag = job->tag, .sample = sample};
    row->output->logps = (float *) (row->output->ids + job->max_tokens);
    row->key = job->keys[sample];
    row->job = job;
    job->live++;
    s->active++;
    s->waiting--;
    kv_branch (s->model, &job->prefix, job->prompt_n, &row->own);
    append (row, job->first[sample], job->first_logps[sample]);
    finish (s, row);
    return 0;
}

/*  Fills free rows in the order in which jobs came; what finds no memory goes on waiting. */
static void start_all (sampler_t *s)
{
    size_t r = 0;
    for (job_t *job = s->jobs; job; job = job->next)
        while (job->prefix.data && job->started < job->samples) {
            while (r < s->rows_n && s->rows[r].job)
                r++;
            if (r == s->rows_n || start (s, &s->rows[r], job) != 0)
                return;
        }
}

/*  ---- decoding ---- */

static void draw (sampler_t *s, row_t *row, const float *logits, size_t thread)
{
    float logp, u = rng_uniform (row->key, row->output->n);
    int32_t id =
        forward_head_sample (s->model, logits, row->job->temperature, u, s->exps[thread], &logp);
    append (row, id, logp);
}

typedef struct {
    sampler_t *sampler;
    const float *logits;
    size_t first;
} drawing_t;

static void draw_one (void *context, size_t i, size_t thread)
{
    const drawing_t *d = context;
    draw (d->sampler, d->sampler->step_row[d->first + i],
          d->logits + i * d->sampler->model->config.vocab, thread);
}

/*  One token for rows first .. first + n - 1 of the step. */
static void decode (sampler_t *s, size_t first, size_t n, forward_t *f, pool_t *pool, size_t thread)
{
    forward_run (f, s->step + first, n, pool);
    size_t most = forward_head_rows (f), picked[CHUNK_ROWS];
    most = most < CHUNK_ROWS ? most : CHUNK_ROWS;
    for (size_t done = 0; done < n; done += most) {
        size_t m = n - done < most ? n - done : most;
        for (size_t i = 0; i < m; i++)
            picked[i] = done + i;
        drawing_t drawing = {s, forward_head (f, picked, m, pool), first + done};
        if (pool)
            pool_run (pool, draw_one, &drawing, m);
        else
            for (size_t i = 0; i < m; i++)
                draw_one (&drawing, i, thread);
    }
}

static void decode_block (void *context, size_t i, size_t thread)
{
    sampler_t *s = context;
    size_t first = i * s->step_n / s->blocks, last = (i + 1) * s->step_n / s->blocks;
    decode (s, first, last - first, s->forward[thread], NULL, thread);
}

static void gather_rows (sampler_t *s)
{
    s->step_n = 0;
    for (size_t i = 0; i < s->rows_n; i++) {
        row_t *row = &s->rows[i];
        if (!row->job)
            continue;
        s->step_row[s->step_n] = row;
        s->step[s->step_n++] = (forward_row_t){.id = row->output->ids[row->output->n - 1],
                                               .position = row->job->prompt_n + row->output->n - 1,
                                               .prefix = &row->job->prefix,
                                               .own = &row->own};
    }
}

static void decode_all (sampler_t *s)
{
    gather_rows (s);
    if (s->step_n == 0)
        return;
    if (s->apart) {
        size_t least = (s->step_n + BLOCK_ROWS - 1) / BLOCK_ROWS;
        s->blocks = s->threads > least ? s->threads : least;
        s->blocks = s->blocks < s->step_n ? s->blocks : s->step_n;
        pool_run (s->pool, decode_block, s, s->blocks);
    } else
        decode (s, 0, s->step_n, s->forward[0], s->pool, 0);
    for (size_t i = 0; i < s->step_n; i++)
        finish (s, s->step_row[i]);
}

size_t sampler_step (sampler_t *s)
{
    forget_taken (s);
    prefill_fresh (s);
    start_all (s);
    decode_all (s);
    sweep (s);
    return sampler_pending (s);
}

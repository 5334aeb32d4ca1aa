/*  sampler - see sampler.h
 *
 *  DESIGN A job's prompt is computed once (prefill) into blocks of keys and values that all its
 *  samples read; the first token of every sample is drawn then and there. A sample then gets a
 *  row: blocks of its own for what it adds, and a place in every decode step until it stops. Small
 *  models cut a step into blocks of rows, one thread each from embedding to drawn token; large
 *  ones keep the rows together and cut every product, so that weights are read once.
 */
#include "model/sampler_internal.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_APART_BYTES ((size_t) 8 << 20) /* of weights: up to here rows are cut, not products */
#define WAITING_MAX      ((size_t) 1 << 16) /* samples inside */
#define ROW_KEPT         ((size_t) 256 << 10) /* bytes of keys and values kept by a free row */

/*  ---- life ---- */

static void sampler_free_job (job_t **self)
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

/*  Rows apart: each thread has a forward_t for a block of rows. Else one forward_t for all rows,
 *  and for prompts in chunks of at least SAMPLER_CHUNK_ROWS positions. */
static int sampler_make_buffers (sampler_t *s, err_t *err)
{
    const model_t *model = s->model;
    size_t forwards = s->apart ? s->threads : 1, rows = s->apart ? SAMPLER_BLOCK_ROWS : s->rows_n;
    if (!s->apart && rows < SAMPLER_CHUNK_ROWS)
        rows = SAMPLER_CHUNK_ROWS;
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
    /* Drawing needs a vocabulary of floats per thread, also when the products are shared. */
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
    *s = (sampler_t){.model = model,
                     .shape = model->config,
                     .compute = model->compute,
                     .rank = model->lora.rank,
                     .pool = pool,
                     .rows_n = rows,
                     .threads = pool_threads (pool)};
    /* Weights that fit into a core's cache may be read by every thread, so each takes rows of its
     * own from embedding to token, without meeting the others in every layer. Large weights are
     * read from memory once, by all threads together. */
    s->apart = model_bytes (model->base ? model->base : model) <= ROWS_APART_BYTES;
    s->jobs_end = &s->jobs;
    s->done_end = &s->done;
    if (sampler_make_buffers (s, err) != 0)
        sampler_destroy (&s);
    return s;
}

static void sampler_free_outputs (output_t **list)
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
        sampler_free_job (&job);
    }
    for (size_t i = 0; s->rows && i < s->rows_n; i++) {
        free (s->rows[i].own.data);
        free (s->rows[i].output);
    }
    for (size_t i = 0; s->forward && i < (s->apart ? s->threads : 1); i++)
        forward_destroy (&s->forward[i]);
    for (size_t i = 0; s->exps && i < s->threads; i++)
        free (s->exps[i]);
    for (size_t i = 0; s->order && i < s->threads; i++)
        free (s->order[i]);
    sampler_free_outputs (&s->done);
    free (s->taken);
    free (s->forward);
    free (s->exps);
    free (s->order);
    free (s->rows);
    free (s->step);
    free (s->step_row);
    free (s->fresh);
    free (s);
    *self = NULL;
}

/*  ---- jobs come and go ---- */

/*  Everything that buffers are sized by. Numbers that only change the results (theta, eps, weights)
 *  may differ: they are read from each job's own model. */
static bool sampler_same_shape (const sampler_t *s, const model_t *model)
{
    const model_config_t *a = &s->shape, *b = &model->config;
    return model->compute == s->compute && a->width == b->width && a->layers == b->layers &&
           a->heads == b->heads && a->kv_heads == b->kv_heads && a->head_dim == b->head_dim &&
           a->ff == b->ff && a->vocab == b->vocab && a->context == b->context &&
           a->tied == b->tied && !b->value_head && model->lora.rank <= s->rank;
}

/*  Everything that comes from a request: what passes here can be computed without further
 *  checks. */
static int sampler_check_job (const sampler_t *s, const sampler_job_t *job, err_t *err)
{
    const model_config_t *c = &s->shape;
    if (job->model && !sampler_same_shape (s, job->model))
        return err_set (err, ERR_INPUT, "the job's model has another shape than the sampler");
    if (job->prompt_n < 1)
        return err_set (err, ERR_INPUT,
                        "the prompt is empty, and there is nothing to go on from: give it a text "
                        "(this model's tokenizer puts no token before one)");
    if (job->samples < 1 || job->max_tokens < 1)
        return err_set (err, ERR_INPUT, "%zu samples, %zu tokens at most: each must be at least 1",
                        job->samples, job->max_tokens);
    if (job->prompt_n > c->context || job->max_tokens > c->context - job->prompt_n)
        return err_set (err, ERR_INPUT,
                        "a prompt of %zu ids and completions of %zu do not fit into "
                        "the model's context of %zu",
                        job->prompt_n, job->max_tokens, c->context);
    if (!(job->temperature >= 0) || !isfinite (job->temperature))
        return err_set (err, ERR_INPUT, "temperature is %g; it must be a number from 0 on",
                        (double) job->temperature);
    if (sampler_filter_check (&job->filter, err) != 0)
        return -1;
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

/*  A copy of all that the job needs, since the caller's request goes away. */
static job_t *sampler_make_job (const sampler_t *s, const sampler_job_t *from)
{
    job_t *job = calloc (1, sizeof *job);
    if (!job)
        return NULL;
    *job = (job_t){.model = from->model ? from->model : s->model,
                   .tag = from->tag,
                   .past = from->past,
                   .prompt_n = from->prompt_n,
                   .samples = from->samples,
                   .max_tokens = from->max_tokens,
                   .stops_n = from->stops_n,
                   .temperature = from->temperature,
                   .filter = from->filter};
    job->keys = calloc (from->samples, sizeof *job->keys);
    job->prompt = calloc (from->prompt_n, sizeof *job->prompt);
    job->first = calloc (from->samples, sizeof *job->first);
    job->first_logps = calloc (from->samples, sizeof *job->first_logps);
    if (!job->keys || !job->prompt || !job->first || !job->first_logps) {
        sampler_free_job (&job);
        return NULL;
    }
    memcpy (job->keys, from->keys, from->samples * sizeof *job->keys);
    memcpy (job->prompt, from->prompt, from->prompt_n * sizeof *job->prompt);
    memcpy (job->stops, from->stops, from->stops_n * sizeof *job->stops);
    return job;
}

static void sampler_free_taken (sampler_t *s)
{
    free (s->taken);
    s->taken = NULL;
}

/*  Filters need as much scratch again as drawing does: it is made when the first job has one, since
 *  training never does. */
static int sampler_make_order (sampler_t *s, err_t *err)
{
    if (!s->order)
        s->order = calloc (s->threads, sizeof (uint32_t *));
    for (size_t i = 0; s->order && i < s->threads; i++)
        if (!s->order[i] && !(s->order[i] = calloc (s->shape.vocab, sizeof (uint32_t))))
            return err_set (err, ERR_LIMIT, "no memory for a filter of %zu ids", s->shape.vocab);
    return s->order ? 0 : err_set (err, ERR_LIMIT, "no memory for a filter");
}

int sampler_add (sampler_t *s, const sampler_job_t *from, err_t *err)
{
    sampler_free_taken (s);
    if (sampler_check_job (s, from, err) != 0 ||
        (sampler_filter_active (&from->filter) && sampler_make_order (s, err) != 0))
        return -1;
    job_t *job = sampler_make_job (s, from);
    if (!job)
        return err_set (err, ERR_LIMIT, "no memory for %zu samples", from->samples);
    *s->jobs_end = job;
    s->jobs_end = &job->next;
    s->waiting += job->samples;
    return 0;
}

/*  With nothing to decode, others (training in the same machine) can use the memory of long rows.
 *  Short ones are kept: the next step would only get them again. */
static void sampler_set_idle (sampler_t *s)
{
    for (size_t i = 0; i < s->rows_n; i++) {
        row_t *row = &s->rows[i];
        if (row->floats * sizeof (float) <= ROW_KEPT)
            continue;
        free (row->own.data);
        row->own.data = NULL;
        row->floats = 0;
    }
}

/*  A job ends when all its samples have begun and none is in a row any more; its prefix is needed
 *  until then. */
void sampler_sweep (sampler_t *s)
{
    for (job_t **at = &s->jobs; *at;) {
        job_t *job = *at;
        if (job->started < job->samples || job->live > 0) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        sampler_free_job (&job);
    }
    s->jobs_end = &s->jobs;
    while (*s->jobs_end)
        s->jobs_end = &(*s->jobs_end)->next;
    if (!s->jobs)
        sampler_set_idle (s);
}

void sampler_leave (sampler_t *s, row_t *row)
{
    assert (row->job && row->job->live > 0 && s->active > 0);
    row->job->live--;
    row->job = NULL;
    s->active--;
}

/*  Who is to go on from it finds all positions but the last: the last id was drawn and never
 *  read. Without memory for the ids nothing is kept. */
static void sampler_keep (const row_t *row)
{
    const job_t *job = row->job;
    size_t n = job->prompt_n + row->output->n - 1;
    int32_t *ids = malloc ((n + 1) * sizeof *ids);
    if (!ids)
        return;
    memcpy (ids, job->prompt, job->prompt_n * sizeof *ids);
    memcpy (ids + job->prompt_n, row->output->ids, (row->output->n - 1) * sizeof *ids);
    past_keep (job->past, job->model, ids, n, &job->prefix, &row->own);
    free (ids);
}

void sampler_harvest (sampler_t *s, row_t *row)
{
    if (row->job->past)
        sampler_keep (row);
    *s->done_end = row->output;
    s->done_end = &row->output->next;
    row->output = NULL;
    sampler_leave (s, row);
}

/*  In all three places where a sample can be: in a row, not begun yet, finished and not taken. */
void sampler_cancel (sampler_t *s, uint64_t tag)
{
    sampler_free_taken (s);
    for (size_t i = 0; i < s->rows_n; i++) {
        row_t *row = &s->rows[i];
        if (row->job && row->job->tag == tag) {
            free (row->output);
            row->output = NULL;
            sampler_leave (s, row);
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
    sampler_sweep (s);
}

size_t sampler_pending (const sampler_t *s)
{
    return s->active + s->waiting;
}

uint64_t sampler_tokens (const sampler_t *s)
{
    return s->tokens;
}

uint64_t sampler_computed (const sampler_t *s)
{
    return s->computed;
}

/*  Buffers, the keys and values that rows hold, and the prompts that are computed: what `quintet
 *  models` and the status of an agent report. */
size_t sampler_bytes (const sampler_t *s)
{
    size_t bytes = s->threads * s->shape.vocab * sizeof (float);
    if (s->order)
        bytes += s->threads * s->shape.vocab * sizeof (uint32_t);
    for (size_t i = 0; i < (s->apart ? s->threads : 1); i++)
        bytes += forward_bytes (s->forward[i]);
    for (size_t i = 0; i < s->rows_n; i++)
        bytes += s->rows[i].floats * sizeof (float);
    for (const job_t *job = s->jobs; job; job = job->next)
        if (job->prefix.data)
            bytes += kv_floats (job->model, job->prefix.blocks) * sizeof (float);
    return bytes;
}

/*  The result is borrowed until the next call, which frees it: no copy of ids and logps is made. */
bool sampler_take (sampler_t *s, sampler_result_t *result)
{
    sampler_free_taken (s);
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

bool sampler_look (const sampler_t *s, size_t row, sampler_result_t *result)
{
    const output_t *output = row < s->rows_n && s->rows[row].job ? s->rows[row].output : NULL;
    if (output)
        *result = (sampler_result_t){.tag = output->tag,
                                     .sample = output->sample,
                                     .ids = output->ids,
                                     .logps = output->logps,
                                     .n = output->n};
    return output != NULL;
}

void sampler_end (sampler_t *s, size_t row)
{
    assert (row < s->rows_n && s->rows[row].job && s->rows[row].output);
    sampler_harvest (s, &s->rows[row]);
    sampler_sweep (s);
}

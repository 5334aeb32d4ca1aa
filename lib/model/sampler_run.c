/*  sampler_run - one step of the sampler: prompts, new rows, a token for every row; see
 *  sampler.c
 *
 *  A step has three parts:
 *
 *      prompts     of jobs that are about to get rows: positions in chunks, then the first token of
 *                  every sample from the prompt's last logits
 *      rows        free rows are given to samples, jobs in order of arrival; a row gets a copy of
 *                  the block in which the prompt ends, and shares the whole blocks before it
 *      decoding    one token for every row: rows on one base together, cut by rows or by products
 *
 *  What a sample becomes does not depend on any of this. Its logits do not depend on other rows
 *  (forward_run.c), and token p is drawn with the number rng_uniform (key, p), which depends on the
 *  sample's key and the position and not on how many draws were made before.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "model/sampler_internal.h"

#define ROOM_FIRST ((size_t) 32) /* tokens */

/*  ---- prompts ---- */

/*  Draws with the number u from what the job's filter leaves; written: the n ids behind the prompt.
 *  The log-probability is that of the whole vocabulary, with a filter as without. */
static int32_t sampler_choose (const sampler_t *s, const job_t *job, const int32_t *written,
                               size_t n, const float *logits, float u, size_t thread, float *logp)
{
    const kernels_t *kernels = job->model->kernels;
    const sampler_filter_t *filter = &job->filter;
    size_t vocab = s->shape.vocab, id;
    float *exps = s->exps[thread], t = job->temperature;
    const float *z = logits;
    if (!sampler_filter_active (filter))
        return forward_head_sample (job->model, logits, t, u, exps, logp);
    if (filter->repetition > 0) {
        memcpy (exps, logits, vocab * sizeof *exps);
        sampler_filter_penalise (filter, logits, job->prompt, job->prompt_n, exps);
        sampler_filter_penalise (filter, logits, written, n, exps);
        z = exps;
    }
    if (t > 0) {
        kernels->softmax (z, vocab, 1 / t, exps);
        float sum = sampler_filter_apply (filter, exps, vocab, s->order[thread]);
        id = kernels->search (exps, vocab, u * sum);
    } else {
        id = kernels->argmax (z, vocab);
    }
    forward_head_logp (job->model, logits, t, (int32_t) id, logp, NULL, NULL, NULL);
    return (int32_t) id;
}

/*  The first token of every sample, from the logits after the prompt: its draw is number 0 of the
 *  sample's key. The logits are used up right away, so no [jobs, vocab] array waits for rows to
 *  become free. */
static void sampler_draw_first (sampler_t *s, job_t *job, const float *logits, size_t thread)
{
    for (size_t i = 0; i < job->samples; i++)
        job->first[i] = sampler_choose (s, job, NULL, 0, logits, rng_uniform (job->keys[i], 0),
                                        thread, &job->first_logps[i]);
}

/*  Positions of prompts that are computed in one pass; those that end a prompt also meet the
 *  head. */
typedef struct {
    const model_t *model;
    forward_row_t rows[SAMPLER_CHUNK_ROWS];
    size_t n;
    /* jobs whose last position is in the chunk, and in which row */
    job_t *ends[SAMPLER_CHUNK_ROWS];
    size_t picked[SAMPLER_CHUNK_ROWS];
    size_t ends_n;
} chunk_t;

/*  One pass over the chunk's positions, then the head on those that end a prompt, in as many rows
 *  as it takes at once. */
static void sampler_run_chunk (sampler_t *s, forward_t *f, chunk_t *chunk, pool_t *pool,
                               size_t thread)
{
    if (chunk->n == 0)
        return;
    forward_use (f, chunk->model);
    forward_run (f, chunk->rows, chunk->n, pool);
    size_t most = forward_head_rows (f);
    for (size_t first = 0; first < chunk->ends_n; first += most) {
        size_t m = chunk->ends_n - first < most ? chunk->ends_n - first : most;
        const float *logits = forward_head (f, chunk->picked + first, m, pool);
        for (size_t i = 0; i < m; i++)
            sampler_draw_first (s, chunk->ends[first + i], logits + i * s->shape.vocab, thread);
    }
    chunk->n = chunk->ends_n = 0;
}

/*  Computes the prompts of jobs, position after position from the first on that is not known, as
 *  many rows at once as fit. Positions of one prompt and of several may stand in one chunk, since a
 *  row attends to its own sequence only; but all must read the same base. */
static void sampler_prefill (sampler_t *s, job_t *const *jobs, size_t n, forward_t *f, size_t rows,
                             pool_t *pool, size_t thread)
{
    chunk_t chunk = {.n = 0};
    for (size_t j = 0; j < n; j++) {
        if (chunk.model && weights_root (jobs[j]->model) != weights_root (chunk.model))
            sampler_run_chunk (s, f, &chunk, pool, thread);
        chunk.model = jobs[j]->model;
        for (size_t p = jobs[j]->known; p < jobs[j]->prompt_n; p++) {
            chunk.rows[chunk.n] = (forward_row_t){.id = jobs[j]->prompt[p],
                                                  .position = p,
                                                  .own = &jobs[j]->prefix,
                                                  .model = jobs[j]->model};
            if (p + 1 == jobs[j]->prompt_n) {
                chunk.ends[chunk.ends_n] = jobs[j];
                chunk.picked[chunk.ends_n++] = chunk.n;
            }
            if (++chunk.n == rows)
                sampler_run_chunk (s, f, &chunk, pool, thread);
        }
    }
    sampler_run_chunk (s, f, &chunk, pool, thread);
}

/*  Small models: a thread computes a whole prompt by itself. */
static void sampler_prefill_one (void *context, size_t i, size_t thread)
{
    sampler_t *s = context;
    sampler_prefill (s, &s->fresh[i], 1, s->forward[thread], SAMPLER_BLOCK_ROWS, NULL, thread);
}

/*  Notes the jobs that will get a row in this step and whose prompt is not computed yet: never more
 *  than rows are free, so that prompts that wait take no memory for keys and values. One that finds
 *  no memory is tried again in the next step. */
static void sampler_gather_fresh (sampler_t *s)
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
        job->prefix.data = calloc (kv_floats (job->model, job->prefix.blocks), sizeof (float));
        if (!job->prefix.data)
            continue;
        s->fresh[s->fresh_n++] = job;
        /* Also the last id's position is computed: the first token is drawn from its logits. */
        if (job->past)
            job->known =
                past_recall (job->past, job->model, job->prompt, job->prompt_n, &job->prefix);
        s->computed += job->prompt_n - job->known;
    }
}

static void sampler_prefill_fresh (sampler_t *s)
{
    sampler_gather_fresh (s);
    if (s->apart)
        pool_run (s->pool, sampler_prefill_one, s, s->fresh_n);
    else
        sampler_prefill (s, s->fresh, s->fresh_n, s->forward[0], SAMPLER_CHUNK_ROWS, s->pool, 0);
}

/*  ---- rows ---- */

static bool sampler_is_stop (const job_t *job, int32_t id)
{
    for (size_t i = 0; i < job->stops_n; i++)
        if (job->stops[i] == id)
            return true;
    return false;
}

static void sampler_append (row_t *row, int32_t id, float logp)
{
    output_t *output = row->output;
    output->ids[output->n] = id;
    output->logps[output->n++] = logp;
    output->stopped = sampler_is_stop (row->job, id);
}

/*  After every token, in the order of rows: moves the completion out of its row when it is at its
 *  end, so that results come in an order that does not depend on threads. */
static void sampler_finish (sampler_t *s, row_t *row)
{
    output_t *output = row->output;
    s->tokens++;
    if (!output->stopped && output->n < row->job->max_tokens)
        return;
    sampler_harvest (s, row);
}

/*  Moves the row's keys and values into blocks for positions up to `end`. Bits do not change: a
 *  position keeps its block and its lane. */
static int sampler_grow (row_t *row, const job_t *job, size_t end)
{
    kv_t grown = {.first = row->own.first, .blocks = kv_blocks (job->prompt_n, end)};
    size_t floats = kv_floats (job->model, grown.blocks);
    grown.data = calloc (floats, sizeof (float));
    if (!grown.data)
        return -1;
    kv_copy (job->model, &row->own, &grown, row->own.first, row->own.blocks);
    free (row->own.data);
    row->own = grown;
    row->floats = floats;
    return 0;
}

/*  Most completions are much shorter than they may be: a row begins with room for ROOM_FIRST tokens
 *  and doubles it when it is full. A free row keeps its memory, unless it is more than twice of
 *  what is needed. */
static int sampler_make_room (row_t *row, const job_t *job)
{
    size_t first = job->max_tokens < ROOM_FIRST ? job->max_tokens : ROOM_FIRST;
    size_t token = sizeof (int32_t) + sizeof (float);
    row->own.first = job->prompt_n / KERNELS_BLOCK;
    row->own.blocks = kv_blocks (job->prompt_n, job->prompt_n + first);
    size_t floats = kv_floats (job->model, row->own.blocks);
    if (floats > row->floats || row->floats > 2 * floats) {
        free (row->own.data);
        row->own.data = calloc (floats, sizeof (float));
        row->floats = row->own.data ? floats : 0;
    }
    row->output = malloc (sizeof *row->output + job->max_tokens * token);
    if (row->own.data && row->output)
        return 0;
    free (row->output);
    row->output = NULL;
    return -1;
}

/*  Room for the position that the row comes to now. Without memory the row waits for the next step,
 *  and gets the same token then. */
static bool sampler_has_room (row_t *row)
{
    const job_t *job = row->job;
    size_t end = job->prompt_n + row->output->n, most = job->prompt_n + job->max_tokens;
    if ((end - 1) / KERNELS_BLOCK < row->own.first + row->own.blocks)
        return true;
    end += row->output->n;
    return sampler_grow (row, job, end < most ? end : most) == 0;
}

/*  Gives the next sample of the job a row. Its first token was drawn when the prompt was computed,
 *  so it may be at its end already. */
static int sampler_start (sampler_t *s, row_t *row, job_t *job)
{
    if (sampler_make_room (row, job) != 0)
        return -1;
    assert (job->started < job->samples && s->waiting > 0);
    size_t sample = job->started++;
    *row->output = (output_t){.tag = job->tag, .sample = sample};
    row->output->logps = (float *) (row->output->ids + job->max_tokens);
    row->key = job->keys[sample];
    row->job = job;
    job->live++;
    s->active++;
    s->waiting--;
    /* The block in which the prompt ends is the sample's own from here on; whole blocks before it
     * stay shared. */
    kv_branch (job->model, &job->prefix, job->prompt_n, &row->own);
    sampler_append (row, job->first[sample], job->first_logps[sample]);
    sampler_finish (s, row);
    return 0;
}

/*  Fills free rows in the order in which jobs came; what finds no memory goes on waiting. */
static void sampler_start_all (sampler_t *s)
{
    size_t r = 0;
    for (job_t *job = s->jobs; job; job = job->next)
        while (job->prefix.data && job->started < job->samples) {
            while (r < s->rows_n && s->rows[r].job)
                r++;
            if (r == s->rows_n || sampler_start (s, &s->rows[r], job) != 0)
                return;
        }
}

/*  ---- decoding ---- */

/*  Draw n of the sample's key for token n: what is drawn follows from the position alone. */
static void sampler_draw (sampler_t *s, row_t *row, const float *logits, size_t thread)
{
    float logp, u = rng_uniform (row->key, row->output->n);
    int32_t id =
        sampler_choose (s, row->job, row->output->ids, row->output->n, logits, u, thread, &logp);
    sampler_append (row, id, logp);
}

typedef struct {
    sampler_t *sampler;
    const float *logits;
    size_t first;
} drawing_t;

static void sampler_draw_one (void *context, size_t i, size_t thread)
{
    const drawing_t *d = context;
    sampler_draw (d->sampler, d->sampler->step_row[d->first + i],
                  d->logits + i * d->sampler->shape.vocab, thread);
}

/*  One token for rows first .. first + n - 1 of the step, all on one base: forward, then the head
 *  and the draw in pieces of as many rows as forward_head takes. */
static void sampler_decode (sampler_t *s, size_t first, size_t n, forward_t *f, pool_t *pool,
                            size_t thread)
{
    forward_use (f, s->step_row[first]->job->model);
    forward_run (f, s->step + first, n, pool);
    size_t most = forward_head_rows (f), picked[SAMPLER_CHUNK_ROWS];
    most = most < SAMPLER_CHUNK_ROWS ? most : SAMPLER_CHUNK_ROWS;
    for (size_t done = 0; done < n; done += most) {
        size_t m = n - done < most ? n - done : most;
        for (size_t i = 0; i < m; i++)
            picked[i] = done + i;
        drawing_t drawing = {s, forward_head (f, picked, m, pool), first + done};
        if (pool)
            pool_run (pool, sampler_draw_one, &drawing, m);
        else
            for (size_t i = 0; i < m; i++)
                sampler_draw_one (&drawing, i, thread);
    }
}

/*  Blocks are nearly equal, and their number is at least that of the threads: they decide who
 *  computes a row, never what comes out. */
static void sampler_decode_block (void *context, size_t i, size_t thread)
{
    sampler_t *s = context;
    size_t first = i * s->part_n / s->blocks, last = (i + 1) * s->part_n / s->blocks;
    sampler_decode (s, s->part + first, last - first, s->forward[thread], NULL, thread);
}

/*  The last token of each row is read at its position, and chooses the next. */
static void sampler_gather_rows (sampler_t *s)
{
    s->step_n = 0;
    for (size_t i = 0; i < s->rows_n; i++) {
        row_t *row = &s->rows[i];
        if (!row->job || !sampler_has_room (row))
            continue;
        s->step_row[s->step_n] = row;
        s->step[s->step_n++] = (forward_row_t){.id = row->output->ids[row->output->n - 1],
                                               .position = row->job->prompt_n + row->output->n - 1,
                                               .prefix = &row->job->prefix,
                                               .own = &row->own,
                                               .model = row->job->model};
    }
}

/*  Brings the rows of one more model with the part's base to the part's end; false when there is
 *  none. Rows with the same adapters then stand side by side, and forward_run adapts them together.
 *  Swapping rows changes nothing for them: a row's result does not depend on its place. */
static bool sampler_extend_part (sampler_t *s)
{
    /* The adapters that this call looks for: those of the first row that fits the part. */
    const model_t *model = NULL;
    for (size_t i = s->part + s->part_n; i < s->step_n; i++) {
        size_t to = s->part + s->part_n;
        const model_t *its = s->step_row[i]->job->model;
        if (!model && (s->part_n == 0 ||
                       weights_root (its) == weights_root (s->step_row[s->part]->job->model)))
            model = its;
        if (its != model)
            continue;
        row_t *row = s->step_row[i];
        forward_row_t step = s->step[i];
        s->step_row[i] = s->step_row[to];
        s->step[i] = s->step[to];
        s->step_row[to] = row;
        s->step[to] = step;
        s->part_n++;
    }
    return model != NULL;
}

/*  The rows that read the same weights, those with the same adapters side by side. */
static void sampler_next_part (sampler_t *s)
{
    s->part += s->part_n;
    s->part_n = 0;
    while (sampler_extend_part (s))
        ;
}

static void sampler_decode_part (sampler_t *s)
{
    if (!s->apart) {
        sampler_decode (s, s->part, s->part_n, s->forward[0], s->pool, 0);
        return;
    }
    /* At least one block per thread, and none larger than a thread's buffers. */
    size_t least = (s->part_n + SAMPLER_BLOCK_ROWS - 1) / SAMPLER_BLOCK_ROWS;
    s->blocks = s->threads > least ? s->threads : least;
    s->blocks = s->blocks < s->part_n ? s->blocks : s->part_n;
    pool_run (s->pool, sampler_decode_block, s, s->blocks);
}

static void sampler_decode_all (sampler_t *s)
{
    sampler_gather_rows (s);
    s->part = s->part_n = 0;
    /* Models of one shape but several bases: one forward pass for each base. */
    for (sampler_next_part (s); s->part_n > 0; sampler_next_part (s))
        sampler_decode_part (s);
    for (size_t i = 0; i < s->step_n; i++)
        sampler_finish (s, s->step_row[i]);
}

/*  One round: prompts for rows that are free, rows for their samples, a token for every row. */
size_t sampler_step (sampler_t *s)
{
    free (s->taken);
    s->taken = NULL;
    sampler_prefill_fresh (s);
    sampler_start_all (s);
    sampler_decode_all (s);
    sampler_sweep (s);
    return sampler_pending (s);
}

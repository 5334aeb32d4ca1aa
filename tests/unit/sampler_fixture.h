/*  sampler_fixture - jobs for samplers, and what came of them. */
#ifndef QUINTET_TESTS_SAMPLER_FIXTURE_H
#define QUINTET_TESTS_SAMPLER_FIXTURE_H

#include <math.h>

#include "model/forward.h"
#include "model/sampler.h"
#include "model_fixture.h"

#define TOKENS_MAX 40

typedef struct {
    size_t n;
    bool stopped, there;
    int32_t ids[TOKENS_MAX];
    float logps[TOKENS_MAX];
} sample_t;

#define SAMPLES_MAX 80

/*  What a run gave, by tag and sample. */
typedef struct {
    sample_t samples[8][SAMPLES_MAX];
    size_t count;
} harvest_t;

static inline void collect (sampler_t *sampler, harvest_t *harvest)
{
    sampler_result_t r;
    while (sampler_take (sampler, &r)) {
        assert_true (r.tag < 8 && r.sample < SAMPLES_MAX && r.n <= TOKENS_MAX);
        sample_t *s = &harvest->samples[r.tag][r.sample];
        assert_false (s->there);
        *s = (sample_t){.n = r.n, .stopped = r.stopped, .there = true};
        memcpy (s->ids, r.ids, r.n * sizeof *r.ids);
        memcpy (s->logps, r.logps, r.n * sizeof *r.logps);
        harvest->count++;
    }
}

static inline void run (sampler_t *sampler, harvest_t *harvest)
{
    while (sampler_step (sampler) > 0)
        collect (sampler, harvest);
    collect (sampler, harvest);
}

static inline harvest_t *harvest_new (void)
{
    harvest_t *harvest = calloc (1, sizeof *harvest);
    assert_non_null (harvest);
    return harvest;
}

static inline void add (sampler_t *sampler, const sampler_job_t *job)
{
    err_t err = {0};
    if (sampler_add (sampler, job, &err) != 0)
        fail_msg ("sampler_add: %s", err.text);
}

static inline sampler_t *open_sampler (const model_t *model, size_t rows, pool_t *pool)
{
    err_t err = {0};
    sampler_t *sampler = sampler_new (model, rows, pool, &err);
    if (!sampler)
        fail_msg ("sampler_new: %s", err.text);
    return sampler;
}

static inline void same_sample (const sample_t *got, const sample_t *expected)
{
    assert_true (got->there && expected->there);
    assert_int_equal (got->n, expected->n);
    assert_int_equal (got->stopped, expected->stopped);
    assert_memory_equal (got->ids, expected->ids, got->n * sizeof *got->ids);
    fixture_same ("logp", got->logps, expected->logps, got->n);
}

/*  ---- what is recorded is what the whole pass says ---- */

static inline void check_logps (const model_t *model, const sampler_job_t *job,
                                const sample_t *sample)
{
    size_t n = job->prompt_n + sample->n, vocab = model_config (model)->vocab;
    int32_t ids[160];
    assert_true (n <= 160);
    memcpy (ids, job->prompt, job->prompt_n * sizeof *ids);
    memcpy (ids + job->prompt_n, sample->ids, sample->n * sizeof *ids);
    float *logits = calloc (n * vocab, sizeof *logits), *exps = calloc (vocab, sizeof *exps);
    err_t err = {0};
    assert_int_equal (model_logits (model, ids, n, logits, NULL, &err), 0);
    for (size_t i = 0; i < sample->n; i++) {
        float logp, entropy, sum;
        const float *row = logits + (job->prompt_n + i - 1) * vocab;
        forward_head_logp (model, row, job->temperature, sample->ids[i], &logp, &entropy, exps,
                           &sum);
        fixture_same ("logp", &sample->logps[i], &logp, 1);
        /* And both are what they are said to be. */
        double t = job->temperature > 0 ? (double) job->temperature : 1, total = 0, h = 0;
        double top = (double) row[sample->ids[i]] / t;
        for (size_t j = 0; j < vocab; j++)
            total += exp ((double) row[j] / t - top);
        for (size_t j = 0; j < vocab; j++) {
            double p = exp ((double) row[j] / t - top) / total;
            h -= p > 0 ? p * log (p) : 0;
            fixture_near ("probability", j, (double) (exps[j] / sum), p, 1e-6);
        }
        fixture_near ("logp", i, (double) logp, -log (total), 1e-5);
        fixture_near ("entropy", i, (double) entropy, h, 1e-5);
    }
    free (logits);
    free (exps);
}

/*  Jobs whose prompts end within, at and after a block of keys. */
static int32_t prompts[4][40];
static uint64_t keys[4][SAMPLES_MAX];

static inline sampler_job_t job_of (size_t i, size_t samples)
{
    static const size_t lengths[] = {7, 16, 33, 1};
    for (size_t p = 0; p < 40; p++)
        prompts[i][p] = (int32_t) (rng_bits (i, p) % 83);
    for (size_t s = 0; s < SAMPLES_MAX; s++)
        keys[i][s] = rng_key ((uint64_t[]){i, s}, 2);
    return (sampler_job_t){.prompt = prompts[i],
                           .prompt_n = lengths[i],
                           .samples = samples,
                           .keys = keys[i],
                           .temperature = i == 3 ? 0.7f : 1.0f,
                           .max_tokens = 20 + i * 5,
                           .stops = {5, 17},
                           .stops_n = 2,
                           .tag = i};
}

/*  Small: rows are cut among threads. Large: products are. */
static inline model_t *small_model (model_compute_t compute)
{
    model_config_t config = fixture_config ();
    return fixture_model (&config, compute);
}

static inline model_t *large_model (model_compute_t compute)
{
    model_config_t config = fixture_config ();
    config.width = 128;
    config.vocab = 20000;
    model_t *model = fixture_model (&config, compute);
    assert_true (model_bytes (model) > (compute == COMPUTE_F32 ? 8u << 20 : 4u << 20));
    return model;
}

/*  Every sample of every job, each alone in a sampler of one row. */
static inline harvest_t *harvest_alone (const model_t *model, size_t samples)
{
    harvest_t *harvest = harvest_new ();
    for (size_t i = 0; i < 4; i++)
        for (size_t s = 0; s < samples; s++) {
            sampler_t *sampler = open_sampler (model, 1, NULL);
            sampler_job_t job = job_of (i, 1);
            job.keys = &keys[i][s];
            add (sampler, &job);
            sampler_result_t r;
            while (sampler_step (sampler) > 0)
                ;
            assert_true (sampler_take (sampler, &r));
            sample_t *to = &harvest->samples[i][s];
            *to = (sample_t){.n = r.n, .stopped = r.stopped, .there = true};
            memcpy (to->ids, r.ids, r.n * sizeof *r.ids);
            memcpy (to->logps, r.logps, r.n * sizeof *r.logps);
            assert_false (sampler_take (sampler, &r));
            sampler_destroy (&sampler);
        }
    return harvest;
}

#endif

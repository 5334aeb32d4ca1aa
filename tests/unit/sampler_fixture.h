/*  sampler_fixture - jobs for samplers, and what came of them. */
#ifndef QUINTET_TESTS_SAMPLER_FIXTURE_H
#define QUINTET_TESTS_SAMPLER_FIXTURE_H

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

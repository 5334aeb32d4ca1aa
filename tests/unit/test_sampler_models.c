/*  One sampler for all models of a shape: each sample is as if its model were alone. */
#include "sampler_fixture.h"

/*  Another model of the same shape. */
static model_t *other_model (const model_t *model)
{
    model_t *other = model_new (model_config (model), model_compute (model), NULL);
    float *params = calloc (model_params (model), sizeof *params);
    assert_true (other && params);
    model_get (model, params);
    for (size_t i = 0; i < model_params (model); i++)
        params[i] *= 0.8f;
    model_set (other, params, NULL);
    free (params);
    return other;
}

static void share (model_t *one)
{
    model_t *other = other_model (one), *wide = large_model (COMPUTE_BF16);
    harvest_t *of_one = harvest_alone (one, 8), *of_other = harvest_alone (other, 8);
    pool_t *pool = pool_new (2);
    harvest_t *both = harvest_new ();
    sampler_t *sampler = open_sampler (one, 24, pool);
    for (size_t i = 0; i < 8; i++) {
        sampler_job_t job = job_of (i % 4, 8);
        job.tag = i;
        job.model = i % 2 == i / 4 ? other : NULL;
        add (sampler, &job);
    }
    run (sampler, both);
    assert_int_equal (both->count, 64);
    for (size_t i = 0; i < 8; i++)
        for (size_t k = 0; k < 8; k++)
            same_sample (&both->samples[i][k],
                         &(i % 2 == i / 4 ? of_other : of_one)->samples[i % 4][k]);
    sampler_job_t job = job_of (0, 1);
    job.model = wide;
    err_t err = {0};
    assert_int_equal (sampler_add (sampler, &job, &err), -1);
    assert_non_null (strstr (err.text, "another shape"));
    sampler_destroy (&sampler);
    pool_destroy (&pool);
    free (of_one);
    free (of_other);
    free (both);
    model_destroy (&wide);
    model_destroy (&other);
    model_destroy (&one);
}

static void models_of_a_shape_share_a_sampler (void **state)
{
    (void) state;
    share (small_model (COMPUTE_F32));
    share (large_model (COMPUTE_F32));
}

int main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (models_of_a_shape_share_a_sampler)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}

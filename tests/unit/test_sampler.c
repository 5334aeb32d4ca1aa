/*  The sampler: a sample is a function of its own inputs, whatever goes on around it. */
#include "sampler_fixture.h"
#include "model/forward.h"

static void crowd_equals_alone (const model_t *model, size_t samples)
{
    harvest_t *alone = harvest_alone (model, samples);
    for (size_t threads = 1; threads <= 3; threads++) {
        pool_t *pool = pool_new (threads);
        /* Rows for all, for a few (the others wait), and jobs that come later. */
        for (size_t round = 0; round < 3; round++) {
            harvest_t *crowd = harvest_new ();
            sampler_t *sampler = open_sampler (model, round == 1 ? 5 : 4 * samples, pool);
            for (size_t i = 0; i < 4; i++) {
                sampler_job_t job = job_of (i, samples);
                add (sampler, &job);
                for (size_t step = 0; round == 2 && step < 3; step++) {
                    sampler_step (sampler);
                    collect (sampler, crowd);
                }
            }
            run (sampler, crowd);
            assert_int_equal (crowd->count, 4 * samples);
            for (size_t i = 0; i < 4; i++)
                for (size_t s = 0; s < samples; s++)
                    same_sample (&crowd->samples[i][s], &alone->samples[i][s]);
            sampler_destroy (&sampler);
            free (crowd);
        }
        pool_destroy (&pool);
    }
    free (alone);
}

static void a_sample_is_the_same_in_any_crowd (void **state)
{
    (void) state;
    for (int type = COMPUTE_F32; type <= COMPUTE_BF16; type++) {
        model_t *model = small_model ((model_compute_t) type);
        crowd_equals_alone (model, 16);
        model_destroy (&model);
    }
}

static void also_when_products_are_cut (void **state)
{
    (void) state;
    model_t *model = large_model (COMPUTE_F32);
    crowd_equals_alone (model, 3);
    model_destroy (&model);
}

static void every_crowd_size_gives_the_same (void **state)
{
    (void) state;
    model_t *model = small_model (COMPUTE_F32);
    pool_t *pool = pool_new (2);
    harvest_t *first = harvest_new ();
    for (size_t samples = 64; samples >= 1; samples -= samples > 16 ? 8 : 1) {
        harvest_t *harvest = harvest_new ();
        sampler_t *sampler = open_sampler (model, 64, pool);
        sampler_job_t job = job_of (0, samples);
        add (sampler, &job);
        run (sampler, samples == 64 ? first : harvest);
        for (size_t s = 0; samples < 64 && s < samples; s++)
            same_sample (&harvest->samples[0][s], &first->samples[0][s]);
        sampler_destroy (&sampler);
        free (harvest);
    }
    free (first);
    pool_destroy (&pool);
    model_destroy (&model);
}

static void logps_are_those_of_the_whole_pass (void **state)
{
    (void) state;
    for (int type = COMPUTE_F32; type <= COMPUTE_BF16; type++) {
        model_t *model = small_model ((model_compute_t) type);
        pool_t *pool = pool_new (2);
        sampler_t *sampler = open_sampler (model, 64, pool);
        harvest_t *harvest = harvest_new ();
        for (size_t i = 0; i < 4; i++) {
            sampler_job_t job = job_of (i, 8);
            job.temperature = i == 0 ? 0 : job.temperature;
            add (sampler, &job);
        }
        run (sampler, harvest);
        for (size_t i = 0; i < 4; i++)
            for (size_t s = 0; s < 8; s++) {
                sampler_job_t job = job_of (i, 8);
                job.temperature = i == 0 ? 0 : job.temperature;
                check_logps (model, &job, &harvest->samples[i][s]);
            }
        free (harvest);
        sampler_destroy (&sampler);
        pool_destroy (&pool);
        model_destroy (&model);
    }
}

static void greedy_takes_the_likeliest (void **state)
{
    (void) state;
    model_t *model = small_model (COMPUTE_F32);
    sampler_t *sampler = open_sampler (model, 4, NULL);
    sampler_job_t job = job_of (0, 3);
    job.temperature = 0;
    job.stops_n = 0;
    add (sampler, &job);
    harvest_t *harvest = harvest_new ();
    run (sampler, harvest);
    const sample_t *sample = &harvest->samples[0][0];
    int32_t ids[40];
    memcpy (ids, job.prompt, job.prompt_n * sizeof *ids);
    for (size_t i = 0; i < sample->n; i++) {
        float logits[40 * 83];
        err_t err = {0};
        size_t n = job.prompt_n + i, best = 0;
        assert_int_equal (model_logits (model, ids, n, logits, NULL, &err), 0);
        const float *row = logits + (n - 1) * 83;
        for (size_t j = 1; j < 83; j++)
            best = row[j] > row[best] ? j : best;
        assert_int_equal (sample->ids[i], best);
        ids[n] = sample->ids[i];
    }
    same_sample (&harvest->samples[0][1], sample);
    same_sample (&harvest->samples[0][2], sample);
    free (harvest);
    sampler_destroy (&sampler);
    model_destroy (&model);
}

/*  Equal logits: greedy takes the lowest id. All weights 0 make all logits 0. */
static void the_lowest_id_wins_a_tie (void **state)
{
    (void) state;
    model_config_t config = fixture_config ();
    err_t err = {0};
    model_t *model = model_new (&config, COMPUTE_F32, &err);
    assert_non_null (model);
    sampler_t *sampler = open_sampler (model, 2, NULL);
    sampler_job_t job = job_of (0, 1);
    job.temperature = 0;
    add (sampler, &job);
    harvest_t *harvest = harvest_new ();
    run (sampler, harvest);
    assert_int_equal (harvest->samples[0][0].n, 20);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal (harvest->samples[0][0].ids[i], 0);
        fixture_near ("logp", i, (double) harvest->samples[0][0].logps[i], -log (83), 1e-6);
    }
    free (harvest);
    sampler_destroy (&sampler);
    model_destroy (&model);
}

/*  Drawn as often as the probabilities say (chi-squared, 82 degrees of freedom: 150 is passed once
 *  in 100,000 times; the keys are fixed, so it never is here). */
static void draws_follow_the_distribution (void **state)
{
    (void) state;
    enum { DRAWS = 20000 };
    model_t *model = small_model (COMPUTE_F32);
    sampler_t *sampler = open_sampler (model, 64, NULL);
    uint64_t *many = calloc (DRAWS, sizeof *many);
    for (size_t i = 0; i < DRAWS; i++)
        many[i] = rng_key ((uint64_t[]){99, i}, 2);
    sampler_job_t job = job_of (0, DRAWS);
    job.keys = many;
    job.max_tokens = 1;
    job.temperature = 2;
    add (sampler, &job);
    size_t seen[83] = {0}, n = 0;
    double p[83] = {0};
    sampler_result_t r;
    sampler_step (sampler);
    assert_int_equal (sampler_pending (sampler), 0);
    while (sampler_take (sampler, &r)) {
        seen[r.ids[0]]++;
        p[r.ids[0]] = exp ((double) r.logps[0]);
        n++;
    }
    assert_int_equal (n, DRAWS);
    double chi = 0, total = 0;
    for (size_t i = 0; i < 83; i++) {
        double expected = p[i] * DRAWS, d = (double) seen[i] - expected;
        chi += expected > 0 ? d * d / expected : 0;
        total += p[i];
    }
    fixture_near ("sum of the probabilities met", 0, total, 1, 0.01);
    if (!(chi < 150 && chi > 40))
        fail_msg ("chi-squared is %g, expected 40 to 150", chi);
    free (many);
    sampler_destroy (&sampler);
    model_destroy (&model);
}

/*  ---- limits, stops, cancelling ---- */

static void completions_end_where_they_should (void **state)
{
    (void) state;
    model_t *model = small_model (COMPUTE_F32);
    sampler_t *sampler = open_sampler (model, 8, NULL);
    harvest_t *harvest = harvest_new ();
    for (size_t i = 0; i < 3; i++) {
        sampler_job_t job = job_of (i, SAMPLES_MAX);
        job.max_tokens = i == 2 ? 1 : job.max_tokens;
        add (sampler, &job);
    }
    run (sampler, harvest);
    size_t stopped = 0, cut = 0;
    for (size_t i = 0; i < 3; i++)
        for (size_t s = 0; s < SAMPLES_MAX; s++) {
            const sample_t *sample = &harvest->samples[i][s];
            assert_true (sample->there && sample->n >= 1);
            for (size_t t = 0; t < sample->n; t++) {
                bool stop = sample->ids[t] == 5 || sample->ids[t] == 17;
                assert_int_equal (stop, sample->stopped && t + 1 == sample->n);
            }
            stopped += sample->stopped;
            cut += !sample->stopped;
            if (!sample->stopped)
                assert_int_equal (sample->n, i == 2 ? 1 : 20 + 5 * i);
        }
    assert_true (stopped > 5 && cut > 5);
    free (harvest);
    sampler_destroy (&sampler);
    model_destroy (&model);
}

/*  A context that is used to its last position. */
static void the_whole_context_can_be_used (void **state)
{
    (void) state;
    model_config_t config = fixture_config ();
    config.context = 48;
    model_t *model = fixture_model (&config, COMPUTE_F32);
    sampler_t *sampler = open_sampler (model, 2, NULL);
    sampler_job_t job = job_of (2, 1);
    job.stops_n = 0;
    job.max_tokens = 48 - job.prompt_n;
    add (sampler, &job);
    harvest_t *harvest = harvest_new ();
    run (sampler, harvest);
    assert_int_equal (harvest->samples[2][0].n, job.max_tokens);
    err_t err = {0};
    job.max_tokens++;
    assert_int_equal (sampler_add (sampler, &job, &err), -1);
    assert_non_null (strstr (err.text, "context"));
    free (harvest);
    sampler_destroy (&sampler);
    model_destroy (&model);
}

static void a_cancelled_tag_is_forgotten (void **state)
{
    (void) state;
    model_t *model = small_model (COMPUTE_F32);
    pool_t *pool = pool_new (2);
    harvest_t *alone = harvest_alone (model, 12);
    for (size_t steps = 0; steps < 12; steps++) {
        harvest_t *harvest = harvest_new ();
        sampler_t *sampler = open_sampler (model, 10, pool);
        for (size_t i = 0; i < 4; i++) {
            sampler_job_t job = job_of (i, 12);
            add (sampler, &job);
        }
        for (size_t i = 0; i < steps; i++)
            sampler_step (sampler);
        sampler_cancel (sampler, 0);
        sampler_cancel (sampler, 2);
        sampler_cancel (sampler, 77); /* nobody's */
        run (sampler, harvest);
        assert_int_equal (harvest->count, 24);
        for (size_t s = 0; s < 12; s++) {
            same_sample (&harvest->samples[1][s], &alone->samples[1][s]);
            same_sample (&harvest->samples[3][s], &alone->samples[3][s]);
        }
        sampler_cancel (sampler, 1);
        sampler_cancel (sampler, 3);
        assert_int_equal (sampler_pending (sampler), 0);
        assert_int_equal (sampler_step (sampler), 0);
        sampler_destroy (&sampler);
        free (harvest);
    }
    free (alone);
    pool_destroy (&pool);
    model_destroy (&model);
}

static void pending_counts_down (void **state)
{
    (void) state;
    model_t *model = small_model (COMPUTE_F32);
    sampler_t *sampler = open_sampler (model, 4, NULL);
    sampler_job_t job = job_of (1, 10);
    job.stops_n = 0;
    job.max_tokens = 3;
    add (sampler, &job);
    assert_int_equal (sampler_pending (sampler), 10);
    /* The first token comes with the prompt: two steps for three tokens, four rows at a time. */
    static const size_t expected[] = {10, 6, 6, 2, 2, 0, 0};
    static const size_t decoded[] = {8, 12, 20, 24, 28, 30, 30};
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal (sampler_step (sampler), expected[i]);
        assert_int_equal (sampler_tokens (sampler), decoded[i]);
    }
    assert_true (sampler_bytes (sampler) > 0);
    sampler_destroy (&sampler);
    model_destroy (&model);
}

/*  Memory of what is under way goes with the sampler (the leak checker says whether it does). */
static void it_can_be_destroyed_at_any_time (void **state)
{
    (void) state;
    model_t *model = small_model (COMPUTE_F32);
    for (size_t steps = 0; steps < 4; steps++) {
        sampler_t *sampler = open_sampler (model, 4, NULL);
        sampler_job_t job = job_of (0, 20);
        add (sampler, &job);
        for (size_t i = 0; i < steps; i++)
            sampler_step (sampler);
        sampler_result_t r;
        sampler_take (sampler, &r);
        sampler_destroy (&sampler);
        assert_null (sampler);
    }
    model_destroy (&model);
}

static void refused (sampler_t *sampler, sampler_job_t job, err_code_t code, const char *word)
{
    err_t err = {0};
    if (sampler_add (sampler, &job, &err) == 0)
        fail_msg ("accepted, expected an error about '%s'", word);
    assert_int_equal (err.code, code);
    if (!strstr (err.text, word))
        fail_msg ("the error '%s' does not name '%s'", err.text, word);
    assert_int_equal (sampler_pending (sampler), 0);
}

static void bad_jobs_are_refused (void **state)
{
    (void) state;
    model_t *model = small_model (COMPUTE_F32);
    sampler_t *sampler = open_sampler (model, 4, NULL);
    sampler_job_t job;
#define REFUSED(change, code, word)                                                                \
    job = job_of (0, 1);                                                                           \
    job.change;                                                                                    \
    refused (sampler, job, code, word);
    REFUSED (prompt_n = 0, ERR_INPUT, "the prompt is empty")
    REFUSED (samples = 0, ERR_INPUT, "at least 1")
    REFUSED (max_tokens = 0, ERR_INPUT, "at least 1")
    REFUSED (max_tokens = (size_t) -1, ERR_INPUT, "context")
    REFUSED (prompt_n = (size_t) -1, ERR_INPUT, "context")
    REFUSED (temperature = -1, ERR_INPUT, "temperature")
    REFUSED (temperature = NAN, ERR_INPUT, "temperature")
    REFUSED (temperature = INFINITY, ERR_INPUT, "temperature")
    REFUSED (stops_n = SAMPLER_STOPS_MAX + 1, ERR_INPUT, "stop")
    REFUSED (samples = (size_t) 1 << 40, ERR_LIMIT, "wait")
#undef REFUSED
    job = job_of (0, 1);
    prompts[0][3] = 83;
    refused (sampler, job, ERR_INPUT, "vocabulary");
    prompts[0][3] = -1;
    refused (sampler, job, ERR_INPUT, "vocabulary");
    sampler_destroy (&sampler);
    model_config_t config = fixture_config ();
    config.tied = false;
    config.value_head = true;
    model_t *critic = fixture_model (&config, COMPUTE_F32);
    err_t err = {0};
    assert_null (sampler_new (critic, 4, NULL, &err));
    assert_null (sampler_new (model, 0, NULL, &err));
    model_destroy (&critic);
    model_destroy (&model);
}

/*  A model whose weights ran away: numbers that are none must not lead outside the vocabulary. */
static void wild_weights_stay_inside (void **state)
{
    (void) state;
    model_t *model = small_model (COMPUTE_F32);
    size_t n = model_params (model);
    float *params = calloc (n, sizeof *params);
    for (size_t round = 0; round < 3; round++) {
        fixture_fill (params, n, 1, round);
        for (size_t i = 0; i < n; i += 5)
            params[i] = round == 0 ? NAN : round == 1 ? INFINITY : 1e30f;
        model_set (model, params, NULL);
        sampler_t *sampler = open_sampler (model, 4, NULL);
        sampler_job_t job = job_of (0, 4);
        job.temperature = round == 2 ? 0 : 1;
        add (sampler, &job);
        harvest_t *harvest = harvest_new ();
        run (sampler, harvest);
        for (size_t s = 0; s < 4; s++)
            for (size_t t = 0; t < harvest->samples[0][s].n; t++)
                assert_in_range (harvest->samples[0][s].ids[t], 0, 82);
        free (harvest);
        sampler_destroy (&sampler);
    }
    free (params);
    model_destroy (&model);
}

int main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (a_sample_is_the_same_in_any_crowd),
                                       cmocka_unit_test (also_when_products_are_cut),
                                       cmocka_unit_test (every_crowd_size_gives_the_same),
                                       cmocka_unit_test (logps_are_those_of_the_whole_pass),
                                       cmocka_unit_test (greedy_takes_the_likeliest),
                                       cmocka_unit_test (the_lowest_id_wins_a_tie),
                                       cmocka_unit_test (draws_follow_the_distribution),
                                       cmocka_unit_test (completions_end_where_they_should),
                                       cmocka_unit_test (the_whole_context_can_be_used),
                                       cmocka_unit_test (a_cancelled_tag_is_forgotten),
                                       cmocka_unit_test (pending_counts_down),
                                       cmocka_unit_test (it_can_be_destroyed_at_any_time),
                                       cmocka_unit_test (bad_jobs_are_refused),
                                       cmocka_unit_test (wild_weights_stay_inside)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}

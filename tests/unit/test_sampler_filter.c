/*  What a filter leaves to be drawn: against transformers on stored logits, against a sort, and in
 *  a sampler. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/rng.h"
#include "kernels/kernels.h"
#include "model/sampler_filter.h"
#include "sampler_fixture.h"

#define VOCAB_MAX 1000

static double number (const json_t *object, const char *key)
{
    return json_number_value (json_object_get (object, key));
}

/*  What an id is drawn with. */
static void probabilities (const sampler_filter_t *filter, const float *logits, size_t vocab,
                           double temperature, double *p)
{
    float weights[VOCAB_MAX], sum;
    uint32_t order[VOCAB_MAX];
    double max = -INFINITY;
    for (size_t i = 0; i < vocab; i++)
        max = fmax (max, (double) logits[i]);
    for (size_t i = 0; i < vocab; i++)
        weights[i] = (float) exp (((double) logits[i] - max) / temperature);
    sum = sampler_filter_apply (filter, weights, vocab, order);
    for (size_t i = 0; i < vocab; i++)
        p[i] = (double) (weights[i] / sum);
}

static void check_case (const json_t *golden, const json_t *c)
{
    const json_t *row = json_object_get (json_object_get (golden, "rows"),
                                         json_string_value (json_object_get (c, "row")));
    const json_t *seen = json_object_get (golden, "seen"), *pair;
    size_t vocab = json_array_size (row), i;
    float logits[VOCAB_MAX], z[VOCAB_MAX];
    double p[VOCAB_MAX], wanted[VOCAB_MAX] = {0};
    int32_t ids[16];
    sampler_filter_t filter = {.top_k = (size_t) number (c, "top_k"),
                               .top_p = (float) number (c, "top_p"),
                               .min_p = (float) number (c, "min_p"),
                               .repetition = (float) number (c, "repetition_penalty")};
    for (i = 0; i < vocab; i++)
        logits[i] = z[i] = (float) json_number_value (json_array_get (row, i));
    for (i = 0; i < json_array_size (seen); i++)
        ids[i] = (int32_t) json_integer_value (json_array_get (seen, i));
    if (filter.repetition > 0)
        sampler_filter_penalise (&filter, logits, ids, json_array_size (seen), z);
    probabilities (&filter, z, vocab, number (c, "temperature"), p);
    json_array_foreach (json_object_get (c, "p"), i, pair)
        wanted[json_integer_value (json_array_get (pair, 0))] =
            json_number_value (json_array_get (pair, 1));
    for (i = 0; i < vocab; i++)
        if ((p[i] > 0) != (wanted[i] > 0) || fabs (p[i] - wanted[i]) > 6e-5 * fmax (p[i], 0.01)) {
            char *text = json_dumps (c, JSON_COMPACT);
            fail_msg ("id %zu is drawn with %g, transformers has %g: %.200s", i, p[i], wanted[i],
                      text);
        }
}

static void filters_leave_what_transformers_leaves (void **state)
{
    (void) state;
    json_error_t problem;
    json_t *golden = json_load_file ("tests/golden/data/filters.json", 0, &problem);
    if (!golden)
        fail_msg ("tests/golden/data/filters.json: %s", problem.text);
    const json_t *cases = json_object_get (golden, "cases"), *c;
    size_t i;
    assert_true (json_array_size (cases) > 100);
    json_array_foreach (cases, i, c)
        check_case (golden, c);
    json_decref (golden);
}

/*  ---- a naive twin: sort all, then walk ---- */

static const float *sorted_by;

static int likelier_first (const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;
    float p = sorted_by[x], q = sorted_by[y];
    return p > q ? -1 : p < q ? 1 : x < y ? -1 : 1;
}

static void naive (const sampler_filter_t *f, float *w, size_t vocab)
{
    uint32_t order[VOCAB_MAX];
    double total = 0, mass = 0;
    size_t kept = 0, most = vocab;
    for (size_t i = 0; i < vocab; i++)
        order[i] = (uint32_t) i;
    sorted_by = w;
    qsort (order, vocab, sizeof *order, likelier_first);
    if (f->top_k && f->top_k < vocab)
        for (most = f->top_k; most < vocab && w[order[most]] >= w[order[most - 1]];)
            most++;
    for (size_t i = 0; i < most; i++)
        total += (double) w[order[i]];
    while (kept < most && (!(f->top_p > 0 && f->top_p < 1) || mass < (double) f->top_p * total) &&
           (kept == 0 || w[order[kept]] >= f->min_p * w[order[0]]))
        mass += (double) w[order[kept++]];
    for (size_t i = kept; i < vocab; i++)
        w[order[i]] = 0;
}

static void a_heap_and_a_sort_agree (void **state)
{
    (void) state;
    for (uint64_t trial = 0; trial < 4000; trial++) {
        float w[VOCAB_MAX], twin[VOCAB_MAX];
        uint32_t order[VOCAB_MAX];
        rng_t rng = {.key = rng_key (&trial, 1)};
        size_t vocab = 1 + (size_t) (rng_next (&rng) % 99), levels = trial % 3 ? 1u << 20 : 8;
        for (size_t i = 0; i < vocab; i++)
            w[i] = twin[i] = (float) (rng_next (&rng) % levels) / (float) levels;
        w[trial % vocab] = twin[trial % vocab] = 1;
        sampler_filter_t f = {.top_k = rng_next (&rng) % 3 ? 0 : (size_t) (rng_next (&rng) % 120),
                              .top_p = trial % 2 ? (float) (rng_next (&rng) % 100) / 100 : 0,
                              .min_p = trial % 5 ? 0 : (float) (rng_next (&rng) % 101) / 100};
        naive (&f, twin, vocab);
        float sum = sampler_filter_apply (&f, w, vocab, order);
        double total = 0;
        for (size_t i = 0; i < vocab; i++)
            total += (double) w[i];
        fixture_same ("weight", w, twin, vocab);
        fixture_near ("sum", trial, (double) sum, total, 1e-3);
        assert_true (sum > 0);
    }
}

/*  Of equally likely ids the lower ones stay for top_p, and all for top_k. */
static void ties_are_settled_as_said (void **state)
{
    (void) state;
    float w[4] = {0.5f, 1, 1, 1};
    uint32_t order[4];
    sampler_filter_apply (&(sampler_filter_t){.top_p = 0.5f}, w, 4, order);
    assert_true (w[1] > 0 && w[2] > 0 && w[3] <= 0 && w[0] <= 0);
    float again[4] = {0.5f, 1, 1, 1};
    sampler_filter_apply (&(sampler_filter_t){.top_k = 1}, again, 4, order);
    assert_true (again[1] > 0 && again[2] > 0 && again[3] > 0 && again[0] <= 0);
}

static void numbers_out_of_range_are_named (void **state)
{
    (void) state;
    static const struct {
        sampler_filter_t filter;
        const char *words;
    } bad[] = {{{.top_p = 1.5f}, "top_p is 1.5; it must be a number from 0 to 1"},
               {{.top_p = NAN}, "top_p"},
               {{.min_p = -0.1f}, "min_p"},
               {{.repetition = INFINITY}, "repetition_penalty"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err_t err = {0};
        assert_int_equal (sampler_filter_check (&bad[i].filter, &err), -1);
        assert_int_equal (err.code, ERR_INPUT);
        if (!strstr (err.text, bad[i].words))
            fail_msg ("'%s' has no '%s'", err.text, bad[i].words);
    }
    assert_false (sampler_filter_active (&(sampler_filter_t){.top_p = 1, .repetition = 1}));
    assert_true (sampler_filter_active (&(sampler_filter_t){.top_k = 1}));
}

/*  ---- in a sampler ---- */

static sampler_job_t filtered_job (size_t i, size_t samples)
{
    static const sampler_filter_t filters[] = {
        {.top_k = 3}, {.top_p = 0.3f}, {.min_p = 0.4f, .repetition = 1.5f}, {0}};
    sampler_job_t job = job_of (i, samples);
    job.filter = filters[i];
    return job;
}

/*  A filtered sample follows from its own job: alone, or among others with other filters. */
static void a_filtered_sample_does_not_feel_its_neighbours (void **state)
{
    (void) state;
    pool_t *pool = pool_new (2);
    model_t *models[] = {small_model (COMPUTE_F32), large_model (COMPUTE_F32)};
    for (size_t m = 0; m < 2; m++) {
        harvest_t *together = harvest_new ();
        sampler_t *sampler = open_sampler (models[m], 5, pool);
        for (size_t i = 0; i < 4; i++) {
            sampler_job_t job = filtered_job (i, 3);
            add (sampler, &job);
        }
        run (sampler, together);
        sampler_destroy (&sampler);
        for (size_t i = 0; i < 4; i++) {
            harvest_t *alone = harvest_new ();
            sampler = open_sampler (models[m], 1, NULL);
            sampler_job_t job = filtered_job (i, 3);
            add (sampler, &job);
            run (sampler, alone);
            for (size_t s = 0; s < 3; s++)
                same_sample (&together->samples[i][s], &alone->samples[i][s]);
            sampler_destroy (&sampler);
            free (alone);
        }
        free (together);
        model_destroy (&models[m]);
    }
    pool_destroy (&pool);
}

/*  With top_k 1 only the likeliest is ever drawn, whatever the temperature; its log-probability is
 *  still that of the whole vocabulary. */
static void a_filter_narrows_draws_and_leaves_log_probabilities (void **state)
{
    (void) state;
    model_t *model = small_model (COMPUTE_F32);
    harvest_t *greedy = harvest_new (), *narrow = harvest_new ();
    sampler_t *sampler = open_sampler (model, 8, NULL);
    sampler_job_t job = job_of (0, 4);
    job.temperature = 0;
    add (sampler, &job);
    run (sampler, greedy);
    job.temperature = 1;
    job.filter.top_k = 1;
    add (sampler, &job);
    run (sampler, narrow);
    for (size_t s = 0; s < 4; s++)
        same_sample (&narrow->samples[0][s], &greedy->samples[0][s]);
    free (greedy);
    free (narrow);
    sampler_destroy (&sampler);
    model_destroy (&model);
}

/*  A penalty that is large enough forbids what was written, of prompt and completion, to greedy
 *  decoding too. */
static void a_penalty_keeps_from_repeating (void **state)
{
    (void) state;
    model_t *model = small_model (COMPUTE_F32);
    harvest_t *harvest = harvest_new ();
    sampler_t *sampler = open_sampler (model, 1, NULL);
    sampler_job_t job = job_of (0, 1);
    job.temperature = 0;
    job.stops_n = 0;
    job.filter.repetition = 100;
    add (sampler, &job);
    run (sampler, harvest);
    const sample_t *sample = &harvest->samples[0][0];
    assert_int_equal (sample->n, job.max_tokens);
    for (size_t i = 0; i < sample->n; i++) {
        for (size_t j = 0; j < i; j++)
            assert_true (sample->ids[i] != sample->ids[j]);
        for (size_t j = 0; j < job.prompt_n; j++)
            assert_true (sample->ids[i] != job.prompt[j]);
    }
    free (harvest);
    sampler_destroy (&sampler);
    model_destroy (&model);
}

/*  What a row has written can be looked at while it grows. */
static void rows_can_be_looked_at (void **state)
{
    (void) state;
    model_t *model = small_model (COMPUTE_F32);
    sampler_t *sampler = open_sampler (model, 1, NULL);
    sampler_job_t job = job_of (0, 1);
    sampler_result_t seen, done;
    int32_t ids[TOKENS_MAX];
    size_t n = 0;
    job.stops_n = 0;
    add (sampler, &job);
    assert_false (sampler_look (sampler, 0, &seen));
    while (sampler_step (sampler) > 0) {
        assert_true (sampler_look (sampler, 0, &seen));
        assert_true (seen.n > n && seen.tag == job.tag && seen.sample == 0);
        assert_memory_equal (seen.ids, ids, n * sizeof *ids);
        memcpy (ids, seen.ids, seen.n * sizeof *ids);
        n = seen.n;
    }
    assert_false (sampler_look (sampler, 0, &seen) || sampler_look (sampler, 1, &seen));
    assert_true (sampler_take (sampler, &done));
    assert_memory_equal (done.ids, ids, n * sizeof *ids);
    sampler_destroy (&sampler);
    model_destroy (&model);
}

/*  A completion that is ended leaves its row to the next one, and is taken as it was. */
static void a_row_can_be_ended (void **state)
{
    (void) state;
    model_t *model = small_model (COMPUTE_F32);
    sampler_t *sampler = open_sampler (model, 1, NULL);
    sampler_job_t job = job_of (0, 2);
    harvest_t *harvest = harvest_new ();
    job.stops_n = 0;
    add (sampler, &job);
    sampler_step (sampler);
    sampler_step (sampler);
    sampler_end (sampler, 0);
    run (sampler, harvest);
    job.tag = 1;
    add (sampler, &job);
    run (sampler, harvest);
    const sample_t *ended = &harvest->samples[0][0], *whole = harvest->samples[1];
    assert_int_equal (harvest->count, 4);
    assert_int_equal (ended->n, 3);
    assert_false (ended->stopped);
    assert_memory_equal (ended->ids, whole[0].ids, 3 * sizeof *ended->ids);
    same_sample (&harvest->samples[0][1], &whole[1]);
    sampler_destroy (&sampler);
    model_destroy (&model);
    free (harvest);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (filters_leave_what_transformers_leaves),
        cmocka_unit_test (a_heap_and_a_sort_agree),
        cmocka_unit_test (ties_are_settled_as_said),
        cmocka_unit_test (numbers_out_of_range_are_named),
        cmocka_unit_test (a_filtered_sample_does_not_feel_its_neighbours),
        cmocka_unit_test (a_filter_narrows_draws_and_leaves_log_probabilities),
        cmocka_unit_test (a_penalty_keeps_from_repeating),
        cmocka_unit_test (rows_can_be_looked_at),
        cmocka_unit_test (a_row_can_be_ended)};
    return cmocka_run_group_tests_name ("sampler_filter", tests, NULL, NULL);
}

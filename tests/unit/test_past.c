/*  Who goes on from what it said computes the new ids alone, and draws what it would have drawn
 *  anyway. */
#include "model/past.h"

#include "model/lora.h"
#include "sampler_fixture.h"

#define PLENTY ((size_t) 16 << 20)
#define TOLD   5 /* ids that are said behind an answer */

static past_t *open_past (size_t most)
{
    err_t err = {0};
    past_t *past = past_new (most, &err);
    assert_non_null (past);
    return past;
}

/*  A second turn: the job's prompt, n ids of what its sample 0 said, and some more. */
static int32_t second[160];
static sampler_job_t go_on (const sampler_job_t *job, const sample_t *said, size_t n)
{
    sampler_job_t next = *job;
    size_t at = job->prompt_n;
    memcpy (second, job->prompt, at * sizeof *second);
    memcpy (second + at, said->ids, n * sizeof *second);
    for (size_t i = 0; i < TOLD; i++)
        second[at + n + i] = (int32_t) (20 + i);
    next.prompt = second;
    next.prompt_n = at + n + TOLD;
    next.samples = 3;
    next.tag = 7;
    return next;
}

static void same_as_fresh (const model_t *model, const harvest_t *harvest, sampler_job_t job)
{
    harvest_t *fresh = harvest_new ();
    sampler_t *sampler = open_sampler (model, 8, NULL);
    job.past = NULL;
    add (sampler, &job);
    run (sampler, fresh);
    assert_int_equal (sampler_computed (sampler), job.prompt_n);
    for (size_t s = 0; s < job.samples; s++) {
        same_sample (&harvest->samples[7][s], &fresh->samples[7][s]);
        check_logps (model, &job, &harvest->samples[7][s]);
    }
    sampler_destroy (&sampler);
    free (fresh);
}

/*  Plays two turns; returns how many ids of the second prompt were computed. cut: ids that were
 *  taken from what was said, 0: all. forgets: the model's sequences go between the turns. */
static size_t two_turns (const model_t *model, size_t i, past_t *past, size_t cut, bool forgets)
{
    pool_t *pool = pool_new (2);
    sampler_t *sampler = open_sampler (model, 8, pool);
    harvest_t *harvest = harvest_new ();
    sampler_job_t job = job_of (i, 4);
    job.past = past;
    add (sampler, &job);
    run (sampler, harvest);
    assert_int_equal (sampler_computed (sampler), job.prompt_n);
    if (forgets)
        past_forget (past, model);
    const sample_t *said = &harvest->samples[i][0];
    sampler_job_t next = go_on (&job, said, cut ? cut : said->n);
    add (sampler, &next);
    run (sampler, harvest);
    size_t computed = sampler_computed (sampler) - job.prompt_n;
    same_as_fresh (model, harvest, next);
    sampler_destroy (&sampler);
    pool_destroy (&pool);
    free (harvest);
    return computed;
}

/*  The last id that was said is read for the first time. */
static void a_second_turn_computes_its_new_ids_alone (void **state)
{
    (void) state;
    for (int type = COMPUTE_F32; type <= COMPUTE_BF16; type++)
        for (size_t i = 0; i < 4; i++) {
            model_t *model = small_model ((model_compute_t) type);
            past_t *past = open_past (PLENTY);
            assert_int_equal (two_turns (model, i, past, 0, false), 1 + TOLD);
            past_destroy (&past);
            model_destroy (&model);
        }
}

static void also_when_products_are_cut (void **state)
{
    (void) state;
    model_t *model = large_model (COMPUTE_BF16);
    past_t *past = open_past (PLENTY);
    assert_int_equal (two_turns (model, 2, past, 0, false), 1 + TOLD);
    past_destroy (&past);
    model_destroy (&model);
}

/*  A text that ends a completion ends it at an id before the last one that was drawn. */
static void a_shorter_answer_is_found_as_well (void **state)
{
    (void) state;
    model_t *model = small_model (COMPUTE_F32);
    past_t *past = open_past (PLENTY);
    assert_int_equal (two_turns (model, 1, past, 1, false), TOLD);
    past_destroy (&past);
    model_destroy (&model);
}

static void what_is_not_there_is_computed (void **state)
{
    (void) state;
    model_t *model = small_model (COMPUTE_F32);
    sampler_job_t job = job_of (1, 1);
    past_t *past = open_past (PLENTY), *none = open_past (0);
    assert_true (two_turns (model, 1, past, 0, true) > job.prompt_n + TOLD);
    assert_true (two_turns (model, 1, none, 0, false) > job.prompt_n + TOLD);
    assert_int_equal (past_bytes (none), 0);
    past_destroy (&past);
    past_destroy (&none);
    model_destroy (&model);
}

/*  ---- the list itself ------------------------------------------------------------------------ */

static int32_t lines[3][20];

static kv_t kv_of (const model_t *model, float value)
{
    kv_t kv = {.blocks = 2};
    size_t n = kv_floats (model, kv.blocks);
    assert_non_null (kv.data = calloc (n, sizeof (float)));
    for (size_t i = 0; i < n; i++)
        kv.data[i] = value;
    return kv;
}

static void keep (past_t *past, const model_t *model, size_t line, size_t n)
{
    kv_t kv = kv_of (model, (float) line + 1);
    for (size_t i = 0; i < 20; i++)
        lines[line][i] = (int32_t) (line * 30 + i);
    past_keep (past, model, lines[line], n, NULL, &kv);
    free (kv.data);
}

static size_t recall (past_t *past, const model_t *model, size_t line, size_t n)
{
    kv_t kv = kv_of (model, 0);
    size_t known = past_recall (past, model, lines[line], n, &kv);
    assert_true (kv.data[0] == (known ? (float) line + 1 : 0));
    free (kv.data);
    return known;
}

static void those_used_longest_ago_go_first (void **state)
{
    (void) state;
    model_t *model = small_model (COMPUTE_F32);
    past_t *past = open_past (PLENTY);
    keep (past, model, 0, 17);
    size_t one = past_bytes (past);
    past_destroy (&past);
    past = open_past (2 * one);
    keep (past, model, 0, 17);
    keep (past, model, 1, 17);
    assert_int_equal (recall (past, model, 0, 20), 17);
    keep (past, model, 2, 17);
    assert_int_equal (past_bytes (past), 2 * one);
    assert_int_equal (recall (past, model, 0, 20), 17);
    assert_int_equal (recall (past, model, 1, 20), 0);
    assert_int_equal (recall (past, model, 2, 20), 17);
    past_destroy (&past);
    model_destroy (&model);
}

/*  At least one id is left to compute, whose logits the first token is drawn from. */
static void a_longer_sequence_takes_the_place_of_its_beginning (void **state)
{
    (void) state;
    model_t *model = small_model (COMPUTE_F32);
    past_t *past = open_past (PLENTY);
    keep (past, model, 0, 17);
    size_t one = past_bytes (past);
    keep (past, model, 0, 9); /* is there already */
    assert_int_equal (past_bytes (past), one);
    keep (past, model, 0, 18);
    assert_int_equal (past_bytes (past), one + sizeof (int32_t));
    assert_int_equal (recall (past, model, 0, 18), 17);
    assert_int_equal (recall (past, model, 0, 1), 0);
    past_destroy (&past);
    model_destroy (&model);
}

/*  The same weights with other adapters are another model. */
static void what_another_model_computed_is_not_found (void **state)
{
    (void) state;
    model_t *model = small_model (COMPUTE_F32);
    err_t err = {0};
    lora_config_t lora = {.rank = 2, .alpha = 4};
    assert_int_equal (lora_add_target (&lora, "q_proj", &err), 0);
    model_t *adapted = lora_new (model, &lora, &err);
    assert_non_null (adapted);
    past_t *past = open_past (PLENTY);
    keep (past, model, 0, 17);
    assert_int_equal (recall (past, adapted, 0, 20), 0);
    past_forget (past, adapted);
    assert_int_equal (recall (past, model, 0, 20), 17);
    past_forget (past, model);
    assert_int_equal (past_bytes (past), 0);
    past_destroy (&past);
    model_destroy (&adapted);
    model_destroy (&model);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (a_second_turn_computes_its_new_ids_alone),
        cmocka_unit_test (also_when_products_are_cut),
        cmocka_unit_test (a_shorter_answer_is_found_as_well),
        cmocka_unit_test (what_is_not_there_is_computed),
        cmocka_unit_test (those_used_longest_ago_go_first),
        cmocka_unit_test (a_longer_sequence_takes_the_place_of_its_beginning),
        cmocka_unit_test (what_another_model_computed_is_not_found)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}

/*  losses: finite differences of every variant, the copied reference cases, sums in any split. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../golden/loss_case.h"
#include "base/rng.h"

#define SEQUENCES 5
#define LONGEST   9

typedef struct {
    double logp[SEQUENCES][LONGEST], old[SEQUENCES][LONGEST], ref[SEQUENCES][LONGEST];
    double sampler[SEQUENCES][LONGEST], advantage[SEQUENCES];
    size_t n[SEQUENCES];
} batch_t;

static void batch_fill (batch_t *batch, uint64_t seed, double spread)
{
    rng_t rng = {.key = seed};
    for (size_t i = 0; i < SEQUENCES; i++) {
        batch->n[i] = 1 + (size_t) rng_below (&rng, LONGEST);
        batch->advantage[i] = rng_normal (&rng);
        for (size_t t = 0; t < LONGEST; t++) {
            batch->old[i][t] = -4 * rng_unit (&rng) - 0.05;
            batch->logp[i][t] = batch->old[i][t] + spread * rng_normal (&rng);
            batch->ref[i][t] = batch->old[i][t] + spread * rng_normal (&rng);
            batch->sampler[i][t] = batch->old[i][t] + 0.1 * rng_normal (&rng);
        }
    }
}

static loss_norm_t norm_of (const batch_t *batch)
{
    loss_norm_t norm = {.sequences = SEQUENCES};
    for (size_t i = 0; i < SEQUENCES; i++)
        norm.tokens += batch->n[i];
    return norm;
}

static loss_sums_t compute (const loss_config_t *config, const batch_t *batch,
                            double dlogp[SEQUENCES][LONGEST])
{
    loss_norm_t norm = norm_of (batch);
    loss_sums_t sums = {0}, part;
    for (size_t i = 0; i < SEQUENCES; i++) {
        loss_sequence_t sequence = {.n = batch->n[i],
                                    .logp = batch->logp[i],
                                    .old = batch->old[i],
                                    .ref = batch->ref[i],
                                    .sampler = batch->sampler[i],
                                    .advantage = batch->advantage[i]};
        loss_sequence (config, &norm, &sequence, dlogp[i], &part);
        loss_add (&sums, &part);
    }
    return sums;
}

/*  Derivative of the loss by one logp. CISPO and VESPO do not differentiate their weights: their
 *  numeric derivative is the one of the loss with the weights of the middle point. */
static double numeric (const loss_config_t *config, batch_t *batch, size_t i, size_t t)
{
    double scratch[SEQUENCES][LONGEST], h = 1e-6, keep = batch->logp[i][t];
    batch->logp[i][t] = keep + h;
    double up = compute (config, batch, scratch).loss;
    batch->logp[i][t] = keep - h;
    double down = compute (config, batch, scratch).loss;
    batch->logp[i][t] = keep;
    return (up - down) / (2 * h);
}

static void check_gradient (const loss_config_t *config, uint64_t seed, const char *what)
{
    batch_t batch;
    batch_fill (&batch, seed, 0.4);
    double dlogp[SEQUENCES][LONGEST], largest = 0;
    compute (config, &batch, dlogp);
    for (size_t i = 0; i < SEQUENCES; i++)
        for (size_t t = 0; t < batch.n[i]; t++) {
            double want = numeric (config, &batch, i, t);
            largest = fmax (largest, fabs (want));
            if (fabs (dlogp[i][t] - want) > 1e-7)
                fail_msg ("%s %s: dlogp[%zu][%zu] = %.12g, difference quotient %.12g",
                          loss_name (config->type), what, i, t, dlogp[i][t], want);
        }
    assert_true (largest > 1e-6); /* a gradient of zeros would prove nothing */
}

static loss_config_t plain (loss_type_t type)
{
    return (loss_config_t){
        .type = type, .clip_low = 0.2, .clip_high = 0.28, .max_tokens = 12, .correction_cap = 1.1};
}

static void gradients_match_differences (void **state)
{
    (void) state;
    for (int type = 0; type < LOSS_TYPE_COUNT; type++) {
        if (type == LOSS_CISPO || type == LOSS_VESPO)
            continue;
        loss_config_t config = plain ((loss_type_t) type);
        check_gradient (&config, 1, "token");
        config.sequence_level = true;
        check_gradient (&config, 2, "sequence");
        config.kl = 0.1;
        check_gradient (&config, 3, "sequence with kl");
        for (int k = LOSS_KL_K3; k <= LOSS_KL_K2; k++) {
            config.kl_estimator = (loss_kl_t) k;
            config.sequence_level = true;
            config.kl_ratio = false;
            check_gradient (&config, 3, "sequence with k1, k2, k3");
            config.kl_ratio = true;
            check_gradient (&config, 4, "sequence with weighted kl");
            config.sequence_level = false;
            check_gradient (&config, 5, "token with weighted kl");
        }
        config.delta = 1.4;
        check_gradient (&config, 6, "two-sided");
        config.off_policy_kl = 0.1;
        check_gradient (&config, 7, "off-policy mask");
        for (int c = LOSS_CORRECT_TOKEN_TRUNCATE; c <= LOSS_CORRECT_SEQUENCE_MASK; c++) {
            config.correction = (loss_correction_t) c;
            check_gradient (&config, 8, "correction");
        }
    }
}

/*  With weights that are not differentiated, the gradient is loss / logp token by token. */
static void detached_weights_give_loss_over_logp (void **state)
{
    (void) state;
    loss_type_t types[] = {LOSS_CISPO, LOSS_VESPO};
    for (size_t k = 0; k < 2; k++) {
        loss_config_t config = plain (types[k]);
        config.clip_high = 1.3;
        batch_t batch;
        batch_fill (&batch, 9, 0.4);
        double dlogp[SEQUENCES][LONGEST], sum = 0;
        double loss = compute (&config, &batch, dlogp).loss;
        for (size_t i = 0; i < SEQUENCES; i++)
            for (size_t t = 0; t < batch.n[i]; t++)
                sum += dlogp[i][t] * batch.logp[i][t];
        if (fabs (sum - loss) > 1e-12 || fabs (loss) < 1e-6)
            fail_msg ("%s: sum %.15g, loss %.15g", loss_name (types[k]), sum, loss);
    }
}

static void masked_tokens_do_not_matter (void **state)
{
    (void) state;
    for (int type = 0; type < LOSS_TYPE_COUNT; type++)
        for (int level = 0; level < 2; level++) {
            loss_config_t config = plain ((loss_type_t) type);
            config.sequence_level = level;
            config.kl = 0.1;
            double logp[] = {-1, -2, -9}, old[] = {-1.1, -1.5, -1}, ref[] = {-1.2, -2, -3};
            uint8_t mask[] = {1, 1, 0};
            double with[3], without[3];
            loss_sums_t a, b;
            loss_norm_t norm = {.sequences = 2, .tokens = 5};
            loss_sequence_t s = {
                .n = 3, .logp = logp, .old = old, .ref = ref, .mask = mask, .advantage = 0.7};
            loss_sequence (&config, &norm, &s, with, &a);
            s.n = 2;
            s.mask = NULL;
            loss_sequence (&config, &norm, &s, without, &b);
            assert_true (a.loss == b.loss && a.kl == b.kl && a.tokens == b.tokens);
            assert_true (with[0] == without[0] && with[1] == without[1] && with[2] == 0);
        }
}

/*  On the policy that sampled, the gradient of the clipped losses is - A / normaliser,
 *  unclipped. */
static void on_policy_nothing_is_clipped (void **state)
{
    (void) state;
    loss_config_t config = plain (LOSS_DAPO);
    batch_t batch;
    batch_fill (&batch, 11, 0);
    double dlogp[SEQUENCES][LONGEST];
    loss_sums_t sums = compute (&config, &batch, dlogp);
    loss_metrics_t m;
    loss_metrics (&config, &sums, &m);
    assert_true (m.clip == 0 && m.ratio_min == 1 && m.ratio_max == 1 && m.ratio_mean == 1);
    double want = -batch.advantage[0] / (double) norm_of (&batch).tokens;
    if (fabs (dlogp[0][0] - want) > 1e-15)
        fail_msg ("dlogp %.17g, want %.17g", dlogp[0][0], want);
}

static void copied_reference_cases_match (void **state)
{
    (void) state;
    static const char *const cases[] = {"grpo-token-spread1.5-beta0.04",
                                        "dapo-sequence-spread0.15-beta0.04",
                                        "cispo-token-spread1.5-beta0.0",
                                        "vespo-token-spread0.15-beta0.04",
                                        "sapo-token-spread1.5-beta0.0",
                                        "off-policy-mask",
                                        "is-token-mask"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[256];
        snprintf (path, sizeof path, "tests/golden/data/loss/%s.json", cases[i]);
        double error = loss_case_error (path);
        if (!(error <= 1e-9))
            fail_msg ("%s: largest error %.3g, allowed 1e-9", cases[i], error);
    }
}

/*  Schulman's estimators of one token, and what the metric says of them. */
static void estimators_of_the_kl (void **state)
{
    (void) state;
    static const char *const names[] = {"k1", "k2", "k3"};
    double logp = log (0.5), ref = log (0.2), d = ref - logp, dlogp;
    const double values[] = {-d, d * d / 2, 0.4 - d - 1}, slopes[] = {1, -d, 1 - 0.4};
    for (size_t i = 0; i < 3; i++) {
        loss_config_t config = plain (LOSS_DAPO);
        config.kl = 1;
        config.kl_estimator = loss_kl (names[i]);
        loss_norm_t norm = {.sequences = 1, .tokens = 1};
        loss_sequence_t s = {.n = 1, .logp = &logp, .old = &logp, .ref = &ref};
        loss_sums_t sums;
        loss_sequence (&config, &norm, &s, &dlogp, &sums);
        if (fabs (sums.kl - values[i]) > 1e-15 || fabs (dlogp - slopes[i]) > 1e-15)
            fail_msg ("%s: %.17g, slope %.17g", names[i], sums.kl, dlogp);
    }
}

/*  Where the advantage is negative, delta is the dual clip's c: max (min (w A, clip (w) A), c
 *  A). */
static void delta_is_the_dual_clip (void **state)
{
    (void) state;
    loss_config_t config = plain (LOSS_DAPO);
    config.delta = 3;
    for (double w = 0.1; w < 6; w += 0.1)
        for (double a = -1; a <= 1; a += 2) {
            double logp = log (w), old = 0, dlogp;
            double inner = fmin (w * a, fmin (fmax (w, 0.8), 1.28) * a);
            double want = a < 0 ? fmax (inner, config.delta * a) : inner;
            loss_norm_t norm = {.sequences = 1, .tokens = 1};
            loss_sequence_t s = {.n = 1, .logp = &logp, .old = &old, .advantage = a};
            loss_sums_t sums;
            loss_sequence (&config, &norm, &s, &dlogp, &sums);
            if (fabs (sums.loss + want) > 1e-14)
                fail_msg ("w %g, A %g: loss %.17g, want %.17g", w, a, sums.loss, -want);
        }
}

static void names_are_read_back (void **state)
{
    (void) state;
    for (int type = 0; type < LOSS_TYPE_COUNT; type++)
        assert_int_equal (loss_type (loss_name ((loss_type_t) type)), type);
    assert_int_equal (loss_type ("ppo"), LOSS_TYPE_COUNT);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (gradients_match_differences),
        cmocka_unit_test (detached_weights_give_loss_over_logp),
        cmocka_unit_test (masked_tokens_do_not_matter),
        cmocka_unit_test (on_policy_nothing_is_clipped),
        cmocka_unit_test (copied_reference_cases_match),
        cmocka_unit_test (estimators_of_the_kl),
        cmocka_unit_test (delta_is_the_dual_clip),
        cmocka_unit_test (names_are_read_back),
    };
    return cmocka_run_group_tests_name ("loss", tests, NULL, NULL);
}

/*  advantages: values worked out by hand, and what must hold for any rewards. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/rng.h"
#include "learn/advantage.h"

#define assert_near(got, want, tolerance)                                                          \
    do {                                                                                           \
        double got_ = (got), want_ = (want);                                                       \
        if (!(fabs (got_ - want_) <= (tolerance)))                                                 \
            fail_msg ("%s = %.17g, want %.17g", #got, got_, want_);                                \
    } while (0)

static void spread_has_n_minus_1 (void **state)
{
    (void) state;
    advantage_spread_t s = advantage_spread ((double[]){1, 2, 3, 6}, 4);
    assert_near (s.mean, 3, 1e-15);
    assert_near (s.std, sqrt (14.0 / 3), 1e-15);
    assert_near (s.spread, 5, 0);
    assert_near (advantage_spread ((double[]){3}, 1).std, 0, 0);
    assert_near (advantage_spread (NULL, 0).mean, 0, 0);
}

/*  Variances 1, 4 and then 2.25: a mean of the first ones, which is forgotten by eighths. */
static void the_spread_runs_over_the_steps (void **state)
{
    (void) state;
    const double one[] = {0, sqrt (2)}, four[] = {0, sqrt (8)}, rest[] = {1, 1 + sqrt (4.5)};
    advantage_running_t running = {0};
    advantage_run (&running, one, 2);
    assert_near (running.variance, 1, 1e-14);
    advantage_run (&running, four, 2);
    assert_near (running.variance, 2.5, 1e-14);
    assert_near (advantage_divisor (&running), sqrt (2.5) + 1e-4, 1e-14);
    for (int i = 2; i < 8; i++)
        advantage_run (&running, rest, 2);
    assert_near (running.variance, (5 + 6 * 2.25) / 8, 1e-14);
    advantage_run (&running, rest, 2);
    assert_near (running.variance, 2.25 + (5 - 4.5) / 8 * 7 / 8, 1e-14);
    assert_int_equal (running.steps, 9);
}

static void long_completions_lose_reward (void **state)
{
    (void) state;
    assert_near (advantage_overlong (48, 64, 16), 0, 0);
    assert_near (advantage_overlong (52, 64, 16), -0.25, 1e-15);
    assert_near (advantage_overlong (64, 64, 16), -1, 0);
    assert_near (advantage_overlong (70, 64, 16), -1, 0);
    assert_near (advantage_overlong (64, 64, 0), 0, 0);
}

static void gae_is_the_discounted_sum_of_deltas (void **state)
{
    (void) state;
    double values[] = {0.2, 0.5, 0.4}, a[3], lambda = 0.95;
    advantage_gae (values, 3, 1.0, lambda, a);
    double d2 = 1.0 - 0.4, d1 = 0.4 - 0.5, d0 = 0.5 - 0.2;
    assert_near (a[2], d2, 1e-15);
    assert_near (a[1], d1 + lambda * d2, 1e-15);
    assert_near (a[0], d0 + lambda * d1 + lambda * lambda * d2, 1e-15);
    advantage_gae (values, 3, 1.0, 1.0, a); /* lambda 1: return minus value */
    assert_near (a[0], 1.0 - 0.2, 1e-15);
}

static void normalised_has_mean_0_and_deviation_1 (void **state)
{
    (void) state;
    double a[64], mean = 0, squares = 0;
    for (size_t i = 0; i < 64; i++)
        a[i] = 3 + 5 * rng_uniform_d (42, i);
    advantage_normalise (a, 64);
    for (size_t i = 0; i < 64; i++)
        mean += a[i] / 64;
    for (size_t i = 0; i < 64; i++)
        squares += (a[i] - mean) * (a[i] - mean);
    assert_near (mean, 0, 1e-14);
    assert_near (sqrt (squares / 63), 1, 1e-14);
    double flat[] = {2, 2, 2};
    advantage_normalise (flat, 3);
    assert_near (flat[1], 0, 0);
}

static void explained_variance_of_good_and_bad_values (void **state)
{
    (void) state;
    double returns[] = {0, 1, 2, 3}, shifted[] = {5, 6, 7, 8}, wrong[] = {3, 2, 1, 0};
    double flat[] = {1.5, 1.5, 1.5, 1.5};
    assert_near (advantage_explained_variance (returns, returns, 4), 1, 0);
    assert_near (advantage_explained_variance (returns, shifted, 4), 1, 1e-15);
    assert_near (advantage_explained_variance (returns, flat, 4), 0, 1e-15);
    assert_near (advantage_explained_variance (returns, wrong, 4), -3, 1e-14);
    assert_near (advantage_explained_variance (flat, returns, 4), 0, 0);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (spread_has_n_minus_1),
        cmocka_unit_test (the_spread_runs_over_the_steps),
        cmocka_unit_test (long_completions_lose_reward),
        cmocka_unit_test (gae_is_the_discounted_sum_of_deltas),
        cmocka_unit_test (normalised_has_mean_0_and_deviation_1),
        cmocka_unit_test (explained_variance_of_good_and_bad_values),
    };
    return cmocka_run_group_tests_name ("advantage", tests, NULL, NULL);
}

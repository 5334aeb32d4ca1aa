/*  bootstrap intervals: stored samples with the intervals that scipy gives them, and what must hold
 *  for any values. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "learn/bootstrap.h"

#define TASKS 40

#define assert_near(got, want, tolerance)                                                          \
    do {                                                                                           \
        double got_ = (got), want_ = (want);                                                       \
        if (!(fabs (got_ - want_) <= (tolerance)))                                                 \
            fail_msg ("%s = %.17g, want %.17g", #got, got_, want_);                                \
    } while (0)

/*  Of each task, the share of four samples that passed; and the tokens of two agents. */
static const double solved[TASKS] = {1,    0,    0.75, 1,   0.5,  0.25, 0.25, 0.75, 0.75, 0,
                                     1,    0.5,  0.25, 1,   0.5,  1,    1,    0.5,  0.75, 0.25,
                                     0.75, 1,    0.75, 0.5, 0.75, 1,    0.75, 0.5,  0.5,  1,
                                     0.25, 0.75, 0.5,  1,   1,    1,    0.75, 0.75, 1,    0.25};
static const double ours[TASKS] = {26, 18, 21, 20, 17, 24, 22, 22, 20, 23, 20, 22, 19, 18,
                                   26, 20, 23, 22, 21, 20, 24, 21, 22, 22, 26, 24, 23, 20,
                                   18, 25, 25, 22, 24, 24, 24, 25, 21, 27, 18, 25};
static const double theirs[TASKS] = {67, 49, 64, 61, 34, 39, 58, 41, 41, 61, 39, 37, 45, 42,
                                     62, 49, 48, 41, 49, 43, 45, 55, 50, 57, 52, 54, 45, 42,
                                     44, 50, 67, 58, 74, 47, 66, 54, 51, 51, 40, 64};

/*  scipy 1.17.1: scipy.stats.bootstrap (data, statistic, paired=..., n_resamples=1_000_000,
 *  method="percentile"). An end of our interval, of so many resamples, is off by about
 *  sqrt (0.025 x 0.975 / BOOTSTRAP_RESAMPLES) / 0.058 = 0.027 standard errors: four times that are
 *  allowed. */
static void intervals_are_those_of_scipy (void **state)
{
    (void) state;
    double difference[TASKS];
    for (size_t i = 0; i < TASKS; i++)
        difference[i] = solved[i] - solved[TASKS - 1 - i];
    const struct {
        bootstrap_t ours;
        double value, low, high, error;
    } all[] = {
        {bootstrap_mean (solved, TASKS), 0.66875, 0.575, 0.7625, 0.04793},
        {bootstrap_mean (ours, TASKS), 22.1, 21.3, 22.9, 0.40434},
        {bootstrap_mean (difference, TASKS), 0, -0.14375, 0.14375, 0.07240},
        {bootstrap_ratio (theirs, ours, TASKS), 2.3031674208144794, 2.18872, 2.42075, 0.05925}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        assert_near (all[i].ours.value, all[i].value, 1e-12);
        assert_near (all[i].ours.low, all[i].low, 0.11 * all[i].error);
        assert_near (all[i].ours.high, all[i].high, 0.11 * all[i].error);
    }
}

/*  Of two tasks both are drawn, or one of them twice: each end of the interval is a task. */
static void of_two_tasks_the_interval_is_both (void **state)
{
    (void) state;
    bootstrap_t b = bootstrap_mean ((double[]){3, 1}, 2);
    assert_near (b.value, 2, 0);
    assert_near (b.low, 1, 0);
    assert_near (b.high, 3, 0);
}

static void tasks_that_are_alike_have_no_width (void **state)
{
    (void) state;
    double ones[TASKS];
    for (size_t i = 0; i < TASKS; i++)
        ones[i] = 1;
    bootstrap_t b = bootstrap_mean (ones, TASKS);
    assert_true (b.value == 1 && b.low == 1 && b.high == 1);
    b = bootstrap_ratio (ones, ones, TASKS);
    assert_true (b.value == 1 && b.low == 1 && b.high == 1);
}

/*  Values that are twice as large and one higher have such an interval. */
static void the_interval_moves_with_the_values (void **state)
{
    (void) state;
    double moved[TASKS];
    for (size_t i = 0; i < TASKS; i++)
        moved[i] = 2 * solved[i] + 1;
    bootstrap_t b = bootstrap_mean (solved, TASKS), m = bootstrap_mean (moved, TASKS);
    assert_near (m.low, 2 * b.low + 1, 1e-12);
    assert_near (m.high, 2 * b.high + 1, 1e-12);
    assert_true (b.low < b.value && b.value < b.high);
}

static void of_nothing_there_is_no_interval (void **state)
{
    (void) state;
    double none[2] = {0, 0}, one[2] = {1, 1}, half[2] = {0, 2};
    bootstrap_t b = bootstrap_mean (NULL, 0);
    assert_true (isnan (b.value) && isnan (b.low) && isnan (b.high));
    b = bootstrap_ratio (one, none, 2);
    assert_true (isnan (b.low) && isnan (b.high));
    /* The resample without the second task is left out. */
    b = bootstrap_ratio (one, half, 2);
    assert_near (b.value, 1, 0);
    assert_near (b.low, 0.5, 0);
    assert_near (b.high, 1, 0);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (intervals_are_those_of_scipy),
        cmocka_unit_test (of_two_tasks_the_interval_is_both),
        cmocka_unit_test (tasks_that_are_alike_have_no_width),
        cmocka_unit_test (the_interval_moves_with_the_values),
        cmocka_unit_test (of_nothing_there_is_no_interval),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

/*  The table of `quintet top`: rates, percentiles, restarts, who is silent, what it says of
 *  runs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "watch/rows.h"

static void tell (rows_t *rows, const char *name, uint64_t pid, const wire_part_t *metrics,
                  size_t n)
{
    rows_note (rows, &(wire_event_t){.kind = WIRE_SERVICE_STATUS,
                                     .run = "",
                                     .text = name,
                                     .host = "here",
                                     .doing = "",
                                     .pid = pid,
                                     .metrics = metrics,
                                     .metrics_n = n});
}

/*  An agent that has answered so many, of which `slow` took up to 64 ms and the others 1. */
static void tell_agent (rows_t *rows, const char *name, double served, double slow, double version)
{
    const wire_part_t metrics[] = {{"service/agent", 1},   {"served", served},
                                   {"in_hand", 3},         {"cpu_s", served / 100},
                                   {"rss_bytes", 5e6},     {"took_ms/1", served - slow},
                                   {"took_ms/64", slow},   {"version/r/shared", version},
                                   {"tokens_per_s", 1500}, {"requests_waiting", 2},
                                   {"uptime_s", 700},      {"events_missed", 1},
                                   {"damaged", 2}};
    tell (rows, name, 7, metrics, sizeof metrics / sizeof *metrics);
}

/*  Statuses of half a minute, twice a second: ten requests a second, one in twenty slow. */
static void tell_half_a_minute (rows_t *rows)
{
    for (int i = 0; i < 60; i++) {
        tell_agent (rows, "agent-10", 100 + 5 * i, (100 + 5 * i) / 20.0, 4);
        tell_agent (rows, "agent-9", 100, 0, 6);
        clock_forward (500);
    }
}

static void rates_and_percentiles_are_of_the_last_seconds (void **state)
{
    (void) state;
    static rows_t rows;
    rows = (rows_t){0};
    tell_half_a_minute (&rows);
    rows_sort (&rows, ROWS_BY_NAME, "");
    assert_int_equal (rows.shown, 2);
    const row_t *nine = &rows.row[rows.order[0]], *ten = &rows.row[rows.order[1]];
    assert_string_equal (nine->name, "agent-9");
    assert_string_equal (ten->kind, "agent");
    assert_true (fabs (ten->done_per_s - 10) < 0.5);
    assert_true (fabs (ten->cpu - 0.1) < 0.005);
    assert_true (ten->p50_ms == 1 && ten->p99_ms == 64);
    assert_true (ten->in_flight == 3 && ten->queue == 2 && ten->drops == 3);
    assert_true (ten->lag == 2 && nine->lag == 0);
    assert_true (nine->done_per_s == 0 && isnan (nine->p99_ms)); /* none in this time */
    rows_free (&rows);
}

static void who_is_sorted_and_filtered (void **state)
{
    (void) state;
    static rows_t rows;
    rows = (rows_t){0};
    tell_half_a_minute (&rows);
    const wire_part_t bus[] = {{"service/bus", 1}, {"replies", 5}};
    tell (&rows, "bus-1", 1, bus, 2);
    rows_sort (&rows, ROWS_BY_DONE, "");
    assert_string_equal (rows.row[rows.order[0]].name, "agent-10");
    assert_int_equal (rows.shown, 3);
    rows_sort (&rows, ROWS_BY_NAME, "bus");
    assert_int_equal (rows.shown, 1);
    assert_string_equal (rows.row[rows.order[0]].name, "bus-1");
    rows_sort (&rows, ROWS_BY_NAME, "nobody");
    assert_int_equal (rows.shown, 0);
    rows_free (&rows);
}

static void a_restart_is_counted_and_begins_anew (void **state)
{
    (void) state;
    static rows_t rows;
    rows = (rows_t){0};
    tell_half_a_minute (&rows);
    const wire_part_t fresh[] = {{"service/agent", 1}, {"served", 1}, {"uptime_s", 1}};
    tell (&rows, "agent-10", 8, fresh, 3);
    rows_sort (&rows, ROWS_BY_NAME, "agent-10");
    const row_t *r = &rows.row[rows.order[0]];
    assert_int_equal (r->restarts, 1);
    assert_true (isnan (r->done_per_s) && isnan (r->p50_ms)); /* not: a negative rate */
    rows_free (&rows);
}

static void who_says_nothing_is_silent_and_then_gone (void **state)
{
    (void) state;
    static rows_t rows;
    rows = (rows_t){0};
    tell_half_a_minute (&rows);
    clock_forward (4000);
    rows_sort (&rows, ROWS_BY_NAME, "agent-9");
    assert_true (rows.row[rows.order[0]].silent);
    clock_forward (60000);
    rows_sort (&rows, ROWS_BY_NAME, "");
    assert_int_equal (rows.shown, 0);
    rows_free (&rows);
}

static void a_run_has_its_steps_and_its_state (void **state)
{
    (void) state;
    static rows_t rows;
    rows = (rows_t){0};
    const wire_part_t opened = {"steps", 40},
                      done[] = {{"reward_mean", 0.75}, {"sampled_tokens_per_s", 900}};
    rows_note (&rows, &(wire_event_t){
                          .kind = WIRE_RUN_OPENED, .run = "r", .metrics = &opened, .metrics_n = 1});
    for (uint64_t i = 1; i <= 5; i++) {
        clock_forward (36000);
        rows_note (
            &rows,
            &(wire_event_t){
                .kind = WIRE_STEP_DONE, .run = "r", .step = i, .metrics = done, .metrics_n = 2});
    }
    rows_note (&rows, &(wire_event_t){.kind = WIRE_RUN_STATE, .run = "r", .text = "training"});
    assert_true (rows.runs == 1 && rows.run[0].step == 5 && rows.run[0].steps == 40);
    assert_true (rows.run[0].reward == 0.75 && isnan (rows.run[0].trained_per_s));
    assert_true (fabs (rows.run[0].steps_per_h - 100) < 1);
    /* A run more than there is room for takes the place of one. */
    for (int i = 0; i < ROWS_RUNS_MAX; i++) {
        char run[16];
        snprintf (run, sizeof run, "run-%d", i);
        rows_note (&rows, &(wire_event_t){.kind = WIRE_RUN_STATE, .run = run, .text = "done"});
    }
    assert_int_equal (rows.runs, ROWS_RUNS_MAX);
    rows_free (&rows);
}

/*  Names of peers cannot move the cursor, and no line is wider than there is room. */
static void the_table_is_fit_for_a_terminal (void **state)
{
    (void) state;
    static rows_t rows;
    rows = (rows_t){0};
    buf_t out = {0};
    tell_agent (&rows, "evil\x1b[2J\nname", 1, 0, 1);
    tell_agent (&rows, "much longer than any column of that table has room for, really", 1, 0, 1);
    rows_sort (&rows, ROWS_BY_NAME, "");
    rows_print (&rows, 0, 80, &out);
    assert_null (memchr (out.data, '\x1b', out.size));
    size_t lines = 0, width = 0;
    for (size_t i = 0; i < out.size; i++) {
        bool end = out.data[i] == '\n';
        lines += end;
        /* Of a character of several bytes the first is counted. */
        width = end ? 0 : width + (((unsigned char) out.data[i] & 0xc0) != 0x80);
        assert_true (width <= 80);
    }
    assert_int_equal (lines, 4);
    buf_clear (&out);
    rows_print (&rows, 3, 80, &out); /* a low terminal */
    lines = 0;
    for (size_t i = 0; i < out.size; i++)
        lines += out.data[i] == '\n';
    assert_int_equal (lines, 3);
    json_t *json = rows_json (&rows);
    assert_int_equal (json_array_size (json_object_get (json, "services")), 2);
    json_decref (json);
    buf_free (&out);
    rows_free (&rows);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (rates_and_percentiles_are_of_the_last_seconds),
        cmocka_unit_test (who_is_sorted_and_filtered),
        cmocka_unit_test (a_restart_is_counted_and_begins_anew),
        cmocka_unit_test (who_says_nothing_is_silent_and_then_gone),
        cmocka_unit_test (a_run_has_its_steps_and_its_state),
        cmocka_unit_test (the_table_is_fit_for_a_terminal),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

/* with: services/environment/spans.c */
/*  Where a group's time went, as JSON: whole, and bounded. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../../services/environment/spans.h"

static const wire_role_t roles[] = {{.name = "aux"}, {.name = "main"}};
static const wire_group_t group = {.run = "coding",
                                   .step = 12,
                                   .group = 3,
                                   .episodes = 4,
                                   .roles = (wire_role_t *) (uintptr_t) roles,
                                   .roles_n = 2};

static json_t *told (const spans_t *spans)
{
    buf_t out = {0};
    spans_json (spans, &group, "environment-1", &out);
    assert_true (out.size < SPANS_BYTES_MAX + 512);
    json_t *json = json_loads (out.data, 0, NULL);
    assert_non_null (json);
    buf_free (&out);
    return json;
}

static long long number (const json_t *object, const char *key)
{
    return json_integer_value (json_object_get (object, key));
}

static void a_group_tells_who_was_asked_and_how_long_it_took (void **state)
{
    (void) state;
    spans_t spans = {0};
    span_t act = {.name = "act",
                  .role = "main",
                  .peer = "agent-1",
                  .turn = 1,
                  .begin_us = 1500,
                  .end_us = 4000,
                  .waited_us = 1000,
                  .took_us = 1200,
                  .decode_us = 700,
                  .refusals = 2,
                  .episodes = calloc (2, sizeof (uint32_t)),
                  .episodes_n = 2};
    act.episodes[1] = 3;
    spans_begin (&spans, 1000);
    spans_add (&spans, &act);
    assert_null (act.episodes);
    spans_add (&spans, &(span_t){.name = "commit", .begin_us = 5000, .end_us = 5010});
    json_t *json = told (&spans);
    assert_int_equal (strlen (json_string_value (json_object_get (json, "trace"))), 32);
    assert_true (number (json, "time_us") > 1700000000000000);
    assert_int_equal (number (json, "episodes"), 4);
    assert_int_equal (number (json, "left_out"), 0);
    const json_t *list = json_object_get (json, "spans"), *one = json_array_get (list, 0);
    assert_int_equal (json_array_size (list), 2);
    static const struct {
        const char *key;
        long long value;
    } wanted[] = {{"at_us", 500},    {"us", 2500},       {"turn", 1},    {"waited_us", 1000},
                  {"took_us", 1200}, {"decode_us", 700}, {"refusals", 2}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        assert_int_equal (number (one, wanted[i].key), wanted[i].value);
    assert_string_equal (json_string_value (json_object_get (one, "peer")), "agent-1");
    assert_int_equal (json_integer_value (json_array_get (json_object_get (one, "episodes"), 1)),
                      3);
    assert_null (json_object_get (json_array_get (list, 1), "episodes")); /* for all */
    json_decref (json);
    spans_free (&spans);
}

static void what_is_too_much_is_counted (void **state)
{
    (void) state;
    spans_t spans = {0};
    spans_begin (&spans, 0);
    for (size_t i = 0; i < SPANS_MAX + 5; i++) {
        span_t span = {.name = "act", .episodes = calloc (1000, sizeof (uint32_t))};
        span.episodes_n = 1000;
        spans_add (&spans, &span);
    }
    json_t *json = told (&spans);
    size_t there = json_array_size (json_object_get (json, "spans"));
    assert_true (there > 10 && there < SPANS_MAX);
    assert_int_equal (number (json, "left_out"), SPANS_MAX + 5 - there);
    json_decref (json);
    spans_free (&spans);
}

static void the_id_of_a_trace_is_a_groups_own (void **state)
{
    (void) state;
    char a[SPANS_TRACE_SIZE], b[SPANS_TRACE_SIZE];
    wire_group_t other = group;
    assert_string_equal (spans_trace (&group, a), spans_trace (&other, b));
    other.group++;
    assert_string_not_equal (spans_trace (&group, a), spans_trace (&other, b));
    other = group;
    other.phase = WIRE_EVAL_GREEDY;
    assert_string_not_equal (spans_trace (&group, a), spans_trace (&other, b));
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (a_group_tells_who_was_asked_and_how_long_it_took),
        cmocka_unit_test (what_is_too_much_is_counted),
        cmocka_unit_test (the_id_of_a_trace_is_a_groups_own),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

/* with: services/cli/tap/topics.c services/cli/tap/format.c */
/*  One event as a line: short for people, whole as JSON. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "../../services/cli/tap/format.h"
#include "../../services/cli/tap/topics.h"
#include "watch/line.h"

#define SEEN_S 1700000000.5

static const bus_item_t item = {.kind = BUS_EVENT,
                                .name = "coding/step.done",
                                .sender = "team",
                                .boot = 0xfedcba9876543210u,
                                .sequence = 7,
                                .missed = 3};

static char *text_of (const wire_event_t *event)
{
    buf_t out = {0};
    line_text (&item, event, SEEN_S, &out);
    return buf_take (&out);
}

static void holds (const char *text, const char *wanted)
{
    if (!strstr (text, wanted))
        fail_msg ("no '%s' in:\n%s", wanted, text);
}

/*  A step has a hundred metrics, and those that come first are not those that matter. */
static void a_line_has_what_matters (void **state)
{
    (void) state;
    wire_part_t metrics[] = {{"wall_s", 99},        {"part/x", 1},
                             {"entropy", 0.125},    {"reward_mean", 0.5},
                             {"zero_spread", 0.25}, {"loss", -0.01},
                             {"success", 0.75},     {"critical_path_tokens", 31.5},
                             {"quality_mean", 0.5}, {"tokens", 123456}};
    wire_event_t event = {.kind = WIRE_STEP_DONE,
                          .run = "coding",
                          .step = 12,
                          .metrics = metrics,
                          .metrics_n = 10,
                          .text = ""};
    char *text = text_of (&event);
    holds (text, "coding       step.done      (3 lost before) step 12 reward=0.5");
    holds (text, " pass=0.75 path=31.5");
    assert_true (text[2] == ':' && text[5] == ':'); /* the time of day */
    assert_null (strstr (text, "wall_s"));
    free (text);
}

static void no_line_is_longer_than_it_may (void **state)
{
    (void) state;
    char words[600];
    memset (words, 'x', sizeof words - 1);
    words[sizeof words - 1] = 0;
    memcpy (words, "\x1b[2J\n", 5);
    wire_event_t event = {.kind = WIRE_RUN_NOTE, .run = "coding", .step = 1, .text = words};
    char *text = text_of (&event);
    size_t columns = 0;
    for (const char *c = text; *c; columns++) {
        utf8proc_int32_t character;
        assert_true (*c != '\x1b' && *c != '\n');
        c += utf8proc_iterate ((const utf8proc_uint8_t *) c, -1, &character);
    }
    assert_int_equal (columns, LINE_COLUMNS);
    assert_string_equal (text + strlen (text) - 4, "x…");
    free (text);
}

static void each_kind_says_what_it_is_about (void **state)
{
    (void) state;
    wire_part_t status[] = {{"service/trainer", 1},
                            {"uptime_s", 5},

                            {"steps_done", 4},
                            {"rss_bytes", 1e7}};
    wire_part_t agent[] = {{"service/agent", 1}, {"tokens_per_s", 20500}, {"version/a/main", 5}};
    const struct {
        wire_event_t event;
        const char *wanted;
    } cases[] = {
        {{.kind = WIRE_SERVICE_STATUS,
          .text = "team",
          .metrics = status,
          .metrics_n = 4,
          .doing = "sample"},
         "team         trainer        (3 lost before) sample steps_done=4"},
        {{.kind = WIRE_SERVICE_STATUS, .text = "agent-1", .metrics = agent, .metrics_n = 3},
         "version/a/main=5 tok/s=20.5k"},
        {{.kind = WIRE_POLICY_PUBLISHED, .run = "c", .version = {.policy = "main", .number = 8}},
         "main version 8"},
        {{.kind = WIRE_STEP_OPENED, .run = "c", .step = 3, .phase = WIRE_EVAL_GREEDY},
         "step 3 eval-greedy"},
        {{.kind = WIRE_GROUP_TROUBLE, .run = "c", .step = 3, .group = 9, .text = "reward-1: no"},
         "step 3 group 9  reward-1: no"},
        {{.kind = WIRE_EPISODE_SHOWN,
          .run = "c",
          .text = "{\"reward\":{\"reward\":0.5,\"verdict\":\"3 of 5\"}}"},
         "reward=0.5  3 of 5"},
        {{.kind = WIRE_EPISODE_SHOWN, .run = "c", .text = "{"}, "episode.shown"},
        {{.kind = WIRE_GROUP_TRACED,
          .run = "c",
          .step = 3,
          .group = 9,
          .text = "{\"spans\":[{\"name\":\"score\",\"us\":900},"
                  "{\"name\":\"act\",\"role\":\"main\",\"us\":12340}]}"},
         "step 3 group 9 longest: act main 12.3 ms"},
        {{.kind = WIRE_GROUP_TRACED, .run = "c", .step = 3, .text = "{"}, "step 3 group 0"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = text_of (&cases[i].event);
        holds (text, cases[i].wanted);
        free (text);
    }
}

static void json_has_everything (void **state)
{
    (void) state;
    wire_part_t metrics[] = {{"service/agent", 1}, {"tokens_per_s", 20500.25}};
    wire_event_t event = {.kind = WIRE_SERVICE_STATUS,
                          .run = "",
                          .text = "agent-\xff",
                          .time_us = 1700000000250000u,
                          .host = "box",
                          .pid = 42,
                          .version = {.policy = "main", .number = 8},
                          .metrics = metrics,
                          .metrics_n = 2};
    buf_t out = {0};
    line_json (&item, &event, SEEN_S, &out);
    json_t *line = json_loads (out.data, 0, NULL);
    assert_non_null (line);
    assert_true (json_real_value (json_object_get (line, "seen_s")) == SEEN_S);
    assert_int_equal (json_integer_value (json_object_get (line, "sequence")), 7);
    assert_int_equal (json_integer_value (json_object_get (line, "missed")), 3);
    assert_int_equal (json_integer_value (json_object_get (line, "pid")), 42);
    assert_true (json_real_value (json_object_get (line, "time_s")) == 1700000000.25);
    static const char *const words[][2] = {
        {"host", "box"},    {"boot", "fedcba9876543210"}, {"service", "agent"},
        {"sender", "team"}, {"event", "service.status"},  {"topic", "coding/step.done"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        assert_string_equal (json_string_value (json_object_get (line, words[i][0])), words[i][1]);
    assert_int_equal (
        json_integer_value (json_object_get (json_object_get (line, "version"), "number")), 8);
    assert_true (json_real_value (json_object_get (json_object_get (line, "metrics"),
                                                   "tokens_per_s")) == 20500.25);
    json_decref (line);
    buf_free (&out);
}

static void a_line_can_have_a_form_of_ones_own (void **state)
{
    (void) state;
    wire_part_t metrics[] = {{"reward_mean", 0.5}};
    wire_event_t event = {.kind = WIRE_STEP_DONE,
                          .run = "co\033ding",
                          .step = 12,
                          .time_us = 1700000000250000u,
                          .metrics = metrics,
                          .metrics_n = 1,
                          .text = ""};
    static const char *const cases[][2] = {
        {"%T %s %n %m", "1700000000.250000 team coding/step.done step 12 reward=0.5"},
        {"%e|%r|%%|100", "step.done|co\xef\xbf\xbd"
                         "ding|%|100"},
        {"none", "none"}};
    buf_t out = {0};
    err_t err = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_clear (&out);
        assert_int_equal (format_check (cases[i][0], &err), 0);
        format_line (cases[i][0], &item, &event, SEEN_S, &out);
        assert_string_equal (out.data, cases[i][1]);
    }
    buf_clear (&out);
    format_line ("%t", &item, &event, SEEN_S, &out);
    holds (out.data, ":20.250");
    buf_clear (&out);
    format_line ("%j", &item, &event, SEEN_S, &out);
    holds (out.data, "\"reward_mean\":0.5");
    buf_free (&out);
    assert_int_equal (format_check ("%s %x", &err), -1);
    holds (err.text, "'%x' stands for nothing");
    assert_int_equal (format_check ("%s %", &err), -1);
}

/*  What topics_print and topics_print_lost write; the caller frees it. */
static char *printed (topics_t *topics, bool json)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream (&text, &size);
    assert_non_null (to);
    topics_print (topics, 4, json, to);
    topics_print_lost (topics, to);
    fclose (to);
    return text;
}

static void topics_are_counted_and_losses_told_by_sender (void **state)
{
    (void) state;
    static const struct {
        const char *name, *sender;
        uint64_t missed;
    } events[] = {{"service/agent-1", "agent-1", 0},
                  {"coding/step.done", "team", 2},
                  {"service/agent-1", "agent-1", 5},
                  {"coding/step.done", "team", 1},
                  {"coding/\033[2J", "team", 0}};
    topics_t topics = {0};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        bus_item_t one = {.kind = BUS_EVENT,
                          .name = events[i].name,
                          .sender = events[i].sender,
                          .missed = events[i].missed};
        topics_note (&topics, &one);
    }
    buf_t roots = {0};
    topics_roots (&topics, &roots);
    assert_string_equal (roots.data, " service/ coding/");
    buf_free (&roots);
    char *text = printed (&topics, false);
    assert_string_equal (text, "         1        0.2/s  coding/\xef\xbf\xbd[2J\n"
                               "         2        0.5/s  coding/step.done\n"
                               "         2        0.5/s  service/agent-1\n"
                               "lost: team 3, agent-1 5\n");
    free (text);
    text = printed (&topics, true);
    holds (text, "{\"topic\":\"coding/step.done\",\"events\":2,\"per_s\":0.5}\n");
    free (text);
    topics_free (&topics);
}

/*  Names are a peer's: however many there are, the tap's memory is bounded. */
static void topics_beyond_the_most_are_counted_together (void **state)
{
    (void) state;
    topics_t topics = {0};
    char name[24];
    bus_item_t one = {.kind = BUS_EVENT, .name = name, .sender = "x"};
    for (size_t i = 0; i < TOPICS_MAX + 7; i++) {
        snprintf (name, sizeof name, "t%zu", i);
        topics_note (&topics, &one);
    }
    assert_int_equal (topics.topics, TOPICS_MAX);
    char *text = printed (&topics, false);
    holds (text, "         7        1.8/s  (others)\n");
    free (text);
    topics_free (&topics);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (a_line_has_what_matters),
        cmocka_unit_test (no_line_is_longer_than_it_may),
        cmocka_unit_test (each_kind_says_what_it_is_about),
        cmocka_unit_test (json_has_everything),
        cmocka_unit_test (a_line_can_have_a_form_of_ones_own),
        cmocka_unit_test (topics_are_counted_and_losses_told_by_sender),
        cmocka_unit_test (topics_beyond_the_most_are_counted_together),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

/* with: services/monitor/ */
/*  What the monitor knows of runs, what it adds up of services, and what a browser gets of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "../../services/monitor/tail.h"
#include "../../services/monitor/places.h"
#include "../../services/monitor/prom.h"
#include "../../services/monitor/runs.h"
#include "../../services/monitor/tally.h"
#include "base/clock.h"
#include "folder_fixture.h"
#include "watch/rows.h"

#define STEP(n)                                                                                    \
    "{\"event\":\"step\",\"step\":" n ",\"time_s\":5.5,\"reward_mean\":0." n ",\"success\":0.5}\n"
#define EVAL(n) "{\"event\":\"eval\",\"step\":" n ",\"sampled\":0." n "}\n"

static void put_in (const char *run, const char *file, const char *text)
{
    char path[96];
    snprintf (path, sizeof path, "%s/%s", dir, run);
    assert_int_equal (fs_mkdirs (path, NULL), 0);
    snprintf (path, sizeof path, "%s/%s", run, file);
    put (path, text);
}

static json_t *named (json_t *runs, const char *name)
{
    json_t *run;
    size_t i;
    json_array_foreach (runs, i, run)
        if (strcmp (json_string_value (json_object_get (run, "name")), name) == 0)
            return run;
    return NULL;
}

static double value (const json_t *object, const char *key)
{
    return json_number_value (json_object_get (object, key));
}

static void runs_are_found_in_folders_of_folders (void **state)
{
    (void) state;
    put_in ("alone", "metrics.jsonl", EVAL ("1") STEP ("2") STEP ("3") EVAL ("4"));
    put_in ("x/arm/seed-1", "metrics.jsonl", STEP ("7"));
    put_in ("x/arm/seed-1/deeper", "metrics.jsonl", STEP ("7"));
    put_in ("empty", "config.yml", "");
    runs_t *runs = runs_new (dir);
    runs_look (runs);
    json_t *list = runs_json (runs);
    assert_int_equal (json_array_size (list), 2);
    const json_t *alone = named (list, "alone");
    assert_non_null (alone);
    assert_true (value (alone, "step") == 3 && value (alone, "reward") == 0.3);
    assert_true (value (json_object_get (alone, "before"), "sampled") == 0.1);
    assert_true (value (json_object_get (alone, "after"), "sampled") == 0.4);
    assert_non_null (named (list, "x/arm/seed-1"));
    json_decref (list);
    /* It goes on; another is removed. */
    put_in ("alone", "metrics.jsonl", EVAL ("1") STEP ("2") STEP ("3") EVAL ("4") STEP ("5"));
    put_in ("x/arm/seed-1", "metrics.jsonl", NULL);
    runs_look (runs);
    list = runs_json (runs);
    assert_int_equal (json_array_size (list), 1);
    assert_true (value (named (list, "alone"), "step") == 5);
    json_decref (list);
    runs_destroy (&runs);
}

/*  Addresses and JSON carry it all the same. */
static void a_folder_may_have_any_name (void **state)
{
    (void) state;
    window_t w;
    put_in ("odd-\xff\n100%/\xc3\xa9", "metrics.jsonl", STEP ("1"));
    runs_t *runs = runs_new (dir);
    runs_look (runs);
    runs_look (runs);
    json_t *list = runs_json (runs);
    assert_non_null (named (list, "odd-%FF%0A100%/\xc3\xa9"));
    assert_int_equal (runs_read (runs, "odd-%FF%0A100%/\xc3\xa9", RUNS_METRICS, 0, &w), 0);
    assert_string_equal (w.text.data, STEP ("1"));
    buf_free (&w.text);
    json_decref (list);
    runs_destroy (&runs);
}

/*  A disk that failed leaves bytes 0, a writer that was killed half a line before the next one. */
static void a_line_that_is_none_hides_no_other (void **state)
{
    (void) state;
    static const char text[] =
        STEP ("1") "{\"event\":\"st\0\0\0\n\n" STEP ("2") "{\"half\n" STEP ("3");
    char path[96];
    window_t w;
    window_line_t line = {0};
    put_in ("torn", "metrics.jsonl", "");
    snprintf (path, sizeof path, "%s/torn/metrics.jsonl", dir);
    assert_int_equal (fs_write (path, text, sizeof text - 1, NULL), 0);
    runs_t *runs = runs_new (dir);
    runs_look (runs);
    json_t *list = runs_json (runs);
    const json_t *torn = named (list, "torn");
    assert_true (value (torn, "step") == 3);
    assert_true (value (torn, "unreadable") == 2 && value (torn, "first_unreadable") == 2);
    json_decref (list);
    assert_int_equal (runs_read (runs, "torn", RUNS_METRICS, 0, &w), 0);
    int steps = 0;
    while (window_line (&w, &line)) {
        json_t *object = window_object (&line);
        steps += object != NULL;
        assert_memory_equal (line.text, text + line.at, line.n);
        json_decref (object);
    }
    assert_int_equal (steps, 3);
    assert_int_equal (line.number, 6);
    buf_free (&w.text);
    runs_destroy (&runs);
}

static void a_line_that_is_too_long_is_passed_over (void **state)
{
    (void) state;
    buf_t text = {.max = 64 << 20};
    window_t w;
    static char filler[1 << 20];
    memset (filler, 'x', sizeof filler);
    buf_text (&text, STEP ("1"));
    size_t first = text.size;
    for (int i = 0; i < 40; i++)
        buf_append (&text, filler, sizeof filler);
    put_in ("huge", "metrics.jsonl", text.data);
    runs_t *runs = runs_new (dir);
    runs_look (runs);
    /* Its end may come yet. */
    assert_int_equal (runs_read (runs, "huge", RUNS_METRICS, first, &w), 0);
    assert_true (w.text.size == 0 && w.next == first && !w.more && !w.again);
    buf_text (&text, "\n" STEP ("2"));
    put_in ("huge", "metrics.jsonl", text.data);
    assert_int_equal (runs_read (runs, "huge", RUNS_METRICS, first, &w), 0);
    assert_true (w.text.size == 0 && w.more && !w.again);
    assert_int_equal (runs_read (runs, "huge", RUNS_METRICS, w.next, &w), 0);
    assert_true (!w.again && !w.more);
    assert_string_equal (w.text.data, STEP ("2"));
    buf_free (&w.text);
    buf_free (&text);
    put_in ("huge", "metrics.jsonl", NULL);
    runs_destroy (&runs);
}

/*  What a trainer is writing is no line yet, and one that went back begins the file anew. */
static void files_are_read_by_whole_lines (void **state)
{
    (void) state;
    window_t w;
    put_in ("lines", "metrics.jsonl", "{\"a\":1}\n{\"b\":2}\n{\"half");
    runs_t *runs = runs_new (dir);
    runs_look (runs);
    assert_int_equal (runs_read (runs, "lines", RUNS_METRICS, 0, &w), 0);
    assert_string_equal (w.text.data, "{\"a\":1}\n{\"b\":2}\n");
    assert_true (w.next == 16 && !w.again);
    buf_free (&w.text);
    assert_int_equal (runs_read (runs, "lines", RUNS_METRICS, 16, &w), 0);
    assert_true (w.text.size == 0 && w.next == 16 && !w.more && !w.again);
    buf_free (&w.text);
    put_in ("lines", "metrics.jsonl", "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n");
    assert_int_equal (runs_read (runs, "lines", RUNS_METRICS, 8, &w), 0);
    assert_string_equal (w.text.data, "{\"b\":2}\n{\"c\":3}\n");
    buf_free (&w.text);
    static const uint64_t beside[] = {5, 1000, UINT64_MAX};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal (runs_read (runs, "lines", RUNS_METRICS, beside[i], &w), 0);
        assert_true (w.again && w.from == 0 && w.next == 24 && w.text.size == 24);
        buf_free (&w.text);
    }
    assert_int_equal (runs_read (runs, "../lines", RUNS_METRICS, 0, &w), -1);
    assert_int_equal (runs_read (runs, "lines", RUNS_EPISODES, 0, &w), -1);
    runs_destroy (&runs);
}

static void long_files_come_in_windows (void **state)
{
    (void) state;
    buf_t text = {0};
    window_t w;
    uint64_t at = 0;
    size_t windows = 0, size = 0;
    for (int i = 0; i < 60000; i++)
        buf_printf (&text,
                    "{\"event\":\"step\",\"step\":%d,\"reward_mean\":0.5,\"filler\":123456}\n", i);
    put_in ("long", "metrics.jsonl", text.data);
    runs_t *runs = runs_new (dir);
    runs_look (runs);
    do {
        assert_int_equal (runs_read (runs, "long", RUNS_METRICS, at, &w), 0);
        assert_true (w.text.size > 0 && w.text.size <= WINDOW_MAX && w.from == at);
        assert_int_equal (w.text.data[w.text.size - 1], '\n');
        assert_memory_equal (w.text.data, text.data + at, w.text.size);
        size += w.text.size;
        at = w.next;
        windows++;
        buf_free (&w.text);
    } while (w.more);
    assert_true (size == text.size && windows > 1);
    runs_destroy (&runs);
    buf_free (&text);
}

typedef struct {
    int64_t first, last;
    size_t steps, evaluations;
} sampled_t;

static void take_sampled (void *context, json_t *line)
{
    sampled_t *s = context;
    int64_t step = json_integer_value (json_object_get (line, "step"));
    if (strcmp (json_string_value (json_object_get (line, "event")), "eval") == 0) {
        s->evaluations++;
        return;
    }
    assert_true (!s->steps || step > s->last);
    s->first = s->steps++ ? s->first : step;
    s->last = step;
}

static runs_sample_t sample_of (runs_t *runs, int64_t first, int64_t last, sampled_t *found)
{
    *found = (sampled_t){.first = -1, .last = -1};
    runs_sample_t sample = {.first = first, .last = last, .each = take_sampled, .context = found};
    assert_int_equal (runs_sample (runs, "sampled", &sample), 0);
    return sample;
}

static void long_runs_are_sampled_and_their_parts_are_whole (void **state)
{
    (void) state;
    enum { STEPS = 20000 };
    buf_t text = {0};
    sampled_t found;
    for (int i = 1; i <= STEPS; i++) {
        buf_printf (&text, "{\"event\":\"step\",\"step\":%d,\"time_s\":5.5,\"reward_mean\":0.5}\n",
                    i);
        if (i % 100 == 0)
            buf_printf (&text, "{\"event\": \"eval\", \"step\": %d, \"wall_s\": %d.5}\n", i, i);
    }
    put_in ("sampled", "metrics.jsonl", text.data);
    runs_t *runs = runs_new (dir);
    runs_look (runs);
    json_t *list = runs_json (runs);
    assert_true (value (named (list, "sampled"), "step") == STEPS);
    assert_true (value (named (list, "sampled"), "wall_s") == STEPS + 0.5);
    json_decref (list);
    runs_sample_t all = sample_of (runs, 0, INT64_MAX, &found);
    assert_true (all.every == 16 && all.next == text.size && !all.more);
    assert_true (found.first == 1 && found.last == STEPS && found.evaluations == STEPS / 100);
    assert_in_range (found.steps, PLACES_MAX / 2, PLACES_MAX + 1);
    static const struct {
        int64_t first, last;
        size_t steps, evaluations;
    } parts[] = {{5, 5, 1, 0},          {1, 1900, 1900, 19},  {7003, 7999, 997, 9},
                 {19990, 30000, 11, 1}, {30000, 40000, 0, 0}, {9, 3, 0, 0}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        runs_sample_t part = sample_of (runs, parts[i].first, parts[i].last, &found);
        if (part.every != 1 || found.steps != parts[i].steps ||
            found.evaluations != parts[i].evaluations)
            fail_msg ("%zu: every %d, %zu and %zu", i, (int) part.every, found.steps,
                      found.evaluations);
    }
    /* It goes on, and back. */
    buf_printf (&text, STEP ("20001"));
    put_in ("sampled", "metrics.jsonl", text.data);
    sample_of (runs, 0, INT64_MAX, &found);
    assert_true (found.last == 20001);
    put_in ("sampled", "metrics.jsonl", STEP ("1") STEP ("2"));
    all = sample_of (runs, 0, INT64_MAX, &found);
    assert_true (all.every == 1 && found.steps == 2 && found.last == 2 && found.evaluations == 0);
    put_in ("sampled", "metrics.jsonl", NULL);
    buf_free (&text);
    runs_destroy (&runs);
}

static wire_event_t event_of (wire_event_kind_t kind, const char *run, const char *text)
{
    return (wire_event_t){
        .kind = kind, .run = run, .text = text, .doing = "", .host = "", .service = "trainer"};
}

/*  Without its folder a run is shown by what it tells, in lines such as its trainer writes. */
static void a_run_on_the_bus_alone_is_known_by_its_events (void **state)
{
    (void) state;
    window_t w;
    runs_t *runs = runs_new (NULL);
    const wire_part_t metrics[] = {{"reward_mean", 0.25}, {"eta_s", 90}};
    wire_event_t opened =
        event_of (WIRE_RUN_OPENED, "far", "{\"folder\":\"/elsewhere/far\",\"roles\":[\"a\"]}");
    wire_event_t done = event_of (WIRE_STEP_DONE, "far", "");
    wire_event_t shown = event_of (WIRE_EPISODE_SHOWN, "far", "{\"step\":1,\"turns\":[]}");
    done.step = 1;
    done.metrics = metrics;
    done.metrics_n = 2;
    runs_note (runs, &opened);
    runs_note (runs, &done);
    runs_note (runs, &shown);
    json_t *list = runs_json (runs), *far = named (list, "far");
    assert_true (json_is_true (json_object_get (far, "live")));
    assert_true (value (far, "step") == 1 && value (far, "eta_s") == 90);
    assert_int_equal (runs_read (runs, "far", RUNS_METRICS, 0, &w), 0);
    json_t *line = json_loads (w.text.data, 0, NULL);
    assert_true (value (line, "reward_mean") == 0.25 && !json_object_get (line, "eta_s"));
    json_decref (line);
    buf_free (&w.text);
    assert_int_equal (runs_read (runs, "far", RUNS_EPISODES, 0, &w), 0);
    assert_string_equal (w.text.data, "{\"step\":1,\"turns\":[]}\n");
    buf_free (&w.text);
    json_decref (list);
    sampled_t found = {.last = -1};
    runs_sample_t sample = {.last = INT64_MAX, .each = take_sampled, .context = &found};
    assert_int_equal (runs_sample (runs, "far", &sample), 0);
    assert_true (found.steps == 1 && found.last == 1 && sample.every == 1 && sample.next > 0);
    assert_int_equal (runs_sample (runs, "nobody", &sample), -1);
    clock_forward (120000);
    list = runs_json (runs);
    far = named (list, "far");
    assert_true (json_is_false (json_object_get (far, "live")));
    assert_string_equal (json_string_value (json_object_get (far, "state")), "silent");
    json_decref (list);
    /* However many runs pass by, a few are kept. */
    for (int i = 0; i < 3 * RUNS_BUS; i++) {
        char name[16];
        snprintf (name, sizeof name, "r%d", i);
        wire_event_t one = event_of (WIRE_RUN_STATE, name, "x");
        runs_note (runs, &one);
    }
    list = runs_json (runs);
    assert_int_equal (json_array_size (list), RUNS_BUS);
    json_decref (list);
    runs_destroy (&runs);
}

/*  One that was killed tells again what came after its last checkpoint. */
static void a_run_on_the_bus_goes_back (void **state)
{
    (void) state;
    sampled_t found;
    window_t w;
    runs_t *runs = runs_new (NULL);
    wire_event_t done = event_of (WIRE_STEP_DONE, "sampled", ""),
                 shown = event_of (WIRE_EPISODE_SHOWN, "sampled", ""),
                 opened = event_of (WIRE_RUN_OPENED, "sampled", "{\"folder\":\"/elsewhere\"}");
    char text[32];
    for (int start = 0; start < 2; start++) {
        opened.step = start ? 5 : 0;
        runs_note (runs, &opened);
        for (done.step = opened.step + 1; done.step <= 9; done.step++) {
            snprintf (text, sizeof text, "{\"step\":%d}", (int) done.step);
            shown.text = text;
            runs_note (runs, &done);
            runs_note (runs, &shown);
        }
        /* Who has read all so far begins anew. */
        static uint64_t next;
        assert_int_equal (runs_read (runs, "sampled", RUNS_METRICS, next, &w), 0);
        assert_true (w.again == (start == 1) && !w.more);
        next = w.next;
        buf_free (&w.text);
        sample_of (runs, 0, INT64_MAX, &found); /* none comes twice */
        assert_true (found.steps == 9 && found.last == 9);
        assert_int_equal (runs_read (runs, "sampled", RUNS_EPISODES, 0, &w), 0);
        size_t lines = 0;
        for (window_line_t l = {0}; window_line (&w, &l);)
            lines = l.number;
        assert_int_equal (lines, 9);
        buf_free (&w.text);
    }
    runs_destroy (&runs);
}

/*  The trainer calls the folder otherwise, as it does in a container. */
static void events_go_to_the_folder_of_their_run (void **state)
{
    (void) state;
    put_in ("both", "metrics.jsonl", STEP ("2"));
    runs_t *runs = runs_new (dir);
    runs_look (runs);
    wire_event_t early = event_of (WIRE_RUN_STATE, "id-of-both", "x"),
                 opened = event_of (WIRE_RUN_OPENED, "id-of-both", "{\"folder\":\"/runs/both\"}"),
                 note = event_of (WIRE_RUN_NOTE, "id-of-both", "look here");
    runs_note (runs, &early);
    runs_note (runs, &opened);
    runs_note (runs, &note);
    /* A folder that comes later, when the first numbers are written, and then another one. */
    wire_event_t first = event_of (WIRE_RUN_OPENED, "next", "{\"folder\":\"/runs/late\"}"),
                 second = event_of (WIRE_RUN_OPENED, "next", "{\"folder\":\"/runs/late-2\"}");
    runs_note (runs, &first);
    put_in ("late", "metrics.jsonl", STEP ("1"));
    runs_look (runs);
    json_t *later = runs_json (runs);
    assert_true (json_is_true (json_object_get (named (later, "late"), "live")));
    assert_null (named (later, "next"));
    json_decref (later);
    runs_note (runs, &second);
    put_in ("late-2", "metrics.jsonl", STEP ("1"));
    runs_look (runs);
    later = runs_json (runs);
    assert_true (json_is_false (json_object_get (named (later, "late"), "live")));
    assert_true (json_is_true (json_object_get (named (later, "late-2"), "live")));
    assert_null (named (later, "next"));
    json_decref (later);
    json_t *list = runs_json (runs), *both = named (list, "both");
    assert_null (named (list, "id-of-both"));
    assert_string_equal (json_string_value (json_object_get (both, "note")), "look here");
    assert_true (json_is_true (json_object_get (both, "live")));
    json_decref (list);
    runs_destroy (&runs);
}

static void a_tail_is_bounded (void **state)
{
    (void) state;
    tail_t tail = {.max = 100};
    char line[64];
    for (int i = 0; i < 1000; i++) {
        snprintf (line, sizeof line, "line %d", i);
        tail_add (&tail, line);
        assert_true (tail.size <= 100);
    }
    assert_true (tail.size >= 40);
    assert_memory_equal (tail.data + tail.size - 9, "line 999\n", 9);
    assert_true (tail.data[0] == 'l' && tail.first + tail.size == 10 * 7 + 90 * 8 + 900 * 9);
    char long_one[200];
    memset (long_one, 'x', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = 0;
    tail_add (&tail, long_one);
    assert_memory_equal (tail.data + tail.size - 9, "line 999\n", 9);
    tail_free (&tail);
}

/*  ---- services ------------------------------------------------------------------------------- */

static void tell (tally_t *tally, const char *name, uint64_t pid, double served, double waiting)
{
    const wire_part_t metrics[] = {{"served", served},    {"requests_waiting", waiting},
                                   {"took_ms/1", served}, {"took_s", served / 1000},
                                   {"rss_bytes", 1e6},    {"nobody knows", 1}};
    wire_event_t e = {.kind = WIRE_SERVICE_STATUS,
                      .run = "",
                      .text = name,
                      .service = "agent",
                      .pid = pid,
                      .metrics = metrics,
                      .metrics_n = sizeof metrics / sizeof *metrics};
    tally_note (tally, &e);
}

static void has (tally_t *tally, const char *line)
{
    buf_t out = {0};
    tally_print (tally, &out);
    if (!strstr (out.data, line))
        fail_msg ("no '%s' in\n%s", line, out.data);
    buf_free (&out);
}

static void counters_only_grow (void **state)
{
    (void) state;
    tally_t *tally = tally_new ();
    tell (tally, "one", 1, 10, 2);
    tell (tally, "two", 2, 100, 3);
    tell (tally, "one", 1, 15, 2);
    has (tally, "\nquintet_service_requests_served_total{service=\"agent\"} 115\n");
    has (tally, "\nquintet_agent_requests_waiting 5\n");
    has (tally, "\nquintet_service_instances{service=\"agent\"} 2\n");
    tell (tally, "two", 9, 4, 0); /* another process: it counts from 0 */
    has (tally, "\nquintet_service_requests_served_total{service=\"agent\"} 119\n");
    has (tally, "\nquintet_service_restarts_total{service=\"agent\"} 1\n");
    has (tally,
         "\nquintet_service_request_duration_seconds_bucket{service=\"agent\",le=\"0.0005\"} "
         "0\n");
    has (tally, "\nquintet_service_request_duration_seconds_bucket{service=\"agent\",le=\"0.001\"} "
                "119\n");
    has (tally, "\nquintet_service_request_duration_seconds_bucket{service=\"agent\",le=\"+Inf\"} "
                "119\n");
    has (tally, "\nquintet_service_request_duration_seconds_sum{service=\"agent\"} 0.119\n");
    clock_forward (TALLY_QUIET_MS + 1);
    has (tally, "\nquintet_service_silent{service=\"agent\"} 2\n");
    has (tally, "\nquintet_agent_requests_waiting 0\n");
    clock_forward (TALLY_GONE_MS);
    has (tally, "\nquintet_service_silent{service=\"agent\"} 0\n");
    has (tally, "\nquintet_service_requests_served_total{service=\"agent\"} 119\n");
    tally_destroy (&tally);
}

/*  ---- an hour -------------------------------------------------------------------------------- */

static size_t memory (void)
{
    struct mallinfo2 all = mallinfo2 ();
    return all.uordblks + all.hblkhd;
}

/*  Half a second of a run with eight services: statuses, and now and then a step and an episode. */
static void hear (runs_t *runs, tally_t *tally, rows_t *rows, int tick, const char *episode)
{
    static wire_part_t numbers[100];
    static char names[100][24];
    for (int i = 0; i < 100; i++) {
        snprintf (names[i], sizeof names[i], "number-%d", i);
        numbers[i] = (wire_part_t){names[i], tick + i / 7.0};
    }
    for (uint64_t s = 0; s < 8; s++) {
        char name[16];
        snprintf (name, sizeof name, "agent-%d", (int) s);
        /* One of them is started again every minute. */
        wire_event_t e = event_of (WIRE_SERVICE_STATUS, "", name);
        e.service = "agent";
        e.pid = s ? s : (uint64_t) tick / 120 + 100;
        e.metrics = numbers;
        e.metrics_n = 20;
        tally_note (tally, &e);
        rows_note (rows, &e);
    }
    wire_event_t e = event_of (tick % 2 ? WIRE_STEP_DONE : WIRE_EPISODE_SHOWN, "hour", "");
    e.text = tick % 2 ? "" : episode;
    e.step = (uint64_t) tick;
    e.metrics = numbers;
    e.metrics_n = tick % 2 ? 100 : 0;
    runs_note (runs, &e);
    rows_note (rows, &e);
    clock_forward (500);
}

static void an_hour_of_events_takes_no_more_memory (void **state)
{
    (void) state;
    static char episode[8000];
    static rows_t rows;
    runs_t *runs = runs_new (NULL);
    tally_t *tally = tally_new ();
    size_t before = memory (), most = 0;
    memset (episode, 'x', sizeof episode - 1);
    for (int tick = 0; tick < 2 * 3600; tick++) {
        hear (runs, tally, &rows, tick, episode);
        size_t now = memory ();
        most = now > most ? now : most;
    }
    /* Both files of the run are as long as they may be; the rest is less than five bytes for each
       of the events. */
    size_t room = 2 * RUNS_KEPT + (256 << 10);
    if (most > before + room)
        fail_msg ("%zu bytes, of %zu", most - before, room);
    window_t w;
    assert_int_equal (runs_read (runs, "hour", RUNS_EPISODES, 0, &w), 0);
    assert_true (w.again && w.text.size > 0);
    buf_free (&w.text);
    rows_free (&rows);
    tally_destroy (&tally);
    runs_destroy (&runs);
}

static void labels_are_escaped (void **state)
{
    (void) state;
    buf_t out = {0};
    prom_sample (&out, "m", (prom_label_t[]){{"run", "a\"b\\c\nd\xff"}, {0}}, 1.5);
    assert_string_equal (out.data, "m{run=\"a\\\"b\\\\c d\xef\xbf\xbd\"} 1.5\n");
    buf_free (&out);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (runs_are_found_in_folders_of_folders),
        cmocka_unit_test (a_folder_may_have_any_name),
        cmocka_unit_test (a_line_that_is_none_hides_no_other),
        cmocka_unit_test (a_line_that_is_too_long_is_passed_over),
        cmocka_unit_test (files_are_read_by_whole_lines),
        cmocka_unit_test (long_files_come_in_windows),
        cmocka_unit_test (long_runs_are_sampled_and_their_parts_are_whole),
        cmocka_unit_test (a_run_on_the_bus_alone_is_known_by_its_events),
        cmocka_unit_test (a_run_on_the_bus_goes_back),
        cmocka_unit_test (events_go_to_the_folder_of_their_run),
        cmocka_unit_test (a_tail_is_bounded),
        cmocka_unit_test (counters_only_grow),
        cmocka_unit_test (an_hour_of_events_takes_no_more_memory),
        cmocka_unit_test (labels_are_escaped),
    };
    return cmocka_run_group_tests (tests, make_dir, remove_dir);
}

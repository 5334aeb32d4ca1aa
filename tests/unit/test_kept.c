/* with: services/bus/kept.c */
/*  What the bus keeps of events: which of them, in which order, and never more than it may. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../services/bus/kept.h"
#include "base/buf.h"

static void add (kept_t *kept, const char *topic, const char *payload)
{
    char frame[512];
    int n = snprintf (frame, sizeof frame, "%s%c%s", topic, 0, payload);
    kept_add (kept, frame, (size_t) n, strlen (topic));
}

/*  A kept_give: "TOPIC=PAYLOAD " of each. */
static bool note (void *context, const void *frame, size_t size)
{
    const char *topic = frame;
    size_t n = strlen (topic);
    buf_printf (context, "%s=%.*s ", topic, (int) (size - n - 1), topic + n + 1);
    return true;
}

static bool count (void *context, const void *frame, size_t size)
{
    (void) frame;
    (void) size;
    ++*(size_t *) context;
    return true;
}

static void gives (const kept_t *kept, const char *prefix, size_t last, const char *wanted)
{
    buf_t out = {0};
    buf_text (&out, "");
    kept_give (kept, slice_of (prefix), last, note, &out);
    assert_string_equal (out.data ? out.data : "", wanted);
    buf_free (&out);
}

static size_t held (const kept_t *kept, const char *prefix)
{
    size_t n = 0;
    kept_give (kept, slice_of (prefix), SIZE_MAX, count, &n);
    return n;
}

static void the_last_come_oldest_first (void **state)
{
    (void) state;
    kept_t *kept = kept_new ();
    add (kept, "a/x", "1");
    add (kept, "b/x", "2");
    add (kept, "a/x", "3");
    add (kept, "a/run.state", "4");
    add (kept, "a/x", "5");
    add (kept, "a/run.state", "6");
    gives (kept, "", 0, "a/run.state=6 ");
    gives (kept, "a/", 1, "a/x=5 a/run.state=6 ");
    gives (kept, "", 2, "b/x=2 a/x=3 a/run.state=4 a/x=5 a/run.state=6 ");
    gives (kept, "a/x/", 9, "");
    gives (kept, "c", 9, "");
    add (kept, "a/run.opened", "7");
    gives (kept, "", 9, "b/x=2 a/run.opened=7 ");
    kept_destroy (&kept);
    assert_null (kept);
}

static void a_topic_has_so_many_and_no_more (void **state)
{
    (void) state;
    kept_t *kept = kept_new ();
    for (int i = 0; i < KEPT_EACH + 5; i++)
        add (kept, "a/x", i == 5 ? "first" : "then");
    size_t n = 0;
    kept_give (kept, slice_of (""), SIZE_MAX, count, &n);
    assert_int_equal (n, KEPT_EACH);
    buf_t out = {0};
    kept_give (kept, slice_of (""), SIZE_MAX, note, &out);
    assert_memory_equal (out.data, "a/x=first a/x=then ", 19);
    buf_free (&out);
    kept_destroy (&kept);
}

/*  Who talks much pushes out its own words. */
static void a_flood_leaves_the_seldom_ones (void **state)
{
    (void) state;
    static char frame[72 << 10];
    kept_t *kept = kept_new ();
    add (kept, "r/step.done", "1");
    add (kept, "r/run.state", "done");
    for (size_t i = 0; i < 2000; i++) {
        int n = snprintf (frame, sizeof frame, "flood/%zu", i % 8);
        kept_add (kept, frame, sizeof frame, (size_t) n);
        assert_true (kept_bytes (kept) <= KEPT_BYTES);
    }
    assert_true (kept_bytes (kept) > KEPT_BYTES - 2 * sizeof frame);
    assert_true (held (kept, "flood/") > 200);
    gives (kept, "r/", 9, "r/step.done=1 r/run.state=done ");
    kept_destroy (&kept);
}

static void of_many_topics_those_that_speak_stay (void **state)
{
    (void) state;
    kept_t *kept = kept_new ();
    char topic[32];
    add (kept, "r/run.state", "done");
    for (int i = 0; i < 4 * KEPT_TOPICS; i++) {
        add (kept, "a/alive", "x");
        snprintf (topic, sizeof topic, "t/%d", i);
        add (kept, topic, "x");
    }
    assert_int_equal (held (kept, "t/"), KEPT_TOPICS - 2);
    assert_int_equal (held (kept, "a/alive"), KEPT_EACH);
    gives (kept, "r/", 0, "r/run.state=done ");
    /* Of nothing but lasting ones the oldest goes. */
    for (int i = 0; i < KEPT_TOPICS; i++) {
        snprintf (topic, sizeof topic, "r%d/run.state", i);
        add (kept, topic, "x");
    }
    gives (kept, "r/", 0, "");
    assert_int_equal (held (kept, ""), KEPT_TOPICS);
    for (int i = 0; i < KEPT_TOPICS; i++) {
        snprintf (topic, sizeof topic, "r%d/run.state", i);
        for (int k = 0; k < 20; k++)
            add (kept, topic, "x");
    }
    assert_int_equal (held (kept, ""), KEPT_BURST);
    kept_destroy (&kept);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (the_last_come_oldest_first),
        cmocka_unit_test (a_topic_has_so_many_and_no_more),
        cmocka_unit_test (a_flood_leaves_the_seldom_ones),
        cmocka_unit_test (of_many_topics_those_that_speak_stay),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

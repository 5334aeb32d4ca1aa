/* with: services/cli/view/ */
/*  What the screen does while a run goes: what it says of it, and how it is drawn. */
#include "live_fixture.h"

/*  After a resize everything is drawn anew on a cleared screen. */
static void a_resize_leaves_no_fragments (void **state)
{
    (void) state;
    screen_t s = terminal (100, 40);
    live_t *live = begin (LIVE_SCREEN);
    step (live, "demo", 1, 0.5);
    live_draw (live);
    struct winsize size = {.ws_col = 60, .ws_row = 12};
    assert_int_equal (ioctl (1, TIOCSWINSZ, &size), 0);
    look (&s);
    now_ms += 1000;
    show (live, "a", "b");
    live_draw (live);
    const char *text = look (&s);
    assert_memory_equal (text, "\x1b[H\x1b[J", 6);
    assert_in_range (check_frame (text + 6, 60), 3, 11);
    now_ms += 1000;
    live_draw (live);
    assert_null (strstr (look (&s), "\x1b[H"));
    live_destroy (&live);
    restore (&s);
}

static void the_view_of_the_trainer_before_stays (void **state)
{
    (void) state;
    screen_t s = terminal (100, 40);
    live_t *live = begin (LIVE_SCREEN);
    live_parts (live, 1, 2);
    live_begin (live, "team", "demo", 9, 0);
    step (live, "demo", 9, 0.5);
    show (live, "a", "b");
    live_draw (live);
    look (&s);
    live_parts (live, 2, 2);
    live_begin (live, "solo", "demo-solo", 9, 0);
    const char *text = look (&s);
    holds (text, "team (1 of 2)");
    assert_null (strstr (text, "verdict")); /* for the last time without an episode */
    now_ms += 1000;
    live_draw (live);
    text = look (&s);
    assert_memory_equal (text, "\x1b[2K", 4); /* below it, not over it */
    holds (text, "solo (2 of 2)");
    holds (text, "now     loading");
    live_destroy (&live);
    restore (&s);
}

static void what_happens_now_is_said (void **state)
{
    (void) state;
    screen_t s = terminal (120, 40);
    live_t *live = begin (LIVE_SCREEN);
    wire_part_t busy[] = {{"service/reward", 1}, {"requests_waiting", 3}};
    wire_event_t reward = {
        .kind = WIRE_SERVICE_STATUS, .text = "reward-1", .metrics = busy, .metrics_n = 2};
    static const char *const states[] = {NULL,       "sampling",   NULL,
                                         "training", "publishing", "saving"};
    static const char *const wanted[] = {
        "now     loading\r",    "now     sampling ░░░░░░░░░░░░░░░░░░░░ 0 of 1 groups",
        "now     scoring ░",    "now     training\r",
        "now     publishing\r", "now     saving\r"};
    for (size_t i = 0; i < 6; i++) {
        if (i == 1)
            open_groups (live, WIRE_TRAIN, 1);
        else if (i == 2)
            live_event (live, &reward);
        if (states[i])
            live_event (live,
                        &(wire_event_t){.kind = WIRE_RUN_STATE, .run = "demo", .text = states[i]});
        now_ms += 1000;
        live_draw (live);
        holds (look (&s), wanted[i]);
    }
    live_destroy (&live);
    restore (&s);
}

/*  Steps that took 2 s each, after a long start and with an evaluation between: 6 are to come. */
static void the_time_left_is_that_of_the_last_steps (void **state)
{
    (void) state;
    screen_t s = terminal (120, 40);
    live_t *live = begin (LIVE_SCREEN);
    now_ms += 100000;
    open_groups (live, WIRE_TRAIN, 4);
    for (uint64_t k = 1; k <= 3; k++) {
        now_ms += 2000;
        step (live, "demo", k, 0.5);
    }
    now_ms += 50000;
    evaluate (live);
    live_draw (live);
    holds (look (&s), "about 12 s left");
    wire_part_t eta = {"eta_s", 77};
    live_event (live, &(wire_event_t){.kind = WIRE_STEP_DONE,
                                      .run = "demo",
                                      .step = 4,
                                      .text = "",
                                      .metrics = &eta,
                                      .metrics_n = 1});
    now_ms += 7000;
    live_draw (live);
    holds (look (&s), "about 70 s left"); /* as the trainer says */
    live_destroy (&live);
    restore (&s);
}

/*  Eight steps of the file are known, two of which will be done again. */
static void a_run_that_goes_on_shows_its_past (void **state)
{
    (void) state;
    screen_t s = terminal (120, 40);
    live_t *live = begin (LIVE_SCREEN);
    live_begin (live, "team", "demo", 9, 6);
    for (int i = 1; i <= 8; i++) {
        json_t *line = json_pack ("{s:s, s:i, s:f, s:f}", "event", "step", "step", i, "reward_mean",
                                  i <= 6 ? i / 8.0 : 9.0, "loss", 0.125);
        live_past (live, line);
        json_decref (line);
    }
    json_t *line = json_pack ("{s:s, s:i, s:f, s:f}", "event", "eval", "step", 5, "sampled", 0.75,
                              "greedy", 0.5);
    live_past (live, line);
    json_decref (line);
    live_draw (live);
    const char *text = look (&s);
    holds (text, "step 6 of 9");
    holds (text, "now     loading");
    holds (text, "0.750  ▁▂▄▅▇█\r");
    holds (text, "pass rate 0.750 sampled, 0.500 greedy, after step 5");
    holds (text, "loss 0.125");
    step (live, "demo", 7, 0.125);
    now_ms += 1000;
    live_draw (live);
    holds (look (&s), "0.125  ▁▂▄▅▇█▁\r");
    live_destroy (&live);
    restore (&s);
}

static void colours_are_for_those_who_want_them (void **state)
{
    (void) state;
    for (int asked = 0; asked < 3; asked++) {
        screen_t s = terminal (100, 40);
        if (asked == 2)
            setenv ("NO_COLOR", "1", 1);
        style_choose (true, asked == 1);
        live_t *live = begin (LIVE_SCREEN);
        step (live, "demo", 1, 0.5);
        show (live, "a", "b");
        live_draw (live);
        live_destroy (&live);
        const char *text = look (&s);
        if (asked == 0)
            holds (text, "\x1b[31m3 of 5 tests\x1b[0m");
        else
            assert_null (strstr (text, "\x1b[31m"));
        check_frame (text, 100);
        restore (&s);
    }
    unsetenv ("NO_COLOR");
    style_choose (false, false);
}

static void what_is_cut_ends_with_an_ellipsis (void **state)
{
    (void) state;
    screen_t s = terminal (60, 40);
    live_t *live = begin (LIVE_SCREEN);
    char words[200];
    memset (words, 'x', sizeof words - 1);
    words[sizeof words - 1] = 0;
    show (live, words, "short");
    live_draw (live);
    live_destroy (&live);
    const char *text = look (&s);
    holds (text, "xxx…\r\n");
    holds (text, "short\r\n");
    check_frame (text, 60);
    restore (&s);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (a_resize_leaves_no_fragments),
        cmocka_unit_test (the_view_of_the_trainer_before_stays),
        cmocka_unit_test (what_happens_now_is_said),
        cmocka_unit_test (the_time_left_is_that_of_the_last_steps),
        cmocka_unit_test (a_run_that_goes_on_shows_its_past),
        cmocka_unit_test (colours_are_for_those_who_want_them),
        cmocka_unit_test (what_is_cut_ends_with_an_ellipsis),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

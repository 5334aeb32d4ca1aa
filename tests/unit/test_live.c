/* with: services/cli/view/ */
/*  What people see of a run: read back from a terminal of a given size, from a file, as JSON. */
#include "live_fixture.h"

static void commit (live_t *live, wire_phase_t phase)
{
    live_event (live, &(wire_event_t){
                          .kind = WIRE_GROUP_COMMITTED, .run = "demo", .phase = phase, .text = ""});
}

static screen_t file (void)
{
    char path[] = "/tmp/quintet-live-XXXXXX";
    int fd = mkstemp (path);
    screen_t s = {.shown = open (path, O_RDONLY)};
    assert_true (fd >= 0 && s.shown >= 0);
    unlink (path);
    divert (&s, fd);
    return s;
}

static void in_trouble (live_t *live, const char *text)
{
    live_event (live, &(wire_event_t){.kind = WIRE_GROUP_TROUBLE, .run = "demo", .text = text});
}

static void tell (live_t *live, const char *agent, double version)
{
    wire_part_t metrics[] = {
        {"service/agent", 1}, {"version/demo/main", version}, {"tokens_per_s", 3500}};
    live_event (live, &(wire_event_t){.kind = WIRE_SERVICE_STATUS,
                                      .run = "",
                                      .text = agent,
                                      .metrics = metrics,
                                      .metrics_n = 3});
}

/*  ---- tests ---------------------------------------------------------------------------------- */

static void the_screen_tells_everything (void **state)
{
    (void) state;
    screen_t s = terminal (120, 40);
    live_t *live = begin (LIVE_SCREEN);
    for (uint64_t k = 1; k <= 3; k++) {
        now_ms += 2000;
        step (live, "demo", k, 0.2 * (double) k);
    }
    step (live, "other", 8, 0.123456); /* another run's */
    evaluate (live);
    tell (live, "agent-10", 3);
    tell (live, "agent-2", 2);
    tell (live, "agent-1", 3);
    open_groups (live, WIRE_TRAIN, 4);
    commit (live, WIRE_TRAIN);
    show (live, "def aux(xs):\n    return xs", "def main(xs):\n    return sum(aux(xs))");
    live_draw (live);
    live_destroy (&live);
    const char *text = look (&s);
    static const char *const wanted[] = {"step 3 of 9  6 s, about 12 s left",
                                         "reward  0.600  ▁▄█",
                                         "quality 0.75",
                                         "speed 0.50",
                                         "cost 0.25",
                                         "pass rate 0.62",
                                         "12.3k/s sampled, 6.8k/s trained",
                                         "pass rate 0.875 sampled, 0.938 greedy, after step 3",
                                         "now     sampling █████░░░░░░░░░░░░░░░ 1 of 4 groups",
                                         "agents  3 agents, at version 3, 1 of them up to 1 behind",
                                         "task    Return the sum of xs.",
                                         "aux     def aux(xs):",
                                         "              return xs",
                                         "main    def main(xs):",
                                         "verdict 3 of 5 tests\r\n",
                                         "reward  0.50 = quality 0.60, speed 0.10, cost 0.20"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        holds (text, wanted[i]);
    check_frame (text, 120);
    assert_memory_equal (text, "\x1b[?25l", 6); /* the cursor goes, and comes back */
    assert_string_equal (text + strlen (text) - 6, "\x1b[?25h");
    restore (&s);
}

static void no_line_is_wider_than_the_terminal (void **state)
{
    (void) state;
    static const unsigned short widths[] = {21, 40, 61, 80, 200};
    char wide[2000] = "", narrow[2000] = "";
    for (size_t i = 0; i < 300; i++) {
        memcpy (wide + 3 * i, "漢", 4); /* two columns each */
        memcpy (narrow + i, "x", 2);
    }
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        screen_t s = terminal (widths[i], 40);
        live_t *live = begin (LIVE_SCREEN);
        for (uint64_t k = 1; k <= 100; k++)
            step (live, "demo", k, 1e6 * (double) (k % 7));
        evaluate (live);
        for (int a = 0; a < 16; a++)
            tell (live, wide + 3 * (280 + a), a);
        show (live, narrow, wide);
        live_draw (live);
        live_destroy (&live);
        assert_in_range (check_frame (look (&s), widths[i]), 8, 39);
        restore (&s);
    }
}

static void what_a_model_writes_is_no_command (void **state)
{
    (void) state;
    screen_t s = terminal (100, 40);
    live_t *live = begin (LIVE_SCREEN);
    step (live, "demo", 1, 0.5);
    show (live, "\x1b[2J\x1b]0;owned\x07\x1b[31mred",
          "\xc2\x9b"
          "5n\r\x08\x7f\xe2\x80\xae back");
    tell (live, "agent\x1b[2J", 1);
    live_event (live, &(wire_event_t){.kind = WIRE_RUN_STATE, .run = "demo", .text = "\x1b[H\x9b"});
    live_draw (live);
    live_destroy (&live);
    const char *text = look (&s);
    check_frame (text, 100);
    holds (text, "[31mred"); /* shown, not obeyed */
    restore (&s);
}

static void the_next_frame_is_drawn_over_the_last (void **state)
{
    (void) state;
    screen_t s = terminal (80, 40);
    live_t *live = begin (LIVE_SCREEN);
    step (live, "demo", 1, 0.5);
    live_draw (live);
    size_t lines = check_frame (look (&s), 80);
    live_draw (live); /* too soon */
    assert_string_equal (look (&s), "");
    now_ms += 1000;
    evaluate (live);
    live_draw (live);
    char up[16];
    snprintf (up, sizeof up, "\x1b[%zuA", lines);
    const char *text = look (&s);
    assert_memory_equal (text, up, strlen (up));
    assert_int_equal (check_frame (text, 80), lines + 1);
    live_leave (live); /* what is printed now goes below: the next frame begins there */
    assert_int_equal (check_frame (look (&s), 80), lines + 1);
    now_ms += 1000;
    live_draw (live);
    assert_memory_equal (look (&s), "\x1b[2K", 4);
    live_destroy (&live);
    restore (&s);
}

static void a_low_terminal_shows_no_episode (void **state)
{
    (void) state;
    screen_t s = terminal (80, 11);
    live_t *live = begin (LIVE_SCREEN);
    step (live, "demo", 1, 0.5);
    show (live, "a", "b");
    live_draw (live);
    live_destroy (&live);
    const char *text = look (&s);
    assert_null (strstr (text, "verdict"));
    assert_in_range (check_frame (text, 80), 3, 10);
    restore (&s);
}

/*  24 rows are full and no more: what is drawn over must not have scrolled away. */
static void a_usual_terminal_shows_all_and_is_not_overrun (void **state)
{
    (void) state;
    screen_t s = terminal (80, 24);
    live_t *live = begin (LIVE_SCREEN);
    for (uint64_t k = 1; k <= 9; k++)
        step (live, "demo", k, 0.1 * (double) k);
    evaluate (live);
    open_groups (live, WIRE_EVAL_SAMPLED, 10);
    commit (live, WIRE_EVAL_SAMPLED);
    open_groups (live, WIRE_EVAL_GREEDY, 10);
    commit (live, WIRE_EVAL_GREEDY);
    commit (live, WIRE_TRAIN); /* late, of the step before */
    tell (live, "agent-1", 9);
    in_trouble (live, "reward-1: scorer 'x' ended");
    show (live, "a\nb\nc\nd\ne\nf\ng\nh\ni", "k\nl\nm\nn\no\np\nq\nr\ns\nt");
    live_draw (live);
    live_destroy (&live);
    const char *text = look (&s);
    assert_in_range (check_frame (text, 80), 18, 23);
    holds (text, "evaluating ██░░░░░░░░░░░░░░░░░░ 2 of 20 groups");
    holds (text, "note    reward-1: scorer 'x' ended");
    holds (text, "verdict 3 of 5 tests\r\n");
    holds (text, "speed 0.10, cost 0.20\r\n");
    restore (&s);
}

static void what_is_waited_for_and_restarted_is_said (void **state)
{
    (void) state;
    screen_t s = file ();
    live_t *live = begin (LIVE_LINES);
    in_trouble (live, "reward-1: scorer 'x' ended");
    in_trouble (live, "reward-1: scorer 'x' ended");
    step (live, "demo", 1, 0.5);
    in_trouble (live, "reward-1: scorer 'x' ended");
    live_restart (live, "team", "was killed by signal 9", &(size_t){10});
    live_restart (live, "agent-1", "ended with status 1", NULL);
    live_begin (live, "solo", "demo-solo", 9, 4);
    live_destroy (&live);
    const char *text = look (&s);
    assert_int_equal (check_frame (text, 1000), 6);
    holds (text, "team  reward-1: scorer 'x' ended\n");
    holds (text, "team  trainer of the team was killed by signal 9; going on from step 10\n");
    holds (text, "team  agent-1 ended with status 1; it is started again\n");
    holds (text, "solo  goes on from step 4 of 9\n");
    restore (&s);
}

static void without_a_terminal_there_is_a_line_per_step (void **state)
{
    (void) state;
    screen_t s = file ();
    live_t *live = begin (LIVE_LINES);
    live_ready (live, 0.5, "ipc:///x/bus");
    now_ms += 4000;
    step (live, "demo", 1, 0.25);
    step (live, "other", 1, 0.5);
    evaluate (live);
    live_draw (live);
    live_destroy (&live);
    const char *text = look (&s);
    assert_int_equal (check_frame (text, 1000), 2);
    holds (text, "team step 1 of 9  4 s  reward 0.250 = quality 0.75, speed 0.50, cost 0.25");
    holds (text, "held-out tasks after step 3: pass rate 0.875 sampled, 0.938 greedy");
    assert_null (strchr (text, 0x1b));
    restore (&s);
}

static void notes_are_said_and_rates_may_be_missing (void **state)
{
    (void) state;
    wire_part_t metrics[] = {{"reward_mean", 0.5}};
    wire_event_t step_done = {.kind = WIRE_STEP_DONE,
                              .run = "demo",
                              .step = 1,
                              .text = "",
                              .metrics = metrics,
                              .metrics_n = 1};
    wire_event_t note = {
        .kind = WIRE_RUN_NOTE, .run = "demo", .step = 1, .text = "all groups have one reward"};
    static const live_mode_t modes[] = {LIVE_SCREEN, LIVE_LINES, LIVE_JSON};
    static const char *const rates[] = {"-/s sampled, -/s trained", "- tok/s sampled, - trained",
                                        "\"reward_mean\":0.5}"};
    static const char *const notes[] = {
        "note    all groups have one reward", "team  all groups have one reward\n",
        "{\"event\":\"note\",\"who\":\"team\",\"run\":\"demo\",\"step\":1,\"text\":\"all groups"};
    for (size_t i = 0; i < 3; i++) {
        screen_t s = modes[i] == LIVE_SCREEN ? terminal (100, 40) : file ();
        live_t *live = begin (modes[i]);
        live_event (live, &step_done);
        live_event (live, &note);
        now_ms += 1000;
        live_draw (live);
        live_destroy (&live);
        const char *text = look (&s);
        holds (text, rates[i]);
        holds (text, notes[i]);
        assert_null (strstr (text, "nan/s"));
        restore (&s);
    }
}

static void json_is_one_object_per_line (void **state)
{
    (void) state;
    screen_t s = file ();
    live_t *live = begin (LIVE_JSON);
    live_ready (live, 0.5, "ipc:///x/bus");
    step (live, "demo", 1, 0.25);
    evaluate (live);
    live_restart (live, "team", "was killed by signal 9", &(size_t){10});
    live_waits (live, "nobody");
    show (live, "a", "b");
    live_draw (live);
    live_destroy (&live);
    char *rest = strdup (look (&s)), *at = rest;
    static const char *const kinds[] = {"ready", "step", "eval", "restart", "waits"};
    assert_non_null (rest);
    for (size_t i = 0; i < 5; i++) {
        char *line = strsep (&at, "\n");
        json_t *object = json_loads (line, 0, NULL);
        assert_true (json_is_object (object));
        assert_string_equal (json_string_value (json_object_get (object, "event")), kinds[i]);
        if (i == 0)
            assert_string_equal (json_string_value (json_object_get (object, "bus")),
                                 "ipc:///x/bus");
        if (i == 2)
            assert_true (json_is_integer (json_object_get (object, "n")));
        if (i == 3)
            assert_int_equal (json_integer_value (json_object_get (object, "from_step")), 10);
        if (i == 1)
            assert_true (json_real_value (json_object_get (object, "reward_mean")) == 0.25);
        json_decref (object);
    }
    assert_string_equal (at, "");
    free (rest);
    restore (&s);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (the_screen_tells_everything),
        cmocka_unit_test (no_line_is_wider_than_the_terminal),
        cmocka_unit_test (what_a_model_writes_is_no_command),
        cmocka_unit_test (the_next_frame_is_drawn_over_the_last),
        cmocka_unit_test (a_low_terminal_shows_no_episode),
        cmocka_unit_test (a_usual_terminal_shows_all_and_is_not_overrun),
        cmocka_unit_test (what_is_waited_for_and_restarted_is_said),
        cmocka_unit_test (without_a_terminal_there_is_a_line_per_step),
        cmocka_unit_test (notes_are_said_and_rates_may_be_missing),
        cmocka_unit_test (json_is_one_object_per_line),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

/*  live - see live.h */
#include "live.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/printable.h"

#define CURVE      40 /* bars of the sparkline */
#define AGENTS_MAX 16
#define ROWS_MAX   7 /* of what one role wrote */
#define DRAW_MS    200

typedef struct {
    char name[64];
    double version;
    int64_t heard_ms;
} agent_t;

struct live {
    live_mode_t mode;
    char who[16], run[64], state[128];
    size_t steps;
    double begun_s; /* of this trainer */
    uint64_t step;
    double *rewards; /* of every step so far */
    size_t rewards_n;
    double reward;
    double quality, speed, cost, success, sampled_per_s, trained_per_s;
    double heldout_sampled, heldout_greedy;
    bool evaluated;
    size_t groups, committed;
    agent_t agents[AGENTS_MAX];
    size_t agents_n;
    json_t *episode;
    int64_t drawn_ms;
    size_t drawn_lines;
    buf_t out;
};

live_t *live_new (live_mode_t mode, err_t *err)
{
    live_t *live = calloc (1, sizeof *live);
    if (!live) {
        err_set (err, ERR_LIMIT, "no memory for the view");
        return NULL;
    }
    live->mode = mode;
    if (mode == LIVE_SCREEN) {
        fputs ("\x1b[?25l", stdout);
        fflush (stdout);
    }
    return live;
}

void live_leave (live_t *live)
{
    live->drawn_lines = 0;
}

void live_destroy (live_t **self)
{
    live_t *live = *self;
    if (!live)
        return;
    if (live->mode == LIVE_SCREEN) {
        fputs ("\x1b[?25h", stdout);
        fflush (stdout);
    }
    json_decref (live->episode);
    buf_free (&live->out);
    free (live->rewards);
    free (live);
    *self = NULL;
}

void live_begin (live_t *live, const char *who, const char *run, size_t steps)
{
    live_t fresh = {.mode = live->mode,
                    .steps = steps,
                    .begun_s = clock_s (),
                    .drawn_lines = live->drawn_lines,
                    .out = live->out};
    json_decref (live->episode);
    free (live->rewards);
    snprintf (fresh.who, sizeof fresh.who, "%s", who);
    snprintf (fresh.run, sizeof fresh.run, "%s", run);
    *live = fresh;
}

void live_ready (live_t *live, double seconds)
{
    if (live->mode == LIVE_JSON) {
        printf ("{\"event\":\"ready\",\"ready_s\":%.3f}\n", seconds);
        fflush (stdout);
    }
}

static double metric (const wire_event_t *e, const char *name)
{
    for (size_t i = 0; i < e->metrics_n; i++)
        if (strcmp (e->metrics[i].name, name) == 0)
            return e->metrics[i].value;
    return NAN;
}

static void print_json (const live_t *live, const char *kind, const wire_event_t *e)
{
    json_t *line = json_pack ("{s:s, s:s, s:s, s:I}", "event", kind, "who", live->who, "run",
                              live->run, "step", (json_int_t) e->step);
    for (size_t i = 0; i < e->metrics_n; i++)
        if (isfinite (e->metrics[i].value))
            json_object_set_new (line, e->metrics[i].name, json_real (e->metrics[i].value));
    char *text = json_dumps (line, JSON_COMPACT | JSON_REAL_PRECISION (9));
    if (text)
        puts (text);
    fflush (stdout);
    free (text);
    json_decref (line);
}

static void remember (live_t *live, double reward)
{
    size_t room = live->rewards_n + 1;
    double *grown = room & (room - 1) ? live->rewards : NULL;
    if (!grown) /* full at every power of two */
        grown = realloc (live->rewards, 2 * room * sizeof *grown);
    if (!grown)
        return;
    live->rewards = grown;
    live->rewards[live->rewards_n++] = reward;
}

static void on_step (live_t *live, const wire_event_t *e)
{
    live->step = e->step;
    live->reward = metric (e, "reward_mean");
    remember (live, live->reward);
    live->quality = metric (e, "quality_mean");
    live->speed = metric (e, "speed_mean");
    live->cost = metric (e, "cost_mean");
    live->success = metric (e, "success");
    live->sampled_per_s = metric (e, "sampled_tokens_per_s");
    live->trained_per_s = metric (e, "trained_tokens_per_s");
    live->committed = 0;
    if (live->mode == LIVE_JSON)
        print_json (live, "step", e);
    else if (live->mode == LIVE_LINES)
        printf ("%-4s step %llu of %zu  %.0f s  reward %.3f = quality %.2f, speed %.2f, cost %.2f"
                "  pass %.2f  path %.1f tokens  %.0f tokens/s sampled, %.0f trained\n",
                live->who, (unsigned long long) e->step, live->steps, clock_s () - live->begun_s,
                live->reward, live->quality, live->speed, live->cost, live->success,
                metric (e, "critical_path_tokens"), live->sampled_per_s, live->trained_per_s);
    fflush (stdout);
}

static void on_eval (live_t *live, const wire_event_t *e)
{
    live->evaluated = true;
    live->heldout_sampled = metric (e, "sampled");
    live->heldout_greedy = metric (e, "greedy");
    if (live->mode == LIVE_JSON)
        print_json (live, "eval", e);
    else if (live->mode == LIVE_LINES)
        printf ("%-4s held-out tasks after step %llu: pass rate %.3f sampled, %.3f greedy; quality "
                "%.3f, agreement %.3f\n",
                live->who, (unsigned long long) e->step, live->heldout_sampled,
                live->heldout_greedy, metric (e, "quality"), metric (e, "agreement"));
    fflush (stdout);
}

static void on_status (live_t *live, const wire_event_t *e)
{
    char wanted[96];
    size_t n = (size_t) snprintf (wanted, sizeof wanted, "version/%s/", live->run), i = 0;
    double version = -1;
    for (size_t m = 0; m < e->metrics_n; m++)
        if (strncmp (e->metrics[m].name, wanted, n) == 0)
            version = e->metrics[m].value;
    if (version < 0)
        return;
    while (i < live->agents_n && strcmp (live->agents[i].name, e->text) != 0)
        i++;
    if (i == AGENTS_MAX)
        return;
    live->agents_n += i == live->agents_n;
    snprintf (live->agents[i].name, sizeof live->agents[i].name, "%s", e->text);
    live->agents[i].version = version;
    live->agents[i].heard_ms = clock_ms ();
}

void live_event (live_t *live, const wire_event_t *e)
{
    if (e->kind == WIRE_SERVICE_STATUS) {
        on_status (live, e);
        return;
    }
    if (strcmp (e->run, live->run) != 0)
        return;
    if (e->kind == WIRE_STEP_DONE)
        on_step (live, e);
    else if (e->kind == WIRE_EVAL_DONE)
        on_eval (live, e);
    else if (e->kind == WIRE_RUN_STATE)
        snprintf (live->state, sizeof live->state, "%s", e->text);
    else if (e->kind == WIRE_STEP_OPENED) {
        live->groups = (size_t) fmax (metric (e, "groups"), 0);
        live->committed = 0;
    } else if (e->kind == WIRE_GROUP_COMMITTED) {
        live->committed++;
    } else if (e->kind == WIRE_EPISODE_SHOWN) {
        json_t *episode = json_loads (e->text, 0, NULL);
        if (episode) {
            json_decref (live->episode);
            live->episode = episode;
        }
    }
}

/*  ---- the screen --------------------------------------------------------------------------------------- */

/*  One line, cut to the width of the terminal: a label, and words of a model, a task or a peer. */
static void words_line (live_t *live, size_t width, size_t *lines, const char *label,
                        const char *words, size_t n)
{
    size_t left = strlen (label);
    left = left < width ? width - left : 0;
    buf_text (&live->out, "\x1b[2K");
    printable_cut (&live->out, label, strlen (label), width);
    printable_cut (&live->out, words, n, left);
    buf_text (&live->out, "\n");
    ++*lines;
}

static void line (live_t *live, size_t width, size_t *lines, const char *text)
{
    words_line (live, width, lines, "", text, strlen (text));
}

/*  The whole run in at most `width` bars, each the mean of as many steps. */
static void sparkline (const live_t *live, size_t width, buf_t *text)
{
    static const char *const shapes[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    size_t n = live->rewards_n, bars = n < width ? n : width;
    double mean[CURVE], low = INFINITY, high = -INFINITY;
    for (size_t b = 0; b < bars; b++) {
        size_t from = b * n / bars, to = (b + 1) * n / bars;
        mean[b] = 0;
        for (size_t i = from; i < to; i++)
            mean[b] += live->rewards[i] / (double) (to - from);
        low = fmin (low, mean[b]);
        high = fmax (high, mean[b]);
    }
    for (size_t b = 0; b < bars; b++) {
        double at = high > low ? (mean[b] - low) / (high - low) : 0.5;
        buf_text (text, shapes[at > 0 ? (size_t) (at * 7.99) : 0]);
    }
}

static void action_lines (live_t *live, size_t width, size_t *lines, const json_t *action)
{
    const char *role = json_string_value (json_object_get (action, "role"));
    const char *words = json_string_value (json_object_get (action, "text"));
    char label[64];
    snprintf (label, sizeof label, "  %-8.8s", role ? role : "");
    for (size_t row = 0; words && row < ROWS_MAX; row++) {
        size_t n = strcspn (words, "\n");
        words_line (live, width, lines, row ? "          " : label, words, n);
        if (!words[n])
            break;
        words += n + 1;
    }
}

static void episode_lines (live_t *live, size_t width, size_t *lines)
{
    const json_t *task = json_object_get (live->episode, "task"), *action;
    const json_t *reward = json_object_get (live->episode, "reward");
    const json_t *turns = json_object_get (live->episode, "turns");
    const json_t *actions = json_object_get (
        json_array_get (turns, json_array_size (turns) ? json_array_size (turns) - 1 : 0),
        "actions");
    const char *brief = json_string_value (json_object_get (task, "brief"));
    char text[512];
    size_t i;
    line (live, width, lines, "");
    words_line (live, width, lines, "  task    ", brief ? brief : "", brief ? strlen (brief) : 0);
    json_array_foreach (actions, i, action) action_lines (live, width, lines, action);
    const char *verdict = json_string_value (json_object_get (reward, "verdict"));
    snprintf (text, sizeof text,
              "  verdict %.200s   reward %.2f = quality %.2f, speed %.2f, cost %.2f",
              verdict ? verdict : "", json_number_value (json_object_get (reward, "reward")),
              json_number_value (json_object_get (reward, "quality")),
              json_number_value (json_object_get (reward, "speed")),
              json_number_value (json_object_get (reward, "cost")));
    line (live, width, lines, text);
}

static void status_lines (live_t *live, size_t width, size_t *lines)
{
    char text[512];
    double elapsed = clock_s () - live->begun_s;
    double left =
        live->step ? elapsed / (double) live->step * (double) (live->steps - live->step) : NAN;
    int n = snprintf (text, sizeof text, "%s  step %llu of %zu  %.0f s", live->who,
                      (unsigned long long) live->step, live->steps, elapsed);
    if (isfinite (left))
        n += snprintf (text + n, sizeof text - (size_t) n, ", about %.0f s left", left);
    snprintf (text + n, sizeof text - (size_t) n, "   %s", live->state);
    line (live, width, lines, text);
    if (live->rewards_n) {
        buf_t curve = {0};
        sparkline (live, width > 60 ? CURVE : CURVE / 2, &curve);
        snprintf (text, sizeof text, "  reward  %.3f  %s", live->reward,
                  curve.data ? curve.data : "");
        buf_free (&curve);
        line (live, width, lines, text);
        snprintf (text, sizeof text, "  quality %.2f   speed %.2f   cost %.2f   pass rate %.2f",
                  live->quality, live->speed, live->cost, live->success);
        line (live, width, lines, text);
        snprintf (text, sizeof text, "  tokens  %.0f/s sampled, %.0f/s trained",
                  live->sampled_per_s, live->trained_per_s);
        line (live, width, lines, text);
    }
    if (live->evaluated) {
        snprintf (text, sizeof text, "  held-out pass rate %.3f sampled, %.3f greedy",
                  live->heldout_sampled, live->heldout_greedy);
        line (live, width, lines, text);
    }
    n = snprintf (text, sizeof text, "  groups  %zu of %zu in flight   policy version %llu;",
                  live->groups > live->committed ? live->groups - live->committed : 0, live->groups,
                  (unsigned long long) live->step);
    for (size_t i = 0; i < live->agents_n && n < 400; i++)
        n += snprintf (text + n, sizeof text - (size_t) n, " %s has %.0f (lag %.0f)",
                       live->agents[i].name, live->agents[i].version,
                       fmax ((double) live->step - live->agents[i].version, 0));
    line (live, width, lines, text);
}

void live_draw (live_t *live)
{
    if (live->mode != LIVE_SCREEN || clock_ms () - live->drawn_ms < DRAW_MS)
        return;
    struct winsize size = {.ws_col = 80, .ws_row = 24};
    ioctl (1, TIOCGWINSZ, &size);
    size_t width = size.ws_col > 20 ? size.ws_col - 1u : 79, lines = 0;
    live->drawn_ms = clock_ms ();
    buf_clear (&live->out);
    if (live->drawn_lines)
        buf_printf (&live->out, "\x1b[%zuA", live->drawn_lines);
    status_lines (live, width, &lines);
    if (live->episode && size.ws_row > 20)
        episode_lines (live, width, &lines);
    buf_text (&live->out, "\x1b[J");
    fwrite (live->out.data, 1, live->out.size, stdout);
    fflush (stdout);
    live->drawn_lines = lines;
}

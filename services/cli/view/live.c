/*  live - see live.h
 *
 *  One struct holds what is known of the trainer that runs; events of the bus change it
 *  (live_event), and each of the three forms of output shows it in its way: the screen is drawn
 *  from it a few times a second, lines and JSON are printed when an event comes. Words of models,
 *  tasks and peers go through printable.h on their way to a terminal.
 */
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
#define NOTE_MS    20000 /* that a note stays */
#define ALIVE_MS   5000  /* since an agent's last status, of two a second */

typedef struct {
    char name[64];
    double version;
    int64_t seen_ms;
} agent_t;

struct live {
    live_mode_t mode;
    char who[16], run[64], state[128];
    size_t steps, from; /* all, and those that were done before */
    double begun_s;     /* of this trainer */
    uint64_t step;
    double *rewards; /* of every step since `from` */
    size_t rewards_n;
    double reward;
    double quality, speed, cost, success, sampled_per_s, trained_per_s;
    double heldout_sampled, heldout_greedy;
    bool evaluated;
    uint64_t evaluated_step;
    wire_phase_t phase; /* of the groups under way */
    size_t groups, committed;
    char note[256];
    int64_t note_until_ms;
    char waits[256]; /* said last */
    agent_t agents[AGENTS_MAX];
    size_t agents_n;
    json_t *episode;
    int64_t drawn_ms;
    size_t drawn_lines;
    buf_t out;
};

/*  The cursor is hidden while the screen is drawn; live_destroy brings it back. */
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

/*  {"event": kind, "who": ..., "run": ..., "step": ...}, without those that are not known yet. */
static json_t *live_object (const live_t *live, const char *kind)
{
    json_t *line = json_pack ("{s:s}", "event", kind);
    if (*live->who)
        json_object_update_new (line, json_pack ("{s:s, s:s}", "who", live->who, "run", live->run));
    return line;
}

static void live_put_object (json_t *line)
{
    char *text = json_dumps (line, JSON_COMPACT | JSON_REAL_PRECISION (9));
    if (text)
        puts (text);
    fflush (stdout);
    free (text);
    json_decref (line);
}

/*  Something worth saying once: on the screen it stays for NOTE_MS, without a screen it is a line.
 *  JSON has events of its own. */
static void live_note (live_t *live, const char *text)
{
    snprintf (live->note, sizeof live->note, "%s", text);
    live->note_until_ms = clock_ms () + NOTE_MS;
    /* Before the first trainer there is no screen yet: then a note is a line, too. */
    if (live->mode != LIVE_LINES && (live->mode != LIVE_SCREEN || *live->who))
        return;
    printf ("%s%s", live->who, *live->who ? "  " : "");
    printable_print (stdout, text, strlen (text), PRINTABLE_LINE);
    putchar ('\n');
    fflush (stdout);
}

void live_restart (live_t *live, const char *name, const char *why, const size_t *step)
{
    char text[256];
    int n = snprintf (text, sizeof text, "%s%s %s; ", step ? "trainer of the " : "", name, why);
    if (!step)
        snprintf (text + n, sizeof text - (size_t) n, "it is started again");
    else
        snprintf (text + n, sizeof text - (size_t) n, "going on from step %zu", *step);
    if (live->mode == LIVE_JSON) {
        json_t *line = live_object (live, "restart");
        json_object_update_new (
            line, json_pack ("{s:s, s:s}", "service", step ? "trainer" : name, "why", why));
        if (step)
            json_object_set_new (line, "from_step", json_integer ((json_int_t) *step));
        live_put_object (line);
    }
    live_note (live, text);
}

/*  The same text is said once and stays on the screen as long as it is repeated. */
void live_waits (live_t *live, const char *text)
{
    bool same = strncmp (live->waits, text, sizeof live->waits - 1) == 0;
    live->note_until_ms = same ? clock_ms () + NOTE_MS : live->note_until_ms;
    if (same)
        return;
    snprintf (live->waits, sizeof live->waits, "%s", text);
    if (live->mode == LIVE_JSON) {
        json_t *line = live_object (live, "waits");
        json_object_set_new (line, "text", json_string (text));
        live_put_object (line);
    }
    live_note (live, text);
}

/*  Everything of the trainer before is forgotten, but for what is on the screen. */
void live_begin (live_t *live, const char *who, const char *run, size_t steps, size_t from)
{
    live_t fresh = {.mode = live->mode,
                    .steps = steps,
                    .from = from,
                    .step = from,
                    .begun_s = clock_s (),
                    .drawn_lines = live->drawn_lines,
                    .out = live->out};
    json_decref (live->episode);
    free (live->rewards);
    snprintf (fresh.who, sizeof fresh.who, "%s", who);
    snprintf (fresh.run, sizeof fresh.run, "%s", run);
    *live = fresh;
    if (from && live->mode == LIVE_JSON) {
        json_t *line = live_object (live, "resume");
        json_object_set_new (line, "from_step", json_integer ((json_int_t) from));
        live_put_object (line);
    } else if (from) {
        char text[64];
        snprintf (text, sizeof text, "goes on from step %zu of %zu", from, steps);
        live_note (live, text);
    }
}

void live_ready (live_t *live, double seconds, const char *bus)
{
    if (live->mode == LIVE_JSON)
        live_put_object (
            json_pack ("{s:s, s:f, s:s}", "event", "ready", "ready_s", seconds, "bus", bus));
    live->waits[0] = 0;
}

/*  NAN where the event does not have it: printf writes "nan", JSON leaves it out. */
static double live_metric (const wire_event_t *e, const char *name)
{
    for (size_t i = 0; i < e->metrics_n; i++)
        if (strcmp (e->metrics[i].name, name) == 0)
            return e->metrics[i].value;
    return NAN;
}

/*  A rate, or a dash where the step has none: it was played before, or nothing was trained. */
static const char *live_rate (double value, char text[32])
{
    snprintf (text, 32, isfinite (value) ? "%.0f" : "-", value);
    return text;
}

/*  Whether a metric counts something, for all its steps and policies: JSON then gets a whole
 *  number. An evaluation's "tokens" are a mean, hence that name comes last and is left out
 *  there. */
static bool live_is_count (const char *name, wire_event_kind_t kind)
{
    static const char *const counts[] = {"n",
                                         "groups",
                                         "episodes",
                                         "completions",
                                         "dead_groups",
                                         "completion_tokens_max",
                                         "trained_tokens",
                                         "updates",
                                         "version",
                                         "staleness",
                                         "lag",
                                         "critic_used",
                                         "greedy_dead_groups",
                                         "tokens"};
    size_t n = sizeof counts / sizeof *counts - (kind != WIRE_STEP_DONE),
           size = strcspn (name, "/");
    for (size_t i = 0; i < n; i++)
        if (strlen (counts[i]) == size && strncmp (counts[i], name, size) == 0)
            return true;
    return false;
}

static void live_print_json (const live_t *live, const char *kind, const wire_event_t *e)
{
    json_t *line = live_object (live, kind);
    json_object_set_new (line, "step", json_integer ((json_int_t) e->step));
    for (size_t i = 0; i < e->metrics_n; i++) {
        double value = e->metrics[i].value;
        if (isfinite (value))
            json_object_set_new (line, e->metrics[i].name,
                                 live_is_count (e->metrics[i].name, e->kind)
                                     ? json_integer ((json_int_t) value)
                                     : json_real (value));
    }
    live_put_object (line);
}

/*  Keeps the mean reward of every step. A trainer that was started again does steps again: what it
 *  said of them before is dropped. */
static void live_remember (live_t *live, double reward)
{
    /* The step's own place; what stands there and behind it is of another life of the trainer. */
    size_t before = live->step > live->from ? (size_t) live->step - live->from - 1 : 0;
    live->rewards_n = live->rewards_n < before ? live->rewards_n : before;
    size_t room = live->rewards_n + 1;
    double *grown = room & (room - 1) ? live->rewards : NULL;
    if (!grown) /* full at every power of two */
        grown = realloc (live->rewards, 2 * room * sizeof *grown);
    if (!grown)
        return;
    live->rewards = grown;
    live->rewards[live->rewards_n++] = reward;
}

static void live_on_step (live_t *live, const wire_event_t *e)
{
    char sampled[32], trained[32];
    live->step = e->step;
    live->reward = live_metric (e, "reward_mean");
    live_remember (live, live->reward);
    live->quality = live_metric (e, "quality_mean");
    live->speed = live_metric (e, "speed_mean");
    live->cost = live_metric (e, "cost_mean");
    live->success = live_metric (e, "success");
    live->sampled_per_s = live_metric (e, "sampled_tokens_per_s");
    live->trained_per_s = live_metric (e, "trained_tokens_per_s");
    live->committed = 0;
    if (*live->waits) /* no more */
        live->note_until_ms = 0;
    live->waits[0] = 0;
    if (live->mode == LIVE_JSON)
        live_print_json (live, "step", e);
    else if (live->mode == LIVE_LINES)
        printf ("%-4s step %llu of %zu  %.0f s  reward %.3f = quality %.2f, speed %.2f, cost %.2f"
                "  pass %.2f  path %.1f tokens  %s tokens/s sampled, %s trained\n",
                live->who, (unsigned long long) e->step, live->steps, clock_s () - live->begun_s,
                live->reward, live->quality, live->speed, live->cost, live->success,
                live_metric (e, "critical_path_tokens"), live_rate (live->sampled_per_s, sampled),
                live_rate (live->trained_per_s, trained));
    fflush (stdout);
}

static void live_on_eval (live_t *live, const wire_event_t *e)
{
    live->evaluated = true;
    live->evaluated_step = e->step;
    live->waits[0] = 0;
    live->note_until_ms = 0;
    live->heldout_sampled = live_metric (e, "sampled");
    live->heldout_greedy = live_metric (e, "greedy");
    if (live->mode == LIVE_JSON)
        live_print_json (live, "eval", e);
    else if (live->mode == LIVE_LINES)
        printf ("%-4s held-out tasks after step %llu: pass rate %.3f sampled, %.3f greedy; quality "
                "%.3f, agreement %.3f\n",
                live->who, (unsigned long long) e->step, live->heldout_sampled,
                live->heldout_greedy, live_metric (e, "quality"), live_metric (e, "agreement"));
    fflush (stdout);
}

/*  Agents are kept sorted by name (agent-10 after agent-9), with the version of this run that each
 *  has. */
static void live_on_status (live_t *live, const wire_event_t *e)
{
    char wanted[96];
    size_t n = (size_t) snprintf (wanted, sizeof wanted, "version/%s/", live->run), i = 0;
    double version = -1;
    for (size_t m = 0; m < e->metrics_n; m++)
        if (strncmp (e->metrics[m].name, wanted, n) == 0)
            version = e->metrics[m].value;
    if (version < 0)
        return;
    while (i < live->agents_n && strverscmp (live->agents[i].name, e->text) < 0)
        i++;
    if (i == live->agents_n || strcmp (live->agents[i].name, e->text) != 0) {
        if (live->agents_n == AGENTS_MAX)
            return;
        memmove (&live->agents[i + 1], &live->agents[i],
                 (live->agents_n++ - i) * sizeof *live->agents);
    }
    snprintf (live->agents[i].name, sizeof live->agents[i].name, "%s", e->text);
    live->agents[i].version = version;
    live->agents[i].seen_ms = clock_ms ();
}

/*  Groups were opened. The two halves of an evaluation, sampled and greedy, are under way together
 *  and counted together. */
static void live_on_opened (live_t *live, const wire_event_t *e)
{
    bool more = e->phase == WIRE_EVAL_GREEDY && live->phase == WIRE_EVAL_SAMPLED;
    live->groups = (more ? live->groups : 0) + (size_t) fmax (live_metric (e, "groups"), 0);
    live->committed = more ? live->committed : 0;
    live->phase = e->phase;
}

/*  What the trainer wants people to know. */
static void live_on_note (live_t *live, const wire_event_t *e)
{
    if (live->mode == LIVE_JSON) {
        json_t *line = live_object (live, "note");
        json_object_update_new (
            line, json_pack ("{s:I, s:s}", "step", (json_int_t) e->step, "text", e->text));
        live_put_object (line);
    }
    live_note (live, e->text);
}

/*  Events of other runs are left out; service.status concerns all. */
void live_event (live_t *live, const wire_event_t *e)
{
    if (e->kind == WIRE_SERVICE_STATUS) {
        live_on_status (live, e);
        return;
    }
    if (strcmp (e->run, live->run) != 0)
        return;
    if (e->kind == WIRE_STEP_DONE)
        live_on_step (live, e);
    else if (e->kind == WIRE_EVAL_DONE)
        live_on_eval (live, e);
    else if (e->kind == WIRE_RUN_STATE)
        snprintf (live->state, sizeof live->state, "%s", e->text);
    else if (e->kind == WIRE_STEP_OPENED)
        live_on_opened (live, e);
    else if (e->kind == WIRE_GROUP_COMMITTED)
        live->committed += (e->phase == WIRE_TRAIN) == (live->phase == WIRE_TRAIN);
    else if (e->kind == WIRE_GROUP_TROUBLE)
        live_waits (live, e->text);
    else if (e->kind == WIRE_RUN_NOTE)
        live_on_note (live, e);
    else if (e->kind == WIRE_EPISODE_SHOWN) {
        json_t *episode = json_loads (e->text, 0, NULL);
        if (episode) {
            json_decref (live->episode);
            live->episode = episode;
        }
    }
}

/*  ---- the screen ----------------------------------------------------------------------------- */

/*  One line, cut to the width of the terminal: a label, and words of a model, a task or a peer. */
static void live_words_line (live_t *live, size_t width, size_t *lines, const char *label,
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

static void live_line (live_t *live, size_t width, size_t *lines, const char *text)
{
    live_words_line (live, width, lines, "", text, strlen (text));
}

/*  The whole run in at most `width` bars, each the mean of as many steps, between the lowest and
 *  the highest mean. */
static void live_sparkline (const live_t *live, size_t width, buf_t *text)
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

/*  What one role wrote, in at most `rows` lines, each cut to the screen. */
static void live_action_lines (live_t *live, size_t width, size_t rows, size_t *lines,
                               const json_t *action)
{
    const char *role = json_string_value (json_object_get (action, "role"));
    const char *words = json_string_value (json_object_get (action, "text"));
    char label[64];
    snprintf (label, sizeof label, "  %-8.8s", role ? role : "");
    for (size_t row = 0; words && row < rows; row++) {
        size_t n = strcspn (words, "\n");
        live_words_line (live, width, lines, row ? "          " : label, words, n);
        if (!words[n])
            break;
        words += n + 1;
    }
}

/*  An example of the step in at most `rows` lines: the task, what each role wrote in the last turn,
 *  the verdict. */
static void live_episode_lines (live_t *live, size_t width, size_t rows, size_t *lines)
{
    const json_t *task = json_object_get (live->episode, "task"), *action;
    const json_t *reward = json_object_get (live->episode, "reward");
    const json_t *turns = json_object_get (live->episode, "turns");
    const json_t *actions = json_object_get (
        json_array_get (turns, json_array_size (turns) ? json_array_size (turns) - 1 : 0),
        "actions");
    const char *brief = json_string_value (json_object_get (task, "brief"));
    const char *verdict = json_string_value (json_object_get (reward, "verdict"));
    size_t i, n = json_array_size (actions), each = rows > 4 && n ? (rows - 4) / n : 0;
    char text[128];
    live_line (live, width, lines, "");
    live_words_line (live, width, lines, "  task    ", brief ? brief : "",
                     brief ? strlen (brief) : 0);
    each = each < ROWS_MAX ? each : ROWS_MAX;
    json_array_foreach (actions, i, action)
        live_action_lines (live, width, each, lines, action);
    live_words_line (live, width, lines, "  verdict ", verdict ? verdict : "",
                     verdict ? strlen (verdict) : 0);
    snprintf (text, sizeof text, "  reward  %.2f = quality %.2f, speed %.2f, cost %.2f",
              json_number_value (json_object_get (reward, "reward")),
              json_number_value (json_object_get (reward, "quality")),
              json_number_value (json_object_get (reward, "speed")),
              json_number_value (json_object_get (reward, "cost")));
    live_line (live, width, lines, text);
}

/*  Agents whose status came lately, in the order of their names, and how far behind each is. */
static void live_agents_line (live_t *live, size_t width, size_t *lines)
{
    buf_t text = {0};
    for (size_t i = 0; i < live->agents_n; i++) {
        const agent_t *agent = &live->agents[i];
        double lag = (double) live->step - agent->version;
        if (clock_ms () - agent->seen_ms > ALIVE_MS)
            continue;
        buf_printf (&text, "%s%s has version %.0f", text.size ? ", " : "", agent->name,
                    agent->version);
        if (lag > 0)
            buf_printf (&text, " (%.0f behind)", lag);
    }
    if (text.size)
        live_words_line (live, width, lines, "  agents  ", text.data, text.size);
    buf_free (&text);
}

static void live_progress_lines (live_t *live, size_t width, size_t *lines)
{
    char text[256], sampled[32], trained[32];
    if (live->rewards_n) {
        buf_t curve = {0};
        live_sparkline (live, width > 60 ? CURVE : CURVE / 2, &curve);
        snprintf (text, sizeof text, "  reward  %.3f  %s", live->reward,
                  curve.data ? curve.data : "");
        buf_free (&curve);
        live_line (live, width, lines, text);
        snprintf (text, sizeof text, "  quality %.2f   speed %.2f   cost %.2f   pass rate %.2f",
                  live->quality, live->speed, live->cost, live->success);
        live_line (live, width, lines, text);
        snprintf (text, sizeof text, "  tokens  %s/s sampled, %s/s trained",
                  live_rate (live->sampled_per_s, sampled),
                  live_rate (live->trained_per_s, trained));
        live_line (live, width, lines, text);
    }
    if (!live->evaluated)
        return;
    snprintf (text, sizeof text, "  held-out pass rate %.3f sampled, %.3f greedy, after step %llu",
              live->heldout_sampled, live->heldout_greedy,
              (unsigned long long) live->evaluated_step);
    live_line (live, width, lines, text);
}

static void live_status_lines (live_t *live, size_t width, size_t *lines)
{
    char text[256];
    double elapsed = clock_s () - live->begun_s, done = (double) live->step - (double) live->from;
    /* The steps so far set the pace; evaluations between them are part of it. */
    double left = done > 0 ? elapsed / done * ((double) live->steps - (double) live->step) : NAN;
    int n = snprintf (text, sizeof text, "%s  step %llu of %zu  %.0f s", live->who,
                      (unsigned long long) live->step, live->steps, elapsed);
    if (isfinite (left))
        n += snprintf (text + n, sizeof text - (size_t) n, ", about %.0f s left", left);
    snprintf (text + n, sizeof text - (size_t) n, "   %s", live->state);
    live_line (live, width, lines, text);
    live_progress_lines (live, width, lines);
    size_t finished = live->committed < live->groups ? live->committed : live->groups;
    if (live->groups) {
        snprintf (text, sizeof text, "  groups  %zu of %zu %s", finished, live->groups,
                  live->phase == WIRE_TRAIN ? "played" : "evaluated");
        live_line (live, width, lines, text);
    }
    live_agents_line (live, width, lines);
    if (clock_ms () < live->note_until_ms)
        live_words_line (live, width, lines, "  note    ", live->note, strlen (live->note));
}

/*  The cursor goes up over what was drawn before and every line is written anew, each erased first;
 *  so the screen never flickers, and what stood above stays. Lines are cut to the terminal's width,
 *  since a line that wraps would break the count. */
void live_draw (live_t *live)
{
    if (live->mode != LIVE_SCREEN || !*live->who || clock_ms () - live->drawn_ms < DRAW_MS)
        return;
    struct winsize size = {.ws_col = 80, .ws_row = 24};
    ioctl (1, TIOCGWINSZ, &size);
    size_t width = size.ws_col > 20 ? size.ws_col - 1u : 79, lines = 0;
    live->drawn_ms = clock_ms ();
    buf_clear (&live->out);
    if (live->drawn_lines)
        buf_printf (&live->out, "\x1b[%zuA", live->drawn_lines);
    live_status_lines (live, width, &lines);
    if (live->episode && size.ws_row > 20 && size.ws_row > lines + 6)
        live_episode_lines (live, width, size.ws_row - lines - 1, &lines);
    buf_text (&live->out, "\x1b[J");
    fwrite (live->out.data, 1, live->out.size, stdout);
    fflush (stdout);
    live->drawn_lines = lines;
}

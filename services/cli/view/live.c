/*  live - see live.h
 *
 *  One struct (internal.h) holds what is known of the trainer that runs; events of the bus change
 *  it (live_event), and each of the three forms of output shows it in its way: the screen is drawn
 *  from it a few times a second (screen.c), lines and JSON are printed here when an event comes.
 *  Words of models, tasks and peers go through printable.h on their way to a terminal.
 */
#include "live.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/decimal.h"
#include "base/printable.h"
#include "watch/prompts.h"
#include "internal.h"
#include "style.h"

#define DRAW_MS          200
#define NOTE_MS          20000 /* that a note stays */
#define PAST_METRICS_MAX 512

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

/*  With no lines of ours above the cursor, whatever is drawn next begins below and leaves this view
 *  as it is. */
void live_leave (live_t *live)
{
    if (live->mode == LIVE_SCREEN && live->drawn_lines)
        screen_draw (live, true);
    live->drawn_lines = 0;
}

/*  Kept apart until live_begin: the trainer before is still in view, and its head says its own
 *  part. */
void live_parts (live_t *live, size_t part, size_t parts)
{
    live->next_part = part;
    live->next_parts = parts;
}

void live_destroy (live_t **self)
{
    live_t *live = *self;
    if (!live)
        return;
    /* The cursor comes back, however the run ended. */
    if (live->mode == LIVE_SCREEN) {
        fputs ("\x1b[?25h", stdout);
        fflush (stdout);
    }
    json_decref (live->episode);
    buf_free (&live->out);
    buf_free (&live->kept);
    free (live->rewards);
    free (live);
    *self = NULL;
}

/*  {"event": kind, "who": ..., "run": ...}, the last two once there is a trainer; callers add the
 *  rest. */
static json_t *live_object (const live_t *live, const char *kind)
{
    json_t *line = json_pack ("{s:s}", "event", kind);
    if (*live->who)
        json_object_update_new (line, json_pack ("{s:s, s:s}", "who", live->who, "run", live->run));
    return line;
}

/*  Takes over the object. Flushed at once, since a program may be waiting for the line behind a
 *  pipe. */
static void live_put_object (json_t *line)
{
    char *text = json_dumps (line, JSON_COMPACT | JSON_REAL_PRECISION (9));
    if (text)
        puts (text);
    fflush (stdout);
    free (text);
    json_decref (line);
}

/*  Every line begins with the time of day. */
static void live_clock (void)
{
    time_t now = time (NULL);
    struct tm parts;
    char text[16] = "";
    if (localtime_r (&now, &parts))
        strftime (text, sizeof text, "%H:%M:%S ", &parts);
    fputs (text, stdout);
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
    live_clock ();
    printf ("%s%s%s", live->who, *live->who ? "  " : "", style (STYLE_NOTE));
    printable_print (stdout, text, strlen (text), PRINTABLE_LINE);
    puts (style (STYLE_NONE));
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
    /* In JSON the note below prints nothing, so this object is all there is. */
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
    /* Only what fits was kept, and so only that is compared: a longer text would be said each
       time. */
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

/*  Everything of the trainer before is forgotten. Its last view stays on the screen, above. */
void live_begin (live_t *live, const char *who, const char *run, size_t steps, size_t from)
{
    live_leave (live);
    live_t fresh = {.mode = live->mode,
                    .part = live->next_part,
                    .parts = live->next_parts,
                    .steps = steps,
                    .from = from,
                    .first = from,
                    .step = from,
                    .begun_s = clock_s (),
                    .eta_s = NAN,
                    /* Services outlive a trainer, and the two buffers only change hands. */
                    .services = live->services,
                    .kept = live->kept,
                    .out = live->out};
    buf_clear (&fresh.kept);
    if (live->mode == LIVE_SCREEN && live->drawn_columns)
        /* After a resize the screen is cleared from the top, and this is what brings the view
           back. */
        buf_append (&fresh.kept, live->out.data, live->out.size);
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
    /* Everything answers: if the same is missing once more, it is said once more. */
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

/*  Whether a metric counts something, for all its steps and policies: JSON then gets a whole
 *  number. An evaluation's "tokens" are a mean, hence that name comes last and is left out
 *  there. */
static bool live_is_count (const char *name, wire_event_kind_t kind)
{
    static const char *const counts[] = {"n",
                                         "samples",
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
        /* JSON has no NAN: what was not measured has no key. */
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
    size_t before = live->step > live->first ? (size_t) live->step - live->first - 1 : 0;
    live->rewards_n = live->rewards_n < before ? live->rewards_n : before;
    size_t room = live->rewards_n + 1;
    double *grown = room & (room - 1) ? live->rewards : NULL;
    if (!grown) /* full at every power of two */
        grown = realloc (live->rewards, 2 * room * sizeof *grown);
    /* Without memory the curve misses a step; the run goes on. */
    if (!grown)
        return;
    live->rewards = grown;
    live->rewards[live->rewards_n++] = reward;
}

/*  The time of a step, from the end of the one before: the next ones take about as long. Steps
 *  that were done again, after a restart, took no time of their own. */
static void live_note_pace (live_t *live)
{
    double now = clock_s ();
    if (live->stepped_s > 0)
        live->pace_s[live->pace_n++ % LIVE_PACE] = now - live->stepped_s;
    live->stepped_s = now;
}

static int live_compare (const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

/*  What the trainer says, or else the median of the last steps for each that is to come: neither
 *  the start nor an evaluation counts as if it were a step. */
double live_left_s (const live_t *live)
{
    size_t n = live->pace_n < LIVE_PACE ? live->pace_n : LIVE_PACE;
    double sorted[LIVE_PACE], to_do = (double) live->steps - (double) live->step;
    /* Between two of its words the time that passed is taken off. */
    if (isfinite (live->eta_s))
        return fmax (live->eta_s - (clock_s () - live->eta_at_s), 0);
    if (!n)
        return NAN;
    memcpy (sorted, live->pace_s, sizeof sorted);
    qsort (sorted, n, sizeof *sorted, live_compare);
    return sorted[n / 2] * to_do;
}

void live_duration (double seconds, buf_t *out)
{
    long long s = (long long) (seconds + 0.5);
    if (s < 120)
        buf_printf (out, "%lld s", s);
    else if (s < 7200)
        buf_printf (out, "%lld min", (s + 30) / 60);
    else
        buf_printf (out, "%lld h %02lld min", s / 3600, s % 3600 / 60);
}

/*  The trainer's own word. While it waits for its groups, it cannot know what they wait for. Until
 *  it is heard of, it loads the model. */
const char *live_now (const live_t *live)
{
    if (!*live->state && !live->opened && live->stepped_s <= 0)
        return "loading";
    if (*live->state && strcmp (live->state, "sampling") != 0)
        return live->state;
    if (live->opened && live->phase != WIRE_TRAIN)
        return "evaluating";
    return services_are_scoring (&live->services) ? "scoring" : "sampling";
}

/*  Whether it waits for groups, of which it is known how many are done. */
bool live_waits_for_groups (const live_t *live)
{
    return live->opened && live->groups &&
           (!*live->state || strcmp (live->state, "sampling") == 0 ||
            strcmp (live->state, "evaluating") == 0);
}

/*  A metric of the update: with several policies, whose names end in "/POLICY", their mean. "clip"
 *  must not take "clip_cispo" along, so the name has to end where ours does. */
static double live_mean (const wire_event_t *e, const char *name)
{
    double sum = 0;
    size_t n = strlen (name), found = 0;
    for (size_t i = 0; i < e->metrics_n; i++) {
        const char *key = e->metrics[i].name;
        if (strncmp (key, name, n) == 0 && (key[n] == 0 || key[n] == '/')) {
            sum += e->metrics[i].value;
            found++;
        }
    }
    return found ? sum / (double) found : NAN;
}

/*  An event without it leaves the last word standing. */
static void live_note_eta (live_t *live, const wire_event_t *e)
{
    double eta = live_metric (e, "eta_s");
    if (!isfinite (eta))
        return;
    live->eta_s = eta;
    live->eta_at_s = clock_s ();
}

/*  A number, or a dash where it was not measured. */
void live_number (buf_t *out, const char *before, double value)
{
    buf_text (out, before);
    buf_text (out, isfinite (value) ? DECIMAL (value, 2) : "-");
}

/*  "  KL 0.012", nothing where it was not measured. */
static void live_add (buf_t *line, const char *label, const char *format, double value)
{
    if (!isfinite (value))
        return;
    buf_printf (line, "  %s ", label);
    buf_printf (line, format, value);
}

static void live_print_step (const live_t *live)
{
    buf_t line = {0};
    double left = live_left_s (live);
    buf_printf (&line, "%-4s step %llu of %zu  ", live->who, (unsigned long long) live->step,
                live->steps);
    live_duration (clock_s () - live->begun_s, &line);
    if (isfinite (left)) {
        buf_text (&line, ", ");
        live_duration (left, &line);
        buf_text (&line, " left");
    }
    buf_printf (&line, "  reward %s", DECIMAL (live->reward, 3));
    live_number (&line, " = quality ", live->quality);
    live_number (&line, ", speed ", live->speed);
    live_number (&line, ", cost ", live->cost);
    live_add (&line, "pass", "%.2f", live->success);
    live_add (&line, "path", "%.1f", live->path);
    live_add (&line, "loss", "%.3g", live->loss);
    live_add (&line, "KL", "%.3g", live->kl);
    live_add (&line, "entropy", "%.3f", live->entropy);
    live_add (&line, "zero-spread", "%.2f", live->zero_spread);
    buf_text (&line, "  ");
    services_count (live->sampled_per_s, &line);
    buf_text (&line, " tok/s sampled, ");
    services_count (live->trained_per_s, &line);
    buf_text (&line, " trained\n");
    live_clock ();
    fputs (line.data, stdout);
    buf_free (&line);
}

static void live_note_step (live_t *live, const wire_event_t *e)
{
    live->step = e->step;
    live->reward = live_metric (e, "reward_mean");
    live_remember (live, live->reward);
    live->quality = live_metric (e, "quality_mean");
    live->speed = live_metric (e, "speed_mean");
    live->cost = live_metric (e, "cost_mean");
    live->success = live_metric (e, "success");
    live->sampled_per_s = live_metric (e, "sampled_tokens_per_s");
    live->trained_per_s = live_metric (e, "trained_tokens_per_s");
    live->path = live_metric (e, "critical_path_tokens");
    live->zero_spread = live_metric (e, "zero_spread");
    live->truncated = live_metric (e, "truncated");
    live->completion_tokens = live_metric (e, "completion_tokens");
    live->lr = live_mean (e, "lr");
    /* Each policy has these for itself. */
    live->loss = live_mean (e, "loss");
    live->kl = live_mean (e, "kl");
    live->entropy = live_mean (e, "entropy");
    live->norm = live_mean (e, "gradient_norm");
    live->clip = live_mean (e, "clip");
}

static void live_on_step (live_t *live, const wire_event_t *e)
{
    live_note_step (live, e);
    live_note_pace (live);
    live_note_eta (live, e);
    /* Its groups are all in: until the next ones are opened there are none to count. */
    live->opened = false;
    live->committed = 0;
    if (*live->waits) /* no more */
        live->note_until_ms = 0;
    live->waits[0] = 0;
    if (live->mode == LIVE_JSON)
        live_print_json (live, "step", e);
    else if (live->mode == LIVE_LINES)
        live_print_step (live);
    fflush (stdout);
}

static void live_note_eval (live_t *live, const wire_event_t *e)
{
    live->evaluated = true;
    live->evaluated_step = e->step;
    live->heldout_sampled = live_metric (e, "sampled");
    live->heldout_greedy = live_metric (e, "greedy");
}

/*  Lines have the names of an event's metrics, so they are taken as such. */
void live_past (void *context, json_t *line)
{
    live_t *live = context;
    const char *event = json_string_value (json_object_get (line, "event")), *key;
    wire_part_t metrics[PAST_METRICS_MAX];
    wire_event_t e = {.metrics = metrics};
    json_t *value;
    e.step = (uint64_t) json_integer_value (json_object_get (line, "step"));
    if (!event || e.step > live->from)
        return;
    json_object_foreach (line, key, value)
        if (json_is_number (value) && e.metrics_n < PAST_METRICS_MAX)
            metrics[e.metrics_n++] =
                (wire_part_t){(char *) (uintptr_t) key, json_number_value (value)};
    if (strcmp (event, "eval") == 0)
        live_note_eval (live, &e);
    if (strcmp (event, "step") != 0 || !e.step)
        return;
    if (!live->rewards_n) /* where a curve begins is what the file begins with */
        live->first = (size_t) e.step - 1;
    live_note_step (live, &e);
    live->step = live->from;
}

/*  Whatever was waited for has come, as with a step. */
static void live_on_eval (live_t *live, const wire_event_t *e)
{
    live_note_eval (live, e);
    live->waits[0] = 0;
    live->note_until_ms = 0;
    live->opened = false;
    live->stepped_s = clock_s (); /* its time is none of a step */
    live_note_eta (live, e);
    if (live->mode == LIVE_JSON)
        live_print_json (live, "eval", e);
    else if (live->mode == LIVE_LINES) {
        live_clock ();
        printf ("%-4s held-out tasks after step %llu: ", live->who, (unsigned long long) e->step);
        /* A scorer of one's own need not say what a success is, nor an agreement. */
        if (!isnan (live->heldout_sampled))
            printf ("pass rate %s sampled, %s greedy; ", DECIMAL (live->heldout_sampled, 3),
                    DECIMAL (live->heldout_greedy, 3));
        /* Of several samples a task, how many tasks would be solved by one of them. */
        for (size_t i = 0; i < e->metrics_n; i++)
            if (strncmp (e->metrics[i].name, "pass@", 5) == 0)
                printf ("%s %s; ", e->metrics[i].name, DECIMAL (e->metrics[i].value, 3));
        printf ("quality %s", DECIMAL (live_metric (e, "quality"), 3));
        if (!isnan (live_metric (e, "agreement")))
            printf (", agreement %s", DECIMAL (live_metric (e, "agreement"), 3));
        printf ("\n");
    }
    fflush (stdout);
}

/*  Groups were opened. The two halves of an evaluation, sampled and greedy, are under way together
 *  and counted together. */
static void live_on_opened (live_t *live, const wire_event_t *e)
{
    bool more = e->phase == WIRE_EVAL_GREEDY && live->phase == WIRE_EVAL_SAMPLED;
    /* fmax takes the 0 where the event has no such number. */
    live->groups = (more ? live->groups : 0) + (size_t) fmax (live_metric (e, "groups"), 0);
    live->committed = more ? live->committed : 0;
    live->opened = true;
    /* The first step has none before it: its time begins here, without the loading of the model. */
    if (e->phase == WIRE_TRAIN && live->stepped_s <= 0)
        live->stepped_s = clock_s ();
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
        services_status (&live->services, live->run, e);
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
        /* Groups of an evaluation are not counted with those of a step. */
        live->committed += (e->phase == WIRE_TRAIN) == (live->phase == WIRE_TRAIN);
    else if (e->kind == WIRE_GROUP_TROUBLE)
        live_waits (live, e->text);
    else if (e->kind == WIRE_RUN_NOTE)
        live_on_note (live, e);
    else if (e->kind == WIRE_EPISODE_SHOWN) {
        /* It comes from the bus: what is no JSON leaves the episode before on the screen. */
        json_t *episode = json_loads (e->text, 0, NULL);
        if (episode) {
            json_decref (live->episode);
            prompts_add (episode);
            live->episode = episode;
        }
    }
}

/*  Called at every turn of the command's loop, which is more often than anybody can read. Before
 *  the first trainer there is nothing to draw. */
void live_draw (live_t *live)
{
    if (live->mode == LIVE_SCREEN && *live->who && clock_ms () - live->drawn_ms >= DRAW_MS)
        screen_draw (live, false);
}

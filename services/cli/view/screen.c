/*  screen - the view of a run on a terminal, drawn in place. See internal.h
 *
 *  The cursor goes up over what was drawn before and every line is written anew, each erased first;
 *  so the screen never flickers, and what stood above stays. That needs two things: no line may be
 *  wider than the terminal, since one that wraps would break the count, and no view higher, since
 *  what has scrolled away cannot be drawn over. After a resize nobody knows where the old lines
 *  went: then everything from the top on is cleared (and not the screen as a whole, which some
 *  terminals would keep in their history).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/decimal.h"
#include "base/printable.h"
#include "internal.h"
#include "style.h"

#define CURVE          40 /* bars of the sparkline */
#define BAR            20 /* characters of a progress bar */
#define ROWS_MAX       7  /* of what one role wrote */
#define TOLD_ROWS      30 /* of a terminal that has room for prompts */
#define LABEL          10 /* columns before the text of a line */
#define WIDE           100
#define EPISODE_HEIGHT 5 /* the least that an episode needs */

typedef struct {
    live_t *live;
    size_t width, limit, lines; /* limit: of lines */
} screen_t;

/*  One line: a label, and words of a model, a task or a peer in a colour. Colours go around what is
 *  cut, never into it: they take no columns, and printable_cut would not let them through. */
static void screen_words (screen_t *s, const char *label, style_t colour, const char *words,
                          size_t n)
{
    buf_t *out = &s->live->out;
    /* One line too many would scroll the first one out of reach of the next frame. */
    if (s->lines == s->limit)
        return;
    buf_text (out, "\x1b[2K");
    size_t used = printable_cut (out, label, strlen (label), s->width);
    buf_text (out, style (colour));
    printable_cut (out, words, n, s->width - used);
    buf_text (out, colour == STYLE_NONE ? "" : style (STYLE_NONE));
    buf_char (out, '\n');
    s->lines++;
}

static void screen_text (screen_t *s, const char *label, style_t colour, const char *text)
{
    screen_words (s, label, colour, text ? text : "", text ? strlen (text) : 0);
}

/*  The same, and the text is freed. An empty one is no line. The buffer is empty afterwards, for
 *  the caller's next line. */
static void screen_take (screen_t *s, const char *label, buf_t *text)
{
    if (text->size)
        screen_words (s, label, STYLE_NONE, text->data, text->size);
    buf_free (text);
}

static void screen_bar (buf_t *out, double share)
{
    size_t full = (size_t) (fmin (fmax (share, 0), 1) * BAR + 0.5);
    for (size_t i = 0; i < BAR; i++)
        buf_text (out, i < full ? "█" : "░");
}

/*  ---- the run -------------------------------------------------------------------------------- */

static void screen_head (screen_t *s)
{
    const live_t *live = s->live;
    double left = live_left_s (live);
    buf_t text = {0};
    buf_text (&text, live->who);
    if (live->parts > 1)
        buf_printf (&text, " (%zu of %zu)", live->part, live->parts);
    /* A narrow terminal needs the columns for the numbers. */
    if (s->width >= 70) {
        buf_text (&text, "  ");
        screen_bar (&text, live->steps ? (double) live->step / (double) live->steps : 1);
    }
    buf_printf (&text, "  step %llu of %zu  ", (unsigned long long) live->step, live->steps);
    live_duration (clock_s () - live->begun_s, &text);
    if (isfinite (left) && live->step < live->steps) {
        buf_text (&text, ", about ");
        live_duration (left, &text);
        buf_text (&text, " left");
    }
    screen_words (s, "", STYLE_HEAD, text.data, text.size);
    buf_free (&text);
}

/*  What happens now, how far it is, and how fast the agents write. */
static void screen_now (screen_t *s)
{
    const live_t *live = s->live;
    const char *now = live_now (live);
    double rate = services_tokens_per_s (&live->services);
    /* Never more than all of them, whatever was counted: the bar has no room for it. */
    size_t done = live->committed < live->groups ? live->committed : live->groups;
    buf_t text = {0};
    buf_text (&text, now);
    if (live_waits_for_groups (live)) {
        buf_char (&text, ' ');
        screen_bar (&text, (double) done / (double) live->groups);
        buf_printf (&text, " %zu of %zu groups", done, live->groups);
        if (done < live->groups && isfinite (rate)) {
            buf_text (&text, ", ");
            services_count (rate, &text);
            buf_text (&text, " tok/s");
        }
    }
    screen_take (s, "  now     ", &text);
}

/*  The whole run in at most `width` bars, each the mean of as many steps, between the lowest and
 *  the highest mean. */
static void screen_sparkline (const live_t *live, size_t width, buf_t *text)
{
    static const char *const shapes[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    size_t n = live->rewards_n, bars = n < width ? n : width;
    /* The callers ask for CURVE bars at most. */
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
        /* A flat curve stands in the middle. Of a NAN no comparison holds, so it becomes the
           lowest bar and is never converted. */
        double at = high > low ? (mean[b] - low) / (high - low) : 0.5;
        buf_text (text, shapes[at > 0 ? (size_t) (at * 7.99) : 0]);
    }
}

/*  A number that was measured, with its name, if there is room for it; else nothing. A number
 *  that was cut in the middle would read as another one. Bytes are columns here, as all of it is
 *  ASCII. */
static void screen_add (const screen_t *s, buf_t *text, const char *name, const char *format,
                        double value)
{
    char more[64];
    if (!isfinite (value))
        return;
    int n = snprintf (more, sizeof more, "%s%s ", text->size ? "   " : "", name);
    n += snprintf (more + n, sizeof more - (size_t) n, format, value);
    if (LABEL + text->size + (size_t) n <= s->width)
        buf_text (text, more);
}

static void screen_steps (screen_t *s)
{
    const live_t *live = s->live;
    buf_t text = {0};
    buf_printf (&text, "%s  ", DECIMAL (live->reward, 3));
    screen_sparkline (live, s->width > 60 ? CURVE : CURVE / 2, &text);
    screen_take (s, "  reward  ", &text);
    live_number (&text, "", live->quality);
    live_number (&text, "   speed ", live->speed);
    live_number (&text, "   cost ", live->cost);
    screen_add (s, &text, "pass rate", "%.2f", live->success);
    screen_add (s, &text, "path", "%.1f tokens", live->path);
    screen_take (s, "  quality ", &text);
    screen_add (s, &text, "zero-spread", "%.2f", live->zero_spread);
    screen_add (s, &text, "loss", "%.3g", live->loss);
    screen_add (s, &text, "KL", "%.3g", live->kl);
    screen_add (s, &text, "entropy", "%.3f", live->entropy);
    screen_add (s, &text, "norm", "%.2g", live->norm);
    screen_add (s, &text, "clipped", "%.3f", live->clip);
    screen_add (s, &text, "lr", "%.1e", live->lr);
    screen_take (s, "  update  ", &text);
    services_count (live->sampled_per_s, &text);
    buf_text (&text, "/s sampled, ");
    services_count (live->trained_per_s, &text);
    buf_text (&text, "/s trained");
    screen_add (s, &text, "completion", "%.1f", live->completion_tokens);
    screen_add (s, &text, "cut", "%.2f", live->truncated);
    screen_take (s, "  tokens  ", &text);
}

static void screen_run (screen_t *s)
{
    const live_t *live = s->live;
    buf_t text = {0};
    screen_head (s);
    screen_now (s);
    if (live->rewards_n)
        screen_steps (s);
    /* A scorer of the user's own need not say what a success is. */
    if (live->evaluated && !isnan (live->heldout_sampled)) {
        buf_printf (&text, "pass rate %s sampled, %s greedy, after step %llu",
                    DECIMAL (live->heldout_sampled, 3), DECIMAL (live->heldout_greedy, 3),
                    (unsigned long long) live->evaluated_step);
        screen_take (s, "  held-out ", &text);
    }
    services_agents (&live->services, live->step, &text);
    screen_take (s, "  agents  ", &text);
    if (s->width >= WIDE) {
        services_others (&live->services, &text);
        screen_take (s, "  others  ", &text);
    }
}

/*  ---- an episode ----------------------------------------------------------------------------- */

/*  What one role was told, if there is room, and what it wrote, in at most `rows` lines. */
static void screen_action (screen_t *s, size_t rows, bool told, const json_t *action)
{
    const char *role = json_string_value (json_object_get (action, "role")),
               *prompt = json_string_value (json_object_get (action, "prompt")),
               *words = json_string_value (json_object_get (action, "text"));
    char label[64];
    snprintf (label, sizeof label, "  %-8.8s", role ? role : "");
    if (told && prompt && rows > 1) {
        screen_text (s, "  told    ", STYLE_FAINT, prompt);
        rows--;
    }
    for (size_t row = 0; words && row < rows; row++) {
        size_t n = strcspn (words, "\n");
        screen_words (s, row ? "          " : label, STYLE_NONE, words, n);
        if (!words[n])
            break;
        words += n + 1;
    }
}

/*  Of the last turn in which anybody wrote: a tool's turn has none. */
static const json_t *screen_last_actions (const json_t *turns)
{
    const json_t *actions = NULL;
    for (size_t t = json_array_size (turns); t-- > 0 && json_array_size (actions) == 0;)
        actions = json_object_get (json_array_get (turns, t), "actions");
    return actions;
}

/*  An example of the step in at most `rows` lines: the task, what each role wrote in the last turn,
 *  the verdict. */
static void screen_episode (screen_t *s, size_t rows, bool told)
{
    const json_t *episode = s->live->episode, *action;
    const json_t *reward = json_object_get (episode, "reward");
    const json_t *turns = json_object_get (episode, "turns");
    size_t i, last = json_array_size (turns);
    const json_t *actions = screen_last_actions (turns);
    /* Four lines are for the gap, the task, the verdict and the reward; roles share the others. */
    size_t n = json_array_size (actions), each = rows > 4 && n ? (rows - 4) / n : 0;
    bool success = json_is_true (json_object_get (reward, "success"));
    buf_t text = {0};
    screen_text (s, "", STYLE_NONE, "");
    screen_text (s, "  task    ", STYLE_NONE,
                 json_string_value (json_object_get (json_object_get (episode, "task"), "brief")));
    size_t most = ROWS_MAX + (told ? 1u : 0u);
    each = each < most ? each : most;
    json_array_foreach (actions, i, action)
        screen_action (s, each, told, action);
    screen_text (s, "  verdict ", success ? STYLE_GOOD : STYLE_BAD,
                 json_string_value (json_object_get (reward, "verdict")));
    buf_printf (&text, "%s = quality %s, speed %s, cost %s",
                DECIMAL (json_number_value (json_object_get (reward, "reward")), 2),
                DECIMAL (json_number_value (json_object_get (reward, "quality")), 2),
                DECIMAL (json_number_value (json_object_get (reward, "speed")), 2),
                DECIMAL (json_number_value (json_object_get (reward, "cost")), 2));
    if (last > 1)
        buf_printf (&text, ", after %zu turns", last);
    screen_take (s, "  reward  ", &text);
}

/*  ---- the frame ------------------------------------------------------------------------------ */

/*  Up over the last frame; or, when the terminal has another size by now, everything anew. */
static void screen_place (const live_t *live, bool resized)
{
    if (resized) {
        /* The view of the trainer before was cleared with the rest, so it is written again. */
        fputs ("\x1b[H\x1b[J", stdout);
        fwrite (live->kept.data ? live->kept.data : "", 1, live->kept.size, stdout);
    } else if (live->drawn_lines)
        printf ("\x1b[%zuA", live->drawn_lines);
}

/*  The size is asked for with each frame, so that no signal of a resize has to be handled. */
void screen_draw (live_t *live, bool brief)
{
    struct winsize size = {0};
    if (ioctl (1, TIOCGWINSZ, &size) != 0 || !size.ws_col || !size.ws_row)
        size = (struct winsize){.ws_col = 80, .ws_row = 24};
    size_t noted = clock_ms () < live->note_until_ms ? 1 : 0;
    bool resized = live->drawn_columns &&
                   (live->drawn_columns != size.ws_col || live->drawn_rows != size.ws_row);
    /* One row and one column stay free: the cursor rests below the last line, and a full line
       would make some terminals wrap. */
    size_t high = size.ws_row > 1 ? size.ws_row - 1u : 1;
    screen_t s = {.live = live,
                  .width = size.ws_col > 1 ? size.ws_col - 1u : 1,
                  .limit = high > noted ? high - noted : 1};
    live->drawn_ms = clock_ms ();
    live->drawn_columns = size.ws_col;
    live->drawn_rows = size.ws_row;
    screen_place (live, resized);
    buf_clear (&live->out);
    screen_run (&s);
    /* The run left a line free for the note. */
    s.limit = high;
    if (noted)
        screen_text (&s, "  note    ", STYLE_NOTE, live->note);
    if (live->episode && !brief && high >= s.lines + EPISODE_HEIGHT + 1)
        screen_episode (&s, high - s.lines, size.ws_row >= TOLD_ROWS);
    /* A frame goes out in one piece. What an earlier, higher frame left below it is cleared. */
    fwrite (live->out.data, 1, live->out.size, stdout);
    fputs ("\x1b[J", stdout);
    fflush (stdout);
    live->drawn_lines = s.lines;
}

/*  result - see result.h */
#include "result.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/decimal.h"
#include "base/fs.h"
#include "base/printable.h"
#include "../view/style.h"
#include "examples.h"
#include "lost.h"
#include "rows.h"

#define RESULT_WIDTH 80 /* columns of a row */

/*  The trainer writes result.json at its end; without it there is no result. */
static json_t *result_read_result (const char *folder, err_t *err)
{
    char path[FS_PATH_MAX];
    json_error_t problem;
    if (fs_join (path, folder, "result.json", err) != 0)
        return NULL;
    json_t *result = json_load_file (path, 0, &problem);
    if (!json_is_object (result)) {
        json_decref (result);
        err_set (err, ERR_IO, "%s: %s", path, problem.text);
        return NULL;
    }
    return result;
}

/*  What was read before an error stays in r, for result_free. */
int result_read (result_t *r, const char *out, bool with_solo, err_t *err)
{
    char solo[FS_PATH_MAX];
    snprintf (r->out, sizeof r->out, "%s", out);
    if (!(r->team = result_read_result (out, err)))
        return -1;
    if (!with_solo)
        return 0;
    if (fs_join (solo, out, "solo", err) != 0)
        return -1;
    r->solo = result_read_result (solo, err);
    return r->solo ? 0 : -1;
}

void result_free (result_t *r)
{
    json_decref (r->team);
    json_decref (r->solo);
    *r = (result_t){0};
}

/*  NAN where the trainer did not measure it: null and a missing key are the same to a reader. */
static double result_number (const json_t *result, const char *when, const char *key)
{
    const json_t *value = json_object_get (json_object_get (result, when), key);
    return json_is_number (value) ? json_number_value (value) : NAN;
}

/*  The Wilson interval that the trainer wrote beside a rate. It stands there only for rates that
 *  were measured. */
const char *result_interval (const json_t *result, const char *when, const char *key,
                             char text[RESULT_INTERVAL])
{
    char low[32], high[32];
    snprintf (low, sizeof low, "%s_low", key);
    snprintf (high, sizeof high, "%s_high", key);
    double from = result_number (result, when, low), to = result_number (result, when, high);
    bool known = isfinite (from) && isfinite (to);
    snprintf (text, RESULT_INTERVAL, known ? "[%.10s, %.10s]" : "", DECIMAL (from, 3),
              DECIMAL (to, 3));
    return text;
}

/*  Whether the run had steps. Without them there is one evaluation, and nothing to compare it
 *  with. */
static bool result_trained (const json_t *result)
{
    return json_integer_value (json_object_get (result, "steps")) > 0;
}

typedef struct {
    FILE *to;
    const json_t *result; /* of one trainer */
    size_t columns;       /* of the terminal, 0: any number */
} table_t;

/*  A row takes 80 columns. On a narrower terminal it is two lines, since one that wraps inside of
 *  an interval cannot be read. */
static void result_print_row (const table_t *t, const char *label, const char *before,
                              const char *after)
{
    bool narrow = t->columns && t->columns < RESULT_WIDTH;
    const char *good = style (STYLE_GOOD), *none = style (STYLE_NONE);
    if (!result_trained (t->result))
        fprintf (t->to, "  %-33s %s\n", label, after);
    else if (narrow)
        fprintf (t->to, "  %s\n    %s -> %s%s%s\n", label, before, good, after, none);
    else
        fprintf (t->to, "  %-33s %-20s -> %s%s%s\n", label, before, good, after, none);
}

/*  What was measured neither before nor after is no row. */
static void result_row (const table_t *t, const row_t *row)
{
    static const char *const when[] = {"before", "after"};
    char text[2][64], interval[RESULT_INTERVAL];
    bool any = false;
    for (size_t i = 0; i < 2; i++) {
        double value = result_number (t->result, when[i], row->key);
        int n = snprintf (text[i], sizeof text[i], "%s",
                          isfinite (value) ? DECIMAL (value, row->digits) : "-");
        if (*result_interval (t->result, when[i], row->key, interval))
            snprintf (text[i] + n, sizeof text[i] - (size_t) n, " %s", interval);
        any = any || isfinite (value);
    }
    if (any)
        result_print_row (t, row->label, text[0], text[1]);
}

static void result_print_one (const table_t *t, const char *title)
{
    row_t rows[ROWS_MAX];
    fprintf (t->to, "\n%s%s%s (", style (STYLE_HEAD), title, style (STYLE_NONE));
    if (result_trained (t->result))
        fprintf (t->to, "%lld steps, ",
                 (long long) json_integer_value (json_object_get (t->result, "steps")));
    double samples = result_number (t->result, "after", "samples");
    fprintf (t->to, "%.0f held-out tasks", result_number (t->result, "after", "n"));
    if (samples > 1)
        fprintf (t->to, " x %.0f samples", samples);
    fprintf (t->to, " [95%% interval], %.1f s)\n",
             json_number_value (json_object_get (t->result, "wall_s")));
    size_t n = rows_of (json_object_get (t->result, "after"), rows);
    for (size_t i = 0; i < n; i++)
        result_row (t, &rows[i]);
    char lost[ROWS_LOST];
    if (*rows_lost (result_trained (t->result) ? json_object_get (t->result, "before") : NULL,
                    json_object_get (t->result, "after"), lost))
        fprintf (t->to, "  %s\n", lost);
}

/*  Words of a model or a task: after the label, as one line. */
static void result_print_words (FILE *to, const char *label, const char *words)
{
    fputs (label, to);
    printable_print (to, words ? words : "", words ? strlen (words) : 0, PRINTABLE_LINE);
    fputc ('\n', to);
}

/*  What tools found in a turn, one line for each. */
static void result_print_findings (FILE *to, const json_t *turn)
{
    const char *role;
    json_t *found;
    json_object_foreach (json_object_get (turn, "tools"), role, found) {
        const char *verdict = json_string_value (json_object_get (found, "verdict"));
        fputs ("    [", to);
        printable_print (to, role, strlen (role), PRINTABLE_LINE);
        fputs (" found: ", to);
        printable_print (to, verdict ? verdict : "", verdict ? strlen (verdict) : 0,
                         PRINTABLE_LINE);
        fputs ("]\n", to);
    }
}

static void result_print_episode (FILE *to, const json_t *episode, const char *when)
{
    const json_t *turns = json_object_get (episode, "turns"), *turn, *action;
    const json_t *reward = json_object_get (episode, "reward");
    size_t t, a;
    const json_t *success = json_object_get (reward, "success");
    const char *verdict = json_string_value (json_object_get (reward, "verdict"));
    char worth[DECIMAL_MAX + 16];
    snprintf (worth, sizeof worth, "reward %s",
              DECIMAL (json_number_value (json_object_get (reward, "reward")), 3));
    /* A scorer of one's own need not say anything beside a number. */
    fprintf (to, "\n  %s: %s", when,
             style (!success                 ? STYLE_NONE
                    : json_is_true (success) ? STYLE_GOOD
                                             : STYLE_BAD));
    result_print_words (to, "", verdict && *verdict ? verdict : worth);
    fputs (style (STYLE_NONE), to);
    json_array_foreach (turns, t, turn) {
        json_array_foreach (json_object_get (turn, "actions"), a, action) {
            const char *role = json_string_value (json_object_get (action, "role"));
            fputs ("    [", to);
            printable_print (to, role ? role : "", role ? strlen (role) : 0, PRINTABLE_LINE);
            fprintf (to, ", %lld tokens]\n",
                     (long long) json_integer_value (json_object_get (action, "tokens")));
            const char *text = json_string_value (json_object_get (action, "text"));
            /* Each line is printed on its own, so that all are indented: no word of a model can
               pass for one of ours. */
            while (text && *text) {
                size_t n = strcspn (text, "\n");
                fputs ("    ", to);
                printable_print (to, text, n, PRINTABLE_LINE);
                fputc ('\n', to);
                text += n + (text[n] == '\n');
            }
        }
        result_print_findings (to, turn);
    }
}

/*  The first pair: a task that training solved, where there is one (examples.c). */
static void result_print_example (FILE *to, const char *out)
{
    json_t *pairs = examples_read (out);
    const json_t *pair = json_array_get (pairs, 0), *first = json_array_get (pair, 0);
    const json_t *task = json_object_get (first, "task");
    const char *brief = json_string_value (json_object_get (task, "brief"));
    if (!brief) /* as those of an own environment need none */
        brief = json_string_value (json_object_get (task, "id"));
    if (pair) {
        result_print_words (to,
                            examples_learned (pair) ? "\nA held-out task that training solved: "
                                                    : "\nA held-out task: ",
                            brief);
        result_print_episode (to, first, "before");
        result_print_episode (to, json_array_get (pair, 1), "after");
    }
    json_decref (pairs);
}

/*  A result without the word counts as reproducible. */
bool result_reproducible (const result_t *r)
{
    return !json_is_false (json_object_get (r->team, "reproducible"));
}

void result_print (const result_t *r, FILE *to)
{
    if (r->solo)
        result_print_one (&(table_t){to, r->solo, r->columns}, "Single agent");
    /* Last, just above the sentence that compares the two. */
    result_print_one (&(table_t){to, r->team, r->columns}, "Team");
    if (r->solo) {
        /* What a team is for, besides quality: roles write at the same time, so the longest path
         * counts. */
        double path = result_number (r->team, "after", "critical_path_tokens");
        fprintf (to,
                 "\nThe team's critical path is %.2f times shorter than the untrained single "
                 "agent's and %.2f times than the trained one's.\n",
                 result_number (r->solo, "before", "critical_path_tokens") / path,
                 result_number (r->solo, "after", "critical_path_tokens") / path);
    }
    if (result_trained (r->team))
        fprintf (to, "Wall-clock: %.1f s in all, %.1f s to the first optimiser step.\n", r->wall_s,
                 r->first_step_s);
    if (!result_reproducible (r))
        fprintf (to, "%s" RESULT_NOT_REPRODUCIBLE "%s\n", style (STYLE_NOTE), style (STYLE_NONE));
    if (result_trained (r->team))
        result_print_example (to, r->out);
    /* A passing run's folder is about to be removed, so nobody is sent there. */
    if (!r->passing)
        fprintf (to, "\nEverything is in %s: report.html, metrics.jsonl, checkpoints, logs.\n",
                 r->out);
}

/*  One side of the comparison, before or after; what was not measured is left out. */
static json_t *result_side (const json_t *result, const char *when)
{
    static const char *const keys[] = {"sampled",
                                       "sampled_low",
                                       "sampled_high",
                                       "greedy",
                                       "greedy_low",
                                       "greedy_high",
                                       "critical_path_tokens",
                                       "tokens",
                                       "completion_tokens",
                                       "quality",
                                       "agreement",
                                       "reward",
                                       "n",
                                       "samples"};
    json_t *object = json_object (), *its = json_object_get (result, when), *value;
    const char *key;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        double number = result_number (result, when, keys[i]);
        if (isfinite (number))
            json_object_set_new (object, keys[i], json_real (number));
    }
    json_object_foreach (its, key, value)
        if (strncmp (key, "pass@", 5) == 0)
            json_object_set (object, key, value);
    return object;
}

/*  Without a baseline there is no single agent: null, so that a program finds the key all the
 *  same. */
static json_t *result_sides (const json_t *result)
{
    return result ? json_pack ("{s:o, s:o}", "before", result_side (result, "before"), "after",
                               result_side (result, "after"))
                  : json_null ();
}

/*  One line and flushed: the program that reads it need not wait for our end. */
void result_json (const result_t *r, FILE *to)
{
    lost_t lost = lost_count (r);
    json_t *line = json_pack ("{s:s, s:f, s:f, s:b, s:I, s:I, s:o, s:o}", "event", "result",
                              "first_step_s", r->first_step_s, "wall_s", r->wall_s, "reproducible",
                              (int) result_reproducible (r), "groups", (json_int_t) lost.groups,
                              "lost_groups", (json_int_t) lost.lost, "team", result_sides (r->team),
                              "solo", result_sides (r->solo));
    char *text = json_dumps (line, JSON_COMPACT | JSON_REAL_PRECISION (9));
    fprintf (to, "%s\n", text ? text : "{}");
    fflush (to);
    free (text);
    json_decref (line);
}

/*  results - see results.h */
#include "results.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../report/result.h"
#include "arm.h"
#include "base/decimal.h"
#include "learn/bootstrap.h"
#include "learn/pass.h"
#include "watch/lines.h"

#define WINDOW  5   /* steps whose mean is looked at */
#define OF_BEST 0.9 /* share of the highest that counts as reached */

/*  One value per held-out task, in the order of the evaluation. */
typedef struct {
    const char **id; /* borrowed from lines */
    double *value;
    size_t n;
} values_t;

/*  Everything that was read of an arm: by seed, in the order of the plan. */
typedef struct {
    const plan_arm_t *arm;
    json_t *lines[PLAN_SEEDS_MAX];   /* of its newest evaluation */
    json_t *metrics[PLAN_SEEDS_MAX]; /* lines of its steps */
    json_t *clock[PLAN_SEEDS_MAX];   /* seconds by task; NULL: not timed */
    json_t *result[PLAN_SEEDS_MAX];
} gathered_t;

typedef enum { OF_SAMPLED, OF_GREEDY } play_t;

/*  ---- reading -------------------------------------------------------------------------------- */

static void results_keep_step (void *list, json_t *line)
{
    static const char *const keys[] = {"reward_mean", "zero_spread", "tokens"};
    const char *event = json_string_value (json_object_get (line, "event"));
    if (!event || strcmp (event, "step") != 0)
        return;
    json_t *kept = json_object ();
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        json_object_set (kept, keys[i], json_object_get (line, keys[i]));
    json_array_append_new (list, kept);
}

static int results_gather_seed (gathered_t *g, size_t seed, const arm_t *place, err_t *err)
{
    char path[FS_PATH_MAX], name[64];
    result_t result = {0};
    if (result_read (&result, place->dir, false, err) != 0)
        return -1;
    g->result[seed] = json_incref (result.team);
    result_free (&result);
    snprintf (name, sizeof name, "evaluations/step-%lld.jsonl",
              (long long) json_integer_value (json_object_get (g->result[seed], "steps")));
    g->lines[seed] = lines_all (place->dir, name);
    if (json_array_size (g->lines[seed]) == 0)
        return err_set (err, ERR_INPUT, "%s/%s: no evaluation is in it", place->dir, name);
    g->metrics[seed] = json_array ();
    lines_each (place->dir, "metrics.jsonl", results_keep_step, g->metrics[seed]);
    json_t *clock =
        fs_join (path, place->dir, ARM_CLOCK, NULL) == 0 ? json_load_file (path, 0, NULL) : NULL;
    g->clock[seed] = json_incref (json_object_get (clock, "tasks"));
    json_decref (clock);
    return 0;
}

static int results_gather (gathered_t *g, const plan_t *plan, const plan_arm_t *arm,
                           const char *out, err_t *err)
{
    int rc = 0;
    g->arm = arm;
    for (size_t s = 0; rc == 0 && s < plan->seeds_n; s++) {
        arm_t place = {.plan = plan, .arm = arm, .seed = plan->seeds[s], .out = out};
        rc = arm_place (&place, err) == 0 ? results_gather_seed (g, s, &place, err) : -1;
    }
    return rc;
}

static void results_release (gathered_t *g)
{
    for (size_t s = 0; s < PLAN_SEEDS_MAX; s++) {
        json_decref (g->lines[s]);
        json_decref (g->metrics[s]);
        json_decref (g->clock[s]);
        json_decref (g->result[s]);
    }
}

/*  ---- values of tasks ------------------------------------------------------------------------ */

static bool results_is (const json_t *line, const char *key, const char *value)
{
    const char *text = json_string_value (json_object_get (line, key));
    return text && strcmp (text, value) == 0;
}

/*  "pass@4" of a list of successes; else the list's mean. A task that nobody could play has failed,
 *  and has no other value. */
static double results_of_line (const json_t *line, const char *key, bool fails)
{
    size_t n = 0, k = strncmp (key, "pass@", 5) == 0 ? strtoul (key + 5, NULL, 10) : 0, i;
    const json_t *list = json_object_get (line, k ? "success" : key), *item;
    double sum = 0;
    json_array_foreach (list, i, item) {
        sum += json_is_number (item) ? json_number_value (item) : 0;
        n += json_is_number (item);
    }
    if (json_is_array (list) && json_array_size (list) == 0 && (fails || k))
        return 0;
    if (k)
        return n >= k ? pass_at (n, (size_t) sum, k) : NAN;
    return n ? sum / (double) n : NAN;
}

/*  A task under one way of playing. Evaluations have their tasks in one order: it stands at the
 *  place where the other seeds have it. */
static const json_t *results_line (const json_t *lines, size_t place, const char *phase,
                                   const char *id)
{
    const json_t *line = json_array_get (lines, place);
    size_t i;
    if (results_is (line, "phase", phase) && results_is (line, "task", id))
        return line;
    json_array_foreach (lines, i, line)
        if (results_is (line, "phase", phase) && results_is (line, "task", id))
            return line;
    return NULL;
}

/*  The mean over the seeds of the task that stands at this place. */
static double results_of_task (const gathered_t *g, size_t seeds, size_t place, const char *phase,
                               const char *id, const char *key, bool fails)
{
    double sum = 0, n = 0;
    for (size_t s = 0; s < seeds; s++) {
        const json_t *line = results_line (g->lines[s], place, phase, id);
        double value = line ? results_of_line (line, key, fails) : NAN;
        sum += isfinite (value) ? value : 0;
        n += isfinite (value);
    }
    return sum / n;
}

static values_t results_room (size_t n)
{
    return (values_t){.id = calloc (n + 1, sizeof (char *)),
                      .value = calloc (n + 1, sizeof (double))};
}

static void results_let_go (values_t *v)
{
    free (v->id);
    free (v->value);
}

/*  What no seed measured of a task is left out. */
static values_t results_values (const gathered_t *g, size_t seeds, play_t play, const char *key,
                                bool fails)
{
    const char *phase = play == OF_GREEDY ? "eval-greedy" : "eval-sampled";
    values_t v = results_room (json_array_size (g->lines[0]));
    const json_t *line;
    size_t i;
    json_array_foreach (g->lines[0], i, line) {
        const char *id = json_string_value (json_object_get (line, "task"));
        if (!v.id || !v.value || !id || !results_is (line, "phase", phase))
            continue;
        v.id[v.n] = id;
        v.value[v.n] = results_of_task (g, seeds, i, phase, id, key, fails);
        v.n += isfinite (v.value[v.n]);
    }
    return v;
}

/*  Seconds of each task that was timed under every seed; with scoring, or writing alone. */
static values_t results_seconds (const gathered_t *g, size_t seeds, bool scoring)
{
    values_t v = results_room (json_object_size (g->clock[0]));
    const char *id;
    json_t *times;
    json_object_foreach (g->clock[0], id, times) {
        double sum = 0;
        for (size_t s = 0; s < seeds; s++) {
            const json_t *at = json_object_get (g->clock[s], id);
            sum += json_is_array (at)
                       ? json_number_value (json_array_get (at, 0)) +
                             (scoring ? json_number_value (json_array_get (at, 1)) : 0)
                       : NAN;
        }
        if (!v.id || !v.value || !isfinite (sum))
            continue;
        v.id[v.n] = id;
        v.value[v.n++] = sum / (double) seeds;
    }
    return v;
}

/*  Leaves the tasks that both have, in the same order. */
static void results_pair (values_t *a, values_t *b)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++)
        for (size_t j = n; j < b->n; j++) {
            if (strcmp (a->id[i], b->id[j]) != 0)
                continue;
            double value = b->value[j];
            const char *id = b->id[j];
            b->value[j] = b->value[n], b->id[j] = b->id[n];
            b->value[n] = value, b->id[n] = id;
            a->value[n] = a->value[i], a->id[n++] = a->id[i];
            break;
        }
    a->n = b->n = n;
}

/*  ---- cells ---------------------------------------------------------------------------------- */

/*  NULL where nothing was measured: json_object_set_new then sets nothing. */
static void results_put (json_t *to, const char *key, bootstrap_t b)
{
    if (isfinite (b.value))
        json_object_set_new (
            to, key, json_pack ("{s:f, s:f, s:f}", "value", b.value, "low", b.low, "high", b.high));
}

/*  Of one number per seed. */
static void results_put_seeds (json_t *to, const char *key, const double *values, size_t n)
{
    bootstrap_t b = {0, INFINITY, -INFINITY};
    for (size_t s = 0; s < n; s++) {
        b.value += values[s] / (double) n;
        b.low = fmin (b.low, values[s]);
        b.high = fmax (b.high, values[s]);
    }
    results_put (to, key, b);
}

/*  Columns that have a value per task; quality is the key that the plan names. */
static const struct {
    const char *key, *of;
    play_t play;
} results_columns[] = {{"quality", NULL, OF_SAMPLED},
                       {"greedy", NULL, OF_GREEDY},
                       {"reward", "reward", OF_SAMPLED},
                       {"success", "success", OF_SAMPLED},
                       {"agreement", "agreement", OF_SAMPLED},
                       {"checks", "quality", OF_SAMPLED},
                       {"critical_path_tokens", "critical_path_tokens", OF_SAMPLED},
                       {"tokens", "tokens", OF_SAMPLED},
                       {"cost", "cost", OF_SAMPLED}};
#define COLUMNS (sizeof results_columns / sizeof *results_columns)

static values_t results_column (const plan_t *plan, const gathered_t *g, size_t column)
{
    const char *of = results_columns[column].of;
    return results_values (g, plan->seeds_n, results_columns[column].play, of ? of : plan->quality,
                           !of || strcmp (of, "success") == 0);
}

/*  How many samples of a task the evaluation has. */
static size_t results_samples (const gathered_t *g)
{
    size_t most = 0, i;
    const json_t *line;
    json_array_foreach (g->lines[0], i, line) {
        size_t n = json_array_size (json_object_get (line, "reward"));
        most = n > most ? n : most;
    }
    return most;
}

/*  Of the step with this index and those before it, WINDOW at most. */
static double results_mean (const double *values, size_t last)
{
    size_t width = last < WINDOW ? last + 1 : WINDOW;
    double sum = 0;
    for (size_t k = 0; k < width; k++)
        sum += values[last - k] / (double) width;
    return sum;
}

double results_final (const double *values, size_t n)
{
    return n ? results_mean (values, n - 1) : NAN;
}

size_t results_steps_to (const double *values, size_t n, double goal)
{
    for (size_t i = 0; i < n; i++)
        if (results_mean (values, i) >= goal)
            return i + 1;
    return 0;
}

size_t results_steps_to_best (const double *values, size_t n)
{
    double best = 0;
    for (size_t i = 0; i < n; i++)
        best = fmax (best, results_mean (values, i));
    return best > 0 ? results_steps_to (values, n, OF_BEST * best) : 0;
}

/*  One number of every step under a seed; the caller frees it. */
static double *results_of_steps (const gathered_t *g, size_t seed, const char *key)
{
    size_t n = json_array_size (g->metrics[seed]);
    double *values = calloc (n + 1, sizeof *values);
    for (size_t i = 0; values && i < n; i++)
        values[i] = json_number_value (json_object_get (json_array_get (g->metrics[seed], i), key));
    return values;
}

/*  What the steps of the training say, seed by seed. */
static void results_add_training (const plan_t *plan, const gathered_t *g, json_t *arm,
                                  json_t *columns)
{
    double steps[PLAN_SEEDS_MAX], tokens[PLAN_SEEDS_MAX], best[PLAN_SEEDS_MAX],
        flat[PLAN_SEEDS_MAX];
    for (size_t s = 0; s < plan->seeds_n; s++) {
        size_t n = json_array_size (g->metrics[s]);
        double *rewards = results_of_steps (g, s, "reward_mean"),
               *spread = results_of_steps (g, s, "zero_spread");
        flat[s] = spread && n ? 0 : NAN;
        for (size_t i = 0; spread && i < n; i++)
            flat[s] += spread[i] / (double) n;
        best[s] = rewards ? (double) results_steps_to_best (rewards, n) : NAN;
        steps[s] = json_number_value (json_object_get (g->result[s], "steps"));
        tokens[s] = json_number_value (json_object_get (g->result[s], "sampled_tokens"));
        free (rewards);
        free (spread);
    }
    results_put_seeds (arm, "steps", steps, plan->seeds_n);
    results_put_seeds (arm, "sampled_tokens", tokens, plan->seeds_n);
    results_put_seeds (columns, "steps_to_best", best, plan->seeds_n);
    results_put_seeds (columns, "zero_spread", flat, plan->seeds_n);
}

/*  Whether two arms are given the same joint reward, so that the one's can be a goal of the
 *  other. */
static bool results_same_reward (const plan_t *plan, const plan_arm_t *a, const plan_arm_t *b)
{
    conf_t *x = plan_conf (plan, a, plan->seeds[0], NULL),
           *y = plan_conf (plan, b, plan->seeds[0], NULL);
    buf_t list = {0};
    bool same = x && y;
    if (same)
        conf_differences (x, y, &list);
    static const char *const keys[] = {
        "reward.quality=", "reward.speed=", "reward.cost=", "reward.command=", "task."};
    for (size_t i = 0; same && list.data && i < sizeof keys / sizeof *keys; i++)
        same = !strstr (list.data, keys[i]);
    buf_free (&list);
    conf_destroy (&x);
    conf_destroy (&y);
    return same;
}

/*  Sampled tokens until the mean reward of an arm is where the other one's ended, as a share of all
 *  that the other one sampled. INFINITY: it never is. */
static double results_share_to_reach (const gathered_t *g, const gathered_t *other, size_t seed)
{
    size_t n = json_array_size (g->metrics[seed]), m = json_array_size (other->metrics[seed]);
    double *rewards = results_of_steps (g, seed, "reward_mean"),
           *tokens = results_of_steps (g, seed, "tokens"),
           *goals = results_of_steps (other, seed, "reward_mean"), sum = 0;
    size_t step = rewards && goals ? results_steps_to (rewards, n, results_final (goals, m)) : 0;
    for (size_t i = 0; tokens && i < step; i++)
        sum += tokens[i];
    free (rewards);
    free (tokens);
    free (goals);
    return step ? sum / json_number_value (json_object_get (other->result[seed], "sampled_tokens"))
                : INFINITY;
}

/*  How many times less than the arm that all are compared with. */
static bootstrap_t results_ratio (values_t other, values_t own)
{
    results_pair (&other, &own);
    bootstrap_t b = bootstrap_ratio (other.value, own.value, own.n);
    results_let_go (&other);
    results_let_go (&own);
    return b;
}

static json_t *results_times (const plan_t *plan, const gathered_t *g, const gathered_t *base)
{
    json_t *times = json_object ();
    double wall[PLAN_SEEDS_MAX];
    for (size_t s = 0; s < plan->seeds_n; s++)
        wall[s] = json_number_value (json_object_get (g->result[s], "wall_s"));
    results_put_seeds (times, "wall_s", wall, plan->seeds_n);
    values_t own = results_seconds (g, plan->seeds_n, true), ones = results_room (own.n);
    for (size_t i = 0; ones.value && i < own.n; i++)
        ones.value[i] = 1;
    if (ones.value)
        results_put (times, "tasks_per_s", bootstrap_ratio (ones.value, own.value, own.n));
    results_let_go (&ones);
    results_let_go (&own);
    for (int scoring = 0; scoring < 2; scoring++)
        results_put (times, scoring ? "speed" : "speed_writing",
                     results_ratio (results_seconds (base, plan->seeds_n, scoring),
                                    results_seconds (g, plan->seeds_n, scoring)));
    return times;
}

/*  This arm less the other one, of the same tasks. */
static json_t *results_differences (const plan_t *plan, const gathered_t *g,
                                    const gathered_t *other)
{
    json_t *columns = json_object ();
    for (size_t c = 0; c < COLUMNS; c++) {
        values_t a = results_column (plan, g, c), b = results_column (plan, other, c);
        results_pair (&a, &b);
        for (size_t i = 0; i < a.n; i++)
            a.value[i] -= b.value[i];
        results_put (columns, results_columns[c].key, bootstrap_mean (a.value, a.n));
        results_let_go (&a);
        results_let_go (&b);
    }
    /* In other weights a reward is another measure. */
    bool same = results_same_reward (plan, g->arm, other->arm);
    if (!same)
        json_object_del (columns, "reward");
    if (same && g->arm->train && other->arm->train) {
        double share[PLAN_SEEDS_MAX];
        size_t reached = 0;
        for (size_t s = 0; s < plan->seeds_n; s++) {
            share[s] = results_share_to_reach (g, other, s);
            reached += isfinite (share[s]);
        }
        results_put_seeds (columns, "tokens_to_reach", share, plan->seeds_n);
        json_object_set_new (columns, "seeds_that_reach", json_integer ((json_int_t) reached));
    }
    return json_pack ("{s:s, s:o}", "from", other->arm->name, "columns", columns);
}

static json_t *results_of_arm (const plan_t *plan, const gathered_t *g, const gathered_t *base,
                               const gathered_t *other)
{
    json_t *columns = json_object ();
    json_t *arm = json_pack ("{s:s, s:s, s:b}", "name", g->arm->name, "title", g->arm->title,
                             "trained", (int) g->arm->train);
    size_t samples = results_samples (g);
    for (size_t c = 0; c < COLUMNS; c++) {
        values_t v = results_column (plan, g, c);
        results_put (columns, results_columns[c].key, bootstrap_mean (v.value, v.n));
        results_let_go (&v);
    }
    if (samples > 1) {
        char key[32];
        snprintf (key, sizeof key, "pass@%zu", samples);
        values_t v = results_values (g, plan->seeds_n, OF_SAMPLED, key, true);
        results_put (columns, key, bootstrap_mean (v.value, v.n));
        results_let_go (&v);
    }
    results_put (
        columns, "shorter_path",
        results_ratio (
            results_values (base, plan->seeds_n, OF_SAMPLED, "critical_path_tokens", false),
            results_values (g, plan->seeds_n, OF_SAMPLED, "critical_path_tokens", false)));
    if (g->arm->train)
        results_add_training (plan, g, arm, columns);
    json_object_set_new (arm, "columns", columns);
    json_object_set_new (arm, "times", results_times (plan, g, base));
    if (other)
        json_object_set_new (arm, "differs", results_differences (plan, g, other));
    if (g->arm->published)
        json_object_set (arm, "published", g->arm->published);
    return arm;
}

/*  ---- the whole ------------------------------------------------------------------------------ */

static const gathered_t *results_named (const gathered_t *all, size_t n, const char *name)
{
    for (size_t i = 0; name && i < n; i++)
        if (strcmp (all[i].arm->name, name) == 0)
            return &all[i];
    return NULL;
}

static json_t *results_all (const plan_t *plan, const gathered_t *all)
{
    const gathered_t *base = results_named (all, plan->arms_n, plan->relative_to);
    values_t tasks = results_values (&all[0], plan->seeds_n, OF_SAMPLED, plan->quality, true);
    json_t *seeds = json_array (), *arms = json_array ();
    for (size_t s = 0; s < plan->seeds_n; s++)
        json_array_append_new (seeds, json_integer ((json_int_t) plan->seeds[s]));
    for (size_t i = 0; i < plan->arms_n; i++)
        json_array_append_new (
            arms, results_of_arm (plan, &all[i], base,
                                  results_named (all, plan->arms_n, all[i].arm->compare_to)));
    json_t *results = json_pack (
        "{s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:o}", "name", plan->name, "title", plan->title,
        "quality", plan->quality, "relative_to", plan->relative_to, "seeds", seeds, "tasks",
        (json_int_t) tasks.n, "samples", (json_int_t) results_samples (&all[0]), "budget_tokens",
        (json_int_t) plan->budget_tokens, "arms", arms);
    if (plan->published)
        json_object_set_new (results, "published", json_string (plan->published));
    results_let_go (&tasks);
    return results;
}

/*  A scorer of one's own may tell of no success, and of other parts. */
static int results_check_quality (const plan_t *plan, const gathered_t *g, err_t *err)
{
    values_t v = results_values (g, plan->seeds_n, OF_SAMPLED, plan->quality, false);
    size_t n = v.n;
    results_let_go (&v);
    return n ? 0
             : err_set (err, ERR_CONFIG,
                        "%s: quality: no held-out task of arm %s has a value of '%s': name another "
                        "one (files in its evaluations/ have them all), and --resume",
                        plan->file, g->arm->name, plan->quality);
}

json_t *results_read (const plan_t *plan, const char *out, err_t *err)
{
    gathered_t *all = calloc (plan->arms_n, sizeof *all);
    json_t *results = NULL;
    int rc = all ? 0 : err_set (err, ERR_LIMIT, "no memory for the results");
    for (size_t i = 0; rc == 0 && i < plan->arms_n; i++)
        rc = results_gather (&all[i], plan, &plan->arms[i], out, err);
    for (size_t i = 0; rc == 0 && i < plan->arms_n; i++)
        rc = results_check_quality (plan, &all[i], err);
    if (rc == 0)
        results = results_all (plan, all);
    for (size_t i = 0; all && i < plan->arms_n; i++)
        results_release (&all[i]);
    free (all);
    return results;
}

const json_t *results_cell (const json_t *arm, const char *key)
{
    const json_t *cell = json_object_get (json_object_get (arm, "columns"), key);
    if (!cell)
        cell = json_object_get (json_object_get (arm, "times"), key);
    return cell ? cell : json_object_get (arm, key);
}

/*  No "-0.0": a difference that is rounded to nothing has no sign. */
static double results_rounded (const json_t *cell, const char *key, int digits)
{
    double value = json_number_value (json_object_get (cell, key));
    return fabs (value) < 0.5 * pow (10, -digits) ? 0 : value;
}

const char *results_text (const json_t *cell, int digits, char text[RESULTS_TEXT])
{
    if (!json_is_object (cell))
        return "-";
    snprintf (text, RESULTS_TEXT, "%s [%s, %s]",
              DECIMAL (results_rounded (cell, "value", digits), digits),
              DECIMAL (results_rounded (cell, "low", digits), digits),
              DECIMAL (results_rounded (cell, "high", digits), digits));
    return text;
}

const json_t *results_arm (const json_t *results, const char *name)
{
    const json_t *arm;
    size_t i;
    json_array_foreach (json_object_get (results, "arms"), i, arm)
        if (results_is (arm, "name", name))
            return arm;
    return NULL;
}

/*  quintet experiment - several ways to train, on the same tasks and seeds, and one table.
 *
 *  The story: the file says which arms there are (experiment/plan); each is an ordinary run under
 *  each seed, one after the other, as a command of its own (arm, child); then each is timed; then
 *  what their folders hold becomes one result (results), and that tables, a figure and a page.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/printable.h"
#include "watch/folder.h"
#include "watch/history.h"
#include "cli.h"
#include "experiment/arm.h"
#include "experiment/child.h"
#include "experiment/figure.h"
#include "experiment/results.h"
#include "experiment/sheet.h"
#include "experiment/table.h"
#include "report/ending.h"
#include "view/style.h"

#define EXPERIMENT_FILE    "experiment.yml" /* in its folder: the file that it was started with */
#define EXPERIMENT_STOPPED 130

static const args_option_t options[] = {
    {"--seeds", "N", "", "how many seeds; in place of the file's own number"},
    {"--out", "DIR", "", "folder of the experiment (runs/NAME, or the next free runs/NAME-2 ...)"},
    {"--resume", NULL, NULL,
     "go on where the experiment in --out (or the last of that name) stopped"},
    {"--set", "SECTION.KEY=VALUE...", NULL, "override a key of every arm, as model.path=DIR"},
    {"--check", NULL, NULL, "check every arm and list them; start nothing"},
    {0}};

static const args_spec_t spec = {
    .program = "quintet experiment",
    .about =
        "Compares several ways to train: every arm of FILE under every seed, one after the other,\n"
        "on the same held-out tasks; then one table with intervals, a figure and a page.\n\n"
        "  quintet experiment deploy/experiments/coding.yml --seeds 3\n"
        "  quintet experiment deploy/experiments/coding.yml --resume\n\n"
        "An arm is a configuration and what is set otherwise; one more arm is a few lines:\n\n"
        "  base: ../config/coding.yml               # of every arm; beside this file\n"
        "  seeds: [1, 2, 3]                         # run.seed, one run for each\n"
        "  set: [evaluation.samples=4]              # of every arm\n"
        "  budget_tokens: 400000                    # sampled tokens of every trained arm; may be\n"
        "                                           # left out: then trainer.steps ends them\n"
        "  arms:\n"
        "    single:\n"
        "      title: Single agent, untrained\n"
        "      train: false                         # evaluated as it begins\n"
        "      set: [team.roles=solo]\n"
        "      published: {quality: 0.71}           # shown beside ours\n"
        "    team:\n"
        "      title: Team + GRPO, a policy per role\n"
        "      set: [team.policies=per_role]\n"
        "    swapped:\n"
        "      title: The same, roles swapped\n"
        "      train: false\n"
        "      set: [team.policies=per_role]\n"
        "      weights: {aux: team/main, main: team/aux}   # of an arm above; or all: weights: "
        "team\n"
        "      compare_to: team                     # a second table says what differs\n\n"
        "Each arm is an ordinary run's folder, OUT/ARM/seed-N, which `quintet report`, `runs`,\n"
        "`eval` and `play` take. In OUT there will be results.json, table.md, figure.svg and\n"
        "report.html. Other keys of the file: name, title, quality (which value of an episode is\n"
        "an arm's quality: success, quality, agreement, part/NAME), relative_to (the arm that\n"
        "speed is compared with), clock_tasks (how many tasks are timed, one at a time), "
        "published\n"
        "(where the published values are from).",
    .positional = "FILE",
    .options = options};

typedef struct {
    plan_t *plan;
    char out[FS_PATH_MAX];
    bool resume, screen;
    buf_t command;
    int history;
    /* of the arm that runs */
    const arm_t *arm;
    size_t number, of;  /* runs of all arms and seeds */
    size_t step, round; /* of timing */
    double started_s;
} experiment_t;

/*  ---- where ---------------------------------------------------------------------------------- */

static bool cmd_experiment_is_there (const char *dir)
{
    char path[FS_PATH_MAX];
    return fs_join (path, dir, EXPERIMENT_FILE, NULL) == 0 && fs_exists (path);
}

/*  The last of NAME, NAME-2 ... to go on with, else the first free one. */
static void cmd_experiment_find (experiment_t *e, const char *given)
{
    char base[FS_PATH_MAX];
    size_t taken = 0;
    if (*given) {
        snprintf (e->out, sizeof e->out, "%s", given);
        return;
    }
    snprintf (base, sizeof base, "runs/%s", e->plan->name);
    for (;; taken++) {
        folder_numbered (e->out, base, taken + 1);
        if (!cmd_experiment_is_there (e->out) && !folder_taken (e->out))
            break;
    }
    if (e->resume && taken)
        folder_numbered (e->out, base, taken);
}

static int cmd_experiment_check_folder (const experiment_t *e, err_t *err)
{
    bool holds = cmd_experiment_is_there (e->out);
    if (history_check (e->out, err) != 0)
        return -1;
    if (folder_holds_run (e->out))
        return err_set (err, ERR_CONFIG, "%.600s holds a run: name another folder with --out",
                        e->out);
    if (holds && !e->resume)
        return err_set (err, ERR_CONFIG,
                        "%.400s holds an experiment already: go on with --resume, or name another "
                        "folder, such as --out %.400s-2",
                        e->out, e->out);
    if (!holds && e->resume)
        return err_set (err, ERR_CONFIG, "%.600s holds no experiment to resume: leave --resume out",
                        e->out);
    return 0;
}

/*  ---- one run -------------------------------------------------------------------------------- */

static double cmd_experiment_number (const json_t *line, const char *key)
{
    return json_number_value (json_object_get (line, key));
}

/*  In place on a terminal; elsewhere a run is one line, at its end. */
static void cmd_experiment_on_line (void *context, const json_t *line)
{
    experiment_t *e = context;
    const char *event = json_string_value (json_object_get (line, "event"));
    if (event && strcmp (event, "step") == 0)
        e->step = (size_t) cmd_experiment_number (line, "step");
    if (!event || !e->screen || (strcmp (event, "step") != 0 && strcmp (event, "ready") != 0))
        return;
    printf ("\r\033[K[%zu/%zu] %.40s, seed %llu: step %zu of %zu, %.0f s", e->number, e->of,
            e->arm->arm->title, (unsigned long long) e->arm->seed, e->step, e->arm->steps,
            clock_s () - e->started_s);
    if (strcmp (event, "step") == 0)
        printf (", reward %.3f", cmd_experiment_number (line, "reward_mean"));
    fflush (stdout);
}

static void cmd_experiment_say (const experiment_t *e, const char *what)
{
    printf ("%s[%zu/%zu] %.60s, seed %llu: %s\n", e->screen ? "\r\033[K" : "", e->number, e->of,
            e->arm->arm->title, (unsigned long long) e->arm->seed, what);
    fflush (stdout);
}

static int cmd_experiment_run_arm (experiment_t *e, arm_t *arm, err_t *err)
{
    char text[96];
    e->arm = arm;
    e->number++;
    e->step = 0;
    e->started_s = clock_s ();
    if (arm->finished) {
        cmd_experiment_say (e, "is there");
        return 0;
    }
    if (arm->begun)
        cmd_experiment_say (e, "goes on");
    if (arm_run (arm, cmd_experiment_on_line, e, err) != 0)
        return err_wrap (err, "arm %s, seed %llu", arm->arm->name, (unsigned long long) arm->seed);
    if (arm->arm->train)
        snprintf (text, sizeof text, "%zu steps, %.1f s", e->step, clock_s () - e->started_s);
    else
        snprintf (text, sizeof text, "evaluated, %.1f s", clock_s () - e->started_s);
    cmd_experiment_say (e, text);
    return 0;
}

/*  ---- all of them ---------------------------------------------------------------------------- */

/*  Seeds are the outer loop: what was stopped early has whole comparisons. */
static int cmd_experiment_each (experiment_t *e,
                                int (*each) (experiment_t *e, arm_t *arm, err_t *err), err_t *err)
{
    for (size_t s = 0; s < e->plan->seeds_n; s++)
        for (size_t a = 0; a < e->plan->arms_n; a++) {
            arm_t arm = {.plan = e->plan,
                         .arm = &e->plan->arms[a],
                         .seed = e->plan->seeds[s],
                         .out = e->out};
            if (arm_find (&arm, err) != 0 || each (e, &arm, err) != 0)
                return -1;
        }
    return 0;
}

static int cmd_experiment_only_find (experiment_t *e, arm_t *arm, err_t *err)
{
    (void) e, (void) arm, (void) err;
    return 0;
}

static int cmd_experiment_clock_arm (experiment_t *e, arm_t *arm, err_t *err)
{
    if (arm->rounds > e->round || e->plan->clock_tasks == 0)
        return 0;
    if (e->screen)
        printf ("\r\033[Ktiming, round %zu of %d: %.40s, seed %llu", e->round + 1, ARM_ROUNDS,
                arm->arm->title, (unsigned long long) arm->seed);
    fflush (stdout);
    return arm_clock (arm, err) == 0 ? 0
                                     : err_wrap (err, "timing arm %s, seed %llu", arm->arm->name,
                                                 (unsigned long long) arm->seed);
}

static int cmd_experiment_put (const experiment_t *e, const char *name, const buf_t *text,
                               err_t *err)
{
    char path[FS_PATH_MAX];
    return buf_check (text, name, err) == 0 && fs_join (path, e->out, name, err) == 0
               ? fs_write (path, text->data, text->size, err)
               : -1;
}

static int cmd_experiment_write (const experiment_t *e, err_t *err)
{
    buf_t text = {0};
    json_t *results = results_read (e->plan, e->out, err);
    if (!results)
        return -1;
    char *dumped = json_dumps (results, JSON_INDENT (2) | JSON_REAL_PRECISION (9));
    buf_printf (&text, "%s\n", dumped ? dumped : "{}");
    free (dumped);
    int rc = cmd_experiment_put (e, "results.json", &text, err);
    buf_clear (&text);
    table_write (results, TABLE_MARKDOWN, &text);
    if (rc == 0)
        rc = cmd_experiment_put (e, "table.md", &text, err);
    buf_clear (&text);
    figure_draw (results, &text);
    if (rc == 0)
        rc = cmd_experiment_put (e, "figure.svg", &text, err);
    if (rc == 0)
        rc = sheet_write (e->plan, results, e->out, err);
    if (rc == 0)
        table_print (results, stdout);
    buf_free (&text);
    json_decref (results);
    return rc;
}

static int cmd_experiment_check (const experiment_t *e, err_t *err)
{
    int rc = 0;
    for (size_t a = 0; rc == 0 && a < e->plan->arms_n; a++) {
        if (e->screen)
            printf ("\r\033[K[%zu/%zu] %.60s: checked before anything starts", a + 1,
                    e->plan->arms_n, e->plan->arms[a].title);
        fflush (stdout);
        rc = plan_check (e->plan, &e->plan->arms[a], err);
    }
    if (e->screen)
        printf ("\r\033[K");
    return rc;
}

static int cmd_experiment_start (experiment_t *e, err_t *err)
{
    /* Everything that can be wrong is said before anything is written. */
    if (cmd_experiment_check_folder (e, err) != 0 || cmd_experiment_check (e, err) != 0 ||
        cmd_experiment_each (e, cmd_experiment_only_find, err) != 0 ||
        fs_mkdirs (e->out, err) != 0 ||
        history_begin (e->out, e->command.data, &e->history, err) != 0)
        return -1;
    return cmd_experiment_put (e, EXPERIMENT_FILE, &e->plan->text, err);
}

/*  What would run: each arm, and what it sets. */
static int cmd_experiment_list (const experiment_t *e, err_t *err)
{
    if (cmd_experiment_check (e, err) != 0)
        return -1;
    printf ("%s\n", e->plan->title);
    for (size_t a = 0; a < e->plan->arms_n; a++) {
        const plan_arm_t *arm = &e->plan->arms[a];
        printf ("  %-12s %s%s\n", arm->name, arm->title, arm->train ? "" : " (not trained)");
        for (size_t i = 0; i < arm->set_n; i++)
            printf ("%16s%s\n", "", arm->set[i]);
    }
    printf ("%zu arms x %zu seed%s\n", e->plan->arms_n, e->plan->seeds_n,
            e->plan->seeds_n == 1 ? "" : "s");
    return 0;
}

static int cmd_experiment_execute (experiment_t *e, err_t *err)
{
    if (cmd_experiment_start (e, err) != 0)
        return -1;
    e->of = e->plan->arms_n * e->plan->seeds_n;
    printf ("%s: %zu arms, %zu seed%s; folder: %s\n", e->plan->title, e->plan->arms_n,
            e->plan->seeds_n, e->plan->seeds_n == 1 ? "" : "s", e->out);
    fflush (stdout);
    if (cmd_experiment_each (e, cmd_experiment_run_arm, err) != 0)
        return -1;
    /* Timed last, and in turn, so that all find the machine alike. */
    for (; e->round < ARM_ROUNDS; e->round++) {
        if (e->plan->clock_tasks && !e->screen)
            printf ("timing all arms, round %zu of %d\n", e->round + 1, ARM_ROUNDS);
        if (cmd_experiment_each (e, cmd_experiment_clock_arm, err) != 0)
            return -1;
    }
    if (e->screen)
        printf ("\r\033[K");
    return cmd_experiment_write (e, err);
}

static void cmd_experiment_say_resume (const experiment_t *e)
{
    buf_t out = {0};
    printable_text (&out, e->out, strlen (e->out), PRINTABLE_LINE);
    fprintf (stderr, "to go on: quintet experiment %s --resume --out %s\n", e->plan->file,
             out.data ? out.data : "");
    buf_free (&out);
}

static int cmd_experiment_finish (experiment_t *e, int rc, const err_t *err)
{
    bool began = e->history >= 0;
    if (rc != 0 && child_interrupted ()) {
        history_end (e->history, HISTORY_STOPPED, "");
        fprintf (stderr, "\nstopped; ");
        cmd_experiment_say_resume (e);
        return EXPERIMENT_STOPPED;
    }
    history_end (e->history, rc == 0 ? HISTORY_FINISHED : HISTORY_FAILED, rc == 0 ? "" : err->text);
    if (rc == 0)
        printf ("\nEverything is in %s: report.html, table.md, figure.svg, results.json, and a "
                "folder for each arm.\n",
                e->out);
    if (rc == 0)
        return EXIT_SUCCESS;
    int status = cli_fail ("experiment", err);
    if (began)
        cmd_experiment_say_resume (e);
    return status;
}

static int cmd_experiment_run (int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    args_t *args = cli_args (&spec, argc, argv, &status);
    if (!args)
        return status;
    err_t err = {0};
    experiment_t e = {.history = -1, .screen = style_terminal (stdout)};
    long long seeds = 0;
    size_t sets_n;
    const char *const *sets = args_repeated (args, "--set", &sets_n);
    ending_command (argc, argv, &e.command);
    e.resume = args_flag (args, "--resume");
    e.plan = plan_load (args_positional (args), &err);
    int rc = e.plan ? plan_set (e.plan, sets, sets_n, &err) : -1;
    if (rc == 0 && *args_value (args, "--seeds"))
        rc = args_number (args, "--seeds", 1, PLAN_SEEDS_MAX, &seeds, &err);
    if (rc == 0 && seeds)
        plan_count_seeds (e.plan, (size_t) seeds);
    if (rc == 0 && args_flag (args, "--check")) {
        rc = cmd_experiment_list (&e, &err);
        status = rc == 0 ? EXIT_SUCCESS : cli_fail ("experiment", &err);
    } else if (rc == 0) {
        child_catch ();
        cmd_experiment_find (&e, args_value (args, "--out"));
        rc = cmd_experiment_execute (&e, &err);
        status = cmd_experiment_finish (&e, rc, &err);
    } else {
        status = cli_fail ("experiment", &err);
    }
    plan_destroy (&e.plan);
    buf_free (&e.command);
    args_destroy (&args);
    return status;
}

const cli_command_t cli_experiment = {"experiment", "FILE", "compare ways to train in one table",
                                      cmd_experiment_run};

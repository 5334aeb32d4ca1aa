/*  quintet runs - the runs in a folder, side by side: how far each came, what it reached, and what
 *  was set otherwise. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/decimal.h"
#include "base/fs.h"
#include "base/printable.h"
#include "cli.h"
#include "conf/conf.h"
#include "report/result.h"
#include "svc/svc.h"
#include "watch/folder.h"
#include "watch/lines.h"
#include "watch/summary.h"
#include "view/style.h"

#define RUNS_MAX    4096
#define ROW_COLUMNS 63 /* of a row, without the name */

static const args_option_t options[] = {{"--json", NULL, NULL, "one object per run"}, {0}};

static const args_spec_t spec = {
    .program = "quintet runs",
    .about =
        "Lists the runs in a folder (default: runs), oldest first: state, steps, the pass\n"
        "rates of its first and newest evaluation (q: the quality, where no success is judged),\n"
        "and the tokens of the critical path. Below a run stands what was set otherwise than in\n"
        "the first one listed.\n\n"
        "  quintet runs\n"
        "  quintet runs /data/sweep --json\n",
    .positional = "[DIR]",
    .options = options};

/*  What one folder says of its run. What is not there yet, or cannot be read, is not known. */
typedef struct {
    char dir[FS_PATH_MAX];
    summary_t summary;
    conf_t *conf;  /* or NULL */
    char *differs; /* from the first run, as conf_differences says it; or NULL */
} listed_t;

typedef struct {
    listed_t run[RUNS_MAX];
    size_t n, left_out; /* more than there is room for */
} runs_t;

static void cmd_runs_take_line (void *run, json_t *line)
{
    summary_line (&((listed_t *) run)->summary, line);
}

static void cmd_runs_read (listed_t *run, const char *dir)
{
    *run = (listed_t){.summary = SUMMARY_NONE};
    run->summary.step = 0;
    snprintf (run->dir, sizeof run->dir, "%s", dir);
    summary_look (&run->summary, dir);
    lines_each (dir, "metrics.jsonl", cmd_runs_take_line, run);
    run->conf = folder_conf (dir);
}

static void cmd_runs_free (runs_t *runs)
{
    for (size_t i = 0; i < runs->n; i++) {
        summary_free (&runs->run[i].summary);
        conf_destroy (&runs->run[i].conf);
        free (runs->run[i].differs);
    }
    free (runs);
}

/*  DIR may be a run itself; else each folder in it that holds one counts. */
static int cmd_runs_find (runs_t *runs, const char *dir, err_t *err)
{
    struct dirent **entries = NULL;
    if (folder_holds_run (dir)) {
        cmd_runs_read (&runs->run[runs->n++], dir);
        return 0;
    }
    int n = scandir (dir, &entries, NULL, alphasort);
    if (n < 0)
        return err_set (err, ERR_INPUT, "%s: there is no such folder", dir);
    for (int i = 0; i < n; i++) {
        char path[FS_PATH_MAX];
        if (entries[i]->d_name[0] != '.' && fs_join (path, dir, entries[i]->d_name, NULL) == 0 &&
            folder_holds_run (path)) {
            if (runs->n < RUNS_MAX)
                cmd_runs_read (&runs->run[runs->n++], path);
            else
                runs->left_out++;
        }
        free (entries[i]);
    }
    free (entries);
    return runs->n ? 0 : err_set (err, ERR_INPUT, "%s: no run is in it", dir);
}

/*  Oldest first: the newest then stands where one looks, above the prompt. */
static int cmd_runs_by_start (const void *a, const void *b)
{
    const listed_t *x = a, *y = b;
    double first = isnan (x->summary.started_s) ? 0 : x->summary.started_s;
    double second = isnan (y->summary.started_s) ? 0 : y->summary.started_s;
    return first != second ? (first > second ? 1 : -1) : strcmp (x->dir, y->dir);
}

static void cmd_runs_compare (runs_t *runs)
{
    const conf_t *first = NULL;
    for (size_t i = 0; i < runs->n; i++) {
        listed_t *run = &runs->run[i];
        buf_t text = {0};
        if (run->conf && first)
            conf_differences (run->conf, first, &text);
        if (run->conf && !first)
            first = run->conf;
        if (text.size)
            run->differs = buf_take (&text);
        buf_free (&text);
    }
}

/*  ---- for people ----------------------------------------------------------------------------- */

static double cmd_runs_number (const json_t *evaluation, const char *key)
{
    const json_t *value = json_object_get (evaluation, key);
    return json_is_number (value) ? json_number_value (value) : NAN;
}

/*  "0.193 -> 1.000"; one figure where there was one evaluation, "-" where there was none. A run
 *  whose scorer judges no success has "q 0.41 -> 0.63", of its quality. */
static void cmd_runs_rate (const json_t *before, const json_t *after, const char *key,
                           const char *otherwise, char text[32])
{
    double was = cmd_runs_number (before, key), is = cmd_runs_number (after, key);
    int digits = 3;
    if (!isfinite (was) && !isfinite (is)) {
        was = cmd_runs_number (before, otherwise);
        is = cmd_runs_number (after, otherwise);
        digits = 2;
    }
    bool quality = digits == 2 && (isfinite (was) || isfinite (is));
    int n = snprintf (text, 32, "%s%.10s", quality ? "q " : "",
                      isfinite (was) ? DECIMAL (was, digits) : "-");
    if (after != before)
        snprintf (text + n, 32 - (size_t) n, " -> %.10s",
                  isfinite (is) ? DECIMAL (is, digits) : "-");
}

static style_t cmd_runs_style (const char *state)
{
    return strcmp (state, "finished") == 0  ? STYLE_GOOD
           : strcmp (state, "running") == 0 ? STYLE_HEAD
           : strcmp (state, "failed") == 0  ? STYLE_BAD
                                            : STYLE_NOTE;
}

/*  The last part of its path, which is what differs. */
static const char *cmd_runs_name (const listed_t *run)
{
    const char *base = strrchr (run->dir, '/');
    return base && base[1] ? base + 1 : run->dir;
}

/*  name, columns: the width of the first column, and of the terminal. */
static void cmd_runs_print (const listed_t *run, size_t name, size_t columns)
{
    char sampled[32], greedy[32], steps[48], started[32] = "-";
    const json_t *after = run->summary.after;
    double path = cmd_runs_number (after, "critical_path_tokens");
    time_t seconds = (time_t) run->summary.started_s;
    struct tm parts;
    buf_t text = {0};
    const char *base = cmd_runs_name (run);
    size_t wide = printable_cut (&text, base, strlen (base), name);
    int n = snprintf (steps, sizeof steps, "%lld", (long long) run->summary.step);
    if (run->conf)
        snprintf (steps + n, sizeof steps - (size_t) n, "/%lld",
                  (long long) run->conf->trainer.steps);
    if (!isnan (run->summary.started_s) && localtime_r (&seconds, &parts))
        strftime (started, sizeof started, "%m-%d %H:%M", &parts);
    cmd_runs_rate (run->summary.before, after, "sampled", "quality", sampled);
    cmd_runs_rate (after, after, "greedy", "greedy_quality", greedy);
    printf ("%s%*s %-11s %s%-10s%s %9s  %-14s %6s %6s\n", text.data ? text.data : "",
            (int) (name - wide), "", started, style (cmd_runs_style (run->summary.state)),
            run->summary.state, style (STYLE_NONE), steps, sampled, greedy,
            isfinite (path) ? DECIMAL (path, 1) : "-");
    buf_clear (&text);
    if (run->differs) {
        printable_cut (&text, run->differs, strlen (run->differs), columns - 4);
        printf ("    %s%s%s\n", style (STYLE_FAINT), text.data ? text.data : "",
                style (STYLE_NONE));
    }
    buf_free (&text);
}

/*  Where nobody looks at a terminal, nothing is cut. */
static void cmd_runs_table (const runs_t *runs)
{
    size_t columns = style_columns (stdout), name = strlen ("run");
    style_choose (style_terminal (stdout), false);
    if (!columns)
        columns = isatty (STDOUT_FILENO) ? 80 : SIZE_MAX;
    if (columns < ROW_COLUMNS + 8)
        columns = ROW_COLUMNS + 8;
    for (size_t i = 0; i < runs->n; i++)
        if (strlen (cmd_runs_name (&runs->run[i])) > name)
            name = strlen (cmd_runs_name (&runs->run[i]));
    if (name > columns - ROW_COLUMNS)
        name = columns - ROW_COLUMNS;
    printf ("%s%-*s %-11s %-10s %9s  %-14s %6s %6s%s\n", style (STYLE_HEAD), (int) name, "run",
            "started", "state", "steps", "sampled", "greedy", "path", style (STYLE_NONE));
    for (size_t i = 0; i < runs->n; i++)
        cmd_runs_print (&runs->run[i], name, columns);
    if (runs->left_out)
        printf ("and %zu more\n", runs->left_out);
}

/*  ---- for programs --------------------------------------------------------------------------- */

static void cmd_runs_add_number (json_t *object, const char *key, double value)
{
    if (isfinite (value))
        json_object_set_new (object, key, json_real (value));
}

/*  What is not known is left out, as in metrics.jsonl. A folder's name may hold any bytes. */
static void cmd_runs_print_json (const listed_t *run)
{
    json_t *line = json_object ();
    buf_t dir = {0};
    printable_text (&dir, run->dir, strlen (run->dir), PRINTABLE_LINE);
    json_object_set_new (line, "dir", json_string (dir.data ? dir.data : ""));
    json_object_set_new (line, "state", json_string (run->summary.state));
    json_object_set_new (line, "step", json_integer (run->summary.step));
    if (run->conf)
        json_object_set_new (line, "steps", json_integer (run->conf->trainer.steps));
    cmd_runs_add_number (line, "started_s", run->summary.started_s);
    cmd_runs_add_number (line, "wall_s", run->summary.wall_s);
    if (run->summary.before)
        json_object_set (line, "before", run->summary.before);
    if (run->summary.after && run->summary.after != run->summary.before)
        json_object_set (line, "after", run->summary.after);
    if (run->differs)
        json_object_set_new (line, "differs", json_string (run->differs));
    cli_print_json (line, 13);
    buf_free (&dir);
}

static int cmd_runs_run (int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    args_t *args = cli_args (&spec, argc, argv, &status);
    if (!args)
        return status;
    err_t err = {0};
    const char *dir = args_positional (args);
    runs_t *runs = calloc (1, sizeof *runs);
    if (!runs)
        status = EXIT_FAILURE;
    else if (cmd_runs_find (runs, dir ? dir : "runs", &err) != 0)
        status = cli_fail ("runs", &err);
    else {
        qsort (runs->run, runs->n, sizeof *runs->run, cmd_runs_by_start);
        cmd_runs_compare (runs);
        if (!args_flag (args, "--json"))
            cmd_runs_table (runs);
        else
            for (size_t i = 0; i < runs->n; i++)
                cmd_runs_print_json (&runs->run[i]);
    }
    if (runs)
        cmd_runs_free (runs);
    args_destroy (&args);
    return status;
}

const cli_command_t cli_runs = {"runs", "[DIR]", "list runs, with what each reached", cmd_runs_run};

/*  quintet report - makes the page of a run, whatever became of it. */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "report/report.h"
#include "svc/svc.h"
#include "watch/lines.h"

static const args_option_t options[] = {{0}};

static const args_spec_t spec = {
    .program = "quintet report",
    .about = "Writes DIR/report.html from what a run has left in DIR so far: finished, stopped,\n"
             "failed, or still going on (a run writes it now and then by itself).\n\n"
             "  quintet report runs/coding\n",
    .positional = "DIR",
    .options = options};

static void cmd_report_skip (void *context, json_t *line)
{
    (void) context;
    (void) line;
}

/*  The page shows the others. */
static void cmd_report_say_passed (const char *dir)
{
    static const char *const files[] = {"metrics.jsonl", "solo/metrics.jsonl"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        lines_passed_t passed = lines_each (dir, files[i], cmd_report_skip, NULL);
        if (passed.n)
            fprintf (stderr,
                     "quintet report: %s/%s: %zu line%s cannot be read, the first is line %zu; the "
                     "page has the others\n",
                     dir, files[i], passed.n, passed.n == 1 ? "" : "s", passed.first);
    }
}

static int cmd_report_run (int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    args_t *args = cli_args (&spec, argc, argv, &status);
    if (!args)
        return status;
    err_t err = {0};
    const char *dir = args_positional (args);
    if (report_write (dir, &err) == 0) {
        printf ("%s/report.html\n", dir);
        cmd_report_say_passed (dir);
    } else {
        status = cli_fail ("report", &err);
    }
    args_destroy (&args);
    return status;
}

const cli_command_t cli_report = {"report", "DIR", "make the page of a run, at any time",
                                  cmd_report_run};

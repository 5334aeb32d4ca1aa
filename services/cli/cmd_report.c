/*  quintet report - makes the page of a run, whatever became of it. */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "report/report.h"
#include "svc/svc.h"

static const args_option_t options[] = {{0}};

static const args_spec_t spec = {
    .program = "quintet report",
    .about = "Writes DIR/report.html from what a run has left in DIR so far: finished, stopped,\n"
             "failed, or still going on (a run writes it now and then by itself).\n\n"
             "  quintet report runs/coding\n",
    .positional = "DIR",
    .options = options};

static int cmd_report_run (int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    args_t *args = cli_args (&spec, argc, argv, &status);
    if (!args)
        return status;
    err_t err = {0};
    const char *dir = args_positional (args);
    buf_t unread = {0};
    if (report_write (dir, &unread, &err) == 0)
        printf ("%s/report.html\n", dir);
    else
        status = cli_fail ("report", &err);
    if (unread.size)
        fprintf (stderr, "quintet report: %s: %s; the page has the others\n", dir, unread.data);
    buf_free (&unread);
    args_destroy (&args);
    return status;
}

const cli_command_t cli_report = {"report", "DIR", "make the page of a run, at any time",
                                  cmd_report_run};

/*  quintet trace - where the time of one episode went. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "trace/trace.h"
#include "view/style.h"

#define COLUMNS 100 /* where no terminal says how many */

static const args_option_t trace_options[] = {
    {"--phase", "NAME", "train",
     "or eval-sampled, eval-greedy, where STEP is that of the evaluation"},
    {"--json", NULL, NULL, "one object, with a list of spans"},
    {"--otlp", "FILE", "", "write it as OTLP's JSON, for other viewers of traces; -: print it"},
    {0}};

static const args_spec_t trace_spec = {
    .program = "quintet trace",
    .about =
        "Shows the way of one episode through the services, as a waterfall: how long it waited "
        "for\n"
        "an environment, what that asked of whom, how much of an answer's time was the bus's "
        "queue,\n"
        "and how much the worker's. Episodes are named as in completions.jsonl. What an agent\n"
        "computes for the episodes of a group together, each of them waited for.\n\n"
        "  quintet trace runs/coding/12/3/0\n"
        "  quintet trace runs/coding/12/3/0 --otlp - | curl -H 'Content-Type: application/json' "
        "\\\n"
        "      --data-binary @- http://127.0.0.1:4318/v1/traces\n",
    .positional = "FOLDER/STEP/GROUP/EPISODE",
    .options = trace_options};

static int cmd_trace_phase (const char *name, wire_phase_t *phase, err_t *err)
{
    for (int p = 0; p < WIRE_PHASE_COUNT; p++)
        if (strcmp (wire_phase_name ((wire_phase_t) p), name) == 0) {
            *phase = (wire_phase_t) p;
            return 0;
        }
    return err_set (err, ERR_CONFIG, "--phase %s: train, eval-sampled or eval-greedy is wanted",
                    name);
}

static int cmd_trace_write (const trace_t *trace, const char *path, err_t *err)
{
    json_t *otlp = trace_otlp (trace);
    char *text = otlp ? json_dumps (otlp, JSON_COMPACT) : NULL;
    int rc = text ? 0 : err_set (err, ERR_LIMIT, "no memory for a trace");
    struct stat there;
    if (rc == 0 && strcmp (path, "-") == 0)
        puts (text);
    else if (rc == 0 && stat (path, &there) == 0 && !S_ISREG (there.st_mode))
        rc =
            err_set (err, ERR_CONFIG, "--otlp %.600s: it is there, and no file; - prints it", path);
    else if (rc == 0)
        rc = fs_write (path, text, strlen (text), err);
    free (text);
    json_decref (otlp);
    return rc;
}

static int cmd_trace_show (const trace_t *trace, const args_t *args, err_t *err)
{
    buf_t out = {0};
    size_t columns = style_columns (stdout);
    if (*args_value (args, "--otlp"))
        return cmd_trace_write (trace, args_value (args, "--otlp"), err);
    if (args_flag (args, "--json")) {
        cli_print_json (trace_json (trace), 0);
        return 0;
    }
    trace_waterfall (trace, columns ? columns : COLUMNS, &out);
    fwrite (out.data, 1, out.size, stdout);
    buf_free (&out);
    return 0;
}

static int cmd_trace_run (int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    args_t *args = cli_args (&trace_spec, argc, argv, &status);
    if (!args)
        return status;
    err_t err = {0};
    wire_phase_t phase = WIRE_TRAIN;
    trace_t *trace = NULL;
    if (cmd_trace_phase (args_value (args, "--phase"), &phase, &err) == 0)
        trace = trace_read (args_positional (args), phase, &err);
    int rc = trace ? cmd_trace_show (trace, args, &err) : -1;
    trace_destroy (&trace);
    args_destroy (&args);
    return rc == 0 ? EXIT_SUCCESS : cli_fail ("trace", &err);
}

const cli_command_t cli_trace = {"trace", "FOLDER/STEP/GROUP/EPISODE",
                                 "where an episode's time went", cmd_trace_run};

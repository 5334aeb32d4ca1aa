/*  quintet - the one command: trains teams, looks at runs, uses models. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/printable.h"
#include "cli.h"
#include "report/ending.h"
#include "svc/svc.h"

static const cli_command_t *const commands[] = {
    &cli_run,    &cli_experiment, &cli_eval,  &cli_report,   &cli_runs,     &cli_tap,
    &cli_play,   &cli_generate,   &cli_score, &cli_tokenize, &cli_pretrain, &cli_logits,
    &cli_models, &cli_keys,       &cli_top,   &cli_trace,    NULL};

static void main_help (FILE *to)
{
    fprintf (to, "quintet trains teams of language-model agents to work together.\n\n");
    for (size_t i = 0; commands[i]; i++) {
        int width = fprintf (to, "  quintet %s %s", commands[i]->name, commands[i]->arguments);
        fprintf (to, "%*s%s\n", width < 32 ? 32 - width : 1, "", commands[i]->help);
    }
    fprintf (to, "\nEach has a --help of its own with an example. To begin with:\n\n"
                 "  quintet run deploy/config/coding.yml\n");
}

args_t *cli_args (const args_spec_t *spec, int argc, char **argv, int *status)
{
    err_t err = {0};
    args_t *args = args_parse (spec, argc, argv, &err);
    if (!args) {
        fprintf (stderr, "%s: %s\n", spec->program, err.text);
        /* Looked for by hand: whoever reads JSON wants this error as JSON, too. */
        for (int i = 1; i < argc; i++)
            if (strcmp (argv[i], "--json") == 0)
                ending_error (err.text);
        *status = SVC_EXIT_CONFIG;
        return NULL;
    }
    if (!args_flag (args, "--help"))
        return args;
    args_help (spec, stdout);
    args_destroy (&args);
    *status = EXIT_SUCCESS;
    return NULL;
}

void cli_print_json (json_t *line, size_t digits)
{
    char *text = json_dumps (line, JSON_COMPACT | JSON_REAL_PRECISION (digits));
    puts (text ? text : "{}");
    free (text);
    json_decref (line);
}

int cli_fail (const char *name, const err_t *err)
{
    fprintf (stderr, "quintet %s: ", name);
    printable_print (stderr, err->text, strlen (err->text), PRINTABLE_LINE);
    fputc ('\n', stderr);
    bool wrong = err->code == ERR_CONFIG || err->code == ERR_INPUT;
    return wrong ? SVC_EXIT_CONFIG : err->code == ERR_BUSY ? SVC_EXIT_LATE : EXIT_FAILURE;
}

/*  The status to end with: output that went nowhere is no success. */
static int main_written (int status)
{
    if (fflush (stdout) == 0 && !ferror (stdout))
        return status;
    fprintf (stderr, "quintet: the output could not be written (is a disk full?)\n");
    return status == EXIT_SUCCESS ? EXIT_FAILURE : status;
}

static int main_run_command (const char *name, int argc, char **argv)
{
    for (size_t i = 0; commands[i]; i++)
        if (strcmp (commands[i]->name, name) == 0)
            return main_written (commands[i]->run (argc, argv));
    fprintf (stderr, "quintet: there is no command '%s' (quintet --help lists them)\n", name);
    return SVC_EXIT_CONFIG;
}

int main (int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "--help";
    /* The command speaks to people by itself; of its log they see warnings. */
    log_open ("quintet", LOG_WARN);
    if (argc > 2 && strcmp (word, "help") == 0) /* quintet help run */
        return main_run_command (argv[2], 2, (char *[]){argv[2], (char *) "--help", NULL});
    if (strcmp (word, "--version") == 0) {
        printf ("quintet %s\n", QUINTET_VERSION);
        return main_written (EXIT_SUCCESS);
    }
    if (strcmp (word, "--help") == 0 || strcmp (word, "-h") == 0 || strcmp (word, "help") == 0) {
        main_help (stdout);
        return main_written (EXIT_SUCCESS);
    }
    return main_run_command (word, argc - 1, argv + 1);
}

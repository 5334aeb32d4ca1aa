/*  quintet - the one command: trains teams, looks at runs, uses models. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/printable.h"
#include "cli.h"
#include "svc/svc.h"

static const cli_command_t *const commands[] = {&cli_run,      &cli_eval,   &cli_tap,
                                                &cli_generate, &cli_score,  &cli_tokenize,
                                                &cli_pretrain, &cli_logits, &cli_models};
#define COMMANDS (sizeof commands / sizeof *commands)

static void help (FILE *to)
{
    fprintf (to, "quintet trains teams of language-model agents to work together.\n\n");
    for (size_t i = 0; i < COMMANDS; i++) {
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

int cli_fail (const char *name, const err_t *err)
{
    fprintf (stderr, "quintet %s: ", name);
    printable_print (stderr, err->text, strlen (err->text), PRINTABLE_LINE);
    fputc ('\n', stderr);
    return err->code == ERR_CONFIG || err->code == ERR_INPUT ? SVC_EXIT_CONFIG : EXIT_FAILURE;
}

int main (int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "--help";
    log_open ("quintet", LOG_WARN);
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp (commands[i]->name, word) == 0)
            return commands[i]->run (argc - 1, argv + 1);
    if (strcmp (word, "--version") == 0) {
        printf ("quintet %s\n", QUINTET_VERSION);
        return EXIT_SUCCESS;
    }
    if (strcmp (word, "--help") == 0 || strcmp (word, "-h") == 0) {
        help (stdout);
        return EXIT_SUCCESS;
    }
    fprintf (stderr, "quintet: there is no command '%s' (quintet --help lists them)\n", word);
    return SVC_EXIT_CONFIG;
}

/*  cli - the subcommands of `quintet`.
 *
 *      static int run (int argc, char **argv) { ... }    gives an exit status
 *      const cli_command_t cli_run = {"run", "CONFIG", "train a team and watch it learn", run};
 */
#ifndef QUINTET_CLI_CLI_H
#define QUINTET_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "svc/args.h"

typedef struct {
    const char *name, *arguments, *help;
    int (*run) (int argc, char **argv);
} cli_command_t;

extern const cli_command_t cli_run, cli_eval, cli_tap, cli_generate, cli_tokenize, cli_logits,
    cli_models, cli_score, cli_pretrain, cli_play, cli_report, cli_runs, cli_experiment, cli_keys,
    cli_top, cli_trace;

/*  `quintet run` on behalf of another command, whose name errors begin with. passing: its folder
 *  is removed afterwards. */
int cli_run_for (const char *name, bool passing, int argc, char **argv);
/*  Parses the arguments of a subcommand; handles --help and wrong ones. NULL: *status is to be
 *  returned. */
args_t *cli_args (const args_spec_t *spec, int argc, char **argv, int *status);
/*  Prints an object as one line, its reals with so many digits (0: all), and lets it go. */
void cli_print_json (json_t *line, size_t digits);
/*  Prints "quintet NAME: text" and returns the exit status that fits. */
int cli_fail (const char *name, const err_t *err);

#endif

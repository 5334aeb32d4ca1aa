/*  quintet eval - a model on a configuration's held-out tasks: a run of no steps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "play/played.h"
#include "watch/folder.h"
#include "cli.h"

static const args_option_t options[] = {
    {"--model", "DIR", "",
     "in place of model.path, or with adapters of model.adapter_path (of `policies`: of those that "
     "are trained): a model, a checkpoint, or a run's folder, which means its newest checkpoint"},
    {"--out", "DIR", "", "keep the results there; else only printed"},
    {"--json", NULL, NULL, "one JSON object per line"},
    {"--set", "SECTION.KEY=VALUE...", NULL, "override a key"},
    {0}};

static const args_spec_t spec = {
    .program = "quintet eval",
    .about = "Evaluates a model on the held-out tasks of CONFIG, sampled and greedy, without "
             "training.\nA run's folder in place of CONFIG means its configuration and its newest "
             "checkpoint.\n\n"
             "  quintet eval runs/coding\n"
             "  quintet eval deploy/config/coding.yml --model runs/coding/checkpoints/best\n",
    .positional = "CONFIG",
    .options = options};

/*  Puts together the command line of `quintet run` with no steps: an evaluation is what a run does
 *  before its first step. */
static int cmd_eval_run (int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    args_t *args = cli_args (&spec, argc, argv, &status);
    if (!args)
        return status;
    char folder[] = "/tmp/quintet-eval-XXXXXX", out[FS_PATH_MAX];
    char policies[FOLDER_SET];
    char *words[ARGS_REPEATED_MAX * 2 + 24 + 4 * CONF_LIST_MAX];
    folder_sets_t begin = {0};
    size_t n = 0, sets_n;
    bool keep = *args_value (args, "--out");
    err_t err = {0};
    folder_plays_t plays;
    if (folder_plays (args_positional (args), args_value (args, "--model"), &plays, &err) != 0) {
        args_destroy (&args);
        return cli_fail ("eval", &err);
    }
    if (strcmp (plays.model, plays.weights) != 0)
        fprintf (stderr, "quintet eval: of the run in %s the newest checkpoint, %s\n", plays.model,
                 plays.weights);
    if (!keep && !mkdtemp (folder)) {
        fprintf (stderr, "quintet eval: no folder can be made in /tmp\n");
        args_destroy (&args);
        return EXIT_FAILURE;
    }
    snprintf (out, sizeof out, "%s%s", keep ? args_value (args, "--out") : folder,
              keep ? "" : "/run");
    const char *const *sets = args_repeated (args, "--set", &sets_n);
    /* One that cannot be read is read again by the run, which says why. */
    conf_t *conf = played_load ("eval", &plays, sets, sets_n, policies, NULL);
    if (*plays.weights)
        folder_weigh (conf, plays.weights, &begin);
    conf_destroy (&conf);
    const char *fixed[] = {"run",   plays.conf,        "--out", out,
                           "--set", "trainer.steps=0", "--set", "run.baseline=none"};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        words[n++] = (char *) (uintptr_t) fixed[i];
    for (size_t i = 0; i < begin.n; i++) {
        words[n++] = (char *) "--set";
        words[n++] = begin.word[i];
    }
    if (*policies) {
        words[n++] = (char *) "--set";
        words[n++] = policies;
    }
    /* Behind ours, as the last one given for a key counts. */
    for (size_t i = 0; i < sets_n; i++) {
        words[n++] = (char *) "--set";
        words[n++] = (char *) (uintptr_t) sets[i];
    }
    if (args_flag (args, "--json"))
        words[n++] = (char *) "--json";
    words[n] = NULL;
    status = cli_run_for ("eval", !keep, (int) n, words);
    if (!keep)
        fs_remove (folder, NULL);
    args_destroy (&args);
    return status;
}

const cli_command_t cli_eval = {"eval", "CONFIG", "evaluate a model on held-out tasks",
                                cmd_eval_run};

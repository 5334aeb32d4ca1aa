/*  quintet pretrain - a seed model from a task family's corpus, or from a file. */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "pretrain/pretrain.h"
#include "task/families.h"

static const args_option_t options[] = {
    {"--family", "NAME", "", TASK_FAMILY_CHOICES},
    {"--texts", "FILE", "", "lines of {\"prompt\", \"completion\"} instead of a family's"},
    {"--out", "DIR", "", "folder to make"},
    {"--steps", "N", "1200", "optimiser steps"},
    {"--batch", "N", "64", "texts per step"},
    {"--vocab", "N", "512", "tokens of the tokenizer"},
    {"--width", "N", "96", "of the model"},
    {"--layers", "N", "3", "of the model"},
    {"--heads", "N", "4", "of the model"},
    {"--ff", "N", "256", "of the model"},
    {"--seed", "N", "1", "the same gives the same bytes"},
    {"--threads", "N", "0", "0: one per core; changes no bit"},
    {0}};

static const args_spec_t spec = {
    .program = "quintet pretrain",
    .about =
        "Makes a small seed model: a tokenizer and a transformer trained on texts that the task\n"
        "family writes itself, in several conventions, or that a file has. Takes a minute or "
        "two.\n\n"
        "  quintet pretrain --family coding --out my-seed\n"
        "  quintet pretrain --texts texts.jsonl --out my-seed\n",
    .options = options};

/*  Heads of odd width could not be turned by rotary positions. */
static int cmd_pretrain_read_options (const args_t *args, pretrain_options_t *o, err_t *err)
{
    long long seed;
    const struct {
        const char *key;
        long long low, high;
        size_t *to;
    } numbers[] = {{"--steps", 1, 1000000, &o->steps}, {"--batch", 1, 4096, &o->batch},
                   {"--vocab", 258, 4096, &o->vocab},  {"--width", 8, 4096, &o->width},
                   {"--layers", 1, 64, &o->layers},    {"--heads", 1, 64, &o->heads},
                   {"--ff", 8, 16384, &o->ff},         {"--threads", 0, 1024, &o->threads}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        long long value;
        if (args_number (args, numbers[i].key, numbers[i].low, numbers[i].high, &value, err) != 0)
            return -1;
        *numbers[i].to = (size_t) value;
    }
    if (args_number (args, "--seed", 0, 1LL << 53, &seed, err) != 0)
        return -1;
    o->seed = (uint64_t) seed;
    o->task.family = args_value (args, "--family");
    o->out = args_value (args, "--out");
    o->file = *args_value (args, "--texts") ? args_value (args, "--texts") : NULL;
    if (!*o->task.family == !o->file || !*o->out)
        return err_set (err, ERR_CONFIG,
                        "--family NAME or --texts FILE, and --out DIR, are needed");
    if (o->width % o->heads || o->width / o->heads % 2)
        return err_set (err, ERR_CONFIG, "--width %zu is no even multiple of --heads %zu", o->width,
                        o->heads);
    return 0;
}

static int cmd_pretrain_run (int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    args_t *args = cli_args (&spec, argc, argv, &status);
    if (!args)
        return status;
    err_t err = {0};
    pretrain_options_t o = PRETRAIN_DEFAULTS;
    int rc = cmd_pretrain_read_options (args, &o, &err);
    if (rc == 0)
        rc = pretrain_run (&o, &err);
    if (rc == 0)
        printf ("%s is ready: quintet run CONFIG --set model.path=%s\n", o.out, o.out);
    args_destroy (&args);
    return rc == 0 ? EXIT_SUCCESS : cli_fail ("pretrain", &err);
}

const cli_command_t cli_pretrain = {"pretrain", "", "make a seed model", cmd_pretrain_run};

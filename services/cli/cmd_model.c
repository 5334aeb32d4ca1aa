/*  quintet tokenize, logits - parts of a model folder by themselves. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/printable.h"
#include "cli.h"
#include "play/opened.h"

/*  A terminal obeys control characters; whatever else reads gets the text as it is. */
static void cmd_model_print_text (const buf_t *text)
{
    if (isatty (STDOUT_FILENO))
        printable_print (stdout, text->data, text->size, PRINTABLE_LINES);
    else if (text->size)
        fwrite (text->data, 1, text->size, stdout);
    putchar ('\n');
}

/*  ---- tokenize ------------------------------------------------------------------------------- */

static const args_option_t tokenize_options[] = {
    {"--model", "DIR", "", "folder with a tokenizer.json"},
    {"--no-special", NULL, NULL, "without begin and end tokens"},
    {0}};

static const args_spec_t tokenize_spec = {
    .program = "quintet tokenize",
    .about =
        "Prints the token ids of a text, and the text that they decode to. The text is the "
        "argument,\n"
        "or without one (or with -) the standard input.\n\n"
        "  quintet tokenize --model deploy/models/coding 'def aux(xs):'\n"
        "  quintet tokenize --model deploy/models/coding -- '--text that looks like an option'\n",
    .positional = "[TEXT]",
    .options = tokenize_options};

static int cmd_model_run_tokenize (int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    args_t *args = cli_args (&tokenize_spec, argc, argv, &status);
    if (!args)
        return status;
    err_t err = {0};
    opened_t folder = {0};
    tokenizer_ids_t ids = {0};
    buf_t text = {0};
    int flags = args_flag (args, "--no-special") ? 0 : TOKENIZER_BOS;
    int rc = opened_read_text (args_positional (args), &text, &err);
    if (rc == 0)
        rc = opened_read_tokenizer (&folder, args_value (args, "--model"), &err);
    if (rc == 0)
        rc = tokenizer_encode (folder.tokenizer, text.data, text.size, flags, &ids, &err);
    if (rc == 0) {
        buf_t back = {0};
        for (size_t i = 0; i < ids.n; i++)
            printf ("%s%d", i ? "," : "", ids.data[i]);
        tokenizer_decode (folder.tokenizer, ids.data, ids.n, 0, &back);
        putchar ('\n');
        cmd_model_print_text (&back);
        buf_free (&back);
    }
    buf_free (&text);
    tokenizer_ids_free (&ids);
    opened_close (&folder);
    args_destroy (&args);
    return rc == 0 ? EXIT_SUCCESS : cli_fail ("tokenize", &err);
}

/*  ---- logits --------------------------------------------------------------------------------- */

static const args_option_t logits_options[] = {
    {"--model", "DIR", "", "Hugging Face model folder"},
    {"--adapter", "DIR", "", "PEFT folder with LoRA adapters of that model"},
    {"--compute", "TYPE", "f32", "f32, or bf16: half the memory, what the matrix products read"},
    {"--ids", "1,2,3", "", "token ids"},
    {"--json", NULL, NULL, "all logits as JSON; else the five likeliest per position"},
    {0}};

static const args_spec_t logits_spec = {
    .program = "quintet logits",
    .about = "Prints the logits after each of the given tokens.\n\n"
             "  quintet logits --model deploy/models/coding --ids 40,41,42 --json\n",
    .options = logits_options};

/*  An id takes a letter at least, so there are no more of them than letters. */
static int cmd_model_read_ids (const char *text, tokenizer_ids_t *ids, err_t *err)
{
    ids->data = calloc (strlen (text) + 1, sizeof *ids->data);
    while (ids->data && *text) {
        char *end;
        errno = 0;
        long id = strtol (text, &end, 10);
        if (end == text || errno || id < 0 || id > INT32_MAX || (*end && *end != ','))
            return err_set (err, ERR_CONFIG, "--ids: '%s' begins with no token id", text);
        ids->data[ids->n++] = (int32_t) id;
        if (*end && !end[1])
            return err_set (err, ERR_CONFIG, "--ids: nothing stands behind the last comma");
        text = *end ? end + 1 : end;
    }
    return ids->n ? 0 : err_set (err, ERR_CONFIG, "--ids 1,2,3 is missing");
}

/*  As JSON with nine digits, which read back to the same float. Else the five likeliest, each found
 *  by a pass of its own, as the row is another's and is not sorted. */
static void cmd_model_print_row (const float *logits, size_t vocab, bool json, bool last)
{
    if (json) {
        for (size_t i = 0; i < vocab; i++)
            printf ("%s%.9g", i ? "," : "[", (double) logits[i]);
        printf (last ? "]" : "],\n");
        return;
    }
    size_t shown[5];
    for (size_t k = 0; k < 5 && k < vocab; k++) {
        size_t best = vocab;
        for (size_t i = 0; i < vocab; i++) {
            bool taken = false;
            for (size_t j = 0; j < k; j++)
                taken |= shown[j] == i;
            if (!taken && (best == vocab || logits[i] > logits[best]))
                best = i;
        }
        shown[k] = best;
        printf ("%s%zu: %.4f", k ? "  " : "", best, (double) logits[best]);
    }
    printf ("\n");
}

static int cmd_model_run_logits (int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    args_t *args = cli_args (&logits_spec, argc, argv, &status);
    if (!args)
        return status;
    err_t err = {0};
    opened_t folder = {0};
    tokenizer_ids_t ids = {0};
    pool_t *pool = opened_pool ();
    float *logits = NULL;
    bool json = args_flag (args, "--json");
    int rc = cmd_model_read_ids (args_value (args, "--ids"), &ids, &err);
    if (rc == 0)
        rc = opened_load (&folder, args_value (args, "--model"), args_value (args, "--adapter"),
                          args_value (args, "--compute"), pool, &err);
    if (rc == 0) {
        const model_config_t *config = model_config (folder.model);
        /* A critic has one value for each token and no vocabulary. */
        size_t vocab = config->value_head ? 1 : config->vocab;
        logits = malloc (ids.n * vocab * sizeof *logits);
        rc = logits ? model_logits (folder.model, ids.data, ids.n, logits, pool, &err)
                    : err_set (&err, ERR_LIMIT, "no memory for the logits");
        if (rc == 0 && json)
            printf ("[");
        for (size_t i = 0; rc == 0 && i < ids.n; i++)
            cmd_model_print_row (logits + i * vocab, vocab, json, i + 1 == ids.n);
        if (rc == 0 && json)
            printf ("]\n");
    }
    free (logits);
    tokenizer_ids_free (&ids);
    opened_close (&folder);
    pool_destroy (&pool);
    args_destroy (&args);
    return rc == 0 ? EXIT_SUCCESS : cli_fail ("logits", &err);
}

const cli_command_t cli_tokenize = {"tokenize", "TEXT", "token ids of a text",
                                    cmd_model_run_tokenize};
const cli_command_t cli_logits = {"logits", "", "logits after given tokens", cmd_model_run_logits};

/*  quintet generate, tokenize, logits - a model folder by itself, without any service. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/printable.h"
#include "base/rng.h"
#include "cli.h"
#include "formats/hf.h"
#include "formats/peft.h"
#include "model/lora.h"
#include "model/sampler.h"
#include "text/chat.h"

#define TEXT_MAX ((size_t) 64 << 20)

/*  A model folder, opened, and its weights in a model. */
typedef struct {
    hf_t *hf;
    model_t *base; /* of an adapted model, else NULL */
    model_t *model;
    tokenizer_t *tokenizer;
    pool_t *pool;
} loaded_t;

static void cmd_model_unload (loaded_t *l)
{
    tokenizer_destroy (&l->tokenizer);
    model_destroy (&l->model);
    model_destroy (&l->base);
    hf_destroy (&l->hf);
    pool_destroy (&l->pool);
}

static int cmd_model_load_tokenizer (loaded_t *l, const char *dir, err_t *err)
{
    char path[FS_PATH_MAX];
    buf_t text = {0};
    if (!*dir)
        return err_set (err, ERR_CONFIG, "--model DIR is missing: a folder with a tokenizer.json");
    if (fs_join (path, dir, "tokenizer.json", err) != 0 ||
        fs_read (path, TEXT_MAX, &text, err) != 0)
        return -1;
    l->tokenizer = tokenizer_parse (text.data, text.size, err);
    buf_free (&text);
    return l->tokenizer ? 0 : err_wrap (err, "%s", path);
}

static int cmd_model_load (loaded_t *l, const args_t *args, err_t *err)
{
    const char *dir = args_value (args, "--model"), *compute = args_value (args, "--compute");
    bool bf16 = strcmp (compute, "bf16") == 0;
    if (!*dir)
        return err_set (err, ERR_CONFIG, "--model DIR is missing: a Hugging Face model folder");
    if (!bf16 && strcmp (compute, "f32") != 0)
        return err_set (err, ERR_CONFIG, "--compute '%s' is neither f32 nor bf16", compute);
    if (!(l->hf = hf_open (dir, err)))
        return -1;
    long cores = sysconf (_SC_NPROCESSORS_ONLN);
    l->pool = pool_new (cores > 0 ? (size_t) cores : 1);
    l->model = model_new (&hf_config (l->hf)->model, bf16 ? COMPUTE_BF16 : COMPUTE_F32, err);
    if (!l->model)
        return -1;
    return hf_fill (l->hf, l->model, l->pool, err);
}

/*  The text that is given, or all of the standard input where it is left out or "-". At a terminal
 *  nobody would know that something is waited for, so there it is an error. */
static int cmd_model_read_input (const args_t *args, buf_t *text, err_t *err)
{
    const char *given = args_positional (args);
    char block[4096];
    size_t n;
    text->max = TEXT_MAX;
    if (given && strcmp (given, "-") != 0)
        buf_text (text, given);
    else if (!given && isatty (STDIN_FILENO))
        return err_set (err, ERR_CONFIG, "TEXT is missing (--help shows an example)");
    else
        while ((n = fread (block, 1, sizeof block, stdin)) > 0)
            buf_append (text, block, n);
    if (!text->data)
        buf_text (text, "");
    return buf_failed (text)
               ? err_set (err, ERR_LIMIT, "the text is longer than %zu bytes", TEXT_MAX)
               : 0;
}

/*  A terminal obeys control characters; whatever else reads gets the text as it is. */
static void cmd_model_print_text (const buf_t *text)
{
    if (isatty (STDOUT_FILENO))
        printable_print (stdout, text->data, text->size, PRINTABLE_LINES);
    else if (text->size)
        fwrite (text->data, 1, text->size, stdout);
    putchar ('\n');
}

/*  Puts a PEFT folder's adapters on the model, if one is named: the model becomes their base. */
static int cmd_model_adapt (loaded_t *l, const char *dir, err_t *err)
{
    lora_config_t lora;
    if (!*dir)
        return 0;
    l->base = l->model;
    l->model = NULL;
    if (peft_read_config (dir, &lora, err) != 0 || !(l->model = lora_new (l->base, &lora, err)))
        return -1;
    float *params = malloc (model_params (l->model) * sizeof *params);
    if (!params)
        return err_set (err, ERR_LIMIT, "no memory for %zu weights", model_params (l->model));
    int rc = peft_read_params (dir, l->model, params, err);
    if (rc == 0)
        model_set (l->model, params, l->pool);
    free (params);
    return rc;
}

/*  ---- generate ------------------------------------------------------------------------------- */

static const args_option_t generate_options[] = {
    {"--model", "DIR", "", "Hugging Face model folder"},
    {"--adapter", "DIR", "", "PEFT folder with LoRA adapters of that model"},
    {"--compute", "TYPE", "f32", "f32, or bf16: half the memory, what the matrix products read"},
    {"--chat", "FORMAT", "", "as model.chat: auto, chatml, llama3, plain, a pattern with {prompt}"},
    {"--max-tokens", "N", "128", "longest continuation"},
    {"--temperature", "T", "1", "0: the likeliest token each time"},
    {"--seed", "N", "1", "of the random numbers"},
    {0}};

static const args_spec_t generate_spec = {
    .program = "quintet generate",
    .about =
        "Continues a text: the argument, or without one (or with -) the standard input.\n\n"
        "  quintet generate --model deploy/models/coding $'Return the sum of xs.\\n# solo\\n'\n",
    .positional = "[TEXT]",
    .options = generate_options};

/*  The text as it stands, or as a message of the user in a chat format. *stop: the token that ends
 *  an answer then, or -1. */
static int cmd_model_encode_prompt (const loaded_t *l, const args_t *args, const buf_t *text,
                                    tokenizer_ids_t *ids, int32_t *stop, err_t *err)
{
    chat_format_t format;
    const char *chat = args_value (args, "--chat");
    *stop = -1;
    if (!*chat)
        return tokenizer_encode (l->tokenizer, text->data, text->size, TOKENIZER_BOS, ids, err);
    if (chat_find (args_value (args, "--model"), chat, &format, err) != 0)
        return -1;
    if (format.end)
        *stop = tokenizer_id (l->tokenizer, format.end);
    int rc = format.whole ? 0 : tokenizer_encode (l->tokenizer, "", 0, TOKENIZER_BOS, ids, err);
    if (rc == 0)
        rc = chat_encode (l->tokenizer, &format, text->data, text->size, ids, err);
    chat_free (&format);
    return rc;
}

/*  One sample through the sampler, as an agent would decode it. */
static int cmd_model_sample (loaded_t *l, const tokenizer_ids_t *prompt, int32_t stop,
                             const args_t *args, err_t *err)
{
    long long most, seed;
    char *end;
    const char *given = args_value (args, "--temperature");
    double temperature = strtod (given, &end);
    if (end == given || *end || !(temperature >= 0 && temperature <= 100))
        return err_set (err, ERR_CONFIG, "--temperature %s: a number from 0 to 100 is wanted",
                        given);
    if (args_number (args, "--max-tokens", 1, 1 << 20, &most, err) != 0 ||
        args_number (args, "--seed", 0, 1LL << 53, &seed, err) != 0)
        return -1;
    const hf_config_t *config = hf_config (l->hf);
    uint64_t key = rng_key ((uint64_t[]){(uint64_t) seed}, 1);
    sampler_job_t job = {.prompt = prompt->data,
                         .prompt_n = prompt->n,
                         .samples = 1,
                         .keys = &key,
                         .temperature = (float) temperature,
                         .max_tokens = (size_t) most,
                         .stops_n = config->eos_n};
    memcpy (job.stops, config->eos, config->eos_n * sizeof *job.stops);
    if (stop >= 0 && job.stops_n < sizeof job.stops / sizeof *job.stops)
        job.stops[job.stops_n++] = stop;
    sampler_t *sampler = sampler_new (l->model, 1, l->pool, err);
    int rc = sampler ? sampler_add (sampler, &job, err) : -1;
    sampler_result_t result;
    bool taken = false;
    while (rc == 0 && !taken) {
        sampler_step (sampler);
        taken = sampler_take (sampler, &result);
    }
    if (taken) {
        buf_t text = {0};
        tokenizer_decode_after (l->tokenizer, prompt->data, prompt->n, result.ids, result.n,
                                TOKENIZER_PLAIN, &text);
        cmd_model_print_text (&text);
        buf_free (&text);
    }
    sampler_destroy (&sampler);
    return rc;
}

static int cmd_model_run_generate (int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    args_t *args = cli_args (&generate_spec, argc, argv, &status);
    if (!args)
        return status;
    err_t err = {0};
    loaded_t l = {0};
    tokenizer_ids_t prompt = {0};
    buf_t text = {0};
    int32_t stop;
    const char *dir = args_value (args, "--model");
    int rc = cmd_model_read_input (args, &text, &err);
    if (rc == 0)
        rc = cmd_model_load (&l, args, &err);
    if (rc == 0)
        rc = cmd_model_load_tokenizer (&l, dir, &err);
    if (rc == 0)
        rc = cmd_model_adapt (&l, args_value (args, "--adapter"), &err);
    if (rc == 0)
        rc = cmd_model_encode_prompt (&l, args, &text, &prompt, &stop, &err);
    if (rc == 0)
        rc = cmd_model_sample (&l, &prompt, stop, args, &err);
    buf_free (&text);
    tokenizer_ids_free (&prompt);
    cmd_model_unload (&l);
    args_destroy (&args);
    return rc == 0 ? EXIT_SUCCESS : cli_fail ("generate", &err);
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
    loaded_t l = {0};
    tokenizer_ids_t ids = {0};
    buf_t text = {0};
    int flags = args_flag (args, "--no-special") ? 0 : TOKENIZER_BOS;
    int rc = cmd_model_read_input (args, &text, &err);
    if (rc == 0)
        rc = cmd_model_load_tokenizer (&l, args_value (args, "--model"), &err);
    if (rc == 0)
        rc = tokenizer_encode (l.tokenizer, text.data, text.size, flags, &ids, &err);
    if (rc == 0) {
        buf_t back = {0};
        for (size_t i = 0; i < ids.n; i++)
            printf ("%s%d", i ? "," : "", ids.data[i]);
        tokenizer_decode (l.tokenizer, ids.data, ids.n, 0, &back);
        putchar ('\n');
        cmd_model_print_text (&back);
        buf_free (&back);
    }
    buf_free (&text);
    tokenizer_ids_free (&ids);
    cmd_model_unload (&l);
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
    loaded_t l = {0};
    tokenizer_ids_t ids = {0};
    float *logits = NULL;
    bool json = args_flag (args, "--json");
    int rc = cmd_model_read_ids (args_value (args, "--ids"), &ids, &err);
    if (rc == 0)
        rc = cmd_model_load (&l, args, &err);
    if (rc == 0)
        rc = cmd_model_adapt (&l, args_value (args, "--adapter"), &err);
    if (rc == 0) {
        size_t vocab = model_config (l.model)->value_head ? 1 : model_config (l.model)->vocab;
        logits = malloc (ids.n * vocab * sizeof *logits);
        rc = logits ? model_logits (l.model, ids.data, ids.n, logits, l.pool, &err)
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
    cmd_model_unload (&l);
    args_destroy (&args);
    return rc == 0 ? EXIT_SUCCESS : cli_fail ("logits", &err);
}

const cli_command_t cli_generate = {"generate", "TEXT", "continue a text with a model",
                                    cmd_model_run_generate};
const cli_command_t cli_tokenize = {"tokenize", "TEXT", "token ids of a text",
                                    cmd_model_run_tokenize};
const cli_command_t cli_logits = {"logits", "", "logits after given tokens", cmd_model_run_logits};

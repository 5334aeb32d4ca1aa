/*  quintet generate - continues a text with a model folder, without any service. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "cli.h"
#include "play/opened.h"
#include "play/sampling.h"
#include "play/stream.h"

#define SAMPLES_MAX 256

static const args_option_t options[] = {
    {"--model", "DIR", "", "Hugging Face model folder"},
    {"--adapter", "DIR", "", "PEFT folder with LoRA adapters of that model"},
    {"--compute", "TYPE", "f32", "f32, or bf16: half the memory, what the matrix products read"},
    {"--chat", "FORMAT", "", "as model.chat: auto, chatml, llama3, plain, a pattern with {prompt}"},
    {"--system", "TEXT", "", "message of the system before the text, with --chat auto"},
    {"--date", "YYYY-MM-DD", "", "the day that it is, for a template that writes it"},
    {"--samples", "N", "1", "completions of the text, decoded together"},
    SAMPLING_OPTIONS ("128", "1", "1"),
    {"--json", NULL, NULL, "one JSON object per sample"},
    {0}};

static const args_spec_t spec = {
    .program = "quintet generate",
    .about =
        "Continues a text, and shows it as it is written: the argument, or without one (or "
        "with -) the\nstandard input. What was written, and how fast, goes to the standard "
        "error. Flags alone say how it samples; what the folder's generation_config.json "
        "recommends is told.\n\n"
        "  quintet generate --model deploy/models/coding $'Return the sum of xs.\\n# solo\\n'\n"
        "  quintet generate --model DIR --chat auto --temperature 0.2 --top-p 0.9 'Who are "
        "you?'\n",
    .positional = "[TEXT]",
    .options = options};

/*  What the samples of a text have in common. */
typedef struct {
    opened_t folder;
    pool_t *pool;
    sampling_t sampling;
    tokenizer_ids_t prompt;
    size_t samples;
    bool json;
} cmd_generate_t;

/*  The text as it stands, special tokens too, or as a message in a chat format, where it is
 *  words. */
static int cmd_generate_encode (cmd_generate_t *g, const args_t *args, const buf_t *text,
                                err_t *err)
{
    const char *chat = args_value (args, "--chat");
    chat_given_t given = {.system = args_value (args, "--system"),
                          .date = args_value (args, "--date")};
    if ((*given.system || *given.date) && strcmp (chat, "auto") != 0)
        return err_set (err, ERR_CONFIG, "%s needs --chat auto, and a folder with a chat template",
                        *given.system ? "--system" : "--date");
    if (opened_read_tokenizer (&g->folder, args_value (args, "--model"), err) != 0 ||
        opened_speak (&g->folder, *chat ? chat : "none", &given, err) != 0)
        return -1;
    int rc = *chat ? opened_encode (&g->folder, &g->folder.format, text->data, text->size,
                                    &g->prompt, err)
                   : tokenizer_encode (g->folder.tokenizer, text->data, text->size, TOKENIZER_BOS,
                                       &g->prompt, err);
    if (rc == 0 && g->prompt.n == 0)
        rc = err_set (err, ERR_CONFIG,
                      "TEXT is empty, and this model's tokenizer puts no begin token there: give "
                      "some text to continue (--help shows an example)");
    return rc;
}

static void cmd_generate_print_json (const cmd_generate_t *g, const stream_part_t *parts)
{
    for (size_t i = 0; i < g->samples; i++) {
        const stream_part_t *p = &parts[i];
        json_t *line = json_pack ("{s:I, s:o, s:I, s:I, s:s}", "sample", (json_int_t) i + 1, "text",
                                  json_stringn_nocheck (p->text.data, p->text.size),
                                  "prompt_tokens", (json_int_t) g->prompt.n, "tokens",
                                  (json_int_t) p->ids_n, "ended_by", stream_end_name (p->end));
        cli_print_json (line, 0);
    }
}

/*  A sample's random numbers follow from the seed and its number; the first one's from the seed
 *  alone. */
static int cmd_generate_write (cmd_generate_t *g, err_t *err)
{
    char heading[SAMPLES_MAX][64];
    stream_part_t *parts = calloc (g->samples, sizeof *parts);
    stream_show_t show = stream_to (stdout);
    stream_count_t count = {0};
    sampler_t *sampler = parts ? sampler_new (g->folder.model, g->samples, g->pool, err) : NULL;
    /* JSON comes when all is written: half an object is of no use. */
    if (g->json)
        show.to = NULL;
    for (size_t i = 0; sampler && i < g->samples; i++) {
        snprintf (heading[i], sizeof heading[i], "sample %zu of %zu", i + 1, g->samples);
        parts[i] = (stream_part_t){.sampler = sampler,
                                   .model = g->folder.model,
                                   .tokenizer = g->folder.tokenizer,
                                   .prompt = &g->prompt,
                                   .sampling = &g->sampling,
                                   .stops = g->folder.stops,
                                   .stops_n = g->folder.stops_n,
                                   .key = rng_key ((uint64_t[]){g->sampling.seed, i}, i ? 2 : 1),
                                   .heading = g->samples > 1 ? heading[i] : NULL};
    }
    int rc = sampler ? stream_run (parts, g->samples, &show, &count, err) : -1;
    if (rc == 0 && g->json)
        cmd_generate_print_json (g, parts);
    if (rc == 0)
        stream_say_count (&count);
    if (parts)
        stream_free (parts, g->samples);
    free (parts);
    sampler_destroy (&sampler);
    return rc;
}

static int cmd_generate_run (int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    args_t *args = cli_args (&spec, argc, argv, &status);
    if (!args)
        return status;
    err_t err = {0};
    cmd_generate_t g = {.json = args_flag (args, "--json")};
    buf_t text = {0};
    long long samples = 1;
    int rc = args_number (args, "--samples", 1, SAMPLES_MAX, &samples, &err);
    if (rc == 0)
        rc = sampling_read (args, &g.sampling, &err);
    if (rc == 0)
        rc = opened_read_text (args_positional (args), &text, &err);
    g.samples = (size_t) samples;
    g.pool = opened_pool ();
    if (rc == 0)
        rc = opened_load (&g.folder, args_value (args, "--model"), args_value (args, "--adapter"),
                          args_value (args, "--compute"), g.pool, &err);
    if (rc == 0 && !sampling_given (args))
        sampling_note (args_value (args, "--model"), g.folder.hf);
    if (rc == 0)
        rc = cmd_generate_encode (&g, args, &text, &err);
    if (rc == 0)
        rc = cmd_generate_write (&g, &err);
    buf_free (&text);
    tokenizer_ids_free (&g.prompt);
    opened_close (&g.folder);
    pool_destroy (&g.pool);
    args_destroy (&args);
    return rc == 0 ? EXIT_SUCCESS : cli_fail ("generate", &err);
}

const cli_command_t cli_generate = {"generate", "TEXT", "continue a text with a model",
                                    cmd_generate_run};

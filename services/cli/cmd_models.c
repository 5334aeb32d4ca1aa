/*  quintet models - what model folders hold, whether they run here, and what memory they take. */
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/printable.h"
#include "cli.h"
#include "formats/hf.h"
#include "model/memory.h"
#include "text/chat.h"

#define FOLDERS_MAX 4096

static const args_option_t models_options[] = {
    {"--rows", "N", "128", "completions decoded at once"},
    {"--prompt", "N", "128", "tokens of a prompt"},
    {"--tokens", "N", "128", "tokens of a completion"},
    {"--group", "N", "8", "completions that share a prompt"},
    {"--rank", "N", "16", "of adapters on all linear layers"},
    {"--json", NULL, NULL, "one object per folder"},
    {0}};

static const args_spec_t models_spec = {
    .program = "quintet models",
    .about =
        "Says what a model folder, or every folder in it, holds, whether it runs here, and what\n"
        "memory sampling and training take.\n\n"
        "  quintet models deploy/models\n"
        "  quintet models ~/models/SmolLM2-135M --tokens 256 --json\n",
    .positional = "DIR",
    .options = models_options};

typedef struct {
    memory_plan_t plan; /* its compute and lora are set for each figure */
    lora_config_t lora;
    bool json;
    size_t shown, refused;
} models_t;

/*  A way to use a model, and what it takes. */
typedef struct {
    const char *name, *text;
    bool trains, adapters;
} use_t;

static const use_t uses[] = {{"sample", "to sample", false, false},
                             {"train", "to train all weights", true, false},
                             {"train_lora", "to train adapters", true, true}};
#define USES (sizeof uses / sizeof *uses)

static double cmd_models_megabytes (size_t bytes)
{
    return (double) bytes / 1e6;
}

/*  A model with a short context is planned with prompts and completions of half of it each. */
static int cmd_models_need (const models_t *m, const hf_config_t *config, model_compute_t compute,
                            const use_t *use, memory_need_t *out, err_t *err)
{
    memory_plan_t plan = m->plan;
    plan.compute = compute;
    plan.lora = use->adapters ? &m->lora : NULL;
    if (plan.prompt + plan.tokens > config->model.context) {
        plan.tokens = config->model.context / 2;
        plan.prompt = config->model.context - plan.tokens;
    }
    return memory_need (&config->model, &plan, out, err);
}

static size_t cmd_models_sum (const use_t *use, const memory_need_t *n)
{
    return use->trains ? n->train : n->sample;
}

static void cmd_models_print_need (const use_t *use, const memory_need_t n[2])
{
    printf ("  %-22s %8.0f MB in f32 %8.0f MB in bf16", use->text,
            cmd_models_megabytes (cmd_models_sum (use, &n[0])),
            cmd_models_megabytes (cmd_models_sum (use, &n[1])));
    const memory_need_t *f = &n[0];
    if (use->trains)
        printf ("   (f32: weights %.0f, masters and moments %.0f, activations %.0f)\n",
                cmd_models_megabytes (f->weights), cmd_models_megabytes (f->masters),
                cmd_models_megabytes (f->activations));
    else
        printf ("   (f32: weights %.0f, keys and values %.0f, buffers %.0f)\n",
                cmd_models_megabytes (f->weights), cmd_models_megabytes (f->cache),
                cmd_models_megabytes (f->decoding));
}

/*  All figures are computed first: a folder that cannot be planned prints an error and no half of
 *  an answer. */
static int cmd_models_print_all (const models_t *m, const char *dir, const hf_t *hf,
                                 const char *chat, size_t tokens, err_t *err)
{
    /* In the order of model_arch_t. */
    static const char *const archs[] = {"llama", "mistral", "qwen2", "qwen3"};
    const hf_config_t *config = hf_config (hf);
    const model_config_t *c = &config->model;
    memory_need_t n[USES][2];
    for (size_t u = 0; u < USES; u++)
        for (size_t b = 0; b < 2; b++)
            if (cmd_models_need (m, config, b ? COMPUTE_BF16 : COMPUTE_F32, &uses[u], &n[u][b],
                                 err) != 0)
                return -1;
    if (m->json) {
        json_t *line = json_pack (
            "{s:s, s:b, s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:I, s:s, s:s}",
            "dir", dir, "runs", 1, "architecture", archs[c->arch], "parameters",
            (json_int_t) n[0][0].params, "dtype", hf_dtype_name (config->dtype), "width",
            (json_int_t) c->width, "layers", (json_int_t) c->layers, "heads", (json_int_t) c->heads,
            "kv_heads", (json_int_t) c->kv_heads, "ff", (json_int_t) c->ff, "vocabulary",
            (json_int_t) c->vocab, "tied", (int) c->tied, "context", (json_int_t) c->context,
            "tokenizer_tokens", (json_int_t) tokens, "chat", chat, "kernels", model_isa ());
        for (size_t u = 0; u < USES; u++) {
            char key[64];
            snprintf (key, sizeof key, "%s_f32_bytes", uses[u].name);
            json_object_set_new (line, key,
                                 json_integer ((json_int_t) cmd_models_sum (&uses[u], &n[u][0])));
            snprintf (key, sizeof key, "%s_bf16_bytes", uses[u].name);
            json_object_set_new (line, key,
                                 json_integer ((json_int_t) cmd_models_sum (&uses[u], &n[u][1])));
        }
        json_object_set_new (line, "free_bytes", json_integer ((json_int_t) memory_available ()));
        cli_print_json (line, 0);
        return 0;
    }
    printf ("%s: %s, %.2f million weights stored as %s\n", dir, archs[c->arch],
            (double) n[0][0].params / 1e6, hf_dtype_name (config->dtype));
    printf (
        "  %zu wide, %zu layers, %zu heads (%zu for keys and values) of %zu, ff %zu, vocabulary "
        "%zu%s, context %zu\n",
        c->width, c->layers, c->heads, c->kv_heads, c->head_dim, c->ff, c->vocab,
        c->tied ? " (tied)" : "", c->context);
    if (tokens) {
        printf ("  tokenizer of %zu tokens, chat format: ", tokens);
        printable_print (stdout, chat, strlen (chat), PRINTABLE_LINE);
        printf ("\n");
    } else
        printf ("  no tokenizer.json: it can compute logits, but not play\n");
    printf ("  runs here with the %s kernels, as far as memory goes: %.0f MB are free\n",
            model_isa (), cmd_models_megabytes (memory_available ()));
    for (size_t u = 0; u < USES; u++)
        cmd_models_print_need (&uses[u], n[u]);
    return 0;
}

/*  Name or pattern of the chat format, as one line; where the template cannot be followed, why. */
static void cmd_models_print_chat (const models_t *m, const char *dir, buf_t *chat)
{
    chat_format_t format = {.name = "none"};
    err_t why = {0};
    if (chat_find (dir, "auto", &format, &why) != 0)
        format.name = "none";
    for (const char *c = format.name; *c; c++)
        if (*c == '\n' && !m->json)
            buf_text (chat, "\\n");
        else
            buf_char (chat, *c);
    if (format.name != format.pattern && !m->json && chat_has_template (dir) && *why.text)
        buf_printf (chat, " (%s)", why.text);
    chat_free (&format);
}

/*  Opens the folder as a run would: what would be refused there is refused here, with the same
 *  words. */
static int cmd_models_show (const models_t *m, const char *dir, err_t *err)
{
    hf_t *hf = hf_open (dir, err);
    if (!hf)
        return -1;
    const char *text = hf_tokenizer_text (hf);
    buf_t chat = {0};
    size_t tokens = 0;
    int rc = 0;
    if (text) {
        tokenizer_t *tokenizer = tokenizer_parse (text, strlen (text), err);
        rc = tokenizer ? 0 : err_wrap (err, "%s: tokenizer.json", dir);
        tokens = tokenizer ? tokenizer_vocab (tokenizer) : 0;
        tokenizer_destroy (&tokenizer);
    }
    cmd_models_print_chat (m, dir, &chat);
    if (rc == 0)
        rc = cmd_models_print_all (m, dir, hf, chat.data, tokens, err);
    buf_free (&chat);
    hf_destroy (&hf);
    return rc;
}

/*  A folder that cannot be run is reported and counted; the others are looked at all the same. */
static void cmd_models_show_or_explain (models_t *m, const char *dir)
{
    err_t err = {0};
    m->shown++;
    if (cmd_models_show (m, dir, &err) == 0)
        return;
    m->refused++;
    if (m->json) {
        json_t *line = json_pack ("{s:s, s:b, s:s}", "dir", dir, "runs", 0, "why", err.text);
        cli_print_json (line, 0);
    } else {
        printf ("does not run here: ");
        printable_print (stdout, err.text, strlen (err.text), PRINTABLE_LINE);
        printf ("\n");
    }
}

static bool cmd_models_holds_model (const char *dir)
{
    char path[FS_PATH_MAX];
    return fs_join (path, dir, "config.json", NULL) == 0 && fs_exists (path);
}

/*  The file system's own order would differ from machine to machine. */
static int cmd_models_by_name (const struct dirent **a, const struct dirent **b)
{
    return strcmp ((*a)->d_name, (*b)->d_name);
}

static void cmd_models_show_folders (models_t *m, const char *dir);

/*  DIR may be a model's folder, or what Hugging Face's cache has of one:
 *  models--OWNER--NAME/snapshots/COMMIT. */
static void cmd_models_show_entry (models_t *m, const char *dir)
{
    char snapshots[FS_PATH_MAX];
    if (cmd_models_holds_model (dir))
        cmd_models_show_or_explain (m, dir);
    else if (fs_join (snapshots, dir, "snapshots", NULL) == 0 && fs_exists (snapshots))
        cmd_models_show_folders (m, snapshots);
}

/*  One level down and no more, but for snapshots; hidden entries are none of the user's models. */
static void cmd_models_show_folders (models_t *m, const char *dir)
{
    struct dirent **entries = NULL;
    int n = scandir (dir, &entries, NULL, cmd_models_by_name);
    for (int i = 0; i < n; i++) {
        char path[FS_PATH_MAX];
        if (entries[i]->d_name[0] != '.' && m->shown < FOLDERS_MAX &&
            fs_join (path, dir, entries[i]->d_name, NULL) == 0)
            cmd_models_show_entry (m, path);
        free (entries[i]);
    }
    free (entries);
}

static int cmd_models_read_options (const args_t *args, models_t *m, err_t *err)
{
    long long rows, prompt, tokens, group, rank;
    if (args_number (args, "--rows", 1, 65536, &rows, err) != 0 ||
        args_number (args, "--prompt", 1, 1 << 20, &prompt, err) != 0 ||
        args_number (args, "--tokens", 1, 1 << 20, &tokens, err) != 0 ||
        args_number (args, "--group", 1, 1024, &group, err) != 0 ||
        args_number (args, "--rank", 1, LORA_RANK_MAX, &rank, err) != 0)
        return -1;
    long cores = sysconf (_SC_NPROCESSORS_ONLN);
    m->plan = (memory_plan_t){.rows = (size_t) rows,
                              .prompt = (size_t) prompt,
                              .tokens = (size_t) tokens,
                              .group = (size_t) group,
                              .threads = cores > 0 ? (size_t) cores : 1};
    m->lora = (lora_config_t){
        .rank = (size_t) rank, .alpha = 2 * (double) rank, .targets = LORA_ALL_LINEAR};
    m->json = args_flag (args, "--json");
    return 0;
}

static int cmd_models_run_models (int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    args_t *args = cli_args (&models_spec, argc, argv, &status);
    if (!args)
        return status;
    err_t err = {0};
    models_t m = {0};
    const char *dir = args_positional (args);
    int rc = cmd_models_read_options (args, &m, &err);
    if (rc == 0 && !*dir)
        rc = err_set (&err, ERR_CONFIG, "which folder? quintet models DIR");
    if (rc == 0 && !fs_exists (dir))
        rc = err_set (&err, ERR_INPUT, "%s: there is no such folder", dir);
    if (rc == 0)
        /* DIR itself first: only where it is no model are its folders looked at. */
        cmd_models_show_entry (&m, dir);
    if (rc == 0 && !m.shown)
        cmd_models_show_folders (&m, dir);
    if (rc == 0 && !m.shown)
        rc = err_set (&err, ERR_INPUT, "%s: no config.json in it, nor in a folder in it", dir);
    args_destroy (&args);
    if (rc != 0)
        return cli_fail ("models", &err);
    /* A script asks whether all of them run. */
    return m.refused ? EXIT_FAILURE : EXIT_SUCCESS;
}

const cli_command_t cli_models = {"models", "DIR", "what model folders hold and need",
                                  cmd_models_run_models};

/*  tokenizer_config - see tokenizer_config.h
 *
 *  What transformers does with these files, in the order of tokenizer_config_complete:
 *
 *      added_tokens_decoder    replaces what tokenizer.json says of these tokens, and adds others;
 *                              without it, special_tokens_map.json and added_tokens.json count
 *      bos_token and its kind  are special; those that are no tokens yet get the next ids
 *
 *  and of which both versions make something else, so that it is refused: add_bos_token and
 *  add_eos_token (version 4 follows them in some classes, where version 5 follows post_processor)
 *  and add_prefix_space. What changes nothing here is ignored: model_max_length, which only warns;
 *  clean_up_tokenization_spaces, which version 5 does not do to a BPE; legacy, which is read where
 *  a tokenizer is made of a tokenizer.model.
 */
#include "text/tokenizer_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "text/tokenizer_internal.h"

#define CONFIG        "tokenizer_config.json"
#define CONFIG_MAX    ((size_t) 16 << 20)
#define TOKENIZER_MAX ((size_t) 64 << 20)

static const char *const named[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                    "pad_token", "cls_token", "mask_token"};
static const char *const lists[] = {"additional_special_tokens", "extra_special_tokens"};
#define NAMED (sizeof named / sizeof *named)
#define LISTS (sizeof lists / sizeof *lists)

/*  Classes that have special tokens of their own, or a rule for what stands around a text. NULL:
 *  none. */
typedef struct {
    const char *name;
    const char *bos, *eos, *unk, *pad;
    bool around;     /* version 4 obeys add_bos_token and add_eos_token */
    bool begins;     /* which is add_bos_token when it is left out */
    bool from_model; /* add_prefix_space makes version 4 read tokenizer.model */
} config_class_t;

static const config_class_t classes[] = {
    {"LlamaTokenizer", "<s>", "</s>", "<unk>", NULL, true, true, true},
    {"CodeLlamaTokenizer", "<s>", "</s>", "<unk>", NULL, true, true, true},
    {"GemmaTokenizer", "<bos>", "<eos>", "<unk>", "<pad>", true, true, false},
    {"CohereTokenizer", "<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", "<UNK>", NULL, true, true, false},
    {"GPTNeoXTokenizer", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", NULL, true, false,
     false},
    {"GPT2Tokenizer", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", NULL, false, false, false},
    {"Qwen2Tokenizer", NULL, "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", false, false,
     false}};

/*  NULL: another class, or none is named. */
static const config_class_t *config_class (const json_t *config)
{
    const char *name = json_string_value (json_object_get (config, "tokenizer_class"));
    for (size_t i = 0; name && i < sizeof classes / sizeof *classes; i++) {
        size_t n = strlen (classes[i].name);
        if (strncmp (name, classes[i].name, n) == 0 && (!name[n] || strcmp (name + n, "Fast") == 0))
            return &classes[i];
    }
    return NULL;
}

/*  ---- files ---------------------------------------------------------------------------------- */

/*  What is not there stays empty. */
static int config_read_text (const char *dir, const char *name, size_t max, buf_t *text, err_t *err)
{
    char path[FS_PATH_MAX];
    if (fs_join (path, dir, name, err) != 0)
        return -1;
    return fs_exists (path) ? fs_read (path, max, text, err) : 0;
}

/*  *value stays NULL when the file is not there. */
static int config_read_object (const char *dir, const char *name, json_t **value, err_t *err)
{
    buf_t text = {0};
    int rc = config_read_text (dir, name, CONFIG_MAX, &text, err);
    if (rc == 0 && text.data && !(*value = parse_json (text.data, text.size, name, err)))
        rc = err_wrap (err, "%s", dir);
    buf_free (&text);
    return rc;
}

/*  Lists are joined; everything else is what the map says. */
static void config_merge (json_t *config, const json_t *map)
{
    const char *key;
    json_t *value, *one;
    size_t i, k;
    json_object_foreach ((json_t *) (uintptr_t) map, key, value) {
        json_t *before = json_object_get (config, key);
        if (!json_is_array (value) || !json_is_array (before)) {
            json_object_set (config, key, value);
            continue;
        }
        json_array_foreach (value, i, one) {
            for (k = 0; k < json_array_size (before); k++)
                if (json_equal (json_array_get (before, k), one))
                    break;
            if (k == json_array_size (before))
                json_array_append (before, one);
        }
    }
}

/*  Without the tokens that only a class knows. */
static int config_read (const char *dir, json_t **config, err_t *err)
{
    json_t *map = NULL;
    int rc = config_read_object (dir, CONFIG, config, err);
    if (rc == 0 && *config && !json_object_get (*config, "added_tokens_decoder"))
        rc = config_read_object (dir, "special_tokens_map.json", &map, err);
    if (map)
        config_merge (*config, map);
    json_decref (map);
    return rc;
}

int tokenizer_config_read (const char *dir, json_t **config, err_t *err)
{
    *config = NULL;
    int rc = config_read (dir, config, err);
    const config_class_t *class = rc == 0 ? config_class (*config) : NULL;
    if (class) {
        const char *const own[NAMED] = {class->bos, class->eos, class->unk, NULL, class->pad};
        for (size_t i = 0; i < NAMED; i++)
            if (own[i] && !json_object_get (*config, named[i]))
                json_object_set_new (*config, named[i], json_string (own[i]));
    }
    return rc;
}

/*  ---- added tokens --------------------------------------------------------------------------- */

/*  A special token is text, or an object with its content; NULL: none. */
static const char *config_content (const json_t *token)
{
    return json_string_value (json_is_object (token) ? json_object_get (token, "content") : token);
}

static bool config_flag (const json_t *token, const char *key, bool missing)
{
    const json_t *value = json_object_get (token, key);
    return value ? json_is_true (value) : missing;
}

static json_t *config_find (const json_t *added, const char *content)
{
    size_t i;
    json_t *token;
    json_array_foreach (added, i, token) {
        const char *text = config_content (token);
        if (text && strcmp (text, content) == 0)
            return token;
    }
    return NULL;
}

/*  The id of a text: of an added token or of the vocabulary; else the next one behind both. */
static int64_t config_id (const json_t *root, const char *content)
{
    const json_t *vocab = json_object_get (json_object_get (root, "model"), "vocab");
    const json_t *added = json_object_get (root, "added_tokens"), *token;
    int64_t id, next = (int64_t) json_object_size (vocab);
    size_t i;
    if (parse_whole (json_object_get (vocab, content), &id) ||
        parse_whole (json_object_get (config_find (added, content), "id"), &id))
        return id;
    json_array_foreach (added, i, token)
        if (parse_whole (json_object_get (token, "id"), &id) && id >= next)
            next = id + 1;
    return next;
}

/*  Says of a token what `as` does, and that it is special if it is to be. True: that is news. */
static bool config_put (json_t *root, const json_t *as, const char *content, bool special)
{
    static const char *const flags[] = {"single_word", "lstrip", "rstrip"};
    json_t *token = config_find (json_object_get (root, "added_tokens"), content);
    json_t *made = json_pack ("{s:o, s:s}", "id", json_integer (config_id (root, content)),
                              "content", content);
    for (size_t i = 0; i < 3; i++)
        json_object_set_new (made, flags[i], json_boolean (config_flag (as, flags[i], false)));
    json_object_set_new (
        made, "normalized",
        json_boolean (config_flag (as, "normalized", !config_flag (as, "special", special))));
    json_object_set_new (made, "special", json_boolean (special));
    bool news = !token;
    for (size_t i = 0; i < 3; i++)
        news = news || config_flag (token, flags[i], false) != config_flag (made, flags[i], false);
    news = news || config_flag (token, "special", false) != special ||
           config_flag (token, "normalized", false) != config_flag (made, "normalized", false);
    if (news && token)
        json_object_update (token, made);
    else if (news)
        json_array_append (json_object_get (root, "added_tokens"), made);
    json_decref (made);
    return news;
}

/*  Whether a text is one of the special tokens that the configuration names. */
static bool config_names (const json_t *config, const char *content)
{
    bool is = false;
    for (size_t i = 0; i < NAMED; i++) {
        const char *text = config_content (json_object_get (config, named[i]));
        is = is || (text && strcmp (text, content) == 0);
    }
    for (size_t i = 0; i < LISTS; i++)
        is = is || config_find (json_object_get (config, lists[i]), content);
    return is;
}

static int config_by_id (const void *a, const void *b)
{
    long x = strtol (*(const char *const *) a, NULL, 10);
    long y = strtol (*(const char *const *) b, NULL, 10);
    return (x > y) - (x < y);
}

/*  {"151643": {"content": ...}, ...}, in the order of the ids. */
static int config_apply_decoder (json_t *root, json_t *decoder, const char *name, bool *news,
                                 err_t *err)
{
    const char *key, **keys = calloc (json_object_size (decoder) + 1, sizeof *keys);
    json_t *value;
    size_t n = 0;
    int rc = keys ? 0 : err_set (err, ERR_LIMIT, "no memory for " CONFIG);
    json_object_foreach (decoder, key, value)
        if (keys)
            keys[n++] = key;
    if (keys)
        qsort (keys, n, sizeof *keys, config_by_id);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const json_t *token = json_object_get (decoder, keys[i]);
        const char *content = config_content (token);
        int64_t id = content ? config_id (root, content) : 0;
        if (!content || !*content)
            rc = err_set (err, ERR_INPUT, "%s: id %.20s has no content", name, keys[i]);
        else if (id != strtol (keys[i], NULL, 10))
            rc = err_set (err, ERR_INPUT,
                          "%s: id %.20s is '%.40s', which has the id %lld in tokenizer.json", name,
                          keys[i], content, (long long) id);
        else
            *news |= config_put (root, token, content, config_flag (token, "special", false));
    }
    free (keys);
    return rc;
}

/*  added_tokens.json: {"<tool>": 32000, ...}, of which those count that tokenizer.json lacks. */
static int config_apply_added (json_t *root, const json_t *config, const json_t *added, bool *news,
                               err_t *err)
{
    json_t *decoder = json_object (), *value;
    const char *content;
    int64_t id;
    json_object_foreach ((json_t *) (uintptr_t) added, content, value) {
        char key[24];
        if (config_find (json_object_get (root, "added_tokens"), content) ||
            !parse_whole (value, &id))
            continue;
        snprintf (key, sizeof key, "%lld", (long long) id);
        json_object_set_new (decoder, key,
                             json_pack ("{s:s, s:b}", "content", content, "special",
                                        config_names (config, content)));
    }
    int rc = config_apply_decoder (root, decoder, "added_tokens.json", news, err);
    json_decref (decoder);
    return rc;
}

static int config_apply_named (json_t *root, const json_t *token, const char *key, bool *news,
                               err_t *err)
{
    const char *content = config_content (token);
    const json_t *before =
        content ? config_find (json_object_get (root, "added_tokens"), content) : NULL;
    if (!token || json_is_null (token))
        return 0;
    if (!content || !*content)
        return err_set (err, ERR_INPUT, CONFIG ": %s is no token", key);
    *news |= config_put (root, before ? before : token, content, true);
    return 0;
}

static int config_apply_specials (json_t *root, const json_t *config, bool *news, err_t *err)
{
    int rc = 0;
    size_t k;
    const json_t *token;
    const char *key;
    for (size_t i = 0; rc == 0 && i < NAMED; i++)
        rc = config_apply_named (root, json_object_get (config, named[i]), named[i], news, err);
    for (size_t i = 0; i < LISTS; i++) {
        json_t *list = json_object_get (config, lists[i]);
        json_array_foreach (list, k, token)
            rc = rc ? rc : config_apply_named (root, token, lists[i], news, err);
        json_object_foreach (list, key, token)
            rc = rc ? rc : config_apply_named (root, token, lists[i], news, err);
    }
    return rc;
}

/*  ---- what is refused ------------------------------------------------------------------------ */

/*  Options that change the ids, and that nobody has seen in a public folder. */
static int config_refuse_options (const json_t *config, err_t *err)
{
    static const char *const off[] = {
        "split_special_tokens", "fix_mistral_regex", "from_slow",
        "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output"};
    for (size_t i = 0; i < sizeof off / sizeof *off; i++)
        if (json_is_true (json_object_get (config, off[i])))
            return err_set (err, ERR_INPUT, CONFIG ": %s is not supported", off[i]);
    return 0;
}

/*  One token of the two that may stand around a text: whether version 4 puts it there. */
static bool config_puts (const json_t *config, const char *key, bool missing, const char *token)
{
    return config_flag (config, key, missing) && token;
}

/*  What version 4 of transformers puts around a text must be what post_processor does. */
static int config_refuse_around (const json_t *root, const json_t *config,
                                 const config_class_t *class, const tokenizer_t *steps, err_t *err)
{
    const json_t *bos = json_object_get (config, "bos_token");
    const json_t *eos = json_object_get (config, "eos_token");
    const char *first = bos ? config_content (bos) : class->bos;
    const char *last = eos ? config_content (eos) : class->eos;
    bool begins = config_puts (config, "add_bos_token", class->begins, first);
    bool ends = config_puts (config, "add_eos_token", false, last);
    if (steps->before_n == begins && steps->after_n == ends &&
        (!begins || steps->before[0] == config_id (root, first)) &&
        (!ends || steps->after[0] == config_id (root, last)))
        return 0;
    return err_set (err, ERR_INPUT,
                    CONFIG ": %s with add_bos_token %s and add_eos_token %s puts %s%.40s before a "
                           "text and %s%.40s behind it, and tokenizer.json's post_processor does "
                           "not: tools follow the one or the other; set the two keys to what "
                           "post_processor does",
                    class->name, begins ? "true" : "false", ends ? "true" : "false",
                    begins ? "" : "nothing", begins ? first : "", ends ? "" : "nothing",
                    ends ? last : "");
}

/*  Whether the steps put a space before a text. */
static bool config_prefixes (const tokenizer_t *steps)
{
    bool puts = false;
    for (size_t i = 0; i < steps->normals; i++)
        puts = puts || steps->normal[i].kind == NORMAL_PREPEND;
    for (size_t i = 0; i < steps->splits; i++)
        puts = puts || steps->split[i].prepend != PREPEND_NEVER;
    return puts;
}

/*  Where the classes of version 4 set add_prefix_space anew: to false when it is left out, in a
 *  ByteLevel that stands alone. */
static int config_refuse_prefix (const json_t *root, const json_t *config,
                                 const config_class_t *class, const tokenizer_t *steps, err_t *err)
{
    const json_t *given = json_object_get (config, "add_prefix_space");
    bool from_model = class && class->from_model;
    const char *type = tokenizer_type (json_object_get (root, "pre_tokenizer"));
    if (from_model ? !json_is_boolean (given) : strcmp (type, "ByteLevel") != 0)
        return 0;
    return json_is_true (given) == config_prefixes (steps)
               ? 0
               : err_set (err, ERR_INPUT,
                          CONFIG ": add_prefix_space is %s, and tokenizer.json's steps %s a space "
                                 "first: tools follow the one or the other; set the key to %s",
                          json_is_true (given) ? "true" : "false (or left out, which means that)",
                          config_prefixes (steps) ? "put" : "do not put",
                          config_prefixes (steps) ? "true" : "false");
}

/*  Steps that are not known here are refused with the tokenizer, not now. */
static int config_refuse (const json_t *root, const json_t *config, err_t *err)
{
    tokenizer_t steps = {0};
    const config_class_t *class = config_class (config);
    int rc = config_refuse_options (config, err);
    if (rc == 0 && tokenizer_read_steps (&steps, root, NULL) == 0) {
        if (class && class->around)
            rc = config_refuse_around (root, config, class, &steps, err);
        if (rc == 0)
            rc = config_refuse_prefix (root, config, class, &steps, err);
    }
    tokenizer_free_steps (&steps);
    return rc;
}

/*  ---- the whole ------------------------------------------------------------------------------ */

/*  Numbers are read as reals (parse.h); others want the whole ones written as such. */
static void config_make_whole (json_t *value)
{
    const char *key;
    json_t *one;
    size_t i;
    int64_t whole;
    json_object_foreach (value, key, one) {
        config_make_whole (one);
        if (json_is_real (one) && parse_whole (one, &whole))
            json_object_set_new (value, key, json_integer (whole));
    }
    json_array_foreach (value, i, one) {
        config_make_whole (one);
        if (json_is_real (one) && parse_whole (one, &whole))
            json_array_set_new (value, i, json_integer (whole));
    }
}

static int config_complete (const char *dir, json_t *root, json_t *config, bool *news, err_t *err)
{
    json_t *decoder = json_object_get (config, "added_tokens_decoder"), *added = NULL;
    if (!json_is_array (json_object_get (root, "added_tokens")))
        json_object_set_new (root, "added_tokens", json_array ());
    int rc = decoder ? config_apply_decoder (root, decoder, CONFIG, news, err)
                     : config_read_object (dir, "added_tokens.json", &added, err);
    if (rc == 0 && added)
        rc = config_apply_added (root, config, added, news, err);
    if (rc == 0)
        rc = config_apply_specials (root, config, news, err);
    if (rc == 0)
        rc = config_refuse (root, config, err);
    json_decref (added);
    return rc;
}

/*  The file's own text, unless there is something to add to it. */
static int config_change (const char *dir, json_t *config, buf_t *file, char **text, err_t *err)
{
    bool news = false;
    json_t *root = parse_json (file->data, file->size, "tokenizer.json", err);
    int rc = root ? config_complete (dir, root, config, &news, err) : -1;
    if (rc == 0 && news) {
        config_make_whole (root);
        if (!(*text = json_dumps (root, JSON_INDENT (2))))
            rc = err_set (err, ERR_LIMIT, "no memory for a tokenizer.json");
    }
    json_decref (root);
    return rc == 0 ? 0 : err_wrap (err, "%s", dir);
}

int tokenizer_config_text (const char *dir, char **text, err_t *err)
{
    json_t *config = NULL;
    buf_t file = {0};
    *text = NULL;
    int rc = config_read_text (dir, "tokenizer.json", TOKENIZER_MAX, &file, err);
    if (rc == 0 && file.data)
        rc = config_read (dir, &config, err);
    if (rc == 0 && config)
        rc = config_change (dir, config, &file, text, err);
    if (rc == 0 && file.data && !*text && !(*text = buf_take (&file)))
        rc = err_set (err, ERR_LIMIT, "no memory for %s/tokenizer.json", dir);
    buf_free (&file);
    json_decref (config);
    return rc;
}

/*  tokenizer_steps - the steps around the model that tokenizer.json names: what it does not know
 *  it refuses by name. See tokenizer_internal.h
 */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "text/tokenizer_internal.h"

const char *tokenizer_type (const json_t *part)
{
    const char *type = json_string_value (json_object_get (part, "type"));
    return type ? type : "";
}

/*  A step that was left out would give other ids in silence, and a model reads those as another
 *  text. */
int tokenizer_refuse (err_t *err, const char *what, const char *type)
{
    return err_set (err, ERR_INPUT, "tokenizer: %s '%s' is not supported", what, type);
}

/*  A step that is nowhere else: "Sequence" holds a list of others. */
typedef int steps_read_fn (tokenizer_t *t, const json_t *part, err_t *err);

static int steps_read_list (tokenizer_t *t, const json_t *list, steps_read_fn *read, err_t *err)
{
    size_t i;
    const json_t *inner;
    json_array_foreach (list, i, inner)
        if (read (t, inner, err) != 0)
            return -1;
    return 0;
}

/*  Options that a file leaves out have the library's default, which is true for some of them. */
static bool steps_true (const json_t *part, const char *key, bool missing)
{
    const json_t *value = json_object_get (part, key);
    return value && !json_is_null (value) ? json_is_true (value) : missing;
}

/*  "pattern": {"Regex": ...} or {"String": ...}. */
static pcre2_code *steps_pattern (const json_t *part, err_t *err)
{
    const json_t *pattern = json_object_get (part, "pattern");
    const char *regex = json_string_value (json_object_get (pattern, "Regex"));
    const char *text = json_string_value (json_object_get (pattern, "String"));
    if (regex)
        return tokenizer_regex (regex, err);
    if (text && *text)
        return tokenizer_literal (text, err);
    tokenizer_refuse (err, tokenizer_type (part), "without a pattern");
    return NULL;
}

/*  ---- splitters ------------------------------------------------------------------------------ */

/*  The lists of steps are arrays of a fixed size, so a file cannot make them grow. */
static tokenizer_split_t *steps_add_split (tokenizer_t *t, err_t *err)
{
    if (t->splits == TOKENIZER_STEPS_MAX) {
        err_set (err, ERR_INPUT, "tokenizer: more than %d splitters", TOKENIZER_STEPS_MAX);
        return NULL;
    }
    return &t->split[t->splits++];
}

/*  Takes the pattern over. NULL stands for one that could not be read, which err tells already. */
static int steps_add_regex (tokenizer_t *t, pcre2_code *regex, int behavior, err_t *err)
{
    tokenizer_split_t *split = regex ? steps_add_split (t, err) : NULL;
    if (!split) {
        pcre2_code_free (regex);
        return -1;
    }
    split->kind = SPLIT_REGEX;
    split->regex = regex;
    split->behavior = behavior;
    return 0;
}

/*  Older files say add_prefix_space. A missing "split" is true: then every mark begins a piece. */
static int steps_read_metaspace (tokenizer_t *t, const json_t *part, err_t *err)
{
    static const char *const schemes[] = {"never", "first", "always"};
    const char *space = json_string_value (json_object_get (part, "replacement"));
    const char *scheme = json_string_value (json_object_get (part, "prepend_scheme"));
    const json_t *old = json_object_get (part, "add_prefix_space");
    tokenizer_split_t *split = steps_add_split (t, err);
    if (!split)
        return -1;
    if (!space || !*space || strlen (space) >= sizeof split->space)
        return err_set (err, ERR_INPUT, "tokenizer: Metaspace without replacement");
    split->kind = SPLIT_METASPACE;
    memcpy (split->space, space, strlen (space) + 1);
    split->prepend = PREPEND_ALWAYS;
    for (int i = 0; scheme && i < 3; i++)
        if (strcmp (scheme, schemes[i]) == 0)
            split->prepend = i;
    if (scheme && strcmp (scheme, schemes[split->prepend]) != 0)
        return tokenizer_refuse (err, "Metaspace option prepend_scheme", scheme);
    if (json_is_false (old) && scheme && split->prepend != PREPEND_NEVER)
        return tokenizer_refuse (err, "Metaspace option", "add_prefix_space: false");
    if (json_is_false (old))
        split->prepend = PREPEND_NEVER;
    return steps_true (part, "split", true)
               ? steps_add_regex (t, tokenizer_literal (space, err), SPLIT_MERGED_AFTER, err)
               : 0;
}

/*  The prefix comes before the splitting, as in the library: the blank belongs to the first
 *  word. */
static int steps_read_bytes (tokenizer_t *t, const json_t *part, err_t *err)
{
    t->byte_level = true;
    if (steps_true (part, "add_prefix_space", true)) {
        tokenizer_split_t *split = steps_add_split (t, err);
        if (!split)
            return -1;
        *split = (tokenizer_split_t){.kind = SPLIT_PREFIX, .space = " ", .prepend = PREPEND_ALWAYS};
    }
    return steps_true (part, "use_regex", true)
               ? steps_add_regex (t, tokenizer_regex (TOKENIZER_GPT2, err), SPLIT_ISOLATED, err)
               : 0;
}

/*  The place in this list is the number of tokenizer_internal.h's enum. `missing` stands for an
 *  option that is left out: a behaviour, or what the refusal calls it. */
static int steps_behavior (const json_t *part, const char *missing, err_t *err)
{
    static const char *const names[] = {"Isolated", "Removed", "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous"};
    const char *name = json_string_value (json_object_get (part, "behavior"));
    if (!name)
        name = missing;
    for (int i = 0; i < 5; i++)
        if (strcmp (name, names[i]) == 0)
            return i;
    return tokenizer_refuse (err, tokenizer_type (part), name);
}

static int steps_read_split (tokenizer_t *t, const json_t *part, err_t *err)
{
    int behavior = steps_behavior (part, "without a behavior", err);
    if (behavior < 0 || steps_add_regex (t, steps_pattern (part, err), behavior, err) != 0)
        return -1;
    t->split[t->splits - 1].invert = steps_true (part, "invert", false);
    return 0;
}

/*  Splitters go one into the next in the order of the file. ByteLevel spells bytes as characters,
 *  which what comes behind it would have to match. */
static int steps_read_pre (tokenizer_t *t, const json_t *part, err_t *err)
{
    const char *type = tokenizer_type (part);
    if (json_is_null (part) || !part)
        return 0;
    if (strcmp (type, "Sequence") == 0)
        return steps_read_list (t, json_object_get (part, "pretokenizers"), steps_read_pre, err);
    if (t->byte_level)
        return err_set (err, ERR_INPUT,
                        "tokenizer: pre_tokenizer '%s' behind ByteLevel is not "
                        "supported",
                        type);
    if (strcmp (type, "ByteLevel") == 0)
        return steps_read_bytes (t, part, err);
    if (strcmp (type, "Metaspace") == 0)
        return steps_read_metaspace (t, part, err);
    if (strcmp (type, "Split") == 0)
        return steps_read_split (t, part, err);
    if (strcmp (type, "Digits") == 0)
        return steps_add_regex (
            t, tokenizer_regex ("\\p{N}", err),
            steps_true (part, "individual_digits", false) ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS, err);
    if (strcmp (type, "WhitespaceSplit") == 0)
        return steps_add_regex (t, tokenizer_regex ("\\s", err), SPLIT_REMOVED, err);
    if (strcmp (type, "Punctuation") == 0) {
        int behavior = steps_behavior (part, "Isolated", err);
        return behavior < 0 ? -1
                            : steps_add_regex (t, tokenizer_regex ("[!-/:-@\\[-`{-~\\p{P}]", err),
                                               behavior, err);
    }
    return tokenizer_refuse (err, "pre_tokenizer", type);
}

/*  ---- the normaliser ------------------------------------------------------------------------- */

/*  Takes pattern and text of the step over, also when there is no room for it. */
static int steps_add_normal (tokenizer_t *t, tokenizer_normal_t step, err_t *err)
{
    if (t->normals == TOKENIZER_STEPS_MAX) {
        pcre2_code_free (step.regex);
        free (step.text);
        return err_set (err, ERR_INPUT, "tokenizer: more than %d normalizers", TOKENIZER_STEPS_MAX);
    }
    t->normal[t->normals++] = step;
    return 0;
}

/*  NFC, NFD, NFKC, NFKD. */
static int steps_form (const char *type)
{
    static const struct {
        const char *name;
        int options;
    } forms[] = {{"NFC", UTF8PROC_STABLE | UTF8PROC_COMPOSE},
                 {"NFD", UTF8PROC_STABLE | UTF8PROC_DECOMPOSE},
                 {"NFKC", UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT},
                 {"NFKD", UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp (type, forms[i].name) == 0)
            return forms[i].options;
    return 0;
}

/*  Normalisers run in the order of the file, each on what the one before it has made. */
static int steps_read_normalizer (tokenizer_t *t, const json_t *part, err_t *err)
{
    const char *type = tokenizer_type (part);
    if (json_is_null (part) || !part)
        return 0;
    if (strcmp (type, "Sequence") == 0)
        return steps_read_list (t, json_object_get (part, "normalizers"), steps_read_normalizer,
                                err);
    tokenizer_normal_t step = {.kind = NORMAL_COMPOSE, .options = steps_form (type)};
    if (step.options)
        return steps_add_normal (t, step, err);
    const char *prepend = json_string_value (json_object_get (part, "prepend"));
    const char *content = json_string_value (json_object_get (part, "content"));
    if (strcmp (type, "Prepend") == 0 && prepend) {
        step.kind = NORMAL_PREPEND;
        step.text = strdup (prepend);
    } else if (strcmp (type, "Replace") == 0 && content) {
        step.kind = NORMAL_REPLACE;
        step.text = strdup (content);
        step.regex = steps_pattern (part, err);
        if (!step.regex) {
            free (step.text);
            return -1;
        }
    } else if (strcmp (type, "Strip") == 0) {
        step.kind = NORMAL_STRIP;
        step.left = steps_true (part, "strip_left", false);
        step.right = steps_true (part, "strip_right", false);
    } else {
        return tokenizer_refuse (err, "normalizer", type);
    }
    return steps_add_normal (t, step, err);
}

/*  ---- the post-processor --------------------------------------------------------------------- */

/*  Ids that stand before and after a single text, such as a begin token: "single" is a list of
 *  those with the text's place among them. */
static int steps_read_template (tokenizer_t *t, const json_t *part, err_t *err)
{
    size_t i;
    const json_t *piece, *tokens = json_object_get (part, "special_tokens");
    bool after = false;
    json_array_foreach (json_object_get (part, "single"), i, piece) {
        const char *name =
            json_string_value (json_object_get (json_object_get (piece, "SpecialToken"), "id"));
        if (!name) {
            /* The text's own place: what comes behind it in the list comes behind the text. */
            after = true;
            continue;
        }
        const json_t *ids = json_object_get (json_object_get (tokens, name), "ids"), *id;
        size_t j;
        json_array_foreach (ids, j, id) {
            size_t *n = after ? &t->after_n : &t->before_n;
            int64_t number;
            if (*n == TOKENIZER_PIECES_MAX)
                return err_set (err, ERR_INPUT, "tokenizer: post_processor is too long");
            if (!parse_whole (id, &number) || number < 0 || number > INT32_MAX)
                return err_set (err, ERR_INPUT, "tokenizer: post_processor: %s has no id", name);
            (after ? t->after : t->before)[(*n)++] = (int32_t) number;
        }
    }
    return 0;
}

/*  BERT's and RoBERTa's: one token before a text and one behind it. */
static int steps_read_pair (tokenizer_t *t, const json_t *part, err_t *err)
{
    int64_t first, last;
    if (!parse_whole (json_array_get (json_object_get (part, "cls"), 1), &first) ||
        !parse_whole (json_array_get (json_object_get (part, "sep"), 1), &last) || first < 0 ||
        first > INT32_MAX || last < 0 || last > INT32_MAX)
        return tokenizer_refuse (err, "post_processor without ids", tokenizer_type (part));
    if (t->before_n == TOKENIZER_PIECES_MAX || t->after_n == TOKENIZER_PIECES_MAX)
        return err_set (err, ERR_INPUT, "tokenizer: post_processor is too long");
    t->before[t->before_n++] = (int32_t) first;
    t->after[t->after_n++] = (int32_t) last;
    return 0;
}

/*  ByteLevel changes only offsets here, and we give none. */
static int steps_read_post (tokenizer_t *t, const json_t *part, err_t *err)
{
    const char *type = tokenizer_type (part);
    if (json_is_null (part) || !part || strcmp (type, "ByteLevel") == 0)
        return 0;
    if (strcmp (type, "Sequence") == 0)
        return steps_read_list (t, json_object_get (part, "processors"), steps_read_post, err);
    if (strcmp (type, "BertProcessing") == 0 || strcmp (type, "RobertaProcessing") == 0)
        return steps_read_pair (t, part, err);
    return strcmp (type, "TemplateProcessing") == 0
               ? steps_read_template (t, part, err)
               : tokenizer_refuse (err, "post_processor", type);
}

/*  ---- the decoder ---------------------------------------------------------------------------- */

/*  The step is in the list already, so tokenizer_free_steps frees what was read of it before an
 *  error. */
static int steps_read_decoder_options (tokenizer_decode_t *step, const json_t *part, err_t *err)
{
    const char *content = json_string_value (json_object_get (part, "content"));
    int64_t start = 0, stop = 0;
    if (step->kind == DECODE_METASPACE) {
        const char *scheme = json_string_value (json_object_get (part, "prepend_scheme"));
        const char *mark = json_string_value (json_object_get (part, "replacement"));
        step->prepends = !(scheme && strcmp (scheme, "never") == 0) &&
                         !json_is_false (json_object_get (part, "add_prefix_space"));
        if (!mark || !*mark)
            return tokenizer_refuse (err, "decoder", "Metaspace without replacement");
        step->regex = tokenizer_literal (mark, err);
        return step->regex ? 0 : -1;
    }
    if (step->kind != DECODE_REPLACE && step->kind != DECODE_STRIP)
        return 0;
    if (!content || (step->kind == DECODE_STRIP && !*content) || !(step->text = strdup (content)))
        return tokenizer_refuse (err, "decoder without content", tokenizer_type (part));
    if (step->kind == DECODE_REPLACE)
        return (step->regex = steps_pattern (part, err)) ? 0 : -1;
    if (!parse_whole (json_object_get (part, "start"), &start) || start < 0 ||
        !parse_whole (json_object_get (part, "stop"), &stop) || stop < 0)
        return tokenizer_refuse (err, "decoder", "Strip without start and stop");
    step->start = (size_t) start;
    step->stop = (size_t) stop;
    return 0;
}

static int steps_read_decoder (tokenizer_t *t, const json_t *part, err_t *err)
{
    static const char *const kinds[] = {"ByteLevel", "Replace", "ByteFallback",
                                        "Fuse",      "Strip",   "Metaspace"};
    const char *type = tokenizer_type (part);
    if (json_is_null (part) || !part)
        return 0;
    /* Without any decoder the library puts a blank between tokens (tokenizer_decode.c). */
    t->joins = true;
    if (strcmp (type, "Sequence") == 0)
        return steps_read_list (t, json_object_get (part, "decoders"), steps_read_decoder, err);
    for (int i = 0; i < 6; i++)
        if (strcmp (type, kinds[i]) == 0) {
            if (t->decodes == TOKENIZER_STEPS_MAX)
                return err_set (err, ERR_INPUT, "tokenizer: more than %d decoders",
                                TOKENIZER_STEPS_MAX);
            tokenizer_decode_t *step = &t->decode[t->decodes++];
            step->kind = i;
            return steps_read_decoder_options (step, part, err);
        }
    return tokenizer_refuse (err, "decoder", type);
}

/*  The pre-tokenizer first: it says whether the model is byte-level. */
int tokenizer_read_steps (tokenizer_t *t, const json_t *root, err_t *err)
{
    return steps_read_pre (t, json_object_get (root, "pre_tokenizer"), err) != 0 ||
                   steps_read_normalizer (t, json_object_get (root, "normalizer"), err) != 0 ||
                   steps_read_decoder (t, json_object_get (root, "decoder"), err) != 0 ||
                   steps_read_post (t, json_object_get (root, "post_processor"), err) != 0
               ? -1
               : 0;
}

/*  Also of a tokenizer that is half read: what is not there is NULL. */
void tokenizer_free_steps (tokenizer_t *t)
{
    for (size_t i = 0; i < t->splits; i++)
        pcre2_code_free (t->split[i].regex);
    for (size_t i = 0; i < t->normals; i++) {
        pcre2_code_free (t->normal[i].regex);
        free (t->normal[i].text);
    }
    for (size_t i = 0; i < t->decodes; i++) {
        pcre2_code_free (t->decode[i].regex);
        free (t->decode[i].text);
    }
}

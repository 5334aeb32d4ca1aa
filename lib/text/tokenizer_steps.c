/*  tokenizer_steps - the steps around the model that tokenizer.json names: what it does not know
 *  it refuses by name. See tokenizer_internal.h
 */
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_internal.h"

const char *tokenizer_type (const json_t *part)
{
    const char *type = json_string_value (json_object_get (part, "type"));
    return type ? type : "";
}

int tokenizer_refuse (err_t *err, const char *what, const char *type)
{
    return err_set (err, ERR_INPUT, "tokenizer: %s '%s' is not supported", what, type);
}

/*  UCP: \s, \p{L} and case go by Unicode, as in the tokenizers library. The text that is matched is
 *  valid UTF-8 already, hence NO_UTF_CHECK. */
pcre2_code *tokenizer_regex (const char *pattern, err_t *err)
{
    int code;
    PCRE2_SIZE at;
    pcre2_code *regex =
        pcre2_compile ((PCRE2_SPTR) pattern, PCRE2_ZERO_TERMINATED,
                       PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK, &code, &at, NULL);
    if (!regex) {
        char text[120];
        pcre2_get_error_message (code, (PCRE2_UCHAR *) text, sizeof text);
        err_set (err, ERR_INPUT, "tokenizer: splitter '%.200s': %s", pattern, text);
        return NULL;
    }
    pcre2_jit_compile (regex, PCRE2_JIT_COMPLETE); /* without it, matching is only slower */
    return regex;
}

static int steps_add_split (tokenizer_t *t, const char *pattern, err_t *err)
{
    if (t->splits == TOKENIZER_SPLITS_MAX)
        return err_set (err, ERR_INPUT, "tokenizer: more than %d splitters", TOKENIZER_SPLITS_MAX);
    t->split[t->splits] = tokenizer_regex (pattern, err);
    return t->split[t->splits] ? (t->splits++, 0) : -1;
}

/*  With "split" the text would be cut at spaces, which is not done here. */
static int steps_read_metaspace (tokenizer_t *t, const json_t *part, err_t *err)
{
    const char *space = json_string_value (json_object_get (part, "replacement"));
    const char *scheme = json_string_value (json_object_get (part, "prepend_scheme"));
    if (!space || strlen (space) >= sizeof t->space)
        return err_set (err, ERR_INPUT, "tokenizer: Metaspace without replacement");
    if (json_is_true (json_object_get (part, "split")))
        return tokenizer_refuse (err, "Metaspace option", "split: true");
    memcpy (t->space, space, strlen (space) + 1);
    if (!scheme || strcmp (scheme, "always") == 0)
        t->prepend_scheme = PREPEND_ALWAYS;
    else if (strcmp (scheme, "first") == 0)
        t->prepend_scheme = PREPEND_FIRST;
    else
        t->prepend_scheme = PREPEND_NEVER;
    return 0;
}

/*  Splitters go one into the next in the order of the file. Digits may only come before them, since
 *  encode_split_digits runs first. */
static int steps_read_pre (tokenizer_t *t, const json_t *part, err_t *err)
{
    const char *type = tokenizer_type (part);
    if (json_is_null (part) || !part)
        return 0;
    if (strcmp (type, "Sequence") == 0) {
        size_t i;
        const json_t *inner;
        json_array_foreach (json_object_get (part, "pretokenizers"), i, inner)
            if (steps_read_pre (t, inner, err) != 0)
                return -1;
        return 0;
    }
    if (strcmp (type, "ByteLevel") == 0) {
        t->byte_level = true;
        if (json_is_true (json_object_get (part, "add_prefix_space")))
            return tokenizer_refuse (err, "ByteLevel option", "add_prefix_space: true");
        /* Left out it is true: ByteLevel splits by itself, with GPT-2's pattern. */
        const json_t *regex = json_object_get (part, "use_regex");
        return !regex || json_is_true (regex) ? steps_add_split (t, TOKENIZER_GPT2, err) : 0;
    }
    if (strcmp (type, "Digits") == 0 && t->splits == 0) {
        t->digits = json_is_true (json_object_get (part, "individual_digits"));
        return t->digits ? 0 : tokenizer_refuse (err, "Digits option", "individual_digits: false");
    }
    if (strcmp (type, "Metaspace") == 0)
        return steps_read_metaspace (t, part, err);
    /* "Isolated" keeps matches as pieces of their own; the other behaviours would cut elsewhere. */
    if (strcmp (type, "Split") != 0)
        return tokenizer_refuse (err, "pre_tokenizer", type);
    const json_t *pattern = json_object_get (json_object_get (part, "pattern"), "Regex");
    const char *behavior = json_string_value (json_object_get (part, "behavior"));
    if (!json_is_string (pattern) || !behavior || strcmp (behavior, "Isolated") != 0 ||
        json_is_true (json_object_get (part, "invert")))
        return tokenizer_refuse (err, "Split", behavior ? behavior : "without a Regex pattern");
    return steps_add_split (t, json_string_value (pattern), err);
}

/*  What a normaliser may be: NFC, Prepend, Replace of the space. Their order does not matter
 *  (tokenizer_normalize). */
static int steps_read_normalizer (tokenizer_t *t, const json_t *part, err_t *err)
{
    const char *type = tokenizer_type (part);
    if (json_is_null (part) || !part)
        return 0;
    if (strcmp (type, "Sequence") == 0) {
        size_t i;
        const json_t *inner;
        json_array_foreach (json_object_get (part, "normalizers"), i, inner)
            if (steps_read_normalizer (t, inner, err) != 0)
                return -1;
        return 0;
    }
    const char *prepend = json_string_value (json_object_get (part, "prepend"));
    const char *content = json_string_value (json_object_get (part, "content"));
    const char *from =
        json_string_value (json_object_get (json_object_get (part, "pattern"), "String"));
    if (strcmp (type, "NFC") == 0) {
        t->nfc = true;
        return 0;
    }
    /* A space put first would have to be replaced, too, when Replace comes after: then the order
     * would matter. */
    if (strcmp (type, "Prepend") == 0 && prepend && strlen (prepend) < sizeof t->normal_prepend &&
        !strchr (prepend, ' ') && !*t->normal_prepend) {
        memcpy (t->normal_prepend, prepend, strlen (prepend) + 1);
        return 0;
    }
    if (strcmp (type, "Replace") == 0 && from && strcmp (from, " ") == 0 && content &&
        strlen (content) < sizeof t->normal_space) {
        memcpy (t->normal_space, content, strlen (content) + 1);
        t->normal_replace = true;
        return 0;
    }
    return tokenizer_refuse (err, "normalizer", type);
}

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

/*  ByteLevel as a post-processor only trims offsets, which we have none of. */
static int steps_read_post (tokenizer_t *t, const json_t *part, err_t *err)
{
    const char *type = tokenizer_type (part);
    if (json_is_null (part) || !part || strcmp (type, "ByteLevel") == 0)
        return 0;
    if (strcmp (type, "Sequence") == 0) {
        size_t i;
        const json_t *inner;
        json_array_foreach (json_object_get (part, "processors"), i, inner)
            if (steps_read_post (t, inner, err) != 0)
                return -1;
        return 0;
    }
    return strcmp (type, "TemplateProcessing") == 0
               ? steps_read_template (t, part, err)
               : tokenizer_refuse (err, "post_processor", type);
}

/*  What decoding does follows from the model (tokenizer_decode.c). Only steps that would change the
 *  text in another way matter here: Strip and Metaspace take the space away that encoding put
 *  first. */
static int steps_read_decoder (tokenizer_t *t, const json_t *part, err_t *err)
{
    static const char *const known[] = {"ByteLevel", "Replace",   "ByteFallback",
                                        "Fuse",      "Metaspace", NULL};
    const char *type = tokenizer_type (part);
    if (json_is_null (part) || !part)
        return 0;
    if (strcmp (type, "Sequence") == 0) {
        size_t i;
        const json_t *inner;
        json_array_foreach (json_object_get (part, "decoders"), i, inner)
            if (steps_read_decoder (t, inner, err) != 0)
                return -1;
        return 0;
    }
    if (strcmp (type, "Strip") == 0 || strcmp (type, "Metaspace") == 0) {
        t->strip_first = true;
        return 0;
    }
    for (const char *const *k = known; *k; k++)
        if (strcmp (type, *k) == 0)
            return 0;
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

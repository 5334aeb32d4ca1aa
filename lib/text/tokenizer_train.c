/*  tokenizer_train - byte-level BPE from texts. See tokenizer.h
 *
 *  Sennrich, Haddow and Birch 2016, "Neural machine translation of rare words with subword units",
 *  section 3.2, on the bytes of the words that GPT-2's splitter finds. Words are counted once;
 *  each merge recounts the pairs of all distinct words, which is quick for the small corpora that
 *  this is meant for.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_internal.h"

#define MAP_SIZE  ((size_t) 1 << 18) /* distinct words at most: three quarters of it */
#define VOCAB_MAX 4096

/*  A distinct word of the corpus and how often it occurs. */
typedef struct {
    char *text;
    size_t size, count;
    int32_t *ids; /* current symbols */
    size_t n;
} word_t;

typedef struct {
    word_t *words; /* open addressing, by text */
    size_t words_n;
    char *token[VOCAB_MAX]; /* bytes of each token, by id less the specials */
    size_t token_size[VOCAB_MAX];
    size_t tokens;
    uint32_t *counts; /* [tokens][tokens] pairs */
    json_t *merges;
    bool failed;
} trainer_t;

/*  Finds the word or makes it, with its bytes as first symbols, and counts it once more. */
static void tokenizer_train_count_word (trainer_t *t, const char *text, size_t size)
{
    uint64_t hash = 1469598103934665603u; /* FNV-1a */
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char) text[i]) * 1099511628211u;
    size_t at = (hash ^ hash >> 31) % MAP_SIZE;
    while (t->words[at].text &&
           (t->words[at].size != size || memcmp (t->words[at].text, text, size) != 0))
        at = (at + 1) % MAP_SIZE;
    word_t *word = &t->words[at];
    if (!word->text) {
        /* A table that is full would be searched for ever. */
        if (t->words_n >= MAP_SIZE * 3 / 4)
            return; /* words that come so late are rare */
        word->text = malloc (size);
        word->ids = malloc (size * sizeof *word->ids);
        if (!word->text || !word->ids) {
            t->failed = true;
            return;
        }
        memcpy (word->text, text, size);
        word->size = word->n = size;
        for (size_t i = 0; i < size; i++)
            word->ids[i] = (unsigned char) text[i];
        t->words_n++;
    }
    word->count++;
}

/*  Pieces are those of the splitter that the finished tokenizer will use; merges never cross
 *  them. */
static void tokenizer_train_count_text (trainer_t *t, const pcre2_code *regex,
                                        pcre2_match_data *match, const char *text)
{
    size_t size = strlen (text);
    for (size_t at = 0; at < size;) {
        if (pcre2_match (regex, (PCRE2_SPTR) text, size, at, 0, match, NULL) < 0)
            return;
        const PCRE2_SIZE *ends = pcre2_get_ovector_pointer (match);
        if (ends[1] > ends[0])
            tokenizer_train_count_word (t, text + ends[0], ends[1] - ends[0]);
        /* An empty match must not be found again for ever. */
        at = ends[1] > at ? ends[1] : at + 1;
    }
}

/*  The pair that occurs most, at least twice; of equals the one with the lowest ids, so that the
 *  same texts give the same tokenizer. */
static bool tokenizer_train_best_pair (const trainer_t *t, int32_t *left, int32_t *right)
{
    uint32_t most = 1;
    bool found = false;
    for (size_t a = 0; a < t->tokens; a++)
        for (size_t b = 0; b < t->tokens; b++) {
            uint32_t count = t->counts[a * VOCAB_MAX + b];
            if (count > most) {
                most = count;
                *left = (int32_t) a;
                *right = (int32_t) b;
                found = true;
            }
        }
    return found;
}

/*  From scratch for every merge. Keeping counts up to date would be faster and easy to get wrong;
 *  the corpora are small. */
static void tokenizer_train_count_pairs (trainer_t *t)
{
    for (size_t a = 0; a < t->tokens; a++)
        memset (t->counts + a * VOCAB_MAX, 0, t->tokens * sizeof *t->counts);
    for (size_t w = 0; w < MAP_SIZE; w++)
        for (size_t i = 0; t->words[w].text && i + 1 < t->words[w].n; i++)
            t->counts[(size_t) t->words[w].ids[i] * VOCAB_MAX + (size_t) t->words[w].ids[i + 1]] +=
                (uint32_t) t->words[w].count;
}

/*  Replaces the pair by the token in every word, in place: words only get shorter. */
static void tokenizer_train_apply (trainer_t *t, int32_t left, int32_t right, int32_t id)
{
    for (size_t w = 0; w < MAP_SIZE; w++) {
        word_t *word = &t->words[w];
        size_t n = 0;
        for (size_t i = 0; word->text && i < word->n; i++) {
            /* From left to right, as encoding does it: "aaa" becomes (aa) a. */
            bool pair = i + 1 < word->n && word->ids[i] == left && word->ids[i + 1] == right;
            word->ids[n++] = pair ? id : word->ids[i];
            i += pair;
        }
        word->n = n;
    }
}

/*  The printable characters that stand for a token's bytes: the reverse of tokenizer_unprint. */
static json_t *tokenizer_train_printable (const char *data, size_t size)
{
    buf_t text = {0};
    for (size_t i = 0; i < size; i++) {
        char utf8[4];
        buf_append (&text, utf8,
                    tokenizer_utf8 (tokenizer_byte_char ((unsigned char) data[i]), utf8));
    }
    json_t *value = json_stringn (text.data ? text.data : "", text.size);
    buf_free (&text);
    return value;
}

/*  A token is the bytes of its two parts, and the merge that makes it. */
static bool tokenizer_train_add_token (trainer_t *t, int32_t left, int32_t right)
{
    size_t n = t->token_size[left] + t->token_size[right];
    char *data = malloc (n);
    if (!data)
        return false;
    memcpy (data, t->token[left], t->token_size[left]);
    memcpy (data + t->token_size[left], t->token[right], t->token_size[right]);
    t->token[t->tokens] = data;
    t->token_size[t->tokens++] = n;
    json_array_append_new (
        t->merges,
        json_pack ("[o, o]", tokenizer_train_printable (t->token[left], t->token_size[left]),
                   tokenizer_train_printable (t->token[right], t->token_size[right])));
    return true;
}

/*  The 256 bytes are the first tokens, so that any text can be written; then one merge per token
 *  until there are enough, or no pair occurs twice. */
static int tokenizer_train_learn (trainer_t *t, size_t wanted)
{
    for (unsigned b = 0; b < 256; b++) {
        t->token[b] = malloc (1);
        if (!t->token[b])
            return -1;
        t->token[b][0] = (char) b;
        t->token_size[b] = 1;
    }
    t->tokens = 256;
    while (t->tokens < wanted) {
        int32_t left = 0, right = 0;
        tokenizer_train_count_pairs (t);
        if (!tokenizer_train_best_pair (t, &left, &right))
            return 0;
        int32_t id = (int32_t) t->tokens;
        if (!tokenizer_train_add_token (t, left, right))
            return -1;
        tokenizer_train_apply (t, left, right, id);
    }
    return 0;
}

/*  In the form of tokenizer.json, so that it is read by the same code as any other tokenizer, and
 *  by other programs. */
static char *tokenizer_train_write_json (const trainer_t *t, const char *const *specials,
                                         size_t specials_n)
{
    json_t *vocab = json_object (), *added = json_array ();
    for (size_t i = 0; i < specials_n; i++) {
        json_object_set_new (vocab, specials[i], json_integer ((json_int_t) i));
        json_array_append_new (added,
                               json_pack ("{s:I, s:s, s:b, s:b, s:b, s:b, s:b}", "id",
                                          (json_int_t) i, "content", specials[i], "single_word", 0,
                                          "lstrip", 0, "rstrip", 0, "normalized", 0, "special", 1));
    }
    for (size_t i = 0; i < t->tokens; i++) {
        json_t *name = tokenizer_train_printable (t->token[i], t->token_size[i]);
        json_object_set_new (vocab, json_string_value (name),
                             json_integer ((json_int_t) (i + specials_n)));
        json_decref (name);
    }
    /* The same object twice: as pre-tokenizer and as decoder. */
    json_t *level = json_pack ("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                               "trim_offsets", 1, "use_regex", 1);
    json_t *root = json_pack (
        "{s:s, s:n, s:n, s:o, s:n, s:O, s:n, s:O, s:{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:b, s:o, "
        "s:O}}",
        "version", "1.0", "truncation", "padding", "added_tokens", added, "normalizer",
        "pre_tokenizer", level, "post_processor", "decoder", level, "model", "type", "BPE",
        "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0,
        "byte_fallback", 0, "ignore_merges", 0, "vocab", vocab, "merges", t->merges);
    char *text = root ? json_dumps (root, JSON_INDENT (1)) : NULL;
    json_decref (level);
    json_decref (root);
    return text;
}

static void tokenizer_train_trainer_free (trainer_t *t)
{
    for (size_t w = 0; t->words && w < MAP_SIZE; w++) {
        free (t->words[w].text);
        free (t->words[w].ids);
    }
    for (size_t i = 0; i < VOCAB_MAX; i++)
        free (t->token[i]);
    free (t->words);
    free (t->counts);
    json_decref (t->merges);
    free (t);
}

/*  The specials have the first ids, then the 256 bytes, then the merges in the order in which they
 *  were found. */
char *tokenizer_train (const char *const *texts, size_t n, size_t vocab,
                       const char *const *specials, size_t specials_n, err_t *err)
{
    /* All bytes must have tokens, and the table of pairs is VOCAB_MAX squared. */
    if (vocab < 256 + specials_n || vocab > VOCAB_MAX) {
        err_set (err, ERR_INPUT, "a vocabulary of %zu tokens: %zu to %d are wanted", vocab,
                 256 + specials_n, VOCAB_MAX);
        return NULL;
    }
    trainer_t *t = calloc (1, sizeof *t);
    pcre2_code *regex = t ? tokenizer_regex (TOKENIZER_GPT2, err) : NULL;
    pcre2_match_data *match = pcre2_match_data_create (4, NULL);
    char *json = NULL;
    if (regex && match) {
        t->words = calloc (MAP_SIZE, sizeof *t->words);
        t->counts = calloc ((size_t) VOCAB_MAX * VOCAB_MAX, sizeof *t->counts);
        t->merges = json_array ();
        t->failed = !t->words || !t->counts || !t->merges;
        for (size_t i = 0; i < n && !t->failed; i++)
            tokenizer_train_count_text (t, regex, match, texts[i]);
        if (!t->failed && tokenizer_train_learn (t, vocab - specials_n) == 0)
            json = tokenizer_train_write_json (t, specials, specials_n);
    }
    if (!json)
        err_set (err, ERR_LIMIT, "no memory to train a tokenizer");
    pcre2_match_data_free (match);
    pcre2_code_free (regex);
    if (t)
        tokenizer_train_trainer_free (t);
    return json;
}

/*  tokenizer_encode - text to ids. See tokenizer.h
 *
 *  The way of a text, as the tokenizers library has it:
 *
 *      bytes -> valid UTF-8 (tokenizer_lossy)
 *        -> added tokens of the raw text cut out (encode_stretch)
 *           -> the rest normalised (tokenizer_normalize), then cut once more by the added tokens
 *              that are looked for in normalised text
 *              -> cut by the pre_tokenizer's steps (tokenizer_split)
 *                 -> pieces, each merged by itself (encode_piece)
 *
 *  Merging: the piece's first symbols are a linked list; every neighbouring pair with a merge is a
 *  candidate in a heap, ordered by rank and then by place. The best one is applied, its symbol gets
 *  up to two new candidates, and candidates that speak of symbols as they no longer are get
 *  skipped. So a piece of n symbols costs n log n, where trying all pairs after every merge would
 *  cost n squared.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "text/tokenizer_internal.h"

#define PARTS_MAX 8 /* of a text */

typedef struct {
    int32_t id;
    int32_t left, right; /* neighbours, -1: none */
} symbol_t;

typedef struct {
    uint32_t rank;
    int32_t at;
    int32_t left_id, right_id; /* as they were; changed ones make the entry stale */
    int32_t id;
} candidate_t;

typedef struct {
    const tokenizer_t *t;
    tokenizer_ids_t *ids;
    tokenizer_splitter_t splitter;
    symbol_t *symbols;
    candidate_t *heap;
    size_t capacity, heap_n;
    const tokenizer_part_t *parts;
    size_t parts_n;
    bool failed, unknown;
} encoder_t;

int tokenizer_push (tokenizer_ids_t *ids, int32_t id)
{
    if (ids->n == ids->capacity) {
        size_t n = ids->capacity ? 2 * ids->capacity : 64;
        int32_t *grown = realloc (ids->data, n * sizeof *grown);
        if (!grown)
            return -1;
        ids->data = grown;
        ids->capacity = n;
    }
    ids->data[ids->n++] = id;
    return 0;
}

static void encode_push (encoder_t *e, int32_t id)
{
    if (tokenizer_push (e->ids, id) != 0)
        e->failed = true;
}

/*  ---- merging -------------------------------------------------------------------------------- */

/*  Lowest rank first, leftmost among equals: BPE merges the same pair from left to right. */
static bool encode_before (const candidate_t *a, const candidate_t *b)
{
    return a->rank < b->rank || (a->rank == b->rank && a->at < b->at);
}

/*  A binary heap: the children of i are 2 i + 1 and 2 i + 2, and no child comes before its
 *  parent. */
static void encode_heap_push (encoder_t *e, candidate_t c)
{
    assert (e->heap_n < 3 * e->capacity);
    size_t i = e->heap_n++;
    while (i && encode_before (&c, &e->heap[(i - 1) / 2])) {
        e->heap[i] = e->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    e->heap[i] = c;
}

/*  The last one fills the gap from above: smaller children move up until it fits. */
static candidate_t encode_heap_pop (encoder_t *e)
{
    candidate_t top = e->heap[0], last = e->heap[--e->heap_n];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < e->heap_n; i = child) {
        if (child + 1 < e->heap_n && encode_before (&e->heap[child + 1], &e->heap[child]))
            child++;
        if (!encode_before (&e->heap[child], &last))
            break;
        e->heap[i] = e->heap[child];
    }
    e->heap[i] = last;
    return top;
}

/*  Enters the pair that begins at symbol `at`, if there is a merge for it. */
static void encode_consider (encoder_t *e, int32_t at)
{
    const symbol_t *s = &e->symbols[at];
    if (at < 0 || s->right < 0)
        return;
    int32_t right = e->symbols[s->right].id;
    const merge_t *m = tokenizer_merge (e->t, s->id, right);
    if (m)
        encode_heap_push (e, (candidate_t){m->rank, at, s->id, right, m->id});
}

/*  Merges the symbols of a piece until no pair has a merge. Symbols are a linked list, so a merge
 *  takes constant time. Candidates are never removed from the heap when a neighbour changes: each
 *  carries the ids that it was made for, and one whose symbols have others by then is stale and
 *  skipped. */
static void encode_merge_all (encoder_t *e, size_t n)
{
    e->heap_n = 0;
    for (size_t i = 0; i + 1 < n; i++)
        encode_consider (e, (int32_t) i);
    while (e->heap_n) {
        candidate_t c = encode_heap_pop (e);
        symbol_t *s = &e->symbols[c.at];
        /* Stale: one of the two was merged with another neighbour since. */
        if (s->id != c.left_id || s->right < 0 || e->symbols[s->right].id != c.right_id)
            continue;
        symbol_t *gone = &e->symbols[s->right];
        s->id = c.id;
        s->right = gone->right;
        gone->id = -2; /* no candidate names it again */
        if (s->right >= 0)
            e->symbols[s->right].left = c.at;
        /* The new symbol has new neighbours on both sides. */
        if (s->left >= 0)
            encode_consider (e, s->left);
        encode_consider (e, c.at);
    }
}

/*  Room for a piece of n bytes: no symbol is shorter than a byte. */
static bool encode_reserve (encoder_t *e, size_t n)
{
    if (n <= e->capacity)
        return true;
    symbol_t *symbols = realloc (e->symbols, n * sizeof *symbols);
    if (symbols)
        e->symbols = symbols;
    /* Every merge adds at most two candidates to the n - 1 first ones, and there are at most n - 1
     * merges. */
    candidate_t *heap = realloc (e->heap, 3 * n * sizeof *heap);
    if (heap)
        e->heap = heap;
    if (!symbols || !heap) {
        e->failed = true;
        return false;
    }
    e->capacity = n;
    return true;
}

/*  The first symbols of a piece: its bytes in a byte-level model, else its characters. A character
 *  without a token becomes the tokens of its bytes when all of them exist, else the unknown token,
 *  one for a run of such characters when fuse_unk says so. As in the library, the unknown token
 *  waits for the next character with a token of its own, and bytes go before it. Returns how
 *  many. */
static size_t encode_first_symbols (encoder_t *e, const char *text, size_t size)
{
    const tokenizer_t *t = e->t;
    size_t n = 0;
    bool waits = false;
    for (size_t at = 0; at < size;) {
        size_t skip,
            length = t->byte_level ? 1 : tokenizer_utf8_length (text + at, size - at, &skip);
        if (!length)
            length = 1;
        int32_t id = t->byte_level ? t->byte_id[(unsigned char) text[at]]
                                   : tokenizer_lookup (t, text + at, length);
        /* All bytes of the character, or none: half a character could not be decoded again. */
        bool fallback = id < 0 && t->byte_fallback;
        for (size_t i = 0; fallback && i < length; i++)
            fallback = t->byte_id[(unsigned char) text[at + i]] >= 0;
        if (fallback) {
            for (size_t i = 0; i < length; i++)
                e->symbols[n++].id = t->byte_id[(unsigned char) text[at + i]];
        } else {
            if (waits && (id >= 0 || !t->fuse_unknown))
                e->symbols[n++].id = t->unknown;
            waits = id < 0 && t->unknown >= 0;
            if (id >= 0)
                e->symbols[n++].id = id;
            e->unknown |= id < 0 && t->unknown_missing;
        }
        at += length;
    }
    if (waits)
        e->symbols[n++].id = t->unknown;
    for (size_t i = 0; i < n; i++) {
        e->symbols[i].left = (int32_t) i - 1;
        e->symbols[i].right = i + 1 < n ? (int32_t) i + 1 : -1;
    }
    return n;
}

/*  The id of a piece that is a token as it stands. A byte-level vocabulary spells its bytes in
 *  printable characters. */
static int32_t encode_whole (const tokenizer_t *t, const char *text, size_t size)
{
    if (!t->byte_level)
        return tokenizer_lookup (t, text, size);
    buf_t spelled = {.max = SIZE_MAX / 4};
    for (size_t i = 0; i < size; i++) {
        char c[4];
        buf_append (&spelled, c, tokenizer_utf8 (tokenizer_byte_char ((unsigned char) text[i]), c));
    }
    int32_t id = spelled.failed ? -1 : tokenizer_lookup (t, spelled.data, spelled.size);
    buf_free (&spelled);
    return id;
}

/*  ignore_merges (Llama 3): a piece that is a token as a whole is that token, whatever its merges
 *  would give. */
static void encode_piece (void *context, const char *text, size_t size)
{
    encoder_t *e = context;
    if (size == 0 || !encode_reserve (e, size))
        return;
    int32_t whole = e->t->ignore_merges ? encode_whole (e->t, text, size) : -1;
    if (whole >= 0) {
        encode_push (e, whole);
        return;
    }
    size_t n = encode_first_symbols (e, text, size);
    encode_merge_all (e, n);
    /* The first symbol is never merged away, as a merge keeps the left one: the list begins at
     * 0. */
    for (int32_t i = n ? 0 : -1; i >= 0; i = e->symbols[i].right)
        encode_push (e, e->symbols[i].id);
}

/*  Text without added tokens, normalised. first: the whole text begins with it. */
static void encode_section (encoder_t *e, const char *text, size_t size, bool first)
{
    tokenizer_split (&e->splitter, text, size, first);
    e->failed |= e->splitter.failed;
}

/*  ---- added tokens --------------------------------------------------------------------------- */

static utf8proc_int32_t encode_char_at (const char *text, size_t size)
{
    utf8proc_int32_t c = -1;
    utf8proc_iterate ((const utf8proc_uint8_t *) text, (utf8proc_ssize_t) (size < 4 ? size : 4),
                      &c);
    return c;
}

/*  The character that ends before `at`, found by going back over continuation bytes. */
static utf8proc_int32_t encode_char_before (const char *text, size_t at)
{
    size_t from = at - 1;
    while (from && ((unsigned char) text[from] & 0xc0) == 0x80)
        from--;
    return encode_char_at (text + from, at - from);
}

/*  As \w of regular expressions: letters (in circles, too), marks, numbers, connecting punctuation
 *  and joiners. */
static bool encode_is_word (utf8proc_int32_t c)
{
    utf8proc_category_t category = utf8proc_category (c);
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL) ||
           category == UTF8PROC_CATEGORY_PC || c == 0x200c || c == 0x200d ||
           (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) ||
           (c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189);
}

/*  Whether a character is white space, as \s: its length in bytes, else 0. */
static size_t encode_space_length (utf8proc_int32_t c)
{
    utf8proc_category_t category = utf8proc_category (c);
    bool space = (c >= '\t' && c <= '\r') || c == 0x85 || category == UTF8PROC_CATEGORY_ZS ||
                 category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
    return !space ? 0 : c < 0x80 ? 1 : c < 0x800 ? 2 : 3;
}

/*  A text in which added tokens are looked for, raw or normalised. */
typedef struct {
    const char *text;
    size_t size;
    size_t ends[PARTS_MAX]; /* of the parts in it */
    bool first;             /* the whole text begins with it */
    bool normal;
} stretch_t;

/*  Whether bytes at .. at + size - 1 touch a literal part: text of a task or of another model, in
 *  which special tokens stay text. Else whoever writes "<|im_end|>" into an answer could end a
 *  turn. */
static bool encode_in_literal (const encoder_t *e, const stretch_t *s, size_t at, size_t size)
{
    size_t part = 0;
    while (s->ends[part] <= at)
        part++;
    while (!e->parts[part].literal && s->ends[part] < at + size)
        part++;
    return e->parts[part].literal;
}

/*  The longest added token at a place, or NULL. */
static const added_t *encode_find_added (const encoder_t *e, const stretch_t *s, size_t at)
{
    for (size_t i = 0; i < e->t->added_n; i++) {
        const added_t *added = &e->t->added[i];
        const token_t *token = &e->t->tokens[added->id];
        if (token->normalized == s->normal && added->size <= s->size - at &&
            memcmp (s->text + at, added->text, added->size) == 0 &&
            !(token->special && encode_in_literal (e, s, at, added->size)))
            return added;
    }
    return NULL;
}

/*  single_word: no letter, digit or underscore on either side. */
static bool encode_stands_alone (const stretch_t *s, size_t at, size_t end)
{
    return !(at && encode_is_word (encode_char_before (s->text, at))) &&
           !(end < s->size && encode_is_word (encode_char_at (s->text + end, s->size - end)));
}

static void encode_between (encoder_t *e, const stretch_t *s, size_t from, size_t end);

/*  Added tokens are found from left to right, the longest first. lstrip and rstrip take the spaces
 *  beside the token into it, where another one may begin all the same, as in the library. Tokens of
 *  the raw text are looked for first; what lies between them is normalised and searched once more,
 *  for those that are looked for in normalised text. */
static void encode_stretch (encoder_t *e, const stretch_t *s)
{
    size_t from = 0, length;
    for (size_t at = 0; at < s->size; at++) {
        const added_t *added = encode_find_added (e, s, at);
        if (!added)
            continue;
        const token_t *token = &e->t->tokens[added->id];
        /* The token is at .. next - 1; end: where the text before it ends. */
        size_t end = at, next = at + added->size;
        at = next - 1;
        /* It stays text, and the search goes on behind it. */
        if (token->single_word && !encode_stands_alone (s, end, next))
            continue;
        while (token->lstrip && end > from &&
               (length = encode_space_length (encode_char_before (s->text, end))) > 0)
            end -= length;
        while (token->rstrip && next < s->size &&
               (length = encode_space_length (encode_char_at (s->text + next, s->size - next))) > 0)
            next += length;
        /* Nothing is left of one whose spaces the one before it has taken. */
        if (token->lstrip && end < from)
            end = from;
        encode_between (e, s, from, end);
        if (end < next)
            encode_push (e, added->id);
        from = next;
    }
    encode_between (e, s, from, s->size);
}

/*  How long the normalised text of a prefix is: tells where a part ends after normalising. */
static size_t encode_normal_size (const tokenizer_t *t, const char *text, size_t size)
{
    buf_t out = {.max = SIZE_MAX / 4};
    tokenizer_normalize (t, text, size, &out);
    size_t n = out.size;
    buf_free (&out);
    return n;
}

/*  What lies between two added tokens. Raw text is normalised, and searched for the tokens that are
 *  looked for after that; normalised text goes on to the splitters. */
static void encode_between (encoder_t *e, const stretch_t *s, size_t from, size_t end)
{
    const char *text = s->text + from;
    size_t size = end > from ? end - from : 0;
    bool first = s->first && from == 0;
    if (s->normal || size == 0) {
        encode_section (e, text, size, first);
        return;
    }
    buf_t out = {.max = SIZE_MAX / 4};
    first = tokenizer_normalize (e->t, text, size, &out) && first;
    stretch_t normal = {.text = out.data, .size = out.size, .first = first, .normal = true};
    /* Normalising moves the ends of the parts, on which depends where special tokens are looked
     * for. */
    for (size_t p = 0; e->t->added_normal && p < e->parts_n; p++) {
        size_t place = s->ends[p] < from ? 0 : s->ends[p] - from;
        normal.ends[p] = place < size ? encode_normal_size (e->t, text, place) : out.size;
    }
    if (buf_failed (&out))
        e->failed = true;
    else if (e->t->added_normal)
        encode_stretch (e, &normal);
    else
        encode_section (e, out.data, out.size, first);
    buf_free (&out);
}

/*  Bytes that are not UTF-8 become U+FFFD first, since everything behind this expects valid
 *  text. */
static int encode (const tokenizer_t *t, const tokenizer_part_t *parts, size_t n, int flags,
                   tokenizer_ids_t *ids, err_t *err)
{
    stretch_t all = {.first = true};
    encoder_t e = {.t = t, .ids = ids, .parts = parts, .parts_n = n};
    e.splitter = (tokenizer_splitter_t){.t = t, .piece = encode_piece, .context = &e};
    buf_t valid = {.max = SIZE_MAX / 4};
    for (size_t i = 0; i < n; i++) {
        tokenizer_lossy (parts[i].text, parts[i].size, &valid);
        all.ends[i] = valid.size;
    }
    if (buf_failed (&valid)) {
        e.failed = true;
    } else {
        for (size_t i = 0; (flags & TOKENIZER_BOS) && i < t->before_n; i++)
            encode_push (&e, t->before[i]);
        all.text = valid.data;
        all.size = valid.size;
        encode_stretch (&e, &all);
        for (size_t i = 0; (flags & TOKENIZER_BOS) && i < t->after_n; i++)
            encode_push (&e, t->after[i]);
    }
    size_t size = valid.size;
    tokenizer_split_done (&e.splitter);
    buf_free (&valid);
    free (e.symbols);
    free (e.heap);
    if (!e.failed && e.unknown)
        return err_set (err, ERR_INPUT,
                        "tokenizer: a character has no token, and unk_token names none of the "
                        "vocabulary");
    return e.failed ? err_set (err, ERR_LIMIT,
                               "no memory to tokenise %zu bytes, or a splitter gave up", size)
                    : 0;
}

int tokenizer_encode (const tokenizer_t *t, const char *text, size_t size, int flags,
                      tokenizer_ids_t *ids, err_t *err)
{
    return encode (t, &(tokenizer_part_t){text, size, false}, 1, flags, ids, err);
}

/*  Parts are one text: merges and splitters go across their borders. They only say where special
 *  tokens are taken for such. */
int tokenizer_encode_parts (const tokenizer_t *t, const tokenizer_part_t *parts, size_t n,
                            tokenizer_ids_t *ids, err_t *err)
{
    if (n < 1 || n > PARTS_MAX)
        return err_set (err, ERR_INTERNAL, "%zu parts of a text; 1 to %d", n, PARTS_MAX);
    return encode (t, parts, n, 0, ids, err);
}

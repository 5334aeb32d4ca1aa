/*  tokenizer_split - text into pieces by the steps of the pre_tokenizer, one into the next. See
 *  tokenizer_internal.h
 */
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_internal.h"

/*  Room for one more segment of a level; each level has its own list, since the pieces of one are
 *  cut by the next while its list is in use. */
static bool split_push (tokenizer_splitter_t *s, size_t level, size_t *n, tokenizer_segment_t add)
{
    if (*n == s->capacity[level]) {
        size_t capacity = *n ? 2 * *n : 64;
        tokenizer_segment_t *grown = realloc (s->segments[level], capacity * sizeof *grown);
        if (!grown) {
            s->failed = true;
            return false;
        }
        s->segments[level] = grown;
        s->capacity[level] = capacity;
    }
    s->segments[level][(*n)++] = add;
    return true;
}

/*  Matches and the gaps between them, in order: all of the text. */
static size_t split_segments (tokenizer_splitter_t *s, size_t level, const char *text, size_t size)
{
    const tokenizer_split_t *step = &s->t->split[level];
    size_t n = 0, from = 0, start, end;
    tokenizer_find_begin (&s->find, step->regex, text, size);
    while (tokenizer_find (&s->find, &start, &end)) {
        if (start > from)
            split_push (s, level, &n, (tokenizer_segment_t){from, start, step->invert});
        split_push (s, level, &n, (tokenizer_segment_t){start, end, !step->invert});
        from = end;
    }
    if (from < size)
        split_push (s, level, &n, (tokenizer_segment_t){from, size, step->invert});
    s->failed |= s->find.failed;
    return n;
}

/*  Joins segments as the behaviour says, in place; returns how many are left. A match goes to its
 *  neighbour only when that is none itself: of two in a row the second stands alone. */
static size_t split_join (const tokenizer_split_t *step, tokenizer_segment_t *s, size_t n)
{
    size_t kept = 0;
    bool before = false;
    for (size_t i = 0; step->behavior == SPLIT_MERGED_AFTER && i < n; i++) {
        size_t at = n - 1 - i; /* from the end; joined ones stay empty */
        if (s[at].match && !before && at + 1 < n) {
            s[at + 1].start = s[at].start;
            before = s[at].match;
            s[at].end = s[at].start;
        } else {
            before = s[at].match;
        }
    }
    for (size_t i = 0; i < n; i++) {
        bool joins = kept && ((step->behavior == SPLIT_MERGED_BEFORE && s[i].match && !before) ||
                              (step->behavior == SPLIT_CONTIGUOUS && s[i].match == before));
        before = s[i].match;
        if (joins)
            s[kept - 1].end = s[i].end;
        else if (!(step->behavior == SPLIT_REMOVED && s[i].match))
            s[kept++] = s[i];
    }
    return kept;
}

static void split_level (tokenizer_splitter_t *s, size_t level, const char *text, size_t size,
                         bool first);

/*  Metaspace and ByteLevel's add_prefix_space, of every piece that comes to them. */
static void split_marked (tokenizer_splitter_t *s, size_t level, const char *text, size_t size,
                          bool first)
{
    const tokenizer_split_t *step = &s->t->split[level];
    buf_t marked = {.max = SIZE_MAX / 4};
    for (size_t i = 0; i < size; i++)
        if (text[i] == ' ')
            buf_text (&marked, step->space);
        else
            buf_char (&marked, text[i]);
    bool wanted = step->prepend == PREPEND_ALWAYS || (step->prepend == PREPEND_FIRST && first);
    buf_t out = {.max = SIZE_MAX / 4};
    if (wanted && !marked.failed && strncmp (marked.data, step->space, strlen (step->space)) != 0)
        buf_text (&out, step->space);
    buf_append (&out, marked.data, marked.size);
    s->failed |= marked.failed || out.failed;
    if (!s->failed)
        split_level (s, level + 1, out.data, out.size, first);
    buf_free (&marked);
    buf_free (&out);
}

/*  Each level cuts what the one before it found and hands the pieces on; behind the last they go to
 *  the caller. The depth is the number of steps, which is bounded. first: the piece begins the
 *  text. */
static void split_level (tokenizer_splitter_t *s, size_t level, const char *text, size_t size,
                         bool first)
{
    if (size == 0 || s->failed)
        return;
    if (level == s->t->splits) {
        s->piece (s->context, text, size);
        return;
    }
    const tokenizer_split_t *step = &s->t->split[level];
    if (step->kind != SPLIT_REGEX) {
        split_marked (s, level, text, size, first);
        return;
    }
    size_t n = split_segments (s, level, text, size);
    n = s->failed ? 0 : split_join (step, s->segments[level], n);
    for (size_t i = 0; i < n; i++) {
        tokenizer_segment_t piece = s->segments[level][i];
        split_level (s, level + 1, text + piece.start, piece.end - piece.start,
                     first && piece.start == 0);
    }
}

void tokenizer_split (tokenizer_splitter_t *s, const char *text, size_t size, bool first)
{
    split_level (s, 0, text, size, first);
}

/*  Lists and match data serve for many texts, and go here. */
void tokenizer_split_done (tokenizer_splitter_t *s)
{
    tokenizer_find_done (&s->find);
    for (size_t i = 0; i < TOKENIZER_STEPS_MAX; i++)
        free (s->segments[i]);
}

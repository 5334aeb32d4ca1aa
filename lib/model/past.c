/*  past - see past.h */
#include "model/past.h"

#include <stdlib.h>
#include <string.h>

typedef struct sequence {
    struct sequence *next; /* used longer ago */
    const model_t *model;
    size_t n, bytes;
    kv_t kv;
    int32_t ids[];
} sequence_t;

struct past {
    size_t most, bytes;
    sequence_t *first; /* used last */
};

past_t *past_new (size_t most, err_t *err)
{
    past_t *past = calloc (1, sizeof *past);
    if (past)
        past->most = most;
    else
        err_set (err, ERR_LIMIT, "no memory for sequences that go on");
    return past;
}

/*  Takes the sequence out of the list. */
static sequence_t *past_unlink (past_t *past, sequence_t **at)
{
    sequence_t *sequence = *at;
    *at = sequence->next;
    past->bytes -= sequence->bytes;
    return sequence;
}

static void past_put_first (past_t *past, sequence_t *sequence)
{
    sequence->next = past->first;
    past->first = sequence;
    past->bytes += sequence->bytes;
}

static void past_drop (past_t *past, sequence_t **at)
{
    sequence_t *sequence = past_unlink (past, at);
    free (sequence->kv.data);
    free (sequence);
}

void past_destroy (past_t **self)
{
    past_t *past = *self;
    while (past && past->first)
        past_drop (past, &past->first);
    free (past);
    *self = NULL;
}

static size_t past_common (const sequence_t *sequence, const int32_t *ids, size_t n)
{
    size_t most = sequence->n < n ? sequence->n : n, i = 0;
    while (i < most && sequence->ids[i] == ids[i])
        i++;
    return i;
}

/*  The sequence with the longest common beginning; NULL where none has any. */
static sequence_t **past_find (past_t *past, const model_t *model, const int32_t *ids, size_t n,
                               size_t *common)
{
    sequence_t **best = NULL;
    *common = 0;
    for (sequence_t **at = &past->first; *at; at = &(*at)->next) {
        size_t known = (*at)->model == model ? past_common (*at, ids, n) : 0;
        if (known > *common) {
            *common = known;
            best = at;
        }
    }
    return best;
}

/*  Those that the new one holds whole are found by its ids from now on. */
static void past_drop_beginnings (past_t *past, const model_t *model, const int32_t *ids, size_t n)
{
    for (sequence_t **at = &past->first; *at;)
        if ((*at)->model == model && past_common (*at, ids, n) == (*at)->n)
            past_drop (past, at);
        else
            at = &(*at)->next;
}

static void past_drop_last (past_t *past)
{
    sequence_t **at = &past->first;
    while ((*at)->next)
        at = &(*at)->next;
    past_drop (past, at);
}

static sequence_t *past_new_sequence (const model_t *model, const int32_t *ids, size_t n,
                                      size_t bytes)
{
    sequence_t *sequence = malloc (sizeof *sequence + n * sizeof *ids);
    if (!sequence)
        return NULL;
    *sequence = (sequence_t){.model = model, .n = n, .bytes = bytes};
    memcpy (sequence->ids, ids, n * sizeof *ids);
    sequence->kv.blocks = kv_blocks (0, n);
    sequence->kv.data = malloc (kv_floats (model, sequence->kv.blocks) * sizeof (float));
    if (sequence->kv.data)
        return sequence;
    free (sequence);
    return NULL;
}

void past_keep (past_t *past, const model_t *model, const int32_t *ids, size_t n,
                const kv_t *prefix, const kv_t *own)
{
    size_t blocks = kv_blocks (0, n);
    size_t bytes =
        sizeof (sequence_t) + n * sizeof *ids + kv_floats (model, blocks) * sizeof (float);
    if (n == 0 || bytes > past->most)
        return;
    size_t known;
    sequence_t **at = past_find (past, model, ids, n, &known);
    if (known == n) { /* a retry, or somebody who went on has said the same */
        past_put_first (past, past_unlink (past, at));
        return;
    }
    past_drop_beginnings (past, model, ids, n);
    while (past->bytes > past->most - bytes)
        past_drop_last (past);
    sequence_t *sequence = past_new_sequence (model, ids, n, bytes);
    if (!sequence)
        return;
    size_t shared = own->first < blocks ? own->first : blocks;
    kv_copy (model, prefix, &sequence->kv, 0, shared);
    kv_copy (model, own, &sequence->kv, shared, blocks - shared);
    past_put_first (past, sequence);
}

size_t past_recall (past_t *past, const model_t *model, const int32_t *ids, size_t n, kv_t *kv)
{
    size_t known;
    sequence_t **at = past_find (past, model, ids, n - 1, &known);
    if (!at)
        return 0;
    sequence_t *sequence = past_unlink (past, at);
    past_put_first (past, sequence);
    kv_copy (model, &sequence->kv, kv, 0, kv_blocks (0, known));
    return known;
}

void past_forget (past_t *past, const model_t *model)
{
    for (sequence_t **at = &past->first; *at;)
        if ((*at)->model == model)
            past_drop (past, at);
        else
            at = &(*at)->next;
}

size_t past_bytes (const past_t *past)
{
    return past->bytes;
}

/*  records - see records.h
 *
 *  The critic reads words rather than a policy's tokens: it is shared by all policies, and single
 *  words tell from a few hundred episodes what a network that begins from nothing would need very
 *  many more for.
 */
#include "records.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define RECORDS_MAX ((size_t) 1 << 20)
#define WORDS_MAX   ((size_t) 1 << 22)

/*  What a feature is of. */
enum { OF_BRIEF, OF_SAID, OF_LAST, OF_LENGTH };

/*  FNV-1a (Fowler, Noll, Vo), and a last mix, since only some of its bits are taken. */
#define HASH_BEGIN 0xcbf29ce484222325u

static uint64_t records_hash (uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ at[i]) * 0x100000001b3u;
    return hash;
}

typedef struct {
    uint64_t hash;
    uint32_t role, turn;
} word_t;

/*  The words of an episode so far, in order. */
typedef struct {
    word_t *word;
    size_t n, room;
} words_t;

static bool records_is_letter (unsigned char byte)
{
    return isalnum (byte) || byte >= 0x80; /* UTF-8 of any alphabet stays together */
}

static int records_add_word (words_t *words, word_t word)
{
    if (words->n == words->room) {
        size_t room = words->room ? 2 * words->room : 256;
        word_t *grown = room > WORDS_MAX ? NULL : realloc (words->word, room * sizeof *grown);
        if (!grown)
            return -1;
        words->word = grown;
        words->room = room;
    }
    words->word[words->n++] = word;
    return 0;
}

static int records_add_text (words_t *words, const char *text, uint32_t role, uint32_t turn)
{
    for (const char *at = text, *end; *at; at = end) {
        end = at + 1;
        while (records_is_letter ((unsigned char) *at) && records_is_letter ((unsigned char) *end))
            end++;
        if (isspace ((unsigned char) *at) && *at != '\n')
            continue;
        word_t word = {records_hash (HASH_BEGIN, at, (size_t) (end - at)), role, turn};
        if (records_add_word (words, word) != 0)
            return -1;
    }
    return 0;
}

static void records_add_feature (set_t *out, uint32_t of, uint32_t role, uint64_t first,
                                 uint64_t second)
{
    uint64_t key[] = {of, role, first, second};
    uint64_t hash = records_hash (HASH_BEGIN, key, sizeof key);
    out->at[out->n++] = (uint16_t) (hash >> 32 ^ hash);
}

static int records_compare (const void *a, const void *b)
{
    const uint16_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/*  Of the last `context` words; those that were said in the turn `last` count there, too. */
static int records_features (const words_t *words, size_t context, bool brief, uint32_t last,
                             set_t *out)
{
    size_t from = words->n > context ? words->n - context : 0;
    /* At most two of a word alone, two of a pair, and one of a length. */
    out->at = malloc ((5 * (words->n - from) + 1) * sizeof *out->at);
    if (!out->at)
        return -1;
    size_t length = 0;
    for (size_t i = from; i < words->n; i++) {
        const word_t *w = &words->word[i], *next = i + 1 < words->n ? w + 1 : NULL;
        bool pair = next && next->role == w->role && next->turn == w->turn;
        for (uint32_t of = brief ? OF_BRIEF : OF_SAID;
             of <= (uint32_t) (brief ? OF_BRIEF : OF_LAST); of++) {
            if (of == OF_LAST && w->turn != last)
                continue;
            records_add_feature (out, of, w->role, w->hash, 0);
            if (pair)
                records_add_feature (out, of, w->role, w->hash, next->hash);
        }
        /* One each time that a text has become twice as long. */
        length++;
        if (!brief && (length & (length - 1)) == 0)
            records_add_feature (out, OF_LENGTH, w->role, length, w->turn == last);
        if (!pair)
            length = 0;
    }
    qsort (out->at, out->n, sizeof *out->at, records_compare);
    size_t n = 0;
    for (size_t i = 0; i < out->n; i++)
        if (n == 0 || out->at[i] != out->at[n - 1])
            out->at[n++] = out->at[i];
    out->n = n;
    return 0;
}

/*  Grows by doubling whenever n is a power of two. */
static void *records_grown (void *array, size_t n, size_t size)
{
    if (n & (n - 1))
        return array;
    return realloc (array, (n ? 2 * n : 1) * size);
}

static bool records_equal (const set_t *a, const set_t *b)
{
    return a->n == b->n && memcmp (a->at, b->at, a->n * sizeof *a->at) == 0;
}

/*  The index of an equal text of the same group, else of this one, which is taken over; SIZE_MAX
 *  without memory. */
static size_t records_keep_text (records_t *records, size_t first, record_text_t *text)
{
    for (size_t i = first; i < records->texts_n; i++)
        if (records->texts[i].turn == text->turn &&
            records_equal (&records->texts[i].said, &text->said))
            return i;
    record_text_t *texts = records_grown (records->texts, records->texts_n, sizeof *texts);
    if (!texts)
        return SIZE_MAX;
    records->texts = texts;
    records->texts[records->texts_n] = *text;
    *text = (record_text_t){0};
    return records->texts_n++;
}

static int records_add (records_t *records, record_t record)
{
    record_t *list =
        records->n < RECORDS_MAX ? records_grown (records->record, records->n, sizeof *list) : NULL;
    if (!list)
        return -1;
    records->record = list;
    records->record[records->n++] = record;
    return 0;
}

/*  Of one group: its brief, and where its texts begin. */
typedef struct {
    const wire_transcripts_t *transcripts;
    uint32_t number;
    words_t brief;
    size_t first, context;
} group_t;

/*  The records of one turn, in order of their roles. */
static int records_read_turn (records_t *records, const group_t *group, const words_t *words,
                              uint32_t episode, uint32_t turn, const wire_turn_t *said)
{
    record_text_t text = {.group = group->number, .turn = turn};
    size_t kept = SIZE_MAX;
    if (records_features (&group->brief, group->context, true, 0, &text.brief) == 0 &&
        records_features (words, group->context, false, turn - 1, &text.said) == 0)
        kept = records_keep_text (records, group->first, &text);
    free (text.brief.at);
    free (text.said.at);
    int rc = kept == SIZE_MAX ? -1 : 0;
    for (uint32_t role = 0; role < group->transcripts->roles_n; role++)
        for (size_t i = 0; rc == 0 && i < said->said_n; i++)
            if (said->said[i].role == role)
                rc = records_add (records, (record_t){episode, turn, role, kept});
    return rc;
}

static int records_read_episode (records_t *records, const group_t *group, uint32_t episode,
                                 const wire_transcript_t *transcript)
{
    words_t words = {0};
    int rc = 0;
    for (uint32_t t = 0; rc == 0 && t < transcript->turns_n; t++) {
        const wire_turn_t *turn = &transcript->turns[t];
        /* What was told comes after what was said in the turn before: of the same turn, and in no
         * role's own words. */
        for (size_t i = 0; rc == 0 && i < turn->told_n; i++)
            rc = records_add_text (&words, turn->told[i].text,
                                   (uint32_t) group->transcripts->roles_n + turn->told[i].role,
                                   t - 1);
        rc = rc != 0 ? rc : records_read_turn (records, group, &words, episode, t, turn);
        /* From here on the turn is known to everybody. */
        for (size_t i = 0; rc == 0 && i < turn->said_n; i++)
            rc = records_add_text (&words, turn->said[i].text, turn->said[i].role, t);
    }
    free (words.word);
    return rc;
}

records_t *records_new (const wire_transcripts_t *groups, size_t n, size_t context, err_t *err)
{
    records_t *records = calloc (1, sizeof *records);
    uint32_t episode = 0;
    if (!records)
        err_set (err, ERR_LIMIT, "no memory for the critic's records");
    for (size_t g = 0; records && g < n; g++) {
        group_t group = {&groups[g], (uint32_t) g, {0}, records->texts_n, context};
        int rc = records_add_text (&group.brief, groups[g].brief, 0, 0);
        for (size_t e = 0; records && e < groups[g].episodes_n; e++, episode++) {
            if (rc == 0)
                rc = records_read_episode (records, &group, episode, &groups[g].episodes[e]);
            if (rc != 0) {
                err_set (err, ERR_LIMIT, "the transcript of episode %u is too large", episode);
                records_destroy (&records);
            }
        }
        free (group.brief.word);
    }
    return records;
}

void records_destroy (records_t **records)
{
    if (!*records)
        return;
    for (size_t i = 0; i < (*records)->texts_n; i++) {
        free ((*records)->texts[i].brief.at);
        free ((*records)->texts[i].said.at);
    }
    free ((*records)->texts);
    free ((*records)->record);
    free (*records);
    *records = NULL;
}

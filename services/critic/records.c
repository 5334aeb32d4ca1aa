/*  records - see records.h
 *
 *  The critic reads bytes rather than a policy's tokens: it is shared by all policies, survives a
 *  change of the tokenizer, and its vocabulary is small enough to be learnt within a run.
 */
#include "records.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define BEGIN 256
/*  Only the last `context` bytes are read, but a text is put together from its beginning. */
#define TEXT_MAX    ((size_t) 4 << 20)
#define RECORDS_MAX ((size_t) 1 << 20)

/*  The last bytes of a text that is too long: what happened last says most of what will come. */
static int records_ids_of (const buf_t *text, size_t context, record_text_t *out)
{
    size_t bytes = text->size < context - 1 ? text->size : context - 1;
    out->ids = malloc ((bytes + 1) * sizeof *out->ids);
    if (!out->ids)
        return -1;
    out->n = bytes + 1;
    out->ids[0] = BEGIN;
    const unsigned char *from = (const unsigned char *) text->data + text->size - bytes;
    for (size_t i = 0; i < bytes; i++)
        out->ids[i + 1] = from[i];
    return 0;
}

/*  Equal texts are those of one group most of the time, so the search begins at the end. */
static size_t records_find_text (const records_t *records, const record_text_t *text)
{
    for (size_t i = records->texts_n; i-- > 0;)
        if (records->texts[i].n == text->n &&
            memcmp (records->texts[i].ids, text->ids, text->n * sizeof *text->ids) == 0)
            return i;
    return records->texts_n;
}

/*  Grows by doubling whenever n is a power of two. */
static void *records_grown (void *array, size_t n, size_t size)
{
    if (n & (n - 1))
        return array;
    return realloc (array, (n ? 2 * n : 1) * size);
}

/*  Adds a record that reads the text as it stands now. */
static int records_add (records_t *records, record_t record, const buf_t *text, size_t context)
{
    record_text_t ids;
    if (records->n >= RECORDS_MAX || buf_failed (text) || records_ids_of (text, context, &ids) != 0)
        return -1;
    record.text = records_find_text (records, &ids);
    if (record.text < records->texts_n) {
        free (ids.ids);
    } else {
        record_text_t *texts = records_grown (records->texts, records->texts_n, sizeof *texts);
        if (!texts) {
            free (ids.ids);
            return -1;
        }
        records->texts = texts;
        records->texts[records->texts_n++] = ids;
    }
    record_t *list = records_grown (records->record, records->n, sizeof *list);
    if (!list)
        return -1;
    records->record = list;
    records->record[records->n++] = record;
    return 0;
}

/*  The records of one turn, in order of their roles; then the turn joins the text. */
static int records_read_turn (records_t *records, uint32_t episode, uint32_t turn,
                              const wire_transcripts_t *group, const wire_turn_t *said, buf_t *text,
                              size_t context)
{
    size_t before = text->size;
    for (uint32_t role = 0; role < group->roles_n; role++)
        for (size_t i = 0; i < said->said_n; i++) {
            if (said->said[i].role != role)
                continue;
            /* Whose value is asked for is part of the text: the same state may be worth another
               reward to another role's next words. */
            buf_printf (text, "@%s", group->roles[role]);
            if (records_add (records, (record_t){episode, turn, role, 0}, text, context) != 0)
                return -1;
            /* Taken back: the roles of a turn do not see each other. */
            text->size = before;
        }
    for (size_t i = 0; i < said->said_n; i++)
        /* From here on the turn is known to everybody. */
        buf_printf (text, "%s: %s\n", group->roles[said->said[i].role], said->said[i].text);
    return 0;
}

static int records_read_episode (records_t *records, uint32_t episode,
                                 const wire_transcripts_t *group,
                                 const wire_transcript_t *transcript, size_t context)
{
    buf_t text = {.max = TEXT_MAX};
    int rc = 0;
    buf_printf (&text, "%s\n", group->brief);
    for (size_t t = 0; rc == 0 && t < transcript->turns_n; t++)
        rc = records_read_turn (records, episode, (uint32_t) t, group, &transcript->turns[t], &text,
                                context);
    buf_free (&text);
    return rc;
}

records_t *records_new (const wire_transcripts_t *groups, size_t n, size_t context, err_t *err)
{
    records_t *records = calloc (1, sizeof *records);
    uint32_t episode = 0;
    if (!records)
        err_set (err, ERR_LIMIT, "no memory for the critic's records");
    for (size_t g = 0; records && g < n; g++)
        for (size_t e = 0; records && e < groups[g].episodes_n; e++, episode++)
            if (records_read_episode (records, episode, &groups[g], &groups[g].episodes[e],
                                      context) != 0) {
                err_set (err, ERR_LIMIT, "the transcript of episode %u is too large", episode);
                records_destroy (&records);
            }
    return records;
}

void records_destroy (records_t **records)
{
    if (!*records)
        return;
    for (size_t i = 0; i < (*records)->texts_n; i++)
        free ((*records)->texts[i].ids);
    free ((*records)->texts);
    free ((*records)->record);
    free (*records);
    *records = NULL;
}

/*  records - what the critic reads: one record per (episode, turn, role), as token ids.
 *
 *      records_t *records = records_new (groups, n, context, &err);
 *      size_t text = records->record[i].text;      index of the distinct text that record i reads
 *      records_destroy (&records);
 *
 *  The text of a record is what was there before the turn: the brief, then what every role wrote
 *  in the turns before, then the name of the role that acts. Ids are bytes after a begin token,
 *  the last `context` of them. Equal texts (the first turns of a group) are kept once.
 */
#ifndef QUINTET_CRITIC_RECORDS_H
#define QUINTET_CRITIC_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/wire.h"

#define RECORDS_VOCAB 257 /* 256 bytes and the begin token */

typedef struct {
    uint32_t episode, turn, role;
    size_t text; /* index into texts */
} record_t;

typedef struct {
    int32_t *ids;
    size_t n;
} record_text_t;

typedef struct {
    record_t *record; /* sorted by (episode, turn, role) */
    size_t n;
    record_text_t *texts;
    size_t texts_n;
} records_t;

/*  Episodes are counted over all groups. ERR_LIMIT names the episode that is too large. */
records_t *records_new (const wire_transcripts_t *groups, size_t n, size_t context, err_t *err);
void records_destroy (records_t **records);

#endif

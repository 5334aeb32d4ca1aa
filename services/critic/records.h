/*  records - what the critic reads: one record per (episode, turn, role), as sets of features.
 *
 *      records_t *records = records_new (groups, n, context, &err);
 *      size_t text = records->record[i].text;      index of the distinct text that record i reads
 *      records_destroy (&records);
 *
 *  A record reads what was there before its turn: the brief, and the last `context` words of what
 *  every role wrote in the turns before, and was told by a program that plays the episode. All
 *  roles of a turn have the same state before them and share one reward, so they read one text.
 *  Equal texts of a group (those of its first turn) are kept once.
 *
 *  Features are hashes of single words and of pairs of neighbours, as sets. A word is a run of
 *  letters and digits, or one other character; ends of lines count, other space does not. Of what
 *  was said each word is a feature of its role, and a second one where it was said in the turn
 *  just before; so are the halvings that a role's text is long.
 */
#ifndef QUINTET_CRITIC_RECORDS_H
#define QUINTET_CRITIC_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/wire.h"

#define RECORDS_FEATURES 65536 /* different ones; collisions of hashes are part of the model */

typedef struct {
    uint32_t episode, turn, role;
    size_t text; /* index into texts */
} record_t;

/*  A set: ascending. */
typedef struct {
    uint16_t *at;
    size_t n;
} set_t;

typedef struct {
    uint32_t group, turn;
    set_t brief, said; /* features */
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

/*  blobs - the objects of the vault: content-addressed bytes in chunks, in memory that is bounded.
 *
 *      blob_t *blob = blobs_find (blobs, &hash);
 *      blob = blobs_begin (blobs, &hash, size, owner, now, &err);       an upload
 *      blob_put (blob, i, data, n, now);                                one chunk of it
 *      if (blob_complete (blob)) ...
 *      blobs_expire (blobs, now);                                       now and then
 *
 *  Pure: nothing here knows sockets. An object is in one of four states:
 *
 *    unfinished   chunks are missing. Bounded in bytes by uploader and in all; dropped when its
 *                 uploader has not sent anything for BLOBS_SILENT_MS, or no chunk of it for
 *                 BLOBS_STALLED_MS
 *    loose        whole, and no manifest has ever needed it: a critic's states, and what a trainer
 *                 is about to name. The newest few of each uploader stay
 *    needed       by a manifest: it stays
 *    past         needed before; somebody may still be fetching it. The newest BLOBS_PAST_BYTES
 *                 stay
 *
 *  When memory runs short, past and loose objects go first, the oldest first; when that is not
 *  enough, a new object is refused with ERR_LIMIT, which is another thing than an object that is
 *  not there.
 */
#ifndef QUINTET_BUS_BLOBS_H
#define QUINTET_BUS_BLOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"

#define BLOBS_OBJECT_MAX ((uint64_t) 16 << 30)
#define BLOBS_LOOSE_MAX  64 /* of one uploader */
/* Of loose ones of more than one chunk, though as many of these as a team of eight policies has
   published at once. */
#define BLOBS_LOOSE_BYTES ((uint64_t) 64 << 20)
#define BLOBS_LOOSE_LARGE 20
#define BLOBS_PAST_BYTES  ((uint64_t) 8 << 20)
#define BLOBS_UPLOADS_MAX 64 /* unfinished ones of one uploader */
#define BLOBS_SILENT_MS   60000
#define BLOBS_STALLED_MS  600000

typedef struct blob {
    struct blob *next; /* newest first */
    hash_t hash;
    uint64_t size;
    uint64_t owner; /* the connection that began to upload it */
    uint32_t chunks, have;
    uint32_t wanted; /* chunks that its uploader was asked for */
    uint32_t window; /* how many of them at once */
    char *data;
    uint8_t *got;
    hash_t *chunk_hash;
    int64_t progress_ms;
    uint32_t needs;  /* manifests */
    bool was_needed; /* by a manifest, now or before */
} blob_t;

typedef struct blobs blobs_t;

/*  bytes_max: of all objects. */
blobs_t *blobs_new (uint64_t bytes_max);
void blobs_destroy (blobs_t **blobs);

blob_t *blobs_find (const blobs_t *blobs, const hash_t *hash);
/*  ERR_LIMIT says what is full. */
blob_t *blobs_begin (blobs_t *blobs, const hash_t *hash, uint64_t size, uint64_t owner, int64_t now,
                     err_t *err);
/*  False: it does not belong there, or is there already. */
bool blob_put (blob_t *blob, uint32_t index, const void *data, size_t size, int64_t now);
bool blob_complete (const blob_t *blob);
/*  Whether a complete one has the content that its hash names. */
bool blob_genuine (const blob_t *blob);
/*  One became complete: older ones may have to go for it. */
void blobs_finished (blobs_t *blobs, const blob_t *blob);
void blobs_drop (blobs_t *blobs, blob_t *blob);

/*  That the uploader is there: what it has begun stays. */
void blobs_touch (blobs_t *blobs, uint64_t owner, int64_t now);
void blob_need (blob_t *blob);
void blobs_release (blobs_t *blobs, blob_t *blob); /* the reverse */
void blobs_expire (blobs_t *blobs, int64_t now);

typedef struct {
    uint64_t objects, bytes, unfinished_bytes;
} blobs_status_t;
blobs_status_t blobs_status (const blobs_t *blobs);

#endif

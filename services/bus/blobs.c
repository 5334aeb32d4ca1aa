/*  blobs - see blobs.h */
#include "blobs.h"

#include <stdlib.h>
#include <string.h>

#define BLOBS_OWNERS_MAX         1024                  /* uploaders that are remembered */
#define BLOBS_OWN_MAX(bytes_max) ((bytes_max) / 2)     /* one uploader's unfinished objects */
#define BLOBS_ALL_MAX(bytes_max) ((bytes_max) / 4 * 3) /* those of all */

/*  When an uploader last sent anything. */
typedef struct {
    uint64_t owner;
    int64_t active_ms;
} blobs_owner_t;

/*  A list: objects are few and large, and what goes first is what is at its end. */
struct blobs {
    blob_t *first; /* newest first */
    /* A bound on memory, not on objects: weights are large and few, critics' states small and
       many. */
    uint64_t bytes_max;
    blobs_status_t status;
    blobs_owner_t owners[BLOBS_OWNERS_MAX];
    size_t owners_n;
};

blobs_t *blobs_new (uint64_t bytes_max)
{
    blobs_t *blobs = calloc (1, sizeof *blobs);
    if (blobs)
        blobs->bytes_max = bytes_max;
    return blobs;
}

void blobs_destroy (blobs_t **self)
{
    blobs_t *blobs = *self;
    if (!blobs)
        return;
    /* Nothing outlives the vault, needed or not. */
    while (blobs->first)
        blobs_drop (blobs, blobs->first);
    free (blobs);
    *self = NULL;
}

blob_t *blobs_find (const blobs_t *blobs, const hash_t *hash)
{
    /* Tens of objects at most: a walk. */
    blob_t *b = blobs->first;
    while (b && !hash_equal (&b->hash, hash))
        b = b->next;
    return b;
}

bool blob_complete (const blob_t *b)
{
    return b->have == b->chunks;
}

/*  Whoever drops one must know that no manifest points to it. */
void blobs_drop (blobs_t *blobs, blob_t *b)
{
    blob_t **at = &blobs->first;
    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    blobs->status.objects--;
    blobs->status.bytes -= b->size;
    free (b->data);
    free (b->got);
    free (b->chunk_hash);
    free (b);
}

/*  ---- what may stay -------------------------------------------------------------------------- */

/*  Of one uploader's loose objects the newest stay, and of all past ones. Bounds are per
 *  uploader, so that nobody can push out what another is about to name. For past ones there is
 *  one bound for all: they are needed by nobody, and kept only for agents that are half way
 *  through fetching them. */
static void blobs_trim (blobs_t *blobs, uint64_t owner)
{
    /* Newest first, so the sums are of those that came after: what passes a bound is the oldest. */
    size_t loose = 0, large = 0;
    uint64_t past = 0, bytes = 0;
    for (blob_t *b = blobs->first, *next; b; b = next) {
        next = b->next;
        /* An unfinished one is bounded elsewhere, and must not go while its chunks still come. */
        if (b->needs > 0 || !blob_complete (b))
            continue;
        /* Past ones are bounded together, loose ones of this uploader by number, and large ones
           by bytes as well. */
        bool drop = false;
        if (b->was_needed) {
            drop = (past += b->size) > BLOBS_PAST_BYTES;
        } else if (b->owner == owner) {
            bool is_large = b->chunks > 1;
            bytes += is_large ? b->size : 0;
            large += is_large;
            drop = ++loose > BLOBS_LOOSE_MAX ||
                   (is_large && large > BLOBS_LOOSE_LARGE && bytes > BLOBS_LOOSE_BYTES);
        }
        if (drop)
            blobs_drop (blobs, b);
    }
}

/*  Drops past objects and then loose ones, the oldest first, until `size` bytes are free. The
 *  newest loose ones of the uploader itself may be what it is about to name, so those of others go
 *  before them. */
static bool blobs_make_room (blobs_t *blobs, uint64_t size, uint64_t owner)
{
    for (int round = 0; round < 3 && blobs->bytes_max - blobs->status.bytes < size;) {
        blob_t *oldest = NULL;
        for (blob_t *b = blobs->first; b; b = b->next) {
            bool spare = b->needs == 0 && blob_complete (b) &&
                         (round == 0   ? b->was_needed
                          : round == 1 ? b->owner != owner
                                       : true);
            oldest = spare ? b : oldest;
        }
        if (oldest)
            blobs_drop (blobs, oldest);
        else
            round++;
    }
    return blobs->bytes_max - blobs->status.bytes >= size;
}

/*  Whether one more unfinished object of this size is too much. Memory is counted at the size
 *  that the uploader says, from the first chunk on: it will be touched as chunks come, and a
 *  promise that cannot be kept later is worse than a refusal now. */
static int blobs_check_unfinished (const blobs_t *blobs, uint64_t size, uint64_t owner, err_t *err)
{
    /* The new one is counted as if it were there already. */
    uint64_t own = size, all = size;
    size_t n = 0;
    for (const blob_t *b = blobs->first; b; b = b->next) {
        if (blob_complete (b))
            continue;
        all += b->size;
        own += b->owner == owner ? b->size : 0;
        n += b->owner == owner;
    }
    uint64_t own_max = BLOBS_OWN_MAX (blobs->bytes_max);
    uint64_t all_max = BLOBS_ALL_MAX (blobs->bytes_max);
    if (n >= BLOBS_UPLOADS_MAX)
        return err_set (err, ERR_LIMIT, "more than %d unfinished uploads at once",
                        BLOBS_UPLOADS_MAX);
    if (own > own_max || all > all_max)
        return err_set (
            err, ERR_LIMIT,
            "unfinished uploads of %llu MB, of all uploaders %llu MB; the bus takes %llu "
            "and %llu (--memory)",
            (unsigned long long) own >> 20, (unsigned long long) all >> 20,
            (unsigned long long) own_max >> 20, (unsigned long long) all_max >> 20);
    return 0;
}

/*  ---- uploads -------------------------------------------------------------------------------- */

static blob_t *blobs_allocate (const hash_t *hash, uint64_t size)
{
    blob_t *b = calloc (1, sizeof *b);
    if (!b)
        return NULL;
    b->hash = *hash;
    b->size = size;
    b->chunks = size ? (uint32_t) ((size + HASH_CHUNK - 1) / HASH_CHUNK) : 1;
    b->wanted = 1;
    b->window = 1;
    /* One more than needed, so that an empty object has memory, too. The pages are touched as
       chunks come. */
    b->data = malloc (size + 1);
    b->got = calloc (b->chunks, 1);
    b->chunk_hash = calloc (b->chunks, sizeof *b->chunk_hash);
    if (b->data && b->got && b->chunk_hash)
        return b;
    free (b->data);
    free (b->got);
    free (b->chunk_hash);
    free (b);
    return NULL;
}

/*  What is left of dead uploads goes first, and then what this uploader has too much of; only
 *  then is it a question of room. */
blob_t *blobs_begin (blobs_t *blobs, const hash_t *hash, uint64_t size, uint64_t owner, int64_t now,
                     err_t *err)
{
    if (size > BLOBS_OBJECT_MAX) {
        err_set (err, ERR_LIMIT, "an object of %llu MB; the bus takes at most %llu",
                 (unsigned long long) size >> 20, (unsigned long long) BLOBS_OBJECT_MAX >> 20);
        return NULL;
    }
    /* In this order: the cheapest room is what nobody will ever finish. */
    blobs_expire (blobs, now);
    blobs_trim (blobs, owner);
    if (blobs_check_unfinished (blobs, size, owner, err) != 0)
        return NULL;
    blob_t *b = blobs_make_room (blobs, size, owner) ? blobs_allocate (hash, size) : NULL;
    if (!b) {
        err_set (err, ERR_LIMIT,
                 "the bus is full: %llu of %llu MB are in use, and %llu more are needed (--memory)",
                 (unsigned long long) blobs->status.bytes >> 20,
                 (unsigned long long) blobs->bytes_max >> 20, (unsigned long long) size >> 20);
        return NULL;
    }
    b->owner = owner;
    b->progress_ms = now;
    b->next = blobs->first;
    blobs->first = b;
    blobs->status.objects++;
    blobs->status.bytes += size;
    blobs_touch (blobs, owner, now);
    return b;
}

/*  Each chunk is hashed as it comes, so that the last one does not make the actor, and everybody
 *  who waits for it, stand still for the length of the whole. */
bool blob_put (blob_t *b, uint32_t index, const void *data, size_t size, int64_t now)
{
    uint64_t at = (uint64_t) index * HASH_CHUNK;
    /* Twice the same chunk: after a lost connection the uploader sends again what it cannot know
       about. */
    if (index >= b->chunks || b->got[index])
        return false;
    uint64_t due = b->size - at < HASH_CHUNK ? b->size - at : HASH_CHUNK;
    if (size != due)
        return false;
    if (size)
        memcpy (b->data + at, data, size);
    b->chunk_hash[index] = hash_of (data, size);
    b->got[index] = 1;
    b->have++;
    b->progress_ms = now;
    return true;
}

/*  The name is the hash of the chunks' hashes (base/hash.h): nothing is read twice. */
bool blob_genuine (const blob_t *b)
{
    hash_t root = hash_root (b->chunk_hash, b->chunks);
    return hash_equal (&root, &b->hash);
}

void blobs_finished (blobs_t *blobs, const blob_t *b)
{
    blobs_trim (blobs, b->owner);
}

/*  ---- who needs what ------------------------------------------------------------------------- */

/*  Counted, not flagged: two policies may share their base weights. */
void blob_need (blob_t *b)
{
    b->needs++;
    b->was_needed = true;
}

/*  It becomes past, not loose: it has been named once, and nobody will name it again. */
void blobs_release (blobs_t *blobs, blob_t *b)
{
    b->needs--;
    blobs_trim (blobs, b->owner);
}

/*  ---- time ----------------------------------------------------------------------------------- */

static blobs_owner_t *blobs_owner (blobs_t *blobs, uint64_t owner)
{
    for (size_t i = 0; i < blobs->owners_n; i++)
        if (blobs->owners[i].owner == owner)
            return &blobs->owners[i];
    return NULL;
}

/*  An upload on a slow link may go a minute without a chunk; as long as its uploader sends
 *  anything at all it is alive. */
void blobs_touch (blobs_t *blobs, uint64_t owner, int64_t now)
{
    blobs_owner_t *o = blobs_owner (blobs, owner);
    if (!o && blobs->owners_n < BLOBS_OWNERS_MAX) {
        o = &blobs->owners[blobs->owners_n++];
    } else if (!o) { /* the one that has been silent for longest is forgotten */
        o = &blobs->owners[0];
        for (size_t i = 1; i < blobs->owners_n; i++)
            if (blobs->owners[i].active_ms < o->active_ms)
                o = &blobs->owners[i];
    }
    *o = (blobs_owner_t){owner, now};
}

void blobs_expire (blobs_t *blobs, int64_t now)
{
    for (blob_t *b = blobs->first, *next; b; b = next) {
        next = b->next;
        if (blob_complete (b))
            continue;
        const blobs_owner_t *o = blobs_owner (blobs, b->owner);
        /* An upload ends with its uploader, or when it makes no progress at all; a slow one goes
           on. */
        if (!o || now - o->active_ms >= BLOBS_SILENT_MS || now - b->progress_ms >= BLOBS_STALLED_MS)
            blobs_drop (blobs, b);
    }
}

blobs_status_t blobs_status (const blobs_t *blobs)
{
    blobs_status_t status = blobs->status;
    for (const blob_t *b = blobs->first; b; b = b->next)
        status.unfinished_bytes += blob_complete (b) ? 0 : b->size;
    return status;
}

/*  recording - see recording.h */
#include "recording.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/crc.h"
#include "base/fs.h"

#define RECORDING_MAGIC    "qrecord\n"
#define RECORDING_END      "qrecend\n"
#define RECORDING_MAGIC_N  8
#define RECORDING_VERSION  1
#define RECORDING_BEGIN    16          /* bytes of the file's own head, */
#define RECORDING_HEAD     40          /* of a block's, */
#define RECORDING_ENTRY    28          /* of an index's entry, */
#define RECORDING_LAST     20          /* and of the end */
#define RECORDING_BLOCK_ID 0x4b4c4251u /* QBLK */
#define RECORDING_INDEX_ID 0x58444951u /* QIDX */
#define RECORDING_LEVEL    3           /* zstd's own default */
/*  Of a block unpacked: it is written once it has RECORDING_BLOCK, so one frame can come on top. */
#define RECORDING_BLOCK_MAX (RECORDING_BLOCK + RECORDING_FRAME_MAX + 2 * BYTES_VARINT_MAX)
#define RECORDING_INDEX_MAX (RECORDING_BLOCKS_MAX * RECORDING_ENTRY)

/*  What stands before a block. */
typedef struct {
    uint32_t id, stored, unpacked, events;
    int64_t first_us, last_us;
    uint32_t checksum;
} head_t;

/*  A block's place, in memory and in the index. */
typedef struct {
    uint64_t at;
    int64_t first_us, last_us;
    uint32_t events;
} entry_t;

typedef struct {
    entry_t *entry;
    size_t n, capacity;
} index_t;

static void recording_pack_head (const head_t *head, buf_t *out)
{
    size_t from = out->size;
    buf_little (out, head->id, 4);
    buf_little (out, head->stored, 4);
    buf_little (out, head->unpacked, 4);
    buf_little (out, head->events, 4);
    buf_little (out, (uint64_t) head->first_us, 8);
    buf_little (out, (uint64_t) head->last_us, 8);
    buf_little (out, head->checksum, 4);
    if (!buf_failed (out))
        buf_little (out, crc_of (0, out->data + from, RECORDING_HEAD - 4), 4);
}

static uint64_t recording_little (const char *from, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t) (uint8_t) from[i] << (8 * i);
    return value;
}

/*  False: it is none. */
static bool recording_unpack_head (const char *from, head_t *head)
{
    *head = (head_t){.id = (uint32_t) recording_little (from, 4),
                     .stored = (uint32_t) recording_little (from + 4, 4),
                     .unpacked = (uint32_t) recording_little (from + 8, 4),
                     .events = (uint32_t) recording_little (from + 12, 4),
                     .first_us = (int64_t) recording_little (from + 16, 8),
                     .last_us = (int64_t) recording_little (from + 24, 8),
                     .checksum = (uint32_t) recording_little (from + 32, 4)};
    return (head->id == RECORDING_BLOCK_ID || head->id == RECORDING_INDEX_ID) &&
           crc_of (0, from, RECORDING_HEAD - 4) ==
               (uint32_t) recording_little (from + RECORDING_HEAD - 4, 4);
}

static int recording_note_block (index_t *index, const entry_t *entry)
{
    if (index->n == index->capacity) {
        size_t capacity = index->capacity ? 2 * index->capacity : 64;
        entry_t *grown = realloc (index->entry, capacity * sizeof *grown);
        if (!grown)
            return -1;
        index->entry = grown;
        index->capacity = capacity;
    }
    index->entry[index->n++] = *entry;
    return 0;
}

/*  ---- writing -------------------------------------------------------------------------------- */

struct recorder {
    int fd;
    char path[FS_PATH_MAX];
    buf_t block; /* what waits to be written */
    head_t head; /* of the block */
    uint64_t at; /* bytes that are written */
    index_t index;
    err_t failed; /* code not 0: nothing can be written any more */
};

static int recorder_fail (recorder_t *r, err_t *err)
{
    if (err)
        *err = r->failed;
    return -1;
}

/*  What is only half there is taken back, so that the file ends with a whole block. */
static int recorder_write (recorder_t *r, const char *data, size_t size, err_t *err)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = write (r->fd, data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            err_errno (&r->failed, ERR_IO, "%s: cannot write after byte %" PRIu64, r->path, r->at);
            if (ftruncate (r->fd, (off_t) r->at) != 0)
                err_wrap (&r->failed, "what is half written stays");
            return recorder_fail (r, err);
        }
        done += (size_t) n;
    }
    r->at += size;
    return 0;
}

recorder_t *recorder_new (const char *path, err_t *err)
{
    recorder_t *r = calloc (1, sizeof *r);
    buf_t begin = {0};
    if (!r || strlen (path) >= sizeof r->path) {
        err_set (err, ERR_LIMIT, "%.100s: no memory, or the path is too long", path);
        free (r);
        return NULL;
    }
    memcpy (r->path, path, strlen (path) + 1);
    r->block.max = RECORDING_INDEX_MAX + 1;
    r->fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (r->fd < 0 && errno == EEXIST)
        err_set (err, ERR_CONFIG, "%s: is there already; remove it, or name another file", path);
    else if (r->fd < 0)
        err_errno (err, ERR_IO, "%s", path);
    buf_text (&begin, RECORDING_MAGIC);
    buf_little (&begin, RECORDING_VERSION, 4);
    buf_little (&begin, crc_of (0, begin.data, begin.size), 4);
    if (r->fd < 0 || recorder_write (r, begin.data, begin.size, err) != 0) {
        if (r->fd >= 0) {
            unlink (path);
            close (r->fd);
        }
        free (r);
        r = NULL;
    }
    buf_free (&begin);
    return r;
}

/*  Packs what is in the block and writes it behind its head. */
static int recorder_write_block (recorder_t *r, err_t *err)
{
    size_t bound = ZSTD_compressBound (r->block.size);
    char *packed = malloc (RECORDING_HEAD + bound);
    size_t n = packed ? ZSTD_compress (packed + RECORDING_HEAD, bound, r->block.data, r->block.size,
                                       RECORDING_LEVEL)
                      : 0;
    buf_t head = {0};
    int rc = -1;
    if (packed && !ZSTD_isError (n)) {
        r->head.stored = (uint32_t) n;
        r->head.unpacked = (uint32_t) r->block.size;
        r->head.checksum = crc_of (0, packed + RECORDING_HEAD, n);
        recording_pack_head (&r->head, &head);
    }
    if (head.size == RECORDING_HEAD) {
        memcpy (packed, head.data, head.size);
        rc = recorder_write (r, packed, RECORDING_HEAD + n, err);
    } else {
        err_set (&r->failed, ERR_LIMIT, "%s: no memory to pack events", r->path);
        recorder_fail (r, err);
    }
    buf_free (&head);
    free (packed);
    return rc;
}

static int recorder_flush (recorder_t *r, err_t *err)
{
    entry_t entry = {r->at, r->head.first_us, r->head.last_us, r->head.events};
    if (r->head.events == 0)
        return 0;
    if (r->index.n == RECORDING_BLOCKS_MAX || recording_note_block (&r->index, &entry) != 0) {
        err_set (&r->failed, ERR_LIMIT,
                 "%s: has as many blocks as a recording can have; go on in another file", r->path);
        return recorder_fail (r, err);
    }
    r->head.id = RECORDING_BLOCK_ID;
    if (recorder_write_block (r, err) != 0) {
        r->index.n--;
        return -1;
    }
    buf_clear (&r->block);
    r->head.events = 0;
    return 0;
}

int recorder_turn (recorder_t *r, int64_t now_us, err_t *err)
{
    if (r->failed.code)
        return recorder_fail (r, err);
    bool due = r->block.size >= RECORDING_BLOCK || now_us - r->head.first_us >= RECORDING_SPAN_US;
    return r->head.events && due ? recorder_flush (r, err) : 0;
}

int recorder_add (recorder_t *r, int64_t time_us, const void *frame, size_t size, err_t *err)
{
    if (r->failed.code)
        return recorder_fail (r, err);
    if (size == 0 || size > RECORDING_FRAME_MAX)
        return err_set (err, ERR_LIMIT, "%s: an event of %zu bytes; it has 1 to %zu", r->path, size,
                        RECORDING_FRAME_MAX);
    if (time_us < r->head.last_us)
        time_us = r->head.last_us;
    if (r->head.events == 0)
        r->head.first_us = r->head.last_us = time_us;
    buf_varint (&r->block, (uint64_t) (time_us - r->head.last_us));
    buf_varint (&r->block, size);
    buf_append (&r->block, frame, size);
    r->head.last_us = time_us;
    r->head.events++;
    if (buf_failed (&r->block)) {
        err_set (&r->failed, ERR_LIMIT, "%s: no memory for events", r->path);
        return recorder_fail (r, err);
    }
    return recorder_turn (r, time_us, err);
}

static int recorder_write_index (recorder_t *r, err_t *err)
{
    uint64_t at = r->at;
    buf_t end = {0};
    buf_clear (&r->block);
    for (size_t i = 0; i < r->index.n; i++) {
        const entry_t *entry = &r->index.entry[i];
        buf_little (&r->block, entry->at, 8);
        buf_little (&r->block, (uint64_t) entry->first_us, 8);
        buf_little (&r->block, (uint64_t) entry->last_us, 8);
        buf_little (&r->block, entry->events, 4);
    }
    r->head = (head_t){.id = RECORDING_INDEX_ID, .events = (uint32_t) r->index.n};
    if (r->index.n) {
        r->head.first_us = r->index.entry[0].first_us;
        r->head.last_us = r->index.entry[r->index.n - 1].last_us;
    }
    buf_little (&end, at, 8);
    buf_little (&end, crc_of (0, end.data, end.size), 4);
    buf_text (&end, RECORDING_END);
    int rc = recorder_write_block (r, err) == 0 && recorder_write (r, end.data, end.size, err) == 0
                 ? 0
                 : -1;
    buf_free (&end);
    return rc;
}

int recorder_close (recorder_t **self, err_t *err)
{
    recorder_t *r = *self;
    int rc = 0;
    if (!r)
        return 0;
    if (!r->failed.code && (recorder_flush (r, err) != 0 || recorder_write_index (r, err) != 0))
        rc = -1;
    if (rc == 0 && !r->failed.code && fsync (r->fd) != 0 && errno != EINVAL)
        rc = err_errno (err, ERR_IO, "%s: cannot be kept", r->path);
    if ((!err || r->failed.code) && r->index.n == 0)
        unlink (r->path); /* it would be in the way of the next try */
    close (r->fd);
    buf_free (&r->block);
    free (r->index.entry);
    free (r);
    *self = NULL;
    return rc;
}

/*  ---- reading -------------------------------------------------------------------------------- */

struct recording {
    int fd;
    char path[FS_PATH_MAX];
    uint64_t size, end; /* of the file; where its blocks end */
    index_t index;
    uint64_t events;
    char note[FS_PATH_MAX + 256];
    /* the block that is read */
    size_t block; /* its number, */
    buf_t unpacked;
    size_t at, left; /* where in it, and how many events are left */
    int64_t time_us, from_us;
};

/*  0 and exactly so many bytes, else -1: beyond the end, or the disk fails. */
static int recording_read (const recording_t *r, uint64_t at, void *to, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = pread (r->fd, (char *) to + done, size - done, (off_t) (at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        done += (size_t) n;
    }
    return 0;
}

static int recording_damaged (const recording_t *r, uint64_t at, const char *what, err_t *err)
{
    return err_set (err, ERR_INPUT, "%s: damaged at byte %" PRIu64 ": %s", r->path, at, what);
}

/*  What is stored at a place, unpacked. most: bytes that it may have then. */
static int recording_unpack (recording_t *r, uint64_t at, uint32_t id, size_t most, head_t *head,
                             err_t *err)
{
    char bytes[RECORDING_HEAD];
    if (at + RECORDING_HEAD > r->size || recording_read (r, at, bytes, sizeof bytes) != 0)
        return recording_damaged (r, at, "the file ends here", err);
    if (!recording_unpack_head (bytes, head) || head->id != id)
        return recording_damaged (r, at, "no block begins here", err);
    if (head->unpacked > most || head->stored > ZSTD_compressBound (most) ||
        head->stored > r->size - at - RECORDING_HEAD)
        return recording_damaged (r, at, "a block is larger than it can be", err);
    char *stored = malloc (head->stored ? head->stored : 1);
    char *room = malloc (head->unpacked ? head->unpacked : 1);
    const char *wrong = NULL;
    if (!stored || !room)
        wrong = "no memory to unpack a block";
    else if (recording_read (r, at + RECORDING_HEAD, stored, head->stored) != 0)
        wrong = "a block cannot be read";
    else if (crc_of (0, stored, head->stored) != head->checksum)
        wrong = "a block's checksum is another";
    else if (ZSTD_decompress (room, head->unpacked, stored, head->stored) != head->unpacked)
        wrong = "a block does not unpack to what it says";
    free (stored);
    if (wrong) {
        free (room);
        return recording_damaged (r, at, wrong, err);
    }
    buf_free (&r->unpacked);
    r->unpacked = (buf_t){.data = room, .size = head->unpacked, .capacity = head->unpacked};
    return 0;
}

static bool recording_follows (const recording_t *r, const entry_t *entry)
{
    const entry_t *before = r->index.n ? &r->index.entry[r->index.n - 1] : NULL;
    return entry->events > 0 && entry->first_us >= 0 && entry->first_us <= entry->last_us &&
           entry->at >= (before ? before->at + RECORDING_HEAD : RECORDING_BEGIN) &&
           (!before || entry->first_us >= before->last_us);
}

/*  1: read; 0: there is none, the recording was cut off; -1: it is damaged. */
static int recording_read_index (recording_t *r, err_t *err)
{
    char last[RECORDING_LAST];
    head_t head;
    if (r->size < RECORDING_BEGIN + RECORDING_LAST ||
        recording_read (r, r->size - RECORDING_LAST, last, sizeof last) != 0 ||
        memcmp (last + 12, RECORDING_END, RECORDING_MAGIC_N) != 0)
        return 0;
    uint64_t at = recording_little (last, 8);
    if (crc_of (0, last, 8) != (uint32_t) recording_little (last + 8, 4) || at > r->size)
        return recording_damaged (r, r->size - RECORDING_LAST, "the end is not its own", err);
    if (recording_unpack (r, at, RECORDING_INDEX_ID, RECORDING_INDEX_MAX, &head, err) != 0)
        return -1;
    if (head.unpacked != (uint64_t) head.events * RECORDING_ENTRY)
        return recording_damaged (r, at, "the index has another size than it says", err);
    for (size_t i = 0; i < head.events; i++) {
        const char *from = r->unpacked.data + i * RECORDING_ENTRY;
        entry_t entry = {recording_little (from, 8), (int64_t) recording_little (from + 8, 8),
                         (int64_t) recording_little (from + 16, 8),
                         (uint32_t) recording_little (from + 24, 4)};
        if (!recording_follows (r, &entry) || entry.at >= at)
            return recording_damaged (r, at, "the index has blocks that cannot be", err);
        if (recording_note_block (&r->index, &entry) != 0)
            return err_set (err, ERR_LIMIT, "%s: no memory for its index", r->path);
    }
    r->end = at;
    return 1;
}

/*  From block to block by their heads, as far as these are whole. */
static void recording_look_through (recording_t *r)
{
    uint64_t at = RECORDING_BEGIN;
    const char *why = "cut off";
    r->index.n = 0;
    while (r->index.n < RECORDING_BLOCKS_MAX && r->size - at >= RECORDING_HEAD) {
        char bytes[RECORDING_HEAD];
        head_t head;
        if (recording_read (r, at, bytes, sizeof bytes) != 0 ||
            !recording_unpack_head (bytes, &head)) {
            why = "damaged";
            break;
        }
        entry_t entry = {at, head.first_us, head.last_us, head.events};
        if (head.id != RECORDING_BLOCK_ID || head.stored > r->size - at - RECORDING_HEAD)
            break;
        if (!recording_follows (r, &entry) || recording_note_block (&r->index, &entry) != 0) {
            why = "damaged";
            break;
        }
        at += RECORDING_HEAD + head.stored;
    }
    r->end = at;
    snprintf (r->note, sizeof r->note, "%s: %s at byte %" PRIu64 " of %" PRIu64, r->path, why, at,
              r->size);
}

static int recording_begin (recording_t *r, err_t *err)
{
    char begin[RECORDING_BEGIN];
    struct stat st;
    err_t why = {0};
    if (fstat (r->fd, &st) != 0)
        return err_errno (err, ERR_IO, "%s", r->path);
    r->size = (uint64_t) st.st_size;
    if (r->size < sizeof begin || recording_read (r, 0, begin, sizeof begin) != 0 ||
        memcmp (begin, RECORDING_MAGIC, RECORDING_MAGIC_N) != 0)
        return err_set (err, ERR_INPUT, "%s: is no recording (quintet tap --record FILE makes one)",
                        r->path);
    if (crc_of (0, begin, 12) != (uint32_t) recording_little (begin + 12, 4))
        return recording_damaged (r, 8, "the checksum of the file's beginning is another", err);
    if (recording_little (begin + 8, 4) != RECORDING_VERSION)
        return err_set (err, ERR_INPUT, "%s: is of version %" PRIu64 ", and %d is known here",
                        r->path, recording_little (begin + 8, 4), RECORDING_VERSION);
    int rc = recording_read_index (r, &why);
    if (rc <= 0)
        recording_look_through (r);
    if (rc < 0)
        snprintf (r->note, sizeof r->note, "%s; its %zu blocks were looked for one by one",
                  why.text, r->index.n);
    for (size_t i = 0; i < r->index.n; i++)
        r->events += r->index.entry[i].events;
    r->from_us = INT64_MIN;
    return 0;
}

recording_t *recording_open (const char *path, err_t *err)
{
    recording_t *r = calloc (1, sizeof *r);
    if (!r || strlen (path) >= sizeof r->path) {
        err_set (err, ERR_LIMIT, "%.100s: no memory, or the path is too long", path);
        free (r);
        return NULL;
    }
    memcpy (r->path, path, strlen (path) + 1);
    r->fd = fs_open (path, err);
    if (r->fd < 0 || recording_begin (r, err) != 0)
        recording_close (&r);
    return r;
}

void recording_close (recording_t **self)
{
    recording_t *r = *self;
    if (!r)
        return;
    if (r->fd >= 0)
        close (r->fd);
    buf_free (&r->unpacked);
    free (r->index.entry);
    free (r);
    *self = NULL;
}

recording_summary_t recording_summary (const recording_t *r)
{
    const index_t *index = &r->index;
    return (recording_summary_t){.first_us = index->n ? index->entry[0].first_us : 0,
                                 .last_us = index->n ? index->entry[index->n - 1].last_us : 0,
                                 .events = r->events,
                                 .blocks = index->n,
                                 .note = r->note};
}

/*  The first block that ends at or after it: halved until one is left. */
void recording_seek (recording_t *r, int64_t time_us)
{
    size_t low = 0, high = r->index.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->index.entry[middle].last_us < time_us)
            low = middle + 1;
        else
            high = middle;
    }
    r->block = low;
    r->left = 0;
    r->from_us = time_us;
}

/*  The block that is due. Its head says the same as the index, or one of them is wrong. */
static int recording_read_block (recording_t *r, err_t *err)
{
    const entry_t *entry = &r->index.entry[r->block];
    head_t head;
    if (recording_unpack (r, entry->at, RECORDING_BLOCK_ID, RECORDING_BLOCK_MAX, &head, err) != 0)
        return -1;
    if (head.first_us != entry->first_us || head.last_us != entry->last_us ||
        head.events != entry->events)
        return recording_damaged (r, entry->at, "a block is not what the index says", err);
    r->block++;
    r->at = 0;
    r->left = head.events;
    r->time_us = head.first_us;
    return 0;
}

/*  -1: it does not end within the block. */
static int recording_varint (recording_t *r, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && r->at < r->unpacked.size; shift += 7) {
        uint8_t byte = (uint8_t) r->unpacked.data[r->at++];
        *value |= (uint64_t) (byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return 0;
    }
    return -1;
}

static int recording_take (recording_t *r, recorded_t *event, err_t *err)
{
    const entry_t *entry = &r->index.entry[r->block - 1];
    uint64_t gap, size;
    if (recording_varint (r, &gap) != 0 || recording_varint (r, &size) != 0 ||
        gap > (uint64_t) (entry->last_us - r->time_us) || size == 0 || size > RECORDING_FRAME_MAX ||
        size > r->unpacked.size - r->at)
        return recording_damaged (r, entry->at, "a block has an event that cannot be", err);
    r->time_us += (int64_t) gap;
    *event = (recorded_t){r->time_us, r->unpacked.data + r->at, size};
    r->at += size;
    r->left--;
    return 0;
}

int recording_next (recording_t *r, recorded_t *event, err_t *err)
{
    do {
        if (r->left == 0 && r->block == r->index.n)
            return 0;
        if ((r->left == 0 && recording_read_block (r, err) != 0) ||
            recording_take (r, event, err) != 0) {
            /* What comes after it may be whole, but nobody knows what it follows. */
            r->left = 0;
            r->block = r->index.n;
            return -1;
        }
    } while (event->time_us < r->from_us);
    return 1;
}

/*  recording - events as they came from a bus, in a file, and out of it again.
 *
 *      recorder_t *recorder = recorder_new ("run.rec", &err);
 *      recorder_add (recorder, time_us, frame, size, &err);
 *      recorder_close (&recorder, &err);
 *
 *      recording_t *recording = recording_open ("run.rec", &err);
 *      recording_seek (recording, time_us);
 *      while ((rc = recording_next (recording, &event, &err)) > 0) use (event.frame, event.size);
 *      recording_close (&recording);
 */
#ifndef QUINTET_CLI_RECORDING_H
#define QUINTET_CLI_RECORDING_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*  The file. Numbers have their little end first; times are microseconds since 1970; every checksum
 *  is CRC-32C.
 *
 *      file    "qrecord\n"  u32 version (1)  u32 checksum of the 12 bytes before
 *              block ...
 *              index, end                    neither where the recording was cut off
 *      block   "QBLK"  u32 bytes stored  u32 bytes unpacked  u32 events
 *              u64 time of the first event  u64 of the last  u32 checksum of what is stored
 *              u32 checksum of the 36 bytes before
 *              what is stored: one zstd frame, which unpacks to
 *      event   varint microseconds since the event before (the first: since the block's first)
 *              varint bytes  the frame: topic, zero byte, envelope (schemas/envelope.proto)
 *      index   a block that begins with "QIDX", whose events are blocks: u64 where in the file it
 *              begins  u64 time of its first event  u64 of its last  u32 events
 *      end     u64 where the index begins  u32 checksum of the 8 bytes before  "qrecend\n"
 *
 *  A block is written when it has RECORDING_BLOCK bytes or RECORDING_SPAN_US, so a recording that
 *  is cut off anywhere has all but the last second. Nothing that a file says is trusted.
 */
#define RECORDING_FRAME_MAX  ((size_t) 128 << 10)
#define RECORDING_BLOCK      ((size_t) 256 << 10) /* bytes unpacked, after which one is written */
#define RECORDING_SPAN_US    1000000
#define RECORDING_BLOCKS_MAX ((size_t) 1 << 20) /* twelve days of a block a second */

/*  ---- writing -------------------------------------------------------------------------------- */

typedef struct recorder recorder_t;

/*  A file that exists is not written over: ERR_CONFIG. Where it fails there is none. */
recorder_t *recorder_new (const char *path, err_t *err);
/*  Times that go backwards, as a clock that is set does, count as the one before. -1: the disk is
 *  full or fails; whole blocks stay, and nothing can be added any more. */
int recorder_add (recorder_t *recorder, int64_t time_us, const void *frame, size_t size,
                  err_t *err);
/*  Writes the block if it is old enough: for when no event comes. */
int recorder_turn (recorder_t *recorder, int64_t now_us, err_t *err);
/*  Writes what is left and the index. err NULL: after an error, which stays the one that is told. A
 *  file without an event is removed then, as after an error here. */
int recorder_close (recorder_t **recorder, err_t *err);

/*  ---- reading -------------------------------------------------------------------------------- */

typedef struct recording recording_t;

typedef struct {
    int64_t time_us;
    const char *frame; /* valid until the next call */
    size_t size;
} recorded_t;

/*  ERR_INPUT: it is no recording. One without an index is looked through. */
recording_t *recording_open (const char *path, err_t *err);
void recording_close (recording_t **recording);

typedef struct {
    int64_t first_us, last_us;
    uint64_t events;
    size_t blocks;
    /* "": whole; else that it was cut off or is damaged, and where: the events are those before
       it. */
    const char *note;
} recording_summary_t;
recording_summary_t recording_summary (const recording_t *recording);

/*  The next event is the first that is not before this time. */
void recording_seek (recording_t *recording, int64_t time_us);
/*  1 and an event; 0 at the end; -1: damaged, with the file and the byte. */
int recording_next (recording_t *recording, recorded_t *event, err_t *err);

#endif

/*  envelope - what every message looks like from outside; see schemas/envelope.proto.
 *
 *      envelope_t e = {.kind = ENVELOPE_REQUEST};
 *      zmq_msg_t frame;
 *      envelope_pack (&e, slice_of (""), &frame);
 *      envelope_parse (data, size, &e);                  fields point into the frame
 *
 *  Everything but ticket and left_ms is under a checksum, which both ends of each hop check: bits
 *  that a broken machine or link flips must not reach a decoder, and far less a training step.
 *
 *  Written by hand for the path that every message takes: the bytes are those of the generated code
 *  (a test compares them), but nothing is allocated, and a broker can patch ticket and time left in
 *  place.
 */
#ifndef QUINTET_BUS_ENVELOPE_H
#define QUINTET_BUS_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

#include "base/hash.h"
#include "wire/wire.h"

#define ENVELOPE_PROTOCOL  2
#define ENVELOPE_NAME_MAX  128
#define ENVELOPE_ID_MAX    200
#define ENVELOPE_TEXT_MAX  1024
#define ENVELOPE_ROOM      ((size_t) 4 << 10) /* for all but the payload */
#define ENVELOPE_FRAME_MAX (WIRE_PAYLOAD_MAX + ENVELOPE_ROOM)
/*  Payload of an event: a shown episode of 64 KiB and what goes with it. Bounds what waits for a
 *  slow tap. */
#define ENVELOPE_EVENT_MAX ((size_t) 68 << 10)

typedef enum {
    ENVELOPE_NONE,
    ENVELOPE_READY,
    ENVELOPE_REFUSED,
    ENVELOPE_HEARTBEAT,
    ENVELOPE_REQUEST,
    ENVELOPE_REPLY,
    ENVELOPE_CANCEL,
    ENVELOPE_LOST,
    ENVELOPE_EVENT,
    ENVELOPE_PUT,
    ENVELOPE_HELD,
    ENVELOPE_GET,
    ENVELOPE_CHUNK,
    ENVELOPE_MISSING,
    ENVELOPE_MANIFEST,
    ENVELOPE_MANIFESTS,
    ENVELOPE_RETIRE,
    ENVELOPE_DONE,
    ENVELOPE_WANT,
    ENVELOPE_SUBSCRIBE,
    ENVELOPE_KINDS
} envelope_kind_t;

/*  A run of bytes that belongs to somebody else. */
typedef struct {
    const char *data;
    size_t size;
} slice_t;

typedef struct {
    envelope_kind_t kind;
    slice_t id, trace, sender, service, text, hash, objects, avoid, payload;
    uint64_t boot, sequence, ticket, size, epoch;
    uint32_t left_ms, code, credit, index;
} envelope_t;

slice_t slice_of (const char *text);
bool slice_equal (slice_t a, slice_t b);
/*  Copies into out with a 0 at the end, cut to fit. Returns out. */
const char *slice_text (slice_t slice, char *out, size_t out_size);

/*  A frame: prefix (a topic and its zero byte, or nothing) and the envelope. -1: no memory or
 *  larger than ENVELOPE_FRAME_MAX. */
int envelope_pack (const envelope_t *envelope, slice_t prefix, zmq_msg_t *frame);
/*  Checks protocol, kind, sizes and checksum; unknown fields are skipped. */
typedef enum {
    ENVELOPE_WHOLE = 0,
    ENVELOPE_MALFORMED = -1,
    ENVELOPE_DAMAGED =
        -2 /* like an envelope, but some bits changed on the way: no field can be trusted */
} envelope_state_t;
envelope_state_t envelope_parse (const void *data, size_t size, envelope_t *envelope);

/*  Writes into a frame made by envelope_pack, in place; the fields must have been there (ticket and
 *  left_ms are always written for requests). */
int envelope_patch (zmq_msg_t *frame, uint64_t ticket, uint32_t left_ms);

bool envelope_hash (const envelope_t *envelope, hash_t *hash);

#endif

/*  fuzz_frame - envelopes with a true checksum, however they were mutated, and a bus without
 *  sockets.
 *
 *      frame_repair (&bytes)                     appends the checksum of what stands there
 *      while (frames_next (&frames, &frame))     the messages of one input
 *
 *  A checksum keeps nearly every mutated frame out, and with it all that the fuzzer is to reach.
 *  So the true one is put behind what was mutated: a later field replaces an earlier one.
 *
 *  An input is a run of messages: a byte of flags, a size of two bytes, the frame. With
 *  FUZZ_FRAME_SENDS defined, what a bus sends comes to frame_sent (), instead of to ZeroMQ.
 */
#ifndef QUINTET_TESTS_FUZZ_FRAME_H
#define QUINTET_TESTS_FUZZ_FRAME_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/crc.h"
#include "bus/envelope.h"
#include "fuzz.h"

/*  The protocol's numbers, once more and apart from the code that is tried. */
enum { FRAME_LEFT_MS = 8, FRAME_TICKET = 13, FRAME_CHECKSUM = 21 };

static uint64_t frame_varint (const uint8_t **at, const uint8_t *end)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t) (byte & 0x7f) << shift;
        if (!(byte & 0x80))
            break;
    }
    return value;
}

/*  Where the field ends; its end when it is cut off. */
static const uint8_t *frame_field_end (const uint8_t *at, const uint8_t *end, unsigned wire_type)
{
    uint64_t size = wire_type == 1 ? 8 : wire_type == 5 ? 4 : 0;
    if (wire_type == 0 || wire_type == 2)
        size = frame_varint (&at, end);
    if (wire_type == 0)
        size = 0;
    return size > (uint64_t) (end - at) ? end : at + size;
}

static inline void frame_repair (buf_t *bytes)
{
    uint32_t sum = 0;
    const uint8_t *at = (const uint8_t *) bytes->data, *end = at + bytes->size;
    while (at < end) {
        const uint8_t *from = at;
        uint64_t tag = frame_varint (&at, end);
        at = frame_field_end (at, end, tag & 7);
        if (tag != (FRAME_LEFT_MS << 3 | 5) && tag != (FRAME_TICKET << 3 | 1) &&
            tag != (FRAME_CHECKSUM << 3 | 5))
            sum = crc_of (sum, from, (size_t) (at - from));
    }
    uint8_t field[6];
    bytes_little (bytes_varint (field, FRAME_CHECKSUM << 3 | 5), sum, 4);
    buf_append (bytes, field, sizeof field);
}

/*  ---- inputs --------------------------------------------------------------------------------- */

#define FRAME_DAMAGED 0x80 /* keeps whatever checksum it has */

typedef struct {
    const uint8_t *data;
    size_t size;
} frames_t;

/*  False: no more. The frame is the caller's to close. */
static inline bool frames_next (frames_t *frames, uint8_t *flags, zmq_msg_t *frame)
{
    if (frames->size < 3)
        return false;
    *flags = frames->data[0];
    size_t size = frames->data[1] | (size_t) frames->data[2] << 8;
    frames->data += 3;
    frames->size -= 3;
    size = size < frames->size ? size : frames->size;
    buf_t bytes = {0};
    buf_append (&bytes, frames->data, size);
    if (!(*flags & FRAME_DAMAGED))
        frame_repair (&bytes);
    frames->data += size;
    frames->size -= size;
    zmq_msg_init_size (frame, bytes.size);
    if (bytes.size)
        memcpy (zmq_msg_data (frame), bytes.data, bytes.size);
    buf_free (&bytes);
    return true;
}

/*  Adds a message to an input that is to be a seed. */
static inline void frames_add (buf_t *input, uint8_t flags, const envelope_t *e)
{
    zmq_msg_t frame;
    if (envelope_pack (e, (slice_t){"", 0}, &frame) != 0)
        fuzz_fail ("envelope");
    size_t size = zmq_msg_size (&frame) - 6; /* the checksum comes with the repair */
    uint8_t head[] = {flags, (uint8_t) size, (uint8_t) (size >> 8)};
    buf_append (input, head, sizeof head);
    buf_append (input, zmq_msg_data (&frame), size);
    zmq_msg_close (&frame);
}

/*  ---- sockets -------------------------------------------------------------------------------- */

#ifdef FUZZ_FRAME_SENDS

/*  Whether a frame can be sent now; what is sent must be one that any peer accepts. */
static bool frame_sent (const void *data, size_t size);

static bool frame_to_router; /* an identity went before */

int zmq_send (void *socket, const void *data, size_t size, int flags)
{
    (void) socket, (void) data, (void) flags;
    frame_to_router = true;
    return (int) size;
}

int zmq_msg_send (zmq_msg_t *frame, void *socket, int flags)
{
    (void) socket, (void) flags;
    const char *data = zmq_msg_data (frame);
    size_t size = zmq_msg_size (frame), topic = 0;
    if (!frame_to_router) /* an event: a topic goes before the envelope */
        topic = strnlen (data, size) + 1;
    frame_to_router = false;
    envelope_t e;
    if (envelope_parse (data + topic, size - topic, &e) != ENVELOPE_WHOLE)
        abort ();
    if (!frame_sent (data + topic, size - topic))
        return -1;
    zmq_msg_close (frame);
    zmq_msg_init (frame);
    return (int) size;
}

#endif

#endif

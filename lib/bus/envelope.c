/*  envelope - see envelope.h */
#include "bus/envelope.h"

#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"

/*  Protobuf's wire types (developers' guide, "Encoding"). */
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

/*  Field numbers of schemas/envelope.proto. */
enum {
    F_PROTOCOL = 1,
    F_KIND,
    F_ID,
    F_TRACE,
    F_SENDER,
    F_BOOT,
    F_SEQUENCE,
    F_LEFT_MS,
    F_SERVICE,
    F_CODE,
    F_TEXT,
    F_CREDIT,
    F_TICKET,
    F_HASH,
    F_PAYLOAD,
    F_SIZE,
    F_INDEX,
    F_EPOCH,
    F_OBJECTS,
    F_AVOID,
    F_CHECKSUM
};

#define ENVELOPE_CHECKSUM_SIZE 6 /* tag of two bytes, value of four */

slice_t slice_of (const char *text)
{
    return (slice_t){.data = text ? text : "", .size = text ? strlen (text) : 0};
}

/*  Lengths first: memcmp must not be called beyond either. */
bool slice_equal (slice_t a, slice_t b)
{
    return a.size == b.size && memcmp (a.data, b.data, a.size) == 0;
}

const char *slice_text (slice_t slice, char *out, size_t out_size)
{
    /* Cut, not refused: for logs and for fields whose size envelope_parse has checked. */
    size_t n = slice.size < out_size - 1 ? slice.size : out_size - 1;
    if (n)
        memcpy (out, slice.data, n);
    out[n] = 0;
    return out;
}

/*  A field's number and wire type share one varint, which holds numbers up to 15 in a byte. */
static size_t envelope_tag_size (unsigned field)
{
    return field < 16 ? 1 : 2;
}

/*  Fields that are empty or zero are left out, as in all of proto3. */
static size_t envelope_bytes_size (unsigned field, slice_t s)
{
    return s.size ? envelope_tag_size (field) + bytes_varint_size (s.size) + s.size : 0;
}

static size_t envelope_number_size (unsigned field, uint64_t value)
{
    return value ? envelope_tag_size (field) + bytes_varint_size (value) : 0;
}

static uint8_t *envelope_put_number (uint8_t *to, unsigned field, uint64_t value)
{
    return value ? bytes_varint (bytes_varint (to, field << 3 | VARINT), value) : to;
}

static uint8_t *envelope_put_bytes (uint8_t *to, unsigned field, slice_t s)
{
    if (!s.size)
        return to;
    to = bytes_varint (bytes_varint (to, field << 3 | BYTES), s.size);
    memcpy (to, s.data, s.size);
    return to + s.size;
}

/*  Fixed width, so that a number's size does not depend on its value and the bus can write its
 *  own in place. */
static uint8_t *envelope_put_fixed64 (uint8_t *to, unsigned field, uint64_t value)
{
    return value ? bytes_little (bytes_varint (to, field << 3 | FIXED64), value, 8) : to;
}

/*  Exactly what envelope_pack writes: the frame is allocated once, and never grows. */
static size_t envelope_packed_size (const envelope_t *e)
{
    return envelope_number_size (F_PROTOCOL, ENVELOPE_PROTOCOL) +
           envelope_number_size (F_KIND, e->kind) + envelope_bytes_size (F_ID, e->id) +
           envelope_bytes_size (F_TRACE, e->trace) + envelope_bytes_size (F_SENDER, e->sender) +
           (e->boot ? 9 : 0) + (e->sequence ? 9 : 0) + (e->left_ms ? 5 : 0) +
           envelope_bytes_size (F_SERVICE, e->service) + envelope_number_size (F_CODE, e->code) +
           envelope_bytes_size (F_TEXT, e->text) + envelope_number_size (F_CREDIT, e->credit) +
           (e->ticket ? 9 : 0) + envelope_bytes_size (F_HASH, e->hash) +
           envelope_bytes_size (F_PAYLOAD, e->payload) + envelope_number_size (F_SIZE, e->size) +
           envelope_number_size (F_INDEX, e->index) + envelope_number_size (F_EPOCH, e->epoch) +
           envelope_bytes_size (F_OBJECTS, e->objects) + envelope_bytes_size (F_AVOID, e->avoid) +
           ENVELOPE_CHECKSUM_SIZE;
}

/*  The checksum goes on over what was written since `from`; returns `to`. */
static uint8_t *envelope_sum_up (uint32_t *sum, const uint8_t *from, uint8_t *to)
{
    *sum = crc_of (*sum, from, (size_t) (to - from));
    return to;
}

/*  In the order of the fields' numbers, as the generated code writes them; so the same message is
 *  the same bytes from either. */
int envelope_pack (const envelope_t *e, slice_t prefix, zmq_msg_t *frame)
{
    size_t size = envelope_packed_size (e);
    /* A frame above the limit would cost its sender the connection. */
    if (prefix.size + size > ENVELOPE_FRAME_MAX || zmq_msg_init_size (frame, prefix.size + size))
        return -1;
    /* `from` is where the summed part begins that is being written; the two fields that the bus
       patches are left out of the sum. */
    uint8_t *to = zmq_msg_data (frame), *from;
    uint32_t sum = 0;
    if (prefix.size)
        memcpy (to, prefix.data, prefix.size);
    from = to += prefix.size;
    to = envelope_put_number (to, F_PROTOCOL, ENVELOPE_PROTOCOL);
    to = envelope_put_number (to, F_KIND, e->kind);
    to = envelope_put_bytes (to, F_ID, e->id);
    to = envelope_put_bytes (to, F_TRACE, e->trace);
    to = envelope_put_bytes (to, F_SENDER, e->sender);
    to = envelope_put_fixed64 (to, F_BOOT, e->boot);
    to = envelope_put_fixed64 (to, F_SEQUENCE, e->sequence);
    envelope_sum_up (&sum, from, to);
    if (e->left_ms)
        to = bytes_little (bytes_varint (to, F_LEFT_MS << 3 | FIXED32), e->left_ms, 4);
    from = to;
    to = envelope_put_bytes (to, F_SERVICE, e->service);
    to = envelope_put_number (to, F_CODE, e->code);
    to = envelope_put_bytes (to, F_TEXT, e->text);
    to = envelope_put_number (to, F_CREDIT, e->credit);
    envelope_sum_up (&sum, from, to);
    from = to = envelope_put_fixed64 (to, F_TICKET, e->ticket);
    to = envelope_put_bytes (to, F_HASH, e->hash);
    to = envelope_put_bytes (to, F_PAYLOAD, e->payload);
    to = envelope_put_number (to, F_SIZE, e->size);
    to = envelope_put_number (to, F_INDEX, e->index);
    to = envelope_put_number (to, F_EPOCH, e->epoch);
    to = envelope_put_bytes (to, F_OBJECTS, e->objects);
    to = envelope_put_bytes (to, F_AVOID, e->avoid);
    envelope_sum_up (&sum, from, to);
    bytes_little (bytes_varint (to, F_CHECKSUM << 3 | FIXED32), sum, 4);
    return 0;
}

/*  A walk over the fields of an envelope. */
typedef struct {
    const uint8_t *at, *end;
    bool bad;
    uint64_t protocol;
    uint32_t sum;      /* of what was passed so far */
    uint32_t checksum; /* as it stands in the envelope */
    bool summed;       /* it stands there, and nothing behind it */
} envelope_scan_t;

/*  Ten bytes at most; what is longer, or ends with the frame, is malformed. Nothing here reads
 *  past the end, whatever a length field says. */
static uint64_t envelope_scan_varint (envelope_scan_t *s)
{
    uint64_t value = 0;
    /* Seven bits a byte, the lowest first; the eighth says that more follow. */
    for (unsigned shift = 0; shift < 64 && s->at < s->end; shift += 7) {
        uint8_t byte = *s->at++;
        value |= (uint64_t) (byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    s->bad = true;
    return 0;
}

static uint64_t envelope_scan_little (envelope_scan_t *s, size_t bytes)
{
    if ((size_t) (s->end - s->at) < bytes) {
        s->bad = true;
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value |= (uint64_t) *s->at++ << (8 * i);
    return value;
}

/*  A length is checked against what is left, not added to a pointer first: that could wrap. */
static slice_t envelope_scan_bytes (envelope_scan_t *s)
{
    uint64_t size = envelope_scan_varint (s);
    if (s->bad || size > (uint64_t) (s->end - s->at)) {
        s->bad = true;
        return (slice_t){"", 0};
    }
    slice_t slice = {.data = (const char *) s->at, .size = size};
    s->at += size;
    return slice;
}

static void envelope_take_bytes (envelope_t *e, unsigned field, slice_t s)
{
    slice_t *to = field == F_ID        ? &e->id
                  : field == F_TRACE   ? &e->trace
                  : field == F_SENDER  ? &e->sender
                  : field == F_SERVICE ? &e->service
                  : field == F_TEXT    ? &e->text
                  : field == F_HASH    ? &e->hash
                  : field == F_PAYLOAD ? &e->payload
                  : field == F_OBJECTS ? &e->objects
                  : field == F_AVOID   ? &e->avoid
                                       : NULL;
    if (to)
        *to = s;
}

static void envelope_take_number (envelope_scan_t *s, envelope_t *e, unsigned field, uint64_t value)
{
    if (field == F_PROTOCOL)
        s->protocol = value;
    else if (field == F_KIND)
        e->kind = value < ENVELOPE_KINDS ? (envelope_kind_t) value : ENVELOPE_NONE;
    else if (field == F_CODE)
        e->code = (uint32_t) value;
    else if (field == F_CREDIT)
        e->credit = (uint32_t) value;
    else if (field == F_SIZE)
        e->size = value;
    else if (field == F_INDEX)
        e->index = (uint32_t) value;
    else if (field == F_EPOCH)
        e->epoch = value;
}

static void envelope_take_fixed64 (envelope_t *e, unsigned field, uint64_t value)
{
    if (field == F_BOOT)
        e->boot = value;
    else if (field == F_SEQUENCE)
        e->sequence = value;
    else if (field == F_TICKET)
        e->ticket = value;
}

/*  Reads one field; those that are not known are skipped, and summed like the others. */
static void envelope_scan_field (envelope_scan_t *s, envelope_t *e)
{
    const uint8_t *from = s->at;
    /* A tag is a field's number and a wire type; a number that is not known is skipped by its
       type. */
    uint64_t tag = envelope_scan_varint (s);
    unsigned field = (unsigned) (tag >> 3);
    /* By the whole tag, not by the number: a field of another wire type under these numbers is
       summed, so nothing can be smuggled past the checksum. */
    bool unsummed = tag == (F_LEFT_MS << 3 | FIXED32) || tag == (F_TICKET << 3 | FIXED64) ||
                    tag == (F_CHECKSUM << 3 | FIXED32);
    s->summed = false;
    switch (tag & 7) {
    case VARINT:
        envelope_take_number (s, e, field, envelope_scan_varint (s));
        break;
    case FIXED64:
        envelope_take_fixed64 (e, field, envelope_scan_little (s, 8));
        break;
    case BYTES:
        envelope_take_bytes (e, field, envelope_scan_bytes (s));
        break;
    case FIXED32: {
        uint32_t value = (uint32_t) envelope_scan_little (s, 4);
        if (field == F_LEFT_MS)
            e->left_ms = value;
        /* It must be the last field: bytes behind it would not be under it. Every other field
           takes `summed` back. */
        if (field == F_CHECKSUM) {
            s->checksum = value;
            s->summed = true;
        }
        break;
    }
    /* Groups (3 and 4) are not used by proto3, and 6 and 7 mean nothing. */
    default:
        s->bad = true;
    }
    if (!s->bad && !unsummed)
        s->sum = crc_of (s->sum, from, (size_t) (s->at - from));
}

envelope_state_t envelope_parse (const void *data, size_t size, envelope_t *e)
{
    envelope_scan_t s = {.at = data, .end = (const uint8_t *) data + size};
    slice_t none = {"", 0};
    *e = (envelope_t){.id = none,
                      .trace = none,
                      .sender = none,
                      .service = none,
                      .text = none,
                      .hash = none,
                      .objects = none,
                      .avoid = none,
                      .payload = none};
    while (s.at < s.end && !s.bad)
        envelope_scan_field (&s, e);
    /* Sizes are checked once, here, so that everybody behind may copy into arrays of these
       sizes. */
    bool fits = e->id.size <= ENVELOPE_ID_MAX && e->trace.size <= ENVELOPE_ID_MAX &&
                e->sender.size <= ENVELOPE_NAME_MAX && e->service.size <= 2 * ENVELOPE_NAME_MAX &&
                e->text.size <= ENVELOPE_TEXT_MAX && e->avoid.size <= ENVELOPE_NAME_MAX;
    if (s.bad || !fits || s.protocol != ENVELOPE_PROTOCOL || e->kind == ENVELOPE_NONE)
        return ENVELOPE_MALFORMED;
    return s.summed && s.sum == s.checksum ? ENVELOPE_WHOLE : ENVELOPE_DAMAGED;
}

/*  Only the two fields that are not under the checksum; both are of fixed width, so nothing
 *  moves. */
int envelope_patch (zmq_msg_t *frame, uint64_t ticket, uint32_t left_ms)
{
    uint8_t *data = zmq_msg_data (frame);
    envelope_scan_t s = {.at = data, .end = data + zmq_msg_size (frame)};
    int patched = 0;
    while (s.at < s.end && !s.bad && patched < 2) {
        uint64_t tag = envelope_scan_varint (&s);
        uint8_t *value = data + (s.at - data);
        if (tag == (F_TICKET << 3 | FIXED64) || tag == (F_LEFT_MS << 3 | FIXED32)) {
            size_t bytes = (tag & 7) == FIXED64 ? 8 : 4;
            envelope_scan_little (&s, bytes);
            if (!s.bad)
                bytes_little (value, bytes == 8 ? ticket : left_ms, bytes);
            patched++;
        } else if ((tag & 7) == BYTES) {
            envelope_scan_bytes (&s);
        } else if ((tag & 7) == VARINT) {
            envelope_scan_varint (&s);
        } else {
            envelope_scan_little (&s, (tag & 7) == FIXED64 ? 8 : 4);
        }
    }
    return patched == 2 && !s.bad ? 0 : -1;
}

/*  A hash of another length names nothing. */
bool envelope_hash (const envelope_t *e, hash_t *hash)
{
    if (e->hash.size != HASH_SIZE)
        return false;
    memcpy (hash->bytes, e->hash.data, HASH_SIZE);
    return true;
}

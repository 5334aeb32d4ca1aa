/*  envelope - see envelope.h */
#include "bus/envelope.h"

#include <string.h>

#include "base/bytes.h"

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
    F_AVOID
};

slice_t slice_of (const char *text)
{
    return (slice_t){.data = text ? text : "", .size = text ? strlen (text) : 0};
}

bool slice_equal (slice_t a, slice_t b)
{
    return a.size == b.size && memcmp (a.data, b.data, a.size) == 0;
}

const char *slice_text (slice_t slice, char *out, size_t out_size)
{
    size_t n = slice.size < out_size - 1 ? slice.size : out_size - 1;
    if (n)
        memcpy (out, slice.data, n);
    out[n] = 0;
    return out;
}

static size_t tag_size (unsigned field)
{
    return field < 16 ? 1 : 2;
}

static size_t bytes_size (unsigned field, slice_t s)
{
    return s.size ? tag_size (field) + bytes_varint_size (s.size) + s.size : 0;
}

static size_t number_size (unsigned field, uint64_t value)
{
    return value ? tag_size (field) + bytes_varint_size (value) : 0;
}

static uint8_t *put_number (uint8_t *to, unsigned field, uint64_t value)
{
    return value ? bytes_varint (bytes_varint (to, field << 3 | VARINT), value) : to;
}

static uint8_t *put_bytes (uint8_t *to, unsigned field, slice_t s)
{
    if (!s.size)
        return to;
    to = bytes_varint (bytes_varint (to, field << 3 | BYTES), s.size);
    memcpy (to, s.data, s.size);
    return to + s.size;
}

static uint8_t *put_fixed64 (uint8_t *to, unsigned field, uint64_t value)
{
    return value ? bytes_little (bytes_varint (to, field << 3 | FIXED64), value, 8) : to;
}

static size_t packed_size (const envelope_t *e)
{
    return number_size (F_PROTOCOL, ENVELOPE_PROTOCOL) + number_size (F_KIND, e->kind) +
           bytes_size (F_ID, e->id) + bytes_size (F_TRACE, e->trace) +
           bytes_size (F_SENDER, e->sender) + (e->boot ? 9 : 0) + (e->sequence ? 9 : 0) +
           (e->left_ms ? 5 : 0) + bytes_size (F_SERVICE, e->service) +
           number_size (F_CODE, e->code) + bytes_size (F_TEXT, e->text) +
           number_size (F_CREDIT, e->credit) + (e->ticket ? 9 : 0) + bytes_size (F_HASH, e->hash) +
           bytes_size (F_PAYLOAD, e->payload) + number_size (F_SIZE, e->size) +
           number_size (F_INDEX, e->index) + number_size (F_EPOCH, e->epoch) +
           bytes_size (F_OBJECTS, e->objects) + bytes_size (F_AVOID, e->avoid);
}

int envelope_pack (const envelope_t *e, slice_t prefix, zmq_msg_t *frame)
{
    size_t size = packed_size (e);
    if (prefix.size + size > ENVELOPE_FRAME_MAX || zmq_msg_init_size (frame, prefix.size + size))
        return -1;
    uint8_t *to = zmq_msg_data (frame);
    if (prefix.size)
        memcpy (to, prefix.data, prefix.size);
    to = put_number (to + prefix.size, F_PROTOCOL, ENVELOPE_PROTOCOL);
    to = put_number (to, F_KIND, e->kind);
    to = put_bytes (to, F_ID, e->id);
    to = put_bytes (to, F_TRACE, e->trace);
    to = put_bytes (to, F_SENDER, e->sender);
    to = put_fixed64 (to, F_BOOT, e->boot);
    to = put_fixed64 (to, F_SEQUENCE, e->sequence);
    if (e->left_ms)
        to = bytes_little (bytes_varint (to, F_LEFT_MS << 3 | FIXED32), e->left_ms, 4);
    to = put_bytes (to, F_SERVICE, e->service);
    to = put_number (to, F_CODE, e->code);
    to = put_bytes (to, F_TEXT, e->text);
    to = put_number (to, F_CREDIT, e->credit);
    to = put_fixed64 (to, F_TICKET, e->ticket);
    to = put_bytes (to, F_HASH, e->hash);
    to = put_bytes (to, F_PAYLOAD, e->payload);
    to = put_number (to, F_SIZE, e->size);
    to = put_number (to, F_INDEX, e->index);
    to = put_number (to, F_EPOCH, e->epoch);
    to = put_bytes (to, F_OBJECTS, e->objects);
    put_bytes (to, F_AVOID, e->avoid);
    return 0;
}

typedef struct {
    const uint8_t *at, *end;
    bool bad;
} scan_t;

static uint64_t scan_varint (scan_t *s)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && s->at < s->end; shift += 7) {
        uint8_t byte = *s->at++;
        value |= (uint64_t) (byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    s->bad = true;
    return 0;
}

static uint64_t scan_little (scan_t *s, size_t bytes)
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

static slice_t scan_bytes (scan_t *s)
{
    uint64_t size = scan_varint (s);
    if (s->bad || size > (uint64_t) (s->end - s->at)) {
        s->bad = true;
        return (slice_t){"", 0};
    }
    slice_t slice = {.data = (const char *) s->at, .size = size};
    s->at += size;
    return slice;
}

static void take_bytes (envelope_t *e, unsigned field, slice_t s)
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

static void take_number (envelope_t *e, unsigned field, uint64_t value, uint64_t *protocol)
{
    if (field == F_PROTOCOL)
        *protocol = value;
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

static void take_fixed64 (envelope_t *e, unsigned field, uint64_t value)
{
    if (field == F_BOOT)
        e->boot = value;
    else if (field == F_SEQUENCE)
        e->sequence = value;
    else if (field == F_TICKET)
        e->ticket = value;
}

/*  Reads one field; those that are not known are skipped. */
static void scan_field (scan_t *s, envelope_t *e, uint64_t *protocol)
{
    uint64_t tag = scan_varint (s);
    unsigned field = (unsigned) (tag >> 3);
    switch (tag & 7) {
    case VARINT:
        take_number (e, field, scan_varint (s), protocol);
        break;
    case FIXED64:
        take_fixed64 (e, field, scan_little (s, 8));
        break;
    case BYTES:
        take_bytes (e, field, scan_bytes (s));
        break;
    case FIXED32: {
        uint32_t value = (uint32_t) scan_little (s, 4);
        if (field == F_LEFT_MS)
            e->left_ms = value;
        break;
    }
    default:
        s->bad = true;
    }
}

int envelope_parse (const void *data, size_t size, envelope_t *e)
{
    scan_t s = {.at = data, .end = (const uint8_t *) data + size};
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
    uint64_t protocol = 0;
    while (s.at < s.end && !s.bad)
        scan_field (&s, e, &protocol);
    bool fits = e->id.size <= ENVELOPE_ID_MAX && e->trace.size <= ENVELOPE_ID_MAX &&
                e->sender.size <= ENVELOPE_NAME_MAX && e->service.size <= 2 * ENVELOPE_NAME_MAX &&
                e->text.size <= ENVELOPE_TEXT_MAX && e->avoid.size <= ENVELOPE_NAME_MAX;
    return !s.bad && fits && protocol == ENVELOPE_PROTOCOL && e->kind != ENVELOPE_NONE ? 0 : -1;
}

int envelope_patch (zmq_msg_t *frame, uint64_t ticket, uint32_t left_ms)
{
    uint8_t *data = zmq_msg_data (frame);
    scan_t s = {.at = data, .end = data + zmq_msg_size (frame)};
    int patched = 0;
    while (s.at < s.end && !s.bad && patched < 2) {
        uint64_t tag = scan_varint (&s);
        uint8_t *value = data + (s.at - data);
        if (tag == (F_TICKET << 3 | FIXED64) || tag == (F_LEFT_MS << 3 | FIXED32)) {
            size_t bytes = (tag & 7) == FIXED64 ? 8 : 4;
            scan_little (&s, bytes);
            if (!s.bad)
                bytes_little (value, bytes == 8 ? ticket : left_ms, bytes);
            patched++;
        } else if ((tag & 7) == BYTES) {
            scan_bytes (&s);
        } else if ((tag & 7) == VARINT) {
            scan_varint (&s);
        } else {
            scan_little (&s, (tag & 7) == FIXED64 ? 8 : 4);
        }
    }
    return patched == 2 && !s.bad ? 0 : -1;
}

bool envelope_hash (const envelope_t *e, hash_t *hash)
{
    if (e->hash.size != HASH_SIZE)
        return false;
    memcpy (hash->bytes, e->hash.data, HASH_SIZE);
    return true;
}

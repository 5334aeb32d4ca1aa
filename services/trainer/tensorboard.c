/*  tensorboard - see tensorboard.h */
#include "tensorboard.h"

#include <string.h>

#define CRC_POLYNOMIAL 0x82F63B78u /* Castagnoli's, bits reversed */
#define CRC_MASK_DELTA 0xA282EAD8u

/*  Keys of protobuf fields: number << 3 | wire type. */
enum {
    EVENT_WALL_TIME = 1 << 3 | 1,
    EVENT_STEP = 2 << 3 | 0,
    EVENT_FILE_VERSION = 3 << 3 | 2,
    EVENT_SUMMARY = 5 << 3 | 2,
    SUMMARY_VALUE = 1 << 3 | 2,
    VALUE_TAG = 1 << 3 | 2,
    VALUE_SIMPLE = 2 << 3 | 5
};

uint32_t tensorboard_crc (const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? CRC_POLYNOMIAL : 0);
    }
    return ~crc;
}

uint32_t tensorboard_masked_crc (const void *data, size_t size)
{
    uint32_t crc = tensorboard_crc (data, size);
    return (crc >> 15 | crc << 17) + CRC_MASK_DELTA;
}

static void tensorboard_put_little (buf_t *bytes, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        buf_char (bytes, (char) (value >> 8 * i & 0xFF));
}

static void tensorboard_put_varint (buf_t *bytes, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        buf_char (bytes, (char) ((value & 0x7F) | 0x80));
    buf_char (bytes, (char) value);
}

static void tensorboard_put_bytes (buf_t *bytes, uint64_t key, const void *data, size_t size)
{
    tensorboard_put_varint (bytes, key);
    tensorboard_put_varint (bytes, size);
    buf_append (bytes, data, size);
}

static void tensorboard_put_time (buf_t *bytes, double time_s)
{
    uint64_t bits;
    memcpy (&bits, &time_s, sizeof bits);
    tensorboard_put_varint (bytes, EVENT_WALL_TIME);
    tensorboard_put_little (bytes, bits, sizeof bits);
}

static void tensorboard_put_scalar (buf_t *summary, const char *name, double value)
{
    float number = (float) value;
    uint32_t bits;
    memcpy (&bits, &number, sizeof bits);
    buf_t one = {0};
    tensorboard_put_bytes (&one, VALUE_TAG, name, strlen (name));
    tensorboard_put_varint (&one, VALUE_SIMPLE);
    tensorboard_put_little (&one, bits, sizeof bits);
    tensorboard_put_bytes (summary, SUMMARY_VALUE, one.data, one.size);
    buf_free (&one);
}

static void tensorboard_put_record (buf_t *bytes, buf_t *event)
{
    buf_t length = {0};
    tensorboard_put_little (&length, event->size, 8);
    buf_append (bytes, length.data, length.size);
    tensorboard_put_little (bytes, tensorboard_masked_crc (length.data, length.size), 4);
    buf_append (bytes, event->data, event->size);
    tensorboard_put_little (bytes, tensorboard_masked_crc (event->data, event->size), 4);
    buf_free (&length);
    buf_free (event);
}

void tensorboard_header (buf_t *bytes, double time_s)
{
    static const char version[] = "brain.Event:2";
    buf_t event = {0};
    tensorboard_put_time (&event, time_s);
    tensorboard_put_bytes (&event, EVENT_FILE_VERSION, version, sizeof version - 1);
    tensorboard_put_record (bytes, &event);
}

void tensorboard_scalars (buf_t *bytes, double time_s, uint64_t step, const char *const *names,
                          const double *values, size_t n)
{
    buf_t event = {0}, summary = {0};
    tensorboard_put_time (&event, time_s);
    tensorboard_put_varint (&event, EVENT_STEP);
    tensorboard_put_varint (&event, step);
    for (size_t i = 0; i < n; i++)
        tensorboard_put_scalar (&summary, names[i], values[i]);
    tensorboard_put_bytes (&event, EVENT_SUMMARY, summary.data, summary.size);
    tensorboard_put_record (bytes, &event);
    buf_free (&summary);
}

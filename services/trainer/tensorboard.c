/*  tensorboard - see tensorboard.h */
#include "tensorboard.h"

#include <string.h>

#include "base/crc.h"

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
    return crc_of (0, data, size);
}

uint32_t tensorboard_masked_crc (const void *data, size_t size)
{
    uint32_t crc = tensorboard_crc (data, size);
    return (crc >> 15 | crc << 17) + CRC_MASK_DELTA;
}

static void tensorboard_put_bytes (buf_t *bytes, uint64_t key, const void *data, size_t size)
{
    buf_varint (bytes, key);
    buf_varint (bytes, size);
    buf_append (bytes, data, size);
}

static void tensorboard_put_time (buf_t *bytes, double time_s)
{
    uint64_t bits;
    memcpy (&bits, &time_s, sizeof bits);
    buf_varint (bytes, EVENT_WALL_TIME);
    buf_little (bytes, bits, sizeof bits);
}

static void tensorboard_put_scalar (buf_t *summary, const char *name, double value)
{
    float number = (float) value;
    uint32_t bits;
    memcpy (&bits, &number, sizeof bits);
    buf_t one = {0};
    tensorboard_put_bytes (&one, VALUE_TAG, name, strlen (name));
    buf_varint (&one, VALUE_SIMPLE);
    buf_little (&one, bits, sizeof bits);
    tensorboard_put_bytes (summary, SUMMARY_VALUE, one.data, one.size);
    buf_free (&one);
}

static void tensorboard_put_record (buf_t *bytes, buf_t *event)
{
    buf_t length = {0};
    buf_little (&length, event->size, 8);
    buf_append (bytes, length.data, length.size);
    buf_little (bytes, tensorboard_masked_crc (length.data, length.size), 4);
    buf_append (bytes, event->data, event->size);
    buf_little (bytes, tensorboard_masked_crc (event->data, event->size), 4);
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
    buf_varint (&event, EVENT_STEP);
    buf_varint (&event, step);
    for (size_t i = 0; i < n; i++)
        tensorboard_put_scalar (&summary, names[i], values[i]);
    tensorboard_put_bytes (&event, EVENT_SUMMARY, summary.data, summary.size);
    tensorboard_put_record (bytes, &event);
    buf_free (&summary);
}

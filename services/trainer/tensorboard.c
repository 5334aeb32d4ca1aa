/*  tensorboard - see tensorboard.h */
#include "tensorboard.h"

#include <stdlib.h>
#include <string.h>

#include "base/crc.h"

/*  Of TFRecords (tensorflow/core/lib/hash/crc32c.h): a CRC that is stored in data which has a CRC
 *  again must not look like one. */
#define CRC_MASK_DELTA 0xA282EAD8u

/*  Keys of protobuf fields: number << 3 | wire type. */
enum {
    EVENT_WALL_TIME = 1 << 3 | 1,
    EVENT_STEP = 2 << 3 | 0,
    EVENT_FILE_VERSION = 3 << 3 | 2,
    EVENT_SUMMARY = 5 << 3 | 2,
    SUMMARY_VALUE = 1 << 3 | 2,
    VALUE_TAG = 1 << 3 | 2,
    VALUE_SIMPLE = 2 << 3 | 5,
    VALUE_TENSOR = 8 << 3 | 2,
    VALUE_METADATA = 9 << 3 | 2,
    METADATA_PLUGIN = 1 << 3 | 2,
    PLUGIN_NAME = 1 << 3 | 2,
    PLUGIN_CONTENT = 2 << 3 | 2,
    TENSOR_DTYPE = 1 << 3 | 0,
    TENSOR_SHAPE = 2 << 3 | 2,
    TENSOR_STRING = 8 << 3 | 2,
    SHAPE_DIM = 2 << 3 | 2,
    DIM_SIZE = 1 << 3 | 0,
    /* tensorboard/plugins/hparams/plugin_data.proto, and Value of struct.proto */
    HPARAMS_SESSION_START = 3 << 3 | 2,
    SESSION_HPARAMS = 1 << 3 | 2,
    SESSION_START_TIME = 5 << 3 | 1,
    ENTRY_KEY = 1 << 3 | 2,
    ENTRY_VALUE = 2 << 3 | 2,
    STRUCT_NUMBER = 2 << 3 | 1,
    STRUCT_STRING = 3 << 3 | 2
};

enum { TENSOR_FLOAT = 1, TENSOR_STRINGS = 7 }; /* tensorflow/core/framework/types.proto */

/*  Castagnoli's polynomial, which base/crc.h has; TFRecords take no other. */
uint32_t tensorboard_crc (const void *data, size_t size)
{
    return crc_of (0, data, size);
}

uint32_t tensorboard_masked_crc (const void *data, size_t size)
{
    uint32_t crc = tensorboard_crc (data, size);
    return (crc >> 15 | crc << 17) + CRC_MASK_DELTA;
}

/*  A length-delimited field: a text, bytes, or a message that was packed before. */
static void tensorboard_put_bytes (buf_t *bytes, uint64_t key, const void *data, size_t size)
{
    buf_varint (bytes, key);
    buf_varint (bytes, size);
    buf_append (bytes, data, size);
}

/*  The bits of a double, little-endian, whatever the machine: memcpy keeps clear of the aliasing
 *  rules. */
static void tensorboard_put_time (buf_t *bytes, double time_s)
{
    uint64_t bits;
    memcpy (&bits, &time_s, sizeof bits);
    buf_varint (bytes, EVENT_WALL_TIME);
    buf_little (bytes, bits, sizeof bits);
}

/*  simple_value is a float: 7 digits are enough for a curve, and the lines have the rest. The
 *  message is packed apart first, because its length stands before it. */
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

/*  The same for a field of any key: a time of the plugin, or a number among the settings. */
static void tensorboard_put_double (buf_t *bytes, uint64_t key, double value)
{
    uint64_t bits;
    memcpy (&bits, &value, sizeof bits);
    buf_varint (bytes, key);
    buf_little (bytes, bits, sizeof bits);
}

/*  Frames an event and frees it. The length has a CRC of its own, so that a reader never trusts a
 *  damaged one to find the next record. */
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

/*  The version that every event file of today begins with; it has no step and no summary. */
void tensorboard_header (buf_t *bytes, double time_s)
{
    /* The first record of a file: readers know the format by it. */
    static const char version[] = "brain.Event:2";
    buf_t event = {0};
    tensorboard_put_time (&event, time_s);
    tensorboard_put_bytes (&event, EVENT_FILE_VERSION, version, sizeof version - 1);
    tensorboard_put_record (bytes, &event);
}

/*  All numbers of a line in one event: they share its time and step, and the file stays small. */
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

/*  ---- values of plugins ---------------------------------------------------------------------- */

/*  A tensor of one string, or of no floats where text is NULL: a value must have one. */
static void tensorboard_put_tensor (buf_t *value, const char *text)
{
    buf_t tensor = {0}, shape = {0}, dim = {0};
    buf_varint (&tensor, TENSOR_DTYPE);
    buf_varint (&tensor, text ? TENSOR_STRINGS : TENSOR_FLOAT);
    buf_varint (&dim, DIM_SIZE);
    /* One string, or none: the size of the only dimension. */
    buf_varint (&dim, text != NULL);
    tensorboard_put_bytes (&shape, SHAPE_DIM, dim.data, dim.size);
    tensorboard_put_bytes (&tensor, TENSOR_SHAPE, shape.data, shape.size);
    if (text)
        tensorboard_put_bytes (&tensor, TENSOR_STRING, text, strlen (text));
    tensorboard_put_bytes (value, VALUE_TENSOR, tensor.data, tensor.size);
    buf_free (&tensor);
    buf_free (&shape);
    buf_free (&dim);
}

/*  One event whose value is a plugin's: which one stands in its metadata. */
static void tensorboard_put_plugin (buf_t *bytes, double time_s, uint64_t step, const char *tag,
                                    const char *plugin, const buf_t *content, const char *text)
{
    buf_t event = {0}, summary = {0}, value = {0}, metadata = {0}, data = {0};
    tensorboard_put_bytes (&data, PLUGIN_NAME, plugin, strlen (plugin));
    if (content)
        tensorboard_put_bytes (&data, PLUGIN_CONTENT, content->data, content->size);
    tensorboard_put_bytes (&metadata, METADATA_PLUGIN, data.data, data.size);
    tensorboard_put_bytes (&value, VALUE_TAG, tag, strlen (tag));
    tensorboard_put_tensor (&value, text);
    tensorboard_put_bytes (&value, VALUE_METADATA, metadata.data, metadata.size);
    tensorboard_put_bytes (&summary, SUMMARY_VALUE, value.data, value.size);
    tensorboard_put_time (&event, time_s);
    buf_varint (&event, EVENT_STEP);
    buf_varint (&event, step);
    tensorboard_put_bytes (&event, EVENT_SUMMARY, summary.data, summary.size);
    tensorboard_put_record (bytes, &event);
    buf_free (&summary);
    buf_free (&value);
    buf_free (&metadata);
    buf_free (&data);
}

/*  The text lies in the tensor; the plugin's name in the metadata sends it to the Text tab. */
void tensorboard_text (buf_t *bytes, double time_s, uint64_t step, const char *tag,
                       const char *text)
{
    tensorboard_put_plugin (bytes, time_s, step, tag, "text", NULL, text);
}

/*  An entry of a map: protobuf packs maps as lists of messages with a key and a value. */
static void tensorboard_put_setting (buf_t *session, const tensorboard_setting_t *setting)
{
    buf_t entry = {0}, value = {0};
    char *end;
    double number = strtod (setting->value, &end);
    /* All of it must be a number: "3 of 4" is a text. What is empty would pass for 0. */
    if (*setting->value && *end == 0)
        tensorboard_put_double (&value, STRUCT_NUMBER, number);
    else
        tensorboard_put_bytes (&value, STRUCT_STRING, setting->value, strlen (setting->value));
    tensorboard_put_bytes (&entry, ENTRY_KEY, setting->name, strlen (setting->name));
    tensorboard_put_bytes (&entry, ENTRY_VALUE, value.data, value.size);
    tensorboard_put_bytes (session, SESSION_HPARAMS, entry.data, entry.size);
    buf_free (&entry);
    buf_free (&value);
}

/*  The tag and the plugin's name are what the HParams tab looks for; the values stand in the
 *  plugin's own message, so the tensor is an empty one. */
void tensorboard_settings (buf_t *bytes, double time_s, const tensorboard_setting_t *settings,
                           size_t n)
{
    buf_t content = {0}, session = {0};
    for (size_t i = 0; i < n; i++)
        tensorboard_put_setting (&session, &settings[i]);
    tensorboard_put_double (&session, SESSION_START_TIME, time_s);
    tensorboard_put_bytes (&content, HPARAMS_SESSION_START, session.data, session.size);
    tensorboard_put_plugin (bytes, time_s, 0, "_hparams_/session_start_info", "hparams", &content,
                            NULL);
    buf_free (&session);
    buf_free (&content);
}

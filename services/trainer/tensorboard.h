/*  tensorboard - curves, texts and settings as a TensorBoard event file.
 *
 *      tensorboard_header (&bytes, time_s);                     once, at the beginning of the file
 *      tensorboard_scalars (&bytes, time_s, step, names, values, n);
 *      tensorboard_text (&bytes, time_s, step, "completions/aux", text);
 *
 *  A file is a list of TFRecords (length, masked CRC-32C of it, data, masked CRC-32C of that),
 *  each with one Event message of tensorflow/core/util/event.proto: wall_time = 1, step = 2,
 *  file_version = 3, summary = 5 { value = 1 { tag = 1, simple_value = 2, tensor = 8,
 *  metadata = 9 { plugin_data = 1 { plugin_name = 1, content = 2 } } } }.
 */
#ifndef QUINTET_TRAINER_TENSORBOARD_H
#define QUINTET_TRAINER_TENSORBOARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

void tensorboard_header (buf_t *bytes, double time_s);
/*  One event with n scalars. */
void tensorboard_scalars (buf_t *bytes, double time_s, uint64_t step, const char *const *names,
                          const double *values, size_t n);

/*  One text, in Markdown. */
void tensorboard_text (buf_t *bytes, double time_s, uint64_t step, const char *tag,
                       const char *text);
/*  A setting of a run for the HParams tab. */
typedef struct {
    const char *name, *value;
} tensorboard_setting_t;
/*  A number as such, anything else as a text. */
void tensorboard_settings (buf_t *bytes, double time_s, const tensorboard_setting_t *settings,
                           size_t n);

/*  CRC-32C (Castagnoli), and the mask that TFRecords put on it. */
uint32_t tensorboard_crc (const void *data, size_t size);
uint32_t tensorboard_masked_crc (const void *data, size_t size);

#endif

/*  peft_internal - the inside of the reader of adapters. Private to peft*.c.
 *
 *      peft_read_targets (json_object_get (root, "target_modules"), 0, &config, &err);
 */
#ifndef QUINTET_FORMATS_PEFT_INTERNAL_H
#define QUINTET_FORMATS_PEFT_INTERNAL_H

#include <jansson.h>

#include "base/err.h"
#include "formats/peft.h"

/*  Adds what target_modules means. In a model of that many layers (0: not known yet) every
 *  projection must be meant in all of them. */
int peft_read_targets (const json_t *targets, size_t layers, lora_config_t *config, err_t *err);

#endif

/*  peft_internal - the inside of the reader of adapters. Private to peft*.c.
 *
 *      peft_read_targets (json_object_get (root, "target_modules"), &config, &err);
 */
#ifndef QUINTET_FORMATS_PEFT_INTERNAL_H
#define QUINTET_FORMATS_PEFT_INTERNAL_H

#include <jansson.h>

#include "base/err.h"
#include "formats/peft.h"

/*  Adds what target_modules means. */
int peft_read_targets (const json_t *targets, lora_config_t *config, err_t *err);

#endif

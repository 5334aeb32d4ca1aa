/*  clean - what a model wrote, as JSON and C strings can carry it.
 *
 *      json_t *value = clean_text (text, size);
 *
 *  Models write any bytes.
 */
#ifndef QUINTET_TASK_CLEAN_H
#define QUINTET_TASK_CLEAN_H

#include <jansson.h>
#include <stddef.h>

/*  A new value: what is no UTF-8, and a byte 0, becomes U+FFFD. NULL: no memory. */
json_t *clean_text (const char *text, size_t size);

#endif

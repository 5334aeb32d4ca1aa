/*  texts - prompts and completions of a file: one JSON object a line.
 *
 *      texts_t *texts = texts_new ("texts.jsonl", &err);
 *      texts_get (texts, i, &prompt, &completion, &err);
 *      texts_destroy (&texts);
 *
 *  {"prompt": "...", "completion": "..."}; other members are none of ours.
 */
#ifndef QUINTET_CLI_TEXTS_H
#define QUINTET_CLI_TEXTS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

typedef struct texts texts_t;

/*  ERR_INPUT names file and line. */
texts_t *texts_new (const char *path, err_t *err);
void texts_destroy (texts_t **texts);
size_t texts_size (const texts_t *texts);
/*  Appends those of line `index`; behind the last one the first comes again. */
int texts_get (const texts_t *texts, uint64_t index, buf_t *prompt, buf_t *completion, err_t *err);

#endif

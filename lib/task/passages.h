/*  passages - what a team may look things up in: a folder of text files, or lines of JSON.
 *
 *      passages_t passages = {0};
 *      passages_read (&passages, "handbook", &err);
 *      for (size_t i = 0; i < passages.n; i++)
 *          show (passages.item[i].source, passages.item[i].text);
 *      passages_free (&passages);
 *
 *  A file of text is cut at its blank lines; a passage's source is "name:line" there, name being
 *  the path below the folder. A file whose name ends in .jsonl has {"text", "source"} per line, the
 *  second one may be missing. Files come in the order of their names, at any depth; hidden ones are
 *  left out.
 */
#ifndef QUINTET_TASK_PASSAGES_H
#define QUINTET_TASK_PASSAGES_H

#include <stddef.h>

#include "base/err.h"

#define PASSAGES_MAX       ((size_t) 1 << 20)
#define PASSAGES_BYTES_MAX ((size_t) 256 << 20)

typedef struct {
    char *source, *text; /* UTF-8, one line each */
} passage_t;

typedef struct {
    passage_t *item;
    size_t n, room, bytes;
} passages_t;

/*  Into an empty list. ERR_INPUT names file and line: no text, too much of it, or none at all. */
int passages_read (passages_t *passages, const char *path, err_t *err);
void passages_free (passages_t *passages);

#endif

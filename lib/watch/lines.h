/*  lines - files of JSON, one object per line, as runs write them.
 *
 *      lines_each ("runs/coding", "metrics.jsonl", take, &context);
 *      json_t *all = lines_all ("runs/coding", "history.jsonl");
 */
#ifndef QUINTET_WATCH_LINES_H
#define QUINTET_WATCH_LINES_H

#include <jansson.h>
#include <stddef.h>

/*  Lines that are no objects: how many, and the number of the first, from 1. */
typedef struct {
    size_t n, first;
} lines_passed_t;

/*  Lines that are objects, one by one, borrowed: a long run's need not be in memory together. */
lines_passed_t lines_each (const char *folder, const char *file,
                           void (*each) (void *context, json_t *line), void *context);
/*  The same as an array; empty when there is no such file. */
json_t *lines_all (const char *folder, const char *file);
/*  A string that JSON can carry, of words that may hold any bytes: paths, names of peers. */
json_t *lines_text (const char *text);

#endif

/*  tail - the last lines of something that is told and stands in no file.
 *
 *      tail_t tail = {.max = 1 << 20};
 *      tail_add (&tail, line);
 *      tail_free (&tail);
 *
 *  Bytes keep their number: what is forgotten raises `first`.
 */
#ifndef QUINTET_MONITOR_TAIL_H
#define QUINTET_MONITOR_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *data;
    size_t size, max;
    uint64_t first; /* number of the first byte that is still there */
} tail_t;

/*  line: without its end. One that alone is over max is left out. */
void tail_add (tail_t *tail, const char *line);
/*  Leaves out lines; if any, those that stay have numbers that no byte had before. */
void tail_filter (tail_t *tail, bool (*stays) (void *context, const char *line, size_t n),
                  void *context);
void tail_free (tail_t *tail);

#endif

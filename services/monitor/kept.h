/*  kept - the last lines of something that is told and stands in no file.
 *
 *      kept_t kept = {.max = 1 << 20};
 *      kept_add (&kept, line);
 *      kept_free (&kept);
 *
 *  Bytes keep their number: what is forgotten raises `first`.
 */
#ifndef QUINTET_MONITOR_KEPT_H
#define QUINTET_MONITOR_KEPT_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *data;
    size_t size, max;
    uint64_t first; /* number of the first byte that is still there */
} kept_t;

/*  line: without its end. One that alone is over max is left out. */
void kept_add (kept_t *kept, const char *line);
void kept_free (kept_t *kept);

#endif

/*  window - some whole lines of a file that grows, or of what is kept of one.
 *
 *      window_t window = {.from = 4096};
 *      window_read_file (fd, size, &window);
 *      buf_free (&window.text);
 */
#ifndef QUINTET_MONITOR_WINDOW_H
#define QUINTET_MONITOR_WINDOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "tail.h"

#define WINDOW_MAX  ((size_t) 2 << 20) /* bytes, if no line is longer */
#define WINDOW_LINE ((size_t) 16 << 20)

typedef struct {
    buf_t text;
    uint64_t from, next; /* number of the first byte, and of what follows the last */
    bool more;           /* there was more than a window */
    bool again;          /* no line begins at `from`: the file is another one, and begins anew */
} window_t;

/*  A line without its end, which may hold any bytes. */
typedef struct {
    const char *text;
    size_t n, number; /* in the window, from 1 */
    uint64_t at;      /* number of its first byte */
} window_line_t;

/*  From window->from on. size: of the file. A line longer than a window is read in full, up to
 *  WINDOW_LINE; one that is longer still is passed over. */
void window_read_file (int fd, uint64_t size, window_t *window);
void window_read_tail (const tail_t *tail, window_t *window);
/*  The next line, of {0} the first. False: there is none. */
bool window_line (const window_t *window, window_line_t *line);
/*  The line as an object, the caller's; NULL: it is none. */
json_t *window_object (const window_line_t *line);

#endif

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
#include "kept.h"

#define WINDOW_MAX  ((size_t) 2 << 20) /* bytes, if no line is longer */
#define WINDOW_LINE ((size_t) 16 << 20)

typedef struct {
    buf_t text;
    uint64_t from, next; /* number of the first byte, and of what follows the last */
    bool more;           /* there was more than a window */
    bool again;          /* no line begins at `from`: the file is another one, and begins anew */
} window_t;

/*  From window->from on. size: of the file. A line longer than a window is read in full, up to
 *  WINDOW_LINE; one that is longer still is passed over. */
void window_read_file (int fd, uint64_t size, window_t *window);
void window_read_kept (const kept_t *kept, window_t *window);
/*  Calls each for every line that is an object, once: the text is cut up. at: the number of its
 *  first byte. */
void window_each (window_t *window, void (*each) (void *context, json_t *line, uint64_t at),
                  void *context);

#endif

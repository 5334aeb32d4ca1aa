/*  pages - memory for what is large.
 *
 *      float *activations = pages_alloc (bytes);
 *      free (activations);
 *
 *  From some megabytes on it is of huge pages: touching it for the first time then takes a third
 *  of the time.
 */
#ifndef QUINTET_BASE_PAGES_H
#define QUINTET_BASE_PAGES_H

#include <stddef.h>

/*  At least size bytes, aligned to a cache line, of any content; the caller frees. NULL: no
 *  memory. */
void *pages_alloc (size_t size);

#endif

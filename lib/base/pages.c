/*  pages - see pages.h */
#include "base/pages.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define CACHE_LINE ((size_t) 64)
#define HUGE_PAGE  ((size_t) 2 << 20)

/*  Below 4 MB a huge page would waste more than it saves. */
void *pages_alloc (size_t size)
{
    size_t unit = size < 2 * HUGE_PAGE ? CACHE_LINE : HUGE_PAGE;
    if (size > SIZE_MAX - unit)
        return NULL;
    size_t whole = size ? (size + unit - 1) / unit * unit : unit;
    void *memory = aligned_alloc (unit, whole);
    if (memory && unit == HUGE_PAGE)
        madvise (memory, whole, MADV_HUGEPAGE);
    return memory;
}

/*  panels - finds the set that belongs to the kernels in use; see panels.h */
#include "model/panels.h"

#include <string.h>

extern const panels_t panels_plain;
#if defined(__x86_64__)
extern const panels_t panels_avx512, panels_avx2;
#endif

const panels_t *panels_for (const kernels_t *kernels)
{
#if defined(__x86_64__)
    if (strncmp (kernels->name, "avx512", strlen ("avx512")) == 0)
        return &panels_avx512;
    if (strcmp (kernels->name, "avx2") == 0)
        return &panels_avx2;
#endif
    (void) kernels;
    return &panels_plain;
}

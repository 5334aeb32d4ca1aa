/*  backward - finds the set that belongs to the kernels in use; see backward.h */
#include "model/backward.h"

#include <string.h>

extern const backward_t backward_plain;
#if defined(__x86_64__)
extern const backward_t backward_avx512, backward_avx2;
#endif

const backward_t *backward_for (const kernels_t *kernels)
{
#if defined(__x86_64__)
    if (strncmp (kernels->name, "avx512", strlen ("avx512")) == 0)
        return &backward_avx512;
    if (strcmp (kernels->name, "avx2") == 0)
        return &backward_avx2;
#endif
    (void) kernels;
    return &backward_plain;
}

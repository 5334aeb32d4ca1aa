/*  register - one vector register of the instruction set, for files named *.isa.c whose loops are
 *  written for the register file; everything else takes the sixteen floats of vector.h.
 *
 *      reg_t sum = reg_load (p) + reg_load (p + LANES);
 *      reg_store (p, sum);
 */
#ifndef QUINTET_KERNELS_REGISTER_H
#define QUINTET_KERNELS_REGISTER_H

#include "kernels/vector.h"

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif
typedef float reg_t __attribute__ ((vector_size (4 * LANES)));

V16_INLINE reg_t reg_load (const float *p)
{
    reg_t r;
    memcpy (&r, p, sizeof r);
    return r;
}

V16_INLINE void reg_store (float *p, reg_t r)
{
    memcpy (p, &r, sizeof r);
}

#endif

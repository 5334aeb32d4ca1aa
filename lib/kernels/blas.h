/*  blas - products by OpenBLAS, for CPUs that none of the other kernels knows (arm64, old x86).
 *
 *      const kernels_t *k = blas_kernels ();              NULL: it kept no promise of kernels.h
 *
 *  Everything but the two products of the forward pass is that of the plain kernels. The name says
 *  whose bits these are, since OpenBLAS picks its own kernels by CPU: "blas:0.3.21-Nehalem".
 */
#ifndef QUINTET_KERNELS_BLAS_H
#define QUINTET_KERNELS_BLAS_H

#include "kernels/kernels.h"

/*  The kernels, after the library was loaded and checked at first use (some milliseconds); NULL
 *  when that failed. */
const kernels_t *blas_kernels (void);

/*  Why there are none, for people; "" when there are. */
const char *blas_missing (void);

/*  Rows per call, largest first, that gave every row the same bits wherever it stood; 0 ends. */
const size_t *blas_block_rows (void);

#endif

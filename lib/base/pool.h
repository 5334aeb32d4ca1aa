/*  pool - a fixed set of threads for data-parallel loops.
 *
 *      pool_t *pool = pool_new (2);
 *      pool_run (pool, piece, context, n_pieces);     piece (context, i, thread) for i in 0..n-1
 *      pool_destroy (&pool);
 *
 *  Pieces are handed out in order to whichever thread is free: results must not depend on who did
 *  what. The calling thread works too; a pool of one has no thread of its own.
 */
#ifndef QUINTET_BASE_POOL_H
#define QUINTET_BASE_POOL_H

#include <stddef.h>

typedef struct pool pool_t;
typedef void (*pool_fn) (void *context, size_t index, size_t thread);

/*  threads >= 1, the caller included. NULL when memory or threads ran out. */
pool_t *pool_new (size_t threads);
void pool_destroy (pool_t **pool);
size_t pool_threads (const pool_t *pool); /* 1 for NULL */
/*  Returns when all pieces are done. Not reentrant. A NULL pool runs everything in the caller. */
void pool_run (pool_t *pool, pool_fn fn, void *context, size_t n);

#endif

/*  arena - memory with one budget and one end: for decoding what comes from the network.
 *
 *      arena_t *arena = arena_new (1 << 20);
 *      void *p = arena_alloc (arena, size);           NULL once the budget is spent
 *      arena_reset (arena);                            everything allocated is gone; memory is kept
 *      arena_destroy (&arena);
 */
#ifndef QUINTET_BASE_ARENA_H
#define QUINTET_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

typedef struct arena arena_t;

arena_t *arena_new (size_t budget);
void arena_destroy (arena_t **arena);
/*  Aligned to 16 bytes, not cleared. */
void *arena_alloc (arena_t *arena, size_t size);
void arena_reset (arena_t *arena);
/*  Whether the machine had no memory at some time; an allocation that fails otherwise would pass
 *  the budget. */
bool arena_starved (const arena_t *arena);

#endif

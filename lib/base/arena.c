/*  arena - see arena.h */
#include "base/arena.h"

#include <stdlib.h>

#define ARENA_BLOCK_MIN 4096

/*  Memory is handed out from blocks, each twice as large as the one before, so that an arena of any
 *  budget needs few of them. Only the newest has room. */
typedef struct block {
    struct block *next;
    size_t size;
    size_t used;
    _Alignas(16) char data[];
} block_t;

struct arena {
    size_t budget;
    size_t used;    /* over all blocks, since the last reset */
    block_t *first; /* newest first */
    bool starved;
};

arena_t *arena_new (size_t budget)
{
    arena_t *arena = calloc (1, sizeof *arena);
    if (arena)
        arena->budget = budget;
    return arena;
}

void arena_destroy (arena_t **arena)
{
    if (!*arena)
        return;
    for (block_t *b = (*arena)->first, *next; b; b = next) {
        next = b->next;
        free (b);
    }
    free (*arena);
    *arena = NULL;
}

static block_t *arena_grow (arena_t *arena, size_t size)
{
    size_t last = arena->first ? arena->first->size : ARENA_BLOCK_MIN / 2;
    size_t wanted = last < arena->budget / 2 ? last * 2 : arena->budget;
    /* One request may be larger than the next block would be; the budget has allowed it. */
    if (wanted < size)
        wanted = size;
    block_t *b = malloc (sizeof *b + wanted);
    if (!b) {
        arena->starved = true;
        return NULL;
    }
    *b = (block_t){.next = arena->first, .size = wanted};
    arena->first = b;
    return b;
}

/*  The budget is what a peer's message may make us allocate; it is counted in what is asked for,
 *  rounded to 16 bytes. NULL may mean a budget that is spent, or a machine without memory:
 *  arena_starved tells them apart. */
void *arena_alloc (arena_t *arena, size_t size)
{
    /* Before rounding up, which would wrap around for the largest sizes. */
    if (size > arena->budget)
        return NULL;
    /* Aligned for whatever is put there, vectors included. */
    size = (size + 15) & ~(size_t) 15;
    if (size > arena->budget || arena->used > arena->budget - size)
        return NULL;
    block_t *b = arena->first;
    if (!b || b->size - b->used < size)
        b = arena_grow (arena, size);
    if (!b)
        return NULL;
    void *p = b->data + b->used;
    b->used += size;
    arena->used += size;
    return p;
}

/*  Keeps the newest block, which is the largest: the next message of the same kind needs no
 *  malloc. */
void arena_reset (arena_t *arena)
{
    if (arena->first) {
        for (block_t *b = arena->first->next, *next; b; b = next) {
            next = b->next;
            free (b);
        }
        arena->first->next = NULL;
        arena->first->used = 0;
    }
    arena->used = 0;
}

bool arena_starved (const arena_t *arena)
{
    return arena->starved;
}

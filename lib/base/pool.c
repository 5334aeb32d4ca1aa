/*  pool - see pool.h
 *
 *  A run bumps `round` under the lock and wakes the threads; pieces are drawn from an atomic
 *  counter. Threads spin briefly before they sleep, since the loops of one decode step follow each
 *  other within microseconds.
 *
 *  A round, from the caller's side (C) and a worker's (W):
 *
 *      C  writes fn, context, n; busy = threads - 1; next = 0; round + 1
 *      W  sees the new round, draws pieces from next until there are none, busy - 1
 *      C  draws pieces as well, then waits until busy is 0
 *
 *  Every worker takes part in every round, if only to find that all pieces are drawn. So no worker
 *  can still be in round r when round r + 1 is written.
 */
#include "base/pool.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#define POOL_SPINS 2000

typedef struct {
    struct pool *pool;
    pthread_t thread;
    size_t index;
} worker_t;

struct pool {
    size_t threads;
    worker_t *workers; /* threads - 1 of them */
    size_t started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_size_t round; /* changes when there is work */
    atomic_bool stop;
    atomic_size_t next; /* piece to hand out */
    atomic_size_t busy; /* workers that have not finished this round */
    size_t n;
    pool_fn fn;
    void *context;
};

/*  A hint for the processor that this is a wait: the other thread of its core runs faster. */
static void pool_pause (void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause ();
#endif
}

/*  Whoever is free takes the next piece: uneven pieces keep all threads at work. */
static void pool_draw (pool_t *pool, size_t thread)
{
    for (size_t i; (i = atomic_fetch_add (&pool->next, 1)) < pool->n;)
        pool->fn (pool->context, i, thread);
}

/*  `round` is looked at again under the lock, under which it changes: no wake-up is missed between
 *  the last look and the wait. */
static void pool_await_round (pool_t *pool, size_t seen)
{
    for (int spin = 0; spin < POOL_SPINS; spin++) {
        if (atomic_load (&pool->round) != seen)
            return;
        pool_pause ();
    }
    pthread_mutex_lock (&pool->lock);
    while (atomic_load (&pool->round) == seen)
        pthread_cond_wait (&pool->wake, &pool->lock);
    pthread_mutex_unlock (&pool->lock);
}

/*  A thread sees each round exactly once: pool_run waits for all of them before it can begin
 *  another. */
static void *pool_work (void *arg)
{
    worker_t *self = arg;
    pool_t *pool = self->pool;
    for (size_t seen = 0;;) {
        pool_await_round (pool, seen);
        seen = atomic_load (&pool->round);
        if (atomic_load (&pool->stop))
            return NULL;
        pool_draw (pool, self->index);
        atomic_fetch_sub (&pool->busy, 1);
    }
}

/*  Under the lock: a worker that has just looked and is about to wait must not miss it. */
static void pool_begin_round (pool_t *pool)
{
    pthread_mutex_lock (&pool->lock);
    atomic_fetch_add (&pool->round, 1);
    pthread_cond_broadcast (&pool->wake);
    pthread_mutex_unlock (&pool->lock);
}

pool_t *pool_new (size_t threads)
{
    pool_t *pool = calloc (1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->threads = threads < 1 ? 1 : threads;
    pthread_mutex_init (&pool->lock, NULL);
    pthread_cond_init (&pool->wake, NULL);
    pool->workers = calloc (pool->threads, sizeof *pool->workers);
    if (!pool->workers) {
        pool_destroy (&pool);
        return NULL;
    }
    for (; pool->started < pool->threads - 1; pool->started++) {
        worker_t *w = &pool->workers[pool->started];
        *w = (worker_t){.pool = pool, .index = pool->started + 1};
        if (pthread_create (&w->thread, NULL, pool_work, w) != 0) {
            pool_destroy (&pool);
            return NULL;
        }
    }
    return pool;
}

void pool_destroy (pool_t **self)
{
    pool_t *pool = *self;
    if (!pool)
        return;
    atomic_store (&pool->stop, true);
    /* As if there were work: whoever sleeps must see that it is the end. */
    pool_begin_round (pool);
    for (size_t i = 0; i < pool->started; i++)
        pthread_join (pool->workers[i].thread, NULL);
    pthread_cond_destroy (&pool->wake);
    pthread_mutex_destroy (&pool->lock);
    free (pool->workers);
    free (pool);
    *self = NULL;
}

/*  Without a pool the caller computes alone. */
size_t pool_threads (const pool_t *pool)
{
    return pool ? pool->threads : 1;
}

/*  The fields are written before `round` changes, which is what makes them visible to the threads.
 *  The wait at the end is for threads that are in a piece; all pieces have been drawn by then. */
void pool_run (pool_t *pool, pool_fn fn, void *context, size_t n)
{
    /* Nothing to share. Pieces do not depend on the number of threads, and so results do not
       either. */
    if (!pool || pool->threads == 1 || n <= 1) {
        for (size_t i = 0; i < n; i++)
            fn (context, i, 0);
        return;
    }
    assert (atomic_load (&pool->busy) == 0); /* or somebody else runs something on it */
    pool->fn = fn;
    pool->context = context;
    pool->n = n;
    atomic_store (&pool->busy, pool->threads - 1);
    atomic_store (&pool->next, 0);
    pool_begin_round (pool);
    pool_draw (pool, 0);
    for (int spin = 0; atomic_load (&pool->busy) != 0; spin++)
        if (spin < POOL_SPINS)
            pool_pause ();
        else
            sched_yield ();
}

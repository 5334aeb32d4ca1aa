/*  clock - see clock.h */
#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t clock_ahead_us; /* how far tests set it forward */

int64_t clock_us (void)
{
    struct timespec now;
    clock_gettime (CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000 +
           atomic_load_explicit (&clock_ahead_us, memory_order_relaxed);
}

int64_t clock_ms (void)
{
    return clock_us () / 1000;
}

double clock_s (void)
{
    return (double) clock_us () * 1e-6;
}

int64_t clock_left_ms (int64_t deadline_ms)
{
    int64_t left = deadline_ms - clock_ms ();
    return left > 0 ? left : 0;
}

void clock_forward (int64_t ms)
{
    atomic_fetch_add (&clock_ahead_us, ms * 1000);
}

void clock_sleep_ms (int64_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
    nanosleep (&t, NULL);
}

/*  clock - monotonic time; deadlines are points of it, never wall-clock times.
 *
 *      int64_t deadline_ms = clock_ms () + 5000;
 *      while (!answered (wait_for, clock_left_ms (deadline_ms)) && clock_left_ms (deadline_ms) > 0)
 *          ...
 */
#ifndef QUINTET_BASE_CLOCK_H
#define QUINTET_BASE_CLOCK_H

#include <stdint.h>

/*  Since an arbitrary start. */
int64_t clock_us (void);
int64_t clock_ms (void);
double clock_s (void);

/*  Milliseconds left until a point of clock_ms, at least 0. */
int64_t clock_left_ms (int64_t deadline_ms);

/*  For tests: sets the clock forward, for all threads. What waits for a deadline notices when it
 *  next looks. */
void clock_forward (int64_t ms);

/*  Sleeps, for back-off between tries; wakes early on a signal. */
void clock_sleep_ms (int64_t ms);

#endif

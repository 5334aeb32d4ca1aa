/*  rng - counter-based random numbers: a pure function of coordinates, never of call order.
 *
 *      uint64_t key = rng_key ((uint64_t[]){seed, phase, step, group, episode, role, turn}, 7);
 *      float u = rng_uniform (key, position);
 *
 *  Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section
 *  4).
 */
#ifndef QUINTET_BASE_RNG_H
#define QUINTET_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/*  Folds n coordinates, in order, into one key. */
uint64_t rng_key (const uint64_t *coordinates, size_t n);

/*  Random bits at a position of the stream that the key names. */
uint64_t rng_bits (uint64_t key, uint64_t position);

/*  Uniform in [0, 1): 24 bits, and 53 bits. */
float rng_uniform (uint64_t key, uint64_t position);
double rng_uniform_d (uint64_t key, uint64_t position);

/*  A stream, for generators that draw a varying number of values. */
typedef struct {
    uint64_t key;
    uint64_t position; /* of the next draw */
} rng_t;

uint64_t rng_next (rng_t *rng);
/*  Uniform integer in [0, n), n > 0, without bias. */
uint64_t rng_below (rng_t *rng, uint64_t n);
/*  Uniform in [0, 1). */
double rng_unit (rng_t *rng);
/*  Standard normal (Box-Muller). */
double rng_normal (rng_t *rng);

#endif

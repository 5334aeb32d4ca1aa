/*  rng - see rng.h */
#include "base/rng.h"

#include <math.h>

/*  Constants of Philox4x32 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3"). */
#define PHILOX_M0 0xD2511F53u
#define PHILOX_M1 0xCD9E8D57u
#define PHILOX_W0 0x9E3779B9u
#define PHILOX_W1 0xBB67AE85u

/*  The finalizer of SplitMix64 (Steele, Lea, Flood 2014): every input bit reaches every output
 *  bit. */
static uint64_t rng_mix (uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/*  Coordinates are mixed in one after the other: (1, 2) and (2, 1) give other keys. */
uint64_t rng_key (const uint64_t *coordinates, size_t n)
{
    uint64_t key = 0x243F6A8885A308D3u; /* digits of pi */
    for (size_t i = 0; i < n; i++)
        key = rng_mix (key * 0x9E3779B97F4A7C15u + coordinates[i] + 1);
    return key;
}

/*  Philox4x32 with 10 rounds; the position is the counter. The other two words of its output are
 *  not used. */
uint64_t rng_bits (uint64_t key, uint64_t position)
{
    uint32_t c0 = (uint32_t) position, c1 = (uint32_t) (position >> 32), c2 = 0, c3 = 0;
    uint32_t k0 = (uint32_t) key, k1 = (uint32_t) (key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t) PHILOX_M0 * c0, p1 = (uint64_t) PHILOX_M1 * c2;
        c0 = (uint32_t) (p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t) p1;
        c2 = (uint32_t) (p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t) p0;
        k0 += PHILOX_W0;
        k1 += PHILOX_W1;
    }
    return (uint64_t) c1 << 32 | c0;
}

/*  The 24 bits that a float holds: every value is in [0, 1), and 1 never comes by rounding. */
float rng_uniform (uint64_t key, uint64_t position)
{
    return (float) (rng_bits (key, position) >> 40) * 0x1p-24f;
}

double rng_uniform_d (uint64_t key, uint64_t position)
{
    return (double) (rng_bits (key, position) >> 11) * 0x1p-53;
}

/*  A stream is a key and a counter: two numbers say where it stands. */
uint64_t rng_next (rng_t *rng)
{
    return rng_bits (rng->key, rng->position++);
}

uint64_t rng_below (rng_t *rng, uint64_t n)
{
    uint64_t reject = -n % n; /* 2^64 mod n: values below it would favour small results */
    uint64_t x;
    do
        x = rng_next (rng);
    while (x < reject);
    return x % n;
}

/*  53 bits, as many as a double's mantissa has. */
double rng_unit (rng_t *rng)
{
    return (double) (rng_next (rng) >> 11) * 0x1p-53;
}

/*  Box and Muller 1958; 1 - u is in (0, 1], so that the logarithm is finite. */
double rng_normal (rng_t *rng)
{
    double u = 1.0 - rng_unit (rng), v = rng_unit (rng);
    return sqrt (-2.0 * log (u)) * cos (6.283185307179586 * v);
}

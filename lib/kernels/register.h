/*  register - one vector register of the instruction set: for loops that are written for the
 *  register file, and for what the compiler does well with a register and badly with several.
 *
 *      reg_t sum = reg_load (p) + reg_load (p + LANES);
 *      reg_store (p, reg_exp (sum));
 *
 *  Include it in files named *.isa.c only. Everything else there takes the sixteen floats of
 *  vector.h.
 */
#ifndef QUINTET_KERNELS_REGISTER_H
#define QUINTET_KERNELS_REGISTER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif
typedef float reg_t __attribute__ ((vector_size (4 * LANES)));
typedef int32_t reg_int_t __attribute__ ((vector_size (4 * LANES)));
typedef uint32_t reg_bits_t __attribute__ ((vector_size (4 * LANES)));

#define V16_INLINE static inline __attribute__ ((always_inline, unused))

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

/*  The first n <= LANES lanes; the others get 0. */
V16_INLINE reg_t reg_load_n (const float *p, size_t n)
{
#if defined(__AVX512F__)
    return (reg_t) _mm512_maskz_loadu_ps ((__mmask16) ((1u << n) - 1), p);
#else
    float lanes[LANES] = {0};
    memcpy (lanes, p, n * sizeof *p);
    return reg_load (lanes);
#endif
}

V16_INLINE void reg_store_n (float *p, reg_t r, size_t n)
{
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps (p, (__mmask16) ((1u << n) - 1), (__m512) r);
#else
    float lanes[LANES];
    reg_store (lanes, r);
    memcpy (p, lanes, n * sizeof *p);
#endif
}

V16_INLINE reg_t reg_set (float x)
{
    return x - (reg_t){0}; /* keeps the sign of a zero */
}

/*  Lane i is lane of[i] of a, or of b when that is LANES or more; a and b are of one type. */
#if defined(__clang__)
V16_INLINE reg_int_t reg_shuffle_bits (reg_int_t a, reg_int_t b, reg_int_t of)
{
    reg_int_t r;
    for (int i = 0; i < LANES; i++)
        r[i] = of[i] & LANES ? b[of[i] % LANES] : a[of[i] % LANES];
    return r;
}
#define reg_shuffle(a, b, of)                                                                      \
    ((__typeof__ (a)) reg_shuffle_bits ((reg_int_t) (a), (reg_int_t) (b), of))
#else
#define reg_shuffle(a, b, of) __builtin_shuffle (a, b, of)
#endif

/*  Lane by lane where mask is all ones a, else b. */
V16_INLINE reg_t reg_pick (reg_int_t mask, reg_t a, reg_t b)
{
    return (reg_t) (((reg_int_t) a & mask) | ((reg_int_t) b & ~mask));
}

/*  The compiler does not see maxps in a comparison and a pick. */
V16_INLINE reg_t reg_max (reg_t a, reg_t b)
{
#if defined(__AVX512F__)
    return (reg_t) _mm512_max_ps ((__m512) a, (__m512) b);
#elif defined(__AVX2__)
    return (reg_t) _mm256_max_ps ((__m256) a, (__m256) b);
#else
    return reg_pick (a > b, a, b);
#endif
}

V16_INLINE reg_t reg_min (reg_t a, reg_t b)
{
#if defined(__AVX512F__)
    return (reg_t) _mm512_min_ps ((__m512) a, (__m512) b);
#elif defined(__AVX2__)
    return (reg_t) _mm256_min_ps ((__m256) a, (__m256) b);
#else
    return reg_pick (a < b, a, b);
#endif
}

/*  exp within 1.1 ulp. Below -87 it is 0 (no denormal numbers), above 88 it stays at exp (88). 2^n
 *  * e^r with n = round (x / ln 2), |r| <= ln 2 / 2; ln 2 in two parts (Cody and Waite), e^r by a
 *  polynomial of degree 6 (Cephes, expf). */
V16_INLINE reg_t reg_exp (reg_t x)
{
    const reg_t magic = reg_set (12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    reg_int_t tiny = x < reg_set (-87.0f);
    x = reg_min (reg_max (x, reg_set (-87.0f)), reg_set (88.0f));
    reg_t shifted = x * reg_set (1.44269504088896341f) + magic;
    reg_t n = shifted - magic;
    reg_t r = x - n * reg_set (0.693359375f);
    r = r - n * reg_set (-2.12194440e-4f);
    reg_t p = reg_set (1.9875691500e-4f);
    p = p * r + reg_set (1.3981999507e-3f);
    p = p * r + reg_set (8.3334519073e-3f);
    p = p * r + reg_set (4.1665795894e-2f);
    p = p * r + reg_set (1.6666665459e-1f);
    p = p * r + reg_set (5.0000001201e-1f);
    p = p * (r * r) + r + reg_set (1.0f);
    reg_int_t exponent = __builtin_convertvector(n, reg_int_t);
    reg_t scaled = (reg_t) ((reg_int_t) p + (exponent << 23));
    return reg_pick (tiny, reg_set (0), scaled);
}

/*  To bfloat16, nearest, ties to even (finite values): in the upper half of each lane. */
V16_INLINE reg_bits_t reg_round (reg_t x)
{
    reg_bits_t bits = (reg_bits_t) x;
    return bits + 0x7fffu + ((bits >> 16) & 1u);
}

#endif

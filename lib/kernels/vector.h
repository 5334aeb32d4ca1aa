/*  vector - sixteen floats at a time, for files named *.isa.c, which are compiled once for every
 *  instruction set: one register with AVX-512, two with AVX2, four with SSE2 or NEON.
 *
 *      v16f x = v16_load (p), y = v16_exp (x);
 *      float sum = v16_sum (y);                           always the same tree of additions
 *
 *  Include it in *.isa.c files only. Sums over rows run over lanes and then over a fixed tree, so
 *  that a result depends on the data alone.
 */
#ifndef QUINTET_KERNELS_VECTOR_H
#define QUINTET_KERNELS_VECTOR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

typedef float v16f __attribute__ ((vector_size (64)));
typedef int32_t v16i __attribute__ ((vector_size (64)));
typedef uint32_t v16u __attribute__ ((vector_size (64)));

#define V16        16
#define V16_INLINE static inline __attribute__ ((always_inline, unused))

V16_INLINE v16f v16_load (const float *p)
{
    v16f v;
    memcpy (&v, p, sizeof v);
    return v;
}

V16_INLINE void v16_store (float *p, v16f v)
{
    memcpy (p, &v, sizeof v);
}

/*  The first n <= 16 lanes; the others get fill. */
V16_INLINE v16f v16_load_n (const float *p, size_t n, float fill)
{
#if defined(__AVX512F__)
    return (v16f) _mm512_mask_loadu_ps (_mm512_set1_ps (fill), (__mmask16) ((1u << n) - 1), p);
#else
    float lanes[V16];
    for (size_t i = 0; i < V16; i++)
        lanes[i] = i < n ? p[i] : fill;
    return v16_load (lanes);
#endif
}

V16_INLINE void v16_store_n (float *p, v16f v, size_t n)
{
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps (p, (__mmask16) ((1u << n) - 1), (__m512) v);
#else
    float lanes[V16];
    v16_store (lanes, v);
    for (size_t i = 0; i < n; i++)
        p[i] = lanes[i];
#endif
}

V16_INLINE v16f v16_set (float x)
{
    return (v16f){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
}

V16_INLINE v16f v16_zero (void)
{
    return (v16f){0};
}

/*  Lane i is lane of[i] of a, or of b when that is 16 or more; a and b are of one type. */
#if defined(__clang__)
V16_INLINE v16i v16_shuffle_bits (v16i a, v16i b, v16i of)
{
    v16i r;
    for (int i = 0; i < V16; i++)
        r[i] = of[i] & V16 ? b[of[i] % V16] : a[of[i] % V16];
    return r;
}
#define v16_shuffle(a, b, of) ((__typeof__ (a)) v16_shuffle_bits ((v16i) (a), (v16i) (b), of))
#else
#define v16_shuffle(a, b, of) __builtin_shuffle (a, b, of)
#endif

/*  Lane by lane where mask is all ones a, else b. */
V16_INLINE v16f v16_pick (v16i mask, v16f a, v16f b)
{
    return (v16f) (((v16i) a & mask) | ((v16i) b & ~mask));
}

/*  The compiler does not see maxps in a comparison and a pick. */
V16_INLINE v16f v16_max (v16f a, v16f b)
{
#if defined(__AVX512F__)
    return (v16f) _mm512_max_ps ((__m512) a, (__m512) b);
#else
    return v16_pick (a > b, a, b);
#endif
}

V16_INLINE v16f v16_min (v16f a, v16f b)
{
#if defined(__AVX512F__)
    return (v16f) _mm512_min_ps ((__m512) a, (__m512) b);
#else
    return v16_pick (a < b, a, b);
#endif
}

V16_INLINE float v16_sum (v16f v)
{
    float a[V16];
    v16_store (a, v);
    for (size_t half = V16 / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            a[i] += a[i + half];
    return a[0];
}

V16_INLINE float v16_highest (v16f v)
{
    float a[V16];
    v16_store (a, v);
    for (size_t half = V16 / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            a[i] = a[i] > a[i + half] ? a[i] : a[i + half];
    return a[0];
}

/*  exp within 1.1 ulp. Below -87 it is 0 (no denormal numbers), above 88 it stays at exp (88). 2^n
 *  * e^r with n = round (x / ln 2), |r| <= ln 2 / 2; ln 2 in two parts (Cody and Waite), e^r by a
 *  polynomial of degree 6 (Cephes, expf). */
V16_INLINE v16f v16_exp (v16f x)
{
    const v16f magic = v16_set (12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    v16i tiny = x < v16_set (-87.0f);
    x = v16_min (v16_max (x, v16_set (-87.0f)), v16_set (88.0f));
    v16f shifted = x * v16_set (1.44269504088896341f) + magic;
    v16f n = shifted - magic;
    v16f r = x - n * v16_set (0.693359375f);
    r = r - n * v16_set (-2.12194440e-4f);
    v16f p = v16_set (1.9875691500e-4f);
    p = p * r + v16_set (1.3981999507e-3f);
    p = p * r + v16_set (8.3334519073e-3f);
    p = p * r + v16_set (4.1665795894e-2f);
    p = p * r + v16_set (1.6666665459e-1f);
    p = p * r + v16_set (5.0000001201e-1f);
    p = p * (r * r) + r + v16_set (1.0f);
    v16i exponent = __builtin_convertvector(n, v16i);
    v16f scaled = (v16f) ((v16i) p + (exponent << 23));
    return v16_pick (tiny, v16_zero (), scaled);
}

/*  1 / (1 + e^-x), the slope of which silu's backward needs as well. */
V16_INLINE v16f v16_sigmoid (v16f x)
{
    return v16_set (1.0f) / (v16_set (1.0f) + v16_exp (-x));
}

/*  To bfloat16, nearest, ties to even (finite values): in the upper half of each lane. */
V16_INLINE v16u v16_round (v16f x)
{
    v16u bits = (v16u) x;
    return bits + 0x7fffu + ((bits >> 16) & 1u);
}

#endif

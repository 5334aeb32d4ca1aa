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

#include "kernels/register.h"

typedef float v16f __attribute__ ((vector_size (64)));

#define V16 16

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

/*  What compares goes register by register: the compiler parts sums and products of several
 *  registers, but makes of their comparisons one for every lane. */
V16_INLINE v16f v16_max (v16f a, v16f b)
{
    reg_t x[V16 / LANES], y[V16 / LANES];
    memcpy (x, &a, sizeof a);
    memcpy (y, &b, sizeof b);
    for (size_t i = 0; i < V16 / LANES; i++)
        x[i] = reg_max (x[i], y[i]);
    memcpy (&a, x, sizeof a);
    return a;
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

/*  reg_exp in every lane. */
V16_INLINE v16f v16_exp (v16f x)
{
    reg_t part[V16 / LANES];
    memcpy (part, &x, sizeof x);
    for (size_t i = 0; i < V16 / LANES; i++)
        part[i] = reg_exp (part[i]);
    memcpy (&x, part, sizeof x);
    return x;
}

/*  1 / (1 + e^-x), the slope of which silu's backward needs as well. */
V16_INLINE v16f v16_sigmoid (v16f x)
{
    return v16_set (1.0f) / (v16_set (1.0f) + v16_exp (-x));
}

#endif

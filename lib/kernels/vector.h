/*  vector - sixteen floats at a time, for files named *.isa.c, which are compiled once for every
 *  instruction set: one register with AVX-512, two with AVX2, four with SSE2 or NEON.
 *
 *      v16f x = v16_load (p), y = v16_exp (v16_mul (x, x));
 *      float sum = v16_sum (y);                           always the same tree of additions
 *
 *  Include it in *.isa.c files only. Sums over rows run over lanes and then over a fixed tree, so
 *  that a result depends on the data alone.
 *
 *  A v16f is a struct of registers: a vector type longer than a register is kept in memory by the
 *  compiler (GCC 12), which then copies it in small pieces at every use.
 */
#ifndef QUINTET_KERNELS_VECTOR_H
#define QUINTET_KERNELS_VECTOR_H

#include "kernels/register.h"

#define V16 16
typedef struct {
    reg_t part[V16 / LANES];
} v16f;

#define V16_PARTS _Pragma ("GCC unroll 4") for (size_t i = 0; i < V16 / LANES; i++)

V16_INLINE v16f v16_load (const float *p)
{
    v16f v;
    V16_PARTS v.part[i] = reg_load (p + i * LANES);
    return v;
}

V16_INLINE void v16_store (float *p, v16f v)
{
    V16_PARTS reg_store (p + i * LANES, v.part[i]);
}

/*  The first n <= 16 lanes; the others get fill. */
V16_INLINE v16f v16_load_n (const float *p, size_t n, float fill)
{
#if defined(__AVX512F__)
    return (v16f){
        {(reg_t) _mm512_mask_loadu_ps (_mm512_set1_ps (fill), (__mmask16) ((1u << n) - 1), p)}};
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
    _mm512_mask_storeu_ps (p, (__mmask16) ((1u << n) - 1), (__m512) v.part[0]);
#else
    float lanes[V16];
    v16_store (lanes, v);
    for (size_t i = 0; i < n; i++)
        p[i] = lanes[i];
#endif
}

V16_INLINE v16f v16_set (float x)
{
    v16f v;
    V16_PARTS v.part[i] = reg_set (x);
    return v;
}

V16_INLINE v16f v16_zero (void)
{
    return v16_set (0);
}

V16_INLINE v16f v16_add (v16f a, v16f b)
{
    V16_PARTS a.part[i] = a.part[i] + b.part[i];
    return a;
}

V16_INLINE v16f v16_sub (v16f a, v16f b)
{
    V16_PARTS a.part[i] = a.part[i] - b.part[i];
    return a;
}

V16_INLINE v16f v16_mul (v16f a, v16f b)
{
    V16_PARTS a.part[i] = a.part[i] * b.part[i];
    return a;
}

/*  a b + c: one multiply-add where the CPU has it. */
V16_INLINE v16f v16_mul_add (v16f a, v16f b, v16f c)
{
    V16_PARTS a.part[i] = a.part[i] * b.part[i] + c.part[i];
    return a;
}

V16_INLINE v16f v16_max (v16f a, v16f b)
{
    V16_PARTS a.part[i] = reg_max (a.part[i], b.part[i]);
    return a;
}

/*  Lane i and lane i + 8, then i and i + 4, i + 2, i + 1: first whole registers, then the halves of
 *  what is left of them. */
V16_INLINE reg_t v16_other_half (reg_t r, int half)
{
    reg_int_t of;
    for (int l = 0; l < LANES; l++)
        of[l] = l ^ half;
    return reg_shuffle (r, r, of);
}

V16_INLINE float v16_sum (v16f v)
{
    for (size_t half = V16 / LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            v.part[i] += v.part[i + half];
    reg_t r = v.part[0];
    for (int half = LANES / 2; half > 0; half /= 2)
        r += v16_other_half (r, half);
    return r[0];
}

V16_INLINE float v16_highest (v16f v)
{
    for (size_t half = V16 / LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            v.part[i] = reg_max (v.part[i], v.part[i + half]);
    reg_t r = v.part[0];
    for (int half = LANES / 2; half > 0; half /= 2)
        r = reg_max (r, v16_other_half (r, half));
    return r[0];
}

/*  reg_exp in every lane. */
V16_INLINE v16f v16_exp (v16f x)
{
    V16_PARTS x.part[i] = reg_exp (x.part[i]);
    return x;
}

/*  1 / (1 + e^-x), the slope of which silu's backward needs as well. */
V16_INLINE reg_t reg_sigmoid (reg_t x)
{
    return reg_set (1) / (reg_set (1) + reg_exp (-x));
}

V16_INLINE v16f v16_sigmoid (v16f x)
{
    V16_PARTS x.part[i] = reg_sigmoid (x.part[i]);
    return x;
}

#endif

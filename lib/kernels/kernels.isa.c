/*  kernels - see kernels.h; this file is compiled once for every instruction set (ISA is its name)
 *
 *  The product works on tiles of up to TILE_ROWS rows by two registers of outputs, whose
 *  accumulators fill the register file. A tile walks over k from the first to the last, whatever
 *  its height: that is what makes a row's result independent of its neighbours.
 */
#include "kernels/kernels.h"

#include <math.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "kernels/vector.h"

#define PASTE_(a, b) a##b
#define PASTE(a, b)  PASTE_ (a, b)
#define TEXT_(a)     #a
#define TEXT(a)      TEXT_ (a)

/*  ---- products ---- */

/*  A tile keeps two registers of sums per row, and needs two more for the weights and one for the
 *  row's value. AVX-512 has 32 registers (12 rows use 24 + 2 + 1), AVX2 has 16 (6 rows: 12 + 2 +
 *  1); with SSE2 or NEON, 4 rows fit with room to spare. */
#if LANES == 16
#define TILE_ROWS 12
#elif LANES == 8
#define TILE_ROWS 6
#else
#define TILE_ROWS 4
#endif
typedef uint32_t bits_t __attribute__ ((vector_size (4 * LANES)));

V16_INLINE bits_t bits_load (const uint16_t *p)
{
    bits_t r;
    memcpy (&r, p, sizeof r);
    return r;
}

/*  A tile's loop has to be written out for each height, since only sums that have names of their
 *  own stay in registers: the compiler puts an array of them into memory. ROWS_n (X) writes X for
 *  rows 0 .. n - 1, HEIGHTS (X) makes one function for each height that a tile may have. */
#define ROWS_1(X)  X (0)
#define ROWS_2(X)  ROWS_1 (X) X (1)
#define ROWS_3(X)  ROWS_2 (X) X (2)
#define ROWS_4(X)  ROWS_3 (X) X (3)
#define ROWS_5(X)  ROWS_4 (X) X (4)
#define ROWS_6(X)  ROWS_5 (X) X (5)
#define ROWS_7(X)  ROWS_6 (X) X (6)
#define ROWS_8(X)  ROWS_7 (X) X (7)
#define ROWS_9(X)  ROWS_8 (X) X (8)
#define ROWS_10(X) ROWS_9 (X) X (9)
#define ROWS_11(X) ROWS_10 (X) X (10)
#define ROWS_12(X) ROWS_11 (X) X (11)

#if TILE_ROWS == 12
#define HEIGHTS(X) X (1) X (2) X (3) X (4) X (5) X (6) X (7) X (8) X (9) X (10) X (11) X (12)
#elif TILE_ROWS == 6
#define HEIGHTS(X) X (1) X (2) X (3) X (4) X (5) X (6)
#else
#define HEIGHTS(X) X (1) X (2) X (3) X (4)
#endif

#define PART ((size_t) (2 * LANES)) /* outputs of one tile; a panel has 32 / PART parts */

/*  out [height][PART] (rows out_stride apart) = x [height][k] times one part of a panel. b: first
 *  value of the part. A product of few rows is as fast as memory delivers the weights, and the
 *  processor's own prefetching stops at the end of each page; so every row of the panel also asks
 *  for `step` bytes from `ahead` on, which is the panel that comes next. */
typedef void (*tile_fn) (float *out, size_t out_stride, const void *x, size_t x_stride,
                         const void *b, size_t k, const char *ahead, size_t step);

#define TILE_PARAMETERS                                                                            \
    float *out, size_t out_stride, const void *rows, size_t stride, const void *panel, size_t k,   \
        const char *ahead, size_t step

/*  a0, a1 ... are the sums of the first register of outputs for rows 0, 1 ..., c0, c1 ... those of
 *  the second. */
#define TILE_ZERO(r) reg_t a##r = {0}, c##r = {0};
#define TILE_SAVE(r)                                                                               \
    reg_store (out + (r) *out_stride, a##r);                                                       \
    reg_store (out + (r) *out_stride + LANES, c##r);

/*  The sum of an output runs over k from the first to the last, one multiply-add at a time, in a
 *  tile of any height. (-ffp-contract=fast makes one instruction of `a += v * b` where the CPU has
 *  it.) */
#define F32_STEP(r)                                                                                \
    {                                                                                              \
        float v = x[(r) *stride + i];                                                              \
        a##r += v * b0;                                                                            \
        c##r += v * b1;                                                                            \
    }
#define F32_TILE(height)                                                                           \
    static void f32_tile_##height (TILE_PARAMETERS)                                                \
    {                                                                                              \
        const float *restrict x = rows, *restrict b = panel;                                       \
        ROWS_##height (TILE_ZERO) for (size_t i = 0; i < k; i++, b += KERNELS_PANEL)               \
        {                                                                                          \
            __builtin_prefetch (ahead);                                                            \
            __builtin_prefetch (ahead + step / 2);                                                 \
            ahead += step;                                                                         \
            reg_t b0 = reg_load (b), b1 = reg_load (b + LANES);                                    \
            ROWS_##height (F32_STEP)                                                               \
        }                                                                                          \
        ROWS_##height (TILE_SAVE)                                                                  \
    }
HEIGHTS (F32_TILE)

/*  bfloat16 weights for CPUs that cannot multiply them: a bfloat16 is the upper half of a float, so
 *  a shift and a mask widen the two values of k that lie side by side. The chain runs over the even
 *  one, then the odd one. x: floats that are bfloat16 values. */
#define EVEN_STEP(r)                                                                               \
    {                                                                                              \
        float v = x[(r) *stride + 2 * i];                                                          \
        a##r += v * b0;                                                                            \
        c##r += v * b1;                                                                            \
    }
#define ODD_STEP(r)                                                                                \
    {                                                                                              \
        float v = x[(r) *stride + 2 * i + 1];                                                      \
        a##r += v * b0;                                                                            \
        c##r += v * b1;                                                                            \
    }
#define WIDEN_TILE(height)                                                                         \
    static void widen_tile_##height (TILE_PARAMETERS)                                              \
    {                                                                                              \
        const float *restrict x = rows;                                                            \
        const uint16_t *restrict b = panel;                                                        \
        ROWS_##height (TILE_ZERO) for (size_t i = 0; i < (k + 1) / 2; i++, b += 2 * KERNELS_PANEL) \
        {                                                                                          \
            __builtin_prefetch (ahead);                                                            \
            __builtin_prefetch (ahead + step / 2);                                                 \
            ahead += step;                                                                         \
            reg_t b0 = (reg_t) (bits_load (b) << 16);                                              \
            reg_t b1 = (reg_t) (bits_load (b + 2 * LANES) << 16);                                  \
            ROWS_##height (EVEN_STEP) b0 = (reg_t) (bits_load (b) & 0xffff0000u);                  \
            b1 = (reg_t) (bits_load (b + 2 * LANES) & 0xffff0000u);                                \
            ROWS_##height (ODD_STEP)                                                               \
        }                                                                                          \
        ROWS_##height (TILE_SAVE)                                                                  \
    }
HEIGHTS (WIDEN_TILE)

#if defined(__AVX512BF16__)
/*  dpbf16 adds the products of a pair of values of k to a float in one instruction: twice the speed
 *  of floats. Order and rounding within a pair are the instruction's own, so its sums differ in the
 *  last bits from those of WIDEN_TILE: the name of the kernels tells which ones made a result. A
 *  pair of x is read as one 32-bit number. */
#define DOT_ZERO(r) __m512 a##r = _mm512_setzero_ps (), c##r = _mm512_setzero_ps ();
#define DOT_STEP(r)                                                                                \
    {                                                                                              \
        int32_t pair;                                                                              \
        memcpy (&pair, x + (r) *stride + 2 * i, sizeof pair);                                      \
        __m512bh v = (__m512bh) _mm512_set1_epi32 (pair);                                          \
        a##r = _mm512_dpbf16_ps (a##r, v, b0);                                                     \
        c##r = _mm512_dpbf16_ps (c##r, v, b1);                                                     \
    }
#define DOT_SAVE(r)                                                                                \
    _mm512_storeu_ps (out + (r) *out_stride, a##r);                                                \
    _mm512_storeu_ps (out + (r) *out_stride + LANES, c##r);
#define DOT_TILE(height)                                                                           \
    static void dot_tile_##height (TILE_PARAMETERS)                                                \
    {                                                                                              \
        const uint16_t *restrict x = rows, *restrict b = panel;                                    \
        ROWS_##height (DOT_ZERO) for (size_t i = 0; i < (k + 1) / 2; i++, b += 2 * KERNELS_PANEL)  \
        {                                                                                          \
            __builtin_prefetch (ahead);                                                            \
            __builtin_prefetch (ahead + step / 2);                                                 \
            ahead += step;                                                                         \
            __m512bh b0 = (__m512bh) _mm512_loadu_si512 (b);                                       \
            __m512bh b1 = (__m512bh) _mm512_loadu_si512 (b + 2 * LANES);                           \
            ROWS_##height (DOT_STEP)                                                               \
        }                                                                                          \
        ROWS_##height (DOT_SAVE)                                                                   \
    }
HEIGHTS (DOT_TILE)
#endif

/*  From a tile's outputs to y: adds what is to be added (a bias, or the residual stream), leaves
 *  out the padding of the last panel. What is added comes after the whole sum over k. */
static void kernels_finish (const kernels_matmul_t *m, const float *out, size_t row, size_t height,
                            size_t column, size_t columns)
{
    for (size_t r = 0; r < height; r++, out += KERNELS_PANEL) {
        float *y = m->y + (row + r) * m->y_stride + column;
        const float *add = m->add ? m->add + (row + r) * m->add_stride + column : NULL;
        if (columns < PART)
            for (size_t i = 0; i < columns; i++)
                y[i] = add ? out[i] + add[i] : out[i];
        else
            for (size_t i = 0; i < PART; i += LANES)
                reg_store (y + i,
                           add ? reg_load (out + i) + reg_load (add + i) : reg_load (out + i));
    }
}

/*  Prefetches what kernels_finish will add: a tile takes long enough for it to come. */
static void kernels_prefetch_rows (const kernels_matmul_t *m, size_t row, size_t height,
                                   size_t column)
{
    if (!m->add || m->add_stride == 0)
        return;
    for (size_t r = 0; r < height; r++) {
        const float *add = m->add + (row + r) * m->add_stride + column;
        __builtin_prefetch (add);
        __builtin_prefetch (add + PART - 1);
    }
}

/*  The loop over panels is the outer one: a panel (k * 32 weights) stays in the cache while all
 *  rows are multiplied with it, and every weight is read from memory once, whatever the number of
 *  rows. Within it, tiles of nearly equal height: 13 rows are 7 + 6, not 12 + 1, since a short
 *  tile is slow: each of its few chains waits for the multiply-add before. While the tiles work on
 *  a panel, they prefetch the next one, each its share.
 *
 *  x_size, size: bytes of a value of x and of a weight; pairs: values of k that lie side by side
 *  in the panel. */
static void kernels_multiply (const kernels_matmul_t *m, const tile_fn *tiles, size_t x_size,
                              size_t size, size_t pairs)
{
    size_t count = (m->n + TILE_ROWS - 1) / TILE_ROWS;
    size_t steps = (m->k + pairs - 1) / pairs, step_bytes = pairs * KERNELS_PANEL * size;
    size_t panel_bytes = steps * step_bytes, calls = count * (KERNELS_PANEL / PART);
    size_t share = (step_bytes + calls - 1) / calls;
    for (size_t p = m->first; p < m->last; p++) {
        const char *panel = (const char *) m->panels + p * panel_bytes;
        /* Prefetches stay within the panel that comes next. Behind the last one may be no memory at
         * all, and asking for that costs a walk through the page tables every time: there the
         * tiles ask for the panel's beginning again and again. */
        bool more = p + 1 < m->last;
        const char *ahead = panel + (more ? panel_bytes : 0);
        size_t step = more ? share : 0, reach = more ? panel_bytes / calls : 0;
        for (size_t t = 0; t < count; t++) {
            /* Tile t has rows t n / count .. (t + 1) n / count - 1, which differ in height by one
             * at most. */
            size_t row = t * m->n / count, height = (t + 1) * m->n / count - row;
            const char *x = (const char *) m->x + row * m->x_stride * x_size;
            for (size_t part = 0; part < KERNELS_PANEL; part += PART) {
                size_t column = p * KERNELS_PANEL + part;
                if (column >= m->outputs)
                    break;
                float out[TILE_ROWS * KERNELS_PANEL];
                size_t columns = m->outputs - column < PART ? m->outputs - column : PART;
                /* The usual case writes to y at once; else a small buffer stands between. */
                bool direct = columns == PART && !m->add;
                kernels_prefetch_rows (m, row, height, column);
                tiles[height - 1](direct ? m->y + row * m->y_stride + column : out,
                                  direct ? m->y_stride : KERNELS_PANEL, x, m->x_stride,
                                  panel + part * pairs * size, m->k, ahead, step);
                ahead += reach;
                if (!direct)
                    kernels_finish (m, out, row, height, column, columns);
            }
        }
    }
}

#define F32_NAME(height)   f32_tile_##height,
#define WIDEN_NAME(height) widen_tile_##height,
#define DOT_NAME(height)   dot_tile_##height,

static void kernels_matmul_f32 (const kernels_matmul_t *m)
{
    static const tile_fn tiles[] = {HEIGHTS (F32_NAME)};
    kernels_multiply (m, tiles, sizeof (float), sizeof (float), 1);
}

static void kernels_matmul_widened (const kernels_matmul_t *m)
{
    static const tile_fn tiles[] = {HEIGHTS (WIDEN_NAME)};
    kernels_multiply (m, tiles, sizeof (float), sizeof (uint16_t), 2);
}

#if defined(__AVX512BF16__)
static void kernels_matmul_dot (const kernels_matmul_t *m)
{
    static const tile_fn tiles[] = {HEIGHTS (DOT_NAME)};
    kernels_multiply (m, tiles, sizeof (uint16_t), sizeof (uint16_t), 2);
}
#endif

/*  ---- rows ---- */

/*  Sixteen sums of squares, one per lane, then v16_sum's tree: a fixed order for a row of this
 *  length. Lanes beyond n add 0. */
static float kernels_norm (float *y, const float *x, const float *gain, size_t n, float eps)
{
    v16f squares = v16_zero ();
    size_t whole = n / V16 * V16;
    for (size_t i = 0; i < whole; i += V16) {
        v16f v = v16_load (x + i);
        squares = v16_mul_add (v, v, squares);
    }
    if (whole < n) {
        v16f v = v16_load_n (x + whole, n - whole, 0.0f);
        squares = v16_mul_add (v, v, squares);
    }
    float r = 1.0f / sqrtf (v16_sum (squares) / (float) n + eps);
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * r * gain[i];
    return r;
}

/*  The two halves of a head turn against each other, pair by pair: Hugging Face's layout
 *  (model/rope.h). */
static void kernels_rope (float *x, const float *cos, const float *sin, size_t half)
{
    for (size_t i = 0; i < half; i++) {
        float a = x[i], b = x[i + half];
        x[i] = a * cos[i] - b * sin[i];
        x[i + half] = b * cos[i] + a * sin[i];
    }
}

/*  v16_exp is the same function in every lane, so the tail gives the bits that it would give in a
 *  whole register. */
static void kernels_swiglu (float *y, const float *gate, const float *up, size_t n)
{
    size_t i = 0;
    for (; i + V16 <= n; i += V16) {
        v16f g = v16_load (gate + i);
        v16_store (y + i, v16_mul (v16_mul (g, v16_sigmoid (g)), v16_load (up + i)));
    }
    if (i < n) {
        v16f g = v16_load_n (gate + i, n - i, 0.0f);
        v16f u = v16_load_n (up + i, n - i, 0.0f);
        v16_store_n (y + i, v16_mul (v16_mul (g, v16_sigmoid (g)), u), n - i);
    }
}

/*  ---- the head ---- */

#define FAR_BELOW -1e30f /* a logit whose exponential is 0, and times 0 still 0 */

static float kernels_highest (const float *x, size_t n)
{
    v16f max = v16_set (-INFINITY);
    size_t i = 0;
    for (; i + V16 <= n; i += V16)
        max = v16_max (max, v16_load (x + i));
    if (i < n)
        max = v16_max (max, v16_load_n (x + i, n - i, -INFINITY));
    return v16_highest (max);
}

/*  One pass for the maximum, one for everything else. The logits themselves are not kept: dot = sum
 *  e (z - max) is what the entropy needs besides the sum, for p = e / sum gives -sum p log p = log
 *  (sum) - dot / sum. Lanes beyond n hold FAR_BELOW: e is 0 there, and 0 * z is 0 too, where with
 *  -infinity it would be NaN. */
static kernels_softmax_t kernels_softmax (const float *logits, size_t n, float inverse_temperature,
                                          float *exps)
{
    float max = kernels_highest (logits, n) * inverse_temperature;
    v16f sum = v16_zero (), dot = v16_zero (), highest = v16_set (max);
    v16f inverse = v16_set (inverse_temperature);
    size_t i = 0;
    for (; i + V16 <= n; i += V16) {
        v16f z = v16_sub (v16_mul (v16_load (logits + i), inverse), highest), e = v16_exp (z);
        sum = v16_add (sum, e);
        dot = v16_mul_add (e, z, dot);
        if (exps)
            v16_store (exps + i, e);
    }
    if (i < n) {
        v16f z = v16_sub (v16_mul (v16_load_n (logits + i, n - i, FAR_BELOW), inverse), highest);
        v16f e = v16_exp (z);
        sum = v16_add (sum, e);
        dot = v16_mul_add (e, z, dot);
        if (exps)
            v16_store_n (exps + i, e, n - i);
    }
    return (kernels_softmax_t){.max = max, .sum = v16_sum (sum), .dot = v16_sum (dot)};
}

#define SEARCH_RUN ((size_t) (4 * V16))

/*  Inverse of the cumulative sum, for sampling. Runs of 64 are summed as a whole; the run in which
 *  the target lies is looked through one by one. The sum of a run differs in the last bits from the
 *  sum of its elements; that is harmless, since which run is taken and where in it the search ends
 *  follows from the data alone. */
static size_t kernels_search (const float *exps, size_t n, float target)
{
    double below = 0;
    size_t start = 0;
    for (; start + SEARCH_RUN <= n; start += SEARCH_RUN) {
        const float *e = exps + start;
        v16f run = v16_add (v16_add (v16_load (e), v16_load (e + V16)),
                            v16_add (v16_load (e + 2 * V16), v16_load (e + 3 * V16)));
        double next = below + (double) v16_sum (run);
        if (next > (double) target)
            break;
        below = next;
    }
    size_t last = 0;
    for (size_t i = start; i < n; i++) {
        below += (double) exps[i];
        if (below > (double) target)
            return i;
    }
    /* Rounding can leave a target near the whole sum without an element that passes it. Then the
     * last one that has any probability is meant, and never one that has none. */
    for (size_t i = 0; i < n; i++)
        if (exps[i] > 0)
            last = i;
    return last;
}

/*  Two passes, since comparing is fast in registers and positions are needed only once. */
static size_t kernels_argmax (const float *x, size_t n)
{
    float max = kernels_highest (x, n);
    for (size_t i = 0; i < n; i++)
        if (x[i] == max)
            return i;
    return 0;
}

/*  Nearest, ties to even: adding 0x7fff carries into the upper half when the lower one is more than
 *  half, and one more does so at exactly half when the upper half is odd. For finite values: it
 *  could turn a NaN into a zero. */
static uint16_t kernels_bf16_of (float x)
{
    uint32_t bits;
    memcpy (&bits, &x, sizeof bits);
    return (uint16_t) ((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static void kernels_to_bf16 (uint16_t *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = kernels_bf16_of (x[i]);
}

static void kernels_from_bf16 (float *y, const uint16_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t) x[i] << 16;
        memcpy (y + i, &bits, sizeof bits);
    }
}

#if defined(__AVX512BF16__)
/*  What the products take as x: halves for dpbf16, else floats that have a bfloat16 value, which
 *  costs memory and saves widening x in the innermost loop. */
static void kernels_round_narrow (void *y, const float *x, size_t n)
{
    kernels_to_bf16 (y, x, n);
}
#endif

static void kernels_round_wide (void *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t) kernels_bf16_of (x[i]) << 16;
        memcpy ((float *) y + i, &bits, sizeof bits);
    }
}

/*  Calls go through tables of function pointers, chosen once per process (kernels.c). What is not
 *  named here belongs to other files that are compiled for the same instruction set. */
#define TABLE(label, bf16, round, bytes)                                                           \
    {                                                                                              \
        .name = (label), .matmul_f32 = kernels_matmul_f32, .matmul_bf16 = (bf16),                  \
        .round_bf16 = (round), .rounded_bytes = (bytes), .attention = PASTE (attention_, ISA),     \
        .norm = kernels_norm, .rope = kernels_rope, .swiglu = kernels_swiglu,                      \
        .softmax = kernels_softmax, .search = kernels_search, .argmax = kernels_argmax,            \
        .to_bf16 = kernels_to_bf16, .from_bf16 = kernels_from_bf16,                                \
        .panels = &PASTE (panels_, ISA), .backward = &PASTE (backward_, ISA)                       \
    }

extern void PASTE (attention_, ISA) (const kernels_attention_t *a); /* attention.isa.c */
extern const struct panels PASTE (panels_, ISA);
extern const struct backward PASTE (backward_, ISA);
extern const kernels_t PASTE (kernels_, ISA);
#if defined(__AVX512BF16__)
const kernels_t PASTE (kernels_, ISA) = TABLE (TEXT (ISA), kernels_matmul_dot, kernels_round_narrow,
                                               sizeof (uint16_t));
#if defined(__AMX_BF16__) || defined(__AMXBF16__)          /* as GCC and as clang 14 call it */
extern void tiles_matmul_bf16 (const kernels_matmul_t *m); /* tiles.isa.c */
extern const kernels_t kernels_amx;
const kernels_t kernels_amx =
    TABLE ("amx", tiles_matmul_bf16, kernels_round_narrow, sizeof (uint16_t));
#endif
/* For CPUs with AVX-512 but without its bfloat16 products. */
extern const kernels_t kernels_avx512_widen;
const kernels_t kernels_avx512_widen =
    TABLE ("avx512-widen", kernels_matmul_widened, kernels_round_wide, sizeof (float));
#else
const kernels_t PASTE (kernels_, ISA) = TABLE (TEXT (ISA), kernels_matmul_widened,
                                               kernels_round_wide, sizeof (float));
#endif

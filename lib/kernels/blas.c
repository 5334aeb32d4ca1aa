/*  blas - see blas.h
 *
 *  sgemm does not promise what kernels.h does: a row's bits may depend on how many rows a call has
 *  and on the row's place among them, because the last rows and columns of a matrix go through
 *  other micro-kernels, and long sums are cut where the size of the whole product suggests it.
 *  Both are decided by the shape of a call. So OpenBLAS sees few shapes only: some number of rows,
 *  always the 32 outputs of one panel, and at most DEPTH values of k; the sums over k are added up
 *  here, in order. Rows that are missing in a block are filled with zeros.
 *
 *  Whether that is enough is not believed but checked, once per process, for every depth there is:
 *  a block of equal rows must give equal bits in all of them. The largest block that passes sets
 *  the bits; a smaller one is used for the rows that are left over only if its bits are the same.
 *  (OpenBLAS 0.3.21: its AVX-512, AVX and SSE kernels pass with all blocks, those for AVX2 with 8
 *  and 4 rows.)
 *
 *  The library is loaded at first use: where our own kernels run, nobody pays for its 35 MB and
 *  its threads.
 */
#include "kernels/blas.h"

#include <cblas.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "kernels/panels.h"

/*  At most so many rows a call: x and the sums of a block then lie on the stack and in the
 *  second cache. */
#define ROWS_MAX ((size_t) 96)
#define DEPTH    ((size_t) 256) /* even: bfloat16 panels have pairs of k */
#define BLOCKS   5

extern const kernels_t kernels_plain;

/*  Larger blocks are faster; one row is what is left when nothing else keeps the promise. */
static const size_t candidates[BLOCKS] = {ROWS_MAX, 32, 8, 4, 1};

static struct {
    pthread_once_t once;
    __typeof__ (cblas_sgemm) *sgemm;
    size_t rows[BLOCKS + 1]; /* blocks in use, largest first, then 0 */
    char name[64], missing[256];
    kernels_t kernels;
} blas = {.once = PTHREAD_ONCE_INIT};

/*  y [rows][32] = (add ? y : 0) + x [rows][depth] panel [depth][32] */
static void blas_block (size_t rows, size_t depth, const float *x, size_t x_stride,
                        const float *panel, bool add, float *y)
{
    cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint) rows, (blasint) KERNELS_PANEL,
                 (blasint) depth, 1, x, (blasint) x_stride, panel, (blasint) KERNELS_PANEL,
                 add ? 1.0f : 0.0f, y, (blasint) KERNELS_PANEL);
}

/*  ---- the check ------------------------------------------------------------------------------ */

/*  Adds two products of one depth for a block of equal rows, as blas_panel does for long sums.
 *  Whether all rows came out alike: then a row's place in the block does not matter. */
static bool blas_probe (size_t rows, size_t depth, const float *row, const float *panel,
                        float result[KERNELS_PANEL])
{
    float x[ROWS_MAX * DEPTH] = {0}, y[ROWS_MAX * KERNELS_PANEL];
    for (size_t r = 0; r < rows; r++)
        memcpy (x + r * depth, row, depth * sizeof *x);
    blas_block (rows, depth, x, depth, panel, false, y);
    blas_block (rows, depth, x, depth, panel, true, y);
    for (size_t r = 1; r < rows; r++)
        if (memcmp (y, y + r * KERNELS_PANEL, KERNELS_PANEL * sizeof *y) != 0)
            return false;
    memcpy (result, y, KERNELS_PANEL * sizeof *y);
    return true;
}

/*  Whether a block passes at every depth; with `known`, with the same bits as are there, else they
 *  are written there. */
static bool blas_passes (size_t rows, const float *row, const float *panel, bool known,
                         float (*results)[KERNELS_PANEL])
{
    for (size_t depth = 1; depth <= DEPTH; depth++) {
        float result[KERNELS_PANEL];
        if (!blas_probe (rows, depth, row, panel, result))
            return false;
        if (known && memcmp (result, results[depth - 1], sizeof result) != 0)
            return false;
        memcpy (results[depth - 1], result, sizeof result);
    }
    return true;
}

/*  Numbers around 0 without a pattern: with equal or round ones, sums in another order would
 *  come out alike. */
static void blas_fill (float *x, size_t n, uint64_t key)
{
    for (size_t i = 0; i < n; i++)
        x[i] = rng_uniform (key, i) - 0.5f;
}

/*  ---- the products --------------------------------------------------------------------------- */

/*  Rows first .. first + n - 1 of the values k .. k + depth - 1 of x, filled up with zero rows to
 *  the block's height: OpenBLAS must see the same shape for every block. */
static void blas_pad (float *to, size_t rows, const kernels_matmul_t *m, size_t first, size_t n,
                      size_t k, size_t depth)
{
    for (size_t r = 0; r < n; r++)
        memcpy (to + r * depth, (const float *) m->x + (first + r) * m->x_stride + k,
                depth * sizeof *to);
    memset (to + n * depth, 0, (rows - n) * depth * sizeof *to);
}

/*  Rows first .. first + n - 1 of one panel's outputs; n is at most rows, the height of the block.
 *  The sum over k is cut at multiples of DEPTH, wherever the rows stand and however many there
 *  are. */
static void blas_panel (const kernels_matmul_t *m, bool narrow, size_t p, size_t first, size_t n,
                        size_t rows)
{
    float padded[ROWS_MAX * DEPTH], widened[DEPTH * KERNELS_PANEL], sums[ROWS_MAX * KERNELS_PANEL];
    size_t panel_values = (narrow ? m->k + m->k % 2 : m->k) * KERNELS_PANEL;
    for (size_t k = 0; k < m->k; k += DEPTH) {
        size_t depth = m->k - k < DEPTH ? m->k - k : DEPTH;
        size_t at = p * panel_values + k * KERNELS_PANEL, stride = m->x_stride;
        const float *x = (const float *) m->x + first * stride + k;
        const float *panel = (const float *) m->panels + at;
        /* OpenBLAS has no product of bfloat16 by float: the panel is widened, once for each
           block of rows. */
        if (narrow) {
            kernels_plain.panels->unpair (widened, (const uint16_t *) m->panels + at, depth);
            panel = widened;
        }
        if (n < rows) {
            blas_pad (padded, rows, m, first, n, k, depth);
            x = padded;
            stride = depth;
        }
        blas_block (rows, depth, x, stride, panel, k > 0, sums);
    }
    size_t column = p * KERNELS_PANEL;
    /* The last panel may have fewer outputs; what was computed for the others is dropped. */
    size_t columns = m->outputs - column < KERNELS_PANEL ? m->outputs - column : KERNELS_PANEL;
    for (size_t r = 0; r < n; r++) {
        float *y = m->y + (first + r) * m->y_stride + column;
        const float *add = m->add ? m->add + (first + r) * m->add_stride + column : NULL;
        for (size_t i = 0; i < columns; i++)
            y[i] = sums[r * KERNELS_PANEL + i] + (add ? add[i] : 0);
    }
}

/*  The largest block that the rows left over fill, else the smallest there is. */
static size_t blas_rows_for (size_t left)
{
    const size_t *rows = blas.rows;
    while (*rows > left && rows[1])
        rows++;
    return *rows;
}

static void blas_multiply (const kernels_matmul_t *m, bool narrow)
{
    for (size_t p = m->first; p < m->last; p++)
        for (size_t first = 0, n; first < m->n; first += n) {
            size_t left = m->n - first, rows = blas_rows_for (left);
            n = left < rows ? left : rows;
            blas_panel (m, narrow, p, first, n, rows);
        }
}

static void blas_matmul_f32 (const kernels_matmul_t *m)
{
    blas_multiply (m, false);
}

static void blas_matmul_bf16 (const kernels_matmul_t *m)
{
    blas_multiply (m, true);
}

/*  ---- at first use --------------------------------------------------------------------------- */

/*  The functions of the library, and what it calls itself. Our own threads share the panels, so
 *  each of its calls is to run on the thread that makes it; that many threads call at once is what
 *  a build without threads cannot take: its work memory has no lock, and sums come out wrong. */
static int blas_load (char version[24], char core[24])
{
    /* Before it is loaded: the library starts its threads as it comes. */
    setenv ("OPENBLAS_NUM_THREADS", "1", 1);
    void *library = dlopen ("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf (blas.missing, sizeof blas.missing,
                  "OpenBLAS is not installed (apt-get install libopenblas0-pthread)");
        return -1;
    }
    __typeof__ (openblas_get_config) *config;
    __typeof__ (openblas_get_corename) *corename;
    __typeof__ (openblas_set_num_threads) *set_threads;
    *(void **) &blas.sgemm = dlsym (library, "cblas_sgemm");
    *(void **) &config = dlsym (library, "openblas_get_config");
    *(void **) &corename = dlsym (library, "openblas_get_corename");
    *(void **) &set_threads = dlsym (library, "openblas_set_num_threads");
    if (!blas.sgemm || !config || !corename || !set_threads ||
        strstr (config (), "SINGLE_THREAD")) {
        snprintf (blas.missing, sizeof blas.missing,
                  "libopenblas.so.0 is %s; wanted is one of several threads (apt-get install "
                  "libopenblas0-pthread)",
                  config ? config () : "no OpenBLAS");
        return -1;
    }
    set_threads (1);
    snprintf (version, 24, "unknown");
    sscanf (config (), "OpenBLAS %23s", version);
    snprintf (core, 24, "%s", corename ());
    return 0;
}

/*  Once per process. The first block size that passes (the largest) writes `results`; later ones
 *  are taken only if their bits are the same, since a product uses several sizes for one matrix. */
static void blas_start (void)
{
    static float row[DEPTH], panel[DEPTH * KERNELS_PANEL], results[DEPTH][KERNELS_PANEL];
    char version[24], core[24];
    size_t n = 0;
    if (blas_load (version, core) != 0)
        return;
    blas_fill (row, DEPTH, 1);
    blas_fill (panel, DEPTH * KERNELS_PANEL, 2);
    for (size_t i = 0; i < BLOCKS; i++)
        if (blas_passes (candidates[i], row, panel, n > 0, results))
            blas.rows[n++] = candidates[i];
    snprintf (blas.name, sizeof blas.name, "blas:%s-%s", version, core);
    if (n == 0)
        snprintf (blas.missing, sizeof blas.missing,
                  "%s computes a row in another way beside other rows, whatever their number",
                  blas.name);
    blas.kernels = kernels_plain;
    blas.kernels.name = blas.name;
    blas.kernels.matmul_f32 = blas_matmul_f32;
    blas.kernels.matmul_bf16 = blas_matmul_bf16;
}

const kernels_t *blas_kernels (void)
{
    pthread_once (&blas.once, blas_start);
    return blas.rows[0] ? &blas.kernels : NULL;
}

const char *blas_missing (void)
{
    pthread_once (&blas.once, blas_start);
    return blas.missing;
}

const size_t *blas_block_rows (void)
{
    pthread_once (&blas.once, blas_start);
    return blas.rows;
}

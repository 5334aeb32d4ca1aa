/*  The shapes of panels, of every instruction set, against their definition, element by element. */
#include "kernels/panels.h"
#include "model/weights.h"
#include "model_fixture.h"

static void check_transpose (const kernels_t *kernels)
{
    const panels_t *b = kernels->panels;
    enum { MOST = 50, STRIDE = 57 };
    float *x = fixture_filled (MOST * STRIDE, 1, 1), *before = fixture_filled (MOST * STRIDE, 1, 2);
    for (size_t rows = 1; rows <= MOST; rows += rows < 18 ? 1 : 8)
        for (size_t columns = 1; columns <= MOST; columns += columns < 18 ? 3 : 8) {
            float *y = fixture_filled (MOST * STRIDE, 1, 2);
            b->transpose (y, STRIDE, x, STRIDE, rows, columns);
            for (size_t c = 0; c < MOST; c++)
                for (size_t r = 0; r < STRIDE; r++) {
                    bool inside = c < columns && r < rows;
                    fixture_same ("y", y + c * STRIDE + r,
                                  inside ? x + r * STRIDE + c : before + c * STRIDE + r, 1);
                }
            free (y);
        }
    free (x);
    free (before);
}

static uint16_t half_of (float x)
{
    uint32_t bits;
    float value = weights_round (x, COMPUTE_BF16);
    memcpy (&bits, &value, sizeof bits);
    return (uint16_t) (bits >> 16);
}

static void check_transpose_bf16 (const kernels_t *kernels)
{
    const panels_t *b = kernels->panels;
    enum { MOST = 66, STRIDE = 70 };
    float *x = fixture_filled (MOST * STRIDE, 1, 1);
    uint16_t *y = (uint16_t *) fixture_room (MOST * STRIDE / 2 + 1);
    for (size_t rows = 1; rows <= MOST; rows += rows < 35 ? 1 : 8)
        for (size_t columns = 1; columns <= MOST; columns += columns < 18 ? 3 : 8) {
            memset (y, 0xff, MOST * STRIDE * sizeof *y);
            b->transpose_bf16 (y, STRIDE, x, STRIDE, rows, columns);
            for (size_t c = 0; c < MOST; c++)
                for (size_t r = 0; r < STRIDE; r++)
                    assert_int_equal (y[c * STRIDE + r], c >= columns || r >= rows + rows % 2
                                                             ? 0xffff
                                                         : r < rows ? half_of (x[r * STRIDE + c])
                                                                    : 0);
        }
    free (x);
    free (y);
}

static size_t pair_at (size_t k, size_t column)
{
    return k / 2 * 2 * KERNELS_PANEL + 2 * column + k % 2;
}

/*  Float rows to a panel and back. */
static void check_pair (const panels_t *b, size_t k, size_t columns)
{
    enum { MOST = 9, STRIDE = KERNELS_PANEL + 3 };
    float *x = fixture_filled (MOST * STRIDE, 3, 1), back[MOST * KERNELS_PANEL];
    uint16_t panel[(MOST + 1) * KERNELS_PANEL];
    memset (panel, 0xff, sizeof panel);
    b->pair (panel, x, STRIDE, k, columns);
    for (size_t i = 0; i < k + k % 2; i++)
        for (size_t c = 0; c < KERNELS_PANEL; c++)
            assert_int_equal (panel[pair_at (i, c)],
                              i < k && c < columns ? half_of (x[i * STRIDE + c]) : 0);
    b->unpair (back, panel, k);
    for (size_t i = 0; i < k; i++)
        for (size_t c = 0; c < KERNELS_PANEL; c++) {
            float value = c < columns ? weights_round (x[i * STRIDE + c], COMPUTE_BF16) : 0;
            fixture_same ("back", back + i * KERNELS_PANEL + c, &value, 1);
        }
    free (x);
}

/*  A panel's transpose; beyond k the source holds what does not belong to it. */
static void check_turned (const panels_t *b, size_t k, size_t outputs)
{
    uint16_t x[KERNELS_PANEL * KERNELS_PANEL], y[KERNELS_PANEL * KERNELS_PANEL];
    memset (x, 0xff, sizeof x);
    memset (y, 0xff, sizeof y);
    for (size_t i = 0; i < k + k % 2; i++)
        for (size_t o = 0; o < KERNELS_PANEL; o++)
            x[pair_at (i, o)] = i < k && o < outputs ? (uint16_t) (1 + i * KERNELS_PANEL + o) : 0;
    b->turn_pairs (y, x, k, outputs);
    for (size_t o = 0; o < outputs + outputs % 2; o++)
        for (size_t i = 0; i < KERNELS_PANEL; i++)
            assert_int_equal (y[pair_at (o, i)],
                              i < k && o < outputs ? 1 + i * KERNELS_PANEL + o : 0);
}

static void check_pairs (const kernels_t *kernels)
{
    const panels_t *b = kernels->panels;
    const size_t widths[] = {1, 15, 16, 17, 31, 32};
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
        for (size_t n = 1; n <= KERNELS_PANEL; n++) {
            check_turned (b, widths[w], n);
            if (n <= 9)
                check_pair (b, n, widths[w]);
        }
}

/*  ---- whole matrices ---- */

/*  Rows w that are bfloat16 values, as halves at an odd address, into the same panels and back. */
static void check_halves (const panels_t *b, const weights_matrix_t *m, const float *w)
{
    size_t panels = kernels_panels (m->outputs), bytes = weights_panel_bytes (m);
    size_t n = m->outputs * m->k, piece = KERNELS_PANEL * m->k * sizeof (uint16_t);
    char *rows = malloc (2 * n + 1), *back = malloc (2 * n + 1);
    weights_matrix_t same = *m;
    same.panels = malloc (panels * bytes);
    assert_true (rows && back && same.panels);
    memset (same.panels, 0xff, panels * bytes);
    for (size_t i = 0; i < n; i++)
        memcpy (rows + 1 + 2 * i, &(uint16_t){half_of (w[i])}, 2);
    for (size_t p = 0; p < panels; p++) {
        weights_pack_halves (&same, b, p, rows + 1 + p * piece);
        weights_unpack_halves (&same, b, p, back + 1 + p * piece);
    }
    assert_memory_equal (same.panels, m->panels, panels * bytes);
    assert_memory_equal (back + 1, rows + 1, 2 * n);
    free (same.panels);
    free (rows);
    free (back);
}

/*  Into panels and back; only bfloat16 rounds. */
static void check_matrix (const panels_t *b, size_t outputs, size_t k, model_compute_t type)
{
    float *w = fixture_filled (outputs * k, 2, outputs + k), *back = fixture_room (outputs * k),
          *row = fixture_room (k);
    weights_matrix_t m = {.outputs = outputs, .k = k, .type = type};
    size_t panels = kernels_panels (outputs), bytes = weights_panel_bytes (&m);
    m.panels = malloc (panels * bytes);
    assert_non_null (m.panels);
    memset (m.panels, 0xff, panels * bytes);
    for (size_t p = 0; p < panels; p++)
        weights_pack (&m, b, p, w + p * KERNELS_PANEL * k);
    for (size_t o = 0; o < panels * KERNELS_PANEL; o++)
        for (size_t i = 0; i < k + (type == COMPUTE_BF16 ? k % 2 : 0); i++) {
            const char *panel = (const char *) m.panels + o / KERNELS_PANEL * bytes;
            float value = o < outputs && i < k ? w[o * k + i] : 0;
            if (type == COMPUTE_BF16)
                assert_int_equal (((const uint16_t *) panel)[pair_at (i, o % KERNELS_PANEL)],
                                  half_of (value));
            else
                fixture_same ("packed",
                              (const float *) panel + i * KERNELS_PANEL + o % KERNELS_PANEL, &value,
                              1);
        }
    for (size_t i = 0; i < outputs * k; i++)
        w[i] = weights_round (w[i], type);
    for (size_t p = 0; p < panels; p++)
        weights_unpack (&m, b, p, back + p * KERNELS_PANEL * k);
    fixture_same ("unpacked", back, w, outputs * k);
    if (type == COMPUTE_BF16)
        check_halves (b, &m, w);
    weights_unpack_row (&m, outputs - 1, row);
    fixture_same ("row", row, w + (outputs - 1) * k, k);
    free (m.panels);
    free (w);
    free (back);
    free (row);
}

static void check_matrices (const kernels_t *kernels)
{
    const panels_t *b = kernels->panels;
    const size_t outputs[] = {1, 15, 32, 45, 64}, inputs[] = {1, 2, 16, 31, 33, 48, 67};
    for (size_t o = 0; o < sizeof outputs / sizeof *outputs; o++)
        for (size_t k = 0; k < sizeof inputs / sizeof *inputs; k++) {
            check_matrix (b, outputs[o], inputs[k], COMPUTE_F32);
            check_matrix (b, outputs[o], inputs[k], COMPUTE_BF16);
        }
}

#define WITH_ALL(name)                                                                             \
    static void name (void **state)                                                                \
    {                                                                                              \
        (void) state;                                                                              \
        fixture_with_all (check_##name);                                                           \
    }
WITH_ALL (transpose)
WITH_ALL (transpose_bf16)
WITH_ALL (pairs)
WITH_ALL (matrices)

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (transpose),
        cmocka_unit_test (transpose_bf16),
        cmocka_unit_test (pairs),
        cmocka_unit_test (matrices),
    };
    return cmocka_run_group_tests (tests, NULL, NULL);
}

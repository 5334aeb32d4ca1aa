/*  weights - see weights.h and, for the layout of panels, kernels.h */
#include "model/weights.h"

#include <assert.h>
#include <string.h>

/*  Nearest, ties to even, as the kernels round (kernels.isa.c). */
static uint16_t weights_to_bf16 (float x)
{
    uint32_t bits;
    memcpy (&bits, &x, sizeof bits);
    return (uint16_t) ((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static float weights_from_bf16 (uint16_t x)
{
    uint32_t bits = (uint32_t) x << 16;
    float value;
    memcpy (&value, &bits, sizeof value);
    return value;
}

/*  Vectors and parameters pass through here as well, so that all of a bfloat16 model has bfloat16
 *  values. */
float weights_round (float x, model_compute_t type)
{
    return type == COMPUTE_BF16 ? weights_from_bf16 (weights_to_bf16 (x)) : x;
}

/*  bfloat16 panels hold k in pairs, so an odd k is filled up. */
static size_t weights_panel_values (const weights_matrix_t *m)
{
    return (m->type == COMPUTE_BF16 ? m->k + m->k % 2 : m->k) * KERNELS_PANEL;
}

size_t weights_panel_bytes (const weights_matrix_t *m)
{
    return weights_panel_values (m) *
           (m->type == COMPUTE_BF16 ? sizeof (uint16_t) : sizeof (float));
}

size_t weights_outputs (const weights_matrix_t *m, size_t panel)
{
    size_t left = m->outputs - panel * KERNELS_PANEL;
    return left < KERNELS_PANEL ? left : KERNELS_PANEL;
}

/*  Where the weight of (output, k) lies, in values from the start of the panels: [k][32], or [k /
 *  2][32][2] with pairs of k. */
static size_t weights_place (const weights_matrix_t *m, size_t output, size_t k)
{
    size_t panel = output / KERNELS_PANEL * weights_panel_values (m), lane = output % KERNELS_PANEL;
    if (m->type == COMPUTE_BF16)
        return panel + k / 2 * 2 * KERNELS_PANEL + 2 * lane + k % 2;
    return panel + k * KERNELS_PANEL + lane;
}

/*  rows [outputs][k] become [k][32]; missing outputs of the last panel are zeros, so products need
 *  no case for them. */
void weights_pack (weights_matrix_t *m, const panels_t *panels, size_t panel, const float *rows)
{
    char *to = (char *) m->panels + panel * weights_panel_bytes (m);
    size_t n = weights_outputs (m, panel);
    if (m->type == COMPUTE_BF16) {
        panels->pack_bf16 ((uint16_t *) to, rows, m->k, n);
        return;
    }
    if (n < KERNELS_PANEL)
        memset (to, 0, weights_panel_bytes (m));
    panels->transpose ((float *) to, KERNELS_PANEL, rows, m->k, n, m->k);
}

void weights_unpack (const weights_matrix_t *m, const panels_t *panels, size_t panel, float *rows)
{
    const char *from = (const char *) m->panels + panel * weights_panel_bytes (m);
    size_t n = weights_outputs (m, panel);
    if (m->type == COMPUTE_BF16)
        panels->unpack_bf16 (rows, (const uint16_t *) from, m->k, n);
    else
        panels->transpose (rows, m->k, (const float *) from, KERNELS_PANEL, m->k, n);
}

static uint16_t *weights_panel_of_halves (const weights_matrix_t *m, size_t panel)
{
    assert (m->type == COMPUTE_BF16);
    return (uint16_t *) m->panels + panel * weights_panel_values (m);
}

void weights_pack_halves (weights_matrix_t *m, const panels_t *panels, size_t panel,
                          const char *rows)
{
    panels->pack_halves (weights_panel_of_halves (m, panel), rows, m->k,
                         weights_outputs (m, panel));
}

void weights_unpack_halves (const weights_matrix_t *m, const panels_t *panels, size_t panel,
                            char *rows)
{
    panels->unpack_halves (rows, weights_panel_of_halves (m, panel), m->k,
                           weights_outputs (m, panel));
}

void weights_unpack_row (const weights_matrix_t *m, size_t output, float *w)
{
    const float *floats = m->panels;
    const uint16_t *halves = m->panels;
    for (size_t k = 0; k < m->k; k++)
        w[k] = m->type == COMPUTE_BF16 ? weights_from_bf16 (halves[weights_place (m, output, k)])
                                       : floats[weights_place (m, output, k)];
}

/*  weights - see weights.h and, for the layout of panels, kernels.h */
#include "model/weights.h"

#include <string.h>

#define STRIP ((size_t) 16) /* values of k that are moved at once: a cache line of every row */

static uint16_t to_bf16 (float x)
{
    uint32_t bits;
    memcpy (&bits, &x, sizeof bits);
    return (uint16_t) ((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static float from_bf16 (uint16_t x)
{
    uint32_t bits = (uint32_t) x << 16;
    float value;
    memcpy (&value, &bits, sizeof value);
    return value;
}

float weights_round (float x, model_compute_t type)
{
    return type == COMPUTE_BF16 ? from_bf16 (to_bf16 (x)) : x;
}

static size_t panel_values (const weights_matrix_t *m)
{
    return (m->type == COMPUTE_BF16 ? m->k + m->k % 2 : m->k) * KERNELS_PANEL;
}

size_t weights_panel_bytes (const weights_matrix_t *m)
{
    return panel_values (m) * (m->type == COMPUTE_BF16 ? sizeof (uint16_t) : sizeof (float));
}

/*  Where the weight of (output, k) lies, in values from the start of the panels. */
static size_t place (const weights_matrix_t *m, size_t output, size_t k)
{
    size_t panel = output / KERNELS_PANEL * panel_values (m), lane = output % KERNELS_PANEL;
    if (m->type == COMPUTE_BF16)
        return panel + k / 2 * 2 * KERNELS_PANEL + 2 * lane + k % 2;
    return panel + k * KERNELS_PANEL + lane;
}

void weights_pack (weights_matrix_t *m, size_t panel, const float *w)
{
    size_t first = panel * KERNELS_PANEL;
    size_t n = m->outputs - first < KERNELS_PANEL ? m->outputs - first : KERNELS_PANEL;
    float *floats = m->panels;
    uint16_t *halves = m->panels;
    if (n < KERNELS_PANEL || m->k % 2 == 1)
        memset ((char *) m->panels + panel * weights_panel_bytes (m), 0, weights_panel_bytes (m));
    for (size_t k0 = 0; k0 < m->k; k0 += STRIP) {
        size_t k1 = k0 + STRIP < m->k ? k0 + STRIP : m->k;
        for (size_t c = first; c < first + n; c++)
            for (size_t k = k0; k < k1; k++)
                if (m->type == COMPUTE_BF16)
                    halves[place (m, c, k)] = to_bf16 (w[c * m->k + k]);
                else
                    floats[place (m, c, k)] = w[c * m->k + k];
    }
}

void weights_unpack_rows (const weights_matrix_t *m, size_t first, size_t last, float *w)
{
    const float *floats = m->panels;
    const uint16_t *halves = m->panels;
    for (size_t k0 = 0; k0 < m->k; k0 += STRIP) {
        size_t k1 = k0 + STRIP < m->k ? k0 + STRIP : m->k;
        for (size_t c = first; c < last; c++)
            for (size_t k = k0; k < k1; k++)
                w[(c - first) * m->k + k] = m->type == COMPUTE_BF16
                                                ? from_bf16 (halves[place (m, c, k)])
                                                : floats[place (m, c, k)];
    }
}

void weights_unpack (const weights_matrix_t *m, float *w)
{
    weights_unpack_rows (m, 0, m->outputs, w);
}

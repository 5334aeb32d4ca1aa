/*  rope - see rope.h */
#include "model/rope.h"

#include <math.h>
#include <stdlib.h>

#define TABLE_MAX ((size_t) 4096) /* positions in the table; later ones are computed when met */

/*  The frequencies of Llama 3.1 and later (transformers, _compute_llama3_parameters): waves longer
 *  than the original context / low_freq_factor are stretched by factor, those shorter than it /
 *  high_freq_factor stay, those between are blended. */
static float rope_scale_llama3 (const model_config_t *c, float frequency)
{
    float original = (float) c->rope_original_context, factor = (float) c->rope_factor;
    float low = (float) c->rope_low, high = (float) c->rope_high;
    float wave = (float) (2 * M_PI) / frequency;
    if (wave < original / high)
        return frequency;
    if (wave > original / low)
        return frequency / factor;
    float smooth = (original / wave - low) / (high - low);
    return (1.0f - smooth) * frequency / factor + smooth * frequency;
}

/*  theta^(-2 i / head_dim), in the precisions that transformers uses step by step: the exponent in
 *  float32, the power in double, the rest in float32. */
static float rope_inverse_frequency (const model_config_t *c, size_t i)
{
    float exponent = (float) (2 * i) / (float) c->head_dim;
    float frequency = 1.0f / (float) pow (c->rope_theta, (double) exponent);
    switch (c->rope) {
    case ROPE_PLAIN:
        return frequency;
    case ROPE_LINEAR:
        return frequency / (float) c->rope_factor;
    case ROPE_LLAMA3:
        return rope_scale_llama3 (c, frequency);
    }
    return frequency;
}

/*  The angle is a float32 product, as in transformers; sine and cosine of it in double, rounded
 *  once. */
static void rope_compute (const model_t *model, size_t position, float *cos_sin)
{
    size_t half = model->config.head_dim / 2;
    for (size_t i = 0; i < half; i++) {
        double angle = (double) ((float) position * model->inverse_frequency[i]);
        cos_sin[i] = (float) cos (angle);
        cos_sin[half + i] = (float) sin (angle);
    }
}

/*  A table for the positions that nearly all sequences stay within; a context of 2^24 must not cost
 *  gigabytes. */
int rope_prepare (model_t *model)
{
    const model_config_t *c = &model->config;
    model->rope_n = c->context < TABLE_MAX ? c->context : TABLE_MAX;
    model->inverse_frequency = calloc (c->head_dim / 2, sizeof (float));
    model->rope = calloc (model->rope_n * c->head_dim, sizeof (float));
    if (!model->inverse_frequency || !model->rope)
        return -1;
    for (size_t i = 0; i < c->head_dim / 2; i++)
        model->inverse_frequency[i] = rope_inverse_frequency (c, i);
    for (size_t p = 0; p < model->rope_n; p++)
        rope_compute (model, p, model->rope + p * c->head_dim);
    return 0;
}

/*  Beyond the table the angles are computed when they are met, into the caller's buffer: the same
 *  function, the same bits. */
const float *rope_at (const model_t *model, size_t position, float *buffer, const float **sin)
{
    size_t dim = model->config.head_dim;
    const float *cos_sin = buffer;
    if (position < model->rope_n)
        cos_sin = model->rope + position * dim;
    else
        rope_compute (model, position, buffer);
    *sin = cos_sin + dim / 2;
    return cos_sin;
}

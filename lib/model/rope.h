/*  rope - rotary positions (Su et al., "RoFormer", section 3.2.2) in Hugging Face's layout, where
 *  dimension i turns together with i + head_dim / 2.
 *
 *      rope_prepare (model);                              frequencies and the table, once
 *      cos = rope_at (model, position, buffer, &sin);
 *
 *  Angles are float32 products position * inverse frequency, as transformers computes them.
 */
#ifndef QUINTET_MODEL_ROPE_H
#define QUINTET_MODEL_ROPE_H

#include "model/weights.h"

/*  Fills inverse_frequency, rope and rope_n. -1: no memory. */
int rope_prepare (model_t *model);
/*  cos [head_dim / 2] of a position, and sin; buffer: head_dim floats, used beyond the table. */
const float *rope_at (const model_t *model, size_t position, float *buffer, const float **sin);

#endif

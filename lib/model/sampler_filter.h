/*  sampler_filter - narrows down what a token is drawn from.
 *
 *      sampler_filter_t filter = {.top_k = 40, .top_p = 0.9f, .min_p = 0.05f};
 *      if (sampler_filter_check (&filter, &err) != 0) ...
 *      kernels->softmax (logits, vocab, 1 / temperature, weights);
 *      float sum = sampler_filter_apply (&filter, weights, vocab, order);
 *      id = kernels->search (weights, vocab, u * sum);
 *
 *  In this order, as transformers applies them:
 *
 *    repetition  z_i = z_i > 0 ? z_i / r : z_i r, once for every id that the prompt or the
 *                completion has so far (Keskar et al. 2019, section 4.1); greedy decoding too
 *    temperature w_i = exp (z_i / T - max z / T)
 *    top_k       keeps the k likeliest, and whatever is as likely as the last of them
 *    top_p       of what is left keeps the fewest likeliest whose weights reach top_p of the sum
 *                (Holtzman et al. 2020, section 3.1); of equally likely ones the lower ids
 *    min_p       keeps what has at least min_p times the weight of the likeliest (Nguyen et al.
 *                2024, section 3)
 *
 *  The likeliest id always stays. What is left is renormalised: an id is drawn with w_i / sum w.
 *  All of it is a pure function of the weights, so samples stay reproducible.
 *
 *  Recorded log-probabilities do not follow a filter: they are of the whole vocabulary. Training
 *  would take them for those that were drawn from, so it samples without a filter.
 */
#ifndef QUINTET_MODEL_SAMPLER_FILTER_H
#define QUINTET_MODEL_SAMPLER_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*  All members 0: every id may be drawn as softmax says. */
typedef struct {
    size_t top_k;     /* 0: off */
    float top_p;      /* in [0, 1]; 0 and 1: off */
    float min_p;      /* in [0, 1]; 0: off */
    float repetition; /* penalty, in [0, 100]; 0 and 1: off */
} sampler_filter_t;

/*  Whether it keeps anything from being drawn, or changes how likely it is. */
bool sampler_filter_active (const sampler_filter_t *filter);
/*  ERR_INPUT names the number that is out of its range. */
int sampler_filter_check (const sampler_filter_t *filter, err_t *err);

/*  z [vocab] gets the logits after the penalty for the n ids; may be called for several lists of
 *  ids of one position, with the same logits, once z holds a copy of them. */
void sampler_filter_penalise (const sampler_filter_t *filter, const float *logits,
                              const int32_t *ids, size_t n, float *z);
/*  Clears the weights [vocab] of what may not be drawn and returns the sum of the others. order:
 *  [vocab] of scratch. */
float sampler_filter_apply (const sampler_filter_t *filter, float *weights, size_t vocab,
                            uint32_t *order);

#endif

/*  loss - policy-gradient losses on log-probabilities, and their gradients; pure, double
 *  precision.
 *
 *      loss_norm_t norm = {.sequences = n, .tokens = tokens};       of the whole batch, known first
 *      loss_sequence (&config, &norm, &sequence, dlogp, &parts[i]);   any thread, any order
 *      loss_add (&sums, &parts[i]);                                   one thread, in order of i
 *      loss_metrics (&config, &sums, &metrics);
 *
 *  A sequence is one completion. Each sequence's part of the loss depends on that sequence and on
 *  the norm alone, so sequences may be computed anywhere; summed in order they give the same bits.
 *  loss.c has the formula and the paper of each.
 */
#ifndef QUINTET_LEARN_LOSS_H
#define QUINTET_LEARN_LOSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*  One line per loss: enumerator and its name in configurations. */
#define LOSS_TYPES(X)                                                                              \
    X (LOSS_GRPO, "grpo")                                                                          \
    X (LOSS_BNPO, "bnpo")                                                                          \
    X (LOSS_DR_GRPO, "dr_grpo")                                                                    \
    X (LOSS_DAPO, "dapo")                                                                          \
    X (LOSS_CISPO, "cispo")                                                                        \
    X (LOSS_SAPO, "sapo")                                                                          \
    X (LOSS_LUSPO, "luspo")                                                                        \
    X (LOSS_VESPO, "vespo")                                                                        \
    X (LOSS_RLOO, "rloo")

#define LOSS_X(type, name) type,
typedef enum { LOSS_TYPES (LOSS_X) LOSS_TYPE_COUNT } loss_type_t;
#undef LOSS_X

/*  What is done about old_logp and sampler_logp being of different weights or numerics: with
 *  c = exp (old - sampler), per token or of the sequence's mean, the surrogate is multiplied by
 *  min (c, cap), or by c and by 0 where c > cap. */
typedef enum {
    LOSS_CORRECT_NONE,
    LOSS_CORRECT_TOKEN_TRUNCATE,
    LOSS_CORRECT_TOKEN_MASK,
    LOSS_CORRECT_SEQUENCE_TRUNCATE,
    LOSS_CORRECT_SEQUENCE_MASK
} loss_correction_t;

/*  Estimators of KL (policy, reference) from the policy's own samples (Schulman, "Approximating KL
 *  divergence"). As part of a loss they differ by their gradients: that of k1 is 0 on average,
 *  unless it is weighted by the importance ratio. */
typedef enum { LOSS_KL_K3, LOSS_KL_K1, LOSS_KL_K2 } loss_kl_t;

typedef struct {
    loss_type_t type;
    bool sequence_level; /* one importance ratio per sequence, of the mean log ratio (GSPO) */
    double clip_low, clip_high; /* epsilons around 1; CISPO: clip_high is the bound itself */
    double delta; /* upper bound of the ratio where the advantage is negative; 0: none */
    double kl;    /* weight of the KL to the reference; 0: none, ref is not read */
    loss_kl_t kl_estimator;
    bool kl_ratio;        /* KL weighted by the importance ratio: unbiased off policy */
    double off_policy_kl; /* drop sequences with negative advantage that drifted further; 0: none */
    loss_correction_t correction;
    double correction_cap;
    double sapo_positive, sapo_negative; /* temperatures; 0: 1.0 and 1.05 */
    double max_tokens; /* DR_GRPO divides by it: the longest completion that was allowed */
} loss_config_t;

/*  What a sequence must know about its batch. */
typedef struct {
    size_t sequences; /* completions, masked ones included */
    size_t tokens;    /* unmasked ones */
} loss_norm_t;

typedef struct {
    size_t n;
    const double *logp;    /* under the weights that are trained */
    const double *old;     /* what the ratio is taken against */
    const double *ref;     /* reference policy; NULL without a KL term */
    const double *sampler; /* what the sampler reported; NULL: the same as old */
    const uint8_t *mask;   /* 0: the token counts for nothing; NULL: all count */
    double advantage;
} loss_sequence_t;

/*  What one sequence adds, or many. {0} is empty. */
typedef struct {
    double loss;
    size_t sequences, tokens;
    double kl, ratio;         /* sums over tokens */
    double low, high, region; /* clipped, summed over tokens (sequence level: sequences) */
    double cispo;
    double phi;               /* VESPO's weights, over sequences */
    double low_min, high_max; /* of a sequence's share of clipped tokens */
    double ratio_min, ratio_max;
} loss_sums_t;

typedef struct {
    double loss;
    double kl;
    double clip_low, clip_high, clip;   /* shares of clipped tokens (sequence level: sequences) */
    double clip_low_min, clip_high_max; /* smallest and largest share in a sequence */
    double clip_cispo;
    double phi; /* VESPO: mean weight of a sequence */
    double ratio_min, ratio_mean, ratio_max;
} loss_metrics_t;

/*  LOSS_TYPE_COUNT for an unknown name. */
loss_type_t loss_type (const char *name);
const char *loss_name (loss_type_t type);
/*  "k1", "k2"; anything else is k3. */
loss_kl_t loss_kl (const char *name);

/*  Sets dlogp[n] to d loss / d logp of the batch's loss, and part to what this sequence adds. */
void loss_sequence (const loss_config_t *config, const loss_norm_t *norm,
                    const loss_sequence_t *sequence, double *dlogp, loss_sums_t *part);

void loss_add (loss_sums_t *sums, const loss_sums_t *part);

void loss_metrics (const loss_config_t *config, const loss_sums_t *sums, loss_metrics_t *metrics);

#endif

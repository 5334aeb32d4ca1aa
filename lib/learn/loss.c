/*  loss - see loss.h
 *
 *  With r = logp - old, the ratio w is exp (r_t) per token, or exp (mean r) for a whole sequence
 *  (GSPO: Zheng et al. 2025). Per token the loss is
 *
 *      l_t = s_t c_t o + kl k_t
 *
 *      s   clipped    - min (min (w, delta) A, clip (w, 1 - clip_low, 1 + clip_high) A)
 *                     PPO (Schulman et al. 2017, eq. 7); two bounds: DAPO (Yu et al. 2025); delta:
 *                     INTELLECT-2 (Prime Intellect 2025), from 1 + clip_high on the same as the
 *                     dual clip (Ye et al. 2020, eq. 5, its c), which max (.., c A) adds where
 *                     A < 0
 *          CISPO      - sg (min (w, clip_high)) A logp              (MiniMax-M1, 2025)
 *          SAPO       - 4/tau sigmoid (tau (w - 1)) A, tau by A's sign   (Gao et al. 2025)
 *          VESPO      - sg (phi (W)) A logp, W = exp (sum r), phi (W) = W^k exp (lambda (1 - W)),
 *                     (k, lambda) = (2, 3) for A >= 0, else (3, 2)
 *          RLOO       clipped, with w = exp (sum r): the completion is one action
 *                     (Ahmadian et al. 2024)
 *      c   the correction of loss.h (truncated importance sampling: Yao et al. 2025)
 *      o   0 where A < 0 and mean (sampler - logp) > off_policy_kl   (DeepSeek-V3.2, 2025)
 *      k   with d = ref - logp: k1 = - d, k2 = d^2 / 2, k3 = exp (d) - d - 1; times w with kl_ratio
 *                     (Schulman, "Approximating KL divergence"; weighted: DeepSeek-V3.2)
 *
 *  sg () is not differentiated. The batch's loss adds l_t up as
 *
 *      grpo, sapo, rloo   mean over sequences of the mean over their tokens  (DeepSeekMath, 2024)
 *      bnpo, dapo, cispo, vespo   sum / tokens of the batch                  (DAPO)
 *      dr_grpo            sum / (sequences x max_tokens)                     (Liu et al. 2025)
 *      luspo              mean over sequences of the sum over their tokens: sequences weigh by
 *                         their length, which a mean per sequence takes away
 */
#include "learn/loss.h"

#include <math.h>
#include <string.h>

#define LOG_RATIO_MAX 20.0 /* VESPO keeps logarithms of ratios in [log 1e-8, 20] */

loss_type_t loss_type (const char *name)
{
    int type = 0;
    while (type < LOSS_TYPE_COUNT && strcmp (name, loss_name ((loss_type_t) type)) != 0)
        type++;
    return (loss_type_t) type;
}

const char *loss_name (loss_type_t type)
{
#define LOSS_X(value, name) [value] = name,
    static const char *const names[] = {LOSS_TYPES (LOSS_X)};
#undef LOSS_X
    return (unsigned) type < LOSS_TYPE_COUNT ? names[type] : "unknown";
}

loss_kl_t loss_kl (const char *name)
{
    return strcmp (name, "k1") == 0   ? LOSS_KL_K1
           : strcmp (name, "k2") == 0 ? LOSS_KL_K2
                                      : LOSS_KL_K3;
}

/*  Everything about a sequence that its tokens share. */
typedef struct {
    const loss_config_t *config;
    const loss_sequence_t *sequence;
    double count;       /* unmasked tokens */
    bool shared_ratio;  /* one ratio for all tokens */
    double ratio;       /* that one */
    double ratio_slope; /* d log ratio / d logp of each unmasked token */
    double phi;
    double correction; /* of the sequence; per token see token_correction */
    double on_policy;  /* o above: 0 or 1 */
} shared_t;

static bool loss_counts (const loss_sequence_t *s, size_t t)
{
    return !s->mask || s->mask[t];
}

static double loss_token_count (const loss_sequence_t *s)
{
    size_t n = 0;
    for (size_t t = 0; t < s->n; t++)
        n += loss_counts (s, t);
    return (double) n;
}

/*  Sum of a - b over the unmasked tokens. */
static double loss_difference (const loss_sequence_t *s, const double *a, const double *b)
{
    double sum = 0;
    for (size_t t = 0; t < s->n; t++)
        if (loss_counts (s, t))
            sum += a[t] - b[t];
    return sum;
}

/*  phi (W) in logarithms: W is a product over all tokens and would leave the range of a double. */
static double loss_vespo_phi (const loss_sequence_t *s)
{
    double lowest = log (1e-8), log_w = 0;
    for (size_t t = 0; t < s->n; t++)
        if (loss_counts (s, t))
            log_w += fmin (fmax (s->logp[t] - s->old[t], -LOG_RATIO_MAX), LOG_RATIO_MAX);
    log_w = fmin (fmax (log_w, lowest), LOG_RATIO_MAX);
    double k = s->advantage >= 0 ? 2 : 3, lambda = s->advantage >= 0 ? 3 : 2;
    return exp (lambda + k * log_w - lambda * exp (log_w));
}

/*  Truncation keeps a weight that is too large at its cap; masking drops the token or sequence. */
static double loss_corrected (double c, double cap, bool truncate)
{
    return c <= cap ? c : truncate ? cap : 0;
}

/*  The engine that sampled computes in other bits than training does: old / sampler corrects for
 *  it, per token here, per sequence in `shared`. Without the sampler's numbers there is nothing to
 *  correct. */
static double loss_token_correction (const shared_t *shared, size_t t)
{
    loss_correction_t mode = shared->config->correction;
    const loss_sequence_t *s = shared->sequence;
    if ((mode != LOSS_CORRECT_TOKEN_TRUNCATE && mode != LOSS_CORRECT_TOKEN_MASK) || !s->sampler)
        return shared->correction;
    return loss_corrected (exp (s->old[t] - s->sampler[t]), shared->config->correction_cap,
                           mode == LOSS_CORRECT_TOKEN_TRUNCATE);
}

/*  Sums over the sequence that the loop over its tokens needs: its ratio, its correction, whether
 *  it is too far off-policy. */
static shared_t loss_shared_of (const loss_config_t *config, const loss_sequence_t *s)
{
    shared_t shared = {.config = config, .sequence = s, .correction = 1, .on_policy = 1};
    const double *sampler = s->sampler ? s->sampler : s->old;
    shared.count = loss_token_count (s);
    double n = fmax (shared.count, 1);
    shared.shared_ratio = config->sequence_level || config->type == LOSS_RLOO;
    if (shared.shared_ratio) {
        shared.ratio_slope = config->type == LOSS_RLOO ? 1 : 1 / n;
        shared.ratio = exp (shared.ratio_slope * loss_difference (s, s->logp, s->old));
    }
    if (config->type == LOSS_VESPO)
        shared.phi = loss_vespo_phi (s);
    if (config->correction == LOSS_CORRECT_SEQUENCE_TRUNCATE ||
        config->correction == LOSS_CORRECT_SEQUENCE_MASK)
        shared.correction =
            loss_corrected (exp (loss_difference (s, s->old, sampler) / n), config->correction_cap,
                            config->correction == LOSS_CORRECT_SEQUENCE_TRUNCATE);
    if (config->off_policy_kl > 0 && s->advantage < 0 &&
        loss_difference (s, sampler, s->logp) / n > config->off_policy_kl)
        shared.on_policy = 0;
    return shared;
}

/*  A term of the loss and its derivatives by the ratio and, where the ratio is not differentiated,
 *  by logp. */
typedef struct {
    double value, by_ratio, by_logp;
} term_t;

static term_t loss_clipped (const loss_config_t *config, double w, double advantage)
{
    double low = 1 - config->clip_low, high = 1 + config->clip_high;
    bool bounded = config->delta > 0 && w > config->delta;
    double first = (bounded ? config->delta : w) * advantage;
    double second = fmin (fmax (w, low), high) * advantage;
    double by_first = bounded ? 0 : advantage;
    double by_second = w >= low && w <= high ? advantage : 0;
    /* PyTorch's min gives half of the gradient to each side where both are equal, which is
     * everywhere on the first update (w = 1): so do we, or the first step would differ. */
    term_t term = {.value = -fmin (first, second)};
    term.by_ratio = first < second   ? -by_first
                    : first > second ? -by_second
                                     : -(by_first + by_second) / 2;
    return term;
}

static term_t loss_sapo (const loss_config_t *config, double w, double advantage)
{
    double tau = advantage > 0 ? config->sapo_positive : config->sapo_negative;
    if (tau <= 0)
        tau = advantage > 0 ? 1.0 : 1.05;
    double sigmoid = 1 / (1 + exp (-tau * (w - 1)));
    return (term_t){.value = -4 / tau * sigmoid * advantage,
                    .by_ratio = -4 * sigmoid * (1 - sigmoid) * advantage};
}

/*  CISPO and VESPO weigh log-probabilities by a constant; the others differentiate the ratio. */
static term_t loss_surrogate (const shared_t *shared, double w, double logp)
{
    const loss_config_t *config = shared->config;
    double advantage = shared->sequence->advantage;
    double weight; /* of REINFORCE-like losses: weight A logp */
    switch (config->type) {
    case LOSS_CISPO:
        weight = fmin (w, config->clip_high);
        break;
    case LOSS_VESPO:
        weight = shared->phi;
        break;
    case LOSS_SAPO:
        return loss_sapo (config, w, advantage);
    default:
        return loss_clipped (config, w, advantage);
    }
    return (term_t){.value = -weight * advantage * logp, .by_logp = -weight * advantage};
}

/*  With kl_ratio the estimate is weighted by w, and both factors are differentiated. */
static term_t loss_divergence (const loss_config_t *config, double w, double d)
{
    term_t k = {.value = exp (d) - d - 1, .by_logp = 1 - exp (d)};
    if (config->kl_estimator == LOSS_KL_K1)
        k = (term_t){.value = -d, .by_logp = 1};
    else if (config->kl_estimator == LOSS_KL_K2)
        k = (term_t){.value = d * d / 2, .by_logp = -d};
    if (config->kl_ratio)
        k = (term_t){.value = k.value * w, .by_ratio = k.value, .by_logp = k.by_logp * w};
    return k;
}

/*  What a token of this sequence is multiplied with in the batch's loss: the table at the top of
 *  this file. */
static double loss_token_weight (const loss_config_t *config, const loss_norm_t *norm, double count)
{
    double sequences = fmax ((double) norm->sequences, 1);
    switch (config->type) {
    case LOSS_GRPO:
    case LOSS_SAPO:
    case LOSS_RLOO:
        return 1 / (fmax (count, 1) * sequences);
    case LOSS_DR_GRPO:
        return 1 / (sequences * fmax (config->max_tokens, 1));
    case LOSS_LUSPO:
        return 1 / sequences;
    default:
        return 1 / fmax ((double) norm->tokens, 1);
    }
}

/*  A token is clipped when its ratio has left the bounds in the direction in which its advantage
 *  pushes it. */
static void loss_count_clipped (const loss_config_t *config, double w, double advantage,
                                loss_sums_t *part)
{
    bool low = w < 1 - config->clip_low && advantage < 0;
    bool high = w > 1 + config->clip_high && advantage > 0;
    part->low += low;
    part->high += high;
    part->region += low || high;
    part->cispo += w > config->clip_high && advantage > 0;
}

/*  Turns counts into the sequence's own shares. With one ratio for all tokens the sequence is what
 *  is clipped or not: its counts are made anew from that one ratio. */
static void loss_close_part (const shared_t *shared, loss_sums_t *part)
{
    double n = fmax (shared->count, 1);
    part->sequences = 1;
    part->tokens = (size_t) shared->count;
    part->phi = shared->phi;
    part->low_min = part->low / n;
    part->high_max = part->high / n;
    if (!shared->shared_ratio)
        return;
    *part = (loss_sums_t){.loss = part->loss,
                          .sequences = 1,
                          .tokens = part->tokens,
                          .kl = part->kl,
                          .ratio = part->ratio,
                          .phi = part->phi,
                          .ratio_min = part->ratio_min,
                          .ratio_max = part->ratio_max};
    loss_count_clipped (shared->config, shared->ratio, shared->sequence->advantage, part);
    part->low_min = part->low;
    part->high_max = part->high;
}

/*  One pass over the tokens. Where the ratio belongs to the whole sequence, its derivative gathers
 *  over all tokens first and is then given to each: d loss / d logp_t = (sum of d loss / d w) w d
 *  log w / d logp_t. */
void loss_sequence (const loss_config_t *config, const loss_norm_t *norm,
                    const loss_sequence_t *sequence, double *dlogp, loss_sums_t *part)
{
    shared_t shared = loss_shared_of (config, sequence);
    double weight = loss_token_weight (config, norm, shared.count);
    double by_shared_ratio = 0;
    *part = (loss_sums_t){0};
    for (size_t t = 0; t < sequence->n; t++) {
        dlogp[t] = 0;
        if (!loss_counts (sequence, t))
            continue;
        double logp = sequence->logp[t];
        double w = shared.shared_ratio ? shared.ratio : exp (logp - sequence->old[t]);
        double keep = loss_token_correction (&shared, t) * shared.on_policy;
        term_t s = loss_surrogate (&shared, w, logp), k = {0};
        if (config->kl > 0)
            k = loss_divergence (config, w, sequence->ref[t] - logp);
        double by_ratio = weight * (keep * s.by_ratio + config->kl * k.by_ratio);
        dlogp[t] = weight * (keep * s.by_logp + config->kl * k.by_logp);
        if (shared.shared_ratio)
            by_shared_ratio += by_ratio;
        else
            dlogp[t] += by_ratio * w;
        part->loss += weight * (keep * s.value + config->kl * k.value);
        part->kl += k.value;
        part->ratio += w;
        part->ratio_min = part->tokens++ ? fmin (part->ratio_min, w) : w;
        part->ratio_max = fmax (part->ratio_max, w);
        loss_count_clipped (config, w, sequence->advantage, part);
    }
    for (size_t t = 0; shared.shared_ratio && t < sequence->n; t++)
        if (loss_counts (sequence, t))
            dlogp[t] += by_shared_ratio * shared.ratio * shared.ratio_slope;
    loss_close_part (&shared, part);
}

/*  Sums only, and minima and maxima: adding parts in the order of the batch gives the same bits
 *  whoever computed them. */
void loss_add (loss_sums_t *sums, const loss_sums_t *part)
{
    bool first = sums->sequences == 0, first_token = sums->tokens == 0;
    sums->loss += part->loss;
    sums->sequences += part->sequences;
    sums->kl += part->kl;
    sums->ratio += part->ratio;
    sums->low += part->low;
    sums->high += part->high;
    sums->region += part->region;
    sums->cispo += part->cispo;
    sums->phi += part->phi;
    sums->low_min = first ? part->low_min : fmin (sums->low_min, part->low_min);
    sums->high_max = first ? part->high_max : fmax (sums->high_max, part->high_max);
    if (part->tokens) {
        sums->ratio_min = first_token ? part->ratio_min : fmin (sums->ratio_min, part->ratio_min);
        sums->ratio_max = fmax (sums->ratio_max, part->ratio_max);
    }
    sums->tokens += part->tokens;
}

/*  Shares are of what is clipped: sequences where they have one ratio, else tokens. */
void loss_metrics (const loss_config_t *config, const loss_sums_t *sums, loss_metrics_t *metrics)
{
    double tokens = fmax ((double) sums->tokens, 1), sequences = fmax ((double) sums->sequences, 1);
    double units = config->sequence_level || config->type == LOSS_RLOO ? sequences : tokens;
    *metrics = (loss_metrics_t){.loss = sums->loss,
                                .kl = sums->kl / tokens,
                                .clip_low = sums->low / units,
                                .clip_high = sums->high / units,
                                .clip = sums->region / units,
                                .clip_low_min = sums->low_min,
                                .clip_high_max = sums->high_max,
                                .clip_cispo = sums->cispo / units,
                                .phi = sums->phi / sequences,
                                .ratio_min = sums->ratio_min,
                                .ratio_mean = sums->ratio / tokens,
                                .ratio_max = sums->ratio_max};
}

/*  advantage - from rewards to advantages, pure.
 *
 *      advantage_group (rewards, first, groups, ADVANTAGE_SCALE_GROUP, advantages, &stats);
 *
 *  A_i = (R_i - mean_g) / (std_g + 1e-4), std with G - 1 (GRPO: Shao et al., DeepSeekMath, section
 *  4.1; scale none: Dr. GRPO, Liu et al. 2025). A group whose rewards spread less than 1e-8 gives
 *  zeros.
 */
#ifndef QUINTET_LEARN_ADVANTAGE_H
#define QUINTET_LEARN_ADVANTAGE_H

#include <stddef.h>
#include <stdint.h>

typedef enum {
    ADVANTAGE_SCALE_GROUP,
    ADVANTAGE_SCALE_BATCH,
    ADVANTAGE_SCALE_NONE
} advantage_scale_t;

typedef struct {
    double mean, std;   /* of all rewards */
    size_t zero_spread; /* groups that give no gradient; empty ones are not counted */
} advantage_stats_t;

/*  first[g] .. first[g + 1] - 1 are the rewards of group g; first has groups + 1 entries. */
void advantage_group (const double *rewards, const size_t *first, size_t groups,
                      advantage_scale_t scale, double *advantages, advantage_stats_t *stats);

/*  REINFORCE leave-one-out (Ahmadian et al. 2024): R_i - mean of the others in the group. */
void advantage_rloo (const double *rewards, const size_t *first, size_t groups, double *advantages,
                     advantage_stats_t *stats);

/*  What the reward of a completion loses by its length (soft overlong punishment, DAPO: Yu et al.
 *  2025, eq. 13): 0 up to longest - cache tokens, then in a line down to -1 at longest. cache 0:
 *  nothing. */
double advantage_overlong (size_t tokens, size_t longest, size_t cache);

/*  Generalised advantage estimation over the turns of one episode (Schulman et al. 2016, eq. 16),
 *  gamma 1, reward at the end: values[t] is V before turn t. */
void advantage_gae (const double *values, size_t turns, double reward, double lambda,
                    double *advantages);

/*  In place: mean 0, standard deviation 1 (n - 1) over the batch; zeros when it does not vary. */
void advantage_normalise (double *advantages, size_t n);

/*  1 - Var (returns - values) / Var (returns); 0 when returns do not vary. */
double advantage_explained_variance (const double *returns, const double *values, size_t n);

#endif

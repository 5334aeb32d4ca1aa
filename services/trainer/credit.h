/*  credit - from a rollout's rewards to an advantage for every completion; pure.
 *
 *      credit_t credit = {0};
 *      credit_compute (&credit, rollout, &options, values, &err);
 *      credit.advantages[rollout->first_completion[e] + c] ...
 *      credit_free (&credit);
 */
#ifndef QUINTET_TRAINER_CREDIT_H
#define QUINTET_TRAINER_CREDIT_H

#include <stdbool.h>

#include "learn/advantage.h"
#include "rollout.h"

typedef struct {
    advantage_scale_t scale;
    bool leave_one_out; /* RLOO's baseline */
    bool group, critic; /* which baselines; both: mean of the two, each normalised over the batch */
    double lambda;      /* GAE over turns */
    size_t max_tokens;  /* of a completion */
    size_t overlong_tokens; /* the last of these, over which rewards fall; 0: none */
} credit_options_t;

typedef struct {
    double *advantages; /* by flat number of the completion */
    size_t zero_spread; /* groups */
    double overlong;    /* what the mean reward lost by completions that were too long; <= 0 */
} credit_t;

/*  values: V before each completion by flat number, from the critic; NULL: the group baseline
 *  alone, whatever the options say. */
int credit_compute (credit_t *credit, const rollout_t *rollout, const credit_options_t *options,
                    const double *values, err_t *err);
void credit_free (credit_t *credit);

#endif

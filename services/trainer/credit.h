/*  credit - what a rollout gives to credit assignment (learn/assign.h), and what comes of it; pure.
 *
 *      credit_t credit = {0};
 *      credit_compute (&credit, rollout, &options, values, &err);
 *      credit.advantages[rollout->first_completion[e] + c] ...
 *      credit_free (&credit);
 */
#ifndef QUINTET_TRAINER_CREDIT_H
#define QUINTET_TRAINER_CREDIT_H

#include "learn/assign.h"
#include "rollout.h"
#include "task/mates.h"

typedef struct {
    assign_list_t credits;
    assign_options_t assign;
    mates_t mates;            /* teams that are scored besides those that were played */
    const char *const *roles; /* their names; borrowed */
    size_t roles_n;
    double team, local;     /* R_(i,r) = team R_i + local local_(i,r) */
    double divisor;         /* of all rewards; 0: they are not divided */
    size_t max_tokens;      /* of a completion */
    size_t overlong_tokens; /* the last of these, over which rewards fall; 0: none */
} credit_options_t;

typedef struct {
    double *advantages; /* by flat number of the completion */
    size_t zero_spread; /* groups */
    double overlong;    /* what the mean reward lost by completions that were too long; <= 0 */
} credit_t;

/*  ERR_INPUT: roles have weight of their own, and the scorer told of a role no local part.
 *  values: V before each completion by flat number, from the critic; NULL: it is not trusted, and
 *  the other credits stand alone. */
int credit_compute (credit_t *credit, const rollout_t *rollout, const credit_options_t *options,
                    const double *values, err_t *err);
void credit_free (credit_t *credit);

#endif

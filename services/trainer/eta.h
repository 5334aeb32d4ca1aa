/*  eta - how long a run will still take, from its last steps; pure.
 *
 *      eta_t eta = {0};
 *      eta_step (&eta, 1.5);                      seconds of a training step, without evaluations
 *      eta_evaluation (&eta, 4.0);                of the last evaluation
 *      double left_s = eta_left (&eta, steps, evaluations);
 */
#ifndef QUINTET_TRAINER_ETA_H
#define QUINTET_TRAINER_ETA_H

#include <stddef.h>

#define ETA_STEPS 8 /* that are looked at: the last ones */

typedef struct {
    double step_s[ETA_STEPS]; /* a ring */
    size_t n;                 /* steps so far */
    double evaluation_s;
} eta_t;

void eta_step (eta_t *eta, double seconds);
void eta_evaluation (eta_t *eta, double seconds);
/*  The median of the last steps for each that is left, and the last evaluation for each of those.
 *  NAN before the first step. */
double eta_left (const eta_t *eta, size_t steps, size_t evaluations);

#endif

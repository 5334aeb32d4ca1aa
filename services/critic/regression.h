/*  regression - the value function, and the last episodes that it has learnt from: one state,
 *  learnt from one to the next.
 *
 *      regression_t *regression = regression_new (&shape, &err);
 *      regression_values (regression, records, values, &err);
 *      regression_learn (regression, records, returns, &learnt, &err);
 *      regression_bytes (regression, &bytes);       one object; regression_parse reads it
 *      regression_destroy (&regression);
 *
 *  A Gaussian process (Rasmussen and Williams 2006, sections 2.2, 5.4.1). The value of a text x is
 *  V (x) = m + sum_i alpha_i k (x, x_i) with alpha = (K + G + N)^-1 (R - m) and
 *  k (x, y) = a_b b(x) b(y) + a_s s(x) s(y) + a_p b(x) b(y) s(x) s(y),
 *  over the last `replay` texts x_i, R_i the mean return of the episodes that read x_i, m the mean
 *  return of x_i's step (for V: of the last step). b (x) b (y) is the cosine of two briefs'
 *  features, s (x) s (y) that of what was said: the last term is for words that are right for one
 *  brief alone.
 *
 *  G adds a_g between texts of one group: what its episodes share and no word of the brief tells is
 *  not to be learnt as if they were so many tasks. N is a diagonal, noise / weight: the noise is 1,
 *  before anything was said 1 + a_s + a_p, since what will be said is not known; each episode has
 *  weight 1, in equal parts on the texts that it read.
 *
 *  Learning adds the step's texts and drops the oldest. It then chooses a_b, a_s, a_p and a_g by
 *  going up and down their ladders once, where that makes the returns of the newest episodes
 *  likelier, of each the last text (the marginal likelihood, its scale at its best), and solves for
 *  alpha: exactly, whereas a network would need many passes. All of it is a pure function of state,
 *  records and returns, on one thread.
 */
#ifndef QUINTET_CRITIC_REGRESSION_H
#define QUINTET_CRITIC_REGRESSION_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "records.h"

typedef struct {
    uint32_t replay;  /* texts that are kept */
    uint32_t context; /* words of a text */
} regression_shape_t;

typedef struct {
    double explained_variance; /* of the values before learning */
    double loss;               /* mean squared error before learning */
} regression_learnt_t;

typedef struct regression regression_t;

regression_t *regression_new (const regression_shape_t *shape, err_t *err);
/*  Everything is checked: the bytes come from the network. */
regression_t *regression_parse (const void *data, size_t size, err_t *err);
regression_t *regression_copy (const regression_t *regression, err_t *err);
void regression_destroy (regression_t **regression);

size_t regression_context (const regression_t *regression);
/*  Appends the state. */
void regression_bytes (const regression_t *regression, buf_t *bytes);

/*  values: one per record. */
int regression_values (const regression_t *regression, const records_t *records, double *values,
                       err_t *err);
/*  returns: one per record. */
int regression_learn (regression_t *regression, const records_t *records, const double *returns,
                      regression_learnt_t *learnt, err_t *err);

#endif

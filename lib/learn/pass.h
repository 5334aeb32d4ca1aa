/*  pass - pass@k of a task from more samples than k; pure.
 *
 *      double solved = pass_at (8, 3, 4);          one of four, when 3 of 8 samples passed
 */
#ifndef QUINTET_LEARN_PASS_H
#define QUINTET_LEARN_PASS_H

#include <stddef.h>

/*  Unbiased estimate of pass@k, the chance that at least one of k samples of a task passes, from n
 *  samples of which c passed: 1 - C(n - c, k) / C(n, k). 1 <= k <= n. (Chen et al. 2021,
 *  "Evaluating Large Language Models Trained on Code", section 2.1.) */
double pass_at (size_t n, size_t c, size_t k);

#endif

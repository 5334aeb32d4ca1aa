/*  pass - see pass.h */
#include "learn/pass.h"

/*  As a product, in which no binomial coefficient can overflow:
 *  C(n - c, k) / C(n, k) = product over i = n - c + 1 .. n of (1 - k / i). */
double pass_at (size_t n, size_t c, size_t k)
{
    double none = 1; /* chance that k of the n samples, drawn without replacement, all failed */
    if (n - c < k)
        return 1;
    for (size_t i = n - c + 1; i <= n; i++)
        none *= 1 - (double) k / (double) i;
    return 1 - none;
}

/*  eta - see eta.h */
#include "eta.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*  The ring forgets what is older: completions get longer or shorter as a run learns, and the next
 *  steps are most like the last ones. */
void eta_step (eta_t *eta, double seconds)
{
    eta->step_s[eta->n++ % ETA_STEPS] = seconds;
}

void eta_evaluation (eta_t *eta, double seconds)
{
    eta->evaluation_s = seconds;
}

/*  Not x - y, which an int would cut to 0 for times less than a second apart. */
static int eta_compare (const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

/*  The median: one step that waited for a service that died says nothing of the others. */
double eta_left (const eta_t *eta, size_t steps, size_t evaluations)
{
    double sorted[ETA_STEPS];
    size_t n = eta->n < ETA_STEPS ? eta->n : ETA_STEPS;
    if (n == 0)
        return NAN;
    memcpy (sorted, eta->step_s, n * sizeof *sorted);
    qsort (sorted, n, sizeof *sorted, eta_compare);
    /* The mean of the middle two; for an odd number both are the same one. */
    double median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
    return median * (double) steps + eta->evaluation_s * (double) evaluations;
}

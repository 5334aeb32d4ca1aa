/*  schedule - see schedule.h */
#include "schedule.h"

#include <math.h>
#include <string.h>

/*  The configuration refuses other names before this is called, so the last case is "constant". */
schedule_kind_t schedule_kind (const char *name)
{
    return strcmp (name, "linear") == 0   ? SCHEDULE_LINEAR
           : strcmp (name, "cosine") == 0 ? SCHEDULE_COSINE
                                          : SCHEDULE_CONSTANT;
}

/*  A function of the step and the configuration, nothing is remembered: a run that is resumed under
 *  the same one goes on with the rate that it would have had. */
double schedule_lr (const schedule_t *s, uint64_t step)
{
    /* step + 1: a first step with a rate of 0 would move nothing and cost as much as any other. */
    if (step < s->warmup)
        return s->lr * (double) (step + 1) / (double) s->warmup;
    if (s->kind == SCHEDULE_CONSTANT || s->steps <= s->warmup)
        return s->lr;
    /* From the end of the warm-up to the end of the run. The last step is one short of lr * end. */
    double progress = fmin (1, (double) (step - s->warmup) / (double) (s->steps - s->warmup));
    double falling = s->kind == SCHEDULE_LINEAR ? 1 - progress : (1 + cos (M_PI * progress)) / 2;
    return s->lr * (s->end + (1 - s->end) * falling);
}

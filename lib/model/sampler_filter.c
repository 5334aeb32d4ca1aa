/*  sampler_filter - see sampler_filter.h
 *
 *  A vocabulary has a hundred thousand ids and the filters keep a few of them, so sorting all would
 *  cost more than the model's last layer. A heap is made in linear time and gives up the likeliest
 *  ids one after the other, until the filters need no more of them.
 */
#include "model/sampler_filter.h"

#include <math.h>
#include <string.h>

bool sampler_filter_active (const sampler_filter_t *f)
{
    return f->top_k > 0 || (f->top_p > 0 && f->top_p < 1) || f->min_p > 0 ||
           (f->repetition > 0 && (f->repetition < 1 || f->repetition > 1));
}

/*  A comparison that is written so that NaN fails it. */
static int filter_check_range (float value, float high, const char *name, err_t *err)
{
    return value >= 0 && value <= high
               ? 0
               : err_set (err, ERR_INPUT, "%s is %g; it must be a number from 0 to %g", name,
                          (double) value, (double) high);
}

int sampler_filter_check (const sampler_filter_t *f, err_t *err)
{
    return filter_check_range (f->top_p, 1, "top_p", err) == 0 &&
                   filter_check_range (f->min_p, 1, "min_p", err) == 0 &&
                   filter_check_range (f->repetition, 100, "repetition_penalty", err) == 0
               ? 0
               : -1;
}

/*  An id that stands twice is punished once, since what is punished is always the model's own
 *  logit. */
void sampler_filter_penalise (const sampler_filter_t *f, const float *logits, const int32_t *ids,
                              size_t n, float *z)
{
    for (size_t i = 0; i < n; i++) {
        float own = logits[ids[i]];
        z[ids[i]] = own > 0 ? own / f->repetition : own * f->repetition;
    }
}

/*  ---- the likeliest first: a binary heap of ids ---- */

static bool filter_before (const float *weights, uint32_t a, uint32_t b)
{
    return weights[a] > weights[b] || (weights[a] >= weights[b] && a < b);
}

static void filter_sink (const float *weights, uint32_t *heap, size_t n, size_t at)
{
    uint32_t id = heap[at];
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && filter_before (weights, heap[child + 1], heap[child]))
            child++;
        if (!filter_before (weights, heap[child], id))
            break;
        heap[at] = heap[child];
    }
    heap[at] = id;
}

/*  Takes the likeliest of n ids and puts it behind the n - 1 others. */
static void filter_pop (const float *weights, uint32_t *heap, size_t n)
{
    uint32_t likeliest = heap[0];
    heap[0] = heap[n - 1];
    heap[n - 1] = likeliest;
    filter_sink (weights, heap, n - 1, 0);
}

/*  The i-th likeliest stands at vocab - 1 - i once it was popped. */
float sampler_filter_apply (const sampler_filter_t *f, float *weights, size_t vocab,
                            uint32_t *order)
{
    size_t popped = 0, most = vocab, kept = 0;
    double total = 0, mass = 0;
    bool by_mass = f->top_p > 0 && f->top_p < 1;
    for (size_t i = 0; i < vocab; i++) {
        order[i] = (uint32_t) i;
        total += (double) weights[i];
    }
    if (!by_mass && !(f->min_p > 0) && (f->top_k == 0 || f->top_k >= vocab))
        return (float) total; /* a penalty alone takes nothing away */
    for (size_t i = vocab / 2; i-- > 0;)
        filter_sink (weights, order, vocab, i);
    if (f->top_k > 0 && f->top_k < vocab) {
        total = 0;
        while (popped < vocab &&
               (popped < f->top_k || weights[order[0]] >= weights[order[vocab - popped]])) {
            total += (double) weights[order[0]];
            filter_pop (weights, order, vocab - popped);
            popped++;
        }
        most = popped;
    }
    for (; kept < most; kept++) {
        if (kept == popped) {
            filter_pop (weights, order, vocab - popped);
            popped++;
        }
        float weight = weights[order[vocab - 1 - kept]];
        if ((by_mass && mass >= (double) f->top_p * total) ||
            (kept > 0 && weight < f->min_p * weights[order[vocab - 1]]))
            break;
        mass += (double) weight;
    }
    for (size_t i = 0; i < vocab - kept; i++)
        weights[order[i]] = 0;
    return (float) mass;
}

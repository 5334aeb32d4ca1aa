/*  train - see train.h: batches, pieces, the sum of the gradients.
 *
 *  DESIGN A batch is a list of groups. What is computed of a group, by one train_work_t at a time,
 *  is
 *
 *      train_lay_out      where the rows of prompt and completions lie
 *      train_forward      logp and entropy of every completion token
 *      the loss           dlogp (the caller's function, which knows advantages and ratios)
 *      train_backward     adds the group's gradient
 *
 *  Gradients are sums of floats, so their bits depend on the order of addition. That order must not
 *  depend on how many threads there are, or a run could not be repeated on another machine. Hence
 *  the pieces: the groups are cut into eight runs by a rule that knows only the batch; within a run
 *  groups are added in order, and the eight gradients are added in a fixed tree. Threads take
 *  pieces as they become free, and nothing of that reaches the sum.
 *
 *  Large models have one piece. Eight gradients of a model of a billion weights would be 32 GB, and
 *  its products are large enough to be shared by all threads, in ways that keep their bits
 *  (products.h).
 */
#include <stdlib.h>
#include <string.h>

#include "model/train_internal.h"

/*  By the size of the model alone; see DESIGN. */
#define PIECES      8
#define SMALL_MODEL ((size_t) 4 << 20) /* weights */
/*  Of a group, besides as much as the weights take (activations), or a quarter of that (logits). */
#define ACTIVATIONS_MAX ((size_t) 256 << 20)
#define LOGITS_MAX      ((size_t) 64 << 20)
#define SUM_FLOATS      ((size_t) 1 << 16)  /* of one piece of the sum */
#define KEPT_MAX        ((size_t) 32 << 20) /* of activations at rest */

/*  Memory lies by thread (work), results lie by piece (gradients): whichever thread takes a piece,
 *  the same numbers end up in the same place. */
struct train {
    const model_t *model;
    pool_t *pool;  /* of pieces */
    pool_t *inner; /* of the work inside one; one of the two is NULL */
    size_t pieces;
    train_limits_t limits;
    float *gradients;   /* [pieces - 1][params]: piece 0 writes into the caller's */
    train_work_t *work; /* by thread of the pool of pieces */
    size_t work_n;
    /* of the run under way */
    const train_group_t *groups;
    size_t *first_group; /* [pieces + 1] */
    size_t *first_token; /* by group */
    size_t groups_n;
    train_loss_fn loss;
    void *context;
    float *gradient, *logp, *entropy;
};

train_t *train_new (const model_t *model, pool_t *pool, err_t *err)
{
    train_t *t = calloc (1, sizeof *t);
    if (t) {
        /* An adapted model costs what its base costs: the adapters are few, but every product goes
         * through the base. */
        size_t of_base = model->base ? model_params (model->base) : 0;
        size_t weights = (model_params (model) + of_base) * sizeof (float);
        bool small = model_params (model) + of_base < SMALL_MODEL;
        *t = (train_t){.model = model,
                       .pool = small ? pool : NULL,
                       .inner = small ? NULL : pool,
                       .pieces = small ? PIECES : 1,
                       .limits = {ACTIVATIONS_MAX + weights, LOGITS_MAX + weights / 4}};
        t->work_n = pool_threads (t->pool);
        t->work = calloc (t->work_n, sizeof *t->work);
        t->first_group = calloc (t->pieces + 1, sizeof *t->first_group);
    }
    if (!t || !t->work || !t->first_group) {
        err_set (err, ERR_LIMIT, "no memory for a training pass");
        train_destroy (&t);
    }
    return t;
}

static void train_free_work (train_t *t)
{
    for (size_t i = 0; t->work && i < t->work_n; i++)
        train_work_free (&t->work[i]);
}

/*  Agents sample between two steps, often on the same machine: what large groups took is given
 *  back, small memory stays. */
void train_rest (train_t *t)
{
    for (size_t i = 0; i < t->work_n; i++)
        if (t->work[i].bytes > KEPT_MAX)
            train_work_free (&t->work[i]);
}

/*  Memory was made for the limits as they were, so it is thrown away. */
void train_limit (train_t *t, size_t activations, size_t logits)
{
    train_free_work (t);
    t->limits.activations = activations ? activations : t->limits.activations;
    t->limits.logits = logits ? logits : t->limits.logits;
}

void train_destroy (train_t **self)
{
    train_t *t = *self;
    if (!t)
        return;
    train_free_work (t);
    free (t->work);
    free (t->first_group);
    free (t->first_token);
    free (t->gradients);
    free (t);
    *self = NULL;
}

/*  Ids come from requests that passed the network: an embedding row outside the table must never be
 *  read. */
static int train_check_ids (const train_t *t, const train_tokens_t *tokens, size_t group,
                            err_t *err)
{
    for (size_t i = 0; i < tokens->n; i++)
        if (tokens->ids[i] < 0 || (size_t) tokens->ids[i] >= t->model->config.vocab)
            return err_set (err, ERR_INPUT, "group %zu: id %d is outside the vocabulary of %zu",
                            group, tokens->ids[i], t->model->config.vocab);
    return tokens->n ? 0 : err_set (err, ERR_INPUT, "group %zu: an empty run of tokens", group);
}

/*  Groups are as the caller got them from other processes. What is not refused here is trusted by
 *  all that follows. */
static int train_check (const train_t *t, err_t *err)
{
    for (size_t g = 0; g < t->groups_n; g++) {
        const train_group_t *group = &t->groups[g];
        if (train_check_ids (t, &group->prompt, g, err) != 0)
            return -1;
        for (size_t c = 0; c < group->completions_n; c++) {
            if (train_check_ids (t, &group->completions[c], g, err) != 0)
                return -1;
            if (group->prompt.n + group->completions[c].n > t->model->config.context)
                return err_set (
                    err, ERR_INPUT, "group %zu: %zu tokens, the model's context has %zu", g,
                    group->prompt.n + group->completions[c].n, t->model->config.context);
        }
        if (group->completions_n == 0)
            return err_set (err, ERR_INPUT, "group %zu has no completions", g);
    }
    return 0;
}

/*  Cuts the groups into pieces of about equal tokens, in order. A piece ends once it has reached
 *  its share of the whole: the cuts depend on the lengths in the batch, not on who works on it. A
 *  piece may be empty. The prompt counts too, as it is computed once for its group. */
static int train_split_batch (train_t *t, err_t *err)
{
    size_t *first = realloc (t->first_token, (t->groups_n + 1) * sizeof *first);
    if (!first)
        return err_set (err, ERR_LIMIT, "no memory for %zu groups", t->groups_n);
    t->first_token = first;
    size_t total = 0, weight = 0, seen = 0, piece = 0;
    for (size_t g = 0; g < t->groups_n; g++) {
        first[g] = total;
        total += train_tokens (&t->groups[g]);
        weight += train_tokens (&t->groups[g]) + t->groups[g].prompt.n;
    }
    first[t->groups_n] = total;
    t->first_group[0] = 0;
    for (size_t g = 0; g < t->groups_n; g++) {
        /* Before group g: has piece `piece` got its share of all tokens? One long group may fill
         * several shares; then the pieces after it stay empty. */
        while (piece + 1 < t->pieces && seen * t->pieces >= weight * (piece + 1))
            t->first_group[++piece] = g;
        seen += train_tokens (&t->groups[g]) + t->groups[g].prompt.n;
    }
    while (piece < t->pieces)
        t->first_group[++piece] = t->groups_n;
    return 0;
}

/*  Checks the batch before any of it is computed, and makes memory for its largest group. What is
 *  large enough from the run before stays: fresh pages cost more time than a small model's step. */
static int train_prepare (train_t *t, const train_group_t *groups, size_t n, bool learns,
                          err_t *err)
{
    t->groups = groups;
    t->groups_n = n;
    if (train_check (t, err) != 0 || train_split_batch (t, err) != 0)
        return -1;
    for (size_t i = 0; i < t->work_n; i++) {
        if (train_work_fits (&t->work[i], learns, groups, n))
            continue;
        train_work_free (&t->work[i]);
        if (train_work_new (&t->work[i], t->model, t->inner, &t->limits, learns, groups, n, err) !=
            0)
            return -1;
    }
    return 0;
}

/*  Piece 0 adds into the caller's gradient, which saves one copy of all weights. */
static float *train_gradient_of (train_t *t, size_t piece)
{
    return piece ? t->gradients + (piece - 1) * model_params (t->model) : t->gradient;
}

/*  The groups of a piece one after the other, each forward, loss, backward: activations exist for
 *  one group at a time. The gradient of a piece is the sum over its groups in order. */
static void train_learn_piece (void *context, size_t piece, size_t thread)
{
    train_t *t = context;
    train_work_t *w = &t->work[thread];
    float *gradient = train_gradient_of (t, piece);
    memset (gradient, 0, model_params (t->model) * sizeof *gradient);
    for (size_t g = t->first_group[piece]; g < t->first_group[piece + 1]; g++) {
        train_lay_out (w, &t->groups[g]);
        train_forward (w);
        /* The loss sees log-probabilities of the group's tokens and says how it changes with each
         * of them. */
        t->loss (t->context, g, t->first_token[g], w->logp, w->entropy, w->dlogp);
        train_backward (w, gradient);
    }
}

/*  Sums the pieces' gradients in a fixed tree, here for one part of the vector: piece i takes piece
 *  i + distance, for distance 1, 2, 4. So 8 pieces become ((0 + 1) + (2 + 3)) + ((4 + 5) + (6 + 7))
 *  on any number of threads. */
static void train_sum_part (void *context, size_t part, size_t thread)
{
    (void) thread;
    train_t *t = context;
    size_t n = model_params (t->model), from = part * SUM_FLOATS;
    size_t size = n - from < SUM_FLOATS ? n - from : SUM_FLOATS;
    const backward_t *b = t->model->kernels->backward;
    for (size_t distance = 1; distance < t->pieces; distance *= 2)
        for (size_t i = 0; i + distance < t->pieces; i += 2 * distance)
            b->add (train_gradient_of (t, i) + from, train_gradient_of (t, i + distance) + from,
                    size);
}

int train_run (train_t *t, const train_group_t *groups, size_t n, train_loss_fn loss, void *context,
               float *gradient, err_t *err)
{
    size_t params = model_params (t->model);
    /* Made at the first run and kept: pieces - 1 gradients of the size of the model, which is small
     * when there are pieces. */
    if (!t->gradients && t->pieces > 1)
        t->gradients = malloc ((t->pieces - 1) * params * sizeof (float));
    if (!t->gradients && t->pieces > 1)
        return err_set (err, ERR_LIMIT, "no memory for %zu gradients of %zu weights", t->pieces,
                        params);
    if (train_prepare (t, groups, n, true, err) != 0)
        return -1;
    t->loss = loss;
    t->context = context;
    t->gradient = gradient;
    /* With one piece the pool here is NULL, and the threads work inside the piece (t->inner). */
    pool_run (t->pool, train_learn_piece, t, t->pieces);
    if (t->pieces > 1)
        pool_run (t->pool, train_sum_part, t, (params + SUM_FLOATS - 1) / SUM_FLOATS);
    return 0;
}

/*  Forward only: groups do not depend on each other, so here every group is a piece of its own. */
static void train_score_group (void *context, size_t g, size_t thread)
{
    train_t *t = context;
    train_work_t *w = &t->work[thread];
    train_lay_out (w, &t->groups[g]);
    train_forward (w);
    size_t n = t->first_token[g + 1] - t->first_token[g];
    memcpy (t->logp + t->first_token[g], w->logp, n * sizeof *w->logp);
    if (t->entropy)
        memcpy (t->entropy + t->first_token[g], w->entropy, n * sizeof *w->entropy);
}

int train_score (train_t *t, const train_group_t *groups, size_t n, float *logp, float *entropy,
                 err_t *err)
{
    if (train_prepare (t, groups, n, false, err) != 0)
        return -1;
    t->logp = logp;
    t->entropy = entropy;
    pool_run (t->pool, train_score_group, t, n);
    return 0;
}

/*  Each thread of the pool of pieces has memory of its own for a group; gradients are one per
 *  piece. */
size_t train_bytes (const train_t *t, const train_group_t *groups, size_t n)
{
    return t->work_n * train_work_bytes (t->model, t->inner, &t->limits, true, groups, n) +
           (t->pieces - 1) * model_params (t->model) * sizeof (float);
}

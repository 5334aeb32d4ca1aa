/*  train_forward - a group forwards; see train_internal.h. The row functions are the sampler's
 *  own, so the log-probabilities have the same bits. */
#include "model/train_internal.h"

/*  ---- layers ---- */

/*  From qkv [row][q_dim + 2 kv_dim] to q, k, v, normed and turned to the row's position. */
static void train_take_heads (train_work_t *w, size_t first, size_t end, size_t thread)
{
    (void) thread;
    const model_t *m = w->model;
    const train_layer_t *l = &w->layers[w->layer];
    size_t wide = m->q_dim + 2 * m->kv_dim;
    for (size_t row = first; row < end; row++)
        forward_heads (m, w->layer, l->qkv + row * wide, w->position[row], l->q + row * m->q_dim,
                       l->k + row * m->kv_dim, l->v + row * m->kv_dim);
}

static void train_put_rows (train_work_t *w, kv_t *kv, size_t first, size_t end)
{
    const model_t *m = w->model;
    const train_layer_t *l = &w->layers[w->layer];
    for (size_t row = first; row < end; row++)
        kv_put (m, kv, 0, w->position[row], l->k + row * m->kv_dim, l->v + row * m->kv_dim);
}

/*  Keys and values of the layer into blocks (kv.h's layout, one layer at a time). A completion's
 *  own blocks begin with what sticks out of the prompt's whole blocks, so these positions are
 *  written once per completion: every block has one owner, and attention gives the bits that it
 *  gives when sampling. */
static void train_put_keys (train_work_t *w)
{
    size_t p = w->prompt_n, whole = p / KERNELS_BLOCK * KERNELS_BLOCK;
    train_put_rows (w, &w->runs[0].kv, 0, p);
    for (size_t c = 1; c <= w->group->completions_n; c++) {
        train_run_t *run = &w->runs[c];
        train_put_rows (w, &run->kv, whole, p);
        train_put_rows (w, &run->kv, run->first, run->first + run->n);
    }
}

/*  Every row attends to positions 0 .. its own. Blocks before own->first are the prompt's; a short
 *  prompt fills none, and then the run has all blocks itself. */
static void train_attend (train_work_t *w, size_t first, size_t end, size_t thread)
{
    const model_t *m = w->model;
    const train_layer_t *l = &w->layers[w->layer];
    float *scratch = w->scratch + thread * w->scratch_floats;
    size_t heads = m->config.heads;
    for (size_t row = first; row < end; row++) {
        const kv_t *own = &w->runs[w->run[row]].kv;
        forward_attention (m, 0, l->q + row * m->q_dim, w->position[row],
                           own->first ? &w->runs[0].kv : NULL, own, l->att + row * m->q_dim,
                           scratch, l->max + row * heads, l->sum + row * heads);
    }
}

/*  act = silu (gate) * up, row by row. */
static void train_activate (train_work_t *w, size_t first, size_t end, size_t thread)
{
    (void) thread;
    const train_layer_t *l = &w->layers[w->layer];
    size_t ff = w->model->config.ff;
    forward_swiglu (w->model, l->gate_up + first * 2 * ff, end - first, l->act + first * ff);
}

/*  With kept activations act alone is missing on the way back: it is as large as gate_up's half and
 *  cheap to compute. */
void train_forward_act (train_work_t *w, size_t layer)
{
    w->layer = layer;
    train_each (w, w->rows, train_activate);
}

/*  Everything of a layer but its last product, which the caller adds: whether that goes to the next
 *  layer's x is no concern of the way back, which calls this again. Shapes: x, h, middle [rows,
 *  width]; qkv [rows, q_dim + 2 kv_dim]; att [rows, q_dim]; gate_up [rows, 2 ff]; act [rows,
 *  ff]. */
void train_forward_layer (train_work_t *w, size_t layer)
{
    const model_t *m = w->model;
    const weights_layer_t *lw = &m->layers[layer];
    const train_layer_t *l = &w->layers[layer];
    size_t n = w->rows;
    w->layer = layer;
    forward_norm (m, &lw->norm_attention, l->x, n, w->h, l->scale1);
    forward_matmul (m, &lw->qkv, w->h, n, NULL, l->qkv, w->rounded, w->pool);
    train_each (w, n, train_take_heads);
    train_put_keys (w);
    train_each (w, n, train_attend);
    forward_matmul (m, &lw->out, l->att, n, l->x, l->middle, w->rounded, w->pool);
    forward_norm (m, &lw->norm_mlp, l->middle, n, w->h, l->scale2);
    forward_matmul (m, &lw->gate_up, w->h, n, NULL, l->gate_up, w->rounded, w->pool);
    train_each (w, n, train_activate);
}

/*  ---- the head ---- */

/*  The prompt's last row chooses the first token of every completion. forward_head_logp may
 *  overwrite logits by their exponentials, which is what the gradient needs; so only the last
 *  completion lets it, as the others still read the logits. */
static void train_choose_first (train_work_t *w, float *logits)
{
    const train_group_t *g = w->group;
    size_t token = 0;
    for (size_t c = 0; c < g->completions_n; token += g->completions[c++].n)
        forward_head_logp (w->model, logits, w->temperature, g->completions[c].ids[0],
                           &w->logp[token], &w->entropy[token],
                           c + 1 == g->completions_n ? logits : NULL, w->sums);
}

/*  A value head has one output per row, the value of the state in which the token is chosen. It
 *  travels as logp. */
static void train_take_value (train_work_t *w, size_t token, float value)
{
    w->logp[token] = value;
    w->entropy[token] = 0;
}

/*  Row 0 stands before the first token of every completion: all of them get its value. */
static void train_take_values (train_work_t *w, size_t row, float value)
{
    const train_group_t *g = w->group;
    size_t token = 0;
    if (row > 0)
        train_take_value (w, w->token[row], value);
    for (size_t c = 0; row == 0 && c < g->completions_n; token += g->completions[c++].n)
        train_take_value (w, token, value);
}

/*  Turns the logits of some head rows, in place, into exponentials, and notes logp and entropy of
 *  the tokens. */
static void train_choose (train_work_t *w, size_t first, size_t end, size_t thread)
{
    (void) thread;
    size_t outputs = w->model->head.outputs;
    for (size_t i = first; i < end; i++) {
        size_t row = w->head_first + i, token = w->token[row];
        /* [outputs] of this head row: logits now, exponentials afterwards. */
        float *logits = w->exps + i * outputs;
        if (w->model->config.value_head)
            train_take_values (w, row, *logits);
        else if (row == 0)
            train_choose_first (w, logits);
        else
            forward_head_logp (w->model, logits, w->temperature, train_id (w, token),
                               &w->logp[token], &w->entropy[token], logits, &w->sums[i]);
    }
}

/*  Keeps no logits but those of one tile of head rows. The gradient needs them again, so with more
 *  than one tile the way back multiplies a second time: cheaper than [head_rows, vocab] floats. */
size_t train_forward_head (train_work_t *w, size_t first)
{
    const model_t *m = w->model;
    size_t n = w->head_rows - first < w->head_tile ? w->head_rows - first : w->head_tile;
    w->head_first = first;
    forward_matmul (m, &m->head, w->hidden + first * m->config.width, n, NULL, w->exps, w->rounded,
                    w->pool);
    train_each (w, n, train_choose);
    return n;
}

/*  The whole group at once: every product has all rows of the prompt and of the completions. */
void train_forward (train_work_t *w)
{
    const model_t *m = w->model;
    size_t layers = m->config.layers, width = m->config.width;
    forward_embed (m, w->ids, w->rows, layers ? w->layers[0].x : w->x);
    for (size_t l = 0; l < layers; l++) {
        train_forward_layer (w, l);
        forward_matmul (m, &m->layers[l].down, w->layers[l].act, w->rows, w->layers[l].middle,
                        l + 1 < layers ? w->layers[l + 1].x : w->x, w->rounded, w->pool);
    }
    /* The head sees the prompt's last row and all rows after it. */
    forward_norm (m, &m->norm, w->x + (w->prompt_n - 1) * width, w->head_rows, w->hidden, w->scale);
    for (size_t first = 0; first < w->head_rows;)
        first += train_forward_head (w, first);
}

/*  network - see network.h */
#include "network.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "learn/advantage.h"
#include "model/adamw.h"
#include "model/train.h"

#define WIDTH_MAX   8192
#define LAYERS_MAX  128
#define CONTEXT_MAX (1u << 20)
#define STATE_MAGIC 0x31637469726351u /* "Qcritic1" without its end, little-endian */

/*  The first bytes of a state object; then params, m, v. */
typedef struct {
    uint64_t magic;
    network_shape_t shape;
    uint64_t steps, params;
} header_t;

struct network {
    network_shape_t shape;
    pool_t *pool;
    model_t *model;
    train_t *train;
    size_t n;
    float *params, *gradient; /* n each */
    adamw_t adamw;
};

static model_config_t network_config_of (const network_shape_t *shape)
{
    return (model_config_t){.arch = ARCH_LLAMA,
                            .width = shape->width,
                            .layers = shape->layers,
                            .heads = shape->heads,
                            .kv_heads = shape->heads,
                            .head_dim = shape->heads ? shape->width / shape->heads : 0,
                            /* SwiGLU's usual width: two thirds of four times the model's
                               (Shazeer 2020, "GLU Variants"). */
                            .ff = (size_t) shape->width * 8 / 3,
                            .vocab = RECORDS_VOCAB,
                            .context = (size_t) shape->context + 1,
                            .norm_eps = 1e-5,
                            .rope = ROPE_PLAIN,
                            .rope_theta = 10000,
                            /* One output for each position instead of a vocabulary: the value of
                               what was read so far. */
                            .value_head = true};
}

/*  Weights and moments zero. */
static network_t *network_zero (const network_shape_t *shape, pool_t *pool, err_t *err)
{
    model_config_t config = network_config_of (shape);
    if (shape->width > WIDTH_MAX || shape->layers > LAYERS_MAX || shape->context > CONTEXT_MAX) {
        err_set (err, ERR_INPUT, "the critic's shape: at most %d wide, %d layers, %u of context",
                 WIDTH_MAX, LAYERS_MAX, CONTEXT_MAX);
        return NULL;
    }
    if (shape->context < 2 || model_config_check (&config, err) != 0) {
        err_wrap (err, "the critic's shape");
        return NULL;
    }
    network_t *network = calloc (1, sizeof *network);
    if (!network) {
        err_set (err, ERR_LIMIT, "no memory for the value network");
        return NULL;
    }
    *network = (network_t){.shape = *shape, .pool = pool};
    network->model = model_new (&config, COMPUTE_F32, err);
    if (network->model)
        network->train = train_new (network->model, pool, err);
    if (!network->train) {
        network_destroy (&network);
        return NULL;
    }
    size_t n = network->n = model_params (network->model);
    network->params = calloc (n, sizeof (float));
    network->gradient = calloc (n, sizeof (float));
    network->adamw =
        (adamw_t){.m = calloc (n, sizeof (float)), .v = calloc (n, sizeof (float)), .n = n};
    if (!network->params || !network->gradient || !network->adamw.m || !network->adamw.v) {
        err_set (err, ERR_LIMIT, "no memory for a value network of %zu weights", n);
        network_destroy (&network);
    }
    return network;
}

/*  The first state is a function of shape and seed, so two critics that begin a run begin alike. */
network_t *network_new (const network_shape_t *shape, uint64_t seed, pool_t *pool, err_t *err)
{
    network_t *network = network_zero (shape, pool, err);
    if (network) {
        model_init_params (network->model, seed, network->params);
        model_set (network->model, network->params, pool);
    }
    return network;
}

/*  Whether the bytes are as many as the header says, and no fewer than its shape needs: what
 *  claims a large network in a few bytes is refused before memory is taken for it. */
static bool network_is_filled (const header_t *header, size_t size)
{
    uint64_t rest = size - sizeof *header, width = header->shape.width;
    if (width > WIDTH_MAX || header->shape.layers > LAYERS_MAX)
        return false;
    /* Embedding and the attention's matrices alone: a lower bound that needs no model. */
    uint64_t least = width * (RECORDS_VOCAB + header->shape.layers * 4 * width);
    return rest % (3 * sizeof (float)) == 0 && header->params == rest / (3 * sizeof (float)) &&
           header->params >= least;
}

network_t *network_parse (const void *data, size_t size, pool_t *pool, err_t *err)
{
    header_t header;
    if (size < sizeof header) {
        err_set (err, ERR_INPUT, "a critic's state of %zu bytes is cut short", size);
        return NULL;
    }
    memcpy (&header, data, sizeof header);
    if (header.magic != STATE_MAGIC || !network_is_filled (&header, size)) {
        err_set (err, ERR_INPUT, "this object is not a critic's state");
        return NULL;
    }
    network_t *network = network_zero (&header.shape, pool, err);
    if (!network)
        return NULL;
    size_t bytes = network->n * sizeof (float);
    if (header.params != network->n) {
        err_set (err, ERR_INPUT, "a critic's state of %zu bytes; its shape needs %zu", size,
                 sizeof header + 3 * bytes);
        network_destroy (&network);
        return NULL;
    }
    const char *at = (const char *) data + sizeof header;
    memcpy (network->params, at, bytes);
    memcpy (network->adamw.m, at + bytes, bytes);
    memcpy (network->adamw.v, at + 2 * bytes, bytes);
    /* With its moments: the next update is the one that the critic which made this state would
       have made. */
    network->adamw.step = header.steps;
    model_set (network->model, network->params, pool);
    return network;
}

network_t *network_copy (const network_t *network, pool_t *pool, err_t *err)
{
    network_t *copy = network_zero (&network->shape, pool, err);
    if (!copy)
        return NULL;
    size_t bytes = network->n * sizeof (float);
    memcpy (copy->params, network->params, bytes);
    memcpy (copy->adamw.m, network->adamw.m, bytes);
    memcpy (copy->adamw.v, network->adamw.v, bytes);
    copy->adamw.step = network->adamw.step;
    model_set (copy->model, copy->params, pool);
    return copy;
}

void network_destroy (network_t **network)
{
    if (!*network)
        return;
    train_destroy (&(*network)->train);
    model_destroy (&(*network)->model);
    free ((*network)->params);
    free ((*network)->gradient);
    free ((*network)->adamw.m);
    free ((*network)->adamw.v);
    free (*network);
    *network = NULL;
}

size_t network_context (const network_t *network)
{
    return network->shape.context;
}

/*  Raw floats in the order of the machine: critics of another kind would compute other bits
 *  anyway. */
void network_bytes (const network_t *network, buf_t *bytes)
{
    header_t header = {.magic = STATE_MAGIC,
                       .shape = network->shape,
                       .steps = network->adamw.step,
                       .params = network->n};
    buf_append (bytes, &header, sizeof header);
    buf_append (bytes, network->params, network->n * sizeof (float));
    buf_append (bytes, network->adamw.m, network->n * sizeof (float));
    buf_append (bytes, network->adamw.v, network->n * sizeof (float));
}

/*  A batch for lib/model/train.h: each distinct text is a prompt; every record that reads it is a
 *  completion of one id that is never looked at, since only the value before it counts. */
typedef struct {
    train_group_t *groups;       /* one per text */
    train_tokens_t *completions; /* one per record, sorted by text */
    size_t *record;              /* of which record */
    const double *returns;       /* by record */
    double *values;              /* by record */
    size_t n;
} batch_t;

static const int32_t unread = 0;

static void network_batch_free (batch_t *batch)
{
    free (batch->groups);
    free (batch->completions);
    free (batch->record);
    free (batch->values);
}

static int network_batch_make (batch_t *batch, const records_t *records, err_t *err)
{
    batch->n = records->n;
    batch->groups = calloc (records->texts_n + 1, sizeof *batch->groups);
    batch->completions = calloc (records->n + 1, sizeof *batch->completions);
    batch->record = calloc (records->n + 1, sizeof *batch->record);
    batch->values = calloc (records->n + 1, sizeof *batch->values);
    if (!batch->groups || !batch->completions || !batch->record || !batch->values)
        return err_set (err, ERR_LIMIT, "no memory for %zu records", records->n);
    size_t *next = calloc (records->texts_n + 1, sizeof *next);
    if (!next)
        return err_set (err, ERR_LIMIT, "no memory for %zu texts", records->texts_n);
    for (size_t i = 0; i < records->n; i++)
        /* A counting sort by text: first how many, then where each begins, then each to its
           place. Within a text the records keep their order, which decides the order of the
           gradient's sums. */
        batch->groups[records->record[i].text].completions_n++;
    for (size_t t = 0, first = 0; t < records->texts_n; t++) {
        train_group_t *group = &batch->groups[t];
        group->prompt = (train_tokens_t){.ids = records->texts[t].ids, .n = records->texts[t].n};
        group->completions = batch->completions + first;
        next[t] = first;
        first += group->completions_n;
    }
    for (size_t i = 0; i < records->n; i++) {
        size_t at = next[records->record[i].text]++;
        batch->completions[at] = (train_tokens_t){.ids = &unread, .n = 1};
        batch->record[at] = i;
    }
    free (next);
    return 0;
}

/*  d/dV of the mean over all records of (V - R)^2. */
static void network_squared_error (void *context, size_t group, size_t first, const float *value,
                                   const float *entropy, float *dvalue)
{
    (void) entropy;
    batch_t *batch = context;
    for (size_t c = 0; c < batch->groups[group].completions_n; c++) {
        size_t record = batch->record[first + c];
        batch->values[record] = (double) value[c];
        dvalue[c] = (float) (2 * ((double) value[c] - batch->returns[record]) / (double) batch->n);
    }
}

int network_values (network_t *network, const records_t *records, double *values, err_t *err)
{
    batch_t batch = {0};
    float *flat = calloc (records->n + 1, sizeof *flat);
    int rc = flat ? network_batch_make (&batch, records, err)
                  : err_set (err, ERR_LIMIT, "no memory for %zu values", records->n);
    if (rc == 0)
        rc = train_score (network->train, batch.groups, records->texts_n, 1, flat, NULL, err);
    for (size_t i = 0; rc == 0 && i < records->n; i++)
        values[batch.record[i]] = (double) flat[i];
    network_batch_free (&batch);
    free (flat);
    return rc;
}

int network_learn (network_t *network, const records_t *records, const double *returns, double lr,
                   network_learnt_t *learnt, err_t *err)
{
    batch_t batch = {.returns = returns};
    int rc = network_batch_make (&batch, records, err);
    if (rc == 0)
        /* One update over the whole step, not minibatches: a critic is a guess about the mean,
           and one step a time keeps its state a function of the steps. */
        rc = train_run (network->train, batch.groups, records->texts_n, 1, network_squared_error,
                        &batch, network->gradient, err);
    if (rc == 0) {
        adamw_options_t options = {
            .lr = lr, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .clip_norm = 1};
        double norm, loss = 0;
        for (size_t i = 0; i < batch.n; i++)
            loss += (batch.values[i] - returns[i]) * (batch.values[i] - returns[i]);
        learnt->loss = batch.n ? loss / (double) batch.n : 0;
        /* Measured on the values from before the update: how well it knew what it had not seen. */
        learnt->explained_variance = advantage_explained_variance (returns, batch.values, batch.n);
        rc = adamw_step (&network->adamw, &options, network->model, network->params,
                         network->gradient, network->pool, &norm);
        if (rc != 0)
            err_set (err, ERR_CONFIG, "the critic's gradient is not finite: lower critic.lr");
        else if ((rc = adamw_check (network->model, network->params, network->adamw.n,
                                    network->pool, err)) != 0)
            err_wrap (err, "the critic's weights are not finite: lower critic.lr");
        model_set (network->model, network->params, network->pool);
    }
    network_batch_free (&batch);
    return rc;
}

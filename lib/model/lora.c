/*  lora - see lora.h: the adapted model. Its folders are in peft.c.
 *
 *  DESIGN An adapted model is a copy of the base's struct whose matrices point at the base's
 *  panels and at the adapters that add to them; every place in the flat vector that the base has
 *  is WEIGHTS_FROZEN.
 *
 *      matrix (of the base)    panels, frozen           y  = W x
 *      adapters[0 .. n - 1]    A [rank, k]              u  = A x
 *                              B [outputs, rank]        y[first ..] += scale B u
 *
 *  The forward pass multiplies with the base first and then adds (forward_adapt); the way back gets
 *  dA and dB, and passes dx through both W and the adapter (train_backward.c). Nothing there knows
 *  how many adapters there are, or on what.
 */
#include "model/lora.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/rng.h"
#include "model/weights.h"

#define CACHE_LINE ((size_t) 64)

#define TARGET_TEXT(name, text) text,
static const char *const target_name[] = {LORA_TARGETS (TARGET_TEXT)};

static bool lora_has (const lora_config_t *config, lora_target_t target)
{
    return (config->targets >> target & 1u) != 0;
}

int lora_add_target (lora_config_t *config, const char *name, err_t *err)
{
    if (strcmp (name, "all-linear") == 0) {
        config->targets |= LORA_ALL_LINEAR;
        return 0;
    }
    for (unsigned t = 0; t < LORA_TARGET_COUNT; t++)
        if (strcmp (name, target_name[t]) == 0) {
            config->targets |= 1u << t;
            return 0;
        }
    return err_set (err, ERR_INPUT,
                    "no adapter goes on '%s'; known: q_proj, k_proj, v_proj, o_proj, gate_proj, "
                    "up_proj, down_proj, lm_head, all-linear",
                    name);
}

/*  ---- what is adapted ---- */

/*  Where an adapter adds: to `outputs` outputs of a matrix, from `first` on. q, k and v are one
 *  matrix in the model and three modules by name, as are gate and up. */
typedef struct {
    weights_matrix_t *matrix;
    size_t first, outputs;
    const char *block; /* in names */
} place_t;

/*  Hugging Face's names are those of separate projections; the joined matrices have them one after
 *  the other. */
static place_t lora_place_of (const model_t *m, weights_layer_t *l, lora_target_t target)
{
    size_t ff = m->config.ff, width = m->config.width, q = m->q_dim, kv = m->kv_dim;
    switch (target) {
    case LORA_Q:
        return (place_t){&l->qkv, 0, q, "self_attn"};
    case LORA_K:
        return (place_t){&l->qkv, q, kv, "self_attn"};
    case LORA_V:
        return (place_t){&l->qkv, q + kv, kv, "self_attn"};
    case LORA_O:
        return (place_t){&l->out, 0, width, "self_attn"};
    case LORA_GATE:
        return (place_t){&l->gate_up, 0, ff, "mlp"};
    case LORA_UP:
        return (place_t){&l->gate_up, ff, ff, "mlp"};
    default:
        return (place_t){&l->down, 0, width, "mlp"};
    }
}

/*  Appends a tensor to the adapted model's own flat vector, under the name that PEFT gives it. Both
 *  are decayed, like all matrices. */
static weights_matrix_t lora_add_tensor (model_t *m, const char *module, char which, size_t outputs,
                                         size_t k)
{
    model_tensor_t *t = &m->tensors[m->tensors_n++];
    *t = (model_tensor_t){
        .rows = outputs, .columns = k, .rank = 2, .offset = m->params, .decay = true};
    snprintf (t->name, sizeof t->name, "base_model.model.%s.lora_%c.weight", module, which);
    m->params += outputs * k;
    return (weights_matrix_t){.outputs = outputs, .k = k, .type = COMPUTE_F32, .at = t->offset};
}

/*  Adapters of one matrix follow each other in m->adapters, so the matrix needs to know the first
 *  and their number. */
static void lora_add_adapter (model_t *m, const place_t *place, const char *module)
{
    const lora_config_t *c = &m->lora;
    double rank = (double) c->rank;
    weights_adapter_t *adapter = &m->adapters[m->adapters_n++];
    weights_matrix_t *matrix = place->matrix;
    *adapter = (weights_adapter_t){
        .a = lora_add_tensor (m, module, 'A', c->rank, matrix->k),
        .b = lora_add_tensor (m, module, 'B', place->outputs, c->rank),
        .first = place->first,
        .scale = (float) (c->alpha / (c->rslora ? sqrt (rank) : rank)),
    };
    if (matrix->adapters_n++ == 0)
        matrix->adapters = adapter;
}

/*  In the order of the layers, then the head: this order is the flat vector's. */
static void lora_add_adapters (model_t *m)
{
    char module[64];
    for (size_t i = 0; i < m->config.layers; i++)
        for (lora_target_t t = 0; t < LORA_HEAD; t++) {
            if (!lora_has (&m->lora, t))
                continue;
            place_t place = lora_place_of (m, &m->layers[i], t);
            snprintf (module, sizeof module, "model.layers.%zu.%s.%s", i, place.block,
                      target_name[t]);
            lora_add_adapter (m, &place, module);
        }
    if (lora_has (&m->lora, LORA_HEAD))
        lora_add_adapter (m, &(place_t){&m->head, 0, m->head.outputs, ""}, target_name[LORA_HEAD]);
}

/*  Places of the base's flat vector mean nothing in the adapted model's; frozen ones get no
 *  gradient. */
static void lora_freeze (model_t *m)
{
    m->embedding = m->norm.at = m->head.at = WEIGHTS_FROZEN;
    for (size_t i = 0; i < m->config.layers; i++) {
        weights_layer_t *l = &m->layers[i];
        l->qkv.at = l->out.at = l->gate_up.at = l->down.at = WEIGHTS_FROZEN;
        l->norm_attention.at = l->qkv_bias.at = l->norm_mlp.at = WEIGHTS_FROZEN;
        l->q_norm.at = l->k_norm.at = WEIGHTS_FROZEN;
    }
}

/*  ---- memory ---- */

static void lora_place_panels (model_t *m, weights_matrix_t *w)
{
    w->panels = m->memory ? m->memory + m->bytes : NULL;
    size_t bytes = kernels_panels (w->outputs) * weights_panel_bytes (w);
    m->bytes += (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

/*  Counts without memory, hands out addresses with it. */
static void lora_place_all (model_t *m)
{
    m->bytes = 0;
    for (size_t i = 0; i < m->adapters_n; i++) {
        lora_place_panels (m, &m->adapters[i].a);
        lora_place_panels (m, &m->adapters[i].b);
    }
}

/*  mmap, as for any model: its memory is zero, and touched only when it is used. */
static int lora_allocate (model_t *m)
{
    lora_place_all (m);
    void *p = mmap (NULL, m->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return -1;
    m->memory = p;
    lora_place_all (m);
    return 0;
}

static int lora_check (const model_t *base, const lora_config_t *config, err_t *err)
{
    if (base->base)
        return err_set (err, ERR_INPUT, "an adapter needs a base without adapters");
    if (config->rank < 1 || config->rank > LORA_RANK_MAX)
        return err_set (err, ERR_INPUT, "an adapter's rank is %zu; it must lie between 1 and %d",
                        config->rank, LORA_RANK_MAX);
    if (!(config->alpha > 0) || !isfinite (config->alpha))
        return err_set (err, ERR_INPUT, "an adapter's lora_alpha is %g; it must be above 0",
                        config->alpha);
    if (config->targets == 0)
        return err_set (err, ERR_INPUT, "an adapter without targets adapts nothing");
    if (base->config.value_head && lora_has (config, LORA_HEAD))
        return err_set (err, ERR_INPUT, "lm_head cannot be adapted: the model has a value head");
    return 0;
}

model_t *lora_new (const model_t *base, const lora_config_t *config, err_t *err)
{
    if (lora_check (base, config, err) != 0)
        return NULL;
    size_t layers = base->config.layers;
    size_t most = layers * (size_t) LORA_HEAD + 1;
    model_t *m = calloc (1, sizeof *m);
    if (m) {
        /* Everything of the base is shared but what is replaced below: its panels, vectors and the
         * table of positions. */
        *m = *base;
        m->base = base;
        m->lora = *config;
        m->memory = NULL;
        m->params = m->tensors_n = 0;
        m->layers = malloc (layers * sizeof *m->layers);
        m->adapters = calloc (most, sizeof *m->adapters);
        m->tensors = calloc (2 * most, sizeof *m->tensors);
    }
    if (m && m->layers && m->adapters && m->tensors) {
        memcpy (m->layers, base->layers, layers * sizeof *m->layers);
        lora_freeze (m);
        lora_add_adapters (m);
        assert (m->adapters_n <= most && m->tensors_n == 2 * m->adapters_n);
        if (lora_allocate (m) == 0)
            return m;
    }
    err_set (err, ERR_LIMIT, "no memory for adapters of rank %zu on %zu layers", config->rank,
             layers);
    model_destroy (&m);
    return NULL;
}

const lora_config_t *lora_config (const model_t *model)
{
    return model->base ? &model->lora : NULL;
}

/*  Tensors come in pairs, A then B; B stays zero, so that a new adapter changes nothing. PyTorch's
 *  kaiming_uniform_ with a = sqrt (5) is uniform in +- 1 / sqrt (columns). */
void lora_init_params (const model_t *model, uint64_t seed, float *params)
{
    memset (params, 0, model->params * sizeof *params);
    for (size_t i = 0; i < model->tensors_n; i += 2) {
        const model_tensor_t *a = &model->tensors[i];
        double limit = 1 / sqrt ((double) a->columns);
        rng_t rng = {.key = rng_key ((uint64_t[]){seed, i}, 2)};
        for (size_t j = 0; j < a->rows * a->columns; j++)
            params[a->offset + j] = (float) (limit * (2 * rng_unit (&rng) - 1));
    }
}

/*  model - see model.h
 *
 *  DESIGN
 *  The tensors of a shape are listed once, in lay_out: that names them, places them in the flat
 *  vector, and joins q, k, v and gate, up to one matrix each. It runs twice, first to count. Then
 *  one piece of memory is cut into panels, vectors and embedding rows (place_all).
 */
#include "model/model.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/rng.h"
#include "model/rope.h"
#include "model/weights.h"

#define CACHE_LINE ((size_t) 64)

/*  ---- the shape ---- */

#define PARAMS_MAX ((double) ((size_t) 1 << 40))

/*  In double, since a shape from outside could overflow a size_t; an upper bound is enough here. */
static double model_count_params (const model_config_t *c)
{
    double width = (double) c->width, ff = (double) c->ff, dim = (double) c->head_dim;
    double q = (double) c->heads * dim, kv = (double) c->kv_heads * dim, vocab = (double) c->vocab;
    double layer = width * (2 * q + 2 * kv + 3 * ff + 2) + q + 2 * kv + 2 * dim;
    return vocab * width * 2 + (double) c->layers * layer + width;
}

/*  Bounds far above any real model, and low enough that no product of two of them overflows. The
 *  keys are Hugging Face's, as they stand in the user's config.json. */
static int model_check_sizes (const model_config_t *c, err_t *err)
{
    const struct {
        const char *key;
        size_t value, max;
    } sizes[] = {{"hidden_size", c->width, 1 << 16},
                 {"num_hidden_layers", c->layers, 1 << 10},
                 {"num_attention_heads", c->heads, 1 << 12},
                 {"num_key_value_heads", c->kv_heads, 1 << 12},
                 {"head_dim", c->head_dim, 1 << 12},
                 {"intermediate_size", c->ff, 1 << 20},
                 {"vocab_size", c->vocab, 1 << 24},
                 {"max_position_embeddings", c->context, 1 << 24}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].value < 1 || sizes[i].value > sizes[i].max)
            return err_set (err, ERR_INPUT, "%s is %zu; it must lie between 1 and %zu",
                            sizes[i].key, sizes[i].value, sizes[i].max);
    if (c->heads % c->kv_heads != 0)
        return err_set (err, ERR_INPUT,
                        "num_key_value_heads (%zu) must divide num_attention_heads (%zu)",
                        c->kv_heads, c->heads);
    if (c->head_dim % 2 != 0)
        return err_set (err, ERR_INPUT, "head_dim is %zu; rotary positions need an even number",
                        c->head_dim);
    if (model_count_params (c) > PARAMS_MAX)
        return err_set (err, ERR_INPUT, "the shape has %.3g weights; at most %.3g can be held",
                        model_count_params (c), PARAMS_MAX);
    return 0;
}

static int model_check_rope (const model_config_t *c, err_t *err)
{
    if (!(c->rope_theta > 0) || !isfinite (c->rope_theta))
        return err_set (err, ERR_INPUT, "rope_theta is %g; it must be a number above 0",
                        c->rope_theta);
    if ((unsigned) c->rope > ROPE_LLAMA3)
        return err_set (err, ERR_INPUT, "rope type number %d is unknown", (int) c->rope);
    if (c->rope != ROPE_PLAIN && (!(c->rope_factor > 0) || !isfinite (c->rope_factor)))
        return err_set (err, ERR_INPUT, "the rope factor is %g; it must be a number above 0",
                        c->rope_factor);
    if (c->rope != ROPE_LLAMA3)
        return 0;
    if (!(c->rope_low > 0) || !(c->rope_high > c->rope_low) || !isfinite (c->rope_high))
        return err_set (err, ERR_INPUT,
                        "low_freq_factor is %g and high_freq_factor %g; needed: 0 < low < high",
                        c->rope_low, c->rope_high);
    if (c->rope_original_context < 1)
        return err_set (err, ERR_INPUT, "original_max_position_embeddings is missing");
    return 0;
}

/*  The one place that says what can be computed: whoever makes a shape, from a file or in a test,
 *  comes through here. */
int model_config_check (const model_config_t *c, err_t *err)
{
    if ((unsigned) c->arch >= ARCH_COUNT)
        return err_set (err, ERR_INPUT, "architecture number %d is unknown", (int) c->arch);
    if (model_check_sizes (c, err) != 0 || model_check_rope (c, err) != 0)
        return -1;
    if (!(c->norm_eps >= 0) || !isfinite (c->norm_eps))
        return err_set (err, ERR_INPUT, "rms_norm_eps is %g; it must be a number from 0 on",
                        c->norm_eps);
    if (c->value_head && c->tied)
        return err_set (err, ERR_INPUT, "a value head cannot be tied to the embedding");
    return 0;
}

/*  ---- the tensors ---- */

/*  Appends a tensor and returns its place; without a list it only counts. */
__attribute__ ((format (printf, 5, 6))) static size_t model_add_tensor (model_t *m, int rank,
                                                                        size_t rows, size_t columns,
                                                                        const char *fmt, ...)
{
    size_t at = m->params;
    if (m->tensors) {
        model_tensor_t *t = &m->tensors[m->tensors_n];
        *t = (model_tensor_t){
            .rows = rows, .columns = columns, .rank = rank, .offset = at, .decay = rank == 2};
        va_list args;
        va_start (args, fmt);
        vsnprintf (t->name, sizeof t->name, fmt, args);
        va_end (args);
    }
    m->tensors_n++;
    m->params += rows * columns;
    return at;
}

static weights_matrix_t model_matrix_at (const model_t *m, size_t outputs, size_t k, size_t at)
{
    return (weights_matrix_t){.outputs = outputs, .k = k, .type = m->compute, .at = at};
}

static weights_vector_t model_vector_at (size_t n, size_t at)
{
    return (weights_vector_t){.n = n, .at = at};
}

/*  q, k and v follow each other in the flat vector: one matrix [q_dim + 2 kv_dim, width] for the
 *  kernels, three tensors by name. So are their biases. */
static void model_lay_out_attention (model_t *m, size_t i, weights_layer_t *l)
{
    const model_config_t *c = &m->config;
    size_t outputs[] = {m->q_dim, m->kv_dim, m->kv_dim}, all = m->q_dim + 2 * m->kv_dim;
    l->qkv = model_matrix_at (m, all, c->width, m->params);
    for (size_t j = 0; j < 3; j++)
        model_add_tensor (m, 2, outputs[j], c->width, "model.layers.%zu.self_attn.%c_proj.weight",
                          i, "qkv"[j]);
    if (c->qkv_bias) {
        l->qkv_bias = model_vector_at (all, m->params);
        for (size_t j = 0; j < 3; j++)
            model_add_tensor (m, 1, 1, outputs[j], "model.layers.%zu.self_attn.%c_proj.bias", i,
                              "qkv"[j]);
    }
    if (c->qk_norm) {
        size_t n = c->head_dim;
        l->q_norm = model_vector_at (
            n, model_add_tensor (m, 1, 1, n, "model.layers.%zu.self_attn.q_norm.weight", i));
        l->k_norm = model_vector_at (
            n, model_add_tensor (m, 1, 1, n, "model.layers.%zu.self_attn.k_norm.weight", i));
    }
    l->out = model_matrix_at (
        m, c->width, m->q_dim,
        model_add_tensor (m, 2, c->width, m->q_dim, "model.layers.%zu.self_attn.o_proj.weight", i));
}

/*  The order of tensors is Hugging Face's within a layer, which makes gate and up neighbours: one
 *  matrix [2 ff, width]. */
static void model_lay_out_layer (model_t *m, size_t i)
{
    const model_config_t *c = &m->config;
    weights_layer_t *l = &m->layers[i];
    size_t width = c->width;
    l->norm_attention = model_vector_at (
        width, model_add_tensor (m, 1, 1, width, "model.layers.%zu.input_layernorm.weight", i));
    model_lay_out_attention (m, i, l);
    l->norm_mlp = model_vector_at (
        width,
        model_add_tensor (m, 1, 1, width, "model.layers.%zu.post_attention_layernorm.weight", i));
    l->gate_up = model_matrix_at (
        m, 2 * c->ff, width,
        model_add_tensor (m, 2, c->ff, width, "model.layers.%zu.mlp.gate_proj.weight", i));
    model_add_tensor (m, 2, c->ff, width, "model.layers.%zu.mlp.up_proj.weight", i);
    l->down = model_matrix_at (
        m, width, c->ff,
        model_add_tensor (m, 2, width, c->ff, "model.layers.%zu.mlp.down_proj.weight", i));
}

/*  A tied head is the embedding: it has its place in the flat vector, so that both gradients add up
 *  there. */
static void model_lay_out (model_t *m)
{
    const model_config_t *c = &m->config;
    m->params = m->tensors_n = 0;
    m->embedding = model_add_tensor (m, 2, c->vocab, c->width, "model.embed_tokens.weight");
    for (size_t i = 0; i < c->layers; i++)
        model_lay_out_layer (m, i);
    m->norm = model_vector_at (c->width, model_add_tensor (m, 1, 1, c->width, "model.norm.weight"));
    if (c->value_head)
        m->head =
            model_matrix_at (m, 1, c->width, model_add_tensor (m, 2, 1, c->width, "score.weight"));
    else if (c->tied)
        m->head = model_matrix_at (m, c->vocab, c->width, m->embedding);
    else
        m->head = model_matrix_at (m, c->vocab, c->width,
                                   model_add_tensor (m, 2, c->vocab, c->width, "lm_head.weight"));
}

/*  ---- memory ---- */

typedef struct {
    model_t *model;
    void (*matrix) (model_t *, weights_matrix_t *, void *);
    void (*vector) (model_t *, weights_vector_t *, void *);
    void *context;
} visit_t;

static void model_visit_matrix (const visit_t *v, weights_matrix_t *w)
{
    v->matrix (v->model, w, v->context);
}

/*  Vectors that this architecture does not have are empty. */
static void model_visit_vector (const visit_t *v, weights_vector_t *w)
{
    if (w->n > 0)
        v->vector (v->model, w, v->context);
}

static void model_visit_layer (const visit_t *v, weights_layer_t *l)
{
    model_visit_vector (v, &l->norm_attention);
    model_visit_matrix (v, &l->qkv);
    model_visit_vector (v, &l->qkv_bias);
    model_visit_vector (v, &l->q_norm);
    model_visit_vector (v, &l->k_norm);
    model_visit_matrix (v, &l->out);
    model_visit_vector (v, &l->norm_mlp);
    model_visit_matrix (v, &l->gate_up);
    model_visit_matrix (v, &l->down);
}

/*  As model_lay_out has them. An adapted model owns its adapters only; the rest is the base's. */
void weights_visit (model_t *m, void (*matrix) (model_t *, weights_matrix_t *, void *),
                    void (*vector) (model_t *, weights_vector_t *, void *), void *context)
{
    visit_t v = {m, matrix, vector, context};
    for (size_t i = 0; i < m->adapters_n; i++) {
        model_visit_matrix (&v, &m->adapters[i].a);
        model_visit_matrix (&v, &m->adapters[i].b);
    }
    if (m->base)
        return;
    if (m->config.tied)
        model_visit_matrix (&v, &m->head);
    for (size_t i = 0; i < m->config.layers; i++)
        model_visit_layer (&v, &m->layers[i]);
    model_visit_vector (&v, &m->norm);
    if (!m->config.tied)
        model_visit_matrix (&v, &m->head);
}

/*  Counts without memory, hands out addresses with it. */
static void *model_cut (model_t *m, size_t bytes)
{
    char *p = m->memory ? m->memory + m->bytes : NULL;
    m->bytes += (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    return p;
}

static void model_place_matrix (model_t *m, weights_matrix_t *w, void *context)
{
    (void) context;
    w->panels = model_cut (m, kernels_panels (w->outputs) * weights_panel_bytes (w));
}

static void model_place_vector (model_t *m, weights_vector_t *v, void *context)
{
    (void) context;
    v->data = model_cut (m, v->n * sizeof (float));
}

static size_t model_value_bytes (const model_t *m)
{
    return m->compute == COMPUTE_BF16 ? sizeof (uint16_t) : sizeof (float);
}

static void model_place_all (model_t *m)
{
    m->bytes = 0;
    weights_visit (m, model_place_matrix, model_place_vector, NULL);
    /* An untied embedding is kept as rows: it is only looked up, row by row, and never multiplied
     * with. */
    if (!m->config.tied)
        m->embedding_rows =
            model_cut (m, m->config.vocab * m->config.width * model_value_bytes (m));
    for (size_t i = 0; i < m->config.layers; i++)
        /* The bias is added by the product itself. */
        m->layers[i].qkv.bias = m->layers[i].qkv_bias.data;
}

/*  mmap gives zeros without touching them, and huge pages spare the products many misses of the
 *  page table. */
static int model_allocate (model_t *m, err_t *err)
{
    void *p = mmap (NULL, m->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return err_errno (err, ERR_LIMIT, "no memory for %zu MB of weights", m->bytes >> 20);
    madvise (p, m->bytes, MADV_HUGEPAGE);
    m->memory = p;
    model_place_all (m);
    return rope_prepare (m) == 0 ? 0
                                 : err_set (err, ERR_LIMIT, "no memory for a table of positions");
}

/*  model_lay_out runs twice: without a list it counts the tensors, with one it fills it in. */
model_t *weights_shape (const model_config_t *config, model_compute_t compute, err_t *err)
{
    if (model_config_check (config, err) != 0)
        return NULL;
    const kernels_t *kernels = kernels_get (err);
    if (!kernels)
        return NULL;
    model_t *m = calloc (1, sizeof *m);
    if (!m)
        goto none;
    m->config = *config;
    m->compute = compute;
    m->kernels = kernels;
    m->q_dim = config->heads * config->head_dim;
    m->kv_dim = config->kv_heads * config->head_dim;
    m->layers = calloc (config->layers, sizeof *m->layers);
    if (!m->layers)
        goto none;
    model_lay_out (m);
    size_t counted = m->tensors_n;
    m->tensors = calloc (counted, sizeof *m->tensors);
    if (!m->tensors)
        goto none;
    model_lay_out (m);
    assert (m->tensors_n == counted);
    model_place_all (m);
    return m;
none:
    err_set (err, ERR_LIMIT, "no memory for a model of %zu layers", config->layers);
    model_destroy (&m);
    return NULL;
}

model_t *model_new (const model_config_t *config, model_compute_t compute, err_t *err)
{
    model_t *m = weights_shape (config, compute, err);
    if (m && model_allocate (m, err) != 0)
        model_destroy (&m);
    return m;
}

/*  An adapted model shares the table of positions with its base. */
void model_destroy (model_t **self)
{
    model_t *m = *self;
    if (!m)
        return;
    if (m->memory)
        munmap (m->memory, m->bytes);
    if (!m->base) {
        free (m->rope);
        free (m->inverse_frequency);
    }
    free (m->adapters);
    free (m->tensors);
    free (m->layers);
    free (m);
    *self = NULL;
}

const model_config_t *model_config (const model_t *model)
{
    return &model->config;
}

model_compute_t model_compute (const model_t *model)
{
    return model->compute;
}

model_compute_t model_params_type (const model_t *model)
{
    return model->base ? COMPUTE_F32 : model->compute;
}

size_t model_params (const model_t *model)
{
    return model->params;
}

size_t model_tensors (const model_t *model)
{
    return model->tensors_n;
}

const model_tensor_t *model_tensor (const model_t *model, size_t index)
{
    return &model->tensors[index];
}

const char *model_isa (void)
{
    const kernels_t *kernels = kernels_get (NULL);
    return kernels ? kernels->name : "none";
}

size_t model_bytes (const model_t *model)
{
    return model->bytes;
}

/*  ---- the weights ---- */

/*  Each tensor has a random key of its own, so that its weights do not depend on the shapes of the
 *  others. */
void model_init_params (const model_t *model, uint64_t seed, float *params)
{
    if (model->base) {
        lora_init_params (model, seed, params);
        return;
    }
    /* Every layer adds to the residual stream twice (attention and mlp). */
    double residual = sqrt (2.0 * (double) model->config.layers);
    for (size_t i = 0; i < model->tensors_n; i++) {
        const model_tensor_t *t = &model->tensors[i];
        size_t n = t->rows * t->columns;
        float *p = params + t->offset;
        bool into_residual = strstr (t->name, ".o_proj.") || strstr (t->name, ".down_proj.");
        double deviation = into_residual ? 0.02 / residual : 0.02;
        bool bias = strstr (t->name, ".bias") != NULL;
        rng_t rng = {.key = rng_key ((uint64_t[]){seed, i}, 2)};
        for (size_t j = 0; j < n; j++)
            p[j] = t->rank == 2 ? (float) (deviation * rng_normal (&rng)) : bias ? 0.0f : 1.0f;
    }
}

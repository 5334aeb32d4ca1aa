/*  The model: shapes that are refused, the flat vector, logits against a plain twin, and rows that
 *  do not feel their neighbours. */
#include "model_fixture.h"

#include <math.h>

#include "model/forward.h"
#include "model/lora.h"
#include "model_twin.h"

/*  ---- shapes ---- */

static void refused (model_config_t config, const char *word)
{
    err_t err = {0};
    model_t *model = model_new (&config, COMPUTE_F32, &err);
    if (model)
        fail_msg ("accepted, expected an error about %s", word);
    assert_int_equal (err.code, ERR_INPUT);
    if (!strstr (err.text, word))
        fail_msg ("the error '%s' does not name '%s'", err.text, word);
}

static void bad_shapes_are_refused (void **state)
{
    (void) state;
    model_config_t good = fixture_config (), c;
#define REFUSED(change, word)                                                                      \
    c = good;                                                                                      \
    c.change;                                                                                      \
    refused (c, word);
    REFUSED (width = 0, "hidden_size")
    REFUSED (layers = 0, "num_hidden_layers")
    REFUSED (layers = (size_t) -1, "num_hidden_layers")
    REFUSED (kv_heads = 4, "num_key_value_heads")
    REFUSED (head_dim = 7, "head_dim")
    REFUSED (vocab = 0, "vocab_size")
    REFUSED (ff = (size_t) 1 << 40, "intermediate_size")
    REFUSED (context = 0, "max_position_embeddings")
    REFUSED (norm_eps = NAN, "rms_norm_eps")
    REFUSED (rope_theta = 0, "rope_theta")
    REFUSED (rope = (model_rope_t) 9, "rope type")
    REFUSED (rope = ROPE_LINEAR, "rope factor")
    REFUSED (arch = ARCH_COUNT, "architecture")
    REFUSED (value_head = true, "value head")
    c = good;
    c.rope = ROPE_LLAMA3;
    c.rope_factor = 8;
    refused (c, "low_freq_factor");
    c = good;
    c.width = c.ff = 1 << 16;
    c.heads = c.kv_heads = 1 << 12;
    c.layers = 1 << 10;
    refused (c, "weights");
#undef REFUSED
}

/*  Every kind of model: what a config can switch on. */
static model_config_t kind (size_t i)
{
    model_config_t c = fixture_config ();
    switch (i) {
    case 1:
        c.tied = false;
        c.qkv_bias = true;
        c.kv_heads = 6;
        break;
    case 2:
        c.qk_norm = true;
        c.rope = ROPE_LLAMA3;
        c.rope_factor = 8;
        c.rope_low = 1;
        c.rope_high = 4;
        c.rope_original_context = 16;
        break;
    case 3:
        c.rope = ROPE_LINEAR;
        c.rope_factor = 4;
        c.kv_heads = 1;
        c.head_dim = 24;
        break;
    case 4:
        c.tied = false;
        c.value_head = true;
        break;
    default:
        break;
    }
    return c;
}

#define KINDS ((size_t) 5)

static void tensors_fill_the_flat_vector (void **state)
{
    (void) state;
    for (size_t i = 0; i < KINDS; i++) {
        model_config_t config = kind (i);
        model_t *model = fixture_model (&config, COMPUTE_F32);
        size_t next = 0;
        for (size_t t = 0; t < model_tensors (model); t++) {
            const model_tensor_t *tensor = model_tensor (model, t);
            assert_int_equal (tensor->offset, next);
            assert_int_equal (tensor->decay, tensor->rank == 2);
            next += tensor->rows * tensor->columns;
        }
        assert_int_equal (model_params (model), next);
        assert_string_equal (model_tensor (model, 0)->name, "model.embed_tokens.weight");
        const char *last = model_tensor (model, model_tensors (model) - 1)->name;
        assert_string_equal (last, config.value_head ? "score.weight"
                                   : config.tied     ? "model.norm.weight"
                                                     : "lm_head.weight");
        model_destroy (&model);
        assert_null (model);
    }
}

static void params_come_back (void **state)
{
    (void) state;
    pool_t *pool = pool_new (2);
    for (size_t i = 0; i < KINDS * 2; i++) {
        model_config_t config = kind (i / 2);
        model_t *model = fixture_model (&config, i % 2 ? COMPUTE_BF16 : COMPUTE_F32);
        size_t n = model_params (model);
        float *params = calloc (n, sizeof *params), *back = calloc (n, sizeof *back);
        fixture_fill (params, n, 1, i);
        model_set (model, params, pool);
        model_get (model, back);
        for (size_t j = 0; j < n; j++)
            params[j] = weights_round (params[j], model_compute (model));
        fixture_same ("params", back, params, n);
        model_set (model, back, NULL); /* what is rounded stays as it is */
        model_get (model, back);
        fixture_same ("params, once more", back, params, n);
        free (params);
        free (back);
        model_destroy (&model);
    }
    pool_destroy (&pool);
}

static void first_params_are_pure_in_the_seed (void **state)
{
    (void) state;
    model_config_t config = kind (1);
    model_t *model = fixture_model (&config, COMPUTE_F32);
    size_t n = model_params (model);
    float *a = calloc (n, sizeof *a), *b = calloc (n, sizeof *b);
    model_init_params (model, 5, a);
    model_init_params (model, 5, b);
    fixture_same ("params", a, b, n);
    model_init_params (model, 6, b);
    assert_memory_not_equal (a, b, n * sizeof *a);
    for (size_t t = 0; t < model_tensors (model); t++) {
        const model_tensor_t *tensor = model_tensor (model, t);
        double squares = 0, count = (double) (tensor->rows * tensor->columns);
        for (size_t i = 0; i < tensor->rows * tensor->columns; i++)
            squares += (double) a[tensor->offset + i] * (double) a[tensor->offset + i];
        double expected = 0.02;
        if (strstr (tensor->name, "o_proj") || strstr (tensor->name, "down_proj"))
            expected = 0.02 / 2; /* sqrt (2 layers) = 2 */
        if (tensor->rank == 1)
            expected = strstr (tensor->name, "bias") ? 0 : 1;
        fixture_near (tensor->name, t, sqrt (squares / count), expected, expected * 0.15);
    }
    free (a);
    free (b);
    model_destroy (&model);
}

/*  ---- logits ---- */

#define TOKENS ((size_t) 70)

static void some_ids (int32_t *ids, size_t n, size_t vocab, uint64_t seed)
{
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t) (rng_bits (seed, i) % vocab);
}

static void logits_agree_with_a_plain_twin (void **state)
{
    (void) state;
    for (size_t i = 0; i < KINDS; i++) {
        model_config_t config = kind (i);
        model_t *model = fixture_model (&config, COMPUTE_F32);
        float *params = calloc (model_params (model), sizeof *params);
        model_get (model, params);
        int32_t ids[TOKENS];
        some_ids (ids, TOKENS, config.vocab, i);
        size_t outputs = config.value_head ? 1 : config.vocab;
        float *logits = calloc (TOKENS * outputs, sizeof *logits);
        double *expected = calloc (TOKENS * outputs, sizeof *expected), largest = 0;
        err_t err = {0};
        assert_int_equal (model_logits (model, ids, TOKENS, logits, NULL, &err), 0);
        twin_logits (model, params, ids, TOKENS, expected);
        for (size_t j = 0; j < TOKENS * outputs; j++)
            largest = fmax (largest, fabs (expected[j]));
        for (size_t j = 0; j < TOKENS * outputs; j++)
            fixture_near ("logit", j, (double) logits[j], expected[j], 5e-6 * largest);
        free (params);
        free (logits);
        free (expected);
        model_destroy (&model);
    }
}

/*  bfloat16 rounds what products read to 8 bits: near float32, and not equal to it. */
static void bf16_is_near_f32 (void **state)
{
    (void) state;
    model_config_t config = kind (1);
    model_t *a = fixture_model (&config, COMPUTE_F32), *b = fixture_model (&config, COMPUTE_BF16);
    int32_t ids[TOKENS];
    some_ids (ids, TOKENS, config.vocab, 1);
    float *la = calloc (TOKENS * config.vocab, sizeof *la);
    float *lb = calloc (TOKENS * config.vocab, sizeof *lb);
    err_t err = {0};
    assert_int_equal (model_logits (a, ids, TOKENS, la, NULL, &err), 0);
    assert_int_equal (model_logits (b, ids, TOKENS, lb, NULL, &err), 0);
    double difference = 0, size = 0;
    for (size_t i = 0; i < TOKENS * config.vocab; i++) {
        difference += pow ((double) la[i] - (double) lb[i], 2);
        size += pow ((double) la[i], 2);
    }
    double relative = sqrt (difference / size);
    if (!(relative < 0.03 && relative > 1e-5))
        fail_msg ("relative difference of bf16 logits: %g, expected 1e-5 to 0.03", relative);
    free (la);
    free (lb);
    model_destroy (&a);
    model_destroy (&b);
}

static void wrong_ids_are_refused (void **state)
{
    (void) state;
    model_config_t config = kind (0);
    model_t *model = fixture_model (&config, COMPUTE_F32);
    float logits[2 * 83];
    err_t err = {0};
    assert_int_equal (model_logits (model, (int32_t[]){1, 83}, 2, logits, NULL, &err), -1);
    assert_non_null (strstr (err.text, "83"));
    assert_int_equal (model_logits (model, (int32_t[]){-1}, 1, logits, NULL, &err), -1);
    assert_int_equal (model_logits (model, (int32_t[]){1}, 0, logits, NULL, &err), -1);
    assert_int_equal (model_logits (model, (int32_t[]){1}, 161, logits, NULL, &err), -1);
    model_destroy (&model);
}

/*  ---- invariance ---- */

/*  A longer sequence, another cut into chunks, more threads: the same bits. */
static void rows_do_not_feel_what_follows (void **state)
{
    (void) state;
    for (size_t i = 0; i < KINDS * 2; i++) {
        model_config_t config = kind (i / 2);
        model_t *model = fixture_model (&config, i % 2 ? COMPUTE_BF16 : COMPUTE_F32);
        size_t outputs = config.value_head ? 1 : config.vocab;
        int32_t ids[TOKENS];
        some_ids (ids, TOKENS, config.vocab, i);
        float *all = calloc (TOKENS * outputs, sizeof *all);
        float *part = calloc (TOKENS * outputs, sizeof *part);
        err_t err = {0};
        assert_int_equal (model_logits (model, ids, TOKENS, all, NULL, &err), 0);
        for (size_t n = 1; n <= TOKENS; n += n < 40 ? 1 : 9) {
            pool_t *pool = pool_new (1 + n % 3);
            assert_int_equal (model_logits (model, ids, n, part, pool, &err), 0);
            fixture_same ("logits", part, all, n * outputs);
            pool_destroy (&pool);
        }
        free (all);
        free (part);
        model_destroy (&model);
    }
}

/*  Large enough that products are cut among threads, by panels and by rows. */
static void threads_do_not_matter (void **state)
{
    (void) state;
    model_config_t config = fixture_config ();
    config.width = 200;
    config.ff = 300;
    config.vocab = 1000;
    for (int type = COMPUTE_F32; type <= COMPUTE_BF16; type++) {
        model_t *model = fixture_model (&config, (model_compute_t) type);
        int32_t ids[TOKENS];
        some_ids (ids, TOKENS, config.vocab, 3);
        float *one = calloc (TOKENS * config.vocab, sizeof *one);
        float *many = calloc (TOKENS * config.vocab, sizeof *many);
        err_t err = {0};
        assert_int_equal (model_logits (model, ids, TOKENS, one, NULL, &err), 0);
        for (size_t threads = 2; threads <= 4; threads++) {
            pool_t *pool = pool_new (threads);
            assert_int_equal (model_logits (model, ids, TOKENS, many, pool, &err), 0);
            fixture_same ("logits", many, one, TOKENS * config.vocab);
            pool_destroy (&pool);
        }
        free (one);
        free (many);
        model_destroy (&model);
    }
}

/*  Rows of many sequences in one pass, each after a shared prefix or after its own, against each
 *  alone. */
static void a_row_is_the_same_in_any_crowd (void **state)
{
    (void) state;
    model_config_t config = kind (2);
    model_t *model = fixture_model (&config, COMPUTE_F32);
    enum { CROWD = 64, PREFIX = 21 };
    int32_t prompt[PREFIX];
    some_ids (prompt, PREFIX, config.vocab, 8);
    err_t err = {0};
    forward_t *forward = forward_new (model, CROWD, 64, 1, &err);
    assert_non_null (forward);
    kv_t prefix = {.blocks = kv_blocks (0, PREFIX)}, own[CROWD];
    prefix.data = calloc (kv_floats (model, prefix.blocks), sizeof (float));
    forward_row_t rows[CROWD];
    for (size_t p = 0; p < PREFIX; p++)
        rows[p] = (forward_row_t){.id = prompt[p], .position = p, .own = &prefix};
    forward_run (forward, rows, PREFIX, NULL);
    float alone[CROWD][44];
    for (size_t i = 0; i < CROWD; i++) {
        /* Alone, the whole sequence in one cache, token after token. */
        kv_t whole = {.blocks = kv_blocks (0, PREFIX + 1)};
        whole.data = calloc (kv_floats (model, whole.blocks), sizeof (float));
        const float *h = NULL;
        for (size_t p = 0; p <= PREFIX; p++) {
            forward_row_t row = {
                .id = p < PREFIX ? prompt[p] : (int32_t) i, .position = p, .own = &whole};
            h = forward_run (forward, &row, 1, NULL);
        }
        memcpy (alone[i], h, sizeof alone[i]);
        free (whole.data);
        own[i] = (kv_t){.first = PREFIX / KERNELS_BLOCK, .blocks = kv_blocks (PREFIX, PREFIX + 1)};
        own[i].data = calloc (kv_floats (model, own[i].blocks), sizeof (float));
    }
    for (size_t n = 1; n <= CROWD; n++) {
        for (size_t i = 0; i < n; i++) {
            kv_branch (model, &prefix, PREFIX, &own[i]);
            rows[i] = (forward_row_t){
                .id = (int32_t) i, .position = PREFIX, .prefix = &prefix, .own = &own[i]};
        }
        const float *h = forward_run (forward, rows, n, NULL);
        for (size_t i = 0; i < n; i++)
            fixture_same ("row", h + i * config.width, alone[i], config.width);
    }
    for (size_t i = 0; i < CROWD; i++)
        free (own[i].data);
    free (prefix.data);
    forward_destroy (&forward);
    model_destroy (&model);
}

/*  Positions beyond the table of angles are computed when they are met. */
static void far_positions_turn_as_near_ones (void **state)
{
    (void) state;
    model_config_t config = kind (0);
    config.context = 10000;
    model_t *model = fixture_model (&config, COMPUTE_F32);
    float qkv[100], q[60], k[20], v[20];
    fixture_fill (qkv, 100, 1, 1);
    for (size_t position = 4000; position < 9000; position += 97) {
        forward_heads (model, 0, qkv, position, q, k, v);
        for (size_t i = 0; i < 5; i++) {
            float frequency = 1.0f / (float) pow (10000, (double) ((float) (2 * i) / 10.0f));
            double angle = (double) ((float) position * frequency);
            double expected = (double) qkv[i] * cos (angle) - (double) qkv[i + 5] * sin (angle);
            fixture_near ("q", i, (double) q[i], expected, 2e-6);
        }
        fixture_same ("v", v, qkv + 80, 20);
    }
    model_destroy (&model);
}

/*  ---- piece by piece ---- */

typedef struct {
    float *params;
    size_t n;
    _Atomic size_t moved;
    size_t broken; /* a piece that holds it cannot be had; n: none */
} store_t;

static int from_store (void *context, size_t at, size_t n, float *out, err_t *err)
{
    store_t *s = context;
    assert_true (at + n <= s->n);
    memcpy (out, s->params + at, n * sizeof *out);
    s->moved += n;
    return s->broken < at || s->broken >= at + n
               ? 0
               : err_set (err, ERR_INPUT, "weight %zu is broken", s->broken);
}

static void to_store (void *context, size_t at, size_t n, const float *values)
{
    store_t *s = context;
    assert_true (at + n <= s->n);
    memcpy (s->params + at, values, n * sizeof *values);
    s->moved += n;
}

typedef struct {
    char *bytes; /* what must come */
    size_t width, done, broken;
} change_t;

/*  Every third weight becomes its neighbour's. */
static int turn_some (void *context, size_t n, char *bytes, err_t *err)
{
    change_t *c = context;
    if (c->broken >= c->done && c->broken < c->done + n)
        return err_set (err, ERR_INPUT, "weight %zu is broken", c->broken);
    assert_memory_equal (bytes, c->bytes + c->done * c->width, n * c->width);
    for (size_t i = 0; i < n; i++)
        if ((c->done + i) % 3 == 0)
            memcpy (bytes + i * c->width, "\0\0\x3c\x3c" + 4 - c->width, c->width);
    memcpy (c->bytes + c->done * c->width, bytes, n * c->width);
    c->done += n;
    return 0;
}

/*  Also adapters, on one base; and halves of a model that computes in float32. */
static void check_change (model_t *to, const model_t *from, size_t width)
{
    size_t n = model_params (from);
    err_t err = {0};
    char *was = malloc (n * width), *is = malloc (n * width), *after = malloc (n * width);
    assert_true (was && is && after);
    assert_int_equal (model_pour_bytes (from, was, width, NULL, &err), 0);
    memcpy (is, was, n * width);
    change_t change = {.bytes = is, .width = width, .broken = n};
    assert_int_equal (model_change (to, from, width, turn_some, &change, &err), 0);
    assert_int_equal (change.done, n);
    assert_int_equal (model_pour_bytes (to, after, width, NULL, &err), 0);
    assert_memory_equal (after, is, n * width);
    assert_int_equal (model_pour_bytes (from, after, width, NULL, &err), 0);
    assert_memory_equal (after, was, n * width);
    change = (change_t){.bytes = was, .width = width, .broken = n / 2};
    assert_int_equal (model_change (to, from, width, turn_some, &change, &err), -1);
    assert_non_null (strstr (err.text, "is broken"));
    free (was);
    free (is);
    free (after);
}

static void a_model_can_be_made_of_another (void **state)
{
    (void) state;
    for (size_t i = 0; i < 2 * KINDS; i++) {
        model_config_t config = kind (i / 2);
        model_compute_t compute = i % 2 ? COMPUTE_BF16 : COMPUTE_F32;
        model_t *from = fixture_model (&config, compute), *to = fixture_model (&config, compute);
        lora_config_t lora = {.rank = 3, .alpha = 6, .targets = LORA_ALL_LINEAR};
        err_t err = {0};
        check_change (to, from, 2);
        check_change (to, from, 4);
        model_t *adapted = lora_new (from, &lora, &err), *other = lora_new (from, &lora, &err);
        assert_true (adapted && other);
        check_change (other, adapted, 4);
        model_destroy (&adapted);
        model_destroy (&other);
        model_destroy (&from);
        model_destroy (&to);
    }
}

static void a_model_can_be_filled_in_pieces (void **state)
{
    (void) state;
    pool_t *pool = pool_new (3);
    for (size_t i = 0; i < 2 * KINDS; i++) {
        model_config_t config = kind (i / 2);
        model_compute_t compute = i % 2 ? COMPUTE_BF16 : COMPUTE_F32;
        model_t *whole = fixture_model (&config, compute), *pieces = NULL;
        size_t n = model_params (whole);
        float *params = calloc (n, sizeof *params), *again = calloc (n, sizeof *again);
        err_t err = {0};
        assert_true (params && again);
        model_get (whole, params);
        pieces = model_new (&config, compute, &err);
        store_t store = {.params = params, .n = n, .broken = n};
        assert_int_equal (model_fill (pieces, from_store, &store, pool, &err), 0);
        assert_int_equal (store.moved, n); /* each weight once */
        model_get (pieces, again);
        fixture_same ("filled", again, params, n);
        memset (again, 0, n * sizeof *again);
        store_t out = {.params = again, .n = n};
        assert_int_equal (model_pour (pieces, to_store, &out, pool, &err), 0);
        assert_int_equal (out.moved, n);
        fixture_same ("poured", again, params, n);
        size_t width = compute == COMPUTE_BF16 ? 2 : 4;
        char *bytes = malloc (n * width + 1);
        assert_non_null (bytes);
        assert_int_equal (model_pour_bytes (pieces, bytes + 1, width, pool, &err), 0);
        for (size_t j = 0; j < n; j++)
            assert_memory_equal (bytes + 1 + j * width, (const char *) &params[j] + 4 - width,
                                 width);
        memset (again, 0, n * sizeof *again);
        model_set (pieces, again, NULL);
        assert_int_equal (model_fill_bytes (pieces, bytes + 1, width, pool, &err), 0);
        model_get (pieces, again);
        fixture_same ("travelled", again, params, n);
        free (bytes);
        store.broken = n / 2;
        assert_int_equal (model_fill (pieces, from_store, &store, pool, &err), -1);
        assert_non_null (strstr (err.text, "is broken"));
        free (params);
        free (again);
        model_destroy (&whole);
        model_destroy (&pieces);
    }
    pool_destroy (&pool);
}

int main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (a_model_can_be_filled_in_pieces),
                                       cmocka_unit_test (a_model_can_be_made_of_another),
                                       cmocka_unit_test (bad_shapes_are_refused),
                                       cmocka_unit_test (tensors_fill_the_flat_vector),
                                       cmocka_unit_test (params_come_back),
                                       cmocka_unit_test (first_params_are_pure_in_the_seed),
                                       cmocka_unit_test (logits_agree_with_a_plain_twin),
                                       cmocka_unit_test (bf16_is_near_f32),
                                       cmocka_unit_test (wrong_ids_are_refused),
                                       cmocka_unit_test (rows_do_not_feel_what_follows),
                                       cmocka_unit_test (threads_do_not_matter),
                                       cmocka_unit_test (a_row_is_the_same_in_any_crowd),
                                       cmocka_unit_test (far_positions_turn_as_near_ones)};
    return cmocka_run_group_tests (tests, NULL, NULL);
}

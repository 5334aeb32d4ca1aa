/*  Model folders: what is in them is what config.json and the index say, or is refused by name;
 *  and they go into other folders word for word. */
#include "formats/hf.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "formats/safetensors.h"
#include "model_fixture.h"
#include "folder_fixture.h"

#define TENSORS_MAX 64

static const char *in (const char *folder, const char *name)
{
    static char path[4][256];
    static size_t turn;
    char *to = path[turn++ % 4];
    snprintf (to, sizeof path[0], "%s/%s%s%s", dir, folder, *name ? "/" : "", name);
    return to;
}

static void put_in (const char *folder, const char *name, const char *text)
{
    err_t err = {0};
    assert_int_equal (fs_mkdirs (in (folder, ""), &err), 0);
    assert_int_equal (fs_write (in (folder, name), text, strlen (text), &err), 0);
}

static buf_t got (const char *folder, const char *name)
{
    buf_t text = {0};
    err_t err = {0};
    if (fs_read (in (folder, name), 1 << 20, &text, &err) != 0)
        fail_msg ("%s", err.text);
    return text;
}

static void holds (const char *folder, const char *name, const char *wanted)
{
    buf_t text = got (folder, name);
    assert_string_equal (text.data, wanted);
    buf_free (&text);
}

/*  ---- config.json ---------------------------------------------------------------------------- */

#define SIZES                                                                                      \
    "\"hidden_size\":48,\"num_hidden_layers\":2,\"num_attention_heads\":6,"                        \
    "\"intermediate_size\":64,\"vocab_size\":99,\"num_key_value_heads\":6,"

#define LLAMA "{\"model_type\":\"llama\"," SIZES
#define QWEN                                                                                       \
    "{\"model_type\":\"qwen3\"," SIZES "\"max_position_embeddings\":8192,\"sliding_window\":16,"

#define LESS                                                                                       \
    "\"hidden_size\":48,\"num_hidden_layers\":2,\"num_attention_heads\":6,"                        \
    "\"intermediate_size\":64,\"vocab_size\":99"

static const char *parsed (const char *config, hf_config_t *out)
{
    static err_t err;
    err = (err_t){0};
    return hf_config_parse (config, NULL, out, &err) == 0 ? "" : err.text;
}

static void configurations_are_read_as_transformers_does (void **state)
{
    (void) state;
    static const struct {
        const char *config, *why; /* "": it is taken */
    } cases[] = {
        {"{\"model_type\":\"llama\"," SIZES "\"length\":1000000000000000019884624838656}", ""},
        {"{\"model_type\":\"llama\"," SIZES "\"head_dim\":\"8\"}",
         "head_dim \"8\" is no sensible size"},
        {"{\"model_type\":\"llama\"," SIZES "\"head_dim\":8.5}", "head_dim 8.5"},
        {"{\"model_type\":\"llama\"," SIZES "\"head_dim\":1000000000000000019884624838656}",
         "head_dim 1"},
        {"{\"model_type\":\"mistral\"," SIZES "\"max_position_embeddings\":8192}",
         "sliding_window 4096 (it is not set, which means that)"},
        {"{\"model_type\":\"mistral\"," SIZES
         "\"max_position_embeddings\":8192,\"sliding_window\":null}",
         ""},
        {"{\"model_type\":\"mistral\"," SIZES "\"max_position_embeddings\":4096}", ""},
        {"{\"model_type\":\"qwen2\"," SIZES
         "\"max_position_embeddings\":8192,\"sliding_window\":16}",
         ""},
        {"{\"model_type\":\"qwen2\"," LESS "}", "6 heads are no multiple of 32"},
        {"{\"model_type\":\"mistral\"," LESS "}", "6 heads are no multiple of 8"},
        {"{\"model_type\":\"llama\"," LESS "}", ""},
        {"{\"model_type\":\"qwen2\"," LESS ",\"num_key_value_heads\":null}", ""},
        {"{\"model_type\":\"llama\"," SIZES "\"rope_parameters\":{\"rope_type\":\"default\"},"
         "\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4}}",
         "rope type yarn"},
        {"{\"model_type\":\"llama\"," SIZES "\"rope_parameters\":{\"rope_theta\":5e5},"
         "\"rope_scaling\":{\"type\":\"linear\",\"factor\":4}}",
         "without its rope_theta of 500000"},
        {"{\"model_type\":\"llama\"," SIZES "\"rope_theta\":5e5,\"rope_parameters\":{"
         "\"rope_theta\":5e5},\"rope_scaling\":{\"type\":\"linear\",\"factor\":4}}",
         ""},
        {"{\"model_type\":\"llama\"," SIZES "\"rope_scaling\":{\"type\":\"linear\"}}",
         "the rope has no factor"},
        {"{\"model_type\":\"llama\"," SIZES "\"rope_scaling\":4}", "rope_scaling is no object"},
        /* What is there and of another type is no missing key. */
        {LLAMA "\"rope_theta\":\"5\"}", "rope_theta \"5\" is no number"},
        {LLAMA "\"rope_theta\":null}", "rope_theta null is no number"},
        {LLAMA "\"rms_norm_eps\":\"1e-6\"}", "rms_norm_eps \"1e-6\" is no number"},
        {LLAMA "\"tie_word_embeddings\":1}", "is neither true nor false"},
        {LLAMA "\"attention_bias\":1}", "is neither true nor false"},
        {LLAMA "\"attention_bias\":true}", "attention_bias true is not supported"},
        {LLAMA "\"mlp_bias\":true}", "mlp_bias true is not supported"},
        {LLAMA "\"hidden_act\":null}", "hidden_act null is not supported"},
        {LLAMA "\"hidden_act\":\"swish\"}", ""},
        {LLAMA "\"max_position_embeddings\":null}", "max_position_embeddings null"},
        {LLAMA "\"rope_parameters\":{\"rope_theta\":null}}", "rope_theta null is no number"},
        {LLAMA "\"rope_scaling\":{\"rope_type\":null,\"type\":\"linear\",\"factor\":2}}",
         "rope_type null is no name"},
        {LLAMA "\"rope_scaling\":{\"type\":\"linear\",\"factor\":2,"
               "\"partial_rotary_factor\":0.5}}",
         "partial_rotary_factor 0.5 is not supported"},
        {LLAMA "\"rope_scaling\":{\"type\":\"llama3\",\"factor\":2,\"low_freq_factor\":1,"
               "\"high_freq_factor\":4,\"original_max_position_embeddings\":\"64\"}}",
         "original_max_position_embeddings \"64\""},
        /* What transformers reads for every architecture. */
        {LLAMA "\"is_causal\":false}", "is_causal false is not supported"},
        {LLAMA "\"is_causal\":null}", ""},
        {LLAMA "\"per_layer_config\":{\"0\":{\"rms_norm_eps\":1}}}", "per_layer_config"},
        {LLAMA "\"per_layer_config\":{}}", ""},
        {LLAMA "\"layer_types\":[\"full_attention\",\"linear_attention\"]}", "layer_types"},
        {LLAMA "\"layer_types\":[\"full_attention\"]}", "layer_types"},
        {LLAMA "\"layer_types\":[\"full_attention\",\"sliding_attention\"]}",
         "there is no sliding_window in use"},
        {LLAMA "\"sliding_window\":8,\"layer_types\":[\"full_attention\",\"attention\"]}", ""},
        {LLAMA "\"architectures\":[\"MistralForCausalLM\"]}",
         "architectures says MistralForCausalLM and model_type llama"},
        {"{" SIZES "\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"gemma\"}",
         "architecture gemma is not supported"},
        {"{" SIZES "\"architectures\":[\"LlamaForCausalLM\"]}", ""},
        {"{" SIZES "\"architectures\":[\"LlamaModel\"]}", ""},
        {QWEN "\"use_sliding_window\":true}", ""}, /* from layer 28 on, and there are two */
        {QWEN "\"use_sliding_window\":true,\"max_window_layers\":1}", "sliding_window 16 shorter"},
        {QWEN "\"use_sliding_window\":true,\"layer_types\":[\"full_attention\","
              "\"sliding_attention\"]}",
         "sliding_window 16 shorter"},
        {QWEN "\"use_sliding_window\":1}", "is neither true nor false"},
        {LLAMA "\"eos_token_id\":\"2\"}", "eos_token_id is no token id"},
        {LLAMA "\"eos_token_id\":[2,-1]}", "eos_token_id is no token id"},
        {LLAMA "\"eos_token_id\":[1,2,3,4,5,6,7,8,9]}", "eos_token_id has more than 8 ids"},
        {LLAMA "\"eos_token_id\":null}", ""},
        {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n",
         "config.json is a pointer of Git LFS"},
        {"\xEF\xBB\xBF{\"vocab_size\":5}", "config.json begins with a byte order mark"},
        {"[]", "config.json: is no JSON object"},
        {"{\"a\":", "config.json: line 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hf_config_t config;
        const char *why = parsed (cases[i].config, &config);
        if (*cases[i].why ? !strstr (why, cases[i].why) : *why)
            fail_msg ("%s: got '%s', wanted '%s'", cases[i].config, why, cases[i].why);
    }
    hf_config_t config;
    err_t err = {0};
    assert_int_equal (hf_config_parse (cases[0].config,
                                       "{\"eos_token_id\":[3,4],\"bos_token_id\":1,"
                                       "\"max_length\":1000000000000000019884624838656}",
                                       &config, &err),
                      0);
    assert_int_equal (config.eos_n, 2);
    assert_int_equal (config.eos[1], 4);
    assert_int_equal (config.bos, 1);
    assert_int_equal (
        hf_config_parse (cases[0].config, "{\"eos_token_id\":[3,\"4\"]}", &config, &err), -1);
    assert_string_equal (err.text,
                         "generation_config.json: eos_token_id is no token id and no list "
                         "of them");
}

static void only_the_dtype_of_a_text_changes (void **state)
{
    (void) state;
    static const char *const cases[][2] = {
        {"{\n \"torch_dtype\" :\t\"bfloat16\", \"rms_norm_eps\": 1e-06}",
         "{\n \"torch_dtype\" :\t\"float32\", \"rms_norm_eps\": 1e-06}"},
        {"{\"a\": {\"dtype\": \"float16\"}, \"b\": [\"dtype\"], \"dtype\": \"float16\"}",
         "{\"a\": {\"dtype\": \"float16\"}, \"b\": [\"dtype\"], \"dtype\": \"float32\"}"},
        {"{\"a\": \"\\\"dtype\\\": {\", \"dtype\": \"f\\\"16\", \"torch_dtype\": \"x\"}",
         "{\"a\": \"\\\"dtype\\\": {\", \"dtype\": \"float32\", \"torch_dtype\": \"float32\"}"},
        {"{\"dtype\": null, \"x_dtype\": \"int8\"}", "{\"dtype\": null, \"x_dtype\": \"int8\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = hf_config_stored (cases[i][0], HF_F32);
        assert_string_equal (text, cases[i][1]);
        free (text);
    }
}

static void written_configurations_speak_both_dialects (void **state)
{
    (void) state;
    hf_config_t config = {.model = fixture_config (), .dtype = HF_BF16, .bos = -1}, back;
    config.model.arch = ARCH_MISTRAL;
    config.model.tied = false;
    config.model.norm_eps = 1e-6;
    config.model.rope = ROPE_LLAMA3;
    config.model.rope_theta = 5e5;
    config.model.rope_factor = 32;
    config.model.rope_low = 1;
    config.model.rope_high = 4;
    config.model.rope_original_context = 96;
    char *text = hf_config_json (&config);
    static const char *const wanted[] = {
        "\"rope_theta\": 500000.0", "\"rope_scaling\": {",           "\"rope_parameters\": {",
        "\"dtype\": \"bfloat16\"",  "\"torch_dtype\": \"bfloat16\"", "\"sliding_window\": null",
        "\"rms_norm_eps\": 1e-6"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!strstr (text, wanted[i]))
            fail_msg ("no %s in %s", wanted[i], text);
    assert_string_equal (parsed (text, &back), "");
    assert_memory_equal (&back.model, &config.model, sizeof back.model);
    char *old = strstr (text, "rope_parameters"); /* a reader that does not know the key */
    memcpy (old, "rope_unknown___", strlen ("rope_parameters"));
    assert_string_equal (parsed (text, &back), "");
    assert_memory_equal (&back.model, &config.model, sizeof back.model);
    free (text);
}

/*  ---- tensors -------------------------------------------------------------------------------- */

typedef struct {
    model_t *model;
    float *params;
    char names[TENSORS_MAX][96];
    safetensors_tensor_t tensors[TENSORS_MAX];
    size_t n;
} folder_t;

/*  A folder with config.json, and its tensors to be written, changed or not. */
static folder_t *folder (const char *name, const model_config_t *shape, const char *dtype)
{
    err_t err = {0};
    folder_t *f = calloc (1, sizeof *f);
    hf_config_t config = {.model = *shape, .dtype = HF_F32, .bos = -1};
    assert_non_null (f);
    f->model = fixture_model (shape, COMPUTE_F32);
    f->params = malloc (model_params (f->model) * sizeof *f->params);
    model_get (f->model, f->params);
    for (f->n = 0; f->n < model_tensors (f->model); f->n++) {
        const model_tensor_t *t = model_tensor (f->model, f->n);
        f->tensors[f->n] =
            (safetensors_tensor_t){.name = t->name, .data = f->params + t->offset, .rank = t->rank};
        f->tensors[f->n].shape[0] = t->rank == 1 ? t->columns : t->rows;
        f->tensors[f->n].shape[1] = t->columns;
    }
    char *text = hf_config_json (&config), *edited = text;
    if (dtype) /* what the file says; NULL: nothing */
        edited = hf_config_stored (text, strcmp (dtype, "float16") == 0 ? HF_F16 : HF_BF16);
    else
        for (char *at; (at = strstr (text, "dtype\""));)
            memcpy (at, "other\"", 6);
    put_in (name, "config.json", edited);
    if (edited != text)
        free (edited);
    free (text);
    assert_int_equal (fs_remove (in (name, "model.safetensors"), &err), 0);
    return f;
}

static void add (folder_t *f, const char *name, const float *data, size_t rows, size_t columns)
{
    snprintf (f->names[f->n], sizeof f->names[0], "%s", name);
    f->tensors[f->n] = (safetensors_tensor_t){
        .name = f->names[f->n], .data = data, .shape = {rows, columns}, .rank = columns ? 2 : 1};
    f->n++;
}

static void write_tensors (const folder_t *f, const char *name, const char *file, size_t from,
                           size_t end, safetensors_type_t type)
{
    err_t err = {0};
    if (safetensors_write (in (name, file), f->tensors + from, end - from, type, &err) != 0)
        fail_msg ("%s", err.text);
}

static void release (folder_t **f)
{
    model_destroy (&(*f)->model);
    free ((*f)->params);
    free (*f);
    *f = NULL;
}

/*  why "": it opens. */
static void opens (const char *name, const char *why)
{
    err_t err = {0};
    hf_t *hf = hf_open (in (name, ""), &err);
    bool right = *why ? !hf && strstr (err.text, why) : hf != NULL;
    hf_destroy (&hf);
    if (!right)
        fail_msg ("%s: got '%s', wanted '%s'", name, err.text, why);
}

static size_t index_of (const folder_t *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp (f->tensors[i].name, name) == 0)
            return i;
    fail_msg ("no tensor %s", name);
    return 0;
}

#define Q "model.layers.1.self_attn.q_proj.weight"

static void a_tensor_is_missing (folder_t *f)
{
    f->tensors[index_of (f, Q)] = f->tensors[--f->n];
}

static void a_tensor_has_three_dimensions (folder_t *f)
{
    safetensors_tensor_t *t = &f->tensors[index_of (f, Q)];
    t->rank = 3;
    t->shape[2] = 1;
}

static void a_tensor_is_turned (folder_t *f)
{
    safetensors_tensor_t *t = &f->tensors[index_of (f, Q)];
    t->shape[0] = 44;
    t->shape[1] = 60;
}

static void a_bias_is_too_many (folder_t *f)
{
    add (f, "model.layers.1.self_attn.q_proj.bias", f->params, 60, 0);
}

static void a_layer_is_too_many (folder_t *f)
{
    add (f, "model.layers.2.input_layernorm.weight", f->params, 44, 0);
}

static void old_frequencies_are_there (folder_t *f)
{
    add (f, "model.layers.1.self_attn.rotary_emb.inv_freq", f->params, 5, 0);
    add (f, "v_head.summary.weight", f->params, 1, 44);
}

/*  As AutoModel saves it. */
static void the_names_are_bare (folder_t *f)
{
    for (size_t i = 0; i < f->n; i++)
        f->tensors[i].name += strncmp (f->tensors[i].name, "model.", 6) == 0 ? 6 : 0;
}

static void bare_names_have_a_bias_too_many (folder_t *f)
{
    the_names_are_bare (f);
    add (f, "layers.1.self_attn.q_proj.bias", f->params, 60, 0);
}

static void the_tied_head_is_there (folder_t *f)
{
    add (f, "lm_head.weight", f->tensors[index_of (f, "model.embed_tokens.weight")].data, 83, 44);
}

static void the_tied_head_is_another (folder_t *f)
{
    add (f, "lm_head.weight", f->tensors[index_of (f, "model.embed_tokens.weight")].data + 1, 83,
         44);
}

static void tensors_are_those_of_the_shape (void **state)
{
    (void) state;
    static const struct {
        void (*change) (folder_t *);
        const char *why;
    } cases[] = {
        {NULL, ""},
        {a_tensor_is_missing, "tensor " Q " is missing"},
        {a_tensor_has_three_dimensions,
         "tensor " Q " has the shape [60, 44, 1], config.json says [60, 44]"},
        {a_tensor_is_turned, "tensor " Q " has the shape [44, 60], config.json says [60, 44]"},
        {a_bias_is_too_many, "tensor model.layers.1.self_attn.q_proj.bias belongs to no model"},
        {a_layer_is_too_many, "tensor model.layers.2.input_layernorm.weight belongs to no model"},
        {old_frequencies_are_there, ""},
        {the_names_are_bare, ""},
        {bare_names_have_a_bias_too_many, "layers.1.self_attn.q_proj.bias belongs to no model"},
        {the_tied_head_is_there, ""},
        {the_tied_head_is_another, "lm_head.weight is not the embedding"},
    };
    model_config_t shape = fixture_config ();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        folder_t *f = folder ("tensors", &shape, "bfloat16");
        if (cases[i].change)
            cases[i].change (f);
        write_tensors (f, "tensors", "model.safetensors", 0, f->n, SAFETENSORS_F32);
        opens ("tensors", cases[i].why);
        release (&f);
    }
    shape.tied = false;
    folder_t *f = folder ("untied", &shape, "bfloat16");
    write_tensors (f, "untied", "model.safetensors", 0, f->n - 1, SAFETENSORS_F32);
    opens ("untied", "tensor lm_head.weight is missing (and config.json does not set "
                     "tie_word_embeddings)");
    write_tensors (f, "untied", "model.safetensors", 0, f->n, SAFETENSORS_F32);
    buf_t file = got ("untied", "model.safetensors");
    char *type = memmem (file.data, file.size, "\"F32\"", 5);
    assert_non_null (type);
    memcpy (type, "\"I32\"", 5);
    err_t err = {0};
    assert_int_equal (fs_write (in ("untied", "model.safetensors"), file.data, file.size, &err), 0);
    opens ("untied", "tensor model.embed_tokens.weight holds whole numbers");
    buf_free (&file);
    release (&f);
}

static void the_dtype_is_what_the_tensors_are (void **state)
{
    (void) state;
    static const char *const says[] = {"bfloat16", "float16", NULL};
    static const safetensors_type_t types[] = {SAFETENSORS_F32, SAFETENSORS_BF16, SAFETENSORS_F16};
    static const hf_dtype_t wanted[] = {HF_F32, HF_BF16, HF_F16};
    model_config_t shape = fixture_config ();
    for (size_t s = 0; s < 3; s++)
        for (size_t t = 0; t < 3; t++) {
            err_t err = {0};
            folder_t *f = folder ("dtype", &shape, says[s]);
            write_tensors (f, "dtype", "model.safetensors", 0, f->n, types[t]);
            hf_t *hf = hf_open (in ("dtype", ""), &err);
            assert_non_null (hf);
            assert_int_equal (hf_config (hf)->dtype, wanted[t]);
            hf_destroy (&hf);
            release (&f);
        }
    assert_int_equal (hf_dtype_kept (HF_F32, COMPUTE_F32), HF_F32);
    assert_int_equal (hf_dtype_kept (HF_F32, COMPUTE_BF16), HF_F32);
    assert_int_equal (hf_dtype_kept (HF_BF16, COMPUTE_F32), HF_F32);
    assert_int_equal (hf_dtype_kept (HF_BF16, COMPUTE_BF16), HF_BF16);
    assert_int_equal (hf_dtype_kept (HF_F16, COMPUTE_F32), HF_F32);
    assert_int_equal (hf_dtype_kept (HF_F16, COMPUTE_BF16), HF_BF16);
}

/*  Two shards, the first `half` tensors in a; what the index says of tensor `other` is `place`,
 *  NULL: nothing. */
static void write_index (const folder_t *f, size_t half, size_t other, const char *place)
{
    buf_t text = {0};
    buf_text (&text, "{\"metadata\":{\"total_size\":1},\"weight_map\":{");
    const char *comma = "";
    for (size_t i = 0; i < f->n; i++) {
        const char *file = i == other ? place : i < half ? "a.safetensors" : "b.safetensors";
        if (file)
            buf_printf (&text, "%s\"%s\":%s%s%s", comma, f->tensors[i].name,
                        *file == '7' ? "" : "\"", file, *file == '7' ? "" : "\"");
        comma = ",";
    }
    buf_text (&text, "}}");
    put_in ("index", "model.safetensors.index.json", text.data);
    buf_free (&text);
}

static void the_index_is_obeyed (void **state)
{
    (void) state;
    static const struct {
        size_t other, overlap;
        const char *place, *why;
    } cases[] = {
        {SIZE_MAX, 0, NULL, ""},
        {1, 0, "b.safetensors", "is in b.safetensors, which does not have it"},
        {1, 0, NULL, "of a.safetensors is not in the index"},
        {SIZE_MAX, 1, NULL, "is in b.safetensors, the index says that it is in a.safetensors"},
        {1, 0, "../a.safetensors", "names '../a.safetensors', which is no file in it"},
        {1, 0, "..", "names '..', which is no file in it"},
        {1, 0, "7", "names no file for tensor"},
        {1, 0, "c.safetensors", "c.safetensors: No such file"},
    };
    model_config_t shape = fixture_config ();
    folder_t *f = folder ("index", &shape, "bfloat16");
    size_t half = f->n / 2;
    write_tensors (f, "index", "a.safetensors", 0, half, SAFETENSORS_F32);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_tensors (f, "index", "b.safetensors", half - cases[i].overlap, f->n, SAFETENSORS_F32);
        write_index (f, half, cases[i].other, cases[i].place);
        opens ("index", cases[i].why);
    }
    release (&f);
    put_in ("index", "model.safetensors.index.json", "{\"weight_map\":{}}");
    opens ("index", "has no weight_map");
}

static void files_that_are_no_weights_are_named (void **state)
{
    (void) state;
    model_config_t shape = fixture_config ();
    folder_t *f = folder ("other", &shape, "float32");
    put_in ("other", "pytorch_model.bin", "x");
    opens ("other", "its weights are in pytorch_model.bin");
    put_in ("other", "model.safetensors", "version https://git-lfs.github.com/spec/v1\nsize 7\n");
    opens ("other", "model.safetensors is a pointer of Git LFS");
    release (&f);
}

/*  ---- other files ---------------------------------------------------------------------------- */

static void what_is_recommended_is_told (void **state)
{
    (void) state;
    static const char *const cases[][2] = {
        {NULL, ""},
        {"{\"eos_token_id\":[1,2],\"do_sample\":true,\"temperature\":1.0,\"top_k\":null}", ""},
        {"{\"temperature\":0.6,\"top_p\":0.9}", ""}, /* the likeliest is taken */
        {"{\"do_sample\":true,\"temperature\":0.6,\"top_k\":20,\"top_p\":0.95,\"min_p\":0}",
         "temperature 0.6, top_k 20, top_p 0.95"},
        {"{\"repetition_penalty\":1.05,\"bad_words_ids\":[[1]],\"suppress_tokens\":[]}",
         "repetition_penalty 1.05, bad_words_ids"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *advice = hf_generation_advice (cases[i][0]);
        assert_string_equal (advice, cases[i][1]);
        free (advice);
    }
}

static void other_files_go_along (void **state)
{
    (void) state;
    static const char *const kept[] = {
        "tokenizer_config.json", "chat_template.jinja", "vocab.json", "tokenizer.model", "LICENSE",
        "generation_config.json"};
    static const char *const left[] = {"a.bin",          "model.safetensors.index.json",
                                       "trainer.json",   "optimizer.state",
                                       ".gitattributes", "adapter_config.json"};
    err_t err = {0};
    for (size_t i = 0; i < 6; i++) {
        put_in ("from", kept[i], kept[i]);
        put_in ("from", left[i], "x");
        put_in ("blobs", "1f", "of the cache");
    }
    assert_int_equal (mkfifo (in ("from", "pipe.txt"), 0600), 0);
    assert_int_equal (symlink ("/etc/hostname", in ("from", "link.txt")), 0);
    /* As in Hugging Face's cache: NAME/snapshots/HASH, beside NAME/blobs. */
    assert_int_equal (fs_mkdirs (in ("cache", "snapshots"), &err), 0);
    assert_int_equal (rename (in ("from", ""), in ("cache", "snapshots/1")), 0);
    assert_int_equal (rename (in ("blobs", ""), in ("cache", "blobs")), 0);
    assert_int_equal (symlink ("../../blobs/1f", in ("cache", "snapshots/1/merges.txt")), 0);
    hf_files_t *files = hf_files_read (in ("cache", "snapshots/1"), &err);
    if (!files)
        fail_msg ("%s", err.text);
    put_in ("all", "config.json", "{}");
    put_in ("some", "config.json", "{}");
    assert_int_equal (hf_files_write (files, in ("all", ""), false, &err), 0);
    assert_int_equal (hf_files_write (files, in ("some", ""), true, &err), 0);
    for (size_t i = 0; i < 6; i++) {
        holds ("all", kept[i], kept[i]);
        assert_false (fs_exists (in ("all", left[i])));
        assert_int_equal (fs_exists (in ("some", kept[i])), i < 4);
    }
    holds ("all", "merges.txt", "of the cache");
    assert_false (fs_exists (in ("all", "pipe.txt")));
    assert_false (fs_exists (in ("all", "link.txt")));
    hf_files_destroy (&files);
}

int main (void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test (configurations_are_read_as_transformers_does),
        cmocka_unit_test (only_the_dtype_of_a_text_changes),
        cmocka_unit_test (written_configurations_speak_both_dialects),
        cmocka_unit_test (tensors_are_those_of_the_shape),
        cmocka_unit_test (the_dtype_is_what_the_tensors_are),
        cmocka_unit_test (the_index_is_obeyed),
        cmocka_unit_test (files_that_are_no_weights_are_named),
        cmocka_unit_test (what_is_recommended_is_told),
        cmocka_unit_test (other_files_go_along)};
    return cmocka_run_group_tests_name ("hf", tests, make_dir, remove_dir);
}

/*  target_modules of adapters: those that PEFT would adapt, and no others. */
#include "formats/peft.h"

#include "model_fixture.h"

/*  As PEFT finds modules: by names and the ends of names, or by a pattern of all of a name. */
static void targets_are_names_or_patterns (void **state)
{
    (void) state;
    static const struct {
        const char *targets;
        unsigned mask;
    } cases[] = {
        {"[\"q_proj\", \"c_attn\"]", 1u << LORA_Q},
        {"[\"self_attn.q_proj\", \"mlp.up_proj\"]", 1u << LORA_Q | 1u << LORA_UP},
        {"[\"model.layers.1.self_attn.v_proj\", \"model.layers.0.self_attn.v_proj\"]",
         1u << LORA_V},
        {"\"all-linear\"", LORA_ALL_LINEAR},
        {"\".*\\\\.(q_proj|v_proj)\"", 1u << LORA_Q | 1u << LORA_V},
        {"\"model.*proj\"", LORA_ALL_LINEAR},
        {"\"(?:.*?self_attn.*?(?:k_proj|o_proj))|lm_head\"",
         1u << LORA_K | 1u << LORA_O | 1u << LORA_HEAD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        err_t err = {0};
        lora_config_t lora;
        snprintf (text, sizeof text,
                  "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8, \"target_modules\": %s}",
                  cases[i].targets);
        if (peft_parse (text, &lora, &err) != 0 || lora.targets != cases[i].mask)
            fail_msg ("%s: %x (%s), wanted %x", cases[i].targets, lora.targets, err.text,
                      cases[i].mask);
    }
}

/*  Some of what a folder says for a model of two layers; all of its tensors are there. */
static const char *read_with (const char *targets)
{
    static err_t err;
    char dir[] = "/tmp/quintet-peft-XXXXXX", path[FS_PATH_MAX], text[512];
    model_config_t shape = fixture_config ();
    model_t *base = fixture_model (&shape, COMPUTE_F32);
    const lora_config_t lora = {.rank = 4, .alpha = 8, .targets = 1u << LORA_Q | 1u << LORA_V};
    err = (err_t){0};
    model_t *model = lora_new (base, &lora, &err);
    float *params = calloc (model_params (model), sizeof *params);
    assert_non_null (mkdtemp (dir));
    assert_int_equal (peft_save (dir, model, params, "base", &err), 0);
    snprintf (text, sizeof text,
              "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8, \"target_modules\": %s}",
              targets);
    assert_int_equal (fs_join (path, dir, "adapter_config.json", &err), 0);
    assert_int_equal (fs_write (path, text, strlen (text), &err), 0);
    int rc = peft_read_params (dir, model, params, &err);
    assert_int_equal (rc == 0, !*err.text);
    fs_remove (dir, NULL);
    free (params);
    model_destroy (&model);
    model_destroy (&base);
    return err.text;
}

/*  PEFT adapts one layer of these alone, though the file has tensors for both. */
static void a_layer_left_out_is_named (void **state)
{
    (void) state;
    static const struct {
        const char *targets, *why;
    } cases[] = {
        {"[\"q_proj\", \"v_proj\"]", ""},
        {"\".*layers\\\\.[01]\\\\..*(q|v)_proj\"", ""},
        {"[\"0.self_attn.q_proj\", \"1.self_attn.q_proj\", \"v_proj\"]", ""},
        {"\".*layers\\\\.0.*(q|v)_proj\"", "leaves out model.layers.1.self_attn.q_proj"},
        {"[\"q_proj\", \"layers.1.self_attn.v_proj\"]",
         "leaves out model.layers.0.self_attn.v_proj"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *why = read_with (cases[i].targets);
        if (*cases[i].why ? !strstr (why, cases[i].why) : *why)
            fail_msg ("%s: got '%s', wanted '%s'", cases[i].targets, why, cases[i].why);
    }
}

#define PATTERNS                                                                                   \
    "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8, \"target_modules\": [\"q_proj\", "     \
    "\"v_proj\", \"up_proj\"], \"rank_pattern\": %s, \"alpha_pattern\": %s}"

/*  The first key that matches a name, or its end behind a dot, as PEFT does. */
static void patterns_give_a_target_its_own (void **state)
{
    (void) state;
    static const struct {
        const char *ranks, *alphas;
        size_t q, v, up;
        double q_alpha, up_alpha;
    } cases[] = {
        {"{}", "null", 4, 4, 4, 8, 8},
        {"{\"q_proj\": 2}", "{\"up_proj\": 3.5}", 2, 4, 4, 8, 3.5},
        {"{\"proj\": 2, \"_proj\": 3, \"k_proj\": 5}", "{}", 4, 4, 4, 8, 8},
        {"{\"self_attn.[qv]_proj\": 2, \"q_proj\": 3}", "{\".*_proj\": 1}", 2, 2, 4, 1, 1},
        {"{\"^model.layers.[0-9]+.mlp.up_proj\": 16}", "{\"q_proj\": 2}", 4, 4, 16, 2, 8},
        {"{\"layers.0.self_attn.q_proj\": 2}", "{}", 2, 4, 4, 8, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        err_t err = {0};
        lora_config_t lora, again;
        snprintf (text, sizeof text, PATTERNS, cases[i].ranks, cases[i].alphas);
        if (peft_parse (text, &lora, &err) != 0)
            fail_msg ("%s: %s", text, err.text);
        assert_int_equal (lora_rank (&lora, LORA_Q), cases[i].q);
        assert_int_equal (lora_rank (&lora, LORA_V), cases[i].v);
        assert_int_equal (lora_rank (&lora, LORA_UP), cases[i].up);
        fixture_near ("alpha of q", i, lora_alpha (&lora, LORA_Q), cases[i].q_alpha, 0);
        fixture_near ("alpha of up", i, lora_alpha (&lora, LORA_UP), cases[i].up_alpha, 0);
        char *written = peft_json (&lora, "base");
        assert_int_equal (peft_parse (written, &again, &err), 0);
        assert_true (lora_same (&lora, &again));
        again.own_rank[LORA_UP] = 7;
        assert_false (lora_same (&lora, &again));
        free (written);
    }
}

static void patterns_are_refused_by_name (void **state)
{
    (void) state;
    static const char *const cases[][3] = {
        {"{\"q_proj\": 0}", "{}", "rank_pattern gives q_proj the rank 0"},
        {"{\"q_proj\": \"2\"}", "{}", "rank_pattern gives q_proj the rank 0"},
        {"{\"q_proj\": 1025}", "{}", "from 1 to 1024"},
        {"[2]", "{}", "rank_pattern is no object"},
        {"{\"(\": 2}", "{}", "rank_pattern: '(.*\\.)?(()' is no pattern"},
        {"{}", "{\"q_proj\": -2}", "alpha_pattern gives q_proj -2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        err_t err = {0};
        lora_config_t lora;
        snprintf (text, sizeof text, PATTERNS, cases[i][0], cases[i][1]);
        if (peft_parse (text, &lora, &err) == 0 || !strstr (err.text, cases[i][2]))
            fail_msg ("got '%s', wanted '%s'", err.text, cases[i][2]);
    }
}

/*  What a file has for both layers, while a pattern means one of them. */
static void a_rank_of_one_layer_is_named (void **state)
{
    (void) state;
    char dir[] = "/tmp/quintet-peft-XXXXXX", path[FS_PATH_MAX], text[512];
    err_t err = {0};
    lora_config_t lora;
    model_config_t shape = fixture_config ();
    snprintf (text, sizeof text, PATTERNS, "{\"layers.0.self_attn.q_proj\": 2}", "{}");
    assert_int_equal (peft_parse (text, &lora, &err), 0);
    model_t *base = fixture_model (&shape, COMPUTE_F32), *model = lora_new (base, &lora, &err);
    float *params = calloc (model_params (model), sizeof *params);
    assert_non_null (mkdtemp (dir));
    assert_int_equal (peft_save (dir, model, params, "base", &err), 0);
    assert_int_equal (peft_read_params (dir, model, params, &err), 0);
    assert_int_equal (fs_join (path, dir, "adapter_config.json", &err), 0);
    assert_int_equal (fs_write (path, text, strlen (text), &err), 0);
    assert_int_equal (peft_read_params (dir, model, params, &err), -1);
    if (!strstr (err.text, "rank_pattern says of model.layers.1.self_attn.q_proj what it does not"))
        fail_msg ("got '%s'", err.text);
    fs_remove (dir, NULL);
    free (params);
    model_destroy (&model);
    model_destroy (&base);
}

int main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (targets_are_names_or_patterns),
                                       cmocka_unit_test (a_layer_left_out_is_named),
                                       cmocka_unit_test (patterns_give_a_target_its_own),
                                       cmocka_unit_test (patterns_are_refused_by_name),
                                       cmocka_unit_test (a_rank_of_one_layer_is_named)};
    return cmocka_run_group_tests_name ("peft", tests, NULL, NULL);
}

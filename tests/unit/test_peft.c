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

int main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (targets_are_names_or_patterns),
                                       cmocka_unit_test (a_layer_left_out_is_named)};
    return cmocka_run_group_tests_name ("peft", tests, NULL, NULL);
}

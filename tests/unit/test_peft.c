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

int main (void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test (targets_are_names_or_patterns)};
    return cmocka_run_group_tests_name ("peft", tests, NULL, NULL);
}

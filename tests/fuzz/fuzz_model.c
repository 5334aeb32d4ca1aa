/*  fuzz_model [SECONDS] [SEED]: config.json, adapter_config.json, tokenizer.json, safetensors
 *  files and chat templates, damaged. */
#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "formats/hf.h"
#include "formats/peft.h"
#include "formats/safetensors.h"
#include "model/lora.h"
#include "text/jinja.h"
#include "mutate.h"

static char path[64] = "/tmp/quintet-fuzz-XXXXXX";

static void try_safetensors (const char *data, size_t size)
{
    int fd = open (path, O_WRONLY | O_TRUNC);
    if (fd < 0 || write (fd, data, size) != (ssize_t) size)
        abort ();
    close (fd);
    err_t err = {0};
    safetensors_t *file = safetensors_open (path, &err);
    for (size_t i = 0; file && i < safetensors_count (file); i++) {
        const safetensors_entry_t *e = safetensors_entry (file, i);
        float *values = malloc ((e->n + 1) * sizeof *values);
        if (values)
            safetensors_read (file, e, 0, e->n, values, &err);
        free (values);
    }
    safetensors_close (&file);
}

static void try_template (const char *template)
{
    err_t err = {0};
    buf_t out = {.max = 1 << 16};
    json_t *variables = json_pack ("{s:[{s:s, s:s}], s:b, s:n}", "messages", "role", "user",
                                   "content", "Hi", "add_generation_prompt", 1, "tools");
    jinja_render (template, variables, &out, &err);
    json_decref (variables);
    buf_free (&out);
}

static void try_one (const char *data, size_t size)
{
    err_t err = {0};
    hf_config_t config;
    lora_config_t lora;
    if (size && data[0] == 'S') {
        try_safetensors (data + 1, size - 1);
        return;
    }
    if (size && data[0] == 'J') {
        try_template (data + 1);
        return;
    }
    if (strlen (data) == size && hf_config_parse (data, NULL, &config, &err) == 0)
        free (hf_config_stored (data, HF_F32));
    if (strlen (data) == size && peft_parse (data, &lora, &err) == 0)
        free (peft_json (&lora, "base"));
    tokenizer_t *tokenizer = tokenizer_parse (data, size, &err);
    if (tokenizer) {
        tokenizer_ids_t ids = {0};
        buf_t text = {0};
        static const char words[] = "def aux(xs): caf\xc3\xa9 \xff <|end|> 12";
        tokenizer_encode (tokenizer, words, sizeof words - 1, TOKENIZER_BOS, &ids, &err);
        tokenizer_decode (tokenizer, ids.data, ids.n, 0, &text);
        tokenizer_ids_free (&ids);
        buf_free (&text);
        tokenizer_destroy (&tokenizer);
    }
}

int main (int argc, char **argv)
{
    static const char config[] =
        "{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":48,\"num_hidden_layers\":2,"
        "\"num_attention_heads\":6,\"num_key_value_heads\":2,\"intermediate_size\":64,\"vocab_"
        "size\":99,"
        "\"rope_parameters\":{\"rope_type\":\"llama3\",\"factor\":8,\"rope_theta\":10000},"
        "\"eos_token_id\":[1,2],\"dtype\":\"bfloat16\"}";
    static const char tensors[] =
        "S\x58\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[1,2],\"data_offsets\":[8,12]}}  01234567abcd";
    static const char *const texts[] = {"def aux(xs): return xs", "caf\xc3\xa9 again and again"};
    err_t err = {0};
    int fd = mkstemp (path);
    char *tokenizer = tokenizer_train (texts, 2, 270, (const char *const[]){"<|end|>"}, 1, &err);
    if (!tokenizer || fd < 0)
        return 1;
    close (fd);
    static const char adapter[] =
        "{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":8,\"use_rslora\":true,\"bias\":\"none\","
        "\"target_modules\":[\"q_proj\",\"lm_head\"],\"modules_to_save\":null,\"rank_pattern\":{}}";
    static const char template[] =
        "J{%- set ns = namespace(a=[1, 2]) %}{% for m in messages[::-1] %}{{- '<' + m.role ~ '>' "
        "+ m['content'][0:5] | trim if m.content is string and not (loop.index0 % 2 == 1) else "
        "raise_exception('x') }}{% set ns.a = ns.a %}{% endfor %}{#- c -#}{% if tools %}{{ f(1) "
        "}}{% elif add_generation_prompt and 'a' not in ['b'] %}\n{{ 'A\\n' }}{% endif %}";
    const char *seeds[] = {config, tensors, tokenizer, adapter, template};
    size_t sizes[] = {sizeof config - 1, sizeof tensors - 1, strlen (tokenizer), sizeof adapter - 1,
                      sizeof template - 1};
    int rc = fuzz_main (argc, argv, seeds, sizes, 5, try_one);
    unlink (path);
    free (tokenizer);
    return rc;
}

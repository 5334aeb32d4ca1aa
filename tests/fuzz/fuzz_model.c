/*  config.json, adapter_config.json, tokenizer.json and safetensors files. */
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "formats/hf.h"
#include "formats/peft.h"
#include "formats/safetensors.h"
#include "model/lora.h"
#include "fuzz.h"

static void try_safetensors (const uint8_t *data, size_t size)
{
    int fd = memfd_create ("fuzz", MFD_CLOEXEC);
    char path[64];
    snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd < 0 || write (fd, data, size) != (ssize_t) size)
        abort ();
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
    close (fd);
}

/*  The first byte says whether the rest is a file of tensors. */
int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t size)
{
    if (size && bytes[0] == 'S') {
        try_safetensors (bytes + 1, size - 1);
        return 0;
    }
    char *data = fuzz_text (bytes, size);
    err_t err = {0};
    hf_config_t config;
    lora_config_t lora;
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
    free (data);
    return 0;
}

int LLVMFuzzerInitialize (int *argc, char ***argv)
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
    char *tokenizer = tokenizer_train (texts, 2, 270, (const char *const[]){"<|end|>"}, 1, &err);
    if (!tokenizer)
        fuzz_fail ("tokenizer");
    static const char adapter[] =
        "{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":8,\"use_rslora\":true,\"bias\":\"none\","
        "\"target_modules\":[\"q_proj\",\"lm_head\"],\"modules_to_save\":null,\"rank_pattern\":{}}";
    fuzz_seed ("config", config, sizeof config - 1);
    fuzz_seed ("tensors", tensors, sizeof tensors - 1);
    fuzz_seed ("tokenizer", tokenizer, strlen (tokenizer));
    fuzz_seed ("adapter", adapter, sizeof adapter - 1);
    free (tokenizer);
    return fuzz_seeds (argc, argv);
}

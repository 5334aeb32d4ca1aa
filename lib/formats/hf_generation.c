/*  hf_generation - see hf.h: what generation_config.json recommends. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "formats/hf.h"
#include "text/parse.h"

/*  Keys of transformers that change what is sampled, and the number that changes nothing. Those
 *  that choose among the likely count with do_sample alone: without it the likeliest is taken. */
static const struct {
    const char *key;
    double neutral;
    bool sampled;
} keys[] = {{"temperature", 1, true},
            {"top_k", 0, true},
            {"top_p", 1, true},
            {"min_p", 0, true},
            {"typical_p", 1, true},
            {"epsilon_cutoff", 0, true},
            {"eta_cutoff", 0, true},
            {"repetition_penalty", 1, false},
            {"no_repeat_ngram_size", 0, false},
            {"num_beams", 1, false},
            {"penalty_alpha", 0, false},
            {"guidance_scale", 1, false},
            {"bad_words_ids", 0, false},
            {"suppress_tokens", 0, false},
            {"begin_suppress_tokens", 0, false},
            {"sequence_bias", 0, false},
            {"exponential_decay_length_penalty", 0, false},
            {"forced_bos_token_id", -1, false},
            {"forced_eos_token_id", -1, false},
            {"stop_strings", 0, false}};

/*  A number that is not neutral, or anything that is no number and not empty. */
static bool generation_says (const json_t *value, double neutral)
{
    if (json_is_number (value))
        return fabs (json_number_value (value) - neutral) > 0;
    return json_is_true (value) || json_array_size (value) || json_object_size (value) ||
           json_string_length (value);
}

char *hf_generation_advice (const char *generation_json)
{
    json_t *root =
        generation_json ? parse_json (generation_json, strlen (generation_json), "", NULL) : NULL;
    bool samples = json_is_true (json_object_get (root, "do_sample"));
    buf_t text = {0};
    buf_text (&text, "");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *value = json_object_get (root, keys[i].key);
        if (!generation_says (value, keys[i].neutral) || (keys[i].sampled && !samples))
            continue;
        buf_printf (&text, "%s%s", text.size ? ", " : "", keys[i].key);
        if (json_is_number (value))
            buf_printf (&text, " %.6g", json_number_value (value));
    }
    json_decref (root);
    return buf_take (&text);
}

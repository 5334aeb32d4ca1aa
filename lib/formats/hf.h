/*  hf - ordinary Hugging Face model folders, in and out.
 *
 *      hf_t *hf = hf_open (dir, &err);                     config, tensors checked; weights mapped
 *      hf_fill (hf, model, pool, &err);
 *      hf_save (dir, &config, model, params, tokenizer_json, &err);
 *      hf_destroy (&hf);
 *
 *  Everything in a folder is untrusted: sizes, offsets, shapes and names are checked before use,
 *  and what is not supported is refused by name, never run wrongly.
 */
#ifndef QUINTET_FORMATS_HF_H
#define QUINTET_FORMATS_HF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/fs.h"
#include "model/model.h"
#include "text/tokenizer.h"

typedef enum { HF_F32, HF_BF16, HF_F16 } hf_dtype_t;

#define HF_EOS_MAX 8

typedef struct {
    model_config_t model;
    hf_dtype_t dtype; /* as stored: of a folder, what its tensors are; else what config.json says */
    int32_t eos[HF_EOS_MAX]; /* from generation_config.json, else config.json */
    size_t eos_n;
    int32_t bos; /* -1: none */
} hf_config_t;

/*  Parses the text of config.json (and of generation_config.json, or NULL). Both dialects. Errors
 *  name the key. */
int hf_config_parse (const char *config_json, const char *generation_json, hf_config_t *config,
                     err_t *err);
/*  What a generation_config.json (or NULL) recommends of sampling, which nothing here follows:
 *  "temperature 0.6, top_p 0.95", or "". NULL: no memory. Caller frees. */
char *hf_generation_advice (const char *generation_json);
/*  The text of a config.json that other tools load, in both dialects. Caller frees. */
char *hf_config_json (const hf_config_t *config);
/*  A config.json as it was, but for the dtype that it names. NULL: no memory. Caller frees. */
char *hf_config_stored (const char *config_json, hf_dtype_t dtype);

/*  How weights that came as source are stored after training: as they came where that holds all
 *  that was computed with, else as what that is. Float32 holds bfloat16; neither bfloat16 nor
 *  float16 holds float32, nor float16 the range of bfloat16. */
hf_dtype_t hf_dtype_kept (hf_dtype_t source, model_compute_t compute);
/*  "float32", "bfloat16", "float16". */
const char *hf_dtype_name (hf_dtype_t dtype);

typedef struct hf hf_t;

/*  The folder of a policy's model: parent/name where that is one, as in a checkpoint of several
 *  policies, else parent itself. */
int hf_find (const char *parent, const char *name, char dir[FS_PATH_MAX], err_t *err);
hf_t *hf_open (const char *dir, err_t *err);
void hf_destroy (hf_t **hf);
const hf_config_t *hf_config (const hf_t *hf);
/*  Text of the folder's config.json, and of its tokenizer.json as tokenizer_config_text completes
 *  it (NULL when it has none). */
const char *hf_config_text (const hf_t *hf);
const char *hf_tokenizer_text (const hf_t *hf);
/*  hf_generation_advice of the folder. */
const char *hf_advice (const hf_t *hf);
/*  Fills the flat vector, or the model itself without such a vector in between; refuses NaN and
 *  infinity by tensor name. */
int hf_params (const hf_t *hf, const model_t *model, float *params, err_t *err);
int hf_fill (const hf_t *hf, model_t *model, pool_t *pool, err_t *err);
/*  Reads every weight of the model once and keeps none: what hf_params would refuse is refused. */
int hf_check (const hf_t *hf, err_t *err);

/*  Writes config.json, generation_config.json, model.safetensors and tokenizer.json (its text;
 *  NULL: none) into an existing folder. config->dtype says how weights are stored. */
int hf_save (const char *dir, const hf_config_t *config, const model_t *model, const float *params,
             const char *tokenizer_json, err_t *err);

/*  The weights alone, or those of adapters (lora.h), into a file of the folder. */
int hf_save_weights (const char *dir, const char *name, hf_dtype_t dtype, const model_t *model,
                     const float *params, err_t *err);

/*  The other small files of a folder (tokenizer_config.json, chat_template.jinja,
 *  generation_config.json, a licence): regular ones of up to 16 MiB, but for weights and lists of
 *  weights in any format. */
typedef struct hf_files hf_files_t;

hf_files_t *hf_files_read (const char *dir, err_t *err);
void hf_files_destroy (hf_files_t **files);
/*  Into an existing folder. tokenizer: those of the tokenizer alone, as folders of adapters have
 *  them. */
int hf_files_write (const hf_files_t *files, const char *dir, bool tokenizer, err_t *err);

/*  A folder again, with other weights. */
typedef struct {
    const char *config, *tokenizer; /* texts of config.json and tokenizer.json */
    const hf_files_t *files;
} hf_kept_t;

int hf_save_like (const char *dir, const hf_kept_t *kept, hf_dtype_t dtype, const model_t *model,
                  const float *params, err_t *err);

#endif

/*  hf_save - see hf.h: writing folders. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "formats/hf.h"
#include "formats/safetensors.h"

#define WEIGHTS "model.safetensors"

/*  The tensors of the model's list, by name, from the flat vector. */
int hf_save_weights (const char *dir, const char *name, hf_dtype_t dtype, const model_t *model,
                     const float *params, err_t *err)
{
    char path[FS_PATH_MAX];
    if (fs_join (path, dir, name, err) != 0)
        return -1;
    size_t n = model_tensors (model);
    safetensors_tensor_t *list = calloc (n, sizeof *list);
    if (!list)
        return err_set (err, ERR_LIMIT, "no memory to write %s", path);
    for (size_t i = 0; i < n; i++) {
        const model_tensor_t *t = model_tensor (model, i);
        list[i] =
            (safetensors_tensor_t){.name = t->name, .data = params + t->offset, .rank = t->rank};
        /* Vectors have rank 1 in files; here they are matrices of one row. */
        list[i].shape[0] = t->rank == 1 ? t->columns : t->rows;
        list[i].shape[1] = t->columns;
    }
    static const safetensors_type_t types[] = {SAFETENSORS_F32, SAFETENSORS_BF16, SAFETENSORS_F16};
    int rc = safetensors_write (path, list, n, types[dtype], err);
    free (list);
    return rc;
}

static int hf_save_write_text (const char *dir, const char *name, const char *text, err_t *err)
{
    char path[FS_PATH_MAX];
    if (!text)
        return err_set (err, ERR_LIMIT, "no memory to write %s", name);
    return fs_join (path, dir, name, err) == 0 ? fs_write (path, text, strlen (text), err) : -1;
}

static char *hf_save_generation_json (const hf_config_t *config)
{
    json_t *root = json_object (), *eos = json_array ();
    for (size_t i = 0; i < config->eos_n; i++)
        json_array_append_new (eos, json_integer (config->eos[i]));
    json_object_set_new (root, "eos_token_id", eos);
    if (config->bos >= 0)
        json_object_set_new (root, "bos_token_id", json_integer (config->bos));
    char *text = json_dumps (root, JSON_INDENT (2));
    json_decref (root);
    return text;
}

/*  A folder from nothing: what a seed model needs. */
int hf_save (const char *dir, const hf_config_t *config, const model_t *model, const float *params,
             const char *tokenizer_json, err_t *err)
{
    char *text = hf_config_json (config), *generation = hf_save_generation_json (config);
    int rc = hf_save_write_text (dir, "config.json", text, err);
    if (rc == 0)
        rc = hf_save_write_text (dir, "generation_config.json", generation, err);
    if (rc == 0 && tokenizer_json)
        rc = hf_save_write_text (dir, "tokenizer.json", tokenizer_json, err);
    if (rc == 0)
        rc = hf_save_weights (dir, WEIGHTS, config->dtype, model, params, err);
    free (text);
    free (generation);
    return rc;
}

/*  A folder like the one that the run started from: its files, the trained weights. */
int hf_save_like (const char *dir, const hf_kept_t *kept, hf_dtype_t dtype, const model_t *model,
                  const float *params, err_t *err)
{
    char *config = hf_config_stored (kept->config, dtype);
    int rc = hf_save_write_text (dir, "config.json", config, err);
    if (rc == 0)
        rc = hf_save_write_text (dir, "tokenizer.json", kept->tokenizer, err);
    if (rc == 0)
        rc = hf_files_write (kept->files, dir, false, err);
    if (rc == 0)
        rc = hf_save_weights (dir, WEIGHTS, dtype, model, params, err);
    free (config);
    return rc;
}

/*  A model that computes in float32 is stored in float32: rounding it at each checkpoint would lose
 *  what it learnt in small steps. float16 is never written, as trained weights may exceed its
 *  range. */
hf_dtype_t hf_dtype_kept (hf_dtype_t source, model_compute_t compute)
{
    return compute == COMPUTE_F32 || source == HF_F32 ? HF_F32 : HF_BF16;
}

const char *hf_dtype_name (hf_dtype_t dtype)
{
    static const char *const names[] = {"float32", "bfloat16", "float16"};
    return names[dtype];
}

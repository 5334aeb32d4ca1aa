/*  peft - folders of adapters as the PEFT library reads and writes them: adapter_config.json and
 *  adapter_model.safetensors.
 *
 *      lora_config_t lora;
 *      peft_read_config (dir, &lora, &err);
 *      model_t *model = lora_new (base, &lora, &err);
 *      peft_read_params (dir, model, params, &err);
 *      peft_save (dir, model, params, "Qwen/Qwen2.5-0.5B", &err);
 *
 *  Folders are untrusted, and what would mean something else than the formula of model/lora.h is
 *  refused by name.
 */
#ifndef QUINTET_FORMATS_PEFT_H
#define QUINTET_FORMATS_PEFT_H

#include "base/fs.h"
#include "model/lora.h"

/*  From the text of an adapter_config.json, and back (caller frees); base: its
 *  base_model_name_or_path. */
int peft_parse (const char *json, lora_config_t *config, err_t *err);
char *peft_json (const lora_config_t *config, const char *base);

/*  The folder of a policy's adapters: parent/name where there is one, else parent itself if it
 *  holds adapters. */
int peft_find (const char *parent, const char *name, char dir[FS_PATH_MAX], err_t *err);
/*  What the folder adapts, then its tensors, of which none may be missing and none too many. */
int peft_read_config (const char *dir, lora_config_t *config, err_t *err);
int peft_read_params (const char *dir, const model_t *model, float *params, err_t *err);
/*  Into an existing folder. */
int peft_save (const char *dir, const model_t *model, const float *params, const char *base,
               err_t *err);

#endif

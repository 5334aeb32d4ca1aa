/*  tokenizer_config - what the files beside tokenizer.json say of a folder's tokenizer.
 *
 *      json_t *config = NULL;
 *      char *text = NULL;
 *      tokenizer_config_read (dir, &config, &err);
 *      tokenizer_config_text (dir, &text, &err);
 *      free (text);
 *      json_decref (config);
 *
 *  The steps of a text are tokenizer.json's. Versions 4 and 5 of transformers read a few things
 *  more from tokenizer_config.json: where both do the same with them, so is it done here; where
 *  they disagree, or what is asked for is not known here, the folder is refused by the key's name.
 */
#ifndef QUINTET_TEXT_TOKENIZER_CONFIG_H
#define QUINTET_TEXT_TOKENIZER_CONFIG_H

#include <jansson.h>

#include "base/err.h"

/*  tokenizer_config.json, completed by special_tokens_map.json where transformers does that, and by
 *  the special tokens that its tokenizer_class has when none are named. *config is the caller's to
 *  json_decref; NULL: the folder has none. */
int tokenizer_config_read (const char *dir, json_t **config, err_t *err);

/*  tokenizer.json, with the added tokens that the other files name and it lacks. *text is the
 *  caller's to free; NULL: the folder has no tokenizer.json. */
int tokenizer_config_text (const char *dir, char **text, err_t *err);

#endif

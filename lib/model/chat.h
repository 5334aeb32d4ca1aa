/*  chat - formats in which a model was taught to be spoken to, around a prompt.
 *
 *      const char *chat = "auto";
 *      chat_find (dir, "auto", &format, &err);                   or "none", "chatml", ..., "Q: {prompt}\nA:"
 *      chat_encode (tokenizer, &format, text, size, &ids, &err);
 *
 *  Tokens that steer a conversation, such as <|im_end|>, count as such in the format's own parts only:
 *  where the text of a task or of another model spells one out, it stays text.
 */
#ifndef QUINTET_MODEL_CHAT_H
#define QUINTET_MODEL_CHAT_H

#include <stddef.h>

#include "base/err.h"
#include "model/tokenizer.h"

#define CHAT_PLACE "{prompt}"

typedef struct {
    const char *name;    /* "none", "chatml", ..., or the pattern itself */
    const char *pattern; /* contains CHAT_PLACE */
    const char *end;     /* token that ends the model's turn, or NULL */
} chat_format_t;

/*  The format of a name, or a pattern of the user's own (kept, not copied). NULL dir: "auto" is not known.
 *  "auto" reads the chat template of the folder's tokenizer_config.json or chat_template.jinja.
 *  ERR_CONFIG says what may be set instead. */
int chat_find (const char *dir, const char *name, chat_format_t *format, err_t *err);

/*  Appends to ids. */
int chat_encode (const tokenizer_t *tokenizer, const chat_format_t *format, const char *text,
                 size_t size, tokenizer_ids_t *ids, err_t *err);

#endif

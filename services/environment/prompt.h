/*  prompt - from what a role observes to the ids that its policy reads.
 *
 *      prompt_encode (tokenizer, &role, text, size, &ids, &err);
 *
 *  The role's prefix (such as the begin token), then the text in its chat format (model/chat.h; ""
 *  is none).
 */
#ifndef QUINTET_ENVIRONMENT_PROMPT_H
#define QUINTET_ENVIRONMENT_PROMPT_H

#include "text/tokenizer.h"
#include "wire/wire.h"

/*  Appends to ids. ERR_INPUT: the chat format is not known. */
int prompt_encode (const tokenizer_t *tokenizer, const wire_role_t *role, const char *text,
                   size_t size, tokenizer_ids_t *ids, err_t *err);
/*  The same behind what a role with a memory was asked before and what it answered, id by id. */
int prompt_go_on (const tokenizer_t *tokenizer, const wire_role_t *role, const wire_ids_t *prompt,
                  const wire_ids_t *answer, const char *text, size_t size, tokenizer_ids_t *ids,
                  err_t *err);

#endif

/*  tokens - what a transcript says of a completion's single tokens.
 *
 *      tokens_add (action, tokenizer, prompt, completion);
 *
 *  An action of an episode that is shown gets two lists, of a number per token: "token_bytes", how
 *  many bytes of its "text" each is (0 of one that only with the next ones makes a character, or of
 *  a special one, such as that which ends a text), and "token_logps", how likely it was when it was
 *  drawn, to three digits.
 */
#ifndef QUINTET_TRAINER_TOKENS_H
#define QUINTET_TRAINER_TOKENS_H

#include <jansson.h>

#include "text/tokenizer.h"
#include "wire/wire.h"

#define TOKENS_MAX 4096 /* of a longer completion nothing is said */

/*  Without them the action stays as it is, and so it does where its text is not that of the ids. */
void tokens_add (json_t *action, const tokenizer_t *tokenizer, const wire_ids_t *prompt,
                 const wire_completion_t *completion);

#endif

/*  tokenizers - those that groups name by hash, fetched from the bus once and kept.
 *
 *      tokenizers_t *tokenizers = tokenizers_new (bus);
 *      const tokenizer_t *t = tokenizers_take (tokenizers, &hash, &err);   NULL: not yet, or never
 *      tokenizers_item (tokenizers, item);                                  objects that arrive
 *      tokenizers_release (tokenizers, t);
 *      tokenizers_destroy (&tokenizers);
 */
#ifndef QUINTET_ENVIRONMENT_TOKENIZERS_H
#define QUINTET_ENVIRONMENT_TOKENIZERS_H

#include "bus/bus.h"
#include "text/tokenizer.h"

typedef struct tokenizers tokenizers_t;

tokenizers_t *tokenizers_new (bus_t *bus);
void tokenizers_destroy (tokenizers_t **tokenizers);

/*  Fetches it when it is not there. NULL: err says why; with ERR_INPUT it will never be there (it
 *  is no tokenizer that can be read), with any other code ask again later. */
const tokenizer_t *tokenizers_take (tokenizers_t *tokenizers, const hash_t *hash, err_t *err);
/*  One release for every take; NULL is fine. */
void tokenizers_release (tokenizers_t *tokenizers, const tokenizer_t *tokenizer);
/*  A BUS_OBJECT; true when it was one of ours. */
bool tokenizers_item (tokenizers_t *tokenizers, const bus_item_t *item);

#endif

/*  past - keys and values of sequences that somebody may go on from, bounded in bytes.
 *
 *      past_t *past = past_new ((size_t) 256 << 20, &err);
 *      past_keep (past, model, ids, n, &prefix, &own);      a completion has ended
 *      size_t known = past_recall (past, model, ids, n, &kv);   a prompt begins as it did
 *      past_forget (past, model);                           its weights go, or change
 *      past_destroy (&past);
 *
 *  A sequence is found by its ids, so nobody has to say whose it is, and by the model that computed
 *  it, adapters and all. What is found has the bits that computing it anew would give: a row does
 *  not feel its neighbours, nor how many stand beside it (forward.h). What does not fit makes the
 *  sequences go that were used longest ago; who finds nothing computes all.
 */
#ifndef QUINTET_MODEL_PAST_H
#define QUINTET_MODEL_PAST_H

#include "base/err.h"
#include "model/forward.h"

typedef struct past past_t;

/*  most: bytes of all sequences together; 0 keeps nothing. */
past_t *past_new (size_t most, err_t *err);
void past_destroy (past_t **past);

/*  Copies positions 0 .. n - 1: prefix has the blocks before own->first, own the others, n of ids
 *  are read. Takes the place of sequences that this one goes on from. A sequence that is too large,
 *  or finds no memory, is not kept. */
void past_keep (past_t *past, const model_t *model, const int32_t *ids, size_t n,
                const kv_t *prefix, const kv_t *own);
/*  Copies what is known of the longest common beginning with ids, at most n - 1 positions, into kv
 *  (its first block is 0, and it has room for n positions). Returns how many; 0: nothing. */
size_t past_recall (past_t *past, const model_t *model, const int32_t *ids, size_t n, kv_t *kv);
/*  Before a model changes or goes: its address may be another's afterwards. */
void past_forget (past_t *past, const model_t *model);
size_t past_bytes (const past_t *past);

#endif

/*  vault - the policies actor: content-addressed objects in chunks, and the manifests that name them.
 *
 *      vault_t *vault = vault_new (context, endpoint, publish, boot, &err);
 *      vault_run (vault);                           returns when the context is shut down
 *      vault_destroy (&vault);
 *
 *  Objects live in memory as long as a manifest needs them; of the others the newest few are kept (a
 *  critic's states, what a trainer is about to name). After a restart the vault is empty: trainers upload again what is not retired.
 */
#ifndef QUINTET_BUS_VAULT_H
#define QUINTET_BUS_VAULT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct vault vault_t;

/*  Binds endpoint; publish: endpoint of the events actor, where manifests are announced. */
vault_t *vault_new (void *context, const char *endpoint, const char *publish, uint64_t boot,
                    err_t *err);
void vault_run (vault_t *vault);
void vault_destroy (vault_t **vault);

typedef struct {
    uint64_t objects, bytes, manifests, chunks_in, chunks_out, refused, malformed, damaged;
} vault_status_t;
void vault_status (const vault_t *vault, vault_status_t *status);

#endif

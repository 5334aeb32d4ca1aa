/*  vault - the policies actor: content-addressed objects in chunks, and the manifests that name
 *  them.
 *
 *      vault_t *vault = vault_new (&options, &err);
 *      zactor_t *actor = zactor_new (vault_actor, vault);
 *      vault_status (vault, &status);                  from any thread
 *      zactor_destroy (&actor);
 *      vault_destroy (&vault);
 *
 *  Objects live in memory as long as a manifest needs them; what becomes of the others says
 *  blobs.h. After a restart the vault is empty: trainers upload again what is not retired.
 */
#ifndef QUINTET_BUS_VAULT_H
#define QUINTET_BUS_VAULT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "bus/czmq_clean.h"
#include "guard.h"

typedef struct vault vault_t;

typedef struct {
    const char *endpoint; /* to bind */
    const char *publish;  /* of the events actor, where manifests are announced */
    uint64_t boot;
    uint64_t bytes_max; /* of all objects */
    size_t peers_max;
    guard_t *guard; /* borrowed */
} vault_options_t;

vault_t *vault_new (const vault_options_t *options, err_t *err);
/*  A zactor_fn: runs until the pipe says $TERM. */
void vault_actor (zsock_t *pipe, void *vault);
void vault_destroy (vault_t **vault);

typedef struct {
    uint64_t connections, objects, bytes, unfinished_bytes, manifests, chunks_in, chunks_out,
        refused;
    uint64_t malformed, damaged; /* frames */
} vault_status_t;
void vault_status (const vault_t *vault, vault_status_t *status);

#endif

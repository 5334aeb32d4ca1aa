/*  authority - a folder of certificates: who is let in to a bus, made and unmade.
 *
 *      authority_init ("keys", &err);                     keys/bus, the bus's own
 *      authority_add ("keys", "agent", "agent", &err);    keys/agent, and keys/bus/peers/agent
 *      authority_revoke ("keys", "agent", &err);          neither: a running bus notices
 *
 *  Each holder has a folder of its own (keys.h), which is all that its host needs. Files are 0600
 *  and folders 0700. A file is whole or not there.
 */
#ifndef QUINTET_BUS_AUTHORITY_H
#define QUINTET_BUS_AUTHORITY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "bus/keys.h"

#define AUTHORITY_KEY_TEXT 41 /* a public key as text (Z85), with its 0 */
#define AUTHORITY_PEERS    4096

typedef struct {
    char name[KEYS_NAME_MAX + 1], kind[KEYS_NAME_MAX + 1];
    char key[AUTHORITY_KEY_TEXT];
} authority_peer_t;

/*  Whether a bus has its keys there. */
bool authority_exists (const char *dir);
/*  ERR_CONFIG: a bus has its keys there already. */
int authority_init (const char *dir, err_t *err);
/*  name "": that of the kind. ERR_CONFIG: there is no such kind; the name is taken, or would be one
 *  that another's holder may go by. */
int authority_add (const char *dir, const char *kind, const char *name, err_t *err);
int authority_revoke (const char *dir, const char *name, err_t *err);
/*  What is told of a file that is no certificate, and so left out; may be NULL. */
typedef void authority_bad_fn (const char *path, const char *why);
/*  New keys for a holder, or with "" for all and the bus, which then has to be started again. The
 *  folders have to be handed out anew; the old ones are no longer let in. */
int authority_rotate (const char *dir, const char *name, authority_bad_fn *on_bad, err_t *err);
/*  Those who are let in, by name, to be freed; bus: the bus's own folder. NULL: err. */
authority_peer_t *authority_list (const char *bus, size_t *n, authority_bad_fn *on_bad, err_t *err);

#endif

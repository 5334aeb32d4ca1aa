/*  accounts - users of Redis: who may touch the shared state, and with which commands.
 *
 *      accounts_add ("keys", "environment", "environment", &err);     keys/environment/redis
 *      store_new (address, "keys/environment", &err);                 logs in with it
 *
 *  Redis is started with --aclfile keys/redis/users.acl, and knows them and nobody else.
 *
 *  A folder of certificates (bus/authority.h) has one for Redis beside those of the holders: in
 *  users.acl stand the users with what each may do and the SHA-256 of its password, in
 *  ACCOUNTS_FILE the server's own account, which asks whether it lives and has it read users.acl
 *  again. A holder's folder has in a file of that name its user, which is called as the holder is,
 *  and its password. Files are 0600. Kinds that never talk to Redis have no account.
 *
 *  Redis runs a function under the rights of its caller, so an account has the commands that its
 *  functions are made of, on keys of runs: accounts_table says which.
 */
#ifndef QUINTET_STORE_ACCOUNTS_H
#define QUINTET_STORE_ACCOUNTS_H

#include <stdbool.h>

#include "base/err.h"

#define ACCOUNTS_SERVER   "redis" /* its folder, its user; no holder is called so */
#define ACCOUNTS_FILE     "redis" /* in a holder's folder */
#define ACCOUNTS_USERS    "users.acl"
#define ACCOUNTS_NAME_MAX 48
#define ACCOUNTS_PASSWORD 64 /* hex digits */

typedef struct {
    char user[ACCOUNTS_NAME_MAX + 1], password[ACCOUNTS_PASSWORD + 1];
} account_t;

typedef struct {
    const char *kind;     /* of program */
    const char *commands; /* as in Redis's ACL */
} accounts_rights_t;

/*  The table; kind NULL ends it. */
extern const accounts_rights_t accounts_table[];

/*  An account for a holder of this kind, or with a new password where there is one; nothing for a
 *  kind without. Makes that of the server with the first one. dir: of all certificates. A Redis
 *  that runs has to be started again, or told ACL LOAD. */
int accounts_add (const char *dir, const char *kind, const char *name, err_t *err);
/*  A name without an account is fine. */
int accounts_remove (const char *dir, const char *name, err_t *err);
/*  Of a holder's folder; user "": it has none, or keys is "". ERR_CONFIG: the file is no account,
 *  or may be read by everybody. */
int accounts_load (const char *keys, account_t *account, err_t *err);

#endif

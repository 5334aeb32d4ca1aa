/*  accounts - see accounts.h */
#include "store/accounts.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"

#define FILE_MAX (1 << 20)
/*  What every function of functions.lua needs, and what loads them. */
#define FUNCTIONS                                                                                  \
    "+fcall +function|load +time +info|server +hget +hmget +hset +hincrby +zrange +zadd +zrem"

const accounts_rights_t accounts_table[] = {
    /* Claims, plays and ends groups; tells a run's log. */
    {"environment", FUNCTIONS " +hdel +zcard +zrangebyscore +exists +xadd"},
    /* Opens and closes steps; drops what is over. */
    {"trainer", FUNCTIONS " +del"},
    {"operator", FUNCTIONS " +del"},
    {NULL, NULL},
};
/*  The server's own touches no key. */
static const char accounts_server[] = "+ping +acl|load";

static const char *accounts_of (const char *kind)
{
    const accounts_rights_t *r = accounts_table;
    while (r->kind && strcmp (r->kind, kind) != 0)
        r++;
    return r->commands;
}

/*  For its owner alone. */
static int accounts_write (const char *path, const buf_t *text, err_t *err)
{
    if (buf_check (text, path, err) != 0)
        return -1;
    mode_t mask = umask (0077);
    int rc = fs_write (path, text->data, text->size, err);
    umask (mask);
    return rc;
}

/*  ---- the file that Redis reads -------------------------------------------------------------- */

/*  Copies the lines of users.acl except that of one user. */
static int accounts_without (const char *path, const char *user, buf_t *to, err_t *err)
{
    buf_t old = {0};
    char begin[ACCOUNTS_NAME_MAX + 8];
    int n = snprintf (begin, sizeof begin, "user %s ", user);
    int rc = fs_exists (path) ? fs_read (path, FILE_MAX, &old, err) : 0;
    for (const char *line = old.data; rc == 0 && line && *line;) {
        size_t size = strcspn (line, "\n");
        if (strncmp (line, begin, (size_t) n) != 0) {
            buf_append (to, line, size);
            buf_char (to, '\n');
        }
        line += size + (line[size] == '\n');
    }
    buf_free (&old);
    return rc;
}

/*  Redis is given the hash alone: what it holds lets nobody in. */
static void accounts_line (const account_t *account, const char *keys, const char *commands,
                           buf_t *to)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof hash + 1];
    crypto_hash_sha256 (hash, (const unsigned char *) account->password,
                        strlen (account->password));
    sodium_bin2hex (hex, sizeof hex, hash, sizeof hash);
    buf_printf (to, "user %s on #%s %s resetchannels -@all %s\n", account->user, hex, keys,
                commands);
}

/*  A new password for a user: first where its holder reads it, then where Redis does. */
static int accounts_issue (const char *dir, const char *folder, const char *user, const char *keys,
                           const char *commands, err_t *err)
{
    account_t account = {0};
    unsigned char secret[ACCOUNTS_PASSWORD / 2];
    char own[FS_PATH_MAX], path[FS_PATH_MAX], server[FS_PATH_MAX];
    buf_t text = {0}, users = {0};
    if (sodium_init () < 0)
        return err_set (err, ERR_INTERNAL, "libsodium does not start");
    snprintf (account.user, sizeof account.user, "%s", user);
    randombytes_buf (secret, sizeof secret);
    sodium_bin2hex (account.password, sizeof account.password, secret, sizeof secret);
    buf_printf (&text, "%s\n%s\n", account.user, account.password);
    int rc = fs_join (own, dir, folder, err) == 0 && fs_join (path, own, ACCOUNTS_FILE, err) == 0
                 ? accounts_write (path, &text, err)
                 : -1;
    if (rc == 0)
        rc = fs_join (server, dir, ACCOUNTS_SERVER, err) == 0 &&
                     fs_join (path, server, ACCOUNTS_USERS, err) == 0
                 ? accounts_without (path, user, &users, err)
                 : -1;
    if (rc == 0) {
        accounts_line (&account, keys, commands, &users);
        rc = accounts_write (path, &users, err);
    }
    sodium_memzero (&account, sizeof account);
    buf_free (&text);
    buf_free (&users);
    return rc;
}

/*  The server's own account, and nobody without one. */
static int accounts_open (const char *dir, err_t *err)
{
    char server[FS_PATH_MAX], path[FS_PATH_MAX];
    if (fs_join (server, dir, ACCOUNTS_SERVER, err) != 0 ||
        fs_join (path, server, ACCOUNTS_USERS, err) != 0)
        return -1;
    if (fs_exists (path))
        return 0;
    buf_t text = {0};
    buf_text (&text, "user default off resetpass resetkeys resetchannels -@all\n");
    int rc = fs_mkdirs (server, err) == 0 && chmod (server, 0700) == 0
                 ? accounts_write (path, &text, err)
                 : err_errno (err, ERR_IO, "%s", server);
    buf_free (&text);
    return rc == 0 ? accounts_issue (dir, ACCOUNTS_SERVER, ACCOUNTS_SERVER, "resetkeys",
                                     accounts_server, err)
                   : -1;
}

int accounts_add (const char *dir, const char *kind, const char *name, err_t *err)
{
    const char *commands = accounts_of (kind);
    if (!commands)
        return 0;
    if (accounts_open (dir, err) != 0)
        return -1;
    return accounts_issue (dir, name, name, "resetkeys ~q:*", commands, err);
}

int accounts_remove (const char *dir, const char *name, err_t *err)
{
    char server[FS_PATH_MAX], path[FS_PATH_MAX];
    buf_t users = {0};
    if (fs_join (server, dir, ACCOUNTS_SERVER, err) != 0 ||
        fs_join (path, server, ACCOUNTS_USERS, err) != 0)
        return -1;
    int rc = 0;
    if (fs_exists (path))
        rc = accounts_without (path, name, &users, err) == 0 ? accounts_write (path, &users, err)
                                                             : -1;
    buf_free (&users);
    return rc;
}

/*  ---- the file that its holder reads --------------------------------------------------------- */

static int accounts_parse (const char *text, account_t *account)
{
    size_t user = strcspn (text, "\n");
    const char *rest = text + user + (text[user] == '\n');
    size_t password = strcspn (rest, "\n");
    if (user == 0 || user > ACCOUNTS_NAME_MAX || password == 0 || password > ACCOUNTS_PASSWORD)
        return -1;
    memcpy (account->user, text, user);
    memcpy (account->password, rest, password);
    return 0;
}

int accounts_load (const char *keys, account_t *account, err_t *err)
{
    char path[FS_PATH_MAX];
    struct stat file;
    buf_t text = {0};
    *account = (account_t){0};
    if (!*keys)
        return 0;
    if (fs_join (path, keys, ACCOUNTS_FILE, err) != 0)
        return -1;
    if (stat (path, &file) != 0)
        return 0;
    if (file.st_mode & S_IRWXO)
        return err_set (err, ERR_CONFIG, "%s may be read by everybody: chmod 600 %s", path, path);
    int rc = fs_read (path, FILE_MAX, &text, err);
    if (rc == 0 && (!text.data || accounts_parse (text.data, account) != 0))
        rc = err_set (err, ERR_CONFIG,
                      "%s: this is no account for Redis: a line with the user, one with the "
                      "password (quintet keys add makes it)",
                      path);
    buf_free (&text);
    return rc;
}

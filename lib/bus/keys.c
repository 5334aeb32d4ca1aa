/*  keys - see keys.h */
#include "bus/keys.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bus/czmq_clean.h"
#include "bus/rights.h"

/*  Like ssh does: a secret that everybody on the machine can read is none. */
static int keys_check_file (const char *path, bool secret, err_t *err)
{
    struct stat file;
    if (stat (path, &file) != 0)
        return err_errno (err, ERR_CONFIG, "%s (quintet keys makes certificates)", path);
    if (secret && (file.st_mode & S_IRWXO))
        return err_set (err, ERR_CONFIG, "%s may be read by everybody: chmod 600 %s", path, path);
    return 0;
}

static zcert_t *keys_read (const char *dir, const char *name, bool secret, err_t *err)
{
    char path[FS_PATH_MAX];
    if (fs_join (path, dir, name, err) != 0 || keys_check_file (path, secret, err) != 0)
        return NULL;
    zcert_t *cert = zcert_load (path);
    if (!cert)
        err_set (err, ERR_CONFIG, "%s: this is no certificate of CZMQ", path);
    return cert;
}

static int keys_read_text (zcert_t *cert, const char *key, char to[KEYS_NAME_MAX + 1],
                           const char *dir, err_t *err)
{
    const char *text = zcert_meta (cert, key);
    if (!text || !*text || strlen (text) > KEYS_NAME_MAX)
        return err_set (err, ERR_CONFIG, "%s/" KEYS_OWN ": it names no %s of 1 to %d bytes", dir,
                        key, KEYS_NAME_MAX);
    memcpy (to, text, strlen (text) + 1);
    return 0;
}

static int keys_take (keys_t *keys, zcert_t *own, zcert_t *bus, err_t *err)
{
    static const uint8_t none[KEYS_SIZE];
    memcpy (keys->public_key, zcert_public_key (own), KEYS_SIZE);
    memcpy (keys->secret_key, zcert_secret_key (own), KEYS_SIZE);
    memcpy (keys->bus_key, zcert_public_key (bus), KEYS_SIZE);
    if (memcmp (keys->secret_key, none, KEYS_SIZE) == 0)
        return err_set (err, ERR_CONFIG, "%s/" KEYS_OWN ": it has no secret key", keys->dir);
    if (keys_read_text (own, "kind", keys->kind, keys->dir, err) != 0 ||
        keys_read_text (own, "name", keys->name, keys->dir, err) != 0)
        return -1;
    return rights_of (keys->kind)
               ? 0
               : err_set (err, ERR_CONFIG, "%s/" KEYS_OWN ": there is no kind '%s' of program",
                          keys->dir, keys->kind);
}

int keys_load (const char *dir, keys_t *keys, err_t *err)
{
    *keys = (keys_t){0};
    if (!*dir)
        return 0;
    if (strlen (dir) >= sizeof keys->dir)
        return err_set (err, ERR_CONFIG, "%.40s...: the path of a folder is too long", dir);
    memcpy (keys->dir, dir, strlen (dir) + 1);
    zcert_t *own = keys_read (dir, KEYS_OWN, true, err);
    /* The bus connects to itself, by its own key. */
    bool is_bus =
        own && zcert_meta (own, "kind") && strcmp (zcert_meta (own, "kind"), KEYS_BUS) == 0;
    zcert_t *bus = !own ? NULL : is_bus ? zcert_dup (own) : keys_read (dir, KEYS_BUS, false, err);
    int rc = bus ? keys_take (keys, own, bus, err) : -1;
    zcert_destroy (&own);
    zcert_destroy (&bus);
    return rc;
}

const char *keys_name (const keys_t *keys, const char *name, char *to, size_t size)
{
    bool free = !*keys->name || keys_admit (keys->name, name, strlen (name));
    snprintf (to, size, "%s%s%s", free ? "" : keys->name, free ? "" : "-", name);
    return to;
}

bool keys_admit (const char *holder, const char *name, size_t name_n)
{
    size_t n = strlen (holder);
    return name_n >= n && memcmp (name, holder, n) == 0 &&
           (name_n == n || name[n] == '-' || name[n] == '/');
}

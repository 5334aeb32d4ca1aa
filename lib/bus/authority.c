/*  authority - see authority.h */
#include "bus/authority.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/czmq_clean.h"
#include "bus/rights.h"

typedef struct {
    char bus[FS_PATH_MAX], peers[FS_PATH_MAX];
} authority_t;

static int authority_paths (authority_t *a, const char *dir, err_t *err)
{
    return fs_join (a->bus, dir, KEYS_BUS, err) == 0 &&
                   fs_join (a->peers, a->bus, KEYS_PEERS, err) == 0
               ? 0
               : -1;
}

/*  As authority_paths, of a folder that is there. */
static int authority_open (authority_t *a, const char *dir, err_t *err)
{
    if (authority_paths (a, dir, err) != 0)
        return -1;
    return fs_exists (a->peers)
               ? 0
               : err_set (err, ERR_CONFIG, "%s has no keys of a bus: quintet keys init %s", dir,
                          dir);
}

static int authority_mkdir (const char *path, err_t *err)
{
    if (fs_mkdirs (path, err) != 0)
        return -1;
    return chmod (path, 0700) == 0 ? 0 : err_errno (err, ERR_IO, "%s", path);
}

/*  ---- files ---------------------------------------------------------------------------------- */

/*  Written beside and renamed: a bus that looks at the folder meanwhile finds whole files. near: a
 *  folder of the same disk that nobody reads certificates from. */
static int authority_save (zcert_t *cert, bool secret, const char *near, const char *dir,
                           const char *name, err_t *err)
{
    char path[FS_PATH_MAX], passing[FS_PATH_MAX];
    if (fs_join (path, dir, name, err) != 0 || fs_join (passing, near, ".new", err) != 0)
        return -1;
    mode_t mask = umask (0077); /* which CZMQ sets anew */
    int rc = secret ? zcert_save_secret (cert, passing) : zcert_save_public (cert, passing);
    umask (mask);
    if (rc == 0 && chmod (passing, 0600) == 0 && rename (passing, path) == 0)
        return 0;
    err_errno (err, ERR_IO, "%s", path);
    unlink (passing);
    return -1;
}

static zcert_t *authority_make (const char *kind, const char *name, err_t *err)
{
    zcert_t *cert = zcert_new ();
    if (!cert) {
        err_set (err, ERR_LIMIT, "no memory for a certificate");
        return NULL;
    }
    zcert_set_meta (cert, "kind", "%s", kind);
    zcert_set_meta (cert, "name", "%s", name);
    return cert;
}

static zcert_t *authority_load (const char *dir, const char *name, err_t *err)
{
    char path[FS_PATH_MAX];
    zcert_t *cert = fs_join (path, dir, name, err) == 0 ? zcert_load (path) : NULL;
    if (!cert)
        err_set (err, ERR_CONFIG, "%s/%s: %s", dir, name,
                 fs_exists (path) ? "this is no certificate of CZMQ" : "it is missing");
    return cert;
}

/*  The folder of a holder; last the bus learns of it: until then nothing has happened. */
static int authority_issue (const authority_t *a, const char *dir, const char *kind,
                            const char *name, err_t *err)
{
    char own[FS_PATH_MAX];
    zcert_t *bus = authority_load (a->bus, KEYS_OWN, err);
    zcert_t *cert = bus ? authority_make (kind, name, err) : NULL;
    int rc = cert && fs_join (own, dir, name, err) == 0 && authority_mkdir (own, err) == 0 &&
                     authority_save (cert, true, own, own, KEYS_OWN, err) == 0 &&
                     authority_save (bus, false, own, own, KEYS_BUS, err) == 0 &&
                     authority_save (cert, false, a->bus, a->peers, name, err) == 0
                 ? 0
                 : -1;
    zcert_destroy (&cert);
    zcert_destroy (&bus);
    return rc;
}

/*  The bus is let in as well: it connects to itself. */
static int authority_issue_bus (const authority_t *a, err_t *err)
{
    zcert_t *cert = authority_make (KEYS_BUS, KEYS_BUS, err);
    int rc = cert && authority_save (cert, true, a->bus, a->bus, KEYS_OWN, err) == 0
                 ? authority_save (cert, false, a->bus, a->peers, KEYS_BUS, err)
                 : -1;
    zcert_destroy (&cert);
    return rc;
}

/*  ---- who is there --------------------------------------------------------------------------- */

/*  NULL, or what is wrong with it. */
static const char *authority_read_peer (const char *path, const char *file, authority_peer_t *peer)
{
    struct stat info;
    if (stat (path, &info) != 0 || !S_ISREG (info.st_mode)) /* a pipe would be waited for */
        return "this is no plain file";
    zcert_t *cert = zcert_load (path);
    const char *name = cert ? zcert_meta (cert, "name") : NULL,
               *kind = cert ? zcert_meta (cert, "kind") : NULL;
    const char *wrong = !cert                               ? "this is no certificate of CZMQ"
                        : !name || strcmp (name, file) != 0 ? "its name is not that of the file"
                        : !kind || !rights_of (kind)        ? "there is no such kind of program"
                                                            : NULL;
    if (!wrong) {
        snprintf (peer->name, sizeof peer->name, "%s", name);
        snprintf (peer->kind, sizeof peer->kind, "%s", kind);
        snprintf (peer->key, sizeof peer->key, "%s", zcert_public_txt (cert));
    }
    zcert_destroy (&cert);
    return wrong;
}

static int authority_by_name (const void *a, const void *b)
{
    return strcmp (((const authority_peer_t *) a)->name, ((const authority_peer_t *) b)->name);
}

static size_t authority_read_peers (const char *dir, DIR *folder, authority_peer_t *peers,
                                    authority_bad_fn *on_bad, err_t *err)
{
    size_t n = 0;
    for (const struct dirent *entry; n < AUTHORITY_PEERS && (entry = readdir (folder));) {
        char path[FS_PATH_MAX];
        if (entry->d_name[0] == '.' || fs_join (path, dir, entry->d_name, err) != 0)
            continue;
        const char *wrong = strlen (entry->d_name) > KEYS_NAME_MAX
                                ? "its name is too long"
                                : authority_read_peer (path, entry->d_name, &peers[n]);
        if (!wrong)
            n++;
        else if (on_bad)
            on_bad (path, wrong);
    }
    return n;
}

/*  Whoever can write there lets in whom he likes. */
static int authority_check_folder (const char *dir, err_t *err)
{
    struct stat info;
    if (stat (dir, &info) != 0)
        return err_errno (err, ERR_CONFIG, "%s (quintet keys init makes it)", dir);
    return info.st_mode & S_IWOTH
               ? err_set (err, ERR_CONFIG, "%s may be written by everybody: chmod 700 %s", dir, dir)
               : 0;
}

authority_peer_t *authority_list (const char *bus, size_t *n, authority_bad_fn *on_bad, err_t *err)
{
    char dir[FS_PATH_MAX];
    authority_peer_t *peers = NULL;
    if (fs_join (dir, bus, KEYS_PEERS, err) != 0 || authority_check_folder (dir, err) != 0)
        return NULL;
    DIR *folder = opendir (dir);
    if (!folder)
        err_errno (err, ERR_CONFIG, "%s", dir);
    else if (!(peers = calloc (AUTHORITY_PEERS, sizeof *peers)))
        err_set (err, ERR_LIMIT, "no memory for the list of certificates");
    if (peers) {
        *n = authority_read_peers (dir, folder, peers, on_bad, err);
        qsort (peers, *n, sizeof *peers, authority_by_name);
    }
    if (folder)
        closedir (folder);
    return peers;
}

/*  ---- what is done to them ------------------------------------------------------------------- */

/*  The last that authority_init writes: a folder may be there without it. */
bool authority_exists (const char *dir)
{
    authority_t a;
    char path[FS_PATH_MAX];
    return authority_paths (&a, dir, NULL) == 0 && fs_join (path, a.peers, KEYS_BUS, NULL) == 0 &&
           fs_exists (path);
}

int authority_init (const char *dir, err_t *err)
{
    authority_t a;
    if (authority_paths (&a, dir, err) != 0)
        return -1;
    if (authority_exists (dir))
        return err_set (err, ERR_CONFIG,
                        "%s is there already; quintet keys rotate %s makes new keys", a.bus, dir);
    return authority_mkdir (dir, err) == 0 && authority_mkdir (a.bus, err) == 0 &&
                   authority_mkdir (a.peers, err) == 0
               ? authority_issue_bus (&a, err)
               : -1;
}

static int authority_check_name (const char *name, err_t *err)
{
    size_t n = 0;
    while (isalnum ((unsigned char) name[n]) || (n > 0 && name[n] && strchr ("-_.", name[n])))
        n++;
    return n > 0 && !name[n] && n <= KEYS_NAME_MAX
               ? 0
               : err_set (err, ERR_CONFIG,
                          "'%.60s': a name has 1 to %d letters, digits, and, not first, - _ .",
                          name, KEYS_NAME_MAX);
}

/*  Of "agent" and "agent-west" the first's holder might go by the second's name. */
static int authority_check_free (const authority_t *a, const char *name, err_t *err)
{
    size_t n = 0;
    authority_peer_t *peers = authority_list (a->bus, &n, NULL, err);
    int rc = peers ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (keys_admit (peers[i].name, name, strlen (name)) ||
            keys_admit (name, peers[i].name, strlen (peers[i].name)))
            rc =
                err_set (err, ERR_CONFIG,
                         "'%s': there is '%s', whose holder may go by any name that goes on with - "
                         "(quintet keys list)",
                         name, peers[i].name);
    free (peers);
    return rc;
}

int authority_add (const char *dir, const char *kind, const char *name, err_t *err)
{
    authority_t a;
    name = *name ? name : kind;
    if (authority_open (&a, dir, err) != 0)
        return -1;
    if (!rights_of (kind) || strcmp (kind, KEYS_BUS) == 0) {
        char kinds[256] = "";
        for (const rights_t *r = rights_table; r->kind; r++)
            if (strcmp (r->kind, KEYS_BUS) != 0)
                snprintf (kinds + strlen (kinds), sizeof kinds - strlen (kinds), "%s%s",
                          *kinds ? " " : "", r->kind);
        return err_set (err, ERR_CONFIG, "'%.60s': a kind is one of %s", kind, kinds);
    }
    return authority_check_name (name, err) == 0 && authority_check_free (&a, name, err) == 0
               ? authority_issue (&a, dir, kind, name, err)
               : -1;
}

/*  The bus first: that is what counts. */
int authority_revoke (const char *dir, const char *name, err_t *err)
{
    authority_t a;
    char peer[FS_PATH_MAX], own[FS_PATH_MAX];
    if (authority_open (&a, dir, err) != 0 || authority_check_name (name, err) != 0 ||
        fs_join (peer, a.peers, name, err) != 0 || fs_join (own, dir, name, err) != 0)
        return -1;
    if (strcmp (name, KEYS_BUS) == 0)
        return err_set (err, ERR_CONFIG, "the bus itself cannot be kept out");
    if (unlink (peer) != 0)
        return err_errno (err, ERR_CONFIG, "'%s' (quintet keys list %s)", name, dir);
    return fs_exists (own) ? fs_remove (own, err) : 0;
}

static int authority_rotate_all (const authority_t *a, const char *dir, authority_bad_fn *on_bad,
                                 err_t *err)
{
    size_t n = 0;
    authority_peer_t *peers = authority_list (a->bus, &n, on_bad, err);
    int rc = peers ? authority_issue_bus (a, err) : -1;
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (strcmp (peers[i].kind, KEYS_BUS) != 0)
            rc = authority_issue (a, dir, peers[i].kind, peers[i].name, err);
    free (peers);
    return rc;
}

int authority_rotate (const char *dir, const char *name, authority_bad_fn *on_bad, err_t *err)
{
    authority_t a;
    size_t n = 0;
    if (authority_open (&a, dir, err) != 0)
        return -1;
    if (!*name)
        return authority_rotate_all (&a, dir, on_bad, err);
    authority_peer_t *peers = authority_list (a.bus, &n, NULL, err);
    int rc = peers ? 1 : -1;
    for (size_t i = 0; rc == 1 && i < n; i++)
        if (strcmp (peers[i].name, name) == 0 && strcmp (peers[i].kind, KEYS_BUS) != 0)
            rc = authority_issue (&a, dir, peers[i].kind, name, err);
    free (peers);
    return rc == 1 ? err_set (err, ERR_CONFIG, "'%.60s' is not let in (quintet keys list %s)", name,
                              dir)
                   : rc;
}

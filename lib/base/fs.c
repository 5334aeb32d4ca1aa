/*  fs - see fs.h */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define LOCK_LOOK_MS 10 /* between two tries to lock a file */

int fs_open (const char *path, err_t *err)
{
    /* A pipe in place of a file would keep a blocking open waiting for ever. */
    int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0)
        return err_errno (err, errno == ENOENT ? ERR_MISSING : ERR_IO, "%s", path);
    if (fstat (fd, &st) == 0 && S_ISREG (st.st_mode))
        return fd;
    close (fd);
    return err_set (err, ERR_INPUT, "%s: is not a regular file", path);
}

int fs_read (const char *path, size_t max, buf_t *content, err_t *err)
{
    int fd = fs_open (path, err);
    if (fd < 0)
        return -1;
    content->max = max;
    char block[65536];
    ssize_t n;
    /* In blocks, up to the limit: what the size of a file is said to be may change while it is
       read. */
    while ((n = read (fd, block, sizeof block)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err_errno (err, ERR_IO, "%s: cannot read", path);
            close (fd);
            return -1;
        }
        buf_append (content, block, (size_t) n);
        if (buf_failed (content)) {
            close (fd);
            return err_set (err, ERR_LIMIT, "%s: larger than %zu bytes", path, max);
        }
    }
    close (fd);
    /* An empty file is an empty text, not NULL. */
    if (!content->data)
        buf_text (content, "");
    return 0;
}

/*  write may take less than it is given, when a signal comes or a disk fills up. */
static int fs_write_all (int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t n = write (fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        size -= (size_t) n;
    }
    return 0;
}

/*  Of a file or a folder: what was written reaches the disk before this returns. */
static int fs_sync_path (const char *path)
{
    int fd = open (path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int rc = fsync (fd);
    close (fd);
    return rc;
}

/*  The folder that holds path, into out. A rename is durable only once this folder is synced. */
static void fs_parent_of (const char *path, char out[FS_PATH_MAX])
{
    snprintf (out, FS_PATH_MAX, "%s", path);
    size_t n = strlen (out);
    while (n > 1 && out[n - 1] == '/')
        out[--n] = 0;
    char *slash = strrchr (out, '/');
    if (!slash)
        snprintf (out, FS_PATH_MAX, ".");
    else if (slash == out)
        out[1] = 0;
    else
        *slash = 0;
}

/*  Beside the path and not in /tmp, since a rename works within one file system only. */
int fs_create (fs_file_t *file, const char *path, err_t *err)
{
    int n =
        snprintf (file->temporary, sizeof file->temporary, "%s.tmp.%ld", path, (long) getpid ());
    file->fd = -1;
    if (n >= (int) sizeof file->temporary)
        return err_set (err, ERR_INPUT, "%s: the path is too long", path);
    snprintf (file->path, sizeof file->path, "%s", path);
    file->fd = open (file->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    return file->fd < 0 ? err_errno (err, ERR_IO, "%s: cannot create", file->temporary) : 0;
}

void fs_abandon (fs_file_t *file)
{
    if (file->fd < 0)
        return;
    close (file->fd);
    unlink (file->temporary);
    file->fd = -1;
}

/*  After an error the descriptor is closed and the temporary file gone, so later calls fail as well
 *  and the first error stays. */
int fs_append (fs_file_t *file, const void *data, size_t size, err_t *err)
{
    if (file->fd >= 0 && fs_write_all (file->fd, data, size) == 0)
        return 0;
    if (file->fd >= 0)
        err_errno (err, ERR_IO, "%s: cannot write %zu bytes", file->path, size);
    fs_abandon (file);
    return -1;
}

/*  The order that leaves the old content or the new after a power cut: data on disk, then the name,
 *  then the folder. */
int fs_commit (fs_file_t *file, err_t *err)
{
    char folder[FS_PATH_MAX];
    if (file->fd < 0)
        return -1;
    if (fsync (file->fd) != 0) {
        err_errno (err, ERR_IO, "%s: cannot write", file->path);
        fs_abandon (file);
        return -1;
    }
    fs_parent_of (file->path, folder);
    if (rename (file->temporary, file->path) != 0 || fs_sync_path (folder) != 0) {
        err_errno (err, ERR_IO, "%s: cannot rename into place", file->path);
        fs_abandon (file);
        return -1;
    }
    close (file->fd);
    file->fd = -1;
    return 0;
}

int fs_write (const char *path, const void *data, size_t size, err_t *err)
{
    fs_file_t file;
    if (fs_create (&file, path, err) != 0 || fs_append (&file, data, size, err) != 0)
        return -1;
    return fs_commit (&file, err);
}

/*  Folder by folder from the top. Others may make the same ones meanwhile: EEXIST is fine, as long
 *  as a folder is there. */
int fs_mkdirs (const char *path, err_t *err)
{
    char part[FS_PATH_MAX];
    if (!*path)
        return err_set (err, ERR_INPUT, "a folder without a name");
    if (snprintf (part, sizeof part, "%s", path) >= (int) sizeof part)
        return err_set (err, ERR_INPUT, "%s: the path is too long", path);
    for (char *p = part + 1;; p++) {
        /* At each slash, and at the end. */
        if (*p != '/' && *p != 0)
            continue;
        char keep = *p;
        *p = 0;
        if (mkdir (part, 0755) != 0 && errno != EEXIST)
            return err_errno (err, ERR_IO, "%s: cannot make the folder", part);
        *p = keep;
        if (!keep)
            break;
    }
    struct stat st;
    if (stat (path, &st) != 0 || !S_ISDIR (st.st_mode))
        return err_set (err, ERR_IO, "%s: is not a folder", path);
    return 0;
}

/*  One level is enough: a checkpoint's folder holds files, or one folder of files per policy that
 *  was synced before. */
static int fs_sync_folder (const char *path, err_t *err)
{
    DIR *dir = opendir (path);
    if (!dir)
        return err_errno (err, ERR_IO, "%s", path);
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir (dir));) {
        /* The folder itself, its parent, and what others hide in it. */
        if (entry->d_name[0] == '.')
            continue;
        char file[FS_PATH_MAX];
        if (fs_join (file, path, entry->d_name, err) != 0)
            rc = -1;
        else if (fs_sync_path (file) != 0)
            rc = err_errno (err, ERR_IO, "%s: cannot sync", file);
    }
    closedir (dir);
    if (rc == 0 && fs_sync_path (path) != 0)
        rc = err_errno (err, ERR_IO, "%s: cannot sync", path);
    return rc;
}

/*  Gives `from` the name `to`. Where there is a `to` already the two names are exchanged in one
 *  step, so that somebody who opens `to` meanwhile finds the old folder or the new one, never
 *  none. *exchanged: the old one stands at `from` now. */
static int fs_exchange (const char *from, const char *to, bool *exchanged, err_t *err)
{
    *exchanged = false;
    if (renameat2 (AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno == EEXIST) {
        *exchanged = renameat2 (AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) == 0;
        if (*exchanged)
            return 0;
    }
    if (errno == EINVAL || errno == ENOSYS)
        return err_set (err, ERR_IO,
                        "%s: its file system cannot exchange two folders (renameat2): put it on "
                        "one that can, such as ext4, xfs, btrfs or tmpfs",
                        to);
    return err_errno (err, ERR_IO, "%s: cannot rename to %s", from, to);
}

int fs_publish_folder (const char *from, const char *to, err_t *err)
{
    char parent[FS_PATH_MAX];
    bool exchanged;
    /* The content first: a name that is on the disk before its content would survive a power cut
     * alone. */
    if (fs_sync_folder (from, err) != 0 || fs_exchange (from, to, &exchanged, err) != 0)
        return -1;
    /* The new name is on the disk only when the folder that holds it is. */
    fs_parent_of (to, parent);
    if (fs_sync_path (parent) != 0)
        return err_errno (err, ERR_IO, "%s: cannot sync", parent);
    return exchanged ? fs_remove (from, err) : 0;
}

static int fs_remove_entry (const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void) st;
    (void) type;
    (void) ftw;
    return remove (path);
}

/*  Depth first, so that folders are empty when their turn comes; FTW_PHYS does not follow links out
 *  of the tree. */
int fs_remove (const char *path, err_t *err)
{
    struct stat st;
    if (lstat (path, &st) != 0 && errno == ENOENT)
        return 0;
    if (nftw (path, fs_remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        return err_errno (err, ERR_IO, "%s: cannot remove", path);
    return 0;
}

bool fs_exists (const char *path)
{
    struct stat st;
    return stat (path, &st) == 0;
}

int fs_prefer (const char *parent, const char *name, const char *file, char dir[FS_PATH_MAX],
               err_t *err)
{
    char path[FS_PATH_MAX];
    if (fs_join (dir, parent, name, err) != 0 || fs_join (path, dir, file, err) != 0)
        return -1;
    if (!fs_exists (path))
        snprintf (dir, FS_PATH_MAX, "%s", parent);
    return 0;
}

int fs_lock (int fd, int64_t wait_ms)
{
    int64_t deadline = clock_ms () + wait_ms;
    while (flock (fd, LOCK_EX | LOCK_NB) != 0) {
        bool held = errno == EWOULDBLOCK;
        if (!held && errno != EINTR)
            return -1;
        if (clock_left_ms (deadline) == 0)
            return held ? 0 : -1;
        clock_sleep_ms (LOCK_LOOK_MS);
    }
    return 1;
}

int fs_join (char out[FS_PATH_MAX], const char *dir, const char *name, err_t *err)
{
    /* A path that begins at the root stands for itself, as in a shell. */
    int n = name[0] == '/' ? snprintf (out, FS_PATH_MAX, "%s", name)
                           : snprintf (out, FS_PATH_MAX, "%s/%s", dir, name);
    if (n >= FS_PATH_MAX)
        return err_set (err, ERR_INPUT, "%s/%s: the path is too long", dir, name);
    return 0;
}

/*  fs - whole files, written so that a reader sees the old content or the new, never half.
 *
 *      buf_t content = {0};
 *      fs_read (path, 1 << 20, &content, &err);
 *      fs_write (path, content.data, content.size, &err);
 */
#ifndef QUINTET_BASE_FS_H
#define QUINTET_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define FS_PATH_MAX 4096

/*  A regular file for reading; returns its descriptor. Anything else (a folder, a pipe, a device)
 *  is ERR_INPUT, and never waited for. */
int fs_open (const char *path, err_t *err);

/*  Reads a whole regular file of at most max bytes into an empty buf. */
int fs_read (const char *path, size_t max, buf_t *content, err_t *err);

/*  Writes to a temporary name beside path, fsyncs, renames, fsyncs the folder. On error nothing
 *  is left behind and an old file is untouched. */
int fs_write (const char *path, const void *data, size_t size, err_t *err);

/*  The same in pieces. A failed append or commit, and abandon, leave nothing behind and close the
 *  file; an append after a failed one fails, too.
 *
 *      fs_file_t file;
 *      fs_create (&file, path, &err);
 *      fs_append (&file, data, size, &err);
 *      fs_commit (&file, &err);
 */
typedef struct {
    int fd; /* -1: closed */
    char path[FS_PATH_MAX], temporary[FS_PATH_MAX];
} fs_file_t;

int fs_create (fs_file_t *file, const char *path, err_t *err);
int fs_append (fs_file_t *file, const void *data, size_t size, err_t *err);
int fs_commit (fs_file_t *file, err_t *err);
void fs_abandon (fs_file_t *file);

/*  mkdir -p. */
int fs_mkdirs (const char *path, err_t *err);

/*  fsyncs every file of a folder (one level) and the folder, renames it to `to` and fsyncs the
 *  parent. An old `to` is exchanged for it in one step and removed last: a reader finds the one or
 *  the other. ERR_IO where the file system cannot do that. */
int fs_publish_folder (const char *from, const char *to, err_t *err);

/*  rm -r; a missing path is fine. Does not follow links. */
int fs_remove (const char *path, err_t *err);

bool fs_exists (const char *path);
/*  dir: parent/name where that folder holds a file of this name, else parent. */
int fs_prefer (const char *parent, const char *name, const char *file, char dir[FS_PATH_MAX],
               err_t *err);

/*  Locks an open file for this process alone (flock), which ends with it. Who only asks whether
 *  somebody has it holds it for a moment: that is waited for, wait_ms at most. 1: it is ours; 0:
 *  somebody else's; -1 with errno: it cannot be locked. */
int fs_lock (int fd, int64_t wait_ms);

/*  dir/name into out (FS_PATH_MAX bytes); an absolute name stays as it is. */
int fs_join (char out[FS_PATH_MAX], const char *dir, const char *name, err_t *err);

#endif

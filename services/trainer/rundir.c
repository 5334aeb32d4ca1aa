/*  rundir - see rundir.h */
#include "rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

#define LOCK    "trainer.lock"
#define LOCK_MS 200

/*  The lock is the kernel's: it ends with the process, however that ends. The file tells people
 *  whose it is. */
static int rundir_lock_file (const char *path, err_t *err)
{
    char owner[32] = "";
    /* Never removed: who locks a file that another process has just unlinked would hold a lock that
       nobody sees. Close-on-exec, or a child would hold it on. */
    int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_errno (err, ERR_IO, "%s: cannot open", path);
    /* quintet run asks now and then whether a trainer works here. */
    int locked = fs_lock (fd, LOCK_MS), problem = errno;
    if (locked <= 0) {
        ssize_t n = pread (fd, owner, sizeof owner - 1, 0);
        owner[n > 0 ? strcspn (owner, "\n") : 0] = 0;
        close (fd);
        errno = problem;
        return locked == 0
                   ? err_set (err, ERR_CONFIG,
                              "another trainer (process %s) works in this folder: wait for it, "
                              "stop it, or name another one with --out",
                              owner)
                   : err_errno (err, ERR_IO, "%s: cannot lock", path);
    }
    int n = snprintf (owner, sizeof owner, "%ld\n", (long) getpid ());
    if (ftruncate (fd, 0) != 0 || pwrite (fd, owner, (size_t) n, 0) != n) {
        err_errno (err, ERR_IO, "%s: cannot write", path);
        close (fd);
        return -1;
    }
    return fd;
}

/*  The folder is locked before it is looked at: two trainers that start at once cannot both find it
 *  empty. */
int rundir_open (const char *dir, bool resume, err_t *err)
{
    char lock[FS_PATH_MAX], lines[FS_PATH_MAX];
    if (fs_mkdirs (dir, err) != 0 || fs_join (lock, dir, LOCK, err) != 0 ||
        fs_join (lines, dir, "metrics.jsonl", err) != 0)
        return -1;
    int fd = rundir_lock_file (lock, err);
    if (fd < 0)
        return err_wrap (err, "%s", dir);
    struct stat st;
    /* Lines of metrics are what makes a folder a run: one that failed before its first line may be
       used again. */
    if (!resume && stat (lines, &st) == 0 && st.st_size > 0) {
        close (fd);
        return err_set (err, ERR_CONFIG,
                        "%s: holds a run already: go on with --resume, or name another folder with "
                        "--out",
                        dir);
    }
    return fd;
}

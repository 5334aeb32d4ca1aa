/*  sandbox - see sandbox.h. The lock itself is put on in zygote.py; the seccomp filter is made here. */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/embed.h"
#include "line_process.h"

EMBED (zygote_source, "services/reward/zygote.py")

#define START_MS 20000
#define RUN_MS   40000 /* above the zygote's own limit on the wall clock */

struct sandbox {
    line_process_t *zygote;
};

/*  What a computing Python needs. Opening is allowed because Landlock decides what there is to open; sleeping
 *  and polling are not, so that they fail at once. */
static const char *const allowed[] = {"read",
                                      "write",
                                      "close",
                                      "fstat",
                                      "newfstatat",
                                      "stat",
                                      "lstat",
                                      "lseek",
                                      "mmap",
                                      "munmap",
                                      "mprotect",
                                      "mremap",
                                      "madvise",
                                      "brk",
                                      "rt_sigaction",
                                      "rt_sigprocmask",
                                      "rt_sigreturn",
                                      "sigaltstack",
                                      "futex",
                                      "exit",
                                      "exit_group",
                                      "getrandom",
                                      "clock_gettime",
                                      "gettimeofday",
                                      "time",
                                      "openat",
                                      "open",
                                      "getdents64",
                                      "readlink",
                                      "readlinkat",
                                      "access",
                                      "faccessat",
                                      "getcwd",
                                      "getpid",
                                      "gettid",
                                      "getuid",
                                      "geteuid",
                                      "getgid",
                                      "getegid",
                                      "uname",
                                      "pread64",
                                      "fcntl",
                                      "dup",
                                      "sched_yield",
                                      "sched_getaffinity",
                                      "set_robust_list",
                                      "rseq",
                                      "sysinfo"};

/*  The filter as a file descriptor that holds its BPF program; everything not listed fails with EPERM.
 *  Threads may be made, processes not: clone3 is said to be missing, so that libc uses clone, whose flags
 *  can be looked at. */
static int make_filter (err_t *err)
{
    scmp_filter_ctx filter = seccomp_init (SCMP_ACT_ERRNO (EPERM));
    int fd = memfd_create ("filter", MFD_CLOEXEC), rc = filter && fd >= 0 ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < sizeof allowed / sizeof *allowed; i++) {
        int number = seccomp_syscall_resolve_name (allowed[i]);
        if (number != __NR_SCMP_ERROR && number >= 0)
            rc = seccomp_rule_add (filter, SCMP_ACT_ALLOW, number, 0);
    }
    if (rc == 0)
        rc = seccomp_rule_add (filter, SCMP_ACT_ERRNO (ENOSYS), SCMP_SYS (clone3), 0);
    if (rc == 0)
        rc = seccomp_rule_add (filter, SCMP_ACT_ALLOW, SCMP_SYS (clone), 1,
                               SCMP_A0 (SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    if (rc == 0)
        rc = seccomp_export_bpf (filter, fd);
    if (rc == 0 && lseek (fd, 0, SEEK_SET) < 0)
        rc = -1;
    seccomp_release (filter);
    if (rc == 0)
        return fd;
    if (fd >= 0)
        close (fd);
    return err_set (err, ERR_CONFIG, "the sandbox's seccomp filter cannot be made: %s",
                    strerror (errno));
}

static int start (sandbox_t *sandbox, err_t *err)
{
    int fd = make_filter (err);
    if (fd < 0)
        return -1;
    char number[16], path[PATH_MAX];
    const char *search = getenv ("PATH");
    snprintf (number, sizeof number, "%d", fd);
    /* The one by which python3 is found: Python finds its library by it, too. */
    snprintf (path, sizeof path, "PATH=%s", search ? search : "/usr/local/bin:/usr/bin:/bin");
    char *argv[] = {(char *) "python3",
                    (char *) "-s",
                    (char *) "-S",
                    (char *) "-B",
                    (char *) "-c",
                    (char *) (uintptr_t) zygote_source,
                    number,
                    NULL};
    char *environment[] = {(char *) "PYTHONHASHSEED=0", (char *) "LANG=C.UTF-8", path, NULL};
    sandbox->zygote = line_process_new (argv, environment, fd, err);
    close (fd);
    if (!sandbox->zygote)
        return -1;
    buf_t word = {0};
    int rc = line_process_ask (sandbox->zygote, NULL, 0, START_MS, &word, err);
    if (rc != 0) {
        err_set (
            err, ERR_CONFIG,
            "python3 does not start, and the coding family runs tests with it: install python3 "
            "(apt-get install python3), or see in the reward service's log what the first "
            "python3 on PATH says");
    } else if (strcmp (word.data, "{\"ready\":true}") != 0) {
        rc = err_set (err, ERR_CONFIG,
                      "the sandbox cannot be locked here, so no program will be run: %s (Landlock "
                      "needs Linux 5.13 or newer)",
                      word.data);
    }
    buf_free (&word);
    if (rc != 0)
        line_process_destroy (&sandbox->zygote);
    return rc;
}

sandbox_t *sandbox_new (err_t *err)
{
    sandbox_t *sandbox = calloc (1, sizeof *sandbox);
    if (!sandbox) {
        err_set (err, ERR_LIMIT, "no memory for a sandbox");
        return NULL;
    }
    if (start (sandbox, err) != 0)
        sandbox_destroy (&sandbox);
    return sandbox;
}

void sandbox_destroy (sandbox_t **sandbox)
{
    if (!*sandbox)
        return;
    line_process_destroy (&(*sandbox)->zygote);
    free (*sandbox);
    *sandbox = NULL;
}

json_t *sandbox_run (sandbox_t *sandbox, const json_t *request, err_t *err)
{
    if (!sandbox->zygote && start (sandbox, err) != 0)
        return NULL;
    char *line = json_dumps (request, JSON_COMPACT);
    if (!line) {
        err_set (err, ERR_LIMIT, "no memory for a program");
        return NULL;
    }
    buf_t answer = {.max = (size_t) 16 << 20};
    json_t *value = NULL;
    if (line_process_ask (sandbox->zygote, line, strlen (line), RUN_MS, &answer, err) == 0) {
        value = json_loadb (answer.data ? answer.data : "", answer.size, JSON_ALLOW_NUL, NULL);
        if (!value) /* Python knows values that JSON does not: halves of surrogate pairs, NaN */
            value = json_pack ("{s:s}", "killed", "output");
        if (json_object_get (value, "failed")) {
            err_set (err, ERR_IO, "the sandbox failed: %.200s", answer.data ? answer.data : "");
            json_decref (value);
            value = NULL;
        }
    }
    if (!value)
        line_process_destroy (&sandbox->zygote); /* the next run starts another */
    free (line);
    buf_free (&answer);
    return value;
}

/*  filter - see filter.h */
#include "filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "protocol.h"

/*  Calls without a dangerous argument. There is nothing to read but the questions, nothing to
 *  write to but the answers, and nothing can be opened. fstat is not here: a pipe's number and
 *  times differ from run to run. Nor is anything that sleeps, polls or sets a timer. */
static const int filter_free[] = {
    SCMP_SYS (read),
    SCMP_SYS (write),
    SCMP_SYS (munmap),
    SCMP_SYS (mremap),
    SCMP_SYS (brk),
    SCMP_SYS (rt_sigreturn),
    SCMP_SYS (rt_sigprocmask),
    SCMP_SYS (sigaltstack),
    SCMP_SYS (exit),
    SCMP_SYS (exit_group),
    SCMP_SYS (sched_yield),
    SCMP_SYS (set_robust_list),
    SCMP_SYS (restart_syscall),
};

/*  What inside/world.c answers in the kernel's place; waits of futexes that have an end come to
 *  these. */
static const int filter_trapped[] = {
    SCMP_SYS (clock_gettime),
    SCMP_SYS (clock_getres),
    SCMP_SYS (gettimeofday),
    SCMP_SYS (time),
    SCMP_SYS (nanosleep),
    SCMP_SYS (clock_nanosleep),
    SCMP_SYS (getrandom),
    SCMP_SYS (getpid),
    SCMP_SYS (gettid),
    SCMP_SYS (getppid),
    SCMP_SYS (getuid),
    SCMP_SYS (geteuid),
    SCMP_SYS (getgid),
    SCMP_SYS (getegid),
    SCMP_SYS (uname),
    SCMP_SYS (getcwd),
    SCMP_SYS (sched_getaffinity),
    SCMP_SYS (getcpu),
    SCMP_SYS (times),
    SCMP_SYS (getrusage),
};

/*  A rule whose call does not exist on this architecture (a negative number) is none. */
static int filter_add (scmp_filter_ctx filter, uint32_t action, int number, unsigned n,
                       const struct scmp_arg_cmp *arguments)
{
    return number < 0 ? 0 : seccomp_rule_add_array (filter, action, number, n, arguments);
}

#define FILTER_ONE(action, number, ...)                                                            \
    filter_add (filter, action, number, 1, (const struct scmp_arg_cmp[]){__VA_ARGS__})
#define FILTER_TWO(action, number, ...)                                                            \
    filter_add (filter, action, number, 2, (const struct scmp_arg_cmp[]){__VA_ARGS__})

/*  Memory, but never memory that can be executed: what runs was there before the lock. Huge pages
 *  come out of a store that the whole machine shares. */
static int filter_memory (scmp_filter_ctx filter)
{
    const uint64_t wanted = MAP_ANONYMOUS, refused = MAP_HUGETLB;
    int rc =
        FILTER_TWO (SCMP_ACT_ALLOW, SCMP_SYS (mmap), SCMP_A2 (SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                    SCMP_A3 (SCMP_CMP_MASKED_EQ, wanted | refused, wanted));
    if (rc == 0)
        rc = FILTER_ONE (SCMP_ACT_ALLOW, SCMP_SYS (mprotect),
                         SCMP_A2 (SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (rc == 0)
        rc = FILTER_ONE (SCMP_ACT_ALLOW, SCMP_SYS (madvise), SCMP_A2 (SCMP_CMP_EQ, MADV_DONTNEED));
    if (rc == 0)
        rc = FILTER_ONE (SCMP_ACT_ALLOW, SCMP_SYS (madvise), SCMP_A2 (SCMP_CMP_EQ, MADV_FREE));
    return rc;
}

/*  Descriptors may be looked at; who gets their signals, leases, locks, notifications
 *  and their flags are nobody's business. */
static int filter_descriptors (scmp_filter_ctx filter)
{
    static const scmp_datum_t commands[] = {F_GETFD, F_SETFD, F_GETFL};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof commands / sizeof *commands; i++)
        rc = FILTER_ONE (SCMP_ACT_ALLOW, SCMP_SYS (fcntl), SCMP_A1 (SCMP_CMP_EQ, commands[i]));
    /* What is open already may not be closed. The end of its answers means that a program has
     * ended, and so it must. */
    return rc == 0 ? FILTER_ONE (SCMP_ACT_ALLOW, SCMP_SYS (close),
                                 SCMP_A0 (SCMP_CMP_LT, PROTOCOL_QUESTIONS))
                   : rc;
}

/*  Threads as libc makes them, and in no other way: a thread with CLONE_VFORK puts its maker to a
 *  sleep from which nothing wakes it. clone3, whose flags cannot be looked at, is said to be
 *  missing, so that libc uses clone. Setting SIGSYS's handler would take world.c's away. */
static int filter_threads (scmp_filter_ctx filter)
{
    const uint64_t flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                           CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |
                           CLONE_CHILD_CLEARTID;
    int rc = FILTER_ONE (SCMP_ACT_ALLOW, SCMP_SYS (clone), SCMP_A0 (SCMP_CMP_EQ, flags));
    if (rc == 0)
        rc = filter_add (filter, SCMP_ACT_ERRNO (ENOSYS), SCMP_SYS (clone3), 0, NULL);
    if (rc == 0)
        rc = FILTER_ONE (SCMP_ACT_ALLOW, SCMP_SYS (rt_sigaction), SCMP_A0 (SCMP_CMP_NE, SIGSYS));
    /* Limits may be read (a new Python asks for the stack's), the program's own and nobody
     * else's. */
    if (rc == 0)
        rc = FILTER_TWO (SCMP_ACT_ALLOW, SCMP_SYS (prlimit64), SCMP_A0 (SCMP_CMP_EQ, 0),
                         SCMP_A2 (SCMP_CMP_EQ, 0));
    return rc;
}

/*  Waking, and waits without an end; a wait with an end is world.c's. */
static int filter_futexes (scmp_filter_ctx filter)
{
    static const scmp_datum_t waits[] = {FUTEX_WAIT, FUTEX_WAIT_BITSET},
                              others[] = {FUTEX_WAKE, FUTEX_WAKE_BITSET, FUTEX_WAKE_OP,
                                          FUTEX_REQUEUE, FUTEX_CMP_REQUEUE};
    const uint64_t mask = (uint64_t) (unsigned) FUTEX_CMD_MASK;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof others / sizeof *others; i++)
        rc = FILTER_ONE (SCMP_ACT_ALLOW, SCMP_SYS (futex),
                         SCMP_A1 (SCMP_CMP_MASKED_EQ, mask, others[i]));
    for (size_t i = 0; rc == 0 && i < sizeof waits / sizeof *waits; i++) {
        rc = FILTER_TWO (SCMP_ACT_ALLOW, SCMP_SYS (futex),
                         SCMP_A1 (SCMP_CMP_MASKED_EQ, mask, waits[i]), SCMP_A3 (SCMP_CMP_EQ, 0));
        if (rc == 0)
            rc =
                FILTER_TWO (SCMP_ACT_TRAP, SCMP_SYS (futex),
                            SCMP_A1 (SCMP_CMP_MASKED_EQ, mask, waits[i]), SCMP_A3 (SCMP_CMP_NE, 0));
    }
    return rc;
}

/*  What no rule names gets EPERM: whatever a later kernel adds is forbidden until somebody looks at
 *  it. */
static int filter_fill (scmp_filter_ctx filter)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof filter_free / sizeof *filter_free; i++)
        rc = filter_add (filter, SCMP_ACT_ALLOW, filter_free[i], 0, NULL);
    for (size_t i = 0; rc == 0 && i < sizeof filter_trapped / sizeof *filter_trapped; i++)
        rc = filter_add (filter, SCMP_ACT_TRAP, filter_trapped[i], 0, NULL);
    if (rc == 0)
        rc = filter_memory (filter);
    if (rc == 0)
        rc = filter_descriptors (filter);
    if (rc == 0)
        rc = filter_threads (filter);
    return rc == 0 ? filter_futexes (filter) : rc;
}

/*  The filter as bytes in a memory file: made outside, so that the process which is locked needs no
 *  libseccomp. */
int filter_new (err_t *err)
{
    scmp_filter_ctx filter = seccomp_init (SCMP_ACT_ERRNO (EPERM));
    int fd = memfd_create ("filter", MFD_CLOEXEC), rc = filter && fd >= 0 ? 0 : -errno;
    if (rc == 0) /* a tree instead of a chain */
        rc = seccomp_attr_set (filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (rc == 0)
        rc = filter_fill (filter);
    if (rc == 0)
        rc = seccomp_export_bpf (filter, fd);
    /* Whoever reads it begins where the descriptor stands, which is behind what was written. */
    if (rc == 0 && lseek (fd, 0, SEEK_SET) < 0)
        rc = -errno;
    seccomp_release (filter);
    if (rc == 0)
        return fd;
    if (fd >= 0)
        close (fd);
    /* Too few descriptors or too little memory is a matter of the moment; anything else stays. */
    bool passing = rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM;
    return err_set (err, passing ? ERR_IO : ERR_CONFIG,
                    "the sandbox's seccomp filter cannot be made: %s", strerror (-rc));
}
